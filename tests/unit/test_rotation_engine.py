"""What a rotation waits for, what stops it, and what a person is told."""

import contextlib
import copy
from datetime import date, timedelta

import pytest

from chronos_secrets.errors import (
    EntryMissing,
    Exit,
    Incomplete,
    Refused,
    TargetFailed,
    VaultChanged,
    VaultLocked,
    VaultNotSaved,
)
from chronos_secrets.inventory.model import FieldPlace, Interval
from chronos_secrets.rotation import journal as journals
from chronos_secrets.rotation.journal import Journal, Phase
from chronos_secrets.secret import Secret
from chronos_secrets.vault.entries import Attribute, Entries, Entry
from tests.support.imagined import PLACES, Cut, Imagined, Paper, PowerCut, Traits, World

IAM = Traits(issues=True, overlaps=True, soaks=True)
SSH = Traits(issues=False, overlaps=True, soaks=False)
TOKEN = Traits(issues=True, overlaps=True, soaks=False)
ROLE = Traits(issues=False, overlaps=False, soaks=False)


def _phase(world: World) -> Phase | None:
    journal = world.engine().journal()
    return journal and journal.phase


def _ending(world: World) -> str:
    return world.first["key"].reveal()[-4:]


# --- waiting ---------------------------------------------------------------------------------------------------------


def test_an_old_secret_is_deactivated_after_the_grace_and_deleted_after_the_soak():
    world = World(IAM)
    outcome = world.run()
    old = f"the old secret of the imagined target (...{_ending(world)})"
    assert (outcome.phase, outcome.exit, outcome.day) == (Phase.DELIVERED, Exit.OK, date(2026, 3, 8))
    assert outcome.waiting == f"{old} is deactivated from 2026-03-08 on"
    world.now += timedelta(days=6, hours=16)  # 04:00 UTC on the 8th is still the 7th in Toronto
    assert world.run().phase is Phase.DELIVERED
    world.now += timedelta(hours=1)
    outcome = world.run()
    assert (outcome.phase, outcome.day) == (Phase.DEACTIVATED, date(2026, 3, 15))
    assert outcome.waiting == f"{old} is deleted from 2026-03-15 on"
    world.now += timedelta(days=7)
    outcome = world.run()
    assert (outcome.phase, outcome.waiting, outcome.done) == (Phase.DONE, "", (f"{old} is gone",))
    assert world.run().done == ()


def test_without_a_grace_all_is_done_at_once():
    world = World(IAM, grace=Interval(0, "day"), soak=Interval(0, "day"))
    assert world.run().phase is Phase.DONE
    assert world.faults() == []


def test_a_key_that_nobody_can_be_asked_about_is_not_held_up_by_its_last_use():
    world = World(SSH)
    world.target.tells_use = world.target.knows_use = False
    assert "nothing tells whether it is still used" in world.run().waiting
    world.now += timedelta(days=7)
    assert world.run().phase is Phase.DONE


def _after_grace(world: World) -> World:
    world.run()
    world.now += timedelta(days=7)
    return world


def test_an_old_secret_that_is_still_used_is_kept():
    world = World(IAM)
    world.run()
    world.now += timedelta(days=3)
    world.target.use(world.first)
    world.now += timedelta(days=4)
    outcome = world.run()
    assert (outcome.phase, outcome.exit, outcome.day) == (Phase.DELIVERED, Exit.INCOMPLETE, None)
    assert "was used at 2026-03-04 12:00 UTC, after all that is known to use it had the new one" in outcome.waiting
    assert (outcome.hint or "").startswith("chronos-secrets rotate rollback it ")
    world.confirm_unused = True  # it is known, so nobody's word changes it
    assert world.run().phase is Phase.DELIVERED


def test_a_use_in_the_hour_after_the_delivery_was_under_way_then():
    world = World(IAM)
    world.run()
    world.now += timedelta(minutes=55)
    world.target.use(world.first)
    world.now += timedelta(days=7)
    assert world.run().phase is Phase.DEACTIVATED


def test_an_unknown_last_use_counts_as_used_until_a_person_says_otherwise():
    world = _after_grace(World(IAM))
    world.target.knows_use = False
    outcome = world.run()
    assert (outcome.phase, outcome.exit) == (Phase.DELIVERED, Exit.INCOMPLETE)
    assert "nobody can tell whether" in outcome.waiting
    assert (outcome.hint or "").startswith("chronos-secrets rotate it --confirm-unused ")
    world.confirm_unused = True
    assert world.run().phase is Phase.DEACTIVATED


def test_an_old_secret_that_a_running_backup_may_have_is_kept():
    world = _after_grace(World(IAM))
    world.backup_runs = True
    outcome = world.run()
    assert (outcome.phase, outcome.exit) == (Phase.DELIVERED, Exit.INCOMPLETE)
    assert "a backup is running" in outcome.waiting
    world.backup_runs = False
    assert world.run().phase is Phase.DEACTIVATED


def test_nothing_is_ended_while_the_new_secret_does_not_work():
    world = _after_grace(World(IAM))
    world.target.refuse_new = True
    with pytest.raises(Incomplete):
        world.run()
    assert world.target.honours(world.first)
    world.target.refuse_new = False
    assert world.run().phase is Phase.DEACTIVATED


def test_nothing_is_deleted_while_the_new_secret_does_not_work():
    world = _after_grace(World(IAM))
    world.run()
    world.now += timedelta(days=7)
    world.target.refuse_new = True
    with pytest.raises(Incomplete):
        world.run()
    assert len(world.target.secrets) == 2


def test_the_time_without_a_working_secret_is_measured_where_nothing_overlaps():
    world = World(ROLE)
    deliver = world._deliver

    def slowly() -> None:
        world.now += timedelta(seconds=3)
        deliver()

    world._deliver = slowly  # type: ignore[method-assign]
    assert world.run().outage == timedelta(seconds=3)
    assert World(IAM).run().outage is None


def test_the_time_without_a_working_secret_is_not_told_too_short_after_a_cut():
    world = World(ROLE)
    world.host_away = True
    with pytest.raises(TargetFailed):
        world.run()
    world.now += timedelta(hours=5)
    world.host_away = False
    assert world.run().outage == timedelta(hours=5)


# --- the plan --------------------------------------------------------------------------------------------------------


def _plan(world: World) -> list[tuple[str, Phase]]:
    return [(f"{step.day:%m-%d}", step.phase) for step in world.engine().plan()]


def test_the_plan_tells_every_step_with_its_day_and_does_nothing():
    world = World(IAM)
    world.target.away = True
    assert _plan(world) == [
        ("03-01", Phase.INTENT), ("03-01", Phase.CREATED), ("03-01", Phase.PROMOTED), ("03-01", Phase.DELIVERED),
        ("03-08", Phase.DEACTIVATED), ("03-15", Phase.DONE),
    ]  # fmt: skip
    assert world.acts == []


def test_the_plan_of_a_rotation_under_way_tells_what_is_left():
    world = _after_grace(World(IAM))
    world.now += timedelta(days=1)
    assert _plan(world) == [("03-09", Phase.DEACTIVATED), ("03-16", Phase.DONE)]
    world.run()
    assert _plan(world) == [("03-16", Phase.DONE)]


@pytest.mark.parametrize(("kind", "days"), [(SSH, ["03-08"]), (ROLE, ["03-01"])])
def test_the_plan_knows_what_does_not_soak_and_what_does_not_overlap(kind, days):
    steps = _plan(World(kind))
    assert [phase for _, phase in steps] == [Phase.CREATED, Phase.PROMOTED, Phase.DELIVERED, Phase.DONE]
    assert [day for day, phase in steps if phase is Phase.DONE] == days


def test_the_plan_says_what_is_delivered_and_what_nobody_can_tell():
    world = World(SSH)
    world.target.tells_use = False
    words = [step.words for step in world.engine().plan()]
    assert "deliver env" in words
    assert any("used or not, as nothing tells when it was last used" in each for each in words)
    world.destinations = ()
    assert "nothing to deliver: no destination uses it" in [step.words for step in world.engine().plan()]


def test_the_plan_of_a_way_back_has_no_days_to_wait():
    world = World(IAM)
    world.run()
    world.host_away = True
    with pytest.raises(TargetFailed):
        world.engine().rollback()
    assert _plan(world) == [("03-01", Phase.DELIVERED), ("03-01", Phase.DONE)]


# --- what is asked for when it cannot be ------------------------------------------------------------------------------


def test_a_second_rotation_is_not_begun_while_one_is_under_way():
    world = World(IAM)
    world.run()
    with pytest.raises(Refused, match="a rotation of it is under way already") as caught:
        world.engine().begin()
    assert caught.value.hint == "chronos-secrets rotate it"


@pytest.mark.parametrize("word", ["rollback", "abandon"])
def test_what_was_never_begun_cannot_be_undone(word):
    with pytest.raises(Refused, match=r"no rotation of it is under way$"):
        getattr(World(IAM).engine(), word)()


@pytest.mark.parametrize("word", ["rollback", "abandon"])
def test_what_is_deleted_cannot_be_brought_back(word):
    world = World(IAM)
    world.run()
    world.until_quiet()
    with pytest.raises(Refused, match="the last one ended on 2026-03-15, and the old secret is gone") as caught:
        getattr(world.engine(), word)()
    assert caught.value.hint == "chronos-secrets rotate it --now    # for a new secret"


def test_what_is_in_use_is_not_abandoned():
    world = World(IAM)
    world.run()
    with pytest.raises(Refused, match="is the current one already") as caught:
        world.engine().abandon()
    assert caught.value.hint == "chronos-secrets rotate rollback it"


def test_the_time_without_a_working_secret_counts_from_the_beginning_after_a_cut_before_the_promotion():
    world = World(ROLE)
    world.cuts = [Cut(2, "after")]
    with pytest.raises(PowerCut):
        world.run()
    assert world.acts[-1] == "apply"
    world.now += timedelta(hours=5)
    assert world.run().outage == timedelta(hours=5)


def test_a_rollback_is_not_held_up_by_the_last_use_and_takes_no_detour():
    world = World(IAM)
    world.run()
    world.target.knows_use = False
    assert world.engine().rollback().phase is Phase.DONE
    assert "deactivated" not in [detail["phase"] for _, detail in world.noted]


def test_a_rotation_is_not_abandoned_while_the_old_secret_does_not_work():
    world = World(IAM)
    world.target.refuse_new = True
    with pytest.raises(Incomplete):
        world.run()
    with pytest.raises(Incomplete):
        world.engine().abandon()
    assert (_phase(world), len(world.target.secrets)) == (Phase.CREATED, 2)


def test_a_rotation_can_be_abandoned_for_a_secret_that_a_person_made():
    world = World(IAM)
    world.target.refuse_new = True
    with pytest.raises(Incomplete):
        world.run()
    world.target.refuse_new = False
    own = world.target.make()
    world.target.take(own)
    with world.vault.elsewhere() as entries:
        _typed(world, entries, UserName=own["key"].reveal(), Password=own["secret"].reveal())
    assert world.engine().abandon().phase is Phase.DONE
    assert list(world.target.secrets) == [world.first["key"].reveal(), own["key"].reveal()]


def test_a_rollback_can_be_given_up_before_the_old_secret_is_current_again():
    world = World(IAM)
    world.run()
    world.target.refuse_new = True
    with pytest.raises(Incomplete):
        world.engine().rollback()
    assert _phase(world) is Phase.CREATED
    world.target.refuse_new = False
    outcome = world.engine().abandon()
    assert outcome.phase is Phase.DELIVERED
    world.until_quiet()
    assert world.faults() == []
    assert world.current != world.first


@pytest.mark.parametrize("kind", [ROLE, SSH])
def test_giving_up_a_rollback_leaves_the_new_secret_honoured(kind):
    world = World(kind)
    world.host_away = True
    with pytest.raises(TargetFailed):
        world.run()
    world.target.refuse_new = True
    with pytest.raises(Incomplete):
        world.engine().rollback()
    world.target.refuse_new = world.host_away = False
    world.engine().abandon()
    world.until_quiet()
    assert world.faults() == []
    assert world.current != world.first


# --- what a person does meanwhile -------------------------------------------------------------------------------------


def _typed(world: World, entries: Entries, **fields: str) -> None:
    """Change the entry as KeePassXC does: the entry as it was goes into the history."""
    entry = entries.at(world.entry_path)
    assert entry
    entries._remember(entry)
    item = entry.element.find("History")[-1]
    for part in [each for each in entry.element if each.tag in {"String", "Binary"}]:
        if part.findtext("Key").startswith(("chronos.pending.", "chronos.previous.")):
            item.append(copy.deepcopy(part))
    values = {name: Attribute(Secret(text), protected=name == "Password") for name, text in fields.items()}
    entries.change(entry, now=world.now, fields=values, remember=False)


@pytest.mark.parametrize("kind", [IAM, SSH, TOKEN, ROLE])
@pytest.mark.parametrize("phase", [Phase.CREATED, Phase.PROMOTED])
def test_a_password_that_a_person_changed_meanwhile_is_not_overwritten(kind, phase):
    world = World(kind)
    world.target.refuse_new, world.host_away = phase is Phase.CREATED, True
    with pytest.raises((Incomplete, TargetFailed)):
        world.run()
    world.target.refuse_new = world.host_away = False
    assert _phase(world) is phase
    with world.vault.elsewhere() as entries:
        _typed(world, entries, Password="typed by hand")
    before = len(world.acts)
    with pytest.raises(Refused, match="somebody changed it, and it is not overwritten") as caught:
        world.run()
    assert len(world.acts) == before
    assert world.current["secret"] == Secret("typed by hand")
    assert ("rotate abandon it" in (caught.value.hint or "")) is (phase is Phase.CREATED)


def test_a_key_that_another_program_changed_without_a_history_is_not_overwritten():
    world = World(IAM)
    world.host_away = True
    with pytest.raises(TargetFailed):
        world.run()
    with world.vault.elsewhere() as entries:
        entry = entries.at(world.entry_path)
        assert entry
        user = Attribute(Secret("another"), protected=False)
        entries.change(entry, now=world.now, fields={"UserName": user}, remember=False)
    with pytest.raises(Refused, match="somebody changed it, and it is not overwritten"):
        world.run()


def test_a_password_that_changes_at_the_moment_of_the_intent_stops_it():
    world = World(IAM)

    def meanwhile() -> None:
        world.between = lambda: None
        with world.vault.elsewhere() as entries:
            _typed(world, entries, Password="typed by hand")

    world.between = meanwhile
    with pytest.raises(VaultChanged, match="nothing was begun"):
        world.run()
    assert (len(world.target.secrets), _phase(world)) == (1, None)


def test_notes_that_a_person_changed_meanwhile_are_kept_and_stop_nobody():
    world = World(IAM)
    world.run()
    with world.vault.elsewhere() as entries:
        _typed(world, entries, Notes="call me")
    world.until_quiet()
    assert [fault for fault in world.faults() if "history" not in fault] == []
    assert world.entry.plain("Notes") == "call me"


@pytest.mark.parametrize("kind", [IAM, SSH, ROLE])
@pytest.mark.parametrize("number", range(6))
def test_another_program_that_saves_at_any_moment_loses_nothing_and_stops_nobody(kind, number):
    world, moments = World(kind), iter(range(100))

    def meanwhile() -> None:
        if next(moments) == number:
            with world.vault.elsewhere() as entries:
                entry = entries.at(world.entry_path)
                entries.change(entry, now=world.now, fields={"Notes": Attribute(Secret("theirs"), protected=False)})
                entries.add(("Theirs",), now=world.now)

    world.between = meanwhile
    world.run()
    world.until_quiet()
    assert world.faults() == []
    if next(moments) > number:
        assert world.entry.plain("Notes") == "theirs"
        assert Entries(world.vault.saved).at(("Theirs",))


def test_a_program_that_saves_without_end_is_given_up_on_and_nothing_is_lost():
    world = World(IAM)

    def meanwhile() -> None:
        with world.vault.elsewhere():
            pass

    world.between = meanwhile
    with pytest.raises(VaultChanged):
        world.run()
    world.between = lambda: None
    world.run()
    world.until_quiet()
    assert world.faults() == []


def test_a_password_that_a_person_changes_at_the_moment_of_promotion_is_not_overwritten():
    world, saves = World(IAM), []

    def meanwhile() -> None:
        saves.append(1)
        if len(saves) == 3:
            with world.vault.elsewhere() as entries:
                _typed(world, entries, Password="typed by hand")

    world.between = meanwhile
    with pytest.raises(VaultChanged, match="the secret of it was changed in KeePassXC meanwhile"):
        world.run()
    assert world.current["secret"] == Secret("typed by hand")


def test_a_vault_that_gets_another_password_meanwhile_says_so_and_what_becomes_of_the_new_secret():
    world, saves = World(IAM), []

    def meanwhile() -> None:
        saves.append(1)
        if len(saves) == 2:
            with world.vault.elsewhere():
                world.vault.other_password = True

    world.between = meanwhile
    with pytest.raises(VaultChanged, match=r"could not be stored: .* was saved under another password") as caught:
        world.run()
    assert caught.value.details == ("nobody depends on it yet: the next run removes what it left at the target",)
    world.vault.other_password, world.between = False, lambda: None
    world.run()
    world.until_quiet()
    assert world.faults() == []


# --- a vault that cannot be written ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [IAM, SSH, ROLE])
def test_a_vault_that_cannot_be_written_is_found_before_anything_is_asked_of_the_target(kind):
    world = World(kind)
    world.vault.full = 1
    with pytest.raises(VaultNotSaved):
        world.run()
    assert list(world.target.secrets) == [world.first["key"].reveal()]
    assert world.engine().journal() is None


@pytest.mark.parametrize("kind", [IAM, SSH, ROLE])
@pytest.mark.parametrize("number", range(5))
def test_a_disk_that_fills_up_at_any_save_loses_nothing(kind, number):
    world, saves = World(kind), []

    def meanwhile() -> None:
        saves.append(1)
        world.vault.full = int(len(saves) == number + 1)

    world.between = meanwhile
    for _ in range(3):
        try:
            world.run()
            world.until_quiet()
            break
        except VaultNotSaved:
            assert not world.vault.full
    assert world.faults() == []


def test_what_was_not_saved_is_not_delivered_by_what_comes_next():
    world = World(IAM)
    engine = world.engine()
    world.between = lambda: setattr(world.vault, "full", int("issue" in world.acts))
    with pytest.raises(VaultNotSaved):
        engine.begin()
    assert engine.journal() == journals.of(world.entry)


def test_a_value_that_is_another_entrys_is_not_replaced():
    world = World(ROLE)
    with world.vault.elsewhere() as entries:
        entries.change(
            entries.add(("Other",), now=world.now), now=world.now, fields={"Password": Attribute(Secret("p"))}
        )
        _typed(world, entries, Password="{REF:P@T:Other}")
    with pytest.raises(Refused, match="it: the field secret is a reference to another entry"):
        world.run()


def test_an_entry_that_is_not_there_is_named():
    world = World(ROLE)
    with world.vault.elsewhere() as entries:
        _typed(world, entries, Title="Renamed")
    with pytest.raises(EntryMissing, match="there is no entry 'Group/Entry'"):
        world.run()


