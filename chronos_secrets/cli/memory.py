"""What this machine remembers of a project between commands, and how it reaches the vault and comes back.

After every vault open or save, `remember` runs the steps of `AFTER_OPEN`, in that order; when a command that opened the
vault ends, `finish` runs those of `AT_THE_END`.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from chronos_secrets.cli import output
from chronos_secrets.errors import ChronosError, Refused
from chronos_secrets.review import dates as dates_of
from chronos_secrets.review import ticks
from chronos_secrets.settings import APPLICATION, xdg
from chronos_secrets.systems import files
from chronos_secrets.systems.history import Anchor, History

if TYPE_CHECKING:
    from chronos_secrets.cli.session import Session
    from chronos_secrets.review.due import Row
    from chronos_secrets.review.sheet import Printed

_ANCHOR = "log."


def dates(session: "Session") -> dates_of.Dates | None:
    """The days that were seen when the vault was last open."""
    found = dates_of.load(_path(session, "dates.json"))
    return None if found is None else dates_of.with_progress(found, session.inventory)


def ticks_now(session: "Session") -> dict[str, date]:
    """The ticks of this machine, and those that the vault brought from others."""
    return ticks.merged(ticks.load(_path(session, "ticks.json")), today=session.today)


def stops_path(session: "Session") -> Path:
    """Where this machine keeps what the last rotations stopped at."""
    return _path(session, "rotations.json")


def log(session: "Session") -> History:
    """The audit log of this project on this machine."""
    return History(_path(session, "history.jsonl"))


def record(session: "Session", what: str, subject: str, detail: Mapping[str, str] | None = None) -> None:
    """Add a line to the audit log. Raises what the log raises."""
    folder = session.settings.state_folder
    try:
        files.private_folder(folder)
    except OSError as error:
        raise Refused(
            f"the state folder {folder} cannot be written: {files.reason(error)}", hint=f"ls -ld {folder.parent}"
        ) from error
    known = session.log_head or (anchor(session) if session.vault_is_open else None)
    head = log(session).append(
        at=session.now(), host=machine(session), what=what, subject=subject, detail=detail, known=known
    )
    if session.vault_is_open:  # else nobody has looked whether the log still holds what the vault knows of it
        session.log_head = head


def record_or_say(session: "Session", what: str, subject: str, detail: Mapping[str, str] | None = None) -> None:
    """Record what has already happened: a log that cannot be written must not undo it, but is said."""
    try:
        record(session, what, subject, detail)
    except ChronosError as error:
        output.say(f"this was not recorded in the history: {error.message}")


def tick_by_command(session: "Session", words: Sequence[str]) -> None:
    """Tick the tasks whose `run` words a successful command began with."""
    for task in session.inventory.tasks.values():
        if task.run and task.run == tuple(words[: len(task.run)]):
            try:
                tick(session, task.id, session.today, {"by": "command"})
            except ChronosError as error:
                output.say(f"the task {task.id} was not ticked: {error.message}")


def tick(session: "Session", task: str, day: date, detail: Mapping[str, str]) -> None:
    """Tick a task on this machine and record it. Raises what the log raises, Refused."""
    record(session, "done", task, {"on": day.isoformat(), **detail})
    _store_ticks(session, {**ticks_now(session), task: day})


def mark(session: "Session", name: str) -> None:
    """Tick today what no task stands for, such as a drill. It was done: that it cannot be kept is only said."""
    try:
        _store_ticks(session, {**ticks_now(session), name: session.today})
    except Refused as error:
        output.say(f"this will count as not done: {error.message}")


def newest_sheet(session: "Session") -> "Printed | None":
    """The newest emergency sheet: of this machine's own, its history knows the moment, too."""
    from chronos_secrets.review import sheet

    found = sheet.printed(ticks_now(session))
    made = [each for each in log(session).read().events if found and each.what == "emergency-sheet"]
    at = max((each.at for each in made if found and each.subject == str(found.number)), default=None)
    return found._replace(at=at) if found else None


def save(session: "Session", *, changed: bool = False) -> None:
    """Give the vault this machine's ticks and the head of its log, save it, and remember what it holds now.

    `changed` says that it has changes of the caller's to save, too.
    """
    head = session.log_head
    marks = {f"{_ANCHOR}{machine(session)}": str(head)} if head else {}
    here, now, today = ticks_now(session), session.now(), session.today
    if ticks.into_vault(session.vault.entries, here, marks, now=now, today=today) or changed:
        session.vault.save(session.now())
    remember(session)


