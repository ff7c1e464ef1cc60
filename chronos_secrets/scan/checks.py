"""Is a string that has the form of a token one? Checksums, encoded structure, and whether it looks generated.

The checks of single formats take the whole token and return (level, a few words for the reason), or None where the
token cannot be one. A wrong checksum usually means a token that was made up or masked for a test or a document.
"""

from binascii import Error as NotBase64
from binascii import a2b_base64
from itertools import pairwise

from chronos_secrets.scan.found import CERTAIN, LIKELY, POSSIBLE
from chronos_secrets.scan.words import randomness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Verdict = tuple[str, str]

_RIGHT, _WRONG = "its checksum is right", "its checksum is wrong, so it was altered or made up"
_BASE36 = b"0123456789abcdefghijklmnopqrstuvwxyz"
_BASE62 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE32 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")

# What people write where a generated value would stand. A four-letter stem meets a random token once in ten thousand.
_STEMS = (
    b"example", b"sample", b"dummy", b"fake", b"placeholder", b"redact", b"changeme", b"secret", b"token", b"your",
    b"insert", b"replace", b"testing", b"notreal", b"deadbeef", b"foobar", b"xxxx", b"abcdef", b"123456", b"qwerty",
)  # fmt: skip
_LONG = 200  # bytes; a longer value is encoded data, in which any word may turn up by chance


def looks_generated(value: bytes) -> bool:
    """Whether the random part of a token could come from a generator: no placeholder, pattern, sequence or words."""
    value = value.rstrip(b"=")
    if _has_pattern(value):
        return False
    if len(value) > _LONG:
        return True
    lower = value.lower()
    return not any(stem in lower for stem in _STEMS) and randomness(value) > 0


