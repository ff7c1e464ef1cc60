"""Each guard of a save has a test here that fails without it."""

import io
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chronos_secrets.errors import (
    Busy,
    Refused,
    VaultChanged,
    VaultLocked,
    VaultMissing,
    VaultNotSaved,
    VaultUnreadable,
)
from chronos_secrets.secret import Secret
from chronos_secrets.vault import kdbx, store
from chronos_secrets.vault.entries import Attribute, Entry
from chronos_secrets.vault.kdf import MasterKey
from chronos_secrets.vault.store import Vault
from tests.support import keepassxc, vaults

LATER = vaults.NOW + timedelta(hours=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return vaults.ours(tmp_path / "vault.kdbx")


@pytest.fixture
def vault(path: Path) -> Vault:
    """An opened vault with one entry, "entry", whose password is "old"."""
    opened = vaults.opened(path)
    opened.entries.add(("entry",), now=vaults.NOW)
    _set(opened, Password="old")
    opened.save(vaults.NOW)
    return vaults.opened(path)


def _set(vault: Vault, **fields: str) -> None:
    attributes = {name: Attribute(Secret(value), protected=name == "Password") for name, value in fields.items()}
    vault.entries.change(_entry(vault), now=LATER, fields=attributes)


def _entry(vault: Vault) -> Entry:
    entry = vault.entries.at(("entry",))
    assert entry is not None
    return entry


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()


def _password(path: Path) -> str | None:
    return _revealed(_entry(vaults.opened(path)).field("Password"))


# --- the key ---------------------------------------------------------------------------------------------------------


def _create(path: Path, kdf: str) -> None:
    if kdf == "aes":
        vaults.kdbx4(path, kdf=vaults.KDFS["aes"])
    else:
        vaults.ours(path, vaults.KDFS[kdf])


def _open_and_save(path: Path, kdf: str) -> None:
    _create(path, kdf)
    vaults.opened(path).save(vaults.NOW)


def _save_and_save(path: Path, kdf: str) -> None:
    _create(path, kdf)
    vault = vaults.opened(path)
    vault.save(vaults.NOW)
    vault.entries.add(("entry",), now=vaults.NOW)
    vault.save(vaults.NOW)


def _upgrade(path: Path, kdf: str) -> None:
    _create(path, kdf)
    vaults.opened(path).upgrade(vaults.NOW)


def _upgrade_and_save(path: Path, kdf: str) -> None:
    _create(path, kdf)
    vault = vaults.opened(path)
    vault.upgrade(vaults.NOW)
    vault.save(vaults.NOW)


def _two_vaults_with_one_key(path: Path, kdf: str) -> None:
    """A key remembers what it derived; another vault has another salt."""
    other, key = path.with_name("other.kdbx"), vaults.key()
    _create(path, kdf)
    _create(other, kdf)
    for each in (path, other, path):
        Vault.open(each, key, vaults.places(path.parent / "state")).save(vaults.NOW)


WRITERS = [_create, _open_and_save, _save_and_save, _upgrade, _upgrade_and_save, _two_vaults_with_one_key]


@pytest.mark.parametrize("kdf", ["aes", "argon2d", "argon2id"])
@pytest.mark.parametrize("write", WRITERS, ids=[each.__name__.strip("_").replace("_", " ") for each in WRITERS])
def test_after_every_way_to_write_only_the_password_opens_the_vault(
    write: Callable[[Path, str], None], kdf, tmp_path, monkeypatch
):
    monkeypatch.setattr(kdbx, "NEW_KDF", vaults.KDFS["argon2id"])
    path = tmp_path / "vault.kdbx"
    write(path, kdf)
    assert keepassxc.opens(path)
    assert not keepassxc.opens(path, "wrong horse")
    assert not keepassxc.opens(path, "")
    assert not keepassxc.opens(path, None, _empty(tmp_path))
    assert not _pykeepass_opens_without_credentials(path)
    for wrong in ("wrong horse", ""):
        with pytest.raises(VaultLocked):
            vaults.opened(path, wrong)


def _empty(folder: Path) -> Path:
    file = folder / "empty.key"
    file.write_bytes(b"")
    return file


def _pykeepass_opens_without_credentials(path: Path) -> bool:
    """KeePassXC refuses to try; pykeepass does: it is how a file sealed with a wrong key was first seen."""
    from pykeepass import PyKeePass
    from pykeepass.exceptions import CredentialsError

    try:
        PyKeePass(io.BytesIO(path.read_bytes()))
    except CredentialsError:
        return False
    return True


def test_a_vault_needs_a_password_or_a_key_file():
    with pytest.raises(VaultLocked, match="neither a password nor a key file"):
        MasterKey(None)


def test_every_save_has_new_seeds(vault, path):
    """The same master key and IV for two contents would give away what they have in common."""
    heads = set()
    for _ in range(3):
        vault.save(vaults.NOW)
        content = path.read_bytes()
        places = content.index(b"\x04\x20\0\0\0"), content.index(b"\x07\x10\0\0\0")  # master seed, IV
        heads |= {content[place + 5 : place + 21] for place in places}
    assert len(heads) == 6


# --- the file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_the_mode_of_the_file_is_kept(mode, vault, path):
    path.chmod(mode)
    vault.save(vaults.NOW)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_vault_can_be_read_by_nobody_else(tmp_path):
    os.umask(0)
    path = vaults.ours(tmp_path / "new" / "folder" / "vault.kdbx")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_the_owner_of_the_file_is_kept(vault, path):
    os.chown(path, 12345, 23456)
    vault.save(vaults.NOW)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


def test_a_file_that_cannot_be_given_its_owner_again_is_not_replaced(vault, path, monkeypatch):
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    before = path.read_bytes()
    if os.geteuid() != 0:
        pytest.skip("only root may make a file of somebody else; the save of one is refused by the system itself")
    os.chown(path, 4242, 4242)
    monkeypatch.setattr(os, "fchown", refused)
    with pytest.raises(VaultNotSaved, match="could not be saved: operation not permitted"):
        vault.save(vaults.NOW)
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".*"))


