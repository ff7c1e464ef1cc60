"""`init` and `vault`: the vault file itself."""

import os
import secrets
from datetime import datetime
from pathlib import Path
from zoneinfo import available_timezones

import click

from chronos_secrets.cli import PATH, copies, memory, output, restore
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import EntryMissing, InventoryInvalid, Refused
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.secret import Secret
from chronos_secrets.settings import FromInventory, Setting
from chronos_secrets.systems import files
from chronos_secrets.vault import kdbx, store
from chronos_secrets.vault.entries import ID_ATTRIBUTE, Attribute, Entries, Entry

GROUPS = ("AWS", "Database", "SSH Keys", "Third-Party", "Domain & DNS")


@click.command()
@click.option(
    "--from", "source", metavar="FILE.kdbx", type=PATH, help="Make a first inventory.yaml from this vault instead."
)
@opens_vault
@with_session
def init(session: Session, source: str | None) -> None:
    """Make the vault that the inventory describes, with an empty entry for each credential.

    With --from FILE.kdbx, make a first inventory.yaml from a vault that you have. Nothing is ever overwritten.
    """
    if source is not None:
        _inventory_from(session, Path(source))
    else:
        _vault_from_inventory(session)


@click.group()
def vault() -> None:
    """Look after the vault file itself."""


@vault.command(short_help="Save the vault as KDBX 4 with Argon2id.")
@opens_vault
@with_session
def upgrade(session: Session) -> None:
    """Save the vault as KDBX 4 with Argon2id, which resists guessing better than AES-KDF.

    The bytes as they were are kept in the state folder. Other devices need KeePassXC 2.3 or later.
    """
    opened = session.vault
    before = opened.format
    if before.version >= (4, 0) and before.kdf.algorithm != "aes":
        output.say(f"{opened.path} is KDBX {_version(before)} with {before.kdf.algorithm}: nothing to do")
        return
    opened.upgrade(session.now())
    memory.record_or_say(session, "vault-upgrade", session.inventory.project)
    memory.save(session)
    output.result(f"{opened.path} is now KDBX {_version(opened.format)} with Argon2id, and was read back")
    output.say(f"the file as it was: {session.settings.state_folder / 'previous'}")


for _command in (copies.copy, copies.copies, copies.verify, copies.prune, restore.restore, restore.diff):
    vault.add_command(_command)


def _version(found: kdbx.Format) -> str:
    return f"{found.version[0]}.{found.version[1]}"


def _vault_from_inventory(session: Session) -> None:
    path = session.settings.vault_path
    if path.exists() or path.is_symlink():
        raise Refused(f"{path} is already there; it is never overwritten", hint="chronos-secrets check")
    key = session.key(session.new_password(path), session.settings)
    made = kdbx.create(session.inventory.project, secrets.token_bytes(32))
    _fill(Entries(made), session.inventory, session.now())
    store.write_new(path, made, key)
    count = len(session.inventory.credentials)
    output.result(f"made {path} with {count} empty {'entry' if count == 1 else 'entries'}")
    output.say("next: fill them in with KeePassXC, then: chronos-secrets check")


def _fill(entries: Entries, inventory: Inventory, now: datetime) -> None:
    for name in GROUPS:
        entries.add_group((name,), now=now)
    for credential in inventory.credentials.values():
        path = (*credential.entry.groups, credential.entry.title)
        entry = entries.at(path) or entries.add(path, now=now)
        mark = Attribute(Secret(credential.id), protected=False)
        entries.change(entry, now=now, fields={ID_ATTRIBUTE: mark})


def _inventory_from(session: Session, source: Path) -> None:
    from chronos_secrets.inventory import draft

    target = Path(session.new_inventory)
    if os.path.lexists(target):
        raise Refused(
            f"{target} is already there; it is never overwritten",
            hint=f"chronos-secrets init --from {source} --inventory NEW.yaml",
        )
    if not str(source.absolute()).isprintable():
        raise Refused(f"an inventory cannot name the file {source}", hint="rename the vault or its folder")
    project = draft.project_name(source.name)
    vault = Setting(str(source.absolute()), "command line: --from")
    opened = session.open(session.settings_for(project, FromInventory(vault.value))._replace(vault=vault))
    found = [
        draft.Found(
            entry.path, entry.username, entry.url, entry.attachment_names,
            _has(entry, "Password"), _has(entry, "Notes"),
        )
        for entry in opened.entries
    ]  # fmt: skip
    text = draft.draft(project, _portable(source.absolute(), session.home), _timezone(), found)
    try:
        files.write_durably(target, text.encode(), mode=0o644, replace=False)
    except OSError as error:
        raise InventoryInvalid(f"{target} cannot be written: {files.reason(error)}") from error
    listed = len(draft.usable(found))
    output.result(f"made {target} with {listed} {'credential' if listed == 1 else 'credentials'}")
    if listed < len(found):
        output.say(f"{len(found) - listed} left out: {draft.LEFT_OUT}")
    output.say("next: decide on a rule for each row, add destinations, then: chronos-secrets check")


def _has(entry: Entry, field: str) -> bool:
    try:
        return bool(entry.field(field))
    except EntryMissing:  # a reference that leads nowhere
        return True


def _portable(path: Path, home: Path) -> str:
    """A path as it is written in a file that other machines read too."""
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _timezone() -> str:
    """This machine's time zone by name, or UTC."""
    name = os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    return name if name in available_timezones() else "UTC"
