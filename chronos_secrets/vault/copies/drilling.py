"""The newest copies brought back into a folder of their own, as on the day on which the vault is gone."""

import time
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import ChronosError, TargetFailed, VaultMissing
from chronos_secrets.systems import files
from chronos_secrets.vault import store
from chronos_secrets.vault.copies import verifying
from chronos_secrets.vault.copies.catalogue import Catalogue
from chronos_secrets.vault.copies.place import Place
from chronos_secrets.vault.copies.record import Facts, Name, Record, unknown
from chronos_secrets.vault.copies.verifying import Verdict
from chronos_secrets.vault.kdf import MasterKey


class Fetched(NamedTuple):
    """The newest copy of one place in the drill's folder, or why it could not be had."""

    place: str
    record: Record | None = None
    path: Path | None = None
    seconds: float = 0.0
    error: ChronosError | None = None


class Drilled(NamedTuple):
    """What one place's newest copy came to; `seconds` is what bringing it back and opening it took."""

    place: str
    record: Record | None
    seconds: float
    verdict: Verdict | None  # None where it could not be had
    error: ChronosError | None = None

    @property
    def is_locked(self) -> bool:
        """Whether its bytes are right, but the password is another one: the record then has no fault."""
        return self.verdict is not None and self.verdict.fault is not None and self.verdict.record.fault is None

    @property
    def is_good(self) -> bool:
        """Whether it was opened."""
        return self.verdict is not None and self.verdict.opened


def fetch(place: Place, known: Catalogue, folder: Path) -> Fetched:
    """Bring the newest copy of a place into `folder`, a private one. A place that fails is a result."""
    began = time.monotonic()
    try:
        names = place.names()
        if not names:
            return Fetched(place.id, error=VaultMissing(f"there is no copy in {place.where}"))
        record = _record(place, known, names[-1])
        path = folder / f"{place.id}-{names[-1]}"
        files.write_durably(path, place.read(names[-1]))
    except OSError as error:
        return Fetched(place.id, error=TargetFailed(f"there is no room to restore it to: {files.reason(error)}"))
    except ChronosError as error:
        return Fetched(place.id, error=error)
    return Fetched(place.id, record, path, time.monotonic() - began)


def open_(fetched: Fetched, key: MasterKey, live: Facts | None, *, now: datetime, identity: Path | None) -> Drilled:
    """Open what was fetched as it lies in the folder now."""
    if fetched.record is None or fetched.path is None:
        return Drilled(fetched.place, None, fetched.seconds, None, fetched.error)
    began = time.monotonic()
    try:
        content = store.read(fetched.path)
        verdict = verifying.judge(fetched.record, content, key, live, now=now, identity=identity)
    except ChronosError as error:
        return Drilled(fetched.place, fetched.record, fetched.seconds, None, error)
    seconds = fetched.seconds + time.monotonic() - began
    return Drilled(fetched.place, verdict.record, seconds, verdict)


def _record(place: Place, known: Catalogue, name: Name) -> Record:
    there = {each.name: each for each in known.of(place.id)}
    return there.get(str(name)) or unknown(place.id, name)
