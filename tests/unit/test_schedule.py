"""Schedules: where each credential and task stands on a given day."""

import calendar
import subprocess
import sys
from datetime import date, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chronos_secrets.inventory import load
from chronos_secrets.inventory.model import Automatic, Credential, EntryPath, Every, Interval, Never, Rule, Task
from chronos_secrets.inventory.schedule import Known, Progress, Rotated, State, add, standing, task_standing
from tests.support import chronos

TODAY = date(2026, 11, 22)
DAY = timedelta(days=1)
LAST = date(2025, 11, 27)
WORN = date(2026, 5, 27)  # six months later

lawful = settings(deadline=None)  # the first step by months imports dateutil


def day(text: str) -> date:
    return date.fromisoformat(text)


def interval(text: str) -> Interval:
    number, unit = text.split()
    return Interval(int(number), unit.removesuffix("s"))


def a_credential(rule: Rule | str = "6 months", **changes) -> Credential:
    made = Credential(
        id="db",
        kind="postgres-password",
        title="The database",
        purpose=None,
        entry=EntryPath(("Group",), "Database"),
        rule=Every(interval(rule)) if isinstance(rule, str) else rule,
        rotated=None,
        expires=None,
        lead=interval("21 days"),
        grace=interval("7 days"),
        soak=interval("5 days"),
        target=None,
        generate=None,
        paper=False,
        fields={},
        owner="operator",
        line=1,
    )
    return made._replace(**changes)


def a_task(every: str = "1 month", start: str = "2026-01-31") -> Task:
    return Task("review", "A review", interval(every), day(start), None, "operator", 1)


def rotated(on: date) -> Known:
    return Known(Rotated(on, "changed by hand"))


# Project Chronos: the seed's table of credentials and its maintenance schedule.

SEED = {
    "aws-root": (State.NEVER, None),
    "aws-root-recovery": (State.UNKNOWN, None),  # how many codes are left
    "aws-sso": (State.AUTOMATIC, None),
    "pgbackrest-chronos": (State.DUE_SOON, "2026-11-27"),
    "postgres-chronos": (State.OVERDUE, "2026-05-27"),
    "backup-cipher": (State.NEVER, None),
    "ssh-lightsail": (State.DUE_SOON, "2026-11-27"),
    "jira-token": (State.DUE_SOON, "2026-11-27"),
    "confluence-token": (State.DUE_SOON, "2026-11-27"),
    "atlassian-account": (State.NEVER, None),
    "github-account": (State.NEVER, None),
    "github-recovery": (State.NEVER, None),
    "cloud-storage": (State.NEVER, None),
    "domain-registrar": (State.NEVER, None),
    "dns-account": (State.NEVER, None),
}
SEED_TASKS = {  # each done on 2026-11-19, a Thursday as every weekly occurrence
    "backup-check": "2026-11-26",
    "backup-review": "2026-11-26",
    "backup-logs": "2026-11-26",
    "s3-cost": "2026-11-27",
    "vault-copies": "2026-11-27",
    "restore-test": "2026-11-27",
    "dr-drill": "2026-11-27",
    "retention-review": "2026-11-27",
    "docs-review": "2026-11-27",
    "credentials-valid": "2026-11-27",
    "emergency-drill": "2026-11-27",
    "log-audit": "2026-11-27",
}


@pytest.fixture(scope="module")
def inventory():
    return load.read(chronos.INVENTORY)


def test_project_chronos_with_nothing_but_its_inventory_gives_the_seeds_table(inventory):
    found = [standing(credential, None, TODAY) for credential in inventory.credentials.values()]
    assert {s.id: (s.state, s.due and str(s.due)) for s in found} == SEED


def test_the_words_of_the_seeds_table(inventory):
    def words(id_: str) -> tuple[str, str, str | None]:
        found = standing(inventory.credentials[id_], None, TODAY)
        return found.rule, found.next, found.origin

    inventory_says = "written in the inventory"
    assert words("postgres-chronos") == ("every 6 months", "overdue since 2026-05-28", inventory_says)
    assert words("jira-token") == ("every 1 year", "rotate by 2026-11-27", inventory_says)
    assert words("aws-sso") == (
        "automatic: the session ends after 8-12 h",
        "nothing: the session ends after 8-12 h",
        None,
    )
    reason = "a new key makes every existing backup unreadable; add repo2 with a new pass instead"
    assert words("backup-cipher") == (f"never: {reason}", f"nothing: {reason}", None)


