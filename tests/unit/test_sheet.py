"""What stands on the emergency sheet, when a new one is due, and how recovery codes are counted."""

import hashlib
import re
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from chronos_secrets.inventory import load
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.inventory.schedule import Codes, Known, State, standing
from chronos_secrets.report import sheet as report
from chronos_secrets.review import codes, dates, sheet
from chronos_secrets.secret import Secret
from chronos_secrets.systems import repository
from chronos_secrets.vault.entries import Attribute
from chronos_secrets.vault.kdbx import Format
from chronos_secrets.vault.kdf import MEBIBYTE, Fingerprint, Kdf, fingerprint
from tests.support import chronos, vaults
from tests.support.pages import Reader

TODAY = date(2026, 11, 22)
HOME = Path("/home/somebody")
MACHINE = sheet.Machine(
    "the-laptop", "somebody", HOME / "vault.kdbx",
    Format((4, 1), "aes256", Kdf("argon2id", b"", rounds=10, memory=64 * MEBIBYTE, lanes=2)), None, [],
)  # fmt: skip
INVENTORY = """\
version: 1
project: aviary
owner: keeper
vault:
  path: aviary.kdbx
  copies:
    here: {kind: folder, path: /var/copies}
    stick: {kind: usb, volume: {label: KEYS}, path: vault}
    cloud: {kind: rclone, remote: "far:birds", needs: [storage]}
credentials:
  db: {kind: passphrase, title: DB, entry: Database/it's here, never: "a toy", owner: another}
  storage: {kind: account, title: Storage, purpose: Holds a copy, entry: Cloud, never: "a toy", paper: true}
"""


def inventory(folder: Path, text: str = INVENTORY) -> Inventory:
    path = folder / "inventory.yaml"
    path.write_text(text)
    return load.read(path)


def composed(found: Inventory, machine: sheet.Machine = MACHINE) -> sheet.Sheet:
    return sheet.compose(found, machine, home=HOME, number=3, day=TODAY, key_changed=date(2026, 1, 2))


def read(found: Inventory, machine: sheet.Machine = MACHINE) -> Reader:
    return Reader(report.page(composed(found, machine)))


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_page_says_where_everything_is_and_who_looks_after_it(tmp_path):
    remotes = [("origin", "git@example.org:birds.git")]
    text = read(inventory(tmp_path), MACHINE._replace(remotes=remotes)).text
    for words in (
        "Sheet number 3, made on 2026-11-22", "KDBX 4.1", "Argon2id, 64 MiB of memory, 10 passes, 2 lanes",
        "2026-01-02", "the folder /var/copies on the-laptop", "the USB drive with the label KEYS, folder vault",
        "the cloud storage that rclone calls far:birds", "needs: Storage", "git@example.org:birds.git", "keeper",
        "another", "none: the master password alone opens it", f"{tmp_path}/inventory.yaml", "emergency verify",
    ):  # fmt: skip
        assert words in text, words


def test_there_are_lines_to_write_on_for_the_password_and_for_rows_on_paper_and_for_no_other(tmp_path):
    found = inventory(tmp_path)
    with_paper = read(found)
    assert "Storage : Holds a copy" in with_paper.text
    assert "sign-in page" in with_paper.text
    without = inventory(tmp_path, INVENTORY.replace(", paper: true", ""))
    assert with_paper.gaps - read(without).gaps == len(found.credentials["storage"].fields)
    assert "Not in the vault alone" not in read(without).text


def test_a_title_is_text_whatever_it_is_made_of(tmp_path):
    hostile = "<script>alert(1)</script><img src=x onerror=y>&amp;${title}$$"
    page = report.page(composed(inventory(tmp_path, INVENTORY.replace("title: Storage", f"title: '{hostile}'"))))
    read_back = Reader(page)
    assert not {"script", "img", "iframe", "link", "object"} & set(read_back.tags)
    assert hostile in read_back.text


def test_characters_that_hide_or_turn_the_writing_around_do_not_reach_the_page(tmp_path):
    machine = MACHINE._replace(vault=Path("/home/\u202ebdk\x1b[2J"))
    page = report.page(composed(inventory(tmp_path), machine))
    assert "/home/?bdk?[2J" in page
    assert not {"\u202e", "\x1b"} & set(page)


