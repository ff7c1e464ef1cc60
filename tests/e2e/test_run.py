"""`run`: CMD has the values, sits at the same terminal as without us, and shows no value."""

import contextlib
import hashlib
import itertools
import os
import random
import shlex
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.support.commands import Aviary, Done, Terminal, alone, argv, environment, snapshot
from tests.support.programs import require
from tests.support.waiting import until

WHICH = ("--with", "db", "--with", "cipher")


@pytest.fixture
def aviary(tmp_path: Path) -> Aviary:
    return Aviary(tmp_path)


def words(aviary: Aviary, *command: str, which: tuple[str, ...] = WHICH) -> tuple[str, ...]:
    """The whole command line of a `run`."""
    return argv("run", "--password-file", aviary.password_file, *which, "--", *command)


def run(aviary: Aviary, *command: str, which: tuple[str, ...] = WHICH, **options: object) -> Done:
    """Run without a terminal."""
    return alone(words(aviary, *command, which=which), folder=aviary.folder, **options)  # type: ignore[arg-type]


class Screen(Terminal):
    """A terminal that can be resized, and whose program can be sent signals."""

    def resize(self, rows: int, columns: int) -> None:
        termios.tcsetwinsize(self._ours, (rows, columns))

    def send(self, number: int) -> None:
        self._child.send_signal(number)

    is_gone = False

    def hang_up(self) -> int:
        """Close the terminal, as when its window is closed; returns how the program ended."""
        self.is_gone = True
        os.close(self._theirs)
        os.close(self._ours)
        return self._child.wait(30)

    @property
    def settings(self) -> list[object]:
        return termios.tcgetattr(self._theirs)

    def until(self, holds, *, why: str) -> None:
        """Read on until something holds."""
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline, f"{why}; said: {self.shown[-500:]!r}"
            self._read(0.01)


# The same program, for which a pause between two bytes is never long enough to show the first of them, and which only
# silence ends after CMD: nothing depends on when it and CMD get their share of the processor.
PATIENT = """
import sys
from chronos_secrets.systems import streams
streams.QUIET = streams.LONGEST_END = 3600.0
from chronos_secrets.__main__ import main
sys.exit(main())
"""


def patiently(aviary: Aviary, *command: str) -> tuple[str, ...]:
    """As `words`."""
    return (sys.executable, "-c", PATIENT, *words(aviary, *command)[3:])


def on_screen(aviary: Aviary, *command: str, which: tuple[str, ...] = WHICH) -> Screen:
    return Screen(words(aviary, *command, which=which), folder=aviary.folder)


def in_shell(aviary: Aviary, line: str) -> Screen:
    """A line of a shell on a terminal, where RUN stands for the command line up to CMD, and SLOW for `patiently`."""
    line = line.replace("RUN", shlex.join(words(aviary))).replace("SLOW", shlex.join(patiently(aviary)))
    return Screen(("/bin/sh", "-c", line), folder=aviary.folder)


@pytest.fixture
def bash(aviary: Aviary, monkeypatch: pytest.MonkeyPatch):
    """A person at a shell with job control, in which $RUN is the command line up to CMD."""
    program = require("bash")
    monkeypatch.setenv("RUN", shlex.join(words(aviary)))
    monkeypatch.setenv("PS1", "READY> ")
    screen = Screen((program, "--norc", "--noprofile", "--noediting", "-i"), folder=aviary.folder)
    screen.expect("READY> ")
    yield screen
    if not screen.is_gone:
        screen.hang_up()


# --- what CMD gets ----------------------------------------------------------------------------------------------------


def test_cmd_has_our_environment_and_the_values_and_nothing_else(aviary: Aviary):
    which = ("--with", "db", "--with", "aws.access_key_id=WHO", "--with", "jira=TOKEN")
    done = run(aviary, "cp", "/proc/self/environ", "seen", which=which, env={"LC_ALL": "", "LANG": "", "ÖD": "\udcff"})
    assert (done.status, done.text) == (0, "")
    seen = [line.partition(b"=") for line in (aviary.folder / "seen").read_bytes().split(b"\0") if line]
    expected = {os.fsencode(k): os.fsencode(v) for k, v in environment(LC_ALL="", LANG="", ÖD="\udcff").items()}
    assert {name: value for name, _, value in seen} == expected | {
        b"DB_USERNAME": b"chronos",
        b"DB_PASSWORD": aviary.values["db.password"].encode(),
        b"WHO": aviary.values["aws.access_key_id"].encode(),
        b"TOKEN": aviary.values["jira.token"].encode(),
    }


def test_a_destination_gives_cmd_what_its_file_would_set(aviary: Aviary):
    run(aviary, "cp", "/proc/self/environ", "seen", which=("--destination", "env"))
    assert aviary.run("render", "env").status == 0
    names = [line.partition("=")[0] for line in aviary.env.read_text().splitlines() if "=" in line]
    shell = f'set -a; . {aviary.env}; for name in {" ".join(names)}; do eval printf "%s\\\\\\\\0" "\\"$name=\\$$name\\""; done'
    sourced = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, check=True).stdout
    seen = set((aviary.folder / "seen").read_bytes().split(b"\0"))
    assert len(names) == 12
    assert set(sourced.split(b"\0")) - {b""} <= seen
    assert {each.partition(b"=")[0] for each in seen} - {b""} == {
        *map(os.fsencode, environment()),
        *map(str.encode, names),
    }


def test_a_value_of_ours_stands_before_one_of_the_environment(aviary: Aviary):
    done = run(aviary, "sh", "-c", 'test "$DB_USERNAME" = chronos', env={"DB_USERNAME": "another"})
    assert done.status == 0


