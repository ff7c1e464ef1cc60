"""Places that cannot be used: each says why in one sentence, and nothing is written anywhere else."""

import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest

from chronos_secrets.errors import ChronosError, Refused, TargetFailed
from chronos_secrets.inventory import load
from chronos_secrets.vault.copies import making, places
from chronos_secrets.vault.copies.folders import Drive, Folder
from chronos_secrets.vault.copies.place import Place, Spec
from chronos_secrets.vault.copies.record import Facts, Name
from chronos_secrets.vault.copies.remotes import Remote
from tests.support.copies import NOW, PROJECT, SPEC, Stick, folder

CONTENT = b"a vault"
NAME = Name.of(PROJECT, NOW, CONTENT, sealed=False)
FACTS = Facts("id", "4.0", 1, NOW, NOW)


def refusal(place: Place) -> str:
    """What making a copy there ends with; nothing may be made."""
    with pytest.raises(ChronosError) as caught:
        making.make(place, CONTENT, FACTS, NOW)
    assert isinstance(caught.value, TargetFailed | Refused)
    return f"{caught.value.code}: {caught.value.message}"


# --- the inventory's rows ---------------------------------------------------------------------------------------------


def test_each_row_of_an_inventory_is_its_place(tmp_path: Path):
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(
        "version: 1\nproject: aviary\nvault:\n  path: v.kdbx\n  copies:\n"
        "    here: {kind: folder, path: copies/../kept}\n    home: {kind: folder, path: ~/kept, age: age1abc}\n"
        "    usb: {kind: usb, volume: {label: KEYS}, path: vault}\n    cloud: {kind: rclone, remote: 'cloud:vault'}\n"
        "credentials: {}\n"
    )
    read = load.read(inventory)
    found = {row.id: places.of(row, read, tmp_path / "me") for row in read.vault.copies.values()}
    assert {name: type(place) for name, place in found.items()} == {
        "here": Folder, "home": Folder, "usb": Drive, "cloud": Remote,
    }  # fmt: skip
    assert [place.where for place in found.values()] == [
        f"the folder {tmp_path}/kept", f"the folder {tmp_path}/me/kept", "the drive KEYS",
        "the cloud storage cloud:vault",
    ]  # fmt: skip
    assert [place.recipient for place in found.values()] == [None, "age1abc", None, None]
    assert {place.project for place in found.values()} == {"aviary"}


def test_a_row_that_says_neither_when_nor_how_often_has_the_default_rhythm(tmp_path: Path):
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(
        "version: 1\nproject: aviary\nvault:\n  path: v.kdbx\n  copies:\n    here: {kind: folder, path: kept}\n"
        "    usb: {kind: usb, volume: {label: KEYS}, path: .}\n    cloud: {kind: rclone, remote: 'cloud:vault'}\n"
        "    rare: {kind: rclone, remote: 'cloud:rare', every: 1 year}\n"
        "    before: {kind: usb, volume: {label: KEYS}, path: ., when: [before-change]}\n"
        "credentials: {}\n"
    )
    found = {row.id: row.rhythm for row in load.read(inventory).vault.copies.values()}
    told = {name: (str(every) if every else None, when) for name, (every, when) in found.items()}
    assert told == {
        "here": (None, ("after-change",)), "usb": ("1 week", ("after-change",)),
        "cloud": ("1 month", ("after-change",)), "rare": ("1 year", ()), "before": (None, ("before-change",)),
    }  # fmt: skip


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_made_private_on_its_first_use(tmp_path: Path):
    place = folder(tmp_path / "copies")
    assert place.names() == [], "looking makes nothing"
    assert not (tmp_path / "copies").exists()
    place.write(NAME, CONTENT)
    assert stat.S_IMODE((tmp_path / "copies").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "copies" / str(NAME)).stat().st_mode) == 0o600


def test_a_folder_whose_parent_is_missing_is_not_made_up(tmp_path: Path):
    said = refusal(folder(tmp_path / "cloud-drive" / "copies"))
    assert said == (
        f"target-failed: the folder {tmp_path}/cloud-drive/copies cannot be made: there is no {tmp_path}/cloud-drive"
    )
    assert not (tmp_path / "cloud-drive").exists()


def test_a_folder_that_is_a_link_elsewhere_is_refused(tmp_path: Path):
    (tmp_path / "public").mkdir()
    (tmp_path / "copies").symlink_to("public")
    assert refusal(folder(tmp_path / "copies")).startswith("refused: the folder ")
    assert not any((tmp_path / "public").iterdir())


def test_a_file_in_place_of_the_folder_is_said(tmp_path: Path):
    (tmp_path / "copies").write_text("")
    assert refusal(folder(tmp_path / "copies")).endswith("cannot be written to: not a directory")


def test_a_folder_that_git_would_add_is_refused_and_one_that_it_ignores_is_not(tmp_path: Path):
    tree = tmp_path / "tree"
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    place = folder(tree / "copies")
    with pytest.raises(Refused, match=f"^git does not ignore {tree}/copies$") as caught:
        place.ready()
    assert not (tree / "copies").exists()
    assert caught.value.hint is not None
    subprocess.run(caught.value.hint, shell=True, check=True)  # noqa: S602  # the hint is a command that can be pasted
    place.ready()
    place.write(NAME, CONTENT)


def test_a_folder_that_leads_into_a_work_tree_by_a_link_above_it_is_refused(tmp_path: Path):
    subprocess.run(["git", "init", "-q", str(tmp_path / "tree")], check=True)
    (tmp_path / "tree" / "below").mkdir()
    (tmp_path / "elsewhere").symlink_to("tree/below")
    assert refusal(folder(tmp_path / "elsewhere" / "copies")).startswith("refused: git does not ignore")


