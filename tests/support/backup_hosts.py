"""The database backups where an inventory may have them: on this machine, behind ssh, in a container, in one behind ssh.

`Machine` and `Boxed` are databases that ship their WAL and are backed up once; a `Way` says how a project reaches one of
them; `Backed` is such a project, in one line. The fixtures are known in every test module, and made once by each worker:
a module that uses them belongs to an xdist group, and leaves the world as it found it, or has a world of its own by
`machine(cloud)` or `boxed(cloud)`.

The programs of `programs` are pgbackrest and psql with the environment that they need here: the host finds them first.
"""

import contextlib
import glob
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.backups import STANZA, Backups
from tests.support.clouds import Cloud
from tests.support.commands import Aviary
from tests.support.containers import Engine, require_root
from tests.support.programs import require
from tests.support.remote import ssh_by
from tests.support.seaweed import Seaweed, seaweed
from tests.support.sshd import Sshd
from tests.support.targets import Database, no_proxy
from tests.support.waiting import until

CONTAINER = "chronos-db"
DATA = "/var/lib/postgresql/data"
CONFIG = "/etc/pgbackrest/pgbackrest.conf"
_PROGRAMS, _SOCKET, _CERTIFICATE = "/opt/programs", "/run/postgresql", "/etc/ssl/bucket.pem"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

ROOT = """\
  root: {kind: account, title: Root, entry: AWS/Root, never: "a toy", fields: {account_id: "attr:AWS Account ID"}}
"""
DESTINATION = """\
  pgbackrest:
    host: HOST
    path: CONFIG
    dialect: pgbackrest
    template: builtin:pgbackrest
    uses: {repo1: aws, repo1_cipher: cipher}
    owner: "postgres:postgres"
"""
SECTIONS = """\
postgres: {host: HOST, port: PORT, database: birds, role: admin, data: DATA}
pgbackrest:
  stanza: STANZA
  host: HOST
  config: pgbackrest
  repo: {cipher: aes-256-cbc, retention_full: 4, retention_diff: 4}
cloud:
  provider: aws
  region: ca-central-1
  endpoint: s3.ca-central-1.amazonaws.com
  account: {credential: root, field: account_id}
  user: {name: USER, policy: write-backups, prefixes: [var/lib/pgbackrest/]}
  bucket: {name: BUCKET}
"""
"""What an inventory says of a world, but for its hosts; the words in capitals are the world's."""


IN_BOX = pytest.mark.xdist_group("boxed")
"""For what is asked of a container in a module that is of another group, too: another worker may do it meanwhile."""
BOX = pytest.param("backups_in_container", marks=IN_BOX)
WAYS = (
    "backups_here", "backups_over_ssh", BOX, pytest.param("backups_in_container_over_ssh", marks=IN_BOX),
)  # fmt: skip
"""The fixtures that give a Way."""


class World(Backups):
    """A database that is backed up, with a key in its configuration, its stanza made and one full backup there.

    `config` is the configuration as this machine sees it, `path` as the database's own host does.
    """

    path: str
    has_gap = False  # whether WAL may have gone elsewhere since the last full backup

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        name = folder.name.lower().replace("_", "-")
        self.rendered: str | None = None
        try:
            super().__init__(folder, cloud, bucket=f"b-{name}-b", user=f"u-{name}")
            self.key = cloud.key(self.user)
            self.store(self.key)
            self.must("stanza-create")
            self.must("--type=full", "backup")
            self.has_gap = False
        except BaseException:
            self.close()  # what did not come up whole goes with its folder
            raise

    def close_gap(self) -> None:
        """Begin anew, with one full backup, where a test has left a gap in the WAL: a drill rightly ends there."""
        if self.has_gap:
            self.must("--type=full", "--repo1-retention-full=1", "backup")
            self.has_gap = False

    def write_programs(self, seen_at: Path | str) -> None:
        """Programs for whoever has no environment; `seen_at` is where their folder is to those who call them."""
        folder = self._folder("programs")
        folder.chmod(0o755)
        self.environment["PGBACKREST_CMD"] = f"{seen_at}/pgbackrest"  # what a restored server calls, too
        _program(folder / "pgbackrest", self.environment)
        _program(folder / "psql", {"PGHOST": self.environment["PGBACKREST_PG1_SOCKET_PATH"]})

    def archive(self) -> None:
        """Let the database ship its WAL as `backup configure` would; nobody knows what it did until then."""
        self.has_gap = True
        command = f"pgbackrest --config={self.path} --stanza={STANZA} archive-push %p"
        for name, value in {"archive_mode": "on", "archive_timeout": "60", "archive_command": command}.items():
            self.database.ask(f"ALTER SYSTEM SET {name} = '{value}'")
        self.database.ask("SELECT pg_reload_conf()")

    def forget_failures(self) -> None:
        """Let the database's statistics not tell what an earlier test let its archiver fail at."""
        self.database.ask("SELECT pg_stat_reset_shared('archiver')")


