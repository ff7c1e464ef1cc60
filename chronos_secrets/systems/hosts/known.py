"""What OpenSSH here makes of an alias, without calling the host: its address, and whether its key is known."""

import os
from typing import NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems import process
from chronos_secrets.systems.hosts.words import last_words

_TIMEOUT = 20.0  # seconds; a configuration may look names up


class Configured(NamedTuple):
    """An alias as ssh's configuration resolves it. `known_as` is the name that known_hosts files have its key under."""

    alias: str
    address: str
    port: str
    user: str
    known_as: str
    known_hosts: tuple[str, ...]
    asks_command: bool  # KnownHostsCommand: only that program can tell

    @property
    def is_named(self) -> bool:
        """Whether the configuration says more of the alias than its own name, or the name may be an address itself."""
        return self.address != self.alias.lower() or "." in self.address or ":" in self.address


def configured(alias: str) -> Configured:
    """What `ssh -G` says of an alias. Raises TargetFailed where the configuration is wrong or ssh is missing."""
    argv = ("ssh", "-G", "-T", "--", alias)
    ran = process.capture(argv, timeout=_TIMEOUT)
    if ran.status != 0:
        raise TargetFailed(f"ssh cannot read its configuration: {last_words(ran.err)}", hint=f"ssh -G {alias}")
    said: dict[str, str] = {}
    for line in ran.out.decode(errors="replace").splitlines():
        name, _, value = line.partition(" ")
        said.setdefault(name, value)
    address, port = said.get("hostname", alias).lower(), said.get("port", "22")
    files = f"{said.get('userknownhostsfile', '')} {said.get('globalknownhostsfile', '')}".split()
    return Configured(
        alias, address, port, said.get("user", ""),
        said.get("hostkeyalias") or (address if port == "22" else f"[{address}]:{port}"),
        tuple(os.path.expanduser(file) for file in files if file != "none"),
        said.get("knownhostscommand", "none") != "none",
    )  # fmt: skip


def is_known(host: Configured) -> bool:
    """Whether one of its known_hosts files has a key for it. Raises TargetFailed where ssh-keygen is missing."""
    return any(
        process.capture(("ssh-keygen", "-F", host.known_as, "-f", file), timeout=_TIMEOUT).status == 0
        for file in host.known_hosts
        if os.path.isfile(file)
    )
