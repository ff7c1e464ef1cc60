"""What stands on the review page, and that it is HTML which does what it says to everybody who reads it."""

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chronos_secrets.inventory import load
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.inventory.schedule import Known, Rotated, State
from chronos_secrets.pgbackrest import info
from chronos_secrets.report import bars
from chronos_secrets.report import page as report
from chronos_secrets.review import due, page
from chronos_secrets.systems.history import Event
from tests.support import chronos
from tests.support.pages import Reader

TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ZONE = ZoneInfo("America/Toronto")
INVENTORY = """\
version: 1
project: aviary
timezone: America/Toronto
owner: keeper
vault: {path: aviary.kdbx}
credentials:
  db: {kind: postgres-password, title: DB, purpose: Feeds, entry: Database/DB, every: 6 months, rotated: 2026-10-01}
  old: {kind: api-token, title: Old token, entry: Third-Party/Old, every: 1 year, rotated: 2025-01-01, expires: 2026-02-03,
        owner: another, target: {page: "https://tokens.example.org/new"}}
  nest: {kind: passphrase, title: Nest, entry: Alone, never: "it stays"}
tasks:
  sweep: {title: Sweep, every: 1 week, from: 2026-01-01}
  count: {title: Count, every: 3 months, from: 2025-08-31}
  docs-review: {title: Review, every: 3 months, from: 2026-01-01}
"""
PAIRS = [
    *((ink, ground, 4.5) for ink in ("ink", "quiet", "link") for ground in ("ground", "raised")),
    *((tone, f"{tone}-ground", 4.5) for tone in ("bad", "now", "soon", "fine", "calm")),
    *((mark, "ground", 3.0) for mark in ("done", "due", "later", "fetch", "replay", "first", "link", "quiet")),
]
"""Which colours stand on which, and the contrast that WCAG 2.2 AA asks of them (1.4.3, 1.4.11)."""


def inventory(folder: Path, text: str = INVENTORY) -> Inventory:
    path = folder / "inventory.yaml"
    path.write_text(text)
    return load.read(path)


NUMBERS = itertools.count(1)


def event(what: str, subject: str, at: datetime, **detail: str) -> Event:
    return Event(next(NUMBERS), at, "here", what, subject, detail)


def facts(**changed: Any) -> page.Facts:
    usual = page.Facts(made=NOW, zone=ZONE, machine="the-laptop", seen=NOW, known={}, events=[], damaged=0)
    return usual._replace(**changed)


def composed(found: Inventory, given: page.Facts | None = None, *, today: date = TODAY, **ticks: date) -> page.Page:
    given = given or facts()
    done = {name.replace("_", "-"): day for name, day in ticks.items()}
    rows = due.rows(found, given.known, done, today, frozenset())
    since = page.last_review(found, done, given.events, today)
    return page.compose(found, rows, given, since, today=today)


def lane(found: page.Page, name: str) -> page.Lane:
    return next(each for each in found.timeline.lanes if each.id == name)


def drill(**changed: Any) -> page.Drill:
    usual = page.Drill(NOW, "20261122-110000F", 600.0, 120.0, 3.0, 3600.0, 60.0, 900.0, True, "4 tables counted")
    return usual._replace(**changed)


# --- what is on it ---------------------------------------------------------------------------------------------------


def test_what_needs_somebody_is_at_the_top_the_most_urgent_first_each_with_what_to_do(tmp_path):
    told = composed(inventory(tmp_path), sweep=TODAY, count=TODAY)
    assert [row.id for row in told.needed] == ["old", "docs-review"]
    text = Reader(report.page(told).partition("<main>")[2]).text
    assert text.index("What needs doing") < text.index("Old token") < text.index("chronos-secrets done docs-review")
    assert text.index("chronos-secrets done docs-review") < text.index("What is not known")
    assert "Owner: another" in text


def test_a_command_with_a_quoted_word_stands_as_one_command(tmp_path):
    found = inventory(
        tmp_path, INVENTORY.replace("from: 2026-01-01}", 'from: 2026-01-01, run: [backup, logs, --since, "1 year"]}', 1)
    )
    rows = due.rows(found, {}, {}, TODAY, frozenset({("backup", "logs", "--since", "1 year")}))
    told = report.page(page.compose(found, rows, facts(), page.last_review(found, {}, [], TODAY), today=TODAY))
    assert "<code>chronos-secrets backup logs --since &#x27;1 year&#x27;</code>" in told


