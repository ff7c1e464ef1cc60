"""`backup configure`: the settings of the database on which its backups rest."""

import click

from chronos_secrets.cli import memory, output, prompts, trust
from chronos_secrets.cli.backup import drift, place
from chronos_secrets.cli.backup.place import Place
from chronos_secrets.cli.command import with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Exit, Refused, TargetFailed, UsageError
from chronos_secrets.inventory.model import LOCAL
from chronos_secrets.pgbackrest import settings
from chronos_secrets.pgbackrest.settings import Difference, Found
from chronos_secrets.report import standing as report

_LOOKS = 10  # at a server that was told to read its files again
_PAUSE = "SELECT pg_sleep(0.3)"  # between two looks
_APPLY = "chronos-secrets backup configure --apply"
_FINE = "every setting is as the backups need it"


@click.command(short_help="Give the database the settings that its backups need.")
@click.option("--check", "only_check", is_flag=True, help="Say what is not as it should be; exit status 1 if anything.")
@click.option("--apply", "apply_them", is_flag=True, help="Show it, ask, and set it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_session
def configure(session: Session, *, only_check: bool, apply_them: bool, yes: bool, as_json: bool) -> Exit:
    """Compare the settings that the backups need with the inventory's, or set them with ALTER SYSTEM.

    These are archive_mode, archive_command, wal_level, max_wal_senders and archive_timeout. Needs no password: the
    database is asked on its own host. No server is restarted: what waits for that is said, with the command. Exit
    status 8 while something waits.
    """
    if only_check == apply_them:
        raise UsageError(
            "say whether to look or to set", hint=f"chronos-secrets backup configure --check    # or {_APPLY}"
        )
    there = place.of(session)
    trust.require(session, sections=drift.SECTIONS)
    found = settings.read(there.server)
    differing = settings.differences(found.all, there.wanted)
    if not as_json:
        output.rows(report.SETTING_HEADERS, [report.difference_line(each) for each in differing], empty=_FINE)
    if differing and apply_them:
        differing = _set(session, there, found, differing, yes=yes)
    restart = _restart(session, there) if any(each.is_set and _waits(each) for each in differing) else None
    if as_json:
        told = [report.difference_json(each) for each in differing]
        output.document("backup configure", {"differences": told, "restart": restart})
    elif only_check and any(not each.is_set for each in differing):
        output.say(f"next: {_APPLY}")
    elif restart:
        names = ", ".join(each.setting.name for each in differing if each.is_set)
        output.say(f"a restart of the database is needed for {names}: {restart}")
    return _status(differing, apply_them=apply_them)


def _status(differing: list[Difference], *, apply_them: bool) -> Exit:
    if not differing:
        return Exit.OK
    return Exit.INCOMPLETE if apply_them else Exit.NO


def _waits(each: Difference) -> bool:
    return each.setting.effect == "restart"


def _set(session: Session, there: Place, found: Found, differing: list[Difference], *, yes: bool) -> list[Difference]:
    """Set what is not set yet; what is then still to come: those that wait for a restart."""
    setting = [each for each in differing if not each.is_set]
    if setting:
        _require_possible(there, found, setting)
        _confirm(setting, yes=yes)
        statements = [settings.statement(each.setting.name, each.should) for each in setting]
        there.server.ask(*statements, "SELECT pg_reload_conf()")
        names = [each.setting.name for each in setting]
        memory.record_or_say(session, "backup-configure", there.section.stanza, {"settings": ", ".join(names)})
    else:
        there.server.ask("SELECT pg_reload_conf()")
    left = _left(there)
    for each in setting:
        if each.setting.name not in {other.setting.name for other in left}:
            output.say(f"{each.setting.name} is set")
    return left


def _left(there: Place) -> list[Difference]:
    """What is still not as it should be once the server has read its files. Raises TargetFailed where it does not."""
    left: list[Difference] = []
    for _ in range(_LOOKS):
        there.server.ask(_PAUSE)
        left = settings.differences(settings.read(there.server).all, there.wanted)
        if all(_waits(each) for each in left):
            return left
    names = ", ".join(each.setting.name for each in left if not _waits(each))
    raise TargetFailed(
        f"the database does not take {names}, which is set",
        hint=there.server.by_hand("SELECT * FROM pg_file_settings WHERE NOT applied"),
    )


def _require_possible(there: Place, found: Found, setting: list[Difference]) -> None:
    """Raises Refused where ALTER SYSTEM is not allowed, or would be of no use."""
    fixed = [each.setting for each in setting if each.setting.is_fixed]
    if fixed:
        names, source = ", ".join(each.name for each in fixed), fixed[0].source
        raise Refused(
            f"{names} cannot be set: whoever starts the server sets it, by its {source}; nothing was set",
            hint=f"{_beginning(there)}    # shows it; change it where the server is started",
        )
    if not found.has_alter_system:
        raise Refused(
            "the server has allow_alter_system off; nothing was set", details=_lines(setting),
            hint="put the lines into its postgresql.conf, then: chronos-secrets backup configure --check",
        )  # fmt: skip
    if not found.may_change:
        raise Refused(
            f"the role {found.role} may not use ALTER SYSTEM; nothing was set",
            details=[settings.statement(each.setting.name, each.should) for each in setting],
            hint="run the lines as a superuser of the database, then: chronos-secrets backup configure --check",
        )


def _beginning(there: Place) -> str:
    """The command that shows how the server was started."""
    return there.host.paste(("cat", f"{there.database.data}/postmaster.opts"))


def _lines(setting: list[Difference]) -> list[str]:
    return [settings.statement(each.setting.name, each.should).removeprefix("ALTER SYSTEM SET ") for each in setting]


def _confirm(setting: list[Difference], *, yes: bool) -> None:
    if yes:
        return
    if not prompts.has_person():
        raise Refused("nobody can be asked whether to set them; nothing was set", hint=f"{_APPLY} --yes")
    names = ", ".join(each.setting.name for each in setting)
    if not click.confirm(f"Set {names}?", err=True):
        raise Refused("nothing was set", hint=_APPLY)


def _restart(session: Session, there: Place) -> str:
    """The command that starts the database anew, pasted on this machine."""
    service, host = there.database.service, there.section.host
    if service is not None:
        argv = ("docker", "compose", "--project-directory", service.compose, "restart", service.name)
        return session.host(service.host).paste(argv)
    row = session.inventory.hosts.get(host)
    if row is not None and row.container is not None:
        return session.host(row.inside or LOCAL).paste((row.engine, "restart", row.container))
    sudo = ("sudo",) if row is None else ()
    return there.host.paste((*sudo, "systemctl", "restart", "postgresql"))