def test_a_copy_that_is_a_link_or_a_pipe_is_not_read(tmp_path: Path):
    place = folder(tmp_path / "copies")
    place.write(NAME, CONTENT)
    target = tmp_path / "copies" / str(NAME)
    target.rename(tmp_path / "moved")
    target.symlink_to(tmp_path / "moved")
    assert place.names() == []
    with pytest.raises(TargetFailed):
        place.read(NAME)
    target.unlink()
    os.mkfifo(target)
    with pytest.raises(TargetFailed, match="regular file"):
        place.read(NAME)


def test_a_copy_is_read_from_the_disk_and_never_waits_for_what_is_not_there(tmp_path: Path):
    with pytest.raises(TargetFailed, match=f"^there is no {NAME} in the folder"):
        folder(tmp_path / "copies").read(NAME)


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename", "fsync of the folder"])
def test_a_disk_that_fails_at_any_call_is_said_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
):
    place = folder(tmp_path / "copies")
    place.ready()
    _fail(monkeypatch, call, errno.EIO)
    said = refusal(place)
    monkeypatch.undo()
    assert said == f"target-failed: the folder {tmp_path}/copies cannot be written to: input/output error"
    assert list((tmp_path / "copies").iterdir()) == []


def _fail(monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    """Let one call of the system fail where it touches a new file, as a disk that breaks does."""

    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    if call == "open":
        real = os.open
        new = os.O_CREAT
        monkeypatch.setattr(os, "open", lambda path, flags, *rest, **more: fails() if flags & new else real(path, flags, *rest, **more))  # fmt: skip
    elif call == "write":
        from chronos_secrets.vault.copies import folders

        def half(folder_: int, name: str, content: bytes) -> None:
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=folder_)
            os.write(descriptor, content[:3])
            os.close(descriptor)
            fails()

        monkeypatch.setattr(folders, "_write", half)
    elif call == "fsync of the folder":
        real_fsync = os.fsync

        def only_files(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                fails()
            real_fsync(descriptor)

        monkeypatch.setattr(os, "fsync", only_files)
    else:
        monkeypatch.setattr(os, call, fails)


def test_a_place_that_gives_back_something_else_has_no_new_copy(tmp_path: Path):
    class Forgetful(Folder):
        def write(self, name: Name, content: bytes) -> None:
            super().write(name, content[:-1])

    said = refusal(Forgetful(SPEC, tmp_path / "copies"))
    assert said.endswith("does not give back what was written to it; the copy was removed again")
    assert list((tmp_path / "copies").iterdir()) == []


def test_what_a_killed_run_left_of_this_project_is_removed_and_anothers_is_not(tmp_path: Path):
    place = folder(tmp_path / "copies")
    place.ready()
    other = Folder(Spec("there", f"{PROJECT}-two"), tmp_path / "copies")
    for each in (place, other):
        name = NAME._replace(project=each.project, digest="0" * 12)
        (tmp_path / "copies" / each.temporary(name)).write_bytes(b"half")
    place.write(NAME, CONTENT)
    assert sorted(os.listdir(tmp_path / "copies")) == [
        other.temporary(NAME._replace(project=other.project, digest="0" * 12)), str(NAME),
    ]  # fmt: skip


# --- drives -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stick(tmp_path: Path) -> Stick:
    return Stick(tmp_path)


def test_an_unplugged_drive_never_becomes_a_folder_on_the_disk_underneath(stick: Stick):
    place = stick.place("vault/below")
    for away, said in ((stick.unmount, "is not mounted"), (stick.pull_out, "is not plugged in")):
        away()
        assert refusal(place) == f"target-failed: the drive KEYS {said}"
        with pytest.raises(TargetFailed):
            place.names()
    assert list(stick.point.iterdir()) == []
    stick.mount()
    making.make(place, CONTENT, FACTS, NOW)
    assert (stick.point / "vault" / "below" / str(NAME)).read_bytes() == CONTENT


def test_a_drive_that_is_gone_from_under_its_mount_point_is_not_mistaken_for_the_disk_there(stick: Stick):
    text = stick.line().replace(f" {os.major(_device(stick))}:{os.minor(_device(stick))} ", " 8:77 ")
    stick.drives.mountinfo.write_text(text)
    assert refusal(stick.place()) == "target-failed: the drive KEYS is not mounted any more"
    assert list(stick.point.iterdir()) == []


def _device(stick: Stick) -> int:
    return stick.point.stat().st_dev


def test_a_drive_pulled_out_while_its_folder_is_looked_for_loses_nothing_else(
    stick: Stick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    place = stick.place()
    real = os.mkdir

    def pulled(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        monkeypatch.setattr(os, "mkdir", real)
        stick.pull_out()
        stick.point.rename(tmp_path / "gone")  # what was opened goes along; another folder is at its place
        stick.point.mkdir()
        real(path, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", pulled)
    assert refusal(place) == "target-failed: the drive KEYS is not plugged in", "found when it is read back"
    assert list(stick.point.iterdir()) == []


def test_a_link_on_a_drive_leads_nowhere_else(stick: Stick, tmp_path: Path):
    (tmp_path / "outside").mkdir()
    (stick.point / "vault").symlink_to(tmp_path / "outside")
    assert refusal(stick.place()) == "refused: vault on the drive KEYS is a link or a file, and no folder"
    assert list((tmp_path / "outside").iterdir()) == []


def test_the_root_of_a_drive_may_be_its_folder(stick: Stick):
    making.make(stick.place("."), CONTENT, FACTS, NOW)
    assert [each.name for each in stick.point.iterdir()] == [str(NAME)]
