"""The WAL that a repository holds, by the names of its files, and what is missing from it. Pure.

pgBackRest's own `info` and `verify` say nothing of a segment that is missing in the middle (2.45): a restore would stop
there, on the day of the disaster. Names are PostgreSQL's: timeline, then the position in files of one segment.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.pgbackrest.info import Backup

SEGMENT_SIZE = 16 * 1024 * 1024
"""Bytes of a segment, where initdb was told nothing else."""

_SEGMENT = re.compile(r"(?:.*/)?([0-9]+[0-9.]*-[0-9]+)/[0-9A-F]{16}/([0-9A-F]{24})-[0-9a-f]{40}(?:\.[a-z0-9]+)?")
_HISTORY = re.compile(r"(?:.*/)?([0-9]+[0-9.]*-[0-9]+)/([0-9A-F]{8})\.history")
_SWITCH = re.compile(r"^\s*([0-9]+)\s+([0-9A-F]{1,8})/([0-9A-F]{1,8})", re.MULTILINE)
_LOG = 1 << 32  # bytes that the middle eight digits count


class RepoFile(NamedTuple):
    """A file of a repository, named from where it was listed. Sizes in bytes, times UTC."""

    name: str
    kind: str  # file, path, link or special
    size: int
    time: datetime | None


class Segment(NamedTuple):
    """A WAL segment of the repository. `number` is its position, in segments from the beginning of the database."""

    name: str
    timeline: int
    number: int
    at: datetime | None
    """When the repository got it."""
    size: int
    archive: str = ""
    """The database that it is of, as pgBackRest calls it: 15-1 is the first one of the stanza, of version 15."""

    @property
    def database(self) -> int:
        return int(self.archive.rpartition("-")[2] or 0)


class Branch(NamedTuple):
    """Where a timeline begins: in the segment `number`, as a continuation of `parent`."""

    parent: int
    number: int


class Loss(NamedTuple):
    """What a gap means: no restore to a time after `since` and until `until`; None is the beginning, or no end yet.

    `broken` are the backups that need what is missing to be restored at all.
    """

    since: datetime | None
    until: datetime | None
    broken: tuple[str, ...]


class Gap(NamedTuple):
    """Segments that are not there, from `first` to `last` of one timeline; `before` is the one that they follow."""

    archive: str
    first: str
    last: str
    segments: int
    before: Segment | None


def parse_listing(said: bytes) -> list[RepoFile]:
    """The files of `repo-ls --output=json`. Raises TargetFailed for what is not its output."""
    try:
        rows = json.loads(said.decode(errors="replace"))
        return [_file(name, row) for name, row in rows.items() if row["type"] != "path"]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError, RecursionError) as error:
        raise TargetFailed("pgbackrest repo-ls says what this program does not understand") from error


def _file(name: str, row: Mapping[str, object]) -> RepoFile:
    size, seconds = row.get("size", 0), row.get("time")
    if not isinstance(size, int) or not isinstance(seconds, int | None):
        raise ValueError("no whole number")
    return RepoFile(name, str(row["type"]), size, None if seconds is None else datetime.fromtimestamp(seconds, UTC))


def segments(files: Iterable[RepoFile], *, segment_size: int = SEGMENT_SIZE) -> list[Segment]:
    """The whole segments among the files of `archive/STANZA`, in the order of their names; no partial ones."""
    found = (_segment(each, match, segment_size) for each in files if (match := _SEGMENT.fullmatch(each.name)))
    return sorted(found, key=lambda each: (each.database, each.name))


def _segment(file: RepoFile, match: re.Match[str], size: int) -> Segment:
    name = match[2]
    return Segment(name, int(name[:8], 16), number_of(name, size), file.time, file.size, match[1])


def number_of(name: str, segment_size: int = SEGMENT_SIZE) -> int:
    """The position that a segment's name says."""
    return int(name[8:16], 16) * (_LOG // segment_size) + int(name[16:24], 16)


def name_of(timeline: int, number: int, segment_size: int = SEGMENT_SIZE) -> str:
    """The name of the segment at a position."""
    log, segment = divmod(number, _LOG // segment_size)
    return f"{timeline:08X}{log:08X}{segment:08X}"


def newest(found: Iterable[Segment]) -> Segment | None:
    """The last segment of the last timeline of the last database; None where there is none."""
    return max(found, key=lambda each: (each.database, each.timeline, each.number), default=None)


def histories(files: Iterable[RepoFile]) -> list[str]:
    """The names of the history files among the files of `archive/STANZA`."""
    return sorted(each.name for each in files if _HISTORY.fullmatch(each.name))


def branches(texts: Mapping[str, str], *, segment_size: int = SEGMENT_SIZE) -> dict[tuple[str, int], Branch]:
    """Where each timeline begins, by archive and timeline, from history files by their names.

    Each line of one is a timeline, and the position at which the next one left it: the last line is the parent.
    """
    found = {}
    for name, text in texts.items():
        match, switches = _HISTORY.fullmatch(name), _SWITCH.findall(text)
        if match and switches:
            parent, high, low = switches[-1]
            at = int(high, 16) * _LOG + int(low, 16)
            found[match[1], int(match[2], 16)] = Branch(int(parent), at // segment_size)
    return found


def gaps(
    found: Sequence[Segment],
    backups: Iterable[Backup],
    begun: Mapping[tuple[str, int], Branch],
    *,
    segment_size: int = SEGMENT_SIZE,
) -> list[Gap]:
    """What is not there between the first segment that a kept backup needs and the newest of each timeline.

    A promoted server goes on in the middle of its parent's segment: what the parent has after that belongs to a past
    that was left, and its last segment may never have been whole. `begun` says where (see `branches`); without its
    history file a timeline is taken to begin with its first segment. What lies before the oldest kept backup, or is of
    a database that no kept backup is of, is needed by nobody.
    """
    needed: dict[int, str] = {}
    for backup in backups:
        if backup.wal_start:
            needed[backup.database] = min(needed.get(backup.database, backup.wal_start), backup.wal_start)
    ordered = sorted(found, key=lambda each: (each.database, each.name))
    return [
        gap
        for archive in dict.fromkeys(each.archive for each in ordered)
        if (oldest := needed.get(int(archive.rpartition("-")[2])))
        for gap in _of_archive([each for each in ordered if each.archive == archive], oldest, begun, segment_size)
    ]


def missing(
    found: Sequence[Segment],
    backups: Iterable[Backup],
    begun: Mapping[tuple[str, int], Branch],
    *,
    segment_size: int = SEGMENT_SIZE,
    most: int = 1000,
) -> list[str]:
    """The names of what `gaps` finds, no more than `most` of each gap."""
    return [
        name_of(int(gap.first[:8], 16), number_of(gap.first, segment_size) + step, segment_size)
        for gap in gaps(found, backups, begun, segment_size=segment_size)
        for step in range(min(gap.segments, most))
    ]


def loss(gap: Gap, backups: Iterable[Backup]) -> Loss:
    """What cannot be restored because of a gap. A later backup is where restores begin to work again."""
    database = int(gap.archive.rpartition("-")[2])
    of_it = sorted((each for each in backups if each.database == database), key=lambda each: each.stopped)
    later = (each.stopped for each in of_it if each.wal_start and each.wal_start > gap.last)
    broken = (
        each.label for each in of_it
        if each.wal_start and each.wal_stop and each.wal_start <= gap.last and each.wal_stop >= gap.first
    )  # fmt: skip
    return Loss(gap.before.at if gap.before else None, next(later, None), tuple(broken))


def _of_archive(
    found: Sequence[Segment], oldest: str, begun: Mapping[tuple[str, int], Branch], size: int
) -> Iterator[Gap]:
    """The gaps of one database, timeline by timeline."""
    archive, root = found[0].archive, int(oldest[:8], 16)
    by_timeline: dict[int, dict[int, Segment]] = {root: {}}
    for each in found:
        if each.name >= oldest:
            by_timeline.setdefault(each.timeline, {})[each.number] = each
    own = {timeline: branch for (of, timeline), branch in begun.items() if of == archive}
    for timeline in _with_parents(by_timeline, own, root):
        there = by_timeline.get(timeline, {})
        left_at = [own[child].number - 1 for child in by_timeline if child in own and own[child].parent == timeline]
        last = max([*there, *left_at], default=None)
        first = number_of(oldest, size) if timeline == root else _begin(timeline, own, there)
        if first is not None and last is not None:
            for begin, end, before in _holes(first, last, there):
                names = name_of(timeline, begin, size), name_of(timeline, end, size)
                yield Gap(archive, *names, end - begin + 1, before)


def _with_parents(by_timeline: Iterable[int], own: Mapping[int, Branch], root: int) -> list[int]:
    """The timelines that have segments, and those between them and the oldest backup's."""
    wanted = set(by_timeline)
    for each in tuple(wanted):
        timeline = each
        while timeline in own and own[timeline].parent > root:
            timeline = own[timeline].parent
            wanted.add(timeline)
    return sorted(wanted)


def _begin(timeline: int, own: Mapping[int, Branch], there: Iterable[int]) -> int | None:
    return own[timeline].number if timeline in own else min(there, default=None)


def _holes(first: int, last: int, there: Mapping[int, Segment]) -> Iterator[tuple[int, int, Segment | None]]:
    """Walks from one segment that is there to the next, however far that is."""
    at, before = first, None
    for number in [*sorted(each for each in there if first <= each <= last), last + 1]:
        if number > at:
            yield at, number - 1, before
        at, before = number + 1, there.get(number)
