"""How long pgBackRest needs what it stores, by when its full backups start. Pure."""

import itertools
from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from chronos_secrets.cloud import desired
from chronos_secrets.inventory import cron
from chronos_secrets.review.design.facts import Facts

_FIRST, _DAYS = date(2024, 1, 1), 800  # a leap year and more
_WEEKLY = (0, 7)  # where nobody says


def fulls(facts: Facts) -> Sequence[int]:
    """The days on which a full backup starts, by the inventory or else by cron, as numbers in their order."""
    schedule = facts.backups.schedule
    return firing([schedule.full] if schedule else [job.line for job in facts.backup_jobs if job.type == "full"])


def firing(lines: Iterable[str]) -> Sequence[int]:
    """The days on which any of the lines of cron fires, as numbers in their order; once a week where there is none."""
    fields = [cron.parse(each) for each in lines]
    if not fields:
        return _WEEKLY
    days = ((day, _FIRST + timedelta(days=day)) for day in range(_DAYS))
    return [number for number, day in days if any(cron.fits(each, day) for each in fields)]


def days_between(days: Sequence[int]) -> int:
    """The shortest time between two full backups: what of the past is sure to be there counts by it."""
    return min((after - before for before, after in itertools.pairwise(days)), default=366)


def kept_days(facts: Facts) -> int:
    """How old the oldest object gets that is still needed."""
    return desired.kept_days(facts.backups.repo.retention_full, fulls(facts))
