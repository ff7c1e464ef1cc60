"""Make the bucket of the backups and its users what they should be: look, plan, and do it in an order that is safe at
each point.

Every step may run twice, and running again is how a plan that was cut short goes on. Nothing is deleted but our own
rules, and the oldest version of our own policy where IAM keeps no more.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from chronos_secrets.cloud import desired as wants
from chronos_secrets.cloud import difference
from chronos_secrets.cloud.desired import Desired, Document, User
from chronos_secrets.cloud.difference import Limit, Merged
from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems.aws.bucket import Bucket, Rules
from chronos_secrets.systems.aws.listing import Version
from chronos_secrets.systems.aws.refusals import Gone, SignInNeeded
from chronos_secrets.systems.aws.users import Found, Group, Users

T = TypeVar("T")


class Step(NamedTuple):
    """One change: of what, which setting, its lines, and what does it. `needs` are settings of the same subject that
    must not have failed before it."""

    subject: str
    setting: str
    lines: tuple[str, ...]
    do: Callable[[], None]
    needs: tuple[str, ...] = ()


class Note(NamedTuple):
    """Something about a subject that a person should know, and that is no change."""

    subject: str
    text: str


class Unknown(NamedTuple):
    """A setting that could not be looked at, and why."""

    subject: str
    setting: str
    error: TargetFailed


class Plan(NamedTuple):
    """What lies between what should be and what is.

    `stuck` is what differs and no step puts right. `limits` are steps that shorten the life of data which is there.
    `deep` says that objects would begin to move to Deep Archive.
    """

    steps: tuple[Step, ...]
    stuck: tuple[Note, ...]
    kept: tuple[Note, ...]
    unknown: tuple[Unknown, ...]
    limits: tuple[Limit, ...]
    deep: bool


class Done(NamedTuple):
    """What became of a step: `error` is what stopped it, `skipped` the setting whose failure left it out."""

    step: Step
    error: TargetFailed | None = None
    skipped: str = ""

    @property
    def is_good(self) -> bool:
        return self.error is None and not self.skipped


class Older(NamedTuple):
    """How many objects (or versions) a limit would end at once, and their bytes."""

    number: int
    size: int


class _Draft:
    """A plan that is being made."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.stuck: list[Note] = []
        self.kept: list[Note] = []
        self.unknown: list[Unknown] = []
        self.limits: list[Limit] = []
        self.deep = False

    def known(self, subject: str, setting: str, look: Callable[[], T]) -> tuple[T] | None:
        """What looking at a setting shows; None where that is not known, which stops no other. Raises SignInNeeded."""
        try:
            return (look(),)
        except (Gone, SignInNeeded):
            raise
        except TargetFailed as error:
            self.unknown.append(Unknown(subject, setting, error))
            return None

    def step(self, subject: str, setting: str, lines: Iterable[str], do: Callable[[], None], *needs: str) -> None:
        """Add a step where there is something to do."""
        if told := tuple(lines):
            self.steps.append(Step(subject, setting, told, do, needs))

    def plan(self) -> Plan:
        return Plan(
            tuple(self.steps), tuple(self.stuck), tuple(self.kept), tuple(self.unknown), tuple(self.limits), self.deep
        )  # fmt: skip


def plan(desired: Desired, bucket: Bucket, users: Users) -> Plan:
    """Look at everything, and change nothing. Raises SignInNeeded; all else that fails is `unknown` in the plan."""
    draft = _Draft()
    _plan_bucket(draft, desired, bucket)
    for user in desired.users:
        _plan_user(draft, desired, user, users)
    return draft.plan()


# --- the bucket -------------------------------------------------------------------------------------------------------


def _plan_bucket(draft: _Draft, desired: Desired, bucket: Bucket) -> None:
    subject = f"bucket {desired.bucket}"
    try:
        region = draft.known(subject, "region", bucket.region)
    except Gone:
        draft.step(subject, "bucket", [f"+ region: {desired.region}"], lambda: bucket.create(desired.region))
        _plan_settings(draft, subject, desired, bucket, _NEW)
        return
    if desired.amazon and region and region[0] != desired.region:
        told = f"it is in {region[0]}, not in {desired.region}: a bucket cannot be moved; nothing of it is looked at"
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


def _plan_settings(draft: _Draft, subject: str, desired: Desired, bucket: Bucket, looks: _Looks) -> None:
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


def _plan_encryption(draft: _Draft, subject: str, bucket: Bucket, found: str | None) -> None:
    if found and found.startswith("aws:kms"):
        draft.kept.append(Note(subject, f"encryption {found}: more than the inventory asks for"))
        return
    lines = difference.one("SSEAlgorithm", found, wants.ENCRYPTION)
    draft.step(subject, "encryption", lines, lambda: bucket.encrypt(wants.ENCRYPTION), "bucket")


def _plan_versioning(draft: _Draft, subject: str, desired: Desired, bucket: Bucket, looks: _Looks) -> None:
    found = draft.known(subject, "versioning", looks.versioning)
    if not found or (not desired.versioning and found[0] != "Enabled"):
        return
    status = "Enabled" if desired.versioning else "Suspended"
    if not desired.versioning:
        draft.limits.append(Limit("versioning"))
    lines = difference.one("Status", found[0], status)
    draft.step(subject, "versioning", lines, lambda: bucket.set_versioning(status), "bucket")


