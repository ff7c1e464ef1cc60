"""What inventory.yaml may say, and what is said about one that is wrong."""

import os
import random
import time
import zoneinfo
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chronos_secrets.errors import InventoryInvalid
from chronos_secrets.inventory import load
from chronos_secrets.inventory.model import (
    Accepted,
    AccountFrom,
    Automatic,
    BackupSchedule,
    Bucket,
    CloudUser,
    Connect,
    EntryPath,
    Every,
    FieldPlace,
    Generate,
    Host,
    Interval,
    Inventory,
    Keep,
    Lifecycle,
    Never,
    Objectives,
    Repo,
    Scan,
    Service,
    Target,
    ValueFrom,
    Volume,
)

CHRONOS = Path(__file__).parents[2] / "inventory.yaml"
SMALL = """\
version: 1
project: demo
vault: {path: ~/demo.kdbx}
credentials:
  db: {kind: postgres-password, title: The database, entry: Group/Database, every: 1 year}
  key: {kind: ssh-key, title: The key, entry: Group/Key, never: by hand}
destinations:
  env: {path: .env, dialect: dotenv, template: builtin:env, uses: {db: db}}
"""
HERE = "§"  # in a wrong text: where the message must point


def _read(tmp_path: Path, content: str | bytes) -> Inventory:
    path = tmp_path / "inventory.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load.read(path)


def _complaint(tmp_path: Path, content: str | bytes) -> tuple[str, str, str | None]:
    """Place, message and hint of what is wrong."""
    with pytest.raises(InventoryInvalid) as caught:
        _read(tmp_path, content)
    file = f"{tmp_path}/inventory.yaml:"
    assert caught.value.message.startswith(file)
    assert caught.value.message.isprintable()
    place, _, message = caught.value.message.removeprefix(file).partition(": ")
    return place, message, caught.value.hint


def _line(text: str, beginning: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith(beginning))


@pytest.fixture(scope="module")
def chronos() -> Inventory:
    return load.read(CHRONOS)


# --- what a right one says ---------------------------------------------------------------------------------------


def test_the_head_of_project_chronos_is_read(chronos: Inventory):
    assert chronos.path == CHRONOS
    assert chronos.folder == CHRONOS.parent
    assert (chronos.version, chronos.project, chronos.timezone, chronos.owner) == (
        1, "project-chronos", "America/Toronto", "operator",
    )  # fmt: skip
    assert chronos.scan == Scan("optional")


def test_hosts_are_an_ssh_alias_or_a_container_on_another_host(chronos: Inventory):
    text = CHRONOS.read_text()
    assert chronos.hosts == {
        "prod": Host("prod", "chronos-prod-db", True, None, None, "docker", None, _line(text, "prod:")),
        "prod-db": Host("prod-db", None, False, "prod", "chronos-db", "docker", "postgres", _line(text, "prod-db:")),
    }


def test_the_vault_and_its_copies_are_read(chronos: Inventory):
    assert chronos.vault.path == "~/.secrets/project-chronos.kdbx"
    local, usb, cloud = (chronos.vault.copies[name] for name in ("local", "usb", "cloud"))
    assert (local.kind, local.path, local.when, local.every) == (
        "folder",
        "~/.secrets/backups",
        ("before-change",),
        None,
    )
    assert local.keep == Keep(20, None, None, 12, None)
    assert (usb.kind, usb.volume, usb.path) == ("usb", Volume("CHRONOS-KEYS", None), "vault")
    assert (usb.every, usb.when) == (Interval(1, "week"), ("after-change",))
    assert (cloud.kind, cloud.remote, cloud.every) == ("rclone", "chronos-cloud:vault", Interval(1, "month"))


def test_credentials_carry_rule_dates_target_and_places(chronos: Inventory):
    credentials = chronos.credentials
    assert len(credentials) == 15
    keys = credentials["pgbackrest-chronos"]
    assert keys.line == _line(CHRONOS.read_text(), "pgbackrest-chronos:")
    assert (keys.kind, keys.title, keys.purpose) == ("aws-access-key", "pgbackrest-chronos keys", "S3 backup uploads")
    assert keys.entry == EntryPath(("AWS", "Service Accounts"), "pgbackrest-chronos")
    assert (keys.rule, keys.rotated, keys.expires) == (Every(Interval(1, "year")), date(2025, 11, 27), None)
    assert (keys.lead, keys.grace, keys.soak) == (Interval(30, "day"), Interval(7, "day"), Interval(7, "day"))
    assert keys.target == Target("pgbackrest-chronos", None, "single", None, None, None)
    assert keys.owner == "operator"
    assert credentials["postgres-chronos"].generate == Generate(32)
    assert credentials["postgres-chronos"].target == Target(None, "chronos", "single", None, None, None)
    assert credentials["ssh-lightsail"].target == Target(None, None, "single", "prod", None, None)
    page = "https://id.atlassian.com/manage-profile/security/api-tokens"
    assert credentials["jira-token"].target == Target(None, None, "single", None, page, "atlassian")
    assert credentials["aws-root"].rule == Never("break-glass only; daily work goes through SSO")
    assert credentials["aws-sso"].rule == Automatic("the session ends after 8-12 h")
    assert [row.id for row in credentials.values() if row.paper] == ["aws-root", "backup-cipher", "cloud-storage"]


def test_fields_are_the_kinds_overridden_and_extended_by_the_row(chronos: Inventory):
    root, key = chronos.credentials["aws-root"], chronos.credentials["ssh-lightsail"]
    assert {name: str(place) for name, place in root.fields.items()} == {
        "username": "UserName", "password": "Password", "url": "URL", "totp": "otp", "account_id": "attr:AWS Account ID",
    }  # fmt: skip
    assert {name: str(place) for name, place in key.fields.items()} == {
        "private_key": "attachment:chronos-prod-db", "username": "UserName", "address": "URL",
    }  # fmt: skip
    assert chronos.credentials["github-recovery"].fields == {"codes": FieldPlace("standard", "Notes")}


