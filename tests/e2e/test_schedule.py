"""`schedule`: timers on this machine and on the database's host, as a person meets them.

No systemd and no cron run where the tests do: `systemctl`, `loginctl`, `crontab` and `pgrep` are scripts that keep in a
folder what they were told. That systemd takes our units is tests/contract/test_timers.py's affair. The database's host
is a real container.
"""

import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chronos_secrets.cli import timed
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Exit
from chronos_secrets.systems.hosts import Container, Host
from chronos_secrets.timers import crontab, plans, record, texts
from tests.support.commands import Aviary, Done, Terminal, alone, argv
from tests.support.containers import Engine

SYSTEMCTL = """\
#!/bin/sh
# --user is-system-running | show ... | enable --now ... | disable --now ... | restart ... | daemon-reload
echo "$@" >> @folder@/calls
[ "$1" != --user ] || shift
verb=$1; shift
case $verb in
    is-system-running) cat @folder@/runs; [ "$(cat @folder@/runs)" = running ] ;;
    daemon-reload) ;;
    show) shift
        for unit; do
            active=inactive enabled=
            [ -f "@units@/$unit" ] && enabled=disabled
            [ -f "@folder@/on-$unit" ] && active=active enabled=enabled
            [ -f "@folder@/failed-$unit" ] && active=failed enabled=static
            printf 'Id=%s\\nActiveState=%s\\nUnitFileState=%s\\n\\n' "$unit" "$active" "$enabled"
        done ;;
    enable | restart)
        [ ! -f @folder@/masked ] || { echo 'Failed to enable unit: Unit is masked.' >&2; exit 1; }
        for unit; do
            [ "$unit" = --now ] && continue
            [ -f "@units@/$unit" ] || { echo "Unit file $unit does not exist." >&2; exit 1; }
            : > "@folder@/on-$unit"
        done ;;
    disable) shift; for unit; do rm -f "@folder@/on-$unit"; done ;;
    *) exit 64 ;;
esac
"""
CRONTAB = """\
#!/bin/sh
case $1 in
    -l) [ ! -f @folder@/sealed ] || { echo 'cannot open your crontab: Input/output error' >&2; exit 1; }
        cat @folder@/crontab 2>/dev/null || { echo 'no crontab for me' >&2; exit 1; } ;;
    -) [ ! -f @folder@/full ] || { echo 'crontab: No space left on device' >&2; exit 1; }
        cat > @folder@/crontab ;;
esac
"""
TIMERS = """\
tasks:
  chore: {title: A chore <b>, every: 1 week, from: 2020-01-01}
timers:
  due: {at: "0 9 * * *", notify: [[tell, me]]}
  rotate: {at: "30 3 * * *"}
"""
BACKUPS = """\
  conf: {host: db, path: /etc/pgbackrest.conf, dialect: pgbackrest, template: note.j2, uses: {cipher: cipher}, owner: postgres}
pgbackrest:
  stanza: birds
  host: db
  config: conf
  repo: {path: /repo, cipher: none, retention_full: 2}
  schedule: {full: "0 11 * * *", diff: "0 5,17 * * *", host: far}
"""


