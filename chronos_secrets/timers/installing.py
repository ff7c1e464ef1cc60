"""Timers on their host: what is there now, and how it becomes what it should be. Only our own files are touched."""

import hashlib
import os
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import Refused, TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files
from chronos_secrets.systems.hosts import Host
from chronos_secrets.systems.hosts.words import last_words
from chronos_secrets.timers import crontab, texts
from chronos_secrets.timers.plans import File, Plan

_TIMEOUT = 60.0  # seconds for a question to systemd or cron
# Arguments: paths. Of each a line with its size, and so many bytes; "-" for what is not there. In one go: each call of
# a host over ssh takes a third of a second.
_READ = r"""
for path; do
    if [ -f "$path" ]; then
        size=$(wc -c < "$path") || exit 1
        printf '%s\n' "$((size))"
        head -c "$((size))" "$path" || exit 1
    else
        echo -
    fi
done
"""
_PRESENT = 'PATH=$1; shift; for each; do command -v "$each" >/dev/null || echo "$each"; done'
_NO_CRONTAB = ("no crontab", "no such file")  # what cron says of a user who has none
_ALIVE = frozenset({"running", "degraded", "starting", "initializing", "maintenance"})


class Found(NamedTuple):
    """What is on a host now: contents by path (only of files that are there), and the crontab ("" for none)."""

    files: dict[str, bytes]
    crontab: str
    alive: bool  # whether what is to start the timers runs there: systemd, or cron
    systemd: bool  # whether systemd does


class Change(NamedTuple):
    """One thing that installing or removing does. `file` is None where it goes, and for the lines of a crontab."""

    does: str  # write, remove
    path: str
    file: File | None = None


CRONTAB = "the crontab"
"""The path of a change to the lines of the user's crontab."""


def look(plan: Plan, host: Host) -> Found:
    """What is there now. Raises Refused where a file is not ours, TargetFailed."""
    contents = read(host, plan.possible)
    foreign = [path for path, content in contents.items() if not texts.is_ours(content, plan.project)]
    wanted = {file.path for file in plan.files}
    if in_the_way := [path for path in foreign if path in wanted]:
        raise Refused(
            f"{in_the_way[0]} on {host.name} was not made by this program for {plan.project}",
            details=[f"{path} is not ours, either" for path in in_the_way[1:]],
            hint=f"{host.paste(('mv', in_the_way[0], f'{in_the_way[0]}.before'))}    # if nothing else needs it",
        )
    ours = {path: content for path, content in contents.items() if path not in foreign}
    systemd = _systemd_runs(plan, host)
    alive = systemd if plan.by == "systemd" else _cron_runs(host)
    return Found(ours, _crontab(plan, host) if plan.own else "", alive, systemd)


def read(host: Host, paths: Sequence[str]) -> dict[str, bytes]:
    """The contents of those files that are there, by path. Raises TargetFailed."""
    ran = host.run(("sh", "-c", _READ, "sh", *paths), timeout=_TIMEOUT)
    if ran.status != 0:
        raise TargetFailed(f"the timers' files on {host.name} cannot be read: {last_words(ran.err)}")
    found, left = {}, ran.out
    for path in paths:
        size, _, left = left.partition(b"\n")
        if size != b"-":
            found[path], left = left[: int(size)], left[int(size) :]
    return found


def changes(plan: Plan, found: Found) -> list[Change]:
    """What is to be done so that what is there is as planned; what is not planned any more goes first."""
    wanted = {file.path for file in plan.files}
    gone = [Change("remove", path) for path in found.files if path not in wanted]
    written = [
        Change("write", file.path, file) for file in plan.files if found.files.get(file.path) != file.text.encode()
    ]
    lines = [Change("write" if plan.crontab else "remove", CRONTAB)] if _crontab_differs(plan, found) else []
    return [*gone, *written, *lines]


