"""What a timer of this machine runs: one of our own commands, with its end kept and, of `due`, its answer told."""

import contextlib
import hashlib
import sys

from chronos_secrets.cli import output, timing, trust
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import ChronosError, Exit, TargetFailed, UsageError
from chronos_secrets.systems import process
from chronos_secrets.systems.process import Ran
from chronos_secrets.timers import plans, record
from chronos_secrets.timers.record import Run

_TIMEOUT = 2 * 3600.0  # seconds for a command of ours: a rotation may wait for a backup to end
_LOOK_TIMEOUT = 600.0  # seconds for a look at the backups: years of them may lie in a far bucket
_NOTIFY_TIMEOUT = 120.0  # seconds for a command of notify:
_GOOD = {
    "due": (Exit.OK, Exit.NO),
    "rotate": (Exit.OK,),
    "copies": (Exit.OK, Exit.TARGET, Exit.INCOMPLETE),  # a drive that is away has a row of `due` of its own
}


def run(session: Session, name: str) -> Exit:
    """Run it, tell, and keep how it ended. Raises UsageError, Refused, TargetFailed."""
    wanted = session.inventory.timers
    timer = wanted.jobs.get(name) if wanted else None
    if timer is None:
        raise UsageError(f"the inventory has no timer '{name}'", hint="chronos-secrets schedule show")
    begun, path = session.now(), timing.record_path(session)
    before = record.load(path).runs.get(name, Run(begun))
    record.note_run(path, name, before._replace(begun=begun, ended=None))
    try:
        trust.require(session, sections=["timers"])
        program = timing.here(session).program
        if name == "due":
            _look_at_backups(session, program)
        ran = process.capture((*program, *plans.JOBS[name]), timeout=_TIMEOUT)
        _pass_on(ran)
        told = _tell(session, ran, timer.notify, before.told) if name == "due" else ""
    except ChronosError as error:
        record.note_run(path, name, Run(begun, session.now(), error.exit, error.message, before.told))
        raise
    good = ran.status in _GOOD[name]
    status = Exit.OK if good else ran.status
    record.note_run(path, name, Run(begun, session.now(), status, "" if good else _last_error(ran), told))
    return Exit(status) if status in list(Exit) else Exit.BUG


def _look_at_backups(session: Session, program: tuple[str, ...]) -> None:
    """`due` goes by what was seen last, and nobody may have looked for days. What is wrong there, it tells itself."""
    section = session.inventory.pgbackrest
    if section and section.objectives and section.objectives.full_age:
        with contextlib.suppress(TargetFailed):
            process.capture((*program, "backup", "status"), timeout=_LOOK_TIMEOUT)


def _tell(session: Session, ran: Ran, commands: tuple[tuple[str, ...], ...], before: str) -> str:
    """Hand the answer to the commands, unless it was told today; what was told last. Raises TargetFailed."""
    if ran.status == Exit.OK:
        return before
    text = ran.out if ran.status == Exit.NO else _failure(session, ran)
    mark = f"{session.today.isoformat()} {hashlib.sha256(text).hexdigest()}"
    if mark == before:
        return before
    failed: list[str] = []
    for argv in commands:
        try:
            done = process.capture(argv, stdin=text, timeout=_NOTIFY_TIMEOUT)
        except TargetFailed as error:
            failed.append(error.message)
            continue
        if done.status != 0:
            failed.append(f"{argv[0]} failed with status {done.status}")
            sys.stderr.buffer.write(done.err)  # why it did is for the journal; it is not kept
    if failed:
        raise TargetFailed(
            f"not everybody was told: {failed[0]}", details=failed[1:], hint="chronos-secrets schedule run due"
        )
    return mark


def _failure(session: Session, ran: Ran) -> bytes:
    """What is told where `due` could not answer at all."""
    said = f"chronos-secrets due of {session.inventory.project} failed with status {ran.status}:\n"
    return said.encode() + ran.err


def _pass_on(ran: Ran) -> None:
    """What the command said goes to the journal, or to whoever runs this by hand."""
    output.exact(ran.out)
    sys.stderr.buffer.write(ran.err)
    sys.stderr.flush()


def _last_error(ran: Ran) -> str:
    """Our own last word; what a command of after: said before it is for the journal, for it may hold anything."""
    lines = ran.err.decode(errors="replace").split("\n")
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")] or [""]
    return output.plain(said[-1])[:500]
