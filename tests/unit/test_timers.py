"""When timers fire, the texts of their files, and what is said of their runs."""

import itertools
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from chronos_secrets.errors import Busy, InventoryInvalid, Refused
from chronos_secrets.inventory import cron, firings, load
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.review import timers as review
from chronos_secrets.systems import files
from chronos_secrets.timers import crontab, plans, record, texts
from chronos_secrets.timers.plans import Here
from chronos_secrets.timers.record import Run

CHRONOS = Path(__file__).parents[2] / "inventory.yaml"
SCHEDULE = 'full: "0 11 * * *", diff: "0 5,17,23 * * *", timezone: UTC, host: prod'
HERE = Here(("/usr/bin/chronos-secrets", "--inventory", "/home/me/a b/100%/inventory.yaml"), {}, "/home/me/units")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ZONES = ("UTC", "America/Toronto", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata")


def chronos(folder: Path, old: str = "", new: str = "", *, timers: str = "") -> Inventory:
    """The inventory of Project Chronos with one change, and with timers."""
    text = CHRONOS.read_text().partition("\ntimers:")[0] + "\n"
    assert old in text
    path = folder / "inventory.yaml"
    path.write_text(text.replace(old, new, 1) + (f"timers: {timers}\n" if timers else ""))
    return load.read(path)


# --- what the inventory refuses ----------------------------------------------------------------------------------------

REFUSED = [
    (SCHEDULE, SCHEDULE.replace("5,17", "5,11,17"), "diff of schedule starts when full does, as at 11:00; pgBackRest"),
    (SCHEDULE, f'incr: "*/15 * * * 1", {SCHEDULE}', "incr of schedule starts when full does, as at 11:00"),
    (SCHEDULE, SCHEDULE.replace("0 5,17,23 * * *", "0 5 31 2,4 *"), "diff of schedule of pgbackrest never comes"),
    (SCHEDULE, SCHEDULE.replace("host: prod", "host: prod-db"), "host of schedule is prod-db, a container"),
    (SCHEDULE, SCHEDULE.replace("host: prod", "host: local"), "host of schedule is local, but pgbackrest runs on"),
    (SCHEDULE, SCHEDULE.replace("UTC", "America/Toronto, by: cron"), "timezone of schedule is America/Toronto, whose"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "told"), REFUSED, ids=range(len(REFUSED)))
def test_a_schedule_that_cannot_be_kept_is_refused_with_its_line(tmp_path: Path, old: str, new: str, told: str):
    line = CHRONOS.read_text().split("\n").index(next(x for x in CHRONOS.read_text().split("\n") if SCHEDULE in x)) + 1
    with pytest.raises(InventoryInvalid) as raised:
        chronos(tmp_path, old, new)
    assert f"inventory.yaml:{line}:" in raised.value.message
    assert told in raised.value.message


def test_the_seeds_schedule_is_refused_with_the_reason_and_with_a_schedule_that_works(tmp_path: Path):
    with pytest.raises(InventoryInvalid) as raised:
        chronos(tmp_path, SCHEDULE, SCHEDULE.replace("5,17", "5,11,17"))
    assert "one backup at a time: the second one fails (50), and where that is the full one, there is none" in str(
        raised.value
    )
    assert raised.value.hint == 'for example "0 5,17,23 * * *"'


@pytest.mark.parametrize("zone", ["America/Toronto", "Asia/Kolkata, by: cron"])
def test_a_zone_whose_clocks_change_is_no_matter_to_systemd_and_one_whose_do_not_is_none_to_cron(
    tmp_path: Path, zone: str
):
    assert chronos(tmp_path, SCHEDULE, SCHEDULE.replace("UTC", zone)).pgbackrest


@pytest.mark.parametrize("line", ["0 11 * * *", "*/15 * * * *"])
def test_where_no_other_hour_is_left_words_say_what_to_choose(tmp_path: Path, line: str):
    with pytest.raises(InventoryInvalid) as raised:
        chronos(tmp_path, SCHEDULE, SCHEDULE.replace("0 5,17,23 * * *", line))
    assert raised.value.hint == "choose another minute, as far off as the longest backup takes"


def test_two_backups_that_meet_only_when_the_clocks_skip_an_hour_are_refused(tmp_path: Path):
    there = 'full: "30 2 * * *", diff: "0 3,17 * * *", timezone: America/Toronto, host: prod'
    with pytest.raises(InventoryInvalid, match="on 2025-03-09, when the clocks skip an hour"):
        chronos(tmp_path, SCHEDULE, there)
    assert chronos(tmp_path, SCHEDULE, there.replace("America/Toronto", "UTC"))
    assert chronos(tmp_path, SCHEDULE, there.replace("0 3,17", "0 4,17"))  # skipped, but met by nothing


@pytest.mark.parametrize(
    ("timers", "told"),
    [
        ('{due: {at: "0 9 30 2 *"}}', "at of due of timers never comes"),
        ('{due: {at: "0 25 * * *"}}', "at of due of timers has '25' as its hour"),
        ('{rotat: {at: "0 9 * * *"}}', "unknown key 'rotat' in timers"),
        ("{due: {notify: [[mail]]}}", "due of timers lacks the key 'at'"),
        ('{rotate: {at: "0 9 * * *", notify: [[mail]]}}', "unknown key 'notify' in rotate of timers"),
    ],
)
def test_timers_of_this_machine_are_refused_with_words_where_they_are_wrong(tmp_path: Path, timers: str, told: str):
    with pytest.raises(InventoryInvalid) as raised:
        chronos(tmp_path, timers=timers)
    assert told in raised.value.message


def test_a_timer_of_copies_needs_a_place_for_them(tmp_path: Path):
    path = tmp_path / "inventory.yaml"
    path.write_text(
        "version: 1\nproject: aviary\nvault: {path: a.kdbx}\ncredentials: {}\ntimers: {copies: {at: 0 9 * * *}}\n"
    )
    with pytest.raises(InventoryInvalid, match="copies of timers has nothing to copy to"):
        load.read(path)


# --- the lock ---------------------------------------------------------------------------------------------------------

hours = st.lists(st.integers(0, 23), min_size=1, max_size=4, unique=True).map(
    lambda found: ",".join(map(str, sorted(found)))
)
lines = st.builds(
    "{} {} {} * {}".format,
    st.sampled_from(["0", "15", "30", "0,30", "*/20"]),
    st.one_of(hours, st.sampled_from(["*", "*/6", "1-5/2"])),
    st.sampled_from(["*", "*", "1,15", "*/2"]),
    st.sampled_from(["*", "*", "sun", "1-5"]),
)
starts = st.integers(0, 10 * 366 * 24 * 60).map(lambda minutes: NOW + timedelta(minutes=minutes))


@settings(max_examples=25, deadline=None)
@given(found=st.tuples(lines, lines, lines), zone=st.sampled_from(ZONES).map(ZoneInfo), start=starts)
@example(("30 2 * * *", "15 4 * * *", "0 1,3 * * *"), ZoneInfo("America/Toronto"), datetime(2027, 3, 1, tzinfo=UTC))
@example(("0 2 * * *", "30 2 * * sun", "45 9 * * *"), ZoneInfo("Europe/Berlin"), datetime(2027, 3, 1, tzinfo=UTC))
def test_an_accepted_schedule_never_starts_two_backups_in_one_minute(
    found: tuple[str, str, str], zone: ZoneInfo, start: datetime
):
    refused = [
        pair
        for pair in itertools.combinations(found, 2)
        if firings.together(*pair) is not None or firings.moved_together(*pair, zone) is not None
    ]
    fired = list(itertools.chain.from_iterable(_next(line, zone, start, 334) for line in found))
    if not refused:
        assert len(set(fired)) == len(fired) >= 1000
    elif found[0] == found[1]:
        assert firings.together(found[0], found[1]) is not None


@settings(max_examples=60, deadline=None)
@given(one=lines, other=lines)
def test_what_is_refused_really_meets(one: str, other: str):
    assume(firings.together(one, other) is not None)
    utc, end = ZoneInfo("UTC"), NOW + timedelta(days=28 * 366)
    at: datetime | None = NOW
    while at is not None and at < end:
        at = cron.next_after(one, at, utc)
        before = cron.last_before(other, at, utc) if at else None
        if before == at:
            return
    pytest.fail("they never meet")


def _next(line: str, zone: ZoneInfo, start: datetime, number: int) -> list[datetime]:
    found: list[datetime] = []
    at: datetime | None = start
    while at is not None and len(found) < number:
        at = cron.next_after(line, at, zone)
        found += [at.astimezone(UTC)] if at else []
    return found


def test_backups_that_start_close_to_each_other_are_warned_of():
    said = review.near({"full": "0 11 * * *", "diff": "10 5,11 * * *"}, ZoneInfo("UTC"), NOW)
    assert said == "two of full, diff start within 10 minutes: the second one waits until the first one ends"
    for others in ({}, {"diff": "0 5,17 * * *"}, {"diff": "*/20 5 * * *"}):  # the last one is near itself alone
        assert review.near({"full": "0 11 * * *", **others}, ZoneInfo("UTC"), NOW) is None


# --- texts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0 11 * * *", ["*-*-* 11:00:00 UTC"]),
        ("*/30 5,17 * * *", ["*-*-* 05,17:00,30:00 UTC"]),
        ("5 * 1 jan,7 *", ["*-01,07-01 *:05:00 UTC"]),
        ("0 9 * * 1-5", ["Mon,Tue,Wed,Thu,Fri *-*-* 09:00:00 UTC"]),
        ("0 9 * * 0,7", ["Sun *-*-* 09:00:00 UTC"]),
        ("0 9 1 * mon", ["*-*-01 09:00:00 UTC", "Mon *-*-* 09:00:00 UTC"]),
    ],
)
def test_a_cron_line_as_times_of_systemd(line: str, told: list[str]):
    assert texts.calendar(line, "UTC") == told


