"""The inventory: can it be read, do its templates work, and is its reach accepted on this machine?"""

from collections.abc import Iterator

from chronos_secrets.render import trust
from chronos_secrets.review import check
from chronos_secrets.review.doctor.machine import Line, Machine, Project, failed, note, ok, wrong


def examine(machine: Machine) -> Iterator[Line]:
    """What `check --offline` says, and what `trust` would ask."""
    if machine.project is None:
        if machine.trouble is not None:
            yield failed(machine.trouble)
        return
    inventory = machine.project.inventory
    yield ok(
        f"{len(inventory.credentials)} credentials, {len(inventory.destinations)} destinations", str(inventory.path)
    )
    findings = check.offline(inventory, machine.home)
    for finding in findings:
        yield wrong(f"{finding.where}: {finding.message}", fix=finding.fix)
    if not any(finding.where in inventory.destinations for finding in findings):  # else the reach cannot be told
        yield _reach(machine, machine.project)


def _reach(machine: Machine, project: Project) -> Line:
    inventory = project.inventory
    known = accepted(machine, project)
    now = trust.reach(inventory, machine.home, trust.everything(inventory), machine.drafts)
    subjects = list(dict.fromkeys(each.subject for each in trust.grown(now, known.reach)))
    if not subjects:
        return ok("its reach is accepted")
    if known.first:
        return note(
            f"nobody has accepted its reach on this machine yet: {_some(subjects)}", fix="chronos-secrets trust"
        )
    return wrong(f"it reaches further than was accepted here: {_some(subjects)}", fix="chronos-secrets trust")


def accepted(machine: Machine, project: Project) -> trust.Accepted:
    """What this machine accepts of the inventory; before its first use, what does no harm."""
    found = trust.load(project.settings.state_folder / "reach.json", project.inventory.path)
    if not found.first:
        return found
    return found._replace(reach=trust.harmless(project.inventory, machine.home, machine.drafts))


def _some(names: list[str]) -> str:
    """The first few of them."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