def test_the_maintenance_tasks_that_nobody_ever_did_are_overdue_once_since_their_first_day(inventory):
    found = [task_standing(task, None, TODAY) for task in inventory.tasks.values()]
    assert {(s.state, s.due, s.next) for s in found} == {(State.OVERDUE, LAST, "overdue since 2025-11-28")}


def test_the_maintenance_tasks_done_last_thursday_wait_for_their_next_day(inventory):
    done = date(2026, 11, 19)
    found = [task_standing(task, done, done) for task in inventory.tasks.values()]
    assert {s.id: str(s.due) for s in found} == SEED_TASKS
    assert {s.state for s in found} == {State.OK}


# The days of a credential.


@pytest.mark.parametrize(
    ("today", "state", "clause"),
    [
        ("2025-11-27", State.OK, "rotate by 2026-05-27"),
        ("2026-05-05", State.OK, "rotate by 2026-05-27"),
        ("2026-05-06", State.DUE_SOON, "rotate by 2026-05-27"),
        ("2026-05-26", State.DUE_SOON, "rotate by 2026-05-27"),
        ("2026-05-27", State.DUE, "rotate today"),
        ("2026-05-28", State.OVERDUE, "overdue since 2026-05-28"),
        ("2036-05-28", State.OVERDUE, "overdue since 2026-05-28"),
    ],
)
def test_lead_opens_due_soon_and_overdue_begins_the_day_after(today, state, clause):
    found = standing(a_credential(rotated=LAST), None, day(today))
    assert (found.state, found.next, found.due, found.last) == (state, clause, WORN, LAST)
    assert found.days == (WORN - day(today)).days


def test_a_lead_of_months_goes_back_by_the_calendar():
    credential = a_credential("1 year", rotated=day("2025-03-31"), lead=interval("1 month"))
    assert standing(credential, None, day("2026-02-27")).state is State.OK
    assert standing(credential, None, day("2026-02-28")).state is State.DUE_SOON


def test_what_needs_action_is_what_makes_the_answer_no():
    no = {State.DUE, State.OVERDUE, State.EXPIRED, State.UNKNOWN, State.STUCK}
    assert {state for state in State if state.needs_action} == no


def test_a_credential_whose_last_rotation_nobody_knows_is_unknown():
    found = standing(a_credential(), None, TODAY)
    assert (found.state, found.due, found.last, found.origin, found.days) == (State.UNKNOWN, None, None, None, None)
    assert "no last rotation is known" in found.next


def test_the_vaults_last_rotation_counts_even_where_the_inventory_names_a_later_one():
    found = standing(a_credential(rotated=TODAY), rotated(LAST), TODAY)
    assert (found.state, found.last, found.origin) == (State.OVERDUE, LAST, "changed by hand")


def test_a_vault_that_knows_no_rotation_leaves_the_word_to_the_inventory():
    assert standing(a_credential(rotated=TODAY), Known(), TODAY).last == TODAY


@pytest.mark.parametrize("known", [None, rotated(TODAY + DAY)], ids=["inventory", "vault"])
def test_a_last_rotation_in_the_future_is_unknown_and_the_date_is_named(known):
    credential = a_credential(rotated=LAST if known else TODAY + DAY)
    found = standing(credential, known, TODAY)
    assert (found.state, found.due, found.last) == (State.UNKNOWN, None, TODAY + DAY)
    assert "2026-11-23, is in the future" in found.next


def test_a_rotation_today_is_not_in_the_future():
    assert standing(a_credential(), rotated(TODAY), TODAY).state is State.OK


def test_a_clock_that_went_backwards_makes_nothing_ok():
    credential = a_credential()
    assert standing(credential, rotated(TODAY), TODAY).state is State.OK
    assert standing(credential, rotated(TODAY), TODAY - 365 * DAY).state is State.UNKNOWN


# What expires.


