"""Entries of an opened vault: found by path, read and changed on the XML tree.

Look-ups walk the tree in Python: XPath breaks on a quote in a title. Changes keep what KeePassXC relies on: the
modification time (or a merge drops the change) and the history (or the old value is gone).
"""

import re
from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from chronos_secrets.errors import EntryMissing, Refused, VaultUnreadable
from chronos_secrets.secret import Secret
from chronos_secrets.vault import document
from chronos_secrets.vault.kdbx import Kdbx

ID_ATTRIBUTE = "chronos.id"
TOUCHED_ATTRIBUTE = "chronos.touched"
"""Two times, `ours;before`: the modification time that we wrote, and the one that a person's change had given it."""
PENDING, PREVIOUS = "chronos.pending.", "chronos.previous."
"""What begins the names of attributes and attachments that hold the new secret before it is promoted, and the old one
until it is deleted; the field's name follows. They are no part of an entry's past: see `Entries.change`."""
STANDARD_FIELDS = ("Title", "UserName", "Password", "URL", "Notes")
_HISTORY_ITEMS = 10  # KeePassXC's default for a vault that does not say
_REFERENCE = re.compile(r"\{REF:([TUPANI])@([TUPANIO]):([^}]*)\}", re.IGNORECASE)
_REFERENCE_FIELDS = {"T": "Title", "U": "UserName", "P": "Password", "A": "URL", "N": "Notes"}
_REFERENCE_DEPTH = 10
_SECOND, _CLOCKS_DIFFER = timedelta(seconds=1), timedelta(hours=1)
_XML_TEXT = "[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*"  # XML 1.0, section 2.2

Path = tuple[str, ...]
"""Group names below the root group, then the entry's title."""


class Attribute(NamedTuple):
    """A value to store in a field; a protected one is hidden by KeePassXC and masked in memory."""

    value: Secret
    protected: bool = True