def test_a_key_of_several_lines_is_a_variable_to_the_byte(aviary: Aviary):
    aviary.remake_vault(key__private_key="-----BEGIN\nfirst-line-of-it\n\nlast-line-of-it\n-----END\n")
    done = run(aviary, "sh", "-c", 'printf "%s|" "$KEY_PRIVATE_KEY" > key; cat key', which=("--with", "key"))
    assert (aviary.folder / "key").read_text() == aviary.values["key.private_key"] + "|"
    assert done.out == "<masked>\n|"


def test_an_empty_field_is_left_out_unless_it_was_asked_for(aviary: Aviary):
    with aviary.opened() as vault:
        entry = vault.entries.at(("Database", "DB"))
        from chronos_secrets.secret import Secret
        from chronos_secrets.vault.entries import Attribute
        from tests.support.vaults import NOW

        vault.entries.change(
            entry, now=NOW, fields={"UserName": Attribute(Secret(""), protected=False)}, attachments={}
        )
    assert run(aviary, "sh", "-c", "test -z ${DB_USERNAME+set}").status == 0
    done = run(aviary, "true", which=("--with", "db.username"))
    assert done.status == 4
    assert "db: the field username is empty" in done.err


def test_a_value_that_no_variable_can_hold_is_refused_by_its_name(aviary: Aviary):
    with aviary.opened() as vault:
        entry = vault.entries.at(("SSH Keys", "Key"))
        from chronos_secrets.secret import Secret
        from tests.support.vaults import NOW

        vault.entries.change(entry, now=NOW, fields={}, attachments={"id_ed25519": Secret(b"bytes\0canary-of-bytes")})
    for extra in ((), ("--no-mask",)):
        done = run(aviary, "true", which=("--with", "key", *extra))
        assert done.status == 5
        assert "KEY_PRIVATE_KEY cannot hold its value: it contains a NUL" in done.err
        assert "canary" not in done.text


@pytest.mark.parametrize("at_terminal", [False, True])
def test_a_value_is_in_no_argument_and_on_no_disk(aviary: Aviary, at_terminal: bool):
    strace = require("strace")
    calls = "open,openat,creat,write,writev,pwrite64,sendto,rename,renameat2,linkat,symlinkat,mkdirat,memfd_create"
    trace = aviary.root / "trace"
    child = 'cat /proc/$$/cmdline /proc/$PPID/cmdline > cmdlines; echo "$DB_PASSWORD $CIPHER_PASSPHRASE"'
    watched = (
        strace,
        "-f",
        "-y",
        "-s",
        "100000",
        "-e",
        f"trace={calls}",
        "-o",
        str(trace),
        *words(aviary, "sh", "-c", child),
    )
    done = Screen(watched, folder=aviary.folder).end() if at_terminal else alone(watched, folder=aviary.folder)
    assert done.out.split() == ["<masked>", "<masked>"]
    assert b"DB_PASSWORD" in (aviary.folder / "cmdlines").read_bytes()
    telling = [line for line in trace.read_text(errors="replace").splitlines() if aviary.leaked(line)]
    assert telling, "CMD's own write should have been seen"
    assert all("write(1<pipe:" in line or "write(1</dev/pts/" in line for line in telling)
    trace.unlink()
    held = [kept.content for kept in snapshot(aviary.root).values() if isinstance(kept.content, bytes)]
    assert [name for content in held for name in aviary.leaked(content)] == ["the vault's password"]  # the test's file


LOOK = """
import gc, sys
def hook(event, arguments):
    if event == "os.fork" or event in ("subprocess.Popen", "os.exec") and "true" in arguments[1]:
        kinds = {f"{type(each).__module__}.{type(each).__name__}" for each in gc.get_objects()}
        print("left:", sorted(kind for kind in kinds if kind in KINDS), len(kinds) > 50, file=sys.stderr)
KINDS = {"chronos_secrets.vault.store.Vault", "chronos_secrets.vault.kdf.MasterKey", "chronos_secrets.vault.kdbx.Kdbx",
         "chronos_secrets.vault.entries.Entries", "chronos_secrets.vault.entries.Entry", "lxml.etree._Element",
         "chronos_secrets.render.values.Values"}
sys.addaudithook(hook)
from chronos_secrets.__main__ import main
sys.exit(main())
"""


def test_the_vault_and_its_key_are_forgotten_before_cmd_starts(aviary: Aviary):
    """An audit hook looks at every object of the process when CMD starts."""
    for extra in ((), ("--no-mask",)):
        line = words(aviary, "true", which=(*WHICH, "--destination", "env", *extra))
        done = alone((sys.executable, "-c", LOOK, *line[3:]), folder=aviary.folder)
        assert done.status == 0
        assert "left: [] True" in done.err
        assert "left: ['" not in done.err


def test_a_password_that_was_typed_wrong_at_first_leaves_nothing_behind_either(aviary: Aviary):
    screen = Screen((sys.executable, "-c", LOOK, "run", *WHICH, "--", "true"), folder=aviary.folder)
    for number, typed in enumerate(("wrong", aviary.password), 1):
        screen.expect("Password of ", times=number)
        screen.type(f"{typed}\n")
    done = screen.end()
    assert done.status == 0
    assert "left: [] True" in done.out
    assert "left: ['" not in done.out


# --- where the password was read from ---------------------------------------------------------------------------------


def test_the_password_may_come_on_standard_input_which_is_empty_then(aviary: Aviary):
    line = argv("run", "--password-fd", "0", *WHICH, "--", "sh", "-c", "cat; echo end; ls -l /proc/self/fd/0 >&2")
    done = alone(line, folder=aviary.folder, stdin=f"{aviary.password}\n".encode())
    assert (done.status, done.out) == (0, "end\n")
    assert "/dev/null" in done.err


def test_a_descriptor_that_held_the_password_is_not_handed_to_cmd_but_others_are(aviary: Aviary):
    line = shlex.join(argv("run", "--password-file", "/dev/fd/7", *WHICH, "--", "sh", "-c", "cat <&8; cat <&7"))
    done = alone(("/bin/sh", "-c", f"{line} 7< {aviary.password_file} 8< note.j2"), folder=aviary.folder)
    assert done.out == aviary.template.read_text()
    assert done.status != 0
    assert aviary.leaked(done.text) == []


