"""The emergency sheet: what stands on it, and whether the one in the safe is still right. Pure.

The sheet is for a person who has a new computer, the paper, and nothing of this program. It holds no secret: what is
secret is written on it by hand, on lines that are left blank.
"""

import shlex
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from chronos_secrets.inventory.model import KINDS, Copy, Credential, Interval, Inventory
from chronos_secrets.inventory.schedule import FROM_TICK, Standing, State, repeated
from chronos_secrets.review.dates import Dates
from chronos_secrets.review.due import Row
from chronos_secrets.review.ticks import Ticks
from chronos_secrets.vault.kdbx import Format
from chronos_secrets.vault.kdf import MEBIBYTE, Fingerprint

VERIFIED, DRILLED = "emergency.verify", "emergency.drill"
"""Ticks that no task has: no task's id has a dot in it. The vault carries them, so every machine knows."""
_PRINTED = "emergency.sheet."  # followed by the number of the sheet
YEARLY = Interval(1, "year")
"""How often the password on paper and the copies are to be tried, where no task of the inventory says otherwise."""
_LEAD = Interval(30, "day")

_LABELS = {
    "url": "sign-in page",
    "totp": "second factor: where the device and its recovery codes are",
    "private_key": "where a second copy of the key file is",
    "codes": "where the printed codes are",
}
OPENED_AS = "vault.kdbx"
"""What the printed commands call the copy that they work on: the name of a copy is too long to be typed."""


class Printed(NamedTuple):
    """The newest sheet that was made: its number, and when (UTC; only the day where another machine made it)."""

    number: int
    day: date
    at: datetime | None = None


class KeyFile(NamedTuple):
    """The key file of this machine: its path, and how to know it again."""

    path: Path
    fingerprint: Fingerprint


class Kept(NamedTuple):
    """One place for copies, in words: where it is, and what else is needed to get at it."""

    id: str
    where: str
    more: tuple[str, ...]


class Blank(NamedTuple):
    """Something that is to be written by hand: what it is, what for, and a line for each label."""

    title: str
    purpose: str
    labels: tuple[str, ...]


class Step(NamedTuple):
    """One step of a way back: words, and commands that are typed exactly so."""

    words: str
    commands: tuple[str, ...] = ()


class Machine(NamedTuple):
    """What the sheet says of this machine's side of things."""

    computer: str
    user: str
    vault: Path
    format: Format
    key_file: KeyFile | None
    remotes: Sequence[tuple[str, str]]  # of the inventory's repository, without credentials


class Sheet(NamedTuple):
    """All that is printed."""

    project: str
    number: int
    day: date
    holders: tuple[str, ...]
    machine: Machine
    kdf: str
    needs: str  # what opens such a file
    key_changed: date | None  # when the password or key file was last changed
    inventory: Path
    places: tuple[Kept, ...]
    papers: tuple[Blank, ...]
    window: tuple[Step, ...]  # the way back in KeePassXC's window
    terminal: tuple[Step, ...]  # the same in a terminal


def compose(
    inventory: Inventory, machine: Machine, *, home: Path, number: int, day: date, key_changed: date | None
) -> Sheet:
    """The sheet of a project as things are now."""
    places = tuple(_kept(inventory, copy, home, machine) for copy in inventory.vault.copies.values())
    return Sheet(
        project=inventory.project, number=number, day=day, holders=_holders(inventory), machine=machine,
        kdf=_derivation(machine.format), needs=_opener(machine.format), key_changed=key_changed,
        inventory=inventory.path, places=places, papers=tuple(_papers(inventory)),
        window=tuple(_window(inventory, machine)), terminal=tuple(_terminal(inventory, machine)),
    )  # fmt: skip


def wanted(inventory: Inventory) -> bool:
    """Whether a project means to have a sheet: a row is for paper, or the vault has copies."""
    return bool(inventory.vault.copies) or any(each.paper for each in inventory.credentials.values())


def printed(ticks: Ticks) -> Printed | None:
    """The newest sheet that the ticks know."""
    numbers = {int(name.removeprefix(_PRINTED)): day for name, day in ticks.items() if _is_sheet(name)}
    return Printed(max(numbers), numbers[max(numbers)]) if numbers else None


