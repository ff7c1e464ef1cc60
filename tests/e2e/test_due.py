"""`due`, `done` and `history` on Project Chronos, as the monthly review and cron meet them."""

import json
import re
import shlex
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from chronos_secrets.cli.due import RUNNABLE
from chronos_secrets.cli.main import run
from chronos_secrets.errors import Exit
from chronos_secrets.inventory import load
from chronos_secrets.inventory.schedule import Known, Rotated, standing
from chronos_secrets.review import dates
from chronos_secrets.review.ticks import STATE_ENTRY
from chronos_secrets.secret import Secret
from chronos_secrets.vault.entries import Attribute
from chronos_secrets.vault.kdf import MasterKey
from chronos_secrets.vault.store import Places, Vault
from tests.support import chronos, keepassxc, reference
from tests.support.clock import hold_clock
from tests.support.commands import in_process
from tests.support.vaults import CHEAP, PASSWORD

TODAY = ("--today", "2026-11-22")
POSTGRES = ("Database", "PostgreSQL Production")


class Project:
    """Project Chronos in a folder, with a vault and one or more machines (each a home of its own)."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._monkeypatch, self._capsys = folder, monkeypatch, capsys
        shutil.copy(chronos.INVENTORY, folder / "inventory.yaml")
        self.vault = folder / "vault.kdbx"
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o600)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("CHRONOS_SECRETS_VAULT", str(self.vault))
        self.on_machine("one")

    def on_machine(self, name: str) -> None:
        """Go on as another machine: another state folder, the same files."""
        for variable in ("HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
            self._monkeypatch.setenv(variable, str(self.folder / name))

    @property
    def state(self) -> Path:
        return next(self.folder.glob("*/chronos-secrets/project-chronos"))

    def make_vault(self, **values: str) -> None:
        chronos.make_vault(self.vault, PASSWORD, kdf=CHEAP, values=values)

    def change(self, when: datetime, *, expires: datetime | None = None, **fields: str) -> None:
        """Set fields of the PostgreSQL entry, as KeePassXC would at `when`."""
        places = Places(locks=self.folder / "locks", previous=self.folder / "previous")
        opened = Vault.open(self.vault, MasterKey(Secret(PASSWORD)), places)
        made = {name: Attribute(Secret(value)) for name, value in fields.items()}
        opened.entries.change(opened.entries.at(POSTGRES), now=when, fields=made, expires=expires)
        opened.save(when)

    def run(self, *arguments: str, unlocked: bool = False) -> tuple[int, str, str]:
        given = ("--password-file", str(self.folder / "password")) if unlocked else ()
        status = run([*arguments, *given])
        said = self._capsys.readouterr()
        return status, said.out, said.err

    def rows(self, *arguments: str, unlocked: bool = False) -> dict[str, dict[str, str]]:
        _, out, _ = self.run("due", "--json", *arguments, unlocked=unlocked)
        return {row["id"]: row for row in json.loads(out)["rows"]}


@pytest.fixture
def project(tmp_path, monkeypatch, capsys):
    return Project(tmp_path, monkeypatch, capsys)


def test_without_a_vault_and_a_cache_the_inventory_alone_says_what_is_due(project):
    status, out, err = project.run("due", *TODAY)
    assert status == Exit.NO
    assert "the vault was not open on this machine yet" in err
    rows = project.rows(*TODAY)
    assert (rows["postgres-chronos"]["state"], rows["postgres-chronos"]["due"]) == ("overdue", "2026-05-27")
    soon = {name for name, row in rows.items() if row["state"] == "due-soon"}
    assert soon == {"pgbackrest-chronos", "ssh-lightsail", "jira-token", "confluence-token"}
    assert {rows[name]["due"] for name in soon} == {"2026-11-27"}
    assert rows["backup-cipher"]["state"] == "never"
    assert "a new key makes every existing backup unreadable" in rows["backup-cipher"]["next"]
    assert rows["aws-sso"]["state"] == "automatic"
    assert set(rows["aws-sso"]) == {
        "id", "kind", "title", "entry", "owner", "state", "due", "last_rotated", "origin", "rule", "next", "how",
    }  # fmt: skip
    assert all(len(line) <= 80 for line in out.splitlines())


def test_the_vault_is_not_opened_by_due_unless_it_is_told_to(project):
    project.vault.write_bytes(b"this is not a vault")
    assert project.run("due", *TODAY)[0] == Exit.NO
    status, _, err = project.run("due", *TODAY, "--unlock", unlocked=True)
    assert status == Exit.VAULT
    assert "is not a KeePassXC file" in err
    assert project.run("due", *TODAY, unlocked=True)[0] == Exit.VAULT, "whoever says where the password is means it"
    assert project.run("due", *TODAY, "--unlock")[0] == Exit.VAULT


def test_what_was_seen_in_the_vault_answers_while_it_is_locked_and_says_its_age(project, monkeypatch):
    hold_clock(monkeypatch)
    project.make_vault()
    project.change(datetime(2026, 10, 1, 12, tzinfo=UTC), Password="changed by hand in the client")
    assert project.run("check", unlocked=True)[0] == Exit.OK
    row = project.rows(*TODAY)["postgres-chronos"]
    assert (row["state"], row["last_rotated"], row["due"]) == ("ok", "2026-10-01", "2027-04-01")
    assert row["origin"] == "changed by hand in KeePassXC"
    assert "by what was seen in the vault today" in project.run("due", *TODAY)[2]
    assert project.run("due", *TODAY, "--unlock", unlocked=True)[2] == "", "it was looked at now"


def test_days_that_could_not_be_kept_are_said_not_to_be_known_though_the_vault_was_open(project):
    project.make_vault()
    project.change(datetime(2026, 10, 1, 12, tzinfo=UTC), Password="changed by hand in the client")
    assert project.run("check", unlocked=True)[0] == Exit.OK
    (project.state / "dates.json").unlink()
    (project.state / "dates.json").mkdir()
    status, _, err = project.run("due", *TODAY, "--unlock", unlocked=True)
    assert status == Exit.NO
    assert "only the inventory's rotated: is known" in err


@pytest.mark.parametrize(("days", "told"), [(0, "today"), (1, "1 day ago"), (3, "3 days ago")])
def test_how_long_ago_the_vault_was_open_is_told_in_days(project, days, told, monkeypatch):
    project.make_vault()
    now = hold_clock(monkeypatch, datetime(2026, 11, 20, 12, tzinfo=UTC))
    assert project.run("check", unlocked=True)[0] == Exit.OK
    hold_clock(monkeypatch, now + timedelta(days=days, hours=23))
    assert f"by what was seen in the vault {told}; " in project.run("due", *TODAY)[2]


def test_a_change_by_the_real_keepassxc_counts_and_an_edit_of_the_notes_does_not(project):
    project.make_vault()
    keepassxc.run("edit", "--password-prompt", project.vault, "/".join(POSTGRES), answers=["typed in keepassxc"])
    today = datetime.now(UTC)
    row = project.rows("--unlock", unlocked=True)["postgres-chronos"]
    assert row["origin"] == "changed by hand in KeePassXC"
    assert abs(date.fromisoformat(row["last_rotated"]) - today.date()) <= timedelta(days=1)
    project.change(today + timedelta(days=40), Notes="only a note")
    assert project.rows("--unlock", unlocked=True)["postgres-chronos"]["last_rotated"] == row["last_rotated"]


def test_the_day_is_the_projects_not_utcs(project):
    project.make_vault()
    project.change(datetime(2026, 10, 2, 3, tzinfo=UTC), Password="changed in the evening in Toronto")
    assert project.rows("--unlock", unlocked=True)["postgres-chronos"]["last_rotated"] == "2026-10-01"


def test_a_last_rotation_in_the_future_is_never_in_order(project):
    project.make_vault()
    project.change(datetime(2027, 6, 1, tzinfo=UTC), Password="changed by a machine with a wrong clock")
    row = project.rows(*TODAY, "--unlock", unlocked=True)["postgres-chronos"]
    assert row["state"] == "unknown"
    assert "is in the future" in row["next"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"version": 2}', b"\xff", b'{"version": 1, "at": 3, "credentials": 4}']
)
def test_a_cache_that_cannot_be_read_is_as_if_nothing_were_known(project, content):
    project.make_vault()
    project.change(datetime(2026, 10, 1, tzinfo=UTC), Password="changed by hand in the client")
    project.run("check", unlocked=True)
    (project.state / "dates.json").write_bytes(content)
    assert project.rows(*TODAY)["postgres-chronos"]["state"] == "overdue"
    assert "the vault was not open on this machine yet" in project.run("due", *TODAY)[2]


@given(
    remembered=st.none() | st.dates(date(2020, 1, 1), date(2026, 11, 22)),
    harm=st.sampled_from(["nothing", "missing", "torn", "other version"]),
)
@settings(max_examples=60, deadline=None)
def test_the_cache_never_makes_something_due_look_in_order(tmp_path_factory, remembered, harm):
    credential = load.read(chronos.INVENTORY).credentials["postgres-chronos"]
    path = tmp_path_factory.mktemp("cache") / "dates.json"
    known = Known(Rotated(remembered, dates.BY_HAND) if remembered else None)
    dates.store(path, dates.Dates(datetime(2026, 11, 22, tzinfo=UTC), {credential.id: known}))
    if harm == "missing":
        path.unlink()
    elif harm == "torn":
        path.write_bytes(path.read_bytes()[:-20])
    elif harm == "other version":
        path.write_bytes(path.read_bytes().replace(b'"version": 1', b'"version": 2'))
    cached = dates.load(path)
    today = date(2026, 11, 22)
    by_vault = standing(credential, known, today)
    by_cache = standing(credential, cached.known.get(credential.id) if cached else None, today)
    assert by_cache.state.needs_action or not by_vault.state.needs_action


def test_a_task_is_ticked_by_done_and_by_the_command_that_it_runs(project):
    inventory = project.folder / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("run: [check, --live]", "run: [check]"))
    project.make_vault()
    assert project.rows()["docs-review"]["state"] == "overdue"
    status, out, _ = project.run("done", "docs-review", "docs-review", "--note", "read it all", unlocked=True)
    assert (status, out.split()[0], len(out.splitlines())) == (Exit.OK, "docs-review", 1)
    assert project.run("check", unlocked=True)[0] == Exit.OK
    rows = project.rows()
    assert rows["docs-review"]["state"] == rows["credentials-valid"]["state"] == "ok"
    assert rows["credentials-valid"]["how"] == "chronos-secrets check"
    assert rows["restore-test"]["state"] == "overdue"


def test_every_task_of_our_own_inventory_shows_the_command_that_it_runs_ready_to_be_pasted(tmp_path):
    shutil.copy(chronos.INVENTORY, tmp_path / "inventory.yaml")
    done = in_process("due", "--json", "--today", "2030-01-01", folder=tmp_path)
    shown = {row["id"]: shlex.split(row["how"]) for row in json.loads(done.out)["rows"] if row["kind"] == "task"}
    runs = {name: task.run for name, task in load.read(chronos.INVENTORY).tasks.items() if task.run}
    assert len(runs) > 8
    for name, words in runs.items():
        assert shown[name] == ["chronos-secrets", *words], name


def test_whatever_due_may_tell_to_run_is_a_command_line_that_there_is():
    commands = {words.removeprefix("chronos-secrets "): command for words, command in reference.commands()}
    for words in sorted(RUNNABLE):
        name = next(" ".join(words[:most]) for most in (2, 1) if " ".join(words[:most]) in commands)
        command, rest = commands[name], list(words[len(name.split()) :])
        context = click.Context(command, help_option_names=["-h", "--help"])  # a command keeps the first
        left = command.make_parser(context).parse_args(rest)[1]  # UsageError for an option that it does not have
        assert left == [], words


def test_a_command_that_fails_ticks_nothing(project):
    inventory = project.folder / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("run: [check, --live]", "run: [check]"))
    project.make_vault()
    project.change(datetime.now(UTC), Password="weak")
    assert project.run("check", unlocked=True)[0] == Exit.NO
    assert project.rows()["credentials-valid"]["state"] == "overdue"


def test_a_tick_reaches_the_other_machine_through_the_vault(project):
    project.make_vault()
    project.run("done", "docs-review", "--on", "2026-11-20", unlocked=True)
    project.on_machine("two")
    assert project.rows(*TODAY)["docs-review"]["state"] == "overdue"
    assert project.rows(*TODAY, "--unlock", unlocked=True)["docs-review"]["last_rotated"] == "2026-11-20"
    project.run("done", "s3-cost", "--on", "2026-11-21", unlocked=True)
    project.on_machine("one")
    rows = project.rows(*TODAY, "--unlock", unlocked=True)
    assert (rows["docs-review"]["last_rotated"], rows["s3-cost"]["last_rotated"]) == ("2026-11-20", "2026-11-21")


def test_the_tick_in_the_vault_is_one_that_keepassxc_shows(project):
    project.make_vault()
    project.run("done", "docs-review", "--on", "2026-11-20", unlocked=True)
    shown = keepassxc.show(project.vault, "chronos-secrets/State", "done.docs-review")
    assert shown == "2026-11-20"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("done", "docs-reviw"), "did you mean docs-review?"),
        (("done", "docs-review", "--on", "2999-01-01"), "is in the future"),
        (("done", "docs-review", "--on", "yesterday"), "write it as YYYY-MM-DD"),
        (("done",), "missing argument"),
        (("due", "--within", "soon"), "write 60d or 8w"),
        (("due", "--within", "8weeks"), "write 60d or 8w"),
        (("due", "--within", "10000000000d"), "write 60d or 8w"),
        (("due", "--today", "2026-02-30"), "write it as YYYY-MM-DD"),
        (("due", "--fail-on", "never"), "due-soon"),
    ],
)
def test_a_wrong_command_line_is_said_before_anything_is_opened(project, arguments, words):
    status, _, err = project.run(*arguments)
    assert status == Exit.USAGE
    assert words in err


def test_exit_status_is_0_when_nothing_needs_anybody_and_fail_on_widens_it(project):
    inventory = project.folder / "inventory.yaml"
    text = inventory.read_text().replace("rotated: 2025-11-27", "rotated: 2026-08-01")
    text = re.sub(r"\n  copies:\n(    .*\n?)+", "\n", text)  # which nobody made yet
    text = text.replace("paper: true", "paper: false").replace(", least: 4", "")  # nor a sheet, nor counted codes
    text = re.sub(r"\n  objectives: .*", "", text)  # nor anything that the backups promise
    inventory.write_text(re.sub(r"\ntasks:\n(  .*\n?)+", "\n", text))
    assert project.run("due", *TODAY)[0] == Exit.OK
    assert project.run("due", "--today", "2027-01-20")[0] == Exit.OK
    assert project.run("due", "--today", "2027-01-20", "--fail-on", "due-soon")[0] == Exit.NO
    assert project.run("due", "--today", "2027-02-01")[0] == Exit.NO


def test_within_shows_only_what_needs_somebody_by_then(project):
    _, out, _ = project.run("due", *TODAY, "--within", "2d", "--json")
    shown = {row["id"] for row in json.loads(out)["rows"]}
    assert "postgres-chronos" in shown
    assert not shown & {"jira-token", "aws-sso", "backup-cipher"}
    _, out, _ = project.run("due", *TODAY, "--within", "1w", "--json")
    assert "jira-token" in {row["id"] for row in json.loads(out)["rows"]}


def test_write_expiry_shows_the_day_in_keepassxc_but_never_over_a_persons_and_never_for_accounts(project):
    project.make_vault()
    project.change(datetime(2026, 10, 1, tzinfo=UTC), expires=datetime(2026, 12, 24, 12, tzinfo=UTC))
    project.run("due", *TODAY, "--write-expiry", unlocked=True)
    assert len(list((project.state / "previous").iterdir())) == 1, "dates, ticks and the head of the log are one save"
    expiring = {path: entry for path, entry in _expiries(project).items() if entry}
    assert expiring[POSTGRES] == "2026-12-24"
    assert expiring["Third-Party", "Jira API"] == "2026-11-27"
    assert ("AWS", "Root Account") not in expiring
    before = project.vault.read_bytes()
    rows = project.rows(*TODAY, "--write-expiry", unlocked=True)
    assert project.vault.read_bytes() == before, "nothing changed, so nothing is saved"
    assert rows["jira-token"]["state"] == "due-soon"
    assert project.rows("--today", "2026-11-29", "--unlock", unlocked=True)["jira-token"]["state"] == "overdue"


def _expiries(project) -> dict[tuple[str, ...], str]:
    places = Places(locks=project.folder / "locks", previous=project.folder / "previous")
    opened = Vault.open(project.vault, MasterKey(Secret(PASSWORD)), places)
    zone = load.read(project.folder / "inventory.yaml").timezone
    from zoneinfo import ZoneInfo

    return {
        entry.path: entry.expires.astimezone(ZoneInfo(zone)).date().isoformat() if entry.expires else ""
        for entry in opened.entries
    }


def test_the_calendar_is_read_back_and_its_identifiers_are_stable(project):
    _, first, _ = project.run("due", *TODAY, "--format", "ics")
    _, second, _ = project.run("due", "--today", "2026-11-23", "--format", "ics")
    events = {str(event["uid"]): event for event in Calendar.from_ical(first).walk("VEVENT")}
    assert set(events) == {str(event["uid"]) for event in Calendar.from_ical(second).walk("VEVENT")}
    jira = events["jira-token@project-chronos.chronos-secrets"]
    assert jira["dtstart"].dt == date(2026, 11, 27)
    assert [alarm["trigger"].dt for alarm in jira.walk("VALARM")] == [timedelta(days=-7)]


def test_markdown_is_the_seeds_inventory_and_shows_every_title_as_it_is(project):
    inventory = project.folder / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("title: Jira API token", 'title: "a | <b> `c` *d*"'))
    _, out, _ = project.run("due", *TODAY, "--format", "markdown")
    assert r"| a \| \<b\> \`c\` \*d\* |" in out
    assert "KeePassXC: Database/PostgreSQL Production" in out
    assert "- [ ] Test restore: overdue since 2025-11-28" in out


@pytest.mark.parametrize("form", ["table", "json", "markdown", "ics"])
def test_no_format_holds_a_value(project, form):
    project.make_vault()
    _, out, err = project.run("due", *TODAY, "--format", form, "--write-expiry", unlocked=True)
    places = Places(locks=project.folder / "locks", previous=project.folder / "previous")
    opened = Vault.open(project.vault, MasterKey(Secret(PASSWORD)), places)
    inventory = load.read(project.folder / "inventory.yaml")
    remembered = "".join(path.read_text() for path in project.state.glob("*.json*"))
    for credential in inventory.credentials.values():
        value = opened.entries.at((*credential.entry.groups, credential.entry.title)).field("Password")
        if value:
            assert value.reveal() not in out + err + remembered
    assert PASSWORD not in out + err + remembered


def test_colour_only_repeats_the_word_and_only_on_a_terminal(project):
    from chronos_secrets.report import due as report
    from chronos_secrets.review import due as review

    found = review.rows(load.read(project.folder / "inventory.yaml"), {}, {}, date(2026, 11, 22), frozenset())
    plain, coloured = (report.terminal(found, width=80, colour=colour) for colour in (False, True))
    assert [re.sub(r"\x1b\[[0-9]*m", "", line) for line in coloured] == plain
    assert "\x1b" not in project.run("due", *TODAY)[1]


def test_the_history_says_what_was_done_and_is_proved_by_the_vault(project):
    project.make_vault()
    project.run("render", "env", "--to", "out", unlocked=True)
    project.run("done", "docs-review", unlocked=True)
    _, out, _ = project.run("history", "--json")
    assert [(event["what"], event["subject"]) for event in json.loads(out)["events"]] == [
        ("render", "env"), ("done", "docs-review"),
    ]  # fmt: skip
    status, _, err = project.run("history", "verify", unlocked=True)
    assert (status, err) == (Exit.OK, "no line was changed, dropped or cut off\n")


def test_a_history_with_a_line_that_cannot_be_read_is_shown_and_never_called_whole(project):
    project.make_vault()
    project.run("done", "docs-review", unlocked=True)
    with (project.state / "history.jsonl").open("ab") as log:
        log.write(b"{torn\n")
    status, out, err = project.run("history")
    assert (status, "docs-review" in out, "the log is damaged" in err) == (Exit.NO, True, True)
    status, out, _ = project.run("history", "--json")
    assert (status, json.loads(out)["damaged"]) == (Exit.NO, [2])


def test_the_history_since_a_day_begins_with_the_projects_day_and_not_utcs(project, monkeypatch):
    project.make_vault()
    hold_clock(monkeypatch, datetime(2026, 11, 22, 3, tzinfo=UTC))  # the 21st there
    project.run("done", "docs-review", unlocked=True)
    shown = {day: project.run("history", "--since", day)[1] for day in ("2026-11-21", "2026-11-22")}
    assert "docs-review" in shown["2026-11-21"]
    assert "docs-review" not in shown["2026-11-22"]


@pytest.mark.parametrize(
    "harm",
    [
        lambda lines: [lines[0].replace(b"env", b"enw"), *lines[1:]],
        lambda lines: lines[1:],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: lines[:-1],
        lambda lines: [],
    ],
    ids=["edited", "dropped", "swapped", "cut short", "emptied"],
)
def test_history_that_was_tampered_with_is_found(project, harm):
    project.make_vault()
    project.run("render", "env", "--to", "out", unlocked=True)
    project.run("done", "docs-review", "s3-cost", unlocked=True)
    log = project.state / "history.jsonl"
    log.write_bytes(b"".join(harm(log.read_bytes().splitlines(keepends=True))))
    status, out, _ = project.run("history", "verify", unlocked=True)
    assert status == Exit.NO
    assert out.startswith("LINE")


def test_history_that_the_vault_knows_nothing_of_is_not_called_proved(project):
    project.make_vault()
    project.run("render", "env", "--to", "out", unlocked=True)
    status, _, err = project.run("history", "verify", unlocked=True)
    assert status == Exit.OK
    assert err.startswith("no line was changed\n"), "what was cut off would not be found"
    assert "the vault remembers nothing of this machine's log yet" in err


def test_a_mark_in_the_vault_that_cannot_be_read_is_found(project):
    project.make_vault()
    project.run("done", "docs-review", unlocked=True)
    keepassxc_mark = next(name for name in _state_attributes(project) if name.startswith("log."))
    _set_state(project, keepassxc_mark, "nonsense")
    status, out, _ = project.run("history", "verify", unlocked=True)
    assert status == Exit.NO
    assert "what the vault remembers of this log cannot be read" in " ".join(out.split())


def _state_attributes(project) -> tuple[str, ...]:
    places = Places(locks=project.folder / "locks", previous=project.folder / "previous")
    return Vault.open(project.vault, MasterKey(Secret(PASSWORD)), places).entries.at(STATE_ENTRY).attribute_names


def _set_state(project, name: str, value: str) -> None:
    places = Places(locks=project.folder / "locks", previous=project.folder / "previous")
    opened = Vault.open(project.vault, MasterKey(Secret(PASSWORD)), places)
    fields = {name: Attribute(Secret(value), protected=False)}
    opened.entries.change(opened.entries.at(STATE_ENTRY), now=datetime.now(UTC), fields=fields)
    opened.save(datetime.now(UTC))


def test_a_log_that_cannot_be_written_does_not_undo_a_render_and_is_said(project):
    project.make_vault()
    project.run("check", unlocked=True)
    (project.state / "history.jsonl").mkdir()
    status, out, err = project.run("render", "env", "--to", "out", unlocked=True)
    assert (status, "written" in out) == (Exit.OK, True)
    assert "this was not recorded in the history" in err


def test_nothing_is_ticked_where_the_vault_cannot_take_the_tick(project):
    keepassxc.create(project.vault)  # KDBX 3.1
    status, out, err = project.run("done", "docs-review", unlocked=True)
    assert (status, out) == (Exit.REFUSED, "")
    assert "chronos-secrets vault upgrade" in err
    assert project.run("due", "--write-expiry", unlocked=True)[:2] == (Exit.REFUSED, "")
    assert project.rows()["docs-review"]["state"] == "overdue"
    assert project.run("vault", "upgrade", unlocked=True)[0] == Exit.OK
    assert "remembers nothing" not in project.run("history", "verify", unlocked=True)[2]
    assert project.run("done", "docs-review", unlocked=True)[0] == Exit.OK


def test_a_state_folder_that_cannot_be_made_is_a_sentence(project, monkeypatch):
    project.make_vault()
    (project.folder / "a file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(project.folder / "a file"))
    status, _, err = project.run("done", "docs-review", unlocked=True)
    assert status == Exit.REFUSED
    assert "cannot be written" in err or "cannot be used" in err
