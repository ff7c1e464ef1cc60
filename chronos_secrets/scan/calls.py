"""Secrets handed to well-known functions by position, as in `getConnection(url, "user", "password")`."""

from chronos_secrets.scan import names, values
from chronos_secrets.scan.found import Match
from chronos_secrets.scan.patterns import Lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Call = tuple[bytes, int, str]

_CALLS: "dict[bytes, tuple[Call, ...]]" = {
    # a stretch of the call to look for: what stands before the arguments (lower case), which argument (from 1) is the
    # secret, what it is
    b"onnect": (
        (b"mysql_real_connect(", 4, names.PASSWORD),
        (b"mysql_pconnect(", 3, names.PASSWORD),
        (b"mysqli_connect(", 3, names.PASSWORD),
        (b"getconnection(", 3, names.PASSWORD),
        (b"mysql_connect(", 3, names.PASSWORD),
        (b"real_connect(", 3, names.PASSWORD),
        (b"odbc_connect(", 3, names.PASSWORD),
        (b"pymysql.connect(", 3, names.PASSWORD),
        (b"mysqldb.connect(", 3, names.PASSWORD),
        (b"dbi->connect(", 3, names.PASSWORD),
        (b"ssh.connect(", 4, names.PASSWORD),
        (b"oci_connect(", 2, names.PASSWORD),
    ),
    b"oci_logon(": ((b"oci_logon(", 2, names.PASSWORD),),
    b"mysqli(": ((b"mysqli(", 3, names.PASSWORD),),
    b"pdo(": ((b"new pdo(", 3, names.PASSWORD),),
    b"sequelize(": ((b"sequelize(", 3, names.PASSWORD),),
    b"redential": (
        (b"awsbasiccredentials.create(", 2, names.SECRET),
        (b"newstaticcredentials(", 2, names.SECRET),
        (b"networkcredential(", 2, names.PASSWORD),
        (b"basicawscredentials(", 2, names.SECRET),
        (b"plaincredentials(", 2, names.PASSWORD),
        (b"addcredentials(", 2, names.PASSWORD),
        (b"credentials(", 2, names.PASSWORD),
    ),
    b"auth": (
        (b"passwordauthentication(", 2, names.PASSWORD),
        (b"httpdigestauth(", 2, names.PASSWORD),
        (b"httpbasicauth(", 2, names.PASSWORD),
        (b"withbasicauth(", 2, names.PASSWORD),
        (b"setbasicauth(", 2, names.PASSWORD),
        (b"authenticate(", 2, names.PASSWORD),
        (b"basic_auth(", 2, names.PASSWORD),
        (b"basicauth(", 2, names.PASSWORD),
        (b"plainauth(", 3, names.PASSWORD),
        (b"omniauth :", 3, names.SECRET),
        (b"auth=(", 2, names.PASSWORD),
        (b"auth(", 2, names.PASSWORD),
    ),
    b"ordtoken(": ((b"usernamepasswordtoken(", 2, names.PASSWORD),),
    b"dpassword(": (
        (b"signinwithemailandpassword(", 2, names.PASSWORD),
        (b"createuserwithemailandpassword(", 2, names.PASSWORD),
    ),
    b"login": (
        (b"loginas(", 2, names.PASSWORD),
        (b".login(", 2, names.PASSWORD),
    ),
    b"log_in(": ((b"log_in(", 2, names.PASSWORD),),
    b"sign": (
        (b"signwith(signaturealgorithm.hs256, ", 1, names.SECRET),
        (b"signwith(signaturealgorithm.hs512, ", 1, names.SECRET),
        (b"signin(", 2, names.PASSWORD),
        (b"jwt.sign(", 2, names.SECRET),
    ),
    b"user(": ((b"create_user(", 3, names.PASSWORD), (b"create_superuser(", 3, names.PASSWORD)),
    b"createasync(": ((b"createasync(user, ", 1, names.PASSWORD),),
    b"w user(": ((b"new user(", 2, names.PASSWORD),),
    b"load(": (
        (b"keystore.load(", 2, names.PASSWORD),
        (b"ks.load(", 2, names.PASSWORD),
    ),
    b"begin(": ((b"wifi.begin(", 2, names.PASSWORD),),
    b"jwt.": (
        (b"jwt.verify(", 2, names.SECRET),
        (b"jwt.encode(", 2, names.SECRET),
        (b"jwt.decode(", 2, names.SECRET),
    ),
    b"bcrypt.": (
        (b"bcrypt.compare(", 1, names.PASSWORD),
        (b"bcrypt.comparesync(", 1, names.PASSWORD),
        (b"bcrypt.hash(", 1, names.PASSWORD),
        (b"bcrypt.hashsync(", 1, names.PASSWORD),
    ),
    b"cookieparser(": ((b"cookieparser(", 1, names.SECRET),),
    b"keyspec(": ((b"secretkeyspec(", 1, names.SECRET),),
    b"hmac": (
        (b"hmacshakeyfor(", 1, names.SECRET),
        (b"createhmac(", 2, names.SECRET),
        (b"hmac.new(", 1, names.SECRET),
        (b"hmac256(", 1, names.SECRET),
        (b"hmac512(", 1, names.SECRET),
    ),
    b"provider :": ((b"provider :", 3, names.SECRET),),
    b"cryptojs.": (
        (b"cryptojs.aes.encrypt(", 2, names.SECRET),
        (b"cryptojs.aes.decrypt(", 2, names.SECRET),
    ),
    b"securestring": (
        (b"convertto-securestring -string ", 1, names.PASSWORD),
        (b"convertto-securestring ", 1, names.PASSWORD),
    ),
}
_AT_MARK = {  # what stands around a mark of a name, and where: these cost no search of their own
    ord("c"): ((b"redential", 1),),
    ord("h"): ((b"auth", -3),),
    ord("j"): ((b"jwt.", 0),),
    ord("k"): ((b"keyspec(", 0), (b"ordtoken(", -5)),
    ord("p"): ((b"dpassword(", -1),),
}
_BY_LANGUAGE = {
    b"php inc phtml": b"onnect oci_logon( mysqli( pdo( login",
    b"java kt scala groovy jsp gradle": b"onnect w\0user( login load( sign hmac",
    b"cs vb fs vbs asp": b"onnect login createasync(",
    b"py ipynb": b"onnect login user( hmac",
    b"js ts jsx tsx vue mjs cjs html coffee": b"onnect login sequelize( sign bcrypt. cookieparser( hmac cryptojs.",
    b"go rs swift m mm dart": b"login hmac",
    b"rb erb": b"login log_in( sign provider\0:",
    b"c h cc cpp cxx hpp ino": b"onnect begin(",
    b"pl pm t": b"onnect login",
    b"ps1 psm1 psd1": b"securestring",
    b"md rst txt adoc": b"onnect login",
}
_ANCHORS = {
    suffix: [anchor.replace(b"\0", b" ") for anchor in anchors.split()]
    for suffixes, anchors in _BY_LANGUAGE.items()
    for suffix in suffixes.split()
}
_ARGUMENT = Lazy(
    rb"""\s{0,60}(?:new\s{1,2}\w{1,30}\()?(?:[bBuUrR@]?(["'`])((?:\\.|(?!\1)[^\\\n]){0,512})\1(?:\.\w{1,24}\([^()\n]{0,24}\)|\))?|\{[^{}\n]{0,200}\}|(?:[^,()"'`\n]|\([^()\n]{0,80}\)){0,160})\s{0,60}([,)}\]]|$|\n|-)"""
)


