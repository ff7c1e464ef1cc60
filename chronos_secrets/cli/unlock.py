"""`unlock` and `forget`: the password that this machine's keyring remembers."""

import click

from chronos_secrets.cli import memory, output
from chronos_secrets.cli.command import opens_vault, with_session
from chronos_secrets.cli.session import Session
from chronos_secrets.vault import keyrings, remembered


@click.command()
@click.option("--remember", is_flag=True, help="Let the keyring of this desktop remember the vault's password.")
@opens_vault
@with_session
def unlock(session: Session, *, remember: bool) -> None:
    """Open the vault, and say where its password came from.

    With --remember, the keyring of this desktop (GNOME Keyring, KWallet, the macOS keychain) remembers the password,
    and later commands on this machine do not ask for it. `forget` ends that.
    """
    if remember:
        _remember(session)
        return
    found = session.unlock()
    output.result(f"{found.vault.path} opens with the password from {found.origin}")
    if found.typed:
        output.say("every command asks for it; to have it remembered: chronos-secrets unlock --remember")


@click.command()
@with_session
def forget(session: Session) -> None:
    """Let the keyring of this desktop forget the vault's password. Needs no password."""
    project = session.inventory.project
    found = remembered.forget(session.settings.state_folder)
    if found is None:
        output.result(f"nothing is remembered for {project}")
        return
    memory.record_or_say(session, "forget", project)
    output.result(f"{found.title} has forgotten the password of {project}; it is asked for from now on")


def _remember(session: Session) -> None:
    """The keyring is chosen before anybody types a password, and only one that opens the vault is remembered."""
    keyring = keyrings.choose()
    found = session.unlock(ask_keyring=False)
    state = session.settings.state_folder
    mark = remembered.remember(keyring, state, found.vault.entries.vault_id, found.password)
    memory.record_or_say(session, "unlock-remember", session.inventory.project)
    output.result(f"{mark.title} remembers the password of {found.vault.path}; it was read back")
    output.say("to end that: chronos-secrets forget")
