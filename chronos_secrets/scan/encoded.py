"""Text that stands in base64 inside other text: found at a cost of one or two nanoseconds per byte."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SHORTEST = 40
"""Runs of fewer base64 characters are words, paths and hashes."""

_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_SHAPE = bytes(65 if byte in _DIGITS else 32 for byte in range(256))
_RUN = b"A" * SHORTEST
_STANDARD = bytes.maketrans(b"-_", b"+/")
_PRINTABLE = bytes(range(32, 127)) + b"\t\n\r"
_CONTROLS = bytes({*range(32), 127} - {*b"\t\n\r"})
_PACKED = (b"\x1f\x8b\x08", b"PK\x03\x04", b"BZh", b"\xfd7zXZ")


def blobs(text: bytes) -> "Iterator[tuple[int, bytes]]":
    """Each run of at least 40 base64 characters that decodes to something to read: its offset, and what it holds.

    Standard and URL alphabet; runs that are wrapped over lines (indented ones too) are one. Something to read is
    text, mostly printable, in any encoding, or an archive.
    """
    shape = text.translate(_SHAPE)
    at = shape.find(_RUN)
    if at < 0:
        return
    from binascii import a2b_base64

    while at >= 0:
        end = _end(shape, at)
        head = a2b_base64(text[at : at + SHORTEST].translate(_STANDARD))
        skipped = 0 if _is_readable(head) else _readable_from(text[at:end]) if end - at > 1024 else -1
        if skipped >= 0:
            run, end = _wrapped(text, shape, at + skipped, end)
            yield at, _decoded(run)
        at = shape.find(_RUN, end)


def _end(shape: bytes, start: int) -> int:
    """Where the digits end that stand at `start`."""
    end = shape.find(b" ", start)
    return len(shape) if end < 0 else end


def _wrapped(text: bytes, shape: bytes, start: int, end: int) -> tuple[bytes, int]:
    """The run and its end, with the lines that go on with it, all of digits."""
    found, width = [text[start:end]], end - start
    while width % 4 == 0 and text[end : end + 1] == b"\n":
        begin = _past_spaces(text, end + 1)
        stop = _end(shape, begin)
        if stop == begin or text[stop : stop + 1] not in b"\n=\"'":
            break
        found.append(text[begin:stop])
        end = stop
    return b"".join(found), end


def _past_spaces(text: bytes, at: int) -> int:
    while text[at : at + 1] in (b" ", b"\t"):
        at += 1
    return at


def _readable_from(run: bytes) -> int:
    """How many digits to leave out so that the rest is something to read, -1 where it is nothing.

    A very long run may be the rest of a line that was cut: then its first digits belong to what stood before.
    """
    for skipped in (1, 2, 3):
        if _is_readable(_decoded(run[skipped : skipped + SHORTEST])):
            return skipped
    return -1


def _decoded(run: bytes) -> bytes:
    from binascii import a2b_base64

    whole = run[: len(run) - (len(run) % 4 == 1)]
    return a2b_base64(whole.translate(_STANDARD) + b"=" * (-len(whole) % 4))


def _is_readable(head: bytes) -> bool:
    """Whether 30 bytes are the beginning of a text, of one in UTF-16, or of an archive."""
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls <= 3 and len(head.translate(None, _PRINTABLE)) * 10 <= len(head):
        return True
    if controls > 1 or head.startswith(_PACKED):
        wide = 13 <= head.count(0) <= 17
        return head.startswith(_PACKED) or (wide and _is_readable(head.replace(b"\0", b"")))
    text = head.decode("utf-8", "ignore")
    readable = sum(each.isprintable() or each.isspace() for each in text)
    return len(text.encode()) >= len(head) - 3 and readable >= len(text) - 1
