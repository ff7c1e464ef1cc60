"""Times, sizes and numbers in words for a person, and a moment that a program wrote down read back. Pure."""

from datetime import datetime, timedelta

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def lasting(span: float | timedelta) -> str:
    """A time (a number is of seconds) in its two greatest units: 45 s, 3 min 20 s, 2 d 4 h. None is below 0 s."""
    left = max(0, int(span.total_seconds() if isinstance(span, timedelta) else span))
    parts = []
    for seconds, unit in _UNITS:
        count, left = divmod(left, seconds)
        parts.append((count, unit))
    first = next((at for at, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"


def size(number: int | None) -> str:
    """Bytes; "?" where it is not known how many."""
    if number is None:
        return "?"
    amount = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def counted(number: int, what: str) -> str:
    """A number with the name of what was counted."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def moment(text: str) -> datetime:
    """A moment as `isoformat` writes it, which names its zone. Raises ValueError, TypeError."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a time without a zone")
    return found
