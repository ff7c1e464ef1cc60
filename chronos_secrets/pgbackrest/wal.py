"""How far the repository's WAL goes in time: its newest commit, read out of the segments themselves.

A recovery target after it makes a server that does not start ("recovery ended before configured recovery target was
reached"), so this is known before anything is touched.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.pgbackrest.account import as_account
from chronos_secrets.pgbackrest.archive import (
    SEGMENT_SIZE,
    Branch,
    RepoFile,
    branches,
    gaps,
    histories,
    number_of,
    segments,
)
from chronos_secrets.pgbackrest.info import Archive, Backup
from chronos_secrets.pgbackrest.programs import bindir
from chronos_secrets.pgbackrest.runner import QUIET, Runner
from chronos_secrets.systems.hosts import Host
from chronos_secrets.systems.hosts.words import last_words

_TIMEOUT = 600.0  # seconds for one segment, or one list of them
_MOST = 64  # segments that are read; an idle database fills few without a commit

_SEGMENT = re.compile(r"(?:.*/)?([0-9A-F]{24})-[0-9a-f]{40}(\.gz|\.bz2|\.lz4|\.zst)?")
_PARENT = re.compile(r"^\s*([0-9]+)\s+([0-9A-F]+)/([0-9A-F]+)", re.MULTILINE)
_COMMIT = re.compile(r"COMMIT(?:_PREPARED [0-9]+:)? ([0-9-]{10} [0-9:]{8}(?:\.[0-9]+)?) UTC")

# pgBackRest hands a segment out as it is stored. pg_waldump ends with an error where a segment is not full: no matter.
_READ = """\
umask 077
segment=$1 packed=$2 until=$3 dump=$4; shift 4
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
"$@" > "$folder/packed" || exit 3
case $packed in
    .gz) gzip -dc ;; .bz2) bzip2 -dc ;; .lz4) lz4 -dc ;; .zst) zstd -dcq ;; *) cat ;;
esac < "$folder/packed" > "$folder/$segment" || exit 4
TZ=UTC "$dump" --rmgr=Transaction ${until:+--end="$until"} "$folder/$segment" 2> "$folder/said" |
    grep "desc: COMMIT" | tail -n 1
[ -s "$folder/$segment" ]
"""
_FAULTS = {2: "has no room for a temporary file", 3: "cannot read the repository", 4: "cannot unpack a WAL segment"}


class Left(NamedTuple):
    """Where a timeline was left for the next one: the segment's number, and the place as PostgreSQL writes it."""

    timeline: int
    number: int
    place: str


class Followed(NamedTuple):
    """What a recovery replays that follows the latest timeline; `left` are the timelines before it, oldest first."""

    timeline: int
    left: tuple[Left, ...] = ()

    def until(self, segment: str) -> str | None:
        """Until where a recovery can read this WAL segment: "" to its end, None where it is on no followed timeline."""
        timeline, number = int(segment[:8], 16), number_of(segment)
        if timeline == self.timeline:
            return ""
        branch = next((each for each in self.left if each.timeline == timeline), None)
        if branch is None or number > branch.number:
            return None
        return branch.place if number == branch.number else ""


class Kept(NamedTuple):
    """The WAL that a repository has of one database. `path` is where `files` are named from.

    `gap` is the first segment that is missing for a recovery: nothing after it can be replayed.
    """

    path: str
    files: tuple[RepoFile, ...]
    along: Followed
    begun: Mapping[tuple[str, int], Branch]
    gap: str | None = None

    def lacking(self, backup: Backup) -> "Kept":
        """The same with the gap of a recovery that begins with a backup."""
        holes = gaps(segments(self.files), [backup], self.begun)
        missing = [each.first for each in holes if self.along.until(each.first) is not None]
        return self._replace(gap=min(missing, key=number_of, default=None))

    def before(self, left: Left) -> "Kept":
        """The same as it was when a timeline was left: a recovery along it ends there."""
        at = self.along.left.index(left)
        return self._replace(along=Followed(0, self.along.left[: at + 1]), gap=None)


def look(runner: Runner, archive: Archive) -> Kept:
    """What there is of the archive that `info` names. Raises what Runner.run raises."""
    path = f"archive/{runner.stanza}"
    files = tuple(each for each in runner.repo_ls(path) if each.name.startswith(f"{archive.id}/"))
    texts = {name: runner.repo_get(f"{path}/{name}").decode(errors="replace") for name in histories(files)}
    return Kept(path, files, _latest(files, texts), branches(texts))


def _latest(files: Sequence[RepoFile], texts: Mapping[str, str]) -> Followed:
    """A promoted server's history file is there before any WAL of its timeline, and PostgreSQL goes by it."""
    newest = max(texts, default=None)
    if newest is not None:
        return parse_history(int(newest.rpartition("/")[2][:8], 16), texts[newest])
    return Followed(min((each.timeline for each in segments(files)), default=1))


def parse_history(latest: int, text: str, *, segment_size: int = SEGMENT_SIZE) -> Followed:
    """What a .history file of PostgreSQL says of how its timeline, the latest, came about."""
    rows = _PARENT.findall(text)
    left = (
        Left(int(timeline), ((int(high, 16) << 32) + int(low, 16)) // segment_size, f"{high}/{low}")
        for timeline, high, low in rows
    )
    return Followed(latest, tuple(left))


def last_commit(
    host: Host, runner: Runner, account: str | None, archive: Archive, *, kept: Kept | None = None, major: str = ""
) -> datetime | None:
    """The time of the newest commit that a recovery along the latest timeline finds; None where no segment holds one.

    Segments are read on the host, one at a time, in a private temporary folder, from the newest back until one holds a
    commit; None also after the newest 64 without any. `kept` is what `look` found, `major` the database's release.
    Raises TargetFailed, CutOff.
    """
    kept = kept or look(runner, archive)
    dump = f"{bindir(host, major=major or archive.id.partition('-')[0])}/pg_waldump"
    for name, words in _newest_first(kept):
        get = runner.argv("repo-get", QUIET, f"{kept.path}/{name}")
        ran = host.run(as_account(("sh", "-c", _READ, "sh", *words, dump, *get), account), timeout=_TIMEOUT)
        if ran.status != 0:
            what = _FAULTS.get(ran.status, "cannot read a WAL segment")
            raise TargetFailed(f"{host.name} {what}: {last_words(ran.err)}", hint=runner.by_hand("info"))
        if at := _time(ran.out):
            return at
    return None


def _newest_first(kept: Kept) -> Iterator[tuple[str, tuple[str, str, str]]]:
    """Files, each with its segment, how it is packed, and until where it counts; of two for one place the newer."""
    places: dict[int, tuple[str, tuple[str, str, str]]] = {}
    for each in sorted(kept.files, key=lambda file: file.name):
        found = _SEGMENT.fullmatch(each.name)
        until = kept.along.until(found[1]) if found else None
        if found and until is not None and not (kept.gap and number_of(found[1]) >= number_of(kept.gap)):
            places[number_of(found[1])] = (each.name, (found[1], found[2] or "", until))
    newest = sorted(places.items(), reverse=True)[:_MOST]
    return (place for _, place in newest)


def _time(said: bytes) -> datetime | None:
    found = _COMMIT.findall(said.decode(errors="replace"))
    return datetime.fromisoformat(found[-1]).replace(tzinfo=UTC) if found else None
