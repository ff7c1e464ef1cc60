"""An SSH key of an account: a line in its authorized_keys, which the account edits itself.

The new key is allowed beside the old one, over a session of the old one; the old one is removed over a session that
the new one opened. Other keys of the account are none of ours: a cloud's own stays.
"""

from typing import TYPE_CHECKING

from chronos_secrets.errors import Incomplete, Refused, TargetFailed
from chronos_secrets.inventory.model import Credential, Inventory
from chronos_secrets.rotation.journal import Journal
from chronos_secrets.rotation.target import LastUse, Material, Target
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import CannotTell, NotHonoured

if TYPE_CHECKING:
    from chronos_secrets.systems.authorized import PublicKey


def target(inventory: Inventory, row: Credential) -> "SshKey":
    """The target of a row of kind ssh-key. Raises Refused."""
    host = inventory.hosts.get(row.target.host) if row.target and row.target.host else None
    if host is None or host.ssh is None:
        raise Refused(
            f"{row.id} cannot be rotated: its target names no host that is reached by ssh",
            hint=f"in inventory.yaml, in the row {row.id}: target: {{host: ...}}",
        )
    return SshKey(host.ssh)


def _public(private: Secret) -> "PublicKey":
    from chronos_secrets.rotation import generate
    from chronos_secrets.systems import authorized

    return authorized.PublicKey.read(generate.public(private)[0])


class SshKey(Target):
    """A key that opens the account of a host of ~/.ssh/config."""

    replaces = ("private_key",)
    issues, overlaps, soaks = False, True, False
    tells_use = False  # a host tells it, if at all, in a log that only root may read

    def __init__(self, alias: str) -> None:
        self.name = f"the SSH key of {alias}"
        self._alias = alias

    def identifier(self, material: Material) -> str:
        """See Target: the fingerprint. Raises Refused for a key with a passphrase."""
        from chronos_secrets.rotation import generate

        return generate.public(material["private_key"])[1]

    def survey(self, current: Material) -> tuple[str, ...]:
        """See Target. Only the current key is looked for: an account may have others."""
        from chronos_secrets.systems import authorized, logins

        key = current["private_key"]
        try:
            logins.try_key(self._alias, key)
            with logins.session(self._alias, key) as host:
                for file in authorized.holding(host, _public(key)):
                    host.look(file.path)
        except CannotTell as error:
            raise Refused(f"{self.name} cannot be rotated: {error.message}", hint=error.hint) from error
        return (self.identifier(current),)

    def issue(self, journal: Journal, current: Material, known_here: frozenset[str]) -> Material:
        """See Target. The host is not asked."""
        from chronos_secrets.rotation import generate

        return {**current, "private_key": generate.ed25519().private}

    def apply(self, new: Material, current: Material) -> None:
        """See Target: the new key gets a line beside the current one, with the same options."""
        from chronos_secrets.systems import logins

        try:
            self._allow(new["private_key"], beside=current["private_key"])
        except NotHonoured:
            logins.try_key(self._alias, new["private_key"])  # an earlier run came further than this

    def prove(self, material: Material) -> None:
        """See Target. There is nothing to wait for: sshd reads the file at each login."""
        from chronos_secrets.systems import logins

        try:
            logins.try_key(self._alias, material["private_key"])
        except NotHonoured as error:
            raise Incomplete(f"{error.message} that is to be used from now on") from error

    def last_use(self, old: Material) -> LastUse:
        """See Target. Nobody can tell."""
        return LastUse(known=False, at=None)

    def deactivate(self, old: Material, current: Material) -> None:
        """See Target: the old key's line is removed over a session of the current key, and the old key then refused."""
        from chronos_secrets.systems import authorized, logins

        gone, kept = (_public(each["private_key"]) for each in (old, current))
        if gone == kept:
            return
        with logins.session(self._alias, current["private_key"]) as host:
            authorized.forbid(host, gone, keep=kept)
        try:
            logins.try_key(self._alias, old["private_key"])
        except NotHonoured:
            return
        raise TargetFailed(
            f"{self._alias} still lets the old key {gone.fingerprint} in, though no authorized_keys of the account "
            "that could be read holds it",
            hint=f"ssh {self._alias} 'sudo sshd -T | grep -i authorized'    # where else sshd looks",
        )

    def reactivate(self, old: Material, current: Material) -> None:
        """See Target: the old key gets its line again, with the options that the current one's has."""
        self.apply(old, current)

    def delete(self, old: Material, current: Material) -> None:
        """See Target: its line is gone already."""

    def _allow(self, key: Secret, *, beside: Secret) -> None:
        from chronos_secrets.systems import authorized, logins

        with logins.session(self._alias, beside) as host:
            authorized.allow(host, _public(key), beside=_public(beside))
