"""`scan` and `redact` as their users meet them: trees, commits, histories, streams, allowances."""

import json
import os
import random
import secrets
import select
import string
import subprocess
import time
from pathlib import Path

import pytest

from chronos_secrets.scan import index, known, sealed
from tests.support.commands import Done, Terminal, argv, environment, in_process, process
from tests.support.programs import require

NAME = "db_pass" + "word"  # written in two parts: our own hook reads this file, too


def invented(seed: object = 0) -> str:
    """A password that looks generated; none is stored in the repository."""
    return "".join(random.Random(str(seed)).choices(string.ascii_letters + string.digits, k=22))


class World:
    """A git repository, and what was planted in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.planted: list[str] = []
        folder.mkdir()

    def write(self, path: str | bytes, content: str | bytes) -> Path:
        name = os.fsencode(path)
        whole = os.path.join(os.fsencode(self.folder), name)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return Path(os.fsdecode(whole))

    def plant(self, path: str | bytes, seed: object = 0, *, after: str = "", lines: int = 1) -> str:
        """A file with a password on its last line but one."""
        value = invented(seed)
        self.planted.append(value)
        self.write(path, "# settings\n" * lines + f'{NAME} = "{value}"{after}\nport = 5432\n')
        return value

    def git(self, *arguments: str) -> str:
        settings = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            (require("git"), *settings, *arguments), cwd=self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout

    def commit(self, message: str = "x") -> str:
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def scan(self, *arguments: str | Path, folder: Path | None = None) -> Done:
        """Run in this process; whatever is said must not hold what was planted."""
        return self.checked(in_process("scan", *arguments, folder=folder or self.folder))

    def process(self, *arguments: str | Path, **options: object) -> Done:
        """Run as a process of its own, checked in the same way."""
        return self.checked(process("scan", *arguments, folder=self.folder, **options))  # type: ignore[arg-type]

    def checked(self, done: Done) -> Done:
        assert not [value for value in self.planted if value in done.text], "a value was said"
        return done

    def document(self, *arguments: str | Path) -> dict:
        return json.loads(self.scan(*arguments, "--json").out)

    def know(self, *values: str, project: str = "aviary", vault: str = "/nowhere.kdbx") -> None:
        """Put an index of known values on this machine, as opening a vault does."""
        key, nonce = secrets.token_bytes(32), secrets.token_bytes(16)
        entries = [index.Value(value.encode(), f'the value of "Entry {number}"') for number, value in enumerate(values)]
        content = index.build(
            key, nonce, index.Source(vault, "", b"state", int(time.time())), entries, [("PIN", "short")]
        )
        state, data = known.folders() or ("", "")
        for folder, name, written in ((state, sealed.INDEX_NAME, content), (data, sealed.KEY_NAME, key)):
            Path(folder, project).mkdir(parents=True, mode=0o700, exist_ok=True)
            Path(folder, project, name).write_bytes(written)
            Path(folder, project, name).chmod(0o600)


@pytest.fixture
def bare(tmp_path: Path) -> World:
    """A folder without git."""
    return World(tmp_path / "folder")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A git repository with nothing in it."""
    made = World(tmp_path / "repository")
    made.git("init", "-q", "-b", "main")
    return made


# Trees.


def test_a_tree_without_secrets_ends_with_0_and_says_how_much_was_looked_at(bare):
    bare.write("a.py", "port = 5432\n")
    bare.write("b/c.txt", "hello\n")
    done = bare.scan()
    assert (done.status, done.out) == (0, "")
    assert done.err.splitlines()[1:] == ["looked at 2 files (18 bytes): nothing found"]


def test_where_no_vault_was_opened_a_scan_says_that_its_values_are_not_looked_for(bare):
    assert bare.scan().err.startswith("note: no vault was opened on this machine")
    bare.know(invented())
    assert "note" not in bare.scan().err


def test_a_vault_that_was_saved_since_is_told(bare):
    vault = bare.write("a.kdbx", "x")
    bare.know(invented(), vault=str(vault))
    assert "the vault of aviary was saved since its values were indexed" in bare.scan().err


