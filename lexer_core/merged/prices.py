"""What does a machine cost per hour, and a million items on it?"""

from __future__ import annotations

import math
import re

from attrs import frozen

from lexer_core.errors import UsageError
from lexer_core.reporting.numbers import significant

__all__ = ["Price", "cost_text", "read_price"]

_PRICE = re.compile(r"(?P<before>[^\d\s.,+-]*)\s*(?P<amount>\d+(\.\d+)?)\s*(?P<after>[^\d.,/]*)/h")
_LONGEST_CURRENCY = 12
_HIGHEST = 1e9
_SECONDS_PER_HOUR = 3600.0
_MILLION = 1e6


@frozen(kw_only=True)
class Price:
    """The price of a machine.

    Parameters
    ----------
    text
        As the user wrote it: ``"$2.50/h"``.
    per_hour
        The number.
    currency
        The currency; any text, or empty.
    is_before
        Whether the currency is written before the number.
    """

    text: str
    per_hour: float
    currency: str = ""
    is_before: bool = False

    def of_a_million(self, items_per_second: float) -> float:
        """Return the price of a million items at this rate."""
        return self.per_hour / _SECONDS_PER_HOUR * _MILLION / items_per_second


def read_price(text: str) -> Price:
    """Read a price per hour: ``2.50/h``, ``$2.50/h``, ``2.50 EUR/h``.

    Raises
    ------
    UsageError
        It is not one.
    """
    match = _PRICE.fullmatch(text.strip())
    before, after = (match["before"], match["after"].strip()) if match else ("", "")
    currency = before or after
    amount = float(match["amount"]) if match else math.nan
    if (
        not amount <= _HIGHEST  # also if it is not a number
        or (before and after)
        or len(currency) > _LONGEST_CURRENCY
        or not currency.isprintable()
    ):
        raise UsageError(
            f"{text!r} is not a price per hour.",
            hint="Write it like 2.50/h, '$2.50/h' or '2.50 EUR/h'.",
        )
    return Price(text=text.strip(), per_hour=amount, currency=currency, is_before=bool(before))


def cost_text(value: float, price: Price) -> str:
    """Format an amount in the currency of a price: ``$0.136``, ``0.136 EUR``."""
    number = significant(value)
    if not price.currency:
        return number
    return f"{price.currency}{number}" if price.is_before else f"{number} {price.currency}"
