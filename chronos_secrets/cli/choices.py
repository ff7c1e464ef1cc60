"""Names that a person chooses from: what a mistyped one was meant to be, and what a shell completes.

Completion reads the inventory, which needs no password, and says nothing where that fails: an error in the middle of a
line that is being typed helps nobody.
"""

import contextlib
import difflib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from chronos_secrets.errors import ChronosError
from chronos_secrets.settings import Flags

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from chronos_secrets.inventory.model import Inventory


GROUPS = {"aws-keys": "aws-access-key", "postgres": "postgres-password", "ssh-keys": "ssh-key", "tokens": "api-token"}
"""What names all credentials of a kind in `rotate`."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known name, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(names) or 'none'}"


def credentials(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The ids of credentials, for a parameter's `shell_complete`."""
    return _ids(context, incomplete, lambda inventory: inventory.credentials)


def rotatable(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """What `rotate` may be followed by: commands, kinds and credentials, for a parameter's `shell_complete`."""
    words = [*getattr(context.command, "commands", ()), *GROUPS] if not context.params.get("names") else []
    ids = _ids(context, incomplete, lambda inventory: inventory.credentials)
    return [*(each for each in words if each.startswith(incomplete)), *ids]


def wanted(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The ids of credentials, and after a point their fields, for a parameter's `shell_complete`."""
    if "." not in incomplete:
        return credentials(context, parameter, incomplete)
    return _ids(context, incomplete, _with_fields)


def destinations(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The ids of destinations, for a parameter's `shell_complete`."""
    return _ids(context, incomplete, lambda inventory: inventory.destinations)


def tasks(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The ids of tasks, for a parameter's `shell_complete`."""
    return _ids(context, incomplete, lambda inventory: inventory.tasks)


def copies(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The ids of copies, for a parameter's `shell_complete`."""
    return _ids(context, incomplete, lambda inventory: inventory.vault.copies)


def folders(_: click.Context, __: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
    """Leaves it to the shell to complete the name of a folder, for a parameter's `shell_complete`."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


def files(_: click.Context, __: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
    """Leaves it to the shell to complete the name of a file, for a parameter's `shell_complete`."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def _with_fields(inventory: "Inventory") -> list[str]:
    return [f"{each.id}.{field}" for each in inventory.credentials.values() for field in each.fields]


def _ids(context: click.Context, incomplete: str, pick: "Callable[[Inventory], Iterable[str]]") -> list[str]:
    from chronos_secrets.cli.session import Session

    here, before = context.params.get("inventory"), context.find_root().params.get("inventory")
    with contextlib.suppress(ChronosError, OSError):
        return [
            each for each in pick(Session(Flags(inventory=here or before)).inventory) if each.startswith(incomplete)
        ]
    return []
