"""Allowances: false alarms that somebody looked at, each with its reason.

Inline, in a comment on the line of the finding or alone on the line above it:

    # chronos: allow RULE REASON

or a line of `.chronos-allow` at the top of the repository, which holds for that value wherever in the file it stands:

    chronos-allow 1 SALT
    RULE PATH FINGERPRINT UNTIL REASON

SALT and FINGERPRINT are 32 hexadecimal digits each, and FINGERPRINT is scrypt of the value under SALT: whoever reads
the file must pay for every guess. UNTIL is the last day (YYYY-MM-DD) or `-`. A path with spaces, quotes or characters
that cannot be printed stands in double quotes, with the escapes of C. Of what could not be read (the rule
`unreadable`) the fingerprint is `-`. A known value is allowed by the inventory alone.
"""

from chronos_secrets.scan.comments import inline
from chronos_secrets.scan.found import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from chronos_secrets.scan.comments import Comment
    from chronos_secrets.scan.found import Finding, Piece, Unread

FILE = b".chronos-allow"
KNOWN, UNREADABLE = "known-value", "unreadable"
NONE = "-"
"""What stands for no last day, and for the fingerprint of what could not be read."""
ONLY_INVENTORY = "a known value is allowed by scan.allow of the inventory alone"

_NAME, _VERSION = b"chronos-allow", b"1"
_DIGITS = 32
_RULE_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")
_HEXADECIMAL = frozenset(b"0123456789abcdef")
_HINT = "chronos-secrets scan --allow PATH:LINE --reason TEXT    # writes such a line; take the wrong one out"


class Allowance:
    """One line of the file, or one comment (`line` is then 0). Texts may hold anything but a line end."""

    __slots__ = ("fingerprint", "line", "path", "reason", "rule", "until", "used")

    def __init__(
        self, rule: str, path: bytes, *, reason: str, fingerprint: str = "", until: str = NONE, line: int = 0
    ) -> None:
        self.rule, self.path, self.fingerprint, self.until = rule, path, fingerprint, until
        self.reason, self.line, self.used = reason, line, False


class Allowances:
    """What a `.chronos-allow` allows. Each allowance remembers whether it was used; `notes` are for a person."""

    def __init__(self, given: "Iterable[Allowance]" = (), *, salt: bytes = b"", today: str = "") -> None:
        """`today` is an ISO day; an allowance holds to the end of its last day."""
        self.given = list(given)
        self.notes: dict[str, None] = {}  # in order, each once
        self._salt, self._today = salt, today
        self._at: dict[tuple[str, bytes], list[Allowance]] = {}
        self._fingerprints: dict[bytes, str] = {}
        for each in self.given:
            if each.rule == KNOWN:
                self._note(each.line, ONLY_INVENTORY)
            else:
                self._at.setdefault((each.rule, each.path), []).append(each)

    def split(
        self, piece: "Piece", findings: "list[Finding]", path: bytes | None = None
    ) -> "tuple[list[Finding], list[tuple[Finding, Allowance]]]":
        """The findings of a piece that stand, and those that are allowed here or by a comment in the piece.

        `path` is the file's path from the top of the repository, where it is not `piece.path`.
        """
        standing, allowed = [], []
        comments = inline(piece) if findings else {}
        for finding in findings:
            by = self._by_comment(finding, comments) or self._by_file(finding, finding.path if path is None else path)
            if by:
                allowed.append((finding, by))
            else:
                standing.append(finding)
        return standing, allowed

    def covers(self, unread: "Unread", path: bytes | None = None) -> "Allowance | None":
        """The allowance for something that could not be read, or None."""
        return self._first(self._at.get((UNREADABLE, unread.path if path is None else path), ()), NONE)

    def unused(self) -> list[Allowance]:
        """What nothing was found for: the value or its file is gone. Only a scan of the whole tree can tell."""
        return [each for each in self.given if not each.used and each.rule != KNOWN]

    def expired(self) -> list[Allowance]:
        """What allows nothing any more."""
        return [each for each in self.given if self._is_over(each)]

    def _by_file(self, finding: "Finding", path: bytes) -> "Allowance | None":
        candidates = self._at.get((finding.rule, path))
        if not candidates:
            return None
        made = self._fingerprints.get(finding.secret)
        if made is None:
            made = self._fingerprints[finding.secret] = fingerprint(finding.secret, self._salt)
        return self._first(candidates, made)

    def _first(self, candidates: "Iterable[Allowance]", made: str) -> "Allowance | None":
        for each in candidates:
            if each.fingerprint == made:
                each.used = True
                if not self._is_over(each):
                    return each
                self._note(each.line, f"the allowance ended on {each.until}")
        return None

    def _by_comment(self, finding: "Finding", comments: "dict[int, list[Comment]]") -> "Allowance | None":
        near = comments.get(finding.line, []) + [each for each in comments.get(finding.line - 1, []) if each.alone]
        for each in near:
            if each.rule == finding.rule != KNOWN and each.reason:
                return Allowance(each.rule, finding.path, reason=each.reason)
        for each in near:
            self.notes[f"line {each.line} of {_shown(finding.path)}: {_objection(each, finding)}"] = None
        return None

    def _is_over(self, each: Allowance) -> bool:
        return each.until != NONE and each.until < self._today

    def _note(self, line: int, text: str) -> None:
        self.notes[f"line {line} of {FILE.decode()}: {text}"] = None


