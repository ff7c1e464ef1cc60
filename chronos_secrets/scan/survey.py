"""What one scan saw: the findings that stand, those that are allowed, what could not be read, how much it was."""

from chronos_secrets.scan.found import Finding, Unread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from chronos_secrets.scan.allow import Allowance, Allowances
    from chronos_secrets.scan.engine import Scanner
    from chronos_secrets.scan.found import Match, Piece

_FAR = 10_000  # bytes before a finding on its line; beyond, characters are not counted
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.")
_LONGEST_NAME = 32


class Row:
    """A finding, what allows it (or None), the name that stands before it, and its column in characters.

    `name` has only letters and `_-.`: with rule and path it tells findings apart without a hash of what they hold.
    `character` is None on a very long line.
    """

    __slots__ = ("allowance", "character", "finding", "name")

    def __init__(self, piece: "Piece", match: "Match") -> None:
        self.finding = Finding(piece, match)
        self.allowance: Allowance | None = None
        far = self.finding.column - 1
        before = piece.text[match.start - min(far, _FAR) : match.start]
        self.character = len(before.decode(errors="replace")) + 1 if far <= _FAR else None
        self.name = _name(before)


class Survey:
    """Takes in pieces, one after the other, and keeps what was found. Raises nothing of its own."""

    def __init__(self, scanner: "Scanner") -> None:
        self.standing: list[Row] = []
        self.allowed: list[Row] = []
        self.unread: list[Unread] = []
        self.unread_allowed: list[tuple[Unread, Allowance]] = []
        self.files = self.bytes = 0
        self._scanner = scanner
        self._last: bytes | None = None

    def look(
        self, piece: "Piece | Unread", allowances: "Allowances", path_of: "Callable[[bytes], bytes]" = bytes
    ) -> list[Row]:
        """Look into a piece and keep what it holds; the new rows are returned, for what a caller knows beside it.

        `path_of` tells the file's path from the top of the repository by `piece.path`; by default it is the same.
        """
        if isinstance(piece, Unread):
            self._unread(piece, allowances, path_of(piece.path))
            return []
        self.files += piece.path != self._last
        self.bytes += len(piece.text)
        self._last = piece.path
        rows = [Row(piece, match) for match in self._scanner.matches(piece.text, piece.path)]
        if rows:
            by = dict(allowances.split(piece, [row.finding for row in rows], path_of(piece.path))[1])
            for row in rows:
                row.allowance = by.get(row.finding)
                (self.allowed if row.allowance else self.standing).append(row)
        return rows

    def _unread(self, unread: Unread, allowances: "Allowances", path: bytes) -> None:
        by = allowances.covers(unread, path)
        if by:
            self.unread_allowed.append((unread, by))
        else:
            self.unread.append(unread)


def _name(before: bytes) -> str:
    stop = len(before)
    while stop and before[stop - 1] not in _LETTERS:
        stop -= 1
    start = stop
    while start and before[start - 1] in _LETTERS and stop - start < _LONGEST_NAME:
        start -= 1
    return before[start:stop].decode()
