"""Secrets on command lines: `--password …`, `mysql -p…`, `curl -u user:…`, and what is piped into `chpasswd`."""

from chronos_secrets.scan import names, values
from chronos_secrets.scan.found import Match
from chronos_secrets.scan.patterns import Lazy, near

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

RULE, REASON = "command-password", "a command line carries a secret"
_END = rb"""(?=[\s"'`;|&)<\\]|$)"""
_VALUE = rb"""(['"]?)([^\s'"$`;|&<>-][^\s'"`;|&<>]{2,64})\2""" + _END
_USER = rb"""(['"]?)[^\s:'"]{1,64}:([^\s'"]{3,128})\2""" + _END
_LOGIN = (
    rb"(?i)\b(?:sshpass|(?:docker|podman|az|oc|cf|helm|heroku|acr|ecr)\b.*\blogin|7z|mongo\w*|psexec|rabbitmqctl)\b"
)
# An option, what it takes, and the programs (before it on the line) of which that is true.
_OPTIONS = (
    (b" -p", Lazy(rb" -p()" + _VALUE), Lazy(rb"(?i)\b(?:mysql|mariadb)\w*\b")),
    (b" -p", Lazy(rb" -p([ ]?)" + _VALUE), Lazy(_LOGIN)),
    (b" -p", Lazy(rb" -pw([ ])" + _VALUE), Lazy(rb"\b(?:plink|pscp|psftp|putty)\b")),
    (b" -w", Lazy(rb" -w([ ])" + _VALUE), Lazy(rb"\bldap\w+\b")),
    (b" -a", Lazy(rb" -a([ ])" + _VALUE), Lazy(rb"\bredis-cli\b")),
    (b" -a", Lazy(rb" -a([ ])" + _USER), Lazy(rb"\bhttps?\b")),
    (b" -P", Lazy(rb" -P([ ])" + _VALUE), Lazy(rb"\b(?:sqlcmd|zip|unzip|bcp|isql)\b")),
    (b" -u", Lazy(rb" -u([ ]?)" + _USER), Lazy(rb"\bcurl\b")),
    (b" --user", Lazy(rb" --user([ =])" + _USER), Lazy(rb"\bcurl\b")),
    (b" --proxy-user", Lazy(rb" --proxy-user([ =])" + _USER), Lazy(rb"\bcurl\b")),
    (b" pass:", Lazy(rb" pass:()" + _VALUE), Lazy(rb"\bopenssl\b")),
)
_PIPED = Lazy(
    rb"""echo[ \t]{1,4}(?:-n[ \t]{1,3})?(["']?)(?:[\w-]{1,32}:)?([^\s'"$`|]{4,64})\1[ \t]{0,4}\|[ \t]{0,4}"""
    rb"""(?:sudo\b[^\n|]{0,40}-S\b|(?:sudo[ \t])?(?:chpasswd|passwd)\b|docker[ \t]+login\b|gh[ \t]+auth\b|su\b)"""
)
_NAMED = (
    rb"""([\w-]{0,30}(?i:pass|pwd|secret|token|key|auth)[\w-]{0,20})[ \t]{1,8}"""
    rb"""(["']?)([^\s"'<>|;&]{4,128})\2(?=\s|$|["';&|)])"""
)
_LONG = Lazy(rb" --?" + _NAMED)
_ENV = Lazy(rb"ENV[ \t]{1,4}" + _NAMED)  # Docker's old spelling, without a sign between name and value


def find(text: bytes, low: bytes) -> list[Match]:
    """Secrets on command lines; `low` is the text in lower case."""
    found = []
    for match in near(text, b" -", _LONG) + near(text, b"ENV ", _ENV):
        found += _of_named(match)
    for match in near(low, b"echo", _PIPED, text):
        found += _of_password(match, 2)
    for literal, option, program in _OPTIONS:
        for match in near(text, literal, option):
            if program.search(text, text.rfind(b"\n", 0, match.start()) + 1, match.start()):
                found += _of_password(match, 3)
    return found


def _of_named(match: "re.Match[bytes]") -> list[Match]:
    name, secret = match.group(1), match.group(3)
    kind = names.kind(name)
    if kind not in (names.PASSWORD, names.SECRET):
        return []
    strength = values.strength(secret, kind, quoted=bool(match.group(2)), name=name)
    return values.match(RULE, match.span(3), secret, strength, REASON)


def _of_password(match: "re.Match[bytes]", group: int) -> list[Match]:
    strength = values.strength(match.group(group), names.PASSWORD, quoted=True, name=b"")
    return values.match(RULE, match.span(group), match.group(group), strength, REASON)
