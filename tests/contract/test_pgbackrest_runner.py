"""pgBackRest as we run it: on a real PostgreSQL and a real bucket, and what it really says when something is wrong."""

import os
import re
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chronos_secrets.errors import TargetFailed
from chronos_secrets.pgbackrest import failures, info
from chronos_secrets.pgbackrest.runner import PgBackRestFailed, Runner
from chronos_secrets.systems.hosts import CutOff, Local
from tests.support.backups import BUCKET, STANZA, USER, Backups, backups
from tests.support.clouds import Key
from tests.support.programs import require
from tests.support.seaweed import Seaweed, seaweed

pytestmark = pytest.mark.xdist_group("backups")

RENDER = "chronos-secrets render pgbackrest"


class World:
    """Backups that work: `key` is in the configuration, and a full backup is in the repository."""

    def __init__(self, made: Backups, cloud: Seaweed) -> None:
        self.made, self.cloud = made, cloud
        self.key = cloud.key(USER)
        self.restore()
        made.must("stanza-create")
        made.must("--type=full", "backup")

    def restore(self) -> None:
        self.made.store(self.key)

    def runner(self, *, user: str | None = "postgres", stanza: str = STANZA, config: Path | None = None) -> Runner:
        where = str(config or self.made.config)
        return Runner(Local(), config=where, stanza=stanza, render=RENDER, user=user)

    def edit(self, change: Callable[[str], str]) -> None:
        """Change the configuration of the next command."""
        self.made.write(self.made.config, change(self.made.config.read_text()))

    def refused(
        self, command: str = "check", *, io_timeout: int = 20, stanza: str = STANZA, config: Path | None = None
    ) -> PgBackRestFailed:
        """How a command fails; nobody may see a value of the configuration. A connection is tried for `io_timeout` seconds
        where nobody is at its other end, so that only these should be few: a server that works may be slow.
        """
        with pytest.raises(PgBackRestFailed) as raised:
            self.runner(stanza=stanza, config=config).run(command, f"--io-timeout={io_timeout}", timeout=120)
        said = "\n".join([raised.value.message, raised.value.hint or "", *raised.value.details])
        assert self.made.cipher not in said
        assert self.key.secret not in said
        assert all(each.isprintable() and len(each) <= 200 for each in raised.value.details)
        return raised.value


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    with seaweed() as cloud, backups(cloud) as made:
        yield World(made, cloud)


