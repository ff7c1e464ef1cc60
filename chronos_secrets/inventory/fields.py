"""The types of a field: from a node of text to a value, and the same for an editor (JSON Schema).

Editors see what a YAML parser made of the text (a number, a boolean), so the JSON Schema accepts those too.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from chronos_secrets.inventory import cron, model
from chronos_secrets.inventory.nodes import Node, Row, Scalar, Table, Wrong, nearest, shown

T = TypeVar("T")
Json = dict[str, object]
REQUIRED = object()
WHOLE = "the inventory"


class Unfit(ValueError):
    """A text that a type cannot convert, worded to follow the field's name."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class Type(Generic[T]):
    """How a value is read, and what an editor and the reference say of it."""

    what = ""  # completes "must be ..."
    example = ""
    name = ""  # in the reference

    def read(self, node: Node, where: str) -> T:
        """The value. Raises Wrong with the node that is at fault."""
        raise NotImplementedError

    def json_schema(self) -> Json:
        """What an editor should accept."""
        raise NotImplementedError


class Word(Type[T]):
    """A type of one scalar: `convert` makes the value and raises ValueError or Unfit."""

    may_be_empty = False
    quoted = True  # whether a wrong text is shown; never where somebody could have put a secret by mistake

    def read(self, node: Node, where: str) -> T:
        text = self._text(node, where)
        try:
            return self.convert(text)
        except Unfit as wrong:
            raise Wrong(node, f"{where} {wrong.message}", wrong.hint) from None
        except ValueError:
            wrong_text = f", not {shown(text)}" if self.quoted else ""
            raise Wrong(node, f"{where} must be {self.what}{wrong_text}", self.hint(text)) from None

    def _text(self, node: Node, where: str) -> str:
        if not isinstance(node, Scalar):
            raise Wrong(node, f"{where} must be {self.what}, not {node.shape}")
        if node.missing:
            raise Wrong(node, f"{where} has no value", f"it must be {self.what}")
        if not node.text and not self.may_be_empty:
            raise Wrong(node, f"{where} is empty", f"it must be {self.what}")
        return node.text

    def convert(self, text: str) -> T:
        raise NotImplementedError

    def hint(self, text: str) -> str | None:
        return None


class Raw(Word[str]):
    """Exact text, also empty and of several lines."""

    what, name, example, may_be_empty = 'a plain value ("" for an empty one)', "text", "text", True

    def convert(self, text: str) -> str:
        return text

    def json_schema(self) -> Json:
        return {"type": ["string", "number", "boolean"]}


class Text(Word[str]):
    """One line of text for people."""

    what, name, example = "one line of text", "text", "some words"

    def convert(self, text: str) -> str:
        line = text.rstrip("\n")  # a folded block ends with one
        if not line.strip() or "\n" in line:
            raise Unfit("must be one line of text")
        return line

    def json_schema(self) -> Json:
        return {"type": ["string", "number", "boolean"], "minLength": 1}


class Pattern(Word[str]):
    """A text that one regular expression describes (Python's and ECMAScript's common part, without anchors)."""

    quoted = False

    def __init__(self, name: str, pattern: str, what: str, example: str) -> None:
        self.name, self.what, self.example = name, what, example
        self._pattern = pattern  # compiled when first used: not every section is in every file

    def convert(self, text: str) -> str:
        if not re.fullmatch(self._pattern, text):
            raise ValueError
        return text

    def json_schema(self) -> Json:
        numeric = re.fullmatch(self._pattern, "12345") is not None
        return {"type": ["string", "number"] if numeric else "string", "pattern": f"^(?:{self._pattern})$"}


class Name(Pattern):
    """A word of another program that is put on a command line, so it may not look like an option."""

    def __init__(self, what: str, example: str) -> None:
        super().__init__("name", r"[A-Za-z0-9_][A-Za-z0-9_.-]*", f"{what} (letters, digits, _ . -)", example)


class Alias(Name):
    """A name of ~/.ssh/config. An address is refused: the inventory is in git."""

    def convert(self, text: str) -> str:
        if re.fullmatch(r"[0-9.]+", text):
            raise Unfit("is an address; write an alias, the address belongs into the vault", "see ~/.ssh/config")
        return super().convert(text)


