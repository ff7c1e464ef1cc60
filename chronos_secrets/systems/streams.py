"""What a running program writes, copied to where it belongs and masked on the way."""

import contextlib
import errno
import os
import select
import selectors
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import NamedTuple

from chronos_secrets.systems.masking import Mask
from chronos_secrets.systems.terminal import Terminal

QUIET = 0.05
"""Seconds after which the first bytes of what may become a value are shown (`Mask.glimpse`)."""
LAST_WORDS = 0.2
"""Seconds of quiet, after the program has ended, that end the relay although others still hold its output."""
LONGEST_END = 2.0
"""Seconds after the program's end when the relay ends in any case."""

_AT_ONCE = 65536  # bytes


class Ended(NamedTuple):
    """How a program ended: its exit status, or minus the signal that ended it; and the output that nobody could take.

    `unwritten` is not set where the reader of a pipe went away, as `head` does.
    """

    status: int
    unwritten: OSError | None


def _is_ready(descriptor: int, event: int, patience: float | None) -> bool:
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(None if patience is None else patience * 1000))


class Stream:
    """What the program writes to one place, on its way through a mask."""

    def __init__(self, source: int, sink: int, masked: Iterable[bytes]) -> None:
        os.set_blocking(source, False)
        self.source = source
        self._sink = sink
        self._mask = Mask(masked)
        self.failure: OSError | None = None
        self.moved = 0.0  # when the program last wrote
        self.waits = False  # whether something is held that may be shown after a while

    def copy(self) -> bool:
        """Copy what is there. False once nothing can follow, or nobody takes it any more."""
        data, goes_on = self._read()
        if data:
            self.moved = time.monotonic()
            self._write(self._mask.feed(data))
            self.waits = self._mask.holds
        if not goes_on:
            self.finish()
        return goes_on and self.failure is None

    def glimpse(self) -> None:
        """Show what may be shown of what is held, once it has been quiet for a while."""
        if self.waits and time.monotonic() - self.moved >= QUIET:
            self.waits = False
            self._write(self._mask.glimpse())

    def finish(self) -> None:
        """Write what is still held: nothing follows."""
        self._write(self._mask.end())

    def _read(self) -> tuple[bytes, bool]:
        """What is there, up to a limit, and whether more may follow. A terminal hands out 4 KiB at a time."""
        parts: list[bytes] = []
        size = 0
        while size < _AT_ONCE:
            try:
                part = os.read(self.source, _AT_ONCE)
            except BlockingIOError:
                return b"".join(parts), True
            except OSError:  # how the end of a terminal is said
                part = b""
            if not part:
                return b"".join(parts), False
            parts.append(part)
            size += len(part)
        return b"".join(parts), True

    def _write(self, data: bytes) -> None:
        view = memoryview(self._as_shown(data))
        while view and self.failure is None:
            try:
                view = view[os.write(self._sink, view) :]
            except BlockingIOError:  # another program made it so
                _is_ready(self._sink, select.POLLOUT, None)
            except OSError as error:
                self.failure = error

    def _as_shown(self, data: bytes) -> bytes:
        return data


class TerminalStream(Stream):
    """What the program writes to its terminal, on its way to the person's."""

    def __init__(self, source: int, sink: Terminal, masked: Iterable[bytes]) -> None:
        super().__init__(source, sink.writer, masked)
        self._terminal = sink

    def _as_shown(self, data: bytes) -> bytes:
        """The program's terminal has made \\n into \\r\\n; the person's may do that again."""
        return data.replace(b"\r\n", b"\n") if self._terminal.ends_lines else data


class Relay:
    """A running program, and the streams that are copied while it runs."""

    signals: tuple[signal.Signals, ...] = ()

    def __init__(self, masked: Sequence[bytes]) -> None:
        self._masked = masked
        self._selector = selectors.DefaultSelector()
        self._open: list[Stream] = []
        self._streams: list[Stream] = []
        self._status = 0
        self._ended_at: float | None = None
        self._alarms, self.alarm = os.pipe()
        for end in (self._alarms, self.alarm):
            os.set_blocking(end, False)
        self._selector.register(self._alarms, selectors.EVENT_READ, self._on_alarm)

    def run(self) -> Ended:
        """Copy until the program has ended and all of its output is copied, or is somebody else's by now."""
        while not self._is_over():
            for key, events in self._selector.select(self._patience()):
                key.data(events)
            for stream in self._open:
                stream.glimpse()
        for stream in self._open:
            stream.finish()
        return Ended(self._status, self._unwritten())

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Pass a signal on."""
        raise NotImplementedError

    def close(self) -> None:
        for stream in self._open:
            os.close(stream.source)
        self._selector.close()
        os.close(self._alarms)
        os.close(self.alarm)

    def _add(self, stream: Stream, on_events: Callable[[int], None] | None = None) -> None:
        def copied(_events: int) -> None:
            self._copy(stream)

        self._streams.append(stream)
        self._open.append(stream)
        self._selector.register(stream.source, selectors.EVENT_READ, on_events or copied)

    def _pipes(self, outputs: Sequence[int]) -> dict[int, int]:
        """The end to write to of a pipe for each output; of one for both, if they are one place: its order is kept."""
        made: dict[int, int] = {}
        for output in outputs:
            if made and os.path.samestat(os.fstat(1), os.fstat(2)):
                made[output] = made[outputs[0]]
                continue
            source, made[output] = os.pipe()
            self._add(Stream(source, output, self._masked))
        return made

    def _copy(self, stream: Stream) -> None:
        if stream in self._open and not stream.copy():
            self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        self._selector.unregister(stream.source)
        os.close(stream.source)
        self._open.remove(stream)

    def _copy_last(self, stream: Stream) -> None:
        """Copy until it is quiet, while the program stands still."""
        until = time.monotonic() + LONGEST_END
        while stream in self._open and time.monotonic() < until and _is_ready(stream.source, select.POLLIN, QUIET):
            self._copy(stream)

    def _on_alarm(self, _events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._alarms, 512)

    def _has_ended(self, status: int) -> None:
        self._status, self._ended_at = status, time.monotonic()

    def _is_over(self) -> bool:
        if self._ended_at is None:
            return False
        now = time.monotonic()
        quiet = now - max([self._ended_at, *(stream.moved for stream in self._open)])
        return not self._open or quiet >= LAST_WORDS or now - self._ended_at >= LONGEST_END

    def _patience(self) -> float | None:
        if any(stream.waits for stream in self._open):
            return QUIET
        return LAST_WORDS if self._ended_at is not None else None

    def _unwritten(self) -> OSError | None:
        failures = (stream.failure for stream in self._streams)
        return next((each for each in failures if each and each.errno not in (errno.EPIPE, errno.EIO)), None)