def _plan_policy(draft: _Draft, subject: str, desired: Desired, bucket: Bucket, looks: _Looks) -> None:
    found = draft.known(subject, "bucket policy", looks.policy)
    if not found:
        return
    before, ours = found[0], wants.tls_statement(desired) if desired.tls_only else None
    merged = difference.bucket_policy(before, ours)
    draft.kept += [Note(subject, f"bucket policy: {each}") for each in merged.kept]

    def put() -> None:
        if not looks.is_new:
            _require_same("bucket policy", before, bucket.policy())
        bucket.set_policy(merged.document)

    draft.step(subject, "bucket policy", merged.lines, put, "bucket")


def _plan_lifecycle(draft: _Draft, subject: str, desired: Desired, bucket: Bucket, looks: _Looks) -> None:
    found = draft.known(subject, "lifecycle", looks.lifecycle)
    if not found:
        return
    before, wanted = found[0], wants.rules(desired)
    merged = difference.lifecycle(before.rules, wanted)
    smallest = wants.SMALLEST if wanted or not before.smallest else before.smallest
    lines = (*merged.lines, *(difference.smallest(before.smallest) if wanted and before.rules else ()))
    draft.kept += _kept_rules(subject, before, merged, writes=bool(lines))

    def put() -> None:
        if not looks.is_new:
            _require_same("lifecycle", before, bucket.lifecycle())
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


# --- a user -----------------------------------------------------------------------------------------------------------


def _plan_user(draft: _Draft, desired: Desired, user: User, users: Users) -> None:
    """The policy is on a group, as CIS and Security Hub want it, and the user is in that: what one has, the other may.

    A policy that is attached to the user, too, gives nothing more and is left: to take it away is to trust that all of
    IAM knows of the group already.
    """
    subject, policy = f"user {user.name}", user.policy
    _plan_document(draft, subject, desired, user, users)
    group = draft.known(subject, "group", lambda: users.group(policy))
    if group:
        _plan_group(draft, subject, user, users, group[0])
    found = draft.known(subject, "user", lambda: users.user(user.name))
    if not found:
        return
    if found[0] is None:
        draft.step(subject, "user", [f"+ user: {user.name}"], lambda: users.create_user(user.name))
    if group and not (group[0] and _foreign(group[0], user)):
        lines = [] if found[0] and policy in found[0].groups else [f"+ group: {policy}"]
        draft.step(
            subject, "membership", lines, lambda: users.add_to_group(user.name, policy), "user", "group", "attachment"
        )
    draft.kept += [Note(subject, each) for each in _others(user, found[0])]


def _plan_document(draft: _Draft, subject: str, desired: Desired, user: User, users: Users) -> None:
    found = draft.known(subject, "policy", lambda: users.policy(user.policy))
    if not found:
        return
    wanted, before = wants.user_policy(desired, user), found[0]
    if before is None:
        lines: tuple[str, ...] = difference.policies({}, wanted)
        draft.step(subject, "policy", lines, lambda: users.create_policy(user.policy, wanted))
    else:
        lines = difference.policies(before, wanted)
        draft.step(subject, "policy", lines, lambda: users.replace_policy(user.policy, wanted))


def _plan_group(draft: _Draft, subject: str, user: User, users: Users, group: Group | None) -> None:
    policy = user.policy
    if group is None:
        draft.step(subject, "group", [f"+ group {policy}"], lambda: users.create_group(policy))
    elif foreign := _foreign(group, user):
        told = f"the group {policy} has {foreign}: nothing is added to it, for that would give more than was asked"
        draft.stuck.append(Note(subject, told))
        return
    lines = [] if group and policy in group.attached else [f"+ group {policy}: policy {policy}"]
    draft.step(subject, "attachment", lines, lambda: users.attach_to_group(policy, policy), "group", "policy")


def _foreign(group: Group, user: User) -> str:
    """What a group has that is not ours, in words, where the user or the policy is still to come to it."""
    if user.name in group.members and user.policy in group.attached:
        return ""
    others = [f"the member {each}" for each in group.members if each != user.name]
    others += [f"the policy {each}" for each in (*group.attached, *group.inline) if each != user.policy]
    return ", ".join(others)


def _others(user: User, found: Found | None) -> Iterator[str]:
    if found is None:
        return
    for each in found.attached:
        own = "; the group is enough: aws iam detach-user-policy takes it away" if each == user.policy else ""
        yield f"policy {each}, attached to the user{own}"
    yield from (f"policy {each}, inline" for each in found.inline)
    yield from (f"group {each}" for each in found.groups if each != user.policy)


# --- doing it ---------------------------------------------------------------------------------------------------------


def apply(found: Plan, say: Callable[[Step], None]) -> Iterator[Done]:
    """Do the steps of a plan, in its order; `say` hears of each before it is done.

    One that fails leaves out those that need it, and no other. A session that ended leaves out all that follow.
    """
    bad: dict[tuple[str, str], str] = {(each.subject, each.setting): each.setting for each in found.unknown}
    ended: SignInNeeded | None = None
    for step in found.steps:
        broken = next((each for each in step.needs if (step.subject, each) in bad), "")
        done = Done(step, skipped=broken) if broken else Done(step, ended) if ended else _done(step, say)
        if not done.is_good:
            bad[step.subject, step.setting] = step.setting
        if isinstance(done.error, SignInNeeded):
            ended = done.error
        yield done


def _done(step: Step, say: Callable[[Step], None]) -> Done:
    say(step)
    try:
        step.do()
    except TargetFailed as error:
        return Done(step, error)
    return Done(step)


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
