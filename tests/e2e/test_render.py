"""`render`: the files are right to the byte, private from the start, and nothing else is touched."""

import json
import os
import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support import chronos
from tests.support.commands import Aviary, Done, Terminal, accept, argv, in_process, snapshot
from tests.support.remote import ssh_by
from tests.support.vaults import CHEAP
from tests.support.waiting import until

HEADER = "# chronos-secrets: {}. Made from the vault: edits are lost, except in a '# local:' block of a dotenv file.\n"


@pytest.fixture
def aviary(tmp_path: Path) -> Aviary:
    return Aviary(tmp_path)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _states(done: Done) -> dict[str, str]:
    """What the table says about each destination."""
    table, _, _ = done.out.partition("\n\n")
    rows = [line.split(maxsplit=2) for line in table.splitlines()[1:]]
    return {name: state for name, _, state in rows}


def expected(aviary: Aviary) -> dict[Path, str]:
    """The whole content of every destination, written out by hand."""
    db, jira = aviary.values["db.password"], aviary.values["jira.token"]
    return {
        aviary.env: HEADER.format("aviary/env")
        + f"""DATABASE_HOST='localhost'
DATABASE_PORT='5432'
DATABASE_NAME='birds'
DATABASE_USER='chronos'
DATABASE_PASSWORD='{db}'
DATABASE_SSLMODE='prefer'
DATABASE_URL='postgresql://chronos:{db}@localhost:5432/birds?sslmode=prefer'
JIRA_URL='https://example.atlassian.net'
JIRA_EMAIL='operator@example.org'
JIRA_API_TOKEN='{jira}'
AWS_ACCESS_KEY_ID='{aviary.values["aws.access_key_id"]}'
AWS_SECRET_ACCESS_KEY='{aviary.values["aws.secret_access_key"]}'
""",
        aviary.note: HEADER.format("aviary/note")
        + f"# what the vault says\nNOTE='{aviary.values['cipher.passphrase']}'\n",
        aviary.key_file: aviary.values["key.private_key"],
        aviary.ssh_config: HEADER.format("aviary/ssh-config")
        + f"""Host far-away
    HostName 203.0.113.7
    Port 22
    User ubuntu
    IdentityFile {aviary.key_file}
    IdentitiesOnly yes
""",
    }


def test_every_destination_is_written_to_the_byte_and_0600(aviary: Aviary):
    done = aviary.run("render")
    assert (done.status, done.err) == (0, "")
    assert {path: path.read_text() for path in aviary.destinations} == expected(aviary)
    assert {_mode(path) for path in aviary.destinations} == {0o600}
    assert {_mode(path.parent) for path in aviary.destinations} == {0o700}
    assert _states(done) == dict.fromkeys(("env", "note", "key-file", "ssh-config"), "written")
    assert aviary.leaked(done.text) == []


def test_a_private_key_is_every_byte_of_its_attachment_and_nothing_more(aviary: Aviary):
    aviary.remake_vault(key__private_key=f"-----BEGIN\n{os.urandom(20).hex()}\r\n\n-----END")
    assert aviary.run("render", "key-file").status == 0
    assert aviary.key_file.read_bytes() == aviary.values["key.private_key"].encode()


def test_a_second_render_writes_nothing(aviary: Aviary):
    aviary.run("render")
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in aviary.destinations}
    assert set(_states(aviary.run("render")).values()) == {"up to date"}
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in aviary.destinations} == before


def test_only_the_named_destinations_are_written(aviary: Aviary):
    assert set(_states(aviary.run("render", "note"))) == {"note"}
    assert [path.exists() for path in aviary.destinations] == [False, True, False, False]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_mode_is_the_inventorys_whatever_the_umask_is(aviary: Aviary, umask: int):
    aviary.edit("{path: out/note,", "{path: out/note, mode: 0440,")
    os.umask(umask)
    assert aviary.run("render", "env", "note").status == 0
    assert (_mode(aviary.env), _mode(aviary.note)) == (0o600, 0o440)


