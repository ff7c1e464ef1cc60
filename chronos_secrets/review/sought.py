"""Which values of the vault the scanner looks for.

Looked for are the values of all entries (also of those in the recycle bin) that KeePassXC hides, private keys among the
attachments, and what the inventory calls a secret; of its credentials the older values, too, which stay valid for their
grace. Left out are values that could be guessed by whoever stole index and key (docs/threat-model.md), and never looked
for are the vault's own password and the seeds of one-time passwords.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from chronos_secrets.errors import EntryMissing
from chronos_secrets.inventory.model import SECRET_FIELDS, Credential, EntryPath, FieldPlace, Inventory
from chronos_secrets.review import keys
from chronos_secrets.scan import strength
from chronos_secrets.scan.index import Value
from chronos_secrets.secret import Secret
from chronos_secrets.vault.entries import Entry
from chronos_secrets.vault.store import Vault

TYPED_BITS = 60
"""The least that a value must withstand which a person may have typed."""
ISSUED_BITS = 28
"""The same for what a service issued, and for what the inventory calls a secret although it may be short."""
LEAST_BYTES = 8
LARGEST = 1 << 16  # bytes of a value that is looked for as a whole
_ISSUED_KINDS = frozenset({"aws-access-key", "api-token", "ssh-key"})
# Where KeePass and its plugins keep seeds of one-time passwords, beside KeePassXC's `otp`.
_SEEDS = ("TimeOtp-", "HmacOtp-", "TOTP Seed", "TOTP Settings")
_SHORT = f"shorter than {LEAST_BYTES} bytes"
_WEAK = "could be guessed"
_LARGE = f"larger than {LARGEST >> 10} KiB"
_ITSELF = "the vault's own password"
_LOOKED_AT = 1000  # bytes of a value that are enough to tell how strong it is


class Sought(NamedTuple):
    """What is looked for, and of which entries something is not, and why."""

    values: list[Value]
    left: list[tuple[str, str]]


class _Found(NamedTuple):
    """A value as it is in the vault."""

    content: bytes
    what: str
    least: float  # bits
    by_line: bool = False  # each line is a secret of its own: recovery codes


def choose(vault: Vault, inventory: Inventory) -> Sought:
    """The values to be looked for, current ones of the inventory's credentials first, older ones last."""
    rows = _rows(inventory)
    current: list[_Found] = []
    others: list[_Found] = []
    older: list[_Found] = []
    for entry in vault.entries.everywhere():
        credentials = rows.get(entry.path, [])
        (current if credentials else others).extend(_values(entry, credentials, inventory))
        older += [found for item in entry.history for found in _older(item, entry, credentials, inventory)]
    return _chosen([*current, *others, *older], _allowed(vault, inventory), vault)


# --- which values ------------------------------------------------------------------------------------------------


def _rows(inventory: Inventory) -> Mapping[tuple[str, ...], list[Credential]]:
    rows: dict[tuple[str, ...], list[Credential]] = {}
    for credential in inventory.credentials.values():
        rows.setdefault((*credential.entry.groups, credential.entry.title), []).append(credential)
    return rows


def _values(entry: Entry, credentials: list[Credential], inventory: Inventory) -> Iterator[_Found]:
    """The values of an entry that are secrets."""
    owned = {place: (row, field) for row in credentials for field, place in _secret_fields(row, inventory)}
    named = [FieldPlace("standard" if name == "Password" else "attr", name) for name in entry.protected_names]
    named += [FieldPlace("attr", name) for name in entry.attribute_names if f"attr:{name}" in inventory.scan.secret]
    named += [FieldPlace("attachment", name) for name in entry.attachment_names]
    for place in dict.fromkeys([*owned, *named]):
        content = _content(entry, place)
        if not content or _is_seed(place, content):
            continue
        row, field = owned.get(place, (None, ""))
        if row or place.where != "attachment" or keys.is_key(content):
            what = f"{_noun(row, field, place)} of {_label(entry, [row] if row else credentials)}"
            codes = row is not None and row.kind == "recovery-codes" and field == row.primary
            yield _Found(content, f"the {what}", _least(row, field, place, inventory), codes)


def _older(item: Entry, entry: Entry, credentials: list[Credential], inventory: Inventory) -> Iterator[_Found]:
    """The secrets of the entry's credentials as they were in an item of its history."""
    for row in credentials:
        for field, place in _secret_fields(row, inventory):
            content = _content(item, place)
            if content and not _is_seed(place, content):
                what = f"an older {_noun(row, field, place)} of {_label(entry, [row])}"
                codes = row.kind == "recovery-codes" and field == row.primary
                yield _Found(content, what, _least(row, field, place, inventory), codes)


