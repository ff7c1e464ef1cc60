"""What `scan` looks at: trees, commits, histories and streams, each with the allowances of its repository."""

import contextlib
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import click

from chronos_secrets.errors import Incomplete, UsageError
from chronos_secrets.scan import allow as allowances
from chronos_secrets.scan import report as told
from chronos_secrets.scan.allow import Allowance, Allowances
from chronos_secrets.scan.engine import Scanner
from chronos_secrets.scan.found import Piece, Trouble
from chronos_secrets.scan.survey import Survey
from chronos_secrets.systems import files

STDIN = b"(standard input)"
ALLOWANCES = allowances.FILE.decode()
_FIRST, _EACH = 0.5, 0.1  # seconds before progress is shown, and between two times


class Repository(NamedTuple):
    """A work tree (or, where there is no git, the folder that was named) and what its file allows."""

    top: bytes  # absolute
    allowances: Allowances

    def path_of(self, path: bytes) -> bytes:
        """A path as the file names it: from the top."""
        return os.path.relpath(os.path.abspath(path), self.top)

    def is_top(self, path: bytes) -> bool:
        """Whether whoever looks at this path sees the whole."""
        return os.path.abspath(path) == self.top

    def unused(self, thorough: Scanner) -> list[Allowance]:
        """What fits nothing any more, after a scan of the whole tree, which used what it met.

        `thorough` finds what is only possible, too: an allowance of that is in use, but the scan may not have met it.
        """
        from chronos_secrets.scan import content

        for path in {each.path for each in self.allowances.unused()}:
            for piece in content.files([os.path.join(self.top, path)]):
                if isinstance(piece, Piece):
                    self.allowances.split(piece, thorough.findings(piece), path)
        return self.allowances.unused()


class Looking:
    """One run: what it saw so far, the allowances of each repository that it came across, and its progress."""

    def __init__(self, scanner: Scanner, *, today: str, notes: Iterable[str] = ()) -> None:
        """`today` is an ISO day. `notes` are told with those of the allowances."""
        self.scanner = scanner
        self.survey = Survey(scanner)
        self.progress = Progress(self.survey)
        self.commits: int | None = None  # a history's
        self._today = today
        self._repositories: dict[bytes, Repository] = {}
        self._whole: list[Repository] = []
        self._said = list(notes)

    def at(self, path: bytes) -> Repository:
        """The repository that a path lies in; its allowances are read once. Raises Trouble, UsageError."""
        top = _top(path)
        if top not in self._repositories:
            given = allowances.read(content_of(top), today=self._today)
            self._repositories[top] = Repository(top, given)
        return self._repositories[top]

    def tree(self, path: bytes) -> None:
        """Look at a file, or at everything below a folder."""
        from chronos_secrets.scan import content

        here = self.at(path)
        for piece in content.files([path]):
            self.survey.look(piece, here.allowances, here.path_of)
            self.progress.show()
        if here.is_top(path):
            self._whole.append(here)

    def repository(self) -> None:
        """Look at what git tracks or would add in the work tree around, or at the whole folder where there is no git.

        What git ignores, such as a rendered `.env`, is left out: it is meant to hold secrets.
        """
        here = self.at(b".")
        if files.work_tree(Path(os.fsdecode(here.top))) is None:
            self.tree(b".")
            return
        from chronos_secrets.scan import content

        for piece in content.listed(_tracked(here.top)):
            self.survey.look(piece, here.allowances, here.path_of)
            self.progress.show()
        self._whole.append(here)

    def commit(self) -> None:
        """Look at what the next commit adds, with the allowances that it will have."""
        from chronos_secrets.scan import staged

        here = self._repositories[b""] = Repository(b"", allowances.staged(today=self._today))
        for piece in staged.pieces():
            self.survey.look(piece, here.allowances)
            self.progress.show()

    def history(self, wanted: str | None) -> None:
        """Look at what every commit added, of all refs or of a range, with today's allowances."""
        from chronos_secrets.scan import history, still

        here, self.commits = self.at(b"."), 0
        for commit, piece in history.pieces(wanted, self._in_history):
            for row in self.survey.look(piece, here.allowances):
                row.finding.commit, row.finding.date = commit.id, commit.date
            self.progress.show()
        still.mark([row.finding for row in (*self.survey.standing, *self.survey.allowed)])

    def _in_history(self, count: int, whole: int) -> None:
        self.commits = count
        self.progress.show(f", commit {count} of {whole}")

    def stdin(self) -> None:
        """Look at what comes on standard input. Only comments allow anything there."""
        from chronos_secrets.scan import content

        nothing = Repository(b"", Allowances())
        self._repositories[b""] = nothing
        try:
            for piece in content.pieces(STDIN, sys.stdin.buffer):
                self.survey.look(piece, nothing.allowances)
                self.progress.show()
        except OSError as error:
            raise unreadable_input(error) from error
        if not self.survey.bytes:
            self._said.append("nothing came on standard input")

    def notes(self, thorough: Scanner) -> list[str]:
        """What a person should know besides: what was allowed in vain, what ended, what is not needed."""
        every = self._repositories.values()
        ended = [each for repository in every for each in repository.allowances.expired()]
        idle = [each for repository in self._whole for each in repository.unused(thorough) if each not in ended]
        return [
            *self._said,
            *(note for repository in every for note in repository.allowances.notes),
            *(f"{_line(each)} ended on {each.until}: take it out, or give it another day" for each in ended),
            *(f"{_line(each)} fits nothing any more: take it out" for each in idle),
        ]