def test_a_mode_that_somebody_widened_is_drift_and_is_put_right(aviary: Aviary):
    aviary.run("render")
    aviary.env.chmod(0o644)
    done = aviary.run("render", "--check")
    assert done.status == 1
    assert _states(done)["env"] == "wrong permissions"
    assert "~ mode 0644 becomes 0600" in aviary.run("render", "--diff").out
    assert _states(aviary.run("render"))["env"] == "written"
    assert _mode(aviary.env) == 0o600


@pytest.mark.parametrize(("option", "status", "state"), [
    ("--check", 1, {"env": "missing", "note": "out of date", "ssh-config": "up to date"}),
    ("--diff", 1, {"env": "missing", "note": "out of date", "ssh-config": "up to date"}),
    ("--dry-run", 0, {"env": "would be written", "note": "would be written", "ssh-config": "up to date"}),
])  # fmt: skip
def test_what_would_change_is_said_and_nothing_is_written(
    aviary: Aviary, option: str, status: int, state: dict[str, str]
):
    aviary.run("render")
    aviary.env.unlink()
    aviary.template.write_text("NOTE={{ cipher.passphrase }}\nMORE=plain\n")
    before = snapshot(aviary.root)
    done = aviary.run("render", option)
    assert done.status == status
    assert _states(done) | state == _states(done)
    assert snapshot(aviary.root) == before
    assert aviary.leaked(done.text) == []


def test_check_is_content_when_nothing_would_change(aviary: Aviary):
    aviary.run("render")
    for option in ("--check", "--diff", "--dry-run"):
        done = aviary.run("render", option)
        assert done.status == 0
        assert set(_states(done).values()) == {"up to date"}


def test_a_diff_names_keys_and_never_a_value(aviary: Aviary):
    aviary.run("render")
    aviary.template.write_text("OTHER={{ cipher.passphrase }}\nPLAIN=word\n")
    aviary.remake_vault(db__password=f"canary{os.urandom(12).hex()}")
    done = aviary.run("render", "--diff")
    assert done.status == 1
    lines = done.out.splitlines()
    assert "  ~ DATABASE_PASSWORD=‹db.password›" in lines
    assert "  ~ DATABASE_URL=postgresql://chronos:‹db.password›@localhost:5432/birds?sslmode=prefer" not in lines
    assert any(line.startswith("  ~ DATABASE_URL=postgresql://‹db.username›:‹db.password›@") for line in lines)
    assert [line for line in lines if "NOTE" in line or "OTHER" in line or "PLAIN" in line] == [
        "  - NOTE", "  + OTHER=‹cipher.passphrase›", "  + PLAIN=word",
    ]  # fmt: skip
    assert aviary.leaked(done.text) == []


def test_a_diff_takes_no_line_of_an_old_value_for_a_key(aviary: Aviary):
    """A value over several lines, and values with the other quotes in them."""
    aviary.env.parent.mkdir()
    aviary.run("render")
    first, second, third = (os.urandom(12).hex() for _ in range(3))
    aviary.env.write_text(
        HEADER.format("aviary/env")
        + f"OLD='begin\nK{first}=x\nend'\nSECOND=\"it's\nK{second}=y\"\nTHIRD=`a\nK{third}=z`\n"
    )
    done = aviary.run("render", "--diff", "env")
    assert [line for line in done.out.splitlines() if line.startswith("  -")] == ["  - OLD", "  - SECOND", "  - THIRD"]
    assert not any(word in done.text for word in (first, second, third))


def test_json_says_what_the_table_says(aviary: Aviary):
    aviary.run("render", "env")
    told = json.loads(aviary.run("render", "--diff", "--json").out)
    assert told["version"] == 1
    assert {row["id"]: row["state"] for row in told["destinations"]} == {
        "env": "up to date", "note": "missing", "key-file": "missing", "ssh-config": "missing",
    }  # fmt: skip
    assert told["changes"]["note"] == ["+ NOTE=‹cipher.passphrase›"]
    assert told["changes"]["key-file"] == ["+ the whole content"]


