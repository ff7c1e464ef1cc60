"""Where the backups are made: pgBackRest, its file and the database, as the inventory names them."""

from typing import NamedTuple

from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Refused
from chronos_secrets.inventory.model import Destination, PgBackRest, Postgres
from chronos_secrets.pgbackrest.runner import Runner
from chronos_secrets.pgbackrest.server import Server
from chronos_secrets.pgbackrest.settings import Wanted
from chronos_secrets.systems.hosts import Host


class Place(NamedTuple):
    """One host with pgBackRest on it. `account` is who runs it there; None for whoever the host runs programs as."""

    section: PgBackRest
    database: Postgres
    file: Destination
    config: str  # absolute path of the file on the host
    host: Host
    account: str | None
    runner: Runner
    server: Server

    @property
    def wanted(self) -> Wanted:
        """What the inventory makes of the database's settings."""
        return Wanted(self.config, self.section.stanza, self.section.archive_timeout)


def of(session: Session, *, host: str | None = None, config: str | None = None) -> Place:
    """The place of the backups, or another one: `host` and `config` are ids of the inventory. Nothing is asked yet.

    Raises Refused where the inventory says nothing of it.
    """
    section, database = session.inventory.pgbackrest, session.inventory.postgres
    if section is None or database is None:
        raise Refused(
            "the inventory does not say where the backups are made",
            hint="docs/inventory.md, sections pgbackrest and postgres",
        )
    file = session.inventory.destinations[config or section.config]
    there, account = session.host(host or section.host), file.account
    made, path = runner(session, section, file, there), session.inventory.path_of(file, home=session.home)
    server = Server(there, account=account, role=database.role, database=database.database, port=database.port)
    return Place(section, database, file, path, there, account, made, server)


def runner(session: Session, section: PgBackRest, file: Destination, there: Host | None = None) -> Runner:
    """pgBackRest with a file, where the inventory says that it runs, or on another host."""
    return Runner(
        there or session.host(section.host),
        config=session.inventory.path_of(file, home=session.home),
        stanza=section.stanza,
        render=f"chronos-secrets render {file.id}",
        user=file.account,
    )
