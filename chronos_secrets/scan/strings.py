"""What strings(1) finds: the printable stretches of bytes that are no text, at some three nanoseconds per byte."""

from itertools import chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHORTEST = 8
"""Characters. Shorter stretches are chance: random bytes have one of 8 every 4,000."""

_HELD = 4096
_PRINTABLE = bytes(range(32, 127)) + b"\t"
_NARROW = bytes(65 if byte in _PRINTABLE else 32 for byte in range(256))
_WIDE = bytes(65 if byte in _PRINTABLE else 48 if byte == 0 else 32 for byte in range(256))
_LINE_ENDS = (b"\n", b"\r\n", b"\n\0", b"\r\0\n\0", b"\0\n", b"\0\r\0\n")


def stretches(
    blocks: "Iterable[bytes]", *, wide: bool | None = None, line: int = 1
) -> "Iterator[tuple[bytes, list[int]]]":
    """The printable stretches of 8 characters and more, a line each, with the number of the line they stand in.

    Characters of one byte (ASCII) and of two (UTF-16). Stretches that do not follow each other line by line are kept
    apart by an empty line (number 0). `wide`: only those of two bytes, or only the others. `line`: the number of the
    first line.
    """
    held = b""
    for block in chain(blocks, (None,)):
        data = held + (block or b"")
        done = len(data) if block is None else _finished(data)
        text, numbers = _of(data[:done], line, wide)
        if text:
            yield text, numbers
        held = data[done:]
        line += data.count(b"\n", 0, done)


def _of(data: bytes, line: int, wide: bool | None) -> tuple[bytes, list[int]]:
    found: list[bytes] = []
    numbers: list[int] = []
    counted = before = 0
    for start, end in _places(data, wide):
        line += data.count(b"\n", counted, start)
        counted = start
        if found and data[before:start] not in _LINE_ENDS:
            found.append(b"")
            numbers.append(0)
        found.append(data[start:end].replace(b"\0", b""))
        numbers.append(line)
        before = end
    return b"\n".join(found), numbers


def _places(data: bytes, wide: bool | None) -> list[tuple[int, int]]:
    places: list[tuple[int, int]] = []
    if wide is not True:
        places += _narrow(data)
    if wide is not False and b"\0" in data:
        places += _wide(data)
        places.sort()
    return places


def _narrow(data: bytes) -> "Iterator[tuple[int, int]]":
    shape, run = data.translate(_NARROW), b"A" * SHORTEST
    at = shape.find(run)
    while at >= 0:
        end = shape.find(b" ", at)
        end = len(shape) if end < 0 else end
        yield at, end
        at = shape.find(run, end)


def _wide(data: bytes) -> "Iterator[tuple[int, int]]":
    shape, run = data.translate(_WIDE), b"A0" * SHORTEST
    at = shape.find(run)
    while at >= 0:
        end = at + len(run)
        for step in (b"A0" * 512, b"A0"):
            while shape.startswith(step, end):
                end += len(step)
        yield at, end
        at = shape.find(run, end)


def _finished(data: bytes) -> int:
    """How much of a block is told at once: a stretch that its end may cut waits for the next (but for a long one)."""
    tail = data[-_HELD:]
    stretch = tail[len(tail.rstrip(_PRINTABLE + b"\0")) :]
    if len(stretch) == _HELD:
        stretch = stretch[stretch.rfind(b" ") + 1 :]
    return len(data) - len(stretch)
