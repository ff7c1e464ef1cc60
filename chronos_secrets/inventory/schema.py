"""The declarations of inventory.yaml: the one place from which reading, the JSON Schema and the reference come."""

from collections.abc import Callable
from typing import Any

from chronos_secrets.inventory import model
from chronos_secrets.inventory.fields import (
    WHOLE,
    Alias,
    Argv,
    Choice,
    Count,
    Cron,
    Day,
    DaysOrNever,
    Duration,
    Entry,
    Field,
    Flag,
    Id,
    Interval,
    Json,
    ListOf,
    LocalPath,
    MapOf,
    Mode,
    Name,
    Page,
    Pattern,
    Place,
    Port,
    Prefix,
    Raw,
    Record,
    Reference,
    RemotePath,
    Size,
    Template,
    Text,
    Timezone,
    Variable,
    Version,
    Wait,
)
from chronos_secrets.inventory.nodes import Node, Table

DEFAULT_LEAD = model.Interval(30, "day")
DEFAULT_GRACE = model.Interval(7, "day")


def _credential(
    *,
    every: model.Interval | None,
    never: str | None,
    automatic: str | None,
    lead: model.Interval | None,
    kind: str,
    fields: dict[str, model.FieldPlace],
    owner: str | None,
    **rest: Any,
) -> model.Credential:
    return model.Credential(
        kind=kind,
        rule=_rule(every, never, automatic),
        lead=lead or _usual_lead(every),
        fields={**model.KINDS[kind].fields, **fields},
        owner=owner or "",
        **rest,
    )


def _rule(every: model.Interval | None, never: str | None, automatic: str | None) -> model.Rule:
    if every:
        return model.Every(every)
    return model.Never(never) if never else model.Automatic(automatic or "")


def _usual_lead(every: model.Interval | None) -> model.Interval:
    """Thirty days, but not more than a quarter of the time between two rotations."""
    quarter = every.least_days // 4 if every else 30
    return DEFAULT_LEAD if quarter >= 30 else model.Interval(max(quarter, 1), "day")


def _task(*, owner: str | None, **rest: Any) -> model.Task:
    return model.Task(owner=owner or "", **rest)


def _host(*, container: str | None, inside: str | None, **rest: Any) -> model.Host:
    return model.Host(container=container, inside=inside or (model.LOCAL if container else None), **rest)


def _inventory(**sections: Any) -> Callable[..., model.Inventory]:
    """The inventory but for its path, with the owner of the file given to every row that names none."""
    owner = sections["owner"]
    for section in ("credentials", "tasks"):
        rows = sections[section].items()
        sections[section] = {key: row if row.owner else row._replace(owner=owner) for key, row in rows}
    return lambda path: model.Inventory(path=path, **sections)


COUNT = Count(1, 9999999)
HOST = Reference("host")
CREDENTIAL = Reference("credential")
DESTINATION = Reference("destination")
VARIABLE = Variable()
ALIAS = Alias("an alias of ~/.ssh/config", "my-server")
REMOTE = Pattern("rclone remote", "[A-Za-z0-9_][A-Za-z0-9_. -]*:[^\n]*", "a remote such as cloud:folder", "cloud:vault")
RECIPIENT = Pattern("age recipient", "age1[a-z0-9]+", "a recipient such as age-keygen prints", "age1examplerecipient")
FILE_OWNER = Pattern(
    "user[:group]",
    "[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?",
    "a user, or user:group",
    "postgres:postgres",
)
TABLE = Pattern("schema.table", "[A-Za-z_][A-Za-z0-9_$]*\\.[A-Za-z_][A-Za-z0-9_$]*", "schema.table", "public.events")
REGION = Pattern("region", "[a-z]{2,}(-[a-z]+)+-[0-9]", "a region such as ca-central-1", "ca-central-1")
ENDPOINT = Pattern(
    "host name", "[a-z0-9]([a-z0-9.-]*[a-z0-9])?", "a host name, without https://", "s3.ca-central-1.amazonaws.com"
)
BUCKET_NAME = Pattern("bucket", "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket's name", "my-backups")
SECRET = Pattern(
    "credential.field | attr:NAME",
    r"[a-z][a-z0-9-]{0,63}\.[a-z][a-z0-9_]*|attr:[^\n]+",
    "a field of a credential such as aws-root.account_id, or attr:NAME for that attribute of every entry",
    "some-credential.account_id",
)
HOST_DOC = "id of a row in hosts, or local"

