"""Names of copies, what is remembered of them, and what is made of a catalogue that is torn."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_secrets.errors import Busy
from chronos_secrets.vault.copies import catalogue, record
from chronos_secrets.vault.copies.catalogue import Catalogue, Queued
from chronos_secrets.vault.copies.record import BY_HASH, OPENED, Facts, Name, Record
from tests.support.copies import NOW, PROJECT, copied

FACTS = Facts("id", "4.1", 7, NOW, None)


def test_a_copy_is_called_by_its_project_its_time_and_its_content():
    name = Name.of(PROJECT, NOW, b"abc", sealed=False)
    assert str(name) == "aviary-20261122T141500Z-ba7816bf8f01.kdbx"  # SHA-256 of "abc": FIPS 180-2, appendix B.1
    assert str(name._replace(sealed=True)) == "aviary-20261122T141500Z-ba7816bf8f01.kdbx.age"


@given(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
    st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1)),  # noqa: DTZ001
    st.binary(),
    st.booleans(),
)
def test_a_name_reads_back(project: str, made: datetime, content: bytes, sealed: bool):
    name = Name.of(project, made.replace(tzinfo=UTC), content, sealed=sealed)
    assert Name.parse(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "", "aviary.kdbx", "aviary-20261122T141500Z.kdbx", "-20261122T141500Z-ba7816bf8f01.kdbx",
        "aviary-20261322T141500Z-ba7816bf8f01.kdbx", "aviary-20261122T141500Z-ba7816bf8f0.kdbx",
        "aviary-20261122T141500Z-ba7816bf8f01.kdbx.tmp", ".chronos-aviary-20261122T141500Z-ba7816bf8f01.kdbx.tmp",
        "aviary-20261122T141500Z-ba7816bf8f01 (conflicted copy).kdbx", "aviary-20261122T141500Z-ba7816bf8f01.kdbx\n",
    ],
)  # fmt: skip
def test_another_file_is_no_copy(text: str):
    assert Name.parse(text) is None


# --- what is remembered -----------------------------------------------------------------------------------------------


def full() -> Catalogue:
    known = copied(NOW, size=9, vault="ab" * 32, facts=FACTS, opened=NOW)
    return Catalogue(
        (known, copied(NOW, place="b", verified=None), copied(NOW, place="c", fault="is damaged")),
        {"b": Queued(NOW, "the drive KEYS is not plugged in", ("cd" * 32,))},
    )


def test_what_is_remembered_reads_back_and_is_private(tmp_path: Path):
    path = tmp_path / "state" / catalogue.FILE
    catalogue.store(path, full())
    assert catalogue.load(path) == full()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("torn", [b"", b"{", b"[]", b"null", b'{"version": 2, "copies": [], "queued": {}}'])
def test_a_catalogue_that_cannot_be_read_is_an_empty_one(tmp_path: Path, torn: bytes):
    path = tmp_path / catalogue.FILE
    path.write_bytes(torn)
    assert catalogue.load(path) == Catalogue()
    assert catalogue.load(tmp_path / "none") == Catalogue()


@given(st.data())
def test_a_catalogue_cut_anywhere_or_with_another_value_never_raises(tmp_path_factory, data: st.DataObject):
    path = tmp_path_factory.mktemp("state") / catalogue.FILE
    catalogue.store(path, full())
    content = json.loads(path.read_bytes())
    row = data.draw(st.sampled_from(content["copies"]))
    row[data.draw(st.sampled_from(sorted(row)))] = data.draw(st.none() | st.integers() | st.text() | st.just([]))
    text = json.dumps(content)
    path.write_text(text[: data.draw(st.integers(0, len(text)))])
    assert isinstance(catalogue.load(path), Catalogue)


def test_a_copy_that_another_machine_made_is_listed_as_never_verified_here():
    name = Name(PROJECT, NOW, "0123456789ab", sealed=True)
    (found,) = catalogue.merge(Catalogue(), "there", [name]).records
    assert found == record.unknown("there", name)
    assert (found.how, found.is_good, found.is_sealed) == (None, False, True)


def test_a_copy_that_is_gone_from_its_place_is_forgotten_and_those_of_other_places_stay():
    seen = catalogue.merge(full(), "there", [])
    assert [each.place for each in seen.records] == ["b", "c"]


def test_a_copy_that_is_known_keeps_what_is_known_of_it():
    name = Name.parse(full().records[0].name)
    assert name is not None
    assert set(catalogue.merge(full(), "there", [name]).records) == set(full().records)


def test_the_copy_that_holds_a_vault_file_is_found_only_while_it_is_good():
    found = full()
    assert found.holding("there", "ab" * 32) == found.records[0]
    assert found.holding("b", "ab" * 32) is None
    faulty = catalogue.with_records(found, found.records[0]._replace(fault="is damaged"))
    assert len(faulty.records) == 3
    assert faulty.holding("there", "ab" * 32) is None


def test_a_place_waits_until_its_queue_is_emptied():
    waiting = catalogue.with_queued(Catalogue(), "a", Queued(NOW, "away"))
    assert list(waiting.queued) == ["a"]
    assert not catalogue.with_queued(waiting, "a", None).queued


def test_how_a_copy_was_verified_is_what_was_done_last():
    opened = copied(NOW, opened=NOW)
    assert (opened.how, opened.was_opened) == (OPENED, True)
    later = opened._replace(verified=NOW + timedelta(days=1))
    assert (later.how, later.was_opened) == (BY_HASH, True)
    assert not later._replace(fault="is damaged").was_opened


def test_two_runs_do_not_work_on_copies_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(catalogue, "_LOCK_WAIT", 0.0)
    with catalogue.held(tmp_path), pytest.raises(Busy), catalogue.held(tmp_path):
        pass
    with catalogue.held(tmp_path):
        pass


@pytest.mark.parametrize(
    ("changes", "standing"),
    [
        ({}, "same"), ({"entries": 8}, "unknown"), ({"newest": NOW - timedelta(1)}, "older"),
        ({"newest": NOW + timedelta(1)}, "newer"), ({"newest": None}, "unknown"), ({"vault_id": "x"}, "other"),
    ],
)  # fmt: skip
def test_a_copy_stands_to_the_live_vault_by_its_newest_change(changes: dict[str, object], standing: str):
    assert record.compared(FACTS._replace(**changes), FACTS) == standing


def test_fifty_copies_are_listed_in_a_moment(tmp_path: Path):
    import subprocess
    import sys

    from tests.support.copies import folder

    place = folder(tmp_path / "copies")
    records: list[Record] = []
    for number in range(50):
        name = Name.of(PROJECT, NOW + timedelta(number), b"x" * number, sealed=False)
        place.write(name, b"x" * number)
        records.append(record.unknown("there", name)._replace(facts=FACTS, verified=NOW))
    catalogue.store(tmp_path / catalogue.FILE, Catalogue(tuple(records)))
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom chronos_secrets.vault.copies import catalogue\n"
        "from chronos_secrets.vault.copies.folders import Folder\nfrom chronos_secrets.vault.copies.place import Spec\n"
        "begun = time.process_time()\n"
        "place = Folder(Spec('there', 'aviary'), Path(sys.argv[1]) / 'copies')\n"
        "found = catalogue.merge(catalogue.load(Path(sys.argv[1]) / catalogue.FILE), 'there', place.names())\n"
        "assert sum(each.is_good for each in found.records) == 50\n"
        "assert not {'lxml', 'construct'} & set(sys.modules), 'listing opens nothing'\n"
        "print(time.process_time() - begun)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.3
