"""Secrets that only their place gives away: assignments, URLs, headers, command lines."""

from chronos_secrets.scan.found import Match


def find(text: bytes, path: bytes) -> list[Match]:
    """Every secret in `text` that its place gives away."""
    return []
