"""`backup restore`: the database as it was, in place or in a folder beside it."""

import contextlib
import shlex
import time
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import click

from chronos_secrets.cli import memory, output, prompts, trust
from chronos_secrets.cli.backup import drift
from chronos_secrets.cli.backup import place as places
from chronos_secrets.cli.backup.place import Place
from chronos_secrets.cli.backup.progress import Progress
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Busy, ChronosError, Exit, Incomplete, Refused, TargetFailed, UsageError
from chronos_secrets.pgbackrest import info, progress, running, targets, wal
from chronos_secrets.pgbackrest import restore as restoring
from chronos_secrets.pgbackrest.info import Backup
from chronos_secrets.pgbackrest.restore import Mark, Seen, Site
from chronos_secrets.pgbackrest.targets import Target
from chronos_secrets.report import restoring as report
from chronos_secrets.report.backup import moment, size
from chronos_secrets.report.restoring import Plan
from chronos_secrets.systems import files
from chronos_secrets.systems.hosts import Container, Host

_COMMAND = "chronos-secrets backup restore"
_PATIENCE = 60.0  # seconds in which an earlier run's pgbackrest may end
_POLL = 1.0  # seconds
_ROOM = 1.02  # of the backup's size: what a file system needs besides the files


class _Source(NamedTuple):
    """What a restore is made of."""

    target: Target
    backup: Backup
    kept: wal.Kept
    full: Backup | None
    newest: datetime | None
    major: str


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
        place = _still(session, places.of(session))
        drift.require_current(session, place, check=not unchecked, again=words)
        source = _source(session, place, target)
        asked = _Asked(words, _again(target, None, start=False), start=start, yes=yes, dry_run=dry_run, as_json=as_json)
        if folder is not None:
            return _beside(session, place, source, folder, asked)
        return _InPlace(session, place, source, asked).run()


class _Asked(NamedTuple):
    """How the command was given. `words` is the command line that gives it again, `same` that of any which goes on."""

    words: str
    same: str
    start: bool
    yes: bool
    dry_run: bool
    as_json: bool


def _target(to_time: str | None, label: str | None, *, immediate: bool) -> Target:
    if to_time is None:
        return Target("immediate" if immediate else "latest", backup=label)
    if immediate:
        raise UsageError("--immediate replays no WAL, so there is no time to replay to", hint=f"{_COMMAND} --help")
    return Target("time", targets.parse_time(to_time), label)


def _again(target: Target, folder: str | None, *, start: bool) -> str:
    """The command line that gives the same again."""
    found: tuple[str, ...] = ("--to-time", target.at.isoformat()) if target.at else ()
    found += ("--set", target.backup) if target.backup else ()
    found += ("--immediate",) if target.kind == "immediate" else ()
    found += ("--to", folder) if folder else ()
    found += ("--start",) if start else ()
    return shlex.join((*_COMMAND.split(), *found))


@contextlib.contextmanager
def _alone(session: Session) -> Iterator[None]:
    try:
        with files.lock(session.settings.state_folder / "restore.lock", wait=0):
            yield
    except files.LockHeld as error:
        raise Busy(
            "another restore of this project runs on this machine", hint="chronos-secrets backup info"
        ) from error


def _still(session: Session, place: Place) -> Place:
    """The same place, reached by one-off containers where its container is stopped."""
    trust.require(session, sections=drift.SECTIONS)
    twin = running.still(place.host)
    if twin is place.host:
        return place
    session.stand_in(place.section.host, twin)
    return places.of(session)


# --- what there is to restore -----------------------------------------------------------------------------------------


