"""What the bucket of the backups and its users should be, in the words of AWS's own documents. Pure."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

Document = dict[str, object]
"""A policy, a statement or a rule, as AWS's JSON has it."""

OURS = "chronos-secrets-"
"""How the ids of our lifecycle rules begin; every other rule is somebody else's."""

TLS_ONLY = "ChronosSecretsTlsOnly"
"""The Sid of our statement in the bucket's policy; every other statement is somebody else's."""

PUBLIC_ACCESS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
OWNERSHIP = "BucketOwnerEnforced"
ENCRYPTION = "AES256"  # SSE-S3
SMALLEST = "all_storage_classes_128K"
"""TransitionDefaultMinimumObjectSize: what S3 does not move where a rule names no size. It is AWS's own default."""

LEAST_DAYS = {"STANDARD_IA": 30, "ONEZONE_IA": 30, "GLACIER_IR": 90, "GLACIER": 90, "DEEP_ARCHIVE": 180}
"""How long each storage class bills an object at least, in days (aws.amazon.com/s3/pricing)."""

MARGIN = 30
"""Days that objects are to outlive what pgBackRest keeps: when backups stop, nobody may notice for as long."""

_INSTANT_DAYS, _DEEP_DAYS = LEAST_DAYS["GLACIER_IR"], LEAST_DAYS["DEEP_ARCHIVE"]
_WRITES = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
_READS = ("s3:GetObject",)


class Lifecycle(NamedTuple):
    """When objects move or go, in days; None is never. `min_size` is in bytes."""

    glacier_ir: int | None
    deep_archive: int | None
    expire: int | None
    noncurrent: int | None
    incomplete_uploads: int | None
    min_size: int | None

    @property
    def moves(self) -> dict[str, int]:
        """After how many days objects move to a storage class, in the order in which they come to it."""
        to = {"GLACIER_IR": self.glacier_ir, "DEEP_ARCHIVE": self.deep_archive}
        return {storage: days for storage, days in to.items() if days is not None}


class User(NamedTuple):
    """An IAM user, and the policy (and group of the same name) by which it reaches what lies below the prefixes."""

    name: str
    policy: str
    prefixes: tuple[str, ...]
    writes: bool


class Desired(NamedTuple):
    """All that the inventory says of the bucket and its users.

    `amazon` is False for another provider, whose region cannot be compared. `kept_days` is how old the oldest object
    gets that pgBackRest needs; None where there is no repository.
    """

    bucket: str
    region: str
    amazon: bool
    versioning: bool
    tls_only: bool
    lifecycle: Lifecycle | None
    users: tuple[User, ...]
    kept_days: int | None = None


def partition(region: str) -> str:
    """The first word of an ARN in a region."""
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


def tls_statement(desired: Desired) -> Document:
    """The statement that refuses every request without TLS, to the bucket and to what is in it."""
    return {
        "Sid": TLS_ONLY, "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [_arn(desired), f"{_arn(desired)}/*"], "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }  # fmt: skip


def user_policy(desired: Desired, user: User) -> Document:
    """The least with which pgBackRest works.

    Listing and reading are enough for restores; a backup deletes, too. No user may delete a version of an object, or
    change a setting of the bucket: so what versioning keeps outlives a stolen key.
    """
    below = [f"{prefix}*" for prefix in user.prefixes]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "List", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [_arn(desired)],
                "Condition": {"StringLike": {"s3:prefix": below}},
            },
            {"Sid": "Region", "Effect": "Allow", "Action": ["s3:GetBucketLocation"], "Resource": [_arn(desired)]},
            {
                "Sid": "Objects", "Effect": "Allow", "Action": list(_WRITES if user.writes else _READS),
                "Resource": [f"{_arn(desired)}/{each}" for each in below],
            },
        ],
    }  # fmt: skip


def rules(desired: Desired) -> tuple[Document, ...]:
    """Our rules of the bucket's lifecycle, each with one effect, for the whole bucket.

    `expire` acts on current versions only: with versioning it puts a delete marker over them, and `noncurrent` is what
    ends them. A marker below which nothing is left has a rule of its own, as S3 wants it.
    """
    lifecycle = desired.lifecycle
    return tuple(_rules(lifecycle, desired.versioning)) if lifecycle else ()


def _rules(lifecycle: Lifecycle, versioning: bool) -> Iterator[Document]:
    if moves := [{"Days": days, "StorageClass": storage} for storage, days in lifecycle.moves.items()]:
        size = lifecycle.min_size or 0
        larger: Document = {"ObjectSizeGreaterThan": size} if size > 1 else {"Prefix": ""}  # 1 B: all of them
        yield _rule("move", {"Transitions": moves}, larger)
    if lifecycle.expire is not None:
        yield _rule("expire", {"Expiration": {"Days": lifecycle.expire}})
    if lifecycle.noncurrent is not None:
        yield _rule("noncurrent", {"NoncurrentVersionExpiration": {"NoncurrentDays": lifecycle.noncurrent}})
    if versioning or lifecycle.noncurrent is not None:
        yield _rule("delete-markers", {"Expiration": {"ExpiredObjectDeleteMarker": True}})
    if lifecycle.incomplete_uploads is not None:
        days = lifecycle.incomplete_uploads
        yield _rule("incomplete-uploads", {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days}})


def _rule(name: str, effect: Document, where: Document | None = None) -> Document:
    return {"ID": f"{OURS}{name}", "Status": "Enabled", "Filter": where or {"Prefix": ""}, **effect}


def faults(desired: Desired) -> list[str]:
    """What must not be asked of S3, though S3 would do it: each a sentence that says what would be right."""
    lifecycle = desired.lifecycle
    return [*_economy(lifecycle), *_retention(desired.kept_days, lifecycle.expire)] if lifecycle else []


def _economy(lifecycle: Lifecycle) -> Iterator[str]:
    """S3 charges for whole minimum durations, also of what went before."""
    instant, deep, expire = lifecycle.glacier_ir, lifecycle.deep_archive, lifecycle.expire
    if instant is not None and deep is not None and deep < instant + _INSTANT_DAYS:
        yield f"deep_archive: {deep} days is too early after glacier_ir: {instant + _INSTANT_DAYS} days or more"
    if expire is None:
        return
    if deep is not None and expire <= deep + _DEEP_DAYS:
        yield f"expire: {expire} days is too early after deep_archive: more than {deep + _DEEP_DAYS} days"
    if deep is None and instant is not None and expire < instant + _INSTANT_DAYS:
        yield f"expire: {expire} days is too early after glacier_ir: {instant + _INSTANT_DAYS} days or more"


def _retention(kept: int | None, expire: int | None) -> Iterator[str]:
    if kept is not None and expire is not None and expire < kept + MARGIN:
        yield (
            f"expire: {expire} days would delete live backups: the repository keeps {kept} days, so {kept + MARGIN} "
            "days or more"
        )


def kept_days(retention_full: int, firing: Sequence[int]) -> int:
    """How old the oldest object gets that a repository needs.

    `firing` are days on which a full backup starts, as ordinals in order, over a year or more. The oldest full goes
    when the one after the last is done, and the longest pause counts.
    """
    longest = max((after - before for before, after in itertools.pairwise(firing)), default=366)
    return (retention_full + 1) * longest


def _arn(desired: Desired) -> str:
    return f"arn:{partition(desired.region)}:s3:::{desired.bucket}"