HOSTS = Record(
    _host,
    Field("ssh", ALIAS, "alias in ~/.ssh/config; the address never stands here", None),
    Field("sudo", Flag(), "files and programs of the system are reached with sudo", False),
    Field("in", HOST, "host that runs the container", None, attr="inside", otherwise="local, for a container"),
    Field("container", Name("a container's name", "my-db"), "name of the container", None),
    Field("engine", Choice("docker", "podman"), "what runs the container", "docker"),
    Field("user", Name("a user's name", "postgres"), "user that commands run as", None, otherwise="the host's own"),
    one_of=("ssh", "container"),
    keyed=True,
)

KEEP = Record(
    model.Keep,
    Field("last", COUNT, "how many of the newest copies are kept", None),
    Field("daily", COUNT, "for how many days one a day is kept", None),
    Field("weekly", COUNT, "for how many weeks one a week is kept", None),
    Field("monthly", COUNT, "for how many months one a month is kept", None),
    Field("yearly", COUNT, "for how many years one a year is kept", None),
)

VOLUME = Record(
    model.Volume,
    Field("label", Name("a label", "KEYS"), "label of the drive's file system", None),
    Field("uuid", Name("a UUID", "1234-ABCD"), "UUID of the drive's file system", None),
    one_of=("label", "uuid"),
)

NEEDS = ListOf(CREDENTIAL, "a list of ids such as [cloud-storage]")

COPIES = Record(
    model.Copy,
    Field("kind", Choice("folder", "usb", "rclone"), "a folder here, a removable drive, or a cloud storage"),
    Field("path", LocalPath(), "folder of the copies; on a drive relative to its root", None),
    Field("volume", VOLUME, "the removable drive", None),
    Field("remote", REMOTE, "remote and folder of rclone", None),
    Field(
        "every",
        Interval(),
        "a copy is due when the last one is older",
        None,
        otherwise="without when: 1 week (usb), 1 month (rclone)",
    ),
    Field(
        "when",
        ListOf(Choice("before-change", "after-change")),
        "when the program copies by itself",
        (),
        otherwise="without every: after-change",
    ),
    Field("keep", KEEP, "how many copies are kept", None, otherwise="all"),
    Field("age", RECIPIENT, "recipient that the age program encrypts each copy to once more", None),
    Field("needs", NEEDS, "credentials without which nobody gets at the copies; [] for none", None),
    keyed=True,
)

VAULT = Record(
    model.VaultPlace,
    Field("path", LocalPath(), "the KeePassXC file; a machine's config.toml may say otherwise"),
    Field("copies", MapOf(Id(), COPIES, "copy"), "where the vault is copied to", {}),
)

TARGET = Record(
    model.Target,
    Field("iam_user", Name("an IAM user", "backup-writer"), "IAM user that has the keys (aws-access-key)", None),
    Field("role", Name("a role", "app"), "role of the database (postgres-password)", None),
    Field("mode", Choice("single", "alternating"), "one role, or two that take turns (postgres-password)", "single"),
    Field("host", HOST, "host whose authorized_keys has the key (ssh-key)", None),
    Field("page", Page(), "page where a person changes it", None),
    Field("check", Choice("atlassian"), "how the program finds out that it works (api-token, account)", None),
)

GENERATE = Record(model.Generate, Field("length", Count(16, 1024), "characters of a new secret", 32))

CREDENTIALS = Record(
    _credential,
    Field("kind", Choice(*model.KINDS), "what the credential is; decides its fields and how it is rotated"),
    Field("title", Text(), "short name for reports"),
    Field("purpose", Text(), "what stops working without it", None),
    Field("entry", Entry(), r"groups and title in the vault; a slash inside a name is \/ and a backslash \\"),
    Field("every", Interval(), "rotated at this interval", None),
    Field("never", Text(), "not rotated; the reason", None),
    Field("automatic", Text(), "renewed by itself; how", None),
    Field("rotated", Day(), "last rotation, where the vault does not know it", None),
    Field("expires", Day(), "last day on which it works, whatever the interval says", None),
    Field("lead", Interval(), "due soon this long before", None, otherwise="30 days, or a quarter of every if less"),
    Field("grace", Wait(), "how long old and new are both valid after delivery", DEFAULT_GRACE),
    Field("soak", Wait(), "how long the old one stays inactive before it is deleted", DEFAULT_GRACE),
    Field("target", TARGET, "where the credential is honoured", None),
    Field("generate", GENERATE, "how a new secret is made, for kinds whose secret we choose", None),
    Field("paper", Flag(), "has blank lines on the emergency sheet, to be filled in by hand", False),
    Field("least", COUNT, "due when fewer codes are left (recovery-codes)", None),
    Field("fields", MapOf(VARIABLE, Place(), "field", row=False), "places of fields besides the kind's", {}),
    Field("owner", Text(), "who looks after it", None, otherwise="the file's owner"),
    one_of=("every", "never", "automatic"),
    keyed=True,
)

