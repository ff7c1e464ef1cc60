"""Built-in templates: the files of the seed, to the byte."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from chronos_secrets.errors import EntryMissing, NotRepresentable, TemplateInvalid
from chronos_secrets.inventory import load
from chronos_secrets.render.compose import Draft
from chronos_secrets.render.values import Values
from chronos_secrets.secret import Secret
from chronos_secrets.vault import kdbx
from chronos_secrets.vault.entries import Attribute, Entries
from tests.support import chronos

HOME = Path("/home/ada")
VALUES = {
    "postgres-chronos.username": "chronos",
    "postgres-chronos.password": "p@ss/wörd: 100%",
    "jira-token.token": "jira token",
    "jira-token.url": "https://example.atlassian.net",
    "jira-token.username": "ada@example.org",
    "confluence-token.token": "confluence",
    "confluence-token.url": "https://example.atlassian.net/wiki",
    "confluence-token.username": "ada@example.org",
    "pgbackrest-chronos.access_key_id": "a key id",
    "pgbackrest-chronos.secret_access_key": "a/secret+key=",
    "backup-cipher.passphrase": 'a "cipher" pass; with # marks',
    "ssh-lightsail.address": "ssh://ubuntu@203.0.113.7:2222",
}


@pytest.fixture
def inventory():
    return load.read(chronos.INVENTORY)


@pytest.fixture
def entries(inventory):
    made = Entries(kdbx.create("demo", bytes(32)))
    for credential in inventory.credentials.values():
        chronos.fill(made, credential, datetime.now(UTC), VALUES)
    return made


def _text(inventory, entries, name, **changes) -> str:
    destination = inventory.destinations[name]._replace(**changes)
    rows = Draft(inventory, destination, HOME).rows(Values(inventory, entries))
    return "\n".join(row.text for row in rows)


def _settings(text: str) -> list[str]:
    return [line for line in text.split("\n") if not line.startswith("#")]


def test_the_env_file_quotes_once_and_encodes_the_url(inventory, entries):
    assert _settings(_text(inventory, entries, "env")) == [
        "DATABASE_HOST='localhost'",
        "DATABASE_PORT='5432'",
        "DATABASE_NAME='chronos'",
        "DATABASE_USER='chronos'",
        "DATABASE_PASSWORD='p@ss/wörd: 100%'",
        "DATABASE_SSLMODE='prefer'",
        "DATABASE_URL='postgresql://chronos:p%40ss%2Fw%C3%B6rd%3A%20100%25@localhost:5432/chronos?sslmode=prefer'",
        "JIRA_URL='https://example.atlassian.net'",
        "JIRA_EMAIL='ada@example.org'",
        "JIRA_API_TOKEN='jira token'",
        "CONFLUENCE_URL='https://example.atlassian.net/wiki'",
        "CONFLUENCE_EMAIL='ada@example.org'",
        "CONFLUENCE_API_TOKEN='confluence'",
    ]


def test_the_env_file_holds_an_aws_key_only_if_uses_names_one(inventory, entries):
    assert "AWS_" not in _text(inventory, entries, "env")
    text = _text(inventory, entries, "env", uses={"aws": "pgbackrest-chronos"})
    assert _settings(text) == ["AWS_ACCESS_KEY_ID='a key id'", "AWS_SECRET_ACCESS_KEY='a/secret+key='"]


def test_the_env_file_leaves_out_an_address_that_the_entry_does_not_have(inventory, entries):
    entry = entries.at(("Third-Party", "Jira API"))
    entries.change(entry, now=datetime.now(UTC), fields={"URL": Attribute(Secret(""), protected=False)})
    text = _text(inventory, entries, "env")
    assert "JIRA_URL" not in text
    assert "JIRA_API_TOKEN='jira token'" in text


def test_the_backup_configuration_is_the_seeds_complete_one(inventory, entries):
    assert _settings(_text(inventory, entries, "pgbackrest")) == [
        "[global]",
        "repo1-type=s3",
        "repo1-path=/var/lib/pgbackrest",
        "repo1-s3-bucket=project-chronos-backups",
        "repo1-s3-endpoint=s3.ca-central-1.amazonaws.com",
        "repo1-s3-region=ca-central-1",
        "repo1-s3-key=a key id",
        "repo1-s3-key-secret=a/secret+key=",
        "repo1-cipher-type=aes-256-cbc",
        'repo1-cipher-pass=a "cipher" pass; with # marks',
        "repo1-retention-full=4",
        "repo1-retention-diff=4",
        "",
        "[chronos]",
        "pg1-path=/var/lib/postgresql/data",
        "pg1-port=5432",
        "pg1-user=chronos",
        "pg1-database=chronos",
    ]


def test_the_ssh_configuration_comes_from_the_keys_entry(inventory, entries):
    assert _settings(_text(inventory, entries, "ssh-config")) == [
        "Host chronos-prod-db",
        "    HostName 203.0.113.7",
        "    Port 2222",
        "    User ubuntu",
        "    IdentityFile /home/ada/.ssh/aws-lightsail/chronos-prod-db",
        "    IdentitiesOnly yes",
    ]


def test_a_home_folder_that_ssh_would_split_or_expand_is_quoted(inventory, entries):
    rows = Draft(inventory, inventory.destinations["ssh-config"], Path("/home/ada l/100%")).rows(
        Values(inventory, entries)
    )
    assert '    IdentityFile "/home/ada l/100%%/.ssh/aws-lightsail/chronos-prod-db"' in [row.text for row in rows]


def test_no_differential_retention_leaves_its_line_out(inventory, entries):
    backups = inventory.pgbackrest
    without = inventory._replace(pgbackrest=backups._replace(repo=backups.repo._replace(retention_diff=None)))
    assert "retention-diff" not in _text(without, entries, "pgbackrest")


def test_a_value_is_shown_by_its_name_only(inventory, entries):
    rows = Draft(inventory, inventory.destinations["env"], HOME).rows(Values(inventory, entries))
    shown = "\n".join(row.shown for row in rows)
    assert "DATABASE_PASSWORD=‹db.password›" in shown
    assert "postgresql://‹db.username›:‹db.password›@localhost:5432" in shown
    assert not any(value in shown for value in VALUES.values() if value not in ("chronos", "confluence"))


def test_a_value_that_the_dialect_cannot_hold_is_named_with_a_way_out(inventory, entries):
    entry = entries.at(("Database", "PostgreSQL Production"))
    entries.change(entry, now=datetime.now(UTC), fields={"Password": Attribute(Secret("secretly ' and $"))})
    with pytest.raises(NotRepresentable) as caught:
        _text(inventory, entries, "env")
    assert "destination env cannot hold db.password" in caught.value.message
    assert "secretly" not in f"{caught.value.message}{caught.value.hint}"
    assert "b64encode" in (caught.value.hint or "")


def test_bytes_that_are_no_text_are_refused_in_a_template(inventory, entries, tmp_path):
    entry = entries.at(("SSH Keys", "Lightsail chronos-prod-db"))
    entries.change(entry, now=datetime.now(UTC), attachments={"chronos-prod-db": Secret(b"\xff\xfe")})
    template = tmp_path / "t.j2"
    template.write_text("KEY={{ key.private_key }}\n")
    with pytest.raises(NotRepresentable, match="it is not text"):
        _text(inventory, entries, "env", template=str(template), uses={"key": "ssh-lightsail"})


def test_an_entry_that_was_moved_is_named_and_not_followed(inventory, entries):
    entries.at(("Third-Party", "Jira API")).element.find("String[Key='Title']/Value").text = "Jira"
    with pytest.raises(EntryMissing) as caught:
        _text(inventory, Entries(entries.kdbx), "env")
    assert caught.value.hint == "make the entry in KeePassXC, or correct its entry in inventory.yaml"
    moved = entries.at(("Third-Party", "Confluence API"))
    entries.add_group(("Elsewhere",), now=datetime.now(UTC)).append(moved.element)
    with pytest.raises(EntryMissing) as caught:
        _text(inventory, Entries(entries.kdbx), "env", uses={"confluence": "confluence-token"})
    assert "'Elsewhere/Confluence API'" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file or directory"),
        (b"\xff", "is not UTF-8 text"),
        pytest.param(b"A={{ db.password }}\n" * 20_000, "is larger than 256 KiB", id="large"),
        (b"\n\nA\n", ":3: "),
        (b"A=1\n# {{ db.password }}\n", ":2: "),
        (b"{{ db.password }}=1\n", ":1: "),
    ],
)
def test_a_template_that_cannot_be_used_is_named_with_its_line(inventory, entries, tmp_path, content, words):
    template = tmp_path / "t.j2"
    if content is not None:
        template.write_bytes(content)
    with pytest.raises(TemplateInvalid) as caught:
        _text(inventory, entries, "env", template=str(template))
    assert str(template) in caught.value.message
    assert words in caught.value.message
