"""Copies of the vault as lines of a table and as JSON."""

from datetime import datetime, tzinfo
from typing import Any

from chronos_secrets.vault.copies.record import Record

PLACE_HEADERS = ("COPY", "NEWEST", "AGE", "VERIFIED", "PASSWORD", "STATE")
COPY_HEADERS = ("MADE", "ENTRIES", "VERIFIED", "PASSWORD", "SHA-256")
_STATES = {"copied": "copied", "already there": "already there", "waits": "waits", "faulty": "NOT GOOD"}
JsonRow = dict[str, object]


def count(number: int) -> str:
    """So many copies, in words."""
    return f"{number} {'copy' if number == 1 else 'copies'}"


def age(made: datetime, now: datetime) -> str:
    """How long ago something was made, in its largest unit."""
    seconds = (now - made).total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "new" if seconds > -60 else "future"


def stamp(record: Record | None, zone: tzinfo) -> str:
    """When a copy was made, in the project's time."""
    return record.made.astimezone(zone).strftime("%Y-%m-%d %H:%M") if record else "-"


def outcome(made: Any) -> str:
    """What became of one place when the vault was copied."""
    told = _STATES[made.state]
    if made.record and made.error is None and made.state != "faulty":
        told += ", and opened" if made.record.how == "opened" else ", verified by its hash"
    return f"{told}: {made.words}" if made.words else told


def place_line(held: Any, away: str | None, now: datetime, zone: tzinfo) -> tuple[str, ...]:
    """One place: its newest copy, and what there is to say of the others."""
    newest = held.newest
    day, old = (f"{newest.made.astimezone(zone):%Y-%m-%d}", age(newest.made, now)) if newest else ("-", "-")
    return held.row.id, day, old, _verified(newest, zone), _password(held, newest), _state(held, away, zone)


def copy_line(held: Any, record: Record, zone: tzinfo) -> tuple[str, ...]:
    """One copy. Its file is known by the time (in UTC) and by these digits, which are in its name."""
    return stamp(record, zone), _entries(record), _verified(record, zone), _password(held, record), record.sha256[:12]


def seen_line(seen: Any, zone: tzinfo) -> tuple[str, ...]:
    """What looking at one copy came to."""
    return seen.row.id, stamp(seen.record, zone), _entries(seen.record), seen.words


def outcome_json(made: Any) -> JsonRow:
    return {
        "id": made.id, "state": made.state, "file": made.record.name if made.record else None,
        "why": made.words or None,
    }  # fmt: skip


def seen_json(seen: Any) -> JsonRow:
    told = record_json(seen.record) if seen.record else {}
    return {"id": seen.row.id, "good": not seen.status, "opened_now": seen.opened, "result": seen.words, **told}


def place_json(held: Any, away: str | None, where: str) -> JsonRow:
    since = held.waits_since
    return {
        "id": held.row.id, "where": where, "away": away, "waits_since": since.isoformat() if since else None,
        "why": held.queued.why if held.queued else None,
        "copies": [{**record_json(each), "older_password": held.has_older_password(each)} for each in held.records],
    }  # fmt: skip


def record_json(record: Record) -> JsonRow:
    """One copy; what is not known is null, and times are UTC."""
    facts = record.facts
    return {
        "file": record.name, "made": record.made.isoformat(), "size": record.size, "sha256": record.sha256,
        "entries": facts.entries if facts else None, "kdbx": facts.version if facts else None,
        "verified": _iso(record.verified), "opened": _iso(record.opened), "fault": record.fault,
    }  # fmt: skip


def _state(held: Any, away: str | None, zone: tzinfo) -> str:
    parts = [f"NOT GOOD: the newest {held.newest.fault}"] if held.newest and held.newest.fault else []
    parts += [count(len(held.records))] if held.records else ["no copy"]
    if held.older_passwords:
        parts.append(f"{held.older_passwords} with an older password")
    if (since := held.waits_since) is not None:
        parts.append(f"the change of {since.astimezone(zone):%Y-%m-%d} waits")
    why = away or (held.queued.why if held.queued else "")
    return "; ".join([*parts, *([why] if why else [])])


def _verified(record: Record | None, zone: tzinfo) -> str:
    if record is None or (record.verified is None and record.fault is None):
        return "never"
    if record.fault is not None or record.verified is None:
        return "NOT GOOD"
    return f"{'opened' if record.opened else 'by hash'} {(record.opened or record.verified).astimezone(zone):%Y-%m-%d}"


def _password(held: Any, record: Record | None) -> str:
    older = held.has_older_password(record) if record else None
    return "?" if older is None else "older" if older else "current"


def _entries(record: Record | None) -> str:
    return str(record.facts.entries) if record and record.facts else "?"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
