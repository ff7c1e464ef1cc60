"""Where the vault's password comes from without asking a person. Prompting is the terminal's business."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from chronos_secrets.errors import Refused, VaultLocked
from chronos_secrets.secret import Secret
from chronos_secrets.settings import APPLICATION
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


def credential(project: str, environ: Mapping[str, str]) -> Path | None:
    """The file in which systemd hands a service the password of a project's vault; None where it hands over none.

    The unit says LoadCredential=chronos-secrets.PROJECT:FILE, or LoadCredentialEncrypted= (systemd.exec(5)).
    """
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    path = Path(folder) / f"{APPLICATION}.{project}"
    return path if folder.startswith("/") and os.path.lexists(path) else None


def from_file(path: Path, *, by_systemd: bool = False) -> Secret:
    """The password that a file or pipe holds. Raises VaultLocked, Refused.

    A regular file must belong to us, be readable by nobody else, and lie outside git work trees. `by_systemd` says that
    it is a `credential`, which may be root's.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode):
                _refuse_careless(path, status, by_systemd=by_systemd)
            return _password(file.read(_LIMIT + 1), str(path))
    except OSError as error:
        message = f"cannot read the password file {path}: {files.reason(error)}"
        raise VaultLocked(message, hint=f"ls -l {path}") from error


def _refuse_careless(path: Path, status: os.stat_result, *, by_systemd: bool) -> None:
    if not files.is_private(status) and not (by_systemd and _is_handed_over(status)):
        raise Refused(f"the password file {path} can be read by others or is not yours", hint=f"chmod 600 {path}")
    tree = files.work_tree(path.resolve().parent)
    if tree is not None:
        raise Refused(f"the password file {path} lies in the git work tree {tree}", hint="move it out of the work tree")


def _is_handed_over(status: os.stat_result) -> bool:
    """Whether a file is as systemd's write_credential() leaves it: root's, and read by the service's user by an ACL.

    The mask of that ACL shows where the bits of root's group would be.
    """
    return status.st_uid == status.st_gid == 0 and not stat.S_IMODE(status.st_mode) & ~0o440


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
