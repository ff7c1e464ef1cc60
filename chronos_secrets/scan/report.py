"""Findings as text for a terminal: two lines each, then once what to do. No value, nothing that a terminal obeys."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chronos_secrets.scan.found import Finding, Unread

WIDTH = 80
_HIDDEN = b"****"
_LEAST_IN_PATH, _LEAST_IN_WORDS = 8, 4  # bytes; a shorter value in a path is a word there, and hiding it hides the path
_MOST_NAMED = 3  # credentials whose command is printed
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_")


def printable(text: str | bytes) -> str:
    r"""Text on one line without a character that a terminal would obey; those are written \n, \x1b, \u202e, \xff."""
    if isinstance(text, bytes):
        text = text.decode(errors="surrogateescape")
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _code(each) for each in text)


def _code(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def without(path: bytes, secret: bytes) -> bytes:
    """A path with stars in the place of the secret, where it happens to hold it."""
    return path.replace(secret, _HIDDEN) if len(secret) >= _LEAST_IN_PATH else path


def words(text: str, secret: bytes) -> str:
    """A reason, a title or a member's name for a person: `printable`, and without the secret."""
    if len(secret) < _LEAST_IN_WORDS:
        return printable(text)
    try:
        raw = text.encode(errors="surrogateescape")  # bytes that are no UTF-8 came into text in this way
    except UnicodeEncodeError:
        raw = text.encode(errors="backslashreplace")
    return printable(raw.replace(secret, _HIDDEN))


def place(finding: "Finding") -> str:
    """`path:line`, as `scan --allow` takes it."""
    return f"{printable(without(finding.path, finding.secret))}:{finding.line}"


def why(finding: "Finding") -> str:
    """The reason, and how the text was reached."""
    parts = [finding.reason, f"({finding.via})" if finding.via else ""]
    return words(" ".join(filter(None, parts)), finding.secret)


def when(finding: "Finding") -> str:
    """In a history: the commit that brought it, its day, and whether it is still there; else empty."""
    if not finding.commit:
        return ""
    day = f" of {finding.date[:10]}" if finding.date else ""  # a tag has none
    return f"{finding.commit[:12]}{day}, {'still in HEAD' if finding.in_head else 'not in HEAD now'}"


def told(finding: "Finding", *, width: int = WIDTH) -> list[str]:
    """One finding: where and which rule, then why. Only a long path makes a line wider than `width`."""
    rule = f"{finding.rule} ({finding.level})"
    head, reason = f"{place(finding)}  {rule}", why(finding)
    if len(head) > width:
        head, reason = place(finding), f"{rule}: {reason}"
    end = f"; {when(finding)}" if when(finding) else ""
    return [head, "    " + _cut(reason, width - 4 - len(end)) + end]


def told_unread(unread: "Unread", *, width: int = WIDTH) -> list[str]:
    """Something that could not be looked into, as `told`."""
    reason = f"{unread.reason} ({unread.via})" if unread.via else unread.reason
    return [f"{printable(unread.path)}  unreadable", "    " + _cut(printable(reason), width - 4)]


def advice(
    findings: "Sequence[Finding]", unread: "Sequence[Unread]" = (), *, staged: bool = False, in_files: bool = True
) -> list[str]:
    """What to do about all of them together: change the secret first, then take it away. Empty without findings.

    staged: they are in git's index. in_files: else nothing can be said of where they could be allowed.
    """
    lines = _about_secrets(findings, staged=staged) if findings else []
    if in_files:
        lines += _about_alarms(findings, unread)
    if any(each.rule == "known-value" for each in findings):
        lines += ["- A value of the vault may stand in a file only by scan.allow of the inventory."]
    return ["What to do:", *lines] if lines else []


def _about_secrets(findings: "Sequence[Finding]", *, staged: bool) -> list[str]:
    lines = [
        "- A real secret: change it now where it was issued, then in KeePassXC.",
        "  That counts more than anything below: whoever saw it can use it.",
        *(f"  chronos-secrets rotate {each} --now" for each in _rotated(findings)),
    ]
    if staged:
        lines += ["- Take it out of the commit, then out of the file:", f"  git restore --staged -- {_paths(findings)}"]
    return [
        *lines,
        "- If it was ever pushed or fetched, clean the history once it is changed:",
        "  git filter-repo --replace-text FILE",
    ]


def _rotated(findings: "Sequence[Finding]") -> list[str]:
    """The credentials whose current values were found, a few of them."""
    import re

    current = re.compile(r'the value of ".*" \(([a-z][a-z0-9-]*)\)')
    named = (current.match(each.reason) for each in findings if each.rule == "known-value")
    return list(dict.fromkeys(each[1] for each in named if each))[:_MOST_NAMED]


def _about_alarms(findings: "Sequence[Finding]", unread: "Sequence[Unread]") -> list[str]:
    lines = []
    alarms = [each for each in findings if each.rule != "known-value"]
    alarm = next((each for each in alarms if not each.via.startswith("message")), None)
    if alarms and not alarm:
        lines += ["- A false alarm in a message: say it in other words."]
    if alarm:
        target = quoted(place(alarm)) if _is_plain(alarm) else "PATH:LINE"
        lines += ["- A false alarm is allowed by a line of .chronos-allow, with your reason:", f"  {_allow(target)}"]
    if unread:
        lines += ["- What cannot be read is allowed by its path, once you know what it holds:"]
        lines += [f"  {_allow('PATH:1')}"]
    return lines


def _paths(findings: "Iterable[Finding]") -> str:
    paths = sorted({finding.path for finding in findings if _is_plain(finding)})
    shown = " ".join(quoted(printable(path)) for path in paths[:3])
    return shown if paths and len(paths) <= 3 and len(shown) <= WIDTH - 24 else "PATH..."


def _allow(target: str) -> str:
    return f"chronos-secrets scan --allow {target} --reason TEXT"


def _is_plain(finding: "Finding") -> bool:
    """Whether the path can be pasted: nothing in it had to be written otherwise."""
    return printable(without(finding.path, finding.secret)).encode(errors="replace") == finding.path


def quoted(text: str) -> str:
    """One word for a shell."""
    if text and _PLAIN.issuperset(text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 3, 0)] + "..."