VALUE = Record(
    model.ValueFrom,
    Field("from", CREDENTIAL, "id of the credential", attr="credential"),
    Field("field", VARIABLE, "its field"),
)

DESTINATIONS = Record(
    model.Destination,
    Field("host", HOST, HOST_DOC, model.LOCAL),
    Field("path", LocalPath(), "the file: ~/..., absolute or relative to the inventory; absolute on another host"),
    Field("dialect", Choice(*model.DIALECTS), "how values are quoted; file is the exact bytes of one field"),
    Field("template", Template(), "what the file is made from", None),
    Field("value", VALUE, "the one field that is the whole file, for dialect file", None),
    Field("uses", MapOf(VARIABLE, CREDENTIAL, "name", row=False), "every credential that the template may use", {}),
    Field("vars", MapOf(VARIABLE, Raw(), "name", row=False), "plain values for the template; never a secret", {}),
    Field("owner", FILE_OWNER, "owner of the file", None, otherwise="who writes it"),
    Field("mode", Mode(), "mode of the file: 0600, 0400, 0640 or 0440", 0o600, otherwise="0600"),
    Field("after", ListOf(Argv(), "a list of commands such as [[program, argument]]"), "run after a change", ()),
    Field("prove", Choice("pgbackrest-check"), "what proves, in a rotation, that the new file works", None),
    one_of=("template", "value"),
    keyed=True,
)

CONNECT = Record(
    model.Connect,
    Field("via", Choice("ssh-forward", "direct"), "through SSH to the host's loopback, or straight"),
    Field("port", Port(), "port there", 5432),
)

SERVICE = Record(
    model.Service,
    Field("host", HOST, HOST_DOC),
    Field("compose", RemotePath(), "folder of the compose file"),
    Field("name", Name("a service", "db"), "name of the service"),
    Field("volume", Name("a volume", "data"), "volume of the data folder", None),
)

POSTGRES = Record(
    model.Postgres,
    Field("host", HOST, HOST_DOC),
    Field("port", Port(), "port as the database's own host sees it", 5432),
    Field("database", Name("a database", "app"), "name of the database"),
    Field("role", Name("a role", "app"), "role that the project connects as"),
    Field("data", RemotePath(), "data folder, as the database's own host sees it"),
    Field("connect", CONNECT, "how this machine reaches the database", None),
    Field("service", SERVICE, "the compose service that runs the database", None),
    Field("probe_tables", ListOf(TABLE), "tables counted after a restore", ()),
)

REPO = Record(
    model.Repo,
    Field("path", RemotePath(), "path in the repository; another one is an empty repository", "/var/lib/pgbackrest"),
    Field("cipher", Choice("aes-256-cbc", "none"), "pgBackRest's own encryption"),
    Field("retention_full", COUNT, "full backups that are kept"),
    Field("retention_diff", COUNT, "differential backups that are kept", None, otherwise="all"),
)

BACKUP_SCHEDULE = Record(
    model.BackupSchedule,
    Field("full", Cron(), "when full backups start"),
    Field("diff", Cron(), "when differential backups start", None),
    Field("incr", Cron(), "when incremental backups start", None),
    Field("timezone", Timezone(), "timezone of these times", "UTC", otherwise="UTC"),
    Field("host", HOST, "host whose timer starts them"),
    Field("by", Choice("systemd", "cron"), "what starts them there", "systemd"),
)

OBJECTIVES = Record(
    model.Objectives,
    Field("rpo", Duration(), "at most this much data may be lost", None),
    Field("rto", Duration(), "a restore may take this long", None),
    Field("full_age", Duration(), "the newest full backup is not older", None),
    Field("drill", Interval(), "a restore is proved at least this often", None),
)