class Progress:
    """How far a scan is, on one line of a terminal; the line is gone when the block ends."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._next = time.monotonic() + _FIRST
        self._shown = False

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._write("")

    def show(self, more: str = "") -> None:
        """Say it, if it is time to."""
        if time.monotonic() >= self._next and sys.stderr.isatty():
            self._next, self._shown = time.monotonic() + _EACH, True
            self._write(amount(self._survey) + more)

    @staticmethod
    def _write(text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone by now
            click.echo(f"\r\x1b[K{text}", err=True, nl=False)


def unreadable_input(error: OSError) -> Incomplete:
    """What to raise where standard input is a folder, say."""
    return Incomplete(
        f"standard input cannot be read: {files.reason(error)}", hint="run it again with a file or a pipe"
    )


def amount(survey: Survey) -> str:
    """How much was looked at, such as `12 files (3.4 MB)`."""
    size, unit = float(survey.bytes), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    digits = 0 if unit == "bytes" or size >= 10 else 1
    return f"{survey.files} {'file' if survey.files == 1 else 'files'} ({size:.{digits}f} {unit})"


def content_of(top: bytes) -> bytes:
    """The bytes of the file at the top of a repository; none where there is no file. Raises Trouble."""
    path = os.path.join(top, allowances.FILE)
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        listing = f"ls -l {told.quoted(told.printable(path))}"
        raise Trouble(f"{ALLOWANCES} cannot be read: {files.reason(error)}", hint=listing) from error


def _top(path: bytes) -> bytes:
    """The top of the work tree that a path lies in; without git the folder itself. Raises UsageError."""
    try:
        whole = os.path.abspath(path)
    except OSError as error:
        raise UsageError("the working folder is not there any more", hint="cd to another folder") from error
    folder = Path(os.fsdecode(whole))
    folder = folder if folder.is_dir() else folder.parent
    return os.fsencode(files.work_tree(folder) or folder)


def _tracked(top: bytes) -> list[bytes]:
    """The files below `top` that git tracks or would add, as seen from the working folder."""
    from chronos_secrets.scan import git

    listing = git.output("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--full-name", "--", ":/")
    return [os.path.relpath(os.path.join(top, path)) for path in dict.fromkeys(listing.split(b"\0")) if path]


def _line(each: Allowance) -> str:
    return f"line {each.line} of {ALLOWANCES} ({each.rule} in {told.printable(each.path)})"
