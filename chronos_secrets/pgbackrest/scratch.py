"""A private place on a host in which a backup is restored and tried, and of which nothing stays.

The server in it is reached by a socket in its own folder, which nobody else may enter, and by nothing else. It archives
nothing, runs no jobs and talks to no other server, whatever its own configuration says: all of that is turned off on
its command line, which wins over every file. Everything runs at the lowest priority.
"""

import re
import secrets
import shlex
import time
from collections.abc import Mapping
from typing import NamedTuple

from chronos_secrets.errors import Incomplete, Refused, TargetFailed
from chronos_secrets.pgbackrest import failures
from chronos_secrets.pgbackrest.account import as_account
from chronos_secrets.pgbackrest.priority import Low
from chronos_secrets.pgbackrest.server import Server
from chronos_secrets.systems.hosts import Host, Ran
from chronos_secrets.systems.hosts.words import last_words

PORT = 61432
"""Part of the socket's name, and nothing that anybody listens on."""
_PREFIX = "chronos-drill-"
_PLAIN = re.compile(r"/[A-Za-z0-9._/+@-]*")
_SOCKET = 107  # bytes that the path of a socket may have
_TIMEOUT = 60.0  # seconds for a look
_CLEANING = 600.0  # seconds; a large folder takes its time
_STOPPING = 60  # seconds
_LONGEST = 24 * 3600  # seconds that a server may replay

_SPACE = 'cd -P -- "$1" && pwd -P && df -Pk . | tail -n 1'
_MAKE = """\
umask 077; mkdir -- "$1" && mkdir -- "$1/data" && printf '%s\\n' "$2" >"$1/mark" &&
printf 'local all all trust\\n' >"$1/hba.conf" && : >"$1/ident.conf"
"""
_LIST = """\
for folder in "$1"/chronos-drill-*; do
  [ -d "$folder" ] && [ ! -L "$folder" ] && [ -O "$folder" ] || continue
  printf '%s %s\\n' "$folder" "$(head -n 1 "$folder/mark" 2>/dev/null)"
done
"""
# pg_ctl waits for the beginning of the replay only, where nobody may read meanwhile; line 8 is how the server stands.
_WAIT = """\
file=$1/postmaster.pid
while kill -0 "$(head -n 1 "$file" 2>/dev/null)" 2>/dev/null; do
  case $(sed -n 8p "$file") in ready*) exit 0 ;; esac
  sleep 0.1
done
exit 1
"""
# The folder comes by standard input: a command line that names it is what marks the programs that are to end. A
# server's own children follow it; what only looks at a file in there is left alone.
_REMOVE = """\
IFS= read -r folder
case $folder in */chronos-drill-*) ;; *) exit 3 ;; esac
[ -d "$folder" ] && [ ! -L "$folder" ] || exit 0
[ -O "$folder" ] || exit 3
folder=$(cd -P -- "$folder" && pwd -P) || exit 3
named() { case ${1##*/} in postgres|postmaster|pgbackrest|pg_ctl|pg_amcheck|psql) echo "$2" ;; esac; }
running() {
  if [ -r /proc/self/cmdline ]; then
    grep -laF -e "$folder" /proc/[0-9]*/cmdline 2>/dev/null | while IFS= read -r file; do
      pid=${file#/proc/}
      named "$(tr '\\0' '\\n' <"$file" 2>/dev/null | head -n 1)" "${pid%/cmdline}"
    done
  else
    { unset COLUMNS; ps -A -o pid= -o args=; } | while read -r pid name rest; do
      case $rest in *"$folder"*) named "$name" "$pid" ;; esac
    done
  fi
}
server=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null)
for pid in $(running); do
  if [ "$pid" = "$server" ]; then kill -s QUIT "$pid"; else kill -s TERM "$pid"; fi
done 2>/dev/null
tries=0
while [ -n "$(running)" ]; do
  tries=$((tries + 1))
  [ "$tries" -le 50 ] || for pid in $(running); do kill -s KILL "$pid"; done 2>/dev/null
  [ "$tries" -le 100 ] || exit 4
  sleep 0.1
done
rm -rf -- "$folder"
[ ! -e "$folder" ]
"""

