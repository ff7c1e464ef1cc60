"""A journal is read back as it was written, and the newest one is found wherever it stands."""

import contextlib
import secrets
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_secrets.errors import Refused
from chronos_secrets.inventory.model import Interval
from chronos_secrets.rotation.journal import ATTRIBUTE, Journal, Phase, decode, encode, latest, of
from chronos_secrets.secret import Secret
from chronos_secrets.vault import kdbx
from chronos_secrets.vault.entries import Attribute, Entries, Entry
from tests.support.vaults import CHEAP, NOW

_words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_times = st.integers(0, 2**54).map(lambda number: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(microseconds=number))
_journals = st.builds(
    Journal, id=_words.filter(bool), phase=st.sampled_from(Phase), machine=_words.filter(bool), begun=_times,
    since=_times, before=st.lists(_words.filter(bool), max_size=3).map(tuple), old=_words, new=_words,
    rolled_back=st.booleans(),
)  # fmt: skip
ONE = Journal("1", Phase.CREATED, "here", NOW, NOW, ("AKIA1",), "AKIA1", "SHA256:a+b/c=")
WEEK, DAY = Interval(1, "week"), Interval(1, "day")


@given(_journals)
def test_a_journal_is_read_back_as_it_was_written(journal):
    assert decode(encode(journal), "Entry") == journal


@given(_journals)
def test_the_text_holds_nothing_that_keepassxc_or_xml_would_change(journal):
    text = encode(journal)
    assert text.isprintable()
    assert text.isascii()
    assert not set(text) & set("{}<>&\"'")


@given(_journals, st.data())
def test_a_damaged_text_is_refused_or_is_a_journal_and_never_anything_else(journal, data):
    text = encode(journal)
    place = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:place] + data.draw(st.sampled_from(["", ";", "=", "%", "é", "x"])) + text[place + 1 :]
    with contextlib.suppress(Refused):
        assert isinstance(decode(damaged, "Entry"), Journal | None)


def test_no_text_is_no_journal():
    assert decode("", "Entry") is None


def test_a_key_of_a_later_version_is_ignored():
    assert decode(encode(ONE) + ";colour=blue", "Entry") == ONE


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        encode(ONE).replace("created", "creating"),
        encode(ONE).replace("id=1;", ""),
        encode(ONE) + ";phase=done",
        encode(ONE).replace("2026-", "26-"),
        encode(ONE).replace("%2B00:00", "").replace("+00:00", ""),
        encode(ONE).replace("machine=here", "machine=%ff"),
    ],
    ids=["no journal", "unknown phase", "no id", "a key twice", "no time", "no zone", "no text"],
)
def test_a_damaged_journal_is_refused_with_the_entry_and_what_to_do(text):
    with pytest.raises(Refused, match="the entry 'AWS/Key' is damaged") as caught:
        decode(text, "AWS/Key")
    assert "history" in (caught.value.hint or "")


def test_a_time_is_kept_to_the_microsecond_because_it_orders_the_journals():
    journal = ONE._replace(since=NOW + timedelta(microseconds=1))
    assert decode(encode(journal), "Entry") == journal


# --- which one counts ------------------------------------------------------------------------------------------------


@pytest.fixture
def entries() -> Entries:
    return Entries(kdbx.create("Test", secrets.token_bytes(32), CHEAP))


def _entry(entries: Entries, *journals: Journal | str | None) -> Entry:
    """An entry whose history has those journals, the last one being its own."""
    entry = entries.add(("Group", "Entry"), now=NOW)
    for number, journal in enumerate(journals):
        text = encode(journal) if isinstance(journal, Journal) else journal or ""
        fields = {"Password": Attribute(Secret(str(number))), ATTRIBUTE: Attribute(Secret(text), protected=False)}
        entries.change(entry, now=NOW + timedelta(hours=number), fields=fields)
    return entry


LATER = ONE._replace(phase=Phase.PROMOTED, since=NOW + timedelta(seconds=1))


def test_an_entry_without_a_journal_has_none(entries):
    entry = _entry(entries, None, None)
    assert (latest(entry), of(entry)) == (None, None)


def test_a_newer_journal_in_the_history_counts(entries):
    found = latest(_entry(entries, LATER, ONE))
    assert found
    assert (found.journal, found.own) == (LATER, False)


def test_of_two_that_are_equally_new_the_entrys_own_counts(entries):
    found = latest(_entry(entries, ONE, ONE))
    assert found
    assert found.own


def test_of_two_of_one_moment_the_one_that_got_further_counts(entries):
    further = ONE._replace(phase=Phase.DELIVERED)
    found = latest(_entry(entries, further, ONE))
    assert found
    assert found.journal == further


def test_a_damaged_journal_in_the_history_stops_nobody(entries):
    found = latest(_entry(entries, "nonsense", ONE))
    assert found
    assert found.journal == ONE


def test_a_damaged_journal_of_the_entry_itself_is_refused(entries):
    with pytest.raises(Refused, match="the entry 'Group/Entry' is damaged"):
        latest(_entry(entries, ONE, "nonsense"))


# --- days ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (Phase.CREATED, None), (Phase.PROMOTED, None), (Phase.DELIVERED, date(2026, 1, 8)),
        (Phase.DEACTIVATED, date(2026, 1, 2)), (Phase.DONE, None),
    ],
)  # fmt: skip
def test_the_next_step_waits_for_a_day_of_the_projects_zone(phase, expected):
    zone = ZoneInfo("America/Toronto")  # where NOW, 03:04 UTC on the 2nd, is still the 1st
    assert ONE._replace(phase=phase).rests_until(WEEK, DAY, zone) == expected


def test_going_back_waits_for_no_day():
    back = ONE._replace(phase=Phase.DELIVERED, rolled_back=True)
    assert back.rests_until(WEEK, DAY, ZoneInfo("UTC")) is None
