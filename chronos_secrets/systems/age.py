"""The age program: encrypts a file to a recipient, whose identity lies elsewhere."""

from pathlib import Path

from chronos_secrets.errors import TargetFailed, VaultLocked, VaultUnreadable
from chronos_secrets.systems import answers, process

_TIMEOUT = 60.0  # seconds
_LIMIT = 1024 * 1024 * 1024  # bytes
_NOT_OURS = "no identity matched any of the recipients"
_BAD_IDENTITY = ("reading ", "could not read passphrase", "malformed", "unknown identity")
_INSTALL = "apt-get install age"


def seal(content: bytes, recipient: str) -> bytes:
    """`content` encrypted to `recipient` (age1…). Raises TargetFailed."""
    ran = _age("--encrypt", "--recipient", recipient, content=content)
    if ran.status:
        raise TargetFailed(f"age cannot encrypt to {recipient}: {_words(ran)}", hint="correct age in the inventory")
    return ran.out


def unseal(content: bytes, identity: Path) -> bytes:
    """What `seal` was given.

    Raises VaultLocked when the identity file cannot be used or is not the recipient's, VaultUnreadable for damaged
    content, TargetFailed when there is no age program.
    """
    ran = _age("--decrypt", "--identity", str(identity), content=content)
    if not ran.status:
        return ran.out
    said = _words(ran)
    if _NOT_OURS in said:
        raise VaultLocked(
            f"the age identity {identity} is not the one that it was encrypted to", hint=f"age-keygen -y {identity}"
        )
    if said.startswith(_BAD_IDENTITY):
        raise VaultLocked(f"the age identity {identity} cannot be used: {said}")
    raise VaultUnreadable(f"age cannot decrypt it: {said}")


def _age(*arguments: str, content: bytes) -> process.Ran:
    try:
        return process.capture(("age", *arguments), stdin=content, timeout=_TIMEOUT, limit=_LIMIT)
    except process.TimedOut:
        raise
    except TargetFailed as error:
        raise TargetFailed(error.message, hint=_INSTALL) from error


def _words(ran: process.Ran) -> str:
    """The first line of what age said; the second asks to report unhelpful errors."""
    lines = ran.err.decode(errors="replace").splitlines()
    return answers.words(lines[0].removeprefix("age: error: ")) if lines else f"status {ran.status}"
