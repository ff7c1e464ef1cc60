"""Durable writes, locks, private folders."""

import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos_secrets.systems import files


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was synced, renamed and linked, in order, by file name."""
    seen: list[tuple[str, str]] = []
    fsync, rename, link, fchmod = os.fsync, os.rename, os.link, os.fchmod

    def named(descriptor: int) -> str:
        name = Path(os.readlink(f"/proc/self/fd/{descriptor}")).name
        return "temporary" if name.endswith(".tmp") else name

    monkeypatch.setattr(os, "fsync", lambda each: (seen.append(("fsync", named(each))), fsync(each))[1])
    monkeypatch.setattr(os, "fchmod", lambda each, mode: (seen.append(("fchmod", named(each))), fchmod(each, mode))[1])
    monkeypatch.setattr(os, "rename", lambda one, two: (seen.append(("rename", two.name)), rename(one, two))[1])
    monkeypatch.setattr(os, "link", lambda one, two: (seen.append(("link", two.name)), link(one, two))[1])
    return seen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


def test_a_write_is_synced_before_it_is_renamed_and_the_folder_after(calls, folder):
    files.write_durably(folder / "target", b"content")
    assert calls == [("fchmod", "temporary"), ("fsync", "temporary"), ("rename", "target"), ("fsync", "folder")]
    assert (folder / "target").read_bytes() == b"content"


def test_a_first_write_is_synced_before_it_appears_and_the_folder_after(calls, folder):
    files.write_durably(folder / "target", b"content", replace=False)
    assert calls == [("fchmod", "temporary"), ("fsync", "temporary"), ("link", "target"), ("fsync", "folder")]
    assert [each.name for each in folder.iterdir()] == ["target"]


def test_a_file_that_must_not_be_there_is_kept(folder):
    (folder / "target").write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        files.write_durably(folder / "target", b"content", replace=False)
    assert [(each.name, each.read_bytes()) for each in folder.iterdir()] == [("target", b"precious")]


def test_nobody_else_can_read_the_file_at_any_moment(folder, monkeypatch):
    """The mode that was asked for comes last; until then only we can read what is being written."""
    os.umask(0)
    seen = []

    def look(frame: object, event: str, argument: object) -> object:
        seen.extend((each.stat().st_mode & 0o777, each.stat().st_size) for each in folder.iterdir())
        return look

    sys.settrace(lambda frame, event, argument: look if frame.f_code.co_filename == files.__file__ else None)
    try:
        files.write_durably(folder / "target", b"content", mode=0o644)
    finally:
        sys.settrace(None)
    assert (0o600, 0) in seen
    assert (0o600, 7) in seen
    assert {mode for mode, size in seen if size < 7} == {0o600}
    assert stat.S_IMODE((folder / "target").stat().st_mode) == 0o644


def test_the_umask_does_not_narrow_the_mode_that_was_asked_for(folder):
    os.umask(0o077)
    files.write_durably(folder / "target", b"content", mode=0o644)
    assert stat.S_IMODE((folder / "target").stat().st_mode) == 0o644


def test_a_planted_temporary_file_is_not_written_through(folder, monkeypatch):
    victim = folder / "victim"
    victim.write_bytes(b"precious")
    monkeypatch.setattr(files.secrets, "token_hex", lambda length: "guessed")
    planted = folder / f"{files._stem(folder / 'target')}.guessed.tmp"
    planted.symlink_to(victim)
    with pytest.raises(FileExistsError):
        files.stage(folder / "target", b"content")
    assert (victim.read_bytes(), planted.is_symlink()) == (b"precious", True)


@pytest.mark.parametrize("call", ["fsync", "fchmod"])
def test_a_write_that_fails_leaves_nothing_behind(call, folder, monkeypatch):
    def failing(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (folder / "target").write_bytes(b"old")
    monkeypatch.setattr(os, call, failing)
    with pytest.raises(OSError, match="No space left"):
        files.write_durably(folder / "target", b"content")
    assert [(each.name, each.read_bytes()) for each in folder.iterdir()] == [("target", b"old")]


@pytest.mark.parametrize(("call", "replace"), [("rename", True), ("link", False)])
def test_a_last_step_that_fails_leaves_nothing_behind(call, replace, folder, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, call, interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write_durably(folder / "target", b"content", replace=replace)
    assert list(folder.iterdir()) == []


def test_staged_content_is_not_the_targets_until_it_is_committed(folder):
    staged = files.stage(folder / "target", b"content")
    assert not (folder / "target").exists()
    staged.commit()
    assert (folder / "target").read_bytes() == b"content"
    staged.discard()
    assert [each.name for each in folder.iterdir()] == ["target"]


def test_a_name_of_the_greatest_length_can_be_written(folder):
    files.write_durably(folder / ("n" * 255), b"content")
    assert (folder / ("n" * 255)).read_bytes() == b"content"


def test_sweep_removes_what_was_staged_for_one_target_and_nothing_else(folder):
    files.stage(folder / "target", b"left")
    files.stage(folder / "target", b"left")
    files.stage(folder / "other", b"still being written by another run")
    (folder / "target.tmp").write_bytes(b"somebody's")
    files.sweep(folder / "target")
    assert sorted(each.read_bytes() for each in folder.iterdir()) == [
        b"somebody's",
        b"still being written by another run",
    ]


def test_sweep_folder_removes_what_was_staged_for_any_target(folder):
    files.stage(folder / "target", b"left")
    files.stage(folder / "other", b"left")
    (folder / "kept.kdbx").write_bytes(b"kept")
    files.sweep_folder(folder)
    assert [each.name for each in folder.iterdir()] == ["kept.kdbx"]


def test_private_folders_are_private_with_all_that_is_made_above_them(folder):
    os.umask(0)
    folder.chmod(0o755)
    made = files.private_folder(folder / "a" / "b" / "c")
    assert [stat.S_IMODE(each.stat().st_mode) for each in (made, made.parent, made.parent.parent)] == [0o700] * 3
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert files.private_folder(made) == made


# --- locks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def holder(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock until its input ends."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom chronos_secrets.systems import files\n"
        "with files.lock(Path(sys.argv[1]), wait=0):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    argv = (sys.executable, "-c", program, str(folder / "lock"))
    repository = Path(__file__).parents[2]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=repository)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_lock_held_by_another_process_is_waited_for_and_not_longer_than_asked(holder, folder):
    began = time.monotonic()
    with pytest.raises(files.LockHeld), files.lock(folder / "lock", wait=0.2):
        pytest.fail("two processes hold one lock")
    assert 0.2 <= time.monotonic() - began < 5


def test_a_lock_is_ours_as_soon_as_the_other_process_ends(holder, folder):
    threading.Timer(0.1, holder.kill).start()
    with files.lock(folder / "lock", wait=30):
        assert holder.wait(timeout=30) != 0


def test_a_lock_is_free_after_its_block_however_that_ended(folder):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), files.lock(folder / "lock", wait=0):
            raise ZeroDivisionError


def test_a_lock_is_exclusive_within_one_process_too(folder):
    with files.lock(folder / "lock", wait=0), pytest.raises(files.LockHeld), files.lock(folder / "lock", wait=0):
        pytest.fail("two blocks hold one lock")


def test_a_lock_file_is_private_and_its_folder_is_made(folder):
    os.umask(0)
    with files.lock(folder / "locks" / "lock", wait=0):
        pass
    assert stat.S_IMODE((folder / "locks" / "lock").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "locks").stat().st_mode) == 0o700


def test_a_lock_that_is_a_symbolic_link_is_refused(folder):
    (folder / "lock").symlink_to(folder / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"), files.lock(folder / "lock", wait=0):
        pytest.fail("followed the link")
    assert not (folder / "elsewhere").exists()


@pytest.mark.parametrize(
    ("mode", "expected"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False), (0o602, False), (0o610, False)]
)
def test_a_file_is_private_when_nobody_else_has_any_bit(mode, expected, folder):
    path = folder / "file"
    path.touch()
    path.chmod(mode)
    assert files.is_private(path.stat()) is expected


def test_a_folder_is_no_private_file_and_neither_is_somebody_elses(folder, monkeypatch):
    folder.chmod(0o700)
    assert not files.is_private(folder.stat())
    (folder / "file").touch(mode=0o600)
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(folder).st_uid + 4242)
    assert not files.is_private((folder / "file").stat())


def test_the_reason_of_a_failure_is_a_few_lower_case_words():
    assert files.reason(OSError(28, "No space left on device")) == "no space left on device"
    assert files.reason(OSError()) == "oserror"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to another group")
def test_the_owner_is_set_also_in_a_folder_that_gives_its_own_group(tmp_path):
    tmp_path.chmod(0o2755)
    os.chown(tmp_path, 0, 1)
    files.write_durably(tmp_path / "file", b"x", owner=(0, 0))
    assert (tmp_path / "file").stat().st_gid == 0


def test_what_a_killed_write_left_goes_once_nobody_can_still_be_writing_it(tmp_path):
    target = tmp_path / "dates.json"
    old, young, other = (files.stage(target if n < 2 else tmp_path / "other", b"x") for n in range(3))
    for staged in (old, other):
        os.utime(staged._temporary, (time.time() - 3700,) * 2)
    files.write_durably(target, b"new")
    assert not old._temporary.exists()
    assert young._temporary.exists()
    assert other._temporary.exists()


def test_a_scratch_folder_is_private_and_gone_after_its_block(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with files.scratch() as made:
        assert made.parent == folder
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
        (made / "file").write_text("x")
    assert list(folder.iterdir()) == []


def test_the_scratch_folder_of_a_killed_run_goes_with_the_next_one_and_no_other_does(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    left, own, linked = (folder / name for name in (".chronos-scratch-dead", "chronos-mine", ".chronos-scratch-link"))
    for each in (left, own):
        each.mkdir()
        (each / "file").write_text("x")
    linked.symlink_to(own)
    with files.scratch() as one, files.scratch() as two:
        assert one != two
        assert one.is_dir()
        assert not left.exists()
    assert sorted(folder.iterdir()) == [linked, own]
    assert (own / "file").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_scratch_folder_of_somebody_else_is_left_alone(folder, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    theirs = folder / ".chronos-scratch-theirs"
    theirs.mkdir()
    os.chown(theirs, 1000, 1000)
    with files.scratch():
        pass
    assert theirs.is_dir()
