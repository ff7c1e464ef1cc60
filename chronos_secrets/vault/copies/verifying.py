"""Whether a copy is what it should be: read back from its place, compared, opened."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import Refused, TargetFailed, VaultLocked, VaultUnreadable
from chronos_secrets.vault import document, kdbx
from chronos_secrets.vault.copies.place import Place
from chronos_secrets.vault.copies.record import SEALED_SUFFIX, Facts, Name, Record, compared
from chronos_secrets.vault.entries import Entries
from chronos_secrets.vault.kdf import MasterKey

_CHANGES = ("LastModificationTime", "LocationChanged", "DeletionTime")
_DAMAGED = "is damaged: its SHA-256 is another one than when it was made"


class _Unreadable(Exception):
    """The place is there and lists the copy, but does not give it back."""


class Verdict(NamedTuple):
    """What looking at one copy found."""

    record: Record  # as it is to be remembered from now on
    fault: str | None  # what is wrong, to follow the copy's name: "is cut short: …"; None for a good copy
    opened: bool = False  # whether it was opened now; else it was verified by its hash, or is faulty
    standing: str = "unknown"  # to the live vault: same, older, newer, other, unknown


def facts(entries: Entries) -> Facts:
    """What an opened vault says of itself."""
    version = entries.kdbx.format.version
    root = entries.kdbx.root
    return Facts(
        vault_id=entries.vault_id,
        version=f"{version[0]}.{version[1]}",
        entries=sum(1 for _ in entries.everywhere()),
        newest=max(_times(element.text for element in root.find("Root").iter(*_CHANGES)), default=None),
        key_changed=entries.key_changed,
    )


def verify(
    place: Place, record: Record, key: MasterKey | None, live: Facts | None, *, now: datetime,
    identity: Path | None = None,
) -> Verdict:  # fmt: skip
    """Read a copy back and look at it; without `key` (or without `identity`, for a sealed one) by its hash only.

    Opened, what it holds is compared with what was recorded when it was made, and its vault with the live one. That
    it is older or newer than `live` is no fault: `standing` says so. One that a password or an identity does not open
    has a fault in the verdict, but none in the record: its bytes are as they were.
    Raises TargetFailed or Refused where the place cannot be reached.
    """
    try:
        content = _content(place, record)
    except _Unreadable as error:
        return _faulty(record, str(error))
    return judge(record, content, key, live, now=now, identity=identity)


def judge(
    record: Record, content: bytes, key: MasterKey | None, live: Facts | None, *, now: datetime,
    identity: Path | None = None,
) -> Verdict:  # fmt: skip
    """What `verify` says of a copy whose `content` was read back from its place."""
    if not record.has_content(content):
        cut = record.size is not None and len(content) < record.size
        return _faulty(record, f"is cut short: {len(content)} of {record.size} bytes" if cut else _DAMAGED)
    read = record._replace(sha256=hashlib.sha256(content).hexdigest(), size=len(content), verified=now, fault=None)
    if key is None or (record.is_sealed and identity is None):
        return Verdict(read, None)
    try:
        vault, found = _opened(record, content, key, identity)
    except VaultLocked as error:
        return Verdict(read, f"does not open: {error.message}")
    except VaultUnreadable as error:
        return _faulty(record, f"does not open: {error.message}")
    fault = _difference(record, vault, found, live)
    if fault is not None:
        return _faulty(record, fault)
    known = read._replace(vault=hashlib.sha256(vault).hexdigest(), facts=found, opened=now)
    return Verdict(known, None, opened=True, standing=compared(found, live) if live else "unknown")


def unsealed(content: bytes, name: str, identity: Path | None) -> bytes:
    """The vault file in a copy of that name, which is sealed if the name says so.

    Raises VaultLocked for a sealed one without its identity, VaultUnreadable, TargetFailed.
    """
    if not name.endswith(SEALED_SUFFIX):
        return content
    if identity is None:
        raise VaultLocked("it is encrypted by age, and no identity was given")
    from chronos_secrets.systems import age

    return age.unseal(content, identity)


def _content(place: Place, record: Record) -> bytes:
    """The copy's bytes. A place that cannot be reached is told from a file that is bad: that is _Unreadable."""
    name = Name.parse(record.name)
    if name is None:
        raise Refused(f"{record.name} is not the name of a copy")
    try:
        return place.read(name)
    except TargetFailed as error:
        if name not in place.names():  # raises where the place is away
            raise _Unreadable("is not there any more") from error
        raise _Unreadable(f"cannot be read back: {error.message}") from error


def _opened(record: Record, content: bytes, key: MasterKey, identity: Path | None) -> tuple[bytes, Facts]:
    vault = unsealed(content, record.name, identity)
    try:
        return vault, facts(Entries(kdbx.decrypt(vault, key)))
    except VaultLocked:
        changed = record.facts.key_changed if record.facts else None
        since = f", which was set on {changed:%Y-%m-%d}" if changed else ""
        raise VaultLocked(f"the password or key file is not this copy's{since}") from None


def _difference(record: Record, vault: bytes, found: Facts, live: Facts | None) -> str | None:
    if live is not None and found.vault_id != live.vault_id:
        return "is a copy of another vault"
    if record.vault not in (None, hashlib.sha256(vault).hexdigest()):
        return "holds another vault file than the one that was copied"
    if record.facts is None or record.facts == found:
        return None
    if record.facts.entries != found.entries:
        return f"holds {found.entries} entries where {record.facts.entries} were recorded"
    return "does not hold what was recorded when it was made"


def _faulty(record: Record, fault: str) -> Verdict:
    return Verdict(record._replace(fault=fault), fault)


def _times(texts: Iterable[str | None]) -> Iterator[datetime]:
    """Those of some texts that are times; others are for `check` to tell."""
    for text in texts:
        try:
            yield document.decode_time(text or "")
        except (ValueError, OverflowError):
            continue
