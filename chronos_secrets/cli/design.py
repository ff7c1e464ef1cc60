"""`doctor design`: the facts of the design check, asked one by one, and what the traps make of them.

What cannot be asked is not known, and keeps nothing else from being judged.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from chronos_secrets.cli import output, trust
from chronos_secrets.cli.session import Session
from chronos_secrets.cloud import posture
from chronos_secrets.cloud.posture import Unknown
from chronos_secrets.errors import ChronosError, Exit, Refused, TargetFailed
from chronos_secrets.inventory.model import LOCAL, Inventory, PgBackRest
from chronos_secrets.pgbackrest.options import OPTIONS
from chronos_secrets.report import design as report
from chronos_secrets.review.design import commands, facts, judging
from chronos_secrets.review.design.commands import Call, Job
from chronos_secrets.review.design.facts import Bind, BucketFacts, Config, Facts, Seen
from chronos_secrets.systems.hosts import Container, Host, placing

Fact = TypeVar("Fact")
_TIMEOUT = 30.0  # seconds for one question to a host
_ABSENT = 44
# Values of secrets stay on the host, and so does a line that is none: it may be the rest of one.
_READ = r"""
[ -e "$1" ] || exit 44
ls -lnLd -- "$1" && sed -E -e 's/^([[:space:]]*[a-z]*[0-9]*-?('"$2"')[[:space:]]*=).*/\1hidden/' \
    -e '/^[[:space:]]*(#|\[)/b' -e '/=/b' -e 's/[^[:space:]].*/hidden/' "$1"
"""
# What cannot be read is no crontab without backups: grep says 1 where it found nothing, and 2 for a failure.
_GREP = """
for each; do
    [ -e "$each" ] || continue
    grep -rHn -e pgbackrest -- "$each" || [ $? -eq 1 ] || exit 3
