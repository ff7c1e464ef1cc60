"""The review page in a browser, on paper and for a screen reader, and the metrics as node_exporter finds them."""

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chronos_secrets.cli.backup import drilled, seen
from chronos_secrets.errors import Exit
from chronos_secrets.pgbackrest import info
from chronos_secrets.pgbackrest import proved as drilling
from chronos_secrets.pgbackrest.proved import Judged, Seconds
from chronos_secrets.report import page as report
from chronos_secrets.review.page import Drill
from chronos_secrets.secret import Secret
from chronos_secrets.systems.history import History
from chronos_secrets.vault import kdbx
from chronos_secrets.vault.kdf import MasterKey
from tests.support import chronos
from tests.support.browser import A4, Page, browser
from tests.support.commands import Done, environment, in_process
from tests.support.copied import Copied
from tests.support.pages import Reader
from tests.support.programs import require
from tests.support.vaults import CHEAP

pytestmark = pytest.mark.xdist_group("page")

PASSWORD = "typed by hand"
A5 = (5.83, 8.27)  # inches
NASTY = f"""\
version: 1
project: aviary
vault: {{path: aviary.kdbx, copies: {{near: {{kind: folder, path: /{"deep/" * 60}}}}}}}
credentials:
  script: {{kind: api-token, title: "<script>document.title='run'</script>", purpose: "<img src=x onerror=y>", entry: "<b>/<i>",
           every: 1 year, rotated: 2020-01-01, owner: '"><style>*{{}}</style>'}}
  long: {{kind: api-token, title: {"Long" * 2500}, purpose: {"word" * 200}, entry: Third-Party/{"Entry" * 60},
         every: 1 year, rotated: 2026-02-01}}
  hebrew: {{kind: account, title: "\u05d0\u05d1\u05d2 (\u05d3) \U0001f468\u200d\U0001f469", entry: A/B, never: "{"so" * 300}"}}
  absurd: {{kind: passphrase, title: "it's \\"quoted\\"", entry: A/C, never: "a toy", expires: 9999-12-31}}
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


class Project:
    """Project Chronos in a folder, with a vault that was open here once."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.vault = folder, folder / "vault.kdbx"
        (folder / "inventory.yaml").write_bytes(chronos.INVENTORY.read_bytes())
        chronos.make_vault(self.vault, PASSWORD, kdf=CHEAP)
        monkeypatch.setenv("CHRONOS_SECRETS_VAULT", str(self.vault))
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o600)
        assert self.run("check", "--password-file", "password").status == Exit.OK

    def run(self, *arguments: str) -> Done:
        return in_process(*arguments, folder=self.folder)

    @property
    def state(self) -> Path:
        """The state folder, which is there since the vault was open."""
        return Path(os.environ["XDG_STATE_HOME"]) / "chronos-secrets" / "project-chronos"

    def page(self, name: str = "review.html") -> Path:
        assert self.run("due", "--format", "html", "--output", name).status == Exit.NO
        return self.folder / name

    @property
    def titles(self) -> list[str]:
        rows = json.loads(self.run("due", "--json").out)["rows"]
        return [row["title"] for row in rows if row["kind"] != "copy"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    """A page of what people and programs put into an inventory."""
    (tmp_path / "inventory.yaml").write_text(NASTY)
    done = in_process("due", "--format", "html", "--output", "nasty.html", folder=tmp_path)
    assert done.status == Exit.NO, done.err
    return tmp_path / "nasty.html"


# --- the file --------------------------------------------------------------------------------------------------------


def test_the_page_is_made_without_a_password_private_and_anew_each_time(project):
    made = project.page()
    assert made.stat().st_mode & 0o777 == 0o600
    before = made.stat().st_ino
    assert project.page().stat().st_ino != before
    assert project.run("due", "--format", "html").out.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("form", ["html", "prometheus"])
def test_a_file_that_another_program_made_is_never_replaced(project, form):
    there = project.folder / "vault.kdbx"
    before = there.read_bytes()
    done = project.run("due", "--format", form, "--output", "vault.kdbx")
    assert (done.status, "this program did not make it" in done.err) == (Exit.REFUSED, True)
    (project.folder / "link").symlink_to(project.page())
    assert project.run("due", "--format", form, "--output", "link").status == Exit.REFUSED
    assert there.read_bytes() == before
    assert (project.folder / "link").is_symlink()


def test_metrics_do_not_take_the_place_of_a_page(project):
    project.page("here")
    assert project.run("due", "--format", "prometheus", "--output", "here").status == Exit.REFUSED


def test_a_folder_that_is_not_there_is_a_sentence(project):
    done = project.run("due", "--format", "html", "--output", "nowhere/review.html")
    assert (done.status, "nowhere/review.html cannot be written" in done.err) == (Exit.REFUSED, True)


def test_a_folder_or_a_device_as_output_is_named_as_what_it_is(project):
    done = project.run("due", "--format", "html", "--output", project.folder)
    assert f"{project.folder} is a folder" in done.err
    assert f"hint: --output {project.folder}/NAME" in done.err
    assert "/dev/null is no file" in project.run("due", "--format", "html", "--output", "/dev/null").err


def test_the_other_formats_go_to_no_file(project):
    for words in (("due",), ("due", "--format", "html", "--json"), ("vault", "copies"), ("vault", "copies", "--json")):
        done = project.run(*words, "--output", "file")
        assert (done.status, "--output goes with --format" in done.err) == (Exit.USAGE, True), words
    assert not (project.folder / "file").exists()


def _values(project: Project) -> list[str]:
    """Every value of the vault, but for titles and the ids of entries, which say where something is."""
    strings = kdbx.decrypt(project.vault.read_bytes(), MasterKey(Secret(PASSWORD))).root.iterfind("Root//String")
    found = [(each.findtext("Key"), each.findtext("Value") or "") for each in strings]
    places = {value for key, value in found if key in ("Title", "chronos.id")}
    return [value for _, value in found if len(value) > 7 and value not in places]


def test_no_value_of_the_whole_vault_is_on_the_page_or_in_the_metrics(project):
    values = _values(project)
    log = History(next(project.folder.glob("**/project-chronos")) / "history.jsonl")
    for number, each in enumerate(values[:20]):  # a rotation records identifiers, which are values of the vault
        detail = {"old": each, "rotation": str(number), "phase": "done"} if each.isprintable() else {}
        log.append(at=datetime.now(UTC), host="here", what="rotate", subject="pgbackrest-chronos", detail=detail)
    texts = [project.page().read_text(), project.run("due", "--format", "prometheus").out]
    texts.append(project.run("vault", "copies", "--format", "prometheus").out)
    assert len(values) > 30
    assert "rotate" in texts[0]
    assert [value for value in [*values, PASSWORD] if any(value in text for text in texts)] == []


def test_the_page_looks_back_to_the_last_review_by_the_history(project):
    before = (datetime.now(UTC) - timedelta(days=80)).date().isoformat()
    given = ("--password-file", "password")
    assert project.run("done", "docs-review", "--on", before, *given).status == Exit.OK
    assert project.run("done", "credentials-valid", "--note", "all of <them>", *given).status == Exit.OK
    text = Reader(project.page().read_text()).text
    assert f"Since {before}: the last review, when docs-review was done" in text
    assert "all of <them>" in text


def test_the_page_needs_no_library_that_opens_a_vault_or_reads_a_template(project):
    unneeded = ["pykeepass", "lxml", "argon2", "jinja2", "cryptography", "boto3", "rich", "icalendar"]
    program = (
        "import sys\nfrom chronos_secrets.cli.main import run\nrun(['due', '--format', 'html', '--output', 'p.html'])\n"
        f"sys.exit(' '.join(name for name in {unneeded} if name in sys.modules) or 0)"
    )
    argv = (sys.executable, "-c", program)
    done = subprocess.run(argv, cwd=project.folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (project.folder / "p.html").exists()


# --- in a browser ----------------------------------------------------------------------------------------------------

_WIDER = """
[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1
 && !e.closest('svg, thead')).map(e => e.tagName + ': ' + e.textContent.slice(0, 60))
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_in_a_browser_nothing_is_wider_than_the_window_and_nothing_is_complained_of(chromium, nasty, width, scheme):
    chromium.trouble.clear()
    chromium.requests.clear()
    chromium.prefer(scheme)
    chromium.open(nasty, width=width)
    chromium.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert chromium.evaluate("document.title") == "Review of aviary"
    assert chromium.evaluate("document.documentElement.scrollWidth") <= width
    assert chromium.evaluate(_WIDER) == []
    ground = chromium.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 27)")
    assert chromium.trouble == []
    assert chromium.requests == [nasty.as_uri()]


def test_titles_stay_text_in_the_browser_and_a_style_that_got_in_would_not_apply(chromium, nasty):
    chromium.open(nasty, width=1280)
    assert (
        chromium.evaluate("document.querySelectorAll('body script, body img, body style, body b, body i').length") == 0
    )
    assert "<script>document.title='run'</script>" in chromium.evaluate("document.body.innerText")
    chromium.evaluate("document.body.insertAdjacentHTML('beforeend', '<p id=in style=\"color: rgb(1, 2, 3)\">x</p>')")
    assert chromium.evaluate("getComputedStyle(document.getElementById('in')).color") != "rgb(1, 2, 3)"
    chromium.trouble.clear()


def test_five_hundred_rows_are_a_page_too(chromium, tmp_path):
    rows = "".join(
        f'  c{n}: {{kind: api-token, title: Token {n}, entry: "G{n % 9}/T{n}", every: 1 year, rotated: 2026-01-01}}\n'
        for n in range(500)
    )
    (tmp_path / "inventory.yaml").write_text(
        f"version: 1\nproject: aviary\nvault: {{path: a.kdbx}}\ncredentials:\n{rows}"
    )
    done = in_process("due", "--format", "html", "--output", "many.html", folder=tmp_path)
    assert done.status in (Exit.OK, Exit.NO), done.err
    assert (tmp_path / "many.html").stat().st_size < 700_000
    chromium.open(tmp_path / "many.html", width=360)
    assert chromium.evaluate("document.documentElement.scrollWidth") <= 360
    assert chromium.evaluate("document.querySelectorAll('#inventory tbody tr').length") == 500


def test_on_paper_every_row_is_there_though_it_was_folded_on_the_screen(chromium, project):
    path = project.page()
    chromium.open(path, width=800)
    chromium.evaluate("document.querySelectorAll('details').forEach(e => e.open = false)")
    text = _printed(chromium, project.folder / "review.pdf", A4)
    inventory = " ".join(text.partition("Inventory\n")[2].split())
    words = set(re.findall(r"\w+", inventory))
    for title in project.titles:
        assert set(re.findall(r"\w+", title)) <= words, title
    assert text.count("\f") <= 8
    assert "page 1 of" in text
    small = _printed(chromium, project.folder / "small.pdf", A5)
    assert "State:" not in small  # each row is one, as on a wide screen


def _printed(chromium: Page, pdf: Path, size: tuple[float, float]) -> str:
    pdf.write_bytes(chromium.pdf(size))
    command = (require("pdftotext"), "-layout", pdf, "-")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


# --- for a screen reader and a keyboard ------------------------------------------------------------------------------


@pytest.fixture
def whole(project: Project) -> Path:
    """The page of a machine that looked at the backups and drilled, and beside it the page of drills."""
    now = datetime.now(UTC)
    _look_and_drill(project.state, now)
    drills = [
        Drill(now - timedelta(days=90 * n), f"b{n}", 600.0, 60.0 * n, 2.0, 700.0, 60.0, 900.0, True, "")
        for n in range(3)
    ]
    drawn = report.drill_page(drills, project="aviary", made=now, machine="here", zone=UTC)
    (project.folder / "drills.html").write_text(drawn)
    return project.page()


def _look_and_drill(state: Path, now: datetime) -> None:
    """What `backup status` and three drills leave on a machine: the last was slow, and one restored nothing."""
    held = [_backup(now - timedelta(days=n), "diff" if n % 7 else "full") for n in range(8)]
    archives = (info.Archive("15-1", 1, 1, f"{1:024X}", f"{9:024X}"),)
    seen.keep(state, info.Stanza("chronos", info.OK, "ok", None, (), tuple(held), archives), now - timedelta(hours=3))
    usual = Judged(_drilled(now - timedelta(days=180), Seconds(1500, 600, 2)), (), ())
    failed = Judged(_drilled(now - timedelta(days=90), None), (), ("the repository: <script>access denied</script>",))
    slow = Judged(_drilled(now, Seconds(3000, 900, 4)), (), ("the RTO of 1:00:00 is not kept: it is 1:05:04",))
    for each in (usual, failed, slow):
        drilled.keep(state, each, project="project-chronos", zone=UTC)


def _backup(at: datetime, kind: str) -> info.Backup:
    sizes = (4 * 2**30, 2**30, 2**29, 2**29)
    label = f"{at:%Y%m%d-%H%M%S}F" + (f"_{at:%Y%m%d-%H%M%S}D" if kind == "diff" else "")
    return info.Backup(label, kind, at, at, *sizes, f"{1:024X}", f"{2:024X}", 1, 1, None, (), False)


def _drilled(at: datetime, seconds: Seconds | None) -> drilling.Drill:
    marker = drilling.Marker("row", "ab", at, 1000, f"{1:024X}", shipped=2.0)
    return drilling.Drill(at, "this machine", "chronos", "20261122-110000F", 4096, marker, 300.0, seconds, at, 2)


def test_a_screen_reader_is_told_of_landmarks_headings_tables_and_drawings(chromium, whole):
    chromium.prefer("light")
    for width in (360, 1280):  # the narrow one shows each row as a block, and has to stay a table
        chromium.open(whole, width=width)
        told = chromium.spoken()
        roles = [role for role, _ in told]
        for landmark in ("banner", "navigation", "main", "contentinfo"):
            assert roles.count(landmark) == 1, landmark
        regions = {name for role, name in told if role == "region"}
        assert {"What needs doing", "Inventory", "Copies of the vault", "What was done"} <= regions
        tables = {name for role, name in told if role == "table"}
        assert {"AWS", "Tasks", "Copies of the vault", "Backups", "Restore drills"} <= tables
        assert roles.count("columnheader") >= 5 * 4
        assert "rowheader" in roles
        drawings = [name for role, name in told if role in ("image", "img")]
        assert drawings.pop() == "How long each drill took"
        assert drawings
        assert all(name.startswith("Rotations, expiries and tasks from") for name in drawings)
    chromium.open(whole.with_name("drills.html"), width=1280)
    assert [name for role, name in chromium.spoken() if role in ("image", "img")] == ["How long each drill took"]


def test_the_first_key_leads_past_the_links_and_what_has_the_focus_is_seen(chromium, whole):
    chromium.open(whole, width=1280)
    chromium.press("Tab")
    assert chromium.evaluate("document.activeElement.textContent") == "Skip to what needs doing"
    assert chromium.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    assert chromium.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert chromium.evaluate(
        "document.querySelector(document.activeElement.hash).contains(document.querySelector('.needs'))"
    )
    seen = []
    for _ in range(40):
        chromium.press("Tab")
        seen.append(chromium.evaluate("document.activeElement.tagName"))
    assert "SUMMARY" in seen
    assert set(seen) <= {"A", "SUMMARY", "BODY"}


def test_headings_leave_no_step_out(chromium, whole):
    chromium.open(whole, width=1280)
    levels = chromium.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(e => +e.tagName[1])")
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


# --- metrics ---------------------------------------------------------------------------------------------------------


def _metrics(path: Path) -> dict[str, list[tuple[dict[str, str], float]]]:
    found = text_string_to_metric_families(path.read_text())
    return {each.name: [(sample.labels, sample.value) for sample in each.samples] for each in found}


def test_the_metrics_of_due_are_a_file_that_the_collector_may_read_and_that_says_what_due_says(project):
    done = project.run("due", "--format", "prometheus", "--output", "due.prom")
    assert (done.status, done.out, done.err) == (Exit.NO, "", "")  # what cron would mail
    path = project.folder / "due.prom"
    assert path.stat().st_mode & 0o777 == 0o644
    states = {labels["id"]: labels["state"] for labels, _ in _metrics(path)["chronos_secrets_state"]}
    rows = json.loads(project.run("due", "--json").out)["rows"]
    assert states == {row["id"]: row["state"] for row in rows}
    assert [each.name for each in project.folder.glob("*.prom")] == ["due.prom"]
    before = path.stat().st_ino
    project.run("due", "--format", "prometheus", "--output", "due.prom")
    assert path.stat().st_ino != before  # a new file took its place: no reader sees half of one


def test_the_metrics_of_copies_say_what_was_made_and_opened(tmp_path):
    aviary = Copied(tmp_path)
    assert aviary.open("vault", "copy", "near").status == Exit.OK
    made = aviary.run("vault", "copies", "--format", "prometheus", "--output", "copies.prom")
    assert (made.status, made.out) == (Exit.OK, "")
    found = _metrics(aviary.folder / "copies.prom")
    good = {labels["copy"]: number for labels, number in found["chronos_secrets_copy_is_good"]}
    opened = {labels["copy"]: number for labels, number in found["chronos_secrets_copy_opened_timestamp_seconds"]}
    assert (good["near"], good["stick"], opened["stick"]) == (1, 0, 0)
    assert abs(opened["near"] - datetime.now(UTC).timestamp()) < 600
    assert not aviary.leaked((aviary.folder / "copies.prom").read_text())


def test_copies_are_printed_as_json_by_either_word(tmp_path):
    aviary = Copied(tmp_path)
    assert aviary.run("vault", "copies", "--format", "json").out == aviary.run("vault", "copies", "--json").out
