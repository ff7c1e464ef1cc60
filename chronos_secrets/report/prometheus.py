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


def backups(
    found: Iterable[Any] | None, drills: Iterable[Any], standing: Iterable[Any], facts: Any, promised: Any, *,
    project: str, zone: tzinfo,
) -> str:  # fmt: skip
    """How the backups stand: the lines of `backup status`, and the facts and objectives that they rest on.

    `found` and `drills` are review/page.py's `BackupLine` and `Drill`; None for a repository that did not answer.
    """
    of = {"project": project}
    return _text(
        _ran("backups", of, facts.now),
        _Metric("backup_is_as_promised", "Whether each line of backup status is as it should be.",
                [({**of, "what": name}, good) for name, good in _lines_of(standing).items()]),
        *([] if found is None else _held(found, of)),
        *_wal(facts, of),
        _Metric("repository_verified_timestamp_seconds", "When the repository was last verified and good; 0 is never.",
                [(of, _moment(facts.verified))]),
        _Metric("repository_is_good", "Whether the last verification from this machine found nothing wrong.",
                [(of, not facts.faulty)] if facts.faulty or facts.verified else []),
        _Metric("drill_proved_timestamp_seconds", "The beginning of the day on which a drill last proved the backups.",
                [(of, _day(facts.drilled, zone) if facts.drilled else _NEVER)]),
        *_drilled(max(drills, key=lambda each: each.at, default=None), of),
        _promised(promised, of),
    )  # fmt: skip


def _lines_of(standing: Iterable[Any]) -> dict[str, bool]:
    """By name, whether it is good; what nobody promised anything of is left out."""
    good: dict[str, bool] = {}
    for each in standing:
        if each.mark.value != "-":
            good[each.name] = good.get(each.name, True) and each.mark.value == "ok"
    return good


def _held(found: Iterable[Any], of: Mapping[str, str]) -> Iterable[_Metric]:
    held = list(found)
    kinds: dict[tuple[str, str], list[Any]] = {(repo, "full"): [] for repo in {each.repo for each in held} or {"repo1"}}
    for each in held:
        kinds.setdefault((each.repo, each.kind), []).append(each)
    named = [({**of, "repo": repo, "kind": kind}, some) for (repo, kind), some in sorted(kinds.items())]
    yield _Metric("backups", "How many backups of a kind the repository holds.",
                  [(labels, len(some)) for labels, some in named])  # fmt: skip
    yield _Metric("backup_stopped_timestamp_seconds", "When the newest good backup of a kind was complete; 0 is never.",
                  [(labels, _moment(_newest_good(some))) for labels, some in named])  # fmt: skip


def _wal(facts: Any, of: Mapping[str, str]) -> Iterable[_Metric]:
    if facts.waiting is not None:
        yield _Metric("wal_waits_since_timestamp_seconds", "Since when a commit waits to be in the repository.",
                      [(of, _moment(facts.waiting))])  # fmt: skip
    if facts.archiver is not None:
        yield _Metric("wal_archived_timestamp_seconds", "When the database last archived WAL; 0 is never.",
                      [(of, _moment(facts.archiver.last_at))])  # fmt: skip
        yield _Metric("wal_fails", "Whether the last try to archive WAL failed.", [(of, bool(facts.archiver.fails))])


def _promised(promised: Any, of: Mapping[str, str]) -> _Metric:
    limits = {name: getattr(promised, name, None) for name in ("rpo", "rto", "full_age")}
    told = [({**of, "objective": name}, limit.total_seconds()) for name, limit in limits.items() if limit is not None]
    return _Metric("objective_seconds", "What the inventory promises of the backups.", told)


def _newest_good(held: Iterable[Any]) -> datetime | None:
    return max((each.stopped for each in held if each.is_good), default=None)


def _drilled(drill: Any, of: Mapping[str, str]) -> Iterable[_Metric]:
    yield _Metric("drill_timestamp_seconds", "When this machine last drilled, proved or not; 0 is never.",
                  [(of, _moment(drill.at if drill else None))])  # fmt: skip
    if drill is None:
        return
    parts = [({**of, "part": part}, getattr(drill, part)) for part in ("fetch", "replay", "first_query")]
    measured = [(labels, took) for labels, took in parts if took is not None]
    yield _Metric("drill_seconds", "How long each part of the last drill took.", measured)
    yield _Metric("drill_kept", "Whether the last drill proved all that was promised.", [(of, drill.kept)])
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
