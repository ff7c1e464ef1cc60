"""The settings of the database on which its backups rest: what they are, what they should be, what a change takes.

Source of the rules: PostgreSQL's documentation of continuous archiving, and pgBackRest's user guide ("Configure
Archiving"). pgBackRest itself checks archive_mode and archive_command alone, and these only in `check` and `backup`.
"""

import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from chronos_secrets.pgbackrest.server import Server

NAMES = ("archive_mode", "archive_command", "archive_library", "wal_level", "max_wal_senders", "archive_timeout")
LEAST_SENDERS = 2
"""Of max_wal_senders: a copy of the database by pg_basebackup needs two, and with 0 none can be begun."""
DEFAULT_CONFIG = "/etc/pgbackrest/pgbackrest.conf"
"""Where pgBackRest looks for its configuration when it is not told."""
_COMMAND_LINE = ("command line", "environment variable")
_SYNTAX = re.compile(r"[;&|<>`\n]|\$\(")

# While archive_mode is off, the server hides archive_command. The last line of the files counts; who may not read
# pg_file_settings is told nothing of them.
_ASK = """\
SELECT name, CASE WHEN setting = '(disabled)' THEN coalesce(reset_val, '') ELSE setting END, context, source,
  coalesce(sourcefile, ''), coalesce(sourceline::text, ''), pending_restart
FROM pg_settings WHERE name = ANY ('{%s}')"""
_ASK_FILES = """\
SELECT DISTINCT ON (name) name, coalesce(setting, '')
FROM pg_file_settings WHERE name = ANY ('{%s}') ORDER BY name, seqno DESC"""
_ASK_RIGHTS = """\
SELECT current_user, rolsuper OR has_table_privilege('pg_file_settings', 'SELECT')
  AND has_function_privilege('pg_show_all_file_settings()', 'EXECUTE'), rolsuper,
  coalesce(current_setting('allow_alter_system', true), 'on')
FROM pg_roles WHERE rolname = current_user"""


class Setting(NamedTuple):
    """One setting as the server has it now. `line` is "FILE:LINE" where it comes from a file that we may know."""

    name: str
    value: str
    context: str  # postmaster: at a start only; sighup: when the files are read again
    source: str  # of pg_settings, such as "default", "configuration file" or "command line"
    line: str
    awaits_restart: bool
    in_files: str | None = None  # what the files say, which may not be in force; None where they or nobody told

    @property
    def effect(self) -> str:
        """How a change takes effect."""
        return "restart" if self.context == "postmaster" else "reload"

    @property
    def is_fixed(self) -> bool:
        """Whether whoever starts the server sets it, so that no file can."""
        return self.source in _COMMAND_LINE


class Found(NamedTuple):
    """The settings, by name; whether `role`, who asked, may use ALTER SYSTEM, and whether the server has that at all.

    Releases from 17 on can have it off.
    """

    settings: Mapping[str, Setting]
    role: str
    may_change: bool
    has_alter_system: bool = True

    @property
    def all(self) -> tuple[Setting, ...]:
        return tuple(self.settings.values())


def read(server: Server) -> Found:
    """Ask for them. Raises TargetFailed."""
    names = ",".join(NAMES)
    (role, reads_files, may, allowed), *rows = server.ask(_ASK_RIGHTS, _ASK % names)
    found = {row[0]: Setting(row[0], row[1], row[2], row[3], _line(row[4], row[5]), row[6] == "t") for row in rows}
    if reads_files == "t":
        for name, value in server.ask(_ASK_FILES % names):
            found[name] = found[name]._replace(in_files=value)
    return Found(found, role, may == "t", allowed == "on")


def _line(file: str, number: str) -> str:
    return f"{file}:{number}" if file and number else file


class Wanted(NamedTuple):
    """What the inventory makes of the settings."""

    config: str  # absolute path of pgBackRest's configuration there
    stanza: str
    archive_timeout: timedelta | None

    @property
    def archive_command(self) -> str:
        """The command by which the server hands a WAL segment over."""
        words = ("pgbackrest", f"--config={self.config}", f"--stanza={self.stanza}", "archive-push")
        return f"{shlex.join(words)} %p"


class Difference(NamedTuple):
    """A setting that is not as it should be. `should` is what ALTER SYSTEM is to set, `why` one clause for a person."""

    setting: Setting
    should: str
    why: str

    @property
    def is_set(self) -> bool:
        """Whether the files already say so, and the server will when it reads them or starts again."""
        found = self.setting
        return not found.is_fixed and found.in_files is not None and _same(found.name, found.in_files, self.should)


def differences(found: Iterable[Setting], wanted: Wanted) -> list[Difference]:
    """What is not as it should be, in the order of NAMES."""
    by_name = {each.name: each for each in found}
    judged = (_judged(by_name[name], wanted) for name in NAMES if name in by_name)
    return [each for each in judged if each is not None]


