"""Bytes that could not be decoded -> the one field to blame, what was seen there, and what was expected.

Only bad input comes here, so this may be slow: the value is parsed a second time, leniently, to quote what
was seen.
"""

from __future__ import annotations

import json
import math
import re

MAX_SEEN = 80
NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and lone surrogates: no id, title or name may hold one."""

_ID = "1 to 256 bytes of UTF-8 without control characters"
_TIME = "a whole number of milliseconds since the epoch, from 1 to 253402300799999"
_PRICE = "null or a finite number from 0 to 1000000000"
_NAME = "null or 1 to 256 characters without control characters"
EXPECTED = {
    "value": "a JSON object in UTF-8",
    "event_id": _ID,
    "user_id": _ID,
    "item_id": _ID,
    "list_id": _ID,
    "session_id": _ID,
    "occurred_at_ms": _TIME,
    "published_at_ms": _TIME,
    "position": "null or a whole number from 0 to 1000000",
    "action": 'one of "add", "remove", "purchase"',
    "quantity": "a whole number from 1 to 1000000, or for a purchase -1000000 to -1 (a return)",
    "unit_price": "a finite number from 0 to 1000000000",
    "price": _PRICE,
    "list_price": _PRICE,
    "promotion_id": "null or " + _ID,
    "promotion_from_ms": "null or " + _TIME,
    "promotion_until_ms": "null or " + _TIME,
    "text": "text of at most 20000 characters",
    "description": "null or text of at most 20000 characters",
    "stars": "null or a whole number from 1 to 5",
    "item_ids": "a list of at most 1000 ids, each of " + _ID,
    "title": "text of 1 to 1000 characters without control characters",
    "category": _NAME,
    "brand": _NAME,
    "in_stock": "true or false",
    "rule_id": _ID,
    "kind": 'one of "pin", "boost", "bury", "block"',
    "scenes": "a list of scenes' names",
    "factor": "null or a number from 0.001 to 1000",
    "from_ms": "null or " + _TIME,
    "until_ms": "null or " + _TIME,
    "note": "text of at most 200 characters without control characters",
}
"""What each field of the contract must hold, in the words of the dead letter."""


class DecodeError(ValueError):
    """A record that breaks the contract; its text is the dead letter's reason.

    Parameters
    ----------
    field : str
        The field at fault; ``key`` or ``value`` when it is the record's whole key or value.
    seen : str
        What was there, shortened to 80 characters.
    expected : str
        What the contract asks for.
    """

    def __init__(self, field: str, seen: str, expected: str) -> None:
        super().__init__(f"{field}: saw {seen}, expected {expected}")
        self.field = field
        self.seen = seen
        self.expected = expected


def shorten(text: str) -> str:
    """Cut `text` to 80 characters, the last one an ellipsis when something was cut."""
    return text if len(text) <= MAX_SEEN else text[: MAX_SEEN - 1] + "…"


def quote(seen: object) -> str:
    """Show a decoded JSON value as JSON (``NaN``, ``"two"``, ``true``), shortened to 80 characters."""
    if isinstance(seen, str | list):
        seen = seen[: MAX_SEEN + 1]
    try:
        return shorten(json.dumps(seen))
    except RecursionError:
        return "a deeply nested value"


def wrong(field: str, seen: object) -> DecodeError:
    """Build the error of a field whose JSON value was `seen`."""
    return DecodeError(field, quote(seen), EXPECTED[field.partition("[")[0]])


def diagnose(value: bytes, cause: Exception, fields: tuple[str, ...]) -> DecodeError:
    """Find the field to blame for `cause`, the error msgspec raised on `value`.

    Parameters
    ----------
    value : bytes
        The record's value.
    cause : Exception
        What the strict decoder raised.
    fields : tuple of str
        The contract's fields of this type of record.

    Returns
    -------
    DecodeError
        Names a field of the contract, or ``value`` when the bytes are no JSON object.
    """
    try:
        # Lenient on purpose: NaN, raw control characters and lone surrogates become values to quote.
        record = json.loads(value.decode(), strict=False, parse_int=_readable_int)
    except UnicodeDecodeError as error:
        return DecodeError("value", f"byte 0x{value[error.start]:02x} at {error.start}", EXPECTED["value"])
    except (ValueError, RecursionError):
        return DecodeError("value", shorten(ascii(value[: MAX_SEEN + 1])[1:]), EXPECTED["value"])
    if not isinstance(record, dict):
        return wrong("value", record)
    missing = re.search(r"missing required field `(\w+)`", str(cause))
    if missing:
        field = missing[1]
        return DecodeError(field, "nothing", EXPECTED[field])
    path = re.search(r"at `\$\.(\w+)(?:\[(\d+)\])?", str(cause))
    if path:
        return _wrong_at(record.get(path[1]), path[1], path[2])
    for field in fields:
        if _not_json(record.get(field)):
            return wrong(field, record[field])
    return DecodeError("value", shorten(str(cause)), EXPECTED["value"])


def _wrong_at(seen: object, field: str, place: str | None) -> DecodeError:
    """Blame one entry of a list where the strict decoder named one and the lenient parser saw it too."""
    if place is not None and isinstance(seen, list) and int(place) < len(seen):
        return wrong(f"{field}[{place}]", seen[int(place)])
    return wrong(field, seen)


def _readable_int(digits: str) -> int | str:
    """Keep numbers longer than Python will convert as the text they were."""
    return int(digits) if len(digits) <= MAX_SEEN else digits


def _not_json(seen: object) -> bool:
    """Whether the lenient parser took what JSON in UTF-8 does not allow."""
    if isinstance(seen, float):
        return not math.isfinite(seen)
    return isinstance(seen, str) and NOT_TEXT.search(seen) is not None
