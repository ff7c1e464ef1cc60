"""A drill: the newest backup restored in a scratch place, proved and measured. Production is only asked."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from time import monotonic
from typing import NamedTuple

from chronos_secrets.errors import Refused
from chronos_secrets.pgbackrest import info, marking, moments, programs, progress, proving, restore, scratch, targets
from chronos_secrets.pgbackrest.info import Backup
from chronos_secrets.pgbackrest.marking import Production
from chronos_secrets.pgbackrest.proved import Check, Drill, Marker, Point, Seconds
from chronos_secrets.pgbackrest.proving import Facts
from chronos_secrets.pgbackrest.runner import Runner
from chronos_secrets.pgbackrest.scratch import DoesNotStart, Ground, Scratch
from chronos_secrets.pgbackrest.targets import Target
from chronos_secrets.systems.hosts import Hear

SPARE = 1.3
"""The free space that a drill wants, as a multiple of what the newest backup restores: WAL comes on top."""
_FOLDER = "set path of pgbackrest.drill in the inventory, such as /var/tmp"

Say = Callable[[str], None]
Fetching = Callable[[], contextlib.AbstractContextManager[Hear]]


class Prepared(NamedTuple):
    """What was found before anything was touched: backups, where there is room, the server's programs there."""

    backups: tuple[Backup, ...]
    ground: Ground
    programs: str

    @property
    def newest(self) -> Backup:
        return max(self.backups, key=lambda each: each.stopped)


class Course(NamedTuple):
    """What a drill works with.

    `runner` runs on the host of `place`; `say` is told each step as it begins, and what `fetching` gives hears a fetch.
    """

    runner: Runner
    place: Scratch
    production: Production
    prepared: Prepared
    marker: Marker
    process_max: int | None
    say: Say
    fetching: Fetching


def look(runner: Runner, ground: Ground, major: str, data: str) -> Prepared:
    """Look for all that a drill needs. `data` is production's own folder, `major` its release.

    Raises Refused where there is no backup or no room, TargetFailed.
    """
    stanza = runner.held()
    if stanza.code != info.OK or not stanza.backups:
        raise Refused(
            f"there is no backup to restore: {info.STATES.get(stanza.code, info.STATES[info.OTHER])}",
            hint="chronos-secrets backup info",
        )
    room = ground.room()
    if f"{room.path}/".startswith(f"{data.rstrip('/')}/"):
        raise Refused(f"{room.path} is inside the database's own folder {data}", hint=_FOLDER)
    found = Prepared(stanza.backups, ground._replace(base=room.path), programs.bindir(ground.host, major=major))
    wanted = int(found.newest.size * SPARE)
    if room.free < wanted:
        raise Refused(
            f"{room.path} of {ground.host.name} has {room.free >> 20} MiB free, and a drill wants {wanted >> 20}",
            hint=f"{_FOLDER}, or --on another host",
        )
    return found


@contextlib.contextmanager
def scratch_place(
    prepared: Prepared, mark: str, *, name: str, role: str, database: str, keep: bool
) -> Iterator[Scratch]:
    """A scratch place for the block. However the block ends, nothing of it stays, but for one that ended with `keep`.

    `name` and `mark` say whose it is. Raises TargetFailed, and Incomplete where something of it stays.
    """
    place = scratch.make(prepared.ground, mark, name=name, programs=prepared.programs, role=role, database=database)
    kept = False
    try:
        yield place
        kept = keep
    finally:
        if not kept:
            prepared.ground.remove(place.folder)


def newest(course: Course, at: datetime, stanza: str, probe: Sequence[str]) -> tuple[Drill, Facts | None]:
    """Restore the newest state there is, measure it and prove it; no facts where it does not start.

    `at` is now, `probe` are the tables to count. Raises what pgBackRest's failures raise, TargetFailed, Refused.
    """
    backup, say = course.prepared.newest, course.say
    drill = Drill(
        at, course.prepared.ground.host.name, stanza, backup.label, backup.size, course.marker,
        course.production.archive_timeout, None, None, None,
    )  # fmt: skip
    try:
        seconds, facts = _restored(course, Target(), backup)
    except DoesNotStart as error:
        return drill._replace(checks=(Check("start", False, error.message),)), None
    say("checking the tables and indexes that came back")
    tables, wrong = proving.counted(course.place.server, probe)
    checks = (*proving.checks(course.place, course.marker, facts), *wrong)
    found = drill._replace(
        seconds=seconds, replayed=facts.replayed, timeline=facts.timeline, checks=checks, tables=tables
    )
    return found, facts


def points(course: Course, last: datetime | None, number: int, seed: int) -> Iterator[Point]:
    """Restore random moments before `last`, the last commit, in the place that the newest state was restored to.

    Nothing where there is no moment to choose from. Raises what `newest` raises.
    """
    chosen = moments.choose(course.prepared.backups, last, number, seed)
    for count, moment in enumerate(chosen, 1):
        course.say(f"moment {count} of {len(chosen)}: {moment.isoformat()}")
        yield _point(course, moment)


def _point(course: Course, moment: datetime) -> Point:
    target = Target("time", moment)
    backup = targets.fitting(course.prepared.backups, target) or course.prepared.newest
    course.place.stop()
    try:
        seconds, facts = _restored(course, target, backup, again=True)
    except DoesNotStart as error:
        return Point(moment, backup.label, None, None, None, error.message)
    kept, found = marking.rows(course.production.server), marking.rows(course.place.server)
    fault = moments.fault(moment, facts.replayed, kept, found, course.place.said())
    return Point(moment, backup.label, seconds, facts.replayed, facts.timeline, fault)


def _restored(course: Course, target: Target, backup: Backup, *, again: bool = False) -> tuple[Seconds, Facts]:
    course.say(f"fetching the backup {backup.label} into {course.place.folder}")
    with course.fetching() as hear:
        fetched = restore.fetch(
            course.runner, course.place.data, target, archive_off=True, process_max=course.process_max, delta=again,
            more=(progress.OPTION,), hear=hear,
        )  # fmt: skip
    course.say("replaying WAL")
    replay = course.place.start(course.production.settings)
    began = monotonic()
    facts = proving.facts(course.place.server)
    return Seconds(fetched.seconds, replay, monotonic() - began), facts
