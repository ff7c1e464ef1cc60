"""`rotate aws-keys` through its weeks, on moto, which speaks no TLS and whose IAM knows everything at once."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chronos_secrets.cli import rotating
from chronos_secrets.cli.session import Session
from chronos_secrets.rotation.targets.iam import IamKeys
from chronos_secrets.settings import Flags
from tests.support.clock import hold_clock, zone_of_noon
from tests.support.clouds import Key
from tests.support.commands import Aviary, Done
from tests.support.moto_iam import Moto, moto
from tests.support.targets import no_proxy

pytestmark = pytest.mark.xdist_group("rotate-aws")

CLOUD = """\
cloud:
  provider: aws
  region: ca-central-1
  endpoint: s3.ca-central-1.amazonaws.com
  account: {credential: root, field: account_id}
  admin_profile: admin
  user: {name: USER, policy: write-backups, prefixes: [chronos-probe/]}
  bucket: {name: BUCKET}
"""
ROOT = """\
  root: {kind: account, title: Root, entry: AWS/Root, never: "a toy", fields: {account_id: "attr:AWS Account ID"}}
"""


@pytest.fixture(scope="module")
def server():
    with moto() as made:
        yield made


class Writer(Aviary):
    """An aviary whose `aws` is the key of a user of moto's; it is due. `later` makes the days pass."""

    def __init__(self, folder: Path, server: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self.server, self._monkeypatch = server, monkeypatch
        self.user = f"writer-{folder.stat().st_ino}"
        self.bucket = f"birds-{folder.stat().st_ino}"
        server.bucket(self.bucket)
        server.user(self.user, self.bucket)
        self.old = server.key(self.user)
        text = self.inventory.read_text()
        text = text.replace(
            'AWS/Writer, never: "a toy"',
            f"AWS/Writer, every: 1 year, rotated: 2020-01-01, target: {{iam_user: {self.user}}}",
        )
        text = text.replace("destinations:\n", ROOT + "destinations:\n", 1)
        text = text.replace("project: aviary\n", f"project: aviary\ntimezone: {zone_of_noon()}\n", 1)
        self.inventory.write_text(text + CLOUD.replace("USER", self.user).replace("BUCKET", self.bucket))
        self.remake_vault(
            aws__access_key_id=self.old.id, aws__secret_access_key=self.old.secret, root__account_id=server.account
        )
        self.says(f'aws_endpoint = "{server.url}"\nrotate_here = true')
        assert self.run("render", "env").status == 0
        server.profile("admin")
        self._now = datetime.now(UTC)

    def says(self, text: str) -> None:
        """What config.toml of this machine says."""
        config = self.home / ".config" / "chronos-secrets" / "config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(f"[aviary]\n{text}\n")

    def later(self, **time: int) -> None:
        self._now = hold_clock(self._monkeypatch, self._now + timedelta(**time))

    def rotate(self, *arguments: str) -> Done:
        return self.run("rotate", *arguments, "--password-file", str(self.password_file))

    @property
    def current(self) -> Key:
        return Key(*(self.run("get", "aws", "--field", name).out for name in ("access_key_id", "secret_access_key")))

    @property
    def keys(self) -> dict[str, str]:
        return self.server.keys(self.user)

    def due(self) -> dict[str, str]:
        rows = json.loads(self.run("due", "--json").out)["rows"]
        return next(row for row in rows if row["id"] == "aws")


@pytest.fixture
def writer(tmp_path, server, monkeypatch):
    no_proxy(monkeypatch)
    return Writer(tmp_path, server, monkeypatch)


def test_a_daily_timer_carries_a_rotation_through_its_weeks(writer: Writer):
    done = writer.rotate("aws-keys")
    assert done.status == 0, done.text
    new = writer.current
    assert new.id != writer.old.id
    assert writer.keys == {writer.old.id: "Active", new.id: "Active"}
    assert new.secret in writer.env.read_text()
    day = writer.due()["due"]
    assert writer.due()["state"] == "in-progress"
    assert writer.due()["next"] == f"in phase delivered, next step from {day}"
    assert writer.due()["how"] is None
    writer.later(days=6)
    vault = writer.vault.read_bytes()
    done = writer.rotate("aws-keys")
    assert (done.status, done.err) == (0, "")
    assert done.out == f"aws: delivered; the old one (...{writer.old.id[-4:]}) is deactivated from {day} on\n"
    assert writer.vault.read_bytes() == vault
    writer.later(days=1)
    assert writer.due()["how"] == "chronos-secrets rotate aws"
    assert writer.rotate("aws-keys").status == 0
    assert writer.keys == {writer.old.id: "Inactive", new.id: "Active"}
    writer.later(days=7)
    assert writer.rotate("aws-keys").status == 0
    assert writer.keys == {new.id: "Active"}
    assert writer.due()["state"] == "ok"
    assert writer.current == new


def test_the_keys_that_this_machine_ever_stored_are_known_by_its_history(writer: Writer, monkeypatch):
    assert writer.rotate("aws").status == 0
    monkeypatch.chdir(writer.folder)
    assert rotating.known_here(Session(Flags()), "aws") == {writer.old.id, writer.current.id}
    assert rotating.known_here(Session(Flags()), "db") == frozenset()


def test_a_key_that_this_machine_stored_is_no_stray_even_where_the_vault_has_forgotten_it(writer: Writer, monkeypatch):
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(IamKeys, "prove", cut)
        assert writer.rotate("aws").status == 130
    [lost] = writer.keys.keys() - {writer.old.id}
    kept = sorted((writer.state / "previous").glob("*.kdbx"))
    shutil.copy(kept[-1], writer.vault)  # an older copy, of when the key was about to be asked for
    assert writer.due()["next"] == "cut short in phase created: rotate again to go on"
    done = writer.rotate("aws")
    assert done.status == 5, done.text
    assert f"...{lost[-4:]}" in done.err
    assert "this machine stored it once" in done.text
    assert writer.keys == {writer.old.id: "Active", lost: "Active"}


def test_a_rollback_replaces_a_file_that_is_the_value_and_nothing_else(writer: Writer):
    file = "{path: out/secret, dialect: file, value: {from: aws, field: secret_access_key}}"
    writer.edit("destinations:\n", f"destinations:\n  secret: {file}\n")
    assert writer.run("render", "secret").status == 0
    assert writer.rotate("aws").status == 0
    assert (writer.folder / "out" / "secret").read_text() == writer.current.secret != writer.old.secret
    done = writer.rotate("rollback", "aws")
    assert done.status == 0, done.text
    assert (writer.folder / "out" / "secret").read_text() == writer.old.secret


def test_a_rollback_while_the_old_key_rests_brings_it_back(writer: Writer):
    assert writer.rotate("aws").status == 0
    writer.later(days=7)
    assert writer.rotate("aws").status == 0
    done = writer.rotate("rollback", "aws")
    assert done.status == 0, done.text
    assert writer.current == writer.old
    assert writer.keys == {writer.old.id: "Active"}
    assert writer.old.secret in writer.env.read_text()
    assert writer.due()["state"] == "overdue"


def test_an_administrator_who_is_not_signed_in_is_found_before_anything_is_done(writer: Writer):
    vault = writer.vault.read_bytes()
    (writer.home / ".aws" / "credentials").unlink()
    done = writer.rotate("aws")
    assert done.status == 7, done.text
    assert "hint: aws sso login --profile admin" in done.err
    assert writer.vault.read_bytes() == vault
    assert writer.keys == {writer.old.id: "Active"}
    assert writer.due()["how"] == "waiting for you: aws sso login --profile admin, then chronos-secrets rotate aws"
    writer.server.profile("admin")
    assert writer.rotate("aws").status == 0
    assert writer.due()["how"] is None


def test_the_steps_that_need_no_administrator_are_still_taken(writer: Writer):
    writer.env.parent.chmod(0o700)
    writer.edit("path: out/.env", 'path: out/.env\n    after: [["false"]]')
    failed = writer.rotate("aws")
    assert failed.status == 7
    assert "cannot log in" not in failed.err
    (writer.home / ".aws" / "credentials").unlink()
    writer.edit('[["false"]]', '[["true"]]')
    assert writer.rotate("aws").status == 0
    assert writer.due()["state"] == "in-progress"
    writer.later(days=7)
    assert writer.rotate("aws").status == 7
    assert writer.due()["how"].startswith("waiting for you: aws sso login --profile admin")


def test_the_plan_of_a_rotation_that_rests_shows_what_is_left(writer: Writer):
    assert writer.rotate("aws").status == 0
    done = writer.rotate("aws", "--dry-run")
    assert done.status == 0
    assert "deactivate the old one" in done.out
    assert "get a new secret" not in done.out
    assert len(writer.keys) == 2


def test_after_a_leak_the_old_key_can_end_on_the_same_day(writer: Writer):
    assert writer.rotate("aws").status == 0
    done = writer.rotate("aws", "--now")
    assert "to end it today: grace: 0 days in the row aws of inventory.yaml" in done.out
    writer.edit("every: 1 year, rotated: 2020-01-01", "every: 1 year, grace: 0 days, soak: 0 days")
    done = writer.rotate("aws")
    assert done.status == 0, done.text
    assert writer.keys == {writer.current.id: "Active"}
    assert writer.current != writer.old


def test_a_vault_from_before_the_rotation_says_to_bring_the_newest_one_and_ends_no_key(writer: Writer):
    before = writer.vault.read_bytes()
    assert writer.rotate("aws").status == 0
    writer.vault.write_bytes(before)
    keys = writer.keys
    done = writer.rotate("aws")
    assert done.status == 5
    assert "hint: bring the newest vault to this machine" in done.err
    assert writer.keys == keys


def test_a_place_of_the_backups_that_git_moved_is_asked_about(writer: Writer):
    (writer.folder / "conf.j2").write_text("[global]\nrepo1-s3-key={{ key.access_key_id }}\n")
    conf = "{host: far, path: /etc/conf, dialect: pgbackrest, template: conf.j2, uses: {key: aws}}"
    writer.edit("destinations:\n", f"destinations:\n  conf: {conf}\n")
    backups = "{stanza: birds, host: far, config: conf, repo: {path: /chronos-probe, cipher: none, retention_full: 2}}"
    writer.inventory.write_text(f"{writer.inventory.read_text()}pgbackrest: {backups}\n")
    writer._accept()
    writer.trusting = False
    writer.inventory.write_text(writer.inventory.read_text().replace("stanza: birds", "stanza: cats"))
    done = writer.rotate("aws")
    assert done.status == 5
    assert "+ section pgbackrest is the stanza cats on far" in done.err


def test_the_plan_shows_the_days(writer: Writer):
    done = writer.rotate("aws", "--dry-run")
    assert done.status == 0, done.text
    assert [line[:14].strip() for line in done.out.splitlines() if line[2] != " "][:4] == [
        "aws  AWS",
        "now",
        "now",
        "now",
    ]
    assert writer.keys == {writer.old.id: "Active"}


def test_the_key_of_another_account_is_refused(writer: Writer):
    writer.remake_vault(
        aws__access_key_id=writer.old.id, aws__secret_access_key=writer.old.secret, root__account_id="210987654321"
    )
    done = writer.rotate("aws")
    assert done.status in (5, 7)
    assert "account" in done.err
    assert "210987654321" not in done.err
    assert writer.keys == {writer.old.id: "Active"}
