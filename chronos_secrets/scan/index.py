"""Making the index of known values: values in, the bytes of a file out. What it holds, and how it is read: known.py."""

import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from chronos_secrets.scan import known, sealed
from chronos_secrets.scan.forms import forms
from chronos_secrets.scan.windows import WINDOW, plane, tables


class Value(NamedTuple):
    """A value to be found. Its `repr` must never be printed."""

    content: bytes
    what: str  # completes "found: ...": the value of "Database/DB" (db)
    line: int = 0  # its number (from 1) within a longer value whose line it is; 0 for a whole value


class Source(NamedTuple):
    """What an index is made from, beside the values."""

    vault: str  # path of the vault file
    stamp: str  # `sealed.stamp_of` the file with just these values; "" if that is not certain
    state: bytes  # what decides whether the index is current
    made: int  # seconds since 1970


def build(
    key: bytes, nonce: bytes, source: Source, values: Iterable[Value], left: Iterable[tuple[str, str]] = ()
) -> bytes:
    """The file's content. Of two values with a needle in common the first one is named.

    `nonce` are 16 bytes that no other file of this key has. `left` are the values that are not looked for: of which
    entry, and why. Values are given without white space around them; a needle of less than eight bytes is left out.
    """
    names: dict[str, int] = {}
    needles: dict[bytes, _Needle] = {}
    whole = 0
    for value in values:
        owner = names.setdefault(value.what, len(names))
        whole += not value.line
        for form in forms(value.content, _core(value.content), line=bool(value.line)):
            if form.needle not in needles and (found := anchor(form.needle, form.at)):
                needles[form.needle] = _Needle(*found, owner, form.name, value.line)
    body = _body(key, nonce, needles, (source.made, whole), _texts(source, names, left))
    return sealed.seal(key, nonce, source.state, body)


class _Needle(NamedTuple):
    """What is known of a needle beside itself."""

    window: bytes
    offset: int
    owner: int
    form: int
    line: int


def anchor(needle: bytes, wanted: int = -1) -> tuple[bytes, int] | None:
    """The window by which a needle is searched and its offset in it; None for a needle that cannot have one.

    The window at `wanted`, if it has no white space. Else one without white space where there is one: in the longest
    stretch, in its middle unless that is monotonous. Else the end of the longest word that white space follows.
    """
    window = needle[wanted : wanted + WINDOW] if wanted >= 0 else b""
    if len(window) == WINDOW and window.split() == [window]:
        return window, wanted
    stretches = _stretches(needle)
    word, start = max(stretches, key=lambda stretch: len(stretch[0]), default=(b"", 0))
    if len(word) >= WINDOW:
        at = _richest(word)
        return word[at : at + WINDOW], start + at
    ended = stretches if needle[-1:].isspace() else stretches[:-1]
    if len(needle) < WINDOW or not ended:
        return None
    word, start = max(ended, key=lambda stretch: len(stretch[0]))
    return (word + known.FILL)[:WINDOW], start


def _core(content: bytes) -> int:
    """Where the bytes begin that the anchors of all forms are taken from: a character, if it is text."""
    _, at = anchor(content) or (b"", 0)
    while at and content[at] & 0xC0 == 0x80:
        at -= 1
    return at


def _stretches(needle: bytes) -> list[tuple[bytes, int]]:
    """Its words, and where they begin."""
    words = needle.split()
    if len(words) == 1 and len(words[0]) == len(needle):
        return [(needle, 0)]
    found, at = [], 0
    for word in words:
        at = needle.index(word, at)
        found.append((word, at))
        at += len(word)
    return found


def _richest(word: bytes) -> int:
    """Where the window with the most different bytes begins; the middle is good enough with six."""
    last = len(word) - WINDOW
    middle = last // 2
    if len(set(word[middle : middle + WINDOW])) >= 6:
        return middle
    return max(range(0, last + 1, max(1, last // 8)), key=lambda at: len(set(word[at : at + WINDOW])))


def _texts(source: Source, names: Iterable[str], left: Iterable[tuple[str, str]]) -> tuple[bytes, bytes, bytes]:
    lists = ([source.vault, source.stamp], list(names), [text for pair in left for text in pair])
    facts, owners, unsought = map(sealed.packed, lists)
    return facts, owners, unsought


def _body(
    key: bytes, nonce: bytes, needles: dict[bytes, _Needle], counted: tuple[int, int], texts: tuple[bytes, bytes, bytes]
) -> bytes:
    hashes, order = _hashes(tables(key), [each.window for each in needles.values()])
    records = [_record(key, needle, each) for needle, each in needles.items()]
    ends = any(each.window.endswith(b"\n") for each in needles.values())
    numbers = (*counted, len(records), int(ends), *map(len, texts), 0)
    sections = {
        b"sizes": b"".join(number.to_bytes(8, "little") for number in numbers),
        b"hashes": hashes,
        b"records": b"".join(records[number] for number in order),
        **dict(zip((b"facts", b"names", b"left"), texts, strict=True)),
    }
    return b"".join(sealed.masked(key, nonce, name, content) for name, content in sections.items())


def _hashes(planes: Sequence[list[bytes]], windows: list[bytes]) -> tuple[bytes, list[int]]:
    """The hashes of the anchors in ascending order (all numbers of 24 bits, then all fourth bytes), and that order.

    All at once: the windows, one behind the other, are a text of which every eighth window is wanted.
    """
    if not windows:
        return b"", []
    joined = b"".join(windows)
    *low, high = (plane(table, joined)[::WINDOW] for table in planes)
    numbers = [int.from_bytes((*each, 0), sys.byteorder) for each in zip(*low, strict=True)]
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    ascending = b"".join(numbers[each].to_bytes(4, sys.byteorder) for each in order)
    return ascending + bytes(high[each] for each in order), order


def _record(key: bytes, needle: bytes, about: _Needle) -> bytes:
    """See `known.RECORD`."""
    parts = ((about.offset, 4), (len(needle), 4), (about.owner, 3), (about.form, 1), (about.line, 3), (0, 1))
    return b"".join(number.to_bytes(size, "little") for number, size in parts) + sealed.keyed(key, b"needle", needle)
