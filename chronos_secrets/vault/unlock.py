"""Where the vault's password comes from without asking a person. Prompting is the terminal's business."""

import os
import stat
from pathlib import Path

from chronos_secrets.errors import Refused, VaultLocked
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files

_LIMIT = 64 * 1024
_WRITE_IT = "write the password there, alone on one line"


def from_descriptor(descriptor: int) -> Secret:
    """The password that an open file descriptor holds. Raises VaultLocked."""
    try:
        with os.fdopen(descriptor, "rb") as file:
            return _password(file.read(_LIMIT + 1), f"file descriptor {descriptor}")
    except OSError as error:
        raise VaultLocked(f"cannot read the password from descriptor {descriptor}: {files.reason(error)}") from error
    except ValueError as error:
        raise VaultLocked(f"{descriptor} is no file descriptor") from error


def from_file(path: Path) -> Secret:
    """The password that a file or pipe holds. Raises VaultLocked, Refused.

    A regular file must belong to us, be readable by nobody else, and lie outside git work trees.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                _refuse_careless(path, status)
            return _password(file.read(_LIMIT + 1), str(path))
    except OSError as error:
        message = f"cannot read the password file {path}: {files.reason(error)}"
        raise VaultLocked(message, hint=f"ls -l {path}") from error


def _refuse_careless(path: Path, status: os.stat_result) -> None:
    if not files.is_private(status):
        raise Refused(f"the password file {path} can be read by others or is not yours", hint=f"chmod 600 {path}")
    tree = files.work_tree(path.resolve().parent)
    if tree is not None:
        raise Refused(f"the password file {path} lies in the git work tree {tree}", hint="move it out of the work tree")


def _password(content: bytes, origin: str) -> Secret:
    """Exactly one line end is stripped: editors add it, and a password may end with white space."""
    for ending in (b"\r\n", b"\n"):
        if content.endswith(ending):
            content = content[: -len(ending)]
            break
    if not content:
        raise VaultLocked(f"{origin} holds no password", hint=_WRITE_IT)
    if len(content) > _LIMIT:
        raise VaultLocked(f"{origin} holds more than {_LIMIT // 1024} KiB: that is no password", hint=_WRITE_IT)
    try:
        content.decode()
    except UnicodeDecodeError:
        message = f"{origin} holds bytes that are no UTF-8 text: that is no password"
        raise VaultLocked(message, hint=_WRITE_IT) from None
    return Secret(content)
