"""SeaweedFS as S3, IAM and STS on loopback, over TLS.

It refuses an Inactive or deleted key at once, as AWS does. Unlike AWS it knows no CreateDate and no last use of a key,
has no limit of two keys, and its account is 000000000000.
"""

import contextlib
import json
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from ssl import create_default_context

from tests.support.clouds import REGION, Cloud, Key
from tests.support.programs import require
from tests.support.targets import certify, reserve

_GRPC = 10_000  # what SeaweedFS adds to a port for the same server's gRPC
_PATIENCE = 60.0  # seconds for a start
_OPTIONS = {
    "ip": "127.0.0.1",
    "ip.bind": "127.0.0.1",
    "master.telemetry": "false",
    "master.volumeSizeLimitMB": "64",
    "volume.max": "200",
    "s3.iam": "true",
    "s3.iam.readOnly": "false",
    "s3.domainName": f"s3.{REGION}.amazonaws.com",
    "s3.port.iceberg": "0",
    "s3.port.lance": "0",
}


class Seaweed(Cloud):
    """The server. It answers at https://localhost:PORT; 127.0.0.1 and s3.REGION.amazonaws.com are in its certificate,
    too, and any bucket's name before the latter."""

    account = "000000000000"

    def __init__(self, folder: Path) -> None:
        """`folder` must be empty and its path short."""
        self.folder = folder
        self.admin = Key("AKIA" + secrets.token_hex(8).upper(), secrets.token_hex(20))
        amazon = f"s3.{REGION}.amazonaws.com"
        certify(folder / "certificate.pem", "localhost", "127.0.0.1", amazon, f"*.{amazon}")
        self.certificate = str(folder / "certificate.pem")
        self._server = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        """A port that looked free may be taken a moment later by another program: then others are tried."""
        for _ in range(5):
            names = ("master.port", "volume.port", "filer.port", "s3.port", "s3.port.https")
            ports = self._ports = dict(zip(names, _free_ports(len(names)), strict=True))
            self.port = ports["s3.port.https"]
            self.host = f"localhost:{self.port}"
            self.url = f"https://{self.host}"
            server = self._launched(ports)
            if self._came_up(server):
                return server
            server.kill()
            server.wait()
        raise AssertionError(f"weed does not start: {self._log()[-2000:]}")

    def _launched(self, ports: dict[str, int]) -> "subprocess.Popen[bytes]":
        data, config = self.folder / "data", self.folder / "s3.json"
        data.mkdir(exist_ok=True)
        credentials = [{"accessKey": self.admin.id, "secretKey": self.admin.secret}]
        config.touch(0o600)
        config.write_text(
            json.dumps({"identities": [{"name": "admin", "credentials": credentials, "actions": ["Admin"]}]})
        )
        options = _OPTIONS | {name: str(port) for name, port in ports.items()} | {
            "dir": str(data), "s3.config": str(config),
            "s3.cert.file": str(self.certificate), "s3.key.file": str(self.certificate),
            "filer.localSocket": str(self.folder / "filer"), "s3.localSocket": str(self.folder / "s3"),
        }  # fmt: skip
        argv = (_weed(), f"-logdir={self.folder}", "server", "-s3", *(f"-{k}={v}" for k, v in options.items()))
        # without the first, a PUT into a bucket with encryption fails; without the second, GetCallerIdentity does
        keys = {name: secrets.token_hex(16) for name in ("WEED_S3_SSE_KEY", "WEED_JWT_FILER_SIGNING_KEY")}
        with (self.folder / "said").open("wb") as said:
            return subprocess.Popen(
                (require("setpriv"), "--pdeathsig", "KILL", "--", *argv),  # it outlives no test that was killed
                env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "TMPDIR": str(self.folder)} | keys,
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def _came_up(self, server: "subprocess.Popen[bytes]") -> bool:
        trusting, deadline = create_default_context(cafile=self.certificate), time.monotonic() + _PATIENCE
        while server.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                opener = urllib.request.build_opener(
                    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting)
                )
                with opener.open(f"{self.url}/healthz", timeout=5) as answer:
                    return bool(answer.status == 200)
            time.sleep(0.05)
        return False

    def _log(self) -> str:
        return (self.folder / "said").read_text(errors="replace")

    def close(self) -> None:
        """A polite end takes it ten seconds."""
        self._server.kill()
        self._server.wait()
        for name, port in self._ports.items():  # it puts these there whatever it is told
            Path(f"/tmp/seaweedfs-{name.split('.')[0]}-grpc-{port + _GRPC}.sock").unlink(missing_ok=True)


@contextlib.contextmanager
def seaweed() -> Iterator[Seaweed]:
    """A `Seaweed` for the block, in a folder of its own. It starts in about three seconds: share it."""
    folder = Path(tempfile.mkdtemp(prefix="weed-", dir="/tmp"))
    server = None
    try:
        server = Seaweed(folder)
        yield server
    finally:
        if server is not None:
            server.close()
        shutil.rmtree(folder, ignore_errors=True)


def _weed() -> str:
    """The program, which pip puts beside the interpreter."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else require("weed")


def _free_ports(number: int) -> list[int]:
    """Ports below those that the system hands out, free with their gRPC twins."""
    found: list[int] = []
    while len(found) < number:
        port = random.randrange(10_100, 22_000)
        if reserve(port, port + _GRPC):
            found.append(port)
    return found
