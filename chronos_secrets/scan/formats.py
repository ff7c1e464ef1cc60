"""Tokens that say themselves what they are: provider formats, private keys, JSON web tokens.

Most of a text cannot hold a token: it has no run of twenty token characters. Those runs are found with a few operations
on the text as one big number, the literals of all formats are looked for in the distinct runs alone, and a pattern is
compiled only when its literal was met.
"""

import re
from bisect import bisect_right
from itertools import accumulate

from chronos_secrets.scan import checks
from chronos_secrets.scan.found import CERTAIN, Match
from chronos_secrets.scan.providers import TABLE, Shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

RULES: dict[str, tuple[str, str, str]] = {rule: (what, level, source) for rule, what, level, source, _ in TABLE} | {
    "private-key": ("private key (PEM, OpenSSH, OpenPGP, PuTTY)", CERTAIN, "RFC 7468, RFC 1421, RFC 9580"),
    "jwk": ("private member of a JSON Web Key", CERTAIN, "RFC 7517, RFC 7518"),
}
"""Rule id to (what it finds, the level of most of its finds, where the format is documented)."""

_WINDOW = 256 * 1024  # bytes looked at together: the intermediate numbers stay in the processor's cache
_RUN = 20  # bytes; the shortest token, an AWS access key id
_CONTEXT = 80  # bytes left of a run, for literals that another sign cuts from it
_QUOTES, _JOINTS = (b'"', b"'"), (b"-", b"_")
_IS_TOKEN_BYTE = bytes((chr(code).isalnum() and code < 128) or code in b"_-~+%" for code in range(256))
_SIGNS_TO_SPACES = bytes(code if chr(code).isalnum() and code < 128 else 32 for code in range(256))
_IDENTIFIER = b"abcdefghijklmnopqrstuvwxyz_-"
# What ends in a letter or digit and still leaves what follows a word of its own: escapes in strings and URLs, colours.
_ESCAPE = rb"(?:\\[nrtbf]|%[0-9A-Fa-f]{2}|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\x1b\[[0-9;]{0,5}m)\Z"
_AFTER_ESCAPE = {b"n": 1, b"r": 1, b"t": 1, b"b": 1, b"f": 1, b"x": 3, b"u": 5}  # by the letter that begins the run
_LONGEST_ESCAPE = 9
_CLASS = "%[hHdluawb]"
_CLASSES = {
    "%h": "0-9a-f", "%H": "0-9A-Fa-f", "%d": "0-9", "%l": "0-9a-z", "%u": "0-9A-Z", "%a": "0-9A-Za-z",
    "%w": "0-9A-Za-z_-", "%b": "0-9A-Za-z+/",
}  # fmt: skip


class _Rule:
    """One literal of one shape, ready to be looked for; its pattern is compiled when the literal was met."""

    __slots__ = ("_compiled", "level", "literal", "name", "shape", "what")

    def __init__(self, name: str, what: str, level: str, literal: bytes, shape: Shape) -> None:
        self.name, self.what, self.level, self.literal, self.shape = name, what, level, literal, shape
        self._compiled: re.Pattern[bytes] | None = None

    @property
    def pattern(self) -> "re.Pattern[bytes]":
        if self._compiled is None:
            self._compiled = re.compile(_expanded(self.shape.pattern).encode())
        return self._compiled

    def match(self, text: bytes, at: int) -> Match | None:
        """The token whose literal stands at `at`, if there is one."""
        shape = self.shape
        if not shape.before:
            return self._match(text, at, at + len(self.literal))
        tries = (self._match(text, at - size, at - size) for size in shape.before if size <= at)
        return next((match for match in tries if match), None)

    def _match(self, text: bytes, start: int, pattern_at: int) -> Match | None:
        found = self.pattern.match(text, pattern_at)
        if found is None or not (self.shape.bare or _begins(text, start, self.shape.apart)):
            return None
        if not self.shape.encoded and not checks.looks_generated(found[1] if found.re.groups else found[0]):
            return None
        start, end = found.span(1) if self.shape.bare else (start, found.end())
        token = text[start:end]
        verdict = self.shape.check(token) if self.shape.check else (self.level, "")
        if verdict is None:
            return None
        level, note = verdict
        return Match(self.name, level, start, end, token, f"{self.what}; {note}" if note else self.what)


def _expanded(pattern: str) -> str:
    """The pattern in full, and behind it the condition that the token ends there."""
    last = re.search(r"%(\w)[^%]*\Z", pattern)
    pattern += "(?!%w)" if last and last[1] == "w" else "(?!%a)"
    parts = re.split(r"(\[[^]]*\])", pattern)
    inside = [re.sub(_CLASS, lambda found: _CLASSES[found[0]], part) for part in parts[1::2]]
    outside = [re.sub(_CLASS, lambda found: f"[{_CLASSES[found[0]]}]", part) for part in parts[::2]]
    return "".join(text for pair in zip(outside, [*inside, ""], strict=True) for text in pair)


_RULES = [
    _Rule(rule, what, level, literal, shape)
    for rule, what, level, _, shapes in TABLE
    for shape in shapes
    for literal in shape.literals
]
_WITHIN = [rule for rule in _RULES if rule.shape.before and not rule.shape.outside and not rule.shape.apart]
_OUTSIDE = {
    cut.encode(): [rule for rule in _RULES if cut in rule.shape.outside or (cut == "/" and rule.shape.slashed)]
    for cut in "./=$"
}
_ANYWHERE = [rule for rule in _RULES if rule.shape.anywhere]
_BY_START: dict[bytes, list[_Rule]] = {}
"""The other rules, by the two bytes that their literal begins with."""
for _rule in _RULES:
    if _rule.shape.apart or not (_rule.shape.before or _rule.shape.outside or _rule.shape.anywhere):
        _BY_START.setdefault(_rule.literal[:2], []).append(_rule)


