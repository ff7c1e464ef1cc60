"""Recovery targets: the moment that a person names, and what pgBackRest is told."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_secrets.errors import UsageError
from chronos_secrets.pgbackrest.info import Backup
from chronos_secrets.pgbackrest.targets import Target, argv, fitting, parse_time

QUARTER_PAST_SEVEN = datetime(2026, 11, 22, 19, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22 14:15 America/Toronto", "2026-11-22 14:15:00 America/Toronto", "2026-11-22T14:15:00-05:00",
        "2026-11-22 14:15:00-05", "2026-11-22 14:15 -0500", "2026-11-22 19:15Z", " 2026-11-22 19:15:00.0 UTC ",
        "2026-11-23 00:45+05:30",
    ],
)  # fmt: skip
def test_one_moment_can_be_written_in_many_ways(text: str):
    assert parse_time(text) == QUARTER_PAST_SEVEN


@pytest.mark.parametrize("text", ["2026-11-22 14:15", "2026-11-22T14:15:00"])
def test_a_time_without_a_zone_is_refused(text: str):
    with pytest.raises(UsageError, match="does not say in which zone"):
        parse_time(text)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-11-22", "14:15Z", "2026-13-22 14:15Z", "2026-11-22 24:15Z", "2026-11-22 14:15+25:00", "2026-11-22 14:15+05:75",
     "2026-11-22 14:15 Mars/Olympus", "2026-11-22 14:15 ../etc/passwd", "2026-11-22 14:15 America", "0001-01-01 00:00+12:00"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str):
    with pytest.raises(UsageError):
        parse_time(text)


def test_an_hour_that_was_there_twice_is_refused_with_both_meanings():
    with pytest.raises(UsageError, match="was there twice") as refused:
        parse_time("2026-11-01 01:30 America/Toronto")
    assert "05:30:00 or 06:30:00 UTC" in refused.value.message
    first, second = (part.split('"')[1] for part in (refused.value.hint or "").split(", or "))
    assert parse_time(second) - parse_time(first) == timedelta(hours=1)


def test_an_hour_that_was_left_out_is_refused_with_both_meanings():
    with pytest.raises(UsageError, match="was left out"):
        parse_time("2026-03-08 02:30 America/Toronto")


@given(st.datetimes(timezones=st.just(UTC), allow_imaginary=False).filter(lambda at: at.year > 999))
def test_any_moment_is_read_back_from_what_pgbackrest_is_told(at: datetime):
    (option,) = (word for word in argv(Target("time", at)) if word.startswith("--target="))
    assert parse_time(option.removeprefix("--target=")) == at


def test_every_target_ends_in_a_server_that_is_open_for_writing():
    assert argv(Target()) == ("--type=default", "--target-timeline=latest")
    assert "--target-action=promote" in argv(Target("immediate"))
    assert "--target-action=promote" in argv(Target("time", QUARTER_PAST_SEVEN))
    assert argv(Target(backup="20261122-190000F"))[0] == "--set=20261122-190000F"


def test_a_timeline_that_is_named_is_followed_though_a_later_one_may_come():
    assert "--target-timeline=3" in argv(Target("time", QUARTER_PAST_SEVEN, timeline=3))
    assert "--target-timeline=3" in argv(Target(timeline=3))
    assert "--recovery-option=recovery_target_timeline=3" in argv(Target("immediate", timeline=3))


def _backup(label: str, stopped: datetime) -> Backup:
    return Backup(label, "full", stopped, stopped, 1, 1, 1, 1, None, None, 1, 1, None, (), None)


def test_a_restore_to_a_time_begins_with_the_newest_backup_that_ended_before_it():
    at = QUARTER_PAST_SEVEN
    older, newer, late = (
        _backup(name, at + timedelta(minutes=more)) for name, more in (("a", -9), ("b", -1), ("c", 0))
    )
    assert fitting([newer, late, older], Target("time", at)) == newer
    assert fitting([newer, late, older], Target()) == late
    assert fitting([newer, late, older], Target("time", at, "a")) == older
    assert fitting([late], Target("time", at)) is None
    assert fitting([older], Target(backup="x")) is None
