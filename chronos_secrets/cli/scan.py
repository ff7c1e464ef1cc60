"""`scan` and `redact`: find secrets in files, commits and streams, and mask them."""

import json
import os
import select
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import click

from chronos_secrets import __version__
from chronos_secrets.cli import output
from chronos_secrets.cli.looking import Looking, amount, unreadable_input
from chronos_secrets.cli.scanning import translated
from chronos_secrets.errors import Exit, UsageError
from chronos_secrets.report import scan as report
from chronos_secrets.scan import report as told
from chronos_secrets.scan.engine import Scanner
from chronos_secrets.scan.found import Trouble

if TYPE_CHECKING:
    from chronos_secrets.scan.found import Match
    from chronos_secrets.scan.known import Index
    from chronos_secrets.scan.survey import Survey

_FORMATS = ("text", "json", "sarif", "github")
_LEVELS = ("default", "paranoid")
_LEVEL = click.option(
    "--level", type=click.Choice(_LEVELS), default="default", help="With `paranoid`, also what is only possible."
)
_READ = 1 << 16
_PATIENCE = 0.05  # seconds without input after which whole lines are handed on


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option("--staged", is_flag=True, help="What the next commit adds.")
@click.option(
    "--history", is_flag=False, flag_value="", metavar="[RANGE]", help="What every commit added: of all refs, or RANGE."
)
@click.option("--stdin", "from_stdin", is_flag=True, help="What comes on standard input.")
@click.option("--status", is_flag=True, help="Say what is known of the vault's values here; look for nothing.")
@click.option("--allow", metavar="PATH:LINE", help="Allow what is found there, by a line of .chronos-allow.")
@click.option("--reason", metavar="TEXT", help="With --allow: why it is no secret.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="With --allow: its last day.")
@click.option("--yes", is_flag=True, help="With --allow: do not ask.")
@_LEVEL
@click.option("--format", "form", type=click.Choice(_FORMATS), default="text", help="How to print what was found.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def scan(
    paths: tuple[str, ...], *, staged: bool, history: str | None, from_stdin: bool, status: bool, allow: str | None,
    reason: str | None, until: datetime | None, yes: bool, level: str, form: str, as_json: bool,
) -> Exit:  # fmt: skip
    """Find secrets: values of the vault in any usual encoding, tokens of known formats, passwords in assignments.

    Looks at PATHs (all that is there but .git), or at what git tracks or would add in this repository, or at the
    current folder where there is none. Needs no password. Prints place, rule and reason, never a value.

    Exit status 1 if something was found or a file could not be read; allowed findings do not count.

    In JSON, columns count bytes, and a path that is no UTF-8 has its bytes in path_base64.
    """
    _refuse_mixtures(paths, staged=staged, history=history, from_stdin=from_stdin, status=status, allow=allow)
    if allow is None and (reason is not None or until is not None or yes):
        raise UsageError("--reason, --until and --yes belong to --allow", hint="chronos-secrets scan --help")
    form = "json" if as_json else form
    with translated():
        if status:
            return _status(as_json=form == "json")
        known, notes = _known()
        scanner, thorough = (Scanner(known=known, paranoid=each) for each in (level == "paranoid", True))
        today = date.today().isoformat()  # noqa: DTZ011  a day ends where a person is
        looking = Looking(scanner, today=today, notes=notes)
        if allow is not None:
            from chronos_secrets.cli import allowing

            allowing.allow(allow, looking, thorough, reason=reason, until=until and until.date(), yes=yes)
            return Exit.OK
        with looking.progress:
            _look(looking, paths, staged=staged, history=history, from_stdin=from_stdin)
        _print(looking, looking.notes(thorough), form, staged=staged, in_files=not from_stdin)
    return Exit.NO if looking.survey.standing or looking.survey.unread else Exit.OK


@click.command()
@_LEVEL
def redact(*, level: str) -> None:
    """Copy standard input to standard output with every secret masked as [RULE].

    Masks what `scan` finds: values of the vault, tokens, passwords in assignments. Every other byte stays as it is.
    Whole lines are handed on as soon as the input pauses, so it may stand behind `tail -f`; a private key is kept until
    its last line.
    """
    from chronos_secrets.scan.redact import Redactor

    with translated():
        known, notes = _known()
        for note in notes:
            output.say(f"note: {note}")
        redactor = Redactor(Scanner(known=known, paranoid=level == "paranoid").matches)
        for data in _input():
            masked = redactor.feed(data) if data else redactor.pause()
            if masked:
                output.exact(masked)
        output.exact(redactor.end())


def _refuse_mixtures(paths: tuple[str, ...], **chosen: object) -> None:
    """One thing to look at is all that a scan can be asked for."""
    given = [f"--{name}" for name, value in chosen.items() if value not in (None, False)]
    given = ["--stdin" if name == "--from_stdin" else name for name in given] + (["PATH"] if paths else [])
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} do not go together", hint="chronos-secrets scan --help")
    for path in paths:
        if not os.path.lexists(path):
            raise UsageError(f"there is no {told.printable(os.fsencode(path))}", hint="chronos-secrets scan PATH")