def test_an_ssh_key_whose_attachment_is_not_named_means_the_only_one(tmp_path: Path):
    assert _read(tmp_path, SMALL).credentials["key"].fields["private_key"] == FieldPlace("attachment", None)


def test_each_kind_has_a_primary_field_and_knows_which_fields_are_secret(chronos: Inventory):
    told = {
        row.kind: (row.primary, {field for field in row.fields if row.is_secret(field)})
        for row in chronos.credentials.values()
    }
    assert told == {
        "account": ("password", {"password", "totp"}),
        "aws-access-key": ("secret_access_key", {"secret_access_key"}),
        "postgres-password": ("password", {"password"}),
        "ssh-key": ("private_key", {"private_key"}),
        "api-token": ("token", {"token"}),
        "passphrase": ("passphrase", {"passphrase"}),
        "recovery-codes": ("codes", {"codes"}),
    }


def test_fields_of_a_row_are_secret_unless_they_are_known_identifiers(tmp_path: Path):
    places = 'account_id: "attr:Account", pin: "attr:PIN", scan: "attachment:scan.png", memo: Notes, page: URL, username: Password, token: URL'
    row = _read(tmp_path, SMALL.replace("every: 1 year", f"every: 1 year, fields: {{{places}}}")).credentials["db"]
    assert {name for name in row.fields if row.is_secret(name)} == {
        "password", "pin", "scan", "memo", "username", "token",
    }  # fmt: skip


def test_destinations_are_read(chronos: Inventory):
    env, conf, key, config = (chronos.destinations[name] for name in ("env", "pgbackrest", "ssh-key", "ssh-config"))
    assert (env.host, env.path, env.dialect, env.template, env.builtin) == (
        "local",
        ".env",
        "dotenv",
        "builtin:env",
        "env",
    )
    assert env.uses == {"db": "postgres-chronos", "jira": "jira-token", "confluence": "confluence-token"}
    assert env.vars == {"db_host": "localhost", "db_port": "5432", "db_name": "chronos", "db_sslmode": "prefer"}
    assert (env.is_remote, env.mode, env.owner, env.after, env.prove) == (False, 0o600, None, (), None)
    assert env.credentials == ("postgres-chronos", "jira-token", "confluence-token")
    assert (conf.host, conf.is_remote, conf.owner, conf.prove) == (
        "prod-db",
        True,
        "postgres:postgres",
        "pgbackrest-check",
    )
    assert (key.dialect, key.value, key.template) == ("file", ValueFrom("ssh-lightsail", "private_key"), None)
    assert key.credentials == ("ssh-lightsail",)
    assert (config.dialect, config.uses) == ("ssh-config", {"key": "ssh-lightsail"})


def test_the_sections_of_the_database_and_its_backups_are_read(chronos: Inventory):
    postgres, backups = chronos.postgres, chronos.pgbackrest
    assert postgres is not None
    assert backups is not None
    assert postgres[:6] == (
        "prod-db",
        5432,
        "chronos",
        "chronos",
        "/var/lib/postgresql/data",
        Connect("ssh-forward", 5432),
    )
    assert postgres.service == Service("prod", "/home/ubuntu/chronos-db", "timescaledb", "chronos-db_timescale-data")
    assert postgres.probe_tables == ()
    assert (backups.stanza, backups.host, backups.config) == ("chronos", "prod-db", "pgbackrest")
    assert backups.repo == Repo("/var/lib/pgbackrest", "aes-256-cbc", 4, 4)
    assert backups.schedule == BackupSchedule("0 11 * * *", "0 5,17,23 * * *", None, "UTC", "prod")
    assert backups.archive_timeout == timedelta(minutes=5)
    assert backups.objectives == Objectives(
        timedelta(minutes=15), timedelta(hours=1), timedelta(hours=26), Interval(3, "month")
    )


def test_the_section_of_the_cloud_is_read(chronos: Inventory):
    cloud = chronos.cloud
    assert cloud is not None
    assert (cloud.provider, cloud.region, cloud.endpoint) == ("aws", "ca-central-1", "s3.ca-central-1.amazonaws.com")
    assert (cloud.account, cloud.admin_profile) == (AccountFrom("aws-root", "account_id"), "prometheus")
    assert cloud.user == CloudUser(
        "pgbackrest-chronos", "pgbackrest-s3-access", ("var/lib/pgbackrest/", "chronos-probe/")
    )
    assert cloud.bucket == Bucket("project-chronos-backups", True, "sse-s3", "blocked", True)
    assert cloud.lifecycle == Lifecycle(30, None, 365, 30, 7, 512 * 1024)
    assert cloud.accepted[0] == Accepted("S3.17", "SSE-S3 plus pgBackRest's own cipher", date(2027, 11, 27))
    assert {"IAM.3", "single-repository"} <= {each.control for each in cloud.accepted}


def test_tasks_are_read(chronos: Inventory):
    assert len(chronos.tasks) == 12
    drill, review = chronos.tasks["dr-drill"], chronos.tasks["docs-review"]
    assert (drill.title, drill.every) == ("Full disaster recovery drill", Interval(3, "month"))
    assert (drill.start, drill.run) == (date(2025, 11, 27), ("backup", "drill", "--random-pitr"))
    assert (review.run, review.owner) == (None, "operator")
    assert chronos.tasks["log-audit"].run == ("backup", "logs", "--since", "1 year")


def test_the_repositorys_own_inventory_holds_no_address_and_no_account_number():
    import re

    assert not re.findall(r"\d{1,3}(?:\.\d{1,3}){3}|\b\d{12}\b|A[KS]IA[A-Z0-9]{12,}", CHRONOS.read_text())


