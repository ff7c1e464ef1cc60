"""`cloud plan` and `cloud apply` on moto, which keeps no lifecycle filter by size and knows of no bucket's owner."""

import json
import threading
from pathlib import Path

import boto3
import pytest

from tests.support import faults
from tests.support.birdhouse import Birdhouse
from tests.support.moto_iam import Moto, moto
from tests.support.targets import no_proxy

pytestmark = pytest.mark.xdist_group("cloud")

EVERYTHING = [
    "bucket", "public access", "ownership", "encryption", "versioning", "bucket policy", "lifecycle",
    "policy", "group", "attachment", "user", "membership",
]  # fmt: skip
THEIRS = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 9}}


@pytest.fixture(scope="module")
def server():
    with moto() as made:
        yield made


@pytest.fixture(autouse=True)
def without_a_proxy(monkeypatch):
    no_proxy(monkeypatch)


@pytest.fixture
def house(tmp_path, server) -> Birdhouse:
    """Nothing is there yet."""
    return Birdhouse(tmp_path, server)


@pytest.fixture
def settled(house: Birdhouse) -> Birdhouse:
    """All is as the inventory says."""
    done = house.apply("--yes")
    assert done.status == 0, done.text
    return house


@pytest.fixture
def filled(house: Birdhouse) -> Birdhouse:
    """All is as the inventory says, and an object is stored; moto would take tls_only for a no to everything."""
    house.edit(f"bucket: {{name: {house.bucket}}}", f"bucket: {{name: {house.bucket}, tls_only: false}}")
    done = house.apply("--yes")
    assert done.status == 0, done.text
    house.store("backups/one", b"12345")
    return house


@pytest.fixture
def proxy(server):
    with faults.between(server) as made:
        yield made


# --- plan and apply ---------------------------------------------------------------------------------------------------


def test_all_is_planned_and_made_and_then_there_is_nothing_to_do(house: Birdhouse):
    assert house.changes() == EVERYTHING
    assert house.plan().status == 1
    done = house.apply("--yes")
    assert done.status == 0, done.text
    assert house.plan() == (0, "", "nothing to do\n")
    assert house.apply("--yes") == house.apply() == (0, "", "nothing to do\n")
    assert [*house.rules()] == [
        f"chronos-secrets-{each}" for each in ("move", "expire", "noncurrent", "delete-markers", "incomplete-uploads")
    ]
    assert house.rules()["chronos-secrets-delete-markers"]["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert house.s3.get_bucket_versioning(Bucket=house.bucket)["Status"] == "Enabled"
    assert all(house.s3.get_public_access_block(Bucket=house.bucket)["PublicAccessBlockConfiguration"].values())
    (tls,) = house.statements()
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_no_access_key_is_made_but_the_command_that_makes_one_is_said(house: Birdhouse):
    house.edit('AWS/Writer, never: "a toy"', f'AWS/Writer, never: "a toy", target: {{iam_user: {house.user}}}')
    assert "chronos-secrets rotate aws" in house.plan().err
    assert "chronos-secrets rotate aws" in house.apply("--yes").err
    assert house.server.keys(house.user) == {}
    house.server.key(house.user)
    assert "rotate" not in house.plan().err


def test_a_plan_changes_nothing_and_is_not_in_the_history(house: Birdhouse):
    house.plan()
    assert house.bucket not in [each["Name"] for each in house.s3.list_buckets()["Buckets"]]
    assert "cloud-" not in house.run("history").text
    house.apply("--yes")
    assert house.run("history", "--json").out.count('"cloud-apply"') == len(EVERYTHING)


def test_without_a_yes_nobody_to_ask_means_no(house: Birdhouse):
    done = house.apply()
    assert done.status == 5
    assert "chronos-secrets cloud apply --yes" in done.err
    assert house.changes() == EVERYTHING


def test_a_hand_edit_is_shown_as_exactly_that_edit_and_undone(settled: Birdhouse):
    block = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": True,
    }
    settled.s3.put_public_access_block(Bucket=settled.bucket, PublicAccessBlockConfiguration=block)
    settled.s3.put_bucket_versioning(Bucket=settled.bucket, VersioningConfiguration={"Status": "Suspended"})
    rules = settled.rules()
    rules["chronos-secrets-expire"]["Expiration"]["Days"] = 200
    settled.put_rules([*rules.values()])
    document = settled.iam.get_policy_version(PolicyArn=settled.policy_arn, VersionId="v1")["PolicyVersion"]["Document"]
    document["Statement"][2]["Action"].append("s3:DeleteObjectVersion")
    settled.iam.create_policy_version(
        PolicyArn=settled.policy_arn, PolicyDocument=json.dumps(document), SetAsDefault=True
    )
    done = settled.plan()
    assert done.status == 1
    assert [line.strip() for line in done.out.splitlines() if line.startswith("    ")] == [
        "- BlockPublicPolicy: false",
        "+ BlockPublicPolicy: true",
        "- Status: Suspended",
        "+ Status: Enabled",
        "- chronos-secrets-expire: Expiration.Days: 200",
        "+ chronos-secrets-expire: Expiration.Days: 365",
        "- Objects: Action: s3:DeleteObjectVersion",
    ]
    assert settled.apply("--yes").status == 0
    assert settled.plan().status == 0
    assert len(settled.iam.list_policy_versions(PolicyArn=settled.policy_arn)["Versions"]) == 3  # none had to go


