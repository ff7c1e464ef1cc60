"""`backup info` and `backup check` against pgBackRest called by hand: on this machine, and in a container behind ssh."""

import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.backup_hosts import Backed, Way, boxed, here, in_container_over_ssh, machine, ssh_to
from tests.support.backups import STANZA
from tests.support.seaweed import seaweed

_RAW = {"info": ("info", "--output=json"), "check": ("check",)}
_CPU_GOAL, _WALL_GOAL = 0.4, 1.2


class _Spent(NamedTuple):
    wall: float
    cpu: float  # of what ran here; what a host spends is its own


def report(chronos: str, folder: Path, runs: int) -> list[str]:
    """The lines of a table. `chronos` is the program that is measured, `folder` an empty one."""
    lines = [
        "## The database's backups",
        "",
        "`pgbackrest` called by hand, and ours without the drift check, in turns, with a database of a few MB.",
        "",
        "| backup | raw, wall s | ours, wall s | ratio (goal ≤ 1.2) | our CPU s (goal < 0.4) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for where, world in (("here", _here), ("in a container behind ssh", _behind)):
        with world(folder / where.replace(" ", "-")) as (project, by_hand):
            for command, words in _RAW.items():
                raw, ours = _paired(project, [*by_hand, *words], [chronos, "backup", command, "--no-drift-check"], runs)
                ratio, cpu = ours.wall / raw.wall, ours.cpu - raw.cpu
                lines.append(f"| `{command}`, {where} | {raw.wall:.2f} | {ours.wall:.2f} | {ratio:.2f} | {cpu:.2f} |")
    return [*lines, ""]


def _paired(project: Backed, raw: list[str], ours: list[str], runs: int) -> tuple[_Spent, _Spent]:
    spent: tuple[list[_Spent], list[_Spent]] = ([], [])
    for turn in range(runs + 1):
        for command, into in zip((raw, ours), spent, strict=True):
            cost = _cost(project, command)
            if turn:
                into.append(cost)
    first, second = (
        _Spent(statistics.median(each.wall for each in costs), statistics.median(each.cpu for each in costs))
        for costs in spent
    )
    return first, second


def _cost(project: Backed, command: list[str]) -> _Spent:
    before, begun = os.times(), time.monotonic()
    done = subprocess.run(command, cwd=project.folder, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    wall, after = time.monotonic() - begun, os.times()
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command[:3])} failed with {done.returncode}: {done.stderr.decode()[-500:]}")
    children = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    return _Spent(wall, children)


_World = Iterator[tuple[Backed, list[str]]]


@contextmanager
def _here(folder: Path) -> _World:
    with seaweed() as cloud, machine(cloud) as world:
        by_hand = ["runuser", "-u", "postgres", "--", "pgbackrest", f"--config={world.path}", f"--stanza={STANZA}"]
        with _project(folder, here(world)) as project:
            yield project, by_hand


@contextmanager
def _behind(folder: Path) -> _World:
    with seaweed() as cloud, boxed(cloud) as world, ssh_to(world) as sshd:
        inside = f"sudo docker exec -u postgres chronos-db pgbackrest --config={world.path} --stanza={STANZA}"
        with _project(folder, in_container_over_ssh(world, sshd)) as project:
            yield project, ["ssh", "deploy", inside]


@contextmanager
def _project(folder: Path, way: Way) -> Iterator[Backed]:
    (folder / "home").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder / "home"))
        patch.setenv("XDG_STATE_HOME", str(folder / "home" / ".local" / "state"))
        yield Backed(folder, way, patch)