# What would reach out of the folder, or take more of the machine than a drill may. `fsync` stays as it is: what is
# measured is to be true. Extensions that run jobs read settings of their own, and are told that they may write nothing.
PRIVATE = {
    "archive_mode": "off", "archive_command": "/bin/false", "archive_cleanup_command": "", "recovery_end_command": "",
    "listen_addresses": "", "port": str(PORT), "unix_socket_permissions": "0700", "ssl": "off",
    "external_pid_file": "", "logging_collector": "off", "log_destination": "stderr", "lc_messages": "C",
    "primary_conninfo": "", "synchronous_standby_names": "", "max_wal_senders": "0",
    "max_logical_replication_workers": "0", "hot_standby": "off", "autovacuum": "off",
    "default_transaction_read_only": "on", "timescaledb.max_background_workers": "0",
    "cron.launch_active_jobs": "off", "shared_buffers": "128MB", "huge_pages": "off", "max_connections": "20",
    "dynamic_shared_memory_type": "mmap", "cluster_name": "chronos-drill",
}  # fmt: skip
_MUST = {"archive_mode": "off", "listen_addresses": "", "primary_conninfo": "", "external_pid_file": ""}


class Ground(NamedTuple):
    """Where scratch places are made: a folder of a host, as the account that runs the database there."""

    host: Host
    account: str | None
    base: str

    def room(self) -> "Room":
        """The real path of the folder, and what is free there. Raises Refused where it cannot be used."""
        ran = self.run(_SPACE, self.base)
        path, _, numbers = ran.out.decode(errors="surrogateescape").rstrip("\n").rpartition("\n")
        fields = numbers.split()
        if ran.status != 0 or len(fields) < 4 or not fields[3].isdigit():
            raise Refused(
                f"the folder {self.base} of {self.host.name} cannot be used for a drill (pgbackrest.drill.path)",
                hint=self.host.paste(("ls", "-ld", self.base)),
            )
        if not _PLAIN.fullmatch(path) or len(path) + len(f"/{_PREFIX}{'0' * 12}-{'0' * 8}/.s.PGSQL.{PORT}") > _SOCKET:
            raise Refused(
                f"the folder {path} of {self.host.name} has too long a path for a drill, or unusual characters",
                hint="set path of pgbackrest.drill in the inventory, such as /var/tmp",
            )
        return Room(path, int(fields[3]) * 1024)

    def left(self) -> "list[Left]":
        """The scratch places that are there, whether or not a drill is at work in them."""
        ran = self.run(_LIST, self.base)
        rows = (line.partition(" ") for line in ran.out.decode(errors="replace").splitlines())
        return [Left(folder, mark) for folder, _, mark in rows]

    def remove(self, folder: str) -> None:
        """End what runs in a scratch place, and remove it. Raises Incomplete where something of it stays."""
        argv = as_account(("sh", "-c", _REMOVE), self.account)
        ran = self.host.run(argv, stdin=f"{folder}\n".encode(), timeout=_CLEANING)
        if ran.status != 0:
            raise Incomplete(
                f"{folder} of {self.host.name} could not be removed: {last_words(ran.err)}",
                hint="chronos-secrets backup drill --clean",
            )

    def run(self, script: str, *words: str, timeout: float = _TIMEOUT) -> Ran:
        """Run a shell script as the account."""
        argv = as_account(("sh", "-c", script, "sh", *words), self.account)
        return self.host.run(argv, timeout=timeout)


class Room(NamedTuple):
    """A folder by its real path, and the bytes that are free there."""

    path: str
    free: int


class Left(NamedTuple):
    """A scratch place that is there; `mark` says whose it is, "" where a run died before it could say."""

    folder: str
    mark: str


