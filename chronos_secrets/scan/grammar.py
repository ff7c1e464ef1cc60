"""How a value is given to a name, in programs, configuration, markup, query strings and calls."""

from chronos_secrets.scan.names import is_plain
from chronos_secrets.scan.patterns import Lazy, line_end, line_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

    Span = tuple[int, int]

QUOTES = (b'"', b"'", b"`")

# What may stand between the end of a name and the sign that gives it a value: a quote, a bracket, a type.
_CLOSE = rb"""(?:\\{0,2}["'`])?(?:\[\w{0,20}\]|\]|\))?(?:\s{0,3}\))?"""
_TYPE = (
    rb"""(?:\??!?\s{0,2}:\s{0,2}[A-Za-z_&][\w.<>\[\]&|?' ]{0,40}?"""
    rb"""|\s{1,2}(?:As\s)?(?:\[\]byte|[sS]tring|\w{0,12}char\*?)|\s\{\sget;\s(?:set|init);\s\})"""
)
_SIGN = rb"(?::-|:=|\?\?=|\|\|=|\?=|\+=|=>|={1,3}|!==?|:(?!:)|<-|~>)"
_WRAPPED = (
    rb"(?:[\[(][ \t]{0,4}|\{[ \t]{0,4}(?=[\"'`]))?(?:new\s{1,2}\w{1,20}\("
    rb"|\(?(?:string|String|char\s?\*|const char\s?\*)\)\s?"
    rb"|<<(?=[\"'])|\[\]byte\((?=[\"'`])|(?:[\w.]{1,30}(?:::|\.))?(\w{1,24})\((?=[\"'`]))?"
)
_LOOKUPS = (  # a function of such a name gets what its argument names, or makes something else of it
    b"get", b"find", b"query", b"by", b"fetch", b"load", b"read", b"open", b"require", b"import", b"split", b"join",
    b"match", b"replace", b"sub", b"test", b"search", b"exec", b"compile", b"re", b"format", b"path", b"url",
    b"uri", b"column", b"label", b"env", b"hash", b"md5", b"sha", b"param", b"tr", b"gettext", b"ngettext", b"i18n",
    b"l10n", b"msg", b"message", b"input", b"prompt", b"ask", b"print", b"log", b"echo", b"select", b"el",
    b"lookup", b"option", b"opt", b"arg", b"conf", b"cfg", b"var", b"ref", b"name", b"attr", b"key", b"id", b"is",
    b"has", b"strip", b"rstrip", b"trim", b"index", b"count", b"encode", b"decode", b"q", b"_", b"t", b"setting",
    b"property", b"prop", b"request", b"mock", b"any", b"eq", b"secret_", b"on", b"use", b"inject", b"value",
    b"exists", b"isset", b"pack",
)  # fmt: skip
_ASSIGNED = Lazy(
    _CLOSE + rb"(?:" + _TYPE + rb"[ \t]{0,4}:?=(?!=)|[ \t]{0,24}" + _SIGN + rb")"
    rb"[ \t]{0,24}(?:\\?\r?\n[ \t]{0,60})?" + _WRAPPED
)  # fmt: skip
_ARGUMENT = Lazy(rb"""\\?["'`]\]?["'`]?[ \t]{0,4},[ \t]{0,24}(?:\r?\n[ \t]{0,60})?""")  # ("password", "…")
_CALL = Lazy(rb"""[ \t]?\([ \t]{0,4}(?:\r?\n[ \t]{0,60})?(?=[bBuUrR@]?["'`])""")  # setPassword("…")
_DEFINED = Lazy(rb"""[ \t]{1,24}(?=["'])""")  # #define PASSWORD "…"
_COMPARED = Lazy(  # strcmp(password, "…"), password.equals("…"), By.id("password")).sendKeys("…")
    rb"""(?:\(\))?[ \t]{0,4}(?:,|\.equals\(|["']?\]?["']?\){1,2}\.\w{1,24}\()[ \t]{0,4}(?=["'])"""
)
_BACKWARDS = Lazy(  # assertEquals("…", user.getPassword())
    rb"""(["'])([^"'\n]{4,256})\1\s{0,3}(,|={2,3}|!==?|\.equals\()\s{0,3}[\w.$>-]{0,60}$"""
)
_DEFAULT = Lazy(rb""":-?([^\s"'`{}$]{4,128})\}""")  # ${PASSWORD:-…}
_ELEMENT = Lazy(rb"""(?:[ \t][^<>\n]{0,120})?>[ \t]{0,8}(?:<!\[CDATA\[)?([^<>\n]{1,256}?)(?:\]\]>)?[ \t]{0,8}</""")
_SIBLING = Lazy(rb"""[ \t]{0,4}</[\w.:-]{1,40}>\s{0,80}<[\w.:-]{1,40}[^<>\n]{0,80}>([^<>\n]{1,256})</""")
_ATTRIBUTE = Lazy(  # name="password" value="…", name="password">…</
    rb"""["'][^<>\n]{0,80}?[ \t](?:value|defaultValue|default|content|Value)\s{0,2}[=:]\s{0,2}"""
    rb"""["']([^"'\n]{1,256})["']"""
    rb"""|["'][^<>\n]{0,80}>[ \t]{0,8}(?:<value>)?([^<>\n]{1,256}?)(?:</value>)?[ \t]{0,8}</"""
)
_NEXT_VALUE = Lazy(rb"""["'][ \t]{0,4},?\s{1,40}["']?(?:[vV]alue|with)["']?\s{0,4}[:=]\s{0,4}(?=["'])""")
_NEXT_LINE = Lazy(
    rb"""["']?[ \t]{0,8}\r?\n[ \t]{0,40}["']?value["']?[ \t]?:[ \t]{1,8}"""
)  # - name: PASSWORD\n  value: …

