"""The facts of an audit, asked one by one: what one call may not tell keeps nothing else from being told."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from chronos_secrets.cloud import policy
from chronos_secrets.cloud.posture import ALLOWED, REFUSED, Facts, Held, Key, Trial, Unknown
from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems.answers import NotHonoured
from chronos_secrets.systems.aws import posture as aws
from chronos_secrets.systems.aws import sts
from chronos_secrets.systems.aws.clients import Clients
from chronos_secrets.systems.aws.iam import AccessKey, AccessKeys
from chronos_secrets.systems.aws.refusals import Forbidden, Gone, SignInNeeded

Fact = TypeVar("Fact")
_ELSEWHERE = Unknown("it cannot be tried at a server that is not Amazon's", untried=True)


class Subject(NamedTuple):
    """What is audited. `amazon` is whether Amazon answers: another server need not have all that it has."""

    bucket: str
    user: str
    prefixes: tuple[str, ...]
    account: str
    partition: str
    amazon: bool


def look(admin: Clients, subject: Subject) -> Facts:
    """Every fact of the bucket and of the user. Raises Gone where there is no bucket, and SignInNeeded."""
    bucket = aws.Inspected(admin, subject.bucket, subject.account)
    rights, keys = aws.Rights(admin, subject.account, subject.partition), AccessKeys(admin, subject.user)

    def fact(ask: Callable[[], Fact]) -> Fact | Unknown:
        return _fact(ask, subject)

    return Facts(
        region=_fact(bucket.region, subject, fatal=(SignInNeeded, Gone)),
        account_block=fact(bucket.account_block) if subject.amazon else _ELSEWHERE,
        block=fact(bucket.block),
        statements=fact(lambda: policy.parse(bucket.policy() or {"Statement": []})),
        is_public=fact(bucket.is_public),
        grants=fact(bucket.grants),
        ownership=fact(bucket.ownership),
        versioning=fact(bucket.versioning),
        mfa_delete=fact(bucket.mfa_delete),
        encryption=fact(bucket.encryption),
        rules=fact(lambda: len(bucket.enabled_rules())),
        lock=fact(bucket.locks),
        replicas=fact(bucket.replicates),
        logs=fact(bucket.logs),
        events=fact(bucket.tells),
        policies=fact(lambda: tuple(_held(each) for each in rights.of(subject.user))),
        keys=fact(lambda: tuple(_key(keys, each, subject) for each in keys.all())),
    )


def _fact(
    ask: Callable[[], Fact], subject: Subject, *, fatal: tuple[type[TargetFailed], ...] = (SignInNeeded,)
) -> Fact | Unknown:
    try:
        return ask()
    except fatal:
        raise
    except TargetFailed as error:
        return _unknown(error, subject)
    except ValueError as error:
        return Unknown(str(error))


def _unknown(error: TargetFailed, subject: Subject) -> Unknown:
    """A server that is not Amazon's and answers neither yes nor no does not know what was asked."""
    if not subject.amazon and type(error) is TargetFailed:
        return Unknown(f"it cannot be tried there: {error.message}", untried=True)
    return Unknown(error.message)


def _held(found: aws.Policy) -> Held:
    return Held(found.name, found.how, policy.parse(found.document))


def _key(keys: AccessKeys, found: AccessKey, subject: Subject) -> Key:
    used = _fact(lambda: keys.last_use(found.id), subject) if found.active else None
    return Key(found.id, found.active, found.created, used)


def trials(admin: Clients, user: Clients, subject: Subject) -> list[Trial]:
    """What the user's own key may do, tried with calls that read only."""
    try:
        sts.whose(user)
    except NotHonoured as error:
        return [_honoured(REFUSED), *not_tried(error.message)]
    except TargetFailed as error:
        return not_tried(error.message)
    other = _another_bucket(admin, subject)
    asks: dict[str, Callable[[], object]] = {
        "may-list": lambda: _list(user, subject),
        "may-locate": lambda: aws.location(user, subject.bucket),
        "may-not-list-all": lambda: aws.list_below(user, subject.bucket, ""),
        "may-not-see-buckets": lambda: _see_buckets(user, subject),
        "may-not-read-others": lambda: aws.list_below(user, str(other), ""),
        "may-not-ec2": lambda: aws.describe_instances(user),
        "may-not-iam": lambda: aws.list_users(user),
    }
    known = {"may-not-ec2": _no_ec2(admin, subject), "may-not-read-others": _unknown_or_none(other)}
    return [_honoured(ALLOWED), *(Trial(*row, known.get(row[0]) or _outcome(asks[row[0]], subject)) for row in _TRIED)]


def _honoured(outcome: str) -> Trial:
    return Trial("key-honoured", "the vault's key is honoured", True, outcome, "chronos-secrets rotate status")


def _see_buckets(user: Clients, subject: Subject) -> None:
    """Raises Forbidden. SeaweedFS refuses nobody, but shows only what one may list."""
    found = aws.bucket_names(user)
    if not subject.amazon and not set(found) - {subject.bucket}:
        raise Forbidden("no other bucket is shown")


def _list(user: Clients, subject: Subject) -> None:
    for prefix in subject.prefixes:
        aws.list_below(user, subject.bucket, prefix)


_TRIED = (
    ("may-list", "the user may list below its prefixes", True),
    ("may-locate", "the user may ask where the bucket is", True),
    ("may-not-list-all", "the user may not list outside of its prefixes", False),
    ("may-not-see-buckets", "the user may not list the account's buckets", False),
    ("may-not-read-others", "the user may not list another bucket", False),
    ("may-not-ec2", "the user may not list EC2's instances", False),
    ("may-not-iam", "the user may not list IAM's users", False),
)


def not_tried(why: str) -> list[Trial]:
    """All trials where there is nothing to try them with."""
    return [Trial(*row, Unknown(why)) for row in _TRIED]


def _another_bucket(admin: Clients, subject: Subject) -> str | Unknown:
    """A bucket of the account that is not ours."""
    found = _fact(lambda: aws.bucket_names(admin), subject)
    if isinstance(found, Unknown):
        return found
    names = [each for each in found if each != subject.bucket]
    return names[0] if names else Unknown("the account has no other bucket to try it with", untried=True)


def _unknown_or_none(fact: object) -> Unknown | None:
    return fact if isinstance(fact, Unknown) else None


def _no_ec2(admin: Clients, subject: Subject) -> Unknown | None:
    """Why EC2 says nothing of the user: a server without it refuses everybody."""
    if subject.amazon or _outcome(lambda: aws.describe_instances(admin), subject) == ALLOWED:
        return None
    return Unknown("it cannot be tried there: EC2 is refused to the administrator, too", untried=True)


def _outcome(ask: Callable[[], object], subject: Subject) -> str | Unknown:
    try:
        ask()
    except Forbidden:
        return REFUSED
    except TargetFailed as error:
        return _unknown(error, subject)
    return ALLOWED
