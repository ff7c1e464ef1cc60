"""When five cron fields fire: what cron(8) of Debian says, also on the two days on which the clocks change."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_secrets.inventory.cron import last_before, next_after

TORONTO = ZoneInfo("America/Toronto")  # 2026-03-08 02:00 becomes 03:00, 2026-11-01 02:00 becomes 01:00


def _next(cron: str, moment: str, zone: ZoneInfo = TORONTO) -> str | None:
    found = next_after(cron, datetime.fromisoformat(moment), zone)
    return found.isoformat(timespec="minutes") if found else None


def _last(cron: str, moment: str, zone: ZoneInfo = TORONTO) -> str | None:
    found = last_before(cron, datetime.fromisoformat(moment), zone)
    return found.isoformat(timespec="minutes") if found else None


@pytest.mark.parametrize(
    ("cron", "then"),
    [
        ("0 11 * * *", "2026-11-23T11:00-05:00"),
        ("0 5,17,23 * * *", "2026-11-22T23:00-05:00"),
        ("*/20 * * * *", "2026-11-22T21:20-05:00"),
        ("30 4 1-7 * *", "2026-12-01T04:30-05:00"),
        ("0 0 * * sun", "2026-11-29T00:00-05:00"),
        ("0 0 * * 7", "2026-11-29T00:00-05:00"),
        ("0 0 * jan-mar mon-fri/2", "2027-01-01T00:00-05:00"),
        ("0 0 29 2 *", "2028-02-29T00:00-05:00"),
        ("0 0 30 2 *", None),
    ],
)
def test_the_next_firing_is_the_first_one_that_the_fields_allow(cron: str, then: str | None):
    assert _next(cron, "2026-11-23T02:07+00:00") == then


def test_a_day_fits_by_its_number_or_its_weekday_where_both_are_restricted():
    assert _next("0 0 13 * fri", "2026-11-23T12:00-05:00") == "2026-11-27T00:00-05:00"  # a Friday
    assert _next("0 0 13 * fri", "2026-12-12T12:00-05:00") == "2026-12-13T00:00-05:00"  # a 13th
    assert _next("0 0 */13 * fri", "2026-11-23T12:00-05:00") == "2026-11-27T00:00-05:00"  # a star: both; also the 27th
    assert _next("0 0 */13 * fri", "2026-11-27T12:00-05:00") == "2027-01-01T00:00-05:00"


def test_a_day_that_comes_once_in_decades_is_found():
    assert _next("0 0 29 2 */7", "2032-03-01T00:00-05:00") == "2060-02-29T00:00-05:00"
    assert _last("0 0 29 2 */7", "2060-02-28T00:00-05:00") == "2032-02-29T00:00-05:00"


def test_a_time_that_is_skipped_fires_when_the_clocks_have_changed():
    assert _next("30 2 * * *", "2026-03-08T00:00-05:00") == "2026-03-08T03:00-04:00"
    assert _next("30 2 * * *", "2026-03-08T03:00-04:00") == "2026-03-09T02:30-04:00"
    assert _last("30 2 * * *", "2026-03-08T12:00-04:00") == "2026-03-08T03:00-04:00"


def test_a_time_that_comes_twice_fires_once():
    assert _next("30 1 * * *", "2026-11-01T01:00-04:00") == "2026-11-01T01:30-04:00"
    assert _next("30 1 * * *", "2026-11-01T01:30-04:00") == "2026-11-02T01:30-05:00"
    assert _last("30 1 * * *", "2026-11-01T01:45-05:00") == "2026-11-01T01:30-04:00"


def test_what_is_due_every_hour_goes_by_the_clock_on_the_wall():
    assert _next("30 * * * *", "2026-11-01T01:30-04:00") == "2026-11-01T01:30-05:00"
    assert _next("30 * * * *", "2026-03-08T01:30-05:00") == "2026-03-08T03:30-04:00"


def test_a_firing_is_found_on_the_day_before_and_after_where_the_clocks_go_back_over_midnight():
    """One minute after midnight St. John's went back to 23:01 of the day before."""
    zone = ZoneInfo("America/St_Johns")
    assert _next("*/20 * * * *", "2006-10-29T00:00-02:30", zone) == "2006-10-28T23:20-03:30"
    assert _last("*/20 * * * *", "2006-10-28T23:10-03:30", zone) == "2006-10-29T00:00-02:30"


def test_a_moment_of_the_same_zone_is_compared_as_a_moment_and_not_by_its_clock():
    second = datetime(2026, 11, 1, 1, 30, fold=1, tzinfo=TORONTO)
    found = next_after("45 * * * *", second, TORONTO)
    assert found is not None
    assert found.astimezone(UTC) == datetime(2026, 11, 1, 6, 45, tzinfo=UTC)


_MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  hypothesis adds the zone
_CRONS = st.sampled_from(["0 11 * * *", "30 2 * * *", "*/15 1 * * *", "0 5,17,23 * * 0", "30 1 1 11 *", "0 0 31 * *"])


@given(_CRONS, _MOMENTS)
def test_the_next_firing_is_after_and_the_last_one_is_not_and_nothing_lies_between(cron: str, moment: datetime):
    then, before = next_after(cron, moment, TORONTO), last_before(cron, moment, TORONTO)
    assert then is not None
    assert before is not None
    assert before.astimezone(UTC) <= moment < then.astimezone(UTC)
    assert next_after(cron, before.astimezone(UTC), TORONTO) == then
