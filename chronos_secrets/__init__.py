"""chronos-secrets: one KeePassXC file is the source of truth for a small team's credentials."""

__version__ = "0.1.0"
