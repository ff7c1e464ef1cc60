"""What the bytes of a file hold: text in any encoding, members of archives, base64, the printable part of binaries."""

import os
import stat

from chronos_secrets.scan import encoded, strings, texts
from chronos_secrets.scan.found import Piece, Unread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chronos_secrets.scan.unpacking import Budget, Reader

_MOST_DEPTH = 4
_MAY_BE_ARCHIVES = (
    b"PK", b"BZh", b"\x1f\x8b", b"\xfd7z", b"\x28\xb5", b"!<a", b"7z", b"Rar", b"\x04\x22", b"LZIP", b"MSCF",
)  # fmt: skip


def pieces(path: bytes, source: "bytes | Reader") -> "Iterator[Piece | Unread]":
    """Everything there is to scan in a file, also what its base64 holds. A big `source` is read as a stream.

    `via` of a piece names the way: "" as it is, "utf-16", "zip: a/b.txt", "gzip, tar: x", "binary", "base64".
    """
    for piece in plain(path, source):
        yield piece
        if isinstance(piece, Piece):
            yield from unwrapped(piece)


def plain(path: bytes, source: "bytes | Reader") -> "Iterator[Piece | Unread]":
    """The same without what base64 holds: for whoever wants only some of the lines and calls `unwrapped` for those."""
    head, rest = (source, None) if isinstance(source, bytes) else _opened(source)
    return _layers(path, head, rest, _Way())


def unwrapped(piece: Piece) -> "Iterator[Piece | Unread]":
    """What the base64 in a piece holds. All its lines have the number of the line in which the run begins."""
    return _unwrapped(piece, _Way(piece.via))


class _Way:
    """How far inside a file something stands. The budget is one for all that is inside the file."""

    __slots__ = ("depth", "shared", "via")

    def __init__(self, via: str = "", depth: int = 0, shared: "list[Budget] | None" = None) -> None:
        self.via, self.depth = via, depth
        self.shared: list[Budget] = [] if shared is None else shared

    @property
    def budget(self) -> "Budget":
        if not self.shared:
            from chronos_secrets.scan.unpacking import Budget

            self.shared.append(Budget())
        return self.shared[0]

    def to(self, step: str) -> str:
        return f"{self.via}, {step}" if self.via else step

    def into(self, step: str) -> "_Way":
        return _Way(self.to(step), self.depth + 1, self.shared)


def _opened(source: "Reader") -> "tuple[bytes, Reader | None]":
    """The first part, and where the rest is to be had. Raises what the source raises."""
    blocks, wanted = [], texts.PART
    while wanted and (block := source.read(wanted)):
        blocks.append(block)
        wanted -= len(block)
    return b"".join(blocks), None if wanted else source


def _blocks(head: bytes, rest: "Reader | None") -> "Iterator[bytes]":
    yield head
    while rest and (block := rest.read(1 << 20)):
        yield block


def _layers(path: bytes, head: bytes, rest: "Reader | None", way: _Way) -> "Iterator[Piece | Unread]":
    if kind := _kind_of_archive(head):
        yield from _archive(path, kind, head, rest, way)
        return
    codec, mark = texts.encoding(head)
    if codec == "utf-8" and not rest and not mark and len(head) <= texts.PART and texts.is_plain(head):
        if head:
            yield Piece(path, head, via=way.via)
        return
    blocks = _blocks(head[mark:] if mark else head, rest)
    yield from _text(path, blocks, codec, way) if codec else _binary(path, blocks, way)
    if not codec and rest is None and b"PK\5\6" in head[-65_700:]:  # a program with a zip file behind it
        yield from _archive(path, "zip", head, rest, way)


def _kind_of_archive(head: bytes) -> str:
    if not head.startswith(_MAY_BE_ARCHIVES) and b"\0" not in head[:512]:
        return ""
    from chronos_secrets.scan.archives import kind

    return kind(head)


def _text(path: bytes, blocks: "Iterable[bytes]", codec: str, way: _Way) -> "Iterator[Piece | Unread]":
    """The text, and between its parts what is written in the other width of characters: files that grew by `>>`."""
    aside: list[Piece] = []
    narrow = codec == "utf-8"
    watched = _watched(path, blocks, way.to("utf-16" if narrow else "binary"), aside, wide=narrow)
    via = way.via if narrow else way.to(codec[:6])
    for text, first in texts.parts(texts.lines(watched if narrow else texts.decoded(watched, codec))):
        yield Piece(path, text, via=via, first=first)
        yield from aside
        aside.clear()
    yield from aside


def _watched(path: bytes, blocks: "Iterable[bytes]", via: str, aside: list[Piece], *, wide: bool) -> "Iterator[bytes]":
    """The blocks as they are; what is wide (or is not) in them goes to `aside`."""
    line = 1
    for block in blocks:
        if not wide or b"\0" in block:
            for text, numbers in strings.stretches([block], wide=wide, line=line):
                aside.append(Piece(path, text, via=via, numbers=numbers))
            line += block.count(b"\n")
        yield block


def _binary(path: bytes, blocks: "Iterable[bytes]", way: _Way) -> "Iterator[Piece | Unread]":
    for text, numbers in strings.stretches(blocks):
        yield Piece(path, text, via=way.to("binary"), numbers=numbers)


