"""What a drill found and measured. Pure: the drill makes it, judging and showing it are others' work.

Times are UTC; positions in the WAL are bytes from its beginning.
"""

from datetime import datetime
from typing import NamedTuple


class Seconds(NamedTuple):
    """How long a restore took, in its three parts: the files come back, WAL is replayed, a first query is answered."""

    fetch: float
    replay: float
    query: float

    @property
    def total(self) -> float:
        return self.fetch + self.replay + self.query


class Marker(NamedTuple):
    """What was left on the production server just before the restore, to be found in what is restored.

    `kind` is what it could be: a row of our table, a restore point (a record in the WAL), or only the position that the
    server was at; `reason` says why it is no row. `segment` is the WAL segment that holds it, `shipped` the seconds
    until that was in the repository.
    """

    kind: str  # row, restore point, position
    id: str
    at: datetime
    position: int
    segment: str
    reason: str = ""
    shipped: float = 0.0


class Check(NamedTuple):
    """One look at the restored server. `good` is None where it could not be done; `words` say what came of it."""

    name: str
    good: bool | None
    words: str


class Point(NamedTuple):
    """A moment that was restored: `target` is what was asked for, `replayed` the newest commit that was replayed.

    `fault` says in words why it is not proven; None where it is.
    """

    target: datetime
    label: str
    seconds: Seconds | None
    replayed: datetime | None
    timeline: int | None
    fault: str | None = None


class Drill(NamedTuple):
    """A restore that was tried. `archive_timeout` is the production server's (seconds; 0: never by itself).

    `size` is what was restored (bytes), `label` the backup. `tables` are the rows counted of each probe table.
    """

    at: datetime
    host: str
    stanza: str
    label: str
    size: int
    marker: Marker
    archive_timeout: float
    seconds: Seconds | None
    replayed: datetime | None
    timeline: int | None
    checks: tuple[Check, ...] = ()
    tables: tuple[tuple[str, int], ...] = ()
    points: tuple[Point, ...] = ()
    seed: int | None = None

    @property
    def lost(self) -> float | None:
        """Seconds between the newest commit that came back and production's newest at the marker; None: not known."""
        return None if self.replayed is None else max(0.0, (self.marker.at - self.replayed).total_seconds())

    @property
    def rpo(self) -> float | None:
        """Seconds of commits that a loss could cost: what was lost here, plus what any commit may wait for.

        That is the archive timeout, until its WAL segment is closed, and the time that the marker's took to be shipped.
        None where nothing bounds it, or it was not measured.
        """
        if self.lost is None or not self.archive_timeout:
            return None
        return self.lost + self.archive_timeout + self.marker.shipped


class Verdict(NamedTuple):
    """One objective: what is promised and what was measured, in seconds.

    `measured` is None where it was not, for the reason in `words`; such an objective is not met.
    """

    name: str
    limit: float
    measured: float | None
    words: str = ""

    @property
    def met(self) -> bool:
        return self.measured is not None and self.measured <= self.limit


class Judged(NamedTuple):
    """A drill, how it stands to each objective, and why the answer is no: a sentence each, none where it is yes."""

    drill: Drill
    verdicts: tuple[Verdict, ...]
    faults: tuple[str, ...]

    @property
    def good(self) -> bool:
        return not self.faults
