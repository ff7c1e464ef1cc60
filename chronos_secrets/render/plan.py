"""What a file is to become, compared with what it is; the same for this machine and for every other host."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chronos_secrets.errors import Refused
from chronos_secrets.inventory.model import Credential, Inventory
from chronos_secrets.render.compose import LOCAL_BEGIN, LOCAL_END, Draft, Row
from chronos_secrets.render.dialects import DIALECTS, logical_lines
from chronos_secrets.render.values import Values, field_value, kept_values
from chronos_secrets.secret import Secret

if TYPE_CHECKING:
    from chronos_secrets.systems.hosts import Host

_KEEPS_LOCAL_LINES = frozenset({"dotenv", "sh", "systemd", "compose", "python", "node"})
# a line of a person's that sets a variable in at least one of the programs that read such files
_SETS = re.compile(r"\s*(?:(?:export|readonly)\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*(?:=|\+=|:\s)")


class Current(NamedTuple):
    """What is at a destination's path now; `content` is None where there is no file. `owner` is (uid, gid)."""

    content: Secret | None
    mode: int
    owner: tuple[int, int] | None
    ours: bool


class Plan(NamedTuple):
    """What a destination's file is to become. `owner` is (uid, gid), or None for whoever runs this.

    `host` is where the file belongs; None is this machine.
    """

    draft: Draft
    path: Path
    content: Secret
    rows: tuple[Row, ...]
    owner: tuple[int, int] | None
    current: Current
    host: "Host | None" = None

    @property
    def where(self) -> str:
        """The file's path, for a person; with the id of its host where that is another one."""
        return str(self.path) if self.host is None else f"{self.draft.destination.host}:{self.path}"

    @property
    def state(self) -> str:
        """up to date, new, changed, or permissions (only owner or mode differ)."""
        if self.current.content is None:
            return "new"
        if self.current.content != self.content:
            return "changed"
        wanted = (self.draft.destination.mode, self.owner or self.current.owner)
        return "up to date" if (self.current.mode, self.current.owner) == wanted else "permissions"

    @property
    def drifted(self) -> bool:
        """Whether the file is not what the vault and the inventory say."""
        return self.state != "up to date"


class Composed(NamedTuple):
    """A destination's whole content. `ours` is whether we made, or may replace, what is there now."""

    content: Secret
    rows: tuple[Row, ...]
    ours: bool


def compose(draft: Draft, there: bytes | None, where: str, inventory: Inventory, values: Values) -> Composed:
    """Make the content that is to replace `there` (None: no file); a person's own block in it is kept.

    Raises EntryMissing, NotRepresentable, TemplateInvalid for the content; Refused for marks of such a block where they
    cannot be, and for one that sets a name of ours.
    """
    if draft.header is None:
        ours = there is None or _is_value_of(there, draft, inventory, values)
        return Composed(Secret(draft.exact(values)), (), ours)
    rows = tuple(draft.rows(values))
    _refuse_marks(draft, rows)
    local = _local_lines(draft, there, where)
    _refuse_clash(draft, rows, local, where)
    content = "\n".join([draft.header, *(row.text for row in rows), ""]).encode() + local
    ours = there is None or there.split(b"\n", 1)[0].startswith(_mark(draft))
    return Composed(Secret(content), rows, ours)


def difference(each: Plan) -> list[str]:
    """The change as lines for a person: keys that come, go or change, with every secret value replaced by its name."""
    if each.draft.header is None:
        return ["~ the whole content"] if each.state == "changed" else ["+ the whole content"]
    key_of = DIALECTS[each.draft.destination.dialect].key
    new = {key: row for row in each.rows if (key := key_of(row.text)) is not None}
    old = {key: line for line in _old_lines(each) if (key := key_of(line)) is not None}
    lines = [f"- {key}" for key in old if key not in new and (each.current.ours or not _is_padding(old[key]))]
    lines += [f"+ {row.shown}" for key, row in new.items() if key not in old]
    lines += [f"~ {row.shown}" for key, row in new.items() if key in old and old[key] != row.text]
    if each.state == "permissions":
        lines.append(f"~ mode {each.current.mode:04o} becomes {each.draft.destination.mode:04o}, or the owner changes")
    return lines or ["~ comments, order or white space only"]


