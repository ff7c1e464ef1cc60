"""The one place where a failure becomes words and an exit status."""

import json

import click
import pytest

from chronos_secrets import errors
from chronos_secrets.cli import main


@pytest.fixture
def failing(monkeypatch):
    """The command line `chronos-secrets boom`, which raises what the test says."""

    def prepared(error):
        @click.command(name="boom")
        @click.option("--json", "as_json", is_flag=True, help="x")
        def boom(as_json):
            raise error

        monkeypatch.setattr(main.LazyGroup, "get_command", lambda *_: boom)
        return main.run

    return prepared


def test_every_kind_of_error_ends_with_its_exit_status(failing, capsys):
    for kind in errors.ChronosError.__subclasses__():
        assert failing(kind("it broke", hint="mend it"))(["boom"]) == kind.exit
        assert capsys.readouterr().err == "error: it broke\nhint: mend it\n"


def test_details_stand_between_the_error_and_its_hint(failing, capsys):
    failing(errors.Refused("no", hint="do", details=["one", "two"]))(["boom"])
    assert capsys.readouterr().err == "error: no\n  one\n  two\nhint: do\n"


def test_a_program_is_told_the_same_as_json(failing, capsys):
    assert failing(errors.VaultLocked("locked", hint="open it"))(["boom", "--json"]) == 4
    told = json.loads(capsys.readouterr().err)
    assert told == {
        "version": 1,
        "error": {"code": "vault-locked", "exit": 4, "message": "locked", "hint": "open it", "details": []},
    }


def test_a_bug_is_told_without_the_values_that_its_exception_holds(failing, capsys):
    assert failing(ValueError("could not convert string to float: 'the secret'"))(["boom"]) == 70
    told = capsys.readouterr().err
    assert "a bug in chronos-secrets" in told
    assert "ValueError" in told
    assert "in boom" in told
    assert "the secret" not in told


def test_an_interruption_is_130(failing, capsys):
    assert failing(KeyboardInterrupt())(["boom"]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


@pytest.mark.parametrize("arguments", [["--nonsense"], ["nonsense"], ["render", "--nonsense"], ["get"]])
def test_a_wrong_command_line_is_one_line_a_hint_and_exit_status_2(arguments, capsys):
    assert main.run(arguments) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("hint: chronos-secrets")


def test_error_codes_are_unique():
    codes = [kind.code for kind in errors.ChronosError.__subclasses__()]
    assert len(set(codes)) == len(codes)
