"""What stands on the review page: what is due, what is known of copies, backups and drills, and what was done. Pure.

Everything comes from answers that others have given; nothing here is a value of the vault.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, tzinfo
from typing import Any, NamedTuple

from chronos_secrets.inventory.model import Every, Interval, Inventory
from chronos_secrets.inventory.schedule import Known, State, add, expiry, occurrences
from chronos_secrets.pgbackrest.info import Stanza
from chronos_secrets.review.copies import KIND as COPY
from chronos_secrets.review.due import Row
from chronos_secrets.review.due import within as nearest
from chronos_secrets.rotation.journal import Phase

REVIEW_TASK = "docs-review"
"""The task whose last time was the last review, where the inventory has it."""
_QUARTER, _YEAR = Interval(3, "month"), Interval(12, "month")
_OFTEN = 13  # more occurrences than that in a year are a band, not marks
_SOON = frozenset({State.DUE_SOON, State.IN_PROGRESS})
_NO_GROUP, _TASKS = "Other", "Tasks"


class BackupLine(NamedTuple):
    """One backup of a repository. Times are UTC, sizes are bytes; `wal` is the range it can be replayed to."""

    repo: str
    label: str
    kind: str  # full, diff or incr
    stopped: datetime
    size: int | None
    wal: tuple[str | None, str | None]
    state: str  # in words
    is_good: bool


class Drill(NamedTuple):
    """One restore that was proved and measured. Durations are seconds; None is not measured or not promised."""

    at: datetime  # UTC
    backup: str
    fetch: float | None
    replay: float | None
    first_query: float | None
    rto_objective: float | None
    rpo: float | None
    rpo_objective: float | None
    is_good: bool
    words: str

    @property
    def rto(self) -> float | None:
        """How long it took from the first byte to the first answer; None where there was none."""
        if self.fetch is None or self.replay is None or self.first_query is None:
            return None
        return self.fetch + self.replay + self.first_query

    @property
    def kept(self) -> bool:
        """Whether it proved what was promised."""
        slow = self.rto_objective is not None and (self.rto is None or self.rto > self.rto_objective)
        lost = self.rpo_objective is not None and (self.rpo is None or self.rpo > self.rpo_objective)
        return self.is_good and not slow and not lost


class Mark(NamedTuple):
    """Something on a day: "done", "due", "later" (the plan, if what is due is done in time) or "expires"."""

    day: date
    what: str


class Lane(NamedTuple):
    """What is known of one row over time, oldest first. `band` is where the plan has it too often to mark each day."""

    id: str
    title: str
    kind: str
    rule: str
    marks: tuple[Mark, ...]
    band: tuple[date, date] | None = None

    def days(self, what: str) -> list[date]:
        return [mark.day for mark in self.marks if mark.what == what]


class Timeline(NamedTuple):
    """The year before and the year after a day."""

    start: date
    today: date
    end: date
    lanes: tuple[Lane, ...]


class Deed(NamedTuple):
    """What this machine's history says of one thing since the last review."""

    what: str
    of: str
    times: int
    last: datetime  # UTC
    note: str


class Since(NamedTuple):
    """The first day of what the page looks back on, and why it is that day, in words."""

    day: date
    why: str


class Facts(NamedTuple):
    """What was found out for the page; None for what nobody looked at."""

    made: datetime  # UTC
    zone: tzinfo  # of the inventory: its days are those of the page
    machine: str
    seen: datetime | None  # when the vault was last open on this machine (UTC)
    known: Mapping[str, Known]
    events: Sequence[Any]  # of this machine's history
    damaged: int  # lines of the history that are not as they were written
    copies: Sequence[Any] = ()  # review.copies.Held
    backups: Sequence[BackupLine] | None = None
    backups_seen: datetime | None = None  # when this machine last looked at them (UTC)
    drills: Sequence[Drill] = ()


class Page(NamedTuple):
    """The review page, ready to be written."""

    project: str
    owner: str
    zone: tzinfo
    today: date
    made: datetime
    machine: str
    seen: datetime | None
    rows: tuple[Row, ...]
    needed: tuple[Row, ...]
    links: Mapping[str, str]  # the page where a person renews a credential, by its id
    unknown: tuple[str, ...]
    timeline: Timeline
    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    copies: tuple[Any, ...]
    backups: tuple[BackupLine, ...] | None
    backups_seen: datetime | None
    drills: tuple[Drill, ...]
    since: Since
    done: tuple[Deed, ...]