def test_an_edit_of_our_statement_is_shown_by_its_parts(settled: Birdhouse):
    (tls,) = settled.statements()
    tls["Resource"] = tls["Resource"][:1]
    settled.s3.put_bucket_policy(
        Bucket=settled.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [tls]})
    )
    (change,) = settled.planned()["changes"]
    assert change["lines"] == [f"+ ChronosSecretsTlsOnly: Resource: arn:aws:s3:::{settled.bucket}/*"]


def test_a_policy_that_was_changed_ten_times_is_put_right_in_place_of_its_oldest_version(settled: Birdhouse):
    """IAM keeps five versions. The one that holds is the oldest here, and stays."""
    other = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
    iam, policy = settled.iam, {"PolicyArn": settled.policy_arn}
    for number in range(2, 11):
        if number > 5:
            iam.delete_policy_version(**policy, VersionId=f"v{number - 5}")
        iam.create_policy_version(**policy, PolicyDocument=json.dumps(other), SetAsDefault=number <= 6)
    assert settled.apply("--yes").status == 0
    assert settled.plan().status == 0
    kept = [each["VersionId"] for each in iam.list_policy_versions(**policy)["Versions"]]
    assert sorted(kept) == ["v10", "v11", "v6", "v8", "v9"]


def test_the_drill_user_may_only_read(house: Birdhouse):
    drill = f"  drill_user: {{name: {house.user}-drill, policy: {house.policy}-drill, prefixes: [backups/]}}\n"
    house.edit("  lifecycle: {glacier_ir", f"{drill}  lifecycle: {{glacier_ir")
    assert house.apply("--yes").status == 0
    arn = f"{house.policy_arn}-drill"
    document = house.iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    actions = {action for each in document["Statement"] for action in each["Action"]}
    assert actions == {"s3:ListBucket", "s3:GetBucketLocation", "s3:GetObject"}
    assert house.plan().status == 0


# --- what is not ours -------------------------------------------------------------------------------------------------


def test_what_others_made_is_shown_and_kept(settled: Birdhouse):
    theirs = {
        "Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
        "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{settled.bucket}/shared/*",
    }  # fmt: skip
    settled.s3.put_bucket_policy(
        Bucket=settled.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [theirs]})
    )
    settled.put_rules([THEIRS])
    settled.iam.put_user_policy(UserName=settled.user, PolicyName="extra", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]}
    ))  # fmt: skip
    settled.iam.attach_user_policy(UserName=settled.user, PolicyArn=settled.policy_arn)
    settled.iam.create_group(GroupName=f"{settled.policy}-other")
    settled.iam.add_user_to_group(GroupName=f"{settled.policy}-other", UserName=settled.user)
    shown = settled.plan().out
    assert "kept, not ours: bucket policy: Theirs" in shown
    assert "kept, not ours: lifecycle: theirs (Expiration.Days 9, Filter.Prefix logs/, Status Enabled)" in shown
    assert "kept, not ours: policy extra, inline" in shown
    assert "attached to the user" in shown
    assert f"kept, not ours: group {settled.policy}-other" in shown
    assert "of the same meaning" not in shown
    assert settled.apply("--yes").status == 0
    assert [each["Sid"] for each in settled.statements()] == ["Theirs", "ChronosSecretsTlsOnly"]
    assert len(settled.rules()) == 6
    assert settled.rules()["theirs"]["Expiration"] == {"Days": 9}
    assert settled.iam.list_user_policies(UserName=settled.user)["PolicyNames"] == ["extra"]
    assert settled.plan().status == 0


