"""Fetching a backup into a folder, and putting it where the server looks for its data.

A restore in place touches nothing before every file has arrived: the files come into a folder of our own on the same
file system, and then two renames put the old data aside and the new data in its place. The old data is never deleted.
A data folder that is itself a mount point cannot be renamed: everything happens inside it then, in folders whose names
begin with `pgsql_tmp`, which pgBackRest's backups, pg_basebackup and pg_checksums leave out, and which the server
leaves alone there.
"""

import json
import time
from typing import NamedTuple

from chronos_secrets.errors import Incomplete, Refused, TargetFailed
from chronos_secrets.pgbackrest import targets
from chronos_secrets.pgbackrest.account import as_account
from chronos_secrets.pgbackrest.runner import Runner
from chronos_secrets.pgbackrest.targets import Target
from chronos_secrets.systems.hosts import Hear, Host
from chronos_secrets.systems.hosts.words import last_words

_FETCHING = 24 * 3600.0  # seconds; a database that takes longer needs a standby rather than a restore
_TIMEOUT = 120.0  # seconds for a look
_MOVING = 3600.0  # seconds: to remove a large folder, or to move many files within one file system
_OWN = "pgsql_tmp."  # how our names begin inside a data folder

_LOOK = """\
data=$1
if [ -d "$data" ]; then real=$(cd -P -- "$data" && pwd -P) || exit 3
else real=$(cd -P -- "$(dirname -- "$data")" && pwd -P) || exit 3; real=${real%/}/$(basename -- "$data"); fi
mounted=$(cut -d ' ' -f 5 /proc/self/mountinfo 2>/dev/null | grep -m 1 -x -F -e "$real")
work=$real.restoring room=$(dirname -- "$real")
[ -z "$mounted" ] || work=$real/pgsql_tmp.restoring room=$real
line() { printf '%s\t%s\n' "$1" "$(printf %s "$2" | tr '\n\t' '  ')"; }
line real "$real"; line mounted "$mounted"; line work "$work"
[ -w "$room" ] && line writable y
line free "$(df -Pk -- "$room" | tail -n 1)"
[ -n "$(ls -A -- "$real" 2>/dev/null | grep -v -e '^pgsql_tmp[.]' -e '^lost+found$')" ] && line full y
line version "$(cat -- "$real/PG_VERSION" 2>/dev/null)"
[ -e "$real/recovery.signal" ] && line replays y
[ -n "$(ls -A -- "$real/pg_tblspc" 2>/dev/null)" ] && line tablespaces y
[ -e "$work" ] && line begun y
[ -n "$(ls -A -- "$work" 2>/dev/null | grep -v -x -e mark.new)" ] && line used y
line mark "$(cat -- "$work/mark" 2>/dev/null)"
[ -d "$work/data" ] && line fetched y
[ -e "$work/data/PG_VERSION" ] || [ -e "$work/data/backup.manifest" ] && line resumable y
last=$(ls -td -- "$real/postmaster.opts" "$real.before-restore-"*/postmaster.opts 2>/dev/null | head -n 1)
[ -z "$last" ] || line opts "$(cat -- "$last")"
{ unset COLUMNS; ps -ef 2>/dev/null; } | grep -F -e "--pg1-path=$work/data" | grep -q -v grep && line busy y
exit 0
"""
_MARK = """\
umask 077
[ -d "$1" ] || mkdir -- "$1" || exit 1
printf '%s\n' "$2" > "$1/mark.new" && { sync "$1/mark.new" 2>/dev/null || sync; } && mv -- "$1/mark.new" "$1/mark"
"""
_EMPTY = 'umask 077; rm -rf -- "$1/data" "$1/data.tablespaces" && mkdir -- "$1/data"'
# Each step looks at what is there: it may have been done by a run that died.
_RENAME = """\
real=$1 work=$2 aside=$3
if [ -d "$work/data" ]; then
    if [ -e "$real" ] && [ ! -e "$aside" ]; then
        rmdir -- "$real" 2>/dev/null || mv -- "$real" "$aside" || exit 1
    fi
    rmdir -- "$real" 2>/dev/null
    [ ! -e "$real" ] || { echo "$aside is there already" >&2; exit 2; }
    mv -- "$work/data" "$real" || exit 1
fi
{ sync "$(dirname -- "$real")" 2>/dev/null || sync; }
"""
_EACH = """\
for each in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    [ -e "$each" ] || [ -L "$each" ] || continue
    case ${each##*/} in lost+found|pgsql_tmp.restoring|pgsql_tmp.before-restore-*) continue ;; esac
    mv -- "$each" "$2/" || exit 1
done
{ sync "$1" "$2" 2>/dev/null || sync; }
"""
_OUT = f'umask 077; [ -d "$2" ] || mkdir -- "$2" || exit 1\n{_EACH}rmdir -- "$2" 2>/dev/null; exit 0\n'
_IN = f'[ -d "$1" ] || exit 0\n{_EACH}rmdir -- "$1"\n'
_REMOVE = 'rm -rf -- "$1"; [ ! -e "$1" ]'
_PRIVATE = """\
umask 077
if [ -d "$1" ]; then [ -z "$(ls -A -- "$1")" ] || exit 2; else mkdir -- "$1" || exit 1; fi
chmod 0700 -- "$1" && { [ -z "$2" ] || [ "$(id -u)" != 0 ] || chown "$2" -- "$1"; } && cd -P -- "$1" && pwd -P
df -Pk -- "$1" | tail -n 1
"""


