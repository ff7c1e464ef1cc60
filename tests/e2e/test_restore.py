"""`vault restore` and `vault diff`: the night on which the vault is gone, and the days on which it was only changed."""

import errno
import json
import os
import secrets
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from chronos_secrets.errors import Exit
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files
from chronos_secrets.vault import kdbx, restoring, store
from chronos_secrets.vault.kdf import MasterKey
from tests.support import keepassxc, restorer, vaults
from tests.support.commands import SOURCES, Terminal, alone, argv, process, snapshot
from tests.support.copied import Copied
from tests.support.copies import identity
from tests.support.programs import require


@pytest.fixture
def aviary(tmp_path: Path) -> Copied:
    """With a copy that was made before the vault was changed: a password, a new entry, and one that is gone."""
    made = Copied(tmp_path)
    assert made.open("vault", "copy", "near").status == Exit.OK
    made.backdate("near", 7)
    with made.opened() as vault:
        gone = vault.entries.at(("Third-Party", "Jira"))
        assert gone is not None
        gone.element.getparent().remove(gone.element)
        vault.entries.add(("Third-Party", "New Thing"), now=datetime.now(UTC))
    made.save_by_keepassxc(Password=secrets.token_hex(9))
    return made


def _copy(aviary: Copied) -> Path:
    return aviary.files(aviary.near)[0]


def _asides(aviary: Copied) -> list[Path]:
    return sorted(aviary.folder.glob("aviary.kdbx.before-restore-*"))


# --- on a new machine -------------------------------------------------------------------------------------------------


