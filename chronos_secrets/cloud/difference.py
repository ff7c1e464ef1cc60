"""What lies between what should be and what is: as lines for a person, and as the document that would be right. Pure.

A line begins with - for what is there and should not be, and with + for what should be there.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from chronos_secrets.cloud.desired import OURS, SMALLEST, TLS_ONLY, Document

_ANY_ORDER = {"Action", "NotAction", "Resource", "NotResource"}


class Merged(NamedTuple):
    """What a setting should become, when only our part of it is ours. `kept` names what is somebody else's."""

    lines: tuple[str, ...]
    document: Document
    kept: tuple[str, ...]


class Limit(NamedTuple):
    """What shortens the life of data: "expire" or "noncurrent" after `days` (before: None is never), or
    "versioning", which is suspended."""

    what: str
    days: int = 0
    before: int | None = None


def values(found: Mapping[str, object], wanted: Mapping[str, object], where: str = "") -> tuple[str, ...]:
    """The lines between two sets of settings. Only what differs is shown, however deep it is."""
    is_there, should_be = list(_leaves(found)), list(_leaves(wanted))
    lines = [("-", *each) for each in is_there if each not in should_be]
    lines += [("+", *each) for each in should_be if each not in is_there]
    at = {each: number for number, each in reversed(list(enumerate(name for _, name, _ in lines)))}
    return tuple(f"{sign} {where}{name}: {text}" for sign, name, text in sorted(lines, key=lambda line: at[line[1]]))


def one(name: str, found: object, wanted: object) -> tuple[str, ...]:
    """The lines of a setting that is one word; None where there is none."""
    return values({name: found} if found is not None else {}, {name: wanted})


# --- policies ---------------------------------------------------------------------------------------------------------


def policies(found: Document, wanted: Document) -> tuple[str, ...]:
    """The lines between two policies, by statement; a statement without a Sid is named by its place."""
    is_there, should_be = _statements(found), _statements(wanted)
    names = dict.fromkeys((*is_there, *should_be))
    whole = values(_without(found, "Statement"), _without(wanted, "Statement"))
    lines = (values(is_there.get(each, {}), should_be.get(each, {}), f"{each}: ") for each in names)
    return (*whole, *(line for part in lines for line in part))


def bucket_policy(found: Document | None, ours: Document | None) -> Merged:
    """A bucket's policy with our statement in it; None for `ours` asks for nothing, and takes nothing away."""
    before: Document = found or {"Version": "2012-10-17", "Statement": []}
    statements = _statements(before)
    others = {name: each for name, each in statements.items() if name != TLS_ONLY}
    if ours is None:
        return Merged((), before, tuple(statements))
    lines = values(statements.get(TLS_ONLY, {}), _statements({"Statement": [ours]})[TLS_ONLY], f"{TLS_ONLY}: ")
    theirs = [each for each in _listed(before.get("Statement")) if _mapping(each).get("Sid") != TLS_ONLY]
    return Merged(lines, {**before, "Statement": [*theirs, ours]}, tuple(others))


def _statements(policy: Document) -> dict[str, Document]:
    """The statements by their names, each written in one way: AWS and its likes hand lists of one back as text."""
    found: dict[str, Document] = {}
    for number, each in enumerate(_listed(policy.get("Statement")), start=1):
        statement = _mapping(each)
        name = str(statement.get("Sid") or f"statement {number}")
        found[name if name not in found else f"{name} ({number})"] = {
            key: sorted(map(str, _listed(value))) if key in _ANY_ORDER else value
            for key, value in statement.items()
            if key != "Sid"
        }
    return found


# --- lifecycles -------------------------------------------------------------------------------------------------------


def lifecycle(found: Sequence[Document], wanted: Sequence[Document]) -> Merged:
    """A bucket's lifecycle with our rules in it; the others stay as they are, before ours.

    Where something is written, rules of the first version (with a Prefix of their own) get a Filter of the same
    meaning: S3 refuses a mixture of the two.
    """
    is_there, should_be = ({str(each.get("ID")): _modern(each) for each in rules} for rules in (found, wanted))
    ours = [name for name in dict.fromkeys((*is_there, *should_be)) if name.startswith(OURS)]
    lines = [line for each in ours for line in values(_rule(is_there, each), _rule(should_be, each), f"{each}: ")]
    others = [each for each in found if not _is_ours(each)]
    document: Document = {"Rules": [*map(_modern, others), *wanted]}
    return Merged(tuple(lines), document, tuple(map(described, others)))


