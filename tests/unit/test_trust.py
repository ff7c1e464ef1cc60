"""What an inventory reaches, and what of it is new: every way to take a secret elsewhere is a sentence of its own."""

import json
import os
import stat
from pathlib import Path

import pytest

from chronos_secrets.inventory import load
from chronos_secrets.render import trust
from chronos_secrets.render.compose import Draft
from chronos_secrets.render.trust import Accepted, Grown, Used

HOME = Path("/home/ada")
INVENTORY = """\
version: 1
project: aviary
hosts:
  far: {ssh: far-away, sudo: true}
  box: {in: far, container: db, user: postgres}
vault:
  path: aviary.kdbx
  copies:
    usb: {kind: usb, volume: {label: KEYS}, path: vault}
    cloud: {kind: rclone, remote: "cloud:vault"}
    disk: {kind: folder, path: ~/copies}
credentials:
  db: {kind: postgres-password, title: DB, entry: Database/DB, never: "a toy", target: {role: birds}}
  jira: {kind: api-token, title: Jira, entry: Third-Party/Jira, never: "a toy"}
  mail: {kind: api-token, title: Mail, entry: Third-Party/Mail, never: "a toy"}
  root: {kind: account, title: Root, entry: AWS/Root, never: "a toy"}
destinations:
  env:
    path: .env
    dialect: dotenv
    template: builtin:env
    uses: {db: db, jira: jira}
    vars: {db_host: localhost, db_port: 5432, db_name: birds}
  note: {path: out/note, dialect: sh, template: note.j2, uses: {db: db}}
  there:
    host: box
    path: /etc/there
    dialect: dotenv
    template: note.j2
    uses: {db: db}
    after: [[systemctl, reload, "a b"]]
  outside: {path: ~/outside, dialect: file, value: {from: jira, field: token}}
"""
TEMPLATE = "# a note\nFIRST={{ db.username }}\n{% if db.password %}\nSECOND={{ db.password }}\n{% endif %}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    (tmp_path / "note.j2").write_text(TEMPLATE)
    return tmp_path


def reach(folder: Path, used: Used | None = None) -> dict[str, tuple[str, ...]]:
    inventory = load.read(folder / "inventory.yaml")
    used = used or trust.everything(inventory)
    return trust.reach(inventory, HOME, used, lambda each: Draft(inventory, each, HOME))


def harmless(folder: Path) -> dict[str, tuple[str, ...]]:
    inventory = load.read(folder / "inventory.yaml")
    return trust.harmless(inventory, HOME, lambda each: Draft(inventory, each, HOME))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