def test_a_finding_ends_with_1_and_says_place_rule_reason_and_what_to_do(bare):
    bare.plant("config/settings.py", lines=6)
    done = bare.scan()
    assert done.status == 1
    place, why, empty, head, *advice = done.out.splitlines()
    assert place.startswith("config/settings.py:7  ")
    assert place.endswith(")")
    assert why.startswith("    ")
    assert (empty, head) == ("", "What to do:")
    assert any("change it now" in line for line in advice)
    assert any("chronos-secrets scan --allow config/settings.py:7 --reason TEXT" in line for line in advice)
    assert "1 found" in done.err


def test_tracked_and_untracked_files_are_looked_at_and_ignored_ones_where_they_are_named(world):
    world.plant("tracked.py", 1)
    world.commit()
    world.plant("untracked.py", 2)
    world.plant("ignored.py", 3)
    world.write(".gitignore", "ignored.py\n")
    world.plant(".git/inside.py", 4)
    assert {row["path"] for row in world.document()["findings"]} == {"tracked.py", "untracked.py"}
    named = {row["path"] for row in world.document(".")["findings"]}
    assert named == {"tracked.py", "untracked.py", "ignored.py"}


def test_without_a_path_the_whole_repository_is_looked_at_from_any_folder_in_it(world):
    world.plant("top.py")
    (world.folder / "deep" / "er").mkdir(parents=True)
    done = world.scan(folder=world.folder / "deep" / "er")
    assert done.out.startswith("../../top.py:2  ")


def test_only_the_named_paths_are_looked_at(world):
    world.plant("one/a.py", 1)
    world.plant("two/b.py", 2)
    world.plant("three.py", 3)
    assert {row["path"] for row in world.document("one", "three.py")["findings"]} == {"one/a.py", "three.py"}


def test_a_path_that_is_no_utf_8_or_has_control_characters_is_found_and_shown_harmlessly(bare):
    bare.plant(b"caf\xe9\x1b[2J\n.py")
    assert bare.scan().out.startswith(r"caf\xe9\x1b[2J\n.py:2  ")
    [row] = bare.document()["findings"]
    assert row["path_base64"]


def test_what_cannot_be_read_is_a_row_and_ends_with_1(bare):
    bare.write("broken.zip", b"PK\x03\x04" + bytes(40))
    done = bare.scan()
    assert done.status == 1
    assert done.out.startswith("broken.zip  unreadable\n    ")
    assert bare.document()["unreadable"][0]["path"] == "broken.zip"


def test_a_value_of_the_vault_is_found_by_its_entry_in_any_encoding(bare):
    value = invented("known")
    bare.planted.append(value)
    bare.know(value)
    bare.write("a.txt", f"glued{value}here\n{value.encode().hex()}\n")
    done = bare.scan()
    assert done.status == 1
    assert done.out.count("known-value (certain)") == 2
    assert 'the value of "Entry 0"' in done.out
    assert "as hex" in done.out


def test_paranoid_finds_no_less(bare):
    bare.plant("a.py")
    bare.write("b.txt", "password: butterfly\n")
    usual, more = bare.document(), bare.document("--level", "paranoid")
    assert len(more["findings"]) >= len(usual["findings"]) == 1


@pytest.mark.parametrize("form", ["json", "sarif", "github", "text"])
def test_every_format_ends_with_1_and_keeps_talk_out_of_the_result(bare, form):
    bare.plant("a.py")
    done = bare.scan("--format", form)
    assert done.status == 1
    assert "looked at" in done.err
    assert "looked at" not in done.out
    if form in ("json", "sarif"):
        assert json.loads(done.out)["version"] == {"json": 1, "sarif": "2.1.0"}[form]
    if form == "github":
        assert done.out.startswith("::error file=a.py,line=2,")


def test_progress_is_shown_on_a_terminal_alone_and_is_gone_at_the_end(bare):
    for number in range(6):
        bare.write(f"{number}.txt", "some ordinary words stand here\n" * 300_000)
    quiet = bare.process()
    assert "\r" not in quiet.text
    terminal = Terminal(argv("scan"), folder=bare.folder)
    terminal.expect("nothing found")
    shown = terminal.end().out
    progress, _, rest = shown.partition("note: ")
    assert " files (" in progress
    assert progress.endswith("\r\x1b[K")
    assert "\r\x1b" not in rest


# Usage and failures.