def test_to_writes_everything_into_one_folder_and_leaves_the_real_places_alone(aviary: Aviary):
    done = aviary.run("render", "--to", "copy")
    assert done.status == 0
    contents = expected(aviary)
    copies = {path.name: path for path in (aviary.folder / "copy").iterdir()}
    assert {name: path.read_text() for name, path in copies.items()} == {
        path.name: text for path, text in contents.items()
    }
    assert {_mode(path) for path in copies.values()} == {0o600}
    assert not any(path.exists() for path in aviary.destinations)


# --- other hosts ------------------------------------------------------------------------------------------------------

REMOTE = "  there: {host: far, path: /etc/there.env, dialect: sh, template: note.j2, owner: nobody-there, uses: {cipher: cipher}}\n"


def away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `ssh` the real one, with a configuration by which no host can be reached."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    config = folder / "ssh_config"
    config.write_text(f"Host *\n    HostName 127.0.0.1\n    Port {port}\n")
    ssh_by(config, folder / "bin", monkeypatch)


@pytest.mark.parametrize("option", [(), ("--check",), ("--diff",), ("--dry-run",)])
def test_a_host_that_is_away_is_said_before_anything_is_written(
    aviary: Aviary, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...]
):
    aviary.inventory.write_text(aviary.inventory.read_text() + REMOTE)
    away(aviary.root, monkeypatch)
    before = snapshot(aviary.folder)
    done = aviary.run("render", *option, locked=True)  # nobody has to type a password to hear it
    assert done.status == 7
    assert "error: far-away cannot be reached: " in done.err
    assert "; nothing was written\n" in done.err
    assert "hint: ssh far-away true\n" in done.err
    assert snapshot(aviary.folder) == before


@pytest.mark.parametrize(
    ("option", "status", "state"),
    [((), 0, "written"), (("--check",), 1, "missing"), (("--diff",), 1, "missing"), (("--dry-run",), 0, "would be written")],
)  # fmt: skip
def test_this_machines_files_alone_need_no_other_host(
    aviary: Aviary, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...], status: int, state: str
):
    aviary.inventory.write_text(aviary.inventory.read_text() + REMOTE)
    away(aviary.root, monkeypatch)
    (line,) = (line for line in aviary.run("render", *option).err.splitlines() if "files alone: " in line)
    done = aviary.run(*line.partition("files alone: chronos-secrets ")[2].split())
    assert (done.status, done.err) == (status, "")
    assert _states(Done(0, done.out.partition("\n\n")[0], "")) == dict.fromkeys(
        ("env", "note", "key-file", "ssh-config"), state
    )


def test_who_asked_for_another_hosts_file_alone_is_not_told_to_render_this_machines(
    aviary: Aviary, monkeypatch: pytest.MonkeyPatch
):
    aviary.inventory.write_text(aviary.inventory.read_text() + REMOTE)
    away(aviary.root, monkeypatch)
    assert "files alone" not in aviary.run("render", "--host", "far").err


def test_a_host_that_the_inventory_does_not_name_is_a_mistake(aviary: Aviary):
    done = aviary.run("render", "--host", "fra")
    assert (done.status, "hint: did you mean far?" in done.err) == (2, True)


def test_what_belongs_on_another_host_can_be_brought_there_by_hand(aviary: Aviary, monkeypatch: pytest.MonkeyPatch):
    """The file's owner exists over there, and here it is only on its way."""
    aviary.inventory.write_text(aviary.inventory.read_text() + REMOTE)
    away(aviary.root, monkeypatch)
    done = aviary.run("render", "there", "--to", "bring")
    assert (done.status, done.err) == (0, "")
    assert aviary.values["cipher.passphrase"] in (aviary.folder / "bring" / "there.env").read_text()


# --- local lines and files of other people ----------------------------------------------------------------------------

LOCAL = "# local:begin\nexport MINE='my own'\n  ODD = \xe4\xf6\xfc\n\n# local:end\n"


