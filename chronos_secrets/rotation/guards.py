"""What stops a rotation, and what it waits for."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

from chronos_secrets.errors import Exit, Refused
from chronos_secrets.rotation.journal import Found, Journal, Phase
from chronos_secrets.rotation.record import Held, Record
from chronos_secrets.rotation.target import Material, Target

STILL_IN_FLIGHT = timedelta(hours=1)
"""How long after the delivery a use of the old secret counts for nothing: what was running then ends with it."""


class Wait(NamedTuple):
    """Why the next step is not taken now; `day` and Exit.OK where only the calendar stands in the way."""

    words: str
    day: date | None = None
    exit: Exit = Exit.INCOMPLETE
    hint: str | None = None


def called(journal: Journal, identifier: str) -> str:
    """How a secret is told from the other one in a sentence: by the end of its identifier, where they have two."""
    return f" (...{identifier[-4:]})" if identifier and journal.old != journal.new else ""


def command(record: Record, *words: str) -> str:
    """A command about the credential, to be pasted."""
    return " ".join(("chronos-secrets rotate", *words, record.credential.id))


# --- what stops it ---------------------------------------------------------------------------------------------------


def require_under_way(record: Record, held: Held) -> Journal:
    """The journal of the rotation that is under way. Raises Refused where none is."""
    journal = held.journal
    if journal and journal.under_way:
        return journal
    if journal is None:
        raise Refused(f"no rotation of {record.credential.id} is under way", hint="chronos-secrets rotate status")
    day = journal.since.astimezone(record.zone).date()
    raise Refused(
        f"no rotation of {record.credential.id} is under way; the last one ended on {day}, and the old secret is gone",
        hint=f"{command(record)} --now    # for a new secret",
    )


def require_untouched(record: Record, target: Target, held: Held) -> None:
    """Raises Refused where a person changed the secret while this rotation is under way: theirs is not overwritten.

    Known by the identifier where there is one; else because KeePassXC puts the entry, with our journal, into the
    history when a person changes it.
    """
    journal = held.journal
    if journal is None:
        return
    known, now = journal.new if journal.promoted else journal.old, record.replaced(held.current)
    seen = [record.replaced(past.current) for other, past in record.past() if _same_side(other, journal)]
    if (not known or target.identifier(held.current) == known) and all(past == now for past in seen):
        return
    which = "new" if journal.promoted != journal.rolled_back else "old"
    other_way = "" if journal.promoted else f"    # or: {command(record, 'abandon')}"
    raise Refused(
        f"the entry '{record.credential.entry}' has another value than the {which} secret{called(journal, known)} "
        "of the rotation that is under way: somebody changed it, and it is not overwritten",
        hint=f"restore the value from the entry's history in KeePassXC{other_way}",
    )


def require_kept(record: Record, held: Held, journal: Journal) -> None:
    """Raises Refused where the entry has lost its pending secret, or the previous one once that was replaced."""
    if held.previous if journal.promoted else held.pending:
        return
    which = f"previous secret{called(journal, journal.old)}" if journal.promoted else "pending secret"
    raise Refused(
        f"the entry '{record.credential.entry}' does not hold its {which} any more",
        hint="restore the entry as it was from its history in KeePassXC",
    )


def _same_side(other: Journal, journal: Journal) -> bool:
    """Whether both say that the same secret is current."""
    return (other.id, other.promoted, other.rolled_back) == (journal.id, journal.promoted, journal.rolled_back)


def was_lost_to_a_merge(record: Record, found: Found) -> bool:
    """Whether what the entry holds is older than the journal that was found in its history.

    Raises Refused where that rotation is under way and the entry's value is none that it knows.
    """
    held, past, journal = record.held(), record.holding(found.item), found.journal
    if record.replaced(held.current) in _known_to(record, past, journal):
        return True
    if not journal.under_way:
        return False  # that one had ended; the value is a later one of a person's
    raise Refused(
        f"the history of the entry '{record.credential.entry}' has a rotation that is under way ({journal.phase}), "
        "and the entry has another value than that rotation knows",
        hint="restore the version with the newest time from the entry's history in KeePassXC",
    )


def _known_to(record: Record, past: Held, journal: Journal) -> list[Material]:
    """The values that the entry may have where nobody but this rotation changed it: the item's, and those before."""
    known = [record.replaced(past.current)]
    if journal.promoted:
        known.append(record.replaced({**past.current, **past.previous}))
    if journal.promoted and not journal.rolled_back:
        earlier = [each for other, each in record.past() if other.id == journal.id and not other.promoted]
        known += [record.replaced(each.current) for each in earlier]
    return known


# --- what it waits for -----------------------------------------------------------------------------------------------


def wait(
    record: Record, target: Target, held: Held, *, confirm_unused: bool, backup_holds: Callable[[], bool]
) -> Wait | None:
    """What keeps the next step from being taken now; None for nothing. Raises what the target raises."""
    journal = held.journal
    if journal is None or not target.overlaps or journal.phase not in {Phase.DELIVERED, Phase.DEACTIVATED}:
        return None
    if resting := _for_day(record, target, journal):
        return resting
    if journal.phase is Phase.DEACTIVATED:
        return None
    gated = target.tells_use and not journal.rolled_back
    if gated and (used := _for_use(record, target, held, journal, confirm_unused=confirm_unused)):
        return used
    if backup_holds():
        return Wait("a backup is running that may have begun with the old secret", hint=command(record))
    return None


def _for_day(record: Record, target: Target, journal: Journal) -> Wait | None:
    row = record.credential
    day = journal.rests_until(row.grace, row.soak, record.zone)
    if day is None or day <= record.today:
        return None
    what = "deactivated" if journal.phase is Phase.DELIVERED and target.soaks else "deleted"
    told = "" if target.tells_use else "; nothing tells whether it is still used"
    return Wait(
        f"the old secret of {target.name}{called(journal, journal.old)} is {what} from {day} on{told}", day, Exit.OK
    )


def _for_use(record: Record, target: Target, held: Held, journal: Journal, *, confirm_unused: bool) -> Wait | None:
    use = target.last_use({**held.current, **held.previous})
    old = f"the old secret of {target.name}{called(journal, journal.old)}"
    if not use.known:
        if confirm_unused:
            return None
        return Wait(
            f"nobody can tell whether {old} is still used",
            hint=f"{command(record)} --confirm-unused    # when you are sure that nothing uses it any more",
        )
    if use.at is None or use.at <= journal.since + STILL_IN_FLIGHT:
        return None
    return Wait(
        f"{old} was used at {use.at:%Y-%m-%d %H:%M} UTC, after all that is known to use it had the new one",
        hint=f"{command(record, 'rollback')}    # or find what still has it, and run this again later",
    )