def _program(path: Path, environment: Mapping[str, str]) -> None:
    given = "".join(f"export {name}='{value}'\n" for name, value in environment.items())
    path.write_text(f'#!/bin/sh\n{given}exec {require(path.name)} "$@"\n')
    path.chmod(0o755)


class Machine(World):
    """A database of this machine, or of the host that ssh reaches here."""

    def start(self) -> None:
        self.path = str(self.config)
        self.write_programs(self.folder / "programs")
        with self._found():
            super().start()

    def restart(self, options: str | None = None) -> None:
        """Start the database anew, for a setting that needs it; with more on its command line from now on."""
        with self._found():
            self.database.restart(options)

    def close(self) -> None:
        if hasattr(self, "database"):
            super().close()

    @contextlib.contextmanager
    def _found(self) -> Iterator[None]:
        """The server that is started finds the programs, as it does on a host where they are installed."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", f"{self.folder / 'programs'}:{_PATH}")
            yield


class Boxed(World):
    """A database in a container, whose main process it is, with its data on a volume and its /etc/pgbackrest a folder.

    `docker` is the engine; `volume` is the data as this machine sees it.
    """

    def start(self) -> None:
        self.path = CONFIG
        self.volume = self._folder("volume")
        self.data = Path(DATA)
        self.environment |= {
            "PGBACKREST_REPO1_STORAGE_CA_FILE": _CERTIFICATE, "PGBACKREST_PG1_SOCKET_PATH": _SOCKET,
            "PGBACKREST_LOG_LEVEL_FILE": "info",
        }  # fmt: skip
        for name in ("PGBACKREST_LOCK_PATH", "PGBACKREST_SPOOL_PATH"):  # it has its own /tmp and /var/spool
            del self.environment[name]
        self.write_programs(_PROGRAMS)
        self.docker = Engine(self.folder)
        self.docker.rootfs = self._rootfs()
        self.database = Inside(self.docker, self.volume, self.docker.rootfs / _SOCKET[1:], self._who)
        mounts = {"/usr": "/usr:ro", self.volume: DATA, self.config.parent: "/etc/pgbackrest",
                  self.folder / "programs": f"{_PROGRAMS}:ro"}  # fmt: skip
        volumes = [word for source, inside in mounts.items() for word in ("-v", f"{source}:{inside}")]
        environment = ("-e", f"PATH={_PROGRAMS}:{_PATH}", "-e", f"PGDATA={DATA}", "-e", "LC_ALL=C.UTF-8")
        options = (*volumes, *environment, "-u", "postgres", "--stop-signal=SIGINT")
        self.docker.run(CONTAINER, *options, command=(str(_server_programs() / "postgres"),))
        self.database.wait()
        self.database.ask("CREATE DATABASE birds")
        self.archive()
        self.database.restart()

    def restart(self) -> None:
        """Start the container anew."""
        self.database.restart()

    def _rootfs(self) -> Path:
        """A root folder that holds nothing but what the machine's own /usr, mounted, needs around it."""
        root = self.folder / "root"
        for name in ("usr", "etc/ssl", "etc/pgbackrest", "proc", "sys", "dev", "tmp", "root", "opt/programs", DATA[1:],
                     _SOCKET[1:], "var/log/pgbackrest", "var/spool/pgbackrest"):  # fmt: skip
            (root / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (root / name).symlink_to(f"usr/{name}")
        for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache"):
            shutil.copy(Path("/etc", name), root / "etc")
        shutil.copy(self.folder / "ca.pem", root / _CERTIFICATE[1:])
        (root / "tmp").chmod(0o1777)
        for name in (_SOCKET[1:], "var/log/pgbackrest", "var/spool/pgbackrest"):
            self._give(root / name)
        return root

    def argv(self, *words: str, config: Path | None = None) -> tuple[str, ...]:
        return ("pgbackrest", f"--config={config or self.path}", f"--stanza={STANZA}", *words)

    def run(self, *words: str, config: Path | None = None) -> "subprocess.CompletedProcess[str]":
        """Run pgBackRest in the container, as the server's account."""
        argv = (self.docker.docker, "exec", CONTAINER, *self.argv(*words, config=config))
        return subprocess.run(
            argv, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=300, check=False
        )

    def close(self) -> None:
        if hasattr(self, "docker"):
            self.docker.close()


class Inside(Database):
    """The database in the container, asked from outside through its socket."""

    def __init__(self, docker: Engine, data: Path, socket: Path, who: Mapping[str, Any]) -> None:
        self._docker, self.folder, self.port = docker, socket, 5432
        words = ("--username=admin", "--auth-local=trust", "--auth-host=reject", "--no-sync", "--no-instructions")
        argv = (_server_programs() / "initdb", "-D", data, *words, "--locale=C")
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, cwd=data, timeout=120, **who)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write("fsync = off\nautovacuum = off\n")
            settings.write(f"listen_addresses = ''\nunix_socket_directories = '{_SOCKET}'\n")

    def wait(self) -> None:
        """Wait until it answers. An engine's cleaner that comes late may end a container that was just started anew."""
        until(self._answers, "the database in the container does not answer", pause=0.05)

    def _answers(self) -> bool:
        import psycopg

        with contextlib.suppress(psycopg.OperationalError):
            self.ask("SELECT 1")
            return True
        if self._docker("container", "inspect", "--format", "{{.State.Running}}", CONTAINER).strip() == "false":
            self._docker("start", CONTAINER)
        return False

    def restart(self) -> None:
        """Start the container anew."""
        self._docker("restart", "-t", "20", CONTAINER)
        self.wait()


