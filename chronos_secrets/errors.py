"""Foreseen failures, and the exit status each one ends with.

A "no" (a finding, drift, something due) is a result with `Exit.NO`, never an error.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """The public exit statuses; scripts rely on them (docs/reference.md)."""

    OK = 0
    NO = 1
    USAGE = 2
    CONFIG = 3
    VAULT = 4
    REFUSED = 5
    BUSY = 6
    TARGET = 7
    INCOMPLETE = 8
    BUG = 70
    INTERRUPTED = 130


class ChronosError(Exception):
    """Something foreseen went wrong.

    `message` is one line that names the thing, never its value; `details` are further lines to look at; `hint` is what
    to do next, best a command that can be pasted.
    """

    exit: ClassVar[Exit] = Exit.BUG
    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = tuple(details)


class UsageError(ChronosError):
    """The command line asks for something that cannot be."""

    exit, code = Exit.USAGE, "usage"


class InventoryInvalid(ChronosError):
    """inventory.yaml is missing or wrong; the message begins with file:line:column."""

    exit, code = Exit.CONFIG, "inventory-invalid"


class TemplateInvalid(ChronosError):
    """A template is missing or asks for what it may not have; the message begins with file:line."""

    exit, code = Exit.CONFIG, "template-invalid"


class SettingsInvalid(ChronosError):
    """config.toml or an environment variable is wrong."""

    exit, code = Exit.CONFIG, "settings-invalid"


class ConfigRefused(ChronosError):
    """A rendered pgbackrest.conf would not do what it says."""

    exit, code = Exit.CONFIG, "pgbackrest-config"


class VaultMissing(ChronosError):
    """There is no vault file where it should be."""

    exit, code = Exit.VAULT, "vault-missing"


class VaultLocked(ChronosError):
    """No password was given, or the one given does not open the vault."""

    exit, code = Exit.VAULT, "vault-locked"


class VaultUnreadable(ChronosError):
    """The file is not a vault that we can read: cut short, damaged, foreign or of an unknown version."""

    exit, code = Exit.VAULT, "vault-unreadable"


class VaultChanged(ChronosError):
    """Another program saved the file after we opened it; saving ours would lose that work."""

    exit, code = Exit.VAULT, "vault-changed"


class VaultNotSaved(ChronosError):
    """The vault could not be written; the file on disk is as it was."""

    exit, code = Exit.VAULT, "vault-not-saved"


class EntryMissing(ChronosError):
    """An entry or one of its fields is not in the vault."""

    exit, code = Exit.VAULT, "entry-missing"


class Refused(ChronosError):
    """We will not do this, for the reason given."""

    exit, code = Exit.REFUSED, "refused"


class NotRepresentable(ChronosError):
    """A dialect cannot hold a value without changing it."""

    exit, code = Exit.REFUSED, "not-representable"


class Busy(ChronosError):
    """Another run holds the lock."""

    exit, code = Exit.BUSY, "busy"


class TargetFailed(ChronosError):
    """A program, host or service said no or is away."""

    exit, code = Exit.TARGET, "target-failed"


class Incomplete(ChronosError):
    """Stopped half-way and safe: the same command run again goes on."""

    exit, code = Exit.INCOMPLETE, "incomplete"
