"""What this machine remembers of copies (copies.json in the state folder): no secret, and never a source.

What lies in a place is what counts: a copy that the catalogue does not know was never verified here, and one that it
knows but is not there any more is gone. A catalogue that is missing or torn is an empty one.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from chronos_secrets.errors import Busy
from chronos_secrets.systems import files
from chronos_secrets.vault.copies.record import Facts, Name, Record, unknown

FILE = "copies.json"
_VERSION = 1
_LOCK_WAIT = 10.0  # seconds


class Queued(NamedTuple):
    """A copy that could not be made when it was due, by the place's id: it is made at the next run that can."""

    since: datetime  # UTC
    why: str  # in words
    vaults: tuple[str, ...] = ()  # SHA-256 of older vault files that were to be copied (`when: before-change`)
    told: datetime = datetime.min.replace(tzinfo=UTC)  # when a person was last told of it


class Catalogue(NamedTuple):
    """All that is remembered."""

    records: tuple[Record, ...] = ()
    queued: Mapping[str, Queued] = MappingProxyType({})

    def of(self, place: str) -> list[Record]:
        """What is remembered of one place, oldest first."""
        return sorted((each for each in self.records if each.place == place), key=lambda each: (each.made, each.name))

    def holding(self, place: str, vault: str) -> Record | None:
        """The newest good copy in a place of the vault file with that SHA-256 (hex)."""
        good = [each for each in self.of(place) if each.vault == vault and each.is_good]
        return good[-1] if good else None


def load(path: Path) -> Catalogue:
    """What is remembered; nothing where there is nothing that this version can read. Never raises."""
    try:
        content = json.loads(path.read_bytes())
        if content["version"] != _VERSION:
            return Catalogue()
        queued = {str(place): _queued(row) for place, row in content["queued"].items()}
        return Catalogue(tuple(_record(row) for row in content["copies"]), queued)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Catalogue()


def store(path: Path, catalogue: Catalogue) -> None:
    """Remember it. Raises OSError."""
    content = {
        "version": _VERSION,
        "copies": [_told(each._asdict()) for each in catalogue.records],
        "queued": {place: _told(each._asdict()) for place, each in catalogue.queued.items()},
    }
    files.private_folder(path.parent)
    files.write_durably(path, json.dumps(content, indent=1, ensure_ascii=False).encode())


@contextlib.contextmanager
def held(state: Path) -> Iterator[None]:
    """Hold the lock of a project's copies: whoever writes to a place or to the catalogue does. Raises Busy, OSError."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(files.lock(state / "copies.lock", wait=_LOCK_WAIT))
        except files.LockHeld as error:
            raise Busy("another run is making or looking at copies", hint="run the command again") from error
        yield


def merge(catalogue: Catalogue, place: str, names: Sequence[Name]) -> Catalogue:
    """The catalogue once it was seen which copies lie in a place: others are added, those that are gone are dropped."""
    known = {each.name: each for each in catalogue.of(place)}
    there = [known.get(str(name)) or unknown(place, name) for name in names]
    return catalogue._replace(records=(*(each for each in catalogue.records if each.place != place), *there))


def with_records(catalogue: Catalogue, *records: Record) -> Catalogue:
    """The catalogue with these records added, each in place of the one of the same place and name."""
    merged = {(each.place, each.name): each for each in (*catalogue.records, *records)}
    return catalogue._replace(records=tuple(merged.values()))


def without(catalogue: Catalogue, *records: Record) -> Catalogue:
    """The catalogue without these copies."""
    gone = {(each.place, each.name) for each in records}
    return catalogue._replace(records=tuple(each for each in catalogue.records if (each.place, each.name) not in gone))


def with_queued(catalogue: Catalogue, place: str, queued: Queued | None) -> Catalogue:
    """The catalogue with a place's queue set, or emptied."""
    others = {each: waiting for each, waiting in catalogue.queued.items() if each != place}
    return catalogue._replace(queued=others if queued is None else {**others, place: queued})


def _told(row: Mapping[str, object]) -> dict[str, object]:
    """A row as JSON: times as text, what is not known left out."""
    return {name: _plain(value) for name, value in row.items() if value is not None}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return _told(value._asdict()) if isinstance(value, Facts) else value


def _record(row: Mapping[str, Any]) -> Record:
    facts = row.get("facts")
    texts = {name: str(row[name]) for name in ("vault", "fault") if name in row}
    return Record(
        str(row["place"]), str(row["name"]), _time(row["made"]), str(row["sha256"]), **texts,
        size=int(row["size"]) if "size" in row else None, facts=None if facts is None else _facts(facts),
        verified=_time_or_none(row, "verified"), opened=_time_or_none(row, "opened"),
    )  # fmt: skip


def _facts(row: Mapping[str, Any]) -> Facts:
    return Facts(
        str(row["vault_id"]), str(row["version"]), int(row["entries"]),
        newest=_time_or_none(row, "newest"), key_changed=_time_or_none(row, "key_changed"),
    )  # fmt: skip


def _queued(row: Mapping[str, Any]) -> Queued:
    vaults = tuple(str(each) for each in row["vaults"])
    return Queued(_time(row["since"]), str(row["why"]), vaults, _time(row["told"]))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _time_or_none(row: Mapping[str, Any], name: str) -> datetime | None:
    return _time(row[name]) if name in row else None
