"""A rotation cut at every place where it can be cut: running it again ends it, and nobody notices.

All is real but the target, the vault's file and the consumer, which are in memory: so every place can be tried.
"""

import contextlib
import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from chronos_secrets.errors import ChronosError, Incomplete, TargetFailed
from chronos_secrets.rotation import engine as engines
from chronos_secrets.rotation.engine import Engine
from chronos_secrets.rotation.journal import Journal, Phase
from chronos_secrets.rotation.record import Held
from chronos_secrets.rotation.target import Material
from chronos_secrets.secret import Secret
from tests.support import vaults
from tests.support.imagined import EVERY_KIND, LAST_YEAR, Cut, Filed, Imagined, PowerCut, Traits, World, explore

IAM, SSH, TOKEN, ROLE, ACCOUNT = (
    Traits(issues=True, overlaps=True, soaks=True),
    Traits(issues=False, overlaps=True, soaks=False),
    Traits(issues=True, overlaps=True, soaks=False),
    Traits(issues=False, overlaps=False, soaks=False),
    Traits(issues=True, overlaps=False, soaks=False),
)
NAMES = {IAM: "an IAM key", SSH: "an SSH key", TOKEN: "a token", ROLE: "a role", ACCOUNT: "an account"}


def _named(value: object) -> str | None:
    return NAMES.get(value, "a chosen one that soaks") if isinstance(value, Traits) else None


every_kind = pytest.mark.parametrize("kind", EVERY_KIND, ids=_named)


def _rotated(world: World) -> None:
    world.command("run")
    world.until_quiet()


def _faults(world: World) -> list[str]:
    """Of a rotation that went through."""
    found = world.faults()
    if world.current == world.first:
        found.append("it was not rotated")
    return found


# --- the whole way ---------------------------------------------------------------------------------------------------


@every_kind
def test_a_rotation_cut_anywhere_is_finished_by_running_it_again(kind):
    found, places = explore(lambda: World(kind), _rotated, _faults)
    assert found == []
    assert places >= 10


@pytest.mark.parametrize("kind", [IAM, ROLE], ids=NAMES.get)
def test_the_same_in_a_real_file_which_still_opens_with_its_password(kind, tmp_path):
    made = iter(range(100))

    def world() -> World:
        return World(kind, vault=Filed(vaults.ours(tmp_path / f"{next(made)}.kdbx")))

    found, _ = explore(world, _rotated, _faults)
    assert found == []
    for path in tmp_path.glob("*.kdbx"):
        assert len(vaults.opened(path).entries.kdbx.root.findall(".//History/Entry")) == 1
    assert sorted({path.suffix for path in tmp_path.iterdir()}) == ["", ".kdbx"]  # the safety net, and no junk


def _rotated_after_a_lost_answer(world: World) -> None:
    world.target.lose_answers = 1
    _rotated(world)


@pytest.mark.parametrize("kind", [IAM, TOKEN, ACCOUNT], ids=NAMES.get)
def test_a_lost_answer_and_a_cut_anywhere_leave_no_stray(kind):
    found, _ = explore(lambda: World(kind), _rotated_after_a_lost_answer, _faults)
    assert found == []


@every_kind
@pytest.mark.parametrize("seed", range(10))
def test_many_cuts_one_after_the_other_are_survived(kind, seed):
    chance = random.Random(seed)
    world = World(kind)
    world.cuts = [Cut(act, chance.choice(("before", "after"))) for act in range(1, 40) if chance.random() < 0.5]
    world.target.lose_answers = chance.randrange(2)
    _rotated(world)
    assert _faults(world) == []


# --- back again ------------------------------------------------------------------------------------------------------


def _fail_delivery(world: World) -> None:
    """The host of a destination is away for a while."""
    world.host_away = True
    with contextlib.suppress(TargetFailed):
        world.command("run")
    world.host_away = False


def _fail_proof(world: World) -> None:
    """The target does not take the new secret."""
    world.target.refuse_new = True
    with contextlib.suppress(Incomplete):
        world.command("run")
    world.target.refuse_new = False


def _deactivate(world: World) -> None:
    world.command("run")
    world.now += timedelta(days=7)
    world.command("run")


UNTIL: dict[Phase, Callable[[World], None]] = {
    Phase.CREATED: _fail_proof,
    Phase.PROMOTED: _fail_delivery,
    Phase.DELIVERED: lambda world: world.command("run"),
    Phase.DEACTIVATED: _deactivate,
}


