"""Where each rotation stands, and what the last try of one stopped at on this machine."""

import json
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.inventory.model import Credential, Inventory
from chronos_secrets.inventory.schedule import Standing, State, standing
from chronos_secrets.review.dates import Dates
from chronos_secrets.review.due import how_to_rotate
from chronos_secrets.rotation.courses import COURSES
from chronos_secrets.rotation.journal import Journal, Phase
from chronos_secrets.systems import files

_VERSION = 1


class Stop(NamedTuple):
    """What a rotation stopped at, in words for a person. `first` is a command to run before it can go on, or ""."""

    at: datetime
    message: str
    first: str = ""


class Row(NamedTuple):
    """One credential that can be rotated; it holds identifiers and days, never a value."""

    id: str
    kind: str
    standing: Standing
    journal: Journal | None  # of its last rotation
    words: str  # where it stands
    how: str  # what to do, a command; "" for nothing now
    stop: Stop | None

    @property
    def under_way(self) -> bool:
        return self.journal is not None and self.journal.under_way


def rows(inventory: Inventory, dates: Dates | None, stops: Mapping[str, Stop], today: date) -> list[Row]:
    """Every credential that can be rotated: those under way first, then by the day on which they are due."""
    found = [_row(each, dates, stops.get(each.id), today) for each in rotating(inventory)]
    return sorted(found, key=lambda row: (not row.under_way, row.standing.due or date.max, row.id))


def rotating(inventory: Inventory) -> list[Credential]:
    """The credentials of a kind that can be rotated."""
    return [each for each in inventory.credentials.values() if each.kind in COURSES]


def users(inventory: Inventory, credential: str) -> tuple[str, ...]:
    """The ids of the destinations that hold a credential."""
    return tuple(each.id for each in inventory.destinations.values() if credential in each.credentials)


def rest(credential: Credential, journal: Journal, day: date) -> str:
    """What a rotation under way waits for, until a day."""
    called = f" (...{journal.old[-4:]})" if journal.old else ""
    ends = "is deactivated" if journal.phase is Phase.DELIVERED and COURSES[credential.kind].soaks else "is deleted"
    return f"{journal.phase}; the old one{called} {ends} from {day} on"


def sooner(credential: Credential, journal: Journal) -> str:
    """How a person who cannot wait for that day, as after a leak, lets the old one end today."""
    wait = "grace" if journal.phase is Phase.DELIVERED else "soak"
    return f"; to end it today: {wait}: 0 days in the row {credential.id} of inventory.yaml, then run this again"


def _row(credential: Credential, dates: Dates | None, stop: Stop | None, today: date) -> Row:
    known = dates.known.get(credential.id) if dates else None
    journal = dates.journals.get(credential.id) if dates else None
    found = standing(credential, known, today)
    if stop and journal and stop.at < journal.since:
        stop = None  # it went on since, on another machine
    how = how_to_rotate(credential, found, today, stop.first if stop else None)
    return Row(credential.id, credential.kind, found, journal, _words(credential, found, journal), how, stop)


def _words(credential: Credential, found: Standing, journal: Journal | None) -> str:
    if found.state is State.IN_PROGRESS and journal is not None and found.due is not None:
        return rest(credential, journal, found.due)
    return found.next


# --- what the last tries stopped at -----------------------------------------------------------------------------------


def load_stops(path: Path) -> dict[str, Stop]:
    """By credential id; none where the file is missing or cannot be read. Never raises."""
    try:
        content = json.loads(path.read_bytes())
        if content["version"] != _VERSION:
            return {}
        return {
            str(name): Stop(datetime.fromisoformat(row["at"]), str(row["message"]), str(row["first"]))
            for name, row in content["stops"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def store_stops(path: Path, stops: Mapping[str, Stop]) -> None:
    """Keep them on this machine. Raises OSError."""
    rows = {
        name: {"at": each.at.isoformat(), "message": each.message, "first": each.first} for name, each in stops.items()
    }
    content = json.dumps({"version": _VERSION, "stops": rows}, indent=1, ensure_ascii=False)
    files.private_folder(path.parent)
    files.write_durably(path, content.encode(errors="replace"))


def waiting(stops: Mapping[str, Stop]) -> dict[str, str]:
    """The commands that a person has to run first."""
    return {name: each.first for name, each in stops.items() if each.first}
