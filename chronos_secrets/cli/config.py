"""`config`: where things are on this machine."""

import click

from chronos_secrets.cli import output
from chronos_secrets.cli.command import with_session
from chronos_secrets.cli.session import Session


@click.group()
def config() -> None:
    """Say where things are on this machine."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_session
def show(session: Session, *, as_json: bool) -> None:
    """Print each setting, its value, and where the value came from."""
    settings = session.settings._asdict()
    if as_json:
        rows = {name: {"value": setting.value, "origin": setting.origin} for name, setting in settings.items()}
        output.document("config show", {"settings": rows})
        return
    width = max(map(len, settings))
    for name, setting in settings.items():
        origin = "the default" if setting.origin == "default" else setting.origin
        output.result(f"{name:<{width}}  {setting.value or '(none)'}\n{'':<{width}}  from {origin}")
