"""What is read out of `pgbackrest info`: all that is there, and nothing but a foreseen error for anything else."""

import contextlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_secrets.errors import TargetFailed
from chronos_secrets.pgbackrest import failures, info
from chronos_secrets.pgbackrest.failures import FAILURES, Remedy
from chronos_secrets.pgbackrest.info import STATES

# As 2.45 printed it of a real repository with a full backup, while the next one ran.
REAL: list[Any] = [
    {
        "archive": [
            {
                "database": {"id": 1, "repo-key": 1},
                "id": "15-1",
                "max": "000000010000000000000007",
                "min": "000000010000000000000001",
            }
        ],
        "backup": [
            {
                "archive": {"start": "000000010000000000000002", "stop": "000000010000000000000003"},
                "backrest": {"format": 5, "version": "2.45"},
                "database": {"id": 1, "repo-key": 1},
                "error": False,
                "info": {
                    "delta": 30754868,
                    "repository": {"delta": 4110624, "size": 4110624},
                    "size": 30754868,
                },
                "label": "20261122-222343F",
                "lsn": {"start": "0/2000028", "stop": "0/3000050"},
                "prior": None,
                "reference": None,
                "timestamp": {"start": 1795386223, "stop": 1795386228},
                "type": "full",
            }
        ],
        "cipher": "aes-256-cbc",
        "db": [{"id": 1, "repo-key": 1, "system-id": 7711125096602058829, "version": "15"}],
        "name": "birds",
        "repo": [{"cipher": "aes-256-cbc", "key": 1, "status": {"code": 0, "message": "ok"}}],
        "status": {"code": 0, "lock": {"backup": {"held": True}}, "message": "ok"},
    }
]


def _parsed(rows: object, name: str = "birds") -> info.Stanza:
    return info.parse(json.dumps(rows).encode(), name)


def test_a_real_answer_is_read_whole():
    assert _parsed(REAL) == info.Stanza(
        name="birds",
        code=info.OK,
        message="ok",
        backup_runs=True,
        repos=(info.Repo(1, "aes-256-cbc", 0, "ok"),),
        backups=(
            info.Backup(
                label="20261122-222343F",
                kind="full",
                started=datetime(2026, 11, 22, 22, 23, 43, tzinfo=UTC),
                stopped=datetime(2026, 11, 22, 22, 23, 48, tzinfo=UTC),
                size=30754868,
                delta=30754868,
                repo_size=4110624,
                repo_delta=4110624,
                wal_start="000000010000000000000002",
                wal_stop="000000010000000000000003",
                repo=1,
                database=1,
                prior=None,
                references=(),
                error=False,
            ),
        ),
        archives=(info.Archive("15-1", 1, 1, "000000010000000000000001", "000000010000000000000007"),),
    )


def test_a_stanza_that_is_not_there_is_no_error():
    for rows in ([], REAL):
        assert _parsed(rows, "gulls")[:2] == ("gulls", info.NO_STANZA)


def test_noise_of_a_wrong_passphrase_in_the_message_is_no_riddle():
    """It holds the deciphered bytes of the info file, which are no text and no UTF-8, as 2.45 prints them."""
    repo = '{"key":1,"cipher":"none","status":{"code":99,"message":"[FormatError] info file:\\nat line 1: \x0e*NOISE\x02"}}'
    said = f'[{{"archive":[],"backup":[],"db":[],"name":"birds","repo":[{repo}],"status":{{"code":99,"message":"x"}}}}]'
    (found,) = info.parse(said.encode().replace(b"NOISE", b"\xff\xc3") + b"\n", "birds").repos
    assert "encrypted with another passphrase" in failures.explain_message(found.message).sentence


def test_whether_a_backup_runs_is_not_known_where_nobody_tells():
    old = json.loads(json.dumps(REAL))
    del old[0]["status"]["lock"]
    assert _parsed(old).backup_runs is None


def test_sizes_that_a_later_release_does_not_tell_are_not_made_up():
    later = json.loads(json.dumps(REAL))
    later[0]["backup"][0]["info"]["repository"] = {"delta": 5, "delta-map": 3}
    (backup,) = _parsed(later).backups
    assert (backup.repo_size, backup.repo_delta) == (None, 5)


NUMBERS = st.integers(0, 2**53)
NAMES = st.text(max_size=20)
SEGMENTS = st.none() | st.from_regex(r"[0-9A-F]{24}", fullmatch=True)
DATABASES = st.fixed_dictionaries({"id": st.integers(1, 99), "repo-key": st.integers(1, 256)})
BACKUPS = st.fixed_dictionaries(
    {
        "label": NAMES,
        "type": st.sampled_from(["full", "diff", "incr"]),
        "timestamp": st.fixed_dictionaries({"start": st.integers(0, 2**32), "stop": st.integers(0, 2**32)}),
        "info": st.fixed_dictionaries(
            {"size": NUMBERS, "delta": NUMBERS},
            optional={"repository": st.fixed_dictionaries({}, optional={"size": NUMBERS, "delta": NUMBERS})},
        ),
        "database": DATABASES,
        "archive": st.fixed_dictionaries({"start": SEGMENTS, "stop": SEGMENTS}),
        "prior": st.none() | NAMES,
        "reference": st.none() | st.lists(NAMES, max_size=3),
    },
    optional={"error": st.booleans(), "annotation": st.dictionaries(NAMES, NAMES, max_size=2)},
)
STATUSES = st.fixed_dictionaries(
    {"code": st.sampled_from(sorted(STATES)), "message": NAMES},
    optional={"lock": st.fixed_dictionaries({"backup": st.fixed_dictionaries({"held": st.booleans()})})},
)
REPOS = st.fixed_dictionaries({"key": st.integers(1, 256), "cipher": NAMES, "status": STATUSES})
ARCHIVES = st.fixed_dictionaries({"id": NAMES, "database": DATABASES, "min": SEGMENTS, "max": SEGMENTS})
STANZAS = st.fixed_dictionaries(
    {"name": st.just("birds"), "status": STATUSES},
    optional={
        "repo": st.lists(REPOS, max_size=3),
        "backup": st.lists(BACKUPS, max_size=4),
        "archive": st.lists(ARCHIVES, max_size=3),
        "later": NAMES,
    },
)


