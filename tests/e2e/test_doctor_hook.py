"""`doctor hook`: whether commits and pushes of the repository that one works in are scanned."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import Aviary
from tests.support.programs import require


@pytest.fixture
def aviary(tmp_path: Path) -> Aviary:
    made = Aviary(tmp_path)
    _git(made, "init", "-q")
    return made


def _git(aviary: Aviary, *words: str) -> None:
    subprocess.run((require("git"), *words), cwd=aviary.folder, check=True)


def _told(aviary: Aviary) -> tuple[int, dict[str, str]]:
    """The exit status, and the one line of the section."""
    done = aviary.process("doctor", "hook", "--json")
    ((line,),) = (section["lines"] for section in json.loads(done.out)["sections"])
    return done.status, line


def test_a_repository_without_our_hooks_is_told_and_the_fix_puts_it_right(aviary: Aviary):
    status, line = _told(aviary)
    assert status == 1
    assert "pre-commit is missing, commit-msg is missing, pre-push is missing" in line["text"]
    assert aviary.process(*line["fix"].split()[1:]).status == 0
    status, line = _told(aviary)
    assert (status, line["text"]) == (0, "commits and pushes are scanned")


def test_a_hook_of_somebody_else_and_one_that_is_off_are_told(aviary: Aviary):
    assert aviary.process("hook", "install").status == 0
    hooks = aviary.folder / ".git" / "hooks"
    (hooks / "pre-commit").write_text("#!/bin/sh\n")
    (hooks / "pre-push").chmod(0o644)
    status, line = _told(aviary)
    assert status == 1
    assert "scanned: pre-commit is not ours, pre-push is not executable" in line["text"]


def test_a_git_that_runs_no_hooks_is_told(aviary: Aviary):
    _git(aviary, "config", "core.hooksPath", "/dev/null")
    status, line = _told(aviary)
    assert (status, line["fix"]) == (1, "git config --local --unset core.hooksPath && chronos-secrets hook install")


def test_outside_a_repository_there_is_nothing_to_say(tmp_path: Path):
    status, line = _told(Aviary(tmp_path))
    assert (status, line["text"]) == (0, "not in a git repository")
