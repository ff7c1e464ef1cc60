"""Rotations as text for a terminal and as JSON rows: what is to come, what was done, where each stands.

From rows alone; each is anything with the attributes used here.
"""

import textwrap
from collections.abc import Sequence
from datetime import date
from typing import Any

JsonRow = dict[str, object]
_INDENT = 14


def plan(credential: Any, steps: Sequence[Any], today: date, *, width: int) -> list[str]:
    """The steps below the credential's name, each with its day where that is not today."""
    lines = [f"{credential.id}  {credential.title}"]
    for step in steps:
        day = "now" if step.day <= today else str(step.day)
        first, after = f"  {day:<10}".ljust(_INDENT), " " * _INDENT
        lines += textwrap.wrap(step.words, width, initial_indent=first, subsequent_indent=after, break_on_hyphens=False)
    return lines


def json_step(step: Any) -> JsonRow:
    """One step of a plan."""
    return {"day": step.day.isoformat(), "phase": step.phase.value, "step": step.words}


def json_result(result: Any) -> JsonRow:
    """How one credential fared: its outcome, its error, or neither."""
    outcome, error = result.outcome, result.error
    return {
        "id": result.row.id,
        "kind": result.row.kind,
        "exit": int(result.exit),
        "message": result.words or (error.message if error else ""),
        "phase": outcome.phase if outcome else None,
        "done": list(outcome.done) if outcome else [],
        "from": _iso(outcome.day) if outcome else None,
        "outage_seconds": outcome.outage.total_seconds() if outcome and outcome.outage else None,
        "hint": error.hint if error else outcome.hint if outcome else None,
        "error": error.code if error else None,
    }


def standing(row: Any) -> str:
    """Where one stands, what to do, and what the last try stopped at."""
    stopped = f"the last try stopped: {row.stop.message}" if row.stop else ""
    return "; ".join(filter(None, (row.words, row.how, stopped)))


def json_row(row: Any) -> JsonRow:
    """Where one stands. Identifiers and days, never a value."""
    journal, stop = row.journal, row.stop
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.standing.state.value,
        "phase": journal.phase if journal else None,
        "under_way": row.under_way,
        "rolled_back": bool(journal and journal.rolled_back),
        "since": journal.since.isoformat() if journal else None,
        "old": (journal.old if journal else "") or None,
        "new": (journal.new if journal else "") or None,
        "next": _iso(row.standing.due),
        "message": row.words,
        "how": row.how or None,
        "stopped": {"at": stop.at.isoformat(), "message": stop.message} if stop else None,
    }


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
