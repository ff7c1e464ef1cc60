"""`due`, `done` and `history`: what is due, what was done, and the record of both."""

import os
import re
import shutil
import sys
from datetime import UTC, date, datetime, timedelta, tzinfo

import click

from chronos_secrets.cli import PATH, choices, memory, output
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Exit, UsageError
from chronos_secrets.inventory.schedule import State
from chronos_secrets.report import due as report
from chronos_secrets.review import due as review
from chronos_secrets.review import rotations
from chronos_secrets.systems.history import Event

RUNNABLE = frozenset({
    ("check",), ("check", "--offline"), ("check", "--live"), ("doctor",), ("render",), ("render", "--check"),
    ("rotate", "--due"), *(("rotate", each) for each in choices.GROUPS),
    ("backup", "status"), ("backup", "configure", "--check"), ("backup", "check"), ("backup", "verify"),
    ("backup", "logs", "--errors"), *(("backup", each) for each in ("full", "diff", "incr")),
    ("emergency", "sheet"), ("emergency", "verify"), ("emergency", "drill"),
    ("backup", "drill"), ("backup", "drill", "--random-pitr"),
    ("vault", "upgrade"), ("vault", "copy"), ("vault", "copies"), ("vault", "verify"), ("vault", "verify", "--all"),
    ("backup", "info"), ("backup", "logs"), ("backup", "logs", "--since", review.ANY), ("schedule", "verify"),
    ("backup", "drill", "--random-pitr", review.ANY), ("doctor", "design"), ("history", "verify"),
    *(("cloud", each) for each in ("plan", "audit", "cost")),
})  # fmt: skip
"""The command lines of tasks that this version has; a task with another one is shown as ticked by hand."""
_TO_FILE = ("html", "prometheus")
_FORMATS = ("table", "json", "markdown", "ics", *_TO_FILE)


class Day(click.ParamType):  # type: ignore[type-arg]  # as click's own types are written
    """A day written YYYY-MM-DD."""

    name = "day"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"'{value}' is no day; write it as YYYY-MM-DD", param, ctx)


class Days(click.ParamType):  # type: ignore[type-arg]  # as click's own types are written
    """A number of days, such as 60d or 8w."""

    name = "days"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"([0-9]{1,4})([dw]?)", str(value))
        if found is None:
            self.fail(f"'{value}' is no number of days; write 60d or 8w", param, ctx)
        return int(found[1]) * (7 if found[2] == "w" else 1)


