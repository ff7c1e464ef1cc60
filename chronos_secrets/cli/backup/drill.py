"""`backup drill`: the newest backup restored in a scratch place, proved and measured; nothing of it stays."""

import contextlib
import hashlib
import secrets
from collections.abc import Iterator
from typing import NamedTuple

import click

from chronos_secrets.cli import PATH, choices, memory, output, saving, trust
from chronos_secrets.cli.backup import drift, drilled, place
from chronos_secrets.cli.backup.place import Place
from chronos_secrets.cli.backup.progress import Progress
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Busy, ChronosError, Exit, Refused, UsageError
from chronos_secrets.inventory.model import LOCAL
from chronos_secrets.pgbackrest import drill as drilling
from chronos_secrets.pgbackrest import marking
from chronos_secrets.pgbackrest.drill import Course
from chronos_secrets.pgbackrest.proved import Check, Drill, Judged
from chronos_secrets.pgbackrest.scratch import Ground
from chronos_secrets.report import drill as report
from chronos_secrets.review import drills as review
from chronos_secrets.systems import files

_AGAIN = "chronos-secrets backup drill"
_CLEAN = f"{_AGAIN} --clean"
_MOST = 1000  # random moments
_FORMATS = ("table", "md", "html", "json")


class _Wish(NamedTuple):
    """What the person asked for."""

    moments: int
    seed: int
    keep: bool
    quiet: bool


