"""Whether AWS takes an access key: each service learns of a new one by itself, and after some seconds."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from chronos_secrets.errors import Incomplete, TargetFailed
from chronos_secrets.rotation.target import Material
from chronos_secrets.rotation.targets.strays import short
from chronos_secrets.rotation.targets.whose import ID, PROBES, SECRET, Patience, Service
from chronos_secrets.systems.answers import NotHonoured
from chronos_secrets.systems.aws import clients, s3, sts
from chronos_secrets.systems.aws.clients import Place
from chronos_secrets.systems.aws.refusals import Forbidden, Unanswered, WrongSecret


class Proof:
    """Asks STS, and writes, reads and deletes the probe object, until each goes well several times in a row."""

    def __init__(
        self, whose: Service, place: Place, *, states: Callable[[], Mapping[str, bool]], say: Callable[[str], None]
    ) -> None:
        """`states` asks IAM which keys there are and whether they are Active; it may raise TargetFailed."""
        self._whose, self._place, self._states, self._say = whose, place, states, say

    def of(self, material: Material, patience: Patience) -> None:
        """Raises Incomplete after the patience for a key that IAM says is there, or where IAM cannot be asked;
        NotHonoured for one that it says is not, at once for a wrong secret; TargetFailed for what is no key's fault.
        """
        asker = clients.of_key(material[ID], material[SECRET], self._place)
        key = material[ID].reveal()
        self._until_taken(key, "STS", lambda: sts.whose(asker), patience)
        if self._whose.bucket:
            bucket, name = self._whose.bucket, self._whose.probe
            self._until_taken(key, "S3", lambda: s3.probe(asker, bucket, name), patience)

    def _until_taken(self, key: str, at: str, ask: Callable[[], object], patience: Patience) -> None:
        deadline, wait, in_a_row = time.monotonic() + patience.proof, patience.first, 0
        while in_a_row < patience.in_a_row:
            try:
                ask()
                in_a_row += 1
                continue
            except WrongSecret:
                raise
            except (NotHonoured, Unanswered, Forbidden) as error:
                in_a_row = 0
                if time.monotonic() >= deadline:
                    raise self._in_vain(key, error, at) from error
            if wait == patience.first:
                self._say(f"waiting until AWS {at} takes the key {short(key)} of {self._whose.name} ...")
            time.sleep(max(0.0, min(wait, deadline - time.monotonic())))  # no API says when a key is known
            wait = min(2 * wait, patience.most)

    def _in_vain(self, key: str, error: TargetFailed, at: str) -> TargetFailed | Incomplete:
        """What a key is that was refused until the end: of no use any more, or not known everywhere yet."""
        name = self._whose.name
        if isinstance(error, Forbidden):
            action = error.message.rpartition(" ")[2]
            return TargetFailed(
                f"the policy of {name} does not allow {action} on {self._whose.probe}",
                hint=f"allow s3:PutObject, s3:GetObject and s3:DeleteObject on {self._whose.bucket}/{PROBES}* there",
            )
        if isinstance(error, Unanswered):
            return error
        with suppress(TargetFailed):  # no admin session, say: then nobody knows better
            states = self._states()
            if not states.get(key):
                return NotHonoured(f"the key {short(key)} of {name} is {'Inactive' if key in states else 'deleted'}")
        return Incomplete(
            f"AWS {at} does not take the key {short(key)} of {name} yet", hint="run the command again in some minutes"
        )
