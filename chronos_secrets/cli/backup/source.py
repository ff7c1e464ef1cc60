"""What a restore is made of: the backup and the WAL that lead to its target."""

import contextlib
from datetime import datetime
from typing import NamedTuple

from chronos_secrets.cli.backup.place import Place
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Refused, TargetFailed
from chronos_secrets.pgbackrest import info, targets, wal
from chronos_secrets.pgbackrest.info import Archive, Backup
from chronos_secrets.pgbackrest.targets import Target
from chronos_secrets.report.restoring import MOST, exact

COMMAND = "chronos-secrets backup restore"


class Source(NamedTuple):
    """What a restore is made of. `left` are the timelines that were left, each with its last commit before that."""

    target: Target
    backup: Backup
    kept: wal.Kept
    full: Backup | None
    newest: datetime | None
    major: str
    left: tuple[tuple[int, datetime | None], ...]


def find(session: Session, place: Place, target: Target) -> Source:
    """The backup and the WAL of a target. Raises Refused for a target that no server would reach."""
    if target.at and target.at > session.now():
        raise Refused(f"{_told(session, target)} is in the future", hint=f"{COMMAND}    # for the latest state")
    stanza = place.runner.held()
    archive = max(stanza.archives, key=lambda each: (each.database, -each.repo), default=None)
    if archive is None or not stanza.backups:
        raise TargetFailed(
            f"there is nothing to restore: {info.STATES.get(stanza.code, 'unknown')}", hint=place.runner.by_hand("info")
        )
    kept = wal.look(place.runner, archive)
    of_it = [each for each in stanza.backups if each.database == archive.database and _followed(kept, each)]
    backup = targets.fitting(of_it, target)
    if backup is None:
        raise _no_backup(session, stanza.backups, of_it, target)
    kept = kept.lacking(backup)
    newest = wal.last_commit(place.host, place.runner, place.account, archive, kept=kept)
    if target.at and newest and target.at >= newest:
        _refuse_late(session, target, newest, kept)
    full = max((each for each in of_it if each.kind == "full"), key=lambda each: each.stopped, default=None)
    return Source(
        target._replace(backup=backup.label), backup, kept, full, newest, archive.id.partition("-")[0],
        _left(place, archive, kept),
    )  # fmt: skip


def _left(place: Place, archive: Archive, kept: wal.Kept) -> tuple[tuple[int, datetime | None], ...]:
    """Many are only counted, so nothing is read for them; a segment that cannot be read is no reason not to restore."""
    left = kept.along.left

    def last(each: wal.Left) -> datetime | None:
        if len(left) > MOST:
            return None
        with contextlib.suppress(TargetFailed):
            return wal.last_commit(place.host, place.runner, place.account, archive, kept=kept.before(each))
        return None

    return tuple((each.timeline, last(each)) for each in left)


def _followed(kept: wal.Kept, backup: Backup) -> bool:
    """Whether a backup is of the past that the latest timeline has, not of one that was left."""
    return backup.wal_stop is None or kept.along.until(backup.wal_stop) is not None


def _told(session: Session, target: Target) -> str:
    return exact(target.at, session.zone)


def _no_backup(session: Session, every: tuple[Backup, ...], usable: list[Backup], target: Target) -> Refused:
    named = [each for each in every if each.label == target.backup]
    if target.backup and not named:
        return Refused(f"there is no backup {target.backup}", hint="chronos-secrets backup info")
    if target.backup and named[0] not in usable:
        return Refused(
            f"{target.backup} is of a timeline that was left by an earlier restore, or of another database",
            hint="chronos-secrets backup info",
        )
    if not usable:
        return Refused("no backup is of the timeline that the WAL follows", hint="chronos-secrets backup full")
    if named and target.at and (fits := targets.fitting(usable, target._replace(backup=None))):
        return Refused(
            f"{target.backup} ended {exact(named[0].stopped, session.zone)}, not before {_told(session, target)}",
            hint=f"{COMMAND} --to-time {target.at.isoformat()}    # begins with {fits.label}",
        )
    first = min(usable, key=lambda each: each.stopped)
    return Refused(
        f"no backup ended before {_told(session, target)}: {first.label} ended {exact(first.stopped, session.zone)}",
        hint=f"{COMMAND} --immediate --set {first.label}    # the earliest state there is",
    )


def _refuse_late(session: Session, target: Target, newest: datetime, kept: wal.Kept) -> None:
    why = f", for WAL is missing from {kept.gap} on" if kept.gap else ""
    raise Refused(
        f"the WAL of the repository ends before {_told(session, target)}: its newest commit that can be replayed is of "
        f"{exact(newest, session.zone)}{why}",
        hint=f"{COMMAND}    # the latest state: all that is there",
    )
