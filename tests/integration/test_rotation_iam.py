"""The rotation of an IAM user's key is killed at every step and at any moment; the next run finishes it.

SeaweedFS honours the keys, and refuses an Inactive one. Somebody uses all the time what the consumer's file holds, and
is never refused.
"""

import os
import random
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import faults as bad
from tests.support import keepassxc
from tests.support.clouds import PROBES, REGION, Cloud, Key
from tests.support.commands import Aviary
from tests.support.faults import Faults, between
from tests.support.prober import Prober
from tests.support.rotator import Answer, Rotator
from tests.support.seaweed import seaweed
from tests.support.targets import no_proxy

pytestmark = pytest.mark.xdist_group("rotation-kills-iam")

KILLS = 200 if os.environ.get("CHRONOS_LONG") else 20
DAYS = (0, 8, 8)  # from one run to the next: grace and soak are a week each
BUCKET = "birds"
SECTION = f"""\
cloud:
  provider: aws
  region: {REGION}
  endpoint: s3.{REGION}.amazonaws.com
  account: {{credential: root, field: account_id}}
  admin_profile: admin
  user: {{name: USER, policy: backups, prefixes: [var/lib/pgbackrest/, {PROBES}]}}
  bucket: {{name: {BUCKET}}}
"""
ROOT = '  root: {kind: account, title: R, entry: AWS/Root, never: "a toy", fields: {account_id: "attr:Number"}}\n'


