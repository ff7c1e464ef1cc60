"""Places for copies, records of copies, and drives that a test can plug in and pull out."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.systems.mounts import Drives
from chronos_secrets.vault.copies import record
from chronos_secrets.vault.copies.folders import Drive, Folder
from chronos_secrets.vault.copies.place import Place, Spec
from chronos_secrets.vault.copies.record import Facts, Name, Record
from chronos_secrets.vault.kdf import MasterKey
from tests.support import vaults
from tests.support.programs import require

PROJECT = "aviary"
NOW = datetime(2026, 11, 22, 14, 15, tzinfo=UTC)
SPEC = Spec("there", PROJECT)


class Keep(NamedTuple):
    """A rule of an inventory."""

    last: int | None = None
    daily: int | None = None
    weekly: int | None = None
    monthly: int | None = None
    yearly: int | None = None


class Label(NamedTuple):
    """A drive as an inventory names it."""

    label: str | None = "KEYS"
    uuid: str | None = None


class Live(NamedTuple):
    """A vault that was opened: its file's bytes, what it says of itself, and what opens it."""

    path: Path
    content: bytes
    facts: Facts
    key: MasterKey


def live(path: Path, *titles: str) -> Live:
    """A vault at `path` with entries of these titles (its own door made it), opened."""
    from chronos_secrets.vault.copies import verifying

    held = vaults.opened(path if path.exists() else vaults.ours(path))
    for title in titles:
        held.entries.add((title,), now=vaults.NOW)
    if titles:
        held.save(vaults.NOW)
    return Live(path, path.read_bytes(), verifying.facts(held.entries), held.key)


def folder(path: Path, spec: Spec = SPEC) -> Folder:
    return Folder(spec, path)


class Stick:
    """A drive whose table of mounts is written by hand: its file system is the one that `point` lies on."""

    def __init__(self, folder: Path, label: str = "KEYS") -> None:
        self.point = folder / "media" / "stick"
        self.point.mkdir(parents=True)
        self.drives = Drives(folder / "mountinfo", folder / "disk")
        self._link = folder / "disk" / "by-label" / label
        self._link.parent.mkdir(parents=True)
        self.mount()

    def place(self, path: str = "vault", spec: Spec = SPEC) -> Drive:
        return Drive(spec, Label(self._link.name), path, self.drives)

    def mount(self, options: str = "rw") -> None:
        """Plug it in and mount it."""
        self._link.unlink(missing_ok=True)
        self._link.symlink_to("../../sdx1")
        self.drives.mountinfo.write_text(self.line(options))

    def unmount(self) -> None:
        """Leave it plugged in, and its folder empty to look at."""
        self.drives.mountinfo.write_text("")

    def pull_out(self) -> None:
        self.unmount()
        self._link.unlink()

    def line(self, options: str = "rw") -> str:
        """Its line in the table of mounts."""
        device = os.stat(self.point).st_dev
        numbers = f"{os.major(device)}:{os.minor(device)}"
        source = self._link.parent.parent.parent / "sdx1"
        return f"99 27 {numbers} / {self.point} {options},relatime - ext4 {source} {options}\n"


def identity(path: Path) -> tuple[Path, str]:
    """A new identity of age in a file, and its recipient."""
    argv = [require("age-keygen"), "-o", str(path)]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stderr
    return path, said.removeprefix("Public key: ").strip()


def copied(made: datetime, *, place: str = "there", **known: object) -> Record:
    """The record of a copy made then, which was verified by its hash unless `known` says otherwise."""
    name = Name(PROJECT, made.replace(microsecond=0), f"{abs(hash(made)) % 16**12:012x}", sealed=False)
    return record.unknown(place, name)._replace(**{"verified": made, **known})


def files_in(place: Place, path: Path) -> Iterator[tuple[Name, bytes]]:
    """The copies in a place with their contents, as somebody else reads them."""
    for name in place.names():
        yield name, (path / str(name)).read_bytes()
