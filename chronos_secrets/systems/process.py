"""Running a program: argv only, never a shell, always with a time-out."""

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems import files

OUTPUT_LIMIT = 64 * 1024 * 1024  # bytes that a program may print; all of it is held in memory

Hear = Callable[[bytes], None]
"""Hears what a program prints on standard output, piece by piece; b"" each second in which it prints nothing."""

_HEAD, _TAIL = 65536, 1024 * 1024  # bytes at both ends of the output that are kept where somebody hears it all
_SILENCE = 1.0  # seconds
_CHUNK = 65536
_POLL = 0.1  # seconds between two looks at whether a silent program has ended
_LAST_WORDS = 1.0  # seconds in which the pipes of an ended program are emptied


class Ran(NamedTuple):
    """How a program ended. A program ended by signal n has status 128 + n, as a shell says it.

    `out` and `err` are what it printed, whatever bytes those are: who shows them escapes them.
    """

    status: int
    out: bytes
    err: bytes


class TimedOut(TargetFailed):
    """A program did not end in time and was killed; `out` and `err` are what it had printed by then."""

    def __init__(self, message: str, *, hint: str | None = None, out: bytes = b"", err: bytes = b"") -> None:
        super().__init__(message, hint=hint)
        self.out = out
        self.err = err


def run(argv: Sequence[str], *, folder: Path, timeout: float) -> None:
    """Run a program in `folder`; what it prints goes to standard error, its input is empty.

    Raises TargetFailed when it cannot be started, fails, or takes longer than `timeout` seconds.
    """
    name = argv[0]
    try:
        status = subprocess.run(
            tuple(argv), cwd=folder, stdin=subprocess.DEVNULL, stdout=2, timeout=timeout, check=False
        ).returncode
    except OSError as error:
        raise TargetFailed(f"{name} could not be started: {files.reason(error)}") from error
    except subprocess.TimeoutExpired:
        raise TargetFailed(f"{name} did not end within {timeout:.0f} seconds") from None
    if status != 0:
        ended = f"failed with status {status}" if status > 0 else f"was ended by signal {-status}"
        raise TargetFailed(f"{name} {ended}")


def capture(
    argv: Sequence[str | bytes],
    *,
    stdin: bytes = b"",
    after: tuple[bytes, float] | None = None,
    environment: Mapping[str, str | bytes] | None = None,
    timeout: float,
    limit: int = OUTPUT_LIMIT,
    hear: Hear | None = None,
) -> Ran:
    """Run a program and take what it prints; its own failure is a result. `environment` is added to ours.

    `after` is what it must print before it is given its input, and the seconds that it may take until then; the
    time-out begins with the input. With `hear`, standard output may be endless: only its two ends are kept, and it does
    not count. It has no terminal. A daemon that it leaves behind is not waited for, even one that keeps its output
    open.
    Raises TimedOut after `timeout` seconds, and TargetFailed when the program cannot be started or prints more than
    `limit` bytes; it is then killed with all its children, as it is when the caller is interrupted.
    """
    name = os.fsdecode(argv[0])
    try:
        child = subprocess.Popen(
            tuple(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})}, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        hint = f"command -v {shlex.quote(name)}"
        raise TargetFailed(f"{name} could not be started: {files.reason(error)}", hint=hint) from error
    exchange = _Exchange(child, stdin, after[0] if after else b"", limit, hear)
    try:
        status = exchange.finish(timeout, patience=after[1] if after else timeout)
    except TimeoutError:
        took = f"{name} did not end within {timeout:g} seconds"
        raise TimedOut(took, out=bytes(exchange.out), err=bytes(exchange.err)) from None
    except OverflowError:
        raise TargetFailed(f"{name} printed more than {limit // 1024} KiB") from None
    finally:
        exchange.close()
    return Ran(status if status >= 0 else 128 - status, bytes(exchange.out), bytes(exchange.err))


class _Exchange:
    """The talk with a child: its input goes in while its output comes out, so that neither side waits for ever."""

    def __init__(
        self, child: subprocess.Popen[bytes], stdin: bytes, after: bytes, limit: int, hear: Hear | None
    ) -> None:
        self.out, self.err = bytearray(), bytearray()
        self._child, self._left, self._room = child, memoryview(stdin), limit
        self._pipes = [pipe for pipe in (child.stdin, child.stdout, child.stderr) if pipe]
        self._waiting = selectors.DefaultSelector()
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
        self._after, self._sending = after, False
        self._hear, self._heard_at = hear, time.monotonic()
        taken = self._read_heard if hear else lambda: self._read(1, self.out)
        self._waiting.register(self._pipes[1], selectors.EVENT_READ, taken)
        self._waiting.register(self._pipes[2], selectors.EVENT_READ, lambda: self._read(2, self.err))

    def finish(self, timeout: float, *, patience: float) -> int:
        """Wait for the end; the exit status. Raises TimeoutError, and OverflowError for too much output."""
        ended, deadline = False, time.monotonic() + patience
        while self._waiting.get_map():
            if not self._sending and self._after in self.out:
                self._sending, deadline = True, time.monotonic() + timeout
                self._waiting.register(self._pipes[0], selectors.EVENT_WRITE, self._write)
            if not ended and self._child.poll() is not None:
                ended, deadline = True, min(deadline, time.monotonic() + _LAST_WORDS)
            left = deadline - time.monotonic()
            if left <= 0 and not ended:
                raise TimeoutError
            ready = self._waiting.select(0 if ended else min(left, _POLL))
            for key, _ in ready:
                key.data()
            if self._hear and not ended and time.monotonic() - self._heard_at >= _SILENCE:
                self._tell(b"")
            if ended and (not ready or left <= 0):  # what still holds the pipes is a daemon, not the program
                break
        try:
            return self._child.wait(max(deadline - time.monotonic(), _POLL))
        except subprocess.TimeoutExpired:
            raise TimeoutError from None

    def close(self) -> None:
        """Kill a child that has not ended, with all that it started."""
        self._waiting.close()
        if self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
        for pipe in self._pipes:
            with contextlib.suppress(OSError):
                pipe.close()

    def _write(self) -> None:
        try:
            if self._left:
                self._left = self._left[os.write(self._pipes[0].fileno(), self._left[:_CHUNK]) :]
        except BrokenPipeError:  # a program need not read what it is given
            self._left = memoryview(b"")
        if not self._left:
            self._drop(0)

    def _read(self, number: int, into: bytearray) -> None:
        found = os.read(self._pipes[number].fileno(), _CHUNK)
        if not found:
            self._drop(number)
        self._room -= len(found)
        if self._room < 0:
            raise OverflowError
        into += found

    def _read_heard(self) -> None:
        before = len(self.out)
        self._read(1, self.out)
        piece = bytes(self.out[before:])
        self._room += len(piece)
        if piece:
            self._tell(piece)
        if len(self.out) > _HEAD + 2 * _TAIL:
            del self.out[_HEAD:-_TAIL]

    def _tell(self, piece: bytes) -> None:
        self._heard_at = time.monotonic()
        if self._hear:
            self._hear(piece)

    def _drop(self, number: int) -> None:
        self._waiting.unregister(self._pipes[number])
        self._pipes[number].close()
