"""The audit log of this machine: what was done, to what, when. Identifiers only, one JSON object per line.

Each record names the hash of the one before it (`prev`) and ends with its own: the SHA-256 of every byte of its line
before `,"hash":`. The vault holds the number and hash of the last record (`Anchor`), one anchor per machine, because
each machine has a log of its own.

What this finds: a line that was changed, removed, added, moved or repeated, by accident or by somebody who does not
know how the chain is made, and, through the anchor, a shortened, replaced or wholly rewritten log.
What it does not find: forged records after the anchored one (whoever may write the file can also continue the chain),
and anything done by a thief of the vault's password, who can write a new log and a new anchor. It proves nothing about
the clock, and it keeps nothing: a removed record is missed, not brought back.

Order for a caller: `append` first (it is on the disk when it returns), then save its anchor in the vault. The log may
be ahead of the anchor, which is normal: a command that only reads the vault appends and saves no anchor.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import Busy, ChronosError, Exit, Refused
from chronos_secrets.systems import files

TORN = "history-torn"
"""`what` of the record that `append` adds when it cut off a half-written last line."""
GAP = "history-gap"
"""`what` of the record that `append` adds when the log does not hold the record that the vault knows."""
LINE_LIMIT = 8192  # bytes; what is longer is no identifier

_START = "0" * 64  # `prev` of the first record
_HASH = b',"hash":"%b"}'
_HASH_LENGTH = len(_HASH % _START.encode())
_NUMBERS = range(1, 2**53)  # what every JSON reader can hold
_WINDOW = 8 * LINE_LIMIT  # the end of the file, in which the last record is looked for
_LOCK_WAIT = 10.0  # seconds
_ANCHOR = re.compile(r"([1-9][0-9]{0,14}):([0-9a-f]{64})")
_UNSAFE = re.compile("[\0-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")  # for a terminal


class HistoryUnusable(ChronosError):
    """The audit log cannot be read or written where it should be; a record that was to be added is not there."""

    exit, code = Exit.REFUSED, "history-unusable"


class Event(NamedTuple):
    """One record. `at` is UTC, whole seconds; `host` is the id of the machine that wrote it."""

    number: int  # 1 is the first
    at: datetime
    host: str
    what: str  # such as "render", "task-done", "rotation", or TORN, GAP
    subject: str  # a credential, a destination, a task
    detail: Mapping[str, str]


class Anchor(NamedTuple):
    """The last record of a log: its number and its hash. Its text, for the vault, is "number:hash"."""

    number: int
    head: str

    def __str__(self) -> str:
        return f"{self.number}:{self.head}"

    @classmethod
    def parse(cls, text: str) -> "Anchor":
        """The inverse of `str`. Raises ValueError."""
        found = _ANCHOR.fullmatch(text)
        if found is None:
            raise ValueError("is no anchor of an audit log; one is number:hash")
        return cls(int(found[1]), found[2])


class Reading(NamedTuple):
    """The records that stand for themselves, in the order of the file, and the (1-based) lines that do not."""

    events: list[Event]
    damaged: list[int]


class Break(NamedTuple):
    """One thing that is wrong with the log. `line` is 1-based; `message` is worded to follow "line N ".

    `code` is unreadable, edited, line-ends, dropped, reordered, duplicate, inserted, rewritten, gap, torn, truncated
    or missing.
    """

    line: int
    code: str
    message: str


class _Record(NamedTuple):
    event: Event
    prev: str
    hash: str


class History:
    """The log in the file `path`, which need not exist. Every method raises HistoryUnusable for a file of no use."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(
        self,
        *,
        at: datetime,
        host: str,
        what: str,
        subject: str,
        detail: Mapping[str, str] | None = None,
        known: Anchor | None = None,
    ) -> Anchor:
        """Add one record and sync it to the disk; the new anchor. When it raises, the record is not there.

        A half-written last line is cut off first, and that is recorded (TORN). Hand over `known`, the vault's anchor
        for this machine, wherever the returned one will replace it: a log that does not hold the known record gets
        a record of that (GAP), which `verify` reports from then on. Without it, replacing the anchor would hide that
        records are missing.

        Raises Busy, HistoryUnusable, Refused (a text that is too long or no single printable line), TypeError (what is
        no text, such as a Secret), ValueError (`at` without a timezone, `what` being TORN or GAP).
        """
        event = _event(at, host, what, subject, detail or {})
        try:
            with files.lock(self.path, wait=_LOCK_WAIT), self._to_append() as descriptor:
                return self._add(descriptor, event, known)
        except files.LockHeld as error:
            raise Busy(f"another run is writing {self.path}", hint="run the command again") from error
        except OSError as error:
            raise HistoryUnusable(f"the audit log {self.path} cannot be written: {_reason(error)}") from error

    def read(self, since: datetime | None = None) -> Reading:
        """The records from `since` (with a timezone) on; all lines are looked at for damage.

        Only lines whose own hash is right are events, so what is listed was not changed by hand; whether all of them
        are there is what `verify` tells. A half-written last line does not count as damage.
        """
        lines, _ = _split(self._content())
        records = [_record(line) for line in lines]
        events = [record.event for record in records if record is not None]
        if since is not None:
            first = since.replace(microsecond=0)  # as the records have none
            events = [event for event in events if event.at >= first]
        return Reading(events, [number for number, record in enumerate(records, 1) if record is None])

    def verify(self, anchor: Anchor | None) -> list[Break]:
        """Everything that is wrong with the log, in the order of its lines; what the anchor shows comes last.

        `anchor` is the vault's for this machine; None (no machine's, or no vault at hand) checks the chain alone.
        """
        content = self._content()
        lines, torn = _split(content)
        records = [_record(line) for line in lines]
        found = [*_line_ends(lines), *_chain(lines, records)]
        if torn:
            found.append(Break(len(lines) + 1, "torn", "is half-written; the next run cuts it off"))
        elif content and not content.endswith(b"\n"):
            found.append(Break(len(lines), "torn", "lacks its line end; the next run adds it"))
        if anchor is not None:
            found += _against(anchor, records)
        return found

    @contextlib.contextmanager
    def _to_append(self) -> Iterator[int]:
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            status = os.fstat(descriptor)
            _require_regular(status)
            if status.st_uid != os.geteuid() and os.geteuid() != 0:
                raise OSError(errno.EPERM, "it belongs to another user")
            if status.st_mode & 0o177:
                os.fchmod(descriptor, 0o600)
            yield descriptor
        finally:
            os.close(descriptor)

    def _add(self, descriptor: int, event: Event, known: Anchor | None) -> Anchor:
        end = _End.of(descriptor)
        events = [*end.notes(descriptor, event, known), event]
        if not end.anchor.number:  # before the first record: none is ever in a file that a power cut could remove
            files.sync_folder(self.path.parent)
        anchor, text = end.anchor, end.missing
        for each in events:
            line, anchor = _line(each, after=anchor)
            text += line
        if end.torn:
            os.ftruncate(descriptor, end.offset)
        _write(descriptor, text, end.offset)
        return anchor

    def _content(self) -> bytes:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                _require_regular(os.fstat(descriptor))
                return file.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise HistoryUnusable(f"the audit log {self.path} cannot be read: {_reason(error)}") from error


