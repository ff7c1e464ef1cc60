"""Putting a copy back in the vault's place. The file that was there is kept beside it, whatever happens.

Needs nothing but the two paths: no inventory, no state.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import Busy, VaultChanged, VaultNotSaved, VaultUnreadable
from chronos_secrets.systems import files
from chronos_secrets.vault import store

_LOCK_WAIT = 10.0  # seconds
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})  # such as the FAT of a stick


class Restored(NamedTuple):
    """Where the copy is now, and where the file lies that was there before (None where there was none)."""

    path: Path
    aside: Path | None


def current(target: Path) -> bytes | None:
    """What lies where a copy is to go; None for nothing. Raises VaultUnreadable for what is no file."""
    if not os.path.lexists(target):
        return None
    if not os.path.exists(target):
        raise VaultUnreadable(f"{target} is a link that leads nowhere", hint=f"ls -l {target}")
    return store.read(target)


def put_back(content: bytes, target: Path, *, expected: bytes | None, locks: Path, now: datetime) -> Restored:
    """Make `content` the file at `target` (links followed), where `expected` (what `current` said) still is.

    The former file gets the name `<name>.before-restore-<UTC time>`. At every instant `target` is the old file or the
    new one. Raises VaultChanged, Busy, VaultNotSaved; the file is then as it was.
    """
    real = Path(os.path.realpath(target))
    aside = (
        None if expected is None else real.with_name(f"{real.name}.before-restore-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}")
    )
    try:
        files.private_folder(real.parent)
        with _alone(locks, real):
            files.sweep(real)
            _replace(real, content, expected, aside)
            _read_back(real, content, aside)
    except OSError as error:
        raise VaultNotSaved(f"{target} could not be restored: {files.reason(error)}") from error
    return Restored(real, aside)


@contextlib.contextmanager
def _alone(locks: Path, real: Path) -> Iterator[None]:
    """Hold the lock of a vault that is there; on a machine that can keep none, nobody else holds it either."""
    with contextlib.ExitStack() as held:
        if real.exists():
            try:
                held.enter_context(files.lock(store.lock_file(locks, real), wait=_LOCK_WAIT))
            except files.LockHeld as error:
                raise Busy(f"another run is saving {real}", hint="run the command again") from error
            except OSError:
                pass
        yield


def _replace(real: Path, content: bytes, expected: bytes | None, aside: Path | None) -> None:
    """Stage first, compare last, as a save does; the former file has its second name before it loses the first."""
    mode, owner = _as_before(real) if expected is not None else (0o600, None)
    staged = files.stage(real, content, mode=mode, owner=owner)
    try:
        if (real.read_bytes() if real.exists() else None) != expected:
            raise VaultChanged(
                f"{real} was saved by another program since it was compared; nothing was changed",
                hint="run the command again",
            )
        if aside is None:
            _commit_new(staged)
        else:
            _keep(real, aside)
            staged.commit()
    finally:
        staged.discard()


def _as_before(real: Path) -> tuple[int, tuple[int, int]]:
    status = real.stat()
    return stat.S_IMODE(status.st_mode) & 0o700 | 0o600, (status.st_uid, status.st_gid)


def _keep(real: Path, aside: Path) -> None:
    """Give a file a second name; where the file system knows none, a second file."""
    try:
        os.link(real, aside)
        files.sync_folder(real.parent)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _commit_new(files.stage(aside, real.read_bytes()))


def _commit_new(staged: files.StagedFile) -> None:
    """Give staged content a name that is free. Raises FileExistsError."""
    try:
        staged.commit_new()
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if os.path.lexists(staged.target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(staged.target)) from error
        staged.commit()
    finally:
        staged.discard()


def _read_back(real: Path, content: bytes, aside: Path | None) -> None:
    if real.read_bytes() != content:
        kept = f"; the file as it was is {aside}" if aside else ""
        raise VaultNotSaved(f"{real} does not read back as it was written{kept}")
