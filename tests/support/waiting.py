"""Waiting for what tells nobody when it has happened."""

import time
from collections.abc import Callable

_PAUSE = 0.02  # seconds


def until(holds: Callable[[], object], why: str, *, patience: float = 60.0, pause: float = _PAUSE) -> None:
    """Look again and again until something holds; fails with `why` after `patience` seconds. `pause` is between two looks."""
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, why
        time.sleep(pause)  # what is looked at has no event that could be waited for
