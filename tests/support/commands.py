"""The command line as its users meet it: in this process (cheap), as a process of its own, and on a terminal.

`Aviary` is a small project to run it in. Each of its values is a random word, so that one look at any text tells
whether a value got there.
"""

import contextlib
import io
import os
import secrets
import selectors
import stat
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.cli.main import run as run_command
from chronos_secrets.errors import ChronosError
from chronos_secrets.inventory import load
from chronos_secrets.render import trust
from chronos_secrets.render.compose import Draft
from chronos_secrets.secret import Secret
from chronos_secrets.vault.kdf import MasterKey
from chronos_secrets.vault.store import Places, Vault
from tests.support import chronos
from tests.support.vaults import CHEAP

SOURCES = Path(__file__).parents[2]
_PATIENCE = 120.0  # seconds that anything may take before a test gives up

INVENTORY = """\
version: 1
project: aviary
hosts:
  far: {ssh: far-away}
vault: {path: aviary.kdbx}
credentials:
  db: {kind: postgres-password, title: DB, entry: Database/DB, never: "a toy"}
  jira: {kind: api-token, title: Jira, entry: Third-Party/Jira, never: "a toy"}
  aws: {kind: aws-access-key, title: AWS, entry: AWS/Writer, never: "a toy"}
  cipher: {kind: passphrase, title: Cipher, entry: Database/Cipher, never: "a toy"}
  key: {kind: ssh-key, title: Key, entry: SSH Keys/Key, fields: {address: URL}, target: {host: far}, never: "a toy"}
destinations:
  env:
    path: out/.env
    dialect: dotenv
    template: builtin:env
    uses: {db: db, jira: jira, aws: aws}
    vars: {db_port: 5432, db_name: birds}
  note: {path: out/note, dialect: sh, template: note.j2, uses: {cipher: cipher}}
  key-file: {path: ~/.ssh/far, dialect: file, value: {from: key, field: private_key}}
  ssh-config: {path: ~/.ssh/config.d/aviary, dialect: ssh-config, template: builtin:ssh-config, uses: {key: key}}
"""
TEMPLATE = "# what the vault says\nNOTE={{ cipher.passphrase }}\n"
_SECRETS = (
    "db.password",
    "jira.token",
    "aws.access_key_id",
    "aws.secret_access_key",
    "cipher.passphrase",
    "key.private_key",
)


