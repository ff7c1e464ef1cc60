"""The texts of timers: units of systemd, lines for cron, the script of a backup, and the rotation of its log. Pure.

No text holds a secret, and none that the vault could give: whoever lists the units of a machine may read them.
"""

import re
import shlex
from collections.abc import Mapping, Sequence

from chronos_secrets.inventory import cron

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"
"""Where a backup's script looks for docker and pgbackrest: cron gives it next to nothing."""

RECORDS = "/var/lib/chronos-secrets"
"""The folder on the database's host where each type of backup has a file of how its last run ended."""

LOCK_PATIENCE = 3 * 3600
"""Seconds that a backup waits for another one that the timers started; then it fails like pgBackRest, with 50."""

_DAY_NAMES = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_PLAIN = re.compile("[A-Za-z0-9_./:@=+,-]+")


def header(project: str) -> str:
    """The line by which a file is known to be ours."""
    return f'{_mark(project)} Made by "chronos-secrets schedule install": edits are lost, edit the inventory.'


def is_ours(content: bytes, project: str) -> bool:
    """Whether a file was made by us for this project. A script has the line below its first one."""
    mark = _mark(project).encode()
    return any(line.startswith(mark) for line in content.split(b"\n")[:2])


def _mark(project: str) -> str:
    return f"# chronos-secrets: {project}/timers."


def calendar(line: str, zone: str) -> list[str]:
    """A cron line as times of systemd, which reads "one of the two" for dates and weekdays as two of them."""
    found = cron.parse(line)
    months, numbers = _listed(sorted(found.months), 12), _listed(sorted(found.days), 31)
    clock = f"{_listed(found.hours, 24)}:{_listed(found.minutes, 60)}:00 {zone}"
    days = ",".join(_DAY_NAMES[day] for day in sorted(found.weekdays)) if len(found.weekdays) < 7 else ""
    if not found.either:
        return [f"{days} *-{months}-{numbers} {clock}".lstrip()]
    return [f"*-{months}-{numbers} {clock}", f"{days} *-{months}-* {clock}".lstrip()]


def timer(project: str, of: str, line: str, zone: str, *, delay: str | None) -> str:
    """A timer unit. Without a `delay` it fires on the second: two backups must not be moved onto each other."""
    when = [f"OnCalendar={each}" for each in calendar(line, zone)]
    precision = f"RandomizedDelaySec={delay}" if delay else "AccuracySec=1s"
    return _unit(
        project, Unit=[f"Description={of}"],
        Timer=[*when, precision, "# What was missed while the machine was off is made up for once.", "Persistent=true"],
        Install=["WantedBy=timers.target"],
    )  # fmt: skip


def backup_service(project: str, of: str, argv: Sequence[str]) -> str:
    """The unit that a timer of the database's host starts."""
    return _unit(
        project,
        Unit=[f"Description={of}", "Wants=network-online.target", "After=network-online.target docker.service"],
        Service=[
            "Type=oneshot", f"ExecStart={execution(argv)}",
            "# A private /tmp would hide pgBackRest's lock, by which it and archiving know of each other.",
            "ProtectSystem=full", "ProtectKernelTunables=true", "ProtectKernelModules=true",
            "ProtectControlGroups=true", "RestrictRealtime=true", "LockPersonality=true",
        ],
    )  # fmt: skip


def own_service(project: str, of: str, argv: Sequence[str], environment: Mapping[str, str]) -> str:
    """The unit that a timer of the operator's machine starts."""
    named = [f"Environment={_word(f'{name}={value}')}" for name, value in environment.items()]
    return _unit(
        project, Unit=[f"Description={of}"],
        Service=[
            "Type=oneshot", f"ExecStart={execution(argv)}", *named, "TimeoutStartSec=3h",
            "# Nothing stricter: a command of after: or notify: may be sudo, or a mailer with a group of its own.",
            "UMask=0077",
        ],
    )  # fmt: skip


def execution(argv: Sequence[str]) -> str:
    """A command as ExecStart= takes it, with no variable put in."""
    return f":{' '.join(map(_word, argv))}"


