"""A commit: what its staged blobs have that HEAD does not. The index is read, never the work tree."""

from chronos_secrets.scan import added, content, git
from chronos_secrets.scan.found import Piece, Trouble, Unread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NO_MODE, LINK, SUBMODULE = b"000000", b"120000", b"160000"
_MOST_DELETED = 500
_COMPARE = ("diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", "--ignore-submodules=none")


class Change:
    """A path with a new blob, and the blobs that stood there before: none for a new path, several for a merge."""

    __slots__ = ("before", "is_link", "new", "path")

    def __init__(self, path: bytes, new: bytes, before: "Sequence[bytes]", *, is_link: bool) -> None:
        self.path, self.new, self.before, self.is_link = path, new, before, is_link


class Changes:
    """All of a commit: what is to be read, the blobs of deleted paths (a new path may be one that was moved), and
    what cannot be read.
    """

    __slots__ = ("deleted", "to_read", "unread")

    def __init__(self) -> None:
        self.to_read: list[Change] = []
        self.deleted: list[bytes] = []
        self.unread: list[Unread] = []


def pieces() -> "Iterator[Piece | Unread]":
    """What a commit of the index would add to HEAD. Raises Trouble where git cannot tell."""
    changes = parsed(_compared())
    with git.Batch() as batch:
        yield from new_in(changes, batch)


def _compared() -> bytes:
    try:
        return git.output(*_COMPARE, "HEAD", "--")
    except Trouble:
        if git.output("rev-parse", "--quiet", "--verify", "HEAD", accepted=(1,)):
            raise
    return git.output(*_COMPARE, git.empty_tree(), "--")  # nothing was committed yet


def parsed(raw: bytes) -> Changes:
    """The changes in raw output of one commit: `:mode mode id id status NUL path NUL`, of any number of parents.

    A mode that changed alone, a submodule, and a file that was moved as it is, have nothing new.
    """
    changes = Changes()
    fields = raw.split(b"\0")
    for header, path in zip(fields[0:-1:2], fields[1::2], strict=True):
        parents = header.count(b":")
        *words, status = header[parents:].split(b" ")
        modes, ids = words[: parents + 1], words[parents + 1 :]
        before = [name for mode, name in zip(modes, ids[:-1], strict=False) if mode not in (NO_MODE, SUBMODULE)]
        if modes[-1] == SUBMODULE or ids[-1] in before:
            continue
        if status[:1] == b"D":
            changes.deleted += before
        elif modes[-1] == NO_MODE:
            changes.unread.append(Unread(path, "its conflict is not resolved yet"))
        else:
            changes.to_read.append(Change(path, ids[-1], before, is_link=modes[-1] == LINK))
    gone = frozenset(changes.deleted)
    changes.to_read = [each for each in changes.to_read if each.before or each.new not in gone]
    if all(each.before for each in changes.to_read):
        changes.deleted.clear()
    del changes.deleted[_MOST_DELETED:]
    return changes


def new_in(changes: Changes, batch: git.Batch) -> "Iterator[Piece | Unread]":
    """The lines that the changes bring. What stood in a deleted file is not new in a file with a new path."""
    yield from changes.unread
    wanted = [name for each in changes.to_read for name in (*each.before, each.new)]
    objects = batch.objects([*changes.deleted, *wanted])
    moved = _lines(objects, len(changes.deleted))
    for change in changes.to_read:
        before = _lines(objects, len(change.before)) if change.before else moved
        yield from _new(change, next(objects), before)
    for _ in objects:  # read what follows the last
        pass


def _lines(objects: "Iterator[git.Object]", count: int) -> added.Before:
    before = added.Before()
    for _ in range(count):
        before.add(content.plain(b"", next(objects)))
    return before


def _new(change: Change, blob: git.Object, before: added.Before) -> "Iterator[Piece | Unread]":
    if blob.kind == b"blob":
        yield from added.pieces(standing(change, blob), before)
    else:
        yield missing(change)


def standing(change: Change, blob: "bytes | git.Object") -> "Iterator[Piece | Unread]":
    """What stands at the path now."""
    if change.is_link:
        return iter((Piece(change.path, blob if isinstance(blob, bytes) else blob.read(), via="symlink"),))
    return content.plain(change.path, blob)


def missing(change: Change) -> Unread:
    """What is told of a blob that git does not have."""
    return Unread(change.path, f"its blob {change.new.decode()} is missing from the repository or damaged")
