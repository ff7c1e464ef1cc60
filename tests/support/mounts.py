"""Disks that a test may fill or write-protect."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.commands import alone
from tests.support.programs import require


def nobody_may_mount() -> NoReturn:
    """Skips the test, but fails it when CI is set."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)("this machine lets nobody mount")
    raise AssertionError("unreachable")


def in_a_namespace(folder: Path, script: str) -> None:
    """Run a shell script that may mount; what it mounts ends with it."""
    unshare = require("unshare")
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    if alone((unshare, *user, "--mount", "mount", "-t", "tmpfs", "none", "/mnt"), folder=folder).status:
        nobody_may_mount()
    done = alone((unshare, *user, "--mount", "sh", "-ec", script), folder=folder)
    assert done.status == 0, done.err
