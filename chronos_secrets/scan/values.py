"""Is this value a secret somebody typed or generated, or does it only stand where one could: a placeholder, template,
variable, name, path, hash, word?

Tables of short literals stand where one long pattern would: a hook pays for compiling patterns, not for tuples.
"""

from chronos_secrets.scan import names
from chronos_secrets.scan.found import LIKELY, POSSIBLE, Match
from chronos_secrets.scan.patterns import Lazy
from chronos_secrets.scan.words import randomness

_MOST = 1024  # bytes; a longer value is a document, not a secret
_LEAST = {names.PASSWORD: 4, names.SECRET: 7, names.KEY: 16, names.WEAK: 8}
_NEEDED = {names.PASSWORD: 1.5, names.SECRET: 9.0, names.KEY: 22.0, names.WEAK: 10.0}
"""How random a value must be (bits, `words.randomness`) beside a name of each kind."""
_BESIDE_FILLER = 6.0  # bits less for a value in which a word of placeholders stands

# The value refers to a secret that is elsewhere, or it is one no more: by its beginning, and by what it holds.
_ELSEWHERE = (
    b"env.", b"env:", b"env(", b"enc[", b"enc(", b"!vault", b"!secret", b"!env", b"!encrypted", b"!ref", b"!sub",
    b"!getatt", b"!importvalue", b"!!", b"vault:", b"secret://", b"op://", b"arn:", b"ssm:", b"projects/", b"kms:",
    b"data:", b"file:", b"classpath:", b"ref+", b"sm://", b"aqicah", b"gaaaaa", b"\\\\", b"--", b"$ansible_vault",
    b"aws4-hmac", b"keyvault:", b"awssm:", b"bao:", b"process.env", b"os.environ", b"secrets.", b"vars.",
)  # fmt: skip
_HASHED = (
    b"$2a$", b"$2b$", b"$2y$", b"$2x$", b"$2$", b"$1$", b"$5$", b"$6$", b"$y$", b"$7$", b"$argon2", b"$apr1$", b"$p$",
    b"$h$", b"$s$", b"$pbkdf2", b"$scrypt$", b"{sha", b"{ssha", b"{md5", b"{smd5", b"{crypt", b"{bcrypt", b"{pbkdf2",
    b"{argon2", b"{scrypt", b"{x-", b"pbkdf2_", b"pbkdf2:", b"pbkdf2$", b"bcrypt:", b"bcrypt$", b"bcrypt_", b"argon2:",
    b"argon2$", b"argon2_", b"scrypt:", b"scrypt$", b"scrypt_", b"sha1:", b"sha1$", b"sha256:", b"sha256$", b"sha512:",
    b"sha512$", b"md5:", b"md5$", b"scram-sha-", b"sha1-", b"sha256-", b"sha384-", b"sha512-",
)  # fmt: skip
_PUBLIC = (
    b"ssh-rsa", b"ssh-dss", b"ssh-ed25519", b"ecdsa-sha2", b"-----BEGIN", b"MII", b"MFkw", b"MFww", b"MCow", b"MIGfMA",
    b"AAAAB3NzaC1", b"AAAAC3NzaC1", b"AAAAE2VjZHNh", b"urn:", b"oid:",
)  # fmt: skip
_TEMPLATE = (
    b"${", b"$(", b"{{", b"}}", b"<%", b"%>", b"#{", b"$[[", b"%(", b"%s", b"%d", b"%v", b"%@", b"</", b"{}", b"<<",
    b"{$", b"aws4_request", b"{0}", b"{1}",
)  # fmt: skip
_TEXT_CODE = (
    b"&#", b"&lt;", b"&quot;", b"()", b"->", b"=>", b"\\d", b"\\w", b"\\s", b"\\S", b"\\W", b"\\D", b"[^", b".*", b".+",
    b"(?", b"&&", b"||", b"[a-z", b"[A-Z", b"[0-9", b"a-z]", b"A-Z]", b"0-9]", b"{1,", b"{0,", b'""', b'="', b"='",
    b"'+", b"+'", b'"+', b'+"', b"\\x", b"\\u", b"\\n", b"\\\\",
)  # fmt: skip
_CODE = (
    b"'+", b"+'", b'"+', b'+"', b"\\u", b"::", b"].", b"()", b"->", b"=>", b"==", b"!=", b" + ", b")$", b"&&",
    b"||",
)  # fmt: skip
_SHAPE = Lazy(
    rb"""^['"]?\$\w+\$?['"]?$|^['"]\$|%\w+%$|"""
    rb"""\{[\w.:\ -]*\}|^\[[\w.,:\ -]*\]$|^<.*>$|<\w|__\w+__|^@\w+@$|^&\w|^\*\w+$|"""
    rb"""\.\.\.$|^\w+://\S*$|^~?\.{0,2}/[\w.~/-]*$|^[A-Za-z]:[\\/]|^\^|^\\\w+$|^#[0-9a-fA-F]{3,8}$|^/.*/\w{0,3}$|"""
    rb"""^\$\w+[\[{]|^[A-Z]{2,8}\["""
)
_CALL = Lazy(rb"\w\(|\w\[|\w\.\w+\(|^new\s|;\s*$|\\[dwsSWD]")
_UUID = Lazy(rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_DIGEST = Lazy(
    rb"^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}|[0-9a-fA-F]{128}|\*[0-9A-F]{40}|md5[0-9a-f]{32})$"
)
_NUMBER = Lazy(
    rb"(?i)^[~^<>=v+-]{0,3}(?:\d{1,5}|\d+[.,:/-]\d[\d.,:/TZ+-]*|0x[0-9a-f]{1,8}|\d+(?:px|em|ms|s|m|h|d|kb|mb|gb|k|%))$"
)
_DOMAIN = Lazy(rb"^@?[\w-]+(?:\.[\w-]+){2,}$|@[\w-]+\.[\w.]+$")
_ENDINGS = frozenset(
    b"py js ts tsx jsx json yaml yml xml html htm css scss java go rb php c cs cpp h sh md txt pem key crt cer p12 jks "
    b"pfx properties conf cfg ini env png jpg jpeg svg gif pdf log sql csv toml lock bin dat pub asc gpg kdbx war "
    b"jar ova zip tar gz tgz mp3 mp4 ttf woff woff2 com org net io exe dll so tmpl erb vue local".split()
)
_TERMS = frozenset(
    b"utf8 utf16 utf16le utf16be utf32 usascii ascii latin1 iso8859 iso88591 iso885915 base64 base64url binary hex md5 "
    b"sha1 sha224 sha256 sha384 sha512 sha3256 sha3512 hs256 hs384 hs512 rs256 rs384 rs512 es256 es384 es512 aes128 "
    b"aes192 aes256 aes128cbc aes192cbc aes256cbc aes128gcm aes256gcm aes128ctr aes256ctr pbkdf2 bcrypt scrypt argon2 "
    b"argon2i argon2id x509 apikey xapikey oauth oauth1 oauth2 basic bearer ed25519 rsa2048 rsa4096 ecdsa p256 p384 "
    b"p521 secp256k1 secp256r1 int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 varchar text string "
    b"http http2 https tls ssl tls12 tls13 windows1252 cp1252 chacha20poly1305 xchacha20".split()
)
_CIPHERS = (
    b"aes128-", b"aes192-", b"aes256-", b"aes-128", b"aes-192", b"aes-256", b"hmac-", b"rsa-sha", b"arcfour",
    b"des3-", b"des-", b"pbkdf2with", b"pbewith",
)  # fmt: skip
# What people write where a secret will stand, and words that tests are full of.
_FILLERS = (
    b"change-me", b"change_me", b"changeme", b"changeit", b"change-it", b"changethis", b"change-this",
    b"change_this", b"placeholder", b"credential", b"correcthorse", b"correct-horse", b"opensesame", b"abracadabra",
    b"parameter", b"undefined", b"incorrect", b"something", b"encrypted", b"anything", b"whatever", b"redacted",
    b"variable", b"iloveyou", b"username", b"password", b"passphrase", b"passwort", b"passwd", b"kennwort",
    b"private", b"foobar", b"setting", b"welcome", b"replace", b"example", b"removed", b"omitted", b"invalid",
    b"hunter2", b"letmein", b"zxcvbn", b"default", b"testing", b"apikey", b"accesskey", b"api-key", b"api_key",
    b"masked", b"hidden", b"insert", b"sample", b"unused", b"notset", b"not-set", b"not_set", b"dragon", b"monkey",
    b"string", b"config", b"secret", b"secret", b"seekret", b"sekret", b"sekrit", b"qwerty", b"azerty", b"redact",
    b"qwert", b"dummy", b"wrong", b"lorem", b"ipsum", b"fixme", b"token", b"login", b"value", b"admin", b"guest",
    b"bogus", b"hello", b"world", b"passw", b"asdf", b"zxcv", b"your", b"fake", b"mock", b"todo", b"none", b"null",
    b"auth", b"test", b"demo", b"root", b"blah", b"pass", b"user", b"xxx", b"aaaa", b"bbbb", b"00000", b"11111",
    b"1q2w", b"qaz", b"foo", b"bar", b"baz", b"key", b"pwd", b"tbd",
)  # fmt: skip
_MASKS = (b"***", b"...", b"____", b"----", b"####", b"??", b"xxxxx", b"XXXXX")
_LEET = bytes.maketrans(b"01345789$@!", b"oieastbgsai")
_SEPARATORS = bytes.maketrans(b"-_.:/ @+", b"        ")
_SIGNS = b"!#$%&*+?@^~="


def is_reference(value: bytes, *, quoted: bool) -> bool:
    """Whether the value stands for one elsewhere (a variable, template, path, URL, code), or is a hash or public."""
    low = value.lower()
    if low.startswith(_ELSEWHERE) or low.startswith(_HASHED) or value.startswith(_PUBLIC):
        return True
    if any(part in value for part in _TEMPLATE) or any(part in value for part in (_TEXT_CODE if quoted else _CODE)):
        return True
    if value.count(b"|") > 2 and value.count(b"|") * 8 > len(value):  # alternatives of a regular expression
        return True
    return bool(_SHAPE.search(value) or (not quoted and _CALL.search(value)))


def strength(value: bytes, kind: str, *, quoted: bool, name: bytes) -> float:
    """How clearly the value is a secret beside a name of this kind: 0 for not at all, from 1 on for likely."""
    if not _LEAST[kind] <= len(value) <= _MOST or not _is_one_word(value) or value.lower() == name.lower():
        return 0
    if is_reference(value, quoted=quoted) or _is_of_another_sort(value, kind):
        return 0
    if b"-" in value and _UUID.search(value):
        return _of_uuid(value, kind, name)
    if kind == names.PASSWORD and is_digest(value):
        return 0.5
    return _measured(value, kind)


def _is_of_another_sort(value: bytes, kind: str) -> bool:
    """A number, a term of the trade, a file, a domain, or too few different characters to be a secret."""
    low = value.lower()
    if b"example" in low or low.startswith(_CIPHERS) or low.translate(None, b"-_.") in _TERMS or _NUMBER.match(value):
        return True
    if b"." in value and (low.rpartition(b".")[2] in _ENDINGS or (kind != names.SECRET and _DOMAIN.search(value))):
        return True
    return len(set(value)) < (3 if kind == names.PASSWORD else 6 if len(value) < 24 else 8)


def _of_uuid(value: bytes, kind: str, name: bytes) -> float:
    """Some services issue UUIDs as secrets; a `requestToken` of a program is more often an identifier."""
    said = name.lower().replace(b"_", b"").replace(b"-", b"")
    issued = said.endswith((b"clientsecret", b"appsecret", b"apisecret", b"apikey", b"accesskey"))
    return 1 if kind == names.SECRET and len(value) <= 40 and issued else 0


def is_digest(value: bytes) -> bool:
    """Whether the value has the form of an MD5, SHA-1, SHA-256 or SHA-512."""
    return _DIGEST.match(value) is not None


def match(rule: str, span: tuple[int, int], value: bytes, strength: float, reason: str) -> list[Match]:
    """One match of a value of this strength; none where that is 0."""
    if strength <= 0:
        return []
    return [Match(rule, LIKELY if strength >= 1 else POSSIBLE, *span, value, reason)]


def _is_one_word(value: bytes) -> bool:
    return value.isascii() and value.decode().isprintable() and (b" " not in value or _is_noise(value))


def _is_noise(value: bytes) -> bool:
    """Long and full of signs of all sorts, as a generator makes it; spaces are then no sign of prose."""
    signs = {code for code in value if not chr(code).isalnum()}
    return len(value) >= 24 and len(signs) >= 5 and any(48 <= code <= 57 for code in value)


def _measured(value: bytes, kind: str) -> float:
    rest = _without_runs(value)
    if len(rest) < 4 or _is_named(value, kind) or any(mask in value for mask in _MASKS):
        return 0
    if value.isdigit():
        return 1 if kind == names.PASSWORD and len(rest) >= 6 else 0
    plain = _without_fillers(rest)
    gained = randomness(plain) if len(plain) >= 4 else 0.0
    if plain != rest:
        found = (gained - _BESIDE_FILLER) / _NEEDED[names.KEY] if len(plain) >= 12 else 0
        return found or 0.1 * (kind == names.PASSWORD and _is_made_by_hand(value))
    if b"_" in value or b"-" in value or b"." in value:
        gained -= 4 * value.translate(None, b"_-.").isalpha()
    if kind == names.PASSWORD and gained < _NEEDED[kind] and len(rest) == len(value) and _is_made_by_hand(value):
        return 1
    return gained / _NEEDED[kind]


def _is_named(value: bytes, kind: str) -> bool:
    """Whether the value is itself a name: of a constant, a record, a place in a program."""
    if kind == names.KEY and not _is_key_material(value):
        return True
    letters = value.translate(None, b"_-. ")
    if not letters.isalnum():
        return not any(chr(code).isalnum() for code in value)
    if letters.isalpha() and letters.isupper() and len(letters) < min(len(value), 16):
        return True
    return kind != names.PASSWORD and _is_identifier(value)


def _without_runs(value: bytes) -> bytes:
    """The value without `1234`, `aaaa`, `AABBCC`, `fedc`: four and more that go up, or down, by at most one."""
    kept, start, direction = bytearray(), 0, 0
    for at in range(1, len(value) + 1):
        step = value[at] - value[at - 1] if at < len(value) else 99
        if step in (-1, 0, 1) and step * direction >= 0:
            direction = direction or step
            continue
        if at - start < 4:
            kept += value[start:at]
        start, direction = at, 0
    return bytes(kept)


def _without_fillers(value: bytes) -> bytes:
    """The value without the words of placeholders and tests, also where digits stand for letters."""
    for spelling in (value.lower(), value.lower().translate(_LEET)):
        low = spelling
        for filler in _FILLERS:
            at = low.find(filler)
            if at >= 0:
                low, value = low[:at] + low[at + len(filler) :], value[:at] + value[at + len(filler) :]
    return value


def _is_identifier(value: bytes) -> bool:
    """Whether the value is words and short numbers, joined: `0023_user_is_bot`, `issue-54941-items`, `sess-123`."""
    parts = value.translate(_SEPARATORS).split()
    if len(parts) < 2 or max(map(len, parts)) <= 3:
        return False
    return all(_is_word(part) for part in parts) and any(part.isalpha() for part in parts)


def _is_word(part: bytes) -> bool:
    letters = part.rstrip(b"0123456789")
    if len(part) <= 4 and letters:
        return True
    if not letters:
        return len(part) <= 6 or part.startswith((b"20", b"19"))
    return letters.isalpha() and len(part) - len(letters) <= 4 and (len(letters) <= 2 or randomness(letters) < 1)


def _is_made_by_hand(value: bytes) -> bool:
    """A word with digits or signs around it, as people choose passwords; not a name such as `com.acme.v2`."""
    digits = sum(48 <= code <= 57 for code in value)
    letters = sum(chr(code).isalpha() for code in value)
    signs = sum(code in _SIGNS for code in value)
    return len(value) >= 6 and letters >= 3 and (digits >= 2 or signs > 0) and b"/" not in value


def _is_key_material(value: bytes) -> bool:
    """Beside a bare `key` only what an encoder writes counts: base64, base32, hexadecimal."""
    rest = value.translate(None, b"+/=_-")
    return rest.isalnum() and not rest.isalpha() and value[:1] not in b"/-_"