@click.command(short_help="Restore the newest backup in a scratch place, prove it and measure it.")
@click.option(
    "--random-pitr",
    "moments",
    type=click.IntRange(0, _MOST),
    default=0,
    is_flag=False,
    flag_value=1,
    metavar="[N]",
    help="Restore N random moments, too (1 where no number is given), and prove each.",
)
@click.option(
    "--seed", type=click.IntRange(0), metavar="N", help="Choose the same moments as the drill that printed N."
)
@click.option("--on", "host", metavar="HOST", help="Restore on another host of the inventory (else pgbackrest.drill).")
@click.option("--keep", is_flag=True, help="Leave the restored server running, to look at it; --clean removes it.")
@click.option("--clean", is_flag=True, help="Only remove what drills left behind, of other machines, too.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="table", help="How to print it.")
@click.option("--output", "target", metavar="FILE", type=PATH, help="Write the html page to FILE.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@drift.option
@opens_vault
@with_session
def drill(
    session: Session, *, moments: int, seed: int | None, host: str | None, keep: bool, clean: bool, form: str,
    target: str | None, as_json: bool, unchecked: bool,
) -> Exit:  # fmt: skip
    """Restore the newest backup beside production, and measure what a loss would cost.

    A row is written to production (table chronos_secrets.drill) and must come back. RTO is what fetching, replaying and
    a first query took; RPO what any commit may wait until it is safe. The server that is restored archives nothing, is
    reached by nobody else, and is removed. The report is filed in the state folder; --format html makes a page of all
    drills so far, as is part of `due --format html`. Exit status 1 if anything is not proved, or an objective of the
    inventory is missed.
    """
    form = "json" if as_json else form
    if target is not None and form != "html":
        raise UsageError("--output goes with --format html", hint="for the others: > FILE")
    saving.require_free(target, saving.PAGE)
    there = _place(session, host)
    trust.require(session, hosts=[host] if host in session.inventory.hosts else [], sections=drift.SECTIONS)
    if clean:
        return _clean(session, there)
    drift.require_current(session, there, check=not unchecked, again=_AGAIN)
    wish = _Wish(moments, secrets.randbelow(2**31) if seed is None else seed, keep, form == "json")
    with _alone(session), _failures_recorded(session, there):
        judged = review.judge(_drill(session, there, wish), there.section.objectives)
    _keep(session, judged)
    _print(session, judged, form, target)
    return Exit.OK if judged.good else Exit.NO


def _place(session: Session, host: str | None) -> Place:
    """Where the drill is held. Raises UsageError for a host that the inventory does not have, Refused."""
    usual = place.of(session).section.drill
    if host not in (None, LOCAL) and host not in session.inventory.hosts:
        raise UsageError(f"there is no host '{host}'", hint=choices.nearest(host or "", session.inventory.hosts))
    return place.of(session, host=host or usual.host, config=usual.config)


def _drill(session: Session, there: Place, wish: _Wish) -> Drill:
    server = place.of(session).server
    ground = Ground(there.host, there.account, there.section.drill.path)
    _remove_dead(session, ground)
    output.say(f"looking at the backups, and for room on {there.host.name}")
    production = marking.production(server)
    prepared = drilling.look(there.runner, ground, production.major, there.database.data)
    output.say("writing a marker to production, and waiting until its WAL is archived")
    marker = marking.ship(production, marking.leave(server, secrets.token_hex(8)))
    if marker.reason:
        output.say(f"the marker is only a {marker.kind}: {output.plain(marker.reason)}")
    facts = there.database
    with drilling.scratch_place(
        prepared, _mark(session), name=_name(session), role=facts.role, database=facts.database, keep=wish.keep
    ) as scratch:
        runner = place.runner(session, there.section, there.file, scratch.host)
        course = Course(
            runner, scratch, production, prepared, marker, _processes(session, there), output.say,
            lambda: Progress("fetch", quiet=wish.quiet),
        )  # fmt: skip
        found = _prove(session, course, there, wish)
        if wish.keep:
            output.say(f"kept in {scratch.folder}: {scratch.server.by_hand('SELECT 1')}")
            output.say(f"to remove it: {_CLEAN}")
        else:
            output.say(f"removing {scratch.folder}")
    return found


def _prove(session: Session, course: Course, there: Place, wish: _Wish) -> Drill:
    found, facts = drilling.newest(course, session.now(), there.section.stanza, there.database.probe_tables)
    if facts is None or not wish.moments:
        return found
    output.say(f"{wish.moments} random moments, with --seed {wish.seed}")
    points = tuple(drilling.points(course, facts.replayed, wish.moments, wish.seed))
    if not points:
        none = Check("random moments", False, "there is nothing between the oldest backup and the last commit")
        return found._replace(checks=(*found.checks, none), seed=wish.seed)
    return found._replace(points=points, seed=wish.seed)


def _processes(session: Session, there: Place) -> int | None:
    """Beside production one process is enough; elsewhere as many as the configuration says."""
    return 1 if there.host.name == place.of(session).host.name else None


def _mark(session: Session) -> str:
    """What stands in a scratch place of this project and machine."""
    return f"{session.inventory.project} {memory.machine(session)}"


def _name(session: Session) -> str:
    return hashlib.sha256(_mark(session).encode()).hexdigest()[:12]


def _remove_dead(session: Session, ground: Ground) -> None:
    """Remove what killed drills of this machine left: it holds the lock, so none of them is at work. Raises Busy."""
    project, ours = session.inventory.project, _mark(session)
    for left in ground.left():
        if left.mark == ours or (not left.mark and f"-{_name(session)}-" in left.folder):
            output.say(f"removing {left.folder}, which an earlier drill left")
            ground.remove(left.folder)
        elif left.mark.partition(" ")[0] == project:
            raise Busy(
                f"another machine drills on {ground.host.name}, or left {left.folder} there",
                hint=f"{_CLEAN}    # once no other machine drills there",
            )


def _clean(session: Session, there: Place) -> Exit:
    """Remove every scratch place of the project."""
    ground = Ground(there.host, there.account, there.section.drill.path)
    project, ours = session.inventory.project, _name(session)
    with _alone(session):
        found = [
            each.folder for each in ground.left()
            if each.mark.partition(" ")[0] == project or (not each.mark and f"-{ours}-" in each.folder)
        ]  # fmt: skip
        for folder in found:
            ground.remove(folder)
            output.result(f"removed {folder} of {there.host.name}")
    if not found:
        output.say(f"no drill has left anything on {there.host.name}")
    return Exit.OK


@contextlib.contextmanager
def _alone(session: Session) -> Iterator[None]:
    """Hold the lock of this machine's drills. Raises Busy, Refused."""
    path = session.settings.state_folder / "drill.lock"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(files.lock(path, wait=0))
        except files.LockHeld as error:
            raise Busy("another drill is at work on this machine", hint="run the command again later") from error
        except OSError as error:
            raise Refused(f"{path} cannot be used: {files.reason(error)}", hint=f"ls -ld {path.parent}") from error
        yield


@contextlib.contextmanager
def _failures_recorded(session: Session, there: Place) -> Iterator[None]:
    """A drill that could not be held to its end is part of the history, too."""
    try:
        yield
    except ChronosError as error:
        detail = {"proved": "no", "host": there.host.name, "why": output.plain(error.message)}
        memory.record_or_say(session, "backup-drill", there.section.stanza, detail)
        raise


def _keep(session: Session, judged: Judged) -> None:
    """File the report, record the drill, and let `due` count one that proved all."""
    drill, state = judged.drill, session.settings.state_folder
    detail = {"proved": "yes" if judged.good else "no", "host": drill.host, "backup": drill.label}
    detail |= {"rto": report.lasted(drill.seconds.total)} if drill.seconds else {}
    detail |= {"moments": str(len(drill.points))} if drill.points else {}
    memory.record_or_say(session, "backup-drill", drill.stanza, detail)
    try:
        path = drilled.keep(state, judged, project=session.inventory.project, zone=session.zone)
        output.say(f"the report is {path}")
    except OSError as error:
        output.say(f"the report could not be filed in {state}: {files.reason(error)}")
    if judged.good:
        memory.mark(session, review.DRILLED)


def _print(session: Session, judged: Judged, form: str, target: str | None) -> None:
    if form == "json":
        output.document("backup drill", report.document(judged))
    elif form == "html":
        _page(session, target)
    elif form == "md":
        output.result(report.markdown(judged, project=session.inventory.project, zone=session.zone).rstrip("\n"))
    else:
        output.rows(report.HEADERS, report.lines(judged, session.zone), empty="nothing was restored")
        for fault in judged.faults:
            output.result(output.plain(f"NO: {fault}"))


def _page(session: Session, target: str | None) -> None:
    from chronos_secrets.cli import reviewing

    saving.hand_over(reviewing.drill_page(session), target, saving.PAGE)
    if target is not None:
        output.result(f"made {target}")
