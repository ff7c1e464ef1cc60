"""The password that is not typed: from systemd, from the keyring of the desktop; and how it is forgotten."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import Aviary, Done, Terminal, alone, argv
from tests.support.keyrings import SECRETS, Desktop
from tests.support.programs import require

WINDOW = "org.keepassxc.KeePassXC.MainWindow"


@pytest.fixture
def aviary(tmp_path: Path) -> Aviary:
    return Aviary(tmp_path)


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desktop]:
    """A desktop whose keyring is not running, and where keyring itself chooses."""
    folder = tmp_path / "bus"
    folder.mkdir()
    desktop = Desktop(folder)
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", desktop.address)
    yield desktop
    desktop.close()


@pytest.fixture
def desktop(bus: Desktop) -> Iterator[Desktop]:
    """A desktop with an unlocked GNOME Keyring."""
    with bus.gnome_keyring():
        yield bus


def _remember(aviary: Aviary) -> Done:
    return aviary.process("unlock", "--remember", "--password-file", aviary.password_file)


def _get(aviary: Aviary) -> Done:
    return aviary.process("get", "db", locked=True)


def _mark(aviary: Aviary) -> Path:
    return aviary.state / "remembered"


def _is_opened_by_memory(done: Done, aviary: Aviary) -> bool:
    return (done.status, done.out, done.err) == (0, aviary.values["db.password"], "")


def _is_locked(done: Done) -> bool:
    return done.status == 4 and "there is no terminal to ask for its password on" in done.err


# --- the keyring ------------------------------------------------------------------------------------------------------


def test_a_remembered_password_opens_the_vault_and_nothing_is_asked(aviary: Aviary, desktop: Desktop):
    done = _remember(aviary)
    assert done.status == 0
    assert done.out == f"the Secret Service remembers the password of {aviary.vault}; it was read back\n"
    assert "to end that: chronos-secrets forget" in done.err
    assert _is_opened_by_memory(_get(aviary), aviary)
    assert aviary.process("check", locked=True).status == 0


def test_the_keyring_holds_it_under_the_project_and_the_vault(aviary: Aviary, desktop: Desktop):
    _remember(aviary)
    vault_id = (aviary.state / "vault-id").read_text()
    assert desktop.held() == {("chronos-secrets.aviary", vault_id): aviary.password}


def test_no_file_of_ours_holds_the_password(aviary: Aviary, desktop: Desktop):
    assert aviary.leaked(_remember(aviary).text) == []
    _get(aviary)
    assert {path.name for path in aviary.state.iterdir()} >= {"remembered", "history.jsonl"}
    assert [path for path in aviary.home.rglob("*") if path.is_file() and aviary.leaked(path.read_bytes())] == []
    assert _mark(aviary).stat().st_mode & 0o777 == 0o600


def test_any_password_comes_back_as_it_was(aviary: Aviary, desktop: Desktop):
    aviary.remake_vault(password=f"ž 漢 '\"$`\\ \t{os.urandom(8).hex()} ")
    assert _remember(aviary).status == 0
    assert _is_opened_by_memory(_get(aviary), aviary)


def test_a_wrong_password_is_never_remembered(aviary: Aviary, desktop: Desktop):
    aviary.password_file.write_text("not the password")
    assert _remember(aviary).status == 4
    assert desktop.held() == {}
    assert not _mark(aviary).exists()


def test_what_is_given_comes_before_what_is_remembered(aviary: Aviary, desktop: Desktop):
    _remember(aviary)
    aviary.password_file.write_text("not the password")
    assert aviary.process("get", "db", "--password-file", aviary.password_file).status == 4


def test_forgetting_removes_it_from_the_keyring(aviary: Aviary, desktop: Desktop):
    _remember(aviary)
    done = aviary.process("forget", locked=True)
    assert done.status == 0
    assert done.out == "the Secret Service has forgotten the password of aviary; it is asked for from now on\n"
    assert desktop.held() == {}
    assert not _mark(aviary).exists()
    assert _is_locked(_get(aviary))


def test_forgetting_what_was_never_remembered_is_no_failure(aviary: Aviary):
    for _ in range(2):
        done = aviary.run("forget")
        assert (done.status, done.out) == (0, "nothing is remembered for aviary\n")
    assert aviary.run("history").out == ""


def test_forgetting_what_somebody_removed_from_the_keyring_is_no_failure(aviary: Aviary, desktop: Desktop):
    _remember(aviary)
    desktop.drop()
    assert aviary.process("forget").status == 0
    assert not _mark(aviary).exists()


def test_both_are_in_the_history_by_name_only(aviary: Aviary, desktop: Desktop):
    _remember(aviary)
    aviary.process("forget")
    events = json.loads(aviary.run("history", "--json").out)["events"]
    assert [(event["what"], event["subject"]) for event in events] == [
        ("unlock-remember", "aviary"),
        ("forget", "aviary"),
    ]
    assert aviary.leaked((aviary.state / "history.jsonl").read_bytes()) == []


def test_a_second_project_has_its_own(aviary: Aviary, desktop: Desktop, tmp_path: Path):
    (tmp_path / "second").mkdir()
    other = Aviary(tmp_path / "second")
    other.edit("project: aviary", "project: finches")
    for each in (aviary, other):
        assert _remember(each).status == 0
    assert {service for service, _ in desktop.held()} == {"chronos-secrets.aviary", "chronos-secrets.finches"}
    assert aviary.process("forget").status == 0
    assert _is_locked(_get(aviary))
    assert _is_opened_by_memory(_get(other), other)


# --- a remembered password that does not open the vault ---------------------------------------------------------------


def test_a_changed_password_is_said_and_asked_for(aviary: Aviary, desktop: Desktop):
    _remember(aviary)
    aviary.remake_vault(password=f"changed-{os.urandom(8).hex()}")
    terminal = Terminal(argv("get", "db"), folder=aviary.folder)
    terminal.expect("Password of ")
    assert (
        f"the password from the Secret Service does not open {aviary.vault}; "
        "to remember the new one: chronos-secrets unlock --remember\r\n" in terminal.shown
    )
    terminal.type(f"{aviary.password}\n")
    assert terminal.end().status == 0


def test_a_changed_password_without_a_terminal_is_a_locked_vault(aviary: Aviary, desktop: Desktop):
    _remember(aviary)
    aviary.remake_vault(password=f"changed-{os.urandom(8).hex()}")
    done = _get(aviary)
    assert _is_locked(done)
    assert "to remember the new one: chronos-secrets unlock --remember" in done.err
    assert "hint: --password-file FILE, or --password-fd N" in done.err
    assert _remember(aviary).status == 0
    assert _is_opened_by_memory(_get(aviary), aviary)


def test_remembering_asks_for_the_password_whatever_is_remembered(aviary: Aviary, desktop: Desktop):
    _remember(aviary)
    assert _is_locked(aviary.process("unlock", "--remember"))
    terminal = Terminal(argv("unlock", "--remember"), folder=aviary.folder)
    terminal.expect("Password of ")
    terminal.type(f"{aviary.password}\n")
    assert terminal.end().status == 0


def test_a_password_that_the_keyring_lost_is_said(aviary: Aviary, desktop: Desktop):
    _remember(aviary)
    desktop.drop()
    done = _get(aviary)
    assert _is_locked(done)
    assert "the Secret Service does not hold the password any more; to remember the new one" in done.err


def test_a_damaged_mark_is_said_and_remembering_mends_it(aviary: Aviary, desktop: Desktop):
    _remember(aviary)
    _mark(aviary).write_text("{}")
    done = _get(aviary)
    assert _is_locked(done)
    assert f"{_mark(aviary)} does not say which keyring remembers the password" in done.err
    assert aviary.run("forget").status == 5
    assert _remember(aviary).status == 0
    assert _is_opened_by_memory(_get(aviary), aviary)


# --- a keyring that is away, locked or silent -------------------------------------------------------------------------


def test_a_keyring_that_is_away_stops_nobody_who_can_type(aviary: Aviary, bus: Desktop):
    with bus.gnome_keyring():
        _remember(aviary)
    terminal = Terminal(argv("get", "db"), folder=aviary.folder)
    terminal.expect("Password of ")
    terminal.type(f"{aviary.password}\n")
    done = terminal.end()
    assert done.status == 0
    assert "the remembered password cannot be had: the Secret Service cannot be reached" in done.out


def test_without_a_desktop_session_that_is_said(aviary: Aviary, desktop: Desktop, monkeypatch: pytest.MonkeyPatch):
    _remember(aviary)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    done = _get(aviary)
    assert _is_locked(done)
    assert "the Secret Service cannot be reached: there is no D-Bus session here, as a desktop has" in done.err


def test_forgetting_while_the_keyring_is_away_is_finished_later(aviary: Aviary, bus: Desktop):
    with bus.gnome_keyring():
        _remember(aviary)
    done = aviary.process("forget")
    assert done.status == 7
    assert "cannot be reached; it is not asked any more, but may still hold the password" in done.err
    assert "hint: chronos-secrets forget " in done.err
    with bus.gnome_keyring():
        done = _get(aviary)
        assert _is_locked(done)
        assert "Secret Service" not in done.err
        assert aviary.process("forget").status == 0
        assert bus.held() == {}
    assert not _mark(aviary).exists()


def test_a_locked_keyring_whose_prompt_nobody_answers_is_said(aviary: Aviary, desktop: Desktop):
    desktop.lock()
    done = _remember(aviary)
    assert (done.status, done.out) == (7, "")
    assert "error: the Secret Service is locked, and was not unlocked\n" in done.err
    assert not _mark(aviary).exists()


def test_a_keyring_that_was_locked_since_is_said(aviary: Aviary, desktop: Desktop):
    _remember(aviary)
    desktop.lock()
    done = _get(aviary)
    assert _is_locked(done)
    assert "the remembered password cannot be had: the Secret Service is locked, and was not unlocked" in done.err
    assert aviary.process("forget").status == 7
    assert _mark(aviary).exists()


def test_a_keyring_that_never_answers_is_given_up(aviary: Aviary, bus: Desktop):
    program = (
        "import sys; from chronos_secrets.vault import keyrings; keyrings._PATIENCE = 0.5\n"
        "from chronos_secrets.cli.main import run; sys.exit(run(sys.argv[1:]))"
    )
    command = (sys.executable, "-c", program, "unlock", "--remember", "--password-file", str(aviary.password_file))
    with bus.owner("silent", SECRETS):
        done = alone(command, folder=aviary.folder)
    assert done.status == 7
    assert "error: the Secret Service did not answer within" in done.err
    assert not _mark(aviary).exists()


@pytest.mark.parametrize("error", ["Secret.Error.NoSession", "DBus.Error.NoReply it", "DBus.Error.NoReply"])
def test_a_keyring_that_answers_with_an_error_is_said_in_one_sentence(error, aviary: Aviary, bus: Desktop):
    """keyring hands on whatever comes: an exception of jeepney's, one of secretstorage's, and an IndexError of its."""
    with bus.owner("some-daemon", SECRETS, error=f"org.freedesktop.{error}"):
        done = _remember(aviary)
    assert (done.status, done.out) == (7, "")
    assert "error: the Secret Service cannot be reached\n" in done.err
    assert not _mark(aviary).exists()


# --- which keyrings are trusted ---------------------------------------------------------------------------------------


def test_without_a_keyring_one_sentence_says_so_before_a_password_is_asked_for(
    aviary: Aviary, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND")
    done = aviary.process("unlock", "--remember")
    assert done.status == 7
    assert done.err == (
        "error: there is no keyring to remember the password in: there is no D-Bus session here, as a desktop has\n"
        "hint: --password-file FILE    # in a systemd service: LoadCredential=\n"
    )


REFUSED = {
    "keyring.backends.null.Keyring": "keeps nothing",
    "keyrings.alt.file.PlaintextKeyring": "keeps passwords in a file of its own",
    "elsewhere.Keyring": "is none of those that are trusted with a vault's password",
}
_BACKEND = """
from keyring.backend import KeyringBackend

