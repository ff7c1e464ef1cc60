"""`backup`: the database backups, from the inventory's sections pgbackrest and postgres."""

import click

from chronos_secrets.cli.lazy import Lazy, LazyGroup

COMMANDS: dict[str, Lazy] = {
    "full": Lazy("backup.runs:full", "Make a full backup."),
    "diff": Lazy("backup.runs:diff", "Back up what changed since the last full backup."),
    "incr": Lazy("backup.runs:incr", "Back up what changed since the last backup."),
    "info": Lazy("backup.info:info", "List the backups of the repository."),
    "status": Lazy("backup.status:status", "Say how the backups stand, and why not."),
    "check": Lazy("backup.runs:check", "Prove that WAL reaches the repository."),
    "verify": Lazy("backup.verify:verify", "Read the whole repository, and find what is missing or damaged."),
    "expire": Lazy("backup.runs:expire", "Let go what the retention no longer keeps."),
    "stanza-create": Lazy("backup.runs:stanza_create", "Prepare the repository for the database."),
    "configure": Lazy("backup.configure:configure", "Give the database the settings that its backups need."),
    "restore": Lazy("backup.restore:restore", "Restore the database, now or as it was at a time."),
    "drill": Lazy("backup.drill:drill", "Restore the newest backup in a scratch place, prove it and measure it."),
    "logs": Lazy("backup.logs:logs", "Show what pgBackRest logged, and what the archiver failed at."),
}
"""Each command, in the order of `--help`."""


@click.group(cls=LazyGroup, table=COMMANDS)
def backup() -> None:
    """Run, watch, restore and prove the database backups.

    pgBackRest does the work, where the inventory says that it runs, with the file that `render` placed there.
    """
