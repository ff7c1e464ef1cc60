"""The controls of the audit, judged from facts: each passes and fails by its own fact, and a missing one is no pass."""

from datetime import UTC, date, datetime, timedelta

import pytest

from chronos_secrets.cloud import inspection
from chronos_secrets.cloud.controls import CONTROLS, LINTS
from chronos_secrets.cloud.inspection import Subject
from chronos_secrets.cloud.policy import parse
from chronos_secrets.cloud.posture import (
    ALLOWED,
    REFUSED,
    Acceptance,
    Case,
    Facts,
    Finding,
    Held,
    Key,
    Trial,
    Unknown,
    Wanted,
    accept,
    judge,
    tried,
    unneeded,
)
from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems.aws import clients
from chronos_secrets.systems.aws.posture import Inspected
from chronos_secrets.systems.aws.refusals import Forbidden, Unanswered
from tests.support.clouds import policy

NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)
BUCKET, ACCOUNT = "arn:aws:s3:::birds", "111122223333"
ALL = frozenset({"BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"})
TLS = parse({"Statement": {
    "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [BUCKET, f"{BUCKET}/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}})  # fmt: skip
WANTED = Wanted(ACCOUNT, "ca-central-1", BUCKET, ("backups/",), "access", "aws")
KEY = Key("AKIA" + "X" * 16, True, NOW - timedelta(1), NOW)
GOOD = Facts(
    region="ca-central-1", account_block=ALL, block=ALL, statements=TLS, is_public=False, grants=frozenset(),
    ownership="BucketOwnerEnforced", versioning="Enabled", mfa_delete=True, encryption="aws:kms", rules=1, lock=True,
    replicas=True, logs=True, events=True, policies=(), keys=(),
)  # fmt: skip
OPEN = GOOD._replace(account_block=frozenset(), block=frozenset())
TABLE = (*CONTROLS, *LINTS)


def states(facts: Facts) -> dict[str, str]:
    return {each.id: each.state for each in judge(TABLE, Case(facts, WANTED, NOW))}


def failed(facts: Facts) -> set[str]:
    return {name for name, state in states(facts).items() if state == "FAIL"}


def held(actions: object, resource: object = f"{BUCKET}/backups/*", how: str = "group g") -> tuple[Held, ...]:
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return (Held("p", how, parse({"Statement": statement})),)


def test_all_passes_where_all_is_good():
    assert set(states(GOOD).values()) == {"PASS"}


@pytest.mark.parametrize(
    ("facts", "wrong"),
    [
        (GOOD._replace(account_block=ALL - {"BlockPublicAcls"}), {"S3.1"}),
        (GOOD._replace(block=frozenset()), {"S3.8"}),
        (OPEN._replace(is_public=True), {"S3.1", "S3.2", "S3.3", "S3.8"}),
        (OPEN._replace(grants=frozenset({"READ"})), {"S3.1", "S3.2", "S3.8"}),
        (OPEN._replace(grants=frozenset({"WRITE"})), {"S3.1", "S3.3", "S3.8"}),
        (OPEN._replace(grants=frozenset({"FULL_CONTROL"})), {"S3.1", "S3.2", "S3.3", "S3.8"}),
        (GOOD._replace(is_public=True, grants=frozenset({"READ"})), set()),
        (GOOD._replace(statements=()), {"S3.5"}),
        (GOOD._replace(replicas=False), {"S3.7"}),
        (GOOD._replace(logs=False), {"S3.9"}),
        (GOOD._replace(rules=0), {"S3.10"}),
        (GOOD._replace(events=False), {"S3.11"}),
        (GOOD._replace(ownership=None), {"S3.12"}),
        (GOOD._replace(ownership="ObjectWriter"), {"S3.12"}),
        (GOOD._replace(versioning="Suspended"), {"S3.14"}),
        (GOOD._replace(versioning=None), {"S3.14"}),
        (GOOD._replace(lock=False), {"S3.15"}),
        (GOOD._replace(encryption="AES256"), {"S3.17"}),
        (GOOD._replace(encryption=None), {"S3.17", "s3_bucket_default_encryption"}),
        (GOOD._replace(mfa_delete=False), {"S3.20"}),
        (GOOD._replace(region="eu-west-1"), {"bucket-region"}),
        (GOOD._replace(policies=held("s3:GetObject", how="inline")), {"IAM.2"}),
        (GOOD._replace(policies=held("s3:GetObject", how="attached")), {"IAM.2"}),
        (GOOD._replace(policies=held("s3:GetObject")), set()),
        (GOOD._replace(policies=held("sts:AssumeRole", "*")),
         {"iam_policy_allows_privilege_escalation", "policy-beyond-s3", "policy-other-buckets", "policy-wildcard"}),
        (GOOD._replace(keys=(KEY,)), {"iam_user_with_temporary_credentials"}),
        (GOOD._replace(keys=(KEY._replace(active=False, used=None),)), set()),
        (GOOD._replace(keys=(KEY, KEY)), {"iam_user_with_temporary_credentials", "iam_user_two_active_access_key"}),
        (GOOD._replace(keys=(KEY._replace(used=None),)),
         {"iam_user_with_temporary_credentials", "iam_user_no_setup_initial_access_key"}),
        (GOOD._replace(keys=(KEY._replace(created=NOW - timedelta(91)),)),
         {"iam_user_with_temporary_credentials", "IAM.3"}),
        (GOOD._replace(keys=(KEY._replace(used=NOW - timedelta(46)),)),
         {"iam_user_with_temporary_credentials", "IAM.22"}),
        (GOOD._replace(keys=(KEY._replace(used=NOW - timedelta(91)),)),
         {"iam_user_with_temporary_credentials", "IAM.22", "IAM.8"}),
    ],
)  # fmt: skip
def test_a_control_fails_by_its_own_fact(facts: Facts, wrong: set[str]):
    assert failed(facts) == wrong


