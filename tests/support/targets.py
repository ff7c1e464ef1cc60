"""What honours credentials: a real PostgreSQL, AWS's STS as moto plays it, a site of Atlassian's cloud behind a proxy."""

import base64
import contextlib
import glob
import http.client
import ipaddress
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.programs import require
from tests.support.waiting import until

REGION = "ca-central-1"
SITE = "birds.atlassian.net"


def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the proxies of whoever runs the tests."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


_OURS: list[socket.socket] = []  # by which the ports of this process are known to be taken


def free_port() -> int:
    """A port that nobody listens on, and that no outgoing connection is given before a server takes it.

    No other test is given it before this process ends.
    """
    while True:
        port = 15_000 + secrets.randbelow(15_000)
        if reserve(port):
            return port


def reserve(*ports: int) -> bool:
    """Take ports for this process, where all of them are free: between a look at a port and the server that takes it,
    another process may look, too. Each is held by a socket for datagrams, which leaves it to a server."""
    with contextlib.ExitStack() as held:
        try:
            marks = [held.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in ports]
            for mark, port in zip(marks, ports, strict=True):
                mark.bind(("127.0.0.1", port))
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            return False
        held.pop_all()
    _OURS.extend(marks)
    return True


def wait_for(port: int, child: "subprocess.Popen[bytes]", name: str) -> None:
    """Wait until a server listens on loopback."""

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        assert child.poll() is None, f"{name} ended"
        return False

    until(answers, f"{name} does not listen")


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


_RULES = """\
local all all trust
local replication all trust
host all anybody 127.0.0.1/32 trust
host all plain 127.0.0.1/32 password
host all barred 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
"""


class Database:
    """A PostgreSQL server on loopback with a database `birds`, where roles need their password by SCRAM.

    But for `anybody`, who needs none, `plain`, who is asked to send it as it is, and `barred`, who never gets in.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` must be short and empty; the server's account gets it."""
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        self._programs = Path(found[-1]) if found else Path(require("initdb")).parent
        self._who: dict[str, object] = {}
        if os.geteuid() == 0:  # PostgreSQL does not run as root
            self._who = {"user": "postgres", "group": "postgres", "extra_groups": ()}
            shutil.chown(folder, "postgres", "postgres")
        self.folder, self.port = folder, free_port()
        self._run("initdb", "-D", "d", "-U", "admin", "--no-sync", "--no-instructions", "--locale=C")
        (folder / "d" / "pg_hba.conf").write_text(_RULES)
        ours = "-c listen_addresses=127.0.0.1 -c fsync=off -c autovacuum=off"  # no commits but those of a test
        self._options = f"-p {self.port} -k {folder} {ours}"
        self._run("pg_ctl", "-D", "d", "-l", "log", "-w", "-o", self._options, "start")
        self.ask("CREATE DATABASE birds")

    def _run(self, program: str, *words: str) -> None:
        argv = (self._programs / program, *words)
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(argv, cwd=self.folder, check=True, timeout=120, **quiet, **self._who)  # type: ignore[call-overload]

    def ask(self, statement: str) -> None:
        """Run a statement as the administrator."""
        import psycopg

        where = {"host": str(self.folder), "port": str(self.port), "user": "admin", "dbname": "postgres"}
        with psycopg.connect(**where, autocommit=True) as connection:
            connection.execute(statement.encode())

    def role(self, name: str, password: str) -> None:
        """A role that may log in with a password."""
        self.ask(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'")

    def restart(self, options: str | None = None) -> None:
        """Start the server anew, for a setting that needs it; with more on its command line from now on."""
        more = () if options is None else ("-o", f"{self._options} {options}")
        self._run("pg_ctl", "-D", "d", "-l", "log", "-m", "fast", "-w", *more, "restart")

    def close(self) -> None:
        self._run("pg_ctl", "-D", "d", "-m", "immediate", "-w", "stop")


@contextlib.contextmanager
def database() -> Iterator[Database]:
    """A `Database` for the block."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    made = None
    try:
        made = Database(folder)
        yield made
    finally:
        if made is not None:
            made.close()
        shutil.rmtree(folder)


# --- AWS --------------------------------------------------------------------------------------------------------------


class Sts:
    """moto's STS and IAM. It checks keys and signatures; unlike AWS it also takes a key that is Inactive."""

    account = "123456789012"

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        argv = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port))
        self._server = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self.port, self._server, "moto")

    def key_of(self, user: str) -> tuple[str, str]:
        """A new access key of a new user; from now on every request is checked."""
        import boto3

        self._check("inf")
        iam = boto3.client("iam", REGION, endpoint_url=self.url, aws_access_key_id="x", aws_secret_access_key="x")
        iam.create_user(UserName=user)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        self._check("0")
        return key["AccessKeyId"], key["SecretAccessKey"]

    def _check(self, after: str) -> None:
        """Check requests after so many."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as talk:
            talk.request("POST", "/moto-api/reset-auth", after, {"Content-Type": "text/plain"})
            assert talk.getresponse().status == 200

    def close(self) -> None:
        self._server.terminate()
        self._server.wait(30)


# --- Atlassian --------------------------------------------------------------------------------------------------------


class Site:
    """The site `SITE`, behind a proxy as in many an office. Point HTTPS_PROXY and SSL_CERT_FILE at `proxy` and
    `certificate`.

    It takes `token` of `username` alone. `answers` are other answers, (status, header, body), by path; `asked` is what
    was asked for, in order: the host and port that the proxy was to reach, and the path.
    """

    def __init__(self, folder: Path) -> None:
        self.username, self.token = "finch@example.org", f"canary{secrets.token_hex(12)}"
        self.answers: dict[str, tuple[int, str, bytes]] = {}
        self.asked: list[tuple[str, str]] = []
        self.certificate = folder / "site.pem"
        certify(self.certificate, SITE)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(self.certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.proxy = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._serving = threading.Thread(target=self._serve, daemon=True)
        self._serving.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                target = _head(connection).split()[1:2]
                if not target:  # `close` ends the waiting
                    return
                connection.sendall(b"HTTP/1.1 200 go on\r\n\r\n")
                with contextlib.suppress(OSError), self._tls.wrap_socket(connection, server_side=True) as talk:
                    talk.sendall(self._answer(target[0], _head(talk)))

    def _answer(self, target: str, head: str) -> bytes:
        path = head.split()[1]
        self.asked.append((target, path))
        given = base64.b64encode(f"{self.username}:{self.token}".encode()).decode()
        ours = (200, "X-A: b", b'{"accountId": "5b10"}') if f"Basic {given}\r\n" in head else (401, "X-A: b", b"")
        status, header, body = self.answers.get(path, ours)
        return b"HTTP/1.1 %d it is\r\n%b\r\nContent-Length: %d\r\n\r\n%b" % (status, header.encode(), len(body), body)

    def close(self) -> None:
        with socket.create_connection(self._listener.getsockname()):
            pass
        self._serving.join(20)
        self._listener.close()


def _head(talk: socket.socket) -> str:
    """A request up to its empty line."""
    found = b""
    while b"\r\n\r\n" not in found and (more := talk.recv(65536)):
        found += more
    return found.decode()


def certify(path: Path, *names: str) -> None:
    """A certificate for host names and addresses that vouches for itself, and its key, in one file (0600)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    uses = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        encipher_only=False,
        decipher_only=False,
        **dict.fromkeys(uses, False),
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    alternatives = [
        x509.IPAddress(ipaddress.ip_address(each)) if each[0].isdigit() else x509.DNSName(each) for each in names
    ]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.touch(0o600)
    path.write_bytes(plain + made.public_bytes(pem))
