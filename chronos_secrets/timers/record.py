"""What this machine remembers of its timers: where they were installed, and how each one's last run ended.

A run is written down when it begins and when it ends, so one that was cut off is seen, too.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from chronos_secrets.amounts import moment
from chronos_secrets.errors import Busy, Refused
from chronos_secrets.inventory.model import LOCAL
from chronos_secrets.systems import files

FILE = "timers.json"
_LOCK_WAIT = 10.0  # seconds


class Run(NamedTuple):
    """The last run of a timer. Times are UTC.

    `ended` is None while it runs, and for one that was cut off; `status` and `words` are then those of the run before.
    """

    begun: datetime
    ended: datetime | None = None
    status: int = 0  # an exit status; 0 also where what it found was a no
    words: str = ""  # what went wrong
    told: str = ""  # the day and the SHA-256 of what was last told to the commands of notify:


class Known(NamedTuple):
    """`installed` by host (an id of the inventory, or local), `runs` by the name of the timer."""

    installed: Mapping[str, datetime]
    runs: Mapping[str, Run]


def load(path: Path) -> Known:
    """What is known; nothing where the file is missing or cannot be read. Never raises."""
    try:
        found = json.loads(path.read_bytes())
        installed = {str(host): moment(at) for host, at in found["installed"].items()}
        return Known(installed, {str(name): _run(row) for name, row in found["runs"].items()})
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Known({}, {})


def parse_end(content: bytes) -> Run | None:
    """The record that a backup's script leaves on its host: begun, ended, exit status. None for anything else."""
    try:
        begun, ended, status = map(int, content.split())
        return Run(datetime.fromtimestamp(begun, UTC), datetime.fromtimestamp(ended, UTC), status)
    except (ValueError, OverflowError, OSError):
        return None


def note_run(path: Path, name: str, run: Run) -> None:
    """Keep a run. Raises Busy, Refused."""
    with _changing(path) as known:
        known["runs"] = {**known["runs"], name: run}


def note_installed(path: Path, host: str, at: datetime | None) -> None:
    """Keep that the timers of a host are there since `at`, or that they are gone. Raises Busy, Refused."""
    with _changing(path) as known:
        others = {name: since for name, since in known["installed"].items() if name != host}
        known["installed"] = {**others, host: at} if at else others
        if at is None and host == LOCAL:
            known["runs"] = {}


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """What is known, to be changed within the block: two timers may end in the same second."""
    try:
        with files.lock(path.with_suffix(".lock"), wait=_LOCK_WAIT):
            known = {name: dict(held) for name, held in load(path)._asdict().items()}
            yield known
            told = {
                "installed": {host: at.isoformat() for host, at in known["installed"].items()},
                "runs": {name: _row(run) for name, run in known["runs"].items()},
            }
            files.write_durably(path, json.dumps(told, indent=1).encode())
    except files.LockHeld as error:
        raise Busy(f"another run is writing {path}", hint="run the command again") from error
    except OSError as error:
        raise Refused(f"{path} cannot be written: {files.reason(error)}") from error


def _row(run: Run) -> dict[str, object]:
    ended = run.ended.isoformat() if run.ended else None
    return {**run._asdict(), "begun": run.begun.isoformat(), "ended": ended}


def _run(row: Mapping[str, Any]) -> Run:
    ended = moment(row["ended"]) if row["ended"] else None
    return Run(moment(row["begun"]), ended, int(row["status"]), str(row["words"]), str(row["told"]))