def read(content: bytes, *, today: str) -> Allowances:
    """The allowances of a `.chronos-allow`; none of an empty one.

    In a hook `content` is what is staged. Raises Trouble naming the line and what would be right, never what it says.
    """
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if not content.strip():
        return Allowances(today=today)
    salt = _salt(lines[0])
    given = [_allowance(line.strip(), number) for number, line in enumerate(lines[1:], 2) if _says(line)]
    return Allowances(given, salt=salt, today=today)


def staged(*, today: str = "") -> Allowances:
    """The allowances of the staged file, which a commit is judged by. `today` is an ISO day, by default this one.

    Raises what `read` raises.
    """
    from datetime import date

    from chronos_secrets.scan import git

    content = git.output("cat-file", "blob", f":{FILE.decode()}", accepted=(128,))  # 128: there is none
    return read(content, today=today or date.today().isoformat())  # noqa: DTZ011  the day of the person who commits


def added(content: bytes, *, rule: str, path: bytes, secret: bytes, until: str, reason: str) -> bytes:
    """`content` (empty for a new file) with one more line. Raises Trouble where the file or the new line is wrong.

    With the rule `unreadable`, `secret` is ignored.
    """
    head, _, rest = content.partition(b"\n")
    if not content.strip():
        import os

        head, rest = b"%s %s %s" % (_NAME, _VERSION, os.urandom(_DIGITS // 2).hex().encode()), b""
    salt = _salt(head.removeprefix(b"\xef\xbb\xbf"))
    made = NONE if rule == UNREADABLE else fingerprint(secret, salt)
    line = b" ".join((rule.encode(), quoted(path), made.encode(), until.encode(), " ".join(reason.split()).encode()))
    whole = head + b"\n" + rest + (b"\n" if rest and not rest.endswith(b"\n") else b"") + line + b"\n"
    read(whole, today="")
    return whole


def fingerprint(secret: bytes, salt: bytes) -> str:
    """32 hexadecimal digits. Takes about 50 ms and 16 MB, on purpose; a scan asks only where rule and path fit."""
    import hashlib

    made = hashlib.scrypt(secret, salt=salt, n=2**14, r=8, p=1, maxmem=64 * 2**20, dklen=_DIGITS // 2)
    return made.hex()


# The file, line by line.


def _says(line: bytes) -> bool:
    line = line.strip()
    return bool(line) and not line.startswith(b"#")


def _wrong(number: int, message: str) -> Trouble:
    return Trouble(f"line {number} of {FILE.decode()}: {message}", hint=_HINT)


def _salt(head: bytes) -> bytes:
    fields = head.split()
    if len(fields) != 3 or fields[0] != _NAME:
        raise _wrong(1, f"the first line must be {_NAME.decode()} {_VERSION.decode()} and {_DIGITS} hexadecimal digits")
    if fields[1] != _VERSION:
        raise _wrong(1, "another version of chronos-secrets wrote this file; this one reads version 1")
    if not _is_digits(fields[2]):
        raise _wrong(1, f"the salt must be {_DIGITS} hexadecimal digits")
    return bytes.fromhex(fields[2].decode())


def _is_digits(field: bytes) -> bool:
    return len(field) == _DIGITS and _HEXADECIMAL.issuperset(field)


def _allowance(line: bytes, number: int) -> Allowance:
    rule, _, rest = line.partition(b" ")
    if not rule or not _RULE_LETTERS.issuperset(rule):
        raise _wrong(number, "it must begin with a rule, such as private-key")
    path, rest = _path(rest.lstrip(), number)
    made, until, reason, *_ = [*rest.split(None, 2), b"", b"", b""]
    if rule.decode() == UNREADABLE and made != NONE.encode():
        raise _wrong(number, f"what cannot be read has no fingerprint: write {NONE} after the path")
    if rule.decode() != UNREADABLE and not _is_digits(made):
        raise _wrong(number, f"the fingerprint, after the path, must be {_DIGITS} hexadecimal digits")
    if not _is_until(until):
        raise _wrong(number, f"the last day, after the fingerprint, must be YYYY-MM-DD or {NONE}")
    if not reason:
        raise _wrong(number, "a reason is missing at its end")
    text = reason.decode(errors="replace")
    return Allowance(rule.decode(), path, fingerprint=made.decode(), until=until.decode(), reason=text, line=number)


def _is_until(field: bytes) -> bool:
    if field == NONE.encode():
        return True
    from datetime import date

    try:
        return date.fromisoformat(field.decode("ascii")).isoformat() == field.decode()
    except ValueError:
        return False


_ESCAPES = {
    b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r", b'"': b'"', b"\\": b"\\",
}  # fmt: skip
_LETTERS = {raw[0]: b"\\" + letter for letter, raw in _ESCAPES.items()}


def quoted(path: bytes) -> bytes:
    """A path as it stands in the file: as it is where nothing could be mistaken, else in quotes as git writes it."""
    plain = path and not path.startswith(b'"') and path.decode(errors="surrogateescape").isprintable()
    if plain and b" " not in path:
        return path
    return b'"' + b"".join(_escaped(character) for character in path.decode(errors="surrogateescape")) + b'"'


def _escaped(character: str) -> bytes:
    raw = character.encode(errors="surrogateescape")
    if raw[0] in _LETTERS:
        return _LETTERS[raw[0]]
    return raw if character.isprintable() else b"".join(b"\\%03o" % byte for byte in raw)


def _path(text: bytes, number: int) -> tuple[bytes, bytes]:
    """The path at the beginning of a text, and what follows it."""
    if not text.startswith(b'"'):
        path, _, rest = text.partition(b" ")
        if not path:
            raise _wrong(number, "a path is missing after the rule")
        return path, rest
    made, at = bytearray(), 1
    while at < len(text) and text[at : at + 1] != b'"':
        raw, taken = _unescaped(text[at : at + 4], number) if text[at : at + 1] == b"\\" else (text[at : at + 1], 1)
        made += raw
        at += taken
    if at >= len(text) or not made:
        raise _wrong(number, "the quotes around the path do not end, or hold nothing")
    return bytes(made), text[at + 1 :]


def _unescaped(text: bytes, number: int) -> tuple[bytes, int]:
    """The byte that an escape at the beginning of `text` stands for, and how many bytes it takes."""
    if text[1:2] in _ESCAPES:
        return _ESCAPES[text[1:2]], 2
    digits = text[1:4]
    if len(digits) == 3 and all(48 <= digit <= 55 for digit in digits) and int(digits, 8) < 256:
        return bytes([int(digits, 8)]), 4
    raise _wrong(number, r"in the quotes around the path, a backslash stands before \ or a quote, or is \ooo")


def _objection(comment: "Comment", finding: "Finding") -> str:
    if finding.rule == KNOWN:
        return ONLY_INVENTORY
    if comment.rule != finding.rule:
        return f"the comment does not allow {finding.rule}, which was found"
    return f"write a reason after the rule: chronos: allow {finding.rule} REASON"


def _shown(path: bytes) -> str:
    from chronos_secrets.scan.report import printable

    return printable(path)
