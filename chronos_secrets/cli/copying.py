"""Copies of the vault as a command makes them: place by place, each failure said and the copy queued.

A copy that the inventory wants after (or before) a change is made when the command that changed the vault ends: a
rotation of five saves makes one copy, and what a person came for does not wait for a slow remote.
"""

import hashlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from chronos_secrets.cli import memory, output, standings, trust
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import ChronosError, Refused, VaultChanged, VaultLocked, VaultUnreadable
from chronos_secrets.inventory.model import Copy
from chronos_secrets.review.copies import newest_good, where
from chronos_secrets.systems import files
from chronos_secrets.vault import kdbx, store
from chronos_secrets.vault.copies import catalogue, copying, places, verifying
from chronos_secrets.vault.copies.catalogue import Catalogue, Queued
from chronos_secrets.vault.copies.record import Facts, Record
from chronos_secrets.vault.entries import Entries

_REMOTE_PAUSE = timedelta(hours=1)
_LOCAL_PAUSE = timedelta(days=1)
"""How long a copy that waits is not spoken of again; a remote is not asked again meanwhile, either."""
_NOT_ACCEPTED = "not accepted on this machine yet; to look at it: chronos-secrets vault copy"


class File(NamedTuple):
    """One state of the vault file."""

    content: bytes
    facts: Facts

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class Outcome(NamedTuple):
    """What became of one place. `record` is the copy that is there now; None where there is none."""

    id: str
    state: str  # "copied", "already there", "faulty", "waits"
    record: Record | None = None
    words: str = ""
    error: ChronosError | None = None


def live(session: Session) -> File:
    """The vault file as this command opened it. Raises VaultChanged when it is another one by now."""
    vault = session.vault
    content = store.read(vault.path)
    if hashlib.sha256(content).digest() != vault.digest:
        raise VaultChanged(
            f"{vault.path} was saved by another program since it was opened", hint="run the command again"
        )
    return File(content, verifying.facts(vault.entries))


def to_places(session: Session, rows: Iterable[Copy], file: File) -> Iterator[Outcome]:
    """Copy `file` into each place, one after the other; a place that fails has its copy queued and stops no other.

    Raises Busy when another run is at the copies, Refused where the state folder cannot be written.
    """
    state = session.settings.state_folder
    try:
        with catalogue.held(state):
            for row in rows:
                outcome = _to_place(session, row, file)
                if outcome.state in ("copied", "faulty") and outcome.record:
                    memory.record_or_say(session, "vault-copy", row.id, {"file": outcome.record.name})
                yield outcome
    except OSError as error:
        raise Refused(
            f"the state folder {state} cannot be written: {files.reason(error)}", hint=f"ls -ld {state}"
        ) from error


def store_catalogue(session: Session, change: Callable[[Catalogue], Catalogue]) -> None:
    """Change what is remembered; the caller holds the lock. Raises OSError."""
    before = standings.known(session)
    after = change(before)
    if after != before:
        catalogue.store(standings.path(session), after)


def after_command(session: Session) -> None:
    """Make the copies that changes of the vault call for, and those that wait; say what happened. Nothing is raised."""
    rows = [each for each in session.inventory.vault.copies.values() if each.rhythm[1]]
    if not rows:
        return
    try:
        if wanted := {row.id: found for row in rows if (found := _wanted(session, row))}:
            _make_wanted(session, wanted)
    except (ChronosError, OSError) as error:
        said = error.message if isinstance(error, ChronosError) else files.reason(error)
        output.say(f"no copy of the vault was made: {said}")


def after_interruption(session: Session) -> None:
    """Queue the state before the changes of this command: only it knows that one. Nothing is raised."""
    before = session.vault.replaced
    rows = [row for row in session.inventory.vault.copies.values() if "before-change" in row.rhythm[1]]
    if before is None or not rows:
        return
    digest = hashlib.sha256(before).hexdigest()
    try:
        with catalogue.held(session.settings.state_folder):
            for row in rows:
                if not _holding(session, standings.known(session), row.id, digest):
                    _queue(session, row, "the command was interrupted", digest)
    except (ChronosError, OSError) as error:
        said = error.message if isinstance(error, ChronosError) else files.reason(error)
        output.say(f"no copy of the vault waits: {said}")


def _to_place(session: Session, row: Copy, file: File) -> Outcome:
    place = places.of(row, session.inventory, session.home)
    try:
        place.ready()
        names = place.names()
        store_catalogue(session, lambda found: catalogue.merge(found, row.id, names))
        outcome = _already_there(session, place, file) or _copied(session, place, row, file)
    except ChronosError as error:
        _queue(session, row, error.message, file.digest)
        return Outcome(row.id, "waits", words=error.message, error=error)
    if outcome.state != "faulty":
        _unqueue(session, row.id, file.digest)
    return outcome


def _already_there(session: Session, place: places.Place, file: File) -> Outcome | None:
    """The copy of these very bytes, if there is one and it still is what it should be."""
    there = _holding(session, standings.known(session), place.id, file.digest)
    if there is None:
        return None
    verdict = verifying.verify(place, there, session.vault.key, file.facts, now=session.now())
    store_catalogue(session, lambda found: catalogue.with_records(found, verdict.record))
    return Outcome(place.id, "already there", verdict.record) if verdict.fault is None else None


def _copied(session: Session, place: places.Place, row: Copy, file: File) -> Outcome:
    done = copying.copy(
        place, file.content, session.vault.key, file.facts, row.keep,
        state=session.settings.state_folder, now=_free_second(session, place.id), zone=session.zone,
    )  # fmt: skip
    if done.verdict.fault is not None:
        return Outcome(row.id, "faulty", done.verdict.record, f"the new copy {done.verdict.fault}")
    words = [f"{len(done.removed)} old removed"] if done.removed else []
    words += [f"no old one removed: {done.kept}"] if done.kept else []
    return Outcome(row.id, "copied", done.verdict.record, "; ".join(words))


