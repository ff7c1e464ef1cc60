"""Private keys in text: PEM of every kind (RFC 7468, RFC 1421), OpenSSH, OpenPGP (RFC 9580), PuTTY, JSON Web Key.

A block counts when its body is really base64: a marker in source code, an ellipsis or an empty body is no key. Blocks
are met indented, quoted, cited, as the added lines of a diff, on one line with `\\n` written out, and cut off.
"""

import re

from chronos_secrets.scan.checks import decoded, looks_generated
from chronos_secrets.scan.found import CERTAIN, LIKELY, Match

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_LEAST = 60  # base64 characters; the shortest whole key, Ed25519 in PKCS #8, has 64
_LEAST_PUTTY = 40  # an Ed25519 key's private half alone
_FULL = 16  # characters; no program wraps at less
_MOST = 256 * 1024  # bytes; an OpenPGP key with photographs may be large
_BEGIN = re.compile(rb"-{4,5} ?BEGIN ([A-Z0-9][A-Z0-9 -]{0,40} )?PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_END = re.compile(rb"-{4,5} ?END [A-Z0-9 -]{0,41}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_LINE_END = re.compile(rb"\r?\n|\r|(?:\\{1,4}r)?\\{1,4}n")
_HEADER = re.compile(rb"[A-Za-z][A-Za-z0-9-]{2,30}: ")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{1,}={0,3}|=[A-Za-z0-9+/]{4}")
_MARGIN = b" \t>|*#+\"'`,;([{"  # what stands before a line of a block: indentation, quotes, citation, diff, list
_AFTER = b" \t\"'`,;)]}\\.&|<"  # and behind it, where a plus sign may also join strings
_JOINED = (b'" +', b"' +", b'"+', b"'+")
_LITERAL_PREFIX = re.compile(rb"[bBrRuU]{1,2}[\"']|//+ |@?\"")

_PUTTY = re.compile(rb"Private-Lines: ?(\d{1,4})\b")
_PUTTY_START = re.compile(rb"PuTTY-User-Key-File-\d")
_PUTTY_END = re.compile(rb"Private-(?:MAC|Hash): ?[0-9a-fA-F]{40,64}")

_JWK_KIND = re.compile(rb"""kty\\?["']?\s{0,4}(?::|=>?|,)\s{0,4}\\?["'](oct|RSA|EC|OKP)\\?["']""")
_JWK_MEMBER = re.compile(
    rb"""(?<![A-Za-z0-9_-])(k|d)\\?["']?\s{0,4}(?::|=>?|,)\s{0,4}\\?["']([A-Za-z0-9_-]{22,2048})={0,2}\\?["']"""
)
_JWK_REACH = 16 * 1024  # bytes to either side in which the object's braces must stand


def find(text: bytes) -> list[Match]:
    """Every private key block in `text`, from its BEGIN to its END, or to its last line where it is cut off."""
    return [*_pem(text), *_putty(text)]


def _pem(text: bytes) -> "Iterator[Match]":
    at = text.find(b"BEGIN ")
    while at >= 0:
        begin = _BEGIN.match(text, max(0, at - 5)) or _BEGIN.match(text, max(0, at - 6))
        match = _block(text, begin) if begin else None
        if match:
            yield match
        at = text.find(b"BEGIN ", match.end if match else at + 6)


def _block(text: bytes, begin: "re.Match[bytes]") -> Match | None:
    """The key that begins here, if a body follows."""
    stop = min(begin.end() + _MOST, len(text))
    again = text.find(b"BEGIN ", begin.end(), stop)  # an END behind it belongs to that block
    end = _END.search(text, begin.end(), again if again >= 0 else stop)
    headers, body, last = _body(text, begin.end(), end.start() if end else again if again >= 0 else stop)
    if len(body) < _LEAST or not _looks_encoded(body):
        return None
    finish = end.end() if end else last
    level, reason = _told(begin[1] or b"", headers, body)
    return Match("private-key", level, begin.start(), finish, text[begin.start() : finish], reason)


def _body(text: bytes, start: int, stop: int) -> tuple[bytes, bytes, int]:
    """Header lines, base64 joined together, and where its last line ends; it ends at the first line that is neither."""
    headers, body, last, at = b"", bytearray(), start, start
    whole = True  # whether lines were full so far: a short one is the last
    while at < stop:
        line_end = _LINE_END.search(text, at, stop)
        until = line_end.start() if line_end else stop
        line = _stripped(text[at:until])
        if _HEADER.match(line):
            headers += line + b"\n"
        elif line:
            if not _is_base64(line) or not (whole or line.startswith(b"=")):
                break
            whole = len(line) >= _FULL
            last = at + len(_ended(text[at:until]))
            body += line.replace(b" ", b"")
        at = line_end.end() if line_end else stop
    return headers, bytes(body), last


def _stripped(line: bytes) -> bytes:
    """A line of a block without what its surroundings put around it."""
    line = line.replace(b"\\/", b"/").lstrip(_MARGIN)
    prefix = _LITERAL_PREFIX.match(line)
    return _ended(line[prefix.end() :] if prefix else line)


def _ended(line: bytes) -> bytes:
    line = line.rstrip(_AFTER)
    return line[:-1].rstrip(_AFTER) if line.endswith(_JOINED) else line


def _is_base64(line: bytes) -> bool:
    """Base64, also in several words: some programs join the lines of a block with spaces."""
    words = line.split()
    return all(_BASE64.fullmatch(word) for word in words) and all(len(word) >= _FULL for word in words[:-1])


def _looks_encoded(body: bytes) -> bool:
    """Base64 of random bytes: many characters, of every kind, none of them all over."""
    start = body[:400]
    kinds = (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz", b"0123456789")
    spread = len(set(start)) >= 20 and max(start.count(code) for code in set(start)) < len(start) * 0.3
    return spread and all(start.translate(None, kind) != start for kind in kinds)


def _told(label: bytes, headers: bytes, body: bytes) -> tuple[str, str]:
    """Level and reason."""
    raw = decoded(body[: min(len(body), 80) // 4 * 4]) or b""
    known = raw.startswith((b"openssh-key-v1\0", b"\x3f\x6f\xf9\xeb")) or raw[:1] == b"\x30"
    known = known or (b"PGP" in label and raw[:1] >= b"\x80") or b"ENCRYPTED" in headers
    cipher = raw[19:35].split(b"\0")[0] if raw.startswith(b"openssh-key-v1\0") else b""
    encrypted = b"ENCRYPTED" in label + headers or cipher not in (b"", b"none")
    kind = " ".join(label.decode("ascii").split()).removeprefix("ENCRYPTED").strip()
    name = f"{kind} private key" if kind else "private key"
    return CERTAIN if known else LIKELY, f"encrypted {name}: as strong as its passphrase" if encrypted else name


def _putty(text: bytes) -> "Iterator[Match]":
    """https://the.earth.li/~sgtatham/putty/latest/htmldoc/AppendixC.html"""
    counts = list(_PUTTY.finditer(text)) if b"Private-Lines:" in text else []
    ends = [*(count.start() for count in counts[1:]), len(text)]
    for lines, end in zip(counts, ends, strict=False):
        stop = min(lines.end() + 80 * int(lines[1]) + 1024, end)
        mac = _PUTTY_END.search(text, lines.end(), stop)
        _, body, last = _body(text, lines.end(), stop)
        if len(body) < _LEAST_PUTTY or not looks_generated(body[:64]):
            continue
        starts = [found.start() for found in _PUTTY_START.finditer(text, max(0, lines.start() - 8192), lines.start())]
        start, finish = starts[-1] if starts else lines.start(), mac.end() if mac else last
        encrypted = re.search(rb"Encryption: ?aes", text[start : lines.start()])
        reason = "encrypted PuTTY private key: as strong as its passphrase" if encrypted else "PuTTY private key"
        yield Match("private-key", CERTAIN, start, finish, text[start:finish], reason)


def find_jwk(text: bytes) -> "Iterator[Match]":
    """The private member of every JSON Web Key (RFC 7517, RFC 7518): `k` of a symmetric key, `d` of the others."""
    kinds = list(_JWK_KIND.finditer(text))
    ends = [0, *(kind.end() for kind in kinds)]
    begins = [*(kind.start() for kind in kinds[1:]), len(text)]
    for kind, end_before, begin_after in zip(kinds, ends, begins, strict=False):  # an object has one kind
        least, most = max(end_before, kind.start() - _JWK_REACH), min(begin_after, kind.end() + _JWK_REACH)
        start, stop = text.rfind(b"{", least, kind.start()), text.find(b"}", kind.end(), most)
        for member in _JWK_MEMBER.finditer(text, max(start, least), stop if stop >= 0 else most):
            if (member[1] == b"k") == (kind[1] == b"oct") and looks_generated(member[2]):
                reason = f"private member of a JSON Web Key ({kind[1].decode('ascii')})"
                yield Match("jwk", CERTAIN, member.start(2), member.end(2), member[2], reason)
