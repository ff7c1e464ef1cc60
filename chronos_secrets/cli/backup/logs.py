"""`backup logs`: what pgBackRest logged on the host, and what the database's archiver failed at."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

import click

from chronos_secrets.cli import output, trust
from chronos_secrets.cli.backup import drift, place
from chronos_secrets.cli.backup.place import Place
from chronos_secrets.cli.command import with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import ChronosError, Exit, TargetFailed, UsageError
from chronos_secrets.inventory import schedule
from chronos_secrets.inventory.model import Interval
from chronos_secrets.pgbackrest import archiver
from chronos_secrets.pgbackrest import logs as reading
from chronos_secrets.pgbackrest.account import as_account
from chronos_secrets.pgbackrest.logs import Line, Told
from chronos_secrets.systems.hosts import Host

_TIMEOUT = 300.0  # seconds: years of files may have to be unpacked
_SINCE = re.compile(r"([1-9][0-9]{0,3}) (minute|hour|day|week|month|year)s?")


def _since(context: click.Context, option: click.Parameter, value: str | None) -> Interval | date | None:
    if value is None:
        return None
    if found := _SINCE.fullmatch(value):
        return Interval(int(found[1]), found[2])
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"'{value}' is not a time such as '3 days', '1 year' or 2026-11-22", context, option
        ) from None


class _Found(NamedTuple):
    """What was found: the records, what the archiver failed at ("" for nothing), and what could not be looked at."""

    lines: list[tuple[str, str, str, str]]  # host, the host's time, level, message
    errors: int
    archiver: str
    notes: list[str]


@click.command(short_help="Show what pgBackRest logged, and what the archiver failed at.")
@click.option("--errors", is_flag=True, help="Only warnings and errors; exit status 1 if there are any.")
@click.option(
    "--since", callback=_since, metavar="WHEN", help="Only what is no older than '3 days', say, or than 2026-11-22."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_session
def logs(session: Session, *, errors: bool, since: Interval | date | None, as_json: bool) -> Exit:
    """Show pgBackRest's log files of the host, and the WAL that the database could not archive.

    Times are the host's own. Values of the configuration are starred. The vault is not opened.
    """
    there = place.of(session)
    trust.require(session, sections=drift.SECTIONS)
    begin = _begin(session, since)
    found = _found(session, there, begin, errors=errors)
    if as_json:
        rows = [dict(zip(("host", "at", "level", "message"), each, strict=True)) for each in found.lines]
        told = {"lines": rows, "errors": found.errors, "archiver": found.archiver or None, "notes": found.notes}
        output.document("backup logs", {"since": begin.isoformat() if begin else None, **told})
    else:
        for line in found.lines:
            output.result("  ".join(output.plain(each) for each in line[1:]))
        if found.archiver:
            output.result(output.plain(found.archiver))
        for note in found.notes:
            output.say(output.plain(note))
        if not found.lines and not found.archiver:
            output.say("no warning and no error was logged" if errors else "nothing was logged")
    return Exit.NO if errors and (found.errors or found.archiver) else Exit.OK


def _begin(session: Session, since: Interval | date | None) -> datetime | None:
    if since is None:
        return None
    if isinstance(since, Interval):
        if since.unit in ("minute", "hour"):
            return session.now() - timedelta(**{f"{since.unit}s": since.number})
        now = session.now().astimezone(session.zone)
        day = schedule.add(now.date(), since._replace(number=-since.number))
        return datetime.combine(day, now.timetz())
    if since > session.today:
        raise UsageError(f"{since} is in the future")
    return datetime.combine(since, time(), session.zone)


def _found(session: Session, there: Place, begin: datetime | None, *, errors: bool) -> _Found:
    folder = there.runner.setting("log-path") or "/var/log/pgbackrest"
    where = reading.patterns(folder, there.section.stanza)
    notes = []
    if there.runner.setting("log-level-file") == "off":
        notes.append(f"pgbackrest on {there.host.name} is told to write no log file (log-level-file=off)")
    lines: list[tuple[str, str, str, str]] = []
    count = 0
    for host, patterns in _places(session, there, where):
        told = _read(host, there.account if host is there.host else None, begin, patterns, errors=errors)
        notes += _notes(host, told)
        count += sum(each.is_error for each in told.lines)
        lines += _masked(there, host, told.lines)
    return _Found(lines, count, _archiver(there, begin, notes), notes)


def _places(session: Session, there: Place, own: tuple[str, ...]) -> list[tuple[Host, tuple[str, ...]]]:
    """pgBackRest's own files, and those of the timers, which may run on another host (around a container, say)."""
    runs_on = there.section.schedule.host if there.section.schedule else there.section.host
    if runs_on == there.section.host:
        return [(there.host, (*own, *reading.CRON_FILES))]
    return [(there.host, own), (session.host(runs_on), reading.CRON_FILES)]


def _read(host: Host, account: str | None, begin: datetime | None, patterns: tuple[str, ...], *, errors: bool) -> Told:
    epoch = str(int(begin.astimezone(UTC).timestamp())) if begin else ""
    words = (epoch, "errors" if errors else "", str(reading.MOST), *patterns)
    ran = host.run(as_account(("sh", "-c", reading.SCRIPT, "sh", *words), account), timeout=_TIMEOUT)
    if ran.status != 0:
        raise TargetFailed(f"the log files on {host.name} cannot be read", hint=host.paste(("ls", "-l", patterns[0])))
    return reading.parse(ran.out.decode(errors="replace"))


def _notes(host: Host, told: Told) -> list[str]:
    notes = [f"{each} on {host.name} cannot be read by the account that was used" for each in told.unreadable]
    cut = [file for file in told.read if sum(each.file == file for each in told.lines) >= reading.MOST]
    return [*notes, *(f"of {file} on {host.name} only the last {reading.MOST} lines are shown" for file in cut)]


def _masked(there: Place, host: Host, lines: tuple[Line, ...]) -> list[tuple[str, str, str, str]]:
    """All at once: what is masked is looked up in the whole configuration."""
    if not lines:
        return []
    texts = there.runner.masked("\n".join(each.message.replace("\n", " ") for each in lines)).split("\n")
    return [(host.name, each.at, each.level, text) for each, text in zip(lines, texts, strict=True)]


def _archiver(there: Place, begin: datetime | None, notes: list[str]) -> str:
    """What the archiver failed at, in one sentence. A server that does not answer is a note, and no failure of this."""
    try:
        found = archiver.read(there.server)
    except ChronosError as error:
        notes.append(f"the archiver was not asked: {error.message}")
        return ""
    if found.failed_at is None or (begin is not None and found.failed_at < begin):
        return ""
    now = "it fails now" if found.fails else "it works again"
    return (
        f"the database could not archive WAL {found.failed} times, the last time {found.failed_at:%Y-%m-%d %H:%M} UTC "
        f"({found.failed_wal}); {now}"
    )
