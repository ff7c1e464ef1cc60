"""A scratch place of a drill, without a server: what is taken for one, what is removed, and what is proof."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chronos_secrets.errors import Incomplete, Refused
from chronos_secrets.pgbackrest import proving, scratch
from chronos_secrets.pgbackrest.proved import Marker
from chronos_secrets.pgbackrest.proving import Facts
from chronos_secrets.pgbackrest.scratch import Ground, Left, Scratch
from chronos_secrets.systems.hosts import Local

AT = datetime(2026, 11, 22, 14, 15, tzinfo=UTC)
NAME = "chronos-drill-0123456789ab-01234567"


@pytest.fixture
def place(ground: Path) -> Scratch:
    return scratch.make(
        Ground(Local(), None, str(ground)),
        "aviary 1",
        name="0123456789ab",
        programs=str(ground),
        role="r",
        database="d",
    )


def on(folder: Path) -> Ground:
    return Ground(Local(), None, str(folder))


def test_a_place_is_private_and_says_whose_it_is(ground: Path, place: Scratch):
    assert on(ground).left() == [Left(place.folder, "aviary 1")]
    assert {each.stat().st_mode & 0o077 for each in (Path(place.folder), *Path(place.folder).iterdir())} == {0}


def test_what_is_no_place_of_a_drill_is_never_removed(ground: Path):
    (ground / "kept").mkdir()
    (ground / "kept" / "canary").touch()
    (ground / NAME).symlink_to("kept")
    assert on(ground).left() == []
    on(ground).remove(f"{ground}/{NAME}")
    with pytest.raises(Incomplete):
        on(ground).remove(f"{ground}/kept")
    assert (ground / "kept" / "canary").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="a folder is given to another account")
def test_a_place_of_another_account_is_left_alone(ground: Path):
    (ground / NAME).mkdir()
    shutil.chown(ground / NAME, "nobody")
    assert on(ground).left() == []
    with pytest.raises(Incomplete, match="could not be removed"):
        on(ground).remove(f"{ground}/{NAME}")
    assert (ground / NAME).exists()


@pytest.fixture
def reader(place: Scratch) -> Iterator["subprocess.Popen[bytes]"]:
    """A person's program that looks at a log in there."""
    with subprocess.Popen(("tail", "-f", f"{place.folder}/mark"), stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        yield child
        child.kill()


def test_who_only_looks_at_a_file_in_there_is_not_ended(
    ground: Path, place: Scratch, reader: "subprocess.Popen[bytes]"
):
    on(ground).remove(place.folder)
    assert not Path(place.folder).exists()
    assert reader.poll() is None


@pytest.mark.parametrize("name", ["two words", "quo'te", "x" * 60])
def test_a_folder_in_which_no_socket_can_be_named_is_refused(name: str, ground: Path):
    (ground / name).mkdir()
    with pytest.raises(Refused, match="too long a path for a drill, or unusual characters"):
        on(ground / name).room()


# --- what is proof ----------------------------------------------------------------------------------------------------

MARKER = Marker("row", secrets.token_hex(8), AT, 1000, "000000020000000000000003", "may not write")
GOOD = Facts(AT, 1000, 3)


@pytest.fixture
def restored(ground: Path, place: Scratch, monkeypatch: pytest.MonkeyPatch) -> Scratch:
    """Programs that answer as a restored server does which has the marker."""
    rows = f"*to_regclass*) echo f ;; *chronos_secrets.drill*) echo {MARKER.id},1795386223 ;; *data_check*) echo on ;;"
    scripts = {"psql": f"case $(cat) in {rows} *) echo 1,1 ;; esac", "pg_amcheck": "exit $AMCHECK"}
    for name, script in scripts.items():
        (ground / name).write_text(f"#!/bin/sh\n{script}\n")
        (ground / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{ground}:{os.environ['PATH']}")
    monkeypatch.setenv("AMCHECK", "0")
    return place


def found(place: Scratch, marker: Marker = MARKER, facts: Facts = GOOD) -> dict[str, bool | None]:
    """What is not good."""
    return {each.name: each.good for each in proving.checks(place, marker, facts) if each.good is not True}


def test_a_restored_server_is_proof_only_where_it_is_promoted_whole_and_has_the_marker(
    restored: Scratch, monkeypatch: pytest.MonkeyPatch
):
    assert found(restored) == {}
    assert found(restored, facts=GOOD._replace(timeline=2)) == {"open for writing": False}
    assert found(restored, MARKER._replace(id="another")) == {"marker": False}
    for kind in ("restore point", "position"):
        assert found(restored, MARKER._replace(kind=kind)) == {}
        assert found(restored, MARKER._replace(kind=kind), GOOD._replace(position=999)) == {"marker": False}
    monkeypatch.setenv("AMCHECK", "2")
    assert found(restored) == {"amcheck": False}
    monkeypatch.setenv("AMCHECK", "1")
    assert found(restored) == {"amcheck": None}
