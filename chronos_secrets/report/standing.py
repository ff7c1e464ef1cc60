"""How the backups stand, as lines of a table and as JSON."""

from typing import Any

from chronos_secrets.report.backup import JsonRow, iso

HEADERS = ("LINE", "STATE", "WHY")
SETTING_HEADERS = ("SETTING", "TAKES", "IS, AND SHOULD BE")
_OWN_FILE = "postgresql.auto.conf"


def line(each: Any) -> tuple[str, ...]:
    """One line of `backup status`."""
    return each.name, str(each.mark), each.why


def line_json(each: Any) -> JsonRow:
    return {"name": each.name, "state": _STATES[each.mark], "why": each.why, "fix": each.fix or None}


_STATES = {"ok": "ok", "NO": "no", "-": "open"}


def facts_json(facts: Any) -> JsonRow:
    """What was found out, for a program that judges by itself; null is not known. Times are UTC, sizes are bytes."""
    stanza, archiver = facts.stanza, facts.archiver
    return {
        "repository": None if stanza is None else {"code": stanza.code, "backup_runs": stanza.backup_runs},
        "backups": [] if stanza is None else [_backup(each) for each in stanza.backups],
        "last_segment": facts.last_segment,
        "oldest_waiting_commit": iso(facts.waiting),
        "archiver": None if archiver is None else {
            "last_segment": archiver.last, "last_at": iso(archiver.last_at), "failures": archiver.failed,
            "failed_at": iso(archiver.failed_at), "bytes_behind": archiver.behind(facts.last_segment),
        },
        "settings": [difference_json(each) for each in facts.differences],
        "verified": iso(facts.verified),
        "proved_by_drill": facts.drilled.isoformat() if facts.drilled else None,
    }  # fmt: skip


def _backup(each: Any) -> JsonRow:
    return {
        "label": each.label, "kind": each.kind, "started": iso(each.started), "stopped": iso(each.stopped),
        "size": each.size, "repository_size": each.repo_size, "error": each.error,
    }  # fmt: skip


def difference_json(each: Any) -> JsonRow:
    """A setting that is not as it should be."""
    found = each.setting
    return {
        "name": found.name, "is": found.value, "should": each.should, "why": each.why, "takes": found.effect,
        "set": each.is_set, "from": found.line or found.source,
    }  # fmt: skip


def difference_line(each: Any) -> tuple[str, ...]:
    """The same as a line: where it comes from is said where ALTER SYSTEM did not set it."""
    found = each.setting
    place = found.line or (found.source if found.source != "default" else "")
    origin = f" (from {place})" if place and _OWN_FILE not in place else ""
    said = f"{found.value or 'empty'}{origin}; should be {each.should or 'empty'}: {each.why}"
    return found.name, f"{found.effect}, set" if each.is_set else found.effect, said
