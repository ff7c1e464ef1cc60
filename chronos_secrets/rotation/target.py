"""What the engine asks of a place that honours credentials.

Every method may be called twice with the same arguments and must look before it acts: running again is the resume.
None of them touches the vault or a destination.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple

from chronos_secrets.rotation.journal import Journal
from chronos_secrets.secret import Secret

Material = Mapping[str, Secret]
"""The values of a credential by the inventory's field names: those that a rotation replaces, and what goes with them
(a user name, a URL), which stay as they are unless `issue` gives them anew."""


NEWEST_VAULT = "bring the newest vault to this machine, then run this again (a rotation elsewhere explains it)"
"""What to do first where the target honours something that the vault does not know: a vault that is old shows the fresh
secret of another machine as a stranger, and whoever removes that stranger ends what all consumers use."""


class LastUse(NamedTuple):
    """When an old secret was last used, as far as its target tells: `known` False is "nobody can tell"."""

    known: bool
    at: datetime | None  # None: never


class Target(ABC):
    """Where one credential is honoured.

    `name` is what messages call it ("IAM user pgbackrest-chronos"). `replaces` are the inventory's fields that a
    rotation gives new values. `issues`: the target makes the secret (it can be lost on the wire); else we choose it,
    and it is stored before it is set. `overlaps`: old and new are both honoured until the old one is deactivated; else
    setting the new one ends the old one at once. `soaks`: a deactivated secret can be brought back until it is deleted.
    `tells_use` is False where nothing can ever tell when a secret was last used (a line of authorized_keys): its last
    use holds up nothing then, which the plan says. `guided`: a person gets the new secret and ends the old one.
    """

    name: str
    replaces: tuple[str, ...]
    issues: bool
    overlaps: bool
    soaks: bool
    tells_use: bool = True
    guided: bool = False

    @abstractmethod
    def identifier(self, material: Material) -> str:
        """The public half: a key id, a fingerprint; "" where there is none."""

    @abstractmethod
    def survey(self, current: Material) -> tuple[str, ...]:
        """Make sure that a rotation could begin, without any effect; the identifiers that are honoured now.

        Checks the rights, the account, that `current` works, and that the target honours nothing unknown.
        Raises TargetFailed (exit 7), Refused (exit 5).
        """

    @abstractmethod
    def issue(self, journal: Journal, current: Material, known_here: frozenset[str]) -> Material:
        """Where `issues`: get a new secret, once; else choose one (nothing is asked of the target).

        With `issues` it first deals with what an earlier try of this journal may have left at the target. Whatever is
        not provably a stray of this very rotation is refused with the facts, never deleted. `known_here` are the
        identifiers that this machine has ever stored. Raises Refused, TargetFailed, Incomplete.
        """

    def reconcile(self, journal: Journal, current: Material, known_here: frozenset[str]) -> None:  # noqa: B027  # no duty
        """Remove what an earlier try of `journal` may have left at the target, as `issue` does first.

        Asked for by itself where a rotation is abandoned before its new secret was stored. Raises what `issue` raises.
        """

    @abstractmethod
    def apply(self, new: Material, current: Material) -> None:
        """Let the target honour `new` (nothing to do where it issued it). Raises Refused, TargetFailed."""

    @abstractmethod
    def prove(self, material: Material) -> None:
        """Make sure that the target honours `material`, waiting for it within the target's own patience.

        Raises Incomplete (exit 8) when it still does not, TargetFailed when the target cannot be asked.
        """

    @abstractmethod
    def last_use(self, old: Material) -> LastUse:
        """When the old secret was last used."""

    @abstractmethod
    def deactivate(self, old: Material, current: Material) -> None:
        """Stop honouring `old`, over a session that authenticates by `current` where that is the way."""

    @abstractmethod
    def reactivate(self, old: Material, current: Material) -> None:
        """Honour `old` again: the first step of a rollback.

        Where nothing overlaps this is `apply` by another name: who is honoured now may be either of the two.
        """

    @abstractmethod
    def delete(self, old: Material, current: Material) -> None:
        """Remove `old` for good, where deactivating it did not. Gone already is done."""

    def expiry(self, new: Material) -> date | None:
        """The day on which `new` ends by itself, as its issuer or a person tells; None where nobody does.

        To be asked for right before `new` is promoted, and kept in that save as the entry's Expires, in place of what
        stood there for the old one. It may ask a person, so it is asked once, and not while the vault is being saved.
        """
        return None