def test_within_looks_further_ahead_than_each_lead(tmp_path):
    found, given = inventory(tmp_path), facts()
    rows = due.rows(found, {}, {}, TODAY, frozenset())
    since = page.last_review(found, {}, [], TODAY)
    assert "db" in {row.id for row in page.compose(found, rows, given, since, today=TODAY, within=200).needed}
    assert "db" not in {row.id for row in page.compose(found, rows, given, since, today=TODAY, within=20).needed}


def test_nothing_to_do_is_said(tmp_path):
    text = INVENTORY.partition("  old:")[0]
    told = report.page(composed(inventory(tmp_path, text)))
    assert "What needs doing Nothing." in Reader(told).text


def test_an_inventory_without_any_row_is_a_page_too(tmp_path):
    told = composed(inventory(tmp_path, INVENTORY.partition("credentials:")[0] + "credentials: {}\n"))
    text = Reader(report.page(told)).text
    assert "Nothing." in text
    assert "The year behind" not in text
    assert "Inventory" not in text


def test_the_inventory_stands_by_the_groups_of_the_vault_and_tasks_come_last(tmp_path):
    told = composed(inventory(tmp_path))
    assert [(name, [row.id for row in rows]) for name, rows in told.groups] == [
        ("Database", ["db"]), ("Third-Party", ["old"]), ("Other", ["nest"]), ("Tasks", ["count", "docs-review", "sweep"]),
    ]  # fmt: skip
    assert "never: it stays" in Reader(report.page(told)).text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"seen": None}, "The vault was never open on this machine"),
        ({"known": {"db": Known()}}, "2 of the inventory's credentials had no entry"),
        ({"damaged": 2}, "2 lines of this machine's history are not as they were written"),
    ],
)
def test_what_is_not_known_is_said(tmp_path, changed, words):
    usual = {"known": {name: Known() for name in ("db", "old", "nest")}}
    assert words not in Reader(report.page(composed(inventory(tmp_path), facts(**usual)))).text
    assert words in Reader(report.page(composed(inventory(tmp_path), facts(**usual | changed)))).text


def test_the_page_says_when_and_where_it_was_made_and_by_what_was_seen(tmp_path):
    text = Reader(report.page(composed(inventory(tmp_path)))).text
    assert "Made on 2026-11-22 at 07:00 (America/Toronto) on the machine the-laptop." in text
    assert "By what was seen in the vault on 2026-11-22" in text


# --- the timeline ----------------------------------------------------------------------------------------------------


def test_the_timeline_shows_a_year_back_and_a_year_ahead_with_all_that_is_known(tmp_path):
    told = composed(inventory(tmp_path), facts(known={"db": Known(Rotated(date(2026, 6, 1), "seen"))}))
    assert (told.timeline.start, told.timeline.end) == (date(2025, 11, 22), date(2027, 11, 22))
    db = lane(told, "db")
    assert (db.days("done"), db.days("due")) == ([date(2026, 6, 1)], [date(2026, 12, 1)])
    assert db.days("later") == [date(2027, 6, 1)]
    old = lane(told, "old")
    assert old.days("done") == []  # longer ago
    assert old.days("expires") == [date(2026, 2, 3)]
    assert old.days("later") == [date(2027, 11, 22)]  # it is overdue: if it is done today
    assert not any(each.id == "nest" for each in told.timeline.lanes)


def test_a_task_is_planned_by_its_calendar_and_not_by_when_it_was_done(tmp_path):
    count = lane(composed(inventory(tmp_path), count=date(2026, 11, 20)), "count")
    assert count.days("due") == [date(2026, 11, 30)]
    assert count.days("later") == [date(2027, 2, 28), date(2027, 5, 31), date(2027, 8, 31)]


def test_what_is_due_each_week_is_a_band_and_not_fifty_marks(tmp_path):
    sweep = lane(composed(inventory(tmp_path), sweep=TODAY), "sweep")
    assert sweep.days("later") == []
    assert sweep.band is not None
    assert sweep.band[1] > date(2027, 11, 1)


def test_what_the_history_has_as_done_is_on_the_timeline(tmp_path):
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)  # the first of March in Toronto
    events = [
        event("done", "sweep", NOW, on="2026-02-01"), event("done", "sweep", NOW, on="no day"),
        event("rotate", "db", at, rotation="r1", phase="created"),
        event("rotate", "db", at + timedelta(days=7), rotation="r1", phase="done"),
    ]  # fmt: skip
    told = composed(inventory(tmp_path), facts(events=events))
    assert lane(told, "sweep").days("done") == [date(2026, 2, 1)]
    assert lane(told, "db").days("done") == [date(2026, 3, 8), date(2026, 10, 1)]


