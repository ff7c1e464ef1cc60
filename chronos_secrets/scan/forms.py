"""How one value looks in files: as it is, and in every encoding in which programs and people write it down.

Each form is exact: what a URL, JSON, HTML, a shell or a configuration file makes of the value by its own rules, in the
variants in which real encoders differ. Of base64 there are the three alignments that a value can have within something
longer, cut to the characters that depend on the value alone.

Each form comes with the place in it of the same few bytes of the value, its core. Anchors are taken from there: what an
index and its key tell a thief about a value is then told of these bytes alone, however many forms the value has.
"""

import base64

from chronos_secrets.scan.known import FORMS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_RAW, _URL, _JSON, _HTML, _HEX, _BASE64, _BASE64_URL, _QUOTED, _LATIN, _JOINED = range(len(FORMS))


class Form:
    """One needle: how the value is written, and where in that its core begins."""

    __slots__ = ("at", "name", "needle")

    def __init__(self, needle: bytes, name: int, at: int) -> None:
        """`name` is the place of the form's name in FORMS."""
        self.needle, self.name, self.at = needle, name, at


def forms(value: bytes, core: int, *, line: bool = False) -> "Iterator[Form]":
    """Each form of a value whose core begins at byte `core`; some have the same needle.

    `line` leaves out what encodes a text as a whole (hex, base64): for one line of a longer value.
    """
    yield Form(value, _RAW, core)
    if not line:
        yield from _whole(value, core)
    if not _PLAIN.issuperset(value):
        yield from _tabled(value, core)
        if not value.isascii():
            yield from _beyond_ascii(value, core)


# --- the value as a whole ----------------------------------------------------------------------------------------