def test_a_backup_starts_on_the_second_and_a_timer_of_this_machine_within_minutes(tmp_path: Path):
    inventory = chronos(tmp_path, timers='{due: {at: "0 9 * * *"}}')
    found = plans.backups(inventory, tmp_path)
    assert found is not None
    for file in (*found.files, *plans.own(inventory, HERE).files):
        if file.path.endswith(".timer"):
            assert "Persistent=true" in file.text
            assert ("AccuracySec=1s" in file.text) != ("RandomizedDelaySec=5min" in file.text)
            assert ("AccuracySec=1s" in file.text) == file.path.startswith("/etc/")


def test_a_command_with_spaces_and_percents_stays_one_in_a_unit_and_in_a_crontab(tmp_path: Path):
    for by in ("systemd", "cron"):
        plan = plans.own(chronos(tmp_path, timers=f'{{by: {by}, due: {{at: "0 9 * * *"}}}}'), HERE)
        if by == "systemd":
            assert '"/home/me/a b/100%%/inventory.yaml" schedule run due' in plan.files[0].text
        else:
            assert plan.crontab == (
                "0 9 * * * /usr/bin/chronos-secrets --inventory '/home/me/a b/100\\%/inventory.yaml' schedule run due",
            )


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])).filter(str.isprintable), min_size=1))
def test_a_command_in_a_unit_is_read_back_word_for_word(words: list[str]):
    """Of what stands in double quotes a shell takes a backslash as systemd does."""
    assert shlex.split(texts.execution(words).removeprefix(":").replace("%%", "%")) == words


