"""Project Chronos with invented values: the inventory at the top of the repository and a vault that fits it.

The demo and the end-to-end tests share it. Every value is made up at run time; none is stored in the repository.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from chronos_secrets.inventory import load
from chronos_secrets.inventory.model import Credential
from chronos_secrets.secret import Secret
from chronos_secrets.vault import kdbx, store
from chronos_secrets.vault.entries import Attribute, Entries
from chronos_secrets.vault.kdf import Kdf, MasterKey

INVENTORY = Path(__file__).parents[2] / "inventory.yaml"


def make_vault(
    path: Path,
    password: str,
    *,
    inventory: Path = INVENTORY,
    kdf: Kdf = kdbx.NEW_KDF,
    values: Mapping[str, str] | None = None,
) -> None:
    """A new vault at `path` with an invented value for every field of every credential of `inventory`.

    `values` sets some fields by "credential.field".
    """
    made = kdbx.create("Project Chronos", secrets.token_bytes(32), kdf)
    entries = Entries(made)
    now = datetime.now(UTC)
    for credential in load.read(inventory).credentials.values():
        fill(entries, credential, now, values or {})
    store.write_new(path, made, MasterKey(Secret(password)))


def fill(entries: Entries, credential: Credential, now: datetime, values: Mapping[str, str]) -> None:
    """Give one credential its entry and its values."""
    where = (*credential.entry.groups, credential.entry.title)
    entry = entries.at(where) or entries.add(where, now=now)
    fields, attachments = {}, {}
    for field, place in credential.fields.items():
        value = Secret(values.get(f"{credential.id}.{field}") or invented(credential, field))
        if place.where == "attachment":
            attachments[place.name or "id_ed25519"] = value
        else:
            fields[place.name or ""] = Attribute(value, protected=credential.is_secret(field))
    entries.change(entry, now=now, fields=fields, attachments=attachments)


def invented(credential: Credential, field: str) -> str:
    """A value of the right shape."""
    users = {"postgres-password": "chronos", "ssh-key": "ubuntu"}
    known = {
        "private_key": private_key,
        "codes": lambda: "\n".join(secrets.token_hex(5) for _ in range(8)),
        "url": lambda: "https://example.atlassian.net",
        "address": lambda: "ssh://ubuntu@203.0.113.7:22",
        "access_key_id": lambda: (
            "AKIA" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16))
        ),
        "username": lambda: users.get(credential.kind, "operator@example.org"),
        "account_id": lambda: "".join(secrets.choice("0123456789") for _ in range(12)),
    }
    return known.get(field, lambda: secrets.token_urlsafe(30))()


def private_key() -> str:
    """A new ed25519 key as OpenSSH writes it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    return (
        ed25519.Ed25519PrivateKey.generate()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
        .decode()
    )
