"""Calls of pgbackrest in shell scripts, runbooks and crontabs. Pure.

Of a runbook in Markdown only what stands between fences counts: that is what somebody pastes.
"""

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from chronos_secrets.inventory.fields import Cron
from chronos_secrets.pgbackrest.options import COMMANDS, resolve

_ENDS = frozenset(";&|()")
_FIELDS = re.compile(r"((?:[0-9*/,-]|[a-zA-Z]{3})+(?:\s+(?:[0-9*/,-]|[a-zA-Z]{3})+){4})\s+(\S.*)")
_NAMED = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}  # fmt: skip


class Call(NamedTuple):
    """One call of pgbackrest: what stands before it in the same command, its options, and what follows the command."""

    where: str  # FILE:LINE, or a setting
    before: tuple[str, ...]
    command: str
    options: Mapping[str, str]  # "" for one without a value
    after: tuple[str, ...] = ()

    @property
    def by_exec(self) -> bool:
        """Whether it is run in a container that has to be running."""
        names = [posixpath.basename(word) for word in self.before]
        return "exec" in names and bool({"docker", "podman", "nerdctl", "compose"} & set(names))


class Job(NamedTuple):
    """A line of cron that calls pgbackrest. What the inventory's schedule makes calls a script of ours instead."""

    line: str  # five fields
    call: Call

    @property
    def type(self) -> str:
        """Of the backup; without one it is incremental."""
        return self.call.options.get("type", "incr")


def in_text(name: str, text: str) -> list[Call]:
    """The calls in a file; `name` ends as files of its kind do."""
    lines = _fenced(text) if name.endswith((".md", ".markdown")) else enumerate(text.split("\n"), 1)
    return [call for number, line in _joined(lines) for call in in_line(f"{name}:{number}", line)]


def in_line(where: str, line: str) -> list[Call]:
    """The calls in one line of a shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # prose, or a quote that a later line closes
        words = line.split()
    return list(_calls(where, words))


def in_argv(where: str, argv: Sequence[str]) -> list[Call]:
    """The calls in a command of the inventory, which may be one for a shell."""
    return [*_calls(where, argv), *(call for word in argv if " " in word for call in in_line(where, word))]


def in_crontab(where: str, line: str) -> list[Job]:
    """The calls in a line of a crontab; a comment has none."""
    fields, command = _split(line.strip())
    calls = in_line(where, command.replace(r"\%", "%")) if fields else []
    return [Job(fields, call) for call in calls]


def _split(line: str) -> tuple[str, str]:
    named, _, command = line.partition(" ")
    if named in _NAMED:
        return _NAMED[named], command
    matched = _FIELDS.fullmatch(line)
    if matched is None:
        return "", ""
    fields = " ".join(matched[1].split())
    try:
        return Cron().convert(fields), matched[2]
    except ValueError:  # cron knows no such time, and starts nothing then
        return "", ""


def _calls(where: str, words: Sequence[str]) -> Iterator[Call]:
    start = 0
    for index, word in enumerate(words):
        if _ENDS & set(word[:1]):
            start = index + 1
        elif posixpath.basename(word) == "pgbackrest":
            stop = next((at for at in range(index + 1, len(words)) if _ENDS & set(words[at][:1])), len(words))
            options, command = _arguments(words[index + 1 : stop])
            if command:
                yield Call(where, tuple(words[start:index]), command, options, tuple(words[stop:]))


def _arguments(words: Sequence[str]) -> tuple[dict[str, str], str]:
    """pgBackRest takes --name=value and --name value; what has no value is only known for the options of its file."""
    options, command, name = {}, "", ""
    for word in words:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            options[name] = value
            name = "" if equals or _is_switch(name) else name
        elif name and (word not in COMMANDS or resolve(name)):
            options[name], name = word, ""
        elif word in COMMANDS:
            command, name = command or word, ""
    return options, command


def _is_switch(name: str) -> bool:
    found = resolve(name.removeprefix("no-"))
    return found is not None and found[1].kind == "boolean"


def _fenced(text: str) -> Iterator[tuple[int, str]]:
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            inside = not inside
            yield number, ""
        elif inside:
            yield number, line


def _joined(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Lines with what follows a backslash at their end, each by the number of its first."""
    first, parts = 0, ""
    for number, line in lines:
        first = first or number
        parts += line.rstrip().removesuffix("\\")
        if not line.rstrip().endswith("\\"):
            yield first, parts
            first, parts = 0, ""
    if parts:
        yield first, parts