def anchor(session: "Session") -> Anchor | None:
    """What the opened vault remembers of this machine's log; None for nothing, or nothing that can be read."""
    with contextlib.suppress(ValueError):
        return Anchor.parse(anchor_text(session))
    return None


def anchor_text(session: "Session") -> str:
    """The same as it is written in the vault, the furthest where it stands twice; "" where there is nothing."""
    name = f"{_ANCHOR}{machine(session)}"
    written = (entry.plain(name) for entry in ticks.state_entries(session.vault.entries))
    return max(written, key=lambda text: (len(text.partition(":")[0]), text), default="")


def write_expiry(session: "Session", rows: list["Row"]) -> None:
    """Write each rotated credential's due date where KeePassXC shows it, but never over a date that a person set."""
    due = {row.id: row.standing.due for row in rows if row.entry and row.kind != "account"}
    written = dates_of.write_expiry(session.inventory, session.values, due, session.zone, session.now())
    for credential in written:
        record(session, "expiry", credential)
    save(session, changed=bool(written))
    output.say(f"wrote the due dates of {', '.join(written)} into the vault" if written else "no due date to write")


def remember(session: "Session") -> None:
    """What follows every opening and saving of the vault. Reading must go on where nothing can be kept."""
    for step in AFTER_OPEN:
        with contextlib.suppress(OSError):
            step(session)


def _refresh_dates(session: "Session") -> None:
    found = dates_of.from_vault(session.inventory, session.values, session.now())
    before = dates(session)
    if before is None or before._replace(at=found.at) != found or before.at.date() != found.at.date():
        dates_of.store(_path(session, "dates.json"), found)


def _import_ticks(session: "Session") -> None:
    here = ticks_now(session)
    both = ticks.merged(here, ticks.in_vault(session.vault.entries), today=session.today)
    if both != here:
        ticks.store(_path(session, "ticks.json"), both)


def _refresh_known_values(session: "Session") -> None:
    """A hook that looks for the values of last month is worse than none, so here a failure is said."""
    from chronos_secrets.review import known

    data = xdg(os.environ, "XDG_DATA_HOME", session.home / ".local" / "share") / APPLICATION / session.inventory.project
    try:
        known.refresh(session.vault, session.inventory, _path(session, known.INDEX), data / known.KEY, session.now())
    except OSError as error:
        output.say(f"note: the index of known values is not up to date: {error.filename}: {files.reason(error)}")


AFTER_OPEN: tuple[Callable[["Session"], None], ...] = (_refresh_dates, _import_ticks, _refresh_known_values)


def finish(session: "Session") -> None:
    """What follows a command that opened the vault: its result is out, and no step changes its exit status."""
    for step in AT_THE_END:
        try:
            step(session)
        except KeyboardInterrupt:
            output.say("interrupted; what was left to do is done by the next run")
            return


def put_off(session: "Session") -> None:
    """What follows a command that was interrupted. Nothing is raised."""
    if session.inventory.vault.copies:
        from chronos_secrets.cli import copying

        copying.after_interruption(session)


def _copy_changes(session: "Session") -> None:
    if session.inventory.vault.copies:
        from chronos_secrets.cli import copying

        copying.after_command(session)


AT_THE_END: tuple[Callable[["Session"], None], ...] = (_copy_changes,)


def _path(session: "Session", name: str) -> Path:
    return session.settings.state_folder / name


def _store_ticks(session: "Session", found: dict[str, date]) -> None:
    path = _path(session, "ticks.json")
    try:
        ticks.store(path, found)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {files.reason(error)}") from error


def machine(session: "Session") -> str:
    """A random name of this machine, the same for all its projects."""
    path = session.settings.state_folder.parent / "machine-id"
    try:
        if not path.exists():
            with contextlib.suppress(FileExistsError):  # two first runs at once: the first one's name stays
                made = secrets.token_hex(4).encode()
                files.write_durably(files.private_folder(path.parent) / path.name, made, replace=False)
        return path.read_text(errors="replace").strip()
    except OSError as error:
        raise Refused(f"{path} cannot be used: {files.reason(error)}") from error
