"""The formats of rendered files: each quotes what stands right of a key once, and refuses what it cannot hold.

Pure text: no file, clock, network or chance. What each program really reads back was measured, and is measured again
by `tests/contract/test_dialects_read_back.py`. `Unholdable` and `Misplaced` never carry a value, only its class.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple


class Piece(NamedTuple):
    """One part of an evaluated template line.

    `label` is None for the template's own text (or a plain var), else the name of the secret value: "db.password".
    """

    text: str
    label: str | None = None


class Unholdable(ValueError):
    """The dialect cannot hold a value unchanged.

    The message is the reason, to be read after "destination env cannot hold db.password: "; it never quotes the value.
    `labels` are the values of that line, in order; `way_out` says what to do, or is None.
    """

    def __init__(self, reason: str, labels: tuple[str, ...] = (), way_out: str | None = None) -> None:
        super().__init__(reason)
        self.labels = labels
        self.way_out = way_out


class Misplaced(ValueError):
    """The template line itself is wrong, whatever the values are; the message is the reason."""


class Dialect(NamedTuple):
    """One format.

    `write` turns one evaluated template line into a line of the file, both without their final newline; a value may
    contain newlines, and then so does the result. It raises Unholdable and Misplaced. `key` gives the key of one line
    as `logical_lines` yields it, None for blank, comment and section lines. `readers` are the programs that read every
    written value back unchanged; `comment` starts a comment line.
    """

    name: str
    comment: str | None
    write: Callable[[Sequence[Piece]], str]
    key: Callable[[str], str | None]
    readers: tuple[str, ...]


def logical_lines(dialect: Dialect, text: str) -> Iterator[str]:
    """The lines of a rendered file as `write` made them: a quoted value that spans lines stays in one.

    Take `key` of these only. A diff by physical lines would show the last line of a PEM block, a part of the
    secret, as if it were a key; `str.splitlines` also splits at characters that no reader takes for a line end.
    """
    for line in _LOGICAL.get(dialect.name, _PHYSICAL).finditer(text):
        if line[0]:
            yield line[0].removesuffix("\n")


# --- template lines ---------------------------------------------------------------------------------------------------

_BLANK = " \t\r\n"
_QUOTES = ("'", '"', "`")
_REGENERATE = "generate a new value from A-Z a-z 0-9 - _ . ~"
_ENCODE = f"encode it with | b64encode, or {_REGENERATE}"


class _Line(NamedTuple):
    """A template line: its own text before the first value, all from there to the last value, its own text after."""

    head: str
    middle: tuple[Piece, ...]
    tail: str

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(piece.label for piece in self.middle if piece.label is not None))

    @property
    def text(self) -> str:
        return self.head + "".join(piece.text for piece in self.middle) + self.tail

    def trimmed(self) -> "_Line":
        """Without the white space that the template itself has at the outer ends; a value keeps its own."""
        if self.middle:
            return _Line(self.head.lstrip(_BLANK), self.middle, self.tail.rstrip(_BLANK))
        return _Line(self.head.strip(_BLANK), (), "")


def _line(pieces: Sequence[Piece]) -> _Line:
    at = [index for index, piece in enumerate(pieces) if piece.label is not None]
    first, last = (at[0], at[-1] + 1) if at else (len(pieces), len(pieces))
    head, tail = ("".join(piece.text for piece in own) for own in (pieces[:first], pieces[last:]))
    return _Line(head, tuple(pieces[first:last]), tail)


def _single(text: str) -> str:
    """The template's own `text`, which must be one line that can be written. Raises Misplaced."""
    if "\n" in text or "\r" in text:
        raise Misplaced("a line break in the template's own text")
    if (reason := _unwritable(text)) is not None:
        raise Misplaced(f"the template's own text cannot be written: {reason}")
    return text


def _passed(line: _Line) -> str | None:
    """A blank or comment line as the file gets it, indented as it was; None if the line is neither."""
    start = line.head.lstrip(_BLANK)
    if start.startswith("#"):
        if line.middle:
            raise Misplaced("a comment may not hold a value")
        return _single(line.head.rstrip(_BLANK))
    return None if start or line.middle else ""


def _halves(line: _Line) -> tuple[str, _Line]:
    """What stands left and right of the first =, which must be the template's own and come before any value."""
    left, equals, head = line.head.partition("=")
    if not equals:
        own = line.tail + "".join(piece.text for piece in line.middle if piece.label is None)
        raise Misplaced("a value may only stand right of the =" if "=" in own else "no = on this line")
    right = line._replace(head=head).trimmed()
    opening, closing = right.head[:1], (right.tail if right.middle else right.head[1:])[-1:]
    if opening == closing and opening in _QUOTES:
        raise Misplaced("do not quote the value: the dialect does")
    return left, right


