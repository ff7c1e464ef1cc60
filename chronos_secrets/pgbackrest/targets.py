"""Until where a restore replays: recovery targets, and the moment that a person names for one. Pure.

PostgreSQL and pgBackRest take a time without a zone for the host's local one, so none is ever handed on without.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from chronos_secrets.errors import UsageError
from chronos_secrets.pgbackrest.info import Backup

Kind = Literal["latest", "time", "immediate"]

_EXAMPLE = '--to-time "2026-11-22 14:15 America/Toronto", or "2026-11-22 14:15:00-05:00"'
_MOMENT = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[ T](?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)"
    r"\s*(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?|[A-Za-z][A-Za-z0-9_+/-]*)?"
)


class Target(NamedTuple):
    """A recovery target. `at` is an aware time, for the kind "time" alone; `backup` a label, None for what fits.

    latest: all the WAL that the repository has. immediate: none but what makes the backup consistent, so that every
    commit after the backup is lost. `timeline` is the one that is followed; None is the latest that the repository has
    when the server starts, which may be a later one than when the files were fetched.
    """

    kind: Kind = "latest"
    at: datetime | None = None
    backup: str | None = None
    timeline: int | None = None


def parse_time(text: str) -> datetime:
    """The moment (UTC) that a person wrote: a day, a time, and an offset, Z or the name of a zone.

    Raises UsageError, also for a local time that a change of the clock left out or had twice; it names both meanings.
    """
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no time with a zone", hint=_EXAMPLE)
    try:
        bare = datetime.fromisoformat(f"{found['day']} {found['time']}")
    except ValueError:
        raise UsageError(f"{text!r} is no time that a calendar has", hint=_EXAMPLE) from None
    zone = found["zone"]
    if not zone:
        raise UsageError(f"{text!r} does not say in which zone", hint=f"{_EXAMPLE}, or Z for UTC")
    if zone == "Z" or zone[0] in "+-":
        return _in_utc(bare, _offset(zone, text))
    return _in_zone(bare, zone)


def _offset(zone: str, text: str) -> timedelta:
    if zone == "Z":
        return timedelta(0)
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 15 or minutes > 59:
        raise UsageError(f"{text!r} has an offset that no zone has", hint=_EXAMPLE)
    return timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)


def _in_utc(bare: datetime, offset: timedelta) -> datetime:
    try:
        return (bare - offset).replace(tzinfo=UTC)
    except OverflowError:
        raise UsageError(f"{bare} is no time that a database has", hint=_EXAMPLE) from None


def _in_zone(bare: datetime, name: str) -> datetime:
    """A local time as the moment that it is. Raises UsageError where it is none, or two."""
    try:
        zone = ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; a folder's name is an OSError
        raise UsageError(f"there is no time zone {name!r}", hint=_EXAMPLE) from None
    earlier, later = (bare.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    shifts = earlier.utcoffset() or timedelta(0), later.utcoffset() or timedelta(0)
    both = [_in_utc(bare, shift) for shift in shifts]
    if shifts[0] == shifts[1]:
        return both[0]
    what = "was there twice" if shifts[0] > shifts[1] else "was left out"
    first, second = (f'"{bare}{_written(shift)}"' for shift in shifts)
    raise UsageError(
        f"{bare} {what} in {name}, where the clocks changed: it may be {both[0]:%H:%M:%S} or {both[1]:%H:%M:%S} UTC",
        hint=f"--to-time {first}, or --to-time {second}",
    )


def _written(shift: timedelta) -> str:
    minutes = round(abs(shift).total_seconds() / 60)
    return f"{'-' if shift < timedelta(0) else '+'}{minutes // 60:02}:{minutes % 60:02}"


def argv(target: Target) -> tuple[str, ...]:
    """The options of `pgbackrest restore` that stand for a target. The server ends up open for writing, always."""
    chosen = (f"--set={target.backup}",) if target.backup else ()
    along = f"--target-timeline={target.timeline or 'latest'}"
    if target.kind == "latest":  # PostgreSQL opens by itself at the end of the WAL
        return (*chosen, "--type=default", along)
    if (
        target.kind == "immediate"
    ):  # pgBackRest takes no timeline for it, and PostgreSQL looks for the latest all the same
        named = (f"--recovery-option=recovery_target_timeline={target.timeline}",) if target.timeline else ()
        return (*chosen, "--type=immediate", "--target-action=promote", *named)
    if target.at is None:
        raise ValueError("a target in time without a time")
    at = target.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
    return (*chosen, "--type=time", f"--target={at}", "--target-action=promote", along)


def fitting(backups: Iterable[Backup], target: Target) -> Backup | None:
    """The backup that a restore to a target begins with: the newest that ended before it, or the one that it names.

    None where there is none. pgBackRest 2.45 itself takes the newest one of all then, with a warning.
    """
    made = [each for each in backups if target.at is None or each.stopped < target.at]
    if target.backup:
        made = [each for each in made if each.label == target.backup]
    return max(made, key=lambda each: (each.stopped, -each.repo), default=None)
