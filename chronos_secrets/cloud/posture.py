"""The audit's controls: what must hold for the bucket and the user of the backups, judged from facts. Pure.

The ids are those of Security Hub, the CIS benchmark and Prowler, so that a finding of theirs and one of ours are known
to be the same; the words are our own. A control that nobody else has is named in small letters.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple, TypeVar

from chronos_secrets.cloud.policy import Statement
from chronos_secrets.errors import Exit

PASS, FAIL, ACCEPTED, UNKNOWN = "PASS", "FAIL", "ACCEPTED", "UNKNOWN"
ALLOWED, REFUSED = "allowed", "refused"


class Unknown(NamedTuple):
    """A fact that could not be had, and why. `untried`: the server has nothing of the kind, whoever asks."""

    why: str
    untried: bool = False


class Held(NamedTuple):
    """A policy that holds for the user: "inline", "attached", or "group NAME"."""

    name: str
    how: str
    statements: tuple[Statement, ...]


class Key(NamedTuple):
    """An access key of the user. `used` is None for never."""

    id: str
    active: bool
    created: datetime | None
    used: datetime | Unknown | None


class Facts(NamedTuple):
    """What was found. The blocks are the names of what is blocked; the grants are those to anybody in the ACL."""

    region: str | Unknown
    account_block: frozenset[str] | Unknown
    block: frozenset[str] | Unknown
    statements: tuple[Statement, ...] | Unknown  # of the bucket's policy
    is_public: bool | Unknown
    grants: frozenset[str] | Unknown
    ownership: str | Unknown | None
    versioning: str | Unknown | None
    mfa_delete: bool | Unknown
    encryption: str | Unknown | None
    rules: int | Unknown  # of the lifecycle, enabled
    lock: bool | Unknown
    replicas: bool | Unknown
    logs: bool | Unknown
    events: bool | Unknown
    policies: tuple[Held, ...] | Unknown
    keys: tuple[Key, ...] | Unknown


class Wanted(NamedTuple):
    """What the inventory says: the bucket by its ARN, and the user's prefixes and policy in it; and the account."""

    account: str
    region: str
    bucket: str
    prefixes: tuple[str, ...]
    policy: str
    credential: str | None  # that holds the user's key

    def fill(self, todo: str) -> str:
        """What to do, for this project."""
        rotate = f"chronos-secrets rotate {self.credential}" if self.credential else "make another key, delete this one"
        bucket = self.bucket.rpartition(":")[2]
        return todo.replace("ROTATE", rotate).replace("POLICY", self.policy).replace("NAME", bucket)


class Finding(NamedTuple):
    """What an audit says of one control: the evidence, what would mend it, the last day of an acceptance."""

    id: str
    also: tuple[str, ...]
    title: str
    state: str
    why: str = ""
    todo: str = ""
    until: date | None = None
    untried: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Every id by which it can be accepted, in small letters."""
        return frozenset(each.lower() for each in (self.id, *self.also))


class Acceptance(NamedTuple):
    """That a control may fail, by any of its ids, why, and the last day on which that holds."""

    control: str
    reason: str
    until: date


class NotKnown(Exception):
    """A judgement needs a fact that could not be had."""

    def __init__(self, fact: Unknown) -> None:
        super().__init__(fact.why)
        self.fact = fact


class Case(NamedTuple):
    """What a control looks at."""

    facts: Facts
    wanted: Wanted
    now: datetime


Judge = Callable[[Case], str]
Fact = TypeVar("Fact")


class Control(NamedTuple):
    """One control. `judge` gives what is wrong, "" where nothing is, and raises NotKnown."""

    id: str
    also: tuple[str, ...]
    title: str
    judge: Judge
    todo: str = ""


def known(fact: Fact | Unknown) -> Fact:
    """A fact that could be had. Raises NotKnown."""
    if isinstance(fact, Unknown):
        raise NotKnown(fact)
    return fact


def judge(controls: Iterable[Control], case: Case) -> list[Finding]:
    """What each control says, in their order."""
    return [_judged(each, case) for each in controls]


def _judged(control: Control, case: Case) -> Finding:
    found = Finding(control.id, control.also, control.title, PASS)
    try:
        wrong = control.judge(case)
    except NotKnown as error:
        return found._replace(state=UNKNOWN, why=error.fact.why, untried=error.fact.untried)
    if not wrong:
        return found
    return found._replace(state=FAIL, why=wrong, todo=case.wanted.fill(control.todo))


class Trial(NamedTuple):
    """Something that the user's own key asked for, reading only: whether it must be allowed, and what became of it."""

    id: str
    title: str
    must: bool
    outcome: str | Unknown  # allowed or refused
    todo: str = ""  # where it is not the user's policy that is wrong


def tried(trials: Iterable[Trial], todo: str) -> list[Finding]:
    """What the trials say of the user's rights, and what to do where these are wrong."""
    return [_tried(each, todo) for each in trials]


def _tried(trial: Trial, todo: str) -> Finding:
    found = Finding(trial.id, (), trial.title, PASS)
    if isinstance(trial.outcome, Unknown):
        return found._replace(state=UNKNOWN, why=trial.outcome.why, untried=trial.outcome.untried)
    if (trial.outcome == ALLOWED) == trial.must:
        return found
    return found._replace(state=FAIL, why=f"it was {trial.outcome}", todo=trial.todo or todo)


def accept(findings: Sequence[Finding], accepted: Iterable[Acceptance], today: date) -> list[Finding]:
    """The findings with what the inventory accepts of their failures. An acceptance holds through its last day."""
    rows = {each.control.lower(): each for each in accepted}
    return [_accepted(each, rows, today) for each in findings]


def _accepted(finding: Finding, rows: Mapping[str, Acceptance], today: date) -> Finding:
    row = next((rows[name] for name in sorted(finding.names) if name in rows), None)
    if row is None or finding.state != FAIL:
        return finding
    if row.until < today:
        return finding._replace(why=f"{finding.why}; its acceptance ended on {row.until}", until=row.until)
    return finding._replace(state=ACCEPTED, why=row.reason, todo="", until=row.until)


def status(findings: Sequence[Finding]) -> Exit:
    """1 where anything fails; 7 where nothing does, but something that was asked did not answer."""
    if any(each.state == FAIL for each in findings):
        return Exit.NO
    return Exit.TARGET if any(each.state == UNKNOWN and not each.untried for each in findings) else Exit.OK


def unneeded(findings: Sequence[Finding], accepted: Iterable[Acceptance]) -> list[tuple[Acceptance, bool]]:
    """Acceptances that no finding takes, each with whether there is such a control at all."""
    of = {name: each for each in findings for name in each.names}
    rows = [(each, of.get(each.control.lower())) for each in accepted]
    return [(row, found is not None) for row, found in rows if found is None or found.state == PASS]
