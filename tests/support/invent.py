"""Values that look like what people and programs put into files: passwords, keys, tokens, digests. All are made up.

`value(kind, random)` knows the kinds of `KINDS`; a kind may have arguments behind colons (`hex:32`).
"""

import base64
import binascii
import json
import string
import zlib
from collections.abc import Callable
from random import Random
from uuid import UUID

# Ordinary words, names and brands as people use them in passwords.
_WORDS = (
    "amber anchor apple arrow autumn badger bamboo banana barcelona basket beach berlin blanket blossom boulder bridge "
    "butter butterfly cactus camera candle canyon captain caramel castle cherry chicken chocolate circus cobalt coffee "
    "comet cookie copper cowboy crystal daisy dakota diamond dolphin dragon eagle eclipse elephant ember falcon "
    "fender ferrari fiddle firefly flamingo flower football forest fox freedom galaxy garden ginger giraffe glacier "
    "guitar hammer harbor harley hazel hockey honey horizon hunter iceberg igloo island jaguar jasmine jelly joker "
    "jungle jupiter kangaroo kitten koala ladybug lagoon lantern lavender lemon leopard liberty lighthouse lizard "
    "london lotus mango maple marble maverick meadow melody mercury midnight monkey monsoon moonlight mountain mustang "
    "nebula ninja nutmeg ocean olive onion orange orchid otter panda panther paprika parrot peanut pebble pelican "
    "pepper phoenix piano pickle pirate planet platypus pluto popcorn potato prairie princess pumpkin puzzle python "
    "rabbit rainbow ranger raven river robin rocket rooster saffron sailor salmon samurai sapphire saturn scooter "
    "shadow sierra silver skyline snowball soccer sparrow spider spring squirrel starfish storm summer sunflower "
    "sunshine tango tiger tomato tornado trumpet tulip turtle unicorn vanilla velvet violet volcano walnut warrior "
    "waterfall whisper willow winter wizard wombat yellow zebra zeppelin"
)
_NAMES = (
    "alice anton carla chen daniel deniz elena emil fatima felix greta hannah hugo igor ines jonas julia karim klara "
    "laura liam lukas maria marek mateo mina nadia nils olga oscar paolo petra priya rafael rosa sara simon sofia "
    "tariq thomas valentina viktor wei yuki zoe"
)
WORDS, NAMES = _WORDS.split(), _NAMES.split()

_LETTERS = string.ascii_letters
_ALNUM = string.ascii_letters + string.digits
_SAFE_SYMBOLS = "!*_-."  # what needs no escape in a URL, in XML, or between quotes
_SYMBOLS = "!@#%^*_-+=.?~"
_LEET = str.maketrans("aeiost", "431057")


def value(kind: str, random: Random) -> str:
    """A made-up value of `kind`. Raises KeyError for an unknown kind, TypeError for wrong arguments."""
    name, *arguments = kind.split(":")
    return KINDS[name](random, *arguments)


def _chars(alphabet: str) -> Callable[..., str]:
    return lambda random, length="16": "".join(random.choices(alphabet, k=int(length)))


def _pick(options: list[str]) -> Callable[[Random], str]:
    return lambda random: random.choice(options)


def _hex(random: Random, length: str = "32") -> str:
    return "".join(random.choices("0123456789abcdef", k=int(length)))


def _base64(random: Random, size: str = "32") -> str:
    return base64.b64encode(random.randbytes(int(size))).decode()


def _base64url(random: Random, size: str = "32") -> str:
    return base64.urlsafe_b64encode(random.randbytes(int(size))).decode().rstrip("=")


def _pronounceable(random: Random) -> str:
    pairs = (random.choice("bcdfghjklmnprstvwz") + random.choice("aeiou") for _ in range(random.randint(3, 5)))
    return "".join(pairs) + random.choice(["", "n", "x", "k"])


def _gibberish(random: Random) -> str:
    return "".join(random.choices(string.ascii_lowercase, k=random.randint(7, 12)))


def _word_and_number(random: Random) -> str:
    word = random.choice(WORDS + NAMES)
    number = random.choice(
        [str(random.randint(2, 99)), str(random.randint(1970, 2025)), f"{random.randint(0, 999):03}"]
    )
    return (word.capitalize() if random.random() < 0.3 else word) + number


