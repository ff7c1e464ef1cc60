"""The vault file: opened once, saved so that neither our work nor KeePassXC's can be lost.

A save builds the new bytes, opens them again with the password, takes our lock, makes sure that the file is still the
one we opened, keeps the previous bytes, and only then replaces the file durably. KeePassXC honours no lock file, so
the comparison of contents is what protects its work.
"""

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from chronos_secrets.errors import (
    Busy,
    Refused,
    VaultChanged,
    VaultLocked,
    VaultMissing,
    VaultNotSaved,
    VaultUnreadable,
)
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files
from chronos_secrets.vault import kdbx
from chronos_secrets.vault.entries import Entries
from chronos_secrets.vault.kdf import MasterKey

PREVIOUS_KEPT = 5
_LOCK_WAIT = 10.0  # seconds
_BRING_IT = "chronos-secrets init    # for a new project only; else copy the vault there from your other machine"


class Places:
    """Where a vault's safety net lies: its lock (one for the file, whatever the project) and its previous bytes."""

    def __init__(self, *, locks: Path, previous: Path) -> None:
        self.locks = locks
        self.previous = previous


class Vault:
    """An opened vault. `entries` finds and changes; nothing reaches the disk before `save`."""

    def __init__(self, path: Path, opened: kdbx.Kdbx, key: MasterKey, digest: bytes, places: Places) -> None:
        self.path = path
        self.entries = Entries(opened)
        self._key = key
        self._digest = digest
        self._places = places
        self.replaced: bytes | None = None
        """The file as it was before the first save; None as long as nothing was saved."""

    @classmethod
    def open(cls, path: Path, key: MasterKey, places: Places) -> "Vault":
        """Open the file at `path`. Raises VaultMissing, VaultLocked, VaultUnreadable."""
        content = read(path)
        with named(path):
            return cls(path, kdbx.decrypt(content, key), key, _digest(content), places)

    @property
    def format(self) -> kdbx.Format:
        return self.entries.kdbx.format

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file as it was opened, or as we saved it since."""
        return self._digest

    @property
    def key(self) -> MasterKey:
        """What opened it. It opens a copy with the same salt without another derivation."""
        return self._key

    def has_password(self, value: Secret) -> bool:
        """Whether a value is the password that opens this vault."""
        return self._key.has_password(value)

    def save(self, now: datetime) -> None:
        """Replace the file with what we hold.

        Raises VaultChanged when another program saved it since we opened it, Busy when another run of ours is saving,
        Refused for KDBX 3.1 (`upgrade` first), VaultNotSaved when the disk says no. The file is then as it was.
        """
        self.require_writable()
        self._write(self._sealed(), now)

    def reload(self) -> None:
        """Read the file again with the same key: after VaultChanged. What was not saved is gone, and so is each Entry.

        `entries` stays the same object. Raises VaultMissing, VaultUnreadable, and VaultLocked where the file has
        another password by now.
        """
        content = read(self.path)
        with named(self.path):
            self.entries.replace(kdbx.decrypt(content, self._key))
        self._digest = _digest(content)

    def require_writable(self) -> None:
        """Raises Refused for KDBX 3.1, before anything else is done on the way to a save."""
        if self.format.version < (4, 0):
            raise Refused(
                f"{self.path} is a KDBX {self.format.version[0]}.{self.format.version[1]} file, which is only read",
                hint="chronos-secrets vault upgrade",
            )

    def upgrade(self, now: datetime) -> None:
        """Save the same content as KDBX 4 with Argon2id. Raises what `save` raises."""
        with named(self.path):
            self.entries = Entries(self.entries.kdbx.with_argon2id(secrets.token_bytes(32)))
        self.save(now)

    def _sealed(self) -> bytes:
        """The new bytes, proved to open with the password and to hold what we hold."""
        held = self.entries.kdbx
        held.drop_unreferenced_attachments()
        with named(self.path):
            content = held.build(self._key)
            try:
                reopened = kdbx.decrypt(content, self._key)
            except (VaultLocked, VaultUnreadable) as error:
                raise VaultNotSaved(f"what would be saved to {self.path} does not open again") from error
        if not held.same_content(reopened):
            raise VaultNotSaved(f"what would be saved to {self.path} is not what was meant")
        return content

    def _write(self, content: bytes, now: datetime) -> None:
        real = Path(os.path.realpath(self.path))
        try:
            with files.lock(lock_file(self._places.locks, real), wait=_LOCK_WAIT):
                before = self._unchanged(real)
                self._keep_previous(before, now)
                files.sweep(real)
                self._replace(real, content)
        except files.LockHeld as error:
            raise Busy(f"another run is saving {self.path}", hint="run the command again") from error
        except OSError as error:
            raise VaultNotSaved(f"{self.path} could not be saved: {files.reason(error)}") from error
        self._digest = _digest(content)
        self.replaced = self.replaced or before

    def _replace(self, real: Path, content: bytes) -> None:
        """Stage first, compare last: KeePassXC may save while our bytes go to the disk."""
        status = real.stat()
        mode, owner = stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
        staged = files.stage(real, content, mode=mode, owner=owner)
        try:
            self._unchanged(real)
            staged.commit()
        except BaseException:
            staged.discard()
            raise

    def _unchanged(self, real: Path) -> bytes:
        before = real.read_bytes()
        if _digest(before) != self._digest:
            raise VaultChanged(
                f"{self.path} was saved by another program since it was opened; nothing was changed",
                hint="run the command again",
            )
        return before

    def _keep_previous(self, content: bytes, now: datetime) -> None:
        folder = files.private_folder(self._places.previous)
        files.sweep_folder(folder)
        others = sorted(folder.glob("*.kdbx"))
        files.write_durably(folder / f"{now:%Y%m%dT%H%M%S.%f}-{secrets.token_hex(2)}.kdbx", content)
        for oldest in others[: 1 - PREVIOUS_KEPT]:  # never the one just written, whatever the clock says
            with contextlib.suppress(OSError):
                oldest.unlink()


def lock_file(locks: Path, real: Path) -> Path:
    """The lock that guards the vault file at a real path (links followed)."""
    return locks / hashlib.sha256(os.fsencode(real)).hexdigest()[:32]


def read(path: Path) -> bytes:
    """The bytes of the vault file. Raises VaultMissing, VaultUnreadable."""
    try:
        # a pipe would block for ever at open, so it is opened without waiting, looked at, and refused
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise VaultUnreadable(f"cannot read the vault {path}: it is no regular file")
            return file.read()
    except FileNotFoundError as error:
        if path.is_symlink():
            raise VaultMissing(f"{path} is a link that leads nowhere", hint=f"ls -l {path}") from error
        raise VaultMissing(f"there is no vault at {path}", hint=_BRING_IT) from error
    except OSError as error:
        raise VaultUnreadable(f"cannot read the vault {path}: {files.reason(error)}") from error


def write_new(path: Path, made: kdbx.Kdbx, key: MasterKey) -> None:
    """Write a new vault where there is no file yet. Raises Refused, VaultNotSaved; a file that is there is kept."""
    with named(path):
        content = made.build(key)
        if not made.same_content(kdbx.decrypt(content, key)):
            raise VaultNotSaved(f"what would be saved to {path} is not what was meant")
    try:
        files.private_folder(path.parent)
        files.write_durably(path, content, replace=False)
    except FileExistsError as error:
        raise Refused(f"{path} is already there; it is never overwritten") from error
    except OSError as error:
        raise VaultNotSaved(f"{path} could not be made: {files.reason(error)}") from error


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Put the file's name before what the format door says about its content."""
    try:
        yield
    except (VaultLocked, VaultUnreadable) as error:
        raise type(error)(f"cannot open {path}: {error.message}", hint=error.hint) from error.__cause__


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
