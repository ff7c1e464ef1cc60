"""The audit log: what is appended reads back, and whatever is done to the file afterwards is found."""

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_secrets.errors import Busy, ChronosError, Refused
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files, history
from chronos_secrets.systems.history import Anchor, Event, History, HistoryUnusable

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
OTHER_HEAD = "f" * 64


@pytest.fixture
def log(tmp_path: Path) -> History:
    return History(tmp_path / "state" / "history.jsonl")


def add(log: History, subject: str = "env", known: Anchor | None = None, **detail: str) -> Anchor:
    return log.append(at=NOW, host="laptop", what="render", subject=subject, detail=detail, known=known)


def filled(log: History, count: int = 6) -> Anchor:
    """A log of `count` records; one has text outside ASCII."""
    for number in range(count - 1):
        add(log, f"subject {number}")
    return add(log, "der letzte", owner="Zoë")


def lines_of(log: History) -> list[bytes]:
    return log.path.read_bytes().splitlines(keepends=True)


def codes(log: History, anchor: Anchor | None) -> list[tuple[int, str]]:
    return [(each.line, each.code) for each in log.verify(anchor)]


def subjects(log: History) -> list[str]:
    return [event.subject for event in log.read().events]


def forged(lines: list[bytes]) -> list[bytes]:
    """The same records in a chain of their own that is right in itself."""
    made, anchor = [], Anchor(0, "0" * 64)
    for line in lines:
        row = json.loads(line)
        at = datetime.fromisoformat(row["at"])
        event = Event(0, at, row["host"], row["what"], row["subject"], row["detail"])
        anew, anchor = history._line(event, after=anchor)
        made.append(anew)
    return made


# --- what is appended -------------------------------------------------------------------------------------------------

_TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]))
_WHATS = _TEXTS.filter(lambda what: what not in (history.TORN, history.GAP))
_TIMES = st.datetimes(
    datetime(1, 1, 3),  # noqa: DTZ001  # hypothesis wants the bounds without a timezone
    datetime(9999, 12, 29),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
_EVENTS = st.fixed_dictionaries(
    {
        "at": _TIMES,
        "host": _TEXTS,
        "what": _WHATS,
        "subject": _TEXTS,
        "detail": st.dictionaries(_TEXTS, _TEXTS, max_size=3),
    }
)


@given(st.lists(_EVENTS, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_whatever_is_appended_reads_back_and_verifies(events):
    with TemporaryDirectory() as folder:
        log, anchor = History(Path(folder) / "history.jsonl"), None
        for event in events:
            anchor = log.append(**event, known=anchor)
        read = log.read()
        assert read.damaged == []
        assert [each._asdict() for each in read.events] == [
            {**event, "number": number, "at": event["at"].astimezone(UTC).replace(microsecond=0)}
            for number, event in enumerate(events, 1)
        ]
        assert log.verify(anchor) == []
        assert anchor is not None
        assert anchor.number == len(events)


def test_a_record_is_one_line_of_json_that_a_person_can_read(log):
    add(log, "web-env", owner="Zoë")
    row = json.loads(log.path.read_bytes())
    assert list(row) == ["number", "at", "host", "what", "subject", "detail", "prev", "hash"]
    assert b'{"number":1,"at":"2026-01-02T03:04:05Z","host":"laptop","what":"render"' in log.path.read_bytes()
    assert "Zoë".encode() in log.path.read_bytes()


def test_detail_may_be_any_mapping(log):
    log.append(at=NOW, host="laptop", what="render", subject="env", detail=MappingProxyType({"key": "id"}))
    assert log.read().events[0].detail == {"key": "id"}


def test_the_chain_is_what_the_documentation_says(log):
    """So that anybody can check a log without this program."""
    anchor = filled(log, 3)
    prev = "0" * 64
    for line in lines_of(log):
        body = line[: line.rindex(b',"hash":')]
        assert json.loads(line)["prev"] == prev
        prev = hashlib.sha256(body).hexdigest()
        assert line == body + b',"hash":"%b"}\n' % prev.encode()
    assert anchor == (3, prev)


def test_a_log_that_is_not_there_is_empty_and_is_not_made_by_looking(log):
    assert log.read() == ([], [])
    assert log.verify(None) == []
    assert not log.path.parent.exists()


def test_the_log_and_its_folder_are_private_from_the_first_byte(log):
    os.umask(0)
    add(log)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.path.parent.stat().st_mode) == 0o700


def test_the_folder_is_synced_before_the_first_record_and_each_record_before_append_returns(log, monkeypatch):
    seen, fsync = [], os.fsync

    def noted(descriptor: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{descriptor}")).name
        seen.append((name, log.path.stat().st_size))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    add(log)
    first = log.path.stat().st_size
    assert seen == [("state", 0), ("history.jsonl", first)]
    add(log)
    assert seen[2:] == [("history.jsonl", log.path.stat().st_size)]


def test_a_record_is_one_write(log, monkeypatch):
    written, write = [], os.write
    monkeypatch.setattr(os, "write", lambda descriptor, text: (written.append(bytes(text)), write(descriptor, text))[1])
    add(log)
    assert written == lines_of(log)


def test_since_takes_what_happened_in_that_second_and_later(log):
    for second in range(4):
        at = NOW.replace(microsecond=900_000) + timedelta(seconds=second)
        log.append(at=at, host="laptop", what="render", subject=str(second))
    since = NOW + timedelta(seconds=2)
    for given_ in (since, since.replace(microsecond=999_999), since.astimezone(timezone(timedelta(hours=-8)))):
        assert [event.subject for event in log.read(since=given_).events] == ["2", "3"]


# --- what may not be recorded -----------------------------------------------------------------------------------------


def _with(place: str, value: object) -> dict[str, object]:
    good: dict[str, object] = {"at": NOW, "host": "laptop", "what": "render", "subject": "env", "detail": {"key": "id"}}
    wrong: dict[str, object] = {"detail": {"key": value}} if place == "detail" else {place: value}
    if place == "name":
        wrong = {"detail": {value: "id"}}
    return {**good, **wrong}


@pytest.mark.parametrize("place", ["host", "what", "subject", "detail"])
@pytest.mark.parametrize("value", [Secret("a value"), None, 3, b"bytes"], ids=["secret", "none", "number", "bytes"])
def test_what_is_not_text_is_refused_and_nothing_is_written(log, place, value):
    with pytest.raises(TypeError, match=f"is of type {type(value).__name__}, not text"):
        log.append(**_with(place, value))
    assert not log.path.exists()


@pytest.mark.parametrize("place", ["host", "what", "subject", "detail", "name"])
@pytest.mark.parametrize(
    "character",
    ["\n", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\ud800"],
    ids=lambda each: f"U+{ord(each):04X}",
)
def test_characters_that_cannot_be_printed_are_refused_without_repeating_the_text(log, place, character):
    with pytest.raises(Refused, match="cannot be printed") as caught:
        log.append(**_with(place, f"canary{character}text"))
    assert place == "name" or "canary" not in caught.value.message
    assert not log.path.exists()


def test_a_text_that_is_no_identifier_for_its_length_is_refused(log):
    add(log, "a" * (history.LINE_LIMIT - 300))
    before = log.path.read_bytes()
    with pytest.raises(Refused, match="more than 8192 bytes"):
        add(log, "ä" * (history.LINE_LIMIT // 2))
    assert log.path.read_bytes() == before


def test_a_time_without_a_timezone_is_refused(log):
    with pytest.raises(ValueError, match="no timezone"):
        log.append(at=NOW.replace(tzinfo=None), host="laptop", what="render", subject="env")


@pytest.mark.parametrize("what", [history.TORN, history.GAP])
def test_what_the_log_says_of_itself_is_not_said_by_others(log, what):
    """Found by hypothesis: such a record was reported as a break."""
    with pytest.raises(ValueError, match="itself"):
        log.append(at=NOW, host="laptop", what=what, subject="env")


# --- anchors ----------------------------------------------------------------------------------------------------------


def test_an_anchor_is_read_back_from_its_text(log):
    anchor = add(log)
    assert str(anchor) == f"1:{anchor.head}"
    assert Anchor.parse(str(anchor)) == anchor


@pytest.mark.parametrize("text", ["", "1", "1:", f"0:{OTHER_HEAD}", f"-1:{OTHER_HEAD}", f"1:{OTHER_HEAD}\n", f"٣:{OTHER_HEAD}",
                                  f"1:{OTHER_HEAD.upper()}", f"1:{OTHER_HEAD[1:]}", f"{'9' * 16}:{OTHER_HEAD}"])  # fmt: skip
def test_what_is_no_anchor_is_refused(text):
    with pytest.raises(ValueError, match="is no anchor"):
        Anchor.parse(text)


# --- what was done to the file afterwards -----------------------------------------------------------------------------

_SIX: list[bytes] = []
_SIX_ANCHOR: list[Anchor] = []


@pytest.fixture(scope="module", autouse=True)
def _six(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The lines of a log of six records, made once for the properties below."""
    log = History(tmp_path_factory.mktemp("six") / "history.jsonl")
    _SIX_ANCHOR[:] = [filled(log)]
    _SIX[:] = lines_of(log)


def _found_by_verify(content: bytes, folder: str) -> list[history.Break]:
    log = History(Path(folder) / "history.jsonl")
    log.path.write_bytes(content)
    log.read()
    return log.verify(_SIX_ANCHOR[0])


def test_an_untouched_log_has_no_break(log):
    anchor = filled(log)
    assert log.verify(anchor) == []
    assert log.verify(None) == []


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_changed_removed_or_added_byte_is_found(data):
    content = b"".join(_SIX)
    place = data.draw(st.integers(0, len(content) - 1))
    act = data.draw(st.sampled_from(["change", "remove", "add"]))
    byte = bytes([data.draw(st.integers(0, 255).filter(lambda each: act == "add" or each != content[place]))])
    kept = place if act == "add" else place + 1
    changed = content[:place] + (b"" if act == "remove" else byte) + content[kept:]
    with TemporaryDirectory() as folder:
        assert _found_by_verify(changed, folder)


def _every_line_act() -> list[tuple[str, list[int]]]:
    """Each line removed, repeated or moved anywhere, each pair swapped, each tail and head cut off, as line numbers."""
    lines = list(range(6))
    acts = [(f"lines {n + 1} to {m} removed", lines[:n] + lines[m:]) for n in lines for m in range(n + 1, 7)]
    acts += [(f"line {n + 1} repeated after {m}", [*lines[:m], n, *lines[m:]]) for n in lines for m in range(7)]
    for n in lines:
        others = [each for each in lines if each != n]
        acts += [(f"line {n + 1} moved to {m + 1}", [*others[:m], n, *others[m:]]) for m in lines if m != n]
        for m in range(n + 1, 6):
            swapped = list(lines)
            swapped[n], swapped[m] = m, n
            acts.append((f"lines {n + 1} and {m + 1} swapped", swapped))
    return acts


@pytest.mark.parametrize(("act", "order"), _every_line_act())
def test_any_line_removed_repeated_moved_or_swapped_is_found(act, order, tmp_path):
    assert _found_by_verify(b"".join(_SIX[each] for each in order), str(tmp_path)), act


def _edit(lines: list[bytes]) -> None:
    lines[2] = lines[2].replace(b"laptop", b"server")


def _edit_number(lines: list[bytes]) -> None:
    lines[2] = lines[2].replace(b'"number":3', b'"number":9')


def _edit_hash(lines: list[bytes]) -> None:
    lines[2] = lines[2][:-8] + (b"0" if lines[2][-8:-7] != b"0" else b"1") + lines[2][-7:]


def _overwrite(lines: list[bytes]) -> None:
    lines[2] = b"\0" * 200 + b"\n"


def _forge_inside(lines: list[bytes]) -> None:
    """Line 3 anew, its own hash right."""
    changed = [*lines[:2], lines[2].replace(b"laptop", b"server")]
    lines[2] = forged(changed)[2]


def _forge_from(lines: list[bytes]) -> None:
    """Line 3 anew, and every line after it chained to it."""
    lines[2] = lines[2].replace(b"laptop", b"server")
    lines[:] = forged(lines)


def _insert_forged(lines: list[bytes]) -> None:
    lines.insert(2, forged([*lines[:2], lines[4]])[2])


def _swap(lines: list[bytes]) -> None:
    lines[2], lines[3] = lines[3], lines[2]


def _number_far_ahead(lines: list[bytes]) -> None:
    lines[5] = history._line(_event(lines[5]), after=Anchor(2**53 - 3, json.loads(lines[4])["hash"]))[0]


def _event(line: bytes) -> Event:
    row = json.loads(line)
    return Event(0, datetime.fromisoformat(row["at"]), row["host"], row["what"], row["subject"], row["detail"])


ACTS: list[tuple[Callable[[list[bytes]], object], list[tuple[int, str]]]] = [
    (_edit, [(3, "edited")]),
    (_edit_number, [(3, "edited")]),
    (_edit_hash, [(3, "edited")]),
    (_overwrite, [(3, "unreadable")]),
    (lambda lines: lines.insert(2, b"\n"), [(3, "unreadable")]),
    (lambda lines: lines.append(b"\n"), [(7, "unreadable")]),
    (lambda lines: lines.insert(2, b"[" * 100_000 + b"\n"), [(3, "unreadable")]),
    (lambda lines: lines.pop(2), [(3, "dropped")]),
    (lambda lines: lines.pop(0), [(1, "dropped")]),
    (lambda lines: lines.pop(), [(5, "truncated")]),
    (lambda lines: lines.__setitem__(slice(3, None), []), [(3, "truncated")]),
    (lambda lines: lines.clear(), [(1, "missing")]),
    (lambda lines: lines.insert(3, lines[2]), [(4, "duplicate")]),
    (_swap, [(3, "reordered"), (4, "reordered"), (5, "reordered")]),
    (_forge_inside, [(4, "rewritten")]),
    (_forge_from, [(6, "rewritten")]),
    (_insert_forged, [(4, "inserted")]),
    (_number_far_ahead, [(6, "dropped"), (6, "rewritten")]),
    (lambda lines: lines.__setitem__(slice(None), [line.replace(b"\n", b"\r\n") for line in lines]), [(1, "line-ends")]),
    (lambda lines: lines.__setitem__(5, lines[5][:-1]), [(6, "torn")]),
    (lambda lines: lines.__setitem__(5, lines[5][: lines[5].index(b"\xc3") + 1]), [(6, "torn"), (5, "truncated")]),
    (lambda lines: lines.append(b"\0" * 100), [(7, "torn")]),
]  # fmt: skip
_ACT_IDS = ["edited", "number", "hash", "nul", "blank", "blank-last", "deep", "removed", "first", "last", "tail", "all",
            "repeated", "swapped", "forged", "forged-on", "inserted", "far-ahead", "crlf", "no-line-end", "half-letter",
            "zeros"]  # fmt: skip


@pytest.mark.parametrize(("act", "expected"), ACTS, ids=_ACT_IDS)
def test_each_act_has_its_name_and_its_line(act, expected, log):
    anchor = filled(log)
    lines = lines_of(log)
    act(lines)
    log.path.write_bytes(b"".join(lines))
    assert codes(log, anchor) == expected


@pytest.mark.parametrize(("act", "expected"), ACTS, ids=_ACT_IDS)
def test_after_each_act_records_can_be_added_and_it_is_still_found(act, expected, log):
    """The log must not keep anybody from rotating a key, and a new anchor must not hide what was done."""
    anchor = filled(log)
    lines = lines_of(log)
    act(lines)
    log.path.write_bytes(b"".join(lines))
    readable = subjects(log)
    for number in range(3):
        anchor = add(log, f"later {number}", known=anchor)
    later = [each for each in subjects(log) if each != "history"]
    assert later == [*readable, "later 0", "later 1", "later 2"]
    found = codes(log, anchor)
    gone = {code for _, code in expected} == {"torn"}  # a repaired tail is no break: every record is there
    assert bool(found) is not gone, found


def test_a_damaged_line_does_not_excuse_a_record_that_is_missing_further_on(log):
    anchor = filled(log)
    lines = lines_of(log)
    lines[1] = b"rubbish\n"
    del lines[3]
    log.path.write_bytes(b"".join(lines))
    assert codes(log, anchor) == [(2, "unreadable"), (4, "dropped")]


def test_without_the_anchor_a_shortened_log_looks_right(log):
    """Why the anchor is kept in the vault."""
    anchor = filled(log)
    log.path.write_bytes(b"".join(lines_of(log)[:4]))
    assert log.verify(None) == []
    assert codes(log, anchor) == [(4, "truncated")]


def test_a_log_ahead_of_its_anchor_is_right(log):
    """A command that reads the vault appends, and saves no anchor."""
    anchor = filled(log)
    add(log, "later")
    assert log.verify(anchor) == []


def test_a_log_that_is_gone_is_told_apart_from_one_that_never_was(log):
    assert codes(log, Anchor(4, OTHER_HEAD)) == [(1, "missing")]
    assert log.verify(None) == []


def test_a_message_is_worded_to_follow_its_line(log):
    anchor = filled(log)
    log.path.write_bytes(b"".join(lines_of(log)[:4]))
    assert [each.message for each in log.verify(anchor)] == ["ends the log at record 4; the vault knows of 6"]


def test_lines_that_are_not_as_they_were_written_are_no_events_and_are_counted(log):
    filled(log)
    lines = lines_of(log)
    _edit(lines)
    log.path.write_bytes(b"".join([*lines, b"garbage\n", lines[0][:30]]))
    read = log.read()
    assert [event.number for event in read.events] == [1, 2, 4, 5, 6]
    assert read.damaged == [3, 7]
    assert log.read(since=NOW + timedelta(days=1)) == ([], [3, 7])


@pytest.mark.parametrize(
    "change",
    [
        {"what": "\x1b[2Jrender"}, {"detail": {"key": "\n"}}, {"detail": {"\x1b": ""}}, {"detail": ["key"]}, {"detail": None},
        {"host": 3}, {"at": "2026-01-02T03:04:05"}, {"at": "2026-01-02T03:04:05+02:00"}, {"at": 5}, {"number": True},
        {"number": 0}, {"number": 10**30}, {"prev": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_line_with_a_right_hash_and_wrong_content_is_no_event(change, log):
    """Whoever can compute a hash must not be able to send control characters to a terminal, or to stop the log."""
    filled(log)
    row = {**json.loads(lines_of(log)[-1]), **change}
    del row["hash"]
    body = json.dumps(row, separators=(",", ":")).encode()[:-1]
    line = body + b',"hash":"%b"}\n' % hashlib.sha256(body).hexdigest().encode()
    log.path.write_bytes(b"".join([*lines_of(log)[:-1], line]))
    assert log.read().damaged == [6]
    add(log, "later")
    assert subjects(log)[-1] == "later"


@pytest.mark.parametrize(
    "text", [b'"text"', b"[1]", b"3", b"null", b"{}", b"[" * 100_000, b"\xff", b"\0\0{\0", b'{"number":1'], ids=range(9)
)
def test_a_line_that_is_no_object_is_no_event_even_with_a_right_hash(text, log):
    filled(log)
    content = b"".join([*lines_of(log), text + b',"hash":"%b"}\n' % hashlib.sha256(text).hexdigest().encode()])
    log.path.write_bytes(content)
    assert log.read().damaged == [7]


# --- repairs and gaps -------------------------------------------------------------------------------------------------


def test_a_half_written_line_of_any_length_is_cut_off_before_the_next_record(log):
    """What a crash in the middle of a write leaves. The records before it stay, and the repair is recorded."""
    filled(log, 3)
    whole = log.path.read_bytes()
    add(log, "torn")
    line = log.path.read_bytes()[len(whole) :]
    for length in range(1, len(line) - 1):
        log.path.write_bytes(whole + line[:length])
        anchor = add(log, "next")
        assert log.path.read_bytes().startswith(whole), length
        *_, repair, last = log.read().events
        assert (repair.what, repair.subject, repair.detail) == (history.TORN, "history", {"bytes": str(length)})
        assert (last.subject, last.number) == ("next", 5)
        assert log.verify(anchor) == [], length


def test_a_whole_record_that_lacks_its_line_end_is_kept(log):
    first = filled(log, 3)
    log.path.write_bytes(log.path.read_bytes()[:-1])
    assert len(log.read().events) == 3
    anchor = add(log, "next", known=first)
    assert subjects(log) == ["subject 0", "subject 1", "der letzte", "next"]
    assert log.verify(anchor) == []


def test_a_half_written_line_alone_is_cut_off(log):
    log.path.parent.mkdir()
    log.path.write_bytes(b'{"number":1,"at"')
    anchor = add(log)
    assert [event.what for event in log.read().events] == [history.TORN, "render"]
    assert log.verify(anchor) == []


@pytest.mark.parametrize(
    "rubbish", [b"\0" * 200_000, b"\n" * 200_000, b"x" * 70_000 + b"\n"], ids=["zeros", "lines", "long"]
)
def test_the_last_record_is_found_however_much_rubbish_follows_it(rubbish, log):
    filled(log, 3)
    with log.path.open("ab") as file:
        file.write(rubbish)
    assert add(log).number == (5 if rubbish.startswith(b"\0") else 4)
    assert len(log.read().events) == (5 if rubbish.startswith(b"\0") else 4)


@pytest.mark.parametrize("kept", [0, 1, 4, 5])
def test_a_shortened_log_is_not_forgotten_when_the_anchor_moves_on(kept, log):
    known = filled(log)
    log.path.write_bytes(b"".join(lines_of(log)[:kept]))
    anchor = add(log, "next", known=known)
    *_, gap, last = log.read().events
    assert (gap.what, gap.number, last.subject) == (history.GAP, kept + 1, "next")
    assert gap.detail["known"] == str(known)
    assert gap.detail["found"].startswith(f"{kept}:")
    for number in range(3):
        anchor = add(log, f"later {number}", known=anchor)
    assert codes(log, anchor) == [(kept + 1, "gap")]


def test_a_removed_log_is_not_forgotten_either(log):
    known = filled(log)
    log.path.unlink()
    assert codes(log, add(log, "next", known=known)) == [(1, "gap")]


@pytest.mark.parametrize("behind", range(6))
def test_an_anchor_that_the_log_holds_is_no_gap_however_far_behind_it_is(behind, log):
    anchors = [add(log, str(number)) for number in range(6)]
    anchor = add(log, "next", known=anchors[5 - behind])
    assert subjects(log) == ["0", "1", "2", "3", "4", "5", "next"]
    assert log.verify(anchor) == []


@pytest.mark.parametrize("number", range(1, 8))
def test_an_anchor_with_another_hash_is_a_gap_wherever_it_points(number, log):
    filled(log)
    anchor = add(log, "next", known=Anchor(number, OTHER_HEAD))
    assert codes(log, anchor) == [(7, "gap")]


def test_an_anchor_with_another_hash_is_a_gap_where_the_last_line_end_is_missing(log):
    filled(log)
    log.path.write_bytes(log.path.read_bytes()[:-1])
    anchor = add(log, "next", known=Anchor(6, OTHER_HEAD))
    assert codes(log, anchor) == [(7, "gap")]


def test_an_anchor_with_the_hash_of_another_record_is_a_gap(log):
    anchors = [add(log, str(number)) for number in range(12)]
    anchor = add(log, "next", known=Anchor(1, anchors[9].head))
    assert codes(log, anchor) == [(13, "gap")]


# --- where the log cannot be ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", [add, History.read, lambda log: log.verify(None)], ids=["append", "read", "verify"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_symbolic_link_is_refused_and_its_target_is_not_touched(act, exists, log, tmp_path):
    log.path.parent.mkdir()
    victim = tmp_path / "victim"
    if exists:
        victim.write_bytes(b"precious\n")
    log.path.symlink_to(victim)
    with pytest.raises(HistoryUnusable, match="it is a symbolic link"):
        act(log)
    assert victim.exists() is exists
    assert not exists or victim.read_bytes() == b"precious\n"


@pytest.mark.parametrize("act", [add, History.read, lambda log: log.verify(None)], ids=["append", "read", "verify"])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "fifo"])
def test_what_is_no_file_is_refused_at_once(act, make, log):
    log.path.parent.mkdir()
    make(log.path)
    with pytest.raises(HistoryUnusable, match=r"directory|no regular file"):
        act(log)


def test_a_path_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    log = History(tmp_path / "file" / "history.jsonl")
    for act in (add, History.read):
        with pytest.raises(HistoryUnusable, match="not a directory"):
            act(log)


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o606, 0o700])
def test_a_log_that_others_may_read_or_write_is_made_private_again(mode, log):
    first = add(log)
    log.path.chmod(mode)
    anchor = add(log, known=first)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    assert log.verify(anchor) == []


def test_a_log_of_another_user_is_refused(log, monkeypatch):
    add(log)
    before = log.path.read_bytes()
    monkeypatch.setattr(os, "geteuid", lambda: log.path.stat().st_uid + 4242)
    with pytest.raises(HistoryUnusable, match="it belongs to another user"):
        add(log)
    assert log.path.read_bytes() == before


def test_root_may_write_the_log_of_another_user(log, monkeypatch):
    """As `sudo` does."""
    add(log)
    if os.geteuid() == 0:
        os.chown(log.path, 4242, 4242)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert add(log).number == 2


def test_a_symbolic_link_that_is_planted_while_we_wait_for_the_lock_is_refused_too(log, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "lock", lambda path, wait: contextlib.nullcontext())
    log.path.parent.mkdir()
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious\n")
    log.path.symlink_to(victim)
    with pytest.raises(HistoryUnusable, match="it is a symbolic link"):
        add(log)
    assert victim.read_bytes() == b"precious\n"


def test_a_log_that_another_run_keeps_locked_is_said(log, monkeypatch):
    add(log)
    monkeypatch.setattr(history, "_LOCK_WAIT", 0.1)
    with files.lock(log.path, wait=0), pytest.raises(Busy, match="another run is writing"):
        add(log)
    assert len(log.read().events) == 1


@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), KeyboardInterrupt()], ids=["disk", "ctrl-c"])
def test_a_record_that_could_not_be_synced_is_taken_back(failure, log, monkeypatch):
    add(log)
    before = log.path.read_bytes()

    def failing(descriptor: int) -> None:
        raise failure

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises((ChronosError, KeyboardInterrupt)) as caught:
        add(log, "lost")
    assert log.path.read_bytes() == before
    if isinstance(caught.value, ChronosError):
        assert caught.value.message == f"the audit log {log.path} cannot be written: input/output error"


# --- cost -------------------------------------------------------------------------------------------------------------


def _long(log: History, count: int) -> Anchor:
    anchor, lines = Anchor(0, "0" * 64), []
    for number in range(count):
        at = NOW + timedelta(minutes=number)
        event = Event(0, at, "laptop", "render", f"destination-{number % 7}", {"outcome": "written", "by": "schedule"})
        line, anchor = history._line(event, after=anchor)
        lines.append(line)
    log.path.parent.mkdir()
    log.path.write_bytes(b"".join(lines))
    return anchor


def test_a_record_is_added_to_a_long_log_without_reading_it(log, monkeypatch):
    known = _long(log, 5_000)
    read, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda *each: (read.append(each[1]), pread(*each))[1])
    anchor = add(log, "next", known=known)
    assert anchor.number == 5_001
    assert sum(read) <= 65_536 < log.path.stat().st_size


def test_a_long_log_is_read_quickly(log):
    """Measured: 100,000 records in 0.7 s; the bound leaves room for a slow machine."""
    _long(log, 20_000)
    began = time.process_time()
    assert len(log.read().events) == 20_000
    assert time.process_time() - began < 1
