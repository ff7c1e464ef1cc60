"""Where a database server's own programs are on a host: packages seldom put pg_ctl or pg_waldump into PATH."""

from chronos_secrets.errors import TargetFailed
from chronos_secrets.systems.hosts import Host

_TIMEOUT = 30.0  # seconds

# The first folder that has pg_ctl: that of the wanted major release, what pg_config says, PATH, the newest release.
_FIND = """\
[ -z "$1" ] || set -- "/usr/lib/postgresql/$1/bin" "/usr/pgsql-$1/bin"
set -- "$@" "$(pg_config --bindir 2>/dev/null)" "$(dirname "$(command -v pg_ctl || echo /)")"
for folder in "$@" $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -rV); do
    [ -n "$folder" ] && [ -x "$folder/pg_ctl" ] && { echo "$folder"; exit 0; }
done
exit 1
"""


def bindir(host: Host, *, major: str = "") -> str:
    """The folder of pg_ctl, postgres, pg_waldump and pg_amcheck on a host. Raises TargetFailed where there is none.

    `major` is the release that is wanted ("15") where a host may have several: a server reads the data of its own only.
    """
    ran = host.run(("sh", "-c", _FIND, "sh", major), timeout=_TIMEOUT)
    if ran.status != 0:
        raise TargetFailed(
            f"{host.name} has no programs of a PostgreSQL server",
            hint=host.paste(("sh", "-c", "ls -d /usr/lib/postgresql/*/bin; command -v pg_ctl")),
        )
    return ran.out.decode(errors="surrogateescape").rstrip("\n")
