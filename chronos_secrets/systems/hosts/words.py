"""What hosts say to a person: the one failure that callers must tell apart, and other programs' words made safe."""

from chronos_secrets.errors import TargetFailed

_LONGEST = 200  # characters of another program's words


class CutOff(TargetFailed):
    """The host went away, or the time ran out, after the program had begun: what it did is not known."""


def last_words(said: bytes) -> str:
    """The last line that says anything, without what a terminal would obey."""
    lines = [line.strip() for line in said.decode(errors="backslashreplace").splitlines() if line.strip()]
    words = lines[-1] if lines else "it said nothing"
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in words)[:_LONGEST]
