"""What `doctor design` found, as text for a terminal and as JSON. From results alone."""

from collections.abc import Iterator, Sequence
from typing import Any

JsonRow = dict[str, object]
_STATES = ("FAIL", "ACCEPTED", "UNKNOWN", "PASS")


def lines(judged: Sequence[Any]) -> Iterator[str]:
    """Each trap that the design is in, with why, what was read and the change; then one line for what is accepted.

    What is not known has a line for each reason. What is well is only counted.
    """
    for each in judged:
        if each.finding.state == "FAIL":
            yield from _failing(each)
        elif each.finding.state == "ACCEPTED":
            until = f"accepted until {each.finding.until}: {each.finding.why}"
            yield f"accepted  {each.trap.id}: {each.trap.title}; {until}"
    for why, names in _unknown(judged).items():
        yield f"not known ({why}): {', '.join(names)}"


def summary(judged: Sequence[Any]) -> str:
    """How many there are of each, in one line."""
    number = _counts(judged)
    return (
        f"{number['FAIL']} to change, {number['ACCEPTED']} accepted, {number['UNKNOWN']} not known, "
        f"{number['PASS']} well, of {len(judged)} traps"
    )


def as_json(judged: Sequence[Any]) -> JsonRow:
    """All traps; what does not apply is null."""
    return {"traps": [_json(each) for each in judged], "counts": _counts(judged)}


def _counts(judged: Sequence[Any]) -> dict[str, int]:
    states = [each.finding.state for each in judged]
    return {state: states.count(state) for state in _STATES}


def _failing(judged: Any) -> Iterator[str]:
    trap = judged.trap
    yield f"{trap.severity:<8}  {trap.id}: {trap.title}"
    yield f"    why:    {judged.finding.why}"
    for each in judged.evidence:
        yield f"    seen:   {each.where}: {each.what}"
    yield f"    change: {trap.change}"


def _unknown(judged: Sequence[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in judged:
        if each.finding.state == "UNKNOWN":
            found.setdefault(each.finding.why, []).append(each.trap.id)
    return found


def _json(judged: Any) -> JsonRow:
    trap, finding = judged.trap, judged.finding
    return {
        "id": trap.id, "severity": trap.severity, "title": trap.title, "result": finding.state, "why": trap.why,
        "evidence": [{"where": each.where, "what": each.what} for each in judged.evidence],
        "change": trap.change if finding.state == "FAIL" else None,
        "said": finding.why if finding.state in ("ACCEPTED", "UNKNOWN") else None,
        "until": finding.until.isoformat() if finding.until else None,
    }  # fmt: skip
