"""`cloud cost` on moto, which has storage classes; on SeaweedFS, whose sizes are real, below."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from chronos_secrets.systems.aws import clients, listing
from tests.support import faults
from tests.support.birdhouse import Birdhouse
from tests.support.clock import hold_clock
from tests.support.commands import Done
from tests.support.moto_iam import moto
from tests.support.seaweed import seaweed
from tests.support.targets import no_proxy

pytestmark = pytest.mark.xdist_group("cloud")

CONFIG = "  birds: {path: out/birds.conf, dialect: pgbackrest, template: note.j2, uses: {cipher: cipher}}\n"
PGBACKREST = """\
pgbackrest:
  stanza: birds
  host: local
  config: birds
  repo: {path: /backups, cipher: aes-256-cbc, retention_full: 4}
  schedule: {full: "0 11 * * *", diff: "0 5,17,23 * * *", timezone: UTC, host: local}
  archive_timeout: 5 minutes
"""


@pytest.fixture(scope="module")
def server():
    with moto() as made:
        yield made


@pytest.fixture(autouse=True)
def without_a_proxy(monkeypatch):
    no_proxy(monkeypatch)


class Counted(Birdhouse):
    """A birdhouse with a bucket that keeps versions."""

    def make(self) -> None:
        self.server.bucket(self.bucket)
        self.s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    def put(self, name: str, size: int, storage: str = "STANDARD") -> None:
        self.s3.put_object(Bucket=self.bucket, Key=name, Body=b"x" * size, StorageClass=storage)

    def cost(self, *words: str) -> Done:
        return self.run("cloud", "cost", *words, "--password-file", self.password_file)

    def reckoned(self, *words: str) -> dict[str, Any]:
        return dict(json.loads(self.cost("--json", *words).out))


@pytest.fixture
def house(tmp_path, server) -> Counted:
    made = Counted(tmp_path, server)
    made.make()
    return made


def test_each_line_shows_its_arithmetic_and_the_lines_are_the_total(house: Counted):
    house.put("backups/a", 3_000_000)
    house.put("backups/a", 2_000_000)
    house.put("backups/b", 200_000, "GLACIER_IR")
    house.put("backups/c", 100, "DEEP_ARCHIVE")
    done = house.cost()
    assert done.status == 0
    assert "3 current objects (2.1 MiB), 1 noncurrent version (2.9 MiB), 0 delete markers; 1 smaller" in done.out
    assert "1.9 MiB x $0.025 per GB" in done.out
    assert "prices of 2025-10-28" in done.err
    assert not house.leaked(done.text)
    found = house.reckoned()
    lines = {each["what"]: each for each in found["lines"]}
    assert lines["STANDARD, current"]["quantity"] == 2_000_000
    assert lines["STANDARD, noncurrent"]["quantity"] == 3_000_000
    assert lines["GLACIER_IR, current"]["quantity"] == 200_000
    assert lines["DEEP_ARCHIVE, current"]["quantity"] == 100 + 32 * 1024
    assert lines["moves to GLACIER_IR"]["quantity"] == 1
    assert found["total"] == pytest.approx(sum(each["cost"] for each in found["lines"]), abs=1e-5)
    assert lines["STANDARD, current"]["cost"] == pytest.approx(2_000_000 / 2**30 * 0.025, abs=1e-6)
    assert "would cost" in done.err


def test_what_was_deleted_is_still_there_and_is_billed(house: Counted):
    house.put("backups/a", 1_000_000)
    house.s3.delete_object(Bucket=house.bucket, Key="backups/a")
    found = house.reckoned()
    assert found["usage"]["delete_markers"] == 1
    assert [each["what"] for each in found["lines"] if each["kind"] == "storage"] == ["STANDARD, noncurrent"]


def test_an_empty_bucket_costs_nothing(house: Counted):
    done = house.cost()
    assert done.status == 0
    assert "nothing lies in the bucket" in done.err
    assert "total: $0.0000 a month" in done.out


def test_the_months_to_come_are_reckoned_on_demand(house: Counted):
    house.put("backups/a", 1_000_000)
    assert "month 1" not in house.cost().out
    done = house.cost("--months", "3")
    assert [line.split(":")[0] for line in done.out.splitlines()[-3:]] == ["month 2", "month 3", "3 months"]
    assert len(house.reckoned("--months", "3")["months"]) == 3
    assert house.cost("--months", "0").status == 2


def test_what_replaced_a_version_is_known_across_pages(house: Counted):
    for name in ("a", "a", "a", "b", "c"):
        house.put(f"backups/{name}", 100)
    house.s3.delete_object(Bucket=house.bucket, Key="backups/b")
    admin = clients.of_profile("admin", clients.Place(house.server.region, house.server.url))
    small = "provide-client-params.s3.ListObjectVersions"
    admin.client("s3").meta.events.register(small, lambda params, **_: {**params, "MaxKeys": 2})
    found = list(listing.versions(admin, house.bucket))
    assert [(each.key[-1], each.current, each.marker) for each in found] == [
        ("a", True, False), ("a", False, False), ("a", False, False),
        ("b", True, True), ("b", False, False), ("c", True, False),
    ]  # fmt: skip
    assert [each.since for each in found[1:3]] == [each.written for each in found[:2]]
    assert found[4].since == found[3].written
    assert [each.since for each in found if each.current] == [each.written for each in found if each.current]


def test_without_a_lifecycle_nothing_moves_and_nothing_ends(house: Counted):
    lines = house.inventory.read_text().splitlines(keepends=True)
    house.inventory.write_text("".join(each for each in lines if "lifecycle:" not in each))
    house.put("backups/a", 1_000_000)
    house.put("backups/b", 200_000, "GLACIER_IR")
    found = house.reckoned("--months", "3")
    assert {each["kind"] for each in found["lines"]} == {"storage", "requests"}
    assert len(set(found["months"])) == 1


@pytest.mark.parametrize(
    ("diff", "runs"),
    [
        ("0 5,17,23 * * *", 30 * 4),
        ("1-59 * * * *", 30 * (1 + 24 * 59)),  # it was counted run by run, which took minutes
        ("0 5 1 * *", 30 + 1),
    ],
)
def test_requests_come_from_the_inventory(house: Counted, diff: str, runs: int, monkeypatch):
    hold_clock(monkeypatch, datetime(2026, 7, 15, 12, tzinfo=UTC))
    house.edit("destinations:\n", f"destinations:\n{CONFIG}")
    house.inventory.write_text(house.inventory.read_text() + PGBACKREST.replace("0 5,17,23 * * *", diff))
    lines = {each["what"].split(":")[0]: each["quantity"] for each in house.reckoned()["lines"]}
    assert lines == {"PUT": 8640, "LIST": 8640, "GET": 8640, "LIST and GET of backups": 20 * runs}


def test_requests_of_which_the_inventory_does_not_tell_are_not_taken_for_none(house: Counted):
    house.edit("destinations:\n", f"destinations:\n{CONFIG}")
    lines = PGBACKREST.splitlines(keepends=True)
    house.inventory.write_text(house.inventory.read_text() + "".join(lines[:-2]))
    done = house.cost()
    assert done.status == 0, done.text
    assert "the inventory does not say pgbackrest: archive_timeout or pgbackrest: schedule" in done.err
    assert house.plan().status == 1


def test_a_region_without_prices_is_reckoned_with_another_s_and_said(house: Counted):
    house.edit("region: ca-central-1", "region: eu-west-3")
    house.put("backups/a", 1_000_000)
    done = house.cost()
    assert done.status == 0
    assert "the price table has no region eu-west-3" in done.err
    assert "with prices of us-east-1, not of eu-west-3" in done.err


def test_its_success_ticks_the_task_that_names_it(house: Counted):
    task = "  s3-cost: {title: Review costs, every: 1 month, from: 2020-01-01, run: [cloud, cost]}"
    house.inventory.write_text(f"{house.inventory.read_text()}tasks:\n{task}\n")

    def state() -> str:
        rows = json.loads(house.run("due", "--json").out)["rows"]
        return str(next(each["state"] for each in rows if each["id"] == "s3-cost"))

    assert state() == "overdue"
    assert house.cost().status == 0
    assert state() == "ok"


def test_a_listing_that_is_throttled_is_tried_again_and_then_given_up(house: Counted, server):
    house.put("backups/a", 1_000_000)
    with faults.between(server) as proxy:
        house.at(proxy.url)
        proxy.add(faults.Answer(503, "SlowDown"), "GetObject", times=1)
        assert house.cost().status == 0
        proxy.add(faults.Answer(503, "SlowDown"), "GetObject", times=99)
        done = house.cost()
    assert done.status == 7
    assert "SlowDown" in done.err
    assert "total" not in done.out


def test_a_bucket_of_another_account_is_an_error_and_no_cost_of_nothing(house: Counted, server):
    owners: list[str | None] = []

    def refuse(call: faults.Call) -> faults.Answer | None:
        if call.operation != "GetObject":
            return None
        owners.append(call.headers.get("x-amz-expected-bucket-owner"))
        return faults.FORBIDDEN

    with faults.between(server) as proxy:
        house.at(proxy.url)
        proxy.script = refuse
        done = house.cost()
    assert done.status == 7
    assert "does not allow s3:ListBucketVersions" in done.err
    assert owners == [server.account]


def test_a_bucket_that_is_not_there_is_an_error(tmp_path, server):
    house = Counted(tmp_path, server)
    done = house.cost()
    assert done.status == 7
    assert f"there is no bucket {house.bucket}" in done.err
    assert "chronos-secrets cloud plan" in done.err


def test_seaweedfs_tells_the_sizes_that_were_written(tmp_path):
    with seaweed() as weed:
        house = Counted(tmp_path, weed)
        house.make()
        for size in (3_000_000, 2_000_000):
            house.s3.put_object(Bucket=house.bucket, Key="backups/a", Body=b"x" * size)
        house.s3.put_object(Bucket=house.bucket, Key="backups/b", Body=b"x" * 70_000)
        house.s3.delete_object(Bucket=house.bucket, Key="backups/b")
        found = house.reckoned()
    quantities = {each["what"]: each["quantity"] for each in found["lines"] if each["kind"] == "storage"}
    assert quantities == {"STANDARD, current": 2_000_000, "STANDARD, noncurrent": 3_070_000}
    assert found["usage"]["delete_markers"] == 1
