"""`--output FILE`: a result as a file that each run makes anew, and that never takes the place of another program's."""

import errno
import os
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.cli import output
from chronos_secrets.errors import Refused
from chronos_secrets.systems import files


class Kind(NamedTuple):
    """What kind of file: how each of it begins, and its mode."""

    mark: bytes
    mode: int


PAGE = Kind(b"<!DOCTYPE html>\n<!-- made by chronos-secrets -->\n", 0o600)  # it tells what there is and where
METRICS = Kind(b"# HELP chronos_secrets_", 0o644)  # another user's collector reads them


def hand_over(text: str, target: str | None, kind: Kind) -> None:
    """Print the text, or write it to a file, at once and whole.

    A file that is there is replaced only if it is of the same kind. Raises Refused, and what printing raises.
    """
    if target is None:
        output.result(text.rstrip("\n"))
        return
    path = Path(target)
    require_free(target, kind)
    try:
        files.write_durably(path, text.encode(), mode=kind.mode)
    except OSError as error:
        raise _unwritable(path, error) from error


def require_free(target: str | None, kind: Kind) -> None:
    """For a command that works long before it has what to write. Raises Refused, as `hand_over` would."""
    if target is None:
        return
    path = Path(target)
    try:
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if not _is_ours(path, kind.mark):
            raise _taken(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _taken(path: Path) -> Refused:
    if path.is_dir():
        return Refused(f"{path} is a folder", hint=f"--output {path / 'NAME'}")
    if path.exists() and not path.is_file():
        return Refused(f"{path} is no file", hint="to print it, leave --output out")
    return Refused(f"{path} is already there, and this program did not make it", hint=f"ls -l {path}")


def _unwritable(path: Path, error: OSError) -> Refused:
    return Refused(f"{path} cannot be written: {files.reason(error)}", hint=f"ls -ld {path.parent}")


def _is_ours(path: Path, mark: bytes) -> bool:
    """Whether the file may be replaced: there is none, or one of ours. Raises OSError."""
    if not path.is_file() or path.is_symlink():
        return not os.path.lexists(path)
    with path.open("rb") as file:
        return file.read(len(mark)) == mark
