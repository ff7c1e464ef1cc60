"""`backup configure` on real servers: what it finds, what it sets, what waits for a restart, and what it refuses."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.backup_hosts import IN_BOX, Backed, Machine, Way
from tests.support.commands import Done, Terminal, argv

pytestmark = pytest.mark.xdist_group("backup-hosts")

SECTION = "archive_timeout: 1 minute"
COMPOSE = "service: {host: prod, compose: /home/birds/db, name: timescaledb}"
# What a database may look like before its backups: nothing is archived, or somewhere else.
BEFORE = {
    "archive_mode": "off", "archive_timeout": "0", "max_wal_senders": "0",
    "archive_command": "test ! -f /nowhere/%f && cp %p /nowhere/%f",
}  # fmt: skip


class Keeper(Backed):
    """A project whose database is set up; no command is ever given the vault's password."""

    def configure(self, *words: str) -> Done:
        return self.run("backup", "configure", *words)

    def differences(self) -> dict[str, str]:
        """What each setting should be, by name."""
        told = json.loads(self.configure("--check", "--json").out)
        return {each["name"]: each["should"] for each in told["differences"]}

    def let(self, **settings: str) -> None:
        for name, value in settings.items():
            self.world.database.ask(f"ALTER SYSTEM SET {name} = '{value}'")
        self.world.database.ask("SELECT pg_reload_conf()")


def restore(way: Way) -> None:
    """The world's own settings again."""
    for name in BEFORE:
        way.world.database.ask(f"ALTER SYSTEM RESET {name}")
    way.world.archive()
    way.world.restart()


