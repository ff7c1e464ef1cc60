"""What a person is asked when nobody else can renew a credential, and what is not believed."""

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from chronos_secrets.errors import Incomplete, Refused, TargetFailed
from chronos_secrets.inventory import load
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.rotation.journal import Journal, Phase
from chronos_secrets.rotation.target import LastUse
from chronos_secrets.rotation.targets import manual
from chronos_secrets.rotation.targets.manual import Manual
from chronos_secrets.rotation.targets.ways import codes
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import NotHonoured

TODAY = date(2026, 2, 28)
NOW = datetime(2026, 2, 28, tzinfo=UTC)
JOURNAL = Journal("r1", Phase.INTENT, "here", NOW, NOW)
INVENTORY = """\
version: 1
project: birds
vault: {path: birds.kdbx}
credentials:
  jira: {kind: api-token, title: Jira, entry: A/Jira, every: 1 year, target: {page: "https://tokens", check: atlassian}}
  other: {kind: api-token, title: Other, entry: A/Other, every: 1 year, target: {page: "https://other"}}
  mail: {kind: account, title: Mail, entry: A/Mail, never: "a toy"}
  codes: {kind: recovery-codes, title: Codes, entry: A/Codes, never: "a toy"}
"""


class Scripted:
    """A person who answers in a fixed order; `said` is what that person was told or asked."""

    def __init__(self, *answers: object, there: bool = True) -> None:
        self.answers, self.said, self.there = list(answers), list[str](), there

    def attend(self) -> None:
        if not self.there:
            raise Refused("nobody is there")

    def show(self, text: str) -> None:
        self.said.append(text)

    def ask_hidden(self, prompt: str, *, lines: bool = False) -> Secret:
        answer = self._next(prompt)
        assert isinstance(answer, str)
        return Secret(answer)

    def ask_day(self, prompt: str) -> date | None:
        answer = self._next(prompt)
        assert answer is None or isinstance(answer, date)
        return answer

    def confirm(self, question: str) -> bool:
        answer = self._next(question)
        assert isinstance(answer, bool), question
        return answer

    def _next(self, prompt: str) -> object:
        self.attend()
        self.said.append(prompt)
        assert self.answers, f"not expected: {prompt}"
        return self.answers.pop(0)


class Issuer:
    """Takes the tokens that it has, and no other; or is away."""

    def __init__(self) -> None:
        self.takes: list[str] = []
        self.away = False
        self.asked = 0

    def __call__(self, url: Secret, username: Secret, token: Secret) -> str:
        self.asked += 1
        if self.away:
            raise TargetFailed("the site is away")
        if token.reveal() not in self.takes:
            raise NotHonoured("the site does not take the token")
        return "the site"


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY)
    return load.read(path)


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    made = Issuer()
    monkeypatch.setattr(manual, "CHECKS", {"atlassian": made})
    return made


Make = Callable[..., tuple[Manual, Scripted]]


@pytest.fixture
def make(inventory: Inventory, issuer: Issuer) -> Make:
    def made(name: str, *answers: object, there: bool = True) -> tuple[Manual, Scripted]:
        person = Scripted(*answers, there=there)
        return Manual(inventory.credentials[name], person, TODAY), person

    return made


def _token(value: str) -> dict[str, Secret]:
    return {"token": Secret(value), "username": Secret("finch"), "url": Secret("https://birds.atlassian.net")}


def _word() -> str:
    return f"canary{secrets.token_hex(8)}"


def _issued(target: Manual, field: str, current: str) -> str:
    return target.issue(JOURNAL, {field: Secret(current)}, frozenset())[field].reveal()


# --- pasting ----------------------------------------------------------------------------------------------------------


def test_a_pasted_token_loses_one_line_end_and_nothing_else(make: Make):
    for end in ("", "\n", "\r\n"):
        new = _word()
        target, person = make("jira", new + end)
        assert _issued(target, "token", _word()) == new
        assert person.said == [
            "Make a new token: https://tokens (leave the old one alone until you are asked to revoke it). Then paste it"
            " here.",
            "New token of Jira",
            f"got {len(new)} characters",
        ]