@pytest.mark.parametrize(
    ("today", "state", "clause"),
    [
        ("2026-02-07", State.OK, "rotate by 2026-03-01, its last day"),
        ("2026-02-08", State.DUE_SOON, "rotate by 2026-03-01, its last day"),
        ("2026-03-01", State.DUE, "rotate today, its last day"),
        ("2026-03-02", State.EXPIRED, "expired: it worked until 2026-03-01"),
    ],
)
def test_an_expiry_before_the_next_rotation_is_the_due_date(today, state, clause):
    found = standing(a_credential(rotated=LAST, expires=day("2026-03-01")), None, day(today))
    assert (found.state, str(found.due), found.next) == (state, "2026-03-01", clause)


def test_an_expiry_after_the_next_rotation_makes_overdue_expired_in_the_end():
    credential = a_credential(rotated=LAST, expires=day("2026-06-30"))
    for today, state in (("2026-06-30", State.OVERDUE), ("2026-07-01", State.EXPIRED)):
        found = standing(credential, None, day(today))
        assert (found.state, found.due) == (state, WORN)


@pytest.mark.parametrize(("row", "vault"), [("2026-01-01", "2026-03-01"), ("2026-03-01", "2026-01-01")])
def test_of_two_expiries_the_earlier_counts(row, vault):
    found = standing(a_credential(rotated=LAST, expires=day(row)), Known(expires=day(vault)), LAST)
    assert str(found.due) == "2026-01-01"


def test_an_expiry_of_the_secret_that_was_replaced_counts_no_more():
    credential = a_credential(expires=day("2026-11-20"))
    for on in ("2026-11-20", "2026-11-22"):
        found = standing(credential, rotated(day(on)), TODAY)
        assert (found.state, found.due) == (State.OK, add(day(on), interval("6 months")))


def test_without_a_last_rotation_an_expiry_is_shown_but_proves_nothing():
    credential = a_credential(expires=TODAY)
    assert standing(credential, None, TODAY)[1:3] == (State.UNKNOWN, TODAY)
    assert standing(credential, None, TODAY + DAY)[1:3] == (State.EXPIRED, TODAY)


@pytest.mark.parametrize(
    ("rule", "quiet"), [(Never("it is on paper"), State.NEVER), (Automatic("it is on paper"), State.AUTOMATIC)]
)
def test_what_is_not_rotated_by_plan_still_expires(rule, quiet):
    credential = a_credential(rule, expires=day("2026-12-31"))
    words = f"({quiet}: it is on paper)"
    assert [
        standing(credential, None, day(today))[1:3] + standing(credential, None, day(today))[6:7]
        for today in ("2026-12-09", "2026-12-10", "2026-12-31", "2027-01-01")
    ] == [
        (quiet, day("2026-12-31"), "nothing: it is on paper"),
        (State.DUE_SOON, day("2026-12-31"), f"renew by 2026-12-31, its last day {words}"),
        (State.DUE, day("2026-12-31"), f"renew today, its last day {words}"),
        (State.EXPIRED, day("2026-12-31"), f"expired: it worked until 2026-12-31 {words}"),
    ]


def test_a_date_in_the_future_does_not_hide_that_an_unplanned_credential_expired():
    credential = a_credential(Never("it is on paper"), rotated=TODAY + DAY, expires=TODAY - DAY)
    assert standing(credential, None, TODAY).state is State.EXPIRED


# A rotation under way.


@pytest.mark.parametrize(
    ("step", "state", "clause"),
    [
        ("2026-11-29", State.IN_PROGRESS, "in phase delivered, next step from 2026-11-29"),
        ("2026-11-22", State.IN_PROGRESS, "in phase delivered, next step from 2026-11-22"),
        ("2026-11-19", State.IN_PROGRESS, "in phase delivered, next step from 2026-11-19"),
        ("2026-11-18", State.STUCK, "stuck in phase delivered since 2026-11-18: rotate again to go on"),
        ("2026-11-30", State.UNKNOWN, "in phase delivered until 2026-11-30, longer than grace and soak: "),
    ],
)
def test_a_rotation_under_way_is_on_time_stuck_or_beyond_belief(step, state, clause):
    known = Known(Rotated(LAST, "rotate"), None, Progress("delivered", day(step)))
    found = standing(a_credential(), known, TODAY)
    assert (found.state, found.due, found.last) == (state, day(step), LAST)
    assert found.next.startswith(clause)


