"""Destinations on disk: what is there, what would change, and the write that leaves either all old or all new.

Everything is composed in memory first, then staged (written and synced) beside every target, and only when all of that
worked is the first file replaced. So a full disk, a read-only folder or a value that cannot be held changes nothing.
"""

import contextlib
import os
import shlex
import stat
import subprocess
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import Incomplete, Refused
from chronos_secrets.inventory.model import Credential, Inventory
from chronos_secrets.render.compose import LOCAL_BEGIN, LOCAL_END, Draft, Row
from chronos_secrets.render.dialects import DIALECTS, logical_lines
from chronos_secrets.render.values import Values, field_value
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files

_KEEPS_LOCAL_LINES = frozenset({"dotenv", "sh", "systemd", "compose", "python", "node"})
_GIT = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


class Current(NamedTuple):
    """What is at a destination's path now; `content` is None where there is no file. `owner` is (uid, gid)."""

    content: Secret | None
    mode: int
    owner: tuple[int, int] | None
    ours: bool


class Plan(NamedTuple):
    """What a destination's file is to become. `owner` is (uid, gid), or None for whoever runs this."""

    draft: Draft
    path: Path
    content: Secret
    rows: tuple[Row, ...]
    owner: tuple[int, int] | None
    current: Current

    @property
    def state(self) -> str:
        """up to date, new, changed, or permissions (only owner or mode differ)."""
        if self.current.content is None:
            return "new"
        if self.current.content != self.content:
            return "changed"
        wanted = (self.draft.destination.mode, self.owner or self.current.owner)
        return "up to date" if (self.current.mode, self.current.owner) == wanted else "permissions"

    @property
    def drifted(self) -> bool:
        """Whether the file is not what the vault and the inventory say."""
        return self.state != "up to date"


def plan(draft: Draft, path: Path, inventory: Inventory, values: Values, *, in_place: bool = True) -> Plan:
    """Compose one destination and compare it with what is at `path`. Nothing is written.

    `in_place` is false where `path` is not the destination's own: its owner need not exist here.
    Raises EntryMissing, NotRepresentable, TemplateInvalid for the content; Refused for a path that must not be written:
    a link, a folder, something else than a file, or anything that git tracks or would add.
    """
    _refuse_path(path)
    there = _read(path)
    if draft.header is None:
        rows: tuple[Row, ...] = ()
        content = draft.exact(values)
        ours = there is None or _is_value_of(there, draft, inventory, values)
    else:
        rows = tuple(draft.rows(values))
        _refuse_marks(draft, rows)
        content = "\n".join([draft.header, *(row.text for row in rows), ""]).encode() + _local_lines(draft, there, path)
        ours = there is None or there.split(b"\n", 1)[0].startswith(_mark(draft))
    owner = _owner(draft) if in_place and draft.destination.owner else None
    return Plan(draft, path, Secret(content), rows, owner, _current(path, there, ours=ours))


def write(
    plans: Iterable[Plan],
    *,
    now: datetime,
    adopted: Path | None,
    before: Callable[[Iterable[Plan]], None] = lambda _drifted: None,
) -> list[Plan]:
    """Make every drifted file what its plan says; returns those that were written.

    A file that is not ours is refused unless `adopted` names the folder that keeps it. `before` is called when only
    the replacing is left to do. Raises Refused (then nothing was changed), or Incomplete naming what is still old,
    when a disk fails between two replacements.
    """
    drifted = [each for each in plans if each.drifted]
    refuse_foreign(drifted, may_adopt=adopted is not None)
    missing = _missing_folders(drifted)
    staged: list[files.StagedFile] = []
    try:
        for each in drifted:
            staged.append(_staged(each))  # noqa: PERF401  a failure must find what was staged before it
        if adopted is not None:
            _keep_adopted([each for each in drifted if not each.current.ours], adopted, now)
        before(drifted)
        _replace(drifted, staged)
    finally:
        for file in staged:
            file.discard()
        for folder in missing:
            with contextlib.suppress(OSError):  # a folder that holds a file by now stays
                folder.rmdir()
    return drifted


