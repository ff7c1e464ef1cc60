"""Where things are on this machine. Each value knows where it came from (`config show`).

Precedence: command line > CHRONOS_SECRETS_* > config.toml > inventory.yaml > default. What exists is the inventory's
business; a setting only says where something lies on this machine, so the two never compete.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from chronos_secrets.errors import SettingsInvalid

APPLICATION = "chronos-secrets"


class Setting(NamedTuple):
    """One value and its origin, in words for a person."""

    value: str | None
    origin: str


class Settings(NamedTuple):
    """The settings of one project on this machine. Paths are absolute text."""

    inventory: Setting
    config: Setting
    state: Setting
    vault: Setting
    key_file: Setting

    @property
    def vault_path(self) -> Path:
        return Path(self.vault.value or "")

    @property
    def state_folder(self) -> Path:
        """This project's state: previous vault bytes, the files that `render --adopt` replaced, a render's lock."""
        return Path(self.state.value or "")

    @property
    def project(self) -> str:
        """The name of the project, which its state folder has."""
        return self.state_folder.name

    @property
    def locks(self) -> Path:
        """The locks of vault files, which projects may share."""
        return self.state_folder.parent / "locks"


class Flags(NamedTuple):
    """What the command line says about where things are."""

    inventory: str | None = None
    vault: str | None = None
    key_file: str | None = None


def resolve(
    *, inventory: Setting, project: str, vault: str | None, flags: Flags, environ: Mapping[str, str], home: Path
) -> Settings:
    """The settings of `project`, whose inventory names `vault` (absolute, or None). Raises SettingsInvalid."""
    config_home = xdg(environ, "XDG_CONFIG_HOME", home / ".config")
    config = _first(
        _variable(environ, "CHRONOS_SECRETS_CONFIG"), Setting(str(config_home / APPLICATION / "config.toml"), "default")
    )
    on_machine = _machine(Path(config.value or ""), project, home)
    state_home = xdg(environ, "XDG_STATE_HOME", home / ".local" / "state")
    return Settings(
        inventory=inventory,
        config=config,
        state=Setting(str(state_home / APPLICATION / project), "default"),
        vault=_first(
            _flag("--vault", flags.vault),
            _variable(environ, "CHRONOS_SECRETS_VAULT"),
            on_machine["vault"],
            Setting(vault, f"{inventory.value}: vault.path"),
        ),
        key_file=_first(
            _flag("--key-file", flags.key_file),
            _variable(environ, "CHRONOS_SECRETS_KEY_FILE"),
            on_machine["key_file"],
            Setting(None, "default"),
        ),
    )


def xdg(environ: Mapping[str, str], name: str, default: Path) -> Path:
    """A base folder of the XDG specification, which says that a relative path is to be ignored."""
    value = environ.get(name, "")
    return Path(value) if value.startswith("/") else default


def _first(*candidates: Setting | None) -> Setting:
    return next(
        setting for setting in candidates if setting is not None and (setting.value or setting is candidates[-1])
    )


def _flag(name: str, value: str | None) -> Setting | None:
    return Setting(os.path.abspath(value), f"command line: {name}") if value else None


def _variable(environ: Mapping[str, str], name: str) -> Setting | None:
    value = environ.get(name)
    return Setting(os.path.abspath(value), f"environment: {name}") if value else None


_MACHINE_KEYS = ("vault", "key_file")


def _machine(path: Path, project: str, home: Path) -> dict[str, Setting | None]:
    """The table of `project` in config.toml, such as `[project-chronos]` with `vault` and `key_file`."""
    found: dict[str, Setting | None] = dict.fromkeys(_MACHINE_KEYS)
    table = _tables(path).get(project, {})
    if not isinstance(table, dict):
        raise SettingsInvalid(f"{path}: '{project}' is not a table", hint=f"write [{project}] on a line of its own")
    for key, value in table.items():
        if key not in _MACHINE_KEYS:
            raise SettingsInvalid(f"{path}: unknown setting '{key}' in [{project}]", hint=f"known: {', '.join(found)}")
        if not isinstance(value, str) or not value or "\0" in value:
            raise SettingsInvalid(f"{path}: '{key}' in [{project}] is not a path in quotes", hint=f'{key} = "~/..."')
        expanded = value.replace("~", str(home), 1) if value.startswith("~/") else value
        found[key] = Setting(os.path.join(path.parent, expanded), f"{path}: [{project}]")
    return found


def _tables(path: Path) -> dict[str, object]:
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise SettingsInvalid(f"cannot read {path}: {(error.strerror or '').lower()}") from error
    import tomllib

    try:
        return tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # ValueError: TOMLDecodeError, UnicodeDecodeError, absurd numbers
        raise SettingsInvalid(f"{path} is not valid TOML: {error}") from error