@pytest.mark.parametrize(("principal", "fails"), [
    (f"arn:aws:iam::{ACCOUNT}:user/x", False), (ACCOUNT, False), ("arn:aws:iam::444455556666:root", True),
    ("444455556666", True), ("*", True), ("a1b2canonical", True),
])  # fmt: skip
def test_whoever_is_not_of_the_account_is_another(principal: str, fails: bool):
    rows = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "s3:GetObject", "Resource": f"{BUCKET}/*"}
    assert ("S3.6" in failed(GOOD._replace(statements=(*TLS, *parse({"Statement": rows}))))) is fails


@pytest.mark.parametrize("name", Facts._fields)
def test_a_fact_that_could_not_be_had_is_no_pass_and_takes_nothing_else_with_it(name: str):
    before = GOOD._replace(keys=(KEY,), policies=held("s3:GetObject"))
    without = Unknown("no right to look")
    blind = before._replace(**{name: without})
    if name in ("is_public", "grants"):  # which count only where nothing is blocked
        blind = blind._replace(
            account_block=frozenset(), block=frozenset(), **({"is_public": False} if name == "grants" else {})
        )
    found = [each for each in judge(TABLE, Case(blind, WANTED, NOW)) if each.state == "UNKNOWN"]
    assert found
    assert {each.why for each in found} == {"no right to look"}
    assert len(found) < len(TABLE) / 2


def test_when_a_key_was_used_or_made_may_not_be_told():
    blind = states(GOOD._replace(keys=(KEY._replace(used=Unknown("away")),)))
    assert (blind["IAM.8"], blind["IAM.22"], blind["IAM.3"]) == ("UNKNOWN", "UNKNOWN", "PASS")
    found = {
        each.id: each for each in judge(TABLE, Case(GOOD._replace(keys=(KEY._replace(created=None),)), WANTED, NOW))
    }
    assert (found["IAM.3"].state, found["IAM.3"].untried) == ("UNKNOWN", True)


def test_every_control_says_what_to_do_and_every_id_is_its_own():
    ids = [name for each in TABLE for name in (each.id, *each.also)]
    assert len(ids) == len(set(ids))
    assert all(each.todo and each.title for each in TABLE)
    assert WANTED.fill("ROTATE, POLICY") == "chronos-secrets rotate aws, access"
    assert "ROTATE" not in WANTED._replace(credential=None).fill("ROTATE")


@pytest.mark.parametrize(("must", "outcome", "state"), [
    (True, ALLOWED, "PASS"), (True, REFUSED, "FAIL"), (False, ALLOWED, "FAIL"), (False, REFUSED, "PASS"),
    (True, Unknown("away"), "UNKNOWN"), (False, Unknown("away"), "UNKNOWN"),
])  # fmt: skip
def test_a_trial_is_judged_by_what_must_be(must: bool, outcome: str | Unknown, state: str):
    (found,) = tried([Trial("t", "a trial", must, outcome)], "mend it")
    assert found.state == state
    assert found.todo == ("mend it" if state == "FAIL" else "")


def test_only_a_failure_is_accepted_by_any_id_until_the_end_of_its_day():
    rows = [Finding("S3.20", ("CIS-3.1.2",), "t", state, "why", "todo") for state in ("PASS", "FAIL", "UNKNOWN")]
    taken = Acceptance("cis-3.1.2", "we know", date(2026, 7, 15))
    assert [each.state for each in accept(rows, [taken], date(2026, 7, 15))] == ["PASS", "ACCEPTED", "UNKNOWN"]
    late = accept(rows, [taken], date(2026, 7, 16))
    assert [each.state for each in late] == ["PASS", "FAIL", "UNKNOWN"]
    assert late[1].why == "why; its acceptance ended on 2026-07-15"
    nobody = taken._replace(control="S3.99")
    assert unneeded(rows[:1], [taken, nobody]) == [(taken, True), (nobody, False)]
    assert unneeded(rows[1:2], [taken]) == []


def test_a_policy_of_the_bucket_that_is_none_is_not_known(monkeypatch):
    found = inspection._fact(lambda: parse("[]"), Subject("b", "u", (), ACCOUNT, "aws", True))
    assert isinstance(found, Unknown)


@pytest.mark.parametrize(
    ("error", "amazon", "untried"),
    [(TargetFailed, False, True), (TargetFailed, True, False), (Forbidden, False, False), (Unanswered, False, False)],
)
def test_only_another_server_than_amazon_s_may_know_nothing_of_what_is_asked(
    error: type[TargetFailed], amazon: bool, untried: bool
):
    def ask() -> None:
        raise error("it answered 501")

    found = inspection._fact(ask, Subject("b", "u", (), ACCOUNT, "aws", amazon))
    assert isinstance(found, Unknown)
    assert found.untried is untried


def test_the_block_of_the_account_is_asked_of_moto_in_this_process(monkeypatch, tmp_path):
    """moto's server cannot be asked: botocore puts the account's number before the host's name."""
    from moto import mock_aws

    with mock_aws():
        asker = clients.of_profile(None, clients.Place("ca-central-1"))
        bucket = Inspected(asker, "birds", "123456789012")
        assert bucket.account_block() == frozenset()
        asker.client("s3control").put_public_access_block(
            AccountId="123456789012",
            PublicAccessBlockConfiguration={**dict.fromkeys(ALL, True), "BlockPublicAcls": False},
        )
        assert bucket.account_block() == ALL - {"BlockPublicAcls"}


def test_a_policy_as_a_test_world_writes_it_can_be_read():
    assert [each.name for each in parse(policy("birds", ["backups/"]))] == ["statement 1", "statement 2"]
