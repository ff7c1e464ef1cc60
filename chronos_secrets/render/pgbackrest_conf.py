"""No pgbackrest.conf is written that pgBackRest would refuse, or accept and do something else."""

from chronos_secrets.errors import ConfigRefused
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.pgbackrest import binary, lint
from chronos_secrets.render.destinations import Plan


def refuse_faulty(plan: Plan, inventory: Inventory) -> None:
    """Check a destination of the dialect pgbackrest by our own rules, and by the real program where it is installed.

    Raises ConfigRefused with every problem; other dialects pass.
    """
    if plan.draft.destination.dialect != "pgbackrest":
        return
    stanza = inventory.pgbackrest.stanza if inventory.pgbackrest else None
    problems = lint.lint(plan.content.reveal(), stanza=stanza)
    if not problems and stanza is not None:
        problems = binary.lint_with_binary(plan.content, stanza=stanza) or []
    if problems:
        raise ConfigRefused(
            f"{plan.draft.destination.id} would not be a working pgbackrest.conf; nothing was changed",
            details=[_line(problem) for problem in problems],
            hint="correct its template or the sections pgbackrest, postgres and cloud of the inventory",
        )


def _line(problem: lint.Problem) -> str:
    where = f"line {problem.line}: " if problem.line else ""
    return f"{where}{problem.message}; {problem.fix}" if problem.fix else f"{where}{problem.message}"
