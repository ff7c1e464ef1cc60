"""Masking: a value is found however it was cut and spelled, and nothing else is touched."""

import base64
import json
import random
import string
import time
import urllib.parse

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chronos_secrets.systems.masking import LEAST, MASK, Mask, is_maskable, spellings

# Few letters, so that values begin, end and overlap with each other and with the text.
VALUES = st.lists(st.text("ab\n", min_size=4, max_size=9).map(str.encode), min_size=1, max_size=4)
PIECES = st.lists(st.text("ab\nc", max_size=7).map(str.encode), max_size=20)


def word(seed: int, size: int = 24) -> bytes:
    """A made-up value."""
    chance = random.Random(seed)
    return "".join(chance.choice(string.ascii_letters + string.digits) for _ in range(size)).encode()


def masked(text: bytes, *values: bytes) -> bytes:
    """A whole text at once."""
    mask = Mask(spellings(values))
    return mask.feed(text) + mask.end()


def offsets(text: bytes, spelled: tuple[bytes, ...]) -> list[int | None]:
    """For each byte, how far into a value it is (the one that began first), None outside of any: by definition."""
    found: list[int | None] = [None] * len(text)
    for at in range(len(text)):
        for spelling in spelled:
            if text.startswith(spelling, at):
                found[at : at + len(spelling)] = (
                    offset if before is None else before for offset, before in enumerate(found[at : at + len(spelling)])
                )
    return found


# --- where a value stands ---------------------------------------------------------------------------------------------


def test_a_value_is_replaced_and_what_stands_around_it_is_not():
    assert masked(b"a=" + word(1) + b" b=" + word(2) + b"\n", word(1), word(2)) == b"a=<masked> b=<masked>\n"


@settings(deadline=None)
@given(PIECES, VALUES)
@example([b"aaa", b"ab", b"aa"], [b"aaaab", b"abaa"])
def test_how_a_text_is_cut_into_writes_makes_no_difference(pieces, values):
    mask = Mask(spellings(values))
    assert b"".join(map(mask.feed, pieces)) + mask.end() == masked(b"".join(pieces), *values)


@settings(deadline=None)
@given(PIECES, VALUES)
def test_every_byte_of_a_value_is_masked_and_no_other_byte(pieces, values):
    text = b"".join(pieces)
    within = offsets(text, spellings(values))
    expected = bytes(byte for byte, offset in zip(text, within, strict=True) if offset is None)
    assert masked(text, *values).replace(MASK, b"") == expected