class _End(NamedTuple):
    """Where the next record goes."""

    anchor: Anchor  # the last record; number 0 where there is none
    offset: int  # of the first byte after the last line
    torn: int  # how many bytes a half-written line left there
    missing: bytes  # the line end that the last record lacks

    @classmethod
    def of(cls, descriptor: int) -> "_End":
        """Looked for at the end of the file; all of it is read only if there is no record near the end.

        No log has more records than bytes: a greater number was forged, and counting on from it would soon come to
        numbers that no reader takes.
        """
        size = os.fstat(descriptor).st_size
        for length in (min(size, _WINDOW), size):
            content = os.pread(descriptor, length, size - length)
            lines, torn = _split(content)
            records = filter(None, map(_record, reversed(lines)))
            last = next((record for record in records if record.event.number <= size), None)
            if last is not None:
                break
        missing = b"\n" if lines and not torn and not content.endswith(b"\n") else b""
        anchor = _anchor(last) if last is not None else Anchor(0, _START)
        return cls(anchor, size - len(torn), len(torn), missing)

    def notes(self, descriptor: int, event: Event, known: Anchor | None) -> Iterator[Event]:
        """What is to be recorded about the log itself before `event`."""
        about = event._replace(subject="history")
        if self.torn:
            yield about._replace(what=TORN, detail={"bytes": str(self.torn)})
        if known is not None and not self._holds(descriptor, known):
            yield about._replace(what=GAP, detail={"known": str(known), "found": str(self.anchor)})

    def _holds(self, descriptor: int, known: Anchor) -> bool:
        """Whether the known record is in the file. Nothing is parsed: `verify` judges the lines."""
        if known == self.anchor:
            return True
        before, found, _ = os.pread(descriptor, self.offset, 0).partition(_HASH % known.head.encode())
        return bool(found) and before.startswith(b'{"number":%d,' % known.number, before.rfind(b"\n") + 1)


