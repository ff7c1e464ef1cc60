"""A host on which everything runs when nobody else needs the machine."""

from collections.abc import Mapping, Sequence

from chronos_secrets.secret import Secret
from chronos_secrets.systems.hosts import Hear, Host, Ran
from chronos_secrets.systems.hosts.host import NOTHING

_LOW = 'command -v ionice >/dev/null && set -- ionice -c 3 "$@"; exec nice -n 19 "$@"'


class Low(Host):
    """A host on which everything runs at the lowest priority, with some more environment."""

    def __init__(self, host: Host, environment: Mapping[str, str]) -> None:
        self._host, self._environment = host, dict(environment)
        self.name = host.name

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Secret = b"",
        environment: Mapping[str, str | Secret] = NOTHING,
        timeout: float,
        hear: Hear | None = None,
    ) -> Ran:
        """See Host.run."""
        low, ours = ("sh", "-c", _LOW, "sh", *argv), {**self._environment, **environment}
        return self._host.run(low, stdin=stdin, environment=ours, timeout=timeout, hear=hear)

    def paste(self, argv: Sequence[str], *, account: str | None = None) -> str:
        """See Host.paste."""
        return self._host.paste(argv, account=account)

    def read(self, path: str, limit: int) -> bytes | None:
        """See Host.read; a container reads as root."""
        return self._host.read(path, limit)
