"""What this machine remembers of drills: a line each in drills.jsonl, and the reports in drills/. No secret."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

from chronos_secrets.pgbackrest.proved import Judged
from chronos_secrets.report import drill as report
from chronos_secrets.systems import files

_LINES, _FOLDER = "drills.jsonl", "drills"


class Drilled(NamedTuple):
    """One drill, in short; durations are in seconds. `rto` and `rpo` are None where they were not measured."""

    at: datetime
    good: bool
    host: str
    backup: str
    rto: float | None
    rpo: float | None
    parts: tuple[float, float, float] | None  # of the RTO: fetch, replay, first query
    faults: tuple[str, ...]
    report: str  # name of the file in drills/, without its ending


def keep(state: Path, judged: Judged, *, project: str, zone: tzinfo) -> Path:
    """File a drill: its report as Markdown and JSON, and its line. Returns the path of the first. Raises OSError."""
    folder = files.private_folder(state / _FOLDER)
    name = judged.drill.at.astimezone(UTC).strftime("%Y-%m-%dT%H%M%SZ")
    path = folder / f"{name}.md"
    files.write_durably(path, report.markdown(judged, project=project, zone=zone).encode())
    whole = json.dumps({"version": 1, **report.document(judged)}, ensure_ascii=False, indent=1)
    files.write_durably(path.with_suffix(".json"), whole.encode())
    line = json.dumps({**_short(judged), "report": name}, ensure_ascii=False)
    files.write_durably(state / _LINES, b"".join((*_lines(state), line.encode() + b"\n")))
    return path


def all_drills(state: Path) -> list[Drilled]:
    """The drills of this machine, oldest first; a line that cannot be read is left out. Never raises."""
    return [found for line in _lines(state) if (found := _parsed(line)) is not None]


def last_drill(state: Path) -> Drilled | None:
    """The newest drill of this machine, good or not; None where there was none."""
    return max(all_drills(state), key=lambda each: each.at, default=None)


def _lines(state: Path) -> list[bytes]:
    try:
        return [line + b"\n" for line in (state / _LINES).read_bytes().split(b"\n") if line]
    except OSError:
        return []


def _short(judged: Judged) -> dict[str, object]:
    drill = judged.drill
    seconds = drill.seconds._asdict() if drill.seconds else {}
    return {
        "at": drill.at.astimezone(UTC).isoformat(), "good": judged.good, "host": drill.host, "backup": drill.label,
        **{name: round(value, 3) for name, value in seconds.items()},
        "rto": round(drill.seconds.total, 3) if drill.seconds else None,
        "rpo": None if drill.rpo is None else round(drill.rpo, 3),
        "moments": len(drill.points), "seed": drill.seed, "faults": list(judged.faults),
    }  # fmt: skip


def _parsed(line: bytes) -> Drilled | None:
    try:
        row: Mapping[str, Any] = json.loads(line)
        at = datetime.fromisoformat(row["at"]).astimezone(UTC)
        faults = tuple(str(each) for each in row["faults"])
        texts = (str(row["host"]), str(row["backup"]))
        took = _number(row["rto"]), _number(row["rpo"])
        return Drilled(at, bool(row["good"]), *texts, *took, _parts(row), faults, str(row["report"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _parts(row: Mapping[str, Any]) -> tuple[float, float, float] | None:
    if row["rto"] is None:
        return None
    return float(row["fetch"]), float(row["replay"]), float(row["query"])


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
