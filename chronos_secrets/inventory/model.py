"""What inventory.yaml says, as frozen values: the words that the rest of the program speaks.

Pure: no file, clock, network or chance. NamedTuples and not dataclasses: creating one costs a fifth at import, and
every command pays that. `line` is always the 1-based line of the row in inventory.yaml.
"""

import posixpath
import re
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import NamedTuple

VERSION = 1
LOCAL = "local"
MODES = (0o400, 0o440, 0o600, 0o640)
"""What a destination's mode may be: nothing for others, nothing executable, the group may read at most."""

_COMMANDS = """
    init check doctor get list render run trust unlock forget due done history schedule rotate vault emergency backup
    cloud scan redact hook config completion
"""
COMMANDS = frozenset(_COMMANDS.split())
"""The first words of the command line; a task's `run` begins with one of them."""

_MORE_WORDS = """
    status rollback abandon copy copies verify restore diff upgrade prune sheet drill full incr info expire
    stanza-create configure logs plan apply audit cost install uninstall show all local aws-keys postgres ssh-keys
    tokens
"""
RESERVED_IDS = COMMANDS | frozenset(_MORE_WORDS.split())
"""Words that no credential has as its id: `rotate status` must not raise the question of which status is meant."""

TEMPLATE_WORDS = frozenset({"and", "else", "false", "if", "in", "is", "none", "not", "or", "true"})
"""Words of the template language; a name in `uses` or `vars` that is one of them could never be asked for."""

SECRET_FIELDS = frozenset({"secret_access_key", "password", "private_key", "token", "passphrase", "totp", "codes"})
IDENTIFIER_FIELDS = frozenset({"username", "url", "access_key_id", "account_id"})
STANDARD_PLACES = ("UserName", "Password", "URL", "Notes", "otp")
_AMAZON = (".amazonaws.com", ".amazonaws.com.cn")
BUILTIN_DIALECTS: dict[str, frozenset[str]] = {
    "env": frozenset({"dotenv", "sh", "systemd", "compose", "python", "node"}),
    "pgbackrest": frozenset({"pgbackrest"}),
    "ssh-config": frozenset({"ssh-config"}),
}
"""The templates that come with the program, and the dialects each is written for."""
DIALECTS = ("dotenv", "sh", "systemd", "compose", "python", "node", "pgbackrest", "pgpass", "ssh-config", "file")


class EntryPath(NamedTuple):
    """Where an entry is in the vault: its groups from the root down, and its title."""

    groups: tuple[str, ...]
    title: str

    @classmethod
    def parse(cls, text: str) -> "EntryPath":
        r"""From "AWS/Root Account". A slash inside a name is written \/ and a backslash \\. Raises ValueError."""
        parts = [""]
        characters = iter(text)
        for character in characters:
            if character == "/":
                parts.append("")
            elif character == "\\":
                parts[-1] += _escaped(next(characters, ""))
            else:
                parts[-1] += character
        if not all(parts):
            raise ValueError("has an empty part; a slash stands between two names")
        return cls(tuple(parts[:-1]), parts[-1])

    def __str__(self) -> str:
        return "/".join(part.replace("\\", "\\\\").replace("/", "\\/") for part in (*self.groups, self.title))


def _escaped(character: str) -> str:
    if character not in {"/", "\\"}:
        raise ValueError(r"holds a lone backslash; write \\ for a backslash and \/ for a slash inside a name")
    return character


class FieldPlace(NamedTuple):
    """Where KeePassXC shows a field: `where` is standard, attr or attachment.

    `name` is None only for an attachment that the row does not name: the entry's single attachment is meant.
    """

    where: str
    name: str | None

    @classmethod
    def parse(cls, text: str) -> "FieldPlace":
        """From `UserName`, `attr:NAME` or `attachment:NAME`. Raises ValueError."""
        if text in STANDARD_PLACES:
            return cls("standard", text)
        where, colon, name = text.partition(":")
        if where not in {"attr", "attachment"} or not colon:
            places = ", ".join(STANDARD_PLACES)
            raise ValueError(f"is no place in an entry; places are {places}, attr:NAME and attachment:NAME")
        if not name:
            raise ValueError(f"lacks the name after {where}:")
        if where == "attr" and name in {*STANDARD_PLACES, "Title"}:
            raise ValueError(f"is a standard field; write {name}" if name != "Title" else "is the title, not a field")
        return cls(where, name)

    def __str__(self) -> str:
        return f"{self.name}" if self.where == "standard" else f"{self.where}:{self.name or ''}"