DRILL_FOLDER = "/var/tmp"  # noqa: S108  each drill makes a private folder of its own in it
_AS_BACKUPS = "as the backups"
DRILL = Record(
    model.DrillPlace,
    Field("host", HOST, f"where a restore is proved: {HOST_DOC}", None, otherwise=_AS_BACKUPS),
    Field("config", DESTINATION, "id of what is read there; its key need only read", None, otherwise=_AS_BACKUPS),
    Field("path", RemotePath(), "folder there with room for the whole database", DRILL_FOLDER),
)
_USUAL_DRILL = model.DrillPlace(None, None, DRILL_FOLDER)

PGBACKREST = Record(
    model.PgBackRest,
    Field("stanza", Name("a stanza", "main"), "name of the stanza"),
    Field("host", HOST, "where pgbackrest runs: id of a row in hosts, or local"),
    Field("config", DESTINATION, "id of the destination that the commands read"),
    Field("repo", REPO, "the repository"),
    Field("schedule", BACKUP_SCHEDULE, "when backups run", None),
    Field("archive_timeout", Duration(), "a WAL segment is archived at least this often", None),
    Field("objectives", OBJECTIVES, "what the backups promise", None),
    Field("drill", DRILL, "where restores are proved", _USUAL_DRILL, otherwise=_AS_BACKUPS),
)

ACCOUNT = Record(
    model.AccountFrom,
    Field("credential", CREDENTIAL, "id of the credential"),
    Field("field", VARIABLE, "its field with the account's number"),
)

CLOUD_USER = Record(
    model.CloudUser,
    Field("name", Name("an IAM user", "backup-writer"), "IAM user of the backups"),
    Field("policy", Name("a policy", "backup-access"), "its policy"),
    Field("prefixes", ListOf(Prefix(), "a list such as [backups/]", least=1), "what it may reach in the bucket"),
)

BUCKET = Record(
    model.Bucket,
    Field("name", BUCKET_NAME, "the bucket"),
    Field("versioning", Flag(), "overwritten and deleted objects are kept", True),
    Field("encryption", Choice("sse-s3"), "encryption at rest", "sse-s3"),
    Field("public_access", Choice("blocked"), "public access", "blocked"),
    Field("tls_only", Flag(), "requests without TLS are refused", True),
)

LIFECYCLE = Record(
    model.Lifecycle,
    Field("glacier_ir", DaysOrNever(), "age at which objects move to Glacier Instant Retrieval", None),
    Field(
        "deep_archive", DaysOrNever(), "age at which they move to Deep Archive; no restore is quick from there", None
    ),
    Field("expire", DaysOrNever(), "age at which they are deleted", None),
    Field("noncurrent", DaysOrNever(), "how long overwritten and deleted objects are kept", 30, otherwise="30 days"),
    Field("incomplete_uploads", DaysOrNever(), "age at which unfinished uploads are deleted", 7, otherwise="7 days"),
    Field("min_size", Size(), "smaller objects stay where they are", 512 * 1024, otherwise="512 KiB"),
)

ACCEPTED = Record(
    model.Accepted,
    Field("control", Name("a control", "S3.17"), "id of the finding"),
    Field("reason", Text(), "why it is accepted"),
    Field("until", Day(), "last day on which it is accepted"),
)

CLOUD = Record(
    model.Cloud,
    Field("provider", Choice("aws"), "who stores the backups"),
    Field("region", REGION, "region of the bucket"),
    Field("endpoint", ENDPOINT, "S3 endpoint of the region; pgBackRest needs it written out"),
    Field("account", ACCOUNT, "the account that it must be before anything is changed"),
    Field("admin_profile", Name("a profile", "admin"), "AWS profile of the person who administers", None),
    Field("user", CLOUD_USER, "the service account of the backups"),
    Field("bucket", BUCKET, "the bucket and what must hold for it"),
    Field("lifecycle", LIFECYCLE, "when objects move or go", None),
    Field("accepted", ListOf(ACCEPTED), "findings of cloud audit and of doctor design that are accepted", ()),
    Field("drill_user", CLOUD_USER, "a user that may only read, for drills", None),
)

SCAN = Record(
    model.Scan,
    Field("known", Choice("optional", "required"), "whether the hook needs the index of known values", "optional"),
    Field("secret", ListOf(SECRET, "a list such as [aws-root.account_id]"), "identifiers to be found like secrets", ()),
    Field("allow", MapOf(CREDENTIAL, Text(), "credential", row=False), "whose value may stand in files, and why", {}),
)

