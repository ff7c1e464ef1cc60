"""`backup full|diff|incr|expire|stanza-create|check|info|verify|logs`: real PostgreSQL, pgBackRest and bucket."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chronos_secrets.cli.backup import place, progress, verified
from chronos_secrets.cli.session import Session
from chronos_secrets.pgbackrest import info
from chronos_secrets.settings import Flags
from chronos_secrets.systems.hosts import Local
from tests.support.backup_hosts import BOX, WAYS, Backed, Machine, Way, here, machine
from tests.support.backups import STANZA
from tests.support.commands import Done, Terminal, argv
from tests.support.seaweed import Seaweed
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("backup-hosts")

SCHEDULE = 'schedule: {full: "0 11 * * *", diff: "0 5,17,23 * * *", timezone: UTC, host: TIMERS}'


class Project(Backed):
    """A project whose `backup` commands are given the vault's password, or are `locked`."""

    def backup(self, *words: str, locked: bool = False) -> Done:
        given = ("--no-drift-check",) if locked and words[0] != "logs" else ()
        password = () if locked or words[0] == "logs" else ("--password-file", str(self.password_file))
        done = self.run("backup", *words, *given, *password, locked=True)
        assert not {"aws.secret_access_key", "cipher.passphrase"} & set(self.leaked(done.text))
        return done

    @property
    def stanza(self) -> info.Stanza:
        return info.parse(self.world.must("--output=json", "info").encode(), STANZA)

    @property
    def labels(self) -> list[str]:
        return [each.label for each in self.stanza.backups]

    def ended(self, before: int) -> bool:
        """Whether there is one more backup, and nothing of it is at work: it is listed before it lets go of its lock."""
        found = self.stanza
        return len(found.backups) > before and not found.backup_runs


@pytest.fixture(scope="module")
def spare(backup_cloud: Seaweed) -> Iterator[Machine]:
    """A world whose repository may be damaged."""
    with machine(backup_cloud) as made:
        yield made


@pytest.fixture
def project(tmp_path: Path, backups_here: Way, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, backups_here, monkeypatch, section=SCHEDULE)


# --- wherever the database is -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_backups_are_made_checked_and_listed_wherever_the_database_is(
    way: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    project = Project(tmp_path, request.getfixturevalue(way), monkeypatch, section=SCHEDULE)
    before = project.labels
    monkeypatch.setattr(progress, "_LINE", 0.0)
    done = project.backup("diff")
    assert done.status == 0, done.text
    label = (set(project.labels) - set(before)).pop()
    assert re.match(rf"{label}: diff backup of [0-9.]+ MiB, [0-9.]+ (KiB|MiB|B) new in the repository, in ", done.out)
    assert done.err.startswith("diff backup of birds on ")
    assert "diff backup: waits for the last WAL to reach the repository (" in done.err
    checked = project.backup("check", locked=True)
    assert checked.status == 0, checked.text
    assert re.match("the database sent WAL [0-9A-F]{24}, and it is in the repository\n", checked.out)
    listed = project.backup("info", "--json", locked=True)
    assert listed.status == 0, listed.text
    assert [each["label"] for each in json.loads(listed.out)["backups"]] == [*before, label]
    project.world.forget_failures()
    assert project.backup("logs", "--errors", "--since", "1 day").status == 0


