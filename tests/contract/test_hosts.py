"""One contract for every kind of host, on a real sshd and real containers: run a program, place a file."""

import contextlib
import hashlib
import json
import os
import random
import secrets
import select
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from chronos_secrets.errors import ChronosError, Exit, Incomplete, Refused, TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems import process
from chronos_secrets.systems.hosts import Container, CutOff, Host, Local, Mount, Ran, Ssh, wire
from chronos_secrets.systems.hosts.host import PATIENCE
from tests.support.containers import Engine, require_root
from tests.support.programs import require
from tests.support.sshd import Sshd
from tests.support.targets import free_port
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("hosts")

EVERY_BYTE = bytes(range(1, 256))
SMALL = 256 * 1024  # bytes of the disk that is full at once
NASTY = [
    "", " ", "two words", "it's", '"', "'\"'", "$(touch /tmp/ran)", "`id`", "$HOME", "a\nb\n", "\n", "*", "~", "\\", "\\n",
    "!x", "#", "-n", "--", ";id", "|", "&", "é\u202eü", "a\tb\r", os.fsdecode(EVERY_BYTE), "x" * 100_000,
]  # fmt: skip


class World(NamedTuple):
    """What every host of these tests shares: `data` and `small` (a disk that is soon full) are the same everywhere."""

    engine: Engine
    sshd: Sshd
    data: Path
    small: Path


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    require_root()
    folder = Path(tempfile.mkdtemp(prefix="hosts-", dir="/tmp"))
    folder.chmod(0o755)
    data, small, alone = folder / "data", folder / "small", folder / "alone"
    for each in (data, small, alone, folder / "fixed"):
        each.mkdir()
        each.chmod(0o777)
    for each in (alone / "file", alone / "other"):
        each.write_text("mounted\n")
    subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={SMALL},mode=0777", "tmpfs", small), check=True)
    engine = sshd = None
    try:
        engine = Engine(folder)
        volumes = (
            "-v",
            f"{data}:{data}",
            "-v",
            f"{small}:{small}",
            "-v",
            f"{alone}/file:/single/file",
            "-v",
            f"{folder}/fixed:/fixed:ro",
        )
        engine.run("db", *volumes, "-v", "/anonymous", "-u", "postgres", "-e", "OF_THE_CONTAINER=yes")
        engine.run(
            "idle", "-v", f"{data}:{data}", "-v", "/anonymous", "-e", f"POSTGRES_TOY={EVERY_BYTE[31:126].decode()}"
        )
        engine("stop", "-t", "0", "idle")
        sshd = Sshd(folder, programs=engine.folder)
        yield World(engine, sshd, data, small)
    finally:
        if sshd is not None:
            sshd.close()
        if engine is not None:
            engine.close()
        subprocess.run(("umount", "-l", small), check=True)
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _clean(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty folders, and the engine as `docker` in PATH."""
    for folder in (world.data, world.small):
        for each in folder.iterdir():
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
    monkeypatch.setenv("PATH", f"{world.engine.folder}:{os.environ['PATH']}")


def ssh(world: World, alias: str = "deploy", *, sudo: bool = False) -> Ssh:
    return Ssh(alias, sudo=sudo, config=world.sshd.config)


KINDS: dict[str, Callable[[World], Host]] = {
    "local": lambda world: Local(),
    "container": lambda world: Container("db"),
    "ssh": ssh,
    "ssh-sudo": lambda world: ssh(world, sudo=True),
    "ssh-busybox": lambda world: ssh(world, "tiny"),
    "container-over-ssh": lambda world: Container("db", inside=ssh(world, sudo=True)),
}
MAY_GIVE_AWAY = [kind for kind in KINDS if kind not in ("ssh", "ssh-busybox")]


@pytest.fixture(params=KINDS)
def host(request: pytest.FixtureRequest, world: World) -> Host:
    return KINDS[request.param](world)


@pytest.fixture(params=MAY_GIVE_AWAY)
def rooted(request: pytest.FixtureRequest, world: World) -> Host:
    return KINDS[request.param](world)


def sh(host: Host, script: str, *arguments: str, stdin: bytes | Secret = b"", timeout: float = 60) -> Ran:
    return host.run(("sh", "-c", script, "sh", *arguments), stdin=stdin, timeout=timeout)


def leftovers(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.name.endswith(".tmp"))


# --- run --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1, 125, 126, 127, 255])
def test_a_programs_own_status_is_a_result_whatever_ssh_or_an_engine_would_mean_by_it(host, status):
    assert sh(host, f"echo out; echo err >&2; exit {status}") == Ran(status, b"out\n", b"err\n")


@pytest.mark.parametrize("shell", [("dash",), ("bash",), ("bash", "--posix"), ("busybox", "sh")])
def test_every_status_passes_through_every_shell(shell):
    require(shell[0])
    for status in range(256) if shell == ("dash",) else (0, 1, *range(124, 131), 254, 255):
        line = wire.opening(("sh", "-c", f"exit {status}"), {}, timeout=60, mark="mark")
        ran = process.capture((*shell, *wire.BOOTSTRAP[1:]), stdin=line, timeout=60)
        assert wire.parse(ran.out, ran.err, mark="mark") == wire.Reply(str(status), b"", b"")


@pytest.mark.parametrize("number", [1, 9, 15])
def test_a_program_that_a_signal_ends_has_128_and_the_signal(host, number):
    assert sh(host, f"kill -{number} $$") == Ran(128 + number, b"", b"")


def test_five_megabytes_of_anything_pass_both_ways(host):
    content = random.Random(5).randbytes(5_000_000)
    assert host.run(("cat",), stdin=content, timeout=60) == Ran(0, content, b"")
    both = sh(host, "tee /dev/stderr", stdin=Secret(content))
    assert (both.out, both.err) == (content, content)


def test_a_program_need_not_read_its_input(host):
    assert host.run(("true",), stdin=bytes(3_000_000), timeout=60) == Ran(0, b"", b"")


@pytest.mark.parametrize("program", ["true", "no-such-program"])
def test_input_that_is_left_is_taken_all_the_same(program):
    """Podman, cut off while it hands input on, may forget the last of the output: nothing is ever cut off."""
    line = wire.opening((program,), {}, timeout=60, mark="mark")
    with subprocess.Popen(
        wire.BOOTSTRAP, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as shell:
        assert shell.stdin is not None
        shell.stdin.write(line + bytes(3_000_000))  # raises BrokenPipeError where nobody takes it


def test_arguments_arrive_as_they_are(host):
    said = sh(host, r"""for each; do printf '%s\0' "$each"; done""", *NASTY)
    assert said.out.split(b"\0")[:-1] == [os.fsencode(each) for each in NASTY]


def test_a_program_is_run_and_not_what_the_shell_calls_so(host):
    assert host.run(("test", "a", "=", "b"), timeout=60).status == 1
    assert host.run(("echo", "-n", "x"), timeout=60).out == b"x"


def test_the_environment_arrives_byte_for_byte(host):
    given = {"A_SECRET": Secret(EVERY_BYTE), "PLAIN": "it's\n$HOME\n", "EMPTY": ""}
    said = host.run(("sh", "-c", r"""printf '%s\0' "$A_SECRET" "$PLAIN" "$EMPTY" """), environment=given, timeout=60)
    assert said.out.split(b"\0") == [EVERY_BYTE, b"it's\n$HOME\n", b"", b""]


def test_nothing_of_ours_is_left_in_the_environment(host):
    names = host.run(("env",), environment={"GIVEN": "1"}, timeout=60).out
    assert b"GIVEN=1\n" in names
    assert not [line for line in names.splitlines() if line.startswith(b"_chronos")]


@pytest.mark.parametrize("name", ["A-B", "", "1A", "A=B", "A;id"])
def test_a_variable_that_no_shell_can_hand_on_is_refused_by_name(host, name):
    with pytest.raises(Refused, match="cannot be an environment variable"):
        host.run(("env",), environment={name: "x"}, timeout=60)


def test_a_value_with_a_nul_byte_is_refused_and_not_shown(host):
    with pytest.raises(Refused) as refused:
        host.run(("env",), environment={"NAMED": Secret(b"hidden\0away")}, timeout=60)
    assert "NAMED" in refused.value.message
    assert "hidden" not in refused.value.message


def _fifo(path: Path) -> int:
    """A named pipe, already open, so that nobody waits for the other side."""
    os.mkfifo(path)
    path.chmod(0o666)
    return os.open(path, os.O_RDWR)


def _command_lines() -> bytes:
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(each.read_bytes())
        except OSError:  # it has ended
            continue
    return b"\n".join(found)


def test_no_list_of_processes_shows_a_secret_or_the_input(host, world):
    canary = f"canary{secrets.token_hex(12)}"
    ready, go = (_fifo(world.data / name) for name in ("ready", "go"))
    script = 'read -r line; [ "$line" = "$CANARY" ] || exit 3; echo > "$1"; read -r on < "$2"; echo "$on"'
    with ThreadPoolExecutor(1) as pool:
        running: Future[Ran] = pool.submit(
            host.run, ("sh", "-c", script, "sh", f"{world.data}/ready", f"{world.data}/go"),
            stdin=f"{canary}\n".encode(), environment={"CANARY": Secret(canary)}, timeout=60,
        )  # fmt: skip
        told = select.select([ready], [], [], 60)[0]
        seen = _command_lines()
        os.write(go, b"on\n")
        assert running.result() == Ran(0, b"on\n", b"")
    os.close(ready)
    os.close(go)
    assert told
    assert os.fsencode(world.data / "go") in seen  # the program was among them
    assert canary.encode() not in seen


def test_a_missing_program_is_named_with_its_host(host):
    with pytest.raises(TargetFailed, match="no-such-program") as failed:
        host.run(("no-such-program", "x"), timeout=60)
    assert not isinstance(failed.value, CutOff)
    if not isinstance(host, Local):
        assert failed.value.message == f"{host.name} has no program no-such-program"
        assert failed.value.hint


def test_a_file_that_cannot_be_run_is_no_program(host, world):
    (world.data / "text").write_text("no program\n")
    for path in (world.data / "text", world.data):
        with pytest.raises(TargetFailed):
            host.run((str(path),), timeout=60)


def _ends(word: str) -> None:
    """Wait for the end of a process with this word in its command line."""
    until(lambda: word.encode() not in _command_lines(), "it still runs")


def test_a_program_that_takes_too_long_is_ended_on_the_host_too(host):
    naps = f"3600.{secrets.randbelow(10**9):09}"
    with pytest.raises(CutOff, match="did not end within 1 seconds"):
        host.run(("sleep", naps), timeout=1)
    _ends(naps)


def test_a_quick_program_may_say_what_a_time_out_would(host):
    assert sh(host, "exit 124").status == 124


def test_a_daemon_that_lets_go_of_its_streams_is_not_waited_for(host, world):
    fifo = _fifo(world.data / "fifo")
    ran = sh(
        host, 'sh -c "read -r _ < $1" < /dev/null > /dev/null 2>&1 & echo started', f"{world.data}/fifo", timeout=20
    )
    assert ran == Ran(0, b"started\n", b"")
    os.write(fifo, b"end\n")
    _ends(f"{world.data}/fifo")  # before that it may not have opened it, and would find nothing in it
    os.close(fifo)


def test_output_beyond_the_limit_is_not_gathered():
    with pytest.raises(TargetFailed, match="yes printed more than 64 KiB"):
        process.capture(("yes",), timeout=10, limit=65536)


def test_a_daemon_that_keeps_the_output_open_is_not_waited_for(world):
    fifo = world.data / "fifo"
    os.mkfifo(fifo)
    script = f"sh -c 'while read -r _; do :; done < {fifo}' & echo started"
    assert process.capture(("sh", "-c", script), timeout=60) == Ran(0, b"started\n", b"")
    fifo.write_text("end\n")


def test_a_timed_out_program_takes_its_children_along():
    naps = f"3600.{secrets.randbelow(10**9):09}"
    with pytest.raises(process.TimedOut) as late:
        process.capture(("sh", "-c", f"echo begun; sleep {naps} & wait"), timeout=1)
    assert late.value.out == b"begun\n"
    _ends(naps)


# --- place, look, read ------------------------------------------------------------------------------------------------


def test_a_placed_file_is_read_back_with_its_content_and_mode(host, world):
    path, content = world.data / "it's a file", random.Random(7).randbytes(300_000)
    placed = host.place(str(path), Secret(content), mode=0o640)
    assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert placed.sha256 == hashlib.sha256(content).hexdigest()
    assert placed.lasting
    seen = host.look(str(path))
    assert (seen.sha256, seen.mode, seen.owner) == (placed.sha256, 0o640, (path.stat().st_uid, path.stat().st_gid))
    assert host.read(str(path), 300_000) == content
    assert os.listdir(world.data) == [path.name]


@pytest.mark.parametrize("mode", [0o400, 0o6711])
def test_every_mode_is_set_and_seen(rooted, world, mode):
    path = world.data / "file"
    rooted.place(str(path), Secret("x"), mode=mode)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert rooted.look(str(path)).mode == mode


@pytest.mark.parametrize("owner", ["nobody:nogroup", "65534:65534", "nobody:0"])
def test_a_file_gets_its_owner_and_is_seen_to_have_it(rooted, world, owner):
    path, wanted = world.data / "file", (65534, 0 if owner.endswith(":0") else 65534)
    assert rooted.look(str(path), owner=owner).wanted == wanted
    rooted.place(str(path), Secret("x"), mode=0o600, owner=owner)
    assert (path.stat().st_uid, path.stat().st_gid) == wanted
    seen = rooted.look(str(path), owner=owner)
    assert seen.owner == seen.wanted == wanted


def test_a_replaced_file_keeps_its_owner_where_none_is_named(world):
    path = world.data / "file"
    path.write_text("old")
    os.chown(path, 65534, 12)
    for host in (Local(), ssh(world, sudo=True)):
        host.place(str(path), Secret("new"), mode=0o600)
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 12)


def test_an_owner_who_is_not_there_is_refused_before_anything_is_written(rooted, world):
    for act in (
        lambda: rooted.look(str(world.data / "file"), owner="stranger"),
        lambda: rooted.place(str(world.data / "file"), Secret("x"), mode=0o600, owner="stranger:strangers"),
    ):
        with pytest.raises(Refused, match=r"is to belong to stranger.*who is not on"):
            act()
    assert os.listdir(world.data) == []


def test_an_account_without_rights_cannot_give_a_file_away_and_leaves_the_old_one(world):
    path = world.data / "file"
    path.write_text("old")
    with pytest.raises(TargetFailed, match=r"cannot get its owner.*the old file is as it was"):
        ssh(world).place(str(path), Secret("new"), mode=0o600, owner="nobody")
    assert path.read_text() == "old"
    assert leftovers(world.data) == []


def test_nothing_is_at_a_path_where_nothing_was_placed(host, world):
    seen = host.look(str(world.data / "file"))
    assert (seen.sha256, seen.mode, seen.owner, seen.wanted, seen.folder) == (None, 0, None, None, str(world.data))
    assert host.read(str(world.data / "file"), 10) is None


def test_reading_stops_at_the_limit(host, world):
    (world.data / "file").write_bytes(b"x" * 11)
    with pytest.raises(Refused, match="has more than 10 bytes"):
        host.read(str(world.data / "file"), 10)


def _link(path: Path) -> None:
    path.symlink_to(path.parent / "elsewhere")


BAD_PATHS: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a link": (_link, "file", "is a symbolic link"),
    "a folder": (Path.mkdir, "file", "is a folder"),
    "a pipe": (os.mkfifo, "file", "is not a regular file"),
    "no parent": (lambda path: None, "none/file", "there is no folder .*/none on"),
    "a file as parent": (Path.touch, "file/below", "there is no folder .*/file on"),
}


@pytest.mark.parametrize("fault", BAD_PATHS)
def test_what_cannot_be_replaced_is_refused_with_a_command_to_look_closer(host, world, fault):
    prepare, name, sentence = BAD_PATHS[fault]
    prepare(world.data / "file")
    path = str(world.data / name)
    for act in (lambda: host.look(path), lambda: host.place(path, Secret("x"), mode=0o600)):
        with pytest.raises(Refused, match=sentence) as refused:
            act()
        assert host.name in refused.value.message
        assert refused.value.hint
    assert leftovers(world.data) == []


@pytest.mark.parametrize("path", ["relative", "/ends/", "/a/../b", "/line\nend", ""])
def test_a_path_that_is_no_file_is_refused(path):
    with pytest.raises(Refused, match="is not the absolute path of a file"):
        Local().place(path, Secret("x"), mode=0o600)


def test_a_folder_without_the_right_to_write_is_seen_before_the_first_write(world):
    for act in (lambda: ssh(world).look("/etc/file"), lambda: ssh(world).place("/etc/file", Secret("x"), mode=0o600)):
        with pytest.raises((Refused, TargetFailed), match="cannot be written"):
            act()


def test_a_full_disk_leaves_the_old_file_and_nothing_else(host, world):
    path = world.small / "file"
    path.write_text("old")
    path.chmod(0o666)
    with pytest.raises(TargetFailed, match="No space left on device; the old file is as it was") as failed:
        host.place(str(path), Secret(b"x" * (SMALL + 1)), mode=0o600)
    assert failed.value.exit is Exit.TARGET
    assert path.read_text() == "old"
    assert leftovers(world.small) == []


def test_what_a_killed_run_left_goes_with_the_next_one(host, world):
    host.place(str(world.data / "file"), Secret("old"), mode=0o600)
    stem = hashlib.sha256(b"file").hexdigest()[:12]
    left, others = world.data / f".chronos-{stem}.0123.tmp", world.data / ".chronos-0123456789ab.0123.tmp"
    left.touch()
    others.touch()
    host.place(str(world.data / "file"), Secret("new"), mode=0o600)
    assert leftovers(world.data) == [others.name]


def test_the_file_is_private_from_its_first_byte(host, world):
    """The content is more than the disk of the host's pipe takes, so that the temporary file is seen half-written."""
    seen: set[int] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for each in world.data.glob(".chronos-*.tmp"):
                try:
                    seen.add(stat.S_IMODE(each.stat().st_mode))
                except FileNotFoundError:
                    continue

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        host.place(str(world.data / "file"), Secret(random.Random(1).randbytes(8_000_000)), mode=0o600)
        stop.set()
        watching.result()
    assert seen == {0o600}


@pytest.mark.parametrize("tool", ["sync", "sha256sum"])
def test_a_missing_tool_is_named(world, tool):
    bare = world.data / "bare"
    bare.mkdir()
    for each in {"cat", "chmod", "chown", "id", "ls", "mv", "rm", "sync", "sha256sum"} - {tool}:
        (bare / each).symlink_to(require(each))
    (bare / "sh").symlink_to(require("dash"))
    with pytest.raises(TargetFailed, match=f"this machine has no program {tool}, without which"):
        _WithPath(str(bare)).look(str(world.data / "file"))


class _WithPath(Local):
    """This machine, as poor or as strange as one may be."""

    def __init__(self, path: str) -> None:
        self._path = path

    def run(self, argv: Sequence[str], **options: object) -> Ran:
        options["environment"] = {**options.get("environment", {}), "PATH": self._path}  # type: ignore[dict-item]
        return super().run(argv, **options)  # type: ignore[arg-type]


def _with_tools(world: World, **scripts: str) -> Host:
    """This machine, where some tools are scripts of ours; `$real` is the tool itself."""
    tools = world.data / "tools"
    tools.mkdir()
    for name, script in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\nreal={require(name)}\n{script}\n")
        (tools / name).chmod(0o755)
    return _WithPath(f"{tools}:{os.environ['PATH']}")


def test_the_content_is_synced_before_the_rename_and_the_folder_after_it(world):
    log = world.data / "log"
    note = f'for last; do :; done; echo "{{}} ${{{{last##*/}}}}" >> {log}; "$real" "$@"'
    host = _with_tools(world, sync=note.format("sync"), mv=note.format("mv"), chmod=note.format("chmod"))
    host.place(str(world.data / "file"), Secret("x"), mode=0o600)
    chmod, sync, *rest = log.read_text().splitlines()
    assert (chmod.split()[0], sync.split()[0]) == ("chmod", "sync")
    assert sync.endswith(".tmp")
    assert rest == ["mv file", "sync data"]


def test_a_file_that_somebody_else_writes_at_the_same_time_is_said(world):
    host = _with_tools(world, mv='"$real" "$@"; for last; do :; done; echo more >> "$last"')
    with pytest.raises(Incomplete, match="was written, and then by somebody else as well"):
        host.place(str(world.data / "file"), Secret("x"), mode=0o600)


def test_a_file_that_is_not_any_more_what_was_read_is_left_alone(host, world):
    path = world.data / "file"
    host.place(str(path), Secret("read"), mode=0o666)
    seen = host.look(str(path)).sha256
    assert seen == hashlib.sha256(b"read").hexdigest()
    path.write_text("theirs")
    with pytest.raises(Incomplete, match="was changed by somebody else meanwhile and is as they left it") as failed:
        host.place(str(path), Secret("ours"), mode=0o600, replaces=seen)
    assert failed.value.exit == Exit.INCOMPLETE
    assert path.read_text() == "theirs"
    assert leftovers(world.data) == []
    host.place(str(path), Secret("ours"), mode=0o600, replaces=host.look(str(path)).sha256)
    assert path.read_text() == "ours"


@pytest.mark.parametrize(
    ("tool", "sentence"),
    [
        ("chmod", "cannot get its mode: out of order; the old file is as it was"),
        ("sync", "cannot be written: out of order; the old file is as it was"),
        ("mv", "cannot be replaced: out of order; the old file is as it was"),
    ],
)
def test_a_tool_that_fails_leaves_the_old_file(world, tool, sentence):
    (world.data / "file").write_text("old")
    with pytest.raises(TargetFailed, match=sentence):
        _with_tools(world, **{tool: "echo out of order >&2; exit 1"}).place(
            str(world.data / "file"), Secret("new"), mode=0o600
        )
    assert (world.data / "file").read_text() == "old"
    assert leftovers(world.data) == []


def test_a_folder_that_cannot_be_synced_is_incomplete(world):
    host = _with_tools(world, sync='[ -f "$1" ] || { echo out of order >&2; exit 1; }')
    with pytest.raises(Incomplete, match="is new, but may be the old one after a power cut: out of order"):
        host.place(str(world.data / "file"), Secret("new"), mode=0o600)


def test_a_placing_that_is_ended_removes_what_it_began(world):
    host = _with_tools(world, sync='kill -TERM "$PPID"')
    with pytest.raises(Incomplete, match="was interrupted; the old file is as it was"):
        host.place(str(world.data / "file"), Secret("new"), mode=0o600)
    assert leftovers(world.data) == []
    assert not (world.data / "file").exists()


# --- a connection that is cut -----------------------------------------------------------------------------------------


def _settled(world: World) -> None:
    """Wait until the host has noticed that nobody is there any more."""
    until(lambda: not leftovers(world.data), "it has not noticed")


@pytest.mark.parametrize("direction", ["CUT_THERE", "CUT_BACK"])
@pytest.mark.parametrize("after", [0, 1500, 3000, 3700, 4200, 5000, 500_000])
def test_a_cut_connection_leaves_the_old_file_or_the_new_one(world, monkeypatch, direction, after):
    path, content = world.data / "file", random.Random(3).randbytes(1_000_000)
    path.write_text("old")
    path.chmod(0o666)
    monkeypatch.setenv(direction, str(after))
    said: ChronosError | None = None
    try:
        ssh(world, "cut").place(str(path), Secret(content), mode=0o600)
    except (TargetFailed, Incomplete) as error:
        said = error
    _settled(world)
    may_be = {None: [content], Exit.TARGET: [b"old"], Exit.INCOMPLETE: [b"old", content]}
    assert path.read_bytes() in may_be[said and said.exit]
    assert said is None or said.hint


def test_a_connection_cut_within_the_content_is_incomplete(world, monkeypatch):
    monkeypatch.setenv("CUT_THERE", "500000")
    with pytest.raises(Incomplete, match="is the old file or the new one, whole: cut went away"):
        ssh(world, "cut").place(str(world.data / "file"), Secret(random.Random(3).randbytes(1_000_000)), mode=0o600)


def test_an_answer_that_is_lost_after_the_rename_is_incomplete_and_the_file_is_new(world, monkeypatch):
    path, host = world.data / "file", ssh(world, "cut")
    host.place(str(path), Secret("old"), mode=0o600)
    came = int((world.sshd.folder / "came").read_text())
    unseen = 0
    for lost in range(20, 400, 40):
        monkeypatch.setenv("CUT_BACK", str(came - lost))
        new = f"new {lost}"
        with contextlib.suppress(Incomplete):
            host.place(str(path), Secret(new), mode=0o600)
            continue  # what was lost was no part of the answer
        _settled(world)
        unseen += path.read_text() == new
    assert unseen


@pytest.mark.parametrize("lost", [1, 500_000, 999_000])
def test_an_engine_that_dies_leaves_the_old_file(world, lost):
    path, content = world.data / "file", random.Random(3).randbytes(1_000_000)
    path.write_text("old")
    path.chmod(0o666)
    dying = world.engine.folder / "dying"
    dying.write_text(
        f'#!/bin/sh\n[ "$1" = exec ] || exec {world.engine.docker} "$@"\nhead -c -{lost} | {world.engine.docker} "$@"\n'
    )
    dying.chmod(0o755)
    with pytest.raises(Incomplete, match="did not reach container db whole; the old file is as it was"):
        Container("db", engine="dying").place(str(path), Secret(content), mode=0o600)
    assert path.read_text() == "old"
    assert leftovers(world.data) == []


# --- what ssh says ----------------------------------------------------------------------------------------------------


def refused(host: Host, sentence: str) -> TargetFailed:
    with pytest.raises(TargetFailed, match=sentence) as failed:
        host.run(("touch", "/tmp/must-not-run"), timeout=30)
    assert not isinstance(failed.value, CutOff), "nothing began, and that is known"
    assert failed.value.exit is Exit.TARGET
    assert failed.value.hint
    return failed.value


def test_an_unknown_host_key_is_not_accepted(world):
    error = refused(ssh(world, "unknown"), "the host key of unknown is not known on this machine")
    assert f"ssh -F {world.sshd.config} unknown" in (error.hint or "")
    assert "fingerprint" in (error.hint or "")
    assert (world.sshd.folder / "nothing_known").read_text() == ""


def test_a_changed_host_key_is_refused_and_the_hint_forgets_the_right_one(world):
    error = refused(ssh(world, "changed"), "somebody may be in between")
    known = world.sshd.folder / "other_known_hosts"
    command = (error.hint or "").split(" && ")[0]
    before = known.read_text()
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    assert known.read_text() == ""
    known.write_text(before)


def test_a_refused_key_says_so(world):
    error = refused(ssh(world, "refused"), "refused refused our key: deploy@127.0.0.1: Permission denied")
    assert (error.hint or "").startswith("ssh ")


@pytest.mark.parametrize(
    ("alias", "words"),
    [("away", "Connection refused"), ("nowhere", "Could not resolve hostname"), ("mute", "timed out")],
)
def test_a_host_that_is_away_says_so(world, alias, words):
    refused(ssh(world, alias), f"{alias} cannot be reached: .*{words}")


def test_an_account_without_a_shell_says_so(world):
    refused(ssh(world, "barred"), "barred runs no command for us .*not available")


def test_sudo_that_asks_and_sudo_that_forbids_are_told(world):
    error = refused(
        ssh(world, "careful", sudo=True), "sudo on careful would not run a command: sudo: a password is required"
    )
    assert "sudo -l" in (error.hint or "")
    refused(ssh(world, "plain", sudo=True), "sudo on plain would not run a command")


def test_nothing_is_sent_to_an_account_that_runs_something_else(world, monkeypatch):
    """The time for it is over a second after the account has begun to listen, however long the login takes."""
    heard = world.sshd.folder / "homes" / "parrot" / "heard"
    heard.unlink(missing_ok=True)

    def clock() -> float:
        is_over = heard.exists() and time.time() - heard.stat().st_mtime > 1
        return time.monotonic() + is_over * PATIENCE

    monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=clock))
    with pytest.raises(TargetFailed, match=f"parrot ran nothing within {PATIENCE:g} seconds") as failed:
        ssh(world, "parrot").run(("cat",), stdin=Secret("hidden"), environment={"HIDDEN": Secret("hidden")}, timeout=30)
    assert not isinstance(failed.value, CutOff)
    assert heard.read_bytes() == b""


