"""What we read and write is what KeePassXC reads and writes."""

import base64
import hashlib
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chronos_secrets.errors import EntryMissing, Refused, VaultLocked, VaultUnreadable
from chronos_secrets.secret import Secret
from chronos_secrets.vault import kdbx
from chronos_secrets.vault.entries import Attribute
from chronos_secrets.vault.kdf import MEBIBYTE, Kdf
from chronos_secrets.vault.store import Vault
from tests.support import keepassxc, vaults

FIELDS = ("UserName", "Password", "Notes", "plain", "hidden")
NAMES = {
    "aes256": "AES 256-bit", "chacha20": "ChaCha20 256-bit", "twofish": "Twofish 256-bit",
    "aes": "AES (600 rounds)", "argon2d": "Argon2d (1 rounds, 8 KB)", "argon2id": "Argon2id (1 rounds, 8 KB)",
}  # fmt: skip
# What needs KDBX 4.0 or 4.1, and so makes KeePassXC write it.
CUSTOM_DATA = "<CustomData><Item><Key>some.plugin</Key><Value>its data</Value></Item></CustomData>"
GROUP_TAGS = "<Tags>group tag</Tags>"
ICON = "q83vEjRWeJCrze8SNFZ4kA=="
NAMED_ICON = (
    f"<CustomIcons><Icon><UUID>{ICON}</UUID><Data>iVBORw0KGgo=</Data><Name>an icon</Name>"
    "<LastModificationTime>2026-01-02T03:04:05Z</LastModificationTime></Icon></CustomIcons>"
)


