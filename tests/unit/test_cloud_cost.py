"""What a bucket costs: linear, never negative, and the sum of its lines."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_secrets.cloud import cost, prices
from chronos_secrets.cloud.cost import GB, NEVER, Amount, Bill, Line, Requests, Usage, bill, early, forecast, measure
from chronos_secrets.cloud.desired import LEAST_DAYS, Lifecycle
from chronos_secrets.cloud.prices import Price
from chronos_secrets.report import cost as report
from chronos_secrets.systems.aws.listing import Version

NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)
QUIET = Requests(0, 0)
TABLE = prices.of("us-east-1")
MIB = 1 << 20


def version(
    size: int, storage: str = "STANDARD", *, age: int = 0, current: bool = True, marker: bool = False
) -> Version:
    """One of so many bytes and days."""
    at = NOW - timedelta(age)
    return Version("backups/x", size, storage, current, marker, at, at)


def usage(*found: Version, lifecycle: Lifecycle = NEVER) -> Usage:
    return measure(found, NOW, lifecycle)


def storage(found: Usage) -> Fraction:
    """What the storage of a month costs."""
    return sum((each.cost for each in bill(found, TABLE, NEVER, QUIET).lines if each.kind == "storage"), Fraction(0))


@pytest.mark.parametrize(
    ("name", "days", "told"), [("STANDARD", 30, 1.47), ("GLACIER_IR", 150, 0.38), ("DEEP_ARCHIVE", 185, 0.12)]
)
def test_64_megabytes_cost_hundreds_of_times_less_than_the_design_told(name, days, told):
    found = storage(usage(version(64 * MIB, name))) * days / 30
    assert 200 < told / found < 1100


def test_64_megabytes_of_standard_cost_a_seventh_of_a_cent():
    found = bill(usage(version(64 * MIB, age=40)), TABLE, NEVER, QUIET)
    assert report.money(found.total) == "0.0014"
    assert report.lines(found) == [("0.0014", "STANDARD, current", "64.0 MiB x $0.023 per GB")]
    (puts,) = bill(usage(*[version(0, age=1)] * 400), TABLE, NEVER, QUIET).lines[1:]
    assert report.money(puts.cost) == "0.0020"


sizes = st.integers(0, 1 << 50)
classes = st.sampled_from(
    ["STANDARD", "STANDARD_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING", "NEW"]
)
versions = st.builds(version, sizes, classes, age=st.integers(0, 800), current=st.booleans(), marker=st.booleans())
days = st.none() | st.integers(1, 400)
lifecycles = st.builds(Lifecycle, days, days, days, days, days, st.none() | st.integers(0, 1 << 30))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(versions, max_size=12),
    lifecycles,
    st.builds(Requests, st.none() | st.integers(0, 10**6), st.none() | st.integers(0, 10**4)),
)
def test_a_bill_is_the_sum_of_its_lines_and_never_negative(found, lifecycle, requests):
    for each in forecast(measure(found, NOW, lifecycle), TABLE, lifecycle, requests, 4):
        assert each.total == sum(line.cost for line in each.lines)
        assert all(line.cost >= 0 for line in each.lines)


@settings(max_examples=40, deadline=None)
@given(st.lists(versions, max_size=8), st.lists(versions, max_size=8))
def test_what_two_halves_of_a_bucket_cost_the_whole_costs(one, other):
    assert storage(usage(*one)) + storage(usage(*other)) == storage(usage(*one, *other))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 45), st.integers(1, 1000))
def test_storage_is_linear_in_bytes(size, times):
    assert storage(usage(version(size * times))) == times * storage(usage(version(size)))


@settings(max_examples=40, deadline=None)
@given(st.lists(versions, max_size=12), lifecycles)
def test_a_month_without_writing_makes_nothing_of_nothing(found, lifecycle):
    before = measure(found, NOW, lifecycle)
    after = cost._a_month_later(before, lifecycle)
    assert after.total().versions <= before.total().versions
    assert after.total().size <= before.total().size


def test_an_empty_bucket_and_one_of_delete_markers_alone_cost_nothing():
    assert bill(usage(), TABLE, NEVER, QUIET) == Bill(())
    found = usage(version(0, marker=True))
    assert (found.markers, bill(found, TABLE, NEVER, QUIET).total) == (1, 0)


def test_small_objects_are_billed_as_the_class_bills_them():
    assert bill(usage(version(1, "GLACIER_IR")), TABLE, NEVER, QUIET).lines[0].quantity == 128 * 1024
    archived = bill(usage(version(1000, "DEEP_ARCHIVE")), TABLE, NEVER, QUIET).lines
    assert [(each.what, each.quantity) for each in archived if each.kind == "storage"] == [
        ("DEEP_ARCHIVE, current", 1000 + 32 * 1024),
        ("STANDARD, names of archived objects", 8 * 1024),
    ]
    assert usage(version(1), version(128 * 1024)).total().small == 1


def test_what_the_lifecycle_moves_is_counted_by_age_and_size():
    rules = NEVER._replace(glacier_ir=30, deep_archive=200, expire=300, min_size=512 * 1024)
    found = usage(
        version(MIB, age=5), version(MIB, age=1), version(MIB, age=0), version(1000, age=29),
        version(MIB, age=29, current=False), version(MIB, "GLACIER_IR", age=40), version(512 * 1024, age=29),
        version(MIB, age=300), lifecycle=rules,
    )  # fmt: skip
    (moves,) = (each for each in bill(found, TABLE, rules, QUIET).lines if each.kind == "transition")
    assert (moves.what, moves.quantity) == ("moves to GLACIER_IR", 3)
    assert usage(version(128 * 1024 - 1)).total() == Amount(1, 128 * 1024 - 1, 128 * 1024, 1)


def test_without_a_limit_of_its_own_a_rule_moves_nothing_below_128_kib():
    rules = NEVER._replace(glacier_ir=30)
    found = usage(version(128 * 1024 - 1, age=29), version(128 * 1024, age=29), lifecycle=rules)
    assert [each.quantity for each in bill(found, TABLE, rules, QUIET).lines if each.kind == "transition"] == [1]


def test_a_rule_whose_limit_is_0_moves_all_but_what_is_empty():
    rules = NEVER._replace(glacier_ir=30, min_size=0)
    found = usage(version(0, age=29), version(1, age=29), lifecycle=rules)
    assert [each.quantity for each in bill(found, TABLE, rules, QUIET).lines if each.kind == "transition"] == [1]


def test_the_months_to_come_follow_the_lifecycle():
    rules = Lifecycle(
        glacier_ir=30, deep_archive=None, expire=90, noncurrent=30, incomplete_uploads=None, min_size=None
    )
    found = usage(version(GB, age=10), version(GB, age=20, current=False), lifecycle=rules)
    first, second, third, fourth, fifth, sixth = forecast(found, TABLE, rules, QUIET, 6)
    assert [each.what for each in first.lines if each.kind == "storage"] == [
        "STANDARD, current",
        "STANDARD, noncurrent",
    ]
    assert [each.what for each in second.lines if each.kind == "storage"] == ["GLACIER_IR, current"]
    assert [each.what for each in fourth.lines if each.kind == "storage"] == ["GLACIER_IR, noncurrent"]
    assert third.total == second.total
    assert not [each for each in (*fifth.lines, *sixth.lines) if each.kind == "storage"]


def test_what_two_rules_move_within_a_month_is_in_the_last_class():
    rules = NEVER._replace(glacier_ir=30, deep_archive=45)
    _, second = forecast(usage(version(GB, age=20), lifecycle=rules), TABLE, rules, QUIET, 2)
    assert second.lines[0].what == "DEEP_ARCHIVE, current"


def test_a_noncurrent_version_goes_by_its_own_rule_and_not_by_the_one_of_current_objects():
    rules = NEVER._replace(expire=10, noncurrent=100)
    bills = forecast(usage(version(GB, age=20, current=False)), TABLE, rules, QUIET, 4)
    assert [[line.what for line in each.lines if line.kind == "storage"] for each in bills] == [
        ["STANDARD, noncurrent"], ["STANDARD, noncurrent"], ["STANDARD, noncurrent"], [],
    ]  # fmt: skip


def test_expiry_in_a_bucket_with_versions_deletes_nothing_where_no_rule_ends_the_noncurrent():
    rules = NEVER._replace(expire=30)
    bills = forecast(usage(version(GB, age=20)), TABLE, rules, QUIET, 24)
    assert {each.lines[0].cost for each in bills} == {Fraction("0.023")}
    assert bills[-1].lines[0].what == "STANDARD, noncurrent"


def test_deleting_early_costs_the_rest_of_the_least_time():
    rules = NEVER._replace(glacier_ir=30)
    ((name, amount, dollars),) = early(usage(version(GB, "GLACIER_IR", age=60)), TABLE, rules)
    assert (name, amount.versions) == ("GLACIER_IR", 1)
    assert dollars == Fraction("0.004") * 60 / 30  # it is there for 30 of 90 days
    assert early(usage(version(GB, "GLACIER_IR", age=120), version(GB)), TABLE, rules) == []
    ((_, _, dollars),) = early(usage(version(GB, "GLACIER_IR", age=10)), TABLE, rules)
    assert dollars == Fraction("0.004") * 80 / 30  # no rule has moved it: it was written there


def test_requests_come_from_the_schedule_the_timeout_and_what_was_written():
    found = usage(*[version(1, age=3)] * 100, *[version(1, age=30)] * 7)
    lines = {
        each.what.partition(":")[0] + each.what.partition(":")[2][:8]: each
        for each in bill(found, TABLE, NEVER, Requests(8640, 120)).lines
    }
    asked = [(each.what.split(":")[0], each.quantity) for each in lines.values() if each.kind == "requests"]
    assert asked == [("PUT", 100), ("PUT", 8540), ("LIST", 8640), ("GET", 8640), ("LIST and GET of backups", 2400)]


def test_a_clock_that_is_behind_makes_nothing_negative():
    found = usage(version(GB, age=-3))
    assert [cell.age for cell in found.cells] == [0]
    assert found.written == 1


def test_a_class_without_a_price_is_said_and_not_taken_for_free():
    found = bill(usage(version(GB, "NEW"), version(GB)), TABLE, NEVER, QUIET)
    assert found.unpriced == ("NEW, current",)
    assert report.total(found) == "total: at least $0.0230 a month"
    assert report.lines(found)[0][0] == "?"
    assert "NEW, current" in " ".join(report.notes(found, TABLE, [], QUIET, NOW.date()))


def test_a_bucket_of_many_objects_is_counted_and_not_held():
    found = measure((version(each % 7, age=each % 50) for each in range(20_000)), NOW, NEVER)
    assert found.total().versions == 20_000
    assert len(found.cells) == 50


# --- the table --------------------------------------------------------------------------------------------------------


def test_a_region_s_own_prices_come_before_those_of_the_reference():
    here = prices.of("ca-central-1")
    assert here.listed
    assert (here.storage["STANDARD"].usd, here.storage["STANDARD"].region) == (Decimal("0.025"), "ca-central-1")
    assert here.storage["GLACIER_IR"].region == "us-east-1"
    other = prices.of("mars-north-1")
    assert (other.listed, other.storage["STANDARD"].region) == (False, "us-east-1")


def test_every_figure_has_a_source_and_the_reference_has_every_class():
    for each in (*TABLE.storage.values(), *TABLE.requests.values(), *TABLE.transition.values()):
        assert each.source
        assert each.usd > 0
    assert set(LEAST_DAYS) < set(TABLE.storage)
    assert set(TABLE.requests) == {"put", "get"}


def test_prices_of_another_region_and_of_another_year_are_said():
    old = Price(Decimal(1), date(2025, 7, 1), "a toy", "us-east-1")
    found = Bill((Line("storage", "STANDARD, current", GB, GB, old),))
    here = prices.of("mars-north-1")
    notes = " ".join(report.notes(found, here, [], QUIET, date(2026, 7, 1)))
    assert "the price table has no region mars-north-1" in notes
    assert "with prices of us-east-1, not of mars-north-1: STANDARD, current" in notes
    assert "more than a year ago" not in notes
    assert "prices of 2025-07-01, which is more than a year ago" in " ".join(
        report.notes(found, here, [], QUIET, date(2026, 7, 2))
    )
    undated = Bill((Line("storage", "STANDARD, current", GB, GB, old._replace(day=None)),))
    assert "no date" in " ".join(report.notes(undated, here, [], QUIET, date(2026, 7, 1)))


@pytest.mark.parametrize(
    ("amount", "said"),
    [(Fraction(0), "0.0000"), (Fraction(1, 10**6), "<0.0001"), (Fraction(123456789, 100), "1,234,567.8900")],
)
def test_money_keeps_what_is_small(amount, said):
    assert report.money(amount) == said
