"""Where the database answers on this machine: straight, or at the end of an ssh that is made for one connection."""

from collections.abc import Iterator
from contextlib import contextmanager

from chronos_secrets.inventory.model import LOCAL, Inventory, Postgres
from chronos_secrets.systems.answers import CannotTell

_LOOPBACK = "127.0.0.1"


@contextmanager
def database(inventory: Inventory, section: Postgres) -> Iterator[tuple[str, int]]:
    """Where one connection to the database goes, for the block: a host or a folder with a socket, and a port.

    Raises CannotTell where the inventory does not say how to get there, TargetFailed where ssh does not.
    """
    from chronos_secrets.systems import forward, logins
    from chronos_secrets.systems.hosts import Ssh

    alias, connect = _alias(inventory, section.host), section.connect
    if alias is None:
        yield _LOOPBACK, connect.port if connect else section.port
    elif connect is None:
        raise CannotTell(
            "the inventory does not say how this machine reaches the database",
            hint="in inventory.yaml, below postgres: connect: {via: ssh-forward}    # or direct",
        )
    elif connect.via == "direct":
        yield logins.address(alias), connect.port
    else:
        with forward.forwarded(Ssh(alias), connect.port, name=f".s.PGSQL.{connect.port}") as folder:
            yield str(folder), connect.port


def _alias(inventory: Inventory, name: str) -> str | None:
    """The ssh alias of a host, or of the host that the containers around it run on; None for this machine."""
    while name != LOCAL:
        row = inventory.hosts[name]
        if row.container is None:
            return row.ssh or name
        name = row.inside or LOCAL
    return None
