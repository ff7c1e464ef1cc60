"""Which credentials a `rotate` means, and what there is to do about each: the deciding, before anything is done."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from chronos_secrets.cli import choices, prompts
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import ChronosError, Refused, UsageError
from chronos_secrets.inventory.model import Automatic, Credential, Inventory, Never
from chronos_secrets.inventory.schedule import Standing, standing
from chronos_secrets.review import dates as dates_of
from chronos_secrets.review import rotations
from chronos_secrets.rotation.courses import COURSES, step_from
from chronos_secrets.rotation.journal import Journal, Phase

_COMMANDS = frozenset({"status", "rollback", "abandon"})
_INSTEAD = (
    "instead: a second repository (repo2) with a pass of its own, and a full backup into it;",
    "this pass is kept for as long as a backup of the first repository is",
)


class Wish(NamedTuple):
    """What the command line asks for."""

    named: frozenset[str] = frozenset()  # credentials by their own id
    unasked: bool = False  # what is not due, too
    yes: bool = False
    confirm_unused: bool = False


class Job(NamedTuple):
    """What there is to do about one credential: to begin its rotation, or to go on with it.

    Where there is nothing to do, `rests` says why; where there cannot be, `error` does.
    """

    row: Credential
    begins: bool = False
    rests: str = ""
    error: ChronosError | None = None
    journal: Journal | None = None  # of the last rotation

    @property
    def acts(self) -> bool:
        return not self.rests and self.error is None

    @property
    def under_way(self) -> bool:
        return self.journal is not None and self.journal.under_way

    @property
    def is_early(self) -> bool:
        """Whether the target may still be asked for a new secret: what uses it must be deliverable then."""
        return self.begins or (self.journal is not None and self.journal.phase is Phase.INTENT)


def chosen(inventory: Inventory, names: Sequence[str], *, due: bool) -> list[Credential]:
    """The rows that are meant. Raises UsageError, and Refused for what can never be rotated."""
    if due and names:
        raise UsageError("--due means every credential, so no name goes with it", hint="chronos-secrets rotate --due")
    if due:
        return rotations.rotating(inventory)
    if not names:
        raise UsageError("nothing is named", hint="chronos-secrets rotate --due    # or rotate status")
    found: dict[str, Credential] = {}
    for name in names:
        kind = choices.GROUPS.get(name)
        rows = [each for each in inventory.credentials.values() if kind in (each.kind, None)]
        found |= {each.id: each for each in rows if kind or each.id == name}
        if kind is None:
            require_rotatable(inventory, name, groups=choices.GROUPS)
    return list(found.values())


def require_rotatable(inventory: Inventory, name: str, *, groups: Iterable[str] = ()) -> Credential:
    """The row of that name. Raises UsageError, where `groups` would have done, too, and Refused for a passphrase."""
    row = inventory.credentials.get(name)
    if row is None:
        known = choices.nearest(name, (*(each.id for each in rotations.rotating(inventory)), *groups))
        word = f"chronos-secrets rotate {name}    # right after rotate" if name in _COMMANDS else None
        raise UsageError(f"there is no credential '{name}'", hint=word or known)
    if row.kind not in COURSES:
        said = [f"the inventory says: never: {row.rule.reason}"] if isinstance(row.rule, Never) else []
        raise Refused(
            f"{name} is never rotated: what was encrypted with it could not be read any more",
            details=[*said, *_INSTEAD],
            hint='the steps are in docs/rotation.md, "A new cipher pass"',
        )
    return row


def jobs(session: Session, rows: Sequence[Credential], wish: Wish) -> list[Job]:
    """What there is to do, by what the vault holds now. Opens it."""
    dates = dates_of.from_vault(session.inventory, session.values, session.now())
    return [_job(session, row, dates, wish) for row in rows]


def _job(session: Session, row: Credential, dates: dates_of.Dates, wish: Wish) -> Job:
    journal = dates.journals.get(row.id)
    try:
        require_own_entry(session.inventory, row)
        if row.id not in dates.known:
            session.values.entry(row)  # raises what is wrong with it
        begins, rests = _judged(session, row, dates, wish)
    except ChronosError as error:
        return Job(row, error=error, journal=journal)
    return Job(row, begins, rests, journal=journal)


def require_own_entry(inventory: Inventory, row: Credential) -> None:
    """The journal belongs to the entry: two rotations in one could not be told apart. Raises Refused."""
    for other in rotations.rotating(inventory):
        if other.entry == row.entry and other.id != row.id:
            raise Refused(
                f"{row.id} shares the entry '{row.entry}' with {other.id}, so it cannot be rotated",
                hint="give each an entry of its own in KeePassXC, and name it in inventory.yaml",
            )


def _judged(session: Session, row: Credential, dates: dates_of.Dates, wish: Wish) -> tuple[bool, str]:
    """Whether a rotation begins, and why nothing is done ("": something is). Raises Refused."""
    known, journal = dates.known.get(row.id), dates.journals.get(row.id)
    if known and known.progress:
        day = step_from(journal, row, session.zone) if journal else None
        if journal and day and day > session.today:
            return False, rotations.rest(row, journal, day) + (rotations.sooner(row, journal) if wish.unasked else "")
        return False, _waits_for_a_person(row, wish)
    found = standing(row, known, session.today)
    return True, _rests(row, found, wish) or _waits_for_a_person(row, wish)


def _waits_for_a_person(row: Credential, wish: Wish) -> str:
    """Why one that needs a person is left alone where nobody is, and nobody asked for this one."""
    if COURSES[row.kind].guided and row.id not in wish.named and not prompts.has_person():
        return f"waiting for you: chronos-secrets rotate {row.id}"
    return ""


def _rests(row: Credential, found: Standing, wish: Wish) -> str:
    """Why nothing is begun, or "" where it is. Raises Refused for one that was named and must not be."""
    command = f"chronos-secrets rotate {row.id} --now"
    if isinstance(row.rule, Automatic):
        return f"renewed by itself: {row.rule.how}"
    if isinstance(row.rule, Never) and not found.state.needs_action:
        if row.id not in wish.named:
            return f"never: {row.rule.reason}"
        if not wish.unasked:
            raise Refused(f"{row.id} is not rotated by plan: {row.rule.reason}", hint=f"{command}    # all the same")
        if not wish.yes and not prompts.has_person():
            raise Refused(f"nobody is here to be asked about {row.id}, which is never due", hint=f"{command} --yes")
        return ""
    if wish.unasked:
        return ""
    if found.last and found.due is None and found.state.needs_action:
        raise Refused(f"{row.id}: {found.next}", hint=f"{command}    # once the clock is right")
    return "" if found.state.needs_action else f"not due: {found.next}; at once: {command}"
