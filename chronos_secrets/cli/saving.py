"""`--output FILE`: a result as a file that each run makes anew, and that never takes the place of another program's."""

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
    try:
        if not _is_ours(path, kind.mark):
            raise Refused(f"{path} is already there, and this program did not make it", hint=f"ls -l {path}")
        files.write_durably(path, text.encode(), mode=kind.mode)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {files.reason(error)}", hint=f"ls -ld {path.parent}") from error


def _is_ours(path: Path, mark: bytes) -> bool:
    """Whether the file may be replaced: there is none, or one of ours. Raises OSError."""
    if not path.is_file() or path.is_symlink():
        return not os.path.lexists(path)
    with path.open("rb") as file:
        return file.read(len(mark)) == mark
