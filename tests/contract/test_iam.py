"""What the rotation of an IAM user's key asks of AWS, at two servers that play it, through a proxy that goes wrong.

SeaweedFS refuses an Inactive key by itself; it tells neither when a key was created nor when it was used, and allows any
number. moto tells both and allows two; it refuses an Inactive key by our patch. Neither lags behind as AWS does: that is
the proxy's part.
"""

import json
import os
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chronos_secrets.errors import ChronosError, Exit, Incomplete, Refused, TargetFailed
from chronos_secrets.rotation.journal import Journal, Phase
from chronos_secrets.rotation.target import LastUse, Material
from chronos_secrets.rotation.targets.iam import ID, SECRET, IamKeys, Machine, Patience, Service
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import CannotTell, NotHonoured
from chronos_secrets.systems.aws import clients
from chronos_secrets.systems.aws.clients import Place
from chronos_secrets.systems.aws.refusals import Away, SignInNeeded, Unanswered
from tests.support import faults as bad
from tests.support.clouds import PROBES, REGION, Cloud, Key
from tests.support.faults import Call, Faults, between
from tests.support.moto_iam import moto
from tests.support.seaweed import seaweed
from tests.support.targets import no_proxy

pytestmark = pytest.mark.xdist_group("iam")

QUICK = Patience(proof=6.0, first=0.02, most=0.1, settle=0.02)
HASTY = QUICK._replace(proof=0.3)
BUCKET = "birds"
HERE, THERE = "this-machine", "other-machine"


@pytest.fixture(scope="module", params=["seaweed", "moto"])
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    with {"seaweed": seaweed, "moto": moto}[request.param]() as server:
        server.bucket(BUCKET)
        yield server


@pytest.fixture(scope="module")
def proxy(cloud: Cloud) -> Iterator[Faults]:
    with between(cloud) as faults:
        yield faults


def only(name: str) -> pytest.MarkDecorator:
    """At this server alone: the other one does not have what the test is about."""
    return pytest.mark.parametrize("cloud", [name], indirect=True)


class World:
    """A user with one key, and what its rotation is made of. `said` is what the target told meanwhile."""

    def __init__(self, cloud: Cloud, faults: Faults) -> None:
        self.cloud, self.faults = cloud, faults
        self.user = f"writer-{secrets.token_hex(4)}"
        self.bucket = BUCKET
        cloud.user(self.user, self.bucket)
        self.key = cloud.key(self.user)
        self.current = material(self.key)
        self.said: list[str] = []
        cloud.profile()

    @property
    def tells(self) -> bool:
        """Whether the server tells when a key was created and used, and knows the limit of two."""
        return self.cloud.account != "000000000000"

    @property
    def keys(self) -> set[str]:
        return set(self.cloud.keys(self.user))

    def target(self, patience: Patience = QUICK, *, profile: str | None = "admin", **whose: object) -> IamKeys:
        service = Service(self.user, Secret(self.cloud.account), self.bucket, ("var/lib/pgbackrest/", PROBES))
        machine = Machine(HERE, Place(REGION, self.faults.url), profile)
        return IamKeys(service._replace(**whose), machine, patience=patience, say=self.said.append)

    def journal(self, **other: object) -> Journal:
        now = datetime.now(UTC)
        return Journal("6f1c2d", Phase.INTENT, HERE, now, now, (self.key.id,), old=self.key.id)._replace(**other)

    def issue(self, known: frozenset[str] = frozenset(), patience: Patience = QUICK, **other: object) -> Material:
        return self.target(patience).issue(self.journal(**other), self.current, known)


def material(key: Key) -> Material:
    return {ID: Secret(key.id), SECRET: Secret(key.secret)}


def id_of(held: Material) -> str:
    return held[ID].reveal()


