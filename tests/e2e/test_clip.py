"""`get --clip`: a value on a real clipboard, for a while and not longer."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import displays
from tests.support.commands import Aviary, Done, Terminal, alone, argv, environment
from tests.support.programs import require
from tests.support.waiting import until

LONG = "3600"
ON_IT = "the password of db is on the clipboard for"


@pytest.fixture
def aviary(tmp_path: Path) -> Aviary:
    return Aviary(tmp_path)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    require("xclip")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with displays.screen() as name:
        monkeypatch.setenv("DISPLAY", name)
        yield


class Clip:
    """`get --clip` while it runs."""

    def __init__(self, aviary: Aviary, *words: str, seconds: str = LONG) -> None:
        command = argv("get", *(words or ("db",)), "--clip", seconds, "--password-file", aviary.password_file)
        self._child = subprocess.Popen(
            command, cwd=aviary.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            process_group=0,
        )  # fmt: skip
        assert self._child.stderr is not None
        self.said = self._child.stderr.readline().decode()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """It does nothing while the block lasts: its seconds pass, and what it put on the clipboard stays there."""
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    @property
    def helpers(self) -> list[str]:
        """The programs that it has started and that still run."""
        return _children(self._child.pid)

    def end(self) -> Done:
        try:
            out, err = self._child.communicate(timeout=120)
        except BaseException:
            self._child.kill()
            raise
        return Done(self._child.returncode, out.decode(), self.said + err.decode())


def _children(process: int) -> list[str]:
    found = []
    for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
    return [line for line in found if line]


def _serving() -> list[str]:
    """The programs that answer for this display's clipboard."""
    display = f"DISPLAY={os.environ['DISPLAY']}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().strip() == "xclip" and display in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


def test_a_value_is_on_the_clipboard_for_its_seconds_and_nothing_is_left_behind(aviary: Aviary, screen: None):
    began = time.monotonic()
    clip = Clip(aviary, seconds="2")
    assert clip.said == f"{ON_IT} 2 s; Ctrl-C clears it now\n"
    with clip.held():
        assert displays.paste().decode() == aviary.values["db.password"]
    done = clip.end()
    assert (done.status, done.out) == (0, "")
    assert done.err.endswith("\nthe clipboard is cleared\n")
    assert time.monotonic() - began >= 2
    assert displays.paste() == b""
    assert _serving() == []
    assert aviary.leaked(done.text) == []


def test_the_value_is_in_no_argument_and_no_variable(aviary: Aviary, screen: None):
    clip = Clip(aviary)
    assert clip.helpers == ["xclip -quiet -selection clipboard -in"]
    for process in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            try:
                assert aviary.leaked((process / name).read_bytes()) == []
            except OSError:
                continue
    clip.send(signal.SIGINT)
    clip.end()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_what_ends_it_clears_the_clipboard_at_once(number, aviary: Aviary, screen: None):
    clip = Clip(aviary)
    clip.send(number)
    done = clip.end()
    assert done.status == 130
    assert displays.paste() == b""
    assert _serving() == []


def test_ctrl_c_on_a_terminal_clears_it(aviary: Aviary, screen: None):
    terminal = Terminal(argv("get", "db", "--clip", LONG), folder=aviary.folder)
    terminal.expect("Password of ")
    terminal.type(f"{aviary.password}\n")
    terminal.expect(ON_IT)
    terminal.type("\x03")
    done = terminal.end()
    assert done.status == 130
    assert displays.paste() == b""
    assert aviary.leaked(done.text.replace(aviary.password, "")) == []


def test_ctrl_z_does_not_stop_it(aviary: Aviary, screen: None):
    """A stopped program would clear nothing."""
    clip = Clip(aviary, seconds="1")
    clip.send(signal.SIGTSTP)
    assert clip.end().status == 0
    assert displays.paste() == b""


def test_what_was_copied_since_is_left_there(aviary: Aviary, screen: None):
    clip = Clip(aviary)
    displays.copy(b"a shopping list")
    done = clip.end()  # there is nothing left to wait for
    assert done.status == 0
    assert done.err.endswith("\nthe clipboard holds something else by now; that was left\n")
    assert displays.paste() == b"a shopping list"


def test_a_value_that_another_program_took_over_is_cleared_too(aviary: Aviary, screen: None):
    """As clipboard managers do, so that what was copied outlives the program it was copied in."""
    clip = Clip(aviary, seconds="3")
    with clip.held():
        displays.copy(aviary.values["db.password"].encode())
        until(lambda: clip.helpers == [], "its helpers stay")
        assert displays.paste().decode() == aviary.values["db.password"]
    done = clip.end()
    assert done.status == 0
    assert done.err.endswith("\nthe clipboard is cleared\n")
    assert displays.paste() == b""
    assert _serving() == []


def test_exact_bytes_are_pasted(aviary: Aviary, screen: None):
    aviary.remake_vault(key__private_key="žluť 漢\n\tline\n\n")
    clip = Clip(aviary, "key")
    assert displays.paste().decode() == aviary.values["key.private_key"]
    clip.send(signal.SIGINT)
    clip.end()


