"""How the backups stand: what pgBackRest and the database say, against what the inventory promises. Pure.

Nothing that could not be asked is ever taken for good, and no time that has an objective is taken for kept unknown.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from chronos_secrets.amounts import counted, lasting, size
from chronos_secrets.inventory.model import Objectives, PgBackRest
from chronos_secrets.inventory.schedule import add
from chronos_secrets.pgbackrest import info
from chronos_secrets.pgbackrest.archiver import Archiver, end_of
from chronos_secrets.pgbackrest.info import Backup, Stanza
from chronos_secrets.pgbackrest.settings import Difference, Setting

GRACE = timedelta(hours=2)
"""How long after its time a backup of the schedule may still be under way, or wait for a timer."""
_CONFIGURE = "chronos-secrets backup configure --check"
_DRILL = "chronos-secrets backup drill"
_VERIFY = "chronos-secrets backup verify"
_CHECK = "chronos-secrets backup check"
_SHORT = 20  # characters of a setting that has room in a line
_NO_OBJECTIVES = Objectives(None, None, None, None)
_SERVES = {"full": ("full",), "diff": ("full", "diff"), "incr": ("full", "diff", "incr")}  # whose time one does, too


class Mark(StrEnum):
    """What a line says: as it should be, not so, or that nobody promised anything."""

    OK = "ok"
    NO = "NO"
    OPEN = "-"


class Line(NamedTuple):
    """One thing, how it stands and why, in a few words; `fix` is a command to paste."""

    name: str
    mark: Mark
    why: str
    fix: str = ""


class Facts(NamedTuple):
    """What was found out. What is None could not be asked: `faults` has the sentence, by subject.

    The subjects are repository, database and WAL. `waiting` is the time of the oldest commit whose WAL is not in the
    repository; None for none. `firings` are the last times of the schedule, by the kind of backup. What this machine
    remembers: `verified`, when the repository was last found good; `faulty`, that it was not when looked at after that;
    `drilled`, the day of the last drill that proved the backups; `drill_fault`, why a later one here did not.
    """

    now: datetime
    stanza: Stanza | None
    archiver: Archiver | None
    differences: tuple[Difference, ...] = ()
    archive_timeout: Setting | None = None
    waiting: datetime | None = None
    firings: Mapping[str, datetime] = MappingProxyType({})
    verified: datetime | None = None
    faulty: bool = False
    drilled: date | None = None
    drill_fault: str = ""
    faults: Mapping[str, str] = MappingProxyType({})
    fixes: Mapping[str, str] = MappingProxyType({})

    @property
    def last_segment(self) -> str | None:
        """The newest WAL segment that is safe: what the repository says, else what the database believes.

        A repository may still have WAL of the database before an upgrade.
        """
        if self.stanza is None:
            return self.archiver.last if self.archiver else None
        newest = max((each.database for each in self.stanza.archives), default=None)
        return max((each.last for each in self.stanza.archives if each.last and each.database == newest), default=None)


def stand(facts: Facts, section: PgBackRest, *, today: date) -> list[Line]:
    """Every line, in the order in which they are shown. `today` is the project's day."""
    promised = section.objectives or _NO_OBJECTIVES
    lines = [_repository(facts)]
    if facts.stanza is not None and facts.stanza.code in (info.OK, info.NO_BACKUP, info.MIXED):
        lines += [*_backups(facts, section, promised), _retention(facts.stanza, section), _size(facts.stanza)]
    lines += [_wal(facts, promised), _archiver(facts), *_settings(facts, promised)]
    return [*lines, _verified(facts), _drill(facts, promised, today)]


# --- the repository ---------------------------------------------------------------------------------------------------


def _repository(facts: Facts) -> Line:
    name, stanza = "repository", facts.stanza
    if stanza is None:
        return Line(name, Mark.NO, facts.faults["repository"], facts.fixes.get("repository", ""))
    if stanza.code == info.OK:
        return Line(name, Mark.OK, f"{counted(len(stanza.backups), 'backup')} of {stanza.name}")
    if stanza.code == info.NO_BACKUP:
        return Line(name, Mark.NO, info.STATES[info.NO_BACKUP], "chronos-secrets backup full")
    if stanza.code == info.NO_STANZA:
        return Line(name, Mark.NO, info.STATES[info.NO_STANZA], "chronos-secrets backup stanza-create")
    return Line(name, Mark.NO, info.STATES.get(stanza.code, f"pgbackrest gives it the code {stanza.code}"), _CHECK)