def _unwritable(text: str) -> str | None:
    """Why no text file can hold `text`, or None."""
    if "\0" in text:
        return "it contains a NUL character"
    if re.search("[\ud800-\udfff]", text):
        return "it contains half of a surrogate pair, which is no character"
    return None


def _written(line: _Line, write: Callable[[str], str]) -> str:
    """`write` applied to the whole text of `line`; what it refuses gets the names of the values in that line.

    Without any value the template's own text is to blame: Misplaced.
    """
    try:
        if (reason := _unwritable(line.text)) is not None:
            raise Unholdable(reason, way_out=_ENCODE)
        return write(line.text)
    except Unholdable as refusal:
        reason, way_out = str(refusal), refusal.way_out
    if not line.middle:
        raise Misplaced(f"the template's own text right of the = cannot be written: {reason}")
    raise Unholdable(reason, line.labels, way_out)


# --- KEY=value for shells, systemd and the dotenv libraries -----------------------------------------------------------


def _escaped(value: str, characters: str) -> str:
    return "".join("\\" + char if char in characters else char for char in value)


def _double_quoted(value: str, escape: str) -> str:
    return '"' + _escaped(value, escape) + '"'


def _refuse_command(value: str) -> None:
    # npm dotenv-expand runs $(...) even between single quotes; its users read dotenv and node files.
    if "$(" in value:
        raise Unholdable("it contains $(, which dotenv-expand would run as a command", way_out=_ENCODE)


def _refuse_carriage_return(value: str) -> None:
    if "\r" in value:
        raise Unholdable("it contains a carriage return", way_out=_ENCODE)


def _refuse_interpolation(value: str) -> None:
    # python-dotenv replaces it between any quotes and has no escape for it.
    if "${" in value:
        raise Unholdable("it contains ${, which python-dotenv would replace", way_out=_ENCODE)


def _refuse_noncharacter(value: str) -> None:
    # systemd's utf8_is_valid calls U+FDD0..FDEF and U+xxFFFE/F invalid; it then refuses the whole file.
    if any(0xFDD0 <= ord(char) <= 0xFDEF or ord(char) & 0xFFFE == 0xFFFE for char in value):
        raise Unholdable("it contains a code point that Unicode sets apart (such as U+FFFE)", way_out=_ENCODE)


def _dotenv(value: str) -> str:
    """The rule that bash, dash, python-dotenv, systemd, compose, godotenv, node and npm dotenv all read alike.

    Nothing can be escaped: systemd and the shells know no escape between single quotes, node none between any.
    """
    for refuse in (_refuse_carriage_return, _refuse_command, _refuse_noncharacter):
        refuse(value)
    if "'" in value:
        if any(char in value for char in '"$`\\'):
            raise Unholdable("it contains a single quote together with a double quote, $, ` or backslash")
        return f'"{value}"'
    _refuse_interpolation(value)
    if "\\\\" in value or value.endswith("\\"):  # python-dotenv and godotenv take these for escapes
        raise Unholdable("it ends with a backslash or contains two in a row")
    return f"'{value}'"


