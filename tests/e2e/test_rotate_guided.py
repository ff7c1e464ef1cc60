"""Rotations that a person is guided through, on a real terminal: nothing that is pasted is seen, and nothing is lost."""

import base64
import secrets
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.support import keepassxc
from tests.support.commands import Aviary, Done, Terminal, argv
from tests.support.targets import SITE, Site, no_proxy

pytestmark = pytest.mark.xdist_group("guided")

PAGE = "https://id.atlassian.example/tokens"
QUESTION, PASTE, LAST_DAY = "Go on?", "New token of Jira (hidden): ", "The last day of the new token"
DUE = "every: 1 year, rotated: 2020-01-01"
TODAY = datetime.now(UTC).date()

# The same program on a later day.
_LATER = """\
import datetime, sys
from chronos_secrets.cli.session import Session
days = datetime.timedelta(days=int(sys.argv.pop(1)))
Session.now = staticmethod(lambda: datetime.datetime.now(datetime.UTC) + days)
from chronos_secrets.__main__ import main
main()
"""


class Tokens(Site):
    """A site that takes each of several tokens."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.takes = [self.token]

    def make(self) -> str:
        """A new token, as its page shows one."""
        self.takes.append(f"canary{secrets.token_hex(12)}")
        return self.takes[-1]

    def _answer(self, target: str, head: str) -> bytes:
        """The site that we are made of takes one token: the one that was given, if it is one of ours."""
        given = {base64.b64encode(f"{self.username}:{each}".encode()).decode(): each for each in self.takes}
        self.token = next((each for basic, each in given.items() if f"Basic {basic}\r\n" in head), "nobody's")
        return super()._answer(target, head)


class Nest(Aviary):
    """A project with a Jira token, an account and recovery codes, all of them due."""

    def __init__(self, folder: Path, site: Tokens) -> None:
        super().__init__(folder)
        self.site, self.old = site, site.token
        text = self.inventory.read_text()
        text = text.replace(
            'Third-Party/Jira, never: "a toy"', f'Third-Party/Jira, {DUE}, target: {{page: "{PAGE}", check: atlassian}}'
        )
        rows = (
            f"  mail: {{kind: account, title: Mail, entry: Web/Mail, {DUE}}}\n"
            f"  codes: {{kind: recovery-codes, title: Codes, entry: Web/Codes, {DUE}}}\n"
        )
        self.inventory.write_text(text.replace("destinations:\n", f"{rows}destinations:\n"))
        self.remake_vault(
            jira__token=site.token, jira__username=site.username, jira__url=f"https://{SITE}",
            mail__password="canary-old-password", codes__codes="canary-1\ncanary-2\ncanary-3",
        )  # fmt: skip
        assert self.run("render", "env").status == 0

    def rotate(self, *words: str, days: int = 0) -> Terminal:
        """`rotate` in front of a person, some days from now."""
        self._accept()
        command = argv("rotate", *words, "--password-file", self.password_file)
        if days:
            command = (sys.executable, "-c", _LATER, str(days), *command[3:])
        return Terminal(command, folder=self.folder)

    def alone(self, *words: str) -> Done:
        """`rotate` where nobody sits."""
        return self.process("rotate", *words, "--password-file", str(self.password_file))

    @property
    def entry(self) -> keepassxc.Entry:
        return keepassxc.export(self.vault, self.password).at("Third-Party", "Jira")

    @property
    def passing(self) -> set[str]:
        """What a rotation keeps in the entry for a while."""
        return {name for name in self.entry.fields if name.startswith(("chronos.pending", "chronos.previous"))}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tokens]:
    no_proxy(monkeypatch)
    made = Tokens(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
    monkeypatch.setenv("HTTPS_PROXY", made.proxy)
    yield made
    made.close()


@pytest.fixture
def nest(tmp_path: Path, site: Tokens) -> Nest:
    return Nest(tmp_path, site)


def _last_day(days: int = 300) -> date:
    """The same day all through a test, whenever midnight comes."""
    return TODAY + timedelta(days=days)


def _pasted(nest: Nest, token: str) -> Terminal:
    """A rotation of the Jira token up to the question for its last day."""
    terminal = nest.rotate("jira", "--yes")
    terminal.expect(PASTE)
    terminal.type(f"{token}\n")
    terminal.expect(LAST_DAY)
    return terminal


def _delivered(nest: Nest) -> str:
    """A rotation of the Jira token that waits for the old one to rest."""
    token = nest.site.make()
    terminal = _pasted(nest, token)
    terminal.type(f"{_last_day()}\n")
    assert terminal.end().status == 0
    return token


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_is_renewed_from_the_page_to_the_revocation(nest: Nest, site: Tokens):
    terminal = nest.rotate("jira")
    terminal.expect(QUESTION)
    assert "now         ask you for a new secret of Jira and store it as pending" in terminal.shown
    assert "ask you to revoke the old one at Jira, and forget it" in terminal.shown
    terminal.type("y\n")
    terminal.expect(PASTE)
    assert f"Make a new token: {PAGE}" in terminal.shown
    assert not terminal.echoes
    new = site.make()
    terminal.type(f"{new}\n")
    terminal.expect(LAST_DAY)
    assert terminal.echoes
    terminal.type(f"{_last_day()}\n")
    done = terminal.end()
    assert done.status == 0, done.out
    assert "delivered env" in done.out
    assert nest.run("get", "jira").out == new
    assert new in nest.env.read_text()
    assert nest.passing == {"chronos.previous.token"}
    assert [each.fields["Password"][0] for each in nest.entry.history] == [nest.old]

    later = nest.rotate("jira", "--yes", days=8)
    later.expect("Has everything that used the old token of Jira the new one?")
    later.type("y\n")
    later.expect(f"Revoke the token that was replaced: {PAGE}")
    later.expect("Is it revoked?")
    site.takes.remove(nest.old)
    later.type("y\n")
    ended = later.end()
    assert ended.status == 0, ended.out
    assert nest.passing == set()
    assert nest.run("get", "jira").out == new
    assert nest.alone("jira", "--yes").out.startswith("jira: not due")
    for value in (nest.old, new, nest.password):
        assert value not in done.out + ended.out + nest.run("history").out


def test_the_last_day_is_what_keepassxc_shows_and_what_due_goes_by(nest: Nest):
    _delivered(nest)
    assert (nest.entry.expires or "").startswith(_last_day().isoformat())
    with nest.opened() as vault:
        entry = vault.entries.at(("Third-Party", "Jira"))
        assert entry is not None
        assert entry.plain("chronos.expires") == ""  # a day of our own would not count as one that an issuer set


def test_a_last_day_that_cannot_be_is_asked_for_again(nest: Nest, site: Tokens):
    terminal = _pasted(nest, site.make())
    answers = {
        "soon": "that is no day",
        "2020-01-01": "that day is not ahead of us",
        "": "a token made here ends within 1 year",
        f"{_last_day(400)}": "a token made here ends within 1 year",
    }
    for number, (typed, said) in enumerate(answers.items(), 2):
        terminal.type(f"{typed}\n")
        terminal.expect(said)
        terminal.expect(LAST_DAY, times=number)
    terminal.type(f"{_last_day()}\n")
    assert terminal.end().status == 0


def test_what_is_pasted_beyond_one_line_is_dropped_and_not_seen(nest: Nest, site: Tokens):
    terminal = nest.rotate("jira", "--yes")
    terminal.expect(PASTE)
    terminal.type(f"{site.make()}\ncanary-of-another-line\n")
    terminal.expect(LAST_DAY)
    terminal.type(f"{_last_day()}\n")
    done = terminal.end()
    assert done.status == 0, done.out
    assert "canary-of-another-line" not in done.out
    assert "that is no day" not in done.out


def test_what_was_pasted_is_in_the_vault_before_the_issuer_is_asked(
    nest: Nest, site: Tokens, monkeypatch: pytest.MonkeyPatch
):
    new = site.make()
    terminal = nest.rotate("jira", "--yes")
    terminal.expect(PASTE)
    site.answers["/rest/api/3/myself"] = (503, "X-A: b", b"")
    terminal.type(f"{new}\n")
    done = terminal.end()
    assert done.status == 7
    assert f"{SITE} answered 503" in done.out
    assert nest.passing == {"chronos.pending.token"}
    assert nest.entry.password == nest.old

    site.answers.clear()
    again = nest.rotate("jira", "--yes")
    again.expect(LAST_DAY)
    again.type(f"{_last_day()}\n")
    done = again.end()
    assert (done.status, PASTE in done.out) == (0, False)
    assert nest.run("get", "jira").out == new


def test_a_paste_that_the_issuer_does_not_take_is_given_up_and_made_again(nest: Nest, site: Tokens):
    terminal = nest.rotate("jira", "--yes")
    terminal.expect(PASTE)
    terminal.type("canary-of-another-site\n")
    done = terminal.end()
    assert done.status == 8
    assert f"error: Jira: {SITE} does not take the token for this user name; nothing was changed there" in done.out
    assert "chronos-secrets rotate abandon jira" in done.out
    assert nest.run("get", "jira").out == nest.old

    given_up = nest.rotate("abandon", "jira", "--yes").end()
    assert given_up.status == 0, given_up.out
    assert nest.passing == set()
    assert nest.run("get", "jira").out == nest.old
    new = _delivered(nest)
    assert nest.run("get", "jira").out == new


def test_a_wrong_paste_can_be_given_up_even_where_the_old_token_is_dead(nest: Nest, site: Tokens):
    site.takes.clear()
    terminal = nest.rotate("jira", "--yes")
    terminal.expect("the token in the vault is not taken any more")
    terminal.expect(PASTE)
    terminal.type("canary-of-another-site\n")
    assert terminal.end().status == 8
    given_up = nest.rotate("abandon", "jira", "--yes")
    given_up.expect("Go on all the same?")
    given_up.type("y\n")
    done = given_up.end()
    assert done.status == 0, done.out
    assert nest.run("get", "jira").out == nest.old
    assert nest.run("get", "jira").out != _delivered(nest) or nest.passing


def test_a_token_that_is_still_taken_is_not_believed_to_be_revoked(nest: Nest, site: Tokens):
    _delivered(nest)
    later = nest.rotate("jira", "--yes", days=8)
    later.expect("Has everything")
    later.type("y\n")
    for number in range(1, 4):
        later.expect("Is it revoked?", times=number)
        later.type("y\n")
    done = later.end()
    assert done.status == 8
    assert "error: the token that was replaced is still taken by Jira" in done.out
    assert nest.passing == {"chronos.previous.token"}


def test_an_old_token_that_is_still_used_is_kept(nest: Nest):
    _delivered(nest)
    later = nest.rotate("jira", "--yes", days=8)
    later.expect("Has everything")
    later.type("\n")
    done = later.end()
    assert done.status == 8
    assert "Is it revoked?" not in done.out
    assert nest.passing == {"chronos.previous.token"}


def test_a_token_that_went_astray_in_an_earlier_try_is_to_be_revoked(nest: Nest, site: Tokens):
    terminal = nest.rotate("jira", "--yes")
    terminal.expect(PASTE)
    terminal.type("\x03")
    assert terminal.end().status == 130
    again = nest.rotate("jira", "--yes")
    again.expect(f"If you made a token in an earlier try, revoke it: {PAGE}")
    again.expect(PASTE)
    again.type(f"{site.make()}\n")
    again.expect(LAST_DAY)
    again.type(f"{_last_day()}\n")
    assert again.end().status == 0


# --- giving up in the middle ------------------------------------------------------------------------------------------


def _at_the_question(nest: Nest) -> Terminal:
    terminal = nest.rotate("jira")
    terminal.expect(QUESTION)
    return terminal


def _at_the_paste(nest: Nest) -> Terminal:
    terminal = nest.rotate("jira", "--yes")
    terminal.expect(PASTE)
    return terminal


def _at_the_day(nest: Nest) -> Terminal:
    return _pasted(nest, nest.site.make())


def _at_the_use(nest: Nest) -> Terminal:
    _delivered(nest)
    terminal = nest.rotate("jira", "--yes", days=8)
    terminal.expect("Has everything")
    return terminal


def _at_the_revocation(nest: Nest) -> Terminal:
    terminal = _at_the_use(nest)
    terminal.type("y\n")
    terminal.expect("Is it revoked?")
    return terminal


def _finished(nest: Nest, days: int) -> Done:
    """Run it again, and answer whatever is asked, until the old token is revoked."""
    terminal = nest.rotate("jira", "--yes", days=days)
    if not days:
        if nest.passing != {"chronos.pending.token"}:
            terminal.expect(PASTE)
            terminal.type(f"{nest.site.make()}\n")
        terminal.expect(LAST_DAY)
        terminal.type(f"{_last_day()}\n")
        assert terminal.end().status == 0
        return _finished(nest, 8)
    terminal.expect("Has everything")
    nest.site.takes.remove(nest.old)
    terminal.type("y\n")
    return terminal.end()


@pytest.mark.parametrize(
    ("come", "days"),
    [(_at_the_question, 0), (_at_the_paste, 0), (_at_the_day, 0), (_at_the_use, 8), (_at_the_revocation, 8)],
)
def test_giving_up_at_any_question_loses_nothing(nest: Nest, come: Callable[[Nest], Terminal], days: int):
    terminal = come(nest)
    pending, current = nest.passing, nest.run("get", "jira").out
    terminal.type("\x03")
    assert terminal.end().status == 130
    assert terminal.left_echoing
    assert (nest.passing, nest.run("get", "jira").out) == (pending, current)
    assert current in nest.site.takes
    done = _finished(nest, days)
    assert done.status == 0, done.out
    assert nest.run("get", "jira").out == nest.site.takes[-1]
    assert nest.site.takes[-1] in nest.env.read_text()
    assert nest.passing == set()
    assert nest.old in [each.password for each in nest.entry.history]


# --- nobody there -----------------------------------------------------------------------------------------------------


def test_where_nobody_sits_nothing_begins_and_the_command_is_named(nest: Nest):
    before = nest.vault.read_bytes()
    done = nest.alone("jira", "--yes")
    assert done.status == 5
    assert "this needs a person, and there is no terminal to ask on" in done.err
    assert "hint: chronos-secrets rotate jira    # on a terminal" in done.err
    assert nest.vault.read_bytes() == before


def test_a_timer_leaves_what_needs_a_person_and_says_so(nest: Nest):
    done = nest.alone("tokens", "--yes")
    assert done.status == 0
    assert done.out == "jira: waiting for you: chronos-secrets rotate jira\n"


def test_what_a_person_pasted_is_carried_on_by_nobody_but_a_person(nest: Nest, site: Tokens):
    terminal = _pasted(nest, site.make())
    terminal.type("\x03")
    terminal.end()
    done = nest.alone("jira", "--yes")
    assert done.status == 5
    assert "hint: chronos-secrets rotate jira    # on a terminal" in done.err
    assert nest.passing == {"chronos.pending.token"}


# --- accounts and recovery codes --------------------------------------------------------------------------------------


def test_a_password_is_stored_before_it_is_set_and_current_once_it_works(nest: Nest):
    new = f"canary {secrets.token_hex(8)}"
    terminal = nest.rotate("mail", "--yes")
    terminal.expect("New password of Mail (hidden): ")
    assert not terminal.echoes
    terminal.type(f"{new}\n")
    terminal.expect("Does Mail take it?")
    entry = keepassxc.export(nest.vault, nest.password).at("Web", "Mail")
    assert entry.fields["chronos.pending.password"] == (new, True)
    assert entry.password == "canary-old-password"
    terminal.type("n\n")
    done = terminal.end()
    assert done.status == 8
    assert "error: Mail does not take its password yet" in done.out

    again = nest.rotate("mail", "--yes")
    again.expect("Does Mail take it?")
    again.type("y\n")
    done = again.end()
    assert done.status == 0, done.out
    assert "New password" not in done.out
    assert new not in done.out
    entry = keepassxc.export(nest.vault, nest.password).at("Web", "Mail")
    assert entry.password == new
    assert [each.password for each in entry.history] == ["canary-old-password"]
    assert not [name for name in entry.fields if name.startswith(("chronos.pending", "chronos.previous"))]
    assert entry.expires is None


def test_codes_are_pasted_in_one_go_and_none_of_them_is_seen(nest: Nest):
    codes = [f"canary-{secrets.token_hex(5)}" for _ in range(10)]
    terminal = nest.rotate("codes", "--yes")
    terminal.expect("New recovery codes of Codes (hidden, then an empty line): ")
    assert "3 of the old recovery codes are left in the vault" in terminal.shown
    assert not terminal.echoes
    terminal.type("".join(f"{number}. {code}\n" for number, code in enumerate(codes, 1)) + "\n")
    terminal.expect("got 10 codes")
    terminal.expect("Are those all of them?")
    terminal.type("y\n")
    done = terminal.end()
    assert done.status == 0, done.out
    assert not [code for code in codes if code in done.out]
    assert nest.run("get", "codes").out == "\n".join(codes)
    assert "canary-1\ncanary-2" in [
        each.fields["Notes"][0][:17] for each in keepassxc.export(nest.vault, nest.password).at("Web", "Codes").history
    ]


def test_a_code_that_stands_twice_is_told_by_its_number_and_all_are_pasted_again(nest: Nest):
    terminal = nest.rotate("codes", "--yes")
    terminal.expect("(hidden, then an empty line): ")
    terminal.type("canary-a\ncanary-b\ncanary-a\n\n")
    terminal.expect("codes 1 and 3 are the same; try again")
    terminal.expect("(hidden, then an empty line): ", times=2)
    terminal.type("canary-a\ncanary-b\n\n")
    terminal.expect("Are those all of them?")
    terminal.type("y\n")
    assert terminal.end().status == 0
    assert nest.run("get", "codes").out == "canary-a\ncanary-b"


def test_a_long_token_gets_in_whole(nest: Nest, site: Tokens):
    site.takes.append(f"canary{secrets.token_hex(1000)}")
    terminal = _pasted(nest, site.takes[-1])
    terminal.expect("got 2006 characters")
    terminal.type(f"{_last_day()}\n")
    assert terminal.end().status == 0
    assert nest.run("get", "jira").out == site.takes[-1]