def test_a_stronger_encryption_is_kept(settled: Birdhouse):
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    settled.s3.put_bucket_encryption(Bucket=settled.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    done = settled.plan()
    assert done.status == 0
    assert "encryption aws:kms: more than the inventory asks for" in done.out


def test_rules_of_the_first_version_are_written_with_a_filter_since_s3_takes_no_mixture(house: Birdhouse):
    house.server.bucket(house.bucket)
    house.put_rules([{"ID": "old", "Prefix": "logs/", "Status": "Enabled", "Expiration": {"Days": 9}}])
    assert "with a Filter of the same meaning" in house.plan().out
    assert house.apply("--yes").status == 0
    assert "Prefix" not in house.rules()["old"]
    assert house.rules()["old"]["Filter"] == {"Prefix": "logs/"}
    assert house.plan().status == 0


def test_rules_of_the_first_version_that_stay_as_they_are_are_not_said_to_be_written(house: Birdhouse):
    house.server.bucket(house.bucket)
    house.edit("  lifecycle: {glacier_ir: 30 days, expire: 365 days, min_size: 1 B}\n", "")
    house.put_rules([{"ID": "old", "Prefix": "logs/", "Status": "Enabled", "Expiration": {"Days": 9}}])
    out = house.plan().out
    assert "kept, not ours: lifecycle: old (" in out
    assert "of the same meaning" not in out


def test_without_a_lifecycle_our_rules_go_and_theirs_stay(settled: Birdhouse, proxy):
    settled.at(proxy.url)
    settled.edit("  lifecycle: {glacier_ir: 30 days, expire: 365 days, min_size: 1 B}\n", "")
    settled.put_rules([THEIRS, *settled.rules().values()])
    assert settled.apply("--yes").status == 0
    assert [*settled.rules()] == ["theirs"]
    settled.put_rules([{**THEIRS, "ID": "chronos-secrets-expire"}])
    assert settled.apply("--yes").status == 0
    assert settled.rules() == {}
    assert proxy.count("DELETE ?lifecycle") == 1  # S3 takes no empty lifecycle; moto would
    assert settled.plan().status == 0


def test_a_group_with_strangers_gets_nothing(house: Birdhouse):
    house.iam.create_group(GroupName=house.policy)
    house.iam.create_user(UserName=f"{house.user}-stranger")
    house.iam.add_user_to_group(GroupName=house.policy, UserName=f"{house.user}-stranger")
    done = house.apply("--yes")
    assert done.status == 1
    assert f"has the member {house.user}-stranger" in done.out
    assert house.iam.list_attached_group_policies(GroupName=house.policy)["AttachedPolicies"] == []
    (member,) = house.iam.get_group(GroupName=house.policy)["Users"]
    assert member["UserName"] == f"{house.user}-stranger"


@pytest.mark.parametrize("how", ["attached", "inline"])
def test_a_group_with_rights_of_its_own_gets_no_user(house: Birdhouse, how: str):
    rights = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
    house.iam.create_group(GroupName=house.policy)
    name = f"{house.policy}-more"
    if how == "inline":
        house.iam.put_group_policy(GroupName=house.policy, PolicyName=name, PolicyDocument=rights)
    else:
        arn = house.iam.create_policy(PolicyName=name, PolicyDocument=rights)["Policy"]["Arn"]
        house.iam.attach_group_policy(GroupName=house.policy, PolicyArn=arn)
    done = house.apply("--yes")
    assert done.status == 1
    assert f"has the policy {name}: nothing is added to it" in done.out
    assert house.iam.get_group(GroupName=house.policy)["Users"] == []


def test_strangers_in_the_group_are_nobody_s_affair_until_something_is_to_be_added_to_it(settled: Birdhouse):
    settled.iam.create_user(UserName=f"{settled.user}-stranger")
    settled.iam.add_user_to_group(GroupName=settled.policy, UserName=f"{settled.user}-stranger")
    assert settled.plan().status == 0
    settled.iam.detach_group_policy(GroupName=settled.policy, PolicyArn=settled.policy_arn)
    assert settled.apply("--yes").status == 1
    assert settled.iam.list_attached_group_policies(GroupName=settled.policy)["AttachedPolicies"] == []


# --- the life of data -------------------------------------------------------------------------------------------------


def test_what_shortens_the_life_of_data_is_counted_and_refused_to_a_script(filled: Birdhouse):
    filled.put_rules([THEIRS])
    filled.store("backups/one", b"1234567")
    (expire, noncurrent) = filled.planned()["limits"]
    assert (expire["what"], expire["days"], expire["before"]) == ("expire", 365, None)
    assert (noncurrent["what"], noncurrent["days"], noncurrent["before"]) == ("noncurrent", 30, None)
    done = filled.apply("--yes")
    assert done.status == 5
    assert "SHORTENS THE LIFE OF DATA: expire: never -> 365 days: 0 objects, 0 B are older" in done.out
    assert "a person has to type the bucket's name" in done.err
    assert [*filled.rules()] == ["theirs"]


def test_the_name_of_the_bucket_lets_a_person_shorten_the_life_of_data_and_nothing_else_does(filled: Birdhouse):
    filled.edit("expire: 365 days", "expire: 200 days")
    terminal = filled.on_terminal("--yes")
    terminal.expect("Type the name of the bucket")
    terminal.type("yes\n")
    assert terminal.end().status == 5
    assert filled.rules()["chronos-secrets-expire"]["Expiration"]["Days"] == 365
    terminal = filled.on_terminal()
    terminal.expect("Type the name of the bucket")
    terminal.type(f"{filled.bucket}\n")
    assert terminal.end().status == 0
    assert filled.rules()["chronos-secrets-expire"]["Expiration"]["Days"] == 200


def test_versioning_is_not_suspended_by_a_script(filled: Birdhouse):
    filled.edit("tls_only: false", "tls_only: false, versioning: false")
    done = filled.apply("--yes")
    assert done.status == 5
    assert "versioning would be suspended" in done.out
    assert "1 object, 5 B" in done.out
    assert filled.s3.get_bucket_versioning(Bucket=filled.bucket)["Status"] == "Enabled"


@pytest.mark.parametrize("new", [False, True])
def test_versioning_that_nobody_wants_and_that_never_was_is_not_suspended(house: Birdhouse, new: bool):
    house.edit(f"bucket: {{name: {house.bucket}}}", f"bucket: {{name: {house.bucket}, versioning: false}}")
    if not new:
        house.server.bucket(house.bucket)
    planned = house.planned()
    assert "versioning" not in [each["setting"] for each in planned["changes"]]
    assert "versioning" not in [each["what"] for each in planned["limits"]]


def test_what_may_not_be_counted_is_planned_and_said_and_not_changed(filled: Birdhouse):
    filled.edit("expire: 365 days", "expire: 200 days")
    _limited(filled, "s3:ListBucketVersions")
    done = filled.plan()
    assert done.status == 7
    assert "+ chronos-secrets-expire: Expiration.Days: 200" in done.out
    assert "expire: 365 days -> 200 days; how much is older could not be counted" in done.out
    assert "does not allow s3:ListBucketVersions" in done.err
    (limit,) = filled.planned()["limits"]
    assert (limit["days"], limit["older"], limit["older_bytes"]) == (200, None, None)
    terminal = filled.on_terminal("--yes")
    shown = terminal.end()
    assert shown.status == 7
    assert "nothing was changed" in shown.text
    assert filled.rules()["chronos-secrets-expire"]["Expiration"]["Days"] == 365


def test_what_lengthens_the_life_of_data_needs_no_name(filled: Birdhouse):
    filled.edit("expire: 365 days", "expire: 500 days")
    assert filled.apply("--yes").status == 0


def test_deep_archive_has_to_be_insisted_on(filled: Birdhouse):
    filled.edit("expire: 365 days", "deep_archive: 180 days, expire: 365 days")
    done = filled.apply("--yes")
    assert done.status == 5
    assert "chronos-secrets cloud apply --insist-deep-archive" in done.err
    assert filled.apply("--yes", "--insist-deep-archive").status == 0
    assert filled.apply("--yes").status == 0


def test_a_lifecycle_that_wastes_money_or_backups_is_refused_before_anything_is_asked(house: Birdhouse):
    house.edit("expire: 365 days", "expire: 100 days")
    done = house.plan()
    assert done.status == 5
    assert "expire: 100 days is too early after glacier_ir: 120 days or more" in done.err


# --- faults -----------------------------------------------------------------------------------------------------------


def _limited(house: Birdhouse, action: str) -> None:
    """The profile may do everything but one action."""
    name = f"limited-{house.bucket}"
    house.iam.create_user(UserName=name)
    rights = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": action, "Resource": "*"},
    ]
    house.iam.put_user_policy(
        UserName=name, PolicyName="all-but", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": rights})
    )
    key = house.server.key(name)
    path = Path(house.home, ".aws", "credentials")
    path.write_text(f"[admin]\naws_access_key_id = {key.id}\naws_secret_access_key = {key.secret}\n")


