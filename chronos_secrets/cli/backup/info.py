"""`backup info`: the backups of the repository."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from chronos_secrets.amounts import size
from chronos_secrets.cli import choices, output
from chronos_secrets.cli.backup import drift, place, seen
from chronos_secrets.cli.backup.place import Place
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Exit, UsageError
from chronos_secrets.inventory import cron
from chronos_secrets.pgbackrest import info as told
from chronos_secrets.pgbackrest.info import Backup, Stanza
from chronos_secrets.report import backup as report


@click.command(short_help="List the backups of the repository.")
@click.option("--set", "label", metavar="LABEL", help="Only this backup, with what it rests on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@drift.option
@opens_vault
@with_session
def info(session: Session, *, label: str | None, as_json: bool, unchecked: bool) -> Exit:
    """List the backups with their ages and sizes, the WAL, and what is expected next.

    SIZE is what a backup restores, IN REPO what it added to the repository. Exit status 1 if there is no backup yet.
    """
    there = place.of(session)
    drift.require_current(session, there, check=not unchecked, again="chronos-secrets backup info")
    found = there.runner.held()
    seen.remember(session, found)
    shown = _chosen(found, label)
    if as_json:
        _as_json(session, there, found, shown)
    else:
        lines = [report.line(each, session.now(), session.zone) for each in shown]
        output.rows(report.HEADERS, lines, empty=_nothing(found))
        for text in _about(shown[0]) if label else _summary(session, there, found):
            output.result(text)
    return Exit.OK if found.backups else Exit.NO


def _chosen(found: Stanza, label: str | None) -> Sequence[Backup]:
    if label is None:
        return found.backups
    labels = [each.label for each in found.backups]
    if label not in labels:
        raise UsageError(f"there is no backup '{label}'", hint=choices.nearest(label, labels))
    return [each for each in found.backups if each.label == label]


def _nothing(found: Stanza) -> str:
    if found.code == told.NO_STANZA:
        return "the repository does not have the stanza; to make it: chronos-secrets backup stanza-create"
    return "there is no backup yet; to make one: chronos-secrets backup full"


def _about(backup: Backup) -> list[str]:
    on = ", ".join(backup.references) or "nothing"
    pages = {True: "damaged pages were found", False: "no damaged page was found", None: "pages were not checked"}
    return [f"rests on: {on}", f"restores {size(backup.size)}; {pages[backup.error]} when it was made"]


def _summary(session: Session, there: Place, found: Stanza) -> list[str]:
    """What the table does not say."""
    lines = [f"WAL of {each.id}: {report.wal(each.first, each.last)}" for each in found.archives if each.first]
    kept, wanted = retention(there, found)
    met = "met" if kept >= wanted else "not met yet"
    lines.append(f"retention: {kept} of {wanted} full backups ({met})")
    lines.append(f"repository: {size(report.total(found.backups))} in backups, besides the WAL")
    if found.backup_runs:
        lines.append("a backup or an expire is running now")
    zone, now = session.zone, session.now()
    expected = ", ".join(f"{kind} {report.moment(at, zone)}" for kind, at in next_expected(there, now).items())
    return [*lines, f"next expected: {expected or 'nothing is scheduled'}"]


def retention(there: Place, found: Stanza) -> tuple[int, int]:
    """How many full backups there are in the repository that has the fewest, and how many are to be kept."""
    fulls = [each.repo for each in found.backups if each.kind == "full"]
    repos = {each.key for each in found.repos} or {1}
    return min(fulls.count(each) for each in repos), there.section.repo.retention_full


def next_expected(there: Place, now: datetime) -> dict[str, datetime]:
    """When the inventory's schedule next runs each kind of backup."""
    schedule = there.section.schedule
    if schedule is None:
        return {}
    zone = ZoneInfo(schedule.timezone)
    found = {kind: cron.next_after(each, now, zone) for kind, each in schedule.starts.items()}
    return {kind: at for kind, at in found.items() if at}


def _as_json(session: Session, there: Place, found: Stanza, shown: Sequence[Backup]) -> None:
    kept, wanted = retention(there, found)
    now = session.now()
    output.document(
        "backup info",
        {
            "stanza": found.name, "code": found.code, "state": told.STATES.get(found.code, "unknown"),
            "backup_runs": found.backup_runs,
            "backups": [
                {**report.backup_json(each), "age_seconds": int((now - each.stopped).total_seconds())}
                for each in shown
            ],
            "wal": [
                {"id": each.id, "repository": each.repo, "first": each.first, "last": each.last}
                for each in found.archives
            ],
            "retention": {"full_kept": kept, "full_wanted": wanted, "met": kept >= wanted},
            "repository_size": report.total(found.backups),
            "next_expected": {kind: at.isoformat() for kind, at in next_expected(there, now).items()},
        },
    )  # fmt: skip
