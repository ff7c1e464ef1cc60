"""Plans that are done step by step, and what a limit would end."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from chronos_secrets.cloud import desired, provision, steps
from chronos_secrets.cloud.desired import Desired, Document, Lifecycle
from chronos_secrets.cloud.difference import Limit
from chronos_secrets.cloud.provision import Older
from chronos_secrets.cloud.steps import Plan, Step, Unknown
from chronos_secrets.errors import TargetFailed
from chronos_secrets.report import cloud as report
from chronos_secrets.systems.aws.bucket import Bucket
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


class Answered(Bucket):
    """A bucket whose answers are known before: moto knows no other TransitionDefaultMinimumObjectSize than AWS's own."""

    def __init__(self, **answers: dict[str, object]) -> None:
        self.answers, self.written = answers, dict[str, dict[str, object]]()

    def _read(self, operation: str, *_: object) -> dict[str, object]:
        return self.answers.get(operation, {})

    def _write(self, operation: str, _: object, **setting: object) -> None:
        self.written[operation] = setting


THEIRS: Document = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 9}}
OURS: Document = {**THEIRS, "ID": "chronos-secrets-expire"}
NEVER = Lifecycle(None, None, None, None, None, None)


@pytest.mark.parametrize(
    ("there", "lifecycle", "written"),
    [
        ([THEIRS, OURS], None, "varies_by_storage_class"),
        ([THEIRS, OURS], NEVER, "all_storage_classes_128K"),
        ([THEIRS, *desired.rules(Desired("birds", "us-east-1", True, True, False, NEVER, ()))], NEVER,
         "all_storage_classes_128K"),
        ([THEIRS], None, None),
    ],
)  # fmt: skip
def test_what_s3_does_not_move_by_itself_is_ours_to_say_where_a_lifecycle_is(
    there: list[Document], lifecycle: Lifecycle | None, written: str | None
):
    told = {"Rules": there, "TransitionDefaultMinimumObjectSize": "varies_by_storage_class"}
    bucket = Answered(GetBucketLifecycleConfiguration=told)
    found = provision.plan(Desired("birds", "us-east-1", True, True, False, lifecycle, ()), bucket, None)  # type: ignore[arg-type]  # there are no users to ask about
    assert all(each.is_good for each in steps.apply(found, lambda _: None))
    put = bucket.written.get("PutBucketLifecycleConfiguration", {})
    assert put.get("TransitionDefaultMinimumObjectSize") == written


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
