"""Recovery codes: how many are left, when one was last used, when the list was last renewed. Nothing of a code leaves.

A list holds one code a line; an empty line and one that begins with # are none. Who uses a code takes its line away, or
puts # before it. The entry's own history then shows both: a list that only lost codes was used, and that the service
took one is the one test there is; a list that has any new code was renewed.
"""

from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from chronos_secrets.inventory.model import Credential
from chronos_secrets.render.values import field_value
from chronos_secrets.vault.entries import Entry


class Found(NamedTuple):
    """What an entry says of its codes. Times are UTC; None where its history shows none."""

    left: int
    used: datetime | None  # since the list was renewed
    renewed: datetime | None


def look(entry: Entry, credential: Credential) -> Found:
    """Count the codes of a credential. Raises EntryMissing for a reference that leads nowhere."""
    used = renewed = None
    for before, after in pairwise((*entry.history, entry)):
        held, holds = _codes(before, credential), _codes(after, credential)
        if holds - held:
            used, renewed = None, after.changed
        elif held - holds:
            used = after.changed
    return Found(len(_codes(entry, credential)), used, renewed)


def _codes(entry: Entry, credential: Credential) -> frozenset[str]:
    found = field_value(entry, credential, credential.primary)
    lines = found.reveal().splitlines() if found else ()
    return frozenset(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))
