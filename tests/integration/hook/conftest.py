"""Where the tests of the hooks take place."""

from pathlib import Path

import pytest

from tests.support.hooks import Repository, Tool, run
from tests.support.programs import require


@pytest.fixture(scope="module")
def _tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return Tool(tmp_path_factory.mktemp("tool"))


@pytest.fixture
def tool(_tool: Tool) -> Tool:
    """The module's installation, with nothing told yet. Tests that damage one make their own."""
    _tool.told.unlink(missing_ok=True)
    return _tool


@pytest.fixture
def repo(tmp_path: Path, tool: Tool) -> Repository:
    require("git")
    return Repository(tmp_path / "repo", tool)


@pytest.fixture
def remote(repo: Repository, tmp_path: Path) -> Repository:
    """The repository, with a remote that has its first commit."""
    run("git", "init", "-q", "--bare", "-b", "main", str(tmp_path / "remote.git"), folder=tmp_path)
    repo.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    repo.git("push", "-q", "origin", "main")
    return repo
