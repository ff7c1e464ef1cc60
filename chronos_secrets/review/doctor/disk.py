"""Room to write: where the state, the vault and the files made from it lie."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from chronos_secrets.review.doctor.machine import Line, Machine, Project, ok, wrong
from chronos_secrets.systems import files
from chronos_secrets.vault.kdf import MEBIBYTE

LEAST_FREE = 64 * MEBIBYTE
"""Bytes for a vault with attachments, staged beside the old one, and its five previous versions."""
_LEAST_FILES = 100


def examine(machine: Machine) -> Iterator[Line]:
    """Each disk once, by the first of the folders that lie on it; each folder must let us write."""
    if machine.project is None:
        return
    disks: dict[int, int] = {}
    for folder, purpose in _folders(machine, machine.project):
        quoted = shlex.quote(str(folder))
        try:
            device, room = folder.stat().st_dev, os.statvfs(folder)
        except OSError as error:
            yield wrong(f"{folder} cannot be looked at: {files.reason(error)}", fix=f"ls -ld {quoted}")
            continue
        free = room.f_bavail * room.f_frsize
        if room.f_flag & os.ST_RDONLY:
            yield wrong(f"{folder} ({purpose}) lies on a disk that is read-only", fix=f"findmnt --target {quoted}")
        elif not os.access(folder, os.W_OK | os.X_OK):
            yield wrong(f"{folder} ({purpose}) cannot be written to", fix=f"ls -ld {quoted}")
        elif device not in disks and (free < LEAST_FREE or _is_out_of_names(room)):
            what = _size(free) if free < LEAST_FREE else f"room for {room.f_favail} files"
            yield wrong(f"{folder} ({purpose}) has {what} left", fix=f"df -h {quoted}; df -i {quoted}")
        disks.setdefault(device, free)
    if disks:
        yield ok(f"at least {_size(min(disks.values()))} free")


def _folders(machine: Machine, project: Project) -> Iterator[tuple[Path, str]]:
    """The nearest folder that exists, for everything that we write."""
    inventory, home = project.inventory, machine.home
    wanted = [(project.settings.state_folder, "the state"), (project.settings.vault_path.parent, "the vault")]
    wanted += [
        (inventory.locate(each.path, home=home).parent, f"destination {each.id}")
        for each in inventory.destinations.values()
        if not each.is_remote
    ]
    seen: set[Path] = set()
    for path, purpose in wanted:
        folder = next(part for part in (path, *path.parents) if os.path.isdir(part))
        if folder not in seen:
            seen.add(folder)
            yield folder, purpose


def _is_out_of_names(room: os.statvfs_result) -> bool:
    """Whether a disk that counts its files has hardly one left."""
    return room.f_files > 0 and room.f_favail < _LEAST_FILES


def _size(number: int) -> str:
    if number >= 1024 * MEBIBYTE:
        return f"{number / (1024 * MEBIBYTE):.0f} GiB"
    return f"{number / MEBIBYTE:.0f} MiB"