def refuse_foreign(plans: Iterable[Plan], *, may_adopt: bool) -> None:
    """Raise Refused for a file that would change and that we did not make."""
    for each in plans:
        if each.current.ours or may_adopt or not each.drifted:
            continue
        name = each.draft.destination.id
        raise Refused(
            f"{each.where} was not made by this tool, so it is kept as it is; rendering {name} would change it:",
            details=difference(each),
            hint=f"chronos-secrets render --adopt {name}    # the old file is kept in the state folder",
        )


def _mark(draft: Draft) -> bytes:
    """The part of the header that says whose file it is; the words after it may change with the program."""
    return f"{(draft.header or '').split('. ')[0]}. ".encode()


def _is_value_of(there: bytes, draft: Draft, inventory: Inventory, values: Values) -> bool:
    """Whether a file without a header is ours: it holds the credential's value, or one that it had before.

    A rollback takes back a value that never came into the history: the rotation still keeps it beside the old one.
    """
    value = draft.destination.value
    if value is None:
        return False
    credential: Credential = inventory.credentials[value.credential]
    entry = values.entry(credential)
    known = [field_value(each, credential, value.field) for each in (entry, *entry.history)]
    return Secret(there) in (*known, *kept_values(entry, credential, value.field))


def _local_lines(draft: Draft, there: bytes | None, where: str) -> bytes:
    """The person's own block at the end of a file that we rewrite, with its marks; empty where there is none."""
    if there is None or draft.destination.dialect not in _KEEPS_LOCAL_LINES:
        return b""
    lines = there.decode(errors="surrogateescape").split("\n")
    marks = [number for number, line in enumerate(lines) if line.strip() in (LOCAL_BEGIN, LOCAL_END)]
    if not marks:
        return b""
    if [lines[number].strip() for number in marks] != [LOCAL_BEGIN, LOCAL_END]:
        raise Refused(
            f"{where} has a '{LOCAL_BEGIN}' without its '{LOCAL_END}', or more than one such block",
            hint="leave exactly one such pair of lines in the file, or none",
        )
    block = lines[marks[0] : marks[1] + 1]
    return ("\n".join(block) + "\n").encode(errors="surrogateescape")


def _refuse_clash(draft: Draft, rows: tuple[Row, ...], local: bytes, where: str) -> None:
    """The block stands last, so a name that it sets again would win over the vault's value, in silence."""
    dialect = DIALECTS[draft.destination.dialect]
    ours = {dialect.key(row.text) for row in rows}
    theirs = map(_SETS.match, logical_lines(dialect, local.decode(errors="surrogateescape")))
    if clash := list(dict.fromkeys(found[1] for found in theirs if found and found[1] in ours)):
        raise Refused(
            f"the local block of {where} sets {', '.join(clash)} again, so the vault's value would not count",
            hint=f"take it out of the block, or out of the template of {draft.destination.id}",
        )


def _refuse_marks(draft: Draft, rows: tuple[Row, ...]) -> None:
    """A rendered line that looks like a mark would be taken for the person's own block at the next render."""
    lines = (line.strip() for row in rows for line in row.text.split("\n"))
    if draft.destination.dialect in _KEEPS_LOCAL_LINES and any(line in (LOCAL_BEGIN, LOCAL_END) for line in lines):
        raise Refused(
            f"destination {draft.destination.id} would hold a line '{LOCAL_BEGIN}' or '{LOCAL_END}' of its own",
            hint="take it out of the template or the value; a person writes these marks into the file",
        )


def _is_padding(line: str) -> bool:
    """Whether a line may be the end of something in base64 (a key, say), which is no name with an empty value."""
    return not line.partition("=")[2].strip().removeprefix("=")


def _old_lines(each: Plan) -> list[str]:
    """The lines of the old file as its dialect reads them: the rest of a quoted value is no line, and never shown."""
    content = each.current.content.reveal_bytes() if each.current.content else b""
    before, _, _ = content.decode(errors="replace").partition(f"\n{LOCAL_BEGIN}")
    return list(logical_lines(DIALECTS[each.draft.destination.dialect], before))
