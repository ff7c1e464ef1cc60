"""A second machine, a second project, a colleague: one vault file, saved in more than one place."""

import json
import os
import re
import secrets
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chronos_secrets.errors import VaultChanged
from chronos_secrets.secret import Secret
from chronos_secrets.vault.entries import Attribute
from chronos_secrets.vault.kdf import MasterKey
from chronos_secrets.vault.store import Places, Vault
from tests.support import chronos
from tests.support.commands import Done, process, snapshot
from tests.support.programs import require
from tests.support.vaults import CHEAP

INVENTORY = """\
version: 1
project: {project}
vault: {{path: ~/synced/{project}.kdbx}}
credentials:
  db: {{kind: postgres-password, title: DB, entry: Database/DB, never: "a toy"}}
  jira: {{kind: api-token, title: Jira, entry: Third-Party/Jira, never: "a toy"}}
tasks:
  sweep: {{title: Sweep, every: 1 month, from: 2026-01-01}}
  feed: {{title: Feed, every: 1 month, from: 2026-01-01}}
"""
ENTRIES = {"db": ("Database", "DB"), "jira": ("Third-Party", "Jira")}


class Machine:
    """A home with a clone of the project's repository and a folder that another machine has, too."""

    def __init__(self, home: Path, password: str, *, project: str = "aviary") -> None:
        self.home, self.password, self.project = home, password, project
        self.clone, self.synced = home / f"clone-of-{project}", home / "synced"
        for folder in (self.clone, self.synced):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.clone / "inventory.yaml").write_text(INVENTORY.format(project=project))
        self.vault = self.synced / f"{project}.kdbx"
        self.password_file = home / "password"
        self.password_file.write_text(password)
        self.password_file.chmod(0o600)

    @property
    def state(self) -> Path:
        return self.home / ".local" / "state" / "chronos-secrets" / self.project

    @property
    def environment(self) -> dict[str, str]:
        below = {"XDG_CONFIG_HOME": ".config", "XDG_DATA_HOME": ".local/share", "XDG_STATE_HOME": ".local/state"}
        return {"HOME": str(self.home), **{name: str(self.home / path) for name, path in below.items()}}

    def run(self, *arguments: str) -> Done:
        """Run a command here, without a password."""
        return process(*arguments, folder=self.clone, env=self.environment)

    def open(self, *arguments: str) -> Done:
        """Run a command here that opens the vault."""
        return self.run(*arguments, "--password-file", str(self.password_file))

    def opened(self) -> Vault:
        """The vault as a command of this machine has it open; no lock reaches another machine."""
        places = Places(locks=self.state.parent / "locks", previous=self.state / "previous")
        return Vault.open(self.vault, MasterKey(Secret(self.password)), places)

    def renew(self, credential: str) -> str:
        """Give a credential a new value, as KeePassXC would; the value."""
        vault, value = self.opened(), f"canary{secrets.token_hex(8)}"
        entry = vault.entries.at(ENTRIES[credential])
        assert entry is not None
        later = datetime.now(UTC) + timedelta(minutes=1)
        vault.entries.change(entry, now=later, fields={"Password": Attribute(Secret(value))})
        vault.save(later)
        return value

    def ticked(self) -> set[str]:
        """The tasks that are not due here any more."""
        rows = json.loads(self.open("due", "--unlock", "--json").out)["rows"]
        return {row["id"] for row in rows if row["kind"] == "task" and row["state"] == "ok"}

    def doctor(self) -> list[tuple[str, str]]:
        """What `doctor vault` finds wrong beside the cheap key derivation of tests: text and fix."""
        told = json.loads(self.run("doctor", "vault", "--json").out)["sections"][0]["lines"]
        lines = [(line["text"], line["fix"]) for line in told if line["state"] == "wrong"]
        return [line for line in lines if "is guessed fast" not in line[0]]


def synchronise(source: Machine, target: Machine) -> None:
    """What a synchronising program does where only one side has saved."""
    shutil.copy2(source.vault, target.vault)


@pytest.fixture
def one(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path / "one", f"open-{secrets.token_hex(8)}")
    chronos.make_vault(machine.vault, machine.password, inventory=machine.clone / "inventory.yaml", kdf=CHEAP)
    return machine


@pytest.fixture
def two(tmp_path: Path, one: Machine) -> Machine:
    machine = Machine(tmp_path / "two", one.password)
    synchronise(one, machine)
    return machine