# where in the inventory, what stands there instead, and what of it is new
CHANGES = [
    ("ssh: far-away", "ssh: elsewhere", [("host far", "is elsewhere of ~/.ssh/config, with sudo")]),
    ("ssh: far-away, sudo: true", "ssh: far-away", [("host far", "is far-away of ~/.ssh/config")]),
    ("container: db,", "container: bd,", [("host box", "is the container bd (docker) on far, as postgres")]),
    (
        "container: db,",
        "engine: podman, container: db,",
        [("host box", "is the container db (podman) on far, as postgres")],
    ),
    ("user: postgres", "user: root", [("host box", "is the container db (docker) on far, as root")]),
    ("in: far", "in: local", [("host box", "is the container db (docker) on local, as postgres")]),
    ("host: box", "host: far", [("destination there", "is /etc/there on far, mode 0600")]),
    ("/etc/there", "/srv/there", [("destination there", "is /srv/there on box, mode 0600")]),
    ("path: out/note", "path: out/note, mode: 0640", [("destination note", "is {}/out/note, mode 0640")]),
    ("path: out/note", "path: out/note, owner: ada", [("destination note", "is {}/out/note, mode 0600, owner ada")]),
    ("dialect: sh", "dialect: dotenv", [("destination note", "is made of note.j2, as dotenv")]),
    ("uses: {db: db, jira: jira}", "uses: {db: db, jira: mail}", [("destination env", "uses jira = mail")]),
    (
        "note.j2, uses: {db: db}",
        "note.j2, uses: {db: db, more: root}",
        [("destination note", "uses more = root")],
    ),
    ("db_host: localhost", "db_host: evil.example.com", [("destination env", "sets db_host = evil.example.com")]),
    ('reload, "a b"', "restart", [("destination there", "runs systemctl restart")]),
    (
        '[[systemctl, reload, "a b"]]',
        '[[systemctl, reload, "a b"], [id]]',
        [("destination there", "runs id")],
    ),
    ("from: jira, field: token", "from: root, field: password", [("destination outside", "is made of root.password")]),
    (
        "entry: Third-Party/Jira",
        "entry: AWS/Other",
        [("credential jira", "is the entry 'AWS/Other' (token Password, username UserName, url URL)")],
    ),
    (
        "entry: Third-Party/Jira",
        "entry: Third-Party/Jira, fields: {url: Password}",
        [("credential jira", "is the entry 'Third-Party/Jira' (token Password, username UserName, url Password)")],
    ),
    (
        "role: birds",
        "role: admin",
        [
            (
                "credential db",
                "is the entry 'Database/DB' (username UserName, password Password), honoured at role admin, mode single",
            )
        ],
    ),
    ("path: aviary.kdbx", "path: other.kdbx", [("vault", "is {}/other.kdbx")]),
    ("label: KEYS", "label: OTHER", [("copy usb", "goes to the drive OTHER, folder vault")]),
    ("cloud:vault", "evil:vault", [("copy cloud", "goes to evil:vault by rclone")]),
    ("path: ~/copies", "path: /srv/copies", [("copy disk", "goes to the folder /srv/copies")]),
    (
        "  outside:",
        "  more: {path: more, dialect: file, value: {from: root, field: password}}\n  outside:",
        [("destination more", "is {}/more, mode 0600"), ("destination more", "is made of root.password")],
    ),
]


@pytest.mark.parametrize(("old", "new", "told"), CHANGES, ids=[new for _, new, _ in CHANGES])
def test_a_change_that_may_take_a_secret_elsewhere_is_growth(folder, old, new, told):
    accepted = reach(folder)
    edit(folder / "inventory.yaml", old, new)
    found = trust.grown(reach(folder), accepted)
    assert found == [Grown(subject, sentence.format(folder)) for subject, sentence in told]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (', sudo: true}\n  box: {in: far, container: db, user: postgres}', ', sudo: true}\n  box: {in: far, container: db, user: postgres}\n  more: {ssh: more}'),
        ("uses: {db: db, jira: jira}", "uses: {db: db}"),
        ("    after: [[systemctl, reload, \"a b\"]]\n", ""),
        ("  outside: {path: ~/outside, dialect: file, value: {from: jira, field: token}}\n", ""),
        ("title: Jira", "title: Another title"),
        ("entry: Third-Party/Jira", "entry: Third-Party/Jira, purpose: more, paper: true"),
    ],
)  # fmt: skip
def test_what_goes_away_or_takes_nothing_elsewhere_is_no_growth_of_what_is_used(folder, old, new):
    accepted = reach(folder)
    edit(folder / "inventory.yaml", old, new)
    inventory = load.read(folder / "inventory.yaml")
    assert trust.grown(reach(folder, Used(destinations=tuple(inventory.destinations))), accepted) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("FIRST={{ db.username }}", "FIRST={{ db.password }}", ["writes FIRST={{ db.password }}"]),
        ("{% endif %}", "{% else %}\nLD_PRELOAD=x\n{% endif %}", ["writes {% else %}", "writes LD_PRELOAD=x"]),
        ("SECOND=", "SECOND=x", ["writes SECOND=x{{ db.password }}"]),
    ],
)
def test_a_line_of_a_template_that_was_not_there_is_growth(folder, old, new, told):
    accepted = reach(folder)
    edit(folder / "note.j2", old, new)
    found = trust.grown(reach(folder), accepted)
    assert [each.sentence for each in found if each.subject == "destination note"] == told


def test_a_template_whose_lines_only_stand_in_another_order_is_growth(folder):
    """A later line wins over an earlier one, and a line may leave the `if` that it stood in."""
    accepted = reach(folder)
    (folder / "note.j2").write_text("\n".join(reversed(["", *TEMPLATE.splitlines()[1:2], *TEMPLATE.splitlines()[2:]])))
    (folder / "note.j2").write_text(TEMPLATE.replace("FIRST={{ db.username }}\n", "") + "FIRST={{ db.username }}\n")
    found = trust.grown(reach(folder), accepted)
    assert {each.subject for each in found} == {"destination note", "destination there"}
    assert {each.sentence for each in found} == {"has other comments, or its lines in another order"}


