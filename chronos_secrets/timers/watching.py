"""Timers that were installed: whether they still are what they should be, and whether anything starts them."""

from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from chronos_secrets.errors import Refused
from chronos_secrets.systems.hosts import Host
from chronos_secrets.timers import installing
from chronos_secrets.timers.plans import Plan

_TIMEOUT = 60.0  # seconds
_MONTHS = 13
_OFFSETS = 'for at; do date -d "@$at" +%z 2>/dev/null || date -r "$at" +%z || exit 1; done'


class Standing(NamedTuple):
    """How a timer stands on its host."""

    unlike: tuple[str, ...]  # in what it is not as installing would make it
    failed: str | None  # what systemd says of its last start, which may have left no record


def standing(plan: Plan, host: Host) -> dict[str, Standing]:
    """How each timer stands, by its name. Raises Refused, TargetFailed as `installing.look` does."""
    found = installing.look(plan, host)
    changes = {each.path: each for each in installing.changes(plan, found)}
    states = installing.unit_states(plan, host) if plan.units and found.alive else {}
    told = {}
    for timer in plan.timers:
        needed = [file.path for file in plan.files if timer.name in file.timers]
        needed += [installing.CRONTAB] if plan.crontab else []
        absent = [path for path in needed if path in changes and path not in found.files]
        differs = [path for path in needed if path in changes and path in found.files]
        problems = [f"{path} is not there" for path in absent if path != installing.CRONTAB]
        problems += [f"{path} is not what it should be" for path in differs]
        problems += ["your crontab does not have its line"] if installing.CRONTAB in absent else []
        problems += _idle(plan, host, f"{timer.unit}.timer", states, alive=found.alive)
        told[timer.name] = Standing(tuple(problems), _failed(plan, host, f"{timer.unit}.service", states))
    return told


def _idle(plan: Plan, host: Host, unit: str, states: dict[str, tuple[str, str]], *, alive: bool) -> list[str]:
    if not alive:
        return [f"{plan.starter} does not run on {host.name}"]
    if plan.by == "cron":
        return []
    active, enabled = states.get(unit, ("", ""))
    faults = [] if active == "active" else [f"{unit} is {active or 'unknown'}"]
    return [*faults, *([] if enabled == "enabled" else [f"{unit} is {enabled or 'not enabled'}"])]


def _failed(plan: Plan, host: Host, unit: str, states: dict[str, tuple[str, str]]) -> str | None:
    if states.get(unit, ("", ""))[0] != "failed":
        return None
    return f"it was started and failed; to see why: {host.paste((*plan.manager, 'status', unit))}"


def require_zone(plan: Plan, host: Host, now: datetime) -> None:
    """Raises Refused where cron of the host lives in another time than the plan means. systemd takes a zone."""
    if plan.by != "cron" or not plan.timers:
        return
    zone = ZoneInfo(plan.timers[0].zone)
    moments = [now + timedelta(days=30 * number) for number in range(_MONTHS)]
    wanted = [at.astimezone(zone).strftime("%z") for at in moments]
    argv = ("sh", "-c", _OFFSETS, "sh", *(str(int(at.timestamp())) for at in moments))
    if host.run(argv, timeout=_TIMEOUT).out.decode(errors="replace").split() != wanted:
        raise Refused(
            f"cron on {host.name} goes by another clock than {zone.key}, which these times are meant in",
            details=["Debian's cron obeys no CRON_TZ; a timer of systemd takes a timezone"],
            hint=f"{'by: systemd' if not plan.own else 'by: systemd in timers:'}    # in the inventory",
        )
