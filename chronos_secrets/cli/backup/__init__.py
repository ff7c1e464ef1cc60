"""`backup`: the database backups, from the inventory's sections pgbackrest and postgres."""

import click

from chronos_secrets.cli.lazy import Lazy, LazyGroup

COMMANDS: dict[str, Lazy] = {}


@click.group(cls=LazyGroup, table=COMMANDS)
def backup() -> None:
    """Run, watch, restore and prove the database backups.

    pgBackRest does the work, where the inventory says that it runs, with the file that `render` placed there.
    """
