"""Traps of how backups are made: times, WAL, retention, the configuration, and who notices a failure. Pure."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

from chronos_secrets.inventory import cron, firings
from chronos_secrets.inventory.model import Every, Inventory, PgBackRest
from chronos_secrets.review.design.facts import Facts, known
from chronos_secrets.review.design.trap import NOTE, RISKY, WRONG, Evidence, Trap, said
from chronos_secrets.review.doctor.copies import is_off_site

# --- times ------------------------------------------------------------------------------------------------------------


def _collide(facts: Facts) -> Iterator[Evidence]:
    """Also what an old crontab starts beside the inventory's own timers. cron goes by the clock of its host."""
    schedule = facts.backups.schedule
    zone = ZoneInfo(schedule.timezone if schedule else "UTC")
    for (where, first, one), (other_where, second, other) in itertools.combinations(_starts(facts), 2):
        if (at := firings.together(one, other)) is not None:
            yield Evidence(other_where, f"{second} starts with {first} of {where} at {at}")
        elif (day := firings.moved_together(one, other, zone)) is not None:
            yield Evidence(other_where, f"{second} starts with {first} of {where} on {day}, when the clocks change")


def _starts(facts: Facts) -> Iterator[tuple[str, str, str]]:
    """Where a backup is started from, its type and its line of cron: what the inventory says first."""
    schedule = facts.backups.schedule
    for type_, line in schedule.starts.items() if schedule else ():
        yield f"inventory.yaml, pgbackrest.schedule.{type_}", type_, line
    yield from ((job.call.where, job.type, job.line) for job in facts.backup_jobs)


def _differentials(facts: Facts) -> Iterator[Evidence]:
    """Differentials more often than daily, and nothing that ships the WAL in time."""
    objectives = facts.backups.objectives
    if facts.backups.archive_timeout is not None or objectives is None or objectives.rpo is None:
        return
    for where, type_, line in _starts(facts):
        if type_ != "full" and len(cron.parse(line).hours) > 1:
            yield Evidence(where, f"{type_} several times a day, for an rpo of {_shown(objectives.rpo)}")


# --- WAL --------------------------------------------------------------------------------------------------------------


def _too_late(facts: Facts) -> Iterator[Evidence]:
    rpo = facts.backups.objectives.rpo if facts.backups.objectives else None
    promised = f", and the rpo is {_shown(rpo)}" if rpo else ""
    timeout = facts.backups.archive_timeout
    if not timeout:
        yield said("pgbackrest.archive_timeout", f"is not set{promised}")
    elif rpo and timeout > rpo:
        yield said("pgbackrest.archive_timeout", f"is {_shown(timeout)}{promised}")
    live = known(facts.database, {}).get("archive_timeout")
    if live is None:
        return
    seconds = timedelta(seconds=int(live.value))
    if not seconds or (rpo and seconds > rpo):
        yield Evidence(live.where, f"archive_timeout is {live.value} s{promised}")


def _not_archiving(facts: Facts) -> Iterator[Evidence]:
    settings = known(facts.database, {})
    mode, command = settings.get("archive_mode"), settings.get("archive_command")
    if mode and mode.value not in ("on", "always"):
        yield Evidence(mode.where, f"archive_mode is {mode.value}")
    elif command and "pgbackrest" not in command.value:
        yield Evidence(command.where, "archive_command does not call pgbackrest")


# --- retention --------------------------------------------------------------------------------------------------------


def _counts_fulls(facts: Facts) -> Iterator[Evidence]:
    """Whether differentials go before the fulls that they belong to."""
    repo, schedule = facts.backups.repo, facts.backups.schedule
    config = known(facts.config, None)
    counted = config.having("repo1-retention-diff") if config else []
    diffs = schedule.diff is not None if schedule else any(job.type == "diff" for job in facts.backup_jobs)
    if not diffs:
        return
    if repo.retention_diff is not None and repo.retention_diff <= repo.retention_full:
        yield said("pgbackrest.repo.retention_diff", f"is {repo.retention_diff}, beside {_fulls(repo.retention_full)}")
    for each in counted:
        if each.value != str(repo.retention_diff) and each.value.isdigit() and int(each.value) <= repo.retention_full:
            yield Evidence(each.where, f"{each.name} is {each.value}, beside {_fulls(repo.retention_full)}")


def _fulls(number: int) -> str:
    return f"{number} full ones, which count as differential ones, too"


