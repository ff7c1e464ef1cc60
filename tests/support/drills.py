"""What tests of drills share: a folder to hold them in, and a machine on which low priority costs nothing."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backup_hosts import World


@pytest.fixture
def ground() -> Iterator[Path]:
    """A folder in which every user may make one, as in /var/tmp."""
    folder = Path(tempfile.mkdtemp(prefix="dr-", dir="/tmp"))
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def hurried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`nice` and `ionice` change nothing: a busy machine would let a drill of the lowest priority wait for minutes."""
    folder = tmp_path / "hurried"
    folder.mkdir()
    for name in ("nice", "ionice"):
        (folder / name).write_text('#!/bin/sh\nshift 2\nexec "$@"\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def timelines(world: World) -> set[str]:
    """The timelines of all WAL in the repository's archive."""
    names = json.loads(world.must("repo-ls", "archive/birds", "--output=json", "--recurse", "--filter=[0-9A-F]{24}-"))
    return {name.rpartition("/")[2][:8] for name in names}
