"""The file of known values as bytes: what is readable without its key, what is not, and how damage is noticed.

    magic 16 | nonce 16 | state 16 | key check 16 | size 8 | seal 32 | sections, each under its own key stream

Everything after the head is masked by a BLAKE2b counter stream of the key and a nonce that each writing draws anew, so
that two files cannot be compared; the seal is a keyed BLAKE2b of all the rest.
"""

import os
import stat
from _blake2 import blake2b

from chronos_secrets.scan.found import Trouble

INDEX_NAME, KEY_NAME = "known.idx", "known.key"
MAGIC = b"chronos-known 1\n"
KEY_SIZE, NONCE_SIZE, HEAD_SIZE = 32, 16, 104
_LIMIT = 1 << 28  # bytes; a larger file is none of ours
BLOCK = 64  # bytes of one digest of the stream


class WrongKey(Trouble):
    """The key does not belong to the index."""


def keyed(key: bytes, purpose: bytes, content: bytes, size: int = 16) -> bytes:
    """A keyed fingerprint of `size` bytes; one of another purpose (at most 16 bytes) tells nothing about it."""
    return blake2b(content, key=key, person=purpose, digest_size=size).digest()


def stream(key: bytes, nonce: bytes, section: bytes, first: int, count: int) -> bytes:
    """`count` blocks of the mask of one section, from block `first`."""
    start = blake2b(key=key, salt=nonce, person=section)
    blocks = []
    for number in range(first, first + count):
        block = start.copy()
        block.update(number.to_bytes(8, "little"))
        blocks.append(block.digest())
    return b"".join(blocks)


def masked(key: bytes, nonce: bytes, section: bytes, content: bytes) -> bytes:
    """The content under the mask; done twice it is the content."""
    return mixed(content, stream(key, nonce, section, 0, -(-len(content) // BLOCK))[: len(content)])


def mixed(content: "bytes | memoryview", mask: bytes) -> bytes:
    """The exclusive-or of two texts of one length."""
    return (int.from_bytes(content, "little") ^ int.from_bytes(mask, "little")).to_bytes(len(mask), "little")


def seal(key: bytes, nonce: bytes, state: bytes, body: bytes) -> bytes:
    """The whole file around a body that is masked already. `state` (any bytes) says what it was made from."""
    head = MAGIC + nonce + keyed(key, b"state", state) + keyed(key, b"check", nonce)
    head += (HEAD_SIZE + len(body)).to_bytes(8, "little")
    return head + _seal_of(key, head, body) + body


def opened(key: bytes, content: bytes) -> "tuple[bytes, memoryview]":
    """Nonce and masked body of a file. Raises WrongKey, Trouble for bytes that are not what was written."""
    if len(content) < HEAD_SIZE or not content.startswith(MAGIC):
        raise Trouble("it is cut short, or was written by another version")
    nonce = content[16:32]
    if keyed(key, b"check", nonce) != content[48:64]:
        raise WrongKey("its key is another one's")
    body = memoryview(content)[HEAD_SIZE:]
    if _seal_of(key, content[:72], body) != content[72:HEAD_SIZE]:
        raise Trouble("it is damaged")
    return nonce, body


def is_current(index: str, key: str, state: bytes) -> bool:
    """Whether the files are whole, belong together and were made from `state`. Reads the head only; never raises."""
    try:
        secret = read(key, KEY_SIZE)
        head = read(index, HEAD_SIZE)
        size = os.stat(index).st_size
    except (OSError, Trouble):
        return False
    if len(secret) != KEY_SIZE or len(head) != HEAD_SIZE or not head.startswith(MAGIC):
        return False
    belongs = keyed(secret, b"check", head[16:32]) == head[48:64]
    return belongs and head[32:48] == keyed(secret, b"state", state) and head[64:72] == size.to_bytes(8, "little")


def read(path: str, most: int = _LIMIT) -> bytes:
    """At most `most` bytes of a regular file. Raises OSError, and Trouble for what is no such file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not keep a hook for ever
    with open(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LIMIT:
            raise Trouble("it is no file of ours")
        content = file.read(min(most, status.st_size))
    return content or b""


def stamp_of(path: str) -> str:
    """What changes when a file is saved, as far as it can be seen without reading it. Raises OSError."""
    status = os.stat(path)
    return f"{status.st_mtime_ns} {status.st_size}"


def packed(texts: "list[str]") -> bytes:
    """Texts, each behind its length."""
    encoded = [text.encode("utf-8", "surrogateescape") for text in texts]
    return b"".join(len(text).to_bytes(4, "little") + text for text in encoded)


def unpacked(content: bytes) -> "list[str]":
    """The texts that `packed` was given."""
    texts, at = [], 0
    while at < len(content):
        end = at + 4 + int.from_bytes(content[at : at + 4], "little")
        texts.append(content[at + 4 : end].decode("utf-8", "surrogateescape"))
        at = end
    return texts


def _seal_of(key: bytes, head: bytes, body: "bytes | memoryview") -> bytes:
    seal = blake2b(head, key=key, person=b"seal", digest_size=32)
    seal.update(body)
    return seal.digest()
