"""`cloud cost`: what the bucket costs a month, from what lies in it."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import click

from chronos_secrets.cli import output
from chronos_secrets.cli.cloud import reach
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.cloud import cost as reckoning
from chronos_secrets.cloud import prices
from chronos_secrets.cloud.cost import Requests
from chronos_secrets.cloud.desired import Lifecycle
from chronos_secrets.inventory import cron
from chronos_secrets.inventory.model import BackupSchedule
from chronos_secrets.report import cost as report
from chronos_secrets.systems.aws.listing import versions


@click.command(short_help="Reckon what the bucket costs a month, line by line.")
@click.option("--months", metavar="N", type=click.IntRange(1, 120), default=1, help="Also the next N months.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def cost(session: Session, *, months: int, as_json: bool) -> None:
    """Reckon what the bucket costs a month: all versions of all objects by storage class, moves to come, requests.

    Each line shows its arithmetic. Requests are estimated from the schedule and from archive_timeout. The prices are in
    a table with dates and sources, without tax, free tier or discounts. With --months, what follows if nothing is
    written or deleted but by the inventory's lifecycle.
    """
    at, now = reach.reached(session), session.now()
    cloud, table = at.cloud, prices.of(at.cloud.region)
    rules = Lifecycle(*cloud.lifecycle) if cloud.lifecycle else reckoning.NEVER
    with reach.named(cloud):
        usage = reckoning.measure(versions(at.clients, cloud.bucket.name, owner=at.account), now, rules)
    requests = _requests(session, now)
    bills = reckoning.forecast(usage, table, rules, requests, months)
    early = reckoning.early(usage, table, rules)
    notes = report.notes(bills[0], table, early, requests, session.today)
    if as_json:
        output.document("cloud cost", report.as_json(cloud.bucket.name, table, usage, bills, notes))
        return
    output.result(output.plain(report.heading(cloud.bucket.name, usage)))
    output.rows(
        report.HEADERS, report.lines(bills[0]), empty="nothing lies in the bucket, and nothing is written to it"
    )
    output.result(report.total(bills[0]))
    for text in report.months(bills) if months > 1 else ():
        output.result(text)
    for note in notes:
        output.say(output.plain(note))


def _requests(session: Session, now: datetime) -> Requests:
    """What writes to the bucket in a month, as far as the inventory says."""
    section = session.inventory.pgbackrest
    if section is None:
        return Requests(None, None)
    timeout = section.archive_timeout
    segments = timedelta(reckoning.MONTH) // timeout if timeout else None
    return Requests(segments, _runs(section.schedule, now) if section.schedule else None)


def _runs(schedule: BackupSchedule, now: datetime) -> int:
    """How many backups start within a month, as if no clock changed in it."""
    today = now.astimezone(ZoneInfo(schedule.timezone)).date()
    days = [today + timedelta(number) for number in range(reckoning.MONTH)]
    lines = [cron.parse(line) for line in schedule.starts.values()]
    return sum(len(each.hours) * len(each.minutes) for each in lines for day in days if cron.fits(each, day))
