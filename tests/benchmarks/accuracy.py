"""`python -m tests.benchmarks.accuracy`: precision, recall and F1 on the labelled corpus, ours and named peers'.

--half tuning|held_out|all  rules are tuned on `tuning` only
--seeds N                   that many sets of invented values, scored together
--peers DIR                 a folder with betterleaks, gitleaks, kingfisher (those that are there are run)
--show misses|alarms|undecided
                            the lines, as shapes; on a terminal (or with --plain) with the invented values
--only TEXT                 of these only those whose category or file name has TEXT in it
--reference [FOLDER…]       false alarms in source that others published: installed packages, or these folders
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from chronos_secrets.scan import content
from chronos_secrets.scan.engine import Scanner
from chronos_secrets.scan.found import Finding, Piece
from tests.benchmarks import peers
from tests.support import corpus, published
from tests.support.corpus import Corpus, Found, Score, Unit

Run = tuple[Corpus, dict[str, Score]]


def main() -> None:
    """Build, scan, score, print."""
    arguments = _arguments()
    if arguments.reference is not None:
        _reference([Path(folder) for folder in arguments.reference] or published.folders(), arguments)
        return
    halves = corpus.HALVES if arguments.half == "all" else (arguments.half,)
    for half in halves:
        seeds = range(1, arguments.seeds + 1)
        runs = [_run(half, seed, arguments.peers, paranoid=arguments.paranoid) for seed in seeds]
        print("\n".join(_table(half, runs)))
        if arguments.show:
            print("\n".join(sorted(_lines(runs, arguments))))


def _arguments() -> argparse.Namespace:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--half", choices=(*corpus.HALVES, "all"), default="tuning")
    reader.add_argument("--seeds", type=int, default=3)
    reader.add_argument("--peers", type=Path)
    reader.add_argument("--paranoid", action="store_true")
    reader.add_argument("--show", choices=("misses", "alarms", "undecided"))
    reader.add_argument("--of", default="ours", help="whose misses and alarms to show: ours, or a peer's name")
    reader.add_argument("--only", default="")
    reader.add_argument("--plain", action="store_true", default=sys.stdout.isatty())
    reader.add_argument("--reference", nargs="*", metavar="FOLDER")
    return reader.parse_args()


def markdown(programs: Path, seeds: int = 3) -> list[str]:
    """A table for the documentation: both halves, ours beside the peers in the folder `programs`."""
    rows = ["| half | scanner | precision | recall | F1 |", "| --- | --- | --- | --- | --- |"]
    for half in corpus.HALVES:
        runs = [_run(half, seed, programs) for seed in range(1, seeds + 1)]
        for who in runs[0][1]:
            total = together([scores[who] for _, scores in runs])
            said = f"{total.precision:.2f} | {total.recall:.2f} | {total.f1:.2f}"
            rows.append(f"| {half.replace('_', ' ')} | {who} | {said} |")
    return [*rows, ""]


def _run(half: str, seed: int, programs: Path | None, *, paranoid: bool = False) -> Run:
    """One set of files, scanned by everyone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = corpus.build(folder, half, seed)
        found = {"ours": list(ours(folder, built.paths, paranoid=paranoid))}
        found |= peers.found(folder, programs) if programs else {}
    return built, {who: corpus.score(built, findings) for who, findings in found.items()}


def ours(folder: Path, paths: list[str], *, paranoid: bool = False) -> Iterator[Found]:
    """What chronos_secrets.scan finds in files below `folder`."""
    scanner = Scanner(paranoid=paranoid)
    for path in paths:
        for finding in _findings(scanner, path.encode(), (folder / path).read_bytes()):
            yield Found(path, finding.line, finding.last)


def _findings(scanner: Scanner, path: bytes, text: bytes) -> Iterator[Finding]:
    for piece in content.pieces(path, text):
        if isinstance(piece, Piece):
            yield from scanner.findings(piece)


def _table(half: str, runs: list[Run]) -> list[str]:
    """The figures of all runs together, by scanner and by category of ours."""
    labels = Counter(unit.label for built, _ in runs for unit in built.units)
    rows = [
        f"{half}: {labels[corpus.SECRET]} secrets, {labels[corpus.HARMLESS]} harmless lines, {labels[corpus.OPEN]} open",
        f"{'':<24}{'precision':>10}{'recall':>8}{'F1':>8}{'found':>8}{'alarms':>8}{'open':>8}",
    ]
    for who in runs[0][1]:
        total = together([scores[who] for _, scores in runs])
        rows.append(
            f"{who:<24}{total.precision:>10.3f}{total.recall:>8.3f}{total.f1:>8.3f}"
            f"{len(total.hits):>8}{len(total.alarms):>8}{total.undecided:>8}"
        )
    found = together([scores["ours"] for _, scores in runs]).by_category()
    return [*rows, "", *(f"  {name:<22}{hits:>5} of {count:<5}" for name, (hits, count) in found.items()), ""]


def together(scores: list[Score]) -> Score:
    """Several scores as one."""
    return Score(
        hits=[unit for score in scores for unit in score.hits],
        misses=[unit for score in scores for unit in score.misses],
        alarms=[found for score in scores for found in score.alarms],
        undecided=sum(score.undecided for score in scores),
    )


def _lines(runs: list[Run], arguments: argparse.Namespace) -> Iterator[str]:
    """Misses or alarms, one a shape: how often in how many runs, what it is, where, and its text."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for built, scores in runs:
        for path, number, category in _places(built, scores[arguments.of], arguments.show):
            line = built.lines[path, number]
            place = f"{category:<11} {line.shape.source}:{line.shape.number}"
            if arguments.only in f"{category} {path} {place}":
                counts[place] += 1
                examples.setdefault(place, (line.text if arguments.plain else line.shape.text).strip())
    return (f"{count}x {place:<32} {examples[place][:200]}" for place, count in counts.items())


def _places(built: Corpus, score: Score, what: str) -> Iterator[tuple[str, int, str]]:
    """(path, line, category) of the misses, of the false alarms, or of the open lines."""
    if what == "alarms":
        yield from (
            (path, first, built.lines[path, first].shape.category or "context") for path, first, _ in score.alarms
        )
        return
    units: list[Unit] = score.misses if what == "misses" else [one for one in built.units if one.label == corpus.OPEN]
    yield from ((unit.path, unit.first, unit.category) for unit in units)


def _reference(folders: list[Path], arguments: argparse.Namespace) -> None:
    """Alarms in published source: how many of each rule, and with --show alarms each line, cut."""
    known, scanner = published.exemptions(), Scanner(paranoid=arguments.paranoid)
    size, count, rules = 0, 0, Counter[str]()
    for path, text in published.files(folders):
        size, count = size + len(text), count + 1
        for finding in _findings(scanner, bytes(path), text):
            if published.exempt(known, path, finding.line):
                continue
            rules[finding.rule] += 1
            if arguments.show and arguments.only in f"{finding.rule} {path}":
                row = text.split(b"\n")[finding.line - 1].strip()[:160]
                print(f"{finding.rule:<20} {path}:{finding.line}  {row.decode(errors='replace')}")
    print(f"{rules.total()} alarms in {count} files, {size / 1e6:.1f} MB")
    print("\n".join(f"  {rule:<24}{number:>6}" for rule, number in rules.most_common()))


if __name__ == "__main__":
    main()
