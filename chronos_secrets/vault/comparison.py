"""What differs between two opened vaults: which entries, and which of their fields. Never a value.

An entry is the same one when its UUID is; one whose UUID is in one vault only is compared with its namesake there.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from chronos_secrets.vault import document
from chronos_secrets.vault.entries import TOUCHED_ATTRIBUTE, Entries, Entry

What = Literal["gone", "changed", "added"]
HISTORY_ONLY = "only its history"
_ORDER: tuple[What, ...] = ("gone", "changed", "added")
_BY_NAME = frozenset({"UUID", "String", "Binary", "History", "Times", "Tags", "CustomData"})
"""The parts of an entry that are compared by name, or (CustomData) are a program's own notes."""


class Difference(NamedTuple):
    """One entry that is not alike in both. `fields` are words for a person: names of fields, "moved from …"."""

    path: str
    what: What
    fields: tuple[str, ...] = ()


class Comparison(NamedTuple):
    """What leads from one vault to another. `master_key`: the password or the key file was changed in between."""

    entries: tuple[Difference, ...]
    master_key: bool
    same_vault: bool

    @property
    def alike(self) -> bool:
        return not self.entries and not self.master_key and self.same_vault


def compare(before: Entries, after: Entries) -> Comparison:
    """What somebody who knew `before` finds changed in `after`; what is gone stands first."""
    pairs = _pairs(before, after)
    found = [each for old, new in pairs if (each := _difference(old, new)) is not None]
    found.sort(key=lambda each: (_ORDER.index(each.what), each.path))
    keys = [_time(each.kdbx.root, "Meta/MasterKeyChanged") for each in (before, after)]
    return Comparison(tuple(found), keys[0] != keys[1], before.vault_id == after.vault_id)


class _Seen:
    """One entry of one vault, with what is needed to compare it."""

    def __init__(self, entry: Entry, vault: Entries, bin_uuid: str | None) -> None:
        self.element, self.path, self._vault = entry.element, entry.path, vault
        self.name = "/".join(entry.path)
        self.uuid = entry.element.findtext("UUID")
        self.binned = any(group.findtext("UUID") == bin_uuid for group in entry.element.iterancestors("Group"))
        self.tags = entry.tags

    def attachments(self, element: Any) -> dict[str, bytes | None]:
        return {
            each.findtext("Key") or "": self._vault.kdbx.attachment(each.find("Value").get("Ref") or "")
            for each in element.iterfind("Binary")
        }

    def history(self) -> list[tuple[str, Mapping[str, str], Mapping[str, bytes | None]]]:
        items = self.element.iterfind("History/Entry")
        return [(_time(each, "Times/LastModificationTime"), _texts(each), self.attachments(each)) for each in items]


def _pairs(before: Entries, after: Entries) -> Iterator[tuple[_Seen | None, _Seen | None]]:
    """Each entry beside itself in the other vault; None where it is not there."""
    old, later = _all(before), {each.uuid: each for each in _all(after)}
    known = {each.uuid for each in old}
    new_by_name: dict[str, list[_Seen]] = {}
    for each in later.values():
        if each.uuid not in known:
            new_by_name.setdefault(each.name, []).append(each)
    for each in old:
        twins = new_by_name.get(each.name)
        yield each, later[each.uuid] if each.uuid in later else twins.pop(0) if twins else None
    yield from ((None, each) for twins in new_by_name.values() for each in twins)


def _all(vault: Entries) -> list[_Seen]:
    bin_uuid = vault.kdbx.root.findtext("Meta/RecycleBinUUID")
    return [_Seen(each, vault, bin_uuid) for each in vault.everywhere()]


def _difference(before: _Seen | None, after: _Seen | None) -> Difference | None:
    if before is None or after is None:
        return Difference(after.name, "added") if after else Difference(before.name, "gone") if before else None
    if after.binned and not before.binned:
        return Difference(before.name, "gone", ("in the recycle bin",))
    if before.binned and not after.binned:
        return Difference(after.name, "added", ("back from the recycle bin",))
    fields = tuple(_changes(before, after))
    if (
        not fields and before.history() != after.history()
    ):  # every change leaves a history: told where it is all there is
        fields = (HISTORY_ONLY,)
    return Difference(after.name, "changed", fields) if fields else None


def _changes(before: _Seen, after: _Seen) -> Iterator[str]:
    if before.path[:-1] != after.path[:-1]:
        yield f"moved from '{'/'.join(before.path[:-1]) or 'the root group'}'"
    old, new = _texts(before.element), _texts(after.element)
    yield from (name for name in sorted({*old, *new}) if old.get(name, "") != new.get(name, ""))
    kept, now = before.attachments(before.element), after.attachments(after.element)
    names = sorted({*kept, *now})
    yield from (
        f"attachment {name}" for name in names if (name in kept, kept.get(name)) != (name in now, now.get(name))
    )
    if before.tags != after.tags:
        yield "tags"
    if _expiry(before.element) != _expiry(after.element):
        yield "expiry"
    if _rest(before.element) != _rest(after.element):
        yield "other settings"


def _texts(element: Any) -> dict[str, str]:
    """The fields as they are written; a reference is not followed, for the entry it leads to is compared itself."""
    fields = {each.findtext("Key") or "": each.findtext("Value") or "" for each in element.iterfind("String")}
    fields.pop(TOUCHED_ATTRIBUTE, None)  # our note of when we wrote something: what we wrote is compared itself
    return fields


def _expiry(element: Any) -> str | None:
    return _time(element, "Times/ExpiryTime") if element.findtext("Times/Expires") == "True" else None


def _rest(element: Any) -> list[tuple[str, str]]:
    """Icon, colours, auto-type: what nobody calls by name. An empty part is as one that is not there."""
    parts = [child for child in element if child.tag not in _BY_NAME]
    found = [(str(each.tag), (each.text or "").strip()) for child in parts for each in child.iter()]
    return sorted((tag, text) for tag, text in found if text)


def _time(element: Any, path: str) -> str:
    """A time of KDBX 3.1 or KDBX 4 in one form; one that cannot be read as it is written."""
    text = element.findtext(path) or ""
    try:
        return document.decode_time(text).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return text