def _human(random: Random) -> str:
    """What somebody types who was told to use a capital letter, a digit and a symbol."""
    first, second = random.choice(WORDS), random.choice(WORDS + NAMES)
    symbol, number = random.choice(_SAFE_SYMBOLS), random.randint(1, 2025)
    return random.choice(
        [
            f"{first.capitalize()}{symbol}{number}",
            f"{first.capitalize()}{number}{symbol}",
            f"{second.capitalize()}{first.capitalize()}{number}",
            f"{first}{symbol}{second}{number % 100}",
            f"{first.translate(_LEET)}{number}",
            f"{symbol}{number % 1000}{second.capitalize()}{first[:3].upper()}",
        ]
    )


def _random_password(random: Random) -> str:
    return "".join(random.choices(_ALNUM, k=random.randint(8, 16)))


def _symbols_password(random: Random) -> str:
    """Letters, digits and symbols, beginning and ending with a letter or digit."""
    middle = "".join(random.choices(_ALNUM + _SYMBOLS * 2, k=random.randint(7, 14)))
    return random.choice(_LETTERS) + middle + random.choice(_ALNUM)


PASSWORDS: dict[str, tuple[int, Callable[[Random], str]]] = {
    # kind: how often it is met among ten, and how it is made
    "word": (1, _pick(WORDS)),
    "wordnum": (3, _word_and_number),
    "human": (2, _human),
    "said": (1, _pronounceable),
    "lower": (1, _gibberish),
    "rand": (2, _random_password),
    "digits": (0, lambda random: str(random.randint(10**5, 10**8))),
    "sym": (0, _symbols_password),
}


def _password(random: Random, kind: str = "") -> str:
    """A password as people choose them; without a kind, of the kinds that need no quoting anywhere."""
    if not kind:
        kind = random.choices(list(PASSWORDS), [weight for weight, _ in PASSWORDS.values()])[0]
    return PASSWORDS[kind][1](random)


def _basic(random: Random) -> str:
    """`user:password` as an Authorization header carries it (RFC 7617)."""
    return base64.b64encode(f"{random.choice(NAMES)}:{_password(random)}".encode()).decode()


def _jwt(random: Random) -> str:
    """A JSON Web Token with an HMAC's length of signature (RFC 7519)."""
    claims = {
        "sub": str(random.randint(1, 10**9)),
        "name": random.choice(NAMES),
        "iat": random.randint(15 * 10**8, 18 * 10**8),
    }
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    encoded = [
        base64.urlsafe_b64encode(json.dumps(part, separators=(",", ":")).encode()).decode().rstrip("=")
        for part in parts
    ]
    return ".".join([*encoded, _base64url(random)])


_DER = {
    # the label of a PEM block, how its DER or binary form begins (RFC 8017, RFC 5208, RFC 5915, PROTOCOL.key), its size
    "rsa": ("RSA PRIVATE KEY", bytes.fromhex("308204a40201000282010100"), 1192),
    "pkcs8": ("PRIVATE KEY", bytes.fromhex("308204bd020100300d06092a864886f70d0101010500048204a7"), 1218),
    "ec": ("EC PRIVATE KEY", bytes.fromhex("30770201010420"), 121),
    "openssh": ("OPENSSH PRIVATE KEY", b"openssh-key-v1\x00\x00\x00\x00\x04none", 400),
    "public": ("PUBLIC KEY", bytes.fromhex("30820122300d06092a864886f70d01010105000382010f00"), 294),
    "cert": ("CERTIFICATE", bytes.fromhex("308203b1308202990201"), 900),
}


def _pem(random: Random, kind: str = "rsa") -> str:
    """A PEM block with line ends."""
    label, start, size = _DER[kind]
    text = base64.b64encode(start + random.randbytes(size - len(start))).decode()
    rows = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *rows, f"-----END {label}-----"])


def _pem_on_one_line(random: Random, kind: str = "rsa") -> str:
    return _pem(random, kind).replace("\n", "\\n") + "\\n"


