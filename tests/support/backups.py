"""A PostgreSQL that is really backed up: pgBackRest puts its WAL and its backups into a bucket of SeaweedFS."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.clouds import REGION, Cloud, Key
from tests.support.programs import require
from tests.support.targets import Database
from tests.support.waiting import until

STANZA, BUCKET, USER = "birds", "birds-backups", "backup-writer"
REPOSITORY = "/var/lib/pgbackrest"
_PATIENCE = 60.0  # seconds

_CONF = """\
[global]
repo1-type=s3
repo1-path={repository}
repo1-s3-bucket={bucket}
repo1-s3-endpoint=s3.{region}.amazonaws.com
repo1-s3-region={region}
repo1-s3-key={key.id}
repo1-s3-key-secret={key.secret}
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={cipher}
repo1-retention-full=4
process-max=1

[{stanza}]
pg1-path={data}
pg1-port={port}
pg1-user=admin
"""


class Backups:
    """The database, the bucket and the file `config` between them, which `store` writes (or a command under test).

    `environment` is what pgBackRest needs besides a production's file, to find a bucket that is not Amazon's and to
    keep off the machine's own folders; the server's archive command has it already. `cipher` is the passphrase of the
    one repository.
    """

    stanza = STANZA

    def __init__(self, folder: Path, cloud: Cloud, *, bucket: str = BUCKET, user: str = USER) -> None:
        """`folder` must be short, empty and open to every user. `bucket` and `user` are new ones of the cloud."""
        require("pgbackrest")
        self.folder, self.cloud, self.bucket, self.user = folder, cloud, bucket, user
        self.config = folder / "conf" / "pgbackrest.conf"
        self.cipher = secrets.token_hex(16)
        self._who: dict[str, object] = {}
        if os.geteuid() == 0:
            self._who = {"user": "postgres", "group": "postgres", "extra_groups": ()}
        for name in ("pg", "conf", "lock", "spool", "kept"):
            self._folder(name)
        port = cloud.url.rpartition(":")[2]
        self.environment = {
            "PGBACKREST_REPO1_STORAGE_HOST": "localhost",
            "PGBACKREST_REPO1_STORAGE_PORT": port,
            "PGBACKREST_REPO1_STORAGE_CA_FILE": str(self._certificate()),
            "PGBACKREST_LOCK_PATH": str(folder / "lock"),
            "PGBACKREST_SPOOL_PATH": str(folder / "spool"),
            "PGBACKREST_LOG_LEVEL_FILE": "off",
            "PGBACKREST_PG1_SOCKET_PATH": str(folder / "pg"),
            "PGBACKREST_START_FAST": "y",
            "PGBACKREST_ARCHIVE_TIMEOUT": "60",
        }
        cloud.bucket(bucket)
        cloud.user(user, bucket)
        self.start()

    def start(self) -> None:
        """Make the database, which ships its WAL from its first moment on."""
        self.database = Database(self.folder / "pg")
        self.data = self.folder / "pg" / "d"
        self.archive()
        self.database.restart()

    def _folder(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(mode=0o700)
        self._give(path)
        return path

    def _give(self, path: Path) -> None:
        if self._who:
            shutil.chown(path, "postgres", "postgres")

    def _certificate(self) -> Path:
        """The cloud's certificate, without its key, where the server's account can read it."""
        text = Path(self.cloud.certificate or "").read_text()
        path = self.folder / "ca.pem"
        path.write_text(text[text.index("-----BEGIN CERTIFICATE") :])
        path.chmod(0o644)
        return path

    def archive(self) -> None:
        """Let the database ship its WAL with the configuration."""
        ours = " ".join(f"{name}={value}" for name, value in self.environment.items())
        command = f"env {ours} pgbackrest --config={self.config} --stanza={STANZA} archive-push %p"
        for name, value in {"archive_mode": "on", "archive_timeout": "60", "archive_command": command}.items():
            self.database.ask(f"ALTER SYSTEM SET {name} = '{value}'")
        self.database.ask("SELECT pg_reload_conf()")

    def store(self, key: Key) -> None:
        """Write the configuration with a key, as a person would have."""
        text = _CONF.format(
            repository=REPOSITORY, bucket=self.bucket, region=REGION, key=key, cipher=self.cipher, stanza=STANZA,
            data=self.data, port=self.database.port,
        )  # fmt: skip
        self.write(self.config, text)

    def write(self, path: Path, text: str) -> None:
        """A file that only the server's account can read."""
        path.touch(0o600)
        path.write_text(text)
        self._give(path)

    def argv(self, *words: str, config: Path | None = None) -> tuple[str, ...]:
        return ("pgbackrest", f"--config={config or self.config}", f"--stanza={STANZA}", *words)

    def run(self, *words: str, config: Path | None = None) -> "subprocess.CompletedProcess[str]":
        """Run pgBackRest as the server's account."""
        return subprocess.run(
            self.argv(*words, config=config), cwd=self.folder, env=self._whole(), capture_output=True, text=True,
            errors="replace", stdin=subprocess.DEVNULL, timeout=300, check=False, **self._who,  # type: ignore[call-overload]
        )  # fmt: skip

    def must(self, *words: str) -> str:
        """Run pgBackRest, which must succeed; what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return str(done.stdout)

    @contextlib.contextmanager
    def held_backup(self, kind: str = "full") -> Iterator["Backup"]:
        """A real backup that began and is kept from ending while the block lasts; then it ends, or is ended."""
        outlives_nobody = (require("setpriv"), "--pdeathsig", "KILL", "--")
        child = subprocess.Popen(
            (*outlives_nobody, *self.argv(f"--type={kind}", "backup")), cwd=self.folder, env=self._whole(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **self._who,  # type: ignore[call-overload]
        )  # fmt: skip
        backup = Backup(child)
        try:
            self._stop_when_begun(child)
            yield backup
        finally:
            backup.end()

    def _stop_when_begun(self, child: "subprocess.Popen[bytes]") -> None:
        """Stop it once it holds its lock and talks to the database, long before it has copied everything."""
        lock = self.folder / "lock" / f"{STANZA}-backup.lock"

        def holds_it() -> bool:
            assert child.poll() is None, "the backup ended before it began"
            return _size(lock) > 0

        until(holds_it, "the backup does not begin", pause=0.01)
        os.kill(child.pid, signal.SIGSTOP)

    def _whole(self) -> Mapping[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8", **self.environment}

    def close(self) -> None:
        self.database.close()


def _size(path: Path) -> int:
    """In bytes; 0 where there is no file, or none any more."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class Backup:
    """A backup that is stopped in the middle."""

    def __init__(self, child: "subprocess.Popen[bytes]") -> None:
        self._child = child

    def end(self) -> tuple[int, str]:
        """Let it go on and wait for it: its exit status and its last words."""
        if self._child.poll() is None:
            os.kill(self._child.pid, signal.SIGCONT)
        try:
            _, said = self._child.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._child.kill()
            raise
        except ValueError:  # ended before
            said = b""
        return self._child.returncode, said.decode(errors="replace")


@contextlib.contextmanager
def backups(cloud: Cloud) -> Iterator[Backups]:
    """A `Backups` for the block, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="bk-", dir="/tmp"))
    folder.chmod(0o755)
    made = None
    try:
        made = Backups(folder, cloud)
        yield made
    finally:
        if made is not None:
            made.close()
        shutil.rmtree(folder)
