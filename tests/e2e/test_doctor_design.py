"""`doctor design` as a person meets it: on files alone, on a database that is really backed up, on a bucket of moto."""

import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chronos_secrets.cli import design
from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems.hosts import Local
from tests.support import faults, seeded
from tests.support.backup_hosts import Backed, Way
from tests.support.birdhouse import Birdhouse
from tests.support.commands import Done, accept, in_process
from tests.support.moto_iam import Moto, moto
from tests.support.targets import no_proxy

TOP = Path(__file__).parents[2]
hosts = pytest.mark.xdist_group("backup-hosts")
cloud = pytest.mark.xdist_group("cloud")


def traps(done: Done) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in json.loads(done.out)["traps"]}


def failing(done: Done) -> set[str]:
    return {name for name, each in traps(done).items() if each["result"] == "FAIL"}


# --- files alone ------------------------------------------------------------------------------------------------------


@pytest.fixture
def first_built(tmp_path: Path) -> Path:
    """The folder of the project as it was first built, with its runbook."""
    folder = tmp_path / "project"
    runbook = folder / "docs" / "3_runbooks" / "pgbackrest_backup_restore.md"
    runbook.parent.mkdir(parents=True)
    runbook.write_text(seeded.RUNBOOK)
    (folder / "inventory.yaml").write_text(seeded.INVENTORY)
    return folder


def test_the_project_as_it_was_first_built_is_told_its_traps_with_why_where_and_the_change(first_built: Path):
    done = in_process("doctor", "design", "--offline", folder=first_built)
    assert done.status == 1
    lines = done.out.splitlines()
    start = lines.index("wrong     restore-immediate: a restore of everything stops at the end of the backup")
    assert lines[start + 1].startswith("    why:    --type=immediate ends as soon as")
    assert lines[start + 2] == ("    seen:   docs/3_runbooks/pgbackrest_backup_restore.md:7: restore --type=immediate")
    assert lines[start + 4].startswith("    change: leave out --type")
    assert "inventory.yaml, pgbackrest.archive_timeout: is not set, and the rpo is 15 min" in done.out
    assert done.err.endswith("of 35 traps\n")


def test_offline_nobody_is_asked_and_what_they_would_say_is_not_known(first_built: Path, tmp_path: Path):
    (tmp_path / "bin").mkdir()
    for name in ("ssh", "docker", "podman"):
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\ntouch {tmp_path}/called\n")
        program.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        done = in_process("doctor", "design", "--offline", "--json", folder=first_built)
    assert not (tmp_path / "called").exists()
    found = traps(done)
    assert (found["archiving-off"]["result"], found["archiving-off"]["said"]) == (
        "UNKNOWN", "nothing was asked: --offline",
    )  # fmt: skip
    assert found["no-versions"]["said"] == "nothing was asked: --offline"
    assert found["pg-host"]["result"] == "PASS"  # by the file as it would be


def test_this_repositorys_own_design_has_nothing_to_change():
    done = in_process("doctor", "design", "--offline", folder=TOP)
    assert done.status == 0, done.text
    assert done.err.startswith("0 to change, 5 accepted, ")
    assert "accepted  single-repository: " in done.out


def test_hosts_that_nobody_accepted_are_not_asked(first_built: Path):
    done = in_process("doctor", "design", folder=first_built)
    assert done.status == 5
    assert "hint: chronos-secrets trust" in done.err


