"""One credential's rotation as its entry in the vault holds it, and the one way to change that.

A change is a function from what is held to what shall be held. It is applied and saved at once; where another program
saved the file meanwhile, the file is read again and the same change is applied to what is there now. So a change must
look at what it is given, and raises Refused where it no longer fits; nothing is written then.
"""

import contextlib
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from typing import NamedTuple
from zoneinfo import ZoneInfo

from chronos_secrets.errors import ChronosError, Refused, VaultChanged, VaultLocked
from chronos_secrets.inventory.model import Credential, FieldPlace
from chronos_secrets.render.values import Values, field_value
from chronos_secrets.rotation import journal as journals
from chronos_secrets.rotation.journal import PENDING, PREVIOUS, ROTATED, Found, Journal
from chronos_secrets.rotation.target import Material
from chronos_secrets.secret import Secret
from chronos_secrets.vault.entries import Attribute, Entry, is_passing
from chronos_secrets.vault.store import Vault

_TRIES = 5  # a person saves now and then; a program that saves again and again would hold us up for ever
_EMPTY = Secret("")


class Held(NamedTuple):
    """What an entry holds of one credential.

    `current` has every field of the credential; `pending` and `previous` those that a rotation replaces, or nothing.
    `rotated` is the day of the last rotation ("" for unknown), `expires` when KeePassXC says that the entry does.
    """

    journal: Journal | None
    current: Material
    pending: Material
    previous: Material
    rotated: str
    expires: datetime | None


Change = Callable[[Held], Held]


