"""The terminal that a person sits at."""

import contextlib
import fcntl
import os
import stat
import termios
import tty
from collections.abc import Iterable

STREAMS = range(3)
_ANY = ("", "/dev/tty")  # names that do not say which terminal it is


class Terminal:
    """One terminal, by a descriptor of it, and how it was found."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.reader = _opened((0, descriptor), os.O_WRONLY)
        self.writer = _opened((descriptor,), os.O_RDONLY)
        self._before = termios.tcgetattr(descriptor)
        self._taken = False
        self.ends_lines = True  # whether it makes \n into \r\n, as a terminal does for most programs

    @property
    def is_ours(self) -> bool:
        """Whether we are its foreground job: what is typed is for us, and we may change its settings."""
        try:
            return os.tcgetpgrp(self.descriptor) == os.getpgrp()
        except OSError:  # it is not the terminal of our session: then nobody else has jobs on it, either
            return True

    def take(self, *, shared: bool) -> None:
        """Have every key at once and unchanged. Only for what `is_ours`.

        It shows exactly what is written, too, unless it is `shared` with other programs that write on it.
        """
        with contextlib.suppress(termios.error):  # it hung up
            tty.setraw(self.descriptor, termios.TCSANOW)
            if shared:
                settings = termios.tcgetattr(self.descriptor)
                settings[1] = self._before[1]
                termios.tcsetattr(self.descriptor, termios.TCSANOW, settings)
            self._taken, self.ends_lines = True, shared

    def give_back(self) -> None:
        """Make it what it was found as, unless it is another job's by now."""
        if self._taken and self.is_ours:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.descriptor, termios.TCSANOW, self._before)
        self._taken, self.ends_lines = False, True

    def look_again(self) -> None:
        """Take how it is now for how it was found. Only for what is not taken."""
        with contextlib.suppress(termios.error):
            self._before = termios.tcgetattr(self.descriptor)

    def copy_to(self, other: int) -> None:
        """Give another terminal the settings and the size of this one."""
        termios.tcsetattr(other, termios.TCSANOW, self._before)
        self.copy_size_to(other)

    def copy_size_to(self, other: int) -> None:
        """Give another terminal the size of this one; whoever runs there is told by SIGWINCH."""
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetwinsize(other, termios.tcgetwinsize(self.descriptor))


def _opened(descriptors: Iterable[int], lacking: int) -> int:
    """The first terminal that is not open for the opposite of what is wanted, else our session's, newly opened."""
    for descriptor in descriptors:
        if os.isatty(descriptor) and fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != lacking:
            return descriptor
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return os.open(os.devnull, os.O_RDWR)


def on_terminal() -> dict[int, bool]:
    """Which standard streams are the person's terminal: the first that is one, and all that are the same one."""
    names = {stream: _name(stream) for stream in STREAMS if os.isatty(stream)}
    first = next((name for name in names.values() if name not in _ANY), None)
    return {stream: names.get(stream) in (first, *_ANY) and stream in names for stream in STREAMS}


def _name(stream: int) -> str:
    try:
        return os.ttyname(stream)
    except OSError:  # a terminal of outside the container that we are in
        return ""


def is_pipe(stream: int) -> bool:
    """Whether one of our streams is a pipe, so that another program of the same job is at its other end."""
    kind = os.fstat(stream).st_mode
    return stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)
