"""The shared list of what is on offer now: the catalogue in; its offers, deepest discount first, out.

Workers write no such list: an offer begins and ends by the clock and not by an event. The API holds the catalogue, so
the list is made when it is read, and kept until items, offers or rules change.
"""

from __future__ import annotations

import hashlib
import time

import numpy as np

from streams.api.rows import StoredList
from streams.api.shelf import Shelf
from streams.lists import ListRules, arranged
from streams.store import RecommendedItem

PROMOTION_SCENE = "promotion"
SIZE = 200
"""Most items of the list; a category's has as many."""

LEAST_SHARE = 0.005
"""Discount that is worth a word: what is below rounds to none."""

KEPT_CATEGORIES = 1_000
"""Most lists at hand; past that all are made anew."""


class Promotions:
    """Lists of offers.

    Parameters
    ----------
    shelf
        The catalogue, its rules and its time; lists are made in its own thread.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._revision = -1
        self._made: dict[str, StoredList] = {}

    async def of(self, category: str) -> StoredList:
        """What is on offer in a category, or in all ("")."""
        if self._revision != self._shelf.revision or len(self._made) >= KEPT_CATEGORIES:
            self._revision, self._made = self._shelf.revision, {}
        made = self._made.get(category)
        if made is None:
            kept = self._made  # a list that is late belongs to the revision it was begun in
            items = await self._shelf.in_thread(lambda: self._rank(category))
            made = kept[category] = StoredList(
                _list_id(category, items), items, written_at_ms=time.time_ns() // 1_000_000
            )
        return made

    def _rank(self, category: str) -> tuple[RecommendedItem, ...]:
        """Rank in the shelf's thread."""
        catalogue, now_ms = self._shelf.catalogue, self._shelf.now_ms()
        effects = self._shelf.effects.of(PROMOTION_SCENE, catalogue, time.time_ns() // 1_000_000)
        allowed = catalogue.available(np.array([now_ms], np.int64))[0] & catalogue.prices.on_offer(now_ms)
        if category:
            allowed &= catalogue.of_category(category)
        discounts = catalogue.prices.discount
        scores = discounts if effects is None else discounts * effects.factor

        def reasons(rows: list[int]) -> list[str]:
            return [f"{100 * share:.0f}% off" if share >= LEAST_SHARE else "on offer" for share in discounts[rows]]

        return arranged(scores, allowed, catalogue, ListRules(SIZE, category_share=1.0), effects, reasons)


def _list_id(category: str, items: tuple[RecommendedItem, ...]) -> str:
    """Name a list by what it holds: it is the same until its items are others."""
    held = "\0".join((PROMOTION_SCENE, category, *(item.item_id for item in items)))
    return hashlib.blake2b(held.encode(), digest_size=12).hexdigest()