def _has_pattern(value: bytes) -> bool:
    """Too few different characters, runs and sequences (`aaaa`, `0123abcd`), or one piece repeated.

    Each bound lies beyond four standard deviations of what random values of that alphabet show.
    """
    size = len(value)
    hexadecimal = len(value.lower().translate(None, b"0123456789abcdef")) <= size // 4
    letters = 16 if hexadecimal else 32 if value.upper() == value or value.lower() == value else 62
    if len(set(value)) < 0.55 * letters * (1 - (1 - 1 / letters) ** size):
        return True
    steps = sum(-1 <= after - before <= 1 for before, after in pairwise(value))
    if steps >= 0.5 * (size - 1):
        return True
    if any(bytes([code]) * (6 if hexadecimal else 5) in value for code in set(value)) and size < _LONG:
        return True
    return any(value[period:] == value[:-period] for period in range(1, min(size // 2, 64) + 1))


def aws_key_id(token: bytes) -> "Verdict":
    """`AKIA` and 16 characters: of base 32 in every key of the last years, in older ones of all capitals and digits."""
    return (CERTAIN, "") if not token[4:].strip(_BASE32) else (LIKELY, "")


def base62_crc32(token: bytes) -> "Verdict":
    """GitHub and npm: after the prefix, six digits of base 62 are the CRC-32 of what stands between.

    https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/
    """
    body = token.partition(b"_")[2]
    right = _digits(_crc32(body[:-6]), _BASE62, 6) == body[-6:]
    return (CERTAIN, _RIGHT) if right else (POSSIBLE, _WRONG)


def unverified(_: bytes) -> "Verdict":
    """A form whose checksum is not published, of a rule that otherwise has one."""
    return LIKELY, ""


def grafana(token: bytes) -> "Verdict":
    """The last eight hexadecimal digits are the CRC-32 of what precedes them, least significant byte first.

    https://github.com/grafana/grafana/blob/main/pkg/components/satokengen/tokengen.go
    """
    key, _, checksum = token.rpartition(b"_")
    right = _crc32(key).to_bytes(4, "little").hex().encode() == checksum
    return (CERTAIN, _RIGHT) if right else (POSSIBLE, _WRONG)


def gitlab(token: bytes) -> "Verdict":
    """Routable tokens end in seven digits of base 36: the CRC-32 of what precedes them."""
    if b"." in token and _digits(_crc32(token[:-7]), _BASE36, 7) == token[-7:]:
        return CERTAIN, _RIGHT
    return LIKELY, ""


def _crc32(data: bytes) -> int:
    from zlib import crc32  # a shared library, loaded only when a token was met

    return crc32(data)


def _digits(number: int, alphabet: bytes, width: int) -> bytes:
    found = b""
    while number:
        number, digit = divmod(number, len(alphabet))
        found = alphabet[digit : digit + 1] + found
    return found.rjust(width, alphabet[:1])


def age(token: bytes) -> "Verdict | None":
    """Bech32 with the checksum of BIP 173 (https://age-encryption.org/v1): a key that age itself would read."""
    prefix, _, data = token.decode("ascii").lower().rpartition("1")
    values = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    values += [_BECH32.index(char) for char in data]
    return (CERTAIN, _RIGHT) if _polymod(values) == 1 else None


def _polymod(values: list[int]) -> int:
    """The checksum of BIP 173 over five-bit values: 1 for a right one."""
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            checksum ^= generator if top >> bit & 1 else 0
    return checksum


def nkey(token: bytes) -> "Verdict":
    """A NATS seed is base 32 of a kind, 32 bytes and their CRC-16 (https://docs.nats.io, "NKeys").

    A wrong checksum is still likely a seed, altered: nothing else is 58 characters of base 32 with this beginning.
    """
    number = 0
    for code in token:
        number = number << 5 | _BASE32.index(code)
    raw = (number >> 2).to_bytes(36, "big")  # 58 digits hold 290 bits, 36 bytes are 288
    return (CERTAIN, _RIGHT) if _crc16(raw[:-2]) == int.from_bytes(raw[-2:], "little") else (LIKELY, _WRONG)


def _crc16(data: bytes) -> int:
    """CRC-16/XMODEM."""
    checksum = 0
    for byte in data:
        checksum ^= byte << 8
        for _ in range(8):
            checksum = (checksum << 1 ^ (0x1021 if checksum & 0x8000 else 0)) & 0xFFFF
    return checksum


def jwt(token: bytes) -> "Verdict | None":
    """RFC 7519: the header is JSON that names an algorithm. Unsigned tokens and the textbook's example are none."""
    header, payload = (_object(part) for part in token.split(b".")[:2])
    if isinstance(header, dict):
        if "alg" not in header or str(header["alg"]).lower() == "none" or _is_textbook(payload):
            return None
        return CERTAIN, f"it is signed with {header['alg']}" if str(header["alg"]).isalnum() else ""
    altered = token.count(b".eyJ") == 1 and looks_generated(token.rpartition(b".")[2])
    return (LIKELY, "its header was altered") if altered else None


def _is_textbook(payload: "Any") -> bool:
    """The claims of the example that documentation of every library repeats."""
    return isinstance(payload, dict) and payload.get("sub") == "1234567890" and payload.get("name") == "John Doe"


def base64_json(token: bytes) -> "Verdict | None":
    """Tokens whose part after the last prefix letter is base64 of a JSON object (Grafana, Sentry, 1Password)."""
    start = token.find(b"eyJ")
    return (CERTAIN, "") if isinstance(_object(token[start:].partition(b"_")[0]), dict) else None


def discord(token: bytes) -> "Verdict | None":
    """The first part is base64 of the bot's id, a decimal number (https://discord.com/developers/docs/reference)."""
    number = decoded(token.partition(b".")[0])
    return (CERTAIN, "") if number is not None and number.isdigit() and 17 <= len(number) <= 20 else None


def pypi(token: bytes) -> "Verdict | None":
    """A macaroon that names its server in clear (https://pypi.org/help/#apitoken)."""
    raw = decoded(token.partition(b"-")[2])
    return (CERTAIN, "") if raw is not None and b"pypi.org" in raw[:24] else None


def _object(part: bytes) -> "Any":
    """What base64 of JSON holds, or None."""
    from json import loads

    raw = decoded(part)
    try:
        return None if raw is None else loads(raw)
    except (ValueError, RecursionError):
        return None


def decoded(text: bytes) -> bytes | None:
    """The bytes behind base64, standard or URL-safe, padded or not; None where it is not base64."""
    text = text.rstrip(b"=").translate(_URL_SAFE)
    try:
        return a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except NotBase64:
        return None
