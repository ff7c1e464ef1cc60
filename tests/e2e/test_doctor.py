"""`doctor`: a machine that is fit says so in a few lines; one that is not gets a line for each thing, and its cure."""

import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from chronos_secrets.review.doctor.sections import SECTIONS
from chronos_secrets.vault.kdf import MEBIBYTE, Kdf
from tests.support import chronos, vaults
from tests.support.commands import Aviary, Done, Terminal, alone, argv, in_process, snapshot
from tests.support.containers import require_root
from tests.support.keyrings import Desktop
from tests.support.programs import require
from tests.support.remote import ssh_by
from tests.support.sshd import Sshd

STRONG = Kdf("argon2id", b"", rounds=3, memory=64 * MEBIBYTE, lanes=2)


class Far:
    """What ssh knows of the project's host; nothing answers there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.config, self.known_hosts = folder / "config", folder / "known_hosts"
        self.key = folder / "key"
        argv = (require("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "far", "-f", self.key)
        subprocess.run(argv, check=True)
        self.configure("HostName 203.0.113.7")
        self.know("203.0.113.7")

    def configure(self, *lines: str) -> None:
        """What ssh's configuration says of far-away."""
        known = (f"UserKnownHostsFile {self.known_hosts}", "GlobalKnownHostsFile none")
        self.config.write_text("\n".join(("Host far-away", *lines, *known, "")))

    def know(self, name: str) -> None:
        """Know the host's key under this name alone."""
        self.known_hosts.write_text(f"{name} {self.key.with_suffix('.pub').read_text()}")


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Far:
    made = Far(tmp_path / "far")
    ssh_by(made.config, tmp_path / "bin", monkeypatch)
    return made


@pytest.fixture
def aviary(tmp_path: Path, far: Far, monkeypatch: pytest.MonkeyPatch) -> Aviary:
    """A project on a machine that is fit for it."""
    monkeypatch.delenv("COLUMNS", raising=False)
    made = Aviary(tmp_path)
    made.edit(
        "{path: aviary.kdbx}",
        "{path: aviary.kdbx, copies: {sync: {kind: folder, path: ../sync, every: 1 year, needs: []}}}",
    )
    made.vault.unlink()
    chronos.make_vault(made.vault, made.password, inventory=made.inventory, kdf=STRONG, values=made.values)
    return made


def _lines(done: Done, state: str) -> list[str]:
    """The lines of one state, each with its fix."""
    return re.findall(rf"^{state} +\w+  (.*(?:\n {{7,}}.*)*)", done.out, re.MULTILINE)


def _wrong(done: Done) -> str:
    """The one thing that is wrong, on one line, and its fix after a tab."""
    assert done.status == 1, done
    (found,) = _lines(done, "wrong")
    told, _, fix = found.partition("\n       fix: ")
    return f"{' '.join(told.split())}\t{fix}"


# --- a machine that is fit -------------------------------------------------------------------------------------------


def test_nothing_wrong_is_one_line_a_section_within_eighty_columns_and_needs_no_password(aviary: Aviary):
    require("keepassxc-cli")
    done = aviary.process("doctor", locked=True)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", name] for name in SECTIONS]
    assert max(map(len, lines)) <= 80


def test_nothing_is_changed_by_looking(aviary: Aviary):
    assert aviary.run("get", "db").status == 0  # there is state to look at
    before = snapshot(aviary.root)
    assert aviary.run("doctor").status == 0
    assert aviary.run("doctor", "--json").status == 0
    assert snapshot(aviary.root) == before


def test_a_section_that_is_named_is_shown_in_full(aviary: Aviary):
    done = aviary.run("doctor", "vault", "state")
    assert done.status == 0
    assert re.search(r"^ok +vault  Argon2id 64 MiB x 3$", done.out, re.MULTILINE)
    assert re.search(r"^ok +vault  KDBX 4\.0: aes256$", done.out, re.MULTILINE)
    assert "programs" not in done.out


