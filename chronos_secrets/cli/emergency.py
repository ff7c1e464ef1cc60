"""`emergency`: the sheet for the safe, and the proof that what is written on it opens the vault and its copies.

`verify` and `drill` ask for the password on the terminal and nowhere else: it is the paper that they prove.
"""

import contextlib
import getpass
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from chronos_secrets.cli import PATH, choices, copying, memory, output, prompts, standings, trust
from chronos_secrets.cli.command import with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import ChronosError, Exit, Refused, UsageError, VaultLocked, VaultMissing
from chronos_secrets.inventory.model import Copy
from chronos_secrets.report import copies as report_copies
from chronos_secrets.report import sheet as report
from chronos_secrets.review import sheet as review
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files, repository
from chronos_secrets.vault import kdbx, store
from chronos_secrets.vault.copies import catalogue, drilling, places, verifying
from chronos_secrets.vault.copies.drilling import Drilled
from chronos_secrets.vault.copies.record import Facts
from chronos_secrets.vault.entries import Entries
from chronos_secrets.vault.kdf import MasterKey, fingerprint

_TRIES = 3
_NEW_SHEET = "chronos-secrets emergency sheet"
_NO_TERMINAL = "the password is typed from the paper, and there is no terminal to ask for it on"


@click.group()
def emergency() -> None:
    """Make the sheet for the safe, and prove that it works."""


@emergency.command(short_help="Make a page to print and fill in by hand.")
@click.option(
    "--output", "target", metavar="FILE.html", type=PATH, help="Write it there (else PROJECT-emergency-NUMBER.html)."
)
@with_session
def sheet(session: Session, target: str | None) -> None:
    """Make a page to print: how to get at the vault with KeePassXC alone, and blank lines for what is secret.

    No secret is on it: the master password, and the rows with paper: true, are written on the print by hand. Needs no
    password. Make a new one whenever the password, the key file or a place of copies has changed.
    """
    last = memory.newest_sheet(session)
    number = last.number + 1 if last else 1
    path = Path(target or f"{session.inventory.project}-emergency-{number}.html")
    _write(path, report.page(_composed(session, number)))
    memory.record_or_say(session, "emergency-sheet", str(number), {"file": path.name})
    memory.mark(session, review.tick_of(number))
    output.result(f"made {path}, sheet number {number}")
    output.say("next: print it, fill it in by hand, then: chronos-secrets emergency verify")


@emergency.command(short_help="Open the vault with the password on paper.")
@with_session
def verify(session: Session) -> Exit:
    """Open the vault with the master password, typed as it stands on the paper.

    It is asked for on the terminal, whatever a keyring or systemd knows, and is not remembered. Exit status 1 if it
    does not open the vault.
    """
    path = session.settings.vault_path
    content = store.read(path)
    with store.named(path):
        kdbx.read_format(content)
    found, wrong = None, 0
    for wrong, key in _keys(session):  # noqa: B007  the count is told afterwards
        found = _opened(content, key)
        if found is not None:
            break
    detail = {"opened": "yes" if found else "no", "wrong tries": str(wrong if found else _TRIES)}
    memory.record_or_say(session, "emergency-verify", session.inventory.project, detail)
    if found is None:
        output.result(f"NO: what was typed does not open {path}")
        output.say(f"if the paper is out of date, write a new one: {_NEW_SHEET}")
        return Exit.NO
    memory.mark(session, review.VERIFIED)
    count = f"{found.entries} {'entry' if found.entries == 1 else 'entries'}"
    output.result(f"the password on paper opens {path} ({count}){_after(wrong)}")
    return Exit.OK


