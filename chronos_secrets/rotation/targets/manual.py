"""What only a person can renew: API tokens, accounts, recovery codes. Nobody but that person can ask for a new one.

Where the issuer has an API, it is asked whether it takes the new one and no longer the old one; else the person is.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Protocol

from chronos_secrets.errors import Incomplete, Refused
from chronos_secrets.inventory.model import Credential, Interval
from chronos_secrets.inventory.schedule import add
from chronos_secrets.rotation.journal import PENDING, Journal
from chronos_secrets.rotation.target import LastUse, Material, Target
from chronos_secrets.rotation.targets.ways import KINDS, codes
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import NotHonoured

_TRIES = 3
_ATLASSIAN_LIFE = Interval(1, "year")  # the longest that its page offers
_EMPTY = Secret("")


class Person(Protocol):
    """Whoever sits at the terminal.

    Each method but `show` raises Refused where nobody can be asked, and KeyboardInterrupt when the person gives up.
    """

    def attend(self) -> None:
        """Make sure that somebody can be asked."""

    def show(self, text: str) -> None:
        """Say a sentence."""

    def ask_hidden(self, prompt: str, *, lines: bool = False) -> Secret:
        """What is pasted without being shown: a line, or with `lines` all until an empty one. Empty for nothing."""

    def ask_day(self, prompt: str) -> date | None:
        """A day; None for none."""

    def confirm(self, question: str) -> bool:
        """Whether the answer is yes; no is the answer of whoever only presses Enter."""


class Manual(Target):
    """A credential whose new secret a person gets and pastes."""

    issues, soaks, guided = True, False, True

    def __init__(self, row: Credential, person: Person, today: date, stored: Secret = _EMPTY) -> None:
        """`row` is of one of the kinds in `KINDS`; `today` is a day of the inventory's timezone.

        `stored` is the secret that the vault holds as the current one when this run begins. That it is dead need not
        stop anybody: a person is asked.
        """
        self.name = row.title
        self._way, self._id, self._person, self._today = KINDS[row.kind], row.id, person, today
        self.replaces, self.overlaps = (row.primary,), self._way.overlaps
        self._field, self._entry = row.primary, row.entry
        page = row.target.page if row.target else None
        self._page = page or f"where {row.title} is managed"
        check = row.target.check if row.target else None
        self._check = CHECKS[check] if check else None
        self._limit = _LIMITS.get(check or "")
        self._again = f"chronos-secrets rotate {row.id}"
        self._stored = stored
        self._believed: list[Secret] = []  # what the person or the issuer vouched for in this run
        self._gone: list[Secret] = []

    def identifier(self, material: Material) -> str:
        """See Target. There is none."""
        return ""

    def survey(self, current: Material) -> tuple[str, ...]:
        """See Target. An old secret that is no longer taken stops nobody: it may be why there must be a new one."""
        self._person.attend()
        if self._check and self._is_refused(current):
            self._person.show(f"the {self._way.word} in the vault is not taken any more")
        return ()

    def issue(self, journal: Journal, current: Material, known_here: frozenset[str]) -> Material:
        """See Target."""
        self._person.attend()
        word = self._way.word
        if self._way.lines:
            left = len(codes(current.get(self._field, _EMPTY)))
            self._person.show(f"{left} of the old {word} are left in the vault")
        self._person.show(self._way.make.format(page=self._page))
        return {self._field: self._pasted(current.get(self._field, _EMPTY))}

    def reconcile(self, journal: Journal, current: Material, known_here: frozenset[str]) -> None:
        """See Target. What was pasted in an earlier run and not stored is lost: only the person may have it still."""
        if self.overlaps:
            self._person.show(f"If you made a {self._way.word} in an earlier try, revoke it: {self._page}")

    def apply(self, new: Material, current: Material) -> None:
        """See Target. What a person does for it is asked in `prove`."""

    def prove(self, material: Material) -> None:
        """See Target. Codes are used up when they are tried, so nobody tries them."""
        secret = material[self._field]
        if secret in self._believed or not self._way.proof:
            return
        if self._check:
            self._require_taken(material)
        else:
            self._person.attend()
            kept = f"{PENDING}{self._field}"
            self._person.show(self._way.proof.format(page=self._page, entry=self._entry, kept=kept))
            if not self._person.confirm(f"Does {self.name} take it?"):
                raise Incomplete(f"{self.name} does not take its {self._way.word} yet", hint=self._hint)
        self._believed.append(secret)

    def last_use(self, old: Material) -> LastUse:
        """See Target. No issuer tells; a person may know."""
        if not self._is_attended():
            return LastUse(known=False, at=None)
        unused = self._person.confirm(f"Has everything that used the old {self._way.word} of {self.name} the new one?")
        return LastUse(known=unused, at=None)

    def deactivate(self, old: Material, current: Material) -> None:
        """See Target. Where a new one ended the old one, there is nothing to do."""
        secret = old[self._field]
        if not self.overlaps or secret in self._gone:
            return
        for tried in range(_TRIES):
            if self._check and self._is_refused({**current, **old}):
                break
            if tried:
                self._person.show(f"{self.name} still takes it")
            self._ask_to_revoke()
            if not self._check:
                break
        else:
            if not self._is_refused({**current, **old}):
                raise Incomplete(
                    f"the {self._way.word} that was replaced is still taken by {self.name}", hint=self._again
                )
        self._gone.append(secret)

    def reactivate(self, old: Material, current: Material) -> None:
        """See Target. What a person does for it is asked in `prove`; for codes there is nothing that could be done."""
        if self._way.lines:
            word = self._way.word
            raise Refused(f"the old {word} of {self.name} ended when the new ones were made", hint=self._again)

    def delete(self, old: Material, current: Material) -> None:
        """See Target. What is revoked is gone."""
        self.deactivate(old, current)

    def expiry(self, new: Material) -> date | None:
        """See Target. Asked until the day can be one."""
        if not self._way.expires:
            return None
        while True:
            day = self._person.ask_day(f"The last day of the new {self._way.word}, as its page says")
            fault = self._day_fault(day)
            if fault is None:
                return day
            self._person.show(fault)

    def _pasted(self, current: Secret) -> Secret:
        """The new secret. Raises Refused after a few that cannot be one."""
        for _ in range(_TRIES):
            pasted = self._person.ask_hidden(f"New {self._way.word} of {self.name}", lines=self._way.lines)
            taken = self._way.tidy(pasted)
            fault = self._way.fault(taken, current)
            if fault is None:
                self._person.show(f"got {self._way.size(taken)}")
                if not self._way.lines or self._person.confirm("Are those all of them?"):
                    return taken
                continue
            self._person.show(f"{fault}; try again")
        raise Refused(f"no {self._way.word} of {self.name} was pasted; nothing was changed", hint=self._again)

    def _require_taken(self, material: Material) -> None:
        try:
            self._asked(material)
        except NotHonoured as error:
            if material[self._field] == self._stored and self._is_attended():
                self._person.show(f"{self.name}: {error.message} that is in the vault now")
                if self._person.confirm("Go on all the same?"):
                    return
            raise Incomplete(f"{self.name}: {error.message}; nothing was changed there", hint=self._hint) from error

    def _is_attended(self) -> bool:
        try:
            self._person.attend()
        except Refused:
            return False
        return True

    def _is_refused(self, material: Material) -> bool:
        """Whether the issuer says no to a secret. Raises TargetFailed where it says nothing."""
        try:
            self._asked(material)
        except NotHonoured:
            return True
        return False

    def _asked(self, material: Material) -> None:
        if self._check is None:
            raise AssertionError("there is nobody to ask")
        for field in ("username", "url"):
            if not material.get(field):
                raise Refused(
                    f"{self._id}: the field {field} is empty in the vault, so the {self._way.word} cannot be tried",
                    hint=f"open the entry '{self._entry}' in KeePassXC and fill it in",
                )
        self._check(material["url"], material["username"], material[self._field])

    def _ask_to_revoke(self) -> None:
        self._person.attend()
        word = self._way.word
        self._person.show(f"Revoke the {word} that was replaced: {self._page}")
        if not self._person.confirm("Is it revoked?"):
            raise Incomplete(f"the {word} of {self.name} that was replaced is not revoked yet", hint=self._again)

    def _day_fault(self, day: date | None) -> str | None:
        if day is not None and day <= self._today:
            return "that day is not ahead of us"
        if self._limit is None:
            return None
        latest = add(self._today, self._limit) + timedelta(days=1)  # the issuer may be a day ahead
        if day is None or day > latest:
            return f"a {self._way.word} made here ends within {self._limit}, so by {latest}"
        return None

    @property
    def _hint(self) -> str:
        return f"{self._again}    # tries it again; to paste another one: chronos-secrets rotate abandon {self._id}"


def _atlassian(url: Secret, username: Secret, token: Secret) -> object:
    from chronos_secrets.systems import atlassian

    return atlassian.try_token(url, username, token)


CHECKS: Mapping[str, Callable[[Secret, Secret, Secret], object]] = {"atlassian": _atlassian}
"""By the word in the inventory: how an issuer is asked about a secret, given its URL, user name and the secret."""
_LIMITS: Mapping[str, Interval] = {"atlassian": _ATLASSIAN_LIFE}
