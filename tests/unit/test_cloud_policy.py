"""The linter of IAM policies: each rule finds what it is for, and nothing in the policy that `cloud apply` writes."""

import json
from typing import Any

import pytest

from chronos_secrets.cloud import desired, policy
from chronos_secrets.cloud.desired import Desired, User
from chronos_secrets.cloud.policy import RULES, Scope, Statement, lint, parse, refuses_without_tls
from tests.support import clouds

BUCKET = "arn:aws:s3:::birds"
SCOPE = Scope(BUCKET, ("backups/", "probe/"), tls_elsewhere=True)
BELOW = f"{BUCKET}/backups/*"
LIMITED = (("StringLike", "s3:prefix", ("backups/*",)),)


def allow(*actions: str, on: str | tuple[str, ...] = BELOW, **more: Any) -> Statement:
    resources = (on,) if isinstance(on, str) else on
    return Statement("Allow", actions, resources, **more)


def found(*statements: Statement, scope: Scope = SCOPE) -> dict[str, list[str]]:
    """What each rule finds; rules that find nothing are left out."""
    said = {rule.id: lint(rule, "p", statements, scope) for rule in RULES}
    return {name: each for name, each in said.items() if each}


def test_nothing_is_found_in_the_policy_of_apply():
    wanted = Desired("birds", "ca-central-1", True, True, True, None, ())
    for writes in (True, False):
        document = desired.user_policy(wanted, User("writer", "access", SCOPE.prefixes, writes))
        assert found(*parse(json.dumps(document))) == {}
    tls = {"Version": "2012-10-17", "Statement": [desired.tls_statement(wanted)]}
    assert refuses_without_tls(parse(tls), BUCKET)
    assert not refuses_without_tls(parse(tls), "arn:aws:s3:::other")


def test_a_policy_for_the_whole_bucket_is_too_wide_and_nothing_else():
    assert set(found(*parse(clouds.policy("birds", [""])))) == {"policy-prefixes"}
    assert set(found(*parse(clouds.policy("birds", SCOPE.prefixes)))) == {"policy-prefixes"}  # it may list all


@pytest.mark.parametrize(
    ("statement", "rule", "said"),
    [
        (allow("s3:Get*"), "policy-wildcard", "action s3:Get*"),
        (allow("s3:GetObjec?"), "policy-wildcard", "action s3:GetObjec?"),
        (allow("s3:GetObject", on="*"), "policy-wildcard", "resource *"),
        (allow(allowed_but=("iam:*",)), "policy-wildcard", "all but what it names"),
        (allow("s3:GetObject", on=(), resources_but=(BELOW,)), "policy-wildcard", "all but what it names"),
        (allow("s3:DeleteObjectVersion"), "policy-deletes-versions", "s3:DeleteObjectVersion"),
        (allow("s3:BypassGovernanceRetention"), "policy-deletes-versions", "s3:BypassGovernanceRetention"),
        (allow("s3:deleteobject*"), "policy-deletes-versions", "s3:DeleteObjectVersion"),
        (allow("*", on="*"), "policy-deletes-versions", "s3:DeleteObjectVersion"),
        (allow(allowed_but=("s3:GetObject",)), "policy-deletes-versions", "s3:DeleteObjectVersion"),
        (allow("s3:PutBucketVersioning", on=BUCKET), "policy-bucket-settings", "s3:PutBucketVersioning"),
        (allow("s3:PutLifecycleConfiguration", on=BUCKET), "policy-bucket-settings", "s3:PutLifecycleConfiguration"),
        (allow("s3:PutBucketPolicy", on=BUCKET), "policy-bucket-settings", "s3:PutBucketPolicy"),
        (allow("s3:Put*", on=BUCKET), "policy-bucket-settings", "s3:PutBucketVersioning"),
        (allow("iam:CreateUser", on="*"), "policy-beyond-s3", "iam:CreateUser"),
        (allow("sts:AssumeRole", on="*"), "policy-beyond-s3", "sts:AssumeRole"),
        (allow("s3:GetObject", on="arn:aws:s3:::other/*"), "policy-other-buckets", "arn:aws:s3:::other/*"),
        (allow("s3:GetObject", on="arn:aws:s3:::birds*/*"), "policy-other-buckets", "arn:aws:s3:::birds*/*"),
        (allow("s3:GetObject", on=f"{BUCKET}/*"), "policy-prefixes", "objects *"),
        (allow("s3:GetObject", on=f"{BUCKET}/back*"), "policy-prefixes", "objects back*"),
        (allow("s3:ListBucket", on=BUCKET), "policy-prefixes", "without a condition on s3:prefix"),
        (allow("s3:ListBucket", on=BUCKET, conditions=(("StringLike", "s3:prefix", ("*",)),)), "policy-prefixes",
         "without a condition"),
        (allow("s3:GetObjct"), "policy-unknown-action", "s3:GetObjct (s3:GetObject?)"),
        (allow("s3:PutObject", on=BUCKET), "policy-resource-level", "it is an action on objects"),
        (allow("s3:ListBucket", on=BELOW, conditions=LIMITED), "policy-resource-level", "it is an action on a bucket"),
    ],
)  # fmt: skip
def test_a_rule_finds_what_it_is_for(statement: Statement, rule: str, said: str):
    assert any(said in each for each in found(statement)[rule])


