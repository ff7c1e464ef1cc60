"""Where on this machine a rendered file may be written."""

import os
import shlex
import subprocess
from pathlib import Path

from chronos_secrets.errors import Refused
from chronos_secrets.systems import files

_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


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
    _refuse_tracked(real / path.relative_to(folder), real)


def _refuse_tracked(path: Path, folder: Path) -> None:
    """Refuse what git tracks or would add: a rendered file is full of secrets."""
    tree = files.work_tree(folder)
    if tree is None:
        return
    inside = path.relative_to(tree)
    # the first line end is for a file whose last line has none
    ignore = f"printf '\\n%s\\n' {shlex.quote(f'/{inside}')} >> {shlex.quote(str(tree / '.gitignore'))}"
    if _git(tree, "ls-files", "--error-unmatch", "--", str(path)) == 0:
        untrack = f"git -C {shlex.quote(str(tree))} rm --cached {shlex.quote(str(inside))}"
        raise Refused(f"git tracks {path}", hint=f"{untrack} && {ignore}")
    if _git(tree, "check-ignore", "--quiet", "--", str(path)) != 0:
        raise Refused(f"git does not ignore {path}", hint=ignore)


def _git(tree: Path, *arguments: str) -> int:
    """The exit status of a git command that only reads. Raises Refused where git cannot answer."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = (*_GIT, "-C", str(tree), *arguments)
    try:
        status = subprocess.run(command, capture_output=True, env=environment, timeout=20, check=False).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(
            f"{tree} is a git repository, and git cannot be asked whether it tracks the file",
            hint=f"git -C {tree} status",
        ) from error
    if status not in (0, 1):
        raise Refused(f"git cannot say whether it tracks files in {tree}", hint=f"git -C {tree} status")
    return status