def test_sudo_is_another_user(world):
    assert ssh(world).run(("id", "-un"), timeout=30).out == b"deploy\n"
    assert ssh(world, sudo=True).run(("id", "-un"), timeout=30).out == b"root\n"


def test_what_a_login_says_is_not_the_programs_output(world):
    assert sh(ssh(world, "rowdy"), "echo out; echo err >&2") == Ran(0, b"out\n", b"err\n")


def test_the_users_configuration_cannot_change_what_a_command_does(world):
    assert ssh(world, "eager").run(("echo", "asked"), timeout=30) == Ran(0, b"asked\n", b"")
    assert not (world.sshd.folder / "local_command_ran").exists()
    assert not (world.sshd.folder / "control").exists()


@contextlib.contextmanager
def beside(*argv: str | Path, listening: Path) -> Iterator[None]:
    """A program that runs during the block, which begins when its socket is there."""
    program = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: listening.exists() or program.poll() is not None, "it does not start")
        assert program.poll() is None, "it did not start"
        yield
    finally:
        program.terminate()
        program.wait(20)


def test_no_agent_goes_along(world, monkeypatch, tmp_path):
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    with beside(require("ssh-agent"), "-D", "-a", tmp_path / "agent", listening=tmp_path / "agent"):
        assert b"SSH_AUTH_SOCK" not in ssh(world, "eager").run(("env",), timeout=30).out


