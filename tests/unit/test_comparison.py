"""What is said to differ between two vaults: all of it, by name, and never a value."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chronos_secrets.secret import Secret
from chronos_secrets.vault import document, kdbx
from chronos_secrets.vault.comparison import HISTORY_ONLY, Difference, compare
from chronos_secrets.vault.entries import Attribute, Entries, Entry
from tests.support import vaults
from tests.support.vaults import CHEAP, NOW

LATER = NOW + timedelta(days=1)
DB, KEY = ("Database", "DB"), ("SSH Keys", "Key")
Change = Callable[[Entries], None]


@pytest.fixture
def before() -> Entries:
    made = Entries(kdbx.create("Test", secrets.token_bytes(32), CHEAP))
    for path in (DB, KEY):
        entry = made.add(path, now=NOW)
        fields = {name: Attribute(Secret(secrets.token_hex(9))) for name in ("UserName", "Password", "Notes", "Region")}
        made.change(entry, now=NOW, fields=fields, attachments={"id": Secret(secrets.token_bytes(40))})
    return made


@pytest.fixture
def after(before: Entries) -> Entries:
    """The same vault, saved and opened again."""
    return Entries(kdbx.decrypt(before.kdbx.build(vaults.key()), vaults.key()))


def _at(vault: Entries, path: tuple[str, ...] = DB) -> Entry:
    found = vault.at(path)
    assert found is not None
    return found


def _set(vault: Entries, path: tuple[str, ...] = DB, **fields: str) -> None:
    vault.change(_at(vault, path), now=LATER, fields={name: Attribute(Secret(text)) for name, text in fields.items()})


def _move(vault: Entries, entry: Entry, *group: str) -> None:
    vault.add_group(group, now=LATER).append(entry.element)


def _bin(vault: Entries) -> None:
    """Make a recycle bin, as KeePassXC does when it first needs one."""
    group = vault.add_group(("Recycle Bin",), now=NOW)
    vault.kdbx.root.find("Meta/RecycleBinUUID").text = group.findtext("UUID")


def test_a_vault_saved_again_is_alike(before: Entries, after: Entries):
    found = compare(before, after)
    assert (found.entries, found.master_key, found.same_vault, found.alike) == ((), False, True, True)


def test_entries_that_were_added_are_gone_or_were_changed_are_named_with_their_fields(before: Entries, after: Entries):
    after.add(("New", "Thing"), now=LATER)
    _at(after, KEY).element.getparent().remove(_at(after, KEY).element)
    after = Entries(after.kdbx)
    _set(after, Password="another", Region="elsewhere")
    assert compare(before, after).entries == (
        Difference("SSH Keys/Key", "gone"),
        Difference("Database/DB", "changed", ("Password", "Region")),
        Difference("New/Thing", "added"),
    )
    assert [each.what for each in compare(after, before).entries] == ["gone", "changed", "added"]


def _tag(vault: Entries, text: str) -> None:
    _at(vault).element.find("Tags").text = text


def _icon(vault: Entries) -> None:
    _at(vault).element.find("IconID").text = "12"


CHANGES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "a field that was emptied": (lambda vault: _set(vault, Notes=""), ("Notes",)),
    "a field that is new": (lambda vault: _set(vault, otp="otpauth://x"), ("otp",)),
    "an attachment": (
        lambda vault: vault.change(_at(vault), now=LATER, attachments={"id": Secret(b"another")}),
        ("attachment id",),
    ),
    "an empty attachment that is new": (
        lambda vault: vault.change(_at(vault), now=LATER, attachments={"note": Secret(b"")}),
        ("attachment note",),
    ),
    "its expiry": (lambda vault: vault.change(_at(vault), now=LATER, expires=LATER), ("expiry",)),
    "its tags": (lambda vault: _tag(vault, "old;cold"), ("tags",)),
    "its icon": (_icon, ("other settings",)),
    "its place": (lambda vault: _move(vault, _at(vault), "Elsewhere"), ("moved from 'Database'",)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_was_changed_is_named(name: str, before: Entries, after: Entries):
    change, fields = CHANGES[name]
    change(after)
    (found,) = compare(before, after).entries
    assert (found.what, found.fields) == ("changed", fields)


def test_a_title_that_was_changed_is_a_change_and_not_two_entries(before: Entries, after: Entries):
    _set(after, Title="PostgreSQL")
    assert compare(before, after).entries == (Difference("Database/PostgreSQL", "changed", ("Title",)),)


def test_a_history_that_was_cut_is_said_though_nothing_else_differs(before: Entries, after: Entries):
    for vault in (before, after):
        _set(vault, Password="same in both")
    assert compare(before, after).alike
    history = _at(after).element.find("History")
    history.remove(history.find("Entry"))
    assert compare(before, after).entries == (Difference("Database/DB", "changed", (HISTORY_ONLY,)),)


def test_an_entry_in_the_recycle_bin_is_gone_and_one_taken_out_of_it_is_back(before: Entries, after: Entries):
    for vault in (before, after):
        _bin(vault)
    _move(after, _at(after), "Recycle Bin")
    assert compare(before, after).entries == (Difference("Database/DB", "gone", ("in the recycle bin",)),)
    assert compare(after, before).entries == (Difference("Database/DB", "added", ("back from the recycle bin",)),)


def test_an_entry_that_was_made_anew_at_its_place_is_compared_with_the_old_one(before: Entries, after: Entries):
    _at(after).element.find("UUID").text = document.new_uuid()
    assert compare(before, after).alike
    _set(after, UserName="other")
    assert compare(before, after).entries == (Difference("Database/DB", "changed", ("UserName",)),)


def test_twins_are_told_apart_and_none_is_lost(before: Entries, after: Entries):
    after.add(DB, now=LATER)
    assert compare(before, after).entries == (Difference("Database/DB", "added"),)
    assert compare(after, before).entries == (Difference("Database/DB", "gone"),)


def test_another_master_password_and_another_vault_are_said(before: Entries, after: Entries):
    after.kdbx.root.find("Meta/MasterKeyChanged").text = document.encode_time(datetime.now(UTC) + timedelta(days=3))
    found = compare(before, after)
    assert (found.master_key, found.same_vault, found.alike) == (True, True, False)
    other = Entries(kdbx.create("Other", secrets.token_bytes(32), CHEAP))
    assert not compare(before, other).same_vault


def test_the_old_format_and_the_new_one_of_the_same_vault_are_alike(tmp_path: Path):
    path = tmp_path / "old.kdbx"
    vaults.kdbx31(path)
    with vaults.edited(path) as opened:
        entry = vaults._entry(opened, ("a", "b"), "value")
        entry.expires, entry.expiry_time = True, NOW
        entry.save_history()
        entry.password = "another"
    old = Entries(kdbx.decrypt(path.read_bytes(), vaults.key()))
    new = Entries(kdbx.decrypt(path.read_bytes(), vaults.key()).with_argon2id(secrets.token_bytes(32)))
    assert compare(old, new).alike


def test_no_value_is_in_what_is_said_of_the_nastiest_vault(tmp_path: Path):
    path = tmp_path / "nasty.kdbx"
    vaults.kdbx4(path)
    empty = Entries(kdbx.decrypt(path.read_bytes(), vaults.key()))
    vaults.populate(path, large=1000)
    full = Entries(kdbx.decrypt(path.read_bytes(), vaults.key()))
    said = repr(compare(empty, full)) + repr(compare(full, empty))
    paths = {"/".join(each.path) for each in full.everywhere()}
    assert {each.path for each in compare(empty, full).entries} == paths
    for value in (*vaults.PAST_PASSWORDS, "password now", "https://example.org"):
        assert value not in said
