"""Drills that are killed anywhere: the next one finds what is left, ends it, removes it, and proves the backups."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.backup_hosts import Backed, Way
from tests.support.commands import argv, environment
from tests.support.drills import timelines

pytestmark = pytest.mark.xdist_group("backup-hosts")

_PATIENCE = 60.0  # seconds
_CHANCE = random.Random(20261123)
MOMENTS = [  # a step that was begun, and the seconds after that
    ("fetching the backup", _CHANCE.uniform(0.1, 1.0)),
    ("replaying WAL", _CHANCE.uniform(0.0, 0.3)),
    ("checking the tables", _CHANCE.uniform(0.0, 0.2)),
    ("removing /", 0.0),
]
if not os.environ.get("CHRONOS_LONG"):
    del MOMENTS[::2]  # a server that runs, and a folder that is half gone


@pytest.fixture
def project(tmp_path: Path, hurried: None, backups_here: Way, monkeypatch: pytest.MonkeyPatch, ground: Path) -> Backed:
    backups_here.world.close_gap()
    return Backed(tmp_path, backups_here, monkeypatch, section=f"drill: {{path: {ground}}}")


def begin(project: Backed) -> "subprocess.Popen[bytes]":
    command = argv("backup", "drill", "--no-drift-check")
    return subprocess.Popen(
        command, cwd=project.folder, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def wait_for(child: "subprocess.Popen[bytes]", step: str) -> None:
    """Wait until it says that it begins a step."""
    assert child.stderr
    said = b""
    while line := child.stderr.readline():
        said += line
        if step.encode() in line:
            return
    raise AssertionError(f"it did not say {step!r}: {said.decode()}")


def naming(ground: Path) -> list[str]:
    """The programs that work in the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(os.fsencode(ground) in word for word in words):
            found.append(b" ".join(words).decode())
    return found


def started(project: Backed) -> str:
    """When production's server was started, and by which process."""
    return (project.world.data / "postmaster.pid").read_text()


@pytest.mark.parametrize(("step", "later"), MOMENTS, ids=[step for step, _ in MOMENTS])
def test_a_killed_drill_is_cleaned_up_by_the_next_which_proves_the_backups(
    step: str, later: float, project: Backed, ground: Path
):
    production, lines = started(project), timelines(project.world)
    child = begin(project)
    wait_for(child, step)
    time.sleep(later)  # into the middle of the step
    child.kill()
    child.communicate(timeout=_PATIENCE)
    left = [path.name for path in ground.iterdir()]
    assert len(left) == 1 or "removing" in step
    done = project.run("backup", "drill", "--no-drift-check")
    assert done.status == 0, done.text
    assert all(name in done.err for name in left), "what was removed is said"
    assert list(ground.iterdir()) == []
    assert naming(ground) == []
    assert started(project) == production
    assert timelines(project.world) == lines


@pytest.mark.parametrize("step", ["fetching the backup", "replaying WAL"])
def test_a_drill_that_is_interrupted_leaves_nothing(step: str, project: Backed, ground: Path):
    child = begin(project)
    wait_for(child, step)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=_PATIENCE)
    assert child.returncode == 130, said.decode()
    assert list(ground.iterdir()) == []
    assert naming(ground) == []


def test_what_a_killed_drill_left_is_removed_by_itself_also_behind_a_link(project: Backed, ground: Path):
    link = ground.with_name(f"{ground.name}-link")
    link.symlink_to(ground)
    project.edit(f"path: {ground}", f"path: {link}")
    child = begin(project)
    wait_for(child, "checking the tables")
    child.kill()
    child.communicate(timeout=_PATIENCE)
    assert any("postgres" in line for line in naming(ground))
    done = project.run("backup", "drill", "--clean")
    link.unlink()
    assert done.status == 0, done.text
    assert list(ground.iterdir()) == []
    assert naming(ground) == []