# One line, for it is pasted.
_BRANCH = 'data=$1 && shift 3 && printf "%s\\n" "$@" >> "$data/postgresql.auto.conf" && : > "$data/recovery.signal"'


class Fetched(NamedTuple):
    """A cluster's files in a folder, not yet replayed. `tablespaces` is where its tablespaces lie, if it has any."""

    folder: str
    tablespaces: str
    seconds: float


def fetch(
    runner: Runner,
    folder: str,
    target: Target,
    *,
    archive_off: bool,
    process_max: int | None = None,
    delta: bool = False,
    restore_command: str | None = None,
    tablespaces: str | None = None,
    more: tuple[str, ...] = (),
    hear: Hear | None = None,
) -> Fetched:
    """Put a backup's files into `folder`, an empty one that the runner's account can write to, on the runner's host.

    A server that is started on it replays WAL up to `target`. Tablespaces never go where they came from: the folder
    `tablespaces` gets them, or one beside `folder`. `archive_off`: that server will not archive; anything but the
    production's own must not. `delta` goes on in a folder that an earlier fetch left half-way, and removes what is of
    no use. `restore_command` is for a cluster that will be moved before it is started; pgBackRest's own names `folder`.
    `hear` hears what it says, `more` are further options of pgBackRest's.
    Raises what Runner.run raises: 40 is a folder that is not empty, 38 one that a server runs on.
    """
    tablespaces = tablespaces or f"{folder}.tablespaces"
    options = [f"--pg1-path={folder}", f"--tablespace-map-all={tablespaces}", *targets.argv(target), *more]
    options += ["--archive-mode=off"] if archive_off else []
    options += [f"--process-max={process_max}"] if process_max else []
    options += ["--delta"] if delta else []
    options += [f"--recovery-option=restore_command={restore_command}"] if restore_command else []
    began = time.monotonic()
    runner.run("restore", *options, timeout=_FETCHING, hear=hear)
    return Fetched(folder, tablespaces, time.monotonic() - began)


class Mark(NamedTuple):
    """What a restore has written down beside its files. `words` is its command: the one that goes on with it.

    `state`: fetching (nothing else is touched), fetched, swapping, moved (a mount point only: the old data is aside),
    placed (all is where it belongs).
    """

    state: str
    stamp: str
    label: str
    words: str

    @property
    def in_between(self) -> bool:
        """Whether the old data may be aside, and the new one not yet in its place."""
        return self.state in ("swapping", "moved")


