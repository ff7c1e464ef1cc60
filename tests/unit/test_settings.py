"""Where things are: precedence and origins."""

import pytest

from chronos_secrets.errors import SettingsInvalid
from chronos_secrets.settings import Flags, FromInventory, Setting, resolve

SAID = FromInventory("/inventory.kdbx", "written", "https://s3.example.org")


@pytest.fixture
def settings(tmp_path):
    def made(*, flags=Flags(), environ=None, config=None):
        path = tmp_path / ".config/chronos-secrets/config.toml"
        if config is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(config if isinstance(config, bytes) else config.encode())
        return resolve(
            inventory=Setting("/p/inventory.yaml", "found"), project="demo", inventorys=SAID, flags=flags,
            environ=environ or {}, home=tmp_path,
        )  # fmt: skip

    return made


CONFIG = '[demo]\nvault = "/config.kdbx"\nkey_file = "~/key"\n[other]\nvault = "/other.kdbx"\n'


def test_the_command_line_comes_first_then_the_environment_then_this_machine_then_the_inventory(settings):
    environ = {"CHRONOS_SECRETS_VAULT": "/environment.kdbx"}
    found = [
        settings(config=CONFIG, environ=environ, flags=Flags(vault="/flag.kdbx")).vault,
        settings(config=CONFIG, environ=environ).vault,
        settings(config=CONFIG).vault,
        settings(config="").vault,
    ]
    assert [setting.value for setting in found] == [
        "/flag.kdbx",
        "/environment.kdbx",
        "/config.kdbx",
        "/inventory.kdbx",
    ]
    assert found[0].origin == "command line: --vault"
    assert found[1].origin == "environment: CHRONOS_SECRETS_VAULT"
    assert found[2].origin.endswith("config.toml: [demo]")
    assert found[3].origin == "/p/inventory.yaml: vault.path"


def test_a_key_file_below_home_is_written_with_a_tilde(settings, tmp_path):
    assert settings(config=CONFIG).key_file.value == str(tmp_path / "key")
    assert settings(config="").key_file == Setting(None, "default")


def test_state_is_kept_by_project_and_an_xdg_folder_must_be_absolute(settings, tmp_path):
    assert settings(environ={"XDG_STATE_HOME": "/state"}).state.value == "/state/chronos-secrets/demo"
    ignored = settings(environ={"XDG_STATE_HOME": "state"}).state.value
    assert ignored == str(tmp_path / ".local/state/chronos-secrets/demo")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[demo\n", "is not valid TOML"),
        (b"\xff", "is not valid TOML"),
        ("[demo]\nvalut = '/x'\n", "unknown setting 'valut' in [demo]"),
        ("[demo]\nvault = 1\n", "'vault' in [demo] is not a path in quotes"),
        ("demo = 1\n", "'demo' is not a table"),
        ("[demo]\nrotate_here = 'yes'\n", "'rotate_here' in [demo] is not true or false"),
        ("[demo]\nrotate_here = 1\n", "'rotate_here' in [demo] is not true or false"),
        ("[demo]\nadmin_profile = true\n", "'admin_profile' in [demo] is not the name of a profile"),
        ("[demo]\naws_endpoint = 'http://s3.example.org'\n", "'aws_endpoint' in [demo] is not an https:// address"),
        ("[demo]\nca_bundle = ''\n", "'ca_bundle' in [demo] is not a path"),
    ],
)
def test_a_faulty_config_toml_is_named(settings, config, words):
    with pytest.raises(SettingsInvalid) as caught:
        settings(config=config)
    assert words in caught.value.message
    assert "config.toml" in caught.value.message


def test_the_tables_of_other_projects_are_not_judged(settings):
    assert settings(config="[other]\nsomething = 1\n").vault.value == "/inventory.kdbx"


def test_nothing_is_rotated_unasked_on_a_machine_that_does_not_say_so(settings):
    assert not settings().rotates_here
    assert not settings(config="[demo]\nrotate_here = false\n").rotates_here
    assert not settings(config="[other]\nrotate_here = true\n").rotates_here
    assert settings(config="[demo]\nrotate_here = true\n").rotates_here


def test_the_admin_profile_is_the_environments_then_this_machines_then_the_inventorys(settings):
    config, environ = "[demo]\nadmin_profile = 'here'\n", {"CHRONOS_SECRETS_ADMIN_PROFILE": "now"}
    found = [settings(config=config, environ=environ), settings(config=config), settings(config="")]
    assert [each.admin_profile.value for each in found] == ["now", "here", "written"]
    assert found[2].admin_profile.origin == "/p/inventory.yaml: cloud.admin_profile"


def test_another_address_for_aws_and_its_certificates_are_this_machines(settings, tmp_path):
    config = "[demo]\naws_endpoint = 'https://127.0.0.1:8333'\nca_bundle = '~/ca.pem'\n"
    found = settings(config=config)
    assert (found.aws_endpoint.value, found.ca_bundle.value) == ("https://127.0.0.1:8333", str(tmp_path / "ca.pem"))
    assert settings(config="").aws_endpoint == Setting("https://s3.example.org", "/p/inventory.yaml: cloud.endpoint")
    assert settings(config="").ca_bundle == Setting(None, "default")
