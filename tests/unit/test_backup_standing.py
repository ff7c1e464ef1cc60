"""What makes `backup status` say no, and what does not."""

from datetime import UTC, date, datetime, timedelta

import pytest

from chronos_secrets.cli.backup import seen, verified
from chronos_secrets.inventory.model import BackupSchedule, DrillPlace, Interval, Objectives, PgBackRest, Repo
from chronos_secrets.inventory.schedule import State
from chronos_secrets.pgbackrest import info
from chronos_secrets.pgbackrest.archiver import Archiver
from chronos_secrets.pgbackrest.info import Archive, Backup, Stanza
from chronos_secrets.pgbackrest.settings import Difference, Setting
from chronos_secrets.review import backup_rows, backups
from chronos_secrets.review.backup_rows import Seen
from chronos_secrets.review.backups import Facts, Line, Mark

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SEGMENT = 16 * 1024 * 1024

RULES = PgBackRest(
    stanza="birds", host="local", config="pgbackrest", repo=Repo("/r", "aes-256-cbc", 2, None),
    schedule=BackupSchedule("0 6 * * *", "0 */6 * * *", None, "UTC", "local"), archive_timeout=timedelta(minutes=1),
    objectives=Objectives(timedelta(minutes=15), None, timedelta(hours=26), Interval(3, "month")),
    drill=DrillPlace(None, None, None),
)  # fmt: skip


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def made(kind: str, stopped: datetime, *, size: int = 100, error: bool = False) -> Backup:
    label = f"{stopped:%Y%m%d-%H%M%S}{kind[0].upper()}"
    return Backup(label, kind, stopped - timedelta(minutes=5), stopped, size, size, size, size, None, None, 1, 1, None,
                  (), error)  # fmt: skip


def segment(number: int) -> str:
    return f"00000001{0:08X}{number:08X}"


ARCHIVER = Archiver(
    last=segment(7), last_at=ago(minutes=1), failed=0, failed_wal="", failed_at=None, now=NOW,
    position=8 * SEGMENT, current=segment(7), segment_size=SEGMENT, major="15",
)  # fmt: skip
BEHIND = ARCHIVER._replace(position=8 * SEGMENT + 5000, current=segment(8))


def stanza(*held: Backup, code: int = info.OK, last: str | None = segment(7), runs: bool = False) -> Stanza:
    return Stanza("birds", code, "", runs, (), held, (Archive("15-1", 1, 1, segment(1), last),))


GOOD = Facts(
    now=NOW, stanza=stanza(made("full", ago(hours=5)), made("diff", ago(minutes=1))), archiver=ARCHIVER,
    archive_timeout=Setting("archive_timeout", "60", "sighup", "configuration file", "", False),
    firings={"full": ago(hours=6), "diff": ago(minutes=10)}, verified=ago(days=2), drilled=date(2026, 10, 1),
)  # fmt: skip


def stands(facts: Facts, rules: PgBackRest = RULES) -> dict[str, Line]:
    return {each.name: each for each in backups.stand(facts, rules, today=NOW.date())}


def reasons(facts: Facts, rules: PgBackRest = RULES) -> dict[str, str]:
    return {name: each.why for name, each in stands(facts, rules).items() if each.mark is Mark.NO}


def test_where_all_is_kept_there_is_no_reason():
    assert reasons(GOOD) == {}


# --- backups ----------------------------------------------------------------------------------------------------------


def test_a_full_backup_older_than_promised_is_a_reason():
    facts = GOOD._replace(stanza=stanza(made("full", ago(hours=27)), made("diff", ago(minutes=1))), firings={})
    assert "promised every 1 d 2 h" in reasons(facts)["last full"]
    assert reasons(facts, RULES._replace(objectives=None)) == {}


