"""Whether git tracks a file, or would add it. What holds secrets is never written where it does."""

import os
import shlex
import subprocess
from pathlib import Path

from chronos_secrets.errors import Refused
from chronos_secrets.systems import files

_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


def refuse_tracked(path: Path, folder: Path, *, ignore: Path | None = None) -> None:
    """Raise Refused where git tracks `path` or would add it. `folder` is above it and has no links left in it.

    `ignore` is what the hint advises to ignore, if that is not the file itself.
    """
    tree = files.work_tree(folder)
    if tree is None:
        return
    inside = path.relative_to(tree)
    advised = f"/{inside}" if ignore is None else f"/{ignore.relative_to(tree)}/"
    # the first line end is for a file whose last line has none
    advice = f"printf '\\n%s\\n' {shlex.quote(advised)} >> {shlex.quote(str(tree / '.gitignore'))}"
    if _git(tree, "ls-files", "--error-unmatch", "--", str(path)) == 0:
        untrack = f"git -C {shlex.quote(str(tree))} rm --cached {shlex.quote(str(inside))}"
        raise Refused(f"git tracks {path}", hint=f"{untrack} && {advice}")
    if _git(tree, "check-ignore", "--quiet", "--", str(path)) != 0:
        raise Refused(f"git does not ignore {ignore or path}", hint=advice)


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
