"""The lines of a private key file that only its owner has.

A private key holds its public half, too, and begins with what every key of its kind begins with. Whoever looks for one
of those lines would find each `.pub` file, so they are told apart: by the layout of OpenSSH's format (its PROTOCOL.key)
and by the first long number and the bit strings of a DER structure (RFC 8017, 5915, 5958).
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY)-----\n(.*?)-----END", re.DOTALL)
_PUTTY = re.compile(rb"^Private-Lines: ([0-9]{1,4})\n((?:[A-Za-z0-9+/=]+\n)+)", re.MULTILINE)
_AGE = re.compile(rb"^AGE-SECRET-KEY-1[A-Z0-9]{40,80}", re.MULTILINE)
_MARKS = (b"PRIVATE KEY", b"PuTTY-User-Key-File-", b"AGE-SECRET-KEY-1")
_OPENSSH = b"openssh-key-v1\0"
_LEAST = 16  # characters of a line that is worth looking for
_FEW = 8  # bytes of a line that are no reason to look for the rest of it
_DEPTH = 8


def is_key(content: bytes) -> bool:
    """Whether a file holds a private key in a text format that is known here."""
    return any(mark in content for mark in _MARKS)


def secret_lines(content: bytes) -> list[tuple[int, bytes]]:
    """The lines of each private key in a text that are secret, with their numbers, without white space around them.

    Keys within JSON or a variable are found, too: a line end that is written as \\n counts as one. Nothing is given of
    OpenPGP keys, whose lines stand in the public key as well.
    """
    text = content.replace(b"\\r", b"").replace(b"\\n", b"\n").replace(b"\r", b"")
    secret = {line for block in _PEM.finditer(text) for line in _of_pem(block[2].split(b"\n"))}
    secret |= {line for block in _PUTTY.finditer(text) for line in block[2].split()[: int(block[1])]}
    secret |= {found[0] for found in _AGE.finditer(text)}
    numbered = ((number, line.strip()) for number, line in enumerate(text.split(b"\n"), 1))
    return [(number, line) for number, line in numbered if line in secret and len(line) >= _LEAST]


def _of_pem(lines: list[bytes]) -> Iterator[bytes]:
    body = [line.strip() for line in lines if line.strip() and b":" not in line]  # PEM's own headers have a colon
    try:
        decoded = base64.b64decode(b"".join(body), validate=True)
    except (binascii.Error, ValueError):
        return iter(body)
    return _private(body, decoded, *_public_of(decoded))


def _private(body: list[bytes], decoded: bytes, head: int, public: list[bytes]) -> Iterator[bytes]:
    """The lines that have more than a few bytes behind the first `head` ones and outside of every public part."""
    at = 0
    for line in body:
        first, end = -(-at * 6 // 8), (at + len(line)) * 6 // 8
        at += len(line)
        most = decoded[first : end - _FEW], decoded[first + _FEW : end]
        if end > head + _FEW and not any(text in part for text in most for part in public):
            yield line


def _public_of(decoded: bytes) -> tuple[int, list[bytes]]:
    """How many bytes at the beginning are no secret, and what is public wherever it stands."""
    if decoded.startswith(_OPENSSH):
        return _openssh(decoded)
    return 0, list(_der(decoded, _DEPTH))


def _openssh(decoded: bytes) -> tuple[int, list[bytes]]:
    """Four strings (cipher, derivation, its options, the public key), a number before the last one."""
    at = len(_OPENSSH)
    for skipped in (0, 0, 4):
        at += 4 + int.from_bytes(decoded[at : at + 4], "big") + skipped
    end = at + 4 + int.from_bytes(decoded[at : at + 4], "big")
    return end, [decoded[at + 4 : end]]


def _der(content: bytes, depth: int) -> Iterator[bytes]:
    """Bit strings, and of each sequence the first number that is too long to be a version: RSA's modulus."""
    number = False
    for tag, value in _elements(content):
        if tag == 0x02 and len(value) > 32 and not number:
            number = True
            yield value
        elif tag == 0x03:
            yield value
        elif depth and tag in {0x30, 0x04, 0xA0, 0xA1}:
            yield from _der(value, depth - 1)


def _elements(content: bytes) -> Iterable[tuple[int, bytes]]:
    """Tag and value of each element; nothing more from the first one that does not fit."""
    at = 0
    while at + 2 <= len(content):
        tag, length, start = content[at], content[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            start += size
            length = int.from_bytes(content[at + 2 : start], "big") if size <= 4 else len(content)
        if start + length > len(content):
            return
        yield tag, content[start : start + length]
        at = start + length
