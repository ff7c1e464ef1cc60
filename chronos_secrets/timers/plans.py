"""What the inventory wants to be started by a clock, as files of two hosts: the database's and this machine. Pure."""

import posixpath
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import NamedTuple

from chronos_secrets.inventory.model import LOCAL, Inventory
from chronos_secrets.timers import texts

CRON_FILE = "/etc/cron.d/pgbackrest"
_SYSTEM_UNITS = "/etc/systemd/system"
_ENDINGS = ("service", "timer")
_DELAY = "5min"  # so that not every machine of a team asks AWS or the database in the same second
_TYPES = ("full", "diff", "incr")
JOBS: Mapping[str, tuple[str, ...]] = {
    "due": ("due", "--within", "0d"),
    "rotate": ("rotate", "--due"),
    "copies": ("vault", "copy"),
}
"""What runs on the operator's machine: the words of this program, by the name of the timer."""
NEEDS_VAULT = frozenset({"rotate", "copies"})


class File(NamedTuple):
    """A file of a timer. `timers` are the names of those that need it."""

    path: str
    text: str
    mode: int
    timers: tuple[str, ...]


class Timer(NamedTuple):
    """One thing that is started by a clock."""

    name: str  # full, diff, incr, due, rotate or copies
    line: str  # five cron fields
    zone: str
    unit: str  # of systemd, without its ending
    does: str  # in words for a person


class Plan(NamedTuple):
    """All timers of one host. `possible` are the files that there could be of us, whatever the inventory says now."""

    project: str
    host: str  # an id of the inventory, or local
    by: str  # systemd or cron
    own: bool  # the user's own units and crontab, and not the system's
    timers: tuple[Timer, ...]
    files: tuple[File, ...]
    possible: tuple[str, ...]
    crontab: tuple[str, ...]  # lines of the user's own crontab
    engine: str | None = None  # docker or podman, where that has to be there
    stanza: str | None = None

    @property
    def starter(self) -> str:
        """What has to run for the timers to be started, as a person knows it."""
        return "systemd --user" if self.own and self.by == "systemd" else self.by

    @property
    def owner(self) -> str | None:
        """Whom the files belong to; None for whoever installs them."""
        return None if self.own else "root:root"

    @property
    def units(self) -> tuple[str, ...]:
        """The timers that systemd has to know."""
        return tuple(f"{each.unit}.timer" for each in self.timers) if self.by == "systemd" else ()

    @property
    def services(self) -> tuple[str, ...]:
        """What those timers start, in their order."""
        return tuple(f"{each.unit}.service" for each in self.timers) if self.by == "systemd" else ()

    @property
    def manager(self) -> tuple[str, ...]:
        """How the systemd that has them is called."""
        return ("systemctl", "--user") if self.own else ("systemctl",)


class Here(NamedTuple):
    """This machine: how the program is called on it, and where the user's units are."""

    program: tuple[str, ...]  # absolute, with the options that say where the inventory and the vault are
    environment: Mapping[str, str]  # what such a call needs besides
    units: str  # a folder


def backups(inventory: Inventory, home: PurePath) -> Plan | None:
    """The timers of the database's host; None where the inventory has no schedule of backups."""
    section = inventory.pgbackrest
    if section is None or section.schedule is None:
        return None
    schedule, project = section.schedule, inventory.project
    stem = f"chronos-secrets-{project}"
    script, rotation, *_ = _possible(project)
    timers = tuple(
        Timer(type_, line, schedule.timezone, f"{stem}-{type_}", f"{type_} backup of the stanza {section.stanza}")
        for type_, line in schedule.starts.items()
    )
    names = tuple(each.name for each in timers)
    engine, argv = _pgbackrest(inventory, home)
    shared = (
        File(script, texts.backup_script(project, section.stanza, names, argv), 0o755, names),
        File(rotation, texts.logrotate(project, [texts.log(name) for name in names]), 0o644, names),
    )
    if schedule.by == "cron":
        lines = [texts.crontab_line(each.line, ("/bin/sh", script, each.name), user="root") for each in timers]
        started = [File(CRON_FILE, texts.cron_file(project, lines, schedule.timezone), 0o644, names)]
    else:
        started = [file for each in timers for file in _system_units(project, each, script)]
    return Plan(
        project, schedule.host, schedule.by, own=False, timers=timers, files=(*shared, *started),
        possible=_possible(project), crontab=(), engine=engine, stanza=section.stanza,
    )  # fmt: skip