class Record:
    """The entry of one credential in an opened vault.

    `values` finds it, `now` tells the time (UTC), and `save` saves the vault with all that has to follow a save; it
    raises what `Vault.save` raises.
    """

    def __init__(
        self,
        vault: Vault,
        values: Values,
        credential: Credential,
        replaces: Iterable[str],
        *,
        now: Callable[[], datetime],
        zone: ZoneInfo,
        save: Callable[[], None],
    ) -> None:
        self.credential, self.zone, self.now = credential, zone, now
        self._vault, self._values, self._save = vault, values, save
        self._replaces = tuple(replaces)

    @property
    def entry(self) -> Entry:
        """The credential's entry, as it is in the opened vault now. Raises EntryMissing."""
        return self._values.entry(self.credential)

    @property
    def today(self) -> date:
        """The current day of the inventory's timezone."""
        return self.now().astimezone(self.zone).date()

    def held(self) -> Held:
        """What the entry holds now. Raises EntryMissing, Refused for a damaged journal."""
        return self._read(self.entry)

    def newest(self) -> Found | None:
        """The newest journal, which may stand in the entry's history. Raises EntryMissing, Refused."""
        return journals.latest(self.entry)

    def past(self) -> list[tuple[Journal, Held]]:
        """What each item of the entry's history held that has a journal, oldest first."""
        read = [self._read_or_none(item) for item in self.entry.history]
        return [(held.journal, held) for held in read if held and held.journal]

    def require_rotatable(self) -> None:
        """Raises EntryMissing, and Refused where a value that would be replaced is another entry's."""
        self._vault.require_writable()
        entry = self.entry
        for field in self._replaces:
            place = self.credential.fields[field]
            if place.where != "attachment" and "{REF:" in entry.plain(place.name or "").upper():
                raise Refused(
                    f"{self.credential.id}: the field {field} is a reference to another entry",
                    hint="rotate the credential of that entry instead, or write the value itself in KeePassXC",
                )

    def commit(self, change: Change, *, undoes: bool = False) -> Held:
        """Apply a change and save it, on top of what another program saved meanwhile; what is held then.

        `undoes` says that it takes back a change that had made an item of the entry's history: it makes none. Raises
        what the change raises, and what saving raises; VaultChanged only where that other program does not stop saving,
        or where the file has another password by now. Nothing is kept of a change that was not saved.
        """
        for left in reversed(range(_TRIES)):
            self._write(change(self.held()), undoes=undoes)
            try:
                self._save()
                break
            except VaultChanged:
                self._reload()
                if not left:
                    raise
            except ChronosError:
                with contextlib.suppress(ChronosError):
                    self._vault.reload()
                raise
        return self.held()

    def adopt(self, item: Entry) -> Change:
        """The change that brings back what an item of the history held, current values included."""
        past = self._read(item)
        return lambda held: past._replace(current={**held.current, **self.replaced(past.current)})

    def holding(self, item: Entry) -> Held:
        """What an item of the history held."""
        return self._read(item)

    def replaced(self, material: Material) -> Material:
        """The fields that a rotation replaces."""
        return {field: material[field] for field in self._replaces if field in material}

    def _reload(self) -> None:
        try:
            self._vault.reload()
        except VaultLocked as error:
            raise VaultChanged(
                f"{self._vault.path} was saved under another password while this ran; nothing was stored in it",
                hint="run the command again with the new password",
            ) from error

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read_or_none(self, item: Entry) -> Held | None:
        try:
            return self._read(item)
        except Refused:
            return None  # a damaged journal of the past says nothing

    def _read(self, entry: Entry) -> Held:
        fields = self.credential.fields
        return Held(
            journal=journals.of(entry),
            current={field: field_value(entry, self.credential, field) or _EMPTY for field in fields},
            pending=self._kept(entry, PENDING),
            previous=self._kept(entry, PREVIOUS),
            rotated=entry.plain(ROTATED),
            expires=entry.expires,
        )

    def _kept(self, entry: Entry, prefix: str) -> Material:
        found = {}
        for field, place in self.credential.fields.items():
            name = prefix + field
            value = entry.attachment(name) if place.where == "attachment" else entry.field(name)
            if value is not None:
                found[field] = value
        return found

    # --- writing -----------------------------------------------------------------------------------------------------

    def _write(self, wanted: Held, *, undoes: bool) -> None:
        entry, before = self.entry, self.held()
        texts: dict[str, Attribute] = {}
        files: dict[str, Secret] = {}
        pairs = [(before.current, wanted.current, None), (before.pending, wanted.pending, PENDING)]
        for was, shall, prefix in [*pairs, (before.previous, wanted.previous, PREVIOUS)]:
            for field in [field for field, value in shall.items() if was.get(field) != value]:
                place, value = self._place(entry, field, prefix), shall[field]
                if place.where == "attachment":
                    files[place.name or ""] = value
                else:
                    texts[place.name or ""] = Attribute(value, protected=self._is_protected(entry, field, place))
        marks = {journals.ATTRIBUTE: _encoded(wanted.journal), ROTATED: wanted.rotated}
        texts |= {name: Attribute(Secret(text), protected=False) for name, text in marks.items() if text}
        replaced = self.replaced(wanted.current) != self.replaced(before.current)
        self._values.entries.change(
            entry, now=self.now(), fields=texts, attachments=files, remember=replaced and not undoes,
            expires=wanted.expires if wanted.expires != before.expires else None,
            remove=self._passing(wanted) | {name for name, text in marks.items() if not text},
        )  # fmt: skip

    def _place(self, entry: Entry, field: str, prefix: str | None) -> FieldPlace:
        """Where a field is kept in the entry: in its own place, or beside it for the time of the rotation."""
        place = self.credential.fields[field]
        if prefix:
            return FieldPlace("attachment" if place.where == "attachment" else "attr", prefix + field)
        if place.where == "attachment" and place.name is None:
            return place._replace(name=_only_attachment(entry, self.credential))
        return place

    def _is_protected(self, entry: Entry, field: str, place: FieldPlace) -> bool:
        """Whether KeePassXC hides it: as it does already, and every secret that gets an attribute of its own."""
        if place.name in entry.protected_names:
            return True
        return place.where == "attr" and place.name not in entry.attribute_names and self.credential.is_secret(field)

    def _passing(self, wanted: Held) -> set[str]:
        """The names of all that a rotation keeps for a while and that is not wanted any more."""
        kept = {PENDING: wanted.pending, PREVIOUS: wanted.previous}
        return {
            prefix + field for prefix, held in kept.items() for field in self.credential.fields if field not in held
        }


def as_expiry(day: date, zone: ZoneInfo) -> datetime:
    """The instant that KeePassXC shows as that day of expiry, as `due --write-expiry` writes it (UTC)."""
    return datetime.combine(day, time_of_day(), tzinfo=zone).astimezone(UTC)


def _encoded(journal: Journal | None) -> str:
    return journals.encode(journal) if journal else ""


def _only_attachment(entry: Entry, credential: Credential) -> str:
    """The name of the entry's one attachment; a first one is named after the credential."""
    names = [name for name in entry.attachment_names if not is_passing(name)]
    return names[0] if names else credential.id
