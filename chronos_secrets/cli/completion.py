"""Completion in bash, zsh and fish: the script that a shell reads once, and the answers that it then asks for."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from chronos_secrets.cli import PROGRAM, output

VARIABLE = "_CHRONOS_SECRETS_COMPLETE"
"""The environment variable by which a shell's script asks for answers; its value is SHELL_complete."""


class _Fish(FishComplete):
    """Splits off the first comma alone; click's script ends a description at its first one."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split -m 1 ","')


_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": _Fish}


@click.command()
@click.argument("shell", metavar="SHELL", type=click.Choice(list(_SHELLS)))
def completion(shell: str) -> None:
    """Print what makes SHELL (bash, zsh or fish) complete commands, options and ids.

    \b
    bash: eval "$(chronos-secrets completion bash)"      in ~/.bashrc
    zsh:  eval "$(chronos-secrets completion zsh)"       in ~/.zshrc, after compinit
    fish: chronos-secrets completion fish | source       in ~/.config/fish/config.fish
    """
    output.exact(_SHELLS[shell](click.Command(PROGRAM), {}, PROGRAM, VARIABLE).source().encode())


def answer(root: click.Command, asked: str) -> str:
    """What a shell's script gets, from the words in its environment; nothing for what no script of ours asks."""
    shell = _SHELLS.get(asked.removesuffix("_complete"))
    return shell(root, {"obj": ()}, PROGRAM, VARIABLE).complete() if shell else ""
