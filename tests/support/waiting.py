"""Waiting for what tells nobody when it has happened."""

import time
from collections.abc import Callable
from typing import TypeVar

_PAUSE = 0.02  # seconds

Found = TypeVar("Found")


def until(holds: Callable[[], Found], why: str, *, patience: float = 60.0, pause: float = _PAUSE) -> Found:
    """Look again and again until something holds, and return it; fails with `why` after `patience` seconds. `pause` is between two looks."""
    deadline = time.monotonic() + patience
    while not (found := holds()):
        assert time.monotonic() < deadline, why
        time.sleep(pause)  # what is looked at has no event that could be waited for
    return found