def _sh(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _systemd(value: str) -> str:
    _refuse_noncharacter(value)
    return _double_quoted(value, '\\"$`')


def _compose(value: str) -> str:
    r"""Between double quotes compose-go knows \\ \" \$ \n and \r.

    Measured once against compose-go's dotenv package (July 2026), 4,000 of 4,000 values; it needs a Go compiler, so
    it is not measured again by the tests.
    """
    return _double_quoted(value, '\\"$').replace("\n", "\\n").replace("\r", "\\r")


def _python(value: str) -> str:
    _refuse_interpolation(value)
    return _double_quoted(value, '\\"').replace("\r", "\\r")


def _node(value: str) -> str:
    """Node and npm dotenv know no escape at all, but \\n (and npm \\r) between double quotes."""
    _refuse_carriage_return(value)
    _refuse_command(value)
    for quote in ("'", "`", '"'):
        if quote not in value and not (quote == '"' and ("\\n" in value or "\\r" in value)):
            return quote + value + quote
    raise Unholdable("it contains too many kinds of quotes for node, which has no escape", way_out=_ENCODE)


_ENCODERS: dict[str, Callable[[str], str]] = {
    "dotenv": _dotenv,
    "sh": _sh,
    "systemd": _systemd,
    "compose": _compose,
    "python": _python,
    "node": _node,
}


def _portable(value: str) -> str:
    """`_dotenv`; where it refuses, the way out names the dialects of a single program that can hold the value."""
    try:
        return _dotenv(value)
    except Unholdable as refusal:
        reason = str(refusal)
    one = ", ".join(name for name in _ENCODERS if name != "dotenv" and _holds(name, value))
    narrower = f"set the dialect of the one program that reads the file ({one}), " if one else ""
    raise Unholdable(reason, way_out=narrower + _ENCODE)


def _holds(name: str, value: str) -> bool:
    try:
        _ENCODERS[name](value)
    except Unholdable:
        return False
    return True


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(rf"[ \t]*(?:export[ \t]+)?({_NAME.pattern})[ \t]*=")


def _check_name(left: str, *, export: bool) -> None:
    if left.lstrip(_BLANK).startswith(("export ", "export\t")):
        if not export:
            raise Misplaced("dotenv lines take no export")
        left = left.removeprefix("export ")
    if not _NAME.fullmatch(left):
        raise Misplaced("a line begins with a name of A-Z a-z 0-9 _ and the = right behind it")


def _write_assignment(name: str, pieces: Sequence[Piece]) -> str:
    line = _line(pieces)
    passed = _passed(line)
    if passed is not None:
        if passed.endswith("\\"):  # before version 254
            raise Misplaced("a comment may not end with a backslash: systemd takes the next line for a part of it")
        return passed.lstrip(_BLANK)  # node joins an indented comment or a line of blanks with the key that follows
    left, right = _halves(line)
    _check_name(left, export=name == "sh")
    return f"{left}={_written(right, _portable if name == 'dotenv' else _ENCODERS[name])}"


def _assignment_key(line: str) -> str | None:
    match = _ASSIGNMENT.match(line)
    return match[1] if match else None


def _assignments(name: str, *readers: str) -> Dialect:
    return Dialect(name, "#", partial(_write_assignment, name), _assignment_key, readers)


_PHYSICAL = re.compile(r"[^\n]*\n?")
_UNESCAPED = r"""(?:'[^']*'|"[^"]*"|`[^`]*`)?"""
_ESCAPED = r"""(?:'[^']*'|"(?:\\.|[^"\\])*")?"""
_SHELL_WORD = r"""(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^'"\\\n])*"""
_LOGICAL = {
    name: re.compile(rf"(?:{_ASSIGNMENT.pattern}{value})?[^\n]*\n?", re.DOTALL)
    for name, value in {
        "dotenv": _UNESCAPED,
        "node": _UNESCAPED,
        "systemd": _ESCAPED,
        "compose": _ESCAPED,
        "python": _ESCAPED,
        "sh": _SHELL_WORD,
    }.items()
}


# --- pgbackrest.conf --------------------------------------------------------------------------------------------------

_OPTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_LONGEST_LINE = 65_534  # pgBackRest 2.45 reads lines through a buffer of 65,536 bytes
_PGBACKREST_WAY_OUT = (
    f"{_REGENERATE}; a cipher pass that is in use must stay as it is: give it to pgBackRest by the environment "
    "variable of the option (PGBACKREST_REPO1_CIPHER_PASS)"
)


def _pgbackrest(value: str) -> str:
    """The value as it is: pgBackRest knows no quotes, no escapes and no comment behind a value."""
    if "\n" in value:
        raise Unholdable("it contains a line break", way_out=_PGBACKREST_WAY_OUT)
    if not value.strip(" \t\r"):
        raise Unholdable("it is empty or only white space", way_out=_REGENERATE)
    if value != value.strip(" \t\r"):
        reason = "it begins or ends with a space, tab or carriage return, which pgBackRest drops"
        raise Unholdable(reason, way_out=_PGBACKREST_WAY_OUT)
    return value


def _write_pgbackrest(pieces: Sequence[Piece]) -> str:
    line = _line(pieces)
    passed = _passed(line)
    if passed is not None:
        return passed
    start = line.head.strip(_BLANK)
    if start.startswith(";"):
        raise Misplaced("pgBackRest has no ; comments: begin the line with #")
    if start.startswith("["):
        return _section(line)
    left, right = _halves(line)
    option = left.strip(_BLANK)
    if not _OPTION.fullmatch(option):
        raise Misplaced("a line begins with an option's name of A-Z a-z 0-9 - and an =")
    return _written(right, partial(_pgbackrest_line, option))


def _section(line: _Line) -> str:
    if line.middle:
        raise Misplaced("a section line may not hold a value")
    if not line.head.rstrip(_BLANK).endswith("]"):
        raise Misplaced("a section line ends with ]")
    return _single(line.head.strip(_BLANK))


def _pgbackrest_line(option: str, value: str) -> str:
    text = f"{option}={_pgbackrest(value)}"
    if len(text.encode()) > _LONGEST_LINE:
        raise Unholdable("the line would be longer than the 64 KiB that pgBackRest reads", way_out=_REGENERATE)
    return text


def _pgbackrest_key(line: str) -> str | None:
    key, equals, _ = line.partition("=")
    key = key.strip(_BLANK)
    return key if equals and _OPTION.fullmatch(key) else None


# --- .pgpass ----------------------------------------------------------------------------------------------------------

_PGPASS_KEY = re.compile(r"((?:(?:[^:\\]|\\.)*:){3}(?:[^:\\]|\\.)*):")
_LONE_BACKSLASH = re.compile(r"(?:[^\\]|\\.)*\\")


def _write_pgpass(pieces: Sequence[Piece]) -> str:
    """libpq (passwordFromFile) trims nothing but the line's end, knows comments in column one, and \\ before anything.

    In the first four fields it takes a lone * for "any"; from a value that is written as \\*, which is a star.
    """
    line = _line(pieces)
    passed = _passed(line)
    if passed is not None:
        return passed.lstrip(_BLANK)
    line = line.trimmed()
    fields = _pgpass_fields([Piece(line.head), *line.middle, Piece(line.tail)])
    if len(fields) != 5:
        raise Misplaced("a line has five fields between colons: host:port:database:user:password")
    written = ["".join(piece.text for piece in field) for field in fields]
    for index, field in enumerate(fields[:4]):
        if written[index] == "*" and any(piece.label for piece in field):
            written[index] = "\\*"
    if written[0].startswith("#"):  # the template's own # made the line a comment above
        raise Unholdable("it begins the line with #, which libpq takes for a comment", line.labels)
    return ":".join(written)


def _pgpass_fields(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """The fields between the template's own colons; the text of values in them is escaped already."""
    fields: list[list[Piece]] = [[]]
    for is_value, group in groupby(pieces, lambda piece: piece.label is not None):
        if is_value:
            fields[-1] += [_pgpass_value(piece) for piece in group]
            continue
        own = _single("".join(piece.text for piece in group))
        if _LONE_BACKSLASH.fullmatch(own):
            raise Misplaced("a backslash with nothing of the template's own text behind it")
        first, *others = re.sub(r"\\.|:", lambda found: found[0] if found[0] != ":" else "\n", own).split("\n")
        fields[-1].append(Piece(first))
        fields += [[Piece(other)] for other in others]
    return fields


def _pgpass_value(piece: Piece) -> Piece:
    reason = _unwritable(piece.text)
    if not piece.text:
        reason = "it is empty"
    elif "\n" in piece.text or "\r" in piece.text:
        reason = "it contains a line break or carriage return"
    if reason is not None:
        raise Unholdable(reason, (piece.label or "",), _REGENERATE)
    return Piece(_escaped(piece.text, "\\:"), piece.label)


def _pgpass_key(line: str) -> str | None:
    match = None if line.startswith("#") else _PGPASS_KEY.match(line)
    return match[1] if match else None


# --- ssh_config -------------------------------------------------------------------------------------------------------


class _Argument(NamedTuple):
    """What a value may be in the argument of one keyword."""

    refused: str  # characters
    tokens: bool = False  # ssh expands % and ${NAME}: %% is a percent sign, and nothing is a ${


# A host, alias or user is put by ssh into ProxyCommand, LocalCommand and Match exec as %h %k %n %r, for a shell to run:
# what OpenSSH 9.6 forbids on its command line (CVE-2023-51385) is refused here. In Host lines * ? ! , are patterns.
_SHELL = "'`$;&<>|(){}"
# Only newer versions of ssh expand % in User: no spelling is right for all of them.
_PATH = _Argument("", tokens=True)
_ARGUMENTS = {
    "host": _Argument(_SHELL + "%*?!, \t"),
    "hostname": _Argument(_SHELL + " \t", tokens=True),
    "hostkeyalias": _Argument(_SHELL + "% \t"),
    "user": _Argument(_SHELL + "%"),
    "port": _Argument(_SHELL + "% \t"),
    "bindaddress": _Argument(_SHELL + "% \t"),
    "identityfile": _PATH,
    "certificatefile": _PATH,
    "controlpath": _PATH,
    "userknownhostsfile": _PATH,
}
_PATHS = frozenset(keyword for keyword, argument in _ARGUMENTS.items() if argument is _PATH)
_SSH_LINE = re.compile(r"([ \t]*([A-Za-z][A-Za-z0-9]*)(?:[ \t]*=[ \t]*|[ \t]+))(.*)", re.DOTALL)
_BARE = re.compile(r"[A-Za-z0-9_./:@%+,~*?!^-]+")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SSH_WAY_OUT = "correct it in the vault"


def _write_ssh(pieces: Sequence[Piece]) -> str:
    """A value stands only in the arguments of `_ARGUMENTS`; lines without one pass as the template has them.

    Commands (ProxyCommand, ProxyJump, LocalCommand, Match exec ...) get no value: ssh gives them to a shell.
    """
    line = _line(pieces)
    passed = _passed(line)
    if passed is not None:
        return passed
    match = _SSH_LINE.fullmatch(line.head)
    if match is None or not (match[3].strip(_BLANK) or line.middle):
        raise Misplaced("a line is a keyword of the template's own and, behind a space or =, its argument")
    start, keyword, head = match.groups()
    if not line.middle:
        return _single(line.head.rstrip(_BLANK))
    if keyword.lower() not in _ARGUMENTS:
        raise Misplaced(f"a value may not stand in a {keyword} line")
    return start + " ".join(_ssh_word(word, keyword.lower()) for word in _ssh_words(line._replace(head=head)))


def _ssh_words(line: _Line) -> list[list[Piece]]:
    """The arguments, split at white space of the template's own."""
    words: list[list[Piece]] = [[]]
    trimmed = line.trimmed()
    for piece in (Piece(trimmed.head), *trimmed.middle, Piece(trimmed.tail)):
        if piece.label is not None:
            words[-1].append(piece)
            continue
        own = _single(piece.text)
        if any(char in own for char in "'\"\\"):
            raise Misplaced("do not quote the value: the dialect does")
        first, *others = re.split(r"[ \t]+", own)
        words[-1].append(Piece(first))
        words += [[Piece(other)] for other in others]
    if any(word[0].text.startswith("#") and word[0].label is None for word in words):
        raise Misplaced("no comment behind a value: give it a line of its own")
    return words


def _ssh_word(word: Sequence[Piece], keyword: str) -> str:
    text = "".join(_ssh_value(piece, keyword) if piece.label else piece.text for piece in word)
    values = _line(word)
    if not values.middle:
        return text
    if not values.head and text.startswith(("-", "~")):
        raise Unholdable("it begins with - or ~, which ssh would not take as it is", values.labels, _SSH_WAY_OUT)
    if keyword in _PATHS and text.lower() == "none":
        raise Unholdable("it is none, which ssh takes for no file at all", values.labels, _SSH_WAY_OUT)
    return text if _BARE.fullmatch(text) else f'"{text}"'


def ssh_path(path: str) -> str:
    """A path as the argument of IdentityFile, quoted if need be. Raises Unholdable."""
    return _ssh_word([Piece(path, "path")], "identityfile")


def _ssh_value(piece: Piece, keyword: str) -> str:
    argument = _ARGUMENTS[keyword]
    reason = _unwritable(piece.text)
    if not piece.text:
        reason = "it is empty"
    elif _CONTROLS.search(piece.text):
        reason = "it contains a line break or another control character"
    elif '"' in piece.text or "\\" in piece.text:
        reason = "it contains a double quote or backslash, which ssh versions read differently"
    elif argument.tokens and "${" in piece.text:
        reason = "it contains ${, which ssh would replace"
    elif any(char in argument.refused for char in piece.text) or re.search(r"\s-", piece.text):
        reason = f"it contains a character that a value may not have in a {keyword} line"
    if reason is not None:
        raise Unholdable(reason, (piece.label or "",), _SSH_WAY_OUT)
    return piece.text.replace("%", "%%") if argument.tokens else piece.text


def _ssh_key(line: str) -> str | None:
    match = _SSH_LINE.match(line)
    return match[2] if match and match[2].lower() not in ("host", "match") else None


# --- the table --------------------------------------------------------------------------------------------------------

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        _assignments("dotenv", "bash", "dash", "python-dotenv", "systemd", "compose", "godotenv", "node", "npm-dotenv"),
        _assignments("sh", "bash", "dash"),
        _assignments("systemd", "systemd"),
        _assignments("compose", "compose"),
        _assignments("python", "python-dotenv"),
        _assignments("node", "node", "npm-dotenv"),
        Dialect("pgbackrest", "#", _write_pgbackrest, _pgbackrest_key, ("pgbackrest",)),
        Dialect("pgpass", "#", _write_pgpass, _pgpass_key, ("libpq",)),
        Dialect("ssh-config", "#", _write_ssh, _ssh_key, ("ssh",)),
    )
}
