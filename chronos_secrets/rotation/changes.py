"""The changes that a rotation makes to what an entry holds: functions from what is held to what shall be held. Pure."""

from datetime import datetime

from chronos_secrets.errors import Refused, VaultChanged
from chronos_secrets.rotation.journal import Journal, Phase
from chronos_secrets.rotation.record import Change, Held
from chronos_secrets.rotation.target import Material


def started(journal: Journal, expected: Material) -> Change:
    """Write an intent, if the secret that is to be replaced is still the expected one."""

    def change(held: Held) -> Held:
        _require_free(held, journal)
        if any(held.current[field] != value for field, value in expected.items()):
            raise VaultChanged("the value was changed in KeePassXC meanwhile; nothing was begun")
        return held._replace(journal=journal, pending={}, previous={})

    return change


def stored(journal: Journal, new: Material) -> Change:
    """Keep a fresh secret as pending, whatever became of the intent: it must not be lost."""

    def change(held: Held) -> Held:
        _require_free(held, journal)
        return held._replace(journal=journal, pending=dict(new), previous={})

    return change


def swapped(held: Held, rotated: str, expires: datetime | None) -> Held:
    """Pending becomes current, and current becomes previous."""
    previous = {field: held.current[field] for field in held.pending}
    current = {**held.current, **held.pending}
    return held._replace(current=current, pending={}, previous=previous, rotated=rotated, expires=expires)


def taken_back(held: Held) -> Held:
    """What was replaced is to be current again."""
    return held._replace(pending=held.previous, previous={})


def put_by(held: Held) -> Held:
    """What was to become current is to go."""
    return held._replace(pending={}, previous=held.pending)


def forgotten(held: Held) -> Held:
    """Neither the one nor the other is kept."""
    return held._replace(pending={}, previous={})


def _require_free(held: Held, journal: Journal) -> None:
    other = held.journal
    if other and other.under_way and other.id != journal.id and other.phase is not Phase.INTENT:
        raise Refused(f"another machine ({other.machine}) has begun to rotate it meanwhile")