def _source(session: Session, place: Place, target: Target) -> _Source:
    """The backup and the WAL of a target. Raises Refused for a target that no server would reach."""
    if target.at and target.at > session.now():
        raise Refused(f"{_told(session, target)} is in the future", hint=f"{_COMMAND}    (for the latest state)")
    stanza = place.runner.info()
    archive = max(stanza.archives, key=lambda each: (each.database, -each.repo), default=None)
    if archive is None or not stanza.backups:
        raise TargetFailed(
            f"there is nothing to restore: {info.STATES.get(stanza.code, 'unknown')}", hint=place.runner.by_hand("info")
        )
    kept = wal.look(place.runner, archive)
    of_it = [each for each in stanza.backups if each.database == archive.database and _followed(kept, each)]
    backup = targets.fitting(of_it, target)
    if backup is None:
        raise _no_backup(session, stanza.backups, of_it, target)
    kept = kept.lacking(backup)
    newest = wal.last_commit(place.host, place.runner, place.account, archive, kept=kept)
    if target.at and newest and target.at >= newest:
        _refuse_late(session, target, newest, kept)
    full = max((each for each in of_it if each.kind == "full"), key=lambda each: each.stopped, default=None)
    return _Source(target._replace(backup=backup.label), backup, kept, full, newest, archive.id.partition("-")[0])


def _followed(kept: wal.Kept, backup: Backup) -> bool:
    """Whether a backup is of the past that the latest timeline has, not of one that was left."""
    return backup.wal_stop is None or kept.along.until(backup.wal_stop) is not None


def _told(session: Session, target: Target) -> str:
    return report.exact(target.at, session.zone)


def _no_backup(session: Session, every: tuple[Backup, ...], usable: list[Backup], target: Target) -> Refused:
    named = [each for each in every if each.label == target.backup]
    if target.backup and not named:
        return Refused(f"there is no backup {target.backup}", hint="chronos-secrets backup info")
    if target.backup and named[0] not in usable:
        return Refused(
            f"{target.backup} is of a timeline that was left by an earlier restore, or of another database",
            hint="chronos-secrets backup info",
        )
    if not usable:
        return Refused("no backup is of the timeline that the WAL follows", hint="chronos-secrets backup full")
    first = min(named or usable, key=lambda each: each.stopped)
    return Refused(
        f"no backup ended before {_told(session, target)}: {first.label} ended {moment(first.stopped, session.zone)}",
        hint=f"{_COMMAND} --immediate --set {first.label}    (the earliest state there is)",
    )


def _refuse_late(session: Session, target: Target, newest: datetime, kept: wal.Kept) -> None:
    why = f", for WAL is missing from {kept.gap} on" if kept.gap else ""
    raise Refused(
        f"the WAL of the repository ends before {_told(session, target)}: its newest commit that can be replayed is of "
        f"{report.exact(newest, session.zone)}{why}",
        hint=f"{_COMMAND}    (the latest state: all that is there)",
    )


# --- beside production ------------------------------------------------------------------------------------------------


def _beside(session: Session, place: Place, source: _Source, folder: str, asked: _Asked) -> Exit:
    """The files in a folder of their own; nothing is stopped, moved or started."""
    from pathlib import Path

    from chronos_secrets.systems.hosts import Local

    folder = str(Path(folder).absolute()) if isinstance(place.host, Local) else folder
    if not folder.startswith("/"):
        raise UsageError(f"--to must name an absolute folder of {place.host.name}", hint="--to /var/tmp/look")
    plan = _plan(place, source, None, asked)._replace(folder=folder)
    if asked.dry_run:
        return _show(session, plan, asked)
    real, free = restoring.private_folder(place.host, place.account, folder)
    _require_room(place.host, real, free, source.backup)
    for line in report.lines(plan._replace(free=free), session.now(), session.zone):
        output.say(line)
    with Progress("restore", quiet=asked.as_json) as hear:
        fetched = restoring.fetch(
            place.runner, real, source.target, archive_off=True, more=(progress.OPTION,), hear=hear
        )
    memory.record_or_say(session, "backup-restore-beside", source.backup.label)
    commands = _commands(place, real, source.major)
    if asked.as_json:
        output.document(
            "backup restore", {"plan": report.plan_json(plan), "seconds": fetched.seconds, "commands": commands}
        )
        return Exit.OK
    output.result(f"{source.backup.label} is in {real} on {place.host.name}; no server runs on it. To look at it:")
    for line in commands:
        output.result(f"  {line}")
    return Exit.OK


