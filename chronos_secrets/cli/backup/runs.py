"""`backup full|diff|incr|expire|stanza-create|check`: pgBackRest's own commands, run where the inventory says."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import click

from chronos_secrets.amounts import lasting, size
from chronos_secrets.cli import memory, output
from chronos_secrets.cli.backup import drift, place, seen
from chronos_secrets.cli.backup.place import Place
from chronos_secrets.cli.backup.progress import Progress
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Exit, TargetFailed
from chronos_secrets.inventory.model import LOCAL
from chronos_secrets.pgbackrest import archiver, info, progress, settings
from chronos_secrets.report import backup as report

_BACKUP_TIMEOUT = 24 * 3600.0  # seconds: a first full backup over a slow line
_TIMEOUT = 3600.0  # seconds: an expire removes each file by itself
_COUNTING = 10.0  # seconds that an archive_command may need to end, once its segment has arrived
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command(short_help="Make a full backup.")
@drift.option
@_json
@opens_vault
@with_session
def full(session: Session, *, unchecked: bool, as_json: bool) -> None:
    """Copy the whole database to the repository, then let go what the retention no longer keeps."""
    _back_up(session, "full", checked=not unchecked, as_json=as_json)


@click.command(short_help="Back up what changed since the last full backup.")
@drift.option
@_json
@opens_vault
@with_session
def diff(session: Session, *, unchecked: bool, as_json: bool) -> None:
    """Copy what changed since the last full backup, then let go what the retention no longer keeps."""
    _back_up(session, "diff", checked=not unchecked, as_json=as_json)


@click.command(short_help="Back up what changed since the last backup.")
@drift.option
@_json
@opens_vault
@with_session
def incr(session: Session, *, unchecked: bool, as_json: bool) -> None:
    """Copy what changed since the last backup of any kind, then let go what the retention no longer keeps."""
    _back_up(session, "incr", checked=not unchecked, as_json=as_json)


@click.command(short_help="Let go what the retention no longer keeps.")
@click.option("--dry-run", is_flag=True, help="Remove nothing; say what would be removed.")
@drift.option
@_json
@opens_vault
@with_session
def expire(session: Session, *, dry_run: bool, unchecked: bool, as_json: bool) -> None:
    """Remove the backups, and the WAL, that the retention no longer keeps. Every backup does that at its end, too."""
    there = _ready(session, f"expire{' --dry-run' if dry_run else ''}", checked=not unchecked)
    known = {each.label for each in there.runner.held().backups}
    options = ("--dry-run",) if dry_run else ()
    ran = there.runner.run("expire", *options, "--log-level-console=info", timeout=_TIMEOUT)
    told = progress.expired(ran.out.decode(errors="replace"))  # also what an aborted backup or expire left behind
    gone = [each for each in told if each in known]
    if not dry_run:
        memory.record_or_say(session, "backup-expire", there.section.stanza, {"backups": str(len(gone))})
    if as_json:
        output.document("backup expire", {"expired": gone, "dry_run": dry_run})
    else:
        output.rows(("WOULD GO" if dry_run else "GONE",), [(each,) for each in gone], empty="every backup is kept")


@click.command("stanza-create", short_help="Prepare the repository for the database.")
@drift.option
@_json
@opens_vault
@with_session
def stanza_create(session: Session, *, unchecked: bool, as_json: bool) -> None:
    """Make the stanza in the repository, once, before the first backup. Where it is already, nothing changes."""
    there = _ready(session, "stanza-create", checked=not unchecked)
    was_there = there.runner.info().code != info.NO_STANZA
    there.runner.run("stanza-create", timeout=_TIMEOUT)
    memory.record_or_say(session, "backup-stanza-create", there.section.stanza)
    if as_json:
        output.document("backup stanza-create", {"stanza": there.section.stanza, "was_there": was_there})
    else:
        output.result(f"the stanza {there.section.stanza} {'was there already' if was_there else 'is made'}")


@click.command(short_help="Prove that WAL reaches the repository.")
@drift.option
@_json
@opens_vault
@with_session
def check(session: Session, *, unchecked: bool, as_json: bool) -> Exit:
    """Let the database send a WAL segment, and find it in the repository.

    pgBackRest looks whether the segment arrives; the database is asked whether it was its own archive_command that sent
    it, and with which configuration. Exit status 1 if it was not.
    """
    there = _ready(session, "check", checked=not unchecked)
    segment = there.runner.check()
    archived = _counted(there, segment)
    faults = _archiving_faults(there, segment, archived)
    if as_json:
        output.document("backup check", {"segment": segment, "archived_last": archived.last, "faults": faults})
    else:
        output.result(f"the database sent WAL {segment or archived.last}, and it is in the repository")
        for fault in faults:
            output.result(f"NO: {fault}")
        if faults:
            output.say("to see and change the settings: chronos-secrets backup configure --check")
    return Exit.NO if faults else Exit.OK


def _ready(session: Session, words: str, *, checked: bool) -> Place:
    there = place.of(session)
    drift.require_current(session, there, check=checked, again=f"chronos-secrets backup {words}")
    return there


def _back_up(session: Session, kind: str, *, checked: bool, as_json: bool) -> None:
    there = _ready(session, kind, checked=checked)
    before = there.runner.held()
    if not as_json:
        output.say(_plan(there, kind, before.backups))
    with _interruption_told(there, kind), Progress(f"{kind} backup", quiet=as_json) as hear:
        options = (f"--type={kind}", progress.OPTION)
        ran = there.runner.run("backup", *options, timeout=_BACKUP_TIMEOUT, hear=hear)
    after = there.runner.held()
    seen.remember(session, after)
    made = _made(before, after, progress.new_label(ran.out.decode(errors="replace")))
    memory.record_or_say(session, "backup", there.section.stanza, {"label": made.label, "type": made.kind})
    if as_json:
        output.document(f"backup {kind}", {"backup": report.backup_json(made), "asked_for": kind})
    else:
        output.result(report.made(made))


def _plan(there: Place, kind: str, backups: Sequence[info.Backup]) -> str:
    """What is about to happen, with what the last one of its kind took."""
    what = f"{kind} backup of {there.section.stanza} on {there.host.name}"
    if kind != "full" and not any(each.kind == "full" for each in backups):
        return f"{what}: there is no full backup that it could rest on, so it becomes a full one"
    last = next((each for each in reversed(backups) if each.kind == kind), None)
    if last is None:
        return f"{what}: the first one"
    took = lasting(last.stopped - last.started)
    return f"{what}: the last one took {took} and {size(last.repo_delta)} in the repository"


def _made(before: info.Stanza, after: info.Stanza, label: str | None) -> info.Backup:
    old = {each.label for each in before.backups}
    found = [each for each in after.backups if each.label == label or each.label not in old]
    if not found:
        raise TargetFailed(
            "pgbackrest ended well, and its info shows no new backup", hint="chronos-secrets backup info"
        )
    return found[-1]


@contextlib.contextmanager
def _interruption_told(there: Place, kind: str) -> Iterator[None]:
    """What is killed here leaves what it copied; what runs elsewhere does not hear of Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        if there.section.host == LOCAL:
            output.say("\nthe backup was ended; what it copied stays in the repository, and the next backup uses it")
        else:
            output.say(
                f"\nthe {kind} backup may go on on {there.host.name}; to look: chronos-secrets backup info; "
                f"to end it: {there.runner.by_hand('stop', '--force')}, then the same with start"
            )
        raise


