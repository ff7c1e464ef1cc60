"""What the commands of the scanner share: its failures become the command line's."""

import contextlib
from collections.abc import Iterator

from chronos_secrets.errors import Refused
from chronos_secrets.scan.found import Trouble


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """The scanner's foreseen failures (`Trouble`) become `Refused`, which the one boundary tells."""
    try:
        yield
    except Trouble as trouble:
        raise Refused(trouble.message, hint=trouble.hint or None) from trouble