def test_a_connection_that_somebody_else_opened_is_not_trusted(world):
    socket = world.sshd.folder / "shared"
    master = (require("ssh"), "-F", world.sshd.config, "-o", f"ControlPath={socket}", "-M", "-N", "deploy")
    with beside(*master, listening=socket):
        refused(ssh(world, "shared"), "the host key of shared is not known")


def test_nobody_is_asked_for_the_password_of_a_key(world, monkeypatch, tmp_path):
    asking = tmp_path / "ask"
    asking.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\nexit 1\n")
    asking.chmod(0o755)
    monkeypatch.setenv("SSH_ASKPASS", str(asking))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    refused(ssh(world, "locked"), "locked refused our key")
    assert not (tmp_path / "asked").exists()


def test_a_host_that_dies_under_a_program_is_not_taken_for_one_that_never_began(world, monkeypatch):
    monkeypatch.setenv("CUT_BACK", "1000000")
    with pytest.raises(CutOff, match="cut went away while sh ran; it may still run there"):
        sh(ssh(world, "cut"), "head -c 2000000 /dev/zero")


def test_words_of_a_host_cannot_command_a_terminal(world):
    (world.sshd.folder / "homes" / "rowdy" / ".profile").touch()
    bashrc = world.sshd.folder / "homes" / "rowdy" / ".bashrc"
    before = bashrc.read_text()
    bashrc.write_text("printf '\\033]0;title\\007\\233 go away\\n' >&2; exit 9\n")
    error = refused(ssh(world, "rowdy"), r"runs no command for us \(status 9\): .*go away")
    bashrc.write_text(before)
    assert error.message.isprintable()