def test_a_copy_is_restored_on_a_machine_that_has_nothing_but_the_copy(aviary: Copied, tmp_path: Path):
    home = tmp_path / "new-laptop"
    home.mkdir()
    bare = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCES), "PYTHONDONTWRITEBYTECODE": "1"}
    target = home / "secrets" / "vault.kdbx"
    command = argv("vault", "restore", "--from", _copy(aviary), "--to", target, "--password-file", aviary.password_file)
    done = subprocess.run(
        command, cwd=home, env=bare, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == Exit.OK, done.stderr
    assert target.read_bytes() == _copy(aviary).read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600
    assert done.stdout == f"restored {target} from {_copy(aviary)}, and read it back\n"
    assert "opens, and holds 5 entries" in done.stderr
    assert sorted(os.listdir(home)) == ["secrets"], "it left nothing else there"
    if os.environ.get("CI") or Path("/usr/bin/keepassxc-cli").exists():
        require("keepassxc-cli")
        assert keepassxc.opens(target, password=aviary.password)


def test_broken_settings_and_a_broken_inventory_are_in_nobodys_way(aviary: Copied, tmp_path: Path):
    config = tmp_path / "home" / ".config" / "chronos-secrets" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[broken")
    aviary.inventory.write_text("version: [")
    target = tmp_path / "there.kdbx"
    done = process(
        "vault", "restore", "--from", _copy(aviary), "--to", target, "--password-file", aviary.password_file,
        folder=aviary.folder,
    )  # fmt: skip
    assert done.status == Exit.OK, done.err
    assert target.read_bytes() == _copy(aviary).read_bytes()


def test_the_newest_copy_of_a_folder_is_taken_or_the_one_of_a_day(aviary: Copied, tmp_path: Path):
    assert aviary.open("vault", "copy", "near").status == Exit.OK
    older, newer = aviary.files(aviary.near)
    for number, (at, expected) in enumerate([
        ((), newer), (("--at", f"{datetime.now(UTC):%Y-%m-%d}"), newer), (("--at", older.name.split("-")[1]), older),
    ]):  # fmt: skip
        target = tmp_path / f"{number}.kdbx"
        done = aviary.open("vault", "restore", "--from", aviary.near, "--to", target, *at)
        assert done.status == Exit.OK, done.err
        assert target.read_bytes() == expected.read_bytes()
    done = aviary.open("vault", "restore", "--from", aviary.near, "--to", tmp_path / "none", "--at", "2001-01-01")
    assert done.status == Exit.VAULT
    assert "hint: the oldest is of" in done.err


def test_a_sealed_copy_is_restored_with_its_identity_only(aviary: Copied, tmp_path: Path):
    require("age")
    key, recipient = identity(tmp_path / "identity")
    aviary.edit(
        f"near: {{kind: folder, path: {aviary.near}}}", f"near: {{kind: folder, path: {aviary.near}, age: {recipient}}}"
    )
    assert aviary.open("vault", "copy", "near").status == Exit.OK
    (sealed,) = aviary.near.glob("*.age")
    restore = ("vault", "restore", "--from", sealed, "--to", tmp_path / "vault.kdbx")
    refused = aviary.open(*restore)
    assert refused.status == Exit.VAULT
    assert "hint: --identity FILE" in refused.err
    done = aviary.open(*restore, "--identity", key)
    assert done.status == Exit.OK, done.err
    assert (tmp_path / "vault.kdbx").read_bytes() == aviary.vault.read_bytes()
    assert aviary.open("vault", "verify", "near", "--identity", key).status == Exit.OK
    other, _ = identity(tmp_path / "other")
    wrong = aviary.open("vault", "restore", "--from", sealed, "--to", tmp_path / "x.kdbx", "--identity", other)
    assert wrong.status == Exit.VAULT
    assert not (tmp_path / "x.kdbx").exists()


def test_a_sealed_copy_counts_by_its_hash_once_somebody_opened_one(aviary: Copied, tmp_path: Path):
    require("age")
    key, recipient = identity(tmp_path / "identity")
    aviary.edit(
        f"near: {{kind: folder, path: {aviary.near}}}", f"near: {{kind: folder, path: {aviary.near}, age: {recipient}}}"
    )
    _copy(aviary).unlink()
    done = aviary.open("vault", "copy", "near")
    assert "copied, verified by its hash" in done.out
    rows = {row["id"]: row for row in json.loads(aviary.run("due", "--json").out)["rows"]}
    assert (rows["near"]["state"], rows["near"]["how"]) == (
        "unknown", "chronos-secrets vault verify near --identity FILE",
    )  # fmt: skip
    assert aviary.open("vault", "verify", "near", "--identity", key).status == Exit.OK
    rows = {row["id"]: row for row in json.loads(aviary.run("due", "--json").out)["rows"]}
    assert rows["near"]["state"] == "ok"


# --- in the vault's place ---------------------------------------------------------------------------------------------


def test_a_restore_says_what_it_does_asks_and_keeps_the_file_that_was_there(aviary: Copied):
    before = aviary.vault.read_bytes()
    terminal = Terminal(argv("vault", "restore", "near", "--password-file", aviary.password_file), folder=aviary.folder)
    terminal.expect("? [y/N]: ")
    shown = [" ".join(line.split()) for line in terminal.shown.splitlines()]
    assert "lose Third-Party/New Thing -" in shown
    assert "set back Database/DB Password" in shown
    assert "bring back Third-Party/Jira -" in shown
    assert any(line.startswith("close it in KeePassXC first") for line in shown)
    assert aviary.vault.read_bytes() == before
    terminal.type("y\n")
    done = terminal.end()
    assert done.status == Exit.OK
    assert aviary.vault.read_bytes() == _copy(aviary).read_bytes()
    (aside,) = _asides(aviary)
    assert aside.read_bytes() == before
    assert aside.name in done.out
    assert not aviary.leaked(done.out)
    assert aviary.open("get", "jira").out == aviary.values["jira.token"]
    events = json.loads(aviary.run("history", "--json").out)["events"]
    assert "vault-restore" in [each["what"] for each in events]


@pytest.mark.parametrize(("keys", "status"), [("n\n", Exit.REFUSED), ("\n", Exit.REFUSED), ("", Exit.INTERRUPTED)])
def test_a_no_and_ctrl_c_change_nothing(aviary: Copied, keys: str, status: Exit):
    before = snapshot(aviary.folder)
    terminal = Terminal(argv("vault", "restore", "near", "--password-file", aviary.password_file), folder=aviary.folder)
    terminal.expect("? [y/N]: ")
    terminal.type(keys) if keys else terminal.interrupt()
    assert terminal.end().status == status
    assert snapshot(aviary.folder) == before


def test_where_nobody_can_be_asked_nothing_is_restored_without_yes(aviary: Copied):
    before = aviary.vault.read_bytes()
    done = aviary.open("vault", "restore", "near")
    assert done.status == Exit.REFUSED
    assert "hint: add --yes" in done.err
    assert aviary.vault.read_bytes() == before
    assert aviary.open("vault", "restore", "near", "--yes").status == Exit.OK
    assert aviary.vault.read_bytes() == _copy(aviary).read_bytes()


def test_what_keepassxc_saves_while_the_question_stands_is_not_lost(aviary: Copied):
    terminal = Terminal(argv("vault", "restore", "near", "--password-file", aviary.password_file), folder=aviary.folder)
    terminal.expect("? [y/N]: ")
    aviary.save_by_keepassxc(Notes="typed meanwhile")
    saved = aviary.vault.read_bytes()
    terminal.type("y\n")
    done = terminal.end()
    assert done.status == Exit.VAULT
    assert "was saved by another program since it was compared; nothing was changed" in " ".join(done.out.split())
    assert aviary.vault.read_bytes() == saved
    assert not _asides(aviary)


def test_a_vault_that_is_damaged_missing_or_has_another_password_is_replaced_all_the_same(aviary: Copied):
    for spoil, said in (
        (lambda: aviary.vault.write_bytes(aviary.vault.read_bytes()[:-200]), "cannot be compared"),
        (aviary.vault.unlink, "opens, and holds 5 entries"),
        (lambda: _rekey(aviary), "the copy's password does not open"),
    ):
        spoil()
        kept = aviary.vault.read_bytes() if aviary.vault.exists() else None
        done = aviary.open("vault", "restore", "near", "--yes")
        assert done.status == Exit.OK, done.err
        assert said in " ".join(done.err.split())
        assert aviary.vault.read_bytes() == _copy(aviary).read_bytes()
        assert kept is None or kept in [each.read_bytes() for each in _asides(aviary)]
        for each in _asides(aviary):
            each.rename(aviary.root / each.name)


def _rekey(aviary: Copied) -> None:
    """The live vault gets another password; the file with the password of the copies stays."""
    opened = kdbx.decrypt(aviary.vault.read_bytes(), MasterKey(Secret(aviary.password)))
    aviary.vault.write_bytes(opened.build(MasterKey(Secret(secrets.token_hex(9)))))


def test_the_same_file_is_nothing_to_do(aviary: Copied):
    aviary.vault.write_bytes(_copy(aviary).read_bytes())
    done = aviary.open("vault", "restore", "near")
    assert done.status == Exit.OK
    assert "nothing to do" in done.err
    assert not _asides(aviary)


def test_a_wrong_password_and_a_damaged_copy_change_nothing(aviary: Copied):
    before = aviary.vault.read_bytes()
    wrong = aviary.root / "wrong"
    wrong.write_text("never was it")
    wrong.chmod(0o600)
    done = aviary.run("vault", "restore", "near", "--yes", "--password-file", wrong)
    assert done.status == Exit.VAULT
    assert "the password or key file does not open it" in done.err
    copy = _copy(aviary)
    copy.write_bytes(copy.read_bytes()[:-200])
    done = aviary.open("vault", "restore", "near", "--yes")
    assert done.status == Exit.VAULT
    assert copy.name in done.err
    assert aviary.vault.read_bytes() == before
    assert not _asides(aviary)


def test_a_damaged_newest_copy_is_followed_by_the_name_of_the_one_before_it(aviary: Copied, tmp_path: Path):
    assert aviary.open("vault", "copy", "near").status == Exit.OK
    older, newer = aviary.files(aviary.near)
    newer.write_bytes(newer.read_bytes()[:-200])
    stamp, target = older.name.split("-")[1], tmp_path / "there.kdbx"
    for source in (("near",), ("--from", aviary.near)):
        done = aviary.open("vault", "restore", *source, "--to", target)
        assert done.status == Exit.VAULT
        assert f"--at {stamp}" in done.err.splitlines()[-1]
    assert aviary.open("vault", "restore", "near", "--to", target, "--at", stamp).status == Exit.OK
    assert target.read_bytes() == older.read_bytes()


def test_a_drive_that_is_write_protected_gives_its_copy_back(aviary: Copied, monkeypatch: pytest.MonkeyPatch):
    protected = SimpleNamespace(f_flag=os.ST_RDONLY)
    monkeypatch.setattr(os, "fstatvfs", lambda _: protected)
    assert aviary.open("vault", "restore", "near", "--yes").status == Exit.OK
    assert aviary.vault.read_bytes() == _copy(aviary).read_bytes()


def test_whoever_has_no_inventory_or_names_the_wrong_folder_is_told_how_to_go_on(aviary: Copied, tmp_path: Path):
    (tmp_path / "new").mkdir()
    done = process("vault", "restore", "--from", aviary.near, folder=tmp_path / "new")
    assert done.status == Exit.CONFIG
    assert f"hint: chronos-secrets vault restore --from {aviary.near} --to FILE.kdbx" in done.err
    done = process("vault", "restore", "--from", tmp_path, "--to", tmp_path / "x.kdbx", folder=tmp_path)
    assert done.status == Exit.VAULT
    assert f"hint: ls -R {tmp_path}" in done.err


def test_a_person_has_three_tries_and_is_told_which_file_it_is(aviary: Copied):
    terminal = Terminal(argv("vault", "restore", "near"), folder=aviary.folder)
    for number in range(3):
        terminal.expect(f"Password of {_copy(aviary).name} (near): ", times=number + 1)
        terminal.type("wrong\n")
    done = terminal.end()
    assert done.status == Exit.VAULT
    assert "2 tries left" in done.out


def test_another_projects_vault_does_not_take_this_ones_place(aviary: Copied):
    other = aviary.root / "other.kdbx"
    vaults.ours(other, master=MasterKey(Secret(aviary.password)))
    aviary.open("get", "db")
    before = aviary.vault.read_bytes()
    done = aviary.open("vault", "restore", "--from", other, "--yes")
    assert done.status == Exit.REFUSED
    assert "is another vault" in done.err
    assert aviary.vault.read_bytes() == before


def test_a_link_to_the_vault_stays_a_link(aviary: Copied):
    real = aviary.root / "real.kdbx"
    aviary.vault.rename(real)
    aviary.vault.symlink_to(real)
    assert aviary.open("vault", "restore", "near", "--yes").status == Exit.OK
    assert aviary.vault.is_symlink()
    assert real.read_bytes() == _copy(aviary).read_bytes()
    assert list(aviary.root.glob("real.kdbx.before-restore-*"))


def test_the_file_that_is_put_back_is_private_whatever_the_former_one_was(aviary: Copied):
    aviary.vault.chmod(0o644)
    assert aviary.open("vault", "restore", "near", "--yes").status == Exit.OK
    assert aviary.vault.stat().st_mode & 0o777 == 0o600


def test_a_save_under_way_is_waited_for_and_not_run_over(aviary: Copied, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(restoring, "_LOCK_WAIT", 0.1)
    before = aviary.vault.read_bytes()
    with files.lock(store.lock_file(aviary.state.parent / "locks", aviary.vault.resolve()), wait=0):
        done = aviary.open("vault", "restore", "near", "--yes")
    assert done.status == Exit.BUSY
    assert aviary.vault.read_bytes() == before


def test_a_place_that_nobody_accepted_is_not_read_from_either(aviary: Copied):
    assert aviary.run("trust", "--revoke").status == Exit.OK
    aviary.trusting = False
    for command in (("restore", "near", "--yes"), ("diff", "near"), ("verify",)):
        assert aviary.open("vault", *command).status == Exit.REFUSED, command


def test_a_full_disk_leaves_the_vault_as_it_was(aviary: Copied):
    before = snapshot(aviary.folder)
    command = argv("vault", "restore", "--from", _copy(aviary), "--to", aviary.vault, "--yes",
                   "--password-file", aviary.password_file)  # fmt: skip
    done = alone(("sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *command), folder=aviary.root)
    assert done.status == Exit.VAULT
    assert "could not be restored: file too large" in done.err
    assert snapshot(aviary.folder) == before


def test_a_stick_that_knows_no_hard_links_is_restored_to_as_well(aviary: Copied, monkeypatch: pytest.MonkeyPatch):
    def as_on_fat(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    before = aviary.vault.read_bytes()
    monkeypatch.setattr(os, "link", as_on_fat)
    aviary.trusting = False
    assert aviary.open("vault", "restore", "near", "--yes").status == Exit.OK
    assert aviary.vault.read_bytes() == _copy(aviary).read_bytes()
    assert [each.read_bytes() for each in _asides(aviary)] == [before]
    new = aviary.root / "new.kdbx"
    assert aviary.open("vault", "restore", "near", "--to", new).status == Exit.OK
    assert new.read_bytes() == _copy(aviary).read_bytes()


def test_a_restore_killed_before_any_of_its_lines_leaves_the_old_vault_or_the_new_one_and_never_loses_the_old(
    tmp_path: Path,
):
    found = restorer.killed_at_each_line(tmp_path)
    old, new = restorer.OLD.decode(), restorer.NEW.decode()
    killed = found[:-1]
    assert len(killed) > 40
    assert {str(each["line"]).partition(":")[0] for each in killed} == {"restoring.py", "files.py"}
    states = [each["vault"] for each in found]
    assert set(states) == {old, new}
    assert states == sorted(states, reverse=True), "once the copy is there, it stays"
    for each in found:
        assert each["vault"] == old or each["aside"] == [old], each


def test_what_cannot_be_asked_for_is_said(aviary: Copied):
    for arguments in ((), ("near", "--from", _copy(aviary)), ("--from", _copy(aviary), "--at", "2026-01-01")):
        assert aviary.open("vault", "restore", *arguments).status == Exit.USAGE, arguments
    assert aviary.open("vault", "restore", "near", "--at", "yesterday").status == Exit.USAGE
    missing = aviary.open("vault", "restore", "--from", aviary.root / "none.kdbx", "--to", aviary.root / "x.kdbx")
    assert missing.status == Exit.VAULT
    assert "there is no file" in missing.err
    assert aviary.open("vault", "restore", "stick").status == Exit.TARGET


# --- what differs -----------------------------------------------------------------------------------------------------


def test_a_diff_names_entries_and_fields_and_no_value(aviary: Copied):
    old = _copy(aviary)
    for arguments in (("near",), (old,), (old, "live"), (old, aviary.vault)):  # the first run makes a new copy
        done = aviary.open("vault", "diff", *arguments)
        assert done.status == Exit.NO, done.err
        assert [" ".join(line.split()) for line in done.out.splitlines()] == [
            "CHANGE ENTRY WHAT", "gone Third-Party/Jira -", "changed Database/DB Password",
            "added Third-Party/New Thing -",
        ]  # fmt: skip
        assert all(len(line) <= 80 for line in done.out.splitlines())
        assert not aviary.leaked(done.text)


def test_a_diff_as_json(aviary: Copied):
    found = json.loads(aviary.open("vault", "diff", "near", "--json").out)
    assert (found["alike"], found["same_vault"], found["master_key_changed"]) == (False, True, False)
    assert {"entry": "Database/DB", "change": "changed", "fields": ["Password"]} in found["changes"]


def test_vaults_that_hold_the_same_are_alike(aviary: Copied):
    again = aviary.root / "again.kdbx"
    again.write_bytes(kdbx.decrypt(aviary.vault.read_bytes(), MasterKey(Secret(aviary.password))).build(
        MasterKey(Secret(aviary.password))
    ))  # fmt: skip
    done = aviary.open("vault", "diff", again)
    assert done.status == Exit.OK
    assert "hold the same entries" in done.err


def test_two_files_are_compared_without_any_inventory(aviary: Copied, tmp_path: Path):
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    done = process(
        "vault", "diff", _copy(aviary), aviary.vault, "--password-file", aviary.password_file, folder=nowhere
    )
    assert done.status == Exit.NO, done.err


def test_a_copy_with_an_older_password_is_asked_for_its_own(aviary: Copied):
    old = aviary.password
    aviary.change_password("a new one, long enough")
    terminal = Terminal(argv("vault", "diff", "near", "--password-file", aviary.password_file), folder=aviary.folder)
    terminal.expect(f"Password of {_copy(aviary).name} (near): ")
    terminal.type(f"{old}\n")
    done = terminal.end()
    assert done.status == Exit.NO
    assert "the master password was changed in between" in done.out


def test_one_password_is_asked_for_once_for_both(aviary: Copied):
    terminal = Terminal(argv("vault", "diff", _copy(aviary), aviary.vault), folder=aviary.folder)
    terminal.expect("Password of ")
    terminal.type(f"{aviary.password}\n")
    done = terminal.end()
    assert done.status == Exit.NO
    assert done.out.count("Password of ") == 1


def test_a_file_that_is_no_vault_is_said_before_anybody_types_a_password(aviary: Copied):
    other = aviary.root / "notes.kdbx"
    other.write_text("no vault")
    done = process("vault", "diff", other, aviary.vault, folder=aviary.folder)
    assert done.status == Exit.VAULT
    assert f"cannot open {other}: it is cut short" in done.err