def sweep(plans: Iterable[Plan]) -> None:
    """Remove what a killed render left beside the destinations. Call it with the project's lock held."""
    for each in plans:
        if each.path.parent.is_dir():
            files.sweep(each.path)


def difference(each: Plan) -> list[str]:
    """The change as lines for a person: keys that come, go or change, with every secret value replaced by its name."""
    if each.draft.header is None:
        return ["~ the whole content"] if each.state == "changed" else ["+ the whole content"]
    key_of = DIALECTS[each.draft.destination.dialect].key
    new = {key: row for row in each.rows if (key := key_of(row.text)) is not None}
    old = {key: line for line in _old_lines(each) if (key := key_of(line)) is not None}
    lines = [f"- {key}" for key in old if key not in new and (each.current.ours or not _is_padding(old[key]))]
    lines += [f"+ {row.shown}" for key, row in new.items() if key not in old]
    lines += [f"~ {row.shown}" for key, row in new.items() if key in old and old[key] != row.text]
    if each.state == "permissions":
        lines.append(f"~ mode {each.current.mode:04o} becomes {each.draft.destination.mode:04o}, or the owner changes")
    return lines or ["~ comments, order or white space only"]


def _refuse_path(path: Path) -> None:
    try:
        _refuse_place(path)
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise Refused(
            f"{path} cannot be written: {files.reason(error)}", hint="correct the destination's path"
        ) from error


