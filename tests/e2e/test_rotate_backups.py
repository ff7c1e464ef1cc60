"""A rotation under real backups: PostgreSQL, pgBackRest and a bucket, with the file that the command renders."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chronos_secrets.pgbackrest import info
from tests.support.backup_hosts import DESTINATION, ROOT, SECTIONS
from tests.support.backups import BUCKET, STANZA, Backups, backups
from tests.support.clock import hold_clock, zone_of_noon
from tests.support.clouds import Key
from tests.support.commands import Aviary, Done
from tests.support.seaweed import seaweed
from tests.support.targets import no_proxy

pytestmark = pytest.mark.xdist_group("backups")

DUE = "every: 1 year, rotated: 2020-01-01"
PROVEN = DESTINATION + "    prove: pgbackrest-check\n"
ADMINISTERED = SECTIONS.replace("  user:", "  admin_profile: admin\n  user:").replace(
    "pgbackrest/]", "pgbackrest/, chronos-probe/]"
)


class Keeper(Aviary):
    """A project whose `aws` is the key that backups are made with; it is due. `later` makes the days pass."""

    def __init__(self, folder: Path, world: Backups, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self.world, self._monkeypatch = world, monkeypatch
        self.user = f"keeper-{folder.stat().st_ino}"
        world.cloud.user(self.user, BUCKET)
        self.old = world.cloud.key(self.user)
        self._write_inventory()
        self.remake_vault(
            aws__access_key_id=self.old.id, aws__secret_access_key=self.old.secret,
            root__account_id=world.cloud.account, cipher__passphrase=world.cipher,
        )  # fmt: skip
        config = self.home / ".config" / "chronos-secrets" / "config.toml"
        config.parent.mkdir(parents=True)
        place = f'aws_endpoint = "{world.cloud.url}"\nca_bundle = "{world.cloud.certificate}"\n'
        config.write_text(f"[aviary]\nrotate_here = true\n{place}")
        world.cloud.profile("admin")
        self._now = datetime.now(UTC)
        done = self.run("render", "env", "pgbackrest", "--accept-repo-change", "--adopt")
        assert done.status == 0, done.text
        world.must("stanza-create")

    def _write_inventory(self) -> None:
        world, text = self.world, self.inventory.read_text()
        text = text.replace('AWS/Writer, never: "a toy"', f"AWS/Writer, {DUE}, target: {{iam_user: {self.user}}}")
        text = text.replace("destinations:\n", f"{ROOT}destinations:\n{PROVEN}", 1) + ADMINISTERED
        text = text.replace("project: aviary\n", f"project: aviary\ntimezone: {zone_of_noon()}\n", 1)
        facts = {
            "HOST": "local", "CONFIG": world.config, "PORT": world.database.port, "DATA": world.data, "STANZA": STANZA,
            "USER": self.user, "BUCKET": BUCKET,
        }  # fmt: skip
        for name, value in facts.items():
            text = text.replace(name, str(value))
        self.inventory.write_text(text)
        self._accept()

    def later(self, **time: int) -> None:
        self._now = hold_clock(self._monkeypatch, self._now + timedelta(**time))

    def rotate(self, *words: str) -> Done:
        done = self.run("rotate", "aws", *words, "--password-file", str(self.password_file))
        assert not {"aws.secret_access_key", "cipher.passphrase"} & set(self.leaked(done.text))
        assert self.current.secret not in done.text
        return done

    @property
    def current(self) -> Key:
        return Key(*(self.run("get", "aws", "--field", name).out for name in ("access_key_id", "secret_access_key")))

    @property
    def keys(self) -> dict[str, str]:
        return self.world.cloud.keys(self.user)

    @property
    def backups(self) -> tuple[info.Backup, ...]:
        return info.parse(self.world.must("--output=json", "info").encode(), STANZA).backups

    def keep_configuration(self) -> Path:
        """The configuration as it is now, for what still has it later."""
        kept = self.world.folder / "kept" / "old.conf"
        self.world.write(kept, self.world.config.read_text())
        return kept


@pytest.fixture(scope="module")
def world() -> Iterator[Backups]:
    with seaweed() as cloud, backups(cloud) as made:
        yield made


@pytest.fixture
def keeper(tmp_path: Path, world: Backups, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeper]:
    no_proxy(monkeypatch)
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    yield Keeper(tmp_path, world, monkeypatch)
    world.config.unlink(missing_ok=True)


def test_backups_go_on_before_during_and_after_and_the_old_key_ends_refused(keeper: Keeper):
    world, old = keeper.world, keeper.keep_configuration()
    before = len(keeper.backups)
    with world.held_backup() as backup:  # it began with the old key, and ends with it
        done = keeper.rotate("--now")
        assert done.status == 0, done.text
        new = keeper.current
        assert keeper.keys == {keeper.old.id: "Active", new.id: "Active"}
        assert new.secret in world.config.read_text()
        assert keeper.old.secret not in world.config.read_text()
        assert backup.end()[0] == 0
    world.must("--type=diff", "backup")
    assert world.run("check", config=old).returncode == 0

    keeper.later(days=7)
    done = keeper.rotate("--confirm-unused")
    assert done.status == 0, done.text
    assert keeper.keys == {keeper.old.id: "Inactive", new.id: "Active"}
    refused = world.run("check", config=old)
    assert refused.returncode == 39
    assert "InvalidAccessKeyId" in refused.stderr
    world.must("--type=incr", "backup")

    keeper.later(days=7)
    done = keeper.rotate()
    assert done.status == 0, done.text
    assert keeper.keys == {new.id: "Active"}
    assert world.run("--type=full", "backup", config=old).returncode == 39
    world.must("--type=full", "backup")
    assert [each.kind for each in keeper.backups[before:]] == ["full", "diff", "incr", "full"]
    assert not [each for each in keeper.backups if each.error]


def test_a_running_backup_keeps_the_old_key_active(keeper: Keeper):
    assert keeper.rotate("--now").status == 0
    keeper.later(days=7)
    with keeper.world.held_backup() as backup:
        done = keeper.rotate("--confirm-unused")
        assert done.status == 8, done.text
        assert "a backup is running" in done.text
        assert keeper.keys[keeper.old.id] == "Active"
        assert backup.end()[0] == 0
    assert keeper.rotate("--confirm-unused").status == 0
    assert keeper.keys[keeper.old.id] == "Inactive"


def test_a_use_that_nobody_can_tell_keeps_the_old_key_active(keeper: Keeper):
    assert keeper.rotate("--now").status == 0
    keeper.later(days=7)
    done = keeper.rotate()
    assert done.status == 8, done.text
    assert "hint: chronos-secrets rotate aws --confirm-unused" in done.err
    assert keeper.keys[keeper.old.id] == "Active"


def test_a_repository_that_is_not_proven_stops_the_rotation_before_the_old_key_ends(keeper: Keeper):
    """The database may ship its WAL with another file than the one that was delivered."""
    database = keeper.world.database
    database.ask("ALTER SYSTEM SET archive_command = '/bin/false'")
    database.ask("SELECT pg_reload_conf()")
    try:
        done = keeper.rotate("--now")
        assert done.status == 7, done.text
        assert "pgbackrest check on this machine failed with status 68" in done.err
        assert "the database's archive_command does not call pgbackrest" in done.err
        keeper.later(days=30)
        assert keeper.rotate("--confirm-unused").status == 7
        assert set(keeper.keys.values()) == {"Active"}
    finally:
        keeper.world.archive()
    new = keeper.current
    assert keeper.rotate().status == 0
    assert keeper.current == new
    assert keeper.keys == {keeper.old.id: "Active", new.id: "Active"}


def test_where_nobody_can_tell_whether_a_backup_runs_the_old_key_stays_active(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
):
    assert keeper.rotate("--now").status == 0
    keeper.later(days=7)
    programs = keeper.world.folder / "programs"
    programs.mkdir()
    try:
        (programs / "pgbackrest").write_text("#!/bin/sh\nexit 41\n")
        (programs / "pgbackrest").chmod(0o755)
        with monkeypatch.context() as broken:
            broken.setenv("PATH", f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin")
            done = keeper.rotate("--confirm-unused")
    finally:
        shutil.rmtree(programs)
    assert done.status == 7, done.text
    assert "a file cannot be opened by the account that pgbackrest runs as" in done.err
    assert keeper.keys[keeper.old.id] == "Active"


def test_a_rollback_delivers_the_old_key_and_backups_go_on(keeper: Keeper):
    assert keeper.rotate("--now").status == 0
    new, kept = keeper.current, keeper.keep_configuration()
    done = keeper.run("rotate", "rollback", "aws", "--yes", "--password-file", keeper.password_file)
    assert done.status == 0, done.text
    assert keeper.current == keeper.old
    assert keeper.keys == {keeper.old.id: "Active"}
    assert new.id not in keeper.keys
    keeper.world.must("--type=incr", "backup")
    assert keeper.world.run("check", config=kept).returncode == 39
