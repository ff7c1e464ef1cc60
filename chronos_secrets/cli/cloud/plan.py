"""`cloud plan`: what lies between the inventory and the cloud. Everything is only read."""

import itertools
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import click

from chronos_secrets.cli import output
from chronos_secrets.cli.cloud import reach
from chronos_secrets.cli.cloud.reach import Reached
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.cloud import desired, provision
from chronos_secrets.cloud.desired import Desired
from chronos_secrets.cloud.difference import Limit
from chronos_secrets.cloud.provision import Older
from chronos_secrets.cloud.steps import Plan, Unknown
from chronos_secrets.errors import Exit, TargetFailed
from chronos_secrets.report import cloud as report
from chronos_secrets.systems.aws.bucket import Bucket
from chronos_secrets.systems.aws.iam import AccessKeys
from chronos_secrets.systems.aws.listing import versions
from chronos_secrets.systems.aws.refusals import Forbidden, Gone, SignInNeeded
from chronos_secrets.systems.aws.users import Users


class Looked(NamedTuple):
    """What was looked at, and what came of it. `counted` has the limits by which data would end that is there now;
    None is how much where that could not be counted, which is `unknown` in the plan, too."""

    at: Reached
    wanted: Desired
    plan: Plan
    counted: Mapping[Limit, Older | None]


@click.command(short_help="Show what differs from the inventory, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def plan(session: Session, *, as_json: bool) -> Exit:
    """Show what differs between the inventory and the bucket with its users, setting by setting.

    Lines with - are there and should not be; those with + should be there. What is not ours, such as other rules of the
    lifecycle, is named and kept. Exit status 1 if anything differs, 7 if a setting could not be looked at.
    """
    found = look(session)
    if as_json:
        output.document("cloud plan", report.document(found.plan, found.counted, found.at.account))
    else:
        show(session, found)
        if found.plan.steps:
            output.say("to change it: chronos-secrets cloud apply")
    require_known(found.plan)
    return Exit.NO if found.plan.steps or found.plan.stuck else Exit.OK


def look(session: Session) -> Looked:
    """Look at everything. Raises what `reach.reached` raises, Refused for what the inventory must not ask."""
    wanted = reach.wanted(session)
    at = reach.reached(session)
    bucket = Bucket(at.clients, wanted.bucket, at.account)
    users = Users(at.clients, at.account, desired.partition(wanted.region))
    found = provision.plan(wanted, bucket, users)
    try:
        return Looked(at, wanted, found, _counted(session, at, wanted, found))
    except SignInNeeded:
        raise
    except TargetFailed as error:
        unknown = Unknown(f"bucket {wanted.bucket}", "how much would be deleted", error)
        return Looked(at, wanted, found._replace(unknown=(*found.unknown, unknown)), dict.fromkeys(found.limits))


def show(session: Session, found: Looked) -> None:
    """The plan, and what it means for the data that is there."""
    for line in report.lines(found.plan, found.at.account):
        output.result(output.plain(line))
    for each, older in found.counted.items():
        output.result(f"SHORTENS THE LIFE OF DATA: {report.limit(each, older, found.wanted.versioning)}")
    if found.plan.deep:
        output.say("objects would move to Deep Archive: apply wants --insist-deep-archive for that")
    output.say(report.summary(found.plan))
    for line in _keyless(session, found):
        output.say(line)


def require_known(found: Plan) -> None:
    """Raises TargetFailed where a setting could not be looked at."""
    if found.unknown:
        first = found.unknown[0]
        raise TargetFailed(
            f"not all could be looked at: {first.setting} of {first.subject}: {first.error.message}",
            hint=first.error.hint or _next(first),
        )


def _next(unknown: Unknown) -> str:
    """Not even where a bucket is may be known: then it is likely somebody else's, who had the name first."""
    if not isinstance(unknown.error, Forbidden):
        return "run the command again in a minute"
    if unknown.setting == "region":
        return reach.not_ours(unknown.subject)
    return "the same command, once the profile may look at it"


def _counted(session: Session, at: Reached, wanted: Desired, found: Plan) -> dict[Limit, Older]:
    """What each limit would end. A bucket that holds nothing has nothing to lose."""
    if not found.limits:
        return {}
    objects = versions(at.clients, wanted.bucket, owner=at.account)
    first = next(objects, None)
    if first is None:
        return {}
    return provision.older(itertools.chain((first,), objects), found.limits, session.now())


def _keyless(session: Session, found: Looked) -> Iterator[str]:
    """Users without an access key: these belong to rotations."""
    for user in found.wanted.users:
        row = reach.credential_of(session, user.name)
        if row is not None and not _has_key(found.at, user.name):
            yield f"user {user.name} has no access key; keys are made by rotations: chronos-secrets rotate {row.id}"


def _has_key(at: Reached, user: str) -> bool:
    """True also where that cannot be told, which is not what this command is about."""
    try:
        return bool(AccessKeys(at.clients, user).all())
    except TargetFailed as error:
        return not isinstance(error, Gone)
