"""What `doctor` found, as text for a terminal and as JSON rows. From results alone; see review/doctor/sections.py."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_RED, _GREEN, _YELLOW = 31, 32, 33
_COLOURS = {"wrong": _RED, "note": _YELLOW, "ok": _GREEN}
_STATE = 5  # characters of the longest state


def terminal(examined: Sequence[Any], *, width: int, colour: bool, full: bool) -> list[str]:
    """One line for what is well in a section, then each line that is not, with its fix on a line of its own, uncut.

    `full` gives each line that is well its own, too, with what more there is to say.
    """
    name = max((len(section.name) for section in examined), default=0)
    return [
        text
        for section in examined
        for line in _shown(section.lines, full=full, room=width - _STATE - name - 4)
        for text in _line(line, section.name.ljust(name), width=width, colour=colour)
    ]


def json_rows(examined: Iterable[Any]) -> list[dict[str, object]]:
    """One object a section, with all its lines."""
    return [
        {
            "name": section.name,
            "state": section.state.value,
            "lines": [
                {"state": line.state.value, "text": line.text, "detail": line.more or None, "fix": line.fix}
                for line in section.lines
            ],
        }
        for section in examined
    ]


Shown = tuple[str, str, str | None]  # state, text, fix


def _shown(lines: Sequence[Any], *, full: bool, room: int) -> Iterator[Shown]:
    well = [line for line in lines if line.state.value == "ok"]
    if full:
        yield from (("ok", f"{line.text}: {line.more}" if line.more else line.text, None) for line in well)
    elif well:
        text = ", ".join(line.text for line in well)
        yield "ok", textwrap.shorten(text, max(room, 20), placeholder=" ..."), None
    yield from ((line.state.value, line.text, line.fix) for line in lines if line.state.value != "ok")


def _line(shown: Shown, name: str, *, width: int, colour: bool) -> Iterator[str]:
    state, text, fix = shown
    word = state.ljust(_STATE)
    head = f"\033[{_COLOURS[state]}m{word}\033[0m" if colour else word
    indent = " " * (_STATE + 2 + len(name) + 2)
    first, *more = textwrap.wrap(text, max(width - len(indent), 20), break_long_words=False, break_on_hyphens=False)
    yield f"{head}  {name}  {first}"
    yield from (indent + line for line in more)
    if fix:
        yield f"{' ' * (_STATE + 2)}fix: {fix}"
