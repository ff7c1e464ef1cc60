"""What a rotation will do, with its days, in words for a person. Pure: nothing is asked of anybody."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from zoneinfo import ZoneInfo

from chronos_secrets.inventory.model import Credential
from chronos_secrets.inventory.schedule import add
from chronos_secrets.rotation.journal import Journal, Phase
from chronos_secrets.rotation.target import Target


class Step(NamedTuple):
    """One step that is still to come. `day` is the first day on which it may be taken."""

    day: date
    phase: Phase  # what the journal says afterwards
    words: str


def plan(
    journal: Journal | None,
    target: Target,
    credential: Credential,
    *,
    delivers: Sequence[str],
    today: date,
    zone: ZoneInfo,
) -> list[Step]:
    """The steps that a rotation still has before it: all of them where none is under way.

    `delivers` are the ids of the destinations that use the credential.
    """
    now = journal if journal and journal.under_way else None
    done = list(Phase).index(now.phase) if now else -1
    days = _days(now, target, credential, today, zone)
    words = _words_back(target, delivers) if now and now.rolled_back else _words(target, delivers)
    return [Step(days[phase], phase, words[phase]) for phase in list(Phase)[done + 1 :] if phase in words]


def _words(target: Target, delivers: Sequence[str]) -> dict[Phase, str]:
    words = {
        Phase.CREATED: f"choose a new secret for {target.name} and store it as pending",
        Phase.PROMOTED: f"set it at {target.name}, prove it, and make it the current one in the vault",
        Phase.DELIVERED: _delivery(delivers),
        Phase.DONE: "forget the old one",
    }
    if target.issues:
        words[Phase.INTENT] = f"make sure that {target.name} has no other secret, and that the vault can be written"
        words[Phase.CREATED] = f"get a new secret of {target.name} and store it as pending"
        words[Phase.PROMOTED] = "prove it, and make it the current one in the vault"
    if target.guided:
        words[Phase.INTENT] = "make sure that the vault can be written"
        words[Phase.CREATED] = f"ask you for a new secret of {target.name} and store it as pending"
    if target.overlaps:
        words[Phase.DONE] = f"end the old one at {target.name}, {_condition(target)}, and forget it"
    if target.overlaps and target.guided:
        words[Phase.DONE] = f"ask you to revoke the old one at {target.name}, and forget it"
    if target.overlaps and target.soaks:
        words[Phase.DEACTIVATED] = f"deactivate the old one at {target.name}, {_condition(target)}"
        words[Phase.DONE] = f"delete the old one at {target.name}: from then on nothing can be rolled back"
    return words


def _words_back(target: Target, delivers: Sequence[str]) -> dict[Phase, str]:
    return {
        Phase.PROMOTED: f"let {target.name} take the old one again, prove it, and make it the current one in the vault",
        Phase.DELIVERED: _delivery(delivers),
        Phase.DONE: f"remove the other one from {target.name} and forget it",
    }


def _delivery(delivers: Sequence[str]) -> str:
    return f"deliver {', '.join(delivers)}" if delivers else "nothing to deliver: no destination uses it"


def _condition(target: Target) -> str:
    if target.tells_use:
        return "unless something used it meanwhile"
    return "used or not, as nothing tells when it was last used"


def _days(
    journal: Journal | None, target: Target, credential: Credential, today: date, zone: ZoneInfo
) -> dict[Phase, date]:
    """The first day of each step. What rests on a step that is still to come counts from when that can be."""
    days = dict.fromkeys(Phase, today)
    if not target.overlaps or (journal and journal.rolled_back):
        return days
    rest = journal.rests_until(credential.grace, credential.soak, zone) if journal else None
    if journal and journal.phase is Phase.DEACTIVATED:
        return days | {Phase.DONE: max(today, rest or today)}
    ended = max(today, rest or add(today, credential.grace))
    return days | {Phase.DEACTIVATED: ended, Phase.DONE: add(ended, credential.soak) if target.soaks else ended}