@pytest.mark.parametrize("today", [date.min, date.max, date(2024, 2, 29), date(9999, 1, 1)])
def test_no_day_is_too_absurd_for_the_page(tmp_path, today):
    text = INVENTORY.replace("rotated: 2025-01-01, expires: 2026-02-03", "rotated: 0001-01-01, expires: 9999-12-31")
    told = report.page(
        composed(inventory(tmp_path, text), facts(made=datetime(today.year, 6, 1, tzinfo=UTC)), today=today)
    )
    assert f"As of {today}" in told
    places = [float(each) for each in re.findall(r'"(-?[0-9.]+)%"', told)]
    assert all(0 <= each <= 100 for each in places)


def test_each_drawing_is_named_and_described_and_has_its_days_in_a_table(tmp_path):
    told = report.page(composed(inventory(tmp_path)))
    assert len(re.findall(r'<svg [^>]*role="img"', told)) == 1
    for reference in re.findall(r'aria-(?:labelledby|describedby)="([^"]+)"', told):
        assert f'id="{reference}"' in told
    assert "2027-04-01" in Reader(told.partition("<details>")[2].partition("</details>")[0]).text
    assert ">Jul 27<" in told
    assert ">Oct 27<" not in told  # it would be cut off at the edge
    assert "which come later" not in told


def test_two_hundred_lanes_are_drawn_in_parts_that_fit_on_paper_and_the_rest_is_said(tmp_path):
    rows = "".join(f"  t{n}: {{title: T{n}, every: 1 month, from: 2026-01-01}}\n" for n in range(200))
    told = report.page(composed(inventory(tmp_path, INVENTORY.partition("  sweep:")[0] + rows)))
    heights = [int(each) for each in re.findall(r'<svg class="timeline"[^>]*height="(\d+)"', told)]
    assert max(heights) < 700
    assert told.count('class="lane"') == 96
    assert "106 more, which come later, are in the table alone" in Reader(told).text
    assert all(f">T{number}<" in told for number in range(200))


# --- since the last review -------------------------------------------------------------------------------------------


def test_the_last_review_is_the_task_and_not_the_one_of_today(tmp_path):
    found = inventory(tmp_path)
    assert page.last_review(found, {"docs-review": date(2026, 8, 1)}, [], TODAY).day == date(2026, 8, 1)
    before = [event("done", "docs-review", NOW, on="2026-05-02")]
    assert page.last_review(found, {"docs-review": TODAY}, before, TODAY).day == date(2026, 5, 2)
    assert page.last_review(found, {"docs-review": TODAY}, [], TODAY).day == date(2026, 8, 22)
    without = inventory(tmp_path, INVENTORY.replace("  docs-review: {", "  docs: {"))
    assert "there is no task docs-review" in page.last_review(without, {}, [], TODAY).why


def test_what_was_done_since_then_is_told_once_with_how_often_and_without_identifiers(tmp_path):
    identifier = "the-old-" + "identifier"
    events = [
        event("render", "env", NOW - timedelta(days=200)), event("render", "env", NOW - timedelta(days=3)),
        event("render", "env", NOW - timedelta(days=1)),
        *(event("rotate", "db", NOW, rotation="r1", phase=phase, old=identifier) for phase in ("created", "done")),
        event("render", "note", datetime(2026, 9, 1, 3, tzinfo=UTC)),  # in Toronto it is the day before
        event("done", "sweep", NOW, on="2026-11-21", note="to be filled"),
        event("done", "sweep", NOW, on="2026-11-22", note="the feeder <was> empty"),
    ]  # fmt: skip
    told = composed(inventory(tmp_path), facts(events=events), docs_review=date(2026, 9, 1))
    assert {(deed.what, deed.of): deed.times for deed in told.done} == {
        ("render", "env"): 2, ("rotate", "db"): 1, ("done", "sweep"): 2,
    }  # fmt: skip
    text = report.page(told)
    assert identifier not in text
    assert "the feeder <was> empty" in Reader(text).text


# --- backups and drills ----------------------------------------------------------------------------------------------


