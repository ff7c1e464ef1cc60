"""Hooks that were there before ours: they are kept, run, respected, and put back as they were."""

import os
from pathlib import Path

import pytest

from chronos_secrets.scan import githooks, shim
from chronos_secrets.scan.found import Trouble
from tests.support.commands import Done
from tests.support.hooks import WORD, Repository, Tool, run
from tests.support.programs import require


def test_a_foreign_hook_is_kept_and_its_no_is_respected(repo: Repository) -> None:
    repo.foreign("pre-commit", "exit 3")
    repo.install()
    assert repo.commit().status == 1
    assert run(str(repo.hooks / "pre-commit"), folder=repo.folder).status == 3


def test_a_foreign_hook_gets_its_arguments(repo: Repository) -> None:
    repo.foreign("commit-msg")
    repo.install()
    assert repo.commit().status == 0
    assert repo.told() == ".git/COMMIT_EDITMSG\n"


def test_what_a_foreign_hook_adds_to_the_commit_is_looked_at(repo: Repository) -> None:
    repo.foreign("pre-commit", f"echo {WORD} > added && git add added")
    repo.foreign("commit-msg", f'echo {WORD} >> "$1"')
    repo.install()
    assert repo.commit().status == 1
    assert repo.tool.last()["arguments"] == ["pre-commit"]
    (repo.hooks / ("pre-commit" + shim.KEPT)).unlink()
    (repo.folder / "added").unlink()
    assert repo.commit().status == 1
    assert repo.tool.last()["arguments"][0] == "commit-msg"


def test_a_leak_is_blocked_whatever_a_foreign_hook_says(repo: Repository) -> None:
    for name in shim.HOOKS:
        repo.foreign(name, "exit 0")
    repo.install()
    assert not repo.leaks()


@pytest.mark.parametrize("name", ["pre-commit", "pre-push"])
def test_a_foreign_hook_that_is_not_executable_is_not_run(remote: Repository, name: str) -> None:
    remote.foreign(name, "exit 3", mode=0o644)
    remote.install()
    assert remote.commit().status == 0
    assert remote.git("push", "-q", "origin", "main").status == 0
    assert remote.told() is None
    done = remote.command("hook", "status")
    assert "not executable" in done.err
    assert "runs, too" not in done.out


def test_both_hooks_of_a_push_get_the_refs_byte_for_byte(remote: Repository) -> None:
    remote.foreign("pre-push", f"cat > {remote.hooks}/refs")
    remote.install()
    remote.commit("one")
    remote.git("tag", "v1")
    remote.git("push", "-q", "origin", "main", "v1")
    assert remote.tool.last()["pushed"] == remote.told("refs")
    assert [line.split()[0] for line in (remote.told("refs") or "").splitlines()] == ["refs/heads/main", "refs/tags/v1"]
    assert (remote.told("refs") or "").endswith("\n")
    assert remote.told() == "origin\n" + remote.git("remote", "get-url", "origin").out


def test_a_push_is_looked_at_before_a_foreign_hook_may_upload(remote: Repository) -> None:
    remote.foreign("pre-push")
    remote.install()
    remote.write("leak", WORD)
    remote.git("add", "leak")
    remote.git("commit", "-q", "--no-verify", "-m", "leak")
    assert remote.git("push", "origin", "main", check=False).status == 1
    assert remote.told() is None


def test_the_no_of_a_foreign_push_hook_is_respected(remote: Repository) -> None:
    remote.foreign("pre-push", "exit 3")
    remote.install()
    remote.commit("one")
    assert remote.git("push", "origin", "main", check=False).status == 1
    assert run(str(remote.hooks / "pre-push"), "origin", "url", folder=remote.folder).status == 3


@pytest.mark.parametrize(
    "refs",
    [b"", b"a\n\n\n", b"no end", b"%s \\n %d\n", b"refs/heads/x %b\n" * 40_000],
    ids=["none", "empty lines", "no end", "signs of printf", "many"],  # an id is in the environment of programs
)
def test_no_list_of_refs_is_changed_on_its_way(repo: Repository, refs: bytes) -> None:
    repo.foreign("pre-push", f"cat > {repo.hooks}/refs")
    repo.tool = Tool(repo.folder.parent)
    repo.tool.scanner.write_text(
        f"import sys\ndef main(a):\n    open({str(repo.hooks / 'seen')!r}, 'wb').write(sys.stdin.buffer.read())\n    return 0\n"
    )
    repo.install()
    assert run(str(repo.hooks / "pre-push"), "origin", "url", folder=repo.folder, stdin=refs).status == 0
    assert (repo.hooks / "seen").read_bytes() == (repo.hooks / "refs").read_bytes() == refs


def test_a_foreign_push_hook_that_reads_nothing_does_no_harm(repo: Repository) -> None:
    repo.foreign("pre-push", "exit 0")
    repo.tool = Tool(repo.folder.parent)
    repo.tool.scanner.write_text("def main(a):\n    return 0\n")
    repo.install()
    done = run(str(repo.hooks / "pre-push"), "origin", "url", folder=repo.folder, stdin=b"x" * 1_000_000)
    assert done == Done(0, "", "")


