"""What the design check looks at, as plain values. Pure. What could not be had is `Unknown`, and says why."""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from chronos_secrets.cloud.posture import Unknown
from chronos_secrets.inventory.model import Inventory, PgBackRest
from chronos_secrets.pgbackrest import lint
from chronos_secrets.pgbackrest.lint import Problem
from chronos_secrets.pgbackrest.options import resolve
from chronos_secrets.review.design.commands import Call, Job

Document = Mapping[str, object]
Kind = TypeVar("Kind")


class Option(NamedTuple):
    """One option of pgbackrest.conf by its present name. The value of a secret one is left out."""

    section: str
    name: str
    value: str
    where: str  # FILE:LINE


class Config(NamedTuple):
    """A pgbackrest.conf. `mode` is None for one that is not written yet."""

    name: str
    options: tuple[Option, ...]
    problems: tuple[Problem, ...]
    mode: int | None

    def having(self, *names: str) -> list[Option]:
        """The options of these names, in the order of the file."""
        return [each for each in self.options if each.name in names]


class Seen(NamedTuple):
    """A live value, and where it comes from."""

    value: str
    where: str


class BucketFacts(NamedTuple):
    """What the bucket is. `rules` are all of its lifecycle that are enabled, in the words of S3."""

    versioning: str | Unknown | None
    rules: tuple[Document, ...] | Unknown
    lock: bool | Unknown
    replicates: bool | Unknown


class Bind(NamedTuple):
    """A file or folder of the engine's host that a container has at `inside`."""

    source: str
    inside: str


class Facts(NamedTuple):
    """All of it. `backups` is the section of the inventory; `calls` are those of scripts, runbooks and the inventory.

    `jobs` are the lines of cron on the database's host, `binds` what its container has of the host.
    """

    inventory: Inventory
    backups: PgBackRest
    calls: tuple[Call, ...]
    config: Config | Unknown
    jobs: tuple[Job, ...] | Unknown
    database: Mapping[str, Seen] | Unknown
    bucket: BucketFacts
    binds: tuple[Bind, ...] | Unknown

    @property
    def backup_jobs(self) -> list[Job]:
        """The lines of cron that make backups."""
        return [job for job in known(self.jobs, ()) if job.call.command == "backup"]

    @property
    def all_calls(self) -> tuple[Call, ...]:
        """Those of cron with them."""
        return (*self.calls, *(job.call for job in known(self.jobs, ())))


def known(fact: Kind | Unknown, otherwise: Kind) -> Kind:
    """A fact, or what stands for it where it is not known: the judge of a trap then sees nothing that speaks for it."""
    return otherwise if isinstance(fact, Unknown) else fact


def config(text: str, name: str, *, stanza: str, mode: int | None) -> Config:
    """What a pgbackrest.conf says; no value of a secret option, nor of one that nobody knows, is in it."""
    options, section = [], ""
    for number, line in enumerate(text.split("\n"), 1):
        key, equals, value = (part.strip() for part in line.partition("="))
        if line.strip().startswith("["):
            section = line.strip()[1:-1].strip()
        elif equals and (found := resolve(key)) is not None:
            kept = "" if found[1].secret else value
            options.append(Option(section, found[0], kept, f"{name}:{number}"))
    return Config(name, tuple(options), tuple(lint.lint(text, stanza=stanza)), mode)