@pytest.mark.parametrize("place", ["project: aviary", "owner: keeper", "path: vault", "Holds a copy", "far:birds"])
def test_no_text_of_the_inventory_becomes_markup(tmp_path, place):
    found = inventory(tmp_path)
    hostile = '"><b onclick=x>'
    told = composed(found)
    where = {
        "project: aviary": told._replace(project=hostile),
        "owner: keeper": told._replace(holders=(hostile,)),
        "path: vault": told._replace(places=(told.places[0]._replace(where=hostile),)),
        "Holds a copy": told._replace(papers=(told.papers[0]._replace(purpose=hostile, labels=(hostile,)),)),
        "far:birds": told._replace(terminal=(sheet.Step(hostile, (hostile,)),)),
    }[place]
    made, usual = Reader(report.page(where)), Reader(report.page(told))
    assert ("onclick", "x") not in made.attributes
    assert made.tags.count("b") <= usual.tags.count("b")
    assert hostile in made.text


def test_the_page_asks_nothing_of_the_network_and_runs_nothing(tmp_path):
    page = report.page(composed(inventory(tmp_path)))
    assert "default-src 'none'" in page
    assert not re.search(r"<script|javascript:|\bon[a-z]+=|url\(|@import|<link|<img|\bhref=|\bsrc=", page)


def test_a_key_file_is_named_with_its_fingerprint_and_goes_into_every_command(tmp_path):
    key = sheet.KeyFile(Path("/keys/it's.keyx"), Fingerprint("SHA-256", "ab" * 32))
    told = composed(inventory(tmp_path), MACHINE._replace(key_file=key))
    text = Reader(report.page(told)).text
    assert "/keys/it's.keyx; without it the master password opens nothing" in text
    assert "ab" * 32 in text
    opening = [line for step in told.terminal for line in step.commands if line.startswith("keepassxc-cli")]
    assert len(opening) == 2
    assert all("""--key-file 'it'"'"'s.keyx'""" in line for line in opening)


@pytest.mark.parametrize(
    ("kdf", "version", "words", "needs"),
    [
        (Kdf("aes", b"", rounds=60000), (3, 1), "AES-KDF, 60000 rounds", "any KeePassXC"),
        (vaults.KDFS["argon2id"], (4, 0), "Argon2id, 8 KiB", "KeePassXC 2.6.3 or later"),
        (vaults.CHEAP, (4, 1), "Argon2d, 8 KiB", "KeePassXC 2.7 or later"),
        (vaults.CHEAP, (4, 0), "Argon2d, 8 KiB of memory, 1 passes, 1 lanes", "KeePassXC 2.3 or later"),
    ],
)
def test_the_format_and_key_derivation_are_named_with_what_opens_them(tmp_path, kdf, version, words, needs):
    text = read(inventory(tmp_path), MACHINE._replace(format=Format(version, "aes256", kdf))).text
    assert words in text
    assert needs in text


def test_a_sealed_copy_has_a_step_of_its_own_and_an_unsealed_one_none(tmp_path):
    sealed = INVENTORY.replace("path: /var/copies", "path: /var/copies, age: age1" + "q" * 58)
    assert "age --decrypt --identity identity.txt" in read(inventory(tmp_path, sealed)).text
    assert "encrypted once more by age" in read(inventory(tmp_path, sealed)).text
    assert "age --decrypt" not in read(inventory(tmp_path)).text


# --- fingerprints and addresses --------------------------------------------------------------------------------------


def test_a_fingerprint_is_never_the_key_itself():
    keepass = b'<?xml version="1.0"?><KeyFile><Meta><Version>2.0</Version></Meta><Key><Data>' + b"00" * 32
    made_by_keepass = keepass + b"</Data></Key></KeyFile>"
    for content in (made_by_keepass, bytes(range(32)), b"0f" * 32):
        assert fingerprint(content) == Fingerprint("SHA-256", hashlib.sha256(content).hexdigest())
    for content in (b"any file at all", bytes(64), b"zz" * 32):  # its key is its SHA-256
        assert fingerprint(content) == Fingerprint("SHA-512", hashlib.sha512(content).hexdigest())


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://somebody:word@example.org/a/b.git", "https://example.org/a/b.git"),
        ("https://word@example.org:8443/a.git?token=word#word", "https://example.org:8443/a.git"),
        ("ssh://git:word@example.org:2222/a.git", "ssh://git@example.org:2222/a.git"),
        ("git@example.org:a/b.git", "git@example.org:a/b.git"),
        ("git:word@example.org:a/b.git", "git@example.org:a/b.git"),
        ("/srv/git/a@b.git", "/srv/git/a@b.git"),
        ("https://word@[::1]/a.git", "https://[::1]/a.git"),
    ],
)
def test_an_address_is_shown_without_what_signs_in(address, shown):
    assert repository.bare(address) == shown


@pytest.mark.parametrize("address", ["https://[word", "https://a:word@b:word/x", "https://exa mple:word/x"])
def test_an_address_that_cannot_be_read_is_not_shown(address):
    assert "word" not in repository.bare(address)


