"""The one door to git. It runs programs without `subprocess`, whose import alone costs a hook 6 ms and more."""

import _signal  # type: ignore[import-not-found]  # what `signal` is made of, without its `enum`
import os

from chronos_secrets.scan.found import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedReader
    from types import TracebackType
    from typing import Self

_AHEAD = 64
"""Requests that may be on their way to `cat-file`: 64 of 65 bytes fit into the smallest pipe, so no write can block."""

_NO_PIPE: tuple[int | None, int | None] = (None, None)

_SETTINGS = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,  # info/grafts hides parents from a history that a push sends all the same
    "GIT_NO_LAZY_FETCH": "1",  # a partial clone: git then says "missing" (2.39.4 and later)
    "GIT_ALLOW_PROTOCOL": "none",  # an older git dies rather than going to the network
    "LC_ALL": "C",
    "LANGUAGE": "C",
}
_REMOVED = "GIT_TRACE"  # and GIT_TRACE2, GIT_TRACE_PACKET, …: they write where the user did not ask us to write


def environment() -> dict[str, str]:
    """Ours, but for what changes git's output or lets it ask. GIT_DIR, GIT_INDEX_FILE and the like stay: a hook runs
    with those of the very commit, and `git commit FILE` has an index of its own.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(_REMOVED)} | _SETTINGS


class Closing:
    """What ends by itself when its `with` block does. `contextlib.closing` would be one more import."""

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", error: "BaseException | None", trace: "TracebackType | None"
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it, wherever it is."""
        raise NotImplementedError  # each says how; `abc` would be one more import


class Process(Closing):
    """A running git. Read `out`, then call `finish`; as a context manager it leaves nothing running.

    `stdin`: a descriptor to read from, else there is nothing to read. With `asked`, `ask` writes to it.
    Raises Trouble where git is not installed.
    """

    def __init__(self, *args: str, stdin: int | None = None, asked: bool = False) -> None:
        _prepare()
        self._args, self._code = args, None if args else 0
        ours, self._ask = os.pipe() if asked else _NO_PIPE
        read, write = os.pipe()
        self.out: BufferedReader = open(read, "rb", 1 << 17)  # type: ignore[assignment]  # noqa: SIM115  `close` ends it
        self._said = os.memfd_create("git") if hasattr(os, "memfd_create") else os.open(os.devnull, os.O_RDWR)
        source = stdin if ours is None else ours
        actions: list[tuple[int, ...]] = [(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_DUP2, self._said, 2)]
        nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        try:
            self._pid: int = os.posix_spawnp(
                "git",
                ["git", *args],
                environment(),
                file_actions=[*actions, nothing if source is None else (os.POSIX_SPAWN_DUP2, source, 0)],
                setsigdef=[_signal.SIGPIPE],  # Python ignores it, and a child would inherit that
            )
        except OSError as error:
            self._code = 127
            self.close()
            raise Trouble(f"git cannot be run: {error.strerror}", hint="command -v git") from None
        finally:
            os.close(write)
            if ours is not None:
                os.close(ours)

    def ask(self, request: bytes) -> None:
        """Write to its standard input. The caller sees to it that not more waits there than fits into a pipe."""
        try:
            os.write(self._ask or 0, request)
        except BrokenPipeError:
            raise self.trouble() from None

    def finish(self, *accepted: int) -> int:
        """Wait for its end. Raises Trouble on any exit status but 0 and those accepted, and when it was killed."""
        self._close_pipes()
        code = self._wait()
        if code and code not in accepted:
            raise self.trouble()
        return code

    def close(self) -> None:
        """End it, wherever it is. May be called again."""
        self._close_pipes()
        if self._code is None:
            os.kill(self._pid, _signal.SIGTERM)
            self._wait()
        if self._said >= 0:
            os.close(self._said)
            self._said = -1

    def trouble(self) -> Trouble:
        """Why it failed, in one sentence: its exit status and what it said itself."""
        self._close_pipes()
        code = self._wait()
        said = _complaint(os.pread(self._said, 4096, 0)) if self._said >= 0 else ""
        return _trouble(self._args[0], code, said)

    def _close_pipes(self) -> None:
        self.out.close()
        if self._ask is not None:
            os.close(self._ask)
            self._ask = None

    def _wait(self) -> int:
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._code


