"""The real keepassxc-cli. Passwords go through its standard input, as a person would type them.

`Export` is what it says about a whole vault, as a tree that can be compared, and by entry for looking closer.
"""

import base64
import os
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from tests.support.programs import require
from tests.support.vaults import PASSWORD


class Entry(NamedTuple):
    """One entry of an export. `fields` maps a name to (value, whether it is protected)."""

    path: tuple[str, ...]
    fields: dict[str, tuple[str, bool]]
    attachments: tuple[str, ...]
    tags: str
    expires: str | None
    modified: str
    history: tuple["Entry", ...]

    @property
    def password(self) -> str:
        return self.fields["Password"][0]


class Export(NamedTuple):
    """A whole vault as KeePassXC reads it; `tree` holds everything but the time of KeePassXC's own last save."""

    tree: object
    entries: tuple[Entry, ...]

    def at(self, *path: str) -> Entry:
        (found,) = (entry for entry in self.entries if entry.path == path)
        return found


class KeePassXCError(AssertionError):
    """keepassxc-cli said no."""


def run(
    command: str, *arguments: str | Path, password: str | None = PASSWORD, key_file: Path | None = None,
    answers: Sequence[str] = (),
) -> str:  # fmt: skip
    """Run one command; what it printed. Raises KeePassXCError with what it complained of."""
    options = () if password is not None else ("--no-password",)
    if key_file is not None:
        options += ("--key-file", str(key_file))
    typed = "".join(f"{line}\n" for line in ((password,) if password is not None else ()) + tuple(answers))
    argv = (require("keepassxc-cli"), command, "--quiet", *options, *map(str, arguments))
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(argv, input=typed.encode(), env=env, capture_output=True, timeout=60, check=False)
    if done.returncode:
        raise KeePassXCError(done.stderr.decode())
    return done.stdout.decode()


def create(path: Path, password: str = PASSWORD, key_file: Path | None = None) -> None:
    """A new vault as KeePassXC makes it by default: KDBX 3.1 with AES-KDF (in 2.7.4). A missing key file is made."""
    with_key = () if key_file is None else ("--set-key-file", key_file)
    _with_new_password(password, "db-create", *with_key, path)


def import_xml(xml: str, path: Path, password: str = PASSWORD) -> None:
    """A vault written by KeePassXC from its XML: KDBX 4.0 or 4.1 where the content needs it, else 3.1."""
    source = path.with_suffix(".xml")
    source.write_text(xml)
    _with_new_password(password, "import", source, path)


def _with_new_password(password: str, command: str, *arguments: str | Path) -> None:
    argv = (require("keepassxc-cli"), command, "--quiet", "--set-password", *map(str, arguments))
    typed = f"{password}\n{password}\n".encode()
    done = subprocess.run(argv, input=typed, capture_output=True, timeout=60, check=False)
    if done.returncode:
        raise KeePassXCError(done.stderr.decode())


def opens(path: Path, password: str | None = PASSWORD, key_file: Path | None = None) -> bool:
    """Whether KeePassXC opens the file with that password and key file."""
    try:
        run("ls", path, password=password, key_file=key_file)
    except KeePassXCError:
        return False
    return True


def info(path: Path, password: str = PASSWORD) -> dict[str, str]:
    """`db-info`: Cipher, KDF, Number of entries …"""
    lines = run("db-info", path, password=password).splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def show(path: Path, entry: str, attribute: str) -> str:
    """One attribute of an entry, references followed."""
    return run("show", "--attributes", attribute, path, entry).removesuffix("\n")


def totp(path: Path, entry: str) -> str:
    return run("show", "--totp", path, entry).strip()


def add(path: Path, entry: str, password: str) -> None:
    run("add", "--password-prompt", path, entry, answers=[password, password])


def edit(path: Path, entry: str, *, notes: str) -> None:
    run("edit", "--notes", notes, path, entry)


def remove(path: Path, entry: str) -> None:
    run("rm", path, entry)


def attach(path: Path, entry: str, name: str, source: Path) -> None:
    run("attachment-import", path, entry, name, source)


def attachment(path: Path, entry: str, name: str, target: Path) -> bytes:
    """The bytes of an attachment, through a file: its `--stdout` mangles bytes above 0x7f."""
    run("attachment-export", path, entry, name, target)
    return target.read_bytes()


def merge(into: Path, source: Path) -> str:
    """Merge `source` into `into`; what KeePassXC reported."""
    return run("merge", "--same-credentials", into, source)


def export(path: Path, password: str | None = PASSWORD, key_file: Path | None = None) -> Export:
    """The whole vault."""
    root = ET.fromstring(run("export", "--format", "xml", path, password=password, key_file=key_file))  # noqa: S314  # of our own making
    group = root.find("Root/Group")
    assert group is not None
    return Export(_comparable(root), tuple(_entries(group, ())))


def _entries(group: ET.Element, names: tuple[str, ...]) -> Iterator[Entry]:
    for entry in group.findall("Entry"):
        yield _entry(entry, names)
    for child in group.findall("Group"):
        yield from _entries(child, (*names, child.findtext("Name") or ""))


def _entry(element: ET.Element, names: tuple[str, ...]) -> Entry:
    fields = {}
    for string in element.findall("String"):
        value = string.find("Value")
        assert value is not None
        fields[string.findtext("Key") or ""] = (value.text or "", value.get("ProtectInMemory") == "True")
    return Entry(
        path=(*names, fields.get("Title", ("", False))[0]),
        fields=fields,
        attachments=tuple(each.findtext("Key") or "" for each in element.findall("Binary")),
        tags=element.findtext("Tags") or "",
        expires=_time(element, "ExpiryTime") if element.findtext("Times/Expires") == "True" else None,
        modified=_time(element, "LastModificationTime"),
        history=tuple(_entry(item, names) for item in element.findall("History/Entry")),
    )


def _time(element: ET.Element, tag: str) -> str:
    return _same_time(tag, element.findtext(f"Times/{tag}") or "")


_NOT_COMPARED = ("Binaries", "SettingsChanged")  # KeePassXC exports them for one format and not for the other


def _comparable(element: ET.Element) -> object:
    """The element as nested tuples. KeePassXC numbers attachments by content, so equal numbers are equal content."""
    children = [_comparable(child) for child in element if child.tag not in _NOT_COMPARED and not _is_save_time(child)]
    if element.tag == "CustomData":  # KeePassXC writes its items in any order
        children.sort(key=repr)
    text = "" if children else _same_time(element.tag, element.text or "")
    return (element.tag, tuple(sorted(element.attrib.items())), text, tuple(children))


def _is_save_time(element: ET.Element) -> bool:
    return element.findtext("Key") == "_LAST_MODIFIED"


def _same_time(tag: str, text: str) -> str:
    """The times of KDBX 4 (seconds since the year 1) as those of KDBX 3.1."""
    if not tag.endswith(("Time", "Changed")) or "-" in text:
        return text
    seconds = int.from_bytes(base64.b64decode(text), "little")
    return f"{datetime(1, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