_USER, _PASSWORD, _URL = (FieldPlace("standard", name) for name in ("UserName", "Password", "URL"))


class Kind(NamedTuple):
    """What a credential of one kind is made of."""

    fields: dict[str, FieldPlace]
    primary: str  # what `get ID` prints, and what a rotation replaces
    targets: tuple[str, ...] = ()  # keys that `target` may have besides `page`
    chosen: bool = False  # we choose the secret ourselves, so `generate` has a meaning


KINDS: dict[str, Kind] = {
    "aws-access-key": Kind(
        {"access_key_id": _USER, "secret_access_key": _PASSWORD}, "secret_access_key", targets=("iam_user",)
    ),
    "postgres-password": Kind(
        {"username": _USER, "password": _PASSWORD}, "password", targets=("role", "mode"), chosen=True
    ),
    "ssh-key": Kind(
        {"private_key": FieldPlace("attachment", None), "username": _USER}, "private_key", targets=("host",)
    ),
    "api-token": Kind({"token": _PASSWORD, "username": _USER, "url": _URL}, "token", targets=("check",)),
    "passphrase": Kind({"passphrase": _PASSWORD}, "passphrase", chosen=True),
    "account": Kind(
        {"username": _USER, "password": _PASSWORD, "url": _URL, "totp": FieldPlace("standard", "otp")},
        "password",
        targets=("check",),
        chosen=True,
    ),
    "recovery-codes": Kind({"codes": FieldPlace("standard", "Notes")}, "codes"),
}


class Interval(NamedTuple):
    """A calendar step such as "6 months"; what it means from a given day is the schedule's business."""

    number: int
    unit: str  # day, week, month or year

    def __str__(self) -> str:
        return f"{self.number} {self.unit}{'' if self.number == 1 else 's'}"

    @property
    def least_days(self) -> int:
        """The fewest days that it can be; for comparing two intervals, never for computing a date."""
        return self.number * {"day": 1, "week": 7, "month": 28, "year": 365}[self.unit]


class Every(NamedTuple):
    """Rotated at an interval."""

    interval: Interval


class Never(NamedTuple):
    """Not rotated by plan."""

    reason: str


class Automatic(NamedTuple):
    """Renewed by itself or by its issuer."""

    how: str


Rule = Every | Never | Automatic


class Target(NamedTuple):
    """Where a credential is honoured; which of these are set depends on the kind."""

    iam_user: str | None
    role: str | None
    mode: str  # single or alternating
    host: str | None
    page: str | None
    check: str | None


class Generate(NamedTuple):
    """How a new secret is made where we choose it."""

    length: int


class Credential(NamedTuple):
    """A row of `credentials`: never a value."""

    id: str
    kind: str
    title: str
    purpose: str | None
    entry: EntryPath
    rule: Rule
    rotated: date | None
    expires: date | None
    lead: Interval
    grace: Interval
    soak: Interval
    target: Target | None
    generate: Generate | None
    paper: bool
    fields: dict[str, FieldPlace]  # the kind's, overridden and extended by the row
    owner: str
    line: int
    least: int | None = None  # recovery codes: due when fewer are left; None never

    @property
    def primary(self) -> str:
        """The field that `get ID` prints and that a rotation replaces."""
        return KINDS[self.kind].primary

    def is_secret(self, field: str) -> bool:
        """Whether the field's value must never be shown: all but user names, URLs and the known identifiers."""
        place = self.fields[field]
        if field in SECRET_FIELDS:
            return True
        if place.where == "standard":
            return place.name not in {"UserName", "URL"}
        return field not in IDENTIFIER_FIELDS


class ValueFrom(NamedTuple):
    """One field whose exact bytes are a destination's whole content."""

    credential: str  # written `from:` in the file
    field: str