def _free_second(session: Session, name: str) -> datetime:
    """Now, in a second that no copy in the place is of: of two of one second nobody could tell which is the newer."""
    now = session.now()
    if any(each.made == now.replace(microsecond=0) for each in standings.known(session).of(name)):
        time.sleep(1 - now.microsecond / 1_000_000)  # less than a second, and only of two copies of one
    return session.now()


def _holding(session: Session, found: Catalogue, name: str, digest: str) -> Record | None:
    """The good copy in a place of that state of the vault file.

    The state that the vault is in must be in the newest one: after a restore, an older copy of the same is not enough.
    """
    if digest != session.vault.digest.hex():
        return found.holding(name, digest)
    newest = newest_good(found.of(name), session.now(), digest)
    return newest if newest and newest.vault == digest else None


def _queue(session: Session, row: Copy, why: str, *digests: str) -> None:
    before = standings.known(session).queued.get(row.id)
    older = {*(before.vaults if before else ()), *digests} - {session.vault.digest.hex()}
    told = session.now() if before is None or _is_news(session, row, before) else before.told
    queued = Queued(before.since if before else session.now(), why, tuple(sorted(older)), told)
    store_catalogue(session, lambda found: catalogue.with_queued(found, row.id, queued))


def _unqueue(session: Session, name: str, digest: str) -> None:
    """Cross off what was just copied; older states that wait go on waiting."""
    before = standings.known(session).queued.get(name)
    left = tuple(each for each in before.vaults if each != digest) if before else ()
    queued = before._replace(vaults=left) if before and left else None
    store_catalogue(session, lambda found: catalogue.with_queued(found, name, queued))


class _Wanted(NamedTuple):
    """The states of the vault file that one place is to get, oldest first, by SHA-256 (hex)."""

    row: Copy
    digests: tuple[str, ...]
    is_news: bool  # whether a person is told of it if it has to wait


def _wanted(session: Session, row: Copy) -> _Wanted | None:
    found, when = standings.known(session), row.rhythm[1]
    now, before = session.vault.digest.hex(), session.vault.replaced
    queued = found.queued.get(row.id)
    digests = list(queued.vaults) if queued else []
    if "before-change" in when and before:
        digests.append(hashlib.sha256(before).hexdigest())
    if "after-change" in when:
        digests.append(now)
    missing = tuple(each for each in dict.fromkeys(digests) if not _holding(session, found, row.id, each))
    is_news = queued is None or _is_news(session, row, queued)
    if not missing or (row.kind == "rclone" and not is_news):
        return None
    return _Wanted(row, missing, is_news)


def _is_news(session: Session, row: Copy, queued: Queued) -> bool:
    """Whether a person is told again of a copy that waits: after each change, else now and then.

    A remote is asked again only then, because asking takes long.
    """
    changed = session.opened_as != session.vault.digest
    return changed or session.now() - queued.told >= (_REMOTE_PAUSE if row.kind == "rclone" else _LOCAL_PAUSE)


def _make_wanted(session: Session, wanted: Mapping[str, _Wanted]) -> None:
    waiting = {name: _NOT_ACCEPTED for name in wanted if not trust.accepts_copy(session, name)}
    accepted = {name: each for name, each in wanted.items() if name not in waiting}
    with catalogue.held(session.settings.state_folder):
        for name in waiting:
            _queue(session, wanted[name].row, _NOT_ACCEPTED, *wanted[name].digests)
    made = list[str]()
    digests = dict.fromkeys(each for one in accepted.values() for each in one.digests)
    for digest in sorted(digests, key=lambda each: each == session.vault.digest.hex()):  # what the vault is comes last
        file = _file(session, digest)
        rows = [one.row for one in accepted.values() if digest in one.digests]
        for outcome in to_places(session, rows, file) if file else ():
            if outcome.error or outcome.state == "faulty":
                waiting[outcome.id] = outcome.words
            elif outcome.state == "copied":
                made.append(outcome.id)
    _say(session, made, {name: why for name, why in waiting.items() if wanted[name].is_news})


def _file(session: Session, digest: str) -> File | None:
    """A state of the vault file: as it is, as it was, or one that saves keep. None for one that is gone.

    A rotation saves more often than previous ones are kept, so what it found is asked for first.
    """
    if digest == session.vault.digest.hex():
        return live(session)
    kept = sorted((session.settings.state_folder / "previous").glob("*.kdbx"), reverse=True)
    found = [session.vault.replaced] if session.vault.replaced else []
    for content in itertools.chain(found, (path.read_bytes() for path in kept)):
        if hashlib.sha256(content).hexdigest() == digest:
            try:
                return File(content, verifying.facts(Entries(kdbx.decrypt(content, session.vault.key))))
            except (VaultLocked, VaultUnreadable):
                break
    _forget(session, digest)
    return None


def _forget(session: Session, digest: str) -> None:
    """A state that is kept nowhere any more is waited for no longer."""
    with catalogue.held(session.settings.state_folder):
        for name in standings.known(session).queued:
            _unqueue(session, name, digest)


def _say(session: Session, made: list[str], waiting: Mapping[str, str]) -> None:
    rows = session.inventory.vault.copies
    if made:
        output.say(f"copied the vault to {', '.join(name for name in rows if name in made)}")
    for why in dict.fromkeys(waiting.values()):  # often one reason for all: nobody has accepted them yet
        names = [f"{name} ({where(rows[name])})" for name, each in waiting.items() if each == why]
        output.say(
            f"{'a copy waits' if len(names) == 1 else 'copies wait'} for {', '.join(names)}: {output.plain(why)}"
        )
