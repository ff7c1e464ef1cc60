"""`python -m tests.support.rotator VAULT-PASSWORD-FILE NAME`: rotations that are killed, one JSON value a line.

It reads orders and answers each. A program, and not a fork of the test, because a test process has threads. All is
imported once; each rotation is a fork of that, which runs the real command line.

An order: {"days": how far the clock is ahead, "words": more of the command line, "boundary": n (killed when it comes
to the n-th side of an effect) or "after": seconds (killed then) and "since": n (they count from when it came to the
n-th side; from its beginning for 0), or neither}. An answer: {"status": exit or null for
killed, "said": what it printed, "sides": [[side of an effect, when (UTC)], ...], "seconds": how long it took}.
"""

import contextlib
import functools
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.commands import environment


class Side(NamedTuple):
    """Before or after an effect, and when a rotation came there."""

    name: str
    at: float


class Answer(NamedTuple):
    """How a rotation ended."""

    status: int | None
    said: str
    sides: tuple[Side, ...]
    seconds: float
    ended: float  # UTC

    @property
    def killed(self) -> bool:
        return self.status is None

    def at(self, name: str) -> float | None:
        """When it came to a side of an effect for the first time."""
        return next((side.at for side in self.sides if side.name == name), None)

    def moment(self, chance: random.Random) -> tuple[int, float]:
        """Any moment of it, as a later run can be killed then: how many sides it has come to, and seconds since.

        So a machine that is slower in between does not kill all of them at the beginning.
        """
        begun = self.ended - self.seconds
        came = [begun, *(side.at for side in self.sides)]
        at = chance.uniform(begun, self.ended)
        since = sum(each <= at for each in came) - 1
        return since, at - came[since]


class Rotator:
    """The program, from a test's side. `clock` is how many days ahead it is."""

    def __init__(self, folder: Path, password_file: Path, name: str) -> None:
        self.clock = 0
        self._child = subprocess.Popen(
            (sys.executable, "-m", "tests.support.rotator", str(password_file), name), cwd=folder, env=environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __call__(self, *words: str, boundary: int = 0, after: float = 0, since: int = 0) -> Answer:
        """Run one rotation, and kill it at a boundary or after so many seconds, which count from the side `since`."""
        assert self._child.stdin
        assert self._child.stdout
        order = {"days": self.clock, "words": words, "boundary": boundary, "after": after, "since": since}
        self._child.stdin.write(json.dumps(order) + "\n")
        self._child.stdin.flush()
        told = json.loads(self._child.stdout.readline())
        sides = tuple(Side(*each) for each in told["sides"])
        return Answer(told["status"], told["said"], sides, told["seconds"], time.time())

    def running(self) -> list[int]:
        """The process of the rotation that runs now."""
        return [
            int(each) for each in Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children").read_text().split()
        ]

    def close(self) -> None:
        self._child.communicate(timeout=60)


class Prober:
    """A consumer that never rests: it takes what its file holds and uses it.

    `refused` are the times (UTC) at which it was refused with what the file still held afterwards.
    """

    def __init__(self, read: Callable[[], bytes], use: Callable[[bytes], bool], *, pause: float = 0.01) -> None:
        """`pause` is the seconds between two uses."""
        self._read, self._use, self._pause = read, use, pause
        self.refused: list[float] = []
        self._begun_well = 0.0
        self.uses = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._probe, daemon=True)
        self._thread.start()

    def _probe(self) -> None:
        while not self._ending.is_set():
            begun, held = time.time(), self._read()
            taken = self._use(held)
            ended = time.time()  # before the next look, and so before any delivery that this look does not see
            self.uses += 1
            if taken:
                self._begun_well = begun
            elif self._read() == held:
                self.refused.append(ended)
            self._ending.wait(self._pause)

    def settle(self, *, patience: float = 60) -> None:
        """Wait for a use that begins from now on and goes well."""
        now, deadline = time.time(), time.monotonic() + patience
        while self._begun_well < now:
            assert self._thread.is_alive(), "the prober ended"
            assert time.monotonic() < deadline, "the consumer is refused for good"
            time.sleep(0.005)

    def close(self) -> None:
        self._ending.set()
        self._thread.join(60)


