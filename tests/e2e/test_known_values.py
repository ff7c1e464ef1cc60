"""What the scanner knows of the vault: which values, since when, and what it never writes down."""

import base64
import json
import os
import random
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from chronos_secrets.inventory import load
from chronos_secrets.review import keys, sought
from chronos_secrets.review import known as review
from chronos_secrets.scan import known
from chronos_secrets.scan.found import Match
from tests.support import vaults
from tests.support.commands import Aviary

if TYPE_CHECKING:
    from pykeepass import PyKeePass


@pytest.fixture
def aviary(tmp_path: Path) -> Aviary:
    return Aviary(tmp_path)


@contextmanager
def edited(aviary: Aviary) -> "Iterator[PyKeePass]":
    """The vault as another program changes it; our index of it is then made anew."""
    with vaults.edited(aviary.vault, aviary.password) as vault:
        yield vault
    assert aviary.run("get", "db").status == 0


def entry(vault: "PyKeePass", title: str, password: str = "") -> object:
    group = next((each for each in vault.root_group.subgroups if each.name == "Other"), None)
    return vault.add_entry(group or vault.add_group(vault.root_group, "Other"), title, "user", password)


def index(aviary: Aviary) -> known.Index:
    (found,) = known.load()
    assert found.project == aviary.root.joinpath(aviary.state).name
    return found


def reasons(aviary: Aviary, text: str | bytes) -> list[str]:
    content = text.encode() if isinstance(text, str) else text
    return [match.reason for match in index(aviary).find(b"a line\nx = '" + content + b"'\n")]


def left_out(aviary: Aviary) -> dict[str, str]:
    return dict(index(aviary).left_out())


# --- which values -----------------------------------------------------------------------------------------------------


def test_every_secret_is_found_once_the_vault_was_opened_and_named_by_its_entry(aviary: Aviary):
    assert known.load() == []
    assert aviary.run("check").status == 0
    said = {
        "db.password": 'the value of "Database/DB" (db)',
        "jira.token": 'the value of "Third-Party/Jira" (jira)',
        "aws.secret_access_key": 'the value of "AWS/Writer" (aws)',
        "cipher.passphrase": 'the value of "Database/Cipher" (cipher)',
        "key.private_key": 'the value of "SSH Keys/Key" (key)',
    }
    for name, reason in said.items():
        assert reasons(aviary, aviary.values[name]) == [reason]
        encoded = base64.b64encode(f"user:{aviary.values[name]}".encode())
        assert reasons(aviary, encoded) == [f"{reason}, as base64"]
    assert reasons(aviary, aviary.values["aws.access_key_id"]) == []
    assert index(aviary).left_out() == []


def test_an_identifier_is_a_secret_where_the_inventory_says_so(aviary: Aviary):
    aviary.run("check")
    aviary.edit("destinations:\n", "scan: {secret: [aws.access_key_id, 'attr:PIN']}\ndestinations:\n")
    with edited(aviary) as vault:
        entry(vault, "Door").set_custom_property("PIN", "8302-1749", protect=False)
    assert reasons(aviary, aviary.values["aws.access_key_id"]) == ['the UserName of "AWS/Writer" (aws)']
    assert reasons(aviary, "8302-1749") == ['the attribute "PIN" of "Other/Door"']


def test_an_older_value_of_a_credential_is_found_for_it_may_still_be_valid(aviary: Aviary):
    before = aviary.values["jira.token"]
    after = secrets.token_urlsafe(30)
    with edited(aviary) as vault:
        found = next(each for each in vault.entries if each.title == "Jira")
        found.save_history()
        found.password = after
    assert reasons(aviary, after) == ['the value of "Third-Party/Jira" (jira)']
    assert reasons(aviary, before) == ['an older value of "Third-Party/Jira" (jira)']


def test_entries_that_the_inventory_does_not_name_are_known_too_and_those_in_the_recycle_bin(aviary: Aviary):
    kept, thrown, hidden, shown = (secrets.token_urlsafe(24) for _ in range(4))
    with edited(aviary) as vault:
        made = entry(vault, "Wi-Fi", kept)
        made.set_custom_property("hidden", hidden, protect=True)
        made.set_custom_property("shown", shown, protect=False)
        vault.trash_entry(entry(vault, "Old", thrown))
    assert reasons(aviary, kept) == ['the value of "Other/Wi-Fi"']
    assert reasons(aviary, hidden) == ['the attribute "hidden" of "Other/Wi-Fi"']
    assert reasons(aviary, thrown) == ['the value of "Recycle Bin/Old"']
    assert reasons(aviary, shown) == []


