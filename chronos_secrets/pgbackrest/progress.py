"""How far a run of pgBackRest is, from what it prints at the log level `detail`. Pure.

Seen of 2.45: a line for each file that is copied, with the share of all bytes that are then done; between them, what it
waits for. Its `info` says that a backup runs, and not how far it is.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

OPTION = "--log-level-console=detail"
"""What makes pgBackRest say it."""

_FILE = re.compile(r"DETAIL: (backup|restore) file (?:.*) \([^()]+, ([0-9]{1,3}(?:\.[0-9]+)?)%\)")
_WORDS = (
    ("execute non-exclusive backup start", "waits for a checkpoint"),
    ("execute exclusive backup start", "waits for a checkpoint"),
    ("execute non-exclusive backup stop", "waits for the last WAL to reach the repository"),
    ("execute exclusive backup stop", "waits for the last WAL to reach the repository"),
    ("expire command begin", "removes what the retention lets go"),
    ("restore backup set", "restores"),
    ("remove invalid files", "removes what is not of the backup"),
)
_NEW_LABEL = re.compile(r"new backup label = (\S+)")
_EXPIRED = re.compile(r"remove expired backup (\S+)")
_VERBS = {"backup": "copied", "restore": "fetched"}


class Step(NamedTuple):
    """What it does now, in words; and how many hundredths of the bytes are done, where that is known."""

    words: str
    percent: float | None = None


class Lines:
    """Makes lines of pieces that are cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, piece: bytes) -> Iterator[str]:
        """The lines that this piece completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")


def step(line: str) -> Step | None:
    """What a line says of the progress; None where it says nothing of it."""
    if found := _FILE.search(line):
        return Step(_VERBS[found[1]], float(found[2]))
    return next((Step(words) for pattern, words in _WORDS if pattern in line), None)


def new_label(said: str) -> str | None:
    """The label of the backup that was made, from all that was said."""
    found = _NEW_LABEL.search(said)
    return found[1] if found else None


def expired(said: str) -> list[str]:
    """The backups that an expire lets go, from what it said at the level `info`."""
    return list(dict.fromkeys(_EXPIRED.findall(said)))
