"""A destination's content, made in memory: its template, its dialect, and the values it uses."""

import errno
import functools
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import NotRepresentable, TemplateInvalid
from chronos_secrets.inventory.model import Destination, Inventory
from chronos_secrets.render.dialects import DIALECTS, Misplaced, Piece, Unholdable, ssh_path
from chronos_secrets.render.template import Line, Scope, Template
from chronos_secrets.render.values import Values

_TEMPLATES = Path(__file__).parent / "templates"
_TEMPLATE_LIMIT = 256 * 1024
_SAMPLE = "sample"
LOCAL_BEGIN, LOCAL_END = "# local:begin", "# local:end"
# what a built-in template can do without, by its name
_OPTIONAL = {"env": frozenset({"db", "jira", "confluence", "aws"}), "ssh-config": frozenset({"port"})}


class Row(NamedTuple):
    """One line of the file: as it is written, and as it may be shown."""

    text: str
    shown: str


class Draft:
    """A destination whose template was read and checked; its values are still in the vault."""

    def __init__(self, inventory: Inventory, destination: Destination, home: Path) -> None:
        """Raises TemplateInvalid with file and line."""
        self.destination = destination
        self._inventory = inventory
        self._template: Template | None = None
        self.text: str | None = None
        """The template's own text; None where the content is one value."""
        self.variables: Mapping[str, str] = {}
        """What the template may use besides the vault's values."""
        if destination.template is not None:
            name, self.text = _template_text(inventory, destination, home)
            self._name = name
            scope = _scope(inventory, destination, home)
            self.variables = scope.variables
            self._template = Template(self.text, name, scope)

    @property
    def header(self) -> str | None:
        """The first line, by which a file is known to be ours; None where the content is one value, byte by byte."""
        if self._template is None:
            return None
        return (
            f"# chronos-secrets: {self._inventory.project}/{self.destination.id}. "
            "Made from the vault: edits are lost, except in a '# local:' block of a dotenv file."
        )

    @property
    def needs(self) -> frozenset[tuple[str, str]]:
        """Every value that the content is made of and that must not be empty, as (credential id, field)."""
        if self.destination.value is not None:
            return frozenset({(self.destination.value.credential, self.destination.value.field)})
        required = self._template.required if self._template else frozenset()
        return frozenset((self.destination.uses[name], field) for name, field in required)

    def exact(self, values: Values) -> bytes:
        """The content of a destination that is one value. Raises EntryMissing."""
        value = self.destination.value
        assert value is not None  # noqa: S101  the caller asks only where `header` is None
        return values.value(value.credential, value.field).reveal_bytes()

    def rows(self, values: Values) -> list[Row]:
        """The lines of the file below its header.

        Raises EntryMissing, NotRepresentable for a value that the dialect cannot hold, TemplateInvalid for a line
        that is none in this dialect.
        """
        assert self._template is not None  # noqa: S101  the caller asks only where `header` is a line
        lines = self._template.evaluate(functools.partial(self._text, values))
        while lines and not lines[-1].pieces:
            lines.pop()
        return [Row(self._written(line), shown(line.pieces)) for line in lines]

    def sample(self) -> str | None:
        """The content with a made-up word for every value: what can be checked without the vault.

        Raises TemplateInvalid. None where the content is one value.
        """
        if self._template is None:
            return None
        lines = self._template.evaluate(lambda _name, _field, _absent: _SAMPLE)
        return "\n".join([self.header or "", *(self._written(line) for line in lines)])

    def _text(self, values: Values, name: str, field: str, may_be_absent: bool) -> str:
        credential = self.destination.uses[name]
        find = values.value_or_empty if may_be_absent else values.value
        try:
            return find(credential, field).reveal()
        except UnicodeDecodeError:
            raise NotRepresentable(
                f"destination {self.destination.id} cannot hold {name}.{field}: it is not text",
                hint=f"give {credential} a destination of its own with dialect: file",
            ) from None

    def _written(self, line: Line) -> str:
        dialect = DIALECTS[self.destination.dialect]
        try:
            return dialect.write(line.pieces)
        except Misplaced as error:
            raise TemplateInvalid(f"{self._name}:{line.number}: {error}") from None
        except Unholdable as error:
            held = " and ".join(error.labels) or f"line {line.number} of {self._name}"
            raise NotRepresentable(
                f"destination {self.destination.id} cannot hold {held} in dialect {dialect.name}: {error}",
                hint=error.way_out,
            ) from None


