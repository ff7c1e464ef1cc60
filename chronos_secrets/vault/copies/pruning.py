"""Removing copies: those that retention lets go, and those that an older password still opens."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo

from chronos_secrets.errors import TargetFailed
from chronos_secrets.vault.copies import retention
from chronos_secrets.vault.copies.place import Place
from chronos_secrets.vault.copies.record import Name, Record
from chronos_secrets.vault.copies.retention import Keep


def older_password(records: Iterable[Record]) -> list[Record]:
    """The copies that open with an older password than a copy in the same place that was opened. Pure.

    A place without such a copy loses none, and none goes of which it is not known when its password was set.
    """
    known = list(records)
    newest: dict[str, datetime] = {}
    for each in known:
        if each.was_opened and each.facts and each.facts.key_changed:
            newest[each.place] = max(each.facts.key_changed, newest.get(each.place, each.facts.key_changed))
    return [
        each for each in known
        if each.facts and each.facts.key_changed and each.place in newest
        and each.facts.key_changed < newest[each.place]
    ]  # fmt: skip


def remove(place: Place, records: Sequence[Record]) -> list[Record]:
    """Remove copies from a place, oldest first; those that are gone. Raises TargetFailed, Refused."""
    gone = []
    for each in sorted(records, key=lambda record: (record.made, record.name)):
        name = Name.parse(each.name)
        if name is not None and each.place == place.id:
            place.remove(name)
            gone.append(each)
    return gone


def thin(place: Place, records: Sequence[Record], keep: Keep | None, now: datetime, zone: tzinfo = UTC) -> list[Record]:
    """Remove what a place's rule lets go, counting only what lies there; those that are gone.

    Nothing goes before the newest copy that stays was read back once more. Raises TargetFailed, Refused.
    """
    if not retention.to_remove(records, keep, now, zone):
        return []
    names = {str(name): name for name in place.names()}
    there = [each for each in records if each.place == place.id and each.name in names]
    going = retention.to_remove(there, keep, now, zone)
    if going:
        staying = max((each for each in there if each.is_good and each not in going), key=lambda each: each.made)
        if not staying.has_content(place.read(names[staying.name])):
            raise TargetFailed(f"{staying.name} in {place.where} is damaged, so no older copy was removed")
    return remove(place, going)