class Scratch:
    """One restored cluster: `data` is for its files, `server` answers once it is started.

    `environment` is what pgBackRest needs there to keep off what the machine's own one uses.
    """

    def __init__(self, ground: Ground, folder: str, *, programs: str, role: str, database: str) -> None:
        """`programs` is the folder of the server's own programs."""
        self._ground, self.folder, self._programs = ground, folder, programs
        self.data = f"{folder}/data"
        self.environment = {
            "PGBACKREST_LOCK_PATH": f"{folder}/lock",
            "PGBACKREST_SPOOL_PATH": f"{folder}/spool",
            "PGBACKREST_LOG_PATH": folder,
            "PGBACKREST_LOG_LEVEL_FILE": "off",
        }
        self.host = Low(ground.host, self.environment)
        self.server = Server(self.host, account=ground.account, role=role, database=database, port=PORT, socket=folder)
        self.login = (f"--username={role}", f"--database={database}")
        self._starts = 0

    def start(self, settings: Mapping[str, str]) -> float:
        """Start the server and wait until it has replayed all that it was told to; the seconds that this took.

        `settings` are those that production's WAL or extensions need. Raises DoesNotStart, Refused where the server
        is not as private as it must be.
        """
        self._starts += 1
        self._ground.run('[ -e "$1" ] || : >"$1"', f"{self.data}/postgresql.conf")  # it may lie outside of what is kept
        command = (
            f"{self._programs}/pg_ctl", "--pgdata", self.data, "--log", self._log, "--wait",
            "--timeout", str(_LONGEST), "--options", self._options(settings), "start",
        )  # fmt: skip
        began = time.monotonic()
        ran = self.host.run(as_account(command, self._ground.account), timeout=_LONGEST + _TIMEOUT)
        if ran.status == 0:
            ran = self._ground.run(_WAIT, self.data, timeout=_LONGEST)
        seconds = time.monotonic() - began
        if ran.status != 0:
            raise DoesNotStart(
                f"the restored server does not start: {self._why()}",
                hint="chronos-secrets backup verify    # or the same drill with --keep, and read its log",
            )
        self._require_private()
        return seconds

    def said(self) -> str:
        """What the server has logged since it was last started."""
        ran = self._ground.run('tail -c 200000 "$1"', self._log)
        return ran.out.decode(errors="replace")

    def stop(self) -> None:
        """Stop the server at once; nothing of it is needed any more. Raises TargetFailed."""
        command = (
            f"{self._programs}/pg_ctl", "--pgdata", self.data, "--mode", "immediate", "--wait",
            "--timeout", str(_STOPPING), "stop",
        )  # fmt: skip
        ran = self.host.run(as_account(command, self._ground.account), timeout=_STOPPING + _TIMEOUT)
        if ran.status != 0:
            raise TargetFailed(f"the restored server does not stop: {last_words(ran.err)}")

    def program(self, name: str, *words: str, timeout: float) -> Ran:
        """Run one of the server's own programs on it."""
        where = (f"--host={self.folder}", f"--port={PORT}")
        argv = as_account((f"{self._programs}/{name}", *where, *words), self._ground.account)
        return self.host.run(argv, environment={"PGOPTIONS": "-c default_transaction_read_only=off"}, timeout=timeout)

    @property
    def _log(self) -> str:
        return f"{self.folder}/log.{self._starts}"

    def _options(self, settings: Mapping[str, str]) -> str:
        own = {
            "data_directory": self.data, "unix_socket_directories": self.folder,
            "hba_file": f"{self.folder}/hba.conf", "ident_file": f"{self.folder}/ident.conf",
        }  # fmt: skip
        whole = {**settings, **PRIVATE, **own}
        return " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in whole.items())

    def _require_private(self) -> None:
        """Only what the role may see is compared; archive_mode is shown to every role."""
        found = {row[0]: row[1] for row in self.server.ask("SELECT name, setting FROM pg_settings")}
        must = {**_MUST, "data_directory": self.data}
        wrong = [name for name, value in must.items() if found.get(name, value) != value]
        if wrong or found.get("archive_mode") != "off":
            raise Refused(f"the restored server is not private, and was stopped: {', '.join(wrong) or 'archive_mode'}")

    def _why(self) -> str:
        found = re.findall(r"(?:FATAL|PANIC): +(.+)", self.said())
        return failures.shown(found[0] if found else "it says nothing in its log")


class DoesNotStart(TargetFailed):
    """What was restored is no server that runs."""


def make(ground: Ground, mark: str, *, name: str, programs: str, role: str, database: str) -> Scratch:
    """A new, empty scratch place. `name` is a word of ours for whom it belongs to, `mark` says that to a later run.

    Raises TargetFailed where it cannot be made.
    """
    folder = f"{ground.base.rstrip('/')}/{_PREFIX}{name}-{secrets.token_hex(4)}"
    ran = ground.run(_MAKE, folder, mark)
    if ran.status != 0:
        raise TargetFailed(
            f"no folder can be made in {ground.base} of {ground.host.name}: {last_words(ran.err)}",
            hint=ground.host.paste(("ls", "-ld", ground.base)),
        )
    return Scratch(ground, folder, programs=programs, role=role, database=database)
