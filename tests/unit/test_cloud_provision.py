"""Plans that are done step by step, and what a limit would end."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from chronos_secrets.cloud import provision, steps
from chronos_secrets.cloud.difference import Limit
from chronos_secrets.cloud.provision import Older
from chronos_secrets.cloud.steps import Plan, Step, Unknown
from chronos_secrets.errors import TargetFailed
from chronos_secrets.report import cloud as report
from chronos_secrets.systems.aws.listing import Version
from chronos_secrets.systems.aws.refusals import Forbidden, SignInNeeded

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def plan(*made: Step, unknown: tuple[Unknown, ...] = ()) -> Plan:
    return Plan(made, (), (), unknown, (), deep=False)


def step(setting: str, *needs: str, subject: str = "bucket", fails: TargetFailed | None = None) -> Step:
    def do() -> None:
        if fails:
            raise fails

    return Step(subject, setting, ("+",), do, needs)


def states(found: Plan) -> list[str]:
    """Each step as done, failed, or the setting that it lacked."""
    done = steps.apply(found, lambda _: None)
    return [each.skipped or ("failed" if each.error else "done") for each in done]


def test_what_needs_a_step_that_failed_is_left_out_and_what_needs_that_too():
    found = plan(step("a", fails=Forbidden("no")), step("b", "a"), step("c", "b"), step("d"))
    assert states(found) == ["failed", "a", "b", "done"]


def test_a_failure_at_one_subject_is_none_at_another():
    found = plan(step("a", fails=Forbidden("no")), step("b", "a", subject="user"))
    assert states(found) == ["failed", "done"]


def test_what_needs_a_setting_that_is_not_known_is_left_out():
    unknown = Unknown("bucket", "versioning", Forbidden("no"))
    assert states(plan(step("lifecycle", "versioning"), unknown=(unknown,))) == ["versioning"]


def test_nothing_more_is_asked_once_the_session_has_ended():
    asked: list[str] = []

    def asking(name: str) -> Callable[[], None]:
        return lambda: asked.append(name)

    made = (step("a", fails=SignInNeeded("ended")), Step("user", "b", ("+",), asking("b")))
    assert states(plan(*made)) == ["failed", "failed"]
    assert asked == []


def version(days: float, *, current: bool = False, marker: bool = False, size: int = 10) -> Version:
    since = NOW - timedelta(days=days)
    return Version("k", 0 if marker else size, "STANDARD", current, marker, since, since)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (Limit("expire", 30), Older(1, 10)),
        (Limit("expire", 10), Older(2, 20)),
        (Limit("noncurrent", 30), Older(1, 10)),
        (Limit("noncurrent", 50), Older(0, 0)),
        (Limit("versioning"), Older(2, 20)),
    ],
)
def test_a_limit_counts_what_is_older_and_no_marker(limit, expected):
    objects = [
        version(31, current=True), version(20, current=True), version(31), version(20), version(99, marker=True),
        version(99, marker=True, current=True),
    ]  # fmt: skip
    assert provision.older(objects, [limit], NOW) == {limit: expected}


def test_a_limit_whose_data_could_not_be_counted_says_so():
    assert report.limit(Limit("noncurrent", 7), None, versioning=True) == (
        "noncurrent: never -> 7 days; how much is older could not be counted"
    )
    assert "could not be counted" in report.limit(Limit("versioning"), None, versioning=True)


def test_a_limit_says_what_becomes_of_the_data():
    found = Older(1, 1536)
    assert report.limit(Limit("expire", 30, 60), found, versioning=True).startswith(
        "expire: 60 days -> 30 days: 1 object, 1.5 KiB"
    )
    assert "delete marker" in report.limit(Limit("expire", 30), found, versioning=True)
    assert "deleted for good" in report.limit(Limit("expire", 30), found, versioning=False)
    assert "deleted" in report.limit(Limit("noncurrent", 30), found, versioning=True)
    assert "suspended" in report.limit(Limit("versioning"), found, versioning=False)


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1 << 20, "1.0 MiB"), (5 << 40, "5.0 TiB"), (1 << 60, "1048576.0 TiB")]
)  # fmt: skip
def test_a_size_is_readable(number, words):
    assert report.size(number) == words