def test_a_time_of_the_schedule_that_passed_without_a_backup_is_a_reason_after_the_grace():
    late = GOOD._replace(stanza=stanza(made("full", ago(hours=20)), made("diff", ago(minutes=1))))
    assert "none since its time 6 h ago" in reasons(late)["last full"]
    soon = late._replace(firings={"full": ago(hours=1, minutes=59)})
    assert reasons(soon) == {}


def test_a_full_backup_serves_the_time_of_a_diff():
    facts = GOOD._replace(stanza=stanza(made("full", ago(hours=2))), firings={"diff": ago(hours=4)})
    assert reasons(facts) == {}
    facts = GOOD._replace(stanza=stanza(made("full", ago(hours=5))), firings={"diff": ago(hours=4)})
    assert list(reasons(facts)) == ["last diff"]


def test_no_full_backup_at_all_is_a_reason_whatever_is_promised():
    facts = GOOD._replace(stanza=stanza(code=info.NO_BACKUP), firings={})
    assert {"repository", "last full"} <= reasons(facts, RULES._replace(objectives=None)).keys()


def test_a_backup_that_copied_damaged_pages_is_a_reason():
    facts = GOOD._replace(stanza=stanza(made("full", ago(hours=5), error=True)), firings={})
    assert "damaged" in reasons(facts)["last full"]


def test_more_backups_than_are_kept_mean_that_nothing_expires_unless_one_runs_just_now():
    held = [made("full", ago(hours=hours)) for hours in (5, 29, 53)]
    assert "3 full backups of 2" in reasons(GOOD._replace(stanza=stanza(*held), firings={}))["retention"]
    assert reasons(GOOD._replace(stanza=stanza(*held, runs=True), firings={})) == {}


def test_the_growth_is_that_of_the_database_between_the_last_two_full_backups():
    held = [made("full", ago(hours=29), size=200), made("full", ago(hours=5), size=250)]
    assert (
        stands(GOOD._replace(stanza=stanza(*held)))["size"].why
        == "450 B of backups; the database +25% since the full before"
    )


@pytest.mark.parametrize("code", [info.NO_STANZA, info.NO_DATA, info.OTHER_DATABASE, info.OTHER, 77])
def test_every_other_code_of_pgbackrest_is_a_reason_and_the_database_is_still_shown(code):
    facts = GOOD._replace(stanza=stanza(code=code))
    assert "repository" in reasons(facts)
    assert "archiver" in stands(facts)
    assert "last full" not in stands(facts), "what cannot be read is not told from what is not there"


# --- WAL --------------------------------------------------------------------------------------------------------------


def test_an_idle_database_is_no_alarm_however_long_ago_it_archived_something():
    idle = ARCHIVER._replace(last_at=ago(days=30))
    assert reasons(GOOD._replace(archiver=idle)) == {}
    assert reasons(GOOD._replace(archiver=BEHIND._replace(last_at=ago(days=30)))) == {}  # records, but no commit
    header = GOOD._replace(archiver=BEHIND._replace(position=8 * SEGMENT + 40), faults={"WAL": "no pg_waldump there"})
    assert "all of it is in the repository" in stands(header)["WAL"].why
    standby = stands(GOOD._replace(archiver=ARCHIVER._replace(position=None)))["WAL"]
    assert (standby.mark, "standby" in standby.why) == (Mark.OPEN, True)


@pytest.mark.parametrize(("minutes", "alarm"), [(14, False), (16, True)])
def test_a_commit_that_waits_longer_than_promised_is_a_reason(minutes, alarm):
    facts = GOOD._replace(archiver=BEHIND, waiting=ago(minutes=minutes))
    assert ("WAL" in reasons(facts)) is alarm
    assert f"a commit of {minutes} min ago is not in the repository" in stands(facts)["WAL"].why


def test_wal_that_the_database_archived_and_the_repository_lacks_is_a_reason():
    facts = GOOD._replace(archiver=ARCHIVER._replace(last=segment(8), position=9 * SEGMENT))
    assert reasons(facts)["WAL"] == f"the database archived {segment(8)} elsewhere: the repository ends at {segment(7)}"


