"""A labelled corpus for the scanner's rules: files made at run time from the line shapes in `tests/corpus`.

The shapes hold a placeholder where the value goes (`tests/corpus/README.md` has the format), so nothing in the
repository looks like a secret. The same seed makes the same files. `score` compares findings with the labels.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.support import invent

SHAPES = Path(__file__).parents[1] / "corpus"
HALVES = ("tuning", "held_out")

SECRET, HARMLESS, OPEN, CONTEXT = "T", "F", "?", "."
"""The labels of a line. OPEN is what two reviewers would call differently: a finding there is neither right nor wrong."""

_PLACEHOLDER = re.compile(r"\{\{(?!\})([a-z0-9]+(?::[A-Za-z0-9]+)*)?(?:=([a-z]+))?\}\}")
_LINE = re.compile(r"([TF?.+]) ?([a-z0-9-]*) *\| ?(.*)")


class Shape(NamedTuple):
    """One line of a shape file: its label, why (a category of secrets, a reason for harmless ones), and its text."""

    label: str
    category: str
    text: str
    source: str
    number: int


class Line(NamedTuple):
    """One line of a built file, and the shape that it was made from."""

    text: str
    shape: Shape


@dataclass
class Unit:
    """A stretch of lines with one label. `first` and `last` are line numbers from 1."""

    path: str
    first: int
    last: int
    label: str
    category: str
    shape: str


@dataclass
class Corpus:
    """What was built: `units` are the labelled stretches, `lines` everything, by file (relative) and line number."""

    units: list[Unit] = field(default_factory=list)
    lines: dict[tuple[str, int], Line] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """The files, relative to the folder, in the order of their making."""
        return list(dict.fromkeys(path for path, _ in self.lines))


class Found(NamedTuple):
    """A scanner's claim that the lines `first` to `last` of a file hold a secret."""

    path: str
    first: int
    last: int


@dataclass
class Score:
    """How findings met the labels."""

    hits: list[Unit]
    misses: list[Unit]
    alarms: list[Found]
    undecided: int

    @property
    def precision(self) -> float:
        """The share of what was reported that is a secret: units found against units found and lines wrongly reported."""
        return _share(len(self.hits), len(self.hits) + len(self.alarms))

    @property
    def recall(self) -> float:
        """The share of the secrets that was found."""
        return _share(len(self.hits), len(self.hits) + len(self.misses))

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return _share(2 * self.precision * self.recall, self.precision + self.recall)

    def by_category(self) -> dict[str, tuple[int, int]]:
        """For each category of secrets: how many were found, how many there are."""
        found = Counter(unit.category for unit in self.hits)
        missed = Counter(unit.category for unit in self.misses)
        return {name: (found[name], found[name] + missed[name]) for name in sorted(found | missed)}


def shapes(half: str) -> Iterator[tuple[str, list[Shape]]]:
    """The files of a half as (path, lines of shapes). Raises ValueError, naming the place, for a line it cannot read."""
    for source in sorted((SHAPES / half).glob("*.txt")):
        path, lines = "", list[Shape]()
        for number, row in enumerate(source.read_text(encoding="utf-8").splitlines(), 1):
            if row.startswith("=== "):
                if lines:
                    yield path, lines
                path, lines = row.removeprefix("=== ").strip(), []
            elif row and not row.startswith("#"):
                lines.append(_shape(row, source.name, number))
        if lines:
            yield path, lines


def _shape(row: str, source: str, number: int) -> Shape:
    match = _LINE.fullmatch(row)
    if match is None:
        raise ValueError(f"{source}:{number}: not a label, a category, a bar and a text")
    label, category, text = match.groups()
    return Shape(label, category, text, source, number)


def build(folder: Path, half: str, seed: int = 1) -> Corpus:
    """Write the files of `half` below `folder` and tell what stands where. The same `seed` makes the same files."""
    corpus = Corpus()
    for path, file in shapes(half):
        if (path, 1) in corpus.lines:
            raise ValueError(f"{file[0].source}: {path} is described twice")
        texts = _fill(corpus, path, file, Random(f"{seed} {path}"))
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("\n".join(texts) + "\n", encoding="utf-8")
    return corpus


def _fill(corpus: Corpus, path: str, file: list[Shape], random: Random) -> list[str]:
    """The lines of one file, entered into the corpus on the way."""
    texts: list[str] = []
    names: dict[str, str] = {}
    for shape in file:
        first = len(texts) + 1
        for text in rendered(shape, random, names):
            texts.append(text)
            corpus.lines[path, len(texts)] = Line(text, shape)
        if shape.label == "+":
            corpus.units[-1].last = len(texts)
        elif shape.label != CONTEXT:
            corpus.units.append(Unit(path, first, len(texts), shape.label, shape.category, shape.text))
    return texts


def rendered(shape: Shape, random: Random, names: dict[str, str]) -> list[str]:
    """The text of a shape with its placeholders filled in: one line, or several where a value has several.

    `names` remembers the values that were given a name in this file (`{{pass=a}}`, then `{{=a}}`).
    """

    def fill(match: re.Match[str]) -> str:
        kind, name = match.groups()
        if kind:
            value = invent.value(kind, random)
            if name:
                names[name] = value
            return value
        return names[name]

    try:
        filled = _PLACEHOLDER.sub(fill, shape.text)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{shape.source}:{shape.number}: no such placeholder: {error}") from error
    indent = filled[: len(filled) - len(filled.lstrip())]
    return filled.replace("\n", f"\n{indent}").split("\n")


def score(corpus: Corpus, findings: Iterable[Found]) -> Score:
    """A secret is found when a finding overlaps its lines; a false alarm is a line, reported, that is no secret's."""
    by_path: dict[str, list[Unit]] = {}
    for unit in corpus.units:
        by_path.setdefault(unit.path, []).append(unit)
    touched: set[int] = set()
    alarms: dict[tuple[str, int], Found] = {}
    for found in findings:
        met = [unit for unit in by_path.get(found.path, ()) if unit.first <= found.last and found.first <= unit.last]
        touched.update(id(unit) for unit in met)
        if not any(unit.label in (SECRET, OPEN) for unit in met):
            alarms.setdefault((found.path, found.first), found)
    secrets = [unit for unit in corpus.units if unit.label == SECRET]
    return Score(
        hits=[unit for unit in secrets if id(unit) in touched],
        misses=[unit for unit in secrets if id(unit) not in touched],
        alarms=[alarms[place] for place in sorted(alarms)],
        undecided=sum(unit.label == OPEN and id(unit) in touched for unit in corpus.units),
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