# --- what an engine says ----------------------------------------------------------------------------------------------


@pytest.fixture(params=["here", "over ssh"])
def outside(request: pytest.FixtureRequest, world: World) -> Host:
    return Local() if request.param == "here" else ssh(world, sudo=True)


def test_a_stopped_container_is_said_with_the_command_that_starts_it(world, outside):
    error = refused(Container("idle", inside=outside), "container idle.* is not running")
    assert (error.hint or "").endswith("start idle") or (error.hint or "").endswith("start idle'")


def test_a_paused_container_is_said(world, outside):
    world.engine("pause", "db")
    try:
        refused(Container("db", inside=outside), "container db.* is paused")
    finally:
        world.engine("unpause", "db")


def test_a_container_that_does_not_exist_is_said(outside):
    refused(Container("dx", inside=outside), "there is no container dx")


def test_a_missing_engine_is_said(outside):
    refused(Container("db", engine="no-such-engine", inside=outside), "no-such-engine")


def test_an_engine_that_refuses_the_account_says_so(world):
    refused(Container("db", inside=ssh(world)), "docker on deploy does not answer: .*permission denied")


def test_a_user_that_the_container_lacks_is_said(outside):
    refused(Container("db", user="stranger", inside=outside), "container db.* runs no command: .*stranger")


