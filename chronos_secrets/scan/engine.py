"""One text against every rule: the order of the layers, and which of several finds of one place is told."""

from bisect import bisect_left

from chronos_secrets.scan import assignments, formats
from chronos_secrets.scan.found import POSSIBLE, Finding, Match, Piece

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Scanner:
    """Finds secrets in texts: values of the vault's index, tokens of known formats, assignments."""

    def __init__(self, *, known: "Sequence[Callable[[bytes], list[Match]]]" = (), paranoid: bool = False) -> None:
        """`known` are the `find` of each index that this machine has."""
        self._known = known
        self._paranoid = paranoid

    def matches(self, text: bytes, path: bytes = b"") -> list[Match]:
        """All matches in `text`, in its order. `path` tells what kind of file it is."""
        found = [match for find in self._known for match in find(text)]
        found += formats.find(text, path)
        found += assignments.find(text, path)
        if not self._paranoid:
            found = [match for match in found if match.level != POSSIBLE]
        return _first_of_each_place(found)

    def findings(self, piece: Piece) -> list[Finding]:
        """All findings in a piece."""
        return [Finding(piece, match) for match in self.matches(piece.text, piece.path)]


def _first_of_each_place(found: list[Match]) -> list[Match]:
    """Of matches that overlap, the one that an earlier layer found: known before format before assignment."""
    kept: list[Match] = []
    for match in found:
        at = bisect_left(kept, match.start, key=_start)
        if (at and kept[at - 1].end > match.start) or (at < len(kept) and kept[at].start < match.end):
            continue
        kept.insert(at, match)
    return kept


def _start(match: Match) -> int:
    return match.start
