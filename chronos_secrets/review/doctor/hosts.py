"""The hosts of the inventory: does ssh know them? With --connect: do they answer?"""

import shlex
from collections.abc import Iterator

from chronos_secrets.errors import TargetFailed
from chronos_secrets.inventory.model import Host, Inventory
from chronos_secrets.render import trust
from chronos_secrets.review.doctor import inventory as reach
from chronos_secrets.review.doctor.machine import Line, Machine, Project, note, ok, wrong
from chronos_secrets.systems.hosts import known

_TIMEOUT = 30.0  # seconds for a host to run `true`
_OWN_KEY = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"


def examine(machine: Machine) -> Iterator[Line]:
    """Each host that ssh reaches; with --connect, each container, too."""
    if machine.project is None:
        return
    inventory = machine.project.inventory
    if not inventory.hosts:
        yield ok("none but this machine")
    for host in inventory.hosts.values():
        if host.ssh is not None:
            yield _configured(inventory, host, host.ssh)
        if machine.connect:
            yield _answers(machine, machine.project, host)


def _configured(inventory: Inventory, host: Host, alias: str) -> Line:
    found = known.configured(alias)
    if found.asks_command:
        return note(f"{host.id}: whether its key is known, only the KnownHostsCommand of ssh can tell")
    if known.is_known(found):
        return ok(f"{host.id} known", f"{found.user}@{found.address}, port {found.port}, as {alias} of ssh")
    if not found.is_named:
        return wrong(f"{host.id}: ssh has no address for {alias}", fix=_address(inventory, alias))
    by_hand = shlex.join(("ssh", alias))
    return wrong(
        f"{host.id}: the host key of {found.known_as} is not known on this machine",
        fix=f"{by_hand}    # answer yes only to the fingerprint that the host itself shows: {_OWN_KEY}",
    )


def _address(inventory: Inventory, alias: str) -> str:
    """How ssh learns of an alias: by the file that we render, where there is one, and that it reads it."""
    rendered = [row for row in inventory.destinations.values() if row.dialect == "ssh-config" and not row.is_remote]
    if not rendered:
        return f"add 'Host {alias}' and its HostName to ~/.ssh/config"
    return f"chronos-secrets render {rendered[0].id}    # ~/.ssh/config must begin with: Include {rendered[0].path}"


def _answers(machine: Machine, project: Project, host: Host) -> Line:
    """Run `true` there. A host that came with `git pull` and that nobody accepted is not called."""
    now = trust.reach(project.inventory, machine.home, trust.Used(hosts=(host.id,)), machine.drafts)
    if trust.grown(now, reach.accepted(machine, project).reach):
        return note(f"{host.id} is not called: it is not accepted on this machine", fix="chronos-secrets trust")
    try:
        ran = machine.host(host.id).run(("true",), timeout=_TIMEOUT)
    except TargetFailed as error:
        return wrong(f"{host.id}: {error.message}", fix=error.hint)
    if ran.status != 0:
        return wrong(f"{host.id} runs `true` with status {ran.status}", fix=machine.host(host.id).paste(("true",)))
    return ok(f"{host.id} answers")