def test_programs_read_the_same_as_json(aviary: Aviary):
    aviary.vault.chmod(0o644)
    done = aviary.run("doctor", "--json")
    told = json.loads(done.out)
    assert (done.status, told["version"], told["command"]) == (1, 1, "doctor")
    assert [section["name"] for section in told["sections"]] == list(SECTIONS)
    states = {section["name"]: section["state"] for section in told["sections"]}
    assert states.pop("vault") == "wrong"
    assert set(states.values()) == {"ok"}
    (line,) = [line for section in told["sections"] for line in section["lines"] if line["state"] == "wrong"]
    assert line["text"] == "the vault can be used by others: mode 0644"
    assert line["fix"] == f"chmod 600 {aviary.vault}"


def test_a_section_that_does_not_exist_is_a_wrong_command_line(aviary: Aviary):
    assert aviary.run("doctor", "vaults").status == 2


def test_the_help_names_every_section(aviary: Aviary):
    assert all(name in aviary.run("doctor", "--help").out.split("Sections: ")[1] for name in SECTIONS)


def test_no_value_is_ever_shown(aviary: Aviary):
    for arguments in (["--json"], ["--unlock", "--password-file", aviary.password_file], list(SECTIONS)):
        assert not aviary.leaked(aviary.run("doctor", *arguments).text)


# --- the vault -------------------------------------------------------------------------------------------------------


def _loosen_vault(aviary: Aviary) -> None:
    aviary.vault.chmod(0o640)


def _loosen_folder(aviary: Aviary) -> None:
    aviary.folder.chmod(0o777)


def _loosen_state(aviary: Aviary) -> None:
    assert aviary.run("get", "db").status == 0
    (aviary.state / "dates.json").chmod(0o644)


class Cured(NamedTuple):
    """Something that a command puts right when it is pasted."""

    section: str
    breaks: Callable[[Aviary], None]
    told: str


CURED = [
    Cured("vault", _loosen_vault, "the vault can be used by others: mode 0640"),
    Cured("vault", _loosen_folder, "others can replace the vault: the mode of its folder is 0777"),
    Cured("state", _loosen_state, "dates.json can be used by others"),
]


@pytest.mark.parametrize("case", CURED, ids=lambda case: case.told.split(":")[0])
def test_a_fix_that_is_pasted_puts_it_right(case: Cured, aviary: Aviary):
    case.breaks(aviary)
    told, fix = _wrong(aviary.run("doctor")).split("\t")
    assert case.told in told
    assert alone(("sh", "-c", fix), folder=aviary.root).status == 0
    assert aviary.run("doctor").status == 0


WEAK = [
    (Kdf("aes", b"", rounds=1000), "wrong", "AES-KDF, only 1000 rounds", "chronos-secrets vault upgrade"),
    (Kdf("aes", b"", rounds=700_000), "note", "AES-KDF (700000 rounds) resists", "chronos-secrets vault upgrade"),
    (STRONG._replace(rounds=2), "wrong", "Argon2id, only 64 MiB x 2", "in KeePassXC: Database >"),
    (STRONG._replace(memory=8 * MEBIBYTE, rounds=40), "wrong", "Argon2id, only 8 MiB x 40", "in KeePassXC: Database >"),
    (vaults.CHEAP, "wrong", "Argon2d, only 8 KiB x 1", "in KeePassXC: Database >"),
]


@pytest.mark.parametrize(("kdf", "state", "told", "fix"), WEAK, ids=[row[2] for row in WEAK])
def test_a_key_derivation_that_is_guessed_fast_is_told(aviary: Aviary, kdf: Kdf, state: str, told: str, fix: str):
    vaults.kdbx4(aviary.vault, kdf=kdf)
    aviary.vault.chmod(0o600)
    done = aviary.run("doctor", "vault")
    assert done.status == (1 if state == "wrong" else 0)
    (line,) = _lines(done, state)
    assert told in " ".join(line.split())
    assert fix in line


def test_a_vault_of_the_old_format_is_told_with_the_command_that_upgrades_it(aviary: Aviary):
    vaults.kdbx31(aviary.vault, rounds=600_000)
    aviary.vault.chmod(0o600)
    told = _wrong(aviary.run("doctor", "vault"))
    assert "KDBX 3.1, which is only read\tchronos-secrets vault upgrade" in told