def test_the_remotes_are_those_that_are_written_there_without_what_git_would_put_in(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))  # of a hook that we may run in
    git = ("git", "-C", str(tmp_path))
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    for command in (
        ("init", "-q"), ("remote", "add", "origin", "https://me:hidden@example.org/a.git"),
        ("remote", "add", "up.stream", "short:a.git"), ("config", "url.https://hidden@example.org/.insteadOf", "short:"),
    ):  # fmt: skip
        subprocess.run((*git, *command), check=True, env=environment)
    assert repository.remotes(tmp_path) == [("origin", "https://example.org/a.git"), ("up.stream", "short:a.git")]
    assert repository.remotes(Path("/")) == []


# --- what is due -----------------------------------------------------------------------------------------------------

SEEN = dates.Dates(datetime(2026, 11, 1, tzinfo=UTC), {}, key_changed=datetime(2026, 6, 1, 12, tzinfo=UTC))


def stand(found: Inventory, ticks: dict[str, date], seen: dates.Dates | None = SEEN, at: datetime | None = None):
    last = sheet.printed(ticks)
    last = last._replace(at=at) if last and at else last
    return {row.id: row.standing.state for row in sheet.rows(found, ticks, seen, last, TODAY)}


def test_what_was_never_done_is_unknown_and_what_was_done_this_year_is_fine(tmp_path):
    found = inventory(tmp_path)
    assert set(stand(found, {}).values()) == {State.UNKNOWN}
    ticks = {sheet.tick_of(2): TODAY, sheet.DRILLED: TODAY, sheet.VERIFIED: TODAY}
    assert set(stand(found, ticks).values()) == {State.OK}


def test_a_drill_proves_the_password_on_paper_too(tmp_path):
    assert stand(inventory(tmp_path), {sheet.DRILLED: TODAY})[sheet.VERIFIED] is State.OK


@pytest.mark.parametrize(
    ("days", "state"),
    [(300, State.OK), (340, State.DUE_SOON), (365, State.DUE), (366, State.OVERDUE), (-1, State.UNKNOWN)],
)
def test_a_drill_is_due_again_a_year_after_the_last(tmp_path, days, state):
    done = {sheet.DRILLED: TODAY - timedelta(days=days)}
    assert stand(inventory(tmp_path), done)[sheet.DRILLED] is state


@pytest.mark.parametrize(
    ("made", "at", "state"),
    [
        (date(2026, 5, 31), None, State.DUE),
        (
            date(2026, 6, 1),
            None,
            State.OK,
        ),  # of another machine's sheet only the day is known: the usual order is meant
        (date(2026, 6, 1), datetime(2026, 6, 1, 11, tzinfo=UTC), State.DUE),
        (date(2026, 6, 1), datetime(2026, 6, 1, 13, tzinfo=UTC), State.OK),
        (date(2026, 6, 2), None, State.OK),
    ],
)
def test_a_sheet_older_than_the_password_is_due(tmp_path, made, at, state):
    found = inventory(tmp_path)
    assert stand(found, {sheet.tick_of(1): made}, at=at)["emergency.sheet"] is state


def test_a_sheet_is_not_called_right_before_the_vault_was_looked_at(tmp_path):
    found, ticks = inventory(tmp_path), {sheet.tick_of(1): TODAY}
    (row,) = (r for r in sheet.rows(found, ticks, None, sheet.printed(ticks), TODAY) if r.id == "emergency.sheet")
    assert (row.standing.state, row.how) == (State.UNKNOWN, "chronos-secrets due --unlock")


def test_the_newest_sheet_has_the_highest_number_and_foreign_ticks_are_none():
    ticks = {"emergency.sheet.9": date(2026, 1, 1), "emergency.sheet.10": date(2025, 1, 1), "emergency.sheet.x": TODAY}
    assert sheet.printed(ticks) == sheet.Printed(10, date(2025, 1, 1))
    assert sheet.printed({"emergency.sheet.": TODAY, "done": TODAY}) is None


def test_a_task_of_the_inventory_that_runs_a_drill_is_the_only_row_for_it(tmp_path):
    task = "tasks:\n  look: {title: Look, every: 1 year, from: 2026-01-01, run: [emergency, drill]}\n"
    assert set(stand(inventory(tmp_path, INVENTORY + task), {})) == {"emergency.sheet", sheet.VERIFIED}


def test_a_project_without_copies_and_paper_is_asked_for_nothing(tmp_path):
    text = re.sub(r"  copies:\n(    .*\n)+", "", INVENTORY)
    assert set(stand(inventory(tmp_path, text), {})) == {"emergency.sheet", sheet.VERIFIED}
    assert stand(inventory(tmp_path, text.replace(", paper: true", "")), {}) == {}


# --- recovery codes --------------------------------------------------------------------------------------------------

