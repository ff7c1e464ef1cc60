"""Vaults beside the vault that a synchronising program made, because two machines had saved it.

Each holds work that the vault may lack. Only a merge brings it in; whoever just removes the copy loses it.
"""

import os
import re
import shlex
from pathlib import Path

# What is put between the name and its ending (or, by Seafile, after it): Nextcloud and ownCloud " (conflicted copy DATE
# TIME)", Dropbox " (NAME's conflicted copy DATE)", Syncthing ".sync-conflict-DATE-TIME-DEVICE", Seafile " (SFConflict
# NAME DATE)", Resilio ".Conflict", Google Drive " (1)", iCloud " 2". OneDrive adds the name of a computer, which cannot
# be told from a name that a person gave.
_MARK = re.compile(r".*conflict.*| ?\([0-9]{1,2}\)| [0-9]{1,2}", re.IGNORECASE)


def copies(vault: Path) -> list[Path]:
    """The conflicted copies beside the vault file, or beside what it links to; none where nobody may look."""
    real = Path(os.path.realpath(vault))
    try:
        around = sorted(real.parent.iterdir())
    except OSError:
        return []
    return [each for each in around if each != real and _is_copy(each.name, real) and each.is_file()]


def merge(vault: Path, copy: Path, *, key_file: str | None) -> str:
    """The command line by which KeePassXC brings the work in `copy` into the vault and then removes `copy`.

    It asks for the vault's password, which must be the copy's, too.
    """
    key = ("--key-file", key_file) if key_file else ()
    argv = ("keepassxc-cli", "merge", "--same-credentials", *key, str(vault), str(copy))
    return f"{shlex.join(argv)} && {shlex.join(('rm', str(copy)))}"


def _is_copy(name: str, real: Path) -> bool:
    if not name.startswith(real.stem) or real.suffix not in name:
        return False
    return _MARK.fullmatch(name.removeprefix(real.stem).replace(real.suffix, "", 1)) is not None
