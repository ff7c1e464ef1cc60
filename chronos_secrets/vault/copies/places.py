"""Which place a row of the inventory names."""

import os
from pathlib import Path, PurePath
from typing import Protocol

from chronos_secrets.systems import mounts
from chronos_secrets.vault.copies.folders import Drive, DriveName, Folder
from chronos_secrets.vault.copies.place import Place, Spec
from chronos_secrets.vault.copies.remotes import Remote

__all__ = ["Place", "of"]


class Row(Protocol):
    """A row of the inventory's `vault.copies`."""

    @property
    def id(self) -> str: ...
    @property
    def path(self) -> str | None: ...
    @property
    def volume(self) -> DriveName | None: ...
    @property
    def remote(self) -> str | None: ...
    @property
    def age(self) -> str | None: ...


class Located(Protocol):
    """What of the inventory says where a path leads."""

    @property
    def project(self) -> str: ...
    def locate(self, path: str, *, home: PurePath) -> Path: ...


def of(row: Row, inventory: Located, home: Path, *, drives: mounts.Drives | None = None) -> Place:
    """The place that a row of `vault.copies` names. Nothing is looked at yet."""
    spec = Spec(row.id, inventory.project, row.age)
    if row.remote is not None:
        return Remote(spec, row.remote)
    if row.volume is not None:
        return Drive(spec, row.volume, row.path or "", drives or mounts.DRIVES)
    return Folder(spec, Path(os.path.normpath(inventory.locate(row.path or "", home=home))))
