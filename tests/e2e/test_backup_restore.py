"""`backup restore` on real servers: a writer goes on while backups run, and what comes back is what it had committed."""

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from chronos_secrets.pgbackrest import info
from tests.support.backup_hosts import (
    Backed,
    Boxed,
    Machine,
    boxed,
    here,
    in_container,
    in_container_over_ssh,
    machine,
    over_ssh,
    ssh_to,
)
from tests.support.backups import STANZA
from tests.support.commands import Done
from tests.support.seaweed import Seaweed
from tests.support.sightings import Writer, query
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("backup-restore")

World = Machine | Boxed


def numbers(world: World) -> list[object]:
    """The writer's rows that are there."""
    return [number for (number,) in query(world.database, "SELECT number FROM sightings ORDER BY number")]


def archive(world: World) -> None:
    """Send all WAL that there is to the repository, and wait until it is there."""
    ((at,),) = query(world.database, "SELECT pg_walfile_name(pg_switch_wal())::bytea")
    sent = f"SELECT 1 FROM pg_stat_archiver WHERE last_archived_wal >= '{bytes(at).decode()}'"  # noqa: S608  our own
    until(lambda: query(world.database, sent), f"{bytes(at).decode()} is not archived")


def start(world: Machine) -> None:
    """Start the server of a plain host, as its operator does."""
    options = f"-p {world.database.port} -k {world.database.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    with world._found():
        world.database._run("pg_ctl", "-D", "d", "-l", "log", "-w", "-o", options, "start")


def wait_until_open(world: World) -> None:
    """Wait until a server that has something to replay takes writes."""
    until(lambda: _is_open(world), "the server takes no writes")


def _is_open(world: World) -> bool:
    with contextlib.suppress(psycopg.OperationalError):
        return query(world.database, "SELECT pg_is_in_recovery()") == [(False,)]
    return False


def paste(line: str) -> str:
    """Run a printed line; what it says."""
    assert "\n" not in line
    ran = subprocess.run(
        ("sh", "-c", line), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120
    )
    assert ran.returncode == 0, (line, ran.stdout)
    return ran.stdout


class Site(Backed):
    """A project whose database may be restored."""

    world: World

    def backup(self, *words: str) -> Done:
        done = self.run("backup", *words, "--password-file", self.password_file)
        assert not {"aws.secret_access_key", "cipher.passphrase"} & set(self.leaked(done.text))
        return done

    def restore(self, *words: str) -> Done:
        return self.backup("restore", *words)

    @property
    def backups(self) -> tuple[info.Backup, ...]:
        return info.parse(self.world.must("--output=json", "info").encode(), STANZA).backups

    @property
    def labels(self) -> list[str]:
        return [each.label for each in self.backups]

    def stop(self) -> None:
        """Stop the server of a plain host, as its operator does; nothing where it is stopped."""
        if (self.world.data / "postmaster.pid").exists():
            self.world.database._run("pg_ctl", "-D", "d", "-m", "fast", "-w", "stop")


def interrupt(site: Site, *words: str) -> str:
    """Ctrl-C while the files are fetched; what the person hears."""

    def ctrl_c(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chronos_secrets.pgbackrest.restore.fetch", ctrl_c)
        done = site.restore(*words)
    assert done.status == 130, done.text
    return done.err


@contextlib.contextmanager
def years_later(world: Machine) -> Iterator[None]:
    """What a restore left whose command was never run again, though its server was started."""
    path = next(world.folder.glob("pg/d.restoring/mark"))
    kept = path.read_text()
    path.write_text(json.dumps({**json.loads(kept), "stamp": "20200101T000000Z"}))
    yield
    path.write_text(kept)


PROBED = "probe_tables: [public.sightings]"


@pytest.fixture(scope="module")
def plain(backup_cloud: Seaweed) -> Iterator[Machine]:
    with machine(backup_cloud) as made:
        yield made


@pytest.fixture(scope="module")
def box(backup_cloud: Seaweed) -> Iterator[Boxed]:
    with boxed(backup_cloud) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path, plain: Machine, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, here(plain), monkeypatch, database=PROBED)


