"""What a trap is. Pure. A new one is a function, and a row of the table at the end of its module."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from chronos_secrets.review.design.facts import Facts

WRONG, RISKY, NOTE = "wrong", "risky", "note"
"""Data is or will be lost, or a restore fails · it can be, once something else goes wrong · it is not what it seems."""


class Evidence(NamedTuple):
    """One thing that was read: where (FILE:LINE, or a setting) and what."""

    where: str
    what: str


Judge = Callable[[Facts], Iterator[Evidence]]


class Trap(NamedTuple):
    """One trap. `judge` gives the evidence that the design is in it, none where nothing known speaks for that.

    `needs` are the names of the facts (bucket.rules, say) without which it cannot be ruled out; `change` is a line to
    write or a command.
    """

    id: str
    severity: str
    title: str
    why: str
    change: str
    judge: Judge
    needs: tuple[str, ...] = ()


def said(key: str, what: str) -> Evidence:
    """Evidence from the inventory: the path of a key, and what it says."""
    return Evidence(f"inventory.yaml, {key}", what)
