"""What stops a restore, a drill or a backup, where pgBackRest and the database tell what real ones seldom do.

Both are scripts here: they say what a test has put into `told`, and write down how they were called.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from chronos_secrets.cli.backup import in_place, runs
from chronos_secrets.pgbackrest import info, marking
from chronos_secrets.systems import files
from tests.support.backup_hosts import DESTINATION, ROOT, SECTIONS
from tests.support.commands import Aviary, Done
from tests.support.containers import require_root

NOW = datetime.now(UTC).replace(microsecond=0)
COMMAND, STAMP = "chronos-secrets backup restore", "20260102T030405Z"
PGBACKREST = """\
#!/bin/sh
printf '%s\\n' "$*" >>TOLD/calls
for word; do
  case $word in
    --pg1-path=*) data=${word#*=} ;;
    repo-get) for last; do :; done; exec cat "TOLD/${last##*/}" ;;
    restore) wanted=y ;;
    repo-ls) cat TOLD/repo-ls; [ ! -e TOLD/later ] || mv TOLD/later TOLD/repo-ls; exit ;;
    info|help|backup|check|verify) exec cat "TOLD/$word" ;;
  esac
done
[ -z "$wanted" ] || { echo 9 >"$data/PG_VERSION"; exit "$(cat TOLD/status)"; }
"""
PSQL = """\
#!/bin/sh
case $(cat) in
  *pg_settings*) exec cat TOLD/settings ;; *to_regclass*) echo f ;; *INSERT*) echo 1795386223 ;;
  *archive_command*) cat TOLD/archived; [ ! -e TOLD/counted ] || mv TOLD/counted TOLD/archived ;;
  *pg_stat_archiver*) exec cat TOLD/archiver ;;
  *insert_lsn*) echo 1795386223,100,000000010000000000000002 ;;
esac
"""


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def segment(timeline: int, number: int) -> str:
    return f"{timeline:08X}00000000{number:08X}"


def backup(label: str, stopped: datetime, wal: str, *, database: int = 1, size: int = 1000) -> dict[str, Any]:
    at = int(stopped.timestamp())
    return {
        "archive": {"start": wal, "stop": wal}, "database": {"id": database, "repo-key": 1}, "error": False,
        "info": {"delta": size, "repository": {"delta": size, "size": size}, "size": size}, "label": label,
        "prior": None, "reference": None, "timestamp": {"start": at - 5, "stop": at}, "type": "full",
    }  # fmt: skip


FULL = backup("20260102-030000F", ago(hours=5), segment(1, 2))


class Told(Aviary):
    """A project of this machine, with a stopped database in `pg` and one full backup of it."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self.told, self.pg = folder / "told", folder / "disk" / "pg"
        for each in (self.told, self.pg):
            each.mkdir(parents=True)
        config = folder / "pgbackrest.conf"
        config.write_text("[global]\n")
        found = DESTINATION.replace('    owner: "postgres:postgres"\n', "")
        sections = SECTIONS.replace("cloud:\n", "  OBJECTIVES\ncloud:\n")
        text = self.inventory.read_text().replace("destinations:\n", f"{ROOT}destinations:\n{found}", 1) + sections
        facts = {
            "HOST": "local", "CONFIG": config, "PORT": 5432, "DATA": self.pg, "STANZA": "birds", "USER": "writer",
            "BUCKET": "some-bucket", "OBJECTIVES": "objectives: {full_age: 26 hours}",
        }  # fmt: skip
        for name, value in facts.items():
            text = text.replace(name, str(value))
        self.inventory.write_text(text)
        programs = folder / "programs"
        programs.mkdir()
        scripts = {
            "pgbackrest": PGBACKREST, "psql": PSQL, "pg_config": f"#!/bin/sh\necho {programs}\n", "pg_ctl": "",
            "pg_waldump": '#!/bin/sh\nfor last; do :; done\ncat "$last"\n',
        }  # fmt: skip
        for name, script in scripts.items():
            (programs / name).write_text(script.replace("TOLD", str(self.told)))
            (programs / name).chmod(0o755)
        patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        (self.pg / "PG_VERSION").write_text("9\n")
        (self.pg / "canary").write_text("the data that was there")
        (self.told / "help").write_text("default: pgbackrest\n")
        (self.told / "status").write_text("0")
        self.holds(FULL)
        self.archives({segment(1, 2): ago(hours=5), segment(1, 3): ago(hours=1)})

    def holds(self, *backups: dict[str, Any], databases: int = 1, code: int = 0) -> None:
        """What `info` tells from now on."""
        archives = [
            {"database": {"id": each, "repo-key": 1}, "id": f"9-{each}", "min": segment(1, 1), "max": segment(1, 3)}
            for each in range(1, databases + 1)
        ]
        repo = {"cipher": "none", "key": 1, "status": {"code": 0, "message": "ok"}}
        row = {
            "name": "birds", "backup": backups, "archive": archives, "repo": [repo],
            "status": {"code": code, "message": "x", "lock": {"backup": {"held": False}}},
        }  # fmt: skip
        (self.told / "info").write_text(json.dumps([row]))

    def archives(self, commits: dict[str, datetime], *histories: tuple[str, str], database: int = 1) -> None:
        """The segments that the repository has, each with the time of its commit, and its history files."""
        names = {f"9-{database}/{name[:16]}/{name}-{'a' * 40}": at for name, at in commits.items()}
        for name, at in names.items():
            line = f"desc: COMMIT {at:%Y-%m-%d %H:%M:%S.000000} UTC\n"
            (self.told / name.rpartition("/")[2]).write_text(line)
        for name, text in histories:
            (self.told / name.rpartition("/")[2]).write_text(text)
        listed = {name: {"type": "file", "size": 1} for name in (*names, *(name for name, _ in histories))}
        (self.told / "repo-ls").write_text(json.dumps(listed))

    def restore(self, *words: str) -> Done:
        return self.run("backup", "restore", "--no-drift-check", *words)

    @property
    def work(self) -> Path:
        return self.pg.with_name("pg.restoring")

    @property
    def fetches(self) -> list[str]:
        """How pgBackRest was called to restore."""
        calls = (self.told / "calls").read_text().splitlines() if (self.told / "calls").exists() else []
        return [each for each in calls if "--pg1-path=" in each]

    def left(self, state: str, words: str = COMMAND, label: str = "20260102-030000F") -> None:
        """What an earlier run left, which had fetched everything."""
        (self.work / "data").mkdir(parents=True)
        (self.work / "data" / "PG_VERSION").write_text("9\n")
        (self.work / "data" / "earlier").touch()
        mark = {"state": state, "stamp": STAMP, "label": label, "words": words}
        (self.work / "mark").write_text(json.dumps(mark))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(tmp_path, monkeypatch)