class Seen(NamedTuple):
    """What is where the data belongs. `work` is the folder in which a restore happens, `free` the bytes there.

    `opts` is the last start's postmaster.opts. `busy` says that an earlier run's pgbackrest still writes.
    """

    data: str
    work: str
    mounted: bool
    free: int
    writable: bool
    full: bool
    version: str
    replays: bool
    tablespaces: bool
    resumable: bool
    opts: str
    busy: bool
    mark: Mark | None

    def aside(self, stamp: str) -> str:
        """Where the old data goes."""
        return f"{self.data}/{_OWN}before-restore-{stamp}" if self.mounted else f"{self.data}.before-restore-{stamp}"

    def spaces(self, stamp: str) -> str:
        """Where the tablespaces go, for good."""
        return f"{self.data}.tablespaces-{stamp}"

    def log(self, stamp: str) -> str:
        """Where a server that we start by pg_ctl writes its log."""
        return f"{self.data}/{_OWN}restored-{stamp}.log" if self.mounted else f"{self.data}.restored-{stamp}.log"


class Site:
    """The place of the database's data on a host, and what a restore does there, as the account that owns it."""

    def __init__(self, host: Host, account: str | None, data: str) -> None:
        self.host, self._account, self._data = host, account, data

    def look(self) -> Seen:
        """What is there now. Raises TargetFailed, and Refused for a folder that is not ours."""
        ran = self.host.run(as_account(("sh", "-c", _LOOK, "sh", self._data), self._account), timeout=_TIMEOUT)
        if ran.status != 0:
            raise TargetFailed(
                f"{self._data} on {self.host.name} cannot be looked at: {last_words(ran.err)}",
                hint=self.host.paste(("ls", "-ld", self._data)),
            )
        said = dict(line.partition("\t")[::2] for line in ran.out.decode(errors="surrogateescape").splitlines())
        mark = _parse(said["mark"])
        if mark is None and "used" in said:
            raise Refused(
                f"{said['work']} on {self.host.name} is in the way, and not known to be of a restore",
                hint=self.host.paste(("ls", "-la", said["work"])),
            )
        return Seen(
            data=said["real"], work=said["work"], mounted=bool(said["mounted"]), free=_free(said["free"]),
            writable="writable" in said, full="full" in said,
            version=said["version"], replays="replays" in said,
            tablespaces="tablespaces" in said, resumable="resumable" in said, opts=said.get("opts", "").strip(),
            busy="busy" in said, mark=mark,
        )  # fmt: skip

    def mark(self, seen: Seen, mark: Mark) -> None:
        """Write down, durably, how far it is. Raises TargetFailed."""
        self._do(_MARK, seen.work, json.dumps(mark._asdict()), what=f"{seen.work} on {self.host.name} cannot be made")

    def empty(self, seen: Seen) -> None:
        """An empty folder for the files, whatever an earlier run left in it. Raises TargetFailed."""
        self._do(_EMPTY, seen.work, what=f"{seen.work} on {self.host.name} cannot be emptied")

    def swap(self, seen: Seen, mark: Mark) -> Mark:
        """Put the old data aside and the fetched data in its place; a run that died in it is gone on with.

        Raises Incomplete.
        """
        aside, fetched = seen.aside(mark.stamp), f"{seen.work}/data"
        if mark.state == "fetched":
            mark = self._now(seen, mark, "swapping")
        if not seen.mounted:
            self._move(_RENAME, seen, seen.data, seen.work, aside)
            return self._now(seen, mark, "placed")
        if mark.state == "swapping":
            self._move(_OUT, seen, seen.data, aside)
            mark = self._now(seen, mark, "moved")
        self._move(_IN, seen, fetched, seen.data)
        return self._now(seen, mark, "placed")

    def _now(self, seen: Seen, mark: Mark, state: str) -> Mark:
        mark = mark._replace(state=state)
        self.mark(seen, mark)
        return mark

    def _move(self, script: str, seen: Seen, *words: str) -> None:
        ran = self.host.run(as_account(("sh", "-c", script, "sh", *words), self._account), timeout=_MOVING)
        if ran.status != 0:
            raise Incomplete(
                f"{seen.data} on {self.host.name} is not whole: its files could not all be moved: "
                f"{last_words(ran.err)}",
                details=[f"the old data is in {seen.data} or beside it; nothing of it was deleted"],
            )

    def finish(self, seen: Seen) -> None:
        """Remove our own folder. Raises TargetFailed."""
        self._do(_REMOVE, seen.work, what=f"{seen.work} on {self.host.name} cannot be removed", timeout=_MOVING)

    def _do(self, script: str, *words: str, what: str, timeout: float = _TIMEOUT) -> None:
        ran = self.host.run(as_account(("sh", "-c", script, "sh", *words), self._account), timeout=timeout)
        if ran.status != 0:
            raise TargetFailed(f"{what}: {last_words(ran.err)}", hint=self.host.paste(("ls", "-ld", words[0])))

    def holds(self, folder: str) -> bool:
        """Whether a folder is there and not empty. Raises TargetFailed."""
        argv = ("sh", "-c", '[ -n "$(ls -A -- "$1" 2>/dev/null)" ]', "sh", folder)
        return self.host.run(as_account(argv, self._account), timeout=_TIMEOUT).status == 0

    def way_back(self, seen: Seen, stamp: str, *, get: str = "") -> str:
        """The command by which a person puts the old data back, and the restored one aside; for a stopped server.

        `get` is the restore_command of a server there, for where the restored one has begun a timeline: the old data
        then begins a later one. Else the next restore would follow the latest timeline, the one that was given up.
        """
        aside, failed = seen.aside(stamp), f"failed-restore-{stamp}"
        if not seen.mounted:
            script = 'mv -- "$1" "$1.$3" && mv -- "$2" "$1"'
        else:
            script = (
                'cd -- "$1" && mkdir -m 0700 "pgsql_tmp.$3" && for f in *; do case $f in pgsql_tmp.*|lost+found) ;; '
                '*) mv -- "$f" "pgsql_tmp.$3/" ;; esac; done; mv -- "$2"/* . && rmdir -- "$2"'
            )
        words: tuple[str, ...] = (seen.data, aside, failed)
        if get:
            script, words = f"{script} && {_BRANCH}", (*words, *_branching(get))
        return self.host.paste(("sh", "-c", script, "sh", *words), account=self._account)