class Id(Pattern):
    """A row's id."""

    def __init__(self, refused: frozenset[str] = frozenset(), why: str = "") -> None:
        rule = "lower-case letters, digits and dashes, beginning with a letter"
        super().__init__("id", "[a-z][a-z0-9-]{0,63}", rule, "some-id")
        self._refused, self._why = refused, why

    def convert(self, text: str) -> str:
        if text in self._refused:
            raise Unfit(f"is {self._why}; choose another", f"for example my-{text}")
        return super().convert(text)

    def hint(self, text: str) -> str | None:
        plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-0123456789")[:64]
        return f"for example {plain}" if plain else None

    def json_schema(self) -> Json:
        return {**super().json_schema(), **({"not": {"enum": sorted(self._refused)}} if self._refused else {})}


class Reference(Pattern):
    """The id of another row; that it exists is checked when all rows are read."""

    def __init__(self, noun: str) -> None:
        super().__init__(f"{noun} id", "[a-z][a-z0-9-]{0,63}", f"the id of a {noun}", f"some-{noun}")


class Variable(Pattern):
    """A name that templates use."""

    def __init__(self) -> None:
        rule = "lower-case letters, digits and _, beginning with a letter"
        super().__init__("name", "[a-z][a-z0-9_]*", rule, "some_name")

    def convert(self, text: str) -> str:
        if text in model.TEMPLATE_WORDS:
            raise Unfit("is a word of the template language; choose another name")
        return super().convert(text)

    def hint(self, text: str) -> str | None:
        plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_0123456789")
        return f"for example {plain}" if plain else None


class Choice(Word[str]):
    """One of a few words."""

    def __init__(self, *choices: str) -> None:
        self._choices = choices
        self.name = " | ".join(choices)
        self.example = choices[0]
        self.what = choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"

    def convert(self, text: str) -> str:
        if text not in self._choices:
            raise ValueError
        return text

    def hint(self, text: str) -> str | None:
        return nearest(text, self._choices)

    def json_schema(self) -> Json:
        return {"enum": list(self._choices)}


class Flag(Word[bool]):
    """Yes or no, in any of YAML's spellings."""

    what, name, example = "true or false", "true | false", "true"
    _words: Mapping[str, bool] = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}

    def convert(self, text: str) -> bool:
        if text.lower() not in self._words:
            raise ValueError
        return self._words[text.lower()]

    def json_schema(self) -> Json:
        spellings = (spelling for word in self._words for spelling in (word, word.capitalize(), word.upper()))
        return {"enum": [True, False, *spellings]}


class Count(Word[int]):
    """A whole number within bounds, in plain decimal digits."""

    name = "number"

    def __init__(self, least: int, most: int) -> None:
        self._least, self._most = least, most
        self.what, self.example = f"a whole number from {least} to {most}", str(least)

    def convert(self, text: str) -> int:
        if not re.fullmatch("0|[1-9][0-9]{0,8}", text) or not self._least <= int(text) <= self._most:
            raise ValueError
        return int(text)

    def json_schema(self) -> Json:
        number: Json = {"type": "integer", "minimum": self._least, "maximum": self._most}
        return {"anyOf": [number, {"type": "string", "pattern": "^(?:0|[1-9][0-9]{0,8})$"}]}


class Port(Count):
    """A TCP port."""

    name = "port"

    def __init__(self) -> None:
        super().__init__(1, 65535)
        self.example = "5432"


class Mode(Word[int]):
    """A file mode in octal, as chmod takes it."""

    what, name, example = "a file mode of 0600, 0400, 0640 or 0440", "file mode", "0600"

    def convert(self, text: str) -> int:
        if not re.fullmatch("(0o?)?[0-7]{3}", text):
            raise ValueError
        mode = int(text, 8)
        if mode & 0o007:
            raise Unfit(f"is {shown(text)}, which opens the file to everybody", "write 0600, or 0640 for a group")
        if mode not in model.MODES:
            raise ValueError
        return mode

    def json_schema(self) -> Json:
        # A YAML 1.1 parser reads 0600 as 384, one of YAML 1.2 as 600.
        numbers = sorted({number for mode in model.MODES for number in (mode, int(f"{mode:o}"))})
        return {"anyOf": [{"enum": numbers}, {"type": "string", "pattern": "^(?:0o?)?(?:400|440|600|640)$"}]}