def _went_back(until: Phase, word: str, again: str) -> Callable[[World], None]:
    def scenario(world: World) -> None:
        UNTIL[until](world)
        journal = world.engine().journal()
        if not (journal and journal.under_way):
            return  # the cut came so that the next run went through
        with contextlib.suppress(ChronosError):
            world.command(word if journal.phase is until else "rollback")
        if again != word:
            world.command(again)
        world.until_quiet()

    return scenario


def _faults_of_return(world: World) -> list[str]:
    found = world.faults()
    if world.current != world.first:
        found.append("the old secret is not current")
    if world.entry.plain("chronos.rotated") != LAST_YEAR:
        found.append("it counts as rotated")
    return found


RESTS = [(kind, phase) for kind in EVERY_KIND for phase in UNTIL if kind.overlaps or phase is not Phase.DELIVERED]
RESTS = [(kind, phase) for kind, phase in RESTS if kind.soaks or phase is not Phase.DEACTIVATED]


@pytest.mark.parametrize(("kind", "phase"), RESTS, ids=_named)
def test_a_rollback_from_any_phase_cut_anywhere_is_finished_by_running_it_again(kind, phase):
    found, places = explore(lambda: World(kind), _went_back(phase, "rollback", "rollback"), _faults_of_return)
    assert found == []
    assert places >= 8


def _rolled_back_once(world: World, phase: Phase) -> tuple[int, int]:
    """The rollback is asked for once, and the days go on; the first and last act of it."""
    UNTIL[phase](world)
    before = len(world.acts)
    with contextlib.suppress(PowerCut):
        world.engine().rollback()
    after = len(world.acts)
    world.until_quiet()
    return before, after


@pytest.mark.parametrize(("kind", "phase"), RESTS, ids=_named)
def test_a_rollback_that_was_cut_is_finished_by_the_daily_run(kind, phase):
    before, after = _rolled_back_once(World(kind), phase)
    assert after >= before + 3
    for cut in [Cut(act, side) for act in range(before + 1, after + 1) for side in ("before", "after")]:
        world = World(kind)
        world.cuts = [cut]
        _rolled_back_once(world, phase)
        begun = cut != Cut(before + 1, "before")  # else nobody knows that a rollback was asked for, and it goes forward
        assert (cut, (_faults_of_return if begun else _faults)(world)) == (cut, [])


@every_kind
def test_an_abandoned_rotation_cut_anywhere_leaves_nothing(kind):
    found, _ = explore(lambda: World(kind), _went_back(Phase.CREATED, "abandon", "abandon"), _faults_of_return)
    assert found == []


# --- mutants: the suite sees what it is there to see -----------------------------------------------------------------


def test_the_mutant_that_ends_the_old_secret_before_delivery_is_found(monkeypatch):
    def deactivate_first(engine: Engine, held: Held, journal: Journal) -> None:
        engine._target.deactivate({**held.current, **held.previous}, held.current)
        engine._deliver(held, journal)

    monkeypatch.setitem(engines._STEPS, Phase.PROMOTED, deactivate_first)
    found, _ = explore(lambda: World(IAM), _rotated, _faults)
    assert any("the consumer's secret is refused" in fault for fault in found)


class _DeletesTheOldest(Imagined):
    def reconcile(self, journal: Journal, current: Material, known_here: frozenset[str]) -> None:
        if len(self.secrets) > 1:
            with self._world.act("delete the oldest"):
                del self.secrets[next(iter(self.secrets))]


def test_the_mutant_that_deletes_the_oldest_of_two_is_found():
    def scenario(world: World) -> None:
        with contextlib.suppress(ChronosError):
            _rotated(world)

    found, _ = explore(lambda: World(IAM, target=_DeletesTheOldest), scenario, _faults)
    assert any("the consumer's secret is refused" in fault for fault in found)


class _RetriesCreation(Imagined):
    def issue(self, journal: Journal, current: Material, known_here: frozenset[str]) -> Material:
        new: dict[str, Secret] = {}
        for _ in range(1 + self.lose_answers):
            new = self.make()
            with self._world.act("issue"):
                self.take(new)
        return new


def test_the_mutant_that_sends_the_creation_again_is_found():
    found, _ = explore(lambda: World(IAM, target=_RetriesCreation), _rotated_after_a_lost_answer, _faults)
    assert any("the target honours" in fault for fault in found)
