"""How the backups stand by what this machine saw last: for `due`, which asks nobody. Pure."""

from datetime import datetime, timedelta
from typing import NamedTuple

from chronos_secrets.amounts import lasting
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.inventory.schedule import Standing, State
from chronos_secrets.review.due import Row

_ID, _KIND = "backup.full", "backup"  # no credential's or task's id has a dot in it
_STATUS = "chronos-secrets backup status"


class Seen(NamedTuple):
    """What this machine saw of the backups when it last looked: when, and when the newest full had ended."""

    at: datetime
    full: datetime | None


def rows(inventory: Inventory, seen: Seen | None, now: datetime) -> list[Row]:
    """Whether the newest full backup is as young as promised: nothing without that objective."""
    section = inventory.pgbackrest
    limit = section.objectives.full_age if section and section.objectives else None
    if limit is None:
        return []
    standing = _standing(seen, limit, now)
    how = "" if standing.state is State.OK else _STATUS
    return [Row(_ID, _KIND, "Full backup of the database", "", "", inventory.owner, standing, how)]


def _standing(seen: Seen | None, limit: timedelta, now: datetime) -> Standing:
    state, clause = _judged(seen, limit, now)
    last = seen.full.date() if seen and seen.full else None
    rule = f"at most {lasting(limit)} old"
    return Standing(_ID, state, None, last, "seen" if last else None, rule, clause, None)


def _judged(seen: Seen | None, limit: timedelta, now: datetime) -> tuple[State, str]:
    """One that is too old by now, by what was last seen, may have a younger one: that is unknown, not overdue."""
    if seen is None:
        return State.UNKNOWN, "never looked at from this machine"
    ago = lasting(now - seen.at)
    if seen.full is None:
        return State.OVERDUE, f"there was none when last seen, {ago} ago"
    if seen.at - seen.full > limit:
        return State.OVERDUE, f"it was {lasting(seen.at - seen.full)} old when last seen, {ago} ago"
    if now - seen.full > limit:
        return State.UNKNOWN, f"last seen {ago} ago; the one of then would be too old by now"
    return State.OK, f"{lasting(now - seen.full)} old"
