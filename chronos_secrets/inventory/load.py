"""Reading inventory.yaml: bytes, YAML, fields (schema.py), rules between rows (rules.py). The only importer of yaml.

Nothing that a file can hold ends in anything but an Inventory or InventoryInvalid: it comes from git.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import yaml

from chronos_secrets.errors import InventoryInvalid
from chronos_secrets.inventory import rules, schema
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.inventory.nodes import Node, Row, Scalar, Table, Wrong, shown

NAME = "inventory.yaml"
LIMIT = 1 << 20
DEPTH = 20
FIRST = "chronos-secrets init --from FILE.kdbx"
_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster, where PyYAML has it

# What YAML itself refuses, and what makes a reviewer see another text than the program reads: line ends that editors do
# not count, and the marks that turn the direction of writing (CVE-2021-42574).
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u206f\ud800-\udfff\ufeff\ufffe\uffff]|\r(?!\n)"
)


def read(path: Path) -> Inventory:
    """The inventory in a file.

    Raises InventoryInvalid whose message begins with FILE:LINE:COLUMN, or with FILE alone where the file itself is the
    trouble (missing, a folder, unreadable, too large).
    """
    file = "".join(character if character.isprintable() else "?" for character in str(path))
    text = _decoded(file, _content(file, path))
    try:
        root = _tree(text)
        inventory = schema.read(root)(path=Path(os.path.abspath(path)))
        rules.check(inventory, rules.Places(root))
    except Wrong as wrong:
        raise InventoryInvalid(_placed(file, text, wrong.node) + wrong.message, hint=wrong.hint) from None
    return inventory


def find(start: Path, *, home: Path) -> Path | None:
    """The nearest inventory.yaml from `start` upwards, or None.

    The folder that holds `.git` and the home folder are the last ones looked at.
    """
    folder, last = Path(os.path.realpath(start)), Path(os.path.realpath(home))
    for each in (folder, *folder.parents):
        if os.path.isfile(each / NAME):
            return each / NAME
        if each == last or os.path.lexists(each / ".git"):
            return None
    return None


# --- bytes -------------------------------------------------------------------------------------------------------


def _content(file: str, path: Path) -> bytes:
    try:
        # A pipe would block for ever at open, so it is opened without waiting, looked at, and refused.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            content = stream.read(LIMIT + 1)
    except FileNotFoundError:
        raise InventoryInvalid(f"{file}: there is no such file", hint=FIRST) from None
    except (OSError, ValueError) as wrong:  # ValueError: a NUL in the path
        reason = getattr(wrong, "strerror", None) or "its name holds a null character"
        reason = "it is a folder" if isinstance(wrong, IsADirectoryError) else reason.lower()
        raise InventoryInvalid(f"{file}: cannot be read: {reason}") from None
    if len(content) > LIMIT:
        raise InventoryInvalid(f"{file}: is larger than 1 MiB, which no inventory is")
    return content


def _decoded(file: str, content: bytes) -> str:
    if content.startswith(b"\xef\xbb\xbf"):
        raise InventoryInvalid(f"{file}:1:1: starts with a byte order mark; save it as plain UTF-8")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content[:4]:
        raise InventoryInvalid(f"{file}:1:1: is UTF-16 or UTF-32; save it as plain UTF-8")
    try:
        text = content.decode()
    except UnicodeDecodeError as wrong:
        place = _place_at(content[: wrong.start].decode(), wrong.start)
        raise InventoryInvalid(f"{file}:{place}: is not UTF-8; save it as plain UTF-8") from None
    forbidden = _FORBIDDEN.search(text)
    if forbidden:
        place = _place_at(text, forbidden.start())
        raise InventoryInvalid(f"{file}:{place}: the character U+{ord(forbidden[0][0]):04X} is not allowed here")
    return text


def _place_at(text: str, offset: int) -> str:
    before = text[:offset]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def _placed(file: str, text: str, node: Node) -> str:
    """The beginning of a message. YAML finds what is missing behind the last line; shown is the last line there is."""
    lines = text.split("\n")
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    if node.line > len(lines):
        return f"{file}:{len(lines)}:{len(lines[-1]) + 1}: "
    return f"{file}:{node.line}:{node.column}: "


# --- YAML --------------------------------------------------------------------------------------------------------


def _tree(text: str) -> Node:
    """The one document of the text. Raises Wrong; never expands, resolves or constructs anything."""
    events = _events(text)
    first = next(events)
    if isinstance(first, yaml.StreamEndEvent):
        raise Wrong(_Mark(1, 1), "the inventory is empty", FIRST)
    if isinstance(first, yaml.DocumentStartEvent) and (first.version or first.tags):
        raise Wrong(_mark(first), "YAML directives are not allowed; leave the line out")
    root = _node(next(events), events, 1)
    next(events)  # the end of the document
    after = next(events)
    if isinstance(after, yaml.DocumentStartEvent):
        raise Wrong(_mark(after), "a second document begins here; an inventory is one document")
    return root


def _events(text: str) -> Iterator[yaml.Event]:
    """The parser's events, without the start of the stream."""
    last: yaml.Event | None = None
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if last is not None:
                yield event
            last = event
    except yaml.MarkedYAMLError as wrong:
        raise _reworded(wrong, text) from None
    except (yaml.YAMLError, ValueError, OverflowError):  # the parser without libyaml lets chr() fail on an escape
        raise Wrong(_mark(last), "not YAML: the text after this cannot be read") from None


