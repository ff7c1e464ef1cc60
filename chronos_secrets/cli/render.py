"""`render`: the files that are made from the vault."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from chronos_secrets.cli import memory, output
from chronos_secrets.cli.choices import nearest
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Busy, Exit, Incomplete, Refused, UsageError
from chronos_secrets.inventory.model import Destination
from chronos_secrets.render import after, destinations
from chronos_secrets.render.compose import Draft
from chronos_secrets.render.destinations import Plan
from chronos_secrets.render.pgbackrest_conf import refuse_faulty
from chronos_secrets.systems import files

_LOCK_WAIT = 10.0  # seconds


@click.command()
@click.argument("names", metavar="[DESTINATION]...", nargs=-1)
@click.option("--check", "mode", flag_value="check", help="Write nothing; exit status 1 if a file is out of date.")
@click.option("--diff", "mode", flag_value="diff", help="Like --check, and show what would change, without values.")
@click.option("--dry-run", "mode", flag_value="dry-run", help="Write nothing; say what would be written.")
@click.option("--to", metavar="DIR", help="Write into DIR instead, also what belongs on other hosts.")
@click.option("--adopt", is_flag=True, help="Replace files that were not made by this tool; the old ones are kept.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def render(
    session: Session, names: tuple[str, ...], *, mode: str | None, to: str | None, adopt: bool, as_json: bool
) -> Exit:
    """Write the files that are made from the vault: all destinations of the inventory, or the named ones.

    Every file is composed and checked before the first is written. Each is complete, private and durable, or as it was.
    """
    if to == "":
        raise UsageError("--to names no folder", hint="chronos-secrets render --to DIR")
    chosen = _chosen(session, names)
    drafts = [Draft(session.inventory, destination, session.home) for destination in chosen]
    here, elsewhere = _split(drafts, everything=to is not None)
    values = session.values if here else None  # a person may take long to type the password: not while others wait
    with _render_lock(session, needed=mode is None and bool(here)):
        plans = [
            destinations.plan(draft, path, session.inventory, values, in_place=to is None)
            for draft, path in _placed(session, here, to)
            if values is not None
        ]
        for each in plans:
            refuse_faulty(each, session.inventory)
        if mode == "dry-run":
            destinations.refuse_foreign(plans, may_adopt=adopt)
        waiting = _waiting(session, plans) if to is None else set()
        written = _write(session, plans, adopt=adopt, run_after=to is None) if mode is None else []
    words = [_words(each, mode, written=each in written, waits=each.path in waiting) for each in plans]
    if as_json:
        _report_json(plans, words, elsewhere, mode)
    else:
        _report(plans, words, elsewhere, mode, session.home)
    return _status(plans, waiting, elsewhere, mode)


def _chosen(session: Session, names: Sequence[str]) -> list[Destination]:
    known = session.inventory.destinations
    for name in names:
        if name not in known:
            raise UsageError(f"there is no destination '{name}'", hint=nearest(name, known))
    return [known[name] for name in dict.fromkeys(names)] if names else list(known.values())


def _split(drafts: list[Draft], *, everything: bool) -> tuple[list[Draft], list[Draft]]:
    """What can be written from here, and what belongs on another host."""
    here = [draft for draft in drafts if everything or not draft.destination.is_remote]
    return here, [draft for draft in drafts if draft not in here]


def _placed(session: Session, drafts: list[Draft], to: str | None) -> list[tuple[Draft, Path]]:
    """Each draft with the path that it is written to. Raises Refused when two would become one file."""
    placed: dict[Path, Draft] = {}
    for draft in drafts:
        if to is not None:
            path = Path(to).absolute() / Path(draft.destination.path).name
        else:
            path = session.inventory.locate(draft.destination.path, home=session.home)
        path = Path(os.path.normpath(path))
        if path in placed:
            ids = f"{placed[path].destination.id} and {draft.destination.id}"
            raise Refused(
                f"{ids} would both become {path}", hint=f"chronos-secrets render {draft.destination.id} --to DIR"
            )
        placed[path] = draft
    return [(draft, path) for path, draft in placed.items()]


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


def _write(session: Session, plans: list[Plan], *, adopt: bool, run_after: bool) -> list[Plan]:
    state = session.settings.state_folder
    destinations.sweep(plans)
    adopted = state / "adopted" if adopt else None
    if not run_after:
        written = destinations.write(plans, now=session.now(), adopted=adopted)
        _recorded(session, written)
        return written
    pending = after.Pending(state / "after")
    written = destinations.write(plans, now=session.now(), adopted=adopted, before=pending.note)
    _recorded(session, written)
    pending.run(plans, folder=session.inventory.folder)
    return written


def _waiting(session: Session, plans: list[Plan]) -> set[Path]:
    """The files that an earlier run wrote and whose commands have not succeeded since."""
    pending = after.Pending(session.settings.state_folder / "after")
    return {each.path for each in plans if pending.waits(each)}


def _recorded(session: Session, written: list[Plan]) -> None:
    for each in written:
        memory.record_or_say(session, "render", each.draft.destination.id)


def _report(plans: list[Plan], words: list[str], elsewhere: list[Draft], mode: str | None, home: Path) -> None:
    rows = [
        (each.draft.destination.id, output.short(each.path, home=home), state)
        for each, state in zip(plans, words, strict=True)
    ]
    rows += [(d.destination.id, f"{d.destination.host}:{d.destination.path}", "left out") for d in elsewhere]
    output.rows(("DESTINATION", "FILE", "STATE"), rows, empty="the inventory names no destination")
    if mode == "diff":
        for each in (each for each in plans if each.drifted):
            output.result(f"\n{each.draft.destination.id}  {output.short(each.path, home=home)}")
            output.result("\n".join(f"  {line}" for line in destinations.difference(each)))


def _report_json(plans: list[Plan], words: list[str], elsewhere: list[Draft], mode: str | None) -> None:
    made = [
        {"id": each.draft.destination.id, "path": str(each.path), "state": state}
        for each, state in zip(plans, words, strict=True)
    ]
    made += [
        {"id": d.destination.id, "path": f"{d.destination.host}:{d.destination.path}", "state": "left out"}
        for d in elsewhere
    ]
    changes = {each.draft.destination.id: destinations.difference(each) for each in plans if each.drifted}
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


def _status(plans: list[Plan], waiting: set[Path], elsewhere: list[Draft], mode: str | None) -> Exit:
    if mode in ("check", "diff") and (waiting or any(each.drifted for each in plans)):
        return Exit.NO
    if elsewhere and mode != "dry-run":
        names = ", ".join(draft.destination.id for draft in elsewhere)
        raise Incomplete(
            f"left out, because they belong on another host: {names}",
            hint=f"chronos-secrets render {' '.join(d.destination.id for d in elsewhere)} --to DIR",
        )
    return Exit.OK
