"""`backup status` on real backups: here, behind ssh, in a container; and what `due` and `doctor` say of them."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chronos_secrets.pgbackrest import archiver
from chronos_secrets.pgbackrest.archiver import Archiver
from chronos_secrets.pgbackrest.server import Server
from chronos_secrets.systems.hosts import Local
from tests.support.backup_hosts import IN_BOX, WAYS, Backed, Way
from tests.support.clock import hold_clock
from tests.support.commands import Done
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("backup-hosts")

OBJECTIVES = "archive_timeout: 1 minute\n  objectives: {rpo: 15 minutes, full_age: 26 hours}"


class Keeper(Backed):
    """A project whose backups are looked at; no command is ever given the vault's password."""

    def status(self, *words: str) -> Done:
        done = self.run("backup", "status", *words)
        assert not self.leaked(done.text)
        assert self.world.key.id not in done.text
        return done

    def lines(self) -> dict[str, tuple[str, str]]:
        """State and reason by name."""
        told = json.loads(self.status("--json").out)
        return {each["name"]: (each["state"], each["why"]) for each in told["lines"]}

    def facts(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.status("--json").out)["facts"]
        return found

    def due(self) -> dict[str, str]:
        """The row of the full backup."""
        rows = json.loads(self.run("due", "--json").out)["rows"]
        (row,) = [each for each in rows if each["id"] == "backup.full"]
        return dict(row)

    @property
    def server(self) -> Server:
        port = self.world.database.port
        return Server(Local(), account="postgres", role="admin", database="birds", port=port)

    def ask(self, statement: str) -> None:
        self.world.database.ask(statement)