def test_a_setting_that_may_not_be_looked_at_is_said_and_the_others_are_planned_and_made(house: Birdhouse):
    house.server.bucket(house.bucket)
    _limited(house, "s3:GetLifecycleConfiguration")
    done = house.plan()
    assert done.status == 7
    assert "not known: lifecycle: AWS S3 does not allow s3:GetLifecycleConfiguration" in done.out
    done = house.apply("--yes")
    assert done.status == 7, done.text
    assert house.rules() == {}
    house.server.profile("admin")
    assert house.changes() == ["lifecycle"]


@pytest.fixture
def elsewhere(house: Birdhouse) -> Birdhouse:
    """The bucket is in another region than the inventory says."""
    there = boto3.client(
        "s3", "eu-central-1", endpoint_url=house.server.url,
        aws_access_key_id=house.server.admin.id, aws_secret_access_key=house.server.admin.secret,
    )  # fmt: skip
    there.create_bucket(Bucket=house.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return house


def test_the_region_of_a_server_that_only_this_machine_s_settings_name_is_its_own_affair(elsewhere: Birdhouse):
    assert "versioning" in elsewhere.changes()
    assert elsewhere.apply("--yes").status == 0
    assert elsewhere.plan().status == 0


def test_a_bucket_in_another_region_is_left_alone(elsewhere: Birdhouse, monkeypatch):
    house = elsewhere
    house.at_amazon(monkeypatch)
    done = house.plan()
    assert done.status == 1
    assert "it is in eu-central-1, not in ca-central-1" in done.out
    assert "region: eu-central-1" in done.out
    assert house.apply("--yes").status == 1
    assert house.s3.get_bucket_versioning(Bucket=house.bucket).get("Status") is None
    assert house.changes() == []  # the user is made


@pytest.mark.parametrize("region", ["us-east-1", "ca-central-1"])
def test_a_bucket_is_private_from_its_first_moment_in_the_region_of_the_inventory(
    house: Birdhouse, proxy, monkeypatch, region: str
):
    house.edit("region: ca-central-1", f"region: {region}")
    house.at_amazon(monkeypatch, proxy.url)
    owned: list[str | None] = []

    def note(call):
        if call.operation == "PutObject":
            owned.append(call.headers.get("x-amz-object-ownership"))

    proxy.script = note
    assert house.apply("--yes").status == 0
    assert owned[0] == "BucketOwnerEnforced"
    assert house.plan().status == 0


def test_every_request_names_the_account_that_must_own_the_bucket(house: Birdhouse, proxy):
    house.at(proxy.url)
    asked: dict[str, str | None] = {}

    def note(call):
        if call.service == "s3" and "?" in call.operation:
            asked[call.operation] = call.headers.get("x-amz-expected-bucket-owner")

    proxy.script = note
    assert house.apply("--yes").status == 0
    assert set(asked.values()) == {house.server.account}
    assert "PUT ?lifecycle" in asked
    assert "GET ?location" in asked


def test_only_versions_in_a_bucket_of_the_account_are_counted(filled: Birdhouse, proxy):
    filled.edit("expire: 365 days", "expire: 200 days")
    filled.at(proxy.url)
    owners: list[str | None] = []

    def note(call):
        if call.operation == "GetObject":
            owners.append(call.headers.get("x-amz-expected-bucket-owner"))

    proxy.script = note
    assert filled.plan().status == 1
    assert set(owners) == {filled.server.account}  # of a listing, too, which the proxy calls so


def test_a_bucket_of_another_account_is_not_touched(house: Birdhouse, proxy):
    house.at(proxy.url)
    proxy.script = lambda call: faults.FORBIDDEN if call.service == "s3" else None
    done = house.apply("--yes")
    assert done.status == 7
    assert "not known: region" in done.out
    assert f"bucket {house.bucket} may be another account's" in done.err
    assert {each.operation.split()[0] for each in proxy.asked if "?" in each.operation} == {"GET"}


def test_a_redirection_to_another_region_is_a_no(house: Birdhouse, proxy):
    house.server.bucket(house.bucket)
    house.at(proxy.url)
    elsewhere = faults.Answer(301, "PermanentRedirect")
    proxy.script = lambda call: elsewhere if call.operation.startswith("GET ?") else None
    done = house.plan()
    assert done.status == 7
    assert "PermanentRedirect" in done.text


def test_throttling_is_waited_out_and_said_where_it_does_not_end(settled: Birdhouse, proxy):
    settled.at(proxy.url)
    proxy.add(faults.Answer(503, "SlowDown"), "GET ?policy", times=1)
    assert settled.plan().status == 0
    proxy.add(faults.Answer(503, "SlowDown"), "GET ?policy", times=99)
    done = settled.plan()
    assert done.status == 7
    assert "not known: bucket policy" in done.out
    assert "hint: run the command again in a minute" in done.err


def test_a_step_that_fails_leaves_out_what_needs_it_and_nothing_else(house: Birdhouse, proxy):
    house.at(proxy.url)
    proxy.add(faults.FORBIDDEN, "PUT ?versioning")
    done = house.apply("--yes")
    assert done.status == 8
    assert "not done: bucket " in done.err
    assert "lifecycle: left out, for it needs the versioning" in done.err
    assert "chronos-secrets cloud apply    # once the profile may do that" in done.err
    assert house.changes() == ["versioning", "lifecycle"]
    recorded = house.run("history").out
    assert "setting: encryption" in recorded
    assert "setting: versioning" not in recorded, "the history has what was done"
    assert house.apply("--yes").status == 0
    assert house.plan().status == 0


def test_an_answer_that_is_lost_is_no_failure(house: Birdhouse, proxy):
    house.at(proxy.url)
    for each in ("PutObject", "PUT ?lifecycle", "PUT ?policy", "CreatePolicy", "CreateGroup", "CreateUser"):
        proxy.add(faults.LOST, each)
    done = house.apply("--yes")
    assert done.status == 0, done.text
    assert proxy.count("CreateUser") == 2
    assert house.plan().status == 0


@pytest.mark.parametrize("new", [False, True])
def test_nothing_that_another_person_adds_meanwhile_is_lost(house: Birdhouse, proxy, new: bool):
    theirs = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
              "Resource": f"arn:aws:s3:::{house.bucket}/x"}  # fmt: skip
    if not new:
        house.server.bucket(house.bucket)
    house.at(proxy.url)

    def meanwhile(call):
        if call.operation == "PUT ?versioning":
            house.put_rules([THEIRS])
            policy = {"Version": "2012-10-17", "Statement": [theirs]}
            house.s3.put_bucket_policy(Bucket=house.bucket, Policy=json.dumps(policy))

    proxy.script = meanwhile
    done = house.apply("--yes")
    assert done.status == 8
    assert "was changed by somebody else" in done.err
    assert [*house.rules()] == ["theirs"]
    proxy.script = None
    assert house.apply("--yes").status == 0
    assert len(house.rules()) == 6
    assert [each["Sid"] for each in house.statements()] == ["Theirs", "ChronosSecretsTlsOnly"]


