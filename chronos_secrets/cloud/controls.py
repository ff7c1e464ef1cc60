"""The controls of the audit: what each asks of the facts, and what to do where it fails. Pure.

From Prowler's checks and its mapping of them to Security Hub (FSBP) and the CIS benchmark.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from chronos_secrets.cloud import desired, policy
from chronos_secrets.cloud.policy import Scope
from chronos_secrets.cloud.posture import Case, Control, Facts, Judge, Key, NotKnown, Unknown, known

_APPLY = "chronos-secrets cloud apply"
OWN = f"{_APPLY}    # mends POLICY; what else the user has is edited by hand"
"""What to do where the user's rights are wrong."""


# --- the bucket -------------------------------------------------------------------------------------------------------


def _missing(blocked: frozenset[str]) -> str:
    missing = sorted(set(desired.PUBLIC_ACCESS) - blocked)
    return f"not blocked: {', '.join(missing)}" if missing else ""


def _is_blocked(case: Case) -> bool:
    """Whether nothing of what follows lets anybody in. What could not be had may be, so it counts as no."""
    blocks = [each for each in (case.facts.account_block, case.facts.block) if not isinstance(each, Unknown)]
    return any({"IgnorePublicAcls", "RestrictPublicBuckets"} <= each for each in blocks)


def _public(*rights: str) -> Judge:
    def wrong(case: Case) -> str:
        if _is_blocked(case):
            return ""
        if known(case.facts.is_public):
            return "its policy lets anybody in"
        return "its ACL lets anybody in" if known(case.facts.grants) & {"FULL_CONTROL", *rights} else ""

    return wrong


def _without_tls(case: Case) -> str:
    refused = policy.refuses_without_tls(known(case.facts.statements), case.wanted.bucket)
    return "" if refused else "no statement of the bucket's policy refuses aws:SecureTransport=false"


def _foreign(case: Case) -> str:
    rows = [each for each in known(case.facts.statements) if each.allows]
    names = [each.name for each in rows if any(_is_foreign(one, case.wanted.account) for one in each.principals)]
    return f"other accounts are allowed something by {', '.join(names)}" if names else ""


def _is_foreign(principal: str, account: str) -> bool:
    """A canonical id or a service is not told apart from an account of somebody else's."""
    return not (principal == account or (principal.startswith("arn:") and f"::{account}:" in principal))


def _lifecycle(case: Case) -> str:
    return "" if known(case.facts.rules) else "no rule is enabled"


def _versioning(case: Case) -> str:
    state = known(case.facts.versioning)
    return "" if state == "Enabled" else (f"it is {state.lower()}" if state else "it is off")


def _ownership(case: Case) -> str:
    found = known(case.facts.ownership)
    return "" if found == desired.OWNERSHIP else f"they count: the ownership is {found or 'not set'}"


def _encryption(case: Case) -> str:
    return "" if known(case.facts.encryption) else "it is off"


def _kms(case: Case) -> str:
    found = known(case.facts.encryption)
    return "" if found and found.startswith("aws:kms") else f"it is {found or 'off'}"


def _region(case: Case) -> str:
    found = known(case.facts.region)
    return "" if found == case.wanted.region else f"the bucket is in {found}, the inventory says {case.wanted.region}"


def _has(what: Callable[[Facts], bool | Unknown], without: str) -> Judge:
    def wrong(case: Case) -> str:
        return "" if known(what(case.facts)) else without

    return wrong


# --- the user ---------------------------------------------------------------------------------------------------------


def _admin(case: Case) -> str:
    names = [each.name for each in known(case.facts.policies) if policy.is_admin(each.statements)]
    return f"everything is allowed by {', '.join(names)}" if names else ""


def _escalates(case: Case) -> str:
    found = {one: None for each in known(case.facts.policies) for one in policy.escalations(each.statements)}
    return f"it could give itself more with {', '.join(found)}" if found else ""


def _direct(case: Case) -> str:
    names = [f"{each.name} ({each.how})" for each in known(case.facts.policies) if not each.how.startswith("group ")]
    return f"the user itself has {', '.join(names)}" if names else ""


def _active(case: Case) -> list[Key]:
    return [each for each in known(case.facts.keys) if each.active]


def _older(days: int) -> Judge:
    def wrong(case: Case) -> str:
        old = [each for each in _active(case) if case.now - _created(each) > timedelta(days)]
        return "; ".join(f"{_short(each)} is {(case.now - _created(each)).days} days old" for each in old)

    return wrong


def _unused(days: int) -> Judge:
    def wrong(case: Case) -> str:
        old = [each for each in _active(case) if case.now - (known(each.used) or _created(each)) > timedelta(days)]
        return "; ".join(f"{_short(each)} was not used for {days} days" for each in old)

    return wrong


def _created(key: Key) -> datetime:
    """Raises NotKnown at a server that does not tell."""
    if key.created is None:
        raise NotKnown(Unknown("the server does not tell when the key was created", untried=True))
    return key.created


def _several(case: Case) -> str:
    number = len(_active(case))
    return f"{number} keys are active: a rotation is under way, or one was left behind" if number > 1 else ""


def _never_used(case: Case) -> str:
    names = [_short(each) for each in _active(case) if known(each.used) is None]
    return f"never used: {', '.join(names)}" if names else ""


def _long_lived(case: Case) -> str:
    return "it has a key that holds until somebody ends it" if _active(case) else ""


