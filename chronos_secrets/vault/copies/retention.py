"""Which copies are to go. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Protocol

from chronos_secrets.vault.copies.record import Record


class Keep(Protocol):
    """How many copies are kept: the `last` ones, and the last one of each of so many days, weeks, months, years."""

    @property
    def last(self) -> int | None: ...
    @property
    def daily(self) -> int | None: ...
    @property
    def weekly(self) -> int | None: ...
    @property
    def monthly(self) -> int | None: ...
    @property
    def yearly(self) -> int | None: ...


_Period = Callable[[date], object]
_BEGINNING = datetime.min.replace(tzinfo=UTC)


def to_remove(records: Iterable[Record], keep: Keep | None, now: datetime, zone: tzinfo = UTC) -> list[Record]:
    """The copies of one place that its rule lets go, oldest first.

    Never the newest good copy, nor the newest that was opened, nor the one with the newest change in it. A copy that
    was never verified here or that is faulty, and one that is dated after `now` (a clock was wrong), neither counts
    nor goes. Days, weeks and so on that have no copy do not count; days are those of `zone`, weeks begin on Monday.
    """
    counted = sorted((each for each in records if each.is_good and each.made <= now), key=_age, reverse=True)
    if keep is None or not any((keep.last, keep.daily, keep.weekly, keep.monthly, keep.yearly)):
        return []
    kept = {each.name for each in (*_by_rule(counted, keep, zone), *_precious(counted))}
    return [each for each in reversed(counted) if each.name not in kept]


def _by_rule(newest_first: Sequence[Record], keep: Keep, zone: tzinfo) -> Iterator[Record]:
    yield from newest_first[: keep.last or 0]
    periods: tuple[tuple[int | None, _Period], ...] = (
        (keep.daily, lambda day: day),
        (keep.weekly, lambda day: day.isocalendar()[:2]),
        (keep.monthly, lambda day: (day.year, day.month)),
        (keep.yearly, lambda day: day.year),
    )
    for count, period in periods:
        last: dict[object, Record] = {}
        for each in newest_first:
            last.setdefault(period(each.made.astimezone(zone).date()), each)
        yield from list(last.values())[: count or 0]


def _precious(newest_first: Sequence[Record]) -> Iterator[Record]:
    """What no rule removes. By its content, too: the copy of a newer vault may have an older date."""
    opened = [each for each in newest_first if each.was_opened]
    yield from (*newest_first[:1], *opened[:1])
    for group in (newest_first, opened):
        if group:
            yield max(group, key=lambda each: (each.facts and each.facts.newest) or _BEGINNING)


def _age(record: Record) -> tuple[datetime, str]:
    return record.made, record.name