@given(STANZAS)
def test_whatever_a_release_prints_is_found_again(row: Mapping[str, Any]):
    told = _parsed([row])
    assert told.code == row["status"]["code"]
    assert told.backup_runs is row["status"].get("lock", {}).get("backup", {}).get("held")
    assert [each.key for each in told.repos] == [each["key"] for each in row.get("repo", [])]
    assert [each.last for each in told.archives] == [each["max"] for each in row.get("archive", [])]
    for backup, made in zip(told.backups, row.get("backup", []), strict=True):
        assert (backup.label, backup.kind, backup.prior) == (made["label"], made["type"], made["prior"])
        assert backup.stopped.timestamp() == made["timestamp"]["stop"]
        assert backup.references == tuple(made["reference"] or ())
        assert backup.repo_delta == made["info"].get("repository", {}).get("delta")
        assert backup.error is made.get("error")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("birds"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "status", "code", "message", "backup", "repo", "lock"]), inner)
    ),
    max_leaves=20,
)


@given(ANYTHING | st.lists(STANZAS | ANYTHING, max_size=2))
def test_any_json_is_an_answer_or_a_foreseen_error(rows: object):
    with contextlib.suppress(TargetFailed):
        _parsed(rows)


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every container of a document, with each of its keys."""
    inner = list(node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ())
    return [(node, key) for key, _ in inner] + [place for _, each in inner for place in _places(each)]


@pytest.mark.parametrize("strange", [None, True, 2**60, 10**30, -(10**30), 0.5, "x", [], [7], {}, {"x": 7}])
def test_a_real_answer_with_something_strange_in_one_place_is_an_answer_or_a_foreseen_error(strange: object):
    for number in range(len(_places(REAL))):
        rows = json.loads(json.dumps(REAL))
        container, key = _places(rows)[number]
        container[key] = strange
        with contextlib.suppress(TargetFailed):
            _parsed(rows)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_foreseen_error(said: bytes):
    with contextlib.suppress(TargetFailed):
        info.parse(said, "birds")


def test_an_answer_that_is_nested_too_deeply_is_a_foreseen_error():
    with pytest.raises(TargetFailed):
        info.parse(b"[" * 100_000, "birds")


# --- failures ---------------------------------------------------------------------------------------------------------


def test_every_row_can_be_reached_and_says_what_a_row_before_it_does_not():
    for row in FAILURES:
        said = row.pattern.replace(r"(archive|backup)\.", "archive.").replace(".*", "x").split("|")[0]
        assert any(failures.explain(status, said) is row for status in row.statuses), row


def test_a_sentence_is_one_line_that_follows_a_colon():
    for row in FAILURES:
        assert "\n" not in row.sentence
        assert row.sentence[0].islower() or row.sentence.startswith("S3")
        assert not row.sentence.endswith(".")


@pytest.mark.parametrize("status", [41, 42])
def test_a_server_that_is_slow_is_no_fault_of_a_file_or_of_the_configuration(status: int):
    """As 2.45 ends where one of two tries came too late, or both did."""
    said = "ERROR: [041]: unable to load info file 'a' or 'b':\n FileReadError: timeout after 1000ms waiting for read from 'h:443'"
    assert failures.explain(status, said).sentence == "the bucket's server did not answer in time"


def test_a_status_that_nobody_knows_is_no_bug():
    assert failures.explain(126, "").remedy is Remedy.AGAIN
    assert failures.explain(3, "anything").remedy is Remedy.AGAIN


def test_the_last_words_are_few_and_leave_out_what_a_server_was_asked():
    assert len(list(failures.last_words("".join(f"ERROR: [082]: {number}\n" for number in range(50))))) < 5
    said = (
        "ERROR: [039]: unable to load info file 'a':\n"
        "       ProtocolError: HTTP request failed with 403 (Forbidden):\n"
        "       *** Request Headers ***:\n"
        "       authorization: <redacted>\n"
        "       ProtocolError: HTTP request failed with 403 (Forbidden):\n"
        "       <Error><Code>InvalidAccessKeyId</Code></Error>\n"
        "       HINT: has a stanza-create been performed?\n"
    )
    assert list(failures.last_words(said)) == [
        "unable to load info file 'a':",
        "HTTP request failed with 403 (Forbidden):",
        "the bucket's server calls it InvalidAccessKeyId",
    ]
    assert failures.shown("red \x1b[31m" + "x" * 999) == ("red ?[31m" + "x" * 999)[:200]
