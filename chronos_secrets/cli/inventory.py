"""`check`, `list` and `get`: questions to the inventory and the vault."""

import sys

import click

from chronos_secrets.cli import output
from chronos_secrets.cli.choices import nearest
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.errors import Exit, Refused, UsageError


@click.command()
@click.option("--offline", is_flag=True, help="Check only the inventory, its templates and dialects: no vault needed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@opens_vault
@with_session
def check(session: Session, *, offline: bool, as_json: bool) -> Exit:
    """Say what is wrong with the inventory, its templates and the vault. Exit status 1 if anything is."""
    from chronos_secrets.review import check as checks

    findings = checks.offline(session.inventory, session.home)
    if not offline:
        findings += checks.against_vault(session.inventory, session.vault.entries, session.home, session.now())
        if session.vault.format.version < (4, 0):
            output.say("the vault is KDBX 3.1, which is only read; to write it, too: chronos-secrets vault upgrade")
    if as_json:
        output.document("check", {"offline": offline, "findings": [finding._asdict() for finding in findings]})
    else:
        lines = [(f.where, f.code, f.message + (f" ({f.fix})" if f.fix else "")) for f in findings]
        output.rows(("WHERE", "WHAT", "WHY"), lines, empty="nothing is wrong")
    return Exit.NO if findings else Exit.OK


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
@click.argument("identifier", metavar="ID")
@click.option("--field", metavar="FIELD", help="Another field than the secret itself, such as username.")
@opens_vault
@with_session
def get(session: Session, identifier: str, field: str | None) -> None:
    """Print one value from the vault: the credential's secret, or the field that --field names.

    Into a pipe or a file the exact bytes are written, without a line end.
    """
    credentials = session.inventory.credentials
    if identifier not in credentials:
        raise UsageError(f"there is no credential '{identifier}'", hint=nearest(identifier, credentials))
    credential = credentials[identifier]
    wanted = field or credential.primary
    if wanted not in credential.fields:
        raise UsageError(f"{identifier} has no field '{wanted}'", hint=f"its fields: {', '.join(credential.fields)}")
    content = session.values.value(identifier, wanted).reveal_bytes()
    if sys.stdout.isatty():
        _refuse_binary(content, identifier, wanted)
        content = content.removesuffix(b"\n") + b"\n"
    output.exact(content)


def _refuse_binary(content: bytes, identifier: str, field: str) -> None:
    """A terminal obeys escape sequences; a value must not be able to use them."""
    text = content.decode(errors="replace")
    if not all(character.isprintable() or character in "\n\t" for character in text):
        raise Refused(
            f"the {field} of {identifier} is not plain text, so it is not shown on a terminal",
            hint=f"chronos-secrets get {identifier} --field {field} > FILE",
        )
