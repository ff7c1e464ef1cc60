"""Copies survive kills, full disks, drives that are pulled out and damage: the number of good ones never falls."""

import json
import os
import random
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from chronos_secrets.vault.copies import making, record, verifying
from chronos_secrets.vault.copies.folders import Folder
from chronos_secrets.vault.copies.record import Name
from tests.support import copier, keepassxc, vaults
from tests.support.copies import NOW, Live, folder, live
from tests.support.programs import require

LONG = bool(os.environ.get("CHRONOS_LONG"))
CORRUPTIONS = 1000 if LONG else 100


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    return live(tmp_path / "vault.kdbx", "one", "two").path


# --- kills ------------------------------------------------------------------------------------------------------------


def _assert_none_was_lost(told: list[dict[str, object]]) -> None:
    killed = told[:-1]
    assert not told[-1]["killed"]
    assert killed
    for each in told:
        assert each["bad"] == 0, each
        assert each["good"] in (copier.KEPT, copier.KEPT + 1), each
        assert each["newest before"], each
        assert each["then"] == [copier.KEPT, True, 0], each
    assert {each["good"] for each in killed} == {copier.KEPT, copier.KEPT + 1}, "killed before and after the new one"


def test_a_run_killed_before_any_of_its_lines_leaves_every_good_copy(
    vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fast = tmp_path / "fast"  # a disk would spend minutes on what each run has it sync
    place = fast / "copies"
    monkeypatch.setenv("FOLDER", str(place))
    before = f"mkdir {fast}; mount -t tmpfs none {fast}; cd {fast}"
    told = copier.run("killed-at-each-line", vault, f"folder:{place}", 1 if LONG else 7, folder=tmp_path, before=before)
    _assert_none_was_lost(told)
    lines = {str(each["line"]).partition(":")[0] for each in told[:-1]}
    assert lines == {"copying.py", "making.py", "pruning.py", "catalogue.py", "folders.py", "files.py"}


def test_a_run_into_a_cloud_storage_killed_at_any_step_leaves_every_good_copy(
    vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    require("rclone")
    place = tmp_path / "copies"
    monkeypatch.setenv("FOLDER", str(place))
    monkeypatch.setenv("RCLONE_CONFIG_CLOUD_TYPE", "local")
    told = copier.run("killed-at-each-line", vault, f"rclone:cloud:{place}", 1 if LONG else 4, folder=tmp_path)
    _assert_none_was_lost(told)


def test_an_upload_cut_off_in_its_middle_is_no_copy_and_is_swept_by_the_next_run(
    vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    require("rclone")
    with vaults.edited(vault) as held:
        held.find_entries(title="one", first=True).add_attachment(held.add_binary(os.urandom(400_000)), "large")
    monkeypatch.setenv("RCLONE_CONFIG_CLOUD_TYPE", "local")
    place = tmp_path / "copies"
    slow = {**os.environ, **copier.environment(), "RCLONE_BWLIMIT": "20k"}
    argv = copier.command("once", vault, f"rclone:cloud:{place}")
    process = subprocess.Popen(argv, cwd=tmp_path, env=slow, stdout=subprocess.DEVNULL)
    _wait_for_a_part(process, place)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in (str(process.pid), *children):
        os.kill(int(pid), 9)
    process.wait()
    (part,) = place.iterdir()
    assert part.name.startswith(".chronos-aviary-")
    assert part.stat().st_size < vault.stat().st_size
    ((state, name),) = copier.run("once", vault, f"rclone:cloud:{place}", folder=tmp_path)
    assert (state, [each.name for each in place.iterdir()]) == ("made", [name])
    assert (place / name).read_bytes() == vault.read_bytes()


def _wait_for_a_part(process: "subprocess.Popen[bytes]", place: Path) -> None:
    """Until something of the upload lies in the storage."""
    while process.poll() is None:
        if place.is_dir() and any(each.stat().st_size for each in place.iterdir()):
            return
    raise AssertionError("it ended before it could be cut off")


# --- disks and drives that are really mounted -------------------------------------------------------------------------


class Stick:
    """A tmpfs that is mounted as a drive in the namespace of a run, and the names that udev would give it."""

    def __init__(self, folder: Path) -> None:
        require("unshare")
        self.point, self.names = folder / "stick", folder / "disk"
        self.point.mkdir()
        (self.names / "by-label").mkdir(parents=True)
        (self.names / "by-label" / "KEYS").symlink_to("/dev/chronos-stick")
        self.place = f"drive:KEYS:{self.names}"

    def mounted(self, options: str = "size=1m") -> str:
        return f"mount -t tmpfs -o {options} /dev/chronos-stick {shlex.quote(str(self.point))}"


@pytest.fixture
def stick(tmp_path: Path) -> Stick:
    return Stick(tmp_path)


def _show(path: Path, target: Path) -> str:
    """Shell: run what follows, then copy what lies in a mount out of its namespace."""
    return f'"$@"; cp -a {shlex.quote(str(path))} {shlex.quote(str(target))}; exit 0'


def test_a_copy_on_a_mounted_drive_opens_in_keepassxc(vault: Path, tmp_path: Path, stick: Stick):
    before = f"{stick.mounted()}\n{_show(stick.point, tmp_path / 'seen')}"
    ((state, name),) = copier.run("once", vault, stick.place, folder=tmp_path, before=before)
    assert state == "made"
    assert keepassxc.opens(tmp_path / "seen" / "vault" / name)
    assert list(stick.point.iterdir()) == [], "nothing on the disk underneath"


def test_a_drive_that_is_not_mounted_is_said_and_the_other_copies_are_still_made(
    vault: Path, tmp_path: Path, stick: Stick
):
    told = copier.run("once", vault, stick.place, f"folder:{tmp_path}/copies", folder=tmp_path)
    assert told[0] == ["target-failed", "the drive KEYS is not mounted"]
    assert told[1][0] == "made"
    assert list(stick.point.iterdir()) == []


def test_a_drive_without_room_is_said_and_keeps_what_it_has(vault: Path, tmp_path: Path, stick: Stick):
    with vaults.edited(vault) as held:
        held.find_entries(title="one", first=True).add_attachment(held.add_binary(os.urandom(30_000)), "large")
    full = f"mkdir {stick.point}/vault; head -c 8192 /dev/zero > {stick.point}/vault/other"
    before = f"{stick.mounted('size=20k')}\n{full}\n{_show(stick.point, tmp_path / 'seen')}"
    told = copier.run("once", vault, stick.place, f"folder:{tmp_path}/copies", folder=tmp_path, before=before)
    assert told[0] == ["target-failed", "the drive KEYS cannot be written to: no space left on device"]
    assert told[1][0] == "made"
    assert os.listdir(tmp_path / "seen" / "vault") == ["other"]


def test_a_read_only_drive_is_said(vault: Path, tmp_path: Path, stick: Stick):
    before = f"{stick.mounted()}; mkdir {stick.point}/vault; mount -o remount,bind,ro {stick.point}"
    told = copier.run("once", vault, stick.place, folder=tmp_path, before=before)
    assert told == [["target-failed", "the drive KEYS cannot be written to: read-only file system"]]


@pytest.mark.parametrize("when", ["named", "read back"])
def test_a_drive_pulled_out_in_the_middle_of_a_run_gives_no_copy_and_leaves_nothing_underneath(
    vault: Path, tmp_path: Path, stick: Stick, monkeypatch: pytest.MonkeyPatch, when: str
):
    monkeypatch.setenv("POINT", json.dumps([str(stick.point)]))
    told = copier.run("lost", vault, stick.place, when, folder=tmp_path, before=stick.mounted())
    assert told == ["target-failed", "the drive KEYS is not mounted", [], []]


# --- damage -----------------------------------------------------------------------------------------------------------


def _flip(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]


def _truncate(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def _swap(content: bytes, chance: random.Random) -> bytes:
    """Two blocks in each other's place, as a file system that lost its way leaves them."""
    size = chance.choice([1, 16, 64, 256])
    first, second = sorted(chance.sample(range(0, len(content) - size, size), 2))
    one, other = content[first : first + size], content[second : second + size]
    return content[:first] + other + content[first + size : second] + one + content[second + size :]


_DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (_flip, _truncate, _swap)


def damages(content: bytes, number: int) -> "list[tuple[str, bytes]]":
    """So many damaged forms of a file, the same ones every time."""
    chance = random.Random(20261122)
    made = [(_DAMAGES[each % 3], each) for each in range(number)]
    found = [(f"{damage.__name__} {each}", damage(content, chance)) for damage, each in made]
    return [(name, damaged) for name, damaged in found if damaged != content]  # two equal bytes may be swapped


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    return folder(tmp_path / "copies")


@pytest.mark.parametrize("known_here", [True, False], ids=["known here", "made elsewhere"])
def test_every_damage_is_found(place: Folder, vault: Path, tmp_path: Path, known_here: bool):
    held = live(vault)
    known = making.make(place, held.content, held.facts, NOW)
    name = Name.parse(known.name)
    assert name is not None
    found = damages(held.content, CORRUPTIONS)
    for damage, content in found:
        (tmp_path / "copies" / known.name).write_bytes(content)
        recorded = known if known_here else record.unknown("there", name)
        verdict = verifying.verify(place, recorded, held.key, held.facts, now=NOW)
        assert verdict.fault is not None, damage
        assert not verdict.record.is_good, damage
    assert len(found) > CORRUPTIONS * 0.95


def test_damage_that_was_there_before_the_hash_was_taken_is_found_by_opening(place: Folder, vault: Path):
    """The copy of a vault file that was damaged already: its hash is right, and only opening it can tell."""
    held = live(vault)
    for damage, content in damages(held.content, CORRUPTIONS):
        known = making.make(place, content, held.facts, NOW)._replace(vault=None)
        verdict = verifying.verify(place, known, held.key, held.facts, now=NOW)
        name = Name.parse(known.name)
        assert name is not None
        place.remove(name)
        assert verdict.fault is not None, damage


def test_every_damage_of_a_sealed_copy_is_found_by_its_hash_and_by_age(vault: Path, tmp_path: Path):
    from tests.support.copies import SPEC, identity

    held: Live = live(vault)
    path, recipient = identity(tmp_path / "identity")
    place = Folder(SPEC._replace(recipient=recipient), tmp_path / "copies")
    known = making.make(place, held.content, held.facts, NOW)
    file = tmp_path / "copies" / known.name
    for damage, content in damages(file.read_bytes(), CORRUPTIONS // 5):
        file.write_bytes(content)
        assert verifying.verify(place, known, held.key, held.facts, now=NOW, identity=path).fault is not None, damage
        digest = Name.of("aviary", NOW, content, sealed=True).digest
        hidden = known._replace(sha256=digest, size=None)
        verdict = verifying.verify(place, hidden, held.key, held.facts, now=NOW, identity=path)
        assert (verdict.fault or "").startswith("does not open: "), damage