def test_the_session_of_another_account_changes_nothing(house: Birdhouse):
    house.remake_vault(root__account_id="999999999999")
    done = house.apply("--yes")
    assert done.status == 5
    assert "another AWS account than the vault says" in done.err
    assert "999999999999" not in done.text
    assert house.server.account not in done.text


def test_an_expired_session_is_said_before_a_password_is_asked_for(house: Birdhouse, proxy):
    house.at(proxy.url)
    proxy.add(faults.EXPIRED, "GetCallerIdentity", times=9)
    done = house.run("cloud", "apply", "--yes", locked=True)
    assert done.status == 7
    assert "aws sso login --profile admin" in done.err or "aws configure --profile admin" in done.err


def test_what_the_inventory_reaches_is_asked_about_before(house: Birdhouse):
    house.trusting = False
    assert house.run("trust", "--revoke").status == 0
    done = house.plan()
    assert done.status == 5
    assert house.bucket in done.err


def test_an_inventory_without_a_cloud_says_so(house: Birdhouse):
    text = house.inventory.read_text()
    house.inventory.write_text(text[: text.index("cloud:\n")])
    done = house.plan()
    assert done.status == 5
    assert "no section cloud" in done.err


def test_an_interrupted_apply_says_how_far_it_came_and_how_to_go_on(house: Birdhouse, proxy):
    house.at(proxy.url)
    held = threading.Event()
    proxy.script = lambda call: held.wait(30) and None if call.operation == "PUT ?versioning" else None
    terminal = house.on_terminal("--yes")
    terminal.expect("versioning ...")
    terminal.interrupt()
    done = terminal.end()
    held.set()
    assert done.status == 130
    assert "4 of 12 changes are made" in done.text
    assert "to go on: chronos-secrets cloud apply" in done.text
    proxy.script = None
    assert house.apply("--yes").status == 0


