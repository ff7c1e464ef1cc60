"""A secret has no text form, however one asks for it."""

import copy
import io
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import NamedTuple

import pytest

from chronos_secrets.secret import Secret

VALUE = "correct horse"


class Holder(NamedTuple):
    secret: Secret


REFUSED: dict[str, Callable[[Secret], object]] = {
    "str": str,
    "f-string": lambda secret: f"{secret}",
    "f-string with a width": lambda secret: f"{secret:>40}",
    "percent s": lambda secret: "%s" % secret,  # noqa: UP031  # the point of it
    "format": format,
    "format with a holder": lambda secret: "{held.secret}".format(held=Holder(secret)),  # noqa: UP032  # the point of it
    "join": lambda secret: ",".join([secret]),  # type: ignore[list-item]
    "print": lambda secret: print(secret, file=io.StringIO()),
    "json": json.dumps,
    "json of a dictionary": lambda secret: json.dumps({"secret": secret}),
    "json with default=str": lambda secret: json.dumps(secret, default=str),
    "bytes": bytes,
    "pickle": pickle.dumps,
    "old pickle": lambda secret: pickle.dumps(secret, protocol=0),
    "copy": copy.copy,
    "deep copy": copy.deepcopy,
    "deep copy of a holder": lambda secret: copy.deepcopy([secret]),
    "iteration": iter,
    "index": lambda secret: secret[0],  # type: ignore[index]
    "hash": hash,
    "vars": vars,
    "addition": lambda secret: "prefix" + secret,  # type: ignore[operator]
}


@pytest.mark.parametrize("way", REFUSED)
@pytest.mark.parametrize("kind", ["text", "bytes"])
def test_a_secret_refuses_to_become_text(way, kind):
    with pytest.raises(TypeError) as caught:
        REFUSED[way](Secret(VALUE if kind == "text" else VALUE.encode()))
    assert VALUE not in "".join(traceback.format_exception(caught.value))


SHOWN: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "f-string !r": lambda secret: f"{secret!r}",
    "f-string =": lambda secret: f"{secret=}",
    "percent r": lambda secret: "%r" % secret,  # noqa: UP031  # the point of it
    "list": lambda secret: str([secret]),
    "dictionary": lambda secret: str({"secret": secret}),
    "named tuple": lambda secret: str(Holder(secret)),
    "exception": lambda secret: str(ValueError(secret, "more")),
    "exception's repr": lambda secret: repr(ValueError(secret)),
    "pprint": pprint.pformat,
    "ascii": ascii,
}


@pytest.mark.parametrize("way", SHOWN)
def test_what_shows_a_secret_shows_only_that_it_is_one(way):
    shown = SHOWN[way](Secret(VALUE))
    assert VALUE not in shown
    assert "Secret(hidden)" in shown


@pytest.mark.parametrize("form", ["%s", "%r", "a %s and more"])
def test_a_log_line_never_holds_a_secret(form, capsys):
    stream = io.StringIO()
    logger = logging.Logger("test", logging.DEBUG)
    logger.addHandler(logging.StreamHandler(stream))
    logger.error(form, Secret(VALUE))
    logger.error("in a list: %s", [Secret(VALUE)])
    assert VALUE not in stream.getvalue() + "".join(capsys.readouterr())


def test_a_traceback_with_local_variables_never_holds_a_secret():
    def failing(secret: Secret) -> None:
        raise ValueError("something else went wrong")

    try:
        failing(Secret(VALUE))
    except ValueError as error:
        report = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "Secret(hidden)" in report
    assert VALUE not in report


def test_the_places_that_need_the_value_get_it_exactly():
    text = " žluťoučký \n"
    assert Secret(text).reveal() == text
    assert Secret(text).reveal_bytes() == text.encode()
    assert Secret(b"\xff\x00").reveal_bytes() == b"\xff\x00"
    with pytest.raises(UnicodeDecodeError):
        Secret(b"\xff\x00").reveal()


def test_secrets_are_compared_by_value_and_with_nothing_else():
    assert Secret(VALUE) == Secret(VALUE.encode())
    assert Secret(VALUE) != Secret("other")
    assert Secret(VALUE) != VALUE
    assert Secret(VALUE) not in (None, VALUE, VALUE.encode())


def test_an_empty_secret_is_false_and_its_length_is_in_bytes():
    assert not Secret("")
    assert len(Secret("é")) == 2


def test_a_secret_made_from_a_mutable_buffer_does_not_change_with_it():
    buffer = bytearray(b"first")
    secret = Secret(buffer)  # type: ignore[arg-type]
    buffer[:] = b"other"
    assert secret.reveal() == "first"
