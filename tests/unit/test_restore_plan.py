"""The plan of a restore, in words."""

from datetime import UTC, datetime, timedelta

from chronos_secrets.pgbackrest.info import Backup
from chronos_secrets.pgbackrest.targets import Target
from chronos_secrets.report.restoring import Plan, lines

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BACKUP = Backup(
    "20261122-115900F", "full", NOON - timedelta(minutes=1), NOON, 2000, 2000, 1000, 1000, "0" * 24, "0" * 24, 1, 1, None,
    (), False,
)  # fmt: skip
PLAN = Plan(
    host="prod", target=Target("latest"), backup=BACKUP, timeline=9, left=(), newest=NOON, full=BACKUP, gap=None,
    free=None, data="/data", aside="/data.before", tablespaces=None, stops=None, starts=None, resumes=None,
)  # fmt: skip


def test_a_few_timelines_that_were_left_are_told_one_by_one_and_many_are_counted():
    few = tuple((number, f"0/{number}000000") for number in range(1, 3))
    many = tuple((number, f"0/{number}000000") for number in range(1, 9))
    assert "what timeline 2 committed after 0/2000000 does not come back" in "\n".join(
        lines(PLAN._replace(left=few), NOON, UTC)
    )
    told = next(line for line in lines(PLAN._replace(left=many), NOON, UTC) if "timeline" in line)
    assert told == ("follows timeline 9; what 8 earlier timelines committed after they were left does not come back")


def test_free_room_that_nobody_looked_for_is_not_told():
    assert " free on" not in lines(PLAN, NOON, UTC)[0]
    assert "4.9 KiB free on prod" in lines(PLAN._replace(free=5000), NOON, UTC)[0]