@pytest.fixture
def world(cloud: Cloud, proxy: Faults, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    no_proxy(monkeypatch)
    yield World(cloud, proxy)
    proxy.clear()


# --- what goes well ---------------------------------------------------------------------------------------------------


def test_a_user_with_exactly_the_key_of_the_vault_may_be_rotated(world: World):
    assert world.target().survey(world.current) == (world.key.id,)
    assert world.keys == {world.key.id}


def test_a_key_is_asked_for_once_and_the_request_says_for_which_rotation(world: World):
    new = world.issue()
    assert world.keys == {world.key.id, id_of(new)}
    assert world.faults.count("CreateAccessKey") == 1
    assert "rotation#6f1c2d" in world.faults.agents[0]
    assert "chronos-secrets/" in world.faults.agents[0]


def test_a_new_key_is_proven_at_sts_and_by_writing_reading_and_deleting_three_times_in_a_row(world: World):
    new = world.issue()
    world.faults.asked.clear()
    world.target().prove(new)
    once = ["PutObject", "GetObject", "DeleteObject"]
    assert [each.operation for each in world.faults.asked] == ["GetCallerIdentity"] * 3 + once * 3
    assert {each.key for each in world.faults.asked} == {id_of(new)}


def test_the_probe_leaves_nothing_in_the_bucket(world: World):
    world.target().prove(world.current)
    assert "Contents" not in world.cloud.client("s3").list_objects_v2(Bucket=world.bucket)


def test_a_key_is_proven_and_named_without_an_admin_session(world: World):
    target = world.target(profile="nobody-has-this")
    target.prove(world.current)
    assert target.identifier(world.current) == world.key.id


def test_the_key_of_a_user_that_has_no_bucket_is_proven_at_sts_alone(world: World):
    world.target(bucket=None).prove(world.current)
    assert {each.operation for each in world.faults.asked} == {"GetCallerIdentity"}


def test_an_old_key_is_deactivated_brought_back_and_deleted_and_each_may_be_asked_twice(world: World):
    target, new = world.target(), world.issue()
    for _ in range(2):
        target.deactivate(world.current, new)
        assert not world.cloud.takes(world.key)
    for _ in range(2):
        target.reactivate(world.current, new)
        assert world.cloud.takes(world.key)
    target.deactivate(world.current, new)
    for _ in range(2):
        target.delete(world.current, new)
        assert world.keys == {id_of(new)}
    target.deactivate(world.current, new)
    assert world.keys == {id_of(new)}


def test_what_is_done_already_is_not_asked_for_again(world: World):
    target, new = world.target(), world.issue()
    for _ in range(2):
        target.deactivate(world.current, new)
    assert world.faults.count("UpdateAccessKey") == 1
    target.delete(world.current, new)
    world.faults.asked.clear()
    target.delete(world.current, new)
    target.deactivate(world.current, new)
    assert {each.operation for each in world.faults.asked} == {"ListAccessKeys"}


def test_a_deleted_key_cannot_be_brought_back(world: World):
    target, new = world.target(), world.issue()
    target.delete(world.current, new)
    with pytest.raises(Refused, match="cannot be brought back"):
        target.reactivate(world.current, new)


def test_the_current_key_is_never_deleted(world: World):
    with pytest.raises(Refused, match="it is not deleted"):
        world.target().delete(world.current, world.current)
    assert world.keys == {world.key.id}


@only("seaweed")
def test_deleting_an_old_key_tells_of_a_key_that_nobody_knows_and_leaves_it(world: World):
    new, foreign = world.issue(), world.cloud.key(world.user)
    world.target().delete(world.current, new)
    assert world.keys == {id_of(new), foreign.id}
    assert f"...{foreign.id[-4:]}" in world.said[-1]


def test_when_an_old_key_was_last_used_is_told_or_is_said_to_be_unknown(world: World):
    target, new = world.target(), world.issue()
    if not world.tells:
        assert target.last_use(new) == LastUse(False, None)
        return
    assert target.last_use(new) == LastUse(True, None)
    assert world.cloud.takes(Key(id_of(new), new[SECRET].reveal()))
    known, at = target.last_use(new)
    assert known
    assert at is not None
    assert abs(at - datetime.now(UTC)) < timedelta(minutes=2)


def test_a_last_use_that_the_admin_may_not_ask_for_is_unknown(world: World):
    world.faults.add(bad.FORBIDDEN, "GetAccessKeyLastUsed")
    assert world.target().last_use(world.current) == LastUse(False, None)


# --- a key that takes its time, or is no good -------------------------------------------------------------------------


def test_a_fresh_key_is_waited_for(world: World):
    world.faults.fresh = 1.0
    new = world.issue()
    world.target().prove(new)
    assert [line for line in world.said if "waiting until AWS STS" in line]


def test_each_service_is_waited_for_by_itself(world: World):
    new = world.issue()
    world.faults.add(bad.REFUSED, "PutObject", key=id_of(new), times=2)
    world.faults.add(bad.REFUSED, "GetObject", key=id_of(new), times=1)
    world.target().prove(new)
    assert world.faults.count("DeleteObject") == 3


def test_one_success_among_refusals_does_not_count(world: World):
    new = world.issue()
    world.faults.add(bad.REFUSED, "GetCallerIdentity", key=id_of(new))
    world.target().prove(new)
    world.faults.asked.clear()
    asked = iter([None, bad.REFUSED, None, None, bad.REFUSED])
    world.faults.script = lambda _: next(asked, None)
    world.target(bucket=None).prove(new)
    assert [each.status for each in world.faults.asked] == [200, 403, 200, 200, 403, 200, 200, 200]


def test_a_key_that_iam_has_and_no_service_takes_yet_is_incomplete_and_nothing_is_lost(world: World):
    new = world.issue()
    world.faults.add(bad.REFUSED, key=id_of(new), times=10**6)
    with pytest.raises(Incomplete, match=r"does not take the key \.\.\.\w{4} .* yet"):
        world.target(HASTY).prove(new)
    assert world.cloud.takes(world.key)


def test_without_an_admin_session_a_refused_key_is_incomplete_too(world: World):
    new = world.issue()
    world.faults.add(bad.REFUSED, key=id_of(new), times=10**6)
    with pytest.raises(Incomplete):
        world.target(HASTY, profile="nobody-has-this").prove(new)


@pytest.mark.parametrize(("end", "word"), [("deactivate", "is Inactive"), ("delete", "is deleted")])
def test_a_key_that_somebody_ended_is_refused_for_good(world: World, end: str, word: str):
    new = world.issue()
    getattr(world.cloud, end)(world.user, id_of(new))
    with pytest.raises(NotHonoured, match=word):
        world.target(HASTY).prove(new)


@only("moto")
def test_a_secret_that_is_not_the_keys_is_refused_without_waiting(world: World):
    with pytest.raises(NotHonoured, match="the secret does not go with the key"):
        world.target().prove(dict(world.current) | {SECRET: Secret(secrets.token_hex(20))})
    assert world.faults.count("GetCallerIdentity") == 1


def test_what_is_no_key_id_is_refused_before_anything_is_asked(world: World):
    with pytest.raises(NotHonoured, match="access_key_id is not one"):
        world.target().prove(dict(world.current) | {ID: Secret("writer")})
    assert not world.faults.asked


def test_a_policy_that_does_not_allow_the_probe_is_named_with_what_to_allow(world: World):
    new = world.issue()
    world.cloud.client("iam").put_user_policy(
        UserName=world.user, PolicyName="access", PolicyDocument=json.dumps(_READ_ONLY)
    )
    with pytest.raises(TargetFailed, match="s3:PutObject on chronos-probe/") as caught:
        world.target(HASTY).prove(new)
    assert f"{world.bucket}/{PROBES}*" in (caught.value.hint or "")


_READ_ONLY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": ["arn:aws:s3:::*"]}],
}


