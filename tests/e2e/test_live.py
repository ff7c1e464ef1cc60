"""`check --live`: each credential is tried where it is honoured. The targets are real, but for AWS and Atlassian."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from chronos_secrets.errors import Exit
from chronos_secrets.review import live
from chronos_secrets.review.live import Tried
from chronos_secrets.secret import Secret
from chronos_secrets.systems import forward
from chronos_secrets.systems.hosts import Ssh
from chronos_secrets.vault.entries import Attribute
from tests.support import chronos
from tests.support.commands import Aviary
from tests.support.programs import require
from tests.support.remote import ssh_by
from tests.support.sshd import Sshd
from tests.support.targets import REGION, SITE, Database, Site, Sts, database, free_port, no_proxy
from tests.support.vaults import NOW

pytestmark = pytest.mark.xdist_group("live")

WORKS, REFUSED, AWAY, UNTRIED = live.WORKS, live.REFUSED, live.AWAY, live.UNTRIED
CLOUD = """\
cloud:
  provider: aws
  region: {region}
  endpoint: {endpoint}
  account: {{credential: root, field: account_id}}
  user: {{name: writer, policy: write-backups, prefixes: [backups/]}}
  bucket: {{name: birds-backups}}
"""
POSTGRES = """\
postgres:
  host: {host}
  port: {port}
  database: {database}
  role: wren
  data: /var/lib/postgresql/data
"""
TASK = """\
tasks:
  valid: {title: All is valid, every: 3 months, from: 2025-01-01, run: [check, --live]}
"""


class Nest(Aviary):
    """A project where nothing can be tried before a test says so: no credential has a target."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.edit("target: {host: far}, ", "")
        self.edit(self.inventory.read_text().splitlines()[-1] + "\n", "")  # the ssh-config needs that target

    def add(self, text: str) -> None:
        self.inventory.write_text(self.inventory.read_text() + text)

    @property
    def hidden_values(self) -> list[str]:
        """What no output may hold; who a credential belongs to is no secret."""
        told = ("username", "access_key_id", "account_id", "url")
        return [value for name, value in self.values.items() if not name.endswith(told)]

    def live(self, *words: str) -> tuple[int, dict[str, tuple[str, str]]]:
        """The exit status, and by credential its result and why; nobody may have seen a value."""
        done = self.run("check", "--live", "--json", *words)
        assert not [value for value in self.hidden_values if value in done.text]
        assert done.out, done.err
        told = json.loads(done.out)
        assert told["findings"] == []
        return done.status, {each["credential"]: (each["result"], each["message"]) for each in told["live"]}

    def cloud(self, account: str = Sts.account, endpoint: str = f"s3.{REGION}.amazonaws.com") -> None:
        """Where AWS is asked."""
        self.edit(
            'title: AWS, entry: AWS/Writer, never: "a toy"',
            'title: AWS, entry: AWS/Writer, never: "a toy", target: {iam_user: writer}',
        )
        self.edit(
            "destinations:\n",
            '  root: {kind: account, title: R, entry: AWS/Root, never: "a toy", fields: {account_id: "attr:Number"}}\ndestinations:\n',
        )
        self.add(CLOUD.format(region=REGION, endpoint=endpoint))
        self.remake_vault(root__account_id=account)

    def database(self, port: int, *, host: str = "local", database: str = "birds", connect: str = "") -> None:
        """Where the database is."""
        self.add(
            POSTGRES.format(host=host, port=port, database=database) + (f"  connect: {connect}\n" if connect else "")
        )

    def host(self) -> None:
        """The key is honoured at far-away."""
        self.edit("fields: {address: URL}, ", "fields: {address: URL}, target: {host: far}, ")
        self.remake_vault(key__private_key=chronos.private_key())

    def site(self) -> None:
        """The token is one of Atlassian."""
        self.edit(
            'entry: Third-Party/Jira, never: "a toy"',
            'entry: Third-Party/Jira, never: "a toy", target: {check: atlassian}',
        )


@pytest.fixture
def nest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nest:
    no_proxy(monkeypatch)
    (tmp_path / "ssh_config").write_text("Host *\n  HostName 127.0.0.1\n")
    monkeypatch.setattr(tempfile, "tempdir", tempfile.mkdtemp(prefix="live-", dir="/tmp"))
    return Nest(tmp_path)


