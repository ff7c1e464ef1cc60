"""A project whose bucket and users are on a server that plays AWS: how `cloud` is met."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.clouds import Cloud
from tests.support.commands import Aviary, Done, Terminal, argv

# moto keeps no filter by size, so what is written here moves objects of all sizes
SECTION = """\
cloud:
  provider: aws
  region: ca-central-1
  endpoint: HOST
  account: {credential: root, field: account_id}
  admin_profile: admin
  user: {name: USER, policy: USER-access, prefixes: [backups/, chronos-probe/]}
  bucket: {name: BUCKET}
  lifecycle: {glacier_ir: 30 days, expire: 365 days, min_size: 1 B}
"""
_ROOT = """\
  root: {kind: account, title: Root, entry: AWS/Root, never: "a toy", fields: {account_id: "attr:AWS Account ID"}}
"""
AMAZON = "s3.ca-central-1.amazonaws.com"


class Birdhouse(Aviary):
    """An aviary with a section `cloud`, whose bucket and user are not there yet."""

    def __init__(
        self, folder: Path, server: Cloud, *, url: str = "", host: str = AMAZON, user: str = "", bucket: str = ""
    ) -> None:
        """`url` is where AWS is asked, if not at the server; `host` is what the inventory has as its endpoint."""
        super().__init__(folder)
        self.server = server
        number = folder.stat().st_ino
        self.user, self.bucket = user or f"writer-{number}", bucket or f"birds-{number}"
        self.policy = f"{self.user}-access"
        text = self.inventory.read_text().replace("destinations:\n", _ROOT + "destinations:\n", 1)
        section = SECTION.replace("HOST", host).replace("USER", self.user).replace("BUCKET", self.bucket)
        self.inventory.write_text(text + section)
        self.remake_vault(root__account_id=server.account)
        server.profile("admin")
        self.at(url or server.url)

    def at(self, url: str) -> None:
        """AWS is asked there from now on."""
        config = self.home / ".config" / "chronos-secrets" / "config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        bundle = f'ca_bundle = "{self.server.certificate}"\n' if self.server.certificate else ""
        config.write_text(f'[aviary]\naws_endpoint = "{url}"\n{bundle}')

    def at_amazon(self, patch: pytest.MonkeyPatch, url: str = "") -> None:
        """AWS is asked at Amazon's own addresses from now on, in place of which the AWS tools' own variable names the
        server, or another URL."""
        (self.home / ".config" / "chronos-secrets" / "config.toml").unlink()
        patch.setenv("AWS_ENDPOINT_URL", url or self.server.url)

    def plan(self, *words: str) -> Done:
        return self.run("cloud", "plan", *words, "--password-file", self.password_file)

    def apply(self, *words: str) -> Done:
        """Without a terminal, as a script does."""
        return self.run("cloud", "apply", *words, "--password-file", self.password_file)

    def on_terminal(self, *words: str) -> Terminal:
        """`cloud apply` with a person in front of it."""
        command = argv("cloud", "apply", *words, "--password-file", self.password_file)
        return Terminal(command, folder=self.folder)

    def planned(self) -> dict[str, Any]:
        return dict(json.loads(self.plan("--json").out))

    def changes(self) -> list[str]:
        """The settings that a plan would change."""
        return [each["setting"] for each in self.planned()["changes"]]

    @property
    def s3(self) -> Any:
        return self.server.client("s3")

    @property
    def iam(self) -> Any:
        return self.server.client("iam")

    @property
    def policy_arn(self) -> str:
        return f"arn:aws:iam::{self.server.account}:policy/{self.policy}"

    def rules(self) -> dict[str, Any]:
        """The rules of the bucket's lifecycle, by id."""
        with contextlib.suppress(ClientError):
            found = self.s3.get_bucket_lifecycle_configuration(Bucket=self.bucket)["Rules"]
            return {each["ID"]: each for each in found}
        return {}

    def put_rules(self, rules: Sequence[dict[str, Any]]) -> None:
        self.s3.put_bucket_lifecycle_configuration(Bucket=self.bucket, LifecycleConfiguration={"Rules": list(rules)})

    def statements(self) -> list[dict[str, Any]]:
        found = json.loads(self.s3.get_bucket_policy(Bucket=self.bucket)["Policy"])["Statement"]
        return list(found)

    def store(self, name: str, content: bytes = b"x") -> None:
        self.s3.put_object(Bucket=self.bucket, Key=name, Body=content)