def _server_programs() -> Path:
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    return Path(found[-1]) if found else Path(require("initdb")).parent


class Way(NamedTuple):
    """How a project reaches a world: the id of the host, the rows of its hosts, and what finds the programs there."""

    world: World
    host: str
    hosts: str
    enter: Callable[[pytest.MonkeyPatch], None]

    @property
    def timers(self) -> str:
        """The host whose timers start the backups: never a container."""
        return "prod" if "  prod:" in self.hosts else "local"


_PROD = "  prod: {ssh: deploy, sudo: true}\n"


def here(world: Machine) -> Way:
    """The database belongs to this machine."""
    return Way(world, "local", "", lambda patch: _first(world.folder / "programs", patch))


def in_container(world: Boxed) -> Way:
    """It is in a container of this machine."""
    hosts = f"  prod-db: {{container: {CONTAINER}, user: postgres}}\n"
    return Way(world, "prod-db", hosts, lambda patch: _first(world.docker.folder, patch))


def over_ssh(world: Machine, sshd: Sshd) -> Way:
    """It is on a host that ssh reaches, with sudo."""
    return Way(world, "prod", _PROD, lambda patch: ssh_by(sshd.config, sshd.folder / "client", patch))


def in_container_over_ssh(world: Boxed, sshd: Sshd) -> Way:
    """It is in a container of such a host."""
    hosts = f"{_PROD}  prod-db: {{in: prod, container: {CONTAINER}, user: postgres}}\n"
    return Way(world, "prod-db", hosts, lambda patch: ssh_by(sshd.config, sshd.folder / "client", patch))


