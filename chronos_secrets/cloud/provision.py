"""Make the bucket of the backups and its users what they should be: look, and plan what is safe at each point.

Nothing is deleted but our own rules, and the oldest version of our own policy where IAM keeps no more. `steps.apply`
does a plan; running it again is how one that was cut short goes on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from chronos_secrets.cloud import desired as wants
from chronos_secrets.cloud import difference
from chronos_secrets.cloud.access import plan_user
from chronos_secrets.cloud.desired import Desired, Document
from chronos_secrets.cloud.difference import Limit, Merged
from chronos_secrets.cloud.steps import Draft, Note, Plan
from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems.aws.bucket import Bucket, Rules
from chronos_secrets.systems.aws.listing import Version
from chronos_secrets.systems.aws.refusals import Gone
from chronos_secrets.systems.aws.users import Users


class Older(NamedTuple):
    """How many objects (or versions) a limit would end at once, and their bytes."""

    number: int
    size: int


def plan(desired: Desired, bucket: Bucket, users: Users) -> Plan:
    """Look at everything, and change nothing. Raises SignInNeeded; all else that fails is `unknown` in the plan."""
    draft = Draft()
    _plan_bucket(draft, desired, bucket)
    for user in desired.users:
        plan_user(draft, desired, user, users)
    return draft.plan()


def _plan_bucket(draft: Draft, desired: Desired, bucket: Bucket) -> None:
    subject = f"bucket {desired.bucket}"
    try:
        region = draft.known(subject, "region", bucket.region)
    except Gone:
        draft.step(
            subject,
            "bucket",
            [f"+ bucket: {desired.bucket}, a new one in {desired.region}"],
            lambda: bucket.create(desired.region),
        )
        _plan_settings(draft, subject, desired, bucket, _NEW)
        return
    if desired.amazon and region and region[0] != desired.region:
        told = (
            f"it is in {region[0]}, not in {desired.region}, and a bucket cannot be moved: write region: {region[0]} "
            "in the inventory, or name another bucket; nothing more of it is looked at"
        )
        draft.stuck.append(Note(subject, told))
        return
    _plan_settings(draft, subject, desired, bucket, _looks(bucket))


class _Looks(NamedTuple):
    """How each setting is looked at."""

    public_access: Callable[[], Mapping[str, bool]]
    ownership: Callable[[], str | None]
    encryption: Callable[[], str | None]
    versioning: Callable[[], str | None]
    policy: Callable[[], Document | None]
    lifecycle: Callable[[], Rules]
    is_new: bool = False


_NOTHING = Rules((), wants.SMALLEST)
_NEW = _Looks(dict, lambda: None, lambda: None, lambda: None, lambda: None, lambda: _NOTHING, is_new=True)


def _looks(bucket: Bucket) -> _Looks:
    return _Looks(
        bucket.public_access,
        bucket.ownership,
        bucket.encryption,
        bucket.versioning,
        bucket.policy,
        bucket.lifecycle,
    )


def _plan_settings(draft: Draft, subject: str, desired: Desired, bucket: Bucket, looks: _Looks) -> None:
    """Access is closed before anything else, and old versions are kept before a rule ends any."""
    blocked = dict.fromkeys(wants.PUBLIC_ACCESS, True)
    if found := draft.known(subject, "public access", looks.public_access):
        lines = difference.values(found[0], blocked)
        draft.step(subject, "public access", lines, lambda: bucket.block_public_access(blocked), "bucket")
    if owner := draft.known(subject, "ownership", looks.ownership):
        lines = difference.one("ObjectOwnership", owner[0], wants.OWNERSHIP)
        draft.step(subject, "ownership", lines, lambda: bucket.own(wants.OWNERSHIP), "bucket")
    if algorithm := draft.known(subject, "encryption", looks.encryption):
        _plan_encryption(draft, subject, bucket, algorithm[0])
    _plan_versioning(draft, subject, desired, bucket, looks)
    _plan_policy(draft, subject, desired, bucket, looks)
    _plan_lifecycle(draft, subject, desired, bucket, looks)


def _plan_encryption(draft: Draft, subject: str, bucket: Bucket, found: str | None) -> None:
    if found and found.startswith("aws:kms"):
        draft.kept.append(Note(subject, f"encryption {found}: more than the inventory asks for"))
        return
    lines = difference.one("SSEAlgorithm", found, wants.ENCRYPTION)
    draft.step(subject, "encryption", lines, lambda: bucket.encrypt(wants.ENCRYPTION), "bucket")


def _plan_versioning(draft: Draft, subject: str, desired: Desired, bucket: Bucket, looks: _Looks) -> None:
    found = draft.known(subject, "versioning", looks.versioning)
    if not found or (not desired.versioning and found[0] != "Enabled"):
        return
    status = "Enabled" if desired.versioning else "Suspended"
    if not desired.versioning:
        draft.limits.append(Limit("versioning"))
    lines = difference.one("Status", found[0], status)
    draft.step(subject, "versioning", lines, lambda: bucket.set_versioning(status), "bucket")


def _plan_policy(draft: Draft, subject: str, desired: Desired, bucket: Bucket, looks: _Looks) -> None:
    found = draft.known(subject, "bucket policy", looks.policy)
    if not found:
        return
    before, ours = found[0], wants.tls_statement(desired) if desired.tls_only else None
    merged = difference.bucket_policy(before, ours)
    draft.kept += [Note(subject, f"bucket policy: {each}") for each in merged.kept]

    def put() -> None:
        _require_same("bucket policy", before, bucket.policy())
        bucket.set_policy(merged.document)

    draft.step(subject, "bucket policy", merged.lines, put, "bucket")


def _plan_lifecycle(draft: Draft, subject: str, desired: Desired, bucket: Bucket, looks: _Looks) -> None:
    found = draft.known(subject, "lifecycle", looks.lifecycle)
    if not found:
        return
    before, wanted = found[0], wants.rules(desired)
    merged = difference.lifecycle(before.rules, wanted)
    smallest = wants.SMALLEST if wanted or not before.smallest else before.smallest
    lines = (*merged.lines, *(difference.smallest(before.smallest) if wanted else ()))
    draft.kept += _kept_rules(subject, before, merged, writes=bool(lines))

    def put() -> None:
        now = bucket.lifecycle()
        _require_same("lifecycle", before, before if looks.is_new and not now.rules else now)
        bucket.set_lifecycle(merged.document, smallest)

    draft.step(subject, "lifecycle", lines, put, "bucket", "versioning")
    draft.limits += () if looks.is_new else difference.limits(before.rules, wanted)
    draft.deep = difference.moves_deep(before.rules, wanted)


def _kept_rules(subject: str, before: Rules, merged: Merged, *, writes: bool) -> Iterator[Note]:
    for each in merged.kept:
        yield Note(subject, f"lifecycle: {each}")
    if writes and difference.older(before.rules):
        yield Note(subject, "lifecycle: rules with a Prefix of their own are written with a Filter of the same meaning")


def _require_same(setting: str, planned: object, found: object) -> None:
    """These are written as a whole, so what another person has changed meanwhile would be lost. Raises _Moved."""
    if planned != found:
        raise _Moved(f"the {setting} was changed by somebody else since it was looked at; it was left as it is")


class _Moved(TargetFailed):
    """Somebody else changed what a step was about to write."""


def older(objects: Iterable[Version], limits: Iterable[Limit], now: datetime) -> dict[Limit, Older]:
    """How much of what is there each limit would end, by the versions of the bucket.

    S3 counts days from midnight to midnight (UTC), so it acts up to a day later.
    """
    found = {each: Older(0, 0) for each in limits}
    for version in objects:
        for limit, so_far in found.items():
            if not version.marker and _ends(version, limit, now):
                found[limit] = Older(so_far.number + 1, so_far.size + version.size)
    return found


def _ends(version: Version, limit: Limit, now: datetime) -> bool:
    if limit.what == "versioning":
        return version.current
    past = now - timedelta(days=limit.days)
    return version.current == (limit.what == "expire") and version.since < past