def test_sections_that_are_not_there_are_none_or_empty(tmp_path: Path):
    small = _read(tmp_path, SMALL)
    assert (small.postgres, small.pgbackrest, small.cloud) == (None, None, None)
    assert (small.hosts, small.tasks, small.vault.copies, small.scan) == ({}, {}, {}, Scan("optional"))
    assert (small.timezone, small.owner, small.credentials["db"].owner) == ("UTC", "operator", "operator")


@pytest.mark.parametrize(
    ("every", "lead"),
    [("1 year", Interval(30, "day")), ("2 months", Interval(14, "day")), ("1 day", Interval(1, "day"))],
)
def test_lead_is_thirty_days_or_a_quarter_of_a_short_interval(tmp_path: Path, every: str, lead: Interval):
    assert _read(tmp_path, SMALL.replace("1 year", every)).credentials["db"].lead == lead


@pytest.mark.parametrize("word", ["on", "no", "0600", "5:30", "1e3", "0x1F", "2025-11-27", "null", "~", "1_000", ".5"])
def test_a_plain_value_stays_as_it_is_written(tmp_path: Path, word: str):
    wrong = SMALL.replace("uses: {db: db}", f"vars: {{plain: {word}, quoted: '{word}', empty: ''}}")
    assert _read(tmp_path, wrong).destinations["env"].vars == {"plain": word, "quoted": word, "empty": ""}


@pytest.mark.parametrize(("written", "mode"), [("0600", 0o600), ("640", 0o640), ("0o400", 0o400), ("'0440'", 0o440)])
def test_a_mode_is_octal_however_it_is_written(tmp_path: Path, written: str, mode: int):
    assert _read(tmp_path, SMALL.replace(".env,", f".env, mode: {written},")).destinations["env"].mode == mode


def test_a_file_with_windows_line_ends_is_read_and_its_lines_are_counted_right(tmp_path: Path):
    assert _read(tmp_path, SMALL.replace("\n", "\r\n")).credentials["key"].line == 6


def test_a_folded_title_is_one_line(tmp_path: Path):
    folded = SMALL.replace(
        "{kind: ssh-key, title: The key, ", "\n    title: >\n      The\n      key\n    kind: ssh-key\n    "
    )
    folded = folded.replace("    entry: Group/Key, never: by hand}", "    entry: Group/Key\n    never: by hand")
    assert _read(tmp_path, folded).credentials["key"].title == "The key"


def test_local_paths_are_found_from_home_and_from_the_folder_of_the_file(tmp_path: Path):
    small = _read(tmp_path, SMALL)
    assert small.locate("~/a/b", home=Path("/home/me")) == Path("/home/me/a/b")
    assert small.locate(".env", home=Path("/home/me")) == tmp_path / ".env"
    assert small.locate("/etc/x", home=Path("/home/me")) == Path("/etc/x")


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4))
def test_an_entry_path_is_written_as_it_is_read(parts: list[str]):
    path = EntryPath(tuple(parts[:-1]), parts[-1])
    assert EntryPath.parse(str(path)) == path


def test_a_slash_inside_a_name_does_not_begin_a_group(tmp_path: Path):
    entry = _read(tmp_path, SMALL.replace("Group/Key", r"A\/B\\C/Title")).credentials["key"].entry
    assert entry == EntryPath(("A/B\\C",), "Title")


def test_two_rows_may_share_an_entry_but_not_its_secret(tmp_path: Path):
    other = "  codes: {kind: recovery-codes, title: Codes, entry: Group/Database, never: used up}\n"
    assert "codes" in _read(tmp_path, SMALL.replace("destinations:", f"{other}destinations:")).credentials


# --- what is wrong, where, and what would be right ---------------------------------------------------------------

