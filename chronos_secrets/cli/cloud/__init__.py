"""`cloud`: the bucket of the backups and the user that writes it, from the inventory's section cloud."""

import click

from chronos_secrets.cli.lazy import Lazy, LazyGroup

COMMANDS: dict[str, Lazy] = {
    "plan": Lazy("cloud.plan:plan", "Show what differs from the inventory, and change nothing."),
    "apply": Lazy("cloud.apply:apply", "Make the bucket and its users what the inventory says."),
    "audit": Lazy("cloud.audit:audit", "Judge the bucket and the user by what security benchmarks ask."),
    "cost": Lazy("cloud.cost:cost", "Reckon what the bucket costs a month, line by line."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def cloud() -> None:
    """Make the bucket of the backups and its user what the inventory says, and look what they are.

    The admin session of the inventory's profile is used, and nothing is changed but by `apply`.
    """
