"""`cloud apply` killed at its requests, and what a user that it made may do where policies hold."""

import os
import random
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support import faults
from tests.support.backups import BUCKET, USER, backups
from tests.support.birdhouse import Birdhouse
from tests.support.clouds import Key
from tests.support.commands import argv, environment
from tests.support.moto_iam import moto
from tests.support.seaweed import Seaweed, seaweed
from tests.support.targets import no_proxy
from tests.support.waiting import until

_READS = ("Get", "List", "GET", "HEAD")


# --- kills, on moto ---------------------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path, monkeypatch):
    no_proxy(monkeypatch)
    with moto() as server, faults.between(server) as proxy:
        made = Birdhouse(tmp_path, server, url=proxy.url)
        assert made.plan().status == 1
        yield made, proxy


def _cut_short(house: Birdhouse, proxy: faults.Faults, after: int, do: str) -> int:
    """Let `cloud apply` run, and kill it at its n-th request that changes something; its status (-9 for killed)."""
    left = after

    def at_a_change(call: faults.Call) -> str | None:
        nonlocal left
        left -= not call.operation.startswith(_READS)
        return do if left == 0 and not call.operation.startswith(_READS) else None

    command = argv("cloud", "apply", "--yes", "--password-file", house.password_file)
    child = subprocess.Popen(
        command, cwd=house.folder, env=environment(), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    proxy.client, proxy.script = lambda: [child.pid], at_a_change
    status = child.wait(60)
    proxy.clear()
    return status


def _require_safe(house: Birdhouse) -> None:
    """What holds at each point: what is public is closed before a policy, and versions are kept before a rule ends any."""
    if house.bucket not in [each["Name"] for each in house.s3.list_buckets()["Buckets"]]:
        return
    left = house.changes()
    assert "bucket policy" in left or "public access" not in left
    assert "lifecycle" in left or "versioning" not in left
    assert "membership" in left or "policy" not in left


def test_apply_that_is_killed_at_its_changes_is_finished_by_running_it_again(house):
    birdhouse, proxy = house
    chance = random.Random(os.environ.get("CHRONOS_SEED", "9"))
    killed = 0
    for _ in range(14):
        do = chance.choice((faults.KILL_BEFORE, faults.KILL_AFTER, faults.KILL_AFTER))
        status = _cut_short(birdhouse, proxy, chance.randint(1, 3), do)
        _require_safe(birdhouse)
        if status == 0:
            break
        assert status == -9
        killed += 1
    assert killed >= 4
    assert birdhouse.apply("--yes").status == 0
    assert birdhouse.plan().status == 0
    assert birdhouse.server.keys(birdhouse.user) == {}


# --- rights, on SeaweedFS ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weed():
    with seaweed() as server:
        yield server


@pytest.fixture
def enforced(tmp_path, weed, monkeypatch):
    no_proxy(monkeypatch)
    made = Birdhouse(tmp_path, weed, host="s3.example.org")
    drill = f"  drill_user: {{name: {made.user}-drill, policy: {made.policy}-drill, prefixes: [backups/]}}\n"
    made.edit("  lifecycle: {glacier_ir: 30 days, expire: 365 days, min_size: 1 B}\n", drill)
    return made


@pytest.fixture
def production(weed, tmp_path, monkeypatch):
    """A database that is backed up by a user and with a bucket that are as `cloud apply` makes them."""
    no_proxy(monkeypatch)
    with backups(weed) as made:
        house = Birdhouse(tmp_path, weed, host="s3.example.org", user=USER, bucket=BUCKET)
        house.edit("prefixes: [backups/, chronos-probe/]", "prefixes: [var/lib/pgbackrest/]")
        drill = "  drill_user: {name: reader, policy: reading, prefixes: [var/lib/pgbackrest/]}\n"
        house.edit("  lifecycle: {glacier_ir: 30 days, expire: 365 days, min_size: 1 B}\n", drill)
        assert house.apply("--yes").status == 7  # SeaweedFS has no public access block
        weed.client("iam").delete_user_policy(UserName=USER, PolicyName="access")
        yield made, house


def _may(weed: Seaweed, key: Key, house: Birdhouse) -> set[str]:
    """What a key is allowed, of what a backup does and of what nobody may."""
    s3, inside, there = weed.client("s3", key), {"Key": "backups/one"}, {"Bucket": house.bucket}
    closed = {"Status": "Suspended"}
    version = weed.client("s3").list_object_versions(Bucket=house.bucket, Prefix="backups/kept")["Versions"][0]
    tries = {
        "read": lambda: s3.get_object(**there, Key="backups/kept"),
        "list": lambda: s3.list_objects_v2(**there, Prefix="backups/"),
        "write": lambda: s3.put_object(**there, **inside, Body=b"x"),
        "delete": lambda: s3.delete_object(**there, **inside),
        "read elsewhere": lambda: s3.get_object(**there, Key="others/one"),
        "write elsewhere": lambda: s3.put_object(**there, Key="others/two", Body=b"x"),
        "list elsewhere": lambda: s3.list_objects_v2(**there, Prefix="others/"),
        "list all": lambda: s3.list_objects_v2(**there),
        "another bucket": lambda: s3.list_objects_v2(Bucket=f"{house.bucket}-other"),
        "delete a version": lambda: s3.delete_object(**there, Key="backups/kept", VersionId=version["VersionId"]),
        "suspend versioning": lambda: s3.put_bucket_versioning(**there, VersioningConfiguration=closed),
        "change the policy": lambda: s3.delete_bucket_policy(**there),
        "delete the bucket": lambda: s3.delete_bucket(**there),
        "list users": lambda: weed.client("iam", key).list_users(),
        "make a key": lambda: weed.client("iam", key).create_access_key(UserName="admin"),
    }
    allowed = set()
    for name, attempt in tries.items():
        answer = _answer(attempt)
        assert answer in (200, 204, 403), (name, answer)
        if answer != 403:
            allowed.add(name)
    return allowed


def _answer(attempt: Callable[[], Any]) -> int:
    """The HTTP status of a request."""
    try:
        found = attempt()
    except ClientError as error:
        found = error.response
    return int(found["ResponseMetadata"]["HTTPStatusCode"])


def _settled(weed: Seaweed, key: Key, house: Birdhouse, prefix: str = "backups/") -> None:
    """SeaweedFS honours a new key and a new policy some moments later."""
    client = weed.client("s3", key)
    until(
        lambda: _answer(lambda: client.list_objects_v2(Bucket=house.bucket, Prefix=prefix)) == 200,
        "the new key is not honoured",
    )


def test_seaweedfs_without_public_access_block_lets_our_users_do_what_they_must_and_nothing_else(enforced, weed):
    done = enforced.apply("--yes")
    assert done.status == 8, done.text
    assert "1 of 16 changes could not be made" in done.err
    done = enforced.plan()
    assert (done.status, done.out.count("+")) == (7, 0)
    assert "not known: public access" in done.out
    weed.bucket(f"{enforced.bucket}-other")
    enforced.store("backups/kept")
    enforced.store("others/one")
    writer, reader = weed.key(enforced.user), weed.key(f"{enforced.user}-drill")
    for key in (writer, reader):
        _settled(weed, key, enforced)
    assert _may(weed, writer, enforced) == {"read", "list", "write", "delete"}
    assert _may(weed, reader, enforced) == {"read", "list"}


def test_pgbackrest_backs_up_with_our_rights_and_the_drill_user_reads_what_it_wrote(production, weed):
    made, house = production
    key = weed.key(USER)
    _settled(weed, key, house, "var/lib/pgbackrest/")
    made.store(key)
    for words in ("stanza-create", "check", "backup --type=full"):  # a full one deletes, too
        made.must(*words.split())
    reader = weed.key("reader")
    _settled(weed, reader, house, "var/lib/pgbackrest/")
    made.store(reader)
    assert "full backup" in made.must("info")
