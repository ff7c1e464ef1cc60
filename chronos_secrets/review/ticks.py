"""Which tasks were done, and when: on this machine, and through the vault on every machine that shares it.

A tick is a day. The later one wins, so merging two machines in any order gives the same result.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

from chronos_secrets.errors import EntryMissing
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files
from chronos_secrets.vault.entries import Attribute, Entries, Entry

STATE_ENTRY = ("chronos-secrets", "State")
_PREFIX = "done."
Ticks = Mapping[str, date]
"""The last day that each task was done, by task id."""


def load(path: Path) -> dict[str, date]:
    """The ticks of this machine; none where the file is missing or cannot be read. Never raises."""
    try:
        return {str(task): date.fromisoformat(day) for task, day in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def store(path: Path, ticks: Ticks) -> None:
    """Keep the ticks on this machine. Raises OSError."""
    files.private_folder(path.parent)
    files.write_durably(path, json.dumps({task: day.isoformat() for task, day in sorted(ticks.items())}).encode())


def merged(*several: Ticks, today: date) -> dict[str, date]:
    """The later tick of each task. A tick in the future is from a wrong clock and counts for nothing."""
    found: dict[str, date] = {}
    for ticks in several:
        for task, day in ticks.items():
            if day <= today:
                found[task] = max(day, found.get(task, day))
    return found


def in_vault(entries: Entries) -> dict[str, date]:
    """The ticks that the vault carries from machine to machine."""
    return merged(*(_held(entry) for entry in state_entries(entries)), today=date.max)


def state_entries(entries: Entries) -> list[Entry]:
    """The vault's own entries, the one that was changed last at the end.

    There is one, or none yet; or several, where two machines had made their first before KeePassXC merged their vaults.
    """
    try:
        entry = entries.at(STATE_ENTRY)
    except EntryMissing:
        return sorted((each for each in entries if each.path == STATE_ENTRY), key=lambda each: each.modified)
    return [] if entry is None else [entry]


def _held(entry: Entry) -> dict[str, date]:
    found = {}
    for name in entry.attribute_names:
        if name.startswith(_PREFIX):
            try:
                found[name.removeprefix(_PREFIX)] = date.fromisoformat(entry.plain(name))
            except ValueError:
                continue  # somebody edited it by hand; this machine's own tick stands
    return found


def into_vault(entries: Entries, ticks: Ticks, marks: Mapping[str, str], *, now: datetime, today: date) -> bool:
    """Put what is newer into the vault's own entry; returns whether that changed anything. Nothing is saved yet.

    `marks` are further attributes of that entry, such as the head of this machine's audit log.
    """
    both = merged(in_vault(entries), ticks, today=today)
    wanted = {f"{_PREFIX}{task}": day.isoformat() for task, day in both.items()} | dict(marks)
    there = state_entries(entries)
    entry = there[-1] if there else entries.add(STATE_ENTRY, now=now)
    changed = {name: value for name, value in wanted.items() if entry.plain(name) != value}
    if changed:
        fields = {name: Attribute(Secret(value), protected=False) for name, value in changed.items()}
        entries.change(entry, now=now, fields=fields)
    return bool(changed)
