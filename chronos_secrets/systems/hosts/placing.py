"""One file on a host: looked at, read, replaced. What a POSIX shell does there, and the words for each failure.

A new content goes to a temporary file beside the target (0600, created exclusively), is compared with the hash that was
sent ahead of it, gets its owner and mode, is synced and renamed over the target, and the folder is synced. So a
connection that is cut anywhere leaves the old file or the new one, never a part. The hash travels in the environment:
a list of processes shows neither it nor the content. Beside the shell, coreutils or busybox is enough.
"""

import hashlib
import os
import posixpath
import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from chronos_secrets.errors import ChronosError, Incomplete, Refused, TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems.hosts.words import CutOff, last_words
from chronos_secrets.systems.process import Ran

TIMEOUT = 60.0  # seconds for one file


class Seen(NamedTuple):
    """What is at a path of a host. `sha256` and `owner` (uid, gid) are None and `mode` is 0 where there is no file.

    `wanted` is the owner that was asked about, in the numbers of that host. `folder` is the real path of the folder.
    """

    sha256: str | None
    mode: int
    owner: tuple[int, int] | None
    wanted: tuple[int, int] | None
    folder: str


class Placed(NamedTuple):
    """A file that was placed, synced, and read back.

    `lasting` is false for a file that lies in a container but on none of its volumes: the next `docker compose up`
    that makes the container anew loses it.
    """

    sha256: str
    folder: str  # the real path of its folder
    lasting: bool


class Shell(Protocol):
    """The part of a host that placing needs."""

    name: str

    def run(
        self, argv: Sequence[str], *, stdin: bytes | Secret, environment: Mapping[str, str | Secret], timeout: float
    ) -> Ran: ...

    def paste(self, argv: Sequence[str]) -> str: ...


# Arguments: path, owner. Prints the real folder, the wanted uid:gid and, where there is a file, its hash, mode and ids.
_LOOK = r"""
set -uf
export LC_ALL=C
path=$1 owner=$2
for tool in cat chmod chown id ls mv rm sync; do
    command -v "$tool" >/dev/null || { echo "$tool" >&2; exit 31; }
done
if command -v sha256sum >/dev/null; then digest() { sha256sum; }
elif command -v shasum >/dev/null; then digest() { shasum -a 256; }
else echo sha256sum >&2; exit 31; fi
first() { printf '%s' "${1%% *}"; }
ids() { set -- $(ls -ldn "$1"); printf '%s:%s' "$3" "$4"; }
mode() { set -- $(ls -ldn "$1"); printf '%s' "$1"; }
group() {
    case $1 in *[!0-9]*) ;; *) echo "$1"; return ;; esac
    { getent group "$1" || cat /etc/group; } 2>/dev/null | while IFS=: read -r name _ number _; do
        [ "$name" != "$1" ] || { echo "$number"; break; }
    done
}
[ ! -L "$path" ] || exit 34
[ ! -d "$path" ] || exit 35
[ ! -e "$path" ] || [ -f "$path" ] || exit 36
folder=${path%/*}
[ -d "${folder:-/}" ] || exit 32
real=$(cd -P "${folder:-/}" && pwd -P) || exit 33
wanted=
if [ -n "$owner" ]; then
    user=${owner%%:*} gid=
    case $user in *[!0-9]*) uid=$(id -u "$user" 2>/dev/null) || exit 38 ;; *) uid=$user ;; esac
    case $owner in *:*) gid=$(group "${owner#*:}") ;; *) gid=$(id -g "$user" 2>/dev/null) ;; esac
    [ -n "$gid" ] || exit 38
    wanted=$uid:$gid
fi
"""
_SHOW = r"""
[ -w "$real" ] && [ -x "$real" ] || exit 33
printf '%s\n%s\n' "$real" "$wanted"
[ -f "$path" ] || exit 0
sum=$(digest < "$path") || exit 37
printf '%s\n%s\n%s\n' "$(first "$sum")" "$(ids "$path")" "$(mode "$path")"
"""
# Further arguments: the stem of temporary names, a new one, the mode. What a killed run left is removed first.
_PLACE = r"""
stem=$real/$3 temporary=$real/$3.$4.tmp
printf '%s\n' "$real"
umask 077
set +f
rm -f "$stem".*.tmp
set -f
trap 'rm -f "$temporary"' EXIT
trap 'exit 39' HUP INT TERM PIPE
( set -C && cat > "$temporary" ) || exit 40
sum=$(digest < "$temporary") || exit 40
[ "$(first "$sum")" = "$CHRONOS_SHA256" ] || exit 41
[ -n "$wanted" ] || [ ! -f "$path" ] || wanted=$(ids "$path")
[ -z "$wanted" ] || [ "$wanted" = "$(ids "$temporary")" ] || chown "$wanted" "$temporary" || exit 42
chmod "$5" "$temporary" || exit 43
sync "$temporary" || exit 44
if [ -n "${CHRONOS_REPLACES-}" ]; then
    sum=$(digest < "$path") && [ "$(first "$sum")" = "$CHRONOS_REPLACES" ] || exit 48
fi
mv -f "$temporary" "$path" || exit 45
trap - EXIT
sync "$real" || exit 46
sum=$(digest < "$path") || exit 47
printf '%s\n' "$(first "$sum")"
"""
# Argument: path, and how many bytes at most.
_READ = r"""
export LC_ALL=C
[ -e "$1" ] || [ -L "$1" ] || exit 30
[ -f "$1" ] || exit 36
exec head -c "$2" "$1"
"""


