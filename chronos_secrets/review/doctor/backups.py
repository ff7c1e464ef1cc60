"""The database backups, as far as that can be seen without asking pgBackRest: are its programs and its file fit?

pgBackRest never looks who may read its configuration, which holds the key of the bucket and the passphrase.
"""

import posixpath
from collections.abc import Iterator
from typing import NamedTuple

from chronos_secrets.inventory.model import LOCAL, Destination, PgBackRest, Postgres
from chronos_secrets.pgbackrest import settings
from chronos_secrets.pgbackrest.server import Server
from chronos_secrets.render import trust
from chronos_secrets.review.doctor import inventory as reach
from chronos_secrets.review.doctor.machine import Line, Machine, Project, note, ok, wrong
from chronos_secrets.systems.hosts import Host

_TIMEOUT = 30.0  # seconds
_VERSION = ("sh", "-c", "command -v psql >/dev/null && echo psql; pgbackrest version")
_MODE = 'stat -L -c "%a %U" "$1" 2>/dev/null || { [ -e "$1" ] && echo "- -"; }'
_APPLY = "chronos-secrets backup configure --apply"


class _Place(NamedTuple):
    """Where the backups are made."""

    section: PgBackRest
    database: Postgres
    file: Destination
    path: str
    host: Host
    account: str | None


def examine(machine: Machine) -> Iterator[Line]:
    """The host of the backups: looked at where it is this machine, else with --connect."""
    if machine.project is None:
        return
    section, database = machine.project.inventory.pgbackrest, machine.project.inventory.postgres
    if section is None or database is None:
        yield ok("none in the inventory")
        return
    if section.host != LOCAL and not machine.connect:
        yield ok("not looked at: on another host", "chronos-secrets doctor backups --connect")
        return
    if not _is_accepted(machine, machine.project):
        yield note(f"{section.host} is not called: it is not accepted on this machine", fix="chronos-secrets trust")
        return
    there = _place(machine, machine.project, section, database)
    yield from _programs(there)
    yield _config(there)
    if machine.connect:
        yield _archiving(there)


def _place(machine: Machine, project: Project, section: PgBackRest, database: Postgres) -> _Place:
    file = project.inventory.destinations[section.config]
    path = project.inventory.path_of(file, home=machine.home)
    return _Place(section, database, file, path, machine.host(section.host), file.account)


def _is_accepted(machine: Machine, project: Project) -> bool:
    used = trust.Used(sections=("postgres", "pgbackrest"))
    now = trust.reach(project.inventory, machine.home, used, machine.drafts)
    return not trust.grown(now, reach.accepted(machine, project).reach)


def _programs(there: _Place) -> Iterator[Line]:
    ran = there.host.run(_VERSION, timeout=_TIMEOUT)
    said = ran.out.decode(errors="replace").split()
    if ran.status != 0 or "pgBackRest" not in said:
        fix = there.host.paste(("sh", "-c", "command -v pgbackrest"))
        yield wrong(f"{there.host.name} has no program pgbackrest", fix=fix)
    else:
        yield ok(f"pgbackrest {said[-1]}", there.host.name)
    if "psql" not in said:
        fix = there.host.paste(("sh", "-c", "command -v psql"))
        yield wrong(f"{there.host.name} has no program psql, by which the database is asked", fix=fix)


def _config(there: _Place) -> Line:
    """Who may read it; `render` writes it 0600, but what it replaced or who copied it may not have."""
    render = f"chronos-secrets render {there.file.id}"
    ran = there.host.run(("sh", "-c", _MODE, "sh", there.path), timeout=_TIMEOUT)
    mode, _, owner = ran.out.decode(errors="replace").strip().partition(" ")
    if not mode:
        return wrong(f"{there.path} is not on {there.host.name}", fix=render)
    if not mode.isdigit():
        return note(f"who may read {there.path} cannot be told", fix=there.host.paste(("ls", "-l", there.path)))
    if int(mode, 8) & ~there.file.mode & 0o777:
        chmod = there.host.paste(("chmod", f"{there.file.mode:o}", there.path))
        return wrong(
            f"{there.path} can be used by others: mode {int(mode, 8):04o}; pgbackrest never says so", fix=chmod
        )
    if there.account and owner != there.account:
        return wrong(f"{there.path} belongs to {owner}, not to {there.account}", fix=render)
    return ok(f"{posixpath.basename(there.path)} is private", f"{there.path}: {int(mode, 8):04o} {owner}")


def _archiving(there: _Place) -> Line:
    """Whether the database ships its WAL with this very file."""
    database = there.database
    server = Server(
        there.host, account=there.account, role=database.role, database=database.database, port=database.port
    )
    wanted = settings.Wanted(there.path, there.section.stanza, there.section.archive_timeout)
    found = settings.differences(settings.read(server).all, wanted)
    if found:
        told = "; ".join(f"{each.setting.name}: {each.why}" for each in found)
        return wrong(f"the database is not set up for the backups: {told}", fix=_APPLY)
    return ok("the database archives its WAL")