def test_local_lines_survive_to_the_byte_and_stay_at_the_end(aviary: Aviary):
    aviary.run("render")
    ours = aviary.env.read_bytes()
    local = LOCAL.encode("latin-1")  # no UTF-8, and none of our business
    aviary.env.write_bytes(
        b"# a line that is lost\n".join(ours.split(b"\n", 1)[:1]) + b"\nLOST=1\n" + local + b"AFTER=1\n"
    )
    for _ in range(2):
        assert aviary.run("render", "env").status == 0
        assert aviary.env.read_bytes() == ours + local


def test_local_lines_are_no_drift_and_are_not_shown(aviary: Aviary):
    aviary.run("render")
    word = os.urandom(12).hex()
    aviary.env.write_text(f"{aviary.env.read_text()}# local:begin\nMY_TOKEN={word}\n# local:end\n")
    done = aviary.run("render", "--diff")
    assert done.status == 0
    assert word not in done.text
    aviary.remake_vault(db__password=f"canary{os.urandom(12).hex()}")
    done = aviary.run("render", "--diff")
    assert done.status == 1
    assert "MY_TOKEN" not in done.text


@pytest.mark.parametrize(
    "line", ["DATABASE_PASSWORD=x", "export  DATABASE_PASSWORD='x'", "  DATABASE_PASSWORD = x", "DATABASE_PASSWORD: x"]
)
def test_a_local_block_may_not_set_again_what_the_vault_says(aviary: Aviary, line: str):
    """It stands last, so every reader would take it."""
    aviary.run("render")
    aviary.env.write_text(f"{aviary.env.read_text()}# local:begin\nMINE=1\n{line}\n# local:end\n")
    before = snapshot(aviary.root)
    for option in ((), ("--check",), ("--diff",), ("--dry-run",)):
        done = aviary.run("render", "env", *option)
        assert done.status == 5
        assert f"the local block of {aviary.env} sets DATABASE_PASSWORD again" in done.err
    assert snapshot(aviary.root) == before


def test_a_name_of_ours_within_a_quoted_local_value_sets_nothing(aviary: Aviary):
    aviary.run("render")
    aviary.env.write_text(f"{aviary.env.read_text()}# local:begin\nMINE='a\nDATABASE_PASSWORD=x\n'\n# local:end\n")
    assert aviary.run("render", "env").status == 0


def test_an_adopted_file_is_kept_byte_for_byte_in_the_state_folder(aviary: Aviary):
    aviary.env.parent.mkdir()
    mine = b"MINE=1\n# local:begin\nKEPT=1\n# local:end\n\xff"
    aviary.env.write_bytes(mine)
    before = snapshot(aviary.folder)
    refused = aviary.run("render")
    assert refused.status == 5
    assert "- MINE" in refused.err
    assert snapshot(aviary.folder) == before
    assert aviary.run("render", "--adopt").status == 0
    (kept,) = (aviary.state / "adopted").iterdir()
    assert (kept.read_bytes(), _mode(kept)) == (mine, 0o600)
    assert aviary.env.read_text() == expected(aviary)[aviary.env] + "# local:begin\nKEPT=1\n# local:end\n"


def test_a_file_that_somebody_made_and_that_is_right_already_needs_no_adoption(aviary: Aviary):
    for path, text in expected(aviary).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
    assert set(_states(aviary.run("render")).values()) == {"up to date"}


def test_a_key_that_the_vault_had_before_is_ours_and_one_it_never_had_is_not(aviary: Aviary):
    from chronos_secrets.secret import Secret
    from tests.support.vaults import NOW

    aviary.run("render", "key-file")
    with aviary.opened() as vault:
        entry = vault.entries.at(("SSH Keys", "Key"))
        assert entry is not None
        vault.entries.change(entry, now=NOW, attachments={entry.attachment_names[0]: Secret("a new key")})
    assert _states(aviary.run("render", "key-file")) == {"key-file": "written"}
    aviary.key_file.write_text("somebody's own key")
    assert aviary.run("render", "key-file").status == 5
    assert aviary.key_file.read_text() == "somebody's own key"


