"""The published JSON Schema and the reference, which come from the declarations that also read the file."""

import copy
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from chronos_secrets.errors import InventoryInvalid
from chronos_secrets.inventory import fields, load, schema

CHRONOS = Path(__file__).parents[2] / "inventory.yaml"
Change = Callable[[dict[str, Any]], None]


def _days_as_text(value: Any) -> Any:
    """What a YAML parser made of the file, with days as the text that JSON has for them."""
    if isinstance(value, dict):
        return {key: _days_as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_days_as_text(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(schema.json_schema())
    return Draft202012Validator(schema.json_schema())


@pytest.fixture
def chronos() -> dict[str, Any]:
    loaded: dict[str, Any] = _days_as_text(yaml.safe_load(CHRONOS.read_text()))
    return loaded


def _set(*path: str, value: object) -> Change:
    def change(inventory: dict[str, Any]) -> None:
        for key in path[:-1]:
            inventory = inventory[key]
        inventory[path[-1]] = value

    return change


def _drop(*path: str) -> Change:
    def change(inventory: dict[str, Any]) -> None:
        for key in path[:-1]:
            inventory = inventory[key]
        del inventory[path[-1]]

    return change


def test_the_schema_accepts_project_chronos(validator: Draft202012Validator, chronos: dict[str, Any]):
    assert [error.message for error in validator.iter_errors(chronos)] == []


@pytest.mark.parametrize(
    "change",
    [
        _set("credentials", "jira-token", "rotatd", value="2025-11-27"),
        _set("credentials", "jira-token", "rotated", value="27.11.2025"),
        _set("credentials", "jira-token", "kind", value="apitoken"),
        _set("credentials", "jira-token", "never", value="a second rule"),
        _set("credentials", "jira-token", "every", value="6 monts"),
        _set("credentials", "jira-token", "paper", value="maybe"),
        _set("credentials", "status", value={"kind": "passphrase", "title": "t", "entry": "e", "never": "n"}),
        _set("credentials", "Upper", value={"kind": "passphrase", "title": "t", "entry": "e", "never": "n"}),
        _drop("credentials", "jira-token", "every"),
        _drop("credentials", "jira-token", "title"),
        _drop("vault"),
        _set("version", value=2),
        _set("destinations", "env", "mode", value=0o644),
        _set("destinations", "env", "uses", "if-not", value="jira-token"),
        _set("destinations", "env", "dialect", value="yaml"),
        _set("postgres", "port", value=70000),
        _set("hosts", "local", value={"ssh": "alias"}),
        _set("cloud", "lifecycle", "min_size", value="512 KB"),
    ],
    ids=range(18),
)
def test_the_schema_rejects_what_the_program_refuses(
    validator: Draft202012Validator, chronos: dict[str, Any], tmp_path: Path, change: Change
):
    change(chronos)
    assert list(validator.iter_errors(chronos))
    path = tmp_path / "inventory.yaml"
    path.write_text(yaml.safe_dump(chronos))
    with pytest.raises(InventoryInvalid):
        load.read(path)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (("version",), [1, "1"]),
        (("postgres", "port"), [5432, "5432"]),
        (("hosts", "prod", "sudo"), [True, False, "yes", "Off"]),
        (("destinations", "env", "mode"), [0o600, 600, "0600", "0640", 0o440]),
        (("destinations", "env", "vars", "x"), [1, 1.5, True, "text", ""]),
        (("credentials", "jira-token", "title"), [2024, True, "text"]),
        (("cloud", "lifecycle", "expire"), ["365 days", "never"]),
        (("postgres", "database"), [2024, "chronos"]),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_the_schema_accepts_what_a_yaml_parser_makes_of_plain_values(
    validator: Draft202012Validator, chronos: dict[str, Any], path: tuple[str, ...], values: list[object]
):
    for value in values:
        changed = copy.deepcopy(chronos)
        _set(*path, value=value)(changed)
        assert [error.message for error in validator.iter_errors(changed)] == []


def test_the_schema_is_json_and_every_key_in_it_is_explained():
    published = schema.json_schema()
    assert json.loads(json.dumps(published)) == published
    assert published["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert published["$id"] == "urn:chronos-secrets:inventory:1"
    unexplained = [key for key, value in _properties(published) if not value.get("description")]
    assert unexplained == []


def _properties(node: Any) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(node, list):
        return [pair for item in node for pair in _properties(item)]
    if not isinstance(node, dict):
        return []
    own = list(node.get("properties", {}).items()) if isinstance(node.get("properties"), dict) else []
    return own + [pair for item in node.values() for pair in _properties(item)]


def test_the_reference_has_a_row_for_every_key_of_project_chronos(chronos: dict[str, Any]):
    rows = schema.reference_rows()
    known = {key for key, *_ in rows}
    assert all(kind and default and doc for _, kind, default, doc in rows)
    assert len(known) == len(rows)
    assert {
        "credentials.<id>.kind",
        "cloud.accepted[].until",
        "vault.copies.<id>.volume.label",
        "tasks.<id>.from",
    } <= known
    for section, rule in (("credentials", "credentials.<id>."), ("destinations", "destinations.<id>.")):
        written = {f"{rule}{key}" for row in chronos[section].values() for key in row}
        assert written <= known


def test_the_reference_says_what_is_required_and_what_the_default_is():
    told = {key: (kind, default) for key, kind, default, _ in schema.reference_rows()}
    assert told["credentials.<id>.title"] == ("text", "required")
    assert told["credentials.<id>.grace"] == ("interval", "7 days")
    assert told["destinations.<id>.mode"] == ("file mode", "0600")
    assert told["destinations.<id>.uses"] == ("map of name to credential id", "none")
    assert told["hosts.<id>.in"][1] == "local, for a container"
    assert told["timezone"] == ("timezone", "UTC")


GOOD_CRONS = ["0 11 * * *", "*/15 0-6 1,15 jan-mar mon", "0 5,17,23 * * *", "59 23 31 12 7", "10-50/10 * * * *"]
BAD_CRONS = ["60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "* * * *", "5-1 * * * *",
             "5/2 * * * *", "*/0 * * * *", "x * * * *", ", * * * *", "@daily", "*  * * * *"]  # fmt: skip


def test_cron_fields_are_checked_against_their_bounds():
    cron = fields.Cron()
    assert [cron.convert(text) for text in GOOD_CRONS] == GOOD_CRONS
    for text in BAD_CRONS:
        with pytest.raises(ValueError):  # noqa: PT011  (Unfit and a bare ValueError are both a no)
            cron.convert(text)


@pytest.mark.parametrize("text", ["٣ days", "1  day", "01 days", "1 day ", "-1 days", "1.5 days", "9" * 5000 + " days"],
                         ids=range(7))  # fmt: skip
def test_a_number_that_only_looks_like_one_is_no_interval(text: str):
    with pytest.raises(ValueError):  # noqa: PT011
        fields.Interval().convert(text)


def test_sizes_are_bytes():
    convert = fields.Size().convert
    assert [convert(text) for text in ("1 B", "512 KiB", "3 MiB", "1 TiB")] == [1, 512 << 10, 3 << 20, 1 << 40]