WORDING = [
    # --- keys and shapes
    ("every: 1 year", "§evry: 1 year", "unknown key 'evry' in credential db", "did you mean every?"),
    ("project: demo", "project: demo\n§zzz: 1", "unknown key 'zzz' in the inventory",
     "known keys: version, project, timezone, owner, hosts, vault, credentials, destinations, postgres, pgbackrest, cloud, "
     "scan, tasks, timers"),
    ("version: 1\n", "", "the inventory lacks the key 'version'", "add version: 1"),
    ("  key: {kind: ssh-key, title: The key, ", "  §key: {kind: ssh-key, ", "credential key lacks the key 'title'",
     "add title: some words"),
    ("project: demo\n", "project: demo\nproject: demo\n",
     "the key 'project' is here a second time; the first is on line 2", None),
    ("vault: {path: ~/demo.kdbx}", "vault: §demo.kdbx",
     "vault must be a mapping such as {path: ~/some/path}, not a plain value", None),
    ("vault: {path: ~/demo.kdbx}", "vault: §[demo.kdbx]",
     "vault must be a mapping such as {path: ~/some/path}, not a list", None),
    ("title: The key", "title: §{a: b}", "title of credential key must be one line of text, not a mapping", None),
    ("uses: {db: db}", "after: §true", "after of destination env must be a list of commands such as "
     "[[program, argument]], not a plain value", None),
    ("uses: {db: db}", "after: [§true]", "item 1 of after of destination env must be a list such as [program, argument], "
     "not a plain value", None),
    ("uses: {db: db}", "after: [§[]]", "item 1 of after of destination env is empty",
     "it must be a list such as [program, argument]"),
    ("title: The key", "title: ", "title of credential key has no value", "it must be one line of text"),
    ("title: The key", "title: §''", "title of credential key is empty", "it must be one line of text"),
    ("title: The key", 'title: §"a\\nb"', "title of credential key must be one line of text", None),
    ("destinations:\n", "hosts:\ndestinations:\n", "hosts has no value",
     "it must be a mapping such as {some-id: {ssh: my-server}}"),
    # --- words, numbers, days
    ("version: 1", "version: §2", "version is 2, but this program knows only up to 1", "upgrade chronos-secrets"),
    ("version: 1", "new_key: x\nversion: §2", "version is 2, but this program knows only up to 1", "upgrade chronos-secrets"),
    ("version: 1", "version: §one", "version must be 1, not 'one'", None),
    ("kind: ssh-key", "kind: §sshkey", "kind of credential key must be aws-access-key, postgres-password, ssh-key, "
     "api-token, passphrase, account or recovery-codes, not 'sshkey'", "did you mean ssh-key?"),
    ("1 year", "§6 monts", "every of credential db must be an interval such as 7 days, 2 weeks, 6 months or 1 year, "
     "not '6 monts'", None),
    ("1 year", "§0 days", "every of credential db must be an interval such as 7 days, 2 weeks, 6 months or 1 year, "
     "not '0 days'", None),
    ("1 year", "§101 years", "every of credential db is longer than a hundred years", None),
    ("1 year", "1 year, rotated: §27.11.2025",
     "rotated of credential db must be a day such as 2026-05-27, not '27.11.2025'", None),
    ("1 year", "1 year, rotated: §2025-02-30", "rotated of credential db is 2025-02-30, a day that no calendar has", None),
    ("1 year", "1 year, paper: §maybe", "paper of credential db must be true or false, not 'maybe'", None),
    ("1 year", "1 year, generate: {length: §8}",
     "length of generate of credential db must be a whole number from 16 to 1024, not '8'", None),
    ("project: demo", "project: demo\ntimezone: §America/Torono",
     "timezone must be a timezone such as America/Toronto or UTC, not 'America/Torono'", "did you mean America/Toronto?"),
    ("project: demo", "project: demo\ntimezone: §../../etc/passwd",
     "timezone must be a timezone such as America/Toronto or UTC, not '../../etc/passwd'", None),
    (".env,", ".env, mode: §0644,", "mode of destination env is '0644', which opens the file to everybody",
     "write 0600, or 0640 for a group"),
    (".env,", ".env, mode: §0700,", "mode of destination env must be a file mode of 0600, 0400, 0640 or 0440, not '0700'",
     None),
    # --- ids and names
    ("  key: {", "  §Key_1: {", "id of credential 'Key_1' must be lower-case letters, digits and dashes, beginning with a "
     "letter", "for example key"),
    ("  key: {", "  §status: {", "id of credential 'status' is a command word; choose another", "for example my-status"),
    ("  env: {", "  §all: {", "id of destination 'all' is a command word; choose another", "for example my-all"),
    ("  env: {", "  §db: {", "destination db has the id of the credential on line 5; choose another id", None),
    ("destinations:\n", "hosts: {§local: {ssh: a}}\ndestinations:\n",
     "id of host 'local' is the name of this machine; choose another", "for example my-local"),
    ("{db: db}", "{§DB: db}", "name 'DB' in uses of destination env must be lower-case letters, digits and _, beginning "
     "with a letter", "for example db"),
    ("{db: db}", "{§if: db}", "name 'if' in uses of destination env is a word of the template language; choose another "
     "name", None),
    ("{db: db}", "{db: db}, vars: {§db: x}", "db in vars of destination env is in its uses too; rename one", None),
    # --- rules, entries, fields, targets
    (", never: by hand", "", "credential key needs exactly one of every, never, automatic", None),
    ("never: by hand", "never: by hand, §every: 1 year", "credential key has both every and never; exactly one is right",
     None),
    ("1 year", "1 month, lead: §2 months", "lead of credential db is longer than 1 month, its every", None),
    ("1 year", "1 month, grace: §2 months", "grace of credential db is longer than 1 month, its every", None),
    ("1 year", "1 year, rotated: 2025-11-27, expires: §2025-11-27",
     "expires of credential db is not after 2025-11-27, its rotated", None),
    ("Group/Database", "§Group//Database", "entry of credential db has an empty part; a slash stands between two names",
     None),
    ("Group/Database", r"§Group\Database", "entry of credential db holds a lone backslash; write \\\\ for a backslash and "
     "\\/ for a slash inside a name", None),
    ("Group/Key", "Group/Key, fields: {private_key: §Attachment}", "private_key of fields of credential key is no place in "
     "an entry; places are UserName, Password, URL, Notes, otp, attr:NAME and attachment:NAME", None),
    ("Group/Key", 'Group/Key, fields: {private_key: §"attachment:"}',
     "private_key of fields of credential key lacks the name after attachment:", None),
    ("Group/Key", 'Group/Key, fields: {pin: §"attr:Password"}',
     "pin of fields of credential key is a standard field; write Password", None),
    ("kind: ssh-key, title: The key, entry: Group/Key", "kind: account, title: The key, entry: §Group/Database",
     "entry of credential key and its password are those of credential db", None),
    ("never: by hand", "never: by hand, target: {§role: x}", "role of target of credential key has no meaning for kind "
     "ssh-key", "it may have page, host"),
    ("never: by hand", "never: by hand, target: {host: §prod}", "host of target of credential key is 'prod', which is no "
     "host of this inventory", "there are none"),
    ("never: by hand", "never: by hand, §generate: {length: 32}", "generate of credential key has no meaning: the secret "
     "of kind ssh-key is not chosen by us", None),
    ("never: by hand", "never: by hand, target: {page: §ftp://x}", "page of target of credential key must be a page that "
     "begins with https:// and holds no user name", None),
    # --- destinations
    ("{db: db}", "{db: §dbx}", "db in uses of destination env is 'dbx', which is no credential of this inventory",
     "did you mean db?"),
    ("template: builtin:env, ", "", "destination env needs exactly one of template, value", None),
    ("builtin:env", "builtin:env, §value: {from: db, field: password}",
     "destination env has both template and value; exactly one is right", None),
    ("builtin:env", "§builtin:envv", "template of destination env is 'builtin:envv', which does not exist",
     "did you mean builtin:env?"),
    ("dialect: dotenv", "dialect: §pgpass", "dialect of destination env does not fit builtin:env",
     "it fits compose, dotenv, node, python, sh, systemd"),
    ("dialect: dotenv", "dialect: §file", "dialect of destination env does not fit: dialect file needs value", None),
    ("template: builtin:env, uses: {db: db}", "value: {from: db, field: password}",
     "dialect of destination env does not fit: value needs dialect file", None),
    ("dialect: dotenv, template: builtin:env, uses: {db: db}", "dialect: file, value: {from: db, field: §key}",
     "field of value of destination env is 'key', which credential db does not have", "it has username, password"),
    ("dialect: dotenv, template: builtin:env, ", "dialect: file, value: {from: db, field: password}, §",
     "uses of destination env has no meaning, because value is the whole file", None),
    ("path: .env", "path: §config/", "path of destination env names a folder; name the file", None),
    ("path: .env", "path: §$HOME/.env", "path of destination env begins with a variable; write ~/ for the home folder",
     None),
    ("path: .env", "path: §~root/.env", "path of destination env names another person's home; only ~/ is understood", None),
    ("path: .env", "host: §prod, path: .env", "host of destination env is 'prod', which is no host of this inventory",
     "there are local"),
    ("  env: {", "  other: {path: ./a/../.env, dialect: dotenv, template: builtin:env}\n  env: {",
     "path of destination env is the file of destination other", None),
    ("{db: db}", "{db: db}, prove: §pgbackrest-check",
     "prove of destination env is pgbackrest-check, but there is no section pgbackrest", None),
    ("builtin:env", "§builtin:pgbackrest",
     "dialect of destination env does not fit builtin:pgbackrest", "it fits pgbackrest"),
    ("dotenv, template: builtin:env", "pgbackrest, template: §builtin:pgbackrest",
     "template of destination env reads sections that are not here: pgbackrest, postgres, cloud", None),
]  # fmt: skip
PLACES = {  # where the mark would stand in a text that was taken away
    "the inventory lacks the key 'version'": "1:1",
    "the key 'project' is here a second time; the first is on line 2": "3:1",
    "credential key needs exactly one of every, never, automatic": "6:3",
    "destination env needs exactly one of template, value": "8:3",
    "dialect of destination env does not fit: value needs dialect file": "8:30",
    "dialect of destination env does not fit builtin:pgbackrest": "8:30",
    "path of destination env is the file of destination other": "9:15",
    "title of credential key has no value": "6:31",
    "hosts has no value": "7:7",
}


