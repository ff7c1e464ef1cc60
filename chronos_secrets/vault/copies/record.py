"""What is known of one copy: its name, what the vault in it said, and how far it was verified. Pure."""

import hashlib
import re
from datetime import UTC, datetime
from typing import NamedTuple

BY_HASH, OPENED = "by hash", "opened"
"""How a copy was verified: its bytes are those that were written, or it was opened with a password."""

SUFFIX, SEALED_SUFFIX = ".kdbx", ".kdbx.age"
STAMP = "%Y%m%dT%H%M%SZ"
_DIGITS = 12
_NAME = re.compile(r"(.+)-([0-9]{8}T[0-9]{6}Z)-([0-9a-f]{12})(\.kdbx(?:\.age)?)")


class Name(NamedTuple):
    """The name of a copy's file: `<project>-<UTC time>-<first 12 digits of the file's SHA-256>.kdbx[.age]`."""

    project: str
    made: datetime  # UTC, whole seconds
    digest: str  # 12 hex digits
    sealed: bool  # encrypted once more, to an age recipient

    @classmethod
    def of(cls, project: str, made: datetime, content: bytes, *, sealed: bool) -> "Name":
        """The name of a copy that is made now and whose file has this content."""
        digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
        return cls(project, made.astimezone(UTC).replace(microsecond=0), digest, sealed)

    @classmethod
    def parse(cls, text: str) -> "Name | None":
        """The parts of a file's name; None for a file that is no copy."""
        found = _NAME.fullmatch(text)
        if found is None:
            return None
        try:
            made = datetime.strptime(found[2], STAMP).replace(tzinfo=UTC)
        except ValueError:
            return None
        return cls(found[1], made, found[3], found[4] == SEALED_SUFFIX)

    def __str__(self) -> str:
        return f"{self.project}-{self.made:{STAMP}}-{self.digest}{SEALED_SUFFIX if self.sealed else SUFFIX}"


class Facts(NamedTuple):
    """What an opened vault says of itself; no secret is in it."""

    vault_id: str  # the UUID of its root group, which copies keep
    version: str  # of KDBX, such as "4.1"
    entries: int  # those in the recycle bin too
    newest: datetime | None  # the latest change of anything in it (UTC)
    key_changed: datetime | None  # when its password last changed (UTC): MasterKeyChanged


class Record(NamedTuple):
    """What is known of one copy in one place."""

    place: str  # id of the inventory's row
    name: str
    made: datetime  # UTC, as its name says
    sha256: str  # of the file; only the 12 digits of its name for a copy that another machine made
    size: int | None = None  # bytes
    vault: str | None = None  # SHA-256 of the vault file in it: the same as `sha256` where it is not sealed
    facts: Facts | None = None
    verified: datetime | None = None  # when it was last found to be good, in whatever way (UTC)
    opened: datetime | None = None  # when its bytes were last opened with a password (UTC)
    fault: str | None = None  # what the last verification found, in words

    @property
    def how(self) -> str | None:
        """How it was verified the last time: OPENED, BY_HASH, or None for never here."""
        if self.verified is None:
            return None
        return OPENED if self.opened == self.verified else BY_HASH

    @property
    def is_good(self) -> bool:
        """Whether it was verified here, in whatever way, and nothing was found since."""
        return self.verified is not None and self.fault is None

    @property
    def was_opened(self) -> bool:
        """Whether it was opened once, and nothing was found since."""
        return self.is_good and self.opened is not None

    @property
    def is_sealed(self) -> bool:
        """Whether it is encrypted to an age recipient."""
        return self.name.endswith(SEALED_SUFFIX)

    def has_content(self, content: bytes) -> bool:
        """Whether a file's content is what this copy's name and record promise."""
        return hashlib.sha256(content).hexdigest().startswith(self.sha256)


def unknown(place: str, name: Name) -> Record:
    """The record of a copy that another machine made, or that this one forgot: never verified here."""
    return Record(place, str(name), name.made, name.digest)


def compared(copy: Facts, live: Facts) -> str:
    """How a copy stands to the live vault, by the newest change in each: "same", "older" or "newer".

    "other" is said of a copy of another vault, "unknown" where one of them does not say when it changed.
    """
    if copy.vault_id != live.vault_id:
        return "other"
    if copy.newest is None or live.newest is None:
        return "unknown"
    if copy.newest == live.newest:
        return "same" if copy.entries == live.entries else "unknown"
    return "older" if copy.newest < live.newest else "newer"
