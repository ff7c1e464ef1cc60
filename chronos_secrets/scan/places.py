"""Secrets in URLs and headers, where no name assigns them."""

from chronos_secrets.scan import names, values
from chronos_secrets.scan.found import Match
from chronos_secrets.scan.patterns import Lazy, near

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

_LOCKS = (
    b".lock", b"package-lock.json", b"npm-shrinkwrap.json", b"pnpm-lock.yaml", b"go.sum", b"composer.lock",
    b"packages.lock.json", b"gradle.lockfile", b"-lock.yaml", b"-lock.json", b".lockb", b"mix.lock",
)  # fmt: skip
_URL = Lazy(rb"""://([^\s/:@"'<>()\[\]{}|\\]{0,64}):([^\s/@"'<>\[\]|\\]{3,128})@([A-Za-z0-9\[${<%_-])""")
_HEADER = Lazy(
    rb"""(?i)authorization(?:\\?["'`])?\]?\s{0,4}(?:[:=,]|=>)\s{0,4}(?:\\?["'`])?\s?"""
    rb"""(token|apikey|digest|jwt|key)[ :=]{1,3}["'`]?([\w+/=.~:-]{6,2048})"""
)
_SCHEME = Lazy(rb"""(?i)(basic|bearer)[ :]{1,3}["']?([A-Za-z0-9+/=._~-]{8,2048})(?=["'`\s\\<,;)}\]]|$)""")


def is_lock(path: bytes) -> bool:
    """Whether the file is a lock file, whose many hashes are no secrets."""
    return path.lower().endswith(_LOCKS)


def find(text: bytes, low: bytes) -> list[Match]:
    """Secrets in URLs and headers; `low` is the text in lower case."""
    found = [match for each in near(text, b"://", _URL) for match in _of_url(each)]
    for literal, pattern in ((b"basic", _SCHEME), (b"bearer", _SCHEME), (b"authorization", _HEADER)):
        found += [match for each in near(low, literal, pattern, text) for match in _of_header(each)]
    return found


def _of_url(match: "re.Match[bytes]") -> list[Match]:
    user, secret = match.group(1), match.group(2)
    if secret == user or secret.isdigit():
        return []
    strength = values.strength(secret, names.PASSWORD, quoted=True, name=user)
    return values.match("url-password", match.span(2), secret, strength, "a URL carries a password")


def _of_header(match: "re.Match[bytes]") -> list[Match]:
    scheme, secret = match.group(1).lower(), match.group(2)
    strength = _of_basic(secret) if scheme == b"basic" else _of_token(secret)
    said = scheme.decode()
    return values.match(f"{said}-header", match.span(2), secret, strength, f"a header of the kind {said} has a secret")


def _of_token(secret: bytes) -> float:
    return values.strength(secret, names.SECRET, quoted=True, name=b"")


def _of_basic(secret: bytes) -> float:
    """Basic is user:password in base64."""
    import binascii

    try:
        user, colon, password = binascii.a2b_base64(secret + b"=" * (-len(secret) % 4)).partition(b":")
    except binascii.Error:
        return 0
    if colon and (user + password).isascii() and all(code >= 32 for code in user + password):
        return values.strength(password, names.PASSWORD, quoted=True, name=user)
    return _of_token(secret)
