"""`rotate` as a person and a timer meet it: a real PostgreSQL, a real vault, real files."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support import keepassxc, targets
from tests.support.commands import Aviary, Done, Terminal, argv, environment
from tests.support.mounts import in_a_namespace

pytestmark = pytest.mark.xdist_group("rotate")

POSTGRES = "postgres: {{host: local, port: {port}, database: birds, role: {role}, data: /var/lib/postgresql}}\n"
DUE = "every: 1 year, rotated: 2020-01-01"


@pytest.fixture(scope="module")
def database():
    with targets.database() as made:
        yield made


class Birds(Aviary):
    """An aviary whose `db` is the password of a role of a real server; it is due."""

    def __init__(self, folder: Path, database: targets.Database) -> None:
        super().__init__(folder)
        self.database, self.role = database, f"finch_{folder.stat().st_ino}"
        text = self.inventory.read_text().replace('Database/DB, never: "a toy"', f"Database/DB, {DUE}")
        self.inventory.write_text(text + POSTGRES.format(port=database.port, role=self.role))
        database.role(self.role, self.values["db.password"])
        self.remake_vault(db__username=self.role)
        assert self.run("render", "env").status == 0

    def rotate(self, *arguments: str, locked: bool = False) -> Done:
        """Run it in this process, where nobody can be asked."""
        given = () if locked else ("--password-file", str(self.password_file))
        return self.run("rotate", *arguments, *given)

    def terminal(self, *arguments: str) -> Terminal:
        self._accept()
        return Terminal(argv("rotate", *arguments, "--password-file", self.password_file), folder=self.folder)

    def machine_says(self, text: str) -> None:
        """Write config.toml of this machine."""
        folder = self.home / ".config" / "chronos-secrets"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text(f"[aviary]\n{text}\n")

    def follow(self, *command: str) -> None:
        """Let a command follow the writing of the env file."""
        said = json.dumps([list(command)])
        self.edit("path: out/.env", f"path: out/.env\n    after: {said}")

    def lets_in(self, password: str) -> bool:
        """Whether the server takes a password of the role."""
        import psycopg

        where = {"host": "127.0.0.1", "port": str(self.database.port), "dbname": "birds"}
        try:
            psycopg.connect(**where, user=self.role, password=password, connect_timeout=10).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def current(self) -> str:
        return self.run("get", "db").out

    def is_settled(self) -> bool:
        """Whether vault, server and file agree."""
        return self.lets_in(self.current) and self.current in self.env.read_text()

    def status(self, credential: str = "db") -> dict[str, object]:
        """What `rotate status` says of a credential, without the vault."""
        rows = json.loads(self.rotate("status", "--json", locked=True).out)["rotations"]
        found: dict[str, object] = next(row for row in rows if row["id"] == credential)
        return found

    def due(self, credential: str = "db") -> dict[str, object]:
        """What `due` says of a credential, without the vault."""
        rows = json.loads(self.run("due", "--json").out)["rows"]
        found: dict[str, object] = next(row for row in rows if row["id"] == credential)
        return found


@pytest.fixture
def birds(tmp_path, database):
    return Birds(tmp_path, database)


def test_a_due_password_is_new_in_the_vault_at_the_server_and_in_the_file(birds: Birds):
    old = birds.current
    assert birds.due()["state"] == "overdue"
    assert birds.due()["how"] == "chronos-secrets rotate db"
    done = birds.rotate("db", "--yes")
    assert done.status == 0, done.text
    assert done.out.startswith(
        "db: rotated, and the old secret is gone; whoever still had the old one was refused for at most "
    )
    assert birds.current != old
    assert birds.is_settled()
    assert not birds.lets_in(old)
    assert birds.due()["state"] == "ok"
    assert birds.due()["origin"] == "rotated by this tool"
    assert birds.status()["phase"] == "done"


def test_no_value_is_said_and_every_phase_is_in_the_history(birds: Birds):
    old = birds.current
    said = birds.rotate("db", "--yes").text
    history = birds.run("history", "--json").out
    for value in (old, birds.current, birds.password):
        assert value not in said
        assert value not in history
        assert value.encode() not in b"".join(path.read_bytes() for path in birds.state.rglob("*") if path.is_file())
    events = [event for event in json.loads(history)["events"] if event["what"] == "rotate"]
    assert [event["detail"]["phase"] for event in events] == ["created", "promoted", "delivered", "done"]
    assert {event["subject"] for event in events} == {"db"}


def test_what_is_not_due_is_left_alone_and_says_when(birds: Birds):
    assert birds.rotate("db", "--yes").status == 0
    vault, current = birds.vault.read_bytes(), birds.current
    done = birds.rotate("postgres", "--yes")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("db: not due: rotate by 20")
    assert done.out.endswith("; at once: chronos-secrets rotate db --now\n")
    assert (birds.vault.read_bytes(), birds.current) == (vault, current)
    assert birds.rotate("db", "--yes", "--now").status == 0
    assert birds.current != current
    assert birds.is_settled()


def test_a_dry_run_prints_the_steps_and_changes_nothing(birds: Birds):
    vault, old = birds.vault.read_bytes(), birds.current
    done = birds.rotate("db", "--dry-run")
    assert done.status == 0, done.text
    assert done.out.startswith("db  DB\n  now         choose a new secret")
    assert "deliver env" in done.out
    assert birds.vault.read_bytes() == vault
    assert birds.lets_in(old)
    steps = json.loads(birds.rotate("db", "--dry-run", "--json").out)["plan"][0]["steps"]
    assert [step["phase"] for step in steps] == ["created", "promoted", "delivered", "done"]


def test_without_a_terminal_a_machine_must_be_told_to_rotate(birds: Birds):
    old = birds.current
    done = birds.rotate("db", locked=True)  # said before a password is asked for
    assert done.status == 5
    assert "rotate_here = true below [aviary] in " in done.err
    assert "hint: the same command with --yes" in done.err
    assert birds.current == old
    birds.machine_says("rotate_here = true")
    assert birds.rotate("db").status == 0
    assert birds.current != old


def test_a_person_sees_the_steps_and_is_asked(birds: Birds):
    old = birds.current
    asked = birds.terminal("db")
    asked.expect("Go on? [y/N]")
    assert all(len(line) <= 80 for line in asked.shown.splitlines())
    assert "deliver env" in asked.shown
    asked.type("\n")
    done = asked.end()
    assert done.status == 5
    assert "nobody agreed; nothing was changed" in done.out
    assert birds.current == old
    agreed = birds.terminal("db")
    agreed.expect("Go on? [y/N]")
    agreed.type("y\n")
    assert agreed.end().status == 0
    assert birds.current != old
    assert birds.is_settled()


@pytest.mark.parametrize("more", [(), ("--now",), ("--yes", "--now"), ("--dry-run",)])
def test_a_cipher_pass_is_refused_before_anything_is_opened(birds: Birds, more: tuple[str, ...]):
    birds.machine_says("rotate_here = true")
    done = birds.rotate("cipher", *more, locked=True)
    assert done.status == 5
    assert "cipher is never rotated" in done.err
    assert "the inventory says: never: a toy" in done.err
    assert "a second repository (repo2)" in done.err
    assert "docs/rotation.md" in done.err


def test_nothing_forces_a_cipher_pass(birds: Birds):
    assert birds.rotate("cipher", "--force", locked=True).status == 2


def test_what_is_never_due_is_rotated_only_when_a_person_insists(birds: Birds):
    birds.edit(f"Database/DB, {DUE}", 'Database/DB, never: "after a leak only"')
    birds.machine_says("rotate_here = true")
    old = birds.current
    refused = birds.rotate("db")
    assert refused.status == 5
    assert "db is not rotated by plan: after a leak only" in refused.err
    assert "hint: chronos-secrets rotate db --now" in refused.err
    assert birds.rotate("postgres").out == "db: never: after a leak only\n"
    alone = birds.rotate("db", "--now")
    assert alone.status == 5
    assert "hint: chronos-secrets rotate db --now --yes" in alone.err
    assert birds.current == old
    assert birds.rotate("db", "--now", "--yes").status == 0
    assert birds.current != old


def test_what_renews_itself_is_only_shown(birds: Birds):
    birds.edit(f"Database/DB, {DUE}", 'Database/DB, automatic: "the server does"')
    done = birds.rotate("db", "--now", "--yes")
    assert (done.status, done.out) == (0, "db: renewed by itself: the server does\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("dbb",), "there is no credential 'dbb'"),
        (("--due", "db"), "--due means every credential"),
        (("--yes",), "nothing is named"),
        (("--yes", "status"), "hint: chronos-secrets rotate status"),
        (("rollback", "dbb"), "there is no credential 'dbb'"),
        (("rollback", "postgres"), "hint: known: db, jira, "),  # no kind, which it does not take
        (("abandon", "cipher"), "cipher is never rotated"),
    ],
)
def test_a_wrong_command_line_is_said_before_anything_is_opened(birds: Birds, arguments: tuple[str, ...], words: str):
    done = birds.rotate(*arguments, locked=True)
    assert done.status in (2, 5)
    assert words in done.err


def test_a_wrong_password_changes_nothing(birds: Birds):
    old = birds.current
    birds.password_file.write_text("not it\n")
    done = birds.rotate("db", "--yes")
    assert done.status == 4
    assert birds.lets_in(old)
    assert birds.run("history", "--json").out.count('"rotate"') == 0


def test_what_could_not_be_delivered_is_found_before_anything_is_done(birds: Birds):
    vault, old = birds.vault.read_bytes(), birds.current
    birds.env.write_text("BY_HAND=1\n")
    done = birds.rotate("db", "--yes")
    assert done.status == 5
    assert "nothing was begun, for what uses db could not be delivered" in done.err
    assert "--adopt env" in done.err
    assert birds.vault.read_bytes() == vault
    assert birds.lets_in(old)


def test_a_change_that_git_brought_is_asked_about_before_the_vault_is_opened(birds: Birds):
    birds.trusting = False
    text = birds.inventory.read_text()
    birds.inventory.write_text(text.replace("path: out/.env", "path: /srv/elsewhere/.env"))
    done = birds.rotate("db", "--yes", locked=True)
    assert done.status == 5
    assert "+ destination env is /srv/elsewhere/.env" in done.err


def test_a_database_that_git_moved_is_asked_about(birds: Birds):
    assert birds.rotate("db", "--yes").status == 0
    birds.trusting = False
    text = birds.inventory.read_text()
    birds.inventory.write_text(text.replace("database: birds", "database: cats"))
    done = birds.rotate("--due", "--yes", locked=True)
    assert done.status == 5
    assert "+ section postgres is the database cats on local" in done.err


# --- cut short, and going on ------------------------------------------------------------------------------------------


def test_a_delivery_that_failed_is_finished_by_running_it_again(birds: Birds):
    birds.follow("false")
    old = birds.current
    done = birds.rotate("db", "--yes")
    assert done.status == 7
    assert "after: command failed" in done.err
    assert "hint: chronos-secrets rotate db    # goes on from there" in done.err
    assert "what still has it cannot log in until this is finished" in done.err
    assert not birds.lets_in(old)
    assert birds.due()["state"] == "stuck"
    assert birds.due()["next"] == "cut short in phase promoted: rotate again to go on"
    assert birds.due()["how"] == "chronos-secrets rotate db"
    stopped = birds.status()["stopped"]
    assert isinstance(stopped, dict)
    assert "after: command failed" in stopped["message"]
    shown = " ".join(birds.rotate("status", locked=True).out.split())
    assert "db - cut short in phase promoted: rotate again to go on; chronos-secrets rotate db; the last try" in shown
    birds.edit('["false"]', '["true"]')
    done = birds.rotate("postgres", "--yes")  # a timer's way: what is under way goes on
    assert done.status == 0, done.text
    assert done.out.startswith("db: rotated, and the old secret is gone")
    assert birds.is_settled()
    assert birds.status()["stopped"] is None
    assert birds.due()["state"] == "ok"


def test_a_rotation_that_is_not_finished_can_be_taken_back(birds: Birds):
    birds.follow("false")
    old = birds.current
    assert birds.rotate("db", "--yes").status == 7
    assert birds.rotate("abandon", "db", "--yes").status == 5
    birds.edit('["false"]', '["true"]')
    done = birds.rotate("rollback", "db", "--yes")
    assert (done.status, done.out) == (0, "db: the old secret stays, and the new one is gone\n")
    assert birds.current == old
    assert birds.is_settled()
    assert birds.due()["state"] == "overdue"  # as before
    again = birds.rotate("rollback", "db", "--yes")
    assert again.status == 5
    assert "no rotation of db is under way" in again.err
    assert birds.status()["stopped"] is None  # nothing was stopped


def _waiting_for(process: Path) -> None:
    """Until the fifo is opened by whoever follows the file."""
    with process.open("rb") as told:
        told.read(1)


def test_ctrl_c_loses_nothing_and_says_how_to_go_on(birds: Birds):
    os.mkfifo(birds.root / "told")
    birds.follow("sh", "-c", f"echo > {birds.root}/told; exec sleep 60")
    cut = birds.terminal("db", "--yes")
    _waiting_for(birds.root / "told")
    cut.type("\x03")
    done = cut.end()
    assert done.status == 130
    assert "stopped; to go on from there: chronos-secrets rotate db" in done.out
    birds.edit(f"echo > {birds.root}/told; exec sleep 60", "true")
    assert birds.rotate("db", "--yes").status == 0
    assert birds.is_settled()


def test_a_second_rotation_at_the_same_time_is_turned_away(birds: Birds):
    os.mkfifo(birds.root / "told")
    birds.follow("sh", "-c", f"echo > {birds.root}/told; exec sleep 60")
    words = argv("rotate", "db", "--yes", "--password-file", birds.password_file)
    birds._accept()
    first = subprocess.Popen(
        words, cwd=birds.folder, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        _waiting_for(birds.root / "told")
        done = birds.rotate("db", "--yes")
        assert done.status == 6
        assert "another rotation of this vault is running" in done.err
        linked = birds.folder / "link.kdbx"
        linked.symlink_to(birds.vault)
        assert "another rotation of this vault" in birds.rotate("db", "--yes", "--vault", str(linked)).err
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(30)
    birds.edit(f"echo > {birds.root}/told; exec sleep 60", "true")
    assert birds.rotate("db", "--yes").status == 0
    assert birds.is_settled()


THERE = "  there: {host: far, path: /etc/there, dialect: dotenv, template: builtin:env, uses: {db: db}}\n"


def test_a_full_disk_keeps_a_rotation_from_being_begun(birds: Birds):
    vault, old = birds.vault.read_bytes(), birds.current
    words = " ".join(argv("rotate", "db", "--yes", "--password-file", birds.password_file))
    in_a_namespace(
        birds.folder,
        "cp -a out kept\nmount -t tmpfs -o size=32k none out\ncp -a kept/. out/\nhead -c 1M /dev/zero > out/fill || true\n"
        f"set +e\n{words} > /dev/null 2> said; echo $? > status\n",
    )
    assert (birds.folder / "status").read_text() == "5\n"
    assert "no space left on device; nothing was changed" in (birds.folder / "said").read_text()
    assert birds.vault.read_bytes() == vault
    assert birds.lets_in(old)


def test_a_host_that_is_away_keeps_a_rotation_from_being_begun(birds: Birds):
    vault, old = birds.vault.read_bytes(), birds.current
    birds.edit("destinations:\n", "destinations:\n" + THERE)
    done = birds.rotate("db", "--yes")
    assert done.status == 7
    assert "nothing was begun, for what uses db could not be delivered: " in done.err
    assert birds.vault.read_bytes() == vault
    assert birds.lets_in(old)


def test_a_host_that_is_away_by_then_keeps_nothing_from_the_others(birds: Birds):
    birds.follow("false")
    assert birds.rotate("db", "--yes").status == 7
    birds.env.unlink()
    birds.edit('["false"]', '["true"]')
    birds.edit("destinations:\n", "destinations:\n" + THERE)
    done = birds.rotate("db", "--yes")
    assert done.status == 7
    assert "written: env" in done.err
    assert "not delivered yet: there" in done.err
    assert birds.is_settled()
    birds.edit(THERE, "")
    assert birds.rotate("db", "--yes").status == 0


def test_a_host_that_git_turned_into_another_is_asked_about(birds: Birds):
    birds._accept()
    birds.trusting = False
    birds.inventory.write_text(birds.inventory.read_text().replace("ssh: far-away", "ssh: elsewhere"))
    done = birds.rotate("key", "--now", "--yes", locked=True)
    assert done.status == 5
    assert "+ host far is elsewhere of ~/.ssh/config" in done.err


def test_a_new_credential_that_nobody_named_is_asked_about(birds: Birds):
    assert birds.rotate("--due", "--yes").status == 0
    birds.trusting = False
    more = f"  more: {{kind: api-token, title: More, entry: Third-Party/More, {DUE}}}\n"
    birds.inventory.write_text(birds.inventory.read_text().replace("destinations:\n", f"{more}destinations:\n", 1))
    for words in (("--due",), ("tokens",)):
        done = birds.rotate(*words, "--yes", locked=True)
        assert done.status == 5
        assert "+ credential more is the entry 'Third-Party/More'" in done.err


# --- several ----------------------------------------------------------------------------------------------------------


def test_one_that_fails_does_not_stop_the_others(birds: Birds):
    old = birds.current
    done = birds.rotate("jira", "db", "key", "--yes", "--now")
    assert done.status == 5
    assert "error: jira: " in done.err
    assert "error: key: " in done.err
    assert done.out.startswith("db: rotated")
    assert birds.current != old
    assert birds.is_settled()


def test_what_is_due_is_rotated_and_what_needs_a_person_waits_for_one(birds: Birds):
    birds.edit('Third-Party/Jira, never: "a toy"', f"Third-Party/Jira, {DUE}")
    birds.machine_says("rotate_here = true")
    done = birds.rotate("--due")
    assert done.status == 0, done.text
    lines = done.out.splitlines()
    assert lines[0].startswith("db: rotated")
    assert "jira: waiting for you: chronos-secrets rotate jira" in lines
    assert "aws: never: a toy" in lines
    assert birds.due("jira")["how"] == "waiting for you: chronos-secrets rotate jira"
    alone = birds.rotate("jira")
    assert alone.status == 5
    assert "this needs a person, and there is no terminal to ask on" in alone.err


def test_json_says_the_same_of_each(birds: Birds):
    done = birds.rotate("jira", "db", "--yes", "--now", "--json")
    assert done.status == 5
    rows = {row["id"]: row for row in json.loads(done.out)["rotations"]}
    assert (rows["db"]["phase"], rows["db"]["exit"]) == ("done", 0)
    assert rows["db"]["outage_seconds"] > 0
    assert (rows["jira"]["error"], rows["jira"]["exit"]) == ("refused", 5)
    assert done.err.count("error:") == 0


def test_a_shell_completes_commands_kinds_and_credentials(birds: Birds, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("_CHRONOS_SECRETS_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "chronos-secrets rotate ")
    monkeypatch.setenv("COMP_CWORD", "2")
    offered = [line.partition(",")[2] for line in birds.run("due").out.splitlines()]
    assert {"status", "rollback", "abandon", "aws-keys", "postgres", "ssh-keys", "tokens", "db", "jira"} <= {*offered}


# --- with KeePassXC in between ----------------------------------------------------------------------------------------


def test_what_keepassxc_saves_in_the_middle_is_kept_and_so_is_the_new_password(birds: Birds):
    os.mkfifo(birds.root / "told")
    os.mkfifo(birds.root / "answer")
    birds.follow("sh", "-c", f"echo > {birds.root}/told; cat {birds.root}/answer > /dev/null")
    old = birds.current
    running = birds.terminal("db", "--yes")
    _waiting_for(birds.root / "told")
    words = ("edit", "--notes", "seen in KeePassXC", birds.vault, "Third-Party/Jira")
    keepassxc.run(*words, password=birds.password)
    (birds.root / "answer").write_text("go on\n")
    done = running.end()
    assert done.status == 0, done.out
    export = keepassxc.export(birds.vault, birds.password)
    assert export.at("Third-Party", "Jira").fields["Notes"][0] == "seen in KeePassXC"
    assert birds.current != old
    assert birds.is_settled()


def test_two_rotating_credentials_in_one_entry_are_refused(birds: Birds):
    text = birds.inventory.read_text()
    twin = f'  twin: {{kind: api-token, title: T, entry: Database/DB, fields: {{token: "attr:T"}}, {DUE}}}\n'
    birds.inventory.write_text(text.replace("destinations:\n", f"{twin}destinations:\n", 1))
    vault = birds.vault.read_bytes()
    done = birds.rotate("db", "--yes")
    assert done.status == 5
    assert "db shares the entry 'Database/DB' with twin" in done.err
    assert birds.vault.read_bytes() == vault
