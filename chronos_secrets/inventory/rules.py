"""The rules between rows of inventory.yaml: what no single field can know."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from chronos_secrets.inventory import firings, model
from chronos_secrets.inventory.model import Credential, Destination, Inventory
from chronos_secrets.inventory.nodes import Node, Row, Table, Wrong, nearest, shown


class Places(NamedTuple):
    """Where things are in the file."""

    root: Node

    def at(self, *path: str, item: int | None = None) -> Node:
        """The value at a path, or an item of the list there; where a key is absent, the key of the row above."""
        node: Node = self.root
        key: Node = self.root
        for word in path:
            found = node.items.get(word) if isinstance(node, Table) else None
            if found is None:
                return key
            key, node = found
        return node.items[item] if item is not None and isinstance(node, Row) else node

    def key(self, *path: str) -> Node:
        """The last key of a path that is there."""
        above = self.at(*path[:-1])
        return above.items[path[-1]][0] if isinstance(above, Table) else above

    def has(self, *path: str) -> bool:
        """Whether the file itself has this key."""
        above = self.at(*path[:-1])
        return isinstance(above, Table) and path[-1] in above.items


def check(inventory: Inventory, places: Places) -> None:
    _check_ids(inventory, places)
    _check_hosts(inventory, places)
    _check_copies(inventory, places)
    entries: dict[tuple[model.EntryPath, model.FieldPlace], str] = {}
    for credential in inventory.credentials.values():
        _check_credential(credential, inventory, places)
        _check_entry(credential, entries, places)
    files: dict[tuple[str, str], str] = {}
    for destination in inventory.destinations.values():
        _check_destination(destination, inventory, places)
        _check_place(destination, inventory, files, places)
    _check_sections(inventory, places)
    _check_scan(inventory, places)
    _check_tasks(inventory, places)
    firings.check(inventory, places)


def _known(node: Node, known: Collection[str], noun: str, name: str, where: str) -> None:
    if name not in known:
        hint = nearest(name, list(known)) or f"there are {', '.join(list(known)[:20]) or 'none'}"
        raise Wrong(node, f"{where} is {shown(name)}, which is no {noun} of this inventory", hint)


def _check_ids(inventory: Inventory, places: Places) -> None:
    taken: dict[str, tuple[str, int]] = {}
    rows: list[tuple[Credential | Destination | model.Task, str]] = [
        *((row, "credential") for row in inventory.credentials.values()),
        *((row, "destination") for row in inventory.destinations.values()),
        *((row, "task") for row in inventory.tasks.values()),
    ]
    for row, noun in sorted(rows, key=lambda pair: pair[0].line):
        if row.id in taken:
            other, line = taken[row.id]
            message = f"{noun} {row.id} has the id of the {other} on line {line}; choose another id"
            raise Wrong(places.key(f"{noun}s", row.id), message)
        taken[row.id] = noun, row.line


def _check_hosts(inventory: Inventory, places: Places) -> None:
    known = {model.LOCAL, *inventory.hosts}
    for host in inventory.hosts.values():
        node = places.at("hosts", host.id, "in")
        if host.inside is None:
            continue
        _known(node, known, "host", host.inside, f"in of host {host.id}")
        seen, inside = {host.id}, host.inside
        while inside in inventory.hosts and inside not in seen:
            seen.add(inside)
            inside = inventory.hosts[inside].inside or model.LOCAL
        if inside in seen:
            raise Wrong(node, f"host {host.id} is inside itself; follow its in: to see how")
    for host in inventory.hosts.values():
        if host.ssh and places.has("hosts", host.id, "in"):
            raise Wrong(places.key("hosts", host.id, "in"), f"in of host {host.id} is for containers, but it has ssh")
    for path, host_id in _host_references(inventory):
        _known(places.at(*path), known, "host", host_id, f"{path[-1]} of {' '.join(path[:-1]).removesuffix(' host')}")


def _host_references(inventory: Inventory) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every place that names a host, but for those inside rows, which their own rules look at."""
    if inventory.postgres:
        yield ("postgres", "host"), inventory.postgres.host
        if inventory.postgres.service:
            yield ("postgres", "service", "host"), inventory.postgres.service.host
    if inventory.pgbackrest:
        yield ("pgbackrest", "host"), inventory.pgbackrest.host
        if inventory.pgbackrest.schedule:
            yield ("pgbackrest", "schedule", "host"), inventory.pgbackrest.schedule.host
        if inventory.pgbackrest.drill.host:
            yield ("pgbackrest", "drill", "host"), inventory.pgbackrest.drill.host


