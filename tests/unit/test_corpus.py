"""The corpus that measures the scanner: what is built is what is labelled, and the figures mean what they say."""

import base64
import binascii
import re
import zlib
from pathlib import Path
from random import Random

import pytest

from tests.support import corpus, invent, published
from tests.support.corpus import Corpus, Found, Shape, Unit

UNIT = Unit("a.py", 3, 5, corpus.SECRET, "password", "")
OTHER = Unit("a.py", 9, 9, corpus.SECRET, "key", "")
HARMLESS = Unit("a.py", 12, 12, corpus.HARMLESS, "env", "")
OPEN = Unit("a.py", 14, 14, corpus.OPEN, "weak", "")
CORPUS = Corpus([UNIT, OTHER, HARMLESS, OPEN])


def rendered(text: str, names: dict[str, str] | None = None) -> list[str]:
    return corpus.rendered(Shape("T", "key", text, "x.txt", 7), Random(1), {} if names is None else names)


@pytest.mark.parametrize("half", corpus.HALVES)
def test_every_labelled_line_is_where_the_corpus_says(half: str, tmp_path: Path) -> None:
    built = corpus.build(tmp_path, half)
    for path in built.paths:
        lines = (tmp_path / path).read_text().split("\n")[:-1]
        assert [line.text for (name, _), line in built.lines.items() if name == path] == lines
    assert all(built.lines[unit.path, unit.first].shape.label == unit.label for unit in built.units)


@pytest.mark.parametrize("half", corpus.HALVES)
def test_the_same_seed_makes_the_same_files_and_another_one_others(half: str, tmp_path: Path) -> None:
    one, same, other = (corpus.build(tmp_path / name, half, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert one.lines == same.lines
    assert one.lines != other.lines
    assert [(unit.path, unit.label) for unit in one.units] == [(unit.path, unit.label) for unit in other.units]


@pytest.mark.parametrize("half", corpus.HALVES)
def test_each_half_has_many_harmless_lines_for_a_secret_and_many_kinds_of_files(half: str, tmp_path: Path) -> None:
    built = corpus.build(tmp_path, half)
    labels = [unit.label for unit in built.units]
    assert labels.count(corpus.HARMLESS) > 2 * labels.count(corpus.SECRET)
    assert len({Path(path).suffix or path for path in built.paths}) >= 20


def test_no_shape_stands_in_both_halves() -> None:
    tuning, held_out = (
        {shape.text.strip() for _, file in corpus.shapes(half) for shape in file if shape.label in "TF?"}
        for half in corpus.HALVES
    )
    shared = {text for text in tuning & held_out if len(text) > 40}
    assert not shared


@pytest.mark.parametrize("half", corpus.HALVES)
def test_every_secret_is_invented_and_none_stands_in_the_repository(half: str) -> None:
    written = [shape for _, file in corpus.shapes(half) for shape in file if shape.label == corpus.SECRET]
    assert [f"{shape.source}:{shape.number}" for shape in written if "{{" not in shape.text] == []


def test_a_line_without_a_label_is_refused_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "SHAPES", tmp_path)
    (tmp_path / "tuning").mkdir()
    (tmp_path / "tuning/odd.txt").write_text("=== a.py\nT key | x\npassword = 1\n")
    with pytest.raises(ValueError, match=r"odd\.txt:3"):
        list(corpus.shapes("tuning"))


def test_a_file_described_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "SHAPES", tmp_path)
    (tmp_path / "tuning").mkdir()
    (tmp_path / "tuning/odd.txt").write_text("=== a.py\n. | x\n=== b.py\n. | x\n=== a.py\n. | y\n")
    with pytest.raises(ValueError, match=r"a\.py is described twice"):
        corpus.build(tmp_path / "out", "tuning")


def test_a_value_with_a_name_comes_back_under_it() -> None:
    names: dict[str, str] = {}
    first, second = rendered("p = '{{hex:12=a}}'", names), rendered("q = '{{=a}}'", names)
    assert first[0][5:-1] == second[0][5:-1] == names["a"]


@pytest.mark.parametrize("text", ["{{nothing}}", "{{=unknown}}", "{{token:nowhere}}"])
def test_an_unknown_placeholder_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ValueError, match=r"x\.txt:7"):
        rendered(text)


def test_template_braces_with_blanks_stay_as_they_are() -> None:
    assert rendered("a: {{ b }} {{raw:c}} {{text:d}}e {{}}") == ["a: {{ b }} {{c}} de {{}}"]


