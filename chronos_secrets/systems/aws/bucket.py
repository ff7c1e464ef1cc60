"""S3: the settings of one bucket."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from chronos_secrets.systems.aws.clients import Clients
from chronos_secrets.systems.aws.refusals import Unanswered, code_of

Document = dict[str, object]

_FIRST_REGION = "us-east-1"  # the one that S3 does not name
_OLD_NAMES = {None: _FIRST_REGION, "": _FIRST_REGION, "EU": "eu-west-1"}


class Rules(NamedTuple):
    """A lifecycle: its rules as S3 has them, and its TransitionDefaultMinimumObjectSize ("" where none is told)."""

    rules: tuple[Document, ...]
    smallest: str


class Bucket:
    """One bucket as an administrator sees it. Every request names the account that must own it.

    A setting that was never made is empty. Every method raises what `Clients.failures` and `refusals.refusal` tell
    apart: Gone where there is no such bucket; Forbidden also where another account owns it; SignInNeeded, Away, ...
    """

    def __init__(self, admin: Clients, name: str, account: str) -> None:
        self._admin, self.name = admin, name
        self._where = {"Bucket": name, "ExpectedBucketOwner": account}

    def create(self, region: str) -> None:
        """Create the bucket, private from its first moment. One that is ours already is left as it is."""
        there = {} if region == _FIRST_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with self._admin.failures("s3", "CreateBucket"):
            s3 = self._admin.client("s3")
            self._unless(
                "BucketAlreadyOwnedByYou",
                lambda: s3.create_bucket(Bucket=self.name, ObjectOwnership="BucketOwnerEnforced", **there),
            )

    def region(self) -> str:
        """Where the bucket is."""
        told = self._read("GetBucketLocation", lambda s3: s3.get_bucket_location).get("LocationConstraint")
        return _OLD_NAMES.get(told) or str(told)

    def public_access(self) -> dict[str, bool]:
        """What of public access is blocked."""
        found = self._read(
            "GetPublicAccessBlock", lambda s3: s3.get_public_access_block, "NoSuchPublicAccessBlockConfiguration"
        )
        return dict(found.get("PublicAccessBlockConfiguration", {}))

    def block_public_access(self, blocked: Mapping[str, bool]) -> None:
        self._write(
            "PutPublicAccessBlock", lambda s3: s3.put_public_access_block, PublicAccessBlockConfiguration=dict(blocked)
        )

    def ownership(self) -> str | None:
        """Who owns what others write: ACLs count for nothing with BucketOwnerEnforced."""
        found = self._read(
            "GetBucketOwnershipControls", lambda s3: s3.get_bucket_ownership_controls, "OwnershipControlsNotFoundError"
        )
        rules = found.get("OwnershipControls", {}).get("Rules", [])
        return str(rules[0].get("ObjectOwnership")) if rules else None

    def own(self, ownership: str) -> None:
        controls = {"Rules": [{"ObjectOwnership": ownership}]}
        self._write(
            "PutBucketOwnershipControls", lambda s3: s3.put_bucket_ownership_controls, OwnershipControls=controls
        )

    def encryption(self) -> str | None:
        """The algorithm with which objects are encrypted by default: AES256 is SSE-S3."""
        found = self._read(
            "GetBucketEncryption",
            lambda s3: s3.get_bucket_encryption,
            "ServerSideEncryptionConfigurationNotFoundError",
        )
        rules = found.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
        default = rules[0].get("ApplyServerSideEncryptionByDefault", {}) if rules else {}
        return default.get("SSEAlgorithm")

    def encrypt(self, algorithm: str) -> None:
        rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}]}
        self._write("PutBucketEncryption", lambda s3: s3.put_bucket_encryption, ServerSideEncryptionConfiguration=rules)

    def versioning(self) -> str | None:
        """Enabled, Suspended, or None where it never was."""
        told = self._read("GetBucketVersioning", lambda s3: s3.get_bucket_versioning).get("Status")
        return str(told) if told else None

    def set_versioning(self, status: str) -> None:
        self._write(
            "PutBucketVersioning", lambda s3: s3.put_bucket_versioning, VersioningConfiguration={"Status": status}
        )

    def policy(self) -> Document | None:
        """The bucket's policy."""
        text = self._read("GetBucketPolicy", lambda s3: s3.get_bucket_policy, "NoSuchBucketPolicy").get("Policy")
        if not text:
            return None
        try:
            found = json.loads(text)
        except ValueError as error:
            raise Unanswered("AWS S3 does not give the bucket's policy as JSON") from error
        return dict(found)

    def set_policy(self, policy: Document) -> None:
        self._write("PutBucketPolicy", lambda s3: s3.put_bucket_policy, Policy=json.dumps(policy))

    def lifecycle(self) -> Rules:
        """When objects move or go."""
        found = self._read(
            "GetBucketLifecycleConfiguration",
            lambda s3: s3.get_bucket_lifecycle_configuration,
            "NoSuchLifecycleConfiguration",
        )
        return Rules(tuple(found.get("Rules", [])), str(found.get("TransitionDefaultMinimumObjectSize", "")))

    def set_lifecycle(self, lifecycle: Document, smallest: str) -> None:
        """Replace the whole lifecycle: S3 knows no smaller change. `smallest` as in `Rules`."""
        if not lifecycle["Rules"]:  # S3 takes no empty one
            self._write("DeleteBucketLifecycle", lambda s3: s3.delete_bucket_lifecycle)
            return
        self._write(
            "PutBucketLifecycleConfiguration", lambda s3: s3.put_bucket_lifecycle_configuration,
            LifecycleConfiguration=lifecycle, TransitionDefaultMinimumObjectSize=smallest,
        )  # fmt: skip

    def _read(self, operation: str, method: Callable[[Any], Callable[..., Any]], absent: str = "") -> dict[str, Any]:
        """What S3 answers; nothing where it answers that the setting, `absent`, was never made."""
        with self._admin.failures("s3", operation):
            ask = method(self._admin.client("s3"))
            return self._unless(absent, lambda: ask(**self._where))

    def _write(self, operation: str, method: Callable[[Any], Callable[..., Any]], **setting: object) -> None:
        with self._admin.translated("s3", operation) as s3:
            method(s3)(**self._where, **setting)

    @staticmethod
    def _unless(code: str, ask: Callable[[], Any]) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        try:
            return dict(ask())
        except ClientError as error:
            if code and code_of(error.response) == code:
                return {}
            raise
