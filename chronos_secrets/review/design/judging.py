"""The table of all traps, judged from facts, with what the inventory accepts. Pure."""

import operator
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from chronos_secrets.cloud import posture
from chronos_secrets.cloud.posture import Acceptance, Finding, Unknown
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.review.design import backups, restores, storage
from chronos_secrets.review.design.facts import Facts
from chronos_secrets.review.design.trap import NOTE, RISKY, WRONG, Evidence, Trap

TRAPS: tuple[Trap, ...] = (*backups.TRAPS, *restores.TRAPS, *storage.TRAPS)
IDS = frozenset(trap.id for trap in TRAPS)
"""What `control:` of an acceptance may name, beside the controls of `cloud audit`."""

_RANK = {posture.FAIL: 0, posture.ACCEPTED: 1, posture.UNKNOWN: 2, posture.PASS: 3}
_GRAVITY = {WRONG: 0, RISKY: 1, NOTE: 2}


class Judged(NamedTuple):
    """A trap and what was found: `finding` has the state, and the reason of an acceptance or of not knowing."""

    trap: Trap
    finding: Finding
    evidence: tuple[Evidence, ...]


def judge(facts: Facts, today: date) -> list[Judged]:
    """Every trap: what fails first, the worst ahead; then what is accepted, what is not known, what is well."""
    found = [(trap, tuple(trap.judge(facts))) for trap in TRAPS]
    settled = posture.accept([_finding(*each, facts) for each in found], accepted(facts.inventory), today)
    judged = [Judged(trap, now, evidence) for (trap, evidence), now in zip(found, settled, strict=True)]
    return sorted(judged, key=lambda each: (_RANK[each.finding.state], _GRAVITY[each.trap.severity]))


def _finding(trap: Trap, evidence: Sequence[Evidence], facts: Facts) -> Finding:
    found = Finding(trap.id, (), trap.title, posture.PASS)
    if evidence:
        return found._replace(state=posture.FAIL, why=trap.why, todo=trap.change)
    missing = [fact for name in trap.needs if isinstance(fact := operator.attrgetter(name)(facts), Unknown)]
    if not missing:
        return found
    why = "; ".join(dict.fromkeys(each.why for each in missing))
    return found._replace(state=posture.UNKNOWN, why=why, untried=all(each.untried for each in missing))


def accepted(inventory: Inventory) -> list[Acceptance]:
    """The acceptances that are of the design; the others are of `cloud audit`."""
    rows = inventory.cloud.accepted if inventory.cloud else ()
    return [Acceptance(each.control, each.reason, each.until) for each in rows if each.control.lower() in IDS]


def unneeded(judged: Iterable[Judged], inventory: Inventory) -> list[Acceptance]:
    """Acceptances of what is well."""
    return [row for row, _ in posture.unneeded([each.finding for each in judged], accepted(inventory))]