done
crontab -l 2>/dev/null | grep -n -e pgbackrest | sed "s/^/crontab:/"
:
"""
_CRONTABS = ("/etc/crontab", "/etc/cron.d")
_SCRIPTS = (".sh", ".bash", ".md", ".markdown")
_NAMES = frozenset({"Makefile", "makefile", "justfile", "crontab"})
_NOT_OURS = frozenset({"node_modules", "site-packages", "venv", "vendor"})
_DEEPEST, _MOST, _LARGEST = 4, 5000, 1024 * 1024  # folders below the inventory's, files, and bytes of one


def check(session: Session, *, unlock: bool, offline: bool, as_json: bool) -> Exit:
    """Judge every trap, and show it. Raises Refused where there is no design, or what it asks is not accepted here."""
    found = gather(session, unlock=unlock, offline=offline)
    judged = judging.judge(found, session.today)
    if as_json:
        output.document("doctor design", report.as_json(judged))
    else:
        for line in report.lines(judged):
            output.result(output.plain(line))
        output.say(report.summary(judged))
    for row in judging.unneeded(judged, session.inventory):
        output.say(output.plain(f"{row.control} is accepted until {row.until}, but the design is not in that trap"))
    return posture.status([each.finding for each in judged])


def gather(session: Session, *, unlock: bool, offline: bool) -> Facts:
    """Everything that can be known. Offline nothing is asked but the files of the project."""
    inventory, backups = session.inventory, session.inventory.pgbackrest
    if backups is None:
        raise Refused(
            "the inventory has no section pgbackrest, so there is no design to check",
            hint="docs/inventory.md, section pgbackrest",
        )
    if not offline:
        trust.require(session, hosts=[each for each in {backups.host, _outer(inventory, backups)} if each != LOCAL])
    ask = _not_asked if offline else _asked
    return Facts(
        inventory=inventory,
        backups=backups,
        calls=(*_of_inventory(inventory), *scripts(inventory.folder)),
        config=_asked(lambda: _composed(session, backups)) if offline else ask(lambda: _config(session, backups)),
        jobs=ask(lambda: jobs(session.host(_outer(inventory, backups)), *_CRONTABS)),
        database=ask(lambda: _database(session)),
        bucket=_bucket_or_not(session, unlock=unlock, offline=offline),
        binds=ask(lambda: _binds(session.host(backups.host))),
    )


def _asked(ask: Callable[[], Fact]) -> Fact | Unknown:
    try:
        return ask()
    except ChronosError as error:
        return Unknown(f"{error.message} ({error.hint})" if error.hint else error.message)


def _not_asked(ask: Callable[[], Fact]) -> Fact | Unknown:
    del ask
    return Unknown("nothing was asked: --offline", untried=True)


def _outer(inventory: Inventory, backups: PgBackRest) -> str:
    """The host whose clock starts the backups."""
    if backups.schedule is not None:
        return backups.schedule.host
    row = inventory.hosts.get(backups.host)
    return row.inside or LOCAL if row and row.container else backups.host


# --- pgbackrest.conf --------------------------------------------------------------------------------------------------


def _config(session: Session, backups: PgBackRest) -> Config:
    """The file on the host; where there is none yet, what it would be."""
    from chronos_secrets.cli.backup import place

    at = place.of(session)
    found = read_config(at.host, at.config, stanza=backups.stanza)
    return found if found is not None else _composed(session, backups)


def read_config(host: Host, path: str, *, stanza: str) -> Config | None:
    """A pgbackrest.conf, without the values of its secrets; None where there is no file. Raises TargetFailed."""
    hidden = "|".join(sorted(each.name.partition("-")[2] for each in OPTIONS.values() if each.secret))
    ran = host.run(("sh", "-c", _READ, "sh", path, hidden), timeout=_TIMEOUT)
    if ran.status == _ABSENT:
        return None
    if ran.status != 0:
        raise TargetFailed(f"{path} on {host.name} cannot be read", hint=host.paste(("ls", "-l", path)))
    listed, _, text = ran.out.decode(errors="replace").partition("\n")
    name = f"{path} on {host.name}"
    return facts.config(text, name, stanza=stanza, mode=placing.mode_of(listed.split(" ", 1)[0]))


def _composed(session: Session, backups: PgBackRest) -> Config:
    """The file as the inventory makes it, with a made-up word for each value of the vault."""
    row = session.inventory.destinations[backups.config]
    text = session.draft(row).sample() or ""
    return facts.config(text, f"destination {row.id}, as it would be", stanza=backups.stanza, mode=None)


# --- cron, the container, the database, the bucket --------------------------------------------------------------------


def jobs(host: Host, *places: str) -> tuple[Job, ...]:
    """The lines of cron on a host that call pgbackrest. Raises TargetFailed."""
    ran = host.run(("sh", "-c", _GREP, "sh", *places), timeout=_TIMEOUT)
    if ran.status != 0:
        raise TargetFailed(f"the crontabs of {host.name} cannot be read", hint=host.paste(("ls", "-l", *places)))
    lines = (line.split(":", 2) for line in ran.out.decode(errors="replace").splitlines())
    return tuple(
        job
        for found in lines
        if len(found) == 3
        for job in commands.in_crontab(f"{found[0]}:{found[1]} on {host.name}", found[2])
    )


def _binds(host: Host) -> tuple[Bind, ...]:
    mounts = host.mounts() if isinstance(host, Container) else ()
    return tuple(Bind(each.source, each.inside) for each in mounts if each.kind == "bind")


def _database(session: Session) -> Mapping[str, Seen]:
    from chronos_secrets.cli.backup import place
    from chronos_secrets.pgbackrest import settings

    found = settings.read(place.of(session).server)
    return {each.name: Seen(each.value, each.line or f"the database, set by {each.source}") for each in found.all}


def _bucket_or_not(session: Session, *, unlock: bool, offline: bool) -> BucketFacts:
    """What can be known of the bucket; all four facts have the same reason where it is not asked at all."""
    found = _bucket_if_may(session, unlock=unlock, offline=offline)
    return BucketFacts(found, found, found, found) if isinstance(found, Unknown) else found


def _bucket_if_may(session: Session, *, unlock: bool, offline: bool) -> BucketFacts | Unknown:
    """The vault says which account it is, so that it is opened; nobody types a password unless it was asked for."""
    if session.inventory.cloud is None:
        return Unknown("the inventory has no section cloud", untried=True)
    if offline:
        return _not_asked(lambda: _bucket(session))
    if not (unlock or session.password_given):
        return Unknown("the bucket is asked with --unlock, since the vault names the account", untried=True)
    return _asked(lambda: _bucket(session))


def _bucket(session: Session) -> BucketFacts:
    from chronos_secrets.cli.cloud import reach
    from chronos_secrets.systems.aws.posture import Inspected

    at = reach.reached(session)
    bucket = Inspected(at.clients, at.cloud.bucket.name, at.account)
    return BucketFacts(
        _asked(bucket.versioning), _asked(bucket.enabled_rules), _asked(bucket.locks), _asked(bucket.replicates)
    )


# --- what a person or a program would run -----------------------------------------------------------------------------


def _of_inventory(inventory: Inventory) -> Iterator[Call]:
    for row in inventory.destinations.values():
        for argv in row.after:
            yield from commands.in_argv(f"inventory.yaml:{row.line}, after of {row.id}", argv)
    for name, timer in inventory.timers.jobs.items() if inventory.timers else ():
        for argv in timer.notify:
            yield from commands.in_argv(f"inventory.yaml, timers.{name}.notify", argv)


def scripts(folder: Path) -> Iterator[Call]:
    """The calls in scripts and runbooks below a folder; what cannot be read is passed over."""
    for path in _files(folder):
        try:
            if path.stat().st_size <= _LARGEST:
                yield from commands.in_text(str(path.relative_to(folder)), path.read_text(errors="replace"))
        except OSError:
            continue


def _files(folder: Path) -> Iterator[Path]:
    left = _MOST
    for here, folders, names in os.walk(folder):
        depth = len(Path(here).relative_to(folder).parts)
        folders[:] = sorted(each for each in folders if _is_looked_into(each)) if depth < _DEEPEST else []
        for name in sorted(names):
            left -= 1
            if left < 0:
                return
            if name.endswith(_SCRIPTS) or name in _NAMES:
                yield Path(here, name)


def _is_looked_into(name: str) -> bool:
    return not name.startswith(".") and name not in _NOT_OURS
