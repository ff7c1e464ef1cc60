"""What every command is wrapped in: its session, its options, and what follows its success."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from chronos_secrets.cli import ARGUMENTS, PATH
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import ChronosError
from chronos_secrets.settings import Flags

_DESCRIPTOR = click.IntRange(0, 2**31 - 1)  # what the system calls a file descriptor
Command = TypeVar("Command", bound=Callable[..., Any])


def with_session(command: Command) -> Command:
    """Give a command its `Session`, and the options that say where things are (they may stand before it, too)."""

    @click.option("--inventory", metavar="FILE", type=PATH, hidden=True)
    @click.option("--vault", metavar="FILE", type=PATH, hidden=True)
    @click.option("--key-file", metavar="FILE", type=PATH, hidden=True)
    @click.pass_obj
    @functools.wraps(command)
    def wrapped(flags: Flags, /, *arguments: Any, **options: Any) -> Any:
        given = Flags(options.pop("inventory"), options.pop("vault"), options.pop("key_file"))
        merged = Flags(*(here or before for here, before in zip(given, flags, strict=True)))
        password = {name: options.pop(name, None) for name in ("password_file", "password_fd")}
        session = Session(merged, **password, after_open=_remember)
        with _finished(session):
            status = command(session, *arguments, **options)
        if not status:
            _tick(session)
        return status

    return wrapped  # type: ignore[return-value]  # click's decorators keep what they wrap


def _remember(session: Session) -> None:
    from chronos_secrets.cli import memory

    memory.remember(session)


@contextlib.contextmanager
def _finished(session: Session) -> Iterator[None]:
    """What follows a command that opened the vault, whether or not the command got where it wanted."""
    try:
        yield
    except ChronosError:
        _finish(session)
        raise
    except (KeyboardInterrupt, click.Abort):
        _put_off(session)
        raise
    _finish(session)


def _finish(session: Session) -> None:
    if session.vault_is_open:
        from chronos_secrets.cli import memory

        memory.finish(session)


def _put_off(session: Session) -> None:
    """Whoever pressed Ctrl-C does not wait: what would follow is done by the next command that opens the vault."""
    if session.vault_is_open:
        from chronos_secrets.cli import memory

        memory.put_off(session)


def _tick(session: Session) -> None:
    """A command that succeeded ticks the tasks whose `run` words it began with."""
    context = click.get_current_context()
    words = context.meta.get(ARGUMENTS, ())
    first = context.command_path.split()[1:2]
    if "inventory" in vars(session) and first and first[0] in words:
        from chronos_secrets.cli import memory

        memory.tick_by_command(session, words[words.index(first[0]) :])


def opens_vault(command: Command) -> Command:
    """The options by which a command that opens the vault is given its password; put it above `with_session`."""
    for option in (
        click.option(
            "--password-fd", type=_DESCRIPTOR, metavar="N", help="Read the vault's password from file descriptor N."
        ),
        click.option(
            "--password-file", metavar="FILE", type=PATH, help="Read the vault's password from FILE (0600) or a pipe."
        ),
    ):
        command = option(command)
    return command