def test_the_host_of_a_container_being_away_is_said_in_its_own_words(world):
    refused(Container("db", inside=ssh(world, "away")), "away cannot be reached")
    refused(Container("db", inside=ssh(world, "unknown")), "the host key of unknown is not known")


def test_programs_run_as_the_containers_user_or_the_declared_one(outside):
    assert Container("db", inside=outside).run(("id", "-un"), timeout=60).out == b"postgres\n"
    assert Container("db", user="nobody", inside=outside).run(("id", "-un"), timeout=60).out == b"nobody\n"


def test_a_file_that_is_mounted_alone_is_not_replaced(world, outside):
    host = Container("db", inside=outside)
    for act in (lambda: host.look("/single/file"), lambda: host.place("/single/file", Secret("x"), mode=0o600)):
        with pytest.raises(Refused, match=r"/single/file of container db.* is mounted alone") as refusal:
            act()
        assert f"{world.data.parent}/alone:/single" in (refusal.value.hint or "")
    assert (world.data.parent / "alone" / "file").read_text() == "mounted\n"


def test_a_container_that_would_keep_the_old_file_is_known(world, outside):
    host, alone = Container("db", inside=outside), world.data.parent / "alone"
    mount = host.holds_alone(str(alone / "file"))
    assert mount is not None
    assert mount.inside == "/single/file"
    assert host.holds_alone(str(alone / "other")) is None
    Local().place(str(alone / "file"), Secret("replaced\n"), mode=0o644)
    assert host.run(("cat", "/single/file"), timeout=60).out == b"mounted\n"  # this is why
    (alone / "file").write_text("mounted\n")


