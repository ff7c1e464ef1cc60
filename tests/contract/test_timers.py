"""What we write for systemd and cron, read by systemd, by a cron parser that is not ours, and by a shell."""

import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_secrets.inventory import cron, load
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.timers import plans, record, texts
from chronos_secrets.timers.plans import File, Here, Plan
from tests.support import chronos
from tests.support.programs import require

SCHEDULE = 'full: "0 11 * * *", diff: "0 5,17,23 * * *", timezone: UTC, host: prod'
TIMERS = '{due: {at: "0 9 * * *"}, rotate: {at: "30 3 * * 1-5"}, copies: {at: "15 9 1 */2 sun"}}'
CALENDARS = [
    "0 11 * * *",
    "0 5,17,23 * * *",
    "*/20 3-5 * * *",
    "7 * 1,15 * *",
    "30 3 * * 1-5",
    "15 9 1 */2 sun",
    "0 0 29 2 *",
]
APRIL = datetime(2027, 4, 1, 0, 0, tzinfo=UTC)  # no clock changes for half a year


def inventory(folder: Path, *, by: str = "systemd", zone: str = "UTC") -> Inventory:
    text = chronos.INVENTORY.read_text().partition("\ntimers:")[0] + "\n"
    schedule = f'by: {by}, incr: "30 */3 * * *", {SCHEDULE.replace("UTC", zone)}'
    path = folder / "inventory.yaml"
    path.write_text(text.replace(SCHEDULE, schedule) + f"timers: {TIMERS.replace('{due', f'{{by: {by}, due', 1)}\n")
    return load.read(path)


def both(folder: Path, *, by: str = "systemd", zone: str = "UTC") -> tuple[Plan, Plan]:
    """The timers of the database's host, and of a machine whose paths are awkward."""
    found = inventory(folder, by=by, zone=zone)
    program = folder / "my programs" / "50% done" / "chronos-secrets"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    here = Here(
        (str(program), "--inventory", "/home/me/a 'b'/$x/é.yaml"), {"XDG_STATE_HOME": "/home/me/my state"}, "/u"
    )
    backups = plans.backups(found, folder)
    assert backups is not None
    return backups, plans.own(found, here)


def _written(plan: Plan, folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    units = [file for file in plan.files if file.path.endswith((".timer", ".service"))]
    for file in units:
        (folder / Path(file.path).name).write_text(file.text)
    return [folder / Path(file.path).name for file in units]


@pytest.mark.parametrize("zone", ["UTC", "America/Toronto"])
def test_systemd_has_nothing_to_say_of_any_unit(tmp_path: Path, zone: str):
    """Its exit status is 0 for a key that it does not know."""
    program = require("systemd-analyze")
    for plan, scope in zip(both(tmp_path, zone=zone), ("--system", "--user"), strict=True):
        units = _written(plan, tmp_path / scope)
        assert len(units) == 6
        said = subprocess.run(
            (program, "verify", scope, "--man=no", "--recursive-errors=no", *units),
            capture_output=True, text=True, check=False, env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        )  # fmt: skip
        assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_systemd_does_tell_of_a_key_that_it_does_not_know(tmp_path: Path):
    """Else the test above would prove nothing."""
    program = require("systemd-analyze")
    [unit, *_] = _written(both(tmp_path)[0], tmp_path / "units")
    unit.write_text(unit.read_text().replace("Type=oneshot", "Type=oneshot\nExecOnFull=yes"))
    said = subprocess.run((program, "verify", "--man=no", unit), capture_output=True, text=True, check=False)
    assert "ExecOnFull" in said.stderr


@pytest.mark.parametrize("zone", ["UTC", "America/Toronto", "Australia/Lord_Howe"])
@pytest.mark.parametrize("line", CALENDARS)
def test_systemd_fires_when_we_say(line: str, zone: str):
    found = [_elapses(each, 6) for each in texts.calendar(line, zone)]
    expected, at = [], APRIL
    for _ in range(4):
        following = cron.next_after(line, at, ZoneInfo(zone))
        assert following is not None
        at = following.astimezone(UTC)
        expected.append(at)
    assert sorted({each for several in found for each in several})[:4] == expected


def test_what_the_clocks_skip_systemd_does_not_start_and_what_comes_twice_it_starts_once():
    """So two backups of different times never meet there, and docs/schedule.md warns of such a time."""
    [calendar] = texts.calendar("30 2 * * *", "America/Toronto")
    assert _elapses(calendar, 1, since="2027-03-14 05:00:00 UTC") == [datetime(2027, 3, 15, 6, 30, tzinfo=UTC)]
    [calendar] = texts.calendar("30 1 * * *", "America/Toronto")
    assert _elapses(calendar, 2, since="2027-11-07 04:00:00 UTC") == [
        datetime(2027, 11, 7, 5, 30, tzinfo=UTC), datetime(2027, 11, 8, 6, 30, tzinfo=UTC),
    ]  # fmt: skip


def _elapses(calendar: str, number: int, since: str = "2027-04-01 00:00:00 UTC") -> list[datetime]:
    command = (require("systemd-analyze"), "calendar", f"--iterations={number}", f"--base-time={since}", calendar)
    said = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "TZ": "UTC"}).stdout
    found = re.findall(r"(?:Next elapse|Iter\. #\d+|Iteration #\d+): \w+ (\S+ \S+) UTC", said)
    return [datetime.fromisoformat(f"{each}+00:00") for each in found]