# --- one vault, two machines -----------------------------------------------------------------------------------------


def test_what_is_done_on_one_machine_is_known_on_the_other_and_both_histories_stay_whole(one: Machine, two: Machine):
    assert one.open("done", "sweep").status == 0
    synchronise(one, two)
    assert two.open("done", "feed").status == 0
    synchronise(two, one)
    assert one.ticked() == two.ticked() == {"sweep", "feed"}
    for machine in (one, two):
        done = machine.open("history", "verify")
        assert (done.status, "no line was changed, dropped or cut off" in done.text) == (0, True)
    assert one.run("history").out.count("done") == two.run("history").out.count("done") == 1


def test_a_save_is_refused_where_the_other_machine_s_arrived_since_the_vault_was_opened(one: Machine, two: Machine):
    vault = two.opened()
    entry = vault.entries.at(ENTRIES["db"])
    assert entry is not None
    vault.entries.change(entry, now=datetime.now(UTC), fields={"Password": Attribute(Secret("mine"))})
    renewed = one.renew("jira")
    synchronise(one, two)
    arrived = two.vault.read_bytes()
    with pytest.raises(VaultChanged, match="was saved by another program since it was opened"):
        vault.save(datetime.now(UTC))
    assert two.vault.read_bytes() == arrived
    assert two.open("get", "jira").out == renewed


def test_an_old_copy_that_comes_back_takes_no_tick_along(one: Machine, two: Machine):
    assert one.open("done", "sweep").status == 0
    synchronise(two, one)  # the other machine's, from before
    assert one.ticked() == {"sweep"}
    assert one.open("history", "verify").status == 0
    assert one.open("done", "feed").status == 0
    synchronise(one, two)
    assert two.ticked() == {"sweep", "feed"}


def test_a_machine_whose_project_name_had_another_vault_refuses_until_told(one: Machine):
    assert one.open("get", "db").status == 0
    one.vault.unlink()
    chronos.make_vault(one.vault, one.password, inventory=one.clone / "inventory.yaml", kdf=CHEAP)
    done = one.open("get", "db")
    assert (done.status, done.out) == (5, "")
    hint = re.search(r"^hint: if that is right: (.*?)    #", done.err, re.MULTILINE)
    assert hint
    subprocess.run(("sh", "-c", hint[1]), check=True)
    assert one.open("get", "db").status == 0


# --- two machines saved it -------------------------------------------------------------------------------------------

CONFLICTED = {
    "Nextcloud": "aviary (conflicted copy 2026-03-04 050607).kdbx",
    "Dropbox": "aviary (Ada's conflicted copy 2026-03-04).kdbx",
    "Syncthing": "aviary.sync-conflict-20260304-050607-ABCDEFG.kdbx",
    "Seafile": "aviary (SFConflict ada@example.org 2026-03-04-05-06-07).kdbx",
    "Seafile, at the end": "aviary.kdbx (SFConflict 2026-03-04-05-06-07)",
    "Resilio": "aviary.Conflict.kdbx",
    "Google Drive": "aviary (1).kdbx",
    "iCloud": "aviary 2.kdbx",
}
NOT_CONFLICTED = [
    "aviary.old.kdbx",
    "aviary-2025.kdbx",
    "aviary2.kdbx",
    "aviary.kdbx.bak",
    "falcons (1).kdbx",
    "aviary (1).txt",
]


@pytest.mark.parametrize("name", CONFLICTED.values(), ids=CONFLICTED.keys())
def test_a_conflicted_copy_beside_the_vault_is_found(name: str, one: Machine):
    assert one.doctor() == []
    shutil.copy(one.vault, one.synced / name)
    ((text, fix),) = one.doctor()
    assert text == f"two machines saved the vault; the work of one is in the conflicted copy '{name}'"
    assert fix.startswith("keepassxc-cli merge --same-credentials ")
    done = one.open("check", "--json")
    found = [each for each in json.loads(done.out)["findings"] if each["code"] == "conflicted-copy"]
    assert (done.status, len(found)) == (1, 1)
    assert name in found[0]["message"]
    assert found[0]["fix"].startswith("chronos-secrets doctor vault")


