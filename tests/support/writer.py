"""Writers of a vault in processes of their own, which can be killed, starved of disk space, or run beside others.

`python -m tests.support.writer ACT VAULT [...]` with the safety net in the folder `state` of the working directory;
prints one JSON value. These are programs, and not forks of the test, because a test process has threads.
"""

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from chronos_secrets.errors import Busy, ChronosError, VaultChanged
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files
from chronos_secrets.vault import store
from chronos_secrets.vault.entries import Attribute
from tests.support import vaults
from tests.support.kills import die_before

REPOSITORY = Path(__file__).parents[2]
_TRACED = (store.__file__, files.__file__)


def command(act: str, vault: Path, *arguments: str) -> tuple[str, ...]:
    """The argv of a writer."""
    return (sys.executable, "-m", "tests.support.writer", act, str(vault), *arguments)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(REPOSITORY), os.environ.get("PYTHONPATH", "")))}


def run(act: str, vault: Path, *arguments: str, state: Path, before: str = "") -> Any:
    """Run a writer to its end and give what it printed.

    `before` is a line of shell that prepares a mount namespace of its own: what it mounts ends with the writer.
    """
    argv: Sequence[str] = command(act, vault, *arguments)
    if before:
        user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        argv = ("unshare", *user, "--mount", "sh", "-ec", f'{before}\nexec "$@"', "sh", *argv)
    done = subprocess.run(argv, cwd=state.parent, env=environment(), capture_output=True, timeout=300, check=False)
    if done.stderr.startswith(b"unshare:") and not os.environ.get("CI"):
        import pytest

        pytest.skip(f"this machine gives no mount namespaces: {done.stderr.decode().strip()}")
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def change(vault: store.Vault, title: str, password: str) -> None:
    """Give the entry `title` another password, in memory."""
    entry = vault.entries.at((title,)) or vault.entries.add((title,), now=vaults.NOW)
    vault.entries.change(entry, now=vaults.NOW, fields={"Password": Attribute(Secret(password))})


def opened(path: Path) -> store.Vault:
    return store.Vault.open(path, vaults.key(), vaults.places(Path.cwd() / "state"))


def passwords(path: Path) -> dict[str, str]:
    """Every entry's title and password. Raises when the file does not open with the password."""
    found = {entry.title: entry.field("Password") for entry in opened(path).entries}
    return {title: value.reveal() if value else "" for title, value in found.items()}


def _once(path: Path, title: str, password: str) -> list[str]:
    """One change; how it ended."""
    vault = opened(path)
    change(vault, title, password)
    try:
        vault.save(vaults.NOW)
    except ChronosError as error:
        return [error.code, error.message]
    return ["saved", ""]


def _forever(path: Path, title: str) -> None:
    """Change the same entry again and again, and say so after each save, until killed."""
    for number in count():
        vault = opened(path)
        change(vault, title, str(number))
        with contextlib.suppress(VaultChanged, Busy):
            vault.save(vaults.NOW)
            print(number, flush=True)


def _race(path: Path, writers: str) -> list[list[str]]:
    """Writers that all have opened the same file before the first of them saves; what each was told, in order."""
    ready_read, ready_write = os.pipe()
    go_read, go_write = os.pipe()
    results = []
    store._LOCK_WAIT = 120.0  # who waited too long would be told so, and not that the vault has changed
    for number in range(int(writers)):
        read, write = os.pipe()
        results.append(read)
        if not os.fork():
            os.close(go_write)
            told = _stubborn(path, f"writer {number}", lambda: (os.write(ready_write, b"."), os.read(go_read, 1)))
            os.write(write, json.dumps(told).encode())
            os._exit(0)
        os.close(write)
    os.close(ready_write)
    for _ in results:
        os.read(ready_read, 1)
    os.close(go_write)
    return [json.loads(os.fdopen(read, "rb").read()) for read in results]


def _stubborn(path: Path, title: str, wait: Callable[[], object]) -> list[str]:
    """Save one change, trying again as often as we are told to."""
    told = []
    vault = opened(path)
    wait()
    while True:
        change(vault, title, title)
        try:
            vault.save(vaults.NOW)
        except (VaultChanged, Busy) as error:
            told.append(error.code)
            vault = opened(path)
        else:
            return [*told, "saved"]


def _killed_at_each_line(path: Path) -> list[dict[str, object]]:
    """Save once for each line that a save executes, killed before that line; what was found afterwards."""
    before, state = path.read_bytes(), Path.cwd() / "state"
    path.chmod(0o640)
    found = []
    for number in count(1):
        shutil.rmtree(state, ignore_errors=True)
        if path.read_bytes() != before:
            path.write_bytes(before)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            _save_until(path, number, write)
        os.close(write)
        where = os.fdopen(read).read()
        _, status = os.waitpid(child, 0)
        found.append({"killed": os.WIFSIGNALED(status), "line": where, **_after(path, before)})
        if not os.WIFSIGNALED(status):
            return found
    raise AssertionError("unreachable")


def _save_until(path: Path, number: int, report: int) -> None:
    """Save, and die before the line of that number; the line is reported first."""
    vault = opened(path)
    change(vault, "entry", "new")
    die_before(number, of=_TRACED, report=report)
    vault.save(vaults.NOW)
    sys.settrace(None)
    os._exit(0)


def _after(path: Path, before: bytes) -> dict[str, object]:
    """What is there after a kill, and whether the next save works and clears up."""
    content = path.read_bytes()
    found = passwords(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    told = _once(path, "entry", "next")
    left = [str(each.name) for each in Path.cwd().rglob("*.tmp")]
    return {
        "content": "old" if content == before else found["entry"], "others": found == {**found, "other": "kept"},
        "mode": oct(mode), "next": told[0], "then": passwords(path)["entry"], "left": left,
    }  # fmt: skip


_ACTS: dict[str, Callable[..., object]] = {
    "once": _once, "passwords": passwords, "forever": _forever, "race": _race,
    "killed-at-each-line": _killed_at_each_line,
}  # fmt: skip

if __name__ == "__main__":
    print(json.dumps(_ACTS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])))