def test_backups_and_drills_are_shown_only_where_something_is_known_of_them(tmp_path):
    found = inventory(tmp_path)
    assert "Restore drills" not in report.page(composed(found))
    backup = page.BackupLine("repo1", "20261122-110000F", "full", NOW - timedelta(hours=2), 1, ("A1", None), "", True)
    text = Reader(report.page(composed(found, facts(backups=[backup], drills=[drill()])))).text
    for words in ("20261122-110000F", "2 h", "A1 to now", "Restore drills", "10 min", "12 min 3 s", "4 tables counted"):
        assert words in text, words


def test_a_damaged_backup_and_a_drill_that_broke_its_promise_say_so_and_the_newest_stands_first(tmp_path):
    usual = page.BackupLine("repo1", "the-old-one", "full", NOW - timedelta(days=1), 1, ("A1", None), "", True)
    damaged = usual._replace(label="the-new-one", stopped=NOW, is_good=False, state="it copied damaged pages")
    drills = [drill(backup="the-old-one"), drill(at=NOW + timedelta(days=1), rpo=901.0, backup="the-new-one")]
    made = report.page(composed(inventory(tmp_path), facts(backups=[usual, damaged], drills=drills)))
    for title, good, bad in (
        ("Backups", "good", "NOT GOOD it copied damaged pages"),
        ("Restore drills", "kept 4 tables counted", "not kept 4 tables counted"),
    ):
        cells = Reader(made.partition(f'aria-label="{title}"')[2].partition("</table>")[0]).text
        new, old = cells.split("the-new-one")[1].split("the-old-one")
        assert bad in new
        assert good in old
        assert bad not in old


def test_backups_stand_with_the_moment_at_which_they_were_seen_and_none_is_told_apart_from_not_looked(tmp_path):
    text = chronos.INVENTORY.read_text()
    never = Reader(report.page(composed(inventory(tmp_path, text)))).text
    assert "This machine never looked at the backups. To look: chronos-secrets backup status" in never
    seen = facts(backups=[], backups_seen=NOW - timedelta(days=1), drills=[])
    none = Reader(report.page(composed(inventory(tmp_path, text), seen))).text
    assert "As last seen from this machine, on 2026-11-21 at 07:00. There was no backup." in none
    assert "never looked" not in none
    assert "No restore was ever proved on this machine." in none


def test_what_a_repository_holds_can_be_replayed_to_its_newest_wal_and_a_damaged_backup_is_not_good():
    def backup(label: str, age: int, database: int, *, error: bool) -> info.Backup:
        at = NOW - timedelta(hours=age)
        return info.Backup(label, "full", at, at, 9, 9, 3, 3, "W1", "W2", 1, database, None, (), error)

    held = (backup("new", 1, 2, error=True), backup("old", 5, 1, error=False))
    archives = (info.Archive("15-2", 1, 2, "W1", "W9"), info.Archive("15-1", 1, 1, None, None))
    lines = page.backup_lines(info.Stanza("birds", 0, "ok", None, (), held, archives))
    assert [(each.label, each.wal, each.is_good) for each in lines] == [
        ("old", ("W1", "W2"), True), ("new", ("W1", "W9"), False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({}, True), ({"fetch": None}, False), ({"rto_objective": 700.0}, False), ({"rpo": 901.0}, False), ({"rpo": None}, False),
        ({"is_good": False}, False), ({"rto_objective": None, "rpo": None, "rpo_objective": None}, True),
    ],
)  # fmt: skip
def test_a_drill_keeps_what_was_promised_or_not(changed, kept):
    assert drill(**changed).kept is kept


def test_the_bars_of_a_drill_are_as_long_as_its_parts_took_and_end_where_the_next_begins():
    made = bars.figure([drill(), drill(fetch=6000.0)], UTC)
    found = re.findall(r'class="(fetch|replay|first_query)" x="([0-9.]+)%" y="\d+" width="([0-9.]+)%"', made)
    assert [name for name, _, _ in found] == ["fetch", "replay", "first_query"] * 2
    for (_, x, width), (name, following, _) in itertools.pairwise(found):
        assert name == "fetch" or float(x) + float(width) == pytest.approx(float(following), abs=0.02)
    assert float(found[0][2]) == pytest.approx(5 * float(found[1][2]), abs=0.05)
    assert made.count('class="objective"') == 2


def test_a_hundred_drills_are_a_table_and_a_drawing_of_the_newest():
    drills = [drill(at=NOW + timedelta(days=number)) for number in range(100)]
    told = report.drill_page(drills, project="aviary", made=NOW, machine="here", zone=UTC)
    assert told.count('role="rowheader"') == 100
    drawn = re.findall(r'class="label"[^>]*>([0-9-]{10})', told)
    assert drawn == [str((NOW + timedelta(days=number)).date()) for number in range(99, 75, -1)]


