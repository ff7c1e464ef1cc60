"""S3: every version of every object of a bucket, as a stream."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from chronos_secrets.systems.aws.clients import Clients


class Version(NamedTuple):
    """One version of an object, or a delete marker, whose size is 0.

    `since` is when it became what it is: a current one when it was written, another when the next one came.
    """

    key: str
    size: int  # bytes
    storage: str  # S3's name of the storage class
    current: bool
    marker: bool
    written: datetime
    since: datetime


def versions(asker: Clients, bucket: str, prefix: str = "", *, owner: str | None = None) -> Iterator[Version]:
    """All versions below a prefix, by key and the newest first. A page of a thousand is held at a time.

    `owner` is the account that must own the bucket. Raises Forbidden (also where another one does), Gone, Away,
    Unanswered (also where it was throttled more often than we try), SignInNeeded.
    """
    newer: Version | None = None
    where = {"Bucket": bucket, "Prefix": prefix, **({"ExpectedBucketOwner": owner} if owner else {})}
    with asker.translated("s3", "ListObjectVersions") as s3:
        for page in s3.get_paginator("list_object_versions").paginate(**where):
            for shown, marker in _in_order(page):
                newer = _version(shown, newer, marker=marker)
                yield newer


def _in_order(page: dict[str, Any]) -> list[tuple[dict[str, Any], bool]]:
    """What a page shows in two lists, in the order of the answer: only so it is known what replaced what."""
    found = [(each, False) for each in page.get("Versions", [])]
    found += [(each, True) for each in page.get("DeleteMarkers", [])]
    return sorted(found, key=_place)


def _place(item: tuple[dict[str, Any], bool]) -> tuple[str, bool, float]:
    shown = item[0]
    return shown["Key"], not shown["IsLatest"], -shown["LastModified"].timestamp()


def _version(shown: dict[str, Any], newer: Version | None, *, marker: bool) -> Version:
    written, current = shown["LastModified"], bool(shown["IsLatest"])
    since = newer.written if newer is not None and newer.key == shown["Key"] else written
    size, storage = int(shown.get("Size") or 0), str(shown.get("StorageClass") or "STANDARD")
    return Version(str(shown["Key"]), size, storage, current, marker, written, since)