def _short(key: Key) -> str:
    return f"key ...{key.id[-4:]}"


def _linted(rule: policy.Rule) -> Judge:
    def wrong(case: Case) -> str:
        held = known(case.facts.policies)
        elsewhere = rule.id == "policy-tls" and policy.refuses_without_tls(
            known(case.facts.statements), case.wanted.bucket
        )
        scope = Scope(case.wanted.bucket, case.wanted.prefixes, elsewhere)
        return "; ".join(said for each in held for said in policy.lint(rule, each.name, each.statements, scope))

    return wrong


_BLOCK_ACCOUNT = (
    "aws s3control put-public-access-block --account-id NUMBER --public-access-block-configuration "
    "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
)
_OR_ACCEPT = "or accept it below cloud: accepted: in inventory.yaml"
CONTROLS: tuple[Control, ...] = (
    Control(
        "S3.1", ("CIS-3.1.4", "s3_account_level_public_access_blocks"), "public access blocked by the account",
        lambda case: _missing(known(case.facts.account_block)), _BLOCK_ACCOUNT,
    ),
    Control("S3.2", ("s3_bucket_public_access",), "no public reading", _public("READ"), _APPLY),
    Control("S3.3", (), "no public writing", _public("WRITE"), _APPLY),
    Control("S3.5", ("CIS-3.1.1", "s3_bucket_secure_transport_policy"), "no requests without TLS",
            _without_tls, _APPLY),
    Control("S3.6", ("s3_bucket_cross_account_access",), "no rights of other accounts", _foreign,
            "aws s3api get-bucket-policy --bucket NAME    # and remove what is not yours"),
    Control("S3.7", ("s3_bucket_cross_region_replication",), "a replica in another region",
            _has(lambda facts: facts.replicas, "there is none"), f"a second repository elsewhere, {_OR_ACCEPT}"),
    Control(
        "S3.8", ("s3_bucket_level_public_access_block",), "public access blocked by the bucket",
        lambda case: _missing(known(case.facts.block)), _APPLY,
    ),
    Control("S3.9", ("s3_bucket_server_access_logging_enabled",), "a log of the requests",
            _has(lambda facts: facts.logs, "there is none"), f"a bucket for logs, {_OR_ACCEPT}"),
    Control("S3.10", ("S3.13", "s3_bucket_lifecycle_enabled"), "a lifecycle", _lifecycle,
            f"{_APPLY}    # what cloud: lifecycle: in inventory.yaml says"),
    Control("S3.11", ("s3_bucket_event_notification_enabled",), "a notice of what is written",
            _has(lambda facts: facts.events, "nothing is told"), f"an event notification, {_OR_ACCEPT}"),
    Control("S3.12", ("s3_bucket_acl_prohibited",), "no ACLs", _ownership, _APPLY),
    Control("S3.14", ("s3_bucket_object_versioning",), "versioning", _versioning, _APPLY),
    Control("S3.15", ("s3_bucket_object_lock",), "object lock",
            _has(lambda facts: facts.lock, "it is off"), f"object lock in a new bucket, {_OR_ACCEPT}"),
    Control("S3.17", ("s3_bucket_kms_encryption",), "encryption with a key of KMS", _kms,
            f"SSE-KMS, {_OR_ACCEPT}"),
    Control("S3.20", ("CIS-3.1.2", "s3_bucket_no_mfa_delete"), "a second factor for deleting versions",
            _has(lambda facts: facts.mfa_delete, "it is off"),
            f"only root can set it, and no lifecycle works then, {_OR_ACCEPT}"),
    Control("s3_bucket_default_encryption", ("S3.4",), "default encryption", _encryption, _APPLY),
    Control("bucket-region", (), "the region of the inventory", _region,
            "cloud: region: in inventory.yaml"),
    Control("IAM.1", ("iam_inline_policy_no_administrative_privileges",), "no policy that allows everything",
            _admin, OWN),
    Control("iam_policy_allows_privilege_escalation", ("iam_inline_policy_allows_privilege_escalation",),
            "no rights to get more rights", _escalates, OWN),
    Control("IAM.2", ("CIS-2.13", "iam_policy_attached_only_to_group_or_roles"), "rights by a group only",
            _direct, f"{_APPLY}, then detach what the user itself has, {_OR_ACCEPT}"),
    Control("IAM.3", ("CIS-2.12", "iam_rotate_access_key_90_days"), "active keys of 90 days at most", _older(90),
            f"ROTATE, {_OR_ACCEPT}"),
    Control("IAM.8", ("iam_user_accesskey_unused_90",), "no active key unused for 90 days", _unused(90), "ROTATE"),
    Control("IAM.22", ("CIS-2.11", "iam_user_accesskey_unused"), "no active key unused for 45 days", _unused(45),
            "ROTATE"),
    Control("iam_user_two_active_access_key", (), "one active key", _several,
            "chronos-secrets rotate status"),
    Control("iam_user_no_setup_initial_access_key", (), "no active key that was never used", _never_used, "ROTATE"),
    Control("iam_user_with_temporary_credentials", (), "no long-lived key", _long_lived,
            f"a role for pgBackRest on an EC2 instance, {_OR_ACCEPT}"),
)  # fmt: skip
LINTS = tuple(Control(each.id, (), each.title, _linted(each), OWN) for each in policy.RULES)
"""What must hold for the policies of the user."""
