"""Entries are found, read and referred to as KeePassXC means them."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from chronos_secrets.errors import EntryMissing, Refused, VaultUnreadable
from chronos_secrets.secret import Secret
from chronos_secrets.vault import document, kdbx
from chronos_secrets.vault.entries import ID_ATTRIBUTE, Attribute, Entries, Entry
from tests.support.vaults import CHEAP, NASTY, NOW


@pytest.fixture
def entries() -> Entries:
    return Entries(kdbx.create("Test", secrets.token_bytes(32), CHEAP))


def _add(entries: Entries, *path: str, **fields: str) -> Entry:
    entry = entries.add(path, now=NOW)
    _set(entries, entry, **fields)
    return entry


def _set(entries: Entries, entry: Entry, **fields: str) -> None:
    entries.change(entry, now=NOW, fields={name: Attribute(Secret(value)) for name, value in fields.items()})


def _password(entry: Entry | None) -> str:
    assert entry is not None
    found = entry.field("Password")
    assert found is not None
    return found.reveal()


def _uuid(entry: Entry) -> str:
    return document.hex_uuid(entry.element.findtext("UUID"))


# --- finding ---------------------------------------------------------------------------------------------------------

PATHS = [
    ("root entry",), ("Domain & DNS", "Registrar"), ("a", "b", "c", "d"), ("AWS", "with/slash"),
    ("with/slash", "entry"), ("quotes", "both \"double\" and 'single'"), ("quotes ' and \"", "entry"),
    ("<markup>&amp;", "]]>"), ("", "no group name"), ("no title", ""), (" spaces ", " around "),
    ("žluťoučký", "漢字 \U0001f600"),
]  # fmt: skip


def test_every_path_finds_its_own_entry_and_no_other(entries):
    for number, path in enumerate(PATHS):
        _add(entries, *path, Password=str(number))
    for number, path in enumerate(PATHS):
        found = entries.at(path)
        assert (found.path, found.title, _password(found)) == (path, path[-1], str(number))
    assert {entry.path for entry in entries} == set(PATHS)


@pytest.mark.parametrize("path", [("none",), ("AWS", "none"), ("no", "entry"), ("AWS",), ("entry",), ("AWS", "Entry")])
def test_a_path_without_an_entry_finds_nothing(path, entries):
    _add(entries, "AWS", "entry")
    assert entries.at(path) is None


def test_two_entries_on_one_path_are_refused_rather_than_one_chosen(entries):
    _add(entries, "AWS", "entry")
    _add(entries, "AWS", "entry")
    with pytest.raises(EntryMissing, match="there are 2 entries called 'AWS/entry'") as caught:
        entries.at(("AWS", "entry"))
    assert caught.value.hint == "rename all but one of them in KeePassXC"


def test_two_entries_in_two_groups_of_one_name_are_refused_too(entries):
    _add(entries, "AWS", "entry")
    twin = document.element(document.group("AWS", document.encode_time(NOW)))
    entries.kdbx.root.find("Root/Group").append(twin)
    twin.append(document.element(document.entry("entry", document.encode_time(NOW))))
    with pytest.raises(EntryMissing, match="there are 2 entries"):
        entries.at(("AWS", "entry"))


def test_a_renamed_entry_is_not_followed_and_can_be_recognised(entries):
    entry = _add(entries, "AWS", "entry", **{ID_ATTRIBUTE: "aws-root"})
    assert entries.at(("AWS", "entry")) is not None
    _set(entries, entry, Title="renamed")
    assert entries.at(("AWS", "entry")) is None
    assert [(each.path, each.chronos_id) for each in entries] == [(("AWS", "renamed"), "aws-root")]


def test_a_moved_entry_is_not_followed(entries):
    entry = _add(entries, "AWS", "entry")
    entries.add_group(("Old",), now=NOW).append(entry.element)
    assert entries.at(("AWS", "entry")) is None
    assert [each.path for each in entries] == [("Old", "entry")]


def test_what_was_thrown_away_is_in_no_listing(entries):
    _add(entries, "kept")
    _add(entries, "Bin", "thrown away")
    _add(entries, "Bin", "deeper", "thrown away")
    uuid = entries.add_group(("Bin",), now=NOW).findtext("UUID")
    entries.kdbx.root.find("Meta/RecycleBinUUID").text = uuid
    assert [entry.path for entry in entries] == [("kept",)]


def test_groups_are_made_once_and_a_new_entry_is_empty(entries):
    _add(entries, "a", "b", "one")
    entry = entries.add(("a", "b", "two"), now=NOW)
    assert len(list(entries.kdbx.root.iter("Group"))) == 3
    assert _password(entry) == ""
    assert (entry.attachment_names, entry.attribute_names, entry.tags, entry.history) == ((), (), (), ())
    assert entry.expires is None
    assert entry.modified == NOW


@pytest.mark.parametrize("field", ["LastModificationTime", "ExpiryTime"])
def test_a_time_that_is_none_is_said_with_its_entry(field, entries):
    entry = _add(entries, "group", "odd")
    entry.element.find("Times/Expires").text = "True"
    entry.element.find(f"Times/{field}").text = "//////////8="
    with pytest.raises(VaultUnreadable, match="the entry 'group/odd' holds a time that cannot be read"):
        _ = (entry.modified, entry.expires)


@pytest.mark.parametrize("path", [("bad\0",), ("bad\x1b", "entry")], ids=["title", "group"])
def test_a_path_that_cannot_be_stored_is_refused_before_anything_is_made(path, entries):
    with pytest.raises(Refused, match="holds characters that a KeePassXC file cannot store"):
        entries.add(("new group", *path), now=NOW)
    assert len(list(entries.kdbx.root.iter("Group"))) == 1


def test_a_vault_is_told_from_others_by_what_an_upgrade_keeps(entries):
    before = entries.vault_id
    upgraded = Entries(entries.kdbx.with_argon2id(secrets.token_bytes(32)))
    assert upgraded.vault_id == before != Entries(kdbx.create("Test", bytes(32), CHEAP)).vault_id


# --- reading ---------------------------------------------------------------------------------------------------------


def test_an_absent_field_is_none_and_an_empty_one_is_empty(entries):
    entry = _add(entries, "entry", empty="")
    assert entry.field("absent") is None
    assert entry.field("empty") == Secret("")
    assert entry.field("URL") == Secret("")


@pytest.mark.parametrize("name", NASTY)
def test_every_value_is_held_exactly(name, entries):
    entry = _add(entries, "entry", Password=NASTY[name], attribute=NASTY[name])
    assert [entry.field("Password"), entry.field("attribute")] == [Secret(NASTY[name])] * 2


def test_custom_attributes_are_listed_without_the_standard_fields_and_otp(entries):
    entry = _add(entries, "entry", Password="x", otp="x", **{"AWS Account ID": "1", 'with "quotes"': "2"})
    assert entry.attribute_names == ("AWS Account ID", 'with "quotes"')
    assert entry.field('with "quotes"') == Secret("2")


def test_an_attachment_may_go_unnamed_when_it_is_the_only_one(entries):
    entry = _add(entries, "entry")
    assert entry.attachment(None) is None
    entries.change(entry, now=NOW, attachments={"one": Secret(b"\xff first")})
    assert entry.attachment(None) == entry.attachment("one") == Secret(b"\xff first")
    entries.change(entry, now=NOW, attachments={"two": Secret(b"second")})
    assert entry.attachment(None) is None
    assert (entry.attachment("one"), entry.attachment("two"), entry.attachment("three")) == (
        Secret(b"\xff first"), Secret(b"second"), None,
    )  # fmt: skip
    assert entry.attachment_names == ("one", "two")


@pytest.mark.parametrize("text", ["one;two words", "one,two words", " one ; two words ;; ", "one;two words,"])
def test_tags_are_read_as_keepass_and_keepassxc_separate_them(text, entries):
    entry = _add(entries, "entry")
    entry.element.find("Tags").text = text
    assert entry.tags == ("one", "two words")


def test_expiry_counts_only_where_keepassxc_says_that_it_is_on(entries):
    entry = _add(entries, "entry")
    assert entry.expires is None
    when = datetime(2027, 5, 6, 7, 8, 9, tzinfo=UTC)
    entries.change(entry, now=NOW, expires=when)
    assert entry.expires == when
    entry.element.find("Times/Expires").text = "False"
    assert entry.expires is None


def test_the_history_is_the_entry_as_it_was_oldest_first(entries):
    entry = _add(entries, "AWS", "entry", Password="first")
    _set(entries, entry, Password="second", attribute="with the second")
    _set(entries, entry, Password="third")
    assert [_password(item) for item in entry.history] == ["first", "second"]
    assert [item.field("attribute") for item in entry.history] == [None, Secret("with the second")]
    assert {item.path for item in entry.history} == {("AWS", "entry")}
    assert all(not item.history for item in entry.history)


def test_only_a_protected_attribute_is_marked_so(entries):
    entry = _add(entries, "entry", attribute="protected")
    entries.change(entry, now=NOW, fields={"attribute": Attribute(Secret("plain"), protected=False)})
    (value,) = (each.find("Value") for each in entry.element.iterfind("String") if each.findtext("Key") == "attribute")
    assert value.get("Protected") is None
    entries.change(entry, now=NOW, fields={"attribute": Attribute(Secret("protected"))})
    assert value.get("Protected") == "True"


# --- references ------------------------------------------------------------------------------------------------------


@pytest.fixture
def target(entries) -> Entry:
    return _add(
        entries, "AWS", "the title", UserName="the user", Password="the password", URL="https://example.org",
        Notes="some\nnotes", attribute="the attribute",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("{REF:T@I:uuid}", "the title"), ("{REF:U@I:uuid}", "the user"), ("{REF:P@I:uuid}", "the password"),
        ("{REF:A@I:uuid}", "https://example.org"), ("{REF:N@I:uuid}", "some\nnotes"),
        ("{REF:P@T:the title}", "the password"), ("{REF:P@U:the user}", "the password"),
        ("{REF:U@P:the password}", "the user"),
        ("{REF:P@A:https://example.org}", "the password"), ("{REF:P@N:some\nnotes}", "the password"),
        ("{REF:P@O:the attribute}", "the password"), ("{REF:P@T:THE TITLE}", "the password"),
        ("before {REF:U@I:uuid}:{REF:P@I:uuid} after", "before the user:the password after"),
    ],
)  # fmt: skip
def test_a_reference_gives_the_field_of_the_entry_it_names(reference, expected, entries, target):
    entry = _add(entries, "entry", Password=reference.replace("uuid", _uuid(target)))
    assert _password(entry) == expected


def test_a_uuid_may_be_written_in_any_form(entries, target):
    digits = _uuid(target)
    hyphens = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    for form in (digits, digits.lower(), hyphens):
        assert _password(_add(entries, form, Password=f"{{REF:P@I:{form}}}")) == "the password"
    assert _password(_add(entries, "by title", Password="{REF:I@T:the title}")) == digits.lower()


def test_references_are_followed_through_ten_entries(entries, target):
    entry = target
    for number in range(10):
        entry = _add(entries, f"entry {number}", Password=f"{{REF:P@I:{_uuid(entry)}}}")
    assert _password(entry) == "the password"


@pytest.mark.parametrize("count", [1, 20])
def test_a_reference_to_itself_ends_with_an_error_and_at_once(count, entries):
    entry = _add(entries, "AWS", "entry")
    _set(entries, entry, Password=f"{{REF:P@I:{_uuid(entry)}}}" * count)
    with pytest.raises(EntryMissing, match="the entry 'AWS/entry' refers to itself through its references"):
        entry.field("Password")


@pytest.mark.parametrize("reference", ["{REF:P@I:00000000000000000000000000000000}", "{REF:P@T:nobody}", "{REF:P@I:}"])
def test_a_reference_to_nothing_is_an_error_that_does_not_show_the_value(reference, entries):
    entry = _add(entries, "AWS", "entry", Password=f"s3cret part {reference}")
    with pytest.raises(EntryMissing, match="the entry 'AWS/entry' refers to an entry that is not there") as caught:
        entry.field("Password")
    assert "s3cret" not in caught.value.message


@pytest.mark.parametrize("value", ["{REF:}", "{REF:P@}", "{REF:X@I:1}", "{REF:P@I:1", "REF:P@I:1", "{TITLE}"])
def test_what_only_looks_like_a_reference_is_the_value(value, entries):
    assert _password(_add(entries, "entry", Password=value)) == value


# --- times -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "when", [datetime(1, 1, 1, tzinfo=UTC), NOW, datetime(4000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)]
)
def test_a_time_is_kept_to_the_second(when):
    assert document.decode_time(document.encode_time(when + timedelta(microseconds=5))) == when


def test_the_times_of_kdbx_31_and_of_kdbx_4_are_read_alike():
    assert document.decode_time("2026-01-02T03:04:05Z") == NOW
    assert document.decode_time("pSzp4A4AAAA=") == NOW
