"""A screen that nobody sees, with a clipboard that programs share."""

import contextlib
import os
import subprocess
from collections.abc import Iterator

from tests.support.programs import require

_COPY = ("xclip", "-selection", "clipboard", "-in")
_PASTE = ("xclip", "-selection", "clipboard", "-out")


@contextlib.contextmanager
def screen() -> Iterator[str]:
    """An X server of its own; what DISPLAY says to its programs."""
    ours, theirs = os.pipe()
    command = (require("Xvfb"), "-displayfd", str(theirs), "-screen", "0", "640x480x24", "-nolisten", "tcp", "-noreset")
    with subprocess.Popen(command, pass_fds=(theirs,), stderr=subprocess.DEVNULL) as server:
        os.close(theirs)
        try:
            with os.fdopen(ours) as told:
                yield f":{told.readline().strip()}"
        finally:
            server.terminate()


def copy(content: bytes) -> None:
    """Copy as any program does: xclip stays behind to answer, and ends when another program copies."""
    subprocess.run(_COPY, input=content, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def paste() -> bytes:
    """What pasting gives now; nothing where there is nothing."""
    return subprocess.run(_PASTE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout
