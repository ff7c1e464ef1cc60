"""Whether what was found in a history is still there: in the files of HEAD, whatever commit brought it."""

from chronos_secrets.scan import content, git
from chronos_secrets.scan.found import Finding, Piece

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MESSAGE = "message"
"""How `via` begins where the text of a commit or a tag was looked at."""


def mark(findings: "Iterable[Finding]") -> None:
    """Set `in_head` of each finding: its file in HEAD holds the value, on whatever line; or HEAD has its message.

    Raises Trouble where git cannot tell.
    """
    blobs: dict[bytes, list[Finding]] = {}
    tree = _tree()
    for finding in findings:
        if finding.via.startswith(MESSAGE):
            finding.in_head = _is_ancestor(finding.commit)
            continue
        finding.in_head = False
        if finding.path in tree:
            blobs.setdefault(tree[finding.path], []).append(finding)
    with git.Batch() as batch:
        for thing in batch.objects(list(blobs)):
            if thing.kind == b"blob":
                _mark(blobs[thing.id], thing)


def _mark(findings: list[Finding], thing: git.Object) -> None:
    for piece in content.pieces(findings[0].path, thing):
        for finding in findings:
            finding.in_head |= isinstance(piece, Piece) and finding.secret in piece.text


def _tree() -> dict[bytes, bytes]:
    """The blob of each path in HEAD; nothing where nothing was committed to it yet."""
    if not git.output("rev-parse", "--quiet", "--verify", "HEAD", accepted=(1,)):
        return {}
    tree = {}
    with git.Process("ls-tree", "-r", "-z", "--full-tree", "HEAD") as listing:
        for record in git.records(listing.out):
            facts, _, path = record.partition(b"\t")
            tree[path] = facts.split()[2]
        listing.finish()
    return tree


def _is_ancestor(commit: str) -> bool:
    with git.Process("merge-base", "--is-ancestor", commit, "HEAD") as asked:
        return asked.finish(1, 128) == 0
