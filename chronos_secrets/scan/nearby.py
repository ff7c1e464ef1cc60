"""Secrets that stand near a name without a grammar that ties them to it: `os.getenv("PASSWORD") or "…"`, a default, a
list, `return "…"` in `def password()`, `password is …` in prose and comments.

Being near is a weak sign, so the value must be a strong one: one clean word, as random as beside a name of its own
that says `secret`, and no digest, which more often stands for something else.
"""

from chronos_secrets.scan import names, values
from chronos_secrets.scan.found import Match
from chronos_secrets.scan.patterns import Lazy, line_end, line_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

RULES = {names.PASSWORD: "password-nearby", names.SECRET: "secret-nearby"}
_REASON = "a value that looks generated stands beside a word for a secret"
_CLEAR = {names.PASSWORD: 1.2, names.SECRET: 1.5}
_LEAST = {names.PASSWORD: 7, names.SECRET: 12}
_MOST_LITERALS = 6
_MOST_ITEMS = 100
_REACH = 120  # bytes after the name
_LONGEST_LINE = 1000  # a longer one is minified, and everything is near everything

_AHEAD = Lazy(  # a literal on the line, or at the beginning of the next
    rb"""[\w$.-]{0,60}+(?:(?:[^\n"'`;]{0,60}+["'`]){1,3}[^\s"'`]{6,128}["'`]"""
    rb"""|[^\n"'`;]{0,60}[({:=\\+,>][ \t]{0,4}\r?\n[ \t]{0,40}+(?:return[ \t]{1,3}|\+[ \t]?)?["'`][^\s"'`]{6})"""
)
_LITERAL = Lazy(rb"""(["'`])(?:\\?["'])?([A-Za-z0-9!$^~][\w!@#$%^&*+=/.~?-]{5,127})(?:\\?["'])?\1""")
_KEY_BEFORE = Lazy(rb"""(\w+)["'`]?\s{0,3}[:=]>?\s{0,3}(?:\w{1,20}\()?$""")  # name = "…", "name": f("…")
_VALUE_WORDS = frozenset(b"default value val initial fallback def defaultvalue string".split())
_PLACE = Lazy(rb"^\w{1,12}/\w{1,12}(?:/|$)|/$|^[A-Z]{2,6}\d{1,5}$|^\w+=|^\w+\.\w+$")
_INSTEAD = (b"||", b"??", b" or ", b"default", b"?:", b"return", b"DEFAULT")
_BELOW = Lazy(
    rb"""[^\n"'`;]{0,60}[({:=\\+,>][ \t]{0,4}\r?\n[ \t]{0,40}(?:return[ \t]{1,3}|\+[ \t]?)?"""
    rb"""(["'`])([A-Za-z0-9!$^~][\w!@#$%^&*+=/.~?-]{5,127})\1[ \t]{0,4}(?=[;)+}]|\r?\n|$)"""
)
_ITEMS_BELOW = Lazy(rb"""["']?:[ \t]{0,4}\r?\n(?=[ \t]{0,40}-[ \t])""")
_ITEM = Lazy(rb"""[ \t]{0,40}-[ \t]{1,4}(["']?)([^\s"'#:]{4,128})\1[ \t]{0,4}(?:\r?\n|$)""")
_SAID = Lazy(  # **Password**: `…`, password is …, | password | … |
    rb"""["'`*_)\]]{0,4}[ \t]{0,20}(?:(is|are|was|ist|est|es|=|:|-{1,2}|->|=>|\||\d)[ \t]{1,20}|(?=[`"'])|(?<=[ \t]))"""
    rb"""["'`*(<\[]{0,3}([A-Za-z0-9!$^~][\w!@#$%^&*+=/.~?-]{5,63})["'`*)>\],;.]{0,4}(?=[ \t]{0,4}(\r?\n|$)|\s)"""
)
_DIRECTIVE = Lazy(rb"""[ \t]{1,20}(["']?)([^\s"'`<>|()\[\]{},;]{5,64})\1[ \t]{0,4}(?=\r?\n|$)""")  # requirepass …
_COMMENT = (b"#", b"//", b"/*", b"*", b"--", b";", b"<!--", b"rem ", b"'")
_VERBS = frozenset((b"pass", b"auth", b"token", b"tokens", b"secret", b"secrets", b"credential", b"credentials"))