class _Fault(NamedTuple):
    kind: type[ChronosError]
    message: str  # {path}, {host}, {folder}, {owner} and {words}, the last ones that a tool said
    hint: tuple[str, ...]  # a command on that host


_LIST, _SPACE = ("ls", "-ld", "{folder}", "{path}"), ("df", "-h", "{folder}")
_FAULTS = {
    31: _Fault(TargetFailed, "{host} has no program {words}, without which no file can be placed there", ("env",)),
    32: _Fault(Refused, "there is no folder {folder} on {host}", ("mkdir", "-p", "{folder}")),
    33: _Fault(Refused, "{folder} on {host} cannot be written to", ("ls", "-ld", "{folder}")),
    34: _Fault(Refused, "{path} on {host} is a symbolic link", ("readlink", "-f", "{path}")),
    35: _Fault(Refused, "{path} on {host} is a folder", ("ls", "-la", "{path}")),
    36: _Fault(Refused, "{path} on {host} is not a regular file", _LIST),
    37: _Fault(Refused, "{path} on {host} cannot be read: {words}", _LIST),
    38: _Fault(Refused, "{path} is to belong to {owner}, who is not on {host}", ("id", "{user}")),
    39: _Fault(Incomplete, "placing {path} on {host} was interrupted; the old file is as it was", _LIST),
    40: _Fault(TargetFailed, "{path} on {host} cannot be written: {words}; the old file is as it was", _SPACE),
    41: _Fault(Incomplete, "the content of {path} did not reach {host} whole; the old file is as it was", _LIST),
    42: _Fault(
        TargetFailed, "{path} on {host} cannot get its owner: {words}; the old file is as it was", ("id",)
    ),
    43: _Fault(TargetFailed, "{path} on {host} cannot get its mode: {words}; the old file is as it was", _LIST),
    44: _Fault(TargetFailed, "{path} on {host} cannot be written: {words}; the old file is as it was", _SPACE),
    45: _Fault(TargetFailed, "{path} on {host} cannot be replaced: {words}; the old file is as it was", _LIST),
    46: _Fault(Incomplete, "{path} on {host} is new, but may be the old one after a power cut: {words}", _SPACE),
    47: _Fault(Incomplete, "{path} on {host} was written but cannot be read back: {words}", _LIST),
    48: _Fault(Incomplete, "{path} on {host} was changed by somebody else meanwhile and is as they left it", _LIST),
}  # fmt: skip


def look(host: Shell, path: str, owner: str | None) -> Seen:
    """What is at `path`, after every check that needs no writing. Raises Refused, TargetFailed."""
    lines = _script(host, _LOOK + _SHOW, path, owner).splitlines()
    folder, wanted = lines[0], _ids(lines[1])
    if len(lines) == 2:
        return Seen(None, 0, None, wanted, folder)
    return Seen(lines[2], mode_of(lines[4]), _ids(lines[3]), wanted, folder)