def text(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


def as_xml_gives_it(value: str) -> str:
    """KeePassXC's export does not escape carriage returns, so an XML parser makes line ends of them."""
    return value.replace("\r\n", "\n").replace("\r", "\n")


# --- reading what others wrote ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cipher", vaults.CIPHERS)
@pytest.mark.parametrize("kdf", vaults.KDFS)
def test_every_cipher_and_key_derivation_is_read_and_a_save_changes_nothing(kdf, cipher, tmp_path):
    path = vaults.kdbx4(tmp_path / "vault.kdbx", kdf=vaults.KDFS[kdf], cipher=cipher)
    vaults.populate(path, large=3000)
    before, bytes_before = keepassxc.export(path), path.read_bytes()
    vault = vaults.opened(path)
    assert (vault.format.cipher, vault.format.kdf.algorithm) == (cipher, kdf)
    vault.save(vaults.NOW)
    assert path.read_bytes() != bytes_before
    assert keepassxc.export(path) == before
    info = keepassxc.info(path)
    assert (info["Cipher"], info["KDF"]) == (NAMES[cipher], NAMES[kdf])


@pytest.mark.parametrize("make", [vaults.kdbx4, vaults.kdbx31], ids=["4.0", "3.1"])
def test_every_value_is_read_exactly(make, tmp_path):
    path = make(tmp_path / "vault.kdbx")
    vaults.populate(path, large=1000)
    vault = vaults.opened(path)
    for name, value in vaults.NASTY.items():
        entry = vault.entries.at(("Nasty", name))
        for field in FIELDS:
            assert text(entry.field(field)) == value, f"{name}: {field}"


def test_a_vault_made_by_keepassxc_is_read(tmp_path):
    path, key_file = tmp_path / "vault.kdbx", tmp_path / "key"
    key_file.write_bytes(bytes(range(256)) * 3)
    keepassxc.create(path)
    keepassxc.add(path, "Entry", "its password")
    keepassxc.edit(path, "Entry", notes="a note")
    keepassxc.attach(path, "Entry", "id_ed25519", key_file)
    vault = vaults.opened(path)
    entry = vault.entries.at(("Entry",))
    assert vault.format.version == (3, 1)
    assert (text(entry.field("Password")), text(entry.field("Notes"))) == ("its password", "a note")
    assert entry.attachment("id_ed25519").reveal_bytes() == key_file.read_bytes()
    assert len(entry.history) == 2


@pytest.mark.parametrize(
    ("version", "in_meta", "in_group"),
    [((4, 0), "", CUSTOM_DATA), ((4, 1), "", GROUP_TAGS), ((4, 1), NAMED_ICON, CUSTOM_DATA)],
    ids=["custom data", "group tags", "named icon"],
)
def test_what_keepassxc_wrote_survives_our_save_without_a_loss(version, in_meta, in_group, tmp_path):
    source = vaults.kdbx31(tmp_path / "source.kdbx")
    vaults.populate(source, large=1000)
    xml = keepassxc.run("export", "--format", "xml", source)
    xml = xml.replace("<IsExpanded>", f"{in_group}<IsExpanded>").replace("</Generator>", f"</Generator>{in_meta}")
    path = tmp_path / "vault.kdbx"
    keepassxc.import_xml(xml, path)
    before = keepassxc.export(path)
    vault = vaults.opened(path)
    assert vault.format.version == version
    assert text(vault.entries.at(("Nasty", "unicode")).field("Password")) == vaults.NASTY["unicode"]
    vault.save(vaults.NOW)
    assert keepassxc.export(path) == before
    assert str(before.tree).count("'some.plugin'" if in_group is CUSTOM_DATA else "'group tag'") > 5
    assert vaults.opened(path).format.version == version


@pytest.mark.parametrize("with_password", [True, False], ids=["with a password", "alone"])
@pytest.mark.parametrize("kind", ["xml-1", "xml-2", "xml-2-lines", "raw", "hex", "any", "any-64", "hex-with-line-end"])
def test_every_kind_of_key_file_opens_and_saves(kind, with_password, tmp_path):
    key_file = vaults.key_files(tmp_path)[kind]
    password = vaults.PASSWORD if with_password else None
    path = vaults.kdbx4(tmp_path / "vault.kdbx", password=password, key_file=key_file)
    vaults.opened(path, password, key_file.read_bytes()).save(vaults.NOW)
    assert keepassxc.opens(path, password, key_file)
    assert not keepassxc.opens(path)
    with pytest.raises(VaultLocked):
        vaults.opened(path)


def test_a_key_file_made_by_keepassxc_opens_its_vault(tmp_path):
    path, key_file = tmp_path / "vault.kdbx", tmp_path / "made.keyx"
    keepassxc.create(path, key_file=key_file)
    assert b"<KeyFile>" in key_file.read_bytes()
    assert list(vaults.opened(path, key_file=key_file.read_bytes()).entries) == []
    with pytest.raises(VaultLocked):
        vaults.opened(path)


def test_a_password_beyond_ascii_opens_for_both(tmp_path):
    password = "  žluťoučký 漢字 \U0001f600 "
    path = vaults.ours(tmp_path / "vault.kdbx", master=vaults.key(password))
    assert keepassxc.opens(path, password)
    assert len(list(vaults.opened(path, password).entries)) == 0


def test_references_are_followed_as_keepassxc_follows_them(tmp_path):
    path = vaults.kdbx4(tmp_path / "vault.kdbx")
    vaults.populate(path, large=10)
    entries = vaults.opened(path).entries
    for title in ("first", "second", "third", "by title"):
        shown = keepassxc.show(path, f"References/{title}", "Password")
        assert text(entries.at(("References", title)).field("Password")) == shown == "last"


@pytest.mark.parametrize("where", [vaults.DANGLING, vaults.CIRCULAR], ids=["dangling", "circular"])
def test_a_reference_that_leads_nowhere_is_an_error_and_not_a_value(where, tmp_path):
    path = vaults.kdbx4(tmp_path / "vault.kdbx")
    vaults.populate(path, large=10)
    with pytest.raises(EntryMissing, match=f"'References/{where[-1]}' refers to"):
        vaults.opened(path).entries.at(where).field("Password")


# --- what we write, read by KeePassXC --------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A vault with an entry for each nasty value, made and saved by us."""
    path = vaults.ours(tmp_path / "vault.kdbx")
    vault = vaults.opened(path)
    for name, value in vaults.NASTY.items():
        entry = vault.entries.add(("Domain & DNS", "<group>", name), now=vaults.NOW)
        fields = {field: Attribute(Secret(value), protected=field in ("Password", "hidden")) for field in FIELDS}
        vault.entries.change(entry, now=vaults.NOW, fields=fields)
    vault.save(vaults.NOW)
    return path


def test_keepassxc_reads_every_value_that_we_write(written):
    found = keepassxc.export(written)
    for name, value in vaults.NASTY.items():
        fields = found.at("Domain & DNS", "<group>", name).fields
        expected = {field: (as_xml_gives_it(value), field in ("Password", "hidden")) for field in FIELDS}
        assert {field: fields[field] for field in FIELDS} == expected


@pytest.mark.parametrize("name", ["lines", "return", "around", "unicode"])
def test_keepassxc_shows_the_exact_value_that_we_write(name, written):
    assert keepassxc.show(written, f"Domain & DNS/<group>/{name}", "Password") == vaults.NASTY[name]


def test_attachments_expiry_history_and_times_are_what_keepassxc_shows(tmp_path):
    path = vaults.ours(tmp_path / "vault.kdbx")
    vault = vaults.opened(path)
    entry = vault.entries.add(("SSH Keys", "a key"), now=vaults.NOW)
    contents = {
        "id_ed25519": random.Random(1).randbytes(411),
        "large": random.Random(2).randbytes(1_000_000),
        "empty": b"",
    }
    attachments = {name: Secret(content) for name, content in contents.items()}
    vault.entries.change(
        entry, now=vaults.NOW, expires=vaults.NOW.replace(year=2027), attachments=attachments,
        fields={"Password": Attribute(Secret("first")), "an attribute": Attribute(Secret("seen"), protected=False)},
    )  # fmt: skip
    later = vaults.NOW.replace(hour=5)
    vault.entries.change(entry, now=later, fields={"Password": Attribute(Secret("second"))})
    vault.save(vaults.NOW)
    found = keepassxc.export(path).at("SSH Keys", "a key")
    assert (found.password, found.fields["an attribute"]) == ("second", ("seen", False))
    assert (found.expires, found.modified) == ("2027-01-02T03:04:05Z", "2026-01-02T05:04:05Z")
    assert [(item.password, item.modified) for item in found.history] == [("first", "2026-01-02T03:04:05Z")]
    assert found.attachments == found.history[0].attachments == ("empty", "id_ed25519", "large")
    for name, content in contents.items():
        assert keepassxc.attachment(path, "SSH Keys/a key", name, tmp_path / "exported") == content


def test_keepassxc_computes_the_code_of_a_totp_secret_that_we_write(tmp_path):
    path = vaults.ours(tmp_path / "vault.kdbx")
    vault = vaults.opened(path)
    secret = base64.b32encode(random.Random(1).randbytes(20)).decode()
    otp = Attribute(Secret(f"otpauth://totp/test?secret={secret}&period=30&digits=6"))
    vault.entries.change(vault.entries.add(("entry",), now=vaults.NOW), now=vaults.NOW, fields={"otp": otp})
    vault.save(vaults.NOW)
    assert re.fullmatch("[0-9]{6}", keepassxc.totp(path, "entry"))


def test_a_merge_by_keepassxc_takes_our_change_and_keeps_the_old_value_in_the_history(tmp_path):
    path, copy = vaults.ours(tmp_path / "vault.kdbx"), tmp_path / "copy.kdbx"
    vault = vaults.opened(path)
    entry = vault.entries.add(("entry",), now=vaults.NOW)
    vault.entries.change(entry, now=vaults.NOW, fields={"Password": Attribute(Secret("old"))})
    vault.save(vaults.NOW)
    copy.write_bytes(path.read_bytes())
    vault.entries.change(entry, now=vaults.NOW.replace(hour=5), fields={"Password": Attribute(Secret("new"))})
    vault.save(vaults.NOW)
    keepassxc.merge(copy, path)
    merged = keepassxc.export(copy).at("entry")
    assert (merged.password, [item.password for item in merged.history]) == ("new", ["old"])


def test_keepassxc_goes_on_working_with_a_vault_that_we_saved(written, tmp_path):
    source = tmp_path / "file"
    source.write_bytes(b"content")
    keepassxc.add(written, "by KeePassXC", "theirs")
    keepassxc.attach(written, "by KeePassXC", "file", source)
    keepassxc.remove(written, "Domain & DNS/<group>/dollars")
    vault = vaults.opened(written)
    entry = vault.entries.at(("by KeePassXC",))
    assert (text(entry.field("Password")), text(entry.attachment("file"))) == ("theirs", "content")
    assert vault.entries.at(("Domain & DNS", "<group>", "dollars")) is None


def test_a_new_vault_is_argon2id_with_64_mebibytes(tmp_path):
    path = vaults.ours(tmp_path / "vault.kdbx", kdbx.NEW_KDF)
    info = keepassxc.info(path)
    assert (info["Cipher"], info["KDF"]) == ("AES 256-bit", "Argon2id (10 rounds, 65536 KB)")
    assert info["Name"] == "Test"


# --- KDBX 3.1 --------------------------------------------------------------------------------------------------------


def test_a_kdbx_31_vault_is_never_saved_and_the_hint_says_what_to_do(tmp_path):
    path = vaults.kdbx31(tmp_path / "vault.kdbx")
    before = path.read_bytes()
    with pytest.raises(Refused, match=r"KDBX 3\.1 file, which is only read") as caught:
        vaults.opened(path).save(vaults.NOW)
    assert caught.value.hint == "chronos-secrets vault upgrade"
    assert path.read_bytes() == before


@pytest.mark.parametrize("cipher", vaults.CIPHERS)
def test_upgrade_turns_kdbx_31_into_kdbx_4_with_argon2id_and_keeps_everything(cipher, tmp_path, monkeypatch):
    monkeypatch.setattr(kdbx, "NEW_KDF", vaults.KDFS["argon2id"])
    path = vaults.kdbx31(tmp_path / "vault.kdbx", cipher=cipher)
    vaults.populate(path, large=3000)
    _upgraded_without_loss(path)
    assert keepassxc.info(path)["KDF"] == NAMES["argon2id"]


def test_upgrade_of_a_vault_made_by_keepassxc_keeps_everything(tmp_path):
    path, file = tmp_path / "vault.kdbx", tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 50)
    keepassxc.create(path)
    keepassxc.add(path, "entry", "its password")
    keepassxc.attach(path, "entry", "file", file)
    keepassxc.edit(path, "entry", notes="changed")
    assert vaults.opened(path).format.version == (3, 1)
    _upgraded_without_loss(path)
    assert keepassxc.info(path)["KDF"] == "Argon2id (10 rounds, 65536 KB)"
    assert keepassxc.attachment(path, "entry", "file", tmp_path / "exported") == file.read_bytes()


