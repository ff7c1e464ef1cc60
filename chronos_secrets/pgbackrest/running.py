"""What runs the database's server, and how it is stopped and started around a restore.

A container's server is its main process: the engine stops and starts it, and while it is stopped programs run in
one-off containers on the same volumes. What runs a plain host's server (systemd, say) is not ours to guess: a person
stops and starts it, or allows us to start it as it was started last.
"""

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from chronos_secrets.errors import ChronosError, TargetFailed
from chronos_secrets.pgbackrest import failures
from chronos_secrets.pgbackrest.account import as_account
from chronos_secrets.pgbackrest.binary import masked
from chronos_secrets.pgbackrest.programs import bindir
from chronos_secrets.pgbackrest.server import Server
from chronos_secrets.secret import Secret
from chronos_secrets.systems.hosts import Container, Hear, Host, Ran
from chronos_secrets.systems.hosts.host import NOTHING

_STOPPING = 300  # seconds that a server may take to end cleanly and to archive its last WAL
_LONGEST = 24 * 3600.0  # seconds that it may replay
_GRACE = 3.0  # seconds until a server that was started has said which process it is
_POLL = 0.3  # seconds between two questions to a server that replays
_TIMEOUT = 60.0  # seconds for a look
_CONFIG_LIMIT = 1024 * 1024  # bytes
_LINES = 12  # of a log, to be shown

# A process number may be another program's by now: a server works in its data folder.
_ALIVE = """\
pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null || exit 1
there=$(readlink "/proc/$pid/cwd" 2>/dev/null) || exit 0
[ "$there" = "$(cd -P -- "$1" && pwd -P)" ]
"""
_LAST = 'cat -- "$2" 2>/dev/null; f=$(ls -t "$1"/log/* "$1"/pg_log/* 2>/dev/null | head -n 1); [ -z "$f" ] || cat "$f"'
_START = """\
cd "$2" || exit 1
exec "$1/pg_ctl" --pgdata "$2" --log "$3" --no-wait --options "$4" start
"""


class Stopped(Host):
    """A stopped container as a host: each program runs in a container of its own on the same volumes."""

    def __init__(self, container: Container) -> None:
        self.container, self.name = container, container.name

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
        return self.container.one_off(argv, stdin=stdin, environment=environment, timeout=timeout, hear=hear)

    def paste(self, argv: Sequence[str], *, account: str | None = None) -> str:
        """See Host.paste."""
        return self.container.paste_one_off(argv, account=account)


def still(host: Host) -> Host:
    """The host to work on while the server is stopped: the host itself, or the container's one-off twin."""
    return Stopped(host) if isinstance(host, Container) and not host.is_running() else host


def itself(host: Host) -> Host:
    """The container whose one-off twin a host is; any other host as it is."""
    return host.container if isinstance(host, Stopped) else host


def is_alive(host: Host, account: str | None, data: str) -> bool:
    """Whether a server runs on a data folder of a host. Raises TargetFailed."""
    argv = as_account(("sh", "-c", _ALIVE, "sh", data), account)
    return host.run(argv, timeout=_TIMEOUT).status == 0


def lives(host: Host, account: str | None, data: str) -> bool:
    """Whether the server that was started is still the same one. Raises TargetFailed."""
    return host.runs_steadily() if isinstance(host, Container) else is_alive(host, account, data)


def stop(host: Host) -> None:
    """Stop a container, whose main process the server is; nothing where it is stopped. Raises TargetFailed."""
    if isinstance(host, Container) and host.is_running():
        host.stop(timeout=_STOPPING)


def start_command(host: Host) -> str:
    """What a person pastes to start the server. For hints."""
    if isinstance(host, Container):
        return host.by_engine("start")
    return host.paste(("sudo", "systemctl", "start", "postgresql"))


def stop_command(host: Host) -> str:
    """What a person pastes to stop the server. For hints."""
    if isinstance(host, Container):
        return host.by_engine("stop")
    return host.paste(("sudo", "systemctl", "stop", "postgresql"))