def _is_ours(rule: Document) -> bool:
    return str(rule.get("ID", "")).startswith(OURS)


def _rule(rules: Mapping[str, Document], name: str) -> Document:
    return _without(rules.get(name, {}), "ID")


def described(rule: Document) -> str:
    """A rule of somebody else's as one line, with its effects."""
    shown = _modern(rule)
    effects = ", ".join(f"{name} {text}" for name, text in _leaves(_without(shown, "ID")))
    return f"{shown.get('ID') or 'without an id'} ({effects})"


def older(rules: Iterable[Document]) -> bool:
    """Whether rules are written as in the first version of lifecycles."""
    return any("Filter" not in each and "Prefix" in each for each in rules)


def smallest(told: str) -> tuple[str, ...]:
    """The lines of TransitionDefaultMinimumObjectSize; a server that does not tell it, "", has none."""
    return one("TransitionDefaultMinimumObjectSize", told, SMALLEST) if told else ()


def limits(found: Sequence[Document], wanted: Sequence[Document]) -> tuple[Limit, ...]:
    """Where our rules would end data earlier than all that is there does now."""
    theirs = [each for each in found if not _is_ours(each)]
    kinds = (("expire", "Expiration", "Days"), ("noncurrent", "NoncurrentVersionExpiration", "NoncurrentDays"))
    shorter: list[Limit] = []
    for what, action, unit in kinds:
        before, after = _earliest(found, action, unit), _earliest([*theirs, *wanted], action, unit)
        if after is not None and (before is None or after < before):
            shorter.append(Limit(what, after, before))
    return tuple(shorter)


def moves_deep(found: Sequence[Document], wanted: Sequence[Document]) -> bool:
    """Whether our rules would move objects to Deep Archive otherwise than those that are there."""
    return bool(_deep(wanted)) and _deep(wanted) != _deep(found)


def _deep(rules: Sequence[Document]) -> list[object]:
    ours = (each for each in rules if _is_ours(each) and each.get("Status") == "Enabled")
    moves = (_mapping(move) for rule in ours for move in _listed(rule.get("Transitions")))
    return [move.get("Days") for move in moves if move.get("StorageClass") == "DEEP_ARCHIVE"]


def _earliest(rules: Iterable[Document], action: str, unit: str) -> int | None:
    """The earliest day on which a rule that holds for the whole bucket acts."""
    whole = [each for each in map(_modern, rules) if each.get("Status") == "Enabled" and _is_whole(each)]
    days = [_mapping(each.get(action)).get(unit) for each in whole if "NewerNoncurrentVersions" not in str(each)]
    return min((each for each in days if isinstance(each, int)), default=None)


def _is_whole(rule: Document) -> bool:
    return rule.get("Filter") == {"Prefix": ""}


def _modern(rule: Document) -> Document:
    """A rule with a Filter, which an older one lacks; an empty one is written as S3's examples have it."""
    where = rule.get("Filter") or {"Prefix": rule.get("Prefix") or ""}
    return {**_without(rule, "Prefix"), "Filter": where}


# --- documents --------------------------------------------------------------------------------------------------------


def _leaves(document: Mapping[str, object], above: str = "") -> Iterator[tuple[str, str]]:
    """Every value of a document with its place: what is set, one by one."""
    for key, value in document.items():
        place = f"{above}{key}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{place}.")
        elif isinstance(value, (list, tuple)):
            for each in value:
                if isinstance(each, Mapping):
                    yield from _leaves(_without(each, "StorageClass"), f"{place}.{each.get('StorageClass', '')}.")
                else:
                    yield place, _text(each)
        else:
            yield place, _text(value)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value or '""'
    return json.dumps(value, default=str)


def _listed(value: object) -> list[object]:
    return [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]


def _mapping(value: object) -> Document:
    return dict(value) if isinstance(value, Mapping) else {}


def _without(document: Mapping[str, object], name: str) -> Document:
    return {key: value for key, value in document.items() if key != name}
