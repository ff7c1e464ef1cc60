"""Puts our hooks where git looks for them, and takes them away again.

A hook that was there before is kept beside ours (`shim.KEPT`) and run by it. It is never lost in between: ours is
renamed into its place when it has its second name already.
"""

import contextlib
import os

from chronos_secrets.scan import githooks, shim
from chronos_secrets.scan.found import Trouble
from chronos_secrets.scan.githooks import CURRENT, FOREIGN, LEGACY, MISSING, PROTECTED, Hook, Place
from chronos_secrets.scan.shim import HOOKS, Installation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 30  # that the interpreter may take to start before we give up


def install(at: Place, start: Installation, *, shared: bool = False, required: bool | None = None) -> list[Hook]:
    """Install every hook, or refresh it. Running it again changes nothing; one that starts ours already stays.

    shared: also where core.hooksPath names a folder that serves other repositories or belongs to the project.
    required: block where there is no index of known values; None leaves that as it is.
    Raises Trouble, and before anything is changed where a folder or a hook is not ours to change.
    """
    if at.is_nowhere:
        raise Trouble(
            f"core.hooksPath is {at.hooks_path or 'empty'}, so git runs no hooks here",
            hint=f"git config {f'--{at.scope} ' if at.scope != 'command' else ''}--unset core.hooksPath",
        )
    if not shared:
        _refuse_folder(at)
    for name in at.names:
        _refuse_hook(at, name, start)
    _prove(start)
    with _written(at.folder):
        os.makedirs(at.folder, exist_ok=True)
        return [_install(at, name, start, required=required) for name in at.names]


def _refuse_folder(at: Place) -> None:
    """A folder that is not this repository's alone is changed only for somebody who says so."""
    _refuse_shared(at, "install", "protect all of them")
    if not at.inside:
        return
    tracked = [name for name in at.names if _is_tracked(at, name)]
    stubs = any(os.path.exists(at.path(name)) for name in ("h", "husky.sh"))
    if not stubs and not tracked and not os.path.exists(at.path("_/husky.sh")):
        return
    name = tracked[0] if tracked else HOOKS[0]
    script = os.path.relpath(os.path.join(os.path.realpath(at.folder), ".." if stubs else "", name), at.top)
    owner = f"this project: {script} is in its commits" if tracked else "husky, which writes them anew"
    raise Trouble(
        f"the hooks in {os.path.relpath(at.folder, at.top)} belong to {owner}",
        hint=f"let each of them start ours; the first line of {script}: {called(name)}"
        "    # or: chronos-secrets hook install --hooks-path",
    )


def _refuse_shared(at: Place, command: str, effect: str) -> None:
    if at.is_shared:
        raise Trouble(
            f"core.hooksPath ({at.scope}) is {at.hooks_path}: the hooks there serve your other repositories, too",
            hint=f"chronos-secrets hook {command} --hooks-path    # to {effect}",
        )


def called(name: str) -> str:
    """The line by which a hook that somebody else looks after starts ours."""
    return f'chronos-secrets hook run {name} "$@" || exit'


def _is_tracked(at: Place, name: str) -> bool:
    path = os.path.join(os.path.realpath(at.folder), name)
    return bool(githooks.said(at.top, "--literal-pathspecs", "ls-files", "-z", "--", path))


def _refuse_hook(at: Place, name: str, start: Installation) -> None:
    """Another program wrote its hook over ours, and what ours had kept is still there: which of them counts?"""
    path, kept = at.path(name), at.kept(name)
    if os.path.isdir(path):
        raise Trouble(f"{path} is a folder, not a hook", hint=f"rmdir {shim.quoted(path)}")
    if githooks.look(at, name, start).state != FOREIGN or not os.path.lexists(kept) or _supersedes(path, kept):
        return
    raise Trouble(
        f"{path} was written by another program, and {os.path.basename(kept)} is still there from before",
        hint=f"rm {shim.quoted(kept)} && chronos-secrets hook install    # if it is no longer needed",
    )