class {name}(KeyringBackend):
    priority = 9
    def get_password(self, service, username): return None
    def set_password(self, service, username, password): raise SystemExit("it was given the password")
"""


def _install_backend(folder: Path, name: str) -> None:
    """A keyring backend of that name, as pip would install it."""
    module, _, kind = name.rpartition(".")
    path = folder.joinpath(*module.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_BACKEND.format(name=kind))
    about = folder / "backend-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: backend\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[keyring.backends]\nit = {module}\n")


@pytest.mark.parametrize("name", REFUSED)
def test_another_keyring_is_refused_by_name(name, aviary: Aviary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _install_backend(tmp_path / "installed", name)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "installed"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", name)
    done = _remember(aviary)
    assert (done.status, done.out) == (5, "")
    assert f"error: the keyring {name} is not used: it {REFUSED[name]}" in done.err
    assert not _mark(aviary).exists()


def test_among_several_the_trusted_one_is_used(aviary: Aviary, desktop: Desktop, tmp_path: Path, monkeypatch):
    _install_backend(tmp_path / "installed", "keyrings.alt.file.PlaintextKeyring")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "installed"))
    chosen = alone((sys.executable, "-c", "import keyring; print(keyring.get_keyring())"), folder=tmp_path)
    assert "chainer" in chosen.out
    assert _remember(aviary).status == 0
    assert list(desktop.held().values()) == [aviary.password]
    assert _is_opened_by_memory(_get(aviary), aviary)


def test_several_of_which_none_is_trusted_are_all_named(aviary: Aviary, tmp_path: Path, monkeypatch):
    for number, name in enumerate(("one.Keyring", "two.Keyring")):
        _install_backend(tmp_path / f"installed-{number}", name)
        about = tmp_path / f"installed-{number}" / "backend-1.dist-info"
        about.rename(about.with_name(f"backend{number}-1.dist-info"))
        metadata = about.with_name(f"backend{number}-1.dist-info") / "METADATA"
        metadata.write_text(f"Metadata-Version: 2.1\nName: backend{number}\nVersion: 1\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(tmp_path / f"installed-{n}") for n in (0, 1)))
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND")
    done = _remember(aviary)
    assert done.status == 5
    assert "one.Keyring" in done.err
    assert "two.Keyring" in done.err


def test_a_configured_keyring_that_does_not_exist_is_named(aviary: Aviary, monkeypatch: pytest.MonkeyPatch):
    for name in ("nowhere.Keyring", "keyring.backends.SecretService.Missing", "Keyring", ""):
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", name)
        done = _remember(aviary)
        assert done.status == 7, name
        assert f"error: the keyring {name}" in done.err


@pytest.mark.parametrize("real", [True, False], ids=["real", "stand-in"])
def test_a_secret_service_that_is_keepassxc_is_refused(real, aviary: Aviary, bus: Desktop):
    with bus.keepassxc() if real else bus.owner("keepassxc", SECRETS):
        done = _remember(aviary)
    assert (done.status, done.out) == (5, "")
    assert "error: the Secret Service is KeePassXC itself here: the password that opens the vault would lie" in done.err
    assert not _mark(aviary).exists()


def test_keepassxc_behind_the_proxy_of_a_sandbox_is_known_by_its_window(aviary: Aviary, bus: Desktop):
    with bus.owner("xdg-dbus-proxy", SECRETS, WINDOW):
        assert _remember(aviary).status == 5
    with bus.gnome_keyring(), bus.owner("xdg-dbus-proxy", WINDOW):
        assert _remember(aviary).status == 0


def test_keepassxc_is_not_asked_for_what_another_keyring_remembered(aviary: Aviary, bus: Desktop):
    with bus.gnome_keyring():
        _remember(aviary)
    with bus.owner("keepassxc", SECRETS):
        done = _get(aviary)
        assert _is_locked(done)
        assert "the remembered password cannot be had: the Secret Service is KeePassXC itself here" in done.err


def test_no_command_pays_for_keyring_before_something_is_remembered(aviary: Aviary):
    program = (
        "import sys; from chronos_secrets.cli.main import run; status = run(sys.argv[1:])\n"
        "sys.exit(status or ' '.join({'keyring', 'jeepney', 'secretstorage'} & set(sys.modules)) or 0)"
    )
    for words in (("get", "db"), ("unlock",)):
        command = (sys.executable, "-c", program, *words, "--password-file", str(aviary.password_file))
        done = alone(command, folder=aviary.folder)
        assert (done.status, done.err) == (0, "")
    assert alone((sys.executable, "-c", program, "forget"), folder=aviary.folder).err == ""


def test_the_headless_recipe_of_gnome_keyring_works(aviary: Aviary, monkeypatch: pytest.MonkeyPatch):
    require("gnome-keyring-daemon")
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND")
    script = f"""
        printf nobody | gnome-keyring-daemon --unlock --components=secrets > /dev/null
        "$0" -m chronos_secrets unlock --remember --password-file "{aviary.password_file}" > /dev/null 2>&1 || exit
        "$0" -m chronos_secrets get db
    """
    command = (require("dbus-run-session"), "--", "sh", "-c", script, sys.executable)
    done = alone(command, folder=aviary.folder)
    assert (done.status, done.out) == (0, aviary.values["db.password"])


# --- unlock alone -----------------------------------------------------------------------------------------------------


def test_unlock_says_where_the_password_came_from(aviary: Aviary, desktop: Desktop):
    given = aviary.run("unlock", "--password-file", aviary.password_file)
    assert given.out == f"{aviary.vault} opens with the password from {aviary.password_file}\n"
    assert "asks for it" not in given.err
    _remember(aviary)
    recalled = aviary.process("unlock")
    assert recalled.out == f"{aviary.vault} opens with the password from the Secret Service\n"


def test_unlock_by_typing_says_how_not_to(aviary: Aviary):
    terminal = Terminal(argv("unlock"), folder=aviary.folder)
    terminal.expect("Password of ")
    terminal.type(f"{aviary.password}\n")
    done = terminal.end()
    assert done.status == 0
    assert f"{aviary.vault} opens with the password from the terminal" in done.out
    assert "every command asks for it; to have it remembered: chronos-secrets unlock --remember" in done.out


def test_unlock_without_a_password_is_a_locked_vault(aviary: Aviary):
    assert _is_locked(aviary.process("unlock"))


# --- what systemd hands over ------------------------------------------------------------------------------------------


@pytest.fixture
def credential(aviary: Aviary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that systemd makes for LoadCredential=chronos-secrets.aviary:FILE."""
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700)
    path = folder / "chronos-secrets.aviary"
    path.write_text(f"{aviary.password}\n")
    path.chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return path


