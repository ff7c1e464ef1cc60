"""Running a program with secrets in its environment, and masking them in what it prints.

Each standard stream that is the person's terminal is one for the program, too: all of them are one terminal of its own,
whose output is masked on its way to the person's. Every other output goes through a pipe of its own. Input that is no
terminal is the program's own: nobody reads along.
"""

import contextlib
import errno
import os
import resource
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NoReturn

from chronos_secrets.errors import NotRepresentable
from chronos_secrets.secret import Secret
from chronos_secrets.systems.jobs import Beside, OnTerminal
from chronos_secrets.systems.leader import Program
from chronos_secrets.systems.masking import is_maskable, spellings
from chronos_secrets.systems.streams import Ended, Relay
from chronos_secrets.systems.terminal import STREAMS, on_terminal

# While the program is started; SIGTTOU stops whoever gives its terminal to another.
_BLOCKED = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM,
    signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT, signal.SIGCHLD, signal.SIGWINCH,
)  # fmt: skip


class NotStarted(Exception):
    """The program could not be started: why, and the exit status with which shells say so (126 or 127)."""

    def __init__(self, program: str, error: OSError) -> None:
        missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
        reason = "there is no such program" if missing else (error.strerror or "it cannot be started").lower()
        super().__init__(f"{program}: {reason}")
        self.status = 127 if missing else 126


def run(argv: Sequence[str], environment: Mapping[str, Secret], hidden: Iterable[Secret]) -> Ended:
    """Run a program with our environment and `environment`; mask `hidden` in what it prints. Returns how it ended.

    Signals that we get meanwhile go to the program. The terminal is left as it was found. Raises NotStarted, and
    NotRepresentable for a value that no variable can hold.
    """
    merged = _merged(environment)
    masked = spellings(each.reveal_bytes() for each in hidden)
    _require_name(argv)
    _require_streams()
    terminals = on_terminal()
    with _signals_blocked() as before:
        program = Program(argv, merged, (None, None, None), before)
        try:
            relay: Relay = (
                OnTerminal(program, masked, terminals) if any(terminals.values()) else Beside(program, masked)
            )
        except OSError as error:
            raise NotStarted(argv[0], error) from error
        with contextlib.closing(relay), _signals_handled(relay, before):
            return relay.run()


def replace(argv: Sequence[str], environment: Mapping[str, Secret]) -> NoReturn:
    """Become the program, with our environment and `environment`. Raises what `run` raises."""
    merged = _merged(environment)
    _require_name(argv)
    _require_streams()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(argv[0], list(argv), merged)  # noqa: S606
    except OSError as error:
        raise NotStarted(argv[0], error) from error


def unmaskable(hidden: Mapping[str, Secret]) -> list[str]:
    """The names of those that are too short to be masked."""
    return [name for name, value in hidden.items() if not is_maskable(value.reveal_bytes())]


def end_like(status: int) -> int:
    """The exit status for one of `Ended`. Where that is a signal, this process ends by it, too, and nothing returns.

    (But for a process that signals cannot end, such as the first one of a container.) No core is dumped: ours would
    hold the values.
    """
    if status >= 0:
        return status
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # SIGKILL
        signal.signal(-status, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (-status,))
    os.kill(os.getpid(), -status)
    return 128 - status


def _merged(values: Mapping[str, Secret]) -> dict[bytes, bytes]:
    for name, value in values.items():
        if b"\0" in value.reveal_bytes():
            raise NotRepresentable(
                f"the environment variable {name} cannot hold its value: it contains a NUL character",
                hint="leave it out with --with ID.FIELD, or render it into a file",
            )
    return {**_inherited(), **{name.encode(): value.reveal_bytes() for name, value in values.items()}}


def _inherited() -> dict[bytes, bytes]:
    """Our environment as we got it. Python gives itself LC_CTYPE where the locale is C (PEP 538)."""
    ours = dict(os.environb)
    with contextlib.suppress(OSError), open("/proc/self/environ", "rb") as file:
        if not any(each.startswith(b"LC_CTYPE=") for each in file.read().split(b"\0")):
            ours.pop(b"LC_CTYPE", None)
    return ours


def _require_name(argv: Sequence[str]) -> None:
    """The empty name is no program; in each folder of the PATH it would be the folder itself."""
    if not argv[0]:
        raise NotStarted("''", FileNotFoundError(errno.ENOENT, ""))


def _require_streams() -> None:
    """Open what is closed (a password was read from it, say): else our pipes would become standard streams."""
    for stream in STREAMS:
        try:
            os.fstat(stream)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


@contextlib.contextmanager
def _signals_blocked() -> Iterator[set[signal.Signals]]:
    """Until the program runs and can be told of them. Yields what was blocked before."""
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # or nobody would ever learn how the program ended
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
    try:
        yield before  # type: ignore[misc]  # numbers that have no name stay numbers
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _signals_handled(relay: Relay, blocked: Iterable[signal.Signals]) -> Iterator[None]:
    """Signals go where they belong; what the program ignores, because we did, is its own business."""
    before = {number: signal.signal(number, relay.on_signal) for number in relay.signals}
    wakeup = signal.set_wakeup_fd(relay.alarm, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, set(blocked) - {signal.SIGCHLD})
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