def _backups(facts: Facts, section: PgBackRest, promised: Objectives) -> Iterator[Line]:
    assert facts.stanza is not None  # noqa: S101  asked before
    for kind in ("full", "diff", "incr"):
        planned = section.schedule is not None and getattr(section.schedule, kind) is not None
        newest = max((each for each in facts.stanza.backups if each.kind == kind), key=_stopped, default=None)
        if kind == "full" or planned or newest is not None:
            yield _backup(kind, newest, facts, promised.full_age if kind == "full" else None)


def _backup(kind: str, newest: Backup | None, facts: Facts, limit: timedelta | None) -> Line:
    name, fix = f"last {kind}", f"chronos-secrets backup {kind}"
    if (missed := _missed(kind, facts)) is not None:
        late = f"none since its time {lasting(facts.now - missed)} ago"
        return Line(name, Mark.NO, f"{_described(newest, facts)}; {late}" if newest else late, fix)
    if newest is None:
        return Line(name, Mark.NO if kind == "full" else Mark.OK, "there is none", fix if kind == "full" else "")
    if newest.error:
        return Line(name, Mark.NO, f"{_described(newest, facts)}; it copied pages that were damaged", _CHECK)
    if limit is not None and facts.now - newest.stopped > limit:
        return Line(name, Mark.NO, f"{_described(newest, facts)}; promised every {lasting(limit)}", fix)
    return Line(name, Mark.OK, _described(newest, facts))


def _missed(kind: str, facts: Facts) -> datetime | None:
    """The last time of the schedule, where no backup that serves it was begun since, and none can be under way."""
    firing = facts.firings.get(kind)
    if firing is None or facts.stanza is None or facts.now - firing <= GRACE:
        return None
    served = any(each.kind in _SERVES[kind] and each.started >= firing for each in facts.stanza.backups)
    return None if served else firing


def _described(backup: Backup, facts: Facts) -> str:
    return f"{backup.label}, {lasting(facts.now - backup.stopped)} ago"


def _retention(stanza: Stanza, section: PgBackRest) -> Line:
    """More than should be kept means that `expire` does not run; fewer is how every repository begins."""
    kept, kind, wanted = sum(each.kind == "full" for each in stanza.backups), "full backup", section.repo.retention_full
    said = f"{counted(kept, kind)} of {wanted}"
    if kept > wanted and not stanza.backup_runs:
        return Line("retention", Mark.NO, f"{said}: nothing removes the old ones", "chronos-secrets backup expire")
    return Line("retention", Mark.OK, said if kept >= wanted else f"{said} so far")


def _size(stanza: Stanza) -> Line:
    """The repository's size without its WAL, of which pgBackRest tells nothing; and how the full backups grow."""
    stored = [each.repo_delta for each in stanza.backups if each.repo_delta is not None]
    fulls = sorted((each for each in stanza.backups if each.kind == "full"), key=_stopped)
    said = f"{size(sum(stored))} of backups" if stored else "not told by pgbackrest"
    if len(fulls) > 1 and fulls[-2].size:
        grown = (fulls[-1].size - fulls[-2].size) / fulls[-2].size
        said += f"; the database {grown:+.0%} since the full before"
    return Line("size", Mark.OK, said)


# --- WAL --------------------------------------------------------------------------------------------------------------


def _wal(facts: Facts, promised: Objectives) -> Line:
    name, archiver, last = "WAL", facts.archiver, facts.last_segment
    if archiver is None:
        return Line(name, Mark.NO, facts.faults["database"], facts.fixes.get("database", ""))
    if archiver.position is None:
        return Line(name, Mark.OPEN, "the database is a standby, which archives nothing")
    if last is None:
        return Line(name, Mark.NO, "the repository has no WAL", _CHECK)
    if facts.stanza is not None and archiver.last and _after(archiver.last, last, archiver):
        return Line(
            name, Mark.NO, f"the database archived {archiver.last} elsewhere: the repository ends at {last}", _CONFIGURE
        )
    return _behind(facts, archiver, last, promised)


def _after(one: str, other: str, archiver: Archiver) -> bool:
    return end_of(one, archiver.segment_size) > end_of(other, archiver.segment_size)


