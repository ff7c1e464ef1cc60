"""What a hook blocks, how it starts the scanner, and what it does when the scanner is gone."""

import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from chronos_secrets.scan import githooks, install, shim
from chronos_secrets.scan.found import Trouble
from tests.support.hooks import GUI, WORD, Repository, Tool, pasted, run


def test_a_commit_that_leaks_is_blocked_and_another_goes_through(repo: Repository) -> None:
    assert [each.done for each in repo.install()] == ["installed"] * 3
    assert not repo.leaks()
    repo.write("clean", "nothing\n")
    assert repo.commit().status == 0
    assert repo.states() == dict.fromkeys(shim.HOOKS, githooks.CURRENT)


def test_a_message_that_leaks_is_blocked(repo: Repository) -> None:
    repo.install()
    assert repo.commit(WORD).status == 1
    assert repo.commit("harmless").status == 0


def test_a_push_of_a_leak_is_blocked(remote: Repository) -> None:
    remote.write("leak", WORD)
    remote.commit(check=True)
    remote.install()
    assert remote.git("push", "origin", "main", check=False).status == 1
    name, url = remote.tool.last()["arguments"][1:]
    assert (name, url) == ("origin", remote.git("remote", "get-url", "origin").out.strip())
    assert remote.tool.last()["pushed"].startswith("refs/heads/main ")


def test_the_scanner_itself_blocks_a_password_in_the_environment_of_a_graphical_client(repo: Repository) -> None:
    install.install(githooks.place(str(repo.folder)), shim.installation())
    value = "".join(random.Random(4).choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=24))
    repo.write("settings.py", f"password = {value!r}\n")
    done = repo.commit(env=GUI)
    assert done.status == 1
    assert "settings.py:1" in done.err
    assert value not in done.text
    repo.write("settings.py", "password = ask()\n")
    assert repo.commit(env=GUI).status == 0


def test_a_graphical_client_without_home_terminal_and_path_is_served(remote: Repository) -> None:
    remote.install()
    assert not remote.leaks(env=GUI)
    remote.write("clean", "nothing\n")
    assert remote.commit("one", env=GUI).status == 0
    assert remote.git("push", "-q", "origin", "main", env=GUI).status == 0
    assert [each["arguments"][0] for each in remote.tool.all()][-3:] == ["pre-commit", "commit-msg", "pre-push"]


def test_nothing_in_the_repository_or_the_environment_takes_the_scanner_s_place(repo: Repository) -> None:
    evil = "import os, sys; sys.stderr.write('evil'); os._exit(0)\n"
    for name in ("re.py", "sitecustomize.py", "usercustomize.py", "subprocess.py", "chronos_secrets/__init__.py"):
        repo.write(name, evil)
    repo.write("chronos_secrets/scan/hook.py", evil)
    repo.write("python3", f"#!/bin/sh\necho evil >&2; exit 0 # {WORD}\n", mode=0o755)
    repo.install()
    folder = str(repo.folder)
    done = repo.commit(env={
        **os.environ, "PYTHONPATH": folder, "PYTHONSTARTUP": f"{folder}/re.py", "PYTHONHOME": folder,
        "PYTHONUSERBASE": folder, "PYTHONINSPECT": "1", "PATH": f"{folder}:.:{os.environ['PATH']}",
    })  # fmt: skip
    assert done.status == 1
    assert "evil" not in done.err
    told = repo.tool.last()
    assert (told["isolated"], told["no_site"]) == (1, 1)
    assert told["path"][-1] == str(repo.tool.site)
    assert not [entry for entry in told["path"] if not entry.startswith("/") or entry.startswith(folder)]


def test_the_interpreter_is_the_real_one(repo: Repository) -> None:
    repo.install()
    repo.commit()
    python = repo.tool.last()["python"]
    with open(python, "rb") as file:
        assert file.read(2) != b"#!"
    assert os.path.realpath(python) == os.path.realpath(sys.executable)
    assert f"python='{python}'" in (repo.hooks / "pre-commit").read_text()
    assert sys.prefix == sys.base_prefix or not python.startswith(sys.prefix)


