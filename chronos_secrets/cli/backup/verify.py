"""`backup verify`: is everything that a restore needs in the repository, and as it was written?"""

import contextlib
from typing import NamedTuple

import click

from chronos_secrets.amounts import size
from chronos_secrets.cli import memory, output
from chronos_secrets.cli.backup import drift, place, verified
from chronos_secrets.cli.backup.place import Place
from chronos_secrets.cli.backup.progress import Progress
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import ChronosError, Exit, TargetFailed
from chronos_secrets.pgbackrest import archive, verifying
from chronos_secrets.pgbackrest.archive import Gap, Loss
from chronos_secrets.pgbackrest.verifying import Verified
from chronos_secrets.report import backup as report
from chronos_secrets.systems import files

_TIMEOUT = 24 * 3600.0  # seconds: every byte of the repository is read
_MOST = 10  # faulty files that are named
_SEGMENT_SIZE = "SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'"


class _Found(NamedTuple):
    verified: Verified
    gaps: tuple[tuple[Gap, Loss], ...]

    @property
    def good(self) -> bool:
        return self.verified.good and not self.gaps


@click.command(short_help="Read the whole repository, and find what is missing or damaged.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@drift.option
@opens_vault
@with_session
def verify(session: Session, *, as_json: bool, unchecked: bool) -> Exit:
    """Read every backup and all WAL of the repository, compare checksums, and look for WAL that is missing.

    pgBackRest compares the files that there are; WAL that is missing in the middle is found by its neighbours.
    Reads the whole repository: that takes its time, and S3 counts it. Exit status 1 if anything is missing or damaged.
    """
    there = place.of(session)
    drift.require_current(session, there, check=not unchecked, again="chronos-secrets backup verify")
    told = there.runner.held()
    if not told.backups:
        output.say("there is no backup yet that could be verified; to make one: chronos-secrets backup full")
        return Exit.NO
    if not as_json:
        stored = size(report.total(told.backups))
        output.say(f"reading all that the repository has of {there.section.stanza}: {stored} in backups, and the WAL")
    with Progress("verify", quiet=as_json) as hear:
        ran = there.runner.run("verify", *verifying.OPTIONS, timeout=_TIMEOUT, hear=hear)
    parsed = verifying.parse(ran.out.decode(errors="replace"))
    if parsed is None:
        raise TargetFailed("pgbackrest verify says what this program does not understand")
    found = _Found(parsed, tuple(_gaps(there) and _gaps(there)))  # two segments may arrive in the wrong order
    _remember(session, there, good=found.good)
    _report(session, found, as_json=as_json)
    return Exit.OK if found.good else Exit.NO


def _gaps(there: Place) -> list[tuple[Gap, Loss]]:
    """The WAL that is missing, with what that means.

    The backups are asked for after the WAL: an expire in between must not look like a loss.
    """
    top, size = f"archive/{there.section.stanza}", _segment_size(there)
    listed = there.runner.repo_ls(top)
    texts = {
        name: there.runner.repo_get(f"{top}/{name}").decode(errors="replace") for name in archive.histories(listed)
    }
    begun = archive.branches(texts, segment_size=size)
    backups = there.runner.info().backups
    found = archive.gaps(archive.segments(listed, segment_size=size), backups, begun, segment_size=size)
    return [(gap, archive.loss(gap, backups)) for gap in found]


def _segment_size(there: Place) -> int:
    """The server's own, where it runs: a repository is verified without it, too."""
    with contextlib.suppress(ChronosError, ValueError, IndexError):
        return int(there.server.ask(_SEGMENT_SIZE)[0][0])
    return archive.SEGMENT_SIZE


def _remember(session: Session, there: Place, *, good: bool) -> None:
    memory.record_or_say(session, "backup-verify", there.section.stanza, {"good": "yes" if good else "no"})
    try:
        verified.record(session.settings.state_folder, session.now(), good=good)
    except OSError as error:
        output.say(f"this will count as not verified: {error.filename}: {files.reason(error)}")


def _report(session: Session, found: _Found, *, as_json: bool) -> None:
    parsed = found.verified
    if as_json:
        output.document(
            "backup verify",
            {
                "good": found.good, "parts": [report.part_json(each) for each in parsed.parts],
                "faulty_files": list(parsed.files), "errors": [output.plain(each) for each in parsed.errors],
                "missing_wal": [report.loss_json(*each) for each in found.gaps],
            },
        )  # fmt: skip
        return
    lines = [report.part_line(each) for each in parsed.parts]
    output.rows(report.VERIFY_HEADERS, lines, empty="pgbackrest found nothing to verify")
    for name in parsed.files[:_MOST]:
        output.result(output.plain(name))
    if len(parsed.files) > _MOST:
        output.result(f"and {len(parsed.files) - _MOST} more files")
    for error in parsed.errors:
        output.result(output.plain(error))
    for gap, lost in found.gaps:
        output.result(report.loss(gap, lost, session.zone))