def test_a_vault_that_is_damaged_missing_or_a_dangling_link_is_told(aviary: Aviary):
    aviary.vault.write_bytes(aviary.vault.read_bytes()[:100])
    assert f"cannot open {aviary.vault}" in _wrong(aviary.run("doctor"))
    aviary.vault.unlink()
    assert "else copy the vault there from your other machine" in _wrong(aviary.run("doctor"))
    aviary.vault.symlink_to("nowhere")
    assert "is a link that leads nowhere" in _wrong(aviary.run("doctor"))


def test_a_vault_in_a_git_work_tree_is_told_whether_git_tracks_it_or_not(aviary: Aviary):
    subprocess.run((require("git"), "init", "-q", aviary.folder), check=True)
    assert f"the vault lies in the git work tree {aviary.folder}" in _wrong(aviary.run("doctor", "vault"))


def test_a_link_is_judged_by_the_file_that_it_leads_to(aviary: Aviary):
    elsewhere = aviary.root / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    aviary.vault.rename(elsewhere / "real.kdbx")
    aviary.vault.symlink_to(elsewhere / "real.kdbx")
    assert aviary.run("doctor").status == 0
    (elsewhere / "real.kdbx").chmod(0o644)
    assert f"chmod 600 {elsewhere / 'real.kdbx'}" in _wrong(aviary.run("doctor"))


def test_a_key_file_is_private_and_lies_apart_from_the_vault(aviary: Aviary):
    apart = aviary.home / "keys" / "aviary.keyx"
    apart.parent.mkdir(mode=0o700)
    apart.write_bytes(secrets.token_bytes(32))
    apart.chmod(0o600)
    assert aviary.run("--key-file", apart, "doctor", "vault").status == 0
    apart.chmod(0o644)
    assert "the key file can be used by others" in _wrong(aviary.run("--key-file", apart, "doctor", "vault"))
    beside = shutil.copy(apart, aviary.folder)
    Path(beside).chmod(0o600)
    assert "the key file lies beside the vault" in _wrong(aviary.run("--key-file", beside, "doctor", "vault"))
    gone = aviary.run("--key-file", aviary.root / "gone", "doctor", "vault")
    assert "cannot be read: no such file or directory" in _wrong(gone)


# --- --unlock --------------------------------------------------------------------------------------------------------


def test_unlocked_the_inside_is_compared_with_the_inventory(aviary: Aviary):
    given = ("--password-file", aviary.password_file)
    done = aviary.run("doctor", "vault", *given)
    assert done.status == 0
    assert f"opens: with the password from {aviary.password_file}" in " ".join(done.out.split())
    aviary.edit("entry: Database/DB", "entry: Database/Elsewhere")
    told = _wrong(aviary.run("doctor", "--unlock", *given))
    assert told == "2 differences between the inventory and what is inside\tchronos-secrets check"


def test_a_password_that_does_not_open_it_is_one_more_thing_that_is_wrong(aviary: Aviary):
    aviary.password_file.write_text("not the password\n")
    told = _wrong(aviary.run("doctor", "--unlock", "--password-file", aviary.password_file))
    assert "the password or key file does not open it" in told


def test_the_password_is_asked_for_only_where_the_inside_is_wanted(aviary: Aviary):
    terminal = Terminal(argv("doctor", "vault", "--unlock"), folder=aviary.folder)
    terminal.expect(f"Password of {aviary.vault}: ")
    terminal.type(f"{aviary.password}\n")
    done = terminal.end()
    assert done.status == 0
    assert "with the password from the terminal" in " ".join(done.out.split())


# --- the inventory ---------------------------------------------------------------------------------------------------


def test_without_an_inventory_the_machine_itself_is_looked_at(aviary: Aviary):
    done = in_process("doctor", folder=aviary.root)
    assert _wrong(done).startswith("there is no inventory.yaml here or in a folder above\tchronos-secrets init --from")
    assert re.search(r"^ok +programs +git ", done.out, re.MULTILINE)
    assert re.search(r"^ok +keyring", done.out, re.MULTILINE)
    assert len(_lines(done, "note")) == 6


def test_an_inventory_that_is_wrong_is_told_with_its_line(aviary: Aviary):
    aviary.edit("project: aviary", "project: aviary\nhots: {}")
    assert f"{aviary.inventory}:3:1: unknown key 'hots'" in _wrong(aviary.run("doctor"))


