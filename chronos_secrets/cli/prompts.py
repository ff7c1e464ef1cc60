"""Asking a person, on the terminal and nowhere else."""

import contextlib
import getpass
import os
import signal
import sys
import termios
import warnings
from collections.abc import Iterator
from datetime import date
from io import FileIO
from pathlib import Path

from chronos_secrets.cli import output
from chronos_secrets.errors import Refused, VaultLocked
from chronos_secrets.secret import Secret

_LEAST_CHARACTERS = 12
_TERMINAL = "/dev/tty"


def has_person() -> bool:
    """Whether somebody sits at the terminal: can be asked, and sees what is said."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def password(text: str) -> Secret:
    """A password typed without an echo. Raises VaultLocked where there is no terminal to ask on."""
    _require_terminal()
    try:
        with _unstoppable(), warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # it would go on with an echo
            return Secret(getpass.getpass(text))
    except (EOFError, getpass.GetPassWarning) as error:
        raise VaultLocked("no password was typed") from error


def new_password(path: Path) -> Secret:
    """A new vault's password, typed twice. Raises VaultLocked."""
    output.say(f"Choose the password of {path}. Write it on paper: nobody can recover it.")
    while True:
        first = password("New password: ")
        if len(first) < _LEAST_CHARACTERS:
            output.say(f"it has fewer than {_LEAST_CHARACTERS} characters; take five random words, say")
        elif first == password("The same again: "):
            return first
        else:
            output.say("the two differ")


class Operator:
    """Who sits at the terminal, as a guided rotation asks (`rotation.targets.manual.Person`)."""

    def __init__(self, again: str) -> None:
        """`again` is the command that a person runs on a terminal, where this run has none."""
        self._again = again

    def attend(self) -> None:
        """Raises Refused where there is no terminal."""
        if not _has_terminal():
            raise Refused(
                "this needs a person, and there is no terminal to ask on", hint=f"{self._again}    # on a terminal"
            )

    def show(self, text: str) -> None:
        """Say a sentence."""
        output.say(output.plain(text))

    def ask_hidden(self, prompt: str, *, lines: bool = False) -> Secret:
        """Text that is pasted without an echo: one line, or with `lines` all until an empty one; "" for nothing."""
        self.attend()
        until = ", then an empty line" if lines else ""
        with _unstoppable(), open(_TERMINAL, "r+b", buffering=0) as terminal, _unseen(terminal.fileno()):
            pasted = _asked(terminal, f"{prompt} (hidden{until}): ", lines=lines)
            terminal.write(b"\n")
        return Secret(pasted if _is_text(pasted) else b"")

    def ask_day(self, prompt: str) -> date | None:
        """A day, typed as YYYY-MM-DD; None for Enter."""
        while said := self._typed(f"{prompt} (YYYY-MM-DD, Enter for none): "):
            with contextlib.suppress(ValueError):
                return date.fromisoformat(said)
            self.show("that is no day")
        return None

    def confirm(self, question: str) -> bool:
        """Whether the answer is yes; Enter is no."""
        while (said := self._typed(f"{question} [y/N]: ").lower()) not in ("y", "yes", "n", "no", ""):
            pass
        return said.startswith("y")

    def _typed(self, prompt: str) -> str:
        self.attend()
        with open(_TERMINAL, "r+b", buffering=0) as terminal:
            return _asked(terminal, prompt).decode(errors="replace").strip()


@contextlib.contextmanager
def _unseen(terminal: int) -> Iterator[None]:
    """No echo, for the block: from the first line to the last, so that none is seen in between."""
    before = termios.tcgetattr(terminal)
    silent = [*before]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSAFLUSH, silent)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)  # what was pasted beyond is dropped, and not shown


def _asked(terminal: FileIO, prompt: str, *, lines: bool = False) -> bytes:
    """What is typed after a prompt: a line, or the lines before an empty one."""
    terminal.write(output.plain(prompt).encode(errors="replace"))
    if not lines:
        return _line(terminal)
    return b"\n".join(iter(lambda: _line(terminal), b""))


def _line(terminal: FileIO) -> bytes:
    """One line, which a terminal hands over whole, or cut where its buffer ends."""
    found = b""
    while not found.endswith(b"\n") and (more := terminal.read(65536)):
        found += more
    return found.removesuffix(b"\n")


def _is_text(pasted: bytes) -> bool:
    try:
        pasted.decode()
    except UnicodeDecodeError:
        return False
    return True


@contextlib.contextmanager
def _unstoppable() -> Iterator[None]:
    """Ctrl-Z at the prompt would come back from `fg` with the echo on, and show what is typed."""
    before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)


def _require_terminal() -> None:
    if not _has_terminal():
        raise VaultLocked(
            "the vault is locked, and there is no terminal to ask for its password on",
            hint="--password-file FILE, or --password-fd N",
        )


def _has_terminal() -> bool:
    try:
        os.close(os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
