"""Clients of AWS's services, and their failures as ours."""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from chronos_secrets.errors import TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems.answers import NotHonoured, words
from chronos_secrets.systems.aws.refusals import (
    EXPIRED,
    Away,
    SignInNeeded,
    Unanswered,
    code_of,
    refusal,
)

CONNECT_TIMEOUT = 10  # seconds
READ_TIMEOUT = 20  # seconds
TRIES = 4

_WAYS_IN = {"login_session": "login", "aws_access_key_id": "configure", "credential_process": "configure list"}
_NAMES = {"iam": "IAM", "sts": "STS", "s3": "S3", "s3control": "S3", "ec2": "EC2"}


class Place(NamedTuple):
    """Where AWS is. `endpoint` is the URL at which every service is asked; None is AWS's own of each service, which
    AWS_ENDPOINT_URL and ~/.aws/config may replace. `ca_bundle` is a file of certificates to trust, or None."""

    region: str
    endpoint: str | None = None
    ca_bundle: str | None = None


class Admin(NamedTuple):
    """Somebody who has to sign in now and then: a profile of ~/.aws/config, or None for the default one."""

    profile: str | None


class Clients:
    """The clients of one asker, each made on first use. Make it with `of_key` or `of_profile`."""

    def __init__(self, place: Place, session: Callable[[], Any], admin: "Admin | None" = None) -> None:
        self._place, self._open, self._admin = place, session, admin
        self._session: Any = None
        self._made: dict[tuple[str, str], Any] = {}

    @property
    def who(self) -> str:
        """Whose credentials sign the requests, in words."""
        if self._admin is None:
            return "the key"
        return f"profile {self._admin.profile}" if self._admin.profile else "the default profile"

    def client(self, service: str, *, once: str = "") -> Any:
        """The client of a service of `_NAMES`. One that sends a request `once` says in its user agent why.

        Raises what `translated` makes of botocore's errors, so call it inside of that.
        """
        if self._session is None:
            self._session = self._open()
        if (service, once) not in self._made:
            place = self._place
            self._made[service, once] = self._session.client(
                service,
                region_name=place.region,
                endpoint_url=place.endpoint,
                verify=place.ca_bundle,
                config=_config(once, path_style=place.endpoint is not None),
            )
        return self._made[service, once]

    @contextmanager
    def translated(self, service: str, operation: str) -> Iterator[Any]:
        """A client of `service` for the block, whose one operation is `operation`.

        Raises Away, Unanswered, SignInNeeded, and what `refusals.refusal` tells apart.
        """
        with self.failures(service, operation):
            yield self.client(service)

    @contextmanager
    def failures(self, service: str, operation: str) -> Iterator[None]:
        """Make our errors of botocore's, for the block."""
        from botocore import exceptions as theirs
        from botocore.parsers import ResponseParserError

        name = _NAMES[service]
        not_theirs = (ResponseParserError, KeyError)  # such as the page of a hotel's network; KeyError where it is XML
        try:
            yield
        except theirs.ClientError as error:
            raise self._refused(error, name, f"{service}:{operation}") from error
        except not_theirs as error:
            raise Unanswered(f"what answers for AWS {name} is not AWS {name}") from error
        except (theirs.HTTPClientError, theirs.ConnectionError) as error:
            sent = isinstance(error, theirs.HTTPClientError)
            kind = Unanswered if sent else Away
            raise kind(f"AWS {name} cannot be asked: {words(str(error))}") from error
        except (theirs.BotoCoreError, EOFError) as error:  # EOFError: a profile that asks for a code, with no terminal
            raise self._no_credentials(error, name) from error

    def _refused(self, error: Any, service: str, action: str) -> TargetFailed:
        made = refusal(error.response, service, action)
        of_session = action.partition(":")[2] != error.operation_name  # the profile's own, before ours was sent
        if self._admin and (of_session or code_of(error.response) in EXPIRED or isinstance(made, NotHonoured)):
            message = f"the AWS session of {self.who} is not valid any more"
            return SignInNeeded(message, hint=_sign_in(self._admin.profile))
        return made

    def _no_credentials(self, error: Exception, service: str) -> TargetFailed:
        from botocore.exceptions import EndpointProviderError, ParamValidationError, ProfileNotFound

        if self._admin is None or isinstance(error, ParamValidationError | EndpointProviderError):
            return TargetFailed(f"AWS {service} cannot be asked: {words(str(error))}")
        if isinstance(error, ProfileNotFound):
            hint = f"aws configure sso --profile {self._admin.profile}"
            return SignInNeeded(f"this machine has no {self.who} for AWS", hint=hint)
        message = f"there is no valid AWS session of {self.who}: {words(str(error))}"
        return SignInNeeded(message, hint=_sign_in(self._admin.profile))


def of_key(access_key_id: Secret, secret_access_key: Secret, place: Place) -> Clients:
    """Clients that sign with an access key; its secret does not travel."""

    def session() -> Any:
        return _session(
            None, aws_access_key_id=access_key_id.reveal(), aws_secret_access_key=secret_access_key.reveal()
        )

    return Clients(place, session)


def of_profile(profile: str | None, place: Place) -> Clients:
    """Clients with the credentials of a profile of ~/.aws/config; None is what the AWS tools take by default.

    Nothing is looked at before a client is asked for, also whether there is such a profile.
    """
    return Clients(place, lambda: _session(profile), Admin(profile))


def _sign_in(profile: str | None) -> str:
    """The command that gets new credentials for a profile, whose own ones may come from another profile."""
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    found: dict[str, str] = {}
    name = profile
    for _ in range(5):  # a chain may be a circle
        with suppress(BotoCoreError):
            found = Session(profile=name).get_scoped_config()
        if (source := found.get("source_profile")) is None:
            break
        name = source
    word = next((word for key, word in _WAYS_IN.items() if key in found), "sso login")
    return f"aws {word} --profile {name}" if name else f"aws {word}"


def _session(profile: str | None, **key: str) -> Any:
    import boto3
    from botocore.session import Session

    made = Session(profile=profile)
    made.register_component("data_loader", _loader())
    return boto3.session.Session(botocore_session=made, **key)


@functools.cache
def _loader() -> Any:
    """What reads botocore's description of the services. Shared, since reading it is most of what a client costs."""
    from botocore.loaders import create_loader

    return create_loader(os.environ.get("AWS_DATA_PATH"))


def _config(once: str, *, path_style: bool) -> Any:
    from botocore.config import Config

    import chronos_secrets

    agent = f"chronos-secrets/{chronos_secrets.__version__}"
    return Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"total_max_attempts": 1 if once else TRIES, "mode": "standard"},
        user_agent_extra=f"{agent} {once}".strip(),
        s3={"addressing_style": "path"} if path_style else None,
    )