_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _whole(value: bytes, core: int) -> "Iterator[Form]":
    digits = value.hex().encode()
    yield Form(digits, _HEX, 2 * core)
    yield Form(digits.upper(), _HEX, 2 * core)
    for before, first in ((0, 0), (1, 2), (2, 3)):
        whole = 8 * (before + len(value)) // 6
        own = base64.b64encode(bytes(before) + value)[first:whole]  # without characters that other bytes have a part in
        at = -(-8 * (before + core) // 6) - first
        yield Form(own, _BASE64, at)
        yield Form(own.translate(_TO_URL_SAFE), _BASE64_URL, at)


# --- byte by byte ------------------------------------------------------------------------------------------------

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
_PLAIN = frozenset(_LETTERS)  # what no text format writes in another way
_JSON_BASE = {
    **{chr(code): f"\\u{code:04x}" for code in range(32)},
    "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\",
}  # fmt: skip


def _table(escapes: dict[str, str]) -> list[bytes]:
    """What stands for each byte."""
    every = [bytes([code]) for code in range(256)]
    for character, written in escapes.items():
        every[ord(character)] = written.encode()
    return every


def _percent(safe: str, *, pattern: str = "%{:02X}", space: str = "") -> list[bytes]:
    """Percent-encoding of all but letters, digits, `-_.` and what is `safe`."""
    kept = {*_LETTERS, *safe.encode()}
    table = [bytes([code]) if code in kept else pattern.format(code).encode() for code in range(256)]
    if space:
        table[32] = space.encode()
    return table


def _before(backslashed: str, mark: str = "\\") -> dict[str, str]:
    return {character: mark + character for character in backslashed}


_TABLES: tuple[tuple[int, list[bytes]], ...] = (
    (_URL, _percent("~")),  # Python's quote(safe="")
    (_URL, _percent("~/")),  # quote
    (_URL, _percent("~", space="+")),  # quote_plus, PHP's urlencode but for ~
    (_URL, _percent("*", space="+")),  # Java's URLEncoder, a browser's form
    (_URL, _percent("~!*'()")),  # encodeURIComponent
    (_URL, _percent("~!*'();,/?:@&=+$#")),  # encodeURI
    (_URL, _percent("~$&+,;=")),  # Go's url.UserPassword
    (_URL, _percent("~!$%&'()*+,")),  # a user's name or password in a browser's URL
    (_URL, _percent("~", pattern="%{:02x}")),
    (_URL, _percent("!*()", pattern="%{:02x}", space="+")),  # .NET's UrlEncode
    (_JSON, _table(_JSON_BASE)),
    (_JSON, _table({**_JSON_BASE, "/": "\\/"})),  # PHP
    (_JSON, _table({**_JSON_BASE, **{c: f"\\u{ord(c):04x}" for c in "<>&"}})),  # Go, Rails
    (_JSON, _table({**_JSON_BASE, **{c: f"\\u{ord(c):04x}" for c in "<>&='"}})),  # Gson
    (_JSON, _table({**_JSON_BASE, **{c: f"\\u{ord(c):04X}" for c in "<>&'+`\""}})),  # .NET
    (_HTML, _table({"&": "&amp;", "<": "&lt;", ">": "&gt;"})),
    (_HTML, _table({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})),
    (_HTML, _table({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})),
    (_HTML, _table({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})),
    (_HTML, _table({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#039;"})),  # PHP
    (_HTML, _table({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})),  # XML
    (_HTML, _table({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"})),  # Jinja
    (_HTML, _table({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;", "+": "&#43;"})),  # Go
    (_QUOTED, _table({"'": "'\\''"})),  # a shell's word between single quotes
    (_QUOTED, _table({"'": "'\"'\"'"})),  # the same by Python's shlex
    (_QUOTED, _table({"'": "''"})),  # YAML, SQL
    (_QUOTED, _table({'"': '""'})),  # CSV
    (_QUOTED, _table({**_before("\\'"), "\n": "\\n", "\r": "\\r", "\t": "\\t"})),  # Python, JavaScript
    (_QUOTED, _table(_before('\\"'))),
    (_QUOTED, _table({**_before('\\"$'), "\n": "\\n", "\r": "\\r"})),  # compose
    (_QUOTED, _table(_before('\\"$`'))),  # a shell's word between double quotes, systemd
    (_QUOTED, _table(_before("\t !\"#$&'()*;<>?[\\]^`{|}~"))),  # a shell's word without quotes
    (_QUOTED, _table(_before("\\"))),
    (_QUOTED, _table(_before("\\:"))),  # .pgpass
    (_QUOTED, _table(_before("\\:=#!"))),  # Java's properties
    (_QUOTED, _table({"$": "$$"})),  # compose, make
    (_QUOTED, _table({"%": "%%"})),  # systemd, Python's configparser
    (_JOINED, _table({" ": ""})),  # shown in groups, pasted as one word
)


_CHANGED = [frozenset(code for code in range(256) if table[code] != bytes([code])) for _, table in _TABLES]


def _tabled(value: bytes, core: int) -> "Iterator[Form]":
    used = frozenset(value)
    for (name, table), changed in zip(_TABLES, _CHANGED, strict=True):
        if not used.isdisjoint(changed):
            before = b"".join(map(table.__getitem__, value[:core]))
            yield Form(before + b"".join(map(table.__getitem__, value[core:])), name, len(before))


# --- beyond ASCII ------------------------------------------------------------------------------------------------


def _beyond_ascii(value: bytes, core: int) -> "Iterator[Form]":
    """The JSON and HTML forms again, with escapes and references for what is not ASCII; and Latin-1."""
    try:
        parts = value[:core].decode(), value[core:].decode()
    except UnicodeDecodeError:
        return
    others = {ord(character) for part in parts for character in part if not character.isascii()}
    for name, table in _TABLES:
        for pattern in _BEYOND.get(name, ()):
            escapes = {code: _escaped(code, pattern) for code in others}
            before, after = (_translated(part, table).translate(escapes).encode() for part in parts)
            yield Form(before + after, name, len(before))
    if all(code < 256 for code in others):
        before, after = (part.encode("latin-1") for part in parts)
        yield Form(before + after, _LATIN, len(before))


def _translated(text: str, table: list[bytes]) -> str:
    return b"".join(map(table.__getitem__, text.encode())).decode()


_BEYOND = {_JSON: ("\\u{:04x}", "\\u{:04X}"), _HTML: ("&#{};", "&#x{:x};", "&#x{:X};")}


def _escaped(code: int, pattern: str) -> str:
    """A character by its number; JSON writes one beyond the first 65,536 as two halves."""
    if code < 0x10000 or "\\" not in pattern:
        return pattern.format(code)
    high, low = divmod(code - 0x10000, 0x400)
    return pattern.format(0xD800 + high) + pattern.format(0xDC00 + low)