def key_day(inventory: Inventory, dates: Dates | None) -> date | None:
    """The day (of the project) on which the vault's password or key file was last changed; None where nobody knows."""
    if dates is None or dates.key_changed is None:
        return None
    return dates.key_changed.astimezone(ZoneInfo(inventory.timezone)).date()


def tick_of(number: int) -> str:
    """The tick of a sheet by its number."""
    return f"{_PRINTED}{number}"


def rows(inventory: Inventory, ticks: Ticks, dates: Dates | None, last: Printed | None, today: date) -> list[Row]:
    """What is due of the sheet and its drills; nothing where the project means to have none.

    `dates` is what was last seen in the vault, `last` the newest sheet. A command that a task of the inventory runs is
    left to that task. A drill proves the password on paper, too.
    """
    if not wanted(inventory):
        return []
    drilled = ticks.get(DRILLED)
    verified = max((day for day in (ticks.get(VERIFIED), drilled) if day), default=None)
    standing = _sheet_standing(dates, last, key_day(inventory, dates))
    found = [_row(inventory, "sheet", "Print the emergency sheet", standing)]
    standing = repeated(VERIFIED, verified, YEARLY, _LEAD, today, what="verify it")
    found.append(_row(inventory, "verify", "Open the vault with the password on paper", standing))
    if inventory.vault.copies:
        standing = repeated(DRILLED, drilled, YEARLY, _LEAD, today, what="drill")
        found.append(_row(inventory, "drill", "Open the newest copies with the password on paper", standing))
    tasks = {task.run[:2] for task in inventory.tasks.values() if task.run}
    return [row for row in found if tuple(row.how.split()[1:3]) not in tasks]


def _row(inventory: Inventory, command: str, title: str, standing: Standing) -> Row:
    how = "chronos-secrets due --unlock" if standing.rule == _UNSEEN else f"chronos-secrets emergency {command}"
    return Row(standing.id, "task", title, "", "", inventory.owner, standing, how)


_UNSEEN = "anew whenever the password has changed, which was not looked at yet"
_ANEW = "anew whenever the password has changed"


def _sheet_standing(dates: Dates | None, last: Printed | None, changed: date | None) -> Standing:
    def stands(state: State, words: str, rule: str = _ANEW) -> Standing:
        day = last.day if last else None
        return Standing("emergency.sheet", state, None, day, FROM_TICK if day else None, rule, words, None)

    if last is None:
        return stands(State.UNKNOWN, "none was made yet")
    if dates is None:
        return stands(State.UNKNOWN, f"whether sheet {last.number} is older than the password is not known", _UNSEEN)
    if _is_older(last, dates, changed):
        return stands(State.DUE, f"the password changed on {changed}; sheet {last.number} is older: destroy it")
    return stands(State.OK, f"sheet {last.number} of {last.day}")


def _is_older(last: Printed, dates: Dates, changed: date | None) -> bool:
    """Whether the password was changed after the sheet. Of a sheet of another machine only the day is known."""
    if dates.key_changed is None or changed is None:
        return False
    return last.at < dates.key_changed if last.at else last.day < changed


def _is_sheet(name: str) -> bool:
    number = name.removeprefix(_PRINTED)
    return name.startswith(_PRINTED) and number.isascii() and number.isdecimal() and len(number) < 9


def _holders(inventory: Inventory) -> tuple[str, ...]:
    owners = (inventory.owner, *(each.owner for each in inventory.credentials.values()))
    return tuple(dict.fromkeys(owners))


def _derivation(found: Format) -> str:
    kdf = found.kdf
    if kdf.algorithm == "aes":
        return f"AES-KDF, {kdf.rounds} rounds"
    name = "Argon2id" if kdf.algorithm == "argon2id" else "Argon2d"
    size = f"{kdf.memory // MEBIBYTE} MiB" if kdf.memory >= MEBIBYTE else f"{kdf.memory // 1024} KiB"
    return f"{name}, {size} of memory, {kdf.rounds} passes, {kdf.lanes} lanes"


def _opener(found: Format) -> str:
    """Which KeePassXC opens such a file, by its release notes: KDBX 4.0 from 2.3, Argon2id from 2.6.3, 4.1 from 2.7."""
    if found.version < (4, 0):
        return "any KeePassXC"
    if found.version > (4, 0):
        return "KeePassXC 2.7 or later"
    return "KeePassXC 2.6.3 or later" if found.kdf.algorithm == "argon2id" else "KeePassXC 2.3 or later"


