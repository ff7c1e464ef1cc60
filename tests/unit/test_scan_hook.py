"""The hook's entry: whatever happens, it blocks with a sentence, or passes because it looked."""

import gc
from collections.abc import Iterator
from typing import NoReturn

import pytest

from chronos_secrets.scan import hook, staged

HIDDEN = "what-no-line-may-hold"


@pytest.fixture(autouse=True)
def _collecting() -> Iterator[None]:
    """The hook is a process of its own and stops collecting garbage; this one goes on."""
    yield
    gc.enable()


def _raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def pieces() -> NoReturn:
        raise error

    monkeypatch.setattr(staged, "pieces", pieces)


def test_a_bug_blocks_and_is_told_without_values(monkeypatch, capfd):
    _raising(monkeypatch, RuntimeError(HIDDEN))
    assert hook.main(["pre-commit"]) == 70
    said = capfd.readouterr().err
    assert "pre-commit is blocked by a bug" in said
    assert "RuntimeError" in said
    assert HIDDEN not in said


def test_an_interrupt_blocks(monkeypatch, capfd):
    _raising(monkeypatch, KeyboardInterrupt())
    assert hook.main(["pre-commit"]) == 130
    assert "pre-commit is blocked: interrupted" in capfd.readouterr().err


@pytest.mark.parametrize("argv", [[], ["commit-msg"], ["pre-push"], ["pre-commit", "x"], ["nonsense"]], ids=str)
def test_a_hook_that_is_started_wrongly_does_not_pass(argv, capfd):
    assert hook.main(argv) == 2
    assert "usage" in capfd.readouterr().err
