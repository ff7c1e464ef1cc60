"""What one command works with: inventory, settings, vault. Each is made on first use and only once."""

import contextlib
import functools
import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from chronos_secrets.cli import output, prompts
from chronos_secrets.errors import InventoryInvalid, Refused, TargetFailed, UsageError, VaultLocked
from chronos_secrets.secret import Secret
from chronos_secrets.settings import Flags, FromInventory, Setting, Settings, resolve

if TYPE_CHECKING:
    from chronos_secrets.inventory.model import Destination, Inventory
    from chronos_secrets.render.compose import Draft
    from chronos_secrets.render.values import Values
    from chronos_secrets.systems.history import Anchor
    from chronos_secrets.systems.hosts import Host
    from chronos_secrets.vault.kdf import MasterKey
    from chronos_secrets.vault.store import Vault

_TRIES = 3
_REMEMBER = "to remember the new one: chronos-secrets unlock --remember"


class Unlocked(NamedTuple):
    """An opened vault, the password that opened it, and where that came from, in words for a person."""

    vault: "Vault"
    password: Secret
    origin: str
    typed: bool = False


class Session:
    """The inventory, the settings and the vault of one command."""

    def __init__(
        self,
        flags: Flags,
        *,
        password_file: str | None = None,
        password_fd: int | None = None,
        after_open: "Callable[[Session], None]" = lambda _: None,
    ) -> None:
        """`after_open` runs once the vault is open."""
        self._flags = flags
        self._password_file = password_file
        self._password_fd = password_fd
        self._after_open = after_open
        self.log_head: Anchor | None = None  # of the audit log, once this command has written to it
        self.opened_as: bytes | None = None  # SHA-256 of the vault file when this command opened it
        self._drafts: dict[str, Draft] = {}
        self._hosts: dict[str, Host] = {}
        _require_working_folder()
        self.home = Path(os.environ.get("HOME") or Path.home())

    @staticmethod
    def now() -> datetime:
        """The current time (UTC); everything below the command line is handed it."""
        return datetime.now(UTC)

    @property
    def new_inventory(self) -> str:
        """Where an inventory is to be made: where a flag or the environment says, else here."""
        return self._flags.inventory or os.environ.get("CHRONOS_SECRETS_INVENTORY") or "inventory.yaml"

    @functools.cached_property
    def inventory_setting(self) -> Setting:
        """Which inventory.yaml is meant, and why. Its value is None where there is none."""
        if self._flags.inventory:
            return Setting(self._flags.inventory, "command line: --inventory")
        if from_environment := os.environ.get("CHRONOS_SECRETS_INVENTORY"):
            return Setting(from_environment, "environment: CHRONOS_SECRETS_INVENTORY")
        from chronos_secrets.inventory import load

        found = load.find(Path.cwd(), home=self.home)
        return Setting(str(found) if found else None, "the working directory, or a folder above it")

    @functools.cached_property
    def inventory(self) -> "Inventory":
        """Raises InventoryInvalid."""
        from chronos_secrets.inventory import load

        if self.inventory_setting.value is None:
            raise InventoryInvalid(
                "there is no inventory.yaml here or in a folder above",
                hint="chronos-secrets init --from FILE.kdbx    # or --inventory FILE",
            )
        return load.read(Path(self.inventory_setting.value))

    @functools.cached_property
    def settings(self) -> Settings:
        """Raises InventoryInvalid, SettingsInvalid."""
        vault, cloud = str(self.inventory.locate(self.inventory.vault.path, home=self.home)), self.inventory.cloud
        said = FromInventory(vault, cloud.admin_profile, cloud.api) if cloud else FromInventory(vault)
        return self.settings_for(self.inventory.project, said)

    def settings_for(self, project: str, said: FromInventory) -> Settings:
        """The settings of a project that need not have an inventory yet; `said` is what one says."""
        return resolve(
            inventory=self.inventory_setting, project=project, inventorys=said,
            flags=self._flags, environ=os.environ, home=self.home,
        )  # fmt: skip

    @functools.cached_property
    def vault(self) -> "Vault":
        """The project's vault, opened. Raises what opening raises, and Refused for another project's state."""
        return self.unlock().vault

    def unlock(self, *, ask_keyring: bool = True) -> Unlocked:
        """Open the project's vault, as `vault` does, and say how; the password may come from the keyring or not."""
        found = self._open(self.settings, ask_keyring=ask_keyring)
        _refuse_other_vault(found.vault, self.settings.state_folder)
        self.__dict__["vault"] = found.vault  # what follows an opening asks for it
        self.opened_as = found.vault.digest
        self._after_open(self)
        return found

    @property
    def vault_is_open(self) -> bool:
        """Whether this command has opened the vault."""
        return "vault" in self.__dict__

    @property
    def password_given(self) -> bool:
        """Whether the command line says where the password is."""
        return self._password_file is not None or self._password_fd is not None

    @functools.cached_property
    def zone(self) -> ZoneInfo:
        """The inventory's time zone: its days are the days of this project."""
        return ZoneInfo(self.inventory.timezone)

    @property
    def today(self) -> date:
        """The current day of the project."""
        return self.now().astimezone(self.zone).date()

    @functools.cached_property
    def values(self) -> "Values":
        """The values of the inventory's credentials."""
        from chronos_secrets.render.values import Values

        return Values(self.inventory, self.vault.entries)

    def draft(self, destination: "Destination") -> "Draft":
        """A destination's template, read once: what a person was shown is what is rendered. Raises TemplateInvalid."""
        from chronos_secrets.render.compose import Draft

        if destination.id not in self._drafts:
            self._drafts[destination.id] = Draft(self.inventory, destination, self.home)
        return self._drafts[destination.id]

    def host(self, name: str) -> "Host":
        """A host by its id in the inventory, or "local". It is not asked anything yet."""
        from chronos_secrets.inventory.model import LOCAL
        from chronos_secrets.systems.hosts import Container, Local, Ssh

        if name == LOCAL:
            return Local()
        if name not in self._hosts:
            row = self.inventory.hosts[name]
            if row.container is not None:
                inside = self.host(row.inside or LOCAL)
                self._hosts[name] = Container(row.container, engine=row.engine, user=row.user, inside=inside)
            else:
                self._hosts[name] = Ssh(row.ssh or name, sudo=row.sudo)
        return self._hosts[name]

    def stand_in(self, name: str, host: "Host") -> None:
        """Let a host of the inventory be reached in another way from now on, as a stopped container must be."""
        self._hosts[name] = host

    def open(self, settings: Settings) -> "Vault":
        """Open the vault that `settings` name, with the first password there is: given, remembered, typed."""
        return self._open(settings, ask_keyring=True).vault

    def _open(self, settings: Settings, *, ask_keyring: bool) -> Unlocked:
        from chronos_secrets.vault import kdbx, store

        path = settings.vault_path
        content = store.read(path)
        with store.named(path):
            kdbx.read_format(content)  # a file that is no vault is said before anybody types a password
        places = store.Places(locks=settings.locks, previous=settings.state_folder / "previous")
        given = self._given_password or _handed_over(settings)
        if given is not None:
            return Unlocked(store.Vault.open(path, self.key(given[0], settings), places), *given)
        remembered = _remembered(settings) if ask_keyring else None
        if remembered is not None:
            key = self.key(remembered[0], settings)
            try:
                return Unlocked(store.Vault.open(path, key, places), *remembered)
            except VaultLocked:
                output.say(f"the password from {remembered[1]} does not open {path}; {_REMEMBER}")
        for left in reversed(range(_TRIES)):
            typed = prompts.password(f"Password of {path}: ")
            key = self.key(typed, settings)
            try:
                return Unlocked(store.Vault.open(path, key, places), typed, "the terminal", typed=True)
            except VaultLocked as error:
                if not left:
                    raise
                output.say(f"{error.message}; {left} {'tries' if left > 1 else 'try'} left")
        raise AssertionError("unreachable")

    def new_password(self, path: Path) -> Secret:
        """The password for a vault that is being made: from where the command says, else typed twice."""
        given = self._given_password
        return given[0] if given is not None else prompts.new_password(path)

    @staticmethod
    def key(password: Secret, settings: Settings) -> "MasterKey":
        """The key made of `password` and of the key file that the settings name. Raises VaultLocked."""
        return _key(password, settings.key_file.value)

    def bare_key(self, password: Secret) -> "MasterKey":
        """The same where no inventory and no settings are to be needed: the key file of the flag or the environment."""
        return _key(password, self._flags.key_file or os.environ.get("CHRONOS_SECRETS_KEY_FILE"))

    @property
    def given_password(self) -> Secret | None:
        """The password from where the command line says; None where it says nothing."""
        return self._given_password[0] if self._given_password else None

    @functools.cached_property  # a pipe can be read once
    def _given_password(self) -> tuple[Secret, str] | None:
        """The password from where the command line says, and that in words."""
        from chronos_secrets.vault import unlock

        if self._password_fd is not None:
            return unlock.from_descriptor(self._password_fd), f"file descriptor {self._password_fd}"
        if self._password_file is not None:
            return unlock.from_file(Path(self._password_file)), self._password_file
        return None


