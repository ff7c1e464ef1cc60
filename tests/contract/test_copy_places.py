"""Every place keeps the same promises: a folder, a drive, and cloud storages by the real rclone.

The storages are a folder, an encrypted one (crypt) and an S3 server.
"""

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from chronos_secrets.errors import TargetFailed, VaultLocked
from chronos_secrets.systems import rclone
from chronos_secrets.vault.copies import catalogue, copying, making, verifying
from chronos_secrets.vault.copies.folders import Folder
from chronos_secrets.vault.copies.place import Place
from chronos_secrets.vault.copies.record import Name
from chronos_secrets.vault.copies.remotes import Remote
from tests.support import keepassxc
from tests.support.copies import NOW, PROJECT, SPEC, Keep, Live, Stick, folder, identity, live
from tests.support.programs import require
from tests.support.seaweed import Seaweed, seaweed

pytestmark = pytest.mark.xdist_group("copy-places")

CONTENT = b"a vault" * 30_000  # more than rclone keeps back before it begins to send (100 KiB)


def _crypt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    password = secrets.token_hex(8).encode()
    obscured = subprocess.run(
        [require("rclone"), "obscure", "-"], input=password, capture_output=True, check=True
    ).stdout
    for name, value in (("TYPE", "crypt"), ("REMOTE", str(folder / "hidden")), ("PASSWORD", obscured.decode().strip())):
        monkeypatch.setenv(f"RCLONE_CONFIG_SECRET_{name}", value)
    return Remote(SPEC, "secret:vault")