def _event(at: datetime, host: str, what: str, subject: str, detail: Mapping[str, str]) -> Event:
    """The record to be, number 0, checked. No value is repeated in a message: it may be what should not be here."""
    if at.tzinfo is None:
        raise ValueError("the time of an audit record has no timezone")
    if what in (TORN, GAP):
        raise ValueError(f"the audit log records {what} itself")
    texts = {"host": host, "what": what, "subject": subject}
    for name, text in (*texts.items(), *(("name in detail", name) for name in detail), *detail.items()):
        if not isinstance(text, str):
            raise TypeError(f"the {name} of an audit record is of type {type(text).__name__}, not text")
        if not _is_safe(text):
            raise Refused(f"the audit log cannot hold the {name}: it has characters that cannot be printed")
    event = Event(0, at.astimezone(UTC).replace(microsecond=0), host, what, subject, dict(detail))
    if len(_line(event, after=Anchor(_NUMBERS[-1], _START))[0]) > LINE_LIMIT:
        raise Refused(f"the audit log cannot hold more than {LINE_LIMIT} bytes about one thing")
    return event


def _line(event: Event, *, after: Anchor) -> tuple[bytes, Anchor]:
    """The bytes of the record that follows `after`, and its anchor."""
    row = {
        **event._asdict(),
        "number": after.number + 1,
        "at": f"{event.at.replace(tzinfo=None).isoformat()}Z",
        "prev": after.head,
    }
    body = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()[:-1]
    digest = hashlib.sha256(body).hexdigest()
    return body + _HASH % digest.encode() + b"\n", Anchor(after.number + 1, digest)


def _record(line: bytes) -> _Record | None:
    """The record in a line, without its line end; None if the line is not exactly as it was written.

    What a person could have written in it by hand, hash included, is checked too: it will be printed.
    """
    line = line.removesuffix(b"\r")
    digest = hashlib.sha256(line[:-_HASH_LENGTH]).hexdigest()
    if not line.endswith(_HASH % digest.encode()):
        return None
    try:
        row = json.loads(line.decode())
        at = datetime.fromisoformat(row["at"])
        event = Event(row["number"], at, row["host"], row["what"], row["subject"], row["detail"])
        texts = "".join((event.host, event.what, event.subject, *event.detail, *event.detail.values(), row["prev"]))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    usable = _is_safe(texts) and at.tzinfo is UTC and type(event.number) is int and event.number in _NUMBERS
    return _Record(event, row["prev"], digest) if usable else None


def _is_safe(text: str) -> bool:
    """Whether a text is one line that shows as what it is. `isprintable` is quick but grows with Python's Unicode."""
    return text.isprintable() or _UNSAFE.search(text) is None


def _anchor(record: _Record) -> Anchor:
    return Anchor(record.event.number, record.hash)