def _upgraded_without_loss(path: Path) -> None:
    before, bytes_before = keepassxc.export(path), path.read_bytes()
    vault = vaults.opened(path)
    attachments = _attachments(vault)
    vault.upgrade(vaults.NOW)
    assert vault.format.version == (4, 0)
    assert keepassxc.export(path) == before
    assert _attachments(vaults.opened(path)) == attachments
    with vaults.edited(path) as found:  # what KDBX 3.1 keeps in its XML would be a second copy that nothing ever purges
        assert (found.tree.find("Meta/Binaries"), found.tree.find("Meta/HeaderHash")) == (None, None)
    (kept,) = (path.parent / "state" / "previous").glob("*.kdbx")
    assert kept.read_bytes() == bytes_before


def _attachments(vault: Vault) -> dict[tuple[str, ...], bytes]:
    """The content of every attachment by its place, history included."""
    return {
        (*entry.path, str(number), name): each.attachment(name).reveal_bytes()
        for entry in vault.entries
        for number, each in enumerate((entry, *entry.history))
        for name in each.attachment_names
    }


def test_upgrade_of_kdbx_4_with_aes_changes_only_the_key_derivation(tmp_path, monkeypatch):
    monkeypatch.setattr(kdbx, "NEW_KDF", vaults.KDFS["argon2id"])
    path = vaults.kdbx4(tmp_path / "vault.kdbx", kdf=vaults.KDFS["aes"], cipher="chacha20")
    vaults.populate(path, large=1000)
    before = keepassxc.export(path)
    vaults.opened(path).upgrade(vaults.NOW)
    assert keepassxc.export(path) == before
    info = keepassxc.info(path)
    assert (info["Cipher"], info["KDF"]) == (NAMES["chacha20"], NAMES["argon2id"])


