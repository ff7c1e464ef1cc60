"""Rows as text for a terminal."""

import textwrap
from collections.abc import Sequence


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, width: int) -> list[str]:
    """Aligned columns. The last column is wrapped so that no line is wider than `width`, as far as words allow."""
    columns = list(zip(*([tuple(headers), *rows]), strict=True))
    widths = [max(len(cell) for cell in column) for column in columns[:-1]]
    indent = sum(widths) + 2 * len(widths)
    room = max(width - indent, 20)
    lines = []
    for row in [headers, *rows]:
        left = "".join(f"{cell:<{size}}  " for cell, size in zip(row, widths, strict=False))
        first, *more = textwrap.wrap(row[-1], room, break_long_words=False, break_on_hyphens=False) or [""]
        lines.append((left + first).rstrip())
        lines.extend(" " * indent + line for line in more)
    return lines