_COPY_KEYS = {"folder": {"path"}, "usb": {"path", "volume"}, "rclone": {"remote"}}


def _check_copies(inventory: Inventory, places: Places) -> None:
    for copy in inventory.vault.copies.values():
        row = ("vault", "copies", copy.id)
        for key in ("path", "volume", "remote"):
            if places.has(*row, key) and key not in _COPY_KEYS[copy.kind]:
                raise Wrong(places.key(*row, key), f"{key} of copy {copy.id} has no meaning for kind {copy.kind}")
            if not places.has(*row, key) and key in _COPY_KEYS[copy.kind]:
                raise Wrong(places.key(*row), f"copy {copy.id} lacks the key {key!r}, which kind {copy.kind} needs")
        for number, credential_id in enumerate(copy.needs or ()):
            node = places.at(*row, "needs", item=number)
            _known(node, inventory.credentials, "credential", credential_id, f"an id in needs of copy {copy.id}")
        if copy.kind == "usb" and copy.path and (copy.path[0] in "/~" or ".." in copy.path.split("/")):
            message = f"path of copy {copy.id} must be relative to the drive's root, without .."
            raise Wrong(places.at(*row, "path"), message)


def _check_credential(credential: Credential, inventory: Inventory, places: Places) -> None:
    row, where = ("credentials", credential.id), f"credential {credential.id}"
    kind = model.KINDS[credential.kind]
    _check_target(credential, inventory, places)
    if credential.generate and not kind.chosen:
        message = f"generate of {where} has no meaning: the secret of kind {credential.kind} is not chosen by us"
        raise Wrong(places.key(*row, "generate"), message)
    if credential.least is not None and credential.kind != "recovery-codes":
        raise Wrong(places.key(*row, "least"), f"least of {where} has no meaning for kind {credential.kind}")
    if isinstance(credential.rule, model.Every):
        every = credential.rule.interval
        for key, interval in (("lead", credential.lead), ("grace", credential.grace), ("soak", credential.soak)):
            if places.has(*row, key) and interval.least_days > every.least_days:
                raise Wrong(places.at(*row, key), f"{key} of {where} is longer than {every}, its every")
    if credential.rotated and credential.expires and credential.expires <= credential.rotated:
        raise Wrong(places.at(*row, "expires"), f"expires of {where} is not after {credential.rotated}, its rotated")


def _check_target(credential: Credential, inventory: Inventory, places: Places) -> None:
    row, where = ("credentials", credential.id, "target"), f"target of credential {credential.id}"
    allowed = ("page", *model.KINDS[credential.kind].targets)
    for key in model.Target._fields if credential.target else ():
        if key not in allowed and places.has(*row, key):
            message = f"{key} of {where} has no meaning for kind {credential.kind}"
            raise Wrong(places.key(*row, key), message, f"it may have {', '.join(allowed)}")
    host = credential.target.host if credential.target else None
    if host:
        node = places.at(*row, "host")
        _known(node, inventory.hosts, "host", host, f"host of {where}")
        if not inventory.hosts[host].ssh:
            raise Wrong(node, f"host of {where} is {host}, which is not reached by ssh")


def _check_entry(
    credential: Credential, taken: dict[tuple[model.EntryPath, model.FieldPlace], str], places: Places
) -> None:
    """Two rows may share an entry, but not the secret in it: a rotation of one would change the other."""
    spot = credential.entry, credential.fields[credential.primary]
    other = taken.setdefault(spot, credential.id)
    if other != credential.id:
        message = f"entry of credential {credential.id} and its {credential.primary} are those of credential {other}"
        raise Wrong(places.at("credentials", credential.id, "entry"), message)


