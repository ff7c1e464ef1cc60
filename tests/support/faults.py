"""A proxy between a client of AWS and the server that plays AWS, which does what networks and AWS do on a bad day.

It speaks plain HTTP on loopback and passes the Host header on, so that signatures still hold.
"""

import contextlib
import html
import http.client
import http.server
import os
import re
import signal
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.support.clouds import Cloud, Key

_QUERY = (
    '<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>{code}</Code>'
    "<Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
)
_S3 = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
_OBJECTS = {"PUT": "PutObject", "GET": "GetObject", "DELETE": "DeleteObject"}
_SETTINGS = {"lifecycle", "location", "policy", "publicAccessBlock", "versioning"}  # of a bucket: "PUT ?policy"
_OF_ONE_LEG = {"connection", "transfer-encoding", "content-length", "date", "server", "expect"}
_CREATED = re.compile(rb"<AccessKeyId>([^<]+)<")
_ITS_SECRET = re.compile(rb"<SecretAccessKey>([^<]+)<")


class Answer(NamedTuple):
    """Answered by the proxy itself; the server is not asked."""

    status: int
    code: str
    message: str = "as the test has it"


REFUSED = Answer(403, "")  # with the code of the service
THROTTLED = Answer(400, "Throttling", "Rate exceeded")
BROKEN = Answer(500, "InternalFailure")
AWAY = Answer(503, "ServiceUnavailable")
FORBIDDEN = Answer(403, "AccessDenied", "User: arn:aws:iam::000000000000:user/x is not authorized")
FULL = Answer(409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2")
SKEWED = Answer(
    403, "SignatureDoesNotMatch", "Signature expired: 20260101T000000Z is now earlier than 20260102T000000Z"
)
EXPIRED = Answer(403, "ExpiredToken", "The security token included in the request is expired")
HOTEL = Answer(200, "", "<html>welcome to our network</html>")

RESET = "reset"  # the connection ends before the server is asked
LOST = "lost"  # the server has done it, and the connection ends before the answer
CUT = "cut"  # the server has done it, and half of its answer arrives
STALE = "stale"  # the server's last answer to this operation before the latest key was created
LATE = "late"  # the server has done it, and the answer comes after `seconds`
KILL_BEFORE, KILL_AFTER = "kill-before", "kill-after"  # SIGKILL `Faults.client` before the server is asked, or after


@dataclass
class Fault:
    """What happens to the next `times` requests of an operation (such as CreateAccessKey) with a key; "" is any."""

    do: Answer | str
    operation: str = ""
    key: str = ""
    times: float = 1
    seconds: float = 0.0


class Asked(NamedTuple):
    """A request that came: its operation, the key that signed it, and the status that the client got (0: none)."""

    operation: str
    key: str
    status: int


@dataclass
class Call:
    """A request: its service, its operation, and the key that signed it."""

    service: str
    operation: str
    key: str
    fault: Fault | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Faults:
    """The proxy, at `url`. Faults are tried in the order in which they were added.

    `fresh` is for how many seconds a new key is refused, from the first time that it is used. `client` gives the
    processes that a kill ends. `script` is asked first, for what depends on more than the operation.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.upstream = urllib.parse.urlsplit(cloud.url)
        self.trusted = ssl.create_default_context(cafile=cloud.certificate) if cloud.certificate else None
        self.fresh = 0.0
        self.client: Callable[[], list[int]] = list
        self.script: Callable[[Call], Answer | str | None] | None = None
        self.asked: list[Asked] = []
        self.agents: list[str] = []  # of the requests that create a key
        self.issued: list[Key] = []  # every key that was ever created, whoever got to know of it
        self._faults: list[Fault] = []
        self._fresh_until: dict[str, float] = {}
        self._unused: set[str] = set()  # keys that were created and not used yet
        self._listed = self.listed_before = b""  # the last list of keys, and the last one before a key was created
        self._lock = threading.Lock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.faults = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def add(
        self, do: Answer | str, operation: str = "", *, key: str = "", times: float = 1, seconds: float = 0
    ) -> None:
        """From now on."""
        with self._lock:
            self._faults.append(Fault(do, operation, key, times, seconds))

    def clear(self) -> None:
        """No more faults, and nothing noted."""
        with self._lock:
            self._faults.clear()
            self._fresh_until.clear()
            self._unused.clear()
            self.asked.clear()
            self.agents.clear()
            self.fresh, self.client, self.script = 0.0, list, None

    def count(self, operation: str) -> int:
        """How many requests of an operation came."""
        return sum(each.operation == operation for each in self.asked)

    def note(self, call: Call, status: int) -> None:
        with self._lock:
            self.asked.append(Asked(call.operation, call.key, status))

    def met(self, call: Call) -> Fault | None:
        """The fault that a request meets, which is used up by that."""
        if self.script and (do := self.script(call)):
            return Fault(do)
        with self._lock:
            if call.operation == "CreateAccessKey":
                self.agents.append(call.headers.get("User-Agent", ""))
            if call.key in self._unused:
                self._unused.remove(call.key)
                self._fresh_until[call.key] = time.monotonic() + self.fresh
            if time.monotonic() < self._fresh_until.get(call.key, 0.0):
                return Fault(REFUSED)
            for fault in self._faults:
                if fault.operation in ("", call.operation) and fault.key in ("", call.key) and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def answered(self, call: Call, status: int, body: bytes) -> None:
        """What the server answered."""
        if call.operation == "ListAccessKeys":
            self._listed = body
        if call.operation != "CreateAccessKey" or status != 200:
            return
        self.listed_before = self._listed
        created, its_secret = _CREATED.search(body), _ITS_SECRET.search(body)
        assert created
        assert its_secret
        with self._lock:
            self.issued.append(Key(created[1].decode(), html.unescape(its_secret[1].decode())))
            self._unused.add(self.issued[-1].id)

    def kill(self) -> None:
        """End the client, if it is still there."""
        for process in self.client():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(20)
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    disable_nagle_algorithm = True
    timeout = 60

    def log_message(self, *_: object) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        self._faults: Faults = self.server.faults  # type: ignore[attr-defined]
        self._upstream: http.client.HTTPConnection | None = None

    def handle_expect_100(self) -> bool:
        found = super().handle_expect_100()
        self.wfile.flush()  # else the client waits a second for it
        return found

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # a client that was killed
            super().handle()

    def finish(self) -> None:
        if self._upstream is not None:
            self._upstream.close()
        with contextlib.suppress(OSError):
            super().finish()

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = self._call(body)
        fault = self._faults.met(call)
        do = fault.do if fault else None
        if isinstance(do, Answer):
            self._faults.note(call, do.status)
            self._answer(do.status, _written(do, call.service), {"Content-Type": "text/xml"})
        elif do in (RESET, KILL_BEFORE):
            self._end(call, kill=do == KILL_BEFORE)
        else:
            status, headers, found = self._ask(body)
            self._faults.answered(call, status, found)
            if do in (LOST, KILL_AFTER):
                self._end(call, kill=do == KILL_AFTER)
                return
            self._faults.note(call, status)
            found = self._faults.listed_before if do == STALE else found
            if do == LATE and fault:
                time.sleep(fault.seconds)
            self._answer(status, found, headers, cut=do == CUT)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _handle  # noqa: N815  # http.server looks for these names

    def _call(self, body: bytes) -> Call:
        signed = re.search(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/", self.headers.get("Authorization", ""))
        key, service = signed.groups() if signed else ("", "")
        form = dict(urllib.parse.parse_qsl(body.decode("latin1"))) if service != "s3" else {}
        setting = urllib.parse.urlsplit(self.path).query.partition("&")[0].rstrip("=")
        asked = f"{self.command} ?{setting}" if setting in _SETTINGS else _OBJECTS.get(self.command, self.command)
        operation = form.get("Action") or asked
        return Call(service, operation, key, headers=dict(self.headers.items()))

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Ask the server; a connection that it has closed meanwhile is made anew."""
        for _ in range(2):
            if self._upstream is None:
                self._upstream = self._connected()
            try:
                self._upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("expect", "connection"):
                        self._upstream.putheader(name, value)
                self._upstream.endheaders(body or None)
                answer = self._upstream.getresponse()
                found = answer.read()
            except (http.client.RemoteDisconnected, ConnectionError):
                self._upstream.close()
                self._upstream = None
                continue
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in _OF_ONE_LEG}
            return answer.status, headers, found
        raise AssertionError("the server ended the connection twice")

    def _connected(self) -> http.client.HTTPConnection:
        where, trusted = self._faults.upstream, self._faults.trusted
        if trusted is None:
            return http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        return http.client.HTTPSConnection(where.hostname or "", where.port, timeout=60, context=trusted)

    def _answer(self, status: int, body: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        with contextlib.suppress(OSError):  # the client may be dead
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if cut else body)
            self.wfile.flush()
        if cut:
            self.close_connection = True

    def _end(self, call: Call, *, kill: bool) -> None:
        if kill:
            self._faults.kill()
        self._faults.note(call, 0)
        self.close_connection = True


def _written(answer: Answer, service: str) -> bytes:
    if answer is HOTEL:
        return answer.message.encode()
    code = answer.code or ("InvalidAccessKeyId" if service == "s3" else "InvalidClientTokenId")
    if answer is THROTTLED and service == "s3":
        code = "SlowDown"
    return (_S3 if service == "s3" else _QUERY).format(code=code, message=answer.message).encode()


@contextlib.contextmanager
def between(cloud: Cloud) -> Iterator[Faults]:
    """A `Faults` for the block."""
    proxy = Faults(cloud)
    try:
        yield proxy
    finally:
        proxy.close()
