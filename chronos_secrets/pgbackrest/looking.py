"""A look at what was restored beside production: a private server on it, which a person starts, asks and removes."""

import contextlib
import shlex
from collections.abc import Mapping

from chronos_secrets.errors import TargetFailed
from chronos_secrets.pgbackrest import failures, marking
from chronos_secrets.pgbackrest.account import as_account
from chronos_secrets.pgbackrest.scratch import PRIVATE
from chronos_secrets.pgbackrest.server import Server
from chronos_secrets.systems.hosts import Host

_TIMEOUT = 60.0  # seconds
# Debian keeps all three files of a server outside of its data, where no backup finds them.
_FILES = """\
umask 077
[ -e "$1/postgresql.conf" ] || : >"$1/postgresql.conf" || exit 1
printf 'local all all trust\n' >"$1/look.hba" && : >"$1/look.ident"
"""
# While it replays nobody is let in: to allow that, a server would need production's own limits.
_WAIT = (
    'until "$1" --quiet --host="$2" --port="$3"; do '
    '{ pid=$(head -n 1 "$2/postmaster.pid") && kill -0 "$pid"; } 2>/dev/null || { tail -n 5 "$2/look.log"; exit 1; }; '
    "sleep 1; done"
)
_SAME = (
    "archive_mode", "listen_addresses", "unix_socket_permissions", "ssl", "external_pid_file", "logging_collector",
    "primary_conninfo", "archive_cleanup_command", "recovery_end_command", "hot_standby",
    "timescaledb.max_background_workers", "cron.launch_active_jobs",
)  # fmt: skip


def prepare(host: Host, account: str | None, folder: str, *, production: Server) -> Mapping[str, str]:
    """Give a restored cluster the files that a server wants; the settings of production that it must share.

    None of them where production does not answer, as after a loss. Raises TargetFailed.
    """
    ran = host.run(as_account(("sh", "-c", _FILES, "sh", folder), account), timeout=_TIMEOUT)
    if ran.status != 0:
        raise TargetFailed(
            f"{folder} on {host.name} cannot be written to: {failures.shown(ran.err.decode(errors='replace').strip())}",
            hint=host.paste(("ls", "-ld", folder)),
        )
    with contextlib.suppress(TargetFailed):
        return marking.shared(production)
    return {}


def commands(
    folder: str, programs: str, needed: Mapping[str, str], *, role: str, database: str, port: int
) -> list[tuple[str, ...]]:
    """What starts a private server on a restored cluster, waits for its replay, asks it, stops it, removes all of it.

    `programs` is the folder of the server's own programs. They are for the account that the files belong to.
    """
    control, at = (f"{programs}/pg_ctl", "--pgdata", folder), str(port)
    own = {
        "data_directory": folder, "hba_file": f"{folder}/look.hba", "ident_file": f"{folder}/look.ident",
        "unix_socket_directories": folder, "port": at,
    }  # fmt: skip
    whole = {**needed, **{name: PRIVATE[name] for name in _SAME}, **own}
    options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in whole.items())
    where = (f"--host={folder}", f"--port={at}")
    return [
        (*control, "--log", f"{folder}/look.log", "--wait", "--options", options, "start"),
        ("sh", "-c", _WAIT, "sh", f"{programs}/pg_isready", folder, at),
        ("psql", *where, f"--username={role}", f"--dbname={database}"),
        (*control, "--mode=immediate", "stop"),
        ("rm", "-rf", folder, f"{folder}.tablespaces"),
    ]
