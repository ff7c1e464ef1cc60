"""How the copies of the vault stand: what is known of each place, and whether somebody has to see to it. Pure.

A copy counts once it was opened; one that was never looked at on this machine is unknown, and unknown is never fine.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta, tzinfo
from typing import NamedTuple

from chronos_secrets.inventory.model import Copy, Inventory
from chronos_secrets.inventory.schedule import Standing, State, add
from chronos_secrets.review.due import Row
from chronos_secrets.vault.copies.catalogue import Catalogue, Queued
from chronos_secrets.vault.copies.record import Record

KIND = "copy"
"""The kind of a row of `due` that stands for a place of copies."""
_A_DAY = timedelta(days=1)
_Verdict = tuple[State, date | None, str, str]


class Live(NamedTuple):
    """The vault file as it is now: its SHA-256 (hex), and when it was last saved (UTC)."""

    digest: str
    saved: datetime


class Held(NamedTuple):
    """What is known of the copies in one place. Nothing here was looked at for this answer."""

    row: Copy
    records: tuple[Record, ...]  # oldest first
    queued: Queued | None
    now: datetime
    live: Live | None  # None where the vault file cannot be read
    key_changed: datetime | None  # when the live vault's password was last changed (UTC), as far as is known

    @property
    def newest(self) -> Record | None:
        return self.records[-1] if self.records else None

    @property
    def good(self) -> Record | None:
        """The newest copy that was verified and has no fault."""
        return newest_good(self.records, self.now, self.live.digest if self.live else None)

    @property
    def is_behind(self) -> bool:
        """Whether the vault was changed since the newest good copy was made."""
        return self.live is not None and (self.good is None or self.good.vault != self.live.digest)

    @property
    def waits_since(self) -> datetime | None:
        """Since when a copy waits that the program makes by itself after changes; None for none."""
        if not self.is_behind or "after-change" not in self.row.rhythm[1] or self.live is None:
            return None
        return self.queued.since if self.queued else self.live.saved

    def has_older_password(self, record: Record) -> bool | None:
        """Whether a copy opens with an older password than the vault; None where that is not known."""
        if record.facts is None or record.facts.key_changed is None or self.key_changed is None:
            return None
        return record.facts.key_changed < self.key_changed

    @property
    def older_passwords(self) -> int:
        return sum(1 for each in self.records if self.has_older_password(each))


def where(row: Copy) -> str:
    """Where copies go, in words to follow "copies"."""
    if row.kind == "rclone":
        return f"at {row.remote}"
    if row.volume is not None:
        return f"on the drive {row.volume.label or row.volume.uuid}"
    return f"in {row.path}"


def newest_good(records: Iterable[Record], now: datetime, vault: str | None) -> Record | None:
    """The newest good copy; of those of one second the one that holds the vault file with that SHA-256 (hex).

    One that is dated after `now`, for a clock was wrong, is taken only where there is no other: whatever is copied from
    now on would seem to be older.
    """
    good = [each for each in records if each.is_good]
    dated = [each for each in good if each.made <= now] or good
    return max(dated, key=lambda each: (each.made, each.vault == vault), default=None)


def held(
    inventory: Inventory, catalogue: Catalogue, live: Live | None, key_changed: datetime | None, now: datetime
) -> list[Held]:
    """What is known of each place, in the order of the inventory."""
    times = [each.facts.key_changed for each in catalogue.records if each.facts and each.facts.key_changed]
    latest = max([*times, *([key_changed] if key_changed else [])], default=None)
    return [
        Held(row, tuple(catalogue.of(row.id)), catalogue.queued.get(row.id), now, live, latest)
        for row in inventory.vault.copies.values()
    ]


def rows(found: Iterable[Held], owner: str, today: date, zone: tzinfo) -> list[Row]:
    """A row of `due` for each place."""
    return [_row(each, owner, today, zone) for each in found]


def _row(found: Held, owner: str, today: date, zone: tzinfo) -> Row:
    state, due, clause, how = _judged(found, today, zone)
    last = _last(found, zone)
    days = (due - today).days if due else None
    standing = Standing(found.row.id, state, due, last, "copied" if last else None, _plan(found.row), clause, days)
    return Row(found.row.id, KIND, f"Vault copies {where(found.row)}", "", "", owner, standing, how)


def _judged(found: Held, today: date, zone: tzinfo) -> _Verdict:
    """State, the day on which a copy is due, what is the matter, and what to do about it."""
    name, newest, good = found.row.id, found.newest, found.good
    copy, verify = f"chronos-secrets vault copy {name}", f"chronos-secrets vault verify {name}"
    if newest is None:
        return State.UNKNOWN, None, "no copy is known on this machine", copy
    if newest.fault is not None:
        return State.DUE, today, f"the newest copy {newest.fault}", copy
    if good is None:
        return State.UNKNOWN, None, "never verified on this machine", verify
    if found.row.age and not any(each.was_opened for each in found.records):
        return State.UNKNOWN, None, "never opened: only hashes are known", f"{verify} --identity FILE"
    if not found.row.age and not good.was_opened:
        return State.UNKNOWN, None, "the newest copy was never opened", verify
    return _by_calendar(found, today, zone, copy)


def _by_calendar(found: Held, today: date, zone: tzinfo, copy: str) -> _Verdict:
    every, last = found.row.rhythm[0], _last(found, zone)
    due = add(last, every) if every and last else None
    if due is not None and due <= today:
        late = due < today
        return State.OVERDUE if late else State.DUE, due, f"a copy {'was' if late else 'is'} due on {due}", copy
    since = found.waits_since
    if since is None:
        return State.OK, due, f"copied {last}" + (f", next {due}" if due else ""), ""
    day = since.astimezone(zone).date()
    why = f": {found.queued.why}" if found.queued else ""
    waits = f"the change of {day} is not in it yet{why}"
    patient = every is not None or today - day <= _A_DAY
    return State.DUE_SOON if patient else State.DUE, due or day + _A_DAY, waits, copy


def _last(found: Held, zone: tzinfo) -> date | None:
    """The day of the last good copy; when it was last looked at, if it still is what the vault is."""
    good = found.good
    if good is None:
        return None
    seen = good.verified if not found.is_behind and good.verified else good.made
    return max(seen, good.made).astimezone(zone).date()


def _plan(row: Copy) -> str:
    every, when = row.rhythm
    words = [f"every {every}" if every else "", *(each.replace("-", " every ") for each in when)]
    return ", ".join(each for each in words if each)
