"""`cloud`: the bucket of the backups and the user that writes it, from the inventory's section cloud."""

import click

from chronos_secrets.cli.lazy import Lazy, LazyGroup

COMMANDS: dict[str, Lazy] = {}


@click.group(cls=LazyGroup, table=COMMANDS)
def cloud() -> None:
    """Make the bucket of the backups and its user what the inventory says, and look what they are.

    The admin session of the inventory's profile is used, and nothing is changed but by `apply`.
    """
