"""Worlds with a mistake that nobody thought of: every command ends with a status of its own, and never in a traceback.

Seeded, so that a number names a world for ever: `CHRONOS_LONG=1` looks at 2,000 of them, CI at a share.
"""

import hashlib
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chronos_secrets.errors import Exit
from chronos_secrets.vault import kdf
from tests.support import chronos, vaults
from tests.support.commands import Aviary, Done, snapshot

WORLDS = 2_000 if os.environ.get("CHRONOS_LONG") else 400
SHARES = 8
SECONDS = 15.0  # of work; no world may keep a command busy for longer

YAML = (
    "\t", "\r", "\0", "\x85", "\u2028", "\ufeff", "&a ", "*a", "!!python/name:os.system ", "<<: ", "- ", "? ", ": ", "| ", "> ", "{", "}",
    "[", "]", '"', "'", "#", "%YAML 1.1\n", "---\n", "...\n", "0600", "1e999", "9" * 400, ".inf", "~", "null", "yes", "\n  ", "\\", "/",
    "\n" * 50, "[" * 60, "é", "\U0001f600", "template: builtin:env", "after: [[true]]", "uses: {}", "mode: 0777", "never: x",
)  # fmt: skip
JINJA = (
    "{{", "}}", "{%", "%}", "{#", "#}", "{{ cipher.passphrase }}", "{% if cipher %}", "{% endif %}", "{% else %}", "{% raw %}", "|", "|lower",
    "|urlencode", ".", "..", "''", '"', "'", "9" * 5000, "0x", "1_0", "()", "[0]", "not ", "and ", "in ", "for x in y", "set a = 1", "-", "~",
    "=", "A=", "\n", "\r\n", "\0", "#", "export ", "\\", "\u2028", "\ud7ff", "\U0001f600", "true", "none", "self", "loop", "cycler", "if", "elif",
)  # fmt: skip
TOML = (
    "[aviary]\n",
    "vault = ",
    "key_file = ",
    '"',
    "'",
    '"""',
    "[[aviary]]\n",
    "=",
    "\\u0000",
    "\0",
    "2026-01-01",
    "inf",
    "[" * 3000,
    "{",
    "\n",
)
LOCAL = (
    "# local:begin\n",
    "# local:end\n",
    "DATABASE_PASSWORD=",
    "'",
    '"',
    "`",
    "=",
    "\n",
    "\r",
    "\0",
    "export ",
    "\\",
    "$(",
    "# chronos-secrets: ",
)


