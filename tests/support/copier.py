"""Runs that copy a vault in processes of their own, which can be killed, starved of disk space, or lose their drive.

`python -m tests.support.copier ACT ...` prints one JSON value. Programs, and not forks of the test, because a test
process has threads. Where a place is a drive, the kernel's own table of mounts is read; only the names that udev would
give drives are a folder of the test's.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from chronos_secrets.errors import ChronosError
from chronos_secrets.systems import files
from chronos_secrets.systems.mounts import Drives
from chronos_secrets.vault.copies import catalogue, copying, folders, making, pruning, remotes, verifying
from chronos_secrets.vault.copies.folders import Drive, Folder
from chronos_secrets.vault.copies.place import Place
from chronos_secrets.vault.copies.remotes import Remote
from tests.support.copies import NOW, SPEC, Keep, Label, Live, live
from tests.support.kills import die_before
from tests.support.writer import environment

KEPT = 3
_DISK = tuple(each.__file__ for each in (copying, making, pruning, catalogue, folders, files))
_CLOUD = (remotes.__file__,)


def command(act: str, *arguments: object) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.support.copier", act, *map(str, arguments))


def run(act: str, *arguments: object, folder: Path, before: str = "") -> Any:
    """Run it to its end and give what it printed.

    `before` is a line of shell that prepares a mount namespace of its own, of root or of a user who is root in it.
    """
    argv = command(act, *arguments)
    if before:
        user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        argv = ("unshare", *user, "--mount", "sh", "-ec", f'{before}\nexec "$@"', "sh", *argv)
    done = subprocess.run(argv, cwd=folder, env=environment(), capture_output=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def drive(label: str, path: str, names: Path) -> Drive:
    """A drive among those that are really mounted."""
    return Drive(SPEC, Label(label), path, Drives(Path("/proc/self/mountinfo"), names))


def place_of(text: str) -> Place:
    """The place that `folder:PATH`, `drive:LABEL:NAMES` or `rclone:REMOTE` names."""
    kind, _, rest = text.partition(":")
    if kind == "folder":
        return Folder(SPEC, Path(rest))
    if kind == "rclone":
        return Remote(SPEC, rest)
    label, _, names = rest.partition(":")
    return drive(label, "vault", Path(names))


def copy(place: Place, vault: Live, state: Path, *, days: int = 0, keep: int = KEPT) -> copying.Copied:
    now = NOW + timedelta(days=days)
    with catalogue.held(state):
        return copying.copy(place, vault.content, vault.key, vault.facts, Keep(last=keep), state=state, now=now)


def _once(vault: str, *places: str) -> list[list[str]]:
    """One run for each place; how each ended."""
    found, told = live(Path(vault)), []
    for text in places:
        try:
            done = copy(place_of(text), found, Path.cwd() / "state")
            told.append(["made", done.verdict.record.name])
        except ChronosError as error:
            told.append([error.code, error.message])
    return told


def _lost(vault: str, place: str, when: str) -> list[Any]:
    """A run whose drive is taken away in its middle by `umount --lazy`: before the file is "named", or "read back"."""
    found, target = live(Path(vault)), place_of(place)
    step = {"named": "rename", "read back": "fsync"}[when]
    real: Callable[..., Any] = getattr(os, step)
    point = next(iter(json.loads(os.environ["POINT"])))

    def pulled(*arguments: Any, **more: Any) -> Any:
        setattr(os, step, real)
        result = real(*arguments, **more) if step == "fsync" else None
        subprocess.run(["umount", "--lazy", point], check=True)
        return result if step == "fsync" else real(*arguments, **more)

    setattr(os, step, pulled)
    try:
        copy(target, found, Path.cwd() / "state")
    except ChronosError as error:
        left = [each.name for each in catalogue.load(Path.cwd() / "state" / catalogue.FILE).records]
        return [error.code, error.message, sorted(os.listdir(point)), left]
    return ["made", "", [], []]


def _killed_at_each_line(vault: str, place: str, every: str) -> list[dict[str, object]]:
    """A run that adds a fourth copy and removes the oldest, killed before each line that it executes."""
    path, state, target = Path(vault), Path.cwd() / "state", place_of(place)
    traced = _CLOUD if isinstance(target, Remote) else _DISK
    contents = []
    for number in range(KEPT):
        found = live(path, f"entry {number}")
        contents.append(found.content)
        copy(target, found, state, days=number)
    found = live(path, "the newest")
    contents.append(found.content)
    kept = _Kept(target, state)
    told = []
    for number in count(1, int(every)):
        kept.restore()
        read, write = os.pipe()
        child = os.fork()
        if not child:
            die_before(number, of=traced, report=write)
            copy(target, found, state, days=KEPT)
            sys.settrace(None)
            os._exit(0)
        os.close(write)
        where = os.fdopen(read).read()
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        good = [each for each in kept.contents() if each in contents]
        row: dict[str, object] = {
            "killed": killed,
            "line": where,
            "good": len(good),
            "bad": len(kept.contents()) - len(good),
        }
        row["newest before"] = contents[-2] in good or contents[-1] in good
        copy(target, found, state, days=KEPT + 1)
        _verify_all(target, found, state)  # a copy that was killed before it was remembered counts from now on
        copy(target, found, state, days=KEPT + 2)
        after = kept.contents()
        row["then"] = [sum(each in contents for each in after), contents[-1] in after, len(kept.hidden())]
        told.append(row)
        if not killed:
            return told
    raise AssertionError("unreachable")


def _verify_all(place: Place, vault: Live, state: Path) -> None:
    path = state / catalogue.FILE
    seen = catalogue.merge(catalogue.load(path), place.id, place.names())
    looked = [verifying.verify(place, each, vault.key, vault.facts, now=NOW) for each in seen.records]
    assert all(each.opened for each in looked)
    catalogue.store(path, catalogue.with_records(seen, *(each.record for each in looked)))


class _Kept:
    """What lies in a place and is remembered of it, to be put back before each kill."""

    def __init__(self, place: Place, state: Path) -> None:
        self._state, self._before = state, state.with_name("before")
        shutil.copytree(state, self._before)
        self._folder = Path(os.environ["FOLDER"])
        self._files = {each.name: each.read_bytes() for each in self._folder.iterdir()}

    def restore(self) -> None:
        shutil.rmtree(self._state)
        shutil.copytree(self._before, self._state)
        for each in self._folder.iterdir():
            each.unlink()
        for name, content in self._files.items():
            (self._folder / name).write_bytes(content)

    def contents(self) -> list[bytes]:
        return [each.read_bytes() for each in self._folder.iterdir() if not each.name.startswith(".")]

    def hidden(self) -> list[str]:
        return [each.name for each in self._folder.iterdir() if each.name.startswith(".")]


_ACTS: dict[str, Callable[..., Any]] = {"once": _once, "lost": _lost, "killed-at-each-line": _killed_at_each_line}

if __name__ == "__main__":
    print(json.dumps(_ACTS[sys.argv[1]](*sys.argv[2:])))
