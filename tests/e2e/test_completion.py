"""Completion as a person meets it: in a real bash, zsh and fish, with the Tab key where the shell has to be asked so."""

import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.support.commands import SOURCES, Aviary, Terminal, alone
from tests.support.programs import require


@pytest.fixture
def aviary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aviary:
    """A project, with `chronos-secrets` in PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "chronos-secrets"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={SOURCES} exec {shlex.quote(sys.executable)} -m chronos_secrets "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("PS1", "here> ")
    return Aviary(tmp_path)


def _typed(shell: tuple[str, ...], load: str, aviary: Aviary, *lines: tuple[str, str]) -> None:
    """Type beginnings of lines, with a Tab after each, and wait for what the shell makes of them."""
    terminal = Terminal(shell, folder=aviary.folder)
    terminal.expect("here> ")
    terminal.type(f"{load}; echo loa''ded\n")
    terminal.expect("loaded")
    for beginning, completed in lines:
        terminal.type(f"{beginning}\t")
        terminal.expect(completed)
        terminal.type("\x15")  # Ctrl-U: take the line back
    terminal.type("exit\n")
    terminal.end()


LINES = [
    ("chronos-secrets rend", "chronos-secrets render "),
    ("chronos-secrets get ji", "chronos-secrets get jira "),
    ("chronos-secrets get db --fie", "chronos-secrets get db --field "),
    ("chronos-secrets run --with db -- cat avi", "chronos-secrets run --with db -- cat aviary.kdbx "),
    ("chronos-secrets --vault avi", "chronos-secrets --vault aviary.kdbx "),
]


def test_bash_completes_commands_ids_options_and_files(aviary: Aviary):
    _typed((require("bash"), "--norc", "-i"), 'eval "$(chronos-secrets completion bash)"', aviary, *LINES)


def test_zsh_completes_commands_ids_options_and_files(aviary: Aviary):
    load = 'autoload -U compinit; compinit -u -D; PS1="here> "; eval "$(chronos-secrets completion zsh)"'
    _typed((require("zsh"), "-f", "-i"), load, aviary, *LINES)


@pytest.mark.parametrize(
    ("line", "found"),
    [("rend", "render"), ("get ji", "jira"), ("get db --fie", "--field"), ("--vault avi", "aviary.kdbx")],
)
def test_fish_completes_commands_ids_options_and_files(aviary: Aviary, line: str, found: str):
    script = f"chronos-secrets completion fish | source; complete -C 'chronos-secrets {line}'"
    done = alone((require("fish"), "--no-config", "-c", script), folder=aviary.folder)
    assert [each.split("\t")[0] for each in done.out.splitlines()] == [found], done.text


def test_fish_shows_a_description_beyond_its_first_comma(aviary: Aviary):
    script = "chronos-secrets completion fish | source; complete -C 'chronos-secrets sca'"
    done = alone((require("fish"), "--no-config", "-c", script), folder=aviary.folder)
    assert done.out == "scan\tFind secrets in files, commits and histories.\n", done.text