@pytest.fixture
def world(made: World, monkeypatch: pytest.MonkeyPatch) -> World:
    made.restore()
    for name, value in made.made.environment.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def programs(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that comes first in everybody's PATH."""
    folder = world.made.folder / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    yield folder
    shutil.rmtree(folder)


# --- what works -------------------------------------------------------------------------------------------------------


def test_a_check_sends_a_segment_and_reads_it_back(world: World):
    before = world.runner().info().archives[0].last
    world.runner().check()
    after = world.runner().info().archives[0].last
    assert before is not None
    assert after is not None
    assert before < after


def test_it_runs_as_the_account_of_the_database(world: World, programs: Path):
    (programs / "pgbackrest").write_text('#!/bin/sh\nid -un\necho "$@"\n')
    (programs / "pgbackrest").chmod(0o755)
    said = world.runner().run("check", timeout=20).out.decode()
    assert said == f"postgres\n--config={world.made.config} --stanza={STANZA} check\n"
    assert world.runner(user=None).run("check", timeout=20).out.startswith(b"root\n")


def test_an_info_tells_every_backup_with_its_kind_times_sizes_and_wal(world: World):
    told = world.runner().info()
    assert (told.name, told.code, told.backup_runs) == (STANZA, info.OK, False)
    (repo,) = told.repos
    assert (repo.key, repo.cipher, repo.code) == (1, "aes-256-cbc", info.OK)
    (archive,) = told.archives
    full = told.backups[0]
    assert re.fullmatch(r"\d{8}-\d{6}F", full.label)
    assert (full.kind, full.prior, full.references, full.error, full.repo) == ("full", None, (), False, 1)
    assert timedelta() <= datetime.now(UTC) - full.stopped < timedelta(hours=1)
    assert full.started <= full.stopped
    assert full.size == full.delta > (full.repo_size or 0) == full.repo_delta
    assert archive.first is not None
    assert archive.last is not None
    assert full.wal_start is not None
    assert full.wal_stop is not None
    assert archive.first <= full.wal_start <= full.wal_stop <= archive.last


def test_a_later_backup_names_what_it_rests_on(world: World):
    world.made.must("--type=diff", "backup")
    told = world.runner().info()
    diff = told.backups[-1]
    fulls = [each.label for each in told.backups if each.kind == "full"]
    assert diff.kind == "diff"
    assert diff.prior in fulls
    assert diff.references == (diff.prior,)
    assert diff.repo_delta is not None
    assert diff.repo_size is not None
    assert diff.repo_delta < diff.repo_size


def test_a_backup_that_runs_is_seen_and_a_check_does_not_disturb_it(world: World):
    assert not world.runner().backup_runs()
    with world.made.held_backup() as backup:
        assert world.runner().backup_runs()
        world.runner().check()
        failed = world.refused("backup")
        assert failed.status == failures.LOCKED
        assert "another command of pgbackrest is at work on the stanza" in failed.message
        assert backup.end()[0] == 0
    assert not world.runner().backup_runs()


def test_a_release_that_cannot_tell_whether_a_backup_runs_is_taken_to_have_one(world: World, programs: Path):
    old = '[{"name": "birds", "status": {"code": 0, "message": "ok"}}]'
    (programs / "pgbackrest").write_text(f"#!/bin/sh\necho '{old}'\n")
    (programs / "pgbackrest").chmod(0o755)
    assert world.runner().backup_runs()


# --- what does not ----------------------------------------------------------------------------------------------------


def test_a_dead_key_ends_a_command_with_39_and_an_info_with_a_code(world: World):
    dead = world.cloud.key(USER)
    world.made.store(dead)
    world.runner().check()
    world.cloud.deactivate(USER, dead.id)
    failed = world.refused()
    assert failed.status == 39
    assert failed.message == (
        "pgbackrest check on this machine failed with status 39: the bucket's server does not know the access key: it "
        "was deactivated or deleted, or is of elsewhere"
    )
    assert failed.hint == RENDER
    assert "the bucket's server calls it InvalidAccessKeyId" in failed.details
    told = world.runner().info()
    assert told.code == info.OTHER
    assert told.backups == ()
    assert failures.explain_message(told.repos[0].message).remedy is failures.Remedy.RENDER
    world.cloud.delete(USER, dead.id)
    assert world.refused().status == 39


def _without(name: str) -> Callable[[str], str]:
    return lambda text: re.sub(rf"^{name}=.*\n", "", text, flags=re.MULTILINE)


def _with(name: str, value: str) -> Callable[[str], str]:
    return lambda text: re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)


def _and(line: str) -> Callable[[str], str]:
    return lambda text: f"{text}{line}\n"