def _first(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


class Backed(Aviary):
    """A project whose database is the one of `way`, and whose configuration lies there, rendered.

    `objectives` and `database` are more keys for the inventory's sections pgbackrest and postgres, such as
    "objectives: {rpo: 15 minutes}".
    """

    def __init__(
        self, folder: Path, way: Way, monkeypatch: pytest.MonkeyPatch, *, section: str = "", database: str = ""
    ) -> None:
        super().__init__(folder)
        no_proxy(monkeypatch)
        way.enter(monkeypatch)
        self.way, self.world = way, way.world
        self._write_inventory(section, database)
        key = self.world.key
        self.remake_vault(
            aws__access_key_id=key.id, aws__secret_access_key=key.secret, cipher__passphrase=self.world.cipher
        )  # fmt: skip
        self._render()

    def _write_inventory(self, section: str, database: str) -> None:
        world, text = self.world, self.inventory.read_text()
        sections = SECTIONS.replace("data: DATA", f"data: DATA{database and ', '}{database}")
        if section:
            sections = sections.replace("cloud:\n", f"  {section}\ncloud:\n")
        text = text.replace("hosts:\n", f"hosts:\n{self.way.hosts}", 1)
        text = text.replace("destinations:\n", f"{ROOT}destinations:\n{DESTINATION}", 1) + sections
        facts = {
            "HOST": self.way.host, "CONFIG": world.path, "PORT": world.database.port, "DATA": world.data,
            "STANZA": STANZA, "USER": world.user, "BUCKET": world.bucket, "TIMERS": self.way.timers,
        }  # fmt: skip
        for name, value in facts.items():
            text = text.replace(name, str(value))
        self.inventory.write_text(text)
        self._accept()

    def _render(self) -> None:
        """Every project of a world renders the same; the first one does it through the host."""
        if self.world.rendered is None:
            done = self.run("render", "pgbackrest", "--accept-repo-change", "--adopt")
            assert done.status == 0, done.text
            self.world.rendered = self.world.config.read_text()
        else:
            self.world.write(self.world.config, self.world.rendered)


@contextlib.contextmanager
def machine(cloud: Cloud) -> Iterator[Machine]:
    """A `Machine` for the block."""
    with _folder() as folder, contextlib.closing(Machine(folder, cloud)) as made:
        yield made


@contextlib.contextmanager
def boxed(cloud: Cloud) -> Iterator[Boxed]:
    """A `Boxed` for the block."""
    require_root()
    with _folder() as folder, contextlib.closing(Boxed(folder, cloud)) as made:
        yield made


@contextlib.contextmanager
def ssh_to(world: World) -> Iterator[Sshd]:
    """An sshd for the block, on the machine of a world: its programs are in everybody's PATH."""
    folder = world.folder / "ssh"
    folder.mkdir(mode=0o755)
    programs = world.docker.folder if isinstance(world, Boxed) else world.folder / "programs"
    with contextlib.closing(Sshd(folder, programs=programs)) as sshd:
        yield sshd
    shutil.rmtree(folder)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bk-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def backup_cloud() -> Iterator[Seaweed]:
    """The bucket's server, shared by the worlds of a worker."""
    with seaweed() as cloud:
        yield cloud


@pytest.fixture(scope="session")
def backup_machine(backup_cloud: Seaweed) -> Iterator[Machine]:
    """A machine with a database that is backed up."""
    with machine(backup_cloud) as made:
        yield made


@pytest.fixture(scope="session")
def backup_container(backup_cloud: Seaweed) -> Iterator[Boxed]:
    """A container with a database that is backed up."""
    with boxed(backup_cloud) as made:
        yield made


@pytest.fixture(scope="session")
def backups_here(backup_machine: Machine) -> Way:
    return here(backup_machine)


@pytest.fixture(scope="session")
def backups_over_ssh(backup_machine: Machine) -> Iterator[Way]:
    with ssh_to(backup_machine) as sshd:
        yield over_ssh(backup_machine, sshd)


@pytest.fixture(scope="session")
def backups_in_container(backup_container: Boxed) -> Way:
    return in_container(backup_container)


@pytest.fixture(scope="session")
def backups_in_container_over_ssh(backup_container: Boxed) -> Iterator[Way]:
    with ssh_to(backup_container) as sshd:
        yield in_container_over_ssh(backup_container, sshd)