def test_cmd_gets_none_of_our_own_descriptors(aviary: Aviary):
    for extra in ((), ("--no-mask",)):
        done = run(aviary, "sh", "-c", "ls -1 /proc/$$/fd", which=(*WHICH, *extra))
        assert done.out.split() == ["0", "1", "2"]
    screen = on_screen(aviary, "sh", "-c", "ls -1 /proc/$$/fd")
    assert screen.end().out.split() == ["0", "1", "2"]


# --- how CMD ends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_terminal", [False, True])
def test_the_exit_status_is_that_of_cmd(aviary: Aviary, at_terminal: bool):
    for status in (0, 1, 8, 70, 130, 255):
        command = ("sh", "-c", f"exit {status}")
        done = on_screen(aviary, *command).end() if at_terminal else run(aviary, *command)
        assert done.status == status


@pytest.mark.parametrize("at_terminal", [False, True])
def test_a_signal_that_ends_cmd_ends_us(aviary: Aviary, at_terminal: bool):
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGPIPE, signal.SIGSEGV, signal.SIGQUIT):
        command = ("sh", "-c", f"ulimit -c 0; kill -{int(number)} $$")
        done = on_screen(aviary, *command).end() if at_terminal else run(aviary, *command)
        assert done.status == -number
        assert "Traceback" not in done.text


def test_a_program_that_cannot_be_started_is_said_with_the_status_of_shells(aviary: Aviary):
    (aviary.folder / "plain").write_text("no program")
    for extra in ((), ("--no-mask",)):
        for name, status, said in (
            ("no-such-program", 127, "no-such-program: there is no such program"),
            ("./nowhere/at/all", 127, "there is no such program"),
            ("./plain", 126, "permission denied"),
            ("", 127, "there is no such program"),
            (".", 126, "permission denied"),
        ):
            done = run(aviary, name, which=(*WHICH, *extra))
            assert (done.status, done.out) == (status, ""), name
            assert said in done.err
    screen = on_screen(aviary, "no-such-program")
    assert screen.end().status == 127
    assert screen.left_echoing
    aviary.remake_vault(db__password="x" * 140_000)
    done = run(aviary, "true")
    assert done.status == 126
    assert "argument list too long" in done.err


def test_a_usage_error_is_said_before_anybody_types_a_password(aviary: Aviary):
    for line, said in (
        (("run",), "no command is named"),
        (("run", "--with", "db"), "no command is named"),
        (("run", "--", "true"), "neither --destination nor --with says which values"),
        (("run", "--with", "dbb", "--", "true"), "there is no credential 'dbb'"),
        (("run", "--with", "db.pass", "--", "true"), "db has no field 'pass'"),
        (("run", "--with", "db=A-B", "--", "true"), "'A-B' is no name of a variable"),
        (("run", "--with", "db.username=A-B", "--", "true"), "--with db.username=NAME"),
        (("run", "--with", "", "--", "true"), "there is no credential ''"),
        (("run", "--destination", "envy", "--", "true"), "there is no destination 'envy'"),
        (("run", "--destination", "note", "--", "true"), "destination note is no environment: its dialect is sh"),
    ):
        done = aviary.process(*line, locked=True)
        assert done.status == 2, line
        assert said in done.err
        assert "hint: " in done.err


def test_two_values_for_one_variable_are_refused(aviary: Aviary):
    done = run(aviary, "true", which=("--with", "db=SAME", "--with", "jira=SAME"))
    assert done.status == 2
    assert "two of these set the variable SAME" in done.err


@pytest.mark.parametrize("at_terminal", [False, True])
def test_the_signals_that_cmd_ignores_and_blocks_are_those_that_it_would_without_us(aviary: Aviary, at_terminal: bool):
    look = ("grep", "^Sig[BI]", "/proc/self/status")
    plain = alone(("/bin/sh", "-c", f"trap '' HUP USR1; exec {shlex.join(look)}"), folder=aviary.folder)
    line = f"trap '' HUP USR1; exec {shlex.join(words(aviary, *look))}"
    if at_terminal:
        done = Screen(("/bin/sh", "-c", line), folder=aviary.folder).end()
    else:
        done = alone(("/bin/sh", "-c", line), folder=aviary.folder)
    assert plain.out.count("Sig") == 2
    assert done.out.split() == plain.out.split()


@pytest.mark.parametrize("at_terminal", [False, True])
def test_how_cmd_ends_is_known_though_nobody_wanted_to_know_of_children(aviary: Aviary, at_terminal: bool):
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    command = (sys.executable, "-c", ignoring, *words(aviary, "sh", "-c", "exit 9"))
    done = Screen(command, folder=aviary.folder).end() if at_terminal else alone(command, folder=aviary.folder)
    assert done.status == 9


# --- what CMD prints --------------------------------------------------------------------------------------------------

PROBE = """
import os, sys
said = " ".join(f"{stream}:{'terminal' if os.isatty(stream) else 'other'}" for stream in range(3))
for stream in (1, 2):
    os.write(stream, f"[{said} {os.environ['DB_PASSWORD']} to {stream}]".encode())
    for byte in os.environ["CIPHER_PASSPHRASE"].encode():
        os.write(stream, bytes([byte]))
    os.write(stream, b"\\n")
try:
    with open("/dev/tty", "w") as keyboard:
        keyboard.write(f"tty {os.environ['DB_PASSWORD']}\\n")
except OSError:
    pass
"""


