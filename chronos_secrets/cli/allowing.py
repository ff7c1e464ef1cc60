"""`scan --allow`: a line of .chronos-allow for what was found at one place, once a person has looked at it."""

import os
import stat
import sys
from datetime import date
from pathlib import Path
from typing import NamedTuple

import click

from chronos_secrets.cli import output
from chronos_secrets.cli.looking import ALLOWANCES, Looking, Repository, content_of
from chronos_secrets.errors import Incomplete, Refused, UsageError
from chronos_secrets.scan import allow as allowances
from chronos_secrets.scan import report as told
from chronos_secrets.scan.engine import Scanner
from chronos_secrets.scan.found import Finding, Piece, Unread
from chronos_secrets.systems import files

_AROUND = 60  # bytes of a line that are shown before and after what was found


def allow(
    wanted: str, looking: Looking, thorough: Scanner, *, reason: str | None, until: date | None, yes: bool
) -> None:
    """Show what was found at `PATH:LINE` without its values, ask, and write a line for each.

    `thorough` finds what else must not be shown. Raises UsageError, Refused, Incomplete, Trouble.
    """
    path, line = _place(wanted)
    words = " ".join((reason or "").split())
    if not words:
        target = told.quoted(told.printable(wanted))
        raise UsageError("an allowance needs a reason", hint=f"chronos-secrets scan --allow {target} --reason TEXT")
    here = looking.at(path)
    seen = _seen(path, line, looking.scanner, thorough, here)
    for each in seen:
        output.say("\n".join(each.shown))
    if not yes:
        _ask(f"Allow {'this' if len(seen) == 1 else f'these {len(seen)}'} ({told.words(words, b'')})?")
    _write(here, path, seen, until.isoformat() if until else allowances.NONE, words)
    output.result(f"allowed by {ALLOWANCES}; commit it together with the file")


class _Seen(NamedTuple):
    """Something that can be allowed, and its lines for a person."""

    rule: str
    secret: bytes
    shown: list[str]

    def __repr__(self) -> str:
        return f"<{self.rule}>"


def _place(wanted: str) -> tuple[bytes, int]:
    path, _, line = wanted.rpartition(":")
    if not path or not line.isdecimal():
        hint = "chronos-secrets scan --allow PATH:LINE --reason TEXT"
        raise UsageError(f"'{told.printable(wanted)}' names no line of a file", hint=hint)
    if not os.path.lexists(path):
        raise UsageError(f"there is no {told.printable(path)}", hint="chronos-secrets scan")
    return os.fsencode(path), int(line)


def _seen(path: bytes, line: int, scanner: Scanner, thorough: Scanner, here: Repository) -> list[_Seen]:
    """What stands at a line and can be allowed. Raises UsageError, Refused."""
    from chronos_secrets.scan import content

    seen: dict[tuple[str, bytes], _Seen] = {}
    for piece in content.files([path]):
        found = _unread(piece, here) if isinstance(piece, Unread) else _found(piece, line, scanner, thorough, here)
        seen |= {(each.rule, each.secret): each for each in found}
    if any(each.rule == allowances.KNOWN for each in seen.values()):
        hint = "change that value where it was issued, then in KeePassXC"
        raise Refused(f"{allowances.ONLY_INVENTORY}, and one stands at this line", hint=hint)
    if not seen:
        shown = told.printable(path)
        hint = f"chronos-secrets scan {told.quoted(shown)}"
        raise UsageError(f"nothing was found at line {line} of {shown} that is not allowed yet", hint=hint)
    return list(seen.values())


def _unread(unread: Unread, here: Repository) -> list[_Seen]:
    covered = here.allowances.covers(unread, here.path_of(unread.path))
    return [] if covered else [_Seen(allowances.UNREADABLE, b"", told.told_unread(unread))]


def _found(piece: Piece, line: int, scanner: Scanner, thorough: Scanner, here: Repository) -> list[_Seen]:
    at_line = _at(scanner.findings(piece), line) or _at(thorough.findings(piece), line)
    standing = here.allowances.split(piece, at_line, here.path_of(piece.path))[0]
    return [
        _Seen(each.rule, each.secret, [*told.told(each), f"    {_context(piece, each, thorough)}"]) for each in standing
    ]


def _at(findings: list[Finding], line: int) -> list[Finding]:
    return [each for each in findings if each.line <= line <= each.last]


def _context(piece: Piece, finding: Finding, thorough: Scanner) -> str:
    """The line of a finding, with everything masked that any rule takes for a secret."""
    from chronos_secrets.scan.redact import masked

    start = _offset(piece, finding)
    end = start + len(finding.secret)
    left = max(piece.text.rfind(b"\n", 0, start) + 1, start - _AROUND)
    right = min(piece.text.find(b"\n", end) % (len(piece.text) + 1), end + _AROUND)
    found = [each for each in thorough.matches(piece.text, piece.path) if each.end > left and each.start < right]
    return told.printable(masked(piece.text, found, left, right).replace(finding.secret, b"****"))


def _offset(piece: Piece, finding: Finding) -> int:
    """Where the secret of a finding stands in its piece."""
    at = piece.text.find(finding.secret)
    while at >= 0 and (piece.line_at(at), piece.column_at(at)) != (finding.line, finding.column):
        at = piece.text.find(finding.secret, at + 1)
    return max(at, 0)


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise Refused("there is no terminal to ask on", hint="the same command with --yes, once you looked at it")
    if not click.confirm(question, err=True):
        raise Refused("nothing was allowed", hint="chronos-secrets scan")


def _write(here: Repository, path: bytes, seen: list[_Seen], until: str, reason: str) -> None:
    content = content_of(here.top)
    for each in seen:
        content = allowances.added(
            content, rule=each.rule, path=here.path_of(path), secret=each.secret, until=until, reason=reason
        )
    target = Path(os.path.realpath(os.fsdecode(os.path.join(here.top, allowances.FILE))))
    try:
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o644
        files.write_durably(target, content, mode=mode)
    except OSError as error:
        hint = "run it again, once the folder can be written to"
        raise Incomplete(f"{ALLOWANCES} could not be written: {files.reason(error)}", hint=hint) from error
