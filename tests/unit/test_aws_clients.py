"""How the person who administers gets valid credentials of AWS again."""

import os
from pathlib import Path

import pytest

from chronos_secrets.systems.aws import clients


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
