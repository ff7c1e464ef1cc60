"""When five cron fields fire, in a timezone. Pure.

What the words mean is cron's own business (`inventory.fields` refuses what it does not know): a day fits by its number
or by its weekday where both are restricted, by both where one of them begins with a star. At a change of the clocks
what cron(8) of Debian says holds here: a fixed time that is skipped fires when the clocks have changed, one that comes
twice fires the first time; what is due every hour or every few minutes goes by the clock on the wall.
"""

import functools
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import NamedTuple

MONTHS = tuple("jan feb mar apr may jun jul aug sep oct nov dec".split())  # noqa: SIM905  read as cron.d writes them
WEEKDAYS = tuple("sun mon tue wed thu fri sat".split())  # noqa: SIM905  read as cron.d writes them
_LONGEST = 366 * 40  # days between two 29ths of February of one weekday, where a century has none


class Fields(NamedTuple):
    """What the five fields stand for; Sunday is 0."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool  # whether the day's number or its weekday is enough
    wild: bool  # whether it goes by the clock on the wall


def next_after(cron: str, moment: datetime, zone: tzinfo) -> datetime | None:
    """The first firing after `moment`, in `zone`; None for what never fires, such as a 30th of February."""
    fields, day = parse(cron), moment.astimezone(zone).date()
    for offset in range(-1, _LONGEST):
        for at in _firings(fields, day, offset, zone):
            if at > moment.astimezone(UTC):
                return at.astimezone(zone)
    return None


def last_before(cron: str, moment: datetime, zone: tzinfo) -> datetime | None:
    """The last firing at or before `moment`, in `zone`; None for what never fires."""
    fields, day = parse(cron), moment.astimezone(zone).date()
    for offset in range(1, -_LONGEST, -1):
        for at in reversed(_firings(fields, day, offset, zone)):
            if at <= moment.astimezone(UTC):
                return at.astimezone(zone)
    return None


@functools.cache
def parse(cron: str) -> Fields:
    """The meaning of a line that the schema has accepted."""
    minute, hour, day, month, weekday = cron.split(" ")
    return Fields(
        minutes=tuple(sorted(_values(minute, 0, 59))),
        hours=tuple(sorted(_values(hour, 0, 23))),
        days=_values(day, 1, 31),
        months=_values(month, 1, 12, MONTHS),
        weekdays=frozenset(each % 7 for each in _values(weekday, 0, 7, WEEKDAYS)),
        either=not (day.startswith("*") or weekday.startswith("*")),
        wild=minute.startswith("*") or hour.startswith("*"),
    )


def _values(field: str, least: int, most: int, words: tuple[str, ...] = ()) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        low = least if span == "*" else _number(first, least, words)
        high = most if span == "*" else _number(last, least, words) if dash else low
        found.update(range(low, high + 1, int(step or 1)))
    return frozenset(found)


def _number(word: str, least: int, words: tuple[str, ...]) -> int:
    return words.index(word.lower()) + least if word.lower() in words else int(word)


def _firings(fields: Fields, day: date, offset: int, zone: tzinfo) -> list[datetime]:
    """The firings of one day in their order, in UTC: two moments of one zone are compared by its clock on the wall."""
    day += timedelta(days=offset)
    if not fits(fields, day):
        return []
    found = {
        at.astimezone(UTC)
        for hour in fields.hours
        for minute in fields.minutes
        for at in _moments(datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone), wild=fields.wild)
    }
    return sorted(found)


def fits(fields: Fields, day: date) -> bool:
    """Whether it fires on a day."""
    number, weekday = day.day in fields.days, day.isoweekday() % 7 in fields.weekdays
    return day.month in fields.months and (number or weekday if fields.either else number and weekday)


def _moments(wall: datetime, *, wild: bool) -> tuple[datetime, ...]:
    """When the clock on the wall says so: once, twice, or, where it skips that time, when it has changed."""
    first, second = wall.replace(fold=0), wall.replace(fold=1)
    before, after = first.utcoffset() or timedelta(), second.utcoffset() or timedelta()
    if before == after:
        return (first,)
    if before > after:  # the clock is put back: the time comes twice
        return (first, second) if wild else (first,)
    return () if wild else (_changed(first),)


def _changed(skipped: datetime) -> datetime:
    """The moment of the change that skips a time."""
    zone, offset = skipped.tzinfo, skipped.utcoffset()
    at = skipped.astimezone(UTC).replace(second=0)
    while at.astimezone(zone).utcoffset() != offset:  # counted with the offset before, it lies after the change
        at -= timedelta(minutes=1)
    return at + timedelta(minutes=1)
