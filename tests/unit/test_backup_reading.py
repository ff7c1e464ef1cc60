"""What pgBackRest says, read: the WAL of a repository and its gaps, a verify, a progress, a log file."""

import itertools
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_secrets.errors import TargetFailed
from chronos_secrets.pgbackrest import archive, logs, progress, verifying
from chronos_secrets.pgbackrest.archive import Branch, RepoFile, Segment
from chronos_secrets.pgbackrest.info import Backup
from chronos_secrets.report import backup as report

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHA = "0123456789abcdef0123456789abcdef01234567"


def _files(*names: str, archive_id: str = "15-1") -> list[RepoFile]:
    """Files of segments, each a minute later than the one before."""
    return [
        RepoFile(f"{archive_id}/{name[:16]}/{name}-{SHA}.gz", "file", 100, NOON + timedelta(minutes=number))
        for number, name in enumerate(names)
    ]


def _segments(*names: str, archive_id: str = "15-1") -> list[Segment]:
    return archive.segments(_files(*names, archive_id=archive_id))


def _name(timeline: int, number: int) -> str:
    return archive.name_of(timeline, number)


def _backup(first: str, last: str, *, minutes: int = 0, database: int = 1) -> Backup:
    at = NOON + timedelta(minutes=minutes)
    return Backup(
        f"label-{first[-2:]}", "full", at, at, 1, 1, 1, 1, first, last, 1, database, None, (), False
    )  # fmt: skip


# --- the WAL of a repository ------------------------------------------------------------------------------------------


def test_a_listing_tells_the_segments_and_nothing_else():
    said = (
        b'{".":{"type":"path"},"15-1":{"type":"path"},"15-1/00000002.history":{"type":"file","size":41,"time":9},'
        b'"15-1/0000000100000000/000000010000000000000002-%b.gz":{"type":"file","size":16512,"time":1795398617},'
        b'"15-1/0000000100000000/000000010000000000000002.00000028.backup":{"type":"file","size":400,"time":1},'
        b'"15-1/0000000100000000/000000010000000000000003.partial-%b.gz":{"type":"file","size":400,"time":1},'
        b'"archive.info":{"type":"file","size":368,"time":1795398625}}' % (SHA.encode(), SHA.encode())
    )
    files = archive.parse_listing(said)
    assert archive.histories(files) == ["15-1/00000002.history"]
    (found,) = archive.segments(files)
    assert found == Segment(
        "000000010000000000000002", 1, 2, datetime(2026, 11, 23, 1, 50, 17, tzinfo=UTC), 16512, "15-1"
    )


@pytest.mark.parametrize("said", [b"", b"[]", b'{"a": 1}', b'{"a": {"type": "file", "size": "big"}}', b"\xff"])
def test_what_is_no_listing_is_refused(said: bytes):
    with pytest.raises(TargetFailed):
        archive.parse_listing(said)


def test_a_segment_that_is_missing_in_the_middle_is_named_and_what_that_means():
    found = _segments(*(_name(1, number) for number in (2, 3, 6, 7)))
    backups = [_backup(_name(1, 2), _name(1, 2)), _backup(_name(1, 7), _name(1, 7), minutes=50)]
    assert archive.missing(found, backups, {}) == [_name(1, 4), _name(1, 5)]
    (gap,) = archive.gaps(found, backups, {})
    lost = archive.loss(gap, backups)
    assert lost == (NOON + timedelta(minutes=1), NOON + timedelta(minutes=50), ())
    said = report.loss(gap, lost, UTC)
    assert f"{_name(1, 4)} to {_name(1, 5)} (2 segments) is missing" in said
    assert "no restore to a time after about 2026-11-22 12:01 UTC until 2026-11-22 12:50 UTC" in said