def test_a_header_of_another_project_or_destination_is_not_ours(aviary: Aviary):
    aviary.env.parent.mkdir()
    for header in (HEADER.format("other/env"), HEADER.format("aviary/note"), HEADER.format("aviary/env2")):
        aviary.env.write_text(f"{header}A=1\n")
        assert aviary.run("render", "env").status == 5
        assert aviary.env.read_text() == f"{header}A=1\n"


# --- git --------------------------------------------------------------------------------------------------------------


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(("git", "-C", str(folder), *arguments), check=True, capture_output=True)


def test_in_a_work_tree_a_file_is_written_where_git_ignores_it(aviary: Aviary):
    _git(aviary.folder, "init", "--quiet")
    (aviary.folder / ".gitignore").write_text("/out/\n*.kdbx\n")
    assert aviary.run("render").status == 0


def test_the_hints_for_a_file_that_git_sees_work_when_they_are_pasted(aviary: Aviary):
    _git(aviary.folder, "init", "--quiet")
    aviary.env.parent.mkdir()
    aviary.env.write_text("")
    _git(aviary.folder, "add", "--force", "out/.env")
    for _ in range(3):
        done = aviary.run("render", "env", "note", "--adopt")
        if done.status == 0:
            break
        (hint,) = (line.removeprefix("hint: ") for line in done.err.splitlines() if line.startswith("hint: "))
        subprocess.run(("sh", "-c", hint), cwd=aviary.folder, check=True, capture_output=True)
    assert done.status == 0
    tracked = subprocess.run(
        ("git", "-C", aviary.folder, "status", "--porcelain"), capture_output=True, text=True, check=True
    )
    assert "out/" not in tracked.stdout.replace("D  out/.env", "")


# --- after: -----------------------------------------------------------------------------------------------------------


def after(aviary: Aviary, *commands: str) -> None:
    aviary.edit("template: note.j2, ", f"template: note.j2, after: [{', '.join(commands)}], ")


def test_after_commands_run_in_order_without_a_shell_once_the_file_is_there(aviary: Aviary):
    after(aviary, '[sh, -c, "cat out/note >> seen; echo first >> seen"]', "[touch, '$(id)', 'a b;c']")
    assert aviary.run("render", "note").status == 0
    assert (aviary.folder / "seen").read_text() == aviary.note.read_text() + "first\n"
    assert (aviary.folder / "$(id)").exists()
    assert (aviary.folder / "a b;c").exists()
    assert aviary.run("render", "note").status == 0
    assert (aviary.folder / "seen").read_text().count("first") == 1


def test_a_failed_after_command_keeps_the_file_ends_with_7_and_runs_again_next_time(aviary: Aviary):
    after(aviary, "[sh, -c, 'echo run >> seen; test -e ready']")
    done = aviary.run("render", "note")
    assert done.status == 7
    assert f"error: {aviary.note} is written, but its after: command failed: sh failed with status 1\n" in done.err
    assert "hint: chronos-secrets render note " in done.err
    assert aviary.note.read_text() == expected(aviary)[aviary.note]
    (aviary.folder / "ready").touch()
    assert aviary.run("render", "note").status == 0
    assert aviary.run("render", "note").status == 0
    assert (aviary.folder / "seen").read_text() == "run\nrun\n"


def test_ctrl_c_in_the_middle_says_how_to_finish(aviary: Aviary):
    after(aviary, "[sh, -c, 'test -e ready || { touch started; sleep 60; }']")
    terminal = Terminal(argv("render", "--password-file", aviary.password_file), folder=aviary.folder)
    until((aviary.folder / "started").exists, "the command does not start")
    terminal.type("\x03")
    done = terminal.end()
    assert done.status == 130
    assert "\nsome files may be new and others old; to finish: chronos-secrets render\r\n" in done.out
    assert done.out.endswith("interrupted\r\n")
    (aviary.folder / "ready").touch()
    assert _states(aviary.run("render"))["note"] == "up to date; its after: command ran"


