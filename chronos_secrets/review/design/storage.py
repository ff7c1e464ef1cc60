"""Traps of where backups are kept: the bucket's lifecycle against pgBackRest's retention, versions, one place. Pure.

The lifecycle is judged twice: as the inventory wants it, and as the bucket has it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from chronos_secrets.cloud import desired
from chronos_secrets.cloud.posture import Unknown
from chronos_secrets.inventory.model import Cloud
from chronos_secrets.review.design.facts import Document, Facts, known
from chronos_secrets.review.design.retention import days_between, fulls, kept_days
from chronos_secrets.review.design.trap import NOTE, RISKY, WRONG, Evidence, Trap, said

BREAK_EVEN = 350 * 1024
"""Bytes below which moving an object to colder storage costs more than it saves, by AWS's list prices of 2026."""

_COLD = frozenset({"GLACIER", "DEEP_ARCHIVE"})  # whose objects have to be restored before they can be read
_LIFECYCLE = "cloud.lifecycle"


class Limits(NamedTuple):
    """What a lifecycle does, in days; empty and None for what it does not. `smallest` is the least size that moves;
    `versioning` is False also where it is not known."""

    where: str
    versioning: bool
    moves: dict[str, int]
    expire: int | None
    noncurrent: int | None
    markers: bool
    uploads: int | None
    smallest: int | None


def _limits(facts: Facts) -> Iterator[Limits]:
    if facts.inventory.cloud is not None:
        yield _wanted(facts.inventory.cloud)
        if not isinstance(facts.bucket.rules, Unknown):
            yield _live(_named(facts.inventory.cloud), facts.bucket.versioning, facts.bucket.rules)


def _named(cloud: Cloud) -> str:
    return f"the bucket {cloud.bucket.name}"


def _wanted(cloud: Cloud) -> Limits:
    """`cloud apply` makes a rule for delete markers wherever it makes any."""
    found, versioning = cloud.lifecycle, cloud.bucket.versioning
    where = f"inventory.yaml, {_LIFECYCLE}"
    if found is None:
        return Limits(where, versioning, {}, None, None, markers=False, uploads=None, smallest=None)
    return Limits(
        where, versioning, desired.Lifecycle(*found).moves, found.expire, found.noncurrent,
        markers=True, uploads=found.incomplete_uploads, smallest=found.min_size,
    )  # fmt: skip


def _live(where: str, versioning: str | Unknown | None, rules: tuple[Document, ...]) -> Limits:
    moving = [(each, rule) for rule in rules for each in _rows(rule, "Transitions")]
    expires = [_part(rule, "Expiration") for rule in rules]
    noncurrent = [_days(_part(rule, "NoncurrentVersionExpiration"), "NoncurrentDays") for rule in rules]
    uploads = [_days(_part(rule, "AbortIncompleteMultipartUpload"), "DaysAfterInitiation") for rule in rules]
    sizes = [_size(rule) for _, rule in moving]
    return Limits(
        where, versioning == "Enabled",
        {str(each.get("StorageClass")): _days(each, "Days") or 0 for each, _ in moving},
        _least([_days(each, "Days") for each in expires]), _least(noncurrent),
        markers=any(each.get("ExpiredObjectDeleteMarker") is True for each in expires),
        uploads=_least(uploads), smallest=min(sizes, default=None),
    )  # fmt: skip


def _part(rule: Document, name: str) -> Document:
    found = rule.get(name)
    return found if isinstance(found, dict) else {}


def _rows(rule: Document, name: str) -> list[Document]:
    found = rule.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _days(found: Document, name: str) -> int | None:
    days = found.get(name)
    return days if isinstance(days, int) else None


def _least(found: list[int | None]) -> int | None:
    return min((each for each in found if each is not None), default=None)


def _size(rule: Document) -> int:
    where = _part(rule, "Filter")
    found = where.get("ObjectSizeGreaterThan", _part(where, "And").get("ObjectSizeGreaterThan"))
    return found if isinstance(found, int) else 0


# --- the lifecycle ----------------------------------------------------------------------------------------------------


