"""Where an inventory lets secrets go, and what of that this machine has accepted.

The inventory and its templates are code from git: whoever changes them decides where secrets go at the next deploy.
Their reach is a set of secret-free sentences by subject ("destination env", "host prod"). What was accepted is kept in
the state folder; a sentence that is not among it is growth, and has to be shown and accepted first. What goes away
needs nothing. An accepted subject is replaced as a whole, so two changes that were each harmless never add up unseen.
"""

import hashlib
import json
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import ChronosError
from chronos_secrets.inventory.model import LOCAL, Copy, Credential, Destination, Host, Inventory
from chronos_secrets.render.compose import Draft
from chronos_secrets.systems import files

Reach = Mapping[str, tuple[str, ...]]
"""Sentences by subject. No value is in it; file names, aliases, entries and template lines are."""

Drafts = Callable[[Destination], Draft]
"""Gives the draft of a destination: the very one that is rendered later, so that what was shown is what is written."""

_VERSION = 1
_SUM = "its text has the sum "
_ABSENT = "is not there"
_REARRANGED = "has other comments, or its lines in another order"


class Used(NamedTuple):
    """What a command is about to use, by ids.

    Hosts and credentials of the destinations and of the sections need not be named.
    """

    destinations: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()  # of the inventory: see SECTIONS


class Accepted(NamedTuple):
    """What this machine has accepted of one inventory file. `first`: it never accepted anything of this project."""

    reach: Reach
    first: bool


class Grown(NamedTuple):
    """A sentence that was not accepted yet."""

    subject: str
    sentence: str


def everything(inventory: Inventory) -> Used:
    """All that an inventory names."""
    return Used(
        tuple(inventory.destinations), tuple(inventory.credentials), tuple(inventory.vault.copies),
        tuple(inventory.hosts), tuple(each for each in SECTIONS if _SECTIONS[each](inventory) != _ABSENT),
    )  # fmt: skip


def reach(inventory: Inventory, home: Path, used: Used, drafts: Drafts) -> dict[str, tuple[str, ...]]:
    """The reach of what is used. Reads templates (through `drafts`) and follows links: raises TemplateInvalid."""
    rows = [inventory.destinations[each] for each in used.destinations]
    credentials = dict.fromkeys((*used.credentials, *(each for row in rows for each in row.credentials)))
    named = (*used.hosts, *(row.host for row in rows), *_hosts_of(inventory, used.sections))
    hosts = dict.fromkeys(each for name in named for each in _chain(inventory, name))
    found: dict[str, tuple[str, ...]] = {"vault": (f"is {inventory.locate(inventory.vault.path, home=home)}",)}
    found |= {f"copy {each}": (_copy(inventory, inventory.vault.copies[each], home),) for each in used.copies}
    found |= {f"host {each}": (_host(inventory.hosts[each]),) for each in hosts}
    found |= {f"section {each}": (_SECTIONS[each](inventory),) for each in used.sections}
    found |= {f"credential {each}": (_credential(inventory.credentials[each]),) for each in credentials}
    found |= {f"destination {row.id}": tuple(_destination(inventory, row, home, drafts(row))) for row in rows}
    return found


def harmless(inventory: Inventory, home: Path, drafts: Drafts) -> dict[str, tuple[str, ...]]:
    """What a machine accepts unasked when it meets a project for the first time, as it accepted the clone itself.

    The vault, which entry each credential is, and private files below the inventory's own folder that no command
    follows. Everything with a host, a place outside or a command is asked about. A broken template is not harmless.
    """
    found = reach(inventory, home, Used(credentials=tuple(inventory.credentials)), drafts)
    for row in inventory.destinations.values():
        if _stays(inventory, row, home):
            try:
                found |= reach(inventory, home, Used(destinations=(row.id,)), drafts)
            except ChronosError:
                continue
    return found


