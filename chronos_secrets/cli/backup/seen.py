"""What this machine saw of the backups when it last looked, for `due`, which asks nobody. It holds times only."""

import json
from datetime import datetime
from pathlib import Path

from chronos_secrets.cli import output
from chronos_secrets.cli.session import Session
from chronos_secrets.pgbackrest import info
from chronos_secrets.pgbackrest.info import Stanza
from chronos_secrets.review.backup_rows import Seen
from chronos_secrets.systems import files

FILE = "backups-seen.json"
_VERSION = 1


def remember(session: Session, stanza: Stanza) -> None:
    """Keep what was told of a stanza; one whose repository cannot be read tells nothing. A failure is only said."""
    if stanza.code not in (info.OK, info.NO_BACKUP):
        return
    full = max((each.stopped for each in stanza.backups if each.kind == "full"), default=None)
    told = {"version": _VERSION, "at": session.now().isoformat(), "full": full.isoformat() if full else None}
    folder = session.settings.state_folder
    try:
        files.write_durably(files.private_folder(folder) / FILE, json.dumps(told).encode())
    except OSError as error:
        output.say(f"what was seen cannot be kept for `due`: {folder}: {files.reason(error)}")


def load(state: Path) -> Seen | None:
    """What was seen last; None where nothing was, or nothing that can be read."""
    try:
        told = json.loads((state / FILE).read_bytes())
        if told["version"] != _VERSION:
            return None
        return Seen(datetime.fromisoformat(told["at"]), datetime.fromisoformat(told["full"]) if told["full"] else None)
    except (OSError, ValueError, KeyError, TypeError):
        return None