class Scheduled(Aviary):
    """The aviary with timers for `due` and `rotate`, on a machine whose systemd runs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self.inventory.write_text(self.inventory.read_text() + TIMERS)
        self.units = self.home / ".config" / "systemd" / "user"
        self.world = folder / "world"
        (self.world / "bin").mkdir(parents=True)
        scripts = {
            "systemctl": SYSTEMCTL, "crontab": CRONTAB, "loginctl": "#!/bin/sh\ncat @folder@/linger\n",
            "pgrep": "#!/bin/sh\n[ -f @folder@/cron ]\n",
            "tell": '#!/bin/sh\n[ ! -f @folder@/deaf ] || { echo "no route" >&2; exit 9; }\ncat > "@folder@/told-$(ls @folder@ | grep -c told-)"\n',
        }  # fmt: skip
        for name, text in scripts.items():
            script = self.world / "bin" / name
            script.write_text(text.replace("@folder@", str(self.world)).replace("@units@", str(self.units)))
            script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{self.world / 'bin'}:{os.environ['PATH']}")
        (self.world / "runs").write_text("running\n")
        (self.world / "linger").write_text("yes\n")

    def without(self, *programs: str) -> None:
        """A machine that lacks some programs."""
        usual = self.world / "usual"
        usual.mkdir()
        for folder in (Path("/usr/bin"), Path("/bin")):
            for each in folder.iterdir():
                if each.name not in programs and not (usual / each.name).is_symlink():
                    (usual / each.name).symlink_to(each)
        for name in programs:
            (self.world / "bin" / name).unlink(missing_ok=True)
        os.environ["PATH"] = f"{self.world / 'bin'}:{usual}"  # the fixture set it, and sets it back

    def with_backups(self) -> None:
        text = self.inventory.read_text().replace("hosts:\n", "hosts:\n  db: {in: far, container: birds}\n", 1)
        self.inventory.write_text(text.replace("tasks:\n", f"{BACKUPS}tasks:\n", 1))

    def by_cron(self) -> None:
        self.edit("timers:\n", "timers:\n  by: cron\n")
        (self.world / "cron").touch()

    @property
    def unit_names(self) -> list[str]:
        return sorted(each.name for each in self.units.glob("*"))

    @property
    def calls(self) -> list[str]:
        """What systemctl was told to change since this was last asked."""
        path = self.world / "calls"
        told = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [each for each in told if not each.startswith(("--user show", "--user is-system"))]

    @property
    def told(self) -> list[str]:
        return [each.read_text() for each in sorted(self.world.glob("told-*"))]

    @property
    def crontab(self) -> str:
        return (self.world / "crontab").read_text(errors="surrogateescape")

    def verify(self) -> dict[str, list[str]]:
        """The problems of each timer, by its name."""
        done = self.run("schedule", "verify", "--json")
        found = {each["timer"]: each["problems"] for each in json.loads(done.out)["timers"]}
        assert done.status == (Exit.NO if any(found.values()) else Exit.OK)
        return found

    def remember(self) -> None:
        """As if a keyring had been asked to remember the password, and this machine may rotate."""
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "remembered").write_text(
            json.dumps({"keyring": "keyring.backends.SecretService.Keyring", "user": "x", "asked": True})
        )
        config = self.home / ".config" / "chronos-secrets" / "config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text("[aviary]\nrotate_here = true\n")

    def install(self) -> Done:
        done = self.run("schedule", "install", "--yes")
        assert done.status == Exit.OK, done.err
        return done

    def stand_in(self, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
        """What timers call is a script instead of this program; its words are $1 and so on."""
        call = ("/bin/sh", "-c", f"shift 2; {script.replace('@folder@', str(self.world))}", "sh")  # no --inventory
        monkeypatch.setattr("chronos_secrets.cli.timing.program", lambda: call)

    @property
    def runs(self) -> Mapping[str, record.Run]:
        return record.load(self.state / record.FILE).runs

    def due(self) -> dict[str, dict[str, str]]:
        rows = json.loads(self.run("due", "--json").out)["rows"]
        return {row["id"]: row for row in rows if row["kind"] == "timer"}


@pytest.fixture
def aviary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scheduled:
    return Scheduled(tmp_path, monkeypatch)


# --- this machine -----------------------------------------------------------------------------------------------------


def test_install_writes_the_units_and_starts_them_and_a_second_run_does_nothing(aviary: Scheduled):
    done = aviary.install()
    stem = "chronos-secrets-aviary"
    assert aviary.unit_names == [f"{stem}-{job}.{end}" for job in ("due", "rotate") for end in ("service", "timer")]
    assert aviary.calls == ["--user daemon-reload", f"--user enable --now {stem}-due.timer {stem}-rotate.timer"]
    assert "local: 4 changes done" in done.out
    before = {each: each.stat().st_mtime_ns for each in aviary.units.glob("*")}
    again = aviary.install()
    assert again.out == "local: nothing to do\n"
    assert aviary.calls == []
    assert before == {each: each.stat().st_mtime_ns for each in aviary.units.glob("*")}


def test_units_call_the_program_and_the_inventory_by_absolute_paths_and_hold_no_value(aviary: Scheduled):
    aviary.install()
    for path in aviary.units.glob("*.service"):
        [line] = [line for line in path.read_text().splitlines() if line.startswith("ExecStart=:/")]
        assert f" --inventory {aviary.inventory} schedule run " in line
        assert not aviary.leaked(path.read_text())


def test_timers_that_cannot_be_read_are_not_taken_for_none(aviary: Scheduled):
    aviary.install()
    aviary.without("head")
    done = aviary.run("schedule", "install", "--yes")
    assert done.status == Exit.TARGET
    assert "the timers' files on this machine cannot be read" in done.err
    assert len(aviary.unit_names) == 4


def test_what_a_shell_says_of_other_places_is_in_the_units(aviary: Scheduled, monkeypatch: pytest.MonkeyPatch):
    elsewhere = aviary.root / "state elsewhere"
    monkeypatch.setenv("XDG_STATE_HOME", str(elsewhere))
    config = aviary.root / "config.toml"
    config.touch()
    monkeypatch.setenv("CHRONOS_SECRETS_CONFIG", str(config))
    aviary.run("--vault", aviary.vault, "schedule", "install", "--yes")
    text = (aviary.units / "chronos-secrets-aviary-due.service").read_text()
    assert f'Environment="XDG_STATE_HOME={elsewhere}"' in text
    assert f"--inventory {aviary.inventory} --vault {aviary.vault} schedule" in text
    assert f"Environment=CHRONOS_SECRETS_CONFIG={config}" in text
    assert "XDG_CONFIG_HOME" not in text


@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_units_call_the_script_that_was_called_where_it_can_be(
    aviary: Scheduled, monkeypatch: pytest.MonkeyPatch, mode: int
):
    script = aviary.root / "chronos-secrets"
    script.touch()
    script.chmod(mode)
    monkeypatch.setattr(sys, "argv", [str(script)])
    program = script if mode == 0o755 else f"{sys.executable} -m chronos_secrets"
    assert f"\nExecStart=:{program} --inventory " in aviary.run("schedule", "show").out


def test_show_prints_every_file_with_its_place_and_changes_nothing(aviary: Scheduled):
    done = aviary.run("schedule", "show")
    assert done.status == Exit.OK
    assert done.out.count("==> local: ") == 4
    assert not aviary.units.exists()
    found = json.loads(aviary.run("schedule", "show", "--json").out)["hosts"]
    aviary.install()
    for file in found[0]["files"]:
        assert Path(file["path"]).read_text() == file["text"]
    assert [each["timer"] for each in found[0]["timers"]] == ["due", "rotate"]


def test_a_path_that_no_unit_can_hold_is_refused_before_anything_is_written(aviary: Scheduled):
    done = aviary.run("--vault", f"{aviary.folder}/a\nb.kdbx", "schedule", "install", "--yes")
    assert done.status == Exit.REFUSED
    assert "error: no timer can be made: a path with a character that cannot be printed stands in its way" in done.err
    assert not aviary.units.exists()


def test_a_timer_that_the_inventory_has_no_more_is_stopped_and_goes(aviary: Scheduled):
    aviary.install()
    assert aviary.calls
    aviary.edit('  rotate: {at: "30 3 * * *"}\n', "")
    done = aviary.install()
    assert aviary.unit_names == ["chronos-secrets-aviary-due.service", "chronos-secrets-aviary-due.timer"]
    assert aviary.calls == ["--user disable --now chronos-secrets-aviary-rotate.timer", "--user daemon-reload"]
    assert "remove" in done.out


def test_a_changed_time_is_written_and_its_timer_alone_is_started_anew(aviary: Scheduled):
    aviary.install()
    assert aviary.calls
    aviary.edit("30 3 * * *", "40 3 * * *")
    aviary.install()
    assert aviary.calls == ["--user daemon-reload", "--user restart chronos-secrets-aviary-rotate.timer"]


def test_a_file_that_is_not_ours_is_named_and_nothing_is_touched(aviary: Scheduled):
    aviary.units.mkdir(parents=True)
    theirs = aviary.units / "chronos-secrets-aviary-rotate.timer"
    theirs.write_text("[Timer]\nOnCalendar=daily\n")
    for words in (("install", "--yes"), ("verify",)):
        done = aviary.run("schedule", *words)
        assert done.status == Exit.REFUSED
        assert f"{theirs} on this machine was not made by this program for aviary" in done.err
    assert aviary.run("schedule", "remove", "--yes").status == Exit.OK
    assert aviary.unit_names == [theirs.name]
    assert theirs.read_text().endswith("daily\n")


def test_a_unit_that_cannot_be_read_is_no_unit_that_is_not_there(aviary: Scheduled):
    aviary.units.mkdir(parents=True)
    (aviary.units / "chronos-secrets-aviary-rotate.timer").touch()
    (aviary.world / "bin" / "wc").write_text("#!/bin/sh\necho 'wc: Input/output error' >&2\nexit 1\n")
    (aviary.world / "bin" / "wc").chmod(0o755)
    done = aviary.run("schedule", "install", "--yes")
    assert done.status == Exit.TARGET
    assert "the timers' files on this machine cannot be read: wc: Input/output error" in done.err
    assert len(aviary.unit_names) == 1


def test_a_folder_for_units_that_cannot_be_made_is_a_sentence(aviary: Scheduled):
    aviary.units.parent.parent.mkdir(parents=True)
    aviary.units.parent.touch()
    done = aviary.run("schedule", "install", "--yes")
    assert done.status == Exit.REFUSED
    assert f"the folder {aviary.units} cannot be made: " in done.err


def test_without_a_yes_and_without_anybody_to_ask_nothing_is_written(aviary: Scheduled):
    done = aviary.run("schedule", "install")
    assert done.status == Exit.REFUSED
    assert "hint: add --yes" in done.err
    assert not aviary.units.exists()


def test_a_person_sees_what_will_be_written_before_the_question(aviary: Scheduled):
    aviary._accept()
    terminal = Terminal(argv("schedule", "install"), folder=aviary.folder)
    terminal.expect("Do this?")
    assert "chronos-secrets-aviary-due.timer" in terminal.shown
    terminal.type("n\n")
    assert terminal.end().status == Exit.REFUSED
    assert not aviary.units.exists()


def test_a_unit_that_somebody_changes_while_the_question_stands_is_left_alone(aviary: Scheduled):
    aviary.install()
    unit = aviary.units / "chronos-secrets-aviary-rotate.timer"
    aviary.edit("30 3 * * *", "40 3 * * *")
    terminal = Terminal(argv("schedule", "install"), folder=aviary.folder)
    terminal.expect("Do this?")
    unit.write_text(unit.read_text().replace("03:30", "04:30"))
    terminal.type("y\n")
    done = terminal.end()
    assert done.status == Exit.INCOMPLETE, done.out
    assert "04:30" in unit.read_text()
    assert aviary.install().out.startswith("HOST")
    assert "03:40" in unit.read_text()


def test_what_systemd_says_no_to_is_told_and_due_does_not_wait_for_it(aviary: Scheduled):
    (aviary.world / "masked").touch()
    done = aviary.run("schedule", "install", "--yes")
    assert done.status == Exit.TARGET
    assert (
        "systemctl enable on this machine failed with status 1\n  Failed to enable unit: Unit is masked.\n" in done.err
    )
    assert "hint: systemctl --user enable --now chronos-secrets-aviary-due.timer" in done.err
    assert aviary.due() == {}
    (aviary.world / "masked").unlink()
    assert "local: started" in aviary.install().out


def test_a_unit_that_cannot_be_removed_is_named_and_still_counts_as_installed(aviary: Scheduled):
    aviary.install()
    (aviary.world / "bin" / "rm").write_text(
        f'#!/bin/sh\ncase "$*" in *{aviary.units}*) exit 1 ;; esac\nexec /bin/rm "$@"\n'
    )
    (aviary.world / "bin" / "rm").chmod(0o755)
    unit = aviary.units / "chronos-secrets-aviary-due.service"
    done = aviary.run("schedule", "remove", "--yes")
    assert done.status == Exit.TARGET
    assert f"{unit} on this machine could not be removed\nhint: rm -f -- {unit}" in done.err
    assert aviary.due().keys() == {"timer-due", "timer-rotate"}


def test_remove_takes_ours_away_and_due_is_silent_again(aviary: Scheduled):
    aviary.install()
    (aviary.units / "mine.timer").write_text("[Timer]\n")
    assert aviary.due().keys() == {"timer-due", "timer-rotate"}
    assert aviary.run("schedule", "remove", "--yes").status == Exit.OK
    assert aviary.unit_names == ["mine.timer"]
    assert aviary.due() == {}
    assert "nothing of ours to remove" in aviary.run("schedule", "remove", "--yes").err


def test_where_systemd_does_not_run_the_files_are_written_and_what_is_left_is_said(aviary: Scheduled):
    (aviary.world / "runs").write_text("offline\n")
    done = aviary.install()
    assert len(aviary.unit_names) == 4
    assert aviary.calls == []
    assert "systemd --user does not run on this machine, so nothing is started yet" in done.err
    assert (
        "systemctl --user daemon-reload && systemctl --user enable --now chronos-secrets-aviary-due.timer" in done.err
    )
    assert all("systemd --user does not run on this machine" in each for each in aviary.verify().values())
    assert aviary.run("schedule", "remove", "--yes").status == Exit.OK
    assert aviary.unit_names == aviary.calls == []


def test_a_machine_without_systemd_and_without_pgrep_starts_nothing_yet_and_says_so(aviary: Scheduled):
    aviary.without("systemctl", "loginctl", "pgrep")
    done = aviary.install()
    assert len(aviary.unit_names) == 4
    assert "systemd --user does not run on this machine, so nothing is started yet" in done.err
    assert "whether lingering is on is not known: without it these timers run only while you are logged in" in done.err
    assert "systemd --user does not run on this machine" in aviary.verify()["due"]
    aviary.by_cron()
    done = aviary.install()
    assert "cron does not run on this machine, so nothing is started yet" in done.err
    assert "once it does" not in done.err
    assert "lingering" not in done.err
    assert "cron does not run on this machine" in aviary.verify()["due"]


def test_install_cut_off_between_two_files_is_finished_by_running_it_again(aviary: Scheduled):
    aviary.install()
    (aviary.units / "chronos-secrets-aviary-rotate.timer").unlink()
    (aviary.world / "on-chronos-secrets-aviary-rotate.timer").unlink()
    done = aviary.install()
    assert "local: 1 change done" in done.out
    assert "started chronos-secrets-aviary-rotate.timer" in done.out


# --- cron -------------------------------------------------------------------------------------------------------------


def test_lines_of_a_person_in_the_crontab_stay_and_ours_come_and_go(aviary: Scheduled):
    aviary.by_cron()
    mine = b"# mine, of 2004: \xe9t\xe9\n0 0 * * * true\n".decode(errors="surrogateescape")
    (aviary.world / "crontab").write_text(mine, errors="surrogateescape")
    done = aviary.install()
    assert "rotate will fail: nothing hands it the vault's password; to remember it: chronos-secrets unlock" in done.err
    assert aviary.crontab.startswith(f"{mine}# chronos-secrets: aviary/timers: begin.")
    assert (
        f"\n0 9 * * * {argv()[0]} -m chronos_secrets --inventory {aviary.inventory} schedule run due\n"
        in aviary.crontab
    )
    assert not aviary.units.exists()
    assert aviary.install().out == "local: nothing to do\n"
    aviary.remember()
    assert aviary.verify() == {"due": [], "rotate": []}
    (aviary.world / "crontab").write_text(aviary.crontab.replace("0 9 *", "0 8 *"), errors="surrogateescape")
    assert aviary.verify()["due"] == ["your crontab does not have its line"]
    aviary.run("schedule", "remove", "--yes")
    assert aviary.crontab == mine


def test_a_crontab_that_somebody_changes_while_the_question_stands_is_left_alone(aviary: Scheduled):
    aviary.by_cron()
    aviary._accept()
    terminal = Terminal(argv("schedule", "install"), folder=aviary.folder)
    terminal.expect("Do this?")
    (aviary.world / "crontab").write_text("0 0 * * * true\n")
    terminal.type("y\n")
    done = terminal.end()
    assert done.status == Exit.REFUSED
    assert "your crontab was changed meanwhile; nothing was written to it" in done.out
    assert aviary.crontab == "0 0 * * * true\n"


def test_lines_that_crontab_does_not_take_are_told_with_its_reason_and_due_does_not_wait_for_them(aviary: Scheduled):
    aviary.by_cron()
    (aviary.world / "full").touch()
    done = aviary.run("schedule", "install", "--yes")
    assert done.status == Exit.TARGET
    assert "crontab did not take the new lines\n  crontab: No space left on device\nhint: crontab -l" in done.err
    assert aviary.due() == {}


def test_going_over_to_cron_takes_the_units_away(aviary: Scheduled):
    aviary.install()
    aviary.by_cron()
    aviary.install()
    assert aviary.unit_names == []
    assert "schedule run rotate" in aviary.crontab


def test_cron_on_another_clock_than_the_inventory_is_refused_and_systemd_takes_any_zone(aviary: Scheduled):
    aviary.by_cron()
    aviary.edit("project: aviary\n", "project: aviary\ntimezone: America/Toronto\n")
    done = aviary.run("schedule", "install", "--yes")
    assert done.status == Exit.REFUSED
    assert "cron on this machine goes by another clock than America/Toronto" in done.err
    assert not (aviary.world / "crontab").exists()
    aviary.edit("  by: cron\n", "")
    aviary.install()
    assert "09:00:00 America/Toronto" in (aviary.units / "chronos-secrets-aviary-due.timer").read_text()


def test_a_crontab_with_half_of_our_marks_is_refused(aviary: Scheduled):
    aviary.by_cron()
    aviary.install()
    (aviary.world / "crontab").write_text("\n".join(aviary.crontab.splitlines()[:-1]))
    done = aviary.run("schedule", "install", "--yes")
    assert done.status == Exit.REFUSED
    assert "the marks around the lines of aviary are not whole" in done.err


def test_a_crontab_that_cannot_be_read_is_not_replaced_and_is_no_matter_to_systemd(aviary: Scheduled):
    (aviary.world / "crontab").write_text("0 0 * * * true\n")
    (aviary.world / "sealed").touch()
    aviary.install()
    aviary.by_cron()
    for words in (("install", "--yes"), ("verify",), ("remove", "--yes")):
        done = aviary.run("schedule", *words)
        assert done.status == Exit.TARGET
        assert "your crontab cannot be read\n  cannot open your crontab: Input/output error" in done.err
    assert aviary.crontab == "0 0 * * * true\n"
    assert len(aviary.unit_names) == 4


def test_without_a_crontab_program_the_units_stay_as_they_are(aviary: Scheduled, monkeypatch: pytest.MonkeyPatch):
    aviary.install()
    aviary.by_cron()
    aviary.without("crontab")
    done = aviary.run("schedule", "install", "--yes")
    assert done.status == Exit.REFUSED
    assert "this machine has no program crontab" in done.err
    assert len(aviary.unit_names) == 4


def test_what_a_shell_says_of_other_places_is_in_the_lines_for_cron_too(
    aviary: Scheduled, monkeypatch: pytest.MonkeyPatch
):
    aviary.by_cron()
    elsewhere = aviary.root / "50% of it"
    monkeypatch.setenv("XDG_STATE_HOME", str(elsewhere))
    aviary.run("trust", "--yes")
    assert aviary.run("schedule", "install", "--yes").status == Exit.OK
    command = aviary.crontab.splitlines()[1].removeprefix("0 9 * * * ").replace("\\%", "%")
    shutil.rmtree(aviary.home / ".local" / "state", ignore_errors=True)
    monkeypatch.delenv("XDG_STATE_HOME")
    assert alone(("/bin/sh", "-c", command), folder=aviary.root).status == Exit.OK
    assert record.load(elsewhere / "chronos-secrets" / "aviary" / record.FILE).runs["due"].status == 0


# --- verify -----------------------------------------------------------------------------------------------------------


def test_verify_says_what_is_missing_what_differs_and_what_does_not_run(aviary: Scheduled):
    aviary.remember()
    unit = aviary.units / "chronos-secrets-aviary-due.timer"
    found = aviary.verify()
    assert f"{unit} is not there" in found["due"]
    aviary.install()
    assert aviary.verify() == {"due": [], "rotate": []}
    unit.write_text(unit.read_text().replace("09:00", "10:00"))
    assert aviary.verify() == {"due": [f"{unit} is not what it should be"], "rotate": []}
    aviary.install()
    (aviary.world / f"on-{unit.name}").unlink()
    assert aviary.verify()["due"] == [f"{unit.name} is inactive", f"{unit.name} is disabled"]


def test_verify_has_a_line_for_each_fault_and_says_what_to_do(aviary: Scheduled):
    done = aviary.run("schedule", "verify")
    assert f"\ndue on local: {aviary.units}/chronos-secrets-aviary-due.timer is not there\n" in done.out
    assert "to install them as they should be: chronos-secrets schedule install" in done.err
    aviary.remember()
    aviary.install()
    done = aviary.run("schedule", "verify")
    assert "schedule install" not in done.text
    assert " on local: " not in done.out


def test_a_start_that_failed_before_it_could_keep_a_record_is_seen(aviary: Scheduled):
    aviary.remember()
    aviary.install()
    service = "chronos-secrets-aviary-due.service"
    (aviary.world / f"failed-{service}").touch()
    done = aviary.run("schedule", "verify")
    assert done.status == Exit.NO
    assert f"due on local: it was started and failed; to see why: systemctl --user status {service}\n" in done.out
    assert "schedule install" not in done.err  # it is installed as it should be
    now = datetime.now(UTC)
    record.note_run(aviary.state / record.FILE, "due", record.Run(now, now, 7, "no"))
    assert aviary.verify()["due"] == ["failed with status 7: no"]


def test_what_a_run_left_does_not_reach_the_terminal_as_commands_to_it(aviary: Scheduled):
    aviary.install()
    now = datetime.now(UTC)
    record.note_run(aviary.state / record.FILE, "due", record.Run(now, now, 7, "\x1b[2Jno"))
    done = aviary.run("schedule", "verify")
    assert "due on local: failed with status 7: ?[2Jno\n" in done.out


def test_an_inventory_without_timers_is_told_where_to_read_of_them_and_asks_no_host(aviary: Scheduled):
    aviary.edit(TIMERS.partition("timers:")[2], " {}\n")
    aviary.edit("timers: {}\n", "")
    (aviary.world / "linger").write_text("no\n")
    for words in (("show",), ("install", "--yes"), ("verify",)):
        done = aviary.run("schedule", *words)
        assert (done.status, done.out) == (Exit.OK, "")
        assert done.err == "the inventory has no timers: see docs/schedule.md\n"
    for host in ("far", "gone"):  # nobody answers in the one, and the other one is not in the inventory any more
        record.note_installed(aviary.state / record.FILE, host, datetime.now(UTC))
    done = aviary.run("schedule", "verify")
    assert done.status == Exit.OK
    assert "far has timers that the inventory has no more" in done.err


def test_verify_says_when_lingering_is_off_and_when_a_keyring_would_be_closed(aviary: Scheduled):
    aviary.remember()
    aviary.install()
    (aviary.world / "linger").write_text("no\n")
    done = aviary.run("schedule", "verify")
    assert done.status == Exit.OK
    assert "lingering is off: without it these timers run only while you are logged in" in done.err
    assert "loginctl enable-linger" in done.err
    assert "rotate: a keyring is closed while nobody is logged in" in done.err
    assert "due: a keyring" not in done.err
    (aviary.world / "linger").write_text("Failed to get user: No such process\n")
    assert "whether lingering is on is not known" in aviary.run("schedule", "verify").err


def test_a_timer_that_nothing_hands_the_password_fails_verify_until_a_drop_in_does(aviary: Scheduled):
    done = aviary.install()
    assert "rotate will fail: nothing hands it the vault's password" in done.err
    assert "rotate will fail: this machine does not rotate by itself" in done.err
    found = aviary.verify()
    assert found["due"] == []
    assert "systemctl --user edit chronos-secrets-aviary-rotate.service" in found["rotate"][0]
    assert "LoadCredential=chronos-secrets.aviary:FILE" in found["rotate"][0]
    aviary.remember()
    mark = aviary.state / "remembered"
    mark.write_text(mark.read_text().replace("true", "false"))  # nobody asked for it
    assert "nothing hands it the vault's password" in aviary.verify()["rotate"][0]
    mark.unlink()
    drop_in = aviary.units / "chronos-secrets-aviary-rotate.service.d"
    (drop_in / "away.conf").mkdir(parents=True)
    (drop_in / "zoo.conf").write_text(f"[Service]\nLoadCredential=chronos-secrets.zoo:{aviary.password_file}\n")
    assert "nothing hands it the vault's password" in aviary.verify()["rotate"][0]
    (drop_in / "away.conf").rmdir()
    assert "nothing hands it the vault's password" in aviary.verify()["rotate"][0]
    (drop_in / "override.conf").write_text(f"[Service]\nLoadCredential=chronos-secrets.aviary:{aviary.password_file}\n")
    assert aviary.verify()["rotate"] == []
    assert "keyring" not in aviary.run("schedule", "verify").err


# --- what the timers run ------------------------------------------------------------------------------------------------


def test_what_is_due_is_handed_to_the_command_once_a_day(aviary: Scheduled):
    done = aviary.process("schedule", "run", "due")
    assert done.status == Exit.OK
    assert aviary.told == [done.out]
    assert "A chore <b>" in done.out
    assert aviary.process("schedule", "run", "due").status == Exit.OK
    assert len(aviary.told) == 1
    aviary.edit("title: A chore <b>", "title: Another chore")
    assert aviary.process("schedule", "run", "due").status == Exit.OK
    assert "Another chore" in aviary.told[1]
    assert not aviary.leaked("".join(aviary.told))


def test_the_same_answer_is_told_again_on_the_next_day_and_a_run_that_failed_between_does_not_matter(
    aviary: Scheduled, monkeypatch: pytest.MonkeyPatch
):
    aviary.edit("project: aviary\n", "project: aviary\ntimezone: Pacific/Pago_Pago\n")
    aviary.stand_in(monkeypatch, "echo a chore; exit 1")
    assert aviary.run("schedule", "run", "due").status == Exit.OK
    with monkeypatch.context() as away:
        away.setattr("chronos_secrets.cli.timing.program", lambda: ("/nowhere",))
        assert aviary.run("schedule", "run", "due").status == Exit.TARGET
    assert aviary.run("schedule", "run", "due").status == Exit.OK
    assert aviary.told == ["a chore\n"]
    aviary.edit("Pacific/Pago_Pago", "Pacific/Kiritimati")  # 25 hours later
    assert aviary.run("schedule", "run", "due").status == Exit.OK
    assert aviary.told == ["a chore\n"] * 2


def test_a_run_is_written_down_when_it_begins_beside_how_the_one_before_ended(
    aviary: Scheduled, monkeypatch: pytest.MonkeyPatch
):
    aviary.stand_in(monkeypatch, "echo 'error: no' >&2; exit 5")
    assert aviary.run("schedule", "run", "rotate").status == Exit.REFUSED
    aviary.stand_in(monkeypatch, f"cp '{aviary.state / record.FILE}' @folder@/during.json")
    assert aviary.run("schedule", "run", "rotate").status == Exit.OK
    during = record.load(aviary.world / "during.json").runs["rotate"]
    assert (during.ended, during.status, during.words) == (None, Exit.REFUSED, "no")
    assert (aviary.runs["rotate"].begun, aviary.runs["rotate"].status) == (during.begun, Exit.OK)


@pytest.mark.parametrize("status", [Exit.TARGET, Exit.INCOMPLETE])
def test_a_drive_that_is_away_is_no_failure_of_the_timer_of_copies(
    aviary: Scheduled, monkeypatch: pytest.MonkeyPatch, status: Exit
):
    aviary.edit("vault: {path: aviary.kdbx}", "vault: {path: aviary.kdbx, copies: {near: {kind: folder, path: /near}}}")
    aviary.edit("timers:\n", 'timers:\n  copies: {at: "0 9 * * *"}\n')
    aviary.stand_in(monkeypatch, f"exit {int(status)}")
    assert aviary.run("schedule", "run", "copies").status == Exit.OK
    assert aviary.runs["copies"].status == Exit.OK


def test_the_backups_are_looked_at_before_due_answers_where_their_age_was_promised(
    aviary: Scheduled, monkeypatch: pytest.MonkeyPatch
):
    """A look that does not end keeps nobody from the answer."""
    aviary.with_backups()
    aviary.stand_in(monkeypatch, 'echo "$@" >> @folder@/asked; [ "$1" != backup ] || exec sleep 60')
    assert aviary.run("schedule", "run", "due").status == Exit.OK
    aviary.edit("  stanza: birds\n", "  stanza: birds\n  objectives: {full_age: 26 hours}\n")
    monkeypatch.setattr(timed, "_LOOK_TIMEOUT", 0.2)
    assert aviary.run("schedule", "run", "due").status == Exit.OK
    assert (aviary.world / "asked").read_text() == "due --within 0d\nbackup status\ndue --within 0d\n"


def test_nobody_is_told_of_nothing(aviary: Scheduled):
    aviary.edit("from: 2020-01-01", "from: 2999-01-01")
    assert aviary.process("schedule", "run", "due").status == Exit.OK
    assert aviary.told == []


def test_a_command_that_cannot_tell_is_a_failure_that_due_shows_and_is_tried_again(aviary: Scheduled):
    aviary.install()
    (aviary.world / "deaf").touch()
    done = aviary.process("schedule", "run", "due")
    assert done.status == Exit.TARGET
    assert "no route\nerror: not everybody was told: tell failed with status 9" in done.err
    row = aviary.due()["timer-due"]
    assert row["state"] == "stuck"
    assert row["next"] == "failed with status 7: not everybody was told: tell failed with status 9"
    (aviary.world / "deaf").unlink()
    assert aviary.process("schedule", "run", "due").status == Exit.OK
    assert "failed with status 7" in aviary.told[0]
    assert aviary.due()["timer-due"]["state"] == "ok"


def test_a_command_that_is_not_there_keeps_nobody_else_from_being_told(
    aviary: Scheduled, monkeypatch: pytest.MonkeyPatch
):
    aviary.edit("[[tell, me]]", "[[no-such-mailer, me], [tell, me]]")
    aviary.stand_in(monkeypatch, "echo a chore; exit 1")
    done = aviary.run("schedule", "run", "due")
    assert done.status == Exit.TARGET
    assert "error: not everybody was told: no-such-mailer could not be started" in done.err
    assert aviary.told == ["a chore\n"]


def test_a_due_that_cannot_answer_is_told_too(aviary: Scheduled, monkeypatch: pytest.MonkeyPatch):
    aviary.stand_in(monkeypatch, "echo 'error: it is broken' >&2; exit 70")
    done = aviary.run("schedule", "run", "due")
    assert done.status == Exit.BUG
    assert "error: it is broken\n" in done.err
    assert aviary.told == ["chronos-secrets due of aviary failed with status 70:\nerror: it is broken\n"]
    assert "failed with status 70: it is broken" in aviary.verify()["due"][-1]


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        ("echo 'error: {value} is no token' >&2; echo 'error: env failed' >&2; echo 'hint: {value}' >&2; exit 8", ": env failed"),
        ("echo '{value}' >&2; exit 137", ""),
        ("printf 'error: \\033[2Jit\\rfailed \\342\\200\\256\\n' >&2; exit 70", ": ?[2Jit?failed ?"),
        ("printf 'error: %09999d\\n' 0 >&2; exit 70", ": " + "0" * 500),
    ],
    ids=["others", "killed", "controls", "long"],
)  # fmt: skip
def test_of_what_a_job_said_only_our_last_word_is_kept_as_one_plain_line(
    aviary: Scheduled, monkeypatch: pytest.MonkeyPatch, script: str, kept: str
):
    aviary.install()
    value = secrets.token_urlsafe(24)
    aviary.stand_in(monkeypatch, script.format(value=value))
    done = aviary.run("schedule", "run", "rotate")
    assert done.status in (Exit.INCOMPLETE, Exit.BUG)
    assert "a bug in chronos-secrets" not in done.err
    told = aviary.due()["timer-rotate"]["next"]
    assert told.partition(" with status ")[2].lstrip("0123456789") == kept
    assert value not in (aviary.state / record.FILE).read_text()


def test_a_rotation_that_fails_by_a_timer_is_seen_by_due_with_its_reason(aviary: Scheduled):
    aviary.install()
    done = aviary.process("schedule", "run", "rotate")
    assert done.status == Exit.REFUSED
    row = aviary.due()["timer-rotate"]
    assert (row["state"], row["how"]) == ("stuck", "chronos-secrets schedule verify")
    assert "failed with status 5: nobody is here to be asked" in row["next"]
    assert aviary.run("due").status == Exit.NO


def test_a_run_that_was_missed_is_seen_by_due_and_by_verify(aviary: Scheduled):
    aviary.remember()
    aviary.install()
    path = aviary.state / record.FILE
    record.note_installed(path, "local", datetime.now(UTC) - timedelta(days=3))
    assert {row["state"] for row in aviary.due().values()} == {"stuck"}
    assert "has not run since it should have" in aviary.verify()["due"][0]
    record.note_run(path, "due", record.Run(datetime.now(UTC), datetime.now(UTC)))
    assert aviary.due()["timer-due"]["state"] == "ok"


def test_a_timer_that_came_or_moved_today_has_missed_nothing(aviary: Scheduled):
    aviary.remember()
    aviary.install()
    path, days_ago = aviary.state / record.FILE, datetime.now(UTC) - timedelta(days=3)
    record.note_installed(path, "local", days_ago)
    assert "has not run since" in aviary.verify()["rotate"][0]
    assert aviary.install().out == "local: nothing to do\n"
    assert record.load(path).installed["local"] == days_ago
    aviary.edit("30 3 * * *", "40 3 * * *")
    aviary.install()
    assert aviary.verify() == {"due": [], "rotate": []}


def test_a_machine_without_installed_timers_has_no_rows_of_them(aviary: Scheduled):
    assert aviary.due() == {}


def test_a_timer_that_the_inventory_does_not_have_is_not_run(aviary: Scheduled):
    done = aviary.run("schedule", "run", "copies")
    assert done.status == Exit.USAGE
    assert "the inventory has no timer 'copies'" in done.err
    assert "choose from: due, rotate, copies" in aviary.run("schedule", "run").err.lower()


# --- trust ------------------------------------------------------------------------------------------------------------


def test_what_runs_by_itself_is_asked_about_once_and_a_new_command_again(aviary: Scheduled):
    aviary.trusting = False
    for words in (("install", "--yes"), ("verify",), ("run", "due")):
        done = aviary.run("schedule", *words)
        assert done.status == Exit.REFUSED
        assert "+ section timers starts by systemd: due at 0 9 * * *, rotate at 30 3 * * *, runs tell me" in done.err
    assert not aviary.units.exists()
    assert aviary.told == []
    assert aviary.run("trust", "--yes").status == Exit.OK
    assert aviary.run("schedule", "install", "--yes").status == Exit.OK
    aviary.edit("[[tell, me]]", "[[tell, me], [curl, evil]]")
    assert "runs curl evil" in aviary.run("schedule", "run", "due").err
    assert aviary.told == []


def test_a_host_that_nobody_accepted_is_not_asked_for_timers_to_remove(aviary: Scheduled):
    aviary.with_backups()
    aviary.trusting = False
    aviary.edit("far: {ssh: far-away}", "far: {ssh: nowhere.invalid}")
    done = aviary.run("schedule", "remove", "--yes")
    assert done.status == Exit.REFUSED
    assert "nowhere.invalid" in done.err


# --- the database's host ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    folder = Path(tempfile.mkdtemp(prefix="sched-", dir="/tmp"))
    folder.chmod(0o755)
    made = Engine(folder)
    try:
        made.run("far")
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)


@pytest.fixture
def database(aviary: Scheduled, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """The database's host, which here is a container itself: `far` of the inventory, with docker but no systemd."""
    host = Container("far", engine=str(engine.docker), user="0")
    script = (
        "mkdir -p /usr/bin /usr/local/sbin /etc/systemd/system /etc/logrotate.d /etc/cron.d; "
        "for each in docker flock; do echo '#!/bin/sh' > /usr/bin/$each; chmod 755 /usr/bin/$each; done"
    )
    assert host.run(("sh", "-c", script), timeout=30).status == 0
    named = Session.host
    monkeypatch.setattr(Session, "host", lambda session, name: host if name == "far" else named(session, name))
    aviary.with_backups()
    yield host
    left = "rm -rf /usr /etc/systemd /etc/logrotate.d /etc/cron.d /var/spool /var/lib/chronos-secrets"
    host.run(("sh", "-c", left), timeout=30)