def junk(*folders: Path) -> list[Path]:
    """The temporary files of ours that lie below the folders."""
    return [found for folder in folders for found in folder.rglob(".chronos-*")]


def age(found: Sequence[Path]) -> None:
    """Let files be two hours old."""
    for each in found:
        os.utime(each, (time.time() - 7200,) * 2)


def holding(values: Sequence[bytes], *folders: Path, but: Sequence[Path] = ()) -> list[str]:
    """The files below the folders that hold one of the values, but for those that may."""
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [str(path) for path in files if path not in but and any(each in path.read_bytes() for each in values)]


# --- the program ------------------------------------------------------------------------------------------------------


class _Sides:
    """Where the rotation that runs in this process has come to; it dies at one of the sides."""

    def __init__(self, report: int, boundary: int) -> None:
        self._report, self._left = report, boundary

    def reach(self, name: str) -> None:
        os.write(self._report, json.dumps([name, time.time()]).encode() + b"\n")
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


def _between(sides: _Sides, owner: Any, name: str, called: str) -> None:
    """Let the effect `owner.name` report both of its sides."""
    act: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(act)
    def reported(*arguments: Any, **named: Any) -> Any:
        sides.reach(f"before {called}")
        found = act(*arguments, **named)
        sides.reach(f"after {called}")
        return found

    setattr(owner, name, reported)


def _effects(sides: _Sides, days: int) -> None:
    """Watch all that changes anything, and put the clock ahead."""
    from chronos_secrets.cli import render
    from chronos_secrets.cli.session import Session
    from chronos_secrets.systems import postgres
    from chronos_secrets.systems.aws.iam import AccessKeys
    from chronos_secrets.systems.hosts import Host
    from chronos_secrets.vault.store import Vault

    _between(sides, Vault, "save", "save")
    _between(sides, render, "deliver", "deliver")
    _between(sides, postgres, "set_password", "set")
    _between(sides, Host, "place", "set")
    for step in ("create", "set_active", "delete"):
        _between(sides, AccessKeys, step, step)
    Session.now = staticmethod(lambda: datetime.now(UTC) + timedelta(days=days))  # type: ignore[method-assign]


def _rotate(words: Sequence[str], out: io.TextIOBase) -> int:
    from chronos_secrets.cli.main import run

    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        return int(run(["rotate", sys.argv[2], "--yes", "--password-file", sys.argv[1], *words]))


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    sides, report = os.pipe()
    said, saying = os.pipe()
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(sides)
        os.close(said)
        _effects(_Sides(report, order["boundary"]), order["days"])
        status = _rotate(order["words"], os.fdopen(saying, "w", buffering=1))
        os._exit(status)
    os.close(report)
    os.close(saying)
    found = ""
    with os.fdopen(sides) as told:
        if order["after"]:
            found = "".join(told.readline() for _ in range(order["since"]))
            time.sleep(order["after"])
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        found += told.read()
    text = _all(said)
    _, status = os.waitpid(child, 0)
    return {
        "status": None if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status),
        "said": text, "sides": [json.loads(line) for line in found.splitlines()],
        "seconds": time.monotonic() - begun,
    }  # fmt: skip


def _all(pipe: int) -> str:
    with os.fdopen(pipe) as told:
        return told.read()


def _preload() -> None:
    """Import what a rotation needs, once."""
    from chronos_secrets.cli import render, rotate, rotating  # noqa: F401
    from chronos_secrets.rotation import generate
    from chronos_secrets.rotation.targets import iam
    from chronos_secrets.secret import Secret
    from chronos_secrets.systems import authorized, logins, postgres  # noqa: F401
    from chronos_secrets.systems.aws import clients

    generate.ed25519()
    asker = clients.of_key(Secret("preload"), Secret("preload"), clients.Place("ca-central-1", "http://127.0.0.1:1"))
    for service in ("iam", "sts", "s3"):
        asker.client(service)  # reads what botocore knows of it
    iam.IamKeys.__init__.__kwdefaults__["patience"] = iam.Patience(first=0.05, most=0.5, settle=0.05)
    __import__("psycopg")


if __name__ == "__main__":
    _preload()
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)
