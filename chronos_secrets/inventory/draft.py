"""A first inventory.yaml from what a vault holds, for a person to go on with. Pure."""

import json
import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from chronos_secrets.inventory.model import RESERVED_IDS, EntryPath

_LONGEST_ID = 40  # of the 64 characters of an id; the rest is for what is put around it
LEFT_OUT = "the name is empty, cannot be printed, or is another entry's too; rename them in KeePassXC"


UNDECIDED = "not decided yet"
"""The reason that a first inventory gives each row; `check` asks for a decision."""


class Found(NamedTuple):
    """What is known of one entry without its values."""

    path: tuple[str, ...]
    username: str
    url: str
    attachments: tuple[str, ...]
    has_password: bool
    has_notes: bool


def draft(project: str, vault: str, timezone: str, entries: Iterable[Found]) -> str:
    """The text of an inventory that loads: one row an entry, each to be decided on."""
    taken: set[str] = set()
    found = sorted(entries)
    listed = usable(found)
    rows = [_row(_unused_id(entry, taken), entry) for entry in listed]
    left_out = len(found) - len(listed)
    return "\n".join([
        "# Made from a vault by chronos-secrets init. Holds no secret; keep it in git and go on editing it.",
        "# For each row decide on one of every, never, automatic; then add destinations (docs/inventory.md).",
        "version: 1",
        f"project: {project}",
        f"timezone: {timezone}",
        "owner: operator",
        "vault:",
        f"  path: {_quoted(vault)}",
        *([f"# {left_out} left out: {LEFT_OUT}."] if left_out else []),
        "credentials:" if rows else "credentials: {}",
        *rows,
        "",
    ])  # fmt: skip


def project_name(file_name: str) -> str:
    """An id made of a vault's file name."""
    return _as_id(file_name.removesuffix(".kdbx"))


def usable(entries: Iterable[Found]) -> list[Found]:
    """The entries that a row can name, by path: twins have one row, of which `check` then says that they are two."""
    return list({entry.path: entry for entry in entries if _nameable(entry)}.values())


def _nameable(entry: Found) -> bool:
    return all(entry.path) and "".join((*entry.path, *entry.attachments)).isprintable()


def _row(identifier: str, entry: Found) -> str:
    kind = guess_kind(entry)
    fields = ""
    if kind == "ssh-key":
        fields = f", fields: {{private_key: {_quoted('attachment:' + entry.attachments[0])}}}"
    title = entry.path[-1] if entry.path[-1].strip() else identifier
    where = _quoted(str(EntryPath(entry.path[:-1], entry.path[-1])))
    return (
        f"  {identifier}:\n"
        f"    {{kind: {kind}, title: {_quoted(title)}, entry: {where}{fields},\n"
        f'     never: "{UNDECIDED}"}}'
    )


def guess_kind(entry: Found) -> str:
    """The kind that an entry most likely is; a person corrects it."""
    words = " ".join((*entry.path, entry.url, *entry.attachments)).lower()
    guesses = (
        ("ssh-key", entry.attachments and re.search(r"ssh|key|id_", words)),
        ("aws-access-key", re.fullmatch(r"A[KS]IA[A-Z0-9]{12,}", entry.username)),
        ("recovery-codes", re.search(r"recovery|backup codes", words) and entry.has_notes and not entry.has_password),
        ("postgres-password", "postgres" in words),
        ("api-token", re.search(r"\b(token|api)\b", words)),
        ("passphrase", re.search(r"encryption|passphrase|cipher", words)),
    )
    return next((kind for kind, likely in guesses if likely), "account")


def _unused_id(entry: Found, taken: set[str]) -> str:
    base = _as_id(entry.path[-1])
    if base in RESERVED_IDS:
        base = f"{base}-credential"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    return name


def _as_id(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain)[:_LONGEST_ID].strip("-")
    return words if re.match("[a-z]", words) else f"entry-{words}".rstrip("-")


def _quoted(text: str) -> str:
    """A YAML scalar in double quotes, whose escapes are JSON's."""
    return json.dumps(text, ensure_ascii=False)