def test_a_new_bucket_is_said_to_be_one(house: Birdhouse):
    assert f"+ bucket: {house.bucket}, a new one in ca-central-1" in house.plan().out


def test_the_number_of_the_account_in_the_name_of_the_bucket_is_shown_since_the_name_is_no_secret(tmp_path, server):
    house = Birdhouse(tmp_path, server, bucket=f"birds-{server.account}")
    out = house.plan().out
    assert f"bucket birds-{server.account}\n" in out
    assert f"Resource: arn:aws:s3:::birds-{server.account}/*" in out


def test_no_line_has_the_number_of_the_account(settled: Birdhouse, server: Moto):
    document = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "iam:*", "Resource": f"arn:aws:iam::{server.account}:user/*"
    }]}  # fmt: skip
    settled.iam.create_policy_version(
        PolicyArn=settled.policy_arn, PolicyDocument=json.dumps(document), SetAsDefault=True
    )
    for done in (settled.plan(), settled.plan("--json")):
        assert "arn:aws:iam::ACCOUNT:user/*" in done.out
        assert server.account not in done.text


def test_what_is_left_out_for_a_setting_that_is_not_known_is_said_with_why_that_is_not_known(house: Birdhouse):
    house.server.bucket(house.bucket)
    _limited(house, "s3:GetBucketVersioning")
    done = house.apply("--yes")
    assert done.status == 8, done.text
    assert "lifecycle: left out, for it needs the versioning" in done.err
    assert "does not allow s3:GetBucketVersioning" in done.err
    assert house.rules() == {}
    done = house.apply("--yes")
    assert done.status == 7, done.text


def test_a_session_that_ends_before_anything_is_made_is_a_no_with_the_command_that_signs_in(settled: Birdhouse, proxy):
    settled.s3.put_bucket_versioning(Bucket=settled.bucket, VersioningConfiguration={"Status": "Suspended"})
    settled.at(proxy.url)
    proxy.add(faults.EXPIRED, "PUT ?versioning", times=9)
    done = settled.apply("--yes")
    assert done.status == 7, "nothing is done, so nothing is incomplete"
    assert "hint: aws configure --profile admin" in done.err
