"""The template language: what it takes, and what it refuses before the vault is unlocked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_secrets.errors import TemplateInvalid
from chronos_secrets.render.dialects import Piece
from chronos_secrets.render.template import FILTERS, Scope, Template

SCOPE = Scope(
    uses={"db": frozenset({"username", "password"}), "jira": frozenset({"token", "url"})},
    variables={"host": "localhost", "empty": ""},
    optional=frozenset({"aws", "jira"}),
)
VALUES = {("db", "username"): "chronos", ("db", "password"): "p@ss word", ("jira", "token"): "t", ("jira", "url"): ""}


def _evaluated(text: str, scope: Scope = SCOPE) -> list[str]:
    lines = Template(text, "t.j2", scope).evaluate(lambda name, field, _absent: VALUES[name, field])
    return ["".join(piece.text for piece in line.pieces) for line in lines]


def _refusal(text: str) -> TemplateInvalid:
    with pytest.raises(TemplateInvalid) as caught:
        Template(text, "t.j2", SCOPE)
    return caught.value


def test_text_fields_variables_and_comments_are_put_together():
    assert _evaluated("A={{ db.username }}@{{ host }}{# no #}\nB=x\n") == ["A=chronos@localhost", "B=x", ""]


def test_a_value_carries_its_name_and_plain_text_does_not():
    (line, _) = Template("A={{ db.password | urlencode }}{{ host }}\n", "t.j2", SCOPE).evaluate(lambda *_: "p@ss")
    assert line.pieces == (Piece("A="), Piece("p%40ss", "db.password"), Piece("localhost"))


def test_the_line_break_of_a_value_ends_no_line():
    lines = Template("A={{ db.password }}\nB=1\n", "t.j2", SCOPE).evaluate(lambda *_: "one\ntwo")
    assert [line.number for line in lines] == [1, 2, 3]
    assert lines[0].pieces[1].text == "one\ntwo"


def test_line_numbers_count_the_lines_of_the_template_also_behind_tags():
    text = "{# one\ntwo #}\n{% if db %}\nA=1\n{% endif %}\nB=2\n"
    numbered = {
        "".join(p.text for p in line.pieces): line.number for line in Template(text, "t", SCOPE).evaluate(lambda *_: "")
    }
    assert (numbered["A=1"], numbered["B=2"]) == (4, 6)


def test_a_tag_at_the_end_of_a_line_does_not_join_it_with_the_next():
    assert _evaluated("A={% if db %}1{% endif %}\nB=2{# x #}\nC=3") == ["A=1", "B=2", "C=3"]


def test_tags_alone_on_their_line_leave_no_line_behind():
    text = "{# a\nb #}\n  {% if db %}\nA=1\n\t{% endif %}\t\n{% if empty %}\nB=2\n{% endif %}\nC=3"
    assert _evaluated(text) == ["A=1", "C=3"]


def test_if_takes_the_first_branch_that_holds():
    text = "{% if not db %}a{% elif empty %}b{% elif db.password %}c{% else %}d{% endif %}"
    assert _evaluated(text) == ["c"]


def test_an_empty_field_counts_as_not_there():
    assert _evaluated("{% if jira.url %}a{% else %}b{% endif %}") == ["b"]


def test_an_optional_name_that_nobody_uses_is_false_and_its_part_is_not_asked_for():
    scope = SCOPE._replace(uses={"db": SCOPE.uses["db"]})
    template = Template("{% if jira %}{{ jira.anything }}{% endif %}x", "t.j2", scope)
    assert template.references == frozenset()
    assert _evaluated("{% if jira %}{{ jira.anything }}{% endif %}x", scope) == ["x"]


def test_references_are_known_before_any_value():
    template = Template("{{ db.password }}{% if jira.token %}{{ jira.url | lower }}{% endif %}", "t.j2", SCOPE)
    assert template.references == {("db", "password"), ("jira", "token"), ("jira", "url")}


def test_a_field_that_an_if_asks_for_may_be_empty():
    template = Template("{% if jira.url %}{{ jira.url }}{% endif %}{{ jira.token }}", "t.j2", SCOPE)
    assert template.required == {("jira", "token")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n{{ other.password }}", "t.j2:2: 'other' is neither in the destination's uses nor in its vars"),
        ("{{ db.passwrod }}", "'db' has no field 'passwrod'"),
        ("{{ db }}", "'db' is a credential: name one of its fields"),
        ("{{ nothing }}", "'nothing' is neither in the destination's uses nor in its vars"),
        ("{% if nothing %}{% endif %}", "'nothing' is neither in the destination's uses nor in its vars"),
        ("{{ db.password.strip }}", "a longer chain is not part of the template language"),
        ("{{ db['password'] }}", "an index is not part of the template language"),
        ("{{ db.password() }}", "a call is not part of the template language"),
        ("{{ host() }}", "a call is not part of the template language"),
        ("{{ ''.__class__ }}", "is not part of the template language"),
        ("{{ host.__class__ }}", "'host' is neither in the destination's uses"),
        ("{{ 1 + 1 }}", "is not part of the template language"),
        ("{{ db.password if host else host }}", "an inline if is not part of the template language"),
        ("\n\n{% for x in host %}{% endfor %}", "t.j2:3: a loop is not part of the template language"),
        ("{% set x = 1 %}", "set is not part of the template language"),
        ("{% macro m() %}{% endmacro %}", "a macro is not part of the template language"),
        ("{% include 'x' %}", "include is not part of the template language"),
        ("{% import 'x' as y %}", "import is not part of the template language"),
        ("{% extends 'x' %}", "extends is not part of the template language"),
        ("{% block b %}{% endblock %}", "a block is not part of the template language"),
        ("{% raw %}{% endraw %}{% call host() %}{% endcall %}", "a call is not part of the template language"),
        ("{% filter upper %}x{% endfilter %}", "a filter block is not part of the template language"),
        ("{% if host == 'x' %}{% endif %}", "a comparison is not part of the template language"),
        ("{% if db and host %}{% endif %}", "and is not part of the template language"),
        ("{{ db.password | shell }}", "there is no filter 'shell'"),
        ("{{ db.password | urlencode('x') }}", "the filter 'urlencode' takes no arguments"),
        ("\n{%- if db %}{% endif %}", "t.j2:2: '{%-' is not part of the template language"),
        ("{{ db.password", "t.j2:1: "),
        ("{% if db %}", "t.j2:1: "),
        pytest.param("{{ " + "(" * 3000 + "db" + ")" * 3000 + " }}", "t.j2:1: ", id="deep"),
    ],
)
def test_what_is_not_in_the_language_is_an_error_with_its_line(text, words):
    refused = _refusal(text)
    assert words in refused.message
    assert refused.message.startswith("t.j2:")


def test_a_mistake_in_a_branch_that_is_not_taken_is_found_too():
    assert "has no field" in _refusal("{% if empty %}{{ db.nothing }}{% endif %}").message


@pytest.mark.parametrize("name", FILTERS)
@given(text=st.text())
def test_no_filter_fails_on_any_text(name, text):
    assert isinstance(FILTERS[name][0](text), str)


@given(text=st.text())
def test_urlencode_leaves_nothing_that_a_url_would_read_otherwise(text):
    from urllib.parse import unquote

    try:
        encoded = FILTERS["urlencode"][0](text)
    except UnicodeEncodeError:
        return
    assert unquote(encoded) == text
    assert not set(encoded) & set("/:@?#[]& +\n")


def test_the_parts_of_a_url():
    url = "ssh://deploy@db.example.org:2222/path"
    assert [FILTERS[name][0](url) for name in ("url_user", "url_host", "url_port")] == [
        "deploy",
        "db.example.org",
        "2222",
    ]
    assert [FILTERS[name][0]("db.example.org") for name in ("url_user", "url_host", "url_port")] == [
        "",
        "db.example.org",
        "",
    ]