def _mutated(text: bytes, words: tuple[str, ...], chance: random.Random) -> bytes:
    """One to four mistakes of the kinds that editors, merges, disks and enemies make."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((1, 1, 2, 8, 40, 400)))
        middle = chance.choice((
            b"", text[start:end] * 2, chance.choice(words).encode(), chance.choice(words).encode(), bytes([chance.randrange(256)]),
            text[start:end][::-1], text[start:end].swapcase(), _slice(text, chance),
        ))  # fmt: skip
        text = text[:start] + middle + text[chance.choice((start, end)) :]
    return text


def _slice(text: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(text) + 1)
    return text[start : start + chance.choice((5, 50, 500))]


def inventory(aviary: Aviary, chance: random.Random) -> None:
    base = aviary.inventory if chance.random() < 0.6 else chronos.INVENTORY
    aviary.inventory.write_bytes(_mutated(base.read_bytes(), YAML, chance))


def template(aviary: Aviary, chance: random.Random) -> None:
    base = (
        aviary.template.read_bytes() + b"{% if cipher %}B={{ cipher.passphrase | urlencode }}{% else %}C=1{% endif %}\n"
    )
    aviary.template.write_bytes(_mutated(base, JINJA, chance))


def vault(aviary: Aviary, chance: random.Random) -> None:
    content = aviary.vault.read_bytes()
    end = chance.choice((len(content), 300, 40))  # the header is what is read before anything is known to be true
    at = chance.randrange(min(end, len(content)))
    spoilt = chance.choice((
        content[:at], content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :], content[:at] + content[at + 1 :],
        content[:at] + chance.randbytes(chance.choice((1, 4, 64))) + content[at:], chance.randbytes(at), content + chance.randbytes(9),
    ))  # fmt: skip
    aviary.vault.write_bytes(spoilt)


def vault_with_a_true_checksum(aviary: Aviary, chance: random.Random) -> None:
    """A header that somebody changed on purpose: its checksum has no key, so anybody can make it right again."""
    content = bytearray(aviary.vault.read_bytes())
    end = _header_end(bytes(content))
    for _ in range(chance.randint(1, 3)):
        content[chance.randrange(12, end)] = chance.randrange(256)
    content[end : end + 32] = hashlib.sha256(content[:end]).digest()
    aviary.vault.write_bytes(content)


def _header_end(content: bytes) -> int:
    at = 12
    while True:
        kind, size = content[at], int.from_bytes(content[at + 1 : at + 5], "little")
        at += 5 + size
        if kind == 0:
            return at


def old_vault(aviary: Aviary, chance: random.Random) -> None:
    """KDBX 3.1 has no checksum over its header at all."""
    aviary.vault.unlink()
    (aviary.state / "vault-id").unlink()
    vaults.kdbx31(aviary.vault)
    aviary.password_file.write_text(vaults.PASSWORD)
    content = bytearray(aviary.vault.read_bytes())
    for _ in range(chance.randint(1, 3)):
        content[chance.randrange(chance.choice((200, len(content))))] = chance.randrange(256)
    aviary.vault.write_bytes(content)


def machine(aviary: Aviary, chance: random.Random) -> None:
    folder = aviary.home / ".config" / "chronos-secrets"
    folder.mkdir(parents=True)
    text = f'[aviary]\nvault = "{aviary.vault}"\n# key_file = ""\n[other]\nvault = "~/x"\n'
    (folder / "config.toml").write_bytes(_mutated(text.encode(), TOML, chance))


def destination(aviary: Aviary, chance: random.Random) -> None:
    aviary.env.write_bytes(_mutated(aviary.env.read_bytes() + b"# local:begin\nX=1\n# local:end\n", LOCAL, chance))


def state(aviary: Aviary, chance: random.Random) -> None:
    mark = aviary.state / "vault-id"
    mark.write_bytes(_mutated(mark.read_bytes(), YAML, chance))
    aviary.password_file.write_bytes(_mutated(aviary.password_file.read_bytes(), YAML, chance))


KINDS: tuple[tuple[Callable[[Aviary, random.Random], None], int], ...] = (
    (inventory, 8), (template, 6), (vault, 3), (vault_with_a_true_checksum, 2), (old_vault, 1), (machine, 2), (destination, 2), (state, 1),
)  # fmt: skip
COMMANDS = (
    ("check", "--offline"),
    ("check", "--json"),
    ("render", "--dry-run"),
    ("render", "--diff"),
    ("list",),
    ("config", "show"),
    ("get", "db"),
)


@pytest.fixture
def aviary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aviary:
    """A project whose files are rendered. A vault may not ask for as much work as usual: a minute each is too long."""
    for limit, fraction in (("_MEMORY_LIMIT", 64), ("_WORK_LIMIT", 100), ("_ROUNDS_LIMIT", 100)):
        monkeypatch.setattr(kdf, limit, getattr(kdf, limit) // fraction)
    made = Aviary(tmp_path)
    assert made.run("render").status == 0
    return made


def _complaints(aviary: Aviary, command: tuple[str, ...], done: Done, seconds: float) -> list[str]:
    """What is wrong with how a command ended; most are about what it must never be."""
    lines = done.err.splitlines()
    failed = done.status not in (Exit.OK, Exit.NO)
    shown = done.err if command[0] == "get" else done.text
    wrong = {
        "a bug": done.status == Exit.BUG,
        "an unknown status": done.status not in list(Exit),
        "a traceback": "Traceback" in done.text,
        "not one error line": sum(line.startswith("error: ") for line in lines)
        != (1 if failed and "--json" not in command else 0)
        and "--json" not in command,
        "no hint": failed and "--json" not in command and not any(line.startswith("hint: ") for line in lines),
        "a value": bool(aviary.leaked(shown)),
        "more than the lines it may have": len(lines) > 60,
        "too slow": seconds > SECONDS,
    }
    return [name for name, holds in wrong.items() if holds]


@pytest.mark.parametrize("share", range(SHARES))
def test_no_mutated_world_ends_in_a_traceback_or_shows_a_value_or_changes_a_file(aviary: Aviary, share: int):
    whole = aviary.root / "whole"
    for folder in (aviary.folder, aviary.home):
        shutil.copytree(folder, whole / folder.name, symlinks=True)
    password = aviary.password_file.read_bytes()
    kinds = [kind for kind, weight in KINDS for _ in range(weight)]
    for number in range(share, WORLDS, SHARES):
        chance = random.Random(number)
        spoil = chance.choice(kinds)
        spoil(aviary, chance)
        before = snapshot(aviary.root)
        for command in chance.sample(COMMANDS, 3):
            started = time.process_time()
            done = aviary.run(*command)
            wrong = _complaints(aviary, command, done, time.process_time() - started)
            assert not wrong, f"world {number} ({spoil.__name__}), {' '.join(command)}: {wrong}\n{done.err[-3000:]}"
        assert _without_state(snapshot(aviary.root)) == _without_state(before), f"world {number} ({spoil.__name__})"
        for folder in (aviary.folder, aviary.home):
            shutil.rmtree(folder)
            shutil.copytree(whole / folder.name, folder, symlinks=True)
        aviary.password_file.write_bytes(password)


def _without_state(world: dict[str, object]) -> dict[str, object]:
    """A command may note which vault a project has: that is all that it may write."""
    return {
        path: kept
        for path, kept in world.items()
        if "/chronos-secrets" not in path and not path.endswith(".local/state")
    }
