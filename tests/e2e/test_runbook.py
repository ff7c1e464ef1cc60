"""docs/runbook.md, followed to the letter: each disaster happens, and its commands bring the rows back."""

import contextlib
import glob
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from chronos_secrets.cli.main import root
from tests.e2e.test_backup_restore import archive, numbers, wait_until_open
from tests.support import keepassxc
from tests.support.backup_hosts import CONTAINER, Boxed, boxed, ssh_to
from tests.support.runbook import RUNBOOK, Night, admit, chapter, commands, lines
from tests.support.seaweed import Seaweed
from tests.support.sightings import Writer, query
from tests.support.sshd import Sshd

FOLLOWED = (
    "1. Everything is lost", "2. Back to a moment", "3. A new server, a new laptop", "Afterwards",
    "Every month", "Every week",
)  # fmt: skip

pytestmark = pytest.mark.xdist_group("runbook")


@pytest.fixture(scope="module")
def box(backup_cloud: Seaweed) -> Iterator[Boxed]:
    with boxed(backup_cloud) as made:
        scratch = made.docker.rootfs / "var" / "tmp"
        scratch.mkdir(exist_ok=True)
        scratch.chmod(0o1777)
        query(made.database, "CREATE TABLE sightings (number int)")
        yield made


@pytest.fixture(scope="module")
def server(box: Boxed) -> Iterator[Sshd]:
    with ssh_to(box) as sshd:
        yield sshd


@pytest.fixture
def night(tmp_path: Path, box: Boxed, server: Sshd, monkeypatch: pytest.MonkeyPatch) -> Night:
    return Night(tmp_path, box, server, monkeypatch)


def test_every_command_and_option_that_the_runbook_names_exists():
    named = commands(RUNBOOK.read_text())
    assert len(named) > 30
    for line in named:
        words = shlex.split(line, comments=True)[1:]
        command: click.Command = root
        with click.Context(root) as context:
            while isinstance(command, click.Group) and words and (found := command.get_command(context, words[0])):
                command, words = found, words[1:]
        known = {name for each in command.params for name in each.opts}
        assert command is not root, line
        assert {each for each in words if each.startswith("--")} <= known, line
        takes = {"history": not words, "rotate": bool(words)}  # groups that are commands, too: rotate takes names
        assert not isinstance(command, click.Group) or takes.get(command.name or ""), line


def test_every_line_of_the_runbook_that_is_to_be_typed_is_typed_by_a_test():
    followed = {each.command for title in FOLLOWED for each in chapter(title)}
    assert set(lines(RUNBOOK.read_text())) == followed | {each.command for each in chapter("Look")}
    assert {each.command for each in chapter("Look")} <= {each.partition("    #")[0] for each in followed}


def test_what_follows_a_restore_and_the_routine_go_through(night: Night):
    # Before the disasters: verify and drill read all that the repository has by then.
    night.type("chronos-secrets vault copy", status=8)  # the stick is in its drawer
    steps = [*chapter("Afterwards"), *chapter("Every month"), *chapter("Every week")]
    night.follow(list({each.command: each for each in steps}.values()))


def test_after_a_complete_loss_all_rows_that_reached_the_repository_are_back(night: Night, box: Boxed):
    with Writer(box) as writer:
        writer.wait(5)
    archive(box)
    kept = numbers(box)
    with Writer(box) as writer:
        writer.wait(2)
    box.docker("kill", CONTAINER)
    for name in ("base", "global", "pg_wal"):
        shutil.rmtree(box.volume / name)

    night.follow(chapter("1. Everything is lost"))
    assert numbers(box) == kept


def test_after_a_bad_import_all_rows_from_before_it_are_back_and_none_of_it(night: Night, box: Boxed):
    before = numbers(box)
    with Writer(box) as writer:
        at = writer.moment()
        query(box.database, "INSERT INTO sightings SELECT -generate_series(1, 1000)")
        writer.wait(5)
    archive(box)

    expected = before + writer.until(at)
    first, *_ = chapter("2. Back to a moment")
    shown = night.follow([first, *chapter("Look beside production")], WHEN=f'"{at.isoformat()}"')
    look = list(shown.values())[-1].partition("To look at it:")[2]
    start, wait, ask, stop, remove = look.strip().split("\n  ")

    spoilt = numbers(box)
    shown = night.follow(chapter("All of it back"))
    assert numbers(box) == expected
    archive(box)  # what follows the latest timeline ends here, before the moment
    night.type(start)
    night.type(wait)
    assert f"({len(expected)} rows)" in night.type(f"echo 'TABLE sightings' | {ask}"), "also after production went back"
    night.type(stop)
    night.type(remove)

    back = list(shown.values())[-1].partition("go back to it")[2].partition("next:")[0]
    _, *commands_back = back.strip().split("\n  ")
    assert len(commands_back) == 3
    for each in commands_back:
        night.type(each)
    wait_until_open(box)
    assert numbers(box) == spoilt, "the old data is there again"


def test_on_a_new_server_and_a_new_laptop_a_copy_of_the_vault_is_all_that_is_needed(
    tmp_path: Path, box: Boxed, server: Sshd, monkeypatch: pytest.MonkeyPatch
):
    night = Night(tmp_path, box, server, monkeypatch)
    with Writer(box) as writer:
        writer.wait(5)
    archive(box)
    kept = numbers(box)
    night.type("chronos-secrets vault copy", status=8)  # the stick is in its drawer
    shutil.copytree(night.vault.parent / "backups", tmp_path / "stick")
    night.lose_the_laptop()
    begin_anew(box)

    night.follow(chapter("The laptop"), COPY=shlex.quote(str(tmp_path / "stick")))
    with another_server(box) as new:
        make_it, *rest = chapter("The server")
        (public,) = night.follow([make_it]).values()
        admit(new, public)
        address = f"ssh://deploy@127.0.0.1:{new.port}"
        keepassxc.run(
            "edit", "--url", address, night.vault, "SSH Keys/Lightsail chronos-prod-db", password=night.password
        )
        night.follow(rest)
        night.follow(chapter("The database"))
        assert numbers(box) == kept


@contextlib.contextmanager
def another_server(box: Boxed) -> Iterator[Sshd]:
    """Another address and another host key, behind which the container is."""
    folder = Path(tempfile.mkdtemp(prefix="bk-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with contextlib.closing(Sshd(folder, programs=box.docker.folder)) as sshd:
            yield sshd
    finally:
        shutil.rmtree(folder)


def begin_anew(box: Boxed) -> None:
    """The container, with an empty database that it made itself, and no configuration of pgBackRest's."""
    box.docker("kill", CONTAINER)
    for each in box.volume.iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    box.config.unlink()
    initdb = glob.glob("/usr/lib/postgresql/*/bin/initdb")[-1]
    words = ("--username=postgres", "--auth-local=trust", "--auth-host=reject", "--no-sync", "--no-instructions")
    subprocess.run(
        (initdb, "-D", box.volume, *words), check=True, cwd=box.volume, stdout=subprocess.DEVNULL, user="postgres",
        group="postgres", extra_groups=(),
    )  # fmt: skip
    with (box.volume / "postgresql.conf").open("a") as settings:
        settings.write("fsync = off\nlisten_addresses = ''\nunix_socket_directories = '/run/postgresql'\n")
    box.docker("start", CONTAINER)
