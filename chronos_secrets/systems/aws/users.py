"""IAM: users, the groups they are in, and the policies of these. Access keys are in iam.py."""

import contextlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import unquote

from chronos_secrets.systems.aws.clients import Clients
from chronos_secrets.systems.aws.refusals import Gone, Unanswered

Document = dict[str, object]
_MOST_VERSIONS = 5  # that IAM keeps of a policy


class Found(NamedTuple):
    """What IAM has of a user: the policies that it has itself, and its groups."""

    attached: tuple[str, ...]  # names of managed policies
    inline: tuple[str, ...]
    groups: tuple[str, ...]


class Group(NamedTuple):
    """What IAM has of a group."""

    members: tuple[str, ...]
    attached: tuple[str, ...]
    inline: tuple[str, ...]


class Users:
    """Users and policies of one account, as an administrator sees them.

    What is not there is None. Every method raises what `Clients.failures` and `refusals.refusal` tell apart.
    """

    def __init__(self, admin: Clients, account: str, partition: str) -> None:
        self._admin, self._arn = admin, f"arn:{partition}:iam::{account}:policy/"

    def user(self, name: str) -> Found | None:
        try:
            with self._admin.translated("iam", "GetUser") as iam:
                iam.get_user(UserName=name)
        except Gone:
            return None
        attached = self._all("list_attached_user_policies", "AttachedPolicies", UserName=name)
        inline = self._all("list_user_policies", "PolicyNames", UserName=name)
        groups = self._all("list_groups_for_user", "Groups", UserName=name)
        return Found(_names(attached, "PolicyName"), _names(inline), _names(groups, "GroupName"))

    def create_user(self, name: str) -> None:
        """Create a user, without a key or a password."""
        self._make("CreateUser", lambda iam: iam.create_user(UserName=name))

    def group(self, name: str) -> Group | None:
        try:
            members = self._all("get_group", "Users", GroupName=name)
        except Gone:
            return None
        attached = self._all("list_attached_group_policies", "AttachedPolicies", GroupName=name)
        inline = self._all("list_group_policies", "PolicyNames", GroupName=name)
        return Group(_names(members, "UserName"), _names(attached, "PolicyName"), _names(inline))

    def create_group(self, name: str) -> None:
        self._make("CreateGroup", lambda iam: iam.create_group(GroupName=name))

    def attach_to_group(self, policy: str, group: str) -> None:
        with self._admin.translated("iam", "AttachGroupPolicy") as iam:
            iam.attach_group_policy(GroupName=group, PolicyArn=self._arn + policy)

    def add_to_group(self, user: str, group: str) -> None:
        with self._admin.translated("iam", "AddUserToGroup") as iam:
            iam.add_user_to_group(GroupName=group, UserName=user)

    def policy(self, name: str) -> Document | None:
        """The document of a customer's managed policy, in the version that holds."""
        arn = self._arn + name
        try:
            version = self._version(arn)
        except Gone:
            return None
        return self._document(arn, version)

    def create_policy(self, name: str, document: Document) -> None:
        text = json.dumps(document)
        self._make("CreatePolicy", lambda iam: iam.create_policy(PolicyName=name, PolicyDocument=text))

    def replace_policy(self, name: str, document: Document) -> None:
        """Give a policy a new version, which holds at once. Where IAM keeps no more, the oldest one goes for it."""
        arn = self._arn + name
        found = self._all("list_policy_versions", "Versions", PolicyArn=arn)
        spare = [each["VersionId"] for each in found if not each.get("IsDefaultVersion")]
        if len(found) >= _MOST_VERSIONS:
            oldest = min(spare, key=lambda version: int(version.removeprefix("v")))
            with self._admin.translated("iam", "DeletePolicyVersion") as iam:
                iam.delete_policy_version(PolicyArn=arn, VersionId=oldest)
        with self._admin.translated("iam", "CreatePolicyVersion") as iam:
            iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(document), SetAsDefault=True)

    def _version(self, arn: str) -> str:
        """The version of a managed policy that holds."""
        with self._admin.translated("iam", "GetPolicy") as iam:
            return str(iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"])

    def _document(self, arn: str, version: str) -> Document:
        with self._admin.translated("iam", "GetPolicyVersion") as iam:
            found = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        return decoded(found)

    def _all(self, method: str, key: str, **of: str) -> list[Any]:
        """All pages of a list."""
        with self._admin.translated("iam", operation(method)) as iam:
            return list(iam.get_paginator(method).paginate(**of).build_full_result().get(key, []))

    def _make(self, operation: str, ask: Callable[[Any], object]) -> None:
        """Create something; that it is there already is what was wanted, as after a lost answer."""
        with self._admin.failures("iam", operation):
            iam = self._admin.client("iam")
            with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
                ask(iam)


def _names(shown: list[Any], key: str = "") -> tuple[str, ...]:
    return tuple(str(each[key] if key else each) for each in shown)


def operation(method: str) -> str:
    """IAM's name of what a method of botocore asks."""
    return "".join(word.capitalize() for word in method.split("_"))


def decoded(found: Any) -> Document:
    """A policy as botocore hands it over: decoded, or text where it could not. Raises Unanswered."""
    try:
        return dict(json.loads(unquote(found)) if isinstance(found, str) else found)
    except (ValueError, TypeError) as error:
        raise Unanswered("AWS IAM does not give the policy as JSON") from error
