"""`vault copy`, `copies`, `verify` and `prune`: second vault files that are known to open."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import click

from chronos_secrets.cli import PATH, choices, copying, memory, output, prompts, saving, standings, trust
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.copying import Outcome
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import ChronosError, Exit, Refused, UsageError, VaultLocked, VaultMissing, VaultUnreadable
from chronos_secrets.inventory.model import Copy
from chronos_secrets.report import copies as report
from chronos_secrets.review.copies import where
from chronos_secrets.systems import files
from chronos_secrets.vault.copies import catalogue, places, pruning, verifying
from chronos_secrets.vault.copies.record import Facts, Record
from chronos_secrets.vault.copies.verifying import Verdict
from chronos_secrets.vault.kdf import MasterKey

_NONE = "the inventory names no copies"


@click.command(short_help="Copy the vault to its places, and open each copy.")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=choices.copies)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def copy(session: Session, names: tuple[str, ...], *, as_json: bool) -> Exit:
    """Copy the vault to all places of the inventory, or to the named ones.

    Each copy is read back from its place and opened. A place that is away stops no other: its copy is queued and made
    by the next command that opens the vault.
    """
    rows = _chosen(session, names)
    trust.require(session, copies=[row.id for row in rows])
    file = copying.live(session)
    outcomes = list(copying.to_places(session, rows, file))
    if as_json:
        output.document("vault copy", {"copies": [report.outcome_json(each) for each in outcomes]})
    else:
        lines = [(each.id, report.stamp(each.record, session.zone), report.outcome(each)) for each in outcomes]
        output.rows(("COPY", "MADE", "STATE"), lines, empty=_NONE)
    return _status(outcomes)


@click.command(short_help="List the copies of the vault.")
@click.argument("name", metavar="[NAME]", required=False, shell_complete=choices.copies)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with each copy.")
@click.option("--format", "form", type=click.Choice(["table", "json", "prometheus"]), help="How to print the answer.")
@click.option("--output", "target", metavar="FILE", type=PATH, help="Write the metrics to FILE.")
@with_session
def copies(session: Session, name: str | None, *, as_json: bool, form: str | None, target: str | None) -> None:
    """List the places and the newest copy in each, or every copy in the place NAME.

    Needs no password. PASSWORD says whether the copy opens with the vault's present password or with an older one.
    """
    if target is not None and (as_json or form != "prometheus"):
        raise UsageError("--output goes with --format prometheus", hint="for the others: > FILE")
    rows = _chosen(session, (name,) if name else ())
    found, away = _looked_at(session, rows)
    shown = [each for each in standings.all_of(session, found) if each.row in rows]
    now, zone = session.now(), session.zone
    if as_json or form == "json":
        told = [report.place_json(each, away.get(each.row.id), where(each.row)) for each in shown]
        output.document("vault copies", {"places": told})
    elif form == "prometheus":
        from chronos_secrets.report import prometheus

        saving.hand_over(prometheus.copies(shown, project=session.inventory.project, now=now), target, saving.METRICS)
    elif name is not None:
        lines = [report.copy_line(shown[0], each, zone) for each in reversed(shown[0].records)]
        output.rows(report.COPY_HEADERS, lines, empty=f"no copy is known in {name}")
        _say_away(away)
    else:
        lines = [report.place_line(each, away.get(each.row.id), now, zone) for each in shown]
        output.rows(report.PLACE_HEADERS, lines, empty=_NONE)


@click.command(short_help="Open the copies, and say whether they are what they should be.")
@click.argument("name", metavar="[NAME]", required=False, shell_complete=choices.copies)
@click.option("--all", "every", is_flag=True, help="Every copy, not only the newest of each place.")
@click.option("--identity", metavar="FILE", type=PATH, help="The identity that opens .age copies.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def verify(session: Session, *, name: str | None, every: bool, identity: str | None, as_json: bool) -> Exit:
    """Read the newest copy of each place back, open it, and compare it with the vault.

    An .age copy is verified by its hash, unless its identity is given. A copy from before a change of the password
    opens with the older one: --password-file or --password-fd. Exit status 1 if a copy does not open, is damaged, or is
    not the vault as it should be.
    """
    rows = _chosen(session, (name,) if name else ())
    trust.require(session, copies=[row.id for row in rows])
    by = _openers(session)._replace(identity=Path(identity) if identity else None)
    seen = [each for row in rows for each in _verified(session, row, by, every=every)]
    if as_json:
        output.document("vault verify", {"copies": [report.seen_json(each) for each in seen]})
    else:
        lines = [report.seen_line(each, session.zone) for each in seen]
        output.rows(("COPY", "MADE", "ENTRIES", "RESULT"), lines, empty=_NONE)
    if any(each.status == Exit.NO for each in seen):
        return Exit.NO
    return next((each.status for each in seen if each.status), Exit.OK)


@click.command(short_help="Remove copies that an older password still opens.")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=choices.copies)
@click.option(
    "--older-password", is_flag=True, help="Those that open with an older password than a verified one there."
)
@click.option("--dry-run", is_flag=True, help="Remove nothing; say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_session
def prune(session: Session, names: tuple[str, ...], *, older_password: bool, dry_run: bool, yes: bool) -> Exit:
    """Remove the copies that open with an older master password, wherever a copy with a newer one was opened.

    For the day on which the old password may be known to somebody: a copy keeps the password that it was made with for
    ever. Needs no password; shows what goes, and asks.
    """
    if not older_password:
        raise UsageError(
            "say which copies are to go; what keep: lets go is removed whenever a copy is made",
            hint="chronos-secrets vault prune --older-password",
        )
    rows = _chosen(session, names)
    trust.require(session, copies=[row.id for row in rows])
    found, away = _looked_at(session, rows)
    going = pruning.older_password(
        each for each in found.records if each.place in {row.id for row in rows} - away.keys()
    )
    lines = [(each.place, report.stamp(each, session.zone), each.name) for each in going]
    output.rows(("COPY", "MADE", "FILE"), lines, empty="no copy opens with an older password than a verified one there")
    _say_unknown(found, rows)
    _say_staying(session, found, [row for row in rows if row.id not in away], going)
    _say_away(away)
    if going and not dry_run:
        _confirm_removal(going, yes=yes)
        _remove(session, rows, going)
    return Exit.TARGET if away else Exit.OK


class Seen(NamedTuple):
    """What looking at one copy, or at a place without any, came to."""

    row: Copy
    record: Record | None
    words: str
    status: Exit
    opened: bool = False


def _chosen(session: Session, names: tuple[str, ...]) -> list[Copy]:
    known = session.inventory.vault.copies
    for name in names:
        if name not in known:
            raise UsageError(f"there is no copy '{name}'", hint=choices.nearest(name, known))
    return [known[name] for name in dict.fromkeys(names)] if names else list(known.values())


def _status(outcomes: list[Outcome]) -> Exit:
    """8 when some were made and some not, else what the first failure says."""
    if any(each.state == "faulty" for each in outcomes):
        return Exit.NO
    failed = [each.error for each in outcomes if each.error is not None]
    if not failed:
        return Exit.OK
    return Exit.INCOMPLETE if len(failed) < len(outcomes) else failed[0].exit


def _looked_at(session: Session, rows: Iterable[Copy]) -> tuple[catalogue.Catalogue, dict[str, str]]:
    """What lies in the places now, as far as they are there, with what is remembered; and why the others are away."""
    found, away = standings.known(session), dict[str, str]()
    for row in rows:
        if not trust.accepts_copy(session, row.id):
            away[row.id] = "not accepted on this machine yet"
            continue
        try:
            names = places.of(row, session.inventory, session.home).names()
        except ChronosError as error:
            away[row.id] = error.message
        else:
            found = catalogue.merge(found, row.id, names)
    return found, away


def _say_away(away: dict[str, str]) -> None:
    for name, why in away.items():
        output.say(f"{name} was not looked at: {output.plain(why)}")


class _Openers(NamedTuple):
    """What opens the copies, and what the vault says of itself: None where only the copies are left to look at."""

    key: MasterKey
    live: Facts | None = None
    digest: str = ""  # SHA-256 of the vault file (hex)
    identity: Path | None = None


def _openers(session: Session) -> _Openers:
    try:
        vault = session.vault
        return _Openers(vault.key, verifying.facts(vault.entries), vault.digest.hex())
    except (VaultMissing, VaultUnreadable) as error:
        output.say(f"{error.message}; the copies are compared with what was recorded of them")
    except VaultLocked as error:
        if not session.password_given:
            raise
        output.say(f"{error.message}; taken for an older password of the copies")
    password = session.given_password or prompts.password("Password of the copies: ")
    return _Openers(session.key(password, session.settings))


def _verified(session: Session, row: Copy, by: _Openers, *, every: bool) -> list[Seen]:
    place, state = places.of(row, session.inventory, session.home), session.settings.state_folder
    try:
        with catalogue.held(state):
            names = place.names()
            copying.store_catalogue(session, lambda found: catalogue.merge(found, row.id, names))
            records = sorted(standings.known(session).of(row.id), key=lambda each: (each.made, each.vault == by.digest))
            if not records:
                return [Seen(row, None, "there is no copy", Exit.NO)]
            newest = _look(session, place, row, records[-1], by, is_newest=True)
            others = reversed(records[:-1]) if every else ()
            return [newest, *(_look(session, place, row, each, by) for each in others)]
    except ChronosError as error:
        return [Seen(row, None, output.plain(error.message), error.exit)]
    except OSError as error:
        raise Refused(f"the state folder {state} cannot be written: {files.reason(error)}") from error


def _look(
    session: Session, place: places.Place, row: Copy, record: Record, by: _Openers, *, is_newest: bool = False
) -> Seen:
    verdict = verifying.verify(place, record, by.key, by.live, now=session.now(), identity=by.identity)
    copying.store_catalogue(session, lambda found: catalogue.with_records(found, verdict.record))
    how = "not good" if verdict.fault else verdict.record.how or ""
    memory.record_or_say(session, "vault-verify", row.id, {"file": record.name, "how": how})
    same = verdict.record.vault == by.digest
    words, status = _judged(row, verdict, is_newest=is_newest, same=same)
    return Seen(row, verdict.record, words, status, verdict.opened)


def _judged(row: Copy, verdict: Verdict, *, is_newest: bool, same: bool) -> tuple[str, Exit]:
    """What a verdict means for a person. The newest copy has to be the vault, where one is made after every change."""
    if verdict.fault is not None:
        return f"NO: {output.plain(verdict.fault)}", Exit.NO
    if not verdict.opened:
        return "its bytes are those that were written; not opened", Exit.OK
    if verdict.standing == "newer":
        return "opens; NO: it holds newer changes than the vault", Exit.NO
    if verdict.standing == "older" and is_newest and "after-change" in row.rhythm[1]:
        return "opens; NO: it is older than the vault", Exit.NO
    if same:
        return "opens, and is what the vault is", Exit.OK
    told = {"same": "opens, and has the vault's last change", "older": "opens; it is older than the vault"}
    return told.get(verdict.standing, "opens, and holds what was recorded"), Exit.OK


def _say_unknown(found: catalogue.Catalogue, rows: list[Copy]) -> None:
    ids = {row.id for row in rows}
    unknown = sum(
        1 for each in found.records if each.place in ids and (each.facts is None or not each.facts.key_changed)
    )
    if unknown:
        output.say(f"of {report.count(unknown)} the password is not known; to look: chronos-secrets vault verify --all")


def _say_staying(session: Session, found: catalogue.Catalogue, rows: list[Copy], going: list[Record]) -> None:
    """Whoever flees from an old password has to know what it still opens."""
    for each in standings.all_of(session, found):
        older = {record.name: each.has_older_password(record) for record in each.records if record not in going}
        staying = sum(1 for known in older.values() if known)
        if each.row in rows and staying:
            sealed = each.row.age and False in older.values()
            then = f"verify {each.row.id} --identity FILE" if sealed else f"copy {each.row.id}"
            output.say(
                f"{each.row.id} keeps {report.count(staying)} with an older password, for none with the newer one was "
                f"opened there; first: chronos-secrets vault {then}"
            )


def _confirm_removal(going: list[Record], *, yes: bool) -> None:
    if yes:
        return
    if not prompts.has_person():
        raise Refused("nobody can be asked whether to remove them; nothing was removed", hint="add --yes")
    if not click.confirm(f"Remove {report.count(len(going))} for ever?", err=True):
        raise Refused("nothing was removed")


def _remove(session: Session, rows: list[Copy], going: list[Record]) -> None:
    """Each place anew: while a person read, another run may have changed what lies there."""
    with catalogue.held(session.settings.state_folder):
        for row in rows:
            if mine := [each for each in going if each.place == row.id]:
                _remove_from(session, row, mine)


def _remove_from(session: Session, row: Copy, going: list[Record]) -> None:
    place = places.of(row, session.inventory, session.home)
    now_there = catalogue.merge(standings.known(session), row.id, place.names())
    gone = pruning.remove(place, [each for each in pruning.older_password(now_there.of(row.id)) if each in going])
    copying.store_catalogue(session, lambda found: catalogue.without(found, *gone))
    memory.record_or_say(session, "vault-prune", row.id, {"copies": str(len(gone))})
    output.result(f"removed {report.count(len(gone))} from {row.id}")
