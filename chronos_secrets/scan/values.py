"""Is this value a secret somebody typed or generated, or does it only stand where one could: a placeholder, template,
variable, name, path, hash, word?
"""

import re

from chronos_secrets.scan import names
from chronos_secrets.scan.found import LIKELY, POSSIBLE, Match
from chronos_secrets.scan.patterns import Lazy
from chronos_secrets.scan.words import randomness

_MOST = 1024  # bytes; a longer value is a document, not a secret
_LEAST = {names.PASSWORD: 4, names.SECRET: 8, names.KEY: 12, names.WEAK: 8}
_NEEDED = {names.PASSWORD: 1.5, names.SECRET: 9.0, names.KEY: 22.0, names.WEAK: 10.0}
"""How random a value must be (bits, `words.randomness`) beside a name of each kind."""

# The value refers to a secret that is elsewhere, or it is one no more.
_REFERENCE = Lazy(
    rb"""\$\{ | \$\( | \{\{ | \}\} | <% | %> | \#\{ | \$\[\[ | ^\$\w+$ | ^%\w+%$ | %\( | %[sdv@]\b | \{\d*\}
      | \{[\w.:\ -]*\} | ^\[[\w.\ -]*\]$ | ^<.*>$ | </?\w | __\w+__ | ^@\w+@$ | ^&\w | ^\*\w+$ | ^env[.:(] | ^ENC\[
      | ^ENC\( | \.\.\.$ | ^!(?:vault|secret|env|encrypted|Ref|Sub|GetAtt|ImportValue)\b | ^vault: | ^secret://
      | ^op:// | ^arn: | ^ssm:
      | ^projects/ | ^kms: | ^data: | ^file: | ^classpath: | ^ref\+ | ^sm:// | ^AQICAH | ^gAAAAA | \\[xu][0-9a-fA-F]
      | ^\w+://\S*$ | ^~?\.{0,2}/[\w.~/-]*$ | ^[A-Za-z]:[\\/] | ^\\\\ """,
    re.VERBOSE,
)
_HASHED = Lazy(
    rb"""^\$(?:2[abxy]?|1|5|6|y|7|argon2\w*|apr1|P|H|S|pbkdf2[\w-]*|scrypt)\$
      | ^\{(?:S?SHA\d*|S?MD5|CRYPT|bcrypt|noop|PBKDF2)[\w-]*\}
      | ^(?:pbkdf2|bcrypt|argon2|scrypt|sha1|sha256|md5|pbkdf2_sha256|SCRAM-SHA-\d+)[:$_]
      | ^\*[0-9A-F]{40}$ | ^md5[0-9a-f]{32}$ | ^sha(?:1|256|384|512)-""",
    re.VERBOSE | re.IGNORECASE,
)
_PUBLIC = Lazy(
    rb"^(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2|-----BEGIN|MII[A-Za-z]|MF[kw]w|MCow|MIGfMA|AAAA[BCE]3NzaC1|urn:|oid:"
    rb"|0x[0-9a-fA-F]{1,8}$)"
)
_UUID = Lazy(rb"^\{?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?$")
_DIGEST = Lazy(rb"^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128})$", re.IGNORECASE)
_NUMBER = Lazy(
    rb"^[+-]?(?:\d{1,5}|\d+[.,:/-]\d[\d.,:/TZ+-]*|0x[0-9a-f]+|\d+(?:px|em|ms|s|m|h|d|kb|mb|gb|k|%))$", re.IGNORECASE
)
_FILE = Lazy(
    rb"""\.(?:py|js|ts|tsx|jsx|json|ya?ml|xml|html?|css|scss|java|go|rb|php|cs?|cpp|h|sh|md|txt|pem|key|crt|cer|p12|jks
      |pfx|properties|conf|cfg|ini|env|png|jpe?g|svg|gif|pdf|log|sql|csv|toml|lock|bin|dat|pub|asc|gpg|kdbx|war|jar|ova|zi
     p
      |tar|t?gz|mp[34]|ttf|woff2?|com|org|net|io|exe|dll|so|tmpl|erb|vue)$""",
    re.IGNORECASE | re.VERBOSE,
)
_CODE = Lazy(
    rb"""\w\( | \(\) | -> | :: | => | \w\[ | \]\. | \\[dwsSWD] | \[\^ | \.\* | \.\+ | \(\? | \)\$ | ^\^ | && | \|\|
      | ;\s*$ | \w\.\w+\( | ^new\s | ^function\b | \ \+\ """,
    re.VERBOSE,
)
_QUOTED_CODE = Lazy(rb"&\#|&lt;|\(\)|->|=>|\\[dwsSWD]|\[\^|\.\*|\.\+|\(\?|&&|\|\|", re.VERBOSE)
_TERM = Lazy(
    rb"""^(?:utf-?8|utf-?16|us-ascii|ascii|latin-?1|iso-?8859-?\d*|base64(?:url)?|binary|hex|md5|sha-?\d{1,3}|sha3-\d{3}
      |hs\d{3}|rs\d{3}|es\d{3}|aes-?\d{3}(?:-[a-z]{3})?|pbkdf2\w*|bcrypt|scrypt|argon2\w*|x509|x-?api-?key|oauth-?\d?|basi
     c
      |bearer|v\d+|ed25519|rsa-?\d{4}|ecdsa\w*|p-?\d{3}|secp\d+[kr]1|u?int(?:8|16|32|64)|float(?:32|64)|varchar|text|strin
     g
      |http2?|tls\d?|ssl\d?)$""",
    re.IGNORECASE | re.VERBOSE,
)
# What people write where a secret will stand, and words that tests are full of.
_FILLER = Lazy(
    rb"""x{4,} | \*{3,} | \.{3,} | _{3,} | -{4,} | \#{3,} | \?{2,} | 0{6,} | 1{6,}
      | 1234567 | 0123456 | 9876543 | fedcba | 12345$ | ^1234 | abcdef | qwert | asdf | zxcv | aaaa | bbbb
      | foobar | foo_?bar | lorem | ipsum | redacted | masked | hidden | removed | omitted | placeholder | change.?me
      | change.?this | replace | insert | your | dummy | example | sample | fake | mock | todo | fixme | tbd | none
      | null | undefined | unused | invalid | incorrect | wrong | whatever | something | anything | passw
      | p[a@4][s5$]{2}w | secret | token | credential | api.?key | access.?key | private.?key | auth | login
      | username | user.?name
      | default | test | demo | string | value | not.?set | not.?used | correct.?horse | hunter2 | letmein | iloveyou
      | monkey | dragon | welcome | opensesame | abracadabra | encrypted | variable | parameter | config | setting
      | my.?key | my.?pass | admin | root | guest | bogus | blah | hello | world""",
    re.IGNORECASE | re.VERBOSE,
)
_SEPARATED = Lazy(rb"^[A-Za-z]+(?:[_.:/ -][A-Za-z]+)+$")
_NO_VALUE = (_TERM, _NUMBER, _FILE)


