"""`backup status`: how the backups stand, at one glance."""

from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from chronos_secrets.cli import PATH, memory, output, trust
from chronos_secrets.cli.backup import drift, drilled, place, seen, verified
from chronos_secrets.cli.backup.place import Place
from chronos_secrets.cli.command import with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import ChronosError, Exit, TargetFailed, UsageError
from chronos_secrets.inventory import cron
from chronos_secrets.inventory.model import BackupSchedule
from chronos_secrets.pgbackrest import archiver, settings
from chronos_secrets.pgbackrest.archiver import Archiver
from chronos_secrets.pgbackrest.info import Stanza
from chronos_secrets.report import standing as report
from chronos_secrets.review import backups
from chronos_secrets.review.backups import Facts, Line, Mark
from chronos_secrets.review.drills import DRILLED

if TYPE_CHECKING:
    from chronos_secrets.cli.backup.drilled import Drilled


@click.command(short_help="Say how the backups stand, and why not.")
@click.option("--format", "form", type=click.Choice(("table", "json", "prometheus")), help="How to print the answer.")
@click.option("--output", "target", metavar="FILE", type=PATH, help="Write the metrics to FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the facts.")
@with_session
def status(session: Session, *, form: str | None, target: str | None, as_json: bool) -> Exit:
    """Say at one glance how the backups stand, against what the inventory promises.

    Needs no password: pgBackRest and the database are asked where they run. What does not answer is a reason, and the
    rest is still shown. Exit status 1 if there is a reason to worry.
    """
    if target is not None and (as_json or form != "prometheus"):
        raise UsageError("--output goes with --format prometheus", hint="for the others: > FILE")
    there = place.of(session)
    trust.require(session, sections=drift.SECTIONS)
    found = _look(session, there)
    lines = backups.stand(found, there.section, today=session.today)
    reasons = [each for each in lines if each.mark is Mark.NO]
    if as_json or form == "json":
        told = {"good": not reasons, "lines": [report.line_json(each) for each in lines]}
        output.document("backup status", {**told, "facts": report.facts_json(found)})
    elif form == "prometheus":
        _metrics(session, there, found, lines, target)
    else:
        output.rows(report.HEADERS, [report.line(each) for each in lines], empty="")
        _say_fixes(reasons)
        if "database" in found.faults:
            output.say("hint: if it is stopped and starting it does not help: chronos-secrets backup restore --dry-run")
    return Exit.NO if reasons else Exit.OK


def _metrics(session: Session, there: Place, found: Facts, lines: list[Line], target: str | None) -> None:
    from chronos_secrets.cli import reviewing, saving
    from chronos_secrets.report import prometheus
    from chronos_secrets.review.page import backup_lines

    held = None if found.stanza is None else backup_lines(found.stanza)
    text = prometheus.backups(
        held, reviewing.drills(session), lines, found, there.section.objectives,
        project=session.inventory.project, zone=session.zone,
    )  # fmt: skip
    saving.hand_over(text, target, saving.METRICS)


def _say_fixes(reasons: list[Line]) -> None:
    for fix in dict.fromkeys(each.fix for each in reasons if each.fix):
        output.say(f"hint: {fix}")


def _look(session: Session, there: Place) -> Facts:
    """Ask for everything: first the database and then the repository, which then has all that the former archived."""
    faults, fixes = dict[str, str](), dict[str, str]()

    def failed(subject: str, error: ChronosError) -> None:
        faults[subject], fixes[subject] = output.plain(error.message), error.hint or ""

    told: Archiver | None = None
    now_set = settings.Found({}, "", may_change=False)
    try:
        told, now_set = archiver.read(there.server), settings.read(there.server)
    except TargetFailed as error:
        failed("database", error)
    stanza: Stanza | None = None
    try:
        stanza = _stanza(session, there)
    except TargetFailed as error:
        failed("repository", error)
    looked, state = verified.load(session.settings.state_folder), session.settings.state_folder
    facts = Facts(
        now=session.now(), stanza=stanza, archiver=told,
        differences=tuple(settings.differences(now_set.all, there.wanted)),
        archive_timeout=now_set.settings.get("archive_timeout"),
        firings=_firings(there.section.schedule, session.now()),
        verified=looked.last_good if looked else None, faulty=looked is not None and not looked.good,
        drilled=memory.ticks_now(session).get(DRILLED), drill_fault=_fault(drilled.last_drill(state)),
        faults=faults, fixes=fixes,
    )  # fmt: skip
    try:
        return facts._replace(waiting=_waiting(there, facts))
    except TargetFailed as error:
        failed("WAL", error)
        return facts


def _stanza(session: Session, there: Place) -> Stanza:
    """What the repository holds. Raises TargetFailed where it cannot be read."""
    stanza = there.runner.held()
    seen.remember(session, stanza)
    return stanza


def _waiting(there: Place, facts: Facts) -> datetime | None:
    if facts.archiver is None:
        return None
    return archiver.oldest_commit(
        there.host, account=there.account, data=there.database.data, archiver=facts.archiver, last=facts.last_segment
    )


def _firings(schedule: BackupSchedule | None, now: datetime) -> dict[str, datetime]:
    """When the schedule last had each kind of backup begin."""
    if schedule is None:
        return {}
    zone = ZoneInfo(schedule.timezone)
    found = {kind: cron.last_before(each, now, zone) for kind, each in schedule.starts.items()}
    return {kind: at for kind, at in found.items() if at}


def _fault(drill: "Drilled | None") -> str:
    """Why the last drill of this machine proved nothing; "" where it did, or there was none."""
    return "" if drill is None or drill.good else output.plain(next(iter(drill.faults), "see its report"))
