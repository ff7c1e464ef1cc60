"""From nothing to a vault, from a vault to an inventory, and the questions that one asks of both."""

import json
import os
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chronos_secrets.vault import kdbx
from tests.support import keepassxc, vaults
from tests.support.commands import Aviary, Terminal, argv, in_process, snapshot


@pytest.fixture
def aviary(tmp_path: Path) -> Aviary:
    return Aviary(tmp_path)


@pytest.fixture
def cheap_new_vaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a CPU second for each new vault is for people, not for tests."""
    monkeypatch.setattr(kdbx.create, "__defaults__", (vaults.CHEAP,))


# --- init -------------------------------------------------------------------------------------------------------------


def test_init_makes_a_vault_that_keepassxc_opens_with_an_entry_for_each_credential(aviary: Aviary):
    aviary.vault.unlink()
    done = aviary.run("init")
    assert done.status == 0
    assert done.out == f"made {aviary.vault} with 5 empty entries\n"
    assert "next: fill them in with KeePassXC, then: chronos-secrets check" in done.err
    assert stat.S_IMODE(aviary.vault.stat().st_mode) == 0o600
    seen = keepassxc.run("ls", aviary.vault, "-R", "-f", password=aviary.password).split("\n")
    for path in ("Database/DB", "Database/Cipher", "Third-Party/Jira", "AWS/Writer", "SSH Keys/Key"):
        assert path in seen
    assert aviary.run("check").status == 1


@pytest.mark.usefixtures("cheap_new_vaults")
def test_init_overwrites_no_vault_and_no_link(aviary: Aviary):
    for make in (lambda path: path.write_text("mine"), lambda path: path.symlink_to("nowhere"), Path.mkdir):
        aviary.vault.unlink()
        make(aviary.vault)
        before = snapshot(aviary.folder)
        assert aviary.run("init").status == 5
        assert snapshot(aviary.folder) == before


def test_a_person_chooses_a_password_twice_alike_and_long_enough(aviary: Aviary):
    aviary.vault.unlink()
    terminal = Terminal(argv("init"), folder=aviary.folder)
    terminal.expect("New password: ")
    terminal.type("short\n")
    terminal.expect("New password: ", times=2)
    terminal.type("five random words or more\n")
    terminal.expect("The same again: ")
    terminal.type("five random words or mere\n")
    terminal.expect("New password: ", times=3)
    terminal.type("five random words or more\n")
    terminal.expect("The same again: ", times=2)
    terminal.type("five random words or more\n")
    done = terminal.end()
    assert done.status == 0
    assert "nobody can recover it" in done.out
    assert "fewer than 12 characters" in done.out
    assert "the two differ" in done.out
    assert "five random" not in done.out.replace("take five random words, say", "")
    aviary.password_file.write_text("five random words or more")
    assert aviary.run("check").status == 1


def test_an_interrupted_init_leaves_nothing(aviary: Aviary):
    aviary.vault.unlink()
    before = snapshot(aviary.folder)
    terminal = Terminal(argv("init"), folder=aviary.folder)
    terminal.expect("New password: ")
    terminal.type("\x03")
    assert terminal.end().status == 130
    assert snapshot(aviary.folder) == before


ODD = (
    ("a", "b/c"), ("quo\"te' & <x>",), ("back\\slash",), ("- dash: {brace}",), ("漢字",), ("123",), ("status",), ("   ",),
    ("x" * 300,), ("Dup", "x"), ("Dup", "x"), ("Empty", ""), ("tab\there",), ("line\nend",), ("\u202eturned",),
)  # fmt: skip
LEFT_OUT = 5  # one of the twins, and the last four


@pytest.fixture
def theirs(aviary: Aviary) -> Path:
    """Somebody's vault, with whatever titles people have."""
    path = aviary.root / "Somebody's Vault 2024.kdbx"
    vaults.kdbx4(path, password=aviary.password)
    with vaults.edited(path, aviary.password) as opened:
        for title in ODD:
            vaults._entry(opened, title, os.urandom(12).hex())
        key = vaults._entry(opened, ("SSH", "box"))
        key.add_attachment(opened.add_binary(b"k"), "id_ed25519")
        vaults._entry(opened, ("References", "x"), "{REF:P@I:" + "0" * 32 + "}")
    return path


