"""Files that survive a power cut: durable writes, locks, private folders.

A write goes to a temporary file beside its target (0600 from the first byte, created exclusively), is synced, renamed
over the target, and the folder is synced: at every instant the target is the old file or the new one.
Failures stay `OSError`; the caller knows what the file was for and says so (`reason` gives the words).
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_PREFIX = ".chronos-"
_SCRATCH = ".chronos-scratch-"
_FORGOTTEN = 3600.0  # seconds; to write a file takes less than one
_LOCK_POLL = 0.05  # seconds; flock has no time-out of its own


class LockHeld(OSError):
    """Another process kept the lock for longer than we were willing to wait."""


class StagedFile:
    """New content for `target`, already safe on the same disk; `commit` makes it the target's content."""

    def __init__(self, target: Path, temporary: Path) -> None:
        self.target = target
        self._temporary = temporary

    def commit(self) -> None:
        """Replace the target and sync its folder. Raises OSError; the target is then the old file or the new one."""
        os.rename(self._temporary, self.target)
        sync_folder(self.target.parent)

    def commit_new(self) -> None:
        """Make it the content of a target that must not exist yet. Raises FileExistsError, OSError."""
        os.link(self._temporary, self.target)
        self.discard()
        sync_folder(self.target.parent)

    def discard(self) -> None:
        """Remove the staged content, if it is still there."""
        self._temporary.unlink(missing_ok=True)


def stage(target: Path, content: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> StagedFile:
    """Write `content` beside `target` and sync it. Raises OSError and leaves nothing behind.

    `mode` and `owner` (uid, gid) are set after the content is complete; until then only we can read the file.
    """
    temporary = target.parent / f"{_stem(target)}.{secrets.token_hex(6)}.tmp"
    staged = StagedFile(target, temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            made = os.fstat(file.fileno())  # a folder may give its own group to what is made in it
            if owner is not None and owner != (made.st_uid, made.st_gid):
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except BaseException:
        staged.discard()
        raise
    return staged


def write_durably(
    target: Path, content: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None, replace: bool = True
) -> None:
    """Write `target`: the old file or the new one, whatever happens. Raises OSError.

    Without `replace`, a target that is already there is kept: FileExistsError. What a run that was killed here left
    an hour ago or earlier goes; without a lock nobody knows whether a younger one is still being written.
    """
    _remove_forgotten(target)
    staged = stage(target, content, mode=mode, owner=owner)
    try:
        if replace:
            staged.commit()
        else:
            staged.commit_new()
    except BaseException:
        staged.discard()
        raise


def _remove_forgotten(target: Path) -> None:
    before = time.time() - _FORGOTTEN
    for path in target.parent.glob(f"{_stem(target)}.*.tmp"):
        with contextlib.suppress(OSError):
            if path.lstat().st_mtime < before:
                path.unlink()


def sweep(target: Path) -> None:
    """Remove what a killed run staged for `target`. Call it with the lock held that guards the target."""
    _remove(target.parent, f"{_stem(target)}.*.tmp")


def sweep_folder(folder: Path) -> None:
    """Remove whatever killed runs staged in a folder that only we write to. Call it with its lock held."""
    _remove(folder, f"{_PREFIX}*.tmp")


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(folder: Path) -> Path:
    """Create `folder` and its missing parents, each 0700. Raises OSError. Returns the folder."""
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    for part in reversed(missing):
        with contextlib.suppress(FileExistsError):
            part.mkdir(mode=0o700)
    return folder


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A private folder below the system's temporary one, for the block. What killed runs of ours left there goes first.

    The path is short enough for a socket. The folder is locked, and the lock ends with the process.
    """
    root = Path(tempfile.gettempdir())
    for left in root.glob(f"{_SCRATCH}*"):
        _remove_scratch(left, _claim(left))
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=root))
        claim = _claim(folder)
        if claim is not None:  # else another run took it for left over in between
            break
    try:
        yield folder
    finally:
        _remove_scratch(folder, claim)


def _claim(folder: Path) -> int | None:
    """A descriptor that holds the lock on a folder of ours; None for one that is held, gone or somebody else's."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and os.path.samestat(status, os.lstat(folder)):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _remove_scratch(folder: Path, claim: int | None) -> None:
    if claim is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(claim)


@contextlib.contextmanager
def lock(path: Path, *, wait: float) -> Iterator[None]:
    """Hold an exclusive lock named by `path` for the block; wait at most `wait` seconds.

    Raises LockHeld when another process keeps it. The lock ends with the process, however that ends.
    """
    private_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _acquire(descriptor, deadline=time.monotonic() + wait)
        yield
    finally:
        os.close(descriptor)


def work_tree(folder: Path) -> Path | None:
    """The git work tree (or the repository itself) that `folder` lies in, or None."""
    return next((part for part in (folder, *folder.parents) if (part / ".git").exists()), None)


def is_private(status: os.stat_result) -> bool:
    """Whether a regular file belongs to us (or we are root) and nobody else may read or write it."""
    ours = status.st_uid == os.geteuid() or os.geteuid() == 0
    return stat.S_ISREG(status.st_mode) and ours and not status.st_mode & 0o077


def reason(error: OSError) -> str:
    """Why a file operation failed, in a few lower-case words."""
    return (error.strerror or error.__class__.__name__).lower()


def _remove(folder: Path, pattern: str) -> None:
    for leftover in folder.glob(pattern):
        with contextlib.suppress(OSError):
            leftover.unlink()


def _stem(target: Path) -> str:
    return f"{_PREFIX}{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]}"


def _acquire(descriptor: int, *, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                raise
        else:
            return
        if time.monotonic() >= deadline:
            raise LockHeld(errno.EWOULDBLOCK, "another run holds the lock")
        time.sleep(_LOCK_POLL)
