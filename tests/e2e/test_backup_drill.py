"""Drills as their users meet them: a real database, real backups in a bucket, and nothing left of the drill."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chronos_secrets.cli.backup import drilled, progress
from chronos_secrets.pgbackrest import drill, scratch
from chronos_secrets.pgbackrest.scratch import PORT
from chronos_secrets.systems import files
from tests.support.backup_hosts import BOX, DESTINATION, Backed, Way
from tests.support.commands import Done
from tests.support.drills import timelines
from tests.support.mounts import nobody_may_mount
from tests.support.pages import Reader
from tests.support.sightings import Row, Writer, query

pytestmark = pytest.mark.xdist_group("backup-hosts")

OBJECTIVES = "rpo: 15 minutes, rto: 1 hour, drill: 3 months"


class Driller(Backed):
    """A project whose drills are held in `ground`, a folder for nothing else."""

    ground: Path

    def drill(self, *words: str, status: int = 0) -> Done:
        done = self.run("backup", "drill", "--no-drift-check", *words)
        assert done.status == status, done.text
        return done

    def told(self, *words: str) -> dict[str, Any]:
        return dict(json.loads(self.drill("--json", *words).out))


def driller(
    folder: Path, way: Way, patch: pytest.MonkeyPatch, ground: Path, *, objectives: str = OBJECTIVES, probe: str = ""
) -> Driller:
    way.world.close_gap()
    section = f"objectives: {{{objectives}}}\n  drill: {{path: {ground}}}"
    made = Driller(folder, way, patch, section=section, database=f"probe_tables: [{probe}]" if probe else "")
    made.ground = ground
    return made


@pytest.fixture
def project(tmp_path: Path, hurried: None, backups_here: Way, monkeypatch: pytest.MonkeyPatch, ground: Path) -> Driller:
    return driller(tmp_path, backups_here, monkeypatch, ground)


def due(project: Driller) -> dict[str, dict[str, Any]]:
    """The rows of `due`, by id."""
    return {row["id"]: row for row in json.loads(project.run("due", "--json").out)["rows"]}


@pytest.fixture(scope="module")
def rows(backups_here: Way) -> Iterator[list[Row]]:
    """What a writer commits every 50 ms while the tests of this module run."""
    backups_here.world.close_gap()
    with Writer(backups_here.world, pause=0.05) as writer:
        while writer.rows[-1].known - writer.rows[0].sent < timedelta(seconds=3):  # a backup's end is a whole second
            writer.wait(1)
        yield writer.rows


@pytest.mark.usefixtures("hurried")
def test_a_drill_proves_random_moments_under_a_writer_and_leaves_nothing(
    tmp_path: Path, backups_here: Way, monkeypatch: pytest.MonkeyPatch, ground: Path, rows: list[Row]
):
    before = timelines(backups_here.world)
    project = driller(tmp_path, backups_here, monkeypatch, ground, probe="public.sightings, chronos_secrets.drill")
    told = project.told("--random-pitr", "2", "--seed", "7")
    assert told["good"] is True
    rto, rpo = told["rto"], told["rpo"]
    assert rto["total"] == pytest.approx(sum(rto[part] for part in ("fetch", "replay", "query")), abs=0.01)
    assert rto["fetch"] > 0.2
    assert rpo["lost"] == 0
    assert rpo["total"] == pytest.approx(60 + rpo["shipped"])
    assert told["rows"]["chronos_secrets.drill"] >= 1
    assert 5 < told["rows"]["public.sightings"] <= len(rows)
    good = {each["name"]: each["good"] for each in told["checks"]}
    assert good == {"open for writing": True, "marker": True, "tables": True, "data checksums": None, "amcheck": True}
    assert [each["fault"] for each in told["moments"]] == [None, None]
    assert all((each["newest_commit"] or "") <= each["target"] for each in told["moments"])
    assert told["seed"] == 7
    assert list(ground.iterdir()) == []
    assert timelines(backups_here.world) == before, "WAL of the restored server was archived"


def test_a_kept_moment_of_low_priority_holds_exactly_what_was_committed_before_it(
    tmp_path: Path, backups_here: Way, monkeypatch: pytest.MonkeyPatch, ground: Path, rows: list[Row]
):
    project = driller(tmp_path, backups_here, monkeypatch, ground)
    task = "dr-drill: {title: A drill, every: 3 months, from: 2026-01-01, run: [backup, drill, --random-pitr]}"
    project.edit("cloud:\n", f"tasks:\n  {task}\ncloud:\n")
    assert due(project)["dr-drill"]["how"] == "chronos-secrets backup drill --random-pitr"
    done = project.run("backup", "drill", "--random-pitr", "--seed", "11", "--keep", "--json", "--no-drift-check")
    assert done.status == 0, done.text
    told = json.loads(done.out)
    assert len(told["moments"]) == 1
    assert due(project)["dr-drill"]["state"] == "ok"
    (folder,) = ground.iterdir()
    server = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    assert os.getpriority(os.PRIO_PROCESS, server) == 19
    assert folder.stat().st_mode & 0o777 == 0o700
    target = datetime.fromisoformat(told["moments"][0]["target"])

    def restored(statement: str) -> list[tuple[object, ...]]:
        return query(project.world.database, statement, folder=folder, port=PORT)

    if target > rows[0].known:
        found = {number for (number,) in restored("SELECT number FROM sightings")}
        assert {row.number for row in rows if row.known < target} <= found
        assert not {row.number for row in rows if row.sent > target} & found
    assert restored("SHOW archive_mode") == [(b"off",)]
    own = (folder / "data" / "postgresql.auto.conf").read_text()
    assert "archive_mode = 'off'" in own, "whoever starts it by hand starts a server that archives nothing"
    assert restored("SHOW listen_addresses") == [(b"",)]
    assert str(folder) in project.drill("--clean").out
    assert list(project.ground.iterdir()) == []


def test_the_report_is_filed_privately_and_due_counts_the_drill(project: Driller, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "_LINE", 0.0)
    states = [due(project)["backup.drill"]["state"]]
    done = project.drill("--format", "md")
    assert re.search("^fetch: [0-9]+ % fetched ", done.err, re.MULTILINE)
    assert done.out.startswith("# Restore drill of aviary, ")
    (written,) = (project.state / "drills").glob("*.md")
    assert written.read_text() == done.out
    assert str(written) in done.err
    assert {
        path.stat().st_mode & 0o777 for path in (written, written.with_suffix(".json"), project.state / "drills.jsonl")
    } == {0o600}
    last = drilled.last_drill(project.state)
    assert last is not None
    assert (last.good, last.report) == (True, written.stem)
    assert json.loads(written.with_suffix(".json").read_text())["rto"]["total"] == last.rto
    states.append(due(project)["backup.drill"]["state"])
    assert states == ["unknown", "ok"]
    assert "backup-drill" in project.run("history").out


def test_a_drill_makes_a_page_of_all_drills_and_the_review_page_shows_drills_and_backups(project: Driller):
    (project.folder / "notes.html").write_text("mine")
    refused = project.drill("--format", "html", "--output", "notes.html", status=5)
    assert "this program did not make it" in refused.err
    assert "looking at the backups" not in refused.err, "an hour of work has nowhere to go"
    assert "--output goes with --format html" in project.drill("--json", "--output", "page.html", status=2).err
    assert project.drill("--format", "html", "--output", "drills.html").out == "made drills.html\n"
    drills, last = (project.folder / "drills.html").read_text(), drilled.last_drill(project.state)
    assert last is not None
    assert last.parts is not None
    assert sum(last.parts) == pytest.approx(last.rto, abs=0.01)
    assert re.findall(r'class="(\w+)" x="[0-9.]+%"', drills) == ["fetch", "replay", "first_query"]
    assert project.run("backup", "status").status == 0, "the drill counts"
    review = Reader(project.run("due", "--format", "html").out).text
    kind = {"F": "full", "D": "diff", "I": "incr"}[str(last.backup)[-1]]  # the newest one, whichever test made it
    assert f"{last.backup} repo1 {kind}" in review
    assert "As last seen from this machine, on " in review
    assert review.count("kept") == 1


def test_objectives_that_were_missed_are_named(
    tmp_path: Path, hurried: None, backups_here: Way, monkeypatch: pytest.MonkeyPatch, ground: Path
):
    world = backups_here.world
    project = driller(
        tmp_path, backups_here, monkeypatch, ground, objectives="rpo: 15 minutes, rto: 1 second, drill: 3 months"
    )
    query(world.database, "ALTER SYSTEM SET archive_timeout = 0")
    query(world.database, "SELECT pg_reload_conf()")
    try:
        done = project.drill(status=1)
    finally:
        query(world.database, "ALTER SYSTEM SET archive_timeout = 60")
        query(world.database, "SELECT pg_reload_conf()")
    assert "NO: the RTO of 0:00:01 is not kept: it is 0:0" in done.out
    assert "NO: the RPO of 0:15:00 is not kept: archive_timeout is 0" in done.out
    last = drilled.last_drill(project.state)
    assert last is not None
    assert (last.good, last.rpo) == (False, None)
    assert due(project)["backup.drill"]["state"] == "unknown", "a drill that missed its objectives does not count"


def test_a_role_that_may_not_write_gets_a_lesser_marker_and_the_reason(project: Driller):
    world = project.world
    query(world.database, "DROP ROLE IF EXISTS watcher")
    query(world.database, "CREATE ROLE watcher LOGIN")
    query(world.database, "GRANT EXECUTE ON FUNCTION pg_create_restore_point(text), pg_switch_wal() TO watcher")
    project.edit("role: admin", "role: watcher")
    try:
        told = project.told()
    finally:
        query(world.database, "DROP OWNED BY watcher")
        query(world.database, "DROP ROLE watcher")
    assert told["marker"]["kind"] == "restore point"
    assert "permission denied" in told["marker"]["why_no_row"]
    checks = {each["name"]: each for each in told["checks"]}
    assert checks["marker"]["good"] is True
    assert checks["amcheck"]["good"] is None
    assert "permission denied" in checks["amcheck"]["words"]


@pytest.mark.parametrize("way", ["backups_over_ssh", BOX])
def test_a_drill_is_held_on_the_databases_host(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ground: Path, request: pytest.FixtureRequest
):
    there: Way = request.getfixturevalue(way)
    folder = Path("/tmp") if way == "backups_in_container" else ground
    project = driller(tmp_path, there, monkeypatch, folder)
    told = project.told()
    assert told["good"] is True
    assert told["host"] != "this machine"
    seen = there.world.folder / "root" / "tmp" if way == "backups_in_container" else ground
    assert not list(seen.glob("chronos-drill-*"))
    assert query(there.world.database, "SELECT 1") == [(1,)]


def test_what_cannot_be_had_is_said_before_anything_is_touched(project: Driller):
    world = project.world
    inside = world.data / "drills"
    inside.mkdir()
    inside.chmod(0o777)
    try:
        project.edit(f"path: {project.ground}", f"path: {inside}")
        done = project.drill(status=5)
    finally:
        inside.rmdir()
    assert "is inside the database's own folder" in done.err
    project.edit(f"path: {inside}", "path: /nowhere")
    nowhere = project.drill(status=5)
    assert "the folder /nowhere of this machine cannot be used for a drill" in nowhere.err
    unknown = project.drill("--on", "nest", status=2)
    assert unknown.err.startswith("error: there is no host 'nest'")
    assert not any("marker" in each.err for each in (done, nowhere, unknown))


def test_too_little_room_is_refused_with_the_numbers_and_a_disk_that_fills_up_holds_nothing_afterwards(
    project: Driller, monkeypatch: pytest.MonkeyPatch
):
    small = project.ground / "small"
    small.mkdir()
    if (
        os.geteuid()
        or subprocess.run(("mount", "-t", "tmpfs", "-o", "size=8m,mode=1777", "none", small), check=False).returncode
    ):
        nobody_may_mount()
    try:
        project.edit(f"path: {project.ground}", f"path: {small}")
        done = project.drill(status=5)
        assert list(small.iterdir()) == []
        monkeypatch.setenv("PGBACKREST_JOB_RETRY", "0")  # half a minute, otherwise
        monkeypatch.setattr(drill, "SPARE", 0.0)  # it fills up in the middle of the fetch
        full = project.drill(status=7)
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(("umount", small), check=True)
    assert "has 8 MiB free, and a drill wants" in done.err
    assert "pgbackrest restore on this machine failed" in full.err


def test_a_key_that_may_only_read_is_enough_with_a_configuration_of_its_own(project: Driller):
    from botocore.exceptions import ClientError

    world = project.world
    name = f"{world.user}-reader"
    world.cloud.user(name, world.bucket, writes=False)
    reader, config = world.cloud.key(name), world.config.with_name("read.conf")
    text = world.config.read_text().replace(world.key.id, reader.id).replace(world.key.secret, reader.secret)
    world.write(config, text)
    row = DESTINATION.replace("  pgbackrest:\n", "  pgbackrest-read:\n", 1).replace("HOST", "local")
    project.edit("destinations:\n", f"destinations:\n{row.replace('CONFIG', str(config))}")
    project.edit(f"drill: {{path: {project.ground}}}", f"drill: {{path: {project.ground}, config: pgbackrest-read}}")
    with pytest.raises(ClientError, match="AccessDenied"):
        world.cloud.client("s3", reader).put_object(Bucket=world.bucket, Key="var/lib/pgbackrest/x", Body=b"")
    assert project.told()["good"] is True


def test_one_drill_at_a_time_and_another_machines_is_left_alone(project: Driller):
    with files.lock(project.state / "drill.lock", wait=0):
        assert "another drill is at work on this machine" in project.drill(status=6).err
    other = project.ground / "chronos-drill-0123456789ab-01234567"
    other.mkdir()
    (other / "mark").write_text("aviary 01234567\n")
    foreign = project.ground / "chronos-drill-ba9876543210-01234567"
    foreign.mkdir()
    (foreign / "mark").write_text("other-project 01234567\n")
    for path in (other, foreign):
        shutil.chown(path, *(["postgres"] if os.geteuid() == 0 else [os.geteuid()]))
    done = project.drill(status=6)
    assert f"left {other} there" in done.err
    assert other.exists()
    project.drill("--clean")
    assert list(project.ground.iterdir()) == [foreign]


@pytest.mark.parametrize("setting", [("archive_mode", "on"), ("listen_addresses", "127.0.0.1")])
def test_a_restored_server_that_is_not_private_is_stopped(
    setting: tuple[str, str], project: Driller, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(scratch.PRIVATE, *setting)
    done = project.drill(status=5)
    assert f"the restored server is not private, and was stopped: {setting[0]}" in done.err
    assert list(project.ground.iterdir()) == []


def test_a_configuration_that_is_not_what_render_writes_stops_a_drill(project: Driller):
    project.world.write(project.world.config, project.world.config.read_text() + "# by hand\n")
    try:
        done = project.run("backup", "drill", "--password-file", project.password_file)
    finally:
        project.world.write(project.world.config, project.world.rendered)
    assert done.status == 1, done.text
    assert "hint: chronos-secrets render pgbackrest    # or chronos-secrets backup drill --no-drift-check" in done.err
