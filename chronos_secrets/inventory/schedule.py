"""What is due: where each credential and each task stands on a given day.

Pure: no file, clock, network or chance; "today" is an argument, a day in the inventory's timezone, and so is every
other day here: who has an instant turns it into a day of that timezone first. Nothing here raises for any day.

A credential's dates move with it: due = min(last rotation + every, expires), counted from the last rotation, so a late
rotation moves the next one. A task's dates do not: its n-th occurrence is `from` + n * every, whenever it was done.
Both are counted from their anchor and never chained (the 31st is the 31st again after a February), by the calendar and
never by 30 or 365 days. What cannot be known (no last rotation, or one in the future) is `unknown` and never `ok`.
"""

from datetime import date, timedelta
from enum import StrEnum
from typing import NamedTuple

from chronos_secrets.inventory.model import Automatic, Credential, Every, Interval, Never, Rule, Task

FROM_INVENTORY, FROM_TICK = "written in the inventory", "ticked"
"""Where a last rotation or a task's last time is known from, when that is not the vault."""

PATIENCE = timedelta(days=3)
"""A rotation whose next step could have run for longer than this is stuck: nobody comes back to it by itself."""

_WIDEST_WINDOW = 7  # days before a task's occurrence in which doing it already counts
_ONE_DAY = timedelta(days=1)


class State(StrEnum):
    """Where something stands."""

    OK = "ok"
    DUE_SOON = "due-soon"
    DUE = "due"
    OVERDUE = "overdue"
    EXPIRED = "expired"
    IN_PROGRESS = "in-progress"
    STUCK = "stuck"
    NEVER = "never"
    AUTOMATIC = "automatic"
    UNKNOWN = "unknown"

    @property
    def needs_action(self) -> bool:
        """Whether it makes `due` answer no (exit status 1)."""
        return self in _NEEDS_ACTION


_NEEDS_ACTION = frozenset({State.DUE, State.OVERDUE, State.EXPIRED, State.STUCK, State.UNKNOWN})


class Rotated(NamedTuple):
    """A last rotation, and where it is known from in words for a person."""

    day: date
    origin: str


class Progress(NamedTuple):
    """A rotation under way: its phase, and the first day on which its next step may run.

    None says that there is nothing to wait for: it was cut short and goes on when it is run again.
    """

    phase: str
    step_from: date | None


class Codes(NamedTuple):
    """What the vault says of recovery codes: how many are left, and the day on which one was last used with success."""

    left: int
    tested: date | None


class Known(NamedTuple):
    """What the vault says of one credential.

    `rotated` is what counts there: our own attribute, else the entry's password history. `expires` is a day that a
    person or an issuer set; never one that we wrote there from this very schedule, which would turn overdue into
    expired.
    """

    rotated: Rotated | None = None
    expires: date | None = None
    progress: Progress | None = None
    codes: Codes | None = None


class Standing(NamedTuple):
    """Where one credential or task stands.

    `due` is the day on which something is to be done: for a rotation under way its next step. `rule` and `next` are
    words for a person: what the plan is, and what happens next. `days` is the time until `due`, negative when past.
    """

    id: str
    state: State
    due: date | None
    last: date | None
    origin: str | None
    rule: str
    next: str
    days: int | None


_Verdict = tuple[State, date | None, str]
_NOTHING = Known()


def add(day: date, interval: Interval) -> date:
    """The day one interval later (earlier, for a negative number); what no calendar holds is its last or first day.

    A day that the month lacks is the month's last one, so adding twice is not adding the double: multiply the interval
    and add once.
    """
    try:
        if interval.unit in ("day", "week"):
            return day + timedelta(**{f"{interval.unit}s": interval.number})
        from dateutil.relativedelta import relativedelta

        months = interval.number * (12 if interval.unit == "year" else 1)
        return day + relativedelta(months=months)
    except (OverflowError, ValueError):
        return date.max if interval.number > 0 else date.min


