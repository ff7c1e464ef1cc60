"""The programs that this tool calls, or that a person needs beside it."""

import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.inventory.model import LOCAL, Inventory
from chronos_secrets.review.doctor.machine import Line, Machine, note, ok, wrong
from chronos_secrets.systems import process

_TIMEOUT = 20.0  # seconds; a container engine may look for its daemon first
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+(?:p[0-9]+)?")


class Program(NamedTuple):
    """A program. `needed` says whether an inventory needs it; None is always. `must`: nothing goes on without it.

    `debian` and `macos` install it; `elsewhere` are paths where it lies when PATH does not lead there.
    """

    name: str
    purpose: str
    debian: str
    macos: str
    ask: str = "--version"
    needed: Callable[[Inventory], bool] | None = None
    must: bool = True
    least: tuple[int, ...] = ()
    elsewhere: tuple[str, ...] = ()


def _by_ssh(inventory: Inventory) -> bool:
    return any(host.ssh is not None for host in inventory.hosts.values())


def _engine(name: str) -> Callable[[Inventory], bool]:
    """Whether a container of this machine is reached by the engine."""
    return lambda inventory: any(
        host.container is not None and host.engine == name and (host.inside or LOCAL) == LOCAL
        for host in inventory.hosts.values()
    )


def _backups_here(inventory: Inventory) -> bool:
    return inventory.pgbackrest is not None and inventory.pgbackrest.host == LOCAL


def _copies_by_rclone(inventory: Inventory) -> bool:
    return any(copy.kind == "rclone" for copy in inventory.vault.copies.values())


def _sealed_copies(inventory: Inventory) -> bool:
    return any(copy.age for copy in inventory.vault.copies.values())


PROGRAMS = (
    Program("git", "keeps the inventory; is asked what it tracks", "git", "git", least=(2, 26)),  # config --show-scope
    Program(
        "keepassxc-cli", "opens and merges vaults without this tool", "keepassxc", "--cask keepassxc", must=False,
        least=(2, 6, 3),  # the first that opens Argon2id, which `init` and `vault upgrade` write
        elsewhere=("/Applications/KeePassXC.app/Contents/MacOS/keepassxc-cli",),
    ),
    Program("ssh", "reaches the hosts", "openssh-client", "openssh", ask="-V", needed=_by_ssh),
    Program("pgbackrest", "makes the backups", "pgbackrest", "pgbackrest", ask="version", needed=_backups_here),
    Program("docker", "reaches the containers", "docker.io", "docker", needed=_engine("docker")),
    Program("podman", "reaches the containers", "podman", "podman", needed=_engine("podman")),
    Program("rclone", "takes vault copies elsewhere", "rclone", "rclone", needed=_copies_by_rclone),
    Program("age", "encrypts vault copies once more", "age", "age", needed=_sealed_copies),
)  # fmt: skip


def examine(machine: Machine) -> Iterator[Line]:
    """Whether each program that the inventory needs is there, and new enough."""
    inventory = machine.project.inventory if machine.project else None
    for program in PROGRAMS:
        if program.needed is None or (inventory is not None and program.needed(inventory)):
            yield _look(program)


def _look(program: Program) -> Line:
    path = next((found for each in (program.name, *program.elsewhere) if (found := shutil.which(each))), None)
    install = f"brew install {program.macos}" if sys.platform == "darwin" else f"sudo apt install {program.debian}"
    if path is None:
        say = wrong if program.must else note
        return say(f"{program.name} is not installed; it {program.purpose}", fix=install)
    try:
        ran = _ask(path, program.ask)
    except TargetFailed as error:
        return wrong(error.message, fix=shlex.join((path, program.ask)))
    version = _VERSION.search((ran.out + ran.err).decode(errors="replace"))
    if ran.status != 0 or version is None:
        return wrong(f"{program.name} does not run: it does not say its version", fix=shlex.join((path, program.ask)))
    if _numbers(version[0]) < program.least:
        least = ".".join(map(str, program.least))
        return wrong(f"{program.name} {version[0]} is too old; {least} or later is needed", fix=install)
    return ok(f"{program.name} {version[0]}", f"{path}; {program.purpose}")


def _ask(path: str, option: str) -> process.Ran:
    """Run it for its version. keepassxc-cli writes its settings even then: into a folder that goes again."""
    with tempfile.TemporaryDirectory(prefix="chronos-secrets-") as folder:
        settings = {name: f"{folder}/{name}.ini" for name in ("KPXC_CONFIG", "KPXC_CONFIG_LOCAL")}
        return process.capture((path, option), environment={"LC_ALL": "C", **settings}, timeout=_TIMEOUT)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", version))