@pytest.mark.parametrize("way", WAYS)
def test_what_a_program_prints_is_heard_while_it_runs(
    way: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    project = Project(tmp_path, request.getfixturevalue(way), monkeypatch)
    mark, heard = project.world.config.parent / "heard", bytearray()

    def hear(piece: bytes) -> None:
        heard.extend(piece)
        if b"begun" in heard:
            mark.touch()

    host = Session(Flags(inventory=str(project.inventory))).host(project.way.host)
    waits = 'echo begun; until [ -e "$1" ]; do sleep 0.05; done; echo ended'
    try:
        ran = host.run(("sh", "-c", waits, "sh", f"{Path(project.world.path).parent}/heard"), timeout=60, hear=hear)
    finally:
        mark.unlink(missing_ok=True)
    assert ran.out == heard == b"begun\nended\n"


def test_whoever_hears_hears_all_of_a_long_output_and_silence_too_and_only_its_ends_are_kept(tmp_path: Path):
    heard, silent = 0, tmp_path / "silent"

    def hear(piece: bytes) -> None:
        nonlocal heard
        heard += len(piece)
        if not piece:
            silent.touch()

    many = 'echo first; head -c 80000000 /dev/zero; until [ -e "$1" ]; do sleep 0.05; done; echo last'
    ran = Local().run(("sh", "-c", many, "sh", str(silent)), timeout=60, hear=hear)
    assert heard == 80000000 + len("first\nlast\n")
    assert ran.out.startswith(b"first\n")
    assert ran.out.endswith(b"\0last\n")
    assert len(ran.out) < 4 * 1024 * 1024


# --- before anything runs ---------------------------------------------------------------------------------------------


def test_a_configuration_that_is_not_what_render_writes_stops_every_command(project: Project):
    world, before = project.world, project.labels
    world.write(world.config, f"{world.config.read_text()}# by hand\n")
    for words in (("full",), ("info",), ("verify",), ("check",), ("expire",), ("stanza-create",)):
        done = project.backup(*words)
        assert done.status == 1, (words, done.text)
        assert f"error: {world.config} is not what `render pgbackrest` would write" in done.err
        hint = f"hint: chronos-secrets render pgbackrest    # or chronos-secrets backup {words[0]} --no-drift-check"
        assert hint in done.err
    assert project.labels == before
    assert project.backup("info", locked=True).status == 0


def test_without_the_drift_check_the_vault_is_not_opened(project: Project):
    project.vault.unlink()
    assert project.backup("info", locked=True).status == 0
    assert project.backup("info").status == 4


def test_what_was_not_accepted_on_this_machine_runs_nothing(project: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Backed, "trusting", False)
    text = project.inventory.read_text()
    text = text.replace("timezone: UTC, host: local", "timezone: UTC, host: far")
    project.inventory.write_text(text.replace("  host: local\n  config:", "  host: far\n  config:"))
    done = project.backup("info", locked=True)
    assert done.status == 5, done.text
    assert "chronos-secrets trust" in done.err


# --- a backup ---------------------------------------------------------------------------------------------------------


def test_a_lock_that_is_held_is_busy(project: Project):
    with project.world.held_backup("incr") as held:
        for words in ("full", "expire"):
            done = project.backup(words, locked=True)
            assert done.status == 6, done.text
            assert "another command of pgbackrest is at work on the stanza" in done.err
        assert "a backup or an expire is running now" in project.backup("info", locked=True).out
        assert held.end()[0] == 0


def test_a_terminal_shows_one_line_that_is_redrawn_and_taken_away(project: Project):
    command = argv("backup", "incr", "--no-drift-check")
    done = Terminal(command, folder=project.folder).end()
    assert done.status == 0, done.out
    assert re.search("\r\x1b\\[Kincr backup: ", done.out)
    assert re.search("\r\x1b\\[K[0-9]{8}-[0-9]{6}F_[0-9]{8}-[0-9]{6}I: incr backup of ", done.out)


def test_json_is_all_that_is_said(project: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "_LINE", 0.0)
    done = project.backup("incr", "--json", locked=True)
    assert (done.status, done.err) == (0, "")
    told = json.loads(done.out)
    assert told["command"] == "backup incr"
    assert told["backup"]["type"] == "incr"
    assert told["backup"]["label"] == project.labels[-1]


@pytest.mark.parametrize("way", ["backups_here", BOX])
def test_ctrl_c_says_what_becomes_of_the_backup(
    way: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    project = Project(tmp_path, request.getfixturevalue(way), monkeypatch)
    before, gap = len(project.labels), project.world.has_gap
    sends_nothing = "ALTER SYSTEM SET archive_command = '/bin/false pgbackrest'"  # and the backup waits for its WAL
    project.world.database.ask(sends_nothing)
    project.world.database.ask("SELECT pg_reload_conf()")
    try:
        terminal = Terminal(argv("backup", "incr", "--no-drift-check"), folder=project.folder)
        terminal.expect("incr backup: waits for ")
        terminal.type("\x03")
        done = terminal.end()
    finally:
        project.world.archive()
        project.world.has_gap = gap  # no segment went elsewhere
    assert done.status == 130, done.out
    if way == "backups_here":
        assert "the backup was ended; what it copied stays in the repository" in done.out
        assert project.world.run("--type=incr", "backup").returncode == 0  # the lock is free
    else:
        assert "the incr backup may go on on container chronos-db" in done.out
        assert "--force stop" in done.out
        until(lambda: project.ended(before), "the backup does not go on")


# --- a check ----------------------------------------------------------------------------------------------------------


def test_a_check_says_when_the_database_archives_with_another_configuration(project: Project):
    """pgBackRest's own check is content with a segment that arrives, however it came there."""
    world = project.world
    other = world.config.parent / "other.conf"
    world.write(other, world.config.read_text())
    command = f"pgbackrest --config={other} --stanza={STANZA} archive-push %p"
    world.database.ask(f"ALTER SYSTEM SET archive_command = '{command}'")
    world.database.ask("SELECT pg_reload_conf()")
    try:
        done = project.backup("check", locked=True)
        assert done.status == 1, done.text
        assert f"NO: the database's archive_command is not the inventory's: it does not use {world.config}" in done.out
    finally:
        world.archive()
        other.unlink()
    assert project.backup("check", locked=True).status == 0


# --- hints ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS[1:])
def test_a_hint_that_is_pasted_runs_wherever_the_database_is(
    way: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    """A container may have no program that changes the account, and its own one is the database's already."""
    project = Project(tmp_path, request.getfixturevalue(way), monkeypatch)
    project.world.must("stop")
    try:
        stopped = project.backup("expire", locked=True)
        assert stopped.status == 7, stopped.text
        hint = stopped.err.partition("hint: ")[2].splitlines()[0]
        assert hint.endswith((" start", " start'"))
        _pasted(hint)
        assert project.backup("expire", locked=True).status == 0
    finally:
        project.world.must("start")
    session = Session(Flags(inventory=str(project.inventory)))
    assert "42" in _pasted(place.of(session).server.by_hand("SELECT 6 * 7")).split()


def _pasted(command: str) -> str:
    """What a command prints, given to a shell as a person would."""
    ran = subprocess.run(("sh", "-c", command), capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
    return ran.stdout


# --- what there is ----------------------------------------------------------------------------------------------------


def test_an_info_tells_ages_sizes_wal_retention_and_what_is_expected_next(project: Project):
    done = project.backup("info", locked=True)
    assert done.status == 0, done.text
    head, *_ = done.out.splitlines()
    assert head.split()[:6] == ["BACKUP", "TYPE", "WHEN", "AGE", "TOOK", "SIZE"]
    assert re.search("^WAL of 15-1: [0-9A-F]{24}", done.out, re.MULTILINE)
    assert re.search("^retention: [1-9] of 4 full backups", done.out, re.MULTILINE)
    assert re.search("^repository: [0-9.]+ MiB in backups, besides the WAL$", done.out, re.MULTILINE)
    assert re.search("^next expected: full [0-9-]{10} 11:00 UTC, diff ", done.out, re.MULTILINE)
    told = json.loads(project.backup("info", "--json", locked=True).out)
    assert told["retention"]["full_wanted"] == 4
    assert told["repository_size"] == sum(each["repository_delta"] for each in told["backups"])
    assert datetime.fromisoformat(told["next_expected"]["full"]).hour == 11


def test_one_backup_is_shown_with_what_it_rests_on(project: Project):
    label = project.labels[0]
    done = project.backup("info", "--set", label, locked=True)
    assert done.status == 0, done.text
    assert "rests on: nothing" in done.out
    assert "no damaged page was found when it was made" in done.out
    wrong = project.backup("info", "--set", f"{label[:-1]}X", locked=True)
    assert wrong.status == 2
    assert label in wrong.err


# --- a repository that is dead, empty or damaged ----------------------------------------------------------------------


@pytest.fixture
def lonely(tmp_path: Path, spare: Machine, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of a world of its own."""
    return Project(tmp_path, here(spare), monkeypatch)


def test_a_dead_key_is_no_empty_repository(lonely: Project):
    """`pgbackrest info` itself ends with 0 and an empty list."""
    world = lonely.world
    dead = world.cloud.key(world.user)
    world.store(dead)
    world.cloud.delete(world.user, dead.id)
    for words in ("info", "diff", "verify", "restore", "drill"):
        done = lonely.backup(words, locked=True)
        assert done.status == 7, done.text
        assert "the bucket's server does not know the access key" in done.err
        assert "hint: chronos-secrets render pgbackrest" in done.err
        assert dead.secret not in done.text


def test_a_verify_that_finds_nothing_wrong_is_remembered(lonely: Project):
    assert verified.last_verified(lonely.state) is None
    done = lonely.backup("verify")
    assert done.status == 0, done.text
    assert re.search("^WAL of 15-1 +[0-9]+ +good$", done.out, re.MULTILINE)
    assert re.search("F +[0-9]+ +good$", done.out, re.MULTILINE)
    at = verified.last_verified(lonely.state)
    assert at is not None
    assert datetime.now(UTC) - at < timedelta(minutes=2)


def test_a_verify_finds_files_that_are_missing_or_damaged_and_wal_that_is_missing(lonely: Project):
    """`pgbackrest verify` ends with 0, and says nothing of the WAL."""
    world = lonely.world
    label, archive = lonely.labels[0], f"archive/{STANZA}/15-1/0000000100000000"
    for _ in range(3):
        world.must("check")
    files = world.must("repo-ls", "--recurse", f"backup/{STANZA}/{label}").split()
    gone, broken = (
        next(each for each in files if each.endswith(name)) for name in ("base/1/1249.gz", "base/1/1255.gz")
    )
    world.must("repo-rm", f"backup/{STANZA}/{label}/{gone}")
    world.must("repo-rm", f"backup/{STANZA}/{label}/{broken}")
    put = (*world.argv("repo-put", "--raw"), f"/var/lib/pgbackrest/backup/{STANZA}/{label}/{broken}")
    environment = {**os.environ, **world.environment}
    account = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
    subprocess.run((*account, *put), input=b"damaged", check=True, env=environment, cwd=world.folder)
    segments = sorted(each for each in world.must("repo-ls", archive).split() if re.match("[0-9A-F]{24}-", each))
    world.must("repo-rm", f"{archive}/{segments[-2]}")
    done = lonely.backup("verify", locked=True)
    assert done.status == 1, done.text
    assert re.search(f"^{label} +[0-9]+ +NOT GOOD: 1 missing, 1 damaged$", done.out, re.MULTILINE)
    assert f"{label}/{gone} (file missing)" in done.out
    missing = segments[-2][:24]
    assert f"WAL {missing} is missing: no restore to a time after about " in done.out
    assert "until a new full backup is made" in done.out
    told = json.loads(lonely.backup("verify", "--json", locked=True).out)
    assert told["good"] is False
    assert [(each["first"], each["segments"]) for each in told["missing_wal"]] == [(missing, 1)]
    found = verified.load(lonely.state)
    assert found is not None
    assert (found.good, found.last_good) == (False, None)


def test_an_expire_says_what_it_lets_go(lonely: Project):
    world = lonely.world
    old, _ = lonely.labels[0], world.must("--type=full", "backup")
    text = world.config.read_text()
    world.write(world.config, text.replace("repo1-retention-full=4", "repo1-retention-full=1"))
    would = lonely.backup("expire", "--dry-run", locked=True)
    assert (would.status, would.out.split()) == (0, ["WOULD", "GO", old])
    assert old in lonely.labels
    done = lonely.backup("expire", locked=True)
    assert (done.status, done.out.split()) == (0, ["GONE", old])
    assert old not in lonely.labels
    assert "every backup is kept" in lonely.backup("expire", locked=True).err


# --- logs -------------------------------------------------------------------------------------------------------------


def test_logs_show_what_was_written_and_end_with_1_for_an_error(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = Path(tempfile.mkdtemp(prefix="log-", dir="/tmp"))
    folder.chmod(0o755)
    monkeypatch.setenv("PGBACKREST_LOG_PATH", str(folder))
    key = project.world.key
    project.world.forget_failures()
    try:
        assert "nothing was logged" in project.backup("logs").err
        now = datetime.now().strftime("%Y-%m-%d %H:%M:%S")  # noqa: DTZ005  # pgBackRest writes the host's own time
        lines = ("2020-01-01 00:00:00.000 P00  ERROR: [082]: an old one", f"{now}.000 P00   INFO: with {key.secret}")
        log = folder / f"{STANZA}-backup.log"
        log.write_text("".join(f"{each}\n" for each in lines))
        log.chmod(0o644)
        every = project.backup("logs")
        assert (every.status, len(every.out.splitlines())) == (0, 2)
        assert "INFO  with ***" in every.out
        assert key.secret not in every.text
        errors = project.backup("logs", "--errors")
        assert (errors.status, errors.out) == (1, "2020-01-01 00:00:00  ERROR  [082]: an old one\n")
        recent = project.backup("logs", "--errors", "--since", "3 days")
        assert (recent.status, "no warning and no error was logged" in recent.err) == (0, True)
        told = json.loads(project.backup("logs", "--json", "--since", "2019-12-31").out)
        assert [each["level"] for each in told["lines"]] == ["ERROR", "INFO"]
        assert told["errors"] == 1
        log.chmod(0o600)
        assert "cannot be read by the account that was used" in project.backup("logs").err
    finally:
        shutil.rmtree(folder)


def test_a_time_that_is_none_is_refused(project: Project):
    done = project.backup("logs", "--since", "yesterday")
    assert done.status == 2
    assert "'yesterday' is not a time such as '3 days', '1 year' or 2026-11-22" in done.err


def test_what_the_archiver_failed_at_is_among_the_errors(lonely: Project):
    database = lonely.world.database
    lonely.world.forget_failures()
    database.ask("ALTER SYSTEM SET archive_command = '/bin/false'")
    database.ask("SELECT pg_reload_conf()")
    try:
        database.ask("SELECT pg_logical_emit_message(true, 'aviary', 'a segment to archive'), pg_switch_wal()")
        until(lambda: lonely.backup("logs", "--errors").status, "the archiver does not fail")
        done = lonely.backup("logs", "--errors")
        assert re.search("^the database could not archive WAL [0-9]+ times, .*; it fails now$", done.out, re.MULTILINE)
    finally:
        lonely.world.archive()


# --- the beginning ----------------------------------------------------------------------------------------------------


def test_from_an_empty_repository_to_the_first_backup(lonely: Project):
    """The last test of this world: its WAL goes to another place then."""
    world = lonely.world
    world.write(world.config, world.config.read_text().replace("/var/lib/pgbackrest", "/chronos-probe"))
    nothing = lonely.backup("info", locked=True)
    assert nothing.status == 1, nothing.text
    assert "to make it: chronos-secrets backup stanza-create" in nothing.err
    assert lonely.backup("check", locked=True).status == 7
    assert lonely.backup("stanza-create", locked=True).out == "the stanza birds is made\n"
    assert lonely.backup("stanza-create", locked=True).out == "the stanza birds was there already\n"
    nothing = lonely.backup("info", locked=True)
    assert nothing.status == 1, nothing.text
    assert "to make one: chronos-secrets backup full" in nothing.err
    assert lonely.backup("verify", locked=True).status == 1
    first = lonely.backup("diff", locked=True)
    assert first.status == 0, first.text
    assert "there is no full backup that it could rest on, so it becomes a full one" in first.err
    assert "F: full backup of " in first.out
