"""A render survives kills, failing disks and other renders: each file is the old one or the new one, never a third."""

import fcntl
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chronos_secrets.cli import render as render_command
from tests.support.commands import Aviary, accept, alone, argv, environment, snapshot
from tests.support.mounts import in_a_namespace
from tests.support.programs import require

KILLS = 60 if os.environ.get("CHRONOS_LONG") else 6


@pytest.fixture
def aviary(tmp_path: Path) -> Aviary:
    """A project whose four files are up to date, and a command that follows one of them."""
    made = Aviary(tmp_path)
    made.edit("template: note.j2, ", "template: note.j2, after: [[sh, -c, 'cat out/note >> ran']], ")
    assert made.run("render").status == 0
    return made


def change_values(aviary: Aviary) -> None:
    """Give the vault other values, for which three of the four files are to be written anew."""
    names = ("db__password", "cipher__passphrase", "key__private_key")
    with_old_keys = {name: f"canary{os.urandom(12).hex()}" for name in names}
    from chronos_secrets.secret import Secret
    from chronos_secrets.vault.entries import Attribute
    from tests.support.vaults import NOW

    with aviary.opened() as vault:
        for path, name in ((("Database", "DB"), "db__password"), (("Database", "Cipher"), "cipher__passphrase")):
            entry = vault.entries.at(path)
            assert entry is not None
            vault.entries.change(entry, now=NOW, fields={"Password": Attribute(Secret(with_old_keys[name]))})
        entry = vault.entries.at(("SSH Keys", "Key"))
        assert entry is not None
        attachment = {entry.attachment_names[0]: Secret(with_old_keys["key__private_key"])}
        vault.entries.change(entry, now=NOW, attachments=attachment)
    aviary.values |= {name.replace("__", "."): value for name, value in with_old_keys.items()}


class Versions:
    """The files before and after a render with other values."""

    def __init__(self, aviary: Aviary) -> None:
        self._aviary = aviary
        self.old = self.now()
        change_values(aviary)

    def now(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self._aviary.destinations}

    def learn_new(self) -> None:
        """Render, remember what comes of it, and put the old files back."""
        assert self._aviary.run("render").status == 0
        self.new = self.now()
        self.restore()

    def restore(self) -> None:
        for path, content in self.old.items():
            path.write_bytes(content)

    def assert_each_is_old_or_new(self) -> None:
        for path, content in self.now().items():
            assert content in (self.old[path], self.new[path]), path
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def staged(aviary: Aviary) -> list[Path]:
    return list(aviary.root.rglob(".chronos-*"))


# --- kills ------------------------------------------------------------------------------------------------------------


