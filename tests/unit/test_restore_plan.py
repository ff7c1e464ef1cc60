"""The plan of a restore, in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

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


def about_timelines(*left: tuple[int, datetime | None]) -> str:
    return next(line for line in lines(PLAN._replace(left=left), NOON, UTC) if "timeline" in line)


def test_a_few_timelines_that_were_left_are_told_by_their_times_and_many_are_counted():
    one = "follows timeline 9; what timeline 1 committed after 2026-11-22 12:00:00 UTC"
    assert about_timelines((1, NOON)) == f"{one} does not come back"
    two = f"{one}, and what timeline 2 committed after it was left do not come back"
    assert about_timelines((1, NOON), (2, None)) == two
    told = about_timelines(*((number, NOON) for number in range(1, 9)))
    assert told == ("follows timeline 9; what 8 earlier timelines committed after they were left does not come back")


def test_free_room_that_nobody_looked_for_is_not_told():
    assert " free on" not in lines(PLAN, NOON, UTC)[0]
    assert "4.9 KiB free on prod" in lines(PLAN._replace(free=5000), NOON, UTC)[0]


def test_a_look_beside_production_lacks_something_and_loses_nothing():
    ended = PLAN._replace(target=Target("time", NOON - timedelta(seconds=0.5)))
    lost = "loses what was committed after that: less than a second of the WAL there is"
    assert lost in lines(ended, NOON, UTC)
    beside = lines(ended._replace(folder="/look"), NOON, UTC)
    assert lost.replace("loses", "lacks") in beside
    assert not [each for each in (*beside, *lines(PLAN._replace(folder="/look"), NOON, UTC)) if "loses" in each]


def test_a_name_that_looks_like_rubbish_is_explained():
    inside = PLAN._replace(aside="/data/pgsql_tmp.before-restore-1")
    moved = (
        "moves /data aside to /data/pgsql_tmp.before-restore-1 (the name keeps it out of backups); it is not deleted"
    )
    assert moved in lines(inside, NOON, UTC)
    assert "moves /data aside to /data.before; it is not deleted" in lines(PLAN, NOON, UTC)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"gap": "0" * 24}, f"WAL IS MISSING from {'0' * 24} on: nothing that was committed after it comes back"),
        ({}, "loses what did not reach the repository: the last 1 min at most"),
        ({"first": "systemctl stop it"}, "the server must be stopped first: systemctl stop it"),
        ({"stops": "container db"}, "stops container db"),
        ({"tablespaces": "/spaces"}, "puts tablespaces into /spaces"),
        ({"resumes": "noon"}, "goes on with the restore that was begun at noon"),
        ({"folder": "/look"}, "puts the files into /look; nothing is stopped, moved or started"),
    ],
)
def test_whatever_may_hurt_is_a_line_of_the_plan(known: dict[str, Any], said: str):
    told = lines(PLAN._replace(**known), NOON + timedelta(minutes=1), UTC)
    assert said in told
    assert ("moves /data aside to /data.before; it is not deleted" in told) is ("folder" not in known)


def test_a_restore_whose_files_are_in_place_fetches_and_moves_nothing_more():
    placed = lines(PLAN._replace(placed=True, resumes="noon", starts="it"), NOON, UTC)
    assert placed == [
        "goes on with the restore that was begun at noon: its files are in place in /data on prod",
        "starts it",
    ]
