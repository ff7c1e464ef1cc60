"""How far a long run is, on standard error: one line that is redrawn on a terminal, else a line now and then."""

import sys
import time
from types import TracebackType

from chronos_secrets.amounts import lasting
from chronos_secrets.cli import output
from chronos_secrets.pgbackrest import progress

_REDRAW = 0.2  # seconds
_LINE = 30.0  # seconds


class Progress:
    """What hears a run of pgBackRest (`Runner.run(hear=…)`) and shows it. `what` begins each line; `quiet` shows none.

    Leave it before anything else is said: the line that is redrawn is then taken away.
    """

    def __init__(self, what: str, *, quiet: bool = False) -> None:
        self._what, self._quiet = what, quiet
        self._redraws = sys.stderr.isatty()
        self._lines, self._step = progress.Lines(), progress.Step("begins")
        self._begun = self._shown_at = time.monotonic()
        self._drawn = False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._drawn:
            self._draw("")

    def __call__(self, piece: bytes) -> None:
        """Take in what came; b"" where nothing did."""
        for line in self._lines.add(piece):
            self._step = progress.step(line) or self._step
        self._show()

    def tell(self, words: str) -> None:
        """Take in how far it is, in words, where it is no pgBackRest that runs."""
        self._step = progress.Step(words)
        self._show()

    def _show(self) -> None:
        now = time.monotonic()
        if self._quiet or now - self._shown_at < (_REDRAW if self._redraws else _LINE):
            return
        self._shown_at = now
        share = "" if self._step.percent is None else f"{self._step.percent:.0f} % "
        text = f"{self._what}: {share}{self._step.words} ({lasting(now - self._begun)})"
        if self._redraws:
            self._draw(text)
        else:
            output.say(text)

    def _draw(self, text: str) -> None:
        self._drawn = bool(text)
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
