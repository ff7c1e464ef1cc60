"""Secrets in SQL: `IDENTIFIED BY '…'`, and rows whose column is named like a secret."""

from chronos_secrets.scan import names, values
from chronos_secrets.scan.found import Match
from chronos_secrets.scan.patterns import Lazy, near

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re

RULE = "sql-password"
_IDENTIFIED = Lazy(
    rb"""(?i)identified\s{1,4}(?:with\s{1,4}\S{1,40}\s{1,4})?by\s{0,4}(?:password\s{1,4})?(['"])([^'"\n]{3,128})\1"""
)
_INSERT = Lazy(rb"""(?i)insert\s{1,4}into\s{1,4}\S{1,80}\s{0,4}\(([^()]{1,600})\)\s{0,8}values\s{0,8}""")
_ROW = Lazy(
    rb"""\s{0,8}\(((?:'(?:[^'\\\n]|''|\\.){0,512}'|"[^"\n]{0,512}"|[^'"()\n]|\([^()\n]{0,200}\)){1,2000})\)\s{0,4},?"""
)
_CELL = Lazy(
    rb"""\s{0,8}(?:'((?:[^'\\\n]|''|\\.){0,512})'|"([^"\n]{0,512})"|(?:[^'",()]|\([^()]{0,200}\)){0,300})\s{0,8}(?:,|$)"""
)
_MOST_ROWS = 1000


def find(text: bytes, low: bytes) -> list[Match]:
    """Secrets in SQL statements; `low` is the text in lower case."""
    found = []
    for match in near(low, b"identified", _IDENTIFIED, text):
        strength = values.strength(match.group(2), names.PASSWORD, quoted=True, name=b"")
        found += values.match(RULE, match.span(2), match.group(2), strength, "an SQL statement carries a password")
    for match in near(low, b"insert", _INSERT, text):
        found += _of_rows(text, match)
    return found


def _of_rows(text: bytes, insert: "re.Match[bytes]") -> list[Match]:
    columns = [column.strip(b" \t\r\n`\"'[]") for column in insert.group(1).split(b",")]
    wanted = [(index, column, kind) for index, column in enumerate(columns) if (kind := names.kind(column))]
    found: list[Match] = []
    at, rows = insert.end(), 0
    while wanted and rows < _MOST_ROWS and (row := _ROW.match(text, at)):
        cells = list(_CELL.finditer(text, row.start(1), row.end(1)))
        for index, column, kind in wanted:
            if index < len(cells):
                found += _of_cell(cells[index], column, kind)
        at, rows = row.end(), rows + 1
    return found


def _of_cell(cell: "re.Match[bytes]", column: bytes, kind: str) -> list[Match]:
    group = 1 if cell.group(1) is not None else 2
    secret = cell.group(group)
    if not secret:
        return []
    strength = values.strength(secret, kind, quoted=True, name=column)
    return values.match(RULE, cell.span(group), secret, strength, "a row of an SQL statement holds a secret")
