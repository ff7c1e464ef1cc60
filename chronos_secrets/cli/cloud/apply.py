"""`cloud apply`: make the bucket and its users what the inventory says."""

from collections.abc import Sequence

import click

from chronos_secrets.cli import memory, output, prompts
from chronos_secrets.cli.cloud.plan import Looked, look, require_known, show
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.cloud import steps
from chronos_secrets.cloud.steps import Done, Step, Unknown
from chronos_secrets.errors import Exit, Incomplete, Refused, TargetFailed
from chronos_secrets.report import cloud as report
from chronos_secrets.systems.aws.refusals import Forbidden

_AGAIN = "chronos-secrets cloud apply"


@click.command(short_help="Make the bucket and its users what the inventory says.")
@click.option("--yes", is_flag=True, help="Do not ask; what shortens the life of data is asked all the same.")
@click.option("--insist-deep-archive", is_flag=True, help="Let objects move where no restore can read them at once.")
@opens_vault
@with_session
def apply(session: Session, *, yes: bool, insist_deep_archive: bool) -> Exit:
    """Show what differs between the inventory and the bucket with its users, ask, and change it.

    What shortens the life of data needs the bucket's name typed, whatever --yes says. What is not ours is kept. Access
    keys are not made here, but by rotations. Running it again goes on where it was stopped.
    """
    found = look(session)
    show(session, found)
    if found.plan.steps:
        _require_insisted(found, insisted=insist_deep_archive)
        _confirm(found, yes=yes)
        _apply(session, found)
    require_known(found.plan)
    return Exit.NO if found.plan.stuck else Exit.OK


def _require_insisted(found: Looked, *, insisted: bool) -> None:
    if found.plan.deep and not insisted:
        raise Refused(
            "deep_archive would move backups where a restore waits for hours, and pgBackRest cannot ask for them; "
            "nothing was changed",
            hint=f"{_AGAIN} --insist-deep-archive    # or in inventory.yaml: deep_archive: never",
        )


def _confirm(found: Looked, *, yes: bool) -> None:
    """Raises Refused for a no, and where nobody is there whose answer is needed; TargetFailed where nobody can know
    what is answered."""
    if None in found.counted.values():
        raise TargetFailed(
            f"how much this would delete could not be counted: {found.plan.unknown[-1].error.message}; "
            "nothing was changed",
            hint=f"{_AGAIN}    # once the profile may list the versions of objects",
        )
    if found.counted:
        _require_name(found.wanted.bucket)
    elif yes:
        return
    elif not prompts.has_person():
        raise Refused("nobody is here to be asked; nothing was changed", hint=f"{_AGAIN} --yes")
    elif not click.confirm("Change this?", err=True):
        raise Refused("the answer was no; nothing was changed", hint="chronos-secrets cloud plan")


def _require_name(bucket: str) -> None:
    if not prompts.has_person():
        raise Refused(
            "this shortens the life of data: a person has to type the bucket's name; nothing was changed",
            hint=f"{_AGAIN}    # on a terminal",
        )
    if click.prompt("Type the name of the bucket to go on", default="", show_default=False, err=True) != bucket:
        raise Refused("that is not the name of the bucket; nothing was changed", hint=_AGAIN)


def _apply(session: Session, found: Looked) -> None:
    """Do it all, as far as it goes. Raises Incomplete where some is done and some is not, TargetFailed for none."""
    results: list[Done] = []
    try:
        for done in steps.apply(found.plan, _say):
            results.append(done)
            if done.is_good:
                memory.record_or_say(session, "cloud-apply", done.step.subject, {"setting": done.step.setting})
    except KeyboardInterrupt:
        number = sum(each.is_good for each in results)
        output.say(f"{number} of {len(found.plan.steps)} changes are made, the last one named above perhaps, too")
        output.say(f"to go on: {_AGAIN}")
        raise
    failed = [each for each in results if not each.is_good]
    if failed:
        raise _stopped(failed, good=[each for each in results if each.is_good], unknown=found.plan.unknown)
    for subject in dict.fromkeys(each.step.subject for each in results):
        settings = [each.step.setting for each in results if each.step.subject == subject]
        output.result(f"done: {subject}: {', '.join(settings)}")


def _say(step: Step) -> None:
    output.say(f"{step.subject}: {step.setting} ...")


def _stopped(failed: Sequence[Done], *, good: Sequence[Done], unknown: Sequence[Unknown]) -> TargetFailed | Incomplete:
    """What is left out needs a step that failed, or a setting that could not be looked at."""
    errors = [*(each.error for each in failed), *(each.error for each in unknown)]
    first = next(each for each in errors if each is not None)
    told = [f"done: {each.step.subject}: {each.step.setting}" for each in good]
    told += [f"not done: {report.outcome(each)}" for each in failed]
    kind = Incomplete if good else TargetFailed
    return kind(
        f"{len(failed)} of {len(failed) + len(good)} changes could not be made: {first.message}",
        details=told,
        hint=first.hint or (f"{_AGAIN}    # once the profile may do that" if isinstance(first, Forbidden) else _AGAIN),
    )