def test_whatever_is_in_a_vault_the_inventory_made_from_it_loads_and_names_every_entry(aviary: Aviary, theirs: Path):
    before = theirs.read_bytes()
    new = aviary.root / "new"
    new.mkdir()
    done = in_process("init", "--from", theirs, "--password-file", aviary.password_file, folder=new)
    assert done.status == 0, done.err
    listed = len(ODD) + 2 - LEFT_OUT
    assert done.out == f"made inventory.yaml with {listed} credentials\n"
    assert f"{LEFT_OUT} left out: " in done.err
    assert theirs.read_bytes() == before
    asked = in_process("check", "--offline", "--json", folder=new)
    assert {finding["code"] for finding in json.loads(asked.out)["findings"]} == {"undecided"}
    rows = json.loads(in_process("list", "--json", folder=new).out)["credentials"]
    assert len({row["id"] for row in rows}) == listed
    told = in_process("check", "--json", "--password-file", aviary.password_file, folder=new)
    assert told.status == 1, told.err
    found = {(each["code"], each["where"]) for each in json.loads(told.out)["findings"]}
    assert ("entry-missing", "x") in found  # the twins
    assert not any(code == "inventory-invalid" for code, _ in found)


def test_an_inventory_is_made_where_the_flag_or_the_variable_says_and_nowhere_twice(
    aviary: Aviary, theirs: Path, monkeypatch: pytest.MonkeyPatch
):
    words = ("init", "--from", theirs, "--password-file", aviary.password_file)
    new = aviary.root / "new"
    new.mkdir()
    assert in_process(*words, "--inventory", "one.yaml", folder=new).status == 0
    monkeypatch.setenv("CHRONOS_SECRETS_INVENTORY", str(new / "two.yaml"))
    assert in_process(*words, folder=new).status == 0
    assert sorted(os.listdir(new)) == ["one.yaml", "two.yaml"]
    again = in_process(*words, folder=new)
    assert again.status == 5
    assert "two.yaml is already there; it is never overwritten" in again.err
    assert "--inventory NEW.yaml" in again.err


