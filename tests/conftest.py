"""No test can reach the developer's home, keyring, AWS or git settings."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from chronos_secrets.vault.kdf import Kdf
from tests.support.vaults import CHEAP

pytest_plugins = ("tests.support.backup_hosts", "tests.support.drills")  # worlds that test modules share

_REMOVED = ("CHRONOS_", "AWS_", "GIT_", "DOTENV", "PGPASS", "DBUS_", "SSH_AUTH_SOCK")
_FOLDERS = {
    "HOME": "",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
    "XDG_CACHE_HOME": ".cache",
    "XDG_RUNTIME_DIR": ".run",
}

# How fast a machine is today is no property of the code: in CI hypothesis knows that by itself, elsewhere it would not.
settings.register_profile("any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# What whoever starts the tests ignores, as nohup does and a shell for what runs in the background, all that tests start
# would ignore, too.
for _number, _usual in (
    (signal.SIGHUP, signal.SIG_DFL), (signal.SIGQUIT, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler),
):  # fmt: skip
    signal.signal(_number, _usual)


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A home of its own below `tmp_path`, nothing of ours in the environment, UTC, and the usual umask."""
    for name in [name for name in os.environ if name.startswith(_REMOVED)]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for name, below in _FOLDERS.items():
        monkeypatch.setenv(name, str(home / below))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    time.tzset()
    before = os.umask(0o022)
    yield
    os.umask(before)
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def cheap() -> Kdf:
    """A key derivation that costs a test nothing; KeePassXC reads it too. For `kdbx.create(name, salt, cheap)`."""
    return CHEAP
