"""Programs of the database run as the account that owns it: PostgreSQL lets that one in by its name alone."""

from collections.abc import Sequence

# Root is refused by the database and by pgBackRest (27). Where a host has no runuser, it has su.
_AS = """\
command -v "$2" >/dev/null || exit 127
[ "$(id -un)" = "$1" ] && { shift; exec "$@"; }
command -v runuser >/dev/null && { user=$1; shift; exec runuser -u "$user" -- "$@"; }
user=$1; shift; exec su -s /bin/sh "$user" -c 'exec "$0" "$@"' -- "$@"
"""


def as_account(argv: Sequence[str], account: str | None) -> tuple[str, ...]:
    """The argv that runs `argv` as an account, from its own account or from root; None changes nothing."""
    return ("sh", "-c", _AS, "sh", account, *argv) if account else tuple(argv)
