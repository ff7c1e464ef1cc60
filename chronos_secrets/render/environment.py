"""Values from the vault as environment variables of a program, and what of them must never be shown."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from chronos_secrets.errors import EntryMissing, UsageError
from chronos_secrets.inventory.model import Destination, Inventory
from chronos_secrets.render.compose import Draft
from chronos_secrets.render.dialects import DIALECTS
from chronos_secrets.render.values import Values
from chronos_secrets.secret import Secret
from chronos_secrets.systems.masking import is_maskable, spellings

DIALECT = "dotenv"
"""What a destination must be written in to be an environment."""


class Environment(NamedTuple):
    """Variables by their names, and the values that are secret, by words for a person such as `jira-token.token`."""

    variables: dict[str, Secret]
    hidden: dict[str, Secret]


class Wanted(NamedTuple):
    """What is asked for of a credential: one field, or all that are there, under a name of its own or the usual one."""

    credential: str
    field: str | None
    name: str | None


def of_credential(wanted: Wanted, inventory: Inventory, values: Values) -> Environment:
    """The fields of a credential, each as ID_FIELD in capitals (`POSTGRES_CHRONOS_PASSWORD`) or as it was named.

    What was asked for, and the credential's secret, must be there: EntryMissing. Other empty fields are left out.
    """
    credential = inventory.credentials[wanted.credential]
    fields = credential.fields if wanted.field is None else (wanted.field,)
    made = Environment({}, {})
    for field in fields:
        needed = field in (wanted.field, credential.primary)
        value = (values.value if needed else values.value_or_empty)(credential.id, field)
        if not value:
            continue
        made.variables[wanted.name or f"{credential.id}_{field}".upper().replace("-", "_")] = value
        if credential.is_secret(field):
            made.hidden[f"{credential.id}.{field}"] = value
    return made


def require_dialect(destination: Destination, inventory: Inventory) -> None:
    """Raises UsageError for a destination that is no environment."""
    if destination.dialect != DIALECT:
        others = [each.id for each in inventory.destinations.values() if each.dialect == DIALECT]
        raise UsageError(
            f"destination {destination.id} is no environment: its dialect is {destination.dialect}, not {DIALECT}",
            hint=f"--destination {others[0]}" if others else "chronos-secrets run --with ID -- CMD",
        )


def of_destination(draft: Draft, inventory: Inventory, values: Values) -> Environment:
    """The variables that a dotenv destination sets (`require_dialect`); secret is every secret that it may use.

    Raises EntryMissing, NotRepresentable, TemplateInvalid.
    """
    made = Environment({}, _secrets(draft, inventory, values))
    for row in draft.rows(values):
        name = DIALECTS[DIALECT].key(row.text)
        if name is None:
            continue
        # The dialect puts a value between two quotes and escapes nothing.
        text = row.text.partition("=")[2][1:-1].encode()
        made.variables[name] = Secret(text)
        within = (made.hidden.get(secret) for secret in _secrets_in(row.shown, draft, inventory))
        if is_maskable(text) and any(secret and not _shows(text, secret) for secret in within):
            made.hidden[name] = made.variables[name]  # a filter made something else of the secret
    return made


def merged(environments: list[Environment]) -> Environment:
    """All of them in one. Raises UsageError where two set one variable to different values."""
    made = Environment({}, {})
    for each in environments:
        for name, value in each.variables.items():
            if made.variables.setdefault(name, value) != value:
                raise UsageError(f"two of these set the variable {name}", hint="--with ID.FIELD=NAME names it anew")
        made.hidden.update(each.hidden)
    return made


def _secrets(draft: Draft, inventory: Inventory, values: Values) -> dict[str, Secret]:
    """Every secret that a destination may hold, used or not."""
    found = {}
    for identifier in draft.destination.credentials:
        credential = inventory.credentials[identifier]
        for field in filter(credential.is_secret, credential.fields):
            with contextlib.suppress(EntryMissing):  # what is needed is missed when the lines are made
                if value := values.value_or_empty(identifier, field):
                    found[f"{identifier}.{field}"] = value
    return found


def _secrets_in(shown: str, draft: Draft, inventory: Inventory) -> Iterator[str]:
    """The secrets that a line holds, going by its text with the values replaced by their names."""
    for name, identifier in draft.destination.uses.items():
        credential = inventory.credentials[identifier]
        for field in filter(credential.is_secret, credential.fields):
            if f"‹{name}.{field}›" in shown:
                yield f"{identifier}.{field}"


def _shows(text: bytes, secret: Secret) -> bool:
    return any(spelling in text for spelling in spellings([secret.reveal_bytes()]))
