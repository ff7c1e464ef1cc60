"""The findings of an audit as lines of a table and as JSON. None has the number of an account."""

import re
from collections.abc import Sequence
from typing import Any

HEADERS = ("RESULT", "CONTROL", "WHAT")
JsonRow = dict[str, object]

_ACCOUNT = re.compile(r"\b\d{12}\b")


def line(finding: Any) -> tuple[str, str, str]:
    """One control: what must hold, what was found instead, and what to do."""
    found = _found(finding)
    said = f"{finding.title}: {found}" if found else finding.title
    return finding.state, finding.id, f"{said}; to do: {finding.todo}" if finding.todo else said


def as_json(bucket: str, findings: Sequence[Any]) -> JsonRow:
    """The whole audit; what does not apply is null."""
    return {"bucket": bucket, "controls": [_json(each) for each in findings], "counts": _counts(findings)}


def summary(findings: Sequence[Any]) -> str:
    """What a reader of the last line has to know: how many of each, and which ones fail."""
    counts = _counts(findings)
    failing = [each.id for each in findings if each.state == "FAIL"]
    named = f" ({', '.join(failing)})" if failing else ""
    first = f"{counts['FAIL']} of {len(findings)} fail{named}"
    return f"{first}; {counts['PASS']} pass, {counts['ACCEPTED']} accepted, {counts['UNKNOWN']} not known"


def unneeded(row: Any, *, exists: bool) -> str:
    """What to know of an acceptance that no finding takes."""
    if exists:
        return f"{row.control} is accepted until {row.until}, but it passes"
    return f"{row.control} is accepted in the inventory, but no control has that id"


def _found(finding: Any) -> str:
    if finding.state == "ACCEPTED":
        return f"accepted until {finding.until}: {finding.why}"
    why = _ACCOUNT.sub("ACCOUNT", finding.why)
    return f"not known: {why}" if finding.state == "UNKNOWN" else why


def _counts(findings: Sequence[Any]) -> dict[str, int]:
    states = [each.state for each in findings]
    return {state: states.count(state) for state in ("PASS", "FAIL", "ACCEPTED", "UNKNOWN")}


def _json(finding: Any) -> JsonRow:
    return {
        "id": finding.id, "also": list(finding.also), "title": finding.title, "result": finding.state,
        "why": _found(finding) or None, "todo": finding.todo or None,
        "until": finding.until.isoformat() if finding.until else None,
    }  # fmt: skip
