"""Source that others published and this machine has installed: nearly all of it holds no secret.

A sample for false alarms: text files with a word such as "password" in them. What a reviewer would call a credential
there all the same (the examples of a documentation, say) stands in `tests/corpus/exceptions.txt` and is not counted.
"""

import os
import re
import sysconfig
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

_EXCEPTIONS = Path(__file__).parents[1] / "corpus/exceptions.txt"
_MARKS = re.compile(rb"passw|passphrase|pwd|secret|token|api_?key|credential|private.?key|bearer", re.IGNORECASE)
_SUFFIXES = (
    ".py .pyi .js .mjs .cjs .ts .tsx .json .md .rst .txt .html .htm .css .xml .yml .yaml .toml .ini .cfg .conf .sh .pl .pm "
    ".pod .rb .php .go .java .c .h .cc .cpp .hpp .sql .el .lua .tcl .awk .m4 .ac .am .in .properties .service .example "
    ".sample .csv .po .vim .rs .swift .ps1 .bat .cmake .tmpl .j2"
)
_LARGEST = 2_000_000  # bytes of a file that is taken


class Exemption(NamedTuple):
    """A place that is rightly reported: the end of a path, and the line (0: any)."""

    ending: str
    line: int


def folders() -> list[Path]:
    """Where source is installed on this machine."""
    candidates = (
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("purelib"),
        "/usr/lib/python3",
        "/usr/lib/node_modules",
        "/usr/share/nodejs",
        "/usr/share/perl",
        "/usr/share/perl5",
        "/usr/share/doc",
    )
    return [Path(name) for name in dict.fromkeys(candidates) if Path(name).is_dir()]


def files(where: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    """(path, content) of the text files that name something secret, in a stable order; of equal files the first."""
    seen: set[bytes] = set()
    for folder in where:
        for path in _below(folder):
            text = path.read_bytes()
            if len(text) > _LARGEST or b"\0" in text or not _MARKS.search(text):
                continue
            digest = blake2b(text, digest_size=16).digest()
            if digest not in seen:
                seen.add(digest)
                yield path, text


def _below(folder: Path) -> Iterator[Path]:
    suffixes = frozenset(_SUFFIXES.split())
    for top, below, names in os.walk(folder):
        below.sort()
        for name in sorted(names):
            path = Path(top, name)
            if (path.suffix in suffixes or name.isupper()) and path.is_file() and os.access(path, os.R_OK):
                yield path


def exemptions() -> list[Exemption]:
    """What `tests/corpus/exceptions.txt` says."""
    rows = (row.split("#")[0].split() for row in _EXCEPTIONS.read_text(encoding="utf-8").splitlines())
    return [Exemption(row[0], int(row[1]) if len(row) > 1 else 0) for row in rows if row]


def exempt(known: Iterable[Exemption], path: Path, line: int) -> bool:
    """Whether a finding at this place is one that a reviewer has called right."""
    return any(str(path).endswith(f"/{place.ending}") and place.line in (0, line) for place in known)
