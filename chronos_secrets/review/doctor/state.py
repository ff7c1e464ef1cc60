"""What this machine keeps of the project: is it private, is its history whole, can its clock be right?"""

import contextlib
import os
import shlex
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chronos_secrets.review.doctor.machine import Line, Machine, Project, ok, wrong
from chronos_secrets.systems.history import History

_WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)  # this program is younger than any clock that says an earlier day
_PATIENCE = timedelta(minutes=5)  # by which two clocks may differ
_SET_CLOCK = "sudo timedatectl set-ntp true    # macOS: sudo sntp -sS time.apple.com"


def examine(machine: Machine) -> Iterator[Line]:
    """The state folder, the history and the clock."""
    if machine.project is None:
        return
    folder = machine.project.settings.state_folder
    if folder.exists():
        yield _private(folder)
        yield from _whole(machine, folder)
    else:
        yield ok("nothing yet: no vault was opened here", str(folder))
    yield _clock(machine, machine.project)


def _private(folder: Path) -> Line:
    found = [(path, path.lstat()) for path in (folder, *sorted(folder.rglob("*")))]
    foreign = [path for path, status in found if os.geteuid() not in (0, status.st_uid)]
    if foreign:
        return wrong(f"{_first(foreign)} belongs to another user", fix=f"sudo chown -R $(id -un) {_quoted(folder)}")
    shared = [path for path, status in found if status.st_mode & 0o077 and not stat.S_ISLNK(status.st_mode)]
    if shared:
        return wrong(f"{_first(shared)} can be used by others", fix=f"chmod -R go= {_quoted(folder)}")
    return ok("private", str(folder))


def _first(paths: list[Path]) -> str:
    return f"{paths[0]}{f' (and {len(paths) - 1} more)' if len(paths) > 1 else ''}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _whole(machine: Machine, folder: Path) -> Iterator[Line]:
    anchor = machine.opened.anchor if machine.opened else None
    history = History(folder / "history.jsonl")
    breaks = [each for each in history.verify(anchor) if each.code != "torn"]  # the next run mends that
    for each in breaks[:3]:
        yield wrong(f"line {each.line} of the history {each.message}", fix="chronos-secrets history verify")
    if not breaks:
        count = len(history.read().events)
        yield ok(f"history of {count} whole" if anchor else f"history of {count} chained")


def _clock(machine: Machine, project: Project) -> Line:
    known = {"this program": _WRITTEN}
    events = History(project.settings.state_folder / "history.jsonl").read().events
    if events:
        known["the last line of the history"] = max(event.at for event in events)
    with contextlib.suppress(OSError):  # the section vault tells
        known["the vault file"] = datetime.fromtimestamp(project.settings.vault_path.stat().st_mtime, UTC)
    what, latest = max(known.items(), key=lambda item: item[1])
    if latest > machine.now + _PATIENCE:
        return wrong(f"the clock says {machine.now:%Y-%m-%d %H:%M} UTC, but {what} is later", fix=_SET_CLOCK)
    return ok("clock plausible")
