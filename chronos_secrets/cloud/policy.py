"""A linter of IAM policies: what lets the user of the backups do more than backups need, or less than was meant.

Pure. The names and levels of S3's actions are those of AWS's service authorization reference, as far as a bucket of
backups may meet them.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

_NAMES = {
    "object": """
        AbortMultipartUpload BypassGovernanceRetention DeleteObject DeleteObjectTagging DeleteObjectVersion
        DeleteObjectVersionTagging GetObject GetObjectAcl GetObjectAttributes GetObjectLegalHold GetObjectRetention
        GetObjectTagging GetObjectTorrent GetObjectVersion GetObjectVersionAcl GetObjectVersionAttributes
        GetObjectVersionForReplication GetObjectVersionTagging GetObjectVersionTorrent InitiateReplication
        ListMultipartUploadParts ObjectOwnerOverrideToBucketOwner PutObject PutObjectAcl PutObjectLegalHold
        PutObjectRetention PutObjectTagging PutObjectVersionAcl PutObjectVersionTagging ReplicateDelete
        ReplicateObject ReplicateTags RestoreObject UpdateObjectEncryption
    """,
    "bucket": """
        CreateBucket CreateBucketMetadataTableConfiguration DeleteBucket DeleteBucketMetadataTableConfiguration
        DeleteBucketOwnershipControls DeleteBucketPolicy DeleteBucketWebsite GetAccelerateConfiguration
        GetAnalyticsConfiguration GetBucketAbac GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging
        GetBucketMetadataTableConfiguration GetBucketNotification GetBucketObjectLockConfiguration
        GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus GetBucketPublicAccessBlock
        GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite GetEncryptionConfiguration
        GetIntelligentTieringConfiguration GetInventoryConfiguration GetLifecycleConfiguration
        GetMetricsConfiguration GetReplicationConfiguration ListBucket ListBucketMultipartUploads ListBucketVersions
        ListTagsForResource PutAccelerateConfiguration PutAnalyticsConfiguration PutBucketAbac PutBucketAcl
        PutBucketCORS PutBucketLogging PutBucketNotification PutBucketObjectLockConfiguration
        PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock PutBucketRequestPayment
        PutBucketTagging PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration
        PutIntelligentTieringConfiguration PutInventoryConfiguration PutLifecycleConfiguration
        PutMetricsConfiguration PutReplicationConfiguration TagResource UntagResource
    """,
    "account": """
        AssociateAccessGrantsIdentityCenter CreateAccessGrant CreateAccessGrantsInstance CreateAccessGrantsLocation
        CreateAccessPoint CreateAccessPointForObjectLambda CreateJob CreateMultiRegionAccessPoint
        CreateStorageLensGroup DeleteAccessGrant DeleteAccessGrantsInstance DeleteAccessGrantsInstanceResourcePolicy
        DeleteAccessGrantsLocation DeleteAccessPoint DeleteAccessPointForObjectLambda DeleteAccessPointPolicy
        DeleteAccessPointPolicyForObjectLambda DeleteJobTagging DeleteMultiRegionAccessPoint
        DeleteStorageLensConfiguration DeleteStorageLensConfigurationTagging DeleteStorageLensGroup DescribeJob
        DescribeMultiRegionAccessPointOperation DissociateAccessGrantsIdentityCenter GetAccessGrant
        GetAccessGrantsInstance GetAccessGrantsInstanceForPrefix GetAccessGrantsInstanceResourcePolicy
        GetAccessGrantsLocation GetAccessPoint GetAccessPointConfigurationForObjectLambda
        GetAccessPointForObjectLambda GetAccessPointPolicy GetAccessPointPolicyForObjectLambda
        GetAccessPointPolicyStatus GetAccessPointPolicyStatusForObjectLambda GetAccountPublicAccessBlock
        GetDataAccess GetJobTagging GetMultiRegionAccessPoint GetMultiRegionAccessPointPolicy
        GetMultiRegionAccessPointPolicyStatus GetMultiRegionAccessPointRoutes GetStorageLensConfiguration
        GetStorageLensConfigurationTagging GetStorageLensDashboard GetStorageLensGroup ListAccessGrants
        ListAccessGrantsInstances ListAccessGrantsLocations ListAccessPoints ListAccessPointsForObjectLambda
        ListAllMyBuckets ListCallerAccessGrants ListJobs ListMultiRegionAccessPoints ListStorageLensConfigurations
        ListStorageLensGroups PauseReplication PutAccessGrantsInstanceResourcePolicy
        PutAccessPointConfigurationForObjectLambda PutAccessPointPolicy PutAccessPointPolicyForObjectLambda
        PutAccessPointPublicAccessBlock PutAccountPublicAccessBlock PutJobTagging PutMultiRegionAccessPointPolicy
        PutStorageLensConfiguration PutStorageLensConfigurationTagging SubmitMultiRegionAccessPointRoutes
        UpdateAccessGrantsLocation UpdateJobPriority UpdateJobStatus UpdateStorageLensGroup
    """,
}  # fmt: skip
ACTIONS: Mapping[str, str] = {name: level for level, names in _NAMES.items() for name in names.split()}
"""S3's actions, and on what each is allowed: an object, a bucket, or neither."""

