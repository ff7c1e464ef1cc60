"""What lies between what should be and what is, at the edges of AWS's documents."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_secrets.cloud import desired, difference
from chronos_secrets.cloud.desired import Desired, Document, Lifecycle, User
from chronos_secrets.cloud.difference import Limit

WANTED = Desired(
    "birds", "ca-central-1", True, True, True, Lifecycle(30, None, 365, 30, 7, 524288),
    (User("writer", "access", ("backups/",), writes=True),),
)  # fmt: skip
OURS = desired.rules(WANTED)
THEIRS: Document = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 9}}
OLD: Document = {"ID": "old", "Status": "Enabled", "Prefix": "logs/", "Expiration": {"Days": 9}}

_TEXT = st.text(max_size=4)
_VALUES = st.recursive(
    _TEXT | st.integers() | st.booleans(), lambda inner: st.dictionaries(_TEXT, inner, max_size=3), max_leaves=8
)


def changed(name: str, **changes: object) -> list[Document]:
    """Our rules with one of them edited by hand."""
    return [{**each, **changes} if each["ID"] == f"{desired.OURS}{name}" else each for each in OURS]


@given(st.dictionaries(_TEXT, _VALUES, max_size=4))
def test_there_is_nothing_between_a_document_and_itself(document):
    assert difference.values(document, document) == ()


@given(st.dictionaries(_TEXT, st.integers(), max_size=4), st.dictionaries(_TEXT, st.integers(), max_size=4))
def test_every_line_is_one_value_that_only_one_side_has(found, wanted):
    lines = difference.values(found, wanted)
    assert len(lines) == len(found.items() - wanted.items()) + len(wanted.items() - found.items())


def test_a_list_of_one_and_its_text_are_the_same_in_a_policy():
    policy: Any = desired.user_policy(WANTED, WANTED.users[0])
    flat = {**policy, "Statement": [{**each, "Resource": each["Resource"][0]} for each in policy["Statement"]]}
    assert difference.policies(flat, policy) == ()


def test_the_order_of_actions_says_nothing():
    policy: Any = desired.user_policy(WANTED, WANTED.users[0])
    turned = {**policy, "Statement": [{**each, "Action": each["Action"][::-1]} for each in policy["Statement"]]}
    assert difference.policies(turned, policy) == ()


def test_a_second_statement_of_the_same_name_is_seen():
    policy: Any = desired.user_policy(WANTED, WANTED.users[0])
    more = [*policy["Statement"], {"Sid": "List", "Effect": "Allow", "Action": "*", "Resource": "*"}]
    assert "- List (4): Action: *" in difference.policies({**policy, "Statement": more}, policy)


def test_a_policy_that_is_one_statement_and_no_list_is_kept():
    theirs = {"Sid": "Theirs", "Effect": "Allow"}
    merged = difference.bucket_policy(
        {"Version": "2008-10-17", "Id": "x", "Statement": theirs}, {"Sid": desired.TLS_ONLY}
    )
    assert merged.document == {"Version": "2008-10-17", "Id": "x", "Statement": [theirs, {"Sid": desired.TLS_ONLY}]}
    assert merged.kept == ("Theirs",)


def test_our_statement_is_not_taken_away_where_it_is_not_asked_for():
    policy: Document = {"Version": "2012-10-17", "Statement": [desired.tls_statement(WANTED)]}
    assert difference.bucket_policy(policy, None).lines == ()


def test_rules_that_are_as_they_should_be_differ_in_nothing():
    assert difference.lifecycle(OURS, OURS).lines == ()
    assert difference.lifecycle([OLD, THEIRS, *OURS], OURS).lines == ()


@pytest.mark.parametrize("where", [{"Filter": {}}, {"Filter": {"Prefix": ""}}])
def test_an_empty_filter_is_the_whole_bucket(where):
    assert difference.lifecycle(changed("expire", **where), OURS).lines == ()


def test_a_size_that_was_edited_is_shown():
    found = changed("move", Filter={"ObjectSizeGreaterThan": 1})
    assert difference.lifecycle(found, OURS).lines == (
        "- chronos-secrets-move: Filter.ObjectSizeGreaterThan: 1",
        "+ chronos-secrets-move: Filter.ObjectSizeGreaterThan: 524288",
    )


def test_a_rule_of_ours_that_is_not_wanted_any_more_goes():
    extra = {**OURS[1], "ID": f"{desired.OURS}other"}
    merged = difference.lifecycle([extra, *OURS], OURS)
    assert all(line.startswith("- chronos-secrets-other") for line in merged.lines)
    rules: Any = merged.document["Rules"]
    assert extra not in rules


def test_rules_of_others_are_written_as_they_were_and_older_ones_with_a_filter():
    rules = difference.lifecycle([OLD, THEIRS], OURS).document["Rules"]
    assert isinstance(rules, list)
    assert rules[:2] == [
        {"ID": "old", "Status": "Enabled", "Expiration": {"Days": 9}, "Filter": {"Prefix": "logs/"}}, THEIRS,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "limits"),
    [
        (OURS, ()),
        ([], (Limit("expire", 365), Limit("noncurrent", 30))),
        ([THEIRS, *OURS[2:]], (Limit("expire", 365),)),  # a rule of a part says nothing of the whole
        (changed("expire", Expiration={"Days": 400}), (Limit("expire", 365, 400),)),
        (changed("expire", Expiration={"Days": 300}), ()),
        (changed("expire", Status="Disabled"), (Limit("expire", 365),)),
        (changed("expire", Filter={"Prefix": "backups/"}), (Limit("expire", 365),)),
        (changed("noncurrent", NoncurrentVersionExpiration={"NoncurrentDays": 31}), (Limit("noncurrent", 30, 31),)),
        (
            changed("noncurrent", NoncurrentVersionExpiration={"NoncurrentDays": 30, "NewerNoncurrentVersions": 5}),
            (Limit("noncurrent", 30),),
        ),
        ([{**THEIRS, "Filter": {"Prefix": ""}}, *OURS[2:]], ()),  # it ends them after 9 days already
    ],
)
def test_whatever_would_end_data_earlier_is_a_limit(found, limits):
    assert difference.limits(found, OURS) == limits


def test_deep_archive_counts_where_it_is_new():
    deep = desired.rules(WANTED._replace(lifecycle=Lifecycle(30, 180, 365, 30, 7, None)))
    assert difference.moves_deep(OURS, deep)
    assert not difference.moves_deep(deep, deep)
    assert not difference.moves_deep(deep, OURS)


def test_what_s3_does_not_move_by_itself_is_compared_since_moto_knows_one_value_only():
    assert difference.smallest("varies_by_storage_class") == (
        "- TransitionDefaultMinimumObjectSize: varies_by_storage_class",
        "+ TransitionDefaultMinimumObjectSize: all_storage_classes_128K",
    )
    assert difference.smallest("all_storage_classes_128K") == difference.smallest("") == ()