def _there(host: Host) -> dict[str, str]:
    script = "find /usr/local/sbin /etc/systemd /etc/logrotate.d /etc/cron.d -type f -exec stat -c '%n %a %U' {} +"
    lines = host.run(("sh", "-c", script), timeout=30).out.decode().splitlines()
    return {line.split()[0]: " ".join(line.split()[1:]) for line in lines}


def _host(aviary: Scheduled, *words: str) -> Done:
    return aviary.run("schedule", *words, "--host", "far")


@pytest.mark.xdist_group("schedule")
def test_timers_of_the_databases_host_are_placed_with_their_owners_and_modes_and_go_again(
    aviary: Scheduled, database: Host
):
    lines = crontab.with_ours("", "aviary", ["0 9 * * * true"])
    placed = ("sh", "-c", "mkdir -p /var/spool/cron/crontabs; crontab -")
    assert database.run(placed, stdin=lines.encode(), timeout=30).status == 0
    (aviary.world / "linger").write_text("no\n")
    done = _host(aviary, "install", "--yes")
    assert done.status == Exit.OK, done.err
    assert "systemd does not run on container far, so nothing is started yet" in done.err
    assert "lingering" not in done.err  # the system's systemd starts them
    stem = "chronos-secrets-aviary"
    units = [f"/etc/systemd/system/{stem}-{each}.{end}" for each in ("diff", "full") for end in ("service", "timer")]
    assert _there(database) == {
        f"/usr/local/sbin/{stem}-backup": "755 root", f"/etc/logrotate.d/{stem}": "644 root",
        **dict.fromkeys(units, "644 root"),
    }  # fmt: skip
    assert not aviary.units.exists()
    assert "far: nothing to do" in _host(aviary, "install", "--yes").out
    assert _host(aviary, "remove", "--yes").status == Exit.OK
    assert _there(database) == {}
    assert database.run(("crontab", "-l"), timeout=30).out == lines.encode()  # somebody's own, for the same project