_QUOTED = Lazy(rb"""(?:[bBuUrRfFL$@]{0,2})(\\{0,3}(?:"{3}|'{3}|["'`])|&quot;|&#34;|&#39;)""")
_BARE = Lazy(rb"""[^\s"'`<>,;(){}\[\]]{1,512}|[^\s"'`]{1,512}""")
_IN_STRING = Lazy(rb"""[^\s"'`<>,;&(){}\[\]|\\]{1,512}""")
_PLAIN = b"{noop}"  # Spring's mark of a password that is not hashed
_LONGEST = 2048  # bytes of a quoted value

_VERBS = frozenset((b"pass", b"key", b"token", b"auth", b"keys", b"tokens"))  # words of prose, too
_COMPARERS = (
    b"cmp", b"equal", b"compare", b"assert", b"expect", b"verify", b"check", b"same", b"match", b"is(", b"be(", b"eq(",
)  # fmt: skip
_DEFINERS = frozenset(b"#define define set let setenv export const constant , { ( - * credentials".split())
_AFTER_BARE = (b"}", b"]", b")", b"#", b"//", b"--", b"-", b"&", b"|", b";", b"\\")

_BARE_ENDINGS = (
    b".env", b".properties", b".yml", b".yaml", b".ini", b".conf", b".cfg", b".cnf", b".config", b".sh", b".bash",
    b".zsh", b".toml", b".tfvars", b".md", b".rst", b".txt", b".log", b".service", b".bat", b".cmd", b".ps1",
    b"dockerfile", b".netrc", b".pgpass", b".npmrc", b".pypirc", b".envrc", b".mk", b"makefile", b".example",
    b".sample", b".dist", b".template", b".local", b".csv", b".tsv", b".http", b".rest", b".adoc", b".asciidoc",
    b".credentials", b"credentials", b"config", b".inf", b".reg", b".ovpn", b".plist", b".j2", b".tpl", b".in",
    b".default", b".defaults", b".prefs", b".rc", b".travis", b".editorconfig", b".dev", b".prod", b".test",
    b".production", b".development", b".staging", b".hosts", b"hosts", b"inventory", b".po", b".curl",
)  # fmt: skip


def may_be_bare(path: bytes) -> bool:
    """Whether files of this name assign without quotes: configuration, shell, prose; not a programming language."""
    name = path.rpartition(b"/")[2].lower()
    return name.endswith(_BARE_ENDINGS) or b"." not in name.lstrip(b".") or b".env" in name


def value(text: bytes, left: int, right: int, *, bare: bool, name: bytes) -> "Span | None":
    """Where the value is that is given to the name at [left, right)."""
    return (
        _in_markup(text, left, right)
        or _after_quoted_name(text, left, right)
        or _assigned(text, left, right, bare=bare)
        or _in_call(text, left, right, name)
        or before(text, left)
    )


def before(text: bytes, left: int) -> "Span | None":
    """The value that stands before a name that it is compared with."""
    start = line_start(text, left, 330)
    found = _BACKWARDS.search(text, start, left)
    if not found or (found.group(3) == b"," and not _is_comparison(text[start : found.start()])):
        return None
    return found.span(2)


def _in_markup(text: bytes, left: int, right: int) -> "Span | None":
    previous = text[max(0, left - 1) : left]
    if previous in (b"<", b":") and (element := _ELEMENT.match(text, right)):
        return element.span(1)
    if previous == b">" and (element := _SIBLING.match(text, right)):
        return element.span(1)
    if previous in QUOTES and _is_attribute(text, left) and (attribute := _ATTRIBUTE.match(text, right)):
        return attribute.span(1) if attribute.group(1) is not None else attribute.span(2)
    return None


def _is_attribute(text: bytes, left: int) -> bool:
    """Whether the quoted name is an XML or HTML attribute's value: `name="password" value="…"`."""
    line = text[line_start(text, left, 300) : left]
    return line.rstrip(b"\"'").endswith(b"=") and b"<" in line


