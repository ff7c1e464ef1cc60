"""What a commit's message will say: the file that git hands to its commit-msg hook, without what git takes out."""

import os

from chronos_secrets.scan import git
from chronos_secrets.scan.found import Piece, Trouble

MESSAGE = b"COMMIT_EDITMSG"
"""The path that the pieces of a commit's message have."""

_SCISSORS = b" ------------------------ >8 ------------------------"
_AUTOMATIC = b"#;@!$%^&|:"
"""What git chooses from with `core.commentChar=auto` (builtin/commit.c)."""


def message(path: "bytes | str") -> Piece:
    """The text of the message in a file, with the line numbers of the file.

    Comment lines and everything below the scissors are left out, but comment lines only where git takes them out: not
    after `commit -m` (git then tells its hooks that no editor runs) and not with a `commit.cleanup` that keeps them.
    Raises Trouble where the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        reason = (error.strerror or "unknown").lower()
        raise Trouble(f"the message of the commit cannot be read: {reason}", hint="git status") from None
    return _kept(text, *_comments(text))


def _kept(text: bytes, comment: bytes, leaves_comments: bool) -> Piece:
    kept: list[bytes] = []
    numbers: list[int] = []
    for number, line in enumerate(text.replace(b"\r\n", b"\n").split(b"\n"), 1):
        if line.startswith(comment + _SCISSORS):
            break
        if leaves_comments or not line.startswith(comment):
            kept.append(line)
            numbers.append(number)
    return Piece(MESSAGE, b"\n".join(kept), via="message", numbers=numbers)


def _comments(text: bytes) -> tuple[bytes, bool]:
    """What a comment line begins with, and whether comment lines stay."""
    found = git.output("config", "-z", "--get-regexp", r"^(core\.comment(char|string)|commit\.cleanup)$", accepted=(1,))
    settings = dict(each.partition(b"\n")[::2] for each in found.split(b"\0") if each)
    comment = settings.get(b"core.commentstring") or settings.get(b"core.commentchar") or b"#"
    cleanup = settings.get(b"commit.cleanup", b"default")
    edited = os.environ.get("GIT_EDITOR") != ":"
    stays = cleanup in (b"verbatim", b"whitespace", b"scissors") or (cleanup != b"strip" and not edited)
    return (_chosen(text) if comment == b"auto" else comment), stays


def _chosen(text: bytes) -> bytes:
    """The comment character that git chose for this message: that of the scissors or else of the last lines."""
    for line in reversed(text.split(b"\n")):
        if line[:1] and line[:1] in _AUTOMATIC and line[1:2] in (b"", b" ", b"\t"):
            return line[:1]
    return b"#"