def is_worth(low: bytes, at: int) -> bool:
    """Whether a literal follows the mark at `at` that could be a secret: a cheap test before the name is read."""
    return _AHEAD.match(low, at) is not None


def find(text: bytes, left: int, right: int, kind: str, *, bare: bool) -> list[Match]:
    """Clear secrets near the name at [left, right) of this kind."""
    is_verb = text[left:right] == b"pass" and text[right : right + 1] == b" "
    if kind not in RULES or is_verb or _is_in_long_line(text, left):
        return []
    found = _literals(text, right, kind) or _items(text, right, kind)
    if not found and (text[left:right] not in _VERBS or text[right : right + 1] in (b":", b"=")):
        found = _directive(text, left, right, kind) if bare else []
        found = found or (_said(text, right, kind) if bare or _is_comment(text, left) else [])
    return found


def _is_in_long_line(text: bytes, at: int) -> bool:
    return text.rfind(b"\n", max(0, at - _LONGEST_LINE), at) < 0 and at > _LONGEST_LINE


def _literals(text: bytes, right: int, kind: str) -> list[Match]:
    start = right + (text[right : right + 1] in (b'"', b"'", b"`"))
    end = line_end(text, start, _REACH)
    found: list[Match] = []
    for count, literal in enumerate(_LITERAL.finditer(text, start, end)):
        between = text[start : literal.start()]
        if count >= _MOST_LITERALS or b";" in between:
            break
        if not _is_named_otherwise(text, between, literal):
            found += _clear(literal.span(2), literal.group(2), kind, instead=any(sign in between for sign in _INSTEAD))
    if not found and (below := _BELOW.match(text, start)):
        found = _clear(below.span(2), below.group(2), kind, instead=True)
    return found


def _is_named_otherwise(text: bytes, between: bytes, literal: "re.Match[bytes]") -> bool:
    """Whether the literal is a key, a subscript, or given to another name."""
    after = text[literal.end() : literal.end() + 3].lstrip()[:1]
    if after in (b":", b"=") or (after == b"]" and between.endswith(b"[") and between[-2:-1].isalnum()):
        return True
    key = _KEY_BEFORE.search(between[-40:])
    return key is not None and key.group(1).lower() not in _VALUE_WORDS and not names.kind(key.group(1))


def _items(text: bytes, right: int, kind: str) -> list[Match]:
    """The entries of a YAML list."""
    begun = _ITEMS_BELOW.match(text, right)
    found: list[Match] = []
    at, count = begun.end() if begun else len(text), 0
    while count < _MOST_ITEMS and at < len(text) and (item := _ITEM.match(text, at)):
        found += _clear(item.span(2), item.group(2), kind, instead=True)
        at, count = item.end(), count + 1
    return found


def _is_comment(text: bytes, left: int) -> bool:
    line = text[line_start(text, left, 100) : left].lstrip().lower()
    return line.startswith(_COMMENT) or b" # " in line or b" // " in line


def _directive(text: bytes, left: int, right: int, kind: str) -> list[Match]:
    """A line of nothing but a name and its value."""
    said = _DIRECTIVE.match(text, right)
    if not said or text[line_start(text, left, 100) : left].strip(b" \t#;"):
        return []
    return _clear(said.span(2), said.group(2), kind, instead=True)


def _said(text: bytes, right: int, kind: str) -> list[Match]:
    said = _SAID.match(text, right)
    if not said:
        return []
    sign, value, ends = said.group(1) or b"", said.group(2).rstrip(b".*_"), said.group(3) is not None
    given = sign in (b":", b"=") and ends and text[right : right + 2].strip(b" ")[:1] in (b":", b"=")
    mixed = sum(48 <= code <= 57 for code in value) > 1 and not value.isdigit() and b"_" not in value
    if not given and not (mixed and (ends or said.group(1) or text[said.start(2) - 1] in b"\"'`*(")):
        return []
    return _clear((said.start(2), said.start(2) + len(value)), value, kind, instead=False)


def _clear(span: tuple[int, int], value: bytes, kind: str, *, instead: bool) -> list[Match]:
    least = 7 if instead else _LEAST[kind]
    if len(value) < least or (not instead and (values.is_digest(value) or _PLACE.search(value))):
        return []
    strength = values.strength(value, names.SECRET, quoted=True, name=b"")
    is_clear = strength >= (1 if instead else _CLEAR[kind])
    return values.match(RULES[kind], span, value, strength, _REASON) if is_clear else []
