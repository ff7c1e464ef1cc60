"""A restore that dies anywhere is finished by the same command, and the data that it replaces is never lost."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos_secrets.errors import ChronosError
from chronos_secrets.pgbackrest.restore import Mark, Site
from chronos_secrets.pgbackrest.running import options_of
from chronos_secrets.systems.hosts import Local
from tests.support.backup_hosts import Backed, Machine, here, machine
from tests.support.commands import Done, argv, environment
from tests.support.containers import require_root
from tests.support.seaweed import Seaweed
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("restore-survives")

STAMP = "20260102T030405Z"
OLD, NEW = {"PG_VERSION": "15", "base/1": "old"}, {"PG_VERSION": "15", "base/1": "new", "recovery.signal": ""}
# `mv`, which dies and takes the script that called it with it, before or after its work, at the call that CUT names.
MV = """\
#!/bin/sh
count=$(($(cat COUNT) + 1)); echo $count > COUNT
[ "$CUT" != "$count-before" ] || kill -9 "$PPID" $$
REAL "$@" || exit
[ "$CUT" != "$count-after" ] || kill -9 "$PPID" $$
"""


def write(folder: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def read(folder: Path) -> dict[str, str]:
    """What is in a folder, but for what is ours."""
    files = (each for each in folder.rglob("*") if each.is_file())
    named = {str(each.relative_to(folder)): each.read_text() for each in files}
    return {name: text for name, text in named.items() if not name.startswith("pgsql_tmp")}


class Swap:
    """A data folder, and files that were fetched for it; `cut` names the moment at which the next try dies."""

    def __init__(self, data: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data, self._programs, self._patch = data, programs, monkeypatch
        real = next(each for each in ("/bin/mv", "/usr/bin/mv") if os.access(each, os.X_OK))
        programs.mkdir()
        (programs / "mv").write_text(MV.replace("COUNT", str(programs / "count")).replace("REAL", real))
        (programs / "sync").write_text("#!/bin/sh\n")  # it takes long here, and nobody pulls the plug
        for each in ("mv", "sync"):
            (programs / each).chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        self.site = Site(Local(), None, str(data))
        self.cut("")
        write(data, OLD)
        seen = self.site.look()
        self.site.mark(seen, Mark("fetched", STAMP, "label", "words"))
        self.site.empty(seen)
        write(Path(seen.work) / "data", NEW)
        self.aside = Path(seen.aside(STAMP))

    def cut(self, moment: str) -> None:
        (self._programs / "count").write_text("0")
        self._patch.setenv("CUT", moment)

    def again(self) -> Mark:
        """What the next run does."""
        seen = self.site.look()
        assert seen.mark is not None
        return self.site.swap(seen, seen.mark)


def swap_of(data: Path, moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Cut a swap, run it again, and look. False where the moment never came."""
    swap = Swap(data, tmp_path / "programs", monkeypatch)
    swap.cut(moment)
    try:
        swap.again()
        died = False
    except ChronosError:
        died = True
        whole = [read(each) for each in (swap.data, swap.aside) if each.is_dir()]
        files = {name for each in whole for name, text in each.items() if text == "old"}
        assert files == {"base/1"}, "the old data is somewhere, once"
    swap.cut("")
    assert swap.again().state == "placed"
    assert (read(swap.data), read(swap.aside)) == (NEW, OLD)
    swap.site.finish(swap.site.look())
    assert swap.site.look().mark is None
    return died


def moments(calls: int) -> list[str]:
    """Before each call of `mv`, and after the last one."""
    return [*(f"{call}-before" for call in range(1, calls + 1)), f"{calls}-after"]


def test_a_swap_that_dies_at_any_rename_is_finished_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for at, moment in enumerate(moments(4)):
        (tmp_path / str(at)).mkdir()
        with monkeypatch.context() as patch:
            assert swap_of(tmp_path / str(at) / "d", moment, tmp_path / str(at), patch), moment