@pytest.mark.parametrize(("phase", "which"), [(Phase.CREATED, "pending"), (Phase.PROMOTED, "previous")])
def test_a_secret_under_way_that_a_person_removed_is_missed(phase, which):
    world = World(ROLE)
    world.target.refuse_new, world.host_away = phase is Phase.CREATED, True
    with pytest.raises((Incomplete, TargetFailed)):
        world.run()
    world.target.refuse_new = world.host_away = False
    names = [f"chronos.{which}.{field}" for field in ("key", "secret")]
    with world.vault.elsewhere() as entries:
        entries.change(entries.at(world.entry_path), now=world.now, remove=names)
    with pytest.raises(Refused, match=f"does not hold its {which} secret"):
        world.run()


def test_a_rotation_whose_pending_secret_a_person_removed_can_be_abandoned():
    world = World(SSH)
    world.target.refuse_new = True
    with pytest.raises(Incomplete):
        world.run()
    world.target.refuse_new = False
    names = [f"chronos.pending.{field}" for field in ("key", "secret")]
    with world.vault.elsewhere() as entries:
        entries.change(entries.at(world.entry_path), now=world.now, remove=names)
    assert world.engine().abandon().phase is Phase.DONE
    assert world.current == world.first


# --- two machines ------------------------------------------------------------------------------------------------------


def test_a_machine_with_an_old_vault_touches_nothing():
    world = World(IAM)
    stale = copy.deepcopy(world.vault.saved)
    world.run()
    fresh, world.vault.saved, world.machine, world.stored_here = world.vault.saved, stale, "there", set()
    with pytest.raises(Refused, match="a secret that nobody knows"):
        world.run()
    world.vault.saved = fresh
    assert world.target.honours(world.current)


def test_another_machine_does_not_remove_what_the_first_one_may_be_about_to_store():
    world = World(IAM)
    world.cuts = _after_the_act("issue")
    with pytest.raises(PowerCut):
        world.run()
    assert len(world.target.secrets) == 2
    world.machine, world.stored_here = "there", set()
    with pytest.raises(Refused, match="a secret that nobody knows"):
        world.run()
    with pytest.raises(Refused, match="a secret that nobody knows"):
        world.engine().abandon()
    assert len(world.target.secrets) == 2
    world.machine = "here"
    world.run()
    world.until_quiet()
    assert world.faults() == []


def _other_machine_stores(world: World) -> None:
    """Another machine has stored a new secret of its own in the same file."""
    with world.vault.elsewhere() as entries:
        entry = entries.at(world.entry_path)
        assert entry
        theirs = Journal("theirs", Phase.CREATED, "there", world.now, world.now, new="KTHEIRS")
        fields = {
            journals.ATTRIBUTE: Attribute(Secret(journals.encode(theirs)), protected=False),
            "chronos.pending.key": Attribute(Secret("KTHEIRS"), protected=False),
            "chronos.pending.secret": Attribute(Secret("theirs")),
        }
        entries.change(entry, now=world.now, fields=fields)


@pytest.mark.parametrize(
    ("number", "words"), [(1, "another machine"), (2, "could not be stored"), (3, "another machine went on")]
)
def test_what_another_machine_stored_meanwhile_is_not_overwritten(number, words):
    world, saves = World(IAM), []

    def meanwhile() -> None:
        saves.append(1)
        if len(saves) == number:
            _other_machine_stores(world)

    world.between = meanwhile
    with pytest.raises((Refused, VaultChanged), match=words):
        world.run()
    assert world.entry.field("chronos.pending.secret") == Secret("theirs")
    assert world.current == world.first


def test_another_machine_takes_over_an_intent_that_left_nothing():
    world = World(IAM)
    world.cuts = _after_the_act("save")
    with pytest.raises(PowerCut):
        world.run()
    world.machine = "there"
    world.run()
    journal = world.engine().journal()
    assert journal
    assert journal.machine == "there"
    world.until_quiet()
    assert world.faults() == []


def _after_the_act(what: str) -> list[Cut]:
    calm = World(IAM)
    calm.run()
    return [Cut(calm.acts.index(what) + 1, "after")]


