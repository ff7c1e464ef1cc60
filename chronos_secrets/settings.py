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
    rotate_here: Setting = Setting("false", "default")
    admin_profile: Setting = Setting(None, "default")
    aws_endpoint: Setting = Setting(None, "default")
    ca_bundle: Setting = Setting(None, "default")

    @property
    def vault_path(self) -> Path:
        return Path(self.vault.value or "")

    @property
    def state_folder(self) -> Path:
        """This project's state: previous vault bytes, the files that `render --adopt` replaced, a render's lock."""
        return Path(self.state.value or "")

    @property
    def rotates_here(self) -> bool:
        """Whether rotations may run on this machine without anybody being asked."""
        return self.rotate_here.value == "true"

    @property
    def project(self) -> str:
        """The name of the project, which its state folder has."""
        return self.state_folder.name

    @property
    def locks(self) -> Path:
        """The locks of vault files, which projects may share."""
        return self.state_folder.parent / "locks"


class FromInventory(NamedTuple):
    """What an inventory says of the places that a setting may name otherwise; None where it says nothing."""

    vault: str | None = None  # absolute
    admin_profile: str | None = None
    aws_endpoint: str | None = None


class Flags(NamedTuple):
    """What the command line says about where things are."""

    inventory: str | None = None
    vault: str | None = None
    key_file: str | None = None


def resolve(
    *,
    inventory: Setting,
    project: str,
    inventorys: FromInventory,
    flags: Flags,
    environ: Mapping[str, str],
    home: Path,
) -> Settings:
    """The settings of `project`. Raises SettingsInvalid."""
    config_home = xdg(environ, "XDG_CONFIG_HOME", home / ".config")
    config = _first(
        _path_variable(environ, "CHRONOS_SECRETS_CONFIG"),
        Setting(str(config_home / APPLICATION / "config.toml"), "default"),
    )
    on_machine = _machine(Path(config.value or ""), project, home)
    state_home = xdg(environ, "XDG_STATE_HOME", home / ".local" / "state")
    unset = Setting(None, "default")
    return Settings(
        inventory=inventory,
        config=config,
        state=Setting(str(state_home / APPLICATION / project), "default"),
        vault=_first(
            _flag("--vault", flags.vault),
            _path_variable(environ, "CHRONOS_SECRETS_VAULT"),
            on_machine["vault"],
            Setting(inventorys.vault, f"{inventory.value}: vault.path"),
        ),
        key_file=_first(
            _flag("--key-file", flags.key_file),
            _path_variable(environ, "CHRONOS_SECRETS_KEY_FILE"),
            on_machine["key_file"],
            unset,
        ),
        rotate_here=_first(on_machine["rotate_here"], Setting("false", "default")),
        admin_profile=_first(
            _variable(environ, "CHRONOS_SECRETS_ADMIN_PROFILE"),
            on_machine["admin_profile"],
            _said(inventory, "cloud.admin_profile", inventorys.admin_profile),
            unset,
        ),
        aws_endpoint=_first(
            on_machine["aws_endpoint"], _said(inventory, "cloud.endpoint", inventorys.aws_endpoint), unset
        ),
        ca_bundle=_first(on_machine["ca_bundle"], unset),
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


def _path_variable(environ: Mapping[str, str], name: str) -> Setting | None:
    value = environ.get(name)
    return Setting(os.path.abspath(value), f"environment: {name}") if value else None


def _variable(environ: Mapping[str, str], name: str) -> Setting | None:
    value = environ.get(name)
    return Setting(value, f"environment: {name}") if value else None


def _said(inventory: Setting, key: str, value: str | None) -> Setting | None:
    return Setting(value, f"{inventory.value}: {key}") if value else None


class _Shape(NamedTuple):
    """What a setting of config.toml may be: words for what it is not, and how it is written."""

    kind: str  # path, flag, url or word
    called: str
    example: str


_PATH = _Shape("path", "a path in quotes", '"~/..."')
_MACHINE_KEYS = {
    "vault": _PATH,
    "key_file": _PATH,
    "rotate_here": _Shape("flag", "true or false, without quotes", "true"),
    "admin_profile": _Shape("word", "the name of a profile of ~/.aws/config, in quotes", '"prometheus"'),
    "aws_endpoint": _Shape("url", "an https:// address in quotes", '"https://s3.example.org"'),
    "ca_bundle": _PATH,
}


def _machine(path: Path, project: str, home: Path) -> dict[str, Setting | None]:
    """The table of `project` in config.toml, such as `[project-chronos]` with `vault` and `rotate_here`."""
    found: dict[str, Setting | None] = dict.fromkeys(_MACHINE_KEYS)
    table = _tables(path).get(project, {})
    if not isinstance(table, dict):
        raise SettingsInvalid(f"{path}: '{project}' is not a table", hint=f"write [{project}] on a line of its own")
    for key, value in table.items():
        if key not in _MACHINE_KEYS:
            raise SettingsInvalid(f"{path}: unknown setting '{key}' in [{project}]", hint=f"known: {', '.join(found)}")
        text = _converted(value, _MACHINE_KEYS[key].kind, path.parent, home)
        if text is None:
            _, called, example = _MACHINE_KEYS[key]
            raise SettingsInvalid(f"{path}: '{key}' in [{project}] is not {called}", hint=f"{key} = {example}")
        found[key] = Setting(text, f"{path}: [{project}]")
    return found


def _converted(value: object, kind: str, folder: Path, home: Path) -> str | None:
    """A setting's text, or None where it is not of its kind."""
    if kind == "flag":
        return str(value).lower() if isinstance(value, bool) else None
    if not isinstance(value, str) or not value or not value.isprintable():
        return None
    if kind == "path":
        return os.path.join(folder, value.replace("~", str(home), 1) if value.startswith("~/") else value)
    return None if kind == "url" and not value.startswith(("https://", "http://127.0.0.1:")) else value


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
