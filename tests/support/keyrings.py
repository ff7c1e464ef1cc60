"""A desktop's D-Bus session of its own, and who serves the Secret Service on it: GNOME Keyring, or a stand-in."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jeepney import MatchRule, message_bus
from jeepney.io.blocking import Proxy, open_dbus_connection

from tests.support.programs import require

SECRETS = "org.freedesktop.secrets"
_PATIENCE = 60.0  # seconds

# No service directories: nobody starts a service, or a prompt, by being asked for it.
_CONFIGURATION = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""

# A program that owns names on the bus. It answers nothing, or, given an error, shows an unlocked collection and answers
# everything else with that.
_OWNER = """
import sys
from jeepney import HeaderFields, MessageType, message_bus, new_error, new_method_return
from jeepney.io.blocking import Proxy, open_dbus_connection
address, error, *names = sys.argv[1:]
connection = open_dbus_connection(address)
for name in names:
    Proxy(message_bus, connection).RequestName(name)
print("ready", flush=True)
error, _, words = error.partition(" ")
refusal = (error, "s", (words,)) if words else (error,)
PROPERTIES = {"Label": ("s", "Default"), "Locked": ("b", False)}
while True:
    asked = connection.receive()
    if asked.header.message_type is MessageType.method_call and error:
        known = asked.header.fields[HeaderFields.member] == "Get" and PROPERTIES.get(asked.body[1])
        connection.send(new_method_return(asked, "v", (known,)) if known else new_error(asked, *refusal))
"""


class Desktop:
    """A D-Bus session. `address` is what DBUS_SESSION_BUS_ADDRESS says to its programs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = contextlib.ExitStack()
        configuration = folder / "bus.conf"
        configuration.write_text(_CONFIGURATION)
        command = (require("dbus-daemon"), f"--config-file={configuration}", "--nofork", "--print-address")
        bus = self._running.enter_context(_program(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
        self.address = _line(bus)

    def close(self) -> None:
        self._running.close()

    @contextlib.contextmanager
    def gnome_keyring(self) -> Iterator[None]:
        """GNOME Keyring, unlocked; what it holds lies in this test's home and is there again the next time."""
        control = self._folder / "control"
        control.mkdir(mode=0o700, exist_ok=True)
        command = (
            require("gnome-keyring-daemon"), "--foreground", "--unlock", "--components=secrets",
            f"--control-directory={control}",
        )  # fmt: skip
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": self.address}
        with _program(command, env=environment, **streams) as daemon:
            assert daemon.stdin is not None
            daemon.stdin.write(b"the login password of nobody")
            daemon.stdin.close()
            self._await_owner(SECRETS)
            yield
        self._await_owner(SECRETS, there=False)

    @contextlib.contextmanager
    def owner(self, called: str, *names: str, error: str = "") -> Iterator[None]:
        """A program whose process is `called` so, owning these names on the bus; it answers nothing, or "NAME WORDS" of an error."""
        program = self._folder / called
        program.unlink(missing_ok=True)
        program.symlink_to(sys.executable)
        command = (str(program), "-c", _OWNER, self.address, error, *names)
        paths = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with _program(command, env=paths, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as running:
            assert _line(running) == "ready"
            yield

    @contextlib.contextmanager
    def keepassxc(self) -> Iterator[None]:
        """KeePassXC itself, on no screen, serving the Secret Service."""
        settings = Path(os.environ["XDG_CONFIG_HOME"]) / "keepassxc" / "keepassxc.ini"
        settings.parent.mkdir(parents=True)
        settings.write_text("[General]\nUpdateCheckMessageShown=true\n[FdoSecrets]\nEnabled=true\n")
        alone = {"TMPDIR": str(self._folder), "QT_QPA_PLATFORM": "offscreen"}  # one runs for each temporary folder
        environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": self.address, **alone}
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        Path(os.environ["XDG_RUNTIME_DIR"]).mkdir(mode=0o700, exist_ok=True)
        with _program((require("keepassxc"),), env=environment, killed=True, **streams):  # it asks when it is ended
            self._await_owner(SECRETS)
            yield

    def held(self) -> dict[tuple[str, str], str]:
        """What the unlocked keyring holds: (service, user name): secret."""
        import secretstorage

        with contextlib.closing(open_dbus_connection(self.address)) as connection:
            items = [
                (item.get_attributes(), item.get_secret().decode())
                for item in secretstorage.get_default_collection(connection).get_all_items()
            ]
        return {(attributes["service"], attributes["username"]): secret for attributes, secret in items}

    def drop(self) -> None:
        """Remove whatever the keyring holds, as a person can."""
        import secretstorage

        with contextlib.closing(open_dbus_connection(self.address)) as connection:
            for item in list(secretstorage.get_default_collection(connection).get_all_items()):
                item.delete()

    def lock(self) -> None:
        """Lock the keyring. Nobody answers its prompt here."""
        import secretstorage

        with contextlib.closing(open_dbus_connection(self.address)) as connection:
            secretstorage.get_default_collection(connection).lock()

    def _await_owner(self, name: str, *, there: bool = True) -> None:
        with contextlib.closing(open_dbus_connection(self.address)) as connection:
            bus = Proxy(message_bus, connection)
            rule = MatchRule(type="signal", interface="org.freedesktop.DBus", member="NameOwnerChanged")
            rule.add_arg_condition(0, name)
            bus.AddMatch(rule)
            with connection.filter(rule) as changes:
                while bool(bus.NameHasOwner(name)[0]) is not there:
                    connection.recv_until_filtered(changes, timeout=_PATIENCE)


@contextlib.contextmanager
def _program(command: tuple[str, ...], *, killed: bool = False, **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """A program for as long as the block lasts."""
    with subprocess.Popen(command, **options) as running:
        try:
            yield running
        finally:
            running.kill() if killed else running.terminate()


def _line(running: "subprocess.Popen[bytes]") -> str:
    assert running.stdout is not None
    return running.stdout.readline().decode().strip()
