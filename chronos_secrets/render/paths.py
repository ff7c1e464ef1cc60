"""Where on this machine a rendered file may be written."""

import os
from pathlib import Path

from chronos_secrets.errors import Refused
from chronos_secrets.systems import files, worktree


def refuse_unfit(path: Path) -> None:
    """Raise Refused for a path that must not be written.

    That is a link, a folder, something else than a file, a folder that cannot be written to, or anything that git
    tracks or would add.
    """
    try:
        _refuse_place(path)
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise Refused(
            f"{path} cannot be written: {files.reason(error)}", hint="correct the destination's path"
        ) from error


def _refuse_place(path: Path) -> None:
    if path.is_symlink():
        raise Refused(f"{path} is a symbolic link", hint=f"name the file it points to: {os.path.realpath(path)}")
    if path.is_dir():
        raise Refused(f"{path} is a folder", hint="name a file in the destination's path")
    if path.exists() and not path.is_file():
        raise Refused(f"{path} is not a regular file", hint="name another file in the destination's path")
    folder = next(part for part in path.parents if part.exists())
    if not folder.is_dir():
        raise Refused(f"{folder} is not a folder, so {path} cannot be made", hint=f"ls -ld {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Refused(f"{folder} cannot be written to", hint=f"ls -ld {folder}")
    real = Path(os.path.realpath(folder))  # a link to a folder may lead into a work tree
    worktree.refuse_tracked(real / path.relative_to(folder), real)
