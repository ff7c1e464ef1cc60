"""What the scanner looks at and what it finds. Plain classes: `dataclasses` and `typing` would cost a hook 10 ms."""

from bisect import bisect_right

CERTAIN, LIKELY, POSSIBLE = "certain", "likely", "possible"
"""How sure a rule is. `possible` is looked for and shown only with `--level paranoid`."""


class Trouble(Exception):
    """Something foreseen that stops a scan: one sentence, and what to do next. A hook that meets it blocks."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Piece:
    """A stretch of text to be scanned: UTF-8 (or bytes near enough to it), with the lines that it came from.

    path: the file in the repository or on disk, as bytes. via: how the text was reached, "" for the file as it is,
    else words such as "utf-16", "zip: a/b.txt", "base64". numbers: the line number of each line of `text`, where they
    do not simply count up from `first` (added lines of a commit; a decoded blob, all of whose lines are one).
    """

    __slots__ = ("_starts", "first", "numbers", "path", "text", "via")

    def __init__(
        self, path: bytes, text: bytes, *, via: str = "", first: int = 1, numbers: "list[int] | None" = None
    ) -> None:
        self.path, self.text, self.via, self.first, self.numbers = path, text, via, first, numbers
        self._starts: list[int] | None = None

    def line_at(self, offset: int) -> int:
        """The line number (from 1) in the file of the byte at `offset` of the text."""
        index = self._index(offset)
        return self.numbers[index] if self.numbers else self.first + index

    def column_at(self, offset: int) -> int:
        """The column (in bytes, from 1) of the byte at `offset`."""
        return offset - self.text.rfind(b"\n", 0, offset)

    def _index(self, offset: int) -> int:
        if self._starts is None:
            starts, at, find = [0], 0, self.text.find
            while (at := find(b"\n", at) + 1) > 0:
                starts.append(at)
            self._starts = starts
        return bisect_right(self._starts, offset) - 1


class Match:
    """What a rule found in one text. `secret` is for masking and fingerprints alone: it is never printed.

    start, end: byte offsets of the secret itself in the text. reason: half a sentence for a person, without the value.
    """

    __slots__ = ("end", "level", "reason", "rule", "secret", "start")

    def __init__(self, rule: str, level: str, start: int, end: int, secret: bytes, reason: str) -> None:  # noqa: PLR0917  a record
        self.rule, self.level, self.start, self.end, self.secret, self.reason = rule, level, start, end, secret, reason

    def __repr__(self) -> str:
        return f"<{self.rule} at {self.start}>"


class Finding:
    """A match with its place. `secret` is never printed; commit, date and in_head are set in a history or a push."""

    __slots__ = (
        "column", "commit", "date", "in_head", "last", "level", "line", "path", "reason", "rule", "secret", "via",
    )  # fmt: skip

    def __init__(self, piece: Piece, match: Match) -> None:
        self.path, self.via = piece.path, piece.via
        self.line, self.column = piece.line_at(match.start), piece.column_at(match.start)
        self.last = piece.line_at(max(match.start, match.end - 1))
        self.rule, self.level, self.reason, self.secret = match.rule, match.level, match.reason, match.secret
        self.commit, self.date, self.in_head = "", "", True

    def __repr__(self) -> str:
        return f"<{self.rule} in {self.path!r}:{self.line}>"


class Unread:
    """Something that could not be looked into, and why: in a hook it blocks, as a finding of the rule `unreadable`."""

    __slots__ = ("path", "reason", "via")

    def __init__(self, path: bytes, reason: str, via: str = "") -> None:
        self.path, self.reason, self.via = path, reason, via