@pytest.mark.xdist_group("schedule")
def test_a_backup_that_failed_there_is_seen_by_verify(aviary: Scheduled, database: Host):
    _host(aviary, "install", "--yes")
    folder = f"mkdir -p {texts.RECORDS}; echo 1795255200 1795255230 50 > {texts.record('birds', 'full')}"
    database.run(("sh", "-c", folder), timeout=30)
    done = _host(aviary, "verify", "--json")
    assert done.status == Exit.NO
    full, diff = json.loads(done.out)["timers"]
    assert full["last_status"] == 50
    assert full["last_ended"] == datetime.fromtimestamp(1795255230, UTC).isoformat()
    assert any("failed with status 50" in each or "has not run since" in each for each in full["problems"])
    assert diff["last_status"] is None


@pytest.mark.xdist_group("schedule")
def test_the_script_there_makes_a_backup_and_leaves_its_record(aviary: Scheduled, database: Host):
    _host(aviary, "install", "--yes")
    command = ("sh", "-c", "mkdir -p /var/log; sh /usr/local/sbin/chronos-secrets-aviary-backup full")
    assert database.run(command, timeout=30).status == 0  # its flock is a stand-in: Debian's busybox has none
    end = record.parse_end(database.read(texts.record("birds", "full"), 100) or b"")
    assert end is not None
    assert end.status == 0


