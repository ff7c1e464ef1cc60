"""The mark that a drill leaves on production, so that what comes back is known to be new.

A row of a table of our own, `chronos_secrets.drill`, which is made at the first drill; it is all that is ever written
there. Where the role may not, a restore point in the WAL, or at least the position that the server is at.
"""

import contextlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from chronos_secrets.errors import Refused, TargetFailed
from chronos_secrets.pgbackrest import archiver
from chronos_secrets.pgbackrest.proved import Marker
from chronos_secrets.pgbackrest.server import Server

KEPT = 50
"""Rows that stay in the table: a restore of an older moment is proved by the older ones."""
_SHIPPING = 120.0  # seconds that a closed segment may take to be archived

_MISSING = "SELECT to_regclass('chronos_secrets.drill') IS NULL"
_MAKE = (
    "CREATE SCHEMA IF NOT EXISTS chronos_secrets",
    "CREATE TABLE IF NOT EXISTS chronos_secrets.drill (id text PRIMARY KEY, at timestamptz NOT NULL)",
)
_PRUNE = (
    "DELETE FROM chronos_secrets.drill WHERE id IN"  # noqa: S608  a number of ours
    f" (SELECT id FROM chronos_secrets.drill ORDER BY at DESC OFFSET {KEPT - 1})"
)
# psql prints the tag of an INSERT among its rows, but not that of a SELECT.
_WRITE = (
    "WITH written AS (INSERT INTO chronos_secrets.drill VALUES ('{mark}', clock_timestamp()) RETURNING at)"
    " SELECT extract(epoch FROM at) FROM written"
)
_ROWS = "SELECT id, extract(epoch FROM at) FROM chronos_secrets.drill"
_POSITION = (
    "SELECT extract(epoch FROM clock_timestamp()), pg_current_wal_insert_lsn() - '0/0'::pg_lsn,"
    " pg_walfile_name(pg_current_wal_insert_lsn())"
)
_ARCHIVER = (
    "SELECT last_archived_wal, coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)"
    " FROM pg_stat_archiver"
)
_SETTINGS = (
    "shared_preload_libraries", "max_prepared_transactions", "max_locks_per_transaction", "max_worker_processes",
)  # fmt: skip


class Production(NamedTuple):
    """The server whose backups are drilled: how it is asked, and what it says of itself.

    `settings` are those that a restored server must share; its own file may not be among what is backed up.
    `archive_timeout` is in seconds; 0 is never.
    """

    server: Server
    major: str
    archive_timeout: float
    settings: Mapping[str, str]


def production(server: Server) -> Production:
    """Ask the production server. Raises TargetFailed, Refused where nothing of it is archived."""
    found = _settings(server)
    if found.get("archive_mode") == "off":
        raise Refused(
            "the database has archive_mode off: what is written after a backup is not kept",
            hint="chronos-secrets backup configure --check",
        )
    version = int(found.get("server_version_num", "0"))
    return Production(server, str(version // 10000), float(found.get("archive_timeout", "0")), _shared(found))


def shared(server: Server) -> dict[str, str]:
    """The settings that a server restored from the backups of this one must share. Raises TargetFailed."""
    return _shared(_settings(server))


def _settings(server: Server) -> dict[str, str]:
    return {row[0]: row[1] for row in server.ask("SELECT name, setting FROM pg_settings") if len(row) == 2}


def _shared(found: Mapping[str, str]) -> dict[str, str]:
    return {name: found[name] for name in _SETTINGS if name in found}


def leave(server: Server, mark: str) -> Marker:
    """Leave `mark`, a word of ours, and close the WAL segment that holds it.

    Raises TargetFailed where the database does not answer.
    """
    kind, reason = "row", ""
    try:
        at = _row(server, mark)
    except TargetFailed as error:
        kind, at, reason = _restore_point(server, mark), 0.0, error.message
    now, position, segment = server.ask(_POSITION)[0]
    with contextlib.suppress(TargetFailed):  # the role may not; then the archive timeout closes it
        server.ask("SELECT pg_switch_wal()")
    moment = datetime.fromtimestamp(at or float(now), UTC)
    return Marker(kind, mark, moment, int(float(position)), segment, reason)


def ship(production: Production, marker: Marker) -> Marker:
    """Wait until the marker's WAL segment is archived; the marker with the seconds that this took.

    Raises TargetFailed where it does not get there.
    """
    began, patience = time.monotonic(), _SHIPPING + production.archive_timeout
    last, failing = archiver.wait(lambda: production.server.ask(_ARCHIVER)[0], marker.segment, patience=patience)
    if archiver.has_sent(last, marker.segment):
        return marker._replace(shipped=time.monotonic() - began)
    why = "its archive_command fails" if failing == "t" else "nobody closes the segment"
    raise TargetFailed(
        f"the database's WAL {marker.segment} does not reach the repository: {why}",
        hint="chronos-secrets backup check",
    )


def rows(server: Server) -> dict[str, datetime]:
    """When each mark in the table was written; none where there is no table. Raises TargetFailed."""
    if server.ask(_MISSING)[0] == ["t"]:
        return {}
    return {mark: datetime.fromtimestamp(float(at), UTC) for mark, at in server.ask(_ROWS)}


def _row(server: Server, mark: str) -> float:
    """Write a row, and let the oldest go; the time that stands in it (epoch)."""
    if server.ask(_MISSING)[0] == ["t"]:
        server.ask(*_MAKE)
    server.ask(_PRUNE)
    return float(server.ask(_WRITE.format(mark=mark))[0][0])


def _restore_point(server: Server, mark: str) -> str:
    try:
        server.ask(f"SELECT pg_create_restore_point('chronos-secrets drill {mark}')")
    except TargetFailed:
        return "position"
    return "restore point"