def require_startable(plan: Plan, host: Host) -> None:
    """Raises Refused where the host lacks a program that its timers call, TargetFailed where it is away."""
    if plan.own and plan.crontab and _missing(host, os.environ.get("PATH", texts.PATH), "crontab"):
        raise Refused(f"{host.name} has no program crontab", hint="by: systemd in timers:    # in the inventory")
    if plan.own or not plan.timers:
        return
    if missing := _missing(host, texts.PATH, "flock", plan.engine or "pgbackrest"):
        raise Refused(
            f"{host.name} has no program {missing[0]}, which its timers call",
            hint=host.paste(("sh", "-c", f"PATH={texts.PATH}; command -v {missing[0]}")),
        )


def _missing(host: Host, path: str, *programs: str) -> list[str]:
    """Those programs that a host does not have. Raises TargetFailed."""
    return host.run(("sh", "-c", _PRESENT, "sh", path, *programs), timeout=_TIMEOUT).out.decode().split()


def apply(plan: Plan, host: Host, found: Found, wanted: list[Change]) -> None:
    """Do what `changes` said, and have systemd know it where it runs. Raises what the host raises; run it again."""
    going = [posixpath.basename(each.path) for each in wanted if each.does == "remove"]
    stopped = tuple(name for name in going if name.endswith(".timer"))
    if stopped and found.systemd:
        _systemctl(plan, host, "disable", "--now", *stopped)
    for each in wanted:
        if each.path == CRONTAB:
            _write_crontab(plan, host, found)
        elif each.file is None:
            _remove(host, each.path)
        else:
            _write(plan, host, each.file, found.files.get(each.path))
    if found.systemd and any(each.path.endswith((".timer", ".service")) for each in wanted):
        _systemctl(plan, host, "daemon-reload")


def activate(plan: Plan, host: Host, wanted: list[Change]) -> list[str]:
    """Enable and start the timers that are not, and those whose units changed anew; which they are. For systemd."""
    states = unit_states(plan, host)
    changed = {posixpath.basename(each.path) for each in wanted if each.file is not None}
    idle = [unit for unit in plan.units if states.get(unit) != ("active", "enabled")]
    if idle:
        _systemctl(plan, host, "enable", "--now", *idle)
    if anew := [unit for unit in plan.units if unit in changed and unit not in idle]:
        _systemctl(plan, host, "restart", *anew)
    return idle


def left_to_do(plan: Plan, host: Host) -> str | None:
    """What a person runs once systemd does, where it did not; None where nothing is left."""
    if not plan.units:
        return None
    manager = " ".join(plan.manager)
    return host.paste(("sh", "-c", f"{manager} daemon-reload && {manager} enable --now {' '.join(plan.units)}"))


def unit_states(plan: Plan, host: Host) -> dict[str, tuple[str, str]]:
    """How systemd has each timer, ("active", "enabled") where it is as it should be, and what each starts."""
    asked = (*plan.units, *plan.services)
    ran = host.run((*plan.manager, "show", "--property=Id,ActiveState,UnitFileState", *asked), timeout=_TIMEOUT)
    found = {}
    for block in ran.out.decode(errors="replace").split("\n\n"):
        facts = dict(line.partition("=")[::2] for line in block.splitlines())
        found[facts.get("Id", "")] = facts.get("ActiveState", ""), facts.get("UnitFileState", "")
    return found


def lingers(host: Host) -> bool | None:
    """Whether this user's systemd runs without a login; None where nobody can tell."""
    try:
        ran = host.run(("loginctl", "show-user", "--property=Linger", "--value", str(os.getuid())), timeout=_TIMEOUT)
    except TargetFailed:
        return None
    said = ran.out.decode(errors="replace").strip()
    return said == "yes" if said in ("yes", "no") else None


def handed_over(plan: Plan, timer: str) -> bool:
    """Whether a drop-in of a timer's service loads a credential for it (systemd.exec(5))."""
    unit = next((file.path for file in plan.files if file.path.endswith(f"-{timer}.service")), None)
    if unit is None:
        return False
    folder = Path(f"{unit}.d")
    try:
        return any(_loads(each.read_text(errors="replace"), plan.project) for each in sorted(folder.glob("*.conf")))
    except OSError:
        return False