def plan(project: Told, *words: str) -> dict[str, Any]:
    done = project.restore("--dry-run", "--json", *words)
    untouched(project, done, 0, "")
    assert not project.work.exists()
    return dict(json.loads(done.out)["plan"])


# --- which backup -----------------------------------------------------------------------------------------------------


def test_after_an_upgrade_nothing_of_the_database_before_it_is_restored(project: Told):
    old = backup("20260101-030000F", ago(days=1), segment(1, 2))
    new = backup("20260102-030000F", ago(hours=5), segment(1, 2), database=2)
    project.holds(old, new, databases=2)
    project.archives({segment(1, 2): ago(hours=5), segment(1, 3): ago(hours=1)}, database=2)
    listed = json.loads((project.told / "repo-ls").read_text())
    (project.told / "repo-ls").write_text(json.dumps({**listed, "9-1/00000007.history": {"type": "file"}}))
    (project.told / "00000007.history").write_text("1\t0/5000000\tx\n")
    found = plan(project)
    assert (found["backup"], found["timeline"], found["missing_wal"]) == (new["label"], 1, None)
    early = project.restore("--dry-run", "--to-time", ago(hours=12).isoformat())
    assert (early.status, "no backup ended before" in early.err) == (5, True), early.text
    named = project.restore("--dry-run", "--set", old["label"])
    assert (named.status, "or of another database" in named.err) == (5, True), named.text


def test_a_timeline_is_followed_from_its_history_file_on_and_a_backup_that_it_left_is_refused(project: Told):
    late = backup("20260102-050000F", ago(hours=3), segment(1, 5))
    project.holds(FULL, late)
    history = ("9-1/00000002.history", "1\t0/4000130\tx\n")
    project.archives({segment(1, 2): ago(hours=5), segment(1, 3): ago(hours=4), segment(1, 4): ago(hours=4)}, history)
    found = plan(project)
    assert (found["backup"], found["timeline"]) == (FULL["label"], 2)
    left = project.restore("--dry-run", "--set", late["label"])
    assert (left.status, "timeline that was left" in left.err) == (5, True), left.text