def test_a_read_only_mount_names_the_place_outside(world, outside):
    host = Container("db", inside=outside)
    for act in (lambda: host.look("/fixed/file"), lambda: host.place("/fixed/file", Secret("x"), mode=0o600)):
        with pytest.raises(Refused, match=r"/fixed/file of container db.* is mounted read-only") as refusal:
            act()
        assert f"{world.data.parent}/fixed/file on {outside.name}" in (refusal.value.hint or "")


def test_a_port_that_the_engines_host_can_have_is_known(world, outside):
    assert Container("db", inside=outside).publishes(5432), "its network is the host's"
    rootfs, port = ("--rootfs", str(world.engine.rootfs), "sleep", "3600"), free_port()
    try:
        world.engine("run", "-d", "--name", "shut", "--network=none", *rootfs)
        world.engine("run", "-d", "--name", "open", "-p", f"127.0.0.1:{port}:5432", *rootfs)
        assert not Container("shut", inside=outside).publishes(5432)
        published = Container("open", inside=outside)
        assert (published.publishes(port), published.publishes(5432)) == (True, False)
    finally:
        world.engine.remove("shut", "open")


def test_a_path_on_no_volume_is_said_not_to_last(world, outside):
    host = Container("db", inside=outside)
    assert not host.place("/tmp/passing", Secret("x"), mode=0o600).lasting
    assert host.place("/anonymous/kept", Secret("x"), mode=0o600, owner="postgres").lasting
    (world.engine.rootfs / "tmp" / "linked").unlink(missing_ok=True)
    host.run(("ln", "-s", str(world.data), "/tmp/linked"), timeout=60)
    assert host.place("/tmp/linked/file", Secret("x"), mode=0o600).lasting


