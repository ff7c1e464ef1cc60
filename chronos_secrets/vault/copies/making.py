"""A new copy: sealed where the place wants it, written, read back from the place and compared."""

import contextlib
import hashlib
from datetime import datetime

from chronos_secrets.errors import Refused, TargetFailed
from chronos_secrets.systems import age
from chronos_secrets.vault.copies.place import Place
from chronos_secrets.vault.copies.record import Facts, Name, Record


def make(place: Place, content: bytes, facts: Facts, now: datetime) -> Record:
    """Put a copy of the vault file `content`, of which `facts` are known, into a place; its record, verified by hash.

    Raises TargetFailed when the place is away, full or gives back something else; Refused for a place that must not
    be used. There is then no new file in it. Doing it twice in one second is one copy.
    """
    sealed = content if place.recipient is None else age.seal(content, place.recipient)
    name = Name.of(place.project, now, sealed, sealed=place.recipient is not None)
    place.write(name, sealed)
    _require_same(place, name, sealed)
    return Record(
        place.id, str(name), name.made, hashlib.sha256(sealed).hexdigest(), size=len(sealed),
        vault=hashlib.sha256(content).hexdigest(), facts=facts, verified=now,
    )  # fmt: skip


def _require_same(place: Place, name: Name, content: bytes) -> None:
    """Read a new copy back. What is known to be none must not look like one."""
    if place.read(name) != content:
        with contextlib.suppress(TargetFailed, Refused):
            place.remove(name)
        raise TargetFailed(f"{place.where} does not give back what was written to it; the copy was removed again")