class _Mark(Node):
    """A place with nothing at it."""


def _mark(event: object) -> _Mark:
    mark = getattr(event, "start_mark", None)
    return _Mark(mark.line + 1, mark.column + 1) if mark else _Mark(1, 1)


def _node(event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise Wrong(_mark(event), "anchors and aliases (& and *) are not allowed; write it out, or quote the text")
    if getattr(event, "tag", None):
        raise Wrong(_mark(event), "tags (!) are not allowed; quote the text if it begins with one")
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event)
    if depth > DEPTH:
        raise Wrong(_mark(event), f"nested deeper than {DEPTH} levels")
    mark = _mark(event)
    if isinstance(event, yaml.SequenceStartEvent):
        return Row(list(_items(events, depth)), mark.line, mark.column)
    return Table(_pairs(events, depth), mark.line, mark.column)


def _scalar(event: yaml.ScalarEvent) -> Scalar:
    mark, text = _mark(event), event.value
    scalar = Scalar(text, mark.line, mark.column, missing=not event.style and not text)
    if event.style == '"':  # only there can an escape bring in what the file itself may not hold
        forbidden = _FORBIDDEN.search(text)
        if forbidden:
            raise Wrong(scalar, f"the character U+{ord(forbidden[0][0]):04X} is not allowed here")
    return scalar


def _items(events: Iterator[yaml.Event], depth: int) -> Iterator[Node]:
    for event in events:
        if isinstance(event, yaml.SequenceEndEvent):
            return
        yield _node(event, events, depth + 1)


def _pairs(events: Iterator[yaml.Event], depth: int) -> dict[str, tuple[Scalar, Node]]:
    pairs: dict[str, tuple[Scalar, Node]] = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        key = _node(event, events, depth + 1)
        if not isinstance(key, Scalar) or not key.text:
            raise Wrong(key, "a key must be a word")
        if key.text == "<<":
            raise Wrong(key, "merge keys (<<) are not allowed; write the keys out")
        if key.text in pairs:
            first = pairs[key.text][0].line
            raise Wrong(key, f"the key {shown(key.text)} is here a second time; the first is on line {first}")
        pairs[key.text] = key, _node(next(events), events, depth + 1)
    return pairs


_PROBLEMS = (
    ("mapping values are not allowed", "a ':' stands where no key can be; quote the text if it holds a colon"),
    ("',' or '}'", "a ',' or the closing '}' is missing"),
    ("',' or ']'", "a ',' or the closing ']' is missing"),
    ("node content", "a value or a closing bracket is missing"),
    ("unexpected end of stream", "a quotation mark is never closed"),
    ("cannot start any token", "a value cannot begin with this character; quote it"),
    ("expected ':'", "a ':' is missing after a key"),
    ("expected key", "the indentation does not fit the lines above"),
    ("<block end>", "the indentation does not fit the lines above"),
    ("expected '-' indicator", "the indentation does not fit the lines above"),
    ("escape", "an unknown escape in double quotes; use single quotes where a backslash is meant"),
)


def _reworded(wrong: yaml.MarkedYAMLError, text: str) -> Wrong:
    mark, begun = wrong.problem_mark or wrong.context_mark, wrong.context_mark
    problem = wrong.problem or wrong.context or "it cannot be read"
    if mark is None:
        return Wrong(_Mark(1, 1), f"not YAML: {problem}")
    tab = re.match(" *\t", [*text.split("\n"), ""][min(mark.line, text.count("\n"))])
    if tab:
        return Wrong(_Mark(mark.line + 1, tab.end()), "a tab is not allowed as indentation; use spaces")
    ours = next((ours for theirs, ours in _PROBLEMS if theirs in problem), problem)
    if begun and "unexpected end of stream" in problem:
        mark = begun
    since = f" (what begins on line {begun.line + 1})" if begun and begun.line < mark.line else ""
    return Wrong(_Mark(mark.line + 1, mark.column + 1), f"not YAML: {ours}{since}")
