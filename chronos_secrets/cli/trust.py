"""`trust`, and the question that commands ask before they use what nobody on this machine has accepted yet."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from chronos_secrets.cli import memory, output, prompts
from chronos_secrets.cli.command import with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Exit, Refused
from chronos_secrets.render import trust as reaching
from chronos_secrets.render.trust import Accepted, Grown, Reach, Used
from chronos_secrets.systems import files

_UNCHANGED = "; nothing was changed"
_FURTHER = "the inventory reaches further than what was accepted on this machine"


def require(
    session: Session,
    *,
    destinations: Iterable[str] = (),
    credentials: Iterable[str] = (),
    unnamed: Iterable[str] = (),
    copies: Iterable[str] = (),
    hosts: Iterable[str] = (),
    sections: Iterable[str] = (),
) -> None:
    """Let a command go on only where what it is about to use is accepted. Call it before the vault is opened.

    All are ids or sections of the inventory; hosts and credentials of the destinations, and hosts of the sections, are
    looked at with them. `credentials` are those that the person named: one that is new here needs no question. What is
    new is asked once on a terminal.
    Raises Refused where nobody can be asked or the answer is no, and TemplateInvalid.
    """
    named = tuple(credentials)
    used = Used(tuple(destinations), (*named, *unnamed), tuple(copies), tuple(hosts), tuple(sections))
    now = reaching.reach(session.inventory, session.home, used, session.draft)
    accepted, first = _accepted(session)
    grown = reaching.grown(now, accepted, named=[f"credential {each}" for each in named])
    if grown:
        _require_state(session)
        _ask(grown)
        memory.record_or_say(session, "trust", session.inventory.project)
    if grown or first or not now.keys() <= accepted.keys():
        try:
            _store(session, {**accepted, **now})
        except Refused as error:
            if grown:
                output.say(f"this will be asked again: {error.message.removesuffix(_UNCHANGED)}")


def accepts_copy(session: Session, name: str) -> bool:
    """Whether this machine has accepted where a copy of the vault goes. Nobody is asked. Raises TemplateInvalid."""
    now = reaching.reach(session.inventory, session.home, Used(copies=(name,)), session.draft)
    return not reaching.grown(now, _accepted(session).reach)


@click.command()
@click.option("--yes", is_flag=True, help="Accept without a question, as a script does.")
@click.option("--show", is_flag=True, help="Print all that the inventory reaches; exit status 1 if anything is new.")
@click.option("--json", "as_json", is_flag=True, help="Like --show, as JSON.")
@click.option("--revoke", is_flag=True, help="Accept nothing any more: everything is asked about again.")
@with_session
def trust(session: Session, *, yes: bool, show: bool, as_json: bool, revoke: bool) -> Exit:
    """Say where the inventory lets secrets go, and accept that on this machine.

    Needs no password. The inventory and its templates come with git pull: what they reach anew is asked about once,
    here or by the command that is about to use it.
    """
    if revoke:
        _store(session, {})
        memory.record_or_say(session, "trust-revoke", session.inventory.project)
        output.result("nothing is accepted any more")
        return Exit.OK
    inventory, home = session.inventory, session.home
    now = reaching.reach(inventory, home, reaching.everything(inventory), session.draft)
    accepted, _ = _accepted(session)
    if show or as_json:
        return _show(now, accepted, as_json=as_json)
    grown = reaching.grown(now, accepted)
    for line in _lines(grown):
        output.result(line)
    if grown and not yes:
        _ask(grown, shown=True)
    _store(session, now)
    if grown:
        memory.record_or_say(session, "trust", inventory.project)
    output.result("accepted" if grown else "nothing is new: all that the inventory reaches is accepted")
    return Exit.OK


def _accepted(session: Session) -> Accepted:
    """What this machine accepts; when it meets a project for the first time, what does no harm."""
    found = reaching.load(_path(session), session.inventory.path)
    if not found.first:
        return found
    return found._replace(reach=reaching.harmless(session.inventory, session.home, session.draft))


def _store(session: Session, reach: Reach) -> None:
    _require_state(session)
    path = _path(session)
    try:
        reaching.store(path, session.inventory.path, reach)
    except OSError as error:
        raise _unwritable(path.parent, files.reason(error)) from error


def _require_state(session: Session) -> None:
    """Nobody is asked where the answer could never be kept."""
    folder = session.settings.state_folder
    if os.path.lexists(folder) and not folder.is_dir():
        raise _unwritable(folder, "it is no folder")


def _unwritable(folder: Path, reason: str) -> Refused:
    return Refused(f"the state folder {folder} cannot be written: {reason}{_UNCHANGED}", hint=f"ls -ld {folder}")


def _path(session: Session) -> Path:
    return session.settings.state_folder / "reach.json"


def _ask(grown: Sequence[Grown], *, shown: bool = False) -> None:
    """Ask a person once. Raises Refused for a no, and where nobody can answer."""
    lines = [] if shown else _lines(grown)
    if not prompts.has_person():
        raise Refused(_FURTHER, details=lines, hint="chronos-secrets trust    # shows it and asks; --yes for scripts")
    if lines:
        output.say("\n".join([f"{_FURTHER}:", *(f"  {line}" for line in lines)]))
    if not click.confirm("Accept this?", err=True):
        raise Refused("it was not accepted; nothing was changed", hint="git log -p    # says who changed what")


def _lines(grown: Sequence[Grown]) -> list[str]:
    return [output.plain(f"+ {each.subject} {each.sentence}") for each in grown]


def _show(now: Reach, accepted: Reach, *, as_json: bool) -> Exit:
    rows = [
        (subject, sentence, "accepted" if sentence in accepted.get(subject, ()) else "new")
        for subject, sentences in now.items()
        for sentence in sentences
    ]
    if as_json:
        told = [dict(zip(("subject", "sentence", "state"), row, strict=True)) for row in rows]
        output.document("trust", {"reach": told})
    else:
        lines = [(state, subject, sentence) for subject, sentence, state in rows]
        output.rows(("STATE", "WHAT", "REACH"), lines, empty="the inventory reaches nothing")
    return Exit.NO if any(state == "new" for _, _, state in rows) else Exit.OK