_LEVELS = {"object": "objects", "bucket": "a bucket"}
_BY_LOWER = {name.lower(): name for name in ACTIONS}
_FOR_GOOD = ("DeleteObjectVersion", "BypassGovernanceRetention")
_SETTINGS = (
    "PutBucketVersioning", "PutLifecycleConfiguration", "PutBucketPolicy", "DeleteBucketPolicy", "DeleteBucket",
    "PutBucketPublicAccessBlock", "PutEncryptionConfiguration", "PutBucketOwnershipControls", "PutBucketAcl",
    "PutBucketObjectLockConfiguration", "PutReplicationConfiguration", "PutBucketLogging",
)  # fmt: skip
_ESCALATING = (
    "iam:PutUserPolicy", "iam:AttachUserPolicy", "iam:PutGroupPolicy", "iam:AttachGroupPolicy", "iam:AddUserToGroup",
    "iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:CreateAccessKey", "iam:CreateLoginProfile",
    "iam:UpdateLoginProfile", "iam:PassRole", "iam:PutRolePolicy", "iam:AttachRolePolicy",
    "iam:UpdateAssumeRolePolicy", "sts:AssumeRole",
)  # fmt: skip


class Statement(NamedTuple):
    """One statement of a policy. `conditions` are operator, key (in small letters) and values; `principals` are as
    written, "*" for anybody. `allowed_but` and `resources_but` are NotAction and NotResource."""

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    principals: tuple[str, ...] = ()
    allowed_but: tuple[str, ...] = ()
    resources_but: tuple[str, ...] = ()
    name: str = ""

    @property
    def allows(self) -> bool:
        return self.effect == "Allow"


class Scope(NamedTuple):
    """What the user of the backups is for: prefixes of one bucket, given by its ARN. `tls_elsewhere` is whether the
    bucket's own policy refuses requests without TLS."""

    bucket: str
    prefixes: tuple[str, ...]
    tls_elsewhere: bool = False


def parse(document: str | Mapping[str, object]) -> tuple[Statement, ...]:
    """The statements of a policy. Raises ValueError for what is none."""
    found = json.loads(document) if isinstance(document, str) else document
    if not isinstance(found, Mapping) or "Statement" not in found:
        raise ValueError("it is no policy: it has no Statement")
    statements = found["Statement"]
    rows = statements if isinstance(statements, Sequence) and not isinstance(statements, str) else [statements]
    return tuple(_statement(each, number) for number, each in enumerate(rows, 1))


def _statement(row: object, number: int) -> Statement:
    if not isinstance(row, Mapping):
        raise ValueError("it is no policy: a statement is no object")
    return Statement(
        effect=str(row.get("Effect", "")),
        actions=_words(row.get("Action")),
        resources=_words(row.get("Resource")),
        conditions=_conditions(row.get("Condition")),
        principals=_principals(row.get("Principal")),
        allowed_but=_words(row.get("NotAction")),
        resources_but=_words(row.get("NotResource")),
        name=str(row.get("Sid") or f"statement {number}"),
    )


def _words(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(str(each) for each in value) if isinstance(value, list | tuple) else (str(value),)


def _conditions(value: object) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    rows = value.items() if isinstance(value, Mapping) else ()
    return tuple(
        (str(operator), str(key).lower(), _words(wanted))
        for operator, keys in rows
        if isinstance(keys, Mapping)
        for key, wanted in keys.items()
    )


def _principals(value: object) -> tuple[str, ...]:
    if isinstance(value, Mapping):
        return tuple(each for named in value.values() for each in _words(named))
    return _words(value)


def matches(pattern: str, text: str) -> bool:
    """Whether an action or a resource of a policy, with its * and ?, means `text`."""
    wanted = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern)
    return re.fullmatch(wanted, text, re.DOTALL) is not None


def means(statement: Statement, action: str) -> bool:
    """Whether a statement is about an action such as s3:GetObject; case does not count there."""
    if statement.allowed_but:
        return not any(matches(each.lower(), action.lower()) for each in statement.allowed_but)
    return any(matches(each.lower(), action.lower()) for each in statement.actions)


def refuses_without_tls(statements: Iterable[Statement], bucket: str) -> bool:
    """Whether the policy of a bucket (its ARN) refuses everybody everything without TLS: the bucket and its objects."""
    arns: set[str] = set()
    for each in statements:
        without = any(
            operator.lower() in ("bool", "boolifexists") and key == "aws:securetransport" and values == ("false",)
            for operator, key, values in each.conditions
        )
        if each.effect == "Deny" and without and len(each.conditions) == 1 and "*" in each.principals:
            arns |= {name for name in each.resources if any(one in ("*", "s3:*") for one in each.actions)}
    return any(matches(name, bucket) for name in arns) and any(matches(name, f"{bucket}/any") for name in arns)