def test_a_one_off_works_on_the_volumes_of_a_stopped_container_and_leaves_them(world, outside):
    host = Container("idle", inside=outside)
    volumes = sorted(world.engine("volume", "ls", "-q").split())
    script = 'cat; id -un; echo "$POSTGRES_TOY"; echo "$GIVEN" > /anonymous/mark; cat /anonymous/mark; exit 255'
    ran = host.one_off(("sh", "-c", script), stdin=b"in\n", environment={"GIVEN": Secret("it's")}, timeout=60)
    assert ran == Ran(255, b"in\nroot\n" + EVERY_BYTE[31:126] + b"\nit's\n", b"")
    assert sorted(world.engine("volume", "ls", "-q").split()) == volumes
    assert host.one_off(("cat", "/anonymous/mark"), timeout=60).out == b"it's\n"
    assert world.engine("ps", "-a", "--format", "{{.Names}}").split() == ["db", "idle"]


def test_a_one_off_runs_as_the_containers_user(outside):
    assert Container("db", inside=outside).one_off(("id", "-un"), timeout=60).out == b"postgres\n"
    assert Container("db", user="nobody", inside=outside).one_off(("id", "-un"), timeout=60).out == b"nobody\n"


def test_a_one_off_that_takes_too_long_leaves_no_container(world, outside):
    with pytest.raises(CutOff):
        Container("idle", inside=outside).one_off(("sleep", "3600"), timeout=1)
    assert world.engine("ps", "-a", "--format", "{{.Names}}").split() == ["db", "idle"]


