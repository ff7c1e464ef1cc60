"""Copies on this machine's disks: in a folder, or on a drive that must be mounted.

All is done below a folder that was opened first: a drive that is pulled out in between takes its open folder along,
and nothing is ever written to the disk underneath.
"""

import abc
import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

from chronos_secrets.errors import Refused, TargetFailed
from chronos_secrets.systems import files, mounts, worktree
from chronos_secrets.vault.copies.place import Place, Spec
from chronos_secrets.vault.copies.record import Name

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _Missing(Exception):
    """The folder of the copies is not there, and was not to be made."""


class OnDisk(Place):
    """What a folder and a drive have in common."""

    @abc.abstractmethod
    def _open(self, *, make: bool) -> int:
        """A descriptor of the folder of the copies; `make` it where it is missing. Raises _Missing, OSError."""

    def ready(self) -> None:
        with self._folder("be used", make=True) as folder:
            if os.fstatvfs(folder).f_flag & os.ST_RDONLY:
                raise TargetFailed(f"{self.where} is mounted read-only")

    def names(self) -> list[Name]:
        try:
            with self._folder("be listed") as folder:
                return self.ours(each for each in os.listdir(folder) if _is_file(folder, each))
        except _Missing:
            return []

    def write(self, name: Name, content: bytes) -> None:
        with self._folder("be written to", make=True) as folder:
            for each in self.left(os.listdir(folder)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(each, dir_fd=folder)
            if _exists(folder, str(name)):
                return
            temporary = self.temporary(name)
            with _discarded_on_failure(folder, temporary):
                _write(folder, temporary, content)
                os.rename(temporary, str(name), src_dir_fd=folder, dst_dir_fd=folder)
            with _discarded_on_failure(folder, str(name)):
                os.fsync(folder)

    def read(self, name: Name) -> bytes:
        try:
            with self._folder(f"give back {name}") as folder, contextlib.suppress(FileNotFoundError):
                return _read(folder, str(name))
        except _Missing:
            pass
        raise TargetFailed(f"there is no {name} in {self.where}")

    def remove(self, name: Name) -> None:
        with contextlib.suppress(_Missing), self._folder(f"lose {name}") as folder:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(str(name), dir_fd=folder)
            os.fsync(folder)

    @contextlib.contextmanager
    def _folder(self, purpose: str, *, make: bool = False) -> Iterator[int]:
        """The folder of the copies, opened. `purpose` follows "cannot" in what is said of a failure."""
        try:
            folder = self._open(make=make)
            try:
                yield folder
            finally:
                os.close(folder)
        except OSError as error:
            raise TargetFailed(f"{self.where} cannot {purpose}: {files.reason(error)}") from error


class Folder(OnDisk):
    """A folder of this machine, such as one that a cloud drive's own program keeps in step."""

    def __init__(self, spec: Spec, path: Path) -> None:
        super().__init__(spec, f"the folder {path}")
        self._path = path

    def _open(self, *, make: bool) -> int:
        path = self._path
        if path.is_symlink():
            raise Refused(
                f"{self.where} is a link that leads elsewhere", hint=f"name the folder itself: {os.path.realpath(path)}"
            )
        if not path.parent.is_dir():  # a disk that is not mounted, a sync folder that is gone: not to be made up
            raise TargetFailed(
                f"{self.where} cannot be made: there is no {path.parent}", hint=f"mkdir -p {path.parent}"
            )
        if make:
            _refuse_tracked(path)
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
                files.sync_folder(path.parent)
        elif not os.path.lexists(path):
            raise _Missing
        return os.open(path, _FOLDER)


class DriveName(Protocol):
    """What a drive is known by: exactly one is set."""

    @property
    def label(self) -> str | None: ...
    @property
    def uuid(self) -> str | None: ...


class Drive(OnDisk):
    """A folder on a removable drive, which is known by the label or UUID of its file system."""

    def __init__(self, spec: Spec, name: DriveName, path: str, drives: mounts.Drives) -> None:
        """`path` is that of the folder below the root of the drive."""
        super().__init__(spec, f"the drive {name.label or name.uuid}")
        self._name, self._drives = name, drives
        self._parts = [part for part in PurePosixPath(path).parts if part not in (".", "/")]

    def _open(self, *, make: bool) -> int:
        mount = self._drives.mounted(self._name.label, self._name.uuid)
        if make:
            _refuse_tracked(mount.point.joinpath(*self._parts))
        folder = os.open(mount.point, _FOLDER)
        try:
            device = os.fstat(folder).st_dev
            if mount.kind != mounts.BTRFS and device != os.makedev(*mount.device):
                raise TargetFailed(f"{self.where} is not mounted any more")
            for part in self._parts:
                below = self._below(folder, part, make=make)
                os.close(folder)
                folder = below
                if os.fstat(folder).st_dev != device:
                    raise Refused(f"{part} on {self.where} is a folder of another file system")
        except BaseException:
            os.close(folder)
            raise
        return folder

    def _below(self, folder: int, part: str, *, make: bool) -> int:
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=folder)
                os.fsync(folder)
        try:
            return os.open(part, _FOLDER, dir_fd=folder)
        except FileNotFoundError:
            raise _Missing from None
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise Refused(f"{part} on {self.where} is a link or a file, and no folder") from error
            raise


def _refuse_tracked(path: Path) -> None:
    real = Path(os.path.realpath(path))
    worktree.refuse_tracked(real / "copy.kdbx", real, ignore=real)


def _write(folder: int, name: str, content: bytes) -> None:
    """A file of its own, 0600 from the start, and on the disk. Its mode is not set: FAT has none, and says no."""
    with open(os.open(name, _NEW_FILE, 0o600, dir_fd=folder), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(folder: int, name: str) -> bytes:
    """The content from the disk: what the system still holds of it in memory would prove nothing."""
    with open(os.open(name, _FILE, dir_fd=folder), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "It is no regular file")
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return file.read()


@contextlib.contextmanager
def _discarded_on_failure(folder: int, name: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
        raise


def _is_file(folder: int, name: str) -> bool:
    with contextlib.suppress(OSError):  # gone in between
        return stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    return False


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
