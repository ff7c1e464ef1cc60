"""`doctor`: is this machine fit for the project?"""

import os
import shutil
import sys
from pathlib import Path

import click

from chronos_secrets.cli import memory, output
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import ChronosError, Exit, UsageError
from chronos_secrets.report import doctor as report
from chronos_secrets.review.doctor.machine import Machine, Opened, Project, State
from chronos_secrets.review.doctor.sections import SECTIONS, Examined, examine

DESIGN = "design"


@click.command(epilog=f"Sections: {', '.join(SECTIONS)}. And {DESIGN}, alone: the design of the backups.")
@click.argument("sections", nargs=-1, metavar="[SECTION]...", type=click.Choice([*SECTIONS, DESIGN]))
@click.option("--unlock", is_flag=True, help="Open the vault, and look inside, too.")
@click.option("--connect", is_flag=True, help="Call the hosts, and see whether they answer.")
@click.option("--offline", is_flag=True, help="With design: ask no host, no database and no cloud.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def doctor(
    session: Session, sections: tuple[str, ...], *, unlock: bool, connect: bool, offline: bool, as_json: bool
) -> Exit:
    """Say whether this machine is fit for the project, and how to put right what is not.

    Needs no password and changes nothing. Sections that are named are shown in full. Exit status 1 if anything is
    wrong.

    `doctor design` checks the design of the backups against known traps: the inventory, pgbackrest.conf, crontabs,
    scripts and runbooks, the database, and with --unlock the bucket. Exit status 1 for each that is not accepted; 7 if
    there is none, but something that was asked did not answer.
    """
    if DESIGN in sections:
        return _design(session, sections, unlock=unlock, offline=offline, as_json=as_json)
    if offline:
        raise UsageError("--offline is for design", hint=f"chronos-secrets doctor {DESIGN} --offline")
    machine = _machine(session, connect=connect)
    if (unlock or session.password_given) and machine.project is not None:
        machine = _unlocked(session, machine)
    examined = examine(machine, sections)
    if as_json:
        output.document("doctor", {"sections": report.json_rows(examined)})
    else:
        _print(examined, full=bool(sections))
    return Exit.NO if any(each.state is State.WRONG for each in examined) else Exit.OK


def _design(session: Session, sections: tuple[str, ...], *, unlock: bool, offline: bool, as_json: bool) -> Exit:
    from chronos_secrets.cli import design

    if len(sections) > 1:
        raise UsageError(f"{DESIGN} is asked for alone", hint=f"chronos-secrets doctor {DESIGN}")
    return design.check(session, unlock=unlock, offline=offline, as_json=as_json)


def _machine(session: Session, *, connect: bool) -> Machine:
    """What the sections may look at; a machine without a readable inventory is one, too."""
    machine = Machine(
        environ=os.environ, home=session.home, folder=Path.cwd(), now=session.now(),
        host=session.host, drafts=session.draft, connect=connect,
    )  # fmt: skip
    try:
        return machine._replace(project=Project(session.inventory, session.settings))
    except ChronosError as error:
        return machine._replace(trouble=error)


def _unlocked(session: Session, machine: Machine) -> Machine:
    """The machine with its vault opened, or with the reason why it could not be."""
    try:
        found = session.unlock()
    except ChronosError as error:
        return machine._replace(locked=error)
    return machine._replace(opened=Opened(found.vault.entries, found.origin, memory.anchor(session)))


def _print(examined: list[Examined], *, full: bool) -> None:
    width = shutil.get_terminal_size((80, 24)).columns
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    lines = report.terminal(examined, width=width, colour=colour, full=full)
    output.result("\n".join(lines))
