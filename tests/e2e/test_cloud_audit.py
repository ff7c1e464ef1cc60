"""`cloud audit` on moto, whose S3 knows of no bucket's owner and of no condition; on SeaweedFS, which enforces policies.

Neither has the public access block of a whole account; that is asked of moto within this process.
"""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chronos_secrets.cli.session import Session
from chronos_secrets.cloud import controls, inspection
from chronos_secrets.cloud.inspection import Subject
from chronos_secrets.cloud.policy import RULES
from chronos_secrets.cloud.posture import REFUSED, Unknown
from chronos_secrets.secret import Secret
from chronos_secrets.systems.aws import clients
from tests.support import faults
from tests.support.birdhouse import Birdhouse
from tests.support.clock import hold_clock
from tests.support.commands import Done
from tests.support.moto_iam import moto
from tests.support.seaweed import seaweed
from tests.support.targets import no_proxy

pytestmark = pytest.mark.xdist_group("cloud")


@pytest.fixture(scope="module")
def server():
    with moto() as made:
        yield made


@pytest.fixture(scope="module")
def weed():
    with seaweed() as made:
        yield made


@pytest.fixture(autouse=True)
def without_a_proxy(monkeypatch):
    no_proxy(monkeypatch)


@pytest.fixture
def proxy(server):
    with faults.between(server) as made:
        yield made


class Audited(Birdhouse):
    """A birdhouse whose user's key is in the vault, as `aws`."""

    def give_key(self) -> None:
        key = self.server.key(self.user)
        self.edit('AWS/Writer, never: "a toy"', f'AWS/Writer, never: "a toy", target: {{iam_user: {self.user}}}')
        self.remake_vault(aws__access_key_id=key.id, aws__secret_access_key=key.secret)

    def accept(self, *controls: str, until: str = "2099-01-01", reason: str = "a toy") -> None:
        """Let controls fail."""
        rows = "".join(f'\n    - {{control: {each}, reason: "{reason}", until: {until}}}' for each in controls)
        self.edit("  lifecycle: {", f"  accepted:{rows}\n  lifecycle: {{")

    def audit(self, *words: str) -> Done:
        return self.run("cloud", "audit", *words, "--password-file", self.password_file)

    def controls(self) -> dict[str, Any]:
        """What is said of each control, by its id."""
        return {each["id"]: each for each in json.loads(self.audit("--json").out)["controls"]}

    def failed(self) -> set[str]:
        return {name for name, each in self.controls().items() if each["result"] == "FAIL"}

    def write_policy(self, *statements: dict[str, object]) -> None:
        """Give the user a policy of its own."""
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.iam.put_user_policy(UserName=self.user, PolicyName="by-hand", PolicyDocument=document)


@pytest.fixture
def house(tmp_path, server) -> Audited:
    """A bucket and a user as somebody makes them by hand, the user with a policy of its own for the whole bucket."""
    made = Audited(tmp_path, server)
    server.bucket(made.bucket)
    server.user(made.user, made.bucket, [""])
    made.give_key()
    return made


@pytest.fixture
def settled(tmp_path, server) -> Audited:
    """A bucket and a user as `cloud apply` makes them."""
    made = Audited(tmp_path, server)
    assert made.apply("--yes").status == 0
    made.give_key()
    return made


MENDED = {
    "S3.5",
    "S3.8",
    "S3.10",
    "S3.12",
    "S3.14",
    "s3_bucket_default_encryption",
    "IAM.2",
    "policy-prefixes",
    "policy-tls",
}
OURS_TO_ACCEPT = {"S3.7", "S3.9", "S3.11", "S3.15", "S3.17", "S3.20", "iam_user_with_temporary_credentials"}
NEW_KEY = "iam_user_no_setup_initial_access_key"  # until its first use
NOT_BY_MOTO = "may-not-list-all"  # which looks at no condition


