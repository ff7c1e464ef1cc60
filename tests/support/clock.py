"""Tests in which no midnight comes."""

from datetime import UTC, datetime

import pytest

from chronos_secrets.cli.session import Session


def hold_clock(monkeypatch: pytest.MonkeyPatch, at: datetime | None = None) -> datetime:
    """Let it be one moment for all commands of this process: `at`, or now, so that no midnight comes meanwhile."""
    held = at or datetime.now(UTC)
    monkeypatch.setattr(Session, "now", staticmethod(lambda: held))
    return held


def zone_of_noon() -> str:
    """A timezone in which it is about noon: for an inventory whose days no midnight may change within a test."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"  # such a name has the sign that the distance from UTC has not
