"""The plan of a restore: what it will do, shown and asked about before anything is touched."""

from typing import NamedTuple

import click

from chronos_secrets.amounts import size
from chronos_secrets.cli import output, prompts, trust
from chronos_secrets.cli.backup import drift
from chronos_secrets.cli.backup import place as places
from chronos_secrets.cli.backup.place import Place
from chronos_secrets.cli.backup.source import Source
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Exit, Refused
from chronos_secrets.pgbackrest import running
from chronos_secrets.pgbackrest.info import Backup
from chronos_secrets.pgbackrest.restore import Mark, Seen
from chronos_secrets.report import restoring as report
from chronos_secrets.report.restoring import Plan
from chronos_secrets.systems.hosts import Container, Host

_ROOM = 1.02  # of the backup's size: what a file system needs besides the files


class Asked(NamedTuple):
    """How the command was given. `words` is the command line that gives it again, `same` that of any which goes on."""

    words: str
    same: str
    start: bool
    yes: bool
    dry_run: bool
    as_json: bool


def still(session: Session, place: Place) -> Place:
    """The same place, reached by one-off containers where its container is stopped."""
    trust.require(session, sections=drift.SECTIONS)
    twin = running.still(place.host)
    if twin is place.host:
        return place
    session.stand_in(place.section.host, twin)
    return places.of(session)


def plan_of(place: Place, source: Source, seen: Seen | None, asked: Asked, mark: Mark | None = None) -> Plan:
    """What will be done; `seen` is the data folder of a restore in place, `mark` how far an earlier run of it came."""
    host = running.itself(place.host)
    boxed = isinstance(host, Container)
    along = source.kept.along
    return Plan(
        host=host.name, target=source.target, backup=source.backup, timeline=along.timeline,
        left=source.left, newest=source.newest, full=source.full,
        gap=source.kept.gap, free=seen.free if seen else None, data=seen.data if seen else place.database.data,
        aside=seen.aside(mark.stamp) if seen and mark and seen.full else None,
        tablespaces=seen.spaces(mark.stamp) if seen and mark and seen.tablespaces else None,
        stops=host.name if boxed and host is place.host else None,
        starts=host.name if boxed else (f"the server on {host.name}, as it was started last" if asked.start else None),
        resumes=mark.stamp if mark and mark.state not in ("", "other") else None,
    )  # fmt: skip


def require_room(host: Host, folder: str, free: int, backup: Backup) -> None:
    """Raises Refused where a backup is larger than what is free in a folder."""
    if backup.size * _ROOM > free:
        raise Refused(
            f"{folder} on {host.name} has {size(free)} free, and {backup.label} is {size(backup.size)}",
            hint=host.paste(("df", "-h", folder.rpartition("/")[0] or "/")),
        )


def show(session: Session, plan: Plan, asked: Asked) -> Exit:
    """Print the plan as a result."""
    if asked.as_json:
        output.document("backup restore", {"plan": report.plan_json(plan)})
    else:
        for line in report.lines(plan, session.now(), session.zone):
            output.result(line)
    return Exit.OK


def confirm(session: Session, plan: Plan, asked: Asked) -> None:
    """Say the plan and ask. Raises Refused for a no, and where nobody can be asked."""
    for line in report.lines(plan, session.now(), session.zone):
        output.say(output.plain(line))
    if asked.yes:
        return
    if not prompts.has_person():
        raise Refused("nobody can be asked whether to restore; nothing was changed", hint=f"{asked.words} --yes")
    if not click.confirm(f"Restore the database on {plan.host}?", err=True):
        raise Refused("nobody agreed; nothing was changed", hint=f"{asked.words} --dry-run")
