"""What the bucket and its users should be."""

import json
from typing import Any

import pytest

from chronos_secrets.cloud import desired
from chronos_secrets.cloud.desired import Desired, Lifecycle, User

NEVER = Lifecycle(None, None, None, None, None, None)
SEED = Lifecycle(glacier_ir=30, deep_archive=180, expire=365, noncurrent=30, incomplete_uploads=7, min_size=524288)
WRITER = User("writer", "access", ("backups/", "probes/"), writes=True)


def wanting(lifecycle: Lifecycle | None = None, *, versioning: bool = True, kept: int | None = None) -> Desired:
    return Desired("birds", "ca-central-1", True, versioning, True, lifecycle, (WRITER,), kept)


def effects(lifecycle: Lifecycle, *, versioning: bool = True) -> dict[str, dict[str, object]]:
    found = desired.rules(wanting(lifecycle, versioning=versioning))
    return {str(each["ID"]).removeprefix(desired.OURS): each for each in found}


def test_each_rule_has_one_effect():
    found = effects(SEED)
    assert [*found] == ["move", "expire", "noncurrent", "delete-markers", "incomplete-uploads"]
    assert all(len(each) == 4 for each in found.values())


def test_small_objects_stay_where_they_are_but_are_deleted_like_others():
    found = effects(SEED)
    assert found["move"]["Filter"] == {"ObjectSizeGreaterThan": 524288}
    assert found["expire"]["Filter"] == {"Prefix": ""}


def test_a_delete_marker_with_nothing_below_it_goes_by_a_rule_of_its_own():
    assert effects(SEED)["expire"]["Expiration"] == {"Days": 365}
    assert effects(SEED)["delete-markers"]["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert "delete-markers" not in effects(NEVER, versioning=False)


def test_what_is_never_has_no_rule():
    assert [*effects(NEVER)] == ["delete-markers"]
    assert desired.rules(wanting(None)) == ()


@pytest.mark.parametrize(
    ("lifecycle", "kept", "said"),
    [
        (SEED, None, []),
        (SEED._replace(deep_archive=119), None, ["deep_archive: 119 days is too early after glacier_ir: 120 days"]),
        (SEED._replace(expire=360), None, ["expire: 360 days is too early after deep_archive: more than 360 days"]),
        (SEED._replace(expire=361), None, []),
        (SEED._replace(deep_archive=None, expire=119), None, ["expire: 119 days is too early after glacier_ir: 120"]),
        (SEED._replace(deep_archive=None, expire=120), None, []),
        (
            NEVER._replace(expire=34),
            5,
            ["expire: 34 days would delete live backups: the repository keeps 5 days, so 35"],
        ),
        (NEVER._replace(expire=35), 5, []),
        (NEVER, 5000, []),
    ],
)
def test_a_lifecycle_that_costs_money_or_backups_is_told(lifecycle, kept, said):
    found = desired.faults(wanting(lifecycle, kept=kept))
    assert len(found) == len(said)
    assert all(told.startswith(each) for told, each in zip(found, said, strict=True))


def test_the_longest_pause_between_full_backups_counts():
    assert desired.kept_days(4, range(800)) == 5
    assert desired.kept_days(4, [0, 7, 14]) == 35
    assert desired.kept_days(4, [0, 31, 59]) == 155
    assert desired.kept_days(1, []) == 732


def test_no_user_may_touch_a_version_or_a_setting_of_the_bucket():
    for writes in (True, False):
        policy = json.dumps(desired.user_policy(wanting(), WRITER._replace(writes=writes)))
        assert "Version" in policy
        assert not any(word in policy for word in ("ObjectVersion", "PutBucket", "Policy", "s3:*", '"*"'))
        assert ("s3:DeleteObject" in policy) == writes


def test_a_user_reaches_its_prefixes_and_lists_nothing_else():
    statements: Any = desired.user_policy(wanting(), WRITER)["Statement"]
    listing, _, objects = statements
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["backups/*", "probes/*"]}}
    assert objects["Resource"] == ["arn:aws:s3:::birds/backups/*", "arn:aws:s3:::birds/probes/*"]


def test_an_arn_begins_as_its_region_wants_it():
    assert [desired.partition(each) for each in ("ca-central-1", "cn-north-1", "us-gov-west-1")] == [
        "aws", "aws-cn", "aws-us-gov",
    ]  # fmt: skip