CURRENT = _word()
WRONG = {
    "nothing": ("", "nothing was pasted"),
    "a line end": ("\n", "nothing was pasted"),
    "the current one": (CURRENT, "that is the one which is in the vault already"),
    "a token with a space": ("canary one two", "it has spaces in it"),
    "a token with a space at its end": (f"{CURRENT}x ", "it has spaces in it"),
    "two line ends": (f"{CURRENT}x\n\n", "it has spaces in it"),
    "the address of the page": ("https://tokens", "that is an address"),
    "half of it": ("canary", "it has fewer than 8 characters"),
    "a key that was pressed": (f"{CURRENT}\x1b[A", "it begins or ends with a space, or holds what nobody can type"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_a_token_is_asked_for_again_and_not_shown(make: Make, what: str):
    pasted, why = WRONG[what]
    new = _word()
    target, person = make("jira", pasted, new)
    assert _issued(target, "token", CURRENT) == new
    assert f"{why}; try again" in person.said
    told = [each for each in person.said if each.endswith("; try again")]
    assert len(told) == 1
    assert "canary" not in "".join(person.said)


def test_a_password_may_have_spaces_inside(make: Make):
    target, _ = make("mail", " correct horse", "correct horse")
    assert _issued(target, "password", CURRENT) == "correct horse"


def test_after_three_tries_nothing_is_taken(make: Make):
    target, _ = make("jira", "", "", "", _word())
    with pytest.raises(Refused, match="no token of Jira was pasted; nothing was changed") as raised:
        _issued(target, "token", CURRENT)
    assert raised.value.hint == "chronos-secrets rotate jira"


def test_codes_are_taken_out_of_lists_and_columns(make: Make):
    target, person = make("codes", "1. aaaa-bbbb\n 2) cccc-dddd\n\n* eeee   ffff\r\n1234 5678\n", True)
    assert _issued(target, "codes", "old-one\nold-two\n") == "aaaa-bbbb\ncccc-dddd\neeee\nffff\n1234 5678"
    assert person.said[0] == "2 of the old recovery codes are left in the vault"
    assert "got 5 codes" in person.said


def test_codes_that_are_not_all_are_pasted_again(make: Make):
    target, _ = make("codes", "aaaa", False, "aaaa\nbbbb", True)
    assert _issued(target, "codes", "") == "aaaa\nbbbb"


@pytest.mark.parametrize(
    ("pasted", "why"),
    [
        ("aaaa\nbbbb\naaaa", "codes 1 and 3 are the same; try again"),
        ("aaaa\nold-two", "code 2 is an old one, which is in the vault already; try again"),
        ("\n \n", "nothing was pasted; try again"),
    ],
)
def test_codes_that_stand_twice_or_are_old_are_told_by_their_number(make: Make, pasted: str, why: str):
    target, person = make("codes", pasted, "cccc\ndddd", True)
    assert _issued(target, "codes", "old-one\nold-two") == "cccc\ndddd"
    assert why in person.said
    assert not {"aaaa", "old-two"} & set("".join(person.said).split())


def test_the_codes_of_a_text_are_counted_however_they_are_written():
    assert len(codes(Secret("a1\nb2\n\nc3"))) == 3
    assert codes(Secret("")) == []


# --- proving ----------------------------------------------------------------------------------------------------------


def test_a_token_is_proven_by_its_issuer_and_by_nobody_else(make: Make, issuer: Issuer):
    new = _token(_word())
    target, person = make("jira")
    with pytest.raises(Incomplete) as raised:
        target.prove(new)
    assert raised.value.message == "Jira: the site does not take the token; nothing was changed there"
    assert raised.value.hint == (
        "chronos-secrets rotate jira    # tries it again; to paste another one: chronos-secrets rotate abandon jira"
    )
    issuer.takes.append(new["token"].reveal())
    target.prove(new)
    assert person.said == []


def test_a_current_token_that_is_dead_stops_nobody_who_says_so(inventory: Inventory, issuer: Issuer):
    """Else a token that expired could not be abandoned together with a paste that was wrong."""
    for answer in (True, False):
        person = Scripted(answer)
        target = Manual(inventory.credentials["jira"], person, TODAY, Secret("canary-dead"))
        if answer:
            target.prove(_token("canary-dead"))
        else:
            with pytest.raises(Incomplete):
                target.prove(_token("canary-dead"))
        assert person.said[-1] == "Go on all the same?"
        with pytest.raises(Incomplete):
            target.prove(_token("canary-new"))
    alone = Manual(inventory.credentials["jira"], Scripted(there=False), TODAY, Secret("canary-dead"))
    with pytest.raises(Incomplete):
        alone.prove(_token("canary-dead"))


def test_an_issuer_that_is_away_is_no_refusal(make: Make, issuer: Issuer):
    issuer.away = True
    target, _ = make("jira")
    for act in (lambda: target.survey(_token("x")), lambda: target.prove(_token("x"))):
        with pytest.raises(TargetFailed, match="the site is away"):
            act()


def test_what_a_token_is_tried_with_must_be_there(make: Make, issuer: Issuer):
    target, _ = make("jira")
    with pytest.raises(Refused, match="jira: the field username is empty in the vault"):
        target.survey({**_token("x"), "username": Secret("")})
    assert issuer.asked == 0


def test_where_nobody_can_be_asked_but_the_person_the_person_is_asked_once(make: Make):
    new = {"password": Secret(_word())}
    target, person = make("mail", True)
    target.prove(new)
    target.prove(new)
    assert person.said == [
        "Set that password: where Mail is managed (it is in the entry 'A/Mail', as chronos.pending.password until it is"
        " in use). Then log in with it.",
        "Does Mail take it?",
    ]


def test_a_no_leaves_it_for_the_next_run(make: Make):
    target, _ = make("mail", False)
    with pytest.raises(Incomplete, match="Mail does not take its password yet"):
        target.prove({"password": Secret(_word())})


def test_no_code_is_tried(make: Make):
    target, person = make("codes")
    target.prove({"codes": Secret("aaaa")})
    assert person.said == []


# --- the end of the old one -------------------------------------------------------------------------------------------


def test_a_revocation_is_believed_when_the_issuer_says_so(make: Make, issuer: Issuer):
    old, new = _token("canary-old"), _token("canary-new")
    issuer.takes = ["canary-old", "canary-new"]
    target, person = make("jira", True, True, True)
    with pytest.raises(Incomplete, match="the token that was replaced is still taken by Jira"):
        target.deactivate(old, new)
    assert person.said.count("Is it revoked?") == 3
    issuer.takes = ["canary-new"]
    target, person = make("jira")
    target.deactivate(old, new)
    target.delete(old, new)
    assert person.said == []


def test_a_revocation_that_nobody_can_look_at_is_recorded_as_said(make: Make):
    target, person = make("other", True)
    target.deactivate(_token("canary-old"), _token("canary-new"))
    target.delete(_token("canary-old"), _token("canary-new"))
    assert person.said == ["Revoke the token that was replaced: https://other", "Is it revoked?"]


def test_what_is_not_revoked_is_asked_about_again_later(make: Make):
    target, _ = make("other", False)
    with pytest.raises(Incomplete, match="not revoked yet"):
        target.deactivate(_token("canary-old"), _token("canary-new"))


def test_a_new_password_ended_the_old_one(make: Make):
    target, person = make("mail")
    target.deactivate({"password": Secret("one")}, {"password": Secret("two")})
    target.delete({"password": Secret("one")}, {"password": Secret("two")})
    assert person.said == []


def test_only_a_person_knows_whether_an_old_token_is_used(make: Make):
    assert make("jira", True)[0].last_use(_token("x")) == LastUse(known=True, at=None)
    assert make("jira", False)[0].last_use(_token("x")) == LastUse(known=False, at=None)
    assert make("jira", there=False)[0].last_use(_token("x")) == LastUse(known=False, at=None)


def test_old_codes_cannot_be_brought_back(make: Make):
    target, _ = make("codes")
    with pytest.raises(Refused, match="ended when the new ones were made"):
        target.reactivate({"codes": Secret("a")}, {"codes": Secret("b")})


# --- the last day -----------------------------------------------------------------------------------------------------


def test_an_atlassian_token_ends_within_a_year(make: Make):
    year = date(2027, 2, 28)
    answers = [None, TODAY, date(2027, 3, 2), date(2026, 1, 1), year]
    target, person = make("jira", *answers)
    assert target.expiry(_token("x")) == year
    assert person.answers == []
    told = [each for each in person.said if not each.startswith("The last day")]
    ends = "a token made here ends within 1 year, so by 2027-03-01"
    assert told == [ends, "that day is not ahead of us", ends, "that day is not ahead of us"]


def test_another_token_may_end_never(make: Make):
    assert make("other", None)[0].expiry(_token("x")) is None


def test_nobody_is_asked_for_the_last_day_of_a_password_or_of_codes(make: Make):
    for name in ("mail", "codes"):
        assert make(name)[0].expiry({}) is None


# --- before anything happens ------------------------------------------------------------------------------------------


def test_without_a_person_nothing_begins(make: Make, issuer: Issuer):
    for name in ("jira", "other", "mail", "codes"):
        target, _ = make(name, there=False)
        with pytest.raises(Refused, match="nobody is there"):
            target.survey(_token("x"))
    assert issuer.asked == 0


def test_a_token_that_is_dead_already_is_said_and_stops_nobody(make: Make):
    target, person = make("jira")
    assert target.survey(_token("canary-dead")) == ()
    assert person.said == ["the token in the vault is not taken any more"]


def test_a_try_that_was_cut_short_is_told_what_to_revoke(make: Make):
    target, person = make("jira")
    target.reconcile(JOURNAL, _token("x"), frozenset())
    assert person.said == ["If you made a token in an earlier try, revoke it: https://tokens"]
    target, person = make("codes")
    target.reconcile(JOURNAL, {}, frozenset())
    assert person.said == []
