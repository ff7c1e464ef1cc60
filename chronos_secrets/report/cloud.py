"""What lies between the inventory and the cloud, as lines and as JSON. No line has the number of the own account."""

import re
from collections.abc import Iterator, Mapping

from chronos_secrets import amounts
from chronos_secrets.cloud.difference import Limit
from chronos_secrets.cloud.provision import Older
from chronos_secrets.cloud.steps import Done, Plan, Step

_ACCOUNT = "ACCOUNT"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
JsonRow = dict[str, object]


def size(number: int) -> str:
    """So many bytes, with the unit that makes it readable."""
    power = min(max(number.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    return f"{number / 1024**power:.1f} {_UNITS[power]}" if power else f"{number} B"


def lines(plan: Plan, account: str) -> list[str]:
    """A plan: below each subject its settings, and below these what would go and what would come."""
    return [_hidden(line, account) for line in _lines(plan)]


def _hidden(text: str, account: str) -> str:
    """Without the account's number, but where it is a part of a name, as of a bucket: names are not changed."""
    return re.sub(rf"(?<![\w.-]){re.escape(account)}(?![\w.-])", _ACCOUNT, text)


def _lines(plan: Plan) -> Iterator[str]:
    named = [each.subject for each in plan.steps] + [each.subject for each in (*plan.stuck, *plan.kept)]
    for subject in dict.fromkeys([*named, *(each.subject for each in plan.unknown)]):
        yield subject
        for step in plan.steps:
            if step.subject == subject:
                yield f"  {step.setting}"
                yield from (f"    {line}" for line in step.lines)
        yield from (f"  differs, and stays: {each.text}" for each in plan.stuck if each.subject == subject)
        yield from (
            f"  not known: {each.setting}: {each.error.message}" for each in plan.unknown if each.subject == subject
        )
        yield from (f"  kept, not ours: {each.text}" for each in plan.kept if each.subject == subject)


def summary(plan: Plan) -> str:
    """How much there is to do, in one sentence."""
    number = len(plan.steps)
    if number:
        return f"{number} {'setting differs' if number == 1 else 'settings differ'} from the inventory"
    return "nothing can be changed" if plan.stuck or plan.unknown else "nothing to do"


def limit(what: Limit, found: Older | None, versioning: bool) -> str:
    """What one limit would end, as a sentence. `versioning` is whether the bucket keeps old versions; None is what
    nobody could count."""
    if found is None:
        return _uncounted(what)
    many = f"{amounts.counted(found.number, 'object')}, {size(found.size)}"
    if what.what == "versioning":
        return f"versioning would be suspended: what overwrites or deletes one of {many}, ends it for good"
    before = "never" if what.before is None else f"{what.before} days"
    if what.what == "noncurrent":
        return f"noncurrent: {before} -> {what.days} days: of old versions, {many} are older and would be deleted"
    after = "would get a delete marker and count as noncurrent" if versioning else "would be deleted for good"
    return f"expire: {before} -> {what.days} days: {many} are older and {after}"


def _uncounted(what: Limit) -> str:
    if what.what == "versioning":
        return "versioning would be suspended; how much is there could not be counted"
    before = "never" if what.before is None else f"{what.before} days"
    return f"{what.what}: {before} -> {what.days} days; how much is older could not be counted"


def document(plan: Plan, counted: Mapping[Limit, Older | None], account: str) -> JsonRow:
    """A plan as JSON."""
    return {
        "changes": [_change(each, account) for each in plan.steps],
        "stuck": [{"subject": each.subject, "why": each.text} for each in plan.stuck],
        "kept": [{"subject": each.subject, "what": _hidden(each.text, account)} for each in plan.kept],
        "unknown": [
            {"subject": each.subject, "setting": each.setting, "why": each.error.message} for each in plan.unknown
        ],
        "limits": [
            {"what": each.what, "days": each.days or None, "before": each.before,
             "older": found.number if found else None, "older_bytes": found.size if found else None}
            for each, found in counted.items()
        ],
    }  # fmt: skip


def _change(step: Step, account: str) -> JsonRow:
    hidden = [_hidden(line, account) for line in step.lines]
    return {"subject": step.subject, "setting": step.setting, "lines": hidden}


def outcome(done: Done) -> str:
    """What became of a step that was not done."""
    why = done.error.message if done.error else f"left out, for it needs the {done.skipped}"
    return f"{done.step.subject}: {done.step.setting}: {why}"
