"""The pre-commit framework, beside ours and running ours, and the script by which it does."""

import json
import os
import shutil
from pathlib import Path

import pytest

from chronos_secrets.scan import githooks, shim
from tests.support.commands import SOURCES, Done
from tests.support.hooks import FRAMEWORK, GUI, WORD, Repository, Tool, run
from tests.support.programs import require

_IDS = ("chronos-secrets", "chronos-secrets-commit-msg", "chronos-secrets-push")


@pytest.fixture
def framework(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository for the real framework, which may not reach the network."""
    monkeypatch.setenv("PATH", f"{repo.tool.bin}:{Path(require('pre-commit')).parent}:{os.environ['PATH']}")
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    return repo


def _configure(repo: Repository, text: str) -> None:
    """Configure the framework and install its hooks, as its documentation says."""
    repo.write(".pre-commit-config.yaml", text)
    repo.git("add", ".pre-commit-config.yaml")
    types = [word for name in shim.HOOKS for word in ("-t", name)]
    done = run("pre-commit", "install", *types, folder=repo.folder)
    assert done.status == 0, done


@pytest.fixture
def cloned(framework: Repository, tmp_path: Path, tool: Tool) -> Repository:
    """A repository whose framework has cloned ours, where the scanner is the stand-in."""
    ours = Repository(tmp_path / "ours", tool)
    for name in ("hooks", ".pre-commit-hooks.yaml"):
        source = SOURCES / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, ours.folder / name)
    shutil.copytree(tool.site / "chronos_secrets" / "scan", ours.folder / "chronos_secrets" / "scan")
    (ours.folder / "chronos_secrets" / "__init__.py").touch()
    ours.commit(check=True)
    ours.git("tag", "v1")
    hooks = "".join(f"      - id: {name}\n" for name in _IDS)
    _configure(framework, f"repos:\n  - repo: {ours.folder}\n    rev: v1\n    hooks:\n{hooks}")
    return framework


def test_the_framework_runs_ours_from_a_clone(cloned: Repository) -> None:
    assert not cloned.leaks()
    told = cloned.tool.last()
    assert (told["arguments"], told["isolated"], told["no_site"]) == (["pre-commit"], 1, 1)
    assert cloned.commit(WORD).status == 1
    assert cloned.tool.last()["arguments"] == ["commit-msg", ".git/COMMIT_EDITMSG"]
    assert cloned.commit("harmless").status == 0
    assert set(cloned.states().values()) == {githooks.FRAMEWORK}
    assert [each.done for each in cloned.install()] == ["already started by the hook that is there"] * 3


def test_the_framework_runs_ours_on_a_first_push_and_on_later_ones(cloned: Repository, tmp_path: Path) -> None:
    run("git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "remote.git"), folder=tmp_path)
    cloned.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    cloned.commit("config", check=True)
    for branch, old in (("main", "0" * 40), ("main", None), ("side", "fork")):
        before = cloned.git("rev-parse", "HEAD").out.strip()
        if branch == "side":
            cloned.git("switch", "-q", "-c", "side")
        if old is None or branch == "side":
            cloned.commit("next", check=True)
        cloned.git("push", "-q", "origin", branch)
        told = cloned.tool.last()
        head = cloned.git("rev-parse", "HEAD").out.strip()
        assert told["arguments"] == ["pre-push", "origin", str(tmp_path / "remote.git")]
        known = old if old == "0" * 40 else before
        assert told["pushed"] == f"refs/heads/{branch} {head} refs/heads/{branch} {known}\n"
    cloned.write("leak", WORD)
    cloned.git("add", "leak")
    cloned.git("commit", "-q", "--no-verify", "-m", "leak")
    assert cloned.git("push", "origin", "side", check=False).status == 1


def test_a_message_that_the_framework_does_not_hand_over_blocks(cloned: Repository) -> None:
    config = cloned.folder / ".pre-commit-config.yaml"
    cloned.write(".pre-commit-config.yaml", f"exclude: COMMIT_EDITMSG\n{config.read_text()}")
    done = cloned.commit("harmless")
    assert done.status == 1
    assert "did not name the message's file" in done.text


def test_a_push_that_the_framework_says_nothing_of_blocks(cloned: Repository) -> None:
    done = run("pre-commit", "run", "--hook-stage", "pre-push", folder=cloned.folder)
    assert done.status == 1
    assert "did not say what is pushed" in done.text


_LOCAL = """\
repos:
  - repo: local
    hooks:
"""
_LOCAL_HOOK = """\
      - id: {id}
        name: {id}
        language: system
        entry: chronos-secrets hook run {name} --known required
        always_run: true
        pass_filenames: {files}
        stages: [{name}]
"""


def test_the_framework_runs_the_installed_program(framework: Repository, tmp_path: Path) -> None:
    hooks = "".join(
        _LOCAL_HOOK.format(id=f"secrets-{name}", name=name, files=str(name == "commit-msg").lower())
        for name in shim.HOOKS
    )
    _configure(framework, _LOCAL + hooks)
    assert not framework.leaks()
    assert framework.commit(WORD).status == 1
    assert framework.tool.last()["arguments"] == ["commit-msg", "--known", "required", ".git/COMMIT_EDITMSG"]
    assert framework.commit("harmless").status == 0
    run("git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "remote.git"), folder=tmp_path)
    framework.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    framework.git("push", "-q", "origin", "main")
    assert framework.tool.last()["arguments"][-2:] == ["origin", str(tmp_path / "remote.git")]
    assert set(framework.states().values()) == {githooks.FRAMEWORK}


_OTHER = """\
repos:
  - repo: local
    hooks:
      - {id: other, name: other, language: system, entry: sh -c 'echo the other ran; exit 1', always_run: true}
"""


def test_the_hooks_of_the_framework_run_besides_ours(framework: Repository) -> None:
    _configure(framework, _OTHER)
    done = framework.command("hook", "install")
    assert done.status == 0, done
    assert (
        "add chronos-secrets, chronos-secrets-commit-msg, chronos-secrets-push to .pre-commit-config.yaml" in done.err
    )
    assert "the other ran" in framework.commit().text
    _configure(framework, _OTHER.replace("exit 1", "exit 0"))
    assert not framework.leaks()


def test_a_framework_that_is_installed_again_runs_ours_as_its_legacy_hook(framework: Repository) -> None:
    _configure(framework, _OTHER.replace("exit 1", "exit 0"))
    framework.install()
    _configure(framework, _OTHER.replace("exit 1", "exit 0"))
    assert set(framework.states().values()) == {githooks.CURRENT}
    assert not framework.leaks()
    assert framework.commit(check=True).text.count("Passed") <= 3
    assert [each.done for each in framework.install()] == ["already there"] * 3
    framework.tool = Tool(framework.folder.parent)
    assert [each.done for each in framework.install()] == ["refreshed"] * 3
    assert [each.done for each in framework.uninstall()] == ["removed"] * 3
    assert framework.leaks()
    names = {path.name for path in framework.hooks.iterdir() if path.suffix != ".sample"}
    assert names == set(shim.HOOKS)


def test_a_framework_that_is_installed_over_ours_with_force_is_kept_next_time(framework: Repository) -> None:
    _configure(framework, _OTHER.replace("exit 1", "exit 0"))
    framework.install()
    for name in shim.HOOKS:
        assert run("pre-commit", "install", "-f", "-t", name, folder=framework.folder).status == 0
    assert set(framework.states().values()) == {githooks.FOREIGN}
    older = framework.hooks / ("pre-commit" + shim.KEPT)
    older.write_text(older.read_text() + "# of an older version\n")
    framework.install()
    assert "older" not in older.read_text()
    assert not framework.leaks()


def test_a_configuration_that_names_ours_protects_nobody_who_did_not_install_it(repo: Repository) -> None:
    repo.write(".pre-commit-config.yaml", "repos:\n  - repo: x\n    hooks:\n      - id: chronos-secrets\n")
    done = repo.command("hook", "status")
    assert done.status == 1
    assert "names our pre-commit, but it is not installed: pre-commit install -t pre-commit" in done.err
    said = json.loads(repo.command("hook", "status", "--json").out)
    assert said["framework"]["names"] == {"pre-commit": True, "commit-msg": False, "pre-push": False}


def test_a_configuration_protects_nobody_whose_hooks_are_not_those_of_the_framework(repo: Repository) -> None:
    ids = "".join(f"      - id: {name}\n" for name in _IDS)
    repo.write(".pre-commit-config.yaml", f"repos:\n  - repo: x\n    hooks:\n{ids}")
    for name in shim.HOOKS:
        repo.foreign(name)
    assert set(repo.states().values()) == {githooks.FOREIGN}
    for name in shim.HOOKS:
        repo.write(f".git/hooks/{name}", FRAMEWORK, mode=0o644)
    assert set(repo.states().values()) == {githooks.FOREIGN}
    for name in shim.HOOKS:
        repo.write(f".git/hooks/{name}", FRAMEWORK, mode=0o755)
    assert set(repo.states().values()) == {githooks.FRAMEWORK}


@pytest.mark.parametrize(
    "line", ["# - id: chronos-secrets", "- id: chronos-secrets-extra", "- id: not-chronos-secrets"]
)
def test_another_id_is_not_ours(repo: Repository, line: str) -> None:
    repo.write(".pre-commit-config.yaml", f"repos:\n  - repo: x\n    hooks:\n      {line}\n")
    for name in shim.HOOKS:
        repo.hooks.mkdir(exist_ok=True)
        (repo.hooks / name).write_text(FRAMEWORK)
        (repo.hooks / name).chmod(0o755)
    assert set(repo.states().values()) == {githooks.FOREIGN}


# The script for clones finds a Python


@pytest.fixture
def script(tool: Tool) -> Path:
    """The script of hooks/, beside the stand-in."""
    target = tool.site / "hooks" / "chronos-secrets"
    target.parent.mkdir(exist_ok=True)
    shutil.copy2(SOURCES / "hooks" / "chronos-secrets", target)
    return target


def _pythons(folder: Path, **programs: str) -> str:
    """A folder of programs named python3…; `real` stands for the interpreter of these tests."""
    folder.mkdir(parents=True)
    for name, body in programs.items():
        path = folder / name.replace("_", ".")
        path.write_text(f"#!/bin/sh\n{body.replace('real', shim.installation().python)}\n")
        path.chmod(0o755)
    return str(folder)


def test_a_python_that_is_too_old_or_broken_is_passed_over(script: Path, repo: Repository, tmp_path: Path) -> None:
    old = _pythons(tmp_path / "old", python3="exit 97", python3_11="exec /nonexistent/python", python3_12="exit 126")
    good = _pythons(tmp_path / "good", python3_13=f'echo x >> {tmp_path}/used; exec real "$@"')
    assert run(str(script), "pre-commit", folder=repo.folder, env={"PATH": f"{old}:{good}:/usr/bin"}).status == 0
    assert (tmp_path / "used").read_text() == "x\n"
    repo.write("leak", WORD)
    repo.git("add", "leak")
    done = run(str(script), "pre-commit", folder=repo.folder, env={"PATH": f"{old}:{good}:/usr/bin"})
    assert done.status == 1
    assert done.err.endswith("\nerror: a leak\n")


def test_the_interpreter_is_asked_its_version_itself(script: Path, repo: Repository, tmp_path: Path) -> None:
    """Nobody has a Python that is too old at hand in every test, but the question is in the script."""
    asks = 'case "$*" in *"sys.version_info < (3, 11)"*"sys.exit(97)"*) exit 97 ;; esac; exit 0'
    folder = _pythons(tmp_path / "asks", python3=asks)
    good = _pythons(tmp_path / "good", python3=f'echo x > {tmp_path}/used; exec real "$@"')
    assert run(str(script), "pre-commit", folder=repo.folder, env={"PATH": f"{folder}:{good}:/usr/bin"}).status == 0
    assert (tmp_path / "used").exists()


def test_a_shim_of_pyenv_is_not_run_but_what_it_stands_for(script: Path, repo: Repository, tmp_path: Path) -> None:
    shims = _pythons(tmp_path / "pyenv" / "shims", python3="echo shim >&2; exit 0")
    _pythons(tmp_path / "pyenv" / "versions" / "3.10.9" / "bin", python3="echo old >&2; exit 0")
    _pythons(tmp_path / "pyenv" / "versions" / "3.12.4" / "bin", python3=f'echo x > {tmp_path}/used; exec real "$@"')
    done = run(str(script), "pre-commit", folder=repo.folder, env={"PATH": f"{shims}:/usr/bin"})
    assert done == Done(0, "", "")
    assert (tmp_path / "used").exists()


def test_a_python_in_the_repository_is_never_run(script: Path, repo: Repository) -> None:
    evil = repo.write("python3", "#!/bin/sh\necho evil >&2; exit 0\n", mode=0o755)
    shutil.copy2(evil, repo.folder / "python3.13")
    for path in (":/usr/bin", ".:/usr/bin", "/usr/bin:", "../repo:/usr/bin"):
        assert "evil" not in run(str(script), "pre-commit", folder=repo.folder, env={"PATH": path}).err


def test_without_a_python_the_script_blocks_with_a_sentence(script: Path, repo: Repository, tmp_path: Path) -> None:
    text = script.read_text()
    assert text.count(":/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin") == 1
    script.write_text(text.replace(":/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin", ""))
    for path in (str(tmp_path), ""):
        done = run(str(script), "pre-commit", folder=repo.folder, env={"PATH": path})
        assert done.status == 5
        assert done.err.startswith("error: pre-commit is blocked: there is no Python 3.11 or newer\nhint: ")


def test_without_the_package_the_script_blocks_with_a_sentence(script: Path, repo: Repository, tmp_path: Path) -> None:
    alone = tmp_path / "hooks" / "chronos-secrets"
    alone.parent.mkdir()
    shutil.copy2(script, alone)
    done = run(str(alone), "pre-commit", folder=repo.folder)
    assert done.status == 5
    assert "chronos-secrets is not beside its hooks" in done.err


def test_the_script_is_found_by_a_relative_path_too(script: Path, repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "hooks").mkdir(parents=True)
    misleading = {**GUI, "CDPATH": str(tmp_path / "elsewhere")}
    for path, folder in (("chronos-secrets", script.parent), ("hooks/chronos-secrets", script.parents[1])):
        done = run("sh", path, "pre-commit", folder=folder, env=misleading)
        assert "is blocked" not in done.err
    assert len(repo.tool.all()) == 2