@pytest.mark.parametrize("redirected", list(itertools.product([False, True], repeat=3)))
def test_each_stream_is_for_cmd_what_it_is_for_us_and_none_shows_a_value(aviary: Aviary, redirected):
    (aviary.folder / "probe.py").write_text(PROBE)
    line = f"SLOW {sys.executable} probe.py"
    for place, is_redirected in zip((" < /dev/null", " > out", " 2> err"), redirected, strict=True):
        line += place if is_redirected else ""
    screen = in_shell(aviary, line)
    assert screen.end().status == 0
    said = " ".join(f"{n}:{'other' if each else 'terminal'}" for n, each in enumerate(redirected))
    places = {1: aviary.folder / "out", 2: aviary.folder / "err"}
    shown = {n: places[n].read_text() if redirected[n] else screen.shown for n in (1, 2)}
    for number, text in shown.items():
        assert f"[{said} <masked> to {number}]<masked>" in text
        assert aviary.leaked(text) == []
    if not all(redirected):
        assert "tty <masked>" in screen.shown
        assert screen.left_echoing


def test_pipes_are_masked_too(aviary: Aviary):
    (aviary.folder / "probe.py").write_text(PROBE)
    line = f"true | SLOW {sys.executable} probe.py 2>&1 | cat > out"
    assert in_shell(aviary, line).end().status == 0
    text = (aviary.folder / "out").read_text()
    assert text.count("<masked>") == 4
    assert aviary.leaked(text) == []


def test_without_any_terminal_both_outputs_are_masked(aviary: Aviary):
    (aviary.folder / "probe.py").write_text(PROBE)
    done = alone(patiently(aviary, sys.executable, "probe.py"), folder=aviary.folder)
    said = "0:other 1:other 2:other <masked> to"
    assert (done.out, done.err) == (f"[{said} 1]<masked>\n", f"[{said} 2]<masked>\n")


def test_a_value_is_masked_in_the_spellings_in_which_programs_print_it(aviary: Aviary):
    aviary.remake_vault(db__password=f"it's {os.urandom(9).hex()} $x/+é")
    program = (
        "import base64, json, os, urllib.parse as u; v = os.environ['DB_PASSWORD']; print(repr(v), json.dumps(v),"
        " u.quote(v), u.quote_plus(v), base64.b64encode(b'chronos:' + v.encode()).decode())"
    )
    done = run(aviary, sys.executable, "-c", program)
    assert done.out.startswith('"<masked>" "<masked>" <masked> <masked> Y2hyb25vczp<masked>')
    assert aviary.leaked(done.text) == []


def test_of_a_destination_the_secrets_are_masked_and_the_rest_is_not(aviary: Aviary):
    line = "echo $DATABASE_URL; echo $AWS_SECRET_ACCESS_KEY $JIRA_API_TOKEN"
    done = run(aviary, "sh", "-c", line, which=("--destination", "env"))
    assert done.out == "postgresql://chronos:<masked>@localhost:5432/birds?sslmode=prefer\n<masked> <masked>\n"


def test_what_a_filter_made_of_a_secret_is_masked_too(aviary: Aviary):
    (aviary.folder / "loud.j2").write_text("LOUD=<{{ cipher.passphrase | upper }}>\nPLAIN=quiet\n")
    aviary.edit("template: note.j2", "template: loud.j2")
    aviary.edit("dialect: sh", "dialect: dotenv")
    done = run(aviary, "sh", "-c", "echo $LOUD $PLAIN", which=("--destination", "note"))
    assert (done.status, done.out) == (0, "<masked> quiet\n")


def test_a_value_that_is_too_short_is_said_once_by_its_name(aviary: Aviary):
    aviary.remake_vault(db__password="abc")
    done = run(aviary, "sh", "-c", "echo $DB_PASSWORD alphabet")
    assert (done.status, done.out) == (0, "abc alphabet\n")
    assert done.err == "too short to be masked (fewer than 4 characters): db.password\n"


def test_what_is_no_secret_is_shown(aviary: Aviary):
    assert run(aviary, "sh", "-c", "echo $DB_USERNAME").out == "chronos\n"


def test_bytes_that_are_no_text_pass_unchanged(aviary: Aviary):
    content = random.Random(3).randbytes(3_000_000)
    (aviary.folder / "noise").write_bytes(content)
    assert run(aviary, "sh", "-c", "cat noise; cat noise >&2", stdout=None).status == 0
    line = f"{shlex.join(words(aviary, 'sh', '-c', 'cat noise'))} > copy"
    assert alone(("/bin/sh", "-c", line), folder=aviary.folder).status == 0
    assert (aviary.folder / "copy").read_bytes() == content


def test_two_outputs_that_are_one_file_keep_their_order(aviary: Aviary):
    loop = "i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done"
    line = f"{shlex.join(words(aviary, 'sh', '-c', loop))} > both 2>&1"
    assert alone(("/bin/sh", "-c", line), folder=aviary.folder).status == 0
    assert (aviary.folder / "both").read_text() == "".join(f"out {n}\nerr {n}\n" for n in range(300))


def test_the_beginning_of_a_value_at_the_end_is_shown(aviary: Aviary):
    assert run(aviary, "sh", "-c", 'printf %.9s "$DB_PASSWORD"').out == aviary.values["db.password"][:9]


def test_a_reader_that_goes_away_ends_cmd_as_it_would_without_us(aviary: Aviary):
    line = f"({shlex.join(words(aviary, 'yes'))}; echo status $? >&2) | head -n 1"
    done = alone(("/bin/sh", "-c", line), folder=aviary.folder)
    assert (done.out, done.err) == ("y\n", "status 141\n")


def test_output_that_cannot_be_written_is_no_success(aviary: Aviary):
    line = f"{shlex.join(words(aviary, 'echo', 'x'))} > /dev/full"
    done = alone(("/bin/sh", "-c", line), folder=aviary.folder)
    assert done.status == 8
    assert done.err == "error: what echo printed could not be written: no space left on device\n"


# --- input ------------------------------------------------------------------------------------------------------------


