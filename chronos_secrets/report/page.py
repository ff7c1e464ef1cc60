"""The review page, and the page of drills: one HTML file each, without scripts, pictures or anything from the network.

The only styles that the page lets be applied are those of page.html, by their hash: no `style` attribute works.
"""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from pathlib import Path
from string import Template
from typing import Any

from chronos_secrets.amounts import counted
from chronos_secrets.report import bars, copies, timeline
from chronos_secrets.report.markup import Html, Line, joined, short, table, tag

_PAGE = Path(__file__).with_name("page.html")
_TONES = {
    "expired": "bad", "stuck": "bad", "overdue": "bad", "unknown": "bad", "due": "now", "due-soon": "soon",
    "in-progress": "soon", "ok": "fine",
}  # fmt: skip
_DRILL_HEADS = (
    "Drill", "Backup", "Fetch", "Replay", "First query", "RTO", "Objective", "RPO", "Objective of the RPO", "Result",
)  # fmt: skip
_COMMAND = re.compile(r"(chronos-secrets(?: [\w./=:+-]+| '[^']*')+)")
_SAFE_LINK = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)


def page(found: Any) -> str:
    """The review page (review/page.py says what is on it)."""
    sections = [each for each in _sections(found) if each[2]]
    links = tag("ul", *(tag("li", tag("a", name, href=f"#{key}")) for key, name, _ in sections))
    body = joined(
        tag("a", "Skip to what needs doing", href="#needs", cls="skip"),
        tag("header", *_head(found), tag("nav", links, aria_label="On this page")),
        tag("main", *(_section(*each) for each in sections)),
        tag("footer", _foot(found)),
    )
    return _filled(f"Review of {found.project}", body)


def drill_page(drills: Sequence[Any], *, project: str, made: datetime, machine: str, zone: tzinfo) -> str:
    """The drills alone, the newest first; each is anything with the attributes of review/page.py's."""
    title = f"Restore drills of {project}"
    main = _section("drills", "Drills", _drills(drills, zone) or tag("p", "No drill is known."))
    head = tag("header", tag("h1", title), tag("p", _made(made, zone, machine), cls="quiet"))
    return _filled(title, joined(head, tag("main", main)))


def _filled(title: str, body: Html) -> str:
    text = _PAGE.read_text(encoding="utf-8")
    style = text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return Template(text).substitute(title=joined(short(title)), digest=f"sha256-{digest}", body=body)


def _sections(found: Any) -> list[tuple[str, str, Html]]:
    """The parts of the page: the id, the heading, and what is below it; a part without any of it is left out."""
    return [
        ("needs", "What needs doing", _needs(found)),
        ("unknown", "What is not known", tag("ul", *(tag("li", each) for each in found.unknown))),
        ("timeline", "The year behind and the year ahead", _timeline(found.timeline)),
        ("inventory", "Inventory", joined(*(_group(found, *each) for each in found.groups))),
        ("copies", "Copies of the vault", _copies(found)),
        ("backups", "Backups", _backups(found)),
        ("drills", "Restore drills", _drills(found.drills, found.zone)),
        ("done", "What was done", _done(found)),
    ]


def _section(key: str, name: str, inside: Html) -> Html:
    return tag("section", tag("h2", name, id=f"{key}-head"), inside, id=key, aria_labelledby=f"{key}-head")


def _head(found: Any) -> tuple[Html, ...]:
    counted = Counter(row.standing.state.value for row in found.rows)
    counts = (tag("li", _state(state, f"{number} {state}")) for state, number in counted.items())
    return (
        tag("h1", "Review of ", tag("bdi", short(found.project))),
        tag("p", f"As of {found.today}. {_made(found.made, found.zone, found.machine)}"),
        tag("p", _seen(found), cls="quiet"),
        tag("ul", *counts, cls="counts", aria_label="How many are in each state") if counted else Html(),
    )


def _made(made: datetime, zone: tzinfo, machine: str) -> str:
    return f"Made on {made.astimezone(zone):%Y-%m-%d at %H:%M} ({zone}) on the machine {machine}."


def _seen(found: Any) -> str:
    if found.seen is None:
        return "The vault was not open on this machine yet. To look: chronos-secrets due --unlock --format html"
    return f"By what was seen in the vault on {found.seen.astimezone(found.zone):%Y-%m-%d at %H:%M}."


def _needs(found: Any) -> Html:
    if not found.needed:
        return tag("p", "Nothing.")
    return tag("ul", *(_need(found, row) for row in found.needed), cls="needs", role="list")


def _need(found: Any, row: Any) -> Html:
    due = row.standing.due
    when = f" {due} ({_away(due, found.today)})" if due else ""
    state, name = _state(row.standing.state.value), tag("bdi", short(row.title), cls="name")
    parts = [
        tag("p", state, " ", name, tag("code", row.id), tag("span", when, cls="quiet")),
        tag("p", short(row.standing.next)),
        tag("p", *_how(row.how), cls="how") if row.how else Html(),
        _link(found.links.get(row.id)),
    ]
    if row.owner != found.owner:
        parts.append(tag("p", f"Owner: {short(row.owner)}", cls="quiet"))
    return tag("li", *parts)


def _how(words: str) -> list[str]:
    """What to do, its commands as such."""
    return [tag("code", part) if at % 2 else part for at, part in enumerate(_COMMAND.split(short(words, 600)))]