def _archive(path: bytes, kind: str, head: bytes, rest: "Reader | None", way: _Way) -> "Iterator[Piece | Unread]":
    """What its members hold. Of a damaged one that is in memory at least what can be read without unpacking."""
    from chronos_secrets.scan.archives import members
    from chronos_secrets.scan.unpacking import BrokenArchive, Whole

    if way.depth >= _MOST_DEPTH:
        yield Unread(path, f"archives stand in each other more than {_MOST_DEPTH} deep", way.to(kind))
        return
    try:
        for name, member, reason in members(kind, Whole(head, rest), way.budget):
            inner = way.into(f"{kind}: {_shown(name)}" if name else kind)
            if member is None:
                yield Unread(path, reason, inner.via)
            else:
                yield from _member(path, member, inner)
            if way.budget.spent:
                return
    except BrokenArchive as broken:
        yield Unread(path, str(broken), way.to(kind))
        if rest is None:
            yield from _binary(path, [head], way)


def _member(path: bytes, member: "Reader", way: _Way) -> "Iterator[Piece | Unread]":
    """What a member holds. Of a broken one what stands before the damage, and then that it is broken, once."""
    source = _UpToDamage(member)
    unread: list[Unread] = []
    for found in _layers(path, *_opened(source), way):
        if isinstance(found, Unread):
            unread.append(found)
        else:
            yield found
    yield from [Unread(path, source.damage, way.via)] if source.damage else unread


class _UpToDamage:
    """A member that ends where it is damaged, or where a limit is reached; then `damage` says what it is."""

    def __init__(self, member: "Reader") -> None:
        self._member, self.damage = member, ""

    def read(self, count: int, /) -> bytes:
        from chronos_secrets.scan.unpacking import BrokenArchive

        try:
            return b"" if self.damage else self._member.read(count)
        except BrokenArchive as broken:
            self.damage = str(broken)
            return b""


def _shown(name: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in name)[:200]


def _unwrapped(piece: Piece, way: _Way) -> "Iterator[Piece | Unread]":
    for offset, data in encoded.blobs(piece.text):
        line = piece.line_at(offset)
        inner = way.into("base64")
        if way.depth >= _MOST_DEPTH:
            yield Unread(piece.path, f"texts in base64 stand in each other more than {_MOST_DEPTH} deep", inner.via)
            return
        for found in _layers(piece.path, data, None, inner):
            if isinstance(found, Piece):
                found.numbers = [line] * (found.text.count(b"\n") + 1)
            yield found
            if isinstance(found, Piece):
                yield from _unwrapped(found, _Way(found.via, inner.depth, way.shared))


def files(paths: "Iterable[bytes | str]") -> "Iterator[Piece | Unread]":
    """The pieces of files on disk, and of all files below folders, in the order of their names.

    `.git` is left out. Links are not followed (but for a path that was named): their target is a piece. What is
    neither a file nor a folder is not opened. What cannot be read, or vanished meanwhile, comes as Unread.
    """
    for each in paths:
        path = os.fsencode(each)
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            yield _unread(path, error)
            continue
        if stat.S_ISDIR(mode):
            yield from _below(path)
        elif stat.S_ISREG(mode):
            yield from _file(path, 0)
        else:
            yield Unread(path, "it is neither a file nor a folder")


def listed(paths: "Iterable[bytes]") -> "Iterator[Piece | Unread]":
    """The pieces of files that a listing named. Links are not followed; what is not there, or a folder, has none."""
    for path in paths:
        try:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                yield Piece(path, os.readlink(path), via="symlink")
            elif stat.S_ISREG(mode):
                yield from _file(path, os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            yield _unread(path, error)


def _unread(path: bytes, error: OSError) -> Unread:
    return Unread(path, (error.strerror or "it cannot be read").lower())


def _below(folder: bytes) -> "Iterator[Piece | Unread]":
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            yield _unread(folder, error)
            continue
        waiting += [_joined(folder, each) for each in reversed(entries) if _is_folder(each)]
        for each in entries:
            yield from _entry(_joined(folder, each), each)


def _is_folder(entry: "os.DirEntry[bytes]") -> bool:
    return entry.name != b".git" and entry.is_dir(follow_symlinks=False)


def _joined(folder: bytes, entry: "os.DirEntry[bytes]") -> bytes:
    return entry.name if folder == b"." else os.path.join(folder, entry.name)


def _entry(path: bytes, entry: "os.DirEntry[bytes]") -> "Iterator[Piece | Unread]":
    if entry.is_symlink():
        try:
            yield Piece(path, os.readlink(path), via="symlink")
        except OSError as error:
            yield _unread(path, error)
    elif entry.name != b".git" and entry.is_file(follow_symlinks=False):
        yield from _file(path, os.O_NOFOLLOW)


def _file(path: bytes, flags: int) -> "Iterator[Piece | Unread]":
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags), "rb", 0) as opened:
            if stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                yield from pieces(path, opened)
            else:
                yield Unread(path, "it is no longer a file")
    except OSError as error:
        yield _unread(path, error)