def _commands(place: Place, folder: str, major: str) -> list[str]:
    """What starts a private server on the files, asks it, stops it and removes all of it."""
    from chronos_secrets.pgbackrest.programs import bindir

    control = f"{bindir(place.host, major=major)}/pg_ctl"
    own = f"-c listen_addresses= -c unix_socket_directories={folder} -c archive_mode=off"
    database, account = place.database, place.account
    ask = (
        f"--host={folder}",
        f"--port={database.port}",
        f"--username={database.role}",
        f"--dbname={database.database}",
    )
    options = f"-c port={database.port} {own}"
    every = (
        (control, "--pgdata", folder, "--log", f"{folder}/look.log", "--wait", "--options", options, "start"),
        ("psql", *ask),
        (control, "--pgdata", folder, "--mode=immediate", "stop"),
        ("rm", "-rf", folder, f"{folder}.tablespaces"),
    )
    return [place.host.paste(("runuser", "-u", account, "--", *each) if account else each) for each in every]


# --- in place ---------------------------------------------------------------------------------------------------------


class _InPlace:
    """One restore where the server looks for its data."""

    def __init__(self, session: Session, place: Place, source: _Source, asked: _Asked) -> None:
        self._session, self._place, self._source, self._asked = session, place, source, asked
        self._site = Site(place.host, place.account, place.database.data)
        self._seen = self._site.look()
        self._mark = self._resumed()

    def run(self) -> Exit:
        if self._mark.state != "placed":
            plan = self._checked_plan()
            if self._asked.dry_run:
                return _show(self._session, plan, self._asked)
            if plan.first:
                raise Refused(f"the database on {plan.host} is running", hint=plan.first)
            _confirm(self._session, plan, self._asked)
            self._stop()
            self._fetch()
            self._mark = self._site.swap(self._seen, self._mark)
        return self._bring_up()

    def _resumed(self) -> Mark:
        """How far an earlier run came, if this is the same restore; else a new one."""
        seen, mark, words = self._seen, self._seen.mark, self._asked.same
        new = Mark("", self._session.now().strftime("%Y%m%dT%H%M%SZ"), self._source.backup.label, self._asked.same)
        if mark is None:
            return new
        if mark.in_between and mark.words != words:
            raise Refused(f"another restore stopped while it moved files in {seen.data}", hint=mark.words)
        if mark.in_between:
            return mark
        if mark.state == "placed":
            return mark if mark.words == words and (seen.replays or self._alive()) else new
        return mark if (mark.words, mark.label) == (words, new.label) else new._replace(state="other")

    def _alive(self) -> bool:
        host = self._place.host
        if isinstance(host, running.Stopped):
            return False
        return isinstance(host, Container) or running.is_alive(host, self._place.account, self._seen.data)

    def _checked_plan(self) -> Plan:
        seen, host = self._seen, self._place.host
        if not seen.writable:
            raise Refused(
                f"{self._place.account or 'the account'} cannot make a folder beside {seen.data} on {host.name}",
                hint=host.paste(("ls", "-ld", seen.data.rpartition("/")[0] or "/")),
            )
        if seen.mounted and seen.tablespaces:
            raise Refused(
                f"{seen.data} on {host.name} is a mount point and has tablespaces: they have no place to go to",
                hint=f"{_COMMAND} --to DIR    (and move the files by hand)",
            )
        if not self._mark.in_between and not (self._mark.state and seen.resumable):
            _require_room(host, seen.work, seen.free, self._source.backup)
        first = None if isinstance(host, Container) or not self._alive() else running.stop_command(host)
        return _plan(self._place, self._source, self._seen, self._asked, self._mark)._replace(first=first)

    def _stop(self) -> None:
        """Stop the container, and reach its volumes by one-off containers from now on."""
        if isinstance(self._place.host, Container):
            output.say(f"stopping {self._place.host.name}")
            running.stop(self._place.host)
        self._place = _still(self._session, self._place)
        self._site = Site(self._place.host, self._place.account, self._place.database.data)
        self._wait_for_orphans()

    def _wait_for_orphans(self) -> None:
        """A pgbackrest of a run that was killed may still write into our folder: it is not ended, but waited for."""
        deadline, said = time.monotonic() + _PATIENCE, False
        while left := self._orphans():
            if time.monotonic() > deadline:
                raise Busy(f"an earlier run's pgbackrest still restores on {self._place.host.name}", hint=left)
            if not said:
                output.say("an earlier run's pgbackrest still restores; waiting for its end")
                said = True
            time.sleep(_POLL)

    def _orphans(self) -> str | None:
        """The command that shows or ends what is still at work; None for nothing."""
        host = self._place.host
        if isinstance(host, running.Stopped):
            names = host.container.one_offs()
            return host.container.by_engine("rm", "-f", *names) if names else None
        return host.paste(("ps", "-ef")) if self._site.look().busy else None

    def _fetch(self) -> None:
        if self._mark.in_between or self._mark.state == "fetched":
            return
        goes_on = self._mark.state == "fetching" and self._site.look().resumable
        self._mark = self._mark._replace(state="fetching")
        self._site.mark(self._seen, self._mark)
        if not goes_on:
            self._site.empty(self._seen)
        try:
            self._fetch_files(delta=goes_on)
        except ChronosError as error:
            raise self._failed(error) from error
        self._mark = self._mark._replace(state="fetched")
        self._site.mark(self._seen, self._mark)

    def _fetch_files(self, *, delta: bool) -> None:
        runner = self._place.runner
        program = runner.setting("cmd", "restore") or "pgbackrest"
        get = f'{program} --config={self._place.config} --stanza={runner.stanza} archive-get %f "%p"'
        with Progress("restore", quiet=self._asked.as_json) as hear:
            restoring.fetch(
                runner, f"{self._seen.work}/data", self._source.target, archive_off=False, delta=delta, hear=hear,
                restore_command=get, tablespaces=self._seen.spaces(self._mark.stamp), more=(progress.OPTION,),
            )  # fmt: skip

    def _failed(self, error: ChronosError) -> ChronosError:
        """The same failure, with what is untouched."""
        host = self._session_host
        details = [*error.details, f"{self._seen.data} is as it was; to use it again: {running.start_command(host)}",
                   f"half-fetched files are in {self._seen.work}, and are of use when it is run again"]  # fmt: skip
        return type_of(error)(error.message, hint=error.hint or self._asked.words, details=details)

    @property
    def _session_host(self) -> Host:
        host = self._place.host
        return host.container if isinstance(host, running.Stopped) else host

    def _bring_up(self) -> Exit:
        """Start the server where that is ours to do, wait until it takes writes, and say what it is."""
        host, place, seen = self._session_host, self._place, self._seen
        log = seen.log(self._mark.stamp)
        if not self._alive():
            if not isinstance(host, Container) and not self._asked.start:
                raise Incomplete(
                    f"the files are in place in {seen.data} on {host.name}; the server is not started",
                    details=["start it, then run the same command again: it asks the server what it is"],
                    hint=f"{running.start_command(host)} && {self._asked.words}",
                )
            running.start(host, place.account, seen.data, log=log, as_last=seen.opts, major=self._source.major)
        self._session.stand_in(place.section.host, host)
        place = places.of(self._session)
        try:
            found = running.wait(
                place.server, lambda: running.lives(host, place.account, seen.data), output.say,
                tables=place.database.probe_tables,
            )  # fmt: skip
        except running.NotUp as error:
            raise self._not_up(error, log) from error
        return self._done(found)

    def _not_up(self, error: TargetFailed, log: str) -> TargetFailed:
        host, place = self._session_host, self._place
        last = running.last_words(host, place.account, self._seen.data, log=log, config=place.config)
        back = Site(running.still(host), place.account, self._seen.data).way_back(self._seen, self._mark.stamp)
        stop = f"{running.stop_command(host)}; "
        return TargetFailed(
            f"{host.name}: {error.message}",
            details=[
                *last,
                f"the old data is in {self._seen.aside(self._mark.stamp)}; to go back, with the server stopped: {back}",
            ],
            hint=f"{stop}{self._asked.words}    (once its log's reason is put right)",
        )

    def _done(self, found: running.Recovered) -> Exit:
        aside = self._seen.aside(self._mark.stamp)
        Site(self._session_host, self._place.account, self._seen.data).finish(self._seen)
        memory.record_or_say(self._session, "backup-restore", self._mark.label, {"timeline": str(found.timeline)})
        if self._asked.as_json:
            told = {"backup": self._mark.label, "aside": aside, **report.recovered_json(found)}
            output.document("backup restore", {"restored": told})
            return Exit.OK
        for line in report.recovered(found, self._session.zone):
            output.result(line)
        output.result(f"the old data, if there was any, is in {aside}: remove it when you do not need it any more")
        output.say("next: chronos-secrets backup check && chronos-secrets backup full")
        return Exit.OK


