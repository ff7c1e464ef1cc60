"""What the documents say is what the program does."""

import re
import subprocess
from pathlib import Path

import click

from chronos_secrets.errors import Exit
from tests.support import manual, reference
from tests.support.programs import require

TOP = Path(__file__).parents[2]


def test_the_generated_reference_is_current():
    assert (TOP / "docs/reference.md").read_text() == reference.reference(), "run: make docs"


def test_the_published_schema_is_current():
    assert (TOP / "docs/inventory.schema.json").read_text() == reference.published_schema(), "run: make docs"


def test_the_manual_page_is_current():
    assert (TOP / "docs/chronos-secrets.1").read_text() == manual.manual(), "run: make docs"


def test_the_manual_page_is_good_roff_in_which_every_option_can_be_found():
    page = ("groff", "-man", "-Tutf8", "-P-cbou", "-ww", str(TOP / "docs/chronos-secrets.1"))
    require("groff")
    shown = subprocess.run(page, capture_output=True, text=True, check=True)
    assert shown.stderr == ""
    for words, command in reference.commands():
        assert words in shown.stdout
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.opts[0] in shown.stdout, f"{words} {option.opts[0]}"


def test_the_readme_names_every_exit_status():
    text = (TOP / "README.md").read_text()
    stated = re.search(r"^Exit status: (.*?)\. `--json`", text, re.DOTALL | re.MULTILINE)
    assert stated
    assert [int(number) for number in re.findall(r"(?:^|· )(\d+) ", stated[1].replace("\n", " "))] == [
        int(e) for e in Exit
    ]


def test_links_between_the_documents_lead_somewhere():
    for document in [TOP / "README.md", TOP / "CHANGELOG.md", *(TOP / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
            if "://" not in link:
                assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_every_decision_fits_on_a_page():
    for decision in (TOP / "docs/adr").glob("*.md"):
        assert len(decision.read_text().splitlines()) <= 40, decision.name


def test_commands_in_the_readme_exist():
    known = {words for words, _ in reference.commands()}
    for command in re.findall(r"`(chronos-secrets [a-z]+(?: [a-z]+)?)", (TOP / "README.md").read_text()):
        words = command.split()
        assert " ".join(words) in known or " ".join(words[:2]) in known, command
