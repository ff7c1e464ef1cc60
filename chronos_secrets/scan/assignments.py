"""Secrets that only their place gives away: `password = "…"` in its many spellings.

A text is looked at only where one of the words of `names.MARKS` stands and something is given to it. There the name is
read (`names.kind`), then what gives it a value (`grammar`), then the value (`values.strength`).
"""

from chronos_secrets.scan import calls, commands, grammar, names, places, statements, values
from chronos_secrets.scan.found import Match
from chronos_secrets.scan.patterns import Lazy

# What must follow a mark for a look at it to be worth while: the rest of a name, then a sign that something is given.
_FOLLOWED = Lazy(
    rb"""[\w$.-]{0,60}\\{0,2}(?:["'`][\])]{0,2}|[\])]{0,2})[ \t?]{0,24}"""
    rb"""(?:[=:,(>!~|]|</|\.\w|\r?\n[ \t]{1,40}["']?value["']?[ \t]?:|[ \t]["']"""
    rb"""|(?:\[\]byte|[\w.<>\[\]&*|]{1,30})[ \t]{0,4}:?=|["'][^\n]{0,80}value|[ \t][^\n]{0,80}>)"""
)
_RULES = {
    names.PASSWORD: "assigned-password",
    names.SECRET: "assigned-secret",
    names.KEY: "assigned-key",
    names.WEAK: "assigned-secret",
}
_NAME_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$.-")
_LONGEST_HALF = 80  # bytes of a name before and after its mark


def find(text: bytes, path: bytes) -> list[Match]:
    """Every secret in `text` that its place gives away. `path` tells whether values may stand without quotes."""
    if places.is_lock(path):
        return []
    found: list[Match] = []
    low = text.lower()
    bare = grammar.may_be_bare(path)
    done = -1
    for at in _marks(low):
        if at >= done:
            left, done = _name_around(text, at)
            found += _named(text, left, done, bare=bare)
    for layer in (places, statements, commands):
        found += layer.find(text, low)
    return found if bare else found + calls.find(text, low)


def _marks(low: bytes) -> list[int]:
    """Where a name that speaks of a secret may stand."""
    found: set[int] = set()
    followed = _FOLLOWED.compiled().match
    for mark in names.MARKS:
        at = low.find(mark)
        while at >= 0:
            if followed(low, at):
                found.add(at)
            at = low.find(mark, at + len(mark))
    return sorted(found)


def _name_around(text: bytes, at: int) -> tuple[int, int]:
    left = right = at
    while left and text[left - 1] in _NAME_BYTES and at - left < _LONGEST_HALF:
        left -= 1
    while right < len(text) and text[right] in _NAME_BYTES and right - at < _LONGEST_HALF:
        right += 1
    return left, left + len(text[left:right].rstrip(b".-"))


def _named(text: bytes, left: int, right: int, *, bare: bool) -> list[Match]:
    name = text[left:right].strip(b".-$")
    if text[max(0, left - 2) : left] == b"::":  # a type of a namespace
        return []
    kind = names.kind(name)
    if kind:
        span = grammar.value(text, left, right, bare=bare, name=name)
    else:
        kind = names.kind_of_getter(name)
        span = grammar.before(text, left) if kind else None
    if span is None or kind is None:
        return []
    secret = text[span[0] : span[1]]
    quoted = text[span[0] - 1 : span[0]] in grammar.QUOTES
    strength = values.strength(secret, kind, quoted=quoted, name=name)
    return values.match(
        _RULES[kind], span, secret, strength, f"a value that looks generated is given to {_shown(name)}"
    )


def _shown(name: bytes) -> str:
    return "'" + name[-40:].decode("ascii", "replace") + "'"
