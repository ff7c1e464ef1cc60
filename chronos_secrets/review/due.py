"""What is due: the inventory's rules and tasks against what is known of the vault and of this machine's ticks. Pure."""

import shlex
from collections.abc import Iterable, Mapping
from datetime import date
from types import MappingProxyType
from typing import NamedTuple

from chronos_secrets.inventory.model import Credential, Inventory, Task
from chronos_secrets.inventory.schedule import Known, Standing, State, standing, task_standing
from chronos_secrets.review.ticks import Ticks
from chronos_secrets.rotation.courses import COURSES

ANY = "*"
"""In a command line that this program can run: whatever word, such as the value of an option."""


class Row(NamedTuple):
    """One credential, task or place of copies, as it stands today; it holds locations and days, never a value."""

    id: str
    kind: str  # the credential's kind, or "task", "copy" …
    title: str
    purpose: str
    entry: str  # where KeePassXC keeps it; "" for a task
    owner: str
    standing: Standing
    how: str  # what to do about it, for a person: a command that exists, or words


def rows(
    inventory: Inventory,
    known: Mapping[str, Known],
    ticks: Ticks,
    today: date,
    commands: frozenset[tuple[str, ...]],
    *,
    waiting: Mapping[str, str] = MappingProxyType({}),
    also: Iterable[Row] = (),
) -> list[Row]:
    """Every credential and task, and the rows of others in `also`, most urgent first.

    `commands` are the command lines that this program can run; ANY at the end of one stands for any word. `waiting` are
    those that a person has to run first, by the credential whose last rotation stopped for that.
    """
    found = [
        _credential_row(each, known.get(each.id), today, waiting.get(each.id))
        for each in inventory.credentials.values()
    ]
    found += [_task_row(each, ticks.get(each.id), today, commands) for each in inventory.tasks.values()]
    return sorted(
        [*found, *also], key=lambda row: (_URGENCY.index(row.standing.state), row.standing.due or date.max, row.id)
    )


def within(found: list[Row], days: int) -> list[Row]:
    """The rows that need somebody now or within `days` days."""
    return [row for row in found if row.standing.state.needs_action or _soon(row.standing, days)]


def demands(found: list[Row], *, also: State | None = None) -> bool:
    """Whether anything is due, overdue, expired, unknown or stuck, or in the state `also`."""
    return any(row.standing.state.needs_action or row.standing.state is also for row in found)


_URGENCY = [
    State.EXPIRED, State.STUCK, State.OVERDUE, State.UNKNOWN, State.DUE, State.IN_PROGRESS, State.DUE_SOON, State.OK,
    State.AUTOMATIC, State.NEVER,
]  # fmt: skip


def _soon(found: Standing, days: int) -> bool:
    return found.days is not None and found.days <= days


def _credential_row(credential: Credential, known: Known | None, today: date, waiting: str | None) -> Row:
    found = standing(credential, known, today)
    return Row(
        credential.id, credential.kind, credential.title, credential.purpose or "", str(credential.entry),
        credential.owner, found, how_to_rotate(credential, found, today, waiting),
    )  # fmt: skip


def how_to_rotate(credential: Credential, found: Standing, today: date, waiting: str | None = None) -> str:
    """What a person or a timer does about a credential; "" for nothing now. `waiting` is a command to run before."""
    if found.state in (State.OK, State.NEVER, State.AUTOMATIC):
        return ""
    if credential.kind == "recovery-codes" and found.state is State.UNKNOWN:
        return "chronos-secrets due --unlock"
    if found.state is State.IN_PROGRESS and found.due and found.due > today:
        return ""
    course, command = COURSES.get(credential.kind), f"chronos-secrets rotate {credential.id}"
    if course is None:
        page = credential.target.page if credential.target else None
        return f"renew it{f' at {page}' if page else ''}, then store the new one in KeePassXC"
    if found.state is State.DUE_SOON:
        command += " --now"
    if waiting:
        return f"waiting for you: {waiting}, then {command}"
    return f"waiting for you: {command}" if course.guided else command


def _task_row(task: Task, done: date | None, today: date, commands: frozenset[tuple[str, ...]]) -> Row:
    how = f"chronos-secrets done {task.id}"
    if task.run and (task.run in commands or (*task.run[:-1], ANY) in commands):
        how = shlex.join(("chronos-secrets", *task.run))
    return Row(task.id, "task", task.title, "", "", task.owner, task_standing(task, done, today), how)