class Version(Count):
    """The format of the file."""

    name = "number"

    def __init__(self) -> None:
        super().__init__(model.VERSION, model.VERSION)
        self.what = f"{model.VERSION}"

    def convert(self, text: str) -> int:
        if re.fullmatch("[1-9][0-9]{0,8}", text) and int(text) > model.VERSION:
            raise Unfit(f"is {text}, but this program knows only up to {model.VERSION}", "upgrade chronos-secrets")
        return super().convert(text)

    def json_schema(self) -> Json:
        return {"enum": [model.VERSION, str(model.VERSION)]}


class Day(Word[date]):
    """A day of the calendar, ISO 8601."""

    what, name, example = "a day such as 2026-05-27", "day", "2026-05-27"

    def convert(self, text: str) -> date:
        if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            raise ValueError
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise Unfit(f"is {text}, a day that no calendar has") from None

    def json_schema(self) -> Json:
        pattern = "^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$"
        return {"type": "string", "pattern": pattern, "format": "date"}


class Quantity(Word[T]):
    """A number and a unit: "6 months", "512 KiB"."""

    _units: tuple[str, ...] = ()
    _plural = "s?"
    _number = "[1-9][0-9]{0,8}"

    def _parts(self, text: str) -> tuple[int, str]:
        match = re.fullmatch(self._pattern(), text)
        if not match:
            raise ValueError
        return int(match[1]), match[2]

    def _pattern(self) -> str:
        return f"({self._number}) ({'|'.join(self._units)}){self._plural}"

    def json_schema(self) -> Json:
        return {"type": "string", "pattern": f"^{self._pattern()}$"}


class Interval(Quantity[model.Interval]):
    """A step of the calendar, at most a hundred years."""

    what, name, example = "an interval such as 7 days, 2 weeks, 6 months or 1 year", "interval", "1 year"
    _units = ("day", "week", "month", "year")

    def convert(self, text: str) -> model.Interval:
        interval = model.Interval(*self._parts(text))
        if interval.least_days > 36525:
            raise Unfit("is longer than a hundred years")
        return interval


class Wait(Interval):
    """A step of the calendar, or none: 0 days, as after a leak."""

    what, example = "an interval such as 7 days, 2 weeks, 1 month or 0 days", "0 days"
    _number = "0|[1-9][0-9]{0,8}"


class Days(Quantity[int]):
    """A number of days."""

    what, name, example = "a number of days such as 30 days", "days", "30 days"
    _units = ("day",)

    def convert(self, text: str) -> int:
        days = self._parts(text)[0]
        if days > 36525:
            raise Unfit("is longer than a hundred years")
        return days


class DaysOrNever(Quantity[int | None]):
    """A number of days, or never."""

    what, name, example = "a number of days such as 30 days, or never", "days | never", "30 days"

    def convert(self, text: str) -> int | None:
        return None if text == "never" else Days().convert(text)

    def json_schema(self) -> Json:
        return {"anyOf": [{"const": "never"}, Days().json_schema()]}


class Duration(Quantity[timedelta]):
    """A length of time that a clock measures."""

    what, name, example = "a duration such as 15 minutes, 26 hours or 2 days", "duration", "15 minutes"
    _units = ("second", "minute", "hour", "day", "week")

    def convert(self, text: str) -> timedelta:
        number, unit = self._parts(text)
        if number > 10_000_000:
            raise Unfit("is too long")
        return timedelta(**{f"{unit}s": number})


class Size(Quantity[int]):
    """A number of bytes."""

    what, name, example = "a size such as 512 KiB", "size", "512 KiB"
    _units, _plural = ("B", "KiB", "MiB", "GiB", "TiB"), ""

    def convert(self, text: str) -> int:
        number, unit = self._parts(text)
        return int(number << 10 * self._units.index(unit))


