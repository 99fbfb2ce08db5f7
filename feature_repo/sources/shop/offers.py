"""Offers of the simulated shop: its items and a day in; the same items, some of them on offer on that day, out.

An offer leaves the price as it is and says what the item costs otherwise. So features, models and what simulated
shoppers pay are the same with offers and without: only what reads `list_price` and the promotion's times sees them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np

from feature_repo.events import Item
from feature_repo.sources.shop.catalogue import DAY_MS, tidy_price

OFFERED_SHARE = 0.15
"""Share of the items that are on offer."""


@dataclass(frozen=True)
class Sale:
    """Offers that begin and end together: days before and after the day asked for, and shares of the list price."""

    name: str
    began_days: int
    ends_days: int
    least: float
    most: float


SALES = (
    Sale("members-days", 2, 60, 0.08, 0.15),
    Sale("season-sale", 7, 90, 0.15, 0.30),
    Sale("last-pieces", 13, 120, 0.30, 0.45),
)


def with_offers(items: Iterable[Item], seed: int, now_ms: int) -> tuple[Item, ...]:
    """Put some items on offer; the same arguments give the same offers.

    Parameters
    ----------
    items
        A catalogue, whatever is published later than the sale of an item included: that is not on offer.
    seed
        Source of every choice.
    now_ms
        A time at which all offers count, milliseconds since the epoch.
    """
    rng = np.random.default_rng([seed, 11])
    return tuple(_offered(item, rng, now_ms) for item in items)


def _offered(item: Item, rng: np.random.Generator, now_ms: int) -> Item:
    # Drawn for every item, so that an item's offer does not depend on those before it.
    chance, depth, which = rng.random(3)
    sale = SALES[int(which * len(SALES))]
    from_ms = now_ms - sale.began_days * DAY_MS
    if chance >= OFFERED_SHARE or item.price is None or item.published_at_ms > from_ms:
        return item
    discount = sale.least + float(depth) * (sale.most - sale.least)
    list_price = tidy_price(item.price / (1 - discount))
    if list_price <= item.price:
        return item  # too cheap to be rounded to another price
    return msgspec.structs.replace(
        item,
        list_price=list_price,
        promotion_id=sale.name,
        promotion_from_ms=from_ms,
        promotion_until_ms=now_ms + sale.ends_days * DAY_MS,
    )
