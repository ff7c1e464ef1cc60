"""A restore in words and as JSON: what it is going to do, and what came of it."""

from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from chronos_secrets.amounts import lasting, size
from chronos_secrets.pgbackrest.info import Backup
from chronos_secrets.pgbackrest.running import Recovered
from chronos_secrets.pgbackrest.targets import Target
from chronos_secrets.report.backup import JsonRow, iso, moment

MOST = 3
"""Timelines that are told one by one."""


class Plan(NamedTuple):
    """What a restore is going to do. Nothing has been done.

    `newest` is the newest commit that can be replayed, None where none was found; `free` the bytes where the files go,
    None where nobody has looked; `full` the last full backup, `gap` the first WAL segment that is missing on the way.
    `left` are the timelines that were left, each with the time of its last commit before that, None where that is not
    known. `folder` is set for a look beside production; else `data` is replaced, and what it holds goes to `aside`,
    None for nothing. `first` is the command by which a person has to stop a server that is not ours to stop, `resumes`
    when an earlier run began, `placed` that it came as far as to start the server.
    """

    host: str
    target: Target
    backup: Backup
    timeline: int
    left: tuple[tuple[int, datetime | None], ...]
    newest: datetime | None
    full: Backup | None
    gap: str | None
    free: int | None
    data: str
    aside: str | None
    tablespaces: str | None
    stops: str | None
    starts: str | None
    resumes: str | None
    folder: str | None = None
    first: str | None = None
    placed: bool = False


def lines(plan: Plan, now: datetime, zone: tzinfo) -> list[str]:
    """The plan, one fact a line."""
    if plan.placed:
        begun = f"goes on with the restore that was begun at {plan.resumes}"
        return [f"{begun}: its files are in place in {plan.data} on {plan.host}", _starts(plan)]
    backup = plan.backup
    kind = f"{backup.kind} backup of {moment(backup.stopped, zone)}"
    room = "" if plan.free is None else f", {size(plan.free)} free on {plan.host}"
    found = [f"fetches {backup.label}, the {kind}: {size(backup.size)}{room}"]
    if plan.resumes:
        found.insert(0, f"goes on with the restore that was begun at {plan.resumes}")
    found += [_replays(plan, zone), *_loses(plan, now)]
    found += [f"follows timeline {plan.timeline}; {_left(plan, zone)}"] if plan.left else []
    if plan.folder:
        return [*found, f"puts the files into {plan.folder}; nothing is stopped, moved or started"]
    found += [f"the server must be stopped first: {plan.first}"] if plan.first else []
    found += [f"stops {plan.stops}"] if plan.stops else []
    found += [f"moves {plan.data} aside to {plan.aside}{_why_so(plan.aside)}; it is not deleted"] if plan.aside else []
    found += [f"puts tablespaces into {plan.tablespaces}"] if plan.tablespaces else []
    return [*found, _starts(plan), _expects(plan)]


def _why_so(aside: str) -> str:
    """Inside a data folder it is named as what the server leaves behind, and looks as if anyone may remove it."""
    return " (the name keeps it out of backups)" if aside.rpartition("/")[2].startswith("pgsql_tmp.") else ""


def _starts(plan: Plan) -> str:
    return f"starts {plan.starts}" if plan.starts else "starts nothing: that is for you to do"


def _replays(plan: Plan, zone: tzinfo) -> str:
    if plan.target.kind == "time":
        return f"replays WAL until {exact(plan.target.at, zone)}"
    if plan.target.kind == "immediate":
        return "replays no WAL but what makes the backup consistent"
    known = f"; its newest commit is of {exact(plan.newest, zone)}" if plan.newest else ""
    return f"replays all WAL that the repository has{known}"


def _loses(plan: Plan, now: datetime) -> list[str]:
    found, lost = [], "lacks" if plan.folder else "loses"  # a look beside production loses nothing
    if plan.gap:
        found.append(f"WAL IS MISSING from {plan.gap} on: nothing that was committed after it comes back")
    end = {"time": plan.target.at, "immediate": plan.backup.stopped}.get(plan.target.kind)
    if end and plan.newest and plan.newest > end:
        found.append(f"{lost} what was committed after that: {_span(plan.newest - end)} of the WAL there is")
    elif plan.target.kind == "latest" and plan.newest:
        found.append(f"{lost} what did not reach the repository: the last {_span(now - plan.newest)} at most")
    return found


def _span(span: timedelta) -> str:
    return "less than a second" if span < timedelta(seconds=1) else lasting(span)


def _left(plan: Plan, zone: tzinfo) -> str:
    """The place in the WAL where a timeline was left says nothing to a person: its last commit's time does."""
    if len(plan.left) > MOST:
        return f"what {len(plan.left)} earlier timelines committed after they were left does not come back"
    each = (
        f"what timeline {timeline} committed after {exact(at, zone) if at else 'it was left'}"
        for timeline, at in plan.left
    )
    return f"{', and '.join(each)} {'does' if len(plan.left) == 1 else 'do'} not come back"


def _expects(plan: Plan) -> str:
    """The rate at which the backup was made is the one thing known here of how fast this network and disk are."""
    if plan.full is None or plan.full.stopped - plan.full.started < timedelta(seconds=1):
        return "how long it takes is not known"
    seconds = (plan.full.stopped - plan.full.started) * (plan.backup.size / max(plan.full.delta, 1))
    return f"takes about {lasting(seconds)} for the files, if they come as fast as they went; the replay comes on top"


def exact(at: datetime | None, zone: tzinfo) -> str:
    """A time to the second, or as exactly as it is."""
    if at is None:
        return "-"
    local = at.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S}{f'.{local.microsecond:06}' if local.microsecond else ''} {local:%Z}"


def plan_json(plan: Plan) -> JsonRow:
    """The plan; times UTC, sizes in bytes."""
    return {
        "host": plan.host, "target": plan.target.kind, "time": iso(plan.target.at), "backup": plan.backup.label,
        "size": plan.backup.size, "free": plan.free, "timeline": plan.timeline, "newest_commit": iso(plan.newest),
        "missing_wal": plan.gap, "data": plan.data, "aside": plan.aside, "stops": plan.stops, "starts": plan.starts,
        "folder": plan.folder, "first": plan.first, "resumes": plan.resumes,
    }  # fmt: skip


def recovered(found: Recovered, zone: tzinfo) -> list[str]:
    """What the server says after its recovery, one fact a line."""
    last = f"its last transaction is of {exact(found.last, zone)}" if found.last else "it replayed no transaction"
    counts = (f"{table}: {'cannot be counted' if count is None else f'{count} rows'}" for table, count in found.rows)
    return [f"the server is open for writing, on timeline {found.timeline}; {last}", *counts]


def recovered_json(found: Recovered) -> JsonRow:
    return {
        "timeline": found.timeline, "last_transaction": iso(found.last), "seconds": round(found.seconds, 1),
        "rows": dict(found.rows),
    }  # fmt: skip
