"""New secrets of our own choice."""

import secrets
import string
from typing import TYPE_CHECKING, NamedTuple

from chronos_secrets.errors import Refused
from chronos_secrets.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization.ssh import SSHPrivateKeyTypes

ALPHABET = string.ascii_letters + string.digits + "-_.~"
"""The unreserved characters of RFC 3986: no URL, configuration file or connection string needs them quoted."""
LEAST_LENGTH = 20
"""66 characters are 6.04 bits each: 20 of them are 120 bits, which nobody guesses."""
DEFAULT_LENGTH = 32


class KeyPair(NamedTuple):
    """An SSH key: the private one in OpenSSH's format, without a passphrase; the line for authorized_keys (type and
    key, without a comment); and its fingerprint as OpenSSH writes it ("SHA256:...")."""

    private: Secret
    public: str
    fingerprint: str


def password(length: int = DEFAULT_LENGTH) -> Secret:
    """A random password of `length` characters of `ALPHABET`. Raises Refused for less than `LEAST_LENGTH`.

    No class of characters is forced into it: every forced one makes fewer passwords possible, and a policy that wants
    one is met by a longer password of another alphabet, not by a weaker draw from this one.
    """
    if length < LEAST_LENGTH:
        raise Refused(
            f"a password of {length} characters could be guessed",
            hint=f"in inventory.yaml: generate: {{length: {DEFAULT_LENGTH}}}    # at least {LEAST_LENGTH}",
        )
    return Secret("".join(secrets.choice(ALPHABET) for _ in range(length)))


def ed25519() -> KeyPair:
    """A new ed25519 key."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return KeyPair(Secret(private), *_told(key))


def public(private: Secret) -> tuple[str, str]:
    """The public line and the fingerprint of a private key in OpenSSH's or PEM form.

    Raises Refused for one with a passphrase, and for what is no key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    content = private.reveal_bytes()
    load = serialization.load_ssh_private_key if b"OPENSSH" in content[:64] else serialization.load_pem_private_key
    try:
        return _told(load(content, None))  # type: ignore[arg-type]  # what has no SSH form raises ValueError there
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # the library's own words may hold some of what it was given
        raise Refused("the private key cannot be read: it has a passphrase, or is none") from None


def _told(key: "SSHPrivateKeyTypes | Ed25519PrivateKey") -> tuple[str, str]:
    """The public line and the fingerprint, as OpenSSH writes them: SHA-256, base64 without padding."""
    import base64
    import hashlib

    from cryptography.hazmat.primitives import serialization

    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    blob = base64.b64decode(line.split()[1])
    return line, "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
