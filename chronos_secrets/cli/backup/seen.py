"""What this machine saw of the backups when it last looked, for `due`, which asks nobody: their names, times, sizes."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from chronos_secrets.amounts import moment
from chronos_secrets.cli import output
from chronos_secrets.cli.session import Session
from chronos_secrets.pgbackrest import info
from chronos_secrets.pgbackrest.info import Stanza
from chronos_secrets.review.backup_rows import Seen
from chronos_secrets.review.page import BackupLine, backup_lines
from chronos_secrets.systems import files

FILE = "backups-seen.json"
_VERSION = 1


def remember(session: Session, stanza: Stanza) -> None:
    """Keep what was told of a stanza; one whose repository cannot be read tells nothing. A failure is only said."""
    if stanza.code not in (info.OK, info.NO_BACKUP):
        return
    folder = session.settings.state_folder
    try:
        keep(folder, stanza, session.now())
    except OSError as error:
        output.say(f"what was seen cannot be kept for `due`: {folder}: {files.reason(error)}")


def keep(state: Path, stanza: Stanza, at: datetime) -> None:
    """Keep what was seen at a moment. Raises OSError."""
    full = max((each.stopped for each in stanza.backups if each.kind == "full"), default=None)
    lines = [{**each._asdict(), "stopped": each.stopped.isoformat()} for each in backup_lines(stanza)]
    told = {
        "version": _VERSION, "at": at.isoformat(), "full": full.isoformat() if full else None,
        "backups": lines,
    }  # fmt: skip
    files.write_durably(files.private_folder(state) / FILE, json.dumps(told).encode())


def load(state: Path) -> Seen | None:
    """What was seen last; None where nothing was, or nothing that can be read."""
    try:
        told = json.loads((state / FILE).read_bytes())
        if told["version"] != _VERSION:
            return None
        return Seen(moment(told["at"]), moment(told["full"]) if told["full"] else None)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def lines(state: Path) -> list[BackupLine] | None:
    """The backups that were there then; None where nothing was seen, or nothing that can be read."""
    try:
        told = json.loads((state / FILE).read_bytes())
        return [_line(each) for each in told["backups"]] if told["version"] == _VERSION else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _line(row: dict[str, Any]) -> BackupLine:
    first, last = row["wal"]
    return BackupLine(**{**row, "stopped": moment(row["stopped"]), "wal": (first, last)})
