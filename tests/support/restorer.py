"""`python -m tests.support.restorer FOLDER`: a restore killed before each line that it executes; prints JSON.

A program, and not a fork of the test, because a test process has threads.
"""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from chronos_secrets.systems import files
from chronos_secrets.vault import restoring
from tests.support.kills import die_before
from tests.support.writer import environment

OLD, NEW = b"the vault as it was", b"the copy"
_NOW = datetime(2026, 11, 22, 2, 0, 0, tzinfo=UTC)


def killed_at_each_line(folder: Path) -> list[dict[str, object]]:
    """What is there after each kill: the vault's content, and what lies beside it."""
    done = subprocess.run(
        (sys.executable, "-m", "tests.support.restorer", str(folder)),
        cwd=Path(__file__).parents[2], env=environment(), capture_output=True, check=True, timeout=300,
    )  # fmt: skip
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def _killed(folder: Path) -> list[dict[str, object]]:
    told = []
    for number in count(1):
        home = folder / str(number)
        home.mkdir()
        vault = home / "vault.kdbx"
        vault.write_bytes(OLD)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            die_before(number, of=(restoring.__file__, files.__file__), report=write)
            restoring.put_back(NEW, vault, expected=OLD, locks=folder / "locks", now=_NOW)
            sys.settrace(None)
            os._exit(0)
        os.close(write)
        line = os.fdopen(read).read()
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        aside = [each.read_bytes().decode() for each in home.glob("*.before-restore-*")]
        told.append({"killed": killed, "line": line, "vault": vault.read_bytes().decode(), "aside": aside})
        if not killed:
            return told
    raise AssertionError("unreachable")


if __name__ == "__main__":
    print(json.dumps(_killed(Path(sys.argv[1]))))