def test_a_long_value_is_pasted_whole(aviary: Aviary, screen: None):
    aviary.remake_vault(key__private_key="0123456789" * 30_000)
    clip = Clip(aviary, "key")
    assert displays.paste().decode() == aviary.values["key.private_key"]
    clip.send(signal.SIGINT)
    clip.end()


def test_another_field_can_be_copied(aviary: Aviary, screen: None):
    clip = Clip(aviary, "aws", "--field", "access_key_id")
    assert displays.paste().decode() == aviary.values["aws.access_key_id"]
    clip.send(signal.SIGINT)
    clip.end()


def test_a_value_that_a_terminal_would_obey_when_pasted_is_refused(aviary: Aviary, screen: None):
    aviary.remake_vault(key__private_key="\x1b]0;title\x07canary-of-a-key")
    done = aviary.process("get", "key", "--clip", "5")
    assert done.status == 5
    assert "error: the private_key of key is not plain text, so it is not put on the clipboard" in done.err
    assert displays.paste() == b""


def _without_clipboard(aviary: Aviary, **variables: str) -> Done:
    """A machine that has no program for the clipboard."""
    return alone(argv("get", "db", "--clip", "5"), folder=aviary.folder, env={"PATH": "/nowhere", **variables})


def test_without_a_program_the_sentence_says_what_to_install(aviary: Aviary):
    for variables, package in (
        ({"DISPLAY": ":9", "WAYLAND_DISPLAY": ""}, "xclip"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "wl-clipboard"),
    ):
        done = _without_clipboard(aviary, **variables)
        assert (done.status, done.out) == (7, "")
        assert done.err == (
            f"error: no program that reaches the clipboard is installed\nhint: sudo apt install {package}\n"
        )


def test_without_a_desktop_the_sentence_says_so_before_a_password_is_asked_for(aviary: Aviary):
    done = _without_clipboard(aviary, DISPLAY="", WAYLAND_DISPLAY="")
    assert done.status == 7
    assert "error: there is no clipboard here: neither WAYLAND_DISPLAY nor DISPLAY is set\n" in done.err


def test_a_display_that_does_not_answer_is_said(aviary: Aviary, monkeypatch: pytest.MonkeyPatch):
    require("xclip")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":987")
    done = aviary.process("get", "db", "--clip", "5")
    assert (done.status, done.out) == (7, "")
    assert "error: xclip cannot use the clipboard: Error: Can't open display: :987\n" in done.err


@pytest.mark.parametrize("seconds", ["0", "-1", "3601", "soon"])
def test_the_seconds_are_a_number_up_to_an_hour(seconds, aviary: Aviary):
    assert aviary.run("get", "db", "--clip", seconds).status == 2


# wl-copy and wl-paste as far as this tool can tell: the content is kept in a file beside them until it is cleared,
# when the copying one removes what it kept and ends by itself.
_WAYLAND = """
import os, signal, sys, time
from pathlib import Path
board, words = Path(os.environ["BOARD"]), sys.argv[1:]
if words == ["--clear"]:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) * bool(os.environ.get("IMPATIENT")):
        os.kill(os.getppid(), number)
        time.sleep(0.1)
    board.unlink()
elif words == ["--no-newline"]:
    sys.exit(not board.exists() or sys.stdout.buffer.write(board.read_bytes()) < 0)
elif words == ["--foreground", "--type", "text/plain"]:
    private = board.with_name("private")
    private.write_bytes(sys.stdin.buffer.read())
    private.rename(board)
    while board.exists():
        time.sleep(0.02)
    time.sleep(0.5)
    board.with_name("tidied").touch()
else:
    sys.exit(2)
"""


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that stands for a Wayland clipboard."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("wl-copy", "wl-paste"):
        (programs / name).write_text(f"#!{sys.executable}\n{_WAYLAND}")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("BOARD", str(tmp_path / "board"))
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    return tmp_path / "board"


def test_on_wayland_the_copying_program_is_left_the_time_to_tidy_up(aviary: Aviary, board: Path):
    done = Clip(aviary, seconds="1").end()
    assert (done.status, done.out) == (0, "")
    assert done.err.endswith("\nthe clipboard is cleared\n")
    assert not board.exists()
    assert board.with_name("tidied").exists()


def test_ctrl_c_does_not_reach_the_copying_program(aviary: Aviary, board: Path):
    """wl-copy, interrupted, would leave its private file behind."""
    terminal = Terminal(
        argv("get", "db", "--clip", LONG, "--password-file", aviary.password_file), folder=aviary.folder
    )
    terminal.expect(ON_IT)
    terminal.type("\x03")
    assert terminal.end().status == 130
    assert board.with_name("tidied").exists()


def test_nobody_can_interrupt_the_clearing(aviary: Aviary, board: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IMPATIENT", "1")
    done = Clip(aviary, seconds="1").end()
    assert done.status == 0
    assert not board.exists()