def test_a_repository_without_wal_is_a_reason():
    assert "WAL" in reasons(GOOD._replace(stanza=stanza(made("full", ago(hours=5)), last=None), firings={}))


def test_the_wal_of_a_database_before_an_upgrade_counts_for_nothing():
    assert GOOD.stanza is not None
    facts = GOOD._replace(stanza=GOOD.stanza._replace(
        archives=(Archive("14-1", 1, 1, segment(1), segment(900)), Archive("15-2", 1, 2, segment(1), segment(7)))
    ))  # fmt: skip
    assert facts.last_segment == segment(7)


def test_where_the_wal_cannot_be_read_the_time_of_the_last_segment_decides():
    facts = GOOD._replace(archiver=BEHIND, faults={"WAL": "no pg_waldump there"})
    assert "WAL" not in reasons(facts)
    late = facts._replace(archiver=BEHIND._replace(last_at=ago(minutes=16)))
    assert "no pg_waldump there" in reasons(late)["WAL"]
    assert "WAL" in reasons(facts._replace(archiver=BEHIND._replace(last_at=None)))


def test_an_archiver_that_failed_last_is_a_reason_and_one_that_recovered_is_not():
    failed = ARCHIVER._replace(failed=3, failed_wal=segment(8), failed_at=ago(seconds=30))
    assert segment(8) in reasons(GOOD._replace(archiver=failed))["archiver"]
    assert "archiver" in reasons(GOOD._replace(archiver=failed._replace(last_at=None)))
    recovered = failed._replace(failed_at=ago(minutes=2))
    assert reasons(GOOD._replace(archiver=recovered)) == {}
    assert "3 failures before" in stands(GOOD._replace(archiver=recovered))["archiver"].why


@pytest.mark.parametrize(("seconds", "alarm"), [("0", True), ("900", False), ("901", True)])
def test_an_archive_timeout_that_cannot_keep_the_promise_is_a_reason(seconds, alarm):
    assert GOOD.archive_timeout is not None
    facts = GOOD._replace(archive_timeout=GOOD.archive_timeout._replace(value=seconds))
    assert ("settings" in reasons(facts)) is alarm


def test_a_setting_that_is_not_as_the_backups_need_it_is_a_reason():
    off = Setting("archive_mode", "off", "postmaster", "configuration file", "", awaits_restart=False)
    facts = GOOD._replace(differences=(Difference(off, "on", "no WAL is archived"),))
    assert reasons(facts)["settings"] == "archive_mode is off: no WAL is archived"


def test_what_could_not_be_asked_is_a_reason_with_its_own_sentence_and_the_rest_is_shown():
    dead = GOOD._replace(stanza=None, faults={"repository": "the bucket is not there"}, archiver=BEHIND)
    assert reasons(dead)["repository"] == "the bucket is not there"
    assert stands(dead)["archiver"].mark is Mark.OK
    down = GOOD._replace(archiver=None, archive_timeout=None, faults={"database": "it does not answer"})
    assert reasons(down)["WAL"] == "it does not answer"
    assert "the database was not asked" in reasons(down)["archiver"]
    assert stands(down)["last full"].mark is Mark.OK


# --- what this machine remembers ---------------------------------------------------------------------------------------


def test_a_drill_is_a_reason_only_where_one_was_promised_or_failed():
    assert "drill" in reasons(GOOD._replace(drilled=None))
    assert "drill" in reasons(GOOD._replace(drilled=date(2026, 8, 22)))
    assert "drill" not in reasons(GOOD._replace(drilled=date(2026, 8, 23)))
    nothing = RULES._replace(objectives=None)
    assert reasons(GOOD._replace(drilled=None), nothing) == {}
    assert "drill" in reasons(GOOD._replace(drill_fault="the marker was not there"), nothing)


