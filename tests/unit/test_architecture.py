"""The rules of the house that import-linter cannot express."""

import ast
import importlib
from pathlib import Path

import pytest

import chronos_secrets
from chronos_secrets.cli.main import COMMANDS, root
from tests.support import chronos, reference

PACKAGE = Path(chronos_secrets.__file__).parent

# Where a secret may become text or bytes: the vault door, the file formats, the doors outside, and `get`.
MAY_REVEAL = {
    "cli/inventory.py",
    "pgbackrest/binary.py",
    "render/compose.py",
    "render/destinations.py",
    "render/pgbackrest_conf.py",
    "render/environment.py",
    "render/plan.py",
    "render/remote.py",
    "review/check.py",
    "review/codes.py",
    "review/sought.py",
    "rotation/generate.py",
    "rotation/targets/iam.py",
    "rotation/targets/proof.py",
    "rotation/targets/ways.py",
    "systems/clipboard.py",
    "systems/atlassian.py",
    "systems/aws/clients.py",
    "systems/aws/sts.py",
    "systems/hosts/host.py",
    "systems/hosts/placing.py",
    "systems/logins.py",
    "systems/postgres.py",
    "systems/relay.py",
    "vault/entries.py",
    "vault/kdf.py",
    "vault/keyrings.py",
}
# Each outside library and the modules that own it.
OWNERS = {
    "click": "cli/",
    "yaml": "inventory/load.py",
    "jinja2": "render/template.py",
    "pykeepass": "vault/kdbx.py",
    "construct": "vault/kdbx.py",
    "lxml": "vault/",
    "argon2": "vault/kdf.py",
    "cryptography": ("vault/kdf.py", "rotation/generate.py"),
    "keyring": "vault/keyrings.py",
    "jeepney": "vault/keyrings.py",
    "boto3": "systems/aws/",
    "botocore": "systems/aws/",
    "psycopg": "systems/postgres.py",
}


def _modules() -> list[tuple[str, ast.Module]]:
    return [(str(path.relative_to(PACKAGE)), ast.parse(path.read_text())) for path in PACKAGE.rglob("*.py")]


def test_only_the_listed_modules_reveal_a_secret():
    revealing = {
        name
        for name, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("reveal", "reveal_bytes")
    }
    assert revealing == MAY_REVEAL


def test_each_outside_library_is_imported_by_its_owner_alone():
    for name, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
            else:
                continue
            for library in imported:
                owner = OWNERS.get(library.partition(".")[0])
                assert owner is None or name.startswith(owner), f"{name} imports {library}, which {owner} owns"


def test_nothing_below_the_command_line_prints_or_exits():
    for name, tree in _modules():
        if name.startswith("cli/") or name == "__main__.py":
            continue
        called = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"print", "input", "exit", "quit"}, name


def test_every_lazy_command_exists_and_its_line_in_the_help_is_its_own():
    for name, lazy in COMMANDS.items():
        module, attribute = lazy.place.split(":")
        command = getattr(importlib.import_module(f"chronos_secrets.cli.{module}"), attribute)
        assert command.name == name
        assert command.help, f"{name} has no help"
        assert lazy.help.endswith(".")


def test_every_command_explains_every_option_that_it_shows():
    for words, command in reference.commands():
        for option in command.params:
            if getattr(option, "hidden", False) or option.param_type_name == "argument":
                continue
            assert getattr(option, "help", None), f"{words} {option.opts}"


def test_the_root_answers_help_without_importing_a_command_or_a_heavy_library():
    import subprocess
    import sys

    heavy = ["pykeepass", "lxml", "yaml", "jinja2", "boto3", "keyring", "cryptography", "argon2"]
    program = (
        "import sys\nfrom chronos_secrets.cli.main import run\nrun(['--help'])\n"
        f"found = [name for name in {heavy} if name in sys.modules]\n"
        "found += [name for name in sys.modules if name.startswith('chronos_secrets.') and name.count('.') > 1"
        " and not name.endswith(('cli.main', 'cli.lazy', 'cli.output', 'report.table'))]\n"
        "sys.exit(' '.join(found) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert root.name == "root"


def test_due_imports_nothing_that_opens_a_vault_or_makes_a_copy():
    import subprocess
    import sys

    unneeded = ["pykeepass", "lxml", "argon2", "chronos_secrets.cli.trust", "chronos_secrets.vault.copies.copying"]
    program = (
        f"import sys\nfrom chronos_secrets.cli.main import run\nrun(['due', '--inventory', {str(chronos.INVENTORY)!r}])\n"
        f"sys.exit(' '.join(name for name in {unneeded} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "vault copy" in done.stdout


def test_the_version_is_answered_before_click_is_imported():
    import subprocess
    import sys

    program = (
        "import sys\nsys.argv = ['chronos-secrets', '--version']\nfrom chronos_secrets.__main__ import main\nmain()\n"
        "sys.exit('click' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"chronos-secrets {chronos_secrets.__version__}\n")


@pytest.mark.xdist_group("alone")
def test_tests_of_a_group_go_to_one_worker(request: pytest.FixtureRequest):
    """They share a costly world, which each worker makes for itself. xdist tells the group by the end of the id."""
    assert request.config.getoption("loadgroup", default=False) == request.node.nodeid.endswith("@alone")