def _link(address: str | None) -> Html:
    """A link to where it is renewed; an address of another kind, `javascript:` say, is not one to follow."""
    if address is None or not _SAFE_LINK.fullmatch(address):
        return Html()
    return tag("p", tag("a", short(address, 120), href=address, rel="noopener noreferrer"))


def _state(state: str, words: str = "") -> Html:
    return tag("span", words or state, cls=f"state {_TONES.get(state, 'calm')}")


def _away(day: date, today: date) -> str:
    days = (day - today).days
    if not days:
        return "today"
    count = counted(abs(days), "day")
    return f"in {count}" if days > 0 else f"{count} ago"


def _timeline(found: Any) -> Html:
    if not found.lanes:
        return Html()
    left = timeline.left_out(found)
    return joined(
        timeline.legend(),
        *timeline.figures(found),
        tag("p", left, cls="quiet") if left else Html(),
        tag("details", tag("summary", "The same as a table"), timeline.all_days(found)),
    )


def _group(found: Any, name: str, rows: Sequence[Any]) -> Html:
    heads = ("Credential" if rows[0].entry else "Task", "State", "Last", "Due", "Plan, and what is next")
    listed = table(heads, [_line(found, row) for row in rows], label=name)
    summary = tag("summary", tag("h3", tag("bdi", short(name))), tag("span", f" ({len(rows)})", cls="quiet"))
    return tag("details", summary, listed, open="")


def _line(found: Any, row: Any) -> Line:
    stands = row.standing
    more = (row.purpose, f"KeePassXC: {row.entry}" if row.entry else "", _owner(found, row))
    name = joined(tag("bdi", short(row.title)), *(tag("span", short(each), cls="quiet") for each in more if each))
    coming = _next(stands)
    plan = joined(short(stands.rule), *([Html("<br>"), short(coming)] if coming else []))
    return name, _state(stands.state.value), _day(stands.last), _day(stands.due), plan


def _next(stands: Any) -> str:
    """What comes next, without the reason why it is nothing, which the rule beside it gives."""
    reason = stands.rule.partition(": ")[2]
    return str(stands.next).removesuffix(f"nothing: {reason}").rstrip("; ") if reason else str(stands.next)


def _owner(found: Any, row: Any) -> str:
    return f"owner: {row.owner}" if row.owner != found.owner else ""


def _day(day: date | None) -> str:
    return str(day) if day else "-"


def _copies(found: Any) -> Html:
    lines: list[Line] = [copies.place_line(each, None, found.made, found.zone) for each in found.copies]
    heads = [each.capitalize() for each in copies.PLACE_HEADERS]
    return table(heads, lines, label="Copies of the vault") if lines else Html()


def _backups(found: Any) -> Html:
    if found.backups is None:
        return Html()
    seen = found.backups_seen
    when = f"As last seen from this machine, on {seen.astimezone(found.zone):%Y-%m-%d at %H:%M}." if seen else ""
    lines: list[Line] = [
        (
            each.label, each.repo, each.kind, f"{each.stopped.astimezone(found.zone):%Y-%m-%d %H:%M}",
            copies.age(each.stopped, found.made), f"{each.wal[0] or '?'} to {each.wal[1] or 'now'}",
            _state("ok", "good") if each.is_good else joined(_state("overdue", "NOT GOOD"), f" {short(each.state)}"),
        )
        for each in sorted(found.backups, key=lambda each: each.stopped, reverse=True)
    ]  # fmt: skip
    heads = ("Backup", "Repository", "Kind", "Made", "Age", "WAL", "State")
    told = table(heads, lines, label="Backups") if lines else tag("p", "There was no backup.")
    return joined(tag("p", when, cls="quiet") if when else Html(), told)


def _drills(drills: Sequence[Any], zone: tzinfo) -> Html:
    if not drills:
        return Html()
    newest = sorted(drills, key=lambda each: each.at, reverse=True)
    told = table(_DRILL_HEADS, [_drill(each, zone) for each in newest], label="Restore drills")
    return joined(bars.legend(), bars.figure(newest, zone), told)


def _drill(drill: Any, zone: tzinfo) -> Line:
    parts = drill.fetch, drill.replay, drill.first_query
    times = (*parts, drill.rto, drill.rto_objective, drill.rpo, drill.rpo_objective)
    result = joined(_state("ok", "kept") if drill.kept else _state("overdue", "not kept"), f" {short(drill.words)}")
    return f"{drill.at.astimezone(zone):%Y-%m-%d %H:%M}", drill.backup, *map(bars.seconds, times), result


def _done(found: Any) -> Html:
    since = tag("p", f"Since {found.since.day}: {found.since.why}. From the history of this machine alone.")
    if not found.done:
        return joined(since, tag("p", "Nothing was recorded."))
    lines = [_deed(each, found.zone) for each in found.done]
    return joined(since, table(("What", "Of", "Times", "Last", "Note"), lines, label="What was done"))


def _deed(deed: Any, zone: tzinfo) -> Line:
    last = f"{deed.last.astimezone(zone):%Y-%m-%d %H:%M}"
    return deed.what, tag("bdi", short(deed.of)), str(deed.times), last, short(deed.note) or "-"


def _foot(found: Any) -> Html:
    day = found.today
    return joined(
        tag("p", "No secret is on this page: it names what there is, where it is and when it is due.", cls="quiet"),
        tag("p", "To make it anew: ", tag("code", f"chronos-secrets due --format html --output review-{day}.html")),
    )
