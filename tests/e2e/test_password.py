"""Where the vault's password comes from: a descriptor, a file, a person. Never from an argument or a variable."""

import os
import subprocess
import threading
from pathlib import Path

import pytest

from tests.support.commands import Aviary, Terminal, argv, environment

PROMPT = "Password of "


@pytest.fixture
def aviary(tmp_path: Path) -> Aviary:
    return Aviary(tmp_path)


def _get(aviary: Aviary, *arguments: str | Path) -> Terminal:
    return Terminal(argv("get", "db", *arguments), folder=aviary.folder)


# --- typed by a person ------------------------------------------------------------------------------------------------


def test_a_person_types_it_and_does_not_see_it(aviary: Aviary):
    terminal = _get(aviary)
    terminal.expect(f"{PROMPT}{aviary.vault}: ")
    terminal.type(f"{aviary.password}\n")
    done = terminal.end()
    assert done.status == 0
    assert f"{aviary.values['db.password']}\r\n" in done.out
    assert aviary.password not in done.out


def test_a_person_has_three_tries_and_sees_none_of_them(aviary: Aviary):
    terminal = _get(aviary)
    for number in range(1, 4):
        terminal.expect(PROMPT, times=number)
        terminal.type(f"wrong-guess-{number}\n")
    done = terminal.end()
    assert done.status == 4
    assert done.out.count(PROMPT) == 3
    assert [line.rpartition("; ")[2].strip() for line in done.out.splitlines() if " left" in line] == [
        "2 tries left", "1 try left",
    ]  # fmt: skip
    assert done.out.count("error: ") == 1
    assert "does not open it" in done.out
    assert "hint: " in done.out
    assert "wrong-guess" not in done.out
    assert aviary.leaked(done.out) == []


def test_the_third_try_counts(aviary: Aviary):
    terminal = _get(aviary)
    for number, typed in enumerate(("no", "", aviary.password), 1):
        terminal.expect(PROMPT, times=number)
        terminal.type(f"{typed}\n")
    assert terminal.end().status == 0


@pytest.mark.parametrize(
    ("key", "status", "words"), [("\x03", 130, "interrupted"), ("\x04", 4, "no password was typed")]
)
def test_a_person_may_give_up_and_the_terminal_shows_again_what_is_typed(aviary, key: str, status: int, words: str):
    terminal = _get(aviary)
    terminal.expect(PROMPT)
    terminal.type("half a pass" if status == 130 else "")
    terminal.type(key)
    done = terminal.end()
    assert done.status == status
    assert words in done.out
    assert " left" not in done.out
    assert done.out.count(PROMPT) == 1
    assert "Traceback" not in done.out
    assert "half" not in done.out
    assert terminal.left_echoing


def test_the_prompt_is_on_the_terminal_though_input_and_output_are_elsewhere(aviary: Aviary):
    line = f"{' '.join(argv('get', 'db'))} < /dev/null > got 2> said"
    terminal = Terminal(("/bin/sh", "-c", line), folder=aviary.folder)
    terminal.expect(PROMPT)
    terminal.type(f"{aviary.password}\n")
    assert terminal.end().status == 0
    assert (aviary.folder / "got").read_bytes() == aviary.values["db.password"].encode()
    assert (aviary.folder / "said").read_text() == ""


def test_nobody_is_asked_about_a_file_that_is_no_vault(aviary: Aviary):
    aviary.vault.write_bytes(b"not a vault")
    done = _get(aviary).end()
    assert done.status == 4
    assert PROMPT not in done.out


def test_nobody_is_asked_three_times_about_a_key_file_that_is_not_there(aviary: Aviary):
    terminal = _get(aviary, "--key-file", "nowhere")
    terminal.expect(PROMPT)
    terminal.type(f"{aviary.password}\n")
    done = terminal.end()
    assert done.status == 4
    assert done.out.count(PROMPT) == 1
    assert "cannot read the key file" in done.out


def test_without_a_terminal_nothing_is_asked_and_the_hint_says_how_else(aviary: Aviary):
    for words in (("get", "db"), ("render",), ("check",)):
        done = aviary.process(*words, locked=True)
        assert (done.status, done.out) == (4, "")
        assert done.err.splitlines() == [
            "error: the vault is locked, and there is no terminal to ask for its password on",
            "hint: --password-file FILE, or --password-fd N",
        ]


