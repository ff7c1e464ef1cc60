"""What every host can do."""

import contextlib
import os
import pwd
import secrets
import shlex
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from chronos_secrets.errors import Refused, TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems import process
from chronos_secrets.systems.hosts import placing, wire
from chronos_secrets.systems.hosts.placing import Placed, Seen
from chronos_secrets.systems.hosts.words import CutOff
from chronos_secrets.systems.process import Hear, Ran

NOTHING: Mapping[str, str | Secret] = MappingProxyType({})

PATIENCE = 60.0  # seconds until a host must be ready to run something
_GRACE = 20.0  # seconds beyond a program's own time, to hear that it was ended
_ENDED_BY_TIMEOUT = frozenset({"124", "137", "143"})  # what GNU and busybox `timeout` say, or a shell in their place


class Host(ABC):
    """Where a program runs or a file is placed. `name` is what messages call it."""

    name: str

    @abstractmethod
    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Secret = b"",
        environment: Mapping[str, str | Secret] = NOTHING,
        timeout: float,
        hear: Hear | None = None,
    ) -> Ran:
        """Run a program; its own failure is a result, whatever its status (0 to 255; 128 + n for signal n).

        `hear` hears its standard output as it comes; see process.capture for what is then kept of it.
        `environment` is added to what the host gives; neither it nor `stdin` stands in a command line anywhere.
        A daemon that keeps the program's output open may count as the program: redirect it. A program elsewhere does
        not see that we were interrupted; it is ended when its time is over, where the host has a `timeout`.
        Raises CutOff when it takes longer than `timeout` seconds or the host goes away under it, TargetFailed when it
        cannot be started there at all: nothing was done then.
        """

    @abstractmethod
    def paste(self, argv: Sequence[str], *, account: str | None = None) -> str:
        """The command that a person pastes on this machine to run `argv` there, as an account if one is named.

        For hints.
        """

    def look(self, path: str, *, owner: str | None = None) -> Seen:
        """What is at `path` now, and whether a file could be placed there: to be asked of every host before the first
        write. `owner` is who the file is to belong to. Raises Refused, TargetFailed as `place` would.
        """
        return placing.look(self, path, owner)

    def place(
        self, path: str, content: Secret, *, mode: int, owner: str | None = None, replaces: str | None = None
    ) -> Placed:
        """Replace the file at `path`, whole and durably, and read it back. It is 0600 until it has its owner and mode.

        `owner` is `user` or `user:group`; without one a file keeps its owner, and a new one belongs to who runs there.
        `replaces` is the SHA-256 that the old file must still have; Incomplete, and left alone, where it has not.
        Raises Refused for what must not or cannot be replaced (a link, a folder, a missing folder), TargetFailed where
        the old file is as it was, Incomplete where it may be the old file or the new one.
        """
        return placing.place(self, path, content, mode=mode, owner=owner, replaces=replaces)

    def read(self, path: str, limit: int) -> bytes | None:
        """The content of a file, None where there is none. Raises Refused above `limit` bytes, TargetFailed."""
        return placing.read(self, path, limit)


class Local(Host):
    """This machine."""

    name = "this machine"

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Secret = b"",
        environment: Mapping[str, str | Secret] = NOTHING,
        timeout: float,
        hear: Hear | None = None,
    ) -> Ran:
        """See Host.run."""
        try:
            return process.capture(
                argv, stdin=plain(stdin), environment=plain_environment(environment), timeout=timeout, hear=hear
            )
        except process.TimedOut as error:
            raise CutOff(error.message, hint=error.hint) from error

    def paste(self, argv: Sequence[str], *, account: str | None = None) -> str:
        """See Host.paste."""
        return shlex.join(argv if _is_ours(account) else becoming(account, argv))


