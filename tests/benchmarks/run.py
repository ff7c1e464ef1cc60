"""`python -m tests.benchmarks.run`: CPU of whole commands against named peers, in one run; writes docs/benchmarks.md.

The commands take turns (A B C A B C …), so that a machine whose speed drifts slows all of them alike. CPU is what the
operating system accounts to the finished processes (user + system). The package is installed from a wheel into a
virtual environment of its own: an editable install costs every start of Python an import hook.
"""

import argparse
import os
import platform
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import relay, scanning

TOP = Path(__file__).parents[2]
PASSWORD = "correct horse battery staple"


class Cost(NamedTuple):
    """CPU seconds (median) and peak memory (MiB, greatest) of one command."""

    cpu: float
    memory: float


class Bench(NamedTuple):
    """The folder in which everything lies, and the programs."""

    folder: Path
    python: str
    chronos: str


def main() -> None:
    """Measure, print, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=9)
    runs = arguments.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        bench = _prepared(Path(folder))
        lines = _report(bench, runs)
        # not before: a child's peak memory is counted from what its parent had, and this has the tests' own worlds
        from tests.benchmarks import backups

        lines += backups.report(bench.chronos, bench.folder / "backups", runs)
        text = "\n".join([*lines, *scanning.report(_scanner(bench), runs)])
    (TOP / "docs/benchmarks.md").write_text(text)
    sys.stdout.write(text)


def _prepared(folder: Path) -> Bench:
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = str(folder / "venv/bin/python")
    subprocess.run([python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", str(TOP)], check=True)
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o600)
    for entries in (15, 5000):
        # in a process of its own: a child's peak memory is counted from what its parent had when it started
        world = (
            f"from tests.benchmarks.run import _world, Path; _world(Path({str(folder)!r}) / 'n{entries}', {entries})"
        )
        subprocess.run([python, "-c", world], check=True, cwd=TOP)
    _aes_world(folder / "aes")
    return Bench(folder, python, str(folder / "venv/bin/chronos-secrets"))


def _scanner(bench: Bench) -> scanning.World:
    """A home where the vault of 400 entries was open once, and the peers."""
    home = bench.folder / "home"
    home.mkdir()
    world = f"from tests.benchmarks.run import _world, Path; _world(Path({str(bench.folder)!r}) / 'n400', 400)"
    subprocess.run([bench.python, "-c", world], check=True, cwd=TOP)
    opened = [bench.chronos, *_given(bench, bench.folder / "n400", "render")]
    subprocess.run(opened, check=True, env={**os.environ, "HOME": str(home)}, capture_output=True)
    return scanning.World(bench.folder, bench.chronos, scanning.install_peers(bench.folder), home)


def _world(folder: Path, entries: int) -> None:
    """A vault of `entries` entries with KeePassXC's usual Argon2 settings, and twenty of its secrets in two files."""
    from pykeepass import create_database

    folder.mkdir()
    made = create_database(str(folder / "vault.kdbx"), password=PASSWORD)
    group = made.add_group(made.root_group, "Services")
    for number in range(max(entries, 15)):
        made.add_entry(group, f"entry {number}", f"user{number}", secrets.token_urlsafe(24), notes="n" * 40)
    parameters = made.kdbx.header.value.dynamic_header.kdf_parameters.data.dict
    parameters["I"].value, parameters["M"].value, parameters["P"].value = 6, 64 * 1024 * 1024, 2
    made.save()
    _inventory(folder, entries)