@pytest.fixture(autouse=True)
def _tidy(request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing of an attempt is left: no file, no agent."""
    yield
    if tempfile.tempdir and Path(tempfile.tempdir).name.startswith("live-"):
        folder = Path(tempfile.tempdir)
        assert not list(folder.iterdir())
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert str(folder).encode() not in process.read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
        folder.rmdir()


@pytest.fixture(scope="module")
def birds() -> Iterator[Database]:
    with database() as made:
        yield made


@pytest.fixture(scope="module")
def far() -> Iterator[Sshd]:
    """A host that far-away leads to when `reach` says so."""
    folder = Path(tempfile.mkdtemp(prefix="live-sshd-", dir="/tmp"))
    folder.chmod(0o755)
    made = Sshd(folder, programs=folder)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def moto() -> Iterator[Sts]:
    made = Sts()
    yield made
    made.close()


@pytest.fixture
def sts(moto: Sts, monkeypatch: pytest.MonkeyPatch) -> Sts:
    """AWS is asked there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto.url)
    return moto


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
    monkeypatch.setenv("HTTPS_PROXY", made.proxy)
    yield made
    made.close()


@pytest.fixture
def reach(tmp_path: Path, far: Sshd, monkeypatch: pytest.MonkeyPatch) -> "Reach":
    return Reach(tmp_path, far, monkeypatch)


class Reach(NamedTuple):
    folder: Path
    far: Sshd
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *settings: str) -> None:
        """Let far-away be the server, with settings of ssh_config before those that reach it."""
        lines = "".join(f"    {each}\n" for each in ("User deploy", *settings))
        config = self.folder / "client_config"
        config.write_text(f"Host far-away\n{lines}Match all\n    Include {self.far.config}\n")
        if not (self.folder / "bin").exists():
            ssh_by(config, self.folder / "bin", self.monkeypatch)

    @property
    def own_key(self) -> str:
        """A key that the server knows."""
        return (self.far.folder / "user_key").read_text()


def _role(birds: Database, nest: Nest, *, known: bool = True) -> None:
    """Make the database know the role of the vault, with the vault's password or another."""
    name = f"wren{os.urandom(4).hex()}"
    nest.remake_vault(db__username=name)
    birds.role(name, nest.values["db.password"] if known else "another")