def test_what_a_benchmark_asks_fails_for_a_bucket_made_by_hand(house: Audited):
    found = house.controls()
    failed = {name for name, each in found.items() if each["result"] == "FAIL"}
    assert failed == {*MENDED, *OURS_TO_ACCEPT, NEW_KEY, NOT_BY_MOTO}
    assert all(found[each]["todo"].startswith("chronos-secrets cloud apply") for each in MENDED)
    assert found[NEW_KEY]["todo"] == "chronos-secrets rotate aws"
    assert all(each["todo"] for each in found.values() if each["result"] == "FAIL")
    assert {each.id for each in controls.CONTROLS} | {each.id for each in RULES} < found.keys()
    done = house.audit()
    assert done.status == 1
    assert not house.leaked(done.text)
    assert house.server.account not in done.text


def test_apply_mends_what_the_audit_says_that_it_mends(settled: Audited):
    assert settled.failed() == {*OURS_TO_ACCEPT, NEW_KEY, NOT_BY_MOTO}


def test_what_is_accepted_passes_until_its_day_and_says_so_from_the_day_after(settled: Audited, monkeypatch):
    settled.accept(*OURS_TO_ACCEPT, NEW_KEY, NOT_BY_MOTO, until="2099-06-01", reason="we know")
    monkeypatch.setattr(Session, "today", property(lambda _: date(2099, 6, 1)))
    done = settled.audit()
    assert done.status == 0, done.text
    assert "accepted until 2099-06-01: we know" in " ".join(done.out.split())
    assert "FAIL" not in done.out
    monkeypatch.setattr(Session, "today", property(lambda _: date(2099, 6, 2)))
    done = settled.audit()
    assert done.status == 1
    assert "its acceptance ended on 2099-06-01" in " ".join(done.out.split())


def test_an_acceptance_that_nothing_takes_is_said(settled: Audited):
    settled.accept("S3.99", "S3.14")
    done = settled.audit()
    assert "S3.99 is accepted in the inventory, but no control has that id" in done.err
    assert "S3.14 is accepted until 2099-01-01, but it passes" in done.err


# --- the policy and the keys ------------------------------------------------------------------------------------------


def test_the_policies_of_the_user_itself_and_of_its_groups_are_all_linted(settled: Audited):
    anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    settled.write_policy({"Effect": "Allow", "Action": "s3:DeleteObjectVersion", "Resource": f"arn:aws:s3:::{settled.bucket}/backups/*"})  # fmt: skip
    settled.iam.put_group_policy(
        GroupName=settled.policy, PolicyName="of-the-group",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [anything]}),
    )  # fmt: skip
    for name, action in ((settled.policy, "sts:AssumeRole"), (f"{settled.policy}-more", "iam:PassRole")):
        document = {"Version": "2012-10-17", "Statement": [{**anything, "Action": action}]}
        arn = f"arn:aws:iam::{settled.server.account}:policy/{name}"
        if name == settled.policy:  # which the group has
            settled.iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(document), SetAsDefault=True)
        else:
            settled.iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))
            settled.iam.attach_user_policy(UserName=settled.user, PolicyArn=arn)
    found = settled.controls()
    assert f"{settled.policy}, statement 1: sts:AssumeRole" in found["policy-beyond-s3"]["why"]
    assert f"{settled.policy}-more, statement 1: iam:PassRole" in found["policy-beyond-s3"]["why"]
    assert "by-hand, statement 1: s3:DeleteObjectVersion" in found["policy-deletes-versions"]["why"]
    assert "of-the-group" in found["policy-wildcard"]["why"]
    assert found["IAM.1"]["result"] == "FAIL"
    assert "iam:PutUserPolicy" in found["iam_policy_allows_privilege_escalation"]["why"]
    assert found["IAM.2"]["why"] == f"the user itself has {settled.policy}-more (attached), by-hand (inline)"
    assert f"mends {settled.policy}" in found["policy-wildcard"]["todo"]


def test_keys_grow_old(settled: Audited, monkeypatch):
    hold_clock(monkeypatch, datetime.now(UTC) + timedelta(91))
    assert {"IAM.3", "IAM.8", "IAM.22"} <= settled.failed()


def test_a_second_active_key_is_seen(settled: Audited):
    settled.server.key(settled.user)
    found = settled.controls()["iam_user_two_active_access_key"]
    assert (found["result"], found["todo"]) == ("FAIL", "chronos-secrets rotate status")


