"""`render` on other hosts, for real: this machine, ssh, and a container behind it."""

import hashlib
import json
import os
import random
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import chronos
from tests.support.commands import Aviary, Done, accept, in_process
from tests.support.remote import SMALL, Production, production, ssh_by
from tests.support.vaults import CHEAP

pytestmark = pytest.mark.xdist_group("hosts")

HOSTS = """\
  near: {ssh: deploy, sudo: true}
  box: {in: near, container: chronos-db, user: postgres}
  plain: {ssh: plain}
  gone: {ssh: away}
  cut: {ssh: cut, sudo: true}
  changed: {ssh: changed}
"""
ROW = "  {name}: {{host: {host}, path: {path}, dialect: {dialect}, {more}}}\n"


@pytest.fixture(scope="session")
def prod() -> Iterator[Production]:
    with production() as made:
        yield made


@pytest.fixture
def aviary(tmp_path: Path, prod: Production, monkeypatch: pytest.MonkeyPatch) -> Aviary:
    """The project, with hosts that are really there."""
    prod.clean()
    ssh_by(prod.config, tmp_path / "bin", monkeypatch)
    made = Aviary(tmp_path)
    made.edit("  far: {ssh: far-away}\n", f"  far: {{ssh: far-away}}\n{HOSTS}")
    return made


def add(aviary: Aviary, name: str, host: str, path: Path | str, *, dialect: str = "dotenv", more: str = "") -> None:
    """One more destination, made of note.j2 where nothing else is said."""
    more = more or "template: note.j2, uses: {cipher: cipher}"
    row = ROW.format(name=name, host=host, path=path, dialect=dialect, more=more)
    aviary.inventory.write_text(aviary.inventory.read_text() + row)


def note(aviary: Aviary, name: str) -> str:
    """The whole content of a destination that is made of note.j2."""
    header = f"# chronos-secrets: aviary/{name}. Made from the vault: edits are lost, except in a '# local:' block of a dotenv file.\n"
    return f"{header}# what the vault says\nNOTE='{aviary.values['cipher.passphrase']}'\n"


def states(done: Done) -> dict[str, str]:
    table, _, _ = done.out.partition("\n\n")
    return {name: state for name, _, state in (line.split(maxsplit=2) for line in table.splitlines()[1:])}


