"""One rotation, from nothing to done: each step is taken once what it rests on is proven, and is written down.

The order is the safety. A new secret is stored before anybody depends on it, proven before it is promoted, promoted
before it is delivered, delivered before the old one ends. Running again is the way to go on: what is in the vault says
how far it got, the target is looked at before each act, and every act may be done twice.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from chronos_secrets.errors import ChronosError, Exit, Refused, VaultChanged
from chronos_secrets.rotation import changes, guards
from chronos_secrets.rotation import plan as plans
from chronos_secrets.rotation.guards import Wait, called
from chronos_secrets.rotation.journal import Journal, Phase
from chronos_secrets.rotation.record import Change, Held, Record, as_expiry
from chronos_secrets.rotation.target import Material, Target

_MOMENT = timedelta(microseconds=1)
_LOST = "nobody depends on it yet: the next run removes what it left at the target"


class Outcome(NamedTuple):
    """Where a rotation stands after a run.

    `phase` is None where none was ever begun. `done` says in words what this run did, `waiting` what the next step
    waits for ("" for nothing), `day` the first day on which it may be taken where only the calendar stands in the way.
    `exit` is OK, or INCOMPLETE where something else does (the old secret is still used, a backup runs); `hint` is then
    what to do. `outage` is for how long, at most, consumers held a secret that was refused, where nothing overlaps and
    this run ended it.
    """

    phase: Phase | None
    done: tuple[str, ...] = ()
    waiting: str = ""
    day: date | None = None
    exit: Exit = Exit.OK
    hint: str | None = None
    outage: timedelta | None = None


class Hooks(NamedTuple):
    """What the engine asks of the rest of the program; each only when it is needed.

    `deliver` writes every destination that uses the credential and proves it, or raises; it renders from the vault
    that was given to the record. `backup_holds` says whether something that runs now may have read the old secret.
    `say` tells a person what happens. `note` writes an event to the audit log, a word and identifiers, never a secret;
    it must not raise. `known_here` gives the identifiers that this machine has ever stored: each `new` that was noted
    with the phase `created`.
    """

    deliver: Callable[[], None]
    backup_holds: Callable[[], bool] = lambda: False
    say: Callable[[str], None] = lambda _: None
    note: Callable[[str, Mapping[str, str]], None] = lambda _what, _detail: None
    known_here: Callable[[], frozenset[str]] = frozenset


class Engine:
    """The rotation of one credential at its target.

    `record` tells the time, too. `machine` is the name of this machine. `delivers` are the ids of the destinations, for
    words only. `confirm_unused` is a person's word that nothing uses the old secret, where the target cannot tell.

    `begin`, `advance`, `rollback` and `abandon` go as far as possible. They raise Refused, TargetFailed, Incomplete,
    EntryMissing and what saving the vault raises; whatever they raise, running again goes on from what is true. What
    was done until then was told to the hooks.
    """

    def __init__(
        self,
        target: Target,
        record: Record,
        hooks: Hooks,
        *,
        machine: str,
        delivers: Sequence[str] = (),
        confirm_unused: bool = False,
    ) -> None:
        self._target, self._record, self._hooks = target, record, hooks
        self._machine, self._delivers, self._confirm_unused = machine, tuple(delivers), confirm_unused
        self._id = record.credential.id
        self._done: list[str] = []
        self._proven = False  # that the target honours what is current, in this very run
        self._refused_from: datetime | None = None  # the earliest moment at which consumers' secret can have ended
        self._outage: timedelta | None = None

    # --- what a caller may ask for -----------------------------------------------------------------------------------

    def journal(self) -> Journal | None:
        """The newest journal, wherever it stands; None where nothing was ever rotated. Nothing is changed or asked."""
        found = self._record.newest()
        return found.journal if found else None

    def plan(self) -> list[plans.Step]:
        """The steps that are still to come, with the first day of each. Nothing is changed or asked."""
        row, today, zone = self._record.credential, self._record.today, self._record.zone
        return plans.plan(self.journal(), self._target, row, delivers=self._delivers, today=today, zone=zone)

    def begin(self) -> Outcome:
        """Begin a rotation. Raises Refused where one is under way, and where its target says that it cannot be."""
        self._carry_over()
        journal = self._record.held().journal
        if journal and journal.under_way:
            raise Refused(f"a rotation of {self._id} is under way already", hint=guards.command(self._record))
        self._begin(journal)
        return self._go_on()

    def advance(self) -> Outcome:
        """Go on with a rotation; nothing where none is under way."""
        self._carry_over()
        return self._go_on()

    def rollback(self) -> Outcome:
        """Go back to the old secret. Raises Refused where it is gone."""
        self._carry_over()
        held = self._record.held()
        journal = guards.require_under_way(self._record, held)
        if not journal.promoted and not journal.rolled_back:
            return self.abandon()
        if not journal.rolled_back:
            guards.require_untouched(self._record, self._target, held)
            guards.require_kept(self._record, held, journal)
            back = journal._replace(phase=Phase.CREATED, old=journal.new, new=journal.old, rolled_back=True)
            self._save(held, back, changes.taken_back)
            self._tell(f"going back to the old secret of {self._target.name}{called(journal, journal.old)}", "rollback")
        return self._go_on()

    def abandon(self) -> Outcome:
        """Discard the new secret, in the vault and at the target. Raises Refused once it is promoted.

        A rollback whose old secret is not promoted yet is given up the same way: the new secret stays then.
        """
        self._carry_over()
        held = self._record.held()
        journal = guards.require_under_way(self._record, held)
        if journal.promoted and not journal.rolled_back:
            raise Refused(
                f"the new secret of {self._id} is the current one already, and may be in use",
                hint=guards.command(self._record, "rollback"),
            )
        if not journal.promoted and held.pending:
            self._give_up(held, journal)
        elif not journal.promoted:
            self._give_up_intent(held, journal)
        return self._go_on()

    # --- the steps ---------------------------------------------------------------------------------------------------

    def _go_on(self) -> Outcome:
        held = self._record.held()
        while held.journal and held.journal.under_way:
            guards.require_untouched(self._record, self._target, held)
            wait = guards.wait(
                self._record, self._target, held,
                confirm_unused=self._confirm_unused, backup_holds=self._hooks.backup_holds,
            )  # fmt: skip
            if wait:
                return self._outcome(held, wait)
            _STEPS[held.journal.phase](self, held, held.journal)
            held = self._record.held()
        return self._outcome(held)

    def _begin(self, last: Journal | None) -> None:
        """The first save: of the intent, or of the new secret itself where we choose it."""
        self._record.require_rotatable()
        current = self._record.held().current
        before = self._target.survey(current)
        now = _after(last, self._record.now())
        old = self._target.identifier(current)
        journal = Journal(secrets.token_hex(6), Phase.INTENT, self._machine, self._record.now(), now, before, old)
        self._refused_from = self._record.now()
        if self._target.issues:
            self._record.commit(changes.started(journal, self._record.replaced(current)))
            self._note("rotate", journal)
        self._store(journal, current)

    def _begin_again(self, held: Held, journal: Journal) -> None:
        """Go on from an intent: look what an earlier try left, and begin anew, so that the journal's times are true."""
        self._reconcile(held, journal)
        self._begin(journal)

    def _reconcile(self, held: Held, journal: Journal) -> None:
        """Remove what this machine's earlier try may have left. What another machine left, the survey refuses."""
        if self._target.issues and journal.machine == self._machine:
            self._target.reconcile(journal, held.current, self._hooks.known_here())

    def _store(self, journal: Journal, current: Material) -> None:
        """Get the new secret and store it as pending, at once."""
        new = self._target.issue(journal, current, self._hooks.known_here())
        name = self._target.identifier({**current, **new})
        created = self._next(journal._replace(phase=Phase.CREATED, new=name))
        try:
            self._record.commit(changes.stored(created, new))
        except ChronosError as error:
            raise type(error)(
                f"the new secret of {self._target.name}{called(created, name)} could not be stored: {error.message}",
                hint=error.hint,
                details=(*error.details, *((_LOST,) if self._target.issues else ())),
            ) from error
        self._tell(f"stored a new secret for {self._target.name}{called(created, name)} as pending")

    def _promote(self, held: Held, journal: Journal) -> None:
        """Let the target honour the pending secret, prove that it does, and make it the current one."""
        guards.require_kept(self._record, held, journal)
        new = {**held.current, **held.pending}
        self._refused_from = self._refused_from or journal.begun
        if journal.rolled_back:
            self._target.reactivate(new, held.current)
        else:
            self._target.apply(new, held.current)
        self._target.prove(new)
        self._proven = True
        days = self._days_before(held, journal) if journal.rolled_back else self._days_now(held, new)
        promoted = journal._replace(phase=Phase.PROMOTED)
        self._save(held, promoted, lambda now: changes.swapped(now, *days), undoes=journal.rolled_back)
        which = "old" if journal.rolled_back else "new"
        self._tell(
            f"{self._target.name} takes the {which} secret{called(journal, journal.new)}; it is the current one now"
        )

    def _days_now(self, held: Held, new: Material) -> tuple[str, datetime | None]:
        """The day of this rotation, and when the entry expires with it."""
        ends = self._target.expiry(new)
        return self._record.today.isoformat(), as_expiry(ends, self._record.zone) if ends else held.expires

    def _days_before(self, held: Held, journal: Journal) -> tuple[str, datetime | None]:
        """Last rotation and expiry as they were before this rotation; as they are, where the history does not tell."""
        before = (past for other, past in self._record.past() if other.id == journal.id and not other.promoted)
        found = next(before, held)
        return found.rotated, found.expires

    def _deliver(self, held: Held, journal: Journal) -> None:
        self._prove(held)
        self._hooks.deliver()
        if not self._target.overlaps:
            self._outage = self._record.now() - (self._refused_from or journal.begun)
        self._save(held, journal._replace(phase=Phase.DELIVERED))
        self._tell(f"delivered {', '.join(self._delivers)}" if self._delivers else "no destination uses it")

    def _end(self, held: Held, journal: Journal) -> None:
        """End the old secret, which nobody needs any more."""
        guards.require_kept(self._record, held, journal)
        old = {**held.current, **held.previous}
        if not self._target.overlaps:
            if journal.rolled_back:  # it was the new one that had ended the one which stays
                self._target.reactivate(held.current, old)
            self._delete(held, journal)
            return
        self._prove(held)
        self._target.deactivate(old, held.current)
        if not self._target.soaks or journal.rolled_back:
            self._delete(held, journal)
            return
        self._save(held, journal._replace(phase=Phase.DEACTIVATED))
        self._tell(f"deactivated the old secret of {self._target.name}{called(journal, journal.old)}")

    def _delete(self, held: Held, journal: Journal) -> None:
        guards.require_kept(self._record, held, journal)
        self._prove(held)
        self._target.delete({**held.current, **held.previous}, held.current)
        self._save(held, journal._replace(phase=Phase.DONE), changes.forgotten)
        which = "discarded" if journal.rolled_back else "old"
        self._tell(f"the {which} secret of {self._target.name}{called(journal, journal.old)} is gone")

    def _prove(self, held: Held) -> None:
        """Nothing is taken from consumers while what they are given instead is not known to work."""
        if not self._proven:
            self._target.prove(held.current)
            self._proven = True

    # --- giving up ---------------------------------------------------------------------------------------------------

    def _give_up_intent(self, held: Held, journal: Journal) -> None:
        self._reconcile(held, journal)
        if journal.machine != self._machine or journal.phase is not Phase.INTENT:
            self._target.survey(held.current)
        self._save(held, journal._replace(phase=Phase.DONE, rolled_back=True), changes.forgotten)
        self._tell(f"gave up the rotation of {self._id} before there was a new secret", "abandon")

    def _give_up(self, held: Held, journal: Journal) -> None:
        """What is current stays, and is proven before anything else goes; what is pending is what goes.

        Where the two do not overlap, what is current may be refused by now. It is set again by the step that follows.
        """
        if journal.rolled_back and not self._target.overlaps:
            self._target.reactivate(held.current, {**held.current, **held.pending})
        if journal.rolled_back or self._target.overlaps:
            self._prove(held)
        stays = self._target.identifier(held.current)
        other = journal._replace(old=journal.new, new=stays, rolled_back=not journal.rolled_back)
        if journal.rolled_back:
            self._save(held, other._replace(phase=Phase.PROMOTED), changes.put_by)
            self._tell(f"gave up the rollback of {self._id}: the new secret{called(other, stays)} stays", "abandon")
        else:
            self._save(held, other._replace(phase=Phase.DELIVERED), changes.put_by)
            self._tell(f"gave up the rotation of {self._id}: the old secret{called(other, stays)} stays", "abandon")

    # --- the vault ---------------------------------------------------------------------------------------------------

    def _carry_over(self) -> None:
        """Take up a newer journal that KeePassXC put into the entry's history when it merged two vaults."""
        found = self._record.newest()
        if found is None or found.own or not guards.was_lost_to_a_merge(self._record, found):
            return
        self._record.commit(self._record.adopt(found.item))
        self._tell(f"took up the rotation of {self._id} that a merge had put into the entry's history")

    def _save(self, held: Held, journal: Journal, change: Change = lambda held: held, *, undoes: bool = False) -> None:
        """Save the next phase. Raises VaultChanged where the entry is not any more what this step was taken for."""
        again, after = guards.command(self._record), self._next(journal)

        def step(now: Held) -> Held:
            if (now.journal, now.pending, now.previous) != (held.journal, held.pending, held.previous):
                raise VaultChanged(f"another machine went on with the rotation of {self._id} meanwhile", hint=again)
            if self._record.replaced(now.current) != self._record.replaced(held.current):
                raise VaultChanged(f"the secret of {self._id} was changed in KeePassXC meanwhile", hint=again)
            return change(now)._replace(journal=after)

        self._record.commit(step, undoes=undoes)

    def _next(self, journal: Journal) -> Journal:
        """Written here and now, and later than what it was made from, whatever the clock says."""
        return journal._replace(machine=self._machine, since=_after(journal, self._record.now()))

    def _tell(self, words: str, what: str = "rotate") -> None:
        self._done.append(words)
        self._hooks.say(words)
        journal = self._record.held().journal
        if journal:
            self._note(what, journal)

    def _note(self, what: str, journal: Journal) -> None:
        detail = {"rotation": journal.id, "phase": journal.phase.value, "old": journal.old, "new": journal.new}
        self._hooks.note(what, {key: value for key, value in detail.items() if value})

    def _outcome(self, held: Held, wait: Wait | None = None) -> Outcome:
        phase, done = held.journal.phase if held.journal else None, tuple(self._done)
        if wait is None:
            return Outcome(phase, done, outage=self._outage)
        return Outcome(phase, done, wait.words, wait.day, wait.exit, wait.hint, self._outage)


def _after(journal: Journal | None, now: datetime) -> datetime:
    """The time for what follows a journal: now, but never before it."""
    return max(now, journal.since + _MOMENT) if journal else now


_STEPS: Mapping[Phase, Callable[[Engine, Held, Journal], None]] = {
    Phase.INTENT: Engine._begin_again,
    Phase.CREATED: Engine._promote,
    Phase.PROMOTED: Engine._deliver,
    Phase.DELIVERED: Engine._end,
    Phase.DEACTIVATED: Engine._delete,
}
