"""The rotation of an SSH key is killed at every step and at any moment; the next run finishes it.

Somebody logs in all the time with what the consumer's key file holds, and is never refused.
"""

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos_secrets.rotation import generate
from chronos_secrets.rotation.journal import PENDING, PREVIOUS
from chronos_secrets.secret import Secret
from chronos_secrets.vault.kdf import MasterKey
from chronos_secrets.vault.store import Places, Vault
from tests.support import keepassxc
from tests.support.commands import Aviary
from tests.support.containers import require_root
from tests.support.remote import ssh_by
from tests.support.rotator import Answer, Prober, Rotator, age, holding, junk
from tests.support.sshd import Sshd
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("rotation-kills-ssh")

KILLS = 200 if os.environ.get("CHRONOS_LONG") else 20
GRACE = 8  # days after which the old key may go


class World:
    """A project whose `key` opens an account, a rotator of it, and a consumer that uses the key file."""

    def __init__(self, folder: Path, far: Sshd) -> None:
        self.far, self.project = far, Aviary(folder)
        self.project.edit('target: {host: far}, never: "a toy"', "target: {host: far}, every: 1 year")
        self.home = far.folder / "homes" / "deploy"
        self.file = self.home / ".ssh" / "authorized_keys"
        first, others = generate.ed25519(), [generate.ed25519().public for _ in range(2)]
        self.lines = f'# kept\n{others[0]} a\nfrom="127.0.0.1" KEY the one\n\ncert-authority {others[1]}\n'
        self._write(self.lines.replace("KEY", first.public))
        self.project.remake_vault(key__private_key=first.private.reveal())
        assert self.project.run("render", "key-file", "ssh-config").status == 0
        self.olds: list[str] = []
        self.rotate = Rotator(self.project.folder, self.project.password_file, "key")
        self.prober = Prober(self.project.key_file.read_bytes, lambda _: self.lets_in(self.project.key_file), pause=0.1)

    def close(self) -> None:
        self.prober.close()
        self.rotate.close()

    def _write(self, text: str) -> None:
        self.file.parent.mkdir(mode=0o700, exist_ok=True)
        self.file.write_text(text)
        self.file.chmod(0o600)
        for each in (self.file.parent, self.file):
            os.chown(each, self.home.stat().st_uid, self.home.stat().st_gid)

    def lets_in(self, key: Path) -> bool:
        """Whether the server takes what a file holds, and that alone."""
        argv = ("ssh", "-o", f"IdentityFile={key}", "-o", "BatchMode=yes", "far-away", "true")
        return subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode == 0

    def held(self) -> tuple[str, list[str], list[str]]:
        """The key in the vault, those in the entry's history, and what a rotation keeps for a while."""
        places = Places(locks=self.project.root / "locks", previous=self.project.root / "previous")
        vault = Vault.open(self.project.vault, MasterKey(Secret(self.project.password)), places)
        entry = vault.entries.at(("SSH Keys", "Key"))
        assert entry
        (name,) = (each for each in entry.attachment_names if not each.startswith((PENDING, PREVIOUS)))
        passing = [each for each in entry.attachment_names if each != name]
        past = [old.attachment(name) for old in entry.history]
        now = entry.attachment(name)
        assert now
        return now.reveal(), [old.reveal() for old in past if old], passing

    def killed(self, *, later: bool = False, **kill: float) -> tuple[Answer, list[Answer]]:
        """A rotation that is killed on its first day or on the last, and the next ones, which nobody kills."""
        before, _, _ = self.held()
        runs = [] if later else [self.rotate("--now", **kill)]  # type: ignore[arg-type]
        runs.append(self.rotate(*(("--now",) if later else ())))
        self._assert_delivered()
        self.rotate.clock += GRACE
        runs += [self.rotate(**kill)] if later else []  # type: ignore[arg-type]
        runs.append(self.rotate())
        died = runs[1] if later else runs[0]
        assert [each.said for each in runs if each is not died and each.status != 0] == []
        self._assert_settled(before)
        return died, runs

    def _assert_delivered(self) -> None:
        current, _, _ = self.held()
        assert self.project.key_file.read_text() == current

    def _assert_settled(self, before: str) -> None:
        now, history, passing = self.held()
        if now != before:
            self.olds.append(before)
        assert (history, passing) == (self.olds[-10:], [])
        self._assert_delivered()
        until(lambda: len(os.listdir(self.file.parent)) == 1, "what a killed run was placing stays there")
        assert self.file.read_text() == self.lines.replace("KEY", generate.public(Secret(now))[0])
        self.prober.settle()
        assert self.prober.refused == []


@pytest.fixture(scope="module")
def far() -> Iterator[Sshd]:
    require_root()
    folder = Path(tempfile.mkdtemp(prefix="far-", dir="/tmp"))
    folder.chmod(0o755)
    (folder / "programs").mkdir()
    made = Sshd(folder, programs=folder / "programs")
    yield made
    made.close()
    shutil.rmtree(folder)


@pytest.fixture
def world(tmp_path: Path, far: Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    short = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    monkeypatch.setenv("TMPDIR", str(short))
    config = tmp_path / "client_config"
    config.write_text(
        f"Host far-away\n    User deploy\n    HostName 127.0.0.1\n    Port {far.port}\n    IdentitiesOnly yes\n"
        f"    IdentityAgent none\n    UserKnownHostsFile {far.folder}/known_hosts\n    LogLevel ERROR\n"
    )
    ssh_by(config, tmp_path / "bin", monkeypatch)
    made = World(tmp_path, far)
    yield made
    made.close()
    assert os.listdir(short) == [], "a killed run left more than the next one removes"
    short.rmdir()


def test_a_rotation_that_is_killed_anywhere_is_finished_by_the_next_one(world: World):
    _, whole = world.killed(later=True)
    first, last = ([side.name for side in run.sides] for run in (whole[0], whole[-2]))
    assert {"before set", "after set", "before deliver", "after deliver", "after save"} <= set(first)
    assert {"before set", "after set", "before save", "after save"} <= set(last)
    for later, sides in ((False, first), (True, last)):
        for boundary in range(1, len(sides) + 1):
            died, _ = world.killed(later=later, boundary=boundary)
            assert died.killed, f"boundary {boundary} was not reached: {died.said}"
            assert [side.name for side in died.sides] == sides[:boundary]
    chance, came_to = random.Random(20260103), set()
    for _ in range(KILLS):
        later = chance.random() < 0.4
        since, after = whole[-2 if later else 0].moment(chance)
        died, _ = world.killed(later=later, since=since, after=after)
        came_to.add((later, died.sides[-1].name if died.sides else ""))
    assert len(came_to) > 3, "the moments should be spread over the whole rotation"
    _assert_nothing_is_left(world)


def _assert_nothing_is_left(world: World) -> None:
    age(junk(world.project.state))
    world.killed()
    key, _, _ = world.held()
    entry = keepassxc.export(world.project.vault, world.project.password).at("SSH Keys", "Key")
    assert len(entry.attachments) == 1
    assert [len(old.attachments) for old in entry.history] == [1] * len(world.olds[-10:])
    assert junk(world.project.root, world.home) == []
    values = [each.splitlines()[-3].encode() for each in (*world.olds, key)]
    assert holding(values, world.project.root, world.far.folder, but=[world.project.key_file]) == []
    old = world.project.root / "old"
    old.touch(0o600)
    old.write_text(world.olds[-1])
    assert not world.lets_in(old)
    assert world.prober.uses > 30
