"""A drill as lines of a table, as Markdown to be filed, and as JSON."""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from chronos_secrets.amounts import lasting, size
from chronos_secrets.pgbackrest.proved import Check, Drill, Judged, Point, Seconds, Verdict

HEADERS = ("WHAT", "RESULT", "")
JsonRow = dict[str, object]
_WORDS = {True: "good", False: "NO", None: "not known"}


def lasted(seconds: float) -> str:
    """A time that was measured, in words; short ones to the tenth of a second."""
    return f"{seconds:.1f} s" if seconds < 60 else lasting(seconds)


def lines(judged: Judged, zone: tzinfo) -> list[tuple[str, str, str]]:
    """What a person is to see of it, three cells a line."""
    drill = judged.drill
    told = [("backup", drill.label, f"on {drill.host}")]
    if drill.seconds:
        told.append(("RTO", lasted(drill.seconds.total), _standing(judged, "RTO", _parts(drill.seconds))))
        told.append(("RPO", _rpo(drill), _standing(judged, "RPO", _exposed(drill))))
        told.append(
            ("newest commit", _moment(drill.replayed, zone), f"the marker is of {_moment(drill.marker.at, zone)}")
        )
    told += [(each.name, _WORDS[each.good], each.words) for each in drill.checks]
    told += [(name, f"{count} rows", "") for name, count in drill.tables]
    told += [(_moment(each.target, zone), _WORDS[each.fault is None], _point_words(each)) for each in drill.points]
    return told


def markdown(judged: Judged, *, project: str, zone: tzinfo) -> str:
    """The report that is filed: dated, and whole by itself."""
    return "\n".join(_markdown(judged, project, zone)) + "\n"


def document(judged: Judged) -> JsonRow:
    """The same for a program. Times are UTC, sizes bytes, durations seconds; what is not known is null."""
    drill, marker = judged.drill, judged.drill.marker
    return {
        "at": _iso(drill.at), "good": judged.good, "faults": list(judged.faults),
        "host": drill.host, "stanza": drill.stanza, "backup": drill.label, "bytes": drill.size,
        "rto": _seconds(drill.seconds),
        "rpo": {"total": _round(drill.rpo), "lost": _round(drill.lost), "shipped": _round(marker.shipped),
                "archive_timeout": drill.archive_timeout},
        "objectives": [_verdict(each) for each in judged.verdicts],
        "marker": {"kind": marker.kind, "id": marker.id, "at": _iso(marker.at), "wal": marker.segment,
                   "why_no_row": marker.reason or None},
        "newest_commit": _iso(drill.replayed), "timeline": drill.timeline,
        "checks": [_check(each) for each in drill.checks], "rows": dict(drill.tables),
        "seed": drill.seed, "moments": [_point(each) for each in drill.points],
    }  # fmt: skip


def _markdown(judged: Judged, project: str, zone: tzinfo) -> Iterator[str]:
    drill = judged.drill
    yield f"# Restore drill of {project}, {_moment(drill.at, zone)}"
    yield ""
    yield "The backups were proved." if judged.good else "**The answer is no.**"
    yield ""
    for fault in judged.faults:
        yield f"- {_cell(fault)}"
    if judged.faults:
        yield ""
    yield f"Backup {drill.label} ({size(drill.size)}) of the stanza {drill.stanza}, restored on {_cell(drill.host)}."
    yield ""
    yield "| what | result | |"
    yield "| --- | --- | --- |"
    for cells in lines(judged, zone)[1:]:
        yield f"| {' | '.join(_cell(each) for each in cells)} |"
    if drill.seed is not None:
        yield ""
        yield f"The moments were chosen at random, with the seed {drill.seed}."


def _standing(judged: Judged, name: str, parts: str) -> str:
    found = next((each for each in judged.verdicts if each.name == name), None)
    if found is None:
        return f"{parts}; no objective is set"
    return f"{parts}; {'within' if found.met else 'NOT within'} {lasted(found.limit)}"


def _parts(seconds: Seconds) -> str:
    return f"fetch {lasted(seconds.fetch)}, replay {lasted(seconds.replay)}, first query {lasted(seconds.query)}"


def _rpo(drill: Drill) -> str:
    return "not bounded" if drill.rpo is None else lasted(drill.rpo)


def _exposed(drill: Drill) -> str:
    lost = "?" if drill.lost is None else lasted(drill.lost)
    return f"lost {lost}, shipped in {lasted(drill.marker.shipped)}, archive_timeout {lasted(drill.archive_timeout)}"


def _point_words(point: Point) -> str:
    if point.fault:
        return point.fault
    newest = f"newest commit {point.replayed.astimezone(UTC):%H:%M:%S.%f}" if point.replayed else "no commit replayed"
    took = lasted(point.seconds.total) if point.seconds else "?"
    return f"{point.label}, {took}, {newest} UTC, timeline {point.timeline}"


def _moment(at: datetime | None, zone: tzinfo) -> str:
    return "?" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _cell(text: str) -> str:
    """Text that stays in its cell, and is nothing but text."""
    plain = "".join(each if each.isprintable() else "?" for each in text)
    return "".join(f"\\{each}" if each in "\\|`*_<>[]" else each for each in plain)


def _seconds(seconds: Seconds | None) -> JsonRow | None:
    if seconds is None:
        return None
    return {**{name: _round(value) for name, value in seconds._asdict().items()}, "total": _round(seconds.total)}


def _verdict(verdict: Verdict) -> JsonRow:
    return {"name": verdict.name, "limit": verdict.limit, "measured": _round(verdict.measured), "met": verdict.met,
            "why": verdict.words or None}  # fmt: skip


def _check(check: Check) -> JsonRow:
    return {"name": check.name, "good": check.good, "words": check.words}


def _point(point: Point) -> JsonRow:
    return {"target": _iso(point.target), "backup": point.label, "rto": _seconds(point.seconds),
            "newest_commit": _iso(point.replayed), "timeline": point.timeline, "fault": point.fault}  # fmt: skip


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
