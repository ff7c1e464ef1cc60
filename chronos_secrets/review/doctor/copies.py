"""The copies of the vault: would they be there, and could anybody get at them, on the day on which the vault is gone?

A copy that is reached by a credential which only the vault knows is no copy on that day: it is circular.
"""

from collections.abc import Iterator, Sequence

from chronos_secrets.inventory.model import Copy, Inventory
from chronos_secrets.review.doctor.machine import Line, Machine, note, ok, wrong

_SHEET = "chronos-secrets emergency sheet"
_ADD = "add one to vault.copies in inventory.yaml; docs/copies.md shows how"


def examine(machine: Machine) -> Iterator[Line]:
    """Whether there are copies, whether one is off-site, and whether that can be reached without the vault."""
    if machine.project is None:
        return
    inventory = machine.project.inventory
    copies = list(inventory.vault.copies.values())
    if not copies:
        yield note("the inventory names no copies of the vault: one broken disk loses it", fix=_ADD)
        return
    yield ok(f"{len(copies)} {'place' if len(copies) == 1 else 'places'}", ", ".join(copy.id for copy in copies))
    yield from _off_site(inventory, [copy for copy in copies if is_off_site(copy)])


def is_off_site(copy: Copy) -> bool:
    """Whether a copy lies elsewhere than this machine and its drives: in a cloud storage, or in a folder that says what
    it needs, such as the sync folder of one."""
    return copy.kind == "rclone" or (copy.kind == "folder" and copy.needs is not None)


def _off_site(inventory: Inventory, copies: Sequence[Copy]) -> Iterator[Line]:
    if not copies:
        yield note("no copy is off-site: a fire or a thief takes them all", fix=_ADD)
        return
    circular = {copy.id: _in_vault_alone(inventory, copy) for copy in copies}
    reached = [copy.id for copy in copies if copy.needs is not None and not circular[copy.id]]
    for copy in copies:
        if copy.needs is None:
            yield note(
                f"copy {copy.id} does not say which credentials one needs to get at it",
                fix=f"add needs: [ID, ...] to copy {copy.id} in inventory.yaml    # [] for none",
            )
    stuck = {name: needed for name, needed in circular.items() if needed}
    if stuck and not reached:
        needed = "; ".join(f"{name} needs {_listed(each)}" for name, each in stuck.items())
        yield wrong(f"no off-site copy can be reached without the vault itself: {needed}", fix=_write_down(stuck))
    elif stuck:
        yield from (
            note(f"copy {name} is reached only by what the vault alone knows: {_listed(each)}", fix=_write_down(stuck))
            for name, each in stuck.items()
        )
    if reached:
        yield ok("one off-site can be reached without the vault", ", ".join(reached))


def _in_vault_alone(inventory: Inventory, copy: Copy) -> list[str]:
    return [each for each in copy.needs or () if not inventory.credentials[each].paper]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _write_down(stuck: dict[str, list[str]]) -> str:
    rows = _listed(list(dict.fromkeys(each for needed in stuck.values() for each in needed)))
    return f"write paper: true in the row of {rows}, then: {_SHEET}"
