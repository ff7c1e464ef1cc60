"""The password of a PostgreSQL role, changed by the role itself on a real server."""

import contextlib
import os
import secrets
import select
import shutil
import socket
import struct
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos_secrets.errors import ChronosError, Exit, Incomplete, Refused, TargetFailed
from chronos_secrets.inventory import load
from chronos_secrets.inventory.model import Connect, Inventory
from chronos_secrets.rotation.targets import postgres as targets
from chronos_secrets.rotation.targets.postgres import PostgresRole
from chronos_secrets.secret import Secret
from chronos_secrets.systems import postgres
from chronos_secrets.systems.answers import CannotTell, NotHonoured
from chronos_secrets.systems.hosts import Container, Ssh
from tests.support import chronos
from tests.support.remote import Production, production, ssh_by
from tests.support.targets import Database, database, free_port

pytestmark = pytest.mark.xdist_group("rotation-postgres")

Values = dict[str, Secret]


@pytest.fixture(scope="module")
def birds() -> Iterator[Database]:
    with database() as made:
        made.ask("ALTER SYSTEM SET log_statement = 'all'")
        made.ask("ALTER SYSTEM SET log_min_error_statement = 'info'")
        made.ask("SELECT pg_reload_conf()")
        yield made


def _password() -> Secret:
    return Secret(secrets.token_urlsafe(24))


class Wren:
    """A role of its own for each test, and the target that rotates it."""

    def __init__(self, birds: Database, *, name: str = "", options: str = "") -> None:
        self.birds, self.role = birds, name or f"wren{os.urandom(4).hex()}"
        self.old, self.new = self.with_password(_password()), self.with_password(_password())
        birds.role(self.role, self.old["password"].reveal())
        if options:
            birds.ask(f'ALTER ROLE "{self.role}" {options}')
        self.target = self.at(birds.port)

    def at(self, port: int) -> PostgresRole:
        return PostgresRole(self.role, "birds", lambda: contextlib.nullcontext(("127.0.0.1", port)))

    def with_password(self, password: Secret) -> Values:
        return {"username": Secret(self.role), "password": password}

    def honours(self, values: Values) -> bool:
        login = postgres.Login("127.0.0.1", self.birds.port, "birds", values["username"], values["password"])
        try:
            postgres.try_login(login)
        except NotHonoured:
            return False
        return True

    @property
    def state(self) -> str:
        """Which of the two passwords is honoured."""
        return {(True, False): "old", (False, True): "new"}[self.honours(self.old), self.honours(self.new)]

    @property
    def log(self) -> str:
        return (self.birds.folder / "log").read_text(errors="replace")


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    return load.read(chronos.INVENTORY)


@pytest.fixture
def wren(birds: Database) -> Wren:
    return Wren(birds)


def test_a_role_gets_a_new_password_and_the_old_one_ends(wren: Wren):
    assert wren.target.survey(wren.old) == (wren.role,)
    assert wren.state == "old", "looking changes nothing"
    wren.target.apply(wren.new, wren.old)
    wren.target.prove(wren.new)
    wren.target.deactivate(wren.old, wren.new)
    wren.target.delete(wren.old, wren.new)
    assert wren.state == "new"
    assert wren.target.identifier(wren.new) == wren.role


def test_each_step_may_run_twice(wren: Wren):
    for _ in range(2):
        wren.target.apply(wren.new, wren.old)
        wren.target.prove(wren.new)
        wren.target.deactivate(wren.old, wren.new)
        wren.target.delete(wren.old, wren.new)
    assert wren.state == "new"


def test_a_chosen_password_has_the_length_that_was_asked_for_and_needs_no_quoting(wren: Wren):
    made = PostgresRole(wren.role, "birds", wren.target._reached, length=48).issue(None, wren.old, frozenset())  # type: ignore[arg-type]
    assert made["username"] == wren.old["username"]
    assert len(made["password"]) == 48
    wren.target.apply(made, wren.old)
    wren.target.prove(made)


def test_a_rollback_sets_the_old_password_again(wren: Wren):
    wren.target.apply(wren.new, wren.old)
    for _ in range(2):
        wren.target.reactivate(wren.old, wren.new)
        wren.target.prove(wren.old)
    wren.target.delete(wren.new, wren.old)
    assert wren.state == "old"