def _kept(inventory: Inventory, copy: Copy, home: Path, machine: Machine) -> Kept:
    more = []
    if copy.age:
        more.append(f"encrypted once more by age, to {copy.age}: its identity file is needed, too")
    if copy.kind == "rclone":
        more.append("by hand: sign in where the storage is, and download the newest file")
        more.append(f"or, where rclone knows this remote: {fetch(inventory.project, copy)}")
    titles = [inventory.credentials[each].title for each in copy.needs or ()]
    if titles:
        more.append(f"needs: {', '.join(titles)}")
    return Kept(copy.id, _where(inventory, copy, home, machine), tuple(more))


def _where(inventory: Inventory, copy: Copy, home: Path, machine: Machine) -> str:
    if copy.volume is not None:
        named = f"label {copy.volume.label}" if copy.volume.label else f"UUID {copy.volume.uuid}"
        return f"the USB drive with the {named}, folder {copy.path or '/'}"
    if copy.remote is not None:
        return f"the cloud storage that rclone calls {copy.remote}"
    return f"the folder {inventory.locate(copy.path or '', home=home)} on {machine.computer}"


def fetch(project: str, copy: Copy) -> str:
    """The command that brings the copies of a cloud storage into the folder that one is in."""
    return shlex.join(("rclone", "copy", "--include", f"{project}-*.kdbx*", copy.remote or "", "."))


def _papers(inventory: Inventory) -> Iterator[Blank]:
    for credential in inventory.credentials.values():
        if credential.paper:
            yield Blank(credential.title, credential.purpose or "", tuple(_lines(credential)))


def _lines(credential: Credential) -> Iterator[str]:
    """A label for each field: the kind's, its second factor last, then the row's own."""
    ordered = sorted(credential.fields, key=lambda field: (field not in KINDS[credential.kind].fields, field == "totp"))
    for field in ordered:
        yield _LABELS.get(field, field.replace("_", " "))


def _window(inventory: Inventory, machine: Machine) -> Iterator[Step]:
    project = inventory.project
    yield Step(f"On any computer, install {_opener(machine.format)} (keepassxc.org).")
    yield Step(
        f"Take the newest copy from one of the places: {project}-DATE-….kdbx, the one with the latest date in its name."
    )
    yield Step("Database > Open Database…, choose that file, type the master password.")
    if machine.key_file:
        yield Step(
            "The key file is needed, too: 'Key File' or, in newer versions, 'I have a key file'; choose "
            f"{machine.key_file.path.name}."
        )
    yield Step("Ctrl+F finds an entry. A file in it, such as an SSH key: Edit Entry > Advanced > Attachments > Save.")
    yield Step(f"To go on with it as the vault: put the file at {machine.vault}. Old copies stay as they are.")


def _terminal(inventory: Inventory, machine: Machine) -> Iterator[Step]:
    options, also = "", ""
    if machine.key_file:
        name = machine.key_file.path.name
        options, also = f" --key-file {shlex.quote(name)}", f", and the key file as {name},"
    yield Step(f"Put the newest copies{also} into an empty folder and go there.", ("umask 077",))
    stem = f"{shlex.quote(inventory.project)}-2*.kdbx"
    yield Step(
        "Are they whole? The first twelve digits of a line are the last twelve of the name on it.",
        (f"sha256sum {stem}*",),
    )
    copies = inventory.vault.copies.values()
    if not copies or any(copy.age is None for copy in copies):
        yield Step("Take the newest one.", (f'cp "$(ls {stem} | tail -n 1)" {OPENED_AS}',))
    if any(copy.age for copy in copies):
        yield Step(
            "A name that ends with .age is opened by the age program first, with the identity file as identity.txt.",
            (f'age --decrypt --identity identity.txt --output {OPENED_AS} "$(ls {stem}.age | tail -n 1)"',),
        )
    yield Step(
        "What is in it; the master password is asked for.",
        (f"keepassxc-cli ls --recursive --flatten{options} {OPENED_AS}",),
    )
    shown = next(iter(inventory.credentials.values()), None)
    entry = "/".join((*shown.entry.groups, shown.entry.title)) if shown else "GROUP/TITLE"
    yield Step(
        "One entry with its password; any other name of that list will do.",
        (f"keepassxc-cli show --show-protected{options} {OPENED_AS} {shlex.quote(entry)}",),
    )
