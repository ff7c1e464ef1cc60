"""The hooks of the repository that one works in: is what is committed and pushed there scanned for secrets?"""

import os
from collections.abc import Iterator

from chronos_secrets.review.doctor.machine import Line, Machine, ok, wrong
from chronos_secrets.scan import githooks, shim
from chronos_secrets.scan.found import Trouble
from chronos_secrets.scan.githooks import FOREIGN, MISSING, OFF, PROTECTED, STALE, Hook, Place
from chronos_secrets.systems import files

_INSTALL = "chronos-secrets hook install"
_STATES = {MISSING: "missing", FOREIGN: "not ours", OFF: "not executable", STALE: "of another installation"}


def examine(machine: Machine) -> Iterator[Line]:
    """What stands where git looks for hooks; nothing is asked outside a repository."""
    if files.work_tree(machine.folder) is None:
        yield ok("not in a git repository")
        return
    try:
        at = githooks.place(os.fspath(machine.folder))
        hooks = githooks.status(at, shim.installation())
    except Trouble as trouble:
        yield wrong(trouble.message, fix=trouble.hint)
        return
    yield _judged(at, hooks)


def _judged(at: Place, hooks: list[Hook]) -> Line:
    if at.is_nowhere:
        where = f"--{at.scope} " if at.scope != "command" else ""
        fix = f"git config {where}--unset core.hooksPath && {_INSTALL}"
        return wrong("git is told to run no hooks here, so nothing is scanned", fix=fix)
    bare = [f"{hook.name} is {_STATES[hook.state]}" for hook in hooks if hook.state not in PROTECTED]
    if bare:
        return wrong(f"not all that is committed or pushed here is scanned: {', '.join(bare)}", fix=_INSTALL)
    return ok("commits and pushes are scanned", at.folder)