def _public_ssh_key(random: Random) -> str:
    return "ssh-rsa " + base64.b64encode(bytes.fromhex("00000007") + b"ssh-rsa" + random.randbytes(268)).decode()


def _nkey(random: Random, kind: str) -> str:
    """A key of NATS: prefix, 32 bytes, CRC-16 (XMODEM), in base 32. `kind` is "seed" (SU…) or "public" (U…), of a user."""
    start = {"seed": bytes([18 << 3 | 5, 0]), "public": bytes([20 << 3])}[kind]
    body = start + random.randbytes(32)
    return base64.b32encode(body + binascii.crc_hqx(body, 0).to_bytes(2, "little")).decode().rstrip("=")


def _github_token(random: Random, prefix: str = "ghp") -> str:
    """A token with the checksum of GitHub's format: CRC-32 of the random part in six digits of base 62."""
    body = "".join(random.choices(_ALNUM, k=30))
    digits, rest = "", zlib.crc32(body.encode())
    alphabet = string.digits + string.ascii_uppercase + string.ascii_lowercase
    while rest:
        rest, digit = divmod(rest, 62)
        digits = alphabet[digit] + digits
    return f"{prefix}_{body}{digits.rjust(6, '0')}"


_TOKENS: dict[str, Callable[[Random], str]] = {
    # documented prefixes and lengths of providers; split so that no whole token stands here
    "awsid": lambda random: "AK" + "IA" + _chars("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")(random, "16"),
    "awssecret": lambda random: _base64(random, "30"),
    "google": lambda random: "AI" + "za" + _base64url(random, "26")[:35].ljust(35, "x"),
    "github": _github_token,
    "gitlab": lambda random: "glpat" + "-" + _chars(_ALNUM)(random, "20"),
    "slack": lambda random: "-".join(
        ("xoxb", str(random.randint(10**11, 10**12)), str(random.randint(10**12, 10**13)), _chars(_ALNUM)(random, "24"))
    ),
    "slackhook": lambda random: (
        "https://hooks.slack.com/services/T"
        + "/B".join(_chars(string.ascii_uppercase + string.digits)(random, "8") for _ in "ab")
        + "/"
        + _chars(_ALNUM)(random, "24")
    ),
    "stripe": lambda random: "sk" + "_live_" + _chars(_ALNUM)(random, "24"),
    "sendgrid": lambda random: f"SG.{_base64url(random, '16')}.{_base64url(random, '32')}",
    "npm": lambda random: _github_token(random, "npm"),
    "telegram": lambda random: f"{random.randint(10**8, 10**10)}:AA{_base64url(random, '25')[:33]}",
    "twiliosid": lambda random: "A" + "C" + _hex(random, "32"),
    "mailgun": lambda random: "key" + "-" + _hex(random, "32"),
}


def _token(random: Random, kind: str) -> str:
    return _TOKENS[kind](random)


KINDS: dict[str, Callable[..., str]] = {
    "pass": _password,
    "word": _pick(WORDS),
    "name": _pick(NAMES),
    "lower": _chars(string.ascii_lowercase),
    "upper": _chars(string.ascii_uppercase),
    "uppernum": _chars(string.ascii_uppercase + string.digits),
    "lowernum": _chars(string.ascii_lowercase + string.digits),
    "alnum": _chars(_ALNUM),
    "digits": _chars(string.digits),
    "base32": _chars("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    "hex": _hex,
    "uphex": lambda random, length="32": _hex(random, length).upper(),
    "b64": _base64,
    "b64url": _base64url,
    "uuid": lambda random: str(UUID(int=random.getrandbits(128), version=4)),
    "basic": _basic,
    "jwt": _jwt,
    "pem": _pem,
    "pem1": _pem_on_one_line,
    "sshpub": _public_ssh_key,
    "bcrypt": lambda random: f"$2y$10${_chars('./' + _ALNUM)(random, '53')}",
    "nkey": _nkey,
    "token": _token,
    "text": lambda random, text: text,  # as it stands: a word that would look like a secret in its place here
    "raw": lambda random, *words: "{{" + ":".join(words) + "}}",  # what a template engine would fill in
}