def place(
    host: Shell, path: str, content: Secret, *, mode: int, owner: str | None, replaces: str | None = None
) -> Placed:
    """Make `content` the file at `path`. Raises Refused, TargetFailed, Incomplete; each says what is there now."""
    data = content.reveal_bytes()
    digest = hashlib.sha256(data).hexdigest()
    more = (_stem(path), secrets.token_hex(6), f"{mode:04o}")
    sums = {"CHRONOS_SHA256": Secret(digest), "CHRONOS_REPLACES": Secret(replaces or "")}
    try:
        said = _script(host, _LOOK + _PLACE, path, owner, *more, stdin=content, environment=sums)
    except CutOff as error:
        raise Incomplete(
            f"{path} on {host.name} is the old file or the new one, whole: {error.message}", hint=error.hint
        ) from error
    folder, there = said.splitlines()
    if there != digest:
        raise Incomplete(
            f"{path} on {host.name} was written, and then by somebody else as well",
            hint=host.paste(("ls", "-l", path)),
        )
    return Placed(there, folder, lasting=True)


def read(host: Shell, path: str, limit: int) -> bytes | None:
    """The file at `path`, or None where there is none. Raises Refused when it has more than `limit` bytes."""
    ran = host.run(
        ("sh", "-c", _READ, "sh", _checked(path), str(limit + 1)), stdin=b"", environment={}, timeout=TIMEOUT
    )
    if ran.status == 30:
        return None
    if ran.status != 0:
        raise _failure(host, 36 if ran.status == 36 else 37, path, None, ran)
    if len(ran.out) > limit:
        raise Refused(f"{path} on {host.name} has more than {limit} bytes", hint=host.paste(("ls", "-l", path)))
    return ran.out


def _script(
    host: Shell,
    script: str,
    path: str,
    owner: str | None,
    *more: str,
    stdin: bytes | Secret = b"",
    environment: Mapping[str, str | Secret] | None = None,
) -> str:
    """What a script printed. Raises what its exit status stands for."""
    argv = ("sh", "-c", script, "sh", _checked(path), owner or "", *more)
    ran = host.run(argv, stdin=stdin, environment=environment or {}, timeout=TIMEOUT)
    if ran.status != 0:
        raise _failure(host, ran.status, path, owner, ran)
    return os.fsdecode(ran.out)


def _failure(host: Shell, status: int, path: str, owner: str | None, ran: Ran) -> ChronosError:
    folder = posixpath.dirname(path)
    known = _FAULTS.get(status)
    if known is None:
        return TargetFailed(
            f"{path} on {host.name} cannot be dealt with: sh ended with status {status}: {last_words(ran.err)}",
            hint=host.paste(("ls", "-ld", folder)),
        )
    facts = {
        "path": path, "host": host.name, "folder": folder, "owner": owner or "", "words": last_words(ran.err),
        "user": (owner or "").partition(":")[0],
    }  # fmt: skip
    hint = host.paste([word.format_map(facts) for word in known.hint])
    return known.kind(known.message.format_map(facts), hint=hint)


def _checked(path: str) -> str:
    """A path as the scripts want it; the inventory has refused others with their line."""
    if not path.startswith("/") or path.endswith("/") or ".." in path.split("/") or "\n" in path or "\0" in path:
        raise Refused(f"{path!r} is not the absolute path of a file", hint="correct the destination's path")
    return path


def _stem(path: str) -> str:
    """How the temporary names of one target begin."""
    return f".chronos-{hashlib.sha256(os.fsencode(posixpath.basename(path))).hexdigest()[:12]}"


def _ids(text: str) -> tuple[int, int] | None:
    uid, _, gid = text.partition(":")
    return (int(uid), int(gid)) if gid else None


def mode_of(text: str) -> int:
    """The mode that `ls -l` prints, as a number: "-rw-r-----" is 0o640; s, S, t and T stand for the special bits."""
    mode = 0
    for letter, bit in zip(text[1:10], range(8, -1, -1), strict=True):
        if letter in "rwxst":
            mode |= 1 << bit
        if letter in "sStT":
            mode |= 1 << (9 + bit // 3)
    return mode
