"""Drills as SVG: how long each part of a restore took, against what was promised; and the same as a table."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

from chronos_secrets.amounts import lasting
from chronos_secrets.report.markup import Html, tag

PARTS = {"fetch": "fetch the backup", "replay": "replay the WAL", "first_query": "first query answered"}
"""The parts of a restore, in their order."""
MOST = 24
"""So many drills are drawn, the newest; all are in the table."""
_HEAD, _ROW = 26, 40  # pixels
_ROOM = 1.04  # of the longest: the end of a bar is not the end of the drawing


def figure(drills: Sequence[Any], zone: tzinfo) -> Html:
    """One bar for each drill (review/page.py), the newest first, and a line where the objective is."""
    shown = drills[:MOST]
    longest = max([_ROOM, *(each.rto or 0 for each in shown), *(each.rto_objective or 0 for each in shown)]) * _ROOM
    height = _HEAD + _ROW * len(shown)
    inside = [
        tag("title", "How long each drill took", id="drills-title"),
        tag("desc", "Each bar is one restore. The table below has the same numbers.", id="drills-more"),
        *(_bar(each, longest, _HEAD + _ROW * index, zone) for index, each in enumerate(shown)),
    ]
    labelled = {"aria_labelledby": "drills-title", "aria_describedby": "drills-more"}
    drawing = tag("svg", *inside, cls="bars", role="img", width="100%", height=str(height), **labelled)
    return tag("figure", drawing)


def legend() -> Html:
    names = {**PARTS, "objective": "the objective"}
    return tag("ul", *(tag("li", _sample(name), f" {words}") for name, words in names.items()), cls="legend")


def seconds(number: float | None) -> str:
    """A duration in the two units that say enough of it."""
    if number is None:
        return "-"
    if number < 60:
        return f"{number:.1f} s" if number < 10 else f"{number:.0f} s"
    return lasting(round(number))


def _bar(drill: Any, longest: float, top: int, zone: tzinfo) -> Html:
    took = "nothing was restored" if drill.rto is None else seconds(drill.rto)
    told = f"{drill.at.astimezone(zone):%Y-%m-%d}: {took}" + ("" if drill.kept else ", NOT as promised")
    inside, begun = [tag("text", told, cls="label", x="0", y=str(top))], 0.0
    for name, words in PARTS.items():
        part = getattr(drill, name)
        if part is None:
            continue
        inside.append(
            tag(
                "rect", tag("title", f"{words}: {seconds(part)}"), cls=name, x=_share(begun, longest), y=str(top + 6),
                width=_share(part, longest), height="16",
            )
        )  # fmt: skip
        begun += part
    if drill.rto_objective is not None:
        where = _share(drill.rto_objective, longest)
        inside.append(tag("line", cls="objective", x1=where, x2=where, y1=str(top + 2), y2=str(top + 26)))
    return tag("g", *inside)


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f}%"


def _sample(name: str) -> Html:
    if name == "objective":
        inside = tag("line", cls=name, x1="9", x2="9", y1="1", y2="19")
    else:
        inside = tag("rect", cls=name, x="1", y="4", width="16", height="12")
    return tag("svg", inside, cls="sample", width="18", height="20", aria_hidden="true")
