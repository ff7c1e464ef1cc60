"""docs/chronos-secrets.1, the manual page: the same commands, options and exit statuses as docs/reference.md."""

import inspect
import re
from collections.abc import Iterator

import click

from chronos_secrets import __version__
from chronos_secrets.cli.main import root
from tests.support.reference import commands, exit_meanings

_ENVIRONMENT = {
    "CHRONOS_SECRETS_INVENTORY": "The inventory, like --inventory.",
    "CHRONOS_SECRETS_VAULT": "The vault, like --vault.",
    "CHRONOS_SECRETS_KEY_FILE": "The vault's key file, like --key-file.",
    "CHRONOS_SECRETS_ADMIN_PROFILE": "The AWS profile of whoever administers, for rotations.",
    "CHRONOS_SECRETS_CONFIG": "The settings of this machine, instead of ~/.config/chronos-secrets/config.toml.",
    "CREDENTIALS_DIRECTORY": "Set by systemd: a service's vault password is in its file chronos-secrets.PROJECT.",
    "XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_DATA_HOME": "Where the folders below lie instead.",
}
_FILES = {
    "inventory.yaml": "Which credentials there are and where they go; no value. Kept in git.",
    "~/.config/chronos-secrets/config.toml": "This machine's settings, a table for each project: vault, key_file, rotate_here, admin_profile, aws_endpoint, "
    "ca_bundle.",
    "~/.local/state/chronos-secrets/PROJECT/": "What this machine remembers of a project: the history, earlier vaults.",
}


def manual() -> str:
    """The text of docs/chronos-secrets.1."""
    lines = [
        f'.TH CHRONOS\\-SECRETS 1 "" "chronos\\-secrets {__version__}" "User Commands"',
        ".nh",
        ".ad l",
        '.\\" Generated from the program by "make docs"; edit the program instead.',
        ".SH NAME",
        f"chronos\\-secrets \\- {_plain((root.help or '').rstrip('.'))}",
        ".SH SYNOPSIS",
        *_usage("chronos-secrets", root),
        ".SH DESCRIPTION",
        *_text(root.help or ""),
        ".SH OPTIONS",
        *_tagged({"-h, --help": "Show what a command does, and its options."}),
        *_options("chronos-secrets", root),
        ".SH COMMANDS",
        *(line for words, command in commands() for line in _section(words, command)),
        ".SH EXIT STATUS",
        *_tagged({str(int(status)): meaning for status, meaning in exit_meanings().items()}),
        ".SH ENVIRONMENT",
        *_tagged(_ENVIRONMENT),
        ".SH FILES",
        *_tagged(_FILES),
        ".SH SEE ALSO",
        ".BR keepassxc\\-cli (1),",
        ".BR pgbackrest (1),",
        ".BR ssh_config (5)",
    ]
    return "\n".join(lines) + "\n"


def _section(words: str, command: click.Command) -> Iterator[str]:
    yield f".SS {_plain(words.removeprefix('chronos-secrets '))}"
    yield from _usage(words, command)
    yield ".PP"
    yield from _text(inspect.cleandoc(command.help or ""))
    yield from _options(words, command)


def _usage(words: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=words, help_option_names=["-h", "--help"])  # a command keeps the first
    pieces = command.collect_usage_pieces(context)
    yield f"\\fB{_plain(words)}\\fR {_plain(' '.join(pieces))}"


def _text(text: str) -> Iterator[str]:
    """Paragraphs, of which those that begin with click's mark keep their lines."""
    for number, paragraph in enumerate(re.split(r"\n\n+", text.strip())):
        kept = paragraph.startswith("\b")
        if number:
            yield ".PP"
        lines = paragraph.removeprefix("\b").strip("\n").split("\n")
        yield from ((".nf", *(_line(each) for each in lines), ".fi") if kept else (_line(" ".join(lines)),))


def _options(words: str, command: click.Command) -> Iterator[str]:
    """The options but --help, which every command has and the page names once."""
    context = click.Context(command, info_name=words)
    options = [each for each in command.params if isinstance(each, click.Option)]
    yield from _tagged(dict(found for each in options if (found := each.get_help_record(context))))


def _tagged(records: dict[str, str]) -> Iterator[str]:
    for tag, text in records.items():
        yield ".TP"
        yield f".B {_plain(tag)}"
        yield _line(text)


def _line(text: str) -> str:
    """A line of text, which must not begin like a request."""
    return re.sub(r"^([.'])", r"\\&\1", _plain(text))


def _plain(text: str) -> str:
    """Text of which every character is shown as it is; a hyphen can be pasted."""
    return (
        text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha").replace("`", "\\(ga")
    )