def _prepare() -> None:
    """For a process that was started with closed streams: a pipe must not get one of the numbers 0 to 2. And for one
    that was started with SIGCHLD ignored: nobody could tell how git ended.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if _signal.getsignal(_signal.SIGCHLD) == _signal.SIG_IGN:
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)


def _complaint(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").splitlines()
    first = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[0] if lines else "")
    return first.removeprefix("fatal: ").removeprefix("error: ")[:300].rstrip(".")


def _trouble(command: str, code: int, said: str) -> Trouble:
    if "not a git repository" in said:
        return Trouble("this folder is not in a git repository", hint="git status")
    if "dubious ownership" in said:
        folder = said.partition("'")[2].rstrip("'")
        hint = f"git config --global --add safe.directory '{folder}'"
        return Trouble("git refuses this repository: it belongs to another user", hint=hint)
    how = f"was killed by signal {-code}" if code < 0 else f"failed: {said or f'exit status {code}'}"
    return Trouble(f"git {command} {how}", hint="git fsck")


def output(*args: str, accepted: tuple[int, ...] = ()) -> bytes:
    """All that a git command writes. Raises Trouble on an exit status but 0 and those accepted."""
    with Process(*args) as process:
        everything = process.out.read()
        process.finish(*accepted)
    return everything


def records(stream: "BufferedReader", end: bytes = b"\0") -> "Iterator[bytes]":
    """What stands between the separators, one after the other, without holding all. A last one needs no separator."""
    held = b""
    while block := stream.read1(1 << 16):
        *whole, held = (held + block).split(end)
        yield from whole
    if held:
        yield held


def empty_tree() -> str:
    """The id of the tree that holds nothing, which the repository's hash decides."""
    return output("hash-object", "-t", "tree", os.devnull).decode().strip()


class Object:
    """An object as `cat-file` hands it out: to be read once, before the next one. `kind` is b"missing" for a hole."""

    __slots__ = ("_left", "_process", "id", "kind", "size")

    def __init__(self, name: bytes, kind: bytes, size: int, process: Process) -> None:
        self.id, self.kind, self.size, self._left, self._process = name, kind, size, size, process

    def read(self, count: int = -1, /) -> bytes:
        """At most `count` bytes; fewer only at the end. Raises Trouble where git broke off: the object is corrupt."""
        wanted = self._left if count < 0 else min(count, self._left)
        data = self._process.out.read(wanted) if wanted else b""
        if len(data) < wanted:
            raise _corrupt(self.id, self._process)
        self._left -= wanted
        return data

    def skip(self) -> None:
        """Read past what is left of it, and past the line end that follows an object."""
        while self._left:
            self.read(1 << 20)
        if self.kind != b"missing":
            self._process.out.read(1)


class Batch(Closing):
    """Objects by their id through one `cat-file --batch`. Big ones are streamed. To be closed, or used in `with`."""

    def __init__(self) -> None:
        self._process = Process("cat-file", "--batch", asked=True)

    def close(self) -> None:
        """End git."""
        self._process.close()

    def objects(self, ids: "Sequence[bytes]") -> "Iterator[Object]":
        """Each object, in the order of `ids`. Whoever leaves before the end must not ask this Batch again.

        Raises Trouble when git dies, as it does of a corrupt object; one that is not there comes as kind b"missing".
        """
        asked = 0
        for index, name in enumerate(ids):
            if asked < len(ids) and asked - index < _AHEAD // 2:
                some = ids[asked : index + _AHEAD]
                asked += len(some)
                self._process.ask(b"\n".join(some) + b"\n")
            thing = self._next(name)
            yield thing
            thing.skip()

    def _next(self, name: bytes) -> Object:
        line = self._process.out.readline()
        if line == name + b" missing\n":
            return Object(name, b"missing", 0, self._process)
        fields = line.split()
        if len(fields) != 3 or fields[0] != name or not fields[2].isdigit():
            raise _corrupt(name, self._process)
        return Object(name, fields[1], int(fields[2]), self._process)


def _corrupt(name: bytes, process: Process) -> Trouble:
    return Trouble(f"object {name.decode()} cannot be read: {process.trouble().message}", hint="git fsck")
