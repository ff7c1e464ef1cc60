"""HTML and SVG made of text: whatever is not marked as markup of our own is text, and stays text.

No value goes into a `style` attribute or a script: the pages forbid both.
"""

import html
import re
from collections.abc import Iterable, Sequence

LONGEST = 300  # characters of one title on a page; the inventory holds the whole of it
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
Line = tuple[str, ...]
"""The cells of one row of a table; the first of them names it."""


class Html(str):
    """Markup of our own making."""

    __slots__ = ()


def tag(name: str, *inside: str, cls: str = "", **attributes: str) -> Html:
    """An element. `aria_label` is the attribute aria-label; a name that Python keeps for itself ends with `_`."""
    named = {"class": cls, **attributes} if cls else attributes
    told = "".join(f' {key.rstrip("_").replace("_", "-")}="{escaped(value)}"' for key, value in named.items())
    return Html(f"<{name}{told}>{''.join(map(escaped, inside))}</{name}>")


def joined(*parts: str) -> Html:
    return Html("".join(map(escaped, parts)))


def escaped(text: str) -> Html:
    """Text as HTML shows it; a character that cannot be seen, or that turns the writing around, becomes a ?."""
    if isinstance(text, Html):
        return text
    return Html(html.escape("".join(each if each.isprintable() else "?" for each in text)))


def short(text: str, most: int = LONGEST) -> str:
    """The text, cut where it is too long to be read on a page."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def table(heads: Sequence[str], lines: Iterable[Line], *, label: str) -> Html:
    """A table whose rows stand as blocks in a narrow window; by the roles it stays a table for a screen reader."""
    head = tag("tr", *(tag("th", each, scope="col", role="columnheader") for each in heads), role="row")
    rows = (
        tag("tr", tag("th", line[0], scope="row", role="rowheader"), *map(_cell, heads[1:], line[1:]), role="row")
        for line in lines
    )
    inside = tag("thead", head, role="rowgroup"), tag("tbody", *rows, role="rowgroup")
    return tag("table", *inside, role="table", aria_label=short(label))


def _cell(head: str, inside: str) -> Html:
    return tag("td", inside, cls="day" if _DAY.match(inside) else "", role="cell", data_label=head)