@pytest.mark.parametrize("name", NOT_CONFLICTED)
def test_what_a_person_put_beside_the_vault_is_no_conflicted_copy(name: str, one: Machine):
    shutil.copy(one.vault, one.synced / name)
    assert one.doctor() == []
    assert "conflicted" not in one.open("check").text


def test_a_folder_is_no_conflicted_copy(one: Machine):
    (one.synced / CONFLICTED["Syncthing"]).mkdir()
    assert one.doctor() == []


@pytest.mark.parametrize("name", [CONFLICTED["Dropbox"], CONFLICTED["Syncthing"]])
def test_the_command_that_is_shown_brings_the_work_of_both_machines_together(name: str, one: Machine, two: Machine):
    require("keepassxc-cli")
    db, jira = one.renew("db"), two.renew("jira")
    shutil.copy(two.vault, one.synced / name)
    ((_, fix),) = one.doctor()
    _paste(fix, one)
    assert not (one.synced / name).exists()
    assert one.doctor() == []
    assert (one.open("get", "db").out, one.open("get", "jira").out) == (db, jira)


def test_ticks_of_both_machines_survive_the_merge(one: Machine, two: Machine):
    require("keepassxc-cli")
    assert one.open("done", "sweep").status == two.open("done", "feed").status == 0
    shutil.copy(two.vault, one.synced / CONFLICTED["Nextcloud"])
    ((_, fix),) = one.doctor()
    _paste(fix, one)
    synchronise(one, two)
    assert two.open("done", "feed").status == 0  # the next save of each gives the vault what it knows
    synchronise(two, one)
    assert one.open("done", "sweep").status == 0
    synchronise(one, two)
    assert one.ticked() == two.ticked() == {"sweep", "feed"}
    for machine in (one, two):
        assert machine.open("history", "verify").text.startswith("no line was changed, dropped or cut off")


def test_a_key_file_stands_in_the_command_that_merges(one: Machine):
    shutil.copy(one.vault, one.synced / CONFLICTED["iCloud"])
    done = one.run("--key-file", "/keys/my key", "doctor", "vault")
    assert "keepassxc-cli merge --same-credentials --key-file '/keys/my key' " in done.out


def test_a_vault_that_is_missing_does_not_hide_its_conflicted_copy(one: Machine):
    one.vault.rename(one.synced / CONFLICTED["Google Drive"])
    assert [text.split(";")[0] for text, _ in one.doctor()] == [
        f"there is no vault at {one.vault}",
        "two machines saved the vault",
    ]


def _paste(command: str, machine: Machine) -> None:
    """Run a shown command as a person does, who types the vault's password when asked."""
    done = subprocess.run(
        ("sh", "-c", command), input=f"{machine.password}\n".encode(), capture_output=True, check=False,
        env={**os.environ, **machine.environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# --- a second project, a colleague -----------------------------------------------------------------------------------


def test_two_projects_on_one_machine_have_nothing_in_common_but_its_name(one: Machine):
    other = Machine(one.home, one.password, project="henhouse")
    chronos.make_vault(other.vault, other.password, inventory=other.clone / "inventory.yaml", kdf=CHEAP)
    assert one.open("done", "sweep").status == 0
    before = snapshot(one.state)
    assert other.ticked() == set()
    assert other.open("done", "feed").status == 0
    assert snapshot(one.state) == before
    assert (one.ticked(), other.ticked()) == ({"sweep"}, {"feed"})
    assert one.open("history", "verify").status == other.open("history", "verify").status == 0
    assert one.open("get", "db").out != other.open("get", "db").out


def test_a_clone_without_a_vault_answers_what_needs_none_and_makes_nothing(tmp_path: Path):
    colleague = Machine(tmp_path / "colleague", "unknown")
    before = snapshot(colleague.home)
    assert colleague.run("list").status == 0
    assert colleague.run("check", "--offline").status == 0
    due = colleague.run("due")
    assert (due.status, "sweep" in due.out) == (1, True)
    assert "the vault was not open on this machine yet" in due.err
    for command in (("get", "db"), ("check",)):
        done = colleague.open(*command)
        assert done.status == 4, command
        assert f"there is no vault at {colleague.vault}" in done.err
        assert "else copy the vault there from your other machine" in done.err
    ((text, fix),) = colleague.doctor()
    assert text == f"there is no vault at {colleague.vault}"
    assert "copy the vault there" in fix
    assert snapshot(colleague.home) == before
