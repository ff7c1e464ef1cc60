"""The settings of KeePassXC that decide whether a vault can be lost or left open. They are read, never written.

Names, defaults and places are those of KeePassXC's src/core/Config.cpp: a setting that is not in the file has its
default. It writes the file when it ends, so a person changes settings in its own window.
"""

import configparser
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.review.doctor.machine import Line, Machine, note, ok, wrong
from chronos_secrets.settings import xdg
from chronos_secrets.systems import files

_GENERAL = "in KeePassXC: Tools > Settings > General > Basic Settings:"
_SECURITY = "in KeePassXC: Tools > Settings > Security:"


class Read(NamedTuple):
    """What one keepassxc.ini says."""

    path: Path
    values: Mapping[str, str]  # by "Section/Name"

    def on(self, name: str, *, default: bool) -> bool:
        """A setting that is on or off."""
        return self.values.get(name.lower(), str(default)).strip().lower() not in ("false", "0", "")


def examine(machine: Machine) -> Iterator[Line]:
    """Each settings file that KeePassXC keeps here: its own, and that of its Flatpak and Snap."""
    found = [path for path in _places(machine) if path.is_file()]
    if not found:
        yield ok("no settings of KeePassXC here, so it has its defaults")
    for path in found:
        try:
            read = Read(path, _values(path))
        except OSError as error:
            yield note(f"{path} cannot be read: {files.reason(error)}", fix=f"ls -l {shlex.quote(str(path))}")
        except (configparser.Error, ValueError):
            yield note(f"{path} is no settings file that KeePassXC would read", fix=f"less {shlex.quote(str(path))}")
        else:
            yield from _judged(read)


def _judged(read: Read) -> Iterator[Line]:
    findings = [*_saving(read), *_locking(read)]
    if not findings:
        yield ok("saves whole files, locks itself, clears the clipboard", str(read.path))
    yield from findings


def _saving(read: Read) -> Iterator[Line]:
    if not read.on("General/UseAtomicSaves", default=True):
        direct = read.on("General/UseDirectWriteSaves", default=False)
        how = "writes into the vault file itself" if direct else "moves the vault away before the new one is in place"
        yield wrong(
            f"KeePassXC {how}, so a crash while it saves can lose it",
            fix=f"{_GENERAL} untick 'Use alternative saving method'",
        )
    if not read.on("General/AutoReloadOnChange", default=True):
        yield wrong(
            "KeePassXC does not reload the vault when another program has saved it",
            fix=f"{_GENERAL} tick 'Automatically reload the database when modified externally'",
        )


def _locking(read: Read) -> Iterator[Line]:
    idle = read.on("Security/LockDatabaseIdle", default=False)
    screen = read.on("Security/LockDatabaseScreenLock", default=True)
    if not idle and not screen:
        yield wrong(
            "KeePassXC never locks the vault by itself",
            fix=f"{_SECURITY} tick 'Lock databases when session is locked or lid is closed'",
        )
    if not read.on("Security/ClearClipboard", default=True):
        yield wrong(
            "KeePassXC leaves copied passwords on the clipboard",
            fix=f"{_SECURITY} tick 'Clear clipboard after'",
        )


def _places(machine: Machine) -> Iterator[Path]:
    home = machine.home
    own = machine.environ.get("KPXC_CONFIG")
    yield Path(own) if own else xdg(machine.environ, "XDG_CONFIG_HOME", home / ".config") / "keepassxc/keepassxc.ini"
    yield home / ".var/app/org.keepassxc.KeePassXC/config/keepassxc/keepassxc.ini"
    yield home / "snap/keepassxc/current/.config/keepassxc/keepassxc.ini"
    yield home / "Library/Application Support/KeePassXC/keepassxc.ini"


def _values(path: Path) -> dict[str, str]:
    """The settings by "section/name" in lower case, as Qt reads them."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=(";",))
    parser.read_string(path.read_text(errors="replace"))
    return {f"{group}/{name}".lower(): value for group in parser.sections() for name, value in parser.items(group)}
