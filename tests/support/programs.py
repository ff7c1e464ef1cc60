"""The real programs that tests run: missing ones are skipped at home and a failure in CI."""

import os
import shutil

import pytest


def require(program: str) -> str:
    """The path of a program that a test needs. Skips where it is missing, but fails when CI is set."""
    path = shutil.which(program)
    if path is not None:
        return path
    sentence = f"{program} is not installed"
    if os.environ.get("CI"):
        pytest.fail(f"{sentence}; .ci/run installs it")
    pytest.skip(sentence)