class Remote(Host):
    """A host that is reached by another program: `wire` says how a program gets there."""

    @abstractmethod
    def reach(self, argv: Sequence[str]) -> tuple[str, ...]:
        """The command line on this machine that runs `argv` there. Its words are our own, and no secret."""

    @abstractmethod
    def refusal(self, tried: Ran) -> TargetFailed:
        """Why nothing began to run there, after a try."""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Secret = b"",
        environment: Mapping[str, str | Secret] = NOTHING,
        timeout: float,
        hear: Hear | None = None,
    ) -> Ran:
        """See Host.run."""
        return self.talk(
            self.reach(wire.BOOTSTRAP),
            argv,
            stdin=plain(stdin),
            environment=plain_environment(environment),
            timeout=timeout,
            hear=hear,
            refusal=self.refusal,
        )

    def talk(
        self,
        command: Sequence[str],
        argv: Sequence[str],
        *,
        stdin: bytes,
        environment: Mapping[str, bytes],
        timeout: float,
        hear: Hear | None = None,
        refusal: Callable[[Ran], TargetFailed],
    ) -> Ran:
        """Run `argv` through `command`, which ends in wire.BOOTSTRAP; `refusal` explains why nothing began."""
        mark, begun_at = secrets.token_hex(16), time.monotonic()
        line = wire.opening(argv, environment, timeout=timeout, mark=mark)
        try:
            tried = process.capture(
                command, stdin=line + stdin, after=(wire.READY, PATIENCE), timeout=timeout + _GRACE,
                hear=wire.heard(mark, hear) if hear else None,
            )  # fmt: skip
        except process.TimedOut as late:
            raise self._late(late.out, argv, timeout) from late
        if wire.READY not in tried.out:
            raise refusal(tried)
        reply = wire.parse(tried.out, tried.err, mark=mark)
        if reply.end in _ENDED_BY_TIMEOUT and time.monotonic() - begun_at >= timeout:
            raise CutOff(f"{argv[0]} on {self.name} did not end within {timeout:g} seconds and was ended")
        return self._ended(reply, argv)

    def _ended(self, reply: wire.Reply, argv: Sequence[str]) -> Ran:
        if reply.end is None:
            raise CutOff(
                f"{self.name} went away while {argv[0]} ran; it may still run there", hint=self.paste(("ps", "-ef"))
            )
        if reply.end == "absent":
            look = f"command -v {shlex.quote(argv[0])}"
            raise TargetFailed(f"{self.name} has no program {argv[0]}", hint=self.paste(("sh", "-c", look)))
        return Ran(int(reply.end), reply.out, reply.err)

    def _late(self, out: bytes, argv: Sequence[str], timeout: float) -> TargetFailed:
        if wire.READY not in out:
            return TargetFailed(
                f"{self.name} ran nothing within {PATIENCE:g} seconds", hint=self.paste(("sh", "-c", "id"))
            )
        return CutOff(
            f"{argv[0]} on {self.name} did not end within {timeout:g} seconds; it may still run there",
            hint=self.paste(("ps", "-ef")),
        )


def becoming(account: str | None, argv: Sequence[str]) -> tuple[str, ...]:
    """The argv by which root runs `argv` as an account, for a person to type."""
    return ("runuser", "-u", account, "--", *argv) if account else tuple(argv)


def _is_ours(account: str | None) -> bool:
    """Whether an account is the one that we run as: nobody but root may ask for another one."""
    with contextlib.suppress(KeyError):
        return account is not None and pwd.getpwnam(account).pw_uid == os.geteuid()
    return False


def plain(given: bytes | Secret) -> bytes:
    """The bytes that a program is given to read."""
    return given.reveal_bytes() if isinstance(given, Secret) else given


def plain_environment(environment: Mapping[str, str | Secret]) -> dict[str, bytes]:
    """The variables as a program gets them. Raises Refused for what no program can be given."""
    found = {}
    for name, value in environment.items():
        data = value.reveal_bytes() if isinstance(value, Secret) else value.encode(errors="surrogateescape")
        if not wire.is_name(name) or b"\0" in data:
            raise Refused(f"{name!r} cannot be an environment variable, or its value holds a NUL byte")
        found[name] = data
    return found
