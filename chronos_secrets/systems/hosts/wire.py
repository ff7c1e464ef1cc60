"""What goes through the pipes to a shell elsewhere, so that a program there runs as if it were here. Pure.

The command line over there is one constant, `BOOTSTRAP`: whatever login shell, container engine or sudo stands between,
there is nothing in it to quote wrongly and nothing for a list of processes to show. It says `READY`, and only then is
anything sent: what fails before has done nothing and seen nothing, what fails later may have done all of it. Program,
arguments and environment are the first line of standard input; a POSIX shell reads a line from a pipe byte by byte, so
that the rest of the input is left for the program. Words of our own on both output streams say where the program's
output begins and how it ended: its exit status is never mistaken for one of ssh, sudo or an engine.
"""

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import NamedTuple

READY = b"_chronos_ready\n"
BOOTSTRAP = ("sh", "-c", 'echo _chronos_ready; IFS= read -r _chronos_line && eval "$_chronos_line"')

_LONGEST_GREETING = 65536  # bytes of a piece in which the mark is looked for
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NEWLINE = b"_chronos_lf=$(printf '\\012x');_chronos_lf=${_chronos_lf%x}"
# `exec` in a subshell always means the program, never a shell's own command of that name. `timeout` ends what nobody
# waits for any more: neither ssh without a terminal nor an engine does. What the shell itself says ("Killed") is no
# word of the program's. Input that the program left is read to its end: podman, cut off while it hands input on, may
# forget the last of the output.
_RUN = (
    b'_chronos_say() { printf \'%s%s\\n\' "$_chronos_mark" "$1"; }',
    b"_chronos_say ' begins'",
    b"_chronos_say ' begins' >&2",
    b"exec 9>&2 2>/dev/null",
    b'_chronos_there=$(command -v "$1")',
    b'case $_chronos_there in /*) [ -f "$_chronos_there" ] && [ -x "$_chronos_there" ] || _chronos_there= ;; esac',
    b"[ -n \"$_chronos_there\" ] || { _chronos_say ' absent' >&9; cat > /dev/null; exit 0; }",
    b"_chronos_limit=$(command -v timeout)",
    b'( exec 2>&9 9>&-; [ -z "$_chronos_limit" ] || exec timeout "$_chronos_seconds" "$@"; exec "$@" )',
    b'_chronos_say " $?" >&9',
    b"cat > /dev/null",
    b"exit 0",
)


class Reply(NamedTuple):
    """What came back: how it ended, and the program's own words."""

    end: str | None  # a status, or "absent", or None where the talk was cut
    out: bytes
    err: bytes


def opening(argv: Sequence[str], environment: Mapping[str, bytes], *, timeout: float, mark: str) -> bytes:
    """The first line of input. `mark` is a word that the program's output does not hold by chance."""
    exports = (b"export %s=%s" % (name.encode(), _quoted(value)) for name, value in environment.items())
    words = b" ".join(_quoted(os.fsencode(word)) for word in argv)
    own = b"_chronos_mark=%s;_chronos_seconds=%d" % (shlex.quote(mark).encode(), ceil(timeout))
    return b";".join((b"unset _chronos_line", _NEWLINE, own, *exports, b"set -- " + words, *_RUN)) + b"\n"


def parse(out: bytes, err: bytes, *, mark: str) -> Reply:
    """Separate the program's words from those that a login script, ssh or an engine added around them."""
    begins = f"{mark} begins\n".encode()
    said, _, end = err.partition(begins)[2].rpartition(f"{mark} ".encode())
    found = re.match(rb"([0-9]{1,3}|absent)\n", end)
    return Reply(found[1].decode() if found else None, out.partition(begins)[2], said)


def heard(mark: str, hear: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Hands `hear` the program's own output out of all that comes on the first stream, piece by piece."""
    begins, before = f"{mark} begins\n".encode(), bytearray()
    begun = False

    def listen(piece: bytes) -> None:
        nonlocal begun
        if not begun:
            before.extend(piece)
            del before[:-_LONGEST_GREETING]
            _, found, piece = bytes(before).partition(begins)
            begun = bool(found)
            if not piece:
                return
        hear(piece)

    return listen


def is_name(name: str) -> bool:
    """Whether a shell can hand on an environment variable of this name."""
    return _NAME.fullmatch(name) is not None


def _quoted(data: bytes) -> bytes:
    """The bytes as one word of a shell that fits on one line."""
    return b"'" + data.replace(b"'", b"'\"'\"'").replace(b"\n", b"'\"$_chronos_lf\"'") + b"'"
