"""What git's hooks start: a commit, its message or a push is looked at, and blocked by what is found or cannot be read.

    pre-commit [--known required]
    commit-msg [--known required] FILE
    pre-push [--known required] REMOTE URL    (the refs on standard input)

It never falls silent: whatever goes wrong is said in a sentence, and blocks. Nothing is imported before it is needed;
a usual commit takes less than 0.1 CPU seconds.
"""

import gc
import os
import sys

from chronos_secrets.scan.found import Piece, Trouble, Unread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chronos_secrets.scan.engine import Scanner
    from chronos_secrets.scan.found import Finding

CLEAN, FOUND, USAGE, BLOCKED, BUG, INTERRUPTED = 0, 1, 2, 5, 70, 130
"""Exit statuses, as everywhere in chronos-secrets: 5 is a refusal."""


def main(argv: "Sequence[str]") -> int:
    """Run the hook named in argv[0]; returns its exit status. Everything is said on standard error."""
    gc.disable()  # nothing of a commit is worth collecting, and looking for it costs a quarter of the time
    name = argv[0] if argv else "hook"
    try:
        return _run(name, list(argv[1:]))
    except Trouble as trouble:
        _say(f"error: {name} is blocked: {trouble.message}")
        if trouble.hint:
            _say(f"hint: {trouble.hint}")
        return BLOCKED
    except KeyboardInterrupt:
        _say(f"{name} is blocked: interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  the one boundary: whatever nobody foresaw blocks, told without values
        _say(f"error: {name} is blocked by a bug in chronos-secrets: {type(error).__name__}\n{_places(error)}")
        return BUG


def _run(name: str, arguments: list[str]) -> int:
    required = arguments[:2] == ["--known", "required"]
    given = arguments[2:] if required else arguments
    if name == "pre-commit" and not given:
        from chronos_secrets.scan import staged

        return _report(name, _scanned(_scanner(required=required), staged.pieces()))
    if name == "commit-msg" and len(given) == 1:
        from chronos_secrets.scan import messages

        scanner = _scanner(required=required, notes=False)  # pre-commit has said them
        return _report(name, _scanned(scanner, [messages.message(os.fsencode(given[0]))]))
    if name == "pre-push" and given:
        return _report(name, _pushed(_scanner(required=required), given[0]))
    _say("error: usage: pre-commit | commit-msg FILE | pre-push REMOTE URL")
    return USAGE


class _Seen:
    """What a scan met: the pieces that hold something, with their findings, and what could not be read."""

    def __init__(self) -> None:
        self.found: list[tuple[Piece, list[Finding]]] = []
        self.unread: list[Unread] = []

    def add(self, scanner: "Scanner", piece: Piece | Unread) -> "list[Finding]":
        """Look into a piece; returns what it holds."""
        if isinstance(piece, Unread):
            self.unread.append(piece)
            return []
        here = scanner.findings(piece)
        if here:
            self.found.append((piece, here))
        return here


def _scanned(scanner: "Scanner", pieces: "Iterable[Piece | Unread]") -> _Seen:
    seen = _Seen()
    for piece in pieces:
        seen.add(scanner, piece)
    return seen


def _pushed(scanner: "Scanner", remote: str) -> _Seen:
    from chronos_secrets.scan import pushed

    gc.enable()  # a push may be long
    lines = b"" if sys.stdin is None else sys.stdin.buffer.read()
    seen = _Seen()
    for commit, piece in pushed.pieces(remote, lines):
        for finding in seen.add(scanner, piece):
            finding.commit, finding.date = commit.id, commit.date
    return seen


def _scanner(*, required: bool, notes: bool = True) -> "Scanner":
    from chronos_secrets.scan import known
    from chronos_secrets.scan import required as required_here
    from chronos_secrets.scan.engine import Scanner

    indexes = known.load()
    if (required and not indexes) or required_here.is_missing_here([index.project for index in indexes]):
        raise Trouble(
            "this project's vault was never opened on this machine, so its values are not known (scan.known: required)",
            hint="chronos-secrets check    # opens the vault and makes the index",
        )
    for note in known.notes(indexes) if notes else ():
        _say(f"note: {note}")
    return Scanner(known=[index.find for index in indexes])


def _report(name: str, seen: _Seen) -> int:
    if not seen.found and not seen.unread:
        return CLEAN
    from chronos_secrets.scan import allow, report

    allowances = allow.staged()  # what is committed is judged by what is committed with it
    findings = [each for piece, here in seen.found for each in allowances.split(piece, here)[0]]
    unread = [each for each in seen.unread if not allowances.covers(each)]
    if name == "pre-push":
        from chronos_secrets.scan import still

        still.mark(findings)
    for note in allowances.notes:
        _say(f"note: {note}")
    if not findings and not unread:
        return CLEAN
    lines = [line for each in findings for line in report.told(each)]
    lines += [line for each in unread for line in report.told_unread(each)]
    counted = [
        _counted(len(findings), "secret", "secrets"),
        _counted(len(unread), "unreadable file", "unreadable files"),
    ]
    lines += ["", f"{name} is blocked: {' and '.join(filter(None, counted))}."]
    _say("\n".join([*lines, *report.advice(findings, unread, staged=name == "pre-commit")]))
    return FOUND


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}" if number else ""


def _places(error: BaseException) -> str:
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    return "\n".join(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)


def _say(text: str) -> None:
    """Talk. Nobody may be there to hear it, and then the exit status alone speaks."""
    try:  # noqa: SIM105  contextlib would be one more import
        os.write(2, text.encode(errors="backslashreplace") + b"\n")
    except OSError:
        pass
