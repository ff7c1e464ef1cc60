"""The timers of the inventory on this machine and on the database's host: what they call, and what they need."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

from chronos_secrets.cli import PROGRAM, memory, trust
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Refused, UsageError
from chronos_secrets.inventory.model import LOCAL
from chronos_secrets.review import timers as review
from chronos_secrets.settings import Setting, xdg
from chronos_secrets.timers import installing, plans, record
from chronos_secrets.timers.plans import Here, Plan

_FOLDERS = {"XDG_CONFIG_HOME": ".config", "XDG_STATE_HOME": ".local/state", "XDG_DATA_HOME": ".local/share"}
_HERE_ALONE = ("command line:", "environment:")  # origins of settings that a timer would not find by itself


def of(session: Session, host: str | None = None) -> list[Plan]:
    """The timers of each host that has any, or those of the host named. Raises UsageError, Refused."""
    own = plans.own(session.inventory, here(session))
    found = [each for each in (plans.backups(session.inventory, session.home), own) if each is not None]
    found += [plans.abandoned(session.inventory, each) for each in _abandoned(session, found)]
    if host is None:
        return found
    chosen = [each for each in found if each.host == host]
    if not chosen:
        known = ", ".join(dict.fromkeys(each.host for each in found))
        raise UsageError(f"no timer belongs to the host '{host}'", hint=f"hosts with timers: {known}")
    return chosen


def _abandoned(session: Session, found: list[Plan]) -> list[str]:
    """The hosts on which timers were installed from here, and for which the inventory has none any more."""
    planned, installed = {each.host for each in found}, record.load(record_path(session)).installed
    return [each for each in installed if each not in planned and each in session.inventory.hosts]


def here(session: Session) -> Here:
    """How a timer of this machine calls this program. Raises Refused for a path that no unit can hold."""
    units = xdg(os.environ, "XDG_CONFIG_HOME", session.home / ".config") / "systemd" / "user"
    found = Here((*program(), *_flags(session)), _environment(session), str(units))
    if (fault := plans.fault(found)) is not None:
        raise Refused(f"no timer can be made: {fault} stands in its way", hint="move the project to another folder")
    return found


def program() -> tuple[str, ...]:
    """How this program was called, in absolute words."""
    script = Path(os.path.abspath(sys.argv[0]))
    if script.name == PROGRAM and os.access(script, os.X_OK):
        return (str(script),)
    return (sys.executable, "-m", "chronos_secrets")


def _flags(session: Session) -> Iterator[str]:
    yield from ("--inventory", str(session.inventory.path))
    for name, setting in (("--vault", session.settings.vault), ("--key-file", session.settings.key_file)):
        if setting.value and _is_here_alone(setting):
            yield from (name, setting.value)


def _environment(session: Session) -> dict[str, str]:
    """The folders that are elsewhere than usual: a service of systemd does not know the shell's variables."""
    usual = {name: session.home / below for name, below in _FOLDERS.items()}
    found = {name: str(xdg(os.environ, name, path)) for name, path in usual.items()}
    moved = {name: path for name, path in found.items() if path != str(usual[name])}
    config = session.settings.config
    return moved | ({"CHRONOS_SECRETS_CONFIG": config.value} if config.value and _is_here_alone(config) else {})


def _is_here_alone(setting: Setting) -> bool:
    return setting.origin.startswith(_HERE_ALONE)


def require_trusted(session: Session, found: list[Plan]) -> None:
    """Raises Refused unless what the timers start, and where, is accepted on this machine."""
    sections = ["timers" if each.own else "schedule" for each in found if each.timers]
    trust.require(session, hosts=[each.host for each in found if each.host != LOCAL], sections=sections)


def record_path(session: Session) -> Path:
    """Where this machine keeps how its timers ran."""
    return session.settings.state_folder / record.FILE


def warnings(session: Session, found: list[Plan]) -> Iterator[str]:
    """What a person should know of the times of the backups."""
    for each in found:
        if not each.own and each.timers:
            lines = {timer.name: timer.line for timer in each.timers}
            if (said := review.near(lines, ZoneInfo(each.timers[0].zone), session.now())) is not None:
                yield said


def left_behind(found: list[Plan]) -> Iterator[str]:
    """Where timers still are that the inventory has no more: they go on making backups."""
    for each in found:
        if not each.own and not each.timers:
            yield f"{each.host} has timers that the inventory has no more; to remove: chronos-secrets schedule install"


def troubles(session: Session, plan: Plan) -> Iterator[tuple[str, str]]:
    """Why timers of this machine would fail whenever they run: the timer's name, and the reason with its remedy."""
    for timer in plan.timers if plan.own else ():
        if timer.name in plans.NEEDS_VAULT and not _has_password(session, plan, timer.name):
            yield timer.name, f"nothing hands it the vault's password; {_remedy(session, plan, timer.unit)}"
        if timer.name == "rotate" and not session.settings.rotates_here:
            config, project = session.settings.config.value, session.settings.project
            yield (
                timer.name,
                f"this machine does not rotate by itself: rotate_here = true below [{project}] in {config}",
            )


def circumstances(session: Session, plan: Plan) -> Iterator[str]:
    """When timers of this machine would not run, or not succeed, though nothing is wrong with them."""
    if not plan.own or not plan.timers:
        return
    lingering = installing.lingers(session.host(LOCAL)) if plan.by == "systemd" else None
    if plan.by == "systemd" and not lingering:
        off = "lingering is off" if lingering is False else "whether lingering is on is not known"
        yield f"{off}: without it these timers run only while you are logged in; to let them: loginctl enable-linger"
    asked = [each for each in plan.timers if each.name in plans.NEEDS_VAULT]
    for each in asked:
        if not installing.handed_over(plan, each.name) and _is_remembered(session):
            yield (
                f"{each.name}: a keyring is closed while nobody is logged in, and it fails then; "
                f"{_remedy(session, plan, each.unit)}"
            )


def _has_password(session: Session, plan: Plan, name: str) -> bool:
    return _is_remembered(session) or installing.handed_over(plan, name)


def _is_remembered(session: Session) -> bool:
    from chronos_secrets.vault import remembered

    mark = remembered.mark(session.settings.state_folder)
    return mark is not None and mark.asked


def _remedy(session: Session, plan: Plan, unit: str) -> str:
    if plan.by == "cron":
        return "to remember it: chronos-secrets unlock --remember"
    line = f"LoadCredential=chronos-secrets.{session.inventory.project}:FILE"
    return f"to hand it over: systemctl --user edit {unit}.service, with [Service] and {line}"


def remember_installed(session: Session, plan: Plan, *, there: bool, anew: bool) -> None:
    """Keep since when the timers of a host are there, or `anew` as they are. Raises Refused, Busy.

    What a timer should have done before it got its time was never missed.
    """
    path = record_path(session)
    known = record.load(path)
    if there == (plan.host in known.installed) and not (there and anew):
        return
    record.note_installed(path, plan.host, session.now() if there else None)
    memory.record_or_say(session, "schedule-install" if there else "schedule-remove", plan.host)
