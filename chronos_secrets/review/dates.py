"""When each credential was last rotated: what the vault says, and the date cache that answers while it is locked.

The cache holds days, where they are from, and the journals of rotations: nothing that is secret. It is never a source:
a cache that is missing, torn or of another version is as if nothing were known, and what is unknown counts as due.
"""

import contextlib
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from chronos_secrets.errors import EntryMissing, Refused
from chronos_secrets.inventory.model import Credential, Every, Inventory
from chronos_secrets.inventory.schedule import Codes, Known, Progress, Rotated
from chronos_secrets.render.values import Values, field_value
from chronos_secrets.review import codes
from chronos_secrets.rotation import courses
from chronos_secrets.rotation import journal as journals_of
from chronos_secrets.rotation.journal import Journal
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files
from chronos_secrets.vault.entries import Attribute, Entry

BY_US, BY_HAND = "rotated by this tool", "changed by hand in KeePassXC"
EXPIRY_ATTRIBUTE = "chronos.expires"
"""The expiry that we wrote ourselves; any other one was set by a person or an issuer."""
DAMAGED = "damaged"
"""The phase of a rotation whose journal cannot be read; `rotate` says more."""
_VERSION = 1


class Dates(NamedTuple):
    """What a vault said at a moment (UTC), by credential id.

    `journals` are those of the last rotations, finished or not; None for one that is damaged.
    """

    at: datetime
    known: Mapping[str, Known]
    journals: Mapping[str, Journal | None] = {}
    key_changed: datetime | None = None  # when its password or key file was last changed (UTC), as KeePassXC wrote it


def from_vault(inventory: Inventory, values: Values, now: datetime) -> Dates:
    """What the opened vault says of each credential; one whose entry is missing is left out."""
    zone = ZoneInfo(inventory.timezone)
    found, journals = {}, {}
    for credential in inventory.credentials.values():
        try:
            entry = values.entry(credential)
            found[credential.id] = known_of(entry, credential, zone)
        except EntryMissing:  # its own, or the one that a reference in it leads to
            continue  # `check` tells
        with contextlib.suppress(_NoJournal):
            journals[credential.id] = _journal(entry)
    return with_progress(Dates(now, found, journals, values.entries.key_changed), inventory)


def with_progress(dates: Dates, inventory: Inventory) -> Dates:
    """The same dates, with how far each rotation is by its journal and by the inventory's grace and soak."""
    zone = ZoneInfo(inventory.timezone)
    known = dict(dates.known)
    for name, journal in dates.journals.items():
        row = inventory.credentials.get(name)
        if row is None or (journal is not None and not journal.under_way):
            continue
        day = courses.step_from(journal, row, zone) if journal else None
        known[name] = known.get(name, Known())._replace(progress=Progress(journal.phase if journal else DAMAGED, day))
    return dates._replace(known=known)


def known_of(entry: Entry, credential: Credential, zone: ZoneInfo) -> Known:
    """Last rotation and expiry of one entry.

    The last rotation is the later of our attribute and the last change of the secret in the entry's own history: a
    change by hand in KeePassXC counts, and is called that. What a rollback put back is as old as it was. Recovery codes
    are renewed only where new ones came.
    """
    if credential.kind == "recovery-codes":
        return _known_codes(entry, credential, zone)
    marks = [_recorded(entry), _changed(entry, credential, zone)]
    rotated = max((mark for mark in marks if mark), key=lambda mark: mark.day, default=None)
    return Known(rotated, set_expiry(entry, zone), None)


def _known_codes(entry: Entry, credential: Credential, zone: ZoneInfo) -> Known:
    left, used, renewed = codes.look(entry, credential)
    rotated = Rotated(renewed.astimezone(zone).date(), BY_HAND) if renewed else None
    return Known(rotated, set_expiry(entry, zone), codes=Codes(left, used.astimezone(zone).date() if used else None))


def set_expiry(entry: Entry, zone: ZoneInfo) -> date | None:
    """The day on which KeePassXC says that the entry expires, if a person set it; None for a day that we wrote."""
    if entry.expires is None:
        return None
    day = entry.expires.astimezone(zone).date()
    return None if entry.plain(EXPIRY_ATTRIBUTE) == day.isoformat() else day


