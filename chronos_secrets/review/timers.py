"""Whether what is started by a clock was started, and how it ended. Pure.

A timer that nobody looks at dies unseen, so each run leaves a record, and what is missing is told by `due`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from chronos_secrets.inventory import cron, firings
from chronos_secrets.inventory.model import LOCAL, Inventory
from chronos_secrets.inventory.schedule import Standing, State
from chronos_secrets.review.due import Row
from chronos_secrets.timers.plans import JOBS
from chronos_secrets.timers.record import Known, Run

KIND = "timer"
"""The kind of a row of `due` that stands for a timer of this machine."""

SLACK = timedelta(hours=6)
"""How late a run may begin, as after a night without power, and how long it may take."""

NEAR = timedelta(minutes=30)
"""Backups that start closer than this are warned of: a small database needs a minute, a large one much more."""


def fault(line: str, zone: ZoneInfo, run: Run | None, since: datetime | None, now: datetime) -> str | None:
    """What is wrong with the runs of a timer, in words; None where nothing is, or nothing is known.

    `since` is when the timer was installed, None where that is not known; a run that was due before is none.
    """
    expected = _expected(line, now - SLACK, zone)
    begun = [each for each in (since, run.begun if run else None) if each is not None]
    if expected is not None and begun and max(begun) < expected:
        return f"has not run since it should have, at {stamp(expected, zone)}"
    if run is None:
        return None
    if run.ended is None and now - run.begun > SLACK:
        return "began and did not end"
    if run.status == 0:
        return None
    return f"failed with status {run.status}" + (f": {run.words}" if run.words else "")


def _expected(line: str, before: datetime, zone: ZoneInfo) -> datetime | None:
    """The last time at which a timer had to start. Not on the day on which the clocks skip it: systemd does not."""
    at, fields = cron.last_before(line, before, zone), cron.parse(line)
    if at is not None and (at.hour not in fields.hours or at.minute not in fields.minutes):
        return cron.last_before(line, at.astimezone(UTC) - timedelta(minutes=1), zone)
    return at


def near(lines: Mapping[str, str], zone: ZoneInfo, now: datetime) -> str | None:
    """A warning where two backups start so soon one after the other that the first may still run; None for none."""
    distance = firings.nearest(lines.values(), now, zone, within=timedelta(days=62))
    if distance is None or distance >= NEAR:
        return None
    minutes = distance // timedelta(minutes=1)
    return f"two of {', '.join(lines)} start within {minutes} minutes: the second one waits until the first one ends"


def rows(inventory: Inventory, known: Known, now: datetime) -> list[Row]:
    """A row of `due` for each timer of this machine; none where none was installed on it."""
    since, zone = known.installed.get(LOCAL), ZoneInfo(inventory.timezone)
    if inventory.timers is None or since is None:
        return []
    found = []
    for name, timer in inventory.timers.jobs.items():
        run = known.runs.get(name)
        wrong = fault(timer.at, zone, run, since, now)
        standing = _standing(f"timer-{name}", timer.at, run, wrong, now=now, zone=zone)
        title = f"Timer of chronos-secrets {' '.join(JOBS[name])}"
        how = "chronos-secrets schedule verify" if wrong else ""
        found.append(Row(standing.id, KIND, title, "", "", inventory.owner, standing, how))
    return found


def _standing(id_: str, line: str, run: Run | None, wrong: str | None, *, now: datetime, zone: ZoneInfo) -> Standing:
    last = run.ended.astimezone(zone).date() if run and run.ended else None
    state, due, days = (State.STUCK, now.astimezone(zone).date(), 0) if wrong else (State.OK, None, None)
    clause = wrong or f"next run {next_run(line, now, zone)}"
    return Standing(id_, state, due, last, "ran" if last else None, f"at {line}", clause, days)


def stamp(at: datetime, zone: ZoneInfo) -> str:
    """A moment for a person, with the zone in which it is meant."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")


def next_run(line: str, now: datetime, zone: ZoneInfo) -> str:
    """When a timer fires next, for a person."""
    at = cron.next_after(line, now, zone)
    return stamp(at, zone) if at else "never"


def last_words(run: Run | None, zone: ZoneInfo) -> str:
    """How the last run went, for a table."""
    if run is None:
        return "-"
    how = "runs" if run.ended is None else "good" if run.status == 0 else f"status {run.status}"
    return f"{stamp(run.ended or run.begun, zone)}, {how}"