def _history(facts: Facts) -> Iterator[Evidence]:
    """Manifests of backups that are gone: they stay, unless something else ends them."""
    config, cloud = known(facts.config, None), facts.inventory.cloud
    if config is None or config.having("repo1-retention-history"):
        return
    lifecycle = cloud.lifecycle if cloud else None
    if cloud and lifecycle and lifecycle.expire and (lifecycle.noncurrent or not cloud.bucket.versioning):
        return
    yield Evidence(config.name, "repo1-retention-history is not set")


# --- the configuration ------------------------------------------------------------------------------------------------


def _ssh_to_itself(facts: Facts) -> Iterator[Evidence]:
    """Where pgBackRest runs on the database's own host."""
    config, database = known(facts.config, None), facts.inventory.postgres
    if config and database and database.host == facts.backups.host:
        for each in config.options:
            if each.name.startswith("pg") and each.name.endswith("-host"):
                yield Evidence(each.where, f"{each.name} is set, and the database is on the same host")


def _faults(facts: Facts) -> Iterator[Evidence]:
    config = known(facts.config, None)
    if config is None:
        return
    for each in config.problems:
        where = f"{config.name}:{each.line}" if each.line else config.name
        yield Evidence(where, f"{each.message}; {each.fix}" if each.fix else each.message)


def _open_to_others(facts: Facts) -> Iterator[Evidence]:
    config = known(facts.config, None)
    if config and config.mode is not None and config.mode & 0o077:
        yield Evidence(config.name, f"its mode is {config.mode:04o}")
    file = facts.inventory.destinations[facts.backups.config]
    if file.mode & 0o077:
        yield said(f"destinations.{file.id}.mode", f"is {file.mode:04o}")


def _single_file(facts: Facts) -> Iterator[Evidence]:
    path = facts.inventory.destinations[facts.backups.config].path
    for each in known(facts.binds, ()):
        if path in (each.source, each.inside):
            yield Evidence(f"mounts of the container: {each.inside}", f"the file {each.source} is mounted alone")


# --- the passphrase ---------------------------------------------------------------------------------------------------


def _ciphers(inventory: Inventory, backups: PgBackRest) -> list[str]:
    used = inventory.destinations[backups.config].credentials
    return [each for each in used if inventory.credentials[each].kind == "passphrase"]


def _one_place(facts: Facts) -> Iterator[Evidence]:
    """Whether whoever lost this machine and the database's gets at it: on paper, or in a copy that is elsewhere."""
    copies = [each for each in facts.inventory.vault.copies.values() if each.kind == "usb" or is_off_site(each)]
    for name in _ciphers(facts.inventory, facts.backups):
        paper = facts.inventory.credentials[name].paper
        if not paper and all(name in (copy.needs or ()) for copy in copies):
            why = "every copy of the vault elsewhere needs it" if copies else "no copy of the vault is elsewhere"
            yield said(f"credentials.{name}.paper", f"is false, and {why}")


def _rotated(facts: Facts) -> Iterator[Evidence]:
    for name in _ciphers(facts.inventory, facts.backups):
        rule = facts.inventory.credentials[name].rule
        if isinstance(rule, Every):
            yield said(f"credentials.{name}.every", f"is {rule.interval}")


def _in_clear(facts: Facts) -> Iterator[Evidence]:
    if facts.backups.repo.cipher == "none":
        yield said("pgbackrest.repo.cipher", "is none")


# --- who notices ------------------------------------------------------------------------------------------------------


def _nobody_hears(facts: Facts) -> Iterator[Evidence]:
    """A line of cron with nothing behind `||`: whether anybody gets its mail is not known, and seldom so."""
    for job in known(facts.jobs, ()):
        if "||" not in job.call.after:
            yield Evidence(job.call.where, f"the status of pgbackrest {job.call.command} goes nowhere")


_TOLD_BY_TEXT = frozenset({"info", "verify"})


def _status_trusted(facts: Facts) -> Iterator[Evidence]:
    for call in facts.all_calls:
        if call.command in _TOLD_BY_TEXT and call.after[:1] in (("&&",), ("||",)):
            yield Evidence(call.where, f"what follows pgbackrest {call.command} goes by its exit status")


def _nobody_looks(facts: Facts) -> Iterator[Evidence]:
    runs = [task.run or () for task in facts.inventory.tasks.values()]
    if not any(run[:2] in (("backup", "status"), ("backup", "check")) for run in runs):
        yield said("tasks", "none runs backup status or backup check")


def _shown(time: timedelta) -> str:
    seconds = int(time.total_seconds())
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"