def test_a_password_that_nobody_knows_is_said_and_nothing_is_changed(wren: Wren):
    wren.birds.ask(f"ALTER ROLE \"{wren.role}\" PASSWORD 'by hand'")
    with pytest.raises(NotHonoured, match="takes neither the old password nor the new one: PostgreSQL does") as failed:
        wren.target.apply(wren.new, wren.old)
    assert failed.value.exit == Exit.TARGET
    assert failed.value.hint == (
        f"psql -c '\\password {wren.role}'    # as a superuser; then put the password into the vault with KeePassXC"
    )
    with pytest.raises(NotHonoured, match="the password in the vault is not the one of role") as failed:
        wren.target.survey(wren.old)
    assert str(failed.value.hint).startswith("bring the newest vault to this machine")


@pytest.mark.parametrize("options", ["", "SUPERUSER"])
def test_no_log_has_the_password_and_a_superusers_has_not_even_the_verifier(birds: Database, options: str):
    wren = Wren(birds, options=options)
    before = len(wren.log)
    wren.target.apply(wren.new, wren.old)
    wren.target.prove(wren.new)
    log = wren.log[before:]
    assert "log_statement" in log or not options
    assert "SET LOCAL \"synchronous_commit\" = 'on'" in log or options
    assert not [each for each in (wren.old, wren.new) if each["password"].reveal() in log]
    assert ("ALTER ROLE" in log, "SCRAM-SHA-256$" in log) == ((False, False) if options else (True, True))


def test_a_role_that_was_granted_it_keeps_the_verifier_out_of_the_log(birds: Database):
    wren = Wren(birds)
    birds.ask(f'GRANT SET ON PARAMETER log_statement, log_min_error_statement TO "{wren.role}"')
    before = len(wren.log)
    wren.target.apply(wren.new, wren.old)
    assert "SCRAM-SHA-256$" not in wren.log[before:]
    assert wren.state == "new"


def test_a_statement_that_fails_leaves_no_verifier_in_a_superusers_log_and_none_in_the_message(
    birds: Database, monkeypatch: pytest.MonkeyPatch
):
    wren = Wren(birds, options="SUPERUSER")
    monkeypatch.setattr(postgres, "STATEMENT_TIMEOUT", 1)
    before = len(wren.log)
    with _locked(birds, wren.role), pytest.raises(TargetFailed) as failed:
        wren.target.apply(wren.new, wren.old)
    assert failed.value.message == (
        "the database did not confirm the new password: canceling statement due to statement timeout"
    )
    assert "canceling statement" in wren.log[before:]
    assert "SCRAM-SHA-256$" not in wren.log[before:] + repr(failed.value)
    assert wren.state == "old"


@contextlib.contextmanager
def _locked(birds: Database, role: str) -> Iterator[None]:
    """Somebody else changes the role and does not come to an end."""
    import psycopg

    where = {"host": str(birds.folder), "port": str(birds.port), "user": "admin", "dbname": "postgres"}
    with psycopg.connect(**where) as connection:
        connection.execute(f'ALTER ROLE "{role}" CONNECTION LIMIT 50'.encode())
        yield
        connection.rollback()


@pytest.mark.parametrize("name", ['wr"en', "wr'en", "Wren Ä", "wr\\en;--"])
def test_a_role_by_any_name_is_meant_itself(birds: Database, name: str):
    birds.ask('DROP ROLE IF EXISTS "{}"'.format(name.replace('"', '""')))
    password = _password()
    birds.ask("CREATE ROLE \"{}\" LOGIN PASSWORD '{}'".format(name.replace('"', '""'), password.reveal()))
    target = PostgresRole(name, "birds", lambda: contextlib.nullcontext(("127.0.0.1", birds.port)))
    old, new = ({"username": Secret(name), "password": each} for each in (password, _password()))
    assert target.survey(old) == (name,)
    target.apply(new, old)
    target.prove(new)


def test_a_role_or_a_database_that_only_reads_can_still_be_rotated(birds: Database):
    wren = Wren(birds, options="SET default_transaction_read_only = on")
    wren.target.apply(wren.new, wren.old)
    assert wren.state == "new"


# --- what is refused before anything is done --------------------------------------------------------------------------


def _refusal(birds: Database, role: str) -> ChronosError:
    target = PostgresRole(role, "birds", lambda: contextlib.nullcontext(("127.0.0.1", birds.port)))
    with pytest.raises(ChronosError) as failed:
        target.survey({"username": Secret(role), "password": _password()})
    return failed.value


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("anybody", "the server does not check the password by SCRAM"),
        ("plain", "the server does not check the password by SCRAM"),
        ("barred", "the server does not let this machine in"),
    ],
)
def test_a_server_that_would_prove_nothing_is_refused(birds: Database, role: str, why: str):
    error = _refusal(birds, role)
    assert error.exit == Exit.REFUSED
    assert error.message.startswith(f"role {role} of the database birds cannot be rotated: {why}")


