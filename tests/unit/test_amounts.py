"""Times, sizes and numbers in words."""

from datetime import timedelta

import pytest

from chronos_secrets.amounts import counted, lasting, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"), (0, "0 s"), (59.9, "59 s"), (200, "3 min 20 s"), (300, "5 min"), (3600, "1 h"),
        (12000, "3 h 20 min"), (172805, "2 d"), (187200, "2 d 4 h"),
    ],
)  # fmt: skip
def test_a_time_is_told_in_its_two_greatest_units(seconds: float, text: str):
    assert lasting(seconds) == lasting(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "?"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (4110640, "3.9 MiB"), (104857600, "100 MiB"),
     (5 << 40, "5.0 TiB")],
)  # fmt: skip
def test_a_size_is_told_in_its_greatest_unit(number: int | None, text: str):
    assert size(number) == text


def test_one_of_a_thing_is_not_several():
    assert [counted(each, "backup") for each in (0, 1, 2)] == ["0 backups", "1 backup", "2 backups"]