def test_a_symbolic_link_stays_and_the_file_behind_it_is_saved(vault, path):
    link = path.with_name("link.kdbx")
    link.symlink_to(path.name)
    through = vaults.opened(link)
    _set(through, Password="new")
    through.save(vaults.NOW)
    assert link.is_symlink()
    assert not path.is_symlink()
    assert _password(path) == _password(link) == "new"


def test_files_that_other_programs_left_beside_the_vault_are_not_touched(vault, path):
    victim = path.with_name("victim")
    victim.write_bytes(b"not ours")
    path.with_suffix(".tmp").symlink_to(victim)
    path.with_name("vault.kdbx.tmp").write_bytes(b"somebody's")
    vault.save(vaults.NOW)
    assert (victim.read_bytes(), path.with_name("vault.kdbx.tmp").read_bytes()) == (b"not ours", b"somebody's")
    assert path.with_suffix(".tmp").is_symlink()
    assert {each.name for each in path.parent.iterdir() if each.name.startswith(".")} == set()


def test_a_vault_that_is_gone_is_not_made_anew(vault, path):
    path.unlink()
    with pytest.raises(VaultNotSaved, match="no such file"):
        vault.save(vaults.NOW)
    assert not path.exists()


def test_a_missing_vault_is_said_with_what_makes_one(tmp_path):
    with pytest.raises(VaultMissing, match=r"there is no vault at .*none\.kdbx") as caught:
        vaults.opened(tmp_path / "none.kdbx")
    assert (caught.value.hint or "").startswith("chronos-secrets init    # for a new project only; else copy the vault")


