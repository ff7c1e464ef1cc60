"""`python -m chronos_secrets` and the console script."""

import contextlib
import os
import sys


def main() -> int:
    """Run the command line; returns the exit status (`chronos_secrets.errors.Exit`)."""
    _prepare_output()
    if sys.argv[1:] == ["--version"]:  # answered before anything else is imported
        from chronos_secrets import __version__

        sys.stdout.write(f"chronos-secrets {__version__}\n")
        return 0
    try:
        from chronos_secrets.cli.main import run

        status = run(sys.argv[1:])
    except KeyboardInterrupt:  # before `run` was there, or after it
        status = 130
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    os._exit(status)  # output is flushed and files are closed; taking the modules down one by one costs 5 % of a render


def _prepare_output() -> None:
    """Make closed descriptors harmless (a file we open must not become standard output), and any text printable."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            setattr(sys, name, open(opened, "r" if descriptor == 0 else "w", closefd=False))  # noqa: SIM115  it stays open
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a file name may be no UTF-8


if __name__ == "__main__":
    sys.exit(main())