@pytest.fixture
def keeper(tmp_path: Path, backups_here: Way, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    return Keeper(tmp_path, backups_here, monkeypatch, section=OBJECTIVES)


def later(monkeypatch: pytest.MonkeyPatch, **time: int) -> None:
    hold_clock(monkeypatch, datetime.now(UTC) + timedelta(**time))


@pytest.fixture
def unhurried(keeper: Keeper) -> Iterator[None]:
    """The server sends no segment because its archive_timeout is over."""

    def let(seconds: int) -> None:
        keeper.ask(f"ALTER SYSTEM SET archive_timeout = {seconds}")
        keeper.ask("SELECT pg_reload_conf()")
        keeper.ask("CHECKPOINT")  # by the process that looks at the timeout, which has then heard of it

    let(0)
    yield
    let(60)


def send_all(keeper: Keeper) -> None:
    """Let the server send every commit that there is."""
    ((closed,),) = keeper.server.ask("SELECT pg_walfile_name(pg_switch_wal())")
    wait_for_archiver(keeper, lambda told: (told.last or "") >= closed)


def wait_for_archiver(keeper: Keeper, so: Callable[[Archiver], bool]) -> None:
    """Wait until the server's archiver is so."""
    server = keeper.server
    until(lambda: so(archiver.read(server)), "the archiver does not come to it")


def test_the_timer_of_due_looks_at_the_backups_first(keeper: Keeper):
    keeper.edit("version: 1\n", 'version: 1\ntimers: {due: {at: "0 9 * * *"}}\n')
    assert keeper.due()["state"] == "unknown"
    keeper.run("schedule", "run", "due")
    assert keeper.due()["state"] == "ok"


# --- where all is well ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WAYS)
def test_backups_that_stand_well_are_a_short_table_without_a_password(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
):
    done = Keeper(tmp_path, request.getfixturevalue(name), monkeypatch, section=OBJECTIVES).status()
    assert (done.status, done.err) == (0, ""), done.text
    assert "NO" not in done.out.split()
    assert max(map(len, done.out.splitlines())) <= 80
    names = ["repository", "last", "retention", "size", "WAL", "archiver", "settings", "verified", "drill"]
    told = [line.split()[0] for line in done.out.splitlines()[1:] if line[0] != " "]
    assert list(dict.fromkeys(told)) == names  # a last one of each kind


def test_a_program_reads_the_same_with_the_facts(keeper: Keeper):
    told = json.loads(keeper.status("--json").out)
    assert (told["version"], told["command"], told["good"]) == (1, "backup status", True)
    backup, *_ = told["facts"]["backups"]
    assert backup["kind"] == "full"
    assert told["facts"]["settings"] == []
    assert {each["state"] for each in told["lines"]} == {"ok", "open"}


def test_the_collector_reads_the_same_as_numbers(keeper: Keeper, monkeypatch: pytest.MonkeyPatch):
    done = keeper.status("--format", "prometheus", "--output", "backups.prom")
    assert (done.status, done.out, done.err) == (0, "", "")
    told = keeper.folder / "backups.prom"
    assert told.stat().st_mode & 0o777 == 0o644
    found = {
        (sample.name.removeprefix("chronos_secrets_"), *sorted(set(sample.labels.values()) - {"aviary"})): sample.value
        for family in text_string_to_metric_families(told.read_text())
        for sample in family.samples
    }
    backups = json.loads(keeper.status("--json").out)["facts"]["backups"]
    full = max(datetime.fromisoformat(each["stopped"]).timestamp() for each in backups if each["kind"] == "full")
    assert found["backup_stopped_timestamp_seconds", "full", "repo1"] == full
    assert found["objective_seconds", "full_age"] == 26 * 3600
    assert found["wal_fails",] == 0
    assert found["backup_is_as_promised", "last full"] == found["backup_is_as_promised", "WAL"] == 1
    assert "--output goes with --format prometheus" in keeper.status("--json", "--output", "x").err
    later(monkeypatch, hours=27)
    late = keeper.status("--format", "prometheus")
    assert late.status == 1
    assert 'what="last full"} 0' in late.out


# --- backups ----------------------------------------------------------------------------------------------------------


def test_a_full_backup_that_is_too_old_is_a_reason_with_the_command_that_helps(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
):
    later(monkeypatch, hours=27)
    done = keeper.status()
    assert done.status == 1
    assert "promised every 1 d 2 h" in done.out
    assert "hint: chronos-secrets backup full" in done.err


def test_a_diff_of_the_schedule_that_never_came_is_a_reason(keeper: Keeper, monkeypatch: pytest.MonkeyPatch):
    keeper.edit(
        "archive_timeout: 1 minute",
        'archive_timeout: 1 minute\n  schedule: {full: "30 6 1 1 *", diff: "0 * * * *", host: local}',
    )
    later(monkeypatch, hours=5)
    assert keeper.lines()["last diff"][0] == "ok"  # within the grace after each hour
    keeper.edit('diff: "0 * * * *"', f'diff: "0 {(datetime.now(UTC).hour + 2) % 24} * * *"')
    assert keeper.lines()["last diff"][0] == "no"


# --- WAL --------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unhurried")
def test_a_commit_that_is_not_archived_yet_is_seen_and_an_idle_database_has_none(keeper: Keeper):
    keeper.ask("CREATE TABLE one_more ()")
    keeper.ask("DROP TABLE one_more")
    send_all(keeper)
    keeper.ask("CHECKPOINT")  # an idle server goes on writing such records
    facts = keeper.facts()
    assert facts["archiver"]["bytes_behind"] > 0  # type: ignore[index]  # JSON
    assert facts["oldest_waiting_commit"] is None
    state, why = keeper.lines()["WAL"]
    assert state == "ok", why

    before = datetime.now(UTC)
    keeper.ask("CREATE TABLE one_commit ()")
    keeper.ask("DROP TABLE one_commit")
    waiting = datetime.fromisoformat(str(keeper.facts()["oldest_waiting_commit"]))
    assert before <= waiting <= datetime.now(UTC)
    state, why = keeper.lines()["WAL"]
    assert state == "ok"
    assert why.endswith("ago is not in the repository yet")
    keeper.edit("rpo: 15 minutes", "rpo: 1 second")
    until(lambda: datetime.now(UTC) - waiting > timedelta(seconds=1), "a second does not pass")
    state, why = keeper.lines()["WAL"]
    assert (state, why.endswith("promised within 1 s")) == ("no", True), why


def test_an_archiver_that_fails_is_a_reason_until_it_succeeds_again(keeper: Keeper):
    keeper.ask("ALTER SYSTEM SET archive_command = '/bin/false'")
    keeper.ask("SELECT pg_reload_conf()")
    try:
        keeper.ask("CREATE TABLE unlucky ()")
        keeper.ask("SELECT pg_switch_wal()")
        wait_for_archiver(keeper, lambda told: told.fails)
        lines = keeper.lines()
        assert (lines["archiver"][0], lines["settings"][0]) == ("no", "no")
        assert "it does not call pgbackrest" in lines["settings"][1]
        assert keeper.status().status == 1
    finally:
        keeper.world.archive()
        keeper.ask("DROP TABLE unlucky")
    wait_for_archiver(keeper, lambda told: not told.fails)
    assert keeper.lines()["archiver"][0] == "ok"


def test_an_archive_timeout_that_cannot_keep_the_promise_is_a_reason(keeper: Keeper):
    keeper.edit("archive_timeout: 1 minute", "archive_timeout: 1 minute  # too slow")
    keeper.edit("rpo: 15 minutes", "rpo: 30 seconds")
    state, why = keeper.lines()["settings"]
    assert (state, why) == ("no", "archive_timeout is 1 min; promised within 30 s")


# --- what cannot be asked ---------------------------------------------------------------------------------------------


def test_a_database_that_is_down_is_a_reason_and_the_backups_are_still_shown(keeper: Keeper):
    keeper.edit(f"port: {keeper.world.database.port}", "port: 1")
    done = keeper.status()
    assert done.status == 1
    assert "the database on this machine does not answer" in " ".join(done.out.split())
    assert "if it is stopped and starting it does not help: chronos-secrets backup restore --dry-run" in done.err
    lines = keeper.lines()
    assert (lines["WAL"][0], lines["archiver"][0], lines["last full"][0]) == ("no", "no", "ok")


@pytest.mark.usefixtures("unhurried")
def test_wal_that_cannot_be_read_is_said_and_the_time_of_the_last_segment_is_shown(keeper: Keeper):
    keeper.ask("CREATE TABLE unseen ()")
    keeper.ask("DROP TABLE unseen")
    keeper.edit(f"data: {keeper.world.data}", "data: /nowhere")
    state, why = keeper.lines()["WAL"]
    assert (state, "the WAL that waits on this machine cannot be read" in why) == ("open", True), why


@pytest.mark.parametrize("words", [("status",), ("configure", "--check")])
def test_a_place_that_nobody_here_accepted_is_not_asked(keeper: Keeper, words: tuple[str, ...]):
    keeper.trusting = False
    keeper.edit("database: birds", "database: other")
    done = keeper.process("backup", *words)
    assert done.status == 5
    assert "the inventory reaches further" in done.err
    assert done.out == ""


@pytest.fixture
def other_key(keeper: Keeper) -> Iterator[None]:
    """The configuration on the host has a key that the bucket's server does not know."""
    world, text = keeper.world, keeper.world.config.read_text()
    world.write(world.config, text.replace(world.key.id, f"AKIA{'X' * 16}"))
    yield
    world.write(world.config, text)


@pytest.mark.usefixtures("unhurried", "other_key")  # the archiver, too, would fail with it
def test_a_repository_that_cannot_be_read_is_a_reason_and_the_database_is_still_shown(keeper: Keeper):
    done = keeper.status()
    assert done.status == 1
    assert "does not know the access key" in " ".join(done.out.split())
    assert "hint: chronos-secrets render pgbackrest" in done.err
    lines = keeper.lines()
    assert (lines["repository"][0], lines["archiver"][0]) == ("no", "ok")


# --- due and doctor ---------------------------------------------------------------------------------------------------


def test_due_goes_by_what_was_seen_last_and_asks_nobody(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    row = keeper.due()
    assert (row["state"], row["next"]) == ("unknown", "never looked at from this machine")
    assert row["how"] == "chronos-secrets backup status"
    assert keeper.status().status == 0
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("pgbackrest", "psql", "sh"):
        (programs / name).write_text("#!/bin/false\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    assert keeper.due()["state"] == "ok"
    later(monkeypatch, hours=27)
    assert keeper.due()["state"] == "unknown"


def test_doctor_sees_who_may_read_the_configuration(keeper: Keeper):
    world, text = keeper.world, keeper.world.config.read_text()
    send_all(keeper)  # without a file that it can read, the archiver would fail
    done = keeper.run("doctor", "backups")
    assert done.status == 0, done.text
    assert "pgbackrest.conf is private" in done.out
    world.config.chmod(0o644)
    try:
        assert world.run("info").returncode == 0  # pgBackRest says nothing of it
        done = keeper.run("doctor", "backups")
        assert done.status == 1
        assert "can be used by others: mode 0644" in " ".join(done.out.split())
        assert f"fix: chmod 600 {world.config}" in done.out
        if os.geteuid() == 0:
            world.config.chmod(0o600)
            shutil.chown(world.config, "root")
            assert f"{world.config} belongs to root, not to postgres" in " ".join(
                keeper.run("doctor", "backups").out.split()
            )
        world.config.unlink()
        assert "fix: chronos-secrets render pgbackrest" in keeper.run("doctor", "backups").out
    finally:
        world.write(world.config, text)
        world.config.chmod(0o600)


@IN_BOX
def test_doctor_asks_another_host_only_when_it_is_told_to(
    tmp_path: Path, backups_in_container_over_ssh: Way, monkeypatch: pytest.MonkeyPatch
):
    keeper = Keeper(tmp_path, backups_in_container_over_ssh, monkeypatch, section=OBJECTIVES)
    done = keeper.run("doctor", "backups")
    assert (done.status, "not looked at" in done.out) == (0, True)
    done = keeper.run("doctor", "backups", "--connect")
    assert done.status == 0, done.text
    assert "the database archives its WAL" in done.out
    keeper.ask("ALTER SYSTEM SET archive_timeout = 7")
    keeper.ask("SELECT pg_reload_conf()")
    try:
        done = keeper.run("doctor", "backups", "--connect")
        assert done.status == 1
        assert "archive_timeout: the inventory says otherwise" in " ".join(done.out.split())
    finally:
        keeper.world.archive()
