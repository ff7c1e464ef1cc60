"""What a rotation keeps for a while is no part of an entry's past."""

import secrets
from datetime import timedelta

import pytest

from chronos_secrets.errors import VaultLocked
from chronos_secrets.secret import Secret
from chronos_secrets.vault import kdbx
from chronos_secrets.vault.entries import PENDING, PREVIOUS, Attribute, Entries, Entry
from tests.support import vaults
from tests.support.vaults import CHEAP, NOW

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def entries() -> Entries:
    return Entries(kdbx.create("Test", secrets.token_bytes(32), CHEAP))


@pytest.fixture
def entry(entries) -> Entry:
    made = entries.add(("Entry",), now=NOW)
    entries.change(made, now=NOW, fields={"Password": Attribute(Secret("old"))}, attachments={"key": Secret(b"old")})
    return made


def _attribute(text: str) -> Attribute:
    return Attribute(Secret(text))


@pytest.mark.parametrize("prefix", [PENDING, PREVIOUS])
def test_what_is_kept_for_a_while_uses_up_no_item_of_the_history(prefix, entries, entry):
    for text in ("one", "two"):
        fields, files = {f"{prefix}password": _attribute(text)}, {f"{prefix}key": Secret(text.encode())}
        entries.change(entry, now=LATER, fields=fields, attachments=files)
    entries.change(entry, now=LATER, remove=[f"{prefix}password", f"{prefix}key"])
    assert entry.history == ()
    assert (entry.attribute_names, entry.attachment_names) == (("chronos.touched",), ("key",))


def test_the_entry_as_it_was_goes_into_the_history_without_what_is_kept_for_a_while(entries, entry):
    pending = {f"{PENDING}password": _attribute("new")}
    entries.change(entry, now=LATER, fields=pending, attachments={f"{PREVIOUS}key": Secret(b"older")})
    entries.change(entry, now=LATER + timedelta(hours=1), fields={"Password": _attribute("new")})
    (item,) = entry.history
    assert item.field("Password") == Secret("old")
    assert (item.attribute_names, item.attachment_names) == (("chronos.touched",), ("key",))
    assert entry.field(f"{PENDING}password") == Secret("new")


def test_what_keepassxc_put_into_the_history_goes_with_it(entries, entry):
    entries.change(entry, now=LATER, fields={f"{PENDING}password": _attribute("new")})
    entries._remember(entry)
    item = entry.history[0].element
    entries.change(Entry(entries, item), now=LATER, fields={f"{PENDING}password": _attribute("new")})
    entries.change(entry, now=LATER, remove=[f"{PENDING}password"])
    assert all(f"{PENDING}password" not in each.attribute_names for each in (entry, *entry.history))


def test_the_only_attachment_is_still_the_only_one_while_another_is_pending(entries, entry):
    entries.change(entry, now=LATER, attachments={f"{PENDING}private_key": Secret(b"new")})
    assert entry.attachment(None) == Secret(b"old")
    assert entry.attachment(f"{PENDING}private_key") == Secret(b"new")


@pytest.mark.parametrize("name", ["hidden", "key"])
def test_a_secret_that_is_removed_goes_into_the_history(name, entries, entry):
    entries.change(entry, now=LATER, fields={"hidden": _attribute("value")})
    entries.change(entry, now=LATER + timedelta(hours=1), remove=[name])
    assert len(entry.history) == 1
    assert name not in (*entry.attribute_names, *entry.attachment_names)


def test_an_attribute_that_is_no_secret_is_removed_without_an_item(entries, entry):
    entries.change(entry, now=LATER, fields={"plain": Attribute(Secret("value"), protected=False)})
    entries.change(entry, now=LATER, remove=["plain", "never there"])
    assert entry.history == ()
    assert "plain" not in entry.attribute_names


def test_an_item_is_made_or_not_as_it_is_said(entries, entry):
    notes = {"Notes": Attribute(Secret("codes"), protected=False)}
    entries.change(entry, now=LATER, fields=notes, remember=True)
    entries.change(entry, now=LATER, fields={"Password": _attribute("new")}, remember=False)
    (item,) = entry.history
    assert item.field("Password") == Secret("old")


def test_no_two_versions_of_an_entry_are_of_one_second_or_a_merge_would_keep_only_one(entries, entry):
    for text in ("one", "two", "three"):
        entries.change(entry, now=LATER, fields={"Password": _attribute(text)})
        entries.change(entry, now=LATER, fields={"chronos.rotated": Attribute(Secret(text), protected=False)})
    times = [each.modified for each in (*entry.history, entry)]
    assert times == sorted(set(times))
    assert entry.modified == LATER + timedelta(seconds=5)


def test_a_change_that_a_wrong_clock_wrote_does_not_move_the_clock_for_ever(entries, entry):
    entries.change(entry, now=LATER + timedelta(days=400), fields={"Password": _attribute("one")})
    entries.change(entry, now=LATER, fields={"Password": _attribute("two")})
    assert entry.modified == LATER


# --- reading the file again ------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    return vaults.ours(tmp_path / "vault.kdbx")


def test_a_vault_that_is_read_again_holds_what_another_program_saved_and_can_be_saved(path):
    vault, other = vaults.opened(path), vaults.opened(path)
    entries = vault.entries
    vault.entries.add(("never saved",), now=NOW)
    other.entries.add(("theirs",), now=NOW)
    other.save(NOW)
    vault.reload()
    assert vault.entries is entries
    assert [entry.title for entry in entries] == ["theirs"]
    entries.add(("ours",), now=NOW)
    vault.save(NOW)
    assert {entry.title for entry in vaults.opened(path).entries} == {"theirs", "ours"}


def test_a_vault_with_another_password_by_now_is_not_read_again(path, tmp_path):
    vault = vaults.opened(path)
    other = vaults.ours(tmp_path / "other.kdbx", master=vaults.key("another one"))
    path.write_bytes(other.read_bytes())
    with pytest.raises(VaultLocked, match=f"cannot open {path}"):
        vault.reload()
