"""Who asks AWS in the commands of `cloud`: the person who administers, in the account that the vault names."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from chronos_secrets.cli import trust
from chronos_secrets.cli.session import Session
from chronos_secrets.cloud import desired
from chronos_secrets.cloud.desired import Desired
from chronos_secrets.errors import EntryMissing, Refused
from chronos_secrets.inventory.model import Cloud, Credential, PgBackRest
from chronos_secrets.review.design import retention
from chronos_secrets.rotation.targets import whose
from chronos_secrets.secret import Secret
from chronos_secrets.systems.aws import clients as aws
from chronos_secrets.systems.aws import sts
from chronos_secrets.systems.aws.refusals import Forbidden, Gone


class Reached(NamedTuple):
    """The section `cloud`, and the admin session in it. `account` is the number of the account, as STS says it."""

    cloud: Cloud
    clients: aws.Clients
    account: str


def section(session: Session) -> Cloud:
    """The inventory's section `cloud`. Raises Refused where there is none."""
    cloud = session.inventory.cloud
    if cloud is None:
        raise Refused(
            "the inventory has no section cloud, which says where the backups are stored",
            hint="docs/inventory.md, section cloud",
        )
    return cloud


def reached(session: Session) -> Reached:
    """The admin session, of which STS was asked. The vault is opened after that, for the number of the account.

    Raises Refused for what is not accepted on this machine, and where the account is another one than the vault says;
    SignInNeeded before anybody types a password; and what else `sts.whose` and the vault raise.
    """
    cloud = section(session)
    trust.require(session, sections=["cloud"])
    settings = session.settings
    place = whose.place(cloud, endpoint=settings.aws_endpoint.value, ca_bundle=settings.ca_bundle.value)
    asker = aws.of_profile(settings.admin_profile.value, place)
    account = sts.whose(asker).account
    expected = None
    with contextlib.suppress(EntryMissing):  # without its number nothing is compared, as in `check --live`
        expected = session.values.value_or_empty(cloud.account.credential, cloud.account.field)
    if expected and expected != Secret(account):
        raise Refused(
            f"{asker.who} is of another AWS account than the vault says; nothing was changed",
            hint=f"chronos-secrets get {cloud.account.credential} --field {cloud.account.field}",
        )
    return Reached(cloud, asker, account)


def is_amazon(session: Session) -> bool:
    """Whether Amazon is asked: neither the inventory nor this machine's settings name another address."""
    return session.settings.aws_endpoint.value is None


@contextlib.contextmanager
def named(cloud: Cloud) -> Iterator[None]:
    """For the block, whoever says that the bucket is not there, or not for us, says which one."""
    name = cloud.bucket.name
    try:
        yield
    except Gone as error:
        raise Gone(f"there is no bucket {name}", hint="chronos-secrets cloud plan") from error
    except Forbidden as error:
        raise Forbidden(f"bucket {name}: {error.message}", hint=not_ours(f"bucket {name}")) from error


def not_ours(bucket: str) -> str:
    """What to do where nothing of a bucket may be known."""
    return f"give the profile that right, or choose another name: {bucket} may be another account's"


def credential_of(session: Session, user: str) -> Credential | None:
    """The credential that holds the key of an IAM user."""
    rows = session.inventory.credentials.values()
    return next((each for each in rows if each.target is not None and each.target.iam_user == user), None)


def wanted(session: Session) -> Desired:
    """What the inventory says that the bucket and its users should be. Raises Refused where that must not be."""
    cloud, backups = section(session), session.inventory.pgbackrest
    rows = [(cloud.user, True), *([(cloud.drill_user, False)] if cloud.drill_user else [])]
    found = Desired(
        cloud.bucket.name,
        cloud.region,
        amazon=is_amazon(session),
        versioning=cloud.bucket.versioning,
        tls_only=cloud.bucket.tls_only,
        lifecycle=desired.Lifecycle(*cloud.lifecycle) if cloud.lifecycle else None,
        users=tuple(desired.User(row.name, row.policy, row.prefixes, writes) for row, writes in rows),
        kept_days=_kept_days(backups) if backups else None,
    )
    if faults := desired.faults(found):
        raise Refused(
            "the lifecycle of the inventory's bucket must not be as it is written there",
            details=faults,
            hint=f"edit {session.inventory.path}, section cloud, lifecycle",
        )
    return found


def _kept_days(backups: PgBackRest) -> int:
    """How long pgBackRest needs what it stores."""
    lines = [backups.schedule.full] if backups.schedule else []
    return desired.kept_days(backups.repo.retention_full, retention.firing(lines))
