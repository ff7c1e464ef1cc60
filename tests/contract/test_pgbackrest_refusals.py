"""More of what pgBackRest says when something is wrong: what `backup` commands meet, on a database that is backed up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos_secrets.errors import Exit, TargetFailed
from chronos_secrets.pgbackrest import verifying
from chronos_secrets.pgbackrest.runner import AtWork, PgBackRestFailed, Runner
from chronos_secrets.pgbackrest.server import Server
from chronos_secrets.systems.hosts import Local
from tests.support.backup_hosts import Machine, here
from tests.support.backups import STANZA

pytestmark = pytest.mark.xdist_group("backup-hosts")


@pytest.fixture
def world(backup_machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    here(backup_machine).enter(monkeypatch)
    return backup_machine


@pytest.fixture
def archiving(world: Machine) -> Iterator[Machine]:
    """A world whose archive_command a test may change."""
    yield world
    world.archive()


def _runner(world: Machine, config: Path | None = None) -> Runner:
    return Runner(Local(), config=str(config or world.config), stanza=STANZA, render="render it", user="postgres")


def _refused(world: Machine, *words: str, config: Path | None = None) -> PgBackRestFailed:
    with pytest.raises(PgBackRestFailed) as raised:
        _runner(world, config).run(*words, timeout=60)
    return raised.value


def _archive_by(world: Machine, command: str) -> None:
    world.database.ask(f"ALTER SYSTEM SET archive_command = '{command}'")
    world.database.ask("SELECT pg_reload_conf()")


def test_a_stanza_that_was_stopped_says_how_to_let_it_run_again(world: Machine):
    world.must("stop")
    try:
        failed = _refused(world, "backup", "--type=incr")
        assert (failed.status, "pgbackrest was told to stop" in failed.message) == (62, True)
        assert (failed.hint or "").endswith(" start")
    finally:
        world.must("start")


def test_an_archive_command_that_is_none_of_ours_is_said(archiving: Machine):
    _archive_by(archiving, "/bin/true")
    failed = _refused(archiving, "check")
    assert (failed.status, "archive_command does not call pgbackrest" in failed.message) == (68, True)


def test_wal_that_does_not_arrive_is_said(archiving: Machine):
    _archive_by(archiving, "/bin/false pgbackrest")
    failed = _refused(archiving, "check", "--archive-timeout=1")
    assert (failed.status, "did not reach the repository in time" in failed.message) == (82, True)


def test_a_database_that_is_away_stops_a_backup(world: Machine):
    config = world.config.parent / "away.conf"
    world.write(config, world.config.read_text().replace(f"pg1-port={world.database.port}", "pg1-port=1"))
    try:
        failed = _refused(world, "backup", config=config)
        assert (failed.status, failed.message.endswith("the database does not answer")) == (56, True)
    finally:
        config.unlink()


def test_a_value_that_an_option_does_not_take_is_said(world: Machine):
    failed = _refused(world, "check", "--io-timeout=soon")
    assert (failed.status, "not one that pgbackrest takes" in failed.message) == (32, True)


def test_a_lock_that_is_held_is_busy(world: Machine):
    with world.held_backup("incr") as held:
        failed = _refused(world, "expire")
        assert isinstance(failed, AtWork)
        assert (failed.status, failed.exit) == (50, Exit.BUSY)
        assert held.end()[0] == 0


def test_the_words_of_a_verify_are_those_that_are_read(world: Machine):
    found = verifying.parse(_runner(world).run("verify", *verifying.OPTIONS, timeout=120).out.decode())
    assert found is not None
    assert found.good
    assert {each.kind for each in found.parts} == {"WAL", "backup"}
    assert all(each.checked and each.status == "valid" for each in found.parts)


def test_what_an_option_is_there_is_told_wherever_it_was_set(world: Machine, monkeypatch: pytest.MonkeyPatch):
    runner = _runner(world)
    assert runner.setting("process-max") == "1"  # the file
    assert runner.setting("log-path") == "/var/log/pgbackrest"  # the default
    monkeypatch.setenv("PGBACKREST_LOG_PATH", "/somewhere")
    assert runner.setting("log-path") == "/somewhere"
    assert world.key.secret not in (runner.setting("repo-s3-key-secret") or "")


def test_a_file_of_the_repository_is_read_in_clear_text(world: Machine):
    assert {each.name for each in _runner(world).repo_ls(f"archive/{STANZA}")} >= {"archive.info"}
    assert b"[db:history]" in _runner(world).repo_get(f"archive/{STANZA}/archive.info")


def test_a_statement_that_fails_is_a_failure_whatever_the_accounts_own_psqlrc_says(
    world: Machine, monkeypatch: pytest.MonkeyPatch
):
    own = world.config.parent / "psqlrc"
    world.write(own, "\\set ON_ERROR_STOP 0\n\\pset format aligned\n")
    monkeypatch.setenv("PSQLRC", str(own))
    port, socket = world.database.port, str(world.database.folder)
    server = Server(Local(), account="postgres", role="admin", database="birds", port=port, socket=socket)
    try:
        assert server.ask("SELECT 1, NULL") == [["1", ""]]
        with pytest.raises(TargetFailed, match="division by zero"):
            server.ask("SELECT 1/0", "SELECT 1")
        with pytest.raises(TargetFailed, match='relation "pg_class; SELECT" does not exist'):
            server.count("pg_class; SELECT")
    finally:
        own.unlink()