def _cold(facts: Facts) -> Iterator[Evidence]:
    for each in _limits(facts):
        for name, days in each.moves.items():
            if name in _COLD:
                yield Evidence(each.where, f"objects move to {name} after {days} days")


def _against_retention(facts: Facts) -> Iterator[Evidence]:
    kept = kept_days(facts)
    for each in _limits(facts):
        if each.expire is not None and each.expire < kept + desired.MARGIN:
            yield Evidence(
                each.where, f"objects expire after {each.expire} days, and the repository needs them for {kept}"
            )


def _expires(facts: Facts) -> Iterator[Evidence]:
    """Backups that have stopped for so long, the files that every command needs among them."""
    for each in _limits(facts):
        if each.expire is not None:
            yield Evidence(each.where, f"objects expire after {each.expire} days")


def _idle(facts: Facts) -> Iterator[Evidence]:
    kept, repo = kept_days(facts), facts.backups.repo
    window = repo.retention_full * days_between(fulls(facts))
    for each in _limits(facts):
        for name, days in each.moves.items():
            if days >= kept:
                yield Evidence(
                    each.where,
                    f"objects move to {name} after {days} days, but {repo.retention_full} full backups reach back "
                    f"{window} days, and none gets older than {kept}",
                )


def _early(facts: Facts) -> Iterator[Evidence]:
    """S3 charges for whole minimum durations (aws.amazon.com/s3/pricing)."""
    least = {name: desired.LEAST_DAYS[name] for name in ("GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")}
    kept = kept_days(facts)
    for each in _limits(facts):
        for name, days in each.moves.items():
            if days < kept < days + least.get(name, 0):
                yield Evidence(
                    each.where,
                    f"objects move to {name} after {days} days and expire at {kept}: {least[name]} days are charged",
                )


def _small(facts: Facts) -> Iterator[Evidence]:
    for each in _limits(facts):
        if each.moves and (each.smallest or 0) < BREAK_EVEN:
            yield Evidence(each.where, f"objects from {each.smallest or 0} bytes on move")


# --- versions ---------------------------------------------------------------------------------------------------------


def _noncurrent(facts: Facts) -> Iterator[Evidence]:
    for each in _limits(facts):
        if each.versioning and each.noncurrent is None:
            expire = f", and expire: {each.expire} days only puts markers over objects" if each.expire else ""
            yield Evidence(each.where, f"nothing ends noncurrent versions{expire}")


def _markers(facts: Facts) -> Iterator[Evidence]:
    for each in _limits(facts):
        if each.versioning and not each.markers:
            yield Evidence(each.where, "no rule has ExpiredObjectDeleteMarker")


def _uploads(facts: Facts) -> Iterator[Evidence]:
    for each in _limits(facts):
        if each.uploads is None:
            yield Evidence(each.where, "nothing ends incomplete uploads")


def _no_versions(facts: Facts) -> Iterator[Evidence]:
    cloud = facts.inventory.cloud
    if cloud and not cloud.bucket.versioning:
        yield said("cloud.bucket.versioning", "is false")
    if cloud and known(facts.bucket.versioning, "Enabled") != "Enabled":
        yield Evidence(_named(cloud), "versioning is off")


# --- one place --------------------------------------------------------------------------------------------------------


def _single(facts: Facts) -> Iterator[Evidence]:
    """The inventory knows one repository; another one may be in the configuration, or the bucket be copied."""
    config, bucket = known(facts.config, None), facts.bucket
    second = config is not None and any(each.name.startswith("repo2-") for each in config.options)
    if second or known(bucket.lock, False) or known(bucket.replicates, False):
        return
    cloud = facts.inventory.cloud
    where = f"the bucket {cloud.bucket.name}" if cloud else facts.backups.repo.path
    yield said("pgbackrest.repo", f"is the only repository, in {where}")


def _drill_writes(facts: Facts) -> Iterator[Evidence]:
    """Whether a drill reads with a key of its own that can only read."""
    if facts.inventory.cloud and (facts.inventory.cloud.drill_user is None or facts.backups.drill.config is None):
        missing = "drill_user" if facts.inventory.cloud.drill_user is None else "pgbackrest.drill.config"
        yield said("cloud.user", f"drills read with the key of {facts.inventory.cloud.user.name}: no {missing}")