def test_standard_input_reaches_cmd_to_the_byte(aviary: Aviary):
    content = random.Random(4).randbytes(5_000_000)
    done = run(aviary, "sha256sum", stdin=content)
    assert done.out.split()[0] == hashlib.sha256(content).hexdigest()


def test_piped_input_reaches_a_cmd_whose_output_is_a_terminal(aviary: Aviary):
    content = random.Random(4).randbytes(5_000_000)
    (aviary.folder / "noise").write_bytes(content)
    screen = in_shell(aviary, "cat noise | RUN sha256sum")
    assert hashlib.sha256(content).hexdigest() in screen.end().out


def test_standard_input_is_not_masked(aviary: Aviary):
    secret = aviary.values["db.password"].encode()
    done = run(aviary, "sha256sum", stdin=secret)
    assert done.out.split()[0] == hashlib.sha256(secret).hexdigest()


def test_what_is_pasted_reaches_cmd_whole_while_it_prints(aviary: Aviary):
    lines = [f"{number} {random.Random(number).random()}" for number in range(4000)]
    pasted = aviary.folder / "pasted"
    pasted.touch()
    screen = on_screen(aviary, "sh", "-c", "echo go; tee pasted; echo done")
    screen.expect("go\r\n")
    for at in range(0, len(lines), 40):
        screen.type("".join(f"{line}\n" for line in lines[at : at + 40]))
        screen.until(lambda at=at: len(pasted.read_bytes().splitlines()) >= at + 40, why=f"{at} lines are not there")
    screen.type("\x04")
    assert screen.end().status == 0
    assert pasted.read_text().splitlines() == lines


# --- the terminal -----------------------------------------------------------------------------------------------------


def test_a_line_typed_and_the_end_of_input_reach_cmd(aviary: Aviary):
    screen = on_screen(aviary, "cat")
    screen.type("hello\n")
    screen.expect("hello\r\n", times=2)
    screen.type("\x04")
    assert screen.end().status == 0


def test_the_size_of_the_terminal_is_cmds_too_and_follows_it(aviary: Aviary):
    screen = Screen(("/bin/sh", "-c", "stty rows 33 cols 77; exec " + shlex.join(words(
        aviary, "bash", "-c", "trap 'stty size' WINCH; stty size; while read -r line; do stty size; done"
    ))), folder=aviary.folder)  # fmt: skip
    require("bash")
    screen.expect("33 77\r\n")
    screen.resize(44, 88)
    screen.type("\n")
    screen.expect("44 88\r\n", times=2)  # the trap's, and the answer to the line
    screen.type("\x04")
    assert screen.end().status == 0


def test_cmd_is_told_when_the_size_changes(aviary: Aviary):
    program = (
        "import os, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})\nprint('ready', flush=True)\n"
        "signal.sigwait({signal.SIGWINCH})\nprint(tuple(os.get_terminal_size(2)))"
    )
    for line in ("RUN {}", "true | RUN {}"):
        screen = in_shell(aviary, line.format(shlex.join((sys.executable, "-c", program))))
        screen.expect("ready")
        screen.resize(50, 123)
        screen.expect("(123, 50)")
        assert screen.end().status == 0


@pytest.mark.parametrize(("key", "number"), [("\x03", signal.SIGINT), ("\x1c", signal.SIGQUIT)])
def test_a_key_that_interrupts_goes_to_cmd_once(aviary: Aviary, key: str, number: int):
    count = f"trap 'echo got {int(number)}' {int(number)}; echo ready; while :; do read -r line; test \"$line\" = end && exit; done"
    screen = on_screen(aviary, "sh", "-c", count)
    screen.expect("ready")
    screen.type(key)
    screen.expect(f"got {int(number)}")
    screen.type("end\n")
    assert screen.end().status == 0
    assert screen.shown.count("got") == 1
    screen = on_screen(aviary, "sh", "-c", "ulimit -c 0; echo ready; exec sleep 100")
    screen.expect("ready")
    screen.type(key)
    assert screen.end().status == -number
    assert screen.left_echoing


def test_ctrl_c_reaches_cmd_once_where_no_stream_of_it_is_a_terminal(aviary: Aviary):
    program = (
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\nfor _ in range(10):\n"
        "    print('ready', flush=True)\n    signal.sigwait({signal.SIGINT})\n"
        "    if signal.sigtimedwait({signal.SIGINT}, 0.05): print('again', flush=True)"
    )
    line = f"trap : INT; true | RUN {shlex.join((sys.executable, '-c', program))} 2>&1 | tee -i out"
    screen = in_shell(aviary, line)
    for number in range(1, 11):
        screen.expect("ready", times=number)
        screen.type("\x03")
    screen.end()
    assert "again" not in (aviary.folder / "out").read_text()


def test_a_prompt_appears_even_if_it_ends_as_a_value_begins(aviary: Aviary):
    first = aviary.values["db.password"][0]
    screen = on_screen(aviary, "sh", "-c", f"printf 'Name, {first}'; read -r name; echo \"got $name\"")
    screen.expect(f"Name, {first}")
    screen.type("ada\n")
    screen.expect("got ada")
    assert screen.end().status == 0


def test_a_hidden_prompt_stays_hidden(aviary: Aviary):
    require("bash")
    screen = on_screen(aviary, "bash", "-c", "read -r -s -p 'Code: ' code; echo; echo ${#code}")
    screen.expect("Code: ")
    screen.type("12345\n")
    screen.expect("\r\n5\r\n")
    assert screen.end().status == 0
    assert "12345" not in screen.shown


def test_a_prompt_on_the_terminal_works_though_input_and_output_are_elsewhere(aviary: Aviary):
    program = "import getpass; print(len(getpass.getpass('Code: ')))"
    for line in (
        f"true | RUN {shlex.join((sys.executable, '-c', program))} > out",
        f"RUN {shlex.join((sys.executable, '-c', program))} > out < /dev/null",
        f"RUN {shlex.join((sys.executable, '-c', program))} | cat > out",
    ):
        screen = in_shell(aviary, line)
        screen.expect("Code: ")
        screen.type("12345\n")
        assert screen.end().status == 0
        assert (aviary.folder / "out").read_text() == "5\n"
        assert "12345" not in screen.shown
        assert screen.left_echoing


