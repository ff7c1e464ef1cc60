"""The terminal: words, colours, prompts and exit status. The only room that knows click."""

import click

PROGRAM = "chronos-secrets"
"""What a person types to call it."""

ARGUMENTS = "chronos_secrets.arguments"
"""Where click's context keeps the words of the whole command line (a tuple of str)."""

PATH = click.Path(readable=False)
"""An option's value that a shell completes as a file; whether it is there is the business of who opens it."""