def test_refs_that_cannot_be_read_block_the_push(repo: Repository, tmp_path: Path) -> None:
    repo.foreign("pre-push", "exit 0")
    repo.install()
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run(str(repo.hooks / "pre-push"), "origin", "url", folder=repo.folder, env={"PATH": str(empty)})
    assert done.status == 5
    assert "could not be read" in done.err


def test_uninstalling_puts_back_exactly_what_was_there(repo: Repository) -> None:
    repo.foreign("pre-commit", "exit 0", mode=0o750)
    script = repo.write("scripts/message", "#!/bin/sh\nexit 0\n", mode=0o755)
    (repo.hooks / "commit-msg").symlink_to("../../scripts/message")
    before = {path.name: (path.lstat(), path.read_bytes()) for path in repo.hooks.iterdir()}
    repo.install()
    repo.install()
    assert repo.commit().status == 0
    assert [each.done for each in repo.uninstall()] == [
        "removed; the hook that was there before is back", "removed; the hook that was there before is back", "removed"
    ]  # fmt: skip
    (repo.hooks / "arguments").unlink()
    after = {path.name: (path.lstat(), path.read_bytes()) for path in repo.hooks.iterdir()}
    assert set(after) == set(before)
    for name, (status, content) in before.items():
        assert after[name][1] == content
        assert (after[name][0].st_mode, after[name][0].st_ino, after[name][0].st_mtime) == (
            status.st_mode, status.st_ino, status.st_mtime,
        )  # fmt: skip
    assert (repo.hooks / "commit-msg").readlink() == Path("../../scripts/message")
    assert script.exists()


def test_a_file_system_without_hard_links_keeps_a_foreign_hook_too(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    repo.foreign("pre-commit", "exit 3", mode=0o750)
    before = (repo.hooks / "pre-commit").read_bytes()
    repo.install()
    assert run(str(repo.hooks / "pre-commit"), folder=repo.folder).status == 3
    repo.uninstall()
    assert (repo.hooks / "pre-commit").read_bytes() == before
    assert (repo.hooks / "pre-commit").stat().st_mode & 0o777 == 0o750


def test_uninstalling_leaves_the_hooks_of_others_alone(repo: Repository) -> None:
    repo.foreign("pre-commit", "exit 3")
    assert [each.done for each in repo.uninstall()] == ["not ours, left alone", "was not there", "was not there"]
    assert repo.commit().status == 1


@pytest.mark.parametrize("shell", ["#!/bin/sh", "#!/usr/bin/env bash", "#! /bin/dash"])
def test_a_foreign_hook_that_asks_for_its_name_is_told_the_old_one(repo: Repository, shell: str) -> None:
    require("dash")
    repo.foreign(
        "commit-msg", f'basename "$0" > {repo.hooks}/name; echo "$1" >> {repo.hooks}/name; exit 3', first=shell
    )
    repo.install()
    assert repo.commit().status == 1
    assert repo.told("name") == "commit-msg\n.git/COMMIT_EDITMSG\n"


def test_a_script_of_bash_that_asks_whether_it_was_sourced_still_runs(repo: Repository) -> None:
    body = f'main() {{ basename "$0" > {repo.hooks}/ran; }}\nif [[ "${{BASH_SOURCE[0]}}" == "$0" ]]; then main; fi'
    repo.foreign("pre-commit", body, first="#!/bin/bash")
    repo.install()
    assert repo.commit().status == 0
    assert repo.told("ran") is not None


def test_a_hook_that_another_program_wrote_over_ours_is_kept_next_time(repo: Repository) -> None:
    repo.install()
    repo.foreign("pre-commit", "exit 3")
    assert repo.states()["pre-commit"] == githooks.FOREIGN
    repo.install()
    assert not repo.leaks()
    assert run(str(repo.hooks / "pre-commit"), folder=repo.folder).status == 3


def test_of_two_hooks_to_keep_none_is_lost(repo: Repository) -> None:
    repo.foreign("commit-msg", "exit 3")
    repo.install()
    repo.foreign("commit-msg", "exit 4")
    before = {path.name: path.read_bytes() for path in repo.hooks.iterdir()}
    with pytest.raises(Trouble, match=r"commit-msg was written by another program, and commit-msg\.chronos-kept"):
        repo.install()
    assert {path.name: path.read_bytes() for path in repo.hooks.iterdir()} == before


def test_uninstalling_loses_none_of_two_either(repo: Repository) -> None:
    repo.foreign("commit-msg", "exit 3")
    repo.install()
    repo.foreign("commit-msg", "exit 4")
    before = {path.name: path.read_bytes() for path in repo.hooks.iterdir() if "commit-msg" in path.name}
    repo.uninstall()
    assert {path.name: path.read_bytes() for path in repo.hooks.iterdir() if "commit-msg" in path.name} == before
