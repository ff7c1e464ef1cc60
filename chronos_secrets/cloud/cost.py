"""What a bucket costs for a month: from the sizes of all its versions, a price table and what writes to it.

Pure. Money is a fraction of a US dollar, so that sums are exact; a GB is 2^30 bytes, as on AWS's bill. Facts of S3 used
here: some classes bill an object as 128 KiB at least; Glacier and Deep Archive add 32 KiB of the class and 8 KiB of
STANDARD to each object; by default nothing below 128 KiB moves; a rule's days count from the write, those of a
noncurrent version from when it was replaced; deleting is free, but some classes bill a least time.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import NamedTuple, Protocol

from chronos_secrets.cloud.desired import LEAST_DAYS, Lifecycle
from chronos_secrets.cloud.prices import Price, Prices

GB = 1 << 30
SMALL = 128 * 1024
MONTH = 30  # days

_AS_SMALL = frozenset({"STANDARD_IA", "ONEZONE_IA", "GLACIER_IR"})
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_OWN, _STANDARDS = 32 * 1024, 8 * 1024  # bytes that an archive adds to each object
NEVER = Lifecycle(None, None, None, None, None, None)
"""The lifecycle of a bucket that has none."""


class Seen(Protocol):
    """One version of an object, as S3 lists it."""

    @property
    def key(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def storage(self) -> str: ...
    @property
    def current(self) -> bool: ...
    @property
    def marker(self) -> bool: ...
    @property
    def written(self) -> datetime: ...
    @property
    def since(self) -> datetime: ...


class Cell(NamedTuple):
    """What versions have in common that are counted together. `age` is in days, of what a rule counts from."""

    storage: str
    current: bool
    moves: bool  # whether it is large enough to be moved by a lifecycle rule
    age: int


class Amount(NamedTuple):
    """So many versions and their bytes; `billed` is at least 128 KiB each, `small` are those below that."""

    versions: int = 0
    size: int = 0
    billed: int = 0
    small: int = 0

    def __add__(self, other: tuple[object, ...]) -> "Amount":
        if not isinstance(other, Amount):
            return NotImplemented
        return Amount(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class Usage(NamedTuple):
    """What lies in a bucket. As large as there are days, however many versions there are."""

    cells: Mapping[Cell, Amount]
    markers: int  # delete markers, billed for their names alone: not counted here
    written: int  # versions that were written within the last month

    def total(self, storage: str | None = None, *, current: bool | None = None) -> Amount:
        """The sum of a storage class, of current or noncurrent versions, or of all."""
        found = Amount()
        for cell, amount in self.cells.items():
            if storage in (None, cell.storage) and current in (None, cell.current):
                found += amount
        return found

    @property
    def classes(self) -> tuple[str, ...]:
        """The storage classes in use, by name."""
        return tuple(sorted({cell.storage for cell in self.cells}))


def measure(found: Iterable[Seen], now: datetime, rules: Lifecycle) -> Usage:
    """Count versions as they come; none is kept. A clock that is behind makes what is written now 0 days old."""
    cells: defaultdict[Cell, Amount] = defaultdict(Amount)
    markers = written = 0
    least = _least_to_move(rules)
    for each in found:
        if each.marker:
            markers += 1
            continue
        written += (now - each.written).days < MONTH
        cell = Cell(each.storage, each.current, each.size >= least, max((now - each.since).days, 0))
        cells[cell] += Amount(1, each.size, max(each.size, SMALL), each.size < SMALL)
    return Usage(dict(cells), markers, written)


def _least_to_move(rules: Lifecycle) -> int:
    """The size (bytes) from which a rule moves objects: a limit of its own wins over S3's."""
    return SMALL if rules.min_size is None else rules.min_size + 1  # what is greater than the limit is moved


class Line(NamedTuple):
    """One product of the bill: `quantity` (bytes, or a number) of `unit` (bytes or number for a price) at `price`."""

    kind: str  # storage, transition or requests
    what: str
    quantity: int
    per: int
    price: Price | None

    @property
    def cost(self) -> Fraction:
        """US dollars; 0 where the table has no price."""
        return Fraction(self.quantity, self.per) * Fraction(self.price.usd) if self.price else Fraction(0)


class Requests(NamedTuple):
    """What writes to the bucket in a month. None is what the inventory does not say."""

    segments: int | None  # of WAL, at most
    runs: int | None  # of backups


class Bill(NamedTuple):
    """The lines of a month, and what they leave out."""

    lines: tuple[Line, ...]

    @property
    def total(self) -> Fraction:
        """US dollars a month."""
        return sum((line.cost for line in self.lines), Fraction(0))

    @property
    def prices(self) -> tuple[Price, ...]:
        """The prices that were used."""
        return tuple(line.price for line in self.lines if line.price)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """What the table has no price for: the total is too low by that."""
        return tuple(line.what for line in self.lines if line.price is None)


def bill(usage: Usage, prices: Prices, rules: Lifecycle, requests: Requests) -> Bill:
    """The month from now on."""
    moving = _moving(usage, rules)
    return Bill((*_storage(usage, prices), *_transitions(moving, prices), *_requests(usage, prices, requests)))


