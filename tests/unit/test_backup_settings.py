"""Which settings of a database its backups need, and what may stand in archive_command."""

from datetime import timedelta

import pytest

from chronos_secrets.pgbackrest import archiver, settings
from chronos_secrets.pgbackrest.settings import Setting, Wanted

WANTED = Wanted("/etc/pg/one.conf", "birds", timedelta(minutes=5))
GOOD = {
    "archive_mode": "on", "archive_command": WANTED.archive_command, "archive_library": "", "wal_level": "replica",
    "max_wal_senders": "10", "archive_timeout": "300",
}  # fmt: skip
RESTARTS = {"archive_mode", "wal_level", "max_wal_senders"}


def found(**changed: str) -> list[Setting]:
    """The settings, good but for some."""
    values = {**GOOD, **changed}
    return [
        Setting(name, value, "postmaster" if name in RESTARTS else "sighup", "configuration file", "", False)
        for name, value in values.items()
    ]


def test_what_is_as_it_should_be_is_no_difference():
    assert settings.differences(found(), WANTED) == []
    assert settings.differences(found(archive_mode="always", wal_level="logical", max_wal_senders="64"), WANTED) == []


@pytest.mark.parametrize(
    ("name", "value", "should", "effect"),
    [
        ("archive_mode", "off", "on", "restart"),
        ("wal_level", "minimal", "replica", "restart"),
        ("max_wal_senders", "1", "2", "restart"),
        ("archive_timeout", "0", "300", "reload"),
        ("archive_timeout", "60", "300", "reload"),
        ("archive_library", "basic_archive", "", "reload"),
        ("archive_command", "", WANTED.archive_command, "reload"),
    ],
)
def test_what_is_not_is_named_with_what_it_should_be_and_what_that_takes(name, value, should, effect):
    (difference,) = settings.differences(found(**{name: value}), WANTED)
    assert (difference.setting.name, difference.should, difference.setting.effect) == (name, should, effect)


def test_a_setting_of_the_command_line_is_never_taken_for_set():
    each = Setting("archive_timeout", "7", "sighup", "command line", "", False, in_files="300")
    (difference,) = settings.differences([each], WANTED)
    assert difference.setting.is_fixed
    assert not difference.is_set


def test_no_archive_timeout_in_the_inventory_demands_none():
    assert settings.differences(found(archive_timeout="0"), WANTED._replace(archive_timeout=None)) == []


def test_a_setting_that_the_next_start_makes_wrong_is_a_difference_now():
    each = Setting("archive_mode", "on", "postmaster", "configuration file", "", True, in_files="off")
    (difference,) = settings.differences([each], WANTED)
    assert "the next start makes it off" in difference.why
    assert not difference.is_set


@pytest.mark.parametrize(("in_files", "is_set"), [("5min", True), ("300", True), ("300s", True), ("6min", False)])
def test_what_the_files_say_already_is_not_set_again(in_files, is_set):
    each = Setting("archive_timeout", "0", "sighup", "configuration file", "", False, in_files=in_files)
    (difference,) = settings.differences([each], WANTED)
    assert difference.is_set is is_set


@pytest.mark.parametrize(
    "command",
    [
        WANTED.archive_command,
        "/usr/bin/pgbackrest --stanza=birds --config=/etc/pg/one.conf archive-push %p",
        'pgbackrest --config /etc/pg/one.conf --stanza birds archive-push "%p"',
        "env TZ=UTC pgbackrest --config=/etc/pg/one.conf --stanza=birds --log-level-console=warn archive-push %p",
        "PGBACKREST_X=1 pgbackrest --config=/etc/pg/one.conf --stanza=birds archive-push %p",
    ],
)
def test_an_archive_command_that_calls_pgbackrest_with_our_file_is_taken(command):
    assert settings.fault_of_command(command, WANTED) is None


def test_the_file_where_pgbackrest_looks_by_itself_need_not_be_named():
    wanted = WANTED._replace(config=settings.DEFAULT_CONFIG)
    assert settings.fault_of_command("pgbackrest --stanza=birds archive-push %p", wanted) is None
    assert settings.fault_of_command("pgbackrest --stanza=birds archive-push %p", WANTED) is not None


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("cp %p /backup/%f", "it does not call pgbackrest"),
        ("test ! -f /b/%f && " + WANTED.archive_command, "it does more than call pgbackrest"),
        (WANTED.archive_command + " || true", "it does more than call pgbackrest"),
        (WANTED.archive_command + "; true", "it does more than call pgbackrest"),
        (WANTED.archive_command + " > /tmp/log", "it does more than call pgbackrest"),
        ("nice " + WANTED.archive_command, "it does more than call pgbackrest"),
        ("pgbackrest version " + WANTED.archive_command, "it does more than call pgbackrest"),
        ("pgbackrest --config=/other.conf --stanza=birds archive-push %p", "it does not use /etc/pg/one.conf"),
        ("pgbackrest --config=/etc/pg/one.conf --stanza=fish archive-push %p", "it is not for the stanza birds"),
        ("pgbackrest --config=/etc/pg/one.conf --stanza=birds archive-push", "it does not end in archive-push %p"),
        ("pgbackrest --config=/etc/pg/one.conf --stanza=birds archive-get %p", "it does not end in archive-push %p"),
        ("pgbackrest 'archive-push %p", "its quotes are not closed"),
    ],
)
def test_any_other_archive_command_is_not(command, why):
    assert settings.fault_of_command(command, WANTED) == why


@pytest.mark.parametrize(
    ("value", "literal"),
    [("it's", "'it''s'"), ("a\\b'c", "E'a\\\\b''c'"), ("60", "'60'")],
    ids=["quote", "backslash", "number"],
)
def test_a_value_is_quoted_for_the_server(value, literal):
    assert settings.statement("x", value) == f"ALTER SYSTEM SET x = {literal}"


def test_a_segment_ends_where_the_next_one_begins():
    size = 16 * 1024 * 1024
    assert archiver.end_of("000000010000000000000003", size) == archiver.offset("0/4000000")
    assert archiver.end_of("0000000200000001000000FF", size) == archiver.offset("2/0")
    assert archiver.end_of("00000001000000010000003F", 64 * 1024 * 1024) == archiver.offset("2/0")
