"""What a bucket costs, as lines with their arithmetic and as JSON. Money is US dollars."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any

from chronos_secrets.report.cloud import size

HEADERS = ("$ A MONTH", "WHAT", "HOW")
JsonRow = dict[str, object]

_OLD = timedelta(365)  # after which prices are said to be old
_PLACES = 6  # digits after the point in JSON
_PER = {"storage": "GB", "transition": "1,000", "requests": "1,000"}


def money(amount: Fraction, places: int = 4) -> str:
    """An amount, rounded; small amounts keep digits that say something."""
    rounded = _decimal(amount, places)
    return f"{rounded:,.{places}f}" if rounded or not amount else f"<{Decimal(1).scaleb(-places):f}"


def dollars(amount: Fraction) -> str:
    """An amount within a sentence."""
    said = money(amount)
    return f"less than ${said[1:]}" if said.startswith("<") else f"${said}"


def heading(bucket: str, usage: Any) -> str:
    """What lies in the bucket."""
    now, old = usage.total(current=True), usage.total(current=False)
    return (
        f"{bucket}: {_many(now.versions, 'current object')} ({size(now.size)}), "
        f"{_many(old.versions, 'noncurrent version')} ({size(old.size)}), {_many(usage.markers, 'delete marker')}; "
        f"{now.small + old.small:,} smaller than 128 KiB"
    )


def lines(bill: Any) -> list[tuple[str, str, str]]:
    """The lines of a bill, with quantity x price."""
    return [(money(each.cost) if each.price else "?", each.what, _how(each)) for each in bill.lines]


def total(bill: Any) -> str:
    """The sum of the lines."""
    least = "at least " if bill.unpriced else ""
    return f"total: {least}{dollars(bill.total)} a month"


def months(bills: Sequence[Any]) -> list[str]:
    """Each month from now on, and their sum."""
    rows = [f"month {number}: {dollars(each.total)}" for number, each in enumerate(bills, 1)]
    return [*rows, f"{len(bills)} months: {dollars(sum((each.total for each in bills), Fraction(0)))}"]


def notes(bill: Any, prices: Any, early: Sequence[tuple[str, Any, Fraction]], requests: Any, today: date) -> list[str]:
    """What a reader has to know of the figures."""
    return [*_of_prices(bill, prices, today), *_of_requests(requests), *(_early(*each) for each in early)]


def _of_prices(bill: Any, prices: Any, today: date) -> list[str]:
    found = []
    if not prices.listed:
        found.append(f"the price table has no region {prices.region}")
    if others := sorted({each.region for each in bill.prices if each.region != prices.region}):
        lacking = [each.what for each in bill.lines if each.price and each.price.region in others]
        found.append(f"with prices of {', '.join(others)}, not of {prices.region}: {'; '.join(lacking)}")
    if bill.unpriced:
        found.append(f"the price table has no price for: {'; '.join(bill.unpriced)}")
    days = [each.day for each in bill.prices if each.day is not None]
    if days:
        old = ", which is more than a year ago: look at https://aws.amazon.com/s3/pricing/"
        found.append(f"prices of {min(days)}{old if today - min(days) > _OLD else ''}")
    if any(each.day is None for each in bill.prices):
        found.append("some prices have no date: their sources are in prices.toml")
    return found


def _of_requests(requests: Any) -> list[str]:
    lacking = [("segments", "pgbackrest: archive_timeout"), ("runs", "pgbackrest: schedule")]
    names = [where for name, where in lacking if getattr(requests, name) is None]
    return [f"requests are not all estimated, for the inventory does not say {' or '.join(names)}"] if names else []


def _early(storage: str, amount: Any, cost: Fraction) -> str:
    number = _many(amount.versions, "version")
    return (
        f"{storage} bills a least time: deleting {number} ({size(amount.size)}) today would cost {dollars(cost)} more"
    )


def as_json(bucket: str, prices: Any, usage: Any, bills: Sequence[Any], notes: Sequence[str]) -> JsonRow:
    """The whole reckoning; dollars are numbers, sizes bytes."""
    first = bills[0]
    return {
        "bucket": bucket, "region": prices.region, "currency": "USD",
        "usage": {
            "classes": [_class(usage, storage, now) for storage in usage.classes for now in (True, False)],
            "delete_markers": usage.markers, "written_in_30_days": usage.written,
        },
        "lines": [_line(each) for each in first.lines],
        "total": _number(first.total), "complete": not first.unpriced,
        "months": [_number(each.total) for each in bills], "notes": list(notes),
    }  # fmt: skip


def _class(usage: Any, storage: str, now: bool) -> JsonRow:
    amount = usage.total(storage, current=now)
    return {
        "storage_class": storage, "current": now, "versions": amount.versions, "bytes": amount.size,
        "billed_bytes": amount.billed, "small": amount.small,
    }  # fmt: skip


def _line(each: Any) -> JsonRow:
    price = each.price
    return {
        "kind": each.kind, "what": each.what, "quantity": each.quantity, "per": each.per,
        "price": float(price.usd) if price else None, "price_of": price.region if price else None,
        "price_date": price.day.isoformat() if price and price.day else None,
        "source": price.source if price else None, "cost": _number(each.cost) if price else None,
    }  # fmt: skip


def _how(each: Any) -> str:
    quantity = size(each.quantity) if each.kind == "storage" else f"{each.quantity:,}"
    return f"{quantity} x ${each.price.usd} per {_PER[each.kind]}" if each.price else f"{quantity}; no price is known"


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _decimal(amount: Fraction, places: int) -> Decimal:
    """Rounded exactly: a fraction has no limit of digits, a float and a Decimal have."""
    scaled = round(amount * 10**places)
    return Decimal(scaled).scaleb(-places).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)


def _number(amount: Fraction) -> float:
    return float(_decimal(amount, _PLACES))