# --- what must be right before anything begins ------------------------------------------------------------------------


def test_a_second_key_is_refused_with_all_that_is_known_of_it_and_left_alone(world: World):
    foreign = world.cloud.key(world.user)
    with pytest.raises(Refused, match="a key that the vault does not know") as caught:
        world.target().survey(world.current)
    fact, command = caught.value.details
    assert fact.startswith(f"...{foreign.id[-4:]} (Active, created ")
    assert ("never used" if world.tells else "last use unknown") in fact
    assert f"aws iam delete-access-key --user-name {world.user} --access-key-id {foreign.id} --profile admin" in command
    assert world.keys == {world.key.id, foreign.id}


def test_a_vault_with_another_key_than_the_users_only_one_is_refused(world: World):
    stale = Key("AKIA" + "Z" * 16, secrets.token_hex(20))
    with pytest.raises(Refused, match="a key that the vault does not know") as caught:
        world.target().survey(material(stale))
    assert str(caught.value.hint).startswith("bring the newest vault to this machine")  # nothing that ends a fresh key


def test_a_user_without_any_key_is_told(world: World):
    world.cloud.delete(world.user, world.key.id)
    with pytest.raises(NotHonoured, match="does not have the key that the vault holds"):
        world.target().survey(world.current)


def test_an_inactive_current_key_is_told_with_what_brings_it_back(world: World):
    world.cloud.deactivate(world.user, world.key.id)
    with pytest.raises(NotHonoured, match="is Inactive") as caught:
        world.target().survey(world.current)
    assert "--status Active" in str(caught.value.hint)


