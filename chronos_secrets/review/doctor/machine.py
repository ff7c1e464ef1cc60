"""What the sections of `doctor` look at, and the lines they answer with."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chronos_secrets.errors import ChronosError
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.settings import Settings

if TYPE_CHECKING:
    from chronos_secrets.render.trust import Drafts
    from chronos_secrets.systems.history import Anchor
    from chronos_secrets.systems.hosts import Host
    from chronos_secrets.vault.entries import Entries


class State(StrEnum):
    """What a line says: fine, worth knowing, or to be put right."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


class Line(NamedTuple):
    """One answer. `text` is a few words where all is well, else a sentence that names the thing and never a value.

    `more` is what somebody who asks for this section alone wants to know, too. `fix` is a command to paste, or words
    where there is none.
    """

    state: State
    text: str
    more: str = ""
    fix: str | None = None


class Project(NamedTuple):
    """An inventory that can be read, and where things are."""

    inventory: Inventory
    settings: Settings


class Opened(NamedTuple):
    """What `--unlock` found: the vault's entries, where its password came from, what it knows of this machine's log."""

    entries: "Entries"
    origin: str
    anchor: "Anchor | None"


class Machine(NamedTuple):
    """Everything that a section may look at. `project` or `trouble` is set: why there is none.

    `connect`: hosts may be called. `opened` is set where the vault was to be opened and could be, `locked` where not.
    """

    environ: Mapping[str, str]
    home: Path
    folder: Path  # the working directory
    now: datetime
    host: "Callable[[str], Host]"
    drafts: "Drafts"
    project: Project | None = None
    trouble: ChronosError | None = None
    connect: bool = False
    opened: Opened | None = None
    locked: ChronosError | None = None


Examine = Callable[[Machine], Iterator[Line]]
"""A section: it yields its lines, and may raise a ChronosError, which ends it with a line that is wrong."""


def ok(text: str, more: str = "") -> Line:
    return Line(State.OK, text, more)


def note(text: str, *, fix: str | None = None) -> Line:
    return Line(State.NOTE, text, fix=fix)


def wrong(text: str, *, fix: str | None = None) -> Line:
    return Line(State.WRONG, text, fix=fix)


def failed(error: ChronosError) -> Line:
    """A foreseen failure as a line."""
    return wrong(error.message, fix=error.hint)
