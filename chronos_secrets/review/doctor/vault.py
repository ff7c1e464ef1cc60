"""The vault file and what lies around it. Its header is read without a password; `--unlock` looks inside, too."""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from chronos_secrets.errors import VaultMissing
from chronos_secrets.review import check
from chronos_secrets.review.doctor.machine import Line, Machine, Project, failed, note, ok, wrong
from chronos_secrets.systems import files
from chronos_secrets.vault import conflicted, kdbx, store
from chronos_secrets.vault.kdf import MEBIBYTE, Kdf

LEAST_MEMORY, LEAST_WORK = 19 * MEBIBYTE, 3 * 64 * MEBIBYTE
"""What Argon2 should cost: OWASP's least memory (Password Storage Cheat Sheet), and as much work, memory times passes,
as the second choice of RFC 9106, section 4: 64 MiB and 3 passes. Whoever has the file may guess for years."""
LEAST_ROUNDS = 600_000
"""What AES-KDF should cost: as many rounds as OWASP asks of PBKDF2-HMAC-SHA256. It needs no memory, unlike Argon2."""
_UPGRADE = "chronos-secrets vault upgrade"
_STRONGER = "in KeePassXC: Database > Database Security > Encryption Settings: a decryption time of 1 s or more"


def examine(machine: Machine) -> Iterator[Line]:
    """Format, strength, permissions and place of the vault file and of its key file; copies in conflict with it."""
    if machine.project is None:
        return
    settings = machine.project.settings
    path = settings.vault_path
    try:
        content = store.read(path)
    except VaultMissing as error:
        yield wrong(error.message, fix=error.hint)
        yield from _conflicts(path, settings.key_file.value)
        return
    with store.named(path):
        found = kdbx.read_format(content)
    yield from _format(found)
    yield from _place(path, "the vault")
    yield from _conflicts(path, settings.key_file.value)
    if settings.key_file.value:
        yield from _key_file(Path(settings.key_file.value), path, settings.config.value or "config.toml")
    yield from _inside(machine, machine.project)


def _format(found: kdbx.Format) -> Iterator[Line]:
    version = f"KDBX {found.version[0]}.{found.version[1]}"
    if found.version < (4, 0):
        yield wrong(f"the vault is {version}, which is only read", fix=_UPGRADE)
    else:
        yield ok(version, found.cipher)
    yield _strength(found.kdf)


def _strength(kdf: Kdf) -> Line:
    if kdf.algorithm == "aes":
        if kdf.rounds < LEAST_ROUNDS:
            return wrong(f"the vault's password is guessed fast: AES-KDF, only {kdf.rounds} rounds", fix=_UPGRADE)
        return note(f"AES-KDF ({kdf.rounds} rounds) resists guessing less than Argon2", fix=_UPGRADE)
    name = "Argon2id" if kdf.algorithm == "argon2id" else "Argon2d"
    cost = f"{_mebibytes(kdf.memory)} x {kdf.rounds}"
    if kdf.memory < LEAST_MEMORY or kdf.memory * kdf.rounds < LEAST_WORK:
        return wrong(f"the vault's password is guessed fast: {name}, only {cost}", fix=_STRONGER)
    return ok(f"{name} {cost}")


def _mebibytes(number: int) -> str:
    return f"{number // MEBIBYTE} MiB" if number >= MEBIBYTE else f"{number // 1024} KiB"


def _place(path: Path, what: str) -> Iterator[Line]:
    """Whether others can read or replace a file, and whether git could take it."""
    real = Path(os.path.realpath(path))
    status, quoted = real.stat(), shlex.quote(str(real))
    if os.geteuid() not in (0, status.st_uid):
        yield wrong(f"{what} belongs to another user", fix=f"sudo chown $(id -un) {quoted}")
    elif status.st_mode & 0o077:
        yield wrong(f"{what} can be used by others: mode {stat.S_IMODE(status.st_mode):04o}", fix=f"chmod 600 {quoted}")
    else:
        yield ok(f"mode {stat.S_IMODE(status.st_mode):04o}", str(path))
    around = real.parent.stat().st_mode
    if around & 0o022 and not around & stat.S_ISVTX:
        fix = f"chmod go-w {shlex.quote(str(real.parent))}"
        yield wrong(f"others can replace {what}: the mode of its folder is {stat.S_IMODE(around):04o}", fix=fix)
    tree = files.work_tree(real.parent)
    if tree is not None:
        fix = f"mkdir -p -m 700 ~/.secrets && mv {quoted} ~/.secrets/    # then say so in the inventory or config.toml"
        yield wrong(f"{what} lies in the git work tree {tree}, where it is committed or cleaned away", fix=fix)


def _key_file(key: Path, vault: Path, config: str) -> Iterator[Line]:
    try:
        status = key.stat()
    except OSError as error:
        yield wrong(f"the key file {key} cannot be read: {files.reason(error)}", fix="chronos-secrets config show")
        return
    yield from (line for line in _place(key, "the key file") if line.fix)
    if stat.S_ISREG(status.st_mode) and os.path.dirname(os.path.realpath(key)) == os.path.dirname(
        os.path.realpath(vault)
    ):
        yield wrong(
            "the key file lies beside the vault: whoever copies one has both",
            fix=f"mv {shlex.quote(str(key))} ELSEWHERE    # and set key_file in {config}",
        )
    else:
        yield ok("key file apart", str(key))


def _conflicts(vault: Path, key_file: str | None) -> Iterator[Line]:
    for copy in conflicted.copies(vault):
        yield wrong(
            f"two machines saved the vault; the work of one is in the conflicted copy '{copy.name}'",
            fix=conflicted.merge(vault, copy, key_file=key_file),
        )


def _inside(machine: Machine, project: Project) -> Iterator[Line]:
    if machine.locked is not None:
        yield failed(machine.locked)
    if machine.opened is None:
        return
    yield ok("opens", f"with the password from {machine.opened.origin}")
    findings = check.against_vault(project.inventory, machine.opened.entries, machine.home, machine.now)
    if findings:
        count = f"{len(findings)} differences" if len(findings) > 1 else "a difference"
        yield wrong(f"{count} between the inventory and what is inside", fix="chronos-secrets check")
