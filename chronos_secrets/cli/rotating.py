"""What joins a rotation to the rest: its target, the destinations, the audit log, and the one lock."""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chronos_secrets.cli import memory, prompts, trust
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Busy, ChronosError, EntryMissing, Refused
from chronos_secrets.inventory.model import LOCAL, Credential, Destination
from chronos_secrets.review import rotations
from chronos_secrets.review.rotations import Stop
from chronos_secrets.rotation.courses import COURSES
from chronos_secrets.systems import files
from chronos_secrets.vault import store

if TYPE_CHECKING:
    from chronos_secrets.pgbackrest.runner import Runner
    from chronos_secrets.rotation.engine import Engine
    from chronos_secrets.rotation.target import Target

_RENDER = re.compile(r"chronos-secrets render( [a-z0-9-]+)?( |$)")  # a hint that would leave the rotation where it is
_SECTIONS = {"aws-access-key": "cloud", "postgres-password": "postgres"}  # where a kind's target is written


def require_unasked(session: Session) -> None:
    """Raises Refused where there is nobody to ask and this machine does not say that it rotates by itself."""
    if session.settings.rotates_here or prompts.has_person():
        return
    config, project = session.settings.config.value, session.settings.project
    raise Refused(
        "nobody is here to be asked, and this machine does not rotate by itself",
        details=[f"to let it: rotate_here = true below [{project}] in {config}"],
        hint="the same command with --yes    # this once",
    )


def require_trusted(session: Session, rows: Sequence[Credential], *, named: Iterable[str]) -> None:
    """Raises Refused unless all that rotations of `rows` reach is accepted here. Call it before the vault is opened.

    `named` are the ids that the person named.
    """
    inventory = session.inventory
    destinations = dict.fromkeys(each for row in rows for each in rotations.users(inventory, row.id))
    asked = inventory.pgbackrest.config if inventory.pgbackrest else None  # whether a backup runs is asked there
    proved = [each for each in destinations if inventory.destinations[each].prove or each == asked]
    sections = [_SECTIONS[row.kind] for row in rows if row.kind in _SECTIONS] + ["pgbackrest" for _ in proved[:1]]
    hosts = [row.target.host for row in rows if row.kind == "ssh-key" and row.target and row.target.host]
    chosen = set(named)
    trust.require(
        session,
        destinations=destinations,
        credentials=[row.id for row in rows if row.id in chosen],
        unnamed=[row.id for row in rows if row.id not in chosen],
        hosts=dict.fromkeys(each for each in hosts if each != LOCAL and each in inventory.hosts),
        sections=dict.fromkeys(each for each in sections if getattr(inventory, each) is not None),
    )


@contextlib.contextmanager
def only_one(session: Session) -> Iterator[None]:
    """One rotation at a time of one vault on this machine, for the block. Raises Busy at once, and Refused."""
    real = os.path.realpath(session.settings.vault_path)
    vault = store.lock_file(session.settings.locks, Path(real))
    path = vault.with_name(f"rotate-{vault.name}")
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(files.lock(path, wait=0))
        except files.LockHeld as error:
            raise Busy(
                "another rotation of this vault is running; nothing was changed", hint="chronos-secrets rotate status"
            ) from error
        except OSError as error:
            raise Refused(
                f"the state folder {path.parent} cannot be written: {files.reason(error)}; nothing was changed",
                hint=f"ls -ld {path.parent}",
            ) from error
        yield


def engine(session: Session, row: Credential, *, confirm_unused: bool, say: Callable[[str], None]) -> "Engine":
    """The rotation of one credential of the opened vault. Nothing is asked of the target yet. Raises Refused."""
    from chronos_secrets.rotation.engine import Engine, Hooks
    from chronos_secrets.rotation.record import Record

    target = _TARGETS[row.kind](session, row, say)
    users = rotations.users(session.inventory, row.id)
    record = Record(
        session.vault,
        session.values,
        row,
        target.replaces,
        now=session.now,
        zone=session.zone,
        save=lambda: memory.save(session, changed=True),
    )
    hooks = Hooks(
        deliver=lambda: _deliver(session, row, users),
        backup_holds=lambda: _backup_holds(session, users),
        say=say,
        note=lambda what, detail: memory.record_or_say(session, what, row.id, _told(detail)),
        known_here=lambda: known_here(session, row.id),
    )
    delivers = [_with_proof(session.inventory.destinations[each]) for each in users]
    return Engine(
        target, record, hooks, machine=memory.machine(session), delivers=delivers, confirm_unused=confirm_unused
    )


def _with_proof(destination: Destination) -> str:
    """A destination, for words, with what proves it after its delivery."""
    return f"{destination.id} (proven by {destination.prove})" if destination.prove else destination.id


def rehearse(session: Session, row: Credential) -> None:
    """Make sure that all which uses a credential could be written now. Raises what rendering raises."""
    from chronos_secrets.cli import render

    try:
        render.rehearse(session, rotations.users(session.inventory, row.id))
    except ChronosError as error:
        error.message = f"nothing was begun, for what uses {row.id} could not be delivered: {error.message}"
        raise


# --- what stopped a rotation, remembered for `due` and `rotate status` ------------------------------------------------


def stops(session: Session) -> dict[str, Stop]:
    """What the last tries stopped at on this machine, by credential."""
    return rotations.load_stops(memory.stops_path(session))