def _refuse_place(path: Path) -> None:
    if path.is_symlink():
        raise Refused(f"{path} is a symbolic link", hint=f"name the file it points to: {os.path.realpath(path)}")
    if path.is_dir():
        raise Refused(f"{path} is a folder", hint="name a file in the destination's path")
    if path.exists() and not path.is_file():
        raise Refused(f"{path} is not a regular file", hint="name another file in the destination's path")
    folder = next(part for part in path.parents if part.exists())
    if not folder.is_dir():
        raise Refused(f"{folder} is not a folder, so {path} cannot be made", hint=f"ls -ld {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Refused(f"{folder} cannot be written to", hint=f"ls -ld {folder}")
    real = Path(os.path.realpath(folder))  # a link to a folder may lead into a work tree
    _refuse_tracked(real / path.relative_to(folder), real)


def _refuse_tracked(path: Path, folder: Path) -> None:
    """Refuse what git tracks or would add: a rendered file is full of secrets."""
    tree = files.work_tree(folder)
    if tree is None:
        return
    inside = path.relative_to(tree)
    # the first line end is for a file whose last line has none
    ignore = f"printf '\\n%s\\n' {shlex.quote(f'/{inside}')} >> {shlex.quote(str(tree / '.gitignore'))}"
    if _git(tree, "ls-files", "--error-unmatch", "--", str(path)) == 0:
        untrack = f"git -C {shlex.quote(str(tree))} rm --cached {shlex.quote(str(inside))}"
        raise Refused(f"git tracks {path}", hint=f"{untrack} && {ignore}")
    if _git(tree, "check-ignore", "--quiet", "--", str(path)) != 0:
        raise Refused(f"git does not ignore {path}", hint=ignore)


def _git(tree: Path, *arguments: str) -> int:
    """The exit status of a git command that only reads. Raises Refused where git cannot answer."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = (*_GIT, "-C", str(tree), *arguments)
    try:
        status = subprocess.run(command, capture_output=True, env=environment, timeout=20, check=False).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(
            f"{tree} is a git repository, and git cannot be asked whether it tracks the file",
            hint=f"git -C {tree} status",
        ) from error
    if status not in (0, 1):
        raise Refused(f"git cannot say whether it tracks files in {tree}", hint=f"git -C {tree} status")
    return status


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
            hint=f"chronos-secrets render {name} --to DIR    (or correct its owner in the inventory)",
        ) from None


def _mark(draft: Draft) -> bytes:
    """The part of the header that says whose file it is; the words after it may change with the program."""
    return f"{(draft.header or '').split('. ')[0]}. ".encode()


def _is_value_of(there: bytes, draft: Draft, inventory: Inventory, values: Values) -> bool:
    """Whether a file without a header is ours: it holds the credential's value, or one that it had before."""
    value = draft.destination.value
    if value is None:
        return False
    credential: Credential = inventory.credentials[value.credential]
    entry = values.entry(credential)
    held = Secret(there)
    return any(field_value(each, credential, value.field) == held for each in (entry, *entry.history))


def _local_lines(draft: Draft, there: bytes | None, path: Path) -> bytes:
    """The person's own block at the end of a file that we rewrite, with its marks; empty where there is none."""
    if there is None or draft.destination.dialect not in _KEEPS_LOCAL_LINES:
        return b""
    lines = there.decode(errors="surrogateescape").split("\n")
    marks = [number for number, line in enumerate(lines) if line.strip() in (LOCAL_BEGIN, LOCAL_END)]
    if not marks:
        return b""
    if [lines[number].strip() for number in marks] != [LOCAL_BEGIN, LOCAL_END]:
        raise Refused(
            f"{path} has a '{LOCAL_BEGIN}' without its '{LOCAL_END}', or more than one such block",
            hint="leave exactly one such pair of lines in the file, or none",
        )
    block = lines[marks[0] : marks[1] + 1]
    return ("\n".join(block) + "\n").encode(errors="surrogateescape")


def _refuse_marks(draft: Draft, rows: tuple[Row, ...]) -> None:
    """A rendered line that looks like a mark would be taken for the person's own block at the next render."""
    lines = (line.strip() for row in rows for line in row.text.split("\n"))
    if draft.destination.dialect in _KEEPS_LOCAL_LINES and any(line in (LOCAL_BEGIN, LOCAL_END) for line in lines):
        raise Refused(
            f"destination {draft.destination.id} would hold a line '{LOCAL_BEGIN}' or '{LOCAL_END}' of its own",
            hint="take it out of the template or the value; a person writes these marks into the file",
        )


def _is_padding(line: str) -> bool:
    """Whether a line may be the end of something in base64 (a key, say), which is no name with an empty value."""
    return not line.partition("=")[2].strip().removeprefix("=")


def _old_lines(each: Plan) -> list[str]:
    """The lines of the old file as its dialect reads them: the rest of a quoted value is no line, and never shown."""
    content = each.current.content.reveal_bytes() if each.current.content else b""
    before, _, _ = content.decode(errors="replace").partition(f"\n{LOCAL_BEGIN}")
    return list(logical_lines(DIALECTS[each.draft.destination.dialect], before))


def refuse_foreign(plans: Iterable[Plan], *, may_adopt: bool) -> None:
    """Raise Refused for a file that would change and that we did not make."""
    for each in plans:
        if each.current.ours or may_adopt or not each.drifted:
            continue
        name = each.draft.destination.id
        raise Refused(
            f"{each.path} was not made by this tool, so it is kept as it is; rendering {name} would change it:",
            details=difference(each),
            hint=f"chronos-secrets render --adopt {name}    (the old file is kept in the state folder)",
        )


def _missing_folders(drifted: list[Plan]) -> list[Path]:
    """The folders that staging will make, deepest first."""
    folders = {folder for each in drifted for folder in each.path.parents if not folder.exists()}
    return sorted(folders, key=lambda folder: len(folder.parts), reverse=True)


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
                f"cannot keep {each.path} as {kept}: {reason}; nothing was changed",
                hint=f"df -h {folder}; ls -ld {folder}",
            ) from error


def _replace(drifted: list[Plan], staged: list[files.StagedFile]) -> None:
    for number, file in enumerate(staged):
        try:
            file.commit()
        except OSError as error:
            old = ", ".join(str(each.path) for each in drifted[number:] if not _is_written(each))
            raise Incomplete(
                f"{file.target} could not be replaced safely: {files.reason(error)}; still old: {old or 'none'}",
                hint="chronos-secrets render    (once the disk is well)",
            ) from error


def _is_written(each: Plan) -> bool:
    """Whether the new file is there, though it may not be on the disk yet."""
    try:
        return Secret(each.path.read_bytes()) == each.content
    except OSError:
        return False
