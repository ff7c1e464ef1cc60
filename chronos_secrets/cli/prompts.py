"""Asking a person, on the terminal and nowhere else."""

import contextlib
import getpass
import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

from chronos_secrets.cli import output
from chronos_secrets.errors import VaultLocked
from chronos_secrets.secret import Secret

_LEAST_CHARACTERS = 12


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


@contextlib.contextmanager
def _unstoppable() -> Iterator[None]:
    """Ctrl-Z at the prompt would come back from `fg` with the echo on, and show what is typed."""
    before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)


def _require_terminal() -> None:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        raise VaultLocked(
            "the vault is locked, and there is no terminal to ask for its password on",
            hint="--password-file FILE, or --password-fd N",
        ) from error