def _local(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    require("rclone")
    monkeypatch.setenv("RCLONE_CONFIG_CLOUD_TYPE", "local")
    return Remote(SPEC, f"cloud:{folder}/remote")


KINDS: dict[str, Callable[[Path, pytest.MonkeyPatch], Place]] = {
    "folder": lambda path, _: folder(path / "copies"),
    "drive": lambda path, _: Stick(path).place(),
    "rclone local": _local,
    "rclone crypt": _crypt,
}


@pytest.fixture(scope="module")
def s3() -> Iterator[Seaweed]:
    require("rclone")
    with seaweed() as server:
        yield server


def _bucket(server: Seaweed, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """A folder of a new bucket. The server's certificate is rclone's business; AWS_CA_BUNDLE is what others need."""
    bucket = f"copies-{secrets.token_hex(6)}"
    server.bucket(bucket)
    settings = {
        "TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": server.url, "REGION": server.region,
        "ACCESS_KEY_ID": server.admin.id, "SECRET_ACCESS_KEY": server.admin.secret,
    }  # fmt: skip
    for key, value in settings.items():
        monkeypatch.setenv(f"RCLONE_CONFIG_BUCKETS_{key}", value)
    monkeypatch.setenv("RCLONE_CA_CERT", server.certificate)
    monkeypatch.setenv("AWS_CA_BUNDLE", server.certificate)
    return Remote(SPEC, f"buckets:{bucket}/vault")


@pytest.fixture(params=[*KINDS, "rclone S3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "rclone S3":
        return _bucket(request.getfixturevalue("s3"), monkeypatch)
    return KINDS[request.param](tmp_path, monkeypatch)


def name(days: int, content: bytes = CONTENT) -> Name:
    return Name.of(PROJECT, NOW + timedelta(days=days), content, sealed=False)


def test_what_was_written_is_listed_oldest_first_and_reads_back(place: Place):
    assert place.names() == []
    for days in (2, 0, 1):
        place.write(name(days), CONTENT)
    assert place.names() == [name(0), name(1), name(2)]
    assert place.read(name(1)) == CONTENT


def test_a_copy_is_never_overwritten(place: Place):
    place.write(name(0), CONTENT)
    place.write(name(0), b"something else")
    assert place.read(name(0)) == CONTENT


def test_what_is_removed_is_gone_and_may_be_removed_again(place: Place):
    place.ready()
    place.remove(name(0))
    place.write(name(0), CONTENT)
    place.write(name(1), CONTENT)
    place.remove(name(0))
    place.remove(name(0))
    assert place.names() == [name(1)]
    with pytest.raises(TargetFailed, match=r"^there is no aviary-.* in "):
        place.read(name(0))


def test_only_copies_of_this_project_are_listed(place: Place):
    other = name(0)._replace(project=f"{PROJECT}-two")
    place.write(other, CONTENT)
    place.write(name(0), CONTENT)
    assert place.names() == [name(0)]


def test_an_empty_copy_is_still_a_file(place: Place):
    place.write(name(0, b""), b"")
    assert place.read(name(0, b"")) == b""


def test_a_whole_run_leaves_opened_copies_by_the_rule(place: Place, tmp_path: Path):
    vault = live(tmp_path / "vault.kdbx", "one", "two")
    for days in range(3):
        done = _run(place, vault, tmp_path / "state", days)
        assert (done.verdict.fault, done.verdict.opened, done.kept) == (None, True, None)
    records = catalogue.load(tmp_path / "state" / catalogue.FILE).records
    assert [str(each) for each in place.names()] == [each.name for each in records]
    assert len(records) == 2
    verdict = verifying.verify(place, records[0], vault.key, vault.facts, now=NOW)
    assert (verdict.fault, verdict.opened, verdict.standing) == (None, True, "same")


def test_keepassxc_opens_what_a_place_gives_back(place: Place, tmp_path: Path):
    vault = live(tmp_path / "vault.kdbx", "one", "two")
    done = _run(place, vault, tmp_path / "state", 0)
    (tmp_path / "back.kdbx").write_bytes(place.read(place.names()[0]))
    assert (tmp_path / "back.kdbx").read_bytes() == vault.content
    assert keepassxc.info(tmp_path / "back.kdbx")["Number of entries"] == str(vault.facts.entries)
    assert done.verdict.record.vault == done.verdict.record.sha256


def _run(place: Place, vault: Live, state: Path, days: int) -> copying.Copied:
    now = NOW + timedelta(days=days)
    with catalogue.held(state):
        return copying.copy(place, vault.content, vault.key, vault.facts, Keep(last=2), state=state, now=now)


# --- cloud storages that say no ---------------------------------------------------------------------------------------


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    return _local(tmp_path, monkeypatch)


def said(place: Place) -> str:
    with pytest.raises(TargetFailed) as caught:
        place.write(name(0), CONTENT)
    return caught.value.message


def test_a_remote_that_rclone_does_not_know_is_said():
    require("rclone")
    assert said(Remote(SPEC, "nowhere:vault")) == (
        "the files of nowhere:vault cannot be listed: didn't find section in config file"
    )


def test_a_storage_that_is_away_is_said_and_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    require("rclone")
    away = {"TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": "http://127.0.0.1:9", "ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y"}  # fmt: skip
    for key, value in away.items():
        monkeypatch.setenv(f"RCLONE_CONFIG_AWAY_{key}", value)
    monkeypatch.setenv("AWS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")  # on which rclone's S3 client chokes
    assert said(Remote(SPEC, "away:bucket")).endswith("connection refused")


def test_a_machine_without_rclone_says_what_to_install(cloud: Remote, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TargetFailed, match=r"^rclone could not be started: no such file") as caught:
        cloud.ready()
    assert caught.value.hint == "apt-get install rclone"


def test_a_storage_that_cannot_be_written_to_is_said_and_keeps_nothing(cloud: Remote, tmp_path: Path):
    (tmp_path / "remote").write_text("a file where the folder should be")
    assert said(cloud).endswith("not a directory")


def test_an_upload_that_was_cut_off_is_no_copy_and_is_swept(cloud: Remote, tmp_path: Path):
    rclone.put(f"cloud:{tmp_path}/remote", cloud.temporary(name(0)), CONTENT[:1000])
    assert cloud.names() == []
    cloud.write(name(1), CONTENT)
    assert os.listdir(tmp_path / "remote") == [str(name(1))]


def test_a_storage_that_keeps_half_of_what_it_is_given_has_no_new_copy(
    cloud: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real = rclone.put
    monkeypatch.setattr(rclone, "put", lambda remote, file, content: real(remote, file, content[:-1]))
    assert said(cloud).endswith("does not give back what was written to it")
    assert os.listdir(tmp_path / "remote") == []


def test_damage_below_an_encrypted_storage_is_a_fault_of_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    place = _crypt(tmp_path, monkeypatch)
    vault = live(tmp_path / "vault.kdbx", "one")
    known = making.make(place, vault.content, vault.facts, NOW)
    (file,) = (each for each in (tmp_path / "hidden").rglob("*") if each.is_file())
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    verdict = verifying.verify(place, known, vault.key, vault.facts, now=NOW)
    assert verdict.fault is not None
    assert "cannot be read" in verdict.fault
    assert not verdict.record.is_good


# --- copies that are encrypted by age, too ----------------------------------------------------------------------------


@pytest.fixture
def vault(tmp_path: Path) -> Live:
    return live(tmp_path / "vault.kdbx", "one", "two")


@pytest.fixture
def sealing(tmp_path: Path) -> tuple[Folder, Path]:
    """A place whose copies are encrypted by age, and the identity that opens them."""
    path, recipient = identity(tmp_path / "identity")
    return Folder(SPEC._replace(recipient=recipient), tmp_path / "copies"), path


def test_a_sealed_copy_is_verified_by_its_hash_and_opened_with_its_identity(
    vault: Live, sealing: tuple[Folder, Path], tmp_path: Path
):
    place, path = sealing
    known = making.make(place, vault.content, vault.facts, NOW)
    assert known.name.endswith(".kdbx.age")
    assert vault.content not in (tmp_path / "copies" / known.name).read_bytes()
    by_hash = verifying.verify(place, known, vault.key, vault.facts, now=NOW)
    assert (by_hash.fault, by_hash.opened, by_hash.record.how) == (None, False, "by hash")
    opened = verifying.verify(place, known, vault.key, vault.facts, now=NOW, identity=path)
    assert (opened.fault, opened.opened, opened.standing) == (None, True, "same")
    assert _run(place, vault, tmp_path / "state", 1).verdict.fault is None


def test_a_sealed_copy_with_a_wrong_identity_says_so_and_is_no_damaged_one(
    vault: Live, sealing: tuple[Folder, Path], tmp_path: Path
):
    place, _ = sealing
    wrong, _ = identity(tmp_path / "wrong")
    known = making.make(place, vault.content, vault.facts, NOW)
    none = tmp_path / "none"
    for path, words in (
        (wrong, f"does not open: the age identity {wrong} is not the one that it was encrypted to"),
        (none, f"does not open: the age identity {none} cannot be used: reading"),
    ):
        verdict = verifying.verify(place, known, vault.key, vault.facts, now=NOW, identity=path)
        assert (verdict.fault or "").startswith(words)
        assert verdict.record.is_good
    with pytest.raises(VaultLocked, match="no identity was given"):
        verifying.unsealed(place.read(place.names()[0]), known.name, None)


def test_a_recipient_that_is_none_is_said_and_no_copy_is_made(vault: Live, tmp_path: Path):
    require("age")
    place = Folder(SPEC._replace(recipient="age1nobody"), tmp_path / "copies")
    with pytest.raises(TargetFailed, match=r"^age cannot encrypt to age1nobody: malformed recipient"):
        making.make(place, vault.content, vault.facts, NOW)
    assert place.names() == []


def test_a_machine_without_age_says_what_to_install(vault: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TargetFailed, match=r"^age could not be started: no such file") as caught:
        making.make(Folder(SPEC._replace(recipient="age1x"), tmp_path / "copies"), vault.content, vault.facts, NOW)
    assert caught.value.hint == "apt-get install age"