def test_a_pager_behind_cmd_has_the_keyboard_to_itself(aviary: Aviary):
    require("less")
    screen = in_shell(aviary, "RUN sh -c 'seq 500; sleep 60' | LESS= TERM=xterm less")
    for page in range(1, 20):
        screen.expect(f"{page * 23}\r\n")
        screen.type(" ")
    screen.type("q")
    screen.send(signal.SIGTERM)
    screen.end()


def test_a_program_that_takes_the_whole_screen_has_every_key(aviary: Aviary):
    require("less")
    (aviary.folder / "long").write_text("".join(f"line {number}\n" for number in range(500)))
    screen = in_shell(aviary, "LESS= TERM=xterm RUN less long")
    screen.expect("line 0")
    for keys, seen in (("G", "line 499"), ("250g", "line 249"), ("q", "")):
        screen.type(keys)
        screen.expect(seen)
    assert screen.end().status == 0
    assert screen.left_echoing


def test_a_value_is_masked_on_a_terminal_where_it_wraps_no_line(aviary: Aviary):
    slowly = "import os, time\nfor b in os.environb[b'DB_PASSWORD']:\n    os.write(1, bytes([b])); time.sleep(0.002)"
    screen = Screen(patiently(aviary, sys.executable, "-c", slowly), folder=aviary.folder)
    assert screen.end().out == "<masked>"


def test_of_a_value_that_comes_with_pauses_only_three_bytes_are_seen(aviary: Aviary):
    slowly = "import os, time\nfor b in os.environb[b'DB_PASSWORD'][:6]: os.write(1, bytes([b])); time.sleep(0.12)\n"
    slowly += "os.write(1, os.environb[b'DB_PASSWORD'][6:] + b'.')"
    for done in (on_screen(aviary, sys.executable, "-c", slowly).end(), run(aviary, sys.executable, "-c", slowly)):
        assert done.out == aviary.values["db.password"][:3] + "<masked>."


def test_a_key_of_several_lines_is_masked_on_a_terminal(aviary: Aviary):
    aviary.remake_vault(key__private_key="a\nfirst-line-of-it\nb\nlast-line-of-it\nc\n")
    screen = on_screen(aviary, "sh", "-c", 'printf %s "$KEY_PRIVATE_KEY"', which=("--with", "key"))
    assert screen.end().out == "<masked>\r\n"


@pytest.mark.parametrize(
    "end", ["exit 3", "kill -KILL $$", "stty -echo raw; exit 0", "kill -TERM $PPID; sleep 1"]
)  # fmt: skip
def test_the_terminal_is_left_as_it_was_found(aviary: Aviary, end: str):
    screen = on_screen(aviary, "sh", "-c", f"echo ready; read -r line; {end}")
    before = screen.settings
    screen.expect("ready")
    assert screen.settings != before, "we should have taken it"
    screen.type("\n")
    screen.until(lambda: screen._child.poll() is not None, why="it does not end")
    assert screen.settings == before
    screen.end()


def test_the_terminal_is_left_as_it_was_found_when_we_are_told_to_end(aviary: Aviary):
    screen = on_screen(aviary, "sh", "-c", "stty raw -echo; echo ready; exec sleep 100")
    before = screen.settings
    screen.expect("ready")
    screen.send(signal.SIGTERM)
    screen.until(lambda: screen._child.poll() is not None, why="it does not end")
    assert screen.settings == before
    assert screen.end().status == -signal.SIGTERM


@pytest.mark.parametrize(
    "program",
    [
        "trap 'echo hung > said; exit 7' HUP; echo ready; while :; do sleep 0.1; done",
        "trap '' HUP; echo ready; cat > /dev/null; echo hung > said; exit 7",
        "sh -c 'trap \"echo hung > said; exit 7\" HUP; echo ready; kill -STOP $$; read -r x'; exit 7",
    ],
    ids=["by-a-signal", "by-the-end-of-input", "though-part-of-it-is-stopped"],
)
def test_cmd_hears_that_the_terminal_hung_up(aviary: Aviary, program: str):
    screen = on_screen(aviary, "sh", "-c", f"trap : HUP; {program}")
    screen.expect("ready")
    screen.until(lambda: "STOP" not in program or _stopped(screen._child.pid), why="it does not stop")
    assert screen.hang_up() == 7
    said = aviary.folder / "said"
    until(lambda: said.exists() and said.read_text(), "it does not hear of it")
    assert said.read_text() == "hung\n"