@pytest.mark.parametrize(
    "here",
    [
        HERE._replace(program=(*HERE.program, "--vault", "/home/me/a\nb.kdbx")),
        HERE._replace(environment={"XDG_STATE_HOME": "/home/me/\x1b[2J"}),
        HERE._replace(units="/home/\u202eme/units"),
    ],
)
def test_a_path_that_no_line_of_a_unit_can_hold_is_found_wherever_it_stands(here: Here):
    assert plans.fault(HERE) is None
    assert plans.fault(here) == "a path with a character that cannot be printed"


def test_the_container_of_the_database_is_entered_from_its_host_without_a_terminal(tmp_path: Path):
    plan = plans.backups(chronos(tmp_path), tmp_path)
    assert plan is not None
    assert plan.host == "prod"
    [script] = [file for file in plan.files if file.text.startswith("#!/bin/sh")]
    assert "docker exec -u postgres chronos-db pgbackrest " in script.text
    assert "PATH=/usr/local/sbin:" in script.text


def test_cron_gets_the_file_of_the_seed_with_the_logs_of_the_seed(tmp_path: Path):
    plan = plans.backups(chronos(tmp_path, SCHEDULE, f"by: cron, {SCHEDULE}"), tmp_path)
    assert plan is not None
    by_path = {file.path: file.text for file in plan.files}
    assert "CRON_TZ=UTC\n0 11 * * * root /bin/sh /usr/local/sbin/" in by_path["/etc/cron.d/pgbackrest"]
    rotated = next(text for path, text in by_path.items() if path.startswith("/etc/logrotate.d/"))
    assert "/var/log/pgbackrest-full.log /var/log/pgbackrest-diff.log {" in rotated


