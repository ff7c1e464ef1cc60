"""Secrets in SQL: `IDENTIFIED BY '…'`, and rows whose column is named like a secret; the same in tables (CSV)."""

from chronos_secrets.scan import names, values
from chronos_secrets.scan.found import Match
from chronos_secrets.scan.patterns import Lazy, line_start, near

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

RULE, TABLE_RULE = "sql-password", "table-password"
_IDENTIFIED = Lazy(
    rb"""(?i)identified\s{1,4}(?:with\s{1,4}\S{1,40}\s{1,4})?by\s{0,4}(?:password\s{1,4})?"""
    rb"""(?:(['"])([^'"\n]{3,128})\1|()([^\s'"`;<>(){}$]{4,64})(?=[\s;"']|$))"""
)
_ACCOUNT = Lazy(rb"\b(?:user|role|grant|link)\b")
_INSERT = Lazy(rb"""(?i)insert\s{1,4}into\s{1,4}\S{1,80}?\s{0,4}\(([^()]{1,600})\)\s{0,8}values\s{0,8}""")
_ROW = Lazy(
    rb"""\s{0,8}\(((?:'(?:[^'\\\n]|''|\\.){0,512}'|"[^"\n]{0,512}"|[^'"()\n]|\([^()\n]{0,200}\)){1,2000})\)\s{0,4},?"""
)
_CELL = Lazy(
    rb"""\s{0,8}(?:(?:\w{3,20}\()?'((?:[^'\\\n]|''|\\.){0,512})'\)?|"([^"\n]{0,512})\""""
    rb"""|(?:[^'",()]|\([^()]{0,200}\)){0,300})"""
    rb"""\s{0,8}(?:,|$)"""
)
_MOST_ROWS = 1000
_TABLES = {b".csv": b",;|", b".tsv": b"\t"}


def find(text: bytes, low: bytes, path: bytes, marks: "Sequence[int]") -> list[Match]:
    """Secrets in SQL statements and tables; `low` is the text in lower case."""
    found = []
    for match in near(low, b"identified", _IDENTIFIED, text):
        group = 2 if match.group(2) else 4
        at = match.start()
        if group == 4 and not _ACCOUNT.search(low, line_start(text, at, 200), at):
            continue  # prose: "identified by uuid"
        strength = values.strength(match.group(group), names.PASSWORD, quoted=True, name=b"")
        reason = "an SQL statement carries a password"
        found += values.match(RULE, match.span(group), match.group(group), strength, reason)
    if marks:  # the name of a column
        for match in near(low, b"insert into", _INSERT, text):
            found += _of_rows(text, match)
        if separators := _TABLES.get(path[-4:].lower()):
            found += _of_table(text, separators)
    return found


def _of_rows(text: bytes, insert: "re.Match[bytes]") -> list[Match]:
    wanted = _secret_columns(insert.group(1).split(b","))
    found: list[Match] = []
    at, rows = insert.end(), 0
    while wanted and rows < _MOST_ROWS and (row := _ROW.match(text, at)):
        cells = list(_CELL.finditer(text, row.start(1), row.end(1)))
        for index, column, kind in wanted:
            if index < len(cells):
                found += _of_cell(cells[index], column, kind)
        at, rows = row.end(), rows + 1
    return found


def _secret_columns(columns: list[bytes]) -> list[tuple[int, bytes, str]]:
    """(place, name, kind) of each column that is named like a secret."""
    stripped = [column.strip(b" \t\r\n`\"'[]") for column in columns]
    return [(index, column, kind) for index, column in enumerate(stripped) if (kind := names.kind(column))]


def _of_cell(cell: "re.Match[bytes]", column: bytes, kind: str) -> list[Match]:
    group = 1 if cell.group(1) is not None else 2
    secret = cell.group(group)
    if not secret:
        return []
    strength = values.strength(secret, kind, quoted=True, name=column)
    return values.match(RULE, cell.span(group), secret, strength, "a row of an SQL statement holds a secret")


def _of_table(text: bytes, separators: bytes) -> list[Match]:
    """The cells below the headings of the first line."""
    head = text[: text.find(b"\n") % (len(text) + 1)]
    separator = max((separators[at : at + 1] for at in range(len(separators))), key=head.count)
    wanted = _secret_columns(head.split(separator)) if head.count(separator) else []
    found: list[Match] = []
    at, rows = len(head) + 1, 0
    while wanted and 0 < at < len(text) and rows < _MOST_ROWS:
        end = text.find(b"\n", at) % (len(text) + 1)
        found += _of_line(text, at, end, separator, wanted)
        at, rows = end + 1, rows + 1
    return found


def _of_line(text: bytes, at: int, end: int, separator: bytes, wanted: list[tuple[int, bytes, str]]) -> list[Match]:
    cells = text[at:end].split(separator)
    found = []
    for index, column, kind in wanted:
        if index < len(cells) and kind != names.KEY:
            secret = cells[index].strip(b" \t\r\"'")
            start = at + sum(len(cell) + 1 for cell in cells[:index]) + cells[index].find(secret)
            strength = values.strength(secret, kind, quoted=True, name=column)
            reason = "a table has a secret in a column of that name"
            found += values.match(TABLE_RULE, (start, start + len(secret)), secret, strength, reason)
    return found
