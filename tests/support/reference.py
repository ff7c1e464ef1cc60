"""docs/reference.md, docs/inventory.schema.json and the manual page, generated from the program itself; a test keeps them current."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click

from chronos_secrets.cli.main import COMMANDS, root
from chronos_secrets.errors import ChronosError, Exit
from chronos_secrets.inventory import schema
from chronos_secrets.render.dialects import DIALECTS
from chronos_secrets.render.template import FILTERS

DOCS = Path(__file__).parents[2] / "docs"
_MEANINGS = {
    Exit.OK: "done, or nothing to do",
    Exit.NO: "the answer is no: findings, drift",
    Exit.USAGE: "the command line is wrong",
    Exit.CONFIG: "a file that you edit is wrong",
    Exit.VAULT: "the vault is locked, missing, changed or unreadable",
    Exit.REFUSED: "we will not do this",
    Exit.BUSY: "another run holds the lock",
    Exit.TARGET: "a program, host or service said no or is away",
    Exit.INCOMPLETE: "incomplete but safe: run it again",
    Exit.BUG: "a bug; the lines to report hold no secret",
    Exit.INTERRUPTED: "interrupted",
}


def reference() -> str:
    """The text of docs/reference.md."""
    parts = [
        "# Reference",
        "Generated from the program by `make docs`; edit the program instead.",
        "## Commands",
        *_commands(),
        "## Exit status",
        "\n".join(["| status | means | error codes |", "| --- | --- | --- |", *_exit_rows()]),
        "## inventory.yaml",
        "A published [JSON Schema](inventory.schema.json) lets an editor complete and check it.",
        "\n".join(["| key | type | default | meaning |", "| --- | --- | --- | --- |", *_key_rows()]),
        "## Dialects",
        "\n".join(["| dialect | reads back identically in |", "| --- | --- |", *_dialect_rows()]),
        "## Template filters",
        "\n".join(
            ["| filter | gives |", "| --- | --- |", *(f"| `{n}` | {words} |" for n, (_, words) in FILTERS.items())]
        ),
        "",
    ]
    return "\n\n".join(parts)


def published_schema() -> str:
    """The text of docs/inventory.schema.json."""
    return json.dumps(schema.json_schema(), indent=2, ensure_ascii=False) + "\n"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command and group below the root, with the words that call it."""
    context = click.Context(root, info_name="chronos-secrets")
    for name in COMMANDS:
        command = root.get_command(context, name)
        assert command is not None, name
        yield f"chronos-secrets {name}", command
        if isinstance(command, click.Group):
            for inner in sorted(command.list_commands(context)):
                found = command.get_command(context, inner)
                assert found is not None, inner
                yield f"chronos-secrets {name} {inner}", found


def _commands() -> Iterator[str]:
    yield _help("chronos-secrets", root)
    for words, command in commands():
        yield f"### {words}\n\n{_help(words, command)}"


def _help(words: str, command: click.Command) -> str:
    context = click.Context(
        command, info_name=words, terminal_width=100, max_content_width=100, help_option_names=["-h", "--help"]
    )
    return f"```text\n{command.get_help(context)}\n```"


def _exit_rows() -> Iterator[str]:
    for status, meaning in _MEANINGS.items():
        codes = sorted({kind.code for kind in ChronosError.__subclasses__() if kind.exit == status})
        yield f"| {int(status)} | {meaning} | {', '.join(f'`{code}`' for code in codes)} |"


def _key_rows() -> Iterator[str]:
    for row in schema.reference_rows():
        key, kind, default, meaning = (re.sub(r"([|])", r"\\\1", cell) for cell in row)
        yield f"| `{key}` | {kind} | {default} | {meaning} |"


def _dialect_rows() -> Iterator[str]:
    for name, dialect in DIALECTS.items():
        yield f"| `{name}` | {', '.join(dialect.readers)} |"
    yield "| `file` | the exact bytes of one field |"


def exit_meanings() -> dict[Exit, str]:
    """What each exit status says."""
    return dict(_MEANINGS)


if __name__ == "__main__":
    from tests.support.manual import manual

    (DOCS / "chronos-secrets.1").write_text(manual())
    (DOCS / "reference.md").write_text(reference())
    (DOCS / "inventory.schema.json").write_text(published_schema())
