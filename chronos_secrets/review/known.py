"""Keeping the scanner's index of the vault's values current: whenever the vault was opened, and it costs nothing.

Which values are in it: sought.py, imported only when there is something to do.
"""

import contextlib
import hashlib
import os
from datetime import datetime
from pathlib import Path

from chronos_secrets import __version__
from chronos_secrets.errors import ChronosError
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.scan import sealed
from chronos_secrets.scan.found import Trouble
from chronos_secrets.systems import files
from chronos_secrets.vault import store
from chronos_secrets.vault.store import Vault

INDEX, KEY = sealed.INDEX_NAME, sealed.KEY_NAME


def refresh(vault: Vault, inventory: Inventory, index: Path, key: Path, now: datetime) -> bool:
    """Write the index anew if it is not that of this vault and inventory; whether it was written. Raises OSError."""
    state = _state(vault, inventory)
    if sealed.is_current(str(index), str(key), state):
        return False
    from chronos_secrets.review import sought
    from chronos_secrets.scan.index import Source, build

    found = sought.choose(vault, inventory)
    source = Source(os.path.abspath(vault.path), _stamp(vault), state, int(now.timestamp()))
    content = build(_key(key), os.urandom(sealed.NONCE_SIZE), source, found.values, found.left)
    files.write_durably(files.private_folder(index.parent) / index.name, content)
    return True


def _state(vault: Vault, inventory: Inventory) -> bytes:
    """All that decides what is in the index."""
    rows = [(row.id, row.kind, row.entry, row.fields) for row in inventory.credentials.values()]
    path = os.path.abspath(vault.path)
    try:
        stamp = sealed.stamp_of(path)
    except OSError:
        stamp = ""
    said = (sorted(inventory.scan.allow), sorted(inventory.scan.secret))
    return vault.digest + f"{__version__}\n{path}\n{stamp}\n{rows}\n{said}".encode("utf-8", "surrogateescape")


def _stamp(vault: Vault) -> str:
    """The file's stamp if it is still what was opened; "" if another program may have saved it in between."""
    try:
        stamp = sealed.stamp_of(os.path.abspath(vault.path))
        return stamp if hashlib.sha256(store.read(vault.path)).digest() == vault.digest else ""
    except (OSError, ChronosError):
        return ""


def _key(path: Path) -> bytes:
    """The project's key, made where there is none. Raises OSError."""
    for _ in range(2):
        with contextlib.suppress(FileNotFoundError, Trouble):
            key = sealed.read(str(path))
            if len(key) == sealed.KEY_SIZE:
                return key
            path.unlink()  # cut short: whatever it opened cannot be opened any more
        with contextlib.suppress(FileExistsError):  # another command made one at the same time
            made = os.urandom(sealed.KEY_SIZE)
            files.write_durably(files.private_folder(path.parent) / path.name, made, replace=False)
    return sealed.read(str(path))
