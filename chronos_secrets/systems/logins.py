"""Whether a host takes an SSH key: the system's own ssh is given that key, and no other.

The key goes from memory to an agent that lives only for the attempt; no file holds it. What else decides a connection
(address, user, known hosts, jumps) comes from ~/.ssh/config, as `ssh -G` resolves it.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chronos_secrets.errors import TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files, process
from chronos_secrets.systems.answers import CannotTell, NotHonoured, words
from chronos_secrets.systems.hosts import Ssh

TIMEOUT = 40.0  # seconds for an attempt
_LOCAL_TIMEOUT = 20.0  # seconds for what stays on this machine
_KEY_LIFE = "120"  # seconds after which an agent forgets the key, should nobody be left to end it
_ABROAD = 255  # ssh's own status
_BY_KEY = b'using "publickey"'

# What decides where a connection goes and how it is checked. Everything else, above all the keys, is ours.
_KEPT = frozenset({
    "hostname", "port", "user", "hostkeyalias", "addressfamily", "bindaddress", "bindinterface", "proxycommand",
    "userknownhostsfile", "globalknownhostsfile", "knownhostscommand", "checkhostip", "verifyhostkeydns",
    "revokedhostkeys", "ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms",
    "casignaturealgorithms", "requiredrsasize",
})  # fmt: skip
_OWN = """\
IdentityAgent "{folder}/agent"
IdentityFile "{folder}/key.pub"
IdentitiesOnly yes
PreferredAuthentications publickey
PubkeyAuthentication yes
"""


def try_key(alias: str, private_key: Secret) -> None:
    """Log in to a host of ~/.ssh/config with this key, and run `true` there.

    An account with a forced command runs that instead. Raises NotHonoured where the host refuses the key, CannotTell
    for a key that needs a passphrase or is none, TargetFailed where the host is away or is not the one that is known.
    """
    folder = Path(tempfile.mkdtemp(prefix="chronos-"))
    try:
        settings = _resolved(alias)
        with _agent(folder, private_key) as public:
            config = folder / "config"
            (folder / "key.pub").write_bytes(public)
            config.write_text("".join([*settings, _OWN.format(folder=folder)]), errors="surrogateescape")
            ssh, *rest = Ssh(alias, config=config).reach(("true",))
            ran = process.capture((ssh, "-o", "LogLevel=VERBOSE", *rest), timeout=TIMEOUT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if ran.status == _ABROAD:
        failure = Ssh(alias).refusal(ran)
        raise NotHonoured(f"{alias} does not take the key") if Ssh.denies(ran) else failure
    if _BY_KEY not in ran.err:
        raise CannotTell(f"{alias} lets this machine in without the key")


def address(alias: str) -> str:
    """The host name or address that ~/.ssh/config gives an alias. Raises TargetFailed."""
    return next(line.split(" ", 1)[1].strip() for line in _resolved(alias) if line.startswith("hostname "))


def _resolved(alias: str) -> list[str]:
    """The lines of a configuration that reaches `alias` without any other file. Raises TargetFailed."""
    ran = process.capture(("ssh", "-G", "--", alias), timeout=_LOCAL_TIMEOUT)
    if ran.status != 0:
        raise TargetFailed(f"ssh does not understand its configuration: {words(ran.err.decode(errors='replace'))}")
    found = []
    for line in ran.out.decode(errors="surrogateescape").splitlines():
        key, _, value = line.partition(" ")
        if key in _KEPT:
            found.append(f"{key} {value}\n")
        elif key == "proxyjump" and value != "none":
            found.append(f"proxycommand {_through(value)}\n")
    return found


def _through(jumps: str) -> str:
    """The command that carries a connection through the hosts of a ProxyJump, by the person's own configuration."""
    *before, last = jumps.split(",")
    earlier = f"-J {','.join(before)} " if before else ""
    return f"ssh -o BatchMode=yes {earlier}-W [%h]:%p {last}"


@contextmanager
def _agent(folder: Path, private_key: Secret) -> Iterator[bytes]:
    """An agent at folder/agent that holds one key, for the block; gives the public key. Raises CannotTell."""
    with _served(folder / "agent") as surroundings:
        added = process.capture(
            ("ssh-add", "-q", "-"), stdin=private_key.reveal_bytes(), environment=surroundings, timeout=_LOCAL_TIMEOUT
        )
        if added.status != 0:
            raise CannotTell("its private key has a passphrase, or is no key that ssh-add reads")
        yield process.capture(("ssh-add", "-L"), environment=surroundings, timeout=_LOCAL_TIMEOUT).out


@contextmanager
def _served(socket: Path) -> Iterator[dict[str, str]]:
    """An empty agent behind `socket`, for the block; gives what its clients have in their environment."""
    try:
        agent = subprocess.Popen(
            ("ssh-agent", "-D", "-t", _KEY_LIFE, "-a", str(socket)), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise TargetFailed(
            f"ssh-agent could not be started: {files.reason(error)}", hint="command -v ssh-agent"
        ) from error
    with agent:
        try:
            for _ in agent.stdout or ():  # it names its socket once that is there
                break
            yield {"SSH_AUTH_SOCK": str(socket), "SSH_ASKPASS_REQUIRE": "never", "DISPLAY": ""}
        finally:
            agent.terminate()
