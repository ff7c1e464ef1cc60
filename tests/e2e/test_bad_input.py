"""Whatever is wrong: one line says what and where, one says what to do, and every file is as it was."""

import os
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from chronos_secrets.cli.session import Session
from tests.support import vaults
from tests.support.commands import Aviary, Done, argv, environment, snapshot

RENDER, CHECK, OFFLINE = ("render",), ("check",), ("check", "--offline")


@pytest.fixture
def aviary(tmp_path: Path) -> Aviary:
    """A project whose files are rendered, so that there is something to be spoilt."""
    made = Aviary(tmp_path)
    assert made.run("render").status == 0
    return made


class Row(NamedTuple):
    """One thing that goes wrong: how it comes about, what is run then, and what must be said about it."""

    name: str
    spoil: Callable[[Aviary], object]
    command: tuple[str, ...]
    status: int
    words: tuple[str, ...]
    locked: bool = False  # the command is given no password file by the test


def nothing(_: Aviary) -> None:
    """What is wrong is the command line itself."""


def inventory(text: str | bytes) -> Callable[[Aviary], object]:
    """The inventory is `text`; «…» stands for what it was."""

    def spoil(aviary: Aviary) -> None:
        before = aviary.inventory.read_bytes()
        content = text.encode() if isinstance(text, str) else text
        aviary.inventory.write_bytes(content.replace("«…»".encode(), before))

    return spoil


def edited(old: str, new: str) -> Callable[[Aviary], object]:
    """The inventory says `new` where it said `old`."""
    return lambda aviary: aviary.edit(old, new)


def template(text: str | bytes) -> Callable[[Aviary], object]:
    """The template of the destination note is `text`."""
    return lambda aviary: aviary.template.write_bytes(text.encode() if isinstance(text, str) else text)


def vault(change: Callable[[bytes], bytes]) -> Callable[[Aviary], object]:
    """The vault's bytes are changed."""
    return lambda aviary: aviary.vault.write_bytes(change(aviary.vault.read_bytes()))


