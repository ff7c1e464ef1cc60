"""`emergency`: the sheet in a browser and on paper, the way back that it prints, and the drills with a typed password."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from chronos_secrets.errors import Exit
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files
from chronos_secrets.vault import document, kdbx
from chronos_secrets.vault.kdf import MasterKey
from tests.support import chronos, keepassxc
from tests.support.browser import A4, LETTER, Page, browser
from tests.support.commands import Done, Terminal, argv, in_process, snapshot
from tests.support.copied import Copied
from tests.support.pages import Reader
from tests.support.programs import require
from tests.support.vaults import CHEAP

ASKED = "Password, as it stands on the paper: "


class Paper(Copied):
    """A project with copies in `near` and `before` (`stick` is away), and somebody who types from a paper."""

    def typed(self, *words: str, lines: tuple[str, ...] | None = None) -> Done:
        """Run `emergency WORDS` on a terminal and type what is asked for; the right password where `lines` are None."""
        self._accept()
        terminal = Terminal(argv("emergency", *words), folder=self.folder)
        for number, line in enumerate((self.password,) if lines is None else lines, 1):
            terminal.expect(ASKED, times=number)
            assert not terminal.echoes
            terminal.type(f"{line}\n")
        return terminal.end()

    def sheet(self, *options: str | Path) -> Path:
        """Make a sheet, and where it is."""
        done = self.run("emergency", "sheet", *options)
        assert done.status == Exit.OK, done.err
        return self.folder / re.sub(r"^made (.*), sheet number \d+\n$", r"\1", done.out)

    def due(self) -> dict[str, dict[str, str]]:
        return {row["id"]: row for row in json.loads(self.run("due", "--json").out)["rows"]}

    def without_stick(self) -> None:
        """Only places that are there."""
        text = self.inventory.read_text()
        self.inventory.write_text(re.sub(r"    (stick|before): .*\n", "", text))

    def change_password(self, to: str) -> None:
        """As KeePassXC does: the vault says since when it has its password."""
        opened = kdbx.decrypt(self.vault.read_bytes(), MasterKey(Secret(self.password)))
        opened.root.find("Meta/MasterKeyChanged").text = document.encode_time(datetime.now(UTC) + timedelta(days=1))
        self.vault.write_bytes(opened.build(MasterKey(Secret(to))))
        self.password = to
        self.password_file.write_text(to)


@pytest.fixture
def paper(tmp_path: Path) -> Paper:
    return Paper(tmp_path)


@pytest.fixture
def copied(paper: Paper) -> Paper:
    """With a copy in the one place that it has."""
    paper.without_stick()
    assert paper.open("vault", "copy").status == Exit.OK
    return paper


# --- the sheet -------------------------------------------------------------------------------------------------------


def test_the_sheet_is_made_without_a_password_private_and_with_a_number_of_its_own(paper: Paper):
    first, second = paper.sheet(), paper.sheet()
    assert (first.name, second.name) == ("aviary-emergency-1.html", "aviary-emergency-2.html")
    assert first.stat().st_mode & 0o777 == 0o600
    assert "Sheet number 2" in Reader(second.read_text()).text


def test_a_sheet_that_is_there_is_never_overwritten(paper: Paper):
    path = paper.sheet("--output", "mine.html")
    before = path.read_bytes()
    done = paper.run("emergency", "sheet", "--output", "mine.html")
    assert done.status == Exit.REFUSED
    assert "mine.html is already there" in done.err
    assert path.read_bytes() == before
    assert paper.sheet().name == "aviary-emergency-2.html"  # what was not made has no number


def test_a_sheet_that_cannot_be_written_is_a_sentence_and_is_not_counted(paper: Paper):
    done = paper.run("emergency", "sheet", "--output", "nowhere/sheet.html")
    assert (done.status, "nowhere/sheet.html cannot be written" in done.err) == (Exit.REFUSED, True)
    assert paper.due()["emergency.sheet"]["state"] == "unknown"


def test_no_value_of_the_whole_vault_is_on_the_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "inventory.yaml").write_bytes(chronos.INVENTORY.read_bytes())
    vault = tmp_path / "vault.kdbx"
    password = "typed " + os.urandom(8).hex()
    chronos.make_vault(vault, password, kdf=CHEAP)
    monkeypatch.setenv("CHRONOS_SECRETS_VAULT", str(vault))
    (tmp_path / "password").write_text(password)
    (tmp_path / "password").chmod(0o600)
    assert in_process("check", "--password-file", tmp_path / "password", folder=tmp_path).status in (0, 1)
    assert in_process("emergency", "sheet", "--output", "sheet.html", folder=tmp_path).status == 0
    page = (tmp_path / "sheet.html").read_text()
    opened = kdbx.decrypt(vault.read_bytes(), MasterKey(Secret(password)))
    values = [value.text for value in opened.root.iterfind("Root//String/Value") if len(value.text or "") > 7]
    places = {"AWS/Root Account".rpartition("/")[2]}  # an entry's title is where something is, not what
    told = [value for value in values if value in page and value not in places | _titles(opened)]
    assert len(values) > 40
    assert told == []
    assert password not in page


def _titles(opened: kdbx.Kdbx) -> set[str]:
    strings = opened.root.iterfind("Root//String")
    return {each.findtext("Value") or "" for each in strings if each.findtext("Key") in ("Title", "chronos.id")}


def test_a_sheet_made_before_the_password_changed_is_due_and_a_new_one_is_not(copied: Paper):
    copied.sheet()
    assert copied.due()["emergency.sheet"]["state"] == "ok"
    copied.change_password("another word or four")
    assert copied.open("check").status in (Exit.OK, Exit.NO)
    row = copied.due()["emergency.sheet"]
    assert (row["state"], row["how"]) == ("due", "chronos-secrets emergency sheet")
    assert "sheet 1 is older: destroy it" in row["next"]


def test_another_machine_learns_of_the_sheet_through_the_vault(copied: Paper, monkeypatch: pytest.MonkeyPatch):
    copied.sheet()
    assert copied.save_by_us().status == Exit.OK
    for variable in ("XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(copied.root / "another machine"))
    assert copied.open("check").status in (Exit.OK, Exit.NO)
    assert copied.due()["emergency.sheet"]["state"] == "ok"
    assert copied.sheet().name == "aviary-emergency-2.html"


def test_the_history_knows_which_sheet_was_made(paper: Paper):
    paper.sheet()
    assert re.search(r"emergency-sheet +1  file: aviary-emergency-1.html", paper.run("history").out)


# --- the sheet as somebody sees it -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture
def long_sheet(tmp_path: Path, paper: Paper) -> Path:
    """With titles, paths and addresses that are too long for any line."""
    text = paper.inventory.read_text()
    text = text.replace("title: Cipher", f"paper: true, title: {'Cipher' * 40}")
    paper.inventory.write_text(text.replace(f"path: {paper.near}", f"path: /{'deep/' * 60}"))
    return paper.sheet()


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_in_a_browser_nothing_is_wider_than_the_window_and_nothing_is_complained_of(page, long_sheet, width):
    page.trouble.clear()
    page.requests.clear()
    page.open(long_sheet, width=width)
    assert page.evaluate("document.querySelector('h1').textContent") == "Emergency sheet of aviary"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.querySelectorAll('body *')].filter(e => e.scrollWidth > e.clientWidth + 1"
                         " && getComputedStyle(e).display != 'inline').length") == 0  # fmt: skip
    assert page.trouble == []
    assert {each.partition(":")[0] for each in page.requests} == {"file"}


@pytest.mark.parametrize("size", [A4, LETTER], ids=["A4", "Letter"])
def test_on_paper_it_is_a_few_pages_with_room_to_write(page, tmp_path, size, monkeypatch):
    (tmp_path / "inventory.yaml").write_bytes(chronos.INVENTORY.read_bytes())
    chronos.make_vault(tmp_path / "vault.kdbx", "typed by hand", kdf=CHEAP)
    monkeypatch.setenv("CHRONOS_SECRETS_VAULT", str(tmp_path / "vault.kdbx"))
    assert in_process("emergency", "sheet", "--output", "sheet.html", folder=tmp_path).status == 0
    page.open(tmp_path / "sheet.html", width=800)
    (tmp_path / "sheet.pdf").write_bytes(page.pdf(size))
    command = (require("pdftotext"), "-layout", tmp_path / "sheet.pdf", "-")
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert text.count("\f") <= 2
    for words in ("Master password", "AWS root account", "Personal cloud storage", "CHRONOS-KEYS", "page 1 of 2"):
        assert words in text, words


# --- the way back ----------------------------------------------------------------------------------------------------


def _way_back(sheet: Path, folder: Path, password: str) -> list[str]:
    """Type the printed commands, as they are printed, in `folder`; what each keepassxc-cli answered."""
    require("keepassxc-cli")
    commands = re.findall(r"<pre>(.*?)</pre>", sheet.read_text(), re.DOTALL)
    printed = [Reader(each).text for each in commands]
    first = "\n".join(each for each in printed if not each.startswith("keepassxc-cli"))
    subprocess.run(("sh", "-e", "-c", first), cwd=folder, check=True, capture_output=True, text=True)
    answers = []
    for command in printed:
        if command.startswith("keepassxc-cli"):
            argv = ("sh", "-c", command)
            done = subprocess.run(argv, cwd=folder, input=f"{password}\n", capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            answers.append(done.stdout)
    return answers


def _bring(paper: Paper, *places: Path) -> Path:
    """An empty folder with the newest copies, as somebody with a new computer makes it."""
    folder = paper.root / "new computer"
    folder.mkdir()
    for place in places:
        for copy in paper.files(place):
            (folder / copy.name).write_bytes(copy.read_bytes())
    return folder


def test_the_printed_commands_get_a_password_back_with_keepassxc_alone(copied: Paper):
    folder = _bring(copied, copied.near)
    listed, shown = _way_back(copied.sheet(), folder, copied.password)
    assert "Database/DB" in listed.splitlines()
    assert copied.values["db.password"] in shown
    assert (folder / "vault.kdbx").stat().st_mode & 0o077 == 0


def test_the_newest_of_several_copies_is_taken(copied: Paper):
    copied.backdate("near", 400)
    copied.save_by_keepassxc(Password="the newest")
    assert copied.open("vault", "copy").status == Exit.OK
    assert len(copied.files(copied.near)) == 2
    assert "the newest" in _way_back(copied.sheet(), _bring(copied, copied.near), copied.password)[1]


@pytest.mark.parametrize("kind", ["made by KeePassXC", "any file"])
def test_the_printed_commands_work_with_a_key_file_too(paper: Paper, kind: str):
    paper.without_stick()
    key_file = paper.root / "my key.keyx"
    if kind == "any file":
        key_file.write_bytes(os.urandom(100))
    else:
        keepassxc.create(paper.root / "other.kdbx", key_file=key_file)
    opened = kdbx.decrypt(paper.vault.read_bytes(), MasterKey(Secret(paper.password)))
    paper.vault.write_bytes(opened.build(MasterKey(Secret(paper.password), key_file.read_bytes())))
    given = ("--key-file", key_file)
    assert paper.open("vault", "copy", *given).status == Exit.OK
    folder = _bring(paper, paper.near)
    (folder / key_file.name).write_bytes(key_file.read_bytes())
    sheet = paper.sheet(*given)
    assert paper.values["db.password"] in _way_back(sheet, folder, paper.password)[1]
    algorithm = "sha512sum" if kind == "any file" else "sha256sum"
    sums = subprocess.run((algorithm, key_file), capture_output=True, text=True, check=True).stdout
    assert sums.split()[0] in sheet.read_text()


def test_the_printed_commands_open_a_sealed_copy(paper: Paper):
    made = subprocess.run((require("age-keygen"),), capture_output=True, text=True, check=True).stdout
    recipient = re.search("age1[a-z0-9]+", made)
    assert recipient
    paper.without_stick()
    paper.edit(f"path: {paper.near}}}", f"path: {paper.near}, age: {recipient[0]}}}")
    assert paper.open("vault", "copy").status == Exit.OK
    folder = _bring(paper, paper.near)
    (folder / "identity.txt").write_text(made)
    assert paper.values["db.password"] in _way_back(paper.sheet(), folder, paper.password)[1]


# --- verify ----------------------------------------------------------------------------------------------------------


def test_the_password_on_paper_opens_the_vault_and_that_is_remembered_but_not_the_password(paper: Paper):
    done = paper.typed("verify")
    assert done.status == Exit.OK
    assert f"the password on paper opens {paper.vault} (5 entries)" in done.out
    assert paper.due()["emergency.verify"]["state"] == "ok"
    kept = [path.read_bytes() for path in paper.root.rglob("*") if path.is_file() and path != paper.password_file]
    assert not [content for content in kept if paper.password.encode() in content]


def test_wrong_tries_are_counted_and_said(paper: Paper):
    done = paper.typed("verify", lines=("no", "nor this", paper.password))
    assert done.status == Exit.OK
    assert "after 2 wrong tries: is it legible?" in done.out
    assert re.search(
        r"emergency-verify +aviary +opened: yes +wrong tries: 2", " ".join(paper.run("history").out.split())
    )


def test_a_paper_that_does_not_open_the_vault_is_a_no(paper: Paper):
    done = paper.typed("verify", lines=("one", "two", "three"))
    assert done.status == Exit.NO
    assert f"NO: what was typed does not open {paper.vault}" in done.out
    assert paper.due()["emergency.verify"]["state"] == "unknown"


def test_what_systemd_hands_over_does_not_stand_in_for_the_paper(paper: Paper, monkeypatch: pytest.MonkeyPatch):
    (paper.root / "chronos-secrets.aviary").write_text(paper.password)
    (paper.root / "chronos-secrets.aviary").chmod(0o600)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(paper.root))
    assert paper.process("get", "db", locked=True).status == Exit.OK
    done = paper.process("emergency", "verify")
    assert done.status == Exit.VAULT
    assert "the password is typed from the paper, and there is no terminal" in done.err


# --- drill -----------------------------------------------------------------------------------------------------------


def test_the_newest_copies_are_brought_back_opened_counted_and_timed(copied: Paper):
    before = snapshot(copied.vault.parent)
    done = copied.typed("drill")
    assert done.status == Exit.OK
    assert re.search(r"near +\d{4}-\d\d-\d\d \d\d:\d\d +5 +\d+\.\d s +opens, and holds what the vault holds", done.out)
    rows = copied.due()
    assert (rows["emergency.drill"]["state"], rows["emergency.verify"]["state"]) == ("ok", "ok")
    assert "emergency-drill" in copied.run("history").out
    assert snapshot(copied.vault.parent) == before
    assert not copied.leaked(done.text)


def test_a_drill_verifies_a_copy_of_another_machine_as_well(copied: Paper):
    (copied.state / "copies.json").unlink()
    assert copied.due()["near"]["state"] == "unknown"
    assert copied.typed("drill").status == Exit.OK
    assert copied.due()["near"]["state"] == "ok"


def test_the_newest_of_several_is_drilled(copied: Paper):
    copied.backdate("near", 400)
    copied.save_by_keepassxc(Password="the newest")
    assert copied.open("vault", "copy").status == Exit.OK
    newest = copied.files(copied.near)[-1]
    told = copied.typed("drill", "--json").out
    assert json.loads(told[told.index("{") :])["copies"][0]["file"] == newest.name


def test_a_drill_needs_no_vault(copied: Paper):
    copied.vault.unlink()
    done = copied.typed("drill")
    assert done.status == Exit.OK
    assert "opens" in done.out


def test_a_damaged_copy_fails_the_drill_and_does_not_count(copied: Paper):
    (copy,) = copied.files(copied.near)
    content = copy.read_bytes()
    copy.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    done = copied.typed("drill")
    assert done.status == Exit.NO
    assert "NO: is damaged" in done.out
    rows = copied.due()
    assert (rows["emergency.drill"]["state"], rows["emergency.verify"]["state"]) == ("unknown", "unknown")
    assert rows["near"]["state"] != "ok"


def test_a_copy_with_an_older_password_is_found(copied: Paper):
    copied.change_password("another word or four")
    done = copied.typed("drill")
    assert done.status == Exit.NO
    assert "does not open" in " ".join(done.out.split())


def test_a_place_that_is_away_is_status_7_and_the_others_are_drilled(paper: Paper):
    paper.edit(f"path: {paper.stick}, ", "volume: {label: NOT-THERE}, path: vault, ")
    paper.inventory.write_text(paper.inventory.read_text().replace("stick: {kind: folder", "stick: {kind: usb"))
    paper.open("vault", "copy")
    done = paper.typed("drill")
    assert done.status == Exit.TARGET
    assert "opens, and holds what the vault holds" in " ".join(done.out.split())
    assert "NOT-THERE" in done.out
    assert paper.due()["emergency.drill"]["state"] == "unknown"
    assert paper.due()["emergency.verify"]["state"] == "ok"  # the paper itself was right


def test_a_place_without_a_copy_is_a_no_without_a_question(paper: Paper):
    paper.without_stick()
    paper.near.mkdir()
    done = paper.run("emergency", "drill", "near")
    assert done.status == Exit.NO
    assert "there is no copy in" in " ".join(done.out.split())


def test_a_drill_of_one_place_does_not_count_for_all(paper: Paper):
    paper.plug_in()
    assert paper.open("vault", "copy").status == Exit.OK
    assert paper.typed("drill", "near").status == Exit.OK
    assert paper.due()["emergency.drill"]["state"] == "unknown"
    assert paper.typed("drill").status == Exit.OK
    assert paper.due()["emergency.drill"]["state"] == "ok"


def test_a_sealed_copy_that_was_not_opened_is_not_drilled(paper: Paper):
    made = subprocess.run((require("age-keygen"),), capture_output=True, text=True, check=True).stdout
    recipient = re.search("age1[a-z0-9]+", made)
    assert recipient
    identity = paper.root / "identity"
    identity.write_text(made)
    identity.chmod(0o600)
    paper.without_stick()
    paper.edit(f"path: {paper.near}}}", f"path: {paper.near}, age: {recipient[0]}}}")
    assert paper.open("vault", "copy").status == Exit.OK
    done = paper.typed("drill")
    assert (done.status, "--identity FILE" in done.out) == (Exit.NO, True)
    assert paper.typed("drill", "--identity", str(identity)).status == Exit.OK


def test_a_drill_leaves_nothing_behind_however_it_ends(copied: Paper, monkeypatch: pytest.MonkeyPatch):
    temporary = copied.root / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    terminal = Terminal(argv("emergency", "drill"), folder=copied.folder)
    terminal.expect(ASKED)
    (folder,) = temporary.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert all(files.is_private(each.stat()) for each in folder.iterdir())
    terminal.type("\x03")
    assert terminal.end().status == Exit.INTERRUPTED
    assert list(temporary.iterdir()) == []


def test_programs_read_the_same_as_json(copied: Paper):
    done = copied.typed("drill", "--json", lines=("wrong", copied.password))
    told = json.loads(done.out[done.out.index("{") :])
    assert (told["command"], told["wrong_tries"]) == ("emergency drill", 1)
    assert {(each["id"], each["good"], each["entries"]) for each in told["copies"]} == {("near", True, 5)}


@pytest.mark.parametrize(("words", "said"), [(("drill", "far"), "there is no copy 'far'"), (("draw",), "draw")])
def test_a_wrong_command_line_is_said(paper: Paper, words: tuple[str, ...], said: str):
    done = paper.run("emergency", *words)
    assert (done.status, said in done.err) == (Exit.USAGE, True)


# --- circles, and codes that run out ---------------------------------------------------------------------------------

_CLOUD = "    cloud: {{kind: folder, path: sync, every: 1 year, needs: [{needs}]}}\ntasks:"


def _doctor(paper: Paper) -> tuple[int, str]:
    done = paper.run("doctor", "copies", "--json")
    (section,) = json.loads(done.out)["sections"]
    return done.status, "\n".join(f"{line['state']} {line['text']} {line['fix'] or ''}" for line in section["lines"])


def test_an_off_site_copy_that_only_the_vault_leads_to_is_wrong_until_it_is_on_paper(paper: Paper):
    paper.edit("tasks:", _CLOUD.format(needs="jira, cipher"))
    status, told = _doctor(paper)
    assert status == Exit.NO
    assert "wrong no off-site copy can be reached without the vault itself: cloud needs jira, cipher" in told
    assert "write paper: true in the row of jira, cipher" in told
    paper.edit("title: Jira,", "title: Jira, paper: true,")
    assert "cloud needs cipher" in _doctor(paper)[1]
    paper.edit("title: Cipher,", "title: Cipher, paper: true,")
    assert _doctor(paper)[0] == Exit.OK


def test_one_that_can_be_reached_is_enough_and_the_others_are_noted(paper: Paper):
    both = _CLOUD.format(needs="jira").replace("tasks:", "    bank: {kind: folder, path: bank, needs: []}\ntasks:")
    paper.edit("tasks:", both)
    status, told = _doctor(paper)
    assert status == Exit.OK
    assert "note copy cloud is reached only by what the vault alone knows: jira" in told


def test_a_cloud_that_does_not_say_what_it_needs_is_asked_for(paper: Paper):
    paper.edit("tasks:", '    cloud: {kind: rclone, remote: "far:birds"}\ntasks:')
    assert "note copy cloud does not say which credentials one needs" in _doctor(paper)[1]


def test_copies_at_home_alone_and_no_copies_at_all_are_noted(paper: Paper):
    assert "note no copy is off-site" in _doctor(paper)[1]
    paper.inventory.write_text(re.sub(r"  copies:\n(    .*\n)+", "", paper.inventory.read_text()))
    assert "note the inventory names no copies of the vault" in _doctor(paper)[1]


def test_copies_for_a_recipient_need_the_age_program(paper: Paper):
    require("age")
    assert " age " not in paper.run("doctor", "programs").out
    paper.edit(f"path: {paper.near}}}", f"path: {paper.near}, age: age1{'q' * 58}}}")
    assert re.search(
        r"^ok +programs +age v?[0-9.]+: .*encrypts vault copies", paper.run("doctor", "programs").out, re.M
    )


def test_codes_that_were_used_up_in_keepassxc_are_due(paper: Paper):
    paper.edit(
        "credentials:\n",
        'credentials:\n  codes: {kind: recovery-codes, title: C, entry: Codes, never: "x", least: 2}\n',
    )
    paper.remake_vault()
    begun = datetime.now(UTC).date()
    keepassxc.run("edit", "--notes", "a1\\nb2\\nc3", paper.vault, "Codes", password=paper.password)
    row = _codes(paper)
    assert (row["state"], row["next"].partition(",")[0]) == ("never", "3 codes left")
    keepassxc.run("edit", "--notes", "c3", paper.vault, "Codes", password=paper.password)
    row = _codes(paper)
    assert row["state"] == "due"
    tested = row["next"].removeprefix("1 code left, last tested ").removesuffix(", fewer than 2: get new ones")
    assert begun <= date.fromisoformat(tested) <= datetime.now(UTC).date()


def _codes(paper: Paper) -> dict[str, str]:
    assert paper.open("check").status in (Exit.OK, Exit.NO)
    return paper.due()["codes"]
