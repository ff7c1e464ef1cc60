"""What masking costs: 2 MB on a terminal through the relay of `run`, against a relay that only copies (`pty.spawn`).

`row` is for the table that `tests.benchmarks.run` writes. Both relays run in turns, in one process each, in front of a
terminal that is read as fast as it can be; only the time of the relay is taken, with the program that prints.
"""

import os
import random
import statistics
import string
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).parents[2]
SIZE = 2_000_000  # bytes
SECRETS = 20
_TIMED = """
import sys, time
before = time.perf_counter()
{}
with open(sys.argv[2], "w") as file:
    file.write(str(time.perf_counter() - before))
"""
_BARE = "import pty\n" + _TIMED.format("pty.spawn(['cat', sys.argv[1]])")
_MASKED = """
from chronos_secrets.secret import Secret
from chronos_secrets.systems import relay
from tests.benchmarks.relay import values
""" + _TIMED.format("relay.run(['cat', sys.argv[1]], {}, [Secret(value) for value in values()])")


class Times(NamedTuple):
    """Seconds (medians) for the same output."""

    masked: float
    bare: float


def row(runs: int = 9) -> tuple[str, float, str]:
    """What, measured ratio, goal: a row of the table of ratios."""
    times = measure(runs)
    return (
        f"`run`: {SIZE // 1_000_000} MB on a terminal with {SECRETS} values, over `pty.spawn`",
        times.masked / times.bare,
        "3",
    )


def measure(runs: int) -> Times:
    """Take turns, so that a machine whose speed drifts slows both alike."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text")
        text.write_bytes(_text())
        taken = {program: list[float]() for program in (_MASKED, _BARE)}
        for _ in range(runs):
            for program, seconds in taken.items():
                seconds.append(_seconds(program, text))
    return Times(*(statistics.median(seconds) for seconds in taken.values()))


def values() -> list[str]:
    """Made-up values as they are usually generated."""
    chance = random.Random(20)
    letters = string.ascii_letters + string.digits + "-_.~"
    return ["".join(chance.choice(letters) for _ in range(32)) for _ in range(SECRETS)]


def _text() -> bytes:
    """Lines of words, with a value here and there."""
    chance = random.Random(2)
    words = ["".join(chance.choice(string.ascii_lowercase) for _ in range(chance.randint(2, 9))) for _ in range(3000)]
    lines = (" ".join(chance.choice(words) for _ in range(12)) for _ in range(SIZE // 40))
    hidden = values()
    return "\n".join(line if n % 500 else f"{line} {chance.choice(hidden)}" for n, line in enumerate(lines)).encode()[
        :SIZE
    ]


def _seconds(program: str, text: Path) -> float:
    ours, theirs = os.openpty()
    settings = termios.tcgetattr(theirs)
    settings[1] &= ~termios.OPOST
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    taken = text.with_name("taken")
    command = (sys.executable, "-c", program, str(text), str(taken))
    environment = {**os.environ, "PYTHONPATH": str(TOP)}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    os.close(theirs)
    shown = 0
    while part := _read(ours):
        shown += len(part)
    os.close(ours)
    if process.wait() != 0 or shown < SIZE * 0.9:
        raise SystemExit(f"the relay failed: {shown} bytes came")
    return float(taken.read_text())


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how the end of a terminal is said
        return b""


if __name__ == "__main__":
    sys.stdout.write(f"{row()}\n{measure(9)}\n")