def test_the_audit_log_gets_identifiers_of_every_phase_and_no_secret():
    world = World(IAM)
    world.run()
    world.until_quiet()
    phases = [detail["phase"] for what, detail in world.noted if what == "rotate"]
    assert phases == ["intent", "created", "promoted", "delivered", "deactivated", "done"]
    told = str(world.noted) + str(world.said)
    assert world.first["key"].reveal() in told
    assert not any(each["secret"].reveal() in told for each in (world.first, world.current))


def test_a_clock_that_was_set_back_does_not_bring_an_older_phase_back():
    world = World(IAM)
    world.run()
    world.now -= timedelta(days=30)
    world.host_away = True
    with pytest.raises(TargetFailed):
        world.engine().rollback()
    assert _phase(world) is Phase.PROMOTED


# --- a merge that put ours into the history ----------------------------------------------------------------------------


def _lose(world: World, older) -> None:
    """KeePassXC merged: an older version of the entry, changed later, is the entry; ours is in its history."""
    winner = Entries(copy.deepcopy(older)).at(world.entry_path)
    with world.vault.elsewhere() as entries:
        entry = entries.at(world.entry_path)
        assert winner
        assert entry
        group, ours = entry.element.getparent(), entry.element
        history = winner.element.find("History")
        for item in ours.find("History"):
            history.append(copy.deepcopy(item))
        lost = copy.deepcopy(ours)
        lost.remove(lost.find("History"))
        history.append(lost)
        group.replace(ours, winner.element)
        entries.replace(entries.kdbx)
        later = world.now + timedelta(minutes=1)
        entries.change(Entries(entries.kdbx).at(world.entry_path), now=later, fields={
            "Notes": Attribute(Secret("theirs"), protected=False)
        })  # fmt: skip


def _with_one_item(entries: Entries, world: World) -> Entry:
    """The entry, with the last item of its history alone."""
    entry = entries.at(world.entry_path)
    assert entry
    history = entry.element.find("History")
    history[:] = list(history)[-1:]
    return entry


def test_a_rotation_that_lost_a_merge_is_known_by_what_it_kept_where_the_history_is_short():
    world = World(IAM)
    before = copy.deepcopy(world.vault.saved)
    world.run()
    _lose(world, before)
    with world.vault.elsewhere() as entries:
        _with_one_item(entries, world)
    world.until_quiet()
    assert world.current != world.first
    assert world.target.honours(world.current)


@pytest.mark.parametrize("kind", [IAM, SSH, TOKEN, ROLE])
@pytest.mark.parametrize("phase", [Phase.CREATED, Phase.PROMOTED, Phase.DELIVERED, Phase.DEACTIVATED, Phase.DONE])
def test_a_rotation_that_lost_a_merge_is_found_and_carried_on(kind, phase):
    world = World(kind)
    before = copy.deepcopy(world.vault.saved)
    world.target.refuse_new, world.host_away = phase is Phase.CREATED, phase is Phase.PROMOTED
    with contextlib.suppress(Incomplete, TargetFailed):
        world.run()
    world.target.refuse_new = world.host_away = False
    for _ in range(3):
        if _phase(world) is not phase:
            world.now += timedelta(days=7)
            world.run()
    assert _phase(world) in {phase, Phase.DONE}
    _lose(world, before)
    assert world.current == world.first
    assert world.engine().journal()
    world.engine().advance()
    world.until_quiet()
    assert [fault for fault in world.faults() if "items of the history" not in fault] == []
    assert world.current != world.first
    assert world.entry.plain("Notes") == "theirs"


def test_a_value_of_a_persons_own_beats_a_rotation_that_had_ended():
    world = World(ROLE)
    before = copy.deepcopy(world.vault.saved)
    world.run()
    _lose(world, before)
    with world.vault.elsewhere() as entries:
        entry = _with_one_item(entries, world)
        entries.change(entry, now=world.now, fields={"Password": Attribute(Secret("typed by hand"))}, remember=False)
    assert world.engine().advance().done == ()
    assert world.current["secret"] == Secret("typed by hand")