def is_reference(value: bytes, *, quoted: bool) -> bool:
    """Whether the value stands for one elsewhere (a variable, template, path, URL, code), or is a hash or public."""
    code = _QUOTED_CODE if quoted else _CODE
    return any(pattern.search(value) for pattern in (_REFERENCE, _HASHED, _PUBLIC, code))


def strength(value: bytes, kind: str, *, quoted: bool, name: bytes) -> float:
    """How clearly the value is a secret beside a name of this kind: 0 for not at all, from 1 on for likely."""
    if not _LEAST[kind] <= len(value) <= _MOST or not _is_one_word(value) or value.lower() == name.lower():
        return 0
    if is_reference(value, quoted=quoted) or b"example" in value.lower():
        return 0
    if _UUID.match(value):
        return _of_uuid(kind, name)
    if kind == names.PASSWORD and _DIGEST.match(value):
        return 0.5
    if any(pattern.search(value) for pattern in _NO_VALUE) or len(set(value)) < _variety(value, kind):
        return 0
    return _measured(value, kind)


def _of_uuid(kind: str, name: bytes) -> float:
    """Some services issue UUIDs as secrets; a `requestToken` of a program is more often an identifier."""
    said = name.lower()
    return 1 if kind == names.SECRET and (name.isupper() or said.endswith((b"secret", b"key"))) else 0


def match(rule: str, span: tuple[int, int], value: bytes, strength: float, reason: str) -> list[Match]:
    """One match of a value of this strength; none where that is 0."""
    if strength <= 0:
        return []
    return [Match(rule, LIKELY if strength >= 1 else POSSIBLE, *span, value, reason)]


def _is_one_word(value: bytes) -> bool:
    printable = all(32 <= code < 127 for code in value)
    return printable and (b" " not in value or _is_noise(value))


def _is_noise(value: bytes) -> bool:
    """Long and full of signs of all sorts, as a generator makes it; spaces are then no sign of prose."""
    signs = {code for code in value if not chr(code).isalnum()}
    return len(value) >= 24 and len(signs) >= 5 and any(48 <= code <= 57 for code in value)


def _variety(value: bytes, kind: str) -> int:
    return 3 if kind == names.PASSWORD else 6 if len(value) < 24 else 8


def _measured(value: bytes, kind: str) -> float:
    gained = randomness(value)
    filler = _FILLER.search(value)
    if filler:
        gained -= 4 * (filler.end() - filler.start()) + 6
    if value.isdigit():
        return 1 if kind == names.PASSWORD and not filler and len(value) >= 6 else 0
    if _SEPARATED.match(value):
        gained -= 4
    if kind == names.PASSWORD and not filler and gained < _NEEDED[kind] and _is_made_by_hand(value):
        return 1
    return gained / _NEEDED[kind]


def _is_made_by_hand(value: bytes) -> bool:
    """A word with digits or signs around it, as people choose passwords; not a name such as `com.acme.v2`."""
    digits = sum(48 <= code <= 57 for code in value)
    letters = sum(chr(code).isalpha() for code in value)
    signs = sum(code in b"!#$%&*+?@^~=" for code in value)
    return len(value) >= 6 and letters >= 3 and (digits >= 2 or signs > 0) and b"/" not in value