def flipped(place: int) -> Callable[[Aviary], object]:
    return vault(lambda content: content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


def instead(path: Callable[[Aviary], Path], make: Callable[[Path], object]) -> Callable[[Aviary], object]:
    """Something else stands where a file was."""

    def spoil(aviary: Aviary) -> None:
        path(aviary).unlink()
        make(path(aviary))

    return spoil


def linked(path: Path) -> None:
    path.with_name("elsewhere").write_text("not ours\n")
    path.symlink_to(path.with_name("elsewhere"))


def config(text: str) -> Callable[[Aviary], object]:
    """The machine's config.toml is `text`."""

    def spoil(aviary: Aviary) -> None:
        folder = aviary.home / ".config" / "chronos-secrets"
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text(text)

    return spoil


def git(aviary: Aviary, *arguments: str) -> None:
    subprocess.run(("git", "-C", str(aviary.folder), *arguments), check=True, capture_output=True)


def repository(*, ignored: str, tracked: bool = False) -> Callable[[Aviary], object]:
    """The project is a git repository in which `ignored` is ignored."""

    def spoil(aviary: Aviary) -> None:
        git(aviary, "init", "--quiet")
        (aviary.folder / ".gitignore").write_text(ignored)
        if tracked:
            git(aviary, "add", "--force", "out/.env")

    return spoil


def moved_into_a_repository_by_a_link(aviary: Aviary) -> None:
    """`out` is a link to a folder of another work tree; no folder above the link is a repository."""
    aviary.edit("{path: out/note,", "{path: linked/note,")
    tree = aviary.root / "tree"
    (tree / "sub").mkdir(parents=True)
    subprocess.run(("git", "-C", str(tree), "init", "--quiet"), check=True, capture_output=True)
    (aviary.folder / "linked").symlink_to(tree / "sub")


def foreign(aviary: Aviary) -> None:
    """The file was written by a person: an assignment of each kind, one of them over several lines."""
    aviary.env.write_text(
        f"# mine\nDATABASE_PASSWORD={aviary.values['jira.token']}\nexport OLD_TOKEN='{aviary.values['db.password']}'\n"
        f'PEM="-----BEGIN\n{aviary.values["key.private_key"]}=\n-----END"\n'
    )


def foreign_key(aviary: Aviary) -> None:
    """The file that stands there is base64, whose last line looks like a name with an empty value."""
    aviary.env.write_text(f"-----BEGIN KEY-----\n{aviary.values['aws.secret_access_key']}==\n-----END KEY-----\n")


def careless_password(aviary: Aviary) -> None:
    aviary.password_file.chmod(0o644)


def password(content: bytes) -> Callable[[Aviary], object]:
    return lambda aviary: aviary.password_file.write_bytes(content)


def password_in_a_work_tree(aviary: Aviary) -> None:
    (aviary.root / ".git").mkdir()


def no_password_file(aviary: Aviary) -> None:
    aviary.password_file.unlink()


def moved_entry(aviary: Aviary) -> None:
    aviary.edit("entry: Third-Party/Jira", "entry: Work/Jira")


def twin_entry(aviary: Aviary) -> None:
    with vaults.edited(aviary.vault, aviary.password) as opened:
        (entry,) = (each for each in opened.entries if each.title == "Jira")
        opened.add_entry(entry.group, "Jira", "", "", force_creation=True)


def empty_field(aviary: Aviary) -> None:
    with vaults.edited(aviary.vault, aviary.password) as opened:
        (entry,) = (each for each in opened.entries if each.title == "Cipher")
        entry.password = ""


def other_vault(aviary: Aviary) -> None:
    content = (aviary.state / "vault-id").read_bytes()
    aviary.remake_vault()
    (aviary.state / "vault-id").write_bytes(content)


def spoilt_state(aviary: Aviary) -> None:
    (aviary.state / "vault-id").write_bytes(b"\xff\0\xfe")


def value(**values: str) -> Callable[[Aviary], object]:
    """A value in the vault is another, around a canary."""

    def spoil(aviary: Aviary) -> None:
        aviary.remake_vault(**{name: text.replace("…", secrets.token_hex(12)) for name, text in values.items()})

    return spoil


def no_state(aviary: Aviary) -> None:
    for path in sorted(aviary.state.rglob("*"), reverse=True):
        path.unlink()
    aviary.state.rmdir()
    aviary.state.write_text("a file where the state folder should be\n")


def adopted_is_a_file(aviary: Aviary) -> None:
    foreign(aviary)
    (aviary.state / "adopted").write_text("a file where a folder should be\n")


def after_is_a_file(aviary: Aviary) -> None:
    aviary.edit("template: note.j2, ", "template: note.j2, after: [[/bin/true]], ")
    aviary.template.write_text("OTHER={{ cipher.passphrase }}\n")
    (aviary.state / "after").write_text("a file where a folder should be\n")


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

PASSWORDS = (
    Row("a wrong password", password(b"wrong\n"), RENDER, 4, ("cannot open", "aviary.kdbx", "password or key file")),
    Row("no password file", no_password_file, RENDER, 4, ("the password file", "no such file")),
    Row("a password file that others may read", careless_password, RENDER, 5, ("the password file", "chmod 600")),
    Row("an empty password file", password(b"\n"), RENDER, 4, ("holds no password",)),
    Row("a password file of bytes", password(b"\xff\xfe\n"), RENDER, 4, ("no UTF-8 text",)),
    Row("a password file in a work tree", password_in_a_work_tree, RENDER, 5, ("the git work tree",)),
    Row("a folder as the password file", nothing, ("check", "--password-file", "."), 4, ("is a directory",)),
    Row("a descriptor that is closed", nothing, ("check", "--password-fd", "999999"), 4, ("descriptor 999999: ",)),
    Row("a descriptor below zero", nothing, ("check", "--password-fd", "-1"), 2, ("--password-fd",)),
    Row("a descriptor beyond all", nothing, ("check", "--password-fd", "9" * 30), 2, ("--password-fd",)),
    Row("no such key file", nothing, ("check", "--key-file", "nowhere"), 4, ("the key file", "nowhere")),
    Row("a key file too many", nothing, ("check", "--key-file", "note.j2"), 4, ("password or key file",)),
)
VAULTS = (
    Row("no vault", lambda a: a.vault.unlink(), RENDER, 4, ("there is no vault at", "chronos-secrets init")),
    Row("an empty vault", vault(lambda _: b""), RENDER, 4, ("aviary.kdbx: it is empty",)),
    Row("a vault of three bytes", vault(lambda b: b[:3]), RENDER, 4, ("it is cut short",)),
    Row("a vault cut in its header", vault(lambda b: b[:100]), RENDER, 4, ("header is cut short or damaged",)),
    Row("a vault cut in its content", vault(lambda b: b[:-40]), RENDER, 4, ("content is cut short or damaged",)),
    Row("a vault with a flipped bit in its header", flipped(60), RENDER, 4, ("its header is damaged",)),
    Row("a vault with a flipped bit in its content", flipped(-9), RENDER, 4, ("content is damaged",)),
    Row("a foreign file as the vault", vault(lambda _: b"PK\x03\x04" + bytes(500)), RENDER, 4, ("not a KeePassXC file",)),
    Row(
        "a KeePass 1 file", vault(lambda b: bytes.fromhex("03d9a29a65fb4bb5") + b[8:]), RENDER, 4, ("KeePass 1", "KDBX 4")
    ),
    Row("a format of the future", vault(lambda b: b[:10] + b"\x09\0" + b[12:]), RENDER, 4, ("format version 9",)),
    Row("a folder as the vault", instead(lambda a: a.vault, Path.mkdir), RENDER, 4, ("cannot read the vault",)),
    Row("a link that leads nowhere as the vault", instead(lambda a: a.vault, lambda p: p.symlink_to("x")), RENDER, 4,
        ("is a link that leads nowhere", "ls -l")),
    Row("another project's vault", other_vault, RENDER, 5, ("not the vault that this project name had", "rm ")),
    Row("a state of bytes", spoilt_state, RENDER, 5, ("not the vault that this project name had", "rm ")),
    Row("an entry that was moved", moved_entry, RENDER, 4, ("jira: there is no entry 'Work/Jira'", "Third-Party/Jira")),
    Row("two entries of one name", twin_entry, RENDER, 4, ("2 entries called 'Third-Party/Jira'", "rename")),
    Row("an empty field", empty_field, RENDER, 4, ("cipher: the field passphrase is empty", "Database/Cipher")),
    Row("an empty field, asked for", empty_field, ("get", "cipher"), 4, ("the field passphrase is empty",)),
    Row("a vault that is there already", nothing, ("init",), 5, ("already there", "never overwritten")),
)  # fmt: skip
INVENTORIES = (
    Row("no inventory", lambda a: a.inventory.unlink(), RENDER, 3, ("there is no inventory.yaml", "init --from")),
    Row("a folder as the inventory", nothing, ("--inventory", "out", *OFFLINE), 3, ("out: ", "folder")),
    Row("an empty inventory", inventory(""), OFFLINE, 3, ("inventory.yaml:1:1: ", "empty")),
    Row("a duplicate key", inventory("«…»project: again\n"), OFFLINE, 3, (":22:1: ", "project", "line 2")),
    Row("a misspelt key", edited("dialect: sh,", "dialekt: sh,"), OFFLINE, 3, (":19:26: ", "'dialekt'", "dialect")),
    Row("a misspelt credential", edited("{key: key}}", "{key: kay}}"), OFFLINE, 3, (":21:109: ", "'kay'", "key")),
    Row("a tab", inventory("«…»tasks:\n\tx: {}\n"), OFFLINE, 3, (":23:1: ", "tab")),
    Row("a byte order mark", inventory(b"\xef\xbb\xbf\xc2\xab\xe2\x80\xa6\xc2\xbb"), OFFLINE, 3, (":1:1: ", "byte order")),
    Row("UTF-16", inventory("version: 1\n".encode("utf-16")), OFFLINE, 3, (":1:1: ", "UTF-16")),
    Row("a byte that is no UTF-8", inventory(b"version: 1\nproject: \xff\n"), OFFLINE, 3, (":2:10: ", "UTF-8")),
    Row("ten megabytes", inventory("# x\n" * 2_600_000), OFFLINE, 3, ("inventory.yaml: ", "larger than")),
    Row("an alias bomb", inventory(BOMB), OFFLINE, 3, (":1:4: ", "aliases")),
    Row("a tag that would make an object", inventory("version: !!python/object/apply:os.system [id]\n"), OFFLINE, 3,
        (":1:10: ", "tags")),
    Row("brackets without end", inventory("version: " + "[" * 50_000), OFFLINE, 3, (":1:", "nested deeper")),
    Row("two documents", inventory("«…»---\n«…»"), OFFLINE, 3, ("second document",)),
    Row("a version of the future", inventory("version: 99\n"), OFFLINE, 3, (":1:10: ", "version")),
)  # fmt: skip
TEMPLATES = (
    Row("no template", lambda a: a.template.unlink(), RENDER, 3, ("inventory.yaml:19: ", "note.j2", "no such file")),
    Row("a folder as the template", instead(lambda a: a.template, Path.mkdir), RENDER, 3, ("note.j2", "is a directory")),
    Row("a pipe as the template", instead(lambda a: a.template, os.mkfifo), RENDER, 3, ("note.j2", "no regular file")),
    Row("an endless device as the template", instead(lambda a: a.template, lambda p: p.symlink_to("/dev/zero")), RENDER, 3,
        ("note.j2", "no regular file")),
    Row("a template of bytes", template(b"\xff\xfe"), RENDER, 3, ("note.j2:1: ", "UTF-8")),
    Row("a large template", template("#\n" * 200_000), RENDER, 3, ("note.j2:1: ", "larger than")),
    Row("a template that loops", template("\n{% for x in cipher %}{% endfor %}"), RENDER, 3, ("note.j2:2: a loop",)),
    Row("a template that calls", template("A={{ cipher.passphrase() }}"), RENDER, 3, ("note.j2:1: a call",)),
    Row("a template that reaches for attributes", template("A={{ cipher.passphrase.__class__ }}"), RENDER, 3,
        ("note.j2:1: a longer chain",)),
    Row("a template that reaches for a class", template("A={{ ''.__class__ }}"), RENDER, 3, ("note.j2:1: ", "language")),
    Row("a template that includes", template("{% include '/etc/passwd' %}"), RENDER, 3, ("note.j2:1: include",)),
    Row("a credential that the destination does not use", template("A={{ db.password }}"), RENDER, 3,
        ("note.j2:1: 'db'", "known here: cipher")),
    Row("a misspelt field", template("A={{ cipher.passphrse }}"), RENDER, 3, ("note.j2:1: ", "'passphrse'", "passphrase")),
    Row("a filter that is none", template("A={{ cipher.passphrase | shell }}"), RENDER, 3, ("'shell'", "urlencode")),
    Row("filters without end", template("A={{ cipher.passphrase" + "|lower" * 5_000 + " }}"), RENDER, 3,
        ("note.j2:1: ", "filters in a row")),
    Row("a number without end", template("A={{ " + "9" * 5_000 + " }}"), RENDER, 3, ("note.j2:1: ", "number")),
    Row("an expression that is not closed", template("\n\nA={{ cipher"), RENDER, 3, ("note.j2:3: ",)),
    Row("a line that the dialect does not have", template("just words {{ cipher.passphrase }}"), RENDER, 3,
        ("note.j2:1: no = on this line",)),
    Row("a value that is quoted twice", template("A='{{ cipher.passphrase }}'"), RENDER, 3, ("note.j2:1: do not quote",)),
)  # fmt: skip
VALUES = (
    Row("quotes of both kinds in a dotenv file", value(db__password="…'\"…"), RENDER, 5,
        ("destination env cannot hold db.password", "single quote")),
    Row("a command in a dotenv file", value(jira__token="$(…)"), RENDER, 5, ("cannot hold jira.token", "b64encode")),
    Row("a carriage return in a dotenv file", value(jira__token="…\r…"), RENDER, 5, ("jira.token", "carriage return")),
    Row("a line break in ssh_config", value(key__address="ssh://…%0aProxyCommand%20id"), RENDER, 5,
        ("destination ssh-config cannot hold key.address",)),
)  # fmt: skip
PLACES = (
    Row("a folder as the destination", instead(lambda a: a.note, Path.mkdir), RENDER, 5, ("out/note is a folder",)),
    Row("a link as the destination", instead(lambda a: a.note, linked), RENDER, 5, ("note is a symbolic link", "elsewhere")),
    Row("a link that leads nowhere", instead(lambda a: a.note, lambda p: p.symlink_to("x")), RENDER, 5, ("symbolic link",)),
    Row("a pipe as the destination", instead(lambda a: a.note, os.mkfifo), RENDER, 5, ("not a regular file",)),
    Row("a file as the folder of the destination", edited("path: out/note", "path: note.j2/x"), RENDER, 5,
        ("note.j2 is not a folder",)),
    Row("a name that is too long", edited("path: out/note", f"path: out/{'n' * 300}"), RENDER, 5, ("name too long",)),
    Row("an owner who is not here", edited("dialect: sh,", "dialect: sh, owner: nobody-at-all,"), RENDER, 5,
        ("destination note", "nobody-at-all", "not here")),
    Row("a destination that git tracks", repository(ignored="out/\n", tracked=True), RENDER, 5,
        ("git tracks", "out/.env", " rm --cached out/.env && printf '\\n%s\\n' /out/.env >> ")),
    Row("a destination that git would add", repository(ignored="/out/.env\n"), RENDER, 5,
        ("git does not ignore", "out/note", ".gitignore")),
    Row("a destination that git would add, behind a link", moved_into_a_repository_by_a_link, RENDER, 5,
        ("git does not ignore", "tree/sub/note")),
    Row("a file of somebody else", foreign, RENDER, 5,
        (".env was not made by this tool", "- OLD_TOKEN", "~ DATABASE_PASSWORD=‹db.password›", "render --adopt env")),
    Row("a file of somebody else, tried", foreign, ("render", "--dry-run"), 5, ("not made by this tool", "--adopt")),
    Row("a key of somebody else", foreign_key, RENDER, 5, (".env was not made by this tool",)),
    Row("marks of local lines that do not close", lambda a: a.env.write_text("# local:begin\nX=1\n"), RENDER, 5,
        ("'# local:begin' without its '# local:end'",)),
    Row("a file as the folder of --to", nothing, ("render", "--to", "note.j2"), 5, ("note.j2 is not a folder",)),
    Row("--to with nothing", nothing, ("render", "--to", ""), 2, ("--to names no folder",)),
    Row("two destinations into one file", lambda a: a.edit("path: out/note", "path: deep/.env"),
        ("render", "--to", "all"), 5, ("env and note would both become",)),
    Row("a file as the state folder", no_state, RENDER, 5, ("state folder", "nothing was changed")),
    Row("a file as the folder of adopted files", adopted_is_a_file, ("render", "--adopt"), 5,
        ("cannot keep", "nothing was changed")),
    Row("a file as the folder of after marks", after_is_a_file, RENDER, 5, ("state folder", "nothing was changed")),
)  # fmt: skip
SETTINGS = (
    Row("config.toml that is no TOML", config("[aviary\n"), RENDER, 3, ("config.toml is not valid TOML",)),
    Row(
        "config.toml with a list without end",
        config(f"x = {'[' * 5000}"),
        RENDER,
        3,
        ("config.toml is not valid TOML",),
    ),
    Row(
        "an unknown setting", config("[aviary]\nvolt = 'x'\n"), RENDER, 3, ("unknown setting 'volt'", "vault, key_file")
    ),
    Row("a setting that is no path", config("[aviary]\nvault = 7\n"), RENDER, 3, ("'vault' in [aviary]",)),
    Row("a setting with a NUL", config('[aviary]\nvault = "a\\u0000b"\n'), RENDER, 3, ("'vault' in [aviary]",)),
    Row("a setting that is no table", config("aviary = 1\n"), RENDER, 3, ("'aviary' is not a table",)),
)
WORDS = (
    Row("an unknown command", nothing, ("rendre",), 2, ("'rendre'",)),
    Row("an unknown option", nothing, ("render", "--chek"), 2, ("--chek",)),
    Row("an unknown destination", nothing, ("render", "ssh-konfig"), 2, ("'ssh-konfig'", "did you mean ssh-config?")),
    Row("an unknown credential", nothing, ("get", "jirra"), 2, ("'jirra'", "did you mean jira?")),
    Row("an unknown field", nothing, ("get", "jira", "--field", "tokn"), 2, ("jira has no field 'tokn'", "token")),
    Row("no credential", nothing, ("get",), 2, ("'ID'",)),
    Row(
        "an inventory that is there already",
        nothing,
        ("init", "--from", "aviary.kdbx"),
        5,
        ("inventory.yaml", "already"),
    ),
)
ROWS = (*PASSWORDS, *VAULTS, *INVENTORIES, *TEMPLATES, *VALUES, *PLACES, *SETTINGS, *WORDS)


def assert_told(done: Done, status: int, *words: str) -> None:
    """One sentence and what to do next, and nothing of a program's inside."""
    assert done.status == status, done.err
    assert "Traceback" not in done.text
    lines = done.err.splitlines()
    assert sum(line.startswith("error: ") for line in lines) == 1, done.err
    assert sum(line.startswith("hint: ") for line in lines) == 1, done.err
    for said in words:
        assert said in done.err


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_what_is_wrong_is_told_in_one_line_and_every_file_is_as_it_was(row: Row, aviary: Aviary):
    row.spoil(aviary)
    before = snapshot(aviary.root)
    done = aviary.run(*row.command, locked=row.locked)
    assert_told(done, row.status, *row.words)
    assert done.out == ""
    assert aviary.leaked(done.text) == []
    assert snapshot(aviary.root) == before


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.status != 2 and row.command[0] in ("render", "check")][::7],
    ids=lambda row: row.name.replace(" ", "-"),
)
def test_json_tells_the_same_with_a_code(row: Row, aviary: Aviary):
    import json

    row.spoil(aviary)
    done = aviary.run(*row.command, "--json")
    told = json.loads(done.err)
    assert told["version"] == 1
    assert told["error"]["exit"] == row.status == done.status
    assert told["error"]["code"]
    assert told["error"]["hint"]
    said = "\n".join([told["error"]["message"], told["error"]["hint"], *told["error"]["details"]])
    assert all(word in said for word in row.words)


