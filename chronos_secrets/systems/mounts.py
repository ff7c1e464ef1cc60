"""The drives that are mounted: what the kernel says (proc_pid_mountinfo(5)), by the names that udev gives drives."""

import os
import re
import stat
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems import files

_PLAIN = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#+-.:=@_")
BTRFS = "btrfs"
"""Its mounts have other device numbers than its files, and often show a part of the file system."""


class Mount(NamedTuple):
    """One mounted file system."""

    device: tuple[int, int]  # major and minor number
    root: str  # which folder of the file system is mounted: "/" for all of it
    point: Path
    kind: str  # such as "ext4"
    source: str  # such as "/dev/sdb1"
    read_only: bool


class Drives(NamedTuple):
    """Where this machine says what is mounted and what it is called."""

    mountinfo: Path
    names: Path  # the folder with by-label and by-uuid

    def mounted(self, label: str | None, uuid: str | None) -> Mount:
        """Where the drive with that label or UUID is mounted as a whole; the first place if there are several.

        Raises TargetFailed when it is not plugged in, or not mounted.
        """
        link = self._link(label, uuid)
        if not os.path.lexists(link):
            raise TargetFailed(
                f"the drive {label or uuid} is not plugged in", hint="lsblk -o NAME,LABEL,UUID,MOUNTPOINT"
            )
        device = Path(os.path.realpath(link))
        for mount in self._visible():
            if _is_of(mount, device) and (mount.root == "/" or mount.kind == BTRFS):
                return mount
        raise TargetFailed(f"the drive {label or uuid} is not mounted", hint=f"udisksctl mount -b {device}")

    def _link(self, label: str | None, uuid: str | None) -> Path:
        return self.names / "by-label" / encoded(label) if label else self.names / "by-uuid" / encoded(uuid or "")

    def _visible(self) -> list[Mount]:
        """The mounts that no other one covers: of two at one point, the later is seen."""
        try:
            text = self.mountinfo.read_bytes()
        except OSError as error:
            raise TargetFailed(f"{self.mountinfo} does not say what is mounted: {files.reason(error)}") from error
        return list({mount.point: mount for mount in parse(text)}.values())


DRIVES = Drives(Path("/proc/self/mountinfo"), Path("/dev/disk"))


def parse(text: bytes) -> list[Mount]:
    """The mounts that a mountinfo file lists, in its order. Lines of another shape are passed over."""
    found = []
    for line in text.splitlines():
        before, separator, after = line.partition(b" - ")
        own, system = before.split(b" "), after.split(b" ")
        numbers = own[2].split(b":") if len(own) > 5 else []
        if separator and len(system) > 2 and len(numbers) == 2 and all(each.isdigit() for each in numbers):
            options = {*own[5].split(b","), *system[2].split(b",")}
            device = int(numbers[0]), int(numbers[1])
            root, point, source = (_unescaped(each) for each in (own[3], own[4], system[1]))
            found.append(Mount(device, root, Path(point), os.fsdecode(system[0]), source, b"ro" in options))
    return found


def encoded(name: str) -> str:
    """A label as udev names it in /dev/disk: \\x and two digits for what is no plain character (encode_devnode)."""
    parts = []
    for character in name:
        bytes_ = character.encode()
        plain = len(bytes_) > 1 or bytes_[0] in _PLAIN
        parts.append(character if plain else "".join(f"\\x{byte:02x}" for byte in bytes_))
    return "".join(parts)


def _unescaped(field: bytes) -> str:
    """A field of mountinfo: white space and the backslash are written as a backslash and three octal digits."""
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8) & 0xFF]), field))


def _is_of(mount: Mount, device: Path) -> bool:
    try:
        status = device.stat()
    except OSError:
        status = None
    if status is not None and stat.S_ISBLK(status.st_mode):
        numbers = os.major(status.st_rdev), os.minor(status.st_rdev)
        if numbers == mount.device:
            return True
    return os.path.realpath(mount.source) == str(device)
