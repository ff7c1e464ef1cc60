"""The vault survives kills, full disks and other writers: the file is the old one or the new one, never a third."""

import os
import random
import signal
import stat
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.support import keepassxc, vaults, writer
from tests.support.programs import require

KILLS = 100 if os.environ.get("CHRONOS_LONG") else 3


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """A vault with the entries "entry" (password "old") and "other" (password "kept")."""
    path = vaults.ours(tmp_path / "vault.kdbx")
    held = vaults.opened(path)
    writer.change(held, "entry", "old")
    writer.change(held, "other", "kept")
    held.save(vaults.NOW)
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_a_save_killed_before_any_of_its_lines_leaves_the_old_file_or_the_new_one(vault, state):
    found = writer.run("killed-at-each-line", vault, state=state)
    killed = found[:-1]
    assert not found[-1]["killed"]
    assert len(killed) > 60
    assert {each["line"].partition(":")[0] for each in killed} == {"store.py", "files.py"}
    contents = [each["content"] for each in killed]
    assert set(contents) == {"old", "new"}
    assert contents == sorted(contents, reverse=True), "once the new file is there, it stays"
    for each in killed:
        assert (each["others"], each["mode"]) == (True, "0o640"), each
        assert (each["next"], each["then"], each["left"]) == ("saved", "next", []), each


def test_writers_killed_at_any_moment_leave_a_vault_that_keepassxc_opens(vault, state):
    chance = random.Random(20260102)
    for round_ in range(KILLS):
        process = subprocess.Popen(
            writer.command("forever", vault, "entry"),
            cwd=state.parent,
            env=writer.environment(),
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        for _ in range(chance.randint(1, 4)):
            saved = int(process.stdout.readline())
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].split()
        known = int(rest[-1]) if rest else saved
        found = keepassxc.export(vault)
        assert int(found.at("entry").password) in (known, known + 1), f"round {round_}"
        assert found.at("other").password == "kept"
    assert writer.run("once", vault, "entry", "next", state=state) == ["saved", ""]
    assert not [*vault.parent.rglob("*.tmp")]


def test_of_six_writers_at_once_each_is_saved_or_told_to_try_again_and_nothing_is_lost(vault, state):
    told = writer.run("race", vault, "6", state=state)
    assert [each[-1] for each in told] == ["saved"] * 6
    assert Counter(each[0] for each in told) == {"saved": 1, "vault-changed": 5}
    found = {entry.path: entry.password for entry in keepassxc.export(vault).entries}
    assert found == {
        ("entry",): "old", ("other",): "kept", **{(f"writer {each}",): f"writer {each}" for each in range(6)},
    }  # fmt: skip


def _mounted(folder: Path, *, bytes_: int, source: Path) -> str:
    """Shell: a small file system at `folder` that holds a copy of the vault `source`."""
    require("unshare")
    return f"mkdir -p {folder}; mount -t tmpfs -o size={bytes_} none {folder}; cp {source} {folder}"


def _fill(folder: Path, *, leave: int = 0) -> str:
    """Shell: use up the file system at `folder`, but for `leave` bytes."""
    filler = f"cat /dev/zero > {folder}/filler 2>/dev/null || true"
    return f"head -c {leave} /dev/zero > {folder}/gap; {filler}; rm {folder}/gap"


def _kept(source: Path, copy: Path) -> str:
    """Shell: fail unless the copy is still the same file, with nothing beside it, when the writer has ended."""
    return f'"$@"; cmp {source} {copy} >&2; test -z "$(ls -A {copy.parent} | grep tmp)"; exit 0'


def test_a_full_disk_is_said_and_the_vault_stays_as_it_was(vault, state, tmp_path):
    small = tmp_path / "small"
    prepare = f"{_mounted(small, bytes_=65536, source=vault)}; {_fill(small)}; {_kept(vault, small / vault.name)}"
    code, message = writer.run("once", small / vault.name, "entry", "x" * 9000, state=state, before=prepare)
    assert (code, message) == ("vault-not-saved", f"{small / vault.name} could not be saved: no space left on device")


def test_a_disk_that_fills_up_in_the_middle_of_the_write_leaves_the_vault_as_it_was(vault, state, tmp_path):
    small = tmp_path / "small"
    fill = _fill(small, leave=4096)
    prepare = f"{_mounted(small, bytes_=65536, source=vault)}; {fill}; {_kept(vault, small / vault.name)}"
    password = random.Random(1).randbytes(9000).hex()
    code, _ = writer.run("once", small / vault.name, "entry", password, state=state, before=prepare)
    assert code == "vault-not-saved"


def test_a_save_is_refused_where_the_previous_bytes_cannot_be_kept(vault, state):
    before = vault.read_bytes()
    previous = state / "previous"
    prepare = f"{_mounted(previous, bytes_=4096, source=Path('/dev/null'))}; {_fill(previous)}"
    code, message = writer.run("once", vault, "entry", "new", state=state, before=prepare)
    assert code == "vault-not-saved"
    assert message.endswith("no space left on device")
    assert vault.read_bytes() == before


def test_a_read_only_disk_is_said_and_the_vault_stays_as_it_was(vault, state, tmp_path):
    small = tmp_path / "small"
    mounted = _mounted(small, bytes_=65536, source=vault)
    prepare = f"{mounted}; mount -o remount,bind,ro {small}; {_kept(vault, small / vault.name)}"
    told = writer.run("once", small / vault.name, "entry", "new", state=state, before=prepare)
    assert told == ["vault-not-saved", f"{small / vault.name} could not be saved: read-only file system"]


def test_a_vault_on_a_read_only_disk_can_still_be_read(vault, state, tmp_path):
    small = tmp_path / "small"
    prepare = f"{_mounted(small, bytes_=65536, source=vault)}; mount -o remount,bind,ro {small}"
    assert writer.run("passwords", small / vault.name, state=state, before=prepare) == {"entry": "old", "other": "kept"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; the read-only disk stands for it")
def test_a_read_only_folder_is_said(vault, state):
    vault.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    state_elsewhere = state.parent / "home" / "state"
    try:
        code, message = writer.run("once", vault, "entry", "new", state=state_elsewhere)
    finally:
        vault.parent.chmod(stat.S_IRWXU)
    assert (code, message.partition(": ")[2]) == ("vault-not-saved", "permission denied")
