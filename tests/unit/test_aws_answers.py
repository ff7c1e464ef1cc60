"""What the doors to S3 and IAM make of answers that no server here gives, or not on demand."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from chronos_secrets.secret import Secret
from chronos_secrets.systems.aws import clients, listing, users
from chronos_secrets.systems.aws.bucket import Rules
from chronos_secrets.systems.aws.posture import Inspected
from chronos_secrets.systems.aws.refusals import Unanswered
from chronos_secrets.systems.aws.users import Group, Users

ACCOUNT = "111122223333"
WHERE = {"Bucket": "birds", "ExpectedBucketOwner": ACCOUNT}


@pytest.fixture(scope="module")
def asker() -> Iterator[clients.Clients]:
    key = clients.of_key(Secret("x"), Secret("x"), clients.Place("ca-central-1"))
    with key.translated("s3", "ListBuckets"):
        yield key


ENDS: list[tuple[Callable[[Inspected], object], str, dict[str, Any], object]] = [
    (Inspected.region, "get_bucket_location", {}, "us-east-1"),
    (Inspected.region, "get_bucket_location", {"LocationConstraint": "EU"}, "eu-west-1"),
    (Inspected.policy, "get_bucket_policy", {"Policy": ""}, None),
    (Inspected.policy, "get_bucket_policy", {"Policy": "no JSON"}, Unanswered),
    (Inspected.encryption, "get_bucket_encryption", {}, None),
    (Inspected.ownership, "get_bucket_ownership_controls", {}, None),
    (Inspected.is_public, "get_bucket_policy_status", {"PolicyStatus": {"IsPublic": True}}, True),
    (Inspected.mfa_delete, "get_bucket_versioning", {"Status": "Enabled", "MFADelete": "Disabled"}, False),
    (Inspected.mfa_delete, "get_bucket_versioning", {"Status": "Enabled", "MFADelete": "Enabled"}, True),
    (Inspected.enabled_rules, "get_bucket_lifecycle_configuration",
     {"Rules": [{"ID": "a", "Status": "Disabled", "Filter": {"Prefix": ""}}]}, ()),
    (Inspected.locks, "get_object_lock_configuration", {"ObjectLockConfiguration": {}}, False),
    (Inspected.locks, "get_object_lock_configuration",
     {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}, True),
    *((Inspected.replicates, "get_bucket_replication", {"ReplicationConfiguration": {"Role": "r", "Rules": [
        {"Status": status, "Destination": {"Bucket": "b"}}
    ]}}, status == "Enabled") for status in ("Enabled", "Disabled")),
    (Inspected.logs, "get_bucket_logging", {"LoggingEnabled": {"TargetBucket": "b", "TargetPrefix": ""}}, True),
    (Inspected.tells, "get_bucket_notification_configuration", {"TopicConfigurations": []}, False),
    (Inspected.tells, "get_bucket_notification_configuration", {"EventBridgeConfiguration": {}}, True),
    (Inspected.grants, "get_bucket_acl", {"Grants": [
        {"Permission": right, "Grantee": {"Type": "Group", "URI": f"http://acs.amazonaws.com/groups/{who}"}}
        for who, right in (("global/AuthenticatedUsers", "READ"), ("s3/LogDelivery", "WRITE"))
    ]}, frozenset({"READ"})),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "operation", "answer", "meant"), ENDS)
def test_an_answer_of_s3_is_read_as_it_is_meant(
    ask: Callable[[Inspected], object], operation: str, answer: dict[str, Any], meant: object, asker: clients.Clients
):
    with Stubber(asker.client("s3")) as s3:
        s3.add_response(operation, answer, WHERE)
        if meant is Unanswered:
            with pytest.raises(Unanswered):
                ask(Inspected(asker, "birds", ACCOUNT))
        else:
            assert ask(Inspected(asker, "birds", ACCOUNT)) == meant


@pytest.mark.parametrize(("found", "meant"), [
    ({"Statement": []}, {"Statement": []}), ("%7B%22Statement%22%3A%20%5B%5D%7D", {"Statement": []}),
    ("%7B", None), ("7", None),
])  # fmt: skip
def test_a_policy_of_iam_may_come_as_text(found: object, meant: object):
    if meant is None:
        with pytest.raises(Unanswered):
            users.decoded(found)
    else:
        assert users.decoded(found) == meant


@pytest.mark.parametrize(("ask", "operation", "code", "meant"), [
    (Inspected.public_access, "get_public_access_block", "NoSuchPublicAccessBlockConfiguration", {}),
    (Inspected.ownership, "get_bucket_ownership_controls", "OwnershipControlsNotFoundError", None),
    (Inspected.encryption, "get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError", None),
    (Inspected.policy, "get_bucket_policy", "NoSuchBucketPolicy", None),
    (Inspected.is_public, "get_bucket_policy_status", "NoSuchBucketPolicy", False),
    (Inspected.lifecycle, "get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration", Rules((), "")),
    (Inspected.locks, "get_object_lock_configuration", "ObjectLockConfigurationNotFoundError", False),
    (Inspected.replicates, "get_bucket_replication", "ReplicationConfigurationNotFoundError", False),
])  # fmt: skip
def test_a_setting_that_was_never_made_is_empty_and_no_failure(
    ask: Callable[[Inspected], object], operation: str, code: str, meant: object, asker: clients.Clients
):
    with Stubber(asker.client("s3")) as s3:
        s3.add_client_error(operation, code, http_status_code=404, expected_params=WHERE)
        assert ask(Inspected(asker, "birds", ACCOUNT)) == meant


def test_a_failure_without_a_code_is_no_setting_that_was_never_made(asker: clients.Clients):
    with Stubber(asker.client("s3")) as s3:
        s3.add_client_error("get_bucket_location", "", http_status_code=500)
        with pytest.raises(Unanswered):
            Inspected(asker, "birds", ACCOUNT).region()


def test_a_version_became_what_it_is_when_the_next_one_of_its_object_came(asker: clients.Clients):
    def row(key: str, day: int, *, latest: bool) -> dict[str, Any]:
        return {"Key": key, "IsLatest": latest, "LastModified": datetime(2026, 1, day, tzinfo=UTC)}

    written = [row("a", 5, latest=True), row("a", 1, latest=False), row("b", 2, latest=False), row("c", 4, latest=True)]
    with Stubber(asker.client("s3")) as s3:
        s3.add_response("list_object_versions", {"Versions": written, "DeleteMarkers": [row("b", 7, latest=True)]})
        found = list(listing.versions(asker, "birds"))
    assert [(each.key, each.written.day, each.since.day, each.marker) for each in found] == [
        ("a", 5, 5, False), ("a", 1, 5, False), ("b", 7, 7, True), ("b", 2, 7, False), ("c", 4, 4, False),
    ]  # fmt: skip


def test_a_list_of_iam_is_read_to_its_last_page(asker: clients.Clients):
    def member(name: str) -> dict[str, Any]:
        return {"UserName": name, "UserId": "x" * 16, "Path": "/", "Arn": "x" * 20, "CreateDate": datetime.now(UTC)}

    of = {"Path": "/", "GroupName": "g", "GroupId": "x" * 16, "Arn": "x" * 20, "CreateDate": datetime.now(UTC)}
    with Stubber(asker.client("iam")) as iam:
        iam.add_response("get_group", {"Group": of, "Users": [member("a")], "IsTruncated": True, "Marker": "m"})
        iam.add_response("get_group", {"Group": of, "Users": [member("b")]}, {"GroupName": "g", "Marker": "m"})
        iam.add_response("list_attached_group_policies", {"AttachedPolicies": []})
        iam.add_response("list_group_policies", {"PolicyNames": []})
        assert Users(asker, ACCOUNT, "aws").group("g") == Group(("a", "b"), (), ())
