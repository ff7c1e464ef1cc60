"""The rotation of a PostgreSQL role is killed at every step and at any moment; the next run finishes it.

Somebody uses all the time what the file of the consumer holds. It may be refused from the moment the new password is
set until it is delivered, and at no other.
"""

import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos_secrets.rotation.journal import PENDING, PREVIOUS
from chronos_secrets.secret import Secret
from chronos_secrets.vault.kdf import MasterKey
from chronos_secrets.vault.store import Places, Vault
from tests.support import keepassxc, targets
from tests.support.commands import Aviary
from tests.support.rotator import Answer, Prober, Rotator, age, holding, junk

pytestmark = pytest.mark.xdist_group("rotation-kills-postgres")

KILLS = 200 if os.environ.get("CHRONOS_LONG") else 20
SECTION = "postgres: {{host: local, port: {port}, database: birds, role: {role}, data: /var/lib/postgresql}}\n"


class World:
    """A project whose `db` is the password of a role, a rotator of it, and a consumer that uses its .env."""

    def __init__(self, folder: Path, database: targets.Database) -> None:
        self.database, self.role = database, f"wren{os.urandom(4).hex()}"
        self.project = Aviary(folder)
        text = self.project.inventory.read_text().replace('Database/DB, never: "a toy"', "Database/DB, every: 1 year")
        self.project.inventory.write_text(text + SECTION.format(port=database.port, role=self.role))
        database.role(self.role, self.project.values["db.password"])
        self.project.remake_vault(db__username=self.role)
        assert self.project.run("render", "env").status == 0
        self.olds: list[str] = []
        self.rotate = Rotator(self.project.folder, self.project.password_file, "db")
        self.prober = Prober(self._consumed, lambda held: self.lets_in(held.decode()))

    def close(self) -> None:
        self.prober.close()
        self.rotate.close()

    def _consumed(self) -> bytes:
        """The password in the consumer's file."""
        found = re.search(rb"PASSWORD='?([^'\n]+)", self.project.env.read_bytes())
        assert found
        return found[1]

    def lets_in(self, password: str) -> bool:
        import psycopg

        where = {"host": "127.0.0.1", "port": str(self.database.port), "dbname": "birds", "connect_timeout": "10"}
        try:
            psycopg.connect(**where, user=self.role, password=password).close()  # type: ignore[arg-type]
        except psycopg.OperationalError:
            return False
        return True

    def held(self) -> tuple[str, list[str], list[str]]:
        """The password in the vault, those in the entry's history, and what a rotation keeps for a while."""
        places = Places(locks=self.project.root / "locks", previous=self.project.root / "previous")
        vault = Vault.open(self.project.vault, MasterKey(Secret(self.project.password)), places)
        entry = vault.entries.at(("Database", "DB"))
        assert entry
        past = [old.field("Password") for old in entry.history]
        passing = [name for name in entry.attribute_names if name.startswith((PENDING, PREVIOUS))]
        return entry.field("Password").reveal(), [old.reveal() for old in past if old], passing  # type: ignore[union-attr]

    def killed(self, **kill: float) -> tuple[Answer, Answer]:
        """A rotation that is killed, and the next one, which nobody kills: after it, all is as it should be."""
        (before, _, _), refused = self.held(), len(self.prober.refused)
        died = self.rotate("--now", **kill)  # type: ignore[arg-type]
        done = self.rotate()
        assert done.status == 0, done.said
        now, history, passing = self.held()
        if now != before:
            self.olds.append(before)
            assert not self.lets_in(before)
        assert self._consumed().decode() == now
        assert (history, passing) == (self.olds[-10:], [])
        self.prober.settle()
        self._assert_refused_in_the_window_only(self.prober.refused[refused:], (died, done))
        return died, done

    @staticmethod
    def _assert_refused_in_the_window_only(refused: list[float], runs: tuple[Answer, ...]) -> None:
        began = next((at for run in runs if (at := run.at("before set"))), None)
        ended = next((at for run in reversed(runs) if (at := run.at("after deliver"))), None)
        for each in refused:
            assert began, "it was refused though nobody set a password"
            assert ended, "it was refused though nothing was delivered"
            assert began < each < ended, "it was refused before the new password was set, or after it was delivered"


@pytest.fixture(scope="module")
def database() -> Iterator[targets.Database]:
    with targets.database() as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, database: targets.Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    made = World(tmp_path, database)
    yield made
    made.close()


def test_a_rotation_that_is_killed_anywhere_is_finished_by_the_next_one(world: World):
    whole, _ = world.killed()
    assert whole.status == 0, whole.said
    sides = [side.name for side in whole.sides]
    assert sides.count("before save") >= 4
    assert {"before set", "after set", "before deliver", "after deliver"} <= set(sides)
    for boundary in range(1, len(sides) + 1):
        died, _ = world.killed(boundary=boundary)
        assert died.killed, f"boundary {boundary} was not reached: {died.said}"
        assert [side.name for side in died.sides] == sides[:boundary]
    chance, came_to = random.Random(20260102), set()
    for _ in range(KILLS):
        since, after = whole.moment(chance)
        died, _ = world.killed(since=since, after=after)
        came_to.add(died.sides[-1].name if died.sides else "")
    assert len(came_to) > 3, "the moments should be spread over the whole rotation"
    assert world.prober.refused, "the consumer should have met the window now and then"
    _assert_nothing_is_left(world)


def _assert_nothing_is_left(world: World) -> None:
    age(junk(world.project.state))
    world.killed()
    password, _, _ = world.held()
    entry = keepassxc.export(world.project.vault, world.project.password).at("Database", "DB")
    assert entry.password == password
    assert [old.password for old in entry.history] == world.olds[-10:]
    assert junk(world.project.root) == []
    values = [each.encode() for each in (*world.olds, password)]
    assert holding(values, world.project.root, world.database.folder, but=[world.project.env]) == []
    assert holding([world.project.password.encode()], world.project.root, but=[world.project.password_file]) == []


def test_the_window_in_which_consumers_are_refused_is_printed_and_not_longer_than_it_says(world: World):
    begun = len(world.prober.refused)
    done = world.rotate("--now")
    assert done.status == 0, done.said
    world.prober.settle()
    printed = re.search(r"was refused for at most ([0-9.]+) s", done.said)
    assert printed, done.said
    refused = world.prober.refused[begun:]
    assert not refused or refused[-1] - refused[0] <= float(printed[1]) + 0.05


def test_a_window_that_a_kill_left_open_is_ended_by_the_next_run_and_printed(world: World):
    """Whoever sees to the timer learns how long it was."""
    whole = world.rotate("--now")
    after_set = [side.name for side in whole.sides].index("after set") + 1
    died = world.rotate("--now", boundary=after_set)
    assert died.killed
    with pytest.raises(AssertionError, match="refused for good"):
        world.prober.settle(patience=0.5)
    open_for = time.time() - (died.at("after set") or 0)
    done = world.rotate()
    printed = re.search(r"was refused for at most ([0-9.]+) s", done.said)
    assert printed, done.said
    assert float(printed[1]) >= open_for - 0.05
    world.prober.settle()