def test_a_vault_that_keepassxc_saves_between_our_open_and_our_save_keeps_what_keepassxc_wrote(aviary, monkeypatch):
    def keepassxc_saves_now() -> object:
        with vaults.edited(aviary.vault, aviary.password) as opened:
            opened.add_entry(opened.root_group, "made meanwhile", "", secrets.token_hex(8))
        meanwhile.append(aviary.vault.read_bytes())
        return vaults.NOW

    meanwhile: list[bytes] = []
    aviary.vault.unlink()
    (aviary.state / "vault-id").unlink()
    vaults.kdbx4(
        aviary.vault, kdf=vaults.KDFS["aes"], password=aviary.password
    )  # one that there is something to upgrade in
    monkeypatch.setattr(Session, "now", staticmethod(keepassxc_saves_now))  # asked for between opening and saving
    done = aviary.run("vault", "upgrade")
    assert_told(
        done, 4, "was saved by another program since it was opened; nothing was changed", "run the command again"
    )
    assert aviary.vault.read_bytes() == meanwhile[-1]
    assert list(aviary.folder.glob(".chronos-*")) == []


def test_a_file_of_somebody_else_may_be_adopted_and_is_kept(aviary: Aviary):
    foreign(aviary)
    before = aviary.env.read_bytes()
    assert aviary.run("render", "--adopt", "env").status == 0
    assert aviary.values["db.password"] in aviary.env.read_text()
    (kept,) = (aviary.state / "adopted").iterdir()
    assert kept.read_bytes() == before
    assert kept.stat().st_mode & 0o777 == 0o600


