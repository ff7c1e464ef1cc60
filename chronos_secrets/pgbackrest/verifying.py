"""What `pgbackrest verify --output=text --verbose` says. Pure.

Its exit status is 0 whatever it finds, and without `--output` it prints nothing of a fault: the text is what counts.
Sources: real output of 2.45 (a contract test takes it anew); src/command/verify/verify.c for the words of a status.
"""

import re
from typing import NamedTuple

OPTIONS = ("--output=text", "--verbose", "--log-level-console=info")

KINDS = {
    "missing": "missing",
    "checksum invalid": "damaged",
    "size invalid": "of the wrong size",
    "other": "unreadable",
}
"""The kinds of fault: pgBackRest's words, and ours."""

_STATUS = re.compile(r"^status: (\S+)", re.MULTILINE)
_PART = re.compile(r"^  (archiveId|backup): ([^,\n]+)(.*)$((?:\n    .*)?)", re.MULTILINE)
_PART_STATUS = re.compile(r"status: ([a-z -]+)")
_CHECKED = re.compile(r"total (?:WAL|files) checked: ([0-9]+)")
_COUNT = re.compile(r"(missing|checksum invalid|size invalid|other): ([0-9]+)")
_FAULTY = re.compile(r"INFO: (file missing|invalid checksum|invalid size|invalid result|invalid verify) '([^'\n]+)'")
_ERROR = re.compile(r"(?:ERROR|WARN): (?:\[[0-9]+\]: )?(.+)")


class Part(NamedTuple):
    """A backup or the WAL of one database. `status` is a backup's: valid, invalid, manifest missing or in-progress."""

    kind: str  # backup or WAL
    name: str
    status: str
    checked: int
    faults: tuple[tuple[str, int], ...]  # a kind of fault in our words, and how many; only those that there are


class Verified(NamedTuple):
    """What it found. `files` are the faulty ones that it named, `errors` what it said of the whole."""

    good: bool
    parts: tuple[Part, ...]
    files: tuple[str, ...]
    errors: tuple[str, ...]

    @property
    def faults(self) -> int:
        """How many files are not as they should be; one file of a backup that others rest on counts for each."""
        return sum(count for part in self.parts for _, count in part.faults)


def parse(said: str) -> Verified | None:
    """The findings; None where it is no such text."""
    status = _STATUS.search(said)
    if status is None:
        return None
    text = said[status.start() :]
    parts = tuple(_part(match) for match in _PART.finditer(text))
    errors = tuple(dict.fromkeys(match[1].strip() for match in _ERROR.finditer(said)))
    files = tuple(dict.fromkeys(f"{match[2]} ({match[1]})" for match in _FAULTY.finditer(said)))
    sound = all(part.status in ("valid", "in-progress") and not part.faults for part in parts)
    return Verified(status[1] == "ok" and sound and not errors, parts, files, errors)


def _part(match: re.Match[str]) -> Part:
    rest, counts = match[3], match[4]
    status, checked = _PART_STATUS.search(rest), _CHECKED.search(rest)
    found = {kind: int(count) for kind, count in _COUNT.findall(counts)}
    return Part(
        kind="backup" if match[1] == "backup" else "WAL",
        name=match[2],
        status=status[1].strip() if status else "valid",
        checked=int(checked[1]) if checked else 0,
        faults=tuple((KINDS[kind], count) for kind, count in found.items() if count),
    )
