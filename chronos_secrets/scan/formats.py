"""Tokens that say themselves what they are: provider formats, private keys, JSON web tokens."""

from chronos_secrets.scan.found import Match


def find(text: bytes, path: bytes) -> list[Match]:
    """Every token of a known format in `text`."""
    return []