def compose(
    inventory: Inventory, rows: Sequence[Row], facts: Facts, since: Since, *, today: date, within: int | None = None
) -> Page:
    """The page. `rows` are all of `due`, most urgent first; at its top stands what needs somebody now or soon: when it
    is due-soon, or within so many days."""
    asked = [row for row in rows if _is_near(row.standing.state)] if within is None else nearest(list(rows), within)
    targets = {each.id: each.target.page for each in inventory.credentials.values() if each.target and each.target.page}
    return Page(
        inventory.project, inventory.owner, facts.zone, today, facts.made, facts.machine, facts.seen, tuple(rows),
        tuple(asked), targets, tuple(_unknown(inventory, facts)), _timeline(inventory, rows, facts, today),
        tuple(_groups(inventory, rows)), tuple(facts.copies),
        None if facts.backups is None else tuple(facts.backups), facts.backups_seen, tuple(facts.drills),
        since, tuple(_deeds(facts.events, since.day, facts.zone)),
    )  # fmt: skip


def last_review(inventory: Inventory, ticks: Mapping[str, date], events: Iterable[Any], today: date) -> Since:
    """When the last review was. One that was ticked today is this one, so the time before it counts."""
    if REVIEW_TASK not in inventory.tasks:
        return Since(add(today, Interval(-3, "month")), f"the last {_QUARTER}, for there is no task {REVIEW_TASK}")
    days = [*_ticked(events, REVIEW_TASK), *([ticks[REVIEW_TASK]] if REVIEW_TASK in ticks else [])]
    last = max((day for day in days if day < today), default=None)
    if last is None:
        return Since(add(today, Interval(-3, "month")), f"the last {_QUARTER}, for {REVIEW_TASK} was not done before")
    return Since(last, f"the last review, when {REVIEW_TASK} was done")


def backup_lines(stanza: Stanza) -> list[BackupLine]:
    """The backups that a repository holds, the oldest first; each can be replayed to the newest WAL of its database."""
    ends = {(each.repo, each.database): each.last for each in stanza.archives}
    return [
        BackupLine(
            f"repo{each.repo}", each.label, each.kind, each.stopped, each.size,
            (each.wal_start, ends.get((each.repo, each.database)) or each.wal_stop),
            "it copied pages that were damaged" if each.error else "", not each.error,
        )
        for each in sorted(stanza.backups, key=lambda each: each.stopped)
    ]  # fmt: skip


def _is_near(state: State) -> bool:
    return state.needs_action or state in _SOON


def _unknown(inventory: Inventory, facts: Facts) -> Iterable[str]:
    """What a reader of the page must not take for granted."""
    if facts.seen is None:
        yield "The vault was never open on this machine: of credentials only the inventory is known."
    missing = len(inventory.credentials.keys() - facts.known.keys()) if facts.seen else 0
    if missing:
        yield f"When the vault was last open here, {missing} of the inventory's credentials had no entry in it."
    if inventory.pgbackrest and facts.backups is None:
        yield "This machine never looked at the backups. To look: chronos-secrets backup status"
    if inventory.pgbackrest and not facts.drills:
        yield "No restore was ever proved on this machine."
    if facts.damaged:
        yield f"{facts.damaged} lines of this machine's history are not as they were written; they are left out."
    yield "What other machines did is in their own history: here are their ticks and rotations, and nothing else."


def _groups(inventory: Inventory, rows: Iterable[Row]) -> Iterable[tuple[str, tuple[Row, ...]]]:
    """The credentials by the first group of their entries, by name; then what is no credential and no copy."""
    held: dict[str, list[Row]] = {}
    tasks = []
    for row in rows:
        credential = inventory.credentials.get(row.id)
        if credential is not None:
            held.setdefault(credential.entry.groups[0] if credential.entry.groups else _NO_GROUP, []).append(row)
        elif row.kind != COPY:
            tasks.append(row)
    yield from ((name, tuple(held[name])) for name in sorted(held, key=lambda name: (name == _NO_GROUP, name)))
    if tasks:
        yield _TASKS, tuple(tasks)