@emergency.command(short_help="Bring the newest copies back, and open them with the password on paper.")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=choices.copies)
@click.option("--identity", metavar="FILE", type=PATH, help="The identity that opens .age copies.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_session
def drill(session: Session, names: tuple[str, ...], *, identity: str | None, as_json: bool) -> Exit:
    """Bring the newest copy of each place into a private folder, and open it with the password typed from the paper.

    Nothing of the vault is changed, and the folder is removed again. Exit status 1 if a copy does not open, 7 if a
    place is away.
    """
    rows = _chosen(session, names)
    trust.require(session, copies=[row.id for row in rows])
    with tempfile.TemporaryDirectory(prefix="chronos-secrets-drill-") as folder:
        drilled, wrong = _drilled(session, rows, Path(folder), Path(identity) if identity else None)
    _remember(session, drilled, is_whole=not names)
    if as_json:
        output.document("emergency drill", {"copies": [_json(each) for each in drilled], "wrong_tries": wrong})
    else:
        lines = [_line(session, each) for each in drilled]
        output.rows(("COPY", "MADE", "ENTRIES", "TOOK", "RESULT"), lines, empty="there is no copy")
        if wrong and any(each.is_good for each in drilled):
            output.say(f"the password on paper was right{_after(wrong)}")
    return _status(drilled)


def _composed(session: Session, number: int) -> review.Sheet:
    inventory, settings = session.inventory, session.settings
    path = settings.vault_path
    with store.named(path):
        found = kdbx.read_format(store.read(path))
    machine = review.Machine(
        computer=os.uname().nodename, user=_user(), vault=path, format=found,
        key_file=_key_file(settings.key_file.value), remotes=repository.remotes(inventory.folder),
    )  # fmt: skip
    changed = review.key_day(inventory, memory.dates(session))
    return review.compose(inventory, machine, home=session.home, number=number, day=session.today, key_changed=changed)


def _user() -> str:
    with contextlib.suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return str(os.geteuid())


def _key_file(name: str | None) -> review.KeyFile | None:
    if name is None:
        return None
    try:
        return review.KeyFile(Path(name), fingerprint(Path(name).read_bytes()))
    except OSError as error:
        raise VaultLocked(f"cannot read the key file {name}: {files.reason(error)}") from error


def _write(path: Path, page: str) -> None:
    try:
        files.write_durably(path, page.encode(), replace=False)
    except FileExistsError as error:
        raise Refused(
            f"{path} is already there; it is never overwritten", hint=f"{_NEW_SHEET} --output NEW.html"
        ) from error
    except OSError as error:
        raise Refused(
            f"{path} cannot be written: {files.reason(error)}", hint=f"{_NEW_SHEET} --output ~/sheet.html"
        ) from error


def _opened(content: bytes, key: MasterKey) -> Facts | None:
    try:
        return verifying.facts(Entries(kdbx.decrypt(content, key)))
    except VaultLocked:
        return None


def _keys(session: Session) -> Iterator[tuple[int, MasterKey]]:
    """The keys of what a person types, and how many were wrong before. Raises VaultLocked where nobody can be asked."""
    for wrong in range(_TRIES):
        if left := _TRIES - wrong if wrong else 0:
            output.say(f"that does not open it; {left} {'tries' if left > 1 else 'try'} left")
        yield wrong, session.key(_asked(), session.settings)


def _asked() -> Secret:
    try:
        return prompts.password("Password, as it stands on the paper: ")
    except VaultLocked as error:
        if error.hint is None:  # there is a terminal, and nothing was typed
            raise
        raise VaultLocked(_NO_TERMINAL, hint="run it on a terminal") from error


def _chosen(session: Session, names: tuple[str, ...]) -> list[Copy]:
    known = session.inventory.vault.copies
    if not known:
        raise UsageError("the inventory names no copies of the vault", hint="chronos-secrets emergency verify")
    for name in names:
        if name not in known:
            raise UsageError(f"there is no copy '{name}'", hint=choices.nearest(name, known))
    return [known[name] for name in dict.fromkeys(names)] if names else list(known.values())


def _drilled(session: Session, rows: Sequence[Copy], folder: Path, identity: Path | None) -> tuple[list[Drilled], int]:
    """What became of each place, and how often the password was typed wrong. It is asked for once all are fetched."""
    known = standings.known(session)
    fetched = [drilling.fetch(places.of(row, session.inventory, session.home), known, folder) for row in rows]
    drilled = [Drilled(each.place, None, each.seconds, None, each.error) for each in fetched]
    if all(each.path is None for each in fetched):
        return drilled, 0
    for wrong, key in _keys(session):
        live = _live(session, key)
        drilled = [drilling.open_(each, key, live, now=session.now(), identity=identity) for each in fetched]
        is_wrong = (
            live is None and any(each.is_locked for each in drilled) and not any(each.is_good for each in drilled)
        )
        if not is_wrong:
            return drilled, wrong
    return drilled, _TRIES


def _live(session: Session, key: MasterKey) -> Facts | None:
    """What the vault itself says, if it is there and the same key opens it: a drill needs nothing of it."""
    try:
        return _opened(store.read(session.settings.vault_path), key)
    except ChronosError:
        return None


def _remember(session: Session, drilled: Sequence[Drilled], *, is_whole: bool) -> None:
    """Record what was found: in the history, of each copy, and for `due`."""
    for each in drilled:
        detail = {"file": each.record.name} if each.record else {}
        detail |= {"opened": "yes" if each.is_good else "no", "seconds": f"{each.seconds:.1f}"}
        memory.record_or_say(session, "emergency-drill", each.place, detail)
    records = [each.verdict.record for each in drilled if each.verdict]
    try:
        with catalogue.held(session.settings.state_folder):
            copying.store_catalogue(session, lambda found: catalogue.with_records(found, *records))
    except (ChronosError, OSError) as error:
        said = error.message if isinstance(error, ChronosError) else files.reason(error)
        output.say(f"what was found of the copies was not remembered: {said}")
    if any(each.is_good for each in drilled):
        memory.mark(session, review.VERIFIED)
    if is_whole and all(each.is_good for each in drilled):
        memory.mark(session, review.DRILLED)


def _line(session: Session, drilled: Drilled) -> tuple[str, ...]:
    facts = drilled.record.facts if drilled.record and drilled.is_good else None
    made = report_copies.stamp(drilled.record, session.zone)
    took = f"{drilled.seconds:.1f} s" if drilled.verdict else "-"
    return drilled.place, made, str(facts.entries) if facts else "?", took, _words(drilled)


def _words(drilled: Drilled) -> str:
    if drilled.error is not None:
        return f"NO: {drilled.error.message}"
    if drilled.verdict is None or drilled.verdict.fault is not None:
        return f"NO: {drilled.verdict.fault if drilled.verdict else 'nothing was looked at'}"
    if not drilled.is_good:
        return "NO: it was not opened, for it is encrypted by age: --identity FILE"
    told = {"same": "opens, and holds what the vault holds", "older": "opens; it is older than the vault"}
    return {**told, "newer": "opens; it is newer than the vault"}.get(drilled.verdict.standing, "opens")


def _json(drilled: Drilled) -> report_copies.JsonRow:
    told = report_copies.record_json(drilled.record) if drilled.record else {}
    result: report_copies.JsonRow = {"id": drilled.place, "good": drilled.is_good, "result": _words(drilled)}
    return {**result, "seconds": round(drilled.seconds, 2), **told}


def _status(drilled: Sequence[Drilled]) -> Exit:
    """1 where a copy was there and is not good, or a place has none; else what a place that is away says."""
    if any(isinstance(each.error, VaultMissing) or (each.error is None and not each.is_good) for each in drilled):
        return Exit.NO
    return next((each.error.exit for each in drilled if each.error is not None), Exit.OK)


def _after(wrong: int) -> str:
    """For whoever has to read the paper the next time."""
    return f", after {wrong} wrong {'try' if wrong == 1 else 'tries'}: is it legible?" if wrong else ""
