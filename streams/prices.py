"""Prices and offers as ranking needs them: items in; what a row of the catalogue costs, and when it is on offer, out.

Arrays, because a scene looks at the whole catalogue each time it is read.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from feature_repo.events import Item

NEVER_MS = np.iinfo(np.int64).max


class Prices:
    """Columns beside the rows of an `scorer.item_table.ItemTable`.

    Attributes
    ----------
    price : float64 [R]
        Currency units; NaN where unknown.
    discount : float32 [R]
        Share of the list price that is taken off, 0 to 1; 0 where there is no higher list price.
    offer_from_ms, offer_until_ms : int64 [R]
        When the item is on offer: from the first on, and before the second. Never, where it has no offer.
    """

    def __init__(self) -> None:
        self.price = np.full(1, np.nan)
        self.discount = np.zeros(1, np.float32)
        self.offer_from_ms = np.full(1, NEVER_MS, np.int64)
        self.offer_until_ms = np.full(1, NEVER_MS, np.int64)

    def put(self, row: int, item: Item) -> None:
        """Note the item of a row; a removed item's row keeps what it had, and is out of stock."""
        self.price[row] = np.nan if item.price is None else item.price
        self.discount[row] = discount(item)
        on_offer = item.promotion_id is not None or self.discount[row] > 0
        self.offer_from_ms[row] = (item.promotion_from_ms or 0) if on_offer else NEVER_MS
        self.offer_until_ms[row] = NEVER_MS if item.promotion_until_ms is None else item.promotion_until_ms

    def priced(self, least: float | None, most: float | None) -> npt.NDArray[np.bool_]:
        """Which rows cost at least and at most so much: bool [R]. Without either, all; else none of unknown price."""
        priced = np.ones(len(self.price), bool)
        if least is not None:
            priced &= self.price >= least
        if most is not None:
            priced &= self.price <= most
        return priced

    def on_offer(self, now_ms: int) -> npt.NDArray[np.bool_]:
        """Which rows are on offer at a time: bool [R]."""
        on_offer: npt.NDArray[np.bool_] = (self.offer_from_ms <= now_ms) & (now_ms < self.offer_until_ms)
        return on_offer

    def grow(self, count: int) -> None:
        """Make room for `count` rows."""
        missing = count - len(self.price)
        if missing <= 0:
            return
        self.price = np.concatenate([self.price, np.full(missing, np.nan)])
        self.discount = np.concatenate([self.discount, np.zeros(missing, np.float32)])
        never = np.full(missing, NEVER_MS, np.int64)
        self.offer_from_ms = np.concatenate([self.offer_from_ms, never])
        self.offer_until_ms = np.concatenate([self.offer_until_ms, never])


def discount(item: Item) -> float:
    """Share of the list price that is taken off an item, 0 to 1; 0 where there is no higher list price."""
    if item.price is None or item.list_price is None or item.list_price <= item.price:
        return 0.0
    return 1 - item.price / item.list_price