def test_a_backup_that_needs_a_missing_segment_is_lost_as_a_whole():
    backups = [_backup(_name(1, 2), _name(1, 4))]
    (gap,) = archive.gaps(_segments(_name(1, 2), _name(1, 4)), backups, {})
    lost = archive.loss(gap, backups)
    assert (lost.until, lost.broken) == (None, (backups[0].label,))
    of_another = _backup(_name(1, 9), _name(1, 9), minutes=50, database=2)
    begun_in_the_gap = _backup(_name(1, 3), _name(1, 4), minutes=40)
    assert archive.loss(gap, [*backups, of_another]) == lost
    assert archive.loss(gap, [*backups, begun_in_the_gap]).until is None
    assert "until a new full backup is made; not restorable at all: label-02" in report.loss(gap, lost, UTC)


def test_what_lies_before_the_oldest_kept_backup_is_needed_by_nobody():
    found = _segments(*(_name(1, number) for number in (1, 5, 6, 7)))
    assert archive.missing(found, [_backup(_name(1, 5), _name(1, 5))], {}) == []
    assert archive.missing(found, [], {}) == []
    assert archive.missing(found, [_backup(_name(1, 4), _name(1, 5))], {}) == [_name(1, 4)]
    promoted = [*found, *_segments(_name(2, 7), _name(2, 8))]
    assert archive.missing(promoted, [_backup(_name(2, 7), _name(2, 7))], {("15-1", 2): Branch(1, 7)}) == []


def test_the_names_go_on_after_the_last_one_of_a_log():
    before, after = "0000000100000000000000FF", "000000010000000100000000"
    assert archive.missing(_segments(before, after), [_backup(before, before)], {}) == []
    big = 1 << 30
    assert archive.number_of("000000010000000100000000", big) == 4
    assert archive.name_of(1, 4, big) == "000000010000000100000000"


def test_a_switch_of_the_timeline_is_no_gap():
    """A promoted server goes on in the middle of the segment; what its parent has after it is of another past."""
    found = _segments(*(_name(1, number) for number in (2, 3, 4, 5)), *(_name(2, number) for number in (4, 5, 6)))
    begun = archive.branches({"15-1/00000002.history": "1\t0/4000138\tno recovery target specified\n"})
    assert begun == {("15-1", 2): Branch(1, 4)}
    backups = [_backup(_name(1, 2), _name(1, 2))]
    assert archive.missing(found, backups, begun) == []
    promoted_at_once = [each for each in found if each.name not in (_name(1, 4), _name(1, 5))]
    assert archive.missing(promoted_at_once, backups, begun) == []


@pytest.mark.parametrize("lost", [(1, 3), (2, 4), (2, 5)])
def test_a_gap_at_the_switch_of_the_timeline_is_one(lost: tuple[int, int]):
    there = [(1, 2), (1, 3), (2, 4), (2, 5), (2, 6)]
    found = _segments(*(_name(*each) for each in there if each != lost))
    begun = {("15-1", 2): Branch(1, 4)}
    assert archive.missing(found, [_backup(_name(1, 2), _name(1, 2))], begun) == [_name(*lost)]


def test_a_timeline_of_which_nothing_is_there_is_missed_where_a_later_one_needs_it():
    """Promoted twice: from 1 to 2 in the segment 4, from 2 to 3 in the segment 6."""
    text = "1\t0/4000138\tx\n\n2\t0/6000000\tx\n"
    begun = archive.branches({"15-1/00000003.history": text, "15-1/00000002.history": "1\t0/4000138\tx\n"})
    found = _segments(_name(1, 2), _name(1, 3), _name(3, 6))
    assert archive.missing(found, [_backup(_name(1, 2), _name(1, 2))], begun) == [_name(2, 4), _name(2, 5)]
    assert archive.newest(found) == found[-1]


def test_each_database_has_its_own_wal():
    old, new = _segments(_name(1, 2), _name(1, 9)), _segments(_name(1, 1), _name(1, 2), archive_id="16-2")
    backups = [_backup(_name(1, 1), _name(1, 1), database=2)]
    assert archive.missing([*old, *new], backups, {}) == []
    of_the_old_one = {("15-1", 2): Branch(1, 9)}
    assert archive.missing([*new, *_segments(_name(2, 2), archive_id="16-2")], backups, of_the_old_one) == []
    assert archive.newest([*old, *new]) == new[-1]


