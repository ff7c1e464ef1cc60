"""What a person is told and asked to renew a credential of one kind, and what is wrong with what is pasted. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from chronos_secrets.secret import Secret

_LEAST = 8  # characters; what is shorter was not copied whole


class Way(NamedTuple):
    """How a person renews credentials of one kind.

    `make` says how to get a new secret, `proof` how a person makes sure of it ("" where that cannot be done). `fault`
    says what is wrong with a new secret, given the current one.
    """

    word: str
    make: str
    proof: str
    fault: Callable[[Secret, Secret], str | None]
    tidy: Callable[[Secret], Secret]
    size: Callable[[Secret], str]
    lines: bool = False
    overlaps: bool = False
    expires: bool = False


def _line(pasted: Secret) -> Secret:
    """Without the one line end that comes with a copied line."""
    return Secret(re.sub(rb"\r?\n\Z", b"", pasted.reveal_bytes()))


def _length(value: Secret) -> str:
    return f"{len(value.reveal())} characters"


def _token_fault(value: Secret, current: Secret) -> str | None:
    text = value.reveal()
    if "://" in text:
        return "that is an address"
    if any(each.isspace() for each in text):
        return "it has spaces in it"
    return _password_fault(value, current)


def _password_fault(value: Secret, current: Secret) -> str | None:
    text = value.reveal()
    if not text.strip():
        return "nothing was pasted"
    if value == current:
        return "that is the one which is in the vault already"
    if text != text.strip() or not text.isprintable():
        return "it begins or ends with a space, or holds what nobody can type"
    return f"it has fewer than {_LEAST} characters" if len(text) < _LEAST else None


_NUMBERING = re.compile(r"^\s*(?:[0-9]{1,3}[.):]|[-*•])\s+")
_COLUMNS = re.compile(r"\s{2,}|\t")


def codes(value: Secret) -> list[str]:
    """The codes of a text that has them line by line or in columns, numbered or not."""
    lines = (_NUMBERING.sub("", line).strip() for line in value.reveal().splitlines())
    return [code for line in lines for code in _COLUMNS.split(line) if code]


def _tidy_codes(pasted: Secret) -> Secret:
    return Secret("\n".join(codes(pasted)))


def _count(value: Secret) -> str:
    return f"{len(codes(value))} codes"


def _codes_fault(value: Secret, current: Secret) -> str | None:
    found, old = codes(value), set(codes(current))
    if not found:
        return "nothing was pasted"
    seen: dict[str, int] = {}
    for number, code in enumerate(found, 1):
        if code in seen:
            return f"codes {seen[code]} and {number} are the same"
        if code in old:
            return f"code {number} is an old one, which is in the vault already"
        seen[code] = number
    return None


KINDS: Mapping[str, Way] = {
    "api-token": Way(
        "token",
        "Make a new token: {page} (leave the old one alone until you are asked to revoke it). Then paste it here.",
        "Try the token now: it is in the entry '{entry}', as {kept} until it is in use.",
        _token_fault, _line, _length, overlaps=True, expires=True,
    ),
    "account": Way(
        "password",
        "Choose a new password, with KeePassXC's generator for one, and paste it here before you set it anywhere.",
        "Set that password: {page} (it is in the entry '{entry}', as {kept} until it is in use). Then log in with it.",
        _password_fault, _line, _length,
    ),
    "recovery-codes": Way(
        "recovery codes",
        "Make new codes: {page}. The old ones end with that. Then paste all of them here.",
        "",
        _codes_fault, _tidy_codes, _count, lines=True,
    ),
}  # fmt: skip
"""The kinds of credentials that a person renews."""
