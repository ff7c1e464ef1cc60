"""Traps of restores and drills, in scripts, runbooks, crontabs and the inventory. Pure."""

import re
from collections.abc import Iterator

from chronos_secrets.inventory.model import LOCAL
from chronos_secrets.review.design.commands import Call
from chronos_secrets.review.design.facts import Facts
from chronos_secrets.review.design.trap import NOTE, RISKY, WRONG, Evidence, Trap, said

_ZONE = re.compile(r"([+-]\d{2}(:?\d{2})?|Z|UTC)$")
_STOPS = frozenset({"time", "name", "xid", "lsn", "immediate"})
_RESTORE = "chronos-secrets backup restore"


def _restores(facts: Facts) -> list[Call]:
    return [call for call in facts.all_calls if call.command == "restore"]


def _immediate(facts: Facts) -> Iterator[Evidence]:
    for call in _restores(facts):
        if call.options.get("type") == "immediate":
            yield Evidence(call.where, "restore --type=immediate")


def _stopped(facts: Facts) -> Iterator[Evidence]:
    inventory = facts.inventory
    host = inventory.hosts.get(facts.backups.host) if facts.backups.host != LOCAL else None
    if host and host.container and (inventory.postgres is None or inventory.postgres.service is None):
        yield said("postgres.service", f"is not set, and pgBackRest runs in the container {host.container}")
    for call in _restores(facts):
        if call.by_exec:
            yield Evidence(call.where, "restore is run by exec in the container that has to be stopped for it")


def _pauses(facts: Facts) -> Iterator[Evidence]:
    for call in _restores(facts):
        if call.options.get("type") in _STOPS and "target-action" not in call.options:
            yield Evidence(call.where, f"restore --type={call.options['type']} without --target-action")


def _zoneless(facts: Facts) -> Iterator[Evidence]:
    for call in _restores(facts):
        target = call.options.get("target", "")
        if call.options.get("type") == "time" and not _ZONE.search(target):
            yield Evidence(call.where, "the target has no timezone")


def _archives(facts: Facts) -> Iterator[Evidence]:
    """A restore to another folder than the database's own: a drill, or a copy."""
    database = facts.inventory.postgres
    for call in _restores(facts):
        place = call.options.get("pg1-path")
        elsewhere = place is not None and (database is None or place.rstrip("/") != database.data.rstrip("/"))
        if elsewhere and call.options.get("archive-mode") != "off":
            yield Evidence(call.where, "a restore beside the database without --archive-mode=off")


def _never_proved(facts: Facts) -> Iterator[Evidence]:
    objectives = facts.backups.objectives
    if any((task.run or ())[:2] == ("backup", "drill") for task in facts.inventory.tasks.values()):
        return
    if objectives is None or objectives.drill is None:
        yield said("tasks", "none runs backup drill, and pgbackrest.objectives has no drill")


def _unbounded(facts: Facts) -> Iterator[Evidence]:
    objectives = facts.backups.objectives
    missing = [name for name in ("rpo", "rto") if objectives is None or getattr(objectives, name) is None]
    if missing:
        yield said("pgbackrest.objectives", f"has no {' and no '.join(missing)}")


TRAPS = (
    Trap(
        "restore-immediate", WRONG, "a restore of everything stops at the end of the backup",
        "--type=immediate ends as soon as the database is consistent: every commit after the backup is lost",
        f"leave out --type; or {_RESTORE}", _immediate, ("jobs",),
    ),
    Trap(
        "exec-into-stopped", WRONG, "a restore is meant to run in a container that is stopped",
        "PostgreSQL has to be down, and it is the container's main process: exec into a stopped container fails (255)",
        f"service: {{host: HOST, compose: FOLDER, name: SERVICE, volume: VOLUME}} below postgres:, then {_RESTORE}: "
        "it runs a container of its own on the same volume",
        _stopped, ("jobs",),
    ),
    Trap(
        "pitr-pauses", RISKY, "a restore to a point in time leaves the server read-only",
        "without --target-action=promote the server waits at the target for pg_wal_replay_resume()",
        f"--target-action=promote; or {_RESTORE}", _pauses, ("jobs",),
    ),
    Trap(
        "pitr-timezone", RISKY, "a point in time has no timezone",
        "without one it is the local time of the server, not of the person who types it",
        f'--target="YYYY-MM-DD HH:MM:SS+00"; or {_RESTORE}', _zoneless, ("jobs",),
    ),
    Trap(
        "drill-archives", WRONG, "a restored copy archives into the repository of the original",
        "it has the same archive_command: its WAL and that of production mix, and archiving of production fails",
        "--archive-mode=off; or chronos-secrets backup drill", _archives, ("jobs",),
    ),
    Trap(
        "never-proved", RISKY, "no restore is ever proved",
        "a backup that was never restored is a hope; check and verify do not start a database",
        "restore-test: {title: Test restore, every: 1 month, from: DAY, run: [backup, drill]} below tasks:",
        _never_proved,
    ),
    Trap(
        "no-objectives", NOTE, "nobody said how much may be lost, or how long a restore may take",
        "without a number nothing can be judged: not archive_timeout, not a drill",
        "objectives: {rpo: 15 minutes, rto: 1 hour} below pgbackrest:", _unbounded,
    ),
)  # fmt: skip