@pytest.mark.parametrize("occupied", ["file", "link", "dangling link"])
def test_a_new_vault_never_replaces_what_is_there(occupied, tmp_path):
    path, other = tmp_path / "vault.kdbx", tmp_path / "other"
    if occupied == "file":
        path.write_bytes(b"precious")
    else:
        path.symlink_to(other)
    if occupied == "link":
        other.write_bytes(b"precious")
    with pytest.raises(Refused, match="it is never overwritten"):
        vaults.ours(path)
    assert path.is_symlink() == (occupied != "file")
    assert {each.read_bytes() for each in (path, other) if each.exists()} <= {b"precious"}
    assert not list(tmp_path.glob(".*"))


# --- other writers ---------------------------------------------------------------------------------------------------


def test_what_keepassxc_saved_since_we_opened_the_vault_is_never_lost(vault, path, tmp_path):
    kept = _previous(tmp_path)
    keepassxc.add(path, "theirs", "their work")
    before = path.read_bytes()
    _set(vault, Password="new")
    with pytest.raises(VaultChanged, match="saved by another program since it was opened") as caught:
        vault.save(vaults.NOW)
    assert caught.value.hint == "run the command again"
    assert path.read_bytes() == before
    assert _previous(tmp_path) == kept, "a refused save must not push previous bytes out"
    assert keepassxc.export(path).at("theirs").password == "their work"


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_what_keepassxc_saves_while_our_bytes_go_to_the_disk_is_not_lost(moment, vault, path, monkeypatch):
    """The moments are the fsyncs before the rename: the previous bytes, their folder, ours."""
    real, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        real(descriptor)
        calls.append(descriptor)
        if len(calls) == moment:
            keepassxc.add(path, "theirs", "their work")

    monkeypatch.setattr(os, "fsync", fsync)
    _set(vault, Password="new")
    with pytest.raises(VaultChanged):
        vault.save(vaults.NOW)
    assert len(calls) == 3
    assert keepassxc.export(path).at("theirs").password == "their work"
    assert not list(path.parent.glob(".*"))


def test_an_upgrade_does_not_lose_what_keepassxc_saved_either(path):
    vault = vaults.opened(path)
    keepassxc.add(path, "theirs", "their work")
    with pytest.raises(VaultChanged):
        vault.upgrade(vaults.NOW)
    assert keepassxc.export(path).at("theirs").password == "their work"


def test_one_opened_vault_can_be_saved_again_and_again(vault, path):
    for password in ("one", "two", "three"):
        _set(vault, Password=password)
        vault.save(vaults.NOW)
        assert _password(path) == password