class Done(NamedTuple):
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything that a person could see."""
        return self.out + self.err


def accept(inventory: Path) -> None:
    """Accept all that an inventory reaches, as `chronos-secrets trust --yes` does; nothing where it is wrong."""
    home = Path(os.environ["HOME"])
    with contextlib.suppress(ChronosError, OSError):
        found = load.read(inventory)
        everything = trust.everything(found)
        reached = trust.reach(found, home, everything, lambda each: Draft(found, each, home))
        state = Path(os.environ["XDG_STATE_HOME"]) / "chronos-secrets" / found.project
        trust.store(state / "reach.json", found.path, reached)


class Aviary:
    """A project with an inventory, a vault, a password file and four destinations, below one folder.

    What its inventory reaches is accepted whenever a command is run, but where a test says otherwise.
    """

    trusting = True

    def __init__(self, folder: Path) -> None:
        """Uses the HOME of the environment, which lies below `folder` in tests, for what the inventory puts in ~."""
        self.home = Path(os.environ["HOME"])
        self.root = folder
        self.folder = folder / "project"
        self.folder.mkdir()
        self.password = f"open-{secrets.token_hex(12)}"
        self.values = {name: f"canary{secrets.token_hex(12)}" for name in _SECRETS}
        self.inventory = self.folder / "inventory.yaml"
        self.inventory.write_text(INVENTORY)
        self.template = self.folder / "note.j2"
        self.template.write_text(TEMPLATE)
        self.vault = self.folder / "aviary.kdbx"
        self.password_file = folder / "password"
        self.password_file.write_text(f"{self.password}\n")
        self.password_file.chmod(0o600)
        chronos.make_vault(self.vault, self.password, inventory=self.inventory, kdf=CHEAP, values=self.values)
        self._accept()

    def _accept(self) -> None:
        if self.trusting:
            accept(self.inventory)

    @property
    def env(self) -> Path:
        return self.folder / "out" / ".env"

    @property
    def note(self) -> Path:
        return self.folder / "out" / "note"

    @property
    def key_file(self) -> Path:
        return self.home / ".ssh" / "far"

    @property
    def ssh_config(self) -> Path:
        return self.home / ".ssh" / "config.d" / "aviary"

    @property
    def destinations(self) -> tuple[Path, ...]:
        return self.env, self.note, self.key_file, self.ssh_config

    @property
    def state(self) -> Path:
        return self.home / ".local" / "state" / "chronos-secrets" / "aviary"

    @property
    def data(self) -> Path:
        """Where the key of the index of known values is."""
        return self.home / ".local" / "share" / "chronos-secrets" / "aviary"

    @property
    def hidden(self) -> tuple[str, ...]:
        """Every text that no output may hold."""
        return (*self.values.values(), self.password)

    def edit(self, old: str, new: str) -> None:
        """Change the inventory at the one place that reads `old`."""
        text = self.inventory.read_text()
        assert text.count(old) == 1, old
        self.inventory.write_text(text.replace(old, new))
        self._accept()

    def remake_vault(self, *, password: str | None = None, **values: str) -> None:
        """A new vault where some values are others, named `credential__field`, or the password is."""
        if password is not None:
            self.password = password
            self.password_file.write_text(f"{password}\n")
        self.values |= {name.replace("__", "."): value for name, value in values.items()}
        self.vault.unlink()
        (self.state / "vault-id").unlink(missing_ok=True)
        chronos.make_vault(self.vault, self.password, inventory=self.inventory, kdf=CHEAP, values=self.values)
        assert self.run("get", "db").status == 0  # the first look at a vault remembers which one it was

    @contextlib.contextmanager
    def opened(self) -> Iterator[Vault]:
        """The vault, saved when the block ends."""
        places = Places(locks=self.root / "locks", previous=self.root / "previous")
        vault = Vault.open(self.vault, MasterKey(Secret(self.password)), places)
        yield vault
        from tests.support.vaults import NOW

        vault.save(NOW)

    def run(self, *arguments: str | Path, locked: bool = False) -> Done:
        """Run a command in this process, in the project's folder; `locked` gives it no password."""
        given = () if locked or not _opens_vault(arguments) else ("--password-file", self.password_file)
        self._accept()
        return in_process(*arguments, *given, folder=self.folder)

    def process(self, *arguments: str | Path, locked: bool = False, **options: object) -> Done:
        """Run a command as a process of its own, in the project's folder."""
        given = () if locked or not _opens_vault(arguments) else ("--password-file", self.password_file)
        self._accept()
        return process(*arguments, *given, folder=self.folder, **options)  # type: ignore[arg-type]

    def leaked(self, text: str | bytes) -> list[str]:
        """The names of the values (never the values) that a text holds."""
        plain = text.decode(errors="replace") if isinstance(text, bytes) else text
        named = {**self.values, "the vault's password": self.password}
        return [name for name, value in named.items() if value in plain]


def _opens_vault(arguments: Sequence[str | Path]) -> bool:
    said = [str(argument) for argument in arguments]
    named = any(argument.startswith("--password") for argument in said)
    return not named and any(word in said for word in ("check", "get", "render", "init", "upgrade"))