def test_a_shim_in_the_place_of_the_interpreter_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "python3"
    script.write_text('#!/bin/sh\nexec python3 "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "_base_executable", str(script))
    assert shim.installation().python != str(script)


@pytest.mark.parametrize("name", ["with spaces", 'it\'s "quoted" $HOME `x`', "new\nline", "ünïcode"])
def test_a_repository_at_an_odd_path_is_served(name: str, tmp_path: Path, tool: Tool) -> None:
    repo = Repository(tmp_path / name, tool)
    repo.write(".git/hooks/pre-commit", f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n", mode=0o755)
    repo.install()
    assert not repo.leaks()
    assert repo.commit().status == 0
    assert (tmp_path / "ran").exists()
    assert set(repo.states().values()) == {githooks.CURRENT}


def test_an_installation_at_an_odd_path_is_found(tmp_path: Path, repo: Repository) -> None:
    odd = tmp_path / 'o\'dd "$HOME" `x`\nline'
    shutil.copytree(repo.tool.site, odd)
    repo.tool = type("Odd", (), {"start": shim.Installation(repo.tool.start.python, str(odd))})()
    repo.install()
    assert not repo.leaks()


def test_a_commit_from_a_subfolder_is_looked_at(repo: Repository) -> None:
    repo.write("deep/down/file", "x\n")
    at = githooks.place(str(repo.folder / "deep" / "down"))
    install.install(at, repo.tool.start)
    assert not repo.leaks(at="deep/down")
    assert repo.tool.last()["folder"] == str(repo.folder)


def test_all_worktrees_are_served_by_one_installation(repo: Repository, tmp_path: Path) -> None:
    repo.git("worktree", "add", "-q", str(tmp_path / "second"), "-b", "other")
    second = Repository(tmp_path / "second", repo.tool, made=True)
    second.install()
    assert not second.leaks()
    assert not repo.leaks()
    assert (repo.hooks / "pre-commit").exists()


def test_a_submodule_has_hooks_of_its_own(repo: Repository, tmp_path: Path, tool: Tool) -> None:
    other = Repository(tmp_path / "other", tool)
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.folder), "sub")
    sub = Repository(repo.folder / "sub", tool, made=True)
    sub.git("config", "user.name", "Nobody")
    sub.git("config", "user.email", "nobody@example.org")
    sub.install()
    assert not sub.leaks()
    assert (repo.folder / ".git" / "modules" / "sub" / "hooks" / "pre-commit").exists()
    assert not (repo.hooks / "pre-commit").exists()


def test_a_repository_that_was_moved_is_still_served(repo: Repository, tmp_path: Path) -> None:
    repo.foreign("pre-commit", "exit 3")
    repo.install()
    moved = Repository(repo.folder.rename(tmp_path / "moved"), repo.tool, made=True)
    assert moved.commit().status == 1
    assert moved.tool.all() == []  # the hook that was there before has run, and said no


# An installation that is gone


@pytest.fixture
def gone(repo: Repository, tmp_path: Path) -> Repository:
    """The repository with the hooks of an installation of its own, to be taken apart."""
    own = Tool(tmp_path)
    python = tmp_path / "the python"
    python.symlink_to(own.start.python)
    own.start = shim.Installation(str(python), own.start.site)
    repo.tool = own
    repo.install()
    return repo


def _take_the_python(tool: Tool) -> None:
    Path(tool.start.python).unlink()


def _take_the_package(tool: Tool) -> None:
    shutil.rmtree(tool.site)


def _take_the_entry(tool: Tool) -> None:
    tool.scanner.unlink()


def _damage_the_entry(tool: Tool) -> None:
    tool.scanner.write_text("def main(:\n")


def _take_what_it_imports(tool: Tool) -> None:
    tool.scanner.write_text("import chronos_secrets.scan.no_such_module\n")


@pytest.mark.parametrize(
    "damage", [_take_the_python, _take_the_package, _take_the_entry, _damage_the_entry, _take_what_it_imports]
)
def test_a_missing_installation_blocks_with_a_sentence_and_what_to_do(gone: Repository, damage: Any) -> None:
    damage(gone.tool)
    done = gone.commit(env=GUI)
    assert done.status == 1
    assert done.err.startswith("error: pre-commit is blocked: ")
    assert "hint: chronos-secrets hook install" in done.err
    assert "Traceback" not in done.err
    assert run(str(gone.hooks / "pre-commit"), folder=gone.folder).status == 5
    assert run(str(gone.hooks / "pre-push"), "origin", "url", folder=gone.folder).status == 5


@pytest.mark.parametrize("foreign", [False, True])
def test_the_sentence_says_how_to_do_without_the_hook(gone: Repository, foreign: bool) -> None:
    if foreign:
        gone.uninstall()
        gone.foreign("pre-commit")
        gone.install()
    _take_the_package(gone.tool)
    done = gone.commit()
    (without,) = [line for line in done.err.splitlines() if "to do without it" in line]
    assert run("sh", "-c", pasted(without), folder=gone.folder).status == 0
    assert (gone.hooks / "pre-commit").exists() == foreign
    (gone.hooks / "commit-msg").unlink()
    assert gone.commit().status == 0


def test_an_installation_that_cannot_start_is_not_installed(repo: Repository) -> None:
    repo.tool = type("Broken", (), {"start": shim.Installation(repo.tool.start.python, "/nonexistent")})()
    with pytest.raises(Trouble, match="cannot load the scanner"):
        repo.install()
    assert not (repo.hooks / "pre-commit").exists()