def facts(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid


def history(aviary: Aviary) -> list[str]:
    events = json.loads(aviary.run("history", "--json").out)["events"]
    return [event["subject"] for event in events if event["what"] == "render"]


# --- production -------------------------------------------------------------------------------------------------------


def test_project_chronos_reaches_its_container_over_ssh(tmp_path: Path, prod: Production, monkeypatch):
    prod.clean()
    ssh_by(prod.config, tmp_path / "bin", monkeypatch)
    folder = tmp_path / "chronos"
    folder.mkdir()
    inventory = folder / "inventory.yaml"
    shutil.copy(chronos.INVENTORY, inventory)
    vault, password = Path(os.environ["HOME"]) / ".secrets" / "project-chronos.kdbx", tmp_path / "password"
    password.write_text("a long enough password")
    password.chmod(0o600)
    values = {"backup-cipher.passphrase": f"canary{os.urandom(8).hex()}", "pgbackrest-chronos.secret_access_key": f"canary{os.urandom(16).hex()}"}  # fmt: skip
    chronos.make_vault(vault, password.read_text(), kdf=CHEAP, values=values)
    accept(inventory)

    def render(*words: str) -> Done:
        done = in_process("render", *words, "--password-file", password, folder=folder)
        assert not [value for value in values.values() if value in done.text]
        return done

    done = render()
    assert done.status == 0
    assert [line.partition(" (")[0] for line in done.err.splitlines()] == [
        "a copy waits for usb",
        "a copy waits for cloud",
    ]
    assert set(states(done).values()) == {"written"}
    made = prod.conf / "pgbackrest.conf"
    assert facts(made) == (0o600, 70, 70)
    lines = made.read_text().splitlines()
    assert {
        "repo1-path=/var/lib/pgbackrest", f"repo1-cipher-pass={values['backup-cipher.passphrase']}",
        f"repo1-s3-key-secret={values['pgbackrest-chronos.secret_access_key']}", "[chronos]", "pg1-port=5432",
    } <= set(lines)  # fmt: skip
    before = made.stat()
    again = render()
    assert (again.status, set(states(again).values())) == (0, {"up to date"})
    assert (made.stat().st_ino, made.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    made.write_text(made.read_text().replace("repo1-retention-full=4", "repo1-retention-full=2"))
    assert render("--check").status == 1
    told = render("--diff", "pgbackrest")
    assert (told.status, "  ~ repo1-retention-full=4" in told.out.splitlines()) == (1, True)
    assert "  prod-db:/etc/pgbackrest/pgbackrest.conf" in told.out
    assert render().status == 0
    assert made.read_text().splitlines() == lines
    assert os.listdir(prod.conf) == ["pgbackrest.conf"]


# --- one file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["near", "box"])
def test_a_file_is_placed_to_the_byte_and_a_second_render_leaves_it(aviary: Aviary, prod: Production, host: str):
    path = prod.data / "there.env"
    add(aviary, "there", host, path, more="owner: nobody, mode: 0440, template: note.j2, uses: {cipher: cipher}")
    for option, status, state in (("--check", 1, "missing"), ("--dry-run", 0, "would be written")):
        done = aviary.run("render", "there", option)
        assert (done.status, states(done)) == (status, {"there": state})
        assert not path.exists()
    assert states(aviary.run("render", "there")) == {"there": "written"}
    assert path.read_text() == note(aviary, "there")
    assert facts(path)[:2] == (0o440, 65534)
    placed = path.stat().st_ino
    assert states(aviary.run("render", "there")) == {"there": "up to date"}
    assert path.stat().st_ino == placed
    assert history(aviary) == ["there"]


def test_a_mode_or_an_owner_that_somebody_changed_is_put_right(aviary: Aviary, prod: Production):
    path = prod.data / "there.env"
    add(aviary, "there", "near", path, more="owner: nobody, template: note.j2, uses: {cipher: cipher}")
    assert aviary.run("render", "there").status == 0
    for change in (lambda: path.chmod(0o644), lambda: os.chown(path, 0, 0)):
        change()
        assert states(aviary.run("render", "there", "--check")) == {"there": "wrong permissions"}
        assert states(aviary.run("render", "there")) == {"there": "written"}
        assert facts(path)[:2] == (0o600, 65534)


def test_a_persons_own_lines_over_there_survive(aviary: Aviary, prod: Production):
    path = prod.data / "there.env"
    add(aviary, "there", "near", path)
    local = b"# local:begin\nMINE='my own'\n  ODD = \xe4\n# local:end\n"
    aviary.run("render", "there")
    path.write_bytes(path.read_bytes() + local)
    assert states(aviary.run("render", "there")) == {"there": "up to date"}
    aviary.template.write_text("NOTE={{ cipher.passphrase }}\nMORE=1\n")
    assert states(aviary.run("render", "there")) == {"there": "written"}
    assert path.read_bytes().endswith(b"\nMORE='1'\n" + local)
    path.write_bytes(path.read_bytes().replace(b"MINE=", b"NOTE="))
    done = aviary.run("render", "there")
    assert (done.status, f"the local block of near:{path} sets NOTE again" in done.err) == (5, True)


def test_a_file_of_somebody_else_over_there_is_kept_or_adopted(aviary: Aviary, prod: Production):
    path, word = prod.data / "there.env", os.urandom(8).hex()
    add(aviary, "there", "near", path)
    path.write_text(f"THEIRS={word}\n")
    done = aviary.run("render", "there")
    assert done.status == 5
    assert f"error: near:{path} was not made by this tool" in done.err
    assert "- THEIRS" in done.err
    assert word not in done.text
    assert path.read_text() == f"THEIRS={word}\n"
    assert aviary.run("render", "there", "--adopt").status == 0
    (kept,) = (aviary.state / "adopted").iterdir()
    assert kept.read_text() == f"THEIRS={word}\n"
    assert path.read_text() == note(aviary, "there")


def test_a_key_over_there_that_the_vault_never_had_is_kept(aviary: Aviary, prod: Production):
    path = prod.data / "key"
    add(aviary, "there", "near", path, dialect="file", more="value: {from: key, field: private_key}")
    path.write_text("somebody's own key")
    done = aviary.run("render", "there")
    assert (done.status, path.read_text()) == (5, "somebody's own key")


def test_a_file_over_there_can_be_brought_by_hand(aviary: Aviary, prod: Production):
    add(aviary, "there", "gone", "/etc/there.env")
    assert aviary.run("render", "there", "--to", "bring").status == 0
    assert (aviary.folder / "bring" / "there.env").read_text() == note(aviary, "there")


# --- hosts that say no ------------------------------------------------------------------------------------------------


def nothing_happened(aviary: Aviary, prod: Production) -> None:
    assert not [path for path in aviary.destinations if path.exists()]
    assert not [each for folder in (prod.data, prod.conf) for each in folder.iterdir()]
    assert not (aviary.state / "after").exists()
    assert history(aviary) == []


@pytest.mark.parametrize(
    ("host", "said", "hint"),
    [
        ("gone", "error: away cannot be reached: ", "hint: ssh away true"),
        ("changed", "error: the host key of changed is not the one this machine knows", "hint: ssh-keygen -f "),
    ],
)
def test_one_host_that_cannot_be_used_keeps_everything_from_being_written(
    aviary: Aviary, prod: Production, host: str, said: str, hint: str
):
    add(aviary, "first", "near", prod.data / "first.env")
    add(aviary, "second", host, "/etc/second.env")
    done = aviary.run("render", locked=True)
    assert done.status == 7
    assert said in done.err
    assert "; nothing was written\n" in done.err
    assert hint in done.err
    nothing_happened(aviary, prod)
    assert aviary.run("render", "first", "env").status == 0


@pytest.mark.parametrize(
    ("host", "path", "said"),
    [
        ("near", "/no/such/folder/file", "there is no folder /no/such/folder on deploy"),
        ("plain", "/etc/file", "/etc on plain cannot be written to"),
        ("box", "/single/file", "/single/file of container chronos-db on deploy is mounted alone"),
    ],
)
def test_a_place_that_no_file_can_take_is_said_before_anything_is_written(
    aviary: Aviary, prod: Production, host: str, path: str, said: str
):
    add(aviary, "first", "near", prod.data / "first.env")
    add(aviary, "second", host, path)
    done = aviary.run("render", locked=True)
    assert done.status == 5
    assert said in done.err
    nothing_happened(aviary, prod)


def test_a_wrong_value_is_said_before_anything_is_placed(aviary: Aviary, prod: Production):
    add(aviary, "there", "near", prod.data / "there.env")
    aviary.remake_vault(db__password='it\'s "both" `of` them')
    done = aviary.run("render", "there", "env")
    assert done.status == 5
    nothing_happened(aviary, prod)


def large(aviary: Aviary) -> bytes:
    """A private key that is larger than what a cut connection carries."""
    content = random.Random(1).randbytes(SMALL).hex()
    aviary.remake_vault(key__private_key=content)
    return content.encode()


LARGE = "value: {from: key, field: private_key}"


def test_a_connection_cut_while_a_file_is_placed_leaves_the_old_one_and_is_finished_later(
    aviary: Aviary, prod: Production, monkeypatch: pytest.MonkeyPatch
):
    content, path = large(aviary), prod.data / "cut"
    path.write_text(aviary.values["cipher.passphrase"])
    path.chmod(0o666)
    add(aviary, "first", "near", prod.data / "first.env")
    add(aviary, "second", "cut", path, dialect="file", more=LARGE)
    add(aviary, "third", "near", prod.data / "third.env")
    monkeypatch.setenv("CUT_THERE", "100000")
    words = ("render", "env", "first", "second", "third", "--adopt")
    done = aviary.run(*words)
    assert done.status == 8
    assert f"error: {path} on cut is the old file or the new one, whole: cut went away while sh ran" in done.err
    assert f"still old: near:{prod.data}/third.env, {aviary.env}\n" in done.err
    assert (prod.data / "first.env").read_text() == note(aviary, "first")
    assert path.read_text() == aviary.values["cipher.passphrase"]
    assert not aviary.env.exists()
    assert history(aviary) == ["first"]
    monkeypatch.delenv("CUT_THERE")
    assert aviary.run(*words).status == 0
    assert path.read_bytes() == content
    assert states(aviary.run(*words)) == dict.fromkeys(words[1:-1], "up to date")


def test_a_cut_first_placing_is_not_taken_for_nothing(
    aviary: Aviary, prod: Production, monkeypatch: pytest.MonkeyPatch
):
    large(aviary)
    add(aviary, "there", "cut", prod.data / "cut", dialect="file", more=LARGE)
    monkeypatch.setenv("CUT_THERE", "100000")
    done = aviary.run("render", "there", "env")
    assert done.status == 8
    assert "is the old file or the new one, whole" in done.err
    assert f"; still old: {aviary.env}\n" in done.err
    assert "nothing was changed" not in done.err


def test_a_disk_that_is_full_over_there_before_anything_was_written_changes_nothing(aviary: Aviary, prod: Production):
    large(aviary)
    add(aviary, "there", "near", prod.small / "there", dialect="file", more=LARGE)
    done = aviary.run("render", "there", "env")
    assert done.status == 7
    assert "No space left on device; the old file is as it was; nothing was changed\n" in done.err
    nothing_happened(aviary, prod)
    assert list(prod.small.iterdir()) == []


def test_a_disk_that_is_full_after_a_first_file_was_placed_names_what_is_still_old(aviary: Aviary, prod: Production):
    large(aviary)
    ran = prod.data / "ran"
    more = f"after: [[touch, {ran}]], template: note.j2, uses: {{cipher: cipher}}"
    add(aviary, "first", "near", prod.data / "first.env", more=more)
    add(aviary, "second", "near", prod.small / "second", dialect="file", more=LARGE)
    done = aviary.run("render", "first", "second", "env")
    assert done.status == 8
    assert f"still old: near:{prod.small}/second, {aviary.env}\n" in done.err
    assert "to look closer: ssh deploy 'sudo df -h" in done.err
    assert (prod.data / "first.env").read_text() == note(aviary, "first")
    assert not aviary.env.exists()
    assert history(aviary) == ["first"]
    assert not ran.exists()
    assert aviary.run("render", "first").status == 0
    assert ran.exists(), "what follows the file that was written is not forgotten"


# --- what containers see ----------------------------------------------------------------------------------------------


def test_a_file_that_a_new_container_would_not_have_is_said(aviary: Aviary):
    add(aviary, "there", "box", "/tmp/passing.env")
    done = aviary.run("render", "there")
    assert done.status == 0
    assert "box:/tmp/passing.env is on no volume: the container loses it when it is made anew\n" in done.err


def test_a_container_that_goes_on_reading_the_old_file_is_said(aviary: Aviary, prod: Production):
    add(aviary, "there", "near", prod.alone / "file")
    before = (prod.alone / "file").read_text()
    done = aviary.run("render", "there", "--adopt")
    assert done.status == 0
    assert "container chronos-db on deploy still reads the old file: /single/file is mounted alone" in done.err
    assert prod.engine("exec", "chronos-db", "cat", "/single/file") == before


# --- after: -----------------------------------------------------------------------------------------------------------


def test_after_commands_run_on_the_host_of_the_file_until_they_succeed(aviary: Aviary, prod: Production):
    path, seen, ready = (prod.data / name for name in ("there.env", "seen", "ready"))
    command = f"[sh, -c, 'cat {path} >> {seen}; cat {path}; cat {path} >&2; test -e {ready}']"
    add(aviary, "there", "box", path, more=f"after: [{command}], template: note.j2, uses: {{cipher: cipher}}")
    done = aviary.run("render", "there")
    assert done.status == 7
    assert (
        f"box:{path} is written, but its after: command failed: sh on container chronos-db on deploy failed with status 1"
        in done.err
    )
    assert "by hand: ssh deploy" in done.err
    assert aviary.leaked(done.text) == [], "what a command prints may be the file itself"
    assert aviary.run("render", "there", "--check").status == 1
    ready.touch()
    assert aviary.run("render", "there").status == 0
    assert aviary.run("render", "there").status == 0
    assert seen.read_text() == note(aviary, "there") * 2


# --- the repository of the backups ------------------------------------------------------------------------------------

CONF = """\
[global]
repo1-type=posix
repo1-path={path}
repo1-cipher-type={cipher}
{passphrase}
[{stanza}]
pg1-path=/var/lib/postgresql
"""


def configuration(aviary: Aviary, *, path: str = "/old", stanza: str = "birds", cipher: str = "aes-256-cbc") -> None:
    passphrase = "" if cipher == "none" else "repo1-cipher-pass={{ cipher.passphrase }}"
    aviary.template.write_text(CONF.format(path=path, cipher=cipher, passphrase=passphrase, stanza=stanza))


@pytest.fixture
def backups(aviary: Aviary, prod: Production) -> Aviary:
    """A project whose pgbackrest.conf is on the host."""
    configuration(aviary)
    aviary.edit(
        "note: {path: out/note, dialect: sh,", f"note: {{host: near, path: {prod.conf}/conf, dialect: pgbackrest,"
    )
    assert aviary.run("render", "note").status == 0
    return aviary


REPO = {
    "path": (lambda aviary: configuration(aviary, path="/new"), "repo1-path /old becomes /new"),
    "stanza": (lambda aviary: configuration(aviary, stanza="other"), "stanza birds becomes other"),
    "pass": (
        lambda aviary: aviary.remake_vault(cipher__passphrase=f"canary{os.urandom(12).hex()}"),
        "repo1-cipher-pass is another one",
    ),
}


@pytest.mark.parametrize("change", REPO)
def test_a_configuration_that_leads_to_another_repository_is_not_written_unasked(
    backups: Aviary, prod: Production, change: str
):
    act, said = REPO[change]
    before, old_pass = (prod.conf / "conf").read_text(), backups.values["cipher.passphrase"]
    act(backups)
    for option in ((), ("--dry-run",)):
        done = backups.run("render", "note", *option)
        assert done.status == 5
        assert f"near:{prod.conf}/conf would lead pgBackRest to another repository; nothing was changed\n" in done.err
        assert [line.strip() for line in done.err.splitlines() if line.startswith("  ")] == [said]
        assert old_pass not in done.text
        assert backups.leaked(done.text) == []
    assert (prod.conf / "conf").read_text() == before
    assert backups.run("render", "note", "--check").status == 1, "looking is not writing"
    (hint,) = (line for line in done.err.splitlines() if line.startswith("hint: "))
    words = hint.removeprefix("hint: chronos-secrets ").partition("  ")[0].split()
    assert backups.run(*words).status == 0
    assert (prod.conf / "conf").read_text() != before


def test_a_cipher_that_goes_is_said_by_its_type(backups: Aviary):
    configuration(backups, cipher="none")
    done = backups.run("render", "note")
    assert done.status == 5
    assert "repo1-cipher-type aes-256-cbc becomes none" in done.err
    assert "repo1-cipher-pass is another one" in done.err


def test_a_handwritten_configuration_for_another_repository_needs_both_words(backups: Aviary, prod: Production):
    theirs = "[global]\nrepo-path=/theirs\n[birds]\npg1-path=/var/lib/postgresql\n"
    (prod.conf / "conf").write_text(theirs)
    done = backups.run("render", "note")
    assert done.status == 5
    assert "repo1-path /theirs becomes /old" in done.err
    assert "hint: chronos-secrets render --accept-repo-change --adopt note " in done.err
    assert backups.run("render", "note", "--accept-repo-change").status == 5
    assert (prod.conf / "conf").read_text() == theirs
    assert backups.run("render", "note", "--accept-repo-change", "--adopt").status == 0


def test_other_settings_change_without_being_asked_about(backups: Aviary, prod: Production):
    backups.template.write_text(f"{backups.template.read_text()}pg1-port=5433\n")
    assert backups.run("render", "note").status == 0
    assert hashlib.sha256((prod.conf / "conf").read_bytes()).digest()
    assert "pg1-port=5433" in (prod.conf / "conf").read_text()
