"""The terminal: words, colours, prompts and exit status. The only room that knows click."""

ARGUMENTS = "chronos_secrets.arguments"
"""Where click's context keeps the words of the whole command line (a tuple of str)."""
