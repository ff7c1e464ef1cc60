"""Where the git repository of a folder is kept elsewhere. Names and passwords that stand in an address are left out."""

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from chronos_secrets.systems import files

# `git config` and not `git remote`: the latter puts in what url.*.insteadOf says, and people keep tokens there.
_REMOTES = ("git", "config", "--null", "--get-regexp", r"^remote\..*\.url$")
_NOT_SHOWN = "an address that cannot be shown here; see: git remote -v"
_TIMEOUT = 20


def remotes(folder: Path) -> list[tuple[str, str]]:
    """Name and address of each remote of the work tree that holds `folder`; none where git knows none. Never raises."""
    tree = files.work_tree(folder)
    if tree is None:
        return []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        asked = subprocess.run(_REMOTES, cwd=tree, env=environment, capture_output=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = (line.partition("\n") for line in asked.stdout.decode(errors="replace").split("\0") if line)
    return [(key.removeprefix("remote.").removesuffix(".url"), bare(url)) for key, _, url in found]


def bare(address: str) -> str:
    """An address without what signs somebody in: the user name stays for ssh alone, where it is part of the place."""
    scheme, separator, _ = address.partition("://")
    if not separator:  # a path, or ssh's short form user@host:path
        user, at, rest = address.partition("@")
        return f"{user.partition(':')[0]}@{rest}" if at and "/" not in user else address
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return _NOT_SHOWN
    user = f"{parts.username}@" if scheme in ("ssh", "git+ssh") and parts.username else ""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    if not re.fullmatch(r"[\w.\[\]:-]*", host):
        return _NOT_SHOWN
    return f"{scheme}://{user}{host}{port}{parts.path}"