@pytest.mark.parametrize(
    "arguments",
    [("--staged", "--stdin"), ("--history", "--staged"), ("--staged", "a.py"), ("--status", "a.py"), ("--reason", "x")],
)
def test_what_does_not_go_together_is_refused(bare, arguments):
    bare.write("a.py", "")
    done = bare.scan(*arguments)
    assert done.status == 2
    assert "hint: " in done.err


def test_a_path_that_is_not_there_is_refused(bare):
    done = bare.scan("nowhere.py")
    assert (done.status, done.err.splitlines()[0]) == (2, "error: there is no nowhere.py")


@pytest.mark.parametrize("arguments", [("--staged",), ("--history",), ("--history", "main..")])
def test_outside_a_repository_commits_are_a_sentence(bare, arguments):
    done = bare.scan(*arguments)
    assert done.status > 1
    assert "not in a git repository" in done.err


def test_a_broken_index_of_known_values_stops_a_scan(bare):
    bare.know(invented())
    state, _ = known.folders() or ("", "")
    Path(state, "aviary", sealed.INDEX_NAME).write_bytes(b"broken")
    done = bare.scan()
    assert done.status > 1
    assert "known values of aviary" in done.err


def test_a_reader_that_goes_away_is_no_failure(bare):
    for number in range(40):
        bare.plant(f"{number}.py", number)
    bash = require("bash")
    command = " ".join(argv("scan")) + ' | head -n 1; echo "${PIPESTATUS[0]}"'
    done = subprocess.run(
        (bash, "-c", command), cwd=bare.folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[1] in ("0", "1")
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr


def test_a_removed_working_folder_is_a_sentence(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    code = "import os, sys; os.rmdir(os.getcwd()); from chronos_secrets.cli.main import run; sys.exit(run(['scan']))"
    done = subprocess.run(
        (os.sys.executable, "-c", code), cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: the working folder is not there any more")


# A stream to scan.


def test_standard_input_is_looked_at_and_named(bare):
    value = invented()
    bare.planted.append(value)
    done = bare.process("--stdin", stdin=f"\n{NAME} = '{value}'\n".encode())
    assert done.status == 1
    assert done.out.startswith("(standard input):2  ")
    assert "--allow" not in done.out


@pytest.mark.parametrize("command", [("scan", "--stdin"), ("redact",)])
def test_a_standard_input_that_cannot_be_read_is_a_sentence(bare, command):
    unreadable = os.open(bare.write("out", ""), os.O_WRONLY)
    done = subprocess.run(
        argv(*command),
        cwd=bare.folder,
        env=environment(),
        stdin=unreadable,
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(unreadable)
    assert done.returncode == 8
    assert "error: standard input cannot be read: bad file descriptor" in done.stderr


@pytest.mark.parametrize("how", ["<&-", "</dev/null"])
def test_a_closed_standard_input_is_said_and_no_bug(bare, how):
    bash = require("bash")
    command = " ".join(argv("scan", "--stdin")) + how
    done = subprocess.run(
        (bash, "-c", command), cwd=bare.folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing came on standard input" in done.stderr


# Commits and histories.


def test_staged_is_what_the_index_has_and_not_the_work_tree(world):
    world.plant("staged.py", 1)
    world.git("add", "-A")
    world.write("staged.py", "port = 1\n")
    world.plant("unstaged.py", 2)
    done = world.scan("--staged")
    assert done.status == 1
    assert done.out.startswith("staged.py:2  ")
    assert "unstaged.py" not in done.out
    assert "git restore --staged -- staged.py" in done.out


def test_a_history_knows_what_is_gone(world):
    world.write("readme", "x\n")
    world.commit()
    world.plant("old.py", 1)
    first = world.commit()
    world.write("old.py", "port = 1\n")
    world.plant("new.py", 2)
    second = world.commit()
    document = world.document("--history")
    assert {(row["path"], row["commit"], row["in_head"]) for row in document["findings"]} == {
        ("old.py", first, False), ("new.py", second, True),
    }  # fmt: skip
    assert world.scan("--history").status == 1
    assert {row["path"] for row in world.document("--history", "HEAD~1..")["findings"]} == {"new.py"}


def test_what_moved_to_another_line_or_stands_in_a_message_is_still_there(world):
    value = world.plant("a.py", 1)
    first = world.commit()
    world.write("a.py", "# it moved\n" * 9 + f'{NAME} = "{value}"  # and its line changed\n')
    world.commit()
    told = invented("message")
    world.planted.append(told)
    world.write("b.py", "x\n")
    world.commit(f"{NAME} = '{told}'")
    rows = world.document("--history")["findings"]
    assert first in {row["commit"] for row in rows}
    assert len({row["path"] for row in rows}) == 2
    assert all(row["in_head"] for row in rows)
    world.git("checkout", "-q", "-b", "other", "HEAD~2")
    world.write("a.py", "port = 1\n")
    world.commit()
    assert not any(row["in_head"] for row in world.document("--history")["findings"])


# Allowances.


def test_an_allowed_finding_lets_a_scan_pass_and_is_counted(world):
    world.plant("a.py", lines=3)
    done = world.scan("--allow", "a.py:4", "--reason", "a password of the test server", "--yes")
    assert (done.status, done.out) == (0, "allowed by .chronos-allow; commit it together with the file\n")
    again = world.scan()
    assert (again.status, again.out) == (0, "")
    assert "1 allowed" in again.err
    world.plant("a.py", lines=30)
    assert world.scan().status == 0  # it moved
    world.plant("a.py", "another")
    assert world.scan().status == 1


def test_an_allowance_shows_the_line_without_any_value_and_asks(world):
    other = invented("other")
    value = world.plant("a.py", after=f"; other_{NAME} = '{other}'")
    terminal = Terminal(argv("scan", "--allow", "a.py:2", "--reason", "a toy"), folder=world.folder)
    terminal.expect("Allow these 2 (a toy)? [y/N]")
    assert f'{NAME} = "[' in terminal.shown
    assert f"other_{NAME} = '[" in terminal.shown
    assert value not in terminal.shown
    assert other not in terminal.shown
    terminal.type("n\n")
    assert terminal.end().status == 5
    assert not (world.folder / ".chronos-allow").exists()
    terminal = Terminal(argv("scan", "--allow", "a.py:2", "--reason", "a toy"), folder=world.folder)
    terminal.expect("[y/N]")
    terminal.type("y\n")
    assert terminal.end().status == 0
    assert value not in (world.folder / ".chronos-allow").read_text()


def test_without_a_terminal_nothing_is_allowed_unasked(world):
    world.plant("a.py")
    done = world.process("--allow", "a.py:2", "--reason", "a toy")
    assert done.status == 5
    assert "--yes" in done.err
    assert not (world.folder / ".chronos-allow").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--allow", "a.py:2"), "needs a reason"),
        (("--allow", "a.py:2", "--reason", " "), "needs a reason"),
        (("--allow", "a.py", "--reason", "x"), "names no line"),
        (("--allow", "b.py:1", "--reason", "x"), "there is no b.py"),
        (("--allow", "a.py:1", "--reason", "x", "--yes"), "nothing was found at line 1"),
        (("--allow", "a.py:2", "--reason", "x", "--until", "soon"), "soon"),
    ],
)
def test_what_cannot_be_allowed_is_a_sentence(world, arguments, words):
    world.plant("a.py")
    done = world.scan(*arguments)
    assert done.status == 2
    assert words in done.err
    assert not (world.folder / ".chronos-allow").exists()


def test_a_known_value_cannot_be_allowed(world):
    value = world.plant("a.py")
    world.know(value)
    done = world.scan("--allow", "a.py:2", "--reason", "x", "--yes")
    assert done.status == 5
    assert "scan.allow of the inventory" in done.err
    assert not (world.folder / ".chronos-allow").exists()


def test_an_allowance_that_ended_allows_no_more_and_is_told(world):
    world.plant("a.py")
    world.scan("--allow", "a.py:2", "--reason", "x", "--until", "2026-01-01", "--yes")
    done = world.scan()
    assert done.status == 1
    assert "ended on 2026-01-01" in done.err


def test_an_allowance_that_fits_nothing_is_told_by_a_scan_of_the_whole_tree_alone(world):
    world.plant("a.py")
    world.plant("b.py", 2)
    world.scan("--allow", "a.py:2", "--reason", "x", "--yes")
    assert "fits nothing" not in world.scan().err
    assert "fits nothing" not in world.scan("b.py").err
    world.write("a.py", "port = 1\n")
    assert "(" in (note := next(line for line in world.scan().err.splitlines() if "fits nothing any more" in line))
    assert note.startswith("note: line 2 of .chronos-allow")
    assert "fits nothing" not in world.scan("b.py").err


def test_an_allowance_of_what_is_only_possible_is_in_use_at_the_default_level_too(world):
    mistaken = "gh" + "p_" + (invented() * 2)[:36]  # the shape of a GitHub token, with a wrong checksum
    world.planted.append(mistaken)
    world.write("a.txt", f"token {mistaken}\n")
    assert world.scan().status == 0
    assert world.scan("--level", "paranoid").status == 1
    assert world.scan("--allow", "a.txt:1", "--reason", "x", "--yes").status == 0
    done = world.scan()
    assert done.status == 0
    assert "fits nothing" not in done.err
    assert world.scan("--level", "paranoid").status == 0


def test_an_archive_that_cannot_be_read_is_allowed_by_its_path(world):
    world.write("broken.zip", b"PK\x03\x04" + bytes(40))
    assert world.scan("--allow", "broken.zip:1", "--reason", "a fixture", "--yes").status == 0
    assert "unreadable broken.zip - - a fixture" in (world.folder / ".chronos-allow").read_text()
    assert world.scan().status == 0


def test_an_allowance_counts_from_the_top_of_the_repository_wherever_it_is_written(world):
    world.plant("deep/a b.py")
    done = world.scan("--allow", "a b.py:2", "--reason", "x", "--yes", folder=world.folder / "deep")
    assert done.status == 0
    assert '"deep/a b.py"' in (world.folder / ".chronos-allow").read_text()
    assert world.scan(folder=world.folder / "deep").status == 0
    assert world.scan("deep/a b.py").status == 0


def test_a_commit_goes_by_the_allowances_that_are_staged(world):
    world.plant("a.py")
    world.scan("--allow", "a.py:2", "--reason", "x", "--yes")
    world.git("add", "a.py")
    assert world.scan("--staged").status == 1
    world.git("add", ".chronos-allow")
    (world.folder / ".chronos-allow").unlink()
    assert world.scan("--staged").status == 0


def test_a_file_of_allowances_that_is_wrong_stops_every_scan_with_its_line(world):
    world.plant("a.py")
    world.scan("--allow", "a.py:2", "--reason", "x", "--yes")
    with (world.folder / ".chronos-allow").open("a") as file:
        file.write("nonsense\n")
    world.git("add", "-A")
    for arguments in ((), ("--staged",), ("--allow", "a.py:2", "--reason", "x", "--yes")):
        done = world.scan(*arguments)
        assert done.status > 1
        assert "error: line 3 of .chronos-allow: " in done.err


def test_the_file_of_allowances_keeps_its_mode_and_a_link_to_it(world):
    world.plant("a.py")
    real = world.write("config/allow", b"")
    real.chmod(0o640)
    (world.folder / ".chronos-allow").symlink_to("config/allow")
    world.scan("--allow", "a.py:2", "--reason", "x", "--yes")
    assert (world.folder / ".chronos-allow").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert real.read_text().startswith("chronos-allow 1 ")


# What is known of the vault's values.


def test_status_says_what_is_looked_for_and_what_not(bare):
    assert "no vault was opened on this machine" in bare.scan("--status").err
    bare.know(invented(1), invented(2))
    done = bare.scan("--status")
    assert done.status == 0
    assert done.out.startswith("aviary: 2 values in ")
    assert "not looked for: PIN: short" in done.out
    [project] = json.loads(bare.scan("--status", "--json").out)["projects"]
    assert (project["project"], project["usable"], project["values"]) == ("aviary", True, 2)


def test_status_tells_of_an_index_that_cannot_be_used(bare):
    bare.know(invented())
    _, data = known.folders() or ("", "")
    Path(data, "aviary", sealed.KEY_NAME).write_bytes(secrets.token_bytes(32))
    done = bare.scan("--status")
    assert done.status == 1
    assert "cannot be used" in done.out
    assert json.loads(bare.scan("--status", "--json").out)["projects"][0]["usable"] is False


# Streams, masked.


def redact(stdin: bytes, *arguments: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = argv("redact", *arguments)
    return subprocess.run(
        command, cwd=folder, env=environment(), input=stdin, capture_output=True, check=False, timeout=60
    )


def test_redact_masks_values_of_the_vault_and_passwords_and_leaves_every_other_byte(bare):
    value, password = invented("known"), invented("password")
    bare.know(value)
    noise = bytes(range(256)) * 50
    data = noise + f"\nglued{value}here\n{NAME} = '{password}'\n".encode() + noise
    done = redact(data, folder=bare.folder)
    assert (done.returncode, done.stderr) == (0, b"")
    head, tail = done.stdout[: len(noise)], done.stdout[-len(noise) :]
    assert head == tail == noise
    middle = done.stdout[len(noise) : -len(noise)].decode().splitlines()
    assert middle[1] == "glued[known-value]here"
    assert middle[2].startswith(f"{NAME} = '[")
    assert middle[2].endswith("]'")


def test_redact_says_when_no_value_of_a_vault_is_known_here(bare):
    done = redact(b"hello\n", folder=bare.folder)
    assert (done.returncode, done.stdout) == (0, b"hello\n")
    assert done.stderr.startswith(b"note: no vault was opened on this machine")


def test_redact_hands_on_each_line_while_the_stream_goes_on(bare):
    value = invented("known")
    bare.know(value)
    with following(bare.folder) as (write, read):
        write(f"one {value[:7]}".encode())
        write(f"{value[7:]}\n".encode())
        assert read() == b"one [known-value]\n"
        write(b"two\n")
        assert read() == b"two\n"


class following:  # noqa: N801  it reads as a sentence
    """A running `redact`: functions that write to it, and read one more line of what comes out."""

    def __init__(self, folder: Path) -> None:
        self._child = subprocess.Popen(
            argv("redact"), cwd=folder, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self):
        assert self._child.stdin
        assert self._child.stdout
        stdin, stdout = self._child.stdin.fileno(), self._child.stdout.fileno()

        def read() -> bytes:
            got = b""
            while not got.endswith(b"\n"):
                assert select.select([stdout], [], [], 30)[0], "nothing came out"
                got += os.read(stdout, 1 << 16)
            return got

        return (lambda data: os.write(stdin, data)), read

    def __exit__(self, *_: object) -> None:
        self._child.communicate(timeout=30)
        assert self._child.returncode == 0


def test_redact_holds_little_of_a_big_stream(bare):
    value = invented("known")
    bare.know(value)
    script = (
        "import resource, subprocess, sys\n"
        f"child = subprocess.Popen({argv('redact')!r}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "import threading\n"
        "line = b'x' * 10_000_000\n"
        f"parts = [line, {value.encode()!r}, line, b'\\n'] + [b'word and word\\n' * 70_000] * 10\n"
        "threading.Thread(target=lambda: ([child.stdin.write(part) for part in parts], child.stdin.close())).start()\n"
        "out = 0\n"
        "tail = b''\n"
        "found = 0\n"
        "while block := child.stdout.read(1 << 16):\n"
        "    out += len(block)\n"
        "    found += (tail + block).count(b'[known-value]') - tail.count(b'[known-value]')\n"
        "    tail = block[-20:]\n"
        "status = child.wait()\n"
        "print(status, out, found, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)\n"
    )
    done = subprocess.run(
        (os.sys.executable, "-c", script), env=environment(), capture_output=True, text=True, check=False
    )
    status, out, found, megabytes = map(int, done.stdout.split())
    assert (status, out, found) == (0, 20_000_001 + 13 + 14 * 700_000, 1)
    assert megabytes < 150


def test_redact_ends_quietly_when_its_reader_does(bare):
    bash = require("bash")
    command = "yes some words | head -c 5000000 | " + " ".join(argv("redact")) + ' | head -n 1; echo "${PIPESTATUS[2]}"'
    done = subprocess.run(
        (bash, "-c", command), cwd=bare.folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout == "some words\n0\n"
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr


def test_redact_lets_nothing_through_when_the_index_is_broken(bare):
    value = invented()
    bare.know(value)
    state, _ = known.folders() or ("", "")
    Path(state, "aviary", sealed.INDEX_NAME).write_bytes(b"broken")
    done = redact(value.encode(), folder=bare.folder)
    assert (done.returncode, done.stdout) == (5, b"")
    assert b"known values of aviary" in done.stderr
