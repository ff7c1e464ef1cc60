"""The metrics, as Prometheus's own parser reads them, and the example alerts that go with them."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from chronos_secrets.inventory.model import Objectives
from chronos_secrets.inventory.schedule import Standing, State
from chronos_secrets.pgbackrest.archiver import Archiver
from chronos_secrets.report import prometheus
from chronos_secrets.review.backups import Facts, Line, Mark
from chronos_secrets.review.due import Row
from chronos_secrets.review.page import BackupLine, Drill

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TORONTO = ZoneInfo("America/Toronto")
DOCS = Path(__file__).parents[2] / "docs"


def row(name: str, state: State, due: date | None = None, *, owner: str = "keeper", last: date | None = None) -> Row:
    standing = Standing(name, state, due, last, None, "every 1 year", "rotate", None)
    return Row(name, "api-token", "A title", "A purpose", "A/Place", owner, standing, "chronos-secrets rotate x")


def copy(name: str, good: SimpleNamespace | None, *, waits: datetime | None = None) -> SimpleNamespace:
    records = (good,) if good else ()
    return SimpleNamespace(row=SimpleNamespace(id=name), records=records, newest=good, good=good, older_passwords=0,
                           waits_since=waits)  # fmt: skip


def families(text: str) -> dict[str, Metric]:
    found = {each.name.removeprefix("chronos_secrets_"): each for each in text_string_to_metric_families(text)}
    assert text.endswith("\n")
    assert all(each.documentation and each.type == "gauge" for each in found.values())
    assert all(each.name.startswith("chronos_secrets_") for each in text_string_to_metric_families(text))
    return found


def due(*rows: Row, seen: datetime | None = NOW) -> dict[str, Metric]:
    return families(prometheus.due(rows, project="aviary", zone=TORONTO, now=NOW, seen=seen))


FACTS = Facts(NOW, None, None)
PROMISED = Objectives(timedelta(minutes=15), timedelta(hours=1), timedelta(hours=26), None)
ARCHIVER = Archiver("0" * 24, NOW, 3, "0" * 24, NOW + timedelta(minutes=1), NOW, 1, "0" * 24, 2**24, "15")


def backups(
    found: list[BackupLine] | None, drills: list[Drill], *, standing: Iterable[Line] = (), facts: Facts = FACTS,
    promised: Objectives | None = None,
) -> dict[str, Metric]:  # fmt: skip
    told = prometheus.backups(found, drills, standing, facts, promised, project="aviary", zone=TORONTO)
    return families(told)


def value(family: Metric, **labels: str) -> float:
    """The one value with these labels."""
    (found,) = [each.value for each in family.samples if labels.items() <= each.labels.items()]
    return float(found)


def test_each_row_has_its_state_and_its_days_as_seconds():
    found = due(row("jira", State.OVERDUE, date(2026, 11, 20), last=date(2025, 11, 20)))
    assert value(found["state"], id="jira", state="overdue", project="aviary", owner="keeper", kind="api-token") == 1
    begins = datetime(2026, 11, 20, tzinfo=TORONTO).timestamp()
    assert value(found["due_timestamp_seconds"], id="jira") == begins
    assert value(found["last_done_timestamp_seconds"], id="jira") < begins
    assert value(found["due_last_run_timestamp_seconds"]) == NOW.timestamp()
    assert value(found["rows"], state="overdue") == 1
    assert {each.labels["state"] for each in found["rows"].samples} == {state.value for state in State}


def test_what_has_no_day_has_no_sample_and_a_vault_never_seen_is_the_year_1970():
    found = due(row("jira", State.UNKNOWN), seen=None)
    assert not {"due_timestamp_seconds", "last_done_timestamp_seconds"} & found.keys()
    assert value(found["vault_seen_timestamp_seconds"]) == 0
    assert "state" not in due()
    assert value(due()["rows"], state="overdue") == 0


def test_no_sample_has_a_timestamp_for_the_textfile_collector_refuses_those():
    found = due(row("jira", State.DUE, date(2026, 11, 22)))
    assert all(sample.timestamp is None for each in found.values() for sample in each.samples)


@pytest.mark.parametrize(
    "owner", ['a "quoted" one', "back\\slash", "two\nlines", "a\\nb", '{x="y"} 1', "ž 漢 \U0001f600", "#"]
)
def test_a_label_is_read_back_as_it_was_written(owner):
    assert due(row("jira", State.OK, owner=owner))["state"].samples[0].labels["owner"] == owner


def test_a_label_of_ten_thousand_characters_is_cut():
    assert len(due(row("jira", State.OK, owner="x" * 10_000))["state"].samples[0].labels["owner"]) == 100


@pytest.mark.parametrize("day", [date.min, date.max, date(1969, 12, 31)])
def test_no_day_is_too_absurd_for_a_number(day):
    told = value(due(row("jira", State.OK, day))["due_timestamp_seconds"])
    assert told == int(datetime(day.year, day.month, day.day, tzinfo=TORONTO).timestamp())


def test_titles_purposes_and_places_are_in_no_metric():
    text = prometheus.due([row("jira", State.OK)], project="aviary", zone=TORONTO, now=NOW, seen=NOW)
    assert not re.search("A title|A purpose|A/Place|rotate x", text)


def test_a_place_of_copies_says_what_is_there_and_when_it_was_looked_at():
    good = SimpleNamespace(made=NOW - timedelta(days=3), verified=NOW - timedelta(days=2), opened=None, is_good=True)
    waits = NOW - timedelta(days=1)
    text = prometheus.copies([copy("near", good), copy("far", None, waits=waits)], project="aviary", now=NOW)
    found = families(text)
    assert value(found["copies"], copy="near") == 1
    assert value(found["copy_is_good"], copy="near") == 1
    assert value(found["copy_verified_timestamp_seconds"], copy="near") == good.verified.timestamp()
    assert value(found["copy_opened_timestamp_seconds"], copy="near") == 0
    assert value(found["copy_is_good"], copy="far") == value(found["copy_verified_timestamp_seconds"], copy="far") == 0
    assert value(found["copy_waits_since_timestamp_seconds"], copy="far") == waits.timestamp()
    assert len(found["copy_waits_since_timestamp_seconds"].samples) == 1


def test_backups_and_drills_are_told_by_kind_and_part():
    full = BackupLine("repo1", "a", "full", NOW - timedelta(days=2), 1, ("A", "B"), "", True)
    torn = full._replace(label="b", stopped=NOW, is_good=False)
    drill = Drill(NOW, "a", 60.5, 12.0, 0.25, 3600.0, None, 900.0, True, "")
    found = backups([full, torn], [drill], promised=PROMISED)
    assert value(found["backups"], repo="repo1", kind="full") == 2
    assert value(found["backup_stopped_timestamp_seconds"], kind="full") == full.stopped.timestamp()
    assert value(found["drill_seconds"], part="fetch") == 60.5
    assert value(found["drill_kept"]) == 0  # how much would have been lost was not measured
    assert value(found["objective_seconds"], objective="rpo") == 900
    none = backups([], [])
    assert value(none["drill_timestamp_seconds"]) == value(none["drill_proved_timestamp_seconds"]) == 0
    assert value(none["repository_verified_timestamp_seconds"]) == 0
    assert value(none["backup_stopped_timestamp_seconds"], kind="full") == 0, "an alert on its age fires"
    assert not {"drill_kept", "objective_seconds", "repository_is_good", "wal_waits_since_timestamp_seconds"} & set(
        none
    )


def test_a_drill_that_restored_nothing_has_no_time_and_is_not_kept():
    found = backups([], [Drill(NOW, "a", None, None, None, None, None, None, True, "")._replace(rto_objective=60.0)])
    assert "drill_seconds" not in found
    assert value(found["drill_kept"]) == 0


def test_a_repository_that_did_not_answer_has_no_number_of_backups():
    found = backups(None, [], standing=[Line("repository", Mark.NO, "away")])
    assert not {"backups", "backup_stopped_timestamp_seconds"} & set(found)
    assert value(found["backup_is_as_promised"], what="repository") == 0


def test_each_line_of_backup_status_is_a_number_unless_nobody_promised_it():
    standing = [Line("WAL", Mark.OK, ""), Line("settings", Mark.NO, ""), Line("settings", Mark.OK, ""),
                Line("drill", Mark.OPEN, "")]  # fmt: skip
    samples = backups([], [], standing=standing)["backup_is_as_promised"].samples
    assert {each.labels["what"]: each.value for each in samples} == {"WAL": 1, "settings": 0}


def test_wal_that_waits_or_fails_and_a_repository_that_is_not_whole_are_numbers():
    facts = FACTS._replace(archiver=ARCHIVER, waiting=NOW - timedelta(hours=1), faulty=True, drilled=date(2026, 11, 1))
    found = backups([], [], facts=facts)
    assert value(found["wal_fails"]) == 1
    assert value(found["wal_waits_since_timestamp_seconds"]) == (NOW - timedelta(hours=1)).timestamp()
    assert value(found["repository_is_good"]) == 0
    assert value(found["drill_proved_timestamp_seconds"]) == datetime(2026, 11, 1, tzinfo=TORONTO).timestamp()
    whole = backups(
        [], [], facts=facts._replace(faulty=False, verified=NOW, archiver=ARCHIVER._replace(failed_at=None))
    )
    assert (value(whole["wal_fails"]), value(whole["repository_is_good"])) == (0, 1)


def _emitted() -> set[str]:
    good = SimpleNamespace(made=NOW, verified=NOW, opened=NOW, is_good=True)
    everything = prometheus.due([row("a", State.OK, date(2026, 1, 1), last=date(2026, 1, 1))], project="p", zone=TORONTO,
                                now=NOW, seen=NOW)  # fmt: skip
    everything += prometheus.copies([copy("a", good, waits=NOW)], project="p", now=NOW)
    drill = Drill(NOW, "a", 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, True, "")
    facts = FACTS._replace(archiver=ARCHIVER, waiting=NOW, verified=NOW)
    everything += prometheus.backups(
        [], [drill], [Line("WAL", Mark.OK, "")], facts, PROMISED, project="p", zone=TORONTO
    )
    return {each.name for each in text_string_to_metric_families(everything)}


def test_the_example_alerts_ask_for_metrics_labels_and_states_that_there_are():
    (group,) = yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(names) == len(set(names)) >= 8
    states = {state.value for state in State}
    for rule in group["rules"]:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert set(re.findall(r"chronos_secrets_\w+", rule["expr"])) <= _emitted(), rule["alert"]
        for asked in re.findall(r'state=~?"([^"]+)"', rule["expr"]):
            assert set(asked.split("|")) <= states, rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        labels = {"project", "instance", "id", "state", "copy", "what", "repo"}
        assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= labels


def test_the_document_explains_every_metric_and_no_other():
    explained = set(re.findall(r"^\| `(chronos_secrets_\w+)`", (DOCS / "monitoring.md").read_text(), re.MULTILINE))
    assert explained == _emitted()