def _edit_xml(path: Path, change: Callable[[object], None]) -> None:
    with vaults.edited(path) as vault:
        change(vault.tree.getroot())


def test_upgrade_refuses_an_attachment_without_content(tmp_path):
    path = vaults.kdbx31(tmp_path / "vault.kdbx")
    vaults.populate(path, large=10)
    _edit_xml(path, lambda root: next(root.iterfind("Root//Binary/Value")).set("Ref", "99"))
    with pytest.raises(VaultUnreadable, match="an attachment whose content is not in the file"):
        vaults.opened(path).upgrade(vaults.NOW)


def test_upgrade_refuses_a_time_that_is_none(tmp_path):
    path = vaults.kdbx31(tmp_path / "vault.kdbx")
    _edit_xml(path, lambda root: setattr(root.find("Root/Group/Times/CreationTime"), "text", "yesterday-Time"))
    with pytest.raises(VaultUnreadable, match="a time that cannot be read"):
        vaults.opened(path).upgrade(vaults.NOW)


def test_attachments_protected_in_memory_by_keepass_2_are_refused_at_once(tmp_path):
    path = vaults.kdbx31(tmp_path / "vault.kdbx")
    vaults.populate(path, large=10)
    _edit_xml(path, lambda root: next(root.iterfind("Meta/Binaries/Binary")).set("Protected", "True"))
    with pytest.raises(VaultUnreadable, match="memory-protected attachments"):
        vaults.opened(path)


