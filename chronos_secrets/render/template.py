"""Templates: Jinja2's syntax, and of its language only what can be checked before the vault is unlocked.

Text, `{{ name.field }}`, `{{ var }}`, `if` with `elif`, `else` and `not`, comments, and the filters below. Jinja2
parses; nothing is compiled or executed. Anything else is an error with its line.
"""

import base64
import functools
import importlib
import json
import re
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from chronos_secrets import lean
from chronos_secrets.errors import TemplateInvalid
from chronos_secrets.render.dialects import Piece

# A tag or comment that has its line to itself. Jinja2's trim_blocks would take the line end behind every tag, and so
# join `A={% if x %}1{% endif %}` with the line below.
_ALONE = re.compile(r"^[ \t]*(\{%[^\n]*?|\{#.*?)([%#]\})[ \t]*\n", re.MULTILINE | re.DOTALL)
_TRIMMING = re.compile(r"\{[%{#][-+]|-[%}#]\}")


class Scope(NamedTuple):
    """What a template may use: fields by name, plain variables, and names that a built-in template can do without."""

    uses: Mapping[str, frozenset[str]]
    variables: Mapping[str, str]
    optional: frozenset[str] = frozenset()


class Line(NamedTuple):
    """One evaluated line: its number in the template and its parts. A value's own line ends do not split it."""

    number: int
    pieces: tuple[Piece, ...]


Lookup = Callable[[str, str, bool], str]
"""From a name in `uses`, a field, and whether it may be absent (then "") to the value's text."""


def _url_part(name: str) -> Callable[[str], str]:
    def part(text: str) -> str:
        try:
            found = getattr(urlsplit(text if "://" in text else f"//{text}"), name)
        except ValueError:
            return ""  # no URL has no parts; the dialect refuses an empty value where one is needed
        return unquote(str(found)) if found else ""

    return part


_FILTERS_IN_A_ROW = 20  # each is a step of recursion when the template is evaluated
FILTERS: Mapping[str, tuple[Callable[[str], str], str]] = {
    "urlencode": (lambda text: quote(text, safe=""), "percent-encoded for any part of a URL; `/` too"),
    "b64encode": (lambda text: base64.b64encode(text.encode()).decode(), "base64 of its UTF-8 bytes"),
    "json": (lambda text: json.dumps(text, ensure_ascii=False), "a JSON string, with its quotes"),
    "lower": (str.lower, "in lower case"),
    "upper": (str.upper, "in upper case"),
    "trim": (str.strip, "without white space at its ends"),
    "url_host": (_url_part("hostname"), "the host of a URL"),
    "url_port": (_url_part("port"), "the port of a URL, empty if it has none"),
    "url_user": (_url_part("username"), "the user of a URL, empty if it has none"),
}
"""Filter name: what it does to a text, and the words for the reference."""

_STATEMENTS = {
    "For": "a loop", "Macro": "a macro", "Block": "a block", "Extends": "extends", "Include": "include",
    "Import": "import", "FromImport": "import", "Assign": "set", "AssignBlock": "set", "CallBlock": "a call",
    "With": "with", "FilterBlock": "a filter block", "Call": "a call", "Getitem": "an index", "Getattr": "an attribute",
    "CondExpr": "an inline if", "Test": "a test", "Compare": "a comparison", "And": "and", "Or": "or",
}  # fmt: skip