def test_an_entry_of_another_user_is_refused(wren: Wren):
    with pytest.raises(Refused, match="the entry in the vault is of another user than role wren"):
        wren.target.survey({**wren.old, "username": Secret("somebody")})


def test_a_database_that_is_away_is_said(wren: Wren):
    with pytest.raises(TargetFailed, match="PostgreSQL cannot be reached: Connection refused") as failed:
        wren.at(free_port()).survey(wren.old)
    assert failed.value.exit == Exit.TARGET


def test_a_standby_is_refused(wren: Wren, tmp_path: Path):
    with _standby(wren.birds) as port, pytest.raises(Refused, match="the server is a standby"):
        wren.at(port).survey(wren.old)


@contextlib.contextmanager
def _standby(birds: Database) -> Iterator[int]:
    """A second server that follows the first one."""
    birds.ask("CHECKPOINT")
    folder, port = birds.folder / f"s{os.urandom(3).hex()}", free_port()
    birds._run("pg_basebackup", "-h", str(birds.folder), "-p", str(birds.port), "-U", "admin", "-D", str(folder), "-R",
               "-c", "fast")  # fmt: skip
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    birds._run("pg_ctl", "-D", str(folder), "-l", str(folder / "log"), "-w", "-o", options, "start")
    try:
        yield port
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            birds._run("pg_ctl", "-D", str(folder), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


# --- a server that lets anything in -----------------------------------------------------------------------------------


class Listener(ABC):
    """A server of our own on loopback, which answers one client after the other."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                talk, _ = self._listener.accept()
                with talk, contextlib.suppress(OSError, struct.error):
                    self._answer(talk)

    @abstractmethod
    def _answer(self, talk: socket.socket) -> None:
        """Serve one client until it, or we, have had enough."""

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Careless(Listener):
    """A server that asks for a password and takes any, as PAM or LDAP can be made to; or, `unasked`, asks for none."""

    def __init__(self, *, unasked: bool = False) -> None:
        self._unasked = unasked
        super().__init__()

    def _answer(self, talk: socket.socket) -> None:
        asked = talk.recv(65536)
        if asked[4:8] == struct.pack("!I", 80877103):  # TLS
            talk.sendall(b"N")
            talk.recv(65536)
        if not self._unasked:
            talk.sendall(b"R" + struct.pack("!II", 8, 3))
            talk.recv(65536)
        ready = b"Z" + struct.pack("!I", 5) + b"T"
        talk.sendall(
            b"R" + struct.pack("!II", 8, 0) + b"S" + struct.pack("!I", 25) + b"client_encoding\0UTF8\0" + ready
        )
        row = b"T" + struct.pack("!IH", 26, 1) + b"a\0" + struct.pack("!IHIHIH", 0, 0, 25, 65535, 0xFFFFFFFF, 0)
        row += b"D" + struct.pack("!IHI", 11, 1, 1) + b"1" + b"C" + struct.pack("!I", 13) + b"SELECT 1\0"
        while said := talk.recv(65536):
            if said[:1] == b"X":
                return
            begin = b"C" + struct.pack("!I", 10) + b"BEGIN\0"
            talk.sendall((begin if b"BEGIN" in said else row) + ready)


@pytest.mark.parametrize(
    ("unasked", "why"),
    [(False, "the database lets the role in with any password"), (True, "the server does not ask for the password")],
)
def test_a_server_that_takes_any_password_proves_nothing(
    wren: Wren, monkeypatch: pytest.MonkeyPatch, unasked: bool, why: str
):
    """SCRAM alone keeps such a server out; here that guard is off, and the next one must hold."""
    server = Careless(unasked=unasked)
    with contextlib.closing(server):
        with pytest.raises(CannotTell, match="does not check the password by SCRAM"):
            wren.at(server.port).prove(wren.old)
        monkeypatch.setattr(postgres, "_PROOF", "password,none")
        with pytest.raises(CannotTell, match=why):
            wren.at(server.port).prove(wren.old)
        with pytest.raises(Refused, match=f"cannot be rotated: {why}"):
            wren.at(server.port).survey(wren.old)


def test_a_password_that_is_not_taken_is_not_proven(wren: Wren):
    with pytest.raises(Incomplete, match="does not take the password") as failed:
        wren.target.prove(wren.new)
    assert failed.value.exit == Exit.INCOMPLETE


def test_an_old_password_that_still_works_is_said(wren: Wren):
    with pytest.raises(TargetFailed, match="still takes the old password"):
        wren.target.delete(wren.old, wren.new)


# --- a network that breaks --------------------------------------------------------------------------------------------


class Cutter(Listener):
    """A way to the database that is cut at what the client says with `word` in it: before, or when it is answered."""

    def __init__(self, port: int, word: bytes, *, answered: bool) -> None:
        self._target, self._word, self._answered = port, word, answered
        super().__init__()

    def _answer(self, talk: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._target)) as server:
            self._carry(talk, server)

    def _carry(self, talk: socket.socket, server: socket.socket) -> None:
        while True:
            for end in select.select((talk, server), (), ())[0]:
                said = end.recv(65536)
                if not said:
                    return
                found = end is talk and self._word in said
                if not found or self._answered:
                    (server if end is talk else talk).sendall(said)
                if found:
                    if self._answered:
                        server.recv(65536)
                    return


@pytest.mark.parametrize(
    ("word", "answered", "state"),
    [(b"ALTER", False, "old"), (b"ALTER", True, "old"), (b"COMMIT", False, "old"), (b"COMMIT", True, "new")],
)
def test_a_connection_that_is_cut_leaves_one_of_the_two_and_the_next_run_goes_on(
    wren: Wren, word: bytes, answered: bool, state: str
):
    cutter = Cutter(wren.birds.port, word, answered=answered)
    confirmed = pytest.raises(TargetFailed, match="the database did not confirm the new password")
    with contextlib.closing(cutter), confirmed as failed:
        wren.at(cutter.port).apply(wren.new, wren.old)
    assert failed.value.exit == Exit.TARGET
    assert wren.state == state
    wren.target.apply(wren.new, wren.old)
    assert wren.state == "new"


# --- how it is reached ------------------------------------------------------------------------------------------------


def test_a_row_becomes_a_target(inventory: Inventory):
    row = inventory.credentials["postgres-chronos"]
    made = targets.target(inventory, row, Ssh)
    assert made.name == "role chronos of the database chronos"
    assert (made.replaces, made.issues, made.overlaps, made.soaks) == (("password",), False, False, False)


def test_roles_that_take_turns_and_a_database_that_nobody_described_are_refused(inventory: Inventory):
    row = inventory.credentials["postgres-chronos"]
    turns = row._replace(target=row.target._replace(mode="alternating"))
    with pytest.raises(Refused, match="of two roles that take turns only an administrator") as failed:
        targets.target(inventory, turns, Ssh)
    assert "mode: single" in (failed.value.hint or "")
    with pytest.raises(Refused, match="the inventory has no section postgres"):
        targets.target(inventory._replace(postgres=None), row, Ssh)


@pytest.fixture(scope="module")
def far() -> Iterator[Production]:
    with production() as made:
        yield made


def test_a_database_in_a_container_is_reached_through_ssh_and_an_unpublished_port_is_said_with_the_line_to_add(
    wren: Wren, inventory: Inventory, far: Production, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ssh_by(far.config, tmp_path / "bin", monkeypatch)
    prod = Ssh("chronos-prod-db", sudo=True)
    row = inventory.credentials["postgres-chronos"]
    row = row._replace(target=row.target._replace(role=wren.role))
    section = inventory.postgres._replace(database="birds", connect=Connect("ssh-forward", wren.birds.port))
    rotated = targets.target(inventory._replace(postgres=section), row, lambda _: Container("chronos-db", inside=prod))
    rotated.survey(wren.old)
    rotated.apply(wren.new, wren.old)
    rotated.prove(wren.new)
    assert wren.state == "new"
    port = free_port()
    section = section._replace(connect=Connect("ssh-forward", port))
    rootfs = ("--rootfs", str(far.engine.rootfs), "sleep", "3600")
    far.engine("run", "-d", "--name", "shut", "--network=none", *rootfs)
    shut = Container("shut", inside=prod)
    rotated = targets.target(inventory._replace(postgres=section), row, lambda _: shut)
    try:
        with pytest.raises(Refused, match="port 5432 of container shut on chronos-prod-db is not published") as failed:
            rotated.survey(wren.old)
    finally:
        far.engine.remove("shut")
    assert failed.value.hint == f'in its compose file: ports: ["127.0.0.1:{port}:5432"]'
