"""Rows to invoice lines: the text of a row comes in; a checked `Line`, or the reason to skip the row, goes out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from feature_repo.sources.online_retail.file import RawRow

DATE_FORMATS = ("%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M")
PRODUCT_CODE = re.compile(r"[0-9]{5}[A-Z]{0,4}")
INVOICE = re.compile(r"[A-Z]?[0-9]{1,12}")
MAX_QUANTITY = 1_000_000
MAX_PRICE = 1_000_000_000
DATES_KEPT = 4096


class Line(NamedTuple):
    """One product line of an invoice."""

    event_id: str
    item_id: str
    description: str
    quantity: int
    """Units; negative for a return."""
    unit_price: float
    """Pounds sterling, zero or more."""
    occurred_at_ms: int
    user_id: str | None
    """None when the row names no customer."""


def read_lines(rows: Iterable[RawRow | str]) -> Iterator[Line | str]:
    """Yield for each row its line, or the reason (a str) for which the row is skipped.

    The reasons are looked for in the order of the code below, and the first one counts. A line's ordinal counts all
    rows of its invoice from the file's start, skipped ones included, so it does not depend on these rules.
    """
    ordinals: dict[str, int] = {}
    for row in rows:
        if isinstance(row, str):
            yield row
            continue
        invoice = row.invoice.strip().upper()
        ordinal = ordinals[invoice] = ordinals.get(invoice, 0) + 1
        if INVOICE.fullmatch(invoice) is None:
            yield "unreadable invoice number"
            continue
        yield _line(row, f"{invoice}-{ordinal}", is_cancellation=invoice[0] == "C")


def _line(row: RawRow, event_id: str, is_cancellation: bool) -> Line | str:
    item_id = row.stock_code.strip().upper()
    if PRODUCT_CODE.fullmatch(item_id) is None:
        return "not a product"
    quantity = _whole_number(row.quantity)
    if quantity is None:
        return "unreadable quantity"
    if quantity == 0:
        return "zero quantity"
    if abs(quantity) > MAX_QUANTITY:
        return f"quantity beyond {MAX_QUANTITY}"
    if is_cancellation and quantity > 0:
        return "cancellation with a positive quantity"
    try:
        unit_price = float(row.price)
    except ValueError:
        return "unreadable price"
    if math.isnan(unit_price):
        return "unreadable price"
    if unit_price < 0:
        return "negative price"
    if unit_price > MAX_PRICE:
        return f"price beyond {MAX_PRICE}"
    occurred_at_ms = _milliseconds(row.date)
    if occurred_at_ms is None:
        return "unreadable date"
    customer = row.customer.strip()
    user_id = None
    if customer:
        number = _whole_number(customer)
        if number is None or number < 0:
            return "unreadable customer"
        user_id = str(number)
    return Line(event_id, item_id, row.description, quantity, unit_price, occurred_at_ms, user_id)


def _whole_number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


@lru_cache(maxsize=DATES_KEPT)
def _milliseconds(text: str) -> int | None:
    """Milliseconds since the epoch of a date read as UTC; None when unreadable or not after the epoch."""
    for pattern in DATE_FORMATS:
        try:
            moment = datetime.strptime(text.strip(), pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
        seconds = int(moment.timestamp())
        return seconds * 1000 if seconds > 0 else None
    return None