def test_what_could_be_guessed_is_listed_and_not_looked_for(aviary: Aviary):
    with edited(aviary) as vault:
        entry(vault, "Typed", "Summer2024!")
        entry(vault, "Short", "x7$kQ")
        entry(vault, "Empty", "")
    assert left_out(aviary) == {
        'the value of "Other/Typed"': "could be guessed",
        'the value of "Other/Short"': "shorter than 8 bytes",
    }
    assert reasons(aviary, "Summer2024!") == reasons(aviary, "x7$kQ") == []


def test_the_vaults_own_password_is_never_in_the_index(aviary: Aviary):
    with edited(aviary) as vault:
        entry(vault, "Master", aviary.password)
        note = f"for the safe\npassword: {aviary.password}\n{secrets.token_urlsafe(30)}"
        entry(vault, "Note").set_custom_property("sheet", note, protect=True)
    assert left_out(aviary) == {
        'the value of "Other/Master"': "the vault's own password",
        'the attribute "sheet" of "Other/Note"': "the vault's own password",
    }
    assert reasons(aviary, aviary.password) == reasons(aviary, note) == []


def test_seeds_of_one_time_passwords_are_never_in_the_index(aviary: Aviary):
    row = "  site: {kind: account, title: S, entry: Other/Site, never: x, fields: {totp: 'attr:Seed'}}\n"
    aviary.edit("destinations:\n", f"{row}destinations:\n")
    seeds = [base64.b32encode(secrets.token_bytes(20)).decode() for _ in range(5)]
    links = [f"otpauth://totp/test?secret={seed}&period=30" for seed in seeds]
    with edited(aviary) as vault:
        made = entry(vault, "Site", secrets.token_urlsafe(20))
        made.otp = links[0]
        made.set_custom_property("TimeOtp-Secret-Base32", seeds[1], protect=True)
        made.set_custom_property("TOTP Seed", seeds[2], protect=True)
        made.set_custom_property("2FA", links[3], protect=True)
        made.set_custom_property("Seed", seeds[4], protect=False)
    for seed in (*seeds, *links):
        assert reasons(aviary, seed) == []


def test_recovery_codes_are_known_only_where_each_is_too_long_to_guess(aviary: Aviary):
    aviary.edit(
        "destinations:\n", '  codes: {kind: recovery-codes, title: C, entry: Other/Codes, never: "x"}\ndestinations:\n'
    )
    short, long = secrets.token_hex(5), secrets.token_hex(16)
    with edited(aviary) as vault:
        entry(vault, "Codes").notes = f"{short}\n\n{long}\n"
    assert reasons(aviary, long) == ['line 3 of the value of "Other/Codes" (codes)']
    assert reasons(aviary, short) == reasons(aviary, f"{short}\n\n{long}"[:14]) == []
    assert left_out(aviary) == {'the value of "Other/Codes" (codes)': "1 of its lines could be guessed"}


def test_a_reference_is_followed_and_one_that_leads_nowhere_hides_nothing_else(aviary: Aviary):
    beside = secrets.token_urlsafe(20)
    with edited(aviary) as vault:
        lost = entry(vault, "Lost", "{REF:P@I:" + secrets.token_hex(16).upper() + "}")
        lost.set_custom_property("beside", beside, protect=True)
        db = next(each for each in vault.entries if each.title == "DB")
        entry(vault, "Same", f"{{REF:P@I:{db.uuid.hex.upper()}}}")
    assert reasons(aviary, beside) == ['the attribute "beside" of "Other/Lost"']
    assert reasons(aviary, aviary.values["db.password"]) == ['the value of "Database/DB" (db)']


def test_the_inventory_alone_allows_a_value_to_stand_in_files(aviary: Aviary):
    newer = secrets.token_urlsafe(20)
    with edited(aviary) as vault:
        entry(vault, "Twin", aviary.values["db.password"])
        db = next(each for each in vault.entries if each.title == "DB")
        db.save_history()
        db.password = newer
    assert reasons(aviary, newer) == ['the value of "Database/DB" (db)']
    assert reasons(aviary, aviary.values["db.password"]) == ['the value of "Other/Twin"']
    aviary.edit("destinations:\n", "scan: {allow: {db: the password of the demo}}\ndestinations:\n")
    aviary.run("get", "db")
    assert reasons(aviary, newer) == reasons(aviary, aviary.values["db.password"]) == []
    assert reasons(aviary, aviary.values["jira.token"]) == ['the value of "Third-Party/Jira" (jira)']


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{allow: {dbb: x}}", "an id in allow of scan is 'dbb', which is no credential of this inventory"),
        ("{allow: {db: ''}}", "db of allow of scan is empty"),
        ("{secret: [dbb.password]}", "a name in secret of scan is 'dbb', which is no credential of this inventory"),
        ("{secret: [jira.user]}", "secret of scan names 'jira.user', but credential jira has no such field"),
        ("{secret: [PIN]}", "item 1 of secret of scan must be a field of a credential"),
    ],
)
def test_a_wrong_name_in_the_section_scan_is_told_with_its_place(aviary: Aviary, section: str, message: str):
    aviary.edit("destinations:\n", f"scan: {section}\ndestinations:\n")
    done = aviary.run("list")
    assert done.status == 3
    assert message in done.err
    assert "inventory.yaml:12:" in done.err


