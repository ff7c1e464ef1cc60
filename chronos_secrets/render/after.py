"""The commands that follow a written destination.

What is still to be run is noted on disk before the file is replaced: a run that was cut short, or whose command failed,
is finished by running `render` again, even though the file itself is then up to date.
"""

from collections.abc import Iterable
from pathlib import Path

from chronos_secrets.errors import Refused, TargetFailed
from chronos_secrets.render.destinations import Plan
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
        """Run what is due, in `folder`. Raises TargetFailed at the first command that fails; the files are kept."""
        for each in plans:
            destination = each.draft.destination
            mark = self._folder / destination.id
            if not mark.exists():
                continue
            for argv in destination.after:
                try:
                    process.run(argv, folder=folder, timeout=_TIMEOUT)
                except TargetFailed as error:
                    raise TargetFailed(
                        f"{each.path} is written, but its after: command failed: {error.message}",
                        hint=f"chronos-secrets render {destination.id}    (runs the command again)",
                    ) from error
            mark.unlink(missing_ok=True)