def test_a_service_opens_the_vault_with_what_systemd_hands_over(aviary: Aviary, credential: Path):
    assert _is_opened_by_memory(_get(aviary), aviary)
    done = aviary.process("unlock")
    assert done.out == f"{aviary.vault} opens with the password from {credential}\n"


def test_a_credential_of_another_project_is_not_taken(aviary: Aviary, credential: Path):
    credential.rename(credential.with_name("chronos-secrets.finches"))
    assert _is_locked(_get(aviary))


def test_a_credential_comes_after_what_is_given_and_before_the_keyring(
    aviary: Aviary, credential: Path, desktop: Desktop
):
    _remember(aviary)
    assert str(credential) in aviary.process("unlock").out
    credential.chmod(0o600)
    credential.write_text("not the password")
    assert aviary.run("get", "db").status == 0
    assert aviary.process("get", "db", locked=True).status == 4


def test_a_credential_that_others_can_read_is_refused(aviary: Aviary, credential: Path):
    credential.chmod(0o444)
    done = _get(aviary)
    assert done.status == 5
    assert f"the password file {credential} can be read by others or is not yours" in done.err


def test_a_relative_credentials_folder_is_not_systemds(
    aviary: Aviary, credential: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", os.path.relpath(credential.parent, aviary.folder))
    assert _is_locked(_get(aviary))
