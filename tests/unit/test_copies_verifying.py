"""A copy counts when it was read back and opened; whatever is wrong with it is found and said."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from chronos_secrets.errors import TargetFailed
from chronos_secrets.vault import kdf
from chronos_secrets.vault.copies import catalogue, copying, making, pruning, record, verifying
from chronos_secrets.vault.copies.folders import Folder
from chronos_secrets.vault.copies.record import BY_HASH, OPENED, Name, Record
from chronos_secrets.vault.copies.verifying import Verdict
from tests.support import keepassxc, vaults
from tests.support.copies import NOW, Keep, Live, Stick, folder, live

LATER = NOW + timedelta(days=1)


@pytest.fixture
def vault(tmp_path: Path) -> Live:
    return live(tmp_path / "vault.kdbx", "one", "two")


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    return folder(tmp_path / "copies")


def made(place: Folder, vault: Live) -> Record:
    return making.make(place, vault.content, vault.facts, NOW)


def look(place: Folder, known: Record, vault: Live, **more: object) -> Verdict:
    return verifying.verify(place, known, vault.key, vault.facts, now=LATER, **more)


def file(place: Folder, known: Record, tmp_path: Path) -> Path:
    return tmp_path / "copies" / known.name


def test_what_a_vault_says_of_itself(tmp_path: Path):
    found = live(tmp_path / "vault.kdbx", "one", "two").facts
    assert (found.version, found.entries) == ("4.0", 2)
    assert found.newest is not None
    assert found.key_changed is not None
    again = live(tmp_path / "vault.kdbx", "three").facts
    assert (again.entries, again.vault_id, again.key_changed) == (3, found.vault_id, found.key_changed)
    other = live(tmp_path / "other.kdbx", "one", "two").facts
    assert other.vault_id != found.vault_id


def test_what_keepassxc_changes_is_a_newer_change(tmp_path: Path):
    path = vaults.kdbx4(tmp_path / "vault.kdbx")
    before = live(path).facts
    keepassxc.add(path, "three", "a password")
    added = live(path).facts
    keepassxc.remove(path, "three")
    removed = live(path).facts
    assert before.newest is not None
    assert added.newest is not None
    assert removed.newest is not None
    assert before.newest <= added.newest <= removed.newest
    assert (before.entries, added.entries, removed.entries) == (0, 1, 1), "what is in the recycle bin counts"


def test_a_new_copy_is_the_vault_byte_for_byte_and_keepassxc_opens_it(place: Folder, vault: Live, tmp_path: Path):
    known = made(place, vault)
    assert known.how == BY_HASH
    assert file(place, known, tmp_path).read_bytes() == vault.content
    assert keepassxc.opens(file(place, known, tmp_path))


def test_a_verified_copy_was_opened_and_its_facts_compared(place: Folder, vault: Live):
    verdict = look(place, made(place, vault), vault)
    assert (verdict.fault, verdict.opened, verdict.standing) == (None, True, "same")
    assert (verdict.record.how, verdict.record.opened, verdict.record.facts) == (OPENED, LATER, vault.facts)


def test_a_copy_that_another_machine_made_is_verified_by_its_name_and_opened(place: Folder, vault: Live):
    known = made(place, vault)
    name = Name.parse(known.name)
    assert name is not None
    verdict = look(place, record.unknown("there", name), vault)
    assert verdict.record == known._replace(verified=LATER, opened=LATER)


def test_without_a_key_a_copy_is_verified_by_its_hash_and_was_still_opened_before(place: Folder, vault: Live):
    opened = look(place, made(place, vault), vault).record
    verdict = verifying.verify(place, opened, None, None, now=LATER + timedelta(1))
    assert (verdict.fault, verdict.opened) == (None, False)
    assert (verdict.record.how, verdict.record.opened) == (BY_HASH, LATER)


def test_a_copy_older_and_one_newer_than_the_live_vault_are_told_and_are_no_fault(place: Folder, vault: Live):
    known, newest = made(place, vault), vault.facts.newest
    assert newest is not None
    for change, standing in ((timedelta(1), "older"), (-timedelta(1), "newer")):
        verdict = look(place, known, vault._replace(facts=vault.facts._replace(newest=newest + change)))
        assert (verdict.fault, verdict.standing) == (None, standing)


def test_a_copy_with_another_password_does_not_open_and_is_no_damaged_one(place: Folder, vault: Live):
    known = made(place, vault)
    verdict = look(place, known, vault._replace(key=vaults.key("another one")))
    assert verdict.fault is not None
    assert verdict.fault.startswith("does not open: the password or key file is not this copy's, which was set on 20")
    assert (verdict.record.is_good, verdict.record.was_opened) == (True, False)


def test_a_copy_of_another_vault_with_the_same_password_is_found(place: Folder, vault: Live, tmp_path: Path):
    other = live(tmp_path / "other.kdbx", "one", "two")
    verdict = look(place, made(place, other), vault)
    assert verdict.fault == "is a copy of another vault"
    assert not verdict.record.is_good


def test_a_copy_that_holds_fewer_entries_than_recorded_is_found(place: Folder, vault: Live):
    known = made(place, vault)
    recorded = known._replace(facts=vault.facts._replace(entries=9))
    assert look(place, recorded, vault).fault == "holds 2 entries where 9 were recorded"
    recorded = known._replace(facts=vault.facts._replace(newest=LATER))
    assert look(place, recorded, vault).fault == "does not hold what was recorded when it was made"
    assert look(place, known._replace(vault="0" * 64), vault).fault == (
        "holds another vault file than the one that was copied"
    )


def test_a_copy_made_of_a_broken_vault_is_found_though_its_hash_is_right(place: Folder, vault: Live):
    broken = vault._replace(content=vault.content[:-40])
    verdict = look(place, made(place, broken), vault)
    assert verdict.fault is not None
    assert verdict.fault.startswith("does not open: its content is ")
    assert not verdict.record.is_good


def test_a_copy_that_is_gone_is_told_from_a_place_that_is_away(tmp_path: Path, vault: Live):
    stick = Stick(tmp_path)
    place = stick.place()
    known = making.make(place, vault.content, vault.facts, NOW)
    (stick.point / "vault" / known.name).unlink()
    assert verifying.verify(place, known, vault.key, vault.facts, now=NOW).fault == "is not there any more"
    stick.pull_out()
    with pytest.raises(TargetFailed, match="not plugged in"):
        verifying.verify(place, known, vault.key, vault.facts, now=NOW)


def test_a_copy_that_the_disk_does_not_give_back_is_a_bad_one(
    place: Folder, vault: Live, monkeypatch: pytest.MonkeyPatch
):
    known = made(place, vault)

    def fails(name: Name) -> bytes:
        raise TargetFailed("input/output error")

    monkeypatch.setattr(place, "read", fails)
    verdict = look(place, known, vault)
    assert verdict.fault == "cannot be read back: input/output error"
    assert not verdict.record.is_good


def test_a_copy_in_place_of_another_one_is_found(place: Folder, vault: Live, tmp_path: Path):
    first = made(place, vault)
    changed = live(vault.path, "three")
    second = making.make(place, changed.content, changed.facts, LATER)
    one, other = (file(place, each, tmp_path) for each in (first, second))
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    for known in (first, second):
        assert not look(place, known, changed).record.is_good


def test_a_copy_cut_short_says_by_how_much(place: Folder, vault: Live, tmp_path: Path):
    known = made(place, vault)
    file(place, known, tmp_path).write_bytes(vault.content[:100])
    assert look(place, known, vault).fault == f"is cut short: 100 of {len(vault.content)} bytes"


# --- one whole run ----------------------------------------------------------------------------------------------------


def run(place: Folder, vault: Live, tmp_path: Path, *, days: int = 0, keep: Keep | None = None) -> copying.Copied:
    now = NOW + timedelta(days=days)
    with catalogue.held(tmp_path):
        return copying.copy(place, vault.content, vault.key, vault.facts, keep, state=tmp_path, now=now)


def test_a_run_leaves_an_opened_copy_that_the_catalogue_knows(place: Folder, vault: Live, tmp_path: Path):
    done = run(place, vault, tmp_path)
    assert (done.verdict.fault, done.removed, done.kept) == (None, (), None)
    (known,) = catalogue.load(tmp_path / catalogue.FILE).records
    assert known == done.verdict.record
    assert known.was_opened


def test_a_run_removes_what_the_rule_lets_go_and_forgets_it(place: Folder, vault: Live, tmp_path: Path):
    records = [run(place, vault, tmp_path, days=number, keep=Keep(last=2)).verdict.record for number in range(4)]
    assert [str(name) for name in place.names()] == [each.name for each in records[2:]]
    assert list(catalogue.load(tmp_path / catalogue.FILE).records) == records[2:]


def test_nothing_is_removed_while_the_newest_copy_is_damaged(place: Folder, vault: Live, tmp_path: Path):
    known = [run(place, vault, tmp_path, days=number).verdict.record for number in range(3)]
    file(place, known[-1], tmp_path).write_bytes(b"damaged since")
    with pytest.raises(TargetFailed, match="is damaged, so no older copy was removed"):
        pruning.thin(place, known, Keep(last=1), NOW + timedelta(days=9))
    assert len(place.names()) == 3


def test_a_copy_that_cannot_be_removed_is_told_and_the_new_one_stands(
    place: Folder, vault: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run(place, vault, tmp_path)
    monkeypatch.setattr(os, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    done = run(place, vault, tmp_path, days=1, keep=Keep(last=1))
    monkeypatch.undo()
    assert done.verdict.opened
    assert (done.removed, len(place.names())) == ((), 2)
    assert done.kept is not None
    assert done.kept.endswith("input/output error")


def test_a_copy_that_does_not_open_pushes_no_older_one_out(place: Folder, vault: Live, tmp_path: Path):
    for days in range(2):
        run(place, vault, tmp_path, days=days)
    done = run(place, vault._replace(key=vaults.key("another one")), tmp_path, days=2, keep=Keep(last=1))
    assert done.verdict.fault is not None
    assert (done.removed, len(place.names())) == ((), 3)


def test_a_copy_that_was_removed_twice_is_gone_once(place: Folder, vault: Live):
    known = made(place, vault)
    assert pruning.remove(place, [known]) == [known]
    assert pruning.remove(place, [known]) == [known]
    assert pruning.remove(place, [known._replace(place="elsewhere")]) == []


def test_a_run_derives_the_key_at_most_twice(tmp_path: Path, place: Folder, monkeypatch: pytest.MonkeyPatch):
    path = live(tmp_path / "vault.kdbx", "one").path
    derived = []
    real = kdf._transform
    monkeypatch.setattr(kdf, "_transform", lambda *arguments: derived.append(1) or real(*arguments))
    opened = vaults.opened(path)
    vault = Live(path, path.read_bytes(), verifying.facts(opened.entries), opened.key)
    for days in range(3):
        assert run(place, vault, tmp_path, days=days).verdict.opened
    assert len(derived) == 1, "what opened the vault opens its copies"