def test_a_name_from_far_away_makes_no_endless_list():
    found = _segments(_name(1, 2), "00000001FFFFFFFF000000FF")
    (gap,) = archive.gaps(found, [_backup(_name(1, 2), _name(1, 2))], {})
    assert gap.segments > 10**9
    assert len(archive.missing(found, [_backup(_name(1, 2), _name(1, 2))], {})) == 1000


@given(st.integers(1, 60), st.sets(st.integers(0, 60)))
def test_exactly_what_was_taken_away_is_missed(last: int, taken: set[int]):
    taken = {each for each in taken if 0 < each < last}
    found = _segments(*(_name(1, each) for each in range(last + 1) if each not in taken))
    told = archive.missing(found, [_backup(_name(1, 0), _name(1, 0))], {})
    assert told == [_name(1, each) for each in sorted(taken)]


# --- a verify ---------------------------------------------------------------------------------------------------------

GOOD = """\
2026-11-23 01:50:29.613 P00   INFO: stanza: birds
                                    status: ok
stanza: birds
status: ok
  archiveId: 15-1, total WAL checked: 8, total valid WAL: 8
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261123-015012F, status: valid, total files checked: 1262, total valid files: 1262
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
"""
BAD = """\
2026-11-23 01:52:02.399 P01   INFO: file missing '20261123-015012F/pg_data/base/4/1249.gz'
2026-11-23 01:52:02.756 P01   INFO: invalid checksum '20261123-015012F/pg_data/base/5/1255.gz'
stanza: birds
status: error
  archiveId: 15-1, total WAL checked: 8, total valid WAL: 7
    missing: 0, checksum invalid: 0, size invalid: 1, other: 0
  backup: 20261123-015012F, status: invalid, total files checked: 1262, total valid files: 1260
    missing: 1, checksum invalid: 1, size invalid: 0, other: 0
  backup: 20261123-015012F_20261123-015018D, status: manifest missing, total files checked: 0, total valid files: 0
  backup: 20261123-015020F, status: in-progress, total files checked: 0, total valid files: 0
"""


def test_a_good_verify_is_told_part_by_part():
    found = verifying.parse(GOOD)
    assert found is not None
    assert found.good
    assert [report.part_line(each) for each in found.parts] == [
        ("WAL of 15-1", "8", "good"),
        ("20261123-015012F", "1262", "good"),
    ]


def test_a_verify_that_found_faults_counts_them_by_kind_and_names_the_files():
    found = verifying.parse(BAD)
    assert found is not None
    assert not found.good
    assert found.faults == 3
    assert [report.part_line(each)[2] for each in found.parts] == [
        "NOT GOOD: 1 of the wrong size", "NOT GOOD: 1 missing, 1 damaged", "NOT GOOD: its manifest is missing",
        "being made",
    ]  # fmt: skip
    assert found.files == (
        "20261123-015012F/pg_data/base/4/1249.gz (file missing)",
        "20261123-015012F/pg_data/base/5/1255.gz (invalid checksum)",
    )


def test_a_verify_is_not_good_by_its_status_alone_nor_by_its_counts_alone():
    for change in (
        ("status: ok\n  a", "status: error\n  a"),
        ("size invalid: 0", "size invalid: 2"),
        ("valid,", "invalid,"),
    ):
        found = verifying.parse(GOOD.replace(*change))
        assert found is not None
        assert not found.good, change
    found = verifying.parse(f"2026-11-23 01:50:29.613 P00  ERROR: [029]: No usable archive.info file\n{GOOD}")
    assert found is not None
    assert (found.good, found.errors) == (False, ("No usable archive.info file",))


def test_a_backup_that_copied_damaged_pages_is_called_damaged_in_the_list():
    backup = _backup(_name(1, 2), _name(1, 2))
    assert report.line(backup, NOON, UTC)[1] == "full"
    assert report.line(backup._replace(error=True), NOON, UTC)[1] == "full, DAMAGED"


