"""A container, on this machine or behind another host. The engine is docker or podman, called as a person calls it."""

import contextlib
import json
import posixpath
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chronos_secrets.errors import ChronosError, Refused, TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems.hosts import placing, wire
from chronos_secrets.systems.hosts.host import NOTHING, Host, Local, Remote, plain, plain_environment
from chronos_secrets.systems.hosts.placing import Placed, Seen
from chronos_secrets.systems.hosts.words import last_words
from chronos_secrets.systems.process import Hear, Ran

_ROOT = "0"
_ENGINE_TIMEOUT = 60.0  # seconds for a question to the engine
_ONE_OFF = "-one-off-"  # between a container's name and some chance, in the name of one like it
_LASTING = frozenset({"bind", "volume"})


class Mount(NamedTuple):
    """One mount of a container: what the engine's host has at `source` is at `inside` in the container."""

    kind: str  # bind, volume, tmpfs, ...
    source: str
    inside: str
    writable: bool


class Container(Remote):
    """A running container, by its name. `inside` is the host whose engine runs it.

    Programs run as `user`, or as the container's own. Files that get an owner are placed as root of the container.
    The container needs a POSIX shell, and coreutils or busybox.
    """

    def __init__(
        self, container: str, *, engine: str = "docker", user: str | None = None, inside: Host | None = None
    ) -> None:
        self._container, self._engine, self._user = container, engine, user
        self._outside = inside or Local()
        self._where = "" if isinstance(self._outside, Local) else f" on {self._outside.name}"
        self.name = f"container {container}{self._where}"

    def reach(self, argv: Sequence[str]) -> tuple[str, ...]:
        """See Remote.reach."""
        return self._from_here((*self._exec, *argv))

    def paste(self, argv: Sequence[str], *, account: str | None = None) -> str:
        """See Host.paste. It is the engine that changes the account: an image may have nothing that does."""
        return self._outside.paste((*self._as(account)._exec, *argv))

    @property
    def _exec(self) -> tuple[str, ...]:
        return (self._engine, "exec", "-i", *(("-u", self._user) if self._user else ()), self._container)

    def _from_here(self, argv: Sequence[str]) -> tuple[str, ...]:
        return self._outside.reach(argv) if isinstance(self._outside, Remote) else tuple(argv)

    def refusal(self, tried: Ran) -> TargetFailed:
        """See Remote.refusal. The engine is asked again: its exit statuses do not tell its own troubles apart."""
        state = self._inspect()["State"]
        status = str(state.get("Status", "")).lower()
        if status == "paused":
            return TargetFailed(
                f"{self.name} is paused", hint=self._outside.paste((self._engine, "unpause", self._container))
            )
        if not state.get("Running"):
            return TargetFailed(
                f"{self.name} is not running ({last_words(status.encode())})",
                hint=self._outside.paste((self._engine, "start", self._container)),
            )
        return TargetFailed(
            f"{self.name} runs no command: {last_words(tried.err)}", hint=self.paste(("sh", "-c", "id"))
        )

    def mounts(self) -> tuple[Mount, ...]:
        """What is mounted in the container, running or not. Raises TargetFailed."""
        return tuple(
            Mount(
                str(each.get("Type", "")), str(each.get("Source", "")),
                posixpath.normpath(str(each.get("Destination", "/"))), bool(each.get("RW", True)),
            )
            for each in self._inspect().get("Mounts") or ()
        )  # fmt: skip

    def publishes(self, port: int) -> bool:
        """Whether the host's own loopback could have `port` of it: published, or the network is not its own.

        Raises TargetFailed.
        """
        facts = self._inspect()
        own = facts.get("HostConfig") or {}
        if str(own.get("NetworkMode", "")).partition(":")[0] in ("host", "container"):
            return True
        published = (own.get("PortBindings") or {}, (facts.get("NetworkSettings") or {}).get("Ports") or {})
        found = (
            str(each.get("HostPort", "")) for table in published for bound in table.values() for each in bound or ()
        )
        return str(port) in found

    def holds_alone(self, source: str) -> Mount | None:
        """The mount by which the container has the file `source` of the engine's host, and not its folder; or None.

        Such a container keeps the old file when that is replaced: it must be started again, or better have the folder
        mounted.
        """
        source = posixpath.normpath(source)
        return next((each for each in self.mounts() if each.kind == "bind" and each.source == source), None)

    def look(self, path: str, *, owner: str | None = None) -> Seen:
        """See Host.look; also refuses what `place` refuses because of how it is mounted."""
        mounts = self.mounts()
        self._mount_of(path, mounts)
        seen = placing.look(self._for_files(owner), path, owner)
        self._mount_of(posixpath.join(seen.folder, posixpath.basename(path)), mounts)
        return seen

    def place(
        self, path: str, content: Secret, *, mode: int, owner: str | None = None, replaces: str | None = None
    ) -> Placed:
        """See Host.place. Also raises Refused for a file that is mounted alone, or from a mount that is read-only."""
        mounts = self.mounts()
        self._mount_of(path, mounts)
        placed = placing.place(self._for_files(owner), path, content, mode=mode, owner=owner, replaces=replaces)
        mount = self._mount_of(posixpath.join(placed.folder, posixpath.basename(path)), mounts)
        return placed._replace(lasting=mount is not None and mount.kind in _LASTING)

    def read(self, path: str, limit: int) -> bytes | None:
        """See Host.read; reads as root of the container."""
        return placing.read(self._for_files(_ROOT), path, limit)

    def is_running(self) -> bool:
        """Whether its main process runs. Raises TargetFailed."""
        return bool(self._inspect()["State"].get("Running"))

    def runs_steadily(self) -> bool:
        """Whether it runs, and the engine's restart policy had no work since it was started. Raises TargetFailed."""
        facts = self._inspect()
        return bool(facts["State"].get("Running")) and not facts.get("RestartCount")

    def stop(self, *, timeout: int) -> None:
        """End its main process as the engine does: asked first, killed after `timeout` seconds. Raises TargetFailed."""
        self._command("stop", "-t", str(timeout), self._container, timeout=timeout + _ENGINE_TIMEOUT)

    def start(self) -> None:
        """Start it anew, as it was made. Raises TargetFailed."""
        self._command("start", self._container, timeout=_ENGINE_TIMEOUT)

    def said(self, lines: int) -> bytes:
        """The last lines of its log; b"" where the engine keeps none."""
        ran = self._outside.run((self._engine, "logs", "--tail", str(lines), self._container), timeout=_ENGINE_TIMEOUT)
        return ran.out + ran.err if ran.status == 0 else b""

    def one_offs(self) -> list[str]:
        """The names of containers that `one_off` made and that are still there. Raises TargetFailed."""
        begins = f"{self._container}{_ONE_OFF}"
        said = self._command("ps", "-a", "--format", "{{.Names}}", timeout=_ENGINE_TIMEOUT).decode(errors="replace")
        return [name for name in said.split() if name.startswith(begins)]

    def by_engine(self, verb: str, *names: str) -> str:
        """The command that a person pastes here to let the engine do something with it, or with others. For hints."""
        return self._outside.paste((self._engine, verb, *(names or (self._container,))))

    def paste_one_off(self, argv: Sequence[str], *, account: str | None = None) -> str:
        """The command that a person pastes here to run `argv` in a container like this one. For hints."""
        like = self._as(account)._like_this(self._inspect(), f"{self._container}{_ONE_OFF}by-hand")
        return self._outside.paste((*like, "-c", 'exec "$0" "$@"', *argv))

    def _command(self, *words: str, timeout: float) -> bytes:
        """Run the engine, which must succeed; what it printed."""
        ran = self._outside.run((self._engine, *words), timeout=timeout)
        if ran.status != 0:
            raise TargetFailed(
                f"{self._engine}{self._where} does not {words[0]} {self._container}: {last_words(ran.err)}",
                hint=self._outside.paste((self._engine, *words)),
            )
        return ran.out

    def one_off(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | Secret = b"",
        environment: Mapping[str, str | Secret] = NOTHING,
        timeout: float,
        hear: Hear | None = None,
    ) -> Ran:
        """Run a program in a container of its own that is like this one, which may be stopped: the same image,
        volumes, network, user and environment; not its entry point, limits or devices. It is removed afterwards.

        Otherwise as Host.run.
        """
        facts = self._inspect()
        name = f"{self._container}{_ONE_OFF}{secrets.token_hex(4)}"
        own = {key: Secret(value) for key, _, value in (each.partition("=") for each in _strings(facts, "Env"))}
        given = {key: value for key, value in own.items() if wire.is_name(key)} | dict(environment)
        command = self._from_here((*self._like_this(facts, name), *wire.BOOTSTRAP[1:]))
        try:
            return self.talk(
                command,
                argv,
                stdin=plain(stdin),
                environment=plain_environment(given),
                timeout=timeout,
                hear=hear,
                refusal=self._no_one_off,
            )
        except BaseException:
            with contextlib.suppress(ChronosError):
                self._outside.run((self._engine, "rm", "-f", name), timeout=_ENGINE_TIMEOUT)
            raise

    def _like_this(self, facts: Mapping[str, Any], name: str) -> tuple[str, ...]:
        """The engine's command for a container like this one, up to the arguments of its `sh`."""
        user = self._user or facts["Config"].get("User")
        network = facts.get("HostConfig", {}).get("NetworkMode")
        folder = facts["Config"].get("WorkingDir")
        rootfs = facts.get("Rootfs")  # podman's word for a container without an image
        return (
            self._engine, "run", "--rm", "-i", "--name", name, "--volumes-from", self._container,
            *(("--user", user) if user else ()),
            *(("--network", network) if network else ()),
            *(("--workdir", folder) if folder else ()),
            "--entrypoint", wire.BOOTSTRAP[0],
            *(("--rootfs", rootfs) if rootfs else ("--pull", "never", facts.get("Image") or "")),
        )  # fmt: skip

    def _no_one_off(self, tried: Ran) -> TargetFailed:
        return TargetFailed(
            f"{self._engine}{self._where} made no container like {self._container}: {last_words(tried.err)}",
            hint=self._outside.paste((self._engine, "container", "inspect", self._container)),
        )

    def _for_files(self, owner: str | None) -> "Container":
        """This container, as the user that may give a file its owner."""
        return self._as(None if owner is None else _ROOT)

    def _as(self, user: str | None) -> "Container":
        """This container, as a user of it; None changes nothing."""
        if user is None:
            return self
        return Container(self._container, engine=self._engine, user=user, inside=self._outside)

    def _mount_of(self, path: str, mounts: Sequence[Mount]) -> Mount | None:
        """The mount that `path` lies on; None for the container's own, passing, layer. Raises Refused."""
        path = posixpath.normpath(path)
        over = [each for each in mounts if f"{path}/".startswith(f"{each.inside.rstrip('/')}/")]
        mount = max(over, key=lambda each: len(each.inside), default=None)
        if mount is None:
            return None
        outside = posixpath.normpath(posixpath.join(mount.source, posixpath.relpath(path, mount.inside)))
        if mount.inside == path:
            raise Refused(
                f"{path} of {self.name} is mounted alone, so that it cannot be replaced whole",
                hint=f"mount the folder instead: {posixpath.dirname(outside)}:{posixpath.dirname(path)}",
            )
        if not mount.writable:
            raise Refused(
                f"{path} of {self.name} is mounted read-only",
                hint=f"place it where it comes from: {outside} on {self._outside.name}",
            )
        return mount

    def _inspect(self) -> dict[str, Any]:
        """What the engine knows of the container. It holds the container's environment: never shown."""
        argv = (self._engine, "container", "inspect", self._container)
        ran = self._outside.run(argv, timeout=_ENGINE_TIMEOUT)
        if ran.status != 0:
            raise self._unknown(ran)
        try:
            (facts,) = json.loads(ran.out)
            return {"Config": {}, "State": {}, **facts}
        except (ValueError, TypeError):
            raise TargetFailed(
                f"{self._engine}{self._where} describes {self._container} in a way that is not understood",
                hint=self._outside.paste(argv),
            ) from None

    def _unknown(self, ran: Ran) -> TargetFailed:
        hint = self._outside.paste((self._engine, "ps", "-a"))
        words = last_words(ran.err)
        if "no such" in words.lower():
            return TargetFailed(f"there is no {self.name}", hint=hint)
        return TargetFailed(f"{self._engine}{self._where} does not answer: {words}", hint=hint)


def _strings(facts: Mapping[str, Any], key: str) -> list[str]:
    return [str(each) for each in facts["Config"].get(key) or ()]