def test_a_file_is_ours_only_with_our_line_for_the_same_project(tmp_path: Path):
    plan = plans.backups(chronos(tmp_path), tmp_path)
    assert plan is not None
    for file in plan.files:
        assert texts.is_ours(file.text.encode(), "project-chronos")
        assert not texts.is_ours(file.text.encode(), "chronos")
        assert not texts.is_ours(file.text.encode(), "project")
        assert not texts.is_ours(b"a copy of\n\n" + file.text.encode(), "project-chronos")
    assert not texts.is_ours(b"# the operator's own\n", "project-chronos")


# --- a crontab --------------------------------------------------------------------------------------------------------

line_texts = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20)


@given(
    theirs=st.lists(line_texts, max_size=5),
    ours=st.lists(line_texts, max_size=3),
    later=st.lists(line_texts, max_size=3),
)
def test_the_lines_of_a_person_stay_as_they_are_whatever_ours_become(
    theirs: list[str], ours: list[str], later: list[str]
):
    before = "".join(f"{line}\n" for line in theirs)
    with_ours = crontab.with_ours(before, "aviary", ours)
    assert crontab.ours(with_ours, "aviary") == (tuple(ours) if ours else None)
    assert crontab.with_ours(with_ours, "aviary", later) == crontab.with_ours(before, "aviary", later)
    assert crontab.with_ours(with_ours, "aviary", []) == before


@pytest.mark.parametrize("theirs", ["# a\x0cb \u2028 c\x85 d\n", "0 1 * * * true\r\n", "\n\n"])
def test_a_line_of_a_person_is_not_broken_where_only_python_would(theirs: str):
    with_ours = crontab.with_ours(theirs, "aviary", ["0 9 * * * true"])
    assert with_ours.startswith(theirs)
    assert crontab.with_ours(with_ours, "aviary", []) == theirs


def test_marks_of_another_project_are_not_ours_and_half_a_mark_is_refused():
    text = crontab.with_ours("", "zoo", ["0 9 * * * true"])
    assert crontab.ours(text, "aviary") is None
    with pytest.raises(crontab.Unbalanced):
        crontab.ours("\n".join(text.split("\n")[:-2]), "zoo")
    with pytest.raises(crontab.Unbalanced):
        crontab.ours("\n".join(reversed(text.split("\n"))), "zoo")


# --- runs -------------------------------------------------------------------------------------------------------------

DAILY, ZONE = "0 9 * * *", ZoneInfo("UTC")
INSTALLED = datetime(2026, 11, 1, tzinfo=UTC)


def _run(hours_ago: float, *, took: float | None = 0.1, status: int = 0, words: str = "") -> Run:
    begun = NOW - timedelta(hours=hours_ago)
    return Run(begun, None if took is None else begun + timedelta(hours=took), status, words)