def standing(credential: Credential, known: Known | None, today: date) -> Standing:
    """Where a credential stands. `known` is None while the vault is locked and no cache remembers it.

    * The vault's last rotation counts, even where `rotated:` in the inventory is later: `rotated:` is for what the
      vault does not know.
    * Of two expiries (the row's, the vault's) the earlier counts; it is the last day on which the secret works. One
      that is not after the last rotation was the former secret's and counts no more.
    * An expiry counts whatever the rule is; `never` and `automatic` have no other day.
    * A rotation under way hides the dates, because it is the answer to them; not a last rotation in the future.
    * Recovery codes are due, too, when fewer are left than the row's `least`, whatever the calendar says.
    """
    known = known or _NOTHING
    day, origin = _last(credential, known) or (None, None)
    state, due, clause = _judged(credential, known, day, today)
    if credential.kind == "recovery-codes":
        state, clause = _counted(credential, known.codes, state, clause)
    rule = _words(credential.rule)
    return Standing(credential.id, state, due, day, origin, rule, clause, _days(due, today))


def expiry(credential: Credential, known: Known | None, today: date) -> date | None:
    """The last day on which a credential's secret works, as far as somebody wrote one down."""
    known = known or _NOTHING
    last = _last(credential, known)
    return _expiry(credential, known, last.day if last else None, today)


def occurrences(task: Task, after: date, until: date) -> list[date]:
    """The days of a task's calendar after a day, up to another, whether or not it is done on them."""
    index, day, found = (_index(task, after) + 1 if after >= task.start else 0), after, []
    while day < (following := _occurrence(task, index)) <= until:
        day, index = following, index + 1
        found.append(day)
    return found


def task_standing(task: Task, done: date | None, today: date) -> Standing:
    """Where a task stands. `done` is the day on which it was last done.

    Due is the first occurrence that was not done. Doing it counts for every occurrence up to that day, so missed ones
    are made up for at once, and for the next one where that is near: within a quarter of the interval, at most 7 days.
    In that window a task is due soon. A task that has not begun is `ok`.
    """
    origin = FROM_TICK if done else None
    state, due, clause = _judged_task(task, done, today)
    return Standing(task.id, state, due, done, origin, f"every {task.every}", clause, _days(due, today))


def repeated(name: str, last: date | None, every: Interval, lead: Interval, today: date, *, what: str) -> Standing:
    """Where something stands that is to be done again when `every` has passed since it was last done.

    `what` says how to do it, as in "drill". Never done, or done in the future, is unknown.
    """
    if last is None:
        state, due, clause = State.UNKNOWN, None, f"never done: {what}"
    elif last > today:
        state, due, clause = State.UNKNOWN, None, _in_the_future("last time", last)
    else:
        due = add(last, every)
        state = _dated(due, lead, today, State.OK)
        clause = _clause(state, due, what)
    return Standing(name, state, due, last, FROM_TICK if last else None, f"every {every}", clause, _days(due, today))


def _last(credential: Credential, known: Known) -> Rotated | None:
    if known.rotated is None and credential.rotated:
        return Rotated(credential.rotated, FROM_INVENTORY)
    return known.rotated


def _days(due: date | None, today: date) -> int | None:
    return (due - today).days if due else None


def _words(rule: Rule) -> str:
    match rule:
        case Every(interval):
            return f"every {interval}"
        case Never(reason):
            return f"never: {reason}"
        case Automatic(how):
            return f"automatic: {how}"


def _judged(credential: Credential, known: Known, last: date | None, today: date) -> _Verdict:
    rule = credential.rule
    planned = isinstance(rule, Every)
    if planned and last and last > today:
        return State.UNKNOWN, None, _in_the_future("last rotation", last)
    if known.progress:
        return _under_way(known.progress, credential, today)
    expires = _expiry(credential, known, last, today)
    if isinstance(rule, Every):
        return _planned(add(last, rule.interval) if last else None, expires, credential.lead, today)
    return _unplanned(rule, expires, credential.lead, today)


def _in_the_future(what: str, day: date) -> str:
    return f"the {what}, {day}, is in the future: a wrong clock or a typo"


def _expiry(credential: Credential, known: Known, last: date | None, today: date) -> date | None:
    since = last if last and last <= today else date.min
    return min((day for day in (credential.expires, known.expires) if day and day > since), default=None)