def _look(
    looking: Looking, paths: tuple[str, ...], *, staged: bool, history: str | None, from_stdin: bool
) -> None:  # fmt: skip
    if staged:
        looking.commit()
    elif history is not None:
        looking.history(history or None)
    elif from_stdin:
        looking.stdin()
    elif not paths:
        looking.repository()
    for path in paths:
        looking.tree(os.fsencode(path))


def _known() -> "tuple[list[Callable[[bytes], list[Match]]], list[str]]":
    """What finds the known values of each project, and what a person should know. Raises Trouble for a broken index."""
    from chronos_secrets.scan import known

    indexes = known.load()
    return [index.find for index in indexes], list(known.notes(indexes))


def _print(looking: Looking, notes: list[str], form: str, *, staged: bool, in_files: bool) -> None:
    survey = looking.survey
    if form == "json":
        output.document("scan", report.json_document(survey, commits=looking.commits, notes=notes))
    elif form == "sarif":
        output.result(json.dumps(report.sarif(survey, _rules(), version=__version__), indent=2))
    elif form == "github":
        for line in report.github(survey):
            output.result(line)
    else:
        _print_text(survey, staged=staged, in_files=in_files)
    for note in notes:
        output.say(f"note: {note}")
    output.say(_summary(looking))


def _print_text(survey: "Survey", *, staged: bool, in_files: bool) -> None:
    findings = [row.finding for row in survey.standing]
    lines = [line for finding in findings for line in told.told(finding)]
    lines += [line for unread in survey.unread for line in told.told_unread(unread)]
    if lines:
        advice = told.advice(findings, survey.unread, staged=staged, in_files=in_files)
        output.result("\n".join([*lines, "", *advice]))


def _rules() -> dict[str, str]:
    """What each rule finds, in one line."""
    from chronos_secrets.scan import formats

    return {
        **{rule: what for rule, (what, _, _) in formats.RULES.items()},
        "known-value": "value that is stored in the vault",
        "unreadable": "something that could not be looked into",
    }


def _summary(looking: Looking) -> str:
    survey = looking.survey
    looked = f"looked at {amount(survey)}" + (f" of {looking.commits} commits" if looking.commits is not None else "")
    counts = (
        (len(survey.standing), "found"),
        (len(survey.unread), "unreadable"),
        (len(survey.allowed) + len(survey.unread_allowed), "allowed"),
    )
    return f"{looked}: " + (", ".join(f"{number} {what}" for number, what in counts if number) or "nothing found")


def _input() -> Iterator[bytes]:
    """What comes on standard input; b"" whenever it pauses."""
    descriptor, quiet = sys.stdin.fileno(), True
    while True:
        if not quiet and not select.select([descriptor], [], [], _PATIENCE)[0]:
            quiet = True
            yield b""
        try:
            data = os.read(descriptor, _READ)
        except OSError as error:
            raise unreadable_input(error) from error
        if not data:
            return
        quiet = False
        yield data


def _status(*, as_json: bool) -> Exit:
    """What is known of each project's values. Exit.NO where something is missing."""
    from chronos_secrets.scan import known

    projects = known.projects()
    if as_json:
        output.document("scan --status", {"projects": [_json_status(name, index) for name, index in projects]})
    elif not projects:
        output.say("no vault was opened on this machine: no value of one is looked for")
        output.say("hint: chronos-secrets check    # where an inventory is")
    for name, index in projects if not as_json else ():
        _print_status(name, index)
    return Exit.NO if any(isinstance(index, Trouble) for _, index in projects) else Exit.OK


def _json_status(name: str, index: "Index | Trouble") -> dict[str, object]:
    if isinstance(index, Trouble):
        return {"project": name, "usable": False, "reason": index.message, "hint": index.hint or None}
    return {
        "project": name, "usable": True, "vault": index.vault, "made": _moment(index.made), "values": index.values,
        "needles": index.needles, "vault_changed": index.vault_changed(),
        "not_indexed": [{"entry": entry, "reason": reason} for entry, reason in index.left_out()],
    }  # fmt: skip


def _print_status(name: str, index: "Index | Trouble") -> None:
    if isinstance(index, Trouble):
        output.result(f"{name}: {index.message}")
        output.say(f"hint: {index.hint}")
        return
    changed = {True: "saved since then: open it once", False: "not saved since then", None: "not there now"}
    output.result(
        f"{name}: {index.values} values in {index.needles} spellings, of {_moment(index.made)}\n"
        f"  vault: {told.printable(index.vault)} ({changed[index.vault_changed()]})"
    )
    for entry, reason in index.left_out():
        output.result(f"  not looked for: {told.printable(entry)}: {told.printable(reason)}")


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