class Entry:
    """One entry of the vault, as it is now or as it was (an item of its history)."""

    def __init__(self, vault: "Entries", element: Any) -> None:
        self._vault = vault
        self.element = element

    @property
    def title(self) -> str:
        return _text(self.element, "Title") or ""

    @property
    def username(self) -> str:
        """The user name as it is written: an identifier, no secret."""
        return _text(self.element, "UserName") or ""

    @property
    def url(self) -> str:
        """The URL as it is written."""
        return _text(self.element, "URL") or ""

    @cached_property
    def path(self) -> Path:
        """Where the entry is: group names below the root group, then its title."""
        names = [group.findtext("Name") or "" for group in self.element.iterancestors("Group")]
        return (*reversed(names[:-1]), self.title)

    @property
    def chronos_id(self) -> str | None:
        """The credential id that `init` or a rotation wrote into the entry."""
        return _text(self.element, ID_ATTRIBUTE)

    def plain(self, name: str) -> str:
        """A field or attribute that is no secret, as it is written; "" where there is none."""
        return _text(self.element, name) or ""

    def field(self, name: str) -> Secret | None:
        """A standard field (Title, UserName, Password, URL, Notes), `otp`, or a custom attribute; None if absent.

        References to other entries ({REF:P@I:...}) are followed. Raises EntryMissing for one that leads nowhere.
        """
        value = _text(self.element, name)
        return None if value is None else Secret(self._vault.resolved(value, self))

    def attachment(self, name: str | None) -> Secret | None:
        """The attachment called `name`, or the only one when `name` is None; None if there is none (or several).

        A rotation's pending and previous ones are only found by their names.
        """
        binaries = list(self.element.iterfind("Binary"))
        if name is None:
            found = [binary for binary in binaries if not is_passing(binary.findtext("Key") or "")]
        else:
            found = [binary for binary in binaries if binary.findtext("Key") == name]
        if len(found) != 1:
            return None
        content = self._vault.kdbx.attachment(found[0].find("Value").get("Ref") or "")
        return None if content is None else Secret(content)

    @property
    def attachment_names(self) -> tuple[str, ...]:
        return tuple(binary.findtext("Key") or "" for binary in self.element.iterfind("Binary"))

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The custom attributes, without the standard fields and without `otp`."""
        names = (string.findtext("Key") or "" for string in self.element.iterfind("String"))
        return tuple(name for name in names if name not in (*STANDARD_FIELDS, "otp"))

    @property
    def protected_names(self) -> tuple[str, ...]:
        """The password, and every custom attribute that KeePassXC hides; not `otp`."""
        strings = ((string.findtext("Key") or "", string.find("Value")) for string in self.element.iterfind("String"))
        hidden = (name for name, value in strings if value is not None and value.get("Protected") == "True")
        return ("Password", *(name for name in hidden if name not in (*STANDARD_FIELDS, "otp")))

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(tag.strip() for tag in re.split("[;,]", self.element.findtext("Tags") or "") if tag.strip())

    @property
    def expires(self) -> datetime | None:
        """When KeePassXC says that it expires."""
        if self.element.findtext("Times/Expires") != "True":
            return None
        return self._time("ExpiryTime")

    @property
    def modified(self) -> datetime:
        return self._time("LastModificationTime")

    @property
    def changed(self) -> datetime:
        """When somebody last changed it, not counting what we wrote beside its secrets (that leaves no history)."""
        ours, _, before = self.plain(TOUCHED_ATTRIBUTE).partition(";")
        stamp = self.element.findtext("Times/LastModificationTime") or ""
        return document.decode_time(before) if before and ours == stamp else self.modified

    @property
    def history(self) -> "tuple[Entry, ...]":
        """The entry as it was, oldest first."""
        return tuple(Entry(self._vault, element) for element in self.element.iterfind("History/Entry"))

    def _time(self, name: str) -> datetime:
        try:
            return document.decode_time(self.element.findtext(f"Times/{name}") or "")
        except (ValueError, OverflowError) as error:
            raise VaultUnreadable(f"the entry '{'/'.join(self.path)}' holds a time that cannot be read") from error


class Entries:
    """All entries of one vault."""

    def __init__(self, kdbx: Kdbx) -> None:
        self.kdbx = kdbx
        self._titles: dict[Any, dict[str, list[Any]]] = {}

    def __iter__(self) -> Iterator[Entry]:
        """Each current entry, without history and without the recycle bin."""
        bin_uuid = self.kdbx.root.findtext("Meta/RecycleBinUUID")
        waiting = [self._root_group]
        while waiting:
            group = waiting.pop()
            if group.findtext("UUID") == bin_uuid:
                continue
            yield from (Entry(self, element) for element in group.iterfind("Entry"))
            waiting.extend(group.findall("Group"))

    def everywhere(self) -> Iterator[Entry]:
        """Each current entry, those in the recycle bin too."""
        waiting: list[tuple[Path, Any]] = [((), self._root_group)]
        while waiting:
            names, group = waiting.pop()
            for element in group.iterfind("Entry"):
                found = Entry(self, element)
                found.path = (*names, found.title)  # asking each for the name of its group is slow in a large one
                yield found
            waiting.extend(((*names, inner.findtext("Name") or ""), inner) for inner in group.iterfind("Group"))

    @property
    def vault_id(self) -> str:
        """What tells this vault from others: the UUID of its root group, which copies and upgrades keep."""
        return self._root_group.findtext("UUID") or ""

    @property
    def key_changed(self) -> datetime | None:
        """When the vault's password or key file was last changed (UTC); None where that is not said or not readable."""
        written = self.kdbx.root.findtext("Meta/MasterKeyChanged")
        try:
            return document.decode_time(written) if written else None
        except (ValueError, OverflowError):
            return None

    def replace(self, kdbx: Kdbx) -> None:
        """Go on with another tree, for all who hold this object. Each `Entry` of before is of the former one."""
        self.kdbx = kdbx
        self._titles.clear()

    def at(self, path: Path) -> Entry | None:
        """The entry at `path`, or None. Raises EntryMissing when two entries share that path."""
        found = [element for group in self._groups(path[:-1]) for element in self._by_title(group).get(path[-1], [])]
        if len(found) > 1:
            raise EntryMissing(
                f"there are {len(found)} entries called '{'/'.join(path)}'",
                hint="rename all but one of them in KeePassXC",
            )
        return Entry(self, found[0]) if found else None

    def change(
        self,
        entry: Entry,
        *,
        now: datetime,
        fields: Mapping[str, Attribute] | None = None,
        attachments: Mapping[str, Secret] | None = None,
        expires: datetime | None = None,
        remove: Collection[str] = (),
        remember: bool | None = None,
    ) -> None:
        """Set fields (standard or custom), attachments and the expiry of one entry, in one step.

        `remove` names custom attributes and attachments that go; one that is not there is no mistake.

        The entry as it was goes into its history only when a protected field or an attachment gets another value:
        KeePassXC keeps ten items, and a rotation must not push the real old passwords out. So what a rotation keeps for
        a while (`PENDING`, `PREVIOUS`) makes no item, is in none that is made here, and is removed from all of them.
        `remember` overrides that rule: True where what is lost is a secret though KeePassXC does not hide it, False for
        taking back a change that made an item. Nothing is changed when a value cannot be stored (raises Refused).
        """
        fields, attachments = fields or {}, attachments or {}
        _check_names(*fields, *attachments)
        for name, attribute in fields.items():
            _check_storable(name, attribute.value)
        if _replaces_secret(entry, fields, attachments, remove) if remember is None else remember:
            now = _later(entry, now)
            self._remember(entry)
        elif not self._is_new(entry, now):
            now, before = _later(entry, now), document.encode_time(entry.changed)
            touched = Secret(f"{document.encode_time(now)};{before}")
            fields = {**fields, TOUCHED_ATTRIBUTE: Attribute(touched, protected=False)}
        for name, attribute in fields.items():
            _set_text(entry.element, name, attribute)
        for name, content in attachments.items():
            self._attach(entry, name, content)
        _drop(entry.element, remove)
        for item in entry.history:
            _drop(item.element, [name for name in remove if is_passing(name)])
        if expires is not None:
            _set_time(entry.element, "ExpiryTime", expires)
            entry.element.find("Times/Expires").text = "True"
        _set_time(entry.element, "LastModificationTime", now)
        self._titles.clear()

    def add_group(self, names: Path, *, now: datetime) -> Any:
        """The group at `names`, made where it is missing."""
        _check_names(*names)
        group = self._root_group
        for name in names:
            found = next((child for child in group.iterfind("Group") if child.findtext("Name") == name), None)
            group = found if found is not None else _append(group, document.group(name, document.encode_time(now)))
        return group

    def add(self, path: Path, *, now: datetime) -> Entry:
        """A new entry with an empty password at `path`; groups are made where they are missing."""
        _check_names(*path)
        group = self.add_group(path[:-1], now=now)
        self._titles.clear()
        return Entry(self, _append(group, document.entry(path[-1], document.encode_time(now))))

    def resolved(self, value: str, entry: Entry, depth: int = 0) -> str:
        """`value` with its references to other entries followed. Raises EntryMissing for one that leads nowhere."""
        if depth > _REFERENCE_DEPTH:
            raise EntryMissing(f"the entry '{'/'.join(entry.path)}' refers to itself through its references")
        return _REFERENCE.sub(lambda found: self.resolved(self._referred(found, entry), entry, depth + 1), value)

    @staticmethod
    def _is_new(entry: Entry, now: datetime) -> bool:
        """Whether it was made in this very step."""
        stamps = {entry.element.findtext(f"Times/{name}") for name in ("LastModificationTime", "CreationTime")}
        return stamps == {document.encode_time(now)}

    @property
    def _root_group(self) -> Any:
        return self.kdbx.root.find("Root/Group")

    def _groups(self, names: Path) -> list[Any]:
        found = [self._root_group]
        for name in names:
            found = [child for group in found for child in group.iterfind("Group") if child.findtext("Name") == name]
        return found

    def _by_title(self, group: Any) -> dict[str, list[Any]]:
        """The entries of one group by title, read once: a vault may hold thousands."""
        if group not in self._titles:
            titles: dict[str, list[Any]] = {}
            for element in group.iterfind("Entry"):
                titles.setdefault(_text(element, "Title") or "", []).append(element)
            self._titles[group] = titles
        return self._titles[group]

    def _referred(self, found: re.Match[str], entry: Entry) -> str:
        wanted, search, text = found[1].upper(), found[2].upper(), found[3]
        for other in self:
            if _answers(other.element, search, text):
                if wanted == "I":
                    return document.hex_uuid(other.element.findtext("UUID") or "").lower()
                return _text(other.element, _REFERENCE_FIELDS[wanted]) or ""
        raise EntryMissing(f"the entry '{'/'.join(entry.path)}' refers to an entry that is not there")

    def _remember(self, entry: Entry) -> None:
        history = entry.element.find("History")
        if history is None:
            history = _append(entry.element, "<History/>")
        item = deepcopy(entry.element)
        item.remove(item.find("History"))
        _drop(item, [name for name in _names(item) if is_passing(name)])
        history.append(item)
        stated = self.kdbx.root.findtext("Meta/HistoryMaxItems") or ""
        limit = int(stated) if re.fullmatch("-?[0-9]{1,9}", stated) else _HISTORY_ITEMS
        if limit >= 0:  # -1 means no limit
            for oldest in history.findall("Entry")[: max(0, len(history) - limit)]:
                history.remove(oldest)

    def _attach(self, entry: Entry, name: str, content: Secret) -> None:
        binary = next((each for each in entry.element.iterfind("Binary") if each.findtext("Key") == name), None)
        if binary is None:
            binary = _append(entry.element, "<Binary><Key/><Value/></Binary>")
            binary.find("Key").text = name
        binary.find("Value").set("Ref", self.kdbx.add_attachment(content.reveal_bytes()))


