"""`render`: the files that are made from the vault."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chronos_secrets.cli import choices, memory, output, trust
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Busy, Exit, Refused, UsageError
from chronos_secrets.inventory.model import LOCAL, Destination
from chronos_secrets.render import after, destinations
from chronos_secrets.render.compose import Draft
from chronos_secrets.render.destinations import Written
from chronos_secrets.render.pgbackrest_conf import refuse_faulty, refuse_repo_change
from chronos_secrets.render.plan import Plan, difference, refuse_foreign
from chronos_secrets.systems import files

if TYPE_CHECKING:
    from chronos_secrets.render.remote import Probed

_LOCK_WAIT = 10.0  # seconds


@click.command()
@click.argument("names", metavar="[DESTINATION]...", nargs=-1, shell_complete=choices.destinations)
@click.option("--check", "mode", flag_value="check", help="Write nothing; exit status 1 if a file is out of date.")
@click.option("--diff", "mode", flag_value="diff", help="Like --check, and show what would change, without values.")
@click.option("--dry-run", "mode", flag_value="dry-run", help="Write nothing; say what would be written.")
@click.option("--host", metavar="HOST", help="Only what belongs on HOST: an id of the inventory, or local.")
@click.option(
    "--to", metavar="DIR", shell_complete=choices.folders,
    help="Write into DIR instead, also what belongs on other hosts.",
)  # fmt: skip
@click.option("--adopt", is_flag=True, help="Replace files that were not made by this tool; the old ones are kept.")
@click.option("--accept-repo-change", is_flag=True, help="Let a pgbackrest.conf name another repository or cipher.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def render(
    session: Session, names: tuple[str, ...], *, mode: str | None, host: str | None, to: str | None, adopt: bool,
    accept_repo_change: bool, as_json: bool,
) -> Exit:  # fmt: skip
    """Write the files that are made from the vault: all destinations of the inventory, or the named ones.

    Every file is composed and checked, and every host looked at, before the first is written. Each is complete, private
    and durable, or as it was.
    """
    if to == "":
        raise UsageError("--to names no folder", hint="chronos-secrets render --to DIR")
    drafts = [session.draft(each) for each in _chosen(session, names, host)]
    if mode is None:
        trust.require(session, destinations=[draft.destination.id for draft in drafts])
    alone = f"chronos-secrets render --host local{f' --{mode}' if mode else ''}"
    places = _places(session, drafts, to, alone)
    values = session.values if drafts else None  # a person may take long to type the password: not while others wait
    with _render_lock(session, needed=mode is None and bool(drafts)):
        plans = [] if values is None else [_plan(session, draft, places[draft.destination.id], to) for draft in drafts]
        _refuse(session, plans, mode, may_adopt=adopt, may_change_repo=accept_repo_change or to is not None)
        waiting = _waiting(session, plans) if to is None else set()
        written = _write(session, plans, adopt=adopt, run_after=to is None) if mode is None else []
    done = {each.plan.draft.destination.id for each in written}
    words = [
        _words(each, mode, written=each.draft.destination.id in done, waits=each.draft.destination.id in waiting)
        for each in plans
    ]
    if as_json:
        _report_json(plans, words, mode)
    else:
        _report(plans, words, mode, session.home)
    _say_what_stays_old(session, written)
    drifted = waiting or any(each.drifted for each in plans)
    return Exit.NO if mode in ("check", "diff") and drifted else Exit.OK


def rehearse(session: Session, names: Sequence[str]) -> None:
    """Make sure that `deliver` could write these destinations: all but the replacing is done. Needs the open vault.

    Raises what `render` raises; a disk that is full or a folder that cannot be written to is found, too.
    """
    drafts = [session.draft(each) for each in _chosen(session, names, None)] if names else []
    places = _places(session, drafts, None)
    plans = [_plan(session, draft, places[draft.destination.id], None) for draft in drafts]
    _refuse(session, plans, "dry-run", may_adopt=False, may_change_repo=False)
    destinations.rehearse(plans)


def drifted(session: Session, name: str) -> Plan | None:
    """What a destination is to become where it is not that yet, as `render --check` finds it; None where it is.

    Trust is the caller's business. Its host is looked at before the vault is opened. Raises what `render` raises.
    """
    draft = session.draft(session.inventory.destinations[name])
    place = _places(session, [draft], None)[name]
    plan = _plan(session, draft, place, None)
    refuse_faulty(plan, session.inventory)
    return plan if plan.drifted else None


def deliver(session: Session, names: Sequence[str]) -> None:
    """Write these destinations with what the vault holds now, and run the commands that follow them.

    Trust is the caller's business. Raises what `render` raises: TargetFailed where a command failed after its file was
    written; it is run again by the next `deliver` or `render`.
    """
    drafts = [session.draft(each) for each in _chosen(session, names, None)] if names else []
    places = _places(session, drafts, None)
    with _render_lock(session, needed=bool(drafts)):
        plans = [_plan(session, draft, places[draft.destination.id], None) for draft in drafts]
        _refuse(session, plans, None, may_adopt=False, may_change_repo=False)
        written = _write(session, plans, adopt=False, run_after=True)
    _say_what_stays_old(session, written)


def _chosen(session: Session, names: Sequence[str], host: str | None) -> list[Destination]:
    known, hosts = session.inventory.destinations, (LOCAL, *session.inventory.hosts)
    for name in names:
        if name not in known:
            raise UsageError(f"there is no destination '{name}'", hint=choices.nearest(name, known))
    if host is not None and host not in hosts:
        raise UsageError(f"there is no host '{host}'", hint=choices.nearest(host, hosts))
    chosen = [known[name] for name in dict.fromkeys(names)] if names else list(known.values())
    return [each for each in chosen if host in (None, each.host)]


def _places(
    session: Session, drafts: list[Draft], to: str | None, alone: str | None = None
) -> dict[str, "Path | Probed"]:
    """Where each file goes, by destination id: a path here, or another host that has just been looked at.

    `alone` is the command to hint at for this machine's files, where a host is away and there are such files.

    Raises Refused when two would become one file, TargetFailed for a host that is away.
    """
    here = [draft for draft in drafts if to is not None or not draft.destination.is_remote]
    places: dict[str, Path | Probed] = {}
    taken: dict[Path, str] = {}
    for draft in here:
        name, path = draft.destination.id, _path(session, draft, to)
        if path in taken:
            raise Refused(
                f"{taken[path]} and {name} would both become {path}", hint=f"chronos-secrets render {name} --to DIR"
            )
        taken[path] = name
        places[name] = path
    elsewhere = [draft for draft in drafts if draft not in here]
    if elsewhere:
        from chronos_secrets.render import remote

        places |= remote.probe(elsewhere, session.host, without=alone if here else None)
    return places


def _path(session: Session, draft: Draft, to: str | None) -> Path:
    if to is not None:
        path = Path(to).absolute() / Path(draft.destination.path).name
    else:
        path = session.inventory.locate(draft.destination.path, home=session.home)
    return Path(os.path.normpath(path))


def _plan(session: Session, draft: Draft, place: "Path | Probed", to: str | None) -> Plan:
    if isinstance(place, Path):
        return destinations.plan(draft, place, session.inventory, session.values, in_place=to is None)
    from chronos_secrets.render import remote

    return remote.plan(draft, place, session.inventory, session.values)


def _refuse(session: Session, plans: list[Plan], mode: str | None, *, may_adopt: bool, may_change_repo: bool) -> None:
    """What must not be written is said before anything is."""
    for each in plans:
        refuse_faulty(each, session.inventory)
    if mode in ("check", "diff"):
        return
    for each in plans:
        if not may_change_repo:
            refuse_repo_change(each)
    if mode == "dry-run":  # else the writing refuses it
        refuse_foreign(plans, may_adopt=may_adopt)


@contextlib.contextmanager
def _render_lock(session: Session, *, needed: bool) -> Iterator[None]:
    if not needed:
        yield
        return
    folder = session.settings.state_folder
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(files.lock(folder / "render.lock", wait=_LOCK_WAIT))
        except files.LockHeld as error:
            raise Busy("another render of this project is running", hint="run the command again") from error
        except OSError as error:
            raise Refused(
                f"the state folder {folder} cannot be written: {files.reason(error)}; nothing was changed",
                hint=f"ls -ld {folder}",
            ) from error
        yield


@contextlib.contextmanager
def _interruption_told() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        output.say("\nsome files may be new and others old; to finish: chronos-secrets render")
        raise


@_interruption_told()
def _write(session: Session, plans: list[Plan], *, adopt: bool, run_after: bool) -> list[Written]:
    state, written = session.settings.state_folder, list[Written]()
    destinations.sweep(plans)
    pending = after.Pending(state / "after")
    before = {"before": pending.note} if run_after else {}
    try:
        destinations.write(
            plans, now=session.now(), adopted=state / "adopted" if adopt else None, done=written.append, **before
        )
    finally:
        for each in written:
            memory.record_or_say(session, "render", each.plan.draft.destination.id)
    if run_after:
        pending.run(plans, folder=session.inventory.folder)
    return written


def _waiting(session: Session, plans: list[Plan]) -> set[str]:
    """The destinations that an earlier run wrote and whose commands have not succeeded since."""
    pending = after.Pending(session.settings.state_folder / "after")
    return {each.draft.destination.id for each in plans if pending.waits(each)}


def _say_what_stays_old(session: Session, written: list[Written]) -> None:
    """A file can be right, and a container not see it, or lose it."""
    for each, lasting in written:
        if not lasting:
            output.say(f"{each.where} is on no volume: the container loses it when it is made anew")
        if session.inventory.hosts:
            from chronos_secrets.render import remote

            for container, path in remote.readers_of_the_old(each, session.inventory, session.host):
                output.say(
                    f"{container} still reads the old file: {path} is mounted alone; restart it, or mount the folder"
                )


def _report(plans: list[Plan], words: list[str], mode: str | None, home: Path) -> None:
    files_of = [output.short(each.path, home=home) if each.host is None else each.where for each in plans]
    names = [each.draft.destination.id for each in plans]
    rows = list(zip(names, files_of, words, strict=True))
    output.rows(("DESTINATION", "FILE", "STATE"), rows, empty="the inventory names no destination")
    if mode == "diff":
        for each, name, file in zip(plans, names, files_of, strict=True):
            if each.drifted:
                output.result(f"\n{name}  {file}")
                output.result("\n".join(f"  {line}" for line in difference(each)))


def _report_json(plans: list[Plan], words: list[str], mode: str | None) -> None:
    made = [
        {"id": each.draft.destination.id, "path": each.where, "state": state}
        for each, state in zip(plans, words, strict=True)
    ]
    changes = {each.draft.destination.id: difference(each) for each in plans if each.drifted}
    output.document("render", {"destinations": made, **({"changes": changes} if mode == "diff" else {})})


def _words(each: Plan, mode: str | None, *, written: bool, waits: bool) -> str:
    if written:
        return "written"
    if waits and not each.drifted:
        return "up to date; its after: command has not succeeded yet" if mode else "up to date; its after: command ran"
    if mode == "dry-run" and each.drifted:
        return "would be written"
    if each.drifted and not each.current.ours:
        return "not made by this tool"
    return {"new": "missing", "changed": "out of date", "permissions": "wrong permissions"}.get(each.state, each.state)