@click.command()
@click.option("--today", type=Day(), metavar="DATE", help="As if today were DATE.")
@click.option("--within", type=Days(), metavar="60d", help="Show only what needs somebody within that time.")
@click.option("--fail-on", type=click.Choice([State.DUE_SOON.value]), help="Exit status 1 for this state, too.")
@click.option("--unlock", is_flag=True, help="Open the vault, instead of going by what was last seen in it.")
@click.option("--write-expiry", is_flag=True, help="Write the due dates into the vault, where KeePassXC shows them.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="table", help="How to print the answer.")
@click.option("--output", "target", metavar="FILE", type=PATH, help="Write the html page or the metrics to FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def due(
    session: Session, *, today: date | None, within: int | None, fail_on: str | None, unlock: bool,
    write_expiry: bool, form: str, target: str | None, as_json: bool,
) -> Exit:  # fmt: skip
    """Say what is due: credentials to rotate, tasks to do, copies to make, with what to do about each.

    Needs no password: it goes by the days that were seen when the vault was last open. Exit status 1 if anything is
    due, overdue, expired, stuck or unknown.
    """
    form = "json" if as_json else form
    if target is not None and form not in _TO_FILE:
        raise UsageError("--output goes with --format html or prometheus", hint="for the others: > FILE")
    today = today or session.today
    if unlock or session.password_given:
        session.vault  # noqa: B018  opening it refreshes what is remembered
    if write_expiry:
        session.vault.require_writable()
    dates = memory.dates(session)
    known, also = dates.known if dates else {}, _copies(session, today) + _emergency(session, today)
    also += _backups(session, today) + _timers(session)
    waiting = rotations.waiting(rotations.load_stops(memory.stops_path(session)))
    found = review.rows(
        session.inventory, known, memory.ticks_now(session), today, RUNNABLE, waiting=waiting, also=also
    )
    if write_expiry:
        memory.write_expiry(session, found)
    if form in _TO_FILE:
        _hand_over(session, found, today, within=within, form=form, target=target)
    else:
        _print(session, found if within is None else review.within(found, within), today, form)
    if form != "prometheus" and (dates is None or not session.vault_is_open):
        output.say(_age(dates.at if dates else None, session.now()))
    return Exit.NO if review.demands(found, also=State(fail_on) if fail_on else None) else Exit.OK


@click.command()
@click.argument("tasks", metavar="TASK...", nargs=-1, required=True, shell_complete=choices.tasks)
@click.option("--on", "day", type=Day(), metavar="DATE", help="It was done on DATE (else today).")
@click.option("--note", metavar="TEXT", help="A line for the history.")
@opens_vault
@with_session
def done(session: Session, tasks: tuple[str, ...], *, day: date | None, note: str | None) -> None:
    """Tick tasks off. The vault carries the tick to your other machines."""
    known = session.inventory.tasks
    for task in tasks:
        if task not in known:
            raise UsageError(f"there is no task '{task}'", hint=choices.nearest(task, known))
    day = day or session.today
    if day > session.today:
        raise UsageError(f"{day} is in the future", hint="tick a task when it was done")
    session.vault.require_writable()  # before anything is remembered here
    for task in dict.fromkeys(tasks):
        memory.tick(session, task, day, {"note": note} if note else {})
        output.result(f"{task} done on {day}")
    memory.save(session)


@click.group(invoke_without_command=True)
@click.option("--since", type=Day(), metavar="DATE", help="Only what was recorded since DATE.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_session
def history(session: Session, since: date | None, *, as_json: bool) -> Exit:
    """Print what this tool did on this machine. It names credentials, files and tasks; never a value."""
    if click.get_current_context().invoked_subcommand:
        return Exit.OK
    start = datetime(since.year, since.month, since.day, tzinfo=session.zone).astimezone(UTC) if since else None
    reading = memory.log(session).read(start)
    if as_json:
        events = [{**e._asdict(), "at": e.at.isoformat(), "detail": dict(e.detail)} for e in reading.events]
        output.document("history", {"events": events, "damaged": reading.damaged})
    else:
        rows = [(_local(event.at, session.zone), event.what, _subject(event)) for event in reading.events]
        output.rows(("WHEN", "WHAT", "OF"), rows, empty="nothing was recorded yet")
    if reading.damaged:
        output.say("the log is damaged; see: chronos-secrets history verify")
    return Exit.NO if reading.damaged else Exit.OK


@history.command(short_help="Prove that the history is whole.")
@opens_vault
@with_session
def verify(session: Session) -> Exit:
    """Prove that no line of the history was edited, dropped, moved or cut off, by what the vault remembers of it."""
    anchor, text = memory.anchor(session), memory.anchor_text(session)
    lines = [(str(each.line), each.code, each.message) for each in memory.log(session).verify(anchor)]
    if anchor is None and text:
        lines.append(("-", "anchor", "what the vault remembers of this log cannot be read"))
    output.rows(("LINE", "WHAT", "WHY"), lines, empty="no line was changed" + (", dropped or cut off" if text else ""))
    if not text:
        output.say("the vault remembers nothing of this machine's log yet, so lines cut off its end are not found")
    return Exit.NO if lines else Exit.OK


def _copies(session: Session, today: date) -> list[review.Row]:
    """How the copies of the vault stand, by what this machine remembers of them."""
    if not session.inventory.vault.copies:
        return []
    from chronos_secrets.cli import standings
    from chronos_secrets.review import copies

    return copies.rows(standings.all_of(session), session.inventory.owner, today, session.zone)


def _emergency(session: Session, today: date) -> list[review.Row]:
    """How the emergency sheet and its drills stand."""
    from chronos_secrets.review import sheet

    if not sheet.wanted(session.inventory):
        return []
    last = memory.newest_sheet(session)
    return sheet.rows(session.inventory, memory.ticks_now(session), memory.dates(session), last, today)


def _timers(session: Session) -> list[review.Row]:
    """Whether the timers of this machine run, by what it remembers of them."""
    if session.inventory.timers is None:
        return []
    from chronos_secrets.review import timers
    from chronos_secrets.timers import record

    known = record.load(session.settings.state_folder / record.FILE)
    return timers.rows(session.inventory, known, session.now())


def _backups(session: Session, today: date) -> list[review.Row]:
    """How the database's backups and their drills stand, by what this machine saw of them."""
    section = session.inventory.pgbackrest
    if section is None or section.objectives is None:
        return []
    from chronos_secrets.cli.backup import seen
    from chronos_secrets.review import backup_rows, drills

    last = seen.load(session.settings.state_folder)
    found = backup_rows.rows(session.inventory, last, session.now())
    return found + drills.rows(session.inventory, memory.ticks_now(session), today)


def _local(at: datetime, zone: tzinfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def _subject(event: Event) -> str:
    return event.subject + "".join(f"  {key}: {value}" for key, value in event.detail.items())


def _hand_over(
    session: Session, rows: list[review.Row], today: date, *, within: int | None, form: str, target: str | None
) -> None:
    """What may become a file: the page, and the metrics of all rows."""
    from chronos_secrets.cli import reviewing, saving

    if form == "prometheus":
        saving.hand_over(reviewing.metrics(session, rows), target, saving.METRICS)
        return
    saving.hand_over(reviewing.page(session, rows, today, within), target, saving.PAGE)
    if target is not None:
        output.result(f"made {target}")


def _print(session: Session, rows: list[review.Row], today: date, form: str) -> None:
    if form == "json":
        output.document("due", {"today": today.isoformat(), "rows": report.json_rows(rows)})
    elif form == "markdown":
        output.result(report.markdown(rows, today).rstrip("\n"))
    elif form == "ics":
        sys.stdout.buffer.write(report.icalendar(rows, project=session.inventory.project, now=session.now()))
    else:
        width = shutil.get_terminal_size((80, 24)).columns
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        output.result("\n".join(report.terminal(rows, width=width, colour=colour)) or "nothing")


def _age(at: datetime | None, now: datetime) -> str:
    if at is None:
        return (
            "the vault was not open on this machine yet, so only the inventory's rotated: is known; "
            "to look: chronos-secrets due --unlock"
        )
    days = (now - at) // timedelta(days=1)
    ago = "today" if days < 1 else f"{days} {'day' if days == 1 else 'days'} ago"
    return f"by what was seen in the vault {ago}; to look again: chronos-secrets due --unlock"
