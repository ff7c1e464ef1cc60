"""Which access keys that nobody stored are ours to delete: what a lost answer to our own request left behind. Pure.

A key is deleted only on proof. Deleting somebody else's ends their work; keeping ours costs a question.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from chronos_secrets.rotation.journal import Journal, Phase

_EARLY, _LATE = timedelta(minutes=5), timedelta(minutes=15)  # around its start: clocks differ


class Seen(NamedTuple):
    """What the target tells of a key. `created` None is "it does not tell"; `used` counts where `use_known` is set, and
    None is then "never"."""

    id: str
    active: bool
    created: datetime | None
    use_known: bool
    used: datetime | None

    @property
    def facts(self) -> str:
        """The key and all that is known of it, for a person who has to decide."""
        created = f"created {_when(self.created)}" if self.created else "created nobody knows when"
        used = f"last used {_when(self.used)}" if self.used else "never used" if self.use_known else "last use unknown"
        return f"{short(self.id)} ({'Active' if self.active else 'Inactive'}, {created}, {used})"


def why_not_ours(key: Seen, journal: Journal, *, machine: str, known_here: Collection[str]) -> str | None:
    """Why a key may not be deleted as a stray of this rotation; None where it may."""
    elsewhere = key.created is not None and not journal.begun - _EARLY < key.created < journal.begun + _LATE
    reasons = {
        "no answer of this rotation is outstanding": journal.phase is not Phase.INTENT,
        "it was there before this rotation began": key.id in journal.before,
        f"the rotation was begun on {journal.machine}": journal.machine != machine,
        "this machine stored it once": key.id in known_here,
        "it was not created when this rotation asked for one": elsewhere,
        "somebody has used it": key.use_known and key.used is not None,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def short(key_id: str) -> str:
    """A key's id as messages show it."""
    return f"...{key_id[-4:]}"


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