def test_the_text_of_a_built_in_template_comes_with_the_program_and_is_no_growth(folder):
    assert not [each for each in reach(folder)["destination env"] if each.startswith(("writes", "its text"))]


def test_a_link_among_the_folders_of_a_destination_is_followed(folder):
    accepted = reach(folder)
    (folder / "out").symlink_to("/srv/www")
    assert trust.grown(reach(folder), accepted) == [Grown("destination note", "is /srv/www/note, mode 0600")]


def test_a_destination_brings_its_hosts_and_its_credentials(folder):
    found = reach(folder, Used(destinations=("there",)))
    assert list(found) == ["vault", "host box", "host far", "credential db", "destination there"]


def test_a_credential_that_the_person_names_is_growth_only_where_it_means_something_else_than_before(folder):
    now = reach(folder, Used(credentials=("jira",)))
    accepted = {subject: sentences for subject, sentences in reach(folder).items() if subject != "credential jira"}
    assert trust.grown(now, accepted, named=["credential jira"]) == []
    assert [each.subject for each in trust.grown(now, accepted)] == ["credential jira"]
    before = {**accepted, "credential jira": ("is the entry 'AWS/Root' (token Password)",)}
    assert [each.subject for each in trust.grown(now, before, named=["credential jira"])] == ["credential jira"]


SECTIONS = """\
  conf: {host: box, path: /etc/conf, dialect: pgbackrest, template: note.j2, uses: {db: db}}
postgres: {host: box, database: birds, role: birds, data: /data, connect: {via: ssh-forward, port: 5433}}
pgbackrest: {stanza: birds, host: box, config: conf, repo: {path: /repo, cipher: none, retention_full: 2}}
cloud:
  provider: aws
  region: ca-central-1
  endpoint: s3.ca-central-1.amazonaws.com
  account: {credential: root, field: username}
  admin_profile: admin
  user: {name: writer, policy: write, prefixes: [repo/]}
  bucket: {name: nest}
"""
MOVED = [
    ("database: birds", "database: cats", "section postgres", "is the database cats on box, by ssh-forward, port 5433"),
    ("port: 5433", "port: 5434", "section postgres", "is the database birds on box, by ssh-forward, port 5434"),
    ("via: ssh-forward", "via: direct", "section postgres", "is the database birds on box, by direct, port 5433"),
    ("stanza: birds", "stanza: cats", "section pgbackrest", "is the stanza cats on box, by the file of conf"),
    (
        "s3.ca-central-1.amazonaws.com",
        "s3.example.com",
        "section cloud",
        "is https://s3.example.com, as the profile admin",
    ),
    ("admin_profile: admin", "admin_profile: root", "section cloud", "is AWS in ca-central-1, as the profile root"),
    ("{name: nest}", "{name: cuckoo}", "section cloud", "the user writer and the bucket cuckoo"),
    ("name: writer", "name: other", "section cloud", "the user other and the bucket nest"),
]


@pytest.mark.parametrize(("old", "new", "subject", "told"), MOVED, ids=[new for _, new, *_ in MOVED])
def test_where_a_rotation_asks_is_growth_when_it_changes(folder, old, new, subject, told):
    path = folder / "inventory.yaml"
    path.write_text(path.read_text() + SECTIONS)
    used = Used(sections=("postgres", "pgbackrest", "cloud"))
    before = reach(folder, used)
    edit(path, old, new)
    [found] = trust.grown(reach(folder, used), before)
    assert found.subject == subject
    assert told in found.sentence


def test_a_section_brings_its_hosts_and_is_asked_about_at_the_first_meeting(folder):
    path = folder / "inventory.yaml"
    path.write_text(path.read_text() + SECTIONS)
    assert list(reach(folder, Used(sections=("postgres",)))) == ["vault", "host box", "host far", "section postgres"]
    assert not any(subject.startswith("section") for subject in harmless(folder))
    assert {"section postgres", "section pgbackrest", "section cloud"} <= reach(folder).keys()


