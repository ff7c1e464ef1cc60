"""strace watches: no value and no password is in any argument, variable, log, error, diff, temporary file or JSON."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.commands import Aviary, Done, Terminal, alone, argv, snapshot
from tests.support.programs import require

# Everything by which bytes leave a process or a name comes into being. Reading is not watched: the vault is read.
CALLS = (
    "execve,execveat,open,openat,openat2,creat,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendfile,splice,"
    "copy_file_range,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mkdir,mkdirat,memfd_create,setxattr,prctl"
)
STAGED = re.compile(r"\.chronos-[0-9a-f]{12}\.[0-9a-f]{12}\.tmp")
_OPEN = re.compile(
    r'open(?:at)?\((?:AT_FDCWD(?:<[^>]*>)?, )?"(?P<path>[^"]*)", (?P<flags>[A-Z_|]+)(?:, (?P<mode>0\d*))?\) = (?P<result>-?\d+)'
)
_WRITE = re.compile(r"\bwrite\((?P<fd>\d+)<(?P<path>.*?)>, ")


class Trace(NamedTuple):
    """What a command and everything that it started did."""

    done: Done
    lines: list[str]

    def telling(self, aviary: Aviary) -> list[str]:
        """Where something hidden left the process: `PATH` of what was written to, or the whole call by its name."""
        return [self._place(line) for line in self.lines if aviary.leaked(line)]

    @property
    def opened_for_writing(self) -> dict[str, tuple[str, str]]:
        """Path: flags and mode, for each file that was opened to be written to or made."""
        found = (_OPEN.search(line) for line in self.lines)
        writing = (each for each in found if each and re.search("O_WRONLY|O_RDWR|O_CREAT", each["flags"]))
        return {each["path"]: (each["flags"], each["mode"]) for each in writing if int(each["result"]) >= 0}

    @staticmethod
    def _place(line: str) -> str:
        written = _WRITE.search(line)
        return written["path"] if written else line.partition("(")[0].rpartition(" ")[2]


def watch(aviary: Aviary, *arguments: str | Path, locked: bool = False) -> Trace:
    """Run a command under strace."""
    strace = require("strace")
    record = aviary.root / "trace"
    options = ("-f", "-y", "-v", "-s", "1000000", "-e", f"trace={CALLS}", "-o", str(record))
    password = () if locked else ("--password-file", aviary.password_file)
    done = alone((strace, *options, *argv(*arguments, *password)), folder=aviary.folder)
    lines = record.read_text(errors="replace").splitlines()
    assert any("execve(" in line for line in lines), "strace saw nothing"
    record.unlink()
    return Trace(done, lines)


@pytest.fixture
def aviary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aviary:
    """A project whose temporary folder lies below it too, so that nothing escapes the look at its files."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    return Aviary(tmp_path)


def _files_that_tell(aviary: Aviary) -> set[str]:
    """The files below the project that hold something hidden, without the password file that the test made."""
    telling = {
        path
        for path, kept in snapshot(aviary.root).items()
        if isinstance(kept.content, bytes) and aviary.leaked(kept.content)
    }
    return telling - {"password"}


def test_a_render_writes_values_only_into_files_that_are_private_from_their_first_byte(aviary: Aviary):
    trace = watch(aviary, "render")
    assert trace.done.status == 0
    telling = [Path(place) for place in trace.telling(aviary)]
    assert {place.parent for place in telling} == {path.parent for path in (aviary.env, aviary.key_file)}
    assert all(STAGED.fullmatch(place.name) for place in telling)
    assert len(telling) == 3  # env, note, and the key; no value that is hidden here is in ssh-config
    for place in telling:
        assert trace.opened_for_writing[str(place)] == ("O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC", "0600")
    assert aviary.leaked(trace.done.text) == []
    assert _files_that_tell(aviary) == {
        str(path.relative_to(aviary.root)) for path in (aviary.env, aviary.note, aviary.key_file)
    }


def test_a_render_opens_nothing_else_for_writing_but_its_state(aviary: Aviary):
    trace = watch(aviary, "render")
    allowed = {path.parent for path in aviary.destinations} | {aviary.state, aviary.state.parent, aviary.data}
    others = {
        path for path in trace.opened_for_writing if Path(path).parent not in allowed and not path.startswith("/dev/")
    }
    assert others == set()


def test_get_writes_the_value_to_its_output_and_nowhere_else(aviary: Aviary):
    trace = watch(aviary, "get", "db")
    assert trace.done.out == aviary.values["db.password"]
    (place,) = trace.telling(aviary)
    assert place.startswith("pipe:")
    assert aviary.leaked(trace.done.err) == []
    assert _files_that_tell(aviary) == set()


def rendered(aviary: Aviary) -> None:
    assert aviary.run("render").status == 0
    for path in aviary.destinations:
        path.unlink()