def _allowed(vault: Vault, inventory: Inventory) -> set[bytes]:
    """The secrets, now and before, of the credentials whose values may stand in files."""
    allowed = set()
    for row in (inventory.credentials[name] for name in inventory.scan.allow):
        with contextlib.suppress(EntryMissing):  # `check` tells
            entry = vault.entries.at((*row.entry.groups, row.entry.title))
            for item in (entry, *entry.history) if entry else ():
                allowed |= {_content(item, place).strip() for _, place in _secret_fields(row, inventory)}
    return allowed


def _secret_fields(row: Credential, inventory: Inventory) -> list[tuple[str, FieldPlace]]:
    said = inventory.scan.secret
    return [
        (field, place)
        for field, place in row.fields.items()
        if (field in SECRET_FIELDS or f"{row.id}.{field}" in said) and field != "totp"
    ]


def _least(row: Credential | None, field: str, place: FieldPlace, inventory: Inventory) -> float:
    said = inventory.scan.secret
    if f"attr:{place.name}" in said or place.where == "attachment":
        return ISSUED_BITS
    if row and (f"{row.id}.{field}" in said or (row.kind in _ISSUED_KINDS and field == row.primary)):
        return ISSUED_BITS
    return TYPED_BITS


def _content(entry: Entry, place: FieldPlace) -> bytes:
    """What stands there; nothing where a reference leads nowhere."""
    try:
        found = entry.attachment(place.name) if place.where == "attachment" else entry.field(place.name or "")
    except EntryMissing:
        return b""
    return found.reveal_bytes() if found else b""


def _is_seed(place: FieldPlace, content: bytes) -> bool:
    name = place.name or ""
    return name == "otp" or name.startswith(_SEEDS) or content.startswith(b"otpauth:")


def _noun(row: Credential | None, field: str, place: FieldPlace) -> str:
    if (row and field == row.primary) or place.name == "Password":
        return "value"
    if place.where == "standard":
        return f"{place.name}"
    kind = "attribute" if place.where == "attr" else "attachment"
    return f'{kind} "{_printable(place.name or "")}"'


def _label(entry: Entry, credentials: list[Credential]) -> str:
    path = _printable(str(EntryPath(entry.path[:-1], entry.path[-1])))
    return f'"{path}" ({credentials[0].id})' if credentials else f'"{path}"'


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


# --- which of them can be looked for -----------------------------------------------------------------------------


def _chosen(found: list[_Found], allowed: set[bytes], vault: Vault) -> Sought:
    """Each distinct value once; what is left out is named with its reason, but for empty and allowed ones."""
    chosen = Sought([], [])
    met = {b"", *allowed}
    for each in found:
        content = each.content.strip()
        if content in met:
            continue
        met.add(content)
        kept, reason = _looked_for(each._replace(content=content))
        if _tells_password(each.content, vault):
            kept, reason = [], _ITSELF
        chosen.values.extend(value for value in kept if value.content not in allowed)
        if reason:
            chosen.left.append((each.what, reason))
    return chosen


def _tells_password(content: bytes, vault: Vault) -> bool:
    """Whether a value, a line of it or a word is what opens the vault."""
    parts = {content, content.strip(), *content.splitlines(), *content.split()}
    return any(vault.has_password(Secret(part)) for part in parts)


def _looked_for(found: _Found) -> tuple[list[Value], str]:
    """What is looked for of one value, and why it is not all of it."""
    content, what, lines = found.content, found.what, found.content.splitlines()
    if len(content) < LEAST_BYTES:
        return [], _SHORT
    parts = [Value(line, what, number) for number, line in _lines(content, whole_lines=found.by_line)]
    if found.by_line:
        weak = sum(bool(line.strip()) for line in lines) - len(parts)
        return parts, f"{weak} of its lines {_WEAK}" if weak else ""
    if len(content) > LARGEST:
        return parts, f"{_LARGE}: only its lines are looked for" if parts else _LARGE
    if _bits(content) < found.least:
        return parts, "" if parts else _WEAK
    return [Value(content, what), *parts], ""


def _lines(content: bytes, *, whole_lines: bool) -> list[tuple[int, bytes]]:
    """The lines that are secrets by themselves: those of a private key, or those that hold something generated."""
    if keys.is_key(content):
        return keys.secret_lines(content)
    lines = [(number, line.strip()) for number, line in enumerate(content.splitlines(), 1)]
    if len(lines) < 2 and not whole_lines:
        return []
    return [(number, line) for number, line in lines if _is_strong(line, whole=whole_lines)]


def _is_strong(line: bytes, *, whole: bool) -> bool:
    """Whether a line, or a single word in it, withstands guessing; a sentence does so without being a secret."""
    return max((_bits(word) for word in ([line] if whole else line.split())), default=0.0) >= TYPED_BITS


def _bits(content: bytes) -> float:
    try:
        return strength.bits(content[:_LOOKED_AT].decode())
    except UnicodeDecodeError:  # no text, or cut within a character: how many different bytes there are says enough
        return 5.0 * len(set(content))