def _stopped(ancestor: int) -> bool:
    """Whether a process is stopped among the descendants of one."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            parents[int(path.parent.name)] = (int(parent), state)
    found = {ancestor}
    while more := {each for each, (parent, _) in parents.items() if parent in found} - found:
        found |= more
    return any(parents[each][1] == "T" for each in found if each in parents)


# --- jobs -------------------------------------------------------------------------------------------------------------


def test_ctrl_z_stops_the_job_and_fg_goes_on(bash: Screen):
    bash.type('$RUN sh -c \'echo up; read -r x; echo "first $x"; read -r x; echo "then $x"\'\n')
    bash.expect("up\r\n")
    bash.type("\x1a")
    bash.expect("Stopped")
    bash.expect("READY> ", times=2)
    bash.type("echo at the $((1 + 1))nd prompt\n")
    bash.expect("at the 2nd prompt\r\n")
    bash.type("fg\n")
    bash.type("one\n")
    bash.expect("first one\r\n")
    bash.type("\x1a")
    bash.expect("Stopped", times=2)
    bash.type("fg\n")
    bash.type("two\n")
    bash.expect("then two\r\nREADY> ")
    bash.type("echo status $?\n")
    bash.expect("status 0\r\n")


def test_ctrl_z_stops_nothing_where_no_shell_could_go_on_with_it(aviary: Aviary):
    screen = on_screen(aviary, "sh", "-c", 'echo up; read -r x; echo "got $x"')
    screen.expect("up\r\n")
    screen.type("\x1a")
    screen.expect("^Z")
    screen.type("it\n")
    screen.expect("got it\r\n")
    assert screen.end().status == 0


def test_a_program_may_put_its_screen_in_order_before_it_stops(bash: Screen):
    program = (
        "import os, signal, sys\n"
        "def stop(*_):\n"
        "    os.write(1, b'leaving the screen\\n')\n"
        "    signal.signal(signal.SIGTSTP, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGTSTP)\n"
        "    os.write(1, b'back on the screen\\n')\n"
        "signal.signal(signal.SIGTSTP, stop)\nos.write(1, b'up\\n')\ninput()"
    )
    bash.type(f"$RUN {shlex.join((sys.executable, '-c', program))}\n")
    bash.expect("up\r\n")
    bash.type("\x1a")
    bash.expect("Stopped")
    assert bash.shown.index("leaving the screen\r\n") < bash.shown.index("Stopped")
    bash.type("fg\n")
    bash.expect("back on the screen\r\n")
    bash.type("\n")
    bash.expect("READY> ", times=3)


def test_a_stopped_job_goes_on_in_the_background_and_stops_when_it_reads(bash: Screen):
    bash.type("$RUN sh -c 'echo up; read -r x; echo \"got $x\"'\n")
    bash.expect("up\r\n")
    bash.type("\x1a")
    bash.expect("Stopped")
    bash.type("bg\n")
    bash.expect("]+ ", times=2)
    bash.until(
        lambda: bash.type("jobs\n") or "tty input" in bash.shown or bash.shown.count("Stopped") > 1, why="it reads"
    )
    bash.type("fg\n")
    bash.expect("fg\r\n")
    bash.type("it\n")
    bash.expect("got it\r\n")


def test_a_job_that_was_started_in_the_background_prints_and_leaves_the_keyboard_alone(bash: Screen):
    bash.type("$RUN sh -c 'echo \"from behind $DB_PASSWORD\"; sleep 1; echo over' &\n")
    bash.expect("from behind <masked>\r\n")
    assert "\r\r\n" not in bash.shown
    bash.type("echo typed $((2 + 2))\n")
    bash.expect("typed 4\r\n")
    bash.expect("over\r\n")


def test_a_job_that_was_started_in_the_background_has_a_terminal_of_lines_after_fg(bash: Screen):
    bash.type("set -o emacs\n")  # the shell edits its lines, and has the terminal give it single keys meanwhile
    bash.type("$RUN sh -c 'echo up; read -r x; stty -a' &\n")
    bash.expect("up\r\n")
    job = Path("/proc", bash.shown.partition("[1] ")[2].split()[0], "stat")
    bash.until(lambda: job.read_text().rpartition(") ")[2].startswith("T"), why="it reads")
    bash.type("fg\n")
    bash.expect("'\r\n")  # the line of the job, now without its &
    bash.type("a line\n")
    bash.expect(" icrnl ")
    bash.expect(" icanon ")


def test_a_whole_pipeline_stops_and_goes_on(bash: Screen):
    program = (
        "import os, sys, time; print('up', file=sys.stderr)\n"
        "while not os.path.exists('go'): time.sleep(0.02)\n"  # who is stopped hears of no event
        "print('through', flush=True)"
    )
    bash.type(f"$RUN {shlex.join((sys.executable, '-c', program))} | tr a-z A-Z\n")
    bash.expect("up\r\n")
    bash.type("\x1a")
    bash.expect("Stopped")
    bash.type("touch go; fg\n")
    bash.expect("THROUGH\r\n")


def test_the_other_programs_of_a_pipeline_write_whole_lines_after_cmd_has_asked_for_the_terminal(bash: Screen):
    bash.type("$RUN sh -c 'echo ask >&2; read -r x < /dev/tty; echo got it; sleep 0.5' | tr a-z A-Z\n")
    bash.expect("ask\r\n")
    bash.type("x\n")
    bash.expect("GOT IT\r\n")


def test_a_script_around_us_stops_with_us(bash: Screen):
    bash.type("sh -c \"$RUN sh -c 'echo up; read -r x; echo got'; echo after\"\n")
    bash.expect("up\r\n")
    bash.type("\x1a")
    bash.expect("Stopped")
    bash.type("fg\n")
    bash.type("\n")
    bash.expect("got\r\nafter\r\n")


def test_a_job_that_is_stopped_from_elsewhere_may_go_on_in_the_background(bash: Screen):
    bash.type("$RUN sh -c 'echo $PPID > leader; echo up; until test -e go; do sleep 0.05; done; echo then'\n")
    bash.expect("up\r\n")
    folder = Path(os.readlink(f"/proc/{bash._child.pid}/cwd"))
    os.kill(_parent(int((folder / "leader").read_text())), signal.SIGSTOP)
    bash.expect("Stopped")
    bash.type("bg\n")
    bash.expect("]+ ", times=2)
    (folder / "go").touch()
    bash.expect("then\r\n")
    assert "then\r\r\n" not in bash.shown
    bash.until(lambda: bash.type("\n") or "Done" in bash.shown, why="it does not end")


def test_a_job_that_is_stopped_from_elsewhere_has_the_terminal_again_after_fg(bash: Screen):
    bash.type("$RUN sh -c 'echo $PPID > leader; echo up; read -r x; echo \"got $x\"'\n")
    bash.expect("up\r\n")
    settings = bash.settings
    ours = _parent(int((Path(os.readlink(f"/proc/{bash._child.pid}/cwd")) / "leader").read_text()))
    os.kill(ours, signal.SIGSTOP)
    bash.expect("Stopped")
    bash.type("fg\n")
    bash.until(lambda: bash.settings == settings, why="it did not take the terminal again")
    bash.type("it\n")
    bash.expect("got it\r\n")


def _parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_program_that_asks_for_a_terminal_that_nobody_can_give_it_ends(aviary: Aviary):
    """In a group in the background that no shell looks after, reading from the terminal must not go on for ever."""
    program = (
        "import os, sys, time\n"
        "if os.fork() == 0:\n"
        "    os.setpgid(0, 0)\n"
        "    leader = os.getpid()\n"
        "    if os.fork(): os._exit(0)\n"
        "    while os.getppid() == leader: time.sleep(0.01)\n"  # nobody tells a process that it is an orphan
        "    status = os.spawnvp(os.P_WAIT, sys.argv[1], sys.argv[1:])\n"
        "    print('ended', status, flush=True)\n"
        "    os._exit(0)\n"
        "os.wait(); time.sleep(60)"
    )
    screen = Screen((sys.executable, "-c", program, *words(aviary, "cat")), folder=aviary.folder)
    screen.expect(f"ended {-signal.SIGHUP}")
    screen.send(signal.SIGKILL)
    screen.end()


# --- signals, and what is left behind ---------------------------------------------------------------------------------

TRAPS = (
    "for n in HUP INT QUIT USR1 USR2 ALRM; do trap \"echo got $n\" $n; done; trap 'echo got TERM; exit 9' TERM; "
    "echo ready; while :; do sleep 0.05; done"
)


@pytest.mark.parametrize("at_terminal", [False, True])
def test_signals_that_we_get_go_to_cmd(aviary: Aviary, at_terminal: bool):
    screen = on_screen(aviary, "sh", "-c", TRAPS) if at_terminal else in_shell(
        aviary, f"setsid RUN sh -c {shlex.quote(TRAPS)} < /dev/null 2>&1 | (cat; cat <&3) 3< /dev/null"
    )  # fmt: skip
    screen.expect("ready")
    target = screen._child.pid if at_terminal else _find(aviary)
    for name in ("HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM"):
        os.kill(target, getattr(signal, f"SIG{name}"))
        screen.expect(f"got {name}")
    done = screen.end()
    assert all(done.out.count(f"got {name}") == 1 for name in ("INT", "USR1", "TERM"))
    assert done.status == (9 if at_terminal else 0)


def _find(aviary: Aviary) -> int:
    """Our process, by its command line, among those that this test started."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if line.startswith(sys.executable.encode()) and os.fsencode(str(aviary.password_file)) in line:
            return int(path.parent.name)
    raise AssertionError("it does not run")


