"""The keyring that may remember the vault's password. It is never asked for the password, so nothing is prompted."""

from collections.abc import Iterator

from chronos_secrets.errors import Refused, TargetFailed
from chronos_secrets.review.doctor.machine import Line, Machine, note, ok, wrong
from chronos_secrets.vault import keyrings, remembered


def examine(machine: Machine) -> Iterator[Line]:
    """What is remembered, and whether it could be had; where nothing is, whether anything could be."""
    mark = remembered.mark(machine.project.settings.state_folder) if machine.project else None
    if mark is None:
        yield _possible()
    elif not mark.asked:
        yield wrong(f"{mark.title} may still hold a password that was to be forgotten", fix="chronos-secrets forget")
    else:
        yield _reachable(mark)


def _possible() -> Line:
    try:
        title = keyrings.choose().title
    except Refused as error:
        return note(error.message)
    except TargetFailed:
        return ok("none here: the password is typed, or handed over", "--password-file, --password-fd or systemd")
    return ok(f"nothing is remembered; {title} could", "chronos-secrets unlock --remember")


def _reachable(mark: remembered.Mark) -> Line:
    try:
        keyrings.reach(mark.keyring)
    except (Refused, TargetFailed) as error:
        return wrong(
            f"the password is remembered where it cannot be had: {error.message}",
            fix="chronos-secrets unlock --remember    # or: chronos-secrets forget",
        )
    return ok(f"{mark.title} remembers the password", "chronos-secrets forget ends that")
