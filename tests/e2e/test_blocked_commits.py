"""`hook install`, then git: what a person meets who is about to commit a secret. Real git, real vault, no stand-in."""

import base64
import os
import random
import string
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import Aviary
from tests.support.programs import require


class Repository:
    """A git repository with our hooks, committed to by a person with the environment of a graphical program."""

    def __init__(self, folder: Path, home: Path) -> None:
        require("git")
        self.folder = folder
        self.env = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "A")
        self.git("config", "user.email", "a@example.org")

    def git(self, *args: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["git", *args], cwd=self.folder, env=self.env, capture_output=True, text=True, check=False
        )
        assert not ok or done.returncode == 0, done.stderr
        return done

    def commit(self, text: str, *, name: str = "notes.txt", message: str = "a message") -> str:
        """What a commit of this file said; empty if it was made."""
        (self.folder / name).write_text(text)
        self.git("add", "-A", "-f", name)
        done = self.git("commit", "-q", "-m", message, ok=False)
        assert bool(done.returncode) == ("is blocked" in done.stderr), done.stderr
        return done.stderr if done.returncode else ""


@pytest.fixture
def aviary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aviary:
    made = Aviary(tmp_path)
    monkeypatch.chdir(made.folder)
    return made


@pytest.fixture
def repository(aviary: Aviary) -> Repository:
    made = Repository(aviary.folder, aviary.home)
    assert aviary.run("hook", "install").status == 0
    return made


@pytest.fixture
def known(aviary: Aviary, repository: Repository) -> Repository:
    """A repository on a machine where the vault was open once."""
    assert aviary.run("check").status == 0
    return repository


def _token() -> str:
    chance = random.Random(20260102)
    return "sk_live_" + "".join(chance.choices(string.ascii_letters + string.digits, k=24))


