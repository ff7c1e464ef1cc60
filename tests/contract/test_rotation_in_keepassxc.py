"""A rotation in a real vault file, as KeePassXC sees it, and while KeePassXC changes the file."""

import shutil
from pathlib import Path

import pytest

from chronos_secrets.errors import Incomplete, Refused, TargetFailed
from chronos_secrets.rotation.journal import Phase
from tests.support import keepassxc, vaults
from tests.support.imagined import Filed, Traits, World

IAM = Traits(issues=True, overlaps=True, soaks=True)
ENTRY = "/".join(World.entry_path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return vaults.ours(tmp_path / "vault.kdbx")


@pytest.fixture
def world(path: Path) -> World:
    return World(IAM, vault=Filed(path))


def _entry(path: Path) -> keepassxc.Entry:
    return keepassxc.export(path).at(*World.entry_path)


def _stop_at(world: World, phase: Phase) -> None:
    world.target.refuse_new, world.host_away = phase is Phase.CREATED, phase is Phase.PROMOTED
    try:
        world.run()
    except (Incomplete, TargetFailed):
        world.target.refuse_new = world.host_away = False


def _attributes(entry: keepassxc.Entry) -> set[str]:
    return {name for name in entry.fields if name.startswith("chronos.")}


def test_what_keepassxc_shows_in_every_phase(world, path):
    old = world.first["secret"].reveal()
    _stop_at(world, Phase.CREATED)
    entry = _entry(path)
    assert entry.password == old
    assert entry.fields["chronos.pending.secret"][1]  # hidden
    assert "{" not in entry.fields["chronos.rotation"][0]
    world.run()
    entry = _entry(path)
    new = world.current["secret"].reveal()
    assert entry.password == new == keepassxc.show(path, ENTRY, "Password") != old
    assert entry.fields["chronos.previous.secret"] == (old, True)
    (item,) = entry.history
    assert (item.password, _attributes(item) & {"chronos.pending.secret", "chronos.previous.secret"}) == (old, set())
    world.until_quiet()
    entry = _entry(path)
    assert _attributes(entry) == {"chronos.rotation", "chronos.rotated", "chronos.touched"}
    assert [item.password for item in entry.history] == [old]
    assert keepassxc.opens(path)
    assert world.faults() == []


def test_the_journal_can_be_read_in_keepassxc_as_it_is_written(world, path):
    world.run()
    shown = keepassxc.show(path, ENTRY, "chronos.rotation")
    assert shown == world.entry.plain("chronos.rotation")
    assert "phase=delivered" in shown.split(";")


@pytest.mark.parametrize("phase", [Phase.CREATED, Phase.PROMOTED, Phase.DELIVERED])
def test_keepassxc_may_change_the_notes_in_mid_rotation(phase, world, path):
    _stop_at(world, phase)
    keepassxc.edit(path, ENTRY, notes="call me")
    keepassxc.add(path, "Other", "other")
    world.run()
    world.until_quiet()
    assert [fault for fault in world.faults() if "items of the history" not in fault] == []
    entry = _entry(path)
    assert entry.fields["Notes"][0] == "call me"
    assert keepassxc.show(path, "Other", "Password") == "other"


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_keepassxc_may_save_right_before_any_of_our_saves(number, world, path):
    saves = []

    def meanwhile() -> None:
        saves.append(1)
        if len(saves) == number:
            keepassxc.add(path, "Other", "other")
            keepassxc.edit(path, ENTRY, notes="call me")

    world.between = meanwhile
    world.run()
    world.until_quiet()
    assert [fault for fault in world.faults() if "items of the history" not in fault] == []
    assert _entry(path).fields["Notes"][0] == "call me"
    assert keepassxc.show(path, "Other", "Password") == "other"


@pytest.mark.parametrize("phase", [Phase.CREATED, Phase.PROMOTED])
def test_a_password_that_a_person_sets_in_keepassxc_is_not_overwritten(phase, world, path):
    _stop_at(world, phase)
    keepassxc.run("edit", "--password-prompt", path, ENTRY, answers=["by hand", "by hand"])
    with pytest.raises(Refused, match="somebody changed it, and it is not overwritten"):
        world.run()
    assert keepassxc.show(path, ENTRY, "Password") == "by hand"


@pytest.mark.parametrize("phase", [Phase.CREATED, Phase.PROMOTED, Phase.DELIVERED])
def test_a_rotation_that_lost_a_merge_in_keepassxc_is_found_and_carried_on(phase, world, path, tmp_path):
    """The other vault was copied before the rotation and changed after it, by the clock: its version wins."""
    other = tmp_path / "other.kdbx"
    shutil.copy(path, other)
    _stop_at(world, phase)
    keepassxc.edit(other, ENTRY, notes="theirs")
    keepassxc.merge(path, other)
    merged = _entry(path)
    assert merged.fields["Notes"][0] == "theirs"
    assert "chronos.rotation" not in merged.fields
    assert any("chronos.rotation" in item.fields for item in merged.history)
    journal = world.engine().journal()
    assert journal
    assert journal.phase is phase
    world.run()
    world.until_quiet()
    assert [fault for fault in world.faults() if "items of the history" not in fault] == []
    assert world.current != world.first
    entry = _entry(path)
    assert entry.fields["Notes"][0] == "theirs"
    left = {name for item in (entry, *entry.history) for name in item.fields}
    assert not any(name.startswith(("chronos.pending.", "chronos.previous.")) for name in left)
    assert world.first["secret"].reveal() in [item.password for item in entry.history]


def test_the_ten_items_of_the_history_outlive_nine_rotations(world, path):
    """KeePassXC keeps ten items: nine rotations use nine of them, and the first password is still there."""
    for _ in range(9):
        world.engine().begin()
        world.until_quiet()
    entry = _entry(path)
    assert len(entry.history) == 9
    assert entry.history[0].password == world.first["secret"].reveal()
    assert len({item.password for item in entry.history}) == 9