def test_a_value_of_several_lines_keeps_the_indentation_and_is_one_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "SHAPES", tmp_path)
    (tmp_path / "tuning").mkdir()
    (tmp_path / "tuning/one.txt").write_text("=== a.yml\n. | key: |\nT pem |   {{pem:ec}}\n+ | # end\nF env | x: y\n")
    built = corpus.build(tmp_path / "out", "tuning")
    text = (tmp_path / "out/a.yml").read_text().splitlines()
    assert all(row.startswith("  ") for row in text[1:-2])
    assert [(unit.first, unit.last) for unit in built.units] == [(2, len(text) - 1), (len(text), len(text))]


def test_a_finding_anywhere_in_a_secret_s_lines_finds_it_and_twice_counts_once() -> None:
    score = corpus.score(CORPUS, [Found("a.py", 4, 4), Found("a.py", 5, 6), Found("a.py", 1, 3)])
    assert (score.hits, score.misses, score.alarms) == ([UNIT], [OTHER], [])


@pytest.mark.parametrize("line", [2, 6, 12, 20])
def test_a_finding_on_a_harmless_or_an_unlabelled_line_is_a_false_alarm(line: int) -> None:
    score = corpus.score(CORPUS, [Found("a.py", line, line)])
    assert (score.hits, score.alarms) == ([], [Found("a.py", line, line)])


def test_two_findings_on_one_line_are_one_false_alarm_and_in_two_files_two() -> None:
    score = corpus.score(CORPUS, [Found("a.py", 12, 12), Found("a.py", 12, 13), Found("b.py", 12, 12)])
    assert len(score.alarms) == 2


def test_an_open_line_counts_neither_way() -> None:
    score = corpus.score(CORPUS, [Found("a.py", 14, 14)])
    assert (score.hits, score.alarms, score.undecided) == ([], [], 1)


def test_the_figures_are_shares_of_what_was_reported_and_of_what_there_is() -> None:
    score = corpus.score(CORPUS, [Found("a.py", 3, 3), Found("a.py", 12, 12), Found("a.py", 13, 13)])
    assert score.precision == pytest.approx(1 / 3)
    assert score.recall == pytest.approx(1 / 2)
    assert score.f1 == pytest.approx(0.4)
    assert score.by_category() == {"key": (0, 1), "password": (1, 1)}


def test_a_scanner_that_finds_nothing_scores_nothing() -> None:
    score = corpus.score(CORPUS, [])
    assert (score.precision, score.recall, score.f1, score.undecided) == (0, 0, 0, 0)


def test_each_kind_of_value_can_be_made() -> None:
    arguments = {"token": "github", "nkey": "seed", "text": "x", "raw": "x"}
    for kind in invent.KINDS:
        assert invent.value(f"{kind}:{arguments[kind]}" if kind in arguments else kind, Random(2))


def test_tokens_carry_the_checksums_of_their_formats() -> None:
    body, digits = re.fullmatch(r"ghp_(\w{30})(\w{6})", invent.value("token:github", Random(3))).groups()  # type: ignore[union-attr]
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    assert sum(alphabet.index(digit) * 62**place for place, digit in enumerate(reversed(digits))) == zlib.crc32(
        body.encode()
    )
    seed = invent.value("nkey:seed", Random(3))
    raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    assert seed.startswith("SU")
    assert int.from_bytes(raw[-2:], "little") == binascii.crc_hqx(raw[:-2], 0)


def test_passwords_need_no_escaping_where_a_shape_does_not_ask_for_symbols() -> None:
    made = {invent.value("pass", Random(seed)) for seed in range(400)}
    assert all(re.fullmatch(r"[\w!*.-]{3,40}", password) for password in made)
    assert len(made) > 250


def test_published_source_is_taken_once_and_only_when_it_names_a_secret(tmp_path: Path) -> None:
    for name, text in {
        "a.py": "password",
        "b.py": "password",
        "c.py": "nothing",
        "d.bin": "token",
        "e.md": "api_key",
    }.items():
        (tmp_path / name).write_text(text)
    assert [path.name for path, _ in published.files([tmp_path])] == ["a.py", "e.md"]


def test_an_exemption_is_a_whole_name_at_the_end_of_a_path_and_its_line() -> None:
    known = [published.Exemption("lib/a.py", 7), published.Exemption("doc.md", 0)]
    assert published.exempt(known, Path("/usr/lib/a.py"), 7)
    assert published.exempt(known, Path("/usr/doc.md"), 99)
    assert not published.exempt(known, Path("/usr/lib/a.py"), 8)
    assert not published.exempt(known, Path("/usr/otherlib/a.py"), 7)
    assert all(place.ending for place in published.exemptions())
