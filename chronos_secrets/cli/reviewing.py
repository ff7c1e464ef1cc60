"""The review page and the metrics: everything that this machine remembers, gathered for them."""

import os
from datetime import date

from chronos_secrets.cli import memory, output, standings
from chronos_secrets.cli.backup import drilled, seen
from chronos_secrets.cli.session import Session
from chronos_secrets.report import page as report
from chronos_secrets.report import prometheus
from chronos_secrets.review import page as review
from chronos_secrets.review.due import Row


def page(session: Session, rows: list[Row], today: date, within: int | None) -> str:
    """The review page as HTML. `within` is how many days ahead something stands at its top, None by its own lead."""
    dates, reading, state = memory.dates(session), memory.log(session).read(), session.settings.state_folder
    looked = seen.load(state)
    since = review.last_review(session.inventory, memory.ticks_now(session), reading.events, today)
    facts = review.Facts(
        made=session.now(), zone=session.zone, machine=os.uname().nodename, seen=dates.at if dates else None,
        known=dates.known if dates else {}, events=reading.events, damaged=len(reading.damaged),
        copies=standings.all_of(session) if session.inventory.vault.copies else (),
        backups=seen.lines(state), backups_seen=looked.at if looked else None, drills=drills(session),
    )  # fmt: skip
    return report.page(review.compose(session.inventory, rows, facts, since, today=today, within=within))


def drills(session: Session) -> list[review.Drill]:
    """The drills of this machine, oldest first, against what the inventory promises now."""
    section = session.inventory.pgbackrest
    promised = section.objectives if section else None
    rto, rpo = (promised.rto, promised.rpo) if promised else (None, None)
    limits = rto.total_seconds() if rto else None, rpo.total_seconds() if rpo else None
    return [_drill(each, *limits) for each in drilled.all_drills(session.settings.state_folder)]


def drill_page(session: Session) -> str:
    """The drills of this machine as HTML."""
    return report.drill_page(
        drills(session), project=session.inventory.project, made=session.now(), machine=os.uname().nodename,
        zone=session.zone,
    )  # fmt: skip


def _drill(told: drilled.Drilled, rto: float | None, rpo: float | None) -> review.Drill:
    fetch, replay, query = told.parts or (None, None, None)
    words = output.plain("; ".join(told.faults))
    return review.Drill(told.at, told.backup, fetch, replay, query, rto, told.rpo, rpo, told.good, words)


def metrics(session: Session, rows: list[Row]) -> str:
    """The rows of `due` as metrics."""
    dates, inventory = memory.dates(session), session.inventory
    seen = dates.at if dates else None
    return prometheus.due(rows, project=inventory.project, zone=session.zone, now=session.now(), seen=seen)
