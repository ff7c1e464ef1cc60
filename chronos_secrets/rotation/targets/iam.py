"""The access keys of an IAM user, which AWS issues: two may be honoured at a time, and a third cannot be made."""

import functools
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from chronos_secrets.errors import Incomplete, Refused, TargetFailed
from chronos_secrets.rotation.journal import Journal
from chronos_secrets.rotation.target import NEWEST_VAULT, LastUse, Material, Target
from chronos_secrets.rotation.targets import strays
from chronos_secrets.rotation.targets.proof import Proof
from chronos_secrets.rotation.targets.strays import Seen, short
from chronos_secrets.rotation.targets.whose import ID, PATIENT, SECRET, Machine, Patience, Service, place, service
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import CannotTell, NotHonoured
from chronos_secrets.systems.aws import clients, iam, sts
from chronos_secrets.systems.aws.refusals import Forbidden, Gone, LimitReached, Unanswered

__all__ = ["ID", "SECRET", "IamKeys", "Machine", "Patience", "Service", "place", "service"]

_AT_ONCE = 10.0  # seconds that a key may be refused which has been in use for long
Answer = TypeVar("Answer")


class IamKeys(Target):
    """An IAM user's keys. Nothing is asked, and no admin session needed, before a method that needs it is called."""

    replaces = (ID, SECRET)
    issues = overlaps = soaks = True

    def __init__(
        self,
        whose: Service,
        machine: Machine,
        *,
        patience: Patience = PATIENT,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`say` is told in words what takes long."""
        self.name = whose.name
        self._whose, self._machine, self._patience, self._say = whose, machine, patience, say
        self._admin = clients.of_profile(machine.admin_profile, machine.place)
        self._keys = iam.AccessKeys(self._admin, whose.user)
        self._proof = Proof(whose, machine.place, states=self._states, say=say)

    def identifier(self, material: Material) -> str:
        return material[ID].reveal()

    def survey(self, current: Material) -> tuple[str, ...]:
        """Also writes and deletes the probe object with the current key: a new one will have to.

        Raises SignInNeeded (exit 7) before anything else is asked where the admin's session is not valid.
        """
        sts.require_key_id(current[ID])
        _ = self._whose.probe
        account = self._as_admin(lambda: sts.whose(self._admin)).account
        if self._whose.account and self._whose.account != Secret(account):
            raise Refused(
                f"{self._admin.who} is of another AWS account than the vault says",
                hint=f"aws sts get-caller-identity{self._profile}",
            )
        found = self._listed()
        self._require_exactly(self.identifier(current), found)
        try:
            self._proof.of(current, self._patience._replace(proof=min(_AT_ONCE, self._patience.proof)))
        except Incomplete as error:
            raise NotHonoured(error.message) from error
        return tuple(each.id for each in found)

    def reconcile(self, journal: Journal, current: Material, known_here: frozenset[str]) -> None:
        self._sweep(journal, known_here)

    def issue(self, journal: Journal, current: Material, known_here: frozenset[str]) -> Material:
        """Raises Incomplete where IAM did not answer in several tries: nothing is lost, and the next run goes on."""
        for left in reversed(range(self._patience.tries)):
            self._sweep(journal, known_here)
            try:
                key_id, secret = self._as_admin(lambda: self._keys.create(f"rotation#{journal.id}"))
            except (LimitReached, Unanswered) as error:
                if not left:
                    break
                self._say(f"{error.message}; looking at what {self.name} has now ...")
                self._settle(journal)
                continue
            return {ID: key_id, SECRET: secret}
        raise Incomplete(f"AWS IAM did not give {self.name} a key in {self._patience.tries} tries; nothing has changed")

    def apply(self, new: Material, current: Material) -> None:
        """Nothing: what IAM issues, it honours."""

    def prove(self, material: Material) -> None:
        """On STS, and by writing, reading and deleting the probe object, each several times in a row.

        Raises Incomplete after the patience for a key that IAM says is there, NotHonoured for one that it says is not.
        """
        sts.require_key_id(material[ID])
        self._proof.of(material, self._patience)

    def last_use(self, old: Material) -> LastUse:
        try:
            return LastUse(True, self._as_admin(lambda: self._keys.last_use(self.identifier(old))))
        except CannotTell:
            return LastUse(False, None)

    def deactivate(self, old: Material, current: Material) -> None:
        self._set_active(self.identifier(old), False)

    def reactivate(self, old: Material, current: Material) -> None:
        """Raises Refused where it is deleted."""
        key = self.identifier(old)
        if not self._set_active(key, True):
            raise Refused(f"{self.name} does not have the key {short(key)} any more: it cannot be brought back")

    def delete(self, old: Material, current: Material) -> None:
        """Raises Refused for the key that is current, whatever asked for it."""
        key, kept = self.identifier(old), self.identifier(current)
        if key == kept:
            raise Refused(f"{short(key)} is the current key of {self.name}; it is not deleted")
        found = self._listed()
        if any(each.id == key for each in found):
            with suppress(Gone):
                self._as_admin(lambda: self._keys.delete(key))
        if unknown := [each for each in found if each.id not in (key, kept)]:
            error = self._unknown(unknown, "it was left alone")
            self._say(f"{error.message}: {'; '.join(self._seen(each).facts for each in unknown)}")

    # --- what IAM has ---

    def _listed(self) -> tuple[iam.AccessKey, ...]:
        try:
            return self._as_admin(self._keys.all)
        except Gone as error:
            raise TargetFailed(f"there is no {self.name} in this AWS account") from error

    def _states(self) -> dict[str, bool]:
        return {each.id: each.active for each in self._listed()}

    def _require_exactly(self, current: str, found: Sequence[iam.AccessKey]) -> None:
        if unknown := [each for each in found if each.id != current]:
            raise self._unknown(unknown, "nothing is rotated while it is there")
        if not found:
            raise NotHonoured(f"{self.name} does not have the key that the vault holds, {short(current)}")
        if not found[0].active:
            raise NotHonoured(
                f"the key that the vault holds, {short(current)} of {self.name}, is Inactive",
                hint=self._command("update-access-key", current, " --status Active"),
            )

    def _sweep(self, journal: Journal, known_here: frozenset[str]) -> None:
        """Delete what an earlier try of this rotation left, and nothing else. Raises Refused."""
        found = [each for each in self._listed() if each.id not in journal.before]
        for key in map(self._seen, found):
            reason = strays.why_not_ours(key, journal, machine=self._machine.name, known_here=known_here)
            if reason:
                raise self._unknown([each for each in found if each.id == key.id], reason)
            self._say(f"deleting the key {key.facts} of {self.name}, whose secret was lost before it was stored")
            with suppress(Gone):
                self._as_admin(functools.partial(self._keys.delete, key.id))

    def _settle(self, journal: Journal) -> None:
        """Look at the keys until one shows up that was not there before: IAM's list may be some seconds behind."""
        for _ in range(self._patience.looks):
            time.sleep(self._patience.settle)  # no API of IAM says when its list is up to date
            if any(each.id not in journal.before for each in self._listed()):
                return

    def _seen(self, key: iam.AccessKey) -> Seen:
        try:
            return Seen(key.id, key.active, key.created, True, self._as_admin(lambda: self._keys.last_use(key.id)))
        except CannotTell:
            return Seen(key.id, key.active, key.created, False, None)

    def _unknown(self, keys: Sequence[iam.AccessKey], reason: str) -> Refused:
        many = f"{len(keys)} keys" if len(keys) > 1 else "a key"
        return Refused(
            f"{self.name} has {many} that the vault does not know, and {reason}",
            hint=NEWEST_VAULT,
            details=[
                *(self._seen(each).facts for each in keys),
                f"if no vault has it and nobody uses it: {self._command('delete-access-key', keys[0].id)}",
            ],
        )

    def _set_active(self, key: str, active: bool) -> bool:
        """Whether the key is there, and in that state now."""
        found = self._states()
        if key not in found:
            return False
        if found[key] is not active:
            try:
                self._as_admin(lambda: self._keys.set_active(key, active))
            except Gone:
                return False
        return True

    # --- the administrator ---

    def _as_admin(self, ask: Callable[[], Answer]) -> Answer:
        """What AWS answers. A right that is missing is named, with who lacks it."""
        try:
            return ask()
        except Forbidden as error:
            action = error.message.rpartition(" ")[2]
            raise TargetFailed(
                f"AWS does not allow {action} for {self.name} to {self._admin.who}",
                hint=f"aws sts get-caller-identity{self._profile}    # is it the right profile?",
            ) from error

    @property
    def _profile(self) -> str:
        return f" --profile {self._machine.admin_profile}" if self._machine.admin_profile else ""

    def _command(self, verb: str, key: str, more: str = "") -> str:
        return f"aws iam {verb} --user-name {self._whose.user} --access-key-id {key}{more}{self._profile}"
