"""A stream of any size with its secrets masked: `[RULE]` stands where one stood, every other byte stays as it is.

What has gone out cannot be taken back, so text is kept until nothing that begins in it can still be growing: a line
until its end, a private key until its last line, and in a busy stream always the last `_HELD` bytes.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from chronos_secrets.scan.found import Match

_CHUNK = 1 << 20  # bytes taken in before something goes out, in a stream that does not pause
_HELD = 1 << 16  # bytes of the end that are kept then: more than any private key or token has
_REMEMBERED = 1 << 13  # bytes that have gone out and still tell what follows them: the name before a value
_QUIET = 5  # lines without key text after which a key that has begun is taken for a mention of one
_OPENERS = (b"PRIVATE KEY", b"PuTTY-User-Key-File-")
_KEY_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
_LEAST_KEY_TEXT = 24


class Redactor:
    """Masks what `matches` finds in a stream: `Scanner.matches`, say. Holds about three times `_CHUNK` at most."""

    def __init__(self, matches: "Callable[[bytes], list[Match]]") -> None:
        self._matches = matches
        self._remembered = b""
        self._waiting: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        """Take in bytes; returns what can go out by now, masked, which may be nothing."""
        self._waiting.append(data)
        self._size += len(data)
        if self._size < _CHUNK:
            return b""
        text = self._all()
        return self._release(text, _after_line(text, len(text) - _HELD))

    def pause(self) -> bytes:
        """The stream pauses: whole lines go out, unless a private key has begun in them."""
        text = self._all()
        stop = min(text.rfind(b"\n") + 1, _open_key(text))
        return self._release(text, stop) if stop else b""

    def end(self) -> bytes:
        """The stream has ended: all that is left."""
        text = self._all()
        return self._release(text, len(text))

    def _all(self) -> bytes:
        text = b"".join(self._waiting)
        self._waiting = [text] if text else []
        return text

    def _release(self, text: bytes, stop: int) -> bytes:
        """`text` up to `stop`, masked; a match that crosses it moves it to where the match begins, or else ends."""
        past = len(self._remembered)
        whole = self._remembered + text
        stop += past
        found = [match for match in self._matches(whole) if match.end > past]
        for match in found:
            if match.start < stop < match.end:
                stop = match.start if match.start > past else match.end
        out = masked(whole, [match for match in found if match.end <= stop], past, stop)
        self._remembered = whole[_line_start(whole, max(0, stop - _REMEMBERED), stop) : stop]
        self._waiting = [whole[stop:]]
        self._size = len(whole) - stop
        return out


def masked(text: bytes, found: "list[Match]", start: int, stop: int) -> bytes:
    """`text` from `start` to `stop`, with `[RULE]` for each of the matches in it; `found` is in order."""
    parts: list[bytes] = []
    at = start
    for match in found:
        parts += [text[at : match.start], b"[%s]" % match.rule.encode()]
        at = max(at, match.end)
    return b"".join((*parts, text[at:stop]))


def _after_line(text: bytes, stop: int) -> int:
    """The end of the last line that ends before `stop`, where there is one not too far off."""
    return text.rfind(b"\n", max(0, stop - _HELD), stop) + 1 or stop


def _line_start(text: bytes, at: int, stop: int) -> int:
    """The beginning of the first line from `at`, so that no half of a word is remembered; `at` where none begins."""
    return at and (text.find(b"\n", at, stop) + 1 or at)


def _open_key(text: bytes) -> int:
    """Where the line begins in which a private key begins that has no end yet; else the length of the text."""
    at = max(text.rfind(opener) for opener in _OPENERS)
    line = text.rfind(b"\n", 0, max(at, 0)) + 1
    after = text[max(at, 0) : at + _HELD]
    begins = at >= 0 and (b"BEGIN" in text[line:at] or after.startswith(_OPENERS[1]))
    ends = b"-----END" in after or b"Private-MAC:" in after or len(text) - at > _HELD
    return line if begins and not ends and not _is_mention(after.split(b"\n")[1:]) else len(text)


def _is_mention(lines: list[bytes]) -> bool:
    """Whether the lines after such words go on with something else. Lines may have a prefix, as those of a log do."""
    quiet = 0
    for line in lines[:-1]:
        word = max(line.split(), key=len, default=b"").replace(b"\\n", b"").strip(b"\"',\\")
        is_key = len(word) >= _LEAST_KEY_TEXT and _KEY_LETTERS.issuperset(word)
        quiet = 0 if is_key else quiet + 1
        if quiet >= _QUIET:
            return True
    return False
