"""Secret values in a stream of bytes, replaced by `<masked>` before anybody sees them.

Pure: no file, clock, network or chance; whoever reads the stream says when it has been quiet.

A value is found however its bytes were cut into writes, and in the spellings of `spellings`. It is not found where
something stands between its bytes: a colour, a line that was wrapped, a column of a hex dump.
"""

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

LEAST = 4
"""Values of fewer characters are not masked: their bytes are everywhere."""
MASK = b"<masked>"

_LEAST_LINE = 8  # characters of one line of a value that counts as a secret of its own
_MOST_LINES = 200
_HEAD = 4  # bytes by which a spelling is looked for at the end of a text
_GLIMPSE = 3  # bytes of an unfinished value that may be shown while nothing follows

_Span = tuple[int, int]


class Mask:
    """Masks one stream. Every byte that may still become part of a value is held back until it is clear."""

    def __init__(self, spellings: Iterable[bytes]) -> None:
        """`spellings` as the function of that name gives them, of all values together."""
        self._spellings = tuple(spellings)
        self._beginnings = frozenset(s[:count] for s in self._spellings for count in range(1, min(_HEAD, len(s))))
        shortest = min(map(len, self._spellings), default=0)
        self._glimpse = max(1, min(_GLIMPSE, shortest // 4))
        self._held = b""
        self._told = 0  # how many of the held bytes were already let out, as they are or masked

    @property
    def holds(self) -> bool:
        """Whether something is held back."""
        return len(self._held) > self._told

    def feed(self, data: bytes) -> bytes:
        """What can be shown once `data` has come, too."""
        text = self._held + data
        spans = self._spans(text)
        unfinished = self._unfinished(text)
        keep = next((start for start, stop in spans if start < unfinished < stop), unfinished)
        shown, told = self._written(text, spans, keep)
        self._held, self._told = text[keep:], max(0, told - keep)
        return shown

    def glimpse(self) -> bytes:
        """What may be shown of what is held, because nothing has followed for a while.

        Complete values, masked, and the first bytes of an unfinished one: at most three and at most a quarter of the
        shortest spelling, so that a prompt that happens to end like that appears. The rest of the value, should it
        follow, is still masked.
        """
        end = min(self._unfinished(self._held) + self._glimpse, len(self._held))
        shown, self._told = self._written(self._held, self._spans(self._held), end)
        return shown

    def end(self) -> bytes:
        """All that is still held: nothing follows any more, so an unfinished value stays one."""
        shown, _ = self._written(self._held, self._spans(self._held), len(self._held))
        self._held, self._told = b"", 0
        return shown

    def _spans(self, text: bytes) -> list[_Span]:
        """Where values stand in `text`, in order; what overlaps is one span."""
        found = []
        for spelling in self._spellings:
            at = text.find(spelling)
            while at >= 0:
                stop = at + len(spelling)
                found.append((at, stop))
                last = text.rfind(spelling, at + 1, stop + len(spelling) - 1)  # of those that overlap with this one
                at = last if last >= 0 else text.find(spelling, stop)
        merged: list[_Span] = []
        for start, stop in sorted(found):
            if merged and start < merged[-1][1]:
                merged[-1] = merged[-1][0], max(stop, merged[-1][1])
            else:
                merged.append((start, stop))
        return merged

    def _unfinished(self, text: bytes) -> int:
        """Where the longest end of `text` begins that a value begins with; the length of `text` if there is none."""
        size = len(text)
        first = size
        for count in range(1, min(_HEAD, size + 1)):
            if text[-count:] in self._beginnings:
                first = size - count
        for spelling in self._spellings:
            head = spelling[:_HEAD]
            at = text.find(head, max(0, size - len(spelling) + 1))
            while 0 <= at < first:
                if spelling.startswith(text[at:]):
                    first = at
                    break
                at = text.find(head, at + 1)
        return first

    def _written(self, text: bytes, spans: list[_Span], end: int) -> tuple[bytes, int]:
        """The text from where it was told to `end`, masked, and where it is told to now."""
        parts = []
        at = self._told
        for start, stop in spans:
            if start >= end:
                break
            if stop > at:
                parts += [text[at:start], MASK]
                at = stop
        parts.append(text[at:end])
        return b"".join(parts), max(at, end)


def is_maskable(value: bytes) -> bool:
    """Whether a value is long enough to be masked."""
    return len(value.strip().decode(errors="replace")) >= LEAST


def spellings(values: Iterable[bytes]) -> tuple[bytes, ...]:
    """Every way of writing `values` that is masked; none for values that are too short (`is_maskable`).

    The bytes themselves without white space around them; with the line ends that a terminal writes; each longer line
    of a value of several; as programs print an environment (JSON, Python, shells); in URLs; in base64, also where it
    stands inside of what was encoded (as in `Authorization: Basic`).
    """
    found: set[bytes] = set()
    for value in values:
        if is_maskable(value):
            core = value.strip()
            found |= {core, *_line_ends(core), *_lines(core), *_base64(core), *_quoted(core)}
    return tuple(sorted(spelling for spelling in found if len(spelling) >= LEAST))


def _line_ends(value: bytes) -> Iterable[bytes]:
    plain = value.replace(b"\r\n", b"\n")
    return plain, plain.replace(b"\n", b"\r\n"), value.replace(b"\n", b"\r\n")


def _lines(value: bytes) -> Iterable[bytes]:
    """The lines of a value: programs indent them, and each recovery code is one. The ends of a PEM are no secret."""
    lines = [line.strip() for line in value.splitlines()]
    if not 1 < len(lines) <= _MOST_LINES:
        return ()
    return (line for line in lines if len(line) >= _LEAST_LINE and not line.startswith(b"-----"))


def _base64(value: bytes) -> Iterable[bytes]:
    """The characters that are wholly the value's, for each of the three places it can have among other bytes."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + value)
        ours = encoded[(0, 2, 3)[before] : (before + len(value)) * 8 // 6]
        yield ours
        yield ours.translate(bytes.maketrans(b"+/", b"-_"))


def _quoted(value: bytes) -> Iterable[bytes]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return ()
    ways = (
        json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1],
        text.replace("'", "'\\''"), re.sub(r'([$`"\\])', r"\\\1", text),
        quote(text, safe=""), quote(text), quote(text, safe="!'()*"), quote_plus(text),
    )  # fmt: skip
    return (way.encode() for way in ways)
