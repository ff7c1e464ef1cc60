"""What every place for copies can do."""

import abc
from collections.abc import Iterable
from typing import NamedTuple

from chronos_secrets.vault.copies.record import Name

_PREFIX, _SUFFIX = ".chronos-", ".tmp"


class Spec(NamedTuple):
    """Which place it is, and what goes there."""

    id: str  # of the inventory's row
    project: str
    recipient: str | None = None  # copies are encrypted to it by age; None leaves them as they are


class Place(abc.ABC):
    """One place for copies of one project's vault.

    Every method raises TargetFailed when the place is away or says no (full, read-only, broken), and Refused for a
    place that must not be used (a link, a folder that git tracks). Nothing is ever overwritten. Whoever writes or
    removes holds the lock of the catalogue.
    """

    def __init__(self, spec: Spec, where: str) -> None:
        self.id, self.project, self.recipient = spec
        self.where = where  # in words: "the folder /home/me/copies"

    @abc.abstractmethod
    def ready(self) -> None:
        """Look whether it can be used now. A missing folder is made, but never in place of a drive."""

    @abc.abstractmethod
    def names(self) -> list[Name]:
        """The copies of this project that lie there, whoever made them, oldest first."""

    @abc.abstractmethod
    def write(self, name: Name, content: bytes) -> None:
        """Add a file durably: it is there complete, or not at all. What killed runs left there is removed.

        A file of that name that is there already stays as it is.
        """

    @abc.abstractmethod
    def read(self, name: Name) -> bytes:
        """The content of a copy, from the place itself."""

    @abc.abstractmethod
    def remove(self, name: Name) -> None:
        """Remove a copy durably; one that is not there any more is no failure."""

    @staticmethod
    def temporary(name: Name) -> str:
        """What a copy is called until it is complete: hidden, and no name of a copy."""
        return f"{_PREFIX}{name}{_SUFFIX}"

    def left(self, names: Iterable[str]) -> list[str]:
        """Those of a folder's names that killed runs left of copies of this project."""
        hidden = (each for each in names if each.startswith(_PREFIX) and each.endswith(_SUFFIX))
        return [each for each in hidden if self.ours([each.removeprefix(_PREFIX).removesuffix(_SUFFIX)])]

    def ours(self, names: Iterable[str]) -> list[Name]:
        """Those of a folder's names that are copies of this project, oldest first."""
        found = (Name.parse(each) for each in names)
        return sorted(
            (each for each in found if each and each.project == self.project), key=lambda each: (each.made, each)
        )