def test_a_value_of_a_persons_own_is_told_from_a_rotation_under_way_that_lost_a_merge():
    world = World(ROLE)
    before = copy.deepcopy(world.vault.saved)
    world.host_away = True
    with pytest.raises(TargetFailed):
        world.run()
    _lose(world, before)
    with world.vault.elsewhere() as entries:
        entry = entries.at(world.entry_path)
        entries.change(entry, now=world.now, fields={"Password": Attribute(Secret("typed by hand"))}, remember=False)
    with pytest.raises(Refused, match="has another value than that rotation knows"):
        world.run()
    assert world.current["secret"] == Secret("typed by hand")


# --- how values are kept ----------------------------------------------------------------------------------------------


class _Expiring(Imagined):
    def expiry(self, new: object) -> date:
        return date(2027, 3, 1)


def test_the_day_on_which_a_new_secret_ends_is_the_entrys_expiry_and_goes_with_a_rollback():
    world = World(IAM, target=_Expiring)
    with world.vault.elsewhere() as entries:
        entry = entries.at(world.entry_path)
        assert entry
        entries.change(entry, now=world.now, expires=world.now + timedelta(days=10))
    world.run()
    assert f"{world.entry.expires:%Y-%m-%d %H:%M}" == "2027-03-01 05:00"
    assert world.entry.plain("chronos.rotated") == "2026-03-01"
    world.engine().rollback()
    assert world.entry.expires == world.now + timedelta(days=10)
    assert world.entry.plain("chronos.rotated") == "2025-01-25"


def test_an_identifier_is_not_hidden_and_a_secret_is():
    world = World(IAM)
    world.target.refuse_new = True
    with pytest.raises(Incomplete):
        world.run()
    entry = world.entry
    assert "chronos.pending.secret" in entry.protected_names
    assert "chronos.pending.key" in set(entry.attribute_names) - set(entry.protected_names)
    assert "chronos.rotation" not in entry.protected_names


@pytest.mark.parametrize("name", ["the key", None])
def test_a_secret_that_is_a_file_is_kept_as_a_file(name):
    world = World(SSH, fields={**PLACES, "secret": FieldPlace("attachment", name)})
    with world.vault.elsewhere() as entries:
        entry = entries.at(world.entry_path)
        assert entry
        entries.change(entry, now=world.now, attachments={"the key": world.first["secret"]}, fields={
            "Password": Attribute(Secret("of something else"))
        })  # fmt: skip
    world.target.refuse_new = True
    with pytest.raises(Incomplete):
        world.run()
    assert set(world.entry.attachment_names) == {"the key", "chronos.pending.secret"}
    world.target.refuse_new = False
    world.run()
    assert set(world.entry.attachment_names) == {"the key", "chronos.previous.secret"}
    world.until_quiet()
    entry = world.entry
    assert entry.attachment_names == ("the key",)
    assert entry.attachment(None) == world.consumer["secret"] != world.first["secret"]
    assert [item.attachment("the key") for item in entry.history][-1] == world.first["secret"]
    assert entry.field("Password") == Secret("of something else")
    assert len(world.vault.saved._attachments()) == 2


def test_codes_that_keepassxc_does_not_hide_are_in_the_history_all_the_same():
    world = World(TOKEN, fields={**PLACES, "secret": FieldPlace("standard", "Notes")})
    with world.vault.elsewhere() as entries:
        entries.change(
            entries.at(world.entry_path), now=world.now,
            fields={"Notes": Attribute(world.first["secret"], protected=False)},
        )  # fmt: skip
    world.run()
    world.until_quiet()
    (item,) = world.entry.history
    assert item.field("Notes") == world.first["secret"]
    assert "Notes" not in world.entry.protected_names


def test_a_vault_that_no_longer_opens_is_not_reported_as_anything_else():
    world = World(IAM)
    assert isinstance(world.vault, Paper)
    world.vault.other_password = True
    with pytest.raises(VaultLocked):
        world.engine()