def forecast(usage: Usage, prices: Prices, rules: Lifecycle, requests: Requests, months: int) -> list[Bill]:
    """The bill of each month, if nothing is written or deleted but by the lifecycle, and requests stay as they are."""
    bills = []
    for _ in range(months):
        bills.append(bill(usage, prices, rules, requests))
        usage = _a_month_later(usage, rules)
    return bills


def early(usage: Usage, prices: Prices, rules: Lifecycle) -> list[tuple[str, Amount, Fraction]]:
    """What deleting all of a storage class today would cost for the least time that it bills: class, how much, dollars.

    What a rule moved counts from the rule's day; of noncurrent versions the day of the move is not known, so they count
    from when they were replaced.
    """
    found = dict[str, tuple[Amount, Fraction]]()
    for cell, amount in usage.cells.items():
        left = LEAST_DAYS.get(cell.storage, 0) - _days_in_class(cell, rules)
        if left > 0:
            before, cost = found.get(cell.storage, (Amount(), Fraction(0)))
            cost += Fraction(amount.size * left, GB * MONTH) * Fraction(prices.storage[cell.storage].usd)
            found[cell.storage] = before + amount, cost
    return [(storage, *each) for storage, each in sorted(found.items())]


def _days_in_class(cell: Cell, rules: Lifecycle) -> int:
    moved = rules.moves.get(cell.storage)
    return cell.age - moved if moved is not None and cell.age >= moved else cell.age


def _storage(usage: Usage, prices: Prices) -> list[Line]:
    lines, extra = [], 0
    for storage in usage.classes:
        for current in (True, False):
            amount = usage.total(storage, current=current)
            if not amount.versions:
                continue
            size = amount.billed if storage in _AS_SMALL else amount.size
            if storage in _ARCHIVES:
                size, extra = size + _OWN * amount.versions, extra + _STANDARDS * amount.versions
            what = f"{storage}, {'current' if current else 'noncurrent'}"
            lines.append(Line("storage", what, size, GB, prices.storage.get(storage)))
    if extra:
        lines.append(Line("storage", "STANDARD, names of archived objects", extra, GB, prices.storage.get("STANDARD")))
    return lines


def _moving(usage: Usage, rules: Lifecycle) -> dict[str, int]:
    """How many objects the lifecycle moves within a month, by the class that they come to."""
    found: defaultdict[str, int] = defaultdict(int)
    for cell, amount in usage.cells.items():
        for target in _passed(cell, rules, cell.age + MONTH):
            found[target] += amount.versions
    return dict(found)


def _passed(cell: Cell, rules: Lifecycle, age: int) -> list[str]:
    """The classes that what is in `cell` comes to until it has that age; none for what expires before."""
    if not (cell.current and cell.moves) or (rules.expire is not None and cell.age >= rules.expire):
        return []
    known = ["STANDARD", "GLACIER_IR", "DEEP_ARCHIVE"]
    if cell.storage not in known:
        return []
    later = known[known.index(cell.storage) + 1 :]
    return [storage for storage, day in rules.moves.items() if storage in later and day <= age]


def _transitions(moving: Mapping[str, int], prices: Prices) -> list[Line]:
    return [
        Line("transition", f"moves to {storage}", number, 1000, prices.transition.get(storage))
        for storage, number in moving.items()
    ]


def _a_month_later(usage: Usage, rules: Lifecycle) -> Usage:
    """What is left after a month in which only the lifecycle did something. A current object that expires is kept as
    a noncurrent one, as in a bucket with versions."""
    cells: defaultdict[Cell, Amount] = defaultdict(Amount)
    for cell, amount in usage.cells.items():
        age = cell.age + MONTH
        reached = _passed(cell, rules, age)
        storage = reached[-1] if reached else cell.storage
        if not cell.current and rules.noncurrent is not None and age > rules.noncurrent:
            continue
        if cell.current and rules.expire is not None and age > rules.expire:
            cells[Cell(storage, False, cell.moves, age - rules.expire)] += amount
        else:
            cells[Cell(storage, cell.current, cell.moves, age)] += amount
    return Usage(dict(cells), usage.markers, usage.written)


# pgBackRest 2.45 looks for a WAL segment by a listing before it writes it, and reads archive.info each time. A run of a
# backup reads and lists the stanza's files (backup.info, the manifest, what expires): 20 requests are assumed.
_OF_A_RUN = 20


def _requests(usage: Usage, prices: Prices, requests: Requests) -> list[Line]:
    put, get = prices.requests.get("put"), prices.requests.get("get")
    segments, runs = requests.segments or 0, requests.runs or 0
    lines = [
        Line("requests", "PUT: objects written in the last 30 days", usage.written, 1000, put),
        Line("requests", "PUT: WAL segments, at most, beyond these", max(segments - usage.written, 0), 1000, put),
        Line("requests", "LIST: one for each WAL segment", segments, 1000, put),
        Line("requests", "GET: one for each WAL segment", segments, 1000, get),
        Line("requests", f"LIST and GET of backups: {_OF_A_RUN} for each run, assumed", _OF_A_RUN * runs, 1000, put),
    ]
    return [line for line in lines if line.quantity]