def remember_stop(session: Session, credential: str, stop: Stop | None) -> None:
    """Keep what a rotation stopped at, or forget it. It is a note for a person: what cannot be kept is lost."""
    known = stops(session)
    kept = {**known, credential: stop} if stop else {name: each for name, each in known.items() if name != credential}
    if kept != known:
        with contextlib.suppress(OSError):
            rotations.store_stops(memory.stops_path(session), kept)


def first_of(error: ChronosError) -> str:
    """The command that a person has to run before a rotation can go on; "" where it may just run again."""
    return error.hint or "" if error.code == "sign-in-needed" else ""


# --- what the engine asks of the rest ---------------------------------------------------------------------------------


def _told(detail: Mapping[str, str]) -> dict[str, str]:
    """The detail of an event, without identifiers that say nothing: a role is the same before and after."""
    same = detail.get("old") == detail.get("new")
    return {name: text for name, text in detail.items() if not (same and name in ("old", "new"))}


def _deliver(session: Session, row: Credential, users: Sequence[str]) -> None:
    """Write all that uses a credential, and prove it. A host that is away keeps nothing from the others.

    Raises what stopped the first, with what is written and what is still old.
    """
    from chronos_secrets.cli import render

    rows = session.inventory.destinations
    written: list[str] = []
    failed: list[ChronosError] = []
    for host in dict.fromkeys(rows[each].host for each in users):
        there = [each for each in users if rows[each].host == host]
        try:
            render.deliver(session, there)
            written += there
        except ChronosError as error:
            failed.append(error)
    if failed:
        raise _undelivered(failed[0], row, written, [each for each in users if each not in written])
    for each in users:
        if rows[each].prove:
            _prove(session, each)


def _undelivered(error: ChronosError, row: Credential, written: Sequence[str], left: Sequence[str]) -> ChronosError:
    """What stopped a delivery, with all that a person must know who meets it at night."""
    told = [f"written: {', '.join(written)}", f"not delivered yet: {', '.join(left)}"] if written else []
    if not COURSES[row.kind].overlaps:
        told.append("the old one is refused already: what still has it cannot log in until this is finished")
    error.details = (*error.details, *told)
    if error.hint is None or _RENDER.match(error.hint):
        error.hint = f"chronos-secrets rotate {row.id}    # goes on from there"
    return error


def _prove(session: Session, destination: str) -> None:
    """What the inventory says proves a destination; there is one way yet. Raises TargetFailed."""
    try:
        _pgbackrest(session, destination).check()
    except ChronosError as error:
        error.message = f"{destination} is delivered, but not proven: {error.message}"
        raise


def _backup_holds(session: Session, users: Sequence[str]) -> bool:
    """Whether a backup runs that may have read the old secret. Raises TargetFailed."""
    section = session.inventory.pgbackrest
    return section is not None and section.config in users and _pgbackrest(session, section.config).backup_runs()


def _pgbackrest(session: Session, destination: str) -> "Runner":
    from chronos_secrets.cli.backup import place

    section = session.inventory.pgbackrest
    if section is None:
        raise AssertionError("the inventory was checked")
    return place.runner(session, section, session.inventory.destinations[destination])


def known_here(session: Session, credential: str) -> frozenset[str]:
    """The identifiers that this machine ever stored for a credential, by its audit log."""
    events = memory.log(session).read().events
    details: list[Mapping[str, str]] = [event.detail for event in events if event.subject == credential]
    return frozenset(each[name] for each in details for name in ("old", "new") if each.get(name))


# --- targets ----------------------------------------------------------------------------------------------------------


def _iam(session: Session, row: Credential, say: Callable[[str], None]) -> "Target":
    from chronos_secrets.rotation.targets import iam

    cloud, settings = session.inventory.cloud, session.settings
    if cloud is None:
        raise Refused(
            f"{row.id} cannot be rotated: the inventory has no section cloud, which says where AWS is asked",
            hint="docs/inventory.md, section cloud",
        )
    place = iam.place(cloud, endpoint=settings.aws_endpoint.value, ca_bundle=settings.ca_bundle.value)
    account = None
    with contextlib.suppress(EntryMissing):  # without its number nothing is compared, as in `check --live`
        account = session.values.value_or_empty(cloud.account.credential, cloud.account.field) or None
    machine = iam.Machine(memory.machine(session), place, settings.admin_profile.value)
    return iam.IamKeys(iam.service(row, cloud, account), machine, say=say)


def _postgres(session: Session, row: Credential, say: Callable[[str], None]) -> "Target":
    from chronos_secrets.rotation.targets import postgres

    del say
    return postgres.target(session.inventory, row, session.host)


def _ssh(session: Session, row: Credential, say: Callable[[str], None]) -> "Target":
    from chronos_secrets.rotation.targets import ssh

    del say
    return ssh.target(session.inventory, row)


def _manual(session: Session, row: Credential, say: Callable[[str], None]) -> "Target":
    from chronos_secrets.cli.prompts import Operator
    from chronos_secrets.rotation.targets.manual import Manual

    del say
    stored = session.values.value_or_empty(row.id, row.primary)
    return Manual(row, Operator(f"chronos-secrets rotate {row.id}"), session.today, stored)


_TARGETS: "Mapping[str, Callable[[Session, Credential, Callable[[str], None]], Target]]" = {
    "aws-access-key": _iam,
    "postgres-password": _postgres,
    "ssh-key": _ssh,
    "api-token": _manual,
    "account": _manual,
    "recovery-codes": _manual,
}