def test_an_after_command_that_is_not_there_is_told(aviary: Aviary):
    after(aviary, "[no-such-program-anywhere]")
    done = aviary.run("render", "note")
    assert done.status == 7
    assert "no-such-program-anywhere could not be started: " in done.err


def test_after_commands_do_not_run_for_a_refused_or_a_tried_render(aviary: Aviary):
    after(aviary, "[touch, ran]")
    aviary.note.parent.mkdir()
    aviary.note.write_text("somebody's\n")
    assert aviary.run("render").status == 5
    for option in ("--check", "--diff"):
        assert aviary.run("render", option).status == 1
    aviary.note.write_text(expected(aviary)[aviary.note])
    aviary.note.chmod(0o600)
    assert aviary.run("render").status == 0
    assert not (aviary.folder / "ran").exists()


def test_after_commands_do_not_run_for_a_copy_elsewhere(aviary: Aviary):
    after(aviary, "[touch, ran]")
    assert aviary.run("render", "--to", "copy").status == 0
    assert not (aviary.folder / "ran").exists()


# --- Project Chronos --------------------------------------------------------------------------------------------------


def test_project_chronos_is_rendered_and_the_servers_file_can_be_brought(tmp_path: Path):
    folder = tmp_path / "chronos"
    folder.mkdir()
    shutil.copy(chronos.INVENTORY, folder / "inventory.yaml")
    secret, token = f"canary{os.urandom(8).hex()}", f"canary{os.urandom(8).hex()}"
    home = Path(os.environ["HOME"])
    vault, password = home / ".secrets" / "project-chronos.kdbx", tmp_path / "password"
    password.write_text("a long enough password")
    password.chmod(0o600)
    chronos.make_vault(
        vault, password.read_text(), kdf=CHEAP,
        values={"postgres-chronos.password": secret, "jira-token.token": token, "backup-cipher.passphrase": secret[::-1]},
    )  # fmt: skip
    accept(folder / "inventory.yaml")
    done = in_process("render", "--host", "local", "--password-file", password, folder=folder)
    assert done.status == 0
    assert [line.partition(" (")[0] for line in done.err.splitlines()] == [
        "a copy waits for usb",
        "a copy waits for cloud",
    ]
    assert f"\nDATABASE_PASSWORD='{secret}'\n" in (folder / ".env").read_text()
    assert f"\nJIRA_API_TOKEN='{token}'\n" in (folder / ".env").read_text()
    assert "HostName 203.0.113.7" in (home / ".ssh/config.d/project-chronos").read_text()
    assert "PRIVATE KEY" in (home / ".ssh/aws-lightsail/chronos-prod-db").read_text()
    done = in_process("render", "pgbackrest", "--to", "bring", "--password-file", password, folder=folder)
    assert (done.status, done.err) == (0, "")
    made = folder / "bring" / "pgbackrest.conf"
    assert f"\nrepo1-cipher-pass={secret[::-1]}\n" in made.read_text()
    assert _mode(made) == 0o600


@pytest.mark.parametrize("mark", ["# local:begin", "# local:end"])
def test_a_template_may_not_write_the_marks_of_a_persons_own_block(aviary: Aviary, mark: str):
    (aviary.folder / "note.j2").write_text(f"A=1\n{mark}\n")
    done = aviary.run("render", "note")
    assert done.status == 5
    assert "would hold a line '# local:begin' or '# local:end' of its own" in done.err


def test_a_command_that_still_has_to_succeed_is_no_up_to_date_destination(aviary: Aviary):
    flag = aviary.folder / "flag"
    aviary.edit("uses: {cipher: cipher}}", f"uses: {{cipher: cipher}}, after: [[test, -e, {flag}]]}}")
    assert aviary.run("render").status == 7
    for mode in ("--check", "--diff"):
        done = aviary.run("render", mode)
        assert (done.status, "has not succeeded yet" in " ".join(done.out.split())) == (1, True)
    flag.touch()
    done = aviary.run("render")
    assert (done.status, "its after: command ran" in " ".join(done.out.split())) == (0, True)
    assert aviary.run("render", "--check").status == 0
