"""Which unknown access keys are deleted as what a lost answer left behind."""

from datetime import UTC, datetime, timedelta

import pytest

from chronos_secrets.rotation.journal import Journal, Phase
from chronos_secrets.rotation.targets.strays import Seen, short, why_not_ours

BEGUN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HERE = "this-machine"
OLD, LOST = "AKIAOLDOLDOLDOLDOLD0", "AKIALOSTLOSTLOSTLOST"
INTENT = Journal("6f1c2d", Phase.INTENT, HERE, BEGUN, BEGUN, (OLD,), old=OLD)
STRAY = Seen(LOST, active=True, created=BEGUN + timedelta(seconds=2), use_known=True, used=None)


def _why(key: Seen = STRAY, journal: Journal = INTENT, known: frozenset[str] = frozenset({OLD})) -> str | None:
    return why_not_ours(key, journal, machine=HERE, known_here=known)


def test_an_unused_key_that_appeared_after_our_own_question_is_a_stray():
    assert _why() is None


def test_a_server_that_tells_nothing_of_a_key_does_not_save_a_stray():
    assert _why(STRAY._replace(created=None, use_known=False)) is None


def test_an_inactive_stray_is_a_stray():
    assert _why(STRAY._replace(active=False)) is None


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.INTENT])
def test_nothing_is_a_stray_once_the_new_key_is_stored(phase: Phase):
    assert _why(journal=INTENT._replace(phase=phase)) == "no answer of this rotation is outstanding"


def test_a_key_that_was_there_before_is_no_stray():
    assert _why(STRAY._replace(id=OLD), known=frozenset()) == "it was there before this rotation began"


def test_what_another_machine_may_have_asked_for_is_no_stray():
    assert _why(journal=INTENT._replace(machine="other-machine")) == "the rotation was begun on other-machine"


def test_a_key_that_this_machine_ever_stored_is_no_stray():
    assert _why(known=frozenset({LOST})) == "this machine stored it once"


@pytest.mark.parametrize(
    ("after", "is_one"),
    [
        (timedelta(minutes=-5), False),
        (timedelta(minutes=-4), True),
        (timedelta(minutes=14), True),
        (timedelta(minutes=15), False),
        (timedelta(days=-400), False),
    ],
)
def test_a_stray_was_created_while_the_rotation_asked_give_or_take_a_wrong_clock(after: timedelta, is_one: bool):
    assert (_why(STRAY._replace(created=BEGUN + after)) is None) is is_one


def test_a_key_that_was_ever_used_is_no_stray():
    assert _why(STRAY._replace(used=BEGUN + timedelta(seconds=9))) == "somebody has used it"


@pytest.mark.parametrize(
    ("key", "facts"),
    [
        (STRAY, "...LOST (Active, created 2026-03-01 12:00 UTC, never used)"),
        (
            STRAY._replace(created=None, use_known=False),
            "...LOST (Active, created nobody knows when, last use unknown)",
        ),
        (
            STRAY._replace(active=False, used=BEGUN + timedelta(days=1)),
            "...LOST (Inactive, created 2026-03-01 12:00 UTC, last used 2026-03-02 12:00 UTC)",
        ),
    ],
)
def test_a_person_who_has_to_decide_is_told_all_that_is_known(key: Seen, facts: str):
    assert key.facts == facts


def test_a_key_is_shown_by_its_end():
    assert short(LOST) == "...LOST"
