"""Destinations on other hosts: looked at before anything is written, made here, placed there by the host's own door.

The vault and its password stay on this machine; a host gets the finished file through a pipe and nothing else.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import ChronosError, TargetFailed
from chronos_secrets.inventory.model import LOCAL, Inventory
from chronos_secrets.render.compose import Draft
from chronos_secrets.render.plan import Current, Plan, compose
from chronos_secrets.render.values import Values
from chronos_secrets.secret import Secret
from chronos_secrets.systems.hosts import Container, Host, Seen

Hosts = Callable[[str], Host]
"""Gives the host that an id of the inventory names."""

_LIMIT = 4 * 1024 * 1024  # bytes of an old file that are read


class Probed(NamedTuple):
    """A destination's host, and what was seen there."""

    host: Host
    seen: Seen


def probe(drafts: Iterable[Draft], hosts: Hosts, *, without: str | None) -> dict[str, Probed]:
    """Look at the place of every draft that belongs elsewhere; by destination id. Needs no vault.

    `without` is the command that does the rest and asks no host, if there is a rest.

    Raises TargetFailed where a host is away, Refused where no file could be placed: nothing was written then.
    """
    found = {}
    for draft in drafts:
        row = draft.destination
        host = hosts(row.host)
        try:
            found[row.id] = Probed(host, host.look(row.path, owner=row.owner))
        except TargetFailed as error:
            raise TargetFailed(
                f"{error.message}; nothing was written",
                details=[f"for this machine's files alone: {without}"] if without else [],
                hint=error.hint,
            ) from error
    return found


def plan(draft: Draft, probed: Probed, inventory: Inventory, values: Values) -> Plan:
    """Compose a destination of another host and compare it, by hash, with what was seen there.

    The old file is fetched only where it differs: for the person's own lines in it, and to see whose it is.
    Raises what `destinations.plan` raises, and TargetFailed.
    """
    host, seen = probed
    path, where = draft.destination.path, f"{draft.destination.host}:{draft.destination.path}"
    made = compose(draft, None, where, inventory, values)
    there: bytes | None = None
    if seen.sha256 == hashlib.sha256(made.content.reveal_bytes()).hexdigest():
        there = made.content.reveal_bytes()
    elif seen.sha256 is not None:
        there = host.read(path, _LIMIT)
        made = compose(draft, there, where, inventory, values)
    current = Current(None, 0, None, ours=True)
    if there is not None:
        current = Current(Secret(there), seen.mode, seen.owner, made.ours)
    return Plan(draft, Path(path), made.content, made.rows, seen.wanted, current, host)


def readers_of_the_old(written: Plan, inventory: Inventory, hosts: Hosts) -> Iterator[tuple[str, str]]:
    """Containers that go on reading the file that was replaced, because it alone is mounted there: name and path.

    Only those that the inventory names, on the file's own host. One that cannot be asked is left out.
    """
    for row in inventory.hosts.values():
        container = hosts(row.id) if row.container and (row.inside or LOCAL) == written.draft.destination.host else None
        if isinstance(container, Container):
            with contextlib.suppress(ChronosError):
                if mount := container.holds_alone(str(written.path)):
                    yield container.name, mount.inside