# --- what cannot be read ---------------------------------------------------------------------------------------------

NO_VAULTS = {
    "it is empty": b"",
    "it is cut short": bytes.fromhex("03d9a29a67fb4bb5"),
    "it is not a KeePassXC file": b"a list of things to do\n" * 10,
    "it is a KeePass 1 file": bytes.fromhex("03d9a29a65fb4bb5") + bytes(100),
    "it has the unknown format version 5": bytes.fromhex("03d9a29a67fb4bb500000500") + bytes(100),
    "its header is cut short or damaged": bytes.fromhex("03d9a29a67fb4bb500000400") + b"\x02\x10\x00",
}


@pytest.mark.parametrize("sentence", NO_VAULTS)
def test_a_file_that_is_no_vault_is_said_to_be_none(sentence, tmp_path):
    path = tmp_path / "vault.kdbx"
    path.write_bytes(NO_VAULTS[sentence])
    with pytest.raises(VaultUnreadable, match=f"cannot open .*vault.kdbx: {sentence}"):
        vaults.opened(path)


@pytest.mark.parametrize("make", [vaults.kdbx4, vaults.kdbx31], ids=["4.0", "3.1"])
def test_a_wrong_password_says_so(make, tmp_path):
    path = make(tmp_path / "vault.kdbx")
    with pytest.raises(VaultLocked, match="the password or key file does not open it"):
        vaults.opened(path, "wrong horse")


@pytest.mark.parametrize("make", [vaults.kdbx4, vaults.kdbx31], ids=["4.0", "3.1"])
def test_a_vault_cut_anywhere_is_never_opened(make, tmp_path):
    content = make(tmp_path / "vault.kdbx").read_bytes()
    key = vaults.key()
    for length in {*range(0, len(content), 37), len(content) - 1}:
        with pytest.raises((VaultUnreadable, VaultLocked)):
            kdbx.decrypt(content[:length], key)


