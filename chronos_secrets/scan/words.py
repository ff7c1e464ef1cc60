"""Does a value look random, or like words and identifiers?

`words.bin` holds what three characters in a row cost in words and identifiers of several languages, in eighths of a
bit (made by `tests/support/wordmodel.py`). Against it stands the cost of the same characters drawn at random.
"""

import os

SYMBOLS = 28
_BOUNDARY, _DIGIT = 0, 27
_LETTER_COST, _DIGIT_COST, _SWITCH_COST = 41, 15, 16  # eighths of a bit: log2(36), log2(3.6), and one in four
_FOLD = bytes(
    0 if not chr(code).isalnum() or code > 127 else 27 if chr(code).isdigit() else (code | 32) - 96
    for code in range(256)
)
_table = b""


def symbols(value: bytes) -> list[int]:
    """The value as the model reads it: letters 1-26, digits 27, and 0 for the ends, a change from aB, and the rest."""
    found = [_BOUNDARY, _BOUNDARY]
    before = 0
    for code in value:
        symbol = _FOLD[code]
        if symbol and 65 <= code <= 90 and (97 <= before <= 122 or 48 <= before <= 57):
            found.append(_BOUNDARY)
        if symbol or found[-1]:
            found.append(symbol)
        before = code
    found.append(_BOUNDARY)
    return found


def randomness(value: bytes) -> float:
    """How many bits cheaper the value is as random characters than as words: above 0 it looks random.

    Per character, about -2 for English and identifiers and +1.5 to +2.5 for generated values.
    """
    table = _table or _load()
    found = symbols(value)
    gained = 0
    first, second = _BOUNDARY, _BOUNDARY
    for third in found[2:]:
        gained += table[first * 784 + second * 28 + third]
        gained -= _LETTER_COST if 0 < third < _DIGIT else _DIGIT_COST if third else 0
        first, second = second, third
    pairs = zip(value, value[1:], strict=False)  # noqa: RUF007  itertools would be one more import
    switches = sum(65 <= new <= 90 and 97 <= old <= 122 for old, new in pairs)
    return (gained - switches * _SWITCH_COST) / 8


def _load() -> bytes:
    global _table  # noqa: PLW0603  read once, and only when a candidate was met
    with open(os.path.join(os.path.dirname(__file__), "words.bin"), "rb") as file:
        _table = file.read()
    return _table
