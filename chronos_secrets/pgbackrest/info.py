"""What `pgbackrest info --output=json` says of one stanza. Pure.

Its exit status is 0 even where the repository cannot be read: the status codes in it are what counts.
Sources: real output of 2.45 (a contract test takes it anew), and the command reference of later releases, which only
add keys. Times are UTC, sizes are bytes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from chronos_secrets.errors import TargetFailed

OK, NO_STANZA, NO_BACKUP, NO_DATA, MIXED, OTHER_DATABASE, NO_SUCH_BACKUP, OTHER = 0, 1, 2, 3, 4, 5, 6, 99
"""The status codes. OTHER is whatever went wrong on the way, such as an access key that is refused."""


class Backup(NamedTuple):
    """One backup. `kind` is full, diff or incr.

    `size` is what it restores and `delta` what it copied; `repo_size` and `repo_delta` are the same in the repository,
    None where it does not tell. WAL from `wal_start` to `wal_stop` is needed to restore it. `error` says that pages
    were damaged when it was made; None where it does not tell.
    """

    label: str
    kind: str
    started: datetime
    stopped: datetime
    size: int
    delta: int
    repo_size: int | None
    repo_delta: int | None
    wal_start: str | None
    wal_stop: str | None
    repo: int
    database: int
    prior: str | None
    references: tuple[str, ...]
    error: bool | None


class Archive(NamedTuple):
    """The WAL that a repository holds of one database: from the segment `first` to `last`; None where there is none."""

    id: str
    repo: int
    database: int
    first: str | None
    last: str | None


class Repo(NamedTuple):
    """One repository. `message` may be many lines of another program's, an HTTP answer say: never shown as it is."""

    key: int
    cipher: str
    code: int
    message: str


class Stanza(NamedTuple):
    """A stanza over all its repositories. `backup_runs` is None where pgBackRest is too old to tell.

    It is true while a backup or an expire runs on the host that was asked; those of another host are not seen.
    """

    name: str
    code: int
    message: str
    backup_runs: bool | None
    repos: tuple[Repo, ...]
    backups: tuple[Backup, ...]
    archives: tuple[Archive, ...]


def parse(said: bytes, name: str) -> Stanza:
    """The stanza `name` in what the program printed; one that is not there has the code NO_STANZA.

    Raises TargetFailed for what is not its output.
    """
    try:
        # Deciphered with a wrong passphrase, an info file is noise, which the message repeats as it is.
        rows = json.loads(said.decode(errors="replace"), strict=False)
        found = next((_Row(row) for row in _list(rows) if _Row(row).text("name") == name), None)
        return _stanza(found) if found else Stanza(name, NO_STANZA, "missing stanza path", None, (), (), ())
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise TargetFailed("pgbackrest info says what this program does not understand") from error


class _Row:
    """One object of the output; what is asked of it is there and of its type, or ValueError, KeyError."""

    def __init__(self, row: object) -> None:
        if not isinstance(row, dict):
            raise ValueError("no object")
        self._row: dict[str, object] = row

    def text(self, key: str) -> str:
        return _text(self._row[key])

    def text_or_none(self, key: str) -> str | None:
        value = self._row.get(key)
        return None if value is None else _text(value)

    def number(self, key: str) -> int:
        return _number(self._row[key])

    def number_or_none(self, key: str) -> int | None:
        value = self._row.get(key)
        return None if value is None else _number(value)

    def boolean_or_none(self, key: str) -> bool | None:
        value = self._row.get(key)
        return value if isinstance(value, bool) else None

    def inner(self, key: str) -> "_Row":
        return _Row(self._row[key])

    def inner_or_empty(self, key: str) -> "_Row":
        return _Row(self._row.get(key) or {})

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(_text(each) for each in _list(self._row.get(key) or []))

    def rows(self, key: str) -> "Sequence[_Row]":
        return [_Row(each) for each in _list(self._row.get(key) or [])]


def _stanza(row: _Row) -> Stanza:
    status = row.inner("status")
    return Stanza(
        name=row.text("name"),
        code=status.number("code"),
        message=status.text("message"),
        backup_runs=status.inner_or_empty("lock").inner_or_empty("backup").boolean_or_none("held"),
        repos=_each(row, "repo", _repo),
        backups=_each(row, "backup", _backup),
        archives=_each(row, "archive", _archive),
    )


Made = TypeVar("Made")


def _each(row: _Row, key: str, make: Callable[[_Row], Made]) -> tuple[Made, ...]:
    return tuple(make(each) for each in row.rows(key))


def _repo(row: _Row) -> Repo:
    status = row.inner("status")
    return Repo(row.number("key"), row.text("cipher"), status.number("code"), status.text("message"))


def _backup(row: _Row) -> Backup:
    sizes, wal, database = row.inner("info"), row.inner_or_empty("archive"), row.inner("database")
    stored, times = sizes.inner_or_empty("repository"), row.inner("timestamp")
    return Backup(
        label=row.text("label"),
        kind=row.text("type"),
        started=_time(times.number("start")),
        stopped=_time(times.number("stop")),
        size=sizes.number("size"),
        delta=sizes.number("delta"),
        repo_size=stored.number_or_none("size"),
        repo_delta=stored.number_or_none("delta"),
        wal_start=wal.text_or_none("start"),
        wal_stop=wal.text_or_none("stop"),
        repo=database.number("repo-key"),
        database=database.number("id"),
        prior=row.text_or_none("prior"),
        references=row.texts("reference"),
        error=row.boolean_or_none("error"),
    )


def _archive(row: _Row) -> Archive:
    database = row.inner("database")
    return Archive(
        row.text("id"), database.number("repo-key"), database.number("id"), row.text_or_none("min"),
        row.text_or_none("max"),
    )  # fmt: skip


def _time(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except OSError as error:
        raise ValueError("no time") from error


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("no list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("no whole number")
    return value


STATES: Mapping[int, str] = {
    OK: "ok",
    NO_STANZA: "the repository does not have the stanza",
    NO_BACKUP: "there is no backup yet",
    NO_DATA: "the repository has lost what it knows of the stanza",
    MIXED: "the repositories are not in the same state",
    OTHER_DATABASE: "the repositories belong to different databases",
    NO_SUCH_BACKUP: "there is no such backup",
    OTHER: "the repository cannot be read",
}
"""The codes in words for a person."""