def _marked(text: str) -> tuple[str, str]:
    before = text.partition(HERE)[0]
    return text.replace(HERE, ""), f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


@pytest.mark.parametrize("case", range(len(WORDING)))
def test_a_wrong_inventory_is_told_where_and_what_would_be_right(tmp_path: Path, case: int):
    old, new, message, hint = WORDING[case]
    assert SMALL.count(old) >= 1
    text, place = _marked(SMALL.replace(old, new, 1))
    assert _complaint(tmp_path, text) == (PLACES.get(message, place), message, hint)


CROSS = [
    ("in: prod,", "in: §prd,", "in of host prod-db is 'prd', which is no host of this inventory", "did you mean prod?"),
    ("in: prod,", "in: §prod-db,", "host prod-db is inside itself; follow its in: to see how", None),
    ("ssh: chronos-prod-db", "ssh: §192.0.2.1",
     "ssh of host prod is an address; write an alias, the address belongs into the vault", "see ~/.ssh/config"),
    ("ssh: chronos-prod-db", "ssh: §-oProxyCommand",
     "ssh of host prod must be an alias of ~/.ssh/config (letters, digits, _ . -)", None),
    ("ssh: chronos-prod-db", "ssh: chronos-prod-db, §in: local",
     "in of host prod is for containers, but it has ssh", None),
    ("ssh: chronos-prod-db", "ssh: chronos-prod-db, §container: x",
     "host prod has both ssh and container; exactly one is right", None),
    ("target: {host: prod}", "target: {host: §prod-db}",
     "host of target of credential ssh-lightsail is prod-db, which is not reached by ssh", None),
    ("kind: folder, ", "kind: folder, §remote: 'a:b', ", "remote of copy local has no meaning for kind folder", None),
    ("    usb: {kind: usb, volume: {label: CHRONOS-KEYS}, ", "    §usb: {kind: usb, ",
     "copy usb lacks the key 'volume', which kind usb needs", None),
    ("path: vault,", "path: §/vault,", "path of copy usb must be relative to the drive's root, without ..", None),
    ('remote: "chronos-cloud:vault"', 'remote: §":s3,secret_access_key=x:vault"',
     "remote of copy cloud must be a remote such as cloud:folder", None),
    ("path: /etc/pgbackrest/", "path: §etc/pgbackrest/",
     "path of destination pgbackrest must be absolute, because it is on another host", None),
    ("path: /etc/pgbackrest/", "path: §/etc/../pgbackrest/", "path of destination pgbackrest must not hold ..", None),
    ("config: pgbackrest ", "config: §pgbackrst ",
     "config of pgbackrest is 'pgbackrst', which is no destination of this inventory", "did you mean pgbackrest?"),
    ("config: pgbackrest ", "config: §env ",
     "config of pgbackrest is destination env, whose dialect is not pgbackrest", None),
    ('"0 11 * * *"', '§"0 24 * * *"', "full of schedule of pgbackrest has '24' as its hour, which cron does not know",
     "0 to 23, *, */2, 1-5 or 1,3"),
    ('"0 11 * * *"', '§"0 11 * *"', "full of schedule of pgbackrest must be five cron fields such as 0 11 * * *, not "
     "'0 11 * *'", None),
    ("timezone: UTC, host: prod}", "timezone: UTC, host: §prods}",
     "host of pgbackrest schedule is 'prods', which is no host of this inventory", "did you mean prod?"),
    ("archive_timeout: 5 minutes", "archive_timeout: §5 min", "archive_timeout of pgbackrest must be a duration such as "
     "15 minutes, 26 hours or 2 days, not '5 min'", None),
    ("credential: aws-root, field: account_id", "credential: aws-root, field: §acount_id", "field of account of cloud is "
     "'acount_id', which credential aws-root does not have", "did you mean account_id?"),
    ("credential: aws-root, field: account_id", "credential: §aws-rot, field: account_id",
     "credential of account of cloud is 'aws-rot', which is no credential of this inventory", "did you mean aws-root?"),
    ("deep_archive: never", "deep_archive: §90 days",
     "deep_archive of lifecycle must be at least 90 days after glacier_ir: 120 days or more", None),
    ("expire: 365 days", "expire: §30 days", "expire of lifecycle must be after the last move, which is at 30 days", None),
    ("min_size: 512 KiB", "min_size: §512 KB", "min_size of lifecycle of cloud must be a size such as 512 KiB, not "
     "'512 KB'", None),
    ("  lifecycle: {gla", "  drill_user: {name: §pgbackrest-chronos, policy: p, prefixes: [var/]}\n  lifecycle: {gla",
     "name of drill_user of cloud is that of its user; choose another", None),
    ("  lifecycle: {gla", "  drill_user: {name: d, policy: §pgbackrest-s3-access, prefixes: [var/]}\n  lifecycle: {gla",
     "policy of drill_user of cloud is that of its user; choose another", None),
    ("  lifecycle: {gla", "  drill_user: {name: d, policy: p, prefixes: §[logs/]}\n  lifecycle: {gla",
     "prefixes of drill_user of cloud do not reach the path of the pgbackrest repo", "add var/lib/pgbackrest/"),
    ("prefixes: [var/lib/pgbackrest/, ", "prefixes: §[",
     "prefixes of user of cloud do not reach the path of the pgbackrest repo", "add var/lib/pgbackrest/"),
    ("[var/lib/pgbackrest/, ", "[§/var/lib/pgbackrest/, ", "item 1 of prefixes of user of cloud must not begin with a "
     "slash, must end with one, and holds no wildcard", "for example backups/"),
    ("run: [backup, check]", "run: §[bakup, check]", "run of task backup-check begins with 'bakup', which is no command",
     "did you mean backup?"),
    ("known: optional", "known: §always", "known of scan must be optional or required, not 'always'", None),
    ("via: ssh-forward, port: 5432", "via: ssh-forward, port: §0",
     "port of connect of postgres must be a whole number from 1 to 65535, not '0'", None),
    ("probe_tables: []", "probe_tables: [§events]", "item 1 of probe_tables of postgres must be schema.table", None),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(CROSS)))
