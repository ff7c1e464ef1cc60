"""AWS, through boto3: the only module that imports it."""

import re
from typing import NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import CannotTell, NotHonoured, words

CONNECT_TIMEOUT = 10  # seconds
READ_TIMEOUT = 20  # seconds

_KEY_ID = re.compile(r"[A-Za-z0-9_]{16,128}")  # what the IAM API reference allows
_CLOCK = re.compile(r"Signature (expired|not yet current)|RequestTimeTooSkewed")
_NOT_THE_KEY = frozenset({"Throttling", "ThrottlingException", "RegionDisabledException", "OptInRequired"})


class Caller(NamedTuple):
    """Whom AWS takes the holder of an access key for."""

    account: str
    arn: str

    @property
    def user(self) -> str | None:
        """The name of the IAM user; None for a role, a federated user or the account's root."""
        kind, slash, path = self.arn.rpartition(":")[2].partition("/")
        return path.rpartition("/")[2] if slash and kind == "user" else None


def caller(access_key_id: Secret, secret_access_key: Secret, *, region: str, endpoint: str | None) -> Caller:
    """Ask STS whose key this is (GetCallerIdentity), which every valid key may do and which changes nothing.

    `endpoint` is a URL; None is AWS's own of the region, which AWS_ENDPOINT_URL_STS and ~/.aws/config may replace. The
    secret signs the request and does not travel.
    Raises NotHonoured for a key that is unknown, inactive or does not go with its secret, CannotTell, TargetFailed.
    """
    key_id = access_key_id.reveal()
    if not _KEY_ID.fullmatch(key_id):
        raise NotHonoured("its access_key_id is not one: 16 letters and digits or more")
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    settings = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"total_max_attempts": 2, "mode": "standard"},
    )
    try:
        session = boto3.session.Session(key_id, secret_access_key.reveal(), region_name=region)
        found = session.client("sts", endpoint_url=endpoint, config=settings).get_caller_identity()
    except ClientError as error:
        raise _refusal(error.response) from error
    except ResponseParserError as error:  # such as the page of a hotel's network
        raise TargetFailed("what answers for AWS STS is not AWS STS") from error
    except BotoCoreError as error:
        raise TargetFailed(f"AWS STS cannot be asked: {words(str(error))}") from error
    return Caller(str(found.get("Account", "")), str(found.get("Arn", "")))


def _refusal(response: object) -> TargetFailed:
    """What an answer means that is no success. An S3 server may give the status alone, with no code."""
    told = response if isinstance(response, dict) else {}
    error, status = told.get("Error", {}), told.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code = str(error.get("Code", ""))
    said = words(f"{code}: {error.get('Message', '')}")
    if _CLOCK.search(said):
        return CannotTell(f"the clock of this machine is wrong, says AWS STS: {said}", hint="timedatectl status")
    if code in _NOT_THE_KEY or status not in (401, 403):
        return TargetFailed(f"AWS STS answered {status}: {said}")
    return NotHonoured(f"AWS does not take the key: {said}")