def is_admin(statements: Iterable[Statement]) -> bool:
    """Whether a policy allows everything on everything."""
    return any(each.allows and "*" in each.actions and "*" in each.resources for each in statements)


def escalations(statements: Iterable[Statement]) -> list[str]:
    """The actions a policy allows by which a user could give itself more."""
    rows = [each for each in statements if each.allows]
    return [action for action in _ESCALATING if any(means(each, action) for each in rows)]


Found = Iterator[str]
Check = Callable[[Statement, Scope], Found]


def _wildcards(statement: Statement, _: Scope) -> Found:
    yield from (f"action {each}" for each in statement.actions if "*" in each or "?" in each)
    yield from (f"resource {each}" for each in statement.resources if each == "*")
    if statement.allowed_but or statement.resources_but:
        yield "allows all but what it names (NotAction, NotResource)"


def _deletes_for_good(statement: Statement, _: Scope) -> Found:
    yield from (f"s3:{each}" for each in _FOR_GOOD if means(statement, f"s3:{each}"))


def _changes_settings(statement: Statement, _: Scope) -> Found:
    yield from (f"s3:{each}" for each in _SETTINGS if means(statement, f"s3:{each}"))


def _beyond_s3(statement: Statement, _: Scope) -> Found:
    yield from (each for each in statement.actions if not each.lower().startswith("s3:"))


def _other_buckets(statement: Statement, scope: Scope) -> Found:
    for each in statement.resources:
        if each != scope.bucket and not each.startswith(f"{scope.bucket}/"):
            yield each


def _outside_prefixes(statement: Statement, scope: Scope) -> Found:
    objects = f"{scope.bucket}/"
    for each in statement.resources:
        if each.startswith(objects) and not each[len(objects) :].startswith(scope.prefixes):
            yield f"objects {each[len(objects) :]}"
    limited = any(key == "s3:prefix" and _below(values, scope.prefixes) for _, key, values in statement.conditions)
    if means(statement, "s3:ListBucket") and not limited:
        yield "s3:ListBucket without a condition on s3:prefix"


def _below(values: tuple[str, ...], prefixes: tuple[str, ...]) -> bool:
    """Whether each prefix that may be listed is one of the user's, or the folder itself without its slash."""
    folders = {each.rstrip("/") for each in prefixes}
    return all(each.startswith(prefixes) or each in folders for each in values)


def _unknown_actions(statement: Statement, _: Scope) -> Found:
    for each in statement.actions:
        service, _colon, name = each.partition(":")
        if service.lower() == "s3" and not any(matches(name.lower(), known) for known in _BY_LOWER):
            near = get_close_matches(name.lower(), _BY_LOWER, 1)
            yield each + (f" (s3:{_BY_LOWER[near[0]]}?)" if near else "")


def _wrong_level(statement: Statement, _: Scope) -> Found:
    """An action that none of the statement's resources can be: it allows nothing."""
    kinds = {"*" if each == "*" else "object" if "/" in each else "bucket" for each in statement.resources}
    for each in statement.actions:
        level = ACTIONS.get(_BY_LOWER.get(each.partition(":")[2].lower(), ""))
        if level in ("object", "bucket") and kinds and not kinds & {"*", level}:
            yield f"{each} on {statement.resources[0]}: it is an action on {_LEVELS[level]}"


def _without_tls(statement: Statement, scope: Scope) -> Found:
    secure = any(key == "aws:securetransport" and values == ("true",) for _, key, values in statement.conditions)
    if not scope.tls_elsewhere and not secure:
        yield "the bucket's policy does not refuse that, either"


class Rule(NamedTuple):
    """One rule of the linter: its id, what holds where it finds nothing, and what looks at a statement that allows."""

    id: str
    title: str
    check: Check


RULES: tuple[Rule, ...] = (
    Rule("policy-wildcard", "no wildcards", _wildcards),
    Rule("policy-deletes-versions", "no deleting of versions for good", _deletes_for_good),
    Rule("policy-bucket-settings", "no changing of the bucket's settings", _changes_settings),
    Rule("policy-beyond-s3", "no rights outside of S3", _beyond_s3),
    Rule("policy-other-buckets", "no rights in other buckets", _other_buckets),
    Rule("policy-prefixes", "no rights outside of the prefixes", _outside_prefixes),
    Rule("policy-unknown-action", "no unknown actions", _unknown_actions),
    Rule("policy-resource-level", "no actions on the wrong kind of resource", _wrong_level),
    Rule("policy-tls", "no rights without TLS", _without_tls),
)


def lint(rule: Rule, name: str, statements: Iterable[Statement], scope: Scope) -> list[str]:
    """What a rule finds in the policy `name`, in words with the statement that it is in."""
    return [
        f"{name}, {each.name}: {said}"
        for each in statements
        if each.allows
        for said in dict.fromkeys(rule.check(each, scope))
    ]