def _branching(get: str) -> tuple[str, ...]:
    """The settings by which a server replays its own timeline to its end, and begins the next.

    Those of an earlier restore may still be in the file, and the last of one name counts.
    """
    none = (f"recovery_target{each} = ''" for each in ("", "_time", "_name", "_xid", "_lsn"))
    quoted = get.replace("'", "''")
    return (f"restore_command = '{quoted}'", "recovery_target_timeline = 'current'", *none)


def private_folder(host: Host, account: str | None, folder: str) -> tuple[str, int]:
    """Make a folder that only the account can enter, or take an empty one; its real path, and the bytes free there.

    Raises Refused for one that is not empty, TargetFailed.
    """
    ran = host.run(("sh", "-c", _PRIVATE, "sh", folder, account or ""), timeout=_TIMEOUT)
    if ran.status == 2:
        raise Refused(f"{folder} on {host.name} is not empty", hint=host.paste(("ls", "-la", folder)))
    lines = ran.out.decode(errors="surrogateescape").splitlines()
    if ran.status != 0 or len(lines) != 2:
        raise TargetFailed(
            f"{folder} on {host.name} cannot be made private: {last_words(ran.err)}",
            hint=host.paste(("ls", "-ld", folder)),
        )
    return lines[0], _free(lines[1])


def _free(line: str) -> int:
    """The bytes that a line of `df -Pk` says are free."""
    fields = line.split()
    return int(fields[3]) * 1024 if len(fields) > 4 and fields[3].isdigit() else 0


def _parse(text: str) -> Mark | None:
    try:
        found = json.loads(text)
        return Mark(*(str(found[name]) for name in Mark._fields))
    except (ValueError, KeyError, TypeError):
        return None