def test_what_needs_no_vault_asks_nothing(aviary: Aviary):
    for words in (
        ("list",),
        ("check", "--offline"),
        ("config", "show"),
        ("--version",),
        ("--help",),
        ("render", "--help"),
    ):
        assert aviary.process(*words, locked=True).status == 0


# --- a file, a pipe, a descriptor -------------------------------------------------------------------------------------


def test_a_descriptor_is_read_to_its_end_by_whoever_holds_the_other(aviary: Aviary):
    ours, theirs = os.pipe()
    writer = threading.Thread(
        target=lambda: (os.write(theirs, f"{aviary.password}\n".encode()), os.close(theirs)), daemon=True
    )
    writer.start()
    done = aviary.process("get", "db", "--password-fd", str(ours), pass_fds=(ours,))
    writer.join(30)
    os.close(ours)
    assert (done.status, done.out) == (0, aviary.values["db.password"])


def test_standard_input_is_a_descriptor_too(aviary: Aviary):
    done = aviary.process("get", "db", "--password-fd", "0", stdin=f"{aviary.password}\n".encode())
    assert (done.status, done.out) == (0, aviary.values["db.password"])


def test_a_pipe_may_be_named_as_the_file(aviary: Aviary):
    pipe = aviary.root / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(aviary.password), daemon=True)
    writer.start()
    done = aviary.process("get", "db", "--password-file", str(pipe))
    writer.join(30)
    assert (done.status, done.out) == (0, aviary.values["db.password"])


def test_exactly_one_line_end_is_left_off(aviary: Aviary):
    for ending, status in (("", 0), ("\n", 0), ("\r\n", 0), ("\n\n", 4), (" ", 4), ("\n ", 4)):
        aviary.password_file.write_bytes(f"{aviary.password}{ending}".encode())
        assert aviary.run("get", "db").status == status, repr(ending)


def test_a_password_may_end_with_white_space_and_hold_anything(aviary: Aviary):
    aviary.remake_vault(password=f"ž 漢 '\"$`\\ \t{os.urandom(8).hex()} ")
    assert aviary.run("get", "db").status == 0


def test_neither_a_variable_nor_an_argument_is_a_password(aviary: Aviary):
    names = ("CHRONOS_SECRETS_PASSWORD", "CHRONOS_SECRETS_VAULT_PASSWORD", "PASSWORD")
    assert aviary.process("get", "db", locked=True, env=dict.fromkeys(names, aviary.password)).status == 4
    done = subprocess.run(
        argv("get", "db", "--password", aviary.password),
        cwd=aviary.folder,
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert aviary.leaked(done.stderr) == []


# --- what a terminal is given -----------------------------------------------------------------------------------------


def test_a_value_that_a_terminal_would_obey_is_not_shown_on_one(aviary: Aviary):
    aviary.remake_vault(key__private_key="\x1b]0;title\x07canary-of-a-key")
    terminal = Terminal(argv("get", "key", "--password-file", aviary.password_file), folder=aviary.folder)
    done = terminal.end()
    assert done.status == 5
    assert "error: the private_key of key is not plain text, so it is not shown on a terminal" in done.out
    assert "hint: chronos-secrets get key --field private_key > FILE" in done.out
    assert "canary" not in done.out
    assert aviary.run("get", "key").out == aviary.values["key.private_key"]


def test_a_terminal_is_left_as_it_was(aviary: Aviary):
    terminal = _get(aviary)
    terminal.expect(PROMPT)
    assert not terminal.echoes, "what is typed now would be seen"
    terminal.type(f"{aviary.password}\n")
    assert terminal.end().status == 0
    assert terminal.left_echoing


def test_ctrl_z_at_the_prompt_does_not_bring_the_echo_back(aviary: Aviary):
    terminal = Terminal(argv("check"), folder=aviary.folder)
    terminal.expect("Password of")
    terminal.type("\x1a")
    assert not terminal.echoes
    terminal.type(f"{aviary.password}\r")
    done = terminal.end()
    assert aviary.password not in done.out
    assert done.status in (0, 1)
