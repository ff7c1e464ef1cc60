"""The rclone program: files in a cloud storage that the user has configured as a remote (`rclone config`).

A remote here is "name:" or "name:folder". Its own checks are not used: whoever needs to know reads a file back.
"""

import re

from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems import answers, process

_LIMIT = 1024 * 1024 * 1024  # bytes
_ASK_TIMEOUT, _TRANSFER_TIMEOUT = 120.0, 900.0  # seconds
_OPTIONS = (
    "--ask-password=false", "--retries", "1", "--low-level-retries", "3", "--contimeout", "15s", "--timeout", "60s",
)  # fmt: skip
# rclone's S3 client fails on any AWS_CA_BUNDLE (it has --ca-cert for that); an empty one is as good as none.
_ENVIRONMENT = {"AWS_CA_BUNDLE": ""}
_NO_FOLDER, _NO_FILE = 3, 4  # rclone.org/docs: list of exit codes
_LOGGED = re.compile(r"^[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8} (?:[A-Z]+ *: )?", re.MULTILINE)


def names(remote: str) -> list[str]:
    """The names of the files in a remote's folder; none where there is no such folder. Raises TargetFailed."""
    ran = _rclone("lsf", "--files-only", "--max-depth", "1", remote, timeout=_ASK_TIMEOUT)
    if ran.status == _NO_FOLDER:
        return []
    _require(ran, f"the files of {remote} cannot be listed")
    return ran.out.decode(errors="surrogateescape").splitlines()


def put(remote: str, name: str, content: bytes) -> None:
    """Write a file; a folder that is not there is made. Raises TargetFailed, and what is there then is not known."""
    ran = _rclone("rcat", _joined(remote, name), content=content, timeout=_TRANSFER_TIMEOUT)
    _require(ran, f"{name} cannot be written to {remote}")


def rename(remote: str, name: str, new: str) -> None:
    """Give a file another name. Raises TargetFailed, also when the new name is another file's."""
    ran = _rclone("moveto", "--immutable", _joined(remote, name), _joined(remote, new), timeout=_TRANSFER_TIMEOUT)
    _require(ran, f"{new} cannot be written to {remote}")


def content(remote: str, name: str) -> bytes:
    """The content of a file. Raises TargetFailed."""
    ran = _rclone("cat", _joined(remote, name), timeout=_TRANSFER_TIMEOUT)
    if ran.status in (_NO_FOLDER, _NO_FILE):
        raise TargetFailed(f"there is no {name} in {remote}")
    _require(ran, f"{name} cannot be read from {remote}")
    if not ran.out and name not in names(remote):  # S3 has no folders: what is not there is an empty one to rclone
        raise TargetFailed(f"there is no {name} in {remote}")
    return ran.out


def remove(remote: str, name: str) -> None:
    """Remove a file. Raises TargetFailed, also when there is none."""
    ran = _rclone("deletefile", _joined(remote, name), timeout=_ASK_TIMEOUT)
    _require(ran, f"{name} cannot be removed from {remote}")


def _joined(remote: str, name: str) -> str:
    return f"{remote}{name}" if remote.endswith((":", "/")) else f"{remote}/{name}"


def _rclone(*arguments: str, content: bytes = b"", timeout: float) -> process.Ran:
    argv = ("rclone", *_OPTIONS, *arguments)
    try:
        return process.capture(argv, stdin=content, environment=_ENVIRONMENT, timeout=timeout, limit=_LIMIT)
    except process.TimedOut:
        raise
    except TargetFailed as error:
        raise TargetFailed(error.message, hint="apt-get install rclone") from error


def _require(ran: process.Ran, what: str) -> None:
    if ran.status:
        raise TargetFailed(f"{what}: {_words(ran)}", hint="rclone listremotes")


def _words(ran: process.Ran) -> str:
    """The last error of those that rclone logged, without time and level."""
    text = _LOGGED.sub("", ran.err.decode(errors="replace"))
    before, _, last = text.rpartition("last error was: ")
    if not before:
        last = text.rpartition("Failed to ")[2].partition(": ")[2] or text
    return answers.words(last) or f"status {ran.status}"
