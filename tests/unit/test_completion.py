"""What a shell completes: answered from tables, and quickly; in real shells in tests/e2e/test_completion.py."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chronos_secrets.cli import completion
from chronos_secrets.cli.main import COMMANDS
from tests.support.commands import Aviary, Done, environment, in_process

TASK = "tasks:\n  preen: {title: Preen, every: 1 week, from: 2025-01-01}\n"


@pytest.fixture
def aviary(tmp_path: Path) -> Aviary:
    made = Aviary(tmp_path)
    made.inventory.write_text(made.inventory.read_text() + TASK)
    return made


def answered(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str, by: str = "bash") -> Done:
    """What the script of a shell is answered for a line of which the last word is being typed."""
    with monkeypatch.context() as patched:
        patched.setenv(completion.VARIABLE, f"{by}_complete")
        patched.setenv("COMP_WORDS", " ".join(("chronos-secrets", *words)))
        patched.setenv("COMP_CWORD", str(len(words)))
        return in_process(folder=folder)


def names(done: Done) -> list[str]:
    assert done.status == 0
    assert done.err == ""
    return [line.partition(",")[2] for line in done.out.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ren"], ["render"]),
        (["get", "j"], ["jira"]),
        (["get", "db", "--fi"], ["--field"]),
        (["render", ""], ["env", "note", "key-file", "ssh-config"]),
        (["render", "env", "n"], ["note"]),
        (["done", "p"], ["preen"]),
        (["run", "--destination", "e"], ["env"]),
        (["run", "--with", "ci"], ["cipher"]),
        (["run", "--with", "db."], ["db.username", "db.password"]),
        (["run", "--with", "db.p"], ["db.password"]),
        (["config", ""], ["show"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
)
def test_commands_options_and_ids_are_completed(
    aviary: Aviary, monkeypatch: pytest.MonkeyPatch, words: list[str], expected: list[str]
):
    assert names(answered(aviary.folder, monkeypatch, *words)) == expected


def test_every_command_is_among_the_names_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert names(answered(tmp_path, monkeypatch, "")) == list(COMMANDS)
    done = answered(tmp_path, monkeypatch, "", by="zsh")
    assert done.out.splitlines()[:3] == ["plain", "init", COMMANDS["init"].help]


@pytest.mark.parametrize(
    "words",
    [
        ["--vault", ""],
        ["get", "--password-file", "p"],
        ["init", "--from", ""],
        ["run", "--with", "db", "--", "ls", "i"],
    ],
)
def test_names_of_files_are_left_to_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]):
    assert answered(tmp_path, monkeypatch, *words).out.startswith("file,")


def test_the_name_of_a_folder_is_left_to_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert answered(tmp_path, monkeypatch, "render", "--to", "").out.startswith("dir,")


def test_the_inventory_that_the_line_names_is_the_one_that_is_read(
    aviary: Aviary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    inventory = str(aviary.inventory)
    assert names(answered(elsewhere, monkeypatch, "--inventory", inventory, "get", "ji")) == ["jira"]
    assert names(answered(elsewhere, monkeypatch, "get", "--inventory", inventory, "ji")) == ["jira"]


def test_where_there_is_no_inventory_or_a_broken_one_nothing_is_said(
    aviary: Aviary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert names(answered(tmp_path, monkeypatch, "get", "")) == []
    aviary.inventory.write_text("version: [")
    assert names(answered(aviary.folder, monkeypatch, "get", "")) == []


def test_what_no_shell_of_ours_asks_is_not_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert answered(tmp_path, monkeypatch, "", by="powershell").text.strip() == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_asks_us_by_our_variable(tmp_path: Path, shell: str):
    done = in_process("completion", shell, folder=tmp_path)
    assert done.status == 0
    assert f"{completion.VARIABLE}={shell}_complete" in done.out


def test_an_unknown_shell_is_a_usage_error(tmp_path: Path):
    assert in_process("completion", "csh", folder=tmp_path).status == 2


def _imported(**added: str) -> set[str]:
    """What is imported by `--help`, or by an answer to a shell."""
    program = (
        "import json, sys\nfrom chronos_secrets.cli.main import run\nrun(['--help'])\n"
        "sys.stderr.write(json.dumps([name for name in sys.modules]))"
    )
    done = subprocess.run(
        (sys.executable, "-c", program), env=environment(**added), capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr))


def test_completing_a_command_imports_no_more_than_help_does():
    asked = {completion.VARIABLE: "bash_complete", "COMP_WORDS": "chronos-secrets re", "COMP_CWORD": "1"}
    assert _imported(**asked) - _imported() <= {"click.shell_completion", "shlex", completion.__name__}