# --- private keys -----------------------------------------------------------------------------------------------------

SSH, PKCS8, PEM = (
    serialization.PrivateFormat.OpenSSH,
    serialization.PrivateFormat.PKCS8,
    serialization.PrivateFormat.TraditionalOpenSSL,
)
MAKE = {
    "ed25519 OpenSSH": (ed25519.Ed25519PrivateKey.generate, SSH),
    "ed25519 PKCS8": (ed25519.Ed25519PrivateKey.generate, PKCS8),
    "RSA OpenSSH": (lambda: rsa.generate_private_key(65537, 3072), SSH),
    "RSA PKCS8": (lambda: rsa.generate_private_key(65537, 3072), PKCS8),
    "RSA PKCS1": (lambda: rsa.generate_private_key(65537, 3072), PEM),
    "P-521 SEC1": (lambda: ec.generate_private_key(ec.SECP521R1()), PEM),
}


@pytest.mark.parametrize("kind", MAKE)
def test_a_private_key_is_found_whole_or_by_its_lines_but_its_public_half_is_not(aviary: Aviary, kind: str):
    make, form = MAKE[kind]
    made, other = make(), make()
    text, strange = (
        each.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()) for each in (made, other)
    )
    with edited(aviary) as vault:
        entry(vault, "Server").add_attachment(vault.add_binary(text), "id")
        vault.find_entries(title="Server", first=True).add_attachment(vault.add_binary(b"no key " * 20), "readme")
    what = 'the attachment "id" of "Other/Server"'
    assert reasons(aviary, text) == [what]
    assert reasons(aviary, base64.b64encode(text)) == [f"{what}, as base64"]
    (by_line,) = reasons(aviary, text.replace(b"\n", b"\r\n"))
    assert by_line.endswith(f" of {what}")
    assert len(reasons(aviary, json.dumps({"key": text.decode()}).encode())) == 1
    public = (
        made.public_key().public_bytes(*encoding)
        for encoding in (
            (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
            (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        )
    )
    for each in (*public, strange, b"no key " * 20):
        assert reasons(aviary, each) == []


@pytest.mark.parametrize("kind", MAKE)
def test_no_line_of_a_private_key_that_is_looked_for_is_public(kind: str):
    """Whole lines of the modulus stand in a public key, too, if they happen to be aligned alike."""
    make, form = MAKE[kind]
    made = make()
    text = made.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    ssh = made.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    public = [base64.b64decode(ssh.split()[1])]
    if isinstance(made, rsa.RSAPrivateKey):
        public.append(made.public_key().public_numbers().n.to_bytes(384, "big"))
    found = keys.secret_lines(text)
    for _, line in found:
        whole = base64.b64decode(line[: len(line) // 4 * 4])
        assert not any(whole[:-3] in part for part in public)
    assert len(found) >= (1 if "25519" in kind or "521" in kind else 20)


def test_the_lines_of_other_kinds_of_key_files_are_known():
    chance = random.Random(5)
    body = [base64.b64encode(chance.randbytes(48)).decode() for _ in range(4)]
    putty = "\n".join(
        [
            "PuTTY-User-Key-File-3: ssh-rsa",
            "Public-Lines: 2",
            *body[:2],
            "Private-Lines: 2",
            *body[2:],
            "Private-MAC: 0",
        ]
    )
    age = f"# public key: age1{'q' * 58}\n{'AGE-SECRET-KEY-1'}{'Q' * 58}\n"
    assert keys.secret_lines(putty.encode()) == [(6, body[2].encode()), (7, body[3].encode())]
    assert keys.secret_lines(age.encode()) == [(2, b"AGE-SECRET-KEY-1" + b"Q" * 58)]
    for nothing in (b"", b"-----BEGIN PRIVATE KEY-----\n", b"-----BEGIN " + b"PRIVATE KEY-----\n!!\n-----END"):
        assert keys.secret_lines(nothing) == []


# --- when it is made --------------------------------------------------------------------------------------------------


def test_index_and_key_are_private_lie_apart_and_tell_nothing(aviary: Aviary):
    aviary.run("check")
    paths = aviary.state / "known.idx", aviary.data / "known.key"
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        content = path.read_bytes()
        assert aviary.leaked(content) == []
        for told in (b"Database", b"Jira", b"jira", b"aviary.kdbx", str(aviary.folder).encode()):
            assert told not in content
    assert len(paths[1].read_bytes()) == 32


def _written(aviary: Aviary) -> tuple[int, int]:
    status = (aviary.state / "known.idx").stat()
    return status.st_ino, status.st_mtime_ns


def test_an_unchanged_vault_costs_a_look_at_the_head_of_the_index(aviary: Aviary, monkeypatch: pytest.MonkeyPatch):
    aviary.run("check")
    before = _written(aviary)
    monkeypatch.setattr(sought, "choose", None)
    for words in (("check",), ("get", "db"), ("render",)):
        assert aviary.run(*words).status == 0
    assert _written(aviary) == before


def test_a_vault_or_an_inventory_that_changed_is_indexed_anew(aviary: Aviary):
    aviary.run("check")
    before = _written(aviary)
    aviary.remake_vault(db__password=secrets.token_urlsafe(20))
    assert _written(aviary) != before
    assert reasons(aviary, aviary.values["db.password"]) == ['the value of "Database/DB" (db)']
    before = _written(aviary)
    aviary.edit("title: Jira", "title: Another")
    aviary.run("check")
    assert _written(aviary) == before  # nothing of what decides about values
    aviary.edit("fields: {address: URL}", "fields: {address: URL, token: 'attr:T'}")
    aviary.run("get", "db")
    assert _written(aviary) != before


@pytest.mark.parametrize("damage", ["cut", "another key", "no key", "no index", "short key", "older format"])
def test_a_damaged_index_is_made_anew_by_the_next_command_that_opens_the_vault(aviary: Aviary, damage: str):
    aviary.run("check")
    path, key = aviary.state / "known.idx", aviary.data / "known.key"
    content = path.read_bytes()
    {
        "cut": lambda: path.write_bytes(content[:-1]),
        "another key": lambda: key.write_bytes(os.urandom(32)),
        "no key": key.unlink,
        "no index": path.unlink,
        "short key": lambda: key.write_bytes(b"x"),
        "older format": lambda: path.write_bytes(b"chronos-known 0\n" + content[16:]),
    }[damage]()
    assert aviary.run("check").status == 0
    assert reasons(aviary, aviary.values["db.password"]) == ['the value of "Database/DB" (db)']
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_vault_that_was_saved_by_another_program_since_is_told(aviary: Aviary):
    aviary.run("check")
    assert index(aviary).vault_changed() is False
    with vaults.edited(aviary.vault, aviary.password):
        pass
    assert index(aviary).vault_changed() is True
    aviary.run("check")
    assert index(aviary).vault_changed() is False


def test_a_vault_that_is_saved_while_it_is_indexed_counts_as_saved_since(aviary: Aviary):
    opened = vaults.opened(aviary.vault, aviary.password)
    with vaults.edited(aviary.vault, aviary.password):
        pass
    paths = aviary.state / "known.idx", aviary.data / "known.key"
    assert review.refresh(opened, load.read(aviary.inventory), *paths, vaults.NOW)
    assert index(aviary).vault_changed() is True


@pytest.mark.parametrize("place", ["state", "data"])
def test_where_nothing_can_be_kept_one_line_says_so_and_the_command_goes_on(aviary: Aviary, place: str):
    folder = getattr(aviary, place).parent
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file in the way")
    done = aviary.run("get", "db")
    assert (done.status, done.out) == (0, aviary.values["db.password"])
    (line,) = [line for line in done.err.splitlines() if "known values" in line]
    assert line.startswith("note: the index of known values is not up to date: ")
    assert str(folder) in line


def test_nothing_that_is_said_about_known_values_holds_one(aviary: Aviary):
    aviary.run("check")
    found = index(aviary)
    matches: list[Match] = [match for value in aviary.hidden for match in found.find(value.encode())]
    assert len(matches) == 5
    assert aviary.leaked(f"{matches!r} {[match.reason for match in matches]} {found!r} {found.left_out()}") == []
