"""`cloud audit`: the bucket and the user of the backups, judged by what security benchmarks ask."""

import click

from chronos_secrets.cli import output
from chronos_secrets.cli.cloud import reach
from chronos_secrets.cli.cloud.reach import Reached
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.cloud import controls, inspection, posture
from chronos_secrets.cloud.desired import partition
from chronos_secrets.cloud.inspection import Subject
from chronos_secrets.cloud.posture import Acceptance, Case, Finding, Trial, Wanted
from chronos_secrets.errors import EntryMissing, Exit
from chronos_secrets.inventory.model import Credential
from chronos_secrets.report import audit as report
from chronos_secrets.review.design import judging
from chronos_secrets.rotation.targets import whose
from chronos_secrets.systems.aws import clients as aws


@click.command(short_help="Judge the bucket and the user by what security benchmarks ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def audit(session: Session, *, as_json: bool) -> Exit:
    """Judge the bucket and the user of the backups: each control passes, fails, is accepted, or is not known.

    The controls are those of Security Hub, the CIS benchmark and Prowler, a linter of the user's policies, and what
    the user's own key may do and may not, tried with calls that change nothing. What the inventory accepts (cloud:
    accepted) counts until its day. Exit status 1 if a control fails; 7 if none fails, but AWS did not let us look.
    """
    at = reach.reached(session)
    findings = _findings(session, at)
    rows = [each for each in at.cloud.accepted if each.control.lower() not in judging.IDS]  # those are `doctor design`
    accepted = [Acceptance(each.control, each.reason, each.until) for each in rows]
    settled = posture.accept(findings, accepted, session.today)
    if as_json:
        output.document("cloud audit", report.as_json(at.cloud.bucket.name, settled))
    else:
        output.rows(report.HEADERS, [report.line(each) for each in settled], empty="there is no control")
        output.say(report.summary(settled))
    for row, exists in posture.unneeded(settled, accepted):
        output.say(output.plain(report.unneeded(row, exists=exists)))
    return posture.status(settled)


def _findings(session: Session, at: Reached) -> list[Finding]:
    subject, row = _subject(session, at), reach.credential_of(session, at.cloud.user.name)
    with reach.named(at.cloud):
        facts = inspection.look(at.clients, subject)
    bucket = f"arn:{subject.partition}:s3:::{subject.bucket}"
    wanted = Wanted(
        at.account, at.cloud.region, bucket, subject.prefixes, at.cloud.user.policy, row.id if row else None
    )
    judged = posture.judge((*controls.CONTROLS, *controls.LINTS), Case(facts, wanted, session.now()))
    return judged + posture.tried(_trials(session, at, subject, row), wanted.fill(controls.OWN))


def _subject(session: Session, at: Reached) -> Subject:
    cloud = at.cloud
    return Subject(
        bucket=cloud.bucket.name,
        user=cloud.user.name,
        prefixes=cloud.user.prefixes,
        account=at.account,
        partition=partition(cloud.region),
        amazon=reach.is_amazon(session),
    )


def _trials(session: Session, at: Reached, subject: Subject, row: Credential | None) -> list[Trial]:
    if row is None:
        return inspection.not_tried(f"no credential of the inventory has target: {{iam_user: {subject.user}}}")
    try:
        key, secret = session.values.value(row.id, whose.ID), session.values.value(row.id, whose.SECRET)
    except EntryMissing as error:
        return inspection.not_tried(error.message)
    settings = session.settings
    place = whose.place(at.cloud, endpoint=settings.aws_endpoint.value, ca_bundle=settings.ca_bundle.value)
    return inspection.trials(at.clients, aws.of_key(key, secret, place), subject)