class Destination(NamedTuple):
    """A file made from the vault. Exactly one of `template` and `value` is set; `value` exactly for dialect file."""

    id: str
    host: str
    path: str  # as written
    dialect: str
    template: str | None
    value: ValueFrom | None
    uses: dict[str, str]
    vars: dict[str, str]
    owner: str | None  # user or user:group of the file; None leaves it to whoever writes
    mode: int
    after: tuple[tuple[str, ...], ...]
    prove: str | None
    line: int

    @property
    def is_remote(self) -> bool:
        """Whether the file is placed on another host than this machine."""
        return self.host != LOCAL

    @property
    def account(self) -> str | None:
        """The user whom the file belongs to; None for whoever writes it."""
        return (self.owner or "").partition(":")[0] or None

    @property
    def credentials(self) -> tuple[str, ...]:
        """The ids of every credential whose secrets the file may hold, each once, in order of mention."""
        taken = (self.value.credential,) if self.value else ()
        return tuple(dict.fromkeys((*taken, *self.uses.values())))

    @property
    def builtin(self) -> str | None:
        """The name of the template that comes with the program, or None for the user's own."""
        template = self.template or ""
        return template.removeprefix("builtin:") if template.startswith("builtin:") else None


class Host(NamedTuple):
    """Where a program runs or a file is placed: an SSH alias, or a container on another host.

    "local" always exists and has no row.
    """

    id: str
    ssh: str | None  # an alias of ~/.ssh/config, never an address
    sudo: bool
    inside: str | None  # written `in:`; the host that runs the container, set exactly when `container` is
    container: str | None
    engine: str
    user: str | None
    line: int


class Keep(NamedTuple):
    """How many copies are kept; None keeps none for that reason."""

    last: int | None
    daily: int | None
    weekly: int | None
    monthly: int | None
    yearly: int | None


class Volume(NamedTuple):
    """A removable drive, by the label or the UUID of its file system: exactly one is set."""

    label: str | None
    uuid: str | None


class Copy(NamedTuple):
    """A second vault file, kept elsewhere."""

    id: str
    kind: str  # folder, usb or rclone
    path: str | None
    volume: Volume | None
    remote: str | None
    every: Interval | None
    when: tuple[str, ...]
    keep: Keep | None  # None keeps all
    age: str | None  # a recipient of the age program; None leaves the copy as the vault file is
    line: int
    needs: tuple[str, ...] | None = None  # ids of credentials without which nobody gets at it; None is not said

    @property
    def rhythm(self) -> tuple[Interval | None, tuple[str, ...]]:
        """After how long a copy is due, and when the program makes one by itself.

        A row that says neither has the default: after every change, a drive weekly, a cloud storage monthly.
        """
        if self.every is None and not self.when:
            return {"usb": Interval(1, "week"), "rclone": Interval(1, "month")}.get(self.kind), ("after-change",)
        return self.every, self.when


class VaultPlace(NamedTuple):
    """Where the vault is and where its copies go."""

    path: str
    copies: dict[str, Copy]


class Connect(NamedTuple):
    """How this machine reaches the database."""

    via: str  # ssh-forward or direct
    port: int


class Service(NamedTuple):
    """The compose service that runs the database."""

    host: str
    compose: str
    name: str
    volume: str | None


class Postgres(NamedTuple):
    """The database."""

    host: str
    port: int
    database: str
    role: str
    data: str
    connect: Connect | None
    service: Service | None
    probe_tables: tuple[str, ...]


class Repo(NamedTuple):
    """The pgBackRest repository."""

    path: str
    cipher: str
    retention_full: int
    retention_diff: int | None


class BackupSchedule(NamedTuple):
    """When backups run: five cron fields each."""

    full: str
    diff: str | None
    incr: str | None
    timezone: str
    host: str
    by: str = "systemd"  # or cron

    @property
    def starts(self) -> dict[str, str]:
        """The cron line of each type of backup that is started, full first."""
        lines = {"full": self.full, "diff": self.diff, "incr": self.incr}
        return {type_: line for type_, line in lines.items() if line is not None}


class Objectives(NamedTuple):
    """What the backups promise."""

    rpo: timedelta | None
    rto: timedelta | None
    full_age: timedelta | None
    drill: Interval | None


class DrillPlace(NamedTuple):
    """Where a restore is proved: a host, the destination that pgBackRest reads there, and a folder with room.

    None for host and config: those that backups are made with.
    """

    host: str | None
    config: str | None
    path: str


class PgBackRest(NamedTuple):
    """The backups."""

    stanza: str
    host: str
    config: str
    repo: Repo
    schedule: BackupSchedule | None
    archive_timeout: timedelta | None
    objectives: Objectives | None
    drill: DrillPlace


class AccountFrom(NamedTuple):
    """The vault field that holds the cloud account's number."""

    credential: str
    field: str


class CloudUser(NamedTuple):
    """The service account that the backups use."""

    name: str
    policy: str
    prefixes: tuple[str, ...]


