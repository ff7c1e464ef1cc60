"""An SSH key of an account, replaced on a real sshd by editing authorized_keys over the key itself."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos_secrets.errors import ChronosError, Exit, Incomplete, Refused, TargetFailed
from chronos_secrets.inventory import load
from chronos_secrets.rotation import generate
from chronos_secrets.rotation.targets import ssh as targets
from chronos_secrets.rotation.targets.ssh import SshKey
from chronos_secrets.secret import Secret
from chronos_secrets.systems import logins
from chronos_secrets.systems.answers import CannotTell, NotHonoured
from tests.support import chronos
from tests.support.containers import Engine, require_root
from tests.support.programs import require
from tests.support.remote import ssh_by
from tests.support.sshd import Sshd
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("rotation-ssh")

SYNC = """\
real={real}
[ ! -e {folder}/meddle ] || [ ! -f "$1" ] || {{ cat {folder}/meddle >> {folder}/homes/deploy/.ssh/authorized_keys; }}
exec "$real" "$@"
"""


@pytest.fixture(scope="module")
def far() -> Iterator[Sshd]:
    require_root()
    folder = Path(tempfile.mkdtemp(prefix="far-", dir="/tmp"))
    folder.chmod(0o755)
    (folder / "programs").mkdir()
    engine = Engine(folder)  # for its busybox
    made = Sshd(folder, programs=folder / "programs")
    made._program("programs/sync", SYNC.format(real=require("sync"), folder=folder))
    yield made
    made.close()
    engine.close()
    shutil.rmtree(folder)


class Account:
    """An account of the server with a key of its own in .ssh/authorized_keys, among lines of others."""

    def __init__(self, far: Sshd, tmp_path: Path, name: str = "deploy", *, alias: str = "") -> None:
        self.far, self.name = far, name
        self.home = far.folder / "homes" / name
        self.old, self.new = (generate.ed25519() for _ in range(2))
        self.before = f'# kept\n\nrestrict,command="x" {generate.ed25519().public} a\n'.encode()
        self.own = b'from="127.0.0.1,::1",no-pty  %s the old one \n' % self.old.public.encode()
        self.after = f"cert-authority {generate.ed25519().public}\r\n\t#last".encode()
        self.alias = alias or name
        self.target = SshKey(self.alias)
        self.file = self.home / ".ssh" / "authorized_keys"
        for left in (self.file.parent, far.folder / "keys_of" / name):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        self.write(self.file, self.before + self.own + self.after, mode=0o640)

    def write(self, path: Path, content: bytes, mode: int = 0o600) -> None:
        """A file of the account."""
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700)
            shutil.chown(path.parent, self.home.stat().st_uid, self.home.stat().st_gid)
        path.write_bytes(content)
        path.chmod(mode)
        os.chown(path, self.home.stat().st_uid, self.home.stat().st_gid)

    @property
    def twin(self) -> bytes:
        return self.own.replace(self.old.public.encode(), self.new.public.encode())

    def honours(self, pair: generate.KeyPair) -> bool:
        try:
            logins.try_key(self.name, pair.private)
        except NotHonoured:
            return False
        return True

    @property
    def state(self) -> tuple[bool, bool]:
        """Whether the old and the new key are taken."""
        return self.honours(self.old), self.honours(self.new)

    def apply(self) -> None:
        self.target.apply(_values(self.new), _values(self.old))

    def deactivate(self) -> None:
        self.target.deactivate(_values(self.old), _values(self.new))

    @property
    def junk(self) -> list[str]:
        """What lies in .ssh besides the file."""
        return sorted({each.name for each in self.file.parent.iterdir()} - {"authorized_keys"})


def _values(pair: generate.KeyPair) -> dict[str, Secret]:
    return {"private_key": pair.private, "username": Secret("deploy")}


@pytest.fixture(autouse=True)
def _calls(far: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh_by(far.config, tmp_path / "bin", monkeypatch)


@pytest.fixture
def account(far: Sshd, tmp_path: Path) -> Account:
    return Account(far, tmp_path)


def test_a_key_is_replaced_and_every_other_byte_stays(account: Account):
    assert account.target.survey(_values(account.old)) == (account.old.fingerprint,)
    assert account.state == (True, False)
    account.apply()
    assert account.file.read_bytes() == account.before + account.own + account.twin + account.after + b"\n"
    assert account.state == (True, True)
    account.target.prove(_values(account.new))
    account.deactivate()
    assert account.file.read_bytes() == account.before + account.twin + account.after + b"\n"
    assert account.state == (False, True)
    status = account.file.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o640, account.home.stat().st_uid)
    assert account.junk == []


def test_each_step_may_run_twice(account: Account):
    for _ in range(2):
        account.apply()
    assert account.file.read_bytes().count(account.new.public.encode()) == 1
    for _ in range(2):
        account.deactivate()
    account.apply()
    assert account.file.read_bytes() == account.before + account.twin + account.after + b"\n"


def test_a_key_in_an_account_of_busybox_is_replaced(far: Sshd, tmp_path: Path):
    account = Account(far, tmp_path, "tiny")
    account.apply()
    account.deactivate()
    assert account.file.read_bytes() == account.before + account.twin + account.after + b"\n"


def test_a_rollback_brings_the_old_key_back_and_takes_the_new_one_away(account: Account):
    account.apply()
    account.deactivate()
    account.target.reactivate(_values(account.old), _values(account.new))
    account.target.prove(_values(account.old))
    account.target.deactivate(_values(account.new), _values(account.old))
    account.target.delete(_values(account.new), _values(account.old))
    assert account.state == (True, False)
    assert account.file.read_bytes() == account.before + account.own + account.after + b"\n"


def test_nobody_tells_when_a_key_was_used_and_a_rotation_does_not_ask(account: Account):
    assert not account.target.tells_use
    assert not account.target.last_use(_values(account.old)).known


def test_a_new_key_is_chosen_without_asking_the_host():
    made = SshKey("nowhere").issue(None, _values(generate.ed25519()), frozenset())  # type: ignore[arg-type]
    assert made["username"] == Secret("deploy")
    assert SshKey("nowhere").identifier(made) == generate.public(made["private_key"])[1]


def test_the_last_key_of_an_account_is_replaced_and_never_only_removed(account: Account):
    """Also where somebody put the old key into another file meanwhile."""
    account.apply()
    other = account.far.folder / "keys_of" / account.name
    account.write(other, account.old.public.encode())
    account.deactivate()
    assert other.read_bytes() == account.new.public.encode() + b"\n"
    assert account.state == (False, True)


# --- where the key stands ---------------------------------------------------------------------------------------------


def test_a_file_that_the_servers_configuration_names_is_found(account: Account):
    other = account.far.folder / "keys_of" / account.name
    account.write(other, account.own)
    account.write(account.file, account.before)
    account.apply()
    account.deactivate()
    assert (other.read_bytes(), account.file.read_bytes()) == (account.twin, account.before)


def test_a_key_in_two_files_is_replaced_in_both(account: Account):
    other = account.file.with_name("authorized_keys2")
    account.write(other, account.own)
    account.apply()
    account.deactivate()
    assert other.read_bytes() == account.twin
    assert account.file.read_bytes() == account.before + account.twin + account.after + b"\n"


def test_a_file_that_only_the_server_knows_is_said_before_anything_is_done(far: Sshd, tmp_path: Path):
    account = Account(far, tmp_path, "careful")
    (far.folder / "hidden_keys").write_bytes(account.own)
    account.write(account.file, account.before)
    with pytest.raises(Refused, match="no authorized_keys of careful holds the key SHA256:") as failed:
        account.target.survey(_values(account.old))
    assert failed.value.details == (f"looked at: {account.file}, {far.folder}/authorized_keys",)
    assert account.file.read_bytes() == account.before


def test_an_old_key_that_the_server_knows_from_elsewhere_is_proven_to_be_taken_still(far: Sshd, tmp_path: Path):
    account = Account(far, tmp_path, "careful")
    (far.folder / "hidden_keys").write_bytes(account.own)
    account.apply()
    with pytest.raises(TargetFailed, match=r"careful still lets the old key SHA256:\S+ in") as failed:
        account.deactivate()
    assert failed.value.hint == "ssh careful 'sudo sshd -T | grep -i authorized'    # where else sshd looks"
    (far.folder / "hidden_keys").unlink()
    account.deactivate()


def test_a_file_of_root_is_refused(far: Sshd, tmp_path: Path):
    account = Account(far, tmp_path)
    pair = (far.folder / "user_key").read_bytes()
    with pytest.raises(Refused, match=f"{far.folder} on deploy cannot be written to"):
        account.target.survey({"private_key": Secret(pair)})


def test_a_link_is_refused(account: Account):
    real = account.home / "keys"
    account.write(real, account.own)
    account.file.unlink()
    account.file.symlink_to(real)
    with pytest.raises(Refused, match="authorized_keys on deploy is a symbolic link"):
        account.target.survey(_values(account.old))
    with pytest.raises(Refused, match="is a symbolic link"):
        account.apply()
    assert real.read_bytes() == account.own


def test_a_folder_without_the_right_to_write_is_refused(account: Account):
    account.file.parent.chmod(0o500)
    with pytest.raises(Refused, match=r"\.ssh on deploy cannot be written to"):
        account.target.survey(_values(account.old))
    with pytest.raises(TargetFailed, match=r"cannot be written: .* the old file is as it was"):
        account.apply()
    assert account.file.read_bytes() == account.before + account.own + account.after


def test_a_key_that_may_run_one_command_cannot_edit_anything(account: Account):
    account.write(account.file, b'command="echo no" ' + account.old.public.encode() + b"\n")
    before = account.file.read_bytes()
    for step in (lambda: account.target.survey(_values(account.old)), account.apply):
        with pytest.raises(TargetFailed, match="deploy runs no command for us") as failed:
            step()
        assert failed.value.exit == Exit.TARGET
        assert "/.chronos" not in f"{failed.value.message}{failed.value.hint}", "a person cannot use our own files"
    assert account.file.read_bytes() == before


# --- hosts that are away, and connections that break ------------------------------------------------------------------


def test_a_key_that_is_not_taken_is_not_proven(account: Account):
    with pytest.raises(Incomplete, match="deploy does not take the key that is to be used from now on"):
        account.target.prove(_values(account.new))
    with pytest.raises(NotHonoured, match="deploy does not take the key"):
        account.target.apply(_values(account.new), _values(generate.ed25519()))
    with pytest.raises(NotHonoured):
        account.deactivate()
    assert account.file.read_bytes() == account.before + account.own + account.after


def test_a_host_that_lets_everybody_in_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "always").mkdir()
    (tmp_path / "always" / "ssh").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "always" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/always:{os.environ['PATH']}")
    with pytest.raises(Refused, match="lets this machine in without the key"):
        SshKey("far").survey(_values(generate.ed25519()))
    with pytest.raises(CannotTell):
        SshKey("far").prove(_values(generate.ed25519()))


@pytest.mark.parametrize(
    ("alias", "why"),
    [
        ("away", "away cannot be reached"),
        ("unknown", "the host key of unknown is not known on this machine"),
        ("changed", "the host key of changed is not the one this machine knows"),
    ],
)
def test_a_host_that_is_away_or_another_one_is_said(far: Sshd, tmp_path: Path, alias: str, why: str):
    account = Account(far, tmp_path, alias=alias)
    for step in (lambda: account.target.survey(_values(account.old)), account.apply, account.deactivate):
        with pytest.raises(TargetFailed, match=why) as failed:
            step()
        assert failed.value.exit == Exit.TARGET
    assert account.file.read_bytes() == account.before + account.own + account.after


@pytest.mark.parametrize(
    ("direction", "moments"),
    [("CUT_THERE", range(2500, 10_500, 1500)), ("CUT_BACK", range(2500, 7000, 750))],
)
def test_a_connection_that_is_cut_anywhere_leaves_a_whole_file_and_the_next_run_goes_on(
    far: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direction: str, moments: range
):
    account, seen = Account(far, tmp_path, alias="cut"), set()
    before = account.file.read_bytes()
    after = account.before + account.own + account.twin + account.after + b"\n"
    for moment in moments:
        account.write(account.file, before, mode=0o640)
        monkeypatch.setenv(direction, str(moment))
        said: ChronosError | None = None
        try:
            account.apply()
        except (TargetFailed, Incomplete) as error:
            said = error
        until(lambda: not account.junk, "the host has not noticed")
        found = account.file.read_bytes()
        assert found in {None: [after], Exit.TARGET: [before], Exit.INCOMPLETE: [before, after]}[said and said.exit]
        seen.add(said and said.exit)
        monkeypatch.delenv(direction)
        account.apply()
        assert account.file.read_bytes() == after
    assert {None, Exit.TARGET} <= seen, seen


def test_what_somebody_else_writes_meanwhile_is_kept(account: Account):
    """As an agent of a cloud does, which puts its own keys there."""
    (account.far.folder / "meddle").write_bytes(b"# somebody else's\n")
    try:
        with pytest.raises(Incomplete, match="was changed by somebody else meanwhile") as failed:
            account.apply()
    finally:
        (account.far.folder / "meddle").unlink()
    assert failed.value.exit == Exit.INCOMPLETE
    theirs = account.before + account.own + account.after + b"# somebody else's\n"
    assert account.file.read_bytes() == theirs
    assert account.junk == []
    account.apply()
    assert account.file.read_bytes() == theirs.replace(account.own, account.own + account.twin)


# --- what is left behind ----------------------------------------------------------------------------------------------

_HOLD = """\
import sys
from chronos_secrets.secret import Secret
from chronos_secrets.systems import logins
with logins.session("deploy", Secret(sys.stdin.buffer.read())) as host:
    print(*host.reach(("true",)), flush=True)
    while True:
        sys.stdout.flush()
        __import__("signal").pause()
