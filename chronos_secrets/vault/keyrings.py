"""The keyrings that may hold a vault's password. The only module that knows keyring, and jeepney below it.

Importing keyring takes a tenth of a second, so it is imported only when a keyring is asked.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from chronos_secrets.errors import ChronosError, Refused, TargetFailed
from chronos_secrets.secret import Secret

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

TITLES = {
    "keyring.backends.SecretService.Keyring": "the Secret Service",
    "keyring.backends.libsecret.Keyring": "the Secret Service (by libsecret)",
    "keyring.backends.kwallet.DBusKeyring": "KWallet",
    "keyring.backends.kwallet.DBusKeyringKWallet4": "KWallet 4",
    "keyring.backends.macOS.Keyring": "the macOS keychain",
    "keyring.backends.Windows.WinVaultKeyring": "the Windows credential locker",
}
"""The keyrings that may hold the vault's password, by class, and what a person calls them."""

_ON_SECRET_SERVICE = ("keyring.backends.SecretService.Keyring", "keyring.backends.libsecret.Keyring")
_SECRET_SERVICE, _KEEPASSXC_WINDOW = "org.freedesktop.secrets", "org.keepassxc.KeePassXC.MainWindow"
_PATIENCE = 120.0  # seconds in which a person may answer the keyring's own prompt
INSTEAD = "--password-file FILE    # in a systemd service: LoadCredential="

# What keyring and the libraries below it raise, beside the built-in exceptions that an odd answer of a daemon becomes:
# module and class, looked up only in modules that are loaded.
_FOREIGN = (
    ("keyring.errors", "KeyringError"),
    ("secretstorage.exceptions", "SecretStorageException"),
    ("jeepney.wrappers", "DBusErrorResponse"),
    ("gi.repository.GLib", "Error"),
    ("dbus.exceptions", "DBusException"),
)
# Their own words are not repeated: nobody has promised what they hold.
_WORDS = {
    "KeyringLocked": "is locked, and was not unlocked",
    "LockedException": "is locked, and was not unlocked",
    "PromptDismissedException": "is locked, and was not unlocked",
    "InitError": "could not be opened: its prompt was dismissed or could not be shown",
    "PasswordSetError": "did not take the password",
    "PasswordDeleteError": "did not remove the password",
    "TimeoutError": f"did not answer within {_PATIENCE:.0f} seconds",
}


class Keyring:
    """A keyring that is trusted. Each question to it raises TargetFailed when it is locked, away or silent."""

    def __init__(self, backend: "KeyringBackend") -> None:
        self._backend = backend
        self.name = _class(backend)
        self.title = TITLES[self.name]

    def get(self, service: str, user: str) -> Secret | None:
        """The password that it holds under these names, or None."""
        with _answering(self.name):
            found = self._backend.get_password(service, user)
        return None if found is None else Secret(found)

    def set(self, service: str, user: str, password: Secret) -> None:
        """Let it hold a password, instead of what it held under these names."""
        with _answering(self.name):
            self._backend.set_password(service, user, password.reveal())

    def delete(self, service: str, user: str) -> None:
        """Remove a password that it holds."""
        with _answering(self.name):
            self._backend.delete_password(service, user)


def choose() -> Keyring:
    """The keyring that may remember a password here, by keyring's own choice. Raises Refused, TargetFailed."""
    from keyring import get_keyring
    from keyring.backends.chainer import ChainerBackend

    try:
        with _patience():
            found = get_keyring()
            several = list(found.backends) if isinstance(found, ChainerBackend) else [found]
    except _failures() as error:
        configured = os.environ.get("PYTHON_KEYRING_BACKEND") or "the one that keyringrc.cfg names"
        raise TargetFailed(f"the keyring {configured} {_said(error)}", hint=INSTEAD) from error
    chosen = next((each for each in several if _class(each) in TITLES), None)
    if chosen is None:
        raise _refusal([_class(each) for each in several])
    _refuse_circular(_class(chosen))
    return Keyring(chosen)