def test_wal_that_is_missing_on_the_way_ends_what_can_be_restored(project: Told):
    project.archives({segment(1, 2): ago(hours=5), segment(1, 4): ago(hours=1)})
    found = plan(project)
    assert found["missing_wal"] == segment(1, 3)
    assert datetime.fromisoformat(found["newest_commit"]) == ago(hours=5)
    late = project.restore("--dry-run", "--to-time", ago(hours=2).isoformat())
    assert (late.status, f"WAL is missing from {segment(1, 3)} on" in late.err) == (5, True), late.text


def test_a_stanza_without_a_backup_has_nothing_to_restore(project: Told):
    project.holds(code=2)
    done = project.restore("--dry-run")
    assert (done.status, "there is no backup yet" in done.err) == (7, True), done.text


@pytest.mark.parametrize("code", [info.NO_DATA, info.OTHER_DATABASE, info.OTHER])
def test_what_a_repository_still_tells_is_not_believed_where_it_has_lost_something(code: int, project: Told):
    """`pgbackrest info` itself ends with 0."""
    project.holds(FULL, code=code)
    (project.told / "verify").write_text("stanza: birds\nstatus: ok\n")
    for words in (("info",), ("verify",), ("restore", "--dry-run")):
        done = project.run("backup", *words, "--no-drift-check")
        assert (done.status, info.STATES[code] in done.err, done.out) == (7, True, ""), done.text


# --- in place ---------------------------------------------------------------------------------------------------------


def untouched(project: Told, done: Done, status: int, said: str) -> None:
    assert (done.status, said in done.err) == (status, True), done.text
    assert (project.pg / "canary").read_text() == "the data that was there"
    assert project.fetches == []


def test_a_plan_that_nobody_agreed_to_is_not_carried_out(project: Told):
    untouched(project, project.restore(), 5, "nobody can be asked whether to restore; nothing was changed")
    assert not project.work.exists()