def test_what_a_refused_render_would_have_needed_is_not_left_behind(aviary: Aviary):
    aviary.edit("path: out/note", "path: new/deep/note")
    aviary.edit("path: ~/.ssh/config.d/aviary", "path: ~/.ssh/new/config")
    (aviary.state / "after").write_text("")
    aviary.edit("template: note.j2, ", "template: note.j2, after: [[/bin/true]], ")
    before = snapshot(aviary.root)
    assert_told(aviary.run("render"), 5, "nothing was changed")
    assert snapshot(aviary.root) == before


@pytest.mark.skipif(
    os.geteuid() == 0, reason="root may write everywhere; test_render_survives mounts a read-only folder"
)
def test_a_folder_that_may_not_be_written_to(aviary: Aviary):
    aviary.note.unlink()
    aviary.note.parent.chmod(0o500)
    before = snapshot(aviary.root)
    assert_told(aviary.run("render"), 5, f"{aviary.note.parent} cannot be written to")
    assert snapshot(aviary.root) == before
    aviary.note.parent.chmod(0o700)


def test_a_result_that_cannot_be_printed_is_no_success(aviary: Aviary):
    full = os.open("/dev/full", os.O_WRONLY)
    for words in (("get", "db"), ("list",), ("render", "--check"), ("config", "show")):
        done = aviary.process(*words, stdout=full)
        assert_told(done, 8, "the result could not be printed", "no space left on device")
        assert aviary.leaked(done.text) == []
    assert aviary.process("check", "--json", stdout=full).status == 8
    os.close(full)


