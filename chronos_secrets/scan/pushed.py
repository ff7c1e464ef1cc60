"""A push: every commit that the other side does not have yet, and the messages of its tags."""

from chronos_secrets.scan import history
from chronos_secrets.scan.found import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from chronos_secrets.scan.history import Found


def pieces(remote: str, lines: bytes) -> "Iterator[Found]":
    """What a push brings. `remote` and `lines` are what git hands to its pre-push hook: the name of the remote (or its
    address), and on standard input `<local ref> <local id> <remote ref> <remote id>` for each ref.

    New is what is neither reachable from the remote's refs as we know them nor from those that the push replaces. A ref
    that is deleted brings nothing. Raises Trouble where git cannot tell.
    """
    refs = [_ref(line) for line in lines.splitlines() if line.strip()]
    with history.Versions() as versions:
        old = [
            there.decode() for _, _, there in refs if there.strip(b"0") and versions.described(there)[0] != b"missing"
        ]
        for ref, local, _ in refs:
            if local.strip(b"0"):
                yield from history.tagged(local, ref, versions)
        new = [local.decode() for _, local, _ in refs if local.strip(b"0")]
        if new:
            selection = (*new, "--not", f"--remotes={remote}", *old)
            for commit, message, changes in history.commits(selection):
                yield from history.brought(commit, message, changes, versions)


def _ref(line: bytes) -> tuple[bytes, bytes, bytes]:
    """The remote ref, the id here and the id there. What was pushed may be an expression with spaces."""
    fields = line.rsplit(b" ", 3)
    if len(fields) != 4 or not all(len(each) in (40, 64) for each in fields[1::2]):
        raise Trouble("git describes the push in a way that is not understood", hint="git --version")
    return fields[2], fields[1], fields[3]
