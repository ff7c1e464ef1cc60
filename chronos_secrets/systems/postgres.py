"""PostgreSQL, through psycopg: the only module that imports it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import CannotTell, NotHonoured, words

if TYPE_CHECKING:
    from psycopg import Connection, OperationalError

CONNECT_TIMEOUT = 10  # seconds

# The server says why in words alone until somebody is let in, in its own language; these are the English ones.
_BUSY = re.compile(r"too many|starting up|shutting down|in recovery|remaining connection slots")
_BARRED = re.compile(r"no pg_hba\.conf entry|pg_hba\.conf rejects")


class Login(NamedTuple):
    """Whom to connect as, and where. A `host` that begins with a slash is a folder with the server's socket."""

    host: str
    port: int
    database: str
    user: Secret
    password: Secret


@contextmanager
def connected(login: Login) -> Iterator["Connection[tuple[object, ...]]"]:
    """A connection for the block; nothing is committed.

    The server must ask for the password by SCRAM: a server that lets anybody in proves nothing, one that wants it plain
    or as MD5 is not given it. Raises NotHonoured, CannotTell, TargetFailed.
    """
    import psycopg

    try:
        connection = psycopg.connect(
            host=login.host, port=login.port, dbname=login.database, user=login.user.reveal(),
            password=login.password.reveal(), passfile="/dev/null", require_auth="scram-sha-256", gssencmode="disable",
            connect_timeout=CONNECT_TIMEOUT, application_name="chronos-secrets", autocommit=False,
        )  # fmt: skip
    except psycopg.OperationalError as error:
        raise _refusal(error) from error
    except (psycopg.Error, ValueError) as error:  # what cannot be sent, such as a NUL byte
        raise CannotTell("its user name or password cannot be sent to PostgreSQL") from error
    try:
        yield connection
    finally:
        connection.close()


def try_login(login: Login) -> None:
    """Log in and ask for nothing (SELECT 1). Raises what `connected` raises."""
    import psycopg

    with connected(login) as connection:
        try:
            connection.execute("SELECT 1").fetchone()
        except psycopg.Error as error:
            raise TargetFailed(f"the database does not answer: {words(str(error))}") from error


def _refusal(error: "OperationalError") -> TargetFailed:
    """What a failed connection means. The messages name the role, the database and the host, never the password."""
    said = str(error)
    why = words(said.rpartition("failed: ")[2].partition("\n")[0])
    if "authentication method requirement" in said:
        return CannotTell(f"the server does not check the password by SCRAM: {why}")
    if _BARRED.search(why):
        return CannotTell(f"the server does not let this machine in: {why}")
    answered = why.startswith("FATAL") or (error.pgconn is not None and error.pgconn.used_password)
    if answered and not _BUSY.search(why):
        return NotHonoured(f"PostgreSQL does not take it: {why}")
    return TargetFailed(f"PostgreSQL cannot be reached: {why}")
