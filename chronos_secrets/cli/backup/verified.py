"""When this machine last had the repository verified. It holds no secret."""

import json
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.amounts import moment
from chronos_secrets.systems import files

_NAME = "backups.json"
_VERSION = 1


class Verification(NamedTuple):
    """The last `backup verify` of this machine, and the last one that found nothing wrong."""

    at: datetime
    good: bool
    last_good: datetime | None


def load(state: Path) -> Verification | None:
    """What is remembered in the state folder; None for nothing, or nothing that can be read."""
    try:
        row = json.loads((state / _NAME).read_text())
        good = row["last_good"]
        return Verification(moment(row["verified"]), bool(row["good"]), None if good is None else moment(good))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def last_verified(state: Path) -> datetime | None:
    """When the repository was last verified and found good."""
    found = load(state)
    return found.last_good if found else None


def record(state: Path, at: datetime, *, good: bool) -> None:
    """Remember a verification. Raises OSError."""
    last_good = at if good else last_verified(state)
    row = {
        "version": _VERSION, "verified": at.isoformat(), "good": good,
        "last_good": last_good.isoformat() if last_good else None,
    }  # fmt: skip
    files.write_durably(files.private_folder(state) / _NAME, json.dumps(row).encode())
