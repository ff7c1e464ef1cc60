"""STS: whose credentials are these?"""

import re
from typing import NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import NotHonoured
from chronos_secrets.systems.aws import clients, refusals

_KEY_ID = re.compile(r"[A-Za-z0-9_]{16,128}")  # what the IAM API reference allows


class Caller(NamedTuple):
    """Whom AWS takes the holder of an access key for."""

    account: str
    arn: str

    @property
    def user(self) -> str | None:
        """The name of the IAM user; None for a role, a federated user or the account's root."""
        kind, slash, path = self.arn.rpartition(":")[2].partition("/")
        return path.rpartition("/")[2] if slash and kind == "user" else None


def caller(
    access_key_id: Secret,
    secret_access_key: Secret,
    *,
    region: str,
    endpoint: str | None,
    ca_bundle: str | None = None,
) -> Caller:
    """Ask STS whose key this is (GetCallerIdentity), which every valid key may do and which changes nothing.

    `endpoint` is a URL; None is AWS's own of the region, which AWS_ENDPOINT_URL_STS and ~/.aws/config may replace. The
    secret signs the request and does not travel.
    Raises NotHonoured for a key that is unknown, inactive or does not go with its secret, CannotTell, TargetFailed.
    """
    require_key_id(access_key_id)
    place = clients.Place(region, endpoint, ca_bundle)
    return whose(clients.of_key(access_key_id, secret_access_key, place))


def require_key_id(access_key_id: Secret) -> None:
    """Raises NotHonoured for what cannot be the id of a key, before anything is asked."""
    if not _KEY_ID.fullmatch(access_key_id.reveal()):
        raise NotHonoured("its access_key_id is not one: 16 letters and digits or more")


def whose(asker: clients.Clients) -> Caller:
    """Whom AWS takes `asker` for. Raises as `caller` does, and SignInNeeded for a profile."""
    try:
        with asker.translated("sts", "GetCallerIdentity") as sts:
            found = sts.get_caller_identity()
    except refusals.Forbidden as error:  # every valid key may ask this
        raise NotHonoured("AWS STS does not take the key") from error
    if not found.get("Account") or not found.get("Arn"):
        raise TargetFailed("what answers for AWS STS is not AWS STS")
    return Caller(str(found["Account"]), str(found["Arn"]))
