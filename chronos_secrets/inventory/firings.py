"""What is started by a clock: that it ever is, that something can start it, and that no two backups collide. Pure."""

import functools
import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from chronos_secrets.inventory import cron
from chronos_secrets.inventory.model import LOCAL, BackupSchedule, Inventory
from chronos_secrets.inventory.nodes import Wrong

if TYPE_CHECKING:
    from chronos_secrets.inventory.rules import Places

_SCHEDULE = ("pgbackrest", "schedule")
_LOST = (
    "pgBackRest makes one backup at a time: the second one fails (50), and where that is the full one, there is none"
)
_A_MINUTE = timedelta(minutes=1)
_CYCLE = (date(2001, 1, 1), 28 * 365 + 7)  # after these days each date had each weekday
_CHANGES = (datetime(2025, 1, 1, tzinfo=UTC), 390)  # fortnights in which changes of the clocks are looked for


def ever(*lines: str) -> bool:
    """Whether there is a day on which all of the lines fire."""
    first, days = _CYCLE
    found = [cron.parse(each) for each in lines]
    return any(all(cron.fits(each, first + timedelta(days=number)) for each in found) for number in range(days))


def together(one: str, other: str) -> str | None:
    """The first time of a day (HH:MM) at which two lines fire in one minute; None where they never do."""
    first, second = cron.parse(one), cron.parse(other)
    hours = [each for each in first.hours if each in second.hours]
    minutes = [each for each in first.minutes if each in second.minutes]
    return f"{hours[0]:02}:{minutes[0]:02}" if hours and minutes and ever(one, other) else None


def moved_together(one: str, other: str, zone: ZoneInfo) -> date | None:
    """The first day on which two lines fire in one minute because the clocks skip what one of them means."""
    fixed = {hour for each in map(cron.parse, (one, other)) if not each.wild for hour in each.hours}
    for at, hours in _skips(zone):
        if fixed.isdisjoint(hours):
            continue  # what follows costs a hundred times as much
        if all(cron.next_after(each, at - _A_MINUTE, zone) == at for each in (one, other)):
            return at.astimezone(zone).date()
    return None


def nearest(lines: Iterable[str], moment: datetime, zone: ZoneInfo, *, within: timedelta) -> timedelta | None:
    """The shortest time between firings of two of the lines in the time `within` after `moment`; None for none."""
    fired = sorted((at, line) for line in lines for at in until(line, moment, moment + within, zone))
    pairs = itertools.pairwise(fired)
    return min((after[0] - before[0] for before, after in pairs if before[1] != after[1]), default=None)


def changes(zone: ZoneInfo) -> bool:
    """Whether the zone's clocks are known to change."""
    return len({offset for _, offset in _offsets(zone)}) > 1


@functools.cache
def _skips(zone: ZoneInfo) -> tuple[tuple[datetime, frozenset[int]], ...]:
    """The moments (UTC) at which the zone's clocks are put forward, each with the hours of which they skip minutes."""
    found = []
    for (early, before), (late, after) in itertools.pairwise(_offsets(zone)):
        if after <= before:
            continue
        at = _changed(early, late, zone)
        hours, hour = set(), (at + before).replace(minute=0)
        while hour < at + after:
            hours.add(hour.hour)
            hour += timedelta(hours=1)
        found.append((at, frozenset(hours)))
    return tuple(found)


def _changed(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The minute of the change between two moments."""
    before = low.astimezone(zone).utcoffset()
    while high - low > _A_MINUTE:
        middle = (low + (high - low) / 2).replace(second=0, microsecond=0)
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
    return high


@functools.cache
def _offsets(zone: ZoneInfo) -> tuple[tuple[datetime, timedelta], ...]:
    """How far the zone's clocks are ahead of UTC, in each fortnight from 2025 to 2039."""
    start, number = _CHANGES
    fortnights = (start + timedelta(days=14 * step) for step in range(number))
    return tuple((at, at.astimezone(zone).utcoffset() or timedelta()) for at in fortnights)


def until(line: str, moment: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The firings of a line after `moment`, up to `end`, in UTC."""
    at = cron.next_after(line, moment, zone)
    while at is not None and at <= end:
        yield at.astimezone(UTC)  # two moments of one zone are compared by its clock on the wall
        at = cron.next_after(line, at, zone)


def check(inventory: Inventory, places: "Places") -> None:
    """Raises Wrong."""
    for job, timer in inventory.timers.jobs.items() if inventory.timers else ():
        _check_fires(timer.at, places, ("timers", job, "at"))
    if inventory.timers and inventory.timers.copies and not inventory.vault.copies:
        raise Wrong(places.key("timers", "copies"), "copies of timers has nothing to copy to", "add copies: to vault")
    section = inventory.pgbackrest
    if section is None or section.schedule is None:
        return
    _check_host(inventory, section.host, section.schedule.host, places)
    for type_, line in section.schedule.starts.items():
        _check_fires(line, places, (*_SCHEDULE, type_))
    _check_collisions(section.schedule, places)
    _check_clock(section.schedule, places)


def _check_fires(line: str, places: "Places", path: tuple[str, ...]) -> None:
    if not ever(line):
        message = f"{path[-1]} of {' of '.join(reversed(path[:-1]))} never comes: no year has that day"
        raise Wrong(places.at(*path), message)


def _check_host(inventory: Inventory, runs_on: str, started_on: str, places: "Places") -> None:
    """What starts a backup is the host that pgBackRest is on, or the one that runs its container."""
    outer = inventory.hosts[runs_on].inside if runs_on != LOCAL and inventory.hosts[runs_on].container else runs_on
    node = places.at(*_SCHEDULE, "host")
    if started_on != LOCAL and inventory.hosts[started_on].container:
        raise Wrong(node, f"host of schedule is {started_on}, a container, where no timer runs", f"write {outer}")
    if started_on != outer:
        raise Wrong(node, f"host of schedule is {started_on}, but pgbackrest runs on {runs_on}", f"write {outer}")


def _check_collisions(schedule: BackupSchedule, places: "Places") -> None:
    zone = ZoneInfo(schedule.timezone)
    for (first, one), (second, other) in itertools.combinations(schedule.starts.items(), 2):
        if (at := together(one, other)) is not None:
            message = f"{second} of schedule starts when {first} does, as at {at}; {_LOST}"
            raise Wrong(places.at(*_SCHEDULE, second), message, _another(one, other))
        if (day := moved_together(one, other, zone)) is not None:
            message = f"{second} of schedule starts when {first} does on {day}, when the clocks skip an hour; {_LOST}"
            raise Wrong(places.at(*_SCHEDULE, second), message, "choose times that no clock skips, or timezone: UTC")


def _another(one: str, other: str) -> str:
    """The same line without the hours of the other, where that leaves any; else words."""
    minutes, hours, *days = other.split(" ")
    left = [each for each in cron.parse(other).hours if each not in cron.parse(one).hours]
    if not left or hours == "*":
        return "choose another minute, as far off as the longest backup takes"
    return f'for example "{" ".join((minutes, ",".join(map(str, left)), *days))}"'


def _check_clock(schedule: BackupSchedule, places: "Places") -> None:
    """cron(8) moves what the clocks skip to the next minute, where it may meet another backup."""
    if schedule.by == "cron" and changes(ZoneInfo(schedule.timezone)):
        message = f"timezone of schedule is {schedule.timezone}, whose clocks change; cron starts no backup well then"
        raise Wrong(places.at(*_SCHEDULE, "timezone"), message, "write UTC, or by: systemd")