def find(text: bytes, path: bytes) -> list[Match]:  # noqa: ARG001  every layer is called alike
    """Every token of a known format in `text`, at every level; one that two rules recognise is told by both."""
    found: dict[tuple[str, int], Match] = {}
    keys = False
    for start in range(0, len(text), _WINDOW):
        window = text[start : start + _WINDOW + _CONTEXT] if len(text) > _WINDOW else text
        runs = _runs(window)
        contexts, is_member = _surroundings(window, runs)
        keys = keys or is_member
        for match in _matches(text, window, start, runs, contexts):
            found.setdefault((match.rule, match.start), match)
    return [*_blocks(text, jwk=keys), *found.values()]  # a token inside a block is told as part of it


def _blocks(text: bytes, *, jwk: bool) -> "Iterator[Match]":
    """Private keys, that stretch over lines."""
    blocks = b"PRIVATE KEY" in text or b"Private-Lines:" in text
    if blocks or (jwk and b"kty" in text):
        from chronos_secrets.scan import pem

        yield from pem.find(text) if blocks else ()
        yield from pem.find_jwk(text) if jwk else ()


def _runs(window: bytes) -> dict[bytes, list[int]]:
    """The runs of at least `_RUN` token characters, and where each stands. Identifiers in lower case are left out.

    Each byte of a big number says whether a token character stands there; five times, all of it is combined with
    itself shifted: then it says whether 2, 4, 8, 16, 20 of them follow each other. This is 4 times as fast as splitting
    at white space and 10 times as fast as a regular expression.
    """
    number = int.from_bytes(window.translate(_IS_TOKEN_BYTE), "little")
    for shift in (8, 16, 32, 64, 32):
        number &= number >> shift
    mask = number.to_bytes(len(window), "little")
    found: dict[bytes, list[int]] = {}
    start = mask.find(1)
    while start >= 0:
        end = mask.find(0, start)  # there is one: no run of twenty begins at the last byte
        run = window[start : end + _RUN - 1]
        if run.translate(None, _IDENTIFIER):
            found.setdefault(run, []).append(start)
        start = mask.find(1, end)
    return found


def _surroundings(window: bytes, runs: dict[bytes, list[int]]) -> tuple[dict[bytes, dict[bytes, list[int]]], bool]:
    """The bytes left of runs, by the sign that cuts them off; and whether a run may be a member `k` or `d`."""
    contexts: dict[bytes, dict[bytes, list[int]]] = {}
    member = False
    for places in runs.values():
        for at in places:
            before = window[at - 1 : at]
            if before in _OUTSIDE:
                left = max(0, at - _CONTEXT)
                contexts.setdefault(before, {}).setdefault(window[left : at + 8], []).append(left)
            elif before in _QUOTES and not member:
                name = window[max(0, at - 8) : at]
                member = b"d" in name or b"k" in name
    return contexts, member


def _matches(
    text: bytes,
    window: bytes,
    base: int,
    runs: dict[bytes, list[int]],
    contexts: dict[bytes, dict[bytes, list[int]]],
) -> "Iterator[Match]":
    """What the rules find in and beside the runs of a window that begins at `base`."""
    beside = (_met(_OUTSIDE[cut], places_of) for cut, places_of in contexts.items())
    for met in (_beginning(runs), _met(_WITHIN, runs), _met(_ANYWHERE, {window: [0]}), *beside):
        for rule, at in met:
            match = rule.match(text, base + at)
            if match:
                yield match


def _beginning(runs: dict[bytes, list[int]]) -> "Iterator[tuple[_Rule, int]]":
    """The rules whose literal begins a word of a run, and where in the window."""
    for run, places in runs.items():
        for offset in _word_starts(run):
            for rule in _BY_START.get(run[offset : offset + 2], ()):
                if run.startswith(rule.literal, offset):
                    for at in places:
                        yield rule, at + offset


def _word_starts(run: bytes) -> list[int]:
    """Where in a run a token may begin: at its start, behind a sign, behind an escape (`_begins` looks closer)."""
    first = run[:1]
    starts = [0, run.find(b"m", 0, 6) + 1 if first.isdigit() else _AFTER_ESCAPE.get(first, 0)]
    at = 0
    for word in run.translate(_SIGNS_TO_SPACES).split(b" "):
        at += len(word) + 1
        starts.append(at)
        if run[at - 1 : at] == b"%":
            starts.append(at + 2)
    return starts


def _met(rules: list[_Rule], places_of: dict[bytes, list[int]]) -> "Iterator[tuple[_Rule, int]]":
    """Where the rules' literals stand in the stretches, as offsets in the window."""
    joined = b"\n".join(places_of)
    starts = list(accumulate(map(len, places_of), lambda at, size: at + size + 1, initial=0))
    places = list(places_of.values())
    for rule in rules:
        hit = joined.find(rule.literal)
        while hit >= 0:
            index = bisect_right(starts, hit) - 1
            for at in places[index]:
                yield rule, at + hit - starts[index]
            hit = joined.find(rule.literal, hit + 1)


def _begins(text: bytes, at: int, apart: bool) -> bool:
    """Whether a word begins at `at`, and if `apart`, not behind a hyphen or underscore either."""
    before = text[at - 1 : at] if at else b""
    if not before.isalnum():
        return not apart or before not in _JOINTS
    return re.search(_ESCAPE, text[max(0, at - _LONGEST_ESCAPE) : at]) is not None
