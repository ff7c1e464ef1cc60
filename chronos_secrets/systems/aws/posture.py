"""What an audit asks of S3 and IAM, reading only: as the administrator, and with the user's own key."""

from typing import Any, NamedTuple

from chronos_secrets.systems.aws.bucket import Bucket
from chronos_secrets.systems.aws.clients import Clients
from chronos_secrets.systems.aws.refusals import code_of
from chronos_secrets.systems.aws.users import Document, Users, decoded, operation

_ANYBODY = ("AllUsers", "AuthenticatedUsers")


class Inspected(Bucket):
    """One bucket, with those of its settings that only an audit asks for."""

    def account_block(self) -> frozenset[str]:
        """What of public access the whole account blocks."""
        account = self._where["ExpectedBucketOwner"]
        with self._admin.failures("s3control", "GetPublicAccessBlock"):
            ask = self._admin.client("s3control").get_public_access_block
            found = self._unless("NoSuchPublicAccessBlockConfiguration", lambda: ask(AccountId=account))
        return _on(found.get("PublicAccessBlockConfiguration", {}))

    def block(self) -> frozenset[str]:
        """What of public access the bucket blocks."""
        return _on(self.public_access())

    def is_public(self) -> bool:
        """Whether S3 takes the bucket's policy for public."""
        found = self._read("GetBucketPolicyStatus", lambda s3: s3.get_bucket_policy_status, "NoSuchBucketPolicy")
        return bool(found.get("PolicyStatus", {}).get("IsPublic"))

    def grants(self) -> frozenset[str]:
        """What the bucket's ACL allows to anybody: READ, WRITE, FULL_CONTROL, ..."""
        found = self._read("GetBucketAcl", lambda s3: s3.get_bucket_acl).get("Grants", [])
        return frozenset(
            str(each.get("Permission"))
            for each in found
            if str(each.get("Grantee", {}).get("URI", "")).rpartition("/")[2] in _ANYBODY
        )

    def mfa_delete(self) -> bool:
        """Whether a version is deleted with a second factor only."""
        return self._read("GetBucketVersioning", lambda s3: s3.get_bucket_versioning).get("MFADelete") == "Enabled"

    def enabled_rules(self) -> tuple[Document, ...]:
        """The rules of the lifecycle that do something."""
        return tuple(each for each in self.lifecycle().rules if each.get("Status") == "Enabled")

    def locks(self) -> bool:
        """Whether objects can be locked against deletion."""
        absent = "ObjectLockConfigurationNotFoundError"
        found = self._read("GetObjectLockConfiguration", lambda s3: s3.get_object_lock_configuration, absent)
        return bool(found.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled")

    def replicates(self) -> bool:
        """Whether a rule copies what is written to another bucket."""
        absent = "ReplicationConfigurationNotFoundError"
        found = self._read("GetBucketReplication", lambda s3: s3.get_bucket_replication, absent)
        rules = found.get("ReplicationConfiguration", {}).get("Rules", [])
        return any(each.get("Status") == "Enabled" for each in rules)

    def logs(self) -> bool:
        """Whether S3 logs the requests."""
        return "LoggingEnabled" in self._read("GetBucketLogging", lambda s3: s3.get_bucket_logging)

    def tells(self) -> bool:
        """Whether something is told of what is written."""
        ask = self._read("GetBucketNotificationConfiguration", lambda s3: s3.get_bucket_notification_configuration)
        return any(name != "ResponseMetadata" and told not in (None, []) for name, told in ask.items())


def _on(found: dict[str, Any]) -> frozenset[str]:
    return frozenset(name for name, on in found.items() if on is True)


class Policy(NamedTuple):
    """A policy that holds for a user: "inline", "attached", or "group NAME"."""

    name: str
    how: str
    document: Document


class Rights(Users):
    """What users of one account may do."""

    def of(self, user: str) -> list[Policy]:
        """All policies that hold for a user. Raises Gone where there is no such user."""
        attached = self._all("list_attached_user_policies", "AttachedPolicies", UserName=user)
        found = [Policy(each["PolicyName"], "attached", self._managed(each["PolicyArn"])) for each in attached]
        found += [
            Policy(name, "inline", self._inline("get_user_policy", UserName=user, PolicyName=name))
            for name in self._all("list_user_policies", "PolicyNames", UserName=user)
        ]
        for group in self._all("list_groups_for_user", "Groups", UserName=user):
            found += self._of_group(group["GroupName"])
        return found

    def _of_group(self, group: str) -> list[Policy]:
        how = f"group {group}"
        attached = self._all("list_attached_group_policies", "AttachedPolicies", GroupName=group)
        found = [Policy(each["PolicyName"], how, self._managed(each["PolicyArn"])) for each in attached]
        inline = self._all("list_group_policies", "PolicyNames", GroupName=group)
        return found + [
            Policy(name, how, self._inline("get_group_policy", GroupName=group, PolicyName=name)) for name in inline
        ]

    def _managed(self, arn: str) -> Document:
        """A managed policy, of this account or AWS's own, in the version that holds."""
        return self._document(arn, self._version(arn))

    def _inline(self, method: str, **of: str) -> Document:
        with self._admin.translated("iam", operation(method)) as iam:
            return decoded(getattr(iam, method)(**of)["PolicyDocument"])


def bucket_names(asker: Clients) -> list[str]:
    """All buckets of the account. Raises Forbidden for a user who may not know them."""
    with asker.translated("s3", "ListBuckets") as s3:
        return [str(each["Name"]) for each in s3.list_buckets().get("Buckets", [])]


def list_below(asker: Clients, bucket: str, prefix: str) -> None:
    """Ask for one name below a prefix. Raises Forbidden, Gone, NotHonoured, ..."""
    with asker.translated("s3", "ListObjectsV2") as s3:
        s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)


def location(asker: Clients, bucket: str) -> None:
    """Ask where a bucket is. Raises as `list_below` does."""
    with asker.translated("s3", "GetBucketLocation") as s3:
        s3.get_bucket_location(Bucket=bucket)


def list_users(asker: Clients) -> None:
    """Ask for one name of a user. Raises as `list_below` does."""
    with asker.translated("iam", "ListUsers") as iam:
        iam.list_users(MaxItems=1)


def describe_instances(asker: Clients) -> None:
    """Ask whether instances may be listed (a dry run: nothing is listed). Raises as `list_below` does."""
    with asker.failures("ec2", "DescribeInstances"):
        from botocore.exceptions import ClientError

        try:
            asker.client("ec2").describe_instances(DryRun=True)
        except ClientError as error:
            if code_of(error.response) != "DryRunOperation":  # EC2's yes
                raise
