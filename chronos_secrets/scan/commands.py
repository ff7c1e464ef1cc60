"""Secrets on command lines: `--password …`, `mysql -p…`, `curl -u user:…`, and what is piped into `chpasswd`."""

from chronos_secrets.scan import grammar, names, values
from chronos_secrets.scan.found import Match
from chronos_secrets.scan.patterns import Lazy, line_start, near

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

RULE, REASON = "command-password", "a command line carries a secret"
_END = rb"""(?=[\s"'`;|&)<\\\],]|$)"""
_VALUE = rb"""(['"]?)([^\s'"$`;|&<>-][^\s'"`;|&<>]{2,64})\2""" + _END
_USER = rb"""(['"]?)[^\s:'"]{1,64}:([^\s'"]{3,128})\2""" + _END
_JOINED = rb"""(['"]?)[^\s,%%'"]{1,40}%s([^\s'"]{3,64})\2""" + _END  # joe%secret; joe,secret
_LOGIN = Lazy(
    rb"(?i)\b(?:sshpass|(?:docker|podman|az|oc|cf|helm|heroku|acr|ecr)\b.{1,60}\blogin|7z|mongo\w*|psexec|rdesktop|useradd|"
    rb"usermod)\b"
)
_WITH_LOGIN = (b"login", b"sshpass", b"7z", b"mongo", b"psexec", b"rdesktop", b"useradd", b"usermod")
_ANY = Lazy(rb"")
# By the letter after " -": words of which one must stand before it on the line (lower case), what follows the dash, and
# the program of which that is true.
_OPTIONS: "dict[int, tuple[tuple[tuple[bytes, ...], Lazy, Lazy], ...]]" = {
    ord("p"): (
        ((b"mysql", b"mariadb"), Lazy(rb"p()" + _VALUE), Lazy(rb"(?i)\b(?:mysql|mariadb)\w*\b")),
        (_WITH_LOGIN, Lazy(rb"p([ ]?)" + _VALUE), _LOGIN),
        ((b"plink", b"pscp", b"psftp", b"putty"), Lazy(rb"pw([ ])" + _VALUE), _ANY),
        ((b"openssl",), Lazy(rb"pass(?:in|out)?([ ])pass:" + _VALUE), _ANY),
    ),
    ord("w"): (((b"ldap",), Lazy(rb"w([ ])" + _VALUE), Lazy(rb"\bldap\w+\b")),),
    ord("a"): (
        ((b"redis-cli",), Lazy(rb"a([ ])" + _VALUE), _ANY),
        ((b"http",), Lazy(rb"a([ ])" + _USER), Lazy(rb"(?<![/\w])https?(?!:)\b")),
    ),
    ord("k"): (((b"openssl enc",), Lazy(rb"k([ ])" + _VALUE), _ANY),),
    ord("P"): (
        ((b"sqlcmd", b"zip", b"bcp", b"isql"), Lazy(rb"P([ ])" + _VALUE), Lazy(rb"\b(?:sqlcmd|zip|unzip|bcp|isql)\b")),
    ),
    ord("A"): (((b"snmp",), Lazy(rb"A([ ])" + _VALUE), Lazy(rb"\bsnmp\w+\b")),),
    ord("U"): (
        ((b"smb", b"rpcclient", b"net "), Lazy(rb"U([ ])" + _JOINED % b"%"), Lazy(rb"\b(?:smb\w+|rpcclient|net)\b")),
    ),
    ord("u"): (
        ((b"curl",), Lazy(rb"u([ ]?)" + _USER), Lazy(rb"\bcurl\b")),
        ((b"lftp",), Lazy(rb"u([ ])" + _JOINED % b","), _ANY),
    ),
    ord("S"): (((b"sudo",), Lazy(rb"S\b[^\n|<]{0,80}<<<([ ]?)" + _VALUE), _ANY),),
    ord("-"): (((b"curl",), Lazy(rb"-(?:proxy-)?user([ =])" + _USER), Lazy(rb"\bcurl\b")),),
    ord("b"): (((b"htpasswd",), Lazy(rb"b[cmBdsp5C]{0,4}[ ]\S{1,80}[ ]\S{1,40}([ ])" + _VALUE), _ANY),),
}
_LONGEST_LINE = 1000  # bytes before an option in which its program is looked for
_DASH = Lazy(rb" -(?=[pwakPAUuSbstdTK-])")
_NAMED = (
    rb"""([\w-]{0,30}(?i:pass|pwd|secret|token|key|auth)[\w-]{0,20})(?:[ \t]{1,8}|["'],[ \t]{0,4}(?=["']))"""
    rb"""(["']?)([^\s"'<>|;&-][^\s"'<>|;&]{3,128})\2(?=\s|$|["';&|)\],])"""
)
_LONG = Lazy(rb"-" + _NAMED)
_ENV = Lazy(rb"ENV[ \t]{1,4}" + _NAMED)  # Docker's old spelling, without a sign between name and value
_PIPED = Lazy(
    rb"""echo[ \t]{1,4}(?:-n[ \t]{1,3})?(["']?)(?:[\w-]{1,32}:)?([^\s'"$`|]{4,64})\1[ \t]{0,4}\|[ \t]{0,4}"""
    rb"""(?:sudo\b[^\n|]{0,40}-S\b|(?:sudo[ \t])?(?:chpasswd|passwd)\b|"""
    rb"""(?:docker|podman|helm|oc|aws)[ \t]+[^\n|]{0,80}login\b|"""
    rb"""gh[ \t]+auth\b|su\b)"""
)
# Words after which the secret stands, where nothing names it. They are looked for in files of commands alone.
_WORDS = (
    (
        b"net user ",
        Lazy(rb"""(?i)net user ()(?:"[^"\n]{1,60}"|[\w.$%-]{1,40})[ ](["']?)([^\s'"/%$*]{4,64})\2(?=[ ]/|\s|$)"""),
    ),
    (b"ctl add_user ", Lazy(rb"""ctl add_user ()[\w.-]{1,40} (['"]?)([^\s'"$`;|&<>-][^\s'"`;|&<>]{2,64})\2""" + _END)),
    (
        b"ctl change_password ",
        Lazy(rb"""ctl change_password ()[\w.-]{1,40} (['"]?)([^\s'"$`;|&<>-][^\s'"`;|&<>]{2,64})\2""" + _END),
    ),
    (b"freerdp ", Lazy(rb"""freerdp[^\n]{0,80}[ ]/p:()(['"]?)([^\s'"$]{4,64})\2""" + _END)),
    (
        b"configure set ",
        Lazy(rb"""configure set (?:[\w.-]{1,40}\.)?aws_secret_access_key()[ ](["']?)([^\s'"$<>]{16,64})\2"""),
    ),
    (b"sonar.login", Lazy(rb"""(?i)sonar\.login[ ]{0,2}[=:][ ]{0,2}()(["']?)([0-9a-z_]{20,64})\2""" + _END)),
)  # fmt: skip


def find(text: bytes, low: bytes, path: bytes, marks: "Sequence[int]") -> list[Match]:
    """Secrets on command lines; `low` is the text in lower case."""
    found = [match for dash in _DASH.finditer(text) for match in _of_option(text, dash.end())]
    if grammar.may_be_bare(path):
        for match in near(text, b"ENV ", _ENV) if marks else ():
            found += _of_named(match)
        for match in near(low, b"echo", _PIPED, text):
            found += _of_password(match, 2)
        for word, pattern in _WORDS:
            for match in near(low, word, pattern, text):
                found += _of_password(match, 3)
    return found


def _of_option(text: bytes, at: int) -> list[Match]:
    """What the option whose letter stands at `at` is given."""
    options = _OPTIONS.get(text[at], ())
    line = text[line_start(text, at, _LONGEST_LINE) : at] if options else b""
    low = line.lower()
    for words, option, program in options:
        if any(word in low for word in words) and program.search(line) and (match := option.match(text, at)):
            return _of_password(match, 3)
    named = _LONG.match(text, at if text[at : at + 1] == b"-" else at - 1)
    return _of_named(named) if named else []


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
