"""What SeaweedFS and moto have in common as worlds to test in: an IAM with users and keys, an STS and a bucket."""

import functools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

REGION = "ca-central-1"
PROBES = "chronos-probe/"


class Key(NamedTuple):
    """An access key as its server told it."""

    id: str
    secret: str

    def __repr__(self) -> str:
        return f"Key({self.id}, hidden)"


class Cloud:
    """A server that plays AWS. `host` is what an inventory has as `cloud.endpoint`, `url` what boto3 takes.

    `certificate` is the file by which clients know it (AWS_CA_BUNDLE); None where it speaks no TLS. `admin` may do
    anything. `account` is the account's number.
    """

    host: str
    url: str
    certificate: str | None
    account: str
    admin: Key
    region = REGION

    def client(self, service: str, key: Key | None = None) -> Any:
        """A boto3 client of "iam", "sts" or "s3" that tries once: as the administrator, or with another key."""
        who = key or self.admin
        if (service, who) not in self._clients:
            self._clients[service, who] = self._session.client(
                service, self.region, endpoint_url=self.url, verify=self.certificate or False, config=_config(),
                aws_access_key_id=who.id, aws_secret_access_key=who.secret,
            )  # fmt: skip
        return self._clients[service, who]

    @functools.cached_property
    def _session(self) -> Any:
        import boto3

        return boto3.session.Session()

    @functools.cached_property
    def _clients(self) -> dict[tuple[str, Key], Any]:
        return {}

    def bucket(self, name: str) -> None:
        """A new bucket."""
        where = {"LocationConstraint": self.region}
        self.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=where)

    def user(
        self, name: str, bucket: str, prefixes: Sequence[str] = ("var/lib/pgbackrest/", PROBES), *, writes: bool = True
    ) -> None:
        """A new user who may read, or also write and delete, below the prefixes of one bucket, and list it."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="access", PolicyDocument=policy(bucket, prefixes, writes=writes))

    def key(self, user: str) -> Key:
        """A new access key of a user."""
        made = self.client("iam").create_access_key(UserName=user)["AccessKey"]
        return Key(made["AccessKeyId"], made["SecretAccessKey"])

    def keys(self, user: str) -> dict[str, str]:
        """The keys of a user: Active or Inactive, by id."""
        found = self.client("iam").list_access_keys(UserName=user)["AccessKeyMetadata"]
        return {each["AccessKeyId"]: each["Status"] for each in found}

    def takes(self, key: Key) -> bool:
        """Whether STS takes a key now."""
        from botocore.exceptions import ClientError

        try:
            self.client("sts", key).get_caller_identity()
        except ClientError:
            return False
        return True

    def deactivate(self, user: str, key: str) -> None:
        self.client("iam").update_access_key(UserName=user, AccessKeyId=key, Status="Inactive")

    def delete(self, user: str, key: str) -> None:
        self.client("iam").delete_access_key(UserName=user, AccessKeyId=key)

    def profile(self, name: str = "admin") -> str:
        """Give this account a profile with the administrator's key, in ~/.aws; its name."""
        folder = Path(os.environ["HOME"], ".aws")
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "config").write_text(f"[profile {name}]\nregion = {self.region}\n")
        held = f"[{name}]\naws_access_key_id = {self.admin.id}\naws_secret_access_key = {self.admin.secret}\n"
        (folder / "credentials").touch(0o600)
        (folder / "credentials").write_text(held)
        return name

    def close(self) -> None:
        """End the server."""
        raise NotImplementedError


def _config() -> Any:
    from botocore.config import Config

    retries = {"total_max_attempts": 1}
    return Config(retries=retries, s3={"addressing_style": "path"}, connect_timeout=10, read_timeout=20)


def policy(bucket: str, prefixes: Sequence[str], *, writes: bool = True) -> str:
    """The policy of a service account that keeps backups below `prefixes`, or only reads them."""
    actions = ["s3:GetObject", *(("s3:PutObject", "s3:DeleteObject") if writes else ())]
    objects = [f"arn:aws:s3:::{bucket}/{prefix}*" for prefix in prefixes]
    whole = f"arn:aws:s3:::{bucket}"
    return json.dumps({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": [whole]},
            {"Effect": "Allow", "Action": actions, "Resource": objects},
        ],
    })  # fmt: skip
