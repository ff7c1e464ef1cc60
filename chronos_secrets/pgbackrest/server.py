"""The database, asked where it runs: psql through its own socket, as pgBackRest itself connects. No password is needed.

What is asked here needs no vault: settings, the archiver, how far it is. Passwords and roles are systems/postgres.
"""

import csv
import io
from collections.abc import Sequence

from chronos_secrets.errors import TargetFailed
from chronos_secrets.pgbackrest import failures
from chronos_secrets.pgbackrest.account import as_account
from chronos_secrets.systems.hosts import Host

PROGRAM = "psql"
_TIMEOUT = 30.0  # seconds for one question
_COUNTING = 24 * 3600.0  # seconds to read a whole table
_NOT_CONNECTED = 2  # psql's exit status
_NO_MATTER = ("could not change directory", "psql: warning:")  # where the caller's folder is closed to the account


class Server:
    """A running server on a host. `socket` is the folder of its socket; None is what its programs take for granted."""

    def __init__(
        self, host: Host, *, account: str | None, role: str, database: str, port: int, socket: str | None = None
    ) -> None:
        self._host, self._account, self._private = host, account, socket is not None
        where = (f"--host={socket}",) if socket else ()
        self._argv = (PROGRAM, *where, f"--port={port}", f"--username={role}", f"--dbname={database}",
                      "--no-psqlrc", "--no-password", "--csv", "--tuples-only", "--set=ON_ERROR_STOP=1")  # fmt: skip

    def ask(self, *statements: str, timeout: float = _TIMEOUT) -> list[list[str]]:
        """Run statements, each in a transaction of its own; the rows of all, as text ("" for NULL).

        They are no secret, and hold none. Raises TargetFailed with what the server says.
        """
        argv = as_account((*self._argv, "--file=-"), self._account)
        ran = self._host.run(argv, stdin=";\n".join((*statements, "")).encode(), timeout=timeout)
        if ran.status != 0:
            again = self.by_hand("SELECT 1") if ran.status == _NOT_CONNECTED and not self._private else None
            raise TargetFailed(f"the database on {self._host.name} does not answer: {said(ran.err)}", hint=again)
        return list(csv.reader(io.StringIO(ran.out.decode(errors="replace"))))

    def count(self, table: str) -> int:
        """The rows of a table, which may be named with its schema. All of it is read. Raises TargetFailed."""
        name = ".".join('"{}"'.format(part.replace('"', '""')) for part in table.split("."))
        return int(self.ask(f"SELECT count(*) FROM {name}", timeout=_COUNTING)[0][0])  # noqa: S608  quoted above

    def by_hand(self, statement: str) -> str:
        """The command that a person pastes on this machine to ask the same."""
        argv = (*self._argv[:-5], f"--command={statement}")
        return self._host.paste(argv, account=self._account)


def said(err: bytes) -> str:
    """What one of the database's programs complains of, in a line."""
    told = err.decode(errors="replace").splitlines()
    lines: Sequence[str] = [line for line in told if line.strip() and not line.startswith(_NO_MATTER)]
    return failures.shown(lines[0] if lines else "it said nothing")
