"""`schedule`: the timers that start backups, due, rotations and copies."""

from typing import NamedTuple
from zoneinfo import ZoneInfo

import click

from chronos_secrets.amounts import counted
from chronos_secrets.cli import output, prompts, timing
from chronos_secrets.cli.command import with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Exit, Refused
from chronos_secrets.report import schedule as report
from chronos_secrets.review import timers as review
from chronos_secrets.systems.hosts import Host
from chronos_secrets.timers import installing, record, texts, watching
from chronos_secrets.timers.installing import Change, Found
from chronos_secrets.timers.plans import JOBS, Plan

_HOST = click.option("--host", metavar="NAME", help="Only the timers of this host of the inventory, or local.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_NONE = "the inventory has no timers: see docs/schedule.md"


@click.group()
def schedule() -> None:
    """Install and watch what runs by itself.

    Backups are started on the database's host, as `pgbackrest.schedule` says; `due`, `rotate --due` and `vault copy` on
    this machine, as `timers` says.
    """


@schedule.command(short_help="Print every file, and where it goes.")
@_HOST
@_JSON
@with_session
def show(session: Session, *, host: str | None, as_json: bool) -> None:
    """Print every file of the timers, and where it goes. No host is asked, and nothing is written."""
    found = timing.of(session, host)
    if as_json:
        output.document("schedule show", {"hosts": [report.plan_json(each, session.now()) for each in found]})
    elif any(each.timers for each in found):
        output.result("\n".join(line for each in found for line in report.plan_lines(each)))
    else:
        output.say(_NONE)
    _warn(session, found)


@schedule.command(short_help="Write the files, and start the timers.")
@_HOST
@_YES
@with_session
def install(session: Session, *, host: str | None, yes: bool) -> Exit:
    """Write the files of the timers, and have systemd or cron start them.

    Shows what is going to be done, and asks. Timers of ours that the inventory has no more are removed; a file that we
    did not make is never touched. Running it again does nothing, unless something differs.
    """
    found = timing.of(session, host)
    timing.require_trusted(session, found)
    looks = [_look(session, each) for each in found]
    _show_changes(looks)
    if any(each.changes for each in looks):
        _confirm("Do this?", yes=yes)
    for look in looks:
        _carry_out(session, look)
    if not any(each.changes or each.plan.timers for each in looks):
        output.say(_NONE)
    _warn(session, found)
    for plan in found:
        for name, why in timing.troubles(session, plan):
            output.say(f"{name} will fail: {why}")
        for line in timing.circumstances(session, plan):
            output.say(line)
    return Exit.OK


@schedule.command(short_help="Stop the timers, and remove our files.")
@_HOST
@_YES
@with_session
def remove(session: Session, *, host: str | None, yes: bool) -> Exit:
    """Stop the timers and remove the files that `install` made, and no others. Logs and records stay."""
    found = [each._replace(timers=(), files=(), crontab=()) for each in timing.of(session, host)]
    timing.require_trusted(session, found)
    looks = [_look(session, each) for each in found]
    _show_changes(looks)
    if any(each.changes for each in looks):
        _confirm("Remove them?", yes=yes)
    else:
        output.say("there is nothing of ours to remove")
    for look in looks:
        _carry_out(session, look)
    return Exit.OK


@schedule.command(short_help="Say whether the timers are there, run, and succeed.")
@_HOST
@_JSON
@with_session
def verify(session: Session, *, host: str | None, as_json: bool) -> Exit:
    """Say of each timer whether it is installed as it should be, is active, how its last run ended and when it is next.

    Exit status 1 if one is not there, differs, does not run, or failed.
    """
    found = timing.of(session, host)
    timing.require_trusted(session, found)
    seen = [each for plan in found for each in _verified(session, plan)]
    notes = [line for plan in found for line in timing.circumstances(session, plan)]
    notes += timing.left_behind(found)
    if as_json:
        told = [report.seen_json(each) for each in seen]
        output.document("schedule verify", {"timers": told, "notes": [*timing.warnings(session, found), *notes]})
    else:
        lines = [report.seen_line(each) for each in seen]
        output.rows(("TIMER", "HOST", "LAST RUN", "NEXT RUN", "STATE"), lines, empty=_NONE)
        for line in report.fault_lines(seen):
            output.result(output.plain(line))
        if any(each.unlike for each in seen):
            output.say("to install them as they should be: chronos-secrets schedule install")
        _warn(session, found)
        for line in notes:
            output.say(line)
    return Exit.NO if any(each.problems for each in seen) else Exit.OK


@schedule.command(short_help="Run what a timer of this machine runs.")
@click.argument("name", metavar="TIMER", type=click.Choice(list(JOBS)))
@with_session
def run(session: Session, name: str) -> Exit:
    """Run what a timer of this machine runs: due, rotate or copies. The timers call this; you may, too.

    How it ended is kept, for `due` and `schedule verify`. What `due` finds is handed to the commands of `notify:` on
    their standard input, the same text once a day.
    """
    from chronos_secrets.cli import timed

    return timed.run(session, name)


class Look(NamedTuple):
    """One host, with what is there and what is to be done."""

    plan: Plan
    host: Host
    found: Found
    changes: list[Change]


def _look(session: Session, plan: Plan) -> Look:
    """Everything that can stand in the way is found here, before the first host is changed."""
    host = session.host(plan.host)
    found = installing.look(plan, host)
    installing.require_startable(plan, host)
    watching.require_zone(plan, host, session.now())
    return Look(plan, host, found, installing.changes(plan, found))


def _show_changes(looks: list[Look]) -> None:
    lines = [(each.plan.host, change.does, change.path) for each in looks for change in each.changes]
    if lines:
        output.rows(("HOST", "DOES", "FILE"), lines, empty="")


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not prompts.has_person():
        raise Refused("nobody can be asked whether to do this; nothing was changed", hint="add --yes")
    if not click.confirm(question, err=True):
        raise Refused("nothing was changed")


def _carry_out(session: Session, look: Look) -> None:
    plan, host, found, changes = look
    installing.apply(plan, host, found, changes)
    started: list[str] = []
    if found.alive and plan.units:
        started = installing.activate(plan, host, changes)
    timing.remember_installed(session, plan, there=bool(plan.timers), anew=bool(changes or started))
    if changes:
        output.result(f"{plan.host}: {counted(len(changes), 'change')} done")
    if started:
        output.result(f"{plan.host}: started {', '.join(started)}")
    if plan.timers and not changes and not started:
        output.result(f"{plan.host}: nothing to do")
    if plan.timers and not found.alive:
        output.say(f"{plan.starter} does not run on {host.name}, so nothing is started yet")
        if (left := installing.left_to_do(plan, host)) is not None:
            output.say(f"once it does: {left}")


class Seen(NamedTuple):
    """One timer as it stands."""

    host: str
    name: str
    problems: tuple[str, ...]
    unlike: bool  # whether `install` would change something
    last: record.Run | None
    last_words: str
    next: str


def _verified(session: Session, plan: Plan) -> list[Seen]:
    if not plan.timers:
        return []
    host, known = session.host(plan.host), record.load(timing.record_path(session))
    there = watching.standing(plan, host)
    doomed = list(timing.troubles(session, plan))
    runs = known.runs if plan.own else _ended(plan, host)
    seen = []
    for timer in plan.timers:
        zone, run_ = ZoneInfo(timer.zone), runs.get(timer.name)
        wrong = review.fault(timer.line, zone, run_, known.installed.get(plan.host), session.now())
        stands = there[timer.name]
        badly = wrong or stands.failed
        problems = (
            *stands.unlike,
            *(why for name, why in doomed if name == timer.name),
            *([badly] if badly else []),
        )
        next_ = review.next_run(timer.line, session.now(), zone)
        last = review.last_words(run_, zone)
        seen.append(Seen(plan.host, timer.name, problems, bool(stands.unlike), run_, last, next_))
    return seen


def _ended(plan: Plan, host: Host) -> dict[str, record.Run]:
    """How the last backups ended, by the records that they left on their host."""
    names = {texts.record(plan.stanza or "", timer.name): timer.name for timer in plan.timers}
    found = installing.read(host, tuple(names)).items()
    return {names[path]: run_ for path, content in found if (run_ := record.parse_end(content)) is not None}


def _warn(session: Session, found: list[Plan]) -> None:
    for line in timing.warnings(session, found):
        output.say(line)