def test_a_reader_that_goes_away_is_no_failure(aviary: Aviary):
    for words in (("get", "db"), ("list", "--json"), ("render", "--diff"), ("check", "--json")):
        ours, theirs = os.pipe()
        os.close(ours)
        done = aviary.process(*words, stdout=theirs)
        os.close(theirs)
        assert (done.status, done.err) == (0, ""), words


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_descriptor_is_no_bug(closed: str, aviary: Aviary):
    line = f"exec {' '.join(argv())} render --password-file {aviary.password_file} {closed}"
    aviary.env.unlink()
    done = subprocess.run(("sh", "-c", line), cwd=aviary.folder, env=environment(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert aviary.values["db.password"] in aviary.env.read_text()


def test_nothing_that_is_printed_can_break_the_printing(aviary: Aviary):
    """A locale without accents, a file name that is no UTF-8, a title that would move the cursor."""
    odd = os.fsdecode(b"odd\xff.yaml")
    (aviary.folder / odd).write_bytes(aviary.inventory.read_bytes())
    aviary.edit("entry: Third-Party/Jira", "entry: Third-Party/J\u00efra\u202f")
    for env in ({}, {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}):
        for words in (
            ("--inventory", odd, "config", "show"),
            ("list",),
            ("list", "--json"),
            ("--inventory", f"x{odd}", "list"),
        ):
            done = aviary.process(*words, env=env)
            assert done.status in (0, 3), (words, done.err)
            assert "Traceback" not in done.text
    with vaults.edited(aviary.vault, aviary.password) as opened:
        opened.add_entry(opened.root_group, "\x9b2Jtwo\nlines", "", secrets.token_hex(20))
    told = aviary.run("check")
    assert "?2Jtwo?lines" in told.out
    assert "\x9b" not in told.text


def test_a_working_folder_that_is_gone_is_told(aviary: Aviary):
    gone = aviary.root / "gone"
    gone.mkdir()
    line = f"cd {gone} && rmdir {gone} && exec {' '.join(argv('list'))}"
    done = subprocess.run(("sh", "-c", line), env=environment(), capture_output=True, text=True, check=False)
    assert_told(Done(done.returncode, done.stdout, done.stderr), 2, "working folder")
