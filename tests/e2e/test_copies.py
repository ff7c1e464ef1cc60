"""`vault copy`, `copies`, `verify` and `prune`, and the copies that follow a change, as a person meets them."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chronos_secrets.cli import copying, memory
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Exit, VaultChanged
from chronos_secrets.settings import Flags
from chronos_secrets.vault import kdf, store
from chronos_secrets.vault.copies import catalogue
from chronos_secrets.vault.store import Vault
from tests.support import keepassxc
from tests.support.clock import hold_clock
from tests.support.commands import Terminal, argv, process
from tests.support.copied import Copied
from tests.support.programs import require


@pytest.fixture
def aviary(tmp_path: Path) -> Copied:
    return Copied(tmp_path)


@pytest.fixture
def copied(aviary: Copied) -> Copied:
    """With a copy in each place, made by hand."""
    aviary.plug_in()
    assert aviary.open("vault", "copy").status == Exit.OK
    return aviary


@pytest.fixture
def derivations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One item for each key that is derived."""
    done: list[str] = []
    derive = kdf._transform
    monkeypatch.setattr(kdf, "_transform", lambda *given: (done.append("once"), derive(*given))[1])
    return done


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The moment that it is while the test lasts: midnight may come meanwhile."""
    return hold_clock(monkeypatch)


def _due(aviary: Copied, *options: str) -> dict[str, dict[str, str]]:
    rows = json.loads(aviary.run("due", "--json", *options).out)["rows"]
    return {row["id"]: row for row in rows if row["kind"] == "copy"}


# --- copying by hand --------------------------------------------------------------------------------------------------


def test_a_copy_is_the_vault_byte_for_byte_private_and_opened(aviary: Copied):
    done = aviary.open("vault", "copy", "near")
    assert done.status == Exit.OK
    (copy,) = aviary.files(aviary.near)
    assert copy.read_bytes() == aviary.vault.read_bytes()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert done.out.splitlines()[1].split()[0] == "near"
    assert "copied, and opened" in done.out
    assert not aviary.leaked(done.text)


def test_keepassxc_opens_a_copy(copied: Copied):
    require("keepassxc-cli")
    for place in (copied.near, copied.stick):
        assert keepassxc.opens(copied.files(place)[0], password=copied.password)


def test_copying_the_same_vault_again_makes_no_second_file_but_looks_at_the_first(copied: Copied):
    done = copied.open("vault", "copy")
    assert done.status == Exit.OK
    assert done.out.count("already there, and opened") == 3
    assert len(copied.files(copied.near)) == 1


def test_a_copy_that_was_damaged_since_is_replaced_by_a_good_one(copied: Copied):
    (copy,) = copied.files(copied.near)
    copy.write_bytes(copy.read_bytes()[:-1])
    copied.backdate("near", 1)
    done = copied.open("vault", "copy", "near")
    assert "copied, and opened" in done.out
    assert copied.files(copied.near)[-1].read_bytes() == copied.vault.read_bytes()


def test_a_place_that_is_away_stops_no_other_and_is_said(aviary: Copied):
    done = aviary.open("vault", "copy")
    assert done.status == Exit.INCOMPLETE
    assert len(aviary.files(aviary.near)) == len(aviary.files(aviary.before)) == 1
    assert "waits: the folder" in " ".join(done.out.split())
    assert not aviary.stick.parent.exists()
    alone = aviary.open("vault", "copy", "stick")
    assert alone.status == Exit.TARGET


def test_making_opening_and_verifying_copies_derives_the_key_once(aviary: Copied, derivations: list[str]):
    aviary.plug_in()
    assert aviary.open("vault", "copy").status == Exit.OK
    assert len(derivations) == 1
    assert aviary.open("vault", "verify").status == Exit.OK
    assert len(derivations) == 2


def test_a_copy_that_does_not_exist_is_named_with_its_nearest(aviary: Copied):
    for command in ("copy", "copies", "verify", "restore"):
        done = aviary.run("vault", command, "nearr") if command == "copies" else aviary.open("vault", command, "nearr")
        assert done.status == Exit.USAGE, command
        assert "there is no copy 'nearr'" in done.err
        assert "did you mean near?" in done.err


def test_a_second_run_at_the_same_time_is_told_to_wait(aviary: Copied, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(catalogue, "_LOCK_WAIT", 0.1)
    aviary.state.mkdir(parents=True, exist_ok=True)
    with catalogue.held(aviary.state):
        assert aviary.open("vault", "copy", "near").status == Exit.BUSY
        assert aviary.open("vault", "verify").status == Exit.BUSY
        done = aviary.open("get", "jira")  # which only comes by
    assert done.status == Exit.OK
    assert "no copy of the vault was made: another run" in done.err
    assert not aviary.files(aviary.near)


def test_ctrl_c_at_the_password_copies_nothing(aviary: Copied):
    terminal = Terminal(argv("vault", "copy"), folder=aviary.folder)
    terminal.expect("Password of ")
    terminal.interrupt()
    assert terminal.end().status == Exit.INTERRUPTED
    assert not aviary.near.exists()


# --- copies that follow a change --------------------------------------------------------------------------------------


def test_a_change_by_this_tool_is_copied_after_it_and_the_state_before_it_where_that_is_asked_for(aviary: Copied):
    before = aviary.vault.read_bytes()
    done = aviary.save_by_us()
    assert done.status == Exit.OK
    assert aviary.vault.read_bytes() != before
    assert [each.read_bytes() for each in aviary.files(aviary.near)] == [aviary.vault.read_bytes()]
    assert [each.read_bytes() for each in aviary.files(aviary.before)] == [before]
    assert "copied the vault to " in done.err
    assert aviary.known.of("before")[-1].was_opened


def test_the_state_before_a_change_is_copied_though_more_was_saved_than_previous_ones_are_kept(aviary: Copied):
    before = aviary.vault.read_bytes()
    session = Session(Flags(str(aviary.inventory)), password_file=str(aviary.password_file))
    for _ in range(store.PREVIOUS_KEPT + 2):
        session.vault.save(session.now())
    memory.finish(session)
    assert [each.read_bytes() for each in aviary.files(aviary.before)] == [before]
    assert [each.read_bytes() for each in aviary.files(aviary.near)] == [aviary.vault.read_bytes()]


def test_the_copy_after_a_change_is_newer_than_the_one_before_it_in_the_same_place(aviary: Copied):
    aviary.edit("when: [before-change]", "when: [before-change, after-change]")
    before = aviary.vault.read_bytes()
    aviary.save_by_us()
    copies = aviary.files(aviary.before)
    assert [each.read_bytes() for each in copies] == [before, aviary.vault.read_bytes()]
    assert len({each.name.split("-")[1] for each in copies}) == 2
    assert aviary.open("vault", "verify", "before").status == Exit.OK


def test_the_state_before_a_change_waits_where_ctrl_c_ended_the_command(
    aviary: Copied, monkeypatch: pytest.MonkeyPatch
):
    before = aviary.vault.read_bytes()
    save = Vault.save

    def interrupted(vault: Vault, now: datetime) -> None:
        save(vault, now)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Vault, "save", interrupted)
        assert aviary.save_by_us().status == Exit.INTERRUPTED
    assert not aviary.before.exists(), "nobody waits for a copy then"
    assert "copied the vault to near, before" in aviary.open("get", "jira").err
    assert [each.read_bytes() for each in aviary.files(aviary.before)] == [before]


def test_the_state_before_a_change_is_what_keepassxc_saved_while_the_command_ran(aviary: Copied):
    session = Session(Flags(str(aviary.inventory)), password_file=str(aviary.password_file))
    assert session.vault.path == aviary.vault
    aviary.save_by_keepassxc()
    before = aviary.vault.read_bytes()
    session.vault.reload()
    session.vault.save(session.now())
    memory.finish(session)
    assert [each.read_bytes() for each in aviary.files(aviary.before)] == [before]


def test_a_copy_that_cannot_be_made_fails_no_command_and_is_made_by_the_next_run_that_can(aviary: Copied):
    done = aviary.save_by_us()
    assert done.status == Exit.OK
    assert "a copy waits for stick" in done.err
    aviary.plug_in()
    done = aviary.open("get", "jira")
    assert done.status == Exit.OK
    assert done.err == "copied the vault to stick\n"
    assert [each.read_bytes() for each in aviary.files(aviary.stick)] == [aviary.vault.read_bytes()]
    assert aviary.open("get", "jira").err == ""


def test_a_copy_that_waits_is_spoken_of_once_a_day_and_after_every_change(aviary: Copied):
    assert "a copy waits for stick" in aviary.open("get", "jira").err
    assert aviary.open("get", "jira").err == ""
    assert "a copy waits for stick" in aviary.save_by_us().err
    found = aviary.known
    yesterday = found.queued["stick"]._replace(told=datetime.now(UTC) - timedelta(hours=25))
    catalogue.store(aviary.state / catalogue.FILE, catalogue.with_queued(found, "stick", yesterday))
    assert "a copy waits for stick" in aviary.open("get", "jira").err
    assert aviary.open("get", "jira").err == ""


def test_a_change_by_keepassxc_is_noticed_by_the_next_command_that_opens_the_vault(copied: Copied):
    copied.save_by_keepassxc()
    done = copied.open("get", "jira")
    assert done.err == "copied the vault to near, stick\n"
    assert copied.vault.read_bytes() in [each.read_bytes() for each in copied.files(copied.near)]
    assert copied.open("get", "jira").err == ""


def test_a_clock_that_was_set_back_makes_no_copy_after_copy(copied: Copied):
    copied.backdate("near", -400)
    copied.backdate("stick", -400)
    copied.save_by_keepassxc()
    assert copied.open("get", "jira").err == "copied the vault to near, stick\n"
    assert copied.open("get", "jira").err == ""
    assert len(copied.files(copied.near)) == 2
    assert _due(copied)["near"]["state"] == "ok"
    assert "future" in copied.run("vault", "copies").out


def test_a_state_before_a_change_waits_too_and_is_copied_from_what_saves_keep(aviary: Copied):
    before = aviary.vault.read_bytes()
    aviary.before.symlink_to(aviary.root)
    done = aviary.save_by_us()
    assert done.status == Exit.OK
    assert "a copy waits for before" in done.err
    aviary.before.unlink()
    assert "copied the vault to before" in aviary.open("get", "jira").err
    assert [each.read_bytes() for each in aviary.files(aviary.before)] == [before]


def test_a_command_that_fails_after_the_vault_was_opened_still_has_its_changes_copied(aviary: Copied):
    with aviary.opened() as vault:
        for name in ("DB", "DB"):
            vault.entries.add(("Database", name), now=datetime.now(UTC))
    done = aviary.open("get", "db")
    assert done.status == Exit.VAULT
    assert len(aviary.files(aviary.near)) == 1


def test_nothing_is_copied_to_a_place_that_nobody_accepted_on_this_machine(aviary: Copied):
    assert aviary.run("trust", "--revoke").status == Exit.OK
    aviary.trusting = False
    done = aviary.save_by_us()
    assert done.status == Exit.OK
    assert done.err.count("not accepted on this machine yet") == 1
    assert "copies wait for near (in " in done.err
    assert aviary.open("vault", "copy").status == Exit.REFUSED
    assert "not accepted" in aviary.run("vault", "copies").out
    assert not aviary.near.exists()


def test_keeping_so_many_removes_the_others_and_says_so(aviary: Copied):
    aviary.edit(f"path: {aviary.near}}}", f"path: {aviary.near}, keep: {{last: 2}}}}")
    for days in (3, 2, 1):
        aviary.save_by_keepassxc(Notes=f"changed {days}")
        assert aviary.open("vault", "copy", "near").status == Exit.OK
        aviary.backdate("near", days)
    aviary.save_by_keepassxc(Notes="changed at last")
    done = aviary.open("vault", "copy", "near")
    assert "copied, and opened: 1 old removed" in done.out
    assert len(aviary.files(aviary.near)) == 2


def test_ctrl_c_while_copies_are_made_leaves_the_command_as_it_ended(aviary: Copied, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object) -> Iterator[None]:
        raise KeyboardInterrupt

    monkeypatch.setattr(copying, "to_places", interrupted)
    done = aviary.save_by_us()
    assert done.status == Exit.OK
    assert "what was left to do is done by the next run" in done.err


def test_a_state_before_a_change_waits_until_its_place_is_accepted(aviary: Copied):
    before = aviary.vault.read_bytes()
    assert aviary.run("trust", "--revoke").status == Exit.OK
    aviary.trusting = False
    aviary.save_by_us()
    aviary.trusting = True
    assert "copied the vault to near, before" in aviary.open("get", "jira").err
    assert [each.read_bytes() for each in aviary.files(aviary.before)] == [before]


def test_what_keepassxc_saves_in_between_is_not_copied_as_if_it_had_been_looked_at(aviary: Copied):
    session = Session(Flags(str(aviary.inventory)), password_file=str(aviary.password_file))
    assert copying.live(session).content == aviary.vault.read_bytes()
    aviary.save_by_keepassxc()
    with pytest.raises(VaultChanged, match="was saved by another program"):
        copying.live(session)


def test_a_remote_that_is_down_keeps_nobody_waiting_at_every_command(aviary: Copied, monkeypatch: pytest.MonkeyPatch):
    asked = aviary.root / "asked"
    stand_in = aviary.root / "bin" / "rclone"
    stand_in.parent.mkdir()
    stand_in.write_text(f"#!/bin/sh\necho >> {asked}\necho 'no such host' >&2\nexit 1\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stand_in.parent}:{os.environ['PATH']}")
    aviary.edit("    near:", '    far: {kind: rclone, remote: "cloud:vault"}\n    near:')
    done = aviary.open("get", "jira")
    assert (done.status, "waits for far" in done.err) == (Exit.OK, True)
    times = asked.read_text()
    assert aviary.open("get", "jira").err == ""
    assert asked.read_text() == times
    aviary.save_by_us()
    assert asked.read_text() != times


# --- looking at copies ------------------------------------------------------------------------------------------------


def test_the_list_says_of_each_place_what_is_known_without_a_password(aviary: Copied, now: datetime):
    never = aviary.run("vault", "copies")
    assert never.status == Exit.OK
    assert [line.split()[:5] for line in never.out.splitlines()[1:2]] == [["near", "-", "-", "never", "?"]]
    aviary.open("vault", "copy")
    listed = aviary.run("vault", "copies")
    today = f"{now:%Y-%m-%d}"
    assert f"near    {today}  new  opened {today}  current   1 copy" in listed.out
    assert "there is no" in " ".join(listed.out.split())
    assert all(len(line) <= 80 for line in listed.out.splitlines() if "/" not in line)
    one = aviary.run("vault", "copies", "near")
    assert aviary.files(aviary.near)[0].name.split("-")[2].removesuffix(".kdbx") in one.out


def test_a_copy_that_another_machine_made_is_listed_as_never_verified_here(copied: Copied):
    (copied.state / catalogue.FILE).unlink()
    listed = copied.run("vault", "copies")
    assert "never" in listed.out
    assert _due(copied)["near"]["state"] == "unknown"
    assert copied.open("vault", "verify", "near").status == Exit.OK
    assert _due(copied)["near"]["state"] == "ok"


def test_verifying_opens_and_is_recorded(copied: Copied):
    done = copied.open("vault", "verify")
    assert done.status == Exit.OK
    assert done.out.count("opens, and is what the vault is") == 3
    events = json.loads(copied.run("history", "--json").out)["events"]
    assert [e["subject"] for e in events if e["what"] == "vault-verify"] == ["near", "before", "stick"]


def test_a_flipped_or_truncated_copy_is_found_and_the_others_are_still_looked_at(copied: Copied):
    copied.backdate("near", 1)
    copied.backdate("stick", 1)
    (near,), (stick,) = copied.files(copied.near), copied.files(copied.stick)
    content = bytearray(near.read_bytes())
    content[len(content) // 2] ^= 1
    near.write_bytes(content)
    stick.write_bytes(stick.read_bytes()[:-100])
    done = copied.open("vault", "verify")
    assert done.status == Exit.NO
    said = " ".join(done.out.split())
    assert "NO: is damaged" in said
    assert "NO: is cut short" in said
    assert "opens, and is what the vault is" in said
    assert "copied the vault to near, stick" in done.err  # whatever is found, there shall be a good one
    assert "NOT GOOD" in copied.run("vault", "copies", "near").out


def test_a_place_whose_newest_copy_is_not_good_is_due_until_it_has_a_good_one(copied: Copied):
    (stick,) = copied.files(copied.stick)
    stick.write_bytes(stick.read_bytes()[:-100])
    copied.edit("every: 1 week, when: [after-change]", "every: 1 week")
    assert copied.open("vault", "verify").status == Exit.NO
    assert "NOT GOOD" in copied.run("vault", "copies").out
    row = _due(copied)["stick"]
    assert (row["state"], row["how"]) == ("due", "chronos-secrets vault copy stick")
    assert "cut short" in row["next"]


def test_the_newest_copy_is_no_copy_of_the_vault_once_that_was_changed(copied: Copied):
    copied.save_by_keepassxc()
    done = copied.open("vault", "verify")
    assert done.status == Exit.NO
    said = " ".join(done.out.split())
    assert said.count("opens; NO: it is older than the vault") == 2
    assert "opens; it is older than the vault" in said  # a copy from before a change is meant to be


def test_a_copy_that_is_newer_than_the_vault_is_no_small_thing(copied: Copied):
    before = copied.vault.read_bytes()
    copied.backdate("near", 1)
    copied.save_by_keepassxc()
    assert copied.open("vault", "copy", "near").status == Exit.OK
    copied.vault.write_bytes(before)
    done = copied.open("vault", "verify", "near")
    assert done.status == Exit.NO
    assert "it holds newer changes than the vault" in " ".join(done.out.split())


def test_a_vault_that_was_restored_is_copied_anew_though_an_old_copy_holds_the_same(copied: Copied):
    before = copied.vault.read_bytes()
    copied.backdate("near", 2)
    copied.save_by_keepassxc()
    assert copied.open("get", "jira").status == Exit.OK
    copied.backdate("near", 1)
    copied.vault.write_bytes(before)
    assert copied.open("get", "jira").status == Exit.OK
    assert copied.files(copied.near)[-1].read_bytes() == before
    assert _due(copied)["near"]["state"] == "ok"


def test_a_place_that_is_away_or_empty_cannot_be_verified(aviary: Copied):
    aviary.open("vault", "copy", "near")
    assert aviary.open("vault", "verify", "stick").status == Exit.TARGET
    aviary.files(aviary.near)[0].unlink()
    done = aviary.open("vault", "verify", "near")
    assert done.status == Exit.NO
    assert "there is no copy" in done.out


def test_copies_are_verified_though_the_vault_itself_is_lost(copied: Copied):
    copied.vault.unlink()
    done = copied.open("vault", "verify")
    assert done.status == Exit.OK
    assert "compared with what was recorded" in done.err
    assert done.out.count("opens, and holds what was recorded") == 3


def test_a_wrong_password_opens_no_copy_and_makes_none_bad(copied: Copied):
    other = copied.root / "other"
    other.write_text("never was it")
    other.chmod(0o600)
    done = copied.run("vault", "verify", "--password-file", other)
    assert done.status == Exit.NO
    assert "NO: does not open" in done.out
    assert copied.known.of("near")[-1].is_good


def test_without_any_password_nothing_is_looked_at(copied: Copied):
    done = process("vault", "verify", folder=copied.folder)
    assert done.status == Exit.VAULT
    assert "older password" not in done.err


def test_json_says_the_same_and_no_value(copied: Copied):
    copies = json.loads(copied.run("vault", "copies", "--json").out)
    assert [each["id"] for each in copies["places"]] == ["near", "before", "stick"]
    (copy,) = copies["places"][0]["copies"]
    assert (copy["entries"], copy["older_password"], copy["kdbx"]) == (5, False, "4.0")
    verified = json.loads(copied.open("vault", "verify", "--json").out)
    assert [each["good"] for each in verified["copies"]] == [True, True, True]
    again = json.loads(copied.open("vault", "copy", "--json").out)
    assert {each["state"] for each in again["copies"]} == {"already there"}
    remembered = (copied.state / catalogue.FILE).read_text()
    assert not copied.leaked(f"{copies}{verified}{again}{remembered}")


# --- an older password ------------------------------------------------------------------------------------------------


@pytest.fixture
def rekeyed(copied: Copied) -> Copied:
    """A vault with a new password, and copies that still open with the old one."""
    old = copied.root / "old"
    old.write_text(copied.password)
    old.chmod(0o600)
    copied.backdate("near", 2)
    copied.backdate("stick", 2)
    copied.change_password("another one, typed slowly")
    return copied


def test_the_list_shows_which_copies_an_older_password_opens(rekeyed: Copied):
    assert rekeyed.open("get", "jira").err == "copied the vault to near, stick\n"
    listed = rekeyed.run("vault", "copies")
    assert "2 copies; 1 with an older password" in " ".join(listed.out.split())
    one = rekeyed.run("vault", "copies", "near").out.splitlines()
    assert ["current" in one[1], "older" in one[2]] == [True, True]


def test_an_older_copy_is_opened_with_the_older_password(rekeyed: Copied):
    rekeyed.open("get", "jira")
    done = rekeyed.open("vault", "verify", "near", "--all")
    assert done.status == Exit.NO
    assert "is not this copy's, which was set on" in " ".join(done.out.split())
    with_old = rekeyed.run("vault", "verify", "near", "--all", "--password-file", rekeyed.root / "old")
    assert "opens, and holds what was recorded" in with_old.out
    assert "taken for an older password" in with_old.err


def test_copies_with_an_older_password_go_only_where_a_newer_one_was_opened(rekeyed: Copied):
    prune = ("vault", "prune", "--older-password")
    nothing = rekeyed.run(*prune, "--yes")
    assert nothing.status == Exit.OK
    assert "no copy opens with an older password" in nothing.err
    assert rekeyed.open("vault", "copy", "near").status == Exit.OK  # the hook then copies to the stick, too
    rekeyed.files(rekeyed.stick)[-1].unlink()
    shown = rekeyed.run(*prune, "--dry-run")
    assert shown.out.count("aviary-") == 1
    assert "stick keeps 1 copy with an older password" in shown.err
    assert "first: chronos-secrets vault copy stick" in shown.err
    assert "near keeps" not in shown.err
    assert len(rekeyed.files(rekeyed.near)) == 2
    assert rekeyed.run(*prune).status == Exit.REFUSED
    assert len(rekeyed.files(rekeyed.near)) == 2
    done = rekeyed.run(*prune, "--yes")
    assert done.status == Exit.OK
    assert "removed 1 copy from near" in done.out
    assert [each.read_bytes() for each in rekeyed.files(rekeyed.near)] == [rekeyed.vault.read_bytes()]
    assert len(rekeyed.files(rekeyed.stick)) == 1


def test_a_person_is_asked_before_copies_go_for_ever(rekeyed: Copied):
    rekeyed.open("vault", "copy", "near")
    for answer, left in (("n", 2), ("y", 1)):
        terminal = Terminal(argv("vault", "prune", "--older-password", "near"), folder=rekeyed.folder)
        terminal.expect("Remove 1 copy for ever? [y/N]")
        terminal.type(f"{answer}\n")
        assert terminal.end().status == (Exit.OK if answer == "y" else Exit.REFUSED)
        assert len(rekeyed.files(rekeyed.near)) == left


def test_copies_stay_if_the_newer_one_goes_while_a_person_reads(rekeyed: Copied):
    rekeyed.open("vault", "copy", "near")
    terminal = Terminal(argv("vault", "prune", "--older-password", "near"), folder=rekeyed.folder)
    terminal.expect("Remove 1 copy for ever? [y/N]: ")
    rekeyed.files(rekeyed.near)[-1].unlink()
    terminal.type("y\n")
    assert "removed 0 copies from near" in terminal.end().out
    assert len(rekeyed.files(rekeyed.near)) == 1


def test_pruning_says_what_it_is_for(aviary: Copied):
    done = aviary.run("vault", "prune")
    assert done.status == Exit.USAGE
    assert "hint: chronos-secrets vault prune --older-password" in done.err


# --- due --------------------------------------------------------------------------------------------------------------


def test_due_tells_how_each_place_stands(aviary: Copied, now: datetime):
    assert {each["state"] for each in _due(aviary).values()} == {"unknown"}
    aviary.plug_in()
    aviary.open("vault", "copy")
    today = now.date()
    rows = _due(aviary)
    assert {each["state"] for each in rows.values()} == {"ok"}
    assert rows["stick"]["due"] == f"{today + timedelta(days=7)}"
    assert rows["stick"]["rule"] == "every 1 week, after every change"
    aviary.backdate("stick", 7)
    aviary.save_by_keepassxc()
    assert _due(aviary)["stick"]["state"] == "due"
    assert _due(aviary, "--today", f"{today + timedelta(days=1)}")["stick"]["state"] == "overdue"
    assert aviary.run("due").status == Exit.NO


def test_due_shows_a_copy_that_waits_and_why(copied: Copied):
    copied.stick.rename(copied.root / "pulled")
    copied.stick.parent.rmdir()
    copied.save_by_us()
    row = _due(copied)["stick"]
    assert row["state"] == "due-soon"
    assert "is not in it yet" in row["next"]
    assert "there is no" in row["next"]
    text = copied.run("due").out
    assert "chronos-secrets vault copy stick" in text
    assert all(len(line) <= 80 for line in text.splitlines() if str(copied.root) not in line)


def test_a_copy_that_was_looked_at_again_counts_from_then_while_the_vault_is_the_same(copied: Copied):
    copied.backdate("stick", 20)
    assert _due(copied)["stick"]["state"] == "overdue"
    assert copied.open("vault", "verify", "stick").status == Exit.OK
    assert _due(copied)["stick"]["state"] == "ok"


def test_the_task_of_verifying_is_ticked_by_the_command(copied: Copied):
    copied.edit("tasks:\n", "tasks:\n  look: {title: Look, every: 1 week, from: 2020-01-01, run: [vault, verify]}\n")
    assert "chronos-secrets vault verify" in copied.run("due").out
    copied.open("vault", "verify")
    rows = {row["id"]: row for row in json.loads(copied.run("due", "--json").out)["rows"]}
    assert rows["look"]["state"] == "ok"


def test_a_state_folder_that_cannot_be_written_stops_a_copy_before_it_is_made(aviary: Copied):
    aviary.state.parent.mkdir(parents=True, exist_ok=True)
    if aviary.state.exists():
        for each in aviary.state.iterdir():
            each.unlink()
        aviary.state.rmdir()
    aviary.trusting = False
    os.symlink("/proc/nowhere", aviary.state)
    done = aviary.open("vault", "copy", "near")
    assert done.status == Exit.REFUSED
    assert not aviary.near.exists()
