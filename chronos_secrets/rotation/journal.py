"""What a rotation has done so far, as it is written in the credential's own entry. Pure.

State and secret are saved in one atomic replacement of the vault, so they can never disagree. The text is flat
(`k=v;k=v`): KeePassXC takes braces in an attribute for placeholders.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

ATTRIBUTE = "chronos.rotation"
PENDING, PREVIOUS = "chronos.pending.", "chronos.previous."
"""What begins the names of attributes and attachments that hold the new secret before it is promoted, and the old one
until it is deleted; the field's name follows."""


class Phase(StrEnum):
    """The last step that is known to be done."""

    INTENT = "intent"  # somebody means to issue a new secret, and may have asked the target for it
    CREATED = "created"  # the new secret is stored as pending
    PROMOTED = "promoted"  # the new one is current, the old one is kept as previous
    DELIVERED = "delivered"  # whoever uses it has the new one
    DEACTIVATED = "deactivated"  # the old one is refused by the target, and could be brought back
    DONE = "done"  # the old one is gone; the journal stays as the record of the last rotation


class Journal(NamedTuple):
    """One rotation. It holds identifiers, never a secret.

    `before` are the identifiers that the target honoured at INTENT. Times are UTC; `since` is when `phase` was reached.
    `machine` is the name of the machine that wrote the last step.
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
