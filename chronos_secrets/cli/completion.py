"""Completion in bash, zsh and fish: the script that a shell reads once, and the answers that it then asks for.

Command names come from the table of commands, so that nothing is imported for them. Options import the one command
that they belong to; ids are read from the inventory, which needs no password.
"""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterable

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from chronos_secrets.cli import output
from chronos_secrets.errors import ChronosError

VARIABLE = "_CHRONOS_SECRETS_COMPLETE"
"""The environment variable by which a shell asks for answers: SHELL_complete."""

NAME = "chronos-secrets"
_CLASSES: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
_LOADED_BY = {
    "bash": 'eval "$(chronos-secrets completion bash)"    # in ~/.bashrc',
    "zsh": 'eval "$(chronos-secrets completion zsh)"    # in ~/.zshrc, after compinit',
    "fish": "chronos-secrets completion fish > ~/.config/fish/completions/chronos-secrets.fish",
}
_FILES = {"FILE": "file", "FILE.kdbx": "file", "DIR": "dir"}  # by an option's metavar


@click.command()
@click.argument("shell", type=click.Choice(list(_CLASSES)))
def completion(shell: str) -> None:
    """Print the script that makes SHELL complete commands, options and ids.

    \b
    bash, in ~/.bashrc:  eval "$(chronos-secrets completion bash)"
    zsh, in ~/.zshrc:    eval "$(chronos-secrets completion zsh)"
    fish, once:          chronos-secrets completion fish > ~/.config/fish/completions/chronos-secrets.fish
    """
