"""What a restored server is asked, to know that it is whole and new."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.pgbackrest import marking
from chronos_secrets.pgbackrest.proved import Check, Marker
from chronos_secrets.pgbackrest.scratch import Scratch
from chronos_secrets.pgbackrest.server import Server, said

_LOOKING = 24 * 3600.0  # seconds for what reads the whole database
_CORRUPT = 2  # what pg_amcheck says of damage; 1 is its own trouble

# The timeline of the newest checkpoint may still be the old one just after a server has opened.
_WHERE = (
    "SELECT extract(epoch FROM pg_last_xact_replay_timestamp()), pg_last_wal_replay_lsn() - '0/0'::pg_lsn,"
    " substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
)
_TABLES = (
    "SELECT count(*), coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class"
    " JOIN pg_namespace n ON n.oid = relnamespace"
    " WHERE relkind IN ('r', 'm') AND nspname NOT IN ('pg_catalog', 'information_schema')"
)


class Facts(NamedTuple):
    """Where a restored server is: its newest replayed commit, its position in the WAL and its timeline."""

    replayed: datetime | None
    position: int
    timeline: int


def facts(server: Server) -> Facts:
    """Ask it: the first query. Raises TargetFailed where it is not open for writing, too."""
    at, position, timeline = server.ask(_WHERE)[0]
    replayed = datetime.fromtimestamp(float(at), UTC) if at else None
    return Facts(replayed, int(float(position or 0)), int(timeline, 16))


def checks(place: Scratch, marker: Marker, found: Facts) -> Iterator[Check]:
    """Every look but that at the tables that the inventory names. Raises TargetFailed where it does not answer."""
    yield _promoted(found, marker)
    yield _marked(place.server, marker, found)
    yield _tables(place.server)
    yield _checksums(place.server)
    yield _amcheck(place)


def counted(server: Server, tables: Sequence[str]) -> tuple[tuple[tuple[str, int], ...], tuple[Check, ...]]:
    """The rows of each table, and what is wrong with those that cannot be counted."""
    rows, wrong = [], []
    for table in tables:
        try:
            rows.append((table, server.count(table)))
        except TargetFailed as error:
            wrong.append(Check(f"table {table}", False, error.message))
    return tuple(rows), tuple(wrong)


def _promoted(found: Facts, marker: Marker) -> Check:
    good = found.timeline > int(marker.segment[:8], 16)
    return Check("open for writing", good, f"on timeline {found.timeline}{'' if good else ', which is no new one'}")


def _marked(server: Server, marker: Marker, found: Facts) -> Check:
    if marker.kind == "row":
        good = marker.id in marking.rows(server)
        return Check("marker", good, f"the row of {marker.at:%H:%M:%S} UTC is {'there' if good else 'missing'}")
    good = found.position >= marker.position
    words = f"the {marker.kind} of {marker.at:%H:%M:%S} UTC was {'' if good else 'not '}replayed"
    return Check("marker", good, f"{words}; no row was written: {marker.reason}")


def _tables(server: Server) -> Check:
    number, rows = server.ask(_TABLES)[0]
    return Check("tables", True, f"{number}, with about {rows} rows as last analysed")


def _checksums(server: Server) -> Check:
    if server.ask("SHOW data_checksums")[0] == ["on"]:
        return Check("data checksums", True, "on")
    return Check("data checksums", None, "off: damage that a disk does is not seen (pg_checksums --enable)")


def _amcheck(place: Scratch) -> Check:
    """pg_amcheck over the whole database. Where the extension is missing it is made here, never on production."""
    ran = place.program("pg_amcheck", *place.login, "--install-missing", "--no-password", timeout=_LOOKING)
    first = said(ran.out + b"\n" + ran.err)
    if ran.status == _CORRUPT:
        return Check("amcheck", False, f"there is damage: {first}")
    if ran.status != 0:
        return Check("amcheck", None, f"not done: {first}")
    return Check("amcheck", True, "tables and indexes are sound")