def test_rows_that_do_not_fit_together_are_told_apart(tmp_path: Path, case: int):
    old, new, message, hint = CROSS[case]
    text = CHRONOS.read_text()
    assert text.count(old) >= 1
    text, place = _marked(text.replace(old, new, 1))
    assert _complaint(tmp_path, text) == (place, message, hint)


def test_one_file_under_two_names_is_found(tmp_path: Path):
    other = f"  other: {{path: {tmp_path}/.env, dialect: dotenv, template: builtin:env}}\n"
    assert _complaint(tmp_path, SMALL + other)[1] == "path of destination other is the file of destination env"


def test_utc_needs_no_zone_database(tmp_path: Path):
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        assert _read(tmp_path, SMALL + "timezone: UTC\n").timezone == "UTC"
    finally:
        zoneinfo.reset_tzpath()


def test_a_circle_of_containers_is_found(tmp_path: Path):
    hosts = "hosts:\n  a: {in: b, container: x}\n  b: {in: c, container: x}\n  c: {in: a, container: x}\n"
    assert _complaint(tmp_path, SMALL + hosts)[1] == "host a is inside itself; follow its in: to see how"


def test_a_value_that_may_be_a_secret_by_mistake_is_never_repeated(tmp_path: Path):
    mistaken = "Not-For-Eyes/" + "".join(random.Random(1).choices("ABCDEF123", k=24))
    for old, new in [
        ("{db: db}", f"{{db: {mistaken}}}"),
        ("Group/Key", f"Group/Key, fields: {{private_key: {mistaken}}}"),
        ("Group/Key", f"{mistaken}//x"),
        ("never: by hand", f"never: by hand, target: {{page: 'https://me:{mistaken}@x'}}"),
        ("never: by hand", f"never: by hand, target: {{iam_user: '{mistaken}'}}"),
        ("never: by hand", f"never: by hand, password: {mistaken}"),
    ]:
        place, message, hint = _complaint(tmp_path, SMALL.replace(old, new))
        assert mistaken[13:] not in f"{message}{hint}", place


# --- what is no inventory at all ---------------------------------------------------------------------------------

