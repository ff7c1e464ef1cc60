"""A program on a terminal of its own.

It gets a session, so that keys, prompts and job control work as ever: a process of ours leads the session and starts
the program in a process group of its own. Without that leader the group would be orphaned, and an orphaned group can
neither be stopped by Ctrl-Z nor told that it reads from a terminal in the background.
"""

import contextlib
import fcntl
import functools
import os
import signal
import subprocess
import termios
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, NoReturn

TO_FOREGROUND, TO_BACKGROUND = b"f", b"b"


class Program(NamedTuple):
    """What is to be started. `streams` are its standard streams, None for our own."""

    argv: Sequence[str]
    environment: Mapping[bytes, bytes]
    streams: tuple[int | None, int | None, int | None]
    signals: Iterable[signal.Signals]  # that are blocked in it, as they were in us


def start(program: Program, prepare: Callable[[], object] = lambda: None) -> subprocess.Popen[bytes]:
    """Start a program in our session, with every descriptor that we were given. Raises OSError.

    `prepare` runs in the new process before the program.
    """

    def prepared() -> None:
        prepare()
        signal.pthread_sigmask(signal.SIG_SETMASK, program.signals)

    stdin, stdout, stderr = program.streams
    return subprocess.Popen(
        program.argv, env=program.environment, stdin=stdin, stdout=stdout, stderr=stderr,
        close_fds=False, preexec_fn=prepared,  # noqa: PLW1509  this process has one thread
    )  # fmt: skip


class Leader:
    """The process that leads a program's session, and the program.

    `reports` is readable whenever `report` has something to say; `program` is the program's process and process group.
    """

    def __init__(self, program: Program, slave: int, *, foreground: bool, ours: Iterable[int]) -> None:
        """Start both, the program in the foreground of the terminal `slave` or not. Raises OSError.

        Signals should be blocked. `ours` are descriptors that only this process is to hold.
        """
        self.reports, report = os.pipe()
        orders, self._orders = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            for descriptor in (*ours, self.reports, self._orders):
                os.close(descriptor)
            _lead(program, slave, report, orders, foreground=foreground)
        os.close(report)
        os.close(orders)
        number = self._number()
        if number is None or number < 0:
            self.close()
            raise OSError(-(number or 0), os.strerror(-(number or 0)))
        self.program = number

    def report(self) -> int | None:
        """The wait status of the program, which ended or stopped; None if nobody will ever know."""
        return self._number()

    def order(self, what: bytes) -> None:
        """Let a stopped program go on: TO_FOREGROUND or TO_BACKGROUND."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._orders, what)

    def close(self) -> None:
        """Call it when the program has ended."""
        os.close(self.reports)
        os.close(self._orders)
        os.waitpid(self._process, 0)

    def _number(self) -> int | None:
        """The next number that was said, and nothing of one that follows: the selector tells of what is in the pipe."""
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self.reports, 1)
            if not byte:
                return None
            line += byte
        return int(line)


def _lead(program: Program, slave: int, report: int, orders: int, *, foreground: bool) -> NoReturn:
    """What the leader does; it says the program's process id (or minus the number of an error), then wait statuses."""
    try:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        started = start(program, functools.partial(_own_group, slave, foreground=foreground))
        for descriptor in {each for each in program.streams if each is not None} - {slave}:
            os.close(descriptor)
        _say(report, started.pid)
        _attend(started, slave, report, orders)
    except OSError as error:
        _say(report, -(error.errno or 1))
    finally:
        os._exit(0)


def _attend(started: "subprocess.Popen[bytes]", slave: int, report: int, orders: int) -> None:
    while os.WIFSTOPPED(status := os.waitpid(started.pid, os.WUNTRACED)[1]):
        _say(report, status)
        _bring(slave, started.pid if os.read(orders, 1) == TO_FOREGROUND else os.getpgrp())
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGCONT)
    _bring(slave, os.getpgrp())  # the end of a session hangs up on its foreground: what is left may live on
    _say(report, status)


def _bring(slave: int, group: int) -> None:
    """Make a process group the foreground of the terminal; one that has ended, or a terminal that hung up, stays."""
    with contextlib.suppress(OSError):
        os.tcsetpgrp(slave, group)


def _own_group(slave: int, *, foreground: bool) -> None:
    os.setpgid(0, 0)
    if foreground:
        os.tcsetpgrp(slave, os.getpid())  # SIGTTOU is blocked, which would stop us here


def _say(report: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(report, b"%d\n" % number)
