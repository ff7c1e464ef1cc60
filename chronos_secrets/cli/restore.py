"""`vault restore` and `vault diff`: a copy put back, and what differs between two vault files.

With `--from FILE --to PATH`, `restore` needs no inventory, no settings and no state: the night on which the laptop is
gone is the night it is for.
"""

import os
import shlex
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import NamedTuple

import click

from chronos_secrets.cli import PATH, choices, memory, output, prompts, trust
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import (
    Exit,
    InventoryInvalid,
    Refused,
    UsageError,
    VaultLocked,
    VaultMissing,
    VaultUnreadable,
)
from chronos_secrets.report.table import table
from chronos_secrets.secret import Secret
from chronos_secrets.settings import APPLICATION, xdg
from chronos_secrets.vault import comparison, kdbx, restoring, store
from chronos_secrets.vault.comparison import Comparison
from chronos_secrets.vault.copies import places, verifying
from chronos_secrets.vault.copies.record import SEALED_SUFFIX, STAMP, Name
from chronos_secrets.vault.entries import Entries
from chronos_secrets.vault.kdf import MasterKey

LIVE = "live"
"""What `diff` calls the project's vault."""
_TRIES = 3
_SHOWN = 40  # differences that a person reads before a question
_RESTORING = {"gone": "lose", "changed": "set back", "added": "bring back"}
_CLOSE_IT = "close it in KeePassXC first, or KeePassXC may save over what was restored"


