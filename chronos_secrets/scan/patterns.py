"""Regular expressions that are compiled when they are first used: all of them together cost a hook 15 ms."""

import re
from sys import maxsize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Lazy:
    """A pattern for bytes, with the methods of a compiled one that are needed here."""

    __slots__ = ("_compiled", "_flags", "pattern")

    def __init__(self, pattern: bytes, flags: "re.RegexFlag | int" = 0) -> None:
        self.pattern, self._flags = pattern, flags
        self._compiled: re.Pattern[bytes] | None = None

    def compiled(self) -> "re.Pattern[bytes]":
        """The compiled pattern."""
        if self._compiled is None:
            self._compiled = re.compile(self.pattern, self._flags)
        return self._compiled

    def match(self, text: bytes, at: int = 0, end: int = maxsize) -> "re.Match[bytes] | None":
        """As `re.Pattern.match`."""
        return self.compiled().match(text, at, end)

    def search(self, text: bytes, at: int = 0, end: int = maxsize) -> "re.Match[bytes] | None":
        """As `re.Pattern.search`."""
        return self.compiled().search(text, at, end)

    def finditer(self, text: bytes, at: int = 0, end: int = maxsize) -> "Iterator[re.Match[bytes]]":
        """As `re.Pattern.finditer`."""
        return self.compiled().finditer(text, at, end)


def line_start(text: bytes, at: int, most: int) -> int:
    """Where the line of the byte at `at` begins, or `most` bytes before it: a line may be 10 MB long."""
    least = max(0, at - most)
    return max(least, text.rfind(b"\n", least, at) + 1)


def line_end(text: bytes, at: int, most: int) -> int:
    """Where the line of the byte at `at` ends, or `most` bytes after it."""
    last = min(len(text), at + most)
    found = text.find(b"\n", at, last)
    return last if found < 0 else found


def near(low: bytes, literal: bytes, pattern: Lazy, text: bytes | None = None) -> "list[re.Match[bytes]]":
    """The pattern in `text` (or `low`) wherever the literal stands in `low`: fast where the literal is rare."""
    text = low if text is None else text
    found, at = [], low.find(literal)
    while at >= 0:
        if match := pattern.match(text, at):
            found.append(match)
        at = low.find(literal, at + 2)
    return found
