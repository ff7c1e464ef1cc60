"""pgBackRest's log files: which lines of them are asked for, and what they say. Pure but for the script that it holds.

A record begins with a time (the host's own clock on the wall), a process and a level; further lines are indented. The
script picks the records on the host, so that no more than these comes over the wire.
"""

import re
from typing import NamedTuple

MOST = 5000
"""Lines that are looked at, of the newest ones that fit."""

_LEVELS = ("ERROR", "ASSERT", "WARN")
"""The levels that count as errors; pgBackRest's others are INFO, DETAIL, DEBUG and TRACE."""

_RECORD = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)? P\d+ +([A-Z]+): (.*)")

# $1: seconds since 1970 from which records count, or empty; $2: "errors" or empty; $3: how many lines; then the files,
# or patterns of them: the folder may hold years of them, packed by logrotate. One that is there and cannot be read is
# said. The files of a pattern are in the order of their times, so that the newest lines come last.
SCRIPT = """\
IFS="
"
since=$1 only=$2 most=$3; shift 3
[ -z "$since" ] || since=$(date -d "@$since" '+%Y-%m-%d %H:%M:%S') || exit 3
unpack() { case $1 in *.gz) gzip -cd -- "$1" ;; *) cat -- "$1" ;; esac; }
for pattern in "$@"; do
  for file in $(ls -1tr $pattern 2>/dev/null); do
    if [ -r "$file" ]; then echo "F $file"; else echo "U $file"; continue; fi
    unpack "$file" | awk -v since="$since" -v only="$only" '
      /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9:.]+ P[0-9]+ +[A-Z]+:/ {
        wanted = (since == "" || substr($0, 1, 19) >= since) && (only == "" || $4 ~ /^(ERROR|ASSERT|WARN):/)
      }
      wanted { print "L " $0 }' | tail -n "$most"
  done
done
"""


class Line(NamedTuple):
    """One record. `at` is the host's clock on the wall, as it is written there; `message` may have several lines."""

    file: str
    at: str
    level: str
    message: str

    @property
    def is_error(self) -> bool:
        return self.level in _LEVELS


class Told(NamedTuple):
    """What the script said: records, the files that were read, and those that could not be."""

    lines: tuple[Line, ...]
    read: tuple[str, ...]
    unreadable: tuple[str, ...]


def patterns(folder: str, stanza: str) -> tuple[str, ...]:
    """The files of a stanza in pgBackRest's own folder, also those that logrotate put aside."""
    return (f"{folder}/{stanza}-*.log*",)


CRON_FILES = ("/var/log/pgbackrest-full.log*", "/var/log/pgbackrest-diff.log*", "/var/log/pgbackrest-incr.log*")
"""Where a cron table commonly sends what pgBackRest prints."""


def parse(said: str) -> Told:
    """The records, in the order of their times."""
    found: list[Line] = []
    read, unreadable, file = list[str](), list[str](), ""
    for text in said.splitlines():
        mark, _, rest = text.partition(" ")
        if mark == "F":
            file = rest
            read.append(file)
        elif mark == "U":
            unreadable.append(rest)
        elif mark == "L" and (match := _RECORD.fullmatch(rest)):
            found.append(Line(file, match[1], match[2], match[3]))
        elif mark == "L" and found:
            found[-1] = found[-1]._replace(message=f"{found[-1].message}\n{rest.strip()}")
    return Told(tuple(sorted(found, key=lambda each: each.at)), tuple(read), tuple(unreadable))
