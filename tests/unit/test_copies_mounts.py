"""Which drive is mounted where, from the kernel's table and udev's names."""

from pathlib import Path

import pytest

from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems import mounts
from chronos_secrets.systems.mounts import Drives

# proc_pid_mountinfo(5): "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue"
TABLE = b"""\
22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
90 22 0:51 / /run/user rw - tmpfs tmpfs rw,size=1k
91 22 8:33 / /media/me/MY\\040KEYS rw,nosuid shared:2 master:1 propagate_from:2 - vfat /dev/sdc1 rw,fmask=0022
92 22 8:49 /inside /mnt/part rw - ext4 /dev/sdd1 rw
93 22 8:65 / /mnt/old ro - ext4 /dev/sde1 rw
94 22 0:60 /@ /mnt/btrfs rw - btrfs /dev/sdf1 rw,subvol=/@
"""


@pytest.fixture
def drives(tmp_path: Path) -> Drives:
    names = {"MY\\x20KEYS": "sdc1", "PART": "sdd1", "OLD": "sde1", "BTRFS": "sdf1", "UNMOUNTED": "sdg1"}
    for name, device in names.items():
        (tmp_path / "by-label").mkdir(exist_ok=True)
        (tmp_path / "by-label" / name).symlink_to(f"/dev/{device}")
    (tmp_path / "by-uuid").mkdir()
    (tmp_path / "by-uuid" / "1234-ABCD").symlink_to("/dev/sdc1")
    (tmp_path / "table").write_bytes(TABLE)
    return Drives(tmp_path / "table", tmp_path)


def test_a_drive_is_found_by_its_label_and_by_its_uuid(drives: Drives):
    found = drives.mounted("MY KEYS", None)
    assert (found.point, found.kind, found.read_only) == (Path("/media/me/MY KEYS"), "vfat", False)
    assert drives.mounted(None, "1234-ABCD") == found


def test_a_drive_that_is_not_there_and_one_that_is_not_mounted_are_told_apart(drives: Drives):
    with pytest.raises(TargetFailed, match=r"^the drive NONE is not plugged in$"):
        drives.mounted("NONE", None)
    with pytest.raises(TargetFailed, match=r"^the drive UNMOUNTED is not mounted$") as caught:
        drives.mounted("UNMOUNTED", None)
    assert caught.value.hint == "udisksctl mount -b /dev/sdg1"


def test_a_drive_of_which_only_a_folder_is_mounted_is_not_mounted(drives: Drives):
    with pytest.raises(TargetFailed, match="not mounted"):
        drives.mounted("PART", None)
    assert drives.mounted("BTRFS", None).point == Path("/mnt/btrfs"), "btrfs always shows a part"


def test_a_drive_that_is_covered_by_another_mount_is_not_mounted(drives: Drives):
    drives.mountinfo.write_bytes(TABLE + b"95 91 0:70 / /media/me/MY\\040KEYS rw - tmpfs none rw\n")
    with pytest.raises(TargetFailed, match="not mounted"):
        drives.mounted("MY KEYS", None)


def test_a_read_only_mount_is_known_as_one(drives: Drives):
    assert drives.mounted("OLD", None).read_only


def test_a_machine_without_a_table_of_mounts_says_so(drives: Drives, tmp_path: Path):
    with pytest.raises(TargetFailed, match="does not say what is mounted: no such file"):
        drives._replace(mountinfo=tmp_path / "none").mounted("OLD", None)


@pytest.mark.parametrize("line", [b"", b"-", b"1 2 3", b"1 2 x:y / / rw - a b c", b"1 2 1:2 / / rw ext4 /dev/x rw"])
def test_a_line_of_another_shape_is_passed_over(line: bytes):
    assert mounts.parse(line) == []


@pytest.mark.parametrize(
    ("label", "name"), [("KEYS-1", "KEYS-1"), ("a/b\\c", "a\\x2fb\\x5cc"), ("Schlüssel", "Schlüssel"), (" ", "\\x20")]
)
def test_a_label_is_written_as_udev_writes_it(label: str, name: str):
    assert mounts.encoded(label) == name


def test_this_machine_has_a_table_of_mounts_with_its_root():
    (root,) = {each.point: each for each in mounts.parse(mounts.DRIVES.mountinfo.read_bytes()) if each.point == Path("/")}.values()  # fmt: skip
    assert root.root.startswith("/")
