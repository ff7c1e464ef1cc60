"""Drills, judged, chosen, shown and remembered, without a database."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_secrets.cli.backup import drilled
from chronos_secrets.inventory.model import Interval, Objectives
from chronos_secrets.pgbackrest import moments
from chronos_secrets.pgbackrest.info import Backup
from chronos_secrets.pgbackrest.proved import Check, Drill, Marker, Point, Seconds
from chronos_secrets.report import drill as report
from chronos_secrets.review import drills as review

AT = datetime(2026, 11, 22, 14, 15, tzinfo=UTC)
STOPPED = "LOG:  recovery stopping before commit of transaction 7"
PROMISED = Objectives(timedelta(minutes=15), timedelta(hours=1), None, Interval(3, "month"))
MARKER = Marker("row", "ab", AT, 1000, "000000010000000000000001", shipped=2.0)
DRILL = Drill(
    AT, "this machine", "birds", "20261122-110000F", 4096, MARKER, 300.0, Seconds(60, 30, 0.5), AT, 2,
    checks=(Check("marker", True, "there"), Check("data checksums", None, "off")), tables=(("public.wrens", 7),),
)  # fmt: skip


def backup(stopped: datetime) -> Backup:
    return Backup("x", "full", stopped, stopped, 1, 1, None, None, None, None, 1, 1, None, (), None)


# --- judging ----------------------------------------------------------------------------------------------------------


def test_a_drill_within_its_objectives_is_good_and_what_is_not_known_is_no_fault():
    judged = review.judge(DRILL, PROMISED)
    assert judged.good
    assert [(each.name, each.measured, each.met) for each in judged.verdicts] == [
        ("RTO", 90.5, True),
        ("RPO", 302.0, True),
    ]


@pytest.mark.parametrize(
    ("drill", "fault"),
    [
        (DRILL._replace(seconds=Seconds(3600, 1, 0)), "the RTO of 1:00:00 is not kept: it is 1:00:01"),
        (DRILL._replace(archive_timeout=899.0), "the RPO of 0:15:00 is not kept: it is 0:15:01"),
        (DRILL._replace(archive_timeout=0.0), "the RPO of 0:15:00 is not kept: archive_timeout is 0"),
        (
            DRILL._replace(replayed=None),
            "the RPO of 0:15:00 is not kept: the newest commit that came back is not known",
        ),
        (DRILL._replace(replayed=AT - timedelta(hours=1)), "the RPO of 0:15:00 is not kept: it is 1:05:02"),
        (DRILL._replace(seconds=None), "the RTO of 1:00:00 is not kept: nothing was restored"),
        (DRILL._replace(checks=(Check("marker", False, "missing"),)), "marker: missing"),
        (DRILL._replace(points=(Point(AT, "x", None, None, None, "too late"),)), "too late"),
    ],
)
def test_each_reason_for_a_no_is_named(drill: Drill, fault: str):
    (found,) = review.judge(drill, PROMISED).faults
    assert fault in found


def test_without_objectives_only_what_is_wrong_is_a_fault():
    assert review.judge(DRILL._replace(archive_timeout=0.0, seconds=None), None).good


# --- random moments ---------------------------------------------------------------------------------------------------


@given(st.integers(2, 10**7), st.integers(1, 20), st.integers(0, 2**31))
def test_moments_lie_after_the_oldest_backup_and_before_the_last_commit_and_the_seed_repeats_them(
    seconds: int, number: int, seed: int
):
    backups = [backup(AT), backup(AT + timedelta(days=1))]
    last = AT + timedelta(seconds=seconds)
    found = moments.choose(backups, last, number, seed)
    assert len(found) == number
    assert all(AT + timedelta(seconds=1) <= each < last for each in found)
    assert found == sorted(found) == moments.choose(backups, last, number, seed)


@pytest.mark.parametrize("last", [None, AT, AT + timedelta(seconds=1.5)])
def test_where_nothing_lies_between_there_is_no_moment(last: datetime | None):
    assert moments.choose([backup(AT)], last, 3, 1) == []


ROWS = {"old": AT - timedelta(hours=1), "new": AT + timedelta(hours=1)}
STAMPED_BEFORE_ITS_COMMIT = {"late": AT - timedelta(seconds=0.5)}


@pytest.mark.parametrize(
    ("replayed", "found", "said", "fault"),
    [
        (AT, {"old": ROWS["old"]}, STOPPED, None),
        (AT + timedelta(seconds=1), {"old": ROWS["old"]}, STOPPED, "which is later"),
        (AT, {"old": ROWS["old"]}, "LOG:  redo done", "does not say that it stopped"),
        (AT, ROWS, STOPPED, "1 of the rows that drills wrote are later"),
        (AT, {}, STOPPED, "1 of the rows that drills wrote are missing"),
    ],
)
def test_a_moment_is_proven_only_where_nothing_speaks_against_it(
    replayed: datetime, found: dict[str, datetime], said: str, fault: str | None
):
    told = moments.fault(AT, replayed, ROWS | STAMPED_BEFORE_ITS_COMMIT, found, said)
    assert told is None if fault is None else fault in (told or "")


# --- the report and what is remembered --------------------------------------------------------------------------------


@given(st.text(min_size=1))
def test_whatever_a_server_says_stays_in_its_cell_of_the_report(words: str):
    drill = DRILL._replace(checks=(Check("amcheck", False, words),))
    text = report.markdown(review.judge(drill, PROMISED), project="aviary", zone=UTC)
    lines = [line for line in text.split("\n") if line.startswith("| amcheck")]
    assert len(lines) == 1
    assert lines[0].replace("\\\\", "").replace("\\|", "").count("|") == 4


def test_the_report_says_the_day_the_parts_and_the_seed():
    drill = DRILL._replace(points=(Point(AT, "x", Seconds(1, 1, 1), AT, 2),), seed=7)
    text = report.markdown(review.judge(drill, PROMISED), project="aviary", zone=UTC)
    for words in ("# Restore drill of aviary, 2026-11-22 14:15:00 UTC", "fetch 1 min, replay 30.0 s, first query 0.5 s",
                  "within 1 h", "The backups were proved.", "seed 7", "| public.wrens | 7 rows |"):  # fmt: skip
        assert words in text.replace("\\", ""), words


def test_the_newest_drill_is_remembered_and_torn_lines_are_left_out(tmp_path: Path):
    assert drilled.last_drill(tmp_path) is None
    for day in (3, 1):
        at = AT.replace(day=day)
        path = drilled.keep(tmp_path, review.judge(DRILL._replace(at=at), PROMISED), project="aviary", zone=UTC)
    assert path.name == "2026-11-01T141500Z.md"
    with (tmp_path / "drills.jsonl").open("ab") as file:
        file.write(b'{"at": "2026-11-2\n[]\n{"at": 3}\n\xff\n')
    found = drilled.last_drill(tmp_path)
    assert found is not None
    assert (found.at.day, found.rto, found.rpo, found.good) == (3, 90.5, 302.0, True)
    assert len(drilled.all_drills(tmp_path)) == 2
    assert json.loads(path.with_suffix(".json").read_text())["version"] == 1
    modes = {each.stat().st_mode & 0o777 for each in (path, path.with_suffix(".json"), tmp_path / "drills.jsonl")}
    assert modes == {0o600}


def test_a_day_later_than_its_interval_a_drill_is_overdue():
    from chronos_secrets.inventory import load
    from tests.support import chronos

    inventory = load.read(chronos.INVENTORY)
    assert review.rows(inventory, {}, date(2026, 11, 2)) == [], "a task of the inventory runs drills, and has its row"
    inventory = inventory._replace(tasks={})
    (row,) = review.rows(inventory, {review.DRILLED: date(2026, 8, 1)}, date(2026, 11, 2))
    assert (row.standing.state, row.how) == ("overdue", "chronos-secrets backup drill")
    (row,) = review.rows(inventory, {}, date(2026, 11, 2))
    assert row.standing.state == "unknown"


def test_drills_that_nobody_promised_or_that_a_task_runs_have_no_row_of_their_own():
    from chronos_secrets.inventory import load
    from tests.support import chronos

    inventory = load.read(chronos.INVENTORY)
    assert any(task.run[:2] == review.COMMAND for task in inventory.tasks.values() if task.run)
    assert review.rows(inventory, {}, date(2026, 11, 2)) == []
    assert inventory.pgbackrest is not None
    for promised in (None, PROMISED._replace(drill=None)):
        section = inventory.pgbackrest._replace(objectives=promised)
        assert review.rows(inventory._replace(tasks={}, pgbackrest=section), {}, date(2026, 11, 2)) == []
