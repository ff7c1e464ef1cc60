"""How the copies of the vault stand by what this machine remembers of them: without a password, and at little cost.

`due` asks this each day, so nothing is imported here that makes or opens a copy.
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from chronos_secrets.cli import memory
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import ChronosError
from chronos_secrets.review.copies import Held, Live, held
from chronos_secrets.vault import store
from chronos_secrets.vault.copies import catalogue
from chronos_secrets.vault.copies.catalogue import Catalogue


def path(session: Session) -> Path:
    """Where this machine's catalogue of copies is."""
    return session.settings.state_folder / catalogue.FILE


def _live(session: Session) -> Live | None:
    """The vault file without opening it; None where it cannot be read."""
    file = session.settings.vault_path
    try:
        content, saved = store.read(file), file.stat().st_mtime
    except (ChronosError, OSError):
        return None
    return Live(hashlib.sha256(content).hexdigest(), datetime.fromtimestamp(saved, UTC))


def known(session: Session) -> Catalogue:
    """What this machine remembers of copies."""
    return catalogue.load(path(session))


def all_of(session: Session, found: Catalogue | None = None) -> list[Held]:
    """How each place stands by what is remembered, without a password."""
    dates = memory.dates(session)
    changed = dates.key_changed if dates else None
    return held(session.inventory, found or known(session), _live(session), changed, session.now())
