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


def near(low: bytes, literal: bytes, pattern: Lazy, text: bytes | None = None) -> "list[re.Match[bytes]]":
    """The pattern in `text` (or `low`) wherever the literal stands in `low`: fast where the literal is rare."""
    text = low if text is None else text
    found, at = [], low.find(literal)
    while at >= 0:
        if match := pattern.match(text, at):
            found.append(match)
        at = low.find(literal, at + 2)
    return found