def test_a_rotation_that_waits_for_the_longer_of_grace_and_soak_is_believed():
    known = Known(progress=Progress("deactivated", TODAY + 9 * DAY))
    assert standing(a_credential(soak=interval("9 days")), known, TODAY).state is State.IN_PROGRESS


def test_a_rotation_that_was_cut_short_is_stuck():
    found = standing(a_credential(), Known(progress=Progress("created", None)), TODAY)
    assert (found.state, found.due, found.days) == (State.STUCK, None, None)
    assert found.next == "cut short in phase created: rotate again to go on"


def test_a_rotation_under_way_does_not_hide_a_last_rotation_in_the_future():
    known = Known(Rotated(TODAY + DAY, "rotate"), None, Progress("delivered", TODAY))
    assert standing(a_credential(), known, TODAY).state is State.UNKNOWN


# Calendar steps.


@pytest.mark.parametrize(
    ("start", "step", "end"),
    [
        ("2025-08-31", "6 months", "2026-02-28"),
        ("2025-08-31", "12 months", "2026-08-31"),
        ("2025-01-31", "1 month", "2025-02-28"),
        ("2025-01-31", "2 months", "2025-03-31"),
        ("2024-02-29", "1 year", "2025-02-28"),
        ("2024-02-29", "4 years", "2028-02-29"),
        ("2023-02-28", "1 year", "2024-02-28"),
        ("2025-12-31", "2 months", "2026-02-28"),
        ("2027-12-31", "2 months", "2028-02-29"),
        ("2026-03-07", "1 day", "2026-03-08"),  # the night in which Toronto's clocks go forward
        ("2026-10-31", "1 week", "2026-11-07"),  # and back
        ("2024-02-28", "2 days", "2024-03-01"),
        ("2026-03-31", "-1 month", "2026-02-28"),
        ("2026-03-31", "-90 days", "2025-12-31"),
    ],
)
def test_a_step_of_the_calendar(start, step, end):
    assert add(day(start), interval(step)) == day(end)


@pytest.mark.parametrize("unit", ["day", "week", "month", "year"])
def test_what_no_calendar_holds_is_its_first_or_last_day(unit):
    for number in (1, 10**6, 10**12):
        assert add(date.max, Interval(number, unit)) == date.max
        assert add(date.min, Interval(-number, unit)) == date.min


def test_a_rotation_due_after_the_year_9999_is_ok():
    found = standing(a_credential("100 years", rotated=day("9950-01-01")), None, day("9951-01-01"))
    assert (found.state, found.due) == (State.OK, date.max)


def test_a_late_rotation_moves_the_next_one():
    assert standing(a_credential("1 month"), rotated(day("2026-11-20")), TODAY).due == day("2026-12-20")


def test_the_schedule_costs_no_import_until_months_are_counted():
    program = "import sys, chronos_secrets.inventory.schedule; sys.exit('dateutil' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Tasks.


@pytest.mark.parametrize(
    ("done", "due"),
    [
        (None, "2026-01-31"),
        ("2025-06-30", "2026-01-31"),  # before there was a calendar
        ("2026-01-23", "2026-01-31"),  # too early for the first one
        ("2026-01-24", "2026-02-28"),
        ("2026-02-20", "2026-02-28"),
        ("2026-02-21", "2026-03-31"),  # within the window of the second one; the 31st again after a February
        ("2026-03-23", "2026-03-31"),
        ("2026-04-30", "2026-05-31"),
        ("2026-05-29", "2026-06-30"),
        ("2026-10-15", "2026-10-31"),  # late: the calendar does not move
    ],
)
def test_a_task_is_due_on_the_first_day_of_its_calendar_that_was_not_done(done, due):
    today = date(2026, 11, 1)
    found = task_standing(a_task(), done and day(done), today)
    assert (found.due, found.last, found.origin) == (day(due), done and day(done), done and "ticked")
    assert found.rule == "every 1 month"


def test_a_leap_day_task_is_back_on_its_day_in_the_next_leap_year():
    task = a_task("1 year", "2024-02-29")
    assert [
        str(task_standing(task, day(done), day(done)).due) for done in ("2024-02-29", "2025-02-28", "2027-02-28")
    ] == [
        "2025-02-28",
        "2026-02-28",
        "2028-02-29",
    ]