class LocalPath(Word[str]):
    """A path on this machine, as written: ~/..., absolute, or relative to the inventory's folder."""

    what, name, example = "a path (~/..., absolute, or relative to this file)", "local path", "~/some/path"

    def convert(self, text: str) -> str:
        return _path(text, remote=False)

    def json_schema(self) -> Json:
        return {"type": ["string", "number"], "minLength": 1}


class RemotePath(LocalPath):
    """An absolute path on another host."""

    what, name, example = "an absolute path", "absolute path", "/some/path"

    def convert(self, text: str) -> str:
        return _path(text, remote=True)

    def json_schema(self) -> Json:
        return {"type": "string", "pattern": "^/"}


def _path(text: str, *, remote: bool) -> str:
    fault = model.path_fault(text, remote=remote)
    if fault:
        raise Unfit(fault)
    return text


class Template(LocalPath):
    """`builtin:NAME` or a local path."""

    _builtin = tuple(f"builtin:{name}" for name in model.BUILTIN_DIALECTS)
    what, example = "builtin:NAME or the path of a template", "builtin:env"
    name = " | ".join((*_builtin, "local path"))

    def convert(self, text: str) -> str:
        if text.startswith("builtin:") and text not in self._builtin:
            hint = nearest(text, self._builtin) or f"there are {', '.join(self._builtin)}"
            raise Unfit(f"is {shown(text)}, which does not exist", hint)
        return super().convert(text)


class Entry(Word[model.EntryPath]):
    """Groups and title of an entry."""

    what, name, example = "the entry's groups and title, such as AWS/Root Account", "entry path", "Group/Title"

    def convert(self, text: str) -> model.EntryPath:
        return _parsed(model.EntryPath.parse, text)

    def json_schema(self) -> Json:
        return {"type": ["string", "number"], "minLength": 1}


class Place(Word[model.FieldPlace]):
    """Where KeePassXC shows a field."""

    what, example = "a place in the entry", "URL"
    name = " | ".join((*model.STANDARD_PLACES, "attr:NAME", "attachment:NAME"))

    def convert(self, text: str) -> model.FieldPlace:
        return _parsed(model.FieldPlace.parse, text)

    def json_schema(self) -> Json:
        return {"type": "string", "pattern": f"^(?:{'|'.join(model.STANDARD_PLACES)}|(?:attr|attachment):.+)$"}