FORMS = {
    "as it is": lambda value: f"see {value} for more",
    "inside a longer word": lambda value: f"x{value}y",
    "base64": lambda value: base64.b64encode(b"user:" + value.encode()).decode(),
    "hex": lambda value: value.encode().hex().upper(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_value_of_the_vault_does_not_get_into_a_commit(aviary, known, form):
    said = known.commit(FORMS[form](aviary.values["db.password"]))
    assert "notes.txt:1" in said
    assert "Database/DB" in said
    assert not any(value in said for value in aviary.hidden)


def test_a_password_that_only_the_vault_knows_as_one_needs_no_context(aviary, known):
    assert "known-value" in known.commit(f"lorem ipsum\n{aviary.values['cipher.passphrase']}\n")


def test_what_is_said_says_what_to_do(aviary, known):
    said = known.commit(aviary.values["jira.token"])
    assert "pre-commit is blocked: 1 secret." in said
    assert "git restore --staged -- notes.txt" in said
    known.git("restore", "--staged", "--", "notes.txt", ok=False)  # there is no HEAD yet
    known.git("rm", "-q", "--cached", "notes.txt", ok=False)


def test_an_ordinary_commit_passes_and_says_nothing(known):
    assert known.commit("nothing to see here\n") == ""
    assert known.git("log", "--oneline").stdout


def test_a_token_is_found_without_any_vault_and_that_is_said(repository):
    said = repository.commit(f"key = {_token()}\n")
    assert "stripe-key" in said
    assert "note: no vault was opened on this machine" in said


def test_a_project_that_asks_for_the_index_is_blocked_where_there_is_none(aviary, repository):
    with aviary.inventory.open("a") as inventory:
        inventory.write("scan: {known: required}\n")
    said = repository.commit("nothing to see here\n")
    assert "scan.known: required" in said
    assert "chronos-secrets check" in said


def test_the_index_of_another_project_is_not_the_one_that_is_asked_for(aviary, known):
    aviary.edit("project: aviary", "project: others")
    with aviary.inventory.open("a") as inventory:
        inventory.write("scan: {known: required}\n")
    assert "scan.known: required" in known.commit("nothing to see here\n")


def test_a_value_in_the_message_is_blocked(aviary, known):
    assert known.commit("one\n") == ""
    said = known.commit("two\n", message=f"the password is {aviary.values['db.password']}")
    assert "commit-msg is blocked" in said
    assert aviary.values["db.password"] not in said


def test_a_push_is_blocked_by_what_was_committed_without_the_hook(aviary, known, tmp_path):
    known.commit("one\n")
    far = tmp_path / "far.git"
    known.git("init", "-q", "--bare", str(far))
    known.git("remote", "add", "far", str(far))
    known.git("push", "-q", "far", "main")
    (known.folder / "notes.txt").write_text(aviary.values["db.password"])
    known.git("commit", "-q", "-a", "--no-verify", "-m", "past the hook")
    (known.folder / "notes.txt").write_text("taken out again\n")
    known.git("commit", "-q", "-a", "-m", "away with it")
    pushed = known.git("push", "far", "main", ok=False)
    assert pushed.returncode
    assert "pre-push is blocked" in pushed.stderr
    assert f"{known.git('rev-parse', 'HEAD~1').stdout[:12]} of " in pushed.stderr
    assert "not in HEAD now" in pushed.stderr
    assert aviary.values["db.password"] not in pushed.stderr


def test_an_index_whose_key_is_gone_blocks(aviary, known):
    next(aviary.home.rglob("known.key")).unlink()
    said = known.commit("nothing to see here\n")
    assert "chronos-secrets check" in said


def test_a_broken_index_blocks_and_opening_the_vault_mends_it(aviary, known):
    index = next(aviary.home.rglob("known.idx"))
    index.write_bytes(index.read_bytes()[:-7])
    assert known.commit("nothing to see here\n")
    assert aviary.run("check").status == 0
    assert known.commit("nothing to see here\n") == ""


def test_a_value_that_the_inventory_allows_passes(aviary, known):
    with aviary.inventory.open("a") as inventory:
        inventory.write("scan: {allow: {db: a toy database for the tests}}\n")
    assert aviary.run("check").status == 0
    assert known.commit(f"see {aviary.values['db.password']} for more\n") == ""
    assert known.commit(f"see {aviary.values['jira.token']} for more\n")


def test_a_known_value_cannot_be_allowed_by_a_comment(aviary, known):
    said = known.commit(f"see {aviary.values['db.password']}  # chronos: allow known-value because\n")
    assert "the inventory" in said


def test_a_comment_with_a_reason_allows_a_false_alarm(known):
    assert known.commit(f'key = "{_token()}"  # chronos: allow stripe-key revoked years ago\n', name="a.py") == ""
    assert known.commit(f'key = "{_token()}"\n', name="b.py")


def test_two_projects_on_one_machine_are_both_looked_for(aviary, known, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    second = Aviary(other)
    second.edit("project: aviary", "project: second")
    monkeypatch.chdir(second.folder)
    assert second.run("check").status == 0
    assert "known-value" in known.commit(f"see {second.values['db.password']}\n")


def test_a_module_of_the_repository_cannot_take_the_scanners_place(aviary, known):
    (known.folder / "re.py").write_text("raise SystemExit(0)\n")
    (known.folder / "chronos_secrets").mkdir()
    (known.folder / "chronos_secrets" / "__init__.py").write_text("raise SystemExit(0)\n")
    assert known.commit(aviary.values["db.password"])


def test_without_a_home_folder_commits_are_still_looked_at(aviary, known):
    del known.env["HOME"]
    known.env["GIT_CONFIG_NOSYSTEM"] = "1"
    assert "stripe-key" in known.commit(f"key = {_token()}\n")


def test_a_later_vault_is_said(aviary, known):
    with aviary.opened():
        pass
    os.utime(aviary.vault, (2_000_000_000, 2_000_000_000))
    (known.folder / "notes.txt").write_text("nothing\n")
    known.git("add", "notes.txt")
    assert "was saved since its values were indexed" in known.git("commit", "-q", "-m", "m").stderr


def test_a_scan_of_the_repository_leaves_out_what_git_ignores_and_a_named_path_does_not(aviary, known):
    (known.folder / ".gitignore").write_text("out/\n*.kdbx\n")
    known.git("add", ".gitignore")
    assert aviary.run("render").status == 0
    (known.folder / "new.txt").write_text(aviary.values["db.password"])
    (known.folder / "gone.txt").write_text("x")
    known.git("add", "gone.txt")
    (known.folder / "gone.txt").unlink()
    whole = aviary.run("scan")
    assert whole.status == 1
    assert "new.txt:1" in whole.out
    assert "out/" not in whole.out
    assert "out/.env" in aviary.run("scan", ".").out


def test_what_cannot_be_read_blocks_until_it_is_allowed_by_its_path(known):
    (known.folder / "data.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(200))
    known.git("add", "-f", "data.7z")
    done = known.git("commit", "-q", "-m", "m", ok=False)
    assert done.returncode
    assert "1 unreadable file" in done.stderr
    (known.folder / ".chronos-allow").write_text(f"chronos-allow 1 {'0' * 32}\nunreadable data.7z - - pictures\n")
    known.git("add", ".chronos-allow")
    known.git("commit", "-q", "-m", "m")


def test_a_hook_that_was_installed_to_require_the_index_blocks_without_it(aviary, repository):
    assert aviary.run("hook", "install", "--known", "required").status == 0
    assert "scan.known: required" in repository.commit("nothing to see here\n")


def test_a_note_is_said_once_a_commit(repository):
    (repository.folder / "notes.txt").write_text("nothing\n")
    repository.git("add", "notes.txt")
    assert repository.git("commit", "-q", "-m", "m").stderr.count("note: ") == 1


def test_with_nobody_to_hear_it_the_status_alone_blocks(known):
    (known.folder / "a.py").write_text(f'key = "{_token()}"\n')
    known.git("add", "a.py")
    command = ["sh", "-c", "exec .git/hooks/pre-commit 2>&-"]
    assert subprocess.run(command, cwd=known.folder, env=known.env, check=False).returncode == 1