def start(host: Host, account: str | None, data: str, *, log: str, as_last: str, major: str) -> None:
    """Start the server: the container, or pg_ctl as the account with the words of its last start.

    `as_last` is the content of postmaster.opts, "" for none; `log` is where a server started so writes. It is not
    waited for. Raises TargetFailed.
    """
    if isinstance(host, Container):
        host.start()
        return
    argv = ("sh", "-c", _START, "sh", bindir(host, major=major), data, log, options_of(as_last))
    ran = host.run(as_account(argv, account), timeout=_TIMEOUT)
    if ran.status != 0:
        raise TargetFailed(
            f"the server on {host.name} cannot be started: {failures.shown(ran.err.decode(errors='replace').strip())}",
            hint=start_command(host),
        )


def options_of(opts: str) -> str:
    """The options of a server's last start, for pg_ctl, from its postmaster.opts; all but where its data is."""
    try:
        words = shlex.split(opts)[1:]
    except ValueError:
        return ""
    kept, at = [], 0
    while at < len(words):
        if words[at] == "-D":
            at += 2
            continue
        kept.append(words[at])
        at += 1
    return shlex.join(kept)


class Recovered(NamedTuple):
    """What a server says after its recovery. `last` is the last transaction that it replayed; None for none."""

    timeline: int
    last: datetime | None
    seconds: float
    rows: tuple[tuple[str, int | None], ...]


class NotUp(TargetFailed):
    """The server ended while it replayed, or does not answer; `details` are the last words of its log."""


def wait(
    server: Server,
    alive: Callable[[], bool],
    say: Callable[[str], None],
    *,
    tables: Sequence[str],
    limit: float = _LONGEST,
) -> Recovered:
    """Wait until the server has replayed all and takes writes; then ask what it is now. Raises NotUp.

    `say` hears how far the replay is, in words, at every look.
    """
    began = time.monotonic()
    while True:
        words = _state(server)
        if words is None:
            return _facts(server, tables, time.monotonic() - began)
        say(words)
        if time.monotonic() - began > _GRACE and not alive():
            raise NotUp("the server ended while it replayed WAL")
        if time.monotonic() - began > limit:
            raise NotUp("the server does not take writes yet")
        time.sleep(_POLL)  # a server that replays tells nobody when it has ended


def _state(server: Server) -> str | None:
    """How far the server is, in words; None once it takes writes."""
    try:
        rows = server.ask("SELECT pg_is_in_recovery(), pg_last_xact_replay_timestamp()", timeout=_TIMEOUT)
    except TargetFailed:
        return "the server starts"
    recovering, at = rows[0]
    return None if recovering == "f" else f"replays WAL: {at or 'no commit yet'}"


def _facts(server: Server, tables: Sequence[str], seconds: float) -> Recovered:
    """The time of the last replayed transaction stays known after the promotion, until the server's next start."""
    replayed = "pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC'"
    timeline, last = server.ask(f"SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), {replayed}")[-1]
    at = datetime.fromisoformat(last).replace(tzinfo=UTC) if last else None
    return Recovered(int(timeline, 16), at, seconds, tuple((each, _count(server, each)) for each in tables))


def _count(server: Server, table: str) -> int | None:
    """The rows of a table; None where the role cannot count them."""
    try:
        return server.count(table)
    except TargetFailed:
        return None


def last_words(host: Host, account: str | None, data: str, *, log: str, config: str) -> list[str]:
    """The last lines of the server's log, wherever it writes; no value of the configuration `config` is among them."""
    try:
        if isinstance(host, Container):
            said = host.said(_LINES)
        else:
            said = host.run(as_account(("sh", "-c", _LAST, "sh", data, log), account), timeout=_TIMEOUT).out
        conf = Secret(still(host).read(config, _CONFIG_LIMIT) or b"")
    except ChronosError:
        return []
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return [failures.shown(masked(line, conf)) for line in lines[-_LINES:]]
