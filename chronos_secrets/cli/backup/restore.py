"""`backup restore`: the database as it was, in place or in a folder beside it."""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from chronos_secrets.cli import memory, output
from chronos_secrets.cli.backup import drift
from chronos_secrets.cli.backup import place as places
from chronos_secrets.cli.backup.in_place import InPlace
from chronos_secrets.cli.backup.place import Place
from chronos_secrets.cli.backup.planning import Asked, plan_of, require_room, show, still
from chronos_secrets.cli.backup.progress import Progress
from chronos_secrets.cli.backup.source import COMMAND, Source, find
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Busy, ChronosError, Exit, UsageError
from chronos_secrets.pgbackrest import looking, progress, targets
from chronos_secrets.pgbackrest import restore as restoring
from chronos_secrets.pgbackrest.programs import bindir
from chronos_secrets.pgbackrest.targets import Target
from chronos_secrets.report import restoring as report
from chronos_secrets.systems import files
from chronos_secrets.systems.hosts import Local


@click.command(short_help="Restore the database, now or as it was at a time.")
@click.option("--to-time", metavar="TIME", help='Until this moment, such as "2026-11-22 14:15 America/Toronto".')
@click.option("--set", "label", metavar="LABEL", help="Begin with this backup, not with the newest that fits.")
@click.option("--immediate", is_flag=True, help="Replay no WAL: the backup itself, without all that came after it.")
@click.option("--to", "folder", metavar="DIR", help="Put the files into the empty folder DIR; touch nothing else.")
@click.option("--start", is_flag=True, help="Start the server by pg_ctl, as it was started last; for a plain host.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Change nothing; show the plan.")
@drift.option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def restore(
    session: Session, *, to_time: str | None, label: str | None, immediate: bool, folder: str | None, start: bool,
    yes: bool, dry_run: bool, unchecked: bool, as_json: bool,
) -> Exit:  # fmt: skip
    """Restore the database: all of it, to its latest state, where nothing else is said.

    Without --to-time and --immediate all WAL of the repository is replayed, also after --set. A time needs a zone. The
    plan is shown first, and asked about. The old data is moved aside and never deleted; a server in a container is
    stopped and started, another one must be stopped. After Ctrl-C, a power cut or a full disk the same command goes on.
    """
    target = _target(to_time, label, immediate=immediate)
    words = _again(target, folder, start=start)
    with _alone(session):
        place = still(session, places.of(session))
        drift.require_current(session, place, check=not unchecked, again=words)
        source = find(session, place, target)
        asked = Asked(words, _again(target, None, start=False), start=start, yes=yes, dry_run=dry_run, as_json=as_json)
        if folder is not None:
            return _beside(session, place, source, folder, asked)
        return InPlace(session, place, source, asked).run()


def _target(to_time: str | None, label: str | None, *, immediate: bool) -> Target:
    if to_time is None:
        return Target("immediate" if immediate else "latest", backup=label)
    if immediate:
        raise UsageError("--immediate replays no WAL, so there is no time to replay to", hint=f"{COMMAND} --help")
    return Target("time", targets.parse_time(to_time), label)


def _again(target: Target, folder: str | None, *, start: bool) -> str:
    """The command line that gives the same again."""
    found: tuple[str, ...] = ("--to-time", target.at.isoformat()) if target.at else ()
    found += ("--set", target.backup) if target.backup else ()
    found += ("--immediate",) if target.kind == "immediate" else ()
    found += ("--to", folder) if folder else ()
    found += ("--start",) if start else ()
    return shlex.join((*COMMAND.split(), *found))


@contextlib.contextmanager
def _alone(session: Session) -> Iterator[None]:
    try:
        with files.lock(session.settings.state_folder / "restore.lock", wait=0):
            yield
    except files.LockHeld as error:
        raise Busy(
            "another restore of this project runs on this machine", hint="chronos-secrets backup info"
        ) from error


def _beside(session: Session, place: Place, source: Source, folder: str, asked: Asked) -> Exit:
    """The files in a folder of their own; nothing is stopped, moved or started."""
    folder = str(Path(folder).absolute()) if isinstance(place.host, Local) else folder
    if not folder.startswith("/"):
        raise UsageError(f"--to must name an absolute folder of {place.host.name}", hint="--to /var/tmp/look")
    plan = plan_of(place, source, None, asked)._replace(folder=folder)
    if asked.dry_run:
        return show(session, plan, asked)
    real, free = restoring.private_folder(place.host, place.account, folder)
    require_room(place.host, real, free, source.backup)
    for line in report.lines(plan._replace(free=free), session.now(), session.zone):
        output.say(line)
    target = source.target._replace(timeline=source.kept.along.timeline)  # production may go back before it is started
    with _half_told(place, real), Progress("restore", quiet=asked.as_json) as hear:
        fetched = restoring.fetch(place.runner, real, target, archive_off=True, more=(progress.OPTION,), hear=hear)
    memory.record_or_say(session, "backup-restore-beside", source.backup.label)
    commands = _to_look(place, real, source.major)
    if asked.as_json:
        output.document(
            "backup restore", {"plan": report.plan_json(plan), "seconds": fetched.seconds, "commands": commands}
        )
        return Exit.OK
    output.result(f"{source.backup.label} is in {real} on {place.host.name}; no server runs on it. To look at it:")
    for line in commands:
        output.result(f"  {line}")
    return Exit.OK


@contextlib.contextmanager
def _half_told(place: Place, folder: str) -> Iterator[None]:
    """A folder that is not empty is not taken again: how to remove what a failure or Ctrl-C left in it."""
    try:
        yield
    except (ChronosError, KeyboardInterrupt):
        remove = place.host.paste(("rm", "-rf", folder, f"{folder}.tablespaces"), account=place.account)
        output.say(f"\nhalf-fetched files are in {folder}; to remove them: {remove}")
        raise


def _to_look(place: Place, folder: str, major: str) -> list[str]:
    """What a person pastes to look at what was restored into a folder."""
    facts, host, account = place.database, place.host, place.account
    needed = looking.prepare(host, account, folder, production=place.server)
    every = looking.commands(
        folder, bindir(host, major=major), needed, role=facts.role, database=facts.database, port=facts.port
    )
    return [host.paste(each, account=account) for each in every]
