"""Results on standard output (text or JSON), talk on standard error."""

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from chronos_secrets.errors import ChronosError, Incomplete
from chronos_secrets.report.table import table

JSON_VERSION = 1
"""The version of every JSON document that a command prints; it grows when a field changes its meaning or goes."""


_AGAIN = "chronos-secrets check --offline"
# What to do next where the place of the failure knew nothing better, by the error's code.
_NEXT = {
    "usage": "chronos-secrets --help",
    "inventory-invalid": f"{_AGAIN}    # once the file is corrected",
    "template-invalid": f"{_AGAIN}    # once the template is corrected",
    "settings-invalid": "chronos-secrets config show    # once the file is corrected",
    "pgbackrest-config": f"{_AGAIN}    # once the inventory or the template is corrected",
    "vault-missing": "chronos-secrets config show    # where the vault is looked for",
    "vault-locked": "chronos-secrets config show    # which vault and which key file are meant",
    "vault-unreadable": "open the file with KeePassXC, or put a copy of it in its place",
    "vault-changed": "run the command again",
    "vault-not-saved": "run the command again, once there is room and the folder can be written to",
    "entry-missing": "chronos-secrets check",
    "refused": "put that right, then run the command again",
    "not-representable": "store another value, or choose another dialect in the inventory",
    "busy": "run the command again",
    "target-failed": "run the command again, once that works",
    "incomplete": "run the command again",
}


def say(text: str) -> None:
    """Talk: what a person should know, never the result. It is lost where nobody can hear it."""
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def result(text: str) -> None:
    """One line of a result. Raises Incomplete, and BrokenPipeError where the reader went away."""
    with _heard():
        click.echo(text)


def exact(content: bytes) -> None:
    """A result that is one value, byte by byte. Raises what `result` raises."""
    with _heard():
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def flush() -> None:
    """Hand over what was printed. Raises what `result` raises."""
    with _heard():
        sys.stdout.flush()


@contextlib.contextmanager
def _heard() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        said = (error.strerror or "").lower()
        raise Incomplete(
            f"the result could not be printed: standard output says {said}",
            hint="run the command again, printing elsewhere",
        ) from error


def rows(headers: Sequence[str], lines: Sequence[Sequence[str]], *, empty: str) -> None:
    """A result as a table, or the sentence `empty` where there is nothing to show."""
    if not lines:
        say(empty)
        return
    width = shutil.get_terminal_size((80, 24)).columns
    result("\n".join(table(headers, [[plain(cell) for cell in line] for line in lines], width=width)))


def plain(text: str) -> str:
    """One line without characters that a terminal would obey; a title in the vault or a path may hold any."""
    return "".join(character if character.isprintable() else "?" for character in text)


def short(path: Path, *, home: Path) -> str:
    """A path as a person would write it here: relative to the working directory if it is below, or with a tilde."""
    if path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def document(name: str, content: Mapping[str, object]) -> None:
    """A result as JSON: `{"version": 1, "command": NAME, …}`."""
    result(json.dumps({"version": JSON_VERSION, "command": name, **content}, ensure_ascii=False, indent=2))


def failure(error: ChronosError, *, as_json: bool) -> None:
    """What went wrong, and what to do next."""
    hint = error.hint or _NEXT.get(error.code)
    if as_json:
        told: dict[str, object] = {"code": error.code, "exit": int(error.exit), "message": error.message, "hint": hint}
        told["details"] = list(error.details)
        say(json.dumps({"version": JSON_VERSION, "error": told}, ensure_ascii=False))
        return
    lines = [f"error: {error.message}", *(f"  {line}" for line in error.details), *([f"hint: {hint}"] if hint else [])]
    say("\n".join(plain(line) for line in lines))
