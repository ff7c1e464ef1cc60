"""`check`: is what the inventory says true of its templates and of the vault?"""

import math
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import ChronosError, EntryMissing, NotRepresentable
from chronos_secrets.inventory.draft import UNDECIDED
from chronos_secrets.inventory.model import KINDS, Credential, Inventory, Never
from chronos_secrets.pgbackrest.lint import lint
from chronos_secrets.render.compose import Draft
from chronos_secrets.render.values import Values, field_value
from chronos_secrets.secret import Secret
from chronos_secrets.vault import conflicted
from chronos_secrets.vault.entries import Entries, Entry

LEAST_BITS = 64
"""A secret that we choose should need at least 2^64 guesses; the tool's own generator makes many more."""


class Finding(NamedTuple):
    """One thing that is not as it should be. `where` is a credential, a destination or an entry; never a value."""

    code: str
    where: str
    message: str
    fix: str | None


def offline(inventory: Inventory, home: Path) -> list[Finding]:
    """What can be said without the vault: templates, their references, and whether each line suits its dialect."""
    findings = [*_undecided(inventory)]
    for destination in inventory.destinations.values():
        try:
            draft = Draft(inventory, destination, home)
            text = draft.sample()
        except ChronosError as error:
            findings.append(Finding(error.code, destination.id, error.message, error.hint))
            continue
        if destination.dialect == "pgbackrest" and text is not None:
            findings += _config_findings(destination.id, text, inventory)
    return findings


def against_vault(inventory: Inventory, entries: Entries, home: Path, now: datetime) -> list[Finding]:
    """What the vault lacks, holds twice, holds too weak, or holds without a row."""
    needed = _needed(inventory, home)
    findings: list[Finding] = []
    held: list[tuple[Credential, Entry]] = []
    values = Values(inventory, entries)
    for credential in inventory.credentials.values():
        try:
            entry = values.entry(credential)
            findings += _entry_findings(credential, entry, needed.get(credential.id, frozenset()), now)
            held.append((credential, entry))
        except EntryMissing as error:
            findings.append(Finding(error.code, credential.id, error.message, error.hint))
    return [*findings, *_unholdable(inventory, values, home), *_shared_values(held), *_unlisted(inventory, entries)]


def beside(vault: Path) -> list[Finding]:
    """Conflicted copies of the vault file: the work of another machine, which is lost unless it is merged."""
    told = "the work of another machine is in the conflicted copy '{}'"
    fix = "chronos-secrets doctor vault has the command that merges it"
    return [Finding("conflicted-copy", "vault", told.format(copy.name), fix) for copy in conflicted.copies(vault)]


def strength(text: str) -> float:
    """The bits of a value as if each character were drawn from the classes that occur; repetition counts little."""
    classes = ((str.islower, 26), (str.isupper, 26), (str.isdigit, 10))
    pool = sum(size for belongs, size in classes if any(map(belongs, text)))
    pool += 33 if any(not character.isalnum() for character in text) else 0
    return min(len(text), 2 * len(set(text))) * math.log2(max(pool, 2))


def _undecided(inventory: Inventory) -> Iterator[Finding]:
    for credential in inventory.credentials.values():
        if credential.rule == Never(UNDECIDED):
            fix = "write every: 1 year, never: with the reason, or automatic: how"
            yield Finding("undecided", credential.id, "nobody has decided when it is rotated", fix)


def _config_findings(destination: str, text: str, inventory: Inventory) -> Iterator[Finding]:
    stanza = inventory.pgbackrest.stanza if inventory.pgbackrest else None
    for problem in lint(text, stanza=stanza):
        yield Finding(f"pgbackrest-{problem.code}", destination, problem.message, problem.fix)


def _needed(inventory: Inventory, home: Path) -> dict[str, frozenset[str]]:
    """The fields of each credential that must not be empty: its primary one, and what destinations ask for."""
    needed = {credential.id: {credential.primary} for credential in inventory.credentials.values()}
    for destination in inventory.destinations.values():
        try:
            asked = Draft(inventory, destination, home).needs
        except ChronosError:
            continue  # `offline` has told
        for credential, field in asked:
            needed[credential].add(field)
    return {credential: frozenset(fields) for credential, fields in needed.items()}


def _entry_findings(credential: Credential, entry: Entry, needed: frozenset[str], now: datetime) -> Iterator[Finding]:
    for field in sorted(needed):
        if not field_value(entry, credential, field):
            yield _absent(credential, entry, field)
    if entry.expires is not None and entry.expires <= now:
        day = entry.expires.date().isoformat()
        yield Finding(
            "expired", credential.id, f"KeePassXC says that it expired on {day}", "rotate it, then set a new date"
        )
    if KINDS[credential.kind].chosen and credential.kind != "account":
        value = field_value(entry, credential, credential.primary)
        if value and strength(value.reveal_bytes().decode(errors="replace")) < LEAST_BITS:
            fix = "generate a longer one when it is next rotated"
            yield Finding(
                "weak-value", credential.id, f"its {credential.primary} is weaker than {LEAST_BITS} bits", fix
            )


def _absent(credential: Credential, entry: Entry, field: str) -> Finding:
    place = credential.fields[field]
    if place.where != "attachment":
        return Finding("empty-field", credential.id, f"its field {field} ({place}) is empty", "fill it in")
    there = ", ".join(entry.attachment_names) or "none"
    wanted = f"'{place.name}'" if place.name else "one attachment"
    return Finding(
        "missing-attachment", credential.id, f"its entry should hold {wanted} for {field}; attachments there: {there}",
        "attach the file with KeePassXC, or name it in the row's fields",
    )  # fmt: skip


def _unholdable(inventory: Inventory, values: Values, home: Path) -> Iterator[Finding]:
    """Values that the dialect of a destination cannot hold, which `render` would refuse."""
    for destination in inventory.destinations.values():
        try:
            draft = Draft(inventory, destination, home)
            if draft.header is not None:
                draft.rows(values)
        except NotRepresentable as error:
            yield Finding(error.code, destination.id, error.message, error.hint)
        except ChronosError:
            continue  # told above


def _shared_values(held: list[tuple[Credential, Entry]]) -> Iterator[Finding]:
    """One value in two credentials: whoever has one has both, and rotating one breaks the other."""
    seen: list[tuple[str, str, Secret]] = []
    for credential, entry in held:
        for field in filter(credential.is_secret, credential.fields):
            value = _readable(entry, credential, field)
            if not value:
                continue
            same = next((f"the {theirs} of {other}" for other, theirs, held_there in seen if value == held_there), None)
            if same is not None:
                message = f"its {field} is the same value as {same}"
                yield Finding("shared-value", credential.id, message, "give each credential a value of its own")
            else:
                seen.append((credential.id, field, value))


def _readable(entry: Entry, credential: Credential, field: str) -> Secret | None:
    try:
        return field_value(entry, credential, field)
    except EntryMissing:  # a reference that leads nowhere, in a field that nothing needs
        return None


def _unlisted(inventory: Inventory, entries: Entries) -> Iterator[Finding]:
    listed = {(*credential.entry.groups, credential.entry.title) for credential in inventory.credentials.values()}
    for entry in entries:
        if entry.path not in listed and entry.path[:1] != ("chronos-secrets",):
            path = "/".join(entry.path)
            yield Finding(
                "unlisted-entry", path, "no row of the inventory names this entry", "add a row, or move it elsewhere"
            )
