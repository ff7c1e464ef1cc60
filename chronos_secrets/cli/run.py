"""`run`: a program with values from the vault in its environment."""

import contextlib
import gc
import os
import re

import click

from chronos_secrets.cli import choices, output, trust
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Exit, UsageError
from chronos_secrets.inventory.model import Inventory
from chronos_secrets.render import environment
from chronos_secrets.render.environment import Environment, Wanted
from chronos_secrets.systems import files, masking, relay

_INHERITED = re.compile(r"/(?:dev|proc/self)/fd/([0-9]+)")
_WANTED = re.compile(r"([^.=]+)(?:\.([^.=]+))?(?:=(.*))?", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HINT = "chronos-secrets run --destination ID -- CMD    # or --with ID"


@click.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "--destination", metavar="ID", shell_complete=choices.destinations,
    help="The variables that this dotenv destination sets.",
)  # fmt: skip
@click.option(
    "--with",
    "wanted",
    metavar="ID[.FIELD][=NAME]",
    shell_complete=choices.wanted,
    multiple=True,
    help="A credential: each field as ID_FIELD, one field, or under another name. May be given again.",
)
@click.option("--no-mask", is_flag=True, help="Become CMD, with nothing in between that masks what it prints.")
@click.argument(
    "command", metavar="-- CMD [ARGUMENT]...", nargs=-1, type=click.UNPROCESSED, shell_complete=choices.files
)
@opens_vault
@with_session
def run(
    session: Session, *, destination: str | None, wanted: tuple[str, ...], no_mask: bool, command: tuple[str, ...]
) -> int:
    """Run CMD with values from the vault in its environment; nothing is written to the disk.

    In what CMD prints, the values are shown as <masked>. The exit status is CMD's own, or 127 or 126 where it cannot be
    started.
    """
    if not command:
        raise UsageError("no command is named", hint=_HINT)
    made = _environment(session, destination, wanted)
    _forget_vault(session)
    try:
        if no_mask:
            relay.replace(command, made.variables)
        if short := relay.unmaskable(made.hidden):
            output.say(f"too short to be masked (fewer than {masking.LEAST} characters): {', '.join(short)}")
        ended = relay.run(command, made.variables, made.hidden.values())
    except relay.NotStarted as error:
        output.say(f"error: {error}")
        return error.status
    if ended.unwritten is not None:
        output.say(f"error: what {command[0]} printed could not be written: {files.reason(ended.unwritten)}")
        return ended.status if ended.status > 0 else Exit.INCOMPLETE
    return relay.end_like(ended.status)


def _environment(session: Session, destination: str | None, wanted: tuple[str, ...]) -> Environment:
    """Everything that can be wrong with the command line is, before anybody types a password."""
    if destination is None and not wanted:
        raise UsageError("neither --destination nor --with says which values", hint=_HINT)
    inventory = session.inventory
    asked = [_asked(text, inventory) for text in wanted]
    drafts = []
    if destination is not None:
        if destination not in inventory.destinations:
            hint = choices.nearest(destination, inventory.destinations)
            raise UsageError(f"there is no destination '{destination}'", hint=hint)
        drafts = [session.draft(inventory.destinations[destination])]
        environment.require_dialect(drafts[0].destination, inventory)
    names = [draft.destination.id for draft in drafts]
    trust.require(session, destinations=names, credentials=[each.credential for each in asked])
    made = [environment.of_destination(draft, inventory, session.values) for draft in drafts]
    made += [environment.of_credential(each, inventory, session.values) for each in asked]
    return environment.merged(made)


def _asked(text: str, inventory: Inventory) -> Wanted:
    """What ID, ID.FIELD, ID=NAME (the secret itself) or ID.FIELD=NAME asks for."""
    found = _WANTED.fullmatch(text)
    identifier, field, name = found.groups() if found else (text, None, None)
    if identifier not in inventory.credentials:
        raise UsageError(
            f"there is no credential '{identifier}'", hint=choices.nearest(identifier, inventory.credentials)
        )
    credential = inventory.credentials[identifier]
    if field is not None and field not in credential.fields:
        hint = f"its fields: {', '.join(credential.fields)}"
        raise UsageError(f"{identifier} has no field '{field}'", hint=hint)
    if name is not None and not _NAME.fullmatch(name):
        hint = f"--with {text.partition('=')[0]}=NAME, made of A-Z a-z 0-9 _"
        raise UsageError(f"'{name}' is no name of a variable", hint=hint)
    return Wanted(identifier, credential.primary if name is not None and field is None else field, name)


def _forget_vault(session: Session) -> None:
    """Let go of the vault, its key and whatever still holds its password: CMD may run for days."""
    del session.values, session.vault
    gc.collect()
    password_file = _INHERITED.fullmatch(click.get_current_context().params.get("password_file") or "")
    if password_file and int(password_file[1]) > 2:
        with contextlib.suppress(OSError):
            os.close(int(password_file[1]))
