"""What AWS, or a server that speaks like it, says instead of yes: told apart as far as a caller acts on it.

No message repeats an ARN or an account's number, which some keep secret.
"""

import re
from collections.abc import Mapping

from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems.answers import CannotTell, NotHonoured, words


class Away(TargetFailed):
    """It could not be reached: nothing was asked."""


class Unanswered(TargetFailed):
    """It was asked, and whether it did what was asked is unknown: a lost answer, an error of its own, throttling."""


class Forbidden(TargetFailed):
    """Whoever asked may not do this."""


class Gone(TargetFailed):
    """What was asked for does not exist."""


class LimitReached(TargetFailed):
    """There are as many as there may be."""


class WrongSecret(NotHonoured):
    """The key is known, but this is not its secret: waiting does not help."""


class SignInNeeded(TargetFailed):
    """There are no valid credentials of the person who administers; the hint says how to get them."""

    code = "sign-in-needed"


CLOCK = re.compile(r"Signature (expired|not yet current)|RequestTimeTooSkewed")
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
_THROTTLED = frozenset({"Throttling", "ThrottlingException", "RequestLimitExceeded", "SlowDown", "TooManyRequests"})
_NOT_THE_KEY = _THROTTLED | {"RegionDisabledException", "OptInRequired"}
_FORBIDDEN = Forbidden, "AWS {service} does not allow {action}"
_GONE = Gone, "AWS {service} does not have it: {said}"
_SAID: dict[str, tuple[type[TargetFailed], str]] = {
    "AccessDenied": _FORBIDDEN,
    "AccessDeniedException": _FORBIDDEN,
    "UnauthorizedOperation": _FORBIDDEN,
    "NoSuchEntity": _GONE,
    "NoSuchKey": _GONE,
    "NoSuchBucket": _GONE,
    "LimitExceeded": (LimitReached, "AWS {service} allows no more: {said}"),
    "SignatureDoesNotMatch": (WrongSecret, "AWS {service} says that the secret does not go with the key: {said}"),
}
_ACTIONS = {
    "s3:DeleteBucketLifecycle": "s3:PutLifecycleConfiguration",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "s3:GetBucketReplication": "s3:GetReplicationConfiguration",
    "s3:GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3control:GetPublicAccessBlock": "s3:GetAccountPublicAccessBlock",
}
"""Operations that a policy allows under another name: the one that a person has to write there."""
_PRIVATE = re.compile(r"arn:\S+|\b\d{12}\b")


def code_of(response: Mapping[str, object]) -> str:
    """The code of an answer, "" where it has none. SeaweedFS gives its refusals outside of `Error`."""
    error = response.get("Error", response)
    return str(error.get("Code", "")) if isinstance(error, Mapping) else ""


def status_of(response: Mapping[str, object]) -> int:
    """The HTTP status of an answer; 0 where there is none."""
    metadata = response.get("ResponseMetadata", {})
    return int(metadata.get("HTTPStatusCode", 0)) if isinstance(metadata, Mapping) else 0


def said_by(response: Mapping[str, object]) -> str:
    """The answer's own words, as one line."""
    error = response.get("Error", response)
    message = error.get("Message", "") if isinstance(error, Mapping) else ""
    return words(_PRIVATE.sub("...", f"{code_of(response)}: {message}"))


def refusal(response: Mapping[str, object], service: str, action: str) -> TargetFailed:
    """What an answer to `action` (such as iam:CreateAccessKey) means that is no success. `service` is "IAM", say."""
    code, status, said = code_of(response), status_of(response), said_by(response)
    if CLOCK.search(said):
        hint = "timedatectl status"  # a signature holds for a quarter of an hour, by the clock of whoever made it
        return CannotTell(f"the clock of this machine is wrong, says AWS {service}: {said}", hint=hint)
    if code in _SAID:
        kind, sentence = _SAID[code]
        return kind(sentence.format(service=service, action=_ACTIONS.get(action, action), said=said))
    if status in (401, 403) and code not in _NOT_THE_KEY:
        return NotHonoured(f"AWS {service} does not take the key: {said}")
    unsure = code in _THROTTLED or (status >= 500 and status != 501)  # 501: this server never does it
    kind = Unanswered if unsure else TargetFailed
    return kind(f"AWS {service} answered {status} to {action}: {said}")
