"""The review page and the metrics of `due`: everything that this machine remembers, gathered for them."""

import os
from datetime import date

from chronos_secrets.cli import memory, standings
from chronos_secrets.cli.session import Session
from chronos_secrets.report import page as report
from chronos_secrets.report import prometheus
from chronos_secrets.review import page as review
from chronos_secrets.review.due import Row


def page(session: Session, rows: list[Row], today: date, within: int | None) -> str:
    """The review page as HTML. `within` is how many days ahead something stands at its top, None by its own lead."""
    dates, reading = memory.dates(session), memory.log(session).read()
    since = review.last_review(session.inventory, memory.ticks_now(session), reading.events, today)
    facts = review.Facts(
        made=session.now(), zone=session.zone, machine=os.uname().nodename, seen=dates.at if dates else None,
        known=dates.known if dates else {}, events=reading.events, damaged=len(reading.damaged),
        copies=standings.all_of(session) if session.inventory.vault.copies else (),
    )  # fmt: skip
    return report.page(review.compose(session.inventory, rows, facts, since, today=today, within=within))


def metrics(session: Session, rows: list[Row]) -> str:
    """The rows of `due` as metrics."""
    dates, inventory = memory.dates(session), session.inventory
    seen = dates.at if dates else None
    return prometheus.due(rows, project=inventory.project, zone=session.zone, now=session.now(), seen=seen)