def test_an_interrupted_one_off_leaves_no_container(world, outside):
    ready = _fifo(world.data / "ready")

    def interrupt() -> None:
        if select.select([ready], [], [], 60)[0]:  # else the test fails, and nothing is there to be interrupted
            os.kill(os.getpid(), signal.SIGINT)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            Container("idle", inside=outside).one_off(
                ("sh", "-c", f"echo > {world.data}/ready; sleep 3600"), timeout=3600
            )
    os.close(ready)
    assert world.engine("ps", "-a", "--format", "{{.Names}}").split() == ["db", "idle"]


def test_a_one_off_that_cannot_be_made_says_what_the_engine_said(outside):
    with pytest.raises(TargetFailed, match=r"made no container like idle: .*stranger"):
        Container("idle", user="stranger", inside=outside).one_off(("true",), timeout=60)


def test_what_one_offs_left_is_found_by_name_and_what_the_engine_does_not_do_is_said(world, outside):
    host = Container("db", inside=outside)
    try:
        world.engine("create", "--name", "db-one-off-1", "--rootfs", str(world.engine.rootfs), "true")
        assert (host.one_offs(), Container("idle", inside=outside).one_offs()) == (["db-one-off-1"], [])
    finally:
        world.engine.remove("db-one-off-1")
    stranger = Container("dx", inside=outside)
    for act, verb in ((stranger.start, "start"), (lambda: stranger.stop(timeout=1), "stop")):
        with pytest.raises(TargetFailed, match=f"does not {verb} dx"):
            act()
    assert stranger.said(3) == b"", "a complaint of the engine is no word of the container"


def test_a_file_of_a_container_is_read_as_its_root(world, outside):
    (world.data / "private").write_bytes(b"of root")
    (world.data / "private").chmod(0o600)
    assert Container("db", inside=outside).read(str(world.data / "private"), 100) == b"of root"


@pytest.fixture
def engine_that_says(tmp_path: Path) -> Callable[[str], Container]:
    """A container whose engine answers everything so: what docker says differs from what podman says."""

    def made(text: str) -> Container:
        (tmp_path / "said").write_text(text)
        program = tmp_path / "engine"
        program.write_text(f"#!/bin/sh\ncat {shlex.quote(str(tmp_path))}/said\necho aside >&2\n")
        program.chmod(0o755)
        return Container("db", engine=str(program))

    return made


@pytest.mark.parametrize(("facts", "published"), [
    ({"HostConfig": {"NetworkMode": "container:4f2a"}}, True),
    ({"HostConfig": {"NetworkMode": "host"}}, True),
    ({"HostConfig": {"PortBindings": {"5432/tcp": [{"HostPort": "6543"}]}}}, True),  # one that is stopped
    ({"NetworkSettings": {"Ports": {"5432/tcp": [{"HostPort": "6543"}]}}}, True),  # a port that docker chose
    ({"HostConfig": {"PortBindings": {"6543/tcp": None}}, "NetworkSettings": {"Ports": {"6543/tcp": None}}}, False),
    ({"HostConfig": None, "NetworkSettings": None}, False),
    ({}, False),
])  # fmt: skip
def test_a_port_is_published_as_each_engine_tells_it(engine_that_says, facts, published):
    assert engine_that_says(json.dumps([facts])).publishes(6543) == published


@pytest.mark.parametrize(("facts", "steady"), [
    ({"State": {"Running": True}}, True), ({"State": {"Running": True}, "RestartCount": 2}, False),
    ({"State": {"Running": False}}, False), ({}, False),
])  # fmt: skip
def test_a_container_that_was_started_again_and_again_does_not_run_steadily(engine_that_says, facts, steady):
    assert engine_that_says(json.dumps([facts])).runs_steadily() == steady


def test_only_a_file_that_is_bound_is_held_alone(engine_that_says):
    kinds = ("volume", "bind")
    mounts = [{"Type": kind, "Source": "/shared", "Destination": f"/in/{kind}"} for kind in kinds]
    held = engine_that_says(json.dumps([{"Mounts": mounts}])).holds_alone("/other/../shared")
    assert held == Mount("bind", "/shared", "/in/bind", writable=True)
    assert engine_that_says(json.dumps([{"Mounts": mounts[:1]}])).holds_alone("/shared") is None
    assert engine_that_says('[{"Mounts": null}]').mounts() == engine_that_says("[{}]").mounts() == ()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[null]", "[{}, {}]"])
def test_an_answer_that_is_not_understood_is_a_failure_of_the_target(engine_that_says, text):
    with pytest.raises(TargetFailed, match="in a way that is not understood"):
        engine_that_says(text).is_running()


def test_the_log_of_a_container_is_both_of_its_streams(engine_that_says):
    assert engine_that_says("out\n").said(3) == b"out\naside\n"