def test_a_protected_value_that_xml_cannot_hold_is_refused_and_never_read_as_another_value(tmp_path):
    path = tmp_path / "vault.kdbx"
    keepassxc.create(path)
    keepassxc.add(path, "entry", "before\x1bafter")
    assert keepassxc.show(path, "entry", "Password") == "before\x1bafter"
    with pytest.raises(VaultUnreadable, match="control characters; find it with KeePassXC"):
        vaults.opened(path)


def test_a_protected_value_that_cannot_be_decoded_is_refused(tmp_path, monkeypatch):
    from pykeepass.kdbx_parsing import common

    path = vaults.kdbx4(tmp_path / "vault.kdbx")
    with monkeypatch.context() as patched, vaults.edited(path) as vault:
        vault.add_entry(vault.root_group, "entry", "user", "its password")
        patched.setattr(common.base64, "b64encode", lambda content: b"a")
    with pytest.raises(VaultUnreadable, match="cannot open"):
        vaults.opened(path)


def test_the_header_of_kdbx_31_is_checked_as_keepassxc_checks_it(tmp_path):
    """Its key of the protected values has no other guard: the content would open with garbage for passwords."""
    path = vaults.kdbx31(tmp_path / "vault.kdbx")
    with vaults.edited(path) as vault:
        vault.add_entry(vault.root_group, "entry", "user", "a")
    content = bytearray(path.read_bytes())
    place = content.index(b"\x08\x20\x00") + 3
    for _ in range(40):  # each would decode the password "a" to another byte, and some of those are letters
        content[place] = (content[place] + 1) % 256
        path.write_bytes(content)
        with pytest.raises(VaultUnreadable, match="cannot open"):
            vaults.opened(path)
    assert not keepassxc.opens(path)


def test_a_damaged_header_of_kdbx_4_is_said_before_anybody_types_a_password(tmp_path):
    content = bytearray(vaults.kdbx4(tmp_path / "vault.kdbx").read_bytes())
    content[content.index(b"\x04\x20\x00\x00\x00") + 5] ^= 1
    with pytest.raises(VaultUnreadable, match="its header is damaged: the checksum does not match"):
        kdbx.read_format(bytes(content))


def test_an_incomplete_installation_is_not_said_to_be_a_damaged_vault(tmp_path, monkeypatch):
    content = vaults.kdbx4(tmp_path / "vault.kdbx").read_bytes()
    kdbx._library.cache_clear()
    monkeypatch.setitem(sys.modules, "pykeepass", None)
    with pytest.raises(ModuleNotFoundError, match="pykeepass"):
        kdbx.read_format(content)


# A header says how hard the key is to derive, and KDBX 3.1 has no checksum over it; nobody may keep us for hours.
GREEDY = {
    "rounds of AES": ("aes", {"rounds": 2**60}),
    "rounds of AES, just above": ("aes", {"rounds": 2**31 - 1}),
    "passes of Argon2": ("argon2d", {"rounds": 2**32 - 1}),
    "passes of Argon2, just above": ("argon2id", {"rounds": 1025, "memory": 64 * MEBIBYTE}),
    "MiB of memory": ("argon2id", {"memory": 4097 * MEBIBYTE}),
    "MiB of memory, absurd": ("argon2d", {"memory": 2**62}),
}


@pytest.mark.parametrize("what", GREEDY)
def test_a_header_that_asks_for_too_much_is_refused_with_a_sentence(what, tmp_path):
    algorithm, asked = GREEDY[what]
    content = _with_kdf(vaults.kdbx4(tmp_path / "vault.kdbx", kdf=vaults.KDFS[algorithm]).read_bytes(), asked)
    with pytest.raises(VaultUnreadable, match=f"the vault asks for .* {what.partition(',')[0]}"):
        kdbx.decrypt(content, vaults.key())