def _behind(facts: Facts, archiver: Archiver, last: str, promised: Objectives) -> Line:
    if not archiver.behind(last):
        return Line("WAL", Mark.OK, f"all of it is in the repository, up to {last}")
    if "WAL" in facts.faults:
        return _unread(facts, archiver, last, promised)
    if facts.waiting is None:
        return Line("WAL", Mark.OK, f"every commit is in the repository, up to {last}")
    age = archiver.now - facts.waiting
    said = f"a commit of {lasting(age)} ago is not in the repository"
    if promised.rpo is not None and age > promised.rpo:
        return Line("WAL", Mark.NO, f"{said}; promised within {lasting(promised.rpo)}", _CHECK)
    return Line("WAL", Mark.OK if promised.rpo else Mark.OPEN, f"{said} yet")


def _unread(facts: Facts, archiver: Archiver, last: str, promised: Objectives) -> Line:
    """Where nobody can see what waits, the time of the last segment is the best that is known."""
    since = lasting(archiver.now - archiver.last_at) if archiver.last_at else "unknown time"
    said = f"{size(archiver.behind(last) or 0)} after {last}, {since} ago; {facts.faults['WAL']}"
    late = promised.rpo is not None and (archiver.last_at is None or archiver.now - archiver.last_at > promised.rpo)
    return Line("WAL", Mark.NO if late else Mark.OPEN, said, _CHECK if late else "")


def _archiver(facts: Facts) -> Line:
    name, archiver = "archiver", facts.archiver
    if archiver is None:
        return Line(name, Mark.NO, "not known: the database was not asked")
    if archiver.fails and archiver.failed_at is not None:
        since = lasting(archiver.now - archiver.failed_at)
        return Line(name, Mark.NO, f"failed {since} ago with {archiver.failed_wal}, and nothing since", _CHECK)
    if archiver.last_at is None:
        return Line(name, Mark.OPEN, "has archived nothing since the database's statistics began")
    said = f"last at work {lasting(archiver.now - archiver.last_at)} ago"
    return Line(name, Mark.OK, f"{said}; {counted(archiver.failed, 'failure')} before" if archiver.failed else said)


def _settings(facts: Facts, promised: Objectives) -> Iterator[Line]:
    if facts.archiver is None:
        return
    for each in facts.differences:
        yield Line("settings", Mark.NO, _difference(each), _CONFIGURE)
    if (why := _too_slow(facts.archive_timeout, promised.rpo)) is not None:
        yield Line("settings", Mark.NO, why, _CONFIGURE)
    elif not facts.differences:
        yield Line("settings", Mark.OK, "as the backups need them")


def _difference(each: Difference) -> str:
    found = each.setting
    is_short = len(found.value) + len(each.should) < _SHORT
    return f"{found.name} is {found.value or 'empty'}: {each.why}" if is_short else f"{found.name}: {each.why}"


def _too_slow(setting: Setting | None, rpo: timedelta | None) -> str | None:
    if setting is None or rpo is None:
        return None
    limit = timedelta(seconds=int(setting.value))
    if not limit:
        return f"archive_timeout is 0: a commit may wait for ever; promised within {lasting(rpo)}"
    return f"archive_timeout is {lasting(limit)}; promised within {lasting(rpo)}" if limit > rpo else None


# --- what this machine remembers --------------------------------------------------------------------------------------


def _verified(facts: Facts) -> Line:
    ago = f"last good {lasting(facts.now - facts.verified)} ago" if facts.verified else "never good"
    if facts.faulty:
        return Line("verified", Mark.NO, f"the last look found faults; {ago}", _VERIFY)
    if facts.verified is None:
        return Line("verified", Mark.OPEN, "never from this machine", _VERIFY)
    return Line("verified", Mark.OK, ago)


def _drill(facts: Facts, promised: Objectives, today: date) -> Line:
    if facts.drill_fault:
        return Line("drill", Mark.NO, f"the last one did not prove the backups: {facts.drill_fault}", _DRILL)
    last, every = facts.drilled, promised.drill
    said = f"proved on {last}" if last else "no restore was ever proved"
    if every is not None and (last is None or add(last, every) <= today):
        return Line("drill", Mark.NO, f"{said}; promised every {every}", _DRILL)
    return Line("drill", Mark.OK if last else Mark.OPEN, said)


def _stopped(backup: Backup) -> datetime:
    return backup.stopped
