"""Real containers without any image: podman with runc, and a root folder that holds nothing but busybox.

`Engine.folder` holds the program `docker`, which is podman with a storage of its own; put it first in PATH.
"""

import contextlib
import os
import resource
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.programs import require
from tests.support.waiting import until

_CONF = """\
[containers]
default_ulimits = ["nofile={nofile}", "nproc={nproc}"]
log_driver = "none"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
"""
_SHIM = """\
#!/bin/sh
CONTAINERS_CONF={folder}/containers.conf exec {podman} --root {folder}/storage --runroot {folder}/run \
--tmpdir {folder}/tmp "$@"
"""
_ACCOUNTS = {
    "passwd": "root:x:0:0::/:/bin/sh\npostgres:x:70:70::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
    "group": "root:x:0:\npostgres:x:70:\nnogroup:x:65534:\n",
}


def require_root() -> None:
    """Skips where the tests do not run as root, but fails when CI is set."""
    if os.geteuid() != 0:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("these tests run as root")


class Engine:
    """A container engine of our own below `folder`, whose path must be short and open to every user."""

    def __init__(self, folder: Path) -> None:
        require_root()
        require("runc")
        require("conmon")
        self.folder = folder / "engine"
        self.rootfs = folder / "rootfs"
        self.folder.mkdir()
        (self.folder / "containers.conf").write_text(_CONF.format(nofile=_limit("NOFILE"), nproc=_limit("NPROC")))
        self.docker = self.folder / "docker"
        self.docker.write_text(_SHIM.format(folder=self.folder, podman=require("podman")))
        self.docker.chmod(0o755)
        _make_rootfs(self.rootfs)

    def run(self, name: str, *options: str, command: Sequence[str] = ("sleep", "3600")) -> None:
        """Start a container in the background."""
        self("run", "-d", "--name", name, "--network=host", *options, "--rootfs", str(self.rootfs), *command)

    def __call__(self, *arguments: str) -> str:
        """Run the engine; what it printed."""
        done = subprocess.run(
            (self.docker, *arguments), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode()

    def remove(self, *containers: str) -> None:
        """Remove containers, as far as they are there; they may run.

        An engine may fail at it for a moment ("resource busy"), while its own cleaner is at the same mounts.
        """
        words = ("rm", "-f", "--ignore", "-t", "0", "-v", *containers)
        until(lambda: self._does(*words), f"the engine does not remove {' '.join(containers)}")

    def _does(self, *arguments: str) -> bool:
        """Whether the engine does something; why it does not is in the test's output."""
        done = subprocess.run(
            (self.docker, *arguments), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60, check=False
        )
        return done.returncode == 0

    def close(self) -> None:
        """Remove what was started."""
        if left := self("ps", "-aq").split():
            self.remove(*left)
        self._settle()

    def _settle(self) -> None:
        """Wait for the engine's own cleaners, which outlive its commands, and unmount what they left.

        A folder that something is mounted in cannot be removed.
        """
        until(lambda: not _works_in(self.folder), "the engine does not come to an end")
        for mounted in _mounted_below(self.folder):
            subprocess.run(("umount", "-l", mounted), check=False)


def _works_in(folder: Path) -> bool:
    """Whether a process was started with a path in the folder."""
    mark = f"{folder}/".encode()
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark in each.read_bytes():
                return True
    return False


def _mounted_below(folder: Path) -> list[str]:
    """The mount points in a folder, the innermost first."""
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return sorted((each for each in points if each.startswith(f"{folder}/")), key=len, reverse=True)


def _limit(name: str) -> str:
    """A limit low enough to be set without the right to raise limits, which podman's own defaults would need."""
    _, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
    low = 1024 if hard == resource.RLIM_INFINITY else min(1024, hard)
    return f"{low}:{low}"


def _make_rootfs(folder: Path) -> None:
    for name in ("bin", "tmp", "proc", "sys", "dev", "etc", "data", "run"):
        (folder / name).mkdir(parents=True)
    (folder / "tmp").chmod(0o1777)
    busybox = folder / "bin" / "busybox"
    shutil.copy(require("busybox"), busybox)
    busybox.chmod(busybox.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    for applet in subprocess.run((busybox, "--list"), capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            (folder / "bin" / applet).symlink_to("busybox")
    for name, text in _ACCOUNTS.items():
        (folder / "etc" / name).write_text(text)
    if subprocess.run(("chroot", folder, "/bin/sh", "-c", "true"), capture_output=True, check=False).returncode:
        pytest.fail("busybox needs libraries here; install busybox-static")
