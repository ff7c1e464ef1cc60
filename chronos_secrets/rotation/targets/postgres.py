"""The password of a PostgreSQL role, which the role changes itself.

We choose it, so it is stored before it is set. It takes effect at once: whoever still holds the old one is refused
from then until it is delivered. Who logs in, the new password or the old one, tells how far an earlier run came.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from chronos_secrets.errors import Incomplete, Refused, TargetFailed
from chronos_secrets.inventory.model import LOCAL, Credential, Inventory
from chronos_secrets.rotation import reach
from chronos_secrets.rotation.journal import Journal
from chronos_secrets.rotation.target import NEWEST_VAULT, LastUse, Material, Target
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import CannotTell, NotHonoured
from chronos_secrets.systems.hosts import Container, Host

if TYPE_CHECKING:
    from chronos_secrets.systems.postgres import Login

_LENGTH = 32
_BY_HAND = "psql -c '\\password {role}'    # as a superuser; then put the password into the vault with KeePassXC"

Reach = Callable[[], AbstractContextManager[tuple[str, int]]]
"""Where one connection to the database goes."""


def target(inventory: Inventory, row: Credential, host: Callable[[str], Host]) -> "PostgresRole":
    """The target of a row of kind postgres-password; `host` gives a host by its id. Raises Refused."""
    section = inventory.postgres
    if section is None:
        raise Refused(
            f"{row.id} cannot be rotated: the inventory has no section postgres, which says where the database is",
            hint="add it to inventory.yaml: postgres: {host: ..., database: ..., role: ..., data: ...}",
        )
    if row.target is not None and row.target.mode != "single":
        raise Refused(
            f"{row.id} cannot be rotated: of two roles that take turns only an administrator can set the password "
            "of the one that rests, and the inventory names no administrator",
            hint="give both roles a row of their own with mode: single in inventory.yaml",
        )
    where = host(section.host) if section.host != LOCAL else None
    return PostgresRole(
        row.target.role or section.role if row.target else section.role,
        section.database,
        lambda: reach.database(inventory, section),
        port=section.connect.port if section.connect else section.port,
        inner_port=section.port,
        container=where if isinstance(where, Container) else None,
        length=row.generate.length if row.generate else _LENGTH,
    )


class PostgresRole(Target):
    """A role that logs in with a password, by SCRAM."""

    replaces = ("password",)
    issues, overlaps, soaks = False, False, False

    def __init__(
        self,
        role: str,
        database: str,
        reached: Reach,
        *,
        port: int = 5432,
        inner_port: int = 5432,
        container: Container | None = None,
        length: int = _LENGTH,
    ) -> None:
        """`port` is where the database answers on its host, `inner_port` where it does in its `container`."""
        self.name = f"role {role} of the database {database}"
        self._role, self._database, self._reached, self._length = role, database, reached, length
        self._port, self._inner_port, self._container = port, inner_port, container

    def identifier(self, material: Material) -> str:
        """See Target: the role."""
        return self._role

    def survey(self, current: Material) -> tuple[str, ...]:
        """See Target. Also raises Refused for a standby, and for a database that does not look at the password."""
        if current["username"] != Secret(self._role):
            raise Refused(f"the entry in the vault is of another user than {self.name}")
        try:
            self._refuse_wrong(current)
            if not self._is_writable(current):
                raise Refused(f"{self.name} cannot get a new password here: the server is a standby")
        except CannotTell as error:
            raise Refused(f"{self.name} cannot be rotated: {error.message}", hint=error.hint) from error
        except NotHonoured as error:
            raise NotHonoured(
                f"the password in the vault is not the one of {self.name}: {error.message}",
                hint=NEWEST_VAULT,
                details=[f"if no vault has it: {_BY_HAND.format(role=self._role)}"],
            ) from error
        except TargetFailed as error:
            self._require_published(error)
            raise
        return (self._role,)

    def issue(self, journal: Journal, current: Material, known_here: frozenset[str]) -> Material:
        """See Target. The database is not asked."""
        from chronos_secrets.rotation import generate

        return {**current, "password": generate.password(self._length)}

    def apply(self, new: Material, current: Material) -> None:
        """See Target. The old password ends with it."""
        from chronos_secrets.systems import postgres

        try:
            with self._reached() as (host, port):
                postgres.set_password(self._login(host, port, current), new["password"])
        except NotHonoured as error:
            self._require_set(new, error)

    def prove(self, material: Material) -> None:
        """See Target. There is nothing to wait for: PostgreSQL asks its own catalog at each login."""
        try:
            self._log_in(material)
        except NotHonoured as error:
            raise Incomplete(f"{self.name} does not take the password: {error.message}") from error
        self._refuse_wrong(material)

    def last_use(self, old: Material) -> LastUse:
        """See Target. The old password is refused already."""
        return LastUse(known=False, at=None)

    def deactivate(self, old: Material, current: Material) -> None:
        """See Target: setting the new password did it."""

    def reactivate(self, old: Material, current: Material) -> None:
        """See Target: the old password is set again."""
        self.apply(old, current)

    def delete(self, old: Material, current: Material) -> None:
        """See Target: there is nothing left to remove. Raises TargetFailed where the old password still works."""
        if old["password"] == current["password"]:
            return
        try:
            self._log_in(old)
        except NotHonoured:
            return
        raise TargetFailed(f"{self.name} still takes the old password", hint="run the command again")

    def _log_in(self, material: Material) -> None:
        from chronos_secrets.systems import postgres

        with self._reached() as (host, port):
            postgres.try_login(self._login(host, port, material))

    def _refuse_wrong(self, material: Material) -> None:
        from chronos_secrets.systems import postgres

        with self._reached() as (host, port):
            postgres.try_wrong(self._login(host, port, material))

    def _require_set(self, new: Material, refused: NotHonoured) -> None:
        """Where the current password is refused, an earlier run has set the new one. Raises NotHonoured."""
        try:
            self._log_in(new)
        except NotHonoured:
            raise NotHonoured(
                f"{self.name} takes neither the old password nor the new one: {refused.message}",
                hint=_BY_HAND.format(role=self._role),
            ) from refused

    def _is_writable(self, material: Material) -> bool:
        from chronos_secrets.systems import postgres

        with self._reached() as (host, port):
            return postgres.is_writable(self._login(host, port, material))

    def _login(self, host: str, port: int, material: Material) -> "Login":
        from chronos_secrets.systems import postgres

        return postgres.Login(host, port, self._database, Secret(self._role), material["password"])

    def _require_published(self, error: TargetFailed) -> None:
        """Say what is missing where the host has no way into the container. Raises Refused, TargetFailed."""
        if self._container is None or self._container.publishes(self._port):
            return
        raise Refused(
            f"port {self._inner_port} of {self._container.name} is not published: {error.message}",
            hint=f'in its compose file: ports: ["127.0.0.1:{self._port}:{self._inner_port}"]',
        ) from error