def test_a_drill_that_took_no_time_at_all_is_drawn_too():
    made = bars.figure([drill(fetch=0.0, replay=0.0, first_query=0.0, rto_objective=None)], UTC)
    assert made.count('width="0.00%"') == 3


def test_a_drill_that_restored_nothing_has_no_bar_and_says_so():
    made = bars.figure([drill(fetch=None, replay=None, first_query=None)], UTC)
    assert "nothing was restored, NOT as promised" in made
    assert "<rect" not in made


@pytest.mark.parametrize(
    ("number", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (59.7, "60 s"), (60, "1 min"), (3661, "1 h 1 min"), (90000, "1 d 1 h"),
     (None, "-")],
)  # fmt: skip
def test_a_duration_is_told_in_the_units_that_say_enough(number, words):
    assert bars.seconds(number) == words


def test_the_drills_have_a_page_of_their_own():
    text = report.drill_page([drill()], project="aviary", made=NOW, machine="the-laptop", zone=ZONE)
    assert "Restore drills of aviary" in Reader(text).text
    assert "No drill is known." in report.drill_page([], project="aviary", made=NOW, machine="m", zone=ZONE)


# --- what people put into it -----------------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script>'\"><b onclick=x>&amp;${title}$$"


def _everywhere(found: page.Page, text: str = HOSTILE) -> page.Page:
    """The page with one text wherever it has any."""
    rows = tuple(
        row._replace(
            title=text, purpose=text, entry=text, owner=text, how=text,
            standing=row.standing._replace(rule=text, next=text),
        )
        for row in found.rows
    )  # fmt: skip
    lanes = tuple(each._replace(title=text, rule=text) for each in found.timeline.lanes)
    return found._replace(
        project=text, machine=text, rows=rows, needed=rows, unknown=(text,), groups=((text, rows),),
        timeline=found.timeline._replace(lanes=lanes), links=dict.fromkeys((row.id for row in rows), text),
        done=(page.Deed(text, text, 1, NOW, text),), since=page.Since(TODAY, text),
        backups=(page.BackupLine(text, text, text, NOW, 1, (text, text), text, False),),
        drills=(drill(backup=text, words=text),),
    )  # fmt: skip


def test_no_text_becomes_markup_wherever_it_stands(tmp_path):
    told = _everywhere(composed(inventory(tmp_path)))
    read = Reader(report.page(told))
    assert not {"script", "img", "iframe", "link", "object", "b"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name.startswith("on") or name == "style"]
    assert read.text.count("<script>alert(1)</script>") > 40


def test_the_page_asks_nothing_of_the_network_and_runs_nothing(tmp_path):
    told = report.page(composed(inventory(tmp_path)))
    assert "default-src 'none'" in told
    assert "unsafe" not in told
    assert not re.search(r"<script|javascript:|\bon[a-z]+=|url\(|@import|<link|<img|\bsrc=| style=", told)
    link = 'href="https://tokens.example.org/new" rel="noopener noreferrer"'
    assert set(re.findall(r'href="[^#"][^>]*', told)) == {link}


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "javascript://x/%0aalert(1)",
        "data:text/html,x",
        "ftp://x/y",
        "file:///x",
        " https://x",
        "https://x y",
        "//x",
        "x",
    ],
)
def test_an_address_that_is_not_of_the_web_is_no_link(tmp_path, address):
    told = composed(inventory(tmp_path))
    made = report.page(told._replace(links={"old": address}))
    assert not re.search(r'href="[^#]', made)


def test_characters_that_hide_or_turn_the_writing_around_do_not_reach_the_page(tmp_path):
    told = composed(inventory(tmp_path))
    rows = tuple(row._replace(title="\u202eDB\x1b[2J\u200f \U0001f600") for row in told.rows)
    made = report.page(told._replace(rows=rows, needed=rows))
    assert not {"\u202e", "\u200f", "\x1b"} & set(made)
    assert "?DB?[2J? \U0001f600" in made


def test_a_title_that_is_written_from_right_to_left_leaves_what_stands_beside_it_alone(tmp_path):
    told = _everywhere(composed(inventory(tmp_path)), "\u05d0\u05d1\u05d2 (\u05d3)")
    around = set(
        re.findall(r"<(\w+)[^>]*>\u05d0\u05d1\u05d2 \(\u05d3\)</", report.page(told).partition("</header>")[0])
    )
    assert around == {"bdi"}
    needs = report.page(told).partition('<ul class="needs"')[2].partition("</ul>")[0]
    assert needs.count('<bdi class="name">\u05d0') == len(told.needed)