"""


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for temporary ones whose path is short enough for a socket, and where no other test removes anything."""
    folder = Path(tempfile.mkdtemp(prefix="tmp-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def test_a_run_that_is_killed_leaves_no_agent_and_the_next_one_removes_its_folder(
    account: Account, short: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    monkeypatch.setenv("TMPDIR", str(short))
    child = subprocess.Popen((sys.executable, "-c", _HOLD), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin
    assert child.stdout
    child.stdin.write(account.old.private.reveal_bytes())
    child.stdin.close()
    words = child.stdout.readline().decode().split()
    folder = Path(words[words.index("-F") + 1]).parent
    assert _agents(folder)
    assert account.old.private.reveal_bytes() not in b"".join(
        each.read_bytes() for each in folder.iterdir() if each.is_file()
    )
    logins.try_key("deploy", account.old.private)
    assert folder.exists(), "it is in use"
    child.send_signal(signal.SIGKILL)
    child.wait(60)
    child.stdout.close()
    until(lambda: not _agents(folder), "the agent outlives its run")
    logins.try_key("deploy", account.old.private)
    assert not folder.exists()


def test_a_machine_without_an_agent_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "few").mkdir()
    for name in ("ssh", "sh", "cat"):
        (tmp_path / "few" / name).symlink_to(require(name))
    monkeypatch.setenv("PATH", str(tmp_path / "few"))
    with pytest.raises(TargetFailed, match="ssh-agent could not be started") as failed:
        logins.try_key("deploy", generate.ed25519().private)
    assert failed.value.hint == "command -v ssh-agent"


def _agents(folder: Path) -> list[str]:
    """The processes that have a file of the folder in their command line."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = each.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found += [line] if str(folder) in line else []
    return found


def test_a_row_becomes_a_target():
    inventory = load.read(chronos.INVENTORY)
    row = inventory.credentials["ssh-lightsail"]
    made = targets.target(inventory, row)
    assert made.name == "the SSH key of chronos-prod-db"
    assert (made.replaces, made.issues, made.overlaps, made.soaks) == (("private_key",), False, True, False)
    with pytest.raises(Refused, match="its target names no host that is reached by ssh"):
        targets.target(inventory, row._replace(target=None))