TASKS = Record(
    _task,
    Field("title", Text(), "what is done"),
    Field("every", Interval(), "how often, counted from the first day"),
    Field("from", Day(), "the first day", attr="start"),
    Field("run", Argv(), "first words of the command that ticks it", None, otherwise="ticked by done ID"),
    Field("owner", Text(), "who does it", None, otherwise="the file's owner"),
    keyed=True,
)

AT = "when it runs, in the inventory's timezone"
NOTIFY = ListOf(Argv(), "a list of commands such as [[program, argument]]")

TIMERS = Record(
    model.Timers,
    Field("by", Choice("systemd", "cron"), "what starts them: timers of systemd --user, or your crontab", "systemd"),
    Field(
        "due",
        Record(
            model.Timer,
            Field("at", Cron(), AT),
            Field("notify", NOTIFY, "commands that are given what is due on their standard input", ()),
        ),
        "runs due, and tells whoever is to know",
        None,
    ),
    Field("rotate", Record(model.Timer, Field("at", Cron(), AT)), "runs rotate --due", None),
    Field("copies", Record(model.Timer, Field("at", Cron(), AT)), "runs vault copy", None),
)

HOST_ID = Id(frozenset({model.LOCAL}), "the name of this machine")
CREDENTIAL_ID = Id(model.RESERVED_IDS, "a command word")
DESTINATION_ID = Id(frozenset({"all"}), "a command word")

INVENTORY = Record(
    _inventory,
    Field("version", Version(), "format of this file"),
    Field("project", Id(), "name of the project; also of its state folder"),
    Field("timezone", Timezone(), "timezone in which a day begins", "UTC", otherwise="UTC"),
    Field("owner", Text(), "who looks after rows that name nobody", "operator"),
    Field("hosts", MapOf(HOST_ID, HOSTS, "host"), "machines and containers; local always exists", {}),
    Field("vault", VAULT, "the KeePassXC file and its copies"),
    Field("credentials", MapOf(CREDENTIAL_ID, CREDENTIALS, "credential"), "every credential, never a value"),
    Field("destinations", MapOf(DESTINATION_ID, DESTINATIONS, "destination"), "files made from the vault", {}),
    Field("postgres", POSTGRES, "the database", None),
    Field("pgbackrest", PGBACKREST, "its backups", None),
    Field("cloud", CLOUD, "where the backups are stored", None),
    Field("scan", SCAN, "the scanner", model.Scan("optional"), otherwise="known: optional"),
    Field("tasks", MapOf(Id(), TASKS, "task"), "recurring work that is no rotation", {}),
    Field("timers", TIMERS, "what runs by itself on the operator's machine", None),
)


def read(root: Node) -> Callable[..., model.Inventory]:
    """The inventory that the tree says, but for its path: call the result with `path=`. Raises Wrong.

    Only what one row says by itself is checked here. The version is looked at first, for a newer file may have keys
    that we do not know.
    """
    version = root.items.get("version") if isinstance(root, Table) else None
    if version:
        INVENTORY.fields["version"].type.read(version[1], "version")
    return INVENTORY.read(root, WHOLE)


def json_schema() -> Json:
    """The published JSON Schema (draft 2020-12) of inventory.yaml."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:chronos-secrets:inventory:{model.VERSION}",
        "title": "chronos-secrets inventory",
        "description": "The credentials of a project, the files made from them, and when what is due. Holds no secret.",
        **INVENTORY.json_schema(),
    }


def reference_rows() -> list[tuple[str, str, str, str]]:
    """One row for each key: dotted name, type, "required" or the default in words, and what it means."""
    return [row for field in INVENTORY.fields.values() for row in _rows(field, "")]


def _rows(field: Field, above: str) -> list[tuple[str, str, str, str]]:
    key = f"{above}{field.key}"
    rows = [(key, field.type.name, field.default_words, field.doc)]
    inner, below = field.type, f"{key}."
    if isinstance(inner, MapOf):
        inner, below = inner.item, f"{key}.<id>."
    elif isinstance(inner, ListOf):
        inner, below = inner.item, f"{key}[]."
    if isinstance(inner, Record):
        rows += [row for each in inner.fields.values() for row in _rows(each, below)]
    return rows
