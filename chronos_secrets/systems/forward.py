"""One connection to a port of another host's loopback, through ssh. No port of this machine is opened for it."""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems import files
from chronos_secrets.systems.hosts import Ran, Ssh

_LAST_WORDS = 5.0  # seconds in which ssh says why it failed


@contextlib.contextmanager
def forwarded(host: Ssh, port: int, *, name: str) -> Iterator[Path]:
    """A private folder with a socket `name`, for the block: the first connection to it ends at `port` over there.

    When the block raises TargetFailed and it was ssh that failed, that is raised instead.
    """
    with files.scratch() as folder:
        carrier = _Carrier(host, port, folder / name)
        try:
            yield folder
        except TargetFailed as error:
            raise carrier.failure() or error from error
        finally:
            carrier.close()


class _Carrier:
    """Waits for one connection and gives it to an ssh of its own."""

    def __init__(self, host: Ssh, port: int, path: Path) -> None:
        self._host, self._port, self._path = host, port, path
        self._child: subprocess.Popen[bytes] | None = None
        self._broken: OSError | None = None
        self._closing = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._waiting = threading.Thread(target=self._carry, daemon=True)
        self._waiting.start()

    def _carry(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            if self._closing:
                return
            end, argv = connection.fileno(), self._host.forward(self._port)
            try:
                self._child = subprocess.Popen(
                    argv, stdin=end, stdout=end, stderr=subprocess.PIPE, start_new_session=True
                )
            except OSError as error:
                self._broken = error

    def failure(self) -> TargetFailed | None:
        """Why ssh carried nothing; None where it did, or was not asked to. Waits for it to say so."""
        if self._broken is not None:
            return TargetFailed(f"ssh could not be started: {files.reason(self._broken)}", hint="command -v ssh")
        if self._child is None:
            return None
        try:
            _, said = self._child.communicate(timeout=_LAST_WORDS)
        except subprocess.TimeoutExpired:
            return None
        if self._child.returncode == 0:
            return None
        if b"stdio forwarding failed" in said:
            return TargetFailed(f"nothing answers at port {self._port} of {self._host.name}'s own loopback")
        return self._host.refusal(Ran(self._child.returncode, b"", said))

    def close(self) -> None:
        """End ssh, and the waiting for a connection that never came."""
        self._closing = True
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as nobody:
            nobody.connect(str(self._path))
        self._waiting.join()
        self._listener.close()
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
