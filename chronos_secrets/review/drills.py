"""Whether a drill kept what the backups promise, and when the next one is due. Pure.

What was not measured is never taken for kept.
"""

from collections.abc import Iterator
from datetime import date, timedelta

from chronos_secrets.inventory.model import Interval, Inventory, Objectives
from chronos_secrets.inventory.schedule import repeated
from chronos_secrets.pgbackrest.proved import Drill, Judged, Verdict
from chronos_secrets.review.due import Row
from chronos_secrets.review.ticks import Ticks

DRILLED = "backup.drill"
"""The tick of a drill that proved the backups; no task's id has a dot in it."""
COMMAND = ("backup", "drill")
_LEAD = Interval(14, "day")


def judge(drill: Drill, objectives: Objectives | None) -> Judged:
    """How a drill stands to what the inventory promises."""
    verdicts = tuple(_verdicts(drill, objectives)) if objectives else ()
    return Judged(drill, verdicts, tuple(_faults(drill, verdicts)))


def rows(inventory: Inventory, ticks: Ticks, today: date) -> list[Row]:
    """When the next drill is due: nothing without that objective, or where a task of the inventory runs drills."""
    section = inventory.pgbackrest
    every = section.objectives.drill if section and section.objectives else None
    if every is None or any(task.run[:2] == COMMAND for task in inventory.tasks.values() if task.run):
        return []
    standing = repeated(DRILLED, ticks.get(DRILLED), every, _LEAD, today, what="drill")
    how = f"chronos-secrets {' '.join(COMMAND)}"
    return [
        Row(DRILLED, "task", "Restore the newest backup in a scratch place", "", "", inventory.owner, standing, how)
    ]


def _faults(drill: Drill, verdicts: tuple[Verdict, ...]) -> Iterator[str]:
    for check in drill.checks:
        if check.good is False:
            yield f"{check.name}: {check.words}"
    for point in drill.points:
        if point.fault:
            yield f"the moment {point.target.isoformat()}: {point.fault}"
    for verdict in verdicts:
        if not verdict.met:
            yield _missed(verdict)


def _verdicts(drill: Drill, objectives: Objectives) -> Iterator[Verdict]:
    if objectives.rto is not None:
        total = drill.seconds.total if drill.seconds else None
        yield Verdict("RTO", objectives.rto.total_seconds(), total, "" if drill.seconds else "nothing was restored")
    if objectives.rpo is not None:
        yield Verdict("RPO", objectives.rpo.total_seconds(), drill.rpo, _unbounded(drill))


def _unbounded(drill: Drill) -> str:
    if drill.lost is None:
        return "the newest commit that came back is not known"
    if not drill.archive_timeout:
        return "archive_timeout is 0, so a commit may wait for ever until it is archived"
    return ""


def _missed(verdict: Verdict) -> str:
    limit = timedelta(seconds=round(verdict.limit))
    if verdict.measured is None:
        return f"the {verdict.name} of {limit} is not kept: {verdict.words}"
    return f"the {verdict.name} of {limit} is not kept: it is {timedelta(seconds=round(verdict.measured))}"
