"""Where git looks for the hooks of a repository, and what stands there."""

import os

from chronos_secrets.scan import framework, shim
from chronos_secrets.scan.found import Trouble
from chronos_secrets.scan.shim import HOOKS, KEPT, Installation

CURRENT, STALE, OFF, FRAMEWORK, CALLED = "current", "stale", "off", "framework", "called"
FOREIGN, MISSING = "foreign", "missing"
"""What stands where git looks for a hook: ours as this installation would write it; ours of another one, or changed;
ours, but not executable, so that git passes over it; the pre-commit framework's, which runs ours; somebody's, which
starts ours; somebody's without ours; nothing."""
PROTECTED = (CURRENT, FRAMEWORK, CALLED)
LEGACY = ".legacy"
"""What the pre-commit framework adds to the name of a hook that was there before its own; it runs that one, too."""
_SECONDS = 30  # that git may take before we give up


class Place:
    """Where git looks for the hooks of a repository.

    folder: absolute. top: the work tree, "" in a bare repository. hooks_path: the value of core.hooksPath, None if
    unset; scope: the kind of git's settings it stands in. inside: the folder lies in the work tree, not below .git.
    """

    __slots__ = ("folder", "hooks_path", "inside", "scope", "top")

    def __init__(self, folder: str, *, top: str, hooks_path: str | None, scope: str, inside: bool) -> None:
        self.folder, self.top, self.hooks_path, self.scope, self.inside = folder, top, hooks_path, scope, inside

    @property
    def names(self) -> tuple[str, ...]:
        """The hooks that can run there: nobody commits in a bare repository, but it can push."""
        return HOOKS if self.top else ("pre-push",)

    @property
    def is_shared(self) -> bool:
        """Whether other repositories look there, too."""
        return self.scope in ("system", "global")

    @property
    def is_nowhere(self) -> bool:
        """Whether git is told to run no hooks."""
        return self.hooks_path in ("", os.devnull)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def kept(self, name: str) -> str:
        """Where the hook is that was there before ours."""
        return self.path(name) + KEPT


class Hook:
    """What stands for one hook, and what was just done about it.

    path: the file that is ours, else the one that git runs. kept: another hook is beside ours and run by it.
    """

    __slots__ = ("done", "kept", "name", "path", "state")

    def __init__(self, name: str, path: str, state: str, *, kept: bool, done: str = "") -> None:
        self.name, self.path, self.state, self.kept, self.done = name, path, state, kept, done


def place(folder: str = ".") -> Place:
    """Where the hooks of the repository around `folder` are. Raises Trouble where there is no git or no repository."""
    bare = said(folder, "rev-parse", "--is-bare-repository") == "true"
    top = "" if bare else said(folder, "rev-parse", "--show-toplevel")
    base = top or said(folder, "rev-parse", "--absolute-git-dir")
    scope, hooks_path = _hooks_path(base)
    # From the top, since a relative core.hooksPath means that.
    hooks = os.path.normpath(os.path.join(base, said(base, "rev-parse", "--git-path", "hooks")))
    common = os.path.join(base, said(base, "rev-parse", "--git-common-dir"))
    inside = bool(top) and _is_below(hooks, top) and not _is_below(hooks, common)
    return Place(hooks, top=top, hooks_path=hooks_path, scope=scope, inside=inside)


def _hooks_path(base: str) -> tuple[str, str | None]:
    """In which kind of git's settings core.hooksPath stands, and its value as it is written there."""
    out = said(base, "config", "-z", "--show-scope", "--get", "core.hooksPath", unset="\0\0")
    scope, value, _ = out.split("\0", 2)
    return scope, value if scope else None


def _is_below(path: str, folder: str) -> bool:
    folder = os.path.realpath(folder)
    return os.path.commonpath((os.path.realpath(path), folder)) == folder


def said(folder: str, *arguments: str, unset: str | None = None) -> str:
    """What git answers, without its last line's end; `unset` where it ends with 1, if that is given. Raises Trouble."""
    import subprocess

    try:
        done = subprocess.run(
            ("git", "-C", folder, *arguments), env={**os.environ, "LC_ALL": "C"}, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise Trouble("git is not installed, or not in a folder of PATH", hint="git --version") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise Trouble(f"git cannot be run: {type(error).__name__}", hint="git --version") from None
    if done.returncode == 1 and unset is not None:
        return unset
    if done.returncode:
        first = os.fsdecode(done.stderr).strip().partition("\n")[0].removeprefix("fatal: ")
        raise Trouble(f"git says: {first}", hint="cd into the work tree of a repository    # or: git init")
    return os.fsdecode(done.stdout).removesuffix("\n")


def status(at: Place, start: Installation) -> list[Hook]:
    """What stands for each hook. Raises Trouble."""
    return [look(at, name, start) for name in at.names]


def look(at: Place, name: str, start: Installation) -> Hook:
    """What stands for one hook. Raises Trouble."""
    path = at.path(name) + (LEGACY if has_legacy(at, name) else "")
    return Hook(name, path, _state(at, name, path, start), kept=os.path.lexists(at.kept(name)))


def _state(at: Place, name: str, path: str, start: Installation) -> str:
    if not os.path.lexists(path):
        return MISSING
    now = content(path)
    runs = os.access(path, os.X_OK) and os.access(at.path(name), os.X_OK)
    if shim.is_ours(now):
        current = now == wanted(at, name, start, now)
        return (CURRENT if current else STALE) if runs else OFF
    if runs and shim.is_framework(now) and (framework.configured(at.top) or {}).get(name):
        return FRAMEWORK
    return CALLED if runs and shim.calls_ours(content(_script(at, name)), name) else FOREIGN


def _script(at: Place, name: str) -> str:
    """The script that a person writes for a hook. husky runs the one a folder up, executable or not."""
    return os.path.join(os.path.dirname(at.folder), name) if os.path.exists(at.path("h")) else at.path(name)


def has_legacy(at: Place, name: str) -> bool:
    """Whether the pre-commit framework was installed after us, so that it runs our script as its legacy hook."""
    path = at.path(name)
    return shim.is_framework(content(path)) and shim.is_ours(content(path + LEGACY))


def wanted(at: Place, name: str, start: Installation, now: bytes, *, required: bool | None = None) -> bytes:
    """Our script as it should be in place of `now`; `required` None takes that from there."""
    if required is None:
        required = shim.is_ours(now) and shim.is_required(now)
    kept = at.kept(name)
    return shim.text(name, start, kept=content(kept) if os.path.lexists(kept) else None, required=required)


def content(path: str) -> bytes:
    """What a hook says; nothing for a dangling link, a folder, or where nothing is. Raises Trouble."""
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return b""
    except OSError as error:
        why = (error.strerror or "").lower()
        raise Trouble(f"{path} cannot be read: {why}", hint=f"ls -l {shim.quoted(path)}") from None