def _check_destination(destination: Destination, inventory: Inventory, places: Places) -> None:
    row, where = ("destinations", destination.id), f"destination {destination.id}"
    _known(places.at(*row, "host"), {model.LOCAL, *inventory.hosts}, "host", destination.host, f"host of {where}")
    fault = model.path_fault(destination.path, remote=destination.is_remote)
    if fault:
        raise Wrong(places.at(*row, "path"), f"path of {where} {fault}")
    if model.names_a_folder(destination.path):
        raise Wrong(places.at(*row, "path"), f"path of {where} names a folder; name the file")
    if (destination.dialect == "file") != (destination.value is not None):
        right = "dialect file needs value" if destination.value is None else "value needs dialect file"
        raise Wrong(places.at(*row, "dialect"), f"dialect of {where} does not fit: {right}")
    _check_names(destination, inventory, places)
    _check_builtin(destination, inventory, places)


def _check_names(destination: Destination, inventory: Inventory, places: Places) -> None:
    row, where = ("destinations", destination.id), f"destination {destination.id}"
    for name, credential_id in destination.uses.items():
        node = places.at(*row, "uses", name)
        _known(node, inventory.credentials, "credential", credential_id, f"{name} in uses of {where}")
        if name in destination.vars:
            raise Wrong(places.key(*row, "vars", name), f"{name} in vars of {where} is in its uses too; rename one")
    for key in ("uses", "vars"):
        if destination.value and places.has(*row, key):
            raise Wrong(places.key(*row, key), f"{key} of {where} has no meaning, because value is the whole file")
    if destination.value:
        _check_field(inventory, places, (*row, "value"), destination.value, where=f"value of {where}", key="from")


def _check_field(
    inventory: Inventory,
    places: Places,
    path: tuple[str, ...],
    named: model.ValueFrom | model.AccountFrom,
    *,
    where: str,
    key: str,
) -> None:
    credential_id, field = named
    _known(places.at(*path, key), inventory.credentials, "credential", credential_id, f"{key} of {where}")
    fields = inventory.credentials[credential_id].fields
    if field not in fields:
        hint = nearest(field, list(fields)) or f"it has {', '.join(fields)}"
        message = f"field of {where} is {shown(field)}, which credential {credential_id} does not have"
        raise Wrong(places.at(*path, "field"), message, hint)


def _check_builtin(destination: Destination, inventory: Inventory, places: Places) -> None:
    row, where, builtin = ("destinations", destination.id), f"destination {destination.id}", destination.builtin
    if builtin and destination.dialect not in model.BUILTIN_DIALECTS[builtin]:
        fit = ", ".join(sorted(model.BUILTIN_DIALECTS[builtin]))
        raise Wrong(places.at(*row, "dialect"), f"dialect of {where} does not fit builtin:{builtin}", f"it fits {fit}")
    sections = {"pgbackrest": inventory.pgbackrest, "postgres": inventory.postgres, "cloud": inventory.cloud}
    absent = [name for name, section in sections.items() if section is None]
    if builtin == "pgbackrest" and absent:
        message = f"template of {where} reads sections that are not here: {', '.join(absent)}"
        raise Wrong(places.at(*row, "template"), message)
    if destination.prove == "pgbackrest-check" and "pgbackrest" in absent:
        message = f"prove of {where} is pgbackrest-check, but there is no section pgbackrest"
        raise Wrong(places.at(*row, "prove"), message)


def _check_place(
    destination: Destination, inventory: Inventory, taken: dict[tuple[str, str], str], places: Places
) -> None:
    other = taken.setdefault(model.same_place(destination, inventory.folder), destination.id)
    if other != destination.id:
        message = f"path of destination {destination.id} is the file of destination {other}"
        raise Wrong(places.at("destinations", destination.id, "path"), message)