def test_never_verified_is_said_and_a_verification_that_found_faults_is_a_reason():
    assert stands(GOOD._replace(verified=None))["verified"].mark is Mark.OPEN
    assert "verified" in reasons(GOOD._replace(faulty=True))


# --- due --------------------------------------------------------------------------------------------------------------

FULL = timedelta(hours=26)


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (None, State.UNKNOWN),
        (Seen(ago(hours=1), ago(hours=5)), State.OK),
        (Seen(ago(hours=1), None), State.OVERDUE),
        (Seen(ago(hours=1), ago(hours=28)), State.OVERDUE),
        (Seen(ago(hours=20), ago(hours=27)), State.UNKNOWN),
    ],
    ids=["never looked", "young", "none", "too old then", "too old by now"],
)
def test_due_goes_by_what_was_last_seen_of_the_full_backup(told, state):
    standing = backup_rows._standing(told, FULL, NOW)
    assert standing.state is state


def test_backups_whose_age_nobody_promised_have_no_row():
    from chronos_secrets.inventory import load
    from tests.support import chronos

    inventory = load.read(chronos.INVENTORY)
    assert inventory.pgbackrest is not None
    assert [row.id for row in backup_rows.rows(inventory, None, NOW)] == ["backup.full"]
    for promised in (None, Objectives(None, None, None, None)):
        section = inventory.pgbackrest._replace(objectives=promised)
        assert backup_rows.rows(inventory._replace(pgbackrest=section), None, NOW) == []


WHEN = NOW.isoformat()


@pytest.mark.parametrize(
    ("name", "torn"),
    [
        ("backups-seen.json", f'{{"version": 1, "at": "{WHEN}", "full"'),
        ("backups-seen.json", f'{{"version": 1, "at": "{WHEN[:19]}", "full": null, "backups": []}}'),
        ("backups-seen.json", f'{{"version": 1, "at": "{WHEN}", "full": "{WHEN[:19]}", "backups": []}}'),
        ("backups-seen.json", f'{{"version": 2, "at": "{WHEN}", "full": "{WHEN}", "backups": []}}'),
        ("backups-seen.json", "[" * 100_000),
        ("backups.json", f'{{"verified": "{WHEN}", "good": true, "last_good": "{WHEN[:19]}"}}'),
        ("backups.json", "[" * 100_000),
    ],
    ids=[
        "torn",
        "when without a zone",
        "full without a zone",
        "later release",
        "deep",
        "good without a zone",
        "deep too",
    ],
)
def test_what_this_machine_remembers_counts_only_where_it_can_be_read_and_has_a_zone(tmp_path, name, torn):
    seen.keep(tmp_path, stanza(made("full", ago(hours=1))), NOW)
    verified.record(tmp_path, NOW, good=True)
    load = seen.load if name == "backups-seen.json" else verified.load
    assert load(tmp_path) is not None
    (tmp_path / name).write_text(torn)
    assert load(tmp_path) is None


def test_a_backup_that_was_seen_at_a_time_without_a_zone_is_not_shown(tmp_path):
    seen.keep(tmp_path, stanza(made("full", ago(hours=1))), NOW)
    assert [each.stopped for each in seen.lines(tmp_path) or ()] == [ago(hours=1)]
    path = tmp_path / seen.FILE
    path.write_text(
        path.read_text().replace(f'"stopped": "{ago(hours=1).isoformat()}"', '"stopped": "2026-11-22T11:00:00"')
    )
    assert seen.lines(tmp_path) is None


def test_a_verification_that_found_faults_keeps_when_it_was_good(tmp_path):
    verified.record(tmp_path, ago(days=1), good=True)
    verified.record(tmp_path, NOW, good=False)
    assert verified.load(tmp_path) == (NOW, False, ago(days=1))
    assert (tmp_path / "backups.json").stat().st_mode & 0o777 == 0o600
