"""What archives and compressed files hold, member by member, as streams."""

from chronos_secrets.scan.unpacking import BrokenArchive, Budget, Decompressor, Slice, Unpacking, Whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from chronos_secrets.scan.unpacking import Reader

    Member = tuple[str, Reader | None, str]
    """Name ("" for the one of a compressed file), its bytes, or else why they cannot be read."""

_BLOCK = 512
_MOST_DIRECTORY = 4 << 20


def _gzip(source: Whole, budget: Budget) -> "Iterator[Member]":
    import gzip
    import zlib

    errors = (OSError, EOFError, zlib.error)
    opened = gzip.GzipFile(fileobj=source, mode="rb")  # type: ignore[call-overload]  # it only reads
    yield "", Unpacking(opened, lambda: source.total, errors, budget), ""


def _bzip2(source: Whole, budget: Budget) -> "Iterator[Member]":
    import bz2

    stream = Decompressor(source, bz2.BZ2Decompressor)
    yield "", Unpacking(stream, lambda: source.total, (OSError, EOFError, ValueError), budget), ""


def _xz(source: Whole, budget: Budget) -> "Iterator[Member]":
    import lzma

    stream = Decompressor(source, lambda: lzma.LZMADecompressor(memlimit=96 << 20))
    yield "", Unpacking(stream, lambda: source.total, (lzma.LZMAError, EOFError), budget), ""


def _zstd(source: Whole, budget: Budget) -> "Iterator[Member]":
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]  # Python 3.14
    except ImportError:
        yield "", None, "zstd needs Python 3.14"
        return
    stream = Decompressor(source, zstd.ZstdDecompressor)
    yield "", Unpacking(stream, lambda: source.total, (zstd.ZstdError, EOFError), budget), ""


def _zip(source: Whole, budget: Budget) -> "Iterator[Member]":
    import lzma
    import struct
    import zipfile
    import zlib

    errors = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError, EOFError, RuntimeError, ValueError)
    file = source.file()
    _check_directory(file)
    try:
        archive = zipfile.ZipFile(file)
    except errors as error:
        raise BrokenArchive("it is damaged") from error
    for info in archive.infolist():
        if info.filename.endswith("/") and not info.file_size:
            continue
        budget.member()
        if info.flag_bits & 1:
            yield info.filename, None, "it is encrypted"
            continue
        try:
            member = archive.open(info)
        except errors:
            yield info.filename, None, "it is damaged or packed in a way that Python cannot unpack"
            continue
        yield info.filename, Unpacking(member, _always(info.compress_size), errors, budget), ""


def _always(number: int) -> "Callable[[], int]":
    return lambda: number


def _check_directory(file: "BinaryIO") -> None:
    """`zipfile` holds the whole directory: 500 bytes and more per member, as many as the end record says."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 65_700))
    tail = file.read(65_700)
    end = tail.rfind(b"PK\x05\x06")
    length = int.from_bytes(tail[end + 12 : end + 16], "little") if end >= 0 else 0
    if end >= 76 and tail[end - 20 : end - 16] == b"PK\x06\x07":
        length = max(length % 0xFFFFFFFF, int.from_bytes(tail[end - 36 : end - 28], "little"))
    if length > _MOST_DIRECTORY:
        raise BrokenArchive(f"its list of members is larger than {_MOST_DIRECTORY >> 20} MB")


def _tar(source: Whole, budget: Budget) -> "Iterator[Member]":
    """Read to the end of the file, over the zeros between archives that were joined."""
    long_name = ""
    while header := source.read(_BLOCK):
        if not header.strip(b"\0"):
            continue
        if not _is_tar_header(header):
            raise BrokenArchive("it is damaged")
        kind = header[156:157]
        if kind == b"S":
            _skip_sparse_map(source, header)
        size = 0 if kind in b"123456" else _tar_number(header[124:136])
        data = Slice(source, size)
        if kind in b"Lx":
            long_name = _long_name(data.read(1 << 16), kind)
        elif kind not in b"123456Kg":
            budget.member()
            yield long_name or _tar_name(header), data, ""
            long_name = ""
        data.skip()
        source.read(-size % _BLOCK)


def _is_tar_header(block: bytes) -> bool:
    """Whether the checksum of a tar header is right: it tells one even where an old tar left no mark."""
    if len(block) < _BLOCK:
        return False
    told = block[148:156].strip(b" \0")
    right = sum(block[:148]) + 8 * 32 + sum(block[156:_BLOCK])
    return told.isdigit() and told.translate(None, b"01234567") == b"" and int(told, 8) == right


def _skip_sparse_map(source: Whole, header: bytes) -> None:
    more = header[482]
    while more:
        more = (source.read(_BLOCK) + bytes(_BLOCK))[504]


def _tar_number(field: bytes) -> int:
    """An octal number, or since GNU tar a binary one of 11 bytes."""
    if field[0] & 128:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if digits.translate(None, b"01234567"):
        raise BrokenArchive("it is damaged")
    return int(digits or b"0", 8)


def _tar_name(header: bytes) -> str:
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{_text(header[:100])}" if prefix else _text(header[:100])


def _long_name(data: bytes, kind: bytes) -> str:
    """The name that a GNU (L) or POSIX (x) record gives to the member behind it."""
    if kind == b"L":
        return _text(data)
    return _text(data.partition(b" path=")[2].partition(b"\n")[0])


def _text(name: bytes) -> str:
    return name.partition(b"\0")[0].decode("utf-8", "replace")


def _ar(source: Whole, budget: Budget) -> "Iterator[Member]":
    """Debian packages and static libraries."""
    source.read(8)
    while header := source.read(60):
        size = header[48:58].strip()
        if len(header) < 60 or not size.isdigit():
            raise BrokenArchive("it is damaged")
        budget.member()
        data = Slice(source, int(size))
        yield _text(header[:16].rstrip(b" /")), data, ""
        data.skip()
        source.read(int(size) % 2)


_MAGIC = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"!<arch>\n", "ar"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"LZIP\x01", "lzip"),
    (b"MSCF\0\0\0\0", "cab"),
)
_READABLE: "dict[str, Callable[[Whole, Budget], Iterator[Member]]]" = {
    "zip": _zip,
    "gzip": _gzip,
    "bzip2": _bzip2,
    "xz": _xz,
    "zstd": _zstd,
    "tar": _tar,
    "ar": _ar,
}
_FIRST = frozenset(magic[0] for magic, _ in _MAGIC)


def kind(head: bytes) -> str:
    """What kind of archive or compressed file begins with `head`; "" for none."""
    if head[:1] and head[0] in _FIRST:
        for magic, name in _MAGIC:
            if head.startswith(magic) and (name != "bzip2" or head[4:10] == b"1AY&SY"):
                return name
    return "tar" if _is_tar_header(head[:_BLOCK]) else ""


def members(name: str, source: Whole, budget: Budget) -> "Iterator[Member]":
    """The members of an archive whose `kind` is `name`, each to be read before the next.

    Raises BrokenArchive, and so do the members' `read`, where the archive is damaged or beyond the limits.
    """
    if name not in _READABLE:
        raise BrokenArchive(f"{name} archives cannot be looked into")
    yield from _READABLE[name](source, budget)