class Moment(click.ParamType):  # type: ignore[type-arg]  # as click's own types are written
    """A moment such as 2026-11-15, "2026-11-15 14:00", or the stamp in a copy's name (UTC)."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        text = str(value)
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"'{value}' is no time; write 2026-11-15 or '2026-11-15 14:00'", param, ctx)
        return found.replace(hour=23, minute=59, second=59) if len(text) in (8, 10) else found


class Source(NamedTuple):
    """The bytes of one vault file or copy: what to call it for a person, and the name of its file."""

    label: str
    file: str
    content: bytes
    older: str = ""  # the stamp of the copy before it, where it was chosen among several


class Keys:
    """What opens the files of one command: a key that opened one is tried on the next before anybody is asked."""

    def __init__(self, session: Session, make: Callable[[Secret], MasterKey]) -> None:
        self._session, self._make = session, make
        self._known: list[MasterKey] = []
        self._given = session.password_given

    def add(self, key: MasterKey) -> None:
        """Try this one, too."""
        self._known.append(key)
        self._given = False  # a descriptor can be read once

    def open(self, source: Source) -> Entries:
        """Raises VaultLocked, VaultUnreadable. A file that is no vault is said before anybody types a password."""
        opened = self.open_unasked(source)
        if opened is None and self._given:
            with store.named(Path(source.label)):
                return self._open_given(source.content)
        return opened or self._ask(source)

    def open_unasked(self, source: Source) -> Entries | None:
        """The same by the keys that are known by now; None where none of them opens it."""
        with store.named(Path(source.label)):
            kdbx.read_format(source.content)
            found = (_try(source.content, key) for key in self._known)
            return next((each for each in found if each is not None), None)

    def _open_given(self, content: bytes) -> Entries:
        password = self._session.given_password
        assert password is not None  # noqa: S101  `password_given` said so
        key = self._make(password)
        self.add(key)
        return Entries(kdbx.decrypt(content, key))

    def _ask(self, source: Source) -> Entries:
        for left in reversed(range(_TRIES)):
            key = self._make(prompts.password(f"Password of {output.plain(source.label)}: "))
            try:
                with store.named(Path(source.label)):
                    opened = Entries(kdbx.decrypt(source.content, key))
            except VaultLocked as error:
                if not left:
                    raise
                output.say(f"{error.message}; {left} {'tries' if left > 1 else 'try'} left")
            else:
                self.add(key)
                return opened
        raise AssertionError("unreachable")


def _try(content: bytes, key: MasterKey) -> Entries | None:
    try:
        return Entries(kdbx.decrypt(content, key))
    except VaultLocked:
        return None


@click.command(short_help="Put a copy back in the vault's place.")
@click.argument("name", metavar="[NAME]", required=False, shell_complete=choices.copies)
@click.option(
    "--from", "source", metavar="FILE", type=PATH, help="Restore this file, or the newest copy in this folder."
)
@click.option("--at", type=Moment(), metavar="TIME", help="The newest copy made at TIME or before.")
@click.option("--to", metavar="PATH", type=PATH, help="Put it there, not in the vault's place.")
@click.option("--identity", metavar="FILE", type=PATH, help="The identity that opens an .age copy.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@opens_vault
@with_session
def restore(
    session: Session, *, name: str | None, source: str | None, at: datetime | None, to: str | None,
    identity: str | None, yes: bool,
) -> None:  # fmt: skip
    """Put the newest copy in the place NAME back as the vault, or the one given by --from.

    Says first what differs, and asks. The file that was there is kept beside it. With --from and --to it needs no
    inventory and no settings: only the copy and its password.
    """
    if (name is None) == (source is None):
        raise UsageError("name either a place of copies or a file", hint="chronos-secrets vault restore --from FILE")
    alone = source is not None and to is not None
    if source and not to:
        _require_vault_path(session, source)
    zone = None if alone else session.zone
    target = Path(os.path.abspath(to)) if to else session.settings.vault_path
    trust_places(session, [name] if name else [])
    found = from_path(Path(source), at, zone) if source else from_place(session, name or "", at)
    keys = Keys(session, session.bare_key if alone else lambda password: session.key(password, session.settings))
    copy, opened = _opened(found, identity, keys)
    before = restoring.current(target)
    if before == copy.content:
        output.say(f"{target} is this very file already: nothing to do")
        return
    if not to:
        _refuse_other_vault(session, copy, opened)
    _say_what_differs(copy, opened, target, before, keys)
    _confirm(target, before, yes=yes)
    done = restoring.put_back(copy.content, target, expected=before, locks=_locks(session), now=session.now())
    if not alone:
        memory.record_or_say(session, "vault-restore", name or session.inventory.project, {"from": copy.file})
    output.result(f"restored {done.path} from {copy.label}, and read it back")
    if done.aside:
        output.say(f"the file that was there: {done.aside}")


@click.command(short_help="Say what differs between two vault files.")
@click.argument("before", metavar="A", shell_complete=choices.copies)
@click.argument("after", metavar="B", default=LIVE, shell_complete=choices.copies)
@click.option("--identity", metavar="FILE", type=PATH, help="The identity that opens an .age copy.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def diff(session: Session, *, before: str, after: str, identity: str | None, as_json: bool) -> Exit:
    """Say which entries are added, changed or gone from A to B, and which fields; never a value.

    A and B are files, names of copies (the newest one there), or "live": the project's vault, which B is if it is not
    given. Exit status 1 if they differ.
    """
    alone = all(_is_path(each) for each in (before, after))
    keys = Keys(session, session.bare_key if alone else lambda password: session.key(password, session.settings))
    trust_places(session, [each for each in (before, after) if not _is_path(each) and each != LIVE])
    if LIVE in (before, after):
        keys.add(session.vault.key)
    (first, old), (second, new) = (_side(session, each, identity, keys) for each in (before, after))
    found = comparison.compare(old, new)
    if as_json:
        _print_json(found, first, second)
    else:
        output.rows(("CHANGE", "ENTRY", "WHAT"), _rows(found), empty=f"{first} and {second} hold the same entries")
        _say_about_the_whole(found)
    return Exit.OK if found.alike else Exit.NO


def from_path(path: Path, at: datetime | None, zone: tzinfo | None) -> Source:
    """A file, or the newest copy in a folder (made at `at` or before). Raises VaultMissing, UsageError."""
    if not path.is_dir():
        if at is not None:
            raise UsageError("--at chooses among the copies in a folder or a place; --from names one file")
        if not path.exists():
            raise VaultMissing(f"there is no file {path}", hint=f"ls -l {path.parent}")
        return Source(str(path), path.name, store.read(path))
    found = {str(name): name for name in (Name.parse(each) for each in sorted(os.listdir(path))) if name}
    projects = sorted({each.project for each in found.values()})
    if len(projects) > 1:
        raise UsageError(f"{path} holds copies of {' and '.join(projects)}", hint="--from FILE, one of the files there")
    hint = f"ls -R {shlex.quote(str(path))}    # --from takes the folder of the copies, or any KeePassXC file"
    chosen, older = _newest(list(found.values()), at, zone, str(path), hint=hint)
    return Source(str(path / str(chosen)), str(chosen), store.read(path / str(chosen)), older)


def from_place(session: Session, name: str, at: datetime | None = None) -> Source:
    """The newest copy in a place of the inventory. Raises UsageError, TargetFailed, Refused, VaultMissing."""
    rows = session.inventory.vault.copies
    if name not in rows:
        raise UsageError(f"there is no copy '{name}'", hint=choices.nearest(name, rows))
    place = places.of(rows[name], session.inventory, session.home)
    names = place.names()
    if not names:
        place.ready()  # says what is wrong with it; one with copies need not be writable
    chosen, older = _newest(names, at, session.zone, place.where, hint="chronos-secrets vault copies")
    return Source(f"{chosen} ({name})", str(chosen), place.read(chosen), older)


def trust_places(session: Session, names: list[str]) -> None:
    """Ask about places that nobody on this machine has accepted yet."""
    known = session.inventory.vault.copies if names else {}
    asked = [each for each in names if each in known]
    if asked:
        trust.require(session, copies=asked)


def unsealed(source: Source, identity: str | None) -> Source:
    """The vault file in a copy. Raises VaultLocked, VaultUnreadable, TargetFailed."""
    if source.file.endswith(SEALED_SUFFIX) and identity is None:
        raise VaultLocked(f"{source.label} is encrypted by age, too", hint="--identity FILE, which age-keygen made")
    content = verifying.unsealed(source.content, source.file, Path(identity) if identity else None)
    return source._replace(content=content)


def _newest(names: list[Name], at: datetime | None, zone: tzinfo | None, where: str, *, hint: str) -> tuple[Name, str]:
    """The newest copy that is old enough, and the stamp of the one before it ("" for none)."""
    until = None if at is None else (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    usable = sorted((each for each in names if until is None or each.made <= until), key=lambda each: each.made)
    if usable:
        older = [each for each in usable if each.made < usable[-1].made]
        return usable[-1], f"{older[-1].made:{STAMP}}" if older else ""
    if names:
        oldest = min(names, key=lambda each: each.made)
        raise VaultMissing(f"no copy in {where} is that old", hint=f"the oldest is of {oldest.made:%Y-%m-%d %H:%M} UTC")
    raise VaultMissing(f"there is no copy in {where}", hint=hint)


def _opened(found: Source, identity: str | None, keys: Keys) -> tuple[Source, Entries]:
    """The copy to restore. For one that is damaged the hint names the one before it."""
    try:
        copy = unsealed(found, identity)
        return copy, keys.open(copy)
    except VaultUnreadable as error:
        if found.older:
            error.hint = f"the same command with: --at {found.older}    # the copy before it"
        raise


def _require_vault_path(session: Session, source: str) -> None:
    """Raises InventoryInvalid where nothing says where the vault belongs."""
    if session.inventory_setting.value is None:
        raise InventoryInvalid(
            "there is no inventory.yaml here or in a folder above to say where the vault belongs",
            hint=f"chronos-secrets vault restore --from {shlex.quote(source)} --to FILE.kdbx",
        )


def _is_path(text: str) -> bool:
    return "/" in text or text.endswith((".kdbx", ".age"))


def _side(session: Session, text: str, identity: str | None, keys: Keys) -> tuple[str, Entries]:
    """One side of a comparison, and what to call it."""
    if text == LIVE:
        return str(session.vault.path), session.vault.entries
    found = from_path(Path(text), None, None) if _is_path(text) else from_place(session, text)
    copy = unsealed(found, identity)
    return copy.label, keys.open(copy)


def _refuse_other_vault(session: Session, copy: Source, opened: Entries) -> None:
    known = session.settings.state_folder / "vault-id"
    if known.is_file() and known.read_text(errors="replace") != opened.vault_id:
        raise Refused(
            f"{copy.label} is another vault than the one this project had on this machine so far",
            hint=f"if that is right: rm {known}    # else restore it elsewhere with --to PATH",
        )


def _say_what_differs(copy: Source, opened: Entries, target: Path, before: bytes | None, keys: Keys) -> None:
    entries = sum(1 for _ in opened.everywhere())
    output.say(f"{output.plain(copy.label)} opens, and holds {entries} {'entry' if entries == 1 else 'entries'}")
    if before is None:
        return
    try:
        live = keys.open_unasked(Source(str(target), target.name, before))
    except VaultUnreadable as error:
        output.say(f"what is there cannot be compared: {error.message}")
        return
    if live is None:
        output.say(f"what is there cannot be compared: the copy's password does not open {target}")
        return
    found = comparison.compare(live, opened)
    rows = _rows(found)
    if not rows:
        output.say(f"{target} holds the same entries")
    else:
        output.say(f"what restoring does to {target}:")
        width = shutil.get_terminal_size((80, 24)).columns
        shown = [(_RESTORING[what], *others) for what, *others in rows[:_SHOWN]]
        output.say("\n".join(table(("IT WOULD", "ENTRY", "WHAT"), shown, width=width)))
        if len(rows) > _SHOWN:
            output.say(f"... and {len(rows) - _SHOWN} more; all: chronos-secrets vault diff {target} FILE")
    _say_about_the_whole(found)


def _rows(found: Comparison) -> list[tuple[str, str, str]]:
    return [(each.what, output.plain(each.path), output.plain(", ".join(each.fields)) or "-") for each in found.entries]


def _say_about_the_whole(found: Comparison) -> None:
    if not found.same_vault:
        output.say("they are two different vaults, not two states of one")
    elif found.master_key:
        output.say("the master password was changed in between")


def _print_json(found: Comparison, first: str, second: str) -> None:
    changes = [{"entry": each.path, "change": each.what, "fields": list(each.fields)} for each in found.entries]
    told = {"a": first, "b": second, "alike": found.alike, "same_vault": found.same_vault}
    output.document("vault diff", {**told, "master_key_changed": found.master_key, "changes": changes})


def _confirm(target: Path, before: bytes | None, *, yes: bool) -> None:
    """Ask once. Raises Refused for a no, and where nobody can answer."""
    if yes or before is None:
        return
    output.say(_CLOSE_IT)
    if not prompts.has_person():
        raise Refused(f"{target} is there, and nobody can be asked whether to replace it", hint="add --yes")
    if not click.confirm(f"Put the copy in the place of {target}?", err=True):
        raise Refused("nothing was changed")


def _locks(session: Session) -> Path:
    """Where the locks of vault files are, whatever the project is called."""
    return xdg(os.environ, "XDG_STATE_HOME", session.home / ".local" / "state") / APPLICATION / "locks"
