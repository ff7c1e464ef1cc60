"""What is new in a file: the lines that it did not have before, with what is needed to understand them."""

from bisect import bisect_left

from chronos_secrets.scan import content
from chronos_secrets.scan.found import Piece, Unread
from chronos_secrets.scan.texts import opens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST_LINES, _MOST_BYTES = 150_000, 12 << 20
_MOST_SEARCHES = 20
_KEYS = ((b"PRIVATE KEY", b"-----END"), (b"PuTTY-User-Key-File-", b"Private-MAC:"))
_LONGEST_KEY = 200  # lines; an RSA key of 16,384 bits has 197


class Before:
    """The lines of what stood there before, of any file and in any wrapping. Indentation does not count.

    It holds a limited number. Beyond that lines count as new: they are scanned once more, none is passed over. With
    `moved_is_new` a line also counts as new that only moved or was indented, which is three times as fast to tell.
    """

    __slots__ = ("_bytes", "_lines", "_moved_is_new", "_pieces")

    def __init__(self, *, moved_is_new: bool = False) -> None:
        self._moved_is_new = moved_is_new
        self._pieces: list[Piece] = []
        self._bytes = 0
        self._lines: set[bytes] | None = None

    def add(self, found: "Iterable[Piece | Unread]") -> None:
        """Note the lines of these pieces."""
        for piece in found:
            if self._bytes > _MOST_BYTES:
                return
            if isinstance(piece, Piece):
                self._bytes += len(piece.text)
                self._pieces.append(piece)

    def __bool__(self) -> bool:
        return bool(self._pieces)

    def new(self, text: bytes) -> tuple[int, list[bytes], list[int]]:
        """Which lines did not stand there: the index of a line of `text`, the lines from there on, and those indices.

        The lines are at least the new ones and two before the first.
        """
        begin, end, lines_before = self._unlike(text)
        above = _lines_up(text, begin, 2)
        lines = text[above:end].split(b"\n")
        base, skipped = text.count(b"\n", 0, above), text.count(b"\n", above, begin)
        unlike = [index for index, line in enumerate(lines) if line not in lines_before and index >= skipped]
        if self._moved_is_new and len(self._pieces) == 1:
            return base, lines, [base + index for index in unlike]
        searched = self._lines is None and len(unlike) <= _MOST_SEARCHES and len(self._pieces) == 1
        stood = self._is_found if searched else self._all().__contains__
        return base, lines, [base + index for index in unlike if (bare := lines[index].strip()) and not stood(bare)]

    def _unlike(self, text: bytes) -> tuple[int, int, "set[bytes] | tuple[()]"]:
        """The part of `text`, in whole lines, that is not simply the same at its beginning and end; and the lines that
        stood there, where they are known cheaply.
        """
        if len(self._pieces) != 1:
            return 0, len(text), ()
        old = self._pieces[0].text
        same = _common(old, text)
        same_end = _common_end(old, text, min(len(old), len(text)) - same)
        begin = text.rfind(b"\n", 0, same) + 1
        end = text.find(b"\n", len(text) - same_end)
        old_end = len(old) if end < 0 else len(old) - (len(text) - end)
        gone = {*old[begin:old_end].split(b"\n")} if old_end > begin else ()
        return begin, len(text) if end < 0 else end, gone

    def _is_found(self, bare: bytes) -> bool:
        """Whether a line of the only piece is this one. Where that takes long, all its lines are noted."""
        text, at = self._pieces[0].text, -1
        for _ in range(_MOST_SEARCHES):
            at = text.find(bare, at + 1)
            if at < 0:
                return False
            end = text.find(b"\n", at)
            if text[text.rfind(b"\n", 0, at) + 1 : len(text) if end < 0 else end].strip() == bare:
                return True
        return bare in self._all()

    def _all(self) -> set[bytes]:
        if self._lines is None:
            self._lines = set()
            for piece in self._pieces:
                self._lines.update([line.strip() for line in piece.text.split(b"\n")])
                if len(self._lines) > _MOST_LINES:
                    break
        return self._lines

    def decoded(self) -> "Before":
        """What stood there in base64."""
        before = Before()
        for piece in self._pieces:
            before.add(content.unwrapped(piece))
        return before


