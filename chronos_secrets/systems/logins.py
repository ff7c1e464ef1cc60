"""Whether a host takes an SSH key, and what runs there over that key: the system's own ssh is given it, and no other.

The key goes from memory to an agent that lives only for the block; no file holds it. What else decides a connection
(address, user, known hosts, jumps) comes from ~/.ssh/config, as `ssh -G` resolves it.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from chronos_secrets.errors import TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files, process
from chronos_secrets.systems.answers import CannotTell, NotHonoured, words
from chronos_secrets.systems.hosts import Ran, Ssh

TIMEOUT = 40.0  # seconds for an attempt
_LOCAL_TIMEOUT = 20.0  # seconds for what stays on this machine
_KEY_LIFE = "900"  # seconds after which an agent forgets the key, whatever happens
_ABROAD = 255  # ssh's own status
_BY_KEY = b'using "publickey"'
# The agent that says where it is, for as long as the input is open: it never outlives us, however we end.
_AGENT = 'ssh-agent -D -t "$1" -a "$2" & agent=$!; exec >/dev/null; cat; kill "$agent"; wait "$agent"'

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
    with session(alias, private_key) as host:
        ssh, *rest = host.reach(("true",))
        ran = process.capture((ssh, "-o", "LogLevel=VERBOSE", *rest), timeout=TIMEOUT)
        if ran.status == _ABROAD:
            raise host.refusal(ran)
    if _BY_KEY not in ran.err:
        raise CannotTell(f"{alias} lets this machine in without the key")


@contextmanager
def session(alias: str, private_key: Secret) -> Iterator[Ssh]:
    """A host of ~/.ssh/config, for the block, where everything runs over this key alone, and without sudo.

    What runs raises NotHonoured where the host refuses the key. Raises CannotTell for a key with a passphrase or none.
    """
    with files.scratch() as folder:
        settings = _resolved(alias)
        with _agent(folder, private_key) as public:
            config = folder / "config"
            (folder / "key.pub").write_bytes(public)
            config.write_text("".join([*settings, _OWN.format(folder=folder)]), errors="surrogateescape")
            yield _OverKey(alias, config)


class _OverKey(Ssh):
    """A host as a private configuration reaches it; a person pastes commands that use their own."""

    def __init__(self, alias: str, config: Path) -> None:
        super().__init__(alias, config=config)
        self._for_a_person = Ssh(alias)

    def paste(self, argv: Sequence[str], *, account: str | None = None) -> str:
        """See Host.paste."""
        return self._for_a_person.paste(argv, account=account)

    def refusal(self, tried: Ran) -> TargetFailed:
        """See Remote.refusal."""
        if Ssh.denies(tried):
            return NotHonoured(f"{self.name} does not take the key")
        return self._for_a_person.refusal(tried)


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
    with subprocess.Popen(
        ("sh", "-c", _AGENT, "sh", _KEY_LIFE, str(socket)), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as agent:  # fmt: skip
        assert agent.stdout  # noqa: S101  # for the type checker
        if not agent.stdout.readline():  # it names its socket once that is there
            raise TargetFailed("ssh-agent could not be started", hint="command -v ssh-agent")
        yield {"SSH_AUTH_SOCK": str(socket), "SSH_ASKPASS_REQUIRE": "never", "DISPLAY": ""}
