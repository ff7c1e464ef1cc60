"""The pre-commit framework: what it starts instead of an installed hook, and whether its configuration names ours."""

import os
import sys

from chronos_secrets.scan.found import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG = ".pre-commit-config.yaml"
IDS = {"pre-commit": "chronos-secrets", "commit-msg": "chronos-secrets-commit-msg", "pre-push": "chronos-secrets-push"}
"""The ids of .pre-commit-hooks.yaml, by the hook of git that each one is."""


def main(arguments: list[str]) -> int:
    """What `hook.main` does, under the framework or not. `arguments`: the hook's name, options, and what git gave it.

    The framework keeps what git says of a push in its environment; here it becomes the line that git wrote. It
    remembers one ref of a push, so of several refs pushed at once the others are not seen: an installed hook sees all.
    """
    from chronos_secrets.scan.hook import main as hook

    if os.environ.get("PRE_COMMIT") == "1":
        try:
            arguments = _as_git_says_it(arguments, os.environ)
        except Trouble as trouble:
            sys.stderr.write(f"error: {trouble.message}\nhint: {trouble.hint}\n")
            return 5
    return hook(arguments)


def _as_git_says_it(arguments: list[str], environ: "Mapping[str, str]") -> list[str]:
    name = arguments[0] if arguments else ""
    if name == "commit-msg" and not os.path.isfile(arguments[-1]):
        raise Trouble(
            "commit-msg is blocked: the pre-commit framework did not name the message's file",
            hint=f"take out of {CONFIG} what keeps files from {IDS[name]} (files, exclude, types)",
        )
    if name != "pre-push":
        return arguments
    _into_stdin(pushed(environ))
    return [*arguments, environ.get("PRE_COMMIT_REMOTE_NAME", ""), environ.get("PRE_COMMIT_REMOTE_URL", "")]


def pushed(environ: "Mapping[str, str]") -> bytes:
    """The line `LOCAL-REF LOCAL-ID REMOTE-REF REMOTE-ID` for the push that the framework tells of.

    Raises Trouble where it tells of none.
    """
    local = environ.get("PRE_COMMIT_TO_REF") or environ.get("PRE_COMMIT_LOCAL_BRANCH", "")
    if not local:
        raise Trouble(
            "pre-push is blocked: the pre-commit framework did not say what is pushed",
            hint="pre-commit run --hook-stage pre-push --from-ref origin/HEAD --to-ref HEAD",
        )
    new = _id(local)
    since = environ.get("PRE_COMMIT_FROM_REF")
    old = _id(since) if since else "0" * len(new)
    names = (environ.get(name) or "HEAD" for name in ("PRE_COMMIT_LOCAL_BRANCH", "PRE_COMMIT_REMOTE_BRANCH"))
    here, there = names
    return os.fsencode(f"{here} {new} {there} {old}\n")


def _id(ref: str) -> str:
    if len(ref) in (40, 64) and not ref.strip("0123456789abcdef"):
        return ref
    import subprocess

    command = ("git", "rev-parse", "--verify", "--quiet", "--end-of-options", ref)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise Trouble(f"pre-push is blocked: git does not know {ref}", hint="git fetch")
    return done.stdout.decode("ascii").strip()


def _into_stdin(line: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, line)
    os.close(writing)
    os.dup2(reading, 0)
    os.close(reading)


def configured(top: str) -> dict[str, bool] | None:
    """For each hook, whether the framework's configuration in the folder `top` names ours; None without such a file.

    It is read line by line, since the standard library knows no YAML.
    """
    try:
        with open(os.path.join(top, CONFIG), "rb") as file:
            lines = [line.strip() for line in file.read(1 << 20).split(b"\n")]
    except OSError:
        return None
    said = [line for line in lines if not line.startswith(b"#")]
    return {name: any(_names(line, name, own) for line in said) for name, own in IDS.items()}


def _names(line: bytes, hook: str, own: str) -> bool:
    import re

    identified = re.search(rb"\bid:\s*['\"]?" + own.encode() + rb"['\"]?\s*(?:[#,}]|$)", line)
    return bool(identified) or b"chronos-secrets hook run " + hook.encode() in line
