"""Which WAL a recovery along the latest timeline reads."""

from datetime import UTC, datetime

import pytest

from chronos_secrets.pgbackrest.archive import RepoFile, branches
from chronos_secrets.pgbackrest.info import Backup
from chronos_secrets.pgbackrest.wal import Followed, Kept, Left, _newest_first, _time, parse_history

HISTORY = "1\t0/5000130\tno recovery target specified\n\n2\t0/8000000\tbefore 2026-11-22 14:15:00+00\n"
"""Timeline 1 was left in the middle of its segment 5, timeline 2 where its segment 8 begins."""


def segment(timeline: int, number: int) -> str:
    return f"{timeline:08X}00000000{number:08X}"


def kept(*names: str, gap: str | None = None) -> Kept:
    files = tuple(RepoFile(f"15-1/{name[:16]}/{name}-{'a' * 40}.gz", "file", 1, None) for name in names)
    return Kept("archive/birds", files, parse_history(3, HISTORY), branches({}), gap)


def test_a_history_file_says_where_each_timeline_was_left():
    assert parse_history(3, HISTORY) == Followed(3, (Left(1, 5, "0/5000130"), Left(2, 8, "0/8000000")))


def test_what_a_timeline_has_after_it_was_left_is_not_read():
    along = parse_history(3, HISTORY)
    assert along.until(segment(1, 4)) == ""
    assert along.until(segment(1, 5)) == "0/5000130"
    assert along.until(segment(1, 6)) is None
    assert along.until(segment(2, 7)) == ""
    assert along.until(segment(3, 99)) == ""
    assert along.until(segment(4, 5)) is None


def test_segments_are_read_from_the_newest_back_and_of_two_for_one_place_the_later_timeline_s():
    names = [segment(1, 4), segment(1, 5), segment(1, 6), segment(2, 5), segment(2, 6), segment(3, 8)]
    found = [words[0] for _, words in _newest_first(kept(*names))]
    assert found == [segment(3, 8), segment(2, 6), segment(2, 5), segment(1, 4)]


def test_nothing_after_a_missing_segment_is_read():
    names = [segment(1, 4), segment(2, 6)]
    found = [words[0] for _, words in _newest_first(kept(*names, gap=segment(2, 5)))]
    assert found == [segment(1, 4)]


@pytest.mark.parametrize(("lost", "gap"), [((1, 6), None), ((2, 6), (2, 6)), ((1, 4), (1, 4))])
def test_a_segment_that_is_missing_in_a_past_that_was_left_is_no_gap(
    lost: tuple[int, int], gap: tuple[int, int] | None
):
    there = [(1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (2, 5), (2, 6), (2, 7), (3, 8)]
    texts = {"15-1/00000002.history": HISTORY.partition("\n")[0], "15-1/00000003.history": HISTORY}
    whole = kept(*(segment(*each) for each in there if each != lost))._replace(begun=branches(texts))
    at = datetime(2026, 11, 22, tzinfo=UTC)
    backup = Backup("x", "full", at, at, 1, 1, 1, 1, segment(1, 3), segment(1, 3), 1, 1, None, (), None)
    assert whole.lacking(backup).gap == (gap and segment(*gap))


def test_the_past_that_a_timeline_had_when_it_was_left_ends_there():
    whole = kept(segment(1, 4), segment(1, 5), segment(2, 6), segment(2, 7), segment(3, 8), gap=segment(2, 5))
    first, second = whole.along.left
    assert [words for _, words in _newest_first(whole.before(first))] == [
        (segment(1, 5), ".gz", "0/5000130"), (segment(1, 4), ".gz", ""),
    ]  # fmt: skip
    assert next(_newest_first(whole.before(second)))[1] == (segment(2, 7), ".gz", "")


def test_the_time_of_a_commit_is_read_from_what_pg_waldump_prints():
    line = b"rmgr: Transaction len (rec/tot): 34/34, tx: 735, lsn: 0/0154A0C0, prev 0/0, desc: COMMIT%s"
    assert str(_time(line % b" 2026-11-23 02:02:26.771572 UTC")) == "2026-11-23 02:02:26.771572+00:00"
    assert str(_time(line % b"_PREPARED 735: 2026-11-23 02:02:26 UTC; inval msgs: x")) == "2026-11-23 02:02:26+00:00"
    assert _time(b"") is None
