"""`python -m tests.support.moto_iam PORT`: moto's server, which refuses an Inactive key, as AWS does and moto does not.

As a module: `Moto`, that server as a world. Like AWS it tells when a key was created and last used, allows two keys, and
knows rights. Unlike AWS it knows all of this at once, and it speaks no TLS.
"""

import contextlib
import http.client
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.support.clouds import Cloud, Key
from tests.support.targets import free_port, wait_for

_EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


class Moto(Cloud):
    """The server. Its checks are off while it is filled, and on before anything is proven."""

    account = "123456789012"
    certificate = None

    def __init__(self) -> None:
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"
        quiet: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
        }
        self._server = subprocess.Popen((sys.executable, "-m", "tests.support.moto_iam", str(self.port)), **quiet)
        wait_for(self.port, self._server, "moto")
        self.admin = Key("AKIA" + "0" * 16, "anything")
        self._check("inf")
        self.client("iam").create_user(UserName="admin")
        self.client("iam").put_user_policy(UserName="admin", PolicyName="all", PolicyDocument=_EVERYTHING)
        self.admin = self.key("admin")
        self._check("0")

    def _check(self, after: str) -> None:
        """Check signatures and rights after so many requests."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as talk:
            talk.request("POST", "/moto-api/reset-auth", after, {"Content-Type": "text/plain"})
            assert talk.getresponse().status == 200

    def close(self) -> None:
        self._server.kill()
        self._server.wait(30)


@contextlib.contextmanager
def moto() -> Iterator[Moto]:
    """A `Moto` for the block. It starts in about a second."""
    server = Moto()
    try:
        yield server
    finally:
        server.close()


def _refuse_inactive_keys() -> None:
    from moto.iam import access_control

    found = access_control.IAMUserAccessKey.__init__

    def checked(self: Any, account_id: str, partition: str, access_key_id: str, headers: Any) -> None:
        found(self, account_id, partition, access_key_id, headers)
        for user in self.backend.list_users("/", None, None):
            for key in user.access_keys:
                if key.access_key_id == access_key_id and key.status != "Active":
                    raise access_control.CreateAccessKeyFailure(reason="InvalidId")

    access_control.IAMUserAccessKey.__init__ = checked


if __name__ == "__main__":
    from moto.server import main

    _refuse_inactive_keys()
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
