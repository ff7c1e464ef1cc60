"""How a rotation of each kind goes, told without asking a target. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple
from zoneinfo import ZoneInfo

from chronos_secrets.inventory.model import Credential
from chronos_secrets.rotation.journal import Journal, Phase


class Course(NamedTuple):
    """What a rotation of one kind waits for; the targets say the same of themselves.

    `guided`: a person gets the new secret. `overlaps` and `soaks` are those of `rotation.target.Target`.
    """

    guided: bool
    overlaps: bool
    soaks: bool


COURSES: Mapping[str, Course] = {
    "aws-access-key": Course(guided=False, overlaps=True, soaks=True),
    "postgres-password": Course(guided=False, overlaps=False, soaks=False),
    "ssh-key": Course(guided=False, overlaps=True, soaks=False),
    "api-token": Course(guided=True, overlaps=True, soaks=False),
    "account": Course(guided=True, overlaps=False, soaks=False),
    "recovery-codes": Course(guided=True, overlaps=False, soaks=False),
}
"""The kinds that can be rotated; a passphrase cannot."""


def step_from(journal: Journal, credential: Credential, zone: ZoneInfo) -> date | None:
    """The first day on which the next step of a rotation may be taken; None where it waits for no day."""
    course = COURSES.get(credential.kind)
    if course is None:
        return None
    waits = {Phase.DELIVERED: course.overlaps, Phase.DEACTIVATED: course.soaks}
    if not waits.get(journal.phase, False):
        return None
    return journal.rests_until(credential.grace, credential.soak, zone)