def _after_quoted_name(text: bytes, left: int, right: int) -> "Span | None":
    previous = text[max(0, left - 1) : left]
    if previous in QUOTES and (found := _NEXT_VALUE.match(text, right)):
        return _quoted(text, found.end())
    opened = text[left : left + 2] == b"--" or text[max(0, left - 4) : left - 1].rstrip().endswith((b"(", b"('", b'("'))
    if opened and previous in (*QUOTES, b"#") and (found := _ARGUMENT.match(text, right)):
        return _quoted(text, found.end())
    return None


def _assigned(text: bytes, left: int, right: int, *, bare: bool) -> "Span | None":
    opened = text.rfind(b"${", max(0, left - 40), left)
    if opened >= 0 and b"}" not in text[opened:left] and (default := _DEFAULT.match(text, right)):
        return default.span(1)
    if next_line := _NEXT_LINE.match(text, right):
        at = next_line.end()
        return _quoted(text, at) or (_bare(text, at, left, alone=True) if bare else None)
    assigned = _ASSIGNED.match(text, right)
    if not assigned or ((call := assigned.group(1)) and call.lower().startswith(_LOOKUPS)):
        return None
    quoted = _quoted(text, assigned.end())
    if quoted and assigned.group().endswith(b"{") and text[quoted[1] + 1 : quoted[1] + 2] == b":":
        return None  # the key of a table
    return quoted or _unquoted(text, assigned, left, bare=bare)


def _in_call(text: bytes, left: int, right: int, name: bytes) -> "Span | None":
    if _ASSIGNED.match(text, right):
        return None
    line = text[line_start(text, left, 200) : left]
    found = _CALL.match(text, right) if _is_setter(name) else None
    if not found and name not in _VERBS and _is_definition(line):
        found = _DEFINED.match(text, right)
    if not found and (found := _COMPARED.match(text, right)) and b"," in found.group():
        found = found if _is_comparison(line) or _is_constant(name) else None
    return _quoted(text, found.end()) if found else None


def _is_constant(name: bytes) -> bool:
    return name.rpartition(b".")[2].isupper()


def _is_definition(line: bytes) -> bool:
    """Whether what stands before a name makes `NAME "…"` give it a value: a directive, or nothing at all."""
    words = line.lower().split()
    return not words or words[-1] in _DEFINERS


def _is_comparison(line: bytes) -> bool:
    return any(word in line.lower() for word in _COMPARERS)


def _is_setter(name: bytes) -> bool:
    last = name.rpartition(b".")[2]
    return last.lower().startswith((b"set", b"with", b"add", b"put")) or is_plain(last)


def _quoted(text: bytes, at: int) -> "Span | None":
    opening = _QUOTED.match(text, at)
    if not opening:
        return None
    quote, start = opening.group(1), opening.end()
    start += len(_PLAIN) if text.startswith(_PLAIN, start) else 0
    most = line_end(text, start, _LONGEST)
    end = text.find(quote, start, most)
    while end > start and text[end - 1 : end] == b"\\" and not quote.startswith(b"\\"):
        end = text.find(quote, end + 1, most)
    return (start, end) if end > start else None


def _unquoted(text: bytes, assigned: "re.Match[bytes]", left: int, *, bare: bool) -> "Span | None":
    """A value without quotes: in files that write so, and inside a string, as in `"host=a;password=b"`."""
    sign = assigned.group()
    if b"\n" in sign:
        return None
    if sign == b"=" and (text[max(0, left - 1) : left] in (b"?", b"&", b";") or _is_in_string(text, left)):
        found = _IN_STRING.match(text, assigned.end())
        return found.span() if found else None
    return _bare(text, assigned.end(), left, alone=sign != b"=") if bare else None


def _is_in_string(text: bytes, at: int) -> bool:
    """Whether an odd number of quotes stands before this place on its line."""
    line = text[line_start(text, at, 400) : at]
    return any(line.count(quote) % 2 for quote in QUOTES)


def _bare(text: bytes, at: int, left: int, *, alone: bool) -> "Span | None":
    """A value without quotes; where it has to stand alone, more words after it make it prose."""
    found = _BARE.match(text, at)
    if not found:
        return None
    start, end = found.span()
    rest = text[end : line_end(text, end, 200)]
    if rest[:1] in (b"(", b"[") or (alone and _is_prose(rest) and not _in_a_row(text, left)):
        return None
    return start, start + len(text[start:end].rstrip(b",;.\\&|"))


def _is_prose(rest: bytes) -> bool:
    return rest[:1] in (b" ", b"\t") and bool(rest.strip()) and not rest.lstrip().startswith(_AFTER_BARE)


def _in_a_row(text: bytes, left: int) -> bool:
    """Whether the assignment is one of several on its line, as in `host=a user=b password=c`."""
    line = text[line_start(text, left, 300) : line_end(text, left, 300)]
    return line.count(b"=") > 1
