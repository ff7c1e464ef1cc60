"""Running a program: argv only, never a shell, always with a time-out."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems import files


def run(argv: Sequence[str], *, folder: Path, timeout: float) -> None:
    """Run a program in `folder`; what it prints goes to standard error, its input is empty.

    Raises TargetFailed when it cannot be started, fails, or takes longer than `timeout` seconds.
    """
    name = argv[0]
    try:
        status = subprocess.run(
            tuple(argv), cwd=folder, stdin=subprocess.DEVNULL, stdout=2, timeout=timeout, check=False
        ).returncode
    except OSError as error:
        raise TargetFailed(f"{name} could not be started: {files.reason(error)}") from error
    except subprocess.TimeoutExpired:
        raise TargetFailed(f"{name} did not end within {timeout:.0f} seconds") from None
    if status != 0:
        ended = f"failed with status {status}" if status > 0 else f"was ended by signal {-status}"
        raise TargetFailed(f"{name} {ended}")
