"""`rotate`: replace credentials where they are honoured, without an outage."""

import shutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from chronos_secrets.cli import choices, memory, output, prompts, rotatable, rotating
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.rotatable import Job, Wish
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import ChronosError, Exit, Refused
from chronos_secrets.inventory.model import Credential
from chronos_secrets.report import rotation as report
from chronos_secrets.review import rotations
from chronos_secrets.review.rotations import Stop
from chronos_secrets.rotation.journal import Phase

if TYPE_CHECKING:  # a daily timer mostly does nothing, and then does without
    from chronos_secrets.rotation.engine import Engine, Outcome

_SUBCOMMAND = "chronos_secrets.rotate"


class _Rotate(click.Group):
    """A group that takes names of its own: `rotate status` is a command, `rotate jira-token` is not."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_SUBCOMMAND] = args[:1] and args[0] in self.commands
        ctx.allow_interspersed_args = not ctx.meta[_SUBCOMMAND]
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Without the names where a subcommand follows, which they would swallow."""
        found = super().get_params(ctx)
        return [each for each in found if not (ctx.meta.get(_SUBCOMMAND) and isinstance(each, click.Argument))]


class Result(NamedTuple):
    """How one credential fared: what came of its rotation, or what stopped it; neither where nothing was done."""

    row: Credential
    words: str
    outcome: "Outcome | None" = None
    error: ChronosError | None = None

    @property
    def exit(self) -> Exit:
        if self.error is not None:
            return self.error.exit
        return self.outcome.exit if self.outcome else Exit.OK


@click.group(cls=_Rotate, invoke_without_command=True, no_args_is_help=True, subcommand_metavar="| COMMAND")
@click.argument("names", metavar="NAME...", nargs=-1, shell_complete=choices.rotatable)
@click.option("--due", "due", is_flag=True, help="Every credential that is due, or whose rotation is under way.")
@click.option("--now", "unasked", is_flag=True, help="Also what is not due, as after a suspected leak.")
@click.option("--dry-run", is_flag=True, help="Print the steps with their days; change nothing.")
@click.option("--yes", is_flag=True, help="Go on without a question, as a script does.")
@click.option("--confirm-unused", is_flag=True, help="Nothing uses the old secret any more, where nobody can tell.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def rotate(
    session: Session, names: tuple[str, ...] = (), *, due: bool, unasked: bool, dry_run: bool, yes: bool,
    confirm_unused: bool, as_json: bool,
) -> Exit:  # fmt: skip
    """Replace credentials where they are honoured. Run it again: it goes on from wherever it stopped.

    NAME is a credential's id, or aws-keys, postgres, ssh-keys, tokens. What is neither due nor under way is left alone.
    A new secret is stored before it is used, proven before it is current, delivered before the old one ends. Made for a
    daily timer, where config.toml says rotate_here = true.
    """
    if click.get_current_context().invoked_subcommand:
        return Exit.OK
    rows = rotatable.chosen(session.inventory, names, due=due)
    named = frozenset(names) & frozenset(session.inventory.credentials)
    wish = Wish(named, unasked, yes, confirm_unused)
    if dry_run:
        return _show_plans(session, rotatable.jobs(session, rows, wish._replace(yes=True)), as_json=as_json)
    if not yes:
        rotating.require_unasked(session)
    rotating.require_trusted(session, rows, named=named)
    with rotating.only_one(session):
        results = _rotate(session, rotatable.jobs(session, rows, wish), wish, quiet=as_json)
    return _show(results, as_json=as_json)


@rotate.command(short_help="Say how far each rotation is, and what comes next.")
@click.option("--unlock", is_flag=True, help="Open the vault, instead of going by what was last seen in it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def status(session: Session, *, unlock: bool, as_json: bool) -> None:
    """Say how far each rotation is, and what comes next. Needs no password."""
    if unlock or session.password_given:
        session.vault  # noqa: B018  opening it refreshes what is remembered
    rows = rotations.rows(session.inventory, memory.dates(session), rotating.stops(session), session.today)
    if as_json:
        output.document("rotate status", {"rotations": [report.json_row(row) for row in rows]})
        return
    lines = [(row.id, str(row.standing.due or "-"), output.plain(report.standing(row))) for row in rows]
    output.rows(("CREDENTIAL", "NEXT", "WHERE IT STANDS"), lines, empty="the inventory has nothing that can be rotated")


@rotate.command(short_help="Go back to the old secret, until it is deleted.")
@click.argument("name", metavar="NAME", shell_complete=choices.credentials)
@click.option("--yes", is_flag=True, help="Go on without a question, as a script does.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def rollback(session: Session, name: str, *, yes: bool, as_json: bool) -> Exit:
    """Go back to the old secret, until it is deleted.

    It is honoured, proven, current and delivered again; then the new one is removed.
    """
    return _undo(session, name, "rollback", yes=yes, as_json=as_json)


@rotate.command(short_help="Give up a rotation that nothing uses yet.")
@click.argument("name", metavar="NAME", shell_complete=choices.credentials)
@click.option("--yes", is_flag=True, help="Go on without a question, as a script does.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def abandon(session: Session, name: str, *, yes: bool, as_json: bool) -> Exit:
    """Give up a rotation whose new secret is not in use.

    It is discarded, also where it is honoured.
    """
    return _undo(session, name, "abandon", yes=yes, as_json=as_json)


# --- doing it ---------------------------------------------------------------------------------------------------------


def _rotate(session: Session, jobs: Sequence[Job], wish: Wish, *, quiet: bool) -> list[Result]:
    """Do each after the other; one that fails does not stop the others."""
    several = len(jobs) > 1
    made = [_with_engine(session, job, wish, several=several) for job in jobs]
    acting = [(job, engine) for job, engine in made if engine is not None]
    if acting and not wish.yes and prompts.has_person():
        _ask([line for job, engine in acting for line in _plan(session, job.row, engine)])
    results = []
    for job, engine in made:
        result = Result(job.row, job.rests, error=job.error) if engine is None else _run(session, job, engine)
        if result.error is not None and several and not quiet:
            result.error.message = f"{result.row.id}: {result.error.message}"
            output.failure(result.error, as_json=False)
        results.append(result)
    return results


def _with_engine(session: Session, job: Job, wish: Wish, *, several: bool) -> "tuple[Job, Engine | None]":
    if not job.acts:
        return job, None
    try:
        made = rotating.engine(
            session, job.row, confirm_unused=wish.confirm_unused, say=_speaker(job.row.id if several else "")
        )
        made.journal()  # one that is damaged is said here
    except ChronosError as error:
        return job._replace(error=error), None
    return job, made


def _run(session: Session, job: Job, engine: "Engine") -> Result:
    def act() -> "Outcome":
        if job.is_early:
            rotating.rehearse(session, job.row)
        return engine.begin() if job.begins else engine.advance()

    return _carried_out(session, job.row, engine, act)


def _carried_out(session: Session, row: Credential, engine: "Engine", act: "Callable[[], Outcome]") -> Result:
    """Let the engine run, and remember what stopped it. Whatever that is, running it again goes on."""
    try:
        outcome = act()
    except ChronosError as error:
        rotating.remember_stop(session, row.id, Stop(session.now(), error.message, rotating.first_of(error)))
        return Result(row, error.message, error=error)
    except KeyboardInterrupt:
        output.say(f"stopped; to go on from there: chronos-secrets rotate {row.id}")
        raise
    stopped = Stop(session.now(), outcome.waiting) if outcome.exit else None
    rotating.remember_stop(session, row.id, stopped)
    journal = engine.journal()
    return Result(row, _words(outcome, back=journal is not None and journal.rolled_back), outcome)


def _undo(session: Session, name: str, how: str, *, yes: bool, as_json: bool) -> Exit:
    row = rotatable.require_rotatable(session.inventory, name)
    if not yes:
        rotating.require_unasked(session)
    rotating.require_trusted(session, [row], named=[name])
    with rotating.only_one(session):
        session.vault  # noqa: B018  asked for before anything else is said
        rotatable.require_own_entry(session.inventory, row)
        engine = rotating.engine(session, row, confirm_unused=False, say=_speaker(""))
        act, journal = engine.rollback if how == "rollback" else engine.abandon, engine.journal()
        if not (journal and journal.under_way):
            act()  # raises why not: there is nothing to be asked about, and nothing that stopped
        if not yes and prompts.has_person():
            _ask(_undo_lines(session, row, how))
        result = _carried_out(session, row, engine, act)
    return _show([result], as_json=as_json)


def _ask(lines: Sequence[str]) -> None:
    """Show what would be done and ask once. Raises Refused for a no."""
    output.say("\n".join(output.plain(line) for line in lines))
    if not click.confirm("Go on?", err=True):
        raise Refused("nobody agreed; nothing was changed", hint="chronos-secrets rotate status")


def _speaker(credential: str) -> Callable[[str], None]:
    """Says what happens, of which credential where that is not plain."""
    before = f"{credential}: " if credential else ""
    return lambda words: output.say(output.plain(before + words))


# --- words ------------------------------------------------------------------------------------------------------------


def _words(outcome: "Outcome", *, back: bool) -> str:
    if outcome.waiting:
        return outcome.waiting
    if outcome.phase is not Phase.DONE:
        return "no rotation is under way"
    if back:
        return "the old secret stays, and the new one is gone"
    if outcome.outage is None:
        return "rotated, and the old secret is gone"
    seconds = f"{outcome.outage.total_seconds():.1f} s"
    return f"rotated, and the old secret is gone; whoever still had the old one was refused for at most {seconds}"


def _plan(session: Session, row: Credential, engine: "Engine") -> list[str]:
    width = shutil.get_terminal_size((80, 24)).columns
    return report.plan(row, engine.plan(), session.today, width=width)


def _undo_lines(session: Session, row: Credential, how: str) -> list[str]:
    users = ", ".join(rotations.users(session.inventory, row.id))
    if how == "abandon":
        return [f"{row.id}: the new secret is discarded, in the vault and where it is honoured; the old one stays"]
    delivered = f", is delivered to {users}" if users else ""
    return [f"{row.id}: the old secret becomes the current one again{delivered}, and the new one is removed"]


def _show(results: Sequence[Result], *, as_json: bool) -> Exit:
    """One line each, and the worst exit status. The error of a single one is raised."""
    if len(results) == 1 and results[0].error is not None:
        raise results[0].error
    if as_json:
        output.document("rotate", {"rotations": [report.json_result(each) for each in results]})
    for each in results if not as_json else ():
        if each.error is None:
            output.result(output.plain(f"{each.row.id}: {each.words}"))
        if each.outcome and each.outcome.hint:
            output.say(f"hint: {each.outcome.hint}")
    if not results:
        output.say("the inventory has none of that kind")
    return max((each.exit for each in results), default=Exit.OK)


def _show_plans(session: Session, jobs: Sequence[Job], *, as_json: bool) -> Exit:
    """What would be done; nothing is."""
    if len(jobs) == 1 and jobs[0].error is not None:
        raise jobs[0].error
    told = []
    shown = [each._replace(rests="") if each.rests and each.under_way else each for each in jobs]
    for job, engine in (_with_engine(session, each, Wish(), several=False) for each in shown):
        if job.error is not None and len(jobs) == 1:
            raise job.error
        steps = engine.plan() if engine else []
        words = job.error.message if job.error else job.rests
        told.append({"id": job.row.id, "message": words or None, "steps": [report.json_step(step) for step in steps]})
        if not as_json:
            lines = _plan(session, job.row, engine) if engine else [f"{job.row.id}: {words}"]
            output.result("\n".join(output.plain(line) for line in lines))
    if as_json:
        output.document("rotate", {"plan": told})
    return Exit.OK
