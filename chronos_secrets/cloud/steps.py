"""A plan as steps, and what does them: each may run twice, and one that fails leaves out those that need it."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from chronos_secrets.cloud.difference import Limit
from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems.aws.refusals import Gone, SignInNeeded

T = TypeVar("T")


class Step(NamedTuple):
    """One change: of what, which setting, its lines, and what does it. `needs` are settings of the same subject that
    must not have failed before it."""

    subject: str
    setting: str
    lines: tuple[str, ...]
    do: Callable[[], None]
    needs: tuple[str, ...] = ()


class Note(NamedTuple):
    """Something about a subject that a person should know, and that is no change."""

    subject: str
    text: str


class Unknown(NamedTuple):
    """A setting that could not be looked at, and why."""

    subject: str
    setting: str
    error: TargetFailed


class Plan(NamedTuple):
    """What lies between what should be and what is.

    `stuck` is what differs and no step puts right. `limits` are steps that shorten the life of data which is there.
    `deep` says that objects would begin to move to Deep Archive.
    """

    steps: tuple[Step, ...]
    stuck: tuple[Note, ...]
    kept: tuple[Note, ...]
    unknown: tuple[Unknown, ...]
    limits: tuple[Limit, ...]
    deep: bool


class Done(NamedTuple):
    """What became of a step: `error` is what stopped it, `skipped` the setting whose failure left it out."""

    step: Step
    error: TargetFailed | None = None
    skipped: str = ""

    @property
    def is_good(self) -> bool:
        return self.error is None and not self.skipped


class Draft:
    """A plan that is being made."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.stuck: list[Note] = []
        self.kept: list[Note] = []
        self.unknown: list[Unknown] = []
        self.limits: list[Limit] = []
        self.deep = False

    def known(self, subject: str, setting: str, look: Callable[[], T]) -> tuple[T] | None:
        """What looking at a setting shows; None where that is not known, which stops no other. Raises SignInNeeded."""
        try:
            return (look(),)
        except (Gone, SignInNeeded):
            raise
        except TargetFailed as error:
            self.unknown.append(Unknown(subject, setting, error))
            return None

    def step(self, subject: str, setting: str, lines: Iterable[str], do: Callable[[], None], *needs: str) -> None:
        """Add a step where there is something to do."""
        if told := tuple(lines):
            self.steps.append(Step(subject, setting, told, do, needs))

    def plan(self) -> Plan:
        return Plan(
            tuple(self.steps), tuple(self.stuck), tuple(self.kept), tuple(self.unknown), tuple(self.limits), self.deep
        )  # fmt: skip


def apply(found: Plan, say: Callable[[Step], None]) -> Iterator[Done]:
    """Do the steps of a plan, in its order; `say` hears of each before it is done.

    One that fails leaves out those that need it, and no other. A session that ended leaves out all that follow.
    """
    bad = {(each.subject, each.setting) for each in found.unknown}
    ended: SignInNeeded | None = None
    for step in found.steps:
        broken = next((each for each in step.needs if (step.subject, each) in bad), "")
        done = Done(step, skipped=broken) if broken else Done(step, ended) if ended else _done(step, say)
        if not done.is_good:
            bad.add((step.subject, step.setting))
        if isinstance(done.error, SignInNeeded):
            ended = done.error
        yield done


def _done(step: Step, say: Callable[[Step], None]) -> Done:
    say(step)
    try:
        step.do()
    except TargetFailed as error:
        return Done(step, error)
    return Done(step)