def _key(password: Secret, key_file: str | None) -> "MasterKey":
    from chronos_secrets.systems import files
    from chronos_secrets.vault.kdf import MasterKey

    if key_file is None:
        return MasterKey(password)
    try:
        return MasterKey(password or None, Path(key_file).read_bytes())
    except OSError as error:
        raise VaultLocked(f"cannot read the key file {key_file}: {files.reason(error)}") from error


def _handed_over(settings: Settings) -> tuple[Secret, str] | None:
    """The password that systemd hands over to a service, and where."""
    from chronos_secrets.vault import unlock

    path = unlock.credential(settings.project, os.environ)
    return None if path is None else (unlock.from_file(path, by_systemd=True), str(path))


def _remembered(settings: Settings) -> tuple[Secret, str] | None:
    """The password that the keyring remembers, and which keyring; a keyring that cannot tell must stop nobody."""
    from chronos_secrets.vault import remembered

    try:
        mark = remembered.mark(settings.state_folder)
        if mark is None or not mark.asked:
            return None
        found = remembered.recall(settings.state_folder, mark)
    except (Refused, TargetFailed) as error:
        output.say(f"the remembered password cannot be had: {error.message}")
        return None
    if found is None:
        output.say(f"{mark.title} does not hold the password any more; {_REMEMBER}")
        return None
    return found, mark.title


def _require_working_folder() -> None:
    """Half of what follows makes a path absolute, which fails in a folder that somebody removed."""
    try:
        os.getcwd()
    except OSError as error:
        raise UsageError("the working folder is not there any more", hint="cd to another folder") from error


def _refuse_other_vault(opened: "Vault", state: Path) -> None:
    """One project name, one vault: two vaults under one name would mix their state."""
    from chronos_secrets.systems import files

    mark = state / "vault-id"
    known = ""
    with contextlib.suppress(OSError):  # reading must go on where nothing can be remembered
        if mark.is_file():
            known = mark.read_text(errors="replace")
        else:
            files.write_durably(files.private_folder(state) / mark.name, opened.entries.vault_id.encode())
    if known and known != opened.entries.vault_id:
        raise Refused(
            f"{opened.path} is not the vault that this project name had on this machine so far",
            hint=f"if that is right: rm {mark}    # else give the project another name in inventory.yaml",
        )