# croniter takes a day for both restricted fields as we do, but knows nothing of cron's rule for a field like */2.
cron_lines = st.builds(
    "{} {} {} {} {}".format,
    st.sampled_from(["0", "*/20", "5,35", "10-20/5"]),
    st.sampled_from(["*", "0", "5,17,23", "*/6", "22-23"]),
    st.sampled_from(["*", "1", "1,15", "28-31"]),
    st.sampled_from(["*", "1,7", "feb", "4-6"]),
    st.sampled_from(["*", "sun", "7", "1-5", "mon,wed"]),
)


@settings(max_examples=50, deadline=None)
@given(line=cron_lines, minutes=st.integers(0, 9 * 366 * 24 * 60))
def test_a_cron_parser_that_is_not_ours_finds_the_same_firings(line: str, minutes: int):
    at = APRIL + timedelta(minutes=minutes)
    theirs = croniter(line, at)
    for _ in range(20):
        following = cron.next_after(line, at, ZoneInfo("UTC"))
        assert following is not None
        at = following
        assert at == theirs.get_next(datetime)


def test_a_cron_parser_accepts_every_line_that_we_write(tmp_path: Path):
    backups, own = both(tmp_path, by="cron")
    [file] = [each for each in backups.files if each.path == plans.CRON_FILE]
    written = [line for line in file.text.splitlines() if line[0].isdigit()]
    assert len(written) == len(own.crontab) == 3
    for line in (*written, *own.crontab):
        assert croniter.is_valid(" ".join(line.split()[:5]))
    assert all(line.split()[5] == "root" for line in written)
    assert all(re.search(r"(?<!\\)%", line) is None for line in (*written, *own.crontab))


# --- the script of a backup, run by a shell -----------------------------------------------------------------------------


class Backup:
    """The script, with a docker of ours, and its folders below one that is ours."""

    def __init__(self, folder: Path, *, status: int = 0) -> None:
        self.root = folder
        [file] = [each for each in both(folder)[0].files if each.text.startswith("#!/bin/sh")]
        self.file: File = file
        (folder / "bin").mkdir()
        (folder / "var/log").mkdir(parents=True)
        self.docker = folder / "bin" / "docker"
        self.docker.write_text(f'#!/bin/sh\necho "$@"\nexit {status}\n')
        self.docker.chmod(0o755)
        self.script = folder / "script"
        text = file.text.replace("/var/", f"{folder}/var/").replace("PATH=", f"PATH={folder}/bin:", 1)
        self.script.write_text(text)

    def run(self, *words: str) -> int:
        return subprocess.run(("/bin/sh", self.script, *words), capture_output=True, check=False, env={}).returncode

    def log(self, type_: str = "full") -> str:
        return (self.root / f"var/log/pgbackrest-{type_}.log").read_text()

    def end(self, type_: str = "full") -> record.Run | None:
        return record.parse_end((self.root / f"var/lib/chronos-secrets/chronos-{type_}").read_bytes())


@pytest.mark.parametrize("status", [0, 50, 125])
def test_a_backup_leaves_its_log_and_how_it_ended_and_ends_the_same(tmp_path: Path, status: int):
    backup = Backup(tmp_path, status=status)
    before = datetime.now(UTC) - timedelta(seconds=1)
    assert backup.run("full") == status
    end = backup.end()
    assert end is not None
    assert end.status == status
    assert end.ended is not None
    assert before <= end.begun <= end.ended <= datetime.now(UTC)
    assert "exec -u postgres chronos-db pgbackrest --config=/etc/pgbackrest/pgbackrest.conf" in backup.log()
    assert f"ended with status {status}" in backup.log()
    assert "-t " not in backup.log()


def test_a_backup_of_a_type_that_is_not_scheduled_is_not_made(tmp_path: Path):
    backup = Backup(tmp_path)
    assert backup.run("rm -rf") == backup.run() == 2
    assert not (tmp_path / "var/lib").exists()


def test_a_second_backup_waits_for_the_first_one(tmp_path: Path):
    """pgBackRest itself does not wait: it would fail with 50."""
    backup = Backup(tmp_path)
    backup.docker.write_text(
        '#!/bin/sh\nn=$(cat "$0.n" 2>/dev/null || echo 0); [ "$n" = 0 ] || exit 50; echo 1 > "$0.n"; sleep 0.5; echo 0 > "$0.n"\n'
    )
    both_run = [subprocess.Popen(("/bin/sh", backup.script, each), env={}) for each in ("full", "diff")]
    assert [each.wait(20) for each in both_run] == [0, 0]


def test_a_backup_that_waits_too_long_fails_as_pgbackrest_would(tmp_path: Path):
    backup = Backup(tmp_path)
    backup.script.write_text(backup.script.read_text().replace(f"left={texts.LOCK_PATIENCE}", "left=0"))
    lock = tmp_path / "var/lib/chronos-secrets/chronos.lock"
    lock.parent.mkdir(parents=True)
    holding = subprocess.Popen(
        ("flock", lock, "sh", "-c", "echo held; read x"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holding.stdout is not None
    assert holding.stdout.readline() == b"held\n"
    try:
        assert backup.run("diff") == 50
    finally:
        holding.communicate(b"\n", timeout=20)
    end = backup.end("diff")
    assert end is not None
    assert end.status == 50
