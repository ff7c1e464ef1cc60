"""A host that OpenSSH reaches."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems.hosts.host import Remote, becoming
from chronos_secrets.systems.hosts.words import last_words
from chronos_secrets.systems.process import Ran

CONNECT_TIMEOUT = 10  # seconds

# What the user's own configuration may say otherwise, and what would then change what a command does, who may listen,
# or whether anybody is asked. A shared connection (ControlPath) was checked by the rules of whoever opened it, and its
# master would outlive us.
_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    f"ConnectTimeout={CONNECT_TIMEOUT}",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",
    "ControlMaster=no",
    "ControlPath=none",
    "ClearAllForwardings=yes",
    "Tunnel=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "LogLevel=ERROR",
)
_CHANGED = "REMOTE HOST IDENTIFICATION HAS CHANGED"
_UNKNOWN = "Host key verification failed"
_FORGET = re.compile(r'ssh-keygen -f "?([^"\n]+?)"? -R "?([^"\s]+)"?')
_ABROAD = 255  # ssh's own status
# What ssh adds where the way to a host ended (a jump, a proxy): the reason stands before it, and is not the host's.
_WAY_ENDED = re.compile(
    rb"^(?:kex_exchange_identification: |Connection (?:closed|reset) by UNKNOWN |stdio forwarding failed).*$",
    re.MULTILINE,
)


class Ssh(Remote):
    """A host by its alias in ~/.ssh/config. Nobody is ever asked: no password, no unknown host key.

    `sudo`: programs and files are reached through `sudo -n`, which must let the account run `sh`.
    `config` replaces ~/.ssh/config and the system's, as `ssh -F` does.
    """

    def __init__(self, alias: str, *, sudo: bool = False, name: str | None = None, config: Path | None = None) -> None:
        self.name = name or alias
        self._alias = alias
        self._sudo = ("sudo", "-n", "--") if sudo else ()
        self._file = ("-F", str(config)) if config else ()

    def reach(self, argv: Sequence[str]) -> tuple[str, ...]:
        """See Remote.reach."""
        options = (word for option in _OPTIONS for word in ("-o", option))
        return ("ssh", *self._file, "-T", "-a", "-x", *options, "--", self._alias, shlex.join((*self._sudo, *argv)))

    def forward(self, port: int) -> tuple[str, ...]:
        """The argv that carries one connection to `port` of the host's loopback over its own input and output."""
        options = (word for option in _OPTIONS for word in ("-o", option))
        return ("ssh", *self._file, "-T", "-a", "-x", *options, "-W", f"127.0.0.1:{port}", "--", self._alias)

    def paste(self, argv: Sequence[str], *, account: str | None = None) -> str:
        """See Host.paste."""
        return shlex.join((*self._by_hand, shlex.join((*self._sudo[:1], *becoming(account, argv)))))

    @property
    def _by_hand(self) -> tuple[str, ...]:
        return ("ssh", *self._file, self._alias)

    def refusal(self, tried: Ran) -> TargetFailed:
        """See Remote.refusal."""
        said = tried.err.decode(errors="backslashreplace")
        if tried.status == _ABROAD and _CHANGED in said:
            return self._changed(said)
        by_hand = shlex.join(self._by_hand)
        if tried.status == _ABROAD and _UNKNOWN in said:
            own = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
            return TargetFailed(
                f"the host key of {self.name} is not known on this machine",
                hint=f"{by_hand}    # answer yes only if it shows the fingerprint that the host itself does: {own}",
            )
        if self.denies(tried):
            return TargetFailed(
                f"{self.name} refused our key: {last_words(tried.err)}",
                hint=f"{by_hand} -v    # lists the keys it tries",
            )
        if tried.status == _ABROAD:
            words = last_words(_WAY_ENDED.sub(b"", tried.err).strip() or tried.err)
            return TargetFailed(f"{self.name} cannot be reached: {words}", hint=f"{by_hand} true")
        if self._sudo:
            return self._no_sudo(tried)
        return TargetFailed(
            f"{self.name} runs no command for us (status {tried.status}): {last_words(tried.err or tried.out)}",
            hint=f"{by_hand} true",
        )

    @staticmethod
    def denies(tried: Ran) -> bool:
        """Whether the host itself, and no jump on the way to it, refused our keys."""
        denied = b"Permission denied (" in tried.err or b"Too many authentication failures" in tried.err
        return tried.status == _ABROAD and denied and not _WAY_ENDED.search(tried.err)

    def _changed(self, said: str) -> TargetFailed:
        found = _FORGET.search(said)
        file, known_as = found.groups() if found else (None, self._alias)
        forget = shlex.join(("ssh-keygen", *(("-f", file) if file else ()), "-R", known_as))
        return TargetFailed(
            f"the host key of {self.name} is not the one this machine knows: somebody may be in between",
            hint=f"{forget} && {shlex.join(self._by_hand)}    # only if you know that the host was set up anew",
        )

    def _no_sudo(self, tried: Ran) -> TargetFailed:
        allow = f"{shlex.join((*self._by_hand, '-t', 'sudo -l'))}    # it must list (ALL) NOPASSWD: ALL"
        return TargetFailed(f"sudo on {self.name} would not run a command: {last_words(tried.err)}", hint=allow)
