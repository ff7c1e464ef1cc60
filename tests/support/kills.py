"""Death before a chosen line: how a test stops a process at each line that it executes."""

import os
import signal
import sys
from collections.abc import Collection
from pathlib import Path
from types import FrameType
from typing import Any


def die_before(number: int, *, of: Collection[str], report: int) -> None:
    """From now on, SIGKILL this process before the `number`-th line that it executes of the files `of`.

    The line is written to the descriptor `report` first, as "file.py:12". `sys.settrace(None)` calls it off.
    """
    left = number

    def on_line(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if not left:
                os.write(report, f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}".encode())
                os.kill(os.getpid(), signal.SIGKILL)
        return on_line

    sys.settrace(lambda frame, _event, _argument: on_line if frame.f_code.co_filename in of else None)