def grown(now: Reach, accepted: Reach, *, named: Iterable[str] = ()) -> list[Grown]:
    """What is new in `now`, in its order. Pure.

    `named` are subjects that the person named on the command line: one of them that was never seen before is no
    growth, one that means something else than before is.
    """
    known = {subject: now[subject] for subject in named if subject not in accepted} | dict(accepted)
    found = []
    for subject, sentences in now.items():
        new = [each for each in sentences if each not in known.get(subject, ())]
        told = [each for each in new if not each.startswith(_SUM)]  # a sum says something only where no line does
        found += [Grown(subject, each) for each in told or (new and [_REARRANGED])]
    return found


def load(path: Path, inventory: Path) -> Accepted:
    """What was accepted of the inventory at `inventory`. A file that cannot be read accepts nothing. Never raises."""
    if not os.path.exists(path):  # also where the folder may not be looked into
        return Accepted({}, first=True)
    return Accepted(_read(path).get(str(inventory), {}), first=False)


def store(path: Path, inventory: Path, accepted: Reach) -> None:
    """Keep what is accepted of the inventory at `inventory`; an empty reach revokes it. Raises OSError."""
    everywhere = {**_read(path), str(inventory): accepted}
    files.private_folder(path.parent)
    content = json.dumps({"version": _VERSION, "inventories": everywhere}, indent=1, ensure_ascii=False)
    files.write_durably(path, content.encode(errors="surrogatepass"))


def _read(path: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    try:
        found = json.loads(path.read_bytes().decode(errors="surrogatepass"))
        if found["version"] != _VERSION:
            return {}
        return {
            str(inventory): {str(subject): tuple(map(str, sentences)) for subject, sentences in reached.items()}
            for inventory, reached in found["inventories"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _chain(inventory: Inventory, name: str) -> Iterator[str]:
    """A host and those that it is reached through."""
    while name != LOCAL:
        yield name
        name = inventory.hosts[name].inside or LOCAL


def _host(row: Host) -> str:
    sudo = ", with sudo" if row.sudo else ""
    if row.container is None:
        return f"is {row.ssh} of ~/.ssh/config{sudo}"
    user = f", as {row.user}" if row.user else ""
    return f"is the container {row.container} ({row.engine}) on {row.inside}{user}{sudo}"


def _credential(row: Credential) -> str:
    places = ", ".join(f"{field} {place}" for field, place in row.fields.items())
    target = row.target._asdict() if row.target else {}
    honoured = ", ".join(f"{name} {value}" for name, value in target.items() if value and name != "page")
    return f"is the entry '{row.entry}' ({places})" + (f", honoured at {honoured}" if honoured else "")


def _hosts_of(inventory: Inventory, sections: Iterable[str]) -> Iterator[str]:
    if "postgres" in sections and inventory.postgres is not None:
        yield inventory.postgres.host
    if "pgbackrest" in sections and inventory.pgbackrest is not None:
        yield inventory.pgbackrest.host
        if inventory.pgbackrest.drill.host:
            yield inventory.pgbackrest.drill.host
    if "schedule" in sections and inventory.pgbackrest is not None and inventory.pgbackrest.schedule is not None:
        yield inventory.pgbackrest.schedule.host


def _postgres(inventory: Inventory) -> str:
    row = inventory.postgres
    if row is None:
        return _ABSENT
    way = f"by {row.connect.via}, port {row.connect.port}" if row.connect else f"port {row.port}"
    return f"is the database {row.database} on {row.host}, {way}"


def _pgbackrest(inventory: Inventory) -> str:
    row = inventory.pgbackrest
    if row is None:
        return _ABSENT
    drill = f", proved on {row.drill.host or row.host}" if row.drill.host or row.drill.config else ""
    drill += f" by the file of {row.drill.config}" if row.drill.config else ""
    return f"is the stanza {row.stanza} on {row.host}, by the file of {row.config}{drill}"


def _cloud(inventory: Inventory) -> str:
    """Whom an administrator's session is shown to, and what it may change there."""
    row = inventory.cloud
    if row is None:
        return _ABSENT
    admin = f", as the profile {row.admin_profile}" if row.admin_profile else ""
    account = f"the account {row.account.credential}.{row.account.field}"
    where = row.api or f"AWS in {row.region}"
    users = f"the user {row.user.name}{f', {row.drill_user.name} for drills,' if row.drill_user else ''}"
    return f"is {where}{admin}, {account}, {users} and the bucket {row.bucket.name}"


def _schedule(inventory: Inventory) -> str:
    """What is started on the database's host, as root."""
    section = inventory.pgbackrest
    if section is None or section.schedule is None:
        return _ABSENT
    row = section.schedule
    times = ", ".join(f"{type_} at {line}" for type_, line in row.starts.items())
    return f"starts backups of {section.stanza} by {row.by} of {row.host}: {times} ({row.timezone})"


def _timers(inventory: Inventory) -> str:
    """What is started here without anybody who is asked, and who is told of what is due."""
    if inventory.timers is None:
        return _ABSENT
    told = [f"{name} at {timer.at}" for name, timer in inventory.timers.jobs.items()]
    told += [f"runs {shlex.join(argv)}" for timer in inventory.timers.jobs.values() for argv in timer.notify]
    return f"starts by {inventory.timers.by}: {', '.join(told) or 'nothing'}"


_SECTIONS: Mapping[str, Callable[[Inventory], str]] = {
    "postgres": _postgres,
    "pgbackrest": _pgbackrest,
    "cloud": _cloud,
    "schedule": _schedule,
    "timers": _timers,
}
SECTIONS = tuple(_SECTIONS)
"""The sections of the inventory that say where something is asked or started."""


def _copy(inventory: Inventory, row: Copy, home: Path) -> str:
    sealed = f", encrypted to {row.age}" if row.age else ""
    if row.kind == "rclone":
        return f"goes to {row.remote} by rclone{sealed}"
    if row.volume is not None:
        return f"goes to the drive {row.volume.label or row.volume.uuid}, folder {row.path or '/'}{sealed}"
    return f"goes to the folder {os.path.realpath(inventory.locate(row.path or '', home=home))}{sealed}"


def _destination(inventory: Inventory, row: Destination, home: Path, draft: Draft) -> Iterator[str]:
    owner = f", owner {row.owner}" if row.owner else ""
    place = f"{row.path} on {row.host}" if row.is_remote else str(_real(inventory, row, home))
    yield f"is {place}, mode {row.mode:04o}{owner}"
    if row.value is not None:
        yield f"is made of {row.value.credential}.{row.value.field}"
    else:
        yield f"is made of {row.template}, as {row.dialect}"
    for name, credential in row.uses.items():
        yield f"uses {name} = {credential}"
    for name, value in draft.variables.items():
        yield f"sets {name} = {value}"
    yield from _lines(draft.text if row.builtin is None else None)  # a built-in text comes with the program
    for argv in row.after:
        yield f"runs {shlex.join(argv)}"
    if row.prove is not None:
        yield f"is proved by {row.prove}"


def _lines(text: str | None) -> Iterator[str]:
    """What a template writes. The lines are for the person; the sum is for their order, which may matter as much."""
    if text is None:
        return
    lines = (line.strip() for line in text.split("\n"))
    for line in dict.fromkeys(line for line in lines if line and not line.startswith("#")):
        yield f"writes {line}"
    yield f"{_SUM}{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _real(inventory: Inventory, row: Destination, home: Path) -> Path:
    """Where a local file really goes: a link among its folders may come with the repository, too."""
    path = inventory.locate(row.path, home=home)
    return Path(os.path.realpath(path.parent), path.name)


def _stays(inventory: Inventory, row: Destination, home: Path) -> bool:
    if row.is_remote or row.after or row.prove or row.mode & 0o177:
        return False
    return _real(inventory, row, home).is_relative_to(os.path.realpath(inventory.folder))
