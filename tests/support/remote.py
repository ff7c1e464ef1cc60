"""Other hosts for whole commands: a real sshd, a real container behind it, and the `ssh` that finds them.

The command line calls plain `ssh`, which reads the configuration of whoever runs the tests; here it is a script of that
name, first in PATH, that calls the real one with a configuration of ours.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.containers import Engine, require_root
from tests.support.programs import require
from tests.support.sshd import Sshd

SMALL = 256 * 1024  # bytes of the disk that is full at once


def ssh_by(config: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `ssh` read `config` and nothing else; `folder` is for the script."""
    real = require("ssh")
    folder.mkdir(exist_ok=True)
    (folder / "ssh").write_text(f'#!/bin/sh\nexec {real} -F {config} "$@"\n')
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


class Production:
    """A host that ssh reaches as chronos-prod-db (or any alias of `Sshd`), with a container chronos-db on it.

    `data` and `small` (a disk that is soon full) are the same here, on the host and in the container; `conf` is the
    container's /etc/pgbackrest, `alone` holds a file that the container has as /single/file, without its folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data, self.small, self.conf, self.alone = (folder / name for name in ("data", "small", "conf", "alone"))
        for each in (self.data, self.small, self.conf, self.alone):
            each.mkdir()
            each.chmod(0o777)
        (self.alone / "file").write_text("mounted\n")
        self.config = folder / "client_config"

    def start(self) -> None:
        subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={SMALL},mode=0777", "tmpfs", self.small), check=True)
        self.engine = Engine(self.folder)
        mounts = [f"{self.data}:{self.data}", f"{self.small}:{self.small}", f"{self.conf}:/etc/pgbackrest",
                  f"{self.alone}/file:/single/file"]  # fmt: skip
        self.engine.run("chronos-db", *(word for mount in mounts for word in ("-v", mount)), "-u", "postgres")
        self.sshd = Sshd(self.folder, programs=self.engine.folder)
        self.config.write_text(f"Host chronos-prod-db\n    User deploy\nMatch all\n    Include {self.sshd.config}\n")

    def clean(self) -> None:
        """Empty every folder."""
        for folder in (self.data, self.small, self.conf):
            for each in folder.iterdir():
                each.unlink()

    def close(self) -> None:
        if hasattr(self, "sshd"):
            self.sshd.close()
        if hasattr(self, "engine"):
            self.engine.close()
        subprocess.run(("umount", "-l", self.small), check=False)
        shutil.rmtree(self.folder)


@contextmanager
def production() -> Iterator[Production]:
    """A `Production` that runs for the block."""
    require_root()
    folder = Path(tempfile.mkdtemp(prefix="prod-", dir="/tmp"))
    folder.chmod(0o755)
    made = Production(folder)
    try:
        made.start()
        yield made
    finally:
        made.close()