def test_a_render_killed_before_any_of_its_lines_leaves_each_file_old_or_new_and_the_next_one_finishes(aviary: Aviary):
    change_values(aviary)
    paths = [aviary.note, aviary.env, aviary.key_file]
    command = (
        sys.executable, "-m", "tests.support.renderer", "killed-at-each-line", ":".join(map(str, paths)),
        str(aviary.folder / "ran"), str(aviary.state), "--password-file", str(aviary.password_file),
    )  # fmt: skip
    done = subprocess.run(command, cwd=aviary.folder, env=environment(), capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    killed = found[:-1]
    assert not found[-1]["killed"]
    assert {each["line"].partition(":")[0] for each in killed} == {"destinations.py", "after.py", "files.py"}
    assert len(killed) > 150
    for each in found:
        assert set(each["contents"]) <= {"old", "new"}, each
        assert (each["status"], set(each["then"]), each["leftovers"]) == (0, {"new"}, []), each
        assert each["command_saw_the_new_file"], each
    progress = [each["contents"].count("new") for each in killed]
    assert set(progress) == {0, 1, 2, 3}, "the kills should have hit before, between and after the replacements"
    assert progress == sorted(progress), "what was replaced stays replaced"
    assert any(each["left"] for each in killed), "a kill should have left something for the next render to sweep"


def test_renders_killed_at_any_moment_leave_each_file_old_or_new(aviary: Aviary):
    chance = random.Random(20260102)
    versions = Versions(aviary)
    versions.learn_new()
    for _ in range(KILLS):
        versions.restore()
        process = subprocess.Popen(
            argv("render", "--password-file", aviary.password_file), cwd=aviary.folder, env=environment(),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            process.wait(chance.uniform(0.05, 0.2))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        versions.assert_each_is_old_or_new()
    assert aviary.process("render").status == 0
    assert versions.now() == versions.new
    assert staged(aviary) == []


def test_what_a_kill_left_of_an_adopted_file_is_gone_after_the_next_adoption(aviary: Aviary):
    """It would be a copy of somebody's secrets that nobody knows of."""
    left = aviary.state / "adopted" / f".chronos-{'0' * 12}.{'0' * 12}.tmp"
    left.parent.mkdir(mode=0o700)
    left.write_text("half of a file")
    aviary.env.write_text("MINE=1\n")
    assert aviary.run("render", "--adopt", "env").status == 0
    assert not left.exists()


# --- disks that say no, by the system calls that do --------------------------------------------------------------------


@pytest.mark.parametrize("call", ["fsync", "rename", "fchmod"])
def test_whichever_call_fails_what_is_said_is_true_and_the_next_render_finishes(aviary: Aviary, call: str):
    versions = Versions(aviary)
    versions.learn_new()
    ends = []
    for number in range(1, 12):
        versions.restore()
        before = snapshot(aviary.root)
        done = alone(
            (require("strace"), "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when={number}",
             *argv("render", "--password-file", aviary.password_file)),
            folder=aviary.folder,
        )  # fmt: skip
        ends.append(done.status)
        if done.status == 0:
            break
        assert "Traceback" not in done.err
        assert "input/output error" in done.err
        assert "\nhint: " in done.err
        versions.assert_each_is_old_or_new()
        if done.status == 5:
            assert "nothing was changed" in done.err
            assert _without_marks(snapshot(aviary.root)) == _without_marks(before)
        else:
            assert done.status == 8
            old = {str(path) for path, content in versions.now().items() if content != versions.new[path]}
            said = set(done.err.partition("still old: ")[2].partition("\n")[0].split(", ")) - {"none"}
            assert said == old
        assert staged(aviary) == []
        assert aviary.run("render").status == 0
        assert versions.now() == versions.new
    assert ends[-1] == 0
    assert 5 in ends or call == "rename"
    assert 8 in ends or call == "fchmod"


def _without_marks(world: dict[str, object]) -> dict[str, object]:
    """What is still to be run may have been noted; that is no file of the project."""
    return {path: kept for path, kept in world.items() if "/chronos-secrets" not in path}


def _rendering(aviary: Aviary, *options: str) -> str:
    """A line of shell that renders, and leaves what came of it in the files `status` and `said`."""
    words = " ".join(argv("render", *options, "--password-file", aviary.password_file))
    return f"set +e\n{words} > /dev/null 2> said; echo $? > status\nset -e\n"


def test_a_full_disk_changes_nothing_on_any_disk(aviary: Aviary):
    versions = Versions(aviary)
    in_a_namespace(
        aviary.folder,
        "cp -a out kept\nmount -t tmpfs -o size=32k none out\ncp -a kept/. out/\nhead -c 1M /dev/zero > out/fill || true\n"
        + _rendering(aviary) + "ls -A out > listed\nrm -r kept; cp -a out kept\n",
    )  # fmt: skip
    assert (aviary.folder / "status").read_text() == "5\n"
    said = (aviary.folder / "said").read_text()
    assert "cannot be written: no space left on device; nothing was changed\nhint: " in said
    assert sorted((aviary.folder / "listed").read_text().split()) == [".env", "fill", "note"]
    assert (aviary.folder / "kept" / ".env").read_bytes() == versions.old[aviary.env]
    assert (aviary.folder / "kept" / "note").read_bytes() == versions.old[aviary.note]
    assert versions.now() == versions.old
    assert staged(aviary) == []


def test_a_full_disk_for_the_state_keeps_a_foreign_file(aviary: Aviary):
    aviary.env.write_text("MINE=1\n" * 2000)
    in_a_namespace(
        aviary.folder,
        f"cp -a {aviary.state} kept\nmount -t tmpfs -o size=32k none {aviary.state}\ncp -a kept/. {aviary.state}/\n"
        f"head -c 1M /dev/zero > {aviary.state}/fill || true\n" + _rendering(aviary, "--adopt", "env"),
    )
    assert (aviary.folder / "status").read_text() == "5\n"
    assert "cannot keep" in (aviary.folder / "said").read_text()
    assert aviary.env.read_text() == "MINE=1\n" * 2000
    assert staged(aviary) == []


def test_a_read_only_disk_changes_nothing_on_any_disk(aviary: Aviary):
    versions = Versions(aviary)
    in_a_namespace(aviary.folder, "mount --bind out out\nmount -o remount,bind,ro out\n" + _rendering(aviary))
    assert (aviary.folder / "status").read_text() == "5\n"
    assert f"error: {aviary.env.parent} cannot be written to\nhint: " in (aviary.folder / "said").read_text()
    assert versions.now() == versions.old


def test_a_state_folder_that_is_read_only_is_said_before_anything_is_written(aviary: Aviary):
    versions = Versions(aviary)
    shutil.rmtree(aviary.state)
    accept(aviary.inventory)
    in_a_namespace(
        aviary.folder,
        f"mount --bind {aviary.state} {aviary.state}\nmount -o remount,bind,ro {aviary.state}\n" + _rendering(aviary),
    )
    assert (aviary.folder / "status").read_text() == "5\n"
    assert (
        f"state folder {aviary.state} cannot be written: read-only file system" in (aviary.folder / "said").read_text()
    )
    assert versions.now() == versions.old


# --- several at once --------------------------------------------------------------------------------------------------


def test_renders_at_once_take_turns_and_all_succeed(aviary: Aviary):
    versions = Versions(aviary)
    versions.learn_new()
    (aviary.folder / "ran").unlink()
    command = argv("render", "--password-file", aviary.password_file)
    several = [
        subprocess.Popen(
            command, cwd=aviary.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    said = [process.communicate(timeout=60) for process in several]
    assert [process.returncode for process in several] == [0] * 4, said
    assert sum(out.count(" written") for out, _ in said) == 3, "only the first had something to write"
    assert versions.now() == versions.new
    assert staged(aviary) == []
    assert (aviary.folder / "ran").read_bytes() == versions.new[aviary.note]


def test_a_render_that_waited_too_long_says_who_is_in_the_way(aviary: Aviary, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(render_command, "_LOCK_WAIT", 0.0)
    before = snapshot(aviary.root)
    with (aviary.state / "render.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = aviary.run("render")
        assert done.status == 6
        assert done.err == "error: another render of this project is running\nhint: run the command again\n"
        assert aviary.run("render", "--check").status == 0, "looking needs no turn"
    assert snapshot(aviary.root) == before
