"""No pgbackrest.conf is written that pgBackRest would refuse, or accept and do something else.

Nor one that leads it to another repository than the file before: backups would go where nobody looks, and the ones that
exist would not be found, or not be readable.
"""

import re
from collections.abc import Iterator

from chronos_secrets.errors import ConfigRefused, Refused
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.pgbackrest import binary, lint
from chronos_secrets.render.plan import Plan

_REPO = re.compile(r"repo(\d*)-(type|path|cipher-type|cipher-pass|s3-bucket)")
_DEFAULTS = {"type": "posix", "path": "/var/lib/pgbackrest", "cipher-type": "none", "cipher-pass": "", "s3-bucket": ""}


def refuse_faulty(plan: Plan, inventory: Inventory) -> None:
    """Check a destination of the dialect pgbackrest by our own rules, and by the real program where it is installed.

    Raises ConfigRefused with every problem; other dialects pass.
    """
    if plan.draft.destination.dialect != "pgbackrest":
        return
    stanza = inventory.pgbackrest.stanza if inventory.pgbackrest else None
    problems = lint.lint(plan.content.reveal(), stanza=stanza)
    if not problems and stanza is not None:
        problems = binary.lint_with_binary(plan.content, stanza=stanza) or []
    if problems:
        raise ConfigRefused(
            f"{plan.draft.destination.id} would not be a working pgbackrest.conf; nothing was changed",
            details=[_line(problem) for problem in problems],
            hint="correct its template or the sections pgbackrest, postgres and cloud of the inventory",
        )


def _line(problem: lint.Problem) -> str:
    where = f"line {problem.line}: " if problem.line else ""
    return f"{where}{problem.message}; {problem.fix}" if problem.fix else f"{where}{problem.message}"


def refuse_repo_change(plan: Plan) -> None:
    """Raises Refused for a pgbackrest.conf whose stanza, repository or cipher is another than in the file before.

    It says old and new, of a passphrase only that it is another. A file without a stanza holds nothing to protect.
    """
    if plan.draft.destination.dialect != "pgbackrest" or plan.current.content is None or not plan.drifted:
        return
    old = _settings(plan.current.content.reveal_bytes().decode(errors="replace"))
    new = _settings(plan.content.reveal())
    if changes := list(_changes(old, new)):
        options = "--accept-repo-change" if plan.current.ours else "--accept-repo-change --adopt"
        raise Refused(
            f"{plan.where} would lead pgBackRest to another repository; nothing was changed",
            details=changes,
            hint=f"chronos-secrets render {options} {plan.draft.destination.id}    # if that is meant",
        )


def _changes(old: dict[str, dict[str, str]], new: dict[str, dict[str, str]]) -> Iterator[str]:
    """What is another, as lines for a person. A repository that only the new file has is none."""
    stanzas, wanted = sorted(filter(None, old)), sorted(filter(None, new))
    if stanzas and stanzas != wanted:
        yield f"stanza {', '.join(stanzas)} becomes {', '.join(wanted) or 'none'}"
    seen = set()
    for stanza, before in old.items():
        after = new.get(stanza) or next(iter(new.values()), {})
        for key, was in before.items():
            now = after.get(key, "")
            if was != now and key not in seen:
                seen.add(key)
                secret = key.endswith("-cipher-pass")
                yield f"{key} is another one" if secret else f"{key} {was or 'none'} becomes {now or 'none'}"


def _settings(text: str) -> dict[str, dict[str, str]]:
    """What the file says of its repositories, for each stanza; for "" where it names none."""
    sections: dict[str, dict[str, str]] = {}
    here: dict[str, str] = {}
    for line in (line.strip() for line in text.split("\n")):
        key, equals, value = (part.strip() for part in line.partition("="))
        if line.startswith("[") and line.endswith("]"):
            here = sections.setdefault(line[1:-1].partition(":")[0], {})
        elif equals and (found := _REPO.fullmatch(key)):
            here[f"repo{found[1] or 1}-{found[2]}"] = value  # without a number is the old spelling
    common = sections.pop("global", {})
    if common and not sections:
        sections[""] = {}
    return {name: _filled(common | own) for name, own in sections.items()}


def _filled(settings: dict[str, str]) -> dict[str, str]:
    """With what pgBackRest takes where the file says nothing."""
    numbers = {"repo1", *(key.partition("-")[0] for key in settings)}
    return {f"{number}-{key}": value for number in numbers for key, value in _DEFAULTS.items()} | settings