def _timeline(inventory: Inventory, rows: Iterable[Row], facts: Facts, today: date) -> Timeline:
    """The rows of which anything is known within the two years, those that come next first."""
    span = Timeline(add(today, Interval(-12, "month")), today, add(today, _YEAR), ())
    lanes = [_lane(inventory, row, facts, span) for row in rows]
    held = [each for each in lanes if each.marks or each.band]
    return span._replace(lanes=tuple(sorted(held, key=lambda each: min(each.days("due"), default=span.end))))


def _lane(inventory: Inventory, row: Row, facts: Facts, span: Timeline) -> Lane:
    due, today = row.standing.due, span.today
    done = {row.standing.last, *_when_done(facts.events, row.id, facts.zone)}
    marks = [Mark(day, "done") for day in done if day and span.start <= day <= today]
    marks += [Mark(due, "due")] if due and due <= span.end else []
    expires = _expires(inventory, row, facts.known, today)
    marks += [Mark(expires, "expires")] if expires and span.start <= expires <= span.end else []
    planned = _planned(inventory, row, max(due, today), span.end) if due else []
    if len(planned) > _OFTEN:
        return Lane(row.id, row.title, row.kind, row.standing.rule, tuple(sorted(marks)), (planned[0], planned[-1]))
    marks += [Mark(day, "later") for day in planned]
    return Lane(row.id, row.title, row.kind, row.standing.rule, tuple(sorted(marks)))


def _planned(inventory: Inventory, row: Row, after: date, end: date) -> list[date]:
    """The days after `after` that the plan comes to, if what is due is done in time."""
    if row.id in inventory.tasks:
        return occurrences(inventory.tasks[row.id], after, end)
    every = _interval(inventory, row)
    if every is None:
        return []
    days = []
    for index in range(1, 1 + 366 // every.least_days):
        day = add(after, Interval(index * every.number, every.unit))
        if not after < day <= end:
            break
        days.append(day)
    return days


def _interval(inventory: Inventory, row: Row) -> Interval | None:
    if row.id in inventory.credentials:
        rule = inventory.credentials[row.id].rule
        return rule.interval if isinstance(rule, Every) else None
    return inventory.vault.copies[row.id].rhythm[0] if row.kind == COPY and row.id in inventory.vault.copies else None


def _expires(inventory: Inventory, row: Row, known: Mapping[str, Known], today: date) -> date | None:
    credential = inventory.credentials.get(row.id)
    return expiry(credential, known.get(row.id), today) if credential else None


def _when_done(events: Iterable[Any], name: str, zone: tzinfo) -> set[date]:
    """The days on which the history has something as done."""
    mine = [event for event in events if event.subject == name]
    return {*_ticked(mine, name), *(event.at.astimezone(zone).date() for event in mine if _ends(event))}


def _ends(event: Any) -> bool:
    """Whether a copy was made, or a rotation came to its end."""
    return bool(event.what == "vault-copy" or (event.what == "rotate" and event.detail.get("phase") == Phase.DONE))


def _ticked(events: Iterable[Any], task: str) -> list[date]:
    found = []
    for event in events:
        if event.what == "done" and event.subject == task:
            try:
                found.append(date.fromisoformat(event.detail.get("on", "")))
            except ValueError:
                continue  # a line that somebody wrote by hand
    return found


def _deeds(events: Iterable[Any], since: date, zone: tzinfo) -> list[Deed]:
    """What was done, the last first. The same to the same thing is one line, and all steps of a rotation count once."""
    held: dict[tuple[str, str], list[Any]] = {}
    for event in events:
        if event.at.astimezone(zone).date() >= since:
            held.setdefault((event.what, event.subject), []).append(event)
    deeds = [
        Deed(what, of, _times(each), max(event.at for event in each), _note(each)) for (what, of), each in held.items()
    ]
    return sorted(deeds, key=lambda deed: (-deed.last.timestamp(), deed.what, deed.of))


def _times(events: Sequence[Any]) -> int:
    return len({event.detail.get("rotation") or str(event.number) for event in events})


def _note(events: Sequence[Any]) -> str:
    return next((event.detail["note"] for event in reversed(events) if event.detail.get("note")), "")