@pytest.mark.parametrize(
    "statement",
    [
        allow("s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
        allow("S3:getobject"),
        allow("s3:GetObject", on=(BUCKET, BELOW)),
        allow("s3:ListBucket", on=BUCKET, conditions=LIMITED),
        allow("s3:ListBucket", on=BUCKET, conditions=(("StringEquals", "s3:prefix", ("backups", "probe/x")),)),
        allow("s3:GetBucketLocation", on=BUCKET),
        Statement("Deny", ("s3:*", "iam:*", "s3:Nonsense"), ("*",)),
    ],
)
def test_a_rule_finds_nothing_where_nothing_is_wrong(statement: Statement):
    assert found(statement) == {}


def test_tls_is_asked_for_by_the_bucket_or_by_each_statement():
    plain = Scope(BUCKET, SCOPE.prefixes, tls_elsewhere=False)
    assert set(found(allow("s3:GetObject"), scope=plain)) == {"policy-tls"}
    secure = (("Bool", "aws:securetransport", ("true",)),)
    assert found(allow("s3:GetObject", conditions=secure), scope=plain) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Allow"},
        {"Principal": {"AWS": "arn:aws:iam::111122223333:root"}},
        {"Action": "s3:PutObject"},
        {"Resource": f"{BUCKET}/*"},
        {"Resource": BUCKET},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Condition": {"StringNotEquals": {"aws:SecureTransport": "false"}}},
        {"Condition": {"Bool": {"aws:SecureTransport": "false"}, "StringEquals": {"aws:PrincipalTag/x": "y"}}},
    ],
)
def test_a_bucket_s_policy_that_leaves_a_way_without_tls_does_not_count(change: dict[str, object]):
    whole = {
        "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": ["s3:*"], "Resource": [BUCKET, f"{BUCKET}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }  # fmt: skip
    assert refuses_without_tls(parse({"Statement": whole}), BUCKET)
    assert not refuses_without_tls(parse({"Statement": [{**whole, **change}]}), BUCKET)


def test_a_condition_that_counts_if_the_key_is_there_refuses_without_tls_too():
    document = desired.tls_statement(Desired("birds", "ca-central-1", True, True, True, None, ()))
    condition = {"BoolIfExists": {"aws:SecureTransport": ["false"]}}
    assert refuses_without_tls(parse({"Statement": {**document, "Condition": condition}}), BUCKET)


@pytest.mark.parametrize(
    ("action", "named"),
    [
        ("iam:Put*", "iam:PutUserPolicy iam:PutGroupPolicy iam:PutRolePolicy"),
        ("iam:attach*", "iam:AttachUserPolicy iam:AttachGroupPolicy iam:AttachRolePolicy"),
        ("iam:Add*", "iam:AddUserToGroup"),
        ("iam:*PolicyVersion", "iam:CreatePolicyVersion iam:SetDefaultPolicyVersion"),
        ("iam:CreateAccessKe?", "iam:CreateAccessKey"),
        ("iam:*LoginProfile", "iam:CreateLoginProfile iam:UpdateLoginProfile"),
        ("iam:Update*Policy", "iam:UpdateAssumeRolePolicy"),
        ("iam:PassRole", "iam:PassRole"),
        ("sts:*", "sts:AssumeRole"),
        ("iam:Get*", ""),
    ],
)
def test_what_leads_to_more_rights_is_named(action: str, named: str):
    statements = parse({"Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
    assert policy.escalations(statements) == named.split()
    assert policy.escalations([Statement("Deny", (action,), ("*",))]) == []


def test_what_is_allowed_by_naming_the_rest_is_found():
    """NotAction allows all but what it names, and its case does not count, either."""
    row = {"Effect": "Allow", "NotAction": ["IAM:*", "s3:DeleteObjectVersion"], "NotResource": f"{BUCKET}/x"}
    statements = parse({"Statement": row})
    assert policy.escalations(statements) == ["sts:AssumeRole"]
    assert found(*statements)["policy-deletes-versions"] == ["p, statement 1: s3:BypassGovernanceRetention"]
    rest = parse({"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "NotResource": f"{BUCKET}/x"}})
    assert "policy-wildcard" in found(*rest)


@pytest.mark.parametrize(
    ("effect", "action", "resource", "admin"),
    [
        ("Allow", "*", "*", True),
        ("Deny", "*", "*", False),
        ("Allow", "*", BELOW, False),
        ("Allow", "iam:Put*", "*", False),
    ],
)
def test_only_who_may_do_everything_to_everything_is_an_administrator(
    effect: str, action: str, resource: str, admin: bool
):
    rows = {"Effect": effect, "Action": action, "Resource": resource}
    assert policy.is_admin(parse({"Statement": rows})) is admin


def test_a_pattern_of_iam_knows_no_other_signs_than_star_and_question_mark():
    assert policy.matches("s3:Get[O]*", "s3:Get[O]bject")
    assert not policy.matches("s3:Get[O]*", "s3:GetObject")
    assert policy.matches("a*\n?", "ab\nc")


@pytest.mark.parametrize("document", ["{", "[]", "{}", '{"Statement": ["x"]}', '"x"'])
def test_what_is_no_policy_is_refused(document: str):
    with pytest.raises(ValueError):  # noqa: PT011  # json's own, or ours
        parse(document)


def test_the_table_of_actions_has_what_pgbackrest_needs_and_no_name_twice():
    names = [name for names in policy._NAMES.values() for name in names.split()]
    assert len(names) == len(set(names))
    assert {policy.ACTIONS[each] for each in ("GetObject", "PutObject", "DeleteObject")} == {"object"}
    assert {policy.ACTIONS[each] for each in ("ListBucket", "GetBucketLocation")} == {"bucket"}
