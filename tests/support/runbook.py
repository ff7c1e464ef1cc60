"""docs/runbook.md as a person at a terminal follows it: its commands, and Project Chronos in the state that they need.

`chapter` reads the commands; `Night` is the project, with the inventory of this repository, on a laptop of its own; its
database is that of a `Boxed` world, in a container behind ssh. `Night.follow` types the commands as they are printed.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import chronos
from tests.support.backup_hosts import Boxed
from tests.support.backups import STANZA
from tests.support.commands import SOURCES, Done, Terminal, accept, in_process
from tests.support.programs import require
from tests.support.sshd import Sshd
from tests.support.targets import no_proxy
from tests.support.vaults import CHEAP

RUNBOOK = SOURCES / "docs" / "runbook.md"
_STATUS = re.compile(r"\s+# exits ([0-9]+)$")
_ASSIGNMENT = re.compile(r"([A-Z]+)=(.*)")
_ANSI = re.compile(r"\x1b\[[0-9;]*[mK]")
_PATIENCE = 120.0  # seconds that one command may take


class Step(NamedTuple):
    """A line that a person types. `status` is what it exits with, `shows` are the lines that the page says it prints."""

    command: str
    status: int
    shows: tuple[str, ...]


def chapter(title: str) -> list[Step]:
    """The commands below a heading, until the next one of its level: the lines of its blocks of the language sh.

    A block `text` behind one is what its last command prints.
    """
    found: list[Step] = []
    for language, block in _blocks(_below(title, RUNBOOK.read_text())):
        if language == "sh":
            found += [_step(line) for line in block]
        elif language == "text":
            found[-1] = found[-1]._replace(shows=block)
    return found


def lines(text: str) -> list[str]:
    """Every line of a text that is to be typed."""
    return [line for language, found in _blocks(text) if language == "sh" for line in found]


def commands(text: str) -> list[str]:
    """Every command of ours that a text names, in its blocks and between its lines."""
    return [each for each in (*lines(text), *re.findall(r"`([^`\n]+)`", text)) if each.startswith("chronos-secrets ")]


def _below(title: str, text: str) -> str:
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*)", text, re.DOTALL | re.MULTILINE)
    assert found, f"the runbook has no chapter {title!r}"
    return re.split(rf"^#{{1,{len(found[1])}}} ", found[2], maxsplit=1, flags=re.MULTILINE)[0]


def _blocks(text: str) -> list[tuple[str, tuple[str, ...]]]:
    found = re.findall(r"^```([a-z]+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(language, tuple(line for line in body.splitlines() if line.strip())) for language, body in found]


def _step(line: str) -> Step:
    status = _STATUS.search(line)
    return Step(line, int(status[1]) if status else 0, ())


def admit(server: Sshd, public: str) -> None:
    """Let a server take a key, as its provider does where it is made."""
    (server.folder / "keys_of" / "deploy").write_text(public)


class Person(Terminal):
    """A program on a terminal, and who answers what it asks."""

    def answer(self, answers: Mapping[str, str]) -> Done:
        """Type an answer whenever the last that is shown ends with its question, until the program ends."""
        said, deadline = 0, time.monotonic() + _PATIENCE
        while self._child.poll() is None:
            assert time.monotonic() < deadline, f"the program does not end; it said: {self.shown!r}"
            self._read(0.1)
            for question, keys in answers.items():
                if self.shown[said:].rstrip().endswith(question):
                    said = len(self.shown)
                    self.type(f"{keys}\n")
        return self.end()


class Night:
    """Project Chronos, its operator's laptop, and the server on which its database is.

    The inventory is the repository's own, but for the names that the world has already; the words in the runbook that a
    person is told to edit are given to `follow`.
    """

    def __init__(self, folder: Path, world: Boxed, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.home, self._sshd = world, Path(os.environ["HOME"]), sshd
        self.folder = folder / "project-chronos"
        self.folder.mkdir()
        self.password = "open-" + os.urandom(12).hex()
        self._given: dict[str, str] = {}
        no_proxy(monkeypatch)
        self._install(folder / "programs", monkeypatch)
        self._write_inventory()
        self._make_vault()
        self._know_the_server()
        self._run("render", "pgbackrest", "--adopt", "--accept-repo-change")

    # --- what there is at dusk ------------------------------------------------------------------------------------

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.yaml"

    @property
    def vault(self) -> Path:
        return self.home / ".secrets" / "project-chronos.kdbx"

    def _install(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """chronos-secrets; and ssh, which takes its configuration from an account's home, whatever HOME says."""
        folder.mkdir()
        config, real = folder / "ssh_config", require("ssh")
        scripts = {
            "chronos-secrets": f'exec {sys.executable} -m chronos_secrets "$@"',
            "ssh": f'grep -q "^Include config.d/" ~/.ssh/config && cat ~/.ssh/config.d/* | sed "s,~/,$HOME/," > {config}.$$\n'
            f"exec {real} -F {config}.$$ -o UserKnownHostsFile=$HOME/.ssh/known_hosts -o GlobalKnownHostsFile=none "
            '-o IdentityAgent=none "$@"',
        }
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def _write_inventory(self) -> None:
        text, world = chronos.INVENTORY.read_text(), self.world
        for old, new in {
            "  stanza: chronos\n": f"  stanza: {STANZA}\n",
            "user: {name: pgbackrest-chronos": f"user: {{name: {world.user}",
            "bucket: {name: project-chronos-backups": f"bucket: {{name: {world.bucket}",
            "  database: chronos\n  role: chronos\n": "  database: birds\n  role: admin\n",
            "  archive_timeout: 5 minutes": "  archive_timeout: 1 minute",
            "  probe_tables: []": "  probe_tables: [public.sightings]",
        }.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        self.inventory.write_text(text)

    def _make_vault(self) -> None:
        key = self.world.key
        self.values = {
            "pgbackrest-chronos.access_key_id": key.id, "pgbackrest-chronos.secret_access_key": key.secret,
            "backup-cipher.passphrase": self.world.cipher, "ssh-lightsail.private_key": chronos.private_key(),
            "ssh-lightsail.address": f"ssh://deploy@127.0.0.1:{self._sshd.port}",
        }  # fmt: skip
        self.vault.parent.mkdir(mode=0o700)
        chronos.make_vault(self.vault, self.password, inventory=self.inventory, kdf=CHEAP, values=self.values)

    def _know_the_server(self) -> None:
        """What an earlier evening left: an ssh that reaches the server, and a server that knows the key."""
        ssh = self.home / ".ssh"
        ssh.mkdir(mode=0o700)
        (ssh / "config").write_text("Include config.d/*\n")
        (ssh / "known_hosts").write_text((self._sshd.folder / "known_hosts").read_text())
        self._run("render", "--host", "local")
        key = ssh / "aws-lightsail" / "chronos-prod-db"
        public = subprocess.run(
            (require("ssh-keygen"), "-y", "-f", key), capture_output=True, text=True, check=True
        ).stdout
        admit(self._sshd, public)

    def _run(self, *words: str) -> None:
        accept(self.inventory)
        password = self.folder.parent / "password"
        password.write_text(f"{self.password}\n")
        password.chmod(0o600)
        done = in_process(*words, "--password-file", password, folder=self.folder)
        assert done.status == 0, done.text

    # --- what the person does -------------------------------------------------------------------------------------

    def follow(self, steps: Sequence[Step], **edits: str) -> dict[str, str]:
        """Type the steps in order; what each printed. `edits` are the values of what the page says to edit."""
        shown: dict[str, str] = {}
        for step in steps:
            assigned = _ASSIGNMENT.fullmatch(step.command)
            if assigned:
                self._given[assigned[1]] = edits.get(assigned[1], assigned[2])
                continue
            shown[step.command] = self.type(step.command, status=step.status)
            _require_shown(step, shown[step.command])
        return shown

    def type(self, command: str, *, status: int = 0) -> str:
        """Type one line at the shell, and answer what it asks; what it printed."""
        given = "".join(f"{name}={value}\n" for name, value in self._given.items())
        person = Person(("/bin/bash", "-c", f"{given}{command}"), folder=self.folder)
        done = person.answer({".kdbx:": self.password, "[y/N]:": "y", "(yes/no/[fingerprint])?": "yes"})
        assert done.status == status, f"{command}\nexits {done.status}:\n{done.text}"
        leaked = [name for name, value in self.values.items() if value in done.text and "address" not in name]
        assert not leaked, f"{command} shows {leaked}"
        return _ANSI.sub("", done.text).replace("\r\n", "\n")

    # --- what happens ---------------------------------------------------------------------------------------------

    def lose_the_laptop(self) -> None:
        """All that a person has in a home is gone, and what lay in the project's folder outside of git."""
        for each in self.home.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
        (self.folder / ".env").unlink()


def _require_shown(step: Step, text: str) -> None:
    """The lines that the page shows are among those that were printed, in that order.

    A number stands for any number, and … for anything.
    """
    printed = [re.sub("[0-9]+", "0", line).rstrip() for line in text.splitlines()]
    at = 0
    for line in step.shows:
        wanted = ".*".join(re.escape(part) for part in re.sub("[0-9]+", "0", line).split("…"))
        while at < len(printed) and not re.fullmatch(wanted, printed[at]):
            at += 1
        assert at < len(printed), f"{step.command}\ndoes not show\n{line}\nbut\n{text}"