def drifted(aviary: Aviary) -> None:
    """Each file is there, ours, and holds old values."""
    assert aviary.run("render").status == 0
    old = dict(aviary.values)
    aviary.remake_vault(**{name.replace(".", "__"): f"canary{os.urandom(12).hex()}" for name in old})
    aviary.old = old  # type: ignore[attr-defined]


def nothing(_: Aviary) -> None:
    """As it comes."""


def unholdable(aviary: Aviary) -> None:
    aviary.remake_vault(db__password=f'it\'s-a-"canary"-{os.urandom(12).hex()}')


def linked(aviary: Aviary) -> None:
    aviary.env.parent.mkdir()
    aviary.env.symlink_to(aviary.root / "elsewhere")


def foreign(aviary: Aviary) -> None:
    aviary.env.parent.mkdir()
    aviary.env.write_text(
        f"DATABASE_PASSWORD={aviary.values['db.password']}\nMINE='{aviary.values['jira.token']}\nx'\n"
    )


def failing_after(aviary: Aviary) -> None:
    aviary.edit("template: note.j2, ", "template: note.j2, after: [[sh, -c, 'env >&2; exit 3']], ")


def wrong_password(aviary: Aviary) -> None:
    aviary.password_file.write_text(f"{aviary.password[:-1]}\n")


def weak_and_shared(aviary: Aviary) -> None:
    same = f"canary{os.urandom(12).hex()}"
    aviary.remake_vault(cipher__passphrase=f"wx{os.urandom(4).hex()}", db__password=same, jira__token=same)


QUIET: tuple[tuple[str, Callable[[Aviary], None], tuple[str, ...], int], ...] = (
    ("check --json", weak_and_shared, ("check", "--json"), 1),
    ("check", weak_and_shared, ("check",), 1),
    ("list --json", nothing, ("list", "--json", "--inventory", "inventory.yaml"), 0),
    ("config show", nothing, ("config", "show", "--json"), 0),
    ("render --diff of missing files", rendered, ("render", "--diff"), 1),
    ("render --diff of old files", drifted, ("render", "--diff"), 1),
    ("render --diff --json of old files", drifted, ("render", "--diff", "--json"), 1),
    ("render --check", drifted, ("render", "--check"), 1),
    ("render of a foreign file", foreign, ("render",), 5),
    ("render --json of a foreign file", foreign, ("render", "--json"), 5),
    ("render of a value that cannot be held", unholdable, ("render",), 5),
    ("render into a link", linked, ("render",), 5),
    ("a wrong password", wrong_password, ("check",), 4),
    ("an unknown field", nothing, ("get", "db", "--field", "pasword"), 2),
)


@pytest.mark.parametrize(
    ("spoil", "command", "status"), [row[1:] for row in QUIET], ids=[row[0].replace(" ", "-") for row in QUIET]
)
def test_a_command_that_shows_and_a_command_that_fails_tell_nothing(aviary: Aviary, spoil, command, status: int):
    spoil(aviary)
    before = _files_that_tell(aviary)
    trace = watch(aviary, *command, locked=command[0] in ("list", "config"))
    assert trace.done.status == status, trace.done.err
    assert trace.telling(aviary) == []
    assert aviary.leaked(trace.done.text) == []
    assert not any(old in line for line in trace.lines for old in getattr(aviary, "old", {}).values())
    assert _files_that_tell(aviary) == before


def test_an_after_command_is_told_nothing(aviary: Aviary):
    failing_after(aviary)
    trace = watch(aviary, "render", "note")
    assert trace.done.status == 7
    assert "PATH=" in trace.done.err, "the command should have printed its environment"
    assert aviary.leaked(trace.done.text) == []
    (place,) = trace.telling(aviary)
    assert STAGED.fullmatch(Path(place).name)


def test_an_adopted_file_is_private_from_its_first_byte(aviary: Aviary):
    foreign(aviary)
    trace = watch(aviary, "render", "--adopt", "env")
    assert trace.done.status == 0
    kept = [path for path in trace.opened_for_writing if Path(path).parent == aviary.state / "adopted"]
    assert [trace.opened_for_writing[path][1] for path in kept] == ["0600"]
    assert {Path(place).parent for place in trace.telling(aviary)} == {aviary.env.parent, aviary.state / "adopted"}


def test_a_typed_password_is_read_and_goes_nowhere(aviary: Aviary):
    record = aviary.root / "trace"
    calls = f"{CALLS},read"
    options = ("-f", "-y", "-v", "-s", "1000000", "-e", f"trace={calls}", "-o", str(record))
    terminal = Terminal((require("strace"), *options, *argv("check")), folder=aviary.folder)
    terminal.expect("Password of ")
    terminal.type(f"{aviary.password}\n")
    assert terminal.end().status == 0
    telling = [line for line in record.read_text(errors="replace").splitlines() if aviary.password in line]
    assert len(telling) == 1, "it is read once, which also shows that this test would see it"
    assert re.search(r"\bread\(\d+</dev/", telling[0])
