"""From a password and a key file to the key of one KDBX file.

We derive the key ourselves and hand it to pykeepass: its AES-KDF is a Python loop (7 CPU seconds for the file that
`keepassxc-cli db-create` makes; 0.2 here), and one derivation then serves opening, saving and reading back.
"""

import base64
import binascii
import hashlib
import hmac
import re
from typing import NamedTuple

from chronos_secrets.errors import VaultLocked, VaultUnreadable
from chronos_secrets.secret import Secret

MEBIBYTE = 1024 * 1024
_MEMORY_LIMIT = 4096 * MEBIBYTE
# A damaged or hostile header must not keep us for hours: these are about a minute of one processor.
_ROUNDS_LIMIT = 2**31 - 2  # of AES; KeePassXC refuses more, too
_WORK_LIMIT = 65536 * MEBIBYTE  # of Argon2: memory times passes
_BLOCKS_AT_ONCE = 8192  # of 16 bytes: small enough for the processor's cache, large enough to hide the call

_XML_KEY = re.compile(
    rb"<KeyFile[^>]*>.*<Version>\s*(?P<version>[0-9.]+)\s*</Version>.*"
    rb"<Data(?:\s+Hash=\"(?P<hash>[0-9A-Fa-f]+)\")?\s*>(?P<data>[^<]*)</Data>.*</KeyFile>",
    re.DOTALL,
)


class Kdf(NamedTuple):
    """How one file turns its composite key into the transformed key.

    `algorithm` is "aes", "argon2d" or "argon2id"; `rounds` are AES rounds or Argon2 iterations, `memory` is in bytes.
    """

    algorithm: str
    salt: bytes
    rounds: int
    memory: int = 0
    lanes: int = 1
    version: int = 0x13


class Fingerprint(NamedTuple):
    """A hash of a key file: how it was made, and its hex digits."""

    algorithm: str
    digits: str


class MasterKey:
    """What opens the vault: a password, a key file, or both."""

    def __init__(self, password: Secret | None, key_file: bytes | None = None) -> None:
        if password is None and key_file is None:
            raise VaultLocked("neither a password nor a key file was given")
        self._password = b"" if password is None else hashlib.sha256(password.reveal_bytes()).digest()
        parts = self._password
        if key_file is not None:
            parts += key_file_key(key_file)
        self._composite = hashlib.sha256(parts).digest()
        self._derived: tuple[Kdf, bytes] | None = None

    def has_password(self, value: Secret) -> bool:
        """Whether a value is the password of this key."""
        return hmac.compare_digest(self._password, hashlib.sha256(value.reveal_bytes()).digest())

    def derive(self, kdf: Kdf) -> bytes:
        """The transformed key (32 bytes) for `kdf`. Raises VaultUnreadable for parameters no honest file has.

        The last result is kept: it is a pure function of the composite key and of everything in `kdf`, salt included,
        so a key can never be used with another file's salt.
        """
        if self._derived is None or self._derived[0] != kdf:
            self._derived = (kdf, _transform(kdf, self._composite))
        return self._derived[1]


def key_file_key(content: bytes) -> bytes:
    """The 32-byte key of a key file: KeePass XML 1.0 or 2.0, 32 raw bytes, 64 hex digits, or any file's SHA-256.

    Raises VaultUnreadable for an XML key file whose own check value does not match.
    """
    found = _XML_KEY.search(content)
    if found:
        return _xml_key(found["version"], found["data"], found["hash"])
    if len(content) == 32:
        return content
    if len(content) == 64 and re.fullmatch(rb"[0-9A-Fa-f]{64}", content):
        return bytes.fromhex(content.decode("ascii"))
    return hashlib.sha256(content).digest()


def fingerprint(content: bytes) -> Fingerprint:
    """By which a key file is known again, and nothing of its key is given away.

    It is SHA-256, but SHA-512 for a file that KeePass did not make: there the key is the SHA-256.
    """
    if key_file_key(content) != hashlib.sha256(content).digest():
        return Fingerprint("SHA-256", hashlib.sha256(content).hexdigest())
    return Fingerprint("SHA-512", hashlib.sha512(content).hexdigest())


def _xml_key(version: bytes, data: bytes, check: bytes | None) -> bytes:
    try:
        if version.startswith(b"1."):
            return base64.b64decode(data, validate=False)
        key = bytes.fromhex(data.decode("ascii"))
    except (binascii.Error, ValueError) as error:
        raise VaultUnreadable("the key file is damaged: its data cannot be decoded") from error
    if check is not None and hashlib.sha256(key).hexdigest()[:8] != check.decode("ascii").lower():
        raise VaultUnreadable("the key file is damaged: its check value does not match its data")
    return key


def _transform(kdf: Kdf, composite: bytes) -> bytes:
    if kdf.algorithm == "aes":
        return _aes(kdf.salt, kdf.rounds, composite)
    return _argon2(kdf, composite)


def _argon2(kdf: Kdf, composite: bytes) -> bytes:
    from argon2.exceptions import HashingError
    from argon2.low_level import Type, hash_secret_raw

    if kdf.memory > _MEMORY_LIMIT:
        raise VaultUnreadable(f"the vault asks for {kdf.memory // MEBIBYTE} MiB of memory to open; 4096 is our limit")
    if kdf.memory * kdf.rounds > _WORK_LIMIT:
        raise VaultUnreadable(f"the vault asks for {kdf.rounds} passes of Argon2, which would take more than a minute")
    kind = Type.ID if kdf.algorithm == "argon2id" else Type.D
    try:
        derived: bytes = hash_secret_raw(
            composite, kdf.salt, kdf.rounds, kdf.memory // 1024, kdf.lanes, hash_len=32, type=kind, version=kdf.version
        )
    except (HashingError, OverflowError) as error:
        raise VaultUnreadable("the vault's key derivation settings are impossible") from error
    return derived


def _aes(seed: bytes, rounds: int, composite: bytes) -> bytes:
    """`rounds` times AES-ECB of both halves. Iterating x -> E(x) is CBC over zero blocks with x as the IV."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    if rounds > _ROUNDS_LIMIT:
        raise VaultUnreadable(f"the vault asks for {rounds} rounds of AES, which would take more than a minute")
    if len(seed) != 32:
        raise VaultUnreadable("the vault's key derivation settings are impossible")
    halves = []
    for half in (composite[:16], composite[16:]):
        encryptor = Cipher(algorithms.AES(seed), modes.CBC(half)).encryptor()
        zeros, out = bytes(16 * _BLOCKS_AT_ONCE), bytearray(16 * _BLOCKS_AT_ONCE + 15)
        last, left = half, rounds
        while left > 0:
            size = 16 * min(left, _BLOCKS_AT_ONCE)
            encryptor.update_into(memoryview(zeros)[:size], out)
            last, left = bytes(out[size - 16 : size]), left - size // 16
        halves.append(last)
    return hashlib.sha256(b"".join(halves)).digest()
