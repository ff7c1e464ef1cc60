"""`check`, `list` and `get`: questions to the inventory and the vault."""

import os
import sys
from typing import TYPE_CHECKING

import click

from chronos_secrets.cli import choices, output
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Exit, Refused, UsageError
from chronos_secrets.secret import Secret

if TYPE_CHECKING:
    from chronos_secrets.review.check import Finding


@click.command()
@click.option("--offline", is_flag=True, help="Check only the inventory, its templates and dialects: no vault needed.")
@click.option("--live", is_flag=True, help="Try each credential where it is honoured, too; nothing is changed there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def check(session: Session, *, offline: bool, live: bool, as_json: bool) -> Exit:
    """Say what is wrong with the inventory, its templates and the vault. Exit status 1 if anything is.

    With --live: 1 also if a credential is refused, 7 if all that is wrong is that a target is away.
    """
    from chronos_secrets.cli import live as trying
    from chronos_secrets.review.live import status

    if live and offline:
        raise UsageError("--live takes values from the vault, which --offline leaves closed")
    if live:
        trying.require(session)
    findings = _findings(session, offline=offline)
    tried = trying.try_each(session) if live else []
    if as_json:
        told: dict[str, object] = {"offline": offline, "findings": [finding._asdict() for finding in findings]}
        output.document("check", told | ({"live": [each._asdict() for each in tried]} if live else {}))
    else:
        lines = [(f.where, f.code, f.message + (f" ({f.fix})" if f.fix else "")) for f in findings]
        output.rows(("WHERE", "WHAT", "WHY"), lines, empty="nothing is wrong")
        if live:
            trying.show(session, tried)
    return Exit.NO if findings else status(tried)


def _findings(session: Session, *, offline: bool) -> "list[Finding]":
    from chronos_secrets.review import check as checks

    findings = checks.offline(session.inventory, session.home)
    if offline:
        return findings
    findings += checks.beside(session.settings.vault_path)
    findings += checks.against_vault(session.inventory, session.vault.entries, session.home, session.now())
    if session.vault.format.version < (4, 0):
        output.say("the vault is KDBX 3.1, which is only read; to write it, too: chronos-secrets vault upgrade")
    return findings


@click.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_session
def list_(session: Session, *, as_json: bool) -> None:
    """List the credentials of the inventory. Needs no password and shows no value."""
    credentials = session.inventory.credentials.values()
    if as_json:
        rows = [
            {"id": c.id, "kind": c.kind, "title": c.title, "entry": str(c.entry), "fields": sorted(c.fields)}
            for c in credentials
        ]
        output.document("list", {"credentials": rows})
        return
    lines = [(c.id, c.kind, str(c.entry)) for c in credentials]
    output.rows(("ID", "KIND", "ENTRY"), lines, empty="the inventory names no credential")


@click.command()
@click.argument("identifier", metavar="ID", shell_complete=choices.credentials)
@click.option("--field", metavar="FIELD", help="Another field than the secret itself, such as username.")
@click.option(
    "--clip",
    type=click.IntRange(1, 3600),
    metavar="SECONDS",
    help="Put it on the clipboard for SECONDS instead; Ctrl-C clears it at once.",
)
@opens_vault
@with_session
def get(session: Session, identifier: str, field: str | None, clip: int | None) -> None:
    """Print one value from the vault: the credential's secret, or the field that --field names.

    Into a pipe or a file the exact bytes are written, without a line end.
    """
    credentials = session.inventory.credentials
    if identifier not in credentials:
        raise UsageError(f"there is no credential '{identifier}'", hint=choices.nearest(identifier, credentials))
    credential = credentials[identifier]
    wanted = field or credential.primary
    if wanted not in credential.fields:
        raise UsageError(f"{identifier} has no field '{wanted}'", hint=f"its fields: {', '.join(credential.fields)}")
    if clip is not None:
        _clip(session, identifier, wanted, clip)
        return
    value = session.values.value(identifier, wanted)
    content = value.reveal_bytes()
    if sys.stdout.isatty():
        _refuse_binary(value, identifier, wanted, "shown on a terminal")
        content = content.removesuffix(b"\n") + b"\n"
    output.exact(content)


def _clip(session: Session, identifier: str, field: str, seconds: int) -> None:
    from chronos_secrets.systems import clipboard

    found = clipboard.find(os.environ)  # before anybody types a password
    value = session.values.value(identifier, field)
    _refuse_binary(value, identifier, field, "put on the clipboard")
    told = f"the {field} of {identifier} is on the clipboard for {seconds} s; Ctrl-C clears it now"
    cleared = clipboard.lend(found, value, seconds, announce=lambda: output.say(told))
    output.say("the clipboard is cleared" if cleared else "the clipboard holds something else by now; that was left")


def _refuse_binary(value: Secret, identifier: str, field: str, done: str) -> None:
    """A terminal obeys escape sequences, typed or pasted; a value must not be able to use them."""
    text = value.reveal_bytes().decode(errors="replace")
    if not all(character.isprintable() or character in "\n\t" for character in text):
        raise Refused(
            f"the {field} of {identifier} is not plain text, so it is not {done}",
            hint=f"chronos-secrets get {identifier} --field {field} > FILE",
        )