NOT_YAML = [
    ("anchors", "a: &x 1\n", "1:4", "anchors and aliases (& and *) are not allowed; write it out, or quote the text"),
    ("aliases", "a: *x\n", "1:4", "anchors and aliases (& and *) are not allowed; write it out, or quote the text"),
    ("tags", "a: !!python/name:os.system 1\n", "1:4", "tags (!) are not allowed; quote the text if it begins with one"),
    ("tagged mappings", "a: !x {}\n", "1:4", "tags (!) are not allowed; quote the text if it begins with one"),
    ("merge keys", "a:\n  <<: {b: 1}\n", "2:3", "merge keys (<<) are not allowed; write the keys out"),
    ("directives", "%YAML 1.1\n---\na: 1\n", "1:1", "YAML directives are not allowed; leave the line out"),
    ("two documents", "a: 1\n---\nb: 1\n", "2:1", "a second document begins here; an inventory is one document"),
    ("a key that is a list", "? [a]\n: 1\n", "1:3", "a key must be a word"),
    ("an empty key", "? \n: 1\n", None, "a key must be a word"),
    ("a tab", "a:\n  b: 1\n\tc: 1\n", "3:1", "a tab is not allowed as indentation; use spaces"),
    ("a tab after spaces", "a:\n  \tb: 1\n", "2:3", "a tab is not allowed as indentation; use spaces"),
    ("depth", "[\n" * 30 + "]" * 30, "21:1", "nested deeper than 20 levels"),
    ("a colon in a text", "a: b: c\n", "1:5",
     "not YAML: a ':' stands where no key can be; quote the text if it holds a colon"),
    ("an open brace", "a: {b: 1,\n", "1:10", "not YAML: a value or a closing bracket is missing"),
    ("an open quotation mark", "a: b\nc: 'd\n\n", "2:4", "not YAML: a quotation mark is never closed"),
    ("a reserved character", "a: @b\n", "1:4", "not YAML: a value cannot begin with this character; quote it"),
    ("an unknown escape", 'a: "\\d"\n', None,
     "not YAML: an unknown escape in double quotes; use single quotes where a backslash is meant"),
    ("a list", "- a\n", "1:1", "the inventory must be a mapping such as {version: 1}, not a list"),
    ("a word", "a\n", "1:1", "the inventory must be a mapping such as {version: 1}, not a plain value"),
    ("an escaped control character", 'a: "x\\a"\n', "1:4", "the character U+0007 is not allowed here"),
    ("a control character", "a: x\a\n", "1:5", "the character U+0007 is not allowed here"),
    ("an old Macintosh line end", "a: x\rb: y\n", "1:5", "the character U+000D is not allowed here"),
    ("a line end that editors do not count", "# \u2028a: x\n", "1:3", "the character U+2028 is not allowed here"),
    ("turned writing", "a: x\u202e\n", "1:5", "the character U+202E is not allowed here"),
    ("a byte order mark inside", "a: 1\n\ufeffb: 1\n", "2:1", "the character U+FEFF is not allowed here"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "place", "message"), [case[1:] for case in NOT_YAML], ids=[case[0] for case in NOT_YAML]
)
def test_what_yaml_or_we_do_not_allow_is_refused_with_its_place(
    tmp_path: Path, text: str, place: str | None, message: str
):
    told = _complaint(tmp_path, text)
    assert told[1] == message
    assert place in (None, told[0])


def test_yaml_without_libyaml_refuses_the_same_at_the_same_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fast = [_complaint(tmp_path, case[1]) for case in NOT_YAML]
    monkeypatch.setattr(load, "_LOADER", yaml.SafeLoader)
    slow = [_complaint(tmp_path, case[1]) for case in NOT_YAML]
    assert [place.split(":")[0] for place, _, _ in slow] == [place.split(":")[0] for place, _, _ in fast]
    assert [message for _, message, _ in slow] == [message for _, message, _ in fast]
    assert _read(tmp_path, CHRONOS.read_bytes())[1:] == load.read(CHRONOS)[1:]


def test_an_escape_beyond_unicode_is_refused_without_libyaml_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for loader in (load._LOADER, yaml.SafeLoader):
        monkeypatch.setattr(load, "_LOADER", loader)
        for escape in (r"\UFFFFFFFF", r"\ud800", r"\U00110000"):
            assert _complaint(tmp_path, f'a: 1\nb: "{escape}"\n')[0].startswith("2:")


BYTES = [
    ("nothing", b"", ":1:1: the inventory is empty", load.FIRST),
    ("only comments", b"# later\n", ":1:1: the inventory is empty", load.FIRST),
    ("a byte order mark", b"\xef\xbb\xbf" + SMALL.encode(),
     ":1:1: starts with a byte order mark; save it as plain UTF-8", None),
    ("UTF-16", SMALL.encode("utf-16"), ":1:1: is UTF-16 or UTF-32; save it as plain UTF-8", None),
    ("UTF-16 without a mark", SMALL.encode("utf-16-be"), ":1:1: is UTF-16 or UTF-32; save it as plain UTF-8", None),
    ("Latin-1", "a: 1\nbé: ü\n".encode("latin-1"), ":2:2: is not UTF-8; save it as plain UTF-8", None),
    ("a mebibyte and one byte", b"#" * (1 << 20) + b"\n", ": is larger than 1 MiB, which no inventory is", None),
]  # fmt: skip


@pytest.mark.parametrize(("content", "end", "hint"), [case[1:] for case in BYTES], ids=[case[0] for case in BYTES])
def test_bytes_that_are_no_plain_text_are_refused(tmp_path: Path, content: bytes, end: str, hint: str | None):
    with pytest.raises(InventoryInvalid) as caught:
        _read(tmp_path, content)
    assert caught.value.message == f"{tmp_path}/inventory.yaml{end}"
    assert caught.value.hint == hint


def test_a_file_that_is_not_there_comes_with_the_command_that_makes_one(tmp_path: Path):
    with pytest.raises(InventoryInvalid) as caught:
        load.read(tmp_path / "none.yaml")
    assert caught.value.message == f"{tmp_path}/none.yaml: there is no such file"
    assert caught.value.hint == "chronos-secrets init --from FILE.kdbx"


def test_the_file_is_named_as_the_user_named_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("a: 1\n")
    with pytest.raises(InventoryInvalid, match=r"^a\.yaml:1:1: unknown key 'a' in the inventory$"):
        load.read(Path("a.yaml"))
    Path("b.yaml").write_text(SMALL)
    assert load.read(Path("b.yaml")).path == tmp_path / "b.yaml"


def test_a_folder_a_pipe_a_loop_and_a_name_that_cannot_be_are_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    for name, reason in [
        (".", "it is a folder"),
        ("pipe", "it is no regular file"),
        ("loop", "too many levels of symbolic links"),
        ("file/x", "not a directory"),
        ("x" * 300, "file name too long"),
        ("a\0b", "its name holds a null character"),
    ]:
        with pytest.raises(InventoryInvalid) as caught:
            load.read(tmp_path / name)
        assert caught.value.message.endswith(f": cannot be read: {reason}")
        assert caught.value.message.isprintable()


