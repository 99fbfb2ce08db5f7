"""What an item costs at a moment: its record and a time in; its price, and the offer that holds, out."""

from __future__ import annotations

from typing import NamedTuple

from feature_repo.events import Item


class PriceNow(NamedTuple):
    """A price in currency units; ``list_price`` and ``promotion_id`` while the item is on offer alone."""

    price: float | None
    list_price: float | None
    promotion_id: str | None


def price_at(item: Item, now_ms: int) -> PriceNow:
    """What the item costs at ``now_ms`` (ms since the epoch).

    A record is not published again when its offer begins or ends: outside the offer's time it costs its list price.
    """
    if (item.promotion_from_ms is None or item.promotion_from_ms <= now_ms) and (
        item.promotion_until_ms is None or now_ms < item.promotion_until_ms
    ):
        return PriceNow(item.price, item.list_price, item.promotion_id)
    return PriceNow(item.price if item.list_price is None else item.list_price, None, None)