def reach(name: str) -> Keyring:
    """The keyring of that name, one of TITLES, whatever keyring is configured to. Raises Refused, TargetFailed."""
    from keyring.core import load_keyring

    with _answering(name):
        backend = load_keyring(name)
    _refuse_circular(name)
    return Keyring(backend)


def _refusal(names: list[str]) -> ChronosError:
    """Why none of the keyrings that are there is used."""
    if names == ["keyring.backends.fail.Keyring"]:
        return TargetFailed(f"there is no keyring to remember the password in{_no_bus()}", hint=INSTEAD)
    why = "is none of those that are trusted with a vault's password"
    if names == ["keyring.backends.null.Keyring"]:
        why = "keeps nothing"
    elif any(name.startswith("keyrings.alt.") for name in names):
        why = "keeps passwords in a file of its own, which is no safer than the vault's password in a file of yours"
    return Refused(f"the keyring {' + '.join(names)} is not used: it {why}", hint=INSTEAD)


def _refuse_circular(keyring: str) -> None:
    """Refuse a Secret Service that KeePassXC serves: the vault's password would lie in a vault that it opens.

    The process is looked at, and, since that of a Flatpak is its proxy, whether the owner of the name has KeePassXC's
    window, too.
    """
    if keyring not in _ON_SECRET_SERVICE:
        return
    from jeepney import message_bus
    from jeepney.io.blocking import Proxy, open_dbus_connection

    with _answering(keyring), contextlib.closing(open_dbus_connection()) as connection:
        bus = Proxy(message_bus, connection)
        if not bus.NameHasOwner(_SECRET_SERVICE)[0]:
            bus.StartServiceByName(_SECRET_SERVICE)
        (owner,) = bus.GetNameOwner(_SECRET_SERVICE)
        (process,) = bus.GetConnectionUnixProcessID(owner)
        (window,) = bus.GetNameOwner(_KEEPASSXC_WINDOW) if bus.NameHasOwner(_KEEPASSXC_WINDOW)[0] else ("",)
    if owner == window or any("keepassxc" in name.lower() for name in _program(process)):
        raise Refused(
            f"{TITLES[keyring]} is KeePassXC itself here: the password that opens the vault would lie in a vault",
            hint=INSTEAD,
        )


def _program(process: int) -> Iterator[str]:
    """What a process is called, as far as the system tells us."""
    with contextlib.suppress(OSError):
        yield Path(f"/proc/{process}/comm").read_text(errors="replace")
    with contextlib.suppress(OSError):
        yield os.path.basename(os.readlink(f"/proc/{process}/exe"))


@contextlib.contextmanager
def _answering(keyring: str) -> Iterator[None]:
    """What asking a keyring raises becomes one sentence."""
    try:
        with _patience():
            yield
    except _failures() as error:
        raise TargetFailed(f"{TITLES[keyring]} {_said(error)}", hint=INSTEAD) from error


def _failures() -> tuple[type[Exception], ...]:
    foreign = (getattr(sys.modules[module], name) for module, name in _FOREIGN if module in sys.modules)
    built_in = (OSError, RuntimeError, ValueError, ImportError, LookupError, TypeError, AttributeError, AssertionError)
    return (*built_in, *foreign)


def _said(error: Exception) -> str:
    return _WORDS.get(type(error).__name__, f"cannot be reached{_no_bus()}")


def _no_bus() -> str:
    """The commonest reason on Linux, where it is the reason: over ssh, from cron, in a container."""
    if sys.platform == "linux" and not os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return ": there is no D-Bus session here, as a desktop has"
    return ""


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Raise TimeoutError in a block that takes too long; keyring itself would wait for its prompt for ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def give_up(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE, 1)  # again, should a library swallow the first
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _class(keyring: "KeyringBackend") -> str:
    return f"{type(keyring).__module__}.{type(keyring).__qualname__}"