def test_a_template_that_asks_for_too_much_is_told(aviary: Aviary):
    aviary.template.write_text("A={{ db.password }}\n")
    assert "note: " in _wrong(aviary.run("doctor", "inventory"))


def test_what_came_with_a_pull_and_nobody_accepted_is_told(aviary: Aviary):
    assert aviary.run("doctor").status == 0
    aviary.trusting = False
    aviary.edit("path: out/note", "path: ~/elsewhere")
    told = _wrong(aviary.run("doctor"))
    assert told == "it reaches further than was accepted here: destination note\tchronos-secrets trust"
    assert aviary.run("trust", "--yes").status == 0
    assert aviary.run("doctor").status == 0


def test_on_a_new_machine_the_reach_is_only_to_be_looked_at(aviary: Aviary):
    aviary.trusting = False
    shutil.rmtree(aviary.state)
    done = aviary.run("doctor")
    assert done.status == 0
    (line,) = _lines(done, "note")
    assert "nobody has accepted its reach on this machine yet" in " ".join(line.split())
    assert "fix: chronos-secrets trust" in line


# --- the programs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aviary: Aviary) -> Callable[[str, str], None]:
    """A PATH with git and ssh, and what a test puts there: a program that prints something, or none (empty)."""
    folder = tmp_path / "path"
    folder.mkdir()
    for name in ("git", "ssh", "ssh-keygen", "sh", "sleep"):
        (folder / name).symlink_to(require(name))
    monkeypatch.setenv("PATH", str(folder))

    def put(name: str, script: str) -> None:
        (folder / name).unlink(missing_ok=True)
        if script:
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)

    put("keepassxc-cli", "echo 2.7.9")
    return put


def test_a_program_that_the_inventory_needs_is_named_with_how_to_install_it(aviary: Aviary, programs: Callable):
    assert aviary.run("doctor", "programs").status == 0
    aviary.edit("far-away}\n", "far-away}\n  db: {container: birds, engine: podman, in: local}\n")
    assert "podman is not installed; it reaches the containers\t" in _wrong(aviary.run("doctor", "programs"))
    programs("podman", "echo podman version 4.3.1")
    done = aviary.run("doctor", "programs")
    assert (done.status, "podman 4.3.1:" in done.out) == (0, True)


def test_keepassxc_is_missed_but_not_needed(aviary: Aviary, programs: Callable):
    programs("keepassxc-cli", "")
    done = aviary.run("doctor", "programs")
    assert done.status == 0
    (line,) = _lines(done, "note")
    assert "keepassxc-cli is not installed" in line


SICK = [
    ("echo git version 2.25.1", "git 2.25.1 is too old; 2.26 or later is needed"),
    ("echo git version 2.39.5; exit 1", "git does not run"),
    ("echo no number", "git does not run"),
]


@pytest.mark.parametrize(("script", "told"), SICK, ids=[row[0] for row in SICK])
def test_a_program_that_is_too_old_or_does_not_run_is_told(aviary: Aviary, programs: Callable, script: str, told: str):
    programs("git", script)
    assert told in _wrong(aviary.run("doctor", "programs"))


# --- KeePassXC and the keyring ---------------------------------------------------------------------------------------

SETTINGS = [
    ("[General]\nUseAtomicSaves=false", "moves the vault away before", "Use alternative saving method"),
    ("[General]\nUseAtomicSaves=false\nUseDirectWriteSaves=true", "writes into the vault file itself", "alternative"),
    ("[General]\nAutoReloadOnChange=false", "does not reload the vault", "Automatically reload the database"),
    ("[Security]\nLockDatabaseScreenLock=false", "never locks the vault", "Lock databases when session is locked"),
    ("[Security]\nClearClipboard=false", "leaves copied passwords", "Clear clipboard after"),
]


def _settings(aviary: Aviary, text: str) -> None:
    path = aviary.home / ".config" / "keepassxc" / "keepassxc.ini"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


@pytest.mark.parametrize(("text", "told", "fix"), SETTINGS, ids=[row[1] for row in SETTINGS])
def test_a_setting_of_keepassxc_that_can_lose_or_leave_open_the_vault_is_told(
    aviary: Aviary, text: str, told: str, fix: str
):
    _settings(aviary, text)
    found, how = _wrong(aviary.run("doctor")).split("\t")
    assert told in found
    assert how.startswith("in KeePassXC: Tools > Settings > ")
    assert fix in how


