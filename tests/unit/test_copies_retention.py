"""Which copies a rule lets go, and which never go whatever it says."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_secrets.vault.copies import pruning, retention
from chronos_secrets.vault.copies.record import Facts, Record
from tests.support.copies import NOW, Keep, copied

DAY = timedelta(days=1)
_COUNTS = st.none() | st.integers(1, 6)
KEEPS = st.builds(Keep, _COUNTS, _COUNTS, _COUNTS, _COUNTS, _COUNTS)


def facts(newest: datetime | None = None, key_changed: datetime | None = None) -> Facts:
    return Facts("id", "4.0", 1, newest, key_changed)


@st.composite
def _records(draw: st.DrawFn) -> list[Record]:
    hours = draw(st.lists(st.integers(-400, 20000), unique=True, max_size=20))
    made = [NOW - timedelta(hours=each) for each in hours]
    return [
        copied(
            each,
            verified=draw(st.none() | st.just(each)),
            opened=draw(st.none() | st.just(each)),
            fault=draw(st.none() | st.none() | st.just("is damaged")),
            facts=draw(st.none() | st.builds(facts, st.sampled_from(made))),
        )
        for each in made
    ]


@given(_records(), KEEPS)
def test_the_newest_verified_copy_never_goes(records: list[Record], keep: Keep):
    gone = retention.to_remove(records, keep, NOW)
    for wanted in (Record.is_good, Record.was_opened):
        good = [each for each in records if wanted.fget(each)]  # type: ignore[attr-defined]
        if good:
            assert max(good, key=lambda each: each.made) not in gone
        past = [each for each in good if each.made <= NOW]
        if past:
            assert max(past, key=lambda each: each.made) not in gone


@given(_records(), KEEPS)
def test_the_copy_with_the_newest_change_in_it_never_goes(records: list[Record], keep: Keep):
    good = [each for each in records if each.is_good and each.made <= NOW and each.facts]
    gone = retention.to_remove(records, keep, NOW)
    if good:
        newest = max(each.facts.newest for each in good if each.facts and each.facts.newest)
        assert any(each not in gone for each in good if each.facts and each.facts.newest == newest)


@given(_records(), KEEPS)
def test_no_more_goes_than_the_rule_says(records: list[Record], keep: Keep):
    gone = retention.to_remove(records, keep, NOW)
    counted = sorted((each for each in records if each.is_good and each.made <= NOW), key=lambda each: each.made)
    assert set(gone) <= set(counted)
    periods = (
        (keep.last, "%c"),
        (keep.daily, "%F"),
        (keep.weekly, "%G-%V"),
        (keep.monthly, "%Y-%m"),
        (keep.yearly, "%Y"),
    )
    for count, form in periods:
        newest_of = {f"{each.made:{form}}": each for each in counted}
        by_rule = sorted(newest_of.values(), key=lambda each: each.made)[-count:] if count else []
        assert not set(by_rule) & set(gone), form


@given(_records(), KEEPS)
def test_what_is_left_after_a_removal_is_left_by_the_next_one(records: list[Record], keep: Keep):
    gone = retention.to_remove(records, keep, NOW)
    left = [each for each in records if each not in gone]
    assert retention.to_remove(left, keep, NOW) == []


@given(_records())
def test_a_row_without_a_rule_keeps_everything(records: list[Record]):
    assert retention.to_remove(records, None, NOW) == []
    assert retention.to_remove(records, Keep(), NOW) == []


@pytest.mark.parametrize(
    ("keep", "days"),
    [
        (Keep(last=3), [0, 1, 2]),
        (Keep(daily=2), [0, 1]),
        (Keep(weekly=2), [0, 7]),
        (Keep(monthly=3), [0, 22, 53]),
        (Keep(yearly=2), [0, 326]),
        (Keep(last=2, monthly=2), [0, 1, 22]),
    ],
)
def test_each_reason_keeps_the_last_copy_of_its_periods(keep: Keep, days: list[int]):
    records = [copied(NOW - DAY * number) for number in range(400)]  # NOW is a Sunday
    gone = retention.to_remove(records, keep, NOW)
    assert [number for number, each in enumerate(records) if each not in gone] == days


def test_a_day_ends_where_the_operator_lives():
    late, early = (datetime(2026, 11, 21, hour, 30, tzinfo=UTC) for hour in (4, 6))  # 23:30 and 01:30 in Toronto
    records = [copied(late), copied(early)]
    assert retention.to_remove(records, Keep(daily=2), NOW, ZoneInfo("America/Toronto")) == []
    assert retention.to_remove(records, Keep(daily=2), NOW, UTC) == [records[0]]


def test_a_copy_that_was_never_verified_here_neither_counts_nor_goes():
    good, foreign = copied(NOW - DAY * 9), [copied(NOW - DAY * number, verified=None) for number in range(5)]
    assert retention.to_remove([good, *foreign], Keep(last=1), NOW) == []


def test_a_faulty_copy_does_not_push_a_good_one_out():
    good, bad = copied(NOW - DAY), copied(NOW, fault="is damaged")
    assert retention.to_remove([good, bad], Keep(last=1), NOW) == []


def test_when_the_clock_went_backwards_nothing_that_is_newer_goes():
    before = [copied(NOW + DAY * number) for number in range(1, 9)]
    assert retention.to_remove([copied(NOW), *before], Keep(last=1), NOW) == []


def test_a_copy_dated_by_a_wrong_clock_is_kept_for_the_newer_vault_in_it():
    dated_wrong = copied(NOW - DAY * 300, facts=facts(NOW))
    others = [copied(NOW - DAY * number, facts=facts(NOW - DAY * number)) for number in range(1, 9)]
    assert dated_wrong not in retention.to_remove([dated_wrong, *others], Keep(last=2), NOW)


def test_the_newest_copy_that_was_opened_stays_beside_newer_ones_that_were_only_compared():
    opened = copied(NOW - DAY * 5, opened=NOW, facts=facts(NOW - DAY * 90))
    with_newer_content = copied(NOW - DAY * 9, opened=NOW, facts=facts(NOW - DAY * 5))
    compared = [copied(NOW - DAY * number, facts=facts(NOW - DAY * number)) for number in range(4)]
    assert opened not in retention.to_remove([with_newer_content, opened, *compared], Keep(last=1), NOW)


# --- older passwords ---------------------------------------------------------------------------------------------------


def test_copies_with_an_older_password_are_named_once_a_newer_one_was_opened():
    old, new = (facts(key_changed=NOW - DAY * days) for days in (90, 1))
    records = [copied(NOW - DAY * 3, facts=old), copied(NOW - DAY * 2, facts=old), copied(NOW, facts=new, opened=NOW)]
    assert pruning.older_password(records) == records[:2]


def test_no_copy_is_named_while_the_one_with_the_newer_password_was_only_compared():
    old, new = (facts(key_changed=NOW - DAY * days) for days in (90, 1))
    records = [copied(NOW - DAY, facts=old), copied(NOW, facts=new)]
    assert pruning.older_password(records) == []


def test_no_copy_is_named_for_a_newer_password_that_is_in_another_place_or_faulty():
    old, new = (facts(key_changed=NOW - DAY * days) for days in (90, 1))
    elsewhere = copied(NOW, facts=new, opened=NOW, place="elsewhere")
    faulty = copied(NOW, facts=new, opened=NOW, fault="is damaged")
    assert pruning.older_password([copied(NOW - DAY, facts=old), elsewhere, faulty]) == []


def test_a_copy_of_unknown_password_is_not_named():
    new = facts(key_changed=NOW)
    assert pruning.older_password([copied(NOW - DAY), copied(NOW, facts=new, opened=NOW)]) == []