def test_a_host_that_does_not_answer_keeps_nothing_else_from_being_judged(first_built: Path, tmp_path: Path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text("#!/bin/sh\necho 'ssh: no route to host' >&2\nexit 255\n")
    (tmp_path / "bin" / "ssh").chmod(0o755)
    accept(first_built / "inventory.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        done = in_process("doctor", "design", "--json", folder=first_built)
    found = traps(done)
    assert done.status == 1
    assert found["restore-immediate"]["result"] == "FAIL"
    assert found["single-file-mount"]["result"] == "UNKNOWN"
    assert "no route to host" in found["single-file-mount"]["said"]


def test_an_inventory_without_backups_has_no_design_to_check(tmp_path: Path):
    (tmp_path / "inventory.yaml").write_text("version: 1\nproject: bare\nvault: {path: v.kdbx}\ncredentials: {}\n")
    done = in_process("doctor", "design", folder=tmp_path)
    assert done.status == 5
    assert "no section pgbackrest" in done.err


@pytest.mark.parametrize("words", [("design", "hosts"), ("--offline",), ("hosts", "--offline")])
def test_design_is_asked_for_alone_and_offline_is_for_it_alone(words: tuple[str, ...], first_built: Path):
    assert in_process("doctor", *words, folder=first_built).status == 2


# --- files of a host --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", ["repo1-s3-key-secret={}", "repo-cipher-pass = {}", " repo2-sftp-private-key-passphrase={}"]
)
def test_no_secret_of_the_configuration_leaves_its_host(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    value = f"canary{secrets.token_hex(12)}"
    path = tmp_path / "pgbackrest.conf"
    path.write_text(f"[global]\n{line.format(value)}\n{value}\n# {value[:0]}a comment\nprocess-max=2\n")
    path.chmod(0o640)
    said = []
    run = Local.run
    monkeypatch.setattr(Local, "run", lambda *words, **more: said.append(run(*words, **more)) or said[-1])
    found = design.read_config(Local(), str(path), stanza="birds")
    assert found is not None
    assert said
    assert value.encode() not in said[0].out
    assert value not in repr(found)
    assert found.mode == 0o640
    assert [each.value for each in found.having("process-max")] == ["2"]


def test_a_configuration_that_is_not_there_is_none(tmp_path: Path):
    assert design.read_config(Local(), str(tmp_path / "none.conf"), stanza="birds") is None


def test_the_lines_of_cron_that_start_backups_are_found_with_their_place(tmp_path: Path):
    (tmp_path / "cron.d").mkdir()
    (tmp_path / "cron.d" / "pgbackrest").write_text(seeded.CRONTAB)
    (tmp_path / "cron.d" / "other").write_text("0 5 * * * root true\n")
    found = design.jobs(Local(), str(tmp_path / "crontab"), str(tmp_path / "cron.d"))
    place = tmp_path / "cron.d" / "pgbackrest"
    assert [(each.line, each.type, each.call.where) for each in found] == [
        ("0 11 * * *", "full", f"{place}:2 on this machine"),
        ("0 5,11,17,23 * * *", "diff", f"{place}:4 on this machine"),
    ]


def test_crontabs_that_cannot_be_read_are_not_taken_for_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "grep").write_text("#!/bin/sh\nexit 2\n")
    (tmp_path / "grep").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(TargetFailed, match="the crontabs of this machine cannot be read"):
        design.jobs(Local(), str(tmp_path))


@pytest.mark.parametrize(
    ("path", "is_read"),
    [
        ("restore.sh", True),
        ("Makefile", True),
        ("docs/1/2/3/runbook.md", True),
        ("docs/1/2/3/4/runbook.md", False),
        ("restore.txt", False),
        (".git/restore.sh", False),
        ("node_modules/restore.sh", False),
    ],
)
def test_scripts_and_runbooks_are_read_where_people_keep_them(path: str, is_read: bool, tmp_path: Path):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("```\npgbackrest --stanza=birds restore\n```\n")
    (tmp_path / "gone.sh").symlink_to("nowhere")
    assert [each.where for each in design.scripts(tmp_path)] == ([f"{path}:2"] if is_read else [])


def test_a_file_as_large_as_no_script_is_not_read_and_too_many_files_end_the_search(tmp_path: Path, monkeypatch):
    for name, size in (("small.sh", 2**20), ("large.sh", 2**20 + 1)):
        (tmp_path / name).write_text("pgbackrest check\n".ljust(size, "#"))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "last.sh").write_text("pgbackrest check")
    for most, read in ((3, ["small.sh:1", "sub/last.sh:1"]), (2, ["small.sh:1"])):
        monkeypatch.setattr(design, "_MOST", most)  # thousands, which would take seconds to write
        assert [each.where for each in design.scripts(tmp_path)] == read


# --- a database that is really backed up ------------------------------------------------------------------------------


@hosts
def test_live_settings_and_the_file_on_the_host_are_judged(
    tmp_path: Path, backups_here: Way, monkeypatch: pytest.MonkeyPatch
):
    backed = Backed(tmp_path, backups_here, monkeypatch, section="archive_timeout: 1 minute")
    database = backed.world.database
    database.ask("ALTER SYSTEM SET archive_timeout = 0")
    database.ask("SELECT pg_reload_conf()")
    backed.world.config.chmod(0o644)
    try:
        found = traps(backed.run("doctor", "design", "--json", locked=True))
    finally:
        backed.world.config.chmod(0o600)
        backed.world.archive()
    (timeout,) = found["rpo-archive-timeout"]["evidence"]
    assert timeout["what"] == "archive_timeout is 0 s"
    assert "postgresql.auto.conf:" in timeout["where"]
    assert [each["what"] for each in found["config-mode"]["evidence"]] == ["its mode is 0644"]
    assert found["archiving-off"]["result"] == "PASS"
    assert found["archive-class"]["said"] == "the bucket is asked with --unlock, since the vault names the account"


