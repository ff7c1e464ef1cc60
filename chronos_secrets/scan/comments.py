"""`chronos: allow RULE REASON` in the comments of a text."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from chronos_secrets.scan.found import Piece

_WORDS = b"chronos: allow "
_SIGNS = (b"#", b"//", b"/*", b"*", b"--", b";", b"%", b"!", b"(*", b"{-", b"..", b"rem", b"dnl")
_CLOSERS = (b"*/", b"-->", b"#}", b"%}", b"*)", b"-}", b"--}}", b"}}", b"?>")
_BEFORE, _AFTER = 200, 400  # bytes of a line around the words that are looked at: a line may have 10 MB


class Comment:
    """One such comment. alone: nothing else stands on its line. reason: empty where somebody forgot it."""

    __slots__ = ("alone", "line", "reason", "rule")

    def __init__(self, rule: str, reason: str, line: int, *, alone: bool) -> None:
        self.rule, self.reason, self.line, self.alone = rule, reason, line, alone


def inline(piece: "Piece") -> "dict[int, list[Comment]]":
    """The comments of a piece that allow something, by their lines.

    Of a commit a piece holds only the lines that it adds: a comment on the line above counts where it is added, too.
    """
    found: dict[int, list[Comment]] = {}
    text = piece.text
    at = text.find(_WORDS)
    while at >= 0:
        before = text[max(0, at - _BEFORE) : at].rpartition(b"\n")[2].strip()
        sign = next((sign for sign in _SIGNS if before.lower().endswith(sign)), None)
        if sign is not None:
            line, alone = piece.line_at(at), not before[: -len(sign)].strip(b"<!-{(/*# \t")
            said = text[at + len(_WORDS) : at + len(_WORDS) + _AFTER].partition(b"\n")[0]
            found.setdefault(line, []).append(_comment(said, line, alone=alone))
        at = text.find(_WORDS, at + 1)
    return found


def _comment(said: bytes, line: int, *, alone: bool) -> Comment:
    said = said.partition(_WORDS)[0].strip()
    for closer in _CLOSERS:
        said = said.partition(closer)[0].strip()
    rule, _, reason = said.decode(errors="replace").partition(" ")
    return Comment(rule, reason.strip(), line, alone=alone)
