"""What is due, as text for a terminal, Markdown, JSON rows and iCalendar.

From rows alone; each row is anything with the attributes used here.
"""

import re
import textwrap
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

JsonRow = dict[str, object]
SECTIONS = (
    ("NOW", ("expired", "stuck", "overdue", "unknown", "due")),
    ("SOON", ("in-progress", "due-soon")),
    ("IN ORDER", ("ok", "automatic", "never")),
)
_DATED = frozenset({"overdue", "due", "due-soon", "ok"})  # states that the date beside them says all about
_RED, _GREEN, _YELLOW, _CYAN = 31, 32, 33, 36
_COLOURS = {
    "expired": _RED, "stuck": _RED, "overdue": _RED, "unknown": _RED, "due": _YELLOW, "due-soon": _YELLOW,
    "in-progress": _CYAN, "ok": _GREEN,
}  # fmt: skip


def terminal(rows: Sequence[Any], *, width: int, colour: bool) -> list[str]:
    """Sections from urgent to quiet; the state stands as a word, colour only repeats it."""
    lines: list[str] = []
    for heading, states in SECTIONS:
        held = [row for row in rows if row.standing.state.value in states]
        if held:
            lines += [*([""] if lines else []), heading, *(line for row in held for line in _entry(row, width, colour))]
    return lines


def json_rows(rows: Iterable[Any]) -> list[JsonRow]:
    """One object a row; days are ISO days or null."""
    return [
        {
            "id": row.id, "kind": row.kind, "title": row.title, "entry": row.entry or None, "owner": row.owner,
            "state": row.standing.state.value, "due": _iso(row.standing.due), "last_rotated": _iso(row.standing.last),
            "origin": row.standing.origin, "rule": row.standing.rule, "next": row.standing.next, "how": row.how or None,
        }
        for row in rows
    ]  # fmt: skip


def markdown(rows: Sequence[Any], today: date) -> str:
    """A table for each group of entries and a check-list of tasks; it names locations and may be pasted anywhere."""
    credentials = [row for row in rows if row.entry]
    parts = [f"# Critical credentials, {today.isoformat()}"]
    for group in dict.fromkeys(_group(row) for row in sorted(credentials, key=lambda row: row.entry)):
        parts += [
            f"## {_cell(group)}",
            "\n".join([*_HEAD, *(_line(row) for row in credentials if _group(row) == group)]),
        ]
    tasks = [row for row in rows if not row.entry]
    if tasks:
        parts += ["## Tasks", "\n".join(_item(row) for row in tasks)]
    return "\n\n".join(parts) + "\n"


def icalendar(rows: Iterable[Any], *, project: str, now: datetime) -> bytes:
    """An event on each day that something is due, with an alarm a week before. Identifiers are stable."""
    from icalendar import Alarm, Calendar, Event

    calendar = Calendar()
    calendar.add("prodid", "-//chronos-secrets//due//EN")
    calendar.add("version", "2.0")
    for row in rows:
        if row.standing.due is None:
            continue
        event = Event()
        event.add("uid", f"{row.id}@{project}.chronos-secrets")
        event.add("dtstamp", now)
        event.add("dtstart", row.standing.due)
        event.add("dtend", row.standing.due + timedelta(days=1))
        event.add("summary", f"{row.title} ({row.standing.state.value})")
        event.add("description", row.how or row.standing.next)
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", row.title)
        alarm.add("trigger", timedelta(days=-7))
        event.add_component(alarm)
        calendar.add_component(event)
    return bytes(calendar.to_ical())


_HEAD = ("| Credential | Purpose | Location | Rotation | State |", "| --- | --- | --- | --- | --- |")


def _entry(row: Any, width: int, colour: bool) -> list[str]:
    state = row.standing.state.value
    padded = f"{state:<11}"
    if colour and state in _COLOURS:
        padded = f"\x1b[{_COLOURS[state]}m{padded}\x1b[0m"
    head = f"{_iso(row.standing.due) or '-':<10}  {row.id}  {row.title}"
    told = (
        [row.how]
        if row.how and state in _DATED and row.kind != "copy"
        else [each for each in (row.standing.next, row.how) if each]
    )
    indent = " " * 14
    words = [
        line
        for text in told
        for line in textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    ]
    return [f"  {padded} {head[: max(width - 14, 20)]}", *words]


def _group(row: Any) -> str:
    return row.entry.split("/")[0] if "/" in row.entry else "Other"


def _line(row: Any) -> str:
    cells = (row.title, row.purpose, f"KeePassXC: {row.entry}", row.standing.next, row.standing.state.value)
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _item(row: Any) -> str:
    ticked = "x" if row.standing.state.value in ("ok", "due-soon") else " "
    return f"- [{ticked}] {_cell(row.title)}: {_cell(row.standing.next)}"


def _cell(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|#!~])", r"\\\1", " ".join(text.split()))


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