@settings(deadline=None)
@given(PIECES, VALUES, st.data())
def test_pauses_show_no_byte_of_a_value_but_its_first_ones(pieces, values, data):
    text, spelled = b"".join(pieces), spellings(values)
    mask, shown = Mask(spelled), b""
    for piece in pieces:
        shown += mask.feed(piece)
        if data.draw(st.booleans()):
            shown += mask.glimpse()
    shown += mask.end()
    first = max(1, min(map(len, spelled), default=0) // 4)
    may_be_seen = sum(offset is None or offset < first for offset in offsets(text, spelled))
    assert len(shown.replace(MASK, b"")) <= may_be_seen


def test_a_value_that_comes_byte_by_byte_is_masked():
    mask = Mask(spellings([word(1)]))
    assert b"".join(mask.feed(bytes([byte])) for byte in b"x" + word(1) + b"y") == b"x<masked>y"


def test_of_two_values_that_begin_alike_the_longer_is_masked_whole():
    short, long = word(1, 8), word(1, 8) + word(2, 8)
    assert masked(long + b"." + short + b".", short, long) == b"<masked>.<masked>."
    assert masked(short + word(2, 3) + b".", short, long) == b"<masked>" + word(2, 3) + b"."


def test_of_two_values_that_overlap_no_byte_is_shown():
    both = word(1, 30)
    assert masked(b"<" + both + b">", both[:20], both[10:]) == b"<<masked>>"
    mask = Mask(spellings([both[:20], both[10:]]))
    assert mask.feed(both[:20]) + mask.feed(both[20:] + b">") == b"<masked>>"


def test_a_value_within_another_does_not_uncover_the_rest():
    outer = word(1, 30)
    assert masked(outer, outer[5:15], outer) == MASK
    assert masked(outer[:-1] + b"!", outer[5:15], outer) == outer[:5] + MASK + outer[15:-1] + b"!"


# --- what is held back ------------------------------------------------------------------------------------------------


def test_a_prompt_that_ends_as_a_value_begins_appears_after_a_pause():
    value = b"s" + word(1)
    mask = Mask(spellings([value]))
    assert mask.feed(b"your name, pleas") == b"your name, plea"
    assert mask.glimpse() == b"s"
    assert mask.feed(b"e: ") == b"e: "


def test_the_rest_of_a_value_is_masked_though_a_pause_showed_its_first_bytes():
    value = word(1)
    mask = Mask(spellings([value]))
    shown = b"".join(mask.feed(bytes([byte])) + mask.glimpse() for byte in value + b".")
    assert shown == value[:3] + b"<masked>."


def test_of_a_short_value_a_pause_shows_no_more_than_a_quarter():
    value = word(1, 8)
    mask = Mask(spellings([value]))
    assert mask.feed(value[:7]) + mask.glimpse() + mask.glimpse() == value[:2]
    assert mask.feed(value[7:]) + mask.glimpse() == MASK


def test_a_pause_shows_that_a_complete_value_was_masked_though_a_longer_one_might_follow():
    short, long = word(1, 8), word(1, 8) + word(2, 8)
    mask = Mask(spellings([short, long]))
    assert mask.feed(short) == b""
    assert mask.glimpse() == MASK
    assert mask.feed(word(2, 8)) + mask.feed(b".") == b"<masked>."


def test_the_beginning_of_a_value_at_the_end_of_all_output_is_shown():
    mask = Mask(spellings([word(1)]))
    assert mask.feed(b"x" + word(1)[:10]) == b"x"
    assert mask.end() == word(1)[:10]
    assert not mask.holds


def test_no_more_is_held_than_the_longest_value():
    value = b"a" * 3000 + b"b"
    mask = Mask(spellings([value]))
    shown = b"".join(mask.feed(b"a" * 4096) for _ in range(16))
    assert len(shown) >= 16 * 4096 - max(map(len, spellings([value])))


def test_a_value_that_repeats_itself_is_masked_in_no_time():
    mask, before = Mask(spellings([b"a" * 5000])), time.monotonic()
    shown = b"".join(mask.feed(b"a" * 65536) for _ in range(32)) + mask.end()
    assert shown == MASK
    assert time.monotonic() - before < 20  # minutes, if each overlap were looked at


def test_without_a_value_everything_passes_at_once():
    mask = Mask(())
    assert mask.feed(b"\x00\xff all of it") == b"\x00\xff all of it"
    assert not mask.holds


# --- how a value is spelled -------------------------------------------------------------------------------------------

NASTY = f'it\'s {word(1).decode()} "$x" `y` \\n \\ é & / + 漢'
PEM = "-----BEGIN X-----\n" + "\n".join(word(seed, 64).decode() for seed in range(3)) + "\n-----END X-----\n"
SPELLINGS = {
    "as it is": lambda value: value,
    "JSON": json.dumps,
    "JSON with its own letters": lambda value: json.dumps(value, ensure_ascii=False),
    "Python": repr,
    "a percent-encoded part of a URL": lambda value: urllib.parse.quote(value, safe=""),
    "a percent-encoded path": urllib.parse.quote,
    "a form": urllib.parse.quote_plus,
    "between single quotes of a shell": lambda value: "'" + value.replace("'", "'\\''") + "'",
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "base64 behind one byte": lambda value: base64.b64encode(b":" + value.encode()).decode(),
    "base64 behind two bytes": lambda value: base64.b64encode(b"u:" + value.encode()).decode(),
    "base64 before another byte": lambda value: base64.b64encode(value.encode() + b"@").decode(),
}


@pytest.mark.parametrize("how", SPELLINGS)
@pytest.mark.parametrize("value", [NASTY, PEM.strip()], ids=["nasty", "lines"])
def test_a_value_is_found_as(how: str, value: str):
    shown = masked(f"[{SPELLINGS[how](value)}]".encode(), value.encode())
    assert MASK in shown
    assert len(shown) <= len("[''''Og==") + len(MASK) + 8, "more than the rims was shown"


def test_lines_are_found_with_the_line_ends_of_a_terminal():
    assert masked(b"[" + PEM.strip().replace("\n", "\r\n").encode() + b"]", PEM.encode()) == b"[<masked>]"
    assert masked(PEM.strip().encode(), PEM.replace("\n", "\r\n").encode()) == MASK


def test_each_line_of_a_value_is_a_secret_of_its_own_but_for_the_ends_of_a_key():
    indented = "".join(f"{number}  {line}\n" for number, line in enumerate(PEM.splitlines()))
    assert masked(indented.encode(), PEM.encode()) == (
        b"0  -----BEGIN X-----\n1  <masked>\n2  <masked>\n3  <masked>\n4  -----END X-----\n"
    )
    codes = b"\n".join(word(seed, 10) for seed in range(8))
    assert masked(b"the second is " + word(1, 10), codes) == b"the second is <masked>"


def test_short_lines_of_a_value_are_not_masked_alone():
    assert masked(b"begin and end\n", b"begin\n" + word(1) + b"\nend\n") == b"begin and end\n"


def test_white_space_around_a_value_need_not_be_printed():
    assert masked(word(1) + b".", b"\n  " + word(1) + b"\n") == b"<masked>."


def test_bytes_that_are_no_text_are_masked_as_they_are_and_in_base64():
    value = bytes(random.Random(5).randbytes(20)).replace(b"\n", b"x") + b"\xff\xfe"
    assert masked(b"[" + value + b"]", value) == b"[<masked>]"
    assert MASK in masked(base64.b64encode(value), value)


@pytest.mark.parametrize("value", [b"", b"abc", "äöü".encode(), b"  abc \n", b"\n\n\n\n\n"])
def test_a_value_of_fewer_than_four_characters_is_not_masked(value: bytes):
    assert LEAST == 4
    assert not is_maskable(value)
    assert spellings([value]) == ()


def test_a_value_of_four_characters_is_masked():
    assert is_maskable(word(1, 4))
    assert masked(b"." + word(1, 4) + b".", word(1, 4)) == b".<masked>."