@pytest.fixture
def held_elsewhere(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Hold the lock of a vault in another process."""
    holders = []

    def hold(lock: Path) -> None:
        program = (
            "import fcntl, sys\nfile = open(sys.argv[1], 'w')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
            "print('held', flush=True)\nsys.stdin.read()"
        )
        argv = (sys.executable, "-c", program, str(lock))
        holders.append(subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert holders[-1].stdout is not None
        holders[-1].stdout.readline()

    yield hold
    for holder in holders:
        holder.communicate()


def test_while_another_run_saves_ours_waits_and_then_says_so(vault, path, tmp_path, held_elsewhere, monkeypatch):
    monkeypatch.setattr(store, "_LOCK_WAIT", 0.2)
    vault.save(vaults.NOW)
    (lock,) = (tmp_path / "state" / "locks").iterdir()
    held_elsewhere(lock)
    before = path.read_bytes()
    link = path.with_name("link.kdbx")
    link.symlink_to(path)
    for each in (vault, vaults.opened(link)):
        with pytest.raises(Busy, match="another run is saving") as caught:
            each.save(vaults.NOW)
        assert caught.value.hint == "run the command again"
    assert path.read_bytes() == before


def test_vaults_of_different_names_do_not_wait_for_each_other(vault, tmp_path, held_elsewhere):
    vault.save(vaults.NOW)
    (lock,) = (tmp_path / "state" / "locks").iterdir()
    held_elsewhere(lock)
    vaults.opened(vaults.ours(tmp_path / "other.kdbx")).save(vaults.NOW)


# --- previous bytes --------------------------------------------------------------------------------------------------


def _previous(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "state" / "previous").iterdir())


def test_the_previous_bytes_are_kept_and_open(vault, path, tmp_path):
    before = path.read_bytes()
    _set(vault, Password="new")
    vault.save(LATER)
    kept = _previous(tmp_path)[-1]
    assert kept.read_bytes() == before
    assert kept.name.startswith("20260102T040405")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert keepassxc.export(kept).at("entry").password == "old"


def test_five_previous_files_are_kept_and_never_more(vault, path, tmp_path):
    contents = []
    for number in range(8):
        contents.append(path.read_bytes())
        vault.save(vaults.NOW + timedelta(minutes=number))
    assert [each.read_bytes() for each in _previous(tmp_path)] == contents[-5:]


def test_the_previous_bytes_are_kept_even_when_the_clock_was_set_back(vault, path, tmp_path):
    for number in range(6):
        vault.save(vaults.NOW + timedelta(minutes=number))
    before = path.read_bytes()
    vault.save(vaults.NOW - timedelta(days=400))
    assert before in [each.read_bytes() for each in _previous(tmp_path)]


def test_nothing_is_saved_where_the_previous_bytes_cannot_be_kept(vault, path, tmp_path):
    previous = tmp_path / "state" / "previous"
    for each in previous.iterdir():
        each.unlink()
    previous.rmdir()
    previous.write_bytes(b"")
    before = path.read_bytes()
    with pytest.raises(VaultNotSaved):
        vault.save(vaults.NOW)
    assert path.read_bytes() == before


# --- the content -----------------------------------------------------------------------------------------------------


def _root(vault: Vault) -> Any:
    return vault.entries.kdbx.root


def test_bytes_that_do_not_open_again_are_not_saved(vault, path):
    before = path.read_bytes()
    root = _root(vault).find("Root")
    root.remove(root.find("Group"))
    with pytest.raises(VaultNotSaved, match="does not open again"):
        vault.save(vaults.NOW)
    assert path.read_bytes() == before


def test_bytes_that_would_be_read_differently_are_not_saved(vault, path):
    before = path.read_bytes()
    _root(vault).find("Root").text = "  "  # dropped when a file is read
    with pytest.raises(VaultNotSaved, match="is not what was meant"):
        vault.save(vaults.NOW)
    assert path.read_bytes() == before


def test_a_new_vault_that_would_be_read_differently_is_not_made(tmp_path):
    made = kdbx.create("Test", bytes(32), vaults.CHEAP)
    made.root.find("Root").text = "  "
    with pytest.raises(VaultNotSaved, match="is not what was meant"):
        store.write_new(tmp_path / "vault.kdbx", made, vaults.key())
    assert not (tmp_path / "vault.kdbx").exists()


def test_attachments_that_differ_are_noticed(path):
    one, other = vaults.opened(path).entries.kdbx, vaults.opened(path).entries.kdbx
    assert one.same_content(other)
    one.add_attachment(b"content")
    assert not one.same_content(other)


@pytest.mark.parametrize(
    "value", ["nul\0", "bell\a", "escape\x1b", "\ufffe", "\uffff", b"\xff\xfe"], ids=lambda value: repr(value)[:12]
)
def test_a_value_that_cannot_be_stored_is_refused_before_anything_is_changed(value, vault, path):
    before = path.read_bytes()
    fields = {
        "Notes": Attribute(Secret("good")),
        "Password": Attribute(Secret(value)),
        "URL": Attribute(Secret("good")),
    }
    with pytest.raises(Refused, match="the new value of 'Password' holds characters") as caught:
        vault.entries.change(_entry(vault), now=LATER, fields=fields)
    assert "good" not in str(caught.value)
    found = _entry(vault)
    assert [_revealed(found.field(name)) for name in fields] == ["", "old", ""]
    assert (found.history, found.modified) == (_entry(vaults.opened(path)).history, LATER)
    vault.save(vaults.NOW)
    assert path.read_bytes() != before
    assert _password(path) == "old"


@pytest.mark.parametrize("what", ["fields", "attachments"])
def test_a_name_that_cannot_be_stored_is_refused_before_anything_is_changed(what, vault):
    value = Attribute(Secret("new")) if what == "fields" else Secret("new")
    with pytest.raises(Refused, match=r"the name 'bad\\x00'"):
        vault.entries.change(_entry(vault), now=LATER, **{what: {"good": value, "bad\0": value}})
    found = _entry(vault)
    assert (found.field("good"), found.attachment_names, len(found.history)) == (None, (), 0)


@pytest.mark.parametrize("value", ["", "   ", "\n"], ids=["empty", "spaces", "line end"])
@pytest.mark.parametrize("protected", [True, False], ids=["protected", "plain"])
def test_empty_and_blank_values_are_saved(value, protected, vault, path):
    for name in ("Password", "Notes", "attribute"):
        vault.entries.change(_entry(vault), now=LATER, fields={name: Attribute(Secret(value), protected)})
    vault.save(vaults.NOW)
    found = _entry(vaults.opened(path))
    assert [_revealed(found.field(name)) for name in ("Password", "Notes", "attribute")] == [value] * 3


def _attach(vault: Vault, content: bytes) -> None:
    vault.entries.change(_entry(vault), now=LATER, attachments={"file": Secret(content)})


def test_a_replaced_attachment_leaves_the_file_when_nothing_refers_to_it_any_more(vault, path):
    _root(vault).find("Meta/HistoryMaxItems").text = "1"
    for content in (b"first key", b"second key", b"third key"):
        _attach(vault, content)
    vault.save(vaults.NOW)
    with vaults.edited(path) as found:
        assert found.binaries == [b"second key", b"third key"]
    entry = _entry(vaults.opened(path))
    assert _revealed(entry.attachment("file")) == "third key"
    assert [_revealed(item.attachment("file")) for item in entry.history] == ["second key"]


def test_attachments_of_other_entries_stay_theirs_when_one_is_purged(vault, path):
    for number in range(4):
        entry = vault.entries.add((f"entry {number}",), now=vaults.NOW)
        content = {"file": Secret(f"key {number}"), "shared": Secret("shared")}
        vault.entries.change(entry, now=vaults.NOW, attachments=content)
    vault.entries.add(("last",), now=vaults.NOW)
    gone = vault.entries.at(("entry 1",)).element
    gone.getparent().remove(gone)
    vault.save(vaults.NOW)
    vault.save(vaults.NOW)
    found = vaults.opened(path).entries
    kept = [found.at((f"entry {number}",)).attachment("file") for number in (0, 2, 3)]
    assert [_revealed(each) for each in kept] == ["key 0", "key 2", "key 3"]
    with vaults.edited(path) as other:
        assert b"key 1" not in other.binaries


# --- the history -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"fields": {"Password": Attribute(Secret("new"))}},
        {"fields": {"Password": Attribute(Secret("new"), protected=False)}},
        {"fields": {"Password": Attribute(Secret(""))}},
    ],
    ids=["another password", "a password that is protected no more", "no password"],
)
def test_a_replaced_secret_goes_into_the_history(change, vault, path):
    vault.entries.change(_entry(vault), now=LATER + timedelta(hours=1), **change)
    vault.save(vaults.NOW)
    found = _entry(vaults.opened(path))
    assert [_revealed(item.field("Password")) for item in found.history] == ["old"]
    assert (found.history[0].modified, found.modified) == (LATER, LATER + timedelta(hours=1))


def test_a_replaced_attachment_goes_into_the_history(vault, path):
    _attach(vault, b"first key")
    _attach(vault, b"second key")
    vault.save(vaults.NOW)
    assert [_revealed(item.attachment("file")) for item in _entry(vaults.opened(path)).history] == ["first key"]


@pytest.mark.parametrize(
    "change",
    [
        {"fields": dict.fromkeys(("Notes", "mark"), Attribute(Secret("new"), protected=False))},
        {"fields": {"Password": Attribute(Secret("old"))}},
        {"fields": {"never set before": Attribute(Secret("new"))}},
        {"expires": LATER},
        {"attachments": {"first": Secret("new")}},
        {},
    ],
    ids=["plain fields", "the same password", "a first value", "expiry", "a first attachment", "nothing"],
)
def test_what_loses_no_secret_changes_the_modification_time_and_not_the_history(change, vault, path):
    """KeePassXC keeps ten items: a rotation that marks its steps must not push the old passwords out."""
    vault.entries.change(_entry(vault), now=LATER + timedelta(hours=1), **change)
    vault.save(vaults.NOW)
    found = _entry(vaults.opened(path))
    assert (found.history, found.modified) == ((), LATER + timedelta(hours=1))


@pytest.mark.parametrize(("limit", "kept"), [("10", 10), ("3", 3), ("-1", 15), ("", 10)])
def test_the_history_keeps_as_many_items_as_the_vault_says(limit, kept, vault, path):
    _root(vault).find("Meta/HistoryMaxItems").text = limit or None
    for number in range(15):
        _set(vault, Password=f"password {number}")
    vault.save(vaults.NOW)
    history = [_revealed(item.field("Password")) for item in _entry(vaults.opened(path)).history]
    assert history == [f"password {number}" if number >= 0 else "old" for number in range(14 - kept, 14)]


def test_items_that_others_left_in_the_history_stay_until_a_secret_changes(tmp_path):
    path = vaults.kdbx4(tmp_path / "vault.kdbx")
    vaults.populate(path, large=10)
    vault = vaults.opened(path)
    entry = vault.entries.at(vaults.HISTORY)
    vault.entries.change(entry, now=LATER, fields={"mark": Attribute(Secret("new"), protected=False)})
    vault.save(vaults.NOW)
    found = keepassxc.export(path).at(*vaults.HISTORY)
    assert tuple(item.password for item in found.history) == vaults.PAST_PASSWORDS


# --- errors ----------------------------------------------------------------------------------------------------------


def test_what_goes_wrong_in_the_format_code_is_said_in_our_words(vault, path, monkeypatch):
    before = path.read_bytes()

    def broken(*_: object, **__: object) -> bytes:
        raise KeyError("something deep inside")

    monkeypatch.setattr(kdbx._library().KDBX, "build", broken)
    with pytest.raises(Exception, match=r"vault\.kdbx: it cannot be encoded") as caught:
        vault.save(vaults.NOW)
    assert caught.value.exit == VaultNotSaved.exit
    assert path.read_bytes() == before


def test_a_disk_that_fails_is_said_in_our_words(vault, path, monkeypatch):
    def failing(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(VaultNotSaved, match=r"vault\.kdbx could not be saved: input/output error"):
        vault.save(vaults.NOW)
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".*"))


def test_the_lock_never_lies_beside_the_vault(vault, path):
    """A vault in a synchronised folder must not drag lock files along."""
    vault.save(vaults.NOW)
    assert {each.name for each in path.parent.iterdir()} == {"vault.kdbx", "state", "home"}


def test_a_vault_path_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.kdbx")
    with pytest.raises(VaultUnreadable, match="it is no regular file"):
        store.read(tmp_path / "pipe.kdbx")


def test_a_vault_path_that_is_a_dangling_link_is_called_that(tmp_path):
    (tmp_path / "link.kdbx").symlink_to("nowhere.kdbx")
    with pytest.raises(VaultMissing, match="is a link that leads nowhere"):
        store.read(tmp_path / "link.kdbx")