class Bucket(NamedTuple):
    """The bucket and what must hold for it."""

    name: str
    versioning: bool
    encryption: str
    public_access: str
    tls_only: bool


class Lifecycle(NamedTuple):
    """When objects move or go, in days; None is never."""

    glacier_ir: int | None
    deep_archive: int | None
    expire: int | None
    noncurrent: int | None
    incomplete_uploads: int | None
    min_size: int | None  # bytes


class Accepted(NamedTuple):
    """A posture finding that is accepted, why, and until when."""

    control: str
    reason: str
    until: date


class Cloud(NamedTuple):
    """The cloud account that stores the backups."""

    provider: str
    region: str
    endpoint: str
    account: AccountFrom
    admin_profile: str | None
    user: CloudUser
    bucket: Bucket
    lifecycle: Lifecycle | None
    accepted: tuple[Accepted, ...]
    drill_user: CloudUser | None = None  # may read only

    @property
    def api(self) -> str | None:
        """Where every service is asked, for a provider that is not Amazon; None where each has its own address."""
        return None if self.endpoint.endswith(_AMAZON) else f"https://{self.endpoint}"


class Scan(NamedTuple):
    """How the scanner behaves."""

    known: str  # optional or required
    secret: tuple[str, ...] = ()  # "credential.field", or "attr:NAME" of every entry: known values, though identifiers
    allow: Mapping[str, str] = MappingProxyType({})  # credential: why its values may stand in files


class Timer(NamedTuple):
    """When this program runs by itself on the operator's machine: five cron fields, in the inventory's timezone."""

    at: str
    notify: tuple[tuple[str, ...], ...] = ()  # commands that are given what `due` says


class Timers(NamedTuple):
    """What runs by itself on the operator's machine."""

    by: str  # systemd or cron
    due: Timer | None
    rotate: Timer | None
    copies: Timer | None

    @property
    def jobs(self) -> dict[str, Timer]:
        """The timers that there are, by the name of what they run."""
        jobs = {"due": self.due, "rotate": self.rotate, "copies": self.copies}
        return {name: timer for name, timer in jobs.items() if timer is not None}


class Task(NamedTuple):
    """Recurring work that is no rotation."""

    id: str
    title: str
    every: Interval
    start: date  # written `from:`
    run: tuple[str, ...] | None
    owner: str
    line: int


class Inventory(NamedTuple):
    """The whole of inventory.yaml. Sections that are not there are None or empty."""

    path: Path  # absolute
    version: int
    project: str
    timezone: str
    owner: str
    hosts: dict[str, Host]
    vault: VaultPlace
    credentials: dict[str, Credential]
    destinations: dict[str, Destination]
    postgres: Postgres | None
    pgbackrest: PgBackRest | None
    cloud: Cloud | None
    scan: Scan
    tasks: dict[str, Task]
    timers: Timers | None = None

    @property
    def folder(self) -> Path:
        """The folder of the file: what relative local paths are relative to."""
        return self.path.parent

    def locate(self, path: str, *, home: PurePath) -> Path:
        """The absolute form of a local path as written in the inventory."""
        if path.startswith("~/"):
            return Path(home, path[2:])
        return Path(self.folder, path)

    def path_of(self, file: Destination, *, home: PurePath) -> str:
        """The absolute path of a destination on its host."""
        return file.path if file.is_remote else str(self.locate(file.path, home=home))


def path_fault(path: str, *, remote: bool) -> str | None:
    """What is wrong with a path as written, worded to follow its name; None where nothing is."""
    if not path or re.search(r"[\x00-\x1f\x7f]", path):
        return "is empty or holds a control character"
    if path.startswith("$"):
        return "begins with a variable; write ~/ for the home folder"
    if remote and not path.startswith("/"):
        return "must be absolute, because it is on another host"
    if remote and ".." in path.split("/"):
        return "must not hold .."
    if path.startswith("~") and not path.startswith("~/") and path != "~":
        return "names another person's home; only ~/ is understood"
    return None


def names_a_folder(path: str) -> bool:
    """Whether a path, as written, cannot be a file."""
    return path in {"~", ""} or path.rsplit("/", 1)[-1] in {"", ".", ".."}


def same_place(destination: Destination, folder: Path) -> tuple[str, str]:
    """A key that two destinations share when they name one file."""
    path = destination.path
    if not destination.is_remote and not path.startswith("~"):
        path = posixpath.join(str(folder), path)
    return destination.host, posixpath.normpath(path)
