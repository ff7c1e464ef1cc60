"""What the doors to S3 and IAM make of answers that no server here gives, or not on demand."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.stub import Stubber

from chronos_secrets.errors import TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import CannotTell, NotHonoured
from chronos_secrets.systems.aws import clients, listing, sts, users
from chronos_secrets.systems.aws.bucket import Rules
from chronos_secrets.systems.aws.iam import AccessKeys
from chronos_secrets.systems.aws.posture import Inspected
from chronos_secrets.systems.aws.refusals import Away, Unanswered
from chronos_secrets.systems.aws.users import Group, Users
from tests.support.targets import no_proxy

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


class Body:
    """The body of an answer, as botocore reads it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def stream(self) -> Iterator[bytes]:
        yield self._text.encode()


def _answer(service: str, text: str, *, once: str = "") -> clients.Clients:
    """Who asks a service that answers everything with this."""
    made = clients.of_key(Secret("x"), Secret("x"), clients.Place("ca-central-1"))
    with made.failures(service, "any"):
        client = made.client(service, once=once)
    client.meta.events.register("before-send", lambda **_: AWSResponse("https://x", 200, {}, Body(text)))
    return made


_CREATED = "<CreateAccessKeyResponse><CreateAccessKeyResult>{}</CreateAccessKeyResult></CreateAccessKeyResponse>"


@pytest.mark.parametrize("text", [
    "<!DOCTYPE html><br>welcome to our network", "<html>welcome to our network</html>",
    *(_CREATED.format(each) for each in (
        "", "<AccessKey><AccessKeyId>AKIA</AccessKeyId></AccessKey>",
        "<AccessKey><SecretAccessKey>x</SecretAccessKey></AccessKey>",
    )),
])  # fmt: skip
def test_an_answer_without_a_whole_key_leaves_it_open_whether_one_was_created(text: str):
    with pytest.raises(Unanswered):
        AccessKeys(_answer("iam", text, once="rotation"), "wren").create("rotation")


@pytest.mark.parametrize(
    "known", ["", "<Arn>arn:aws:iam::111122223333:user/wren</Arn>", f"<Account>{ACCOUNT}</Account>"]
)
def test_a_caller_of_whom_not_all_is_known_is_nobody(known: str):
    text = f"<GetCallerIdentityResponse><GetCallerIdentityResult>{known}</GetCallerIdentityResult></GetCallerIdentityResponse>"
    with pytest.raises(TargetFailed, match="is not AWS STS"):
        sts.whose(_answer("sts", text))


@pytest.mark.parametrize(("status", "code", "meant"), [
    (403, "AccessDenied", CannotTell), (404, "NoSuchEntity", CannotTell), (501, "NotImplemented", CannotTell),
    (403, "InvalidClientTokenId", NotHonoured), (500, "InternalFailure", Unanswered),
])  # fmt: skip
def test_when_a_key_was_last_used_is_unknown_only_where_the_answer_is_a_no(
    status: int, code: str, meant: type[TargetFailed], asker: clients.Clients
):
    with Stubber(asker.client("iam")) as iam:
        iam.add_client_error("get_access_key_last_used", code, http_status_code=status)
        with pytest.raises(TargetFailed) as caught:
            AccessKeys(asker, "wren").last_use("A" * 20)
    assert type(caught.value) is meant


def test_when_a_key_was_last_used_is_not_asked_of_an_iam_that_is_away(monkeypatch: pytest.MonkeyPatch):
    no_proxy(monkeypatch)
    monkeypatch.setattr(clients, "TRIES", 1)
    nobody = clients.Place("ca-central-1", "http://127.0.0.1:1")
    with pytest.raises(Away):
        AccessKeys(clients.of_key(Secret("x"), Secret("x"), nobody), "wren").last_use("A" * 20)


@pytest.mark.parametrize("given", ["", "A" * 15, "A" * 129, "A" * 20 + "\n", "AKIA " + "A" * 15])
def test_what_cannot_be_the_id_of_a_key_is_no_id(given: str):
    with pytest.raises(NotHonoured):
        sts.require_key_id(Secret(given))
    sts.require_key_id(Secret("A" * 20))


def test_a_key_that_may_not_even_ask_whose_it_is_is_not_honoured(asker: clients.Clients):
    with Stubber(asker.client("sts")) as server:
        server.add_client_error("get_caller_identity", "AccessDenied", http_status_code=403)
        with pytest.raises(NotHonoured):
            sts.whose(asker)


@pytest.mark.parametrize(("arn", "user"), [
    ("iam::111122223333:user/birds/wren", "wren"), ("iam::111122223333:user/wren", "wren"),
    ("sts::111122223333:assumed-role/Admin/wren", None), ("sts::111122223333:federated-user/wren", None),
    ("iam::111122223333:root", None),
])  # fmt: skip
def test_only_a_user_has_the_name_of_a_user(arn: str, user: str | None):
    assert sts.Caller(ACCOUNT, f"arn:aws:{arn}").user == user
