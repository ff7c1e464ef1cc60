"""From a credential of the inventory to its value in the vault."""

from chronos_secrets.errors import EntryMissing
from chronos_secrets.inventory.model import Credential, Inventory
from chronos_secrets.secret import Secret
from chronos_secrets.vault.entries import PENDING, PREVIOUS, Entries, Entry


class Values:
    """The values that an inventory's credentials have in one opened vault."""

    def __init__(self, inventory: Inventory, entries: Entries) -> None:
        self._credentials = inventory.credentials
        self.entries = entries

    def entry(self, credential: Credential) -> Entry:
        """The entry of a credential. Raises EntryMissing; one that was moved or renamed is named, never followed."""
        found = self.entries.at((*credential.entry.groups, credential.entry.title))
        if found is None:
            raise EntryMissing(
                f"{credential.id}: there is no entry '{credential.entry}' in the vault", hint=self._moved(credential)
            )
        return found

    def value(self, credential_id: str, field: str) -> Secret:
        """A field's value. Raises EntryMissing when it is absent or empty."""
        credential = self._credentials[credential_id]
        found = self.value_or_empty(credential_id, field)
        if not found:
            raise EntryMissing(
                f"{credential_id}: the field {field} is empty in the vault",
                hint=f"open the entry '{credential.entry}' in KeePassXC and fill in {credential.fields[field]}",
            )
        return found

    def value_or_empty(self, credential_id: str, field: str) -> Secret:
        """A field's value, empty when it is absent. Raises EntryMissing when the entry itself is."""
        credential = self._credentials[credential_id]
        return field_value(self.entry(credential), credential, field) or Secret("")

    def _moved(self, credential: Credential) -> str:
        """Where the entry probably is now."""
        everywhere = list(self.entries)
        ours = [entry for entry in everywhere if entry.chronos_id == credential.id]
        named = [entry for entry in everywhere if entry.title == credential.entry.title]
        for candidates in (ours, named):
            if len(candidates) == 1:
                now_at = credential.entry._replace(groups=candidates[0].path[:-1], title=candidates[0].title)
                return f"it may be '{now_at}' now: if so, write that as its entry in inventory.yaml"
        return "make the entry in KeePassXC, or correct its entry in inventory.yaml"


def field_value(entry: Entry, credential: Credential, field: str) -> Secret | None:
    """The value of a credential's field in `entry` (which may be an item of its history); None if it is not there."""
    place = credential.fields[field]
    if place.where == "attachment":
        return entry.attachment(place.name)
    return entry.field(place.name or "")


def kept_values(entry: Entry, credential: Credential, field: str) -> list[Secret]:
    """What a rotation that is under way keeps of a field beside its value: the one to come, the one before."""
    read = entry.attachment if credential.fields[field].where == "attachment" else entry.field
    return [value for prefix in (PENDING, PREVIOUS) if (value := read(prefix + field))]