@pytest.mark.parametrize(
    "text",
    [
        "[General]\nConfigVersion=2\nUseAtomicSaves=true\n[Security]\nLockDatabaseIdle=true\nLockDatabaseScreenLock=false",
        "[General]\nUseDirectWriteSaves=true\n[KeeShare]\nOwn=\"<?xml version='1.0'?>%20%\"",
        "[%General]\nLastDatabases=a, b\n[GUI]\nx=@ByteArray(\\0\\x1)",
    ],
)
def test_settings_that_do_no_harm_are_fine(aviary: Aviary, text: str):
    _settings(aviary, text)
    assert aviary.run("doctor").status == 0
    assert "note" not in aviary.run("doctor").out


def test_a_file_that_is_no_settings_file_is_said(aviary: Aviary):
    _settings(aviary, "no section")
    done = aviary.run("doctor", "keepassxc")
    assert (done.status, len(_lines(done, "note"))) == (0, 1)


def test_the_settings_of_the_real_program_are_understood(aviary: Aviary):
    """keepassxc-cli writes them when it runs."""
    alone((require("keepassxc-cli"), "--version"), folder=aviary.root)
    assert (aviary.home / ".config" / "keepassxc" / "keepassxc.ini").is_file()
    done = aviary.run("doctor", "keepassxc")
    assert (done.status, "keepassxc.ini" in done.out) == (0, True)