def _check_sections(inventory: Inventory, places: Places) -> None:
    if inventory.pgbackrest:
        _check_config(inventory, inventory.pgbackrest.config, places, "pgbackrest")
        if inventory.pgbackrest.drill.config:
            _check_config(inventory, inventory.pgbackrest.drill.config, places, "pgbackrest", "drill")
    if inventory.cloud:
        account = inventory.cloud.account
        _check_field(inventory, places, ("cloud", "account"), account, where="account of cloud", key="credential")
        _check_lifecycle(inventory.cloud, places)
        _check_prefixes(inventory.cloud, inventory.pgbackrest, places)
        _check_drill_user(inventory.cloud, places)


def _check_config(inventory: Inventory, config: str, places: Places, *section: str) -> None:
    node = places.at(*section, "config")
    where = f"config of {' of '.join(reversed(section))}"
    _known(node, inventory.destinations, "destination", config, where)
    if inventory.destinations[config].dialect != "pgbackrest":
        raise Wrong(node, f"{where} is destination {config}, whose dialect is not pgbackrest")


def _check_lifecycle(cloud: model.Cloud, places: Places) -> None:
    lifecycle = cloud.lifecycle
    if lifecycle is None:
        return
    instant, deep = lifecycle.glacier_ir, lifecycle.deep_archive
    if instant is not None and deep is not None and deep < instant + 90:
        message = f"deep_archive of lifecycle must be at least 90 days after glacier_ir: {instant + 90} days or more"
        raise Wrong(places.at("cloud", "lifecycle", "deep_archive"), message)
    latest = max(instant or 0, deep or 0)
    if lifecycle.expire is not None and lifecycle.expire <= latest:
        message = f"expire of lifecycle must be after the last move, which is at {latest} days"
        raise Wrong(places.at("cloud", "lifecycle", "expire"), message)


def _check_prefixes(cloud: model.Cloud, pgbackrest: model.PgBackRest | None, places: Places) -> None:
    if pgbackrest is None:
        return
    objects = pgbackrest.repo.path.strip("/") + "/"
    for key, user in (("user", cloud.user), ("drill_user", cloud.drill_user)):
        if user is not None and not objects.startswith(user.prefixes):
            message = f"prefixes of {key} of cloud do not reach the path of the pgbackrest repo"
            raise Wrong(places.at("cloud", key, "prefixes"), message, f"add {objects}")


def _check_drill_user(cloud: model.Cloud, places: Places) -> None:
    """It is a user of its own, or it could do what the other may."""
    for key in ("name", "policy"):
        if cloud.drill_user is not None and getattr(cloud.drill_user, key) == getattr(cloud.user, key):
            node = places.at("cloud", "drill_user", key)
            raise Wrong(node, f"{key} of drill_user of cloud is that of its user; choose another")


def _check_scan(inventory: Inventory, places: Places) -> None:
    for credential_id in inventory.scan.allow:
        node = places.key("scan", "allow", credential_id)
        _known(node, inventory.credentials, "credential", credential_id, "an id in allow of scan")
    for number, word in enumerate(inventory.scan.secret):
        node = places.at("scan", "secret", item=number)
        credential_id, dot, field = word.partition(".")
        if word.startswith("attr:") or not dot:
            continue
        _known(node, inventory.credentials, "credential", credential_id, "a name in secret of scan")
        fields = inventory.credentials[credential_id].fields
        if field not in fields:
            hint = nearest(field, list(fields)) or f"it has {', '.join(fields)}"
            message = f"secret of scan names {shown(word)}, but credential {credential_id} has no such field"
            raise Wrong(node, message, hint)


def _check_tasks(inventory: Inventory, places: Places) -> None:
    for task in inventory.tasks.values():
        if task.run and task.run[0] not in model.COMMANDS:
            message = f"run of task {task.id} begins with {shown(task.run[0])}, which is no command"
            hint = nearest(task.run[0], sorted(model.COMMANDS))
            raise Wrong(places.at("tasks", task.id, "run"), message, hint)