class _Archived(NamedTuple):
    """What the database says: the last segment that it sent, one that it could not send since then ("": none), how."""

    last: str
    failed: str
    command: str


# One question: each is a way to the host and into its container.
_ARCHIVED = """\
SELECT last_archived_wal,
  CASE WHEN coalesce(last_failed_time > last_archived_time, true) THEN last_failed_wal END,
  current_setting('archive_command')
FROM pg_stat_archiver"""


def _counted(there: Place, segment: str | None) -> _Archived:
    """What the database knows of its archiving once it counts `segment`, or has had the time to.

    The segment is in the repository a moment before the archive_command that sent it has ended, and it counts then.
    """

    def look() -> Sequence[str]:
        return there.server.ask(_ARCHIVED)[0]

    return _Archived(*(archiver.wait(look, segment, patience=_COUNTING) if segment else look()))


def _archiving_faults(there: Place, segment: str | None, archived: _Archived) -> list[str]:
    """Why what arrived is not what the database sends by itself."""
    faults = []
    if segment is not None and not archiver.has_sent(archived.last, segment):
        faults.append(f"the database's archiver has not sent {segment}: its last one is {archived.last or 'none'}")
    if archived.failed:
        faults.append(f"the database's archive_command fails: {output.plain(archived.failed)} was not sent")
    if fault := settings.fault_of_command(archived.command, there.wanted):
        faults.append(f"the database's archive_command is not the inventory's: {fault}")
    return faults
