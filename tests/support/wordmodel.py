"""Make `chronos_secrets/scan/words.bin`: how likely three characters follow each other in words and identifiers.

    python -m tests.support.wordmodel SOURCE_FOLDER... --words WORD_LIST...

Counted are the distinct identifiers of the sources and the words of the lists (a sample of each, so that no language
drowns the others). Only these counts are kept: 28 x 28 x 28 costs in eighths of a bit.
"""

import argparse
import collections
import math
import random
import re
from collections.abc import Iterable
from pathlib import Path

from chronos_secrets.scan import words

_SUFFIXES = {
    ".py",
    ".js",
    ".ts",
    ".c",
    ".h",
    ".pm",
    ".pl",
    ".sh",
    ".rb",
    ".java",
    ".go",
    ".md",
    ".txt",
    ".html",
    ".css",
}
_IDENTIFIER = re.compile(rb"[A-Za-z][A-Za-z0-9_]{1,30}")
_SAMPLE = 40_000
_SMOOTHING = 0.4


def identifiers(folders: Iterable[Path], limit: int = 80_000_000) -> collections.Counter[bytes]:
    """In how many files each identifier stands; `limit` bytes are read."""
    found: collections.Counter[bytes] = collections.Counter()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in _SUFFIXES and path.is_file() and path.stat().st_size < 400_000 and limit > 0:
                text = path.read_bytes()
                limit -= len(text)
                found.update(set(_IDENTIFIER.findall(text)))
    return found


def train(found: collections.Counter[bytes], lists: Iterable[Path], seed: int = 1) -> bytes:
    """The table: cost of the third symbol after two, in eighths of a bit, at [first * 784 + second * 28 + third]."""
    chance = random.Random(seed)
    counts = [0.0] * words.SYMBOLS**3
    for identifier, files in found.items():
        if files > 1 and not _is_generated(identifier):
            _count(counts, identifier, 1 + math.log(files))
    for path in lists:
        lines = [line for line in path.read_bytes().split() if line.isalpha() and line.isascii()]
        for line in chance.sample(lines, min(_SAMPLE, len(lines))):
            _count(counts, line, 1.0)
    return bytes(_costs(counts))


def _is_generated(identifier: bytes) -> bool:
    """Hexadecimal numbers and tokens are no words."""
    return len(re.findall(rb"[0-9]", identifier)) > 2 or re.fullmatch(rb"[0-9a-f]{5,}", identifier) is not None


def _count(counts: list[float], word: bytes, weight: float) -> None:
    symbols = words.symbols(word)
    for first, second, third in zip(symbols, symbols[1:], symbols[2:], strict=False):
        counts[first * 784 + second * 28 + third] += weight


def _costs(counts: list[float]) -> list[int]:
    """Witten-Bell-like: a trigram's share, mixed with its bigram's, mixed with the single symbol's."""
    size = words.SYMBOLS
    single = [sum(counts[third::size]) for third in range(size)]
    total = sum(single)
    pairs = [[sum(counts[f * 784 + s * 28 + t] for f in range(size)) for t in range(size)] for s in range(size)]
    costs = []
    for first in range(size):
        for second in range(size):
            row = counts[first * 784 + second * 28 :][:size]
            seen, kinds = sum(row), sum(1 for count in row if count)
            pair_seen, pair_kinds = sum(pairs[second]), sum(1 for count in pairs[second] if count)
            for third in range(size):
                one = (single[third] + _SMOOTHING) / (total + _SMOOTHING * size)
                two = (pairs[second][third] + pair_kinds * one) / (pair_seen + pair_kinds) if pair_kinds else one
                three = (row[third] + 2 * kinds * two) / (seen + 2 * kinds) if kinds else two
                costs.append(min(255, round(-8 * math.log2(three))))
    return costs


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--words", nargs="*", default=[], type=Path)
    given = parser.parse_args()
    table = train(identifiers(given.folders), given.words)
    Path(words.__file__).with_name("words.bin").write_bytes(table)


if __name__ == "__main__":
    main()