def test_a_keyring_that_keeps_nothing_is_said(aviary: Aviary, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    done = aviary.process("doctor", "keyring")
    assert (done.status, "it keeps nothing" in " ".join(done.out.split())) == (0, True)


def test_what_is_remembered_is_told_and_where_it_cannot_be_had(
    aviary: Aviary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "bus").mkdir()
    desktop = Desktop(tmp_path / "bus")
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", desktop.address)
    try:
        with desktop.gnome_keyring():
            assert "nothing is remembered; the Secret Service could" in aviary.process("doctor", "keyring").out
            aviary.process("unlock", "--remember", "--password-file", aviary.password_file)
            assert "the Secret Service remembers the password" in aviary.process("doctor", "keyring").out
    finally:
        desktop.close()
    told = _wrong(aviary.process("doctor", "keyring"))
    assert "the password is remembered where it cannot be had" in told
    aviary.process("forget")
    assert _wrong(aviary.process("doctor", "keyring")).endswith("\tchronos-secrets forget")


# --- the hosts -------------------------------------------------------------------------------------------------------


def test_a_host_key_that_nobody_has_seen_is_told_with_how_to_check_it(aviary: Aviary, far: Far):
    far.know("203.0.113.8")
    told, fix = _wrong(aviary.run("doctor")).split("\t")
    assert told == "far: the host key of 203.0.113.7 is not known on this machine"
    assert fix.startswith("ssh far-away    # answer yes only to the fingerprint")
    far.known_hosts.unlink()
    assert aviary.run("doctor").status == 1


def test_a_key_is_looked_for_under_the_name_that_ssh_would_use(aviary: Aviary, far: Far):
    far.configure("HostName 203.0.113.7", "Port 2222")
    assert "the host key of [203.0.113.7]:2222 is not known" in _wrong(aviary.run("doctor"))
    far.know("[203.0.113.7]:2222")
    subprocess.run((require("ssh-keygen"), "-q", "-H", "-f", far.known_hosts), check=True, capture_output=True)
    assert aviary.run("doctor").status == 0
    far.configure("HostName 203.0.113.7", "HostKeyAlias birds")
    assert "the host key of birds is not known" in _wrong(aviary.run("doctor"))
    far.know("birds")
    assert aviary.run("doctor").status == 0


def test_an_alias_that_ssh_does_not_know_is_told_with_the_file_that_we_render_for_it(aviary: Aviary, far: Far):
    far.config.write_text(f"UserKnownHostsFile {far.known_hosts}\n")
    told, fix = _wrong(aviary.run("doctor")).split("\t")
    assert told == "far: ssh has no address for far-away"
    assert fix.startswith(
        "chronos-secrets render ssh-config    # ~/.ssh/config must begin with: Include ~/.ssh/config.d/"
    )


def test_a_configuration_that_ssh_refuses_is_told(aviary: Aviary, far: Far):
    far.config.write_text("Nonsense yes\n")
    assert "ssh cannot read its configuration" in _wrong(aviary.run("doctor"))


def test_where_another_program_knows_the_keys_nothing_is_claimed(aviary: Aviary, far: Far):
    far.configure("HostName 203.0.113.7", "KnownHostsCommand /bin/true")
    far.known_hosts.unlink()
    done = aviary.run("doctor")
    assert (done.status, "KnownHostsCommand" in done.out) == (0, True)


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    require_root()
    folder = Path(tempfile.mkdtemp(prefix="doc-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        server = Sshd(folder, programs=folder)
        yield server
        server.close()
    finally:
        shutil.rmtree(folder)


def test_hosts_are_called_only_when_that_is_asked_for_and_accepted(
    aviary: Aviary, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
):
    ssh_by(sshd.config, aviary.root / "to-sshd", monkeypatch)
    aviary.edit("{ssh: far-away}", "{ssh: deploy, sudo: true}")
    log = sshd.folder / "log"
    before = log.read_text()
    assert aviary.run("doctor", "hosts").status == 0
    assert log.read_text() == before
    assert "far answers" in aviary.run("doctor", "hosts", "--connect").out
    aviary.edit("ssh: deploy,", "ssh: refused,")
    assert "far: refused refused our key" in _wrong(aviary.run("doctor", "hosts", "--connect"))
    before = log.read_text().count("Accepted publickey")  # the server may still write of the one that it refused
    assert before
    aviary.trusting = False
    aviary.edit("ssh: refused,", "ssh: plain,")
    done = aviary.run("doctor", "hosts", "--connect")
    assert "far is not called: it is not accepted on this machine" in " ".join(done.out.split())
    assert log.read_text().count("Accepted publickey") == before


# --- disk and state --------------------------------------------------------------------------------------------------


def test_a_disk_without_room_is_told_and_one_that_is_read_only(aviary: Aviary):
    require_root()
    place = aviary.folder / "out"
    place.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o")
    subprocess.run((*mount, "size=1m,mode=0700", "tmpfs", place), check=True)
    try:
        assert f"{place} (destination env) has 1 MiB left\tdf -h {place}" in _wrong(aviary.run("doctor"))
        subprocess.run(("mount", "-o", "remount,ro", place), check=True)
        assert "lies on a disk that is read-only" in _wrong(aviary.run("doctor"))
    finally:
        subprocess.run(("umount", "-l", place), check=True)


def test_a_history_that_was_edited_is_told_and_a_shortened_one_once_the_vault_is_open(aviary: Aviary):
    given = ("--password-file", aviary.password_file)
    aviary.edit("destinations:", "tasks:\n  look: {title: Look, every: 1 week, from: 2026-01-01}\ndestinations:")
    for _ in range(2):
        assert aviary.run("done", "look", *given).status == 0
    log = aviary.state / "history.jsonl"
    whole = log.read_bytes()
    assert aviary.run("doctor", *given).status == 0
    log.write_bytes(whole.splitlines(keepends=True)[0])
    assert aviary.run("doctor").status == 0
    assert "ends the log at record 1; the vault knows of 2\tchronos-secrets history verify" in _wrong(
        aviary.run("doctor", *given)
    )
    log.write_bytes(whole.replace(b'"look"', b'"book"', 1))
    assert "line 1 of the history is not as it was written\t" in _wrong(aviary.run("doctor"))


def test_a_clock_that_lags_behind_what_was_written_is_told(aviary: Aviary):
    later = (datetime.now(UTC) + timedelta(days=2)).timestamp()
    os.utime(aviary.vault, (later, later))
    told = _wrong(aviary.run("doctor"))
    assert "but the vault file is later\tsudo timedatectl set-ntp true" in told


def test_a_state_that_somebody_else_owns_is_told(aviary: Aviary, monkeypatch: pytest.MonkeyPatch):
    require_root()
    assert aviary.run("get", "db").status == 0
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    done = aviary.run("doctor", "state")
    assert "belongs to another user" in _wrong(done)
    assert shlex.quote(str(aviary.state)) in done.out