def test_what_a_person_wrote_is_cut_wherever_it_stands_but_a_link_leads_to_the_whole_address(tmp_path):
    long = "word" * 2500
    found = _everywhere(composed(inventory(tmp_path)), long)
    address = f"https://tokens.example.org/{long}"
    made = report.page(found._replace(
        machine="here", unknown=(), since=page.Since(TODAY, "a test"), backups=None, links={"old": address},
        drills=tuple(each._replace(backup="b") for each in found.drills),
        done=tuple(each._replace(what="render") for each in found.done),
    ))  # fmt: skip
    assert made.count(f'href="{address}"') == 1
    assert long[:601] not in made.replace(f'href="{address}"', "")


def test_a_title_of_ten_thousand_characters_is_cut(tmp_path):
    text = INVENTORY.replace("title: Old token", f"title: {'Old' * 3333}")
    made = report.page(composed(inventory(tmp_path, text)))
    assert "Old" * 100 not in made
    assert "Old" * 90 in made


def test_two_hundred_credentials_make_a_page_that_can_be_sent(tmp_path):
    row = "  c{0}: {{kind: api-token, title: Token of service {0}, purpose: Some automation of {0}, entry: Third-Party/T{0}, every: 1 year, rotated: 2026-01-01}}\n"
    head, rest = INVENTORY.partition("credentials:\n")[::2]
    text = f"{head}credentials:\n{''.join(row.format(n) for n in range(200))}{rest}"
    made = report.page(composed(inventory(tmp_path, text)))
    assert len(made.encode()) < 300_000
    assert all(f"Token of service {number}<" in made for number in range(200))


# --- what it looks like ----------------------------------------------------------------------------------------------


def _schemes() -> Iterator[dict[str, str]]:
    """The colours of the light page, and those of the dark one."""
    style = (Path(report.__file__).with_name("page.html")).read_text().partition("@page")[0]
    light, dark = style.split("prefers-color-scheme: dark")
    yield (names := dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light)))
    yield names | dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", dark))


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", list(_schemes()), ids=["light", "dark"])
def test_every_colour_stands_out_from_what_it_stands_on(scheme):
    for ink, ground, least in PAIRS:
        lighter, darker = sorted((_luminance(scheme[ink]), _luminance(scheme[ground])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= least, f"{ink} on {ground}"
    assert {name for pair in PAIRS for name in pair[:2]} == scheme.keys() - {"rule"}


def test_every_state_is_a_word_and_not_only_a_colour(tmp_path):
    told = composed(inventory(tmp_path))
    for state in State:
        row = told.rows[0]._replace(standing=told.rows[0].standing._replace(state=state, due=TODAY))
        made = report.page(told._replace(needed=(row,)))
        assert f">{state.value}</span>" in made
        assert "2026-11-22 (today)" in made


def test_tables_name_their_columns_and_rows_and_headings_leave_no_step_out(tmp_path):
    made = report.page(composed(inventory(tmp_path), facts(drills=[drill()])))
    assert not re.search(r"<th(?![a-z])(?![^>]*scope=)", made)
    assert not re.search(
        r"<(table|thead|tbody|tr|th|td)( (?!role)[a-z-]+=\"[^\"]*\")*>", made
    )  # for rows shown as blocks
    levels = [int(each) for each in re.findall(r"<h([1-6])", made)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_every_id_is_there_once_and_every_link_on_the_page_leads_somewhere(tmp_path):
    made = report.page(composed(inventory(tmp_path), facts(drills=[drill()])))
    ids = re.findall(r' id="([^"]+)"', made)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', made)) <= set(ids)


def test_a_row_that_is_no_task_of_the_inventory_stands_with_the_tasks_and_a_place_of_copies_does_not(tmp_path):
    found = inventory(tmp_path)
    stands = SimpleNamespace(**composed(found).rows[0].standing._asdict())
    extra = due.Row("emergency.sheet", "task", "Print it", "", "", "keeper", stands, "chronos-secrets emergency sheet")
    place = extra._replace(id="near", kind="copy", title="Copies near")
    told = page.compose(found, [extra, place], facts(), page.Since(TODAY, "a test"), today=TODAY)
    assert told.groups == (("Tasks", (extra,)),)