def find(text: bytes, low: bytes, path: bytes, marks: "Sequence[int]") -> list[Match]:
    """Secrets that are arguments of the calls of the table; `low` is the text in lower case, `marks` where its names
    may speak of secrets.
    """
    found = []
    for mark in marks:
        for anchor, shift in _AT_MARK[low[mark]]:
            if low.startswith(anchor, mark + shift):
                found += _call(text, low, mark + shift, anchor)
    for anchor in _ANCHORS.get(path.rpartition(b".")[2].lower(), ()):
        at = low.find(anchor)
        while at >= 0:
            found += _call(text, low, at, anchor)
            at = low.find(anchor, at + len(anchor))
    return found


def _call(text: bytes, low: bytes, at: int, anchor: bytes) -> list[Match]:
    """The secret of the first call of the group that stands here."""
    for literal, position, kind in _CALLS[anchor]:
        start = at - literal.index(anchor)
        if start >= 0 and low.startswith(literal, start):
            return _argument(text, start + len(literal), position, kind)
    return []


def _argument(text: bytes, at: int, position: int, kind: str) -> list[Match]:
    for _ in range(position - 1):
        passed = _ARGUMENT.match(text, at)
        if not passed or passed.group(3) != b",":
            return []
        at = passed.end()
    wanted = _ARGUMENT.match(text, at)
    if not wanted or wanted.group(2) is None:
        return []
    strength = values.strength(wanted.group(2), kind, quoted=True, name=b"")
    rule = "password-argument" if kind == names.PASSWORD else "secret-argument"
    reason = "a secret is handed to a function that takes one here"
    return values.match(rule, wanted.span(2), wanted.group(2), strength, reason)