@pytest.mark.xdist_group("schedule")
def test_somebody_elses_cron_file_stops_everything_before_the_first_write(aviary: Scheduled, database: Host):
    aviary.edit('schedule: {full: "0 11', 'schedule: {by: cron, full: "0 11')
    database.run(("sh", "-c", f"echo '0 1 * * * root true' > {plans.CRON_FILE}"), timeout=30)
    done = aviary.run("schedule", "install", "--yes")
    assert done.status == Exit.REFUSED
    assert f"{plans.CRON_FILE} on container far was not made by this program for aviary" in done.err
    assert _there(database).keys() == {plans.CRON_FILE}
    assert not aviary.units.exists()
    database.run(("rm", plans.CRON_FILE), timeout=30)
    assert _host(aviary, "install", "--yes").status == Exit.OK
    assert len(_there(database)) == 3


@pytest.mark.xdist_group("schedule")
@pytest.mark.parametrize("program", ["docker", "flock"])
def test_a_host_without_a_program_that_its_timers_call_is_refused_before_the_first_write(
    aviary: Scheduled, database: Host, program: str
):
    database.run(("rm", f"/usr/bin/{program}"), timeout=30)
    done = _host(aviary, "install", "--yes")
    assert done.status == Exit.REFUSED
    assert f"container far has no program {program}, which its timers call" in done.err
    assert _there(database) == {}


