"""The audit log survives kills, full disks and other writers: no record is lost, half there, or there twice.

The processes that are killed, starved or run beside others are this file run as a program, and not forks of the test,
because a test process has threads: `python -m tests.integration.test_history_survives ACT LOG [...]`.
"""

import json
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from chronos_secrets.errors import ChronosError
from chronos_secrets.systems import files, history
from chronos_secrets.systems.history import Anchor, History
from tests.support.kills import die_before
from tests.support.programs import require

REPOSITORY = Path(__file__).parents[2]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KILLS = 100 if os.environ.get("CHRONOS_LONG") else 6
_TRACED = (history.__file__, files.__file__)


def add(log: History, subject: str, known: Anchor | None = None) -> Anchor:
    return log.append(at=NOW, host="laptop", what="render", subject=subject, detail={"by": "test"}, known=known)


def command(act: str, log: Path, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.integration.test_history_survives", act, str(log), *arguments)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def run(act: str, log: Path, *arguments: str, before: str = "") -> Any:
    """Run an act to its end and give what it printed; `before` is shell for a mount namespace of its own."""
    argv: Sequence[str] = command(act, log, *arguments)
    if before:
        user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        argv = (require("unshare"), *user, "--mount", "sh", "-ec", f'{before}\n"$@"', "sh", *argv)
    done = subprocess.run(argv, env=environment(), capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.fixture
def log(tmp_path: Path) -> History:
    return History(tmp_path / "state" / "history.jsonl")


def subjects(log: History) -> list[str]:
    return [event.subject for event in log.read().events]


# --- kills ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["nothing", "records", "half-written line", "no line end"])
def test_an_append_killed_before_any_of_its_lines_loses_nothing_and_writes_nothing_twice(start, log):
    found = run("killed-at-each-line", log.path, start)
    killed = found[:-1]
    assert not found[-1]["killed"]
    assert {each["line"].partition(":")[0] for each in killed} == {"history.py", "files.py"}
    assert len(killed) > 60
    earlier = [] if start == "nothing" else ["first", "second"]
    for each in found:
        told = [subject for subject in each["then"] if subject != "history"]
        assert told in ([*earlier, "next"], [*earlier, "killed", "next"]), each
        assert (each["breaks"], each["mode"]) == ([], "0o600"), each
    written = ["killed" in each["then"] for each in found]
    assert set(written) == {False, True}, "the kills should have hit before and after the write"
    assert written == sorted(written), "what is written stays written"


def test_runs_killed_at_any_moment_keep_every_record_that_was_reported(log):
    chance = random.Random(20260102)
    reported: list[str] = []
    for round_ in range(KILLS):
        process = subprocess.Popen(command("forever", log.path, str(round_)), env=environment(), stdout=subprocess.PIPE)
        assert process.stdout is not None
        reported += [process.stdout.readline().decode().strip() for _ in range(chance.randint(1, 5))]
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        reported += process.communicate()[0].decode().split()
        there = [subject for subject in subjects(log) if subject != "history"]
        assert len(there) == len(set(there)), f"round {round_}"
        assert set(reported) <= set(there), f"round {round_}"
        assert len(there) <= len(reported) + round_ + 1, "one record a kill may be there and not reported"
    assert log.verify(add(log, "next")) == []


# --- writers at once --------------------------------------------------------------------------------------------------


def test_four_runs_that_append_at_once_leave_one_chain_with_all_records(log):
    writers = [
        subprocess.Popen(
            command("many", log.path, str(name), "50"), env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for name in range(4)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    seen = 0
    while any(writer.poll() is None for writer in writers):
        reading = log.read()
        assert reading.damaged == []
        assert len(reading.events) >= seen
        seen = len(reading.events)
    anchors = []
    for writer in writers:
        assert writer.stdout is not None
        assert writer.returncode == 0
        with writer.stdout as told:
            anchors.append(Anchor.parse(told.read().decode().strip()))
    there = subjects(log)
    assert sorted(there) == sorted(f"{name}-{number}" for name in range(4) for number in range(50))
    for name in range(4):
        own = [subject for subject in there if subject.startswith(f"{name}-")]
        assert own == [f"{name}-{number}" for number in range(50)]
    assert max(anchor.number for anchor in anchors) == 200
    for anchor in anchors:
        assert log.verify(anchor) == []


# --- disks ------------------------------------------------------------------------------------------------------------


def _filled_to(log: History, size: int) -> bytes:
    """Records until less than one line's room is left below `size` bytes, then one that leaves 100 bytes."""
    while True:
        add(log, "earlier")
        length, line = log.path.stat().st_size, len(log.path.read_bytes().splitlines()[-1]) + 1
        if length + 2 * line > size - 100:
            add(log, "earlier" + "x" * (size - 100 - length - line))
            assert size - 110 < log.path.stat().st_size < size - 90
            return log.path.read_bytes()


def test_a_disk_that_is_full_in_the_middle_of_a_record_is_said_and_keeps_the_log_as_it_was(log, tmp_path):
    before = _filled_to(log, 8192)
    small = tmp_path / "small"
    small.mkdir()
    prepare = (
        f"mount -t tmpfs -o size=65536 none {small}; cp -p {log.path} {small}; "
        f"cat /dev/zero > {small}/filler 2>/dev/null || true"
    )
    told = run("once", small / "history.jsonl", "wide" * 40, before=prepare)
    assert told["code"] == "history-unusable"
    assert told["message"] == f"the audit log {small}/history.jsonl cannot be written: no space left on device"
    assert told["content"] == before.decode()


def test_a_record_that_fits_only_in_part_is_taken_back(log):
    """The same with a limit in place of a disk, so that it runs where nothing can be mounted."""
    before = _filled_to(log, 8192)
    told = run("limited", log.path, "wide" * 40, "8192")
    assert (told["code"], told["content"]) == ("history-unusable", before.decode())
    assert told["message"].endswith("file too large")
    assert log.verify(add(log, "next")) == []


def test_a_read_only_disk_is_said_and_the_log_on_it_can_be_read(log, tmp_path):
    anchor = add(log, "earlier")
    small = tmp_path / "small"
    small.mkdir()
    prepare = f"mount -t tmpfs -o size=65536 none {small}; cp -p {log.path} {small}; mount -o remount,ro {small}"
    told = run("once", small / "history.jsonl", "next", str(anchor), before=prepare)
    assert told["message"].endswith("cannot be written: read-only file system")
    assert (told["subjects"], told["breaks"]) == (["earlier"], [])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; the read-only disk stands for it")
def test_a_folder_that_may_not_be_written_is_said(log):
    log.path.parent.mkdir(mode=0o500)
    told = run("once", log.path, "next")
    log.path.parent.chmod(0o700)
    assert told["message"].endswith("cannot be written: permission denied")


# --- the acts, each in a process of its own ---------------------------------------------------------------------------


def _many(path: Path, name: str, number: str) -> str:
    """Records as fast as it goes, from when the input ends; each run hands over what it knows."""
    print("ready", flush=True)
    sys.stdin.read()
    history._LOCK_WAIT = 120.0  # who is served last is chance, and 200 records may take a slow disk longer than usual
    anchor = None
    for each in range(int(number)):
        anchor = add(History(path), f"{name}-{each}", known=anchor)
    return str(anchor)


def _forever(path: Path, name: str) -> str:
    for number in count():
        add(History(path), f"{name}-{number}")
        print(f"{name}-{number}", flush=True)
    raise AssertionError("unreachable")


def _once(path: Path, subject: str, anchor: str = "") -> str:
    """One record; how it ended and what is there then."""
    log, told = History(path), {"code": "written", "message": ""}
    try:
        add(log, subject)
    except ChronosError as error:
        told = {"code": error.code, "message": error.message}
    content = path.read_text() if path.exists() else ""
    breaks = log.verify(Anchor.parse(anchor) if anchor else None)
    return json.dumps({**told, "content": content, "subjects": subjects(log), "breaks": breaks})


def _limited(path: Path, subject: str, size: str) -> str:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
    return _once(path, subject)


def _killed_at_each_line(path: Path, start: str) -> str:
    """Append once for each line that an append executes, killed before that line; what was found afterwards."""
    before, known = _start(path, start)
    found = []
    for number in count(1):
        path.unlink(missing_ok=True)
        if before:
            path.write_bytes(before)
            path.chmod(0o600)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            _append_until(History(path), known, number, write)
        os.close(write)
        with os.fdopen(read) as told:
            where = told.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        then = add(History(path), "next", known=known)
        found.append({
            "killed": killed, "line": where, "then": subjects(History(path)), "breaks": History(path).verify(then),
            "mode": oct(path.stat().st_mode & 0o7777),
        })  # fmt: skip
        if not killed:
            return json.dumps(found)
    raise AssertionError("unreachable")


def _start(path: Path, start: str) -> tuple[bytes, Anchor | None]:
    if start == "nothing":
        return b"", None
    add(History(path), "first")
    known = add(History(path), "second")
    whole = path.read_bytes()
    ends = {"records": whole, "half-written line": whole + whole[:60], "no line end": whole[:-1]}
    return ends[start], known


def _append_until(log: History, known: Anchor | None, number: int, report: int) -> None:
    """Append, and die before the line of that number; the line is reported first."""
    die_before(number, of=_TRACED, report=report)
    add(log, "killed", known=known)
    sys.settrace(None)
    os._exit(0)


_ACTS: dict[str, Callable[..., str]] = {
    "many": _many, "forever": _forever, "once": _once, "limited": _limited, "killed-at-each-line": _killed_at_each_line,
}  # fmt: skip

if __name__ == "__main__":
    print(_ACTS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:]))
