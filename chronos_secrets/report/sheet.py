"""The emergency sheet as a page to print: HTML without scripts, pictures or anything from the network.

Whatever is not marked as HTML here is text, and stays text: a title may be `<script>`.
"""

from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import Any

from chronos_secrets.report.markup import Html, escaped, joined, tag

_PAGE = Path(__file__).with_name("sheet.html")
_LEGIBLE = "Not joined up; 0 with a stroke, to tell it from O; 1, l and I apart; each space as a gap of its own."


def page(sheet: Any) -> str:
    """The page of a sheet (review/sheet.py says what is on it)."""
    title = f"Emergency sheet of {sheet.project}"
    parts = (
        _head(sheet, title), _password(), _vault(sheet), _places(sheet), _way_back(sheet), *_papers(sheet.papers),
        _holders(sheet.holders), _afterwards(),
    )  # fmt: skip
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(title=escaped(title), body="\n".join(parts))


def _head(sheet: Any, title: str) -> Html:
    made = f"Sheet number {sheet.number}, made on {sheet.day}. It replaces those with a lower number: destroy them."
    return joined(
        tag("h1", title),
        tag("p", made),
        tag(
            "p",
            "Who has this paper, filled in, and one copy of the vault has everything. Print it on a printer that you "
            "trust, fill it in by hand, put it into a safe. Never photograph it; never type a password into this file.",
        ),
    )


def _password() -> Html:
    return tag(
        "div",
        tag("h2", "Master password"),
        tag("p", _LEGIBLE, cls="quiet"),
        _line(wide=True),
        _line(wide=True),
        cls="boxed",
    )


def _vault(sheet: Any) -> Html:
    machine = sheet.machine
    version = machine.format.version
    facts = [
        ("Vault", f"{machine.vault} on {machine.computer} (user {machine.user})"),
        ("Format", f"KDBX {version[0]}.{version[1]}, {machine.format.cipher}, {sheet.kdf}"),
        ("Opened by", sheet.needs),
        ("Password since", str(sheet.key_changed) if sheet.key_changed else "not known when this was made"),
    ]
    facts += _key_file(machine.key_file)
    return joined(tag("h2", "The vault"), _facts(facts), *_key_lines(machine.key_file))


def _key_file(found: Any) -> list[tuple[str, str]]:
    if found is None:
        return [("Key file", "none: the master password alone opens it")]
    return [
        ("Key file", f"{found.path}; without it the master password opens nothing"),
        (f"Its {found.fingerprint.algorithm}", found.fingerprint.digits),
    ]


def _key_lines(found: Any) -> list[Html]:
    return [_line("A second copy of the key file lies")] if found else []


def _places(sheet: Any) -> Html:
    kept = [tag("li", tag("b", place.id), ": ", place.where, *_more(place.more)) for place in sheet.places]
    addresses = [tag("li", f"{name}: ", tag("code", address)) for name, address in sheet.machine.remotes]
    listed = tag("ul", *kept) if kept else tag("p", "None: the inventory names no copies.")
    return joined(
        tag("h2", "Where copies of the vault are"),
        listed,
        _line("Where the drives are kept, and any other copy"),
        tag("h2", "Where the inventory is"),
        tag("p", "It says what there is and where it goes, and holds no secret: ", tag("code", str(sheet.inventory))),
        tag("ul", *addresses) if addresses else _line("No repository is known; a copy of it lies"),
    )


def _more(words: Iterable[str]) -> list[Html]:
    return [joined(Html("<br>"), tag("span", each, cls="quiet")) for each in words]


def _way_back(sheet: Any) -> Html:
    return joined(
        tag("h2", "The way back, with KeePassXC alone"),
        tag("h3", "In its window"),
        tag("ol", *(_step(step) for step in sheet.window)),
        tag("h3", "In a terminal (on macOS: shasum -a 256 for sha256sum)"),
        tag("ol", *(_step(step) for step in sheet.terminal)),
    )


def _step(step: Any) -> Html:
    return tag("li", step.words, *(tag("pre", command) for command in step.commands))


def _papers(papers: Iterable[Any]) -> list[Html]:
    made = [_paper(each) for each in papers]
    heading = joined(
        tag("h2", "Not in the vault alone"),
        tag("p", "What one needs to get at a copy, or when the vault is lost. Written by hand."),
    )
    return [heading, *made] if made else []


def _paper(paper: Any) -> Html:
    purpose = tag("span", f": {paper.purpose}", cls="purpose") if paper.purpose else ""
    return tag("div", tag("h3", paper.title, purpose), *(_line(label) for label in paper.labels), cls="paper")


def _holders(holders: Iterable[str]) -> Html:
    return joined(
        tag("h2", "Holders"),
        *(_line(holder, "keeps it at", "since") for holder in (*holders, "another holder")),
    )


def _afterwards() -> Html:
    steps = {
        "verify": " opens the vault with the password as it stands here.",
        "drill": " opens the newest copy of each place with it: once a year.",
        "sheet": " makes a new sheet: whenever the password, the key file or a place has changed.",
    }
    told = (tag("li", tag("code", f"chronos-secrets emergency {word}"), does) for word, does in steps.items())
    return joined(tag("h2", "Is it still right?"), tag("ul", *told))


def _facts(rows: Iterable[tuple[str, str]]) -> Html:
    return tag("dl", *(joined(tag("dt", name), tag("dd", value)) for name, value in rows))


def _line(*labels: str, wide: bool = False) -> Html:
    """A line to write on, with a gap after each label."""
    gaps = (tag("span", label, cls="label") + tag("span", cls="gap") for label in labels or ("",))
    return tag("div", *map(Html, gaps), cls="line wide" if wide else "line")
