"""Times, sizes and numbers in words for a person. Pure."""

from datetime import timedelta

_MIB = 1024 * 1024


def lasting(time: timedelta) -> str:
    """A time in at most two units: 40 s, 5 min, 3 h 20 min, 2 d 4 h."""
    whole = max(0, int(time.total_seconds()))
    if whole < 60:
        return f"{whole} s"
    minutes, hours, days = whole // 60 % 60, whole // 3600 % 24, whole // 86400
    units = ((days, "d"), (hours, "h"), (minutes, "min"))
    first = next(index for index, (number, _) in enumerate(units) if number)
    return " ".join(f"{number} {unit}" for number, unit in units[first : first + 2] if number)


def size(number: int) -> str:
    """Bytes for a person."""
    for unit, least in (("GiB", 1024 * _MIB), ("MiB", _MIB), ("KiB", 1024)):
        if number >= least:
            return f"{number / least:.1f} {unit}"
    return f"{number} B"


def counted(number: int, what: str) -> str:
    """A number with the name of what was counted."""
    return f"{number} {what}{'' if number == 1 else 's'}"
