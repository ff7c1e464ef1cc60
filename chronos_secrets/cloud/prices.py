"""What Amazon S3 costs, by region: prices.toml beside this file."""

import functools
import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from importlib import resources
from typing import Any, NamedTuple


class Price(NamedTuple):
    """US dollars for the unit that the table is of (a GB-month, or 1,000 requests or objects), and where that is from.

    `region` is the one whose price it is; `day` is None where the source has no date.
    """

    usd: Decimal
    day: date | None
    source: str
    region: str


class Prices(NamedTuple):
    """The prices of one region, by storage class; `requests` by put and get. What it lacks is the reference's."""

    region: str
    listed: bool  # whether the table knows the region at all
    storage: Mapping[str, Price]
    requests: Mapping[str, Price]
    transition: Mapping[str, Price]


def of(region: str) -> Prices:
    """The prices of a region."""
    table = _table()
    reference = table["reference"]

    def section(name: str) -> dict[str, Price]:
        return {**_prices(table, reference, name), **_prices(table, region, name)}

    return Prices(region, region in table, section("storage"), section("requests"), section("transition"))


@functools.cache
def _table() -> dict[str, Any]:
    text = resources.files("chronos_secrets.cloud").joinpath("prices.toml").read_text(encoding="utf-8")
    return tomllib.loads(text, parse_float=Decimal)


def _prices(table: dict[str, Any], region: str, section: str) -> dict[str, Price]:
    rows = table.get(region, {}).get(section, {})
    return {name: Price(row["usd"], row.get("date"), row["source"], region) for name, row in rows.items()}