def _text(element: Any, name: str) -> str | None:
    """The text of one field; None if there is no such field, "" if it is empty."""
    for string in element.iterfind("String"):
        if string.findtext("Key") == name:
            return string.findtext("Value") or ""
    return None


def _is_protected(element: Any, name: str) -> bool:
    found = (string for string in element.iterfind("String") if string.findtext("Key") == name)
    return any(string.find("Value").get("Protected") == "True" for string in found)


def _answers(element: Any, search: str, text: str) -> bool:
    """Whether an entry is the one that a reference looks for, by the letters of KeePass's field references."""
    if search == "I":
        return document.hex_uuid(element.findtext("UUID") or "") == text.replace("-", "").upper()
    if search == "O":
        return any(string.findtext("Value") == text for string in element.iterfind("String"))
    return (_text(element, _REFERENCE_FIELDS[search]) or "").casefold() == text.casefold()


def _check_storable(name: str, value: Secret) -> None:
    try:
        storable = re.fullmatch(_XML_TEXT, value.reveal()) is not None
    except UnicodeDecodeError:
        storable = False
    if not storable:
        raise Refused(f"the new value of '{name}' holds characters that a KeePassXC file cannot store")


def _check_names(*names: str) -> None:
    for name in names:
        if not re.fullmatch(_XML_TEXT, name):
            raise Refused(f"the name {name!r} holds characters that a KeePassXC file cannot store")


