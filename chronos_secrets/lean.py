"""Importing part of a library without the rest of it.

Imports are most of what a short command costs. `pykeepass` and `jinja2` load, from their package file, much that is
never used here; with a stand-in for the package their submodules load alone. The versions are pinned to the series for
which tests hold, and a test fails when an upgrade moves something.
"""

import contextlib
import importlib.util
import sys
import types
from collections.abc import Iterator


@contextlib.contextmanager
def without(
    *, packages: tuple[str, ...] = (), modules: tuple[str, ...] = (), hidden: tuple[str, ...] = ()
) -> Iterator[None]:
    """Within the block, imports meet `packages` whose own file is not run, empty `modules`, and no `hidden` ones.

    What was imported before stays as it is; afterwards the stand-ins are gone, and a full import works as ever.
    """
    stand_ins: dict[str, types.ModuleType | None] = {
        **{name: _package(name) for name in packages},
        **{name: types.ModuleType(name) for name in modules},
        **dict.fromkeys(hidden),
    }
    absent = [name for name in stand_ins if name not in sys.modules]
    sys.modules.update({name: stand_ins[name] for name in absent})  # type: ignore[misc]  # None hides a module
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def _package(name: str) -> types.ModuleType:
    """The package as an object that finds its submodules, before its own file has run."""
    found = importlib.util.find_spec(name)
    if found is None:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)
    return importlib.util.module_from_spec(found)