def test_a_current_key_that_s3_does_not_take_is_told(world: World):
    world.faults.add(bad.REFUSED, "PutObject", times=10**6)
    with pytest.raises(NotHonoured, match="AWS S3 does not take the key"):
        world.target(HASTY).survey(world.current)


def test_a_user_that_does_not_exist_is_told(world: World):
    with pytest.raises(TargetFailed, match="there is no IAM user nobody in this AWS account"):
        world.target(user="nobody").survey(world.current)


def test_another_account_than_the_vaults_is_refused_and_neither_number_is_shown(world: World):
    with pytest.raises(Refused, match="profile admin is of another AWS account than the vault says") as caught:
        world.target(account=Secret("999999999999")).survey(world.current)
    assert not any(number in str(vars(caught.value)) for number in ("999999999999", world.cloud.account))
    assert {each.operation for each in world.faults.asked} == {"GetCallerIdentity"}


def test_a_vault_that_holds_no_account_number_stops_nobody(world: World):
    assert world.target(account=None).survey(world.current) == (world.key.id,)


def test_an_inventory_that_has_no_place_for_the_probe_is_refused_before_anything_is_asked(world: World):
    with pytest.raises(Refused, match="write nowhere that a key could be proven") as caught:
        world.target(prefixes=("var/lib/pgbackrest/",)).survey(world.current)
    assert "chronos-probe/" in str(caught.value.hint)
    assert not world.faults.asked


def test_a_right_that_the_admin_lacks_is_named(world: World):
    world.faults.add(bad.FORBIDDEN, "CreateAccessKey")
    with pytest.raises(
        TargetFailed, match=r"AWS does not allow iam:CreateAccessKey for IAM user .* to profile admin"
    ) as e:
        world.issue()
    assert e.value.exit == Exit.TARGET
    assert "arn:" not in str(vars(e.value))
    assert world.keys == {world.key.id}


# --- the admin's session ----------------------------------------------------------------------------------------------


def _sso(home: Path, *, token: bool) -> None:
    """A profile "people" that signs in by SSO, with a session that has ended, or with none."""
    aws = home / ".aws"
    (aws / "sso" / "cache").mkdir(parents=True, exist_ok=True)
    (aws / "config").write_text(
        "[profile people]\nsso_start_url = https://birds.invalid/start\nsso_region = ca-central-1\n"
        "sso_account_id = 000000000000\nsso_role_name = Admin\nregion = ca-central-1\n"
    )
    if token:
        import hashlib

        name = hashlib.sha1(b"https://birds.invalid/start", usedforsecurity=False).hexdigest()
        held = {"accessToken": secrets.token_hex(20), "expiresAt": "2025-01-01T00:00:00Z"}
        (aws / "sso" / "cache" / f"{name}.json").write_text(json.dumps(held))


@pytest.mark.parametrize("token", [True, False])
def test_an_sso_session_that_has_ended_is_found_before_anything_is_asked(
    world: World, token: bool, monkeypatch: pytest.MonkeyPatch
):
    from botocore import utils
    from botocore.credentials import SSOProvider

    home = Path(os.environ["HOME"])
    _sso(home, token=token)
    # botocore reads these before any test has a home of its own
    monkeypatch.setattr(SSOProvider, "_SSO_TOKEN_CACHE_DIR", str(home / ".aws" / "sso" / "cache"))
    assert utils.SSOTokenLoader
    for ask in (
        lambda target: target.survey(world.current),
        lambda target: target.issue(world.journal(), world.current, frozenset()),
        lambda target: target.deactivate(world.current, world.current),
        lambda target: target.last_use(world.current),
    ):
        with pytest.raises(SignInNeeded) as caught:
            ask(world.target(profile="people"))
        assert caught.value.hint == "aws sso login --profile people"
        assert caught.value.exit == Exit.TARGET
    assert not world.faults.asked
    world.target(profile="people").prove(world.current)


