"""Atlassian's cloud: whether it takes an API token."""

import base64
import http.client
import json
import ssl
import urllib.request
from urllib.error import URLError
from urllib.parse import urlsplit

from chronos_secrets.errors import TargetFailed
from chronos_secrets.secret import Secret
from chronos_secrets.systems import files
from chronos_secrets.systems.answers import CannotTell, NotHonoured, words

TIMEOUT = 20.0  # seconds without a byte

_DOMAIN = ".atlassian.net"
# "Who am I" in Jira and in Confluence. A site may have one of them alone; the token is the account's, good for both.
_WHO = ("/rest/api/3/myself", "/wiki/rest/api/user/current")
_LIMIT = 256 * 1024  # bytes of an answer


def try_token(url: Secret, username: Secret, token: Secret) -> str:
    """Ask a site who the token's owner is, which changes nothing. Returns the site's name.

    The token goes over TLS to a site of Atlassian's cloud, never elsewhere: another `url` is refused and a redirection
    is not followed. Raises NotHonoured, CannotTell, TargetFailed.
    """
    site = _site(url.reveal())
    given = base64.b64encode(b"%b:%b" % (username.reveal_bytes(), token.reveal_bytes())).decode()
    status = 404
    for path in _WHO:
        status, answer = _ask(site, path, f"Basic {given}")
        if status == 200 and _names_an_account(answer):
            return site
        if status != 404:
            break
    if status == 401:
        raise NotHonoured(f"{site} does not take the token for this user name")
    if status == 429 or status >= 500:
        raise TargetFailed(f"{site} answered {status}")
    raise CannotTell(f"{site} answered {status} where it should say whose token it is")


def _site(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if parts.scheme != "https" or not host.endswith(_DOMAIN) or port not in (None, 443):
        raise CannotTell(f"its url is no site of Atlassian's cloud (https://NAME{_DOMAIN})")
    return host


def _ask(site: str, path: str, authorization: str) -> tuple[int, bytes]:
    """The status and the body of the answer. Raises TargetFailed where there is none."""
    headers = {"Accept": "application/json", "Authorization": authorization}
    opener = urllib.request.OpenerDirector()  # an empty one follows no redirection, which would carry the token on
    for handler in (urllib.request.ProxyHandler(), urllib.request.HTTPSHandler(context=ssl.create_default_context())):
        opener.add_handler(handler)
    try:
        with opener.open(urllib.request.Request(f"https://{site}{path}", headers=headers), timeout=TIMEOUT) as answer:
            return answer.status, answer.read(_LIMIT)
    except URLError as error:
        why = files.reason(error.reason) if isinstance(error.reason, OSError) else str(error.reason)
        raise TargetFailed(f"{site} cannot be reached: {words(why)}") from error
    except (OSError, http.client.HTTPException) as error:
        raise TargetFailed(f"{site} broke off: {words(str(error) or type(error).__name__)}") from error


def _names_an_account(answer: bytes) -> bool:
    try:
        found = json.loads(answer)
    except ValueError:
        return False
    return isinstance(found, dict) and bool(found.get("accountId"))