def _lines_up(text: bytes, begin: int, count: int) -> int:
    """The beginning of the line that stands so many lines before the one that begins at `begin`."""
    for _ in range(count):
        begin = text.rfind(b"\n", 0, max(begin - 1, 0)) + 1
    return begin


def _common(one: bytes, two: bytes) -> int:
    """How many bytes two texts have in common at their beginning, or up to 63 fewer."""
    low, high = 0, min(len(one), len(two))
    if one[:high] == two[:high]:
        return high
    while high - low > 64:
        middle = (low + high) // 2
        if one[low:middle] == two[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _common_end(one: bytes, two: bytes, most: int) -> int:
    """How many bytes they have in common at their end, or up to 63 fewer, and `most` at most."""
    low, high, last, last_two = 0, most, len(one), len(two)
    if one[last - high :] == two[last_two - high :]:
        return high
    while high - low > 64:
        middle = (low + high) // 2
        if one[last - middle : last - low] == two[last_two - middle : last_two - low]:
            low = middle
        else:
            high = middle
    return low


def pieces(found: "Iterable[Piece | Unread]", before: Before) -> "Iterator[Piece | Unread]":
    """Of what stands in a file (`content.plain`) what is new, and what the base64 in that holds that is new.

    What cannot be read is told, new or not.
    """
    decoded: Before | None = None
    for piece in found:
        if isinstance(piece, Unread):
            yield piece
        elif only := new_lines(piece, before):
            yield only
            for inner in content.unwrapped(only):
                decoded = decoded or before.decoded()
                if new := inner if isinstance(inner, Unread) else new_lines(inner, decoded):
                    yield new


def new_lines(piece: Piece, before: Before) -> Piece | None:
    """The lines of a piece that are new, with their numbers; stretches of them are kept apart by an empty line.

    A key of which one line is new counts as new with all its lines, and so does the line that names a new value:
    without them nobody could tell what the new lines are.
    """
    if not before:
        return piece if piece.text.strip() else None
    base, lines, new = before.new(piece.text)
    if not new:
        return None
    if keys := {*_keys(piece.text, new)} if any(_may_be_in_a_key(lines[each - base]) for each in new) else set():
        base, lines = 0, piece.text.split(b"\n")
    names = [*_names(lines, base, new)]
    only = _only(piece, lines, base, sorted({*new, *names, *keys}) if names or keys else new)
    return only if only.text.strip() else None


def _names(lines: list[bytes], base: int, new: list[int]) -> "Iterator[int]":
    """The lines before a stretch of new ones that name what stands in it."""
    before = base - 1
    for index in new:
        above = index - 1
        while above > before and index - above <= 2 and opens(lines[above - base]):
            yield above
            above -= 1
        before = index


def _may_be_in_a_key(line: bytes) -> bool:
    return len(line) >= 24 and b" " not in line.strip()


def _keys(text: bytes, new: list[int]) -> "Iterator[int]":
    """The lines of each private key of which a line is new."""
    for begins, ends in _KEYS:
        line = counted = 0
        at = text.find(begins)
        while at >= 0 and (end := text.find(ends, at)) >= 0:
            line += text.count(b"\n", counted, at)
            counted = at
            last = line + text.count(b"\n", at, end)
            place = bisect_left(new, line)
            if place < len(new) and new[place] <= last and last - line <= _LONGEST_KEY:
                yield from range(line, last + 1)
            at = text.find(begins, end + len(b"-----END PRIVATE KEY-----"))


def _only(piece: Piece, lines: list[bytes], base: int, wanted: list[int]) -> Piece:
    kept: list[bytes] = []
    numbers: list[int] = []
    start = before = wanted[0]
    for index in (*wanted[1:], -1):
        if index != before + 1:
            if kept:
                kept.append(b"")
                numbers.append(0)
            kept += lines[start - base : before + 1 - base]
            there = range(start, before + 1)
            numbers += (
                [piece.numbers[each] for each in there] if piece.numbers else [piece.first + each for each in there]
            )
            start = index
        before = index
    return Piece(piece.path, b"\n".join(kept), via=piece.via, numbers=numbers)