TRAPS = (
    Trap(
        "schedule-collision", WRONG, "two backups start in the same minute",
        "pgBackRest makes one backup at a time: the later one fails (50), and where that is "
        "the full one, there is none",
        'schedule: {full: "0 11 * * *", diff: "0 5,17,23 * * *"}, and what else starts backups removed: '
        "chronos-secrets schedule install",
        _collide, ("jobs",),
    ),
    Trap(
        "rpo-archive-timeout", WRONG, "commits are archived later than promised, or never",
        "a commit is safe when its WAL segment is archived: without archive_timeout that is when 16 MB are full",
        "archive_timeout: 5 minutes below pgbackrest:, then chronos-secrets backup configure",
        _too_late, ("database",),
    ),
    Trap(
        "archiving-off", WRONG, "the database does not archive its WAL",
        "without it a restore ends with the last backup, and no point in time can be chosen",
        "chronos-secrets backup configure", _not_archiving, ("database",),
    ),
    Trap(
        "diff-for-rpo", NOTE, "differential backups are taken for a bound on the loss",
        "they shorten a restore; how much is lost is decided by the archiving of WAL alone",
        "archive_timeout: 5 minutes below pgbackrest:", _differentials,
    ),
    Trap(
        "retention-diff-counts-fulls", RISKY, "differential backups go before the full ones that they belong to",
        "repo1-retention-diff counts full backups, too: with as many fulls, only those after the last full are kept",
        "leave out retention_diff: then each differential goes with its full", _counts_fulls, ("config",),
    ),
    Trap(
        "backup-history", NOTE, "manifests of expired backups are kept for ever",
        "pgBackRest keeps a file below backup.history for each backup, unless it is told for how many days",
        "repo1-retention-history=365, in a template of your own, or expire: and noncurrent: of the lifecycle",
        _history, ("config",),
    ),
    Trap(
        "pg-host", WRONG, "pgBackRest is told to reach its own host by ssh",
        "pg1-host means ssh, even to the same machine: check, backup, archive-push and restore fail (27, 56, 72)",
        "remove the line pg1-host=", _ssh_to_itself, ("config",),
    ),
    Trap(
        "config-faults", WRONG, "pgbackrest.conf does not say what it seems to say",
        "pgBackRest only warns of an unknown option, and says nothing at all of an unknown section",
        "chronos-secrets render", _faults, ("config",),
    ),
    Trap(
        "config-mode", WRONG, "others may read pgbackrest.conf",
        "it holds the key of the bucket and the passphrase, and pgBackRest never looks at its mode",
        'mode: "0600" of the destination, then chronos-secrets render', _open_to_others, ("config",),
    ),
    Trap(
        "single-file-mount", WRONG, "a container has pgbackrest.conf mounted as a single file",
        "when the file is replaced, the container keeps the old one, with the old key",
        "mount the folder: - ./pgbackrest:/etc/pgbackrest, then docker compose up -d", _single_file, ("binds",),
    ),
    Trap(
        "cipher-one-place", WRONG, "the passphrase of the backups is in one place only",
        "without it no backup can be read by anybody, and it is needed on the day when the rest is lost",
        "paper: true in its row, then chronos-secrets emergency sheet", _one_place,
    ),
    Trap(
        "cipher-rotated", WRONG, "the passphrase of the backups is rotated by plan",
        "it cannot be changed in place: another one makes every command fail, and the backups that exist unreadable",
        'never: "a new key makes every existing backup unreadable"', _rotated,
    ),
    Trap(
        "repo-unencrypted", RISKY, "the repository is not encrypted by pgBackRest",
        "who can read the bucket reads the database; a passphrase without cipher-type is ignored without a word",
        "a new repository with cipher: aes-256-cbc; an existing one cannot be changed", _in_clear,
    ),
    Trap(
        "cron-unheard", RISKY, "nobody hears of a backup that cron starts and that fails",
        "cron looks at no status: it mails what a line prints, where that is not sent to a log and the host can mail",
        "chronos-secrets schedule install, and remove the line", _nobody_hears, ("jobs",),
    ),
    Trap(
        "status-trusted", WRONG, "an exit status is trusted that says nothing",
        "info ends with 0 with a dead key, verify with missing and with damaged files: only their text says it",
        "chronos-secrets backup verify; chronos-secrets backup status", _status_trusted, ("jobs",),
    ),
    Trap(
        "nobody-looks", RISKY, "no task looks at the backups",
        "backups that stop make no noise: somebody has to ask how old the newest one is",
        'backup-review: {title: Check recent backups, every: 1 week, from: DAY, run: [backup, status]} below tasks:',
        _nobody_looks,
    ),
)  # fmt: skip