CODES = """\
version: 1
project: aviary
vault: {path: aviary.kdbx}
credentials:
  codes: {kind: recovery-codes, title: Codes, entry: Codes, never: "used up", least: 3}
"""


class List:
    """An entry with a list of codes that is edited day by day."""

    def __init__(self, folder: Path) -> None:
        self.inventory = inventory(folder, CODES)
        self.vault = vaults.opened(vaults.ours(folder / "aviary.kdbx"))
        self._day = datetime(2026, 1, 1, tzinfo=UTC)
        self.entry = self.vault.entries.add(("Codes",), now=self._day)

    def write(self, *lines: str) -> datetime:
        """The day on which the list became this one."""
        self._day += timedelta(days=1)
        notes = {"Notes": Attribute(Secret("\n".join(lines)))}
        self.vault.entries.change(self.entry, now=self._day, fields=notes)
        return self._day

    def look(self) -> codes.Found:
        return codes.look(self.entry, self.inventory.credentials["codes"])


def test_codes_are_counted_one_a_line_and_a_used_one_may_stay_behind_a_mark(tmp_path):
    listed = List(tmp_path)
    listed.write("# of January", "a1", "", "  b2  ", "# c3", "d4")
    assert listed.look().left == 3


def test_a_code_that_was_taken_off_is_a_test_and_a_new_list_was_never_tested(tmp_path):
    listed = List(tmp_path)
    listed.write("a", "b", "c")
    assert listed.look() == codes.Found(3, None, None)  # a first list has no history
    used = listed.write("a", "# b", "c")
    assert listed.look() == codes.Found(2, used, None)
    listed.write("c", "a")  # only in another order
    assert listed.look() == codes.Found(2, used, None)
    renewed = listed.write("d", "e", "f", "g")
    assert listed.look() == codes.Found(4, None, renewed)


@pytest.mark.parametrize(
    ("known", "state", "words"),
    [
        (None, State.UNKNOWN, "how many codes are left is not known"),
        (Codes(2, None), State.DUE, "2 codes left, never tested, fewer than 3: get new ones"),
        (Codes(1, None), State.DUE, "1 code left"),
        (Codes(3, date(2026, 5, 4)), State.NEVER, "3 codes left, last tested 2026-05-04; nothing: used up"),
    ],
)
def test_codes_are_due_when_fewer_are_left_than_the_row_says(tmp_path, known, state, words):
    row = inventory(tmp_path, CODES).credentials["codes"]
    found = standing(row, Known(codes=known), TODAY)
    assert found.state is state
    assert found.next.startswith(words)


def test_codes_without_a_least_are_only_counted(tmp_path):
    row = inventory(tmp_path, CODES.replace(", least: 3", "")).credentials["codes"]
    assert standing(row, Known(codes=Codes(0, None)), TODAY).state is State.NEVER
    assert standing(row, None, TODAY).state is State.NEVER


def test_using_a_code_is_no_renewal_of_the_list(tmp_path):
    listed = List(tmp_path)
    listed.write("z")
    renewed = listed.write("a", "b")
    listed.write("a")
    credential = listed.inventory.credentials["codes"]
    known = dates.known_of(listed.entry, credential, UTC)
    assert known.rotated is not None
    assert known.rotated.day == renewed.date()
    assert known.codes is not None
    assert known.codes.left == 1


def test_what_was_counted_survives_in_the_cache_and_no_code_is_in_it(tmp_path):
    found = dates.Dates(
        datetime(2026, 11, 22, tzinfo=UTC),
        {"codes": Known(codes=Codes(4, TODAY)), "other": Known(codes=Codes(0, None))},
        key_changed=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    dates.store(tmp_path / "dates.json", found)
    assert dates.load(tmp_path / "dates.json") == found


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("kind: recovery-codes", "kind: passphrase", "least of credential codes has no meaning for kind passphrase"),
        ("{path: aviary.kdbx}", "{path: a.kdbx, copies: {x: {kind: folder, path: y, needs: [cods]}}}", "no credential"),
        ("least: 3", "least: none", "must be a whole number"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_with_its_line(tmp_path, old, new, words):
    from chronos_secrets.errors import InventoryInvalid

    with pytest.raises(InventoryInvalid, match=words):
        inventory(tmp_path, CODES.replace(old, new))


def test_the_inventory_of_the_project_says_what_its_sheet_needs():
    found = load.read(chronos.INVENTORY)
    assert found.credentials["aws-root-recovery"].least == 4
    assert [each.title for each in sheet.compose(found, MACHINE, home=HOME, number=1, day=TODAY, key_changed=None).papers] == [
        "AWS root account", "pgBackRest encryption key", "Personal cloud storage",
    ]  # fmt: skip