def crontab_line(line: str, argv: Sequence[str], *, user: str | None = None) -> str:
    """A line for cron, for which % is the end of the command; `user` is for a file of /etc/cron.d."""
    return " ".join([line, *([user] if user else []), shlex.join(argv).replace("%", r"\%")])


def cron_file(project: str, lines: Sequence[str], zone: str) -> str:
    """A file for /etc/cron.d. cronie obeys CRON_TZ; Debian's cron does not, and gets the file only in that zone."""
    return "\n".join([header(project), "SHELL=/bin/sh", f"PATH={PATH}", f"CRON_TZ={zone}", *lines, ""])


def logrotate(project: str, logs: Sequence[str]) -> str:
    """How the logs of the backups are kept: twelve weeks."""
    kept = ("weekly", "rotate 12", "compress", "delaycompress", "missingok", "notifempty", "create 0640 root root")
    return "\n".join([header(project), f"{' '.join(logs)} {{", *(f"    {each}" for each in kept), "}", ""])


def backup_script(project: str, stanza: str, types: Sequence[str], argv: Sequence[str]) -> str:
    """The script that makes one backup, keeps its log, and leaves how it ended. `argv` lacks type and command."""
    facts = {
        "header": header(project), "path": PATH, "records": RECORDS, "stanza": stanza, "types": "|".join(types),
        "lock": str(LOCK_PATIENCE), "argv": shlex.join(argv),
    }  # fmt: skip
    return re.sub(r"@(\w+)@", lambda found: facts[found[1]], _SCRIPT)


def log(type_: str) -> str:
    """The log of one type of backup, on the database's host."""
    return f"/var/log/pgbackrest-{type_}.log"


def record(stanza: str, type_: str) -> str:
    """The file that says how the last backup of a type ended: begun and ended (seconds of 1970), exit status."""
    return f"{RECORDS}/{stanza}-{type_}"


# The lock is of the timers alone: of two that a machine makes up for after a night, the second one waits. Asked for
# again and again, because the flock of busybox knows no time limit.
_SCRIPT = """\
#!/bin/sh
@header@
# Usage: this script TYPE. How the last run ended is in @records@/@stanza@-TYPE: begun, ended, exit status.
set -u
PATH=@path@
export PATH
umask 027
case ${1-} in
    @types@) type=$1 ;;
    *) echo "usage: $0 @types@" >&2; exit 2 ;;
esac
mkdir -p @records@ || exit 1
exec 9> @records@/@stanza@.lock || exit 1
exec >> "/var/log/pgbackrest-$type.log" 2>&1 < /dev/null
begun=$(date +%s)
echo "$(date -u '+%Y-%m-%dT%H:%M:%SZ') the $type backup of @stanza@ begins"
left=@lock@
until flock -n 9 || [ "$left" -eq 0 ]; do
    sleep 1
    left=$((left - 1))
done
if [ "$left" -gt 0 ]; then
    @argv@ --type="$type" --log-level-console=info backup 9>&-
    status=$?
else
    echo "another backup that a timer started did not end within @lock@ seconds"
    status=50
fi
echo "$(date -u '+%Y-%m-%dT%H:%M:%SZ') the $type backup of @stanza@ ended with status $status"
record=@records@/@stanza@-$type
echo "$begun $(date +%s) $status" > "$record.new" && mv -f "$record.new" "$record"
exit "$status"
"""


def _unit(project: str, **sections: Sequence[str]) -> str:
    body = ["\n".join([f"[{name}]", *lines]) for name, lines in sections.items()]
    return "\n\n".join([header(project), *body]) + "\n"


def _word(text: str) -> str:
    """One word as systemd reads a command line; % begins a specifier."""
    text = text.replace("%", "%%")
    if _PLAIN.fullmatch(text.replace("%", "")):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _listed(numbers: Sequence[int], all_of_them: int) -> str:
    return "*" if len(numbers) == all_of_them else ",".join(f"{each:02}" for each in numbers)
