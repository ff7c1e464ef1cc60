"""A value that cannot be printed by accident."""

import hmac
from typing import NoReturn


class Secret:
    """One secret value, text or bytes.

    It has a `repr` that says nothing and no text form at all: `str()`, f-strings, `%s`, JSON and pickling fail loudly.
    The few places that need the value call `reveal` or `reveal_bytes`; a test keeps the list of those places.
    """

    __slots__ = ("_data",)
    __hash__ = None  # type: ignore[assignment]  # a secret is compared in constant time, never looked up

    def __init__(self, value: str | bytes) -> None:
        self._data = value.encode() if isinstance(value, str) else bytes(value)

    def reveal(self) -> str:
        """The value as text. Raises UnicodeDecodeError for bytes that are no UTF-8."""
        return self._data.decode()

    def reveal_bytes(self) -> bytes:
        """The exact bytes of the value."""
        return self._data

    def __len__(self) -> int:
        """How many bytes it has."""
        return len(self._data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._data, other._data)

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __str__(self) -> NoReturn:
        raise TypeError("a secret has no text form")

    def __format__(self, spec: str) -> NoReturn:
        raise TypeError("a secret has no text form")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")
