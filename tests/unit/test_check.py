"""`check`: what it finds in a vault, each finding alone."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_secrets.inventory import load
from chronos_secrets.inventory.draft import UNDECIDED
from chronos_secrets.inventory.model import Never
from chronos_secrets.review import check
from chronos_secrets.secret import Secret
from chronos_secrets.vault import kdbx
from chronos_secrets.vault.entries import Attribute, Entries
from tests.support import chronos

HOME = Path("/home/ada")
NOW = datetime(2026, 11, 22, tzinfo=UTC)
JIRA = ("Third-Party", "Jira API")


@pytest.fixture
def inventory():
    return load.read(chronos.INVENTORY)


@pytest.fixture
def entries(inventory):
    made = Entries(kdbx.create("demo", bytes(32)))
    for credential in inventory.credentials.values():
        chronos.fill(made, credential, NOW, {})
    return made


def _found(inventory, entries) -> list[tuple[str, str]]:
    return [(f.code, f.where) for f in check.against_vault(inventory, Entries(entries.kdbx), HOME, NOW)]


def _set(entries, path, **fields) -> None:
    entries.change(entries.at(path), now=NOW, fields={name: Attribute(Secret(value)) for name, value in fields.items()})


def test_a_vault_that_fits_its_inventory_gives_no_finding(inventory, entries):
    assert _found(inventory, entries) == []
    assert check.offline(inventory, HOME) == []


def test_a_missing_entry(inventory, entries):
    entry = entries.at(JIRA).element
    entry.getparent().remove(entry)
    assert _found(inventory, entries) == [("entry-missing", "jira-token")]


def test_an_entry_in_the_recycle_bin_is_missing(inventory, entries):
    trash = entries.add_group(("Recycle Bin",), now=NOW)
    entries.kdbx.root.find("Meta/RecycleBinUUID").text = trash.findtext("UUID")
    trash.append(entries.at(JIRA).element)
    assert _found(inventory, entries) == [("entry-missing", "jira-token")]


def test_an_empty_field(inventory, entries):
    _set(entries, JIRA, Password="")
    assert _found(inventory, entries) == [("empty-field", "jira-token")]


def test_an_empty_field_that_a_destination_can_do_without_is_no_finding(inventory, entries):
    _set(entries, JIRA, URL="")
    assert _found(inventory, entries) == []


def test_a_missing_attachment(inventory, entries):
    entry = entries.at(("SSH Keys", "Lightsail chronos-prod-db")).element
    entry.remove(entry.find("Binary"))
    assert _found(inventory, entries) == [("missing-attachment", "ssh-lightsail")]


def test_one_value_in_two_credentials(inventory, entries):
    _set(entries, ("Third-Party", "Confluence API"), Password=entries.at(JIRA).field("Password").reveal())
    (finding,) = check.against_vault(inventory, entries, HOME, NOW)
    assert (finding.code, finding.where) == ("shared-value", "confluence-token")
    assert "jira-token" in finding.message


def test_a_weak_value_of_a_kind_that_we_generate(inventory, entries):
    _set(entries, ("Database", "PostgreSQL Production"), Password="chronos2025")
    (finding,) = check.against_vault(inventory, entries, HOME, NOW)
    assert (finding.code, finding.where) == ("weak-value", "postgres-chronos")
    assert "chronos2025" not in str(finding)


def test_an_entry_that_no_row_names(inventory, entries):
    entries.add(("Third-Party", "Forgotten"), now=NOW)
    assert _found(inventory, entries) == [("unlisted-entry", "Third-Party/Forgotten")]


def test_an_entry_that_keepassxc_says_is_expired(inventory, entries):
    entries.change(entries.at(JIRA), now=NOW, expires=datetime(2026, 11, 21, tzinfo=UTC))
    assert _found(inventory, entries) == [("expired", "jira-token")]


def test_two_entries_at_one_path_are_said_and_not_guessed_between(inventory, entries):
    entries.add(JIRA, now=NOW)
    (code, where), *_ = _found(inventory, entries)
    assert (code, where) == ("entry-missing", "jira-token")


def test_a_reference_that_leads_nowhere_is_a_finding_of_its_credential(inventory, entries):
    _set(entries, JIRA, Password="{REF:P@I:00000000000000000000000000000000}")
    assert _found(inventory, entries) == [("entry-missing", "jira-token")]


def test_a_faulty_template_is_found_without_a_vault(inventory, tmp_path):
    template = tmp_path / "t.j2"
    template.write_text("A={{ db.passwrod }}\n")
    broken = inventory.destinations["env"]._replace(template=str(template))
    (finding,) = check.offline(inventory._replace(destinations={"env": broken}), HOME)
    assert (finding.code, finding.where) == ("template-invalid", "env")


def test_a_backup_configuration_that_would_not_do_what_it_says_is_found_without_a_vault(inventory, tmp_path):
    template = tmp_path / "t.j2"
    template.write_text(
        "[global]\nrepo1-path=/x\nrepo1-cipher-pass={{ repo1_cipher.passphrase }}\n[chronos]\npg1-path=/d\n"
    )
    broken = inventory.destinations["pgbackrest"]._replace(template=str(template))
    codes = {f.code for f in check.offline(inventory._replace(destinations={"pgbackrest": broken}), HOME)}
    assert "pgbackrest-cipher-pass-without-type" in codes


@given(st.text(alphabet="ab", min_size=1))
def test_repetition_makes_no_value_strong(text):
    assert check.strength(text) < check.LEAST_BITS


@pytest.mark.parametrize("length", [20, 32, 43])
def test_what_a_generator_makes_is_strong(length):
    import secrets

    assert check.strength(secrets.token_urlsafe(48)[:length]) > check.LEAST_BITS


def test_a_row_that_nobody_has_decided_on_is_a_finding(inventory):
    row = inventory.credentials["jira-token"]._replace(rule=Never(UNDECIDED))
    findings = check.offline(inventory._replace(credentials={"jira-token": row}, destinations={}), HOME)
    assert [(finding.code, finding.where) for finding in findings] == [("undecided", "jira-token")]