@pytest.mark.parametrize("opening", ["[", "{", "? ", "- ", "[\n", "&a ", "a: &a [*a,"], ids=range(7))
def test_a_file_made_to_eat_time_is_refused_before_it_does(tmp_path: Path, opening: str):
    before = time.process_time()
    _complaint(tmp_path, opening * ((1 << 20) // len(opening)))
    assert time.process_time() - before < 2  # measured: 0.02 s; an expansion or a quadratic scan takes minutes


def test_a_thousand_credentials_are_read_in_a_moment(tmp_path: Path):
    row = "  c{n}: {{kind: api-token, title: T, entry: G/{n}, every: 1 year, rotated: 2025-11-27, target: {{check: atlassian}}}}\n"
    rows = "".join(row.format(n=number) for number in range(1000))
    before = time.process_time()
    assert len(_read(tmp_path, SMALL.partition("  db:")[0] + rows).credentials) == 1000
    assert time.process_time() - before < 1  # measured: 0.08 s


# --- anything at all ---------------------------------------------------------------------------------------------

SPICES = (
    "\t", "\u202e", "é", "\0", "\r", "'", '"', "{", "}", "[", "]", ":", ": ", "- ", "#", "&a ", "*a", "!t ", "|\n", ">\n",
    "? ", "<<: ", "%", "@", "\\", ",", "\n", "---\n", "...\n", "~", "null", "99999999999999999999", "-1", "\x85", "\ufeff",
)  # fmt: skip


def _mutated(original: bytes, chance: random.Random) -> bytes:
    content = bytearray(original)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        where = chance.randrange(len(content))
        lines = bytes(content).split(b"\n")
        number = chance.randrange(len(lines))
        match chance.randrange(7):
            case 0:
                content[where] ^= 1 << chance.randrange(8)
            case 1:
                del content[where : where + chance.choice((1, 3, 40, 400))]
            case 2:
                lines.insert(chance.randrange(len(lines)), lines[number])
                content = bytearray(b"\n".join(lines))
            case 3:
                del lines[number]
                content = bytearray(b"\n".join(lines))
            case 4:
                content[where:where] = chance.choice(SPICES).encode()
            case 5:
                words = bytes(content).split(b" ")
                one, other = chance.randrange(len(words)), chance.randrange(len(words))
                words[one], words[other] = words[other], words[one]
                content = bytearray(b" ".join(words))
            case _:
                del content[where:]
        content = content or bytearray(b"x")
    return bytes(content)


def _assert_it_names_a_place_that_exists(message: str, content: bytes, case: str) -> None:
    line, column, words = message.split(":", 2)
    lines = content.split(b"\n")
    assert 1 <= int(line) <= max(len(lines) - (not lines[-1]), 1), case
    assert 1 <= int(column) <= len(lines[int(line) - 1]) + 1, case
    assert words.strip(), case
    assert words.isprintable(), case


@pytest.mark.parametrize("share", range(6))
def test_a_mutated_inventory_is_read_or_refused_at_a_line_that_exists(tmp_path: Path, share: int):
    chance = random.Random(20251127 + share)
    originals = (CHRONOS.read_bytes(), SMALL.encode())
    path = tmp_path / "inventory.yaml"
    refused = 0
    for number in range(100):
        content = _mutated(originals[number % 2], chance)
        path.write_bytes(content)
        message = None
        try:
            assert isinstance(load.read(path), Inventory)
        except InventoryInvalid as wrong:
            message = wrong.message
        if message is not None:
            refused += 1
            _assert_it_names_a_place_that_exists(message.removeprefix(f"{path}:"), content, f"{share}, {number}")
    assert 30 < refused < 100


# --- where it is found -------------------------------------------------------------------------------------------


def _tree(tmp_path: Path, *files: str) -> Path:
    for file in files:
        path = tmp_path / "home" / "me" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "home" / "me"


def test_the_nearest_inventory_upwards_is_found(tmp_path: Path):
    home = _tree(tmp_path, "p/inventory.yaml", "p/a/b/x", "p/a/inventory.yaml")
    assert load.find(home / "p/a/b", home=home) == home / "p/a/inventory.yaml"
    assert load.find(home / "p", home=home) == home / "p/inventory.yaml"


def test_the_search_ends_at_the_root_of_the_work_tree(tmp_path: Path):
    home = _tree(
        tmp_path,
        "inventory.yaml",
        "p/.git/HEAD",
        "p/a/x",
        "q/inventory.yaml",
        "q/.git/HEAD",
        "q/a/x",
        "w/.git",
        "w/a/x",
    )
    assert load.find(home / "p/a", home=home) is None
    assert load.find(home / "q/a", home=home) == home / "q/inventory.yaml"
    assert load.find(home / "w/a", home=home) is None, "in a linked work tree .git is a file"


def test_the_search_ends_at_home(tmp_path: Path):
    home = _tree(tmp_path, "../inventory.yaml", "a/x")
    assert load.find(home / "a", home=home) is None
    (home / "inventory.yaml").touch()
    assert load.find(home / "a", home=home) == home / "inventory.yaml"


def test_a_folder_of_that_name_is_not_an_inventory(tmp_path: Path):
    home = _tree(tmp_path, "inventory.yaml", "a/inventory.yaml/x")
    assert load.find(home / "a", home=home) == home / "inventory.yaml"


def test_home_is_recognised_behind_a_link(tmp_path: Path):
    home = _tree(tmp_path, "../inventory.yaml", "a/x")
    (tmp_path / "link").symlink_to(home)
    assert load.find(home / "a", home=tmp_path / "link") is None