class Nest(Aviary):
    """An aviary whose key `aws` is real, and is delivered to one file. Days pass, and it is rotated again and again."""

    def __init__(self, folder: Path, cloud: Cloud, faults: Faults) -> None:
        super().__init__(folder)
        self.cloud, self.faults = cloud, faults
        self.user = f"writer-{secrets.token_hex(4)}"
        cloud.user(self.user, BUCKET)
        self.key = cloud.key(self.user)
        cloud.profile()
        self._write()
        self.remake_vault(
            aws__access_key_id=self.key.id, aws__secret_access_key=self.key.secret, root__account_id=cloud.account
        )
        assert self.run("render", "env").status == 0
        self.rotator = Rotator(self.folder, self.password_file, "aws")

    def _write(self) -> None:
        inventory = self.inventory.read_text()
        inventory = inventory.replace(
            'AWS/Writer, never: "a toy"', f"AWS/Writer, every: 1 year, target: {{iam_user: {self.user}}}"
        )
        inventory = inventory.replace("destinations:\n", ROOT + "destinations:\n") + SECTION.replace("USER", self.user)
        self.inventory.write_text(inventory)
        config = self.home / ".config" / "chronos-secrets" / "config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(f'[aviary]\naws_endpoint = "{self.faults.url}"\n')
        self._accept()

    @property
    def delivered(self) -> Key:
        """What the consumer's file holds."""
        held = dict(line.split("=", 1) for line in self.env.read_text().splitlines() if "=" in line)
        return Key(*(held[name].strip("'\"") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")))

    def use(self) -> str | None:
        """Use what the file holds as a backup does."""
        key = self.delivered
        self.cloud.client("s3", key).list_objects_v2(Bucket=BUCKET, Prefix="var/lib/pgbackrest/")
        return None

    def finish(self, answer: Answer, *words: str) -> list[str]:
        """Run it again until it has nothing more to do today; what was not as promised."""
        for _ in range(4):
            if answer.status == 0:
                return []
            if answer.status not in (None, 7, 8):
                return [f"exit {answer.status}: {answer.said}"]
            answer = self.rotator(*words)
        return [f"never finished: exit {answer.status}: {answer.said}"]

    def close(self) -> None:
        self.rotator.close()

    # --- what must be true at the end ---

    def faults_found(self, before: Key, said: str) -> list[str]:
        now, entry = self.delivered, keepassxc.export(self.vault, self.password).at("AWS", "Writer")
        truths = {
            "the key was not replaced": now.id != before.id,
            "the file holds another key than the vault": now == Key(entry.fields["UserName"][0], entry.password),
            "IAM honours another key than the current one": self.cloud.keys(self.user) == {now.id: "Active"},
            "the old secret is not in the entry's history": before.secret in [old.password for old in entry.history],
            "something of the rotation is left in the entry": not [
                name for name in entry.fields if name.startswith(("chronos.pending", "chronos.previous"))
            ],
            "a rotation made several items of the history": len({old.password for old in entry.history})
            == len(entry.history),
            "a run said a secret": not [key for key in self.faults.issued if key.secret in said],
        }
        leaked, junk = self._elsewhere(), self._junk()
        return [*(words for words, holds in truths.items() if not holds), *leaked, *junk]

    def _elsewhere(self) -> list[str]:
        """Files that hold a secret and should not."""
        hidden = [key.secret.encode() for key in (*self.faults.issued, self.key)]
        files = [path for path in self.root.rglob("*") if path.is_file() and path != self.env]
        return [f"{path} holds a secret" for path in files if any(each in path.read_bytes() for each in hidden)]

    def _junk(self) -> list[str]:
        """What was left, but for what this machine remembers, which is tidied up an hour later."""
        left = [path for path in self.root.rglob(".chronos-*") if path.parent != self.state]
        return [f"{path} was left" for path in left]

    def left_after_an_hour(self) -> list[str]:
        """What is still left when the vault is opened again an hour later."""
        for path in self.state.glob(".chronos-*"):
            os.utime(path, (time.time() - 3700,) * 2)
        self.rotator.clock += 400
        found = self.finish(self.rotator("--now"))
        return [*found, *(str(path) for path in self.root.rglob(".chronos-*"))]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with seaweed() as server:
        server.bucket(BUCKET)
        yield server


@pytest.fixture(scope="module")
def proxy(cloud: Cloud) -> Iterator[Faults]:
    with between(cloud) as faults:
        yield faults


@pytest.fixture
def nest(cloud: Cloud, proxy: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nest]:
    no_proxy(monkeypatch)
    made = Nest(tmp_path, cloud, proxy)
    yield made
    made.close()
    proxy.clear()


def _rotation(nest: Nest, kills: dict[int, dict[str, float]]) -> tuple[list[str], list[Answer]]:
    """A whole rotation over its days, killed in its runs as `kills` says; what was not as promised."""
    before, found, answers = nest.delivered, [], []
    with Prober(nest.use) as prober:
        for run, days in enumerate(DAYS):
            nest.rotator.clock += days
            words = ("--confirm-unused",) if run else ("--now",)  # when all is done, --now would begin the next one
            answers.append(nest.rotator(*words, **kills.get(run, {})))  # type: ignore[arg-type]
            found += nest.finish(answers[-1], *words)
    nest.rotator.clock += 1
    found += [f"{refusal}" for refusal in prober.bad[:3]]
    found += [] if prober.asked > 3 else ["nobody used the file"]
    return [*found, *nest.faults_found(before, "".join(answer.said for answer in answers))], answers


def test_a_rotation_takes_three_runs_on_three_days_and_disturbs_nobody(nest: Nest):
    found, answers = _rotation(nest, {})
    assert found == []
    assert [answer.status for answer in answers] == [0, 0, 0]
    assert nest.faults.count("CreateAccessKey") == 1


def test_a_rotation_killed_before_and_after_every_effect_is_finished_by_running_it_again(nest: Nest):
    killed, side = True, 0
    while killed:
        side += 1
        found, answers = _rotation(nest, {run: {"boundary": side} for run in range(len(DAYS))})
        killed = answers[0].killed
        assert found == [], (side, answers)
    assert side > 12  # saved four times, created and delivered once
    assert nest.left_after_an_hour() == []


@pytest.mark.parametrize("when", [bad.KILL_BEFORE, bad.KILL_AFTER])
def test_a_rotation_killed_while_it_waits_for_an_answer_is_finished_by_running_it_again(nest: Nest, when: str):
    nest.faults.client = nest.rotator.running
    for operation, times in {"CreateAccessKey": 1, "UpdateAccessKey": 1, "DeleteAccessKey": 2}.items():
        nest.faults.add(when, operation, times=times)  # the stray that the first one may leave is deleted, too
    found, answers = _rotation(nest, {})
    assert found == []
    assert [answer.killed for answer in answers] == [True, True, True]
    assert nest.faults.count("CreateAccessKey") == 2


def test_a_rotation_killed_at_any_moment_is_finished_by_running_it_again(nest: Nest):
    found, answers = _rotation(nest, {})
    took = [answer.seconds for answer in answers]
    for seed in range(KILLS):
        kills = _moments(random.Random(seed), took)
        nest.faults.fresh = 0.2 if seed % 4 == 0 else 0.0
        if seed % 3 == 0:
            nest.faults.add(FAULTS[seed // 3 % len(FAULTS)], "CreateAccessKey")
        found, answers = _rotation(nest, kills)
        assert found == [], (seed, kills, answers)
    nest.faults.clear()
    assert nest.left_after_an_hour() == []


FAULTS = [bad.LOST, bad.CUT, bad.RESET, bad.BROKEN, bad.THROTTLED]


def _moments(chance: random.Random, took: list[float]) -> dict[int, dict[str, float]]:
    """When the runs of a rotation are killed: one of them for certain, the others perhaps."""
    certain = chance.randrange(len(took))
    return {
        run: {"after": max(0.001, chance.random() * seconds)}
        for run, seconds in enumerate(took)
        if run == certain or chance.random() < 0.3
    }