def test_the_named_vault_is_read_though_a_variable_or_the_machine_names_another(
    aviary: Aviary, theirs: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHRONOS_SECRETS_VAULT", str(aviary.vault))
    new = aviary.root / "new"
    new.mkdir()
    assert in_process("init", "--from", theirs, "--password-file", aviary.password_file, folder=new).status == 0
    assert 'quo\\"te' in (new / "inventory.yaml").read_text()


def test_a_vault_below_home_is_written_with_a_tilde(aviary: Aviary, theirs: Path):
    path = theirs.rename(aviary.home / "mine.kdbx")
    new = aviary.root / "new"
    new.mkdir()
    assert in_process("init", "--from", path, "--password-file", aviary.password_file, folder=new).status == 0
    assert '\n  path: "~/mine.kdbx"\n' in (new / "inventory.yaml").read_text()
    assert json.loads(in_process("config", "show", "--json", folder=new).out)["settings"]["vault"]["value"] == str(path)


@pytest.mark.parametrize("name", ["new\nline.kdbx", "odd\udcff.kdbx"])
def test_a_vault_whose_own_name_cannot_be_written_down_is_refused(aviary: Aviary, theirs: Path, name: str):
    path = theirs.rename(aviary.root / name)
    done = in_process(
        "init", "--from", path, "--inventory", "new.yaml", "--password-file", aviary.password_file, folder=aviary.root
    )
    assert done.status == 5
    assert "hint: rename the vault" in done.err
    assert len(done.err.splitlines()) == 2
    assert not (aviary.root / "new.yaml").exists()


# --- check ------------------------------------------------------------------------------------------------------------


def _findings(aviary: Aviary, *options: str) -> list[tuple[str, str]]:
    done = aviary.run("check", "--json", *options)
    findings = [(each["code"], each["where"]) for each in json.loads(done.out)["findings"]]
    assert done.status == (1 if findings else 0)
    assert aviary.leaked(done.text) == []
    plain = aviary.run("check", *options)
    assert plain.status == done.status
    assert aviary.leaked(plain.text) == []
    for code, where in findings:
        assert code in plain.out
        assert where in plain.out
    return findings


def test_a_project_in_order_has_no_finding(aviary: Aviary):
    assert _findings(aviary) == []
    assert _findings(aviary, "--offline") == []
    assert aviary.run("check").err == "nothing is wrong\n"


def test_check_finds_what_a_render_would_stumble_over_and_more(aviary: Aviary):
    aviary.remake_vault(db__password=f'it\'s a "canary" {os.urandom(12).hex()}')
    aviary.template.write_text("A={{ cipher.passphrse }}\n")
    with vaults.edited(aviary.vault, aviary.password) as opened:
        by_title = {entry.title: entry for entry in opened.entries}
        by_title["Writer"].password = by_title["Jira"].password
        by_title["Cipher"].password = ""
        by_title["Key"].delete_attachment(by_title["Key"].attachments[0])
        opened.add_entry(opened.root_group, "forgotten", "", "")
        by_title["Jira"].expires, by_title["Jira"].expiry_time = True, datetime(2020, 1, 1, tzinfo=UTC)
    assert sorted(_findings(aviary)) == [
        ("empty-field", "cipher"), ("expired", "jira"), ("missing-attachment", "key"), ("not-representable", "env"),
        ("shared-value", "aws"), ("template-invalid", "note"), ("unlisted-entry", "forgotten"),
    ]  # fmt: skip
    assert _findings(aviary, "--offline") == [("template-invalid", "note")]


def test_many_equal_values_are_one_finding_each(aviary: Aviary):
    with vaults.edited(aviary.vault, aviary.password) as opened:
        for entry in opened.entries:
            if entry.title != "Key":
                entry.password = aviary.values["db.password"]
    assert _findings(aviary) == [("shared-value", name) for name in ("jira", "aws", "cipher")]


def test_check_writes_nothing_but_which_vault_it_saw_what_days_were_in_it_and_fingerprints(aviary: Aviary):
    before = snapshot(aviary.folder)
    aviary.run("check")
    assert snapshot(aviary.folder) == before
    assert sorted({*os.listdir(aviary.state)} - {"reach.json"}) == ["dates.json", "known.idx", "vault-id"]
    assert os.listdir(aviary.data) == ["known.key"]


def test_check_goes_on_where_nothing_can_be_remembered(aviary: Aviary, monkeypatch: pytest.MonkeyPatch):
    (aviary.root / "a file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(aviary.root / "a file"))
    assert aviary.run("check").status == 0
    assert aviary.run("get", "db").status == 0


# --- list, get, config show -------------------------------------------------------------------------------------------


def test_list_names_the_credentials_in_the_inventorys_order_without_a_password(aviary: Aviary):
    aviary.vault.unlink()
    done = aviary.run("list", locked=True)
    assert [line.split()[0] for line in done.out.splitlines()] == ["ID", "db", "jira", "aws", "cipher", "key"]
    rows = json.loads(aviary.run("list", "--json", locked=True).out)
    assert (rows["version"], rows["command"]) == (1, "list")
    assert rows["credentials"][0] == {
        "id": "db", "kind": "postgres-password", "title": "DB", "entry": "Database/DB", "fields": ["password", "username"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "name"),
    [(("db",), "db.password"), (("aws",), "aws.secret_access_key"), (("aws", "--field", "access_key_id"), "aws.access_key_id"),
     (("key",), "key.private_key"), (("cipher", "--field", "passphrase"), "cipher.passphrase")],
)  # fmt: skip
def test_get_prints_one_value_and_not_a_byte_more(aviary: Aviary, arguments: tuple[str, ...], name: str):
    done = aviary.run("get", *arguments)
    assert (done.status, done.out, done.err) == (0, aviary.values[name], "")


def test_get_follows_the_machines_config_the_variable_and_the_flag_in_this_order(aviary: Aviary, monkeypatch):
    other = aviary.root / "elsewhere.kdbx"
    aviary.vault.rename(other)
    assert aviary.run("get", "db").status == 4
    folder = aviary.home / ".config" / "chronos-secrets"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'[aviary]\nvault = "{other}"\n')
    assert aviary.run("get", "db").out == aviary.values["db.password"]
    monkeypatch.setenv("CHRONOS_SECRETS_VAULT", str(aviary.root / "nowhere"))
    assert aviary.run("get", "db").status == 4
    assert aviary.run("get", "db", "--vault", other).out == aviary.values["db.password"]
    assert aviary.run("--vault", other, "get", "db").out == aviary.values["db.password"]
    shown = aviary.run("--vault", other, "config", "show").out
    assert f"vault          {other}\n               from command line: --vault\n" in shown
    assert "from environment: CHRONOS_SECRETS_VAULT" in aviary.run("config", "show").out


def test_the_inventory_is_found_from_a_folder_below_and_not_beyond_the_repository(aviary: Aviary):
    below = aviary.folder / "src" / "deep"
    below.mkdir(parents=True)
    assert in_process("list", folder=below).status == 0
    subprocess.run(("git", "-C", str(aviary.folder / "src"), "init", "--quiet"), check=True)
    done = in_process("list", folder=below)
    assert done.status == 3
    assert "there is no inventory.yaml here or in a folder above" in done.err


def test_every_command_explains_itself(aviary: Aviary):
    for words in ((), ("vault",), ("config",)):
        done = aviary.run(*words)
        assert done.status == 2
        assert done.err.startswith("Usage: chronos-secrets")
        assert done.out == ""
    for words in (("init",), ("check",), ("list",), ("get",), ("render",), ("vault", "upgrade"), ("config", "show")):
        done = in_process(*words, "--help", folder=aviary.folder)
        assert (done.status, done.err) == (0, "")
        assert done.out.startswith(f"Usage: chronos-secrets {' '.join(words)}")