def _inventory(folder: Path, entries: int) -> None:
    """Twenty secrets: each entry's password, and for small vaults some user names too."""
    asked = [(n * entries // 20 if entries >= 20 else n % 15, "token" if n < 15 else "username") for n in range(20)]
    rows = "".join(
        f"  c{number}: {{kind: api-token, title: T, entry: Services/entry {number}, never: a benchmark}}\n"
        for number in sorted({number for number, _ in asked})
    )
    halves = {"one": asked[:10], "two": asked[10:]}
    destinations = "".join(
        f"  {name}: {{path: {name}.env, dialect: dotenv, template: {name}.j2, uses: {{"
        + ", ".join(f"t{number}: c{number}" for number in sorted({number for number, _ in half}))
        + "}}\n"
        for name, half in halves.items()
    )
    for name, half in halves.items():
        lines = (f"{field.upper()}_{number}={{{{ t{number}.{field} }}}}\n" for number, field in half)
        (folder / f"{name}.j2").write_text("".join(lines))
    head = f"version: 1\nproject: bench-{entries}\ntimezone: UTC\nowner: operator\nvault: {{path: vault.kdbx}}\n"
    (folder / "inventory.yaml").write_text(f"{head}credentials:\n{rows}destinations:\n{destinations}")


def _aes_world(folder: Path) -> None:
    """The file that Debian's keepassxc-cli makes by default: KDBX 3.1, AES-KDF with 1,000,000 rounds."""
    folder.mkdir()
    twice = f"{PASSWORD}\n{PASSWORD}\n".encode()
    made = ["keepassxc-cli", "db-create", "-q", "-p", str(folder / "vault.kdbx")]
    subprocess.run(made, input=twice, check=True, capture_output=True)
    once = f"{PASSWORD}\nthe value\n".encode()
    added = ["keepassxc-cli", "add", "-q", "-p", str(folder / "vault.kdbx"), "entry"]
    subprocess.run(added, input=once, check=True, capture_output=True)
    head = "version: 1\nproject: bench-aes\ntimezone: UTC\nowner: operator\nvault: {path: vault.kdbx}\n"
    row = "credentials:\n  c: {kind: api-token, title: T, entry: entry, never: a benchmark}\n"
    (folder / "inventory.yaml").write_text(head + row)


def _report(bench: Bench, runs: int) -> list[str]:
    small, large, aes = (bench.folder / name for name in ("n15", "n5000", "aes"))
    fast = _measured(
        runs * 2,
        {
            "python -c pass": [bench.python, "-c", "pass"],
            "chronos-secrets --version": [bench.chronos, "--version"],
            "chronos-secrets --help": [bench.chronos, "--help"],
            "import click": [bench.python, "-c", "import click"],
            "due, Project Chronos": [bench.chronos, "due", "--inventory", str(TOP / "inventory.yaml")],
            "due, 1000 credentials": [bench.chronos, "due", "--inventory", str(_thousand(bench.folder))],
        },
    )
    whole = _measured(
        runs,
        {
            "show 15": _show(small, "Services/entry 3"),
            "render 15": _render(bench, small),
            "pykeepass 15": _bare(bench, small),
            "show 5000": _show(large, "Services/entry 3"),
            "render 5000": _render(bench, large),
            "pykeepass 5000": _bare(bench, large),
            "get aes": [bench.chronos, *_given(bench, aes, "get", "c")],
            "due --unlock": [bench.chronos, *_given(bench, small, "due", "--unlock")],
            "rotate, nothing due": [bench.chronos, *_given(bench, small, "rotate", "tokens", "--yes")],
        },
    )
    rows = [
        ("`render`, 15 entries, over one `keepassxc-cli show`", whole["render 15"].cpu / whole["show 15"].cpu, "1.35"),
        ("`render`, 5,000 entries, over one `keepassxc-cli show`", whole["render 5000"].cpu / whole["show 5000"].cpu, "1.6"),
        ("peak memory of `render`, 15 entries, over a bare pykeepass open",
         whole["render 15"].memory / whole["pykeepass 15"].memory, "1.1"),
        ("peak memory of `render`, 5,000 entries, over a bare pykeepass open",
         whole["render 5000"].memory / whole["pykeepass 5000"].memory, "1.1"),
        ("`--version` over `python -c pass`",
         fast["chronos-secrets --version"].cpu / fast["python -c pass"].cpu, "2.2"),
        ("`due`, locked, over `python -c 'import click'`", fast["due, Project Chronos"].cpu / fast["import click"].cpu, "4"),
        ("`--help` over `python -c pass`", fast["chronos-secrets --help"].cpu / fast["python -c pass"].cpu, "5.5"),
        ("`rotate` with nothing due over `due --unlock`",
         whole["rotate, nothing due"].cpu / whole["due --unlock"].cpu, "1.2"),
        relay.row(),
    ]  # fmt: skip
    return [
        "# Benchmarks",
        "",
        "Written by `make bench`: CPU (user + system) of whole processes, medians of commands that take turns.",
        f"{datetime.now(UTC).date().isoformat()}, {_machine()}, Python {platform.python_version()}, {_peer()}.",
        "",
        "`render`: twenty secrets into two dotenv files, from a vault with KeePassXC's usual Argon2 settings (Argon2d, 6 passes,",
        "64 MiB, 2 lanes). The peer shows one password of the same file; a script would call it once per secret.",
        "",
        "| ratio | measured | goal |",
        "| --- | --- | --- |",
        *(f"| {what} | {ratio:.2f} | ≤ {goal} |" for what, ratio, goal in rows),
        f"| `get` from the default file of keepassxc-cli (AES-KDF, 1,000,000 rounds), CPU seconds | {whole['get aes'].cpu:.2f} | < 1 |",
        f"| `due` of 1,000 credentials, CPU seconds | {fast['due, 1000 credentials'].cpu:.2f} | < 0.7 |",
        f"| `due` of 1,000 credentials, peak MiB | {fast['due, 1000 credentials'].memory:.0f} | < 120 |",
        "",
        "| command | CPU s | peak MiB |",
        "| --- | --- | --- |",
        *(f"| {name} | {cost.cpu:.3f} | {cost.memory:.0f} |" for name, cost in {**fast, **whole}.items()),
        "",
    ]


def _thousand(folder: Path) -> Path:
    """An inventory of 1,000 credentials."""
    path = folder / "thousand.yaml"
    rows = (
        f"  c{n}: {{kind: api-token, title: T {n}, entry: Group/Entry {n}, every: {1 + n % 11} months, rotated: 2026-0{1 + n % 9}-10}}\n"
        for n in range(1000)
    )
    path.write_text("version: 1\nproject: thousand\nvault: {path: vault.kdbx}\ncredentials:\n" + "".join(rows))
    return path


def _show(folder: Path, entry: str) -> list[str]:
    return ["keepassxc-cli", "show", "-q", "-a", "Password", str(folder / "vault.kdbx"), entry]


def _bare(bench: Bench, folder: Path) -> list[str]:
    opened = "import sys; from pykeepass import PyKeePass; PyKeePass(sys.argv[1], sys.argv[2])"
    return [bench.python, "-c", opened, str(folder / "vault.kdbx"), PASSWORD]


def _render(bench: Bench, folder: Path) -> list[str]:
    return [bench.chronos, *_given(bench, folder, "render")]


def _given(bench: Bench, folder: Path, command: str, *words: str) -> Sequence[str]:
    password = str(bench.folder / "password")
    return (command, *words, "--inventory", str(folder / "inventory.yaml"), "--password-file", password)


def _measured(runs: int, commands: dict[str, list[str]]) -> dict[str, Cost]:
    spent: dict[str, list[Cost]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            cost = _cost(command)
            if turn:  # the first turn fills the disk's cache
                spent[name].append(cost)
    return {
        name: Cost(statistics.median(cost.cpu for cost in costs), max(cost.memory for cost in costs))
        for name, costs in spent.items()
    }


def _cost(command: list[str]) -> Cost:
    environment = {**os.environ, "HOME": str(Path(command[0]).parent)}
    reader, writer = os.pipe()
    os.write(writer, f"{PASSWORD}\n".encode())
    os.close(writer)
    for stale in Path(tempfile.gettempdir()).glob("*/n*/*.env"):
        stale.unlink()
    process = subprocess.Popen(
        command, stdin=reader, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    os.close(reader)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # 1 is an answer
        raise SystemExit(f"{' '.join(command[:3])} failed with {process.returncode}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    return f"{os.cpu_count()} cores {model}".strip()


def _peer() -> str:
    version = subprocess.run(["keepassxc-cli", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return f"keepassxc-cli {version}"


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash must not leave a vault's values behind
    main()