def test_a_statement_for_another_account_is_seen(settled: Audited):
    statements = settled.statements()
    mine = {"Sid": "Mine", "Principal": {"AWS": f"arn:aws:iam::{settled.server.account}:root"}}
    other = {"Sid": "Other", "Principal": {"AWS": "arn:aws:iam::999988887777:root"}}
    what = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{settled.bucket}/*"}
    document = {"Version": "2012-10-17", "Statement": [*statements, {**mine, **what}, {**other, **what}]}
    settled.s3.put_bucket_policy(Bucket=settled.bucket, Policy=json.dumps(document))
    out = settled.audit("--json").out
    assert '"other accounts are allowed something by Other"' in out
    assert "999988887777" not in out


@pytest.mark.parametrize("acl", ["public-read", "authenticated-read"])  # that is anybody with an account of AWS
def test_an_acl_that_lets_anybody_in_is_seen(house: Audited, acl: str):
    house.s3.put_bucket_acl(Bucket=house.bucket, ACL=acl)
    assert "S3.2" in house.failed()


# --- what cannot be looked at -----------------------------------------------------------------------------------------


def test_no_right_for_one_call_keeps_nothing_else_from_being_said(settled: Audited, proxy):
    settled.accept(*OURS_TO_ACCEPT, NEW_KEY, NOT_BY_MOTO)
    settled.at(proxy.url)
    proxy.add(faults.FORBIDDEN, "GET ?lifecycle", times=99)
    proxy.add(faults.FORBIDDEN, "ListAttachedUserPolicies", times=99)
    done = settled.audit("--json")
    assert done.status == 7
    found = {each["id"]: each for each in json.loads(done.out)["controls"]}
    assert found["S3.10"]["why"] == "not known: AWS S3 does not allow s3:GetLifecycleConfiguration"
    blind = {name for name, each in found.items() if each["result"] == "UNKNOWN"}
    rights = {"IAM.1", "IAM.2", "iam_policy_allows_privilege_escalation", *(each.id for each in RULES)}
    assert blind == {"S3.1", "S3.10", *rights}


def test_a_no_weighs_more_than_what_is_not_known(settled: Audited, proxy):
    settled.at(proxy.url)
    proxy.add(faults.FORBIDDEN, "GET ?lifecycle", times=99)
    assert settled.audit().status == 1


def test_a_bucket_of_another_account_passes_nothing_of_the_bucket(settled: Audited, proxy):
    settled.at(proxy.url)
    admin = settled.server.admin.id
    proxy.script = lambda call: faults.FORBIDDEN if call.service == "s3" and call.key == admin else None
    found = settled.controls()
    assert {each["result"] for name, each in found.items() if name.startswith(("S3.", "s3_", "bucket"))} == {"UNKNOWN"}
    assert found["IAM.2"]["result"] == "PASS"


def test_a_bucket_that_is_not_there_is_an_error(tmp_path: Path, server):
    house = Audited(tmp_path, server)
    done = house.audit()
    assert done.status == 7
    assert f"there is no bucket {house.bucket}" in done.err
    assert "chronos-secrets cloud plan" in done.err
    assert "PASS" not in done.out


def test_a_bucket_in_another_region_is_said(settled: Audited):
    settled.edit("region: ca-central-1", "region: eu-west-1")
    found = settled.controls()["bucket-region"]
    assert found["why"] == "the bucket is in ca-central-1, the inventory says eu-west-1"


def test_an_expired_session_ends_it_before_anything_is_asked(settled: Audited, proxy):
    settled.at(proxy.url)
    proxy.add(faults.EXPIRED, "GetCallerIdentity", times=99)
    done = settled.audit()
    assert done.status == 7
    assert "--profile admin" in done.err
    assert {each.operation for each in proxy.asked} == {"GetCallerIdentity"}


def test_a_session_that_ends_meanwhile_ends_the_audit(settled: Audited, proxy):
    settled.at(proxy.url)
    proxy.add(faults.EXPIRED, "GET ?lifecycle", times=99)
    done = settled.audit()
    assert done.status == 7
    assert "--profile admin" in done.err
    assert done.out == ""


# --- what the user's own key may do -----------------------------------------------------------------------------------


def test_the_last_line_says_how_many_fail_and_which(settled: Audited):
    settled.s3.put_bucket_versioning(Bucket=settled.bucket, VersioningConfiguration={"Status": "Suspended"})
    settled.accept(*OURS_TO_ACCEPT, NEW_KEY, NOT_BY_MOTO)
    done = settled.audit()
    assert done.status == 1
    assert "1 of " in done.err
    assert " fail (S3.14); " in done.err


def test_every_trial_only_reads(settled: Audited, proxy):
    settled.at(proxy.url)
    assert settled.audit().status == 1
    (own,) = settled.server.keys(settled.user)
    tried = {each.operation for each in proxy.asked if each.key == own}
    assert tried == {"GetCallerIdentity", "GetObject", "GET ?location", "DescribeInstances", "ListUsers"}


def test_a_key_that_is_not_honoured_tries_nothing_more(settled: Audited):
    settled.server.deactivate(settled.user, next(iter(settled.server.keys(settled.user))))
    found = settled.controls()
    assert found["key-honoured"]["result"] == "FAIL"
    assert found["key-honoured"]["todo"] == "chronos-secrets rotate status"
    assert {each["result"] for name, each in found.items() if name.startswith("may-")} == {"UNKNOWN"}


def test_a_key_of_which_nothing_can_be_asked_leaves_the_rest_of_the_audit(settled: Audited, proxy):
    settled.at(proxy.url)
    (own,) = settled.server.keys(settled.user)
    proxy.add(faults.Answer(400, "ValidationError"), "GetCallerIdentity", key=own)
    found = settled.controls()
    assert {each["result"] for name, each in found.items() if name.startswith("may-")} == {"UNKNOWN"}
    assert found["S3.14"]["result"] == "PASS"


def test_without_a_key_in_the_inventory_nothing_is_tried(tmp_path: Path, server):
    house = Audited(tmp_path, server)
    assert house.apply("--yes").status == 0
    found = house.controls()
    assert found["may-list"]["result"] == "UNKNOWN"
    assert f"target: {{iam_user: {house.user}}}" in found["may-list"]["why"]


def test_rights_outside_of_the_bucket_are_found_by_trying(settled: Audited):
    actions = ["s3:ListAllMyBuckets", "s3:ListBucket", "iam:ListUsers", "ec2:DescribeInstances"]
    settled.server.bucket(f"other-{settled.bucket}")
    settled.write_policy({"Effect": "Allow", "Action": actions, "Resource": "*"})
    assert {"may-not-see-buckets", "may-not-read-others", "may-not-iam", "may-not-ec2"} <= settled.failed()


@pytest.mark.parametrize(("amazon", "found"), [(True, REFUSED), (False, None)])
def test_where_ec2_is_refused_to_the_administrator_too_its_no_counts_at_amazon_only(
    house: Audited, server, amazon: bool, found: str | None
):
    """Amazon has EC2 for sure; another server may refuse it because it has none."""
    limited = f"limited-{house.bucket}"
    house.iam.create_user(UserName=limited)
    admin, user = (
        clients.of_key(Secret(key.id), Secret(key.secret), clients.Place(server.region, server.url))
        for key in (server.key(limited), server.key(house.user))
    )
    subject = Subject(house.bucket, house.user, (), server.account, "aws", amazon)
    tried = {each.id: each.outcome for each in inspection.trials(admin, user, subject)}
    assert (None if isinstance(tried["may-not-ec2"], Unknown) else tried["may-not-ec2"]) == found
    assert tried["may-not-read-others"] == Unknown("AWS S3 does not allow s3:ListAllMyBuckets")


def test_on_seaweedfs_which_has_no_public_access_block_the_user_of_apply_may_do_what_it_must_and_nothing_else(
    tmp_path: Path, weed
):
    house = Audited(tmp_path, weed)
    house.apply("--yes")  # but for the public access block, which it does not have
    weed.bucket(f"other-{house.bucket}")
    house.give_key()
    found = house.controls()
    tried = {name: each["result"] for name, each in found.items() if name.startswith(("may-", "key-"))}
    assert tried.pop("may-not-ec2") == "UNKNOWN"
    assert {name for name, result in tried.items() if result != "PASS"} == set()
    assert "it cannot be tried there" in found["S3.8"]["why"]