# --- the first meeting ------------------------------------------------------------------------------------------------


def test_only_private_files_below_the_inventory_that_no_command_follows_are_harmless(folder):
    found = harmless(folder)
    assert {each for each in found if each.startswith("destination")} == {"destination env", "destination note"}
    assert {each for each in found if each.startswith(("host", "copy"))} == set()
    assert found == {subject: sentences for subject, sentences in reach(folder).items() if subject in found}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("path: out/note", "path: ../note"),
        ("path: out/note", "path: /tmp/note"),
        ("path: out/note", "path: ~/note"),
        ("path: out/note", "path: out/note, mode: 0640"),
        ("path: out/note", "path: out/note, after: [[id]]"),
        ("path: out/note", "path: {}/out/note, host: far"),
    ],
)
def test_what_is_asked_about_at_the_first_meeting(folder, old, new):
    assert "destination note" in harmless(folder)
    edit(folder / "inventory.yaml", old, new.format(folder))
    assert "destination note" not in harmless(folder)


def test_what_proves_a_file_runs_on_its_host_and_is_a_command_like_any_other(folder):
    inventory = load.read(folder / "inventory.yaml")
    row = inventory.destinations["env"]._replace(prove="pgbackrest-check")
    proved = inventory._replace(destinations={"env": row})
    draft = Draft(inventory, row, HOME)
    assert "destination env" not in trust.harmless(proved, HOME, lambda _: draft)
    assert (
        trust.reach(proved, HOME, Used(("env",)), lambda _: draft)["destination env"][-1]
        == "is proved by pgbackrest-check"
    )


def test_a_folder_that_is_a_link_out_of_the_project_is_not_harmless(folder):
    (folder / "out").symlink_to("/tmp")
    assert "destination note" not in harmless(folder)


def test_a_broken_template_is_not_harmless_and_keeps_nothing_else_from_being(folder):
    (folder / "note.j2").write_text("A={{ nobody.knows }}\n")
    assert "destination note" not in harmless(folder)
    assert "destination env" in harmless(folder)


# --- what is remembered -----------------------------------------------------------------------------------------------


def test_what_was_accepted_is_read_back_for_each_inventory_file(folder, tmp_path):
    path, here, other = (
        tmp_path / "state" / "reach.json",
        folder / "inventory.yaml",
        folder / "clone" / "inventory.yaml",
    )
    assert trust.load(path, here) == Accepted({}, first=True)
    trust.store(path, here, reach(folder))
    assert trust.load(path, here) == Accepted(reach(folder), first=False)
    assert trust.load(path, other) == Accepted({}, first=False), "a second clone is asked about: it may be anybody's"
    trust.store(path, other, {"vault": ("is here",)})
    assert trust.load(path, here).reach == reach(folder)
    trust.store(path, here, {})
    assert trust.load(path, here) == Accepted({}, first=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version": 1}', b"\xff", pytest.param(b"[" * 100_000, id="deep")]
)
def test_a_file_that_cannot_be_read_accepts_nothing_and_is_no_first_meeting(folder, tmp_path, content):  # fmt: skip
    path = tmp_path / "reach.json"
    path.write_bytes(content)
    assert trust.load(path, folder / "inventory.yaml") == Accepted({}, first=False)


def test_what_another_version_wrote_accepts_nothing(folder, tmp_path):
    path, inventory = tmp_path / "reach.json", folder / "inventory.yaml"
    trust.store(path, inventory, {"vault": ("is here",)})
    edit(path, '"version": 1', '"version": 2')
    assert trust.load(path, inventory) == Accepted({}, first=False)


def test_a_path_that_is_no_text_can_be_remembered(tmp_path):
    strange = Path(os.fsdecode(b"/srv/\xff/inventory.yaml"))
    trust.store(tmp_path / "reach.json", strange, {"vault": (f"is {strange}",)})
    assert trust.load(tmp_path / "reach.json", strange).reach == {"vault": (f"is {strange}",)}
    assert json.loads((tmp_path / "reach.json").read_bytes().decode(errors="surrogatepass"))["version"] == 1