def test_a_profile_that_this_machine_does_not_have_is_told(world: World):
    with pytest.raises(SignInNeeded, match="this machine has no profile nobody for AWS") as caught:
        world.target(profile="nobody").survey(world.current)
    assert caught.value.hint == "aws configure sso --profile nobody"
    assert not world.faults.asked


def test_a_machine_without_any_credentials_is_told(world: World):
    for path in (Path(os.environ["HOME"]) / ".aws").iterdir():
        path.unlink()
    with pytest.raises(SignInNeeded, match="no valid AWS session of the default profile"):
        world.target(profile=None).survey(world.current)


@pytest.mark.parametrize(
    "answer",
    [bad.EXPIRED, bad.EXPIRED._replace(status=400), bad.Answer(400, "ExpiredTokenException"), bad.REFUSED],
)
def test_an_admin_session_that_ends_in_the_middle_is_told_as_such(world: World, answer: bad.Answer):
    world.faults.add(answer, "CreateAccessKey")
    with pytest.raises(SignInNeeded, match="the AWS session of profile admin is not valid any more") as caught:
        world.issue()
    assert caught.value.hint == "aws configure --profile admin"


def test_a_role_that_the_admin_may_not_have_is_a_matter_of_signing_in_and_no_right_that_ours_lacks(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    aws = Path(os.environ["HOME"]) / ".aws"
    with (aws / "config").open("a") as config:
        config.write("\n[profile lent]\nrole_arn = arn:aws:iam::000000000000:role/r\nsource_profile = admin\n")
    monkeypatch.setenv("AWS_ENDPOINT_URL", world.faults.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    world.faults.add(bad.FORBIDDEN, "AssumeRole")
    with pytest.raises(SignInNeeded, match="the AWS session of profile lent is not valid any more") as caught:
        world.target(profile="lent").survey(world.current)
    assert caught.value.hint == "aws configure --profile admin"
    assert [each.operation for each in world.faults.asked] == ["AssumeRole"]


# --- bad days ---------------------------------------------------------------------------------------------------------

ONCE = [bad.LOST, bad.CUT, bad.RESET, bad.BROKEN, bad.AWAY, bad.THROTTLED, bad.FULL, bad.HOTEL]


@pytest.mark.parametrize("fault", ONCE, ids=lambda fault: fault if isinstance(fault, str) else fault.code or "hotel")
def test_an_answer_that_goes_wrong_once_leaves_the_old_key_and_one_new(world: World, fault: bad.Answer | str):
    world.faults.add(fault, "CreateAccessKey")
    new = world.issue()
    assert world.keys == {world.key.id, id_of(new)}
    assert world.cloud.takes(Key(id_of(new), new[SECRET].reveal()))
    assert world.faults.count("CreateAccessKey") == 2


def test_an_answer_that_comes_too_late_leaves_the_old_key_and_one_new(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clients, "READ_TIMEOUT", 0.5)
    world.faults.add(bad.LATE, "CreateAccessKey", seconds=1.5)
    new = world.issue()
    assert world.keys == {world.key.id, id_of(new)}


@pytest.mark.parametrize("fault", [bad.LOST, bad.THROTTLED])
def test_after_three_tries_it_is_incomplete_and_the_next_run_leaves_the_old_key_and_one_new(
    world: World, fault: bad.Answer | str
):
    world.faults.add(fault, "CreateAccessKey", times=3)
    with pytest.raises(Incomplete, match=r"did not give IAM user .* a key in 3 tries"):
        world.issue()
    assert world.faults.count("CreateAccessKey") == 3
    assert world.cloud.takes(world.key)
    new = world.issue()
    assert world.keys == {world.key.id, id_of(new)}


@pytest.mark.parametrize("fault", [bad.LOST, bad.RESET, bad.BROKEN, bad.THROTTLED])
def test_what_may_be_asked_twice_is_asked_again(world: World, fault: bad.Answer | str):
    target, new = world.target(), world.issue()
    for operation in ("ListAccessKeys", "UpdateAccessKey", "DeleteAccessKey"):
        world.faults.add(fault, operation)
    target.deactivate(world.current, new)
    target.delete(world.current, new)
    assert world.keys == {id_of(new)}


@pytest.mark.parametrize("fault", [bad.LOST, bad.RESET, bad.BROKEN, bad.THROTTLED])
def test_a_proof_goes_on_after_a_bad_answer(world: World, fault: bad.Answer | str):
    for operation in ("GetCallerIdentity", "PutObject", "GetObject", "DeleteObject"):
        world.faults.add(fault, operation)
    world.target().prove(world.current)


def test_a_target_that_only_answers_with_errors_is_away_and_not_a_bad_key(world: World):
    world.faults.add(bad.BROKEN, "PutObject", times=10**6)
    with pytest.raises(Unanswered) as caught:
        world.target(HASTY).prove(world.current)
    assert caught.value.exit == Exit.TARGET


def test_a_network_that_is_gone_is_told_at_once(world: World):
    machine = Machine(HERE, Place(REGION, "http://127.0.0.1:1"), "admin")
    target = IamKeys(Service(world.user, None, world.bucket, (PROBES,)), machine, patience=QUICK)
    for ask in (
        lambda: target.survey(world.current),
        lambda: target.prove(world.current),
        lambda: target.issue(world.journal(), world.current, frozenset()),
    ):
        with pytest.raises(Away) as caught:
            ask()
        assert caught.value.exit == Exit.TARGET


@pytest.mark.parametrize("operation", ["GetCallerIdentity", "CreateAccessKey", "PutObject"])
def test_a_wrong_clock_is_told_as_such(world: World, operation: str):
    world.faults.add(bad.SKEWED, operation, times=10)
    with pytest.raises(CannotTell, match="the clock of this machine is wrong") as caught:
        _everything(world)
    assert caught.value.hint == "timedatectl status"


@pytest.mark.parametrize("operation", ["GetCallerIdentity", "ListAccessKeys", "CreateAccessKey", "GetObject"])
def test_a_network_that_answers_for_aws_is_told(world: World, operation: str):
    world.faults.add(bad.HOTEL, operation, times=10**6)
    with pytest.raises((TargetFailed, Incomplete)):
        _everything(world, HASTY)


def _everything(world: World, patience: Patience = QUICK) -> None:
    target = world.target(patience)
    target.survey(world.current)
    target.prove(target.issue(world.journal(), world.current, frozenset()))


@pytest.mark.parametrize("looks", [1, 2])
def test_a_list_that_lags_behind_is_looked_at_again_before_another_key_is_asked_for(world: World, looks: int):
    lag = iter(range(looks))

    def lagging(call: Call) -> str | None:
        behind = call.operation == "ListAccessKeys" and world.faults.count("CreateAccessKey") == 1
        return bad.STALE if behind and next(lag, None) is not None else None

    world.faults.script = lagging
    world.faults.add(bad.LOST, "CreateAccessKey")
    new = world.issue()
    assert next(lag, None) is None
    assert world.keys == {world.key.id, id_of(new)}


@pytest.mark.parametrize("step", ["deactivate", "delete"])
def test_a_key_that_goes_between_two_questions_is_gone(world: World, step: str):
    new = world.issue()

    def meanwhile(call: Call) -> None:
        if call.operation in ("UpdateAccessKey", "DeleteAccessKey"):
            world.cloud.delete(world.user, world.key.id)

    world.faults.script = meanwhile
    getattr(world.target(), step)(world.current, new)
    assert world.keys == {id_of(new)}


def test_a_probe_that_another_proof_deleted_is_written_again(world: World):
    times = iter(range(2))

    def meanwhile(call: Call) -> None:
        if call.operation == "GetObject" and next(times, None) is not None:
            world.cloud.client("s3").delete_object(Bucket=BUCKET, Key=PROBES + world.user)

    world.faults.script = meanwhile
    world.target().prove(world.current)
    assert world.faults.count("GetObject") == 3 + 2


# --- strays -----------------------------------------------------------------------------------------------------------


def test_what_a_killed_run_left_is_deleted_and_a_key_is_asked_for_anew(world: World):
    lost = world.cloud.key(world.user)
    new = world.issue()
    assert world.keys == {world.key.id, id_of(new)}
    assert lost.id not in world.keys
    assert f"...{lost.id[-4:]}" in world.said[0]


NOT_OURS = {
    "no answer of this rotation is outstanding": lambda _: {"phase": Phase.CREATED},
    f"the rotation was begun on {THERE}": lambda _: {"machine": THERE},
    "this machine stored it once": lambda lost: {"known": frozenset({lost.id})},
}


@pytest.mark.parametrize("reason", NOT_OURS)
def test_a_key_that_is_not_provably_a_stray_is_refused_and_left_alone(world: World, reason: str):
    foreign = world.cloud.key(world.user)
    with pytest.raises(Refused, match=reason):
        world.issue(**NOT_OURS[reason](foreign))
    assert world.keys == {world.key.id, foreign.id}
    assert not world.faults.count("CreateAccessKey")


@only("moto")
@pytest.mark.parametrize("hours", [-2, 2])
def test_a_key_that_was_created_at_another_time_is_refused_and_left_alone(world: World, hours: int):
    foreign = world.cloud.key(world.user)
    with pytest.raises(Refused, match="it was not created when this rotation asked for one"):
        world.issue(begun=datetime.now(UTC) + timedelta(hours=hours))
    assert world.keys == {world.key.id, foreign.id}


@only("moto")
def test_a_key_that_somebody_has_used_is_refused_and_left_alone(world: World):
    foreign = world.cloud.key(world.user)
    assert world.cloud.takes(foreign)
    with pytest.raises(Refused, match="somebody has used it"):
        world.issue()
    assert world.keys == {world.key.id, foreign.id}


@only("moto")
def test_a_key_that_somebody_made_meanwhile_takes_the_last_place_and_is_refused(world: World):
    made: list[Key] = []

    def meanwhile(call: Call) -> None:
        if call.operation == "CreateAccessKey" and not made:
            made.append(world.cloud.key(world.user))
            assert world.cloud.takes(made[0])

    world.faults.script = meanwhile
    with pytest.raises(Refused, match="somebody has used it"):
        world.issue()
    assert world.keys == {world.key.id, made[0].id}


# --- TLS, and where AWS is --------------------------------------------------------------------------------------------


def _directly(world: World, ca_bundle: str | None) -> IamKeys:
    machine = Machine(HERE, Place(REGION, world.cloud.url, ca_bundle), "admin")
    return IamKeys(Service(world.user, None, world.bucket, (PROBES,)), machine, patience=QUICK)


@only("seaweed")
def test_a_server_is_believed_by_the_certificates_that_the_settings_name(world: World):
    assert _directly(world, world.cloud.certificate).survey(world.current) == (world.key.id,)


@only("seaweed")
def test_a_server_that_no_certificate_vouches_for_is_told_and_gets_nothing(world: World):
    with pytest.raises(Away, match="certificate verify failed"):
        _directly(world, None).survey(world.current)


def test_no_error_and_no_word_repeats_a_secret(world: World):
    new = world.issue()
    texts = list(world.said)
    for fault in (bad.REFUSED, bad.FORBIDDEN, bad.BROKEN, bad.SKEWED, bad.HOTEL):
        world.faults.clear()
        world.faults.add(fault, times=10**6)
        for ask in _asks(world, new):
            with pytest.raises(ChronosError) as caught:
                ask()
            texts.append(f"{vars(caught.value)} {caught.value.__cause__!r} {caught.value.__context__!r}")
    hidden = [new[SECRET].reveal(), world.key.secret, world.cloud.admin.secret, world.cloud.account]
    assert not [word for word in hidden for text in texts if word in text]


def _asks(world: World, new: Material) -> list[Callable[[], object]]:
    target = world.target(HASTY._replace(proof=0.0))
    return [
        lambda: target.survey(world.current),
        lambda: target.prove(new),
        lambda: target.issue(world.journal(), world.current, frozenset()),
        lambda: target.deactivate(world.current, new),
        lambda: target.delete(world.current, new),
    ]