_APPLY = "then chronos-secrets cloud apply"
TRAPS = (
    Trap(
        "archive-class", WRONG, "a live repository moves to storage that cannot be read at once",
        "objects in Deep Archive have to be restored for hours first; pgBackRest cannot, and restore and verify end "
        "with 39",
        f"deep_archive: never below lifecycle:, {_APPLY}", _cold, ("bucket.rules",),
    ),
    Trap(
        "lifecycle-deletes-backups", WRONG, "the bucket deletes what pgBackRest still needs",
        "a backup with missing files cannot be restored, and only verify says so",
        f"expire: more days than the repository keeps, and {desired.MARGIN} for nobody noticing, {_APPLY}",
        _against_retention, ("bucket.rules",),
    ),
    Trap(
        "lifecycle-expires-repository", NOTE, "the bucket deletes by age what pgBackRest alone should delete",
        "while backups run, nothing gets that old; when they have stopped for so long, the last backups go, and "
        "archive.info with them",
        f"expire: never below lifecycle:, {_APPLY}: pgBackRest expires, and noncurrent: ends it",
        _expires, ("bucket.rules",),
    ),
    Trap(
        "lifecycle-idle", NOTE, "a move to colder storage never happens",
        "pgBackRest expires its backups before they are that old: the rule saves nothing, and bites only when backups "
        "have stopped",
        f"glacier_ir: never below lifecycle:, {_APPLY}; or a longer retention_full", _idle, ("bucket.rules",),
    ),
    Trap(
        "minimum-duration", NOTE, "colder storage is charged for longer than it is used",
        "S3 charges at least 90 days of Glacier Instant Retrieval, and 180 days of Deep Archive",
        f"glacier_ir: never below lifecycle:, {_APPLY}", _early, ("bucket.rules",),
    ),
    Trap(
        "small-objects", NOTE, "small objects are moved at a loss",
        "each move is charged by the object: below about 350 KiB it costs more than it saves, and below 128 KiB S3 "
        "does not move by itself",
        f"min_size: 512 KiB below lifecycle:, {_APPLY}", _small, ("bucket.rules",),
    ),
    Trap(
        "versions-for-ever", WRONG, "versioning without an end of noncurrent versions deletes nothing",
        "each delete of pgBackRest and each expiration only puts a marker over an object: all is stored, and charged, "
        "for ever",
        f"noncurrent: 30 days below lifecycle:, {_APPLY}", _noncurrent, ("bucket.versioning", "bucket.rules"),
    ),
    Trap(
        "delete-markers", NOTE, "delete markers stay when nothing is left below them",
        "listing the repository passes over each of them, and they only become more",
        f"lifecycle: {{noncurrent: 30 days}} below cloud:, {_APPLY}", _markers, ("bucket.versioning", "bucket.rules"),
    ),
    Trap(
        "incomplete-uploads", NOTE, "parts of uploads that were cut off stay for ever",
        "no listing shows them, and they are charged",
        f"incomplete_uploads: 7 days below lifecycle:, {_APPLY}", _uploads, ("bucket.rules",),
    ),
    Trap(
        "no-versions", RISKY, "the bucket keeps no old versions",
        "whoever has the key of the backups can delete them all; versions outlive it, because it may not delete those",
        f"versioning: true below bucket:, {_APPLY}", _no_versions, ("bucket.versioning",),
    ),
    Trap(
        "single-repository", RISKY, "all backups are in one repository of one account",
        "who administers the account, or a mistake of theirs, can end all of them at once",
        "repo2-... in another account or at another provider, in a template of your own; or Object Lock",
        _single, ("config", "bucket.lock", "bucket.replicates"),
    ),
    Trap(
        "drill-with-writing-key", RISKY, "drills use the key that backups are written with",
        "a restore only reads: a mistake in a drill could write into the repository, or delete from it",
        "drill_user: {name: NAME, policy: NAME, prefixes: [...]} below cloud:, and its file as config: of pgbackrest's "
        "drill:",
        _drill_writes,
    ),
)  # fmt: skip
