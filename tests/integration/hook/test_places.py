"""Where git looks for hooks, and what stands there: core.hooksPath, husky, bare repositories, status."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from chronos_secrets.scan import githooks, install, shim
from chronos_secrets.scan.found import Trouble
from tests.support.hooks import GUI, WORD, Repository, Tool, pasted, run
from tests.support.programs import require


def test_installing_twice_changes_nothing(repo: Repository) -> None:
    repo.foreign("pre-commit", "exit 0")
    repo.install()
    before = {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in repo.hooks.iterdir()}
    assert [each.done for each in repo.install()] == ["already there"] * 3
    assert {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in repo.hooks.iterdir()} == before


def test_hooks_of_another_installation_are_stale_until_they_are_refreshed(repo: Repository, tmp_path: Path) -> None:
    repo.install()
    repo.tool = Tool(tmp_path)
    assert set(repo.states().values()) == {githooks.STALE}
    assert [each.done for each in repo.install()] == ["refreshed"] * 3
    assert set(repo.states().values()) == {githooks.CURRENT}
    assert not (repo.hooks / ("pre-commit" + shim.KEPT)).exists()
    assert not repo.leaks()
    assert len(repo.tool.all()) == 1


def test_a_hook_that_lost_its_executable_bit_is_said_and_mended(repo: Repository) -> None:
    repo.install()
    (repo.hooks / "pre-commit").chmod(0o644)
    assert repo.states()["pre-commit"] == githooks.OFF
    repo.install()
    assert not repo.leaks()


def test_what_is_required_stays_required(repo: Repository) -> None:
    repo.install(required=True)
    repo.install()
    repo.commit()
    assert repo.tool.last()["arguments"] == ["commit-msg", "--known", "required", ".git/COMMIT_EDITMSG"]
    repo.install(required=False)
    repo.commit()
    assert repo.tool.last()["arguments"] == ["commit-msg", ".git/COMMIT_EDITMSG"]


def test_status_says_no_until_every_hook_is_there(repo: Repository) -> None:
    done = repo.command("hook", "status")
    assert done.status == 1
    assert done.out.count("missing") == 3
    assert "hint: chronos-secrets hook install" in done.err
    repo.foreign("commit-msg", "exit 0")
    done = repo.command("hook", "install")
    assert done.status == 0, done
    assert "commit-msg  installed; commit-msg.chronos-kept runs, too" in done.out
    assert repo.command("hook", "status").status == 0
    assert repo.command("hook", "uninstall").out.count("removed") == 3
    assert repo.command("hook", "status").status == 1


def test_status_tells_a_program_the_same(repo: Repository) -> None:
    repo.foreign("pre-push")
    repo.command("hook", "install")
    (repo.hooks / "commit-msg").unlink()
    done = repo.command("hook", "status", "--json")
    said = json.loads(done.out)
    assert (done.status, said["protected"], said["command"], said["hooks_path"]) == (1, False, "hook status", None)
    assert [(each["name"], each["state"], each["runs_kept"]) for each in said["hooks"]] == [
        ("pre-commit", "current", False), ("commit-msg", "missing", False), ("pre-push", "current", True)
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["hooks here", ".git/other", "{outside}/hooks"])
def test_a_hooks_path_of_this_repository_is_followed(repo: Repository, tmp_path: Path, path: str) -> None:
    path = path.format(outside=tmp_path)
    repo.git("config", "core.hooksPath", path)
    repo.write("deep/file", "x\n")
    at = githooks.place(str(repo.folder / "deep"))
    install.install(at, repo.tool.start)
    assert (repo.folder / path / "pre-commit").exists()
    assert not repo.leaks(at="deep")
    said = repo.command("hook", "status").err
    assert path in said
    assert ("keep them out of commits" in said) == (path == "hooks here")


def test_hooks_in_the_projects_commits_are_not_written_over(repo: Repository) -> None:
    repo.git("config", "core.hooksPath", ".githooks")
    repo.write(".githooks/pre-commit", "#!/bin/sh\nexit 0\n", mode=0o755)
    repo.commit(check=True)
    with pytest.raises(Trouble, match=r"\.githooks/pre-commit is in its commits") as refused:
        repo.install()
    assert repo.git("status", "--porcelain").out == ""
    line = refused.value.hint.partition(": ")[2].partition("    ")[0]
    for name in shim.HOOKS:
        repo.write(f".githooks/{name}", f"#!/bin/sh\n{line.replace('pre-commit', name)}\nexit 0\n", mode=0o755)
    assert set(repo.states().values()) == {githooks.CALLED}
    path = {**os.environ, "PATH": f"{repo.tool.bin}:{os.environ['PATH']}"}
    assert not repo.leaks(env=path)
    assert repo.commit(WORD, env=path).status == 1
    assert repo.commit("harmless", env=path).status == 0
    assert repo.commit(env=GUI).status == 1  # where the program is not found


def test_they_are_with_hooks_path(repo: Repository) -> None:
    repo.git("config", "core.hooksPath", ".githooks")
    repo.write(".githooks/pre-commit", "#!/bin/sh\nexit 3\n", mode=0o755)
    repo.git("add", "-A")
    repo.git("commit", "-q", "--no-verify", "-m", "hooks")
    assert repo.command("hook", "install").status == 5
    assert repo.command("hook", "install", "--hooks-path").status == 0
    assert run(".githooks/pre-commit", folder=repo.folder).status == 3
    repo.command("hook", "uninstall")
    assert "pre-commit" not in repo.git("status", "--porcelain").out


def _husky(repo: Repository) -> None:
    """What husky 9 makes: a folder of stubs that nobody edits, each of which runs the script a folder up."""
    repo.git("config", "core.hooksPath", ".husky/_")
    repo.write(".husky/_/.gitignore", "*")
    repo.write(
        ".husky/_/h",
        '#!/usr/bin/env sh\nn=$(basename "$0")\ns=$(dirname "$(dirname "$0")")/$n\n[ ! -f "$s" ] && exit 0\nsh -e "$s" "$@"\n',
    )
    for name in shim.HOOKS:
        repo.write(f".husky/_/{name}", '#!/usr/bin/env sh\n. "$(dirname "$0")/h"\n', mode=0o755)


def test_husky_is_told_how_to_start_ours(repo: Repository) -> None:
    _husky(repo)
    with pytest.raises(Trouble, match=r"\.husky/_ belong to husky") as refused:
        repo.install()
    assert 'the first line of .husky/pre-commit: chronos-secrets hook run pre-commit "$@"' in refused.value.hint
    assert set(repo.states().values()) == {githooks.FOREIGN}
    for name in shim.HOOKS:
        repo.write(f".husky/{name}", f"{install.called(name)}\n")
    assert set(repo.states().values()) == {githooks.CALLED}
    assert not repo.leaks(env={**os.environ, "PATH": f"{repo.tool.bin}:{os.environ['PATH']}"})


def test_a_comment_that_names_the_command_is_no_protection(repo: Repository) -> None:
    for name in shim.HOOKS:
        repo.foreign(name, f"# {install.called(name)}")
    assert set(repo.states().values()) == {githooks.FOREIGN}


def test_the_hooks_of_husky_run_besides_ours_where_somebody_insists(repo: Repository) -> None:
    _husky(repo)
    repo.write(".husky/pre-commit", "echo husky >&2\nexit 3\n")
    repo.install(shared=True)
    done = run(".husky/_/pre-commit", folder=repo.folder)
    assert (done.status, done.err) == (3, "husky\n")


def test_a_folder_that_serves_all_repositories_is_changed_only_for_somebody_who_says_so(repo: Repository) -> None:
    everywhere = Path(os.environ["XDG_CONFIG_HOME"]) / "git" / "hooks"
    repo.git("config", "--global", "core.hooksPath", str(everywhere))
    done = repo.command("hook", "install")
    assert (done.status, everywhere.exists()) == (5, False)
    assert "your other repositories" in done.err
    assert repo.command("hook", "install", "--hooks-path").status == 0
    assert not repo.leaks()
    assert repo.command("hook", "uninstall").status == 5
    assert not repo.leaks()
    assert repo.command("hook", "uninstall", "--hooks-path").status == 0
    assert list(everywhere.iterdir()) == []


@pytest.mark.parametrize("path", ["/dev/null", ""])
def test_hooks_that_are_switched_off_are_said(repo: Repository, path: str) -> None:
    repo.git("config", "core.hooksPath", path)
    done = repo.command("hook", "install")
    assert done.status == 5
    assert "git runs no hooks here" in done.err
    done = repo.command("hook", "status")
    assert done.status == 1
    assert "git runs no hooks here" in done.err
    assert run("sh", "-c", pasted(repo.command("hook", "install").err), folder=repo.folder).status == 0
    assert repo.command("hook", "install").status == 0


def test_a_hooks_folder_that_is_missing_is_made(repo: Repository) -> None:
    shutil.rmtree(repo.hooks)
    repo.install()
    assert not repo.leaks()


def test_a_bare_repository_gets_what_can_run_there(tmp_path: Path, tool: Tool) -> None:
    run("git", "init", "-q", "--bare", "bare.git", folder=tmp_path)
    at = githooks.place(str(tmp_path / "bare.git"))
    assert [each.name for each in install.install(at, tool.start)] == ["pre-push"]
    done = run(str(tool.bin / "chronos-secrets"), "hook", "status", folder=tmp_path / "bare.git")
    assert "in a bare repository only pre-push runs" in done.err


def test_outside_a_repository_there_is_a_sentence(tmp_path: Path, tool: Tool) -> None:
    for command in ("install", "uninstall", "status"):
        done = run(str(tool.bin / "chronos-secrets"), "hook", command, folder=tmp_path)
        assert done.status == 5
        assert done.err.startswith("error: git says: not a git repository")


def test_without_git_there_is_a_sentence(repo: Repository, tmp_path: Path) -> None:
    done = repo.command("hook", "install", env={**os.environ, "PATH": str(tmp_path)})
    assert (done.status, done.err.splitlines()[0]) == (5, "error: git is not installed, or not in a folder of PATH")


def test_a_read_only_repository_is_left_as_it_was(repo: Repository) -> None:
    foreign = repo.foreign("pre-commit", "exit 0")
    repo.hooks.chmod(0o555)
    # Root may write anywhere, unless it gives that up.
    command: Sequence[str] = (str(repo.tool.bin / "chronos-secrets"), "hook", "install")
    if os.geteuid() == 0:
        command = (require("setpriv"), "--bounding-set", "-dac_override,-dac_read_search", *command)
    before = foreign.read_bytes()
    done = run(*command, folder=repo.folder)
    repo.hooks.chmod(0o755)
    assert done.status == 5, done
    assert "cannot be written: permission denied" in done.err
    assert foreign.read_bytes() == before
    assert [path.name for path in repo.hooks.iterdir() if path.suffix != ".sample"] == ["pre-commit"]


def test_a_file_where_the_folder_of_hooks_should_be_is_said(repo: Repository) -> None:
    shutil.rmtree(repo.hooks)
    repo.hooks.write_text("")
    with pytest.raises(Trouble, match="cannot be written: file exists"):
        repo.install()