@pytest.fixture
def remote(tmp_path: Path, plain: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with ssh_to(plain) as sshd:
        yield Site(tmp_path, over_ssh(plain, sshd), monkeypatch, database=PROBED)


def test_a_time_brings_back_exactly_what_was_committed_before_it(site: Site, plain: Machine):
    with Writer(plain) as writer:
        assert site.backup("incr").status == 0
        at = writer.moment()
        writer.wait(5)
    archive(plain)
    assert site.backup("incr").status == 0
    left = max(site.labels)
    before = numbers(plain)
    told = site.restore("--to-time", at.isoformat(), "--dry-run")
    assert (told.status, "replays WAL until" in told.out) == (0, True), told.text
    assert numbers(plain) == before
    refused = site.restore("--to-time", at.isoformat(), "--yes")
    assert (refused.status, "is running" in refused.err) == (5, True), refused.text

    site.stop()
    asked = site.restore("--to-time", at.isoformat(), "--start")
    assert (asked.status, "nobody can be asked" in asked.err) == (5, True), asked.text
    said = interrupt(site, "--to-time", at.isoformat(), "--start", "--yes")
    assert f"{plain.data} on this machine is as it was; to use it again: " in said
    assert "to go on with the restore: chronos-secrets backup restore --to-time" in said
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chronos_secrets.cli.backup.progress._LINE", 0.0)
        done = site.restore("--to-time", at.isoformat(), "--start", "--yes")
    assert done.status == 0, done.text
    assert re.search(r"^recovery: (the server starts|replays WAL: .+) \([0-9]+ s\)$", done.err, re.MULTILINE), done.err
    assert numbers(plain) == writer.until(at)
    assert f"public.sightings: {len(writer.until(at))} rows" in done.out
    left_behind = site.restore("--set", left, "--dry-run", "--no-drift-check")
    assert (left_behind.status, "timeline that was left" in left_behind.err) == (5, True), left_behind.text

    given_up = writer.until(at)
    *_, stop, put_back, begin = done.out.splitlines()
    assert ("systemctl stop" in stop, "systemctl start" in begin) == (True, True), done.out
    site.stop()
    paste(put_back)
    start(plain)
    wait_until_open(plain)
    assert numbers(plain) == before != given_up
    query(plain.database, "INSERT INTO sightings VALUES (-1)")
    archive(plain)
    site.stop()
    assert site.restore("--start", "--yes").status == 0
    assert numbers(plain) == [-1, *before], "the next restore follows the old data, and not what was given up"


def test_the_latest_state_has_all_that_was_archived_and_a_person_may_start_the_server(remote: Site, plain: Machine):
    with Writer(plain) as writer:
        writer.wait(5)
    remote.stop()  # which archives the last of it
    plain.data.rename(plain.folder / "kept" / "lost")
    kept = [row.number for row in writer.rows]
    done = remote.restore("--yes")
    assert (done.status, "the server is not started" in done.err) == (8, True), done.text
    looked = remote.restore("--start", "--dry-run")
    assert (looked.status, "its files are in place in" in looked.out, "moves" in looked.out) == (0, True, False)
    assert not (plain.data / "postmaster.pid").exists(), "a look starts nothing"
    start(plain)
    with years_later(plain):
        done = remote.restore("--yes")
        assert (done.status, "is running" in done.err) == (5, True), "another disaster's restore is not done yet"
    done = remote.restore("--yes", "--json")
    assert done.status == 0, done.text
    restored = json.loads(done.out)["restored"]
    assert (restored["aside"], restored["way_back"]) == (None, []), "there was no old data"
    assert numbers(plain)[-len(kept) :] == kept
    assert not list(plain.folder.glob("pg/d.restoring*"))
    assert remote.backup("check").status == 0


def test_a_container_is_stopped_restored_on_its_own_volume_and_started(
    tmp_path: Path, box: Boxed, monkeypatch: pytest.MonkeyPatch
):
    with ssh_to(box) as sshd:
        site = Site(tmp_path, in_container_over_ssh(box, sshd), monkeypatch, database=PROBED)
        with Writer(box) as writer:
            at = writer.moment()
            writer.wait(5)
        archive(box)
        done = site.restore("--to-time", at.isoformat(), "--yes")
        assert done.status == 0, done.text
        assert numbers(box) == writer.until(at)
        (aside,) = box.volume.glob("pgsql_tmp.*")
        assert (aside / "PG_VERSION").exists()
        before = site.backups[-1].size
        box.must("--type=full", "backup")
        assert site.backups[-1].size < 1.5 * before, "what was moved aside is not backed up"


def test_a_target_that_no_server_would_reach_is_refused_before_anything_is_touched(site: Site, plain: Machine):
    first = min(site.labels)
    assert site.backup("incr").status == 0
    last = site.backups[-1]
    for words, status, said in (
        (("--to-time", "2026-01-01 00:00"), 2, "does not say in which zone"),
        (("--to-time", "2999-01-01 00:00Z"), 5, "is in the future"),
        (("--to-time", "2020-01-01 00:00Z"), 5, f"{first} ended"),
        (("--to-time", datetime.now(UTC).isoformat()), 5, "its newest commit that can be replayed is of"),
        (("--set", "20200101-000000F"), 5, "there is no backup 20200101-000000F"),
        (("--immediate", "--to-time", "2026-01-01 00:00Z"), 2, "no time to replay to"),
        (("--set", last.label, "--to-time", last.started.isoformat()), 5, f"{last.label} ended"),
    ):
        done = site.restore(*words, "--yes", "--no-drift-check")
        assert (done.status, said in done.err) == (status, True), (words, done.text)
    query(plain.database, "SELECT 1")


@pytest.fixture
def scattered(plain: Machine) -> Iterator[Machine]:
    """A server with its three files outside of its data, as Debian keeps them."""
    outside = plain.folder / "conf"
    names = {"config_file": "postgresql.conf", "hba_file": "pg_hba.conf", "ident_file": "pg_ident.conf"}
    for name in names.values():
        (plain.data / name).rename(outside / name)
    try:
        plain.restart(" ".join(f"-c {setting}={outside / name}" for setting, name in names.items()))
        plain.must("--type=incr", "backup")
        yield plain
    finally:
        for name in names.values():
            (outside / name).rename(plain.data / name)
        plain.restart("")


def look(site: Site, folder: str, seen: Path, *words: str) -> None:
    """Restore into a folder, which is here `seen`, and do as the printed lines say."""
    done = site.restore("--to", folder, "--json", "--no-drift-check", *words)
    assert done.status == 0, done.text
    assert seen.stat().st_mode & 0o777 == 0o700
    start, wait, ask, stop, remove = json.loads(done.out)["commands"]
    what = "SELECT pg_is_in_recovery(), current_setting($$archive_mode$$), current_setting($$listen_addresses$$)"
    asked = f"echo '{what}' | {ask} --no-psqlrc --csv --tuples-only"
    said = ""
    for each in (start, wait, asked, stop, remove):
        ran = paste(each)
        said += ran if each == asked else ""
        if each == stop:
            dead = subprocess.run(("sh", "-c", wait), capture_output=True, text=True, check=False, timeout=120)
            assert (dead.returncode, "kill:" in dead.stdout + dead.stderr) == (1, False), dead
    assert said.splitlines()[-1] == "f,off,"
    assert not seen.exists()


def test_a_look_beside_production_stops_and_moves_nothing_and_its_commands_work_as_printed(
    site: Site, scattered: Machine
):
    query(scattered.database, "CREATE TABLE IF NOT EXISTS sightings (number int)")
    ours = sorted(each.name for each in (scattered.folder / "pg").iterdir())
    kept = scattered.folder / "kept"
    full = kept / "full"
    full.mkdir()
    (full / "mine").touch()
    refused = site.restore("--to", str(full))
    assert (refused.status, "is not empty" in refused.err) == (5, True), refused.text
    half = interrupt(site, "--to", str(kept / "half"), "--no-drift-check")
    assert f"to remove them: runuser -u postgres -- rm -rf {kept}/half {kept}/half.tablespaces" in half
    look(site, str(kept / "look"), kept / "look")
    assert sorted(each.name for each in (scattered.folder / "pg").iterdir()) == ours
    query(scattered.database, "SELECT 1")


def test_a_look_is_taken_in_the_container_of_the_database(tmp_path: Path, box: Boxed, monkeypatch: pytest.MonkeyPatch):
    site = Site(tmp_path, in_container(box), monkeypatch, database=PROBED)
    look(site, "/tmp/look", box.folder / "root" / "tmp" / "look", "--immediate")
    query(box.database, "SELECT 1")
