"""Destinations: what is there, what would change, and the write that leaves either all old or all new.

Everything is composed in memory first and every other host was looked at; what belongs here is then staged (written and
synced) beside its target. Only when all of that worked is the first file replaced, on the other hosts before this one.
So a full disk, a read-only folder, a host that is away or a value that cannot be held changes nothing.
"""

import contextlib
import stat
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import ChronosError, Incomplete, Refused
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.render import paths
from chronos_secrets.render.compose import Draft
from chronos_secrets.render.plan import Current, Plan, compose, refuse_foreign
from chronos_secrets.render.values import Values
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files


class Written(NamedTuple):
    """A file that was replaced. `lasting` is false where a container made anew would lose it."""

    plan: Plan
    lasting: bool


def plan(draft: Draft, path: Path, inventory: Inventory, values: Values, *, in_place: bool = True) -> Plan:
    """Compose one destination and compare it with what is at `path`. Nothing is written.

    `in_place` is false where `path` is not the destination's own: its owner need not exist here.
    Raises EntryMissing, NotRepresentable, TemplateInvalid for the content; Refused for a path that must not be written:
    a link, a folder, something else than a file, or anything that git tracks or would add.
    """
    paths.refuse_unfit(path)
    there = _read(path)
    made = compose(draft, there, str(path), inventory, values)
    owner = _owner(draft) if in_place and draft.destination.owner else None
    return Plan(draft, path, made.content, made.rows, owner, _current(path, there, ours=made.ours))


def write(
    plans: Iterable[Plan],
    *,
    now: datetime,
    adopted: Path | None,
    before: Callable[[Iterable[Plan]], None] = lambda _drifted: None,
    done: Callable[[Written], None] = lambda _written: None,
) -> None:
    """Make every drifted file what its plan says; `done` hears of each that was replaced.

    A file that is not ours is refused unless `adopted` names the folder that keeps it. `before` is called when only
    the replacing is left to do. Raises Refused or TargetFailed (then nothing was changed), or Incomplete naming what is
    still old, when a disk or a host fails between two replacements.
    """
    drifted = [each for each in plans if each.drifted]
    refuse_foreign(drifted, may_adopt=adopted is not None)
    here = [each for each in drifted if each.host is None]
    elsewhere = [each for each in drifted if each.host is not None]
    missing = _missing_folders(here)
    staged: list[files.StagedFile] = []
    try:
        for each in here:
            staged.append(_staged(each))  # noqa: PERF401  a failure must find what was staged before it
        if adopted is not None:
            _keep_adopted([each for each in drifted if not each.current.ours], adopted, now)
        before(drifted)
        _place(elsewhere, here, done)
        _replace(here, staged, done)
    finally:
        for file in staged:
            file.discard()
        _remove_empty(missing)


def rehearse(plans: Iterable[Plan]) -> None:
    """Stage every file that belongs here and drop it again: the disk and the folders would take it. Raises Refused.

    Whether another host would take one was seen when it was looked at.
    """
    here = [each for each in plans if each.host is None]
    missing = _missing_folders(here)
    try:
        for each in here:
            _staged(each).discard()
    finally:
        _remove_empty(missing)


def sweep(plans: Iterable[Plan]) -> None:
    """Remove what a killed render left beside the destinations. Call it with the project's lock held."""
    for each in plans:  # another host's are removed when a file is placed there
        if each.host is None and each.path.parent.is_dir():
            files.sweep(each.path)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"cannot read {path}: {files.reason(error)}", hint=f"ls -l {path}") from error


def _current(path: Path, there: bytes | None, *, ours: bool) -> Current:
    if there is None:
        return Current(None, 0, None, ours)
    status = path.stat()
    return Current(Secret(there), stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid), ours)


def _owner(draft: Draft) -> tuple[int, int]:
    """The uid and gid of a destination's `owner`, written `user` or `user:group`."""
    import grp
    import pwd

    user, _, group = (draft.destination.owner or "").partition(":")
    try:
        account = pwd.getpwnam(user)
        return account.pw_uid, grp.getgrnam(group).gr_gid if group else account.pw_gid
    except KeyError:
        name = draft.destination.id
        raise Refused(
            f"destination {name} is to belong to {draft.destination.owner}, who is not here",
            hint=f"chronos-secrets render {name} --to DIR    # or correct its owner in the inventory",
        ) from None


def _missing_folders(drifted: list[Plan]) -> list[Path]:
    """The folders that staging will make, deepest first."""
    folders = {folder for each in drifted for folder in each.path.parents if not folder.exists()}
    return sorted(folders, key=lambda folder: len(folder.parts), reverse=True)


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):  # a folder that holds a file by now stays
            folder.rmdir()


def _staged(each: Plan) -> files.StagedFile:
    destination = each.draft.destination
    try:
        files.private_folder(each.path.parent)
        owner = each.owner or each.current.owner
        return files.stage(each.path, each.content.reveal_bytes(), mode=destination.mode, owner=owner)
    except OSError as error:
        reason, folder = files.reason(error), each.path.parent
        raise Refused(
            f"{each.path} cannot be written: {reason}; nothing was changed", hint=f"df -h {folder}; ls -ld {folder}"
        ) from error


def _keep_adopted(foreign: list[Plan], folder: Path, now: datetime) -> None:
    for each in foreign:
        kept = folder / f"{now:%Y%m%dT%H%M%S}-{each.draft.destination.id}"
        try:
            files.sweep_folder(files.private_folder(folder))
            content = each.current.content.reveal_bytes() if each.current.content else b""
            files.write_durably(kept, content, replace=False)
        except OSError as error:
            reason = files.reason(error)
            raise Refused(
                f"cannot keep {each.where} as {kept}: {reason}; nothing was changed",
                hint=f"df -h {folder}; ls -ld {folder}",
            ) from error


def _place(plans: list[Plan], later: list[Plan], done: Callable[[Written], None]) -> None:
    """Replace the files of other hosts. `later` are those that would be replaced afterwards."""
    for number, each in enumerate(plans):
        assert each.host is not None  # noqa: S101  what the caller sorted
        owner = each.draft.destination.owner
        try:
            placed = each.host.place(str(each.path), each.content, mode=each.draft.destination.mode, owner=owner)
        except ChronosError as error:
            unknown = isinstance(error, Incomplete)  # the old file or the new one: the message says it
            old = [*plans[number + unknown :], *later]
            if number == 0 and not unknown:
                raise type(error)(f"{error.message}; nothing was changed", hint=error.hint) from error
            raise Incomplete(
                f"{error.message}; still old: {', '.join(left.where for left in old) or 'none'}",
                details=[f"to look closer: {error.hint}"] if error.hint else (),
                hint="chronos-secrets render    # once the host is well",
            ) from error
        done(Written(each, placed.lasting))


def _replace(plans: list[Plan], staged: list[files.StagedFile], done: Callable[[Written], None]) -> None:
    for number, file in enumerate(staged):
        try:
            file.commit()
        except OSError as error:
            old = ", ".join(str(each.path) for each in plans[number:] if not _is_written(each))
            raise Incomplete(
                f"{file.target} could not be replaced safely: {files.reason(error)}; still old: {old or 'none'}",
                hint="chronos-secrets render    # once the disk is well",
            ) from error
    for each in plans:  # not in between: while some files are old and some new, nothing else is done
        done(Written(each, lasting=True))


def _is_written(each: Plan) -> bool:
    """Whether the new file is there, though it may not be on the disk yet."""
    try:
        return Secret(each.path.read_bytes()) == each.content
    except OSError:
        return False