IMPOSSIBLE = {
    "no pass": ("argon2d", {"rounds": 0}),
    "no memory": ("argon2d", {"memory": 0}),
    "no lane": ("argon2id", {"lanes": 0}),
    "more lanes than memory": ("argon2id", {"lanes": 2**32 - 1}),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_impossible_key_derivation_settings_are_refused(what, tmp_path):
    algorithm, asked = IMPOSSIBLE[what]
    content = _with_kdf(vaults.kdbx4(tmp_path / "vault.kdbx", kdf=vaults.KDFS[algorithm]).read_bytes(), asked)
    with pytest.raises(VaultUnreadable, match="key derivation settings are impossible"):
        kdbx.decrypt(content, vaults.key())


def _with_kdf(content: bytes, asked: dict[str, int]) -> bytes:
    """The file with other key derivation settings and a header checksum that fits, as an attacker would make it."""
    from pykeepass.kdbx_parsing import KDBX

    length = len(KDBX.header.parse(content).data)
    header = bytearray(content[:length])
    for name, value in asked.items():
        key = {"rounds": b"R" if b"\x01\x00\x00\x00R" in header else b"I", "memory": b"M", "lanes": b"P"}[name]
        place = header.index(b"\x01\x00\x00\x00" + key) + 5
        size = int.from_bytes(header[place : place + 4], "little")
        header[place + 4 : place + 4 + size] = value.to_bytes(size, "little")
    return bytes(header) + hashlib.sha256(header).digest() + content[length + 32 :]


def test_a_kdbx_31_header_with_a_seed_of_another_length_is_refused(tmp_path):
    content = vaults.kdbx31(tmp_path / "vault.kdbx").read_bytes()
    place = content.index(b"\x05\x20\x00")
    shorter = content[:place] + b"\x05\x1f\x00" + content[place + 4 :]
    with pytest.raises(VaultUnreadable, match="key derivation settings are impossible"):
        kdbx.decrypt(shorter, vaults.key())


# --- seven hundred damaged files -------------------------------------------------------------------------------------


def _flip(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def _truncate(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def _insert(content: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(content))
    content[place:place] = chance.randbytes(chance.choice((1, 2, 16, 64)))


def _swap(content: bytearray, chance: random.Random) -> None:
    size = chance.choice((1, 4, 16))
    one, other = sorted(chance.sample(range(0, len(content) - size, size), 2))
    content[one : one + size], content[other : other + size] = content[other : other + size], content[one : one + size]


def _damage_header(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(12, 300)] = chance.randrange(256)


DAMAGES = (_flip, _truncate, _insert, _swap, _damage_header)
KINDS: dict[str, Callable[[Path], Path]] = {
    "KDBX 3.1": vaults.kdbx31,
    "KDBX 4 AES": lambda path: vaults.kdbx4(path, kdf=vaults.KDFS["aes"]),
    "KDBX 4 Argon2": lambda path: vaults.kdbx4(path, cipher="chacha20"),
}


@pytest.mark.parametrize(("kind", "count"), [("KDBX 3.1", 300), ("KDBX 4 AES", 200), ("KDBX 4 Argon2", 200)])
def test_a_damaged_file_is_refused_or_opens_with_its_very_content(kind, count, tmp_path):
    path = KINDS[kind](tmp_path / "vault.kdbx")
    with vaults.edited(path) as vault:
        for number in range(8):
            entry = vault.add_entry(vault.root_group, f"entry {number}", "user", "a" * number)
            entry.set_custom_property("hidden", "b", protect=True)
            entry.add_attachment(vault.add_binary(bytes(500)), "file")
    intact, key = path.read_bytes(), vaults.key()
    expected, chance = kdbx.decrypt(intact, key), random.Random(kind)
    opened = 0
    for _ in range(count):
        content = bytearray(intact)
        chance.choice(DAMAGES)(content, chance)
        if _takes_long(bytes(content)):
            continue
        try:
            found = kdbx.decrypt(bytes(content), key)
        except (VaultLocked, VaultUnreadable):
            continue
        opened += 1
        assert found.same_content(expected)
    assert opened < count / 10


def _takes_long(content: bytes) -> bool:
    """Below the limit, but longer than a test may take."""
    try:
        kdf: Kdf = kdbx.read_format(content).kdf
    except VaultUnreadable:
        return False
    return 10_000_000 < kdf.rounds < 2**31 - 1