def _program(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of this name that comes first in PATH."""
    (folder / "programs").mkdir()
    (folder / "programs" / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / "programs" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}/programs:{os.environ['PATH']}")


# --- all of it --------------------------------------------------------------------------------------------------------


def test_what_works_is_said_recorded_and_ticks_the_task(
    nest: Nest, birds: Database, reach: Reach, sts: Sts, site: Site
):
    reach()
    nest.cloud()
    nest.host()
    nest.site()
    nest.database(birds.port)
    nest.add(TASK)
    key_id, secret = sts.key_of("writer")
    nest.remake_vault(
        aws__access_key_id=key_id, aws__secret_access_key=secret, key__private_key=reach.own_key,
        jira__token=site.token, jira__username=site.username, jira__url=f"https://{SITE}/wiki",
    )  # fmt: skip
    _role(birds, nest)
    done = nest.run("check", "--live")
    assert done.status == 0, done.text
    assert done.out == (
        "CREDENTIAL  RESULT  WHY\n"
        "db          works   the database birds lets it in\n"
        f"jira        works   {SITE} takes it\n"
        "aws         works   AWS takes it for writer\n"
        "key         works   far-away lets it in\n"
    )
    assert "nothing is wrong\n" in done.err
    assert done.err.endswith("cannot be tried: cipher, root\n")
    assert not [value for value in nest.hidden_values if value in done.text]
    history = nest.run("history", "--json")
    told = [(e["what"], e["subject"], e["detail"]) for e in json.loads(history.out)["events"]]
    assert told[-5:-1] == [("check-live", each, {"result": "works"}) for each in ("db", "jira", "aws", "key")]
    assert told[-1][:2] == ("done", "valid")
    log = (nest.state / "history.jsonl").read_text()
    assert not [value for value in nest.hidden_values if value in log]


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([], Exit.OK),
        ([WORKS, UNTRIED], Exit.OK),
        ([WORKS, AWAY], Exit.TARGET),
        ([AWAY, REFUSED, WORKS], Exit.NO),
    ],
)
def test_a_refusal_counts_more_than_a_target_that_is_away(results: list[str], status: Exit):
    assert live.status([Tried("one", each, "", None) for each in results]) == status


def test_where_nothing_can_be_tried_that_is_said(nest: Nest):
    status, told = nest.live()
    assert status == 0
    assert told == {
        "db": (UNTRIED, "the inventory has no section postgres, which says where the database is"),
        "aws": (UNTRIED, "the inventory has no section cloud, which says where AWS is asked"),
        "key": (UNTRIED, "its target names no host that is reached by ssh"),
    }
    assert not [line for line in nest.run("history").out.splitlines() if "check-live" in line]


def test_a_finding_is_a_no_even_where_everything_works(nest: Nest):
    nest.edit("entry: Database/Cipher", "entry: Database/Nowhere")
    assert nest.run("check", "--live").status == 1


def test_live_and_offline_exclude_each_other(nest: Nest):
    done = nest.run("check", "--live", "--offline")
    assert done.status == 2
    assert "--live takes values from the vault, which --offline leaves closed" in done.err


def test_a_pushed_change_of_a_host_is_asked_about_before_the_password_is(nest: Nest):
    nest.host()
    assert nest.run("check", "--live").status in (0, 7)
    nest.trusting = False
    nest.edit("ssh: far-away", "ssh: elsewhere")
    done = nest.run("check", "--live", locked=True)
    assert done.status == 5
    assert "host far is elsewhere of ~/.ssh/config" in done.err


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def test_a_password_that_the_database_does_not_know_is_refused(nest: Nest, birds: Database):
    nest.database(birds.port)
    _role(birds, nest, known=False)
    status, told = nest.live()
    assert status == 1
    result, why = told["db"]
    assert result == REFUSED
    assert why.startswith("PostgreSQL does not take it: FATAL: password authentication failed for user")


def test_a_database_that_is_not_there_is_away(nest: Nest):
    nest.database(free_port())
    status, told = nest.live()
    assert status == 7
    assert told["db"] == (AWAY, "PostgreSQL cannot be reached: Connection refused")


def test_a_role_without_its_database_is_refused(nest: Nest, birds: Database):
    nest.database(birds.port, database="nowhere")
    _role(birds, nest)
    status, told = nest.live()
    assert (status, told["db"]) == (
        1,
        (REFUSED, 'PostgreSQL does not take it: FATAL: database "nowhere" does not exist'),
    )


@pytest.mark.parametrize(
    ("role", "why"),
    [
        ("anybody", "the server does not check the password by SCRAM: server did not complete authentication"),
        ("plain", "the server does not check the password by SCRAM: server requested a cleartext password"),
        ("barred", "the server does not let this machine in: FATAL: pg_hba.conf rejects connection"),
    ],
)
def test_a_server_that_does_not_check_the_password_proves_nothing_and_is_not_given_it(
    nest: Nest, birds: Database, role: str, why: str
):
    nest.database(birds.port)
    nest.remake_vault(db__username=role)
    status, told = nest.live()
    assert status == 0
    assert told["db"][0] == UNTRIED
    assert told["db"][1].startswith(why)


def test_a_database_behind_ssh_is_reached_through_it(nest: Nest, birds: Database, reach: Reach):
    reach()
    nest.edit("hosts:\n", "hosts:\n  db-box: {in: far, container: birds-db}\n")
    nest.database(5432, host="db-box", connect=f"{{via: ssh-forward, port: {birds.port}}}")
    _role(birds, nest)
    status, told = nest.live()
    assert (status, told["db"]) == (0, (WORKS, "the database birds lets it in"))


def test_a_forward_that_ends_nowhere_and_a_host_that_is_not_known_are_said_with_what_to_do(nest: Nest, reach: Reach):
    port = free_port()
    nest.database(5432, host="far", connect=f"{{via: ssh-forward, port: {port}}}")
    reach()
    status, told = nest.live()
    assert (status, told["db"]) == (7, (AWAY, f"nothing answers at port {port} of far-away's own loopback"))
    reach("UserKnownHostsFile /dev/null")
    status, told = nest.live()
    assert (status, told["db"]) == (7, (AWAY, "the host key of far-away is not known on this machine"))
    assert "\nhint for db: ssh far-away    # answer yes only if" in nest.run("check", "--live").err


def test_a_forward_that_nobody_uses_starts_no_ssh(monkeypatch: pytest.MonkeyPatch):
    """Nor one that is ended at once, which no look at the machine would tell."""
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *given, **_: started.append(given))
    with forward.forwarded(Ssh("far-away"), 5432, name="nobody") as folder:
        assert [each.name for each in folder.iterdir()] == ["nobody"]
    assert not folder.exists()
    assert not started


def test_a_database_that_is_reached_straight_is_where_ssh_says_the_host_is(nest: Nest, birds: Database, reach: Reach):
    reach("HostName 127.0.0.1")
    nest.database(5432, host="far", connect=f"{{via: direct, port: {birds.port}}}")
    _role(birds, nest)
    assert nest.live() == (0, nest.live()[1] | {"db": (WORKS, "the database birds lets it in")})


def test_a_database_elsewhere_that_nobody_said_how_to_reach_is_not_tried(nest: Nest):
    nest.database(5432, host="far")
    done = nest.run("check", "--live", "--json")
    (told,) = (each for each in json.loads(done.out)["live"] if each["credential"] == "db")
    assert told["result"] == UNTRIED
    assert "connect: {via: ssh-forward}" in told["fix"]


# --- SSH --------------------------------------------------------------------------------------------------------------


def test_a_key_that_the_host_does_not_know_is_refused_though_the_persons_own_gets_in(nest: Nest, reach: Reach):
    reach()
    assert subprocess.run(("ssh", "-o", "BatchMode=yes", "far-away", "true"), check=False).returncode == 0
    nest.host()
    status, told = nest.live()
    assert (status, told["key"]) == (1, (REFUSED, "far-away does not take the key"))


def test_a_key_of_the_persons_own_agent_is_not_tried(nest: Nest, reach: Reach, monkeypatch: pytest.MonkeyPatch):
    reach("IdentityAgent SSH_AUTH_SOCK")
    folder = Path(tempfile.mkdtemp(prefix="own-", dir="/tmp"))
    agent = subprocess.Popen((require("ssh-agent"), "-D", "-a", folder / "agent"), stdout=subprocess.PIPE)
    assert agent.stdout
    agent.stdout.readline()
    monkeypatch.setenv("SSH_AUTH_SOCK", str(folder / "agent"))
    try:
        subprocess.run(("ssh-add", "-q", reach.far.folder / "user_key"), check=True)
        nest.host()
        assert nest.live()[1]["key"][0] == REFUSED
    finally:
        agent.terminate()
        agent.wait(20)
        agent.stdout.close()
        shutil.rmtree(folder)


def test_an_account_that_may_run_nothing_still_takes_the_key(nest: Nest, reach: Reach):
    reach()
    (nest.root / "client_config").write_text((nest.root / "client_config").read_text().replace("deploy", "barred"))
    nest.host()
    nest.remake_vault(key__private_key=reach.own_key)
    assert nest.live()[1]["key"] == (WORKS, "far-away lets it in")


def test_a_host_behind_a_jump_is_reached_by_the_persons_own_configuration(nest: Nest, reach: Reach):
    nest.host()
    nest.remake_vault(key__private_key=reach.own_key)
    direct = f"HostName 127.0.0.1\n    Port {reach.far.port}"
    reach("ProxyJump deploy", direct)
    assert nest.live()[1]["key"] == (WORKS, "far-away lets it in")
    reach("ProxyJump away", direct)
    assert nest.live()[1]["key"][0] == AWAY
    reach("ProxyJump refused", direct)
    status, told = nest.live()
    assert (status, told["key"][0]) == (7, AWAY)
    assert told["key"][1].startswith("far-away cannot be reached: deploy@127.0.0.1: Permission denied (publickey)")


def test_a_host_that_lets_everybody_in_proves_nothing(nest: Nest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As some networks do, which know who calls. The ssh here is a script that always succeeds."""
    nest.host()
    _program(tmp_path, "ssh", "true", monkeypatch)
    status, told = nest.live()
    assert (status, told["key"]) == (0, (UNTRIED, "far-away lets this machine in without the key"))


def test_a_host_that_is_away_is_no_refusal(nest: Nest, reach: Reach):
    reach(f"Port {free_port()}")
    nest.host()
    status, told = nest.live()
    assert status == 7
    assert told["key"][0] == AWAY
    assert told["key"][1].startswith("far-away cannot be reached: ")


def test_a_key_with_a_passphrase_is_not_tried_and_nobody_is_asked(nest: Nest, reach: Reach):
    reach()
    nest.host()
    nest.remake_vault(key__private_key=(reach.far.folder / "locked_key").read_text())
    status, told = nest.live()
    assert (status, told["key"]) == (
        0, (UNTRIED, "its private key has a passphrase, or is no key that ssh-add reads")
    )  # fmt: skip


# --- AWS --------------------------------------------------------------------------------------------------------------


def test_a_key_that_aws_does_not_know_and_one_that_does_not_fit_its_secret_are_refused(nest: Nest, sts: Sts):
    nest.cloud()
    key_id, _ = sts.key_of(f"u{os.urandom(4).hex()}")
    nest.remake_vault(aws__access_key_id="AKIA" + "Z" * 16)
    status, told = nest.live()
    assert (status, told["aws"][0]) == (1, REFUSED)
    assert "InvalidClientTokenId" in told["aws"][1]
    nest.remake_vault(aws__access_key_id=key_id)
    status, told = nest.live()
    assert (status, told["aws"][0]) == (1, REFUSED)
    assert "SignatureDoesNotMatch" in told["aws"][1]


def test_a_key_of_somebody_else_is_a_no(nest: Nest, sts: Sts):
    nest.cloud()
    key_id, secret = sts.key_of("somebody")
    nest.remake_vault(aws__access_key_id=key_id, aws__secret_access_key=secret)
    status, told = nest.live()
    assert (status, told["aws"]) == (1, (REFUSED, "the key is one of somebody, not of writer"))


def test_a_key_of_another_account_is_a_no(nest: Nest, sts: Sts):
    nest.cloud(account="999999999999")
    nest.edit("iam_user: writer", "iam_user: scribe")
    key_id, secret = sts.key_of("scribe")
    nest.remake_vault(aws__access_key_id=key_id, aws__secret_access_key=secret)
    status, told = nest.live()
    assert (status, told["aws"]) == (1, (REFUSED, "the key is of another account than root says"))


def test_what_is_no_access_key_id_is_never_sent(nest: Nest):
    nest.cloud(endpoint="localhost")
    nest.remake_vault(aws__access_key_id="with a\nline")
    status, told = nest.live()
    assert (status, told["aws"][0]) == (1, REFUSED)


@pytest.mark.parametrize(
    ("answer", "body", "result"),
    [
        ("403 Forbidden", "", AWAY),
        ("403 Forbidden", "InvalidAccessKeyId", REFUSED),  # the form of S3, which SeaweedFS's STS has, too
        ("403 Forbidden", "SignatureDoesNotMatch|Signature expired: 1 is now earlier than 2", UNTRIED),
        ("403 Forbidden", "RegionDisabledException|STS is not activated in this region", AWAY),
        ("400 Bad", "Throttling|Rate exceeded", AWAY),
        ("500 Broken", "", AWAY),
    ],
)
def test_what_sts_answers_means_what_it_says(
    nest: Nest, monkeypatch: pytest.MonkeyPatch, answer: str, body: str, result: str
):
    code, parted, message = body.partition("|")
    xml = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>" if code else ""
    xml = f"<ErrorResponse>{xml}</ErrorResponse>" if parted else xml
    nest.cloud()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{listener.getsockname()[1]}")
        serving = threading.Thread(target=_answer_all, args=(listener, answer, xml.encode()), daemon=True)
        serving.start()
        _, told = nest.live()
        with socket.create_connection(listener.getsockname()):
            pass
        serving.join(20)
    assert told["aws"][0] == result, told["aws"]


def _answer_all(listener: socket.socket, answer: str, body: bytes) -> None:
    """Answer every request the same, until somebody connects and says nothing."""
    while True:
        talk, _ = listener.accept()
        with talk:
            if not talk.recv(65536):
                return
            head = f"HTTP/1.1 {answer}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            talk.sendall(head.encode() + body)


def test_a_storage_that_is_not_amazons_is_asked_itself(nest: Nest):
    nest.cloud(endpoint="storage.invalid")
    status, told = nest.live()
    assert status == 7
    assert told["aws"][0] == AWAY
    assert "https://storage.invalid" in told["aws"][1]


# --- Atlassian --------------------------------------------------------------------------------------------------------


@pytest.fixture
def tokened(nest: Nest, site: Site) -> Nest:
    nest.site()
    nest.remake_vault(jira__token=site.token, jira__username=site.username, jira__url=f"https://{SITE}")
    return nest


def test_a_token_that_the_site_does_not_know_is_refused(tokened: Nest, site: Site):
    tokened.remake_vault(jira__token="canary-of-nobody")
    status, told = tokened.live()
    assert (status, told["jira"]) == (1, (REFUSED, f"{SITE} does not take the token for this user name"))


def test_a_site_with_confluence_alone_is_asked_there(tokened: Nest, site: Site):
    site.answers["/rest/api/3/myself"] = (404, "X-A: b", b"")
    assert tokened.live()[1]["jira"][0] == WORKS
    assert site.asked == [(f"{SITE}:443", "/rest/api/3/myself"), (f"{SITE}:443", "/wiki/rest/api/user/current")]


@pytest.mark.parametrize(
    ("answer", "result", "status"),
    [
        ((302, "Location: https://elsewhere.example/", b""), UNTRIED, 0),
        ((200, "X-A: b", b"<html>please log in</html>"), UNTRIED, 0),
        ((403, "X-A: b", b""), UNTRIED, 0),
        ((429, "Retry-After: 9", b""), AWAY, 7),
        ((503, "X-A: b", b""), AWAY, 7),
    ],
)
def test_what_is_no_answer_about_the_token_is_neither_yes_nor_no(
    tokened: Nest, site: Site, answer: tuple[int, str, bytes], result: str, status: int
):
    site.answers["/rest/api/3/myself"] = answer
    ended, told = tokened.live()
    assert (ended, told["jira"][0]) == (status, result)
    assert [host for host, _ in site.asked] == [f"{SITE}:443"]


@pytest.mark.parametrize(
    "url",
    ["https://elsewhere.example", f"http://{SITE}", f"https://{SITE}.elsewhere.example", f"https://x@elsewhere/{SITE}",
     f"https://{SITE}:8443", "https://[", "https://atlassian.net"],
)  # fmt: skip
def test_a_token_is_sent_to_atlassians_cloud_alone(tokened: Nest, site: Site, url: str):
    tokened.remake_vault(jira__url=url)
    status, told = tokened.live()
    assert (status, told["jira"][0]) == (0, UNTRIED)
    assert site.asked == []


def test_a_site_that_cannot_prove_who_it_is_gets_no_token(tokened: Nest, site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    status, told = tokened.live()
    assert (status, told["jira"][0]) == (7, AWAY)
    assert "certificate" in told["jira"][1].lower()
    assert site.asked == []


def test_a_site_that_cannot_be_reached_is_away(tokened: Nest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    status, told = tokened.live()
    assert (status, told["jira"]) == (7, (AWAY, f"{SITE} cannot be reached: connection refused"))


def test_an_empty_field_is_nothing_that_can_be_tried(tokened: Nest, site: Site):
    with tokened.opened() as vault:
        entry = vault.entries.at(("Third-Party", "Jira"))
        assert entry
        vault.entries.change(entry, now=NOW, fields={"URL": Attribute(Secret(""), protected=False)})
    status, told = tokened.live()
    assert (status, told["jira"]) == (0, (UNTRIED, "jira: the field url is empty in the vault"))
    assert site.asked == []