@contextlib.contextmanager
def running(*words: str | Path, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A program that does nothing, in a folder, with more words on its command line."""
    with subprocess.Popen(("sh", "-c", "echo; read -r _", *words), cwd=folder, stdin=PIPE, stdout=PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        yield child
        child.kill()


def test_a_server_that_runs_is_not_restored_over_and_another_program_with_its_number_is_no_server(project: Told):
    with running(folder=project.pg) as server, running(folder=project.root) as other:
        (project.pg / "postmaster.pid").write_text(f"{server.pid}\n")
        untouched(project, project.restore("--yes"), 5, "the database on this machine is running")
        (project.pg / "postmaster.pid").write_text(f"{other.pid}\n")
        assert project.restore("--yes").status == 8
    assert len(project.fetches) == 1


def test_an_earlier_runs_pgbackrest_is_waited_for(project: Told, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(in_place, "_PATIENCE", 0.0)
    monkeypatch.setattr(in_place, "_POLL", 0.0)
    monkeypatch.setenv("COLUMNS", "80")  # some shells export it, and then ps cuts its lines
    with running("pgbackrest", f"--pg1-path={project.work}/data", folder=project.root):
        untouched(project, project.restore("--yes"), 6, "an earlier run's pgbackrest still restores")


def test_one_restore_at_a_time(project: Told):
    with files.lock(project.state / "restore.lock", wait=0):
        untouched(project, project.restore("--yes"), 6, "another restore of this project runs on this machine")


def test_a_folder_in_the_way_that_no_restore_made_is_left_alone(project: Told):
    project.work.mkdir()
    (project.work / "notes").write_text("mine")
    untouched(project, project.restore("--yes"), 5, "is in the way, and not known to be of a restore")
    assert (project.work / "notes").read_text() == "mine"


def test_a_backup_that_has_no_room_is_refused_before_anything_is_fetched(project: Told):
    project.holds(backup("20260102-030000F", ago(hours=5), segment(1, 2), size=1 << 60))
    untouched(project, project.restore("--yes"), 5, "free, and 20260102-030000F is 1")
    untouched(project, project.restore("--to", str(project.root / "look")), 5, "free, and 20260102-030000F is 1")


def test_a_mount_point_with_tablespaces_is_refused(project: Told):
    require_root()
    subprocess.run(("mount", "-t", "tmpfs", "none", project.pg), check=True)
    try:
        (project.pg / "canary").write_text("the data that was there")
        (project.pg / "pg_tblspc").mkdir()
        (project.pg / "pg_tblspc" / "16384").symlink_to(project.root)
        untouched(project, project.restore("--yes"), 5, "is a mount point and has tablespaces")
    finally:
        subprocess.run(("umount", project.pg), check=True)


@pytest.mark.parametrize("state", ["swapping", "moved"])
def test_no_other_restore_begins_while_one_is_between_two_moves(state: str, project: Told):
    project.left(state, f"{COMMAND} --immediate")
    done = project.restore("--yes")
    untouched(project, done, 5, "another restore stopped while it moved files")
    assert f"hint: {COMMAND} --immediate" in done.err


def test_data_that_is_there_twice_is_not_overwritten(project: Told):
    project.left("swapping")
    aside = project.pg.with_name(f"pg.before-restore-{STAMP}")
    aside.mkdir()
    (aside / "older").touch()
    untouched(project, project.restore("--yes"), 8, "is there already")
    assert [each.name for each in aside.iterdir()] == ["older"]
    assert (project.work / "data" / "earlier").exists()


@pytest.mark.parametrize(
    ("what", "kept"),
    [
        ((COMMAND, FULL["label"]), True),
        ((f"{COMMAND} --immediate", FULL["label"]), False),
        ((COMMAND, "20260101-030000F"), False),
    ],
)
def test_what_was_fetched_is_taken_for_the_same_restore_alone(what: tuple[str, str], kept: bool, project: Told):
    project.left("fetched", *what)
    done = project.restore("--yes")
    assert (done.status, "the server is not started" in done.err) == (8, True), done.text
    assert (len(project.fetches), (project.pg / "earlier").exists()) == ((0, True) if kept else (1, False))
    (aside,) = project.pg.parent.glob("pg.before-restore-*")
    assert (aside / "canary").read_text() == "the data that was there"


def test_a_fetch_that_fails_leaves_the_data_alone_and_is_gone_on_with(project: Told):
    (project.told / "status").write_text("39")
    failed = project.restore("--yes")
    assert (failed.status, f"{project.pg} is as it was" in failed.err) == (7, True), failed.text
    assert (project.pg / "canary").exists()
    (project.told / "status").write_text("0")
    assert project.restore("--yes").status == 8
    first, again = project.fetches
    assert ("--delta" in first, "--delta" in again) == (False, True)
    assert f"--pg1-path={project.work}/data" in again
    assert "--archive-mode=off" not in again, "production goes on to archive"


# --- beside production ------------------------------------------------------------------------------------------------


def test_a_look_beside_production_can_archive_nothing_however_it_is_started(project: Told):
    history = ("9-1/00000002.history", "1\t0/4000130\tx\n")
    project.archives({segment(1, 2): ago(hours=5), segment(1, 3): ago(hours=1)}, history)
    folder = project.root / "look"
    folder.mkdir()
    folder.chmod(0o755)
    done = project.restore("--to", str(folder))
    assert done.status == 0, done.text
    (call,) = project.fetches
    assert "--archive-mode=off" in call
    assert "--target-timeline=2" in call
    assert f"--tablespace-map-all={folder}.tablespaces" in call
    assert {each.stat().st_mode & 0o077 for each in (folder, folder / "look.hba")} == {0}
    assert (project.pg / "canary").exists()


# --- a drill ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for WAL that is archived."""
    monkeypatch.setattr(marking, "_SHIPPING", 0.0)


@pytest.mark.parametrize(
    ("how", "status", "said"),
    [
        (("off", 0, segment(1, 1)), 5, "the database has archive_mode off"),
        (("on", 2, segment(1, 1)), 5, "there is no backup to restore"),
        (("on", 0, segment(1, 1)), 7, "does not reach the repository: its archive_command fails"),
        (("on", 0, "00000002.history"), 7, "does not reach the repository: its archive_command fails"),
    ],
)
@pytest.mark.usefixtures("at_once")
def test_a_drill_that_cannot_be_held_is_no_proof_and_part_of_the_history(
    how: tuple[str, int, str], status: int, said: str, project: Told, ground: Path
):
    mode, code, archived = how
    (project.told / "archiver").write_text(f"{archived},t\n")
    project.edit("  objectives: {full", f"  drill: {{path: {ground}}}\n  objectives: {{full")
    (project.told / "settings").write_text(f"archive_mode,{mode}\nserver_version_num,90000\narchive_timeout,0\n")
    project.holds(*([] if code else [FULL]), code=code)
    done = project.run("backup", "drill", "--no-drift-check")
    assert (done.status, said in done.err) == (status, True), done.text
    assert list(ground.iterdir()) == []
    assert project.fetches == []
    kept = [json.loads(line) for line in (project.state / "history.jsonl").read_text().splitlines()]
    assert [json.dumps(each).count('"proved": "no"') for each in kept if "backup-drill" in json.dumps(each)] == [1]


# --- a backup, a check, a verify --------------------------------------------------------------------------------------


def test_a_backup_that_ends_well_and_is_not_there_is_no_backup(project: Told):
    (project.told / "backup").write_text("P00   INFO: backup command end: completed successfully\n")
    done = project.run("backup", "full", "--no-drift-check")
    assert (done.status, "its info shows no new backup" in done.err) == (7, True), done.text
    assert done.out == ""


@pytest.mark.parametrize(
    ("last", "failed", "said"),
    [(segment(1, 3), "", "has not sent"), (segment(1, 4), segment(1, 5), "was not sent")],
)
def test_a_segment_that_somebody_else_sent_proves_nothing(
    last: str, failed: str, said: str, project: Told, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(runs, "_COUNTING", 0.0)  # it would be waited for
    (project.told / "check").write_text(f"INFO: WAL segment {segment(1, 4)} successfully archived to '/x' on repo1\n")
    config = project.root / "pgbackrest.conf"
    command = f"pgbackrest --config={config} --stanza=birds archive-push %p"
    (project.told / "archived").write_text(f"{last},{failed},{command}\n")
    done = project.run("backup", "check", "--no-drift-check")
    assert (done.status, said in done.out) == (1, True), done.text
    (project.told / "archived").write_text(f"{segment(1, 4)},,{command}\n")
    assert project.run("backup", "check", "--no-drift-check").status == 0


def test_a_segment_that_arrived_before_the_command_that_sent_it_has_ended_is_waited_for(project: Told):
    (project.told / "check").write_text(f"INFO: WAL segment {segment(1, 4)} successfully archived to '/x' on repo1\n")
    command = f"pgbackrest --config={project.root / 'pgbackrest.conf'} --stanza=birds archive-push %p"
    (project.told / "archived").write_text(f"{segment(1, 3)},,{command}\n")
    (project.told / "counted").write_text(f"{segment(1, 4)},,{command}\n")
    assert project.run("backup", "check", "--no-drift-check").status == 0


def test_a_verify_that_says_nothing_understood_or_has_nothing_to_read_is_not_good(project: Told):
    (project.told / "verify").write_text("all is well\n")
    done = project.run("backup", "verify", "--no-drift-check")
    assert (done.status, "does not understand" in done.err) == (7, True), done.text
    project.holds(code=2)
    done = project.run("backup", "verify", "--no-drift-check")
    assert (done.status, "there is no backup yet" in done.err) == (1, True), done.text
    assert not (project.state / "backups.json").exists()


def test_wal_that_is_missing_is_looked_for_twice_for_a_later_segment_may_arrive_first(project: Told):
    (project.told / "verify").write_text("stanza: birds\nstatus: ok\n  archiveId: 9-1, total WAL checked: 2\n")
    project.archives({segment(1, 2): ago(hours=5), segment(1, 3): ago(hours=2), segment(1, 4): ago(hours=1)})
    (project.told / "repo-ls").rename(project.told / "later")
    project.archives({segment(1, 2): ago(hours=5), segment(1, 4): ago(hours=1)})
    assert project.run("backup", "verify", "--no-drift-check").status == 0
    project.archives({segment(1, 2): ago(hours=5), segment(1, 4): ago(hours=1)})
    done = project.run("backup", "verify", "--no-drift-check")
    assert (done.status, f"WAL {segment(1, 3)} is missing" in done.out) == (1, True), done.text


def test_a_stanza_that_is_not_found_makes_nobody_forget_what_was_seen(project: Told):
    assert project.run("backup", "info", "--no-drift-check").status == 0
    project.holds(code=1)
    assert project.run("backup", "info", "--no-drift-check").status == 1
    (row,) = [each for each in json.loads(project.run("due", "--json").out)["rows"] if each["id"] == "backup.full"]
    assert row["state"] == "ok"
