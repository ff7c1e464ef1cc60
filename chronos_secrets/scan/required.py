"""Whether an inventory.yaml asks for the index of known values: read by the standard library alone, before any vault.

Only `scan: {known: required}` matters, in flow or block form. What is there and not clearly `optional` counts as
required: a hook that guesses must not guess that it may pass.
"""

import os

from chronos_secrets.scan import sealed
from chronos_secrets.scan.found import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

_NAME = "inventory.yaml"


def is_missing_here(projects: "Collection[str]") -> bool:
    """Whether the inventory of the working directory (found as `inventory/load.py` finds it) asks for the index of its
    project, and that is not among `projects`.
    """
    path = os.environ.get("CHRONOS_SECRETS_INVENTORY") or _nearest(os.path.realpath(os.getcwd()))
    if not path:
        return False
    try:
        inventory = sealed.read(path)
    except (OSError, Trouble):
        return True
    return required_by(inventory) and _project(inventory) not in projects


def _project(inventory: bytes) -> str:
    """The project's name; "" where it is not plain to see."""
    for line in inventory.decode(errors="replace").splitlines():
        key, colon, value = line.partition(":")
        if key == "project" and colon:
            return value.partition("#")[0].strip().strip("\"'")
    return ""


def required_by(inventory: bytes) -> bool:
    """Whether the text of an inventory says `known: required` in its section `scan`, or may say so."""
    try:
        lines = inventory.decode().splitlines()
    except UnicodeDecodeError:
        return True
    if any(line.startswith(("{", "?", "%", "---", "\ufeff")) for line in lines):  # not as inventories are written
        return b"scan" in inventory
    pieces, whole = _pieces("\n".join(_section(lines)))
    return not whole or any(map(_asks, pieces))


def _nearest(folder: str) -> str:
    """The inventory in the folder or above it, not beyond the repository or the home folder; "" if there is none."""
    home = os.path.realpath(os.environ.get("HOME") or "/")
    while True:
        path = os.path.join(folder, _NAME)
        if os.path.isfile(path):
            return path
        if folder in {home, os.path.dirname(folder)} or os.path.lexists(os.path.join(folder, ".git")):
            return ""
        folder = os.path.dirname(folder)


def _section(lines: list[str]) -> list[str]:
    """What stands below (and right of) the top-level key `scan`."""
    inside, found = False, []
    for line in lines:
        if line[:1] not in {"", " ", "\t", "#"}:
            key, _, right = line.partition(":")
            inside = key.strip(" \t\"'") == "scan"
            line = right  # noqa: PLW2901  the key itself is no part of its section
        if inside:
            found.append(line)
    return found


def _pieces(text: str) -> tuple[list[str], bool]:
    """The text cut at brackets, commas and line ends, but not within quotes; without comments. And: all quotes end."""
    found, piece, quote, at = [], "", "", 0
    while at < len(text):
        character = text[at]
        if quote:
            ends = character == quote and text[at : at + 2] != "''"
            quote = "" if ends else quote
            at += 1 if text[at : at + 2] == "''" or (character == "\\" and quote == '"') else 0
            piece += " " if character in ":\n" else character
        elif character == "#" and (not piece or piece[-1] in " \t"):
            at = text.find("\n", at) - 1 if "\n" in text[at:] else len(text)
        elif character in "{}[],\n":
            found.append(piece)
            piece = ""
        else:
            quote = character if character in "\"'" and piece.rstrip(" \t-?")[-1:] in {"", ":"} else ""
            piece += character
        at += 1
    return [*found, piece], not quote


def _asks(piece: str) -> bool:
    key, _, value = piece.partition(":")
    if value.strip().startswith(("|", ">")):  # a text of several lines, whose words could be taken for keys
        return True
    return key.strip(" \t\"'?-") == "known" and value.strip(" \t\"'") != "optional"
