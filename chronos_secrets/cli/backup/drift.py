"""Before pgBackRest runs: is its file on the host what `render` would write?"""

from typing import Any, ClassVar

import click

from chronos_secrets.cli import trust
from chronos_secrets.cli.backup.place import Place
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import ChronosError, Exit

SECTIONS = ("postgres", "pgbackrest")

option = click.option(
    "--no-drift-check", "unchecked", is_flag=True,
    help="Take the configuration on the host as it is; the vault is not opened.",
)  # fmt: skip
"""The flag of every command that runs pgBackRest; it arrives as `unchecked`."""


class Drifted(ChronosError):
    """The configuration on the host is not what the vault and the inventory say: the answer is no."""

    exit: ClassVar[Exit] = Exit.NO
    code: ClassVar[str] = "drift"


def require_current(session: Session, place: Place, *, check: bool, again: str) -> None:
    """Make sure that what pgBackRest is about to read is what `render` would write there.

    Without `check` the vault is not opened. Asks for trust first, in both cases. `again` is the command that the person
    gave. Raises Drifted, what `trust.require` raises, and with `check` what `render --check` raises.
    """
    destinations = [place.file.id] if check else []
    trust.require(session, destinations=destinations, sections=SECTIONS)
    if not check:
        return
    from chronos_secrets.cli import render
    from chronos_secrets.render.plan import difference

    plan: Any = render.drifted(session, place.file.id)
    if plan is not None:
        raise Drifted(
            f"{plan.where} is not what `render {place.file.id}` would write",
            details=difference(plan),
            hint=f"chronos-secrets render {place.file.id}    # or {again} --no-drift-check",
        )
