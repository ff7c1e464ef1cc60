"""Somebody who uses, all the time, what a delivered file says."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple


class Refusal(NamedTuple):
    """One use that went wrong."""

    nth: int
    words: str


class Prober:
    """Asks again and again while its block runs; `asked` is how often, `bad` what went wrong."""

    def __init__(self, ask: Callable[[], str | None], *, pause: float = 0.01) -> None:
        """`ask` uses the file once: None is a success, else words."""
        self.asked = 0
        self.bad: list[Refusal] = []
        self._ask, self._pause = ask, pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._over.is_set():
            self.asked += 1
            try:
                words = self._ask()
            except Exception as error:  # noqa: BLE001  # a thread's failure would go unseen
                words = repr(error)
            if words is not None:
                self.bad.append(Refusal(self.asked, words))
            self._over.wait(self._pause)

    def __enter__(self) -> "Prober":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(60)