@hosts
def test_a_configuration_that_a_container_has_as_a_single_file_is_told_from_one_in_a_folder(
    tmp_path: Path, backups_in_container_over_ssh: Way, monkeypatch: pytest.MonkeyPatch
):
    backed = Backed(tmp_path, backups_in_container_over_ssh, monkeypatch)
    found = traps(backed.run("doctor", "design", "--json", locked=True))
    assert found["single-file-mount"]["result"] == "PASS"
    assert found["archiving-off"]["result"] == "PASS"
    assert found["exec-into-stopped"]["evidence"][0]["where"] == "inventory.yaml, postgres.service"


# --- a bucket ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Moto]:
    with moto() as made:
        yield made


BACKUPS = """\
postgres: {host: local, port: 1, database: birds, role: birds, data: /nowhere}
pgbackrest:
  stanza: birds
  host: local
  config: conf
  repo: {path: /backups, cipher: aes-256-cbc, retention_full: 4}
  archive_timeout: 1 minute
"""


CONFIGURATION = """\
destinations:
  conf:
    path: out/pgbackrest.conf
    dialect: pgbackrest
    template: builtin:pgbackrest
    uses: {repo1: aws, repo1_cipher: cipher}
"""


@pytest.fixture
def house(tmp_path: Path, server: Moto, monkeypatch: pytest.MonkeyPatch) -> Birdhouse:
    """A bucket as the inventory says; the lifecycle is the one of the project as it was first built."""
    no_proxy(monkeypatch)
    made = Birdhouse(tmp_path, server)
    made.edit("cloud:\n", f"{BACKUPS}cloud:\n")
    made.edit("destinations:\n", CONFIGURATION)
    assert made.apply("--yes").status == 0
    made.put_rules(seeded.LIFECYCLE)
    return made


@cloud
def test_the_bucket_as_it_is_is_judged_beside_what_the_inventory_wants(house: Birdhouse):
    found = traps(in_process(
        "doctor", "design", "--unlock", "--json", "--password-file", house.password_file, folder=house.folder
    ))  # fmt: skip
    bucket = f"the bucket {house.bucket}"
    assert [each["where"] for each in found["archive-class"]["evidence"]] == [bucket]
    assert [each["where"] for each in found["versions-for-ever"]["evidence"]] == [bucket]
    assert found["no-versions"]["result"] == "PASS"


@cloud
@pytest.mark.parametrize(
    ("setting", "right", "unknown", "failing_by_the_rest"),
    [
        ("versioning", "s3:GetBucketVersioning", {"no-versions", "versions-for-ever"}, {"archive-class"}),
        ("lifecycle", "s3:GetLifecycleConfiguration", {"archive-class", "versions-for-ever"}, {"no-versions"}),
    ],
)
def test_one_right_that_is_missing_keeps_nothing_else_of_the_bucket_from_being_judged(
    house: Birdhouse, setting: str, right: str, unknown: set[str], failing_by_the_rest: set[str]
):
    house.s3.put_bucket_versioning(Bucket=house.bucket, VersioningConfiguration={"Status": "Suspended"})
    with faults.between(house.server) as proxy:
        house.at(proxy.url)
        proxy.add(faults.FORBIDDEN, f"GET ?{setting}")
        done = in_process("doctor", "design", "--json", "--password-file", house.password_file, folder=house.folder)
    found = traps(done)
    assert {found[name]["result"] for name in unknown} == {"UNKNOWN"}
    assert {found[name]["said"] for name in unknown} == {f"AWS S3 does not allow {right}"}
    assert failing_by_the_rest <= failing(done)


@cloud
def test_what_the_design_accepts_is_no_unknown_control_to_the_audit(house: Birdhouse):
    rows = [f"{{control: {name}, reason: a toy, until: 2999-01-01}}" for name in ("single-repository", "S3.999")]
    house.edit("  lifecycle: {glacier_ir", f"  accepted: [{', '.join(rows)}]\n  lifecycle: {{glacier_ir")
    done = house.run("cloud", "audit", "--password-file", house.password_file)
    assert "S3.999 is accepted in the inventory, but no control has that id" in done.err
    assert "single-repository" not in done.text
