"""Whose access keys a credential's are, where they are honoured, and how long that may take. Pure."""

from typing import NamedTuple

from chronos_secrets.errors import Refused
from chronos_secrets.inventory.model import Cloud, Credential
from chronos_secrets.secret import Secret
from chronos_secrets.systems.aws.clients import Place

PROBES = "chronos-probe/"
"""Where in the bucket a key is proven, outside of every repository: each user has one object there, named after it."""

ID, SECRET = "access_key_id", "secret_access_key"


class Patience(NamedTuple):
    """How long IAM is waited for, in seconds. New keys were seen to take 3 to 15 s, and each service learns of them
    by itself."""

    proof: float = 120.0  # until every service takes a key, several times in a row
    first: float = 0.5  # between two tries, doubled up to `most`
    most: float = 8.0
    settle: float = 5.0  # before each look at what an unanswered request left
    looks: int = 3
    in_a_row: int = 3
    tries: int = 3  # of creating a key


PATIENT = Patience()


class Machine(NamedTuple):
    """This machine: its name as in the journal, and how AWS is reached and administered from here."""

    name: str
    place: Place
    admin_profile: str | None


class Service(NamedTuple):
    """Whose keys: an IAM user, the number of its account where the vault has it, and the bucket that it writes to.

    `bucket` is None for a user that has nothing to do with the bucket of the inventory.
    """

    user: str
    account: Secret | None
    bucket: str | None
    prefixes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"IAM user {self.user}"

    @property
    def probe(self) -> str:
        """The object in the bucket by which a key is proven. Raises Refused where the user may not write it."""
        name = PROBES + self.user
        if self.bucket and not name.startswith(self.prefixes):
            raise Refused(
                f"the inventory lets {self.name} write nowhere that a key could be proven",
                hint=f"in inventory.yaml: cloud: user: prefixes: add {PROBES} (and allow it in the user's policy)",
            )
        return name


def place(cloud: Cloud, *, endpoint: str | None = None, ca_bundle: str | None = None) -> Place:
    """Where the inventory's AWS is; a URL that this machine's settings name comes first."""
    return Place(cloud.region, endpoint or cloud.api, ca_bundle)


def service(row: Credential, cloud: Cloud, account: Secret | None) -> Service:
    """Whose keys a credential's are. Raises Refused where the inventory does not say."""
    user = row.target.iam_user if row.target else None
    if user is None:
        raise Refused(
            f"the inventory does not say which IAM user has the key {row.id}",
            hint=f"in inventory.yaml, at {row.id}: target: {{iam_user: NAME}}",
        )
    if user != cloud.user.name:
        return Service(user, account, None)
    return Service(user, account, cloud.bucket.name, cloud.user.prefixes)
