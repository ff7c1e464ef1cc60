"""How the person who administers gets valid credentials of AWS again, and what botocore's failures mean."""

import os
from pathlib import Path

import pytest
from botocore import exceptions
from botocore.parsers import ResponseParserError

from chronos_secrets.errors import TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems.aws import clients
from chronos_secrets.systems.aws.refusals import Away, SignInNeeded, Unanswered


@pytest.mark.parametrize(
    ("profile", "hint"),
    [
        ("sso_session = birds", "aws sso login --profile people"),
        ("login_session = arn:aws:iam::000000000000:user/wren", "aws login --profile people"),
        ("aws_access_key_id = AKIA", "aws configure --profile people"),
        ("credential_process = false", "aws configure list --profile people"),
        ("role_arn = arn:aws:iam::000000000000:role/r\nsource_profile = more", "aws sso login --profile more"),
        ("source_profile = people", "aws sso login --profile people"),
        ("region = ca-central-1", "aws sso login --profile people"),
    ],
)
def test_how_to_sign_in_again_depends_on_the_profile(profile: str, hint: str):
    aws = Path(os.environ["HOME"]) / ".aws"
    aws.mkdir()
    (aws / "config").write_text(f"[profile people]\n{profile}\n[profile more]\nsso_session = birds\n")
    assert clients._sign_in("people") == hint


def _asker(*, of_a_person: bool) -> clients.Clients:
    place = clients.Place("ca-central-1")
    return clients.of_profile("people", place) if of_a_person else clients.of_key(Secret("x"), Secret("x"), place)


@pytest.mark.parametrize(
    ("theirs", "person", "program"),
    [
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), Away, Away),
        (exceptions.ConnectTimeoutError(endpoint_url="https://x"), Away, Away),
        (exceptions.ReadTimeoutError(endpoint_url="https://x"), Unanswered, Unanswered),
        (exceptions.HTTPClientError(error="\x1b]0;a title\nof two lines"), Unanswered, Unanswered),
        (ResponseParserError("no XML"), Unanswered, Unanswered),
        (exceptions.ParamValidationError(report="a name is empty"), TargetFailed, TargetFailed),
        (exceptions.EndpointProviderError(msg="no such region"), TargetFailed, TargetFailed),
        (exceptions.InvalidRegionError(region_name="no region"), SignInNeeded, TargetFailed),
        (exceptions.MetadataRetrievalError(error_msg="\x1b]0;a title\nof two lines"), SignInNeeded, TargetFailed),
        (EOFError("EOF when reading a line"), SignInNeeded, TargetFailed),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_whatever_botocore_raises_is_told_in_one_line_and_a_person_is_sent_to_sign_in_where_that_helps(
    theirs: Exception, person: type[TargetFailed], program: type[TargetFailed]
):
    for kind, of_a_person in ((person, True), (program, False)):
        with pytest.raises(TargetFailed) as caught, _asker(of_a_person=of_a_person).failures("iam", "ListUsers"):
            raise theirs
        assert type(caught.value) is kind
        assert caught.value.message.isprintable()
        assert (caught.value.hint is None) == (kind is not SignInNeeded)
