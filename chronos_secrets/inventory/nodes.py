"""The text of inventory.yaml as it stands in the file: nodes that know their place."""

from collections.abc import Sequence


class Node:
    """A piece of the file, with its 1-based place."""

    __slots__ = ("column", "line")
    shape = "nothing"

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column


class Scalar(Node):
    """Text, never converted. `missing` marks an empty plain scalar: no value at all."""

    __slots__ = ("missing", "text")
    shape = "a plain value"

    def __init__(self, text: str, line: int, column: int, *, missing: bool = False) -> None:
        super().__init__(line, column)
        self.text = text
        self.missing = missing


class Table(Node):
    """A YAML mapping: each key with its node and its value. Keys are unique."""

    __slots__ = ("items",)
    shape = "a mapping"

    def __init__(self, items: dict[str, tuple[Scalar, Node]], line: int, column: int) -> None:
        super().__init__(line, column)
        self.items = items


class Row(Node):
    """A YAML sequence."""

    __slots__ = ("items",)
    shape = "a list"

    def __init__(self, items: list[Node], line: int, column: int) -> None:
        super().__init__(line, column)
        self.items = items


class Wrong(Exception):
    """What is wrong at a place of the file; the loader puts file, line and column before it."""

    def __init__(self, node: Node, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.node, self.message, self.hint = node, message, hint


def shown(text: str) -> str:
    """A short quotation that is safe to print, for words and numbers; free text and paths are never quoted."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def nearest(word: str, known: Sequence[str]) -> str | None:
    """A hint with the known word that was probably meant, or None."""
    from difflib import get_close_matches

    found = get_close_matches(word[:60], known, 1)
    return f"did you mean {found[0]}?" if found else None
