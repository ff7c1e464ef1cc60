"""What is done when a keyring does not do what it is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos_secrets.errors import Refused, TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.vault import keyrings, remembered
from chronos_secrets.vault.keyrings import Keyring
from tests.support.keyrings import Desktop

NAME = "keyring.backends.SecretService.Keyring"
PASSWORD = Secret("correct horse")


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    folder = tmp_path / "bus"
    folder.mkdir()
    made = Desktop(folder)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", made.address)
    with made.gnome_keyring():
        yield made
    made.close()


@pytest.fixture
def keyring(desktop: Desktop) -> Keyring:
    return keyrings.reach(NAME)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state" / "aviary"


def _mark(state: Path) -> Path:
    return state / "remembered"


def test_a_keyring_that_gives_back_something_else_remembers_nothing(desktop, keyring, state, monkeypatch):
    honest = Keyring.get
    monkeypatch.setattr(Keyring, "get", lambda *names: Secret("other") if honest(*names) else None)
    with pytest.raises(TargetFailed, match="did not give back the password that it was given"):
        remembered.remember(keyring, state, "id", PASSWORD)
    assert desktop.held() == {}
    assert not _mark(state).exists()


def test_a_keyring_that_silently_keeps_nothing_is_found_out(desktop, keyring, state, monkeypatch):
    monkeypatch.setattr(Keyring, "set", lambda *told: None)
    with pytest.raises(TargetFailed, match="did not give back"):
        remembered.remember(keyring, state, "id", PASSWORD)
    assert not _mark(state).exists()


def test_what_cannot_be_read_back_nor_removed_is_left_for_forget(desktop, keyring, state, monkeypatch):
    def away(*_: object) -> None:
        raise TargetFailed("the Secret Service cannot be reached")

    with monkeypatch.context() as patched:
        patched.setattr(Keyring, "get", away)
        with pytest.raises(TargetFailed, match="cannot be reached"):
            remembered.remember(keyring, state, "id", PASSWORD)
    assert desktop.held()
    known = remembered.mark(state)
    assert known is not None
    assert not known.asked
    remembered.forget(state)
    assert desktop.held() == {}
    assert not _mark(state).exists()


def test_what_was_remembered_stays_when_the_keyring_does_not_take_the_new_one(desktop, keyring, state, monkeypatch):
    remembered.remember(keyring, state, "id", PASSWORD)
    before = _mark(state).read_bytes()

    def refuse(*_: object) -> None:
        raise TargetFailed("the Secret Service did not take the password")

    with monkeypatch.context() as patched:
        patched.setattr(Keyring, "set", refuse)
        with pytest.raises(TargetFailed, match="did not take"):
            remembered.remember(keyring, state, "id", Secret("battery staple"))
    assert _mark(state).read_bytes() == before
    assert list(desktop.held().values()) == ["correct horse"]


def test_a_run_that_is_killed_while_the_keyring_takes_it_can_be_forgotten(desktop, keyring, state, monkeypatch):
    class Killed(BaseException):
        pass

    taken = Keyring.set

    def take_and_die(*told: object) -> None:
        taken(*told)  # type: ignore[arg-type]
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Keyring, "set", take_and_die)
        with pytest.raises(Killed):
            remembered.remember(keyring, state, "id", PASSWORD)
    assert desktop.held()
    assert remembered.forget(state) is not None
    assert desktop.held() == {}


def test_another_vault_of_the_project_replaces_what_was_remembered(desktop, keyring, state):
    remembered.remember(keyring, state, "first", Secret("battery staple"))
    remembered.remember(keyring, state, "second", PASSWORD)
    assert desktop.held() == {("chronos-secrets.aviary", "second"): "correct horse"}


def test_a_keyring_that_does_not_let_go_is_said_and_not_asked_any_more(desktop, keyring, state, monkeypatch):
    remembered.remember(keyring, state, "id", PASSWORD)
    with monkeypatch.context() as patched:
        patched.setattr(Keyring, "delete", lambda *names: None)
        with pytest.raises(TargetFailed, match="did not remove the password; it is not asked any more, but may"):
            remembered.forget(state)
    known = remembered.mark(state)
    assert known is not None
    assert not known.asked


def test_the_mark_holds_names_only(desktop, keyring, state):
    remembered.remember(keyring, state, "id", PASSWORD)
    assert _mark(state).read_text() == f'{{"keyring": "{NAME}", "user": "id", "asked": true}}'


@pytest.mark.parametrize(
    "damage",
    ["", "{}", "[1]", "null", '{"keyring": "keyring.backends.null.Keyring", "user": "x", "asked": true}'],
    ids=["empty", "no-names", "a-list", "null", "another-keyring"],
)
def test_a_mark_that_does_not_name_a_trusted_keyring_is_refused(damage, state):
    state.mkdir(parents=True)
    _mark(state).write_text(damage)
    with pytest.raises(Refused, match="does not say which keyring remembers the password") as caught:
        remembered.mark(state)
    assert caught.value.hint == f"rm {_mark(state)}"


def test_a_state_folder_that_cannot_be_written_is_said_before_the_keyring_is_told(desktop, keyring, state):
    state.parent.mkdir()
    state.write_text("a file where the folder should be")
    with pytest.raises(Refused, match="remembered cannot be written"):
        remembered.remember(keyring, state, "id", PASSWORD)
    assert desktop.held() == {}
