"""The commands that follow a written destination, on the host that the file is on.

What is still to be run is noted on disk before the file is replaced: a run that was cut short, or whose command failed,
is finished by running `render` again, even though the file itself is then up to date.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from chronos_secrets.errors import Refused, TargetFailed
from chronos_secrets.render.plan import Plan
from chronos_secrets.systems import files, process

_TIMEOUT = 300.0  # seconds for one command


class Pending:
    """The destinations whose `after` commands have not succeeded yet; one empty file each in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, plans: Iterable[Plan]) -> None:
        """Remember what is about to be replaced. Raises Refused when that cannot be remembered."""
        for each in plans:
            if each.draft.destination.after:
                try:
                    (files.private_folder(self._folder) / each.draft.destination.id).touch(mode=0o600)
                    files.sync_folder(self._folder)
                except OSError as error:
                    reason = files.reason(error)
                    raise Refused(
                        f"the state folder {self._folder} cannot be written: {reason}; nothing was changed",
                        hint=f"df -h {self._folder.parent}; ls -ld {self._folder.parent}",
                    ) from error

    def waits(self, plan: Plan) -> bool:
        """Whether a destination was written and its commands have not succeeded yet."""
        return bool(plan.draft.destination.after) and (self._folder / plan.draft.destination.id).exists()

    def run(self, plans: Iterable[Plan], *, folder: Path) -> None:
        """Run what is due: here in `folder`, on another host in the folder of a login.

        Raises TargetFailed at the first command that fails; the files are kept.
        """
        for each in plans:
            destination = each.draft.destination
            mark = self._folder / destination.id
            if not mark.exists():
                continue
            for argv in destination.after:
                try:
                    _run(each, argv, folder)
                except TargetFailed as error:
                    raise TargetFailed(
                        f"{each.where} is written, but its after: command failed: {error.message}",
                        details=[] if each.host is None else [f"by hand: {each.host.paste(argv)}"],
                        hint=f"chronos-secrets render {destination.id}    # runs the command again",
                    ) from error
            mark.unlink(missing_ok=True)


def _run(plan: Plan, argv: Sequence[str], folder: Path) -> None:
    if plan.host is None:
        process.run(argv, folder=folder, timeout=_TIMEOUT)
        return
    ran = plan.host.run(argv, timeout=_TIMEOUT)
    if ran.status != 0:  # its words are not repeated: it may print the file
        raise TargetFailed(f"{argv[0]} on {plan.host.name} failed with status {ran.status}")