def _later(entry: Entry, now: datetime) -> datetime:
    """The time for a change: now, and a second after the last change at the least.

    KeePassXC tells versions of an entry apart by whole seconds: of two that are of one second a merge keeps one. A last
    change in the future was written by a wrong clock, and is not followed.
    """
    last = entry.modified
    return last + _SECOND if now - _SECOND < last < now + _CLOCKS_DIFFER else now


def is_passing(name: str) -> bool:
    """Whether an attribute or attachment of that name is kept for the time of a rotation only."""
    return name.startswith((PENDING, PREVIOUS))


def _replaces_secret(
    entry: Entry, fields: Mapping[str, Attribute], attachments: Mapping[str, Secret], remove: Collection[str]
) -> bool:
    """Whether a value that a person may need again would be lost."""
    lost_text = any(
        (attribute.protected or _is_protected(entry.element, name))
        and (_text(entry.element, name) or attribute.value.reveal()) != attribute.value.reveal()
        for name, attribute in fields.items()
        if not is_passing(name)
    )
    lost_files = any(
        entry.attachment(name) not in (None, content) for name, content in attachments.items() if not is_passing(name)
    )
    gone = [name for name in remove if not is_passing(name)]
    lost_names = any(
        name in entry.attachment_names or (_is_protected(entry.element, name) and _text(entry.element, name))
        for name in gone
    )
    return lost_text or lost_files or lost_names


def _names(element: Any) -> list[str]:
    """The names of an entry's fields, attributes and attachments."""
    return [part.findtext("Key") or "" for part in _parts(element)]


def _parts(element: Any) -> list[Any]:
    return [*element.iterfind("String"), *element.iterfind("Binary")]


def _drop(element: Any, names: Collection[str]) -> None:
    for part in _parts(element) if names else ():
        if part.findtext("Key") in names:
            element.remove(part)


def _set_text(element: Any, name: str, attribute: Attribute) -> None:
    string = next((each for each in element.iterfind("String") if each.findtext("Key") == name), None)
    if string is None:
        string = _append(element, "<String><Key/><Value/></String>")
        string.find("Key").text = name
    value = string.find("Value")
    value.text = attribute.value.reveal() or None  # lxml writes "" and None differently, and reads None back
    if attribute.protected:
        value.set("Protected", "True")
    else:
        value.attrib.pop("Protected", None)


def _set_time(element: Any, name: str, when: datetime) -> None:
    element.find(f"Times/{name}").text = document.encode_time(when)


def _append(parent: Any, markup: str) -> Any:
    """Append the element written in `markup` (ours, never a person's text) and return it."""
    made = document.element(markup)
    parent.append(made)
    return made