def test_a_signal_that_was_ignored_before_us_stays_ignored(aviary: Aviary):
    line = f"trap '' HUP; exec {shlex.join(words(aviary, 'sh', '-c', 'kill -HUP $PPID; kill -HUP $$; echo alive'))}"
    assert alone(("/bin/sh", "-c", line), folder=aviary.folder).out == "alive\n"


@pytest.mark.parametrize("at_terminal", [False, True])
def test_what_cmd_leaves_in_the_background_does_not_keep_us_and_lives_on(aviary: Aviary, at_terminal: bool):
    left = "trap '' PIPE; for n in $(seq 1500); do test -e go && touch lived && exit; sleep 0.1; done"
    line = patiently(aviary, "sh", "-c", f'({left}) & echo "begun $DB_PASSWORD"')
    done = Screen(line, folder=aviary.folder).end() if at_terminal else alone(line, folder=aviary.folder)
    assert (done.status, done.out.split()) == (0, ["begun", "<masked>"])
    (aviary.folder / "go").touch()
    until((aviary.folder / "lived").exists, "it was ended with us")


def test_what_goes_on_printing_after_cmd_does_not_keep_us(aviary: Aviary):
    line = f"{shlex.join(words(aviary, 'sh', '-c', 'yes & exit 4'))} > /dev/null"
    assert alone(("/bin/sh", "-c", line), folder=aviary.folder).status == 4


def test_all_that_cmd_printed_is_there_when_it_has_ended(aviary: Aviary):
    for _ in range(5):
        assert on_screen(aviary, "sh", "-c", "seq 20000").end().out.endswith("19999\r\n20000\r\n")
        assert run(aviary, "sh", "-c", "seq 20000").out.endswith("19999\n20000\n")


def test_a_cmd_that_closes_its_output_is_waited_for(aviary: Aviary):
    for command in (("sh", "-c", "exec >&- 2>&- <&-; sleep 0.5; exit 6"),):
        assert run(aviary, *command).status == 6
        assert on_screen(aviary, *command).end().status == 6


def test_closed_streams_stay_harmless(aviary: Aviary):
    line = shlex.join(words(aviary, "sh", "-c", "echo out; echo err >&2; cat; exit 3"))
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        done = alone(("/bin/sh", "-c", f"{line} {closed}"), folder=aviary.folder)
        assert done.status == 3, (closed, done)


# --- without a mask ---------------------------------------------------------------------------------------------------


def test_without_a_mask_we_become_cmd(aviary: Aviary):
    line = shlex.join(words(aviary, "sh", "-c", 'echo $$; printf %s "$DB_PASSWORD"', which=(*WHICH, "--no-mask")))
    done = alone(("/bin/sh", "-c", f"echo $$; exec {line}"), folder=aviary.folder)
    first, second, value = done.out.splitlines()
    assert first == second
    assert value == aviary.values["db.password"]


def test_without_a_mask_cmd_hears_of_a_broken_pipe(aviary: Aviary):
    line = f"({shlex.join(words(aviary, 'yes', which=(*WHICH, '--no-mask')))}; echo status $? >&2) | head -n 1"
    done = alone(("/bin/sh", "-c", line), folder=aviary.folder)
    assert done.err == "status 141\n"