def shown(pieces: tuple[Piece, ...]) -> str:
    """A line with its secret values replaced by their names, such as `‹db.password›`."""
    return "".join(f"‹{piece.label}›" if piece.label else piece.text for piece in pieces)


def builtin_text(name: str) -> str:
    """A built-in template as it comes with the program."""
    return (_TEMPLATES / f"{name}.j2").read_text(encoding="utf-8")


def _template_text(inventory: Inventory, destination: Destination, home: Path) -> tuple[str, str]:
    if destination.builtin is not None:
        return f"builtin:{destination.builtin}", builtin_text(destination.builtin)
    path = inventory.locate(destination.template or "", home=home)
    try:
        content = _template_bytes(path)
        text = content.decode()
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise TemplateInvalid(
            f"{inventory.path}:{destination.line}: the template of {destination.id}, {path}: {reason}"
        ) from error
    except UnicodeDecodeError as error:
        raise TemplateInvalid(f"{path}:1: is not UTF-8 text") from error
    if len(content) > _TEMPLATE_LIMIT:
        raise TemplateInvalid(f"{path}:1: is larger than {_TEMPLATE_LIMIT // 1024} KiB")
    return str(path), text


def _template_bytes(path: Path) -> bytes:
    """At most one byte more than a template may have. A pipe or device would never end, so only files are read."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is no regular file")
        return file.read(_TEMPLATE_LIMIT + 1)


def _scope(inventory: Inventory, destination: Destination, home: Path) -> Scope:
    uses = {name: frozenset(inventory.credentials[credential].fields) for name, credential in destination.uses.items()}
    variables = {**_builtin_variables(inventory, destination, home), **destination.vars}
    return Scope(uses, variables, _OPTIONAL.get(destination.builtin or "", frozenset()))


def _builtin_variables(inventory: Inventory, destination: Destination, home: Path) -> dict[str, str]:
    if destination.builtin == "pgbackrest":
        return _backup_variables(inventory)
    if destination.builtin == "ssh-config":
        return _ssh_variables(inventory, destination, home)
    if destination.builtin == "env":
        return {"db_host": "localhost", "db_sslmode": "prefer", **_database_variables(inventory)}
    return {}


def _database_variables(inventory: Inventory) -> dict[str, str]:
    database = inventory.postgres
    return {"db_port": str(database.port), "db_name": database.database} if database else {}


def _backup_variables(inventory: Inventory) -> dict[str, str]:
    """What the seed's pgbackrest.conf says, from the sections pgbackrest, postgres and cloud (the loader wants all)."""
    backups, database, cloud = inventory.pgbackrest, inventory.postgres, inventory.cloud
    if backups is None or database is None or cloud is None:
        return {}
    repo = backups.repo
    return {
        "stanza": backups.stanza, "repo_path": repo.path, "cipher_type": repo.cipher,
        "retention_full": str(repo.retention_full),
        "retention_diff": "" if repo.retention_diff is None else str(repo.retention_diff),
        "bucket": cloud.bucket.name, "endpoint": cloud.endpoint, "region": cloud.region,
        "pg_path": database.data, "pg_port": str(database.port), "pg_user": database.role,
        "pg_database": database.database,
    }  # fmt: skip


def _ssh_variables(inventory: Inventory, destination: Destination, home: Path) -> dict[str, str]:
    """The alias of the host that the key opens, and the file that the key itself is written to."""
    credential = inventory.credentials.get(destination.uses.get("key", ""))
    host = inventory.hosts.get(credential.target.host or "") if credential and credential.target else None
    found = {"alias": host.ssh} if host and host.ssh else {}
    for other in inventory.destinations.values():
        if other.value and credential and other.value.credential == credential.id and not other.is_remote:
            found["key_file"] = _as_ssh_path(destination, inventory.locate(other.path, home=home))
    return found


def _as_ssh_path(destination: Destination, path: Path) -> str:
    try:
        return ssh_path(str(path))
    except Unholdable as error:
        raise TemplateInvalid(f"destination {destination.id} cannot name the key file {path}: {error}") from None
