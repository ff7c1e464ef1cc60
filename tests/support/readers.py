"""The real programs that read rendered files back. Each `read_*` gives what the program holds after reading `file`.

One process reads a whole file of many keys, so that thousands of values cost a few seconds.
"""

import contextlib
import ctypes
import glob
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from dotenv import dotenv_values

from tests.support.programs import require

_NPM_DOTENV = "18.0.10"  # what npm serves; pinned, so that a run tomorrow tests the same reader
_ENVIRONMENT = dict(os.environ)  # as it was before any fixture: npm needs the real proxy and registry settings
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chronos-secrets-tests"


def _missing(sentence: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)


def _output(*argv: str, env: dict[str, str] | None = None) -> bytes:
    done = subprocess.run(argv, env=env or {}, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, f"{argv[0]} ended with {done.returncode}: {done.stderr[:500]!r}"
    assert not done.stderr, f"{argv[0]} complained: {done.stderr[:500]!r}"
    return done.stdout


def _pairs(items: Iterable[bytes]) -> dict[str, str]:
    return dict(item.decode("utf-8").split("=", 1) for item in items if item)


# --- KEY=value --------------------------------------------------------------------------------------------------------


def _read_shell(shell: str, file: Path) -> dict[str, str]:
    return _pairs(_output(require(shell), "-c", f'set -a; . "$0"; exec {require("env")} -0', str(file)).split(b"\0"))


def read_bash(file: Path) -> dict[str, str]:
    return _read_shell("bash", file)


def read_dash(file: Path) -> dict[str, str]:
    return _read_shell("dash", file)


def read_python_dotenv(file: Path) -> dict[str, str]:
    return {key: value or "" for key, value in dotenv_values(file, interpolate=True).items()}


def read_systemd(file: Path) -> dict[str, str]:
    """By the function behind EnvironmentFile=, out of systemd's library: a real unit would need systemd to run."""
    return _pairs(_load_env_file(str(file)))


def _load_env_file(path: str) -> list[bytes]:
    folders = ("/usr/lib/*/systemd", "/usr/lib/systemd", "/lib/systemd", "/usr/lib64/systemd")
    found = [path for folder in folders for path in glob.glob(f"{folder}/libsystemd-shared-*.so")]
    if not found:
        _missing("systemd's library libsystemd-shared is not installed")
    load = ctypes.CDLL(found[0]).load_env_file
    strings = ctypes.POINTER(ctypes.c_char_p)()
    load.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    status = load(None, os.fsencode(path), ctypes.byref(strings))
    assert status >= 0, f"systemd refuses the file: {os.strerror(-status)}"
    values: list[bytes] = []
    while strings and (item := strings[len(values)]) is not None:
        values.append(item)
    return values


def read_node(file: Path) -> dict[str, str]:
    """util.parseEnv, which must agree with what `node --env-file` puts into the environment."""
    show = "console.log(JSON.stringify(%s))"
    parse = show % "require('util').parseEnv(require('fs').readFileSync(process.argv[1], 'utf8'))"
    parsed = json.loads(_output(require("node"), "-e", parse, str(file)))
    loaded = json.loads(_output(require("node"), f"--env-file={file}", "-e", show % "process.env"))
    assert loaded == parsed, "node --env-file and util.parseEnv differ"
    return parsed


def read_npm_dotenv(file: Path) -> dict[str, str]:
    program = "console.log(JSON.stringify(require(process.argv[1]).parse(require('fs').readFileSync(process.argv[2]))))"
    return json.loads(_output(require("node"), "-e", program, str(_npm_dotenv()), str(file)))


def _npm_dotenv() -> Path:
    """The npm package `dotenv`, installed once per machine. Skips where npm cannot get it, but fails when CI is set."""
    home = _CACHE / f"npm-dotenv-{_NPM_DOTENV}"
    package = home / "node_modules" / "dotenv"
    if not package.is_dir():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as fresh:
            _npm_install(f"{fresh}/installed")
            with contextlib.suppress(OSError):  # a parallel run was faster
                (Path(fresh) / "installed").rename(home)
    return package


def _npm_install(prefix: str) -> None:
    Path(prefix).mkdir()
    argv = (require("npm"), "install", "--no-audit", "--no-fund", "--prefix", prefix, f"dotenv@{_NPM_DOTENV}")
    done = subprocess.run(argv, env=_ENVIRONMENT, cwd=prefix, capture_output=True, timeout=120, check=False)
    if done.returncode:
        _missing(f"npm cannot install dotenv: {done.stderr[-300:]!r}")


ASSIGNMENT_READERS: dict[str, Callable[[Path], dict[str, str]]] = {
    "bash": read_bash,
    "dash": read_dash,
    "python-dotenv": read_python_dotenv,
    "systemd": read_systemd,
    "node": read_node,
    "npm-dotenv": read_npm_dotenv,
}


# --- pgbackrest.conf --------------------------------------------------------------------------------------------------

_CIPHERED = "archive/demo/archive.info"  # the one file that the repository's own pass encrypts


def seal_repository(folder: Path, cipher_pass: str) -> str:
    """A repository in `folder` holding one file encrypted with exactly `cipher_pass`, which comes by the environment:
    no configuration file is parsed. Gives the options that every configuration for it needs."""
    options = f"repo1-path={folder / 'repo'}\nrepo1-cipher-type=aes-256-cbc\nlog-level-file=off\n"
    (folder / "repo").mkdir(parents=True)
    configuration = folder / "seal.conf"
    configuration.write_text(f"[global]\n{options}lock-path={folder}\n")
    argv = (require("pgbackrest"), f"--config={configuration}", "--stanza=demo", "repo-put", _CIPHERED)
    env = {"PGBACKREST_REPO1_CIPHER_PASS": cipher_pass}
    done = subprocess.run(argv, env=env, input=b"opened", capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return options


def opens_repository(configuration: Path) -> bool:
    """Whether pgbackrest reads from `configuration` the very pass that sealed the repository."""
    argv = (require("pgbackrest"), f"--config={configuration}", "--stanza=demo", "repo-get", _CIPHERED)
    done = subprocess.run(argv, env={}, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    return (done.returncode, done.stdout) == (0, b"opened")


# --- .pgpass ----------------------------------------------------------------------------------------------------------


def read_pgpass(file: Path, connections: Sequence[dict[str, str]]) -> list[str]:
    """The password that libpq finds in `file` for each connection (host, port, dbname, user); "" where it finds none.

    libpq looks before it connects, so no server is needed: the address given to it is one where nobody listens.
    """
    try:
        libpq = ctypes.CDLL("libpq.so.5")
    except OSError:
        _missing("libpq is not installed")
    libpq.PQconnectStart.restype, libpq.PQconnectStart.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    libpq.PQpass.restype, libpq.PQpass.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    libpq.PQfinish.restype, libpq.PQfinish.argtypes = None, [ctypes.c_void_p]
    file.chmod(0o600)
    return [_password(libpq, {**wanted, "hostaddr": "127.0.0.1", "passfile": str(file)}) for wanted in connections]


def _password(libpq: ctypes.CDLL, parameters: dict[str, str]) -> str:
    quoted = {key: value.replace("\\", "\\\\").replace("'", "\\'") for key, value in parameters.items()}
    connection = libpq.PQconnectStart(" ".join(f"{key}='{value}'" for key, value in quoted.items()).encode())
    try:
        return (libpq.PQpass(connection) or b"").decode()
    finally:
        libpq.PQfinish(connection)


# --- ssh_config -------------------------------------------------------------------------------------------------------


def read_ssh(file: Path, host: str) -> dict[str, list[str]]:
    """What `ssh -G` says of `host`: every option with its values in order. Tokens such as %% are still unexpanded,
    but in hostname."""
    lines = _ssh("-G", "-F", str(file), host).stdout.decode().splitlines()
    options: dict[str, list[str]] = {}
    for line in lines:
        keyword, _, argument = line.partition(" ")
        options.setdefault(keyword, []).append(argument)
    return options


def identity_files_tried(file: Path, host: str) -> list[str]:
    """The names of the key files as ssh opens them, tokens expanded, while it connects to a program that hangs up."""
    talk = _ssh("-v", "-o", "ProxyCommand=true", "-F", str(file), host).stderr.decode()
    marks = [line.partition("identity file ")[2] for line in talk.splitlines() if "identity file " in line]
    return [mark.rpartition(" type ")[0] for mark in marks if not mark.rpartition(" type ")[0].endswith("-cert")]


def _ssh(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    argv = (require("ssh"), *arguments)
    return subprocess.run(argv, env={}, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
