"""What is wrong with the text of a pgbackrest.conf. Pure.

pgBackRest fails loudly on some mistakes and passes others silently: a misspelt option is a warning, a misspelt section
is nothing, and a passphrase without a cipher type stores the backups in clear text. Each rule here was measured on
pgBackRest 2.45 (tests/contract/test_pgbackrest_binary.py). No message shows a value, nor a word that is not known or
close to a known one: a secret cut by a line end looks like a key.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from chronos_secrets.pgbackrest.options import COMMANDS, HIGHEST_INDEX, Option, nearest, resolve

LONGEST_LINE = 65535  # bytes; one more and pgBackRest stops with error 42
_BLANK = " \t\r"  # what pgBackRest trims; a no-break space is data
_KEYLESS = ("auto", "web-id", "pod-id", "process")  # S3 key types that fetch their own credentials


class Problem(NamedTuple):
    """One thing to put right. Line 0 is the file as a whole."""

    line: int
    code: str
    message: str
    fix: str


class _Setting(NamedTuple):
    line: int
    section: str
    key: str
    value: str
    name: str  # the key with its index and without old spellings
    option: Option


class _Section(NamedTuple):
    line: int
    base: str
    command: str


def lint(text: str, *, stanza: str | None = None, mode: int | None = None) -> list[Problem]:
    """Every problem of the text, in the order of its lines; an empty list is a file that does what it says.

    `stanza` is the one that the file must configure; without it, each section that is not global is one. `mode` is the
    file's permission bits, which pgBackRest never looks at.
    """
    problems: list[Problem] = []
    sections: list[_Section] = []
    settings = list(_read(text, sections, problems))
    problems += _mode(mode)
    problems += _duplicates(settings)
    for setting in settings:
        problems += _placed(setting)
        problems += _value(setting)
    stanzas = _stanzas(sections, settings, stanza)
    problems += _sections(sections, stanzas, stanza)
    for name in stanzas:
        problems += _stanza(name, sections, settings)
    for name in stanzas or [""]:
        problems += _repositories(_view(name, settings))
    return sorted(set(problems))


def _read(text: str, sections: list[_Section], problems: list[Problem]) -> Iterator[_Setting]:
    """The known settings; sections and all that is wrong with the lines themselves go into the two lists."""
    here = ""
    if text.startswith("\ufeff"):
        problems.append(Problem(1, "bom", "the file begins with a byte order mark", "save it as UTF-8 without BOM"))
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if len(raw.encode(errors="replace")) > LONGEST_LINE:
            problems.append(Problem(number, "line-too-long", "the line is too long", f"at most {LONGEST_LINE} bytes"))
        line = raw.strip(_BLANK)
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            here = _section(number, line, sections, problems)
        elif (problem := _malformed(number, line, here)) is not None:
            problems.append(problem)
        elif (setting := _setting(number, line, here, problems)) is not None:
            yield setting


def _section(number: int, line: str, sections: list[_Section], problems: list[Problem]) -> str:
    name = line[1:-1].strip()
    if not line.endswith("]") or not name:
        problems.append(Problem(number, "section-syntax", "a section is a name in brackets", "write [global]"))
        return "?"
    if name != line[1:-1]:
        message = "white space inside the brackets makes pgbackrest ignore the section"
        problems.append(Problem(number, "section-space", message, "remove it"))
    base, _, command = name.partition(":")
    sections.append(_Section(number, base, command))
    return name


def _malformed(number: int, line: str, section: str) -> Problem | None:
    if line.startswith(";"):
        return Problem(number, "semicolon-comment", "; does not begin a comment", "begin the line with #")
    if "=" not in line:
        return Problem(number, "missing-equals", "the line has no =", "write option=value, on one line")
    if not section:
        return Problem(number, "key-before-section", "an option stands before the first section", "put [global] first")
    if not line.partition("=")[0].strip(_BLANK):
        return Problem(number, "missing-key", "there is no option before the =", "write option=value")
    return None


def _setting(number: int, line: str, section: str, problems: list[Problem]) -> _Setting | None:
    key, _, value = (part.strip(_BLANK) for part in line.partition("="))
    known = resolve(key)
    if known is None:
        problems.append(_unknown(number, key))
        return None
    return _Setting(number, section, key, value, *known)


def _unknown(number: int, key: str) -> Problem:
    """pgBackRest only warns, and goes on without the option."""
    guess = nearest(key)
    if guess is None:
        return Problem(number, "unknown-option", "pgbackrest knows no such option", "remove the line or correct it")
    if key.lower() == guess.replace("1-", "-", 1):
        return Problem(number, "unknown-option", f"{key} needs an index", f"write {guess}")
    if re.match(r"(pg|repo)\d", key) and resolve(re.sub(r"\d+", "1", key, count=1)):
        return Problem(number, "unknown-option", f"the index of {key} is out of range", f"use 1 to {HIGHEST_INDEX}")
    return Problem(number, "unknown-option", f"pgbackrest knows no option {key}", f"write {guess}")


def _mode(mode: int | None) -> Iterator[Problem]:
    if mode is not None and mode & 0o077:
        yield Problem(0, "mode", "others than the owner may use the file", "chmod 0600")


def _duplicates(settings: Iterable[_Setting]) -> Iterator[Problem]:
    first: dict[tuple[str, str], int] = {}
    for setting in settings:
        before = first.setdefault((setting.section, setting.name), setting.line)
        if before != setting.line and not setting.option.repeats:
            message = f"{setting.name} is already set in line {before}"
            yield Problem(setting.line, "duplicate-option", message, "keep one of the two")


def _placed(setting: _Setting) -> Iterator[Problem]:
    if setting.option.command_line:
        message = f"{setting.key} is read from the command line only"
        yield Problem(setting.line, "command-line-only", message, "remove the line")
    elif setting.option.stanza_only and setting.section.partition(":")[0] == "global":
        message = f"{setting.key} is ignored in a global section"
        yield Problem(setting.line, "stanza-only", message, "move it to the section of the stanza")


def _value(setting: _Setting) -> Iterator[Problem]:
    kind, key = setting.option.kind, setting.key
    if not setting.value:
        yield Problem(setting.line, "empty-value", f"{key} has no value", "give it one or remove the line")
    elif kind in _FITS and not _FITS[kind](setting.option, setting.value):
        yield Problem(setting.line, f"bad-{kind}", f"{key} must be {_wanted(setting.option)}", _FIXES[kind])


def _is_whole_number(option: Option, value: str) -> bool:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        return False
    return option.at_least is None or option.at_most is None or option.at_least <= int(value) <= option.at_most


def _is_path(option: Option, value: str) -> bool:
    abstract = option.name == "pg-socket-path" and value.startswith("@")  # Linux abstract sockets, since 2.55
    return abstract or (value.startswith("/") and "//" not in value)


_SIZE = re.compile(r"[0-9]{1,18}(b|[kmgtp](i?b)?)?", re.IGNORECASE)
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}")  # 2.45 takes "2h" for two seconds and says nothing

_FITS: dict[str, Callable[[Option, str], bool]] = {
    "boolean": lambda _, value: value in ("y", "n"),
    "choice": lambda option, value: value in option.choices,
    "integer": _is_whole_number,
    "size": lambda _, value: _SIZE.fullmatch(value) is not None,
    "time": lambda _, value: _SECONDS.fullmatch(value) is not None,
    "path": _is_path,
}
_WANTED = {
    "boolean": "y or n",
    "integer": "a whole number",
    "size": "a size",
    "time": "a number of seconds",
    "path": "an absolute path without //",
}
_FIXES = {
    "boolean": "write y or n",
    "choice": "write one of them, in lower case, with nothing after it",
    "integer": "write the number alone, without a unit or comment",
    "size": "write bytes, or a number with KiB, MiB, GiB, TiB or PiB",
    "time": "write seconds, without a unit",
    "path": "write the whole path from /, with single slashes",
}


def _wanted(option: Option) -> str:
    if option.choices:
        return "one of " + ", ".join(option.choices)
    if option.at_least is not None:
        return f"a whole number from {option.at_least} to {option.at_most}"
    return _WANTED[option.kind]


def _stanzas(sections: list[_Section], settings: list[_Setting], stanza: str | None) -> list[str]:
    """The sections that are stanzas: the one asked for, and any other with a data directory."""
    with_path = {setting.section for setting in settings if setting.option.name == "pg-path"} - {"global"}
    if stanza is None:
        with_path |= {section.base for section in sections if not _resembles(section.base, ["global"])}
    here = dict.fromkeys(section.base for section in sections if not section.command)
    return [name for name in here if name in with_path or name == stanza]


def _sections(sections: list[_Section], stanzas: list[str], stanza: str | None) -> Iterator[Problem]:
    if stanza is not None and stanza not in stanzas:
        yield Problem(0, "stanza-missing", "the stanza has no section", f"add [{stanza}] with pg1-path")
    known = ["global", *stanzas, *([stanza] if stanza else [])]
    for section in sections:
        if section.base not in known:
            guess = _resembles(section.base, known)
            fix = f"write [{guess}]" if guess else "name it after a stanza or move its options to [global]"
            yield Problem(section.line, "unknown-section", "pgbackrest ignores this section", fix)
        elif section.command and section.command not in COMMANDS:
            guess = _resembles(section.command, sorted(COMMANDS))
            fix = f"write [{section.base}:{guess}]" if guess else "write the name of a command after the colon"
            yield Problem(section.line, "unknown-section", "pgbackrest has no such command", fix)


def _resembles(word: str, known: list[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(word.lower(), known, n=1, cutoff=0.75)), None)


def _stanza(name: str, sections: list[_Section], settings: list[_Setting]) -> Iterator[Problem]:
    ours = [setting for setting in settings if setting.section.partition(":")[0] == name]
    if not any(setting.name == "pg1-path" for setting in ours):
        line = next(section.line for section in sections if section.base == name)
        yield Problem(line, "pg-path-missing", "the stanza has no pg1-path", "add pg1-path=/the/data/directory")
    for setting in ours:
        if setting.option.name == "pg-host":
            message = f"{setting.key} makes pgbackrest reach PostgreSQL by ssh, even on the same machine"
            yield Problem(setting.line, "pg-host", message, "remove the line and run pgbackrest where PostgreSQL runs")


def _view(stanza: str, settings: list[_Setting]) -> dict[str, _Setting]:
    """What is in force for a stanza: its own settings before the global ones, those for one command last."""
    order = (f"{stanza}:", "global:", "global", stanza)
    ours = [s for s in settings if s.section in (stanza, "global") or s.section.startswith((f"{stanza}:", "global:"))]

    def rank(setting: _Setting) -> int:
        base, colon, _ = setting.section.partition(":")
        return order.index(base + colon)

    return {setting.name: setting for setting in sorted(ours, key=rank)}


def _repositories(view: Mapping[str, _Setting]) -> Iterator[Problem]:
    for index in sorted({int(found[1]) for name in view if (found := re.match(r"repo([0-9]+)-", name))}):
        repo = {
            name.removeprefix(f"repo{index}-"): setting
            for name, setting in view.items()
            if name.startswith(f"repo{index}-")
        }
        if "host" in repo:
            continue  # another machine's file describes this repository
        yield from _cipher(index, repo)
        yield from _s3(index, repo)


def _cipher(index: int, repo: Mapping[str, _Setting]) -> Iterator[Problem]:
    kind, passphrase = repo.get("cipher-type"), repo.get("cipher-pass")
    encrypted = kind is not None and kind.value != "none"
    if passphrase is not None and not encrypted:
        message = f"the repository is not encrypted: repo{index}-cipher-pass does nothing without a cipher type"
        fix = f"add repo{index}-cipher-type=aes-256-cbc before the first backup"
        yield Problem(passphrase.line, "cipher-pass-without-type", message, fix)
    if kind is not None and encrypted and passphrase is None:
        message = f"repo{index}-cipher-type needs repo{index}-cipher-pass"
        yield Problem(kind.line, "cipher-type-without-pass", message, f"add repo{index}-cipher-pass")


def _s3(index: int, repo: Mapping[str, _Setting]) -> Iterator[Problem]:
    kind = repo.get("type")
    if kind is None or kind.value != "s3":
        stray = next((setting for name, setting in repo.items() if name.startswith("s3-")), None)
        if stray is not None:
            message = f"{stray.key} does nothing, for repo{index}-type is not s3"
            yield Problem(stray.line, "s3-without-type", message, f"add repo{index}-type=s3")
        return
    wanted = ["s3-bucket", "s3-endpoint", "s3-region"]
    if "s3-key-type" not in repo or repo["s3-key-type"].value not in _KEYLESS:
        wanted += ["s3-key", "s3-key-secret"]
    for name in wanted:
        if name not in repo:
            message = f"an s3 repository needs repo{index}-{name}"
            yield Problem(kind.line, "s3-incomplete", message, f"add repo{index}-{name}")