def write_expiry(
    inventory: Inventory, values: Values, due: Mapping[str, date | None], zone: ZoneInfo, now: datetime
) -> list[str]:
    """Put each day of `due` where KeePassXC shows an expiry, unless a person set one; the ids of what changed.

    Nothing is saved yet.
    """
    changed = []
    for name, day in due.items():
        if day is None or not isinstance(inventory.credentials[name].rule, Every):
            continue
        try:
            entry = values.entry(inventory.credentials[name])
        except EntryMissing:
            continue  # `check` tells
        if set_expiry(entry, zone) is None and entry.plain(EXPIRY_ATTRIBUTE) != day.isoformat():
            mark = Attribute(Secret(day.isoformat()), protected=False)
            end = datetime(day.year, day.month, day.day, tzinfo=zone)
            values.entries.change(entry, now=now, fields={EXPIRY_ATTRIBUTE: mark}, expires=end.astimezone(UTC))
            changed.append(name)
    return changed


def last_change(entry: Entry, credential: Credential) -> datetime | None:
    """When the credential's secret got the value that it has, by the entry's history; None if that shows no change.

    Each item of the history is the entry as it was after an edit, with the time of that edit. The value's time is
    that of the first item, counted from the end, which has it, provided an older item has another.
    """
    current = field_value(entry, credential, credential.primary)
    since = entry.changed
    for item in reversed(entry.history):
        if field_value(item, credential, credential.primary) != current:
            return since
        since = item.changed
    return None


def load(path: Path) -> Dates | None:
    """The cached dates, without progress; None where there are none that this version can read. Never raises."""
    try:
        content = json.loads(path.read_bytes())
        if content["version"] != _VERSION:
            return None
        rows = content["credentials"].items()
        known = {name: _known(row) for name, row in rows}
        journals = {name: _read(str(row["rotation"])) for name, row in rows if "rotation" in row}
        changed = content.get("key_changed")
        key_changed = datetime.fromisoformat(changed).astimezone(UTC) if changed else None
        return Dates(datetime.fromisoformat(content["at"]).astimezone(UTC), known, journals, key_changed)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def store(path: Path, dates: Dates) -> None:
    """Keep the dates for when the vault is locked. Raises OSError."""
    rows = {name: _row(known) for name, known in dates.known.items()}
    for name, journal in dates.journals.items():
        rows.setdefault(name, {})["rotation"] = journals_of.encode(journal) if journal else DAMAGED
    changed = dates.key_changed.isoformat(timespec="seconds") if dates.key_changed else None
    at = dates.at.isoformat(timespec="seconds")
    content = {"version": _VERSION, "at": at, "key_changed": changed, "credentials": rows}
    files.private_folder(path.parent)
    files.write_durably(path, json.dumps(content, indent=1).encode())


class _NoJournal(Exception):
    """An entry was never rotated by this tool."""


def _journal(entry: Entry) -> Journal | None:
    """The newest journal of an entry; None for a damaged one. Raises _NoJournal."""
    try:
        found = journals_of.latest(entry)
    except Refused:
        return None
    if found is None:
        raise _NoJournal
    return found.journal


def _read(text: str) -> Journal | None:
    try:
        return journals_of.decode(text, "")
    except Refused:
        return None


def _recorded(entry: Entry) -> Rotated | None:
    try:
        return Rotated(date.fromisoformat(entry.plain(journals_of.ROTATED)), BY_US)
    except ValueError:
        return None  # absent, or written by somebody who meant something else


def _changed(entry: Entry, credential: Credential, zone: ZoneInfo) -> Rotated | None:
    changed = last_change(entry, credential)
    return Rotated(changed.astimezone(zone).date(), BY_HAND) if changed else None


def _row(known: Known) -> dict[str, str]:
    row: dict[str, str] = {}
    if known.rotated:
        row |= {"rotated": known.rotated.day.isoformat(), "origin": known.rotated.origin}
    if known.expires:
        row["expires"] = known.expires.isoformat()
    if known.codes:
        row |= {"codes": str(known.codes.left), "tested": known.codes.tested.isoformat() if known.codes.tested else ""}
    return row


def _known(row: Mapping[str, str]) -> Known:
    rotated = Rotated(date.fromisoformat(row["rotated"]), str(row["origin"])) if "rotated" in row else None
    tested = date.fromisoformat(row["tested"]) if row.get("tested") else None
    counted = Codes(int(row["codes"]), tested) if "codes" in row else None
    return Known(rotated, date.fromisoformat(row["expires"]) if "expires" in row else None, codes=counted)
