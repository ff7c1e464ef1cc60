"""The user's own crontab, of which only the lines between our two marks are ours. Pure."""

from collections.abc import Sequence


class Unbalanced(ValueError):
    """A mark without its other half: nobody can tell which lines are ours."""


def ours(crontab: str, project: str) -> tuple[str, ...] | None:
    """The lines between our marks; None where there are no marks. Raises Unbalanced."""
    lines = _lines(crontab)
    found = _bounds(lines, project)
    return None if found is None else tuple(lines[found[0] + 1 : found[1]])


def with_ours(crontab: str, project: str, lines: Sequence[str]) -> str:
    """The same crontab with `lines` as ours, and without our marks where there are none. Raises Unbalanced."""
    all_lines = _lines(crontab)
    found = _bounds(all_lines, project)
    begin, end = _marks(project)
    block = [begin, *lines, end] if lines else []
    before, after = (all_lines, []) if found is None else (all_lines[: found[0]], all_lines[found[1] + 1 :])
    return "".join(f"{line}\n" for line in (*before, *block, *after))


def _lines(crontab: str) -> list[str]:
    """Its lines as cron has them: str.splitlines would break a person's line at a form feed, too."""
    return crontab.removesuffix("\n").split("\n") if crontab else []


def _marks(project: str) -> tuple[str, str]:
    mark = f"# chronos-secrets: {project}/timers"
    return f'{mark}: begin. Made by "chronos-secrets schedule install": edits are lost.', f"{mark}: end."


def _bounds(lines: Sequence[str], project: str) -> tuple[int, int] | None:
    """Where our marks stand; the words after them may change with the program."""
    mark = f"# chronos-secrets: {project}/timers: "
    begins = [number for number, line in enumerate(lines) if line.startswith(f"{mark}begin.")]
    ends = [number for number, line in enumerate(lines) if line.startswith(f"{mark}end.")]
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or begins[0] > ends[0]:
        raise Unbalanced
    return begins[0], ends[0]
