"""What pgBackRest means when it fails, in one sentence, and what to do about it. Pure.

Sources: the exit statuses of src/build/error/error.yaml in its sources, and what 2.45 does with a real repository (a
contract test brings about each row that can be). One status may mean several things: what it said tells them apart.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

LEAST_STATUS = 25
"""pgBackRest's own statuses begin here; a lower one is of what was to start it."""
LOCKED = 50
"""The status of a command that found another one at work on the stanza."""
_LONGEST = 200  # characters of its own words
_MOST = 3  # lines of them


class Remedy(Enum):
    """What to do next; who knows the host makes a command of it."""

    RENDER = "write the configuration anew"
    AGAIN = "run the same by hand, and read all that it says"
    CREATE = "create the stanza"
    START = "let pgbackrest run again"
    CLOCK = "look at the clock of the host"
    WAIT = "look what is running"
    ROOM = "make room on the disk"


class Failure(NamedTuple):
    """One row: any of `statuses`, with `pattern` in what was said, means `sentence`."""

    statuses: tuple[int, ...]
    pattern: str
    sentence: str
    remedy: Remedy = Remedy.AGAIN


_SERVER, _DATABASE = (39, 104), (27, 56)
_S3 = "the bucket's server"

FAILURES = (
    Failure(
        _SERVER, "InvalidAccessKeyId",
        f"{_S3} does not know the access key: it was deactivated or deleted, or is of elsewhere", Remedy.RENDER,
    ),
    Failure(_SERVER, "SignatureDoesNotMatch", "the secret does not go with the access key", Remedy.RENDER),
    Failure(_SERVER, "RequestTimeTooSkewed", "the clock of the host is wrong", Remedy.CLOCK),
    Failure(_SERVER, "AccessDenied", "the access key may not do this in the bucket"),
    Failure(_SERVER, "NoSuchBucket", "the bucket is not there"),
    Failure(_SERVER, "InvalidObjectState", "a backup is in an archive class: S3 must restore it before it is read"),
    Failure((39,), "", f"{_S3} refused a request"),
    Failure((101,), "", f"{_S3} has trouble of its own"),
    Failure((41, 42), "waiting for read from", f"{_S3} did not answer in time"),
    Failure((49,), "unable to get address", f"the name of {_S3} is not known there"),
    Failure((49,), "", f"{_S3} cannot be reached from there"),
    Failure((95,), "certificate", f"the certificate of {_S3} is not trusted there"),
    Failure((95,), "", "the repository was encrypted with another passphrase", Remedy.RENDER),
    Failure(
        (29,), "info file|outside of section",
        "the repository was encrypted with another passphrase, or is encrypted and the configuration has none",
        Remedy.RENDER,
    ),
    Failure((29,), "time format", "the time that was asked for is not one"),
    Failure((29, 31, 32, 42), "", "the configuration is not one that pgbackrest takes", Remedy.RENDER),
    Failure((37,), "does this stanza exist", "the configuration does not have the stanza", Remedy.RENDER),
    Failure((37,), "", "the configuration lacks an option", Remedy.RENDER),
    Failure((41,), "", "a file cannot be opened by the account that pgbackrest runs as"),
    Failure((55,), r"(archive|backup)\.info", "the repository does not have the stanza", Remedy.CREATE),
    Failure((55,), "", "the configuration is not there", Remedy.RENDER),
    Failure(_DATABASE, "process on .* terminated", "the configuration has a pg1-host, which means ssh even to itself"),
    Failure(_DATABASE, "authentication failed|role .* does not exist", "the database does not let this account in"),
    Failure(_DATABASE, "pg_control", "the database's folder is not where the configuration says"),
    Failure(_DATABASE, "", "the database does not answer"),
    Failure((28, 44, 51, 58), "", "the repository is of another database, or of another version of it"),
    Failure((LOCKED,), "", "another command of pgbackrest is at work on the stanza", Remedy.WAIT),
    Failure((38,), "", "the database is running"),
    Failure((40,), "", "the folder is not empty"),
    Failure((64,), "", "a file cannot be written; its disk may be full", Remedy.ROOM),  # it does not tell why
    Failure((62,), "", "pgbackrest was told to stop", Remedy.START),
    Failure((63,), "", "it was ended from outside"),
    Failure((68,), "", "the database's archive_command does not call pgbackrest"),
    Failure((72,), "", "it must run on the host of the database"),
    Failure((75,), "", "no backup fits what was asked for"),
    Failure((82,), "", "the database's WAL did not reach the repository in time"),
    Failure((87,), "", "the database has archive_mode off"),
    Failure((104,), "", "a part of it failed"),
)  # fmt: skip
_UNKNOWN = Failure((), "", "it failed in a way that this program does not know")

_SAID = re.compile(r"(?:ERROR: \[[0-9]+\]|WARN|^\s*[A-Z][A-Za-z]+Error): (.+)", re.MULTILINE)
_S3_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")


def explain(status: int, said: str) -> Failure:
    """What a failure means: the first row that fits."""
    rows = (row for row in FAILURES if status in row.statuses and re.search(row.pattern, said))
    return next(rows, _UNKNOWN)


def explain_message(message: str) -> Failure:
    """The same for the message of a repository in `info`, which has a name in the place of a status."""
    for name, status in _NAMES.items():
        if f"[{name}]" in message:
            return explain(status, message)
    return _UNKNOWN


_NAMES = {
    "ProtocolError": 39, "HostConnectError": 49, "CryptoError": 95, "FormatError": 29, "FileMissingError": 55,
    "ServiceError": 101, "FileOpenError": 41,
}  # fmt: skip


def last_words(said: str) -> Iterator[str]:
    """The few lines that say why, of all that it said, and what an S3 server called it; they may hold values."""
    found = dict.fromkeys(match[1].strip() for match in _SAID.finditer(said))
    yield from list(found)[:_MOST]
    if code := _S3_CODE.search(said):
        yield f"{_S3} calls it {code[1]}"


def shown(line: str) -> str:
    """A line without what a terminal would obey, and not too long."""
    return "".join(each if each.isprintable() else "?" for each in line)[:_LONGEST]