def _supersedes(path: str, kept: str) -> bool:
    """Whether a hook may take the place of the one that was kept: both are the same, or the framework's."""
    now, before = githooks.content(path), githooks.content(kept)
    return now == before or (shim.is_framework(now) and shim.is_framework(before))


def _prove(start: Installation) -> None:
    """Start what the hooks will start, in an environment as bare as a graphical client's."""
    import subprocess

    code = "import sys; sys.path.append(sys.argv[1]); import chronos_secrets.scan.hook"
    try:
        done = subprocess.run(
            (start.python, "-I", "-S", "-c", code, start.site), env={"PATH": os.defpath}, cwd="/",
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
        why = os.fsdecode(done.stderr).strip().rpartition("\n")[2] or f"exit status {done.returncode}"
    except (OSError, subprocess.SubprocessError) as error:
        done, why = None, type(error).__name__
    if done is None or done.returncode:
        raise Trouble(
            f"{start.python} cannot load the scanner in {start.site}: {why}",
            hint="install chronos-secrets again, then: chronos-secrets hook install",
        )


def _install(at: Place, name: str, start: Installation, *, required: bool | None) -> Hook:
    before = githooks.look(at, name, start)
    if before.state in PROTECTED and before.state != CURRENT:
        before.done = "already started by the hook that is there"
        return before
    if before.state == FOREIGN:
        _keep(at.path(name), at.kept(name))
    now = githooks.content(before.path)
    content = githooks.wanted(at, name, start, now, required=required)
    if before.state != CURRENT or content != now:
        _write(before.path, content)
    after = githooks.look(at, name, start)
    fresh = before.state in (FOREIGN, MISSING)
    after.done = "installed" if fresh else "already there" if content == now else "refreshed"
    return after


def _keep(path: str, kept: str) -> None:
    """Give a hook its second name. It loses the first one when ours is renamed into its place."""
    if os.path.lexists(kept):
        os.unlink(kept)  # superseded, or it would have been refused
    try:
        os.link(path, kept, follow_symlinks=False)
    except OSError:  # a file system without hard links
        os.rename(path, kept)


def _write(path: str, content: bytes) -> None:
    new = f"{path}.{os.getpid()}.new"
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o700)
        with open(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(descriptor, 0o755)
            file.flush()
            os.fsync(descriptor)
        os.replace(new, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)


def uninstall(at: Place, *, shared: bool = False) -> list[Hook]:
    """Take our hooks away; what they had kept is put back as it was. Others are left alone.

    shared: also from a folder that serves other repositories. Raises Trouble.
    """
    if not shared and any(shim.is_ours(githooks.content(at.path(name))) for name in HOOKS):
        _refuse_shared(at, "uninstall", "protect none of them any more")
    with _written(at.folder):
        return [_uninstall(at, name) for name in HOOKS]


def _uninstall(at: Place, name: str) -> Hook:
    kept = at.kept(name)
    path = at.path(name)
    if githooks.has_legacy(at, name):
        path += LEGACY
        if shim.is_framework(githooks.content(kept)):
            os.unlink(kept)  # the framework has written itself anew since
    ours, there = shim.is_ours(githooks.content(path)), os.path.lexists(path)
    done = "not ours, left alone" if there else "was not there"
    if os.path.lexists(kept) and (ours or not there):
        os.replace(kept, path)
        done = "removed; the hook that was there before is back"
    elif ours:
        os.unlink(path)
        done = "removed"
    state = FOREIGN if os.path.lexists(at.path(name)) else MISSING
    return Hook(name, at.path(name), state, kept=os.path.lexists(kept), done=done)


@contextlib.contextmanager
def _written(folder: str) -> "Iterator[None]":
    try:
        yield
    except OSError as error:
        why = (error.strerror or "").lower()
        hint = f"ls -ld {shim.quoted(folder)}"
        raise Trouble(f"the hooks in {folder} cannot be written: {why}", hint=hint) from None