@pytest.mark.parametrize(
    ("run", "since", "told"),
    [
        (_run(3), INSTALLED, None),
        (_run(27), INSTALLED, None),  # this morning's may still come
        (_run(28), INSTALLED, "has not run since it should have, at 2026-11-19 09:00 UTC"),
        (None, INSTALLED, "has not run since it should have, at 2026-11-19 09:00 UTC"),
        (None, NOW - timedelta(hours=1), None),
        (None, None, None),
        (_run(100), NOW - timedelta(hours=1), None),  # installed anew
        (_run(3, status=4, words="the vault is locked"), INSTALLED, "failed with status 4: the vault is locked"),
        (_run(3, took=None), INSTALLED, None),
        (_run(3, took=None, status=7, words="as before"), INSTALLED, "failed with status 7: as before"),
        (_run(7, took=None), INSTALLED, "began and did not end"),
    ],
)
def test_a_run_that_was_missed_failed_or_cut_off_is_told(run: Run | None, since: datetime | None, told: str | None):
    assert review.fault(DAILY, ZONE, run, since, NOW) == told


@pytest.mark.parametrize("line", ["30 2 * * *", "*/20 2 * * *"])
def test_a_time_that_the_clocks_skip_is_not_missed_and_the_next_one_is(line: str):
    zone = ZoneInfo("America/Toronto")
    ran = Run(datetime(2027, 3, 13, 7, 40, tzinfo=UTC), datetime(2027, 3, 13, 7, 41, tzinfo=UTC))
    assert review.fault(line, zone, ran, None, datetime(2027, 3, 14, 20, tzinfo=UTC)) is None
    assert review.fault(line, zone, ran, None, datetime(2027, 3, 15, 5, tzinfo=UTC)) is None
    assert "2027-03-15 02:" in (review.fault(line, zone, ran, None, datetime(2027, 3, 15, 20, tzinfo=UTC)) or "")


def test_what_is_remembered_of_runs_comes_back_and_rubbish_is_nothing(tmp_path: Path):
    path = tmp_path / "state" / record.FILE
    assert record.load(path) == record.Known({}, {})
    record.note_installed(path, "local", INSTALLED)
    record.note_run(path, "due", _run(3, status=7, words="no"))
    assert record.load(path) == record.Known({"local": INSTALLED}, {"due": _run(3, status=7, words="no")})
    record.note_installed(path, "far", None)
    assert record.load(path).runs
    record.note_installed(path, "local", None)
    assert record.load(path) == record.Known({}, {})


@pytest.mark.parametrize(
    "rubbish",
    [
        "", "[]", '{"installed": {}, "runs": {"due": {}}}', '{"installed": {"a": "2026-01-01"}}', '{"installed": []}',
        '{"installed": {"local": "2026-01-01T09:00:00"}, "runs": {}}',  # of which zone?
        '{"installed": {}, "runs": {"due": {"begun": "2026-01-01T09:00:00", "ended": null}}}',
        pytest.param("[" * 100_000, id="deep"),
    ],
)  # fmt: skip
def test_a_damaged_record_is_as_if_nothing_were_known_and_the_next_run_is_kept(tmp_path: Path, rubbish: str):
    path = tmp_path / record.FILE
    path.write_text(rubbish)
    assert record.load(path) == record.Known({}, {})
    record.note_run(path, "due", _run(3))
    assert record.load(path) == record.Known({}, {"due": _run(3)})


def test_a_run_that_ends_while_another_one_is_written_down_does_not_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(record, "_LOCK_WAIT", 0.0)
    path = tmp_path / record.FILE
    record.note_run(path, "due", _run(3))
    before = path.read_bytes()
    with files.lock(path.with_suffix(".lock"), wait=0), pytest.raises(Busy, match="another run is writing"):
        record.note_run(path, "rotate", _run(3))
    assert path.read_bytes() == before


def test_a_state_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path):
    (tmp_path / "state").touch()
    with pytest.raises(Refused, match=r"timers\.json cannot be written: "):
        record.note_run(tmp_path / "state" / record.FILE, "due", _run(3))


def test_the_end_that_a_backups_script_leaves_is_read_and_rubbish_is_none():
    assert record.parse_end(b"1795255200 1795255230 50\n") == Run(
        datetime.fromtimestamp(1795255200, UTC), datetime.fromtimestamp(1795255230, UTC), 50
    )
    for rubbish in (b"", b"1 2", b"1 2 x", b"1 999999999999999999 0", b"1 99999999999999999999 0", b"\xff"):
        assert record.parse_end(rubbish) is None
