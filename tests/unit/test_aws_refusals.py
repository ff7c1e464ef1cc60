"""What an answer of AWS means that is no success."""

import pytest

from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems.answers import CannotTell, NotHonoured
from chronos_secrets.systems.aws import refusals
from chronos_secrets.systems.aws.refusals import Forbidden, Gone, LimitReached, Unanswered, WrongSecret, refusal


def _answer(status: int, code: str = "", message: str = "") -> dict[str, object]:
    return {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AccessDenied", Forbidden),
        (403, "AccessDeniedException", Forbidden),
        (404, "NoSuchEntity", Gone),
        (404, "NoSuchKey", Gone),
        (404, "NoSuchBucket", Gone),
        (409, "LimitExceeded", LimitReached),
        (403, "SignatureDoesNotMatch", WrongSecret),
        (403, "InvalidClientTokenId", NotHonoured),
        (403, "InvalidAccessKeyId", NotHonoured),
        (401, "", NotHonoured),
        (400, "Throttling", Unanswered),
        (403, "Throttling", Unanswered),
        (400, "ThrottlingException", Unanswered),
        (403, "RequestLimitExceeded", Unanswered),
        (429, "SlowDown", Unanswered),
        (429, "TooManyRequests", Unanswered),
        (503, "SlowDown", Unanswered),
        (500, "InternalFailure", Unanswered),
        (501, "NotImplemented", TargetFailed),
        (403, "OptInRequired", TargetFailed),
        (403, "RegionDisabledException", TargetFailed),
        (302, "", TargetFailed),
        (400, "ValidationError", TargetFailed),
    ],
)
def test_an_answer_is_told_apart_by_its_code_and_else_by_its_status(status: int, code: str, kind: type[TargetFailed]):
    assert type(refusal(_answer(status, code), "IAM", "iam:ListAccessKeys")) is kind


@pytest.mark.parametrize(
    "message", ["Signature expired: 20260101T000000Z is now earlier than 20260102T000000Z", "Signature not yet current"]
)
def test_a_signature_of_another_time_is_the_clocks_fault_and_not_the_secrets(message: str):
    found = refusal(_answer(403, "SignatureDoesNotMatch", message), "STS", "sts:GetCallerIdentity")
    assert type(found) is CannotTell
    assert type(refusal(_answer(403, "RequestTimeTooSkewed"), "S3", "s3:PutObject")) is CannotTell


def test_a_refusal_whose_code_stands_at_the_top_is_read_too():
    """SeaweedFS answers so, and botocore then knows no `Error`."""
    answer = {"Code": "InvalidAccessKeyId", "Message": "no such key", "ResponseMetadata": {"HTTPStatusCode": 403}}
    found = refusal(answer, "STS", "sts:GetCallerIdentity")
    assert type(found) is NotHonoured
    assert found.message == "AWS STS does not take the key: InvalidAccessKeyId: no such key"


def test_an_answer_that_says_nothing_at_all_is_a_failure_of_the_target():
    assert type(refusal({}, "IAM", "iam:GetUser")) is TargetFailed


def test_a_missing_right_is_named_and_nothing_of_who_lacks_it():
    message = "User: arn:aws:sts::210987654321:assumed-role/Admin/wren is not authorized to perform: iam:GetUser"
    assert refusal(_answer(403, "AccessDenied", message), "IAM", "iam:GetUser").message == (
        "AWS IAM does not allow iam:GetUser"
    )


def test_no_arn_and_no_account_number_is_repeated():
    message = "User arn:aws:iam::210987654321:user/wren of account 210987654321\n is \x1b]0;unwell"
    said = refusals.said_by(_answer(400, "ValidationError", message))
    assert said.startswith("ValidationError: User ... of account ... ")
    assert said.isprintable(), "nor can a server's words command a terminal"


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("s3:ListObjectVersions", "s3:ListBucketVersions"),
        ("s3:PutBucketEncryption", "s3:PutEncryptionConfiguration"),
        ("s3control:GetPublicAccessBlock", "s3:GetAccountPublicAccessBlock"),
        ("s3:GetBucketPolicy", "s3:GetBucketPolicy"),
    ],
)
def test_what_is_not_allowed_is_named_as_a_policy_has_to_name_it(operation, action):
    assert refusal(_answer(403, "AccessDenied"), "S3", operation).message == f"AWS S3 does not allow {action}"
