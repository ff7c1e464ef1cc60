"""What a rotation has done so far, as it is written in the credential's own entry. Pure.

State and secret are saved in one atomic replacement of the vault, so they can never disagree. The text is flat
(`k=v;k=v`): KeePassXC takes braces in an attribute for placeholders.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from chronos_secrets.amounts import moment
from chronos_secrets.errors import Refused
from chronos_secrets.inventory.model import Interval
from chronos_secrets.inventory.schedule import add
from chronos_secrets.vault.entries import PENDING, PREVIOUS, Entry

__all__ = ["ATTRIBUTE", "PENDING", "PREVIOUS", "Found", "Journal", "Phase", "decode", "encode", "latest", "of"]

ATTRIBUTE = "chronos.rotation"
ROTATED = "chronos.rotated"
"""The attribute with the day of the last rotation."""


class Phase(StrEnum):
    """The last step that is known to be done."""

    INTENT = "intent"  # somebody means to issue a new secret, and may have asked the target for it
    CREATED = "created"  # the new secret is stored as pending
    PROMOTED = "promoted"  # the new one is current, the old one is kept as previous
    DELIVERED = "delivered"  # whoever uses it has the new one
    DEACTIVATED = "deactivated"  # the old one is refused by the target, and could be brought back
    DONE = "done"  # the old one is gone; the journal stays as the record of the last rotation


_ORDER = tuple(Phase)


class Journal(NamedTuple):
    """One rotation. It holds identifiers, never a secret.

    `before` are the identifiers that the target honoured at INTENT. Times are UTC; `since` is when `phase` was reached.
    `machine` is the name of the machine that wrote the last step. `new` is the identifier of the secret that stays and
    `old` of the one that goes: in one that is `rolled_back` they have changed places, and so have the secrets.
    """

    id: str
    phase: Phase
    machine: str
    begun: datetime
    since: datetime
    before: tuple[str, ...] = ()
    old: str = ""
    new: str = ""
    rolled_back: bool = False

    @property
    def under_way(self) -> bool:
        """Whether something is left to do."""
        return self.phase is not Phase.DONE

    @property
    def promoted(self) -> bool:
        """Whether the secret that stays is the entry's current one."""
        return _ORDER.index(self.phase) >= _ORDER.index(Phase.PROMOTED)

    def rests_until(self, grace: Interval, soak: Interval, zone: ZoneInfo) -> date | None:
        """The first day of `zone` on which the next step may be taken; None where it need not wait for a day."""
        waits = {Phase.DELIVERED: grace, Phase.DEACTIVATED: soak}.get(self.phase)
        if waits is None or self.rolled_back:
            return None
        return add(self.since.astimezone(zone).date(), waits)


class Found(NamedTuple):
    """The newest journal of an entry, and where it stands: in the entry itself or in an item of its history."""

    journal: Journal
    item: Entry
    own: bool


def encode(journal: Journal) -> str:
    """The text of a journal, without braces."""
    words = {
        "id": journal.id,
        "phase": journal.phase.value,
        "machine": journal.machine,
        "begun": journal.begun.astimezone(UTC).isoformat(),
        "since": journal.since.astimezone(UTC).isoformat(),
        "old": journal.old,
        "new": journal.new,
        "back": "yes" if journal.rolled_back else "",
    }
    written = {key: quote(value, safe=":+/@") for key, value in words.items() if value}
    if journal.before:
        written["before"] = ",".join(quote(each, safe=":+/@") for each in journal.before)
    return ";".join(f"{key}={value}" for key, value in written.items())


def decode(text: str, where: str) -> Journal | None:
    """The journal in `text`; None for no text. Unknown keys are ignored.

    Raises Refused, naming the entry `where`, for a text that is no journal: a guess could lose a key.
    """
    if not text:
        return None
    try:
        return _decoded(text)
    except (KeyError, ValueError, OverflowError) as error:
        raise Refused(
            f"the attribute {ATTRIBUTE} of the entry '{where}' is damaged, so nobody can tell how far its rotation is",
            hint="restore the entry as it was from its history in KeePassXC",
        ) from error


def of(entry: Entry) -> Journal | None:
    """The journal that stands in one entry, or in one item of its history. Raises Refused for a damaged one."""
    return decode(entry.plain(ATTRIBUTE), "/".join(entry.path))


def latest(entry: Entry) -> Found | None:
    """The newest journal of an entry: where KeePassXC merges two vaults, it puts the loser into the history.

    Of two that are equally new, the entry's own counts. Raises Refused where the entry's own is damaged.
    """
    own = of(entry)
    found = [Found(own, entry, own=True)] if own else []
    found += _past(reversed(entry.history))
    return max(found, key=lambda each: _rank(each.journal), default=None)  # of equals, max takes the first


def _past(items: Iterable[Entry]) -> Iterable[Found]:
    for item in items:
        try:
            journal = of(item)
        except Refused:
            continue  # somebody damaged it and the entry was changed since; what is in force is the entry's business
        if journal:
            yield Found(journal, item, own=False)


def _rank(journal: Journal) -> tuple[datetime, int]:
    return journal.since, _ORDER.index(journal.phase)


def _decoded(text: str) -> Journal:
    pairs = [part.partition("=") for part in text.split(";")]
    written = {key: value for key, _, value in pairs}
    if len(written) != len(pairs):
        raise ValueError("a key stands twice")
    words = {key: unquote(value, errors="strict") for key, value in written.items() if key != "before"}
    return Journal(
        id=words["id"],
        phase=Phase(words["phase"]),
        machine=words["machine"],
        begun=moment(words["begun"]).astimezone(UTC),
        since=moment(words["since"]).astimezone(UTC),
        before=tuple(unquote(each, errors="strict") for each in written.get("before", "").split(",") if each),
        old=words.get("old", ""),
        new=words.get("new", ""),
        rolled_back=words.get("back") == "yes",
    )