WRONG: dict[str, tuple[Callable[[str], str], int, str]] = {
    "a wrong secret": (_with("repo1-s3-key-secret", "x" * 40), 39, "the secret does not go with the access key"),
    "another bucket": (_with("repo1-s3-bucket", "other-bucket"), 39, "the access key may not do this in the bucket"),
    "no passphrase": (_without("repo1-cipher-[a-z]+"), 29, "is encrypted and the configuration has none"),
    "no secret": (_without("repo1-s3-key-secret"), 37, "the configuration lacks an option"),
    "a line that is none": (_and("junk"), 29, "the configuration is not one that pgbackrest takes"),
    "an option twice": (_and("pg1-port=3"), 31, "the configuration is not one that pgbackrest takes"),
    "another port": (_with("pg1-port", "1"), 27, "the database does not answer"),
    "another folder": (_with("pg1-path", "/nowhere"), 27, "the database's folder is not where the configuration says"),
    "another user": (_with("pg1-user", "nobody-at-all"), 27, "the database does not let this account in"),
    "a pg1-host": (_and("pg1-host=localhost"), 27, "the configuration has a pg1-host"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_in_one_sentence(world: World, what: str):
    change, status, sentence = WRONG[what]
    world.edit(change)
    failed = world.refused()
    assert failed.status == status
    assert sentence in failed.message
    assert "\n" not in failed.message
    assert failed.hint


def test_another_passphrase_is_said_whatever_the_status(world: World):
    """What comes out of a wrong key is by chance no text (29) or no end of a file (95)."""
    world.edit(_with("repo1-cipher-pass", secrets.token_hex(16)))
    failed = world.refused()
    assert failed.status in (29, 95)
    assert "the repository was encrypted with another passphrase" in failed.message


def test_a_stanza_that_was_never_created_is_said_with_the_command_that_creates_it(world: World):
    world.edit(lambda text: text.replace("/var/lib/pgbackrest", "/chronos-probe"))
    failed = world.refused()
    assert failed.status == 55
    assert "the repository does not have the stanza" in failed.message
    assert failed.hint == f"runuser -u postgres -- pgbackrest --config={world.made.config} --stanza=birds stanza-create"
    assert world.runner().info().code == info.NO_STANZA


def test_a_configuration_that_is_not_there_or_not_readable_is_said(world: World):
    failed = world.refused(config=world.made.folder / "conf" / "none")
    assert (failed.status, failed.details) == (55, ())
    assert "the configuration is not there" in failed.message
    os.chown(world.made.config, 0, 0)
    assert world.refused().status == 41


def test_another_stanza_is_not_in_the_configuration(world: World):
    failed = world.refused(stanza="gulls")
    assert (failed.status, failed.message.endswith("the configuration does not have the stanza")) == (37, True)


def test_a_server_that_is_away_is_said_soon(world: World, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setenv("PGBACKREST_REPO1_STORAGE_PORT", str(closed.getsockname()[1]))
    assert "the bucket's server cannot be reached from there" in world.refused(io_timeout=1).message
    monkeypatch.setenv("PGBACKREST_REPO1_STORAGE_HOST", "nowhere.invalid")
    assert "the name of the bucket's server is not known there" in world.refused(io_timeout=1).message


def test_a_server_that_cannot_prove_itself_is_said(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PGBACKREST_REPO1_STORAGE_CA_FILE")
    failed = world.refused(io_timeout=1)
    assert (failed.status, "the certificate of the bucket's server is not trusted there" in failed.message) == (
        95,
        True,
    )


def test_a_command_that_takes_too_long_is_cut_off(world: World, programs: Path):
    (programs / "pgbackrest").write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    (programs / "pgbackrest").chmod(0o755)
    with pytest.raises(CutOff):
        world.runner().run("check", timeout=0.3)


# --- what starts it ---------------------------------------------------------------------------------------------------


def test_a_host_without_it_says_so(world: World, programs: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("sh", "id", "runuser"):
        (programs / name).symlink_to(require(name))
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(TargetFailed, match="this machine has no program pgbackrest"):
        world.runner().check()
    with pytest.raises(TargetFailed, match="pgbackrest could not be started"):
        world.runner(user=None).check()


def test_an_account_that_is_not_there_says_so(world: World):
    with pytest.raises(TargetFailed, match="this machine does not run pgbackrest as nobody-at-all: runuser: user"):
        world.runner(user="nobody-at-all").check()


def test_what_was_said_is_not_shown_where_the_configuration_cannot_be_read(world: World):
    key = Key("AKIA" + secrets.token_hex(8), secrets.token_hex(20))
    loud = world.made.folder / "kept" / "gone.conf"
    world.made.write(loud, f"[global]\nrepo1-s3-key={key.id}\n{key.secret}\n")
    failed = world.refused(config=loud)
    assert failed.status == 29
    assert key.secret not in " ".join(failed.details)
    assert BUCKET not in " ".join(failed.details)
