"""What is due, the copies and the backups as metrics, in the text format that node_exporter's textfile collector reads.

A time is a gauge in seconds since 1970 and never the timestamp of a sample, for the collector refuses those. A time of
0 is never: an alert on the age of what never happened then fires. No label holds a title or a value.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, tzinfo
from typing import Any, NamedTuple

from chronos_secrets.inventory.schedule import State
from chronos_secrets.report.markup import short

_NEVER = 0
_MOST = 100  # characters of a label
_Sample = tuple[Mapping[str, str], float]


class _Metric(NamedTuple):
    name: str  # without the prefix
    help: str
    samples: Sequence[_Sample]


def due(rows: Iterable[Any], *, project: str, zone: tzinfo, now: datetime, seen: datetime | None) -> str:
    """The rows of `due`. `seen` is when the vault was last open on this machine, None for never."""
    of, held = {"project": project}, list(rows)
    named = [({**of, "id": row.id, "kind": row.kind, "owner": row.owner}, row.standing) for row in held]
    counted = Counter(row.standing.state for row in held)
    return _text(
        _ran("due", of, now),
        _Metric("state", "Where each credential, task and place of copies stands; the label state says it.",
                [({**labels, "state": stands.state.value}, 1) for labels, stands in named]),
        _Metric("rows", "How many stand in each state.",
                [({**of, "state": state.value}, counted[state]) for state in State]),
        _Metric("due_timestamp_seconds", "The beginning of the day on which something is due.",
                [(labels, _day(stands.due, zone)) for labels, stands in named if stands.due]),
        _Metric("last_done_timestamp_seconds", "The beginning of the day on which it was last rotated or done.",
                [(labels, _day(stands.last, zone)) for labels, stands in named if stands.last]),
        _Metric("vault_seen_timestamp_seconds", "When the vault was last open on this machine; 0 is never.",
                [(of, _moment(seen))]),
    )  # fmt: skip


def copies(places: Iterable[Any], *, project: str, now: datetime) -> str:
    """The places of copies (review/copies.py)."""
    of = {"project": project}
    named = [({**of, "copy": each.row.id}, each) for each in places]
    return _text(
        _ran("copies", of, now),
        _Metric("copies", "How many copies are known in a place.",
                [(labels, len(each.records)) for labels, each in named]),
        _Metric("copies_older_password", "How many of them open with an older password than the vault.",
                [(labels, each.older_passwords) for labels, each in named]),
        _Metric("copy_is_good", "Whether the newest copy was verified and nothing was found since.",
                [(labels, bool(each.newest and each.newest.is_good)) for labels, each in named]),
        _Metric("copy_made_timestamp_seconds", "When the newest good copy was made; 0 is never.",
                [(labels, _moment(each.good and each.good.made)) for labels, each in named]),
        _Metric("copy_verified_timestamp_seconds", "When it was last verified, in whatever way; 0 is never.",
                [(labels, _moment(each.good and each.good.verified)) for labels, each in named]),
        _Metric("copy_opened_timestamp_seconds", "When it was last opened with a password; 0 is never.",
                [(labels, _moment(each.good and each.good.opened)) for labels, each in named]),
        _Metric("copy_waits_since_timestamp_seconds", "Since when a change of the vault waits to be copied there.",
                [(labels, _moment(each.waits_since)) for labels, each in named if each.waits_since]),
    )  # fmt: skip


def backups(found: Iterable[Any], drills: Iterable[Any], *, project: str, now: datetime) -> str:
    """The newest backup of each kind and the newest drill (review/page.py's `BackupLine` and `Drill`)."""
    of = {"project": project}
    kinds: dict[tuple[str, str], list[Any]] = {}
    for each in found:
        kinds.setdefault((each.repo, each.kind), []).append(each)
    named = [({**of, "repo": repo, "kind": kind}, held) for (repo, kind), held in sorted(kinds.items())]
    return _text(
        _ran("backups", of, now),
        _Metric("backups", "How many backups of a kind the repository holds.",
                [(labels, len(held)) for labels, held in named]),
        _Metric("backup_stopped_timestamp_seconds", "When the newest good backup of a kind was complete; 0 is never.",
                [(labels, _moment(_newest_good(held))) for labels, held in named]),
        *_drilled(max(drills, key=lambda each: each.at, default=None), of),
    )  # fmt: skip


def _newest_good(held: Iterable[Any]) -> datetime | None:
    return max((each.stopped for each in held if each.is_good), default=None)


def _drilled(drill: Any, of: Mapping[str, str]) -> Iterable[_Metric]:
    yield _Metric("drill_timestamp_seconds", "When a restore was last tried; 0 is never.",
                  [(of, _moment(drill.at if drill else None))])  # fmt: skip
    if drill is None:
        return
    parts = [({**of, "part": part}, getattr(drill, part)) for part in ("fetch", "replay", "first_query")]
    yield _Metric("drill_seconds", "How long each part of the last drill took.", parts)
    yield _Metric("drill_kept", "Whether the last drill proved all that was promised.", [(of, drill.kept)])
    promised = {"rto": drill.rto_objective, "rpo": drill.rpo_objective}
    told = [({**of, "objective": name}, number) for name, number in promised.items() if number is not None]
    yield _Metric("objective_seconds", "What was promised.", told)
    if drill.rpo is not None:
        yield _Metric("drill_rpo_seconds", "How much the last drill would have lost.", [(of, drill.rpo)])


def _ran(what: str, of: Mapping[str, str], now: datetime) -> _Metric:
    return _Metric(f"{what}_last_run_timestamp_seconds", "When these metrics were made.", [(of, _moment(now))])


def _day(day: date, zone: tzinfo) -> float:
    return _moment(datetime(day.year, day.month, day.day, tzinfo=zone))


def _moment(moment: datetime | None) -> float:
    return int(moment.timestamp()) if moment else _NEVER


def _text(*metrics: _Metric) -> str:
    """Metrics without a sample are left out whole."""
    return "".join(line for each in metrics if each.samples for line in _lines(each))


def _lines(metric: _Metric) -> Iterable[str]:
    name = f"chronos_secrets_{metric.name}"
    yield f"# HELP {name} {metric.help}\n"
    yield f"# TYPE {name} gauge\n"
    for labels, number in metric.samples:
        told = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())
        yield f"{name}{{{told}}} {number + 0:.15g}\n"


def _escaped(text: str) -> str:
    return short(text, _MOST).replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