def _planned(renewal: date | None, expires: date | None, lead: Interval, today: date) -> _Verdict:
    """The verdict on a credential that is rotated at an interval; `renewal` is None where no last rotation is known."""
    if expires and today > expires:
        return State.EXPIRED, min(renewal or expires, expires), _expired(expires)
    if renewal is None:
        clause = "no last rotation is known: rotate it, or write rotated: in the inventory"
        return State.UNKNOWN, expires, clause
    due = min(renewal, expires or date.max)
    state = _dated(due, lead, today, State.OK)
    return state, due, _clause(state, due, "rotate") + (", its last day" if due == expires else "")


def _unplanned(rule: Never | Automatic, expires: date | None, lead: Interval, today: date) -> _Verdict:
    quiet, reason = (State.NEVER, rule.reason) if isinstance(rule, Never) else (State.AUTOMATIC, rule.how)
    if expires and today > expires:
        return State.EXPIRED, expires, f"{_expired(expires)} ({_words(rule)})"
    state = _dated(expires, lead, today, quiet) if expires else quiet
    if expires is None or state is quiet:
        return state, expires, f"nothing: {reason}"
    return state, expires, f"{_clause(state, expires, 'renew')}, its last day ({_words(rule)})"


def _counted(credential: Credential, codes: Codes | None, state: State, clause: str) -> tuple[State, str]:
    """What the number of codes that are left makes of the verdict of the calendar."""
    if codes is None:
        if credential.least is None or state.needs_action:
            return state, clause
        return State.UNKNOWN, "how many codes are left is not known"
    tested = f"last tested {codes.tested}" if codes.tested else "never tested"
    told = f"{codes.left} {'code' if codes.left == 1 else 'codes'} left, {tested}"
    if credential.least is None or codes.left >= credential.least:
        return state, f"{told}; {clause}"
    return state if state.needs_action else State.DUE, f"{told}, fewer than {credential.least}: get new ones"


def _expired(expires: date) -> str:
    return f"expired: it worked until {expires}"


def _under_way(progress: Progress, credential: Credential, today: date) -> _Verdict:
    phase, step = progress
    if step is None:
        return State.STUCK, None, f"cut short in phase {phase}: rotate again to go on"
    if step > max(add(today, credential.grace), add(today, credential.soak)):
        clause = f"in phase {phase} until {step}, longer than grace and soak: a wrong clock or a changed grace"
        return State.UNKNOWN, step, clause
    if today - step > PATIENCE:
        return State.STUCK, step, f"stuck in phase {phase} since {step}: rotate again to go on"
    return State.IN_PROGRESS, step, f"in phase {phase}, next step from {step}"


def _dated(due: date, lead: Interval, today: date, quiet: State) -> State:
    if today > due:
        return State.OVERDUE
    if today == due:
        return State.DUE
    return State.DUE_SOON if today >= add(due, Interval(-lead.number, lead.unit)) else quiet


def _clause(state: State, due: date, what: str) -> str:
    if state is State.OVERDUE:
        return f"overdue since {due + _ONE_DAY}"
    return f"{what} today" if state is State.DUE else f"{what} by {due}"


def _judged_task(task: Task, done: date | None, today: date) -> _Verdict:
    if done and done > today:
        return State.UNKNOWN, None, _in_the_future("day it was done", done)
    window = _window(task.every)
    due = _first_after(task, add(done, window)) if done else task.start
    state = _dated(due, window, today, State.OK)
    return state, due, _clause(state, due, "do it")


def _window(every: Interval) -> Interval:
    return Interval(min(every.least_days // 4, _WIDEST_WINDOW), "day")


def _first_after(task: Task, day: date) -> date:
    """The first occurrence of a task after a day."""
    if day < task.start:
        return task.start
    return _occurrence(task, _index(task, day) + 1)


def _index(task: Task, day: date) -> int:
    """Which occurrence is the last one on or before a day, which is not before the first."""
    number, unit = task.every
    if unit in ("day", "week"):
        return (day - task.start).days // (number * (7 if unit == "week" else 1))
    months = 12 * (day.year - task.start.year) + day.month - task.start.month
    index = months // (number * (12 if unit == "year" else 1))
    return index if _occurrence(task, index) <= day else index - 1  # later in that month than the day


def _occurrence(task: Task, index: int) -> date:
    return add(task.start, Interval(index * task.every.number, task.every.unit))
