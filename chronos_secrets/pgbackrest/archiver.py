"""How far the archiving of WAL is behind the database: by time and by position.

An idle server writes a few records of its own into the segment after the last archived one; no alarm may come from
them. What counts is a commit that only the server has: pg_waldump finds the oldest one.
"""

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.pgbackrest import failures, programs
from chronos_secrets.pgbackrest.account import as_account
from chronos_secrets.pgbackrest.archive import number_of
from chronos_secrets.pgbackrest.server import Server
from chronos_secrets.systems.hosts import Host

_TIMEOUT = 60.0  # seconds to read the WAL that waits
_POLL = 0.5  # seconds between two looks
_ASK = """\
SELECT archived_count, coalesce(last_archived_wal, ''), extract(epoch FROM last_archived_time), failed_count,
  coalesce(last_failed_wal, ''), extract(epoch FROM last_failed_time), extract(epoch FROM clock_timestamp()),
  pg_is_in_recovery(),
  CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_lsn() END,
  CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_walfile_name(pg_current_wal_lsn()) END,
  pg_size_bytes(current_setting('wal_segment_size')), current_setting('server_version_num')
FROM pg_stat_archiver"""
_SEGMENT = re.compile(r"[0-9A-F]{24}")
_COMMIT = re.compile(r"COMMIT ([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}(?:\.[0-9]+)?) UTC")
# How it ends where the WAL ends, which is no failure.
_THE_END = re.compile("error in WAL record at|could not find a valid record after")
_HEADER = 40  # bytes at the head of a segment that are no record


class Archiver(NamedTuple):
    """What the server knows of its archiving; times are UTC by the server's own clock, `now` included.

    `last` is the segment that was archived last, None where there is none since its statistics were reset, as a crash
    or a restore does. `position` is the byte of the WAL that is written next, None on a standby.
    """

    last: str | None
    last_at: datetime | None
    failed: int
    failed_wal: str
    failed_at: datetime | None
    now: datetime
    position: int | None
    current: str  # the segment of `position`
    segment_size: int
    major: str

    @property
    def fails(self) -> bool:
        """Whether the last attempt failed."""
        return self.failed_at is not None and (self.last_at is None or self.failed_at > self.last_at)

    def behind(self, last: str | None) -> int | None:
        """How many bytes of WAL only the server has, where `last` is the newest archived segment; None: nobody knows.

        The few bytes of a segment's own header are none.
        """
        if last is None or self.position is None:
            return None
        left = self.position - end_of(last, self.segment_size)
        return left if left > _HEADER else 0


def read(server: Server) -> Archiver:
    """Ask for it. Raises TargetFailed."""
    (row,) = server.ask(_ASK)
    standby, lsn = row[7] == "t", row[8]
    return Archiver(
        last=_segment(row[1]), last_at=_moment(row[2]), failed=int(row[3]), failed_wal=row[4],
        failed_at=_moment(row[5]), now=datetime.fromtimestamp(float(row[6]), UTC),
        position=None if standby else offset(lsn), current=row[9], segment_size=int(row[10]),
        major=str(int(row[11]) // 10000),
    )  # fmt: skip


def has_sent(last: str, segment: str) -> bool:
    """Whether an archiver whose newest file is `last` ("" for none) has come to a segment of the same timeline."""
    return last[:8] == segment[:8] and last[:24] >= segment


def wait(look: Callable[[], Sequence[str]], segment: str, *, patience: float) -> Sequence[str]:
    """Look until the archiver has sent a segment, for `patience` seconds at most; what was seen last.

    A look begins with last_archived_wal of pg_stat_archiver ("" for none); what else it tells is its caller's.
    """
    deadline = time.monotonic() + patience
    while not has_sent((seen := look())[0], segment) and time.monotonic() < deadline:
        time.sleep(_POLL)  # the archiver tells nobody when a segment is sent
    return seen


def oldest_commit(
    host: Host, *, account: str | None, data: str, archiver: Archiver, last: str | None
) -> datetime | None:
    """The time of the oldest commit after the segment `last` that is not archived; None where there is none.

    Raises TargetFailed where that cannot be found out: no pg_waldump there, or its folder of WAL cannot be read.
    """
    if not archiver.behind(last):
        return None
    folder = programs.bindir(host, major=archiver.major)
    start = end_of(last or "", archiver.segment_size)
    argv = (
        f"{folder}/pg_waldump", f"--path={data}/pg_wal", f"--timeline={int(archiver.current[:8], 16)}",
        f"--start={start >> 32:X}/{start & 0xFFFFFFFF:X}", "--rmgr=Transaction", "--limit=50",
    )  # fmt: skip
    ran = host.run(as_account(argv, account), environment={"TZ": "UTC", "LC_ALL": "C"}, timeout=_TIMEOUT)
    said = ran.err.decode(errors="replace").strip()
    if ran.status != 0 and not _THE_END.search(said):
        why = failures.shown(said.rpartition("\n")[2])
        raise TargetFailed(f"the WAL that waits on {host.name} cannot be read: {why}", hint=host.paste(argv))
    times = _COMMIT.findall(ran.out.decode(errors="replace"))
    return min((datetime.fromisoformat(time).replace(tzinfo=UTC) for time in times), default=None)


def end_of(segment: str, size: int) -> int:
    """The byte of the WAL that follows a segment, such as 000000010000000000000003."""
    return (number_of(segment, size) + 1) * size


def offset(lsn: str) -> int:
    """The byte of the WAL that an LSN such as 16/B374D848 means."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def _segment(name: str) -> str | None:
    """The segment that an archived file was, or belongs to; None for a timeline's history."""
    match = _SEGMENT.match(name)
    return match[0] if match else None


def _moment(epoch: str) -> datetime | None:
    return datetime.fromtimestamp(float(epoch), UTC) if epoch else None
