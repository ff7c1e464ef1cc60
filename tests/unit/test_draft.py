"""The first inventory that is made from a vault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_secrets.inventory import load
from chronos_secrets.inventory.draft import Found, draft, guess_kind, project_name

PLAIN = Found(("Group", "Title"), "ada", "", (), has_password=True, has_notes=False)


def _loaded(folder, entries):
    path = folder / "inventory.yaml"
    path.write_text(draft("demo", "/vault.kdbx", "UTC", entries), encoding="utf-8")
    return load.read(path)


@given(st.lists(st.lists(st.text(max_size=12), min_size=1, max_size=4), max_size=6))
def test_whatever_the_entries_are_called_the_inventory_loads_and_names_each_by_its_path(tmp_path_factory, paths):
    entries = [PLAIN._replace(path=tuple(path)) for path in {tuple(path) for path in paths}]
    inventory = _loaded(tmp_path_factory.mktemp("draft"), entries)
    nameable = {entry.path for entry in entries if all(entry.path) and "".join(entry.path).isprintable()}
    assert {(*row.entry.groups, row.entry.title) for row in inventory.credentials.values()} == nameable


@pytest.mark.parametrize(
    ("kind", "entry"),
    [
        ("account", PLAIN),
        ("ssh-key", PLAIN._replace(path=("SSH Keys", "prod"), attachments=("id_ed25519",))),
        ("aws-access-key", PLAIN._replace(username="AKIA" + "A" * 16)),
        ("recovery-codes", PLAIN._replace(path=("GitHub recovery",), has_password=False, has_notes=True)),
        ("postgres-password", PLAIN._replace(path=("Database", "PostgreSQL"))),
        ("api-token", PLAIN._replace(path=("Jira API",))),
        ("passphrase", PLAIN._replace(path=("Backup encryption",))),
    ],
)
def test_the_kind_is_guessed_from_what_is_no_secret(kind, entry):
    assert guess_kind(entry) == kind


def test_a_credential_never_gets_a_command_word_or_another_rows_name(tmp_path):
    entries = [PLAIN._replace(path=(group, "Status")) for group in ("a", "b")]
    assert sorted(_loaded(tmp_path, entries).credentials) == ["status-credential", "status-credential-2"]


def test_entries_that_cannot_be_named_are_counted(tmp_path):
    text = draft("demo", "/vault.kdbx", "UTC", [PLAIN, PLAIN._replace(path=("bell\a",))])
    assert "# 1 left out" in text


@pytest.mark.parametrize(
    ("name", "project"), [("Project Chronos.kdbx", "project-chronos"), ("2026.kdbx", "entry-2026")]
)
def test_the_project_is_called_after_the_vault(name, project):
    assert project_name(name) == project
