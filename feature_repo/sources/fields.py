"""Text of a field to a value: ids, times, prices and quantities of a log, or a `FieldError` that names the field."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import lru_cache

from feature_repo.event_errors import NOT_TEXT
from feature_repo.sources.text_file import MEND

MAX_ID_BYTES = 256
MAX_NAME = 256
MAX_TITLE = 1000
MAX_PRICE = 1e9
MAX_QUANTITY = 1_000_000
EARLIEST_MS = 315_532_800_000
"""1980-01-01: an earlier time is one read in the wrong unit."""
LATEST_MS = 4_102_444_800_000
"""2100-01-01."""
UNITS_MS = {"s": 1000.0, "ms": 1.0, "us": 0.001}
"""Milliseconds in one unit of time; `iso` is the other way to write a time."""
TIME_UNITS = (*UNITS_MS, "iso")
DATES_KEPT = 4096


class FieldError(ValueError):
    """A field that cannot be read: names the field, what was seen and what was expected; `remedy` says what to do."""

    def __init__(self, field: str, seen: str, expected: str, remedy: str = MEND) -> None:
        super().__init__(f"{field}: saw {seen[:80]!r}, expected {expected}")
        self.remedy = remedy


def id_of(field: str, text: str) -> str:
    """Give an id without the blanks around it."""
    text = text.strip()
    plain = text.isascii() and text.isprintable()
    if not text or len(text.encode()) > MAX_ID_BYTES or (not plain and NOT_TEXT.search(text)):
        raise FieldError(field, text, f"1 to {MAX_ID_BYTES} bytes of UTF-8 without control characters")
    return text


def name_of(text: str, longest: int = MAX_NAME) -> str | None:
    """Give a title, category or brand with its blanks tidied and cut to `longest` characters; None when empty."""
    return NOT_TEXT.sub("", " ".join(text.split()))[:longest] or None


def price_of(field: str, text: str) -> float | None:
    """Give a price in currency units; None when the field is empty."""
    if not text.strip():
        return None
    price = _number(text)
    if price is None or not 0 <= price <= MAX_PRICE:
        raise FieldError(field, text, f"a number from 0 to {MAX_PRICE:.0f}, or nothing")
    return price


def quantity_of(field: str, text: str, *, can_return: bool) -> int:
    """Give a quantity, 1 when the field is empty; below 0 only where that means a return."""
    if not text.strip():
        return 1
    quantity = _number(text)
    fewest = -MAX_QUANTITY if can_return else 1
    if quantity is None or not quantity.is_integer() or not fewest <= quantity <= MAX_QUANTITY or not quantity:
        raise FieldError(field, text, f"a whole number from {fewest} to {MAX_QUANTITY} other than 0, or nothing")
    return int(quantity)


@lru_cache(maxsize=DATES_KEPT)
def milliseconds_of(field: str, text: str, unit: str) -> int:
    """Give a time as milliseconds since the epoch.

    Parameters
    ----------
    unit
        One of `TIME_UNITS`: what the number counts since the epoch, or `iso` for ISO 8601 (a blank or a T before the
        hour, with or without a zone; without one it is UTC).
    """
    if unit == "iso":
        try:
            moment = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
        except ValueError as error:
            raise FieldError(field, text, "a date and time of ISO 8601") from error
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        ms = round(seconds * 1000)
    else:
        number = _number(text)
        if number is None:
            raise FieldError(field, text, f"a number, the time in {unit} since 1970")
        ms = round(number * UNITS_MS[unit])
    if not EARLIEST_MS <= ms < LATEST_MS:
        raise FieldError(
            field,
            text,
            f"a time between 1980 and 2100 in {unit}",
            f"mend that line, or is the time unit another one of {', '.join(TIME_UNITS)}?",
        )
    return ms


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