def test_a_swap_on_a_mount_point_that_dies_at_any_move_is_finished_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    require_root()
    for at, moment in enumerate(moments(8)):
        data = tmp_path / str(at) / "d"
        data.mkdir(parents=True)
        subprocess.run(("mount", "-t", "tmpfs", "tmpfs", data), check=True)
        try:
            with monkeypatch.context() as patch:
                assert swap_of(data, moment, tmp_path / str(at), patch), moment
        finally:
            subprocess.run(("umount", data), check=True)


class Restored(Backed):
    """A project whose database is stopped, and has one row that is in its WAL alone."""

    world: Machine

    def command(self) -> tuple[str, ...]:
        return argv("backup", "restore", "--yes", "--start", "--password-file", self.password_file)

    def begin(self) -> "subprocess.Popen[bytes]":
        """The command in a process of its own."""
        return subprocess.Popen(
            self.command(), cwd=self.folder, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def again(self) -> Done:
        return self.run("backup", "restore", "--yes", "--start", "--password-file", self.password_file)

    @property
    def asides(self) -> list[Path]:
        return sorted((self.world.folder / "pg").glob("d.before-restore-*"))


@pytest.fixture(scope="module")
def world(backup_cloud: Seaweed) -> Iterator[Machine]:
    with machine(backup_cloud) as made:
        yield made


@pytest.fixture
def stopped(tmp_path: Path, world: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Restored]:
    made = Restored(tmp_path, here(world), monkeypatch)
    monkeypatch.setenv("PGBACKREST_JOB_RETRY", "0")  # its own retries of what a full disk refuses take 30 s
    world.database.ask("CREATE TABLE IF NOT EXISTS marked AS SELECT 1")
    world.database._run("pg_ctl", "-D", "d", "-m", "fast", "-w", "stop")
    (world.data / "canary").write_text("the data that was there")
    yield made
    if not (world.data / "postmaster.pid").exists():  # whatever went wrong, the world can be taken down
        world.data.exists() or made.asides[0].rename(world.data)
        world.database._run("pg_ctl", "-D", "d", "-l", "log", "-w", "start")


def test_a_run_killed_while_it_fetches_and_while_it_moves_and_a_full_disk_lose_nothing(
    stopped: Restored, world: Machine
):
    require_root()
    work = world.folder / "pg" / "d.restoring"
    subprocess.run(("install", "-d", "-o", "postgres", "-m", "0700", work), check=True)
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=8m,mode=0700,uid=postgres", "tmpfs", work), check=True)
    try:
        full = stopped.again()
    finally:
        subprocess.run(("umount", work), check=True)
    assert full.status == 7, full.text
    assert f"{world.data} is as it was" in full.err
    assert "its disk may be full" in full.err, full.text
    assert (world.data / "canary").exists()

    child = stopped.begin()
    until((work / "data" / "base").exists, "no file is fetched", pause=0.005)
    os.killpg(child.pid, signal.SIGKILL)  # pgbackrest is in a session of its own, and goes on
    child.wait()
    assert (world.data / "canary").exists()
    assert not stopped.asides

    child = stopped.begin()
    until(lambda: stopped.asides, "nothing is moved aside", pause=0.005)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    (aside,) = stopped.asides
    assert (aside / "canary").exists()

    done = stopped.again()
    assert done.status == 0, done.text
    assert stopped.asides == [aside]
    assert (aside / "canary").read_text() == "the data that was there"
    world.database.ask("TABLE marked")
    assert not work.exists()


def test_a_server_that_does_not_come_up_says_why_and_the_printed_command_brings_the_old_data_back(
    stopped: Restored, world: Machine
):
    opts = world.data / "postmaster.opts"
    good = opts.read_text()
    opts.write_text(good.rstrip("\n") + ' "-c" "shared_buffers=many"\n')
    failed = stopped.again()
    assert failed.status == 7, failed.text
    assert 'invalid value for parameter "shared_buffers"' in failed.err
    back = failed.err.split("to go back, with the server stopped: ", 1)[1].splitlines()[0]
    assert not (world.data / "canary").exists()
    subprocess.run(("sh", "-c", back), check=True)
    assert (world.data / "canary").exists()
    opts.write_text(good)
    world.database._run("pg_ctl", "-D", "d", "-l", "log", "-w", "-o", options_of(good), "start")
