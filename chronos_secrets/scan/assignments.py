"""Secrets that only their place gives away: `password = "…"` in its many spellings.

A text is looked at only where one of `names.MARKS` stands and something is given to it. There the name is read
(`names.kind`), then what gives it a value (`grammar`), then the value (`values.strength`). Where no grammar fits,
`nearby` looks at the literals that follow on the line and asks more of them.
"""

from chronos_secrets.scan import calls, commands, grammar, names, nearby, places, statements, values
from chronos_secrets.scan.found import Match
from chronos_secrets.scan.patterns import Lazy

# What must follow a mark for a look at it to be worth while: the rest of a name, then a sign that something is given.
_FOLLOWED = Lazy(
    rb"""[\w$.-]{0,60}+\\{0,2}(?:["'`][\])]{0,2}|[\])]{0,2})[ \t?]{0,24}"""
    rb"""(?:[=:,(>!~|]|</|\{\sget|\.\w|\r?\n[ \t]{0,40}["']?value["']?[ \t]?:|[ \t]["']"""
    rb"""|(?:\[\]byte|[\w.<>\[\]&*|']{1,30}+(?:\s[\w.]{1,20})?)[ \t]{0,4}:?=|["'][^\n]{0,80}value|[ \t][^\n]{0,80}>)"""
)
_RULES = {
    names.PASSWORD: "assigned-password",
    names.SECRET: "assigned-secret",
    names.KEY: "assigned-key",
    names.WEAK: "assigned-secret",
}
_NAME_BYTES = b"etaoinsrhldcumfpgwybvkxjqz_.-$0123456789ETAOINSRHLDCUMFPGWYBVKXJQZ"  # the frequent ones first
_LONG_AFTER_KEY = Lazy(rb"""keys?(?=[^\w$.-])[^\n]{1,40}?[a-z0-9+/_-]{16}|keys?[\w$.-]""")
_MATERIAL = Lazy(rb"(?s).{1,80}?[A-Za-z0-9+/_-]{16}")  # what a bare key must be given, on this line or the next
_REST_OF_NAME = Lazy(rb"[\w$.-]{1,80}")
_LONG_VALUE = 200  # bytes; in a shorter one names are looked for, too: "host=a;password=b"
_LONGEST_HALF = 80  # bytes of a name before and after its mark


def find(text: bytes, path: bytes) -> list[Match]:
    """Every secret in `text` that its place gives away. `path` tells whether values may stand without quotes."""
    if places.is_lock(path):
        return []
    found: list[Match] = []
    low = text.lower()
    bare = grammar.may_be_bare(path)
    followed = _FOLLOWED.compiled().match
    done = -1
    marks = _marks(low)
    for at in marks:
        if at >= done and not _is_mere_key(low, at):
            strict = followed(low, at) is not None
            if strict or bare or nearby.is_worth(low, at):
                left, right = _name_around(text, at)
                matches, done = _named(text, left, right, bare=bare, strict=strict)
                found += matches
    found += calls.find(text, low, path, marks)
    for layer in (places, statements, commands):
        found += layer.find(text, low, path, marks)
    return _without_texts(found) if places.is_translation(path) else found


def _marks(low: bytes) -> list[int]:
    """Where a name that speaks of a secret may stand."""
    return sorted(match.start() for mark in names.MARKS for match in mark.finditer(low))


def _is_mere_key(low: bytes, at: int) -> bool:
    """Whether the name is just `key` and nothing long follows: in programs that is by far the most frequent mark."""
    return low.startswith(b"key", at) and low[at - 1] not in _NAME_BYTES and not _LONG_AFTER_KEY.match(low, at)


def _name_around(text: bytes, at: int) -> tuple[int, int]:
    before = text[max(0, at - _LONGEST_HALF) : at]
    name = _REST_OF_NAME.match(text, at)
    right = name.end() if name else at
    while right > at and text[right - 1] in b".-":
        right -= 1
    return at - len(before) + len(before.rstrip(_NAME_BYTES)), right


def _named(text: bytes, left: int, right: int, *, bare: bool, strict: bool) -> tuple[list[Match], int]:
    """The secrets of the name at [left, right), and where to look for the next name."""
    name = text[left:right].strip(b".-$")
    if text[max(0, left - 2) : left] == b"::":  # a type of a namespace
        return [], right
    kind, how = names.role(name)
    if not kind or (kind == names.KEY and not _MATERIAL.match(text, right)):
        return [], right
    if how == names.OWN:
        span = grammar.value(text, left, right, bare=bare, name=name) if strict else None
    else:
        span, bare = grammar.before(text, left) if how == names.GETTER else None, False
    if not span:
        return nearby.find(text, left, right, kind, bare=bare), right
    found = _judged(text, span, kind, name)
    end = max(right, span[1])
    return found or nearby.find(text, left, end, kind, bare=False), end if end - right > _LONG_VALUE else right


def _judged(text: bytes, span: tuple[int, int], kind: str, name: bytes) -> list[Match]:
    secret = text[span[0] : span[1]]
    quoted = text[span[0] - 1 : span[0]] in grammar.QUOTES
    strength = values.strength(secret, kind, quoted=quoted, name=name)
    return values.match(
        _RULES[kind], span, secret, strength, f"a value that looks generated is given to {_shown(name)}"
    )


def _shown(name: bytes) -> str:
    return "'" + name[-40:].decode("ascii", "replace") + "'"


def _without_texts(found: list[Match]) -> list[Match]:
    """In a file of translations the word beside `password` is what a user reads, in any language."""
    return [match for match in found if not match.secret.isalpha()]
