"""A keyed hash of every eight bytes of a text, by the standard library's loops in C.

Work is done for all places of a text at once: a substitution of bytes is `translate`, an exclusive-or of two texts is
that of two long numbers. The hash of a window is that of its first half, exclusive-or that of its second half after a
substitution; three doublings from one byte to eight, instead of eight look-ups. Each plane gives one byte of hash and
has secret tables of its own, which come from the key.
"""

import sys

from chronos_secrets.scan import sealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW = 8
PLANES = 4
_TABLES = 4  # of a plane: for one byte, and for each doubling


def tables(key: bytes) -> "list[list[bytes]]":
    """The secret tables of each plane: one for a byte, and one for each doubling of what is hashed."""
    numbers = range(PLANES * _TABLES * 256 // sealed.BLOCK)
    content = b"".join([sealed.keyed(key, b"tables", bytes([number]), sealed.BLOCK) for number in numbers])
    every = [content[at : at + 256] for at in range(0, len(content), 256)]
    return [every[at : at + _TABLES] for at in range(0, len(every), _TABLES)]


def plane(table: "list[bytes]", text: bytes) -> bytes:
    """One byte of hash for each window in `text`, which has at least one."""
    hashes = text.translate(table[0])
    for step, width in ((1, 1), (2, 2), (3, 4)):
        size = len(hashes) - width
        first, second = hashes[:size], hashes.translate(table[step])[width:]
        both = int.from_bytes(first, "little") ^ int.from_bytes(second, "little")
        hashes = both.to_bytes(size, "little")
    return hashes


def hashed(chosen: "list[list[bytes]]", text: bytes) -> bytearray:
    """The hash of each window by the chosen planes, four bytes a window; `text` has at least one."""
    hashes = bytearray(4 * (len(text) - WINDOW + 1))
    for number, table in enumerate(chosen):
        hashes[number::4] = plane(table, text)
    return hashes


def windows(text: bytes, hashes: bytearray, number: int) -> "Iterator[bytes]":
    """The windows of `text` whose hash is `number`."""
    wanted = number.to_bytes(4, sys.byteorder)
    at = hashes.find(wanted)
    while at >= 0:
        if at % 4 == 0:
            yield text[at // 4 : at // 4 + WINDOW]
        at = hashes.find(wanted, at + 1)
