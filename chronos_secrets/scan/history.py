"""The commits of a history: what each brought that its parents did not have, merges included, and its message."""

from itertools import chain

from chronos_secrets.scan import added, content, git
from chronos_secrets.scan.found import Piece, Trouble, Unread
from chronos_secrets.scan.messages import MESSAGE
from chronos_secrets.scan.staged import Change, Changes, missing, parsed, standing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Found = tuple["Commit", Piece | Unread]

_SMALL = 1 << 20
_REMEMBERED = 24 << 20
_MOST_SEEN = 500_000
_COMPARE = ("diff-tree", "--stdin", "-c", "-r", "--root", "--always", "--raw", "-z", "--no-renames", "--no-abbrev")
_FORMAT = "--format=%x01%H %aI%x00%B%x00"


class Commit:
    """A commit: `id`, and `date`, when its author wrote it, as ISO 8601. Also a tag or what it is of, without date."""

    __slots__ = ("date", "id")

    def __init__(self, name: str, date: str) -> None:
        self.id, self.date = name, date


def pieces(range_: str | None = None, on_progress: "Callable[[int, int], None] | None" = None) -> "Iterator[Found]":
    """What the commits of all refs, or of a range, brought; newest first. Raises Trouble where git cannot tell.

    A change that several commits make comes once. `on_progress` is told how many commits were looked at, and of how
    many. What is missing, as in a partial clone, or corrupt, comes as Unread.
    """
    selection = ("--all",) if range_ is None else ("--end-of-options", range_)
    whole = int(git.output("rev-list", "--count", *selection, "--")) if on_progress else 0
    with Versions() as versions:
        for count, (commit, message, changes) in enumerate(commits(selection), 1):
            yield from brought(commit, message, changes, versions)
            if on_progress:
                on_progress(count, whole)
        if range_ is None:
            yield from _beside_the_commits(versions)


def brought(commit: Commit, message: bytes, changes: Changes, versions: "Versions") -> "Iterator[Found]":
    """The pieces of one commit."""
    if message.strip():
        piece = Piece(MESSAGE, message, via="message")
        yield commit, piece
        yield from _each(commit, content.unwrapped(piece))
    yield from _each(commit, versions.new_in(changes))


def _each(commit: Commit, found: "Iterator[Piece | Unread]") -> "Iterator[Found]":
    for piece in found:
        yield commit, piece


def commits(selection: "Sequence[str]") -> "Iterator[tuple[Commit, bytes, Changes]]":
    """The commits that `git rev-list` selects: each with its message and its changes.

    Of a merge only the paths that differ from all parents are told: what it brought itself.
    """
    with (
        git.Process("rev-list", *selection, "--") as listed,
        git.Process(*_COMPARE, _FORMAT, stdin=listed.out.fileno()) as compared,
    ):
        fields = git.records(compared.out)
        header = next(fields, b"")
        while header:
            commit, message = _commit(header), next(fields)
            raw, header = _raw(fields)
            yield commit, message, parsed(b"\0".join([*raw, b""]))
        compared.finish()
        listed.finish()


def _commit(header: bytes) -> Commit:
    name, _, date = header.decode("ascii", "replace").partition(" ")
    return Commit(name.lstrip("\n\x01"), date)


def _raw(fields: "Iterator[bytes]") -> tuple[list[bytes], bytes]:
    """The raw records up to the header of the next commit, and that header; b"" for the end."""
    raw: list[bytes] = []
    for each in fields:
        field = each.lstrip(b"\n")
        if field.startswith(b":"):
            raw += (field, next(fields))
        elif field.startswith(b"\x01"):
            return raw, field
        elif field:
            raise Trouble("git diff-tree says something that is not understood", hint="git --version")
    return raw, b""


def _blobs_of(tree: str) -> list[tuple[bytes, bytes]]:
    """Path and id of each blob below a tree."""
    fields = git.output("ls-tree", "-r", "-z", tree).split(b"\0")[:-1]
    entries = [each.partition(b"\t") for each in fields]
    return [(path, words.split()[2]) for words, _, path in entries if words.split()[1] == b"blob"]


def _beside_the_commits(versions: "Versions") -> "Iterator[Found]":
    """What refs hold that no commit does: the messages of tags, and blobs and trees that are tagged themselves."""
    listed = git.output("for-each-ref", "--format=%(objecttype) %(objectname) %(refname)")
    for line in listed.splitlines():
        kind, name, ref = line.split(b" ", 2)
        if kind != b"commit":
            yield from tagged(name, ref, versions)