def in_process(*arguments: str | Path, folder: Path) -> Done:
    """Run a command line within this process, but for what `__main__` adds."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = run_command([str(argument) for argument in arguments])
    return Done(int(status), *(stream.buffer.getvalue().decode() for stream in (out, err)))  # type: ignore[attr-defined]


def argv(*arguments: str | Path) -> tuple[str, ...]:
    """The command line of a real process."""
    return (sys.executable, "-m", "chronos_secrets", *map(str, arguments))


def environment(**added: str) -> dict[str, str]:
    """This process's environment, by which the sources are found from any folder and nothing is compiled into them."""
    path = os.pathsep.join(filter(None, (str(SOURCES), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **added}


def process(
    *arguments: str | Path,
    folder: Path,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    stdout: int | None = None,
) -> Done:
    """Run a command as a process of its own without a terminal, so that nothing can be asked."""
    return alone(argv(*arguments), folder=folder, stdin=stdin, env=env, pass_fds=pass_fds, stdout=stdout)


def alone(
    command: Sequence[str],
    *,
    folder: Path,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    stdout: int | None = None,
) -> Done:
    """Run any program without a terminal."""
    done = subprocess.run(
        tuple(command), cwd=folder, env=environment(**(env or {})), input=stdin if stdin is not None else b"",
        stdout=subprocess.PIPE if stdout is None else stdout, stderr=subprocess.PIPE, pass_fds=pass_fds,
        start_new_session=True, timeout=_PATIENCE, check=False,
    )  # fmt: skip
    return Done(done.returncode, (done.stdout or b"").decode(errors="replace"), done.stderr.decode(errors="replace"))


# A child that takes the terminal named by its first argument as its own, then becomes the program.
_ON_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
terminal = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
for descriptor in range(3):
    os.dup2(terminal, descriptor)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Terminal:
    """A program on a terminal of its own; `shown` is all that a person in front of it has seen.

    Both ends of the terminal are kept open until the program has ended, so that its last words are not lost.
    """

    def __init__(self, command: Sequence[str], *, folder: Path) -> None:
        self._ours, self._theirs = os.openpty()
        self.shown = ""
        child = (sys.executable, "-c", _ON_TERMINAL, os.ttyname(self._theirs), *command)
        self._child = subprocess.Popen(child, cwd=folder, env=environment())

    @property
    def echoes(self) -> bool:
        """Whether what is typed now would be seen."""
        return bool(termios.tcgetattr(self._theirs)[3] & termios.ECHO)

    def expect(self, words: str, *, times: int = 1) -> None:
        """Wait until `words` have been shown so often."""
        deadline = time.monotonic() + _PATIENCE
        while self.shown.count(words) < times:
            assert time.monotonic() < deadline, f"not said in time: {words!r}; said: {self.shown!r}"
            assert self._read(0.2) or self._child.poll() is None, f"ended without {words!r}; said: {self.shown!r}"

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def interrupt(self) -> None:
        """Ctrl-C, once the program waits for a key: it would notice a signal that comes just before only with the next.

        For a program that is on its own in there, without children.
        """
        deadline = time.monotonic() + _PATIENCE
        while Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
            assert time.monotonic() < deadline, f"the program asks for no key; it said: {self.shown!r}"
            self._read(0.01)
        self.type("\x03")

    def end(self) -> Done:
        """Wait for the program to end; close the terminal."""
        deadline = time.monotonic() + _PATIENCE
        while self._child.poll() is None and time.monotonic() < deadline:
            self._read(0.02)
        if self._child.poll() is None:
            self._child.kill()
            raise AssertionError(f"the program does not end; it said: {self.shown!r}")
        while self._read(0):
            pass
        self.left_echoing = self.echoes
        os.close(self._ours)
        os.close(self._theirs)
        return Done(self._child.returncode, self.shown, "")

    def _read(self, patience: float) -> bool:
        """Take in what was said within `patience` seconds; False if nothing was."""
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._ours, selectors.EVENT_READ)
            if not waiting.select(patience):
                return False
        self.shown += os.read(self._ours, 65536).decode(errors="replace")
        return True


class Kept(NamedTuple):
    """What one path is: a mode, and a content, a link's target, or the names in a folder."""

    mode: str
    content: bytes | str | tuple[str, ...] | None


_REMEMBERED = {"dates.json", "known.idx", "known.key", "reach.json"}


def snapshot(folder: Path) -> dict[str, Kept]:
    """Everything below `folder`, byte for byte and mode for mode; but for what is remembered of every look at a vault,
    and what `Aviary` accepts before every command."""
    found = (folder, *sorted(path for path in folder.rglob("*") if path.name not in _REMEMBERED))
    return {str(path.relative_to(folder)): _kept(path) for path in found}


def _kept(path: Path) -> Kept:
    status = path.lstat()
    content: bytes | str | tuple[str, ...] | None = None
    if stat.S_ISLNK(status.st_mode):
        content = str(path.readlink())
    elif stat.S_ISDIR(status.st_mode):
        content = tuple(sorted(os.listdir(path)))
    elif stat.S_ISREG(status.st_mode):
        content = path.read_bytes()
    return Kept(stat.filemode(status.st_mode), content)