class Template:
    """A parsed template whose every reference is known."""

    def __init__(self, text: str, name: str, scope: Scope) -> None:
        """Parse and check. `name` is how errors call the file. Raises TemplateInvalid with the line."""
        self._name = name
        self._scope = scope
        self._body = self._parsed(text).body
        self._tested: set[tuple[str, str]] = set()
        self.references: frozenset[tuple[str, str]] = frozenset(self._references(self._body))
        """Every (name, field) that the template can ask for."""
        self.required = self.references - self._tested
        """Those that must not be empty: no `if` asks whether they are."""

    def evaluate(self, lookup: Lookup) -> list[Line]:
        """The lines of the rendered template. `lookup` is asked only for what `references` holds."""
        lines: list[tuple[int, list[Piece]]] = [(1, [])]
        for number, piece in self._pieces(self._body, lookup):
            if not lines[-1][1]:  # tags that stood here left no text behind, only lines that count
                lines[-1] = (number, [])
            if piece.label is not None:
                lines[-1][1].append(piece)
                continue
            first, *more = piece.text.split("\n")
            lines[-1][1].append(Piece(first))
            lines.extend((number + count, [Piece(part)] if part else []) for count, part in enumerate(more, 1))
        return [Line(number, tuple(part for part in pieces if part.text or part.label)) for number, pieces in lines]

    def _parsed(self, text: str) -> Any:
        trimming = _TRIMMING.search(text)
        if trimming:
            line = text.count("\n", 0, trimming.start()) + 1
            raise self._invalid(
                line,
                f"'{trimming[0]}' is not part of the template language",
                "a tag alone on its line leaves no line behind",
            )
        syntax = _syntax()
        try:
            return syntax.Parser(syntax.environment, _ALONE.sub(_swallow, text.replace("\r\n", "\n"))).parse()
        except syntax.TemplateSyntaxError as error:
            raise self._invalid(error.lineno, f"{error.message or 'cannot be read'}".rstrip(".").lower()) from None
        except RecursionError:
            raise self._invalid(1, "is nested too deeply") from None
        except ValueError:  # Python reads no integer of more than 4,300 digits
            raise self._invalid(1, "a number is not part of the template language") from None

    def _invalid(self, line: int, message: str, hint: str | None = None) -> TemplateInvalid:
        return TemplateInvalid(f"{self._name}:{line}: {message}", hint=hint)

    # checking: every node is visited, also in branches that this inventory never takes

    def _references(self, nodes: list[Any]) -> Iterator[tuple[str, str]]:
        for node in nodes:
            kind = type(node).__name__
            if kind == "Output":
                for part in node.nodes:
                    if type(part).__name__ != "TemplateData":
                        yield from self._in_expression(part)
            elif kind == "If":
                tested = list(self._in_condition(node.test))
                self._tested.update(tested)
                yield from tested
                for branch in self._live(node):
                    yield from self._references(branch)
            else:
                raise self._invalid(
                    node.lineno, f"{_STATEMENTS.get(kind, 'this')} is not part of the template language"
                )

    def _in_expression(self, node: Any) -> Iterator[tuple[str, str]]:
        node = self._filtered(node)
        kind = type(node).__name__
        if kind == "Getattr" and type(node.node).__name__ == "Name":
            yield self._checked_reference(node)
        elif kind == "Name":
            self._check_variable(node)
        elif not (kind == "Const" and isinstance(node.value, str)):
            what = "a longer chain" if kind == "Getattr" else _STATEMENTS.get(kind, "this expression")
            raise self._invalid(node.lineno, f"{what} is not part of the template language", "write {{ name.field }}")

    def _filtered(self, node: Any) -> Any:
        """What stands before the filters of an expression, each of which is checked."""
        for _ in range(_FILTERS_IN_A_ROW + 1):
            if type(node).__name__ != "Filter":
                return node
            self._check_filter(node)
            node = node.node
        raise self._invalid(node.lineno, f"more than {_FILTERS_IN_A_ROW} filters in a row")

    def _in_condition(self, node: Any) -> Iterator[tuple[str, str]]:
        kind = type(node).__name__
        if kind == "Not":
            yield from self._in_condition(node.node)
        elif kind == "Name":
            known = {*self._scope.uses, *self._scope.variables, *self._scope.optional}
            if node.name not in known:
                raise self._unknown_name(node, known)
        else:
            yield from self._in_expression(node)

    def _live(self, node: Any) -> Iterator[list[Any]]:
        """The branches that can be taken: a built-in's part about an absent optional name names unknown fields."""
        absent = self._scope.optional - {*self._scope.uses, *self._scope.variables}
        if getattr(node.test, "name", None) not in absent:
            yield node.body
        yield list(node.elif_)
        yield node.else_

    def _checked_reference(self, node: Any) -> tuple[str, str]:
        name, field = node.node.name, node.attr
        if name not in self._scope.uses:
            raise self._unknown_name(node, set(self._scope.uses))
        if field not in self._scope.uses[name]:
            fields = ", ".join(sorted(self._scope.uses[name]))
            raise self._invalid(node.lineno, f"'{name}' has no field '{field}'", f"its fields: {fields}")
        return name, field

    def _check_variable(self, node: Any) -> None:
        if node.name in self._scope.uses:
            fields = ", ".join(sorted(self._scope.uses[node.name]))
            raise self._invalid(
                node.lineno, f"'{node.name}' is a credential: name one of its fields", f"fields: {fields}"
            )
        if node.name not in self._scope.variables:
            raise self._unknown_name(node, {*self._scope.uses, *self._scope.variables})

    def _unknown_name(self, node: Any, known: set[str]) -> TemplateInvalid:
        name = node.name if type(node).__name__ == "Name" else node.node.name
        listed = ", ".join(sorted(known)) or "none"
        return self._invalid(
            node.lineno, f"'{name}' is neither in the destination's uses nor in its vars", f"known here: {listed}"
        )

    def _check_filter(self, node: Any) -> None:
        if node.node is None:
            raise self._invalid(node.lineno, "a filter block is not part of the template language")
        if node.name not in FILTERS:
            raise self._invalid(node.lineno, f"there is no filter '{node.name}'", f"filters: {', '.join(FILTERS)}")
        if node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise self._invalid(node.lineno, f"the filter '{node.name}' takes no arguments")

    # evaluating: everything was checked, so each kind of node is known

    def _pieces(self, nodes: list[Any], lookup: Lookup) -> Iterator[tuple[int, Piece]]:
        for node in nodes:
            if type(node).__name__ == "If":
                yield from self._pieces(self._taken(node, lookup), lookup)
                continue
            for part in node.nodes:
                if type(part).__name__ == "TemplateData":
                    yield part.lineno, Piece(part.data)
                else:
                    yield part.lineno, Piece(self._text(part, lookup), _label(part))

    def _taken(self, node: Any, lookup: Lookup) -> list[Any]:
        for branch in (node, *node.elif_):
            if self._holds(branch.test, lookup):
                return list(branch.body)
        return list(node.else_)

    def _holds(self, node: Any, lookup: Lookup) -> bool:
        if type(node).__name__ == "Not":
            return not self._holds(node.node, lookup)
        if type(node).__name__ == "Name":
            return node.name in self._scope.uses or bool(self._scope.variables.get(node.name))
        return bool(self._text(node, lookup, may_be_absent=True))

    def _text(self, node: Any, lookup: Lookup, *, may_be_absent: bool = False) -> str:
        kind = type(node).__name__
        if kind == "Filter":
            return FILTERS[node.name][0](self._text(node.node, lookup, may_be_absent=may_be_absent))
        if kind == "Getattr":
            return lookup(node.node.name, node.attr, may_be_absent)
        if kind == "Name":
            return self._scope.variables[node.name]
        return str(node.value)