@pytest.mark.parametrize(
    ("today", "state", "clause"),
    [
        ("2026-01-31", State.OK, "do it by 2026-02-28"),
        ("2026-02-20", State.OK, "do it by 2026-02-28"),
        ("2026-02-21", State.DUE_SOON, "do it by 2026-02-28"),
        ("2026-02-28", State.DUE, "do it today"),
        ("2026-03-01", State.OVERDUE, "overdue since 2026-03-01"),
        ("2026-03-31", State.OVERDUE, "overdue since 2026-03-01"),  # the next occurrence's day: nothing got better
        ("2026-12-31", State.OVERDUE, "overdue since 2026-03-01"),
    ],
)
def test_the_states_of_a_task_done_on_its_first_day(today, state, clause):
    found = task_standing(a_task(), day("2026-01-31"), day(today))
    assert (found.state, found.next, found.days) == (state, clause, (day("2026-02-28") - day(today)).days)


def test_doing_it_once_makes_up_for_all_that_was_missed():
    found = task_standing(a_task(), day("2026-11-15"), day("2026-11-15"))
    assert (found.state, str(found.due)) == (State.OK, "2026-11-30")


def test_a_task_that_has_not_begun_is_ok_until_its_window_opens():
    assert task_standing(a_task(), None, day("2026-01-23"))[1:3] == (State.OK, day("2026-01-31"))
    assert task_standing(a_task(), None, day("2026-01-24"))[1:3] == (State.DUE_SOON, day("2026-01-31"))


def test_a_task_done_in_the_future_is_unknown():
    found = task_standing(a_task(), TODAY + DAY, TODAY)
    assert (found.state, found.due) == (State.UNKNOWN, None)
    assert "2026-11-23, is in the future" in found.next


@pytest.mark.parametrize(
    ("every", "days"),
    [("1 day", 0), ("3 days", 0), ("6 days", 1), ("1 week", 1), ("2 weeks", 3), ("1 month", 7), ("1 year", 7)],
)
def test_the_early_window_is_a_quarter_of_the_interval_and_at_most_a_week(every, days):
    task = a_task(every, "2026-01-01")
    start = task.start
    assert task_standing(task, start - days * DAY, start).due == add(start, task.every)
    assert task_standing(task, start - (days + 1) * DAY, start).due == start


# Laws.

intervals = st.builds(Interval, st.integers(1, 40), st.sampled_from(["day", "week", "month", "year"]))
days = st.dates(date(1990, 1, 1), date(2200, 12, 31))
rules = st.one_of(intervals.map(Every), st.just(Never("why")), st.just(Automatic("how")))
spans = st.integers(0, 3000).map(lambda number: timedelta(days=number))
BAD = [
    {State.OK, State.NEVER, State.AUTOMATIC, State.IN_PROGRESS},
    {State.DUE_SOON},
    {State.DUE, State.UNKNOWN},
    {State.OVERDUE},
    {State.EXPIRED, State.STUCK},
]


def badness(state: State) -> int:
    return next(level for level, states in enumerate(BAD) if state in states)


def later(start: date, step: Interval, times: int) -> date:
    """The calendar again, by other means."""
    number = step.number * times
    if step.unit in ("day", "week"):
        return date.fromordinal(start.toordinal() + number * (7 if step.unit == "week" else 1))
    year, month = divmod(start.year * 12 + start.month - 1 + number * (12 if step.unit == "year" else 1), 12)
    return date(year, month + 1, min(start.day, calendar.monthrange(year, month + 1)[1]))


@lawful
@given(days, intervals, st.integers(0, 20))
def test_a_step_is_what_the_calendar_says(start, every, times):
    assert add(start, Interval(every.number * times, every.unit)) == later(start, every, times)


@lawful
@given(days, intervals, st.none() | days, spans)
def test_the_next_due_date_is_after_the_last_rotation(last, every, expires, since):
    found = standing(a_credential(Every(every), expires=expires), rotated(last), last + since)
    assert found.due is not None
    assert found.due > last


