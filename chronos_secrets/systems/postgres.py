"""PostgreSQL, through psycopg: the only module that imports it."""

import contextlib
import re
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import CannotTell, NotHonoured, words

if TYPE_CHECKING:
    from psycopg import Connection, Error, OperationalError

CONNECT_TIMEOUT = 10  # seconds
STATEMENT_TIMEOUT = 15  # seconds

_PROOF = "scram-sha-256"
# The server says why in words alone until somebody is let in, in its own language; these are the English ones.
_BUSY = re.compile(r"too many|starting up|shutting down|in recovery|remaining connection slots")
_BARRED = re.compile(r"no pg_hba\.conf entry|pg_hba\.conf rejects")

# What a server may write down of a statement, or of one that fails; log_duration alone shows no text.
_LOGGING = {
    "log_statement": "none", "log_min_duration_statement": "-1", "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0", "log_min_error_statement": "panic",
}  # fmt: skip


class Login(NamedTuple):
    """Whom to connect as, and where. A `host` that begins with a slash is a folder with the server's socket."""

    host: str
    port: int
    database: str
    user: Secret
    password: Secret


@contextlib.contextmanager
def connected(login: Login) -> Iterator["Connection[tuple[object, ...]]"]:
    """A connection for the block; nothing is committed.

    The server must ask for the password by SCRAM: a server that lets anybody in proves nothing, one that wants it plain
    or as MD5 is not given it. Raises NotHonoured, CannotTell, TargetFailed.
    """
    import psycopg

    try:
        connection = psycopg.connect(
            host=login.host, port=login.port, dbname=login.database, user=login.user.reveal(),
            password=login.password.reveal(), passfile="/dev/null", require_auth=_PROOF, gssencmode="disable",
            connect_timeout=CONNECT_TIMEOUT, application_name="chronos-secrets", autocommit=False,
            client_encoding="utf8", tcp_user_timeout=20_000,
            keepalives_idle=10, keepalives_interval=5, keepalives_count=3,
        )  # fmt: skip
    except psycopg.OperationalError as error:
        raise _refusal(error) from error
    except (psycopg.Error, ValueError) as error:  # what cannot be sent, such as a NUL byte
        raise CannotTell("its user name or password cannot be sent to PostgreSQL") from error
    try:
        if not connection.pgconn.used_password:
            raise CannotTell("the server does not ask for the password")
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


def try_wrong(login: Login) -> None:
    """Make sure that a wrong password is refused. Raises CannotTell where it is not, and what `connected` raises.

    A login that succeeds proves nothing on a server that does not look at the password.
    """
    with contextlib.suppress(NotHonoured):
        try_login(login._replace(password=Secret(secrets.token_urlsafe(24))))
        raise CannotTell("the database lets the role in with any password")


def is_writable(login: Login) -> bool:
    """Whether the server could take a new password: a standby cannot. Raises what `connected` raises."""
    import psycopg

    with connected(login) as connection:
        try:
            found = connection.execute("SELECT NOT pg_is_in_recovery()").fetchone()
        except psycopg.Error as error:
            raise TargetFailed(f"the database does not answer: {_said(error)}") from error
    return found == (True,)


def set_password(login: Login, password: Secret) -> None:
    """Give the role that logs in a new password, in one transaction. What travels is a SCRAM verifier made here.

    The verifier stays out of the server's log where the role may switch that off (a superuser, or who was granted it).
    Raises what `connected` raises, and TargetFailed: whether the new password is in force is then not known.
    """
    import psycopg
    from psycopg import sql

    role = login.user.reveal()
    with connected(login) as connection:
        try:
            made = connection.pgconn.encrypt_password(password.reveal_bytes(), role.encode(), b"scram-sha-256")
            connection.read_only = False  # whatever the role's or the database's default is
            for name, value in _settings(connection).items():
                connection.execute(sql.SQL("SET LOCAL {} = {}").format(sql.Identifier(name), sql.Literal(value)))
            words_of_sql = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(made.decode()))
            connection.execute(words_of_sql)
            connection.commit()
        except psycopg.Error as error:
            raise TargetFailed(f"the database did not confirm the new password: {_said(error)}") from error


def _settings(connection: "Connection[tuple[object, ...]]") -> dict[str, str]:
    """What holds for the transaction that sets a password: it is on the disk when it is confirmed."""
    granted = "has_parameter_privilege(name, 'SET')"
    may = granted if connection.info.server_version >= 150000 else "current_setting('is_superuser') = 'on'"
    asked = f"SELECT name FROM pg_settings WHERE name = ANY(%s) AND {may}"  # noqa: S608  # both are ours
    found = connection.execute(asked.encode(), [list(_LOGGING)]).fetchall()
    quiet = {str(name): _LOGGING[str(name)] for (name,) in found}
    return {**quiet, "synchronous_commit": "on", "statement_timeout": f"{STATEMENT_TIMEOUT}s"}


def _said(error: "Error") -> str:
    """What the server says of a statement, without the statement, which psycopg may repeat."""
    return words(error.diag.message_primary or str(error).partition("\n")[0])


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
