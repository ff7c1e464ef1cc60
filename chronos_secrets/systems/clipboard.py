"""The clipboard of this desktop, lent one value for a while.

On X11 and Wayland a clipboard is a promise: the program that copied must live on to answer whoever pastes. It does so
as our child, so that the value goes when it does, and no other program's clipboard is ever cleared.
"""

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files, process

_ARRIVAL = 5.0  # seconds until what was copied can be pasted
_ANSWER = 5.0  # seconds for a program that reads the clipboard, or clears it
_POLL = 0.05


class Clipboard(NamedTuple):
    """How a clipboard is reached: `copy` reads the value from its standard input, and stays where it has to."""

    needs: str  # a variable of the environment
    copy: tuple[str, ...]
    paste: tuple[str, ...]
    clear: tuple[str, ...] = ()  # where the end of `copy` is not enough
    package: str = ""


# wl-copy keeps what it reads in a private file below /tmp, and removes that when another program copies, but not when
# it is killed: it is cleared by a wl-copy, too.
CLIPBOARDS = (
    Clipboard(
        "WAYLAND_DISPLAY",
        ("wl-copy", "--foreground", "--type", "text/plain"),
        ("wl-paste", "--no-newline"),
        ("wl-copy", "--clear"),
        package="wl-clipboard",
    ),
    Clipboard(
        "DISPLAY",
        ("xclip", "-quiet", "-selection", "clipboard", "-in"),
        ("xclip", "-selection", "clipboard", "-out"),
        package="xclip",
    ),
    Clipboard("DISPLAY", ("xsel", "--nodetach", "--clipboard", "--input"), ("xsel", "--clipboard", "--output")),
    Clipboard("", ("pbcopy",), ("pbpaste",), ("pbcopy",)),
)


def find(environ: Mapping[str, str]) -> Clipboard:
    """The clipboard that can be reached from here. Raises TargetFailed."""
    here = [each for each in CLIPBOARDS if not each.needs or environ.get(each.needs)]
    for each in here:
        if shutil.which(each.copy[0]) and shutil.which(each.paste[0]):
            return each
    package = next((each.package for each in here if each.package), None)
    if package is None:
        raise TargetFailed("there is no clipboard here: neither WAYLAND_DISPLAY nor DISPLAY is set")
    raise TargetFailed("no program that reaches the clipboard is installed", hint=f"sudo apt install {package}")


def lend(clipboard: Clipboard, value: Secret, seconds: float, *, announce: Callable[[], None]) -> bool:
    """Put `value` on the clipboard, call `announce`, and clear it after `seconds`; False if it was replaced before.

    It is cleared at once when we are interrupted, ended (TERM) or the terminal is closed (HUP), which raise
    KeyboardInterrupt; Ctrl-Z does nothing. Raises TargetFailed when the clipboard does not take the value, or does not
    let go of it.
    """
    with _endings():
        keeper = _start(clipboard)
        try:
            _offer(keeper, value)
            _require_arrival(clipboard, keeper, value)
            announce()
            _wait(clipboard, keeper, value, seconds)
        finally:
            with _undisturbed():
                cleared = _clear(clipboard, keeper, value)
        return cleared


def _start(clipboard: Clipboard) -> subprocess.Popen[bytes]:
    """The program that copies, in a session of its own: Ctrl-C is ours to handle."""
    try:
        return subprocess.Popen(
            clipboard.copy, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise TargetFailed(f"{clipboard.copy[0]} could not be started: {files.reason(error)}") from error


def _offer(keeper: subprocess.Popen[bytes], value: Secret) -> None:
    with contextlib.suppress(BrokenPipeError):  # it ended, and has said why
        if keeper.stdin:
            with keeper.stdin as pipe:
                pipe.write(value.reveal_bytes())


def _require_arrival(clipboard: Clipboard, keeper: subprocess.Popen[bytes], value: Secret) -> None:
    deadline = time.monotonic() + _ARRIVAL
    while not _holds(clipboard, value):
        if keeper.poll():
            words = (keeper.stderr.read() if keeper.stderr else b"").decode(errors="replace").strip()
            raise TargetFailed(f"{clipboard.copy[0]} cannot use the clipboard: {words.rpartition(chr(10))[2]}")
        if time.monotonic() > deadline:
            raise TargetFailed(f"{clipboard.copy[0]} did not put the value on the clipboard")
        time.sleep(_POLL)


def _holds(clipboard: Clipboard, value: Secret) -> bool:
    found = process.capture(clipboard.paste, timeout=_ANSWER)
    return found.status == 0 and Secret(found.out) == value


def _wait(clipboard: Clipboard, keeper: subprocess.Popen[bytes], value: Secret, seconds: float) -> None:
    """Until the time is over, or something else was copied. A clipboard manager may take our value over."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(subprocess.TimeoutExpired):
        keeper.wait(seconds)
    if time.monotonic() < deadline and _holds(clipboard, value):
        time.sleep(max(0.0, deadline - time.monotonic()))


def _clear(clipboard: Clipboard, keeper: subprocess.Popen[bytes], value: Secret) -> bool:
    """Let go of the value; whether the clipboard still held it."""
    held = True
    try:
        held = keeper.poll() is None or _holds(clipboard, value)
        if held and clipboard.clear:
            process.capture(clipboard.clear, timeout=_ANSWER)
    finally:
        _end(keeper, patience=_ANSWER if held and clipboard.clear else 0.0)
    if held and _holds(clipboard, value):
        _take_over(clipboard, value)
    return held


def _take_over(clipboard: Clipboard, value: Secret) -> None:
    """Another program offers our value now: offer nothing in its place, for as long as that takes."""
    keeper = _start(clipboard)
    try:
        _offer(keeper, Secret(""))
        deadline = time.monotonic() + _ARRIVAL
        while _holds(clipboard, value) and time.monotonic() < deadline:
            time.sleep(_POLL)
    finally:
        _end(keeper)
    if _holds(clipboard, value):
        raise TargetFailed(
            "another program put the value back on the clipboard", hint="clear the history of your clipboard manager"
        )


def _end(keeper: subprocess.Popen[bytes], *, patience: float = 0.0) -> None:
    """Wait for the end of a program that has nothing left to offer, or end it."""
    try:
        keeper.wait(patience)
    except subprocess.TimeoutExpired:
        keeper.terminate()
        try:
            keeper.wait(_ANSWER)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
    if keeper.stderr:
        keeper.stderr.close()


@contextlib.contextmanager
def _endings() -> Iterator[None]:
    """What would end or stop us without clearing the clipboard does not."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    wanted = {signal.SIGTERM: end, signal.SIGHUP: end, signal.SIGTSTP: _nothing}
    with _handling({each: how for each, how in wanted.items() if signal.getsignal(each) != signal.SIG_IGN}):
        yield


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not leave the value behind; clearing takes seconds at most."""
    with _handling(dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), _nothing)):
        yield


def _nothing(*_: object) -> None:
    """Take a signal and do nothing. Ignored ones would be ignored by the programs that we start, too."""


@contextlib.contextmanager
def _handling(handlers: Mapping[signal.Signals, Callable[..., None]]) -> Iterator[None]:
    before = {each: signal.signal(each, how) for each, how in handlers.items()}
    try:
        yield
    finally:
        for each, how in before.items():
            signal.signal(each, how)
