"""The year behind and the year ahead as SVG, and the same as a table.

Places along the line are percentages of the width and everything else is pixels, so that the letters stay as large as
they are at any width. Shapes tell the marks apart, colour only repeats it.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from chronos_secrets.report.markup import Html, Line, joined, short, table, tag

WORDS = {"done": "done", "due": "due", "later": "planned after that", "expires": "its last day"}
"""What each mark says, in the order of the legend."""
MOST_LANES = 96
"""More than that are only in the table: nobody reads a drawing of that height."""
_LANES = 16  # of one drawing: it has to fit on a printed page
_HEAD, _LANE = 30, 34  # pixels
_LABEL, _LINE = 13, 24  # pixels from the top of a lane to its label's foot and to its line
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ENDS = 2.0  # percent of the width on either side, for half a mark
_LAST_LABEL = 90.0  # percent; what begins further right would be cut off
_LONGEST = 40  # characters of a label, at the narrowest width


def figures(timeline: Any) -> list[Html]:
    """The drawings of a timeline (review/page.py) that has any lanes, each for some of them."""
    lanes = timeline.lanes[:MOST_LANES]
    size = -(-len(lanes) // -(-len(lanes) // _LANES))  # as many in each
    parts = [lanes[first : first + size] for first in range(0, len(lanes), size)]
    return [_figure(timeline, part, number, len(parts)) for number, part in enumerate(parts, 1)]


def legend() -> Html:
    """What the marks mean."""
    held = {**WORDS, "band": "planned at short intervals"}
    return tag("ul", *(tag("li", _sample(what), f" {words}") for what, words in held.items()), cls="legend")


def all_days(timeline: Any) -> Html:
    """All lanes and their days as a table, for whoever sees no drawing."""
    heads = ("What", "Plan", *(words.capitalize() for words in WORDS.values()))
    return table(heads, map(_row, timeline.lanes), label=f"All days from {timeline.start} to {timeline.end}")


def _row(lane: Any) -> Line:
    return tag("bdi", short(lane.title)), short(lane.rule, 80), *(_days(lane, what) for what in WORDS)


def _days(lane: Any, what: str) -> Html:
    days = [tag("time", str(day)) for day in lane.days(what)]
    if what == "later" and lane.band:
        first, last = lane.band
        return joined(tag("time", str(first)), " to ", tag("time", str(last)), ", each time")
    return Html(", ".join(days) or "-")


def _figure(timeline: Any, lanes: Sequence[Any], number: int, count: int) -> Html:
    part = f", part {number} of {count}" if count > 1 else ""
    told = f"Rotations, expiries and tasks from {timeline.start} to {timeline.end}{part}"
    what = f"{len(lanes)} lines, with a line down at today, {timeline.today}. The table below has the same days."
    height = _HEAD + _LANE * len(lanes)
    inside = [
        tag("title", told, id=f"timeline-{number}"),
        tag("desc", what, id=f"timeline-{number}-more"),
        *_months(timeline, height),
        *_today(timeline, height),
        *(_lane(timeline, lane, _HEAD + _LANE * index) for index, lane in enumerate(lanes)),
    ]
    labelled = {"aria_labelledby": f"timeline-{number}", "aria_describedby": f"timeline-{number}-more"}
    drawing = tag("svg", *inside, cls="timeline", role="img", width="100%", height=str(height), **labelled)
    return tag("figure", drawing)


def _months(timeline: Any, height: int) -> Iterator[Html]:
    """A line at the first of each month, and its name at every third."""
    for year, month in _firsts(timeline.start, timeline.end):
        where = _place(timeline, date(year, month, 1))
        yield tag("line", cls="quarter" if month % 3 == 1 else "month", x1=where, x2=where, y1="16", y2=str(height))
        if month % 3 == 1 and _share(timeline, date(year, month, 1)) < _LAST_LABEL:
            yield tag("text", f"{_MONTHS[month - 1]} {year % 100:02}", cls="axis", x=where, y="12", dx="2")


def _firsts(start: date, end: date) -> Iterator[tuple[int, int]]:
    """The months whose first day is after `start` and not after `end`."""
    for index in range(start.year * 12 + start.month, end.year * 12 + end.month):
        yield divmod(index, 12)[0], index % 12 + 1


def _today(timeline: Any, height: int) -> tuple[Html, Html]:
    where = _place(timeline, timeline.today)
    line = tag("line", cls="today", x1=where, x2=where, y1="16", y2=str(height))
    return line, tag("text", "today", cls="today", x=where, y="26", dx="4")


def _lane(timeline: Any, lane: Any, top: int) -> Html:
    middle = top + _LINE
    label = tag("text", short(lane.title, _LONGEST), cls="label", x="0", y=str(top + _LABEL))
    line = tag("line", cls="lane", x1="0", x2="100%", y1=str(middle), y2=str(middle))
    band = [_band(timeline, lane.band, middle)] if lane.band else []
    return tag("g", label, line, *band, *(_mark(timeline, each, middle) for each in lane.marks))


def _band(timeline: Any, days: tuple[date, date], middle: int) -> Html:
    first, last = (_share(timeline, day) for day in days)
    return tag("rect", cls="band", x=f"{first:.1f}%", y=str(middle - 3), width=f"{last - first:.1f}%", height="6")


def _mark(timeline: Any, mark: Any, middle: int) -> Html:
    """A disc for what was done, a diamond for what is to come, a bar for a last day, an arrow for what is before."""
    where = _place(timeline, mark.day)
    if mark.day < timeline.start:
        return tag("text", "◀", tag("title", f"{mark.day}: {WORDS[mark.what]}"), cls="due", x="0", y=str(middle + 5))
    return _shape(mark.what, where, middle, tag("title", f"{mark.day}: {WORDS[mark.what]}"))


def _shape(what: str, where: str, middle: int, *inside: Html) -> Html:
    if what == "done":
        return tag("circle", *inside, cls="done", cx=where, cy=str(middle), r="5")
    if what == "expires":
        return tag(
            "rect",
            *inside,
            cls="expires",
            x=where,
            y=str(middle - 9),
            width="4",
            height="18",
            transform="translate(-2)",
        )
    square = {"x": where, "y": str(middle - 5), "width": "10", "height": "10"}
    return tag("rect", *inside, cls=what, **square)


def _sample(what: str) -> Html:
    shape = tag("rect", cls="band", x="0", y="7", width="18", height="6") if what == "band" else _shape(what, "9", 10)
    return tag("svg", shape, cls="sample", width="18", height="20", aria_hidden="true")


def _place(timeline: Any, day: date) -> str:
    return f"{_share(timeline, day):.1f}%"


def _share(timeline: Any, day: date) -> float:
    """Where a day is between the two ends, in percent of the width."""
    whole, part = int((timeline.end - timeline.start).days), int((day - timeline.start).days)
    return _ENDS + (100.0 - 2 * _ENDS) * part / whole


def left_out(timeline: Any) -> str:
    """What the drawings leave out, in words; "" for nothing."""
    left = len(timeline.lanes) - MOST_LANES
    return f"{left} more, which come later, are in the table alone." if left > 0 else ""
