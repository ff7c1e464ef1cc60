"""`check --live`: is each credential taken where it is honoured? Nothing is changed there.

What a pushed change to the inventory could turn this against is bounded by the doors: AWS and SSH get signatures,
PostgreSQL a SCRAM proof, and a token goes to Atlassian's cloud alone.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from chronos_secrets.errors import ChronosError, EntryMissing, Exit, TargetFailed
from chronos_secrets.inventory.model import LOCAL, Credential, Inventory
from chronos_secrets.render.values import Values
from chronos_secrets.rotation import reach
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import CannotTell, NotHonoured

WORKS, REFUSED, AWAY, UNTRIED = "works", "refused", "away", "untried"


class Tried(NamedTuple):
    """How one credential fared: `result` is works, refused, away (the target is) or untried. Never a value."""

    credential: str
    result: str
    message: str
    fix: str | None


class Aws(NamedTuple):
    """How this machine asks AWS: by another address than the inventory's, and with certificates of its own."""

    endpoint: str | None = None
    ca_bundle: str | None = None


class Case(NamedTuple):
    """What a credential is tried with."""

    inventory: Inventory
    row: Credential
    values: Values
    aws: Aws

    def value(self, field: str) -> Secret:
        """A field of the credential. Raises EntryMissing."""
        return self.values.value(self.row.id, field)


Way = Callable[[Case], str]
"""Tries one credential and says where it works. Raises NotHonoured, CannotTell, TargetFailed, EntryMissing."""


def triable(inventory: Inventory) -> dict[str, Way]:
    """The credentials of which a target could be asked, and how; all others can be tried by nobody but a person."""
    found = {}
    for row in inventory.credentials.values():
        check = row.target.check if row.target else None
        way = _CHECKS[check] if check else _WAYS.get(row.kind)
        if way is not None:
            found[row.id] = way
    return found


def hosts(inventory: Inventory) -> tuple[str, ...]:
    """The ids of the hosts that are asked."""
    rows = [inventory.credentials[each] for each in triable(inventory)]
    found = [row.target.host for row in rows if row.kind == "ssh-key" and row.target and row.target.host]
    if inventory.postgres and any(row.kind == "postgres-password" for row in rows):
        found.append(inventory.postgres.host)
    return tuple(dict.fromkeys(each for each in found if each != LOCAL))


def try_each(inventory: Inventory, values: Values, aws: Aws) -> Iterator[Tried]:
    """Try one credential after the other; each may take half a minute where its target is away."""
    for credential, way in triable(inventory).items():
        try:
            worked = way(Case(inventory, inventory.credentials[credential], values, aws))
            yield Tried(credential, WORKS, worked, None)
        except (TargetFailed, EntryMissing) as error:
            yield Tried(credential, _result(error), error.message, error.hint)


def status(tried: Iterable[Tried]) -> Exit:
    """The exit status: a refusal is an answer, and says more than a target that is away."""
    results = {each.result for each in tried}
    return Exit.NO if REFUSED in results else Exit.TARGET if AWAY in results else Exit.OK


def _result(error: ChronosError) -> str:
    if isinstance(error, NotHonoured):
        return REFUSED
    return UNTRIED if isinstance(error, CannotTell | EntryMissing) else AWAY


def _access_key(case: Case) -> str:
    from chronos_secrets.systems import aws

    cloud, target = case.inventory.cloud, case.row.target
    if cloud is None:
        raise CannotTell("the inventory has no section cloud, which says where AWS is asked")
    key = case.value("access_key_id"), case.value("secret_access_key")
    endpoint = case.aws.endpoint or cloud.api
    caller = aws.caller(*key, region=cloud.region, endpoint=endpoint, ca_bundle=case.aws.ca_bundle)
    if target is not None and target.iam_user and caller.user != target.iam_user:
        raise NotHonoured(f"the key is one of {caller.user or 'no IAM user'}, not of {target.iam_user}")
    with contextlib.suppress(EntryMissing):
        account = case.values.value_or_empty(cloud.account.credential, cloud.account.field)
        if account and account != Secret(caller.account):
            raise NotHonoured(f"the key is of another account than {cloud.account.credential} says")
    return f"AWS takes it for {caller.user or 'no IAM user'}"


def _password(case: Case) -> str:
    from chronos_secrets.systems import postgres

    section = case.inventory.postgres
    if section is None:
        raise CannotTell("the inventory has no section postgres, which says where the database is")
    user, password = case.value("username"), case.value("password")
    with reach.database(case.inventory, section) as (host, port):
        postgres.try_login(postgres.Login(host, port, section.database, user, password))
    return f"the database {section.database} lets it in"


def _ssh_key(case: Case) -> str:
    from chronos_secrets.systems import logins

    target = case.row.target
    host = case.inventory.hosts.get(target.host) if target and target.host else None
    if host is None or host.ssh is None:
        raise CannotTell("its target names no host that is reached by ssh")
    logins.try_key(host.ssh, case.value("private_key"))
    return f"{host.ssh} lets it in"


def _token(case: Case) -> str:
    from chronos_secrets.systems import atlassian

    site = atlassian.try_token(case.value("url"), case.value("username"), case.value(case.row.primary))
    return f"{site} takes it"


_WAYS: dict[str, Way] = {"aws-access-key": _access_key, "postgres-password": _password, "ssh-key": _ssh_key}
_CHECKS: dict[str, Way] = {"atlassian": _token}
