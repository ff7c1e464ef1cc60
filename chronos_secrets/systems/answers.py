"""What a target says to a credential, told apart from a target that says nothing."""

import re

from chronos_secrets.errors import TargetFailed

_LONGEST = 200  # characters of another program's words


class NotHonoured(TargetFailed):
    """The target answered: it does not take this credential."""


class CannotTell(TargetFailed):
    """The target answered, but not in a way that says anything about the credential."""


def words(said: str) -> str:
    """Another program's words as one line without what a terminal would obey."""
    line = re.sub(r"\s+", " ", said).strip()
    return "".join(each if each.isprintable() else "?" for each in line)[:_LONGEST]