def _judged(found: Setting, wanted: Wanted) -> Difference | None:
    should, why = _RULES[found.name](found.value, wanted)
    if should is not None:
        return Difference(found, should, why)
    if found.awaits_restart and found.in_files is not None:  # fine now, but not when the server starts again
        should, why = _RULES[found.name](found.in_files, wanted)
        return None if should is None else Difference(found, should, f"the next start makes it {found.in_files}")
    return None


_Verdict = tuple[str | None, str]
_FINE: _Verdict = (None, "")


def _archive_mode(value: str, _: Wanted) -> _Verdict:
    return _FINE if value in ("on", "always") else ("on", "no WAL is archived")


def _archive_library(value: str, _: Wanted) -> _Verdict:
    return ("", "a library archives the WAL in the place of archive_command") if value else _FINE


def _wal_level(value: str, _: Wanted) -> _Verdict:
    return _FINE if value in ("replica", "logical") else ("replica", "the WAL does not hold enough for a restore")


def _max_wal_senders(value: str, _: Wanted) -> _Verdict:
    return _FINE if int(value) >= LEAST_SENDERS else (str(LEAST_SENDERS), "nothing can be copied from the server")


def _archive_timeout(value: str, wanted: Wanted) -> _Verdict:
    if wanted.archive_timeout is None or value == seconds(wanted.archive_timeout):
        return _FINE
    return seconds(
        wanted.archive_timeout
    ), "the inventory says otherwise" if value != "0" else "a commit waits until 16 MB of WAL are full"


def _archive_command(value: str, wanted: Wanted) -> _Verdict:
    fault = fault_of_command(value, wanted)
    return (wanted.archive_command, fault) if fault else _FINE


_RULES = {
    "archive_mode": _archive_mode,
    "archive_command": _archive_command,
    "archive_library": _archive_library,
    "wal_level": _wal_level,
    "max_wal_senders": _max_wal_senders,
    "archive_timeout": _archive_timeout,
}


def fault_of_command(command: str, wanted: Wanted) -> str | None:
    """Why an archive_command does not do what it should; None where it does.

    It may have more options and an `env` before it. One that is more than a single call is a fault: its status may be
    0 where pgBackRest failed, and then WAL is lost.
    """
    if not command:
        return "the server has no command to archive with"
    try:
        words = shlex.split(command)
    except ValueError:
        return "its quotes are not closed"
    calls = [index for index, word in enumerate(words) if posixpath.basename(word) == "pgbackrest"]
    if not calls:
        return "it does not call pgbackrest"
    if _SYNTAX.search(command) or len(calls) > 1 or not _is_prefix(words[: calls[0]]):
        return "it does more than call pgbackrest"
    return _fault_of_call(words[calls[0] + 1 :], wanted)


def _is_prefix(words: Sequence[str]) -> bool:
    """Whether what stands before the program only sets its environment."""
    rest = list(words[1:] if words[:1] in (["env"], ["/usr/bin/env"]) else words)
    return all(re.match("[A-Za-z_][A-Za-z0-9_]*=", word) for word in rest)


def _fault_of_call(words: Sequence[str], wanted: Wanted) -> str | None:
    given = dict(_options(words))
    if given.get("config", DEFAULT_CONFIG) != wanted.config:
        return f"it does not use {wanted.config}"
    if given.get("stanza") != wanted.stanza:
        return f"it is not for the stanza {wanted.stanza}"
    if [word for word in words if not word.startswith("--")][-2:] != ["archive-push", "%p"]:
        return "it does not end in archive-push %p"
    return None


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The options with their values: pgBackRest takes --name=value and --name value."""
    for index, word in enumerate(words):
        name, equals, value = word.removeprefix("--").partition("=")
        if word.startswith("--"):
            yield name, value if equals else next(iter(words[index + 1 :]), "")


def seconds(time: timedelta) -> str:
    """A time as the server's settings have it."""
    return str(int(time.total_seconds()))


def _same(name: str, one: str, other: str) -> bool:
    if name == "archive_timeout":
        return _seconds_of(one) == _seconds_of(other)
    return one == other


_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds_of(text: str) -> float | None:
    match = re.fullmatch(r"\s*([0-9]+)\s*([a-z]*)\s*", text)
    return float(match[1]) * _UNITS[match[2]] if match and match[2] in _UNITS else None


def statement(name: str, value: str) -> str:
    """The statement that sets one."""
    return f"ALTER SYSTEM SET {name} = {_literal(value)}"


def _literal(text: str) -> str:
    quoted = text.replace("'", "''").replace("\\", "\\\\")
    return f"E'{quoted}'" if "\\" in text else f"'{quoted}'"
