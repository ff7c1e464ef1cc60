"""Bytes as text: encodings, line ends, and parts that memory can hold."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PART = 2 << 20
"""About as many bytes are scanned at once. A line may be longer than that, and is cut then."""

_BACK = 1 << 16
"""So far before the end of a part a good place for a cut is looked for."""

_OVERLAP = 4096
"""What two parts share where a line offers no place for a cut."""

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32-le"),  # before UTF-16, whose mark it begins with
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_CONTROLS = bytes({*range(1, 32), 127} - {*b"\t\n\v\f\r\x1b"})
_SEPARATORS = (b";", b'",', b"',", b"}", b", ", b"&", b" ", b"\t")
_FIRST_OF_BOMS = (b"\xef\xbb", b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe")
_OPENING = b":=\\([{|->"
_KEY_BEGINS, _KEY_ENDS = b"-----BEGIN", b"-----END"


def encoding(head: bytes) -> tuple[str, int]:
    """How the bytes that begin with `head` are written: "utf-8" (or near enough), another codec, "" for binary.

    Also the length of the byte order mark. A text may hold single NUL bytes.
    """
    if head.startswith(_FIRST_OF_BOMS):
        for mark, codec in _BOMS:
            if head.startswith(mark):
                return codec, len(mark)
    sample = head[:4096]
    zeros = sample.count(0)
    if zeros and (codec := _wide(sample)):
        return codec, 0
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    is_text = controls * 20 <= len(sample) and zeros * 8 <= len(sample)
    return ("utf-8" if is_text else ""), 0


def _wide(sample: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: most of its text is ASCII, and the NUL bytes stand in the same places."""
    for codec, width, rest in (
        ("utf-32-le", 4, (1, 2, 3)),
        ("utf-32-be", 4, (0, 1, 2)),
        ("utf-16-le", 2, (1,)),
        ("utf-16-be", 2, (0,)),
    ):
        whole = sample[: len(sample) // width * width]
        share = min(whole[place::width].count(0) for place in rest) * width / max(len(whole), 1)
        if share > 0.4 and _is_readable(whole.decode(codec, "replace")):
            return codec
    return ""


def _is_readable(text: str) -> bool:
    bad = sum(not (each.isprintable() or each.isspace()) or each == "\ufffd" for each in text)
    return bad * 20 <= len(text)


def is_plain(text: bytes) -> bool:
    """Whether `lines` would leave a text in UTF-8 as it is."""
    return b"\r" not in text and b"\0" not in text


def decoded(blocks: "Iterable[bytes]", codec: str) -> "Iterator[bytes]":
    """The same text in UTF-8; what is not valid becomes U+FFFD."""
    import codecs

    decoder = codecs.getincrementaldecoder(codec)("replace")
    for block in blocks:
        yield decoder.decode(block).encode()
    yield decoder.decode(b"", True).encode()


def lines(blocks: "Iterable[bytes]") -> "Iterator[bytes]":
    """The same text with "\\n" line ends: for CRLF, and for CR where a text has no other; NUL becomes a space."""
    held, only_returns = b"", None
    for each in blocks:
        block = held + each if held else each
        held = b""
        if only_returns is None and block:
            only_returns = b"\n" not in block
        if b"\r" in block:
            if block.endswith(b"\r"):
                block, held = block[:-1], b"\r"
            block = block.replace(b"\r\n", b"\n")
            if only_returns:
                block = block.replace(b"\r", b"\n")
        yield block.replace(b"\0", b" ") if b"\0" in block else block
    if held:
        yield b"\n"


def parts(blocks: "Iterable[bytes]") -> "Iterator[tuple[bytes, int]]":
    """The text in parts of about PART bytes, each with the number of its first line.

    A cut stands at a line end, and not inside a key block or between a name and its value on the next line; so
    nothing is in two parts. A line longer than a part is cut behind a separator. Only where it has none for 64 kB the
    next part begins 4 kB before the cut, and what stands there is in both.
    """
    held, first = b"", 1
    for block in blocks:
        held = held + block if held else block
        while len(held) > PART:
            end, begin = _cut(held)
            yield held[:end], first
            first += held.count(b"\n", 0, begin)
            held = held[begin:]
    if held:
        yield held, first


def _cut(text: bytes) -> tuple[int, int]:
    """Where the part ends that `text` begins with, and where the next one begins."""
    low = PART - _BACK
    end = text.rfind(b"\n\n", low, PART) + 2
    if end < 2:
        end = text.rfind(b"\n", low, PART) + 1
        if not end:
            return _cut_in_line(text)
    key = text.rfind(_KEY_BEGINS, low, end)
    if key >= 0 and text.find(_KEY_ENDS, key, end) < 0:
        end = text.rfind(b"\n", 0, key) + 1 or key
    while end > low and opens(text[text.rfind(b"\n", 0, end - 1) + 1 : end]):
        end = text.rfind(b"\n", 0, end - 1) + 1
    return end, end


def _cut_in_line(text: bytes) -> tuple[int, int]:
    for separator in _SEPARATORS:
        if (at := text.rfind(separator, PART - _BACK, PART)) >= 0:
            return at + len(separator), at + len(separator)
    return PART, PART - _OVERLAP


def opens(line: bytes) -> bool:
    """Whether a line is a name whose value stands on the next: `password:`, `key = (`, `<key>password</key>`."""
    bare = line.strip()
    if not bare or bare[-1] not in _OPENING:
        return False
    if bare.endswith((b":", b"=", b"= \\", b"(", b"[", b"{", b": |", b": >", b": |-", b": >-", b"</key>")):
        return True
    return bare.startswith(b"<") and bare.endswith(b">") and bare.count(b"<") == 1
