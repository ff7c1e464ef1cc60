"""Where rotations stand: by their journals, while the vault is locked, and by what stopped the last try."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from chronos_secrets.inventory import load
from chronos_secrets.inventory.schedule import Known, Progress, State
from chronos_secrets.report import rotation as report
from chronos_secrets.review import dates, due, rotations
from chronos_secrets.review.dates import Dates
from chronos_secrets.review.rotations import Stop
from chronos_secrets.rotation.courses import COURSES, step_from
from chronos_secrets.rotation.journal import Journal, Phase
from chronos_secrets.rotation.targets.iam import IamKeys
from chronos_secrets.rotation.targets.manual import Manual
from chronos_secrets.rotation.targets.postgres import PostgresRole
from chronos_secrets.rotation.targets.ssh import SshKey
from tests.support import chronos

TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
JOURNAL = Journal("0123", Phase.DELIVERED, "m", NOW, NOW, ("AKIAOLD1",), "AKIAOLD1", "AKIANEW2")


@pytest.fixture(scope="module")
def inventory():
    return load.read(chronos.INVENTORY)


class Nobody:
    """No person is asked here."""


def test_each_kind_is_told_to_wait_as_its_target_does(inventory):
    manual = {
        row.kind: Manual(row, Nobody(), TODAY)
        for row in inventory.credentials.values()
        if COURSES.get(row.kind, None) and COURSES[row.kind].guided
    }  # type: ignore[arg-type]
    made = {"aws-access-key": IamKeys, "postgres-password": PostgresRole, "ssh-key": SshKey, **manual}
    assert {kind: (each.overlaps, each.soaks) for kind, each in made.items()} == {
        kind: (course.overlaps, course.soaks) for kind, course in COURSES.items()
    }


def known(inventory, journals: dict[str, Journal | None]) -> dict[str, Known]:
    return dict(dates.with_progress(Dates(NOW, {}, journals), inventory).known)


@pytest.mark.parametrize(
    ("name", "phase", "day"),
    [
        ("pgbackrest-chronos", Phase.INTENT, None),
        ("pgbackrest-chronos", Phase.PROMOTED, None),
        ("pgbackrest-chronos", Phase.DELIVERED, date(2026, 11, 29)),
        ("pgbackrest-chronos", Phase.DEACTIVATED, date(2026, 11, 29)),
        ("ssh-lightsail", Phase.DELIVERED, date(2026, 11, 29)),
        ("ssh-lightsail", Phase.DEACTIVATED, None),
        ("postgres-chronos", Phase.DELIVERED, None),
    ],
)
def test_a_rotation_waits_where_its_kind_does_and_else_was_cut_short(inventory, name, phase, day):
    found = known(inventory, {name: JOURNAL._replace(phase=phase)})
    assert found[name].progress == Progress(phase, day)


def test_a_rotation_that_is_done_is_no_progress_and_a_damaged_one_is(inventory):
    found = known(inventory, {"postgres-chronos": JOURNAL._replace(phase=Phase.DONE), "jira-token": None})
    assert "postgres-chronos" not in found
    assert found["jira-token"].progress == Progress(dates.DAMAGED, None)


def test_a_credential_that_cannot_be_rotated_waits_for_nothing(inventory):
    row = inventory.credentials["backup-cipher"]
    assert step_from(JOURNAL, row, rotations_zone()) is None


def rotations_zone():
    from zoneinfo import ZoneInfo

    return ZoneInfo("UTC")


def test_the_locked_answer_keeps_the_journals_and_follows_a_changed_grace(inventory, tmp_path: Path):
    path = tmp_path / "dates.json"
    dates.store(path, Dates(NOW, {}, {"pgbackrest-chronos": JOURNAL, "jira-token": None}))
    read = dates.load(path)
    assert read is not None
    assert read.journals == {"pgbackrest-chronos": JOURNAL, "jira-token": None}
    row = inventory.credentials["pgbackrest-chronos"]
    longer = row._replace(grace=row.grace._replace(number=9))
    changed = inventory._replace(credentials={**inventory.credentials, row.id: longer})
    progress = dates.with_progress(read, changed).known[row.id].progress
    assert progress == Progress("delivered", date(2026, 12, 1))


# --- what to do about it ----------------------------------------------------------------------------------------------


def how(inventory, name: str, today: date, *, journal: Journal | None = None, waiting: str = "") -> str:
    seen = known(inventory, {name: journal} if journal else {})
    found = due.rows(inventory, seen, {}, today, frozenset(), waiting={name: waiting} if waiting else {})
    return next(row.how for row in found if row.id == name)


def test_what_is_due_is_rotated_and_what_needs_a_person_waits_for_one(inventory):
    later = TODAY + timedelta(days=30)
    assert how(inventory, "postgres-chronos", later) == "chronos-secrets rotate postgres-chronos"
    assert how(inventory, "jira-token", later) == "waiting for you: chronos-secrets rotate jira-token"
    assert how(inventory, "backup-cipher", later) == ""


def test_what_is_due_soon_is_rotated_only_at_once(inventory):
    assert how(inventory, "ssh-lightsail", TODAY) == "chronos-secrets rotate ssh-lightsail --now"


def test_what_waits_for_a_day_needs_nobody_before(inventory):
    day = TODAY + timedelta(days=7)
    assert how(inventory, "pgbackrest-chronos", day - timedelta(days=1), journal=JOURNAL) == ""
    assert how(inventory, "pgbackrest-chronos", day, journal=JOURNAL) == "chronos-secrets rotate pgbackrest-chronos"


def test_a_session_that_ended_is_said_before_the_rotation(inventory):
    first, later = "aws sso login --profile prometheus", TODAY + timedelta(days=30)
    said = how(inventory, "pgbackrest-chronos", later, waiting=first)
    assert said == f"waiting for you: {first}, then chronos-secrets rotate pgbackrest-chronos"


# --- the table --------------------------------------------------------------------------------------------------------


def test_those_under_way_come_first_and_say_what_happens_next(inventory):
    seen = dates.with_progress(Dates(NOW, {}, {"pgbackrest-chronos": JOURNAL}), inventory)
    rows = rotations.rows(inventory, seen, {"pgbackrest-chronos": Stop(NOW, "the network is gone")}, TODAY)
    assert rows[0].id == "pgbackrest-chronos"
    assert rows[0].words == "delivered; the old one (...OLD1) is deactivated from 2026-11-29 on"
    assert report.standing(rows[0]).endswith("; the last try stopped: the network is gone")
    assert rows[1].standing.state is State.OVERDUE
    assert "backup-cipher" not in {row.id for row in rows}
    told = report.json_row(rows[0])
    assert json.loads(json.dumps(told)) == told
    assert (told["phase"], told["old"], told["new"], told["next"]) == (
        "delivered",
        "AKIAOLD1",
        "AKIANEW2",
        "2026-11-29",
    )


def test_what_stopped_it_here_is_not_said_once_it_went_on_elsewhere(inventory):
    name, stop = "pgbackrest-chronos", Stop(NOW, "the network is gone")
    for later, said in ((timedelta(seconds=-1), stop), (timedelta(seconds=1), None)):
        seen = dates.with_progress(Dates(NOW, {}, {name: JOURNAL._replace(since=NOW + later)}), inventory)
        assert rotations.rows(inventory, seen, {name: stop}, TODAY)[0].stop == said


def test_what_uses_a_credential_is_every_destination_that_may_hold_it(inventory):
    assert rotations.users(inventory, "ssh-lightsail") == ("ssh-key", "ssh-config")
    assert rotations.users(inventory, "aws-root") == ()


# --- what the last tries stopped at -----------------------------------------------------------------------------------


def test_what_stopped_a_rotation_is_read_back(tmp_path: Path):
    path = tmp_path / "state" / "rotations.json"
    stops = {"db": Stop(NOW, "no", "aws sso login"), "key": Stop(NOW, "away")}
    rotations.store_stops(path, stops)
    assert rotations.load_stops(path) == stops
    assert rotations.waiting(stops) == {"db": "aws sso login"}
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"version": 2, "stops": {}}',
        b'{"version": 1, "stops": {"db": {}}}',
        b'{"version": 1, "stops": []}',
        b"\xff",
    ],
)
def test_what_cannot_be_read_stopped_nothing(tmp_path: Path, content: bytes):
    path = tmp_path / "rotations.json"
    assert rotations.load_stops(path) == {}
    path.write_bytes(content)
    assert rotations.load_stops(path) == {}