def _swallow(found: re.Match[str]) -> str:
    """Move the line end into the tag, where it means nothing and still counts."""
    return f"{found[1]}\n{found[2]}"


def _label(node: Any) -> str | None:
    """How a value is called where it must not be shown, such as `db.password`; None for a plain variable."""
    while type(node).__name__ == "Filter":
        node = node.node
    return f"{node.node.name}.{node.attr}" if type(node).__name__ == "Getattr" else None


@functools.cache
def _syntax() -> types.SimpleNamespace:
    """Jinja2's lexer and parser, without its compiler and runtime: half of its import time, and nothing runs here."""
    with lean.without(packages=("jinja2",)):
        lexer = importlib.import_module("jinja2.lexer")
        parser = importlib.import_module("jinja2.parser")
        exceptions = importlib.import_module("jinja2.exceptions")
    environment = types.SimpleNamespace(
        block_start_string="{%", block_end_string="%}", variable_start_string="{{", variable_end_string="}}",
        comment_start_string="{#", comment_end_string="#}", line_statement_prefix=None, line_comment_prefix=None,
        newline_sequence="\n", keep_trailing_newline=True, iter_extensions=lambda: (),
        trim_blocks=False, lstrip_blocks=False,  # `_ALONE` does better
    )  # fmt: skip
    environment._tokenize = lambda source, name, _file=None, state=None: lexer.TokenStream(
        (made := lexer.get_lexer(environment)).wrap(made.tokeniter(source, name, None, state), name, None), name, None
    )
    return types.SimpleNamespace(
        environment=environment, Parser=parser.Parser, TemplateSyntaxError=exceptions.TemplateSyntaxError
    )