def _loads(text: str, project: str) -> bool:
    keys = ("LoadCredential=", "LoadCredentialEncrypted=", "SetCredentialEncrypted=")
    name = f"chronos-secrets.{project}:"
    return any(line.strip().startswith(tuple(f"{key}{name}" for key in keys)) for line in text.splitlines())


def _systemd_runs(plan: Plan, host: Host) -> bool:
    try:
        said = host.run((*plan.manager, "is-system-running"), timeout=_TIMEOUT).out
    except TargetFailed:
        return False
    return said.decode(errors="replace").strip() in _ALIVE


def _cron_runs(host: Host) -> bool:
    try:
        return host.run(("pgrep", "-x", "cron|crond"), timeout=_TIMEOUT).status == 0
    except TargetFailed:
        return False


def _systemctl(plan: Plan, host: Host, *words: str) -> None:
    argv = (*plan.manager, *words)
    ran = host.run(argv, timeout=_TIMEOUT)
    if ran.status != 0:
        said = ran.err.decode(errors="replace").strip().splitlines()
        raise TargetFailed(
            f"systemctl {words[0]} on {host.name} failed with status {ran.status}", details=said, hint=host.paste(argv)
        )


def _write(plan: Plan, host: Host, file: File, before: bytes | None) -> None:
    if plan.own:
        try:
            files.private_folder(Path(file.path).parent)
        except OSError as error:
            folder = posixpath.dirname(file.path)
            raise Refused(f"the folder {folder} cannot be made: {files.reason(error)}") from error
    replaces = hashlib.sha256(before).hexdigest() if before is not None else None
    host.place(file.path, Secret(file.text), mode=file.mode, owner=plan.owner, replaces=replaces)


def _remove(host: Host, path: str) -> None:
    argv = ("rm", "-f", "--", path)
    if host.run(argv, timeout=_TIMEOUT).status != 0:
        raise TargetFailed(f"{path} on {host.name} could not be removed", hint=host.paste(argv))


def _crontab(plan: Plan, host: Host) -> str:
    """The user's crontab, "" where there is none. Raises TargetFailed: one that cannot be read must not be replaced."""
    if _missing(host, os.environ.get("PATH", texts.PATH), "crontab"):
        return ""
    argv = ("crontab", "-l")
    ran = host.run(argv, timeout=_TIMEOUT)
    said = ran.err.decode(errors="replace").strip()
    if ran.status != 0 and plan.by == "cron" and not any(words in said.lower() for words in _NO_CRONTAB):
        raise TargetFailed("your crontab cannot be read", details=said.splitlines(), hint=host.paste(argv))
    return ran.out.decode(errors="surrogateescape") if ran.status == 0 else ""


def _crontab_differs(plan: Plan, found: Found) -> bool:
    try:
        return (crontab.ours(found.crontab, plan.project) or ()) != plan.crontab
    except crontab.Unbalanced:
        raise _unbalanced(plan) from None


def _write_crontab(plan: Plan, host: Host, found: Found) -> None:
    new = crontab.with_ours(found.crontab, plan.project, plan.crontab)
    if _crontab(plan, host) != found.crontab:
        raise Refused("your crontab was changed meanwhile; nothing was written to it", hint="run the command again")
    ran = host.run(("crontab", "-"), stdin=new.encode(errors="surrogateescape"), timeout=_TIMEOUT)
    if ran.status != 0:
        said = ran.err.decode(errors="replace").strip().splitlines()
        raise TargetFailed("crontab did not take the new lines", details=said, hint="crontab -l")


def _unbalanced(plan: Plan) -> Refused:
    message = f"in your crontab, the marks around the lines of {plan.project} are not whole"
    return Refused(message, hint="crontab -e    # remove the marks, and the lines that were between them")