def _parsed(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as wrong:
        raise Unfit(str(wrong)) from None


class Page(Pattern):
    """A web page; no user name or password inside."""

    def __init__(self) -> None:
        what = "a page that begins with https:// and holds no user name"
        super().__init__("web page", "https://[^\\s@]+", what, "https://example.org/tokens")


class Prefix(Word[str]):
    """The beginning of object names in a bucket."""

    what, name, example = "the beginning of object names, such as backups/", "object prefix", "backups/"

    def convert(self, text: str) -> str:
        if not re.fullmatch("[^/*?\n][^*?\n]*/", text):
            raise Unfit("must not begin with a slash, must end with one, and holds no wildcard", "for example backups/")
        return text

    def json_schema(self) -> Json:
        return {"type": "string", "pattern": "^[^/*?][^*?]*/$"}


class Timezone(Word[str]):
    """A name of the zone database."""

    what, name, example = "a timezone such as America/Toronto or UTC", "timezone", "UTC"

    def convert(self, text: str) -> str:
        from zoneinfo import ZoneInfo

        if text == "UTC":
            return text
        if not re.fullmatch("[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", text):
            raise ValueError
        try:
            ZoneInfo(text)
        except (KeyError, OSError):  # a folder of the database, such as America, is an OSError
            raise ValueError from None
        return text

    def hint(self, text: str) -> str | None:
        from zoneinfo import available_timezones

        return nearest(text, sorted(available_timezones()))

    def json_schema(self) -> Json:
        return {"type": "string", "pattern": "^[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*$"}


class CronField(NamedTuple):
    """What one of the five fields may hold."""

    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()

    def holds(self, step: str) -> bool:
        """Whether `*`, `5`, `1-5`, `mon-fri`, each with `/2` after a range, is within the bounds."""
        match = re.fullmatch(r"(?:\*|(\w{1,3})(?:-(\w{1,3}))?)(/[1-9][0-9]?)?", step, re.ASCII)
        if not match or (match[3] and match[1] and not match[2]):
            return False
        ends = [self._number(end.lower()) for end in match.group(1, 2) if end]
        return all(self.least <= end <= self.most for end in ends) and ends == sorted(ends)

    def _number(self, word: str) -> int:
        if word in self.words:
            return self.words.index(word) + self.least
        return int(word) if re.fullmatch("[0-9]{1,2}", word) else -1


class Cron(Word[str]):
    """Five cron fields."""

    what, name, example = "five cron fields such as 0 11 * * *", "cron", '"0 11 * * *"'
    _fields = (
        CronField("minute", 0, 59),
        CronField("hour", 0, 23),
        CronField("day of the month", 1, 31),
        CronField("month", 1, 12, cron.MONTHS),
        CronField("weekday", 0, 7, cron.WEEKDAYS),
    )

    def convert(self, text: str) -> str:
        parts = text.split(" ")
        if len(parts) != len(self._fields):
            raise ValueError
        for part, field in zip(parts, self._fields, strict=True):
            if not all(field.holds(step) for step in part.split(",")):
                hint = f"{field.least} to {field.most}, *, */2, 1-5 or 1,3"
                raise Unfit(f"has {shown(part)} as its {field.name}, which cron does not know", hint)
        return text

    def json_schema(self) -> Json:
        return {"type": "string", "pattern": "^[^ ]+(?: [^ ]+){4}$"}


# --- types of several values -------------------------------------------------------------------------------------


class ListOf(Type[tuple[T, ...]]):
    """A list."""

    def __init__(self, item: Type[T], what: str = "a list", *, least: int = 0) -> None:
        self._item, self._least = item, least
        self.what, self.name, self.example = what, f"list of {item.name}", f"[{item.example}]"

    @property
    def item(self) -> Type[T]:
        return self._item

    def read(self, node: Node, where: str) -> tuple[T, ...]:
        items = _shaped(node, Row, where, self.what).items
        if len(items) < self._least:
            raise Wrong(node, f"{where} is empty", f"it must be {self.what}")
        return tuple(self._item.read(item, f"item {number} of {where}") for number, item in enumerate(items, 1))

    def json_schema(self) -> Json:
        least = {"minItems": self._least} if self._least else {}
        return {"type": "array", "items": self._item.json_schema(), **least}


class Argv(ListOf[str]):
    """A program and its arguments; no shell reads it."""

    def __init__(self) -> None:
        super().__init__(Raw(), "a list such as [program, argument]", least=1)
        self.name, self.example = "program and arguments", "[program, argument]"

    def read(self, node: Node, where: str) -> tuple[str, ...]:
        words = super().read(node, where)
        if not words[0]:
            raise Wrong(node, f"{where} does not begin with a program")
        return words


N = TypeVar("N", bound=Node)


def _shaped(node: Node, shape: type[N], where: str, what: str) -> N:
    if isinstance(node, Scalar) and node.missing:
        raise Wrong(node, f"{where} has no value", f"it must be {what}")
    if not isinstance(node, shape):
        raise Wrong(node, f"{where} must be {what}, not {node.shape}")
    return node


class Field(NamedTuple):
    """One key of a record."""

    key: str
    type: Type[Any]
    doc: str
    default: object = REQUIRED
    attr: str = ""  # where the key is a Python word
    otherwise: str = ""  # the default in words, for the reference

    @property
    def default_words(self) -> str:
        if self.default is REQUIRED:
            return "required"
        return self.otherwise or ("none" if self.default in (None, (), {}) else str(self.default).lower())


class Record(Type[T]):
    """A mapping with known keys. `build` takes them as keyword arguments.

    `one_of` names keys of which exactly one must be there. A keyed record (a row of a MapOf) also gives `id` and
    `line`.
    """

    name = "mapping"

    def __init__(
        self, build: Callable[..., T], *fields: Field, one_of: tuple[str, ...] = (), keyed: bool = False
    ) -> None:
        self._build, self._one_of, self._keyed = build, one_of, keyed
        self.fields = {field.key: field for field in fields}
        self._plan = [(field, field.attr or field.key) for field in fields]
        required = [field for field in fields if field.default is REQUIRED] or list(fields)[:1]
        self.example = "{" + ", ".join(f"{field.key}: {field.type.example}" for field in required) + "}"
        self.what = f"a mapping such as {{{required[0].key}: {required[0].type.example}}}"

    def read(self, node: Node, where: str) -> T:
        return self._make(node, node, where, {})

    def read_row(self, key: Scalar, node: Node, where: str) -> T:
        """The record of a row; faults of the whole row are shown at its key."""
        return self._make(node, key, where, {"id": key.text, "line": key.line} if self._keyed else {})

    def _make(self, node: Node, at: Node, where: str, values: dict[str, object]) -> T:
        items = _shaped(node, Table, where, self.what).items
        self._refuse_unknown(items, where)
        self._refuse_other_than_one(items, at, where)
        for field, attr in self._plan:
            item = items.get(field.key)
            if item is not None:
                label = field.key if where is WHOLE else f"{field.key} of {where}"
                values[attr] = field.type.read(item[1], label)
            elif field.default is REQUIRED:
                raise Wrong(at, f"{where} lacks the key {field.key!r}", f"add {field.key}: {field.type.example}")
            else:
                values[attr] = {} if field.default == {} else field.default
        return self._build(**values)

    def _refuse_unknown(self, items: Mapping[str, tuple[Scalar, Node]], where: str) -> None:
        for key, (node, _) in items.items():
            if key not in self.fields:
                known = list(self.fields)
                hint = nearest(key, known) or f"known keys: {', '.join(known)}"
                raise Wrong(node, f"unknown key {shown(key)} in {where}", hint)

    def _refuse_other_than_one(self, items: Mapping[str, tuple[Scalar, Node]], at: Node, where: str) -> None:
        present = [key for key in self._one_of if key in items]
        if not self._one_of or len(present) == 1:
            return
        if present:
            second = max((items[key][0] for key in present), key=lambda node: (node.line, node.column))
            raise Wrong(second, f"{where} has both {' and '.join(present)}; exactly one is right")
        raise Wrong(at, f"{where} needs exactly one of {', '.join(self._one_of)}")

    def json_schema(self) -> Json:
        fields = self.fields.values()
        properties = {field.key: {**field.type.json_schema(), "description": field.doc} for field in fields}
        required = [field.key for field in fields if field.default is REQUIRED]
        one_of = {"oneOf": [{"required": [key]} for key in self._one_of]} if self._one_of else {}
        listed = {"required": required} if required else {}
        return {"type": "object", "properties": properties, **listed, "additionalProperties": False, **one_of}


class MapOf(Type[dict[str, T]]):
    """Rows by their ids, or values by their names."""

    def __init__(self, key: Pattern, item: Type[T], noun: str, *, row: bool = True) -> None:
        self._key, self.item, self._noun, self._row = key, item, noun, row
        self.name = f"map of {key.name} to {'row' if row else item.name}"
        self.example = f"{{{key.example}: {item.example}}}"
        self.what = f"a mapping such as {self.example}"

    def read(self, node: Node, where: str) -> dict[str, T]:
        items = _shaped(node, Table, where, self.what).items
        return {key: self._read_item(key, *item, where) for key, item in items.items()}

    def _read_item(self, key: str, key_node: Scalar, node: Node, where: str) -> T:
        label = f"id of {self._noun} {shown(key)}" if self._row else f"{self._noun} {shown(key)} in {where}"
        self._key.read(key_node, label)
        if isinstance(self.item, Record):
            row: T = self.item.read_row(key_node, node, f"{self._noun} {key}")
            return row
        return self.item.read(node, f"{key} of {where}")

    def json_schema(self) -> Json:
        names = {key: value for key, value in self._key.json_schema().items() if key != "type"}
        return {"type": "object", "propertyNames": names, "additionalProperties": self.item.json_schema()}