def type_of(error: ChronosError) -> type[ChronosError]:
    """The class by which a failure is said again with more to it; one that needs more than words is a TargetFailed."""
    return type(error) if type(error) in (TargetFailed, Incomplete, Refused, Busy) else TargetFailed


def _plan(place: Place, source: _Source, seen: Seen | None, asked: _Asked, mark: Mark | None = None) -> Plan:
    host = place.host.container if isinstance(place.host, running.Stopped) else place.host
    boxed = isinstance(host, Container)
    along = source.kept.along
    return Plan(
        host=host.name, target=source.target, backup=source.backup, timeline=along.timeline,
        left=tuple((each.timeline, each.place) for each in along.left), newest=source.newest, full=source.full,
        gap=source.kept.gap, free=seen.free if seen else 0, data=seen.data if seen else place.database.data,
        aside=seen.aside(mark.stamp) if seen and mark and seen.full else None,
        tablespaces=seen.spaces(mark.stamp) if seen and mark and seen.tablespaces else None,
        stops=host.name if boxed and host is place.host else None,
        starts=host.name if boxed else (f"the server on {host.name}, as it was started last" if asked.start else None),
        resumes=mark.stamp if mark and mark.state not in ("", "other") else None,
    )  # fmt: skip


def _require_room(host: Host, folder: str, free: int, backup: Backup) -> None:
    if backup.size * _ROOM > free:
        raise Refused(
            f"{folder} on {host.name} has {size(free)} free, and {backup.label} is {size(backup.size)}",
            hint=host.paste(("df", "-h", folder.rpartition("/")[0] or "/")),
        )


def _show(session: Session, plan: Plan, asked: _Asked) -> Exit:
    if asked.as_json:
        output.document("backup restore", {"plan": report.plan_json(plan)})
    else:
        for line in report.lines(plan, session.now(), session.zone):
            output.result(line)
    return Exit.OK


def _confirm(session: Session, plan: Plan, asked: _Asked) -> None:
    for line in report.lines(plan, session.now(), session.zone):
        output.say(output.plain(line))
    if asked.yes:
        return
    if not prompts.has_person():
        raise Refused("nobody can be asked whether to restore; nothing was changed", hint=f"{asked.words} --yes")
    if not click.confirm(f"Restore the database on {plan.host}?", err=True):
        raise Refused("nothing was changed")