def _split(content: bytes) -> tuple[list[bytes], bytes]:
    """The lines, and what a killed run left half-written. A whole record that only lacks its line end is a line."""
    *lines, rest = content.split(b"\n")
    if rest and _record(rest) is not None:
        return [*lines, rest], b""
    return lines, rest


def _write(descriptor: int, text: bytes, offset: int) -> None:
    """Append and sync, in one call where the disk takes it; or raise, with nothing of it left."""
    try:
        while text:
            text = text[os.write(descriptor, text) :]
        os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, offset)
        raise


def _line_ends(lines: Sequence[bytes]) -> Iterator[Break]:
    """Once, and not for each line: whatever changes one line end changes all."""
    number = next((number for number, line in enumerate(lines, 1) if line.endswith(b"\r")), None)
    if number is not None:
        yield Break(number, "line-ends", "ends with a carriage return, which an editor or a transfer added")


class _Place:
    """How far a log has been followed."""

    def __init__(self, present: frozenset[int]) -> None:
        self._present = present  # the numbers of all whole records
        self._last = Anchor(0, _START)
        self._lost = 0  # damaged lines since the last whole record
        self._seen: dict[int, str] = {}

    def lose(self) -> None:
        self._lost += 1

    def follow(self, record: _Record) -> tuple[str, str] | None:
        """What is wrong with where this record stands, as code and message; None if it stands where it should."""
        fault = self._fault(record)
        self._last, self._lost = _anchor(record), 0
        self._seen.setdefault(record.event.number, record.hash)
        return fault

    def _fault(self, record: _Record) -> tuple[str, str] | None:
        number, expected = record.event.number, self._last.number + 1
        if number in self._seen:
            return self._repeated(record)
        if number == expected:
            told = f"does not continue from record {self._last.number} as that is now"
            return None if record.prev == self._last.head else ("rewritten", told)
        if expected < number <= expected + self._lost:
            return None  # the damaged lines stand for the records between
        missing = next((each for each in range(expected, number) if each not in self._present), None)
        if missing is not None:
            return "dropped", f"holds record {number}, but record {missing} is missing"
        return "reordered", f"holds record {number} where record {expected} should be"

    def _repeated(self, record: _Record) -> tuple[str, str]:
        number = record.event.number
        if self._seen[number] == record.hash:
            return "duplicate", f"repeats record {number}"
        return "inserted", f"is another record with the number {number}"


def _chain(lines: Sequence[bytes], records: Sequence[_Record | None]) -> Iterator[Break]:
    place = _Place(frozenset(record.event.number for record in records if record is not None))
    for number, (line, record) in enumerate(zip(lines, records, strict=True), 1):
        if record is None:
            place.lose()
            yield Break(number, *_damage(line))
            continue
        fault = place.follow(record)
        if fault is not None:
            yield Break(number, *fault)
        if record.event.what == GAP:
            yield Break(number, "gap", "records that the log did not hold what the vault knew")


def _damage(line: bytes) -> tuple[str, str]:
    if line.startswith(b'{"number":') and line.rstrip().endswith(b'"}'):
        return "edited", "is not as it was written"
    return "unreadable", "is no record"


def _against(anchor: Anchor, records: Sequence[_Record | None]) -> Iterator[Break]:
    whole = [(line, record.event.number, _anchor(record)) for line, record in enumerate(records, 1) if record]
    if any(each == anchor for _, _, each in whole):
        return
    last = max((number for _, number, _ in whole), default=0)
    if not records:
        yield Break(1, "missing", f"is not there; the vault knows of {anchor.number}")
    elif last < anchor.number:
        yield Break(len(records), "truncated", f"ends the log at record {last}; the vault knows of {anchor.number}")
    else:
        line = next((line for line, number, _ in whole if number >= anchor.number), len(records))
        yield Break(line, "rewritten", f"is not the record {anchor.number} that the vault knows")


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")


def _reason(error: OSError) -> str:
    return "it is a symbolic link" if error.errno == errno.ELOOP else files.reason(error)
