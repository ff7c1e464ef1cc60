"""The password that this machine's keyring remembers for a project's vault.

Which keyring that is stands in a small file in the project's state folder (`Mark`), which holds no secret: where there
is none, no keyring is asked, and none is imported.
"""

import contextlib
import json
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import ChronosError, Refused, TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.settings import APPLICATION
from chronos_secrets.systems import files
from chronos_secrets.vault import keyrings
from chronos_secrets.vault.keyrings import Keyring

_MARK = "remembered"


class Mark(NamedTuple):
    """What is known without asking: which keyring, the name (the vault's id) in it, and whether it is to be asked.

    It is not to be asked where `forget` could not reach it.
    """

    keyring: str
    user: str
    asked: bool = True

    @property
    def title(self) -> str:
        """What a person calls the keyring."""
        return keyrings.TITLES[self.keyring]


def mark(state: Path) -> Mark | None:
    """What is remembered for the project whose state folder this is; None if nothing. Raises Refused."""
    path = state / _MARK
    try:
        row = json.loads(path.read_bytes())
        found = Mark(str(row["keyring"]), str(row["user"]), bool(row["asked"]))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {files.reason(error)}") from error
    except (ValueError, LookupError, TypeError):
        found = None
    if found is None or found.keyring not in keyrings.TITLES:
        raise Refused(f"{path} does not say which keyring remembers the password", hint=f"rm {path}")
    return found


def remember(keyring: Keyring, state: Path, vault_id: str, password: Secret) -> Mark:
    """Let a keyring remember a password that opens the vault, and read it back as later commands will.

    What another keyring or another name held for this project is forgotten first. Raises TargetFailed, Refused; what
    was remembered before is then as it was, or gone.
    """
    before, now = _known(state), Mark(keyring.name, vault_id)
    if before is not None and before[:2] != now[:2]:
        forget(state)
        before = None
    _write(state, now)  # first: what a killed run leaves in the keyring must be known to `forget`
    try:
        keyring.set(_service(state), now.user, password)
    except ChronosError:
        _restore(state, before)
        raise
    try:
        if recall(state, now) != password:
            raise TargetFailed(f"{now.title} did not give back the password that it was given", hint=keyrings.INSTEAD)
    except ChronosError:
        with contextlib.suppress(ChronosError):
            forget(state)
        raise
    return now


def recall(state: Path, found: Mark) -> Secret | None:
    """The password that the keyring of `found` remembers; None if it holds none. Raises TargetFailed, Refused."""
    return keyrings.reach(found.keyring).get(_service(state), found.user)


def forget(state: Path) -> Mark | None:
    """Remove the remembered password from its keyring; what was known of it, or None where nothing was remembered.

    Raises TargetFailed where the keyring cannot be reached: it is then not asked any more, and `forget` may run again.
    """
    found = mark(state)
    if found is None:
        return None
    _write(state, found._replace(asked=False))
    try:
        _delete(keyrings.reach(found.keyring), _service(state), found.user)
    except ChronosError as error:
        raise TargetFailed(
            f"{error.message}; it is not asked any more, but may still hold the password",
            hint=f"chronos-secrets forget    # once it can be reached; if that keyring is gone: rm {state / _MARK}",
        ) from error
    _unlink(state)
    return found


def _delete(keyring: Keyring, service: str, user: str) -> None:
    if keyring.get(service, user) is None:
        return
    keyring.delete(service, user)
    if keyring.get(service, user) is not None:
        raise TargetFailed(f"{keyring.title} did not remove the password")


def _service(state: Path) -> str:
    """The name of the service in the keyring: one for each project, whose name its state folder has."""
    return f"{APPLICATION}.{state.name}"


def _known(state: Path) -> Mark | None:
    """The mark, where it says anything; a damaged one is replaced."""
    with contextlib.suppress(Refused):
        return mark(state)
    return None


def _restore(state: Path, before: Mark | None) -> None:
    if before is None:
        _unlink(state)
    else:
        _write(state, before)


def _write(state: Path, now: Mark) -> None:
    try:
        files.write_durably(files.private_folder(state) / _MARK, json.dumps(now._asdict()).encode())
    except OSError as error:
        raise Refused(f"{state / _MARK} cannot be written: {files.reason(error)}") from error


def _unlink(state: Path) -> None:
    try:
        (state / _MARK).unlink(missing_ok=True)
        files.sync_folder(state)
    except OSError as error:
        raise Refused(f"{state / _MARK} cannot be removed: {files.reason(error)}") from error
