"""Backups as lines of a table and as JSON."""

from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Any

from chronos_secrets.amounts import lasting, size

HEADERS = ("BACKUP", "TYPE", "WHEN", "AGE", "TOOK", "SIZE", "IN REPO", "WAL")
VERIFY_HEADERS = ("WHAT", "CHECKED", "RESULT")
JsonRow = dict[str, object]


def moment(at: datetime | None, zone: tzinfo) -> str:
    """A time of the project's zone, with its name there: two a year come twice."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z") if at else "-"


def wal(first: str | None, last: str | None) -> str:
    """A range of WAL."""
    if first is None or last is None:
        return "-"
    return first if first == last else f"{first} to {last}"


def line(backup: Any, now: datetime, zone: tzinfo) -> tuple[str, ...]:
    """One backup. SIZE is what it restores, IN REPO what it added to the repository."""
    return (
        backup.label, f"{backup.kind}, DAMAGED" if backup.error else backup.kind, moment(backup.stopped, zone),
        lasting(now - backup.stopped) if backup.stopped <= now else "future",
        lasting(backup.stopped - backup.started), size(backup.size),
        size(backup.repo_delta), wal(backup.wal_start, backup.wal_stop),
    )  # fmt: skip


def made(backup: Any) -> str:
    """What a run has made, in one sentence."""
    took, new = lasting(backup.stopped - backup.started), size(backup.repo_delta)
    return f"{backup.label}: {backup.kind} backup of {size(backup.size)}, {new} new in the repository, in {took}"


def backup_json(backup: Any) -> JsonRow:
    """One backup; sizes in bytes, times UTC."""
    return {
        "label": backup.label, "type": backup.kind, "started": backup.started.isoformat(),
        "stopped": backup.stopped.isoformat(), "seconds": int((backup.stopped - backup.started).total_seconds()),
        "size": backup.size, "delta": backup.delta, "repository_size": backup.repo_size,
        "repository_delta": backup.repo_delta, "wal_start": backup.wal_start, "wal_stop": backup.wal_stop,
        "repository": backup.repo, "prior": backup.prior, "references": list(backup.references),
        "damaged_pages": backup.error,
    }  # fmt: skip


def faults(part: Any) -> str:
    """What `verify` found of one part."""
    found = [f"{count} {kind}" for kind, count in part.faults]
    if part.status not in ("valid", "invalid"):
        found.insert(
            0,
            {"in-progress": "being made", "manifest missing": "its manifest is missing"}.get(part.status, part.status),
        )
    if found:
        return ", ".join(found)
    return "good" if part.status == "valid" else "NOT GOOD"


def part_line(part: Any) -> tuple[str, ...]:
    """A backup, or the WAL of one database, as `verify` found it."""
    bad = part.faults or part.status not in ("valid", "in-progress")
    name = part.name if part.kind == "backup" else f"WAL of {part.name}"
    return name, str(part.checked), f"NOT GOOD: {faults(part)}" if bad else faults(part)


def part_json(part: Any) -> JsonRow:
    return {
        "kind": part.kind, "name": part.name, "status": part.status, "checked": part.checked,
        "faults": dict(part.faults),
    }  # fmt: skip


def loss(gap: Any, lost: Any, zone: tzinfo) -> str:
    """What segments that are missing mean for a restore, in one sentence."""
    names = gap.first if gap.first == gap.last else f"{gap.first} to {gap.last} ({gap.segments} segments)"
    since = f"after about {moment(lost.since, zone)}" if lost.since else "before the first segment that is there"
    until = f"until {moment(lost.until, zone)}" if lost.until else "until a new full backup is made"
    broken = f"; not restorable at all: {', '.join(lost.broken)}" if lost.broken else ""
    return f"WAL {names} is missing: no restore to a time {since} {until}{broken}"


def loss_json(gap: Any, lost: Any) -> JsonRow:
    return {
        "first": gap.first, "last": gap.last, "segments": gap.segments, "since": iso(lost.since),
        "until": iso(lost.until), "backups_lost": list(lost.broken),
    }  # fmt: skip


def iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def total(backups: Iterable[Any]) -> int:
    """Bytes that backups take in the repository, without the WAL."""
    return sum(each.repo_delta or 0 for each in backups)