@lawful
@given(
    last=st.none() | days,
    every=intervals,
    lead=intervals,
    expires=st.none() | days,
    vault_expires=st.none() | days,
    today=days,
)
def test_rotating_today_resets(*, last, every, lead, expires, vault_expires, today):
    assume(last is None or last <= today)
    credential = a_credential(Every(every), lead=lead, rotated=last, expires=expires)
    before = standing(credential, Known(expires=vault_expires), today)
    after = standing(credential, Known(Rotated(today, "rotate"), vault_expires), today)
    assert after.due is not None
    assert before.state is State.UNKNOWN or after.due >= before.due
    covered = today >= add(after.due, Interval(-lead.number, lead.unit))
    assert after.state is (State.DUE_SOON if covered else State.OK)


@lawful
@given(
    last=days,
    wait=spans,
    more=spans,
    rule=rules,
    lead=intervals,
    is_known=st.booleans(),
    expires=st.none() | days,
    step=st.none() | st.integers(0, 30),
)
def test_with_nothing_done_no_credential_ever_gets_better(*, last, wait, more, rule, lead, is_known, expires, step):
    today = last + wait
    progress = None if step is None else Progress("delivered", today + timedelta(days=7 - step))
    known = Known(Rotated(last, "rotate") if is_known else None, expires, progress)
    credential = a_credential(rule, lead=lead)
    now, then = (standing(credential, known, moment).state for moment in (today, today + more))
    assert badness(then) >= badness(now)


@lawful
@given(days, intervals, st.none() | spans, spans, spans)
def test_with_nothing_done_no_task_ever_gets_better(start, every, done, wait, more):
    task = a_task()._replace(every=every, start=start)
    ticked = None if done is None else start - timedelta(days=30) + done
    today = (ticked or start - timedelta(days=30)) + wait
    now, then = (task_standing(task, ticked, moment).state for moment in (today, today + more))
    assert badness(then) >= badness(now)


@lawful
@given(days, intervals, st.integers(-100, 0) | st.integers(0, 3000))
def test_a_task_done_today_is_not_due_today_and_its_next_day_is_one_of_its_calendar(start, every, offset):
    done = start + timedelta(days=offset)
    found = task_standing(a_task()._replace(every=every, start=start), done, done)
    assert found.due is not None
    assert found.due > done
    assert found.state is State.OK
    window = timedelta(days=min(every.least_days // 4, 7))
    times = 0
    while later(start, every, times) <= done + window:
        times += 1
    assert found.due == later(start, every, times)


@lawful
@given(days, intervals, st.integers(0, 50))
def test_a_task_done_on_its_day_waits_for_the_next_one_counted_from_its_first(start, every, times):
    occurrence = later(start, every, times)
    found = task_standing(a_task()._replace(every=every, start=start), occurrence, occurrence)
    assert found.due == later(start, every, times + 1)


any_day = st.dates() | st.sampled_from([date.min, date.max])
any_interval = st.builds(Interval, st.integers(1, 10**9), st.sampled_from(["day", "week", "month", "year"]))
any_known = st.builds(
    Known,
    st.none() | st.builds(Rotated, any_day, st.just("rotate")),
    st.none() | any_day,
    st.none() | st.builds(Progress, st.just("created"), st.none() | any_day),
)


@lawful
@given(
    rule=any_interval.map(Every) | rules,
    lead=any_interval,
    last=st.none() | any_day,
    expires=st.none() | any_day,
    known=any_known,
    today=any_day,
)
def test_no_day_and_no_interval_is_too_strange_for_a_credential(*, rule, lead, last, expires, known, today):
    credential = a_credential(rule, lead=lead, grace=lead, soak=lead, rotated=last, expires=expires)
    found = standing(credential, known, today)
    assert found.next
    assert (found.days is None) == (found.due is None)


@lawful
@given(any_interval, any_day, st.none() | any_day, any_day)
def test_no_day_and_no_interval_is_too_strange_for_a_task(every, start, done, today):
    found = task_standing(a_task()._replace(every=every, start=start), done, today)
    assert found.next
    assert (found.days is None) == (found.due is None)


def test_the_states_have_the_names_that_programs_read():
    names = ["ok", "due-soon", "due", "overdue", "expired", "in-progress", "stuck", "never", "automatic", "unknown"]
    assert [f"{state}" for state in State] == names
