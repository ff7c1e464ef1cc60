"""One whole run for one place: copied, read back, opened, remembered, and what its rule lets go removed."""

from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import Refused, TargetFailed
from chronos_secrets.vault.copies import catalogue, making, pruning, verifying
from chronos_secrets.vault.copies.place import Place
from chronos_secrets.vault.copies.record import Facts, Record
from chronos_secrets.vault.copies.retention import Keep
from chronos_secrets.vault.kdf import MasterKey


class Copied(NamedTuple):
    """What a run did."""

    verdict: verifying.Verdict  # of the new copy; a sealed one is verified by its hash
    removed: tuple[Record, ...]
    kept: str | None  # why nothing was removed, if something was to be


def copy(
    place: Place, content: bytes, key: MasterKey, facts: Facts, keep: Keep | None, *, state: Path, now: datetime,
    zone: tzinfo = UTC,
) -> Copied:  # fmt: skip
    """Copy the vault file `content`, which `key` opened and of which `facts` are known, into a place.

    The catalogue in `state` is read and written by it; the caller holds `catalogue.held(state)`. Killed anywhere, it
    leaves every older good copy, and the new one or none. Raises what `making.make` raises, and OSError for a
    catalogue that cannot be written; that an old copy could not be removed is only told.
    """
    path = state / catalogue.FILE
    made = making.make(place, content, facts, now)
    seen = catalogue.merge(catalogue.load(path), place.id, place.names())
    catalogue.store(path, catalogue.with_records(seen, made))
    # what was read back from the place is `content`, so that is what is opened
    verdict = verifying.Verdict(made, None) if made.is_sealed else verifying.judge(made, content, key, facts, now=now)
    seen = catalogue.with_records(seen, verdict.record)
    catalogue.store(path, seen)
    removed: list[Record] = []
    kept = None
    try:
        if verdict.fault is None:
            removed = pruning.thin(place, seen.of(place.id), keep, now, zone)
            catalogue.store(path, catalogue.without(seen, *removed))
    except (TargetFailed, Refused) as error:
        kept = error.message
    return Copied(verdict, tuple(removed), kept)