@pytest.fixture
def keeper(tmp_path: Path, backups_here: Way, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    return Keeper(tmp_path, backups_here, monkeypatch, section=SECTION)


@pytest.fixture
def bare(keeper: Keeper) -> Iterator[Keeper]:
    """The database as it was before it had backups."""
    keeper.let(**BEFORE)
    keeper.world.restart()
    yield keeper
    restore(keeper.way)


def test_a_database_that_is_as_the_backups_need_it_is_left_alone(keeper: Keeper):
    done = keeper.configure("--check")
    assert (done.status, done.out) == (0, "")
    assert done.err == "every setting is as the backups need it\n"
    before = (keeper.world.data / "postgresql.auto.conf").read_bytes()
    assert keeper.configure("--apply").status == 0  # nothing to ask
    assert (keeper.world.data / "postgresql.auto.conf").read_bytes() == before


def test_a_database_without_archiving_is_set_up_but_for_what_only_a_start_can_do(bare: Keeper):
    done = bare.configure("--check")
    assert (done.status, done.err) == (1, "next: chronos-secrets backup configure --apply\n")
    told = " ".join(done.out.split())
    assert "archive_mode restart off; should be on: no WAL is archived" in told
    assert "archive_timeout reload 0; should be 60: a commit waits" in told
    assert "max_wal_senders restart 0; should be 2" in told
    assert BEFORE["archive_command"] in told  # shown before it is replaced
    assert f"pgbackrest --config={bare.world.path} --stanza=birds archive-push %p" in told

    done = bare.configure("--apply", "--yes")
    assert done.status == 8, done.text
    assert "archive_timeout is set" in done.err
    assert "archive_command is set" in done.err
    assert "needed for archive_mode, max_wal_senders: sudo systemctl restart postgresql" in done.err
    done = bare.configure("--check")
    assert (done.status, "restart, set" in done.out, "next:" in done.err) == (1, True, False)
    assert bare.configure("--apply").status == 8  # nothing more to set, so nothing to ask
    bare.world.restart()
    assert bare.configure("--check").status == 0
    bare.world.must("check")  # pgBackRest's own: a segment is archived
    assert "backup-configure" in bare.run("history").out


def test_nothing_is_set_without_a_yes(keeper: Keeper):
    keeper.let(archive_timeout="7")
    try:
        done = keeper.process("backup", "configure", "--apply", locked=True)
        assert done.status == 5
        assert "hint: chronos-secrets backup configure --apply --yes" in done.err
        terminal = Terminal(argv("backup", "configure", "--apply"), folder=keeper.folder)
        terminal.expect("Set archive_timeout? [y/N]")
        terminal.type("n\n")
        assert terminal.end().status == 5
        assert keeper.differences() == {"archive_timeout": "60"}
        terminal = Terminal(argv("backup", "configure", "--apply"), folder=keeper.folder)
        terminal.expect("Set archive_timeout? [y/N]")
        terminal.type("y\n")
        assert terminal.end().status == 0
        assert keeper.differences() == {}
    finally:
        keeper.world.archive()


def test_a_setting_that_the_next_start_would_break_is_found_before(keeper: Keeper):
    keeper.let(archive_mode="off")
    try:
        assert keeper.differences() == {"archive_mode": "on"}
        assert "the next start makes it off" in " ".join(keeper.configure("--check").out.split())
        assert keeper.configure("--apply", "--yes").status == 0
        assert keeper.differences() == {}
    finally:
        keeper.world.archive()


def test_a_setting_from_another_file_is_shown_with_its_place(keeper: Keeper):
    conf = keeper.world.data / "postgresql.conf"
    before = conf.read_text()
    keeper.world.database.ask("ALTER SYSTEM RESET archive_timeout")
    conf.write_text(f"{before}\narchive_timeout = 9\n")
    try:
        keeper.world.database.ask("SELECT pg_reload_conf()")
        line = len(conf.read_text().splitlines())
        assert f"9 (from {conf}:{line}); should be 60" in " ".join(keeper.configure("--check").out.split())
        assert keeper.configure("--apply", "--yes").status == 0  # ALTER SYSTEM counts more than the file
    finally:
        conf.write_text(before)
        keeper.world.archive()


def test_a_setting_of_the_command_line_is_refused_and_nothing_is_set(keeper: Keeper, backup_machine: Machine):
    keeper.let(archive_command="/bin/true")
    backup_machine.restart("-c archive_timeout=7")
    try:
        done = keeper.configure("--apply", "--yes")
        assert done.status == 5, done.text
        assert "archive_timeout cannot be set: whoever starts the server sets it, by its command line" in done.err
        assert f"hint: cat {keeper.world.data}/postmaster.opts" in done.err
        assert "archive_command" in keeper.differences()
    finally:
        backup_machine.restart("")
        keeper.world.archive()


def test_a_role_without_the_right_is_refused_with_the_statements_for_one_who_has_it(keeper: Keeper):
    keeper.let(archive_timeout="7")
    keeper.world.database.ask("CREATE ROLE clerk LOGIN")
    keeper.edit("role: admin", "role: clerk")
    try:
        assert keeper.configure("--check").status == 1
        done = keeper.configure("--apply", "--yes")
        assert done.status == 5
        assert "the role clerk may not use ALTER SYSTEM; nothing was set" in done.err
        assert "\n  ALTER SYSTEM SET archive_timeout = '60'\n" in done.err
    finally:
        keeper.world.database.ask("DROP ROLE clerk")
        keeper.world.archive()


def test_a_database_that_is_away_is_no_difference_but_a_failure(keeper: Keeper):
    keeper.edit(f"port: {keeper.world.database.port}", "port: 1")
    done = keeper.configure("--check")
    assert done.status == 7
    assert "the database on this machine does not answer" in done.err
    assert "psql --port=1 " in done.err.splitlines()[-1]


@pytest.mark.parametrize("words", [(), ("--check", "--apply")])
def test_one_says_whether_to_look_or_to_set(keeper: Keeper, words: tuple[str, ...]):
    assert keeper.configure(*words).status == 2


@IN_BOX
def test_a_container_is_set_up_through_ssh_and_the_printed_command_does_the_rest(
    tmp_path: Path, backups_in_container_over_ssh: Way, monkeypatch: pytest.MonkeyPatch
):
    keeper = Keeper(tmp_path, backups_in_container_over_ssh, monkeypatch, section=SECTION)
    keeper.let(**BEFORE)
    keeper.world.restart()
    try:
        done = keeper.configure("--apply", "--yes")
        assert done.status == 8, done.text
        command = done.err.rstrip("\n").rpartition("max_wal_senders: ")[2]
        assert command == "ssh deploy 'sudo docker restart chronos-db'"
        assert subprocess.run(command, shell=True, capture_output=True, timeout=60, check=False).returncode == 0  # noqa: S602  a person pastes it into a shell
        keeper.world.database.wait()
        assert keeper.configure("--check").status == 0
        keeper.world.must("check")
    finally:
        restore(keeper.way)


@IN_BOX
def test_a_compose_service_is_started_anew_by_compose(
    tmp_path: Path, backups_in_container_over_ssh: Way, monkeypatch: pytest.MonkeyPatch
):
    keeper = Keeper(tmp_path, backups_in_container_over_ssh, monkeypatch, section=SECTION, database=COMPOSE)
    keeper.let(archive_mode="off", max_wal_senders="0")
    try:
        keeper.world.restart()
        done = keeper.configure("--apply", "--yes")
        assert done.status == 8
        compose = "sudo docker compose --project-directory /home/birds/db restart timescaledb"
        assert f"ssh deploy '{compose}'" in done.err
    finally:
        restore(keeper.way)
