"""`python -m tests.support.renderer ACT ...`: renders that are killed at a line of their own; prints one JSON value.

A program, and not a fork of the test, because a test process has threads. Everything is imported once; each render is
a fork of that, so that hundreds cost seconds.
"""

import contextlib
import io
import json
import os
import signal
import stat
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from chronos_secrets.cli.main import run
from chronos_secrets.cli.session import Session
from chronos_secrets.render import after, destinations
from chronos_secrets.settings import Settings
from chronos_secrets.systems import files
from chronos_secrets.vault.store import Vault
from tests.support.kills import die_before

_TRACED = (destinations.__file__, after.__file__, files.__file__)


class Files:
    """The rendered files of a project, as they were and as they should become."""

    def __init__(self, paths: list[Path], ran: Path, state: Path) -> None:
        self.paths, self.ran, self.state = paths, ran, state
        self.old = [path.read_bytes() for path in paths]
        _render()
        self.new = [path.read_bytes() for path in paths]
        self.restore()

    def restore(self) -> None:
        """Make it be before the render."""
        self.ran.unlink(missing_ok=True)
        for path, content in zip(self.paths, self.old, strict=True):
            path.write_bytes(content)

    @property
    def contents(self) -> list[str]:
        """`old`, `new`, or what is wrong, for each file."""
        return [self._word(*each) for each in zip(self.paths, self.old, self.new, strict=True)]

    @staticmethod
    def _word(path: Path, old: bytes, new: bytes) -> str:
        if stat.S_IMODE(path.stat().st_mode) != 0o600:
            return "not private"
        return {old: "old", new: "new"}.get(path.read_bytes(), "torn")

    def sweep(self) -> None:
        """Remove what a killed render left where no other one has swept."""
        for path in (*self.staged, *(self.state / "after").glob("*")):
            path.unlink()

    @property
    def staged(self) -> list[Path]:
        folders = {path.parent for path in self.paths}
        return [*(found for folder in folders for found in folder.glob(".chronos-*")), *self.state.rglob(".chronos-*")]

    @property
    def leftovers(self) -> list[str]:
        """Staged files, and marks of commands that have not run."""
        return [*(path.name for path in self.staged), *self.waiting]

    @property
    def waiting(self) -> list[str]:
        """The destinations whose commands are still to be run."""
        return os.listdir(self.state / "after") if (self.state / "after").exists() else []


def _render() -> int:
    """A render in this process, which says nothing."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return run(("render", *sys.argv[5:]))


def killed_at_each_line(project: Files) -> Iterator[dict[str, Any]]:
    """For each line of the traced modules that a render runs through: what is there when it is killed just before.

    Then a render that nobody kills runs, in the same process as the next ones.
    """
    known: dict[tuple[Any, ...], dict[str, Any]] = {}  # what comes of one state of the disk is always the same
    for number in count(1):
        project.restore()
        place, killed = _killed_at(number)
        found = {"line": place, "killed": killed, "contents": project.contents, "left": len(project.leftovers)}
        state = (*project.contents, len(project.leftovers), *project.waiting, project.ran.exists())
        if state not in known:
            known[state] = {"status": _render(), "then": project.contents, "leftovers": project.leftovers}
            known[state]["command_saw_the_new_file"] = (
                project.ran.exists() and project.new[0] in project.ran.read_bytes()
            )
        yield found | known[state]
        project.sweep()
        if not killed:
            return


def _killed_at(number: int) -> tuple[str, bool]:
    """Fork, render, and die before the `number`th line. Gives the place, and whether the render got so far."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        die_before(number, of=_TRACED, report=theirs)
        _render()
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as told:
        place = told.read()
    _, status = os.waitpid(child, 0)
    return place, os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _open_once() -> None:
    """Every render finds the vault opened: deriving its key again, under a tracer, is most of the time otherwise."""
    opening, opened = Session.open, []

    def open_once(session: Session, settings: Settings) -> Vault:
        if not opened:
            opened.append(opening(session, settings))
        return opened[0]

    Session.open = open_once  # type: ignore[method-assign]


if __name__ == "__main__":
    _open_once()
    paths, ran, state = (sys.argv[number] for number in (2, 3, 4))
    print(
        json.dumps(list(killed_at_each_line(Files([Path(path) for path in paths.split(":")], Path(ran), Path(state)))))
    )