def tagged(name: bytes, ref: bytes, versions: "Versions") -> "Iterator[Found]":
    """The message of a tag, and what the tag (or the ref itself) is of: a blob, a tree, another tag; not a commit."""
    kind, data = versions.described(name)
    commit = Commit(name.decode(), "")
    if kind == b"tag":
        header, _, message = data.partition(b"\n\n")
        piece = Piece(ref, message, via="message")
        yield commit, piece
        yield from _each(commit, content.unwrapped(piece))
        yield from tagged(header.split()[1], ref, versions)
    elif kind == b"tree":
        for path, blob in _blobs_of(name.decode()):
            yield from _each(commit, versions.all_of(path, blob))
    elif kind != b"commit":
        yield from _each(commit, versions.all_of(ref, name))


class Versions(git.Closing):
    """The blobs of a history, each read about once: the one before a change is the result of an older one.

    To be closed, or used in `with`.
    """

    def __init__(self) -> None:
        self._batch: git.Batch | None = None
        self._objects: Iterator[git.Object] = iter(())
        self._known: dict[bytes, list[Piece | Unread]] = {}
        self._sizes: dict[bytes, int] = {}
        self._size = 0
        self._seen: set[int] = set()
        self._missing: frozenset[bytes] | None = None

    def close(self) -> None:
        """End git."""
        if self._batch:
            self._batch.close()
            self._batch = None

    def all_of(self, path: bytes, name: bytes) -> "Iterator[Piece | Unread]":
        """Everything that a blob holds, as it stands at a path."""
        change = Change(path, name, (), is_link=False)
        return self._new(change, added.Before())

    def described(self, name: bytes) -> tuple[bytes, bytes]:
        """The kind of an object (b"missing" for none), and what it holds if it is a tag."""
        found = self._opened(name)
        return found.kind, found.read() if found.kind == b"tag" else b""

    def new_in(self, changes: Changes) -> "Iterator[Piece | Unread]":
        """As `staged.new_in`, but a blob that git dies of is told like one that is missing."""
        yield from changes.unread
        moved = self._lines(changes.deleted)
        for change in changes.to_read:
            if not self._is_known(change, changes.deleted):
                yield from self._new(change, self._lines(change.before) if change.before else moved)

    def _is_known(self, change: Change, deleted: "Sequence[bytes]") -> bool:
        """Whether the same change was met already, in a branch that was rebased or under another name."""
        key = hash((change.new, *(change.before or (b"", *deleted))))
        if key in self._seen:
            return True
        if len(self._seen) > _MOST_SEEN:
            self._seen.clear()
        self._seen.add(key)
        return False

    def _lines(self, names: "Sequence[bytes]") -> added.Before:
        before = added.Before(moved_is_new=True)
        for name in names:
            try:
                before.add(self._standing(name, None) or ())
            except Trouble:
                self._died()
        return before

    def _new(self, change: Change, before: added.Before) -> "Iterator[Piece | Unread]":
        try:
            found = self._standing(change.new, change)
            if found is None:
                yield missing(change)
            else:
                yield from added.pieces(found, before)
        except Trouble as trouble:
            self._died()
            yield Unread(change.path, trouble.message)

    def _standing(self, name: bytes, change: Change | None) -> "Iterable[Piece | Unread] | None":
        """What a blob holds: of a big one to be read before the next is asked for. None for a missing one."""
        if (known := self._known.get(name)) is not None:
            return [_at(change.path, each) for each in known] if change else known
        if self._missing and name in self._missing:
            return None
        blob = self._opened(name)
        if blob.kind != b"blob":
            return None
        found = standing(change or Change(b"", name, (), is_link=False), blob)
        if blob.size > _SMALL or (change and change.is_link):
            return found
        return self._remembered(name, found)

    def _died(self) -> None:
        """Another git takes over. It is not asked for what a partial clone lacks: before 2.39.4 git dies of it."""
        self.close()
        if self._missing is None:
            with git.Process("rev-list", "--objects", "--all", "--missing=print") as listed:
                self._missing = frozenset([each[1:] for each in git.records(listed.out, b"\n") if each[:1] == b"?"])

    def _opened(self, name: bytes) -> git.Object:
        if self._batch is None:
            self._batch, self._objects = git.Batch(), iter(())
        next(self._objects, None)
        self._objects = self._batch.objects([name])
        return next(self._objects)

    def _remembered(self, name: bytes, found: "Iterator[Piece | Unread]") -> "Iterable[Piece | Unread]":
        kept, size = [], 500
        for each in found:
            kept.append(each)
            size += len(each.text) if isinstance(each, Piece) else 100
            if size > 2 * _SMALL:  # a small archive that holds a lot
                return chain(kept, found)
        self._known[name], self._sizes[name] = kept, size
        self._size += size
        while self._size > _REMEMBERED:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._size -= self._sizes.pop(oldest)
        return kept


def _at(path: bytes, found: Piece | Unread) -> Piece | Unread:
    """The same, in a file of this path."""
    if isinstance(found, Unread):
        return Unread(path, found.reason, found.via)
    return Piece(path, found.text, via=found.via, first=found.first, numbers=found.numbers)
