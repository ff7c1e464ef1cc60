"""The sections of `doctor`, in the order in which they are shown. A new one is one more line here."""

from collections.abc import Sequence
from typing import NamedTuple

from chronos_secrets.errors import ChronosError
from chronos_secrets.review.doctor import (
    backups,
    copies,
    disk,
    hook,
    hosts,
    inventory,
    keepassxc,
    keyring,
    programs,
    state,
    vault,
)
from chronos_secrets.review.doctor.machine import Examine, Line, Machine, State, failed, note

_WITHOUT_INVENTORY = "not looked at: that needs an inventory"


class Section(NamedTuple):
    """How one thing is looked at. `needs_project`: it has nothing to say where no inventory can be read."""

    examine: Examine
    needs_project: bool = True


class Examined(NamedTuple):
    """What a section found."""

    name: str
    lines: tuple[Line, ...]

    @property
    def state(self) -> State:
        """The worst of its lines."""
        return max((line.state for line in self.lines), key=list(State).index, default=State.OK)


SECTIONS: dict[str, Section] = {
    "programs": Section(programs.examine, needs_project=False),
    "inventory": Section(inventory.examine, needs_project=False),
    "vault": Section(vault.examine),
    "copies": Section(copies.examine),
    "keepassxc": Section(keepassxc.examine, needs_project=False),
    "keyring": Section(keyring.examine, needs_project=False),
    "hosts": Section(hosts.examine),
    "backups": Section(backups.examine),
    "hook": Section(hook.examine, needs_project=False),
    "disk": Section(disk.examine),
    "state": Section(state.examine),
}


def examine(machine: Machine, names: Sequence[str] = ()) -> list[Examined]:
    """Look at the sections named, or at all of them, in the order of the table."""
    wanted = [name for name in SECTIONS if name in names or not names]
    return [Examined(name, tuple(_lines(SECTIONS[name], machine))) for name in wanted]


def _lines(section: Section, machine: Machine) -> list[Line]:
    if section.needs_project and machine.project is None:
        return [note(_WITHOUT_INVENTORY)]
    lines: list[Line] = []
    try:
        for line in section.examine(machine):
            lines.append(line)  # noqa: PERF402  what was found before a failure is kept
    except ChronosError as error:
        lines.append(failed(error))
    return lines
