"""How a place of copies stands on a day, by what is known of it."""

from datetime import UTC, date, datetime, timedelta

import pytest

from chronos_secrets.inventory.model import Copy, Interval
from chronos_secrets.review.copies import Held, Live, newest_good, rows
from chronos_secrets.review.due import Row
from chronos_secrets.vault.copies.catalogue import Queued
from chronos_secrets.vault.copies.record import Facts, Name, Record, unknown

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
LIVE, OTHER = "aa" * 32, "bb" * 32
FACTS = Facts("id", "4.0", 5, NOW, NOW - timedelta(days=90))


def _row(*, every: int | None = None, when: tuple[str, ...] = ("after-change",), age: str | None = None) -> Copy:
    interval = Interval(every, "day") if every else None
    return Copy("there", "folder", "copies", None, None, interval, when, None, age, 1)


def _copy(days: float, *, vault: str = LIVE, opened: bool = True, verified: float | None = None) -> Record:
    """A good copy that was made so many days ago, and looked at when it was made or later."""
    made = NOW - timedelta(days=days)
    seen = made if verified is None else NOW - timedelta(days=verified)
    fresh = unknown("there", Name("p", made, vault[:12], sealed=False))
    return fresh._replace(vault=vault, facts=FACTS, verified=seen, opened=seen if opened else None)


def _standing(row: Copy, *records: Record, queued: Queued | None = None, saved: float = 0) -> Row:
    live = Live(LIVE, NOW - timedelta(days=saved))
    held = Held(row, tuple(sorted(records, key=lambda each: each.made)), queued, NOW, live, FACTS.key_changed)
    (found,) = rows([held], "owner", NOW.date(), UTC)
    return found


def _state(row: Copy, *records: Record, saved: float = 0) -> str:
    return str(_standing(row, *records, saved=saved).standing.state)


def test_what_was_never_opened_is_unknown_though_its_bytes_are_right():
    assert _state(_row()) == "unknown"
    assert _state(_row(), _copy(1)._replace(verified=None, opened=None)) == "unknown"
    assert _state(_row(), _copy(1, opened=False)) == "unknown"
    assert _state(_row(), _copy(1)) == "ok"


def test_of_sealed_copies_one_must_have_been_opened_once():
    sealed = _row(age="age1example")
    assert _state(sealed, _copy(1, opened=False)) == "unknown"
    assert _state(sealed, _copy(1, opened=False), _copy(9)) == "ok"


@pytest.mark.parametrize(("days", "state"), [(6, "ok"), (7, "due"), (8, "overdue")])
def test_a_copy_is_due_on_its_day_and_overdue_from_the_day_after(days: int, state: str):
    found = _standing(_row(every=7), _copy(days))
    assert found.standing.state == state
    assert found.standing.due == date(2026, 11, 22) + timedelta(days=7 - days)


def test_looking_at_a_copy_renews_it_only_while_it_is_what_the_vault_is():
    assert _state(_row(every=7), _copy(20, verified=0)) == "ok"
    assert _state(_row(every=7), _copy(20, vault=OTHER, verified=0)) == "overdue"


def test_a_change_that_is_not_copied_yet_is_soon_due_and_where_nothing_else_is_planned_due_after_a_day():
    assert _state(_row(every=7), _copy(3, vault=OTHER), saved=3) == "due-soon"
    assert _state(_row(), _copy(3, vault=OTHER), saved=0.5) == "due-soon"
    assert _state(_row(), _copy(3, vault=OTHER), saved=2) == "due"
    assert _state(_row(when=("before-change",)), _copy(3, vault=OTHER), saved=2) == "ok"
    queued = Queued(NOW - timedelta(days=2), "the drive is in a drawer")
    assert "the drive is in a drawer" in _standing(_row(), _copy(3, vault=OTHER), queued=queued).standing.next


def test_a_copy_that_is_not_good_is_due_whatever_lies_there_besides():
    found = _standing(_row(every=7), _copy(3), _copy(1)._replace(fault="is cut short"))
    assert (found.standing.state, found.how) == ("due", "chronos-secrets vault copy there")


def test_the_newest_good_copy_is_no_faulty_one_and_none_of_the_future_if_there_is_another():
    faulty, old, future = _copy(1)._replace(fault="is damaged"), _copy(5), _copy(-5)
    assert newest_good([old, faulty, future], NOW, None) == old
    assert newest_good([faulty, future], NOW, None) == future
    assert newest_good([faulty], NOW, None) is None
    twins = [_copy(2), _copy(2, vault=OTHER)]
    assert {newest_good(order, NOW, LIVE) for order in (twins, twins[::-1])} == {twins[0]}


def test_a_password_is_older_where_both_are_known_and_one_is_older():
    held = Held(_row(), (), None, NOW, None, NOW)
    assert held.has_older_password(_copy(1)) is True
    assert held.has_older_password(_copy(1)._replace(facts=FACTS._replace(key_changed=NOW))) is False
    assert held.has_older_password(_copy(1)._replace(facts=None)) is None