def test_what_is_no_verify_is_none():
    assert verifying.parse("") is None
    assert verifying.parse("ERROR: [032]: 'json' is not allowed\n") is None


# --- how far a run is -------------------------------------------------------------------------------------------------


def test_each_line_says_how_far_a_run_is():
    begin = "2026-11-23 01:50:14.231 P01 DETAIL:"
    line = f"{begin} backup file /d/base/5/1255 (768KB, 2.55%) checksum 26c3"
    assert progress.step(line) == ("copied", 2.55)
    assert progress.step(f"{begin} restore file /d/a (1) (9%)/b (8KB, 100.00%)") == ("fetched", 100.0)
    assert progress.step(f"{begin} execute non-exclusive backup stop and wait for all WAL") == (
        "waits for the last WAL to reach the repository",
        None,
    )
    assert progress.step(f"{begin} reference pg_data/PG_VERSION to 20261123-015012F") is None


@given(st.binary(max_size=60), st.lists(st.integers(0, 60)))
def test_lines_are_the_same_wherever_they_are_cut(said: bytes, cuts: list[int]):
    lines, ends = progress.Lines(), [0, *sorted(min(each, len(said)) for each in cuts), len(said)]
    heard = [line for begin, end in itertools.pairwise(ends) for line in lines.add(said[begin:end])]
    assert heard == [each.decode(errors="replace") for each in said.split(b"\n")[:-1]]


# --- log files --------------------------------------------------------------------------------------------------------

LOG = """\
2026-11-20 05:00:00.100 P00   INFO: backup command begin 2.45: --repo1-path=/x
2026-11-20 05:00:01.100 P00  ERROR: [082]: WAL segment was not archived
                                    HINT: check the archive_command
2026-11-21 05:00:00.100 P00   WARN: no prior backup exists
2026-11-22 05:00:00.100 P00   INFO: backup command end: completed successfully
"""


def _read(folder: Path, *words: str) -> logs.Told:
    patterns = logs.patterns(str(folder), "birds")
    argv = ("sh", "-c", logs.SCRIPT, "sh", *words, *patterns)
    done = subprocess.run(argv, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "TZ": "UTC"}, check=True)
    assert done.stderr == ""
    return logs.parse(done.stdout)


def test_the_records_of_all_files_come_in_the_order_of_their_times(tmp_path: Path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "birds-backup.log").write_text(LOG)
    (folder / "gulls-backup.log").write_text(LOG)
    (folder / "birds-expire.log.1").write_text("2026-11-21 00:00:00.000 P00   INFO: an older file\n")
    packed = folder / "birds-verify.log.2"
    packed.write_text("2026-11-19 00:00:00.000 P00   INFO: a packed file\n")
    subprocess.run(("gzip", packed), check=True)
    told = _read(folder, "", "", "100")
    assert [each.message.partition(" ")[0] for each in told.lines] == ["a", "backup", "[082]:", "an", "no", "backup"]
    assert len(told.read) == 3
    assert told.lines[2].message == "[082]: WAL segment was not archived\nHINT: check the archive_command"


def test_only_errors_and_only_new_ones_come_over_the_wire(tmp_path: Path):
    (tmp_path / "birds-backup.log").write_text(LOG)
    told = _read(tmp_path, "", "errors", "100")
    assert [(each.level, each.is_error) for each in told.lines] == [("ERROR", True), ("WARN", True)]
    since = str(int(datetime(2026, 11, 21, tzinfo=UTC).timestamp()))
    assert [each.level for each in _read(tmp_path, since, "", "100").lines] == ["WARN", "INFO"]
    assert [each.level for each in _read(tmp_path, "", "", "1").lines] == ["INFO"]


def test_no_file_is_no_fault(tmp_path: Path):
    assert _read(tmp_path, "", "", "100") == logs.Told((), (), ())
