"""Secrets in URLs, headers, cookies, data source names and password files, where no name assigns them."""

from chronos_secrets.scan import grammar, names, values
from chronos_secrets.scan.found import Match
from chronos_secrets.scan.patterns import Lazy, line_start, near

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

_LOCKS = (
    b".lock", b"package-lock.json", b"npm-shrinkwrap.json", b"pnpm-lock.yaml", b"go.sum", b"composer.lock",
    b"packages.lock.json", b"gradle.lockfile", b"-lock.yaml", b"-lock.json", b".lockb", b"mix.lock",
)  # fmt: skip
_TRANSLATIONS = (
    b"/locale/", b"/locales/", b"/lang/", b"/langs/", b"/language/", b"/languages/", b"/i18n/", b"/l10n/", b"/nls/",
    b"/localization/", b"/localizations/", b"/translation/", b"/translations/", b".lproj/", b"/values-", b"messages_",
    b"strings_", b"labels.", b"/messages/",
)  # fmt: skip
_URL = Lazy(rb"""://([^\s/:@"'<>()\[\]{}|\\]{0,64}):([^\s/@"'<>\[\]|\\]{3,128})@([A-Za-z0-9\[${<%_-])""")
_HEADER = Lazy(
    rb"""(?i)authorization(?:\\?["'`])?\]?\s{0,4}(?:[:=,]|=>)\s{0,4}(?:\\?["'`])?\s?"""
    rb"""(token|apikey|digest|jwt|key)[ :=]{1,3}["'`]?([\w+/=.~:-]{6,2048})"""
)
_SCHEME_AHEAD = Lazy(rb"b(?=asic|earer)")
_SCHEME = Lazy(rb"""(?i)(basic|bearer)[ :]{1,3}["']?([A-Za-z0-9+/=._~-]{8,2048})(?=["'`\s\\<,;)}\]]|$)""")
_COOKIE = Lazy(rb"""(?i)cookie["'`\]]{0,3}\s{0,2}[:=,]\s{0,2}["'`]{0,3}([\w.-]{1,60}=[^\n"'`]{16,1500})""")
_IN_COOKIE = Lazy(rb"(?i)((?:[\w.-]{0,30}(?:sess|auth|token|jwt|remember)[\w.-]{0,20})|\w{0,12}sid)=([^\s;,]{16,1024})")
_DSN = Lazy(rb"""(?<![\w.-])([\w.-]{1,64}):([^\s:/@"'`<>(){}$]{3,64})@tcp\($""")
_TCP = Lazy(rb"@tcp\(")
_GIVES = frozenset((b":", b"=", b",", b'"', b"'", b"`", b"]", b" ", b"\\"))  # what may follow a header's name
_APP_ID = Lazy(rb"[?&]appid=([0-9a-f]{32})\b")
_PASSWORD_FILES = {
    b"netrc": Lazy(rb"(?m)\bpassword[ \t\n]{1,8}()([^\s#]{4,128})"),
    b"pgpass": Lazy(rb"(?m)^[^#\s:][^\n:]{0,200}:[^\n:]{1,8}:[^\n:]{1,80}:([^\n:]{1,80}):([^\s:]{4,128})$"),
}


def is_lock(path: bytes) -> bool:
    """Whether the file is a lock file, whose many hashes are no secrets."""
    return path.lower().endswith(_LOCKS)


def is_translation(path: bytes) -> bool:
    """Whether the file holds what users read, in some language."""
    return any(part in b"/" + path.lower() for part in _TRANSLATIONS)


def find(text: bytes, low: bytes, path: bytes, marks: "Sequence[int]") -> list[Match]:
    """Secrets in URLs, headers and the like; `low` is the text in lower case, `marks` where names may stand in it."""
    found = [match for each in near(text, b"://", _URL) for match in _of_url(each)]
    for ahead in _SCHEME_AHEAD.finditer(low):
        at = ahead.start()
        if text[max(0, at - 2) : at] != b"::" and (scheme := _SCHEME.match(text, at)):
            found += _of_header(scheme)
    done = 0
    for mark in marks:
        if mark >= done:
            done = _at_mark(text, low, mark, found)
    if path.endswith(b".go") or grammar.may_be_bare(path):
        for place in near(text, b"@tcp(", _TCP):
            found += _of_names(text, place.start(), place.end())
    for ending, pattern in _PASSWORD_FILES.items():
        if path.endswith(ending):
            found += [match for each in pattern.finditer(text) for match in _of_url(each)]
    return found


def _at_mark(text: bytes, low: bytes, mark: int, found: list[Match]) -> int:
    """Adds what begins with a word in which a mark stands: a header, a cookie, a query. Returns where it ends."""
    letter, match = low[mark : mark + 1], None
    if letter == b"h" and low.startswith(b"authorization", mark - 3) and low[mark + 10 : mark + 11] in _GIVES:
        if match := _HEADER.match(text, mark - 3):
            found += _of_header(match)
    elif letter == b"k" and low.startswith(b"kie", mark) and low[mark + 3 : mark + 4] in _GIVES:
        if match := _COOKIE.match(text, mark - 3):
            found += _of_cookie(text, match)
    elif letter == b"p" and low.startswith(b"appid=", mark - 2) and (match := _APP_ID.match(text, mark - 3)):
        found += values.match("assigned-key", match.span(1), match.group(1), 1, "a query carries a key")
    return match.end() if match else mark


def _of_url(match: "re.Match[bytes]") -> list[Match]:
    user, secret = match.group(1), match.group(2)
    if secret == user or secret.isdigit():
        return []
    strength = values.strength(secret, names.PASSWORD, quoted=True, name=user)
    return values.match("url-password", match.span(2), secret, strength, "a URL carries a password")


def _of_names(text: bytes, at: int, end: int) -> list[Match]:
    """`user:password@tcp(host)`, as Go's drivers write it; `@tcp(` is at [at, end)."""
    found = _DSN.search(text, line_start(text, at, 130), end)
    return _of_url(found) if found else []


def _of_cookie(text: bytes, cookie: "re.Match[bytes]") -> list[Match]:
    found: list[Match] = []
    for one in _IN_COOKIE.finditer(text, *cookie.span(1)):
        name, secret = one.groups()
        if b"csrf" not in name.lower() and b"xsrf" not in name.lower():
            strength = values.strength(secret, names.KEY, quoted=True, name=name)
            found += values.match("session-cookie", one.span(2), secret, strength, "a cookie opens a session")
    return found


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
    if colon and sum(not 32 <= code < 127 for code in user + password) <= 1:  # one letter with an accent, in Latin-1
        return values.strength(password, names.PASSWORD, quoted=True, name=user)
    return _of_token(secret)
