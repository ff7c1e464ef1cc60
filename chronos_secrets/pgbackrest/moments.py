"""Random moments that a drill restores: which, and whether what came back is what production was then. No I/O."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from random import Random

from chronos_secrets.pgbackrest.info import Backup

_DOUBT = timedelta(seconds=1)  # a row is stamped a little before its commit, and a backup's end is a whole second
_STOPPED = ("recovery stopping before commit", "recovery stopping before abort")


def choose(backups: Sequence[Backup], last: datetime | None, number: int, seed: int) -> list[datetime]:
    """Random moments, in order, of those that can be restored: after the oldest backup ended, before the last commit.

    The same seed and bounds give the same ones. None where there is nothing between the bounds.
    """
    first = min(each.stopped for each in backups) + _DOUBT
    if last is None or last - first < _DOUBT:
        return []
    chance, span = Random(seed), (last - first) // timedelta(microseconds=1)  # noqa: S311  a sample, no secret
    return sorted(first + timedelta(microseconds=chance.randrange(span)) for _ in range(number))


def fault(
    moment: datetime, replayed: datetime | None, kept: Mapping[str, datetime], found: Mapping[str, datetime], said: str
) -> str | None:
    """Why a restored server is not what production was at `moment`; None where nothing speaks against it.

    `replayed` is its newest commit, `kept` are production's marks, `found` its own ones, and `said` is its log.
    """
    if replayed is not None and replayed > moment:
        return f"a commit of {replayed.isoformat()} was replayed, which is later"
    if not any(each in said for each in _STOPPED):
        return "its log does not say that it stopped before a later commit"
    if late := sum(1 for at in found.values() if at > moment):
        return f"{late} of the rows that drills wrote are later"
    if missing := sum(1 for mark, at in kept.items() if at < moment - _DOUBT and mark not in found):
        return f"{missing} of the rows that drills wrote are missing"
    return None
