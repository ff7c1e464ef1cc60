"""Compressed streams, unpacked a block at a time and with limits: no bomb goes off, nothing is held whole."""

from io import BytesIO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO, Protocol

    class Stream(Protocol):
        """What bz2, lzma and zstd call their decompressors: one for each stream."""

        @property
        def eof(self) -> bool: ...
        @property
        def needs_input(self) -> bool: ...
        @property
        def unused_data(self) -> bytes: ...
        def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...

    class Reader(Protocol):
        """Where bytes come from, in order. Fewer than asked for, or none, only at the end."""

        def read(self, count: int, /) -> bytes: ...


MOST_MEMBERS = 10_000
MOST_BYTES = 256 << 20
MOST_RATIO = 200
"""Text packs at most about 30 to 1, so what unpacks to more than 200 times its size is zeros or a bomb."""

MOST_HELD = 64 << 20
"""A zip file needs its end first. One that comes through a pipe is held in memory up to this size."""

_FREE = 1 << 20  # below this size no ratio is looked at


class BrokenArchive(Exception):
    """An archive is not what it says, or is more than the limits allow. The message is half a sentence."""


class Budget:
    """What the archives inside one file may come to, all together."""

    def __init__(self) -> None:
        self.members, self.bytes = MOST_MEMBERS, MOST_BYTES

    @property
    def spent(self) -> bool:
        """Whether nothing more is unpacked."""
        return self.members < 0 or self.bytes < 0

    def member(self) -> None:
        """Count a member. Raises BrokenArchive for one too many."""
        self.members -= 1
        if self.members < 0:
            raise BrokenArchive(f"it holds more than {MOST_MEMBERS} members")

    def unpacked(self, count: int) -> None:
        """Count bytes. Raises BrokenArchive when there are too many."""
        self.bytes -= count
        if self.bytes < 0:
            raise BrokenArchive(f"it unpacks to more than {MOST_BYTES >> 20} MB")


class Whole:
    """A head that was read already, and what follows it."""

    def __init__(self, head: bytes, rest: "Reader | None") -> None:
        self._head, self._at, self._rest, self.total = head, 0, rest, 0

    def file(self) -> "BinaryIO":
        """The same as a file to be read at any place. Raises BrokenArchive where it would not fit into memory."""
        if self._rest is not None and hasattr(self._rest, "seek"):
            return self._rest  # type: ignore[return-value]  # a reader that can seek is a file
        data = self.read(MOST_HELD + 1)
        if len(data) > MOST_HELD:
            raise BrokenArchive(f"it is larger than {MOST_HELD >> 20} MB")
        return BytesIO(data)

    def read(self, count: int, /) -> bytes:
        data = self._head[self._at : self._at + count]
        self._at += len(data)
        if self._rest and len(data) < count:
            blocks, wanted = [data], count - len(data)
            while wanted and (block := self._rest.read(wanted)):
                blocks.append(block)
                wanted -= len(block)
            data = b"".join(blocks)
        self.total += len(data)
        return data


class Unpacking:
    """What a decompressor gives out, counted; `packed` says what it has took in. Errors become BrokenArchive, once."""

    def __init__(
        self, source: "Reader", packed: "Callable[[], int]", errors: "tuple[type[Exception], ...]", budget: Budget
    ) -> None:
        self._read = getattr(source, "read1", source.read)  # one block: `read` loses those before a damage
        self._packed, self._errors, self._budget, self._total = packed, errors, budget, 0
        self._broken = False

    def read(self, count: int, /) -> bytes:
        if self._broken:
            return b""
        self._broken = True
        try:
            data: bytes = self._read(min(count, 1 << 20))
        except self._errors as error:
            raise BrokenArchive("it is damaged") from error
        self._total += len(data)
        self._budget.unpacked(len(data))
        if self._total > _FREE and self._total > MOST_RATIO * self._packed():
            self._budget.bytes = -1
            raise BrokenArchive(f"it unpacks to more than {MOST_RATIO} times its size")
        self._broken = False
        return data


class Decompressor:
    """The streams of a file one after the other, as `cat a.xz b.xz` makes them; padding between and behind is left."""

    def __init__(self, source: "Reader", new: "Callable[[], Stream]") -> None:
        self._source, self._new, self._held = source, new, b""
        self._one = new()

    def read(self, count: int, /) -> bytes:
        while True:
            one = self._one
            if one.eof:
                self._held = (one.unused_data or self._source.read(1 << 16)).lstrip(b"\0")
                if not self._held:
                    return b""
                one = self._one = self._new()
            elif one.needs_input and not self._held:
                self._held = self._source.read(1 << 16)
                if not self._held:
                    raise EOFError
            data, self._held = one.decompress(self._held, count), b""
            if data:
                return data


class Slice:
    """The next `size` bytes of a stream. Raises BrokenArchive, once, where the stream is shorter."""

    def __init__(self, source: Whole, size: int) -> None:
        self._source, self._left = source, size

    def read(self, count: int, /) -> bytes:
        wanted = min(count, self._left, 1 << 20)
        data = self._source.read(wanted) if wanted else b""
        if len(data) < wanted:
            self._left = 0
            raise BrokenArchive("it ends too early")
        self._left -= wanted
        return data

    def skip(self) -> None:
        while self._left:
            self.read(1 << 20)