def abandoned(inventory: Inventory, host: str) -> Plan:
    """A host on which the timers of backups were installed, and which has none any more: all of them are to go."""
    project = inventory.project
    return Plan(project, host, "systemd", own=False, timers=(), files=(), possible=_possible(project), crontab=())


def _possible(project: str) -> tuple[str, ...]:
    """Every file that the timers of backups can have on their host: first the script and the rotation of its logs."""
    stem = f"chronos-secrets-{project}"
    units = [f"{_SYSTEM_UNITS}/{stem}-{each}.{ending}" for each in _TYPES for ending in _ENDINGS]
    return f"/usr/local/sbin/{stem}-backup", f"/etc/logrotate.d/{stem}", CRON_FILE, *units


def own(inventory: Inventory, here: Here) -> Plan:
    """The timers of this machine; those of a plan without any are all to go."""
    wanted, project = inventory.timers, inventory.project
    stem = f"chronos-secrets-{project}"
    by = wanted.by if wanted else "systemd"
    timers = tuple(
        Timer(name, row.at, inventory.timezone, f"{stem}-{name}", f"chronos-secrets {' '.join(JOBS[name])}")
        for name, row in (wanted.jobs.items() if wanted else ())
    )
    placed = ("env", *(f"{name}={value}" for name, value in here.environment.items())) if here.environment else ()
    calls = [(each.line, (*placed, *_started(here, each.name))) for each in timers] if by == "cron" else []
    files = [file for each in timers for file in _own_units(project, each, here)] if by == "systemd" else []
    return Plan(
        project, LOCAL, by, own=True, timers=timers, files=tuple(files),
        possible=tuple(posixpath.join(here.units, f"{stem}-{name}.{ending}") for name in JOBS for ending in _ENDINGS),
        crontab=tuple(texts.crontab_line(line, argv) for line, argv in calls),
    )  # fmt: skip


def fault(here: Here) -> str | None:
    """What keeps a call of the program out of a unit, in words; None where nothing does."""
    words = (*here.program, *here.environment.values(), here.units)
    found = next((each for each in words if not each.isprintable()), None)
    return None if found is None else "a path with a character that cannot be printed"


def _pgbackrest(inventory: Inventory, home: PurePath) -> tuple[str | None, tuple[str, ...]]:
    """The container engine, where there is one, and the command for pgBackRest but for type and command."""
    section = inventory.pgbackrest
    assert section is not None  # noqa: S101  the caller has looked
    file = inventory.destinations[section.config]
    argv = ("pgbackrest", f"--config={inventory.path_of(file, home=home)}", f"--stanza={section.stanza}")
    row = inventory.hosts.get(section.host)
    if row is None or row.container is None:
        return None, ("runuser", "-u", file.account, "--", *argv) if file.account else argv
    user = file.account or row.user
    return row.engine, (row.engine, "exec", *(("-u", user) if user else ()), row.container, *argv)


def _system_units(project: str, each: Timer, script: str) -> Iterable[File]:
    of = f"{each.does[:1].upper()}{each.does[1:]}"
    place = f"{_SYSTEM_UNITS}/{each.unit}"
    service = texts.backup_service(project, of, ("/bin/sh", script, each.name))
    yield File(f"{place}.service", service, 0o644, (each.name,))
    yield File(f"{place}.timer", texts.timer(project, of, each.line, each.zone, delay=None), 0o644, (each.name,))


def _own_units(project: str, each: Timer, here: Here) -> Iterable[File]:
    of, place = f"{each.does} ({project})", posixpath.join(here.units, each.unit)
    service = texts.own_service(project, of, _started(here, each.name), here.environment)
    yield File(f"{place}.service", service, 0o644, (each.name,))
    yield File(f"{place}.timer", texts.timer(project, of, each.line, each.zone, delay=_DELAY), 0o644, (each.name,))


def _started(here: Here, name: str) -> tuple[str, ...]:
    return (*here.program, "schedule", "run", name)
