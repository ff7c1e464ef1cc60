"""IAM: the access keys of one user."""

from datetime import datetime
from typing import Any, NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import CannotTell, NotHonoured
from chronos_secrets.systems.aws.clients import Clients
from chronos_secrets.systems.aws.refusals import Away, SignInNeeded, Unanswered


class AccessKey(NamedTuple):
    """What IAM shows of a key. `created` is None at a server that does not tell."""

    id: str
    active: bool
    created: datetime | None


class AccessKeys:
    """The access keys of one IAM user, as an administrator sees them.

    Every method raises what `Clients.failures` and `refusals.refusal` tell apart: SignInNeeded, Forbidden, Away, ...
    """

    def __init__(self, admin: Clients, user: str) -> None:
        self._admin, self._user = admin, user

    def all(self) -> tuple[AccessKey, ...]:
        """Every key that the user has. Raises Gone where there is no such user. IAM may be some seconds behind."""
        with self._admin.translated("iam", "ListAccessKeys") as iam:
            found = iam.get_paginator("list_access_keys").paginate(UserName=self._user).build_full_result()
        keys = found.get("AccessKeyMetadata", [])
        if not keys:  # SeaweedFS says so of a user that is not there, too
            with self._admin.translated("iam", "GetUser") as iam:
                iam.get_user(UserName=self._user)
        return tuple(_access_key(each) for each in keys)

    def create(self, why: str) -> tuple[Secret, Secret]:
        """Create a key, asking once: its id and its secret, which AWS shows this once. Store it before anything else.

        `why` becomes part of the user agent, which AWS's own log keeps. Raises LimitReached, and Unanswered where the
        key may have been created.
        """
        with self._admin.failures("iam", "CreateAccessKey"):
            made = self._admin.client("iam", once=why).create_access_key(UserName=self._user).get("AccessKey", {})
        if not made.get("AccessKeyId") or not made.get("SecretAccessKey"):
            raise Unanswered("AWS IAM answered without a key")
        return Secret(made["AccessKeyId"]), Secret(made["SecretAccessKey"])

    def last_use(self, key: str) -> datetime | None:
        """When a key was last used; None is never. Raises CannotTell where AWS does not know the key, or nobody tells.

        AWS may be hours behind.
        """
        try:
            with self._admin.translated("iam", "GetAccessKeyLastUsed") as iam:
                found = iam.get_access_key_last_used(AccessKeyId=key)
        except (SignInNeeded, Away, Unanswered, NotHonoured):
            raise
        except TargetFailed as error:
            raise CannotTell("AWS IAM does not tell when the key was last used") from error
        return _time(found.get("AccessKeyLastUsed", {}).get("LastUsedDate"))

    def set_active(self, key: str, active: bool) -> None:
        """Let a key be honoured, or not. Raises Gone for one that is deleted."""
        with self._admin.translated("iam", "UpdateAccessKey") as iam:
            iam.update_access_key(
                UserName=self._user, AccessKeyId=key, Status="Active" if active else "Inactive"
            )  # fmt: skip

    def delete(self, key: str) -> None:
        """Delete a key for good. Raises Gone for one that is deleted already."""
        with self._admin.translated("iam", "DeleteAccessKey") as iam:
            iam.delete_access_key(UserName=self._user, AccessKeyId=key)


def _access_key(shown: dict[str, Any]) -> AccessKey:
    return AccessKey(shown["AccessKeyId"], shown.get("Status") == "Active", _time(shown.get("CreateDate")))


def _time(told: object) -> datetime | None:
    return told if isinstance(told, datetime) else None