@pytest.mark.xdist_group("schedule")
def test_backups_that_would_be_started_at_other_times_are_asked_about(aviary: Scheduled, database: Host):
    assert aviary.run("trust", "--yes").status == Exit.OK
    aviary.trusting = False
    aviary.edit("0 5,17 * * *", "0 6,17 * * *")
    done = _host(aviary, "install", "--yes")
    assert done.status == Exit.REFUSED
    told = "starts backups of birds by systemd of far: full at 0 11 * * *, diff at 0 6,17 * * * (UTC)"
    assert f"+ section schedule {told}" in done.err
    assert _there(database) == {}


@pytest.mark.xdist_group("schedule")
def test_timers_go_from_a_host_that_makes_the_backups_no_more(aviary: Scheduled, database: Host):
    _host(aviary, "install", "--yes")
    aviary.edit('  schedule: {full: "0 11 * * *", diff: "0 5,17 * * *", host: far}\n', "")
    said = "far has timers that the inventory has no more; to remove: chronos-secrets schedule install"
    assert said in aviary.run("schedule", "verify").err
    assert aviary.run("schedule", "install", "--yes").status == Exit.OK
    assert _there(database) == {}
    assert said not in aviary.run("schedule", "verify").err


@pytest.mark.xdist_group("schedule")
def test_a_host_without_timers_is_named_with_those_that_have_some(aviary: Scheduled, database: Host):
    done = aviary.run("schedule", "show", "--host", "elsewhere")
    assert done.status == Exit.USAGE
    assert "hosts with timers: far, local" in done.err
